//! What became of every fix and every step between two.
//!
//! Upstream: [`super::Matcher`]. Downstream: metrics, the reports of commands.

use serde::{Deserialize, Serialize};

/// What became of fixes and of the steps between them; each number only grows, but for corrections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchCounts {
    /// Fixes placed on a segment.
    pub placed: i64,
    /// Fixes farther than the radius from every segment.
    pub off_network: i64,
    /// Fixes of a vehicle that has stood still for longer than any queue does.
    pub parked: i64,
    /// Fixes inside a junction of the source's own network, on no segment.
    pub in_junction: i64,
    /// Fixes older than everything their track still knows.
    pub too_late: i64,
    /// A second fix of a vehicle at the same moment.
    pub same_moment: i64,
    /// Late fixes for which the track was done again.
    pub redone: i64,
    /// Steps that became traversals.
    pub steps: i64,
    /// Those of them without a route, but so short that nothing else can have been driven.
    pub bridged: i64,
    /// Steps not counted: silence longer than the gap limit.
    pub gaps: i64,
    /// Steps not counted: faster than any vehicle.
    pub jumps: i64,
    /// Steps not counted: no drive leads from one spot to the next.
    pub breaks: i64,
    /// Steps not counted: one of the two fixes is off the network.
    pub off_steps: i64,
    /// Steps not counted: one of the two fixes is parked.
    pub parked_steps: i64,
}

impl MatchCounts {
    /// The counts of two matchers together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            placed: self.placed + other.placed,
            off_network: self.off_network + other.off_network,
            parked: self.parked + other.parked,
            in_junction: self.in_junction + other.in_junction,
            too_late: self.too_late + other.too_late,
            same_moment: self.same_moment + other.same_moment,
            redone: self.redone + other.redone,
            steps: self.steps + other.steps,
            bridged: self.bridged + other.bridged,
            gaps: self.gaps + other.gaps,
            jumps: self.jumps + other.jumps,
            breaks: self.breaks + other.breaks,
            off_steps: self.off_steps + other.off_steps,
            parked_steps: self.parked_steps + other.parked_steps,
        }
    }
}
