//! Throughput of the matcher with few and with many vehicles, and the memory of one vehicle.
//!
//! `cargo bench --package analytics --bench matching` prints, for 1,000 and 1,000,000 vehicles whose fixes mix, the
//! fixes matched per second of this process. Nothing is asserted: a shared machine is no judge of time.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a person to read")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use analytics::matching::drive::{Recording, Wanted};
use analytics::matching::{MatchConfig, Matcher, Observed};
use events::LonLat;
use roads::generate::{CityPlan, city};
use roads::{Network, SegmentIndex};

/// Fixes of all vehicles together.
const FIXES: usize = 12_000_000;

/// Drives that the vehicles share, each beginning at another time, so that making fixes costs little.
const DRIVES: usize = 500;

/// Positions of one drive at 10 m/s every 10 s, with an error of 5 m.
fn drive(network: &Network, seed: u64) -> Vec<LonLat> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut dice = move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut at = SegmentIndex((dice() * network.segments().len() as f64) as u32);
    let mut offset_m = 0.0;
    let mut places = Vec::new();
    while places.len() < FIXES / 1_000 {
        while offset_m > network.segment(at).length_m {
            offset_m -= network.segment(at).length_m;
            let here = network.segment(at);
            let next = network.successors(at);
            let ahead: Vec<_> = next.iter().filter(|s| network.segment(**s).to != here.from).collect();
            at = if ahead.is_empty() { next[0] } else { *ahead[(dice() * ahead.len() as f64) as usize] };
        }
        let place = network.place(at, offset_m);
        // The sum of three uniform numbers is near enough to a normal one.
        let mut error_deg = || (dice() + dice() + dice() - 1.5) * 1e-4;
        places.push(LonLat::new(place.lon_deg() + error_deg(), place.lat_deg() + error_deg()).unwrap());
        offset_m += 100.0;
    }
    places
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn main() {
    let network = Arc::new(city(&CityPlan { blocks_x: 60, blocks_y: 60, ..CityPlan::default() }));
    println!("network of {} segments; {FIXES} fixes, one every 10 s, vehicles mixed", network.segments().len());
    let drives: Vec<Vec<LonLat>> = (0..DRIVES as u64).map(|seed| drive(&network, seed)).collect();
    let seen = |vehicle: usize, k: usize| {
        let drive = &drives[vehicle % DRIVES];
        let at = drive[(vehicle / DRIVES * 7 + k) % drive.len()];
        let time_ms = k as i64 * 10_000;
        Observed { vehicle: vehicle as u64, time_ms, at, speed_mps: None, heading: None, edge: None }
    };
    for vehicles in [1_000, 1_000_000, 1_000, 1_000_000] {
        let mut recording = Recording::new(Arc::clone(&network), MatchConfig::default(), Wanted::Traversals);
        // The remembered routes belong to the network, not to the vehicles.
        (0..20_000).for_each(|k| recording.take(&seen(k % 1_000, k / 1_000), |_| {}));
        recording.finish(|_| {});
        let mut rows = 0_u64;
        let took = timed(|| {
            for k in 0..FIXES / vehicles {
                (0..vehicles).for_each(|vehicle| recording.take(&seen(vehicle, k), |_| rows += 1));
            }
        });
        let rate = FIXES as f64 / took.as_secs_f64();
        println!("decided only, {vehicles:>9} vehicles: {rate:>9.0} fixes/s, {rows} rows");
    }
    let mut matcher = Matcher::new(Arc::clone(&network), MatchConfig::default());
    let mut changes = 0_u64;
    let fixes = FIXES / 10;
    let took = timed(|| {
        for k in 0..fixes / 1_000 {
            (0..1_000).for_each(|vehicle| matcher.observe(&seen(vehicle, k), |_| changes += 1));
        }
    });
    let rate = fixes as f64 / took.as_secs_f64();
    println!("live, 1,000 vehicles: {rate:.0} fixes/s, {:.1} changes of cells a fix", changes as f64 / fixes as f64);
    println!("state: {} bytes a vehicle", (0..1_000).map(|v| matcher.bytes_of(v)).max().unwrap_or_default());
}
