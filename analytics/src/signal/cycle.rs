//! One cycle of one phase, from what was seen between two reds.
//!
//! Upstream: [`super::phase`]. Downstream: [`super::figures`]. Pure: the same rows give the same cycle.

use events::SignalState;
use serde::{Deserialize, Serialize};

/// Occupancy from which green and beginning red make a split failure. The `atspm` package and Utah's ATSPM use 79 %.
pub const SPLIT_FAILURE_OCCUPANCY: f64 = 0.79;

/// So much of the red is watched for vehicles that did not get through, milliseconds.
pub const RED_WATCHED_MS: i64 = 5_000;

/// Most arrivals of one cycle that are kept as points of the coordination diagram; further ones are only counted.
const POINTS_MAX: usize = 2_000;

/// One vehicle over an advance detector: a point of the Purdue coordination diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Since the cycle began, milliseconds.
    pub offset_ms: u32,
    /// What the phase showed; `None` before it was first heard of.
    pub on: Option<Shown>,
}

/// What a phase showed. A copy of [`SignalState`] that can be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shown {
    Red,
    Yellow,
    Green,
}

impl From<SignalState> for Shown {
    fn from(state: SignalState) -> Self {
        match state {
            SignalState::Red => Self::Red,
            SignalState::Yellow => Self::Yellow,
            SignalState::Green => Self::Green,
        }
    }
}

impl Shown {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Yellow => "yellow",
            Self::Green => "green",
        }
    }

    /// Order of changes that bear the same time: as the codes 1, 8, 10 of the logs.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Green => 0,
            Self::Yellow => 1,
            Self::Red => 2,
        }
    }
}

/// How full the approach was at the end of green.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Share of the green in which some presence detector was covered.
    pub green_occupancy: f64,
    /// The same of the first [`RED_WATCHED_MS`] of red.
    pub red_occupancy: f64,
}

impl Split {
    /// Whether not everybody got through.
    pub fn is_failure(&self) -> bool {
        self.green_occupancy >= SPLIT_FAILURE_OCCUPANCY && self.red_occupancy >= SPLIT_FAILURE_OCCUPANCY
    }
}

/// What happened between two reds of one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cycle {
    /// Its red; or, of a stretch that is not whole, where knowledge begins.
    pub start_ms: i64,
    /// The next red; or where knowledge ends.
    pub end_ms: i64,
    /// Red, then one green, one yellow, and the next red.
    pub is_whole: bool,
    /// Begin of green where there was exactly one.
    pub green_ms: Option<i64>,
    /// Begin of yellow where there was exactly one after the green.
    pub yellow_ms: Option<i64>,
    /// Time that was green, milliseconds, in a stretch that is not whole too.
    pub green_time_ms: i64,
    pub on_green: u32,
    pub on_yellow: u32,
    pub on_red: u32,
    /// Arrivals before the phase was first heard of.
    pub unknown: u32,
    /// Sum over arrivals on red of the time until green, milliseconds. Who sees no green any more adds nothing.
    pub delay_ms: i64,
    pub arrivals: Vec<Arrival>,
    /// `None` where green or the beginning of red are not known whole, or no presence detector was heard of before.
    pub split: Option<Split>,
}

/// A change of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    pub time_ms: i64,
    pub shown: Shown,
}

/// A stretch of a phase's rows, in order of time.
pub(super) struct Stretch<'a> {
    pub start_ms: i64,
    pub end_ms: i64,
    /// Whether a red begins it, and whether a red ends it.
    pub begins_red: bool,
    pub ends_red: bool,
    /// What was shown when it began; `None` if not known.
    pub shown: Option<Shown>,
    /// Changes after the beginning and before the end.
    pub changes: &'a [Change],
    pub arrivals: &'a [i64],
    /// When the approach was covered, by begin; may overlap, may reach beyond both ends.
    pub covered: &'a [(i64, i64)],
    /// Since when presence detectors are heard of.
    pub presence_since_ms: Option<i64>,
    /// Begin of the next green, and the newest row: the red must be known for as long as it is watched.
    pub next_green_ms: Option<i64>,
    pub newest_ms: i64,
}

