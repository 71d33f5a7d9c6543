//! SUMO networks (.net.xml, .net.xml.gz): from edges, lanes and connections to segments, movements and signals.
//!
//! The lanes of a segment are those that cars may use; on a street for buses only, those of the buses, and it is marked
//! ([`Structure::is_bus_only`]). Upstream: netconvert; `read` takes the XML apart, `junction` makes movements of the
//! connections, `programme` reads signals. Downstream: the builder.
//! Format: SUMO documentation, "Networks/SUMO Road Networks".

mod junction;
mod programme;
mod read;

use std::path::Path;

use proj4rs::Proj;
use rustc_hash::FxHashMap;

use super::{ImportError, ImportOptions, ImportReport};
use crate::import::osm::tags;
use crate::line::{Part, cut, point_at};
use crate::network::Network;
use crate::network::builder::{NetworkBuilder, NewSegment};
use crate::segment::{NodeIndex, RoadClass, SegmentId, SegmentIndex, Structure};
use junction::Made;
use read::{Edge, Lane, Net};

/// Imports a network; what was kept and left out is in [`Network::import_report`].
///
/// # Errors
/// [`ImportError`].
pub fn import(path: &Path, is_gzip: bool, options: &ImportOptions) -> Result<Network, ImportError> {
    let mut report = ImportReport::default();
    let mut net = read::read(path, is_gzip, &mut report)?;
    let mut asked = String::new();
    for additional in &options.programmes {
        net.programmes.extend(programme::read(additional, &mut report)?);
        asked.push_str(&super::hash_of(additional, "")?);
    }
    let ground = Ground::new(path, &net)?;
    let mut builder = NetworkBuilder::new(super::name_of(path));
    builder.source_hash(super::hash_of(path, &asked)?);
    builder.only_allowed_turns();
    let mut maker = Maker { builder, net: &net, ground, nodes: FxHashMap::default(), report };
    let mut made = FxHashMap::default();
    for edge in &net.edges {
        if let Some((first, last, end)) = maker.edge(edge).map_err(|what| damaged(path, &edge.id, what))? {
            made.insert(edge.id.as_str(), Made { edge, first, last, end });
        }
    }
    junction::add(&net, &made, &mut maker.builder, &mut maker.report);
    let Maker { mut builder, report, .. } = maker;
    builder.report(report);
    builder.build().map_err(|error| ImportError::Network { path: path.to_owned(), error })
}

fn damaged(path: &Path, edge: &str, what: &str) -> ImportError {
    ImportError::Damaged { path: path.to_owned(), what: format!("edge {edge}: {what}") }
}

/// From the network's metres back to lon, lat.
struct Ground {
    from: Proj,
    to: Proj,
    offset: [f64; 2],
}

impl Ground {
    fn new(path: &Path, net: &Net) -> Result<Self, ImportError> {
        // netconvert writes `!` for no projection at all.
        let projection = net.projection.trim();
        if matches!(projection, "" | "!" | "-") {
            return Err(ImportError::NoProjection { path: path.to_owned() });
        }
        let fail = |error: proj4rs::errors::Error| ImportError::Projection {
            path: path.to_owned(),
            projection: projection.to_owned(),
            what: error.to_string(),
        };
        let from = Proj::from_proj_string(projection).map_err(fail)?;
        let to = Proj::from_proj_string("+proj=longlat +datum=WGS84 +no_defs").map_err(fail)?;
        if from.is_latlong() {
            let what = "its coordinates are degrees, and lengths in degrees are none".to_owned();
            return Err(ImportError::Projection { path: path.to_owned(), projection: projection.to_owned(), what });
        }
        Ok(Self { from, to, offset: net.offset })
    }

    /// Lon, lat in degrees; NaN where the projection has no inverse, which the builder then refuses by name.
    fn degrees(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let mut point = (x - self.offset[0], y - self.offset[1], 0.0);
        match proj4rs::transform::transform(&self.from, &self.to, &mut point) {
            Ok(()) => [point.0.to_degrees(), point.1.to_degrees()],
            Err(_) => [f64::NAN, f64::NAN],
        }
    }
}

