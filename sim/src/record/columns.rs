//! The columns of each table.
//!
//! Upstream: rows as the simulator has them. Downstream: [`super::table`]. Names carry units; segments are called by
//! the ids that the network and analytics use; times are UTC epoch milliseconds.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Float32Array, Float64Array, Int64Array, StringArray, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::DataType::{Float32, Float64, Int64, UInt16, UInt32, UInt64, Utf8};
use events::{DetectorInterval, SignalChange, TimeMs};

use super::table::Column;
use super::{Names, Phase};
use crate::sensor::{Fault, Faulty, PositionReport};
use crate::truth::TruthCell;
use crate::truth::trips::{Outcome, TripDone};
use crate::world::{Forced, ForcedKind};

pub(super) const POSITIONS: [Column; 9] = [
    ("source", Utf8, false),
    ("vehicle", UInt64, false),
    ("seq", UInt32, false),
    ("ts_ms", Int64, false),
    ("received_ms", Int64, false),
    ("lon_deg", Float64, false),
    ("lat_deg", Float64, false),
    ("speed_mps", Float32, false),
    ("heading_deg", Float32, false),
];

pub(super) fn positions(names: &Names, rows: &[PositionReport]) -> Vec<ArrayRef> {
    let source = |r: &PositionReport| format!("{}.v{}", names.gateway, r.vehicle);
    vec![
        texts(rows.iter().map(source)),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.vehicle))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|r| r.seq))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.time_ms))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.arrival_ms))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.lon_deg()))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.lat_deg()))),
        Arc::new(Float32Array::from_iter_values(rows.iter().map(|r| (f64::from(r.speed_mm_s) / 1e3) as f32))),
        Arc::new(Float32Array::from_iter_values(rows.iter().map(|r| (f64::from(r.heading_ddeg) / 10.0) as f32))),
    ]
}

pub(super) const FIXES: [Column; 4] =
    [("vehicle", UInt64, false), ("seq", UInt32, false), ("segment", Utf8, false), ("offset_m", Float64, false)];

pub(super) fn fixes(names: &Names, rows: &[PositionReport]) -> Vec<ArrayRef> {
    vec![
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.vehicle))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|r| r.seq))),
        texts(rows.iter().map(|r| names.segments[r.segment as usize].as_str())),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| f64::from(r.offset_mm) / 1e3))),
    ]
}

pub(super) const DETECTORS: [Column; 7] = [
    ("source", Utf8, false),
    ("seq", UInt64, true),
    ("start_ms", Int64, false),
    ("end_ms", Int64, false),
    ("count", UInt32, false),
    ("occupancy", Float32, true),
    ("speed_mps", Float32, true),
];

pub(super) fn detectors(_: &Names, rows: &[DetectorInterval]) -> Vec<ArrayRef> {
    vec![
        texts(rows.iter().map(|r| r.source.as_str())),
        Arc::new(UInt64Array::from_iter(rows.iter().map(|r| r.seq))),
        times(rows.iter().map(|r| r.start)),
        times(rows.iter().map(|r| r.end)),
        Arc::new(UInt32Array::from_iter(rows.iter().map(|r| r.count))),
        Arc::new(Float32Array::from_iter(rows.iter().map(|r| r.occupancy))),
        Arc::new(Float32Array::from_iter(rows.iter().map(|r| r.speed.map(events::MetresPerSecond::get)))),
    ]
}

/// A change, and when it was heard of.
#[derive(Clone, Debug)]
pub(super) struct SignalRow {
    pub(super) change: SignalChange,
    pub(super) received: TimeMs,
}

pub(super) const SIGNAL_COLUMNS: [Column; 6] = [
    ("source", Utf8, false),
    ("seq", UInt64, true),
    ("ts_ms", Int64, false),
    ("received_ms", Int64, false),
    ("phase", UInt16, false),
    ("state", Utf8, false),
];

pub(super) fn signals(_: &Names, rows: &[SignalRow]) -> Vec<ArrayRef> {
    vec![
        texts(rows.iter().map(|r| r.change.source.as_str())),
        Arc::new(UInt64Array::from_iter(rows.iter().map(|r| r.change.seq))),
        times(rows.iter().map(|r| r.change.time)),
        times(rows.iter().map(|r| r.received)),
        Arc::new(UInt16Array::from_iter_values(rows.iter().map(|r| r.change.phase))),
        texts(rows.iter().map(|r| r.change.state.name())),
    ]
}

pub(super) const CELLS: [Column; 5] = [
    ("segment", Utf8, false),
    ("pane_start_ms", Int64, false),
    ("distance_mm", Int64, false),
    ("time_ms", Int64, false),
    ("vehicles", UInt32, false),
];

