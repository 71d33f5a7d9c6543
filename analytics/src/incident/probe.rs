//! Incidents from probes alone: a segment that is blocked, and one that is much slower than it ever is.
//!
//! Upstream: [`crate::study`] gives the sums of every pane of ten seconds. Downstream: [`super::Alarms`].
//!
//! **`probe-block`.** Where a lane is closed vehicles gather and nobody gets on; at a red light they do so too, but not for
//! long. From the sums of a segment: it **holds** while the vehicles on it (time spent over ten seconds) do not become fewer by
//! [`LEFT_S`], and nothing moves on it without vehicles becoming more (who moves where nobody arrives has somewhere to go).
//! It is **suspect** while it holds, at least [`VEHICLES_MIN`] vehicles are on it, the last minute's speed is below
//! [`SLOW_MPS`], the segments ahead have room (a queue that reaches back from ahead is not an incident here), and those that
//! arrived since stand too early: at a red light the n-th of them drives the segment's length less n vehicles of
//! [`QUEUED_M`] on its lane, before a closure it drives less; together at least [`MISSING_SHARE`] of the length each. Vehicles
//! that get on while others arrive drive more than that, so they hide nothing. An alarm is raised when it is suspect, has
//! held for [`HOLD_PANES`] panes less [`PANES_PER_ARRIVAL`] for every arrival after the first, and for [`LEARNT_FACTOR`]
//! times the longest that it ever held while suspect. Trips that begin on a segment teach it what is usual there; what is
//! held during an alarm teaches nothing, and what was learnt fades by 2 % a day. A closure close to the end of a segment
//! looks like a red light, and is not seen. The thresholds were chosen on 60 simulated closures (`docs/accuracy-incidents.md`).
//!
//! **`probe-speed-drop`.** The plain rule, for comparison: the speed of two minutes lies three standard deviations below its mean
//! at this time of day (eight parts of three hours) and below a quarter of it, for a minute. A standard normal deviate as
//! in Dudek, Messer and Nuckles, Incident detection on urban freeways, TRR 495, 1974, applied to speed.
//!
//! Neither raises an alarm in its first hour. Memory is 300 bytes a segment.

use roads::{Network, SegmentIndex};
use serde::{Deserialize, Serialize};

use super::{Alarm, Alarms, Algorithm};
use crate::cell::PANE_MS;
use crate::pane::Totals;

/// No alarm before so much event time was seen.
pub const LEARN_MS: i64 = 3_600_000;

/// A segment holds until this much less time was spent on it in a pane than at the most, seconds.
const LEFT_S: f32 = 2.0;

/// Metres driven in three panes that are nothing but closing up.
const CREEP_M: f32 = 5.0;

/// Vehicle-seconds in a pane from which somebody stands there.
const PRESENT_S: f32 = 5.0;

/// Vehicles that must stand, less a tenth of one for fixes that come late.
const VEHICLES_MIN: f32 = 1.9;

/// Speed of the last minute below which a segment can be blocked, m/s: walking pace.
const SLOW_MPS: f32 = 1.5;

/// Road that a queued vehicle takes: a car is 7.5 m with its gap, some are longer.
const QUEUED_M: f32 = 9.0;

/// Share of the segment's length that an arrival must be short of the end of the queue from the stop line.
const MISSING_SHARE: f32 = 0.4;

/// Arrivals from which that is judged, less a tenth as above.
const ARRIVALS_MIN: f32 = 0.9;

/// Share of a segment ahead that may be covered by vehicles of 7.5 m for it to have room.
const ROOM_SHARE: f32 = 0.6;
const VEHICLE_M: f32 = 7.5;

/// Panes that a segment must hold with one arrival, by how many fewer with each further one, and at least.
const HOLD_PANES: f32 = 10.0;
const PANES_PER_ARRIVAL: f32 = 1.5;
const HOLD_PANES_MIN: f32 = 5.0;

/// By how much a hold must exceed the longest one that was learnt.
const LEARNT_FACTOR: f32 = 1.7;

/// What is left of the longest hold after each day.
const FADE_A_DAY: f32 = 0.98;

/// Panes in memory: two minutes.
const PANES: usize = 12;
const MINUTE_PANES: usize = 6;

