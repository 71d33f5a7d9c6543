//! From a spool to the published snapshot: how many positions a second.
//!
//! `spool write FOLDER` makes two million plain positions (20,000 vehicles at 1 Hz over 100 s, errors of 1.5 m, on a
//! generated city of 13,950 segments) and writes them as ingest does, 8,192 to a block. `spool follow FOLDER` follows them
//! to the snapshot that holds the last one, by the product's own follower, and says how long it took by the wall and by the
//! processor. Nothing is asserted: a shared machine is no judge of time.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a person to read")]
#![allow(clippy::disallowed_methods, reason = "it measures the wall clock")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use analytics::EngineConfig;
use analytics::area::Areas;
use analytics::fate::SourceClass;
use analytics::follow::{FollowConfig, Follower};
use analytics::metric::window::Window;
use analytics::snapshot::Scale;
use analytics::study::StudyConfig;
use ingest::batch::Batch;
use ingest::spool::{Spool, SpoolConfig};
use roads::generate::{CityPlan, city};
use roads::{Network, SegmentIndex};
use tokio_util::sync::CancellationToken;

const VEHICLES: u64 = 20_000;
const SECONDS: i64 = 100;
const BLOCK_ROWS: usize = 8_192;
const BEGIN_MS: i64 = 1_764_000_000_000;

/// Xorshift* (Vigna 2016), from 0 to 1.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

struct Vehicle {
    name: u64,
    at: SegmentIndex,
    offset_m: f64,
    speed_mps: f64,
}

impl Vehicle {
    fn go_on(&mut self, network: &Network, dice: &mut Dice) {
        self.speed_mps = (self.speed_mps + dice.roll() * 2.0 - 1.0).clamp(2.0, 15.0);
        self.offset_m += self.speed_mps;
        while self.offset_m > network.segment(self.at).length_m {
            self.offset_m -= network.segment(self.at).length_m;
            let here = network.segment(self.at);
            let next = network.successors(self.at);
            let ahead: Vec<_> = next.iter().filter(|s| network.segment(**s).to != here.from).collect();
            self.at = if ahead.is_empty() { next[0] } else { *ahead[(dice.roll() * ahead.len() as f64) as usize] };
        }
    }

    fn report(&self, network: &Network, dice: &mut Dice, time_ms: i64, batch: &mut Batch) {
        let place = network.place(self.at, self.offset_m);
        // The sum of three uniform numbers is near enough to a normal one.
        let mut error_deg = || (dice.roll() + dice.roll() + dice.roll() - 1.5) * 3e-5;
        let rows = &mut batch.positions;
        rows.vehicle.push(self.name);
        rows.seq.push(None);
        rows.time_ms.push(time_ms);
        rows.lon_deg.push(place.lon_deg() + error_deg());
        rows.lat_deg.push(place.lat_deg() + error_deg());
        rows.speed_mps.push(Some(self.speed_mps as f32));
        rows.heading_deg.push(Some(network.heading(self.at, self.offset_m).get()));
        rows.edge.push(None);
        rows.journey.push(None);
        rows.received_ms.push(time_ms);
    }
}

fn network() -> Network {
    city(&CityPlan { blocks_x: 60, blocks_y: 60, ..CityPlan::default() })
}

fn write(folder: &Path) {
    let (network, mut dice) = (network(), Dice(88_172_645_463_325_252));
    let mut vehicle = |i: u64| Vehicle {
        name: i.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        at: SegmentIndex((dice.roll() * network.segments().len() as f64) as u32),
        offset_m: 0.0,
        speed_mps: 10.0,
    };
    let mut vehicles: Vec<Vehicle> = (1..=VEHICLES).map(&mut vehicle).collect();
    let config = SpoolConfig {
        file_bytes_max: 64 << 20,
        file_age_ms_max: i64::MAX,
        retain_bytes: u64::MAX,
        held_bytes_max: u64::MAX,
    };
    let (mut spool, mut batch) = (Spool::open(folder, config).unwrap(), Batch::default());
    for second in 0..SECONDS {
        for (i, vehicle) in vehicles.iter_mut().enumerate() {
            vehicle.go_on(&network, &mut dice);
            vehicle.report(&network, &mut dice, BEGIN_MS + second * 1_000 + i as i64 / 20, &mut batch);
            if batch.len() == BLOCK_ROWS {
                spool.append(&batch).unwrap();
                batch.clear();
            }
        }
    }
    spool.append(&batch).unwrap();
    println!("written positions {} blocks {}", VEHICLES as i64 * SECONDS, spool.next_block().0);
}

/// CPU seconds of all threads, those that ended too; hundredths.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn follow(folder: &Path, threads: usize) {
    let network = Arc::new(network());
    let engine = EngineConfig { threads, ..EngineConfig::live() };
    let areas = Arc::new(Areas::new(&network, None, None));
    let study = StudyConfig { areas, probe_share: None, utc_offset_s: 0 };
    let (spool, scale) = (folder.to_owned(), Scale::default());
    let tick = analytics::follow::TICK;
    let config = FollowConfig { spool, engine, checkpoint: None, fates: None, study, scale, archive: None, tick };
    let (begun, begun_s) = (Instant::now(), cpu_s());
    let stop = CancellationToken::new();
    let follower = Follower::start(config, network, stop.clone()).unwrap();
    let total = VEHICLES * SECONDS as u64;
    let mut watch = follower.watch();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let all = |published: &Arc<analytics::follow::Published>| {
        published.health.engine.received[SourceClass::Position as usize] >= total
    };
    let published = runtime.block_on(async { Arc::clone(&*watch.wait_for(all).await.unwrap()) });
    let (wall_s, used_s) = (begun.elapsed().as_secs_f64(), cpu_s() - begun_s);
    stop.cancel();
    follower.join().unwrap();
    let (m, hour) = (published.health.matching, published.window(Window::OneHour).unwrap());
    println!(
        "follow threads {threads} positions {total} placed {} steps {} segments {} wall_s {wall_s:.2} cpu_s {used_s:.2} per_wall_s {:.0} per_cpu_s {:.0}",
        m.placed,
        m.steps,
        hour.segments.segment.len(),
        total as f64 / wall_s,
        total as f64 / used_s
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", folder] => write(Path::new(folder)),
        ["follow", folder] => {
            follow(Path::new(folder), 1);
            follow(Path::new(folder), 2);
        }
        _ => println!("usage: spool write FOLDER | follow FOLDER"),
    }
}
