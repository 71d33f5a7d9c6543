//! The state of the sensors as bytes, so that a run can be broken off and go on as if it had not been.
//!
//! Upstream: whoever saves the world. Downstream: [`Sensors::load`] of the same city and configuration.

use serde::{Deserialize, Serialize};

use super::delivery::Wheel;
use super::loops::{DAY_MS, Sums};
use super::probe::Probes;
use super::{SensorConfig, SensorError, Sensors};
use crate::world::World;
use events::TimeMs;

/// What changes while sensors measure. Everything else follows from the city and the configuration.
#[derive(Serialize, Deserialize)]
struct Saved {
    config: SensorConfig,
    seed: u64,
    begin_ms: i64,
    steps: u32,
    probes: Probes,
    under_way: Wheel,
    loops: Vec<Sums>,
    interval_start_ms: i64,
    signals: Vec<u64>,
}

impl Sensors {
    /// The state after the last second.
    ///
    /// # Errors
    /// [`SensorError::Unreadable`] if memory is short.
    pub fn save(&self) -> Result<Vec<u8>, SensorError> {
        let saved = Saved {
            config: self.config.clone(),
            seed: self.seed,
            begin_ms: self.begin_ms,
            steps: self.steps,
            probes: self.probes.clone(),
            under_way: self.under_way.clone(),
            loops: self.detectors.iter().map(|d| d.sums).collect(),
            interval_start_ms: self.interval_start.0,
            signals: self.signals.iter().map(|(_, seq)| *seq).collect(),
        };
        Ok(postcard::to_stdvec(&saved)?)
    }

    /// Sensors that go on where the saved ones were; `world` is the one that they measured, at the same second.
    ///
    /// # Errors
    /// If the state is damaged, or of another city or configuration.
    pub fn load(world: &World, config: SensorConfig, state: &[u8]) -> Result<Self, SensorError> {
        config.check()?;
        let saved: Saved = postcard::from_bytes(state)?;
        if saved.config != config || saved.seed != world.scenario().seed {
            return Err(SensorError::OtherConfig);
        }
        let mut sensors = Self::new(world, config);
        let wheels = usize::from(saved.under_way.is_sound());
        for (what, saved, here) in [
            ("wheels", wheels, 1),
            ("loops", saved.loops.len(), sensors.detectors.len()),
            ("signals", saved.signals.len(), sensors.signals.len()),
        ] {
            if saved != here {
                return Err(SensorError::OtherCity { what, saved, here });
            }
        }
        (sensors.begin_ms, sensors.steps) = (saved.begin_ms, saved.steps);
        (sensors.probes, sensors.under_way) = (saved.probes, saved.under_way);
        sensors.interval_start = TimeMs(saved.interval_start_ms);
        sensors.signals.iter_mut().zip(&saved.signals).for_each(|((_, seq), saved)| *seq = *saved);
        // The day's states are drawn again, and were written down by the run that was saved.
        let last_second = saved.begin_ms + 1_000 * (i64::from(saved.steps) - 1).max(0);
        sensors.begin_day(TimeMs(last_second), &mut Vec::new());
        if saved.steps == 0 {
            sensors.day = None;
        }
        debug_assert!(saved.steps == 0 || sensors.day == Some(last_second.div_euclid(DAY_MS)));
        sensors.detectors.iter_mut().zip(&saved.loops).for_each(|(detector, sums)| detector.sums = *sums);
        Ok(sensors)
    }
}
