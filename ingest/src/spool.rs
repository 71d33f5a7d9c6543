//! The spool: an append-only log of blocks on disk, numbered without gaps.
//!
//! A block is on disk (written and fdatasynced) before [`Spool::append`] returns; a crash at any instruction loses
//! nothing that was returned. Files are rolled by size and age, and the oldest are deleted when all together
//! exceed a bound, unless a reader still needs them ([`mark()`]). Upstream: the writer. Downstream: [`Reader`], in analytics, in this or another process.

mod error;
pub mod forget;
mod frame;
pub mod inspect;
mod mark;
mod reader;
mod recover;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use events::TimeMs;

use crate::batch::{self, Batch};
use crate::faults::Faults;
pub use error::SpoolError;
use frame::{HEAD_BYTES, Head, MAGIC};
pub use mark::mark;
pub use reader::{Reader, newest_from};
use recover::{Found, scan};

/// The number of a block; the first ever is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockNumber(pub u64);

impl BlockNumber {
    /// The block after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Bounds of the spool.
#[derive(Clone, Copy, Debug)]
pub struct SpoolConfig {
    /// A file that would grow beyond it is followed by a new one, bytes. One block is never split.
    pub file_bytes_max: u64,
    /// A file that is older is followed by a new one, milliseconds.
    pub file_age_ms_max: i64,
    /// All files together; beyond it the oldest are deleted that no reader needs, but never the newest.
    pub retain_bytes: u64,
    /// Beyond this they are deleted, read or not: a reader that is gone must not fill the disk.
    pub held_bytes_max: u64,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { file_bytes_max: 64 << 20, file_age_ms_max: 60_000, retain_bytes: 4 << 30, held_bytes_max: 8 << 30 }
    }
}

/// The writing end. There is one per directory, held by a lock.
pub struct Spool {
    dir: PathBuf,
    config: SpoolConfig,
    /// First block and bytes of every file, oldest first. The last one is being written.
    files: VecDeque<(BlockNumber, u64)>,
    file: File,
    next: BlockNumber,
    /// When the newest file got its first block from us.
    begun: Option<TimeMs>,
    /// A write or sync failed: what lies behind the newest file's good bytes is unknown.
    broken: bool,
    /// Kept for its memory.
    frame: Vec<u8>,
    faults: Faults,
    /// Who was most behind when the newest file was begun.
    behind: Option<(String, BlockNumber)>,
    /// Held open for as long as we may write.
    _lock: File,
}

impl Spool {
    /// Opens the spool in `dir`, which is made if it is not there, and cuts what a crash left unfinished.
    ///
    /// # Errors
    /// If the folder cannot be used, another process writes it, or a block that was durable is damaged.
    pub fn open(dir: &Path, config: SpoolConfig) -> Result<Self, SpoolError> {
        Self::open_with(dir, config, Faults::default())
    }

    /// The same on the disk of a test.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(dir: &Path, config: SpoolConfig, faults: Faults) -> Result<Self, SpoolError> {
        fs::create_dir_all(dir).map_err(|cause| SpoolError::io("make the folder", dir, cause))?;
        let lock = lock(dir)?;
        let mut files = VecDeque::new();
        for first in list(dir)? {
            let path = frame::path(dir, first);
            let bytes = fs::metadata(&path).map_err(|cause| SpoolError::io("look at", &path, cause))?.len();
            files.push_back((first, bytes));
        }
        let (file, next) = match files.back_mut() {
            Some((first, bytes)) => {
                let (file, next, good) = recover_file(&frame::path(dir, *first), *first, &faults)?;
                *bytes = good;
                (file, next)
            }
            None => {
                let first = BlockNumber::default();
                files.push_back((first, MAGIC.len() as u64));
                (create_file(dir, first, &faults)?, first)
            }
        };
        Ok(Self {
            dir: dir.to_owned(),
            config,
            files,
            file,
            next,
            begun: None,
            broken: false,
            frame: Vec::new(),
            faults,
            behind: mark::most_behind(dir),
            _lock: lock,
        })
    }

    /// Appends a block; when this returns, it is on disk.
    ///
    /// # Errors
    /// If it could not be written or synced. The block then does not count: append it again, as often as it
    /// takes. Each attempt first cuts what the failed one left, so that a failed sync is never taken for success.
    pub fn append(&mut self, batch: &Batch) -> Result<BlockNumber, SpoolError> {
        if self.broken {
            self.repair()?;
        }
        let number = self.next;
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        frame.extend_from_slice(&[0; HEAD_BYTES]);
        batch::encode(batch, &mut frame).map_err(|cause| SpoolError::Batch { path: self.path(), number, cause })?;
        let rows = u32::try_from(batch.len()).expect("a block closes at 1 MiB of messages");
        let head = Head::of(number, rows, &frame[HEAD_BYTES..]);
        frame[..HEAD_BYTES].copy_from_slice(&head);

        let (_, bytes) = self.newest();
        if bytes + frame.len() as u64 > self.config.file_bytes_max {
            self.roll()?;
        }
        let path = self.path();
        let written = self.faults.write(&path, &self.file, &frame).map_err(|cause| ("append to", cause));
        let sync = || self.faults.sync(&path, || self.file.sync_data()).map_err(|cause| ("sync", cause));
        if let Err((action, cause)) = written.and_then(|()| sync()) {
            self.broken = true;
            return Err(SpoolError::io(action, &path, cause));
        }
        if let Some((_, bytes)) = self.files.back_mut() {
            *bytes += frame.len() as u64;
        }
        self.frame = frame;
        self.next = number.next();
        self.retain();
        Ok(number)
    }

    /// Begins a new file if the newest one is older than the configured age. To be called before an append; the
    /// time is an argument, since nothing here reads a clock.
    ///
    /// # Errors
    /// If the new file cannot be made; the old one goes on.
    pub fn roll_if_old(&mut self, now: TimeMs) -> Result<(), SpoolError> {
        let begun = *self.begun.get_or_insert(now);
        let old = now.0.saturating_sub(begun.0) >= self.config.file_age_ms_max;
        if old && self.broken {
            self.repair()?;
        }
        if old {
            self.roll()?;
            self.begun = Some(now);
        }
        Ok(())
    }

    /// The number that the next block will have.
    pub fn next_block(&self) -> BlockNumber {
        self.next
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Bytes beyond which the oldest files go, whether a reader still needs them or not.
    pub fn limit_bytes(&self) -> u64 {
        self.config.held_bytes_max.max(self.config.retain_bytes)
    }

    fn newest(&self) -> (BlockNumber, u64) {
        *self.files.back().expect("there is always a file that is being written")
    }

    fn path(&self) -> PathBuf {
        frame::path(&self.dir, self.newest().0)
    }

    /// Begins the next file, unless the newest one is still empty.
    fn roll(&mut self) -> Result<(), SpoolError> {
        if self.newest().0 == self.next {
            return Ok(());
        }
        self.file = create_file(&self.dir, self.next, &self.faults)?;
        self.files.push_back((self.next, MAGIC.len() as u64));
        self.begun = None;
        self.behind = mark::most_behind(&self.dir);
        Ok(())
    }

    /// Opens the newest file anew and cuts everything behind the last good block.
    fn repair(&mut self) -> Result<(), SpoolError> {
        let (path, good) = (self.path(), self.newest().1);
        self.file = cut(&path, good, &self.faults)?;
        self.broken = false;
        Ok(())
    }

    /// Deletes oldest files while all together are too large. A file that cannot be deleted is a warning, not an
    /// error: the block is durable all the same.
    fn retain(&mut self) {
        while self.files.len() > 1 && self.bytes() > self.config.retain_bytes {
            let behind = self.behind.as_ref().filter(|(_, needed)| self.files[1].0 > *needed);
            if let Some((reader, needed)) = behind {
                if self.bytes() <= self.config.held_bytes_max {
                    return;
                }
                tracing::warn!(
                    "the spool deletes blocks that `{reader}` still needs, from {} on: it holds more than {} bytes. \
                     Start that reader, or delete readers/{reader} in {}",
                    needed.0,
                    self.config.held_bytes_max,
                    self.dir.display()
                );
            }
            let Some((first, _)) = self.files.pop_front() else { return };
            let path = frame::path(&self.dir, first);
            if let Err(cause) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %cause, "an old spool file could not be deleted");
            }
        }
    }
}

