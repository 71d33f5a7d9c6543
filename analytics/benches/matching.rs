//! Throughput of the matcher with few and with many vehicles, and what they take in memory.
//!
//! `cargo bench --package analytics --bench matching [-- FIXES] [decided|live]` matches the same number of fixes
//! (default 40 million) of 1,000 and of 1,000,000 vehicles, one every 10 s of each, mixed: in every round each vehicle
//! reports once, in an order that has nothing to do with where it lies in memory. Seconds are those of one core (user
//! and system), and everything is in them: making the fixes (a lookup), taking them in, and the end, where what is
//! undecided is decided. Nothing is asserted: a shared machine is no judge of time.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a person to read")]

use std::sync::Arc;

use analytics::matching::drive::{Recording, Wanted};
use analytics::matching::{MatchConfig, Matcher, Observed};
use events::LonLat;
use roads::generate::{CityPlan, city};
use roads::{Network, SegmentIndex};

/// Fixes of all vehicles together, unless the command line says another number: 40 of each of a million.
const FIXES: usize = 40_000_000;

/// One in so many of them is matched live too.
const LIVE_SHARE: usize = 8;

/// Drives that the vehicles share, each beginning elsewhere on it, and their fixes: 1 MiB, so that reading them
/// costs as good as nothing.
const DRIVES: usize = 100;
const DRIVE_FIXES: usize = 640;

/// A vehicle that has come to the end of a drive is silent for so long before it begins again, milliseconds: more
/// than the matcher lets pass as one drive.
const PAUSE_MS: i64 = 300_000;

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
    while places.len() < DRIVE_FIXES {
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

/// What a vehicle reports in a round.
fn seen(drives: &[Vec<LonLat>], vehicle: usize, round: usize) -> Observed {
    let k = vehicle / DRIVES * 7 + round;
    let time_ms = round as i64 * 10_000 + (k / DRIVE_FIXES) as i64 * PAUSE_MS;
    let at = drives[vehicle % DRIVES][k % DRIVE_FIXES];
    Observed { vehicle: vehicle as u64, time_ms, at, speed_mps: None, heading: None, edge: None }
}

/// Calls `take` with the fixes of all rounds.
fn all(drives: &[Vec<LonLat>], vehicles: usize, fixes: usize, mut take: impl FnMut(&Observed)) {
    for round in 0..fixes / vehicles {
        // Steps of a prime visit every vehicle once.
        (0..vehicles).for_each(|i| take(&seen(drives, (i * 611_953 + round * 104_729) % vehicles, round)));
    }
}

/// Seconds of this process on a processor.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Peak memory since it was last asked for, MiB.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

/// What is decided only, as `arterial match` asks for.
fn decided(network: &Arc<Network>, drives: &[Vec<LonLat>], vehicles: usize, fixes: usize) {
    let mut recording = Recording::new(Arc::clone(network), MatchConfig::default(), Wanted::Traversals);
    // The remembered routes belong to the network, not to the vehicles.
    all(drives, 1_000, 640_000, |seen| recording.take(seen, |_| {}));
    recording.finish(|_| {});
    let (mut rows, begun_s) = (0_u64, cpu_s());
    peak_mib();
    all(drives, vehicles, fixes, |seen| recording.take(seen, |_| rows += 1));
    recording.finish(|_| rows += 1);
    let rate = fixes as f64 / (cpu_s() - begun_s);
    let peak = peak_mib();
    println!("decided only, {vehicles:>9} vehicles: {rate:>9.0} fixes/CPU s, {rows} rows, peak {peak:.0} MiB");
}

/// The best drive as it is known now, as `arterial analytics` asks for.
fn live(network: &Arc<Network>, drives: &[Vec<LonLat>], vehicles: usize, fixes: usize) {
    let mut matcher = Matcher::new(Arc::clone(network), MatchConfig::default());
    let (mut changes, begun_s) = (0_u64, cpu_s());
    all(drives, vehicles, fixes, |seen| matcher.observe(seen, |_| changes += 1));
    let rate = fixes as f64 / (cpu_s() - begun_s);
    let changes = changes as f64 / fixes as f64;
    let (peak, most) = (peak_mib(), (0..vehicles as u64).map(|v| matcher.bytes_of(v)).max().unwrap_or_default());
    println!("live, {vehicles:>9} vehicles: {rate:>9.0} fixes/CPU s, {changes:.1} changes of cells a fix");
    println!("      peak {peak:.0} MiB, at most {most} bytes a vehicle");
    let begun_s = cpu_s();
    matcher.forget_silent(i64::MAX, |_| {});
    println!("      {:.3} CPU s to forget them all; {} left", cpu_s() - begun_s, matcher.vehicles());
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let fixes = words.iter().find_map(|word| word.parse().ok()).unwrap_or(FIXES);
    let wants = |what: &str| !words.iter().any(|w| w == "decided" || w == "live") || words.iter().any(|w| w == what);
    let network = Arc::new(city(&CityPlan { blocks_x: 60, blocks_y: 60, ..CityPlan::default() }));
    println!("network of {} segments; {fixes} fixes, one every 10 s, vehicles mixed", network.segments().len());
    let drives: Vec<Vec<LonLat>> = (0..DRIVES as u64).map(|seed| drive(&network, seed)).collect();
    for vehicles in [1_000, 1_000_000] {
        if wants("decided") {
            decided(&network, &drives, vehicles, fixes);
        }
        if wants("live") {
            // Live costs several times as much, and says the same after fewer.
            live(&network, &drives, vehicles, fixes / LIVE_SHARE);
        }
    }
}
