//! What measuring and publishing cost without a simulation: cars that only go round, seen by real sensors.
//!
//! `publish broker HOST:PORT CARS SECONDS CONNECTIONS [lifelike]` publishes one position a car-second, paced to the wall clock.
//! `publish sense CARS SECONDS PERCENT` only measures, `publish encode CARS SECONDS` measures and encodes,
//! `publish move CARS SECONDS` does neither: differences of instruction counts are costs.
//! Upstream: `bench/sim/publish.py`. Downstream: `arterial ingest`.

#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::sync::Arc;

use roads::{CityPlan, Network, SegmentIndex};
use sim::city::Desk;
use sim::pace::Pacer;
use sim::random::{Stream, below};
use sim::sensor::Fleet;
use sim::sensor::Reports;
use sim::sensor::encode::Encoder;
use sim::world::Move;
use sim::{CityConfig, Progress, PublishConfig, Publisher, Scenario, SensorConfig, Sensors, Speed, VehicleId, World};

type Failure = Box<dyn std::error::Error>;

/// Every car drives at this speed and never looks ahead, mm/s.
const SPEED_MM_S: i64 = 9_000;

/// Cars that go from street to street.
struct Cars {
    network: Arc<Network>,
    at: Vec<(SegmentIndex, i64)>,
    moves: Vec<Move>,
    second: i64,
}

impl Cars {
    fn new(network: Arc<Network>, count: usize) -> Self {
        let segments = network.segments().len() as u64;
        let place = |car: usize| (SegmentIndex(below(segments, 1, car as u64, 0, Stream::Origin) as u32), 0);
        Self { at: (0..count).map(place).collect(), network, moves: Vec::new(), second: 0 }
    }

    /// What everybody does in the next second.
    fn step(&mut self) -> impl Iterator<Item = Move> + '_ {
        self.moves.clear();
        for (car, (segment, at_mm)) in self.at.iter_mut().enumerate() {
            let length_mm = (self.network.segment(*segment).length_m * 1_000.0) as i64;
            let vehicle = VehicleId(car as u64);
            let speed_mm_s = SPEED_MM_S;
            let one = Move {
                vehicle,
                slot: car as u32,
                segment: *segment,
                lane: 0,
                kind: 0,
                from_mm: *at_mm,
                to_mm: *at_mm + SPEED_MM_S,
                begin_ms: 0,
                end_ms: 1_000,
                speed_mm_s,
                last: true,
            };
            let over_mm = one.to_mm - length_mm;
            let next = self.network.successors(*segment);
            if over_mm <= 0 || next.is_empty() {
                *at_mm = one.to_mm.min(length_mm);
                self.moves.push(Move { to_mm: *at_mm, ..one });
                continue;
            }
            let end_ms = 1_000 * (length_mm - one.from_mm).max(0) / SPEED_MM_S;
            self.moves.push(Move { to_mm: length_mm, end_ms, last: false, ..one });
            let turn = below(next.len() as u64, 2, car as u64, self.second as u64, Stream::Destination);
            *segment = next[turn as usize];
            *at_mm = over_mm.min(SPEED_MM_S);
            self.moves.push(Move { segment: *segment, from_mm: 0, to_mm: *at_mm, begin_ms: end_ms, ..one });
        }
        self.second += 1;
        self.moves.iter().copied()
    }
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let exact = SensorConfig { with_signals: false, with_detectors: false, ..SensorConfig::default() };
    match words[..] {
        ["move", cars, seconds] => count(cars.parse()?, seconds.parse()?, None, false),
        ["sense", cars, seconds, percent] => {
            let probe_share = percent.parse::<f64>()? / 100.0;
            count(cars.parse()?, seconds.parse()?, Some(SensorConfig { probe_share, ..exact }), false)
        }
        ["encode", cars, seconds] => count(cars.parse()?, seconds.parse()?, Some(exact), true),
        ["broker", place, cars, seconds, connections, ref how @ ..] => {
            let mut fleets = Fleet::exact();
            fleets[0].jitter_share = 0.1;
            let config =
                if how == ["lifelike"] { SensorConfig { fleets, ..SensorConfig::lifelike() } } else { exact };
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(broker(place, cars.parse()?, seconds.parse()?, connections.parse()?, config))
        }
        _ => Err("publish broker HOST:PORT CARS SECONDS CONNECTIONS [lifelike] | sense CARS SECONDS PERCENT | encode CARS SECONDS | move CARS SECONDS".into()),
    }
}

