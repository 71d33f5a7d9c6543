//! The effective length of vehicles over one loop: the factor g between occupancy and density.
//!
//! Upstream: [`super::Detector`]. After PeMS (Jia, Chen, Coifman, Varaiya, "The PeMS algorithms for accurate,
//! real-time estimates of g-factors and speeds from single-loop detectors", ITSC 2001): while traffic flows freely its
//! speed is known, so occupied seconds times that speed over vehicles is their mean length, loop included. Free flow
//! are the intervals below the 60th percentile of a week's occupancies. Where the loop measures speed itself, those speeds
//! are taken in place of the street's free-flow speed, which may be a sign and no speed.

use serde::{Deserialize, Serialize};

use super::Reading;

/// Effective length before it is learnt, metres: 22 ft, PeMS' own starting value.
pub(super) const DEFAULT_M: f64 = 6.7;

/// Lengths outside of this are no vehicles, metres; an estimate is held inside.
const RANGE_M: std::ops::RangeInclusive<f64> = 2.0..=20.0;

/// Lengths outside of this come of an occupancy in another unit, metres.
const PLAUSIBLE_M: std::ops::RangeInclusive<f64> = 1.0..=40.0;

/// Fewest vehicles for which an estimate is taken: a mean of 200 lengths with the spread of cars and lorries
/// (a third of the mean) is within 5 % in 95 of 100 cases.
const VEHICLES_MIN: u64 = 200;

/// Share of the intervals, from the least occupied, that count as free flow.
const FREE_SHARE: f64 = 0.6;

const WEEK_MS: i64 = 7 * 86_400_000;

/// Bins of half a percent up to 20 %, then of 8 %: free flow is found among the fine ones.
const BINS: usize = 50;

/// What was seen at one level of occupancy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    intervals: u32,
    vehicles: u32,
    covered_s: f64,
    /// Of the vehicles, those whose speed was measured; and how far they drove while they covered the loop.
    timed: u32,
    covered_m: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "SavedWeek", into = "SavedWeek")]
struct Week {
    number: i64,
    bins: Vec<Bin>,
}

/// An estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Length {
    pub(super) metres: f64,
    /// Whether it was learnt from this loop, and is not the default.
    pub(super) is_learnt: bool,
    /// Whether vehicles of such a length exist at all.
    pub(super) is_plausible: bool,
}

/// Two weeks of occupancies: the one that runs, and the one before for as long as the running one has too little.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct EffectiveLength {
    running: Option<Box<Week>>,
    before: Option<Box<Week>>,
}

impl EffectiveLength {
    /// Counts an interval in; one of a week that is neither the running nor the last one is left out.
    pub(super) fn apply(&mut self, reading: &Reading) {
        let measured = reading.occupancy.filter(|o| (0.0..=1.0).contains(o)).zip(reading.count);
        let Some((occupancy, count)) = measured else { return };
        let number = reading.start_ms.div_euclid(WEEK_MS);
        let running = self.running.get_or_insert_with(|| Week::new(number));
        if number > running.number {
            let last = std::mem::replace(running, Week::new(number));
            self.before = Some(last);
        }
        let week = match &mut self.before {
            _ if running.number == number => running,
            Some(before) if before.number == number => before,
            Some(_) | None => return,
        };
        let bin = &mut week.bins[bin_of(f64::from(occupancy))];
        bin.intervals += 1;
        bin.vehicles = bin.vehicles.saturating_add(count);
        bin.covered_s += f64::from(occupancy) * reading.seconds();
        if let Some(mps) = reading.speed_mps {
            bin.timed = bin.timed.saturating_add(count);
            bin.covered_m += f64::from(occupancy) * reading.seconds() * f64::from(mps);
        }
    }

    /// Lets go of the speeds that the loop measured this week: they were in another unit.
    pub(super) fn forget_speeds(&mut self) {
        for bin in self.running.iter_mut().flat_map(|week| &mut week.bins) {
            (bin.timed, bin.covered_m) = (0, 0.0);
        }
    }

    /// The length where free traffic drives at `free_mps`, unless the loop measures that itself.
    pub(super) fn learnt(&self, free_mps: f64) -> Length {
        let weeks = [&self.running, &self.before];
        let learnt = weeks.into_iter().flatten().find_map(|week| week.metres(free_mps));
        match learnt {
            Some(metres) => Length {
                metres: metres.clamp(*RANGE_M.start(), *RANGE_M.end()),
                is_learnt: true,
                is_plausible: PLAUSIBLE_M.contains(&metres),
            },
            None => Length { metres: DEFAULT_M, is_learnt: false, is_plausible: true },
        }
    }
}

