//! Checkpoints: all that analytics knows, in one file, with the block that comes next.
//!
//! Restart is the newest checkpoint and the blocks behind it, and gives the cells of a run that was never broken off.
//! A file is written aside, synced, renamed into its place, and the folder is synced, so that a crash at any
//! instruction leaves it whole or absent; a checksum finds what a disk did to it. Two are kept. One that cannot be used
//! is removed with a warning, and the one before it, or the spool, is used.
//!
//! | bytes | what (little-endian) |
//! |---|---|
//! | 8 | `ARTCHECK` |
//! | 4 | version of the format |
//! | 4 | CRC-32 of everything behind it |
//! | 8 | length of the head |
//! | … | head (postcard): identity of network and settings, next block, checksum of the block before |
//! | … | state: [`Engine::save`] |
//!
//! Upstream: [`crate::follow`] decides when. Downstream: the folder that it names.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingest::BlockNumber;
use roads::Network;
use serde::{Deserialize, Serialize};

use crate::engine::saved::{Difference, Identity, SavedError};
use crate::engine::{Engine, EngineConfig};

const MAGIC: &[u8; 8] = b"ARTCHECK";

/// Raised with every change of what is saved, or of what it means.
const VERSION: u32 = 4;

/// Bytes before the head: magic, version, checksum, length of the head.
const FIXED_BYTES: usize = 24;

/// Checkpoints that are kept: the newest, and one for the case that it cannot be read.
const KEPT: usize = 2;

const SUFFIX: &str = ".checkpoint";

/// Why a checkpoint cannot be written, or none can be kept.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot {action} {}: {cause}", path.display())]
    Io { action: &'static str, path: PathBuf, cause: io::Error },
    #[error("{} is in use by another analytics: stop it, or give another folder for checkpoints", dir.display())]
    Locked { dir: PathBuf },
    #[error(transparent)]
    State(#[from] SavedError),
}

/// Why a checkpoint is not used.
#[derive(Debug, thiserror::Error)]
enum Useless {
    #[error("it is no checkpoint")]
    Foreign,
    #[error("it is of format {0}, this is {VERSION}")]
    Version(u32),
    #[error("it is torn or damaged")]
    Damaged,
    #[error("it was made {0}")]
    Other(String),
    #[error(transparent)]
    State(#[from] SavedError),
}

#[derive(Serialize, Deserialize)]
struct Head {
    identity: Identity,
    next_block: u64,
    /// Of block `next_block` − 1: another spool has other blocks.
    last_checksum: u32,
}

/// Where in the spool a checkpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first block that is not counted in; at least 1.
    pub next: BlockNumber,
    /// Checksum of the block before it, see [`ingest::Reader::checksum`].
    pub last_checksum: u32,
}

/// A checkpoint that can be gone on with.
pub struct Restored {
    pub engine: Engine,
    pub position: Position,
    path: PathBuf,
}

/// The folder of checkpoints of one analytics.
pub struct Checkpoints {
    dir: PathBuf,
    identity: Identity,
    /// Next blocks of the files that are there, oldest first.
    kept: Vec<BlockNumber>,
    /// Held open for as long as we may write.
    _lock: File,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub bytes: u64,
    /// The first block that the oldest checkpoint still needs, and the one before it, by which the spool is known.
    pub needed: BlockNumber,
}

impl Checkpoints {
    /// Opens the folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`CheckpointError`] if it cannot be used, or is in use.
    pub fn open(dir: &Path, identity: Identity) -> Result<Self, CheckpointError> {
        let failed = |action, path: &Path, cause| CheckpointError::Io { action, path: path.to_owned(), cause };
        fs::create_dir_all(dir).map_err(|cause| failed("make the folder", dir, cause))?;
        let path = dir.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|cause| failed("open", &path, cause))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(CheckpointError::Locked { dir: dir.to_owned() }),
            Err(fs::TryLockError::Error(cause)) => return Err(failed("lock", &path, cause)),
        }
        let kept = list(dir).map_err(|cause| failed("list", dir, cause))?;
        Ok(Self { dir: dir.to_owned(), identity, kept, _lock: lock })
    }

    /// The newest checkpoint that can be used; those that cannot are removed, each with a warning that says why.
    pub fn restore(&mut self, network: &Arc<Network>, config: &EngineConfig) -> Option<Restored> {
        while let Some(&next) = self.kept.last() {
            let path = self.path(next);
            let read = match fs::read(&path) {
                Ok(bytes) => self.read(&bytes, network, config),
                Err(cause) => {
                    tracing::warn!(%cause, "{} cannot be read; the one before it is tried", path.display());
                    self.kept.pop();
                    continue;
                }
            };
            match read {
                Ok((engine, position)) => return Some(Restored { engine, position, path }),
                Err(why) => self.discard(&path, &why.to_string()),
            }
        }
        None
    }

    /// Removes a checkpoint of no use, so that it never takes the place of a good one.
    pub fn reject(&mut self, restored: Restored, why: &str) {
        self.discard(&restored.path, why);
    }

    /// Encodes and writes a checkpoint.
    ///
    /// # Errors
    /// As [`Self::store`].
    pub fn write(&mut self, engine: &Engine, position: Position) -> Result<Written, CheckpointError> {
        let bytes = encode(&self.identity, engine, position)?;
        self.store(position.next, &bytes)
    }

    /// Writes an encoded checkpoint, durably, and lets go of the oldest when there are more than are kept.
    ///
    /// # Errors
    /// [`CheckpointError`]; the checkpoints that were there are still there then.
    pub(crate) fn store(&mut self, next: BlockNumber, bytes: &[u8]) -> Result<Written, CheckpointError> {
        let path = self.path(next);
        let aside = path.with_extension("part");
        let failed = |action, path: &Path, cause| CheckpointError::Io { action, path: path.to_owned(), cause };
        write_synced(&aside, bytes).map_err(|cause| failed("write", &aside, cause))?;
        fs::rename(&aside, &path).map_err(|cause| failed("rename", &aside, cause))?;
        let folder = File::open(&self.dir).and_then(|dir| dir.sync_all());
        folder.map_err(|cause| failed("sync", &self.dir, cause))?;
        self.kept.retain(|kept| *kept != next);
        self.kept.push(next);
        while self.kept.len() > KEPT {
            let oldest = self.kept.remove(0);
            remove(&self.path(oldest));
        }
        let oldest = self.kept.first().copied().unwrap_or(next);
        Ok(Written { bytes: bytes.len() as u64, needed: BlockNumber(oldest.0.saturating_sub(1)) })
    }

    fn read(&self, bytes: &[u8], network: &Arc<Network>, config: &EngineConfig) -> Result<(Engine, Position), Useless> {
        let (head, state) = decode(bytes)?;
        if head.identity != self.identity {
            return Err(Useless::Other(Difference { of: &head.identity, wanted: &self.identity }.to_string()));
        }
        let position = Position { next: BlockNumber(head.next_block), last_checksum: head.last_checksum };
        Ok((Engine::load(Arc::clone(network), config.clone(), state)?, position))
    }

    fn discard(&mut self, path: &Path, why: &str) {
        tracing::warn!("the checkpoint {} is not used and is removed: {why}", path.display());
        remove(path);
        self.kept.pop();
    }

    fn path(&self, next: BlockNumber) -> PathBuf {
        self.dir.join(format!("{:020}{SUFFIX}", next.0))
    }
}

