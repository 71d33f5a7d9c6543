//! Our own contract in JSON: one object is one event, an array is a batch of 1 to 1,000.
//!
//! Upstream: [`super::decode`]; ingest, which tries [`plain_positions`] first; the simulator and the replayer use [`encode`]. Downstream: the gate.
//!
//! | kind | fields (`?` may be absent; null is absent; unknown fields are ignored) |
//! |---|---|
//! | position | `source`? `seq`? `ts_ms` or `ts` (RFC 3339) `lon_deg` `lat_deg` `speed_mps`? `heading_deg`? `edge`? {`id` `pos_m`} |
//! | detector | `source`? `seq`? `start_ms` `end_ms` `count`? `occupancy`? (0 to 1) `speed_mps`? `lon_deg`? `lat_deg`?; one of `count`, `occupancy`, `speed_mps` must be there |
//! | signal | `source`? `seq`? `ts_ms` or `ts`, `phase`, `state` (red, yellow, green) |
//!
//! `source` is the topic's; a gateway `gw` may also speak for `gw.anything`. Of a repeated key the last counts.

use std::borrow::Cow;

use super::scan::{Scanner, Value};
use super::{BATCH_EVENTS_MAX, Fate, Refused};
use crate::event::{DetectorInterval, EdgeFix, Event, Journey, Position, SignalChange, SignalState};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::topic::{Kind, NAME_BYTES_MAX, Topic, is_name};
use crate::units::{HeadingDeg, LonLat, MetresPerSecond};

mod encode;
mod plain;

pub use encode::{encode, encode_batch};
pub use plain::{PlainPosition, plain_positions};

/// Longest edge id, bytes.
const EDGE_ID_BYTES_MAX: usize = 256;

/// Decodes one payload and adds its fates to `out`.
///
/// An element that is wrong in itself is refused alone, with its own text. A payload that is not JSON, and a
/// batch that is empty or too long, is refused as a whole: then nothing of it is accepted.
pub fn decode(topic: &Topic<'_>, payload: &[u8], out: &mut Vec<Fate>) {
    let mark = out.len();
    if let Err(reject) = super::utf8(payload).and_then(|text| message(topic, text, out)) {
        out.truncate(mark);
        out.push(Err(Refused { reject, payload: payload.to_vec() }));
    }
}

fn message(topic: &Topic<'_>, text: &str, out: &mut Vec<Fate>) -> Result<(), Reject> {
    let mut scan = Scanner::new(text);
    if scan.peek() != Some(b'[') {
        out.push(element(topic, &mut scan)?);
        return scan.end();
    }
    let mut count = 0;
    scan.array(&mut |scan| {
        count += 1;
        if count > BATCH_EVENTS_MAX {
            return Err(Reject::whole(Reason::WrongSize, format!("a batch of more than {BATCH_EVENTS_MAX} events")));
        }
        out.push(element(topic, scan)?);
        Ok(())
    })?;
    scan.end()?;
    if count == 0 { Err(Reject::whole(Reason::WrongSize, "an empty batch")) } else { Ok(()) }
}

/// Reads one element: the error is that the text is not JSON, the fate may be a refusal of this element.
fn element(topic: &Topic<'_>, scan: &mut Scanner<'_>) -> Result<Fate, Reject> {
    let is_object = scan.peek() == Some(b'{');
    let start = scan.at();
    let mut fields = Fields::default();
    let event = if is_object {
        scan.object(&mut |key, value| {
            fields.put(&key, value);
            Ok(())
        })?;
        fields.event(topic)
    } else {
        let value = scan.value()?;
        Err(Reject::whole(Reason::Malformed, format!("{value} is not an object")))
    };
    Ok(event.map_err(|reject| Refused { reject, payload: scan.since(start).as_bytes().to_vec() }))
}