impl Week {
    fn new(number: i64) -> Box<Self> {
        Box::new(Self { number, bins: vec![Bin::default(); BINS] })
    }

    fn metres(&self, free_mps: f64) -> Option<f64> {
        let intervals: u64 = self.bins.iter().map(|b| u64::from(b.intervals)).sum();
        let wanted = intervals as f64 * FREE_SHARE;
        let (mut seen, mut vehicles, mut covered_s, mut timed, mut covered_m) = (0.0, 0, 0.0, 0, 0.0);
        for bin in &self.bins {
            if seen >= wanted {
                break;
            }
            seen += f64::from(bin.intervals);
            vehicles += u64::from(bin.vehicles);
            covered_s += bin.covered_s;
            timed += u64::from(bin.timed);
            covered_m += bin.covered_m;
        }
        if timed >= VEHICLES_MIN {
            return Some(covered_m / timed as f64);
        }
        (vehicles >= VEHICLES_MIN).then(|| free_mps * covered_s / vehicles as f64)
    }
}

/// A week in a checkpoint: only the bins in which something was seen, most have none.
#[derive(Serialize, Deserialize)]
struct SavedWeek {
    number: i64,
    bins: Vec<(usize, Bin)>,
}

impl From<Week> for SavedWeek {
    fn from(week: Week) -> Self {
        let seen = week.bins.into_iter().enumerate().filter(|(_, bin)| *bin != Bin::default());
        Self { number: week.number, bins: seen.collect() }
    }
}

impl From<SavedWeek> for Week {
    fn from(saved: SavedWeek) -> Self {
        let mut week = *Self::new(saved.number);
        for (at, bin) in saved.bins {
            // A bin that is not there was written by nobody.
            week.bins.get_mut(at).into_iter().for_each(|place| *place = bin);
        }
        week
    }
}

fn bin_of(occupancy: f64) -> usize {
    let percent = occupancy * 100.0;
    let bin = if percent < 20.0 { percent * 2.0 } else { 40.0 + (percent - 20.0) / 8.0 };
    (bin as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(at: i64, count: u32, occupancy: f32) -> Reading {
        Reading {
            start_ms: at * 60_000,
            end_ms: (at + 1) * 60_000,
            count: Some(count),
            occupancy: Some(occupancy),
            speed_mps: None,
        }
    }

    #[test]
    fn too_few_vehicles_keep_the_default() {
        let mut length = EffectiveLength::default();
        length.apply(&reading(0, 199, 0.01));
        assert_eq!(length.learnt(20.0).metres, DEFAULT_M);
    }

    #[test]
    fn last_week_counts_until_this_one_has_enough() {
        let mut length = EffectiveLength::default();
        let week = 7 * 24 * 60;
        (0..50).for_each(|at| length.apply(&reading(at, 10, 0.05)));
        // 0.05 × 60 s × 20 m/s / 10 vehicles.
        assert!((length.learnt(20.0).metres - 6.0).abs() < 1e-6);
        length.apply(&reading(week, 10, 0.1));
        assert!((length.learnt(20.0).metres - 6.0).abs() < 1e-6);
        (0..50).for_each(|at| length.apply(&reading(week + at, 10, 0.1)));
        assert!((length.learnt(20.0).metres - 12.0).abs() < 1e-6);
        // What comes late for last week goes there, and what is older goes nowhere.
        length.apply(&reading(7, 1_000, 0.9));
        length.apply(&reading(-week, 1_000, 0.001));
        assert!((length.learnt(20.0).metres - 12.0).abs() < 1e-6);
    }

    #[test]
    fn a_loop_that_measures_speed_needs_no_free_flow_speed() {
        let mut length = EffectiveLength::default();
        (0..50).for_each(|at| length.apply(&Reading { speed_mps: Some(10.0), ..reading(at, 10, 0.1) }));
        // 0.1 × 60 s × 10 m/s / 10 vehicles, whatever the street's sign says.
        assert!((length.learnt(27.0).metres - 6.0).abs() < 1e-6);
    }

    #[test]
    fn percent_in_place_of_a_fraction_makes_no_vehicles() {
        let mut length = EffectiveLength::default();
        (0..50).for_each(|at| length.apply(&reading(at, 10, 0.000_5)));
        let learnt = length.learnt(20.0);
        assert_eq!((learnt.metres, learnt.is_learnt, learnt.is_plausible), (2.0, true, false));
    }

    #[test]
    fn every_occupancy_has_a_bin() {
        assert_eq!([0.0, 0.004, 0.005, 0.199, 0.2, 0.28, 1.0].map(bin_of), [0, 0, 1, 39, 40, 41, 49]);
    }
}
