//! A city that looks like one, of 500 to 100,000 segments, from a seed: an old town, rings, avenues, a river with quays
//! and bridges, collectors, side streets, parks, suburbs with cul-de-sacs and larger blocks.
//!
//! [`layout`] draws the main streets, [`blocks`] cuts what lies between them, [`plane`] keeps both planar, and this
//! file makes segments of it. Upstream: a [`MetropolisPlan`]. Downstream: the default command, `--network demo`,
//! `arterial network generate`. The smaller [`super::city`] is a bent grid for tests.

mod blocks;
mod layout;
mod names;
mod plane;
mod random;

use std::collections::BTreeSet;
use std::f64::consts::PI;

use events::LonLat;

use crate::connected::largest_strong_part;
use crate::line::{cut, measure};
use crate::network::builder::{NetworkBuilder, NewSegment};
use crate::network::{M_PER_DEG, Network};
use crate::segment::{NodeIndex, RoadClass, SegmentId, Structure};
use plane::{Line, Plane, Point};
use random::Random;

/// Fewest and most segments that can be asked for.
pub const SEGMENTS: std::ops::RangeInclusive<u32> = 500..=100_000;

/// Share of the side streets outside of the old town that end before the next street, as a cul-de-sac.
const CUL_DE_SAC_SHARE: f64 = 0.05;

/// Share that was never built.
const MISSING_SHARE: f64 = 0.03;

/// A cul-de-sac keeps this share of its street.
const CUL_DE_SAC_KEEPS: f64 = 0.62;

/// What city to make. The same plan gives the same streets and ids everywhere, and the same coordinates to the bit
/// on the same platform (sines differ in the last digit between platforms).
#[derive(Clone, Debug, PartialEq)]
pub struct MetropolisPlan {
    pub seed: u64,
    /// Directed segments that are wanted, clamped to [`SEGMENTS`]; what is made is within a tenth of it.
    pub segments: u32,
    pub center: LonLat,
}

impl Default for MetropolisPlan {
    /// About 2,400 segments: an old town and two rings, 3 km across.
    fn default() -> Self {
        let center = LonLat::new(11.35, 44.49).expect("a place on land");
        Self { seed: 1, segments: 2_400, center }
    }
}

/// A generated city and the river through it.
#[derive(Debug)]
pub struct Metropolis {
    pub network: Network,
    /// The middle of the river, lon and lat in degrees, and its width, metres: for pictures.
    pub river: Vec<[f64; 2]>,
    pub river_width_m: f64,
}

/// Makes the city: everything in it reaches everything.
///
/// # Panics
/// If the city would reach over a pole or the ±180° meridian.
pub fn metropolis(plan: &MetropolisPlan) -> Metropolis {
    let wanted = f64::from(plan.segments.clamp(*SEGMENTS.start(), *SEGMENTS.end()));
    // Segments grow with the area, so a few corrections of the radius find the size.
    let mut radius_m = 27.0 * wanted.sqrt();
    let mut best: Option<(f64, f64)> = None;
    for _ in 0..7 {
        let made = pieces(&drawn(plan.seed, radius_m).0, plan.seed).len() as f64 * 2.0;
        let off = (made / wanted).ln().abs();
        if best.is_none_or(|(least, _)| off < least) {
            best = Some((off, radius_m));
        }
        if off < 0.03 {
            break;
        }
        radius_m *= (wanted / made.max(1.0)).sqrt();
    }
    let (_, radius_m) = best.expect("the loop ran");
    let (plane, river) = drawn(plan.seed, radius_m);
    let pieces = pieces(&plane, plan.seed);
    let whole = build(plan, &plane, &pieces, &|_| true);
    let kept: BTreeSet<SegmentId> = largest_strong_part(&whole).into_iter().map(|at| whole.segment(at).id).collect();
    let network = if kept.len() == whole.segments().len() {
        whole
    } else {
        build(plan, &plane, &pieces, &|id| kept.contains(&id))
    };
    let river = river.into_iter().map(|at| degrees(plan, at)).collect();
    Metropolis { network, river, river_width_m: layout::RIVER_M }
}

fn drawn(seed: u64, radius_m: f64) -> (Plane, Vec<Point>) {
    let mut plane = Plane::default();
    let layout = layout::draw(&mut plane, seed, radius_m);
    blocks::fill(&mut plane, &layout, seed);
    (plane, layout.river)
}

/// A street between two neighbouring junctions.
struct Piece {
    line: usize,
    /// Which stretch of the line, from its begin.
    number: usize,
    from: End,
    to: End,
    points: Vec<Point>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    Junction(usize),
    /// The end of a cul-de-sac.
    Close(usize, usize),
}