/// The fields of all kinds, as they stand in the text.
#[derive(Default)]
struct Fields<'a> {
    source: Option<Value<'a>>,
    seq: Option<Value<'a>>,
    ts_ms: Option<Value<'a>>,
    ts: Option<Value<'a>>,
    lon_deg: Option<Value<'a>>,
    lat_deg: Option<Value<'a>>,
    speed_mps: Option<Value<'a>>,
    heading_deg: Option<Value<'a>>,
    edge: Option<Value<'a>>,
    route: Option<Value<'a>>,
    direction: Option<Value<'a>>,
    next_stop: Option<Value<'a>>,
    start_ms: Option<Value<'a>>,
    end_ms: Option<Value<'a>>,
    count: Option<Value<'a>>,
    occupancy: Option<Value<'a>>,
    phase: Option<Value<'a>>,
    state: Option<Value<'a>>,
}

impl<'a> Fields<'a> {
    fn put(&mut self, key: &str, value: Value<'a>) {
        let slot = match key {
            "source" => &mut self.source,
            "seq" => &mut self.seq,
            "ts_ms" => &mut self.ts_ms,
            "ts" => &mut self.ts,
            "lon_deg" => &mut self.lon_deg,
            "lat_deg" => &mut self.lat_deg,
            "speed_mps" => &mut self.speed_mps,
            "heading_deg" => &mut self.heading_deg,
            "edge" => &mut self.edge,
            "route" => &mut self.route,
            "direction" => &mut self.direction,
            "next_stop" => &mut self.next_stop,
            "start_ms" => &mut self.start_ms,
            "end_ms" => &mut self.end_ms,
            "count" => &mut self.count,
            "occupancy" => &mut self.occupancy,
            "phase" => &mut self.phase,
            "state" => &mut self.state,
            _ => return,
        };
        *slot = (value != Value::Null).then_some(value);
    }

    fn event(&self, topic: &Topic<'_>) -> Result<Event, Reject> {
        let source = self.source(topic)?;
        let seq = whole("seq", self.seq.as_ref(), u64::MAX)?;
        Ok(match topic.kind {
            Kind::Position => Event::Position(Position {
                source,
                seq,
                time: self.time()?,
                at: self.place()?.ok_or_else(|| missing("lon_deg"))?,
                speed: self.speed()?,
                heading: single("heading_deg", self.heading_deg.as_ref())?.map(HeadingDeg::new).transpose()?,
                edge: self.edge.as_ref().map(edge).transpose()?,
                journey: Journey::new(
                    label("route", self.route.as_ref())?,
                    label("direction", self.direction.as_ref())?,
                    label("next_stop", self.next_stop.as_ref())?,
                )?,
            }),
            Kind::Detector => Event::Detector(self.detector(source, seq)?),
            Kind::Signal => Event::Signal(SignalChange {
                source,
                seq,
                time: self.time()?,
                phase: narrow("phase", self.phase.as_ref(), u16::MAX)?,
                state: state(self.state.as_ref())?,
            }),
        })
    }

    fn detector(&self, source: String, seq: Option<u64>) -> Result<DetectorInterval, Reject> {
        let start = moment("start_ms", self.start_ms.as_ref())?.ok_or_else(|| missing("start_ms"))?;
        let end = moment("end_ms", self.end_ms.as_ref())?.ok_or_else(|| missing("end_ms"))?;
        if end <= start {
            let detail = format!("{} is not after start_ms {}", end.0, start.0);
            return Err(Reject::field(Reason::OutOfRange, "end_ms", detail));
        }
        let count = whole("count", self.count.as_ref(), u32::MAX.into())?.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let occupancy = single("occupancy", self.occupancy.as_ref())?;
        if let Some(share) = occupancy.filter(|share| !(0.0..=1.0).contains(share)) {
            let detail = format!("{share} is not a share between 0 and 1");
            return Err(Reject::field(Reason::OutOfRange, "occupancy", detail));
        }
        // Detectors write -1 for the speed of nobody. Whatever they write: nobody has no speed, not 0.
        let unsaid = matches!(&self.speed_mps, Some(Value::Number(text)) if text.parse() == Ok(-1.0_f32));
        let speed = if unsaid { None } else { self.speed()? };
        let speed = speed.filter(|_| count != Some(0));
        // One that does not count may still say how long it was covered, or how fast they were.
        if count.is_none() && occupancy.is_none() && speed.is_none() {
            return Err(missing("count"));
        }
        Ok(DetectorInterval { source, seq, start, end, at: self.place()?, count, occupancy, speed })
    }

