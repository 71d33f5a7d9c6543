//! The archive's folder: minutes are added, once each.
//!
//! Upstream: [`super::recorder`], recordings. Downstream: files, see [`super::table`]; [`super::compact`] and
//! [`super::retain`] work on the same folder. Why a crash loses nothing and doubles nothing is said in [`super`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use super::disk::Disk;
use super::error::{ArchiveError, lock};
use super::frame::{Frame, Stage, Writer};
use super::manifest::{self, Entry, Manifest};
use super::minutes::Minutes;
use super::table::Table;

/// The end of a name while a file is being written: nobody's pattern for Parquet matches it.
const ASIDE: &str = ".part";

/// Rows that are gathered at a time, some 7 MB: fewer would fetch the same lines of memory again and again, since the rows
/// of a segment lie a minute apart.
const GATHER_ROWS: usize = 131_072;

/// An archive that is open for writing. There is one per folder, held by a lock.
pub struct Archive {
    root: PathBuf,
    manifest: Manifest,
    pub(super) disk: Disk,
    /// A change failed: what is on disk may be the state before it or after it.
    is_unsure: bool,
    _lock: File,
}

/// What came of adding rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    pub rows: u64,
    pub by_table: BTreeMap<Table, u64>,
    pub bytes: u64,
    pub files: u64,
    /// Rows of minutes that history has already: they are left out.
    pub known_rows: u64,
    /// Of the table with most of them.
    pub known_minutes: u64,
}

/// Where a file comes from, and with it its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// First and last block of the spool.
    Blocks(u64, u64),
    Recording,
    Compacted,
}

impl Added {
    /// Puts what came of another addition to this one.
    pub fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.files += other.files;
        self.known_rows += other.known_rows;
        self.known_minutes += other.known_minutes;
        other.by_table.into_iter().for_each(|(table, rows)| *self.by_table.entry(table).or_default() += rows);
    }
}

