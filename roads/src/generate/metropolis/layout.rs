//! The main streets: rings, radial avenues, and a river that comes in from one side, bends round the old town and
//! leaves on the other, with quays on both banks and bridges where rings and avenues cross it.
//!
//! All is drawn as circles and rays first and then bent by a smooth field, so nothing looks drawn with compasses
//! and nothing crosses that did not cross before. Upstream: [`super::MetropolisPlan`]. Downstream: [`super::blocks`],
//! which fills what lies between the main streets.

use std::f64::consts::{PI, TAU};

use rustc_hash::FxHashMap;

use super::names;
use super::plane::{Kind, Plane, Point, Side};
use super::random::Random;
use crate::segment::RoadClass;

const OUTER: Kind = Kind { class: RoadClass::Trunk, lanes: 2, limit_kmh: 70.0 };
const RING: Kind = Kind { class: RoadClass::Primary, lanes: 2, limit_kmh: 60.0 };
const AVENUE: Kind = Kind { class: RoadClass::Primary, lanes: 2, limit_kmh: 50.0 };
const QUAY: Kind = Kind { class: RoadClass::Secondary, lanes: 1, limit_kmh: 50.0 };

/// Width of the river, metres.
pub(super) const RIVER_M: f64 = 90.0;

/// Avenues that leave the old town.
const AVENUES: usize = 8;

/// A sector wider than this on its outer ring is halved by another avenue, metres.
const SECTOR_M_MAX: f64 = 1_300.0;

/// First ring and the width of the first band, metres; every further band is wider by [`BAND_GROWTH`].
const OLD_TOWN_M: f64 = 300.0;
const BAND_M: f64 = 480.0;
const BAND_GROWTH: f64 = 1.35;

/// Distance of the vertices of a bent street, metres.
const STEP_M: f64 = 45.0;

/// What lies between the main streets.
pub(super) struct Layout {
    pub(super) blocks: Vec<Vec<Side>>,
    /// Middle of the river from where it enters to where it leaves.
    pub(super) river: Vec<Point>,
    pub(super) radius_m: f64,
}

/// A corner of the main streets: ring, ray (in units of the finest division of all), and which side of the river.
type Corner = (usize, usize, Bank);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Bank {
    None,
    /// In the direction of growing angles.
    Left,
    Right,
}

struct Maker<'a> {
    plane: &'a mut Plane,
    bend: Bend,
    rings_m: Vec<f64>,
    /// Rays of each band, as multiples of the finest step.
    stride: Vec<usize>,
    rays: usize,
    /// Angle of each ray of the finest division, radians.
    angles: Vec<f64>,
    river: [usize; 2],
    nodes: FxHashMap<Corner, usize>,
    bridges: usize,
}

pub(super) fn draw(plane: &mut Plane, seed: u64, radius_m: f64) -> Layout {
    let mut random = Random::new(seed, 1);
    let mut rings_m = vec![OLD_TOWN_M.min(radius_m * 0.35)];
    let mut band_m = BAND_M.min(radius_m * 0.65);
    while rings_m[rings_m.len() - 1] + 0.6 * band_m < radius_m {
        rings_m.push(rings_m[rings_m.len() - 1] + band_m);
        band_m *= BAND_GROWTH;
    }
    // The bands share out what is missing or too much, so that the last ring is the edge.
    let first = rings_m[0];
    let stretch = (radius_m - first) / (rings_m[rings_m.len() - 1] - first).max(1.0);
    rings_m.iter_mut().for_each(|r| *r = first + (*r - first) * stretch);
    let mut count = AVENUES;
    let counts: Vec<usize> = (1..rings_m.len())
        .map(|band| {
            while TAU * rings_m[band] / count as f64 > SECTOR_M_MAX {
                count *= 2;
            }
            count
        })
        .collect();
    let rays = counts.last().copied().unwrap_or(AVENUES);
    let stride = counts.iter().map(|n| rays / n).collect();
    let shake = |random: &mut Random| (random.unit() - 0.5) * 0.3;
    let angles = (0..rays).map(|ray| TAU * (ray as f64 + shake(&mut random)) / rays as f64).collect();
    // In by the first avenue, out by one that lies about opposite.
    let out = (AVENUES / 2 + random.below(3) as usize - 1) * (rays / AVENUES);
    let bend = Bend::new(&mut random, radius_m);
    let mut maker =
        Maker { plane, bend, rings_m, stride, rays, angles, river: [0, out], nodes: FxHashMap::default(), bridges: 0 };
    let mut names = names::Streets::new(seed);
    let blocks = maker.blocks(&mut names);
    let river = maker.river_line();
    Layout { blocks, river, radius_m }
}

