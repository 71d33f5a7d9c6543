//! The reading end of a spool: block after block, also while another process appends.
//!
//! A reader gives only what is durable: before it believes new bytes it syncs the file itself, so that no reader
//! can remember a block that a power failure takes back. Upstream: [`crate::spool::Spool`]. Downstream: analytics,
//! and the gate's duplicate memory after a restart.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::{self, HEAD_BYTES, Head, MAGIC, PAYLOAD_BYTES_MAX};
use super::recover::is_unfinished_magic;
use super::{BlockNumber, SpoolError, list};
use crate::batch::{self, Batch};

/// Reads blocks in order.
pub struct Reader {
    dir: PathBuf,
    next: BlockNumber,
    current: Option<Current>,
    checksum: Option<u32>,
}

/// The file that is being read.
struct Current {
    path: PathBuf,
    file: File,
    /// Offset of block `next`.
    at: u64,
    /// Bytes known to be on disk.
    synced: u64,
}

impl Reader {
    /// A reader whose first block is `from`. The spool may still be empty or absent if that is block 0.
    ///
    /// # Errors
    /// [`SpoolError::Gone`] if retention has deleted `from`, [`SpoolError::Ahead`] if the spool ends before it.
    pub fn open(dir: &Path, from: BlockNumber) -> Result<Self, SpoolError> {
        let mut reader = Self { dir: dir.to_owned(), next: from, current: None, checksum: None };
        reader.find()?;
        Ok(reader)
    }

    /// The next block; `None` means nothing more for now, call again later.
    ///
    /// # Errors
    /// [`SpoolError::Damaged`] for a block whose checksum is wrong though more follows, [`SpoolError::Gone`] if
    /// retention was faster than this reader, and what the operating system says.
    #[expect(clippy::should_implement_trait, reason = "an iterator would end; this one goes on after a None")]
    pub fn next(&mut self) -> Result<Option<(BlockNumber, Batch)>, SpoolError> {
        loop {
            if self.current.is_none() && !self.find()? {
                return Ok(None);
            }
            let Some(current) = &mut self.current else { return Ok(None) };
            match current.read(self.next)? {
                Some((batch, head)) => {
                    current.at += head.block_bytes();
                    self.checksum = Some(head.crc);
                    let number = self.next;
                    self.next = number.next();
                    return Ok(Some((number, batch)));
                }
                None => {
                    let follower = frame::path(&self.dir, self.next);
                    if follower == current.path || !follower.exists() {
                        if current.path.exists() {
                            return Ok(None);
                        }
                        // Retention took our file, and perhaps the next one too: look where the spool begins now.
                        self.current = None;
                        continue;
                    }
                    // A file is followed only when it is complete, so a block that came in between is seen now.
                    if current.len()? > current.at {
                        match current.read(self.next)? {
                            Some(_) => continue,
                            None => return Err(current.damaged(self.next)),
                        }
                    }
                    self.current = None;
                }
            }
        }
    }

    /// The block that [`Reader::next`] gives next.
    pub fn position(&self) -> BlockNumber {
        self.next
    }

    /// Bytes of blocks that were not read yet; 0 when the folder cannot be listed, which [`Reader::next`] tells.
    pub fn unread_bytes(&self) -> u64 {
        let at = |first: BlockNumber| {
            let path = frame::path(&self.dir, first);
            let whole = std::fs::metadata(&path).map_or(0, |about| about.len());
            let read = self.current.as_ref().filter(|current| current.path == path).map_or(0, |current| current.at);
            whole.saturating_sub(read)
        };
        let firsts = list(&self.dir).unwrap_or_default();
        // The file in which the next block lies, or would lie, and those behind it.
        let from = firsts.iter().rposition(|first| *first <= self.next).unwrap_or(0);
        firsts.into_iter().skip(from).map(at).sum()
    }

    /// Checksum of the block that was read last, by which a spool is told from another one with the same numbers.
    pub fn checksum(&self) -> Option<u32> {
        self.checksum
    }

