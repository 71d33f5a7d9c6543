//! The network against the driving direction: where a queue grows to.
//!
//! Upstream: the network. Downstream: [`crate::bottleneck`], [`crate::incident`].

use roads::{Network, SegmentIndex};

/// For every segment those that lead into it, ascending.
#[derive(Clone, Debug)]
pub struct Upstream {
    into: Vec<Vec<SegmentIndex>>,
}

impl Upstream {
    /// Of a network.
    pub fn new(network: &Network) -> Self {
        let mut into = vec![Vec::new(); network.segments().len()];
        for from in network.indices() {
            network.successors(from).iter().for_each(|to| into[to.at()].push(from));
        }
        Self { into }
    }

    /// Segments that lead into one.
    pub fn of(&self, at: SegmentIndex) -> &[SegmentIndex] {
        &self.into[at.at()]
    }

    /// The segment itself and everything that leads to its begin over at most `within_m` metres of segments that
    /// `is_part` lets through, nearest first.
    pub fn reach(
        &self,
        network: &Network,
        at: SegmentIndex,
        within_m: f64,
        is_part: impl Fn(SegmentIndex) -> bool,
    ) -> Vec<SegmentIndex> {
        let mut reached = vec![(at, 0.0)];
        let mut next = 0;
        while let Some(&(here, done_m)) = reached.get(next) {
            next += 1;
            for &from in self.of(here) {
                let so_far_m = done_m + network.segment(from).length_m;
                let is_new = || reached.iter().all(|(known, _)| *known != from);
                if so_far_m <= within_m && is_part(from) && is_new() {
                    reached.push((from, so_far_m));
                }
            }
        }
        reached.into_iter().map(|(at, _)| at).collect()
    }
}
