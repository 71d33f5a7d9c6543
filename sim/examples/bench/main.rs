//! How fast a world steps: updates per CPU second, bytes per vehicle, and a hash of where everybody ended.
//!
//!     cargo run --release -p sim --example bench -- [--grid 40] [--network FILE] [--vehicles N] [--seconds 350]
//!         [--threads 1] [--warm 0]
//!
//! A grid has three lanes a direction, a four-phase signal with protected left turns at every corner and a flow of trips
//! of 1.5 to 4.5 km; a network of a file gets trips drawn by the world itself. An update is one vehicle moved by one
//! second. CPU time is that of the stepping alone, all threads (`/proc/self/stat`); instructions are counted from outside:
//! `valgrind --tool=callgrind` or `perf stat -e instructions:u` with and without `--seconds 0`.

mod grid;

use std::sync::Arc;

use sim::{Scenario, World};

#[allow(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures, and says what")]
fn main() {
    let mut args = std::env::args().skip(1);
    let (mut side, mut file, mut vehicles, mut seconds, mut threads, mut warm) = (40, None, None, 350_u32, 1, 0);
    while let Some(name) = args.next() {
        let value = args.next().expect("every option has a value");
        let number = || value.parse::<u32>().expect("a whole number");
        match name.as_str() {
            "--grid" => side = number(),
            "--network" => file = Some(value),
            "--vehicles" => vehicles = Some(number()),
            "--seconds" => seconds = number(),
            "--threads" => threads = number() as usize,
            "--warm" => warm = number(),
            other => panic!("no such option: {other}"),
        }
    }
    let (network, scenario) = match file {
        Some(file) => (roads::open(&file).expect("a network"), Scenario::default()),
        None => grid::scenario(side, seconds.max(warm)),
    };
    let vehicles = vehicles.unwrap_or(scenario.vehicles);
    let scenario = Scenario { threads, vehicles, ..scenario };
    let mut world = World::new(Arc::new(network), scenario).expect("a scenario");
    for _ in 0..warm {
        world.step();
    }
    let (before, cpu, wall) = (world.counters().updates, cpu_s(), std::time::Instant::now());
    for _ in warm..seconds {
        world.step();
    }
    let (cpu, wall) = (cpu_s() - cpu, wall.elapsed().as_secs_f64());
    let updates = world.counters().updates - before;
    let mut hash = 0_u64;
    for (id, odometer) in world.odometers() {
        hash = (hash.rotate_left(5) ^ id.0 ^ (odometer as u64) << 20).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    let there = world.vehicles_on_road();
    println!(
        "updates {updates}  cpu {cpu:.2} s  wall {wall:.2} s  {:.0} updates/CPU-s  {:.0} updates/s  on road {there} (waiting {})  {:.0} bytes/vehicle  hash {hash:016x}",
        updates as f64 / cpu,
        updates as f64 / wall,
        world.vehicles_waiting(),
        world.vehicle_bytes() as f64 / there.max(1) as f64
    );
    println!("{:?}  overlap {:?}", world.counters(), world.find_overlap());
}

/// User and system time of this process, seconds; Linux only.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
    ticks / 100.0
}
