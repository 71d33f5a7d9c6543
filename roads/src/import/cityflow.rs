//! CityFlow roadnets (.json, .json.gz): from intersections, roads, lanes and road links to segments.
//!
//! A roadnet is in metres of its own with x to the east and y to the north, and says nowhere where that is. Its point
//! 0, 0 is placed at an origin ([`ORIGIN`] unless another is given) by an equirectangular projection there, which is
//! true to 0.1 % within 10 km and refused beyond 200 km. Roads run from the middle of one intersection to the middle
//! of the next, as in the file, and keep the length that they have there.
//!
//! `junction` makes movements and signals of the road links. Upstream: a roadnet of CityFlow or of the traffic-signal benchmarks built on it. Downstream: the builder.
//! Format: CityFlow documentation, "Roadnet File Format" (Zhang et al., WWW 2019).

mod junction;

use std::f64::consts::PI;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::{ImportError, ImportOptions, ImportReport};
use crate::line::cut;
use crate::network::builder::{NetworkBuilder, NetworkError, NewSegment, SEGMENTS_MAX};
use crate::network::{M_PER_DEG, Network};
use crate::segment::{NodeIndex, RoadClass, SegmentId, SegmentIndex};
use junction::{Junction, Made, RoadLink, TrafficLight};

/// Where the point 0, 0 of a roadnet lies unless said otherwise, lon and lat in degrees: the middle of the generated
/// city, which stands for no place either.
pub const ORIGIN: [f64; 2] = [11.35, 44.49];

/// Most bytes of JSON that are read, unpacked: what is beyond counts as cut off.
const JSON_BYTES_MAX: u64 = 4 << 30;

/// Farthest that a coordinate may be from 0, metres; beyond it the plane is no picture of the globe.
const COORDINATE_M_MAX: f64 = 200_000.0;

#[derive(Deserialize)]
struct Roadnet {
    intersections: Vec<Intersection>,
    roads: Vec<Road>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intersection {
    id: String,
    point: Point,
    #[serde(default)]
    road_links: Vec<RoadLink>,
    traffic_light: Option<TrafficLight>,
}

#[derive(Clone, Copy, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Road {
    id: String,
    points: Vec<Point>,
    lanes: Vec<Lane>,
    start_intersection: String,
    end_intersection: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lane {
    /// Metres a second.
    max_speed: f64,
}

/// Imports a roadnet; what was kept and left out is in [`Network::import_report`].
///
/// # Errors
/// [`ImportError`].
pub fn import(path: &Path, is_gzip: bool, options: &ImportOptions) -> Result<Network, ImportError> {
    let net = read(path, is_gzip)?;
    let damaged = |what: String| ImportError::Damaged { path: path.to_owned(), what };
    if net.roads.len() > SEGMENTS_MAX {
        return Err(ImportError::Network { path: path.to_owned(), error: NetworkError::TooLarge });
    }
    let origin = options.origin.map_or(ORIGIN, |at| [at.lon_deg(), at.lat_deg()]);
    let mut builder = NetworkBuilder::new(super::name_of(path));
    // The same roadnet at another place is another network.
    let asked = options.origin.map_or(String::new(), |at| format!("{} {}", at.lon_deg(), at.lat_deg()));
    builder.source_hash(super::hash_of(path, &asked)?);
    builder.only_allowed_turns();
    let places = net.intersections.iter().map(|at| (at.id.as_str(), at.point)).collect();
    let mut maker = Maker { builder, origin, places, nodes: FxHashMap::default(), report: ImportReport::default() };
    let mut made: FxHashMap<&str, Made> = FxHashMap::default();
    for road in &net.roads {
        let ends = maker.road(road).map_err(|what| damaged(format!("road {}: {what}", road.id)))?;
        made.insert(&road.id, ends);
    }
    let mut movements = 0;
    for at in net.intersections.iter().filter(|at| !at.road_links.is_empty()) {
        let node = maker.node(&at.id).map_err(|what| damaged(format!("intersection {}: {what}", at.id)))?;
        let junction = Junction { id: &at.id, node, links: &at.road_links, light: at.traffic_light.as_ref() };
        junction::add(&junction, &made, &mut maker.builder, &mut movements, &mut maker.report);
    }
    let Maker { mut builder, report, .. } = maker;
    builder.report(report);
    builder.build().map_err(|error| ImportError::Network { path: path.to_owned(), error })
}

fn read(path: &Path, is_gzip: bool) -> Result<Roadnet, ImportError> {
    let file = File::open(path).map_err(|error| ImportError::Io { path: path.to_owned(), error })?;
    let read = if is_gzip {
        serde_json::from_reader(BufReader::new(MultiGzDecoder::new(file).take(JSON_BYTES_MAX)))
    } else {
        serde_json::from_reader(BufReader::new(file.take(JSON_BYTES_MAX)))
    };
    read.map_err(|error| {
        let is_cut = error.is_eof() || error.io_error_kind() == Some(std::io::ErrorKind::UnexpectedEof);
        let path = path.to_owned();
        if is_cut {
            ImportError::Truncated { path }
        } else {
            ImportError::Damaged { path, what: format!("it is not a CityFlow roadnet: {error}") }
        }
    })
}

/// Turns roads into segments.
struct Maker<'a> {
    builder: NetworkBuilder,
    /// Lon, lat, degrees.
    origin: [f64; 2],
    /// By intersection id, metres.
    places: FxHashMap<&'a str, Point>,
    nodes: FxHashMap<&'a str, NodeIndex>,
    report: ImportReport,
}

