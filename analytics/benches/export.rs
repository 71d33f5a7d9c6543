//! What a scrape of 120,000 series costs: `/metrics/segments` by our own writer, and the same series by the `prometheus` crate.
//!
//! `export own` and `export crate` each print one line: CPU milliseconds of a scrape (the median of many, each of a new
//! tick), megabytes that the side holds beyond the figures themselves and at its peak, bytes of the page. The crate's
//! scrape is told without compression and with gzip of the fastest level; ours is packed already. `bench/export/run.py` takes turns.
//! `export own-once` and `export crate-once` make one scrape, for callgrind. Nothing is asserted of times here.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a person to read")]

use std::io::Write;
use std::sync::Arc;

use analytics::export::policy::Policy;
use analytics::export::segments::{SegmentPages, unpacked};
use analytics::follow::Published;
use analytics::metric::traffic::{SegmentMetrics, WindowMetrics};
use analytics::metric::window::Window;
use analytics::snapshot::{Snapshot, Told};
use events::metrics::metric;
use prometheus::{Encoder, GaugeVec, Opts, Registry, TextEncoder};
use roads::generate::{CityPlan, city};
use roads::{Network, RoadClass, SegmentIndex};

const SEGMENTS: u32 = 20_000;
const SCRAPES: usize = 15;
const NAMES: [&str; 6] = [
    "arterial_segment_speed_meters_per_second",
    "arterial_segment_speed_ratio",
    "arterial_segment_delay_vehicle_seconds_per_second",
    "arterial_segment_flow_vehicles_per_hour",
    "arterial_segment_density_vehicles_per_meter",
    "arterial_segment_vehicles",
];

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

/// The figures of a tick; the seed changes every one of them.
fn figures(seed: u64) -> SegmentMetrics {
    let n = SEGMENTS as usize;
    let dice = |row: usize, of: u64| {
        let mixed = (row as u64 + 1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(seed * 7 + of)
            .wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    };
    let column = |of: u64, scale: f64| (0..n).map(|row| dice(row, of) * scale).collect::<Vec<_>>();
    SegmentMetrics {
        segment: (0..SEGMENTS).map(SegmentIndex).collect(),
        speed_mps: column(1, 20.0),
        speed_ratio: column(2, 1.2),
        delay_veh_h_per_h: column(3, 5.0),
        flow_veh_per_h: column(4, 1_800.0),
        density_veh_per_km: column(5, 80.0),
        events: vec![30; n],
        vehicles: (0..n).map(|row| 3 + (dice(row, 6) * 40.0) as u64).collect(),
        percentiles_mps: vec![None; n],
        stderr_mps: vec![None; n],
        free_mps: vec![13.9; n],
        free_basis: vec![roads::FreeFlowBasis::Limit; n],
    }
}

fn published(network: &Network, seed: u64) -> Arc<Published> {
    let metrics = WindowMetrics { segments: figures(seed), ..WindowMetrics::default() };
    let (window, total) = (Window::FiveMinutes, network.segments().len());
    let snapshot = Snapshot::new(window, Some(window.ending(600_000)), &metrics, total, 0, None, Told::default());
    Arc::new(Published { windows: vec![Arc::new(snapshot)], ..Published::default() })
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// CPU milliseconds that something takes.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begin = account().0;
    let done = work();
    (done, (account().0 - begin) * 1_000.0)
}

/// From here on the kernel's peak is that of now.
fn forget_peak() -> f64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    account().1
}