pub(super) fn cells(names: &Names, rows: &[TruthCell]) -> Vec<ArrayRef> {
    vec![
        texts(rows.iter().map(|r| names.segments[r.segment.at()].as_str())),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.pane_start_ms))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.distance_mm))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.time_ms))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|r| r.vehicles))),
    ]
}

pub(super) const TRIPS: [Column; 10] = [
    ("vehicle", UInt64, false),
    ("begin_ms", Int64, false),
    ("end_ms", Int64, false),
    ("from_segment", Utf8, false),
    ("from_m", Float64, false),
    ("to_segment", Utf8, false),
    ("to_m", Float64, false),
    ("distance_mm", Int64, false),
    ("standing_ms", Int64, false),
    ("outcome", Utf8, true),
];

pub(super) fn trips(names: &Names, rows: &[TripDone]) -> Vec<ArrayRef> {
    let outcome = |trip: &TripDone| {
        trip.outcome.map(|outcome| match outcome {
            Outcome::Arrived => "arrived",
        })
    };
    vec![
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.vehicle.0))),
        times(rows.iter().map(|r| r.begin)),
        times(rows.iter().map(|r| r.end)),
        texts(rows.iter().map(|r| names.segments[r.from.at()].as_str())),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.from_mm as f64 / 1e3))),
        texts(rows.iter().map(|r| names.segments[r.to.at()].as_str())),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.to_mm as f64 / 1e3))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.distance_mm))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.standing_ms))),
        Arc::new(StringArray::from_iter(rows.iter().map(outcome))),
    ]
}

pub(super) const PHASES: [Column; 7] = [
    ("node", UInt32, false),
    ("lon_deg", Float64, false),
    ("lat_deg", Float64, false),
    ("phase", UInt16, false),
    ("state", Utf8, false),
    ("begin_ms", Int64, false),
    ("end_ms", Int64, true),
];

pub(super) fn phases(names: &Names, rows: &[Phase]) -> Vec<ArrayRef> {
    let node = |r: &Phase| names.nodes[r.signal as usize];
    let place = |r: &Phase| names.network.nodes()[node(r) as usize];
    vec![
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(node))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| place(r)[0]))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| place(r)[1]))),
        // As the events count them.
        Arc::new(UInt16Array::from_iter_values(rows.iter().map(|r| r.group + 1))),
        texts(rows.iter().map(|r| r.state.name())),
        times(rows.iter().map(|r| r.begin)),
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.end.map(|end| end.0)))),
    ]
}

pub(super) const FORCED: [Column; 4] =
    [("time_ms", Int64, false), ("vehicle", UInt64, false), ("segment", Utf8, false), ("what", Utf8, false)];

pub(super) fn forced(names: &Names, rows: &[(TimeMs, Forced)]) -> Vec<ArrayRef> {
    let what = |force: ForcedKind| match force {
        ForcedKind::Released => "released",
        ForcedKind::Rerouted => "rerouted",
        ForcedKind::Turned => "turned",
    };
    vec![
        times(rows.iter().map(|r| r.0)),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.1.vehicle.0))),
        texts(rows.iter().map(|r| names.segments[r.1.segment.at()].as_str())),
        texts(rows.iter().map(|r| what(r.1.what))),
    ]
}

pub(super) const FAULTS: [Column; 6] = [
    ("source", Utf8, true),
    ("segment", Utf8, true),
    ("kind", Utf8, false),
    ("begin_ms", Int64, false),
    ("end_ms", Int64, true),
    ("value", Float64, false),
];

pub(super) fn faults(names: &Names, rows: &[Fault]) -> Vec<ArrayRef> {
    let segment = |who| match who {
        Faulty::Vehicle(_) => None,
        Faulty::Loop(at) => Some(names.segments[names.loops[at as usize].1.at()].as_str()),
        Faulty::Segment(segment) => Some(names.segments[segment as usize].as_str()),
    };
    let source = |who| match who {
        Faulty::Vehicle(id) => Some(format!("{}.v{id}", names.gateway)),
        Faulty::Loop(at) => Some(names.loops[at as usize].0.clone()),
        Faulty::Segment(_) => None,
    };
    let end = |r: &Fault| (r.end.0 != i64::MAX).then_some(r.end.0);
    vec![
        Arc::new(StringArray::from_iter(rows.iter().map(|r| source(r.who)))),
        Arc::new(StringArray::from_iter(rows.iter().map(|r| segment(r.who)))),
        texts(rows.iter().map(|r| r.kind.name())),
        times(rows.iter().map(|r| r.begin)),
        Arc::new(Int64Array::from_iter(rows.iter().map(end))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.value))),
    ]
}

fn texts<T: AsRef<str>>(all: impl Iterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(all))
}

fn times(all: impl Iterator<Item = TimeMs>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(all.map(|time| time.0)))
}
