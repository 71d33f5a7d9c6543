//! The steps to a disk, each of which may be the last before a crash.
//!
//! Upstream: [`super::store`]. Every change of the folder goes through here, so that a test can break off at each.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::ArchiveError;

/// A disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// Steps until the power is gone.
    #[cfg(test)]
    pub(super) steps_left: Option<u32>,
}

impl Disk {
    /// Makes a file anew, with the folders that it lies in; those are durable before it is written.
    pub(super) fn create(&mut self, path: &Path) -> Result<File, ArchiveError> {
        self.make_folder(path.parent().unwrap_or(path))?;
        self.step("write", path, || File::create(path))
    }

    /// Makes what was written durable, and gives the file its name.
    pub(super) fn place(&mut self, file: &File, aside: &Path, path: &Path) -> Result<(), ArchiveError> {
        self.step("sync", aside, || file.sync_all())?;
        self.step("rename", aside, || fs::rename(aside, path))?;
        self.sync_folder(path.parent().unwrap_or(path))
    }

    /// Removes a file; one that is gone already is as good.
    pub(super) fn remove(&mut self, path: &Path) -> Result<(), ArchiveError> {
        self.step("remove", path, || match fs::remove_file(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        })
    }

    pub(super) fn sync_folder(&mut self, dir: &Path) -> Result<(), ArchiveError> {
        self.step("sync", dir, || File::open(dir).and_then(|dir| dir.sync_all()))
    }

    fn make_folder(&mut self, dir: &Path) -> Result<(), ArchiveError> {
        if dir.is_dir() {
            return Ok(());
        }
        let missing: Vec<PathBuf> =
            dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).map(PathBuf::from).collect();
        self.step("make the folder", dir, || fs::create_dir_all(dir))?;
        for made in missing.iter().rev() {
            let above = made.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
            self.sync_folder(above)?;
        }
        Ok(())
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "a test counts the steps"))]
    fn step<T>(
        &mut self,
        action: &'static str,
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, ArchiveError> {
        #[cfg(test)]
        if let Some(left) = &mut self.steps_left {
            if *left == 0 {
                return Err(ArchiveError::io(action, path, io::Error::other("the power is gone")));
            }
            *left -= 1;
        }
        act().map_err(|cause| ArchiveError::io(action, path, cause))
    }
}