    /// Opens the file that holds block `next` and goes there; whether there is one.
    fn find(&mut self) -> Result<bool, SpoolError> {
        let firsts = list(&self.dir)?;
        let Some(first) = firsts.iter().copied().rfind(|first| *first <= self.next) else {
            let (dir, wanted) = (self.dir.clone(), self.next);
            return match firsts.first() {
                Some(oldest) => Err(SpoolError::Gone { dir, wanted, oldest: *oldest }),
                None if wanted > BlockNumber::default() => {
                    Err(SpoolError::Ahead { dir, wanted, next: BlockNumber::default() })
                }
                None => Ok(false),
            };
        };
        let path = frame::path(&self.dir, first);
        let file = match File::open(&path) {
            Ok(file) => file,
            // Deleted since it was listed: look again, the answer is then that the block is gone.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return self.find(),
            Err(cause) => return Err(SpoolError::io("open", &path, cause)),
        };
        let mut current = Current { path, file, at: MAGIC.len() as u64, synced: 0 };
        let len = current.len()?;
        let mut magic = [0; MAGIC.len()];
        if len >= magic.len() as u64 {
            current.file.read_exact_at(&mut magic, 0).map_err(|cause| SpoolError::io("read", &current.path, cause))?;
            // One that was only begun has no block yet; ingest begins it again.
            if magic != *MAGIC && !is_unfinished_magic(&magic) {
                return Err(SpoolError::NotASpool { path: current.path });
            }
        }
        let mut number = first;
        while number < self.next {
            let Some(head) = current.head(number, len)? else {
                return Err(SpoolError::Ahead { dir: self.dir.clone(), wanted: self.next, next: number });
            };
            current.at += head.block_bytes();
            number = number.next();
        }
        self.current = Some(current);
        Ok(true)
    }
}

/// The last block from which on there are at least `rows` rows; the oldest one, if there are fewer. Only heads are
/// read, and only those of the newest files that are needed, however long the spool is.
///
/// # Errors
/// What the operating system says.
pub fn newest_from(dir: &Path, rows: u64) -> Result<BlockNumber, SpoolError> {
    let (mut from, mut later) = (BlockNumber::default(), 0);
    for first in list(dir)?.into_iter().rev() {
        from = first;
        let blocks = rows_of_blocks(dir, first)?;
        for (number, block_rows) in blocks.into_iter().rev() {
            later += u64::from(block_rows);
            if later >= rows {
                return Ok(number);
            }
        }
    }
    Ok(from)
}

/// The blocks of one file with their rows.
fn rows_of_blocks(dir: &Path, first: BlockNumber) -> Result<Vec<(BlockNumber, u32)>, SpoolError> {
    let path = frame::path(dir, first);
    let file = File::open(&path).map_err(|cause| SpoolError::io("open", &path, cause))?;
    let mut current = Current { path, file, at: MAGIC.len() as u64, synced: 0 };
    let (len, mut number, mut blocks) = (current.len()?, first, Vec::new());
    while let Some(head) = current.head(number, len)? {
        blocks.push((number, head.rows));
        current.at += head.block_bytes();
        number = number.next();
    }
    Ok(blocks)
}

impl Current {
    fn len(&self) -> Result<u64, SpoolError> {
        self.file.metadata().map(|data| data.len()).map_err(|cause| SpoolError::io("look at", &self.path, cause))
    }

    /// The head at our place, if block `number` is there in full length.
    fn head(&self, number: BlockNumber, len: u64) -> Result<Option<Head>, SpoolError> {
        if self.at + HEAD_BYTES as u64 > len {
            return Ok(None);
        }
        let mut bytes = [0; HEAD_BYTES];
        if !self.read_at(&mut bytes, self.at)? {
            return Ok(None);
        }
        let head = Head::read(&bytes);
        let sound = head.number == number && head.payload_bytes <= PAYLOAD_BYTES_MAX;
        Ok((sound && self.at + head.block_bytes() <= len).then_some(head))
    }

    /// Block `number` and its head; `None` if nothing, or something unfinished, lies at our place.
    fn read(&mut self, number: BlockNumber) -> Result<Option<(Batch, Head)>, SpoolError> {
        let len = self.len()?;
        if len <= self.at + HEAD_BYTES as u64 {
            return Ok(None);
        }
        if len > self.synced {
            self.file.sync_data().map_err(|cause| SpoolError::io("sync", &self.path, cause))?;
            self.synced = len;
        }
        let mut bytes = [0; HEAD_BYTES];
        if !self.read_at(&mut bytes, self.at)? {
            return Ok(None);
        }
        let head = Head::read(&bytes);
        let end = self.at + head.block_bytes();
        if end > len {
            return Ok(None);
        }
        let mut payload = vec![0; head.payload_bytes as usize];
        if !self.read_at(&mut payload, self.at + HEAD_BYTES as u64)? {
            return Ok(None);
        }
        if head.number != number || !head.holds(&bytes, &payload) {
            return if end < len { Err(self.damaged(number)) } else { Ok(None) };
        }
        let batch =
            batch::decode(&payload).map_err(|cause| SpoolError::Batch { path: self.path.clone(), number, cause })?;
        Ok(Some((batch, head)))
    }

    /// Whether all bytes were there: the writer may just be cutting what a failed attempt left.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<bool, SpoolError> {
        match self.file.read_exact_at(bytes, at) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(cause) => Err(SpoolError::io("read", &self.path, cause)),
        }
    }

    fn damaged(&self, number: BlockNumber) -> SpoolError {
        SpoolError::Damaged { path: self.path.clone(), offset: self.at, number }
    }
}
