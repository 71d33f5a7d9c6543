//! The pane store: every cell of the panes that can still change or still be asked for.
//!
//! Upstream: [`crate::engine`]. Downstream: [`crate::metric`] reads windows as sums of panes,
//! [`crate::output`] writes cells.
//!
//! Panes of 10 s are kept as long as a window can begin or end in them; then six of them fold into the pane of their
//! clock minute, which still takes corrections. Sums are whole numbers, so folding loses nothing but the time
//! within the minute.

mod saved;
mod speeds;
mod sums;
mod visitors;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use roads::SegmentIndex;

use crate::cell::{Contribution, pane_start};
use crate::metric::window::{MINUTE_MS, Span, Window, minute_start};
pub use speeds::Percentiles;
use speeds::Speeds;
use sums::{PAGE, Sum, Sums};
use visitors::Visitors;

/// Cells by pane and segment.
#[derive(Debug)]
pub struct PaneStore {
    /// By the begin of the pane: 10 s panes, and minutes where they are folded.
    panes: BTreeMap<i64, Sums>,
    visitors: Visitors,
    /// Only where windows are live: a recording has no use for them.
    speeds: Option<Speeds>,
    /// Panes that begin before this are folded into minutes; a whole minute.
    folded_before_ms: i64,
    /// Panes that begin before this are gone; contributions to them are refused.
    forgotten_before_ms: Option<i64>,
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
    /// max(0, time − distance / free-flow speed) of every clock minute, summed.
    pub delay_s: Vec<f64>,
    /// Distinct vehicles.
    pub vehicles: Vec<u64>,
    /// Distinct vehicles on any segment.
    pub vehicles_everywhere: u64,
}

impl Default for PaneStore {
    fn default() -> Self {
        Self {
            panes: BTreeMap::new(),
            visitors: Visitors::new(Window::ALL.len()),
            speeds: None,
            folded_before_ms: i64::MIN,
            forgotten_before_ms: None,
        }
    }
}

impl PaneStore {
    /// A store whose live windows have percentiles of speed.
    pub fn with_speeds() -> Self {
        Self { speeds: Some(Speeds::default()), ..Self::default() }
    }

    /// Adds a contribution; `false` when its pane is already forgotten.
    #[must_use]
    pub fn add(&mut self, c: &Contribution) -> bool {
        let Some(pane_ms) = self.pane_of(c) else { return false };
        let is_new = self.visitors.add(pane_ms, c.segment, c.vehicle);
        self.panes.entry(pane_ms).or_default().add(c, is_new);
        if let Some(speeds) = &mut self.speeds {
            speeds.add(c);
        }
        true
    }

    /// Takes a contribution back that was added before; `false` when its pane is already forgotten.
    #[must_use]
    pub fn take_back(&mut self, c: &Contribution) -> bool {
        let Some(pane_ms) = self.pane_of(c) else { return false };
        if let Some(sums) = self.panes.get_mut(&pane_ms) {
            sums.take_back(c, self.visitors.take_back(pane_ms, c.segment, c.vehicle));
            if let Some(speeds) = &mut self.speeds {
                speeds.take_back(c);
            }
        }
        true
    }

    /// Lets the live windows end with the pane of `newest_ms`; they never go back.
    pub fn slide_to(&mut self, newest_ms: i64) {
        if let Some(speeds) = &mut self.speeds {
            speeds.slide_to(newest_ms);
        }
        for (i, window) in Window::ALL.into_iter().enumerate() {
            self.visitors.slide(i, window.ending(newest_ms).start_ms);
        }
    }

    /// Makes minutes of the panes that end at or before `time_ms`.
    pub fn fold_before(&mut self, time_ms: i64) {
        let limit_ms = minute_start(time_ms);
        while let Some((&first_ms, _)) = self.panes.range(self.folded_before_ms..limit_ms).next() {
            let minute_ms = minute_start(first_ms);
            let parts: Vec<i64> = self.panes.range(minute_ms..minute_ms + MINUTE_MS).map(|p| *p.0).collect();
            self.visitors.fold(minute_ms, minute_ms + MINUTE_MS);
            let mut whole = Sums::default();
            for sums in parts.iter().filter_map(|part| self.panes.remove(part)) {
                sums.iter().for_each(|(segment, sum)| whole.sum_mut(segment).merge(sum));
            }
            self.visitors.in_pane(minute_ms, |segment, n| whole.sum_mut(segment.at()).vehicles = n);
            self.panes.insert(minute_ms, whole);
            self.folded_before_ms = minute_ms + MINUTE_MS;
        }
        self.folded_before_ms = self.folded_before_ms.max(limit_ms);
    }

    /// Drops every pane that ends at or before `time_ms`. Memory is bounded by the panes that are kept
    /// times the segments that were driven in them. `true` when the border moved.
    pub fn forget_before(&mut self, time_ms: i64) -> bool {
        let first_kept = if time_ms < self.folded_before_ms { minute_start(time_ms) } else { pane_start(time_ms) };
        let moved = self.forgotten_before_ms.is_none_or(|before| before < first_kept);
        if moved {
            self.forgotten_before_ms = Some(first_kept);
            self.panes = self.panes.split_off(&first_kept);
            self.visitors.forget_before(first_kept);
            if let Some(speeds) = &mut self.speeds {
                speeds.forget_before(minute_start(first_kept));
            }
        }
        moved
    }

