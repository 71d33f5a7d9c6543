//! Whole clock minutes, row by row, for history.
//!
//! Upstream: [`super::PaneStore`]. Downstream: [`crate::archive::collect`]. One pass over the visits however many
//! minutes are asked for.

use std::collections::BTreeSet;

use roads::SegmentIndex;

use super::visits::{PANES_A_MINUTE, Visit, minute_of};
use super::{PANE_MS, PaneStore};

/// A segment in one clock minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteRow {
    pub minute_ms: i64,
    pub segment: SegmentIndex,
    pub distance_mm: i64,
    pub time_ms: i64,
    pub reports: i64,
    /// Distinct vehicles.
    pub vehicles: u32,
}

impl PaneStore {
    /// Begin of the oldest pane that is kept, and end of the newest one, milliseconds; `None` while there is none.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let first = self.panes.first().into_iter().chain(self.minutes.keys().next().copied()).min()?;
        let minutes_end = self.minutes.keys().next_back().map(|minute| minute + PANES_A_MINUTE);
        let end = self.panes.last().map(|last| last + 1).into_iter().chain(minutes_end).max()?;
        Some((i64::from(first) * PANE_MS, i64::from(end) * PANE_MS))
    }

    /// Begins of the panes of 10 s at or after a moment about which anything was said, oldest first, milliseconds. Of minutes
    /// that are folded nothing is told.
    pub fn panes_from(&self, from_ms: i64) -> Vec<i64> {
        let from = i32::try_from(from_ms.div_euclid(PANE_MS)).unwrap_or(if from_ms < 0 { i32::MIN } else { i32::MAX });
        let waiting = self.visits.arrived().iter().copied().chain(self.vehicles.open()).map(|open| open.pane);
        let mut panes: BTreeSet<i32> = waiting.filter(|pane| *pane >= from).collect();
        panes.extend(self.panes.range(from..i32::MAX).map(|pane| pane.0));
        panes.into_iter().map(|pane| i64::from(pane) * PANE_MS).collect()
    }

    /// The rows of the clock minutes that begin between two moments, by minute and segment.
    pub fn minutes(&mut self, from_ms: i64, to_ms: i64) -> Vec<MinuteRow> {
        self.bring_in();
        let Some((oldest_ms, newest_ms)) = self.span_ms() else { return Vec::new() };
        let pane = |ms: i64| minute_of(ms.clamp(oldest_ms - 60_000, newest_ms + 60_000).div_euclid(PANE_MS) as i32);
        let (from, to) = (pane(from_ms.max(oldest_ms - 60_000)), pane(to_ms));
        let mut rows = Vec::new();
        for minute in (from..to).step_by(PANES_A_MINUTE as usize) {
            // The minutes that are over hold what came later too.
            match self.minutes.get(&minute).filter(|_| minute < self.over_before) {
                Some(sums) => sums.each(|segment, sum| rows.push(row(minute, segment, sum))),
                None => {
                    for (_, sums) in self.panes.range(minute..minute + PANES_A_MINUTE) {
                        rows.extend(sums.iter().map(|(segment, sum)| row(minute, segment, sum)));
                    }
                }
            }
        }
        self.visits.each(std::iter::empty(), self.kept, |segment, visits| {
            let inside = |visit: &&Visit| (from..to).contains(&visit.pane());
            let mut there: Vec<(i32, u32)> =
                visits.iter().filter(inside).map(|v| (minute_of(v.pane()), v.vehicle())).collect();
            there.sort_unstable();
            there.dedup();
            for of_minute in there.chunk_by(|a, b| a.0 == b.0) {
                let vehicles = of_minute.len() as u32;
                rows.push(MinuteRow { vehicles, ..row(of_minute[0].0, segment, super::Sum::default()) });
            }
        });
        together(rows)
    }
}

fn row(minute: i32, segment: usize, sum: super::Sum) -> MinuteRow {
    MinuteRow {
        minute_ms: i64::from(minute) * PANE_MS,
        segment: SegmentIndex(segment as u32),
        distance_mm: sum.distance_mm,
        time_ms: sum.time_ms,
        reports: sum.events,
        vehicles: 0,
    }
}

/// One row a minute and segment.
fn together(mut rows: Vec<MinuteRow>) -> Vec<MinuteRow> {
    rows.sort_unstable_by_key(|row| (row.minute_ms, row.segment));
    rows.dedup_by(|next, first| {
        let same = (next.minute_ms, next.segment) == (first.minute_ms, first.segment);
        if same {
            first.distance_mm += next.distance_mm;
            first.time_ms += next.time_ms;
            first.reports += next.reports;
            first.vehicles += next.vehicles;
        }
        same
    });
    rows.retain(|row| (row.distance_mm, row.time_ms, row.reports, row.vehicles) != (0, 0, 0, 0));
    rows
}
