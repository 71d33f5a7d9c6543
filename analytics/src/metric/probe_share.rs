//! The share of all vehicles that report, and how it is known: flow, density, delay and sums are divided by it.
//!
//! Upstream: the command line, or loops that count everybody ([`LoopCounts`]). Downstream: [`super::traffic`],
//! [`super::area`]; it stands beside every figure that it scales.
//!
//! The estimate: over the segments with a loop, vehicles that the probes make pass (metres driven over the segment's length)
//! over vehicles that the loops counted, of the last hour. It takes probes to be spread over the city like everybody else,
//! which fleets of one kind are not.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Vehicles that the loops must have counted before an estimate is given: its relative error is then under 10 % at a share of 10 %
/// (√(0.9 / (0.1 · 1000)), a binomial share).
pub const COUNTED_MIN: u64 = 1_000;

/// Minutes that an estimate looks back.
const MINUTES: usize = 60;

/// How a probe share is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShareSource {
    /// Nobody said anything: figures are of the vehicles that report.
    Unscaled,
    /// A person said it.
    Given,
    /// Loops counted the others.
    Loops,
}

/// Share of the vehicles that report, above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeShare {
    pub value: f64,
    pub source: ShareSource,
}

impl ShareSource {
    /// The lower-case word, as used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unscaled => "unscaled",
            Self::Given => "given",
            Self::Loops => "loops",
        }
    }
}

impl ProbeShare {
    /// Figures of those that report, as they are.
    pub const UNSCALED: Self = Self { value: 1.0, source: ShareSource::Unscaled };

    /// A share that a person knows; `None` outside of 0 < share ≤ 1.
    pub fn given(value: f64) -> Option<Self> {
        (value > 0.0 && value <= 1.0).then_some(Self { value, source: ShareSource::Given })
    }
}

/// What probes and loops saw on the same segments, minute by minute; an hour is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoopCounts {
    /// Vehicles by probes, vehicles by loops.
    minutes: VecDeque<(f64, u64)>,
}

impl LoopCounts {
    /// Adds a minute; the one that is an hour older goes.
    pub fn minute(&mut self, by_probes: f64, by_loops: u64) {
        if self.minutes.len() == MINUTES {
            self.minutes.pop_front();
        }
        self.minutes.push_back((by_probes, by_loops));
    }

    /// The estimate; `None` below [`COUNTED_MIN`].
    pub fn share(&self) -> Option<ProbeShare> {
        let counted: u64 = self.minutes.iter().map(|m| m.1).sum();
        let passed: f64 = self.minutes.iter().map(|m| m.0).sum();
        let value = (passed / counted.max(1) as f64).min(1.0);
        (counted >= COUNTED_MIN && value > 0.0).then_some(ProbeShare { value, source: ShareSource::Loops })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_loops_gives_the_share() {
        let mut counts = LoopCounts::default();
        (0..49).for_each(|_| counts.minute(1.0, 20));
        assert_eq!(counts.share(), None, "980 vehicles are too few");
        counts.minute(1.0, 20);
        assert_eq!(counts.share(), Some(ProbeShare { value: 0.05, source: ShareSource::Loops }));
        (0..60).for_each(|_| counts.minute(2.0, 20));
        assert!((counts.share().unwrap().value - 0.1).abs() < 1e-12, "what is older than an hour is gone");
        assert_eq!([0.0, 1.1, f64::NAN].map(ProbeShare::given), [None; 3]);
    }
}
