//! What the simulator promises, held against its public face: determinism, conservation, publishing.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::print_stdout, reason = "tests print seeds and what they measured")]

mod broker;
mod city;
mod cost;
mod gridlock;
mod peer;
mod publishing;
mod realism;
mod recording;
mod replaying;
mod rules;
mod scenario;
mod sensing;
mod speed;

use std::path::PathBuf;

/// The folder of recordings, or `None` after saying that the test is skipped.
fn recordings() -> Option<PathBuf> {
    let beside_the_workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let data = std::env::var_os("ARTERIAL_DATA").map_or_else(|| PathBuf::from(beside_the_workspace), PathBuf::from);
    if data.exists() {
        return Some(data);
    }
    println!("skipped: the recordings are not here; set ARTERIAL_DATA to their folder");
    None
}
