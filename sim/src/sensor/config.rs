//! What is measured, and how badly: every fault of life has its own switch here.
//!
//! [`SensorConfig::default`] measures exactly, for oracles; [`SensorConfig::lifelike`] has every fault at the rate
//! that the literature reports. Upstream: the command line. Downstream: the sensors.

use serde::{Deserialize, Serialize};

use crate::read::Loop;

/// Shortest and longest time between two reports of one vehicle, seconds.
pub const INTERVAL_S: std::ops::RangeInclusive<u32> = 1..=60;

/// Most fleets in a mix.
pub const FLEETS_MAX: usize = 16;

/// Share of the loops that work, ordinary day (the other tenth is spread evenly over the faults).
pub const HEALTHY_LOOPS: f64 = 0.9;

/// Share of the loops that work on a bad day: what Caltrans reported of its detectors in 2005.
pub const HEALTHY_LOOPS_BAD_DAY: f64 = 0.6;

/// Vehicles that report in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    pub name: String,
    /// Part of the probes that belong to it; the parts of a mix need not add up to 1.
    pub weight: f64,
    /// Time between two reports, seconds, within [`INTERVAL_S`].
    pub interval_s: u32,
    /// Each report is early or late by up to this share of the interval, 0 to 0.5.
    pub jitter_share: f64,
}

impl Fleet {
    fn new(name: &str, weight: f64, interval_s: u32) -> Self {
        Self { name: name.to_owned(), weight, interval_s, jitter_share: 0.1 }
    }

    /// Every probe once a second, at the full second.
    pub fn exact() -> Vec<Self> {
        vec![Self { jitter_share: 0.0, ..Self::new("exact", 1.0, 1) }]
    }

    /// Buses every second (HSL's high-frequency positioning), telematics every 5 s (AutoPi's default), taxis every
    /// 30 s, trackers every 60 s. The intervals are those of the named systems, the weights are assumed.
    pub fn mixed() -> Vec<Self> {
        [("transit", 0.1, 1), ("telematics", 0.5, 5), ("taxi", 0.3, 30), ("tracker", 0.1, 60)]
            .map(|(name, weight, interval_s)| Self::new(name, weight, interval_s))
            .to_vec()
    }
}

/// What is measured. Two runs of the same city and configuration report the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorConfig {
    /// The name under which all sources are published.
    pub gateway: String,
    /// Share of the vehicles that report their position, 0 to 1.
    pub probe_share: f64,
    /// Which of them how often; 1 to [`FLEETS_MAX`].
    pub fleets: Vec<Fleet>,
    /// Mean deviation of the slow error of a position per axis, m; 0 is exact.
    pub gps_sigma_m: f64,
    /// Whether narrow streets of the centre make positions worse.
    pub canyons: bool,
    /// Whether positions end in tunnels, receivers fail for a while and radios go silent and catch up.
    pub outages: bool,
    /// Whether clocks of vehicles are off.
    pub skewed_clocks: bool,
    /// Whether delivery takes time.
    pub latency: bool,
    /// Whether a report may overtake an earlier one of the same vehicle; only with `latency`.
    pub reorder: bool,
    /// Share of the positions that never arrive, 0 to 1.
    pub loss_share: f64,
    /// Share of the positions that arrive twice, 0 to 1.
    pub duplicate_share: f64,
    /// Whether positions say the segment's id and the offset on it.
    pub with_edge: bool,
    pub with_detectors: bool,
    /// Where loops are, if somebody has said so; empty means one in every main street.
    pub loops: Vec<Loop>,
    /// Share of the loops that work on any day, 0 to 1.
    pub healthy_loop_share: f64,
    pub with_signals: bool,
}

impl Default for SensorConfig {
    /// Everything as it is: every vehicle, every second, exactly, at once.
    fn default() -> Self {
        Self {
            gateway: "sim".to_owned(),
            probe_share: 1.0,
            fleets: Fleet::exact(),
            gps_sigma_m: 0.0,
            canyons: false,
            outages: false,
            skewed_clocks: false,
            latency: false,
            reorder: false,
            loss_share: 0.0,
            duplicate_share: 0.0,
            with_edge: false,
            with_detectors: true,
            loops: Vec::new(),
            healthy_loop_share: 1.0,
            with_signals: true,
        }
    }
}

