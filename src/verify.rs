//! `arterial verify`: simulator → MQTT → ingest → spool → analytics, held against the simulator's truth.
//!
//! One run for each share of probes and seed, one after another, each in a folder of its own that is removed. The
//! traffic of a seed is the same at every share, since measuring changes nothing. Signals and buses are held against what
//! they did, and incidents are closed streets that are to be found ([`crate::incident_trial`]).

mod roadside;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use analytics::matching::MatchConfig;
use analytics::verify::{Cell, Comparison, LoopCount, Row, plot, probe_share, report, verdict};
use analytics::{Engine, EngineConfig};
use anyhow::{Context, bail, ensure};
use events::TimeMs;
use ingest::server::{self, ServerConfig};
use ingest::{BlockNumber, Ingest, IngestConfig, Reader};
use prometheus::Registry;
use roads::{Network, SegmentIndex};
use sim::scene::{Scene, SceneNetwork};
use sim::truth::{PANE_MS, Truth};
use sim::{City, CityConfig, Progress, PublishConfig, Scenario, SensorConfig, Speed, World, run_city};
use tokio_util::sync::CancellationToken;

use crate::incident_trial::{self, Plan};
use crate::simulate::Quality;
use crate::{broker, network, progress};
use roadside::{BusErrors, Plans, SignalErrors};

/// The last panes are not compared cell by cell, milliseconds: who has just turned is on a street nobody can know yet.
const OPEN_MS: i64 = 120_000;

/// Longest run, simulated seconds: its truth is kept in memory.
const DURATION_S_MAX: u64 = 24 * 3_600;

/// Hold the pipeline against the simulator's truth, and say how many probe vehicles a map needs
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The traffic: a scenario of `arterial sim --list`, or a file by its path [default: --vehicles on --network]
    #[arg(long, value_name = "NAME|FILE")]
    scenario: Option<String>,
    #[command(flatten)]
    network: network::NetworkArg,
    /// Shares of the vehicles that report, with commas between them
    #[arg(long, value_name = "SHARES", value_delimiter = ',', default_value = "1%,2%,5%,10%,20%,100%", value_parser = crate::simulate::parse_share)]
    probes: Vec<f64>,
    /// So many runs of each share, with seeds that follow each other
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = Scenario::default().seed)]
    seed: u64,
    /// Vehicles on the road at once, without a scenario
    #[arg(long, default_value_t = Scenario::default().vehicles)]
    vehicles: u32,
    /// Simulated seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1_800, value_parser = clap::value_parser!(u64).range(60..=DURATION_S_MAX))]
    duration_s: u64,
    /// How well sensors measure
    #[arg(long, value_name = "QUALITY", default_value = "exact")]
    sensors: Quality,
    /// Mean error of a position per axis, metres, in place of that of --sensors
    #[arg(long, value_name = "METRES")]
    noise_m: Option<f64>,
    /// Simulated closures from which each incident algorithm is judged, after two hours to learn; 0 for none. `arterial
    /// incidents` has more to set
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    incidents: u64,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Write the curve by share of probes as a picture
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// One run of one city through the whole pipeline.
struct Run {
    truth: Vec<Cell>,
    found: Vec<Cell>,
    loops: Vec<LoopCount>,
    signals: SignalErrors,
}

/// What is not a matter of the share of probes.
struct Roadside {
    signals: SignalErrors,
    buses: BusErrors,
    incidents: Vec<incident_trial::Result>,
}

/// The incidents of `arterial verify`: a small trial of `arterial incidents`.
const INCIDENT_PLAN: Plan = Plan { seeds: 0, probe_share: 1.0, vehicles: 500, learn_hours: 2, quiet_runs: 1 };

