//! Demand of others, read as it is: SUMO's routes and additional files (`.rou.xml`, `.add.xml`, packed or not) and
//! CityFlow's flows (`.json`).
//!
//! What is not understood is counted by name, never passed over in silence. A vehicle whose route is not on the
//! network is left out and counted; when no vehicle is left the first such route is named as an error. Upstream: files
//! beside a network that was imported from the same source. Downstream: [`crate::Scenario`].
//!
//! - [`sumo`]: vehicles, trips, flows, routes, stops, detectors
//! - [`kinds`]: vehicle types and their distributions
//! - [`cityflow`]: flows of CityFlow

mod cityflow;
mod kinds;
mod sumo;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use roads::{ImportReport, Network, SegmentIndex};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::scenario::{DepartAt, DepartLane, Route, Stop, TRIPS_MAX, Trip};
use crate::vehicle::VehicleType;

/// Most bytes that are read from one file, unpacked.
const BYTES_MAX: u64 = 16 << 30;

/// Most named things (types, routes, stops, detectors) of each sort.
const NAMED_MAX: usize = 1 << 22;

/// Why demand cannot be read; each is one sentence with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{} cannot be read: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{} is no demand that we read: routes or an additional file of SUMO, or a flow file of CityFlow", path.display())]
    Unknown { path: PathBuf },
    #[error("{} ends too early: it was cut off or not fully downloaded", path.display())]
    Truncated { path: PathBuf },
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("{} has more than {TRIPS_MAX} trips, or {NAMED_MAX} things of one sort", path.display())]
    TooMany { path: PathBuf },
    #[error("none of the {left_out} vehicles can drive on this network: {first}")]
    NobodyDrives { left_out: u64, first: String },
    #[error("the files hold no vehicles: nobody would drive")]
    NoVehicles,
}

/// An induction loop of an additional file (SUMO's E1): it counts on its lane alone and reports under its own id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loop {
    pub id: String,
    pub segment: SegmentIndex,
    /// 0 at the kerb.
    pub lane: u8,
    pub offset_m: f32,
}

/// What the files asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    pub types: Vec<VehicleType>,
    /// Ascending by departure.
    pub trips: Vec<Trip>,
    pub loops: Vec<Loop>,
    /// What was kept, left out, and not understood.
    pub report: ImportReport,
}

/// Reads files one after another; what a file names may be used by the next.
pub struct Reader<'a> {
    network: &'a Network,
    seed: u64,
    /// Segments of a source edge in driving order.
    edges: FxHashMap<&'a str, Vec<SegmentIndex>>,
    kinds: kinds::Kinds,
    routes: FxHashMap<String, Arc<[SegmentIndex]>>,
    /// Segment and offset of the end of a bus stop.
    bus_stops: FxHashMap<String, (SegmentIndex, f32)>,
    trips: Vec<Trip>,
    loops: Vec<Loop>,
    report: ImportReport,
    left_out: u64,
    first_left_out: Option<String>,
}

impl<'a> Reader<'a> {
    /// The seed decides what a file leaves to chance: types of a distribution, flows by probability.
    pub fn new(network: &'a Network, seed: u64) -> Self {
        let mut edges: FxHashMap<&str, Vec<SegmentIndex>> = FxHashMap::default();
        for at in network.indices() {
            edges.entry(&network.segment(at).source_id).or_default().push(at);
        }
        let along = |at: &SegmentIndex| network.segment(*at).source_offset_m;
        edges.values_mut().for_each(|parts| parts.sort_by(|a, b| along(a).total_cmp(&along(b))));
        Self {
            network,
            seed,
            edges,
            kinds: kinds::Kinds::default(),
            routes: FxHashMap::default(),
            bus_stops: FxHashMap::default(),
            trips: Vec::new(),
            loops: Vec::new(),
            report: ImportReport::default(),
            left_out: 0,
            first_left_out: None,
        }
    }

