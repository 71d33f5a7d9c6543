//! Signals: cycles of every phase, arrivals on green, split failures, delay, from changes and single actuations.
//!
//! Upstream: [`crate::engine`], with signal changes and detector intervals in any order. Downstream: the API, the page of
//! Prometheus, `arterial signals`.
//!
//! Definitions after the Purdue performance measures (Day et al., "Performance Measures for Traffic Signal Systems",
//! Purdue, 2014, doi:10.5703/1288284315333) as the open ATSPM packages compute them:
//! - a **cycle** of a phase goes from red to red; its length, green, yellow and red are those of the log
//! - an **arrival** is an actuation of an advance detector, at the moment it goes on; it is on green, yellow or red by
//!   what the phase shows then (a change at the same moment counts first)
//! - **platoon ratio**: share of arrivals on green over share of time that is green
//! - **delay** of an arrival on red: until the green begins. It is what signals add, not what a vehicle lost
//! - **split failure**: the presence detectors of an approach are occupied for 79 % of the green or more, and for 79 %
//!   of the first five seconds of the red after it: not everybody got through
//!
//! A cycle is final when the newest row of its phase is [`SETTLE_MS`] past its end, since an actuation is known only when it
//! ends. Figures take cycles in that are over but not final yet.

mod cycle;
mod figures;
mod phase;
mod wiring;

use std::collections::BTreeMap;

use events::SignalState;
use ingest::batch::Batch;
use serde::{Deserialize, Serialize};

pub use cycle::{Arrival, Cycle, RED_WATCHED_MS, SPLIT_FAILURE_OCCUPANCY, Shown, Split};
pub use figures::{Bin, Figures, bins};
use phase::Phase;
pub use wiring::{Function, Wired, Wiring, WiringError};

/// Most phases of all signals that are remembered; changes of further ones are counted and left out.
pub const PHASES_MAX: usize = 20_000;

/// A cycle is final when its phase's newest row lies so far behind its end, milliseconds: an actuation lasts no longer
/// than a few reds. What comes later is counted and left out.
pub const SETTLE_MS: i64 = 5 * 60_000;

/// Cycles that are kept of each phase in live operation: two hours of 60 s. Older ones are forgotten.
pub const CYCLES_KEPT_LIVE: usize = 120;

/// An on that follows an on so soon was on all the time between, milliseconds; of a longer stretch half is taken. So does
/// the `atspm` package with logs that miss an off.
const RAPID_MS: i64 = 2_000;

/// What came in and was not used; each number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalCounts {
    pub changes: u64,
    /// Actuations of wired detectors.
    pub actuations: u64,
    /// Changes and actuations of stretches that were final already.
    pub late: u64,
    /// Rows of phases beyond [`PHASES_MAX`].
    pub left_out: u64,
    /// Intervals of wired detectors that are statistics and not actuations.
    pub not_actuations: u64,
    /// Cycles forgotten because a phase had more than are kept.
    pub forgotten: u64,
    /// Stretches that were closed before their red came, since too much was waiting.
    pub cut: u64,
}

/// One actuation of a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actuation {
    pub on_ms: i64,
    /// `None` when the log misses the off.
    pub off_ms: Option<i64>,
}

/// All signals.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signals {
    wiring: Wiring,
    cycles_kept: usize,
    phases: BTreeMap<(String, u16), Phase>,
    /// Detectors whose last on has no off yet, with its time. Bounded by the wiring.
    open: BTreeMap<String, i64>,
    counts: SignalCounts,
}

impl Actuation {
    /// What an interval says when it is a single actuation, as the adapters of controllers' logs make them: one
    /// vehicle, covered all the time; or one vehicle of unknown length, whose off is missing.
    pub fn of(start_ms: i64, end_ms: i64, count: Option<u32>, occupancy: Option<f32>) -> Option<Self> {
        match (count, occupancy) {
            (Some(1), Some(1.0)) => Some(Self { on_ms: start_ms, off_ms: Some(end_ms) }),
            (Some(1), None) => Some(Self { on_ms: start_ms, off_ms: None }),
            _ => None,
        }
    }
}

impl Signals {
    /// No signals yet. `cycles_kept` is how many final cycles are remembered of each phase.
    pub fn new(wiring: Wiring, cycles_kept: usize) -> Self {
        Self { wiring, cycles_kept, phases: BTreeMap::new(), open: BTreeMap::new(), counts: SignalCounts::default() }
    }

    /// Counts the signals and wired detectors of a batch in. Its tables are apart, so they are brought together by time:
    /// a batch of a backlog may hold hours.
    pub fn apply(&mut self, batch: &Batch) {
        let (changes, rows) = (&batch.signals, &batch.detectors);
        let mut next = 0;
        let mut change_until = |signals: &mut Self, time_ms: i64| {
            while next < changes.len() && changes.time_ms[next] <= time_ms {
                signals.change(&changes.source[next], changes.phase[next], changes.time_ms[next], changes.state[next]);
                next += 1;
            }
        };
        for row in 0..rows.len() {
            if self.has_detector(&rows.source[row]) {
                let (start_ms, end_ms) = (rows.start_ms[row], rows.end_ms[row]);
                change_until(self, end_ms);
                let actuation = Actuation::of(start_ms, end_ms, rows.count[row], rows.occupancy[row]);
                self.interval(&rows.source[row], actuation);
            }
        }
        change_until(self, i64::MAX);
    }

