//! What the engine knows, as rows of the tables.
//!
//! Upstream: [`super::Collector`]. The order of columns is that of [`crate::archive::table`].

use std::collections::BTreeMap;

use roads::Network;

use super::trips::Fix;
use crate::archive::frame::{Column, Frame};
use crate::archive::table::Table;
use crate::detector::Reading;
use crate::pane::MinuteRow;
use crate::signal::Cycle;

/// Cells of one minute, and what quality says of them.
pub(super) struct OfMinute {
    pub(super) rows: Frame,
    pub(super) reports: i64,
    /// Length of the segments that have a row, millimetres.
    pub(super) observed_mm: i64,
}

/// Cells by minute.
pub(super) fn cells(rows: &[MinuteRow], network: &Network, learnt_mps: Option<&[f64]>) -> BTreeMap<i64, OfMinute> {
    let mut minutes = BTreeMap::new();
    for of_minute in rows.chunk_by(|a, b| a.minute_ms == b.minute_ms) {
        let observed_mm = of_minute.iter().map(|row| length_mm(network.segment(row.segment).length_m)).sum();
        let made = OfMinute {
            rows: frame(of_minute, network, learnt_mps),
            reports: of_minute.iter().map(|row| row.reports).sum(),
            observed_mm,
        };
        minutes.insert(of_minute[0].minute_ms, made);
    }
    minutes
}

/// A length in whole millimetres.
pub(super) fn length_mm(length_m: f64) -> i64 {
    (length_m * 1_000.0).round() as i64
}

fn frame(rows: &[MinuteRow], network: &Network, learnt_mps: Option<&[f64]>) -> Frame {
    let of_map = |row: &MinuteRow| f64::from(network.segment(row.segment).free_flow_mps());
    let free_mps = |row: &MinuteRow| learnt_mps.map_or_else(|| of_map(row), |learnt| learnt[row.segment.at()]);
    let free_mmps = |row: &MinuteRow| ((free_mps(row) * 1_000.0).round() as i32).max(1);
    let ints = |of: &dyn Fn(&MinuteRow) -> i64| rows.iter().map(of).collect::<Vec<_>>();
    let smalls = |of: &dyn Fn(&MinuteRow) -> i32| Column::Small(rows.iter().map(of).collect());
    Frame::new(vec![
        Column::Int(ints(&|row| network.segment(row.segment).id.0 as i64)),
        Column::Time(ints(&|row| row.minute_ms)),
        Column::Int(ints(&|row| row.distance_mm)),
        Column::Int(ints(&|row| row.time_ms)),
        Column::Int(ints(&|row| delay_ms(row.distance_mm, row.time_ms, free_mmps(row)))),
        smalls(&|row| i32::try_from(row.reports).unwrap_or(i32::MAX)),
        smalls(&|row| i32::try_from(row.vehicles).unwrap_or(i32::MAX)),
        smalls(&|_| 1),
        smalls(&free_mmps),
    ])
}

/// max(0, time − distance / free-flow speed), from the whole numbers of the row itself, so that a reader can work it out
/// again.
pub(super) fn delay_ms(distance_mm: i64, time_ms: i64, free_mmps: i32) -> i64 {
    let free = i64::from(free_mmps);
    (time_ms - (distance_mm * 1_000 + free / 2) / free).max(0)
}

pub(in crate::archive) fn push_interval(into: &mut Frame, name: &str, reading: &Reading, segment: Option<u64>) {
    let row = Frame::new(vec![
        Column::Text(vec![name.to_owned()]),
        Column::Time(vec![reading.start_ms]),
        Column::Time(vec![reading.end_ms]),
        Column::MaybeInt(vec![segment.map(|id| id as i64)]),
        Column::MaybeInt(vec![reading.count.map(i64::from)]),
        Column::MaybeFloat(vec![reading.occupancy]),
        Column::MaybeFloat(vec![reading.speed_mps]),
    ]);
    into.append(row);
}

pub(in crate::archive) fn push_fix(into: &mut Frame, vehicle: u64, fix: &Fix) {
    let row = Frame::new(vec![
        Column::Int(vec![vehicle as i64]),
        Column::Time(vec![fix.time_ms]),
        Column::Real(vec![fix.lon_deg]),
        Column::Real(vec![fix.lat_deg]),
        Column::MaybeFloat(vec![fix.speed_mps]),
        Column::MaybeFloat(vec![fix.heading_deg]),
    ]);
    into.append(row);
}

pub(super) fn push_cycle(into: &mut Frame, signal: &str, phase: u16, cycle: &Cycle) {
    let since = |at_ms: Option<i64>| Column::MaybeSmall(vec![at_ms.map(|at_ms| small(at_ms - cycle.start_ms))]);
    let count = |n: u32| Column::Small(vec![small(i64::from(n))]);
    let row = Frame::new(vec![
        Column::Text(vec![signal.to_owned()]),
        Column::Small(vec![i32::from(phase)]),
        Column::Time(vec![cycle.start_ms]),
        Column::Time(vec![cycle.end_ms]),
        Column::Flag(vec![cycle.is_whole]),
        since(cycle.green_ms),
        since(cycle.yellow_ms),
        Column::Small(vec![small(cycle.green_time_ms)]),
        count(cycle.on_green),
        count(cycle.on_yellow),
        count(cycle.on_red),
        count(cycle.unknown),
        Column::Int(vec![cycle.delay_ms]),
        Column::MaybeFloat(vec![cycle.split.map(|split| split.green_occupancy as f32)]),
        Column::MaybeFloat(vec![cycle.split.map(|split| split.red_occupancy as f32)]),
    ]);
    into.append(row);
}

/// Figures of one class and minute, see [`Table::QualityPosition`] and its like.
pub(super) struct QualityRow {
    pub(super) class: &'static str,
    pub(super) minute_ms: i64,
    pub(super) received: i64,
    pub(super) counted: i64,
    pub(super) late: i64,
    pub(super) quarantined: i64,
    pub(super) unmatched: i64,
    pub(super) segments: i32,
    pub(super) observed_mm: i64,
    pub(super) network_mm: i64,
}

pub(super) fn quality(row: &QualityRow) -> Frame {
    let frame = Frame::new(vec![
        Column::Text(vec![row.class.to_owned()]),
        Column::Time(vec![row.minute_ms]),
        Column::Int(vec![row.received]),
        Column::Int(vec![row.counted]),
        Column::Int(vec![row.late]),
        Column::Int(vec![row.quarantined]),
        Column::Int(vec![row.unmatched]),
        Column::Small(vec![row.segments]),
        Column::Int(vec![row.observed_mm]),
        Column::Int(vec![row.network_mm]),
    ]);
    debug_assert_eq!(frame.columns().len(), Table::QualityPosition.columns().len());
    frame
}

/// Stretches of a cycle are hours at most.
fn small(n: i64) -> i32 {
    i32::try_from(n).unwrap_or(if n < 0 { i32::MIN } else { i32::MAX })
}
