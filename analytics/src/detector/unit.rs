//! Whether a detector still speaks in the unit in which it spoke before.
//!
//! Upstream: [`super::Detector`]. A station that is set from km/h to mph goes on sending numbers that look well. What is
//! compared is a day with the days before: the 85th percentile of speeds (free traffic: it moves by a few percent), and
//! the seconds that a vehicle covers the loop. So a change is seen when its first day is over, not sooner: a jam of an
//! hour slows traffic by any ratio of units, a whole day hardly does. Snow might; then the day is withheld in vain.

use serde::{Deserialize, Serialize};

use super::Reading;
use super::oddity::{Oddities, Oddity};

const DAY_MS: i64 = 86_400_000;

/// Fewest readings of a day that is compared.
const READINGS_MIN: u32 = 50;

/// Ratios between the usual units: km/h per mph, mph per m/s, km/h per m/s (exact by definition of the mile).
const RATIOS: [f64; 3] = [1.609_344, 2.236_936, 3.6];

/// How near a ratio must be to count as one of them. The nearest two differ by 39 %.
const NEAR: f64 = 0.12;

/// Change of covered seconds that no traffic makes: percent for a fraction is a factor of 100.
const COVERED_RATIO: f64 = 20.0;

/// Weight of a new day in what is usual.
const DAY_WEIGHT: f64 = 0.2;

/// Bins of speed: from 0.5 m/s, each 8 % wider, to 70 m/s.
const BINS: usize = 64;
const BIN_MIN_MPS: f64 = 0.5;
const BIN_STEP: f64 = 1.08;

/// One day's sums.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Day {
    number: i64,
    speeds: Vec<u16>,
    vehicles: u64,
    covered_s: f64,
    readings: u32,
}

/// The day that runs, what was usual before, and what is not believed at present.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct UnitWatch {
    today: Option<Day>,
    usual_p85_mps: Option<f64>,
    usual_covered_s: Option<f64>,
    pub(super) is_speed_doubtful: bool,
    pub(super) is_occupancy_doubtful: bool,
}

impl UnitWatch {
    /// Counts an interval in, as it was said.
    pub(super) fn apply(&mut self, reading: &Reading, utc_offset_ms: i64, odd: &mut Oddities) {
        let number = (reading.start_ms + utc_offset_ms).div_euclid(DAY_MS);
        match &self.today {
            Some(today) if today.number > number => return,
            Some(today) if today.number < number => self.end_day(odd),
            Some(_) | None => {}
        }
        let today = self.today.get_or_insert_with(|| Day::new(number));
        if let Some(mps) = reading.speed_mps.filter(|mps| *mps > 0.0) {
            let bin = (f64::from(mps) / BIN_MIN_MPS).ln() / BIN_STEP.ln();
            let slot = &mut today.speeds[(bin.max(0.0) as usize).min(BINS - 1)];
            *slot = slot.saturating_add(1);
        }
        if let (Some(occupancy), Some(count)) =
            (reading.occupancy.filter(|o| *o > 0.0), reading.count.filter(|n| *n > 0))
        {
            today.vehicles += u64::from(count);
            today.covered_s += f64::from(occupancy) * reading.seconds();
            today.readings += 1;
        }
    }

    /// Compares the day with those before it, and begins another.
    pub(super) fn end_day(&mut self, odd: &mut Oddities) {
        let Some(today) = self.today.take() else { return };
        if let Some(p85_mps) = today.p85_mps() {
            let ratio = self.usual_p85_mps.map_or(1.0, |usual| p85_mps / usual);
            let is_near = |unit: &f64| (ratio / unit - 1.0).abs() < NEAR || (ratio * unit - 1.0).abs() < NEAR;
            self.is_speed_doubtful = RATIOS.iter().any(is_near);
            if self.is_speed_doubtful {
                odd.count(Oddity::SpeedUnitChanged);
            } else {
                self.usual_p85_mps = Some(mixed(self.usual_p85_mps, p85_mps));
            }
        }
        if today.readings >= READINGS_MIN {
            let covered_s = today.covered_s / today.vehicles as f64;
            let ratio = self.usual_covered_s.map_or(1.0, |usual| covered_s / usual);
            self.is_occupancy_doubtful = !(1.0 / COVERED_RATIO..=COVERED_RATIO).contains(&ratio);
            if self.is_occupancy_doubtful {
                odd.count(Oddity::OccupancyUnitChanged);
            } else {
                self.usual_covered_s = Some(mixed(self.usual_covered_s, covered_s));
            }
        }
    }
}

