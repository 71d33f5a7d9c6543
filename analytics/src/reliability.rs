//! How reliable corridors are: the spread of their travel times over the last days.
//!
//! Upstream: [`crate::study`] gives one travel time a corridor and clock interval of five minutes. Downstream: the API,
//! [`crate::export`].
//!
//! Definitions of FHWA's freight mobility trends and of its rule for performance measures (23 CFR 490 subpart E):
//! planning time index = p95 / free-flow travel time, buffer index = (p95 − mean) / mean, level of travel time
//! reliability LOTTR = p80 / p50, the worst of four parts of the week (weekdays 06 to 10, 10 to 16, 16 to 20, weekends 06 to
//! 20, local time); 1.50 and above is unreliable. Intervals without data have no travel time and are not in it: the count
//! stands beside every figure. FHWA takes a year; we take the intervals that are retained and say how many they are.

use serde::{Deserialize, Serialize};

/// Length of an interval, milliseconds: FHWA's.
pub const INTERVAL_MS: i64 = 5 * 60_000;

/// Intervals that are kept for a corridor: four weeks. Beyond them the oldest goes; 97 KiB a corridor when full.
pub const INTERVALS_MAX: usize = 4 * 7 * 288;

/// Fewest travel times for any of the figures: below an hour of them the 95th percentile is the slowest one.
pub const INTERVALS_MIN: usize = 20;

/// LOTTR from which a corridor is unreliable (23 CFR 490.513).
pub const UNRELIABLE_FROM: f64 = 1.5;

/// Parts of the week with their LOTTR: weekend or not, first hour, hour after the last (23 CFR 490.511).
const PARTS: [(bool, i64, i64); 4] = [(false, 6, 10), (false, 10, 16), (false, 16, 20), (true, 6, 20)];

const HOUR_MS: i64 = 3_600_000;

/// Travel times of one corridor, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Ring {
    /// Begin of the interval, and seconds of travel time.
    times: std::collections::VecDeque<(i64, f32)>,
}

/// Travel times of all corridors. Bounded: [`INTERVALS_MAX`] times the corridors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reliability {
    rings: Vec<Ring>,
    utc_offset_ms: i64,
}

/// What is said of one corridor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reliable {
    /// Intervals with a travel time.
    pub intervals: usize,
    pub mean_s: f64,
    pub p50_s: f64,
    pub p80_s: f64,
    pub p95_s: f64,
    /// p95 over the travel time at free flow.
    pub planning_time_index: f64,
    /// (p95 − mean) / mean.
    pub buffer_index: f64,
    /// The worst of the parts of the week that have [`INTERVALS_MIN`] travel times; `None` when none has.
    pub lottr: Option<f64>,
}

impl Reliability {
    /// Nothing known of so many corridors.
    pub fn new(corridors: usize, utc_offset_s: i32) -> Self {
        Self { rings: vec![Ring::default(); corridors], utc_offset_ms: i64::from(utc_offset_s) * 1_000 }
    }

    /// Adds the travel time of a corridor in the interval that begins at a moment.
    pub fn add(&mut self, corridor: usize, start_ms: i64, travel_time_s: f64) {
        let Some(ring) = self.rings.get_mut(corridor) else { return };
        if ring.times.len() == INTERVALS_MAX {
            ring.times.pop_front();
        }
        ring.times.push_back((start_ms, travel_time_s as f32));
    }

