//! The network as the matcher sees it: streets as straight pieces on a plane, in a flat grid.
//!
//! Upstream: [`roads::Network`]. Downstream: [`super::model`] (which streets are near), [`super::place`] (where
//! on a street).
//!
//! Both directions of a street share their pieces, so that a two-way street is measured once. Eastings are kept
//! in metres of the equator and shrunk by the cosine of the latitude asked for, so that one plane serves a
//! country: the error is that of one latitude over a search radius, under 0.02 % within 1 km.

use std::f64::consts::PI;

use events::units::EARTH_RADIUS_M;
use events::{HeadingDeg, LonLat};
use roads::{Network, SegmentIndex};
use rustc_hash::FxHashMap;

/// Stands for "no segment".
pub(crate) const NONE: u32 = u32::MAX;

/// A course is along a street within 10°, and two lines this near are one, metres.
const ALONG_COS: f32 = 0.985;
const LINES_APART_M: f32 = 3.0;

/// Side of a grid cell at the middle latitude, metres, unless the area needs coarser ones.
const CELL_M: f64 = 60.0;

/// Most grid cells (16 MiB); a network so wide that 60 m would need more gets larger cells.
const CELLS_MAX: f64 = 4_194_304.0;

/// A place on the plane: metres of the equator to the east and metres to the north of the network's middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Point {
    pub(crate) x: f32,
    pub(crate) y: f32,
}

/// A street near a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near {
    pub(crate) road: u32,
    pub(crate) distance2_m2: f32,
    /// Metres from the begin of the road's forward segment.
    pub(crate) offset_m: f32,
    /// Forward direction of the street there: east and north parts of a unit vector.
    pub(crate) ahead: [f32; 2],
}

/// A street: a segment, and the segment of the other direction where it has one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Road {
    pub(crate) forward: u32,
    pub(crate) backward: u32,
    pub(crate) length_m: f32,
    pieces: (u32, u32),
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    x: f32,
    y: f32,
    dx: f32,
    dy: f32,
    /// Where it begins on the road, and how long it is there, metres.
    offset_m: f32,
    length_m: f32,
    road: u32,
}

/// A piece as the grid holds it: in the metres of its cell's latitude, so that a search only multiplies.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    x: f32,
    y: f32,
    dx: f32,
    dy: f32,
    /// One over its squared length.
    per_m2: f32,
    offset_m: f32,
    length_m: f32,
    road: u32,
}

/// Streets and their grid; see the module.
#[derive(Debug)]
pub(crate) struct Ground {
    middle: [f64; 2],
    roads: Vec<Road>,
    /// By segment: its road, and whether it is the backward one.
    of_segment: Vec<(u32, bool)>,
    /// By road, each in the metres of its own latitude.
    lines: Vec<Cut>,
    west: f32,
    south: f32,
    cell_x: f32,
    cell_y: f32,
    columns: i32,
    rows: i32,
    /// By row of cells: how much eastings shrink there.
    shrink: Vec<f32>,
    start: Vec<u32>,
    cuts: Vec<Cut>,
}

const M_PER_DEG: f64 = EARTH_RADIUS_M * PI / 180.0;

impl Ground {
    pub(crate) fn new(network: &Network) -> Self {
        let [west, south, east, north] = network.bbox();
        let middle = [(west + east) / 2.0, (south + north) / 2.0];
        let shrink = (middle[1] * PI / 180.0).cos().max(0.01);
        let (width_m, height_m) = ((east - west) * M_PER_DEG * shrink, (north - south) * M_PER_DEG);
        let cell_m = CELL_M.max((width_m * height_m / CELLS_MAX).sqrt()).max(width_m.max(height_m) / 65_536.0);
        let mut ground = Self {
            middle,
            roads: Vec::new(),
            of_segment: vec![(NONE, false); network.segments().len()],
            lines: Vec::new(),
            west: ((west - middle[0]) * M_PER_DEG) as f32,
            south: ((south - middle[1]) * M_PER_DEG) as f32,
            cell_x: (cell_m / shrink) as f32,
            cell_y: cell_m as f32,
            columns: (width_m / cell_m) as i32 + 1,
            rows: (height_m / cell_m) as i32 + 1,
            shrink: Vec::new(),
            start: Vec::new(),
            cuts: Vec::new(),
        };
        let middle_of = |row: i32| f64::from(ground.south) + (f64::from(row) + 0.5) * f64::from(ground.cell_y);
        let shrink_of = |row| ((middle_of(row) / M_PER_DEG + middle[1]) * PI / 180.0).cos().max(1e-6) as f32;
        ground.shrink = (0..ground.rows).map(shrink_of).collect();
        let pieces = ground.lay_roads(network);
        ground.lines = pieces.iter().map(|p| p.cut(ground.shrink(Point { x: p.x, y: p.y }))).collect();
        ground.fill_grid(&pieces);
        ground
    }

