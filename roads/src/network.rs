//! The network: segments with their turns and geometry, immutable once built and shared by all threads.
//!
//! Upstream: [`builder`], filled by the importers, the generator and the cache. Downstream: paths, matching,
//! simulation, every report that names a street.

pub mod builder;
mod piece;

use std::f64::consts::PI;

use events::units::EARTH_RADIUS_M;
use events::{HeadingDeg, LonLat};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::import::ImportReport;
use crate::index::{Candidate, Grid};
use crate::movement::{Lazy, Movement, SignalPlan};
use crate::segment::{NodeIndex, Segment, SegmentId, SegmentIndex};
pub use piece::Piece;

/// Metres in a degree of latitude, on the sphere of [`EARTH_RADIUS_M`].
pub(crate) const M_PER_DEG: f64 = EARTH_RADIUS_M * PI / 180.0;

/// A road network.
///
/// Lengths and distances are on the sphere of [`EARTH_RADIUS_M`] unless the source states a length; a SUMO
/// length is on its projection, up to 0.4 % apart. A network must not cross the ±180° meridian.
#[derive(Debug, PartialEq)]
pub struct Network {
    pub(crate) stored: Stored,
    pub(crate) derived: Lazy,
    outgoing: Rows,
    bbox: [f64; 4],
    grid: Grid,
    by_id: FxHashMap<SegmentId, SegmentIndex>,
    /// Sorted by source id, then by where the segment begins on it.
    by_source: Vec<SegmentIndex>,
}

/// What the cache file holds; everything else is derived from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) source_hash: String,
    pub(crate) report: ImportReport,
    pub(crate) segments: Vec<Segment>,
    /// Lon, lat of every vertex of every segment, degrees.
    pub(crate) points: Vec<[f64; 2]>,
    /// Metres from the segment's begin to each of `points`, scaled so that the last is the segment's length.
    pub(crate) along_m: Vec<f64>,
    /// Lon, lat, degrees.
    pub(crate) nodes: Vec<[f64; 2]>,
    pub(crate) turns: Rows,
    /// In the order of `turns`, or empty where the source gave none.
    pub(crate) movements: Vec<Movement>,
    pub(crate) signal_plans: Vec<SignalPlan>,
}

impl Network {
    /// The name of the city or file.
    pub fn name(&self) -> &str {
        &self.stored.name
    }

    /// Hash of what it was made from, hex: two networks of the same hash have the same segments.
    pub fn source_hash(&self) -> &str {
        &self.stored.source_hash
    }

    /// What the import kept and left out; empty for a generated city.
    pub fn import_report(&self) -> &ImportReport {
        &self.stored.report
    }

    /// All segments, by index; at least one.
    pub fn segments(&self) -> &[Segment] {
        &self.stored.segments
    }

    /// One segment.
    ///
    /// # Panics
    /// If the index is of another network.
    pub fn segment(&self, at: SegmentIndex) -> &Segment {
        &self.stored.segments[at.at()]
    }

    /// Every index, in order.
    pub fn indices(&self) -> impl ExactSizeIterator<Item = SegmentIndex> + use<> {
        (0..self.stored.segments.len() as u32).map(SegmentIndex)
    }

    /// The line of a segment in driving direction: lon, lat in degrees, at least two, no two neighbours equal.
    pub fn points(&self, at: SegmentIndex) -> &[[f64; 2]] {
        &self.stored.points[self.stored.range(at)]
    }

    /// All junctions and cuts, lon, lat in degrees, by [`NodeIndex`].
    pub fn nodes(&self) -> &[[f64; 2]] {
        &self.stored.nodes
    }

    /// Segments that may be entered from the end of this one, ascending.
    pub fn successors(&self, at: SegmentIndex) -> &[SegmentIndex] {
        self.stored.turns.row(at.0)
    }

    /// How many allowed turns there are, from segment to segment.
    pub fn turn_count(&self) -> usize {
        self.stored.turns.items.len()
    }

    /// Segments that begin at a node, ascending.
    pub fn outgoing(&self, at: NodeIndex) -> &[SegmentIndex] {
        self.outgoing.row(at.0)
    }

    /// West, south, east, north of all lines, degrees.
    pub fn bbox(&self) -> [f64; 4] {
        self.bbox
    }