    fn source(&self, topic: &Topic<'_>) -> Result<String, Reject> {
        let name = match &self.source {
            None => return Ok(topic.source.to_owned()),
            Some(Value::Text(name)) => name.as_ref(),
            Some(other) => return Err(unreadable("source", other, "text")),
        };
        let own = name == topic.source;
        let spoken_for = || name.strip_prefix(topic.source).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'));
        if own || (spoken_for() && is_name(name)) {
            return Ok(name.to_owned());
        }
        let detail = format!(
            "{} is neither `{}` nor a name of at most {NAME_BYTES_MAX} bytes that begins with `{}.`",
            Value::Text(Cow::Borrowed(name)),
            topic.source,
            topic.source
        );
        Err(Reject::field(Reason::WrongSource, "source", detail))
    }

    /// `ts_ms`, or `ts` where that is absent.
    fn time(&self) -> Result<TimeMs, Reject> {
        if let Some(time) = moment("ts_ms", self.ts_ms.as_ref())? {
            return Ok(time);
        }
        match &self.ts {
            None => Err(missing("ts_ms")),
            // Stricter than `TimeMs::parse`: between machines a time without a zone is a bug, not a custom.
            Some(value @ Value::Text(text)) => match text.parse::<jiff::Timestamp>() {
                Ok(at) => TimeMs::new(at.as_millisecond()).map_err(|reject| reject.named("ts")),
                Err(_) => Err(unreadable("ts", value, "an RFC 3339 time with its offset, as 2024-02-13T16:33:00.5Z")),
            },
            Some(other) => Err(unreadable("ts", other, "an RFC 3339 time in quotes")),
        }
    }

    fn place(&self) -> Result<Option<LonLat>, Reject> {
        let lon = double("lon_deg", self.lon_deg.as_ref())?;
        let lat = double("lat_deg", self.lat_deg.as_ref())?;
        match (lon, lat) {
            (Some(lon), Some(lat)) => LonLat::new(lon, lat).map(Some),
            (None, None) => Ok(None),
            (Some(_), None) => Err(missing("lat_deg")),
            (None, Some(_)) => Err(missing("lon_deg")),
        }
    }

    fn speed(&self) -> Result<Option<MetresPerSecond>, Reject> {
        match single("speed_mps", self.speed_mps.as_ref())? {
            Some(mps) => MetresPerSecond::reported(f64::from(mps)),
            None => Ok(None),
        }
    }
}

fn edge(value: &Value<'_>) -> Result<EdgeFix, Reject> {
    let Value::Object(text) = value else {
        return Err(unreadable("edge", value, "an object with `id` and `pos_m`"));
    };
    let (mut id, mut pos_m) = (None, None);
    Scanner::new(text).object(&mut |key, value| {
        match key.as_ref() {
            "id" => id = (value != Value::Null).then_some(value),
            "pos_m" => pos_m = (value != Value::Null).then_some(value),
            _ => {}
        }
        Ok(())
    })?;
    let edge_id = match id {
        Some(Value::Text(id)) if (1..=EDGE_ID_BYTES_MAX).contains(&id.len()) => id.into_owned(),
        Some(other) => return Err(unreadable("edge.id", &other, "text of 1 to 256 bytes")),
        None => return Err(missing("edge.id")),
    };
    let pos_m = double("edge.pos_m", pos_m.as_ref())?.ok_or_else(|| missing("edge.pos_m"))?;
    if !pos_m.is_finite() || pos_m < 0.0 {
        let detail = format!("{pos_m} is not a distance from the beginning of the edge");
        return Err(Reject::field(Reason::OutOfRange, "edge.pos_m", detail));
    }
    Ok(EdgeFix { edge_id, pos_m })
}

