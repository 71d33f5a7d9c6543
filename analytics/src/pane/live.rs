//! The live windows: what a tick needs, kept up to date instead of added up again.
//!
//! Upstream: [`super::PaneStore`]. A window is three parts: whole clock minutes that are over, whose sums are added when
//! the minute is over and subtracted when the window has passed it; minutes that still fill, each with a sum of its own;
//! and, where a window begins within a minute, the few panes from there on. All of it is whole numbers, delay too
//! (nanoseconds, clipped per minute), so what was added and subtracted is what adding up anew gives.
//!
//! A tick works out the rows of segments about which something changed, and of those that a window has passed since the
//! last tick, and puts them into the columns of that tick ([`rows`]); all other rows stay.

mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Totals;
use super::over::Over;
use super::series::Series;
use super::speeds::Speeds;
use super::sums::{Sum, Sums};
use super::touched::Touched;
use super::visits::{Kept, PANES_A_MINUTE, Visits, WINDOWS, minute_of};
use crate::cell::PANE_MS;
use crate::metric::window::Window;
use rows::{Row, Rows};

/// Segments whose visits are asked for together.
const AHEAD: usize = 8;

/// The sums of one segment with what its minutes lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Delayed {
    pub(super) sum: Sum,
    pub(super) delay_ns: i64,
}

/// One window.
#[derive(Debug, Default)]
struct Running {
    /// Its first pane; none before the first event.
    from: Option<i32>,
    /// Its minutes that are over, by segment.
    over: Vec<Delayed>,
    /// Segments of which it has passed something since the last tick.
    passed: Touched,
    rows: Rows,
}

/// What live windows keep.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) free_mps: Arc<[f64]>,
    pub(super) newest_ms: Option<i64>,
    pub(super) speeds: Speeds,
    /// Minutes that are not over, by their first pane, in no order; mostly one or two.
    filling: Vec<(i32, Sums)>,
    windows: [Running; WINDOWS],
    /// Segments about which something was said since the last tick.
    pub(super) touched: Touched,
    /// Nothing was said since the last tick.
    pub(super) is_settled: bool,
}

impl Delayed {
    pub(super) fn of(sum: Sum, free_mps: f64) -> Self {
        Self { sum, delay_ns: sum.delay_ns(free_mps) }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.sum.merge(other.sum);
        self.delay_ns += other.delay_ns;
    }

    fn negated(self) -> Self {
        Self { sum: self.sum.negated(), delay_ns: -self.delay_ns }
    }
}

impl Live {
    pub(super) fn new(free_mps: Arc<[f64]>) -> Self {
        Self {
            windows: std::array::from_fn(|_| Running::default()),
            free_mps,
            newest_ms: None,
            speeds: Speeds::default(),
            filling: Vec::new(),
            touched: Touched::default(),
            is_settled: false,
        }
    }

    /// First panes of all windows; `None` before the first event.
    pub(super) fn starts(&self) -> Option<[i32; WINDOWS]> {
        self.newest_ms.map(starts)
    }

    /// The sums of a minute that is not over.
    #[inline]
    pub(super) fn filling(&mut self, minute: i32) -> &mut Sums {
        let at = self.filling.iter().rposition(|f| f.0 == minute).unwrap_or_else(|| {
            self.filling.push((minute, Sums::default()));
            self.filling.len() - 1
        });
        &mut self.filling[at].1
    }

    /// Takes the minutes before `limit`, which are over, into the windows, and gives them.
    pub(super) fn end_before(&mut self, limit: i32) -> Vec<(i32, Over)> {
        let Self { filling, windows, free_mps, .. } = self;
        let over = filling.extract_if(.., |f| f.0 < limit).map(|(minute, sums)| (minute, Over::of(&sums)));
        let over: Vec<_> = over.collect();
        for (minute, sums) in &over {
            let mut windows: Vec<&mut Running> = windows.iter_mut().filter(|w| w.holds(*minute)).collect();
            sums.each(|segment, sum| {
                let Some(&free_here) = free_mps.get(segment) else { return };
                let of = Delayed::of(sum, free_here);
                windows.iter_mut().for_each(|w| w.at(segment, free_mps.len()).merge(of));
            });
        }
        over
    }

    /// Moves all windows on to `newest_ms`; they never go back. `minutes` are those that are over.
    pub(super) fn slide_to(&mut self, newest_ms: i64, panes: &Series, minutes: &BTreeMap<i32, Over>) {
        self.speeds.slide_to(newest_ms);
        if self.newest_ms.is_some_and(|before| before >= newest_ms) {
            return;
        }
        self.newest_ms = Some(newest_ms);
        let Self { windows, free_mps, touched, .. } = self;
        for (start, running) in starts(newest_ms).into_iter().zip(windows) {
            let first = first_whole(start);
            match running.from {
                Some(before) if before >= start => continue,
                Some(before) => {
                    panes.range(before..start).for_each(|pane| running.passed.join(pane.1.driven()));
                    let passed = minutes.range(minute_of(before)..start);
                    passed.for_each(|minute| running.passed.join(minute.1.driven()));
                    let passed = minutes.range(first_whole(before)..first);
                    passed.for_each(|minute| running.add(minute.1, free_mps, true));
                }
                None => {
                    minutes.range(first..).for_each(|minute| running.add(minute.1, free_mps, false));
                    touched.set_all(free_mps.len());
                }
            }
            running.from = Some(start);
        }
    }

