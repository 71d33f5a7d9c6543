//! OpenStreetMap extracts (.osm.pbf): from ways and nodes to segments.
//!
//! Two passes, since some files have ways before nodes: the first takes the drivable ways and counts how often
//! each node is used, the second fetches the places of those nodes. Turn restrictions (relations) are not read
//! yet; they will become `forbid_turn` after the segments are made.
//!
//! Upstream: an extract of Geofabrik, Overpass or osmium. Downstream: the builder.
//! Format: OSM wiki, "PBF Format"; tags: [`tags`].

pub mod tags;

use std::io::SeekFrom;
use std::path::Path;

use osmpbf::{BlobReader, Element, ElementReader};
use rustc_hash::FxHashMap;

use super::{ImportError, ImportReport};
use crate::line::{cut, measure};
use crate::network::Network;
use crate::network::builder::{NetworkBuilder, NetworkError, NewSegment, POINTS_MAX, SEGMENTS_MAX};
use crate::segment::{NodeIndex, SegmentId};
use tags::Street;

/// Imports an extract; what was kept and left out is in [`Network::import_report`].
///
/// # Errors
/// [`ImportError`].
pub fn import(path: &Path) -> Result<Network, ImportError> {
    check_framing(path)?;
    let mut report = ImportReport::default();
    let ways = read_ways(path, &mut report)?;
    let mut nodes = count_uses(&ways);
    read_nodes(path, &mut nodes)?;
    let mut builder = NetworkBuilder::new(super::name_of(path));
    builder.source_hash(super::hash_of(path)?);
    let mut maker = Maker { builder, made: FxHashMap::default(), nodes: &nodes, report };
    for way in &ways {
        maker.way(way);
    }
    let Maker { mut builder, report, .. } = maker;
    builder.report(report);
    builder.build().map_err(|error| ImportError::Network { path: path.to_owned(), error })
}

struct Way {
    id: i64,
    street: Street,
    /// Neighbours differ.
    refs: Vec<i64>,
}

/// A node of a kept way.
#[derive(Default)]
struct Node {
    /// Lon, lat, degrees; `None` in a clipped extract that left the node out.
    place: Option<[f64; 2]>,
    /// Twice for an end of a way: from 2 on it is a junction.
    uses: u32,
}

/// Walks over the headers of all blocks: a file that was cut off between two blocks would else pass for a smaller
/// one, with its last streets missing.
fn check_framing(path: &Path) -> Result<(), ImportError> {
    // A block's header is 15 to 30 bytes; fewer than this at the end of the file are a part of one.
    const HEADER_BYTES: u64 = 64;
    let io = |error| ImportError::Io { path: path.to_owned(), error };
    let broken = |error: osmpbf::Error| ImportError::Damaged { path: path.to_owned(), what: error.to_string() };
    let file_bytes = std::fs::metadata(path).map_err(io)?.len();
    let mut blocks = BlobReader::seekable_from_path(path).map_err(broken)?;
    let mut at = 0;
    while let Some(block) = blocks.next_header_skip_blob() {
        match block {
            Ok((header, _)) if header.get_blob_size() >= 0 => {}
            Err(_) if file_bytes - at < HEADER_BYTES => break,
            Ok(_) => {
                let what = format!("the block at byte {at} has a negative length");
                return Err(ImportError::Damaged { path: path.to_owned(), what });
            }
            Err(error) => return Err(broken(error)),
        }
        at = blocks.seek_raw(SeekFrom::Current(0)).map_err(broken)?;
        if at > file_bytes {
            break;
        }
    }
    if at == file_bytes { Ok(()) } else { Err(ImportError::Truncated { path: path.to_owned() }) }
}

fn read_ways(path: &Path, report: &mut ImportReport) -> Result<Vec<Way>, ImportError> {
    let mut ways = Vec::new();
    let mut refs_total = 0;
    for_each(path, |element| {
        let Element::Way(way) = element else { return };
        let tags: Vec<(&str, &str)> = way.tags().collect();
        match Street::from_tags(&tags) {
            Ok(street) => {
                let mut refs: Vec<i64> = way.refs().collect();
                refs.dedup();
                refs_total += refs.len();
                report.add("ways kept", 1);
                if ways.len() <= SEGMENTS_MAX && refs_total <= POINTS_MAX {
                    ways.push(Way { id: way.id(), street, refs });
                }
            }
            Err(reason) => report.add(reason.name(), 1),
        }
    })?;
    if ways.len() > SEGMENTS_MAX || refs_total > POINTS_MAX {
        return Err(ImportError::Network { path: path.to_owned(), error: NetworkError::TooLarge });
    }
    Ok(ways)
}

fn count_uses(ways: &[Way]) -> FxHashMap<i64, Node> {
    let mut nodes: FxHashMap<i64, Node> = FxHashMap::default();
    for way in ways {
        for (i, node) in way.refs.iter().enumerate() {
            let is_end = i == 0 || i + 1 == way.refs.len();
            nodes.entry(*node).or_default().uses += if is_end { 2 } else { 1 };
        }
    }
    nodes
}

