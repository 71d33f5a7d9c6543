//! Whether a loop can be believed: the rules of PeMS, over a service day of 05:00 to 22:00.
//!
//! Upstream: [`super::Detector`]. The rules and their limits are those of Chen, Kwon, Rice, Skabardonis and Varaiya,
//! "Detecting errors and imputing missing data for single-loop surveillance systems" (TRR 1855, 2003), as PeMS
//! applies them. They judge a day, since most faults last for days and a single odd interval is traffic.

use serde::{Deserialize, Serialize};

use super::Reading;

const DAY_MS: i64 = 86_400_000;

/// The service day, hours of the local clock.
const SERVICE_H: std::ops::Range<i64> = 5..22;

/// Fewest intervals, of those that a whole service day has.
const SAMPLES_SHARE_MIN: f64 = 0.60;

/// Most intervals with occupancy 0.
const ZERO_SHARE_MAX: f64 = 0.59;

/// Above this occupancy an interval counts as high.
const HIGH_OCCUPANCY: f32 = 0.7;

/// Most intervals with high occupancy.
const HIGH_SHARE_MAX: f64 = 0.20;

/// Most intervals that are occupied though nothing passed. A vehicle that stands on the loop does that honestly.
const OCCUPIED_EMPTY_SHARE_MAX: f64 = 0.02;

/// Most intervals in which vehicles passed though the loop was never occupied.
const UNOCCUPIED_FLOW_SHARE_MAX: f64 = 0.50;

/// Longest run of intervals with one and the same occupancy above 0.
const SAME_OCCUPANCY_MAX: u32 = 50;

/// What is wrong with a detector, the first rule that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    Good,
    /// Fewer than 60 % of the day's intervals arrived.
    TooFewSamples,
    /// Occupancy 0 in more than 59 %: the loop or its card is dead.
    ZeroOccupancy,
    /// Occupancy above 0.7 in more than 20 %: the loop hangs on.
    HighOccupancy,
    /// Occupied in more than 2 % while nothing passed.
    OccupiedWithoutFlow,
    /// Vehicles in more than half of the intervals though never occupied.
    FlowWithoutOccupancy,
    /// The same occupancy more than 50 times in a row.
    Stuck,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 7] = [
        Self::Good,
        Self::TooFewSamples,
        Self::ZeroOccupancy,
        Self::HighOccupancy,
        Self::OccupiedWithoutFlow,
        Self::FlowWithoutOccupancy,
        Self::Stuck,
    ];

    /// The name in labels and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::TooFewSamples => "too_few_samples",
            Self::ZeroOccupancy => "zero_occupancy",
            Self::HighOccupancy => "high_occupancy",
            Self::OccupiedWithoutFlow => "occupied_without_flow",
            Self::FlowWithoutOccupancy => "flow_without_occupancy",
            Self::Stuck => "stuck",
        }
    }
}

/// Counts of one service day.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Day {
    number: i64,
    samples: u32,
    with_occupancy: u32,
    zero: u32,
    high: u32,
    occupied_empty: u32,
    unoccupied_flow: u32,
    same_run: u32,
    same_run_max: u32,
    last_occupancy: Option<f32>,
    interval_ms: i64,
}

/// The day that runs, and the verdict of the last one that is over.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Health {
    today: Option<Day>,
    verdict: Option<Verdict>,
    /// Days with each verdict, days that were missed whole among them.
    days: [u32; Verdict::ALL.len()],
}

impl Health {
    /// Counts an interval in; one of a day that is over is left out.
    pub fn apply(&mut self, reading: &Reading, utc_offset_ms: i64) {
        let local_ms = reading.start_ms + utc_offset_ms;
        let number = local_ms.div_euclid(DAY_MS);
        if self.today.is_none_or(|today| today.number < number) {
            if let Some(over) = self.today {
                // A day that was missed whole is a day without samples.
                let is_next = over.number + 1 == number;
                self.days[over.verdict() as usize] += 1;
                let missed = u32::try_from(number - over.number - 1).unwrap_or(u32::MAX);
                let of_missed = &mut self.days[Verdict::TooFewSamples as usize];
                *of_missed = of_missed.saturating_add(missed);
                self.verdict = Some(if is_next { over.verdict() } else { Verdict::TooFewSamples });
            }
            self.today = Some(Day { number, ..Day::default() });
        }
        let hour = local_ms.rem_euclid(DAY_MS) / 3_600_000;
        if let Some(today) = self.today.as_mut().filter(|today| today.number == number && SERVICE_H.contains(&hour)) {
            today.apply(reading);
        }
    }

    /// Of the newest day that is over; `None` on the first day.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// How many days that are over had each verdict, and the running day with what it would have now.
    pub fn days(&self) -> ([u32; Verdict::ALL.len()], Option<Verdict>) {
        (self.days, self.today.map(|today| today.verdict()))
    }
}

