//! The pane store: every cell of the panes that can still change or still be asked for.
//!
//! Upstream: [`crate::engine`]. Downstream: [`crate::metric`] reads windows as sums of panes,
//! [`crate::output`] writes cells.
//!
//! Panes of 10 s are kept as long as a window can begin or end in them; then six of them fold into the pane of their
//! clock minute, which still takes corrections. Sums are whole numbers, so folding loses nothing but the time
//! within the minute.
//!
//! In reading order:
//! - `touched`: a set of segments
//! - `sums`: the sums of one pane
//! - `series`: panes by time
//! - `vehicles`: vehicles as small numbers, and the cell that each is in now
//! - `visits`: distinct vehicles
//! - `speeds`: percentiles of speed
//! - `over`: sums of minutes that are over, as bytes
//! - `varint`: whole numbers as bytes
//! - `live`: the live windows, ready for a tick
//! - `recount`: any other stretch of time
//! - `minute`: whole clock minutes for history
//! - `saved`: the store as bytes, and back

mod live;
mod minute;
mod over;
mod recount;
mod saved;
mod series;
mod speeds;
mod sums;
mod touched;
mod varint;
mod vehicles;
mod visits;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use roads::SegmentIndex;

use crate::cell::{Change, Contribution, PANE_MS};
use crate::metric::window::{Span, Window, minute_start};
use live::Live;
pub use minute::MinuteRow;
use over::Over;
pub use saved::SavedError;
use series::Series;
pub use speeds::Percentiles;
use sums::{Sum, Sums};
use vehicles::{Open, Vehicles};
use visits::{Kept, PANE_ZERO, Visits, minute_of};

/// A minute is over for the running windows so long after its end, milliseconds; what comes later is added to it one by
/// one.
const OVER_AFTER_MS: i64 = 20_000;

/// Changes of one go: what is asked of each table lies in the processor's cache until the next table is done.
const CHUNK: usize = 512;

/// Cells by pane and segment.
#[derive(Debug)]
pub struct PaneStore {
    /// Panes of 10 s.
    panes: Series,
    /// Minutes that are over, by the number of their first pane; their panes are gone where they are folded.
    minutes: BTreeMap<i32, Over>,
    /// Minutes before this pane are in `minutes`.
    over_before: i32,
    vehicles: Vehicles,
    visits: Visits,
    kept: Kept,
    /// Only where windows are live: a recording has no use for them.
    live: Option<Live>,
}

/// One row of a window: a segment in one pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellRow {
    pub segment: SegmentIndex,
    pub pane_ms: i64,
    pub distance_mm: i64,
    pub time_ms: i64,
    pub events: i64,
    pub vehicles: usize,
}

/// The sums of a stretch of time, one row for each segment that was driven, in order of segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    pub segment: Vec<u32>,
    pub distance_m: Vec<f64>,
    pub time_s: Vec<f64>,
    pub events: Vec<i64>,
    /// max(0, time − distance / free-flow speed) of every clock minute, in whole nanoseconds, summed.
    pub delay_s: Vec<f64>,
    /// Distinct vehicles.
    pub vehicles: Vec<u64>,
    /// Distinct vehicles on any segment.
    pub vehicles_everywhere: u64,
}

impl Default for PaneStore {
    fn default() -> Self {
        Self {
            panes: Series::default(),
            minutes: BTreeMap::new(),
            over_before: i32::MIN,
            vehicles: Vehicles::default(),
            visits: Visits::default(),
            kept: Kept::ALL,
            live: None,
        }
    }
}

impl PaneStore {
    /// A store with live windows, which have percentiles of speed; the free-flow speed of every segment, m/s.
    pub fn with_windows(free_mps: impl Into<Arc<[f64]>>) -> Self {
        Self { live: Some(Live::new(free_mps.into())), ..Self::default() }
    }

    /// Adds a contribution; `false` when its pane is already forgotten, or over 170 years from 1970, and when it is too
    /// large for a [`Change`].
    #[must_use]
    pub fn add(&mut self, c: &Contribution) -> bool {
        Change::add(c).is_some_and(|change| self.apply(&[change]) == 0)
    }

    /// Takes a contribution back that was added before; `false` when its pane is already forgotten.
    #[must_use]
    pub fn take_back(&mut self, c: &Contribution) -> bool {
        Change::take_back(c).is_some_and(|change| self.apply(&[change]) == 0)
    }

    /// Adds and takes back many, and gives how many of them belong to panes that are forgotten: the same as one by one, but
    /// each table is gone through by itself, so that waiting for memory overlaps.
    pub fn apply(&mut self, changes: &[Change]) -> u64 {
        changes
            .chunks(CHUNK)
            .map(|chunk| if self.is_recent(chunk) { self.apply_recent(chunk) } else { self.apply_any(chunk) })
            .sum()
    }

    /// Whether all of these belong to minutes that still fill.
    fn is_recent(&self, changes: &[Change]) -> bool {
        let first = self.over_before.max(self.kept.first).max(self.kept.folded_before).max(-PANE_ZERO);
        changes.iter().all(|change| (first..PANE_ZERO).contains(&change.pane))
    }