pub(crate) async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let scene = args.scenario.as_deref().map(Scene::open).transpose()?;
    let network = network::of_scene(&args.network, &scene.as_ref().map_or(SceneNetwork::Demo, Scene::network))?;
    ensure!(args.probes.iter().all(|share| *share > 0.0), "--probes of 0 report nothing: there is nothing to compare");
    let total = args.probes.len() as u64 * args.seeds * args.duration_s;
    let (bar, mut rows) = (progress::share(total), Vec::new());
    let mut signals = SignalErrors::default();
    for &share in &args.probes {
        let mut all = Comparison::default();
        for seed in args.seed..args.seed + args.seeds {
            let done = rows.len() as u64 * args.seeds + (seed - args.seed);
            bar.set_position(done * args.duration_s);
            bar.set_message(format!("{} % of the vehicles report, seed {seed}", share * 100.0));
            let city = args.city(scene.as_ref(), &network, share, seed)?;
            let end_ms = city.world.now().0 + 1_000 * args.duration_s as i64;
            let shown = |second| bar.set_position(done * args.duration_s + second);
            let run = pipeline(city, &network, args.duration_s, shown, &stop).await?;
            signals = run.signals;
            // The loops count everybody, so they know the share; where there are too few of them it is as asked.
            let found = if share < 1.0 { probe_share(&network, &run.found, &run.loops) } else { None };
            let found = found.unwrap_or(share);
            all.merge(&Comparison::of(&network, &run.truth, &run.found, found, end_ms - OPEN_MS));
        }
        rows.push(Row::new(share, &all));
    }
    bar.finish_and_clear();
    let buses = roadside::buses(&network, args.seed)?;
    let plan = Plan { seeds: args.incidents, ..INCIDENT_PLAN };
    let trial = move || if plan.seeds == 0 { Ok(Vec::new()) } else { incident_trial::trial(&plan, |_| {}) };
    let incidents = tokio::task::spawn_blocking(trial).await??;
    args.tell(&rows, &Roadside { signals, buses, incidents })
}

impl Args {
    fn city(&self, scene: Option<&Scene>, network: &Arc<Network>, share: f64, seed: u64) -> anyhow::Result<City> {
        let mut sensors = match self.sensors {
            Quality::Exact => SensorConfig::default(),
            Quality::Lifelike => SensorConfig::lifelike(),
            Quality::BadDay => SensorConfig::bad_day(),
        };
        sensors.probe_share = share;
        sensors.gps_sigma_m = self.noise_m.unwrap_or(sensors.gps_sigma_m);
        sensors.check()?;
        // Always the same moment: the same command gives the same figures.
        let start: TimeMs = Scenario::default().start;
        let scenario = match scene {
            Some(scene) => scene.lay(network, start, Some(seed))?.scenario,
            None => Scenario { seed, vehicles: self.vehicles, start, ..Scenario::default() },
        };
        let mut city = City::new(World::new(Arc::clone(network), scenario)?, sensors);
        let panes = self.duration_s as usize * 1_000 / PANE_MS as usize + 2;
        city.truth = Some(Truth::new(network.segments().len(), panes * network.segments().len()));
        Ok(city)
    }

