//! What can go wrong with a spool, as sentences that name the place and say what to do.
//!
//! Upstream: the operating system. Downstream: the writer's retries, `/ready`, the command line.

use std::io;
use std::path::{Path, PathBuf};

use super::BlockNumber;
use crate::batch::BatchError;

/// Why a spool cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot {action} {}: {cause}{}", path.display(), advice(cause))]
    Io { action: &'static str, path: PathBuf, cause: io::Error },
    #[error("{} is being written by another process: stop it, or use another folder", dir.display())]
    Locked { dir: PathBuf },
    #[error("{} is not a spool file of this version: move it away, or use another folder", path.display())]
    NotASpool { path: PathBuf },
    #[error(
        "{} is damaged at byte {offset} (block {}), with more blocks behind it: restore the file from a copy, or \
         move it and all later ones away to go on without them", path.display(), number.0
    )]
    Damaged { path: PathBuf, offset: u64, number: BlockNumber },
    #[error("block {} of {} cannot be used: {cause}", number.0, path.display())]
    Batch { path: PathBuf, number: BlockNumber, cause: BatchError },
    #[error(
        "block {} is no longer in {}, the oldest there is {}: retention deleted it before it was read",
        wanted.0, dir.display(), oldest.0
    )]
    Gone { dir: PathBuf, wanted: BlockNumber, oldest: BlockNumber },
    #[error(
        "block {} is asked for, but {} ends before block {}: it is another spool than the one that was read before",
        wanted.0, dir.display(), next.0
    )]
    Ahead { dir: PathBuf, wanted: BlockNumber, next: BlockNumber },
}

impl SpoolError {
    pub(crate) fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), cause }
    }

    /// Whether the cause is that there is no room.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { cause, .. } => is_full(cause),
            Self::Locked { .. }
            | Self::NotASpool { .. }
            | Self::Damaged { .. }
            | Self::Batch { .. }
            | Self::Gone { .. }
            | Self::Ahead { .. } => false,
        }
    }
}

/// Whether an IO error says that there is no room.
pub(crate) fn is_full(cause: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(cause.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// What a person can do about an IO error, as the rest of a sentence.
pub(crate) fn advice(cause: &io::Error) -> &'static str {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    match cause.kind() {
        _ if is_full(cause) => ": make room on this volume, ingest then goes on by itself",
        ReadOnlyFilesystem => ": the volume is mounted read-only, look for disk errors in the system's log",
        PermissionDenied => ": give the user that runs arterial the right to write there",
        _ => "",
    }
}