    /// Holds all windows against another free flow, segment by segment m/s.
    pub(super) fn hold_against(&mut self, free_mps: &[f64], minutes: &BTreeMap<i32, Over>) {
        if free_mps.len() != self.free_mps.len() || *free_mps == *self.free_mps {
            return;
        }
        self.free_mps = free_mps.into();
        for running in &mut self.windows {
            running.over.clear();
            let Some(from) = running.from else { continue };
            minutes.range(first_whole(from)..).for_each(|minute| running.add(minute.1, &self.free_mps, false));
        }
        self.touched.set_all(self.free_mps.len());
        self.is_settled = false;
    }

    /// Takes in what changed in a minute that was over.
    pub(super) fn correct(&mut self, minute: i32, segment: usize, before: Sum, after: Sum) {
        let Some(&free_mps) = self.free_mps.get(segment) else { return };
        let mut change = Delayed { sum: after, delay_ns: after.delay_ns(free_mps) - before.delay_ns(free_mps) };
        change.sum.merge(before.negated());
        for running in self.windows.iter_mut().filter(|w| w.holds(minute)) {
            running.at(segment, self.free_mps.len()).merge(change);
        }
    }

    /// Works out the rows that changed since the last tick.
    pub(super) fn settle(&mut self, panes: &Series, visits: &mut Visits, kept: Kept) {
        let Some(starts) = self.starts() else { return };
        self.speeds.settle();
        let Self { windows, filling, free_mps, touched, .. } = self;
        let mut changed = touched.clone();
        windows.iter_mut().for_each(|w| w.rows.begin());
        windows.iter().for_each(|w| changed.join(&w.passed));
        // The panes from where a window begins to its first whole minute, and the minutes from there on that still fill.
        let begun = starts.map(|start| panes.range(start..first_whole(start)).map(|p| p.1).collect::<Vec<_>>());
        let minutes =
            starts.map(|start| filling.iter().filter(|f| f.0 >= first_whole(start)).map(|f| &f.1).collect::<Vec<_>>());
        let changed: Vec<usize> = changed.iter().take_while(|&segment| segment < free_mps.len()).collect();
        for (at, &segment) in changed.iter().enumerate() {
            if at % AHEAD == 0 {
                // Waiting for what several segments need overlaps.
                visits.ask_for(&changed[at..changed.len().min(at + AHEAD)]);
            }
            let free_mps = free_mps[segment];
            let vehicles = visits.distinct(segment, starts, kept);
            let is_touched = touched.has(segment);
            for (at, running) in windows.iter_mut().enumerate() {
                if !is_touched && !running.passed.has(segment) {
                    continue;
                }
                let mut of = running.over.get(segment).copied().unwrap_or_default();
                for minute in &minutes[at] {
                    of.merge(Delayed::of(minute.get(segment), free_mps));
                }
                if !begun[at].is_empty() {
                    let mut sum = Sum::default();
                    begun[at].iter().for_each(|pane| sum.merge(pane.get(segment)));
                    of.merge(Delayed::of(sum, free_mps));
                }
                running.rows.put(Row { segment: segment as u32, of, vehicles: vehicles[at] });
            }
        }
        touched.clear();
        for (start, running) in starts.into_iter().zip(windows) {
            running.passed.clear();
            running.rows.end(visits.everywhere(start));
        }
        self.is_settled = true;
    }

    /// The columns of one window as of the last tick.
    pub(super) fn totals(&self, window: usize) -> &Arc<Totals> {
        self.windows[window].rows.totals()
    }
}

impl Running {
    fn holds(&self, minute: i32) -> bool {
        self.from.is_some_and(|from| minute >= first_whole(from))
    }

    fn at(&mut self, segment: usize, segments: usize) -> &mut Delayed {
        if self.over.is_empty() {
            self.over.resize(segments, Delayed::default());
        }
        &mut self.over[segment]
    }

    fn add(&mut self, minute: &Over, free_mps: &[f64], is_passed: bool) {
        minute.each(|segment, sum| {
            let Some(&free_mps_here) = free_mps.get(segment) else { return };
            let of = Delayed::of(sum, free_mps_here);
            self.at(segment, free_mps.len()).merge(if is_passed { of.negated() } else { of });
        });
    }
}

fn starts(newest_ms: i64) -> [i32; WINDOWS] {
    Window::ALL.map(|w| (w.ending(newest_ms).start_ms / PANE_MS) as i32)
}

/// The first pane of the first whole minute of a window.
fn first_whole(start: i32) -> i32 {
    minute_of(start + PANES_A_MINUTE - 1)
}