    fn tell(&self, rows: &[Row], roadside: &Roadside) -> anyhow::Result<()> {
        let Roadside { signals, buses, incidents } = roadside;
        let sentence = verdict(rows);
        if let Some(path) = &self.plot {
            let title = format!(
                "Errors by share of probes: {}, {} min",
                self.scenario.as_deref().unwrap_or("steady traffic"),
                self.duration_s / 60
            );
            fs::write(path, plot::svg(rows, &title)).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let mut out = std::io::stdout().lock();
        if self.json {
            let incidents = incident_trial::in_json(incidents);
            let all = serde_json::json!({ "shares": rows, "verdict": sentence, "signals": signals.json(), "buses": buses.json(),
                "incidents": incidents });
            writeln!(out, "{all}")?;
        } else {
            let mut text = String::new();
            report::write(&mut text, rows)?;
            writeln!(out, "{text}\n{signals}\n{buses}")?;
            if !incidents.is_empty() {
                writeln!(out, "incidents: {} streets closed, learnt from 2 h, false alarms of 4 h", self.incidents)?;
                incident_trial::table(&mut out, incidents)?;
            }
            writeln!(out, "\n{sentence}")?;
        }
        Ok(())
    }
}

/// Publishes a city as fast as the pipeline takes it in; then reads what is in the spool, and matches it.
async fn pipeline(
    mut city: City,
    network: &Arc<Network>,
    duration_s: u64,
    mut shown: impl FnMut(u64),
    stop: &CancellationToken,
) -> anyhow::Result<Run> {
    let folder = Folder::new()?;
    let plans = roadside::plans(&city.world, &SensorConfig::default().gateway);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let ingest = Ingest::start(IngestConfig::new(&folder.path), &Registry::new())?;
    let endpoint_stop = CancellationToken::new();
    let config = ServerConfig::default();
    let endpoint = tokio::spawn(server::serve(listener, ingest.writer(), endpoint_stop.clone(), config));
    let connection = PublishConfig::new(address.ip().to_string(), address.port(), "arterial-verify");
    let mut publishers = vec![broker::connect(connection).await?];
    let (progress, begin) = (Progress::default(), city.world.now());
    let config = CityConfig { speed: Speed::Max, duration_s: Some(duration_s), ..CityConfig::new("verify") };
    {
        let work = run_city(&mut city, &mut publishers, &config, &progress, stop.clone());
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => { done?; break }
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    shown(((progress.event_time().0 - begin.0) / 1_000).max(0) as u64);
                }
            }
        }
    }
    for publisher in publishers {
        broker::finish(publisher, stop).await?;
    }
    endpoint_stop.cancel();
    endpoint.await??;
    let fates = tokio::task::spawn_blocking(move || ingest.stop()).await??;
    if stop.is_cancelled() {
        bail!("stopped: figures of a part of a run would be those of another run");
    }
    ensure!(fates.rejected_total() == 0, "ingest rejected {} events of the simulator", fates.rejected_total());
    let truth = city.truth.take().context("the city was made with its truth")?.finish();
    let truth = truth.into_iter().map(|c| Cell {
        segment: c.segment,
        pane_ms: c.pane_start_ms,
        distance_mm: c.distance_mm,
        time_ms: c.time_ms,
        vehicles: c.vehicles,
    });
    let truth = truth.collect();
    let network = Arc::clone(network);
    tokio::task::spawn_blocking(move || read(&folder, &network, truth, &plans)).await?
}

/// The spool from its begin to its end, through the engine of analytics.
fn read(folder: &Folder, network: &Arc<Network>, truth: Vec<Cell>, plans: &Plans) -> anyhow::Result<Run> {
    let mut reader = Reader::open(&ingest::start::spool_dir(&folder.path), BlockNumber(0))?;
    let mut engine = Engine::new(Arc::clone(network), EngineConfig::whole(MatchConfig::default()));
    let mut loops = std::collections::BTreeMap::<SegmentIndex, u64>::new();
    while let Some((_, batch)) = reader.next()? {
        engine.apply(&batch);
        for (source, count) in batch.detectors.source.iter().zip(&batch.detectors.count) {
            let id = source.rsplit_once("loop-").and_then(|(_, id)| id.parse().ok());
            if let Some((segment, count)) = id.and_then(|id| network.by_id(id)).zip(*count) {
                *loops.entry(segment).or_default() += u64::from(count);
            }
        }
    }
    let found = engine.store().sorted_rows().into_iter().map(|c| Cell {
        segment: c.segment,
        pane_ms: c.pane_ms,
        distance_mm: c.distance_mm,
        time_ms: c.time_ms,
        vehicles: c.vehicles as u32,
    });
    let loops = loops.into_iter().map(|(segment, vehicles)| LoopCount { segment, vehicles }).collect();
    Ok(Run { truth, found: found.collect(), loops, signals: roadside::signals(plans, &engine) })
}

/// A folder of our own, removed at the end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let base = std::env::temp_dir();
        for n in 0..1_000 {
            let path = base.join(format!("arterial-verify-{}-{n}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("cannot make {}", path.display())),
            }
        }
        bail!("{} is full of folders of runs that were killed: remove arterial-verify-*", base.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, "cannot remove {}", self.path.display());
        }
    }
}