/// Parts of the day with a profile of speed.
const DAY_PARTS: usize = 8;
const PART_MS: i64 = 3 * 3_600_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// Samples of a profile before it can be held against, and what a drop is.
const SAMPLES_MIN: u32 = 30;
const DEVIATIONS: f32 = 3.0;
const DROP_RATIO: f32 = 0.25;

/// Speed of two minutes at one time of day: number, mean, sum of squared differences from it (Welford 1962).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Profile {
    n: u32,
    mean: f32,
    squares: f32,
}

/// One segment. The ring is by pane, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Street {
    distance_m: [f32; PANES],
    time_s: [f32; PANES],
    /// Panes since the hold began, the most time in one of them, the time at its begin, and metres since.
    hold: u16,
    most_s: f32,
    first_s: f32,
    driven_m: f32,
    /// Longest hold while suspect, in panes, and the one that runs.
    learnt: f32,
    suspect: u16,
    profiles: [Profile; DAY_PARTS],
    /// Panes for which speed has been far below the profile.
    low: u16,
    is_blocked: bool,
    is_dropped: bool,
}

/// All segments. Bounded: one entry a segment of the network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probes {
    streets: Vec<Street>,
    /// Event time that was watched, and the day of the newest pane.
    watched_ms: i64,
    day: i64,
}

impl Probes {
    /// Nothing seen yet on so many segments.
    pub fn new(segments: usize) -> Self {
        Self { streets: vec![Street::default(); segments], watched_ms: 0, day: 0 }
    }

    /// The same at the begin of another recording: what is usual stays, what was going on does not.
    #[must_use]
    pub fn on_another_day(mut self) -> Self {
        for street in &mut self.streets {
            *street = Street { learnt: street.learnt, profiles: street.profiles, ..Street::default() };
        }
        self
    }

    /// Takes a pane; `known_ms` is when its alarms could be raised.
    pub fn pane(&mut self, network: &Network, end_ms: i64, known_ms: i64, pane: &Totals, alarms: &mut Alarms) {
        self.watched_ms += PANE_MS;
        let may_raise = self.watched_ms > LEARN_MS;
        let day = end_ms.div_euclid(DAY_MS);
        if std::mem::replace(&mut self.day, day) != day {
            self.streets.iter_mut().for_each(|s| s.learnt *= FADE_A_DAY);
        }
        let mut rows = pane.segment.iter().enumerate().peekable();
        for (at, street) in self.streets.iter_mut().enumerate() {
            let row = rows.next_if(|(_, segment)| **segment as usize == at).map(|(row, _)| row);
            let (distance_m, time_s) = row.map_or((0.0, 0.0), |row| (pane.distance_m[row], pane.time_s[row]));
            street.push(distance_m as f32, time_s as f32);
        }
        let part = end_ms.rem_euclid(DAY_MS).div_euclid(PART_MS) as usize % DAY_PARTS;
        let at_minute = end_ms % 60_000 == 0;
        for at in 0..self.streets.len() {
            if self.streets[at].is_quiet() && !self.streets[at].stands() {
                continue;
            }
            let segment = SegmentIndex(at as u32);
            let meta = network.segment(segment);
            let lanes = f32::from(meta.lanes.max(1));
            let has_room = || network.successors(segment).iter().all(|to| self.has_room(network, *to));
            let is_suspect = self.streets[at].is_suspect(meta.length_m as f32, lanes) && has_room();
            let street = &mut self.streets[at];
            street.block(is_suspect, may_raise);
            street.drop(part, may_raise, at_minute);
            let alarm = |algorithm| Alarm {
                algorithm,
                segment,
                begin_ms: known_ms,
                end_ms: None,
                speed_mps: street.speed_mps(MINUTE_PANES).map(f64::from),
                vehicles: (street.time_s[PANES - 1] / 10.0).round() as u64,
            };
            let (blocked, dropped) = (Algorithm::ProbeBlock, Algorithm::ProbeSpeedDrop);
            alarms.set(blocked, segment.0, street.is_blocked, known_ms, || alarm(blocked));
            alarms.set(dropped, segment.0, street.is_dropped, known_ms, || alarm(dropped));
        }
    }

    /// Whether vehicles could drive on into a segment in the last minute.
    fn has_room(&self, network: &Network, at: SegmentIndex) -> bool {
        let meta = network.segment(at);
        let vehicles = self.streets[at.at()].last(MINUTE_PANES).1 / (MINUTE_PANES as f32 * 10.0);
        vehicles * VEHICLE_M <= ROOM_SHARE * meta.length_m as f32 * f32::from(meta.lanes.max(1))
    }
}

