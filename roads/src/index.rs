//! Which segments are near a place: a flat grid over the pieces of their lines.
//!
//! Upstream: [`crate::Network`], which owns it. Downstream: the matcher, through [`crate::Network::nearest`].

use std::f64::consts::PI;

use events::{HeadingDeg, LonLat};

use crate::network::{M_PER_DEG, Stored};
use crate::segment::SegmentIndex;

/// Most candidates of one search; beyond it the farthest are left out.
///
/// In central Athens 22 % of vehicle positions reach it within 50 m, where the right street is within 24 m for 99 %.
pub const CANDIDATES_MAX: usize = 16;

/// Side of a cell at the middle latitude of the network, metres, unless the area needs coarser ones.
const CELL_M: f64 = 60.0;

/// Most cells; a network so wide that 60 m would need more gets larger cells.
const CELLS_MAX: f64 = 4_194_304.0;

/// A segment near a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub segment: SegmentIndex,
    /// Where on the segment the nearest point lies, metres from its begin.
    pub offset_m: f64,
    pub distance_m: f64,
    /// Of the segment at that point.
    pub heading: HeadingDeg,
}

/// One straight piece of a segment: from vertex `point` to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    segment: SegmentIndex,
    point: u32,
}

/// Pieces by cell, row by row from the south-west.
#[derive(Debug, PartialEq)]
pub(crate) struct Grid {
    west: f64,
    south: f64,
    cell_lon_deg: f64,
    cell_lat_deg: f64,
    columns: u32,
    rows: u32,
    start: Vec<u32>,
    pieces: Vec<Piece>,
}

impl Grid {
    pub(crate) fn new(stored: &Stored, [west, south, east, north]: [f64; 4]) -> Self {
        let lon_m = M_PER_DEG * ((south + north) * PI / 360.0).cos().max(0.01);
        let (width_m, height_m) = ((east - west) * lon_m, (north - south) * M_PER_DEG);
        let fitting_m = CELL_M.max((width_m * height_m / CELLS_MAX).sqrt()).max(width_m.max(height_m) / 65_536.0);
        let mut grid = Self {
            west,
            south,
            cell_lon_deg: fitting_m / lon_m,
            cell_lat_deg: fitting_m / M_PER_DEG,
            columns: (width_m / fitting_m) as u32 + 1,
            rows: (height_m / fitting_m) as u32 + 1,
            start: Vec::new(),
            pieces: Vec::new(),
        };
        // Two passes over the same walk: count, then place.
        let mut count = vec![0_u32; grid.columns as usize * grid.rows as usize + 1];
        grid.walk(stored, |cell, _| count[cell + 1] += 1);
        for cell in 1..count.len() {
            count[cell] += count[cell - 1];
        }
        let mut next = count.clone();
        let mut pieces = vec![Piece { segment: SegmentIndex(0), point: 0 }; count[count.len() - 1] as usize];
        grid.walk(stored, |cell, piece| {
            pieces[next[cell] as usize] = piece;
            next[cell] += 1;
        });
        grid.start = count;
        grid.pieces = pieces;
        grid
    }

    /// See [`crate::Network::nearest`]. The plane is laid through the place asked for, so its error is that of
    /// one degree of longitude over the radius: under 0.02 % of the distance within 1 km, below 60° latitude.
    pub(crate) fn nearest(&self, stored: &Stored, at: LonLat, radius_m: f64, out: &mut Vec<Candidate>) {
        out.clear();
        if radius_m.is_nan() || radius_m < 0.0 {
            return;
        }
        let scale = [M_PER_DEG * (at.lat_deg() * PI / 180.0).cos().max(1e-6), M_PER_DEG];
        let reach = [radius_m / scale[0], radius_m / scale[1]];
        let here = [at.lon_deg(), at.lat_deg()];
        let (Some(columns), Some(rows)) = (
            cells(here[0] - reach[0] - self.west, here[0] + reach[0] - self.west, self.cell_lon_deg, self.columns),
            cells(here[1] - reach[1] - self.south, here[1] + reach[1] - self.south, self.cell_lat_deg, self.rows),
        ) else {
            return;
        };
        for row in rows {
            for column in columns.clone() {
                let cell = (row * self.columns + column) as usize;
                for piece in &self.pieces[self.start[cell] as usize..self.start[cell + 1] as usize] {
                    let (share, distance_m) = project(here, scale, stored, piece.point as usize);
                    if distance_m <= radius_m {
                        offer(out, stored, *piece, share, distance_m);
                    }
                }
            }
        }
    }

