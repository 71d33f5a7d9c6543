//! Street lines in the plane, the junctions on them, and blocks whose sides are stretches of lines.
//!
//! Upstream: [`super::layout`] draws the main streets, [`super::blocks`] cuts blocks by new streets. Downstream:
//! [`super`], which makes segments of the stretches between junctions. A street that ends on another becomes a
//! junction of both, so streets meet in nodes and nowhere else: the picture is planar by construction.

use std::collections::BTreeMap;

use crate::segment::RoadClass;

/// Metres east and north of the middle of the city.
pub(super) type Point = [f64; 2];

/// What a street is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kind {
    pub(super) class: RoadClass,
    pub(super) lanes: u8,
    pub(super) limit_kmh: f32,
}

/// A street from its first junction to its last.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) points: Vec<Point>,
    /// Metres from the begin to each point.
    along_m: Vec<f64>,
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) is_bridge: bool,
    pub(super) is_one_way: bool,
    /// Node by millimetres along; begin and end are among them.
    pub(super) junctions: BTreeMap<i64, usize>,
}

impl Line {
    pub(super) fn length_m(&self) -> f64 {
        self.along_m.last().copied().unwrap_or(0.0)
    }

    /// The place so many metres along; clamped.
    pub(super) fn at(&self, m: f64) -> Point {
        let after = self.along_m.partition_point(|&a| a <= m).clamp(1, self.points.len() - 1);
        let (a, b) = (self.along_m[after - 1], self.along_m[after]);
        mix(self.points[after - 1], self.points[after], ((m - a) / (b - a)).clamp(0.0, 1.0))
    }

    /// The line from one place to another in that direction, ends included.
    pub(super) fn stretch(&self, from_m: f64, to_m: f64) -> Vec<Point> {
        let (low, high) = (from_m.min(to_m), from_m.max(to_m));
        let mut points = vec![self.at(low)];
        // A vertex nearer than a decimetre to an end would only make a splinter.
        points.extend(
            (0..self.points.len())
                .filter(|&i| self.along_m[i] > low + 0.1 && self.along_m[i] < high - 0.1)
                .map(|i| self.points[i]),
        );
        points.push(self.at(high));
        if from_m > to_m {
            points.reverse();
        }
        points
    }
}

/// A stretch of a line as the side of a block, run through from `from_m` to `to_m`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) line: usize,
    pub(super) from_m: f64,
    pub(super) to_m: f64,
}

/// A straight piece of the outline of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: Point,
    pub(super) to: Point,
    /// Index of the side in the block, and metres along that side's line.
    pub(super) side: usize,
    pub(super) from_m: f64,
    pub(super) to_m: f64,
}

/// A place on the outline of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// Index of the side in the block.
    pub(super) side: usize,
    /// Metres along the side's line.
    pub(super) m: f64,
}

/// All streets and junctions.
#[derive(Debug, Default)]
pub(super) struct Plane {
    pub(super) lines: Vec<Line>,
    pub(super) nodes: Vec<Point>,
    /// Streets that leave a node, by node.
    pub(super) arms: Vec<u8>,
}

impl Plane {
    pub(super) fn node(&mut self, at: Point) -> usize {
        self.nodes.push(at);
        self.arms.push(0);
        self.nodes.len() - 1
    }

    /// Adds a street between two nodes; its ends are moved onto them.
    pub(super) fn line(&mut self, from: usize, to: usize, mut points: Vec<Point>, kind: Kind, name: String) -> usize {
        let last = points.len() - 1;
        (points[0], points[last]) = (self.nodes[from], self.nodes[to]);
        points.dedup_by(|b, a| distance(*a, *b) < 0.1);
        if points.len() < 2 {
            points = vec![self.nodes[from], self.nodes[to]];
        }
        let mut along_m = vec![0.0];
        for pair in points.windows(2) {
            along_m.push(along_m[along_m.len() - 1] + distance(pair[0], pair[1]));
        }
        let end = millimetres(along_m[along_m.len() - 1]);
        let junctions = BTreeMap::from([(0, from), (end, to)]);
        self.arms[from] += 1;
        self.arms[to] += 1;
        self.lines.push(Line { points, along_m, kind, name, is_bridge: false, is_one_way: false, junctions });
        self.lines.len() - 1
    }

