//! Where the streets of a generated city run, and what they are.
//!
//! Upstream: [`super::CityPlan`]. Downstream: [`super::city`], which makes a network of them.

use std::f64::consts::{PI, TAU};

use super::CityPlan;
use crate::network::M_PER_DEG;
use crate::segment::RoadClass;

/// What a street is like, both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kind {
    pub(super) class: RoadClass,
    pub(super) lanes: u8,
    pub(super) limit_kmh: f32,
}

const RING: Kind = Kind { class: RoadClass::Primary, lanes: 2, limit_kmh: 60.0 };
const ARTERIAL: Kind = Kind { class: RoadClass::Primary, lanes: 2, limit_kmh: 50.0 };
const SECONDARY: Kind = Kind { class: RoadClass::Secondary, lanes: 1, limit_kmh: 50.0 };
const TERTIARY: Kind = Kind { class: RoadClass::Tertiary, lanes: 1, limit_kmh: 50.0 };
const SIDE: Kind = Kind { class: RoadClass::Residential, lanes: 1, limit_kmh: 30.0 };

/// A street between two neighbouring corners.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Street {
    pub(super) source_id: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) from: (u32, u32),
    pub(super) to: (u32, u32),
    pub(super) line: Vec<[f64; 2]>,
}

/// The layout: a grid of corners that was bent, shaken and rounded.
pub(super) struct Town<'a> {
    plan: &'a CityPlan,
    blocks: (u32, u32),
    block_m: f64,
    park: (u32, u32),
}

/// What a random number decides: each question has its own stream.
#[derive(Clone, Copy)]
enum Ask {
    Turn = 1,
    WarpX,
    WarpY,
    ShiftX,
    ShiftY,
    River,
    ParkX,
    ParkY,
    Missing,
    Bend,
    Rank,
    Name,
}

impl<'a> Town<'a> {
    pub(super) fn new(plan: &'a CityPlan) -> Self {
        let blocks = (plan.blocks_x.clamp(2, 200), plan.blocks_y.clamp(2, 200));
        let block_m = if plan.block_m.is_finite() { plan.block_m.clamp(40.0, 2_000.0) } else { 120.0 };
        let mut town = Self { plan, blocks, block_m, park: (0, 0) };
        let spot = |ask, n: u32| (town.random(ask, 0, 0) * f64::from(n - 1)) as u32;
        town.park = (spot(Ask::ParkX, blocks.0), spot(Ask::ParkY, blocks.1));
        town
    }

    /// Every street that exists, west to east and south to north.
    pub(super) fn streets(&self) -> Vec<Street> {
        let mut streets = Vec::new();
        for j in 0..=self.blocks.1 {
            for i in 0..=self.blocks.0 {
                if i < self.blocks.0 {
                    streets.extend(self.street((i, j), (i + 1, j)));
                }
                if j < self.blocks.1 {
                    streets.extend(self.street((i, j), (i, j + 1)));
                }
            }
        }
        streets
    }

    fn street(&self, from: (u32, u32), to: (u32, u32)) -> Option<Street> {
        let eastward = from.1 == to.1;
        let (line, count) = if eastward { (from.1, self.blocks.1) } else { (from.0, self.blocks.0) };
        let kind = self.kind(eastward, line, count);
        let is_main = kind.class == RoadClass::Primary;
        let over_river = self.is_north(from) != self.is_north(to);
        if !is_main && (over_river || self.is_missing(kind, eastward, from, to)) {
            return None;
        }
        let mut name = self.name(eastward, line, count);
        if over_river {
            name.push_str(" Bridge");
        }
        let source_id = format!("{}{}.{}", if eastward { 'h' } else { 'v' }, from.0, from.1);
        let line = self.line(kind, eastward, over_river, from, to);
        Some(Street { source_id, name, kind, from, to, line })
    }

    /// Rank by line: a ring around, an arterial every fourth line, secondary streets half-way between them.
    fn kind(&self, eastward: bool, line: u32, count: u32) -> Kind {
        match line {
            0 => RING,
            _ if line == count => RING,
            _ if line % 4 == 2 => ARTERIAL,
            _ if line.is_multiple_of(4) => SECONDARY,
            _ if self.random(Ask::Rank, line, u32::from(eastward)) < 0.25 => TERTIARY,
            _ => SIDE,
        }
    }

    /// Side streets that were never built, and those that the park swallowed.
    fn is_missing(&self, kind: Kind, eastward: bool, from: (u32, u32), to: (u32, u32)) -> bool {
        let (x, y) = self.park;
        let in_park = |(i, j): (u32, u32)| i == x + 1 && j == y + 1;
        let key = from.0 * 2 + u32::from(eastward);
        let never_built = kind.class == RoadClass::Residential && self.random(Ask::Missing, key, from.1) < 0.10;
        never_built || in_park(from) || in_park(to)
    }

    /// Whether a corner lies north of the river, which winds from west to east.
    fn is_north(&self, (i, j): (u32, u32)) -> bool {
        let (across, rows) = (f64::from(i) / f64::from(self.blocks.0), f64::from(self.blocks.1));
        let wind = (TAU * (0.9 * across + self.random(Ask::River, 0, 0))).sin();
        f64::from(j) > (rows * (0.42 + 0.13 * wind)).clamp(0.5, rows - 0.5)
    }

