//! The part of a network in which everything reaches everything.
//!
//! Upstream: [`Network`]. Downstream: the generator, which keeps only that part; the simulator, which must not
//! send anyone where no way leads, or whence none leads back.

use crate::network::Network;
use crate::segment::SegmentIndex;

/// The largest set of segments that all reach each other by allowed turns, ascending; of two equal ones the one
/// that holds the lowest index.
///
/// Tarjan's algorithm (SIAM J. Comput. 1(2), 1972), with a stack of its own, since streets form long chains.
pub fn largest_strong_part(net: &Network) -> Vec<SegmentIndex> {
    let mut tarjan = Tarjan::new(net.segments().len());
    let mut best: Vec<SegmentIndex> = Vec::new();
    for start in net.indices() {
        if tarjan.order[start.at()] == UNSEEN {
            tarjan.visit(net, start, &mut best);
        }
    }
    best.sort_unstable();
    best
}

const UNSEEN: u32 = u32::MAX;

struct Tarjan {
    order: Vec<u32>,
    /// Lowest order reachable from here within the open stack.
    low: Vec<u32>,
    open: Vec<bool>,
    stack: Vec<SegmentIndex>,
    next: u32,
}

impl Tarjan {
    fn new(segments: usize) -> Self {
        Self {
            order: vec![UNSEEN; segments],
            low: vec![UNSEEN; segments],
            open: vec![false; segments],
            stack: Vec::new(),
            next: 0,
        }
    }

    fn enter(&mut self, at: SegmentIndex) {
        self.order[at.at()] = self.next;
        self.low[at.at()] = self.next;
        self.next += 1;
        self.open[at.at()] = true;
        self.stack.push(at);
    }

    fn visit(&mut self, net: &Network, start: SegmentIndex, best: &mut Vec<SegmentIndex>) {
        self.enter(start);
        // A segment and how many of its successors were looked at.
        let mut calls = vec![(start, 0)];
        while let Some((at, done)) = calls.last_mut() {
            let at = *at;
            if let Some(&to) = net.successors(at).get(*done) {
                *done += 1;
                if self.order[to.at()] == UNSEEN {
                    self.enter(to);
                    calls.push((to, 0));
                } else if self.open[to.at()] {
                    self.low[at.at()] = self.low[at.at()].min(self.order[to.at()]);
                }
                continue;
            }
            calls.pop();
            if let Some((caller, _)) = calls.last() {
                self.low[caller.at()] = self.low[caller.at()].min(self.low[at.at()]);
            }
            if self.low[at.at()] == self.order[at.at()] {
                let first = self.stack.iter().rposition(|&s| s == at).expect("it was pushed on entry");
                let part = self.stack.split_off(first);
                for member in &part {
                    self.open[member.at()] = false;
                }
                let lowest = |part: &[SegmentIndex]| part.iter().min().copied();
                if part.len() > best.len() || (part.len() == best.len() && lowest(&part) < lowest(best)) {
                    *best = part;
                }
            }
        }
    }
}
