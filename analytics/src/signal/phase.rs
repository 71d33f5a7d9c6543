//! What is remembered of one phase: rows that wait for their cycle to end, and the cycles that did.
//!
//! Upstream: [`super::Signals`]. Rows may come in any order within [`super::SETTLE_MS`]; they are kept sorted.

use std::collections::VecDeque;

use events::SignalState;
use serde::{Deserialize, Serialize};

use super::SignalCounts;
use super::cycle::{Change, Cycle, RED_WATCHED_MS, Shown, Stretch};

/// Most rows of a kind that wait. A phase that rests in green for hours is closed as it is when there are more.
const WAITING_MAX: usize = 10_000;

/// One phase of one signal.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Phase {
    changes: VecDeque<Change>,
    arrivals: VecDeque<i64>,
    covered: VecDeque<(i64, i64)>,
    presence_since_ms: Option<i64>,
    /// Where the first stretch that is not final begins; `None` before the first row.
    begin_ms: Option<i64>,
    begins_red: bool,
    /// Whether something is final, so that nothing older is taken.
    has_final: bool,
    shown: Option<Shown>,
    newest_ms: Option<i64>,
    cycles: VecDeque<Cycle>,
}

impl Phase {
    /// Takes a change in; false when its stretch is final.
    pub(super) fn change(&mut self, time_ms: i64, state: SignalState) -> bool {
        let change = Change { time_ms, shown: state.into() };
        let key = |c: &Change| (c.time_ms, c.shown.rank());
        if !self.takes(time_ms) {
            return false;
        }
        let at = self.changes.partition_point(|c| key(c) <= key(&change));
        self.changes.insert(at, change);
        true
    }

    /// Takes an arrival in; false when its stretch is final.
    pub(super) fn arrival(&mut self, time_ms: i64) -> bool {
        let takes = self.takes(time_ms);
        if takes {
            self.arrivals.insert(self.arrivals.partition_point(|at| *at <= time_ms), time_ms);
        }
        takes
    }

    /// A presence detector went on.
    pub(super) fn presence(&mut self, on_ms: i64) {
        self.presence_since_ms = Some(self.presence_since_ms.map_or(on_ms, |since_ms| since_ms.min(on_ms)));
    }

    /// Takes in that the approach was covered; false when all of it lies in stretches that are final.
    pub(super) fn covered(&mut self, from_ms: i64, to_ms: i64) -> bool {
        let takes = self.takes(to_ms);
        if takes {
            let at = self.covered.partition_point(|c| *c <= (from_ms, to_ms));
            self.covered.insert(at, (from_ms, to_ms));
        }
        takes
    }

    /// Newest moment of any row; the beginning of time before the first.
    pub(super) fn newest_ms(&self) -> i64 {
        self.newest_ms.unwrap_or(i64::MIN)
    }

    fn takes(&mut self, time_ms: i64) -> bool {
        self.newest_ms = Some(self.newest_ms().max(time_ms));
        let takes = self.begin_ms.is_none_or(|begin_ms| time_ms >= begin_ms) || !self.has_final;
        if takes {
            // Nothing is final yet: an older row moves the beginning back.
            self.begin_ms = Some(self.begin_ms.map_or(time_ms, |begin_ms| begin_ms.min(time_ms)));
        }
        takes
    }

    /// Makes cycles final whose end is `settle_ms` behind the newest row.
    pub(super) fn settle(&mut self, settle_ms: i64, kept: usize, counts: &mut SignalCounts) {
        while let Some(end_ms) = self.next_red(0).map(|at| self.changes[at].time_ms) {
            if self.newest_ms() < end_ms + RED_WATCHED_MS + settle_ms {
                break;
            }
            self.close(end_ms, true, kept, counts);
        }
        if self.changes.len().max(self.arrivals.len()).max(self.covered.len()) > WAITING_MAX {
            counts.cut += 1;
            let (end_ms, is_red) =
                self.next_red(0).map_or((self.newest_ms(), false), |at| (self.changes[at].time_ms, true));
            self.close(end_ms, is_red, kept, counts);
        }
    }

