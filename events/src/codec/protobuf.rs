//! Our own contract in Protocol Buffers: `proto/arterial/v1/events.proto`, on topics that end in [`SUFFIX`].
//!
//! Upstream: [`super::decode`]; whoever publishes uses [`encode_batch`]. Downstream: the gate. The topic alone says
//! that a payload is protobuf, not MQTT 5's content type: so devices that speak 3.1.1 can send it, and a dead letter
//! can be sent again from what it holds.
//!
//! A batch is walked field by field and its elements are read in place, so that one that is wrong is refused alone
//! with its own bytes, and a batch that is too long is refused before its elements take memory.

use prost::Message;

use super::{BATCH_EVENTS_MAX, Fate, Refused};
use crate::event::{DetectorInterval, EDGE_ID_BYTES_MAX, EdgeFix, Event, Journey, Position, SignalChange, SignalState};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::topic::{Kind, NAME_BYTES_MAX, Topic};
use crate::units::{HeadingDeg, LonLat, MetresPerSecond};

pub(crate) mod fields;
mod messages;

use fields::Field;

/// What follows a native topic whose payload is protobuf.
pub const SUFFIX: &str = "/pb";

/// Decodes one payload and adds its fates to `out`.
///
/// An element that is wrong in itself is refused alone: what is kept of it is a batch of one. A payload that is not
/// protobuf, holds events of another kind than the topic's, or is empty or too long, is refused as a whole.
pub fn decode(topic: &Topic<'_>, payload: &[u8], out: &mut Vec<Fate>) {
    let mark = out.len();
    if let Err(reject) = message(topic, payload, out) {
        out.truncate(mark);
        out.push(Err(Refused { reject, payload: payload.to_vec() }));
    }
}

/// Writes a batch, which the caller keeps within 1 to [`BATCH_EVENTS_MAX`] events of one kind; [`decode`] reads back
/// the same events, to the bit.
pub fn encode_batch(events: &[Event], out: &mut Vec<u8>) {
    let mut batch = messages::Events::default();
    for event in events {
        match event {
            Event::Position(position) => batch.positions.push(position.into()),
            Event::Detector(interval) => batch.detectors.push(interval.into()),
            Event::Signal(change) => batch.signals.push(change.into()),
        }
    }
    batch.encode(out).expect("a Vec has room for whatever is written");
}

fn message(topic: &Topic<'_>, payload: &[u8], out: &mut Vec<Fate>) -> Result<(), Reject> {
    let mut count = 0;
    fields::each(payload, &mut |field| {
        let kind = match field.number {
            1 => Kind::Position,
            2 => Kind::Detector,
            3 => Kind::Signal,
            _ => return Ok(()),
        };
        if kind != topic.kind {
            let detail = format!("a {} on a topic of kind {}", kind.name(), topic.kind.name());
            return Err(Reject::whole(Reason::Malformed, detail));
        }
        count += 1;
        if count > BATCH_EVENTS_MAX {
            return Err(Reject::whole(Reason::WrongSize, format!("a batch of more than {BATCH_EVENTS_MAX} events")));
        }
        out.push(element(topic, &field)?);
        Ok(())
    })?;
    if count == 0 { Err(Reject::whole(Reason::WrongSize, "an empty batch")) } else { Ok(()) }
}