impl Stretch<'_> {
    pub(super) fn cycle(&self) -> Cycle {
        let times = |of: Shown| self.changes.iter().filter(move |c| c.shown == of).map(|c| c.time_ms);
        let only = |of: Shown| times(of).next().filter(|_| times(of).count() == 1);
        // A stretch that began while the phase was green already has no known beginning of it.
        let green_ms = only(Shown::Green);
        let yellow_ms = only(Shown::Yellow).filter(|yellow_ms| green_ms.is_some_and(|green_ms| green_ms <= *yellow_ms));
        let mut cycle = Cycle {
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            is_whole: self.begins_red && self.ends_red && green_ms.is_some() && yellow_ms.is_some(),
            green_ms,
            yellow_ms,
            green_time_ms: self.green_time_ms(),
            on_green: 0,
            on_yellow: 0,
            on_red: 0,
            unknown: 0,
            delay_ms: 0,
            arrivals: Vec::new(),
            split: self.last_green().and_then(|(green_ms, yellow_ms)| self.split(green_ms, yellow_ms)),
        };
        self.arrive(&mut cycle);
        cycle
    }

    /// The last green and its yellow. A log that misses a red has two greens in a stretch, and the last is still known.
    fn last_green(&self) -> Option<(i64, i64)> {
        let at = self.changes.iter().rposition(|c| c.shown == Shown::Green)?;
        match self.changes[at + 1..] {
            [Change { time_ms, shown: Shown::Yellow }] => Some((self.changes[at].time_ms, time_ms)),
            _ => None,
        }
    }

    fn green_time_ms(&self) -> i64 {
        let (mut shown, mut since_ms, mut green_ms) = (self.shown, self.start_ms, 0);
        let end = Change { time_ms: self.end_ms, shown: Shown::Red };
        for change in self.changes.iter().chain([&end]) {
            if shown == Some(Shown::Green) {
                green_ms += change.time_ms - since_ms;
            }
            (shown, since_ms) = (Some(change.shown), change.time_ms);
        }
        green_ms
    }

    fn arrive(&self, cycle: &mut Cycle) {
        let (mut shown, mut next) = (self.shown, 0);
        for &at_ms in self.arrivals {
            while let Some(change) = self.changes.get(next).filter(|change| change.time_ms <= at_ms) {
                shown = Some(change.shown);
                next += 1;
            }
            match shown {
                Some(Shown::Green) => cycle.on_green += 1,
                Some(Shown::Yellow) => cycle.on_yellow += 1,
                Some(Shown::Red) => {
                    cycle.on_red += 1;
                    let green = self.changes[next..].iter().find(|change| change.shown == Shown::Green);
                    cycle.delay_ms += green.map_or(0, |green| green.time_ms - at_ms);
                }
                None => cycle.unknown += 1,
            }
            if cycle.arrivals.len() < POINTS_MAX {
                let offset_ms = u32::try_from(at_ms - self.start_ms).unwrap_or(u32::MAX);
                cycle.arrivals.push(Arrival { offset_ms, on: shown });
            }
        }
    }

    fn split(&self, green_ms: i64, yellow_ms: i64) -> Option<Split> {
        let watched_ms = self.end_ms + RED_WATCHED_MS;
        let is_known = self.ends_red
            && self.newest_ms >= watched_ms
            && self.next_green_ms.is_none_or(|next_ms| next_ms >= watched_ms)
            && self.presence_since_ms.is_some_and(|since_ms| since_ms < green_ms)
            && yellow_ms > green_ms;
        is_known.then(|| Split {
            green_occupancy: self.covered_ms(green_ms, yellow_ms) as f64 / (yellow_ms - green_ms) as f64,
            red_occupancy: self.covered_ms(self.end_ms, watched_ms) as f64 / RED_WATCHED_MS as f64,
        })
    }

    /// Time between two moments in which some detector was covered, milliseconds.
    fn covered_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        let (mut sum_ms, mut done_ms) = (0, from_ms);
        for &(on_ms, off_ms) in self.covered {
            let (on_ms, off_ms) = (on_ms.max(done_ms), off_ms.min(to_ms));
            if on_ms < off_ms {
                sum_ms += off_ms - on_ms;
                done_ms = off_ms;
            }
        }
        sum_ms
    }
}
