//! Random numbers for drawing a city, one after another from a seed.
//!
//! Upstream: the seed of the plan. Downstream: the other files of this folder.

use crate::generate::plan::splitmix64;

pub(super) struct Random {
    state: u64,
}

impl Random {
    /// Numbers of one stream of a seed; streams do not disturb each other.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self { state: splitmix64(seed ^ splitmix64(stream)) }
    }

    /// 0 ≤ x < 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(1);
        (splitmix64(self.state) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// 0 to n − 1, for a small n of at least 1.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        (self.unit() * f64::from(n)) as u32
    }
}