    /// A place on the plane.
    pub(crate) fn point(&self, at: LonLat) -> Point {
        self.lay([at.lon_deg(), at.lat_deg()])
    }

    /// How much eastings shrink at a place; beyond the network as at its edge.
    #[inline]
    pub(crate) fn shrink(&self, at: Point) -> f32 {
        let row = (at.y - self.south) / self.cell_y;
        // `as` saturates: below the network is row 0.
        self.shrink[(row as usize).min(self.shrink.len() - 1)]
    }

    pub(crate) fn road(&self, road: u32) -> &Road {
        &self.roads[road as usize]
    }

    /// The other direction of a segment's street, or [`NONE`].
    pub(crate) fn way_back(&self, segment: u32) -> u32 {
        let (road, backward) = self.of_segment[segment as usize];
        let road = self.road(road);
        if backward { road.forward } else { road.backward }
    }

    /// Every street within `radius_m`, each once, into `out`, which is cleared first; in no particular order.
    pub(crate) fn near(&self, at: Point, shrink: f32, radius_m: f32, out: &mut Vec<Near>) {
        out.clear();
        let (reach_x, limit) = (radius_m / shrink, radius_m * radius_m);
        let (first_x, last_x) =
            (self.cell(at.x - reach_x - self.west, self.cell_x), self.cell(at.x + reach_x - self.west, self.cell_x));
        let (first_y, last_y) = (
            self.cell(at.y - radius_m - self.south, self.cell_y),
            self.cell(at.y + radius_m - self.south, self.cell_y),
        );
        for row in first_y.max(0)..=last_y.min(self.rows - 1) {
            for column in first_x.max(0)..=last_x.min(self.columns - 1) {
                let cell = (row * self.columns + column) as usize;
                for cut in &self.cuts[self.start[cell] as usize..self.start[cell + 1] as usize] {
                    let (distance2_m2, share) = cut.project(at, shrink);
                    if distance2_m2 > limit {
                        continue;
                    }
                    let long = cut.per_m2.sqrt();
                    let near = Near {
                        road: cut.road,
                        distance2_m2,
                        offset_m: cut.offset_m + share * cut.length_m,
                        ahead: [cut.dx * long, cut.dy * long],
                    };
                    match out.iter_mut().find(|n| n.road == cut.road) {
                        Some(known) if known.distance2_m2 <= distance2_m2 => {}
                        Some(known) => *known = near,
                        None => out.push(near),
                    }
                }
            }
        }
    }

    /// Metres from a place to the line of the street that is driven along `ahead` (east and north parts of a unit vector),
    /// and the normal along which they are measured; `None` when there is none within `radius_m`, or two at different
    /// distances.
    pub(super) fn line_along(&self, at: Point, radius_m: f32, ahead: [f32; 2]) -> Option<(f32, [f32; 2])> {
        let shrink = self.shrink(at);
        let reach_x = radius_m / shrink;
        let column = |x: f32| self.cell(x - self.west, self.cell_x).clamp(0, self.columns - 1);
        let row = |y: f32| self.cell(y - self.south, self.cell_y).clamp(0, self.rows - 1);
        let mut found: Option<(f32, [f32; 2])> = None;
        for row in row(at.y - radius_m)..=row(at.y + radius_m) {
            for column in column(at.x - reach_x)..=column(at.x + reach_x) {
                let cell = (row * self.columns + column) as usize;
                for cut in &self.cuts[self.start[cell] as usize..self.start[cell + 1] as usize] {
                    let Some((off_m, normal)) = cut.aside(at, shrink, radius_m, ahead) else { continue };
                    match found {
                        Some((known_m, _)) if (known_m - off_m).abs() > LINES_APART_M => return None,
                        Some((known_m, _)) if known_m.abs() <= off_m.abs() => {}
                        Some(_) | None => found = Some((off_m, normal)),
                    }
                }
            }
        }
        found
    }

