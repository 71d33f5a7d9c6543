//! Plays a scenario and says what it cost: `play SCENARIO SECONDS SEED [--threads N] [--encode] [--lifelike] [--payloads FILE] [--edges FILE.csv]`.
//!
//! `--encode` measures one position a vehicle and second, exactly, and encodes it as JSON, which is thrown away; with
//! `--payloads` it is kept, a batch a line, so that two builds can be compared byte by byte. `--lifelike` measures with
//! every fault of life instead.
//! One line of JSON: updates (a vehicle moved by a second), departed, arrived, on the road at the end, mean seconds on
//! the road, CPU and wall seconds of the steps alone, events encoded. With a file, one row a street of the source: seconds to pass it by the mean
//! speed on it (as SUMO's edgeData), and vehicles that left it. Upstream: `bench/sim/run.py`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use events::TimeMs;
use events::codec::BATCH_EVENTS_MAX;
use roads::{ImportOptions, Network, import_with};
use sim::scene::{Scene, SceneNetwork};
use sim::sensor::encode::Encoder;
use sim::sensor::{Fleet, Reports};
use sim::{Move, Scenario, SensorConfig, Sensors, Step, World};

/// Sums on one segment.
#[derive(Clone, Copy, Default)]
struct Sums {
    mm: i64,
    ms: i64,
    left: u64,
}

impl Sums {
    /// Takes in a move, without what of it lies in the junction beyond the segment: SUMO counts that apart.
    fn add(&mut self, one: &Move, length_m: f64) {
        let end_mm = (length_m * 1_000.0).round() as i64;
        let (way_mm, time_ms) = (one.to_mm - one.from_mm, one.end_ms - one.begin_ms);
        let before_mm = one.to_mm.min(end_mm) - one.from_mm.min(end_mm);
        self.mm += before_mm;
        self.ms += if way_mm > 0 { time_ms * before_mm / way_mm } else { time_ms * i64::from(one.to_mm <= end_mm) };
        // Who goes on within the second has left.
        self.left += u64::from(!one.last);
    }
}

/// One position a vehicle and second, measured exactly and encoded.
struct Encoding {
    sensors: Sensors,
    encoder: Encoder,
    said: Reports,
    payload: Vec<u8>,
    events: usize,
    kept: Option<BufWriter<File>>,
}

impl Encoding {
    fn new(world: &World, is_lifelike: bool, kept: Option<BufWriter<File>>) -> Self {
        let measured = if is_lifelike {
            SensorConfig { fleets: Fleet::exact(), ..SensorConfig::lifelike() }
        } else {
            SensorConfig::default()
        };
        let positions = SensorConfig { with_signals: false, with_detectors: false, ..measured };
        Self {
            sensors: Sensors::new(world, positions),
            encoder: Encoder::new("sim", world.network(), false),
            said: Reports::default(),
            payload: Vec::new(),
            events: 0,
            kept,
        }
    }

    fn take(&mut self, step: &Step<'_>) -> std::io::Result<()> {
        self.said.clear();
        self.sensors.sense(step, &mut self.said, &mut Vec::new());
        for batch in self.said.positions.chunks(BATCH_EVENTS_MAX) {
            self.payload.clear();
            self.encoder.positions(batch, &mut self.payload);
            self.events += batch.len();
            if let Some(kept) = &mut self.kept {
                kept.write_all(&self.payload)?;
                kept.write_all(b"\n")?;
            }
        }
        Ok(())
    }
}

/// What is asked for beside scenario, seconds and seed.
#[derive(Default)]
struct Asked {
    threads: Option<usize>,
    encode: bool,
    lifelike: bool,
    payloads: Option<String>,
    edges: Option<String>,
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut asked = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--threads" => asked.threads = Some(words.next().ok_or("--threads needs a number")?.parse()?),
                "--encode" => asked.encode = true,
                "--lifelike" => asked.lifelike = true,
                "--payloads" => asked.payloads = Some(words.next().ok_or("--payloads needs a file")?),
                "--edges" => asked.edges = Some(words.next().ok_or("--edges needs a file")?),
                other => return Err(format!("there is no option {other}").into()),
            }
        }
        Ok(asked)
    }
}

