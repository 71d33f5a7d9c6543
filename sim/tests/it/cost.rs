//! What a report may cost, in instructions: they repeat on every machine, times do not.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Most instructions to encode one position: the goal of 300, and a tenth for other compilers.
const ENCODE_MAX: u64 = 330;

/// Most instructions to measure one position exactly, beyond what a car that does not report costs: a tenth more than counted.
const MEASURE_MAX: u64 = 210;

/// Most instructions for a car that does not report.
const UNSAMPLED_MAX: u64 = 80;

const CARS: u64 = 1_000;

/// The example that only measures and encodes; cargo builds it with the tests.
fn example() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../release/examples/publish")
}

/// Instructions per car and second: the slope between two lengths, so that starting does not count.
fn per_car_second(mode: &str, more: &[&str]) -> u64 {
    let collected = |seconds: u64| -> u64 {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(example())
            .args([mode, &CARS.to_string(), &seconds.to_string()])
            .args(more)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let (_, rest) = said.split_once("Collected : ").unwrap_or_else(|| panic!("{said}"));
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let (few, many) = (10, 30);
    (collected(many) - collected(few)) / ((many - few) * CARS)
}

#[test]
fn a_report_costs_what_it_may_and_no_report_nearly_nothing() {
    if Command::new("valgrind").arg("--version").output().is_err() || !example().exists() {
        println!("skipped: valgrind or the optimised example is not here");
        return;
    }
    let moved = per_car_second("move", &[]);
    let unsampled = per_car_second("sense", &["0"]) - moved;
    let measured = per_car_second("sense", &["100"]) - moved - unsampled;
    let encoded = per_car_second("encode", &[]) - moved - unsampled - measured;
    println!("instructions: {unsampled} for no report, {measured} to measure, {encoded} to encode");
    assert!(encoded > 50 && encoded <= ENCODE_MAX, "{encoded}");
    assert!(measured > 50 && measured <= MEASURE_MAX, "{measured}");
    assert!(unsampled <= UNSAMPLED_MAX, "{unsampled}");
}
