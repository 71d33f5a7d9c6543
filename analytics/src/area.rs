//! Corridors, zones and the city: named sets of segments over which sums are taken.
//!
//! Upstream: files of a person ([`read`]) or the network itself ([`derive`]). Downstream: [`crate::metric::area`] adds
//! cells up over them, [`crate::study`] keeps the travel times of corridors.
//!
//! - [`read`]: corridors from TOML or GeoJSON, zones from GeoJSON
//! - [`derive`]: where no file is given: streets by name and direction, districts of a grid

pub mod derive;
pub mod read;

use roads::{Network, SegmentIndex};

pub use read::AreaError;

/// Most corridors of a city; further ones of a file are refused, derived ones are not made.
pub const CORRIDORS_MAX: usize = 100;

/// Most zones of a city; further ones of a file are refused.
pub const ZONES_MAX: usize = 100;

/// What an area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AreaKind {
    /// Segments in driving order.
    Corridor,
    Zone,
    /// Every segment.
    City,
}

/// A named set of segments.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    pub kind: AreaKind,
    /// Different from that of every other area of its kind.
    pub name: String,
    /// In driving order in a corridor, else by index; each once, at least one.
    pub segments: Vec<SegmentIndex>,
    pub length_m: f64,
}

/// The areas of a city: corridors, then zones, then the city itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Areas {
    all: Vec<Area>,
    corridors: usize,
}

impl Area {
    /// An area of a network; a segment that is named again counts once.
    pub fn new(kind: AreaKind, name: String, segments: Vec<SegmentIndex>, network: &Network) -> Self {
        let mut seen = vec![false; network.segments().len()];
        let segments: Vec<_> = segments.into_iter().filter(|at| !std::mem::replace(&mut seen[at.at()], true)).collect();
        let length_m = segments.iter().map(|&at| network.segment(at).length_m).sum();
        Self { kind, name, segments, length_m }
    }
}

impl Areas {
    /// Corridors and zones of a network, and the city. `None` derives them from the network.
    pub fn new(network: &Network, corridors: Option<Vec<Area>>, zones: Option<Vec<Area>>) -> Self {
        let mut all = corridors.unwrap_or_else(|| derive::corridors(network));
        let corridors = all.len();
        all.extend(zones.unwrap_or_else(|| derive::districts(network)));
        all.push(Area::new(AreaKind::City, "city".into(), network.indices().collect(), network));
        Self { all, corridors }
    }

    /// All of them.
    pub fn all(&self) -> &[Area] {
        &self.all
    }

    /// The corridors; they are the first of [`Areas::all`].
    pub fn corridors(&self) -> &[Area] {
        &self.all[..self.corridors]
    }
}