    /// The nearest place on one segment: squared distance, and metres from its begin.
    pub(crate) fn project(&self, at: Point, segment: u32, segment_m: f32) -> (f32, f32) {
        let shrink = self.shrink(at);
        let (road, backward) = self.of_segment[segment as usize];
        let road = self.road(road);
        let mut best = (f32::INFINITY, 0.0);
        for piece in &self.lines[road.pieces.0 as usize..road.pieces.1 as usize] {
            let (distance2, share) = piece.project(at, shrink);
            if distance2 < best.0 {
                best = (distance2, piece.offset_m + share * piece.length_m);
            }
        }
        let offset_m = if backward { (road.length_m - best.1) * segment_m / road.length_m } else { best.1 };
        (best.0, offset_m.clamp(0.0, segment_m))
    }

    /// Whether a course leads against a segment's direction at the place of it that is nearest.
    pub(crate) fn is_against(&self, at: Point, segment: u32, course: HeadingDeg) -> bool {
        let shrink = self.shrink(at);
        let (road, backward) = self.of_segment[segment as usize];
        let pieces = self.road(road).pieces;
        let mut best = (f32::INFINITY, 0.0);
        let (east, north) = course.get().to_radians().sin_cos();
        for piece in &self.lines[pieces.0 as usize..pieces.1 as usize] {
            let (distance2, _) = piece.project(at, shrink);
            if distance2 < best.0 {
                best = (distance2, piece.dx * east + piece.dy * north);
            }
        }
        (best.1 < 0.0) != backward
    }

    fn lay(&self, at: [f64; 2]) -> Point {
        Point { x: ((at[0] - self.middle[0]) * M_PER_DEG) as f32, y: ((at[1] - self.middle[1]) * M_PER_DEG) as f32 }
    }

    /// The cell of a distance from the grid's edge; far outside is still a small number.
    fn cell(&self, from_edge: f32, cell: f32) -> i32 {
        (from_edge / cell).floor().clamp(-2.0, 70_000.0) as i32
    }

    /// Joins the two directions of a street where their lines are the same.
    fn lay_roads(&mut self, network: &Network) -> Vec<Piece> {
        let mut laid = Vec::new();
        let mut by_ends: FxHashMap<(u32, u32), Vec<u32>> = FxHashMap::default();
        for i in network.indices() {
            let segment = network.segment(i);
            let line = network.points(i);
            let twins = by_ends.get_mut(&(segment.to.0, segment.from.0));
            let twin = twins.and_then(|list| {
                let same = |&road: &u32| {
                    let theirs = network.points(SegmentIndex(self.roads[road as usize].forward));
                    theirs.len() == line.len() && theirs.iter().eq(line.iter().rev())
                };
                list.iter().position(same).map(|k| list.swap_remove(k))
            });
            if let Some(road) = twin {
                self.roads[road as usize].backward = i.0;
                self.of_segment[i.at()] = (road, true);
                continue;
            }
            let road = self.roads.len() as u32;
            by_ends.entry((segment.from.0, segment.to.0)).or_default().push(road);
            self.of_segment[i.at()] = (road, false);
            let first = laid.len() as u32;
            self.lay_pieces(line, road, segment.length_m as f32, &mut laid);
            let pieces = (first, laid.len() as u32);
            self.roads.push(Road { forward: i.0, backward: NONE, length_m: segment.length_m as f32, pieces });
        }
        laid
    }

    fn lay_pieces(&self, line: &[[f64; 2]], road: u32, length_m: f32, laid: &mut Vec<Piece>) {
        let shrink = (line[0][1] * PI / 180.0).cos();
        let long = |a: [f64; 2], b: [f64; 2]| ((b[0] - a[0]) * shrink).hypot(b[1] - a[1]);
        let total: f64 = line.windows(2).map(|w| long(w[0], w[1])).sum();
        let mut done = 0.0;
        for w in line.windows(2) {
            let (a, b) = (self.lay(w[0]), self.lay(w[1]));
            let part = long(w[0], w[1]);
            let (offset_m, piece_m) = ((done / total) as f32 * length_m, (part / total) as f32 * length_m);
            laid.push(Piece { x: a.x, y: a.y, dx: b.x - a.x, dy: b.y - a.y, offset_m, length_m: piece_m, road });
            done += part;
        }
    }

