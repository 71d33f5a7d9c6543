//! Reading the road networks of others.
//!
//! Upstream: files on disk. Downstream: [`crate::cache::open`], the command line.

pub mod cityflow;
pub mod osm;
pub mod sumo;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use events::LonLat;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::network::builder::NetworkError;

/// Why a file could not be imported; each is one sentence with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{} cannot be read: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{} is empty", path.display())]
    EmptyFile { path: PathBuf },
    #[error("{} is no road network that we read: an OpenStreetMap extract (.osm.pbf), a SUMO network (.net.xml, .net.xml.gz) or a CityFlow roadnet (.json, .json.gz)", path.display())]
    Unknown { path: PathBuf },
    #[error("{} ends too early: it was cut off or not fully downloaded", path.display())]
    Truncated { path: PathBuf },
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("{} has longitude and latitude swapped: {exchanged} of {all} places fit the box that the file itself states only if the two are exchanged", path.display())]
    Swapped { path: PathBuf, exchanged: usize, all: usize },
    #[error("{} contradicts itself: {outside} of {all} places lie outside of the box that it states, {bbox:?} (west, south, east, north)", path.display())]
    Elsewhere { path: PathBuf, outside: usize, all: usize, bbox: [f64; 4] },
    #[error("there are no default limits for country `{code}`; known are {known}")]
    Country { code: String, known: String },
    #[error("{} has no projection, so its streets are nowhere on Earth: give netconvert the geo-reference when building it", path.display())]
    NoProjection { path: PathBuf },
    #[error("{} is in the projection `{projection}`, which we cannot undo: {what}", path.display())]
    Projection { path: PathBuf, projection: String, what: String },
    #[error("{} is not a usable road network: {error}", path.display())]
    Network { path: PathBuf, error: NetworkError },
}

/// What an import kept and left out, in the order of the steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    pub counts: Vec<Count>,
}

/// How many of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// From a closed list of each importer, such as `ways left out: not for motor vehicles`.
    pub what: String,
    pub count: u64,
}

impl ImportReport {
    /// Adds to a count, which appears at its first use.
    pub fn add(&mut self, what: &str, count: u64) {
        match self.counts.iter_mut().find(|c| c.what == what) {
            Some(known) => known.count += count,
            None => self.counts.push(Count { what: what.to_owned(), count }),
        }
    }

    /// A count; 0 if it never appeared.
    pub fn get(&self, what: &str) -> u64 {
        self.counts.iter().find(|c| c.what == what).map_or(0, |c| c.count)
    }
}

/// What a person may say about a map that the map does not say itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportOptions {
    /// Whose default limits hold where an OSM extract has none: ISO 3166-1, two letters. Without it the extract is
    /// asked (see [`osm`]).
    pub country: Option<String>,
    /// Where the point 0, 0 of a network without geo-reference lies; [`cityflow::ORIGIN`] without it.
    pub origin: Option<LonLat>,
    /// SUMO's additional files whose signal programmes take the place of the network's own, in this order.
    pub programmes: Vec<PathBuf>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    /// Of `total`, in the unit of the stage.
    pub done: u64,
    pub total: u64,
}

/// What an import is doing; a file that is read in one go has [`Stage::Segments`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Ways and restrictions; bytes of the file.
    Ways,
    /// Places of nodes; bytes of the file.
    Nodes,
    /// Streets made into segments; streets.
    Segments,
}

impl Stage {
    /// The lower-case words, as shown beside a bar.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ways => "reading ways",
            Self::Nodes => "reading nodes",
            Self::Segments => "making segments",
        }
    }
}

/// Imports a network, whatever its file is called: the kind is told by the content.
///
/// # Errors
/// [`ImportError`].
pub fn import(path: impl AsRef<Path>) -> Result<Network, ImportError> {
    import_with(path, &ImportOptions::default(), &mut |_| {})
}

/// Imports a network as [`import`] does, with options, and says how far it is.
///
/// # Errors
/// [`ImportError`].
pub fn import_with(
    path: impl AsRef<Path>,
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Network, ImportError> {
    let path = path.as_ref();
    let (kind, is_gzip) = kind(path)?;
    match kind {
        Some(Kind::OsmPbf) => osm::import(path, options, progress),
        Some(Kind::SumoXml) => sumo::import(path, is_gzip, options),
        Some(Kind::CityFlowJson) => cityflow::import(path, is_gzip, options),
        None => Err(ImportError::Unknown { path: path.to_owned() }),
    }
}

/// What a file is by its first bytes, or by those that it unpacks to.
enum Kind {
    OsmPbf,
    SumoXml,
    CityFlowJson,
}

/// The kind of a file, and whether it is packed with gzip.
fn kind(path: &Path) -> Result<(Option<Kind>, bool), ImportError> {
    let io = |error| ImportError::Io { path: path.to_owned(), error };
    let head = head(File::open(path).map_err(io)?).map_err(io)?;
    if head.is_empty() {
        return Err(ImportError::EmptyFile { path: path.to_owned() });
    }
    if !head.starts_with(b"\x1f\x8b") {
        return Ok((Kind::of(&head), false));
    }
    match self::head(MultiGzDecoder::new(File::open(path).map_err(io)?)) {
        Ok(unpacked) => Ok((Kind::of(&unpacked), true)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(ImportError::Truncated { path: path.to_owned() })
        }
        Err(error) => Err(ImportError::Damaged { path: path.to_owned(), what: error.to_string() }),
    }
}

impl Kind {
    fn of(head: &[u8]) -> Option<Self> {
        // A PBF opens with the length of a blob header, then its field 1: the nine letters "OSMHeader".
        if head.get(4..15) == Some(b"\x0a\x09OSMHeader") {
            return Some(Self::OsmPbf);
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        match text.first() {
            Some(b'<') => Some(Self::SumoXml),
            Some(b'{') => Some(Self::CityFlowJson),
            Some(_) | None => None,
        }
    }
}

/// The first bytes of a source; fewer if it is shorter.
fn head(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(64);
    source.take(64).read_to_end(&mut head)?;
    Ok(head)
}

/// The file name without folders and the endings that we know.
fn name_of(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| "network".into(), |name| name.to_string_lossy().into_owned());
    let endings = [".gz", ".pbf", ".xml", ".json", ".osm", ".net"];
    endings.iter().fold(name.as_str(), |name, ending| name.strip_suffix(ending).unwrap_or(name)).to_owned()
}

/// BLAKE3 of the file and of what a person asked for beside it, hex.
fn hash_of(path: &Path, asked: &str) -> Result<String, ImportError> {
    let io = |error| ImportError::Io { path: path.to_owned(), error };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).map_err(io)?).map_err(io)?;
    hasher.update(asked.as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests;
