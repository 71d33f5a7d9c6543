//! Which lanes lead from a segment to the next one, laid out flat: the course of a vehicle looks sixteen segments ahead
//! whenever it comes onto a lane, and the network keeps all of this apart.
//!
//! Upstream: the network. Downstream: [`crate::world`]'s course.

use roads::{Network, SegmentIndex};

/// Lanes of a segment that are told apart when a course is chosen; those farther left are one with the last.
pub(crate) const LANES_MAX: u8 = 16;

/// Pairs of lanes by segment and the one that follows.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// Where the ways of a segment begin, by segment, and where the last ones end.
    start: Vec<u32>,
    ways: Vec<Way>,
    pairs: Vec<(u8, u8)>,
    /// By segment.
    length_m: Vec<f64>,
}

/// From a segment to one that follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Length of the one that follows.
    pub(crate) next_m: f64,
    to: SegmentIndex,
    first: u32,
    count: u32,
    /// Lanes that lead on, and those that they lead to, as bits.
    pub(crate) from_lanes: u16,
    pub(crate) to_lanes: u16,
    /// All lanes lead on.
    pub(crate) is_whole: bool,
}

impl Ahead {
    pub(crate) fn new(network: &Network) -> Self {
        let length_m: Vec<f64> = network.segments().iter().map(|s| s.length_m).collect();
        let (mut start, mut ways, mut pairs) = (Vec::with_capacity(length_m.len() + 1), Vec::new(), Vec::new());
        for at in network.indices() {
            start.push(ways.len() as u32);
            for movement in &network.movements()[network.movements_from(at)] {
                let first = pairs.len();
                pairs.extend(movement.lanes.iter().map(|&(a, b)| (a.min(LANES_MAX - 1), b.min(LANES_MAX - 1))));
                let of = |lane: fn(&(u8, u8)) -> u8| pairs[first..].iter().fold(0, |bits, pair| bits | 1 << lane(pair));
                let (from_lanes, to_lanes): (u16, u16) = (of(|pair| pair.0), of(|pair| pair.1));
                let lanes = network.segment(at).lanes.clamp(1, LANES_MAX);
                ways.push(Way {
                    next_m: length_m[movement.to.at()],
                    to: movement.to,
                    first: first as u32,
                    count: (pairs.len() - first) as u32,
                    from_lanes,
                    to_lanes,
                    is_whole: from_lanes.count_ones() == u32::from(lanes),
                });
            }
        }
        start.push(ways.len() as u32);
        Self { start, ways, pairs, length_m }
    }

    /// From a segment to the next; without a pair of lanes where the next does not follow.
    pub(crate) fn way(&self, from: SegmentIndex, to: SegmentIndex) -> Way {
        let ways = &self.ways[self.start[from.at()] as usize..self.start[from.at() + 1] as usize];
        ways.iter().find(|way| way.to == to).copied().unwrap_or_else(|| Way {
            next_m: self.length_m[to.at()],
            to,
            first: 0,
            count: 0,
            from_lanes: 0,
            to_lanes: 0,
            is_whole: false,
        })
    }

    /// (lane, lane of the next segment).
    pub(crate) fn pairs(&self, way: Way) -> &[(u8, u8)] {
        &self.pairs[way.first as usize..][..way.count as usize]
    }
}