fn count(cars: usize, seconds: u64, config: Option<SensorConfig>, encode: bool) -> Result<(), Failure> {
    let network = Arc::new(roads::city(&CityPlan::default()));
    let world = World::new(network.clone(), Scenario::default())?;
    let begin = world.now();
    let mut cars = Cars::new(network.clone(), cars);
    let mut encoder = Encoder::new("sim", &network, false);
    let mut sensors = config.map(|config| Sensors::new(&world, config));
    let (mut said, mut faults, mut payload) = (Reports::default(), Vec::new(), Vec::new());
    let (mut events, mut bytes) = (0, 0);
    for second in 1..=seconds as i64 {
        let moves = cars.step();
        let Some(sensors) = &mut sensors else { continue };
        said.clear();
        sensors.sense_moves(events::TimeMs(begin.0 + 1_000 * second), moves, &mut said, &mut faults);
        events += said.positions.len();
        if encode {
            for batch in said.positions.chunks(1_000) {
                payload.clear();
                encoder.positions(batch, &mut payload);
                bytes += payload.len();
            }
        }
    }
    println!("{events} events, {bytes} bytes");
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a paced run begins now")]
fn now() -> events::TimeMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    events::TimeMs(since.as_secs() as i64 * 1_000)
}

async fn broker(
    place: &str,
    cars: usize,
    seconds: u64,
    connections: usize,
    sensors: SensorConfig,
) -> Result<(), Failure> {
    let network = Arc::new(roads::city(&CityPlan::default()));
    let begin = now();
    let world = World::new(network.clone(), Scenario { start: begin, ..Scenario::default() })?;
    let mut cars = Cars::new(network.clone(), cars);
    let config = CityConfig { speed: Speed::RealTime(1.0), ..CityConfig::new("bench") };
    let (host, port) = place.rsplit_once(':').ok_or("the broker is HOST:PORT")?;
    let mut publishers = Vec::new();
    for n in 0..connections {
        let name = format!("bench-{}-{n}", std::process::id());
        publishers.push(Publisher::connect(PublishConfig::new(host, port.parse()?, name)).await?);
    }
    let counters: Vec<_> = publishers.iter().map(Publisher::counters).collect();
    let progress = Progress::default();
    let mut desk = Desk::new(&network, &sensors, &mut publishers, &config, &progress)?;
    let mut sensors = Sensors::new(&world, sensors);
    let (mut said, mut faults) = (Reports::default(), Vec::new());
    let mut pacer = Pacer::new(config.speed);
    pacer.wait_for(begin).await;
    progress.end_second(begin, pacer.behind(begin));
    let (mut factor, mut behind_s, mut unsent) = (f64::INFINITY, 0.0_f64, 0);
    for second in 0..seconds {
        said.clear();
        faults.clear();
        let end = events::TimeMs(begin.0 + 1_000 * (second as i64 + 1));
        sensors.sense_moves(end, cars.step(), &mut said, &mut faults);
        pacer.wait_for(end).await;
        desk.publish(&said).await?;
        let behind = pacer.behind(end);
        progress.end_second(end, behind);
        behind_s = behind_s.max(behind.as_secs_f64());
        unsent = unsent.max(counters.iter().map(|c| c.unsent()).sum());
        if second >= 10 {
            factor = factor.min(progress.real_time_factor().unwrap_or(0.0));
        }
    }
    let (events, messages) = (progress.events(), progress.messages());
    let held_back_s = progress.held_back().as_secs_f64();
    let megabytes = progress.bytes() as f64 / 1e6;
    let mut acknowledged = 0;
    for publisher in publishers {
        acknowledged += publisher.finish().await?.acked;
    }
    println!(
        "{{\"events\":{events},\"megabytes\":{megabytes:.1},\"messages\":{messages},\"acknowledged\":{acknowledged},\
         \"least_real_time_factor\":{factor:.3},\"most_behind_s\":{behind_s:.3},\"held_back_s\":{held_back_s:.3},\
         \"most_unsent_messages\":{unsent}}}"
    );
    Ok(())
}