fn read_nodes(path: &Path, nodes: &mut FxHashMap<i64, Node>) -> Result<(), ImportError> {
    for_each(path, |element| {
        let (id, place) = match element {
            Element::DenseNode(node) => (node.id(), [node.lon(), node.lat()]),
            Element::Node(node) => (node.id(), [node.lon(), node.lat()]),
            Element::Way(_) | Element::Relation(_) => return,
        };
        if let Some(node) = nodes.get_mut(&id) {
            node.place = Some(place);
        }
    })
}

fn for_each(path: &Path, each: impl for<'a> FnMut(Element<'a>)) -> Result<(), ImportError> {
    let read = ElementReader::from_path(path).and_then(|reader| reader.for_each(each));
    read.map_err(|error| ImportError::Damaged { path: path.to_owned(), what: error.to_string() })
}

/// Turns ways into segments.
struct Maker<'a> {
    builder: NetworkBuilder,
    /// Junctions that exist already, by OSM node.
    made: FxHashMap<i64, NodeIndex>,
    nodes: &'a FxHashMap<i64, Node>,
    report: ImportReport,
}

/// A stretch of a way between two junctions.
struct Stretch<'a> {
    way: &'a Way,
    first: i64,
    last: i64,
    /// How many stretches of this way ran between the same two nodes before (two loops at one junction).
    again: usize,
    line: Vec<[f64; 2]>,
    begin_m: f64,
    way_length_m: f64,
}

impl Maker<'_> {
    fn way(&mut self, way: &Way) {
        let place = |node: &i64| self.nodes[node].place;
        let missing = way.refs.iter().filter(|node| place(node).is_none()).count();
        if missing > 0 {
            self.report.add("ways cut where the extract lacks their nodes", 1);
            self.report.add("nodes missing from the extract", missing as u64);
        }
        let mut stretches: Vec<Stretch<'_>> = Vec::new();
        let mut along_m = 0.0;
        for run in way.refs.split(|node| place(node).is_none()) {
            let mut first = 0;
            for i in 1..run.len() {
                if i + 1 < run.len() && self.nodes[&run[i]].uses < 2 {
                    continue;
                }
                let line: Vec<_> = run[first..=i].iter().filter_map(place).collect();
                let length_m = measure(&line).last().copied().unwrap_or(0.0);
                let (from, to) = (run[first], run[i]);
                first = i;
                if length_m <= 0.0 {
                    self.report.add("stretches of no length", 1);
                    continue;
                }
                let again = stretches.iter().filter(|s| (s.first, s.last) == (from, to)).count();
                stretches.push(Stretch {
                    way,
                    first: from,
                    last: to,
                    again,
                    line,
                    begin_m: along_m,
                    way_length_m: 0.0,
                });
                along_m += length_m;
            }
        }
        for stretch in &mut stretches {
            stretch.way_length_m = along_m;
            self.stretch(stretch);
        }
    }

    fn stretch(&mut self, stretch: &Stretch<'_>) {
        let parts = cut(&stretch.line, &measure(&stretch.line));
        let mut from = self.junction(stretch.first);
        for (number, part) in parts.iter().enumerate() {
            let end = part.line[part.line.len() - 1];
            let is_last = number + 1 == parts.len();
            let to = if is_last { self.junction(stretch.last) } else { self.builder.node(end[0], end[1]) };
            for is_forward in [true, false] {
                let street = &stretch.way.street;
                let Some(direction) = (if is_forward { street.forward } else { street.backward }) else { continue };
                let begin_m = stretch.begin_m + part.begin_m;
                let left_m = (stretch.way_length_m - begin_m - part.length_m).max(0.0);
                let mut line = part.line.clone();
                if !is_forward {
                    line.reverse();
                }
                self.builder.segment(NewSegment {
                    id: stretch.id(is_forward, number),
                    source_id: format!("{}{}", if is_forward { "" } else { "-" }, stretch.way.id),
                    source_offset_m: if is_forward { begin_m } else { left_m },
                    name: street.name.clone(),
                    class: street.class,
                    from: if is_forward { from } else { to },
                    to: if is_forward { to } else { from },
                    length_m: None,
                    speed_limit_mps: direction.limit_mps,
                    lanes: direction.lanes,
                    line,
                });
                self.report.add("segments", 1);
            }
            from = to;
        }
    }

    fn junction(&mut self, node: i64) -> NodeIndex {
        let [lon, lat] = self.nodes[&node].place.expect("a stretch has nodes with places only");
        *self.made.entry(node).or_insert_with(|| self.builder.node(lon, lat))
    }
}

impl Stretch<'_> {
    fn id(&self, is_forward: bool, part: usize) -> SegmentId {
        let direction = if is_forward { "forward" } else { "backward" };
        let Self { way, first, last, again, .. } = self;
        let again = if *again > 0 { format!(" again {again}") } else { String::new() };
        SegmentId::of(&format!("osm {} {first} {last} {direction} {part}{again}", way.id))
    }
}

#[cfg(test)]
mod tests;