fn state(value: Option<&Value<'_>>) -> Result<SignalState, Reject> {
    let value = value.ok_or_else(|| missing("state"))?;
    let state = if let Value::Text(name) = value { SignalState::parse(name) } else { None };
    state.ok_or_else(|| unreadable("state", value, "red, yellow or green"))
}

/// A name, or a whole number in its place, as many operators write directions; empty if not said.
fn label(field: &'static str, value: Option<&Value<'_>>) -> Result<String, Reject> {
    match value {
        None => Ok(String::new()),
        Some(Value::Text(text)) => Ok(text.clone().into_owned()),
        Some(Value::Number(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok((*text).to_owned()),
        Some(other) => Err(unreadable(field, other, "text or a whole number")),
    }
}

fn missing(field: &'static str) -> Reject {
    Reject::field(Reason::MissingField, field, "is absent or null".into())
}

fn unreadable(field: &'static str, value: &Value<'_>, expected: &str) -> Reject {
    Reject::field(Reason::UnreadableField, field, format!("{value} is not {expected}"))
}

/// A number as it is written; it has the grammar of one, so Rust's own parsing of it is exact.
fn digits<'v>(field: &'static str, value: Option<&'v Value<'_>>) -> Result<Option<&'v str>, Reject> {
    match value {
        None => Ok(None),
        Some(Value::Number(text)) => Ok(Some(text)),
        Some(other) => Err(unreadable(field, other, "a number")),
    }
}

/// An `f64`; 1e999 becomes infinity, which every range refuses.
pub(crate) fn double(field: &'static str, value: Option<&Value<'_>>) -> Result<Option<f64>, Reject> {
    Ok(digits(field, value)?.and_then(|text| text.parse().ok()))
}

/// An `f32`, rounded once.
pub(crate) fn single(field: &'static str, value: Option<&Value<'_>>) -> Result<Option<f32>, Reject> {
    Ok(digits(field, value)?.and_then(|text| text.parse().ok()))
}

/// A whole number from 0 to `max`; `5.0` is one, as some devices write all numbers with a fraction.
pub(crate) fn whole(field: &'static str, value: Option<&Value<'_>>, max: u64) -> Result<Option<u64>, Reject> {
    /// Above it an f64 no longer holds every whole number.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let Some(text) = digits(field, value)? else { return Ok(None) };
    let with_fraction = || {
        let number = text.parse::<f64>().ok()?;
        (number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number)).then_some(number as u64)
    };
    match text.parse::<u64>().ok().or_else(with_fraction) {
        Some(number) if number <= max => Ok(Some(number)),
        _ => {
            let detail = format!("{} is not a whole number from 0 to {max}", Value::Number(text));
            Err(Reject::field(Reason::OutOfRange, field, detail))
        }
    }
}

/// A required whole number of a narrower type.
fn narrow<T>(field: &'static str, value: Option<&Value<'_>>, max: T) -> Result<T, Reject>
where
    T: TryFrom<u64> + Into<u64> + Copy,
{
    let number = whole(field, value, max.into())?.ok_or_else(|| missing(field))?;
    Ok(T::try_from(number).unwrap_or(max))
}

/// Epoch milliseconds; a fraction is rounded, since clocks that count seconds in an f64 leave one.
fn moment(field: &'static str, value: Option<&Value<'_>>) -> Result<Option<TimeMs>, Reject> {
    let Some(text) = digits(field, value)? else { return Ok(None) };
    // A float cast saturates, so 1e300 stays out of range.
    let ms = text.parse::<i64>().ok().or_else(|| text.parse::<f64>().ok().map(|ms| ms.round() as i64));
    match ms.map(TimeMs::new) {
        Some(Ok(time)) => Ok(Some(time)),
        Some(Err(_)) | None => {
            let detail = format!("{} is not a time between 1970 and 9999", Value::Number(text));
            Err(Reject::field(Reason::OutOfRange, field, detail))
        }
    }
}

#[cfg(test)]
mod tests;