/// First blocks of the files in `dir`, oldest first. An absent folder has none.
fn list(dir: &Path) -> Result<Vec<BlockNumber>, SpoolError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(SpoolError::io("list", dir, cause)),
    };
    let mut firsts = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| SpoolError::io("list", dir, cause))?;
        firsts.extend(entry.file_name().to_str().and_then(frame::first_block));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

fn lock(dir: &Path) -> Result<File, SpoolError> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|cause| SpoolError::io("open", &path, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(SpoolError::Locked { dir: dir.to_owned() }),
        Err(fs::TryLockError::Error(cause)) => Err(SpoolError::io("lock", &path, cause)),
    }
}

/// The file, open for appending, the next block, and its good bytes.
fn recover_file(path: &Path, first: BlockNumber, faults: &Faults) -> Result<(File, BlockNumber, u64), SpoolError> {
    let bytes = fs::read(path).map_err(|cause| SpoolError::io("read", path, cause))?;
    match scan(&bytes, first) {
        Found::Foreign => Err(SpoolError::NotASpool { path: path.to_owned() }),
        Found::Damaged { offset, number } => Err(SpoolError::Damaged { path: path.to_owned(), offset, number }),
        Found::Good { bytes: 0, next } => {
            let dir = path.parent().unwrap_or(Path::new("."));
            Ok((create_file(dir, first, faults)?, next, MAGIC.len() as u64))
        }
        Found::Good { bytes: good, next } => {
            if good < bytes.len() as u64 {
                let torn = bytes.len() as u64 - good;
                tracing::info!(path = %path.display(), torn_bytes = torn, "cut an unfinished block, which was never acknowledged");
            }
            Ok((cut(path, good, faults)?, next, good))
        }
    }
}

/// Opens a file for appending and cuts it to `good` bytes, durably.
fn cut(path: &Path, good: u64, faults: &Faults) -> Result<File, SpoolError> {
    let file = OpenOptions::new().append(true).open(path).map_err(|cause| SpoolError::io("open", path, cause))?;
    let cut = faults.cut(&file, good).and_then(|()| faults.sync(path, || file.sync_all()));
    cut.map_err(|cause| SpoolError::io("cut", path, cause))?;
    Ok(file)
}

/// A new file with nothing but the name of the format, durable with its entry in the folder.
fn create_file(dir: &Path, first: BlockNumber, faults: &Faults) -> Result<File, SpoolError> {
    let path = frame::path(dir, first);
    let failed = |cause| SpoolError::io("begin", &path, cause);
    // A leftover of a failed attempt holds no block that counts: number `first` was never returned.
    faults.make(&path).map_err(failed)?;
    let begun = OpenOptions::new().create(true).write(true).truncate(true).open(&path).map_err(failed)?;
    faults.write(&path, &begun, MAGIC).and_then(|()| faults.sync(&path, || begun.sync_all())).map_err(failed)?;
    faults.sync_folder(dir).map_err(failed)?;
    OpenOptions::new().append(true).open(&path).map_err(failed)
}

#[cfg(test)]
mod tests;