impl Maker<'_> {
    fn blocks(&mut self, names: &mut names::Streets) -> Vec<Vec<Side>> {
        let count = self.rings_m.len();
        let mut rings: Vec<FxHashMap<usize, (usize, usize)>> = Vec::new();
        let mut blocks = Vec::new();
        for ring in 0..count {
            let sides = self.ring(ring, count);
            if ring == 0 {
                let mut old_town: Vec<_> = sides.iter().collect();
                old_town.sort_unstable();
                blocks.push(old_town.into_iter().map(|(_, (line, _))| self.whole(*line)).collect());
            }
            rings.push(sides);
        }
        let moat = self.moat();
        for band in 0..count - 1 {
            let stride = self.stride[band];
            let mut avenues: FxHashMap<(usize, Bank), usize> = FxHashMap::default();
            for ray in (0..self.rays).step_by(stride) {
                self.avenue(band, ray, names, &mut avenues);
            }
            for ray in (0..self.rays).step_by(stride) {
                let next = (ray + stride) % self.rays;
                let side = |ray, bank| avenues.get(&(ray, bank)).or_else(|| avenues.get(&(ray, Bank::None)));
                let (Some(&out), Some(&back)) = (side(ray, Bank::Left), side(next, Bank::Right)) else { continue };
                let inner = if band == 0 && self.is_wet(ray) { &moat } else { &rings[band] };
                let mut block = vec![self.whole(out)];
                block.extend(self.arcs(&rings[band + 1], ray, next));
                block.push(self.backwards(back));
                let inside: Vec<_> = self.arcs(inner, ray, next).iter().map(|s| self.backwards(s.line)).collect();
                block.extend(inside.into_iter().rev());
                blocks.push(block);
            }
        }
        blocks
    }

    /// The arcs of a ring, by the ray where each begins: its line and the ray where it ends.
    fn ring(&mut self, ring: usize, count: usize) -> FxHashMap<usize, (usize, usize)> {
        let kind = if ring + 1 == count && ring > 0 {
            OUTER
        } else if ring == 0 {
            AVENUE
        } else {
            RING
        };
        let name = names::ring(ring, count);
        // The finer division of the bands on both sides.
        let stride = self.stride[ring.min(self.stride.len() - 1)];
        let mut arcs = FxHashMap::default();
        for ray in (0..self.rays).step_by(stride) {
            let next = (ray + stride) % self.rays;
            let line = self.arc((ring, ray, next), self.rings_m[ring], kind, &name);
            arcs.insert(ray, (line, next));
            if ring > 0 && self.river.contains(&ray) {
                self.bridge((ring, ray, Bank::Right), (ring, ray, Bank::Left), kind);
            }
        }
        arcs
    }

    /// The far bank where the river bends round the old town, as arcs; and the bridges over that bend.
    fn moat(&mut self) -> FxHashMap<usize, (usize, usize)> {
        let stride = self.stride[0];
        let mut arcs = FxHashMap::default();
        let outside = self.rings_m.len();
        for ray in (self.river[0]..self.river[1]).step_by(stride) {
            let next = (ray + stride) % self.rays;
            let name = names::quay(0);
            let line = self.arc((outside, ray, next), self.rings_m[0] + RIVER_M, QUAY, &name);
            arcs.insert(ray, (line, next));
            if !self.river.contains(&ray) {
                self.bridge((0, ray, Bank::None), (outside, ray, Bank::None), AVENUE);
            }
        }
        arcs
    }

    fn arc(&mut self, (ring, ray, next): (usize, usize, usize), radius_m: f64, kind: Kind, name: &str) -> usize {
        let bank = |ray, side| if self.river.contains(&ray) { side } else { Bank::None };
        // The old town has no water within: there the two banks of the river are one corner.
        let (from, to) =
            if ring == 0 { (Bank::None, Bank::None) } else { (bank(ray, Bank::Left), bank(next, Bank::Right)) };
        let (a, b) = (self.angle(radius_m, ray, from), self.angle(radius_m, next, to));
        let b = if b < a { b + TAU } else { b };
        let steps = ((b - a) * radius_m / STEP_M).ceil().max(2.0);
        let points = (0..=steps as usize).map(|i| self.bend.at(radius_m, a + (b - a) * i as f64 / steps)).collect();
        let (from, to) = (self.corner((ring, ray, from)), self.corner((ring, next, to)));
        self.plane.line(from, to, points, kind, name.to_owned())
    }

    /// An avenue across a band, or the two quays where the river runs.
    fn avenue(
        &mut self,
        band: usize,
        ray: usize,
        names: &mut names::Streets,
        made: &mut FxHashMap<(usize, Bank), usize>,
    ) {
        let outside = self.rings_m.len();
        let is_river = self.river.contains(&ray);
        let banks: &[Bank] = if is_river { &[Bank::Left, Bank::Right] } else { &[Bank::None] };
        for &bank in banks {
            let dry_sector = if bank == Bank::Right { (ray + self.rays - self.stride[band]) % self.rays } else { ray };
            let from = match (band, bank) {
                (0, Bank::None) if self.is_wet(ray) => (outside, ray, bank),
                (0, Bank::None) => (0, ray, bank),
                (0, Bank::Left | Bank::Right) if self.is_wet(dry_sector) => (outside, ray, bank),
                (0, Bank::Left | Bank::Right) => (0, ray, Bank::None),
                _ => (band, ray, bank),
            };
            let (kind, name) = if is_river {
                (QUAY, names::quay(1 + usize::from(ray != 0) * 2 + usize::from(bank == Bank::Left)))
            } else {
                (AVENUE, names.of_ray(ray))
            };
            let (a_m, b_m) = (self.radius_m(from), self.rings_m[band + 1]);
            let steps = ((b_m - a_m) / STEP_M).ceil().max(2.0);
            let point = |i: usize| {
                let r = a_m + (b_m - a_m) * i as f64 / steps;
                self.bend.at(r, self.angle(r, ray, bank))
            };
            let points = (0..=steps as usize).map(point).collect();
            let (from, to) = (self.corner(from), self.corner((band + 1, ray, bank)));
            made.insert((ray, bank), self.plane.line(from, to, points, kind, name));
        }
    }

    fn bridge(&mut self, from: Corner, to: Corner, kind: Kind) {
        let (from, to) = (self.corner(from), self.corner(to));
        let points = vec![self.plane.nodes[from], self.plane.nodes[to]];
        let line = self.plane.line(from, to, points, kind, names::bridge(self.bridges));
        self.plane.lines[line].is_bridge = true;
        self.bridges += 1;
    }

    /// Whether the river runs between the old town and the sector that begins at a ray, or at the ray itself.
    fn is_wet(&self, ray: usize) -> bool {
        (self.river[0]..self.river[1]).contains(&ray)
    }

    fn corner(&mut self, corner: Corner) -> usize {
        if let Some(&node) = self.nodes.get(&corner) {
            return node;
        }
        let radius_m = self.radius_m(corner);
        let place = self.bend.at(radius_m, self.angle(radius_m, corner.1, corner.2));
        let node = self.plane.node(place);
        self.nodes.insert(corner, node);
        node
    }

    fn radius_m(&self, (ring, _, _): Corner) -> f64 {
        self.rings_m.get(ring).copied().unwrap_or(self.rings_m[0] + RIVER_M)
    }

    /// The angle of a ray, or of a bank beside it, at a radius.
    fn angle(&self, radius_m: f64, ray: usize, bank: Bank) -> f64 {
        let half = (RIVER_M / 2.0 / radius_m).min(0.5).asin();
        self.angles[ray]
            + match bank {
                Bank::None => 0.0,
                Bank::Left => half,
                Bank::Right => -half,
            }
    }

    fn arcs(&self, ring: &FxHashMap<usize, (usize, usize)>, from: usize, to: usize) -> Vec<Side> {
        let mut sides = Vec::new();
        let mut at = from;
        while let Some(&(line, next)) = ring.get(&at) {
            sides.push(self.whole(line));
            at = next;
            if at == to {
                break;
            }
        }
        sides
    }

    fn whole(&self, line: usize) -> Side {
        Side { line, from_m: 0.0, to_m: self.plane.lines[line].length_m() }
    }

    fn backwards(&self, line: usize) -> Side {
        Side { line, from_m: self.plane.lines[line].length_m(), to_m: 0.0 }
    }

    fn river_line(&self) -> Vec<Point> {
        let edge_m = self.rings_m[self.rings_m.len() - 1] * 1.15;
        let bend_m = self.rings_m[0] + RIVER_M / 2.0;
        let [a, b] = self.river.map(|ray| self.angles[ray]);
        let ray = |angle: f64| (0..=60).map(move |i| (bend_m + (edge_m - bend_m) * f64::from(i) / 60.0, angle));
        let arc = (0..=40).map(|i| (bend_m, a + (b - a) * f64::from(i) / 40.0));
        let way = ray(a).collect::<Vec<_>>().into_iter().rev().chain(arc).chain(ray(b));
        way.map(|(r, angle)| self.bend.at(r, angle)).collect()
    }
}