impl Day {
    fn apply(&mut self, reading: &Reading) {
        self.samples += 1;
        self.interval_ms = (reading.end_ms - reading.start_ms).max(1);
        let Some(occupancy) = reading.occupancy else { return };
        self.with_occupancy += 1;
        self.zero += u32::from(occupancy == 0.0);
        self.high += u32::from(occupancy > HIGH_OCCUPANCY);
        self.occupied_empty += u32::from(occupancy > 0.0 && reading.count == Some(0));
        self.unoccupied_flow += u32::from(occupancy == 0.0 && reading.count.is_some_and(|n| n > 0));
        let is_same = occupancy > 0.0 && self.last_occupancy == Some(occupancy);
        self.same_run = if is_same { self.same_run + 1 } else { 1 };
        self.same_run_max = self.same_run_max.max(self.same_run);
        self.last_occupancy = Some(occupancy);
    }

    fn verdict(&self) -> Verdict {
        let expected = (SERVICE_H.end - SERVICE_H.start) * 3_600_000 / self.interval_ms.max(1);
        if f64::from(self.samples) < SAMPLES_SHARE_MIN * expected as f64 || self.samples == 0 {
            return Verdict::TooFewSamples;
        }
        // A detector that only counts has no occupancy to be judged by.
        let share = |n: u32| f64::from(n) / f64::from(self.with_occupancy.max(1));
        match self {
            // Rules 2 and 5 both see occupancy 0; with vehicles passing it is rule 5's.
            day if share(day.unoccupied_flow) > UNOCCUPIED_FLOW_SHARE_MAX => Verdict::FlowWithoutOccupancy,
            day if share(day.zero) > ZERO_SHARE_MAX => Verdict::ZeroOccupancy,
            day if share(day.high) > HIGH_SHARE_MAX => Verdict::HighOccupancy,
            day if day.same_run_max > SAME_OCCUPANCY_MAX => Verdict::Stuck,
            day if share(day.occupied_empty) > OCCUPIED_EMPTY_SHARE_MAX => Verdict::OccupiedWithoutFlow,
            _ => Verdict::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on a day of five-minute intervals that `of` makes from their number.
    fn day(of: impl Fn(i64) -> Option<(u32, Option<f32>)>) -> Option<Verdict> {
        let mut health = Health::default();
        for at in 0..=288 {
            // The last one opens the next day.
            let said = if at == 288 { Some((1, Some(0.1))) } else { of(at) };
            let Some((count, occupancy)) = said else { continue };
            let (start_ms, end_ms) = (at * 300_000, (at + 1) * 300_000);
            health.apply(&Reading { start_ms, end_ms, count: Some(count), occupancy, speed_mps: None }, 0);
        }
        health.verdict()
    }

    fn usual(at: i64) -> (u32, Option<f32>) {
        (20 + (at % 9) as u32, Some(0.05 + (at % 11) as f32 / 100.0))
    }

    #[test]
    fn every_rule_finds_its_fault_and_no_other() {
        assert_eq!(day(|at| Some(usual(at))), Some(Verdict::Good));
        assert_eq!(day(|at| (at % 2 == 0).then(|| usual(at))), Some(Verdict::TooFewSamples));
        assert_eq!(day(|_| Some((0, Some(0.0)))), Some(Verdict::ZeroOccupancy));
        let hanging = |at: i64| if at % 3 == 0 { (9, Some(0.71 + (at % 13) as f32 / 100.0)) } else { usual(at) };
        assert_eq!(day(|at| Some(hanging(at))), Some(Verdict::HighOccupancy));
        let ghost = |at: i64| if at % 20 == 0 { (0, Some(0.04)) } else { usual(at) };
        assert_eq!(day(|at| Some(ghost(at))), Some(Verdict::OccupiedWithoutFlow));
        assert_eq!(day(|_| Some((9, Some(0.0)))), Some(Verdict::FlowWithoutOccupancy));
        let stuck = |at: i64| if (100..160).contains(&at) { (9, Some(0.3)) } else { usual(at) };
        assert_eq!(day(|at| Some(stuck(at))), Some(Verdict::Stuck));
    }

    #[test]
    fn nights_do_not_count_and_a_counter_without_occupancy_is_judged_by_its_samples() {
        let dark = |at: i64| if (60..264).contains(&at) { usual(at) } else { (0, Some(0.9)) };
        assert_eq!(day(|at| Some(dark(at))), Some(Verdict::Good));
        assert_eq!(day(|_| Some((3, None))), Some(Verdict::Good));
        assert_eq!(day(|at| (at < 10).then_some((3, None))), Some(Verdict::TooFewSamples));
    }

    #[test]
    fn the_local_clock_decides_and_a_missed_day_is_no_good_day() {
        let mut health = Health::default();
        let reading = |start_ms: i64| Reading {
            start_ms,
            end_ms: start_ms + 300_000,
            count: Some(5),
            occupancy: Some(0.1),
            speed_mps: None,
        };
        health.apply(&reading(DAY_MS - 3_600_000), 3_600_000);
        assert_eq!(health.today.map(|d| d.number), Some(1));
        assert_eq!(health.verdict(), None, "the first day is not over");
        health.apply(&reading(4 * DAY_MS), 3_600_000);
        assert_eq!(health.verdict(), Some(Verdict::TooFewSamples));
    }
}
