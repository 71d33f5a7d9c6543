//! HSL's high-frequency positioning, version 2: live MQTT messages, and dumps of them.
//!
//! Upstream: [`crate::codec::decode`] for one message, [`super::read`] for a dump. Downstream: positions.
//! Format: <https://digitransit.fi/en/developers/apis/5-realtime-api/vehicle-positions/high-frequency-positioning/>.
//!
//! A topic is `/hfp/v2/{journey type}/{temporal type}/{event}/{mode}/{operator}/{vehicle}`, then up to eleven
//! more levels that we do not need. Only operator and vehicle **of the topic** name a vehicle: the payload's
//! `oper` is the operator of the line, which may be another one, or null.

use std::io::BufRead;

use super::lines::{Line, Lines};
use super::{ReadError, Record, excerpt, source_name};
use crate::codec::json::{double, single, whole};
use crate::codec::scan::{Scanner, Value};
use crate::codec::utf8;
use crate::event::{Event, Journey, Position};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::units::{HeadingDeg, LonLat, MetresPerSecond};

/// What the topics begin with.
pub const TOPIC_PREFIX: &str = "/hfp/v2/";

/// Levels of the topic after the prefix, up to the vehicle.
const LEVELS_MIN: usize = 6;

/// Decodes one message of any event type: all of them carry a position where there is one.
///
/// `spd` is null, or above what is believed: no speed. Negative: no speed either, since the format knows none
/// and the position beside it is still good.
///
/// # Errors
/// Names the field as HFP does. [`Reason::UnknownTopic`] for a topic that names no vehicle,
/// [`Reason::NoPosition`] where `lat` or `long` is null.
pub fn decode(topic: &str, payload: &[u8]) -> Result<Event, Reject> {
    let source = source(topic)?;
    let fields = Fields::read(utf8(payload)?)?;
    let time = fields.time()?;
    let Some(lat) = double("lat", fields.lat.as_ref())? else { return Err(no_position("lat")) };
    let Some(lon) = double("long", fields.long.as_ref())? else { return Err(no_position("long")) };
    let at = LonLat::new(lon, lat).map_err(|reject| {
        let name = if reject.field.as_deref() == Some("lat_deg") { "lat" } else { "long" };
        reject.named(name)
    })?;
    let speed = match single("spd", fields.spd.as_ref())?.filter(|mps| *mps >= 0.0) {
        Some(mps) => MetresPerSecond::reported(f64::from(mps)).map_err(|reject| reject.named("spd"))?,
        None => None,
    };
    let heading = single("hdg", fields.hdg.as_ref())?.map(HeadingDeg::new).transpose();
    let heading = heading.map_err(|reject| reject.named("hdg"))?;
    Ok(Event::Position(Position { source, seq: None, time, at, speed, heading, edge: None, journey: journey(topic) }))
}

/// The line that the topic names; a dead run has none. The route is that of the topic, since the payload's is null in
/// some events, and so is its stop between stops; the topic's is always the next one, or `EOL` behind the last.
fn journey(topic: &str) -> Option<Box<Journey>> {
    let (_, rest) = topic.split_once(TOPIC_PREFIX)?;
    let mut levels = rest.split('/');
    if levels.next()? != "journey" {
        return None;
    }
    let mut levels = levels.skip(LEVELS_MIN - 1);
    let (route, direction) = (levels.next()?, levels.next()?);
    // Behind the headsign and the time of departure.
    let next_stop = levels.nth(2).unwrap_or_default();
    // A name that is too long loses the journey, not the position.
    Journey::new(route.to_owned(), direction.to_owned(), next_stop.to_owned()).ok().flatten()
}

/// The messages of a dump, one a line: `receive-time SP topic SP payload`.
pub(crate) struct Dump {
    lines: Lines,
    over: bool,
}

impl Dump {
    pub(crate) fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self { lines: Lines::new(input), over: false }
    }

    fn record(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            let line = match self.lines.read()? {
                None => return Ok(None),
                Some(Line::Whole) if self.lines.bytes().is_empty() => continue,
                Some(Line::Whole) => message(self.lines.bytes()),
                Some(Line::Overlong(reject)) => Err(reject),
            };
            let raw = self.lines.bytes();
            return match line {
                Ok(record) => Ok(Some(record)),
                Err(_) if self.lines.number() == 1 => Err(ReadError::NotThisFormat {
                    line: 1,
                    found: format!("`{}`", excerpt(raw)),
                    expected: "an HFP dump (each line: receive time, topic /hfp/v2/…, payload {…})".into(),
                }),
                Err(reject) => Ok(Some(Record::Unreadable { line: self.lines.number(), reject, raw: raw.to_vec() })),
            };
        }
    }
}

