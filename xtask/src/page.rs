//! The web page: built when it is older than its sources, because the binary carries whatever is in `dashboard/dist`.
//!
//! Upstream: `dashboard/`. Downstream: the build script of `analytics`, which compiles `dist` in.

use crate::command::{npm, run};
use crate::failure::Failure;
use crate::report::say;
use crate::tools;
use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// What lies in `dashboard/` without going into the page.
const NOT_SOURCES: [&str; 7] = ["node_modules", "dist", "dev", "e2e", "bench", "test-results", "playwright-report"];

pub(crate) fn build_unless_fresh(root: &Path) -> Result<(), Failure> {
    let folder = root.join("dashboard");
    if is_fresh(&folder).map_err(|source| Failure::io("compare the page with its sources", source))? {
        say("page: dashboard/dist is newer than its sources and its lock file, not built again");
        return Ok(());
    }
    tools::require_node()?;
    install(root)?;
    build(root)
}

/// Exactly what the lock file says.
pub(crate) fn install(root: &Path) -> Result<(), Failure> {
    run(npm(root).arg("ci"))
}

pub(crate) fn build(root: &Path) -> Result<(), Failure> {
    run(npm(root).args(["run", "build"]))
}

/// The types of the API are those of its document.
pub(crate) fn check_contract(root: &Path) -> Result<(), Failure> {
    run(npm(root).args(["run", "types:check"]))
}

pub(crate) fn check_types(root: &Path) -> Result<(), Failure> {
    run(npm(root).args(["run", "check"]))
}

pub(crate) fn test(root: &Path) -> Result<(), Failure> {
    run(npm(root).args(["run", "test"]))
}

/// Whether the built page exists and every source, package list and setting is older.
fn is_fresh(folder: &Path) -> io::Result<bool> {
    match fs::metadata(folder.join("dist/index.html")) {
        Ok(built) => Ok(newest_source(folder)? < built.modified()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn newest_source(folder: &Path) -> io::Result<SystemTime> {
    // A folder's own time counts too: it changes when a file is taken away.
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if NOT_SOURCES.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let about = entry.metadata()?;
        newest = newest.max(about.modified()?);
        if about.is_dir() {
            newest = newest.max(newest_source(&entry.path())?);
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Scratch;
    use std::fs::File;
    use std::path::PathBuf;
    use std::time::Duration;

    /// A file whose time is `age_s` seconds after an arbitrary zero.
    fn file(path: &PathBuf, age_s: u64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + age_s);
        File::create(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_page_is_fresh_until_a_source_is_newer() {
        let scratch = Scratch::new("page-freshness").unwrap();
        let folder = scratch.path();
        file(&folder.join("package-lock.json"), 0);
        assert!(!is_fresh(folder).unwrap(), "there is no page yet");
        file(&folder.join("dist/index.html"), 10);
        assert!(is_fresh(folder).unwrap());
        file(&folder.join("node_modules/tool/index.js"), 20);
        file(&folder.join("e2e/page.spec.ts"), 20);
        assert!(is_fresh(folder).unwrap(), "what does not go into the page does not count");
        file(&folder.join("package-lock.json"), 30);
        assert!(!is_fresh(folder).unwrap(), "the lock file counts");
        file(&folder.join("dist/index.html"), 40);
        assert!(is_fresh(folder).unwrap());
        // A new folder is younger than any of these times, as is a file in it.
        file(&folder.join("src/map/camera.ts"), 50);
        assert!(!is_fresh(folder).unwrap());
    }
}
