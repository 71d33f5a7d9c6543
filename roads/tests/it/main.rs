//! Tests over real networks and recordings: skipped, with a word, where the data folder is absent.
//!
//! The folder is named by ARTERIAL_DATA, else it is `../shared/data` beside the workspace.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod athens;
mod bologna;
mod helsinki;
mod jinan;

use std::path::PathBuf;

/// A file of the data folder, if that is there.
fn recording(name: &str) -> Option<PathBuf> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("ARTERIAL_DATA").map_or_else(default, PathBuf::from);
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: there is no {name} in the data folder (set ARTERIAL_DATA)");
    None
}