fn mixed(usual: Option<f64>, today: f64) -> f64 {
    usual.map_or(today, |usual| usual + DAY_WEIGHT * (today - usual))
}

impl Day {
    fn new(number: i64) -> Self {
        Self { number, speeds: vec![0; BINS], vehicles: 0, covered_s: 0.0, readings: 0 }
    }

    /// The 85th percentile, interpolated within its bin; `None` from too few readings.
    fn p85_mps(&self) -> Option<f64> {
        let total: u32 = self.speeds.iter().map(|n| u32::from(*n)).sum();
        if total < READINGS_MIN {
            return None;
        }
        let wanted = 0.85 * f64::from(total);
        let mut seen = 0.0;
        for (bin, n) in self.speeds.iter().enumerate() {
            let n = f64::from(*n);
            if seen + n >= wanted {
                let place = bin as f64 + (wanted - seen) / n;
                return Some(BIN_MIN_MPS * BIN_STEP.powf(place));
            }
            seen += n;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days of 5-minute intervals whose speeds and occupancies are multiplied by what `of` gives for the day.
    fn watch(days: i64, of: impl Fn(i64) -> (f32, f32)) -> (UnitWatch, Oddities) {
        let (mut watch, mut odd) = (UnitWatch::default(), Oddities::default());
        for at in 0..days * 288 {
            let (speed, occupancy) = of(at / 288);
            // A morning jam of three hours at a third of the speed.
            let jam = if (84..120).contains(&(at % 288)) { 0.33 } else { 1.0 };
            let reading = Reading {
                start_ms: at * 300_000,
                end_ms: (at + 1) * 300_000,
                count: Some(20),
                occupancy: Some(0.05 * occupancy / jam),
                speed_mps: Some((24.0 + (at % 7) as f32) * speed * jam),
            };
            watch.apply(&reading, 0, &mut odd);
        }
        watch.end_day(&mut odd);
        (watch, odd)
    }

    #[test]
    fn a_station_that_changes_its_unit_is_noticed_and_comes_back() {
        for ratio in [1.609_344_f32, 1.0 / 1.609_344, 2.236_936, 1.0 / 2.236_936, 1.0 / 3.6] {
            let (after, odd) = watch(7, |day| (if day >= 5 { ratio } else { 1.0 }, 1.0));
            assert!(after.is_speed_doubtful && !after.is_occupancy_doubtful, "{ratio}: {after:?}");
            assert_eq!((odd.of(Oddity::SpeedUnitChanged), odd.of(Oddity::OccupancyUnitChanged)), (2, 0), "{ratio}");
        }
        let (back, odd) = watch(9, |day| (if day == 5 { 0.447 } else { 1.0 }, 1.0));
        assert!(!back.is_speed_doubtful);
        assert_eq!(odd.of(Oddity::SpeedUnitChanged), 1);
    }

    #[test]
    fn percent_for_a_fraction_is_noticed() {
        let (after, odd) = watch(6, |day| (1.0, if day >= 4 { 0.01 } else { 1.0 }));
        assert!(after.is_occupancy_doubtful && !after.is_speed_doubtful);
        assert_eq!(odd.of(Oddity::OccupancyUnitChanged), 2);
    }

    #[test]
    fn jams_and_slow_days_are_no_units() {
        for slow in [1.0, 0.9, 0.8, 1.15] {
            let (after, odd) = watch(8, |day| (if day % 2 == 1 { slow } else { 1.0 }, 1.0));
            assert!(!after.is_speed_doubtful, "{slow}");
            assert_eq!(odd.of(Oddity::SpeedUnitChanged), 0, "{slow}");
        }
    }
}
