//! The streets between the main streets: every block is cut across its longer axis until it is as small as blocks are
//! there, small in the old town and larger towards the edge. What is cut early is a collector, what is cut last a side
//! street. A new street that ends near a junction of the other side of the street is drawn to it, so that crossroads
//! arise as well as T-junctions.
//!
//! Upstream: [`super::layout`]. Downstream: [`super`]. After the recursive lot division of Parish and Müller,
//! "Procedural modeling of cities", SIGGRAPH 2001, applied to streets.

use super::layout::Layout;
use super::names;
use super::plane::{Edge, Kind, Plane, Point, Side, Spot, area, distance, mix};
use super::random::Random;
use crate::segment::RoadClass;

const SECONDARY: Kind = Kind { class: RoadClass::Secondary, lanes: 1, limit_kmh: 50.0 };
const TERTIARY: Kind = Kind { class: RoadClass::Tertiary, lanes: 1, limit_kmh: 50.0 };
const SIDE: Kind = Kind { class: RoadClass::Residential, lanes: 1, limit_kmh: 30.0 };

/// A block larger than this is cut by a secondary street, then by a tertiary one, m².
const SECONDARY_M2: f64 = 420.0 * 420.0;
const TERTIARY_M2: f64 = 250.0 * 250.0;

/// Side of a block in the old town and at the edge, metres.
const BLOCK_OLD_M: f64 = 78.0;
const BLOCK_EDGE_M: f64 = 142.0;

/// A junction nearer than this share of a block's side is joined rather than neighboured.
const JOIN_SHARE: f64 = 0.38;

/// Junctions are at least so far apart along a street, metres.
const JUNCTIONS_M_MIN: f64 = 32.0;

/// Streets meet at no sharper angle than this, degrees.
const ANGLE_DEG_MIN: f64 = 52.0;

/// Most streets at a junction.
const ARMS_MAX: u8 = 4;

/// Neither part of a block that is cut is a smaller share of it.
const SHARE_MIN: f64 = 0.24;

/// Tries to find a good cut before a block is left as it is.
const TRIES: u32 = 28;

/// Share of the blocks beyond the old town that stay parks, where they are of a park's size.
const PARK_SHARE: f64 = 0.05;
const PARK_M2: [f64; 2] = [25_000.0, 90_000.0];

/// Share of the side streets in the old town with one direction only.
const ONE_WAY_SHARE: f64 = 0.35;

struct Cutter<'a> {
    plane: &'a mut Plane,
    random: Random,
    names: names::Streets,
    radius_m: f64,
    old_town_m: f64,
}

/// A cut that was found good.
struct Cut {
    from: Spot,
    to: Spot,
    line: Vec<Point>,
}

pub(super) fn fill(plane: &mut Plane, layout: &Layout, seed: u64) {
    let names = names::Streets::new(seed ^ 0x5eed);
    let old_town_m = 380.0_f64.min(layout.radius_m * 0.4);
    let mut cutter = Cutter { plane, random: Random::new(seed, 2), names, radius_m: layout.radius_m, old_town_m };
    // The stack is bounded by the depth of the cuts, the loop by the area: every cut makes two smaller blocks.
    let mut blocks: Vec<Vec<Side>> = layout.blocks.iter().rev().cloned().collect();
    while let Some(block) = blocks.pop() {
        if let Some(halves) = cutter.cut(&block) {
            blocks.extend(halves);
        }
    }
}