impl Iterator for Dump {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let record = self.record().transpose();
        self.over = !matches!(record, Some(Ok(_)));
        record
    }
}

/// Takes a line of a dump apart. The topic may hold spaces (a headsign does), but no ` {`. It may be any topic: the
/// same recorder may have listened to our own as well, and the gate says what it makes of it.
fn message(line: &[u8]) -> Result<Record, Reject> {
    let malformed = |detail: &str| Reject::whole(Reason::Malformed, detail);
    let space = line.iter().position(|byte| *byte == b' ').ok_or_else(|| malformed("no space in the line"))?;
    let (received, rest) = (utf8(&line[..space])?, &line[space + 1..]);
    let split = rest.windows(2).position(|pair| pair == b" {").ok_or_else(|| malformed("no ` {` after the topic"))?;
    let topic = utf8(&rest[..split])?;
    Ok(Record::Message {
        topic: topic.to_owned(),
        payload: rest[split + 1..].to_vec(),
        received: Some(TimeMs::parse(received).map_err(|reject| reject.named("receive time"))?),
    })
}

fn source(topic: &str) -> Result<String, Reject> {
    let unknown = || {
        let detail = format!("`{}` names no operator and vehicle", excerpt(topic.as_bytes()));
        Reject::whole(Reason::UnknownTopic, detail)
    };
    // A bridge between brokers may have put levels of its own in front.
    let (_, rest) = topic.split_once(TOPIC_PREFIX).ok_or_else(unknown)?;
    let mut levels = rest.split('/').skip(LEVELS_MIN - 2);
    match (levels.next(), levels.next()) {
        (Some(operator), Some(vehicle)) if !operator.is_empty() && !vehicle.is_empty() => {
            source_name(&format!("hfp.{operator}.{vehicle}"), "vehicle")
        }
        _ => Err(unknown()),
    }
}

fn no_position(field: &'static str) -> Reject {
    Reject::field(Reason::NoPosition, field, "is absent or null".into())
}

/// The fields that we use, as they stand in the text; null is absent.
#[derive(Default)]
struct Fields<'a> {
    tst: Option<Value<'a>>,
    tsi: Option<Value<'a>>,
    lat: Option<Value<'a>>,
    long: Option<Value<'a>>,
    spd: Option<Value<'a>>,
    hdg: Option<Value<'a>>,
}

impl<'a> Fields<'a> {
    /// Reads `{"VP": {…}}`: one key, the event type in capitals.
    fn read(text: &'a str) -> Result<Self, Reject> {
        let mut scan = Scanner::new(text);
        let mut only: Option<(String, Value<'a>)> = None;
        let mut count = 0_usize;
        scan.object(&mut |key, value| {
            count += 1;
            only.get_or_insert_with(|| (key.into_owned(), value));
            Ok(())
        })?;
        scan.end()?;
        let body = match only {
            Some((key, Value::Object(body))) if count == 1 && is_event_type(&key) => body,
            _ => {
                let detail = "expected one key, the event type in capitals, with an object";
                return Err(Reject::whole(Reason::Malformed, detail));
            }
        };
        let mut fields = Self::default();
        Scanner::new(body).object(&mut |key, value| {
            fields.put(&key, value);
            Ok(())
        })?;
        Ok(fields)
    }

    fn put(&mut self, key: &str, value: Value<'a>) {
        let slot = match key {
            "tst" => &mut self.tst,
            "tsi" => &mut self.tsi,
            "lat" => &mut self.lat,
            "long" => &mut self.long,
            "spd" => &mut self.spd,
            "hdg" => &mut self.hdg,
            _ => return,
        };
        *slot = (value != Value::Null).then_some(value);
    }

    /// The vehicle's clock: `tst` to the millisecond, or `tsi`, seconds.
    fn time(&self) -> Result<TimeMs, Reject> {
        match &self.tst {
            Some(Value::Text(text)) => TimeMs::parse(text).map_err(|reject| reject.named("tst")),
            Some(other) => {
                Err(Reject::field(Reason::UnreadableField, "tst", format!("{other} is not a time in quotes")))
            }
            None => match whole("tsi", self.tsi.as_ref(), i64::MAX as u64 / 1_000)? {
                Some(seconds) => TimeMs::new(seconds as i64 * 1_000).map_err(|reject| reject.named("tsi")),
                None => Err(Reject::field(Reason::MissingField, "tst", "is absent or null, and so is tsi".into())),
            },
        }
    }
}

/// VP, DUE, ARR, …, as long as HSL may make them.
fn is_event_type(key: &str) -> bool {
    (1..=16).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