impl Archive {
    /// Opens an archive, which is made if it is not there, and removes what a crash left unfinished.
    ///
    /// # Errors
    /// [`ArchiveError`] when it cannot be used, or is in use.
    pub fn open(root: &Path) -> Result<Self, ArchiveError> {
        fs::create_dir_all(root).map_err(|cause| ArchiveError::io("make the folder", root, cause))?;
        let lock = lock(root)?;
        let mut archive = Self {
            root: root.to_owned(),
            manifest: Manifest::default(),
            disk: Disk::default(),
            is_unsure: true,
            _lock: lock,
        };
        archive.be_sure()?;
        Ok(archive)
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files that count.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Adds rows of whole minutes, durably and in one step. Minutes that history has already are left out, so that
    /// adding the same again changes nothing. `blocks` are the first and last block of the spool that they come from;
    /// `now_ms` is the wall clock.
    ///
    /// # Errors
    /// [`ArchiveError`]: none of the rows counts then, or all do; add them again.
    pub fn add(
        &mut self,
        city: &str,
        tables: Vec<(Table, Frame)>,
        blocks: Option<(u64, u64)>,
        now_ms: i64,
    ) -> Result<Added, ArchiveError> {
        self.be_sure()?;
        self.is_unsure = true;
        let origin = blocks.map_or(Origin::Recording, |(first, last)| Origin::Blocks(first, last));
        let (mut added, mut files) = (Added::default(), Vec::new());
        for (table, rows) in tables {
            let rows = self.unknown(city, table, rows, &mut added);
            for (at_ms, part) in by_folder(table, rows) {
                let aside = self.aside(table, city, at_ms);
                let file = self.disk.create(&aside)?;
                let mut writing =
                    Writing::new(file, table, Stage::Fresh).map_err(|e| ArchiveError::parquet(&aside, e))?;
                // Minutes stand together now, and will not when the rows are sorted.
                writing.holds(&Minutes::of(table.moments(&part)));
                write_sorted(&mut writing, table, part).map_err(|e| ArchiveError::parquet(&aside, e))?;
                let entry = self.place(writing, &aside, (table, city, at_ms), origin, now_ms)?;
                added.rows += entry.rows;
                *added.by_table.entry(table).or_default() += entry.rows;
                added.bytes += entry.bytes;
                added.files += 1;
                files.push(entry);
            }
        }
        if !files.is_empty() {
            let mut next = self.manifest.clone();
            next.files.extend(files);
            self.swap(next)?;
        }
        self.is_unsure = false;
        Ok(added)
    }

    /// Writes the manifest anew. When this returns, the files that it lists are history, and no others.
    pub(super) fn swap(&mut self, next: Manifest) -> Result<(), ArchiveError> {
        let (path, aside) = (self.root.join(manifest::NAME), self.root.join(format!("{}{ASIDE}", manifest::NAME)));
        let mut file = self.disk.create(&aside)?;
        file.write_all(&next.encode()).map_err(|cause| ArchiveError::io("write", &aside, cause))?;
        self.disk.place(&file, &aside, &path)?;
        self.manifest = next;
        Ok(())
    }

    /// Lets other files take the place of some, in one step; then those are removed.
    pub(super) fn replace(&mut self, old: &[String], new: Vec<Entry>) -> Result<(), ArchiveError> {
        let mut next = self.manifest.clone();
        let is_old = |entry: &Entry| old.contains(&entry.path);
        next.doomed.extend(next.files.iter().filter(|e| is_old(e) && e.is_remote).map(|e| e.path.clone()));
        next.files.retain(|entry| !is_old(entry));
        next.files.extend(new);
        let kept: Vec<String> = next.files.iter().map(|entry| entry.path.clone()).collect();
        next.doomed.retain(|path| !kept.contains(path));
        self.swap(next)?;
        for path in old.iter().filter(|path| !kept.contains(path)) {
            self.drop_file(path)?;
        }
        Ok(())
    }

    /// Removes a file, and the folders that are empty without it.
    pub(super) fn drop_file(&mut self, path: &str) -> Result<(), ArchiveError> {
        let path = self.root.join(path);
        self.disk.remove(&path)?;
        let folders = path.ancestors().skip(1).take_while(|dir| *dir != self.root);
        // A folder with something in it stays, and so do those above it.
        folders.take_while(|dir| fs::remove_dir(dir).is_ok()).for_each(drop);
        Ok(())
    }

    /// Begins a change: whatever fails from here on leaves the folder unsure.
    pub(super) fn begin(&mut self) -> Result<(), ArchiveError> {
        self.be_sure()?;
        self.is_unsure = true;
        Ok(())
    }

    /// Ends a change that was made whole.
    pub(super) fn end(&mut self) {
        self.is_unsure = false;
    }

    /// The place of a file that is being written.
    pub(super) fn aside(&self, table: Table, city: &str, at_ms: i64) -> PathBuf {
        self.root.join(table.partition(city, at_ms)).join(format!("{}{ASIDE}", table.name()))
    }

    /// Ends a file and gives it its name, durably.
    pub(super) fn place(
        &mut self,
        writing: Writing,
        aside: &Path,
        (table, city, at_ms): (Table, &str, i64),
        origin: Origin,
        written_ms: i64,
    ) -> Result<Entry, ArchiveError> {
        let ended = writing.end().map_err(|e| ArchiveError::parquet(aside, e))?;
        let Ended { file, rows, bytes, crc32, minutes } = ended;
        let name = match origin {
            Origin::Blocks(first, last) => format!("blocks-{first:012}-{last:012}-{crc32:08x}"),
            Origin::Recording => format!("recording-{crc32:08x}"),
            Origin::Compacted => format!("{}-{crc32:08x}", if table.is_hourly() { "hour" } else { "day" }),
        };
        let path = format!("{}/{name}.parquet", table.partition(city, at_ms));
        self.disk.place(&file, aside, &self.root.join(&path))?;
        let blocks = match origin {
            Origin::Blocks(first, last) => Some((first, last)),
            Origin::Recording | Origin::Compacted => None,
        };
        let city = city.to_owned();
        let entry = Entry {
            path,
            table,
            city,
            rows,
            bytes,
            crc32,
            minutes,
            blocks,
            written_ms,
            is_here: true,
            is_remote: false,
        };
        Ok(entry)
    }

    /// The rows whose minutes are not in history.
    fn unknown(&self, city: &str, table: Table, rows: Frame, added: &mut Added) -> Frame {
        let known = self.manifest.known(table, city);
        if known.is_empty() {
            return rows;
        }
        let moments = table.moments(&rows);
        let new: Vec<usize> = (0..rows.len()).filter(|&row| !known.has(moments[row])).collect();
        if new.len() == rows.len() {
            return rows;
        }
        added.known_rows += (rows.len() - new.len()) as u64;
        let of_table = Minutes::of(moments.into_iter().filter(|at_ms| known.has(*at_ms))).len();
        added.known_minutes = added.known_minutes.max(of_table);
        rows.pick(&new)
    }

    /// Takes the manifest that is on disk, and removes what it does not list.
    fn be_sure(&mut self) -> Result<(), ArchiveError> {
        if !self.is_unsure {
            return Ok(());
        }
        match Manifest::find(&self.root)? {
            Some(manifest) => self.manifest = manifest,
            None if strays(&self.root, &Manifest::default())?.iter().any(|path| !is_aside(path)) => {
                return Err(ArchiveError::NoManifest { dir: self.root.clone() });
            }
            None => self.swap(Manifest::default())?,
        }
        for path in strays(&self.root, &self.manifest)? {
            self.disk.remove(&path)?;
        }
        self.is_unsure = false;
        Ok(())
    }
}

/// A file that is being written, with what its entry needs.
pub(super) struct Writing {
    writer: Writer<Summed>,
    rows: u64,
    minutes: Minutes,
}

struct Ended {
    file: File,
    rows: u64,
    bytes: u64,
    crc32: u32,
    minutes: Minutes,
}

impl Writing {
    pub(super) fn new(file: File, table: Table, stage: Stage) -> Result<Self, ParquetError> {
        let out = Summed { out: BufWriter::new(file), crc: crc32fast::Hasher::new(), bytes: 0 };
        let writer = Writer::new(out, table.columns(), stage)?;
        Ok(Self { writer, rows: 0, minutes: Minutes::default() })
    }