    /// All cells that are kept, sorted by segment, then pane: the order of every file that we write.
    pub fn sorted_rows(&self) -> Vec<CellRow> {
        let of_pane = |(&pane_ms, sums): (&i64, &Sums)| -> Vec<CellRow> {
            let row = |(segment, sum): (usize, &Sum)| CellRow {
                segment: SegmentIndex(segment as u32),
                pane_ms,
                distance_mm: sum.distance_mm,
                time_ms: sum.time_ms,
                events: i64::from(sum.events),
                vehicles: sum.vehicles as usize,
            };
            sums.iter().map(row).collect()
        };
        let mut rows: Vec<_> = self.panes.iter().flat_map(of_pane).collect();
        rows.sort_unstable_by_key(|r| (r.segment, r.pane_ms));
        rows
    }

    /// Sums, delays and distinct vehicles of a stretch of time against the free-flow speed of every segment, m/s.
    ///
    /// A stretch that begins within a folded minute takes all of it: live windows do only where nothing came before.
    pub fn totals(&self, span: Span, free_mps: &[f64]) -> Totals {
        let (start_ms, end_ms) = (self.pane_at(span.start_ms), span.panes_end_ms());
        let minutes = self.minutes(start_ms, end_ms);
        let mut totals = Totals::default();
        for page in 0..free_mps.len().div_ceil(PAGE) {
            let free_mps = &free_mps[page * PAGE..free_mps.len().min((page + 1) * PAGE)];
            add_page(&minutes, page, free_mps, &mut totals);
        }
        let live = (0..Window::ALL.len()).filter_map(|i| self.visitors.window(i)).find(|w| {
            // The same panes: none lies between the two begins, and none after the end.
            let between = |from_ms: i64| self.panes.range(from_ms.min(start_ms)..from_ms.max(start_ms)).next();
            w.start_ms().is_some_and(|from_ms| between(from_ms).is_none())
                && self.panes.range(end_ms..).next().is_none()
        });
        let anew = if live.is_none() { Some(self.visitors.between(start_ms, end_ms)) } else { None };
        if let Some(visitors) = live.or(anew.as_ref()) {
            totals.vehicles = totals.segment.iter().map(|&s| u64::from(visitors.on(SegmentIndex(s)))).collect();
            totals.vehicles_everywhere = u64::from(visitors.everywhere());
        }
        totals
    }

    /// The 15th, 50th and 85th percentile of speed on a segment in a live window, m/s, by metres driven; `None`
    /// where nothing was driven, for the window of a minute, and in a store without speeds.
    pub fn percentiles(&self, window: Window, segment: SegmentIndex) -> Option<Percentiles> {
        self.speeds.as_ref()?.percentiles(window, segment)
    }

    /// The panes of a stretch of time by clock minute, oldest first.
    fn minutes(&self, start_ms: i64, end_ms: i64) -> Vec<Vec<&Sums>> {
        let mut minutes: Vec<Vec<&Sums>> = Vec::new();
        let mut minute_ms = None;
        for (&pane_ms, sums) in self.panes.range(start_ms..end_ms.max(start_ms)) {
            if minute_ms != Some(minute_start(pane_ms)) {
                minute_ms = Some(minute_start(pane_ms));
                minutes.push(Vec::new());
            }
            minutes.last_mut().expect("just pushed").push(sums);
        }
        minutes
    }

    /// Begin of the pane, or of the minute where it is folded.
    fn pane_at(&self, pane_ms: i64) -> i64 {
        if pane_ms < self.folded_before_ms { minute_start(pane_ms) } else { pane_ms }
    }

    /// Begin of the pane that a contribution goes to; `None` when it is forgotten.
    fn pane_of(&self, c: &Contribution) -> Option<i64> {
        let pane_ms = self.pane_at(c.pane_ms);
        self.forgotten_before_ms.is_none_or(|before| pane_ms >= before).then_some(pane_ms)
    }
}

/// Adds one page of all minutes up: time and distance as they are, delay clipped per minute.
fn add_page(minutes: &[Vec<&Sums>], page: usize, free_mps: &[f64], totals: &mut Totals) {
    let (mut whole, mut delay_s) = ([Sum::default(); PAGE], [0.0; PAGE]);
    for panes in minutes {
        let mut minute = [Sum::default(); PAGE];
        let mut is_driven = false;
        for sums in panes.iter().filter_map(|pane| pane.page(page)) {
            minute.iter_mut().zip(sums).for_each(|(into, sum)| into.merge(sum));
            is_driven = true;
        }
        if !is_driven {
            continue;
        }
        for (i, sum) in minute.iter().enumerate().take(free_mps.len()) {
            whole[i].merge(sum);
            let free_s = sum.distance_mm as f64 / 1_000.0 / free_mps[i];
            delay_s[i] += (sum.time_ms as f64 / 1_000.0 - free_s).max(0.0);
        }
    }
    for (i, sum) in whole.iter().enumerate().filter(|(_, sum)| sum.time_ms > 0) {
        totals.segment.push((page * PAGE + i) as u32);
        totals.distance_m.push(sum.distance_mm as f64 / 1_000.0);
        totals.time_s.push(sum.time_ms as f64 / 1_000.0);
        totals.events.push(i64::from(sum.events));
        totals.delay_s.push(delay_s[i]);
    }
}
