//! Raw positions without the ends of trips: where somebody set out and where he arrived says who he is.
//!
//! Upstream: [`super::Collector`]. A trip of a vehicle begins with its first position, and ends when it is silent or
//! stands for [`PAUSE_MS`]. A position is released once the vehicle has gone the metres of [`Trim`] and so many seconds
//! both since its trip began and after it; what cannot be released by then is left out. Distances are straight lines, so
//! that errors of a standing vehicle do not add up to a way. Homes and workplaces are found from such ends: Krumm,
//! "Inference Attacks on Location Tracks", Pervasive 2007, who also shows that cutting a neighbourhood around them out
//! works where noise does not.
//!
//! Only positions in order of time are kept; who comes late within a trip is left out.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// A vehicle that is silent for so long, or does not leave [`PAUSE_M`], has ended its trip, milliseconds.
const PAUSE_MS: i64 = 5 * 60_000;
const PAUSE_M: f64 = 50.0;

/// Most vehicles at a time; positions of further ones are left out.
const VEHICLES_MAX: usize = 100_000;

/// Most positions of a vehicle that wait; the oldest is left out then.
const WAITING_MAX: usize = 1_000;

/// Metres of a degree of latitude, on a sphere of 6,371 km.
const DEGREE_M: f64 = 111_195.0;

/// How much of each end of a trip is left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trim {
    pub metres: f64,
    pub ms: i64,
}

impl Default for Trim {
    /// Half a kilometre and three minutes: some hundreds of doors.
    fn default() -> Self {
        Self { metres: 500.0, ms: 180_000 }
    }
}

/// A report of a position.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    pub time_ms: i64,
    pub lon_deg: f64,
    pub lat_deg: f64,
    pub speed_mps: Option<f32>,
    pub heading_deg: Option<f32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Trip {
    first: Fix,
    /// Where it has been since, within [`PAUSE_M`].
    around: Fix,
    last_ms: i64,
    /// Far enough from where it began.
    is_away: bool,
    waiting: VecDeque<Fix>,
}

/// The trips that are under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Trips {
    pub(super) trim: Trim,
    by_vehicle: BTreeMap<u64, Trip>,
}

impl Fix {
    fn metres_to(&self, other: &Self) -> f64 {
        let north = (self.lat_deg - other.lat_deg) * DEGREE_M;
        let east = (self.lon_deg - other.lon_deg) * DEGREE_M * self.lat_deg.to_radians().cos();
        north.hypot(east)
    }
}

impl Trim {
    fn is_between(&self, earlier: &Fix, later: &Fix) -> bool {
        later.time_ms - earlier.time_ms >= self.ms && later.metres_to(earlier) >= self.metres
    }
}

impl Trips {
    pub(super) fn new(trim: Trim) -> Self {
        Self { trim, by_vehicle: BTreeMap::new() }
    }

    /// Takes a position in and releases those that are far from both ends; gives how many are left out for good. A
    /// position whose release is refused is left out too.
    pub(super) fn see(&mut self, vehicle: u64, fix: Fix, mut release: impl FnMut(Fix) -> bool) -> u64 {
        let trim = self.trim;
        let Some(trip) = self.by_vehicle.get_mut(&vehicle) else {
            if self.by_vehicle.len() < VEHICLES_MAX {
                self.by_vehicle.insert(vehicle, Trip::new(fix));
            }
            return 1;
        };
        if fix.time_ms < trip.last_ms {
            return 1;
        }
        if fix.metres_to(&trip.around) > PAUSE_M {
            trip.around = fix;
        }
        if fix.time_ms - trip.last_ms > PAUSE_MS || fix.time_ms - trip.around.time_ms > PAUSE_MS {
            let left_out = trip.waiting.len() as u64 + 1;
            *trip = Trip::new(fix);
            return left_out;
        }
        trip.last_ms = fix.time_ms;
        trip.is_away |= trim.is_between(&trip.first, &fix);
        if !trip.is_away {
            return 1;
        }
        trip.waiting.push_back(fix);
        let mut left_out = 0;
        while let Some(oldest) = trip.waiting.front().copied() {
            // Held against where it last was on its way: standing is no distance and no time.
            if trim.is_between(&oldest, &trip.around) {
                left_out += u64::from(!release(oldest));
            } else if trip.waiting.len() > WAITING_MAX {
                left_out += 1;
            } else {
                break;
            }
            trip.waiting.pop_front();
        }
        left_out
    }

