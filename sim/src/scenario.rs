//! What is simulated: how many drive, who is seen, from when. Checked once, with sentences.
//!
//! Upstream: the command line. Downstream: the world.

use events::TimeMs;

/// Most vehicles on the road at once.
pub const VEHICLES_MAX: u32 = 1_000_000;

/// A simulated stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The same seed on the same network gives the same events, to the byte.
    pub seed: u64,
    /// Vehicles that are wanted on the road at once; as many as find room are there.
    pub vehicles: u32,
    /// Event time of the first second, UTC; a whole multiple of a second, so that a step lies in one pane.
    pub start: TimeMs,
}

impl Default for Scenario {
    /// 1,200 vehicles, which the demo city carries without gridlock, Monday 2026-01-05 07:00 UTC.
    fn default() -> Self {
        Self { seed: 1, vehicles: 1_200, start: TimeMs(1_767_596_400_000) }
    }
}

/// Why a scenario cannot be simulated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    #[error("the scenario wants {0} vehicles, but at most {VEHICLES_MAX} and at least 1 can drive")]
    Vehicles(u32),
    #[error("the scenario begins at {0} ms, but it must begin in or after 1970 at a whole second")]
    Start(i64),
    #[error(
        "no trip can be made on this network: it has {segments} segments, of which {long_enough} are long enough to begin on"
    )]
    NoTrips { segments: usize, long_enough: usize },
}

impl Scenario {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    /// One sentence that names the value.
    pub fn check(&self) -> Result<(), ScenarioError> {
        if self.vehicles == 0 || self.vehicles > VEHICLES_MAX {
            return Err(ScenarioError::Vehicles(self.vehicles));
        }
        if self.start.0 < 0 || self.start.0 % 1_000 != 0 {
            return Err(ScenarioError::Start(self.start.0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_scenarios_are_refused_with_their_value() {
        assert_eq!(Scenario::default().check(), Ok(()));
        assert_eq!(Scenario::default().start.rfc3339(), "2026-01-05T07:00:00.000Z");
        for (bad, says) in [
            (Scenario { vehicles: 0, ..Scenario::default() }, "0 vehicles"),
            (Scenario { vehicles: 2_000_000, ..Scenario::default() }, "2000000 vehicles"),
            (Scenario { start: TimeMs(1_500), ..Scenario::default() }, "1500 ms"),
            (Scenario { start: TimeMs(-1_000), ..Scenario::default() }, "-1000 ms"),
        ] {
            let sentence = bad.check().unwrap_err().to_string();
            assert!(sentence.contains(says), "{sentence}");
        }
    }
}
