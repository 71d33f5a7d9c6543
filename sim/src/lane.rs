//! A lane: who is on it, and who has been let onto it and is still before its begin.
//!
//! Upstream: the network. Downstream: the world. Two terms: the *order* of a lane is everybody on it and
//! everybody let onto it, the first in driving direction first; a *tail* is the rear of a vehicle whose front
//! has already left the lane.

use roads::{Network, SegmentIndex};

use crate::vehicle::{LENGTH_MM, MIN_GAP_MM, Slot, VehicleId};

/// Position of a lane among all lanes of all segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneIndex(pub u32);

impl LaneIndex {
    /// The same as an array index.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// Room that one standing vehicle takes in the count, mm: length, gap, and what it stops short by, since
/// slower than [`crate::vehicle::STANDING_MM_S`] is standing.
const STANDING_ROOM_MM: i64 = LENGTH_MM + MIN_GAP_MM + 150;

/// A shorter lane is no place to stop: who is let onto it must be let onto the next one at once, since
/// otherwise its rear would stay in the junction behind. mm.
pub(crate) const SHORT_MM: i64 = 12_000;

/// The last vehicle that left a lane at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) slot: Slot,
    /// Slots are used again; the id tells whether it is still the same vehicle.
    pub(crate) id: VehicleId,
    /// Its odometer when its front was at the end of the lane.
    pub(crate) odometer_mm: i64,
}

/// One lane.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) segment: SegmentIndex,
    /// 0 is the outermost (slowest) lane, at the kerb.
    pub(crate) number: u8,
    pub(crate) length_mm: i64,
    /// First those on the lane from its end backwards, then those let onto it, in the order of their leave.
    pub(crate) order: Vec<Slot>,
    pub(crate) left: Option<Left>,
}

impl Lane {
    /// Vehicles that find room to stand on it, rear included: no more are let onto it.
    pub(crate) fn capacity(&self) -> usize {
        1 + ((self.length_mm - LENGTH_MM).max(0) / STANDING_ROOM_MM) as usize
    }

    pub(crate) fn is_full(&self) -> bool {
        self.order.len() >= self.capacity()
    }

    /// Whether a vehicle may stop on it without standing in the junction behind.
    pub(crate) fn is_short(&self) -> bool {
        self.length_mm < SHORT_MM
    }
}

/// All lanes of a network, those of one segment side by side.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    pub(crate) all: Vec<Lane>,
    /// First lane by segment, and one past the last.
    first: Vec<u32>,
}

impl Lanes {
    pub(crate) fn new(network: &Network) -> Self {
        let mut all = Vec::new();
        let mut first = vec![0];
        for (i, segment) in network.segments().iter().enumerate() {
            let length_mm = ((segment.length_m * 1_000.0).round() as i64).max(1);
            for number in 0..segment.lanes.max(1) {
                let segment = SegmentIndex(i as u32);
                all.push(Lane { segment, number, length_mm, order: Vec::new(), left: None });
            }
            first.push(all.len() as u32);
        }
        Self { all, first }
    }

    pub(crate) fn get(&self, at: LaneIndex) -> &Lane {
        &self.all[at.at()]
    }

    pub(crate) fn get_mut(&mut self, at: LaneIndex) -> &mut Lane {
        &mut self.all[at.at()]
    }

    /// The lanes of a segment from the kerb inwards.
    pub(crate) fn of(&self, segment: SegmentIndex) -> impl Iterator<Item = LaneIndex> + use<> {
        (self.first[segment.at()]..self.first[segment.at() + 1]).map(LaneIndex)
    }

    /// Length of a segment, mm.
    pub(crate) fn length_mm(&self, segment: SegmentIndex) -> i64 {
        self.all[self.first[segment.at()] as usize].length_mm
    }
}
