//! The table of incidents: what was closed, blocked, slowed or dark, where, and from when to when.
//!
//! Upstream: the scenario, and the seconds in which its incidents begin and end. Downstream: [`super::table`].

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Int64Array, StringArray, UInt8Array, UInt32Array};
use arrow_schema::DataType::{Float32, Int64, UInt8, UInt32, Utf8};
use events::TimeMs;
use roads::{NodeIndex, SegmentIndex};

use super::Names;
use super::table::Column;
use crate::scenario::{Disruption, Incident};

/// An incident on one street or junction; one on several streets has a row for each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    id: String,
    kind: &'static str,
    segment: Option<SegmentIndex>,
    node: Option<NodeIndex>,
    lane: Option<u8>,
    from_to_m: Option<(f32, f32)>,
    speed_mps: Option<f32>,
    begin: TimeMs,
    /// `None`: it lasts beyond the end of the run.
    end: Option<TimeMs>,
}

/// The rows of an incident that began.
pub(super) fn rows(incident: &Incident, begin: TimeMs, end: Option<TimeMs>) -> Vec<Row> {
    let bare = |kind| Row {
        id: incident.id.clone(),
        kind,
        segment: None,
        node: None,
        lane: None,
        from_to_m: None,
        speed_mps: None,
        begin,
        end,
    };
    match &incident.what {
        Disruption::LaneClosed { segment, lane, from_m, to_m } => vec![Row {
            segment: Some(*segment),
            lane: Some(*lane),
            from_to_m: Some((*from_m, *to_m)),
            ..bare("lane closed")
        }],
        Disruption::JunctionBlocked { node } => vec![Row { node: Some(*node), ..bare("junction blocked") }],
        Disruption::SlowZone { segments, speed_mps } => {
            let slow = |at: &SegmentIndex| Row { segment: Some(*at), speed_mps: Some(*speed_mps), ..bare("slow zone") };
            segments.iter().map(slow).collect()
        }
        Disruption::SignalOff { node } => vec![Row { node: Some(*node), ..bare("signal off") }],
    }
}

pub(super) const COLUMNS: [Column; 10] = [
    ("incident", Utf8, false),
    ("kind", Utf8, false),
    ("segment", Utf8, true),
    ("node", UInt32, true),
    ("lane", UInt8, true),
    ("from_m", Float32, true),
    ("to_m", Float32, true),
    ("speed_mps", Float32, true),
    ("begin_ms", Int64, false),
    ("end_ms", Int64, true),
];

pub(super) fn columns(names: &Names, rows: &[Row]) -> Vec<ArrayRef> {
    let segment = |r: &Row| r.segment.map(|at| names.segments[at.at()].as_str());
    vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.id.as_str()))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.kind))),
        Arc::new(StringArray::from_iter(rows.iter().map(segment))),
        Arc::new(UInt32Array::from_iter(rows.iter().map(|r| r.node.map(|node| node.0)))),
        Arc::new(UInt8Array::from_iter(rows.iter().map(|r| r.lane))),
        Arc::new(Float32Array::from_iter(rows.iter().map(|r| r.from_to_m.map(|(from, _)| from)))),
        Arc::new(Float32Array::from_iter(rows.iter().map(|r| r.from_to_m.map(|(_, to)| to)))),
        Arc::new(Float32Array::from_iter(rows.iter().map(|r| r.speed_mps))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.begin.0))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.end.map(|end| end.0)))),
    ]
}
