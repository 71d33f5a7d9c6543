//! Whether an archive is sound: every file that is listed is there, whole, and in order; nothing is twice.
//!
//! Upstream: `arterial archive check`. It takes no lock and changes nothing; while something is written it may find a
//! file that is not listed yet.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::ArchiveError;
use super::frame::Frame;
use super::manifest::{Entry, Manifest};
use super::merge::Rows;
use super::minutes::Minutes;
use super::store::strays;
use super::table::{DAY_MS, Table};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{path} is listed and not there")]
    Missing { path: String },
    #[error("{path} is not what was written: its checksum or length is another")]
    Damaged { path: String },
    #[error("{path} cannot be read: {why}")]
    Unreadable { path: String, why: String },
    #[error("{path} has {found} rows, the manifest says {listed}")]
    Rows { path: String, listed: u64, found: u64 },
    #[error("{path} is not in the order of its table")]
    Order { path: String },
    #[error("{path} has a row of {minute_ms}, which is not among its minutes")]
    Minute { path: String, minute_ms: i64 },
    #[error("{path} and {other} have the same minutes")]
    Twice { path: String, other: String },
    #[error("{} is not listed: what a crash left, or what is being written", path.display())]
    NotListed { path: PathBuf },
}

impl Fault {
    /// Whether history is right all the same.
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::NotListed { .. })
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
    pub faults: Vec<Fault>,
}

/// Reads all of an archive's folder.
///
/// # Errors
/// [`ArchiveError`] when there is no manifest, or folders cannot be listed.
pub fn check(root: &Path) -> Result<Report, ArchiveError> {
    let manifest = Manifest::read(root)?;
    let mut report = Report::default();
    for file in manifest.files.iter().filter(|file| file.is_here) {
        report.files += 1;
        report.bytes += file.bytes;
        match whole(root, file) {
            Ok(rows) => report.rows += rows,
            Err(fault) => report.faults.push(fault),
        }
    }
    report.faults.extend(twice(&manifest));
    report.faults.extend(strays(root, &manifest)?.into_iter().map(|path| Fault::NotListed { path }));
    Ok(report)
}

fn whole(root: &Path, file: &Entry) -> Result<u64, Fault> {
    let (at, path) = (root.join(&file.path), file.path.clone());
    let summed = match File::open(&at).and_then(sum) {
        Ok(summed) => summed,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Err(Fault::Missing { path }),
        Err(cause) => return Err(Fault::Unreadable { path, why: cause.to_string() }),
    };
    if summed != (file.crc32, file.bytes) {
        return Err(Fault::Damaged { path });
    }
    let unreadable = |cause: ArchiveError| Fault::Unreadable { path: file.path.clone(), why: cause.to_string() };
    let rows = Rows::open(&at, file.table).map_err(unreadable)?;
    let (mut found, mut before): (u64, Option<Frame>) = (0, None);
    for frame in rows {
        let frame = frame.map_err(unreadable)?;
        if !is_ordered(&frame, before.as_ref(), file.table.keys()) {
            return Err(Fault::Order { path });
        }
        // A row of five minutes begins where its minutes may have nothing.
        let has = |at_ms: i64| file.table == Table::Cells5Min || file.minutes.has(at_ms);
        if let Some(minute_ms) = file.table.moments(&frame).into_iter().find(|at_ms| !has(*at_ms)) {
            return Err(Fault::Minute { path, minute_ms });
        }
        found += frame.len() as u64;
        before = Some(frame);
    }
    if found != file.rows {
        return Err(Fault::Rows { path, listed: file.rows, found });
    }
    Ok(found)
}

fn is_ordered(frame: &Frame, before: Option<&Frame>, keys: usize) -> bool {
    let follows = before.filter(|b| !b.is_empty()).is_none_or(|b| b.compare(b.len() - 1, frame, 0, keys).is_le());
    follows && (1..frame.len()).all(|row| frame.compare(row - 1, frame, row, keys).is_le())
}

fn sum(mut file: File) -> io::Result<(u32, u64)> {
    let (mut crc, mut bytes, mut chunk) = (crc32fast::Hasher::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok((crc.finalize(), bytes));
        }
        crc.update(&chunk[..read]);
        bytes += read as u64;
    }
}

/// Files of one table and city whose minutes overlap, or two files of five-minute cells for one day.
fn twice(manifest: &Manifest) -> Vec<Fault> {
    let mut faults = Vec::new();
    for city in manifest.cities() {
        for table in Table::ALL {
            let mut days: BTreeMap<i64, Vec<&Entry>> = BTreeMap::new();
            for file in manifest.files(table, &city) {
                days.entry(file.from_ms().div_euclid(DAY_MS)).or_default().push(file);
            }
            for files in days.into_values() {
                let mut seen: Vec<&Entry> = Vec::new();
                for file in files {
                    let overlaps = |other: &&&Entry| table == Table::Cells5Min || share(&file.minutes, &other.minutes);
                    if let Some(other) = seen.iter().find(overlaps) {
                        faults.push(Fault::Twice { path: file.path.clone(), other: other.path.clone() });
                    }
                    seen.push(file);
                }
            }
        }
    }
    faults
}

fn share(a: &Minutes, b: &Minutes) -> bool {
    let mut both = a.clone();
    both.join(b);
    both.len() < a.len() + b.len()
}
