//! Detectors: flow, occupancy, speed and density of every loop, and whether it can be believed.
//!
//! Upstream: [`crate::engine`]. Downstream: [`crate::export`], the API.
//!
//! A loop measures at a point: its speed is the mean over passing vehicles (time-mean), not the space-mean of the
//! cells, so the two are never mixed. Density follows from occupancy by the effective vehicle length g, estimated for
//! each loop from its own free-flowing intervals ([`length`]); where no speed is measured, g gives that too. No value
//! is no value: an interval without occupancy gives no density, and one in which nothing passed gives no speed.

mod health;
mod length;

use std::collections::BTreeMap;

pub use health::{Health, Verdict};
use length::EffectiveLength;
use serde::{Deserialize, Serialize};

/// Most detectors that are remembered; the readings of further ones are counted and left out.
pub const DETECTORS_MAX: usize = 20_000;

/// A shorter interval is the passage of one vehicle, as signal controllers log it, and no statistic, milliseconds.
const INTERVAL_MS_MIN: i64 = 5_000;

/// One interval of one detector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub start_ms: i64,
    pub end_ms: i64,
    /// `None` from a detector that does not count.
    pub count: Option<u32>,
    /// 0 to 1.
    pub occupancy: Option<f32>,
    /// Time-mean speed, m/s.
    pub speed_mps: Option<f32>,
}

/// What one detector says of its newest interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub start_ms: i64,
    pub end_ms: i64,
    /// `None` from a detector that does not count.
    pub flow_veh_per_h: Option<f64>,
    pub occupancy: Option<f64>,
    /// Time-mean speed, m/s: measured, or else from count, occupancy and effective length.
    pub speed_mps: Option<f64>,
    /// Whether the detector measured the speed itself.
    pub is_speed_measured: bool,
    /// Vehicles a kilometre and lane: occupancy over effective length.
    pub density_veh_per_km: Option<f64>,
    pub effective_length_m: f64,
    /// Of the newest service day that is over; `None` before there is one.
    pub verdict: Option<Verdict>,
}

/// State of one detector.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Detector {
    newest: Reading,
    free_mps: f64,
    length: EffectiveLength,
    health: Health,
}

/// All detectors, by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Detectors {
    by_name: BTreeMap<String, Detector>,
    utc_offset_ms: i64,
}

/// How an interval was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Counted,
    /// The passage of one vehicle, which is no statistic.
    Passage,
    /// Of a detector beyond [`DETECTORS_MAX`].
    LeftOut,
}

impl Reading {
    /// Length of the interval, seconds; at least a millisecond.
    pub fn seconds(&self) -> f64 {
        (self.end_ms - self.start_ms).max(1) as f64 / 1_000.0
    }
}

impl Detectors {
    /// No detectors yet; service days begin and end by a clock that is `utc_offset_s` ahead of UTC.
    pub fn new(utc_offset_s: i32) -> Self {
        Self { utc_offset_ms: i64::from(utc_offset_s) * 1_000, ..Self::default() }
    }

    /// Counts an interval in, unless it is shorter than [`INTERVAL_MS_MIN`]. `free_mps` gives the free-flow speed at
    /// a detector that was not known before, m/s.
    pub fn apply(&mut self, name: &str, reading: Reading, free_mps: impl FnOnce() -> f64) -> Taken {
        if reading.end_ms - reading.start_ms < INTERVAL_MS_MIN {
            return Taken::Passage;
        }
        if let Some(detector) = self.by_name.get_mut(name) {
            detector.apply(reading, self.utc_offset_ms);
        } else if self.by_name.len() < DETECTORS_MAX {
            let free_mps = free_mps();
            let health = Health::default();
            let mut detector = Detector { newest: reading, free_mps, length: EffectiveLength::default(), health };
            detector.apply(reading, self.utc_offset_ms);
            self.by_name.insert(name.to_owned(), detector);
        } else {
            return Taken::LeftOut;
        }
        Taken::Counted
    }

    /// The newest figures of each detector whose newest interval ends at or after `since_ms`.
    pub fn figures(&self, since_ms: i64) -> BTreeMap<String, Figures> {
        let fresh = self.by_name.iter().filter(|(_, d)| d.newest.end_ms >= since_ms);
        fresh.map(|(name, d)| (name.clone(), d.figures())).collect()
    }

