//! Lengths of routes between segments, remembered: the matcher asks a hundred of them for every fix.
//!
//! Upstream: [`roads::Network`]. Downstream: [`super::model`] (lengths), [`super::step`] (the segments between).
//!
//! One row a segment: every segment that is reached from its end within the row's limit, with its distance and the
//! segment before it. A row is made by one bounded search when it is first asked for, again with a greater
//! limit when that was too short, and all rows are let go together when they hold [`SLOTS_MAX`] slots. Rows are between
//! segments, not junctions, since turn restrictions make the way on depend on the segment one comes from.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use roads::{Network, RoadClass, SegmentIndex};

use super::ground::NONE;

/// Most slots of all rows together, 12 bytes each: 192 MiB. Beyond it all rows are let go and made again on demand.
const SLOTS_MAX: usize = 16 * 1024 * 1024;

/// The shortest limit of a row, metres; longer ones are this times a power of √2.
const LIMIT_M: f32 = 75.0;

/// Most segments that one row holds; beyond it nothing is reached.
const SETTLED_MAX: usize = 20_000;

/// Ends that are so near are the same place, metres: what a generator's or an importer's rounding makes of it.
const GAP_M_MIN: f64 = 0.01;

/// What the matcher needs of a segment, packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) length_m: f32,
    pub(crate) limit_mps: f32,
    /// A way that few drive: entering it has its price.
    pub(crate) is_service: bool,
    /// No satellite is seen from it.
    pub(crate) is_below: bool,
}

/// The routes of one network.
pub(crate) struct Routes {
    network: Arc<Network>,
    segments: Vec<Piece>,
    rows: Vec<Option<Row>>,
    /// Whether some segment begins elsewhere than where one leading to it ends.
    gaps: bool,
    slots: usize,
    cleared: u64,
    search: Search,
}

/// All that one segment leads to, in open addressing.
pub(crate) struct Row {
    limit_m: f32,
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy)]
struct Slot {
    to: u32,
    length_m: f32,
    before: u32,
}

#[derive(Default)]
struct Search {
    /// Which search last wrote each cost; those of earlier ones are stale.
    stamp: Vec<u32>,
    cost: Vec<f32>,
    before: Vec<u32>,
    now: u32,
    heap: BinaryHeap<Reached>,
    settled: Vec<Slot>,
}

impl Row {
    /// Metres from the end of the row's segment to the begin of `to`; `None` if it is beyond the row.
    #[inline]
    pub(crate) fn length_m(&self, to: u32) -> Option<f32> {
        self.slot(to).map(|s| s.length_m)
    }

    #[inline]
    fn slot(&self, to: u32) -> Option<&Slot> {
        let mask = self.slots.len() - 1;
        let mut at = hash(to) & mask;
        loop {
            let slot = &self.slots[at];
            if slot.to == to {
                return Some(slot);
            }
            if slot.to == NONE {
                return None;
            }
            at = (at + 1) & mask;
        }
    }
}

impl Routes {
    pub(crate) fn new(network: Arc<Network>) -> Self {
        let piece = |s: &roads::Segment| Piece {
            from: s.from.0,
            to: s.to.0,
            length_m: s.length_m as f32,
            limit_mps: s.speed_limit_mps,
            is_service: s.class == RoadClass::Service,
            is_below: s.structure.is_tunnel || s.structure.layer < 0,
        };
        let segments: Vec<_> = network.segments().iter().map(piece).collect();
        let rows = segments.iter().map(|_| None).collect();
        let apart = |a: SegmentIndex, b: SegmentIndex| {
            network.points(a).last() != network.points(b).first() && network.gap_m(a, b) > GAP_M_MIN
        };
        let gaps = network.indices().any(|a| network.successors(a).iter().any(|&b| apart(a, b)));
        Self { network, segments, rows, gaps, slots: 0, cleared: 0, search: Search::default() }
    }

    #[inline]
    pub(crate) fn segment(&self, at: u32) -> &Piece {
        &self.segments[at as usize]
    }

    /// The length of a segment, metres, in full precision.
    #[inline]
    pub(crate) fn length_m(&self, at: SegmentIndex) -> f64 {
        self.network.segment(at).length_m
    }

    /// Whether every segment begins where those that lead to it end.
    pub(crate) fn streets_meet(&self) -> bool {
        !self.gaps
    }

    /// From the end of a segment to the begin of the next, metres.
    pub(super) fn gap_m(&self, from: Option<SegmentIndex>, to: Option<SegmentIndex>) -> f64 {
        from.zip(to).map_or(0.0, |(from, to)| self.network.gap_m(from, to))
    }

    /// How often all rows were let go for want of space.
    pub(crate) fn cleared(&self) -> u64 {
        self.cleared
    }

