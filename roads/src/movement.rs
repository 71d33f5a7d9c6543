//! Movements: the ways across a junction, which lanes they join, whom they cross and who goes first; and the plans
//! of the signals that rule them.
//!
//! A source that knows them (SUMO, CityFlow) gives them to the builder; for all other networks they are derived from
//! the geometry and the rank of the streets when somebody first asks. Upstream: the builder. Downstream: the
//! simulator, which drives by them. Right-hand traffic is assumed in everything derived.

mod derive;

use std::ops::Range;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::segment::{NodeIndex, SegmentIndex};

pub use derive::Turn;
pub(crate) use derive::derived;

/// One way across a junction, from one segment to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    pub from: SegmentIndex,
    pub to: SegmentIndex,
    /// Way through the junction, 0 where the segments touch.
    pub length_m: f32,
    /// Limit inside the junction, above 0.
    pub speed_mps: f32,
    /// (lane of `from`, lane of `to`), 0 at the kerb; at least one.
    pub lanes: Vec<(u8, u8)>,
    pub signal: Option<SignalLinks>,
    /// Movements, as positions in [`Network::movements`], whose traffic goes first where both have to yield to somebody
    /// (SUMO's `response`).
    pub yields_to: Vec<u32>,
    /// Movements that cross this one or merge with it (SUMO's `foes`); whom it yields to is among them.
    pub conflicts: Vec<u32>,
}

/// Where a movement finds its colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalLinks {
    /// Position in [`Network::signal_plans`].
    pub signal: u32,
    /// Position in [`SignalPhase::links`]: one per pair of lanes of the movement, or one for all of them.
    pub links: Vec<u16>,
}

/// What one link of a signal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LinkState {
    Red,
    /// Stop if you can.
    Yellow,
    /// Go, after those who have priority (SUMO's `g`).
    Green,
    /// Go: nobody who crosses may (SUMO's `G`).
    Protected,
    /// The signal is off or blinks: the rules of the junction hold (SUMO's `o`, `O`).
    Off,
}

/// One state of a whole signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalPhase {
    pub duration_s: f32,
    /// Bounds of an actuated phase; both equal to `duration_s` where it is fixed.
    pub min_s: f32,
    pub max_s: f32,
    /// By link; as many in every phase of a plan.
    pub links: Vec<LinkState>,
}

/// The programme of one signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalPlan {
    pub id: String,
    pub node: NodeIndex,
    /// Second of the cycle in which the simulation begins is minus this (SUMO's `offset`).
    pub offset_s: f32,
    /// Whether detectors lengthen phases between their bounds.
    pub actuated: bool,
    pub phases: Vec<SignalPhase>,
}

/// What a network knows of its movements: given by the source, or derived when first asked for.
#[derive(Debug, Default)]
pub(crate) struct Lazy(OnceLock<Vec<Movement>>);

/// It follows from what is stored, so it never makes two networks different.
impl PartialEq for Lazy {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Network {
    /// Every way across every junction, one per allowed turn, ascending by (from, to).
    ///
    /// Derived at the first call where the source gave none: some 200 bytes a turn from then on.
    pub fn movements(&self) -> &[Movement] {
        if self.stored.movements.is_empty() {
            self.derived.0.get_or_init(|| derived(&self.stored))
        } else {
            &self.stored.movements
        }
    }

    /// The positions in [`Network::movements`] of those that leave a segment.
    pub fn movements_from(&self, from: SegmentIndex) -> Range<usize> {
        let turns = &self.stored.turns.start;
        turns[from.at()] as usize..turns[from.at() + 1] as usize
    }

    /// The programmes of all signals that the source knows; empty for OpenStreetMap and generated cities.
    pub fn signal_plans(&self) -> &[SignalPlan] {
        &self.stored.signal_plans
    }
}

#[cfg(test)]
mod tests;
