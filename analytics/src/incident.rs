//! Incidents: something is wrong on a street that is not wrong every day. Found by several algorithms, each under its
//! own name, never mixed.
//!
//! Upstream: [`crate::study`] gives every final pane of ten seconds, and the intervals of loops. Downstream: the API,
//! the evaluation on simulated closures (`arterial incidents`).
//!
//! | algorithm | sees | rule |
//! |---|---|---|
//! | `probe-head` | probes | [`head`]: the first of those that stand is short of the stop line, and nobody is ahead |
//! | `probe-block` | probes | [`probe`]: vehicles gather on a segment and nobody gets on, longer than ever learnt there |
//! | `probe-speed-drop` | probes | [`probe`]: speed far below the learnt profile of the segment |
//! | `probe-fused` | probes | one of `probe-head` and `probe-block` |
//! | `california-7`, `california-8` | two loops | [`california`]: occupancy up behind, down ahead |
//!
//! An alarm stands for one segment. Alarms of one algorithm within reach of each other are one incident for a person;
//! the API tells them apart, the evaluation does not count them twice.

pub mod california;
pub mod head;
pub mod probe;
pub mod score;

use std::collections::{BTreeMap, VecDeque};

use roads::SegmentIndex;
use serde::{Deserialize, Serialize};

/// Ended alarms that are remembered; beyond it the oldest goes.
pub const ENDED_MAX: usize = 2_000;

/// Alarms that can stand at once; further ones are counted and left out.
pub const OPEN_MAX: usize = 5_000;

/// Who raised an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    ProbeBlock,
    ProbeSpeedDrop,
    California7,
    California8,
    ProbeHead,
    ProbeFused,
}

/// A segment on which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub algorithm: Algorithm,
    pub segment: SegmentIndex,
    /// Event time at which it could be raised: the end of the pane or interval that showed it.
    pub begin_ms: i64,
    /// `None` while it stands.
    pub end_ms: Option<i64>,
    /// Space-mean speed when it was raised, m/s; `None` from loops.
    pub speed_mps: Option<f64>,
    /// Most vehicles that have stood on the segment at once since; 0 from loops.
    pub vehicles: u64,
}

/// Alarms that stand, and the last ones that ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Alarms {
    open: BTreeMap<(Algorithm, u32), Alarm>,
    ended: VecDeque<Alarm>,
    raised: BTreeMap<Algorithm, u64>,
    left_out: u64,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 6] = [
        Self::ProbeFused,
        Self::ProbeHead,
        Self::ProbeBlock,
        Self::ProbeSpeedDrop,
        Self::California7,
        Self::California8,
    ];

    /// The lower-case word, as used in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProbeBlock => "probe-block",
            Self::ProbeSpeedDrop => "probe-speed-drop",
            Self::California7 => "california-7",
            Self::California8 => "california-8",
            Self::ProbeHead => "probe-head",
            Self::ProbeFused => "probe-fused",
        }
    }
}

impl Alarms {
    /// Says whether an algorithm finds something wrong on a segment; `alarm` describes it if it is new.
    pub fn set(
        &mut self,
        algorithm: Algorithm,
        segment: u32,
        is_wrong: bool,
        at_ms: i64,
        alarm: impl FnOnce() -> Alarm,
    ) {
        let key = (algorithm, segment);
        match (is_wrong, self.open.contains_key(&key)) {
            (true, false) if self.open.len() >= OPEN_MAX => self.left_out += 1,
            (true, false) => {
                self.open.insert(key, alarm());
                *self.raised.entry(algorithm).or_default() += 1;
            }
            (false, true) => {
                if let Some(over) = self.open.remove(&key) {
                    if self.ended.len() == ENDED_MAX {
                        self.ended.pop_front();
                    }
                    self.ended.push_back(Alarm { end_ms: Some(at_ms), ..over });
                }
            }
            (true, true) => {
                // More may have gathered: the count decides whether it may be told.
                if let Some(open) = self.open.get_mut(&key) {
                    open.vehicles = open.vehicles.max(alarm().vehicles);
                }
            }
            (false, false) => {}
        }
    }

    /// `probe-fused` stands where `probe-head` or `probe-block` does.
    pub fn fuse(&mut self, at_ms: i64) {
        let of = |key: &(Algorithm, u32)| matches!(key.0, Algorithm::ProbeHead | Algorithm::ProbeBlock);
        let parts: BTreeMap<u32, Alarm> = self.open.iter().filter(|(key, _)| of(key)).map(|(k, a)| (k.1, *a)).collect();
        let fused = self.open.keys().filter(|key| key.0 == Algorithm::ProbeFused).map(|key| key.1);
        let over: Vec<u32> = fused.filter(|segment| !parts.contains_key(segment)).collect();
        for (&segment, part) in &parts {
            let alarm = || Alarm { algorithm: Algorithm::ProbeFused, begin_ms: at_ms, ..*part };
            self.set(Algorithm::ProbeFused, segment, true, at_ms, alarm);
        }
        for segment in over {
            // It stands, so nothing is made of the alarm that is given here.
            let over = |this: &Self| this.open.get(&(Algorithm::ProbeFused, segment)).copied();
            if let Some(alarm) = over(self) {
                self.set(Algorithm::ProbeFused, segment, false, at_ms, || alarm);
            }
        }
    }

    /// Alarms that stand.
    pub fn open(&self) -> impl Iterator<Item = &Alarm> {
        self.open.values()
    }

    /// The last ones that ended, oldest first.
    pub fn ended(&self) -> impl Iterator<Item = &Alarm> {
        self.ended.iter()
    }

    /// Alarms that an algorithm has raised since the start.
    pub fn raised(&self, algorithm: Algorithm) -> u64 {
        self.raised.get(&algorithm).copied().unwrap_or(0)
    }

    /// Alarms left out because of [`OPEN_MAX`].
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(begin_ms: i64) -> Alarm {
        let (algorithm, segment) = (Algorithm::ProbeBlock, SegmentIndex(3));
        Alarm { algorithm, segment, begin_ms, end_ms: None, speed_mps: Some(0.1), vehicles: 4 }
    }

    #[test]
    fn an_alarm_stands_until_it_ends_once() {
        let mut alarms = Alarms::default();
        for (wrong, at_ms) in [(false, 0), (true, 10), (true, 20), (false, 30), (false, 40)] {
            alarms.set(Algorithm::ProbeBlock, 3, wrong, at_ms, || alarm(at_ms));
        }
        assert_eq!(alarms.open().count(), 0);
        assert_eq!(alarms.ended().copied().collect::<Vec<_>>(), [Alarm { end_ms: Some(30), ..alarm(10) }]);
        assert_eq!((alarms.raised(Algorithm::ProbeBlock), alarms.raised(Algorithm::California7)), (1, 0));
    }

    #[test]
    fn old_ones_go_and_too_many_are_counted() {
        let mut alarms = Alarms::default();
        for i in 0..=ENDED_MAX as i64 {
            alarms.set(Algorithm::ProbeBlock, 3, true, i, || alarm(i));
            alarms.set(Algorithm::ProbeBlock, 3, false, i, || alarm(i));
        }
        assert_eq!((alarms.ended().count(), alarms.ended().next().unwrap().begin_ms), (ENDED_MAX, 1));
        for segment in 0..OPEN_MAX as u32 + 2 {
            alarms.set(Algorithm::ProbeBlock, segment, true, 0, || alarm(0));
        }
        assert_eq!((alarms.open().count(), alarms.left_out()), (OPEN_MAX, 2));
    }
}