#[allow(clippy::disallowed_methods, reason = "it measures how long the steps take")]
fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [scenario, seconds, seed, rest @ ..] = words.as_slice() else {
        return Err("usage: play SCENARIO SECONDS SEED [--threads N] [--encode] [--lifelike] [--payloads FILE] [--edges FILE.csv]".into());
    };
    let (seconds, seed): (u64, u64) = (seconds.parse()?, seed.parse()?);
    let asked = Asked::read(rest.iter().cloned())?;
    let scene = Scene::open(scenario)?;
    let network = Arc::new(open(&scene.network())?);
    let laid = scene.lay(&network, TimeMs(Scenario::default().start.0), Some(seed))?;
    let threads = asked.threads.unwrap_or(laid.scenario.threads);
    let mut world = World::new(Arc::clone(&network), Scenario { threads, ..laid.scenario })?;
    let mut sums = vec![Sums::default(); network.segments().len()];
    let kept = asked.payloads.as_ref().map(File::create).transpose()?.map(BufWriter::new);
    let mut encoding = (asked.encode || kept.is_some()).then(|| Encoding::new(&world, asked.lifelike, kept));
    let mut updates = 0_u64;
    let (begin_s, begin) = (cpu_s(), std::time::Instant::now());
    for _ in 0..seconds {
        let step = world.step();
        let measured = asked.edges.is_some().then(|| step.moves());
        for one in measured.into_iter().flatten() {
            sums[one.segment.at()].add(&one, network.segment(one.segment).length_m);
        }
        for (segment, _) in step.arrivals().filter(|_| asked.edges.is_some()) {
            sums[segment.at()].left += 1;
        }
        if let Some(encoding) = &mut encoding {
            encoding.take(&step)?;
        }
        updates += world.vehicles_on_road() as u64;
    }
    let (cpu_s, wall_s) = (cpu_s() - begin_s, begin.elapsed().as_secs_f64());
    if let Some(path) = &asked.edges {
        write_edges(&network, &sums, path)?;
    }
    let counters = world.counters();
    let mean_s = updates as f64 / counters.departed.max(1) as f64;
    let events = encoding.map_or(0, |encoding| encoding.events);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        r#"{{"updates":{updates},"departed":{},"arrived":{},"running":{},"mean_s":{mean_s:.2},"cpu_s":{cpu_s:.3},"wall_s":{wall_s:.3},"events":{events}}}"#,
        counters.departed,
        counters.arrived,
        world.vehicles_on_road()
    )?;
    Ok(())
}

fn open(network: &SceneNetwork) -> Result<Network, Box<dyn Error>> {
    Ok(match network {
        SceneNetwork::Demo => roads::generate::metropolis(&roads::generate::MetropolisPlan::default()).network,
        SceneNetwork::File { path, programmes } => {
            let options = ImportOptions { programmes: programmes.clone(), ..ImportOptions::default() };
            import_with(path, &options, &mut |_| {})?
        }
    })
}

fn write_edges(network: &Network, sums: &[Sums], path: &str) -> std::io::Result<()> {
    // A long street has several segments: its time is their sum, its vehicles those of the last.
    let mut edges: BTreeMap<&str, (f64, f64, u64)> = BTreeMap::new();
    for at in network.indices() {
        let (segment, sum) = (network.segment(at), sums[at.at()]);
        let edge = edges.entry(&segment.source_id).or_insert((0.0, -1.0, 0));
        edge.0 += segment.length_m * sum.ms as f64 / (sum.mm as f64).max(1.0);
        if segment.source_offset_m > edge.1 {
            (edge.1, edge.2) = (segment.source_offset_m, sum.left);
        }
    }
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "edge,travel_s,left")?;
    for (edge, (travel_s, _, left)) in edges {
        writeln!(out, "{edge},{travel_s:.3},{left}")?;
    }
    out.flush()
}

/// CPU seconds of this process, user and system, in the kernel's ticks of a hundredth.
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() / 100.0
}