impl Cutter<'_> {
    fn cut(&mut self, block: &[Side]) -> Option<[Vec<Side>; 2]> {
        let outline = self.plane.outline(block);
        let area_m2 = area(outline.iter().map(|e| (e.from, e.to)));
        let middle = middle(&outline);
        let out = (middle[0].hypot(middle[1]) / self.radius_m).min(1.0);
        let is_old = middle[0].hypot(middle[1]) < self.old_town_m;
        let block_m = BLOCK_OLD_M + (BLOCK_EDGE_M - BLOCK_OLD_M) * out.sqrt();
        if area_m2 < block_m * block_m * (1.25 + 0.7 * self.random.unit()) {
            return None;
        }
        let is_park_size = (PARK_M2[0]..PARK_M2[1]).contains(&area_m2);
        if !is_old && is_park_size && self.random.unit() < PARK_SHARE {
            return None;
        }
        let kind = match area_m2 {
            SECONDARY_M2.. => SECONDARY,
            TERTIARY_M2.. => TERTIARY,
            _ => SIDE,
        };
        let axis = long_axis(&outline, middle);
        let found = (0..TRIES).find_map(|again| {
            let spread = (0.06 + 0.02 * f64::from(again)).min(0.34);
            let share = (self.random.unit() - 0.5) * 2.0 * spread;
            let turn = (self.random.unit() - 0.5) * if again < 8 { 0.16 } else { 0.7 };
            let ([ux, uy], extent_m) = axis;
            let on = [middle[0] + ux * extent_m * share, middle[1] + uy * extent_m * share];
            let (sin, cos) = turn.sin_cos();
            let way = [-uy * cos - ux * sin, ux * cos - uy * sin];
            let ends = crossings(&outline, on, way)?;
            self.try_cut(block, &outline, ends, block_m, (kind, is_old))
        })?;
        let (from, to) = (self.junction(block, found.from), self.junction(block, found.to));
        let name = self.names.next(kind.class);
        let street = self.plane.line(from, to, found.line, kind, name);
        self.plane.lines[street].is_one_way = is_old && kind == SIDE && self.random.unit() < ONE_WAY_SHARE;
        Some(self.plane.halves(block, found.from, found.to, street))
    }

    /// A street from one spot to another, moved to junctions near them; `None` if it makes no good corners or blocks.
    fn try_cut(
        &mut self,
        block: &[Side],
        outline: &[Edge],
        ends: (Spot, Spot),
        block_m: f64,
        (kind, is_old): (Kind, bool),
    ) -> Option<Cut> {
        let join_m = block_m * JOIN_SHARE * if kind == SIDE { 1.0 } else { 1.4 };
        let (from, to) = (self.drawn_to(block, ends.0, join_m)?, self.drawn_to(block, ends.1, join_m)?);
        let (p, q) = (self.place(block, from), self.place(block, to));
        if distance(p, q) < JUNCTIONS_M_MIN || from.side == to.side {
            return None;
        }
        if !self.is_open(block, from, q) || !self.is_open(block, to, p) {
            return None;
        }
        let line = if is_old { vec![p, q] } else { self.bent(p, q, kind) };
        let is_inside = line.windows(2).all(|pair| is_within(outline, mix(pair[0], pair[1], 0.5)));
        if !is_inside || meets_outline(outline, &line) {
            return None;
        }
        let (rest, all_m2) = (part_area(outline, from, to, &line), area(outline.iter().map(|e| (e.from, e.to))));
        (SHARE_MIN..1.0 - SHARE_MIN).contains(&(rest / all_m2)).then_some(Cut { from, to, line })
    }

    fn place(&self, block: &[Side], spot: Spot) -> Point {
        self.plane.lines[block[spot.side].line].at(spot.m)
    }

    /// The junction near a spot, or the spot itself if none is near; `None` if one is too near to be neighboured.
    fn drawn_to(&self, block: &[Side], spot: Spot, join_m: f64) -> Option<Spot> {
        let side = block[spot.side];
        let (at, node) = self.plane.nearest_junction(side.line, spot.m);
        let (low, high) = (side.from_m.min(side.to_m), side.from_m.max(side.to_m));
        let inside = at > low + 0.01 && at < high - 0.01;
        if (at - spot.m).abs() < join_m && inside && self.plane.arms[node] < ARMS_MAX {
            return Some(Spot { m: at, ..spot });
        }
        let ends_m = (spot.m - low).min(high - spot.m);
        ((at - spot.m).abs() >= JUNCTIONS_M_MIN && ends_m >= JUNCTIONS_M_MIN).then_some(spot)
    }

    /// Whether a street from a spot leaves its side at no sharp angle.
    fn is_open(&self, block: &[Side], spot: Spot, towards: Point) -> bool {
        let line = &self.plane.lines[block[spot.side].line];
        let (a, b, here) = (line.at(spot.m - 6.0), line.at(spot.m + 6.0), line.at(spot.m));
        let (along, across) = ([b[0] - a[0], b[1] - a[1]], [towards[0] - here[0], towards[1] - here[1]]);
        let cos = (along[0] * across[0] + along[1] * across[1]).abs()
            / (along[0].hypot(along[1]) * across[0].hypot(across[1])).max(1e-9);
        cos < ANGLE_DEG_MIN.to_radians().cos()
    }

    /// The street: straight in the old town and where it is short, else with a slight bend.
    fn bent(&mut self, p: Point, q: Point, kind: Kind) -> Vec<Point> {
        let length_m = distance(p, q);
        let sag = (self.random.unit() - 0.5) * if kind == SIDE { 0.14 } else { 0.08 };
        if length_m < 90.0 || sag.abs() < 0.015 {
            return vec![p, q];
        }
        let steps = (length_m / 40.0).ceil().clamp(4.0, 24.0);
        let bow = |i: usize| {
            let t = i as f64 / steps;
            let off = 4.0 * t * (1.0 - t) * sag;
            let at = mix(p, q, t);
            [at[0] - off * (q[1] - p[1]), at[1] + off * (q[0] - p[0])]
        };
        (0..=steps as usize).map(bow).collect()
    }

    fn junction(&mut self, block: &[Side], spot: Spot) -> usize {
        self.plane.junction(block[spot.side].line, spot.m)
    }
}