fn own(network: &Arc<Network>, ticks: &[Arc<Published>], scrapes: usize) {
    let before_mb = forget_peak();
    let policy = Policy {
        classes: RoadClass::ALL.to_vec(),
        worst: 0,
        segments_max: SEGMENTS as usize,
        windows: vec![Window::FiveMinutes],
    };
    let pages = SegmentPages::new(Arc::clone(network), policy);
    let mut cost_ms = Vec::new();
    for scrape in 0..scrapes {
        cost_ms.push(timed(|| pages.page(&ticks[scrape % ticks.len()])).1);
    }
    let (_, again_ms) = timed(|| pages.page(&ticks[(scrapes - 1) % ticks.len()]));
    let (_, held_mb, peak_mb) = account();
    let page = pages.page(&ticks[(scrapes - 1) % ticks.len()]);
    let text = unpacked(&page).unwrap();
    let series =
        text.split(|b| *b == b'\n').filter(|line| NAMES.iter().any(|name| line.starts_with(name.as_bytes()))).count();
    assert_eq!(series, SEGMENTS as usize * NAMES.len());
    println!(
        "own: {series} series, {:.2} ms a scrape ({again_ms:.3} ms the same tick again), {:.1} MB held, {:.1} MB peak, \
         {} bytes packed, {} as text",
        median(cost_ms),
        held_mb - before_mb,
        peak_mb - before_mb,
        page.len(),
        text.len()
    );
}

fn by_crate(network: &Arc<Network>, ticks: &[Arc<Published>], scrapes: usize) {
    let before_mb = forget_peak();
    let registry = Registry::new();
    let vector = |name: &&str| {
        let gauges = GaugeVec::new(Opts::new(*name, metric(name).help), metric(name).labels).unwrap();
        registry.register(Box::new(gauges.clone())).unwrap();
        gauges
    };
    let vectors: Vec<GaugeVec> = NAMES.iter().map(vector).collect();
    let ids: Vec<String> = (0..SEGMENTS).map(|at| network.segment(SegmentIndex(at)).id.to_string()).collect();
    let set = |s: &SegmentMetrics| {
        for (row, id) in ids.iter().enumerate() {
            let labels = [network.segment(s.segment[row]).class.name(), id.as_str(), "5m"];
            let values = [
                s.speed_mps[row],
                s.speed_ratio[row],
                s.delay_veh_h_per_h[row],
                s.flow_veh_per_h[row],
                s.density_veh_per_km[row] / 1_000.0,
                s.vehicles[row] as f64,
            ];
            vectors.iter().zip(values).for_each(|(gauges, value)| gauges.with_label_values(&labels).set(value));
        }
    };
    set(&ticks[0].windows[0].segments);
    let held_mb = account().1;
    let (mut set_ms, mut cost_ms, mut pack_ms, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), (0, 0));
    for scrape in 0..scrapes {
        set_ms.push(timed(|| set(&ticks[scrape % ticks.len()].windows[0].segments)).1);
        let encode = || {
            let mut page = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut page).unwrap();
            page
        };
        let (page, encoded_ms) = timed(encode);
        cost_ms.push(encoded_ms);
        let pack = || {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&page).unwrap();
            gzip.finish().unwrap()
        };
        let (packed, packed_ms) = timed(pack);
        pack_ms.push(packed_ms);
        bytes = (packed.len(), page.len());
    }
    let peak_mb = account().2;
    println!(
        "crate: {} series, {:.2} ms a scrape without compression, {:.2} ms more with gzip, {:.2} ms to set, {:.1} MB held, \
         {:.1} MB peak, {} bytes packed, {} as text",
        ids.len() * NAMES.len(),
        median(cost_ms),
        median(pack_ms),
        median(set_ms),
        held_mb - before_mb,
        peak_mb - before_mb,
        bytes.0,
        bytes.1
    );
}

fn main() {
    let side = std::env::args().nth(1).unwrap_or_default();
    let network = Arc::new(city(&CityPlan { blocks_x: 80, blocks_y: 80, ..CityPlan::default() }));
    assert!(network.segments().len() >= SEGMENTS as usize, "{} segments", network.segments().len());
    let ticks = [published(&network, 1), published(&network, 2)];
    match side.as_str() {
        "own" => own(&network, &ticks, SCRAPES),
        "crate" => by_crate(&network, &ticks, SCRAPES),
        "own-once" => own(&network, &ticks, 1),
        "crate-once" => by_crate(&network, &ticks, 1),
        // As `cargo test --benches` starts it: both, shortly.
        _ => {
            own(&network, &ticks, 1);
            by_crate(&network, &ticks, 1);
        }
    }
}
