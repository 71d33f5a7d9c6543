//! Hexagons in place of streets: positions alone make a map where there is no road network.
//!
//! A place falls into one cell of the H3 grid; the cell stands where a segment would. Resolution 9 has cells 400 m
//! wide, about the length of a long segment. [`Hexagons`] lists the cells over a box once, so that they have dense
//! indices, and gives a [`Network`] of one segment a cell, by the same indices: metrics, joins, exports and the map
//! work on it unchanged. Only the matcher must ask [`Hexagons::at`] in place of [`Network::nearest`], since the lines
//! of that network are no streets.
//!
//! Edie's definitions need the length of street that a vehicle could fill, which a hexagon does not have. Convention:
//! its mean diameter, the mean over all directions of how wide it is; by Cauchy's theorem that is perimeter / π. So
//! the density of a hexagon is vehicles per kilometre of one imagined street across it: comparable between cells and
//! hours, not with streets.
//!
//! Upstream: a box of positions. Downstream: analytics without `--network`. Grid: Uber H3, through `h3o`.

use std::f64::consts::PI;
use std::sync::Arc;

use events::LonLat;
use h3o::{CellIndex, LatLng, Resolution};

use crate::network::Network;
use crate::network::builder::{NetworkBuilder, NewSegment};
use crate::segment::{RoadClass, SegmentId, SegmentIndex};

/// The resolution used unless another is asked for: cells of 0.1 km².
pub const RESOLUTION: u8 = 9;

/// Most cells of one box: 100,000 km² at [`RESOLUTION`].
pub const HEXAGONS_MAX: usize = 1 << 20;

/// Limit of a cell's segment, km/h. Nobody posted it: only observed free flow says something about a hexagon.
const LIMIT_KMH: f32 = 50.0;

/// Why there are no hexagons over a box.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HexagonError {
    #[error("{0} is no resolution of the H3 grid: 0 to 15 are")]
    Resolution(u8),
    #[error("the box from {west}, {south} to {east}, {north} is no area on Earth: west, south, east, north in degrees")]
    Box { west: f64, south: f64, east: f64, north: f64 },
    #[error(
        "about {cells} hexagons of resolution {resolution} would cover the box, more than {HEXAGONS_MAX}: choose a coarser resolution"
    )]
    TooMany { cells: u64, resolution: u8 },
}

/// The cell of a place, whatever box it is in: its id, which is the H3 index itself.
///
/// # Errors
/// [`HexagonError::Resolution`].
pub fn cell(at: LonLat, resolution: u8) -> Result<SegmentId, HexagonError> {
    let resolution = Resolution::try_from(resolution).map_err(|_| HexagonError::Resolution(resolution))?;
    Ok(SegmentId(u64::from(cell_of(at, resolution))))
}

/// All cells over a box, with the network that they stand for.
#[derive(Debug)]
pub struct Hexagons {
    resolution: Resolution,
    /// Ascending; the position is the [`SegmentIndex`].
    cells: Vec<CellIndex>,
    network: Arc<Network>,
}