    /// Closes everything: there are no more rows.
    pub(super) fn finish(&mut self, kept: usize, counts: &mut SignalCounts) {
        self.settle(0, kept, counts);
        while let Some(end_ms) = self.next_red(0).map(|at| self.changes[at].time_ms) {
            self.close(end_ms, true, kept, counts);
        }
        if !self.changes.is_empty() || !self.arrivals.is_empty() || self.begins_red {
            // One tick of logs, so that the last row itself lies inside.
            self.close(self.newest_ms() + 100, false, kept, counts);
        }
    }

    /// The final cycles that ended at or after a moment, then those that are over and not final.
    pub(super) fn cycles(&self, since_ms: i64) -> Vec<Cycle> {
        let from = self.cycles.partition_point(|cycle| cycle.end_ms < since_ms);
        let mut cycles: Vec<Cycle> = self.cycles.range(from..).cloned().collect();
        let mut copy = Self { cycles: VecDeque::new(), ..self.waiting() };
        let mut counts = SignalCounts::default();
        while let Some(end_ms) = copy.next_red(0).map(|at| copy.changes[at].time_ms) {
            copy.close(end_ms, true, usize::MAX, &mut counts);
        }
        cycles.extend(copy.cycles.into_iter().filter(|cycle| cycle.end_ms >= since_ms));
        cycles
    }

    /// A copy of what waits.
    fn waiting(&self) -> Self {
        Self {
            changes: self.changes.clone(),
            arrivals: self.arrivals.clone(),
            covered: self.covered.clone(),
            cycles: VecDeque::new(),
            ..*self
        }
    }

    /// Place of the first red after the beginning, from a place on.
    fn next_red(&self, from: usize) -> Option<usize> {
        (from..self.changes.len()).find(|&at| {
            let change = self.changes[at];
            change.shown == Shown::Red && !(self.begins_red && Some(change.time_ms) == self.begin_ms)
        })
    }

    /// Makes a cycle of the rows before a moment and forgets them.
    fn close(&mut self, end_ms: i64, ends_red: bool, kept: usize, counts: &mut SignalCounts) {
        let start_ms = self.begin_ms.unwrap_or(end_ms);
        let behind =
            self.changes.partition_point(|c| c.time_ms < end_ms || (c.time_ms == end_ms && c.shown != Shown::Red));
        let arrived = self.arrivals.partition_point(|at| *at < end_ms);
        let arrivals: Vec<i64> = self.arrivals.drain(..arrived).collect();
        let changes: Vec<Change> = self.changes.drain(..behind).collect();
        let next_green_ms = self.changes.iter().find(|c| c.shown == Shown::Green).map(|c| c.time_ms);
        let newest_ms = self.newest_ms();
        let cycle = Stretch {
            start_ms,
            end_ms,
            begins_red: self.begins_red,
            ends_red,
            shown: self.shown,
            changes: &changes,
            arrivals: &arrivals,
            covered: self.covered.make_contiguous(),
            presence_since_ms: self.presence_since_ms,
            next_green_ms,
            newest_ms,
        }
        .cycle();
        self.shown = changes.last().map(|c| c.shown).or(self.shown);
        if ends_red {
            // The reds of that moment begin the next stretch.
            while self.changes.front().is_some_and(|c| c.time_ms == end_ms && c.shown == Shown::Red) {
                self.changes.pop_front();
            }
            self.shown = Some(Shown::Red);
        }
        (self.begin_ms, self.begins_red, self.has_final) = (Some(end_ms), ends_red, true);
        self.covered.retain(|(_, to_ms)| *to_ms > end_ms);
        if cycle.end_ms > cycle.start_ms {
            self.cycles.push_back(cycle);
        }
        if self.cycles.len() > kept {
            self.cycles.pop_front();
            counts.forgotten += 1;
        }
    }
}
