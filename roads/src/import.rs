//! Reading the road networks of others.
//!
//! Upstream: files on disk. Downstream: [`crate::cache::open`], the command line.

pub mod osm;
pub mod sumo;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

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
    #[error("{} is no road network that we read: an OpenStreetMap extract (.osm.pbf) or a SUMO network (.net.xml, .net.xml.gz)", path.display())]
    Unknown { path: PathBuf },
    #[error("{} ends too early: it was cut off or not fully downloaded", path.display())]
    Truncated { path: PathBuf },
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
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

/// Imports a network, whatever its file is called: the kind is told by the content.
///
/// # Errors
/// [`ImportError`].
pub fn import(path: impl AsRef<Path>) -> Result<Network, ImportError> {
    let path = path.as_ref();
    match Kind::of(&head(path)?) {
        Some(Kind::OsmPbf) => osm::import(path),
        Some(Kind::SumoXml) => sumo::import(path, false),
        Some(Kind::SumoGzip) => sumo::import(path, true),
        None => Err(ImportError::Unknown { path: path.to_owned() }),
    }
}

/// What a file is by its first bytes.
enum Kind {
    OsmPbf,
    SumoXml,
    SumoGzip,
}

impl Kind {
    fn of(head: &[u8]) -> Option<Self> {
        // A PBF opens with the length of a blob header, then its field 1: the nine letters "OSMHeader".
        if head.get(4..15) == Some(b"\x0a\x09OSMHeader") {
            return Some(Self::OsmPbf);
        }
        if head.starts_with(b"\x1f\x8b") {
            return Some(Self::SumoGzip);
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        text.starts_with(b"<").then_some(Self::SumoXml)
    }
}

/// The first bytes of a file.
fn head(path: &Path) -> Result<Vec<u8>, ImportError> {
    let io = |error| ImportError::Io { path: path.to_owned(), error };
    let mut head = Vec::with_capacity(64);
    File::open(path).map_err(io)?.take(64).read_to_end(&mut head).map_err(io)?;
    if head.is_empty() { Err(ImportError::EmptyFile { path: path.to_owned() }) } else { Ok(head) }
}

/// The file name without folders and the endings that we know.
fn name_of(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| "network".into(), |name| name.to_string_lossy().into_owned());
    let endings = [".gz", ".pbf", ".xml", ".osm", ".net"];
    endings.iter().fold(name.as_str(), |name, ending| name.strip_suffix(ending).unwrap_or(name)).to_owned()
}

/// BLAKE3 of the file, hex.
fn hash_of(path: &Path) -> Result<String, ImportError> {
    let io = |error| ImportError::Io { path: path.to_owned(), error };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).map_err(io)?).map_err(io)?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests;
