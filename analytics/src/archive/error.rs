//! Why history cannot be written or read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

/// What goes wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("cannot {action} {}: {cause}", path.display())]
    Io { action: &'static str, path: PathBuf, cause: io::Error },
    #[error("cannot read or write {} as Parquet: {cause}", path.display())]
    Parquet { path: PathBuf, cause: ParquetError },
    #[error("{} does not have the columns of the table {table}", path.display())]
    Columns { path: PathBuf, table: &'static str },
    #[error("{} is in use by another program: stop it, or name another archive", dir.display())]
    Locked { dir: PathBuf },
    #[error("there is no manifest.json in {}: it is no archive, or its manifest has to be put back from a copy", dir.display())]
    NoManifest { dir: PathBuf },
    #[error("{} cannot be understood: {why}; put it back from a copy", path.display())]
    Manifest { path: PathBuf, why: String },
    #[error("{text}: {cause}")]
    Remote { text: String, cause: String },
    #[error("{0}")]
    Place(String),
}

impl ArchiveError {
    pub(super) fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), cause }
    }

    pub(super) fn parquet(path: &Path, cause: ParquetError) -> Self {
        Self::Parquet { path: path.to_owned(), cause }
    }
}

/// A lock on an archive's folder, held as long as the file is open.
pub(super) fn lock(dir: &Path) -> Result<fs::File, ArchiveError> {
    let path = dir.join("lock");
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|cause| ArchiveError::io("open", &path, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(ArchiveError::Locked { dir: dir.to_owned() }),
        Err(fs::TryLockError::Error(cause)) => Err(ArchiveError::io("lock", &path, cause)),
    }
}
