//! Paths through the network that obey its turns: the shortest within a bound, the fastest by given weights.
//!
//! Upstream: [`Network`]. Downstream: the matcher (shortest, thousands a second, bounded), the simulator's
//! routes (fastest, over the whole network).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::network::Network;
use crate::segment::SegmentIndex;

/// Most segments that one shortest-path search settles, whatever its length limit; beyond it nothing is found.
/// A radius of 2 km in a dense centre holds about 4,000.
pub const SETTLED_MAX: usize = 20_000;

/// A way from one segment to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// In driving order, both ends included.
    pub segments: Vec<SegmentIndex>,
    /// Metres of the segments strictly between the ends: from the end of the first to the begin of the last.
    pub length_m: f64,
}

/// The shortest path, for occasional use: see [`Search::shortest`].
pub fn shortest(net: &Network, from: SegmentIndex, to: SegmentIndex, length_limit_m: f64) -> Option<Path> {
    Search::new().shortest(net, from, to, length_limit_m)
}

/// The fastest path, for occasional use: see [`Search::fastest`].
pub fn fastest(net: &Network, from: SegmentIndex, to: SegmentIndex, weights: &[f32]) -> Option<Vec<SegmentIndex>> {
    Search::new().fastest(net, from, to, weights)
}

/// Scratch space of searches: one per thread, kept, so that a search allocates nothing but its answer.
///
/// Holds 16 bytes per segment of the largest network it has seen.
#[derive(Debug, Default)]
pub struct Search {
    /// Which search last wrote each of the two arrays below.
    stamp: Vec<u32>,
    cost: Vec<f64>,
    before: Vec<SegmentIndex>,
    heap: BinaryHeap<Reached>,
    /// The running search; stamps of earlier ones are stale.
    now: u32,
    from: SegmentIndex,
}

impl Search {
    /// Empty scratch space.
    pub fn new() -> Self {
        Self::default()
    }

    /// The shortest path from the end of `from` to the begin of `to`, no longer than `length_limit_m` and settling
    /// no more than [`SETTLED_MAX`] segments; `None` if there is none.
    ///
    /// From a segment to itself it is the shortest way round, since staying on it needs no path. The width of
    /// junctions is not counted (see [`Network::gap_m`]).
    pub fn shortest(
        &mut self,
        net: &Network,
        from: SegmentIndex,
        to: SegmentIndex,
        length_limit_m: f64,
    ) -> Option<Path> {
        let length_m = self.explore(net, from, &[to], length_limit_m).then(|| self.length_to(to)).flatten()?;
        Some(Path { segments: self.segments_to(to)?, length_m })
    }

    /// Searches outward from the end of `from` until every one of `targets` is reached, or the limits of
    /// [`Search::shortest`] are; true if all were. Ask [`Search::length_to`] and [`Search::segments_to`] after it.
    pub fn explore(
        &mut self,
        net: &Network,
        from: SegmentIndex,
        targets: &[SegmentIndex],
        length_limit_m: f64,
    ) -> bool {
        self.run(net, from, targets, SETTLED_MAX, |cost, through| {
            let next = cost + net.segment(through).length_m;
            (next <= length_limit_m).then_some(next)
        })
    }

    /// Metres from the end of the explored segment to the begin of `to`; `None` if it was not reached.
    pub fn length_to(&self, to: SegmentIndex) -> Option<f64> {
        (self.stamp.get(to.at()) == Some(&self.now)).then(|| self.cost[to.at()])
    }

    /// The path that [`Search::length_to`] is the length of, both ends included.
    pub fn segments_to(&self, to: SegmentIndex) -> Option<Vec<SegmentIndex>> {
        self.length_to(to)?;
        let mut segments = vec![to];
        let mut at = self.before[to.at()];
        while at != self.from {
            segments.push(at);
            at = self.before[at.at()];
        }
        segments.push(self.from);
        segments.reverse();
        Some(segments)
    }

    /// The path of least total weight, both ends included, over the whole network; `[from]` alone if `to` is `from`.
    ///
    /// `weights` are seconds per segment by index; infinite, NaN or missing means closed, negative counts as 0.
    /// The weight of both ends is the same for every path, so it plays no part.
    pub fn fastest(
        &mut self,
        net: &Network,
        from: SegmentIndex,
        to: SegmentIndex,
        weights: &[f32],
    ) -> Option<Vec<SegmentIndex>> {
        if from == to {
            return Some(vec![from]);
        }
        let found = self.run(net, from, &[to], usize::MAX, |cost, through| {
            let weight = weights.get(through.at()).copied().filter(|w| w.is_finite())?;
            Some(cost + f64::from(weight.max(0.0)))
        });
        found.then(|| self.segments_to(to)).flatten()
    }

    /// Dijkstra over segments. The cost of a segment is that of its begin; `through` gives the cost of its end, or
    /// `None` where the search must not go on.
    fn run(
        &mut self,
        net: &Network,
        from: SegmentIndex,
        targets: &[SegmentIndex],
        settled_max: usize,
        through: impl Fn(f64, SegmentIndex) -> Option<f64>,
    ) -> bool {
        self.begin(net, from);
        let mut missing = targets.len();
        self.relax(net, from, 0.0);
        let mut settled = 0;
        while missing > 0 && settled < settled_max {
            let Some(Reached { cost, segment }) = self.heap.pop() else { break };
            if cost > self.cost[segment.at()] {
                continue;
            }
            settled += 1;
            missing -= targets.iter().filter(|&&t| t == segment).count();
            if let Some(end) = through(cost, segment) {
                self.relax(net, segment, end);
            }
        }
        // What is still queued was seen, perhaps not by its best way: it does not count as reached.
        for Reached { cost, segment } in self.heap.drain() {
            if cost <= self.cost[segment.at()] {
                self.stamp[segment.at()] = 0;
            }
        }
        missing == 0
    }

    fn begin(&mut self, net: &Network, from: SegmentIndex) {
        let segments = net.segments().len();
        if self.stamp.len() < segments {
            self.stamp.resize(segments, 0);
            self.cost.resize(segments, 0.0);
            self.before.resize(segments, from);
        }
        self.now = self.now.checked_add(1).unwrap_or_else(|| {
            self.stamp.fill(0);
            1
        });
        self.from = from;
        self.heap.clear();
    }

    fn relax(&mut self, net: &Network, at: SegmentIndex, cost: f64) {
        for &next in net.successors(at) {
            let i = next.at();
            if self.stamp[i] != self.now || cost < self.cost[i] {
                self.stamp[i] = self.now;
                self.cost[i] = cost;
                self.before[i] = at;
                self.heap.push(Reached { cost, segment: next });
            }
        }
    }
}

/// A queued segment; the heap gives the cheapest first, ties by index so that equal paths are always the same one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reached {
    cost: f64,
    segment: SegmentIndex,
}

impl Eq for Reached {}

impl Ord for Reached {
    fn cmp(&self, other: &Self) -> Ordering {
        other.cost.total_cmp(&self.cost).then_with(|| other.segment.cmp(&self.segment))
    }
}

impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests;