    /// Reads a file; its kind is told by its content. Flows without an end last until `until_s`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&mut self, path: &Path, until_s: f64) -> Result<(), ReadError> {
        let mut source = open(path)?;
        let io = |error| read_error(path, error);
        // A byte order mark and blanks may stand before the first sign.
        let first = loop {
            let buffered = source.fill_buf().map_err(io)?;
            match buffered.iter().find(|b| !b.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(b)) {
                Some(&first) => break Some(first),
                None if buffered.is_empty() => break None,
                None => {
                    let blanks = buffered.len();
                    source.consume(blanks);
                }
            }
        };
        match first {
            Some(b'<') => self.read_xml(path, source, until_s),
            Some(b'[') => self.read_flows(path, source, until_s),
            Some(_) | None => Err(ReadError::Unknown { path: path.to_owned() }),
        }
    }

    /// Everything that was read, checked for somebody to drive.
    ///
    /// # Errors
    /// [`ReadError::NobodyDrives`] with the first route that failed, or [`ReadError::NoVehicles`].
    pub fn finish(mut self) -> Result<Inputs, ReadError> {
        if self.trips.is_empty() {
            return Err(match self.first_left_out {
                Some(first) => ReadError::NobodyDrives { left_out: self.left_out, first },
                None => ReadError::NoVehicles,
            });
        }
        // Stable: vehicles of one second keep the order of the file.
        self.trips.sort_by(|a, b| a.depart_s.total_cmp(&b.depart_s));
        self.report.add("trips", self.trips.len() as u64);
        Ok(Inputs { types: self.kinds.types, trips: self.trips, loops: self.loops, report: self.report })
    }

    /// A route by the names of its edges; what is wrong with it as a phrase.
    fn route(&self, edges: &str) -> Result<Arc<[SegmentIndex]>, String> {
        let mut route: Vec<SegmentIndex> = Vec::new();
        for name in edges.split_ascii_whitespace() {
            let parts = self.edge(name)?;
            let broken = route.last().filter(|last| !self.network.successors(**last).contains(&parts[0]));
            if let Some(&last) = broken {
                let before = &self.network.segment(last).source_id;
                return Err(format!("its route breaks between `{before}` and `{name}`"));
            }
            route.extend_from_slice(parts);
        }
        if route.is_empty() { Err("its route names no street".into()) } else { Ok(route.into()) }
    }

    fn edge(&self, name: &str) -> Result<&[SegmentIndex], String> {
        self.edges.get(name).map(Vec::as_slice).ok_or_else(|| format!("`{name}` is not a street of this network"))
    }

    /// Leaves a vehicle out, with the reason as a phrase.
    fn leave_out(&mut self, id: &str, class: &str, why: &str) {
        self.left_out += 1;
        self.report.add(class, 1);
        self.first_left_out.get_or_insert_with(|| format!("vehicle `{id}`: {why}"));
    }

    /// Takes a trip in; without room for more, an error.
    fn add(&mut self, path: &Path, trip: Trip) -> Result<(), ReadError> {
        if self.trips.len() >= TRIPS_MAX {
            return Err(ReadError::TooMany { path: path.to_owned() });
        }
        self.trips.push(trip);
        Ok(())
    }
}

/// A trip as a file states it, before its departure is known.
#[derive(Clone, Debug)]
struct Wish {
    kind: String,
    route: Route,
    stops: Vec<Stop>,
    depart_lane: DepartLane,
    depart_at: DepartAt,
    depart_speed_mps: f32,
    arrival_m: Option<f32>,
}

impl Wish {
    fn trip(&self, depart_s: f64, vehicle_type: u16) -> Trip {
        Trip {
            depart_s: depart_s as f32,
            vehicle_type,
            route: self.route.clone(),
            stops: self.stops.clone(),
            depart_lane: self.depart_lane,
            depart_at: self.depart_at,
            depart_speed_mps: self.depart_speed_mps,
            arrival_m: self.arrival_m,
        }
    }
}

/// A file, unpacked if it is packed with gzip.
fn open(path: &Path) -> Result<Box<dyn BufRead>, ReadError> {
    let mut file = BufReader::new(File::open(path).map_err(|error| read_error(path, error))?);
    let is_gzip = file.fill_buf().map_err(|error| read_error(path, error))?.starts_with(b"\x1f\x8b");
    Ok(if is_gzip {
        Box::new(BufReader::new(MultiGzDecoder::new(file).take(BYTES_MAX)))
    } else {
        Box::new(file.take(BYTES_MAX))
    })
}

fn read_error(path: &Path, error: std::io::Error) -> ReadError {
    let path = path.to_owned();
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => ReadError::Truncated { path },
        _ => ReadError::Io { path, error },
    }
}

#[cfg(test)]
mod tests;