/// Mean of the outline, weighted by length.
fn middle(outline: &[Edge]) -> Point {
    let mut sum = [0.0; 3];
    for edge in outline {
        let (at, weight) = (mix(edge.from, edge.to, 0.5), distance(edge.from, edge.to));
        sum = [sum[0] + weight * at[0], sum[1] + weight * at[1], sum[2] + weight];
    }
    [sum[0] / sum[2].max(1e-9), sum[1] / sum[2].max(1e-9)]
}

/// Direction of the longer axis of the outline (by its second moments), and how far the outline reaches along it.
fn long_axis(outline: &[Edge], middle: Point) -> (Point, f64) {
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for edge in outline {
        let weight = distance(edge.from, edge.to);
        for at in [edge.from, mix(edge.from, edge.to, 0.5), edge.to] {
            let (x, y) = (at[0] - middle[0], at[1] - middle[1]);
            (xx, xy, yy) = (xx + weight * x * x, xy + weight * x * y, yy + weight * y * y);
        }
    }
    let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
    let axis = [angle.cos(), angle.sin()];
    let along = outline.iter().map(|e| (e.from[0] - middle[0]) * axis[0] + (e.from[1] - middle[1]) * axis[1]);
    let (low, high) = along.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    (axis, high - low)
}

/// Where a straight line through a place meets the outline next to it on both sides; `None` if the place is outside.
fn crossings(outline: &[Edge], on: Point, way: Point) -> Option<(Spot, Spot)> {
    let mut found: Vec<(f64, Spot)> = Vec::new();
    for edge in outline {
        let off = |p: Point| (p[0] - on[0]) * way[1] - (p[1] - on[1]) * way[0];
        let (a, b) = (off(edge.from), off(edge.to));
        if (a > 0.0) != (b > 0.0) {
            let share = a / (a - b);
            let at = mix(edge.from, edge.to, share);
            let spot = Spot { side: edge.side, m: edge.from_m + share * (edge.to_m - edge.from_m) };
            found.push(((at[0] - on[0]) * way[0] + (at[1] - on[1]) * way[1], spot));
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let after = found.partition_point(|(along, _)| *along < 0.0);
    // From inside, every straight line crosses an odd number of times on either side.
    (after % 2 == 1 && after < found.len()).then(|| (found[after - 1].1, found[after].1))
}

/// Whether a place is inside of the outline: a ray to the east crosses it an odd number of times.
fn is_within(outline: &[Edge], at: Point) -> bool {
    let crosses = |e: &&Edge| {
        let share = (at[1] - e.from[1]) / (e.to[1] - e.from[1]);
        (e.from[1] > at[1]) != (e.to[1] > at[1]) && at[0] < e.from[0] + share * (e.to[0] - e.from[0])
    };
    outline.iter().filter(crosses).count() % 2 == 1
}

/// Whether a street between two places of the outline crosses or touches it elsewhere.
fn meets_outline(outline: &[Edge], line: &[Point]) -> bool {
    let side = |a: Point, b: Point, p: Point| (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
    // The two ends lie on the outline: half a metre of each is left out.
    let last = line.len() - 1;
    let begin = mix(line[0], line[1], 0.5 / distance(line[0], line[1]).max(1.0));
    let end = mix(line[last], line[last - 1], 0.5 / distance(line[last], line[last - 1]).max(1.0));
    let pieces =
        (0..last).map(|i| (if i == 0 { begin } else { line[i] }, if i + 1 == last { end } else { line[i + 1] }));
    pieces.into_iter().any(|(p, q)| {
        outline.iter().any(|e| {
            side(e.from, e.to, p) * side(e.from, e.to, q) <= 0.0 && side(p, q, e.from) * side(p, q, e.to) <= 0.0
        })
    })
}

/// The area between a street and the outline from its end on to its begin, m².
fn part_area(outline: &[Edge], from: Spot, to: Spot, line: &[Point]) -> f64 {
    let holds = |e: &Edge, s: Spot| e.side == s.side && (s.m - e.from_m) * (s.m - e.to_m) <= 0.0;
    let n = outline.len();
    let Some(first) = outline.iter().position(|e| holds(e, to)) else { return 0.0 };
    let mut ring: Vec<Point> = line.to_vec();
    for edge in (0..n).map(|i| &outline[(first + i) % n]) {
        if holds(edge, from) {
            break;
        }
        ring.push(edge.to);
    }
    area((0..ring.len()).map(|i| (ring[i], ring[(i + 1) % ring.len()])))
}
