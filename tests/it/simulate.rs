//! `arterial sim`: into files, over several connections with metrics, and what it refuses.

use std::path::Path;

use crate::support::{Running, arterial, free_port, get, metric, run, wait_for, wait_ready};

fn headless(out: &Path, more: &[&str]) -> String {
    let mut command = arterial();
    command.args(["sim", "--network", "demo", "--vehicles", "300", "--headless", "--duration-s", "180"]);
    let output = run(command.arg("--out").arg(out).args(more));
    String::from_utf8(output.stderr).unwrap()
}

/// The number behind `name=` in the log.
fn logged(log: &str, name: &str) -> u64 {
    let (_, rest) = log.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {log}"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn a_headless_run_writes_events_and_truth_and_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a"), folder.path().join("b"));
    let log = headless(&first, &[]);
    headless(&second, &[]);
    let tables = ["cells", "trips", "fixes", "phases", "forced", "faults"].map(|name| format!("truth/{name}.parquet"));
    let events = ["positions", "detectors", "signals"].map(|name| format!("{name}.parquet"));
    for name in tables.iter().chain(&events) {
        let bytes = std::fs::read(first.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{name}");
        assert!(bytes == std::fs::read(second.join(name)).unwrap(), "{name} differs between two runs");
    }
    // A begin of one's own: the same moment is the same run, another one is the same traffic on another day.
    let positions = |more: &[&str]| {
        headless(&second, more);
        std::fs::read(second.join("positions.parquet")).unwrap()
    };
    let usual = std::fs::read(first.join("positions.parquet")).unwrap();
    assert!(positions(&["--start", "2026-01-05T07:00:00Z"]) == usual);
    assert!(positions(&["--start", "2025-09-15T07:00:00Z"]) != usual);
    assert_eq!(logged(&log, "seconds"), 180);
    assert!(logged(&log, "trips") >= 300 && logged(&log, "cells") > 1_000, "{log}");

    let exact = logged(&headless(&first, &["--sensors", "exact"]), "positions");
    let few = logged(&headless(&first, &["--sensors", "exact", "--probes", "5%"]), "positions");
    println!("{exact} positions of all, {few} of 5 %");
    assert!(few > 0 && few * 8 < exact, "{few} of {exact}");
}

#[test]
fn a_city_over_three_connections_says_in_metrics_what_it_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (mqtt, ingest_http, pages) = (free_port(), free_port(), free_port());
    let at = |port: u16| format!("127.0.0.1:{port}");
    let mut ingest = Running::start(
        arterial()
            .args(["ingest", "--listen", &at(mqtt), "--http-listen", &at(ingest_http), "--data"])
            .arg(folder.path()),
    );
    wait_ready(&mut ingest, ingest_http);
    let mut city = Running::start(arterial().args([
        "sim",
        "--network",
        "demo",
        "--vehicles",
        "300",
        "--sensors",
        "exact",
        "--connections",
        "3",
        "--broker",
        &at(mqtt),
        "--metrics",
        &at(pages),
    ]));
    let page = wait_for("a thousand events acknowledged over three connections", || {
        city.check();
        let (_, page) = get(pages, "/metrics")?;
        let value = |name: &str| metric(&page, &format!("arterial_sim_{name}"), "");
        (value("events_total")? > 1_000.0 && value("messages_acknowledged_total")? > 3.0).then_some(page)
    });
    let value = |name: &str| metric(&page, &format!("arterial_sim_{name}"), "").unwrap_or_else(|| panic!("no {name}"));
    assert!(value("messages_sent_total") + value("unsent_messages") <= value("messages_total"));
    assert_eq!(value("messages_refused_total"), 0.0);
    for name in ["real_time_ratio", "behind_seconds", "held_back_seconds", "vehicles", "late_positions"] {
        assert!(value(name) >= 0.0, "{name}");
    }
    assert_eq!(city.stop(), Some(0));
    let (_, page) = get(ingest_http, "/metrics").unwrap();
    let events = |fate: &str| metric(&page, "arterial_ingest_events_total", &format!("fate=\"{fate}\"")).unwrap();
    assert!(events("accepted") > 1_000.0);
    assert_eq!((events("rejected"), events("duplicate")), (0.0, 0.0), "exact sensors say everything once and in time");
    assert_eq!(ingest.stop(), Some(0));
}

#[test]
fn what_cannot_be_simulated_is_a_sentence() {
    for (words, says) in [
        (&["--probes", "105%"][..], "`105%` is not a share"),
        (&["--interval-s", "0"], "every 0 s"),
        (&["--connections", "0"], "--connections 0 cannot be"),
        (&["--vehicles", "0"], "0 vehicles"),
        (&["--headless", "--duration-s", "9"], "--out"),
        (&["--headless", "--out", "x"], "--duration-s"),
        (&["--without", "everything"], "everything"),
        (&["--headless", "--out", "/proc/no", "--duration-s", "9"], "/proc/no"),
    ] {
        let output = arterial().args(["sim", "--network", "demo"]).args(words).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(says), "{words:?}: {error}");
    }
}