    /// Appends rows, whose minutes are told by [`Self::holds`].
    pub(super) fn write(&mut self, rows: Frame) -> Result<(), ParquetError> {
        self.rows += rows.len() as u64;
        self.writer.write(rows)
    }

    /// Says which minutes the file holds.
    pub(super) fn holds(&mut self, minutes: &Minutes) {
        self.minutes.join(minutes);
    }

    fn end(self) -> Result<Ended, ParquetError> {
        let out = self.writer.end()?;
        let file = out.out.into_inner().map_err(|e| ParquetError::External(Box::new(e.into_error())))?;
        Ok(Ended { file, rows: self.rows, bytes: out.bytes, crc32: out.crc.finalize(), minutes: self.minutes })
    }
}

/// Counts bytes and their checksum on the way to the file.
struct Summed {
    out: BufWriter<File>,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.crc.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes rows in their order; those that stand otherwise are gathered, so many at a time.
fn write_sorted(writing: &mut Writing, table: Table, rows: Frame) -> Result<(), ParquetError> {
    match rows.order(table.keys()) {
        None => writing.write(rows),
        Some(order) => order.chunks(GATHER_ROWS).try_for_each(|piece| writing.write(rows.pick(piece))),
    }
}

/// Rows by the folder that they go to, with the begin of what it holds.
fn by_folder(table: Table, rows: Frame) -> Vec<(i64, Frame)> {
    let moments = table.moments(&rows);
    let (Some(first), Some(last)) = (moments.iter().min(), moments.iter().max()) else { return Vec::new() };
    let at_ms = table.span_ms(*first).0;
    if at_ms == table.span_ms(*last).0 {
        return vec![(at_ms, rows)];
    }
    let mut places: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (row, at_ms) in moments.into_iter().enumerate() {
        places.entry(table.span_ms(at_ms).0).or_default().push(row);
    }
    places.into_iter().map(|(at_ms, of_folder)| (at_ms, rows.pick(&of_folder))).collect()
}

/// Files in the folders of our tables that a manifest does not list.
pub(super) fn strays(root: &Path, manifest: &Manifest) -> Result<Vec<PathBuf>, ArchiveError> {
    let listed: std::collections::BTreeSet<PathBuf> = manifest.files.iter().map(|e| root.join(&e.path)).collect();
    let mut folders: Vec<&str> = Table::ALL.map(Table::folder).to_vec();
    folders.dedup();
    let mut found = Vec::new();
    for folder in folders {
        walk(&root.join(folder), &mut found)?;
    }
    found.retain(|path| !listed.contains(path));
    let manifest_aside = root.join(format!("{}{ASIDE}", manifest::NAME));
    found.extend(Some(manifest_aside).filter(|path| path.exists()));
    Ok(found)
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), ArchiveError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(ArchiveError::io("list", dir, cause)),
    };
    for entry in entries {
        let path = entry.map_err(|cause| ArchiveError::io("list", dir, cause))?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else if is_aside(&path) || path.extension().is_some_and(|e| e == "parquet") {
            found.push(path);
        }
    }
    Ok(())
}

fn is_aside(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "part")
}
