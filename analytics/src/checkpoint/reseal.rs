//! Checkpoints told of blocks that were written anew, so that they go on with the same spool.
//!
//! Upstream: `arterial forget`, which changes blocks. A checkpoint knows its spool by the checksum of the last block that
//! it counted; only that is changed here, never its state.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ingest::BlockNumber;

use super::{CheckpointError, FIXED_BYTES, Head, MAGIC, decode, list, write_synced};

/// Puts new checksums of blocks into the checkpoints of a folder; how many of them changed. Analytics has to be stopped:
/// the folder is locked meanwhile.
///
/// # Errors
/// [`CheckpointError`] when the folder is in use, or a file cannot be written.
pub fn reseal(dir: &Path, checksums: &BTreeMap<BlockNumber, u32>) -> Result<usize, CheckpointError> {
    if !dir.is_dir() {
        return Ok(0);
    }
    let failed = |action, path: &Path, cause| CheckpointError::Io { action, path: path.to_owned(), cause };
    let lock_path = dir.join("lock");
    let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
    let lock = lock.map_err(|cause| failed("open", &lock_path, cause))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(CheckpointError::Locked { dir: dir.to_owned() }),
        Err(fs::TryLockError::Error(cause)) => return Err(failed("lock", &lock_path, cause)),
    }
    let mut changed = 0;
    for next in list(dir).map_err(|cause| failed("list", dir, cause))? {
        let path = dir.join(format!("{:020}{}", next.0, super::SUFFIX));
        let bytes = fs::read(&path).map_err(|cause| failed("read", &path, cause))?;
        // One that is no checkpoint of ours is found out at the next start.
        let Ok((head, state)) = decode(&bytes) else { continue };
        let last = BlockNumber(head.next_block.saturating_sub(1));
        let Some(&last_checksum) = checksums.get(&last) else { continue };
        let new = with_head(&bytes, &Head { last_checksum, ..head }, state)?;
        let aside = path.with_extension("part");
        write_synced(&aside, &new).map_err(|cause| failed("write", &aside, cause))?;
        fs::rename(&aside, &path).map_err(|cause| failed("rename", &aside, cause))?;
        changed += 1;
    }
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|cause| failed("sync", dir, cause))?;
    Ok(changed)
}

fn with_head(old: &[u8], head: &Head, state: &[u8]) -> Result<Vec<u8>, CheckpointError> {
    let mut bytes = postcard::to_extend(head, vec![0; FIXED_BYTES]).map_err(super::SavedError::from)?;
    let head_bytes = (bytes.len() - FIXED_BYTES) as u64;
    bytes.extend_from_slice(state);
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&old[8..12]);
    bytes[16..FIXED_BYTES].copy_from_slice(&head_bytes.to_le_bytes());
    let crc = crc32fast::hash(&bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}