    /// Lets go of detectors that have been silent since a moment. What they were like is forgotten with them.
    pub fn forget_silent(&mut self, since_ms: i64) {
        self.by_name.retain(|_, d| d.newest.end_ms >= since_ms);
    }
}

impl Detector {
    fn apply(&mut self, reading: Reading, utc_offset_ms: i64) {
        if self.newest.end_ms < reading.end_ms {
            self.newest = reading;
        }
        self.length.apply(&reading);
        self.health.apply(&reading, utc_offset_ms);
    }

    fn figures(&self) -> Figures {
        let r = &self.newest;
        let occupancy = r.occupancy.map(f64::from);
        let length_m = self.length.metres(self.free_mps);
        let measured_mps = r.speed_mps.map(f64::from).filter(|_| r.count != Some(0));
        // v = N g / (T o): vehicles times their length is what covered the loop while they passed.
        let covered = occupancy.filter(|&o| o > 0.0).zip(r.count.filter(|&n| n > 0));
        let derived_mps = covered.map(|(o, n)| f64::from(n) * length_m / (r.seconds() * o));
        Figures {
            start_ms: r.start_ms,
            end_ms: r.end_ms,
            flow_veh_per_h: r.count.map(|n| f64::from(n) / r.seconds() * 3_600.0),
            occupancy,
            speed_mps: measured_mps.or(derived_mps),
            is_speed_measured: measured_mps.is_some(),
            density_veh_per_km: occupancy.map(|o| o / length_m * 1_000.0),
            effective_length_m: length_m,
            verdict: self.health.verdict(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute in which vehicles of 7 m (loop included) pass at one speed.
    fn minute(at: i64, count: u32, speed_mps: f64) -> Reading {
        let occupancy = Some((f64::from(count) * 7.0 / speed_mps / 60.0) as f32);
        Reading { start_ms: at * 60_000, end_ms: (at + 1) * 60_000, count: Some(count), occupancy, speed_mps: None }
    }

    #[test]
    fn length_learnt_at_free_flow_gives_speed_and_density_in_a_jam() {
        let mut detectors = Detectors::new(0);
        for at in 0..200 {
            detectors.apply("a", minute(at, 10 + (at % 7) as u32, 25.0), || 25.0);
        }
        for at in 200..240 {
            detectors.apply("a", minute(at, 12, 4.0), || 25.0);
        }
        let figures = detectors.figures(0)["a"];
        assert!((figures.effective_length_m - 7.0).abs() < 0.01, "{figures:?}");
        assert!((figures.speed_mps.unwrap() - 4.0).abs() < 0.02, "{figures:?}");
        assert!(!figures.is_speed_measured);
        // k = q / v = 720 veh/h / 14.4 km/h.
        assert!((figures.density_veh_per_km.unwrap() - 50.0).abs() < 0.2, "{figures:?}");
    }

    #[test]
    fn nothing_is_not_zero() {
        let mut detectors = Detectors::new(0);
        let empty = Reading { start_ms: 0, end_ms: 60_000, count: Some(0), occupancy: None, speed_mps: Some(0.0) };
        detectors.apply("a", empty, || 15.0);
        let figures = detectors.figures(0)["a"];
        assert_eq!((figures.flow_veh_per_h, figures.speed_mps, figures.density_veh_per_km), (Some(0.0), None, None));
        assert_eq!(figures.effective_length_m, length::DEFAULT_M);
        assert!(detectors.figures(60_001).is_empty(), "older than asked for");
        detectors.forget_silent(60_001);
        assert!(detectors.figures(0).is_empty());
    }

    #[test]
    fn a_single_passage_is_no_interval() {
        let mut detectors = Detectors::new(0);
        let passage = Reading { start_ms: 0, end_ms: 100, count: Some(1), occupancy: Some(1.0), speed_mps: None };
        detectors.apply("a", passage, || 15.0);
        assert!(detectors.figures(0).is_empty());
    }

    #[test]
    fn an_older_interval_does_not_become_the_newest() {
        let mut detectors = Detectors::new(0);
        detectors.apply("a", minute(9, 5, 20.0), || 20.0);
        detectors.apply("a", minute(3, 9, 20.0), || 20.0);
        assert_eq!(detectors.figures(0)["a"].start_ms, 9 * 60_000);
    }
}