    /// Sees to it that the row of a segment reaches at least `limit_m`.
    #[inline]
    pub(crate) fn ask(&mut self, from: u32, limit_m: f32) {
        if self.rows[from as usize].as_ref().is_none_or(|row| row.limit_m < limit_m) {
            self.fill(from, limit_m);
        }
    }

    /// Everything near the end of a segment, if it was asked for.
    #[inline]
    pub(crate) fn row(&self, from: u32) -> Option<&Row> {
        self.rows[from as usize].as_ref()
    }

    /// The segments strictly between two, in driving order, into `out`; the metres of them, or `None` when no route
    /// of at most `limit_m` leads there, and then `out` is empty.
    pub(crate) fn between(&mut self, from: u32, to: u32, limit_m: f32, out: &mut Vec<SegmentIndex>) -> Option<f32> {
        out.clear();
        // Most steps lead to the next segment; no row is needed to know that.
        if !self.gaps && self.network.successors(SegmentIndex(from)).contains(&SegmentIndex(to)) {
            return Some(0.0);
        }
        self.ask(from, limit_m);
        let row = self.row(from)?;
        let slot = row.slot(to)?;
        if slot.length_m > limit_m {
            return None;
        }
        let mut at = slot.before;
        while at != from {
            out.push(SegmentIndex(at));
            at = row.slot(at).expect("what lies before a reached segment was reached").before;
        }
        out.reverse();
        Some(slot.length_m)
    }

    fn fill(&mut self, from: u32, limit_m: f32) {
        let mut rounded_m = LIMIT_M;
        while rounded_m < limit_m {
            rounded_m *= std::f32::consts::SQRT_2;
        }
        self.search.run(&self.network, &self.segments, self.gaps, from, rounded_m);
        let size = (self.search.settled.len() * 2).next_power_of_two().max(8);
        self.slots -= self.rows[from as usize].take().map_or(0, |row| row.slots.len());
        if self.slots + size > SLOTS_MAX {
            self.rows.fill_with(|| None);
            self.slots = 0;
            self.cleared += 1;
        }
        self.slots += size;
        let mut slots = vec![Slot { to: NONE, length_m: 0.0, before: NONE }; size].into_boxed_slice();
        for slot in &self.search.settled {
            let mut at = hash(slot.to) & (size - 1);
            while slots[at].to != NONE {
                at = (at + 1) & (size - 1);
            }
            slots[at] = *slot;
        }
        self.rows[from as usize] = Some(Row { limit_m: rounded_m, slots });
    }
}

impl Search {
    /// Dijkstra over segments from the end of `from`; the cost of a segment is that of its begin. The width of
    /// junctions counts (a SUMO edge ends at its stop line), so that routes are as long as the street.
    fn run(&mut self, network: &Network, segments: &[Piece], gaps: bool, from: u32, limit_m: f32) {
        if self.stamp.len() < segments.len() {
            self.stamp.resize(segments.len(), 0);
            self.cost.resize(segments.len(), 0.0);
            self.before.resize(segments.len(), NONE);
        }
        self.now = self.now.checked_add(1).unwrap_or_else(|| {
            self.stamp.fill(0);
            1
        });
        self.heap.clear();
        self.settled.clear();
        self.relax(network, gaps, from, 0.0, limit_m);
        while let Some(Reached { cost, segment }) = self.heap.pop() {
            if cost > self.cost[segment as usize] {
                continue;
            }
            self.settled.push(Slot { to: segment, length_m: cost, before: self.before[segment as usize] });
            if self.settled.len() == SETTLED_MAX {
                return;
            }
            self.relax(network, gaps, segment, cost + segments[segment as usize].length_m, limit_m);
        }
    }

    fn relax(&mut self, network: &Network, gaps: bool, at: u32, end: f32, limit_m: f32) {
        for &next in network.successors(SegmentIndex(at)) {
            let gap_m = if gaps { network.gap_m(SegmentIndex(at), next) as f32 } else { 0.0 };
            let (cost, i) = (end + gap_m, next.at());
            if cost <= limit_m && (self.stamp[i] != self.now || cost < self.cost[i]) {
                self.stamp[i] = self.now;
                self.cost[i] = cost;
                self.before[i] = at;
                self.heap.push(Reached { cost, segment: next.0 });
            }
        }
    }
}

#[inline]
fn hash(key: u32) -> usize {
    // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4); the high bits are the good ones.
    (key.wrapping_mul(0x9E37_79B1) >> 12) as usize
}

/// A queued segment; the heap gives the nearest first, ties by index so that equal routes are always the same one.
#[derive(Clone, Copy, PartialEq)]
struct Reached {
    cost: f32,
    segment: u32,
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
