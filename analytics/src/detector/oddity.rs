//! What detectors say that cannot be taken as it stands: a closed list, each with its rule and its counter.
//!
//! Upstream: [`super::Detectors`]. Downstream: `/metrics`, `/api/v1/detectors`, `arterial detectors`. What is impossible
//! (occupancy 250 %, a count of -3) is refused before, with a reason; what is here is possible and must not be averaged in.

use serde::{Deserialize, Serialize};

use super::Reading;

/// From this occupancy a detector is covered all the time.
const FULL: f32 = 0.999;

/// A hole of more than this is one of days, milliseconds.
const DAY_MS: i64 = 86_400_000;

/// An oddity, in the order of the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Oddity {
    /// Vehicles passed at speed 0. The speed is not believed; flow and occupancy are.
    SpeedZeroWithFlow,
    /// Covered all the time and nothing passed. Believed: a vehicle stands there. If it lasts, the rules of health see it.
    FullWithoutFlow,
    /// Vehicles passed, and it was never covered. No density and no derived speed come of it.
    FlowWithoutOccupancy,
    /// Nothing passed, so there is no speed, whatever is written in its place (-1, 0, NULL).
    NothingPassed,
    /// NULL, empty or -1 where a count belongs. Never 0.
    CountNotSaid,
    /// The same for occupancy.
    OccupancyNotSaid,
    /// Vehicles passed and no speed is said.
    SpeedNotSaid,
    /// Intervals are missing before this one. Nothing is filled in.
    Hole,
    /// The same, for a day or more: the run of one occupancy is broken, and the days between have no verdict but
    /// "too few samples".
    HoleOfDays,
    /// It begins before the newest one, and is counted in; it does not become the newest.
    OutOfOrder,
    /// It begins before the newest one ended. Counted in as it is.
    Overlap,
    /// Intervals are of another length than before. Rates are of each interval's own length, so nothing else changes.
    LengthChanged,
    /// The day's speeds are those of before times a ratio of units (mph, km/h, m/s). Not believed until they return.
    SpeedUnitChanged,
    /// Seconds covered by a vehicle are twenty times those of before, or a twentieth: percent in place of a fraction or
    /// the reverse. Occupancy is not believed until it returns.
    OccupancyUnitChanged,
    /// Vehicles would be shorter than 1 m or longer than 40 m: occupancy is in a unit that nobody told us. Neither
    /// density nor derived speed come of it.
    ImplausibleLength,
    /// Occupancy or speed far from what is usual at this detector and hour. Told, and believed: it may be an incident.
    Unusual,
}

impl Oddity {
    /// Every oddity.
    pub const ALL: [Self; 16] = [
        Self::SpeedZeroWithFlow,
        Self::FullWithoutFlow,
        Self::FlowWithoutOccupancy,
        Self::NothingPassed,
        Self::CountNotSaid,
        Self::OccupancyNotSaid,
        Self::SpeedNotSaid,
        Self::Hole,
        Self::HoleOfDays,
        Self::OutOfOrder,
        Self::Overlap,
        Self::LengthChanged,
        Self::SpeedUnitChanged,
        Self::OccupancyUnitChanged,
        Self::ImplausibleLength,
        Self::Unusual,
    ];

    /// The name in labels, tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpeedZeroWithFlow => "speed_zero_with_flow",
            Self::FullWithoutFlow => "full_without_flow",
            Self::FlowWithoutOccupancy => "flow_without_occupancy",
            Self::NothingPassed => "nothing_passed",
            Self::CountNotSaid => "count_not_said",
            Self::OccupancyNotSaid => "occupancy_not_said",
            Self::SpeedNotSaid => "speed_not_said",
            Self::Hole => "hole",
            Self::HoleOfDays => "hole_of_days",
            Self::OutOfOrder => "out_of_order",
            Self::Overlap => "overlap",
            Self::LengthChanged => "length_changed",
            Self::SpeedUnitChanged => "speed_unit_changed",
            Self::OccupancyUnitChanged => "occupancy_unit_changed",
            Self::ImplausibleLength => "implausible_length",
            Self::Unusual => "unusual",
        }
    }
}

/// How often each was seen. Each number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oddities {
    counts: [u64; Oddity::ALL.len()],
    /// Intervals that are missing in all holes together.
    pub intervals_missing: u64,
}

impl Oddities {
    /// One more.
    pub(super) fn count(&mut self, oddity: Oddity) {
        self.counts[oddity as usize] += 1;
    }

    /// How many of one.
    pub fn of(&self, oddity: Oddity) -> u64 {
        self.counts[oddity as usize]
    }

    /// Each with its number, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Oddity, u64)> {
        Oddity::ALL.into_iter().zip(self.counts)
    }

    /// Adds those of another.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(sum, more)| *sum += more);
        self.intervals_missing += other.intervals_missing;
    }

    /// Counts what is odd about an interval by itself; gives it as it is believed.
    pub(super) fn judge(&mut self, mut reading: Reading) -> Reading {
        match reading.count {
            None => self.count(Oddity::CountNotSaid),
            Some(0) => {
                self.count(Oddity::NothingPassed);
                reading.speed_mps = None;
                if reading.occupancy.is_some_and(|share| share >= FULL) {
                    self.count(Oddity::FullWithoutFlow);
                }
            }
            Some(_) => {
                if reading.speed_mps == Some(0.0) {
                    self.count(Oddity::SpeedZeroWithFlow);
                    reading.speed_mps = None;
                } else if reading.speed_mps.is_none() {
                    self.count(Oddity::SpeedNotSaid);
                }
                if reading.occupancy == Some(0.0) {
                    self.count(Oddity::FlowWithoutOccupancy);
                }
            }
        }
        if reading.occupancy.is_none() {
            self.count(Oddity::OccupancyNotSaid);
        }
        reading
    }

    /// Counts what is odd about when an interval lies, after the newest one.
    pub(super) fn place(&mut self, newest: &Reading, reading: &Reading) {
        let (was_ms, is_ms) = (newest.end_ms - newest.start_ms, reading.end_ms - reading.start_ms);
        let hole_ms = reading.start_ms - newest.end_ms;
        if reading.start_ms < newest.start_ms {
            self.count(Oddity::OutOfOrder);
        } else if hole_ms < 0 {
            self.count(Oddity::Overlap);
        } else if hole_ms * 2 >= is_ms {
            // Half an interval and more: clocks of detectors wander by less.
            self.count(if hole_ms >= DAY_MS { Oddity::HoleOfDays } else { Oddity::Hole });
            self.intervals_missing += ((hole_ms + is_ms / 2) / is_ms).max(1) as u64;
        }
        if was_ms != is_ms {
            self.count(Oddity::LengthChanged);
        }
    }
}