    /// The junction nearest to a place on a line, and how far it is along the line.
    pub(super) fn nearest_junction(&self, line: usize, m: f64) -> (f64, usize) {
        let at = millimetres(m);
        let junctions = &self.lines[line].junctions;
        let before = junctions.range(..=at).next_back();
        let after = junctions.range(at..).next();
        let nearest = before.into_iter().chain(after).min_by_key(|(mm, _)| (*mm - at).abs());
        let (&mm, &node) = nearest.expect("a line has a junction at either end");
        (mm as f64 / 1_000.0, node)
    }

    /// The node of a place on a line, made if there is none.
    pub(super) fn junction(&mut self, line: usize, m: f64) -> usize {
        let (at, node) = self.nearest_junction(line, m);
        if (at - m).abs() < 0.01 {
            return node;
        }
        let place = self.lines[line].at(m);
        let node = self.node(place);
        self.lines[line].junctions.insert(millimetres(m), node);
        self.arms[node] += 2;
        node
    }

    /// The straight pieces that a block's outline is made of, in order.
    pub(super) fn outline(&self, block: &[Side]) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (side, of) in block.iter().enumerate() {
            let line = &self.lines[of.line];
            let (low, high) = (of.from_m.min(of.to_m), of.from_m.max(of.to_m));
            // A vertex nearer than a decimetre to an end would only make a splinter.
            let mut marks: Vec<f64> =
                line.along_m.iter().copied().filter(|m| *m > low + 0.1 && *m < high - 0.1).collect();
            if of.from_m > of.to_m {
                marks.reverse();
            }
            let mut from_m = of.from_m;
            for to_m in marks.into_iter().chain([of.to_m]) {
                edges.push(Edge { from: line.at(from_m), to: line.at(to_m), side, from_m, to_m });
                from_m = to_m;
            }
        }
        edges
    }

    /// The two blocks that a new street makes of one, from a spot to another.
    pub(super) fn halves(&self, block: &[Side], from: Spot, to: Spot, street: usize) -> [Vec<Side>; 2] {
        let length_m = self.lines[street].length_m();
        let there = Side { line: street, from_m: 0.0, to_m: length_m };
        let back = Side { line: street, from_m: length_m, to_m: 0.0 };
        [[walk(block, to, from), vec![there]].concat(), [walk(block, from, to), vec![back]].concat()]
    }
}

/// The sides along the outline from one spot to another.
fn walk(block: &[Side], from: Spot, to: Spot) -> Vec<Side> {
    let mut sides = Vec::new();
    let n = block.len();
    let mut push = |line, from_m: f64, to_m: f64| {
        if (from_m - to_m).abs() > 0.01 {
            sides.push(Side { line, from_m, to_m });
        }
    };
    if from.side == to.side {
        let side = block[from.side];
        let is_ahead = (to.m - from.m) * (side.to_m - side.from_m) > 0.0;
        if is_ahead {
            push(side.line, from.m, to.m);
            return sides;
        }
    }
    push(block[from.side].line, from.m, block[from.side].to_m);
    let mut at = (from.side + 1) % n;
    while at != to.side {
        push(block[at].line, block[at].from_m, block[at].to_m);
        at = (at + 1) % n;
    }
    push(block[to.side].line, block[to.side].from_m, to.m);
    sides
}

pub(super) fn millimetres(m: f64) -> i64 {
    (m * 1_000.0).round() as i64
}

pub(super) fn mix(a: Point, b: Point, share: f64) -> Point {
    [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])]
}

pub(super) fn distance(a: Point, b: Point) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// The signed area of a closed outline, positive anticlockwise, m².
pub(super) fn area(points: impl Iterator<Item = (Point, Point)>) -> f64 {
    points.map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>() / 2.0
}
