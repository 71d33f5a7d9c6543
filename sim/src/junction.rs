//! Junctions: which ways across cross each other, and from which lane each may be taken.
//!
//! Junctions have no extent here; a way across is a pair (segment in, segment out). Seen from above, every
//! arm of a junction is a point on a circle and traffic keeps to the right, so a way across is a chord, and two
//! ways cross exactly when their chords do. Ways that end on the same segment do not count as crossing: there
//! the order of the lane decides. Upstream: the network. Downstream: the world's clearance.

use roads::{Network, SegmentIndex};

/// Turns beyond this angle, degrees, need the lane of that side; less is straight on.
const TURN_DEG: f32 = 45.0;

/// Half the angle between the two sides of one street at the circle, degrees.
const STREET_HALF_DEG: f32 = 1.0;

/// Most ways across a junction that are told apart; in a larger one every way crosses every other.
const WAYS_MAX: usize = 64;

/// A way across a junction, by its position among all ways of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WayIndex(pub(crate) u32);

/// Where a way leads, seen by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Right,
    Straight,
    /// Also turning round.
    Left,
}

#[derive(Clone, Copy, Debug)]
struct Way {
    turn: Turn,
    /// Its bit among the ways of its junction.
    bit: u64,
    /// The bits that it crosses.
    crosses: u64,
}

/// All ways across all junctions.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    all: Vec<Way>,
    /// First way by segment in; they follow in the order of its successors.
    first: Vec<u32>,
}

impl Ways {
    pub(crate) fn new(network: &Network) -> Self {
        let mut first = Vec::new();
        let mut ends = Vec::new();
        let mut by_node: Vec<Vec<u32>> = vec![Vec::new(); network.nodes().len()];
        for from in network.indices() {
            first.push(ends.len() as u32);
            for &to in network.successors(from) {
                by_node[network.segment(from).to.at()].push(ends.len() as u32);
                ends.push(Ends::new(network, from, to));
            }
        }
        let mut all: Vec<Way> = ends.iter().map(|e| Way { turn: e.turn(), bit: 1, crosses: u64::MAX }).collect();
        for ways in by_node.iter().filter(|ways| ways.len() <= WAYS_MAX) {
            for (i, &a) in ways.iter().enumerate() {
                let crosses = |b: &u32| ends[a as usize].crosses(&ends[*b as usize]);
                let mask = ways.iter().enumerate().filter(|(_, b)| crosses(b)).map(|(j, _)| 1_u64 << j).sum();
                all[a as usize].bit = 1 << i;
                all[a as usize].crosses = mask;
            }
        }
        Self { all, first }
    }

    /// The way from a segment to one of its successors.
    pub(crate) fn find(&self, network: &Network, from: SegmentIndex, to: SegmentIndex) -> WayIndex {
        let nth = network.successors(from).iter().position(|s| *s == to).expect("routes follow successors");
        WayIndex(self.first[from.at()] + nth as u32)
    }

    pub(crate) fn bit(&self, way: WayIndex) -> u64 {
        self.all[way.0 as usize].bit
    }

    /// The bits of the ways of the same junction that it crosses.
    pub(crate) fn crosses(&self, way: WayIndex) -> u64 {
        self.all[way.0 as usize].crosses
    }

    /// Whether a way may be taken from lane `number` of `lanes`: right turns from the kerb, left turns from the
    /// middle of the road, straight on from everywhere.
    pub(crate) fn is_usable(&self, way: WayIndex, number: u8, lanes: u8) -> bool {
        match self.all[way.0 as usize].turn {
            Turn::Right => number == 0,
            Turn::Straight => true,
            Turn::Left => number + 1 == lanes,
        }
    }
}

/// A chord of the circle around a junction.
#[derive(Clone, Copy, Debug)]
struct Ends {
    from: SegmentIndex,
    to: SegmentIndex,
    /// Angle on the circle, degrees clockwise from north.
    enters_deg: f32,
    leaves_deg: f32,
    /// Change of direction, −180 to 180 degrees, right is positive.
    turn_deg: f32,
}

impl Ends {
    fn new(network: &Network, from: SegmentIndex, to: SegmentIndex) -> Self {
        let before = network.heading(from, network.segment(from).length_m).get();
        let after = network.heading(to, 0.0).get();
        Self {
            from,
            to,
            // Right-hand traffic: who comes along an arm is on its anticlockwise side, who leaves on the other.
            enters_deg: (before + 180.0 - STREET_HALF_DEG).rem_euclid(360.0),
            leaves_deg: (after + STREET_HALF_DEG).rem_euclid(360.0),
            turn_deg: (after - before + 540.0).rem_euclid(360.0) - 180.0,
        }
    }

    fn turn(&self) -> Turn {
        if self.turn_deg > TURN_DEG && self.turn_deg < 180.0 - TURN_DEG / 2.0 {
            Turn::Right
        } else if self.turn_deg.abs() <= TURN_DEG {
            Turn::Straight
        } else {
            Turn::Left
        }
    }

    fn crosses(&self, other: &Self) -> bool {
        if self.from == other.from || self.to == other.to {
            return false;
        }
        let span = (self.leaves_deg - self.enters_deg).rem_euclid(360.0);
        let inside = |deg: f32| (deg - self.enters_deg).rem_euclid(360.0) < span;
        inside(other.enters_deg) != inside(other.leaves_deg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chord from travelling `before` to travelling `after`, degrees.
    fn chord(before: f32, after: f32) -> Ends {
        let id = |deg: f32| SegmentIndex(deg as u32);
        Ends {
            from: id(before),
            to: id(after + 1_000.0),
            enters_deg: (before + 180.0 - STREET_HALF_DEG).rem_euclid(360.0),
            leaves_deg: (after + STREET_HALF_DEG).rem_euclid(360.0),
            turn_deg: (after - before + 540.0).rem_euclid(360.0) - 180.0,
        }
    }

    #[test]
    fn ways_across_a_crossroads_cross_as_they_do_outside() {
        let (north, east, south, west) = (0.0, 90.0, 180.0, 270.0);
        for (a, b, expected, what) in [
            ((north, north), (south, south), false, "opposite, both straight on"),
            ((north, north), (east, east), true, "straight on from two streets"),
            ((north, west), (south, south), true, "a left turn and oncoming traffic"),
            ((north, west), (south, east), false, "two opposite left turns"),
            ((north, east), (south, south), false, "a right turn and oncoming traffic"),
            ((north, east), (west, west), false, "a right turn and traffic from the right"),
            ((north, east), (east, east), false, "merging is the lane's affair"),
            ((north, south), (south, south), false, "turning round merges as well"),
        ] {
            let (a, b) = (chord(a.0, a.1), chord(b.0, b.1));
            assert_eq!((a.crosses(&b), b.crosses(&a)), (expected, expected), "{what}");
        }
        assert_eq!(chord(north, east).turn(), Turn::Right);
        assert_eq!(chord(north, west).turn(), Turn::Left);
        assert_eq!(chord(350.0, 10.0).turn(), Turn::Straight);
        assert_eq!(chord(north, south).turn(), Turn::Left);
    }
}
