//! A day of a city into history: CPU seconds of adding and compacting, bytes of a row.
//!
//! `cargo bench --workspace --bench archive -- [SEGMENTS] [SHARE]`: so many segments, of which so many in a hundred are
//! driven in a minute. Distances and times are as random as traffic: a rush hour, a speed of its own for every segment.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark speaks to who runs it")]

use std::fs;

use analytics::archive::Archive;
use analytics::archive::cells::Cells;
use analytics::archive::compact::Which;
use analytics::archive::manifest::Manifest;
use analytics::archive::table::Table;

const DAY_MS: i64 = 86_400_000;
const BEGIN_MS: i64 = 1_792_886_400_000;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let (segments, share) = (numbers.first().copied().unwrap_or(20_000), numbers.get(1).copied().unwrap_or(100));
    let folder = std::env::temp_dir().join(format!("arterial-bench-archive-{}", std::process::id()));
    let mut archive = Archive::open(&folder).unwrap();
    let (mut made_s, mut rows) = (0.0, 0);
    let begun_s = cpu_s();
    for minute in (0..1_440).step_by(5) {
        let before_s = cpu_s();
        let cells = cells(segments, share, minute);
        rows += cells.len();
        made_s += cpu_s() - before_s;
        archive.add("bench", vec![(Table::Cells1Min, cells.into())], Some((0, 1)), 0).unwrap();
        archive.compact(Which::Over, 0).unwrap();
    }
    let added_s = cpu_s() - begun_s - made_s;
    archive.compact(Which::All, 0).unwrap();
    let all_s = cpu_s() - begun_s - made_s;
    let manifest = Manifest::read(&folder).unwrap();
    let of = |table: Table| {
        let files = || manifest.files(table, "bench");
        (files().map(|f| f.rows).sum::<u64>(), files().map(|f| f.bytes).sum::<u64>())
    };
    println!("{segments} segments, {share} % of them driven in a minute: {rows} rows of a minute");
    for table in [Table::Cells1Min, Table::Cells5Min] {
        let (rows, bytes) = of(table);
        let (each, whole) = (bytes as f64 / rows.max(1) as f64, bytes as f64 / 1e6);
        println!("{:10} {rows:>10} rows {whole:>8.1} MB {each:>6.2} bytes a row", table.name());
    }
    println!("CPU: {added_s:.2} s to add and compact the hours, {all_s:.2} s with the day; load {}", load());
    fs::remove_dir_all(&folder).unwrap();
}

/// Five minutes from one on.
fn cells(segments: u64, share: u64, first: i64) -> Cells {
    let mut cells = Cells::default();
    for minute in first..first + 5 {
        for segment in 0..segments {
            let random = mix(segment << 32 | minute as u64);
            if random % 100 >= share {
                continue;
            }
            let rush = 1.0 + ((minute - 480) as f64 / 90.0).powi(2).mul_add(-1.0, 0.0).exp();
            let vehicles = 1 + (random >> 8) % (6.0 * rush) as u64;
            let free_mmps = 8_000 + (mix(segment) % 9_000) as i64;
            let length_mm = 40_000 + (mix(segment ^ 7) % 300_000) as i64;
            let speed = free_mmps * (40 + (random >> 20) as i64 % 60) / 100;
            let distance_mm = length_mm * vehicles as i64 - (random >> 30) as i64 % 20_000;
            let time_ms = distance_mm * 1_000 / speed;
            cells.segment.push(mix(segment ^ 0xABCD) as i64);
            cells.start_ms.push(BEGIN_MS + minute * 60_000);
            cells.distance_mm.push(distance_mm);
            cells.time_ms.push(time_ms);
            cells.delay_ms.push((time_ms - distance_mm * 1_000 / free_mmps).max(0));
            cells.reports.push((time_ms / 5_000 + 1) as i32);
            cells.vehicle_minutes.push(vehicles as i32);
            cells.minutes.push(1);
            cells.free_flow_mmps.push(free_mmps as i32);
        }
    }
    assert!(cells.start_ms.iter().all(|at_ms| (BEGIN_MS..BEGIN_MS + DAY_MS).contains(at_ms)));
    cells
}

/// A hash (D. Stafford's variant 13 of the mix of splitmix64).
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// CPU time of this process, all threads: Linux counts it in hundredths of a second.
fn cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) as f64 / 100.0
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap().split(' ').take(3).collect::<Vec<_>>().join(" ")
}