    /// Calls `each` with every cell that every piece touches, in a fixed order.
    fn walk(&self, stored: &Stored, mut each: impl FnMut(usize, Piece)) {
        for (i, segment) in stored.segments.iter().enumerate() {
            for point in segment.points.start..segment.points.end - 1 {
                let piece = Piece { segment: SegmentIndex(i as u32), point };
                let (a, b) = (stored.points[point as usize], stored.points[point as usize + 1]);
                let (low, high) = if a[1] <= b[1] { (a, b) } else { (b, a) };
                let Some(rows) = cells(low[1] - self.south, high[1] - self.south, self.cell_lat_deg, self.rows) else {
                    continue;
                };
                for row in rows {
                    // The stretch of the piece within this row of cells, a hair wider against rounding.
                    let bottom = self.south + f64::from(row) * self.cell_lat_deg;
                    let rise = high[1] - low[1];
                    let lon_at = |lat: f64| {
                        let share = if rise > 0.0 { ((lat - low[1]) / rise).clamp(0.0, 1.0) } else { 0.0 };
                        low[0] + share * (high[0] - low[0])
                    };
                    let (x1, x2) = if rise > 0.0 {
                        (lon_at(bottom), lon_at(bottom + self.cell_lat_deg))
                    } else {
                        (low[0], high[0])
                    };
                    let hair = self.cell_lon_deg * 1e-6;
                    let (from, to) = (x1.min(x2) - hair - self.west, x1.max(x2) + hair - self.west);
                    if let Some(columns) = cells(from, to, self.cell_lon_deg, self.columns) {
                        for column in columns {
                            each((row * self.columns + column) as usize, piece);
                        }
                    }
                }
            }
        }
    }
}

/// The cells between two distances from the grid's edge, both in degrees; `None` when wholly outside.
fn cells(from: f64, to: f64, cell: f64, count: u32) -> Option<std::ops::RangeInclusive<u32>> {
    let last = f64::from(count) * cell;
    if to < 0.0 || from > last {
        return None;
    }
    // `as` saturates: below 0 becomes 0, infinity becomes u32::MAX.
    let (first, end) = ((from / cell) as u32, (to / cell) as u32);
    Some(first.min(count - 1)..=end.min(count - 1))
}

/// Share along the piece and distance, metres, of the point of it that is nearest to `here`.
fn project(here: [f64; 2], scale: [f64; 2], stored: &Stored, point: usize) -> (f64, f64) {
    let (a, b) = (stored.points[point], stored.points[point + 1]);
    let a = [(a[0] - here[0]) * scale[0], (a[1] - here[1]) * scale[1]];
    let b = [(b[0] - here[0]) * scale[0], (b[1] - here[1]) * scale[1]];
    let d = [b[0] - a[0], b[1] - a[1]];
    let length2 = d[0] * d[0] + d[1] * d[1];
    let share = if length2 > 0.0 { (-(a[0] * d[0] + a[1] * d[1]) / length2).clamp(0.0, 1.0) } else { 0.0 };
    let (x, y) = (a[0] + share * d[0], a[1] + share * d[1]);
    (share, (x * x + y * y).sqrt())
}

impl Stored {
    /// Metres from the begin of a segment to the point of it that is nearest to a place.
    pub(crate) fn offset_m(&self, on: SegmentIndex, at: LonLat) -> f64 {
        let here = [at.lon_deg(), at.lat_deg()];
        let scale = [M_PER_DEG * (here[1] * PI / 180.0).cos(), M_PER_DEG];
        let range = self.range(on);
        let mut best = (f64::INFINITY, 0.0);
        for point in range.start..range.end - 1 {
            let (share, distance_m) = project(here, scale, self, point);
            if distance_m < best.0 {
                let (from, to) = (self.along_m[point], self.along_m[point + 1]);
                best = (distance_m, from + share * (to - from));
            }
        }
        best.1
    }
}

/// Keeps `out` sorted, one entry a segment, [`CANDIDATES_MAX`] long.
///
/// An entry pushed out by sixteen nearer segments comes back if a later piece of its segment is nearer, so the
/// result does not depend on the order of pieces.
fn offer(out: &mut Vec<Candidate>, stored: &Stored, piece: Piece, share: f64, distance_m: f64) {
    if let Some(known) = out.iter().position(|c| c.segment == piece.segment) {
        if out[known].distance_m <= distance_m {
            return;
        }
        out.remove(known);
    }
    let place = out.partition_point(|c| (c.distance_m, c.segment) < (distance_m, piece.segment));
    if place >= CANDIDATES_MAX {
        return;
    }
    let point = piece.point as usize;
    let (from, to) = (stored.along_m[point], stored.along_m[point + 1]);
    let heading = stored.heading_of_piece(point);
    out.truncate(CANDIDATES_MAX - 1);
    out.insert(place, Candidate { segment: piece.segment, offset_m: from + share * (to - from), distance_m, heading });
}
