//! Cities from a seed, of two kinds: [`city`], a bent grid with a river, made in no time for tests; and [`metropolis`],
//! which looks like a city and is what the default command simulates.
//!
//! Upstream: a [`CityPlan`] or [`MetropolisPlan`]. Downstream: the command line, the simulator, tests that need a network
//! without a file. Thin: no motorway, no turn restrictions.

mod metropolis;
mod plan;

pub use metropolis::{Metropolis, MetropolisPlan, SEGMENTS, metropolis};

use std::collections::BTreeSet;

use events::LonLat;
use rustc_hash::FxHashMap;

use crate::connected::largest_strong_part;
use crate::line::{cut, measure};
use crate::network::Network;
use crate::network::builder::{NetworkBuilder, NewSegment};
use crate::segment::{NodeIndex, SegmentId};
use plan::{Street, Town};

/// What city to make. The same plan gives the same streets and ids everywhere, and the same coordinates to the bit
/// on the same platform (sines differ in the last digit between platforms).
#[derive(Clone, Debug, PartialEq)]
pub struct CityPlan {
    pub seed: u64,
    /// Blocks from west to east, clamped to 2 to 200.
    pub blocks_x: u32,
    /// Blocks from south to north, clamped to 2 to 200.
    pub blocks_y: u32,
    /// Side of a block, metres, clamped to 40 to 2,000.
    pub block_m: f64,
    pub center: LonLat,
}

impl Default for CityPlan {
    /// 14 by 14 blocks of 120 m: 700 to 900 segments.
    fn default() -> Self {
        let center = LonLat::new(11.35, 44.49).expect("a place on land");
        Self { seed: 1, blocks_x: 14, blocks_y: 14, block_m: 120.0, center }
    }
}

/// Makes the city: everything in it reaches everything.
///
/// # Panics
/// If the city would reach over a pole or the ±180° meridian.
pub fn city(plan: &CityPlan) -> Network {
    let streets = Town::new(plan).streets();
    let whole = build(plan, &streets, &|_| true);
    let kept: BTreeSet<SegmentId> = largest_strong_part(&whole).into_iter().map(|at| whole.segment(at).id).collect();
    if kept.len() == whole.segments().len() {
        return whole;
    }
    build(plan, &streets, &|id| kept.contains(&id))
}

fn build(plan: &CityPlan, streets: &[Street], keep: &dyn Fn(SegmentId) -> bool) -> Network {
    let mut builder = NetworkBuilder::new("generated city");
    builder.source_hash(blake3::hash(format!("{plan:?}").as_bytes()).to_hex().to_string());
    let mut nodes = FxHashMap::default();
    for street in streets {
        let parts = cut(&street.line, &measure(&street.line));
        let total_m: f64 = parts.iter().map(|part| part.length_m).sum();
        for (number, part) in parts.iter().enumerate() {
            for forward in [true, false] {
                let source_id = format!("{}{}", if forward { "" } else { "-" }, street.source_id);
                let id = SegmentId::of(&format!("city {} {source_id} {number}", plan.seed));
                if !keep(id) {
                    continue;
                }
                // Corners are shared by streets, cuts within a street by its two directions.
                let first = if number == 0 { Spot::Corner(street.from) } else { Spot::Cut(&street.source_id, number) };
                let last = number + 1 == parts.len();
                let last = if last { Spot::Corner(street.to) } else { Spot::Cut(&street.source_id, number + 1) };
                let mut node = |spot, [lon, lat]: [f64; 2]| -> NodeIndex {
                    *nodes.entry(spot).or_insert_with(|| builder.node(lon, lat))
                };
                let (mut from, mut to) = (node(first, part.line[0]), node(last, part.line[part.line.len() - 1]));
                let (mut line, mut source_offset_m) = (part.line.clone(), part.begin_m);
                if !forward {
                    line.reverse();
                    (from, to) = (to, from);
                    source_offset_m = (total_m - part.begin_m - part.length_m).max(0.0);
                }
                builder.segment(NewSegment {
                    id,
                    source_id,
                    source_offset_m,
                    name: Some(street.name.clone()),
                    class: street.kind.class,
                    from,
                    to,
                    length_m: None,
                    speed_limit_mps: street.kind.limit_kmh / 3.6,
                    lanes: street.kind.lanes,
                    line,
                });
            }
        }
    }
    builder.build().expect("plans are clamped to sizes in which every street is a street")
}

/// What a node of the city is, so that streets find the nodes they share.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Spot<'a> {
    Corner((u32, u32)),
    Cut(&'a str, usize),
}

#[cfg(test)]
mod tests;