    /// The place `offset_m` along a segment, which is clamped to the segment.
    pub fn place(&self, at: SegmentIndex, offset_m: f64) -> LonLat {
        let (i, share) = self.stored.locate(at, offset_m);
        let (a, b) = (self.stored.points[i], self.stored.points[i + 1]);
        LonLat::new(a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))
            // Between two good vertices only the exact point 0, 0 is refused; its neighbour vertex is not.
            .or_else(|_| LonLat::new(a[0], a[1]))
            .expect("the builder checked every vertex")
    }

    /// The direction of travel `offset_m` along a segment, which is clamped to the segment.
    pub fn heading(&self, at: SegmentIndex, offset_m: f64) -> HeadingDeg {
        let (i, _) = self.stored.locate(at, offset_m);
        self.stored.heading_of_piece(i)
    }

    /// All segments within `radius_m` of a place, nearest first (ties by index), at most
    /// [`crate::CANDIDATES_MAX`]: beyond that the farthest are left out.
    ///
    /// `out` is cleared first; after its first use nothing is allocated. Cost grows with the area searched.
    pub fn nearest(&self, at: LonLat, radius_m: f64, out: &mut Vec<Candidate>) {
        self.grid.nearest(&self.stored, at, radius_m, out);
    }

    /// The nearest place on one segment: metres from its begin. [`Network::place`] backwards, to less than 0.1 mm for
    /// a place that lies on the segment.
    pub fn offset_m(&self, on: SegmentIndex, at: LonLat) -> f64 {
        self.stored.offset_m(on, at)
    }

    /// The segment and the offset within it, metres, of a position on a source edge (a SUMO edge id and `pos`,
    /// an OSM way id and metres along it). `None` for an unknown edge; a position off either end is clamped.
    pub fn on_source(&self, source_id: &str, pos_m: f64) -> Option<(SegmentIndex, f64)> {
        let of = |i: &SegmentIndex| &self.stored.segments[i.at()];
        let first = self.by_source.partition_point(|i| of(i).source_id.as_str() < source_id);
        let rest = &self.by_source[first..];
        let parts = &rest[..rest.partition_point(|i| of(i).source_id == source_id)];
        let after = parts.partition_point(|i| of(i).source_offset_m <= pos_m);
        let part = *parts.get(after.saturating_sub(1))?;
        let segment = self.segment(part);
        let offset = pos_m - segment.source_offset_m;
        Some((part, if offset > 0.0 { offset.min(segment.length_m) } else { 0.0 }))
    }

    /// The segment of an id.
    pub fn by_id(&self, id: SegmentId) -> Option<SegmentIndex> {
        self.by_id.get(&id).copied()
    }

    /// Metres between the end of one segment and the begin of a successor, in a straight line: 0 in an OSM or
    /// generated network, the width of the junction in a SUMO network, whose edges end at the stop line.
    pub fn gap_m(&self, from: SegmentIndex, to: SegmentIndex) -> f64 {
        self.place(from, f64::INFINITY).distance_m(self.place(to, 0.0))
    }

    /// Derives everything that is not stored.
    pub(crate) fn assemble(stored: Stored) -> Self {
        let starts = stored.segments.iter().enumerate().map(|(i, s)| (s.from.0, SegmentIndex(i as u32)));
        let outgoing = Rows::collect(stored.nodes.len(), starts.collect());
        let mut bbox = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        for &[lon, lat] in &stored.points {
            bbox = [bbox[0].min(lon), bbox[1].min(lat), bbox[2].max(lon), bbox[3].max(lat)];
        }
        let by_id = stored.segments.iter().enumerate().map(|(i, s)| (s.id, SegmentIndex(i as u32))).collect();
        let mut by_source: Vec<_> = (0..stored.segments.len() as u32).map(SegmentIndex).collect();
        by_source.sort_by(|a, b| {
            let (a, b) = (&stored.segments[a.at()], &stored.segments[b.at()]);
            a.source_id.cmp(&b.source_id).then(a.source_offset_m.total_cmp(&b.source_offset_m))
        });
        let grid = Grid::new(&stored, bbox);
        Self { stored, derived: Lazy::default(), outgoing, bbox, grid, by_id, by_source }
    }
}

impl Stored {
    pub(crate) fn range(&self, at: SegmentIndex) -> std::ops::Range<usize> {
        let points = &self.segments[at.at()].points;
        points.start as usize..points.end as usize
    }

    /// The vertex before an offset, and the share of the way to the next one, 0 to 1.
    fn locate(&self, at: SegmentIndex, offset_m: f64) -> (usize, f64) {
        let range = self.range(at);
        let along = &self.along_m[range.clone()];
        // NaN compares false everywhere and so lands at the begin.
        let after = along.partition_point(|&m| m <= offset_m).clamp(1, along.len() - 1);
        let (a, b) = (along[after - 1], along[after]);
        let share = (offset_m - a) / (b - a);
        (range.start + after - 1, if share > 0.0 { share.min(1.0) } else { 0.0 })
    }

    /// Direction of the piece from vertex `i` to the next one.
    pub(crate) fn heading_of_piece(&self, i: usize) -> HeadingDeg {
        let (a, b) = (self.points[i], self.points[i + 1]);
        let east = (b[0] - a[0]) * ((a[1] + b[1]) * PI / 360.0).cos();
        HeadingDeg::wrapped(east.atan2(b[1] - a[1]).to_degrees() as f32)
    }
}

/// Rows of segment indices of varying length in two flat arrays (compressed sparse rows).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rows {
    pub(crate) start: Vec<u32>,
    pub(crate) items: Vec<SegmentIndex>,
}

impl Rows {
    /// Rows `0..rows` of (row, item) pairs; each row ascending and without repetition.
    pub(crate) fn collect(rows: usize, mut pairs: Vec<(u32, SegmentIndex)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut start = vec![0_u32; rows + 1];
        for (row, _) in &pairs {
            start[*row as usize + 1] += 1;
        }
        for row in 0..rows {
            start[row + 1] += start[row];
        }
        Self { start, items: pairs.into_iter().map(|(_, item)| item).collect() }
    }

    pub(crate) fn row(&self, row: u32) -> &[SegmentIndex] {
        let row = row as usize;
        &self.items[self.start[row] as usize..self.start[row + 1] as usize]
    }
}

#[cfg(test)]
pub(crate) mod tests;