    fn apply_recent(&mut self, changes: &[Change]) -> u64 {
        for change in changes {
            if let Some(left) = self.vehicles.add(change) {
                self.visits.enter(left);
            }
        }
        if self.visits.is_full() {
            self.hand_out();
        }
        if let Some(live) = &mut self.live {
            changes.iter().for_each(|change| live.speeds.change(change));
            live.is_settled = false;
        }
        0
    }

    fn apply_any(&mut self, changes: &[Change]) -> u64 {
        let mut refused = 0;
        for change in changes {
            let known = Some(change.pane).filter(|pane| (-PANE_ZERO..PANE_ZERO).contains(pane));
            let Some(pane) = known.and_then(|pane| self.kept.place(pane)) else {
                refused += 1;
                continue;
            };
            self.change(change, pane);
            if let Some(live) = &mut self.live {
                live.speeds.change(change);
                live.is_settled = false;
            }
        }
        if self.visits.is_full() {
            self.hand_out();
        }
        refused
    }

    /// One change of a pane that is kept, put where it belongs at once.
    fn change(&mut self, change: &Change, pane: i32) {
        let open = Open { number: self.vehicles.number(change.vehicle), pane, ..Open::of(change) };
        let (segment, sum) = (change.segment.at(), open.sum());
        self.visits.enter(open.without_sums());
        if pane >= self.kept.folded_before {
            self.panes.at(pane).add(segment, sum);
        }
        if pane < self.over_before {
            let minute = self.minutes.entry(minute_of(pane)).or_default();
            let (before, after) = minute.add(segment, sum);
            if let Some(live) = &mut self.live {
                live.correct(minute_of(pane), segment, before, after);
            }
        } else if let Some(live) = &mut self.live {
            live.filling(minute_of(pane)).add(segment, sum);
        }
    }

    /// Takes in what vehicles still hold of the cells that they are in.
    fn bring_in(&mut self) {
        let Self { vehicles, visits, .. } = self;
        vehicles.close_all(|open| visits.enter(open));
        self.hand_out();
    }

    /// Adds what waits to its cells and visits. What vehicles held belongs to minutes that still fill.
    fn hand_out(&mut self) {
        let Self { visits, panes, live, kept, over_before, .. } = self;
        visits.hand_out(*kept, |open| {
            let segment = open.segment as usize;
            if let Some(live) = live {
                live.touched.set(segment);
            }
            if open.pane < *over_before {
                return;
            }
            panes.at(open.pane).add(segment, open.sum());
            if let Some(live) = live {
                live.filling(minute_of(open.pane)).add(segment, open.sum());
            }
        });
    }

    /// Lets the live windows end with the pane of `newest_ms`; they never go back.
    pub fn slide_to(&mut self, newest_ms: i64) {
        if self.live.is_none() {
            return;
        }
        let over_ms = minute_start(newest_ms - OVER_AFTER_MS);
        self.end_minutes_before((over_ms / PANE_MS) as i32);
        let Some(live) = &mut self.live else { return };
        live.speeds.close_before(over_ms);
        live.slide_to(newest_ms, &self.panes, &self.minutes);
        live.is_settled = false;
    }

    /// Works out what a tick asks for, so that [`PaneStore::totals`] and [`PaneStore::percentiles`] of the live windows
    /// need not: they say the same without it, slowly.
    pub fn settle(&mut self) {
        self.bring_in();
        self.visits.close_seen();
        if let Some(live) = &mut self.live {
            live.settle(&self.panes, &mut self.visits, self.kept);
        }
    }

    /// Holds the live windows against another free flow, m/s by segment; without it those of a store that is held against
    /// another one are added up at every tick.
    pub fn hold_against(&mut self, free_mps: &[f64]) {
        if let Some(live) = &mut self.live {
            live.hold_against(free_mps, &self.minutes);
        }
    }

    /// Makes minutes of the panes that end at or before `time_ms`.
    pub fn fold_before(&mut self, time_ms: i64) {
        let limit = (minute_start(time_ms) / PANE_MS) as i32;
        if limit <= self.kept.folded_before {
            return;
        }
        self.bring_in();
        self.end_minutes_before(limit);
        self.panes.drop_before(limit);
        self.kept.folded_before = limit;
        self.visits.fold(self.kept);
    }

    /// Drops every pane that ends at or before `time_ms`. Memory is bounded by the panes that are kept
    /// times the segments that were driven in them. `true` when the border moved.
    pub fn forget_before(&mut self, time_ms: i64) -> bool {
        let pane = time_ms.div_euclid(PANE_MS) as i32;
        let first = if pane < self.kept.folded_before { minute_of(pane) } else { pane };
        let before = self.kept.first;
        if first <= before {
            return false;
        }
        self.bring_in();
        self.kept.first = first;
        self.panes.drop_before(first);
        self.minutes = self.minutes.split_off(&minute_of(first));
        if let Some(live) = &mut self.live {
            live.speeds.forget_before(i64::from(minute_of(first)) * PANE_MS);
            live.is_settled = false;
        }
        if before == i32::MIN || minute_of(before) < minute_of(first) {
            self.visits.sweep(self.kept);
            self.vehicles.keep(|number| self.visits.knows(number));
        }
        true
    }

