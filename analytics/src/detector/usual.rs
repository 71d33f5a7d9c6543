//! What is usual at a detector at an hour of the day, and when it says something else.
//!
//! Upstream: [`super::Detector`]. For each hour of the local day a mean and a mean deviation of occupancy and of speed are
//! kept, slowly forgetting; one reading moves them by no more than three deviations, so that an incident does not become
//! usual. Unusual is an occupancy more than [`DEVIATIONS`] above, or a speed as far below. `docs/accuracy-detectors.md`
//! has the alarms on loops with labels.

use serde::{Deserialize, Serialize};

use super::Reading;

/// How far from the mean is unusual, in deviations. Chosen on two loops with one label each, so it is a beginning.
const DEVIATIONS: f64 = 4.0;

/// Readings before the first alarm: about a day of 5-minute intervals.
const READINGS_MIN: u32 = 200;

/// Weight of a reading once an hour has seen many; before that 1 / n.
const WEIGHT_MIN: f64 = 0.05;

/// A deviation counts as at least this share of the mean deviation over all hours: a quiet night is not certain.
const DEVIATION_SHARE_MIN: f64 = 0.5;

/// For normal values the standard deviation over the mean deviation, √(π/2).
const NORMAL: f64 = 1.253;

const HOURS: usize = 24;

/// Mean and deviation of an hour.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Hour {
    readings: u32,
    mean: f64,
    deviation: f64,
}

/// One quantity of one detector. Nothing is kept before its first reading.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Usual {
    hours: Vec<Hour>,
    readings: u32,
}

/// Which way is worth an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    High,
    Low,
}

impl Usual {
    /// Counts a value in; whether it was unusual.
    pub(super) fn apply(&mut self, reading: &Reading, utc_offset_ms: i64, value: f64, side: Side) -> bool {
        if self.hours.is_empty() {
            self.hours.resize(HOURS, Hour::default());
        }
        let known: Vec<f64> = self.hours.iter().filter(|h| h.readings > 0).map(|h| h.deviation).collect();
        let overall = known.iter().sum::<f64>() / known.len().max(1) as f64;
        let at = (reading.end_ms + utc_offset_ms).div_euclid(3_600_000).rem_euclid(HOURS as i64) as usize;
        let hour = &mut self.hours[at];
        self.readings = self.readings.saturating_add(1);
        if hour.readings == 0 {
            *hour = Hour { readings: 1, mean: value, deviation: 0.0 };
            return false;
        }
        let away = value - hour.mean;
        let deviation = hour.deviation.max(overall * DEVIATION_SHARE_MIN).max(f64::MIN_POSITIVE);
        let is_far = match side {
            Side::High => away > DEVIATIONS * deviation,
            Side::Low => away < -DEVIATIONS * deviation,
        };
        let is_unusual = is_far && self.readings > READINGS_MIN;
        hour.readings = hour.readings.saturating_add(1);
        let weight = WEIGHT_MIN.max(1.0 / f64::from(hour.readings));
        let most = 3.0 * hour.deviation.max(overall);
        let step = if hour.readings > 10 { away.clamp(-most, most) } else { away };
        hour.mean += weight * step;
        hour.deviation += weight * (step.abs() * NORMAL - hour.deviation);
        is_unusual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_day_has_is_usual_and_what_none_has_is_not() {
        let mut usual = Usual::default();
        let mut alarms = Vec::new();
        for at in 0..10 * 288_i64 {
            let end_ms = at * 300_000;
            let reading = Reading { start_ms: end_ms - 300_000, end_ms, count: None, occupancy: None, speed_mps: None };
            let hour = at % 288 / 12;
            let rush = if (7..9).contains(&hour) { 0.2 } else { 0.04 };
            // An incident at noon of the eighth day.
            let odd = if at == 7 * 288 + 144 { 0.3 } else { 0.0 };
            if usual.apply(&reading, 0, rush * (0.8 + (at * 7 % 11) as f64 * 0.04) + odd, Side::High) {
                alarms.push(at);
            }
        }
        assert_eq!(alarms, [7 * 288 + 144]);
    }
}