impl Hexagons {
    /// The cells that cover west, south, east, north (degrees), with a rim of one cell around them.
    ///
    /// # Errors
    /// [`HexagonError`].
    pub fn over([west, south, east, north]: [f64; 4], resolution: u8) -> Result<Self, HexagonError> {
        let of_number = Resolution::try_from(resolution);
        let grid = of_number.map_err(|_| HexagonError::Resolution(resolution))?;
        let no_area = HexagonError::Box { west, south, east, north };
        if !(west < east && south < north && west >= -180.0 && east <= 180.0 && south >= -85.0 && north <= 85.0) {
            return Err(no_area);
        }
        let middle = LatLng::new(f64::midpoint(south, north), f64::midpoint(west, east)).map_err(|_| no_area)?;
        let middle = middle.to_cell(grid);
        // Cells differ in size over the globe by a factor of 2; here that of the place counts.
        let edge_deg = (middle.area_m2() / (1.5 * 3.0_f64.sqrt())).sqrt() / crate::network::M_PER_DEG;
        let lon_scale = ((south.abs().max(north.abs())) * PI / 180.0).cos();
        // Half an edge apart, no cell is stepped over but for slivers at the rim, whose neighbours are taken too.
        let step_deg = edge_deg / 2.0;
        let (columns, rows) = ((east - west) * lon_scale / step_deg, (north - south) / step_deg);
        // Ten samples fall into one cell.
        let expected = (columns + 1.0) * (rows + 1.0) / 10.0;
        if expected > HEXAGONS_MAX as f64 {
            return Err(HexagonError::TooMany { cells: expected as u64, resolution });
        }
        let (columns, rows) = (columns.ceil() as u32, rows.ceil() as u32);
        let mut cells: Vec<CellIndex> = Vec::new();
        for row in 0..=rows {
            let lat = south + (north - south) * f64::from(row) / f64::from(rows);
            let at = |column: u32| LatLng::new(lat, west + (east - west) * f64::from(column) / f64::from(columns));
            cells.extend((0..=columns).filter_map(|column| Some(at(column).ok()?.to_cell(grid))));
            // Kept short between rows: most samples name a cell that is known.
            cells.sort_unstable();
            cells.dedup();
        }
        let mut cells: Vec<CellIndex> = cells.iter().flat_map(|cell| cell.grid_disk_safe(1)).collect();
        cells.sort_unstable();
        cells.dedup();
        let network = Arc::new(network(&cells, grid));
        Ok(Self { resolution: grid, cells, network })
    }

    /// The cell of a place; `None` outside of the box and its rim.
    pub fn at(&self, at: LonLat) -> Option<SegmentIndex> {
        let found = self.cells.binary_search(&cell_of(at, self.resolution));
        found.ok().map(|position| SegmentIndex(position as u32))
    }

    /// One segment a cell by the same index, of the nominal length; its line is the cell's border, which a map can
    /// draw, and turns lead to the neighbours.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is none; never so.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The middle of a cell.
    ///
    /// # Panics
    /// If the index is not of these hexagons.
    pub fn center(&self, at: SegmentIndex) -> LonLat {
        place(LatLng::from(self.cells[at.at()]))
    }

    /// The corners of a cell, counter-clockwise, lon and lat in degrees; the first is not repeated at the end.
    ///
    /// # Panics
    /// If the index is not of these hexagons.
    pub fn boundary(&self, at: SegmentIndex) -> Vec<[f64; 2]> {
        self.cells[at.at()].boundary().iter().map(|corner| [corner.lng(), corner.lat()]).collect()
    }

    /// The length that counts for density, metres: the mean diameter (see the head of this file).
    ///
    /// # Panics
    /// If the index is not of these hexagons.
    pub fn length_m(&self, at: SegmentIndex) -> f64 {
        mean_diameter_m(self.cells[at.at()])
    }
}

fn cell_of(at: LonLat, resolution: Resolution) -> CellIndex {
    LatLng::new(at.lat_deg(), at.lon_deg()).expect("a place is finite degrees").to_cell(resolution)
}

fn place(at: LatLng) -> LonLat {
    LonLat::new(at.lng(), at.lat())
        // Only the exact point 0, 0 is refused.
        .or_else(|_| LonLat::new(at.lng() + 1e-9, at.lat()))
        .expect("the middle of a cell is a place")
}

fn mean_diameter_m(cell: CellIndex) -> f64 {
    let corners: Vec<LonLat> = cell.boundary().iter().map(|&corner| place(corner)).collect();
    let next = corners.iter().cycle().skip(1);
    corners.iter().zip(next).map(|(a, b)| a.distance_m(*b)).sum::<f64>() / PI
}