/// A checkpoint as bytes.
pub(crate) fn encode(identity: &Identity, engine: &Engine, position: Position) -> Result<Vec<u8>, SavedError> {
    let head = Head { identity: identity.clone(), next_block: position.next.0, last_checksum: position.last_checksum };
    let mut bytes = postcard::to_extend(&head, vec![0; FIXED_BYTES])?;
    let head_bytes = (bytes.len() - FIXED_BYTES) as u64;
    bytes.append(&mut engine.save()?);
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..FIXED_BYTES].copy_from_slice(&head_bytes.to_le_bytes());
    let crc = crc32fast::hash(&bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

/// Head and state.
fn decode(bytes: &[u8]) -> Result<(Head, &[u8]), Useless> {
    let (fixed, rest) = bytes.split_first_chunk::<FIXED_BYTES>().ok_or(Useless::Damaged)?;
    if !fixed.starts_with(MAGIC) {
        return Err(Useless::Foreign);
    }
    let number = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let head_bytes = u64::from(number(16)) | u64::from(number(20)) << 32;
    if crc32fast::hash(&bytes[16..]) != number(12) {
        return Err(Useless::Damaged);
    }
    if number(8) != VERSION {
        return Err(Useless::Version(number(8)));
    }
    let head_bytes = usize::try_from(head_bytes).map_err(|_| Useless::Damaged)?;
    let (head, state) = rest.split_at_checked(head_bytes).ok_or(Useless::Damaged)?;
    let head: Head = postcard::from_bytes(head).map_err(|_| Useless::Damaged)?;
    Ok((head, state))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A file that stays is in nobody's way: it is older than those that are used, or will be removed again.
fn remove(path: &Path) {
    if let Err(cause) = fs::remove_file(path) {
        tracing::warn!(%cause, "{} could not be removed", path.display());
    }
}

/// Next blocks of the checkpoints in a folder, oldest first; what a crash left aside is removed.
fn list(dir: &Path) -> io::Result<Vec<BlockNumber>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(".part") {
            remove(&dir.join(name));
        }
        let digits = name.strip_suffix(SUFFIX).filter(|d| d.len() == 20 && d.bytes().all(|b| b.is_ascii_digit()));
        found.extend(digits.and_then(|d| d.parse().ok()).map(BlockNumber));
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests;
