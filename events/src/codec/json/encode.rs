//! Events written as JSON: fixed key order, shortest decimals that read back to the same bits.
//!
//! Upstream: the simulator and the replayer. Downstream: MQTT, and [`super::decode`] at its other end.

use std::io::Write;

use crate::event::{DetectorInterval, Event, Position, SignalChange};
use crate::units::{LonLat, MetresPerSecond};

/// Writes one event; [`super::decode`] reads back the same event, to the bit.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    match event {
        Event::Position(position) => encode_position(position, out),
        Event::Detector(interval) => encode_detector(interval, out),
        Event::Signal(change) => encode_signal(change, out),
    }
}

/// Writes a batch. The caller keeps it within 1 to [`BATCH_EVENTS_MAX`](crate::codec::BATCH_EVENTS_MAX) events of one kind.
pub fn encode_batch(events: &[Event], out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, event) in events.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        encode(event, out);
    }
    out.push(b']');
}

fn encode_position(position: &Position, out: &mut Vec<u8>) {
    open(&position.source, position.seq, out);
    put(out, format_args!(",\"ts_ms\":{}", position.time.0));
    place(position.at, out);
    speed(position.speed, out);
    if let Some(heading) = position.heading {
        put(out, format_args!(",\"heading_deg\":{}", heading.get()));
    }
    // JSON has no infinity; an edge without a place on it says nothing that the position does not.
    if let Some(edge) = position.edge.as_ref().filter(|edge| edge.pos_m.is_finite()) {
        put(out, format_args!(",\"edge\":{{\"id\":"));
        text(&edge.edge_id, out);
        put(out, format_args!(",\"pos_m\":{}}}", edge.pos_m));
    }
    if let Some(journey) = &position.journey {
        put(out, format_args!(",\"route\":"));
        text(&journey.route, out);
        for (key, value) in [("direction", &journey.direction), ("next_stop", &journey.next_stop)] {
            if !value.is_empty() {
                put(out, format_args!(",\"{key}\":"));
                text(value, out);
            }
        }
    }
    out.push(b'}');
}

fn encode_detector(interval: &DetectorInterval, out: &mut Vec<u8>) {
    open(&interval.source, interval.seq, out);
    let (start, end) = (interval.start.0, interval.end.0);
    put(out, format_args!(",\"start_ms\":{start},\"end_ms\":{end}"));
    if let Some(count) = interval.count {
        put(out, format_args!(",\"count\":{count}"));
    }
    if let Some(share) = interval.occupancy.filter(|share| share.is_finite()) {
        put(out, format_args!(",\"occupancy\":{share}"));
    }
    speed(interval.speed, out);
    if let Some(at) = interval.at {
        place(at, out);
    }
    out.push(b'}');
}

fn encode_signal(change: &SignalChange, out: &mut Vec<u8>) {
    open(&change.source, change.seq, out);
    let state = change.state.name();
    put(out, format_args!(",\"ts_ms\":{},\"phase\":{},\"state\":\"{state}\"}}", change.time.0, change.phase));
}

fn open(source: &str, seq: Option<u64>, out: &mut Vec<u8>) {
    put(out, format_args!("{{\"source\":"));
    text(source, out);
    if let Some(seq) = seq {
        put(out, format_args!(",\"seq\":{seq}"));
    }
}

fn place(at: LonLat, out: &mut Vec<u8>) {
    put(out, format_args!(",\"lon_deg\":{},\"lat_deg\":{}", at.lon_deg(), at.lat_deg()));
}

fn speed(speed: Option<MetresPerSecond>, out: &mut Vec<u8>) {
    if let Some(speed) = speed {
        put(out, format_args!(",\"speed_mps\":{}", speed.get()));
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("text can be JSON, and a Vec takes all that is written");
}

fn put(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("a Vec takes all that is written");
}