    /// Leaves out what was stamped before a moment and is not released by now; gives how many.
    pub(super) fn end_before(&mut self, before_ms: i64) -> u64 {
        let mut left_out = 0;
        self.by_vehicle.retain(|_, trip| {
            while trip.waiting.front().is_some_and(|fix| fix.time_ms < before_ms) {
                trip.waiting.pop_front();
                left_out += 1;
            }
            let is_silent = trip.last_ms < before_ms;
            left_out += if is_silent { trip.waiting.len() as u64 } else { 0 };
            !is_silent
        });
        left_out
    }
}

impl Trip {
    fn new(first: Fix) -> Self {
        Self { first, around: first, last_ms: first.time_ms, is_away: false, waiting: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vehicle that drives north at 10 m/s, a position every second.
    fn drive(from_s: i64, seconds: i64) -> Vec<Fix> {
        let fix = |s: i64| Fix {
            time_ms: s * 1_000,
            lon_deg: 24.0,
            lat_deg: 60.0 + s as f64 * 10.0 / DEGREE_M,
            speed_mps: None,
            heading_deg: None,
        };
        (from_s..from_s + seconds).map(fix).collect()
    }

    fn released(fixes: &[Fix]) -> (Vec<i64>, u64, u64) {
        let (mut trips, mut out, mut left_out) = (Trips::new(Trim::default()), Vec::new(), 0);
        for fix in fixes {
            left_out += trips.see(7, *fix, |fix| {
                out.push(fix.time_ms / 1_000);
                true
            });
        }
        (out, left_out, trips.end_before(i64::MAX))
    }

    #[test]
    fn both_ends_of_a_trip_are_left_out() {
        let (out, left_out, at_end) = released(&drive(0, 1_000));
        // Three minutes, which are more than half a kilometre here; at the end up to 50 m more.
        let last = out.last().copied().unwrap();
        assert_eq!(out, (180..=last).collect::<Vec<_>>());
        assert!((813..=819).contains(&last), "{last}");
        assert_eq!((left_out, at_end), (180, (999 - last).unsigned_abs()));
    }

    #[test]
    fn a_pause_ends_a_trip_and_a_short_trip_leaves_nothing() {
        let mut fixes = drive(0, 600);
        let parked = *fixes.last().unwrap();
        fixes.extend((600..1_000).map(|s| Fix { time_ms: s * 1_000, ..parked }));
        fixes.extend(drive(1_000, 200));
        let (out, left_out, at_end) = released(&fixes);
        let last = out.last().copied().unwrap();
        assert!(out[0] == 180 && (413..=419).contains(&last), "nothing near the place where it stood: {last}");
        assert_eq!(out.len() as u64 + left_out + at_end, fixes.len() as u64);
        assert!(released(&drive(0, 300)).0.is_empty());
    }

    #[test]
    fn standing_at_the_end_releases_nothing_more_however_long_it_lasts() {
        let mut fixes = drive(0, 400);
        let end = *fixes.last().unwrap();
        // Noise of 8 m around the place: no way comes of it.
        fixes.extend((400..4_000).map(|s| {
            let lat_deg = end.lat_deg + (s % 3) as f64 * 8.0 / DEGREE_M;
            Fix { time_ms: s * 1_000, lat_deg, ..end }
        }));
        let (out, ..) = released(&fixes);
        // Three minutes before it arrived; noise counts as arriving for a moment.
        assert!(out.last().is_some_and(|last| (213..=222).contains(last)), "{:?}", out.last());
    }
}