    /// What the retained intervals say of a corridor; `None` below [`INTERVALS_MIN`].
    pub fn of(&self, corridor: usize, free_travel_time_s: f64) -> Option<Reliable> {
        let ring = self.rings.get(corridor)?;
        let all = sorted(ring.times.iter().map(|t| t.1));
        if all.len() < INTERVALS_MIN || free_travel_time_s <= 0.0 {
            return None;
        }
        let part = |&(weekend, begin, end): &(bool, i64, i64)| {
            let here = ring.times.iter().filter(|t| is_in(t.0 + self.utc_offset_ms, weekend, begin, end));
            let times = sorted(here.map(|t| t.1));
            (times.len() >= INTERVALS_MIN).then(|| percentile(&times, 0.80) / percentile(&times, 0.50))
        };
        let mean_s = all.iter().sum::<f64>() / all.len() as f64;
        let [p50_s, p80_s, p95_s] = [0.50, 0.80, 0.95].map(|share| percentile(&all, share));
        Some(Reliable {
            intervals: all.len(),
            mean_s,
            p50_s,
            p80_s,
            p95_s,
            planning_time_index: p95_s / free_travel_time_s,
            buffer_index: (p95_s - mean_s) / mean_s,
            lottr: PARTS.iter().filter_map(part).max_by(f64::total_cmp),
        })
    }
}

fn sorted(times: impl Iterator<Item = f32>) -> Vec<f64> {
    let mut times: Vec<f64> = times.map(f64::from).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The smallest value that at least a share of the values does not exceed (nearest rank).
fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1]
}

/// Whether a moment of the local clock lies in a part of the week.
fn is_in(local_ms: i64, weekend: bool, begin_h: i64, end_h: i64) -> bool {
    // The first day of 1970 was a Thursday: three days after a Monday.
    let weekday = (local_ms.div_euclid(24 * HOUR_MS) + 3).rem_euclid(7);
    let hour = local_ms.div_euclid(HOUR_MS).rem_euclid(24);
    (weekday >= 5) == weekend && (begin_h..end_h).contains(&hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2026-01-05 00:00 UTC.
    const MONDAY_MS: i64 = 1_767_571_200_000;

    #[test]
    fn indices_follow_their_definitions() {
        let mut reliability = Reliability::new(2, 0);
        for i in 1..=100 {
            reliability.add(0, MONDAY_MS + 6 * HOUR_MS + i64::from(i) * 1_000, f64::from(i));
        }
        let of = reliability.of(0, 50.0).unwrap();
        assert_eq!((of.intervals, of.p50_s, of.p80_s, of.p95_s), (100, 50.0, 80.0, 95.0));
        assert!((of.mean_s - 50.5).abs() < 1e-9 && (of.planning_time_index - 1.9).abs() < 1e-9);
        assert!((of.buffer_index - 44.5 / 50.5).abs() < 1e-9);
        assert_eq!(of.lottr, Some(1.6));
        assert_eq!(reliability.of(1, 50.0), None, "another corridor");
    }

    #[test]
    fn the_worst_part_of_the_week_decides_by_the_local_clock() {
        // 05:00 UTC on Monday is 06:00 in a city an hour ahead.
        let mut reliability = Reliability::new(1, 3_600);
        let mut day = |day: i64, hour: i64, slow_s: f64| {
            (0..30).for_each(|i| reliability.add(0, MONDAY_MS + (day * 24 + hour) * HOUR_MS + i, 100.0));
            (0..30).for_each(|i| reliability.add(0, MONDAY_MS + (day * 24 + hour) * HOUR_MS + i, slow_s));
        };
        day(0, 5, 120.0);
        day(0, 12, 110.0);
        day(5, 8, 130.0);
        // At night nobody counts.
        day(2, 2, 900.0);
        let lottr = reliability.of(0, 90.0).unwrap().lottr.unwrap();
        assert!((lottr - 1.3).abs() < 1e-6, "{lottr}");
    }

    #[test]
    fn few_intervals_say_nothing_and_old_ones_go() {
        let mut reliability = Reliability::new(1, 0);
        (0..INTERVALS_MIN - 1).for_each(|i| reliability.add(0, i as i64, 60.0));
        assert_eq!(reliability.of(0, 50.0), None);
        (0..INTERVALS_MAX).for_each(|i| reliability.add(0, i as i64, 70.0));
        let of = reliability.of(0, 50.0).unwrap();
        assert_eq!((of.intervals, of.p50_s), (INTERVALS_MAX, 70.0));
    }
}
