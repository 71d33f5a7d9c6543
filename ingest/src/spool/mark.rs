//! How far back each reader still needs the spool: one small file a reader, beside the blocks.
//!
//! A reader that can be restarted says from which block on. Retention then spares that block and all behind it for as
//! long as all files together stay within [`super::SpoolConfig::held_bytes_max`]; beyond that the oldest go, read or
//! not, with a warning. So a reader that is gone for good costs a bounded part of the disk, and nothing once its file,
//! `readers/NAME` in the spool's folder, is deleted.
//!
//! Upstream: a reader with checkpoints (analytics). Downstream: [`super::Spool`], which asks when it begins a file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{BlockNumber, SpoolError};

/// Most readers that are heard, by name; who comes behind them holds nothing back.
const READERS_MAX: usize = 16;

/// A mark being written.
const ASIDE: &str = ".part";

/// Notes that a reader needs block `needed` and all behind it. The name is a plain word.
///
/// # Errors
/// What the operating system says.
pub fn mark(dir: &Path, reader: &str, needed: BlockNumber) -> Result<(), SpoolError> {
    let folder = folder(dir);
    fs::create_dir_all(&folder).map_err(|cause| SpoolError::io("make the folder", &folder, cause))?;
    let (path, aside) = (folder.join(reader), folder.join(format!("{reader}{ASIDE}")));
    let write = || {
        let mut file = File::create(&aside)?;
        writeln!(file, "{}", needed.0)?;
        file.sync_all()?;
        fs::rename(&aside, &path)
    };
    write().map_err(|cause| SpoolError::io("write", &path, cause))
}

/// The reader that needs the oldest block, and that block. What cannot be read holds nothing back.
pub(super) fn most_behind(dir: &Path) -> Option<(String, BlockNumber)> {
    let folder = folder(dir);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return None,
        Err(cause) => {
            tracing::warn!(%cause, "{} cannot be listed: no reader holds blocks back", folder.display());
            return None;
        }
    };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.ends_with(ASIDE));
    names.sort_unstable();
    let needed = |name: String| {
        let text = fs::read_to_string(folder.join(&name)).ok()?;
        Some((name, BlockNumber(text.trim().parse().ok()?)))
    };
    names.into_iter().take(READERS_MAX).filter_map(needed).min_by_key(|reader| reader.1)
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("readers")
}