fn pieces(plane: &Plane, seed: u64) -> Vec<Piece> {
    let mut random = Random::new(seed, 3);
    let mut pieces = Vec::new();
    for (index, line) in plane.lines.iter().enumerate() {
        let junctions: Vec<(f64, usize)> =
            line.junctions.iter().map(|(mm, node)| (*mm as f64 / 1_000.0, *node)).collect();
        for (number, pair) in junctions.windows(2).enumerate() {
            let ((from_m, from), (mut to_m, to)) = (pair[0], pair[1]);
            let mut to = End::Junction(to);
            let fate = random.unit();
            if is_suburban(line) && fate < MISSING_SHARE {
                continue;
            }
            if is_suburban(line) && fate < MISSING_SHARE + CUL_DE_SAC_SHARE && to_m - from_m > 60.0 {
                to_m = from_m + (to_m - from_m) * CUL_DE_SAC_KEEPS;
                to = End::Close(index, number);
            }
            let points = line.stretch(from_m, to_m);
            pieces.push(Piece { line: index, number, from: End::Junction(from), to, points });
        }
    }
    pieces
}

fn is_suburban(line: &Line) -> bool {
    let at = line.points[0];
    line.kind.class == RoadClass::Residential && at[0].hypot(at[1]) > 500.0
}

fn build(plan: &MetropolisPlan, plane: &Plane, pieces: &[Piece], keep: &dyn Fn(SegmentId) -> bool) -> Network {
    let mut builder = NetworkBuilder::new("generated city");
    builder.source_hash(blake3::hash(format!("{plan:?}").as_bytes()).to_hex().to_string());
    let mut nodes = rustc_hash::FxHashMap::default();
    for piece in pieces {
        let line = &plane.lines[piece.line];
        let path: Vec<[f64; 2]> = piece.points.iter().map(|&at| degrees(plan, at)).collect();
        let parts = cut(&path, &measure(&path));
        let total_m: f64 = parts.iter().map(|part| part.length_m).sum();
        for (number, part) in parts.iter().enumerate() {
            for is_forward in [true, false] {
                if !is_forward && line.is_one_way {
                    continue;
                }
                let source_id = format!("{}{}.{}", if is_forward { "" } else { "-" }, piece.line, piece.number);
                let id = SegmentId::of(&format!("metropolis {} {source_id} {number}", plan.seed));
                if !keep(id) {
                    continue;
                }
                // Junctions are shared by streets, cuts within a piece by its two directions.
                let first =
                    if number == 0 { Spot::End(piece.from) } else { Spot::Cut(piece.line, piece.number, number) };
                let is_last = number + 1 == parts.len();
                let last = if is_last { Spot::End(piece.to) } else { Spot::Cut(piece.line, piece.number, number + 1) };
                let mut node = |spot, [lon, lat]: [f64; 2]| -> NodeIndex {
                    *nodes.entry(spot).or_insert_with(|| builder.node(lon, lat))
                };
                let (mut from, mut to) = (node(first, part.line[0]), node(last, part.line[part.line.len() - 1]));
                let (mut path, mut source_offset_m) = (part.line.clone(), part.begin_m);
                if !is_forward {
                    path.reverse();
                    (from, to) = (to, from);
                    source_offset_m = (total_m - part.begin_m - part.length_m).max(0.0);
                }
                let at = builder.segment(NewSegment {
                    id,
                    source_id,
                    source_offset_m,
                    name: Some(line.name.clone()),
                    class: line.kind.class,
                    from,
                    to,
                    length_m: None,
                    speed_limit_mps: line.kind.limit_kmh / 3.6,
                    lanes: line.kind.lanes,
                    line: path,
                });
                let layer = i8::from(line.is_bridge);
                builder.structure(at, Structure { is_bridge: line.is_bridge, layer, ..Structure::default() });
            }
        }
    }
    builder.build().expect("plans are clamped to sizes in which every street is a street")
}

/// What a node is, so that streets find the nodes they share.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Spot {
    End(End),
    Cut(usize, usize, usize),
}

/// Metres east and north of the middle as lon, lat in degrees.
fn degrees(plan: &MetropolisPlan, [east, north]: Point) -> [f64; 2] {
    let (lon, lat) = (plan.center.lon_deg(), plan.center.lat_deg());
    [lon + east / (M_PER_DEG * (lat * PI / 180.0).cos()), lat + north / M_PER_DEG]
}

#[cfg(test)]
mod tests;
