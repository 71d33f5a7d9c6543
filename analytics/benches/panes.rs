//! What the pane store costs: adding contributions up, and a tick.
//!
//! `cargo bench --package analytics --bench panes -- FOLDER` makes ten million contributions (20,000 segments, ten
//! minutes, 16,667 vehicles at 1 Hz), adds them to a store with and without percentiles, and writes them to
//! FOLDER/contributions.parquet, for another engine to do the same. Then a tick of all windows over 100,000 segments, and the memory of an hour. Nothing is asserted: a shared
//! machine is no judge of time.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a person to read")]

use std::path::Path;
use std::sync::Arc;

use analytics::cell::{Contribution, PANE_MS};
use analytics::metric::window::Window;
use analytics::pane::PaneStore;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use parquet::arrow::ArrowWriter;
use roads::SegmentIndex;

const VEHICLES: u64 = 16_667;
const SECONDS: i64 = 600;
const SEGMENTS: u32 = 20_000;

/// A vehicle drives a segment in eight seconds and goes on to one that a hash names.
fn contribution(vehicle: u64, second: i64, segments: u32) -> Contribution {
    let leg = (second as u64 + vehicle % 8) / 8;
    let dice = (vehicle * 1_000_003 + leg).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let speed_mm_s = 1_000 + ((dice >> 7) % 24_000) as i64;
    let segment = SegmentIndex((dice % u64::from(segments)) as u32);
    let pane_ms = second * 1_000 / PANE_MS * PANE_MS;
    Contribution { segment, pane_ms, vehicle, distance_mm: speed_mm_s, time_ms: 1_000, events: 1 }
}

/// CPU seconds of this process and its resident memory in MB, from the kernel's own account.
fn account() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kb = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap().trim().trim_end_matches(" kB");
    (ticks / 100.0, kb.parse::<f64>().unwrap() / 1_000.0)
}

fn add(all: &[Contribution], mut store: PaneStore) -> (f64, usize) {
    let begin = account().0;
    for (i, c) in all.iter().enumerate() {
        if i % 65_536 == 0 {
            store.slide_to(c.pane_ms + 9_999);
        }
        assert!(store.add(c));
    }
    (account().0 - begin, store.sorted_rows().len())
}

fn write(all: &[Contribution], path: &Path) {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("segment", Arc::new(UInt32Array::from_iter_values(all.iter().map(|c| c.segment.0)))),
        ("pane_ms", Arc::new(Int64Array::from_iter_values(all.iter().map(|c| c.pane_ms)))),
        ("vehicle", Arc::new(UInt64Array::from_iter_values(all.iter().map(|c| c.vehicle)))),
        ("distance_mm", Arc::new(Int64Array::from_iter_values(all.iter().map(|c| c.distance_mm)))),
        ("time_ms", Arc::new(Int64Array::from_iter_values(all.iter().map(|c| c.time_ms)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// An hour of a large city: memory with all windows, and what a tick costs then.
fn hour() {
    let (segments, vehicles) = (100_000, 20_000);
    let free_mps = vec![13.9; segments as usize];
    let (mut store, before) = (PaneStore::with_speeds(), account());
    for second in 0..3_900 {
        (0..vehicles).for_each(|vehicle| assert!(store.add(&contribution(vehicle, second, segments))));
        let now_ms = second * 1_000 + 999;
        store.slide_to(now_ms);
        store.fold_before(now_ms - 360_000);
        store.forget_before(now_ms - 3_660_000);
    }
    let (cpu_s, mb) = account();
    println!(
        "hour adding_cpu_s {:.2} contributions {} resident_mb {:.0}",
        cpu_s - before.0,
        3_900 * vehicles,
        mb - before.1
    );
    for window in Window::ALL {
        let (begin, ticks) = (account().0, 40);
        let mut rows = 0;
        for _ in 0..ticks {
            let totals = store.totals(window.ending(3_899_999), &free_mps);
            rows = totals.segment.len();
            let read = totals.segment.iter().filter_map(|&s| store.percentiles(window, SegmentIndex(s)));
            assert!(read.count() <= rows);
        }
        println!(
            "tick window_s {} rows {rows} cpu_ms {:.2}",
            window.seconds(),
            (account().0 - begin) * 1_000.0 / f64::from(ticks)
        );
    }
}

fn main() {
    let folder = std::env::args().nth(1).filter(|a| !a.starts_with('-'));
    let all: Vec<Contribution> =
        (0..SECONDS).flat_map(|s| (0..VEHICLES).map(move |v| contribution(v, s, SEGMENTS))).collect();
    if let Some(folder) = folder {
        write(&all, &Path::new(&folder).join("contributions.parquet"));
    }
    for run in 0..3 {
        let (plain_s, groups) = add(&all, PaneStore::default());
        let (speeds_s, _) = add(&all, PaneStore::with_speeds());
        println!(
            "add run {run} contributions {} groups {groups} cpu_s {plain_s:.2} with_percentiles_cpu_s {speeds_s:.2}",
            all.len()
        );
    }
    drop(all);
    hour();
}
