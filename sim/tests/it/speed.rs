//! What a step may cost, held by counts that repeat on any machine: instructions per update and per report, bytes per
//! vehicle.
//!
//! Valgrind's callgrind runs one test of this very program twice, for a while and for a hundred seconds longer; the
//! difference in instructions is what those seconds cost.

#[path = "../../examples/bench/grid.rs"]
mod grid;

use std::process::Command;
use std::sync::Arc;

use sim::sensor::Reports;
use sim::sensor::encode::Encoder;
use sim::{City, SensorConfig, World};

/// Most instructions for one vehicle moved by one second, everything included.
const INSTRUCTIONS_MAX: f64 = 1_500.0;

/// Most instructions to measure one position exactly and to write its JSON, at one a vehicle and second; a tenth more than
/// was counted, for other compilers.
const REPORT_INSTRUCTIONS_MAX: f64 = 620.0;

/// Most bytes for one vehicle, route included.
const BYTES_MAX: f64 = 1_024.0;

/// Says how many seconds the counted run lasts.
const SECONDS: &str = "ARTERIAL_TEST_SECONDS";

/// Set where the counted run measures and encodes everybody.
const REPORTS: &str = "ARTERIAL_TEST_REPORTS";

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
    if std::env::var_os(REPORTS).is_some() {
        println!("reports {}", reported(8, seconds));
    }
    let counters = driven(8, seconds).counters();
    println!("updates {}", counters.updates);
    assert!(counters.updates > 1_000, "{counters:?}");
}

/// Drives the same once more, with a report of everybody in every second, encoded; says how many.
fn reported(side: u32, seconds: u32) -> usize {
    let (network, scenario) = grid::scenario(side, 300);
    let network = Arc::new(network);
    let positions = SensorConfig { with_detectors: false, with_signals: false, ..SensorConfig::default() };
    let mut encoder = Encoder::new(&positions.gateway, &network, positions.with_edge);
    let mut city = City::new(World::new(network, scenario).unwrap(), positions);
    let (mut said, mut payload, mut count) = (Reports::default(), Vec::new(), 0);
    for _ in 0..seconds {
        said.clear();
        city.report(&mut said, &mut Vec::new());
        for batch in said.positions.chunks(1_000) {
            payload.clear();
            encoder.positions(batch, &mut payload);
        }
        count += said.positions.len();
    }
    count
}

/// The number after a word, up to the end of its line.
fn number(said: &str, after: &str) -> f64 {
    let begin = said.find(after).unwrap_or_else(|| panic!("no `{after}` in {said}")) + after.len();
    said[begin..].lines().next().unwrap().trim().parse().unwrap()
}

/// Updates, reports and instructions of a run, whose reports come from driving it a second time.
fn count_reports(seconds: &str) -> (f64, f64, f64) {
    let (said, counted) = run(seconds, true);
    (number(&said, "updates "), number(&said, "reports "), number(&counted, "Collected : "))
}

/// Updates and instructions of a run.
fn count(seconds: &str) -> (f64, f64) {
    let (said, counted) = run(seconds, false);
    (number(&said, "updates "), number(&counted, "Collected : "))
}

/// What the counted run and valgrind say.
fn run(seconds: &str, with_reports: bool) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut valgrind = Command::new("valgrind");
    if with_reports {
        valgrind.env(REPORTS, "1");
    }
    let out = valgrind
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", folder.path().join("out").display())])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "speed::the_run_that_is_counted", "--nocapture", "--test-threads=1"])
        .env(SECONDS, seconds)
        .output()
        .expect("this test needs valgrind: install Debian's package `valgrind`");
    let (said, counted) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{counted}");
    (said.into_owned(), counted.into_owned())
}

#[test]
fn a_report_costs_at_most_620_instructions_measured_and_encoded() {
    let (warm, whole) = (count("100"), count("180"));
    let (warm_reports, whole_reports) = (count_reports("100"), count_reports("180"));
    let reports = whole_reports.1 - warm_reports.1;
    // With reports the city is driven twice.
    let driven = whole.1 - warm.1;
    let each = (whole_reports.2 - warm_reports.2 - 2.0 * driven) / reports;
    println!("{each:.0} instructions a report over {reports} reports");
    assert!(reports > 30_000.0, "too little was reported: {whole_reports:?} {warm_reports:?}");
    assert!(each > 100.0 && each <= REPORT_INSTRUCTIONS_MAX, "{each} instructions a report");
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
