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
//! - `sums`: the sums of one pane
//! - `series`: panes by time
//! - `vehicles`: vehicles as small numbers, and the cell that each is in now
//! - `visits`: distinct vehicles
//! - `speeds`: percentiles of speed
//! - `live`: the live windows, ready for a tick
//! - `minute`: whole clock minutes for history
//! - `saved`: the store as bytes, and back

mod live;
mod minute;
mod saved;
mod series;
mod speeds;
mod sums;
mod vehicles;
mod visits;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use roads::SegmentIndex;
use rustc_hash::FxHashSet;

use crate::cell::{Change, Contribution, PANE_MS};
use crate::metric::window::{Span, Window, minute_start};
use live::{Delayed, Live, add_minute};
pub use minute::MinuteRow;
pub use saved::SavedError;
use series::Series;
pub use speeds::Percentiles;
use sums::{PAGE, Sum, Sums};
use vehicles::Vehicles;
use visits::{Kept, PANES_A_MINUTE, Visit, Visits, minute_of};

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
    minutes: BTreeMap<i32, Sums>,
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

    /// Adds a contribution; `false` when its pane is already forgotten, or over 680 years from 1970.
    #[must_use]
    pub fn add(&mut self, c: &Contribution) -> bool {
        let is_kept = self.change(c, Sum::of(c), 1);
        if let Some(live) = self.live.as_mut().filter(|_| is_kept) {
            live.speeds.change(c, 1);
        }
        is_kept
    }

    /// Takes a contribution back that was added before; `false` when its pane is already forgotten.
    #[must_use]
    pub fn take_back(&mut self, c: &Contribution) -> bool {
        let is_kept = self.change(c, Sum::of(c).negated(), -1);
        if let Some(live) = self.live.as_mut().filter(|_| is_kept) {
            live.speeds.change(c, -1);
        }
        is_kept
    }

    /// Adds and takes back many, and gives how many of them belong to panes that are forgotten: the same as one by one, but
    /// each table is gone through by itself, so that waiting for memory overlaps.
    pub fn apply(&mut self, changes: &[Change]) -> u64 {
        changes
            .chunks(CHUNK)
            .map(|chunk| if self.is_recent(chunk) { self.apply_recent(chunk) } else { self.apply_any(chunk) })
            .sum()
    }

    fn apply_any(&mut self, changes: &[Change]) -> u64 {
        let mut one = |change: &Change| match change {
            Change::Add(c) => self.add(c),
            Change::TakeBack(c) => self.take_back(c),
        };
        changes.iter().filter(|change| !one(change)).count() as u64
    }

    /// Whether all of these belong to minutes that still fill.
    fn is_recent(&self, changes: &[Change]) -> bool {
        let first_ms = i64::from(self.over_before.max(self.kept.first).max(self.kept.folded_before)) * PANE_MS;
        let recent = first_ms..i64::from(i32::MAX) * PANE_MS;
        changes.iter().all(|change| recent.contains(&change.signed().0.pane_ms))
    }

    fn apply_recent(&mut self, changes: &[Change]) -> u64 {
        for (c, one) in changes.iter().map(Change::signed) {
            let pane = c.pane_ms.div_euclid(PANE_MS) as i32;
            if let Some(left) = self.vehicles.count(c.vehicle, c.segment.0, pane, one) {
                self.visits.enter(left, self.kept);
            }
        }
        for (c, one) in changes.iter().map(Change::signed) {
            let pane = c.pane_ms.div_euclid(PANE_MS) as i32;
            let sum = if one > 0 { Sum::of(c) } else { Sum::of(c).negated() };
            self.panes.at(pane).add(c.segment.at(), sum);
        }
        if let Some(live) = &mut self.live {
            changes.iter().map(Change::signed).for_each(|(c, one)| live.speeds.change(c, one));
            live.is_settled = false;
        }
        0
    }

    #[inline]
    fn change(&mut self, c: &Contribution, sum: Sum, one: i32) -> bool {
        let Ok(pane) = i32::try_from(c.pane_ms.div_euclid(PANE_MS)) else { return false };
        let Some(pane) = self.kept.place(pane) else { return false };
        if let Some(left) = self.vehicles.count(c.vehicle, c.segment.0, pane, one) {
            self.visits.enter(left, self.kept);
        }
        let segment = c.segment.at();
        if pane >= self.kept.folded_before {
            self.panes.at(pane).add(segment, sum);
        }
        if pane < self.over_before {
            let minute = self.minutes.entry(minute_of(pane)).or_default();
            let before = minute.get(segment);
            minute.add(segment, sum);
            if let Some(live) = &mut self.live {
                live.correct(minute_of(pane), segment, before, minute.get(segment));
            }
        }
        if let Some(live) = &mut self.live {
            live.is_settled = false;
        }
        true
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
        live.slide_to(newest_ms, &self.minutes);
        live.is_settled = false;
    }

    /// Works out what a tick asks for, so that [`PaneStore::totals`] and [`PaneStore::percentiles`] of the live windows
    /// need not: they say the same without it, slowly.
    pub fn settle(&mut self) {
        self.close_visits();
        let Some(live) = &mut self.live else { return };
        let Some(starts) = live.starts() else { return };
        self.visits.count(starts, self.kept);
        live.everywhere = starts.map(|start| self.visits.everywhere(start));
        live.speeds.settle();
        live.fill(&by_minute(&self.panes, self.over_before, i32::MAX));
        live.is_settled = true;
    }

    /// Makes minutes of the panes that end at or before `time_ms`.
    pub fn fold_before(&mut self, time_ms: i64) {
        let limit = (minute_start(time_ms) / PANE_MS) as i32;
        if limit <= self.kept.folded_before {
            return;
        }
        self.end_minutes_before(limit);
        self.panes.drop_before(limit);
        self.kept.folded_before = limit;
        self.close_visits();
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
        self.close_visits();
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
        let folded = self.minutes.range(..self.kept.folded_before).map(|m| (*m.0, m.1));
        let mut rows: Vec<CellRow> = Vec::new();
        for (pane, sums) in folded.chain(self.panes.range(self.kept.folded_before..i32::MAX)) {
            rows.extend(sums.iter().map(|(segment, sum)| row(segment, pane, sum, 0)));
        }
        self.visits.each(self.vehicles.open(), self.kept, |segment, visits| {
            let mut panes: Vec<i32> = visits.iter().map(|visit| visit.pane).collect();
            panes.sort_unstable();
            let of_pane = |panes: &[i32]| row(segment, panes[0], Sum::default(), panes.len());
            rows.extend(panes.chunk_by(|a, b| a == b).map(of_pane));
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
        rows
    }

    /// Sums, delays and distinct vehicles of a stretch of time against the free-flow speed of every segment, m/s.
    ///
    /// A stretch that begins within a folded minute takes all of it: live windows do only where nothing came before.
    pub fn totals(&self, span: Span, free_mps: &[f64]) -> Totals {
        let start = self.placed(span.start_ms.div_euclid(PANE_MS) as i32);
        let end = (span.panes_end_ms() / PANE_MS) as i32;
        if let Some((live, window, from)) = self.live_window(start, end).filter(|l| *l.0.free_mps == *free_mps) {
            let first_whole = minute_of(from + PANES_A_MINUTE - 1);
            // The window of a minute is a few panes of two minutes, whether one of them is over or not.
            let (until, over): (i32, &[&[Delayed]]) =
                if window == 0 { (end, &[]) } else { (first_whole, &[live.over(window), &live.filling]) };
            let mut totals = add_up(&by_minute(&self.panes, from, until), over, free_mps);
            totals.vehicles = totals.segment.iter().map(|&s| u64::from(self.visits.on(s as usize, window))).collect();
            totals.vehicles_everywhere = live.everywhere[window];
            return totals;
        }
        let folded = self.minutes.range(start..self.kept.folded_before.min(end).max(start)).map(|m| vec![m.1]);
        let mut minutes: Vec<Vec<&Sums>> = folded.collect();
        minutes.extend(by_minute(&self.panes, start.max(self.kept.folded_before), end));
        let mut totals = add_up(&minutes, &[], free_mps);
        self.count_vehicles(start, end, &mut totals);
        totals
    }

    /// The 15th, 50th and 85th percentile of speed on a segment in a live window, m/s, by metres driven; `None`
    /// where nothing was driven, for the window of a minute, and in a store without windows.
    pub fn percentiles(&self, window: Window, segment: SegmentIndex) -> Option<Percentiles> {
        self.live.as_ref()?.speeds.percentiles(window, segment)
    }

    /// The live window that holds the same panes as a stretch, with its number and its first pane; none between ticks.
    fn live_window(&self, start: i32, end: i32) -> Option<(&Live, usize, i32)> {
        let live = self.live.as_ref().filter(|live| live.is_settled)?;
        let oldest = self.minutes.keys().next().copied().into_iter().chain(self.panes.first()).min();
        let same = |from: i32| from == start || oldest.is_none_or(|oldest| oldest >= from.max(start));
        let starts = live.starts()?;
        let window = starts.iter().position(|&from| same(from))?;
        self.panes.last().is_none_or(|last| last < end).then_some((live, window, starts[window]))
    }

    /// Sums the panes of the minutes before `limit`, a first pane of a minute.
    fn end_minutes_before(&mut self, limit: i32) {
        while let Some((pane, _)) = self.panes.range(self.over_before..limit).next() {
            let minute = minute_of(pane);
            let mut whole = Sums::default();
            for (_, sums) in self.panes.range(minute..minute + PANES_A_MINUTE) {
                sums.iter().for_each(|(segment, sum)| whole.add(segment, sum));
            }
            if let Some(live) = &mut self.live {
                live.close(minute, &whole);
            }
            self.minutes.insert(minute, whole);
            self.over_before = minute + PANES_A_MINUTE;
        }
        self.over_before = self.over_before.max(limit);
    }

    /// Hands over what vehicles still hold of the cells that they are in.
    fn close_visits(&mut self) {
        let Self { vehicles, visits, kept, .. } = self;
        vehicles.close_all(|open| visits.enter(open, *kept));
        visits.hand_out(*kept);
    }

    fn count_vehicles(&self, start: i32, end: i32, totals: &mut Totals) {
        totals.vehicles.resize(totals.segment.len(), 0);
        let (mut everywhere, mut row) = (FxHashSet::default(), 0);
        self.visits.each(self.vehicles.open(), self.kept, |segment, visits| {
            let inside = |visit: &&Visit| (start..end).contains(&visit.pane);
            let (mut count, mut last) = (0, None);
            for visit in visits.iter().filter(inside).filter(|visit| last.replace(visit.vehicle) != Some(visit.vehicle))
            {
                everywhere.insert(visit.vehicle);
                count += 1;
            }
            while totals.segment.get(row).is_some_and(|&s| (s as usize) < segment) {
                row += 1;
            }
            if totals.segment.get(row).is_some_and(|&s| s as usize == segment) {
                totals.vehicles[row] = count;
            }
        });
        totals.vehicles_everywhere = everywhere.len() as u64;
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

/// The panes of a stretch by clock minute, oldest first.
fn by_minute(panes: &Series, start: i32, end: i32) -> Vec<Vec<&Sums>> {
    let mut minutes: Vec<(i32, Vec<&Sums>)> = Vec::new();
    for (pane, sums) in panes.range(start..end) {
        match minutes.last_mut() {
            Some((minute, panes)) if *minute == minute_of(pane) => panes.push(sums),
            Some(_) | None => minutes.push((minute_of(pane), vec![sums])),
        }
    }
    minutes.into_iter().map(|m| m.1).collect()
}

/// Adds minutes up, and what is added up already: time and distance as they are, delay clipped per minute.
fn add_up(minutes: &[Vec<&Sums>], over: &[&[Delayed]], free_mps: &[f64]) -> Totals {
    let pages = minutes.iter().flatten().map(|sums| sums.pages()).max().unwrap_or(0);
    let pages = pages.max(over.iter().map(|o| o.len() / PAGE).max().unwrap_or(0)).min(free_mps.len().div_ceil(PAGE));
    let mut totals = Totals::default();
    for page in 0..pages {
        let mut whole = [Delayed::default(); PAGE];
        for panes in minutes {
            add_minute(panes, page, free_mps, &mut whole);
        }
        for part in over.iter().filter_map(|o| o.get(page * PAGE..(page + 1) * PAGE)) {
            whole.iter_mut().zip(part).for_each(|(into, part)| into.merge(*part));
        }
        for (i, of) in whole.iter().enumerate().filter(|(_, of)| of.sum.time_ms > 0) {
            totals.segment.push((page * PAGE + i) as u32);
            totals.distance_m.push(of.sum.distance_mm as f64 / 1_000.0);
            totals.time_s.push(of.sum.time_ms as f64 / 1_000.0);
            totals.events.push(of.sum.events);
            totals.delay_s.push(of.delay_ns as f64 / 1e9);
        }
    }
    totals
}
