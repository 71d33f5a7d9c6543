//! Names of streets: enough different ones for a large city, the same for the same seed.
//!
//! Upstream: a number for every street. Downstream: [`super::layout`], [`super::blocks`].

use rustc_hash::FxHashMap;

use crate::segment::RoadClass;

const FIRST: [&str; 48] = [
    "Ash", "Alder", "Amber", "Beech", "Birch", "Black", "Bram", "Brook", "Castle", "Chapel", "Clay", "Copper", "Crown",
    "Dover", "Eagle", "East", "Elm", "Fair", "Fern", "Fox", "Glen", "Gold", "Green", "Grey", "Hazel", "Heath", "High",
    "Holly", "Iron", "Ivy", "Kings", "Lamb", "Lime", "Long", "Maple", "Marsh", "Mill", "North", "Oak", "Pine",
    "Queens", "Rose", "Silver", "Stone", "Summer", "Thorn", "White", "Willow",
];

const SECOND: [&str; 22] = [
    "", "bourne", "bridge", "bury", "combe", "croft", "dale", "field", "ford", "gate", "ham", "hill", "hurst", "ley",
    "mere", "moor", "stead", "well", "wick", "wood", "worth", "yard",
];

const QUAYS: [&str; 6] = ["Granary Quay", "Fishers Quay", "Mint Quay", "Tannery Quay", "Poplar Quay", "Ferry Quay"];

const BRIDGES: [&str; 8] = ["Old", "Market", "Station", "Iron", "Lion", "Park", "Mill", "Victory"];

/// Pairs of first and second halves.
const NAMES: u64 = (FIRST.len() * SECOND.len()) as u64;

/// Gives every new street a name of its own, and every part of an avenue the name of the avenue.
pub(super) struct Streets {
    seed: u64,
    given: u64,
    avenues: FxHashMap<usize, String>,
}

impl Streets {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, given: 0, avenues: FxHashMap::default() }
    }

    pub(super) fn next(&mut self, class: RoadClass) -> String {
        self.given += 1;
        street(class, self.seed, self.given - 1)
    }

    /// The avenue along a ray.
    pub(super) fn of_ray(&mut self, ray: usize) -> String {
        if let Some(name) = self.avenues.get(&ray) {
            return name.clone();
        }
        let name = self.next(RoadClass::Primary);
        self.avenues.insert(ray, name.clone());
        name
    }
}

/// The name of street `number`; once all pairs were used, a word is put before them, then a number behind them.
fn street(class: RoadClass, seed: u64, number: u64) -> String {
    let suffixes: &[&str] = match class {
        RoadClass::Motorway | RoadClass::Trunk | RoadClass::Primary => &["Avenue"],
        RoadClass::Secondary => &["Road"],
        RoadClass::Tertiary => &["Street"],
        RoadClass::Residential | RoadClass::Service => &["Street", "Lane", "Row", "Close", "Way"],
    };
    // A step that shares no factor with 48 × 22 visits every pair once before it comes back.
    let at = ((number % NAMES) * 457 + seed % NAMES) % NAMES;
    let (first, second) = (FIRST[at as usize / SECOND.len()], SECOND[at as usize % SECOND.len()]);
    let round = number / NAMES;
    let suffix = suffixes[(number % suffixes.len() as u64) as usize];
    match round {
        0 => format!("{first}{second} {suffix}"),
        1..=4 => format!("{} {first}{second} {suffix}", ["Upper", "Lower", "Old", "New"][round as usize - 1]),
        more => format!("{first}{second} {suffix} {more}"),
    }
}

pub(super) fn quay(number: usize) -> String {
    numbered(QUAYS[number % QUAYS.len()].to_owned(), number / QUAYS.len())
}

pub(super) fn bridge(number: usize) -> String {
    numbered(format!("{} Bridge", BRIDGES[number % BRIDGES.len()]), number / BRIDGES.len())
}

/// The ring `number` of `count`, from the inside.
pub(super) fn ring(number: usize, count: usize) -> String {
    match number {
        0 => "Old Town Ring".into(),
        _ if number + 1 == count => "Outer Ring".into(),
        1 => "Inner Ring".into(),
        _ => format!("Ring {}", number + 1),
    }
}

fn numbered(name: String, again: usize) -> String {
    if again == 0 { name } else { format!("{name} {}", again + 1) }
}
