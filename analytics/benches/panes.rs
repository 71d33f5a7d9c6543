//! What the pane store costs: adding contributions up, a tick, memory.
//!
//! `panes add` makes ten million contributions (20,000 segments, 60 panes, 16,667 vehicles at 1 Hz) and adds them up, with
//! a tick's work after every pane; `panes hour` drives 20,000 vehicles over 100,000 segments for 65 minutes and ticks every
//! second of the last one; `panes write FOLDER` writes the contributions, and 15 panes of 100,000 segments, for
//! `bench/panes/polars_peer.py`. `bench/panes/run.py` takes turns. Every line is CPU seconds of this process; nothing is
//! asserted of them, since a shared machine is no judge of time.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a person to read")]

use std::path::Path;
use std::sync::Arc;

use analytics::cell::{Change, Contribution, PANE_MS};
use analytics::metric::window::Window;
use analytics::pane::PaneStore;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use parquet::arrow::ArrowWriter;
use roads::SegmentIndex;

const VEHICLES: u64 = 16_667;
const SECONDS: i64 = 600;
const SEGMENTS: u32 = 20_000;
const FREE_MPS: f64 = 13.9;

/// The large city: segments, vehicles, seconds until the last minute begins.
const CITY: (u32, u64, i64) = (100_000, 20_000, 3_840);

/// A vehicle drives a segment in eight seconds and goes on to one that a hash names; no second has the speed of the one
/// before.
fn contribution(vehicle: u64, second: i64, segments: u32) -> Contribution {
    let leg = (second as u64 + vehicle % 8) / 8;
    let dice = (vehicle * 1_000_003 + leg).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let swing = (second as u64 + dice) % 8 * 200;
    let speed_mm_s = 1_000 + ((dice >> 7) % 22_000 + swing) as i64;
    let segment = SegmentIndex((dice % u64::from(segments)) as u32);
    let pane_ms = second * 1_000 / PANE_MS * PANE_MS;
    Contribution { segment, pane_ms, vehicle, distance_mm: speed_mm_s, time_ms: 1_000, events: 1 }
}

fn change(vehicle: u64, second: i64, segments: u32) -> Change {
    Change::add(&contribution(vehicle, second, segments)).unwrap()
}

/// CPU seconds of this process, and its resident and its peak memory in MB, from the kernel's own account.
fn account() -> (f64, f64, f64) {
    let ns: f64 = std::fs::read_to_string("/proc/self/schedstat").unwrap().split(' ').next().unwrap().parse().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mb = |name: &str| -> f64 {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_000.0
    };
    (ns / 1e9, mb("VmRSS:"), mb("VmHWM:"))
}

/// Adds all up, as the engine does: in pieces, in order of time, moving the windows on. The work that visits put off is
/// counted too.
fn add(all: &[Change], mut store: PaneStore, is_live: bool) -> f64 {
    let begin = account().0;
    for piece in all.chunks(4_096) {
        assert_eq!(store.apply(piece), 0);
        let Some(last) = piece.last().filter(|_| is_live) else { continue };
        store.slide_to(last.pane_ms() + PANE_MS - 1);
        store.fold_before(last.pane_ms() - 360_000);
    }
    store.settle();
    account().0 - begin
}

fn adding() {
    let all: Vec<Change> = (0..SECONDS).flat_map(|s| (0..VEHICLES).map(move |v| change(v, s, SEGMENTS))).collect();
    println!("add_sums_distinct contributions {} cpu_s {:.4}", all.len(), add(&all, PaneStore::default(), false));
    let live = PaneStore::with_windows(vec![FREE_MPS; SEGMENTS as usize]);
    println!("add_windows_percentiles contributions {} cpu_s {:.4}", all.len(), add(&all, live, true));
}

/// One tick: sums, delay, distinct vehicles and percentiles of all windows. Gives what was read, so that it is.
fn tick(store: &mut PaneStore, now_ms: i64, free_mps: &[f64]) -> usize {
    store.settle();
    let read = |window: Window| {
        let totals = store.shared_totals(window.ending(now_ms), free_mps);
        let known = totals.segment.iter().filter(|&&s| store.percentiles(window, SegmentIndex(s)).is_some()).count();
        totals.segment.len() + known
    };
    Window::ALL.into_iter().map(read).sum()
}

fn hour() {
    let (segments, vehicles, seconds) = CITY;
    let free_mps = vec![FREE_MPS; segments as usize];
    let (mut store, before) = (PaneStore::with_windows(free_mps.clone()), account());
    let (mut ticks, mut rows) = (Vec::new(), 0);
    for second in 0..seconds + 60 {
        let changes: Vec<Change> = (0..vehicles).map(|v| change(v, second, segments)).collect();
        assert_eq!(store.apply(&changes), 0);
        let now_ms = second * 1_000 + 999;
        store.slide_to(now_ms);
        store.fold_before(now_ms - 360_000);
        store.forget_before(now_ms - 3_690_000);
        if second >= seconds {
            let begin = account().0;
            rows = tick(&mut store, now_ms, &free_mps);
            ticks.push((account().0 - begin) * 1e3);
        } else if second % 60 == 59 {
            store.settle();
        }
    }
    let after = account();
    let mean_ms = ticks.iter().sum::<f64>() / ticks.len() as f64;
    ticks.sort_by(f64::total_cmp);
    println!(
        "tick rows {rows} mean_ms {mean_ms:.2} median_ms {:.2} max_ms {:.2}",
        ticks[ticks.len() / 2],
        ticks[ticks.len() - 1]
    );
    let all = vehicles as i64 * (seconds + 60);
    println!(
        "hour contributions {all} cpu_s {:.2} resident_mb {:.0} peak_mb {:.0}",
        after.0 - before.0,
        after.1 - before.1,
        after.2 - before.1
    );
}

fn write(columns: Vec<(&str, ArrayRef)>, path: &Path) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn write_all(folder: &Path) {
    let all = || (0..SECONDS).flat_map(|s| (0..VEHICLES).map(move |v| contribution(v, s, SEGMENTS)));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("segment", Arc::new(UInt32Array::from_iter_values(all().map(|c| c.segment.0)))),
        ("pane_ms", Arc::new(Int64Array::from_iter_values(all().map(|c| c.pane_ms)))),
        ("vehicle", Arc::new(UInt64Array::from_iter_values(all().map(|c| c.vehicle)))),
        ("distance_mm", Arc::new(Int64Array::from_iter_values(all().map(|c| c.distance_mm)))),
        ("time_ms", Arc::new(Int64Array::from_iter_values(all().map(|c| c.time_ms)))),
    ];
    write(columns, &folder.join("contributions.parquet"));
    let panes = || (0..15_i64).flat_map(|pane| (0..CITY.0).map(move |segment| (pane, segment)));
    let column = |of: fn(i64, i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(panes().map(|(pane, segment)| of(pane, i64::from(segment)))))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("segment", Arc::new(UInt32Array::from_iter_values(panes().map(|p| p.1)))),
        ("pane", column(|pane, _| pane)),
        ("events", column(|pane, segment| (pane + segment) % 9)),
        ("distance_mm", column(|pane, segment| (pane * 7_919 + segment * 104_729) % 1_000_000)),
        ("time_ms", column(|pane, segment| (pane * 104_729 + segment * 7_919) % 90_000)),
    ];
    write(columns, &folder.join("minutes.parquet"));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["add"] => adding(),
        ["hour"] => hour(),
        ["write", folder] => write_all(Path::new(folder)),
        _ => println!("usage: panes add | hour | write FOLDER"),
    }
}
