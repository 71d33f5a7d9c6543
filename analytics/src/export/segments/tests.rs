//! The page by an independent reader (promtool), its bounds, and what disappears.

use std::io::Write;
use std::process::{Command, Stdio};

use roads::{RoadClass, SegmentIndex};

use super::*;
use crate::metric::traffic::WindowMetrics;
use crate::metric::window::Window;
use crate::snapshot::Told;

fn network() -> Arc<Network> {
    Arc::new(roads::generate::metropolis(&roads::generate::MetropolisPlan::default()).network)
}

/// Figures of the first segments, with as many vehicles as told.
fn published(network: &Network, vehicles: &[u64]) -> Arc<Published> {
    let n = vehicles.len();
    let column = |scale: f64| (0..n).map(|row| scale * (1.0 + row as f64)).collect::<Vec<_>>();
    let segments = SegmentMetrics {
        segment: (0..n as u32).map(SegmentIndex).collect(),
        speed_mps: column(1.5),
        speed_ratio: column(1.0 / (n + 1) as f64),
        delay_veh_h_per_h: column(0.125),
        flow_veh_per_h: column(60.04),
        density_veh_per_km: column(3.25),
        events: vec![9; n],
        vehicles: vehicles.to_vec(),
        percentiles_mps: vec![None; n],
        stderr_mps: vec![None; n],
        free_mps: vec![13.9; n],
        free_basis: vec![roads::FreeFlowBasis::Limit; n],
    };
    let metrics = WindowMetrics { segments, ..WindowMetrics::default() };
    let snapshot = |window: Window| {
        let (span, total) = (Some(window.ending(600_000)), network.segments().len());
        Arc::new(Snapshot::new(window, span, &metrics, total, 0, None, Told::default()))
    };
    Arc::new(Published { windows: Window::ALL.into_iter().map(snapshot).collect(), ..Published::default() })
}

fn everything() -> Policy {
    Policy { classes: RoadClass::ALL.to_vec(), ..Policy::default() }
}

fn text(gzip: &[u8]) -> String {
    String::from_utf8(unpacked(gzip).unwrap().to_vec()).unwrap()
}

#[test]
fn a_page_has_what_was_published_and_nothing_else() {
    let network = network();
    let pages = SegmentPages::new(Arc::clone(&network), everything());
    let full = text(&pages.page(&published(&network, &[3, 9, 2, 12])));
    let id = |at: u32| network.segment(SegmentIndex(at)).id.to_string();
    let class = network.segment(SegmentIndex(1)).class.name();
    for (name, value) in [
        ("speed_meters_per_second", "3"),
        ("speed_ratio", "0.4"),
        ("delay_vehicle_seconds_per_second", "0.25"),
        ("flow_vehicles_per_hour", "120.1"),
        ("density_vehicles_per_meter", "0.0065"),
        ("vehicles", "9"),
    ] {
        let line =
            format!("arterial_segment_{name}{{class=\"{class}\",segment=\"{}\",window=\"5m\"}} {value}\n", id(1));
        assert!(full.contains(&line), "{line} is not in\n{full}");
    }
    assert!(!full.contains(&format!("segment=\"{}\"", id(2))), "two vehicles are fewer than k");
    assert!(!full.contains("15m") && !full.contains("60m"), "windows that nobody asked for");
    assert!(full.contains("arterial_segments_exported{window=\"5m\"} 3\n"), "{full}");
    let emptier = text(&pages.page(&published(&network, &[3])));
    assert!(!emptier.contains(&format!("segment=\"{}\"", id(1))), "what is not fresh has no series");
}

#[test]
fn what_is_left_out_is_told_by_reason() {
    let network = network();
    let tick = published(&network, &[5; 40]);
    let primary = |policy: &Policy| policy.select(&tick.windows[0].segments, &network, None).rows.len();
    let policy = Policy { classes: vec![RoadClass::Primary], worst: 4, segments_max: 6, ..Policy::default() };
    let chosen = primary(&Policy { segments_max: usize::MAX, ..policy.clone() });
    let page = text(&SegmentPages::new(Arc::clone(&network), policy).page(&tick));
    for line in [
        format!("arterial_segments_exported{{window=\"1m\"}} {}\n", chosen.min(6)),
        format!("arterial_segments_left_out{{reason=\"policy\",window=\"1m\"}} {}\n", 40 - chosen),
        format!("arterial_segments_left_out{{reason=\"cap\",window=\"1m\"}} {}\n", chosen.saturating_sub(6)),
    ] {
        assert!(page.contains(&line), "{line} is not in\n{page}");
    }
}

#[test]
fn a_page_is_made_once_a_tick() {
    let network = network();
    let pages = SegmentPages::new(Arc::clone(&network), everything());
    let (one, other) = (published(&network, &[3, 4]), published(&network, &[3]));
    let first = pages.page(&one);
    assert_eq!(first.as_ptr(), pages.page(&one).as_ptr(), "the same bytes for everybody");
    assert_ne!(first, pages.page(&other));
    drop((one, other));
    assert_eq!(text(&pages.page(&Arc::default())).matches("segment=").count(), 0, "nothing is fresh");
}

#[test]
fn promtool_reads_every_page() {
    let network = network();
    let pages = SegmentPages::new(Arc::clone(&network), everything());
    for vehicles in [vec![], vec![7; 1], vec![7; 600]] {
        let mut check = Command::new("promtool");
        let check =
            check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut check = check.spawn().expect("promtool is there: `cargo xtask test` installs it");
        check.stdin.take().unwrap().write_all(text(&pages.page(&published(&network, &vehicles))).as_bytes()).unwrap();
        let said = check.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success() && words.is_empty(), "{} segments: {words}", vehicles.len());
    }
}

#[test]
fn numbers_are_written_as_a_reader_expects() {
    let check = |value: f64, decimals: u32, expected: &str| {
        let mut out = Vec::new();
        decimal(&mut out, value, decimals);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    };
    check(0.0, 3, "0");
    check(12.0, 0, "12");
    check(12.5, 3, "12.5");
    check(0.000_4, 3, "0");
    check(0.05, 3, "0.05");
    check(-1.25, 1, "-1.3");
    check(-0.001, 2, "0");
    check(1e18, 3, "1000000000000000000");
    check(120.0, 1, "120");
    check(0.999_96, 4, "1");
}

#[test]
fn labels_are_escaped() {
    assert_eq!(escaped("a\\b\"c\nd"), "a\\\\b\\\"c\\nd");
}