impl Street {
    fn push(&mut self, distance_m: f32, time_s: f32) {
        self.distance_m.rotate_left(1);
        self.time_s.rotate_left(1);
        (self.distance_m[PANES - 1], self.time_s[PANES - 1]) = (distance_m, time_s);
        let three_m: f32 = self.distance_m[PANES - 3..].iter().sum();
        let moves_on = three_m > CREEP_M && time_s < self.time_s[PANES - 4] + PRESENT_S;
        if time_s < PRESENT_S || time_s < self.most_s - LEFT_S || moves_on {
            (self.hold, self.most_s, self.first_s, self.driven_m) = (0, time_s, time_s, 0.0);
        } else {
            self.hold = self.hold.saturating_add(1);
            self.most_s = self.most_s.max(time_s);
            self.driven_m += distance_m;
        }
    }

    /// Metres and seconds of the last panes.
    fn last(&self, panes: usize) -> (f32, f32) {
        let sum = |of: &[f32; PANES]| of[PANES - panes..].iter().sum();
        (sum(&self.distance_m), sum(&self.time_s))
    }

    fn speed_mps(&self, panes: usize) -> Option<f32> {
        let (distance_m, time_s) = self.last(panes);
        (time_s > 0.0).then(|| distance_m / time_s)
    }

    fn is_quiet(&self) -> bool {
        self.time_s.iter().all(|s| *s == 0.0)
    }

    fn stands(&self) -> bool {
        self.is_blocked || self.is_dropped
    }

    /// Vehicles more than at the begin of the hold.
    fn arrivals(&self) -> f32 {
        (self.time_s[PANES - 1] - self.first_s) / 10.0
    }

    fn is_suspect(&self, length_m: f32, lanes: f32) -> bool {
        let (before, now) = (self.first_s / 10.0, self.time_s[PANES - 1] / 10.0);
        let arrivals = self.arrivals();
        // The integral of (length − vehicles on a lane × their road) over the arrivals.
        let expected_m = arrivals * length_m - QUEUED_M / 2.0 * (now * now - before * before) / lanes;
        self.hold > 0
            && now >= VEHICLES_MIN
            && self.speed_mps(MINUTE_PANES).is_some_and(|v| v < SLOW_MPS)
            && arrivals >= ARRIVALS_MIN
            && expected_m - self.driven_m >= MISSING_SHARE * arrivals * length_m
    }

    fn block(&mut self, is_suspect: bool, may_raise: bool) {
        if self.hold == 0 {
            // A hold that was an incident is not what is usual.
            if !self.is_blocked {
                self.learnt = self.learnt.max(f32::from(self.suspect));
            }
            (self.suspect, self.is_blocked) = (0, false);
        } else if is_suspect {
            self.suspect = self.hold;
            let hold = f32::from(self.hold);
            let needed = (HOLD_PANES - PANES_PER_ARRIVAL * (self.arrivals() - 1.0)).max(HOLD_PANES_MIN);
            self.is_blocked |= may_raise && hold >= needed && hold > LEARNT_FACTOR * self.learnt;
        }
    }

    fn drop(&mut self, part: usize, may_raise: bool, at_minute: bool) {
        let Some(speed) = self.speed_mps(PANES) else {
            (self.low, self.is_dropped) = (0, false);
            return;
        };
        let profile = &mut self.profiles[part];
        let deviation = (profile.squares / profile.n.max(2) as f32).sqrt();
        let is_low = profile.n >= SAMPLES_MIN
            && speed < profile.mean - DEVIATIONS * deviation
            && speed < DROP_RATIO * profile.mean
            && self.time_s[PANES - 1] >= VEHICLES_MIN * 10.0;
        self.low = if is_low { self.low.saturating_add(1) } else { 0 };
        self.is_dropped = if self.is_dropped { is_low } else { may_raise && usize::from(self.low) > MINUTE_PANES };
        if at_minute && !self.is_dropped {
            profile.n += 1;
            let from_mean = speed - profile.mean;
            profile.mean += from_mean / profile.n as f32;
            profile.squares += from_mean * (speed - profile.mean);
            if profile.n >= 10_000 {
                (profile.n, profile.squares) = (profile.n / 2, profile.squares / 2.0);
            }
        }
    }
}

#[cfg(test)]
mod tests;
