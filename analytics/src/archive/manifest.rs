//! The manifest: which files are history, what each holds, and its checksum.
//!
//! One JSON file at the archive's root, written anew with every change: aside, synced, renamed, folder synced. So a
//! change of many files is one step, and a crash leaves the list before it or the one after it. A file that is not
//! listed does not count: it is what a crash left, and the next start removes it.
//!
//! Upstream: [`super::store`]. Downstream: reports, `arterial archive`, and who wants to be sure to see no row twice.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::ArchiveError;
use super::minutes::Minutes;
use super::table::Table;

/// Its name at the archive's root.
pub const NAME: &str = "manifest.json";

const VERSION: u32 = 1;

/// One file of history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Below the archive's root.
    pub path: String,
    pub table: Table,
    pub city: String,
    pub rows: u64,
    pub bytes: u64,
    pub crc32: u32,
    /// The minutes that it has rows of, all of them: a minute is never in two files of a table.
    pub minutes: Minutes,
    /// First and last block of the spool that was read when it was written; absent of recordings and compacted files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<(u64, u64)>,
    /// When its oldest row was first written, wall clock, milliseconds since 1970.
    pub written_ms: i64,
    /// Whether it lies in the folder of the manifest.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub is_here: bool,
    /// Whether it lies in the object storage, where there is one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_remote: bool,
}

/// All files of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    pub files: Vec<Entry>,
    /// Files that are to be removed from the object storage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) doomed: Vec<String>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { version: VERSION, files: Vec::new(), doomed: Vec::new() }
    }
}

impl Entry {
    /// Begin of its first minute, milliseconds since 1970.
    pub fn from_ms(&self) -> i64 {
        self.minutes.from_ms().unwrap_or(i64::MAX)
    }

    /// End of its last minute, milliseconds since 1970.
    pub fn to_ms(&self) -> i64 {
        self.minutes.to_ms().unwrap_or(i64::MIN)
    }

    /// Whether it took the place of others.
    pub fn is_compacted(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.starts_with("hour-") || name.starts_with("day-")
    }

    /// The folder that it lies in, below the archive's root.
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |parts| parts.0)
    }
}

impl Manifest {
    /// The manifest of an archive; `None` when it has none.
    ///
    /// # Errors
    /// [`ArchiveError`] when it cannot be read or understood.
    pub fn find(root: &Path) -> Result<Option<Self>, ArchiveError> {
        let path = root.join(NAME);
        match fs::read(&path) {
            Ok(bytes) => Self::parse(&bytes, &path).map(Some),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(ArchiveError::io("read", &path, cause)),
        }
    }

    /// The manifest of an archive that is there.
    ///
    /// # Errors
    /// [`ArchiveError`] when there is none, or it cannot be read or understood.
    pub fn read(root: &Path) -> Result<Self, ArchiveError> {
        Self::find(root)?.ok_or_else(|| ArchiveError::NoManifest { dir: root.to_owned() })
    }

    /// The files of a table of a city, in no order.
    pub fn files(&self, table: Table, city: &str) -> impl Iterator<Item = &Entry> {
        self.files.iter().filter(move |entry| entry.table == table && entry.city == city)
    }

    /// The cities that there is anything of.
    pub fn cities(&self) -> Vec<String> {
        let mut cities: Vec<String> = self.files.iter().map(|entry| entry.city.clone()).collect();
        cities.sort_unstable();
        cities.dedup();
        cities
    }

    /// The minutes of a table that are in history. Cells of old minutes are in the table of five minutes alone.
    pub fn known(&self, table: Table, city: &str) -> Minutes {
        let mut known = Minutes::default();
        let is_known = |of: Table| of == table || (table == Table::Cells1Min && of == Table::Cells5Min);
        let files = self.files.iter().filter(|entry| entry.city == city && is_known(entry.table));
        files.for_each(|entry| known.join(&entry.minutes));
        known
    }

    /// End of the newest minute of a table.
    pub fn newest_ms(&self, table: Table, city: &str) -> Option<i64> {
        self.files(table, city).map(Entry::to_ms).max()
    }

    /// Files by folder, of one table.
    pub(super) fn folders(&self, table: Table, city: &str) -> BTreeMap<&str, Vec<&Entry>> {
        let mut folders: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        self.files(table, city).for_each(|entry| folders.entry(entry.folder()).or_default().push(entry));
        folders
    }

    /// The bytes of the file.
    pub(super) fn encode(&self) -> Vec<u8> {
        // One line a file, for people and their tools.
        let text = serde_json::to_string(self).expect("a manifest has nothing that JSON cannot say");
        text.replace("},{\"path\"", "},\n{\"path\"").into_bytes()
    }

    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self, ArchiveError> {
        let bad = |why: String| ArchiveError::Manifest { path: path.to_owned(), why };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|cause| bad(cause.to_string()))?;
        if manifest.version != VERSION {
            return Err(bad(format!("it is of version {}, this program reads version {VERSION}", manifest.version)));
        }
        Ok(manifest)
    }
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_true(value: &bool) -> bool {
    *value
}