/// Turns edges into segments.
struct Maker<'a> {
    builder: NetworkBuilder,
    net: &'a Net,
    ground: Ground,
    /// By junction id.
    nodes: FxHashMap<&'a str, NodeIndex>,
    report: ImportReport,
}

impl<'a> Maker<'a> {
    /// Adds an edge; gives its first and last segment and the node at its end, or `None` if it is left out.
    fn edge(&mut self, edge: &'a Edge) -> Result<Option<(SegmentIndex, SegmentIndex, NodeIndex)>, &'static str> {
        let Some(lane) = edge.middle_lane() else {
            self.report.add("edges left out: no lane for motor vehicles", 1);
            return Ok(None);
        };
        let line = edge.driven_line();
        let along = flat_measure(&line);
        let flat_m = along.last().copied().unwrap_or(0.0);
        if flat_m <= 0.0 {
            self.report.add("edges left out: no extent", 1);
            return Ok(None);
        }
        if !(lane.length_m.is_finite() && lane.length_m > 0.0) {
            return Err("its length is not above 0");
        }
        // Positions along an edge count on its stated length, which need not be that of its shape.
        let along: Vec<f64> = along.iter().map(|m| m * lane.length_m / flat_m).collect();
        let line: Vec<_> = line.iter().map(|&point| self.ground.degrees(point)).collect();
        let parts = cut(&line, &along);
        let mut from = self.junction(&edge.from, line[0]);
        let mut ends: Option<(SegmentIndex, SegmentIndex)> = None;
        for (number, part) in parts.iter().enumerate() {
            let end = part.line[part.line.len() - 1];
            let is_last = number + 1 == parts.len();
            let to = if is_last { self.junction(&edge.to, end) } else { self.builder.node(end[0], end[1]) };
            let at = self.builder.segment(new_segment(edge, lane, part, number, (from, to)));
            let is_bus_only = !edge.lanes.iter().any(|lane| lane.is_for_cars);
            self.builder.structure(at, Structure { is_bus_only, ..Structure::default() });
            if let Some((_, before)) = ends {
                self.builder.allow_turn(before, at);
            }
            ends = Some((ends.map_or(at, |(first, _)| first), at));
            from = to;
            self.report.add("segments", 1);
        }
        self.report.add("edges kept", 1);
        let aside = edge.lanes.iter().filter(|lane| lane.is_open).count() - edge.driven_lanes().len();
        if aside > 0 {
            self.report.add("lanes left out: not for cars, beside others that are", aside as u64);
        }
        Ok(ends.map(|(first, last)| (first, last, from)))
    }

    /// The node of a junction; at the end of the edge if the file does not place the junction.
    fn junction(&mut self, id: &'a str, end: [f64; 2]) -> NodeIndex {
        let place = self.net.junctions.get(id).map_or(end, |at| self.ground.degrees(at.place));
        *self.nodes.entry(id).or_insert_with(|| self.builder.node(place[0], place[1]))
    }
}

fn new_segment(edge: &Edge, lane: &Lane, part: &Part, number: usize, ends: (NodeIndex, NodeIndex)) -> NewSegment {
    let lanes = edge.driven_lanes().len();
    let all_lanes = edge.lanes.iter().filter(|lane| lane.is_open).count();
    NewSegment {
        id: SegmentId::of(&format!("sumo {} {number}", edge.id)),
        source_id: edge.id.clone(),
        source_offset_m: part.begin_m,
        name: edge.name.clone().filter(|name| !name.is_empty()),
        class: class(edge, lane.speed_mps, all_lanes),
        from: ends.0,
        to: ends.1,
        length_m: Some(part.length_m),
        speed_limit_mps: lane.speed_mps as f32,
        lanes: u8::try_from(lanes).unwrap_or(u8::MAX),
        line: part.line.clone(),
    }
}

/// The class that the edge's type names (`highway.primary`), else one guessed from its speed and lanes: networks
/// drawn by hand have no types, and often one priority for all.
fn class(edge: &Edge, speed_mps: f64, lanes: usize) -> RoadClass {
    let named = edge.kind.split('|').find_map(|kind| tags::class(kind.strip_prefix("highway.")?));
    named.unwrap_or(match (speed_mps * 3.6, lanes) {
        (90.0.., 2..) => RoadClass::Motorway,
        (90.0.., _) | (70.0.., 2..) => RoadClass::Trunk,
        (70.0.., _) | (45.0.., 3..) => RoadClass::Primary,
        (45.0.., 2..) => RoadClass::Secondary,
        (45.0.., _) => RoadClass::Tertiary,
        (25.0.., _) => RoadClass::Residential,
        _ => RoadClass::Service,
    })
}

impl Edge {
    fn is_lane_open(&self, index: u32) -> bool {
        self.lanes.iter().any(|lane| lane.index == index && lane.is_open)
    }