/// The field that bends circles and rays into a city: a stretch along one axis, a turn, and smooth waves whose
/// slopes stay below one, so that no street is folded over another.
struct Bend {
    turn: f64,
    waves: [[f64; 5]; 6],
}

impl Bend {
    fn new(random: &mut Random, radius_m: f64) -> Self {
        let mut wave = |amplitude_m: f64, length_m: f64| {
            let way = random.unit() * TAU;
            let k = TAU / length_m;
            [k * way.cos(), k * way.sin(), random.unit() * TAU, random.unit() * TAU, amplitude_m]
        };
        // Slope of a wave: 2π × amplitude ÷ length; the six add up to 0.5.
        let waves = [
            wave(radius_m * 0.045, radius_m * 1.9),
            wave(radius_m * 0.03, radius_m * 1.3),
            wave(26.0, 1_500.0),
            wave(20.0, 1_100.0),
            wave(7.0, 520.0),
            wave(4.0, 380.0),
        ];
        Self { turn: random.unit() * PI, waves }
    }

    fn at(&self, radius_m: f64, angle: f64) -> Point {
        let (x, y) = (1.12 * radius_m * angle.cos(), 0.92 * radius_m * angle.sin());
        let (sin, cos) = self.turn.sin_cos();
        let (x, y) = (x * cos - y * sin, x * sin + y * cos);
        let mut place = [x, y];
        for [kx, ky, p, q, amplitude_m] in self.waves {
            place[0] += amplitude_m * (kx * x + ky * y + p).sin();
            place[1] += amplitude_m * (kx * x + ky * y + q).sin();
        }
        place
    }
}