    /// All cells that are kept, sorted by segment, then pane: the order of every file that we write.
    pub fn sorted_rows(&self) -> Vec<CellRow> {
        let mut rows: Vec<CellRow> = Vec::new();
        for (minute, sums) in self.minutes.range(..self.kept.folded_before) {
            sums.each(|segment, sum| rows.push(row(segment, *minute, sum, 0)));
        }
        let held = self.held();
        let panes =
            self.panes.range(self.kept.folded_before..i32::MAX).chain(held.iter().map(|(pane, sums)| (*pane, sums)));
        for (pane, sums) in panes {
            rows.extend(sums.iter().map(|(segment, sum)| row(segment, pane, sum, 0)));
        }
        self.visits.each(self.vehicles.open(), self.kept, |segment, visits| {
            let mut panes: Vec<(i32, u32)> = visits.iter().map(|visit| (visit.pane(), visit.vehicle())).collect();
            panes.sort_unstable();
            panes.dedup();
            let of_pane = |panes: &[(i32, u32)]| row(segment, panes[0].0, Sum::default(), panes.len());
            rows.extend(panes.chunk_by(|a, b| a.0 == b.0).map(of_pane));
        });
        rows.sort_unstable_by_key(|r| (r.segment, r.pane_ms));
        rows.dedup_by(|next, first| {
            let same = (next.segment, next.pane_ms) == (first.segment, first.pane_ms);
            if same {
                first.distance_mm += next.distance_mm;
                first.time_ms += next.time_ms;
                first.events += next.events;
                first.vehicles += next.vehicles;
            }
            same
        });
        // What is taken back may wait beside what it takes back.
        rows.retain(|r| (r.distance_mm, r.time_ms, r.events, r.vehicles) != (0, 0, 0, 0));
        rows
    }

    /// Sums, delays and distinct vehicles of a stretch of time against the free-flow speed of every segment, m/s.
    ///
    /// A stretch that begins within a folded minute takes all of it: live windows do only where nothing came before.
    pub fn totals(&self, span: Span, free_mps: &[f64]) -> Totals {
        Arc::unwrap_or_clone(self.shared_totals(span, free_mps))
    }

    /// The same without copying what the last tick worked out; it stays as it is when the store goes on.
    pub fn shared_totals(&self, span: Span, free_mps: &[f64]) -> Arc<Totals> {
        let start = self.placed(span.start_ms.div_euclid(PANE_MS) as i32);
        let end = (span.panes_end_ms() / PANE_MS) as i32;
        if let Some((live, window)) = self.live_window(start, end).filter(|l| *l.0.free_mps == *free_mps) {
            return Arc::clone(live.totals(window));
        }
        Arc::new(self.recount(start, end, free_mps))
    }

    /// The 15th, 50th and 85th percentile of speed on a segment in a live window, m/s, by metres driven; `None`
    /// where nothing was driven, for the window of a minute, and in a store without windows.
    pub fn percentiles(&self, window: Window, segment: SegmentIndex) -> Option<Percentiles> {
        self.live.as_ref()?.speeds.percentiles(window, segment)
    }

    /// The live window that holds the same panes as a stretch, with its number; none between ticks.
    fn live_window(&self, start: i32, end: i32) -> Option<(&Live, usize)> {
        let live = self.live.as_ref().filter(|live| live.is_settled)?;
        let oldest = self.minutes.keys().next().copied().into_iter().chain(self.panes.first()).min();
        let same = |from: i32| from == start || oldest.is_none_or(|oldest| oldest >= from.max(start));
        let starts = live.starts()?;
        let window = starts.iter().position(|&from| same(from))?;
        self.panes.last().is_none_or(|last| last < end).then_some((live, window))
    }

    /// Sums the minutes before `limit`, a first pane of a minute.
    fn end_minutes_before(&mut self, limit: i32) {
        if limit <= self.over_before {
            return;
        }
        self.bring_in();
        if let Some(live) = &mut self.live {
            self.minutes.extend(live.end_before(limit));
        } else {
            let mut minutes: BTreeMap<i32, Sums> = BTreeMap::new();
            for (pane, sums) in self.panes.range(self.over_before..limit) {
                let minute = minutes.entry(minute_of(pane)).or_default();
                sums.iter().for_each(|(segment, sum)| minute.add(segment, sum));
            }
            self.minutes.extend(minutes.into_iter().map(|(minute, sums)| (minute, Over::of(&sums))));
        }
        self.over_before = limit;
    }

    /// The pane, or the minute where it is folded.
    fn placed(&self, pane: i32) -> i32 {
        if pane < self.kept.folded_before { minute_of(pane) } else { pane }
    }
}

fn row(segment: usize, pane: i32, sum: Sum, vehicles: usize) -> CellRow {
    CellRow {
        segment: SegmentIndex(segment as u32),
        pane_ms: i64::from(pane) * PANE_MS,
        distance_mm: sum.distance_mm,
        time_ms: sum.time_ms,
        events: sum.events,
        vehicles,
    }
}
