//! What a step may cost, held by counts that repeat on any machine: instructions per update, bytes per vehicle.
//!
//! Valgrind's callgrind runs one test of this very program twice, for a while and for a hundred seconds longer; the
//! difference in instructions is what those seconds cost.

#[path = "../../examples/bench/grid.rs"]
mod grid;

use std::process::Command;
use std::sync::Arc;

use sim::World;

/// Most instructions for one vehicle moved by one second, everything included.
const INSTRUCTIONS_MAX: f64 = 1_500.0;

/// Most bytes for one vehicle, route included.
const BYTES_MAX: f64 = 1_024.0;

/// Says how many seconds the counted run lasts.
const SECONDS: &str = "ARTERIAL_TEST_SECONDS";

/// A grid of `side` by `side` signals after so many seconds.
fn driven(side: u32, seconds: u32) -> World {
    let (network, scenario) = grid::scenario(side, 300);
    let mut world = World::new(Arc::new(network), scenario).unwrap();
    for _ in 0..seconds {
        world.step();
    }
    world
}

#[test]
fn the_run_that_is_counted() {
    let seconds = std::env::var(SECONDS).map_or(60, |s| s.parse().unwrap());
    let counters = driven(8, seconds).counters();
    println!("updates {}", counters.updates);
    assert!(counters.updates > 1_000, "{counters:?}");
}

/// The number after a word, up to the end of its line.
fn number(said: &str, after: &str) -> f64 {
    let begin = said.find(after).unwrap_or_else(|| panic!("no `{after}` in {said}")) + after.len();
    said[begin..].lines().next().unwrap().trim().parse().unwrap()
}

/// Updates and instructions of a run.
fn count(seconds: &str) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", folder.path().join("out").display())])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "speed::the_run_that_is_counted", "--nocapture", "--test-threads=1"])
        .env(SECONDS, seconds)
        .output()
        .expect("this test needs valgrind: install Debian's package `valgrind`");
    let (said, counted) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{counted}");
    (number(&said, "updates "), number(&counted, "Collected : "))
}

#[test]
fn an_update_costs_at_most_1500_instructions() {
    let (warm, whole) = (count("200"), count("300"));
    let updates = whole.0 - warm.0;
    let each = (whole.1 - warm.1) / updates;
    println!("{each:.0} instructions an update over {updates} updates");
    assert!(updates > 50_000.0, "too little was driven: {whole:?} {warm:?}");
    assert!(each <= INSTRUCTIONS_MAX, "{each} instructions an update");
}

#[test]
fn a_vehicle_takes_at_most_a_kibibyte_with_its_route() {
    let world = driven(20, 300);
    let bytes = world.vehicle_bytes() as f64 / world.vehicles_on_road() as f64;
    println!("{bytes:.0} bytes a vehicle, {} on the road", world.vehicles_on_road());
    assert!(bytes <= BYTES_MAX, "{bytes}");
}