    /// Whether a lane is one of the segment's.
    fn is_lane_kept(&self, index: u32) -> bool {
        self.driven_lanes().iter().any(|lane| lane.index == index)
    }

    /// The segment's lane that stands for one of ours: itself, else the next one to its right that is kept.
    fn kept_lane(&self, index: u32) -> u8 {
        let before = self.driven_lanes().iter().filter(|lane| lane.index <= index).count();
        u8::try_from(before.saturating_sub(1)).unwrap_or(u8::MAX)
    }

    fn speed_mps(&self) -> f64 {
        self.middle_lane().map_or(f64::INFINITY, |lane| lane.speed_mps)
    }

    /// Lanes on which most traffic drives: those for passenger cars, else those for any motor vehicle.
    fn driven_lanes(&self) -> Vec<&Lane> {
        let cars: Vec<&Lane> = self.lanes.iter().filter(|lane| lane.is_for_cars).collect();
        if cars.is_empty() { self.lanes.iter().filter(|lane| lane.is_open).collect() } else { cars }
    }

    /// The middle one of the driven lanes, the right one of two.
    fn middle_lane(&self) -> Option<&Lane> {
        let lanes = self.driven_lanes();
        lanes.get(lanes.len().saturating_sub(1) / 2).copied()
    }

    /// The middle of the driven lanes. The edge's own shape is not it: depending on `spreadType` it is the line
    /// between the two directions.
    fn driven_line(&self) -> Vec<[f64; 2]> {
        let lanes = self.driven_lanes();
        let (right, left) = (lanes.len().saturating_sub(1) / 2, lanes.len() / 2);
        match (lanes.get(right), lanes.get(left)) {
            (Some(right), Some(left)) if right.shape != left.shape => between(&right.shape, &left.shape),
            (Some(lane), Some(_) | None) => lane.shape.clone(),
            (None, Some(_) | None) => Vec::new(),
        }
    }
}

/// The line half-way between two, which are compared at equal shares of their lengths.
fn between(a: &[[f64; 2]], b: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let (along_a, along_b) = (flat_measure(a), flat_measure(b));
    if a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    let (total_a, total_b) = (along_a[along_a.len() - 1], along_b[along_b.len() - 1]);
    if a.len() == b.len() {
        // Parallel lanes: vertex by vertex keeps the corners where they are.
        return a.iter().zip(b).map(|(a, b)| mean(*a, *b)).collect();
    }
    let shares = |along: &[f64], total: f64| -> Vec<f64> { along.iter().map(|m| m / total).collect() };
    let mut all = shares(&along_a, total_a);
    all.extend(shares(&along_b, total_b));
    all.retain(|share| share.is_finite());
    all.sort_by(f64::total_cmp);
    all.dedup_by(|a, b| *a - *b < 1e-6);
    all.iter().map(|s| mean(point_at(a, &along_a, s * total_a), point_at(b, &along_b, s * total_b))).collect()
}

fn mean(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0]
}

/// Cumulative length in the plane, metres.
pub(super) fn flat_measure(line: &[[f64; 2]]) -> Vec<f64> {
    let mut total = 0.0;
    let mut measures = Vec::with_capacity(line.len());
    for (i, point) in line.iter().enumerate() {
        if i > 0 {
            total += (point[0] - line[i - 1][0]).hypot(point[1] - line[i - 1][1]);
        }
        measures.push(total);
    }
    measures
}

#[cfg(test)]
mod tests;