    /// Two passes over the same walk: count, then place.
    fn fill_grid(&mut self, pieces: &[Piece]) {
        let mut start = vec![0_u32; (self.columns * self.rows) as usize + 1];
        self.walk(pieces, |cell, _| start[cell + 1] += 1);
        for cell in 1..start.len() {
            start[cell] += start[cell - 1];
        }
        let mut next = start.clone();
        let mut cuts = vec![Cut::default(); start[start.len() - 1] as usize];
        self.walk(pieces, |cell, piece| {
            let shrink = self.shrink[cell / self.columns as usize];
            cuts[next[cell] as usize] = pieces[piece as usize].cut(shrink);
            next[cell] += 1;
        });
        (self.start, self.cuts) = (start, cuts);
    }

    /// Calls `each` with every cell that every piece touches, a hair wider against rounding.
    fn walk(&self, pieces: &[Piece], mut each: impl FnMut(usize, u32)) {
        for (i, p) in pieces.iter().enumerate() {
            let (low, high) = (p.y.min(p.y + p.dy) - 0.1, p.y.max(p.y + p.dy) + 0.1);
            let rows = self.cell(low - self.south, self.cell_y).max(0)
                ..=self.cell(high - self.south, self.cell_y).min(self.rows - 1);
            for row in rows {
                let bottom = self.south + row as f32 * self.cell_y;
                let at = |y: f32| p.x + ((y - p.y) / p.dy).clamp(0.0, 1.0) * p.dx;
                let (a, b) = if p.dy.abs() > 0.01 {
                    (at(bottom - 0.1), at(bottom + self.cell_y + 0.1))
                } else {
                    (p.x, p.x + p.dx)
                };
                let first = self.cell(a.min(b) - 0.1 - self.west, self.cell_x).max(0);
                let last = self.cell(a.max(b) + 0.1 - self.west, self.cell_x).min(self.columns - 1);
                for column in first..=last {
                    each((row * self.columns + column) as usize, i as u32);
                }
            }
        }
    }
}

impl Cut {
    /// See [`Ground::line_along`].
    fn aside(&self, at: Point, shrink: f32, radius_m: f32, ahead: [f32; 2]) -> Option<(f32, [f32; 2])> {
        let per_m = self.per_m2.sqrt();
        let cos = (self.dx * ahead[0] + self.dy * ahead[1]) * per_m;
        let (px, py) = ((at.x - self.x) * shrink, at.y - self.y);
        let along = (px * self.dx + py * self.dy) * per_m;
        let normal = [-self.dy * per_m, self.dx * per_m];
        let off_m = px * normal[0] + py * normal[1];
        let is_beside = along >= -radius_m && along <= self.length_m + radius_m && off_m.abs() <= radius_m;
        (cos.abs() >= ALONG_COS && is_beside).then(|| {
            // The other direction of the same line has the same distance, and the same sign.
            let turned = if normal[0] + normal[1] * 0.618 < 0.0 { -1.0 } else { 1.0 };
            (off_m * turned, [normal[0] * turned, normal[1] * turned])
        })
    }

    /// Squared distance of a place, metres², and the share of the piece at which it is nearest.
    #[inline]
    fn project(&self, at: Point, shrink: f32) -> (f32, f32) {
        let (px, py) = ((at.x - self.x) * shrink, at.y - self.y);
        let share = ((px * self.dx + py * self.dy) * self.per_m2).clamp(0.0, 1.0);
        let (x, y) = (px - share * self.dx, py - share * self.dy);
        (x * x + y * y, share)
    }
}

impl Piece {
    fn cut(&self, shrink: f32) -> Cut {
        let (dx, dy) = (self.dx * shrink, self.dy);
        let long2 = dx * dx + dy * dy;
        let per_m2 = if long2 > 0.0 { 1.0 / long2 } else { 0.0 };
        let Self { x, y, offset_m, length_m, road, .. } = *self;
        Cut { x, y, dx, dy, per_m2, offset_m, length_m, road }
    }
}
