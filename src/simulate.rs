//! `arterial sim`: a simulated city over MQTT, or into files.

mod headless;
mod sensing;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{bail, ensure};
use axum::routing::get;
use events::TimeMs;
use prometheus::{Registry, TextEncoder};
use roads::Network;
use sim::city::CONNECTIONS_MAX;
use sim::publish::PublishCounters;
use sim::scene::{Laid, Scene};
use sim::{City, CityConfig, Metrics, Progress, PublishConfig, Scenario, SensorConfig, Speed, World, run_city};
use tokio_util::sync::CancellationToken;

pub(crate) use sensing::{Quality, parse_share};

use crate::broker::{self, PublishArgs};
use crate::logging::LogArgs;
use crate::replay::parse_time;
use crate::{exported, listen, network, progress};

/// Who drives, and who of them is seen.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TrafficArgs {
    /// Vehicles on the road at once, at any hour [default: 1200; in the city of `arterial` alone as many in the busiest
    /// hour of the day, and less at others]
    #[arg(long, env = "ARTERIAL_VEHICLES")]
    vehicles: Option<u32>,
    /// The same seed gives the same traffic and the same reports
    #[arg(long, env = "ARTERIAL_SEED", default_value_t = Scenario::default().seed)]
    seed: u64,
    /// Threads that step the city, 1 to 64; the outcome is the same on any number
    #[arg(long, env = "ARTERIAL_THREADS", default_value_t = Scenario::default().threads)]
    threads: usize,
    #[command(flatten)]
    sensors: sensing::SensorArgs,
}

impl TrafficArgs {
    /// A scenario on its network, from that moment on. Sensors are the scenario's, unless the command line has its own.
    pub(crate) fn scene(&self, scene: &Scene, network: Arc<Network>, start: TimeMs) -> anyhow::Result<(City, Laid)> {
        let seed = (self.seed != Scenario::default().seed).then_some(self.seed);
        let mut laid = scene.lay(&network, start, seed)?;
        laid.scenario.threads = self.threads;
        for count in &laid.report.counts {
            tracing::info!("demand: {}: {}", count.what, count.count);
        }
        // Loops are where the files of the scenario have them, however well they measure.
        let loops = laid.loops.clone();
        let sensors = if self.sensors.is_given() {
            SensorConfig { loops, ..self.sensors.config(Quality::Lifelike)? }
        } else {
            laid.sensors.clone()
        };
        let world = World::new(network, laid.scenario.clone())?;
        Ok((City::new(world, sensors), laid))
    }

    /// A city from that moment on. Its traffic follows the hours of the day, unless the command line says how much there is.
    pub(crate) fn city(
        &self,
        network: Arc<Network>,
        start: TimeMs,
        usual: Quality,
        by_hour: Option<[u16; 24]>,
    ) -> anyhow::Result<City> {
        let sensors = self.sensors.config(usual)?;
        let Self { seed, threads, .. } = *self;
        let vehicles = self.vehicles.unwrap_or(Scenario::default().vehicles);
        let by_hour = by_hour.filter(|_| self.vehicles.is_none());
        let scenario = Scenario { seed, vehicles, by_hour, threads, start, ..Scenario::default() };
        let world = World::new(network, scenario)?;
        Ok(City::new(world, sensors))
    }
}

/// The second that runs: a live city begins now.
#[allow(clippy::disallowed_methods, reason = "a live city begins now; from then on only its own seconds count")]
pub(crate) fn this_second() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(since.as_secs() as i64 * 1_000)
}