    /// Whether a detector belongs to a signal, so that its intervals are actuations and no statistics.
    pub fn has_detector(&self, source: &str) -> bool {
        !self.wiring.of(source).is_empty()
    }

    /// Counts a change of a phase in.
    pub fn change(&mut self, signal: &str, phase: u16, time_ms: i64, state: SignalState) {
        self.counts.changes += 1;
        self.with(signal, phase, |phase, counts| counts.late += u64::from(!phase.change(time_ms, state)));
    }

    /// Counts an interval of a wired detector in.
    pub fn interval(&mut self, source: &str, actuation: Option<Actuation>) {
        let Some(actuation) = actuation else {
            self.counts.not_actuations += 1;
            return;
        };
        self.counts.actuations += 1;
        let covered = self.covered(source, actuation);
        // The wiring is small and its rows are few; a clone frees the phases to change.
        for Wired { signal, phase, function } in self.wiring.of(source).to_vec() {
            match function {
                Function::Advance => self.with(&signal, phase, |phase, counts| {
                    counts.late += u64::from(!phase.arrival(actuation.on_ms));
                }),
                Function::Presence => self.with(&signal, phase, |phase, counts| {
                    phase.presence(actuation.on_ms);
                    for (from_ms, to_ms) in covered.into_iter().flatten() {
                        counts.late += u64::from(!phase.covered(from_ms, to_ms));
                    }
                }),
                Function::Other => {}
            }
        }
    }

    /// What a detector's actuations say of when it was covered: the one before, if its off was missing, and this one.
    fn covered(&mut self, source: &str, actuation: Actuation) -> [Option<(i64, i64)>; 2] {
        let before = self.open.remove(source).filter(|on_ms| *on_ms < actuation.on_ms).map(|on_ms| {
            let apart_ms = actuation.on_ms - on_ms;
            (on_ms, on_ms + if apart_ms <= RAPID_MS { apart_ms } else { apart_ms / 2 })
        });
        if actuation.off_ms.is_none() {
            self.open.insert(source.to_owned(), actuation.on_ms);
        }
        [before, actuation.off_ms.map(|off_ms| (actuation.on_ms, off_ms))]
    }

    fn with(&mut self, signal: &str, phase: u16, act: impl FnOnce(&mut Phase, &mut SignalCounts)) {
        let key = (signal.to_owned(), phase);
        if self.phases.len() >= PHASES_MAX && !self.phases.contains_key(&key) {
            self.counts.left_out += 1;
            return;
        }
        let phase = self.phases.entry(key).or_default();
        act(phase, &mut self.counts);
        phase.settle(SETTLE_MS, self.cycles_kept, &mut self.counts);
    }

    /// Closes everything that is open: a recording is over.
    pub fn finish(&mut self) {
        for phase in self.phases.values_mut() {
            phase.finish(self.cycles_kept, &mut self.counts);
        }
    }

    /// Cycles of each phase of each signal, oldest first: the final ones, then those that are over.
    pub fn cycles(&self) -> impl Iterator<Item = ((&str, u16), Vec<Cycle>)> {
        self.phases.iter().map(|((signal, phase), of)| ((signal.as_str(), *phase), of.cycles(i64::MIN)))
    }

    /// Cycles of each phase of each signal that ended at or after a moment.
    pub fn cycles_since(&self, since_ms: i64) -> impl Iterator<Item = ((&str, u16), Vec<Cycle>)> {
        self.phases.iter().map(move |((signal, phase), of)| ((signal.as_str(), *phase), of.cycles(since_ms)))
    }

    /// Figures of each phase over the cycles that ended at or after `since_ms`; phases without any are left out.
    pub fn figures(&self, since_ms: i64) -> BTreeMap<(String, u16), Figures> {
        let fresh = self.phases.iter().filter(|(_, phase)| phase.newest_ms() >= since_ms);
        let figures = fresh.map(|((signal, number), phase)| {
            let functions = self.wiring.functions(signal, *number);
            ((signal.clone(), *number), Figures::of(&phase.cycles(since_ms), functions))
        });
        figures.filter(|(_, figures)| figures.cycles > 0).collect()
    }

    /// Cycles of one phase that ended at or after `since_ms`.
    pub fn cycles_of(&self, signal: &str, phase: u16, since_ms: i64) -> Vec<Cycle> {
        self.phases.get(&(signal.to_owned(), phase)).map(|phase| phase.cycles(since_ms)).unwrap_or_default()
    }

    /// Which functions the detectors of a phase have.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// What came in.
    pub fn counts(&self) -> SignalCounts {
        self.counts
    }

    /// Phases in memory.
    pub fn len(&self) -> usize {
        self.phases.len()
    }

    /// Whether no phase is known.
    pub fn is_empty(&self) -> bool {
        self.phases.is_empty()
    }

    /// Lets go of phases that have been silent since a moment.
    pub fn forget_silent(&mut self, since_ms: i64) {
        self.phases.retain(|_, phase| phase.newest_ms() >= since_ms);
    }
}

#[cfg(test)]
mod tests;