/// Reads one element: the error is that the bytes are not protobuf, the fate may be a refusal of this element.
fn element(topic: &Topic<'_>, field: &Field<'_>) -> Result<Fate, Reject> {
    let event = match topic.kind {
        Kind::Position => position(topic, read(field.value)?),
        Kind::Detector => detector(topic, read(field.value)?),
        Kind::Signal => signal(topic, read(field.value)?),
    };
    Ok(event.map_err(|reject| Refused { reject, payload: field.whole.to_vec() }))
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, Reject> {
    M::decode(bytes).map_err(|e| Reject::whole(Reason::Malformed, e.to_string()))
}

fn position(topic: &Topic<'_>, said: messages::Position) -> Result<Event, Reject> {
    Ok(Event::Position(Position {
        source: source(topic, said.source)?,
        seq: said.seq,
        time: time("ts_ms", said.ts_ms)?,
        at: place(said.lon_deg, said.lat_deg)?.ok_or_else(|| missing("lon_deg"))?,
        speed: speed(said.speed_mps)?,
        heading: said.heading_deg.map(HeadingDeg::new).transpose()?,
        edge: said.edge.map(edge).transpose()?,
        journey: Journey::new(
            said.route.unwrap_or_default(),
            said.direction.unwrap_or_default(),
            said.next_stop.unwrap_or_default(),
        )?,
    }))
}

fn detector(topic: &Topic<'_>, said: messages::DetectorInterval) -> Result<Event, Reject> {
    // Detectors write -1 for the speed of nobody.
    let said_speed = said.speed_mps.filter(|mps| *mps != -1.0);
    let interval = DetectorInterval {
        source: source(topic, said.source)?,
        seq: said.seq,
        start: time("start_ms", said.start_ms)?,
        end: time("end_ms", said.end_ms)?,
        at: place(said.lon_deg, said.lat_deg)?,
        count: said.count,
        occupancy: said.occupancy,
        speed: speed(said_speed)?,
    };
    interval.checked().map(Event::Detector)
}

fn signal(topic: &Topic<'_>, said: messages::SignalChange) -> Result<Event, Reject> {
    let phase = said.phase.ok_or_else(|| missing("phase"))?;
    let number = said.state.ok_or_else(|| missing("state"))?;
    let state = match messages::State::try_from(number) {
        Ok(messages::State::Red) => SignalState::Red,
        Ok(messages::State::Yellow) => SignalState::Yellow,
        Ok(messages::State::Green) => SignalState::Green,
        Ok(messages::State::Unspecified) | Err(_) => {
            let detail = format!("{number} is not 1 (red), 2 (yellow) or 3 (green)");
            return Err(Reject::field(Reason::UnreadableField, "state", detail));
        }
    };
    Ok(Event::Signal(SignalChange {
        source: source(topic, said.source)?,
        seq: said.seq,
        time: time("ts_ms", said.ts_ms)?,
        phase: u16::try_from(phase).map_err(|_| out_of_range("phase", format!("{phase} is more than {}", u16::MAX)))?,
        state,
    }))
}

fn source(topic: &Topic<'_>, said: Option<String>) -> Result<String, Reject> {
    let Some(name) = said else { return Ok(topic.source.to_owned()) };
    if topic.speaks_for(&name) {
        return Ok(name);
    }
    let detail = format!(
        "`{}` is neither `{}` nor a name of at most {NAME_BYTES_MAX} bytes that begins with `{}.`",
        crate::foreign::excerpt(name.as_bytes()),
        topic.source,
        topic.source
    );
    Err(Reject::field(Reason::WrongSource, "source", detail))
}

fn time(field: &'static str, ms: Option<i64>) -> Result<TimeMs, Reject> {
    TimeMs::new(ms.ok_or_else(|| missing(field))?).map_err(|reject| reject.named(field))
}

fn place(lon_deg: Option<f64>, lat_deg: Option<f64>) -> Result<Option<LonLat>, Reject> {
    match (lon_deg, lat_deg) {
        (Some(lon), Some(lat)) => LonLat::new(lon, lat).map(Some),
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing("lat_deg")),
        (None, Some(_)) => Err(missing("lon_deg")),
    }
}

fn speed(mps: Option<f32>) -> Result<Option<MetresPerSecond>, Reject> {
    Ok(mps.map(|mps| MetresPerSecond::reported(f64::from(mps))).transpose()?.flatten())
}

fn edge(said: messages::EdgeFix) -> Result<EdgeFix, Reject> {
    let edge_id = said.id.ok_or_else(|| missing("edge.id"))?;
    if !(1..=EDGE_ID_BYTES_MAX).contains(&edge_id.len()) {
        let detail = format!("{} bytes are not 1 to {EDGE_ID_BYTES_MAX}", edge_id.len());
        return Err(Reject::field(Reason::UnreadableField, "edge.id", detail));
    }
    let pos_m = said.pos_m.ok_or_else(|| missing("edge.pos_m"))?;
    if !pos_m.is_finite() || pos_m < 0.0 {
        return Err(out_of_range("edge.pos_m", format!("{pos_m} is not a distance from the beginning of the edge")));
    }
    Ok(EdgeFix { edge_id, pos_m })
}

fn missing(field: &'static str) -> Reject {
    Reject::field(Reason::MissingField, field, "is absent".into())
}

fn out_of_range(field: &'static str, detail: String) -> Reject {
    Reject::field(Reason::OutOfRange, field, detail)
}

#[cfg(test)]
mod tests;