/// Simulate a city and publish it over MQTT, or write it into files
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name the scenarios that are built in, and end
    #[arg(long)]
    list: bool,
    /// Play a scenario: one of --list, or a file by its path (examples with comments: scenarios/)
    #[arg(long, env = "ARTERIAL_SCENARIO", value_name = "NAME|FILE")]
    scenario: Option<String>,
    #[command(flatten)]
    network: network::NetworkArg,
    #[command(flatten)]
    traffic: TrafficArgs,
    #[command(flatten)]
    publish: PublishArgs,
    /// How fast: a factor of real time, or `max`
    #[arg(long, env = "ARTERIAL_SPEED", default_value = "1")]
    speed: Speed,
    /// Stop after so many simulated seconds
    #[arg(long, value_name = "SECONDS")]
    duration_s: Option<u64>,
    /// First second of the city (RFC 3339, or seconds since 1970), so that days can be made that were or will be
    /// [default: now, and Monday 2026-01-05 at 07:00 UTC with --headless]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    start: Option<TimeMs>,
    /// Connections to the MQTT server, 1 to 64; each vehicle keeps to one
    #[arg(long, env = "ARTERIAL_CONNECTIONS", default_value_t = 2)]
    connections: usize,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Serve metrics for Prometheus here, for instance at 127.0.0.1:9464
    #[arg(long, env = "ARTERIAL_SIM_METRICS", value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Write events and truth as Parquet into --out and publish nothing
    #[arg(long, requires = "out")]
    headless: bool,
    /// Folder for the files of --headless
    #[arg(long, value_name = "DIR", requires = "headless")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(mut args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    if args.list {
        return list();
    }
    let scene = args.scenario.as_deref().map(Scene::open).transpose()?;
    // Not now, without MQTT: the same command gives the same files.
    let usual = || if args.headless { Scenario::default().start } else { this_second() };
    // The world counts in whole seconds.
    let start = args.start.map_or_else(usual, |at| TimeMs(at.0.div_euclid(1_000) * 1_000));
    let city = match &scene {
        Some(scene) => {
            let network = network::of_scene(&args.network, &scene.network())?;
            let (city, laid) = args.traffic.scene(scene, network, start)?;
            args.duration_s = args.duration_s.or(laid.duration_s);
            city
        }
        None => args.traffic.city(network::streets(&args.network)?, start, Quality::Lifelike, None)?,
    };
    if args.headless {
        let (Some(out), Some(duration_s)) = (&args.out, args.duration_s) else {
            bail!("--headless needs --out DIR, and --duration-s SECONDS or a scenario that ends");
        };
        return headless::run(city, out, duration_s, stop).await;
    }
    let connections = args.connections;
    ensure!(
        (1..=CONNECTIONS_MAX).contains(&connections),
        "--connections {connections} cannot be: 1 to {CONNECTIONS_MAX} can"
    );
    let pages = match args.metrics {
        Some(address) => Some(listen::bind(address, "--metrics", false).await?),
        None => None,
    };
    let registry = Registry::new();
    exported::built(&registry, "sim")?;
    if let Some(listener) = pages {
        let page = registry.clone();
        let text = move || async move { TextEncoder::new().encode_to_string(&page.gather()).unwrap_or_default() };
        let router = axum::Router::new().route("/metrics", get(text));
        let ended = stop.clone().cancelled_owned();
        tracing::info!("metrics at http://{}/metrics", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(ended).await });
    }
    let config = CityConfig { speed: args.speed, duration_s: args.duration_s, ..CityConfig::new(&args.publish.city) };
    let first = args.publish.connection("sim")?;
    let numbered = |n: usize| PublishConfig { client_id: format!("{}-{n}", first.client_id), ..first.clone() };
    publish(city, config, (0..connections).map(numbered).collect(), &registry, stop).await
}

fn list() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for (name, description) in Scene::built_in() {
        writeln!(out, "{name:<18}{description}")?;
    }
    Ok(())
}

/// Publishes a city until it is stopped, with a progress line and metrics.
pub(crate) async fn publish(
    mut city: City,
    config: CityConfig,
    connections: Vec<PublishConfig>,
    registry: &Registry,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut publishers = Vec::new();
    for connection in connections {
        if publishers.is_empty() {
            let place = format!("{}:{}", connection.host, connection.port);
            tracing::info!(segments = city.world.network().segments().len(), "the simulated city publishes to {place}");
        }
        publishers.push(broker::connect(connection).await?);
    }
    let counters: Vec<_> = publishers.iter().map(sim::Publisher::counters).collect();
    let (shown, bar) = (Arc::new(Progress::default()), progress::line());
    let metrics = Metrics::new(registry, Arc::clone(&shown), counters.clone())?;
    let report = {
        let work = run_city(&mut city, &mut publishers, &config, &shown, stop.clone());
        tokio::pin!(work);
        loop {
            tokio::select! {
                report = &mut work => break report?,
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    metrics.refresh();
                    bar.set_message(line(&shown, &counters));
                }
            }
        }
    };
    bar.finish_and_clear();
    let (mut sent, mut acknowledged) = (0, 0);
    for publisher in publishers {
        let done = broker::finish(publisher, &stop).await?;
        (sent, acknowledged) = (sent + done.sent, acknowledged + done.acked);
    }
    metrics.refresh();
    tracing::info!(
        seconds = report.seconds,
        positions = report.positions,
        detectors = report.detectors,
        signals = report.signals,
        messages = sent,
        acknowledged,
        held_back_s = shown.held_back().as_secs_f64(),
        "the simulated city ended"
    );
    Ok(())
}

/// Everything that tells whether it keeps up: what waits is named even when it is nothing.
fn line(shown: &Progress, counters: &[Arc<PublishCounters>]) -> String {
    let sum = |of: fn(&PublishCounters) -> u64| counters.iter().map(|c| of(c)).sum::<u64>();
    let factor = shown.real_time_factor().map_or_else(|| "-".to_owned(), |x| format!("{x:.2}"));
    format!(
        "{} vehicles, {} events, {} messages sent, {} acknowledged, {} unsent, {factor} times real time, \
         {:.1} s behind, held back {:.1} s, at {}",
        shown.vehicles(),
        shown.events(),
        sum(PublishCounters::sent),
        sum(PublishCounters::acked),
        sum(PublishCounters::unsent),
        shown.behind().as_secs_f64(),
        shown.held_back().as_secs_f64(),
        shown.event_time().rfc3339()
    )
}