impl<'a> Maker<'a> {
    /// Adds a road; gives what it became.
    fn road(&mut self, road: &'a Road) -> Result<Made, &'static str> {
        let along = super::sumo::flat_measure(&road.points.iter().map(|p| [p.x, p.y]).collect::<Vec<_>>());
        if along.last().is_none_or(|&length_m| length_m <= 0.0) {
            return Err("it has no length");
        }
        let speed_mps = road.lanes.iter().map(|lane| lane.max_speed).fold(0.0, f64::max);
        if speed_mps <= 0.0 {
            return Err("it has no lane with a speed above 0");
        }
        let line = road.points.iter().map(|&point| self.degrees(point)).collect::<Result<Vec<_>, _>>()?;
        let (first_node, last_node) = (self.node(&road.start_intersection)?, self.node(&road.end_intersection)?);
        let parts = cut(&line, &along);
        let mut from = first_node;
        let mut ends: Option<(SegmentIndex, SegmentIndex)> = None;
        for (number, part) in parts.iter().enumerate() {
            let [lon, lat] = part.line[part.line.len() - 1];
            let to = if number + 1 == parts.len() { last_node } else { self.builder.node(lon, lat) };
            let at = self.builder.segment(NewSegment {
                id: SegmentId::of(&format!("cityflow {} {number}", road.id)),
                source_id: road.id.clone(),
                source_offset_m: part.begin_m,
                name: None,
                class: class(speed_mps, road.lanes.len()),
                from,
                to,
                length_m: Some(part.length_m),
                speed_limit_mps: speed_mps as f32,
                lanes: u8::try_from(road.lanes.len()).unwrap_or(u8::MAX),
                line: part.line.clone(),
            });
            if let Some((_, before)) = ends {
                self.builder.allow_turn(before, at);
            }
            ends = Some((ends.map_or(at, |(first, _)| first), at));
            from = to;
            self.report.add("segments", 1);
        }
        self.report.add("roads kept", 1);
        let (first, last) = ends.ok_or("it has no length")?;
        let lanes = u8::try_from(road.lanes.len()).unwrap_or(u8::MAX);
        Ok(Made { first, last, lanes, speed_mps: speed_mps as f32 })
    }

    fn node(&mut self, id: &'a str) -> Result<NodeIndex, &'static str> {
        let point = *self.places.get(id).ok_or("it begins or ends at an intersection that is not in the file")?;
        let [lon, lat] = self.degrees(point)?;
        Ok(*self.nodes.entry(id).or_insert_with(|| self.builder.node(lon, lat)))
    }

    /// From the file's metres to lon, lat in degrees.
    fn degrees(&self, Point { x, y }: Point) -> Result<[f64; 2], &'static str> {
        if x.abs() > COORDINATE_M_MAX || y.abs() > COORDINATE_M_MAX {
            return Err("it lies over 200 km from the origin: its coordinates are not metres of a city");
        }
        let [lon, lat] = self.origin;
        Ok([lon + x / (M_PER_DEG * (lat * PI / 180.0).cos()), lat + y / M_PER_DEG])
    }
}

/// Roadnets name no classes: their roads are the signalised main streets of a town, told apart by lanes.
fn class(speed_mps: f64, lanes: usize) -> RoadClass {
    match (speed_mps * 3.6, lanes) {
        (90.0.., 2..) => RoadClass::Motorway,
        (_, 3..) => RoadClass::Primary,
        (_, 2) => RoadClass::Secondary,
        (_, 0 | 1) => RoadClass::Tertiary,
    }
}

#[cfg(test)]
mod tests;