    fn line(&self, kind: Kind, eastward: bool, straight: bool, from: (u32, u32), to: (u32, u32)) -> Vec<[f64; 2]> {
        let (a, b) = (self.corner_m(from), self.corner_m(to));
        let key = from.0 * 2 + u32::from(eastward);
        let sag_share = if kind.class == RoadClass::Primary { 0.06 } else { 0.24 };
        let sag = if straight { 0.0 } else { (self.random(Ask::Bend, key, from.1) - 0.5) * sag_share };
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let bent = [0.0, 0.25, 0.5, 0.75, 1.0].into_iter().map(|t| {
            let off = 4.0 * t * (1.0 - t) * sag;
            self.degrees((a.0 + t * dx - off * dy, a.1 + t * dy + off * dx))
        });
        // A sag of 1 % of the length is not seen: such a street is straight.
        if sag.abs() < 0.01 { vec![self.degrees(a), self.degrees(b)] } else { bent.collect() }
    }

    /// Where a corner lies, metres east and north of the centre.
    fn corner_m(&self, (i, j): (u32, u32)) -> (f64, f64) {
        let (columns, rows) = (f64::from(self.blocks.0), f64::from(self.blocks.1));
        let (u, v) = (2.0 * f64::from(i) / columns - 1.0, 2.0 * f64::from(j) / rows - 1.0);
        // Half-way from the square to the disc (elliptical mapping): the ring has no sharp corners.
        let rounded = |a: f64, b: f64| 0.5 * a + 0.5 * a * (1.0 - b * b / 2.0).sqrt();
        let is_main = |line, count| self.kind(true, line, count).class == RoadClass::Primary;
        let firm = is_main(i, self.blocks.0) || is_main(j, self.blocks.1);
        let shake = if firm { 0.12 } else { 0.34 };
        let wave = |ask, t: f64| 0.5 * (TAU * (0.8 * t + self.random(ask, 0, 0))).sin();
        let shift = |ask| (self.random(ask, i, j) - 0.5) * shake;
        let x = rounded(u, v) * columns / 2.0 + wave(Ask::WarpX, v) + shift(Ask::ShiftX);
        let y = rounded(v, u) * rows / 2.0 + wave(Ask::WarpY, u) + shift(Ask::ShiftY);
        let angle = (self.random(Ask::Turn, 0, 0) - 0.5) * PI / 4.0;
        let (sin, cos) = angle.sin_cos();
        (self.block_m * (x * cos - y * sin), self.block_m * (x * sin + y * cos))
    }

    /// Metres east and north of the centre as lon, lat in degrees.
    fn degrees(&self, (east, north): (f64, f64)) -> [f64; 2] {
        let (lon, lat) = (self.plan.center.lon_deg(), self.plan.center.lat_deg());
        [lon + east / (M_PER_DEG * (lat * PI / 180.0).cos()), lat + north / M_PER_DEG]
    }

    fn name(&self, eastward: bool, line: u32, count: u32) -> String {
        match (eastward, line) {
            (true, 0) => "South Ring".into(),
            (false, 0) => "West Ring".into(),
            (true, _) if line == count => "North Ring".into(),
            (false, _) if line == count => "East Ring".into(),
            (true, _) => self.numbered(&AVENUES, "Avenue", line, 0),
            (false, _) => self.numbered(&STREETS, "Street", line, 1),
        }
    }

    /// A name of its own for every line: the list from a random start, then again with a number.
    fn numbered(&self, names: &[&str], suffix: &str, line: u32, stream: u32) -> String {
        let start = (self.random(Ask::Name, stream, 0) * names.len() as f64) as usize;
        let name = names[(start + line as usize) % names.len()];
        match (line as usize - 1) / names.len() {
            0 => format!("{name} {suffix}"),
            again => format!("{name} {suffix} {}", again + 1),
        }
    }

    /// A number of 0 ≤ x < 1 that depends on the seed, the question and two keys, and on nothing else.
    fn random(&self, ask: Ask, a: u32, b: u32) -> f64 {
        let mixed = splitmix64(self.plan.seed ^ splitmix64((ask as u64) << 32 ^ u64::from(a)));
        (splitmix64(mixed ^ u64::from(b)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
pub(super) fn splitmix64(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const AVENUES: [&str; 24] = [
    "Almond",
    "Baker",
    "Castle",
    "Dyer",
    "Eastgate",
    "Foundry",
    "Granary",
    "Harbour",
    "Ivory",
    "Juniper",
    "Kiln",
    "Linden",
    "Market",
    "Northgate",
    "Orchard",
    "Potter",
    "Quarry",
    "Rosemary",
    "Saddler",
    "Tanner",
    "University",
    "Vineyard",
    "Weaver",
    "Yarrow",
];

const STREETS: [&str; 24] = [
    "Abbey", "Beech", "Cloister", "Dove", "Elm", "Fountain", "Garden", "Hazel", "Iris", "Jasmine", "Kestrel", "Laurel",
    "Mill", "Nettle", "Olive", "Poplar", "Quince", "River", "Station", "Thistle", "Union", "Viola", "Willow", "Well",
];
