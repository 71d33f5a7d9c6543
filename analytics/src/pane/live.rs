//! The live windows: what a tick needs, kept up to date instead of added up again.
//!
//! Upstream: [`super::PaneStore`]. A window is three parts: whole clock minutes that are over, whose sums are added when
//! the minute is over and subtracted when the window has passed it; minutes that still fill, added up once a tick for
//! all windows; and, where a window begins within a minute, the few panes from there on. All of it is whole numbers,
//! delay too (nanoseconds, clipped per minute), so what was added and subtracted is what adding up anew gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::speeds::Speeds;
use super::sums::{PAGE, Sum, Sums};
use super::visits::{PANES_A_MINUTE, WINDOWS, minute_of};
use crate::cell::PANE_MS;
use crate::metric::window::Window;

/// The sums of one segment with what its minutes lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Delayed {
    pub(super) sum: Sum,
    pub(super) delay_ns: i64,
}

/// One window's minutes that are over.
#[derive(Debug, Default)]
struct Running {
    /// The window's first whole minute; none before the first event.
    first_minute: Option<i32>,
    by_segment: Vec<Delayed>,
}

/// What live windows keep.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) free_mps: Arc<[f64]>,
    pub(super) newest_ms: Option<i64>,
    pub(super) speeds: Speeds,
    /// One a window, but for that of a minute, which holds no whole one that is over.
    running: [Running; WINDOWS],
    /// The minutes that still fill, and vehicles in the city by window, as of the last tick.
    pub(super) filling: Vec<Delayed>,
    pub(super) everywhere: [u64; WINDOWS],
    /// Nothing was said since the last tick.
    pub(super) is_settled: bool,
}

impl Delayed {
    pub(super) fn merge(&mut self, other: Self) {
        self.sum.merge(other.sum);
        self.delay_ns += other.delay_ns;
    }
}

impl Live {
    pub(super) fn new(free_mps: Arc<[f64]>) -> Self {
        Self {
            filling: Vec::new(),
            running: std::array::from_fn(|_| Running::default()),
            free_mps,
            newest_ms: None,
            speeds: Speeds::default(),
            everywhere: [0; WINDOWS],
            is_settled: false,
        }
    }

    /// First panes of all windows; `None` before the first event.
    pub(super) fn starts(&self) -> Option<[i32; WINDOWS]> {
        let newest_ms = self.newest_ms?;
        Some(Window::ALL.map(|w| (w.ending(newest_ms).start_ms / PANE_MS) as i32))
    }

    /// The minutes of a window that are over.
    pub(super) fn over(&self, window: usize) -> &[Delayed] {
        &self.running[window].by_segment
    }

    /// Moves all windows on to `newest_ms`; they never go back.
    pub(super) fn slide_to(&mut self, newest_ms: i64, minutes: &BTreeMap<i32, Sums>) {
        self.speeds.slide_to(newest_ms);
        if self.newest_ms.is_some_and(|before| before >= newest_ms) {
            return;
        }
        self.newest_ms = Some(newest_ms);
        let Some(starts) = self.starts() else { return };
        for (start, running) in starts.into_iter().zip(&mut self.running).skip(1) {
            let first = minute_of(start + PANES_A_MINUTE - 1);
            match running.first_minute {
                Some(before) if before >= first => continue,
                Some(before) => minutes.range(before..first).for_each(|m| running.add(m.1, &self.free_mps, true)),
                None => minutes.range(first..).for_each(|m| running.add(m.1, &self.free_mps, false)),
            }
            running.first_minute = Some(first);
        }
    }

    /// Takes in a minute that is over now.
    pub(super) fn close(&mut self, minute: i32, sums: &Sums) {
        for running in self.running.iter_mut().filter(|r| r.holds(minute)) {
            running.add(sums, &self.free_mps, false);
        }
    }

    /// Takes in what changed in a minute that was over.
    pub(super) fn correct(&mut self, minute: i32, segment: usize, before: Sum, after: Sum) {
        let Some(&free_mps) = self.free_mps.get(segment) else { return };
        let mut change = Delayed { sum: after, delay_ns: after.delay_ns(free_mps) - before.delay_ns(free_mps) };
        change.sum.merge(before.negated());
        for running in self.running.iter_mut().filter(|r| r.holds(minute)) {
            running.at(segment, self.free_mps.len()).merge(change);
        }
    }

    /// Adds up the minutes that still fill, each given as its panes.
    pub(super) fn fill(&mut self, minutes: &[Vec<&Sums>]) {
        self.filling.clear();
        self.filling.resize(self.free_mps.len().next_multiple_of(PAGE), Delayed::default());
        for panes in minutes {
            for (page, into) in self.filling.chunks_exact_mut(PAGE).enumerate() {
                add_minute(panes, page, &self.free_mps, into);
            }
        }
    }
}

impl Running {
    fn holds(&self, minute: i32) -> bool {
        self.first_minute.is_some_and(|first| minute >= first)
    }

    fn at(&mut self, segment: usize, segments: usize) -> &mut Delayed {
        if self.by_segment.is_empty() {
            self.by_segment.resize(segments.next_multiple_of(PAGE), Delayed::default());
        }
        &mut self.by_segment[segment]
    }

    fn add(&mut self, minute: &Sums, free_mps: &[f64], is_passed: bool) {
        for (segment, sum) in minute.iter() {
            let Some(&free_mps_here) = free_mps.get(segment) else { return };
            let delay_ns = sum.delay_ns(free_mps_here);
            let change =
                if is_passed { Delayed { sum: sum.negated(), delay_ns: -delay_ns } } else { Delayed { sum, delay_ns } };
            self.at(segment, free_mps.len()).merge(change);
        }
    }
}

/// Adds one page of one clock minute, given as the panes of it that count: sums as they are, delay clipped.
pub(super) fn add_minute(panes: &[&Sums], page: usize, free_mps: &[f64], into: &mut [Delayed]) {
    let mut minute = [Sum::default(); PAGE];
    let mut is_driven = false;
    for pane in panes {
        is_driven |= pane.add_page(page, &mut minute);
    }
    if !is_driven {
        return;
    }
    let free_mps = free_mps.iter().skip(page * PAGE);
    for ((into, sum), &free_mps) in into.iter_mut().zip(minute).zip(free_mps) {
        into.merge(Delayed { sum, delay_ns: sum.delay_ns(free_mps) });
    }
}