/// Why sensors cannot be as asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SensorError {
    #[error("{name} is {value}, but a share lies between 0 and 1")]
    Share { name: &'static str, value: f64 },
    #[error("a position error of {0} m is none: 0 to 1000 m are")]
    Sigma(f64),
    #[error("a mix of {0} fleets cannot be: 1 to {FLEETS_MAX} can, with weights above 0")]
    Fleets(usize),
    #[error("the fleet `{name}` reports every {interval_s} s, but every 1 to 60 s is possible")]
    Interval { name: String, interval_s: u32 },
    #[error("the fleet `{name}` has a jitter of {share}, but 0 to 0.5 of its interval is possible")]
    Jitter { name: String, share: f64 },
    #[error("the saved state of the sensors cannot be read: {0}")]
    Unreadable(#[from] postcard::Error),
    #[error("the saved state belongs to sensors that were set up differently")]
    OtherConfig,
    #[error("the saved state belongs to another city: it has {saved} {what}, this one {here}")]
    OtherCity { what: &'static str, saved: usize, here: usize },
}

impl SensorConfig {
    /// As in life, for a share of the vehicles: see each constant of the sensors for its source.
    pub fn lifelike() -> Self {
        Self {
            fleets: Fleet::mixed(),
            gps_sigma_m: 2.5,
            canyons: true,
            outages: true,
            skewed_clocks: true,
            latency: true,
            reorder: true,
            loss_share: 0.005,
            duplicate_share: 0.003,
            healthy_loop_share: HEALTHY_LOOPS,
            ..Self::default()
        }
    }

    /// As in life, on a day on which four loops of ten do not work.
    pub fn bad_day() -> Self {
        Self { healthy_loop_share: HEALTHY_LOOPS_BAD_DAY, ..Self::lifelike() }
    }

    /// Whether every report is exact, at a full second, arrives at once and once: then little has to be remembered.
    pub(super) fn is_plain(&self) -> bool {
        let has_error = self.gps_sigma_m > 0.0 || self.canyons || self.skewed_clocks;
        let has_gaps = self.outages || self.loss_share > 0.0 || self.duplicate_share > 0.0;
        !has_error && !has_gaps && !self.latency && self.fleets.iter().all(|fleet| fleet.jitter_share == 0.0)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// One sentence that names the value.
    pub fn check(&self) -> Result<(), SensorError> {
        for (name, value) in [
            ("the share of probes", self.probe_share),
            ("the share of lost positions", self.loss_share),
            ("the share of duplicates", self.duplicate_share),
            ("the share of healthy loops", self.healthy_loop_share),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(SensorError::Share { name, value });
            }
        }
        if !(0.0..=1_000.0).contains(&self.gps_sigma_m) {
            return Err(SensorError::Sigma(self.gps_sigma_m));
        }
        let is_weight = |fleet: &Fleet| fleet.weight.is_finite() && fleet.weight > 0.0;
        if !(1..=FLEETS_MAX).contains(&self.fleets.len()) || !self.fleets.iter().all(is_weight) {
            return Err(SensorError::Fleets(self.fleets.len()));
        }
        for fleet in &self.fleets {
            let name = fleet.name.clone();
            if !INTERVAL_S.contains(&fleet.interval_s) {
                return Err(SensorError::Interval { name, interval_s: fleet.interval_s });
            }
            if !(0.0..=0.5).contains(&fleet.jitter_share) {
                return Err(SensorError::Jitter { name, share: fleet.jitter_share });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_sensors_are_refused_with_their_value() {
        let good = SensorConfig::lifelike();
        for config in [SensorConfig::default(), good.clone(), SensorConfig::bad_day()] {
            assert_eq!(config.check(), Ok(()));
        }
        let fleet = |fleet| SensorConfig { fleets: vec![fleet], ..good.clone() };
        for (bad, says) in [
            (SensorConfig { probe_share: 1.5, ..good.clone() }, "probes is 1.5"),
            (SensorConfig { loss_share: f64::NAN, ..good.clone() }, "lost positions is NaN"),
            (SensorConfig { healthy_loop_share: -0.1, ..good.clone() }, "healthy loops is -0.1"),
            (SensorConfig { gps_sigma_m: 1e6, ..good.clone() }, "1000000 m"),
            (SensorConfig { fleets: Vec::new(), ..good.clone() }, "0 fleets"),
            (fleet(Fleet::new("a", 0.0, 1)), "weights above 0"),
            (fleet(Fleet::new("slow", 1.0, 61)), "`slow` reports every 61 s"),
            (fleet(Fleet { jitter_share: 0.6, ..Fleet::new("b", 1.0, 1) }), "jitter of 0.6"),
        ] {
            let sentence = bad.check().unwrap_err().to_string();
            assert!(sentence.contains(says), "{sentence}");
        }
    }
}