fn network(cells: &[CellIndex], resolution: Resolution) -> Network {
    let mut builder = NetworkBuilder::new(format!("hexagons of resolution {resolution}"));
    let ends = [cells[0], cells[cells.len() - 1]].map(u64::from);
    builder.source_hash(format!("h3 {resolution} {} {:x} {:x}", cells.len(), ends[0], ends[1]));
    builder.only_allowed_turns();
    for &cell in cells {
        let length_m = mean_diameter_m(cell);
        let mut line: Vec<[f64; 2]> = cell.boundary().iter().map(|corner| [corner.lng(), corner.lat()]).collect();
        line.push(line[0]);
        let corner = builder.node(line[0][0], line[0][1]);
        let at = builder.segment(NewSegment {
            id: SegmentId(u64::from(cell)),
            source_id: cell.to_string(),
            source_offset_m: 0.0,
            name: None,
            class: RoadClass::Tertiary,
            from: corner,
            to: corner,
            length_m: Some(length_m),
            speed_limit_mps: LIMIT_KMH / 3.6,
            lanes: 1,
            line,
        });
        builder.limit_is_assumed(at);
    }
    for (position, cell) in cells.iter().enumerate() {
        for neighbour in cell.grid_disk_safe(1).filter(|other| other != cell) {
            if let Ok(to) = cells.binary_search(&neighbour) {
                builder.allow_turn(SegmentIndex(position as u32), SegmentIndex(to as u32));
            }
        }
    }
    builder.build().expect("cells are places with a length")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELSINKI: [f64; 4] = [24.90, 60.15, 25.00, 60.20];

    #[test]
    fn one_segment_a_cell_by_the_same_index() {
        let hexagons = Hexagons::over(HELSINKI, RESOLUTION).unwrap();
        let net = hexagons.network();
        eprintln!("{} hexagons", hexagons.len());
        assert_eq!(net.segments().len(), hexagons.len());
        for at in net.indices() {
            let middle = hexagons.center(at);
            assert_eq!(hexagons.at(middle), Some(at));
            assert_eq!(net.by_id(cell(middle, RESOLUTION).unwrap()), Some(at));
            assert_eq!(net.segment(at).length_m, hexagons.length_m(at));
            assert_eq!(net.segment(at).source_id.parse::<CellIndex>().map(u64::from), Ok(net.segment(at).id.0));
            let (border, line) = (hexagons.boundary(at), net.points(at));
            assert_eq!((border.len(), &line[..6], line[6]), (6, &border[..], border[0]));
            // Between the two usual readings: diameter of the circle of equal area, and from corner to corner.
            let area_m2 = hexagons.cells[at.at()].area_m2();
            let (circle_m, corners_m) = ((4.0 * area_m2 / PI).sqrt(), 2.0 * (area_m2 / 2.598).sqrt());
            assert!(hexagons.length_m(at) > circle_m && hexagons.length_m(at) < corners_m);
        }
        let inner = hexagons.at(LonLat::new(24.95, 60.175).unwrap()).unwrap();
        assert_eq!(net.successors(inner).len(), 6);
        assert_eq!(hexagons.at(LonLat::new(11.0, 44.0).unwrap()), None);
    }

    #[test]
    fn what_is_no_box_is_said() {
        assert_eq!(Hexagons::over(HELSINKI, 16).unwrap_err(), HexagonError::Resolution(16));
        let swapped = Hexagons::over([25.0, 60.2, 24.9, 60.1], 9).unwrap_err();
        assert!(swapped.to_string().contains("west, south, east, north"), "{swapped}");
        assert!(Hexagons::over([f64::NAN, 0.0, 1.0, 1.0], 9).is_err());
        let wide = Hexagons::over([-120.0, -60.0, 120.0, 60.0], 9).unwrap_err();
        assert!(matches!(wide, HexagonError::TooMany { .. }) && wide.to_string().contains("coarser"), "{wide}");
        // The point 0, 0 within: no place for a vehicle, yet a cell.
        assert!(Hexagons::over([-0.01, -0.01, 0.01, 0.01], 9).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_place_of_the_box_has_its_cell(
            lon in -179.0..178.0_f64, lat in -80.0..79.0_f64, x in 0.0..=1.0_f64, y in 0.0..=1.0_f64,
        ) {
            let hexagons = Hexagons::over([lon, lat, lon + 0.05, lat + 0.03], RESOLUTION).unwrap();
            let here = LonLat::new(lon + 0.05 * x, lat + 0.03 * y).unwrap();
            let at = hexagons.at(here);
            prop_assert!(at.is_some());
            let at = at.unwrap();
            prop_assert!(hexagons.center(at).distance_m(here) < hexagons.length_m(at));
        }
    }
}
