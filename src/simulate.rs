//! `arterial sim`: a simulated city over MQTT.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use events::TimeMs;
use roads::Network;
use sim::{City, CityConfig, CityProgress, PublishConfig, Scenario, SensorConfig, Speed, World, run_city};
use tokio_util::sync::CancellationToken;

use crate::broker::{self, PublishArgs};
use crate::{network, progress};

/// Who drives.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TrafficArgs {
    /// Vehicles on the road at once
    #[arg(long, env = "ARTERIAL_VEHICLES", default_value_t = Scenario::default().vehicles)]
    vehicles: u32,
    /// The same seed gives the same traffic
    #[arg(long, env = "ARTERIAL_SEED", default_value_t = Scenario::default().seed)]
    seed: u64,
    /// Share of the vehicles that report their position, 0 to 1
    #[arg(long, env = "ARTERIAL_PROBE_SHARE", value_name = "SHARE", default_value_t = 1.0, value_parser = parse_share)]
    probe_share: f64,
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        Ok(_) | Err(_) => Err(format!("`{text}` is not a share between 0 and 1")),
    }
}

impl TrafficArgs {
    /// A city that begins now.
    pub(crate) fn city(&self, network: Arc<Network>) -> anyhow::Result<City> {
        let scenario =
            Scenario { seed: self.seed, vehicles: self.vehicles, start: this_second(), ..Scenario::default() };
        let world = World::new(network, scenario)?;
        Ok(City::new(world, SensorConfig { probe_share: self.probe_share, ..SensorConfig::default() }))
    }
}

#[allow(clippy::disallowed_methods, reason = "a live city begins now; from then on only its own seconds count")]
fn this_second() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(since.as_secs() as i64 * 1_000)
}

/// Simulate a city and publish it over MQTT
#[derive(clap::Args)]
pub(crate) struct Args {
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
}

pub(crate) async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let network = network::streets(&args.network)?;
    let city = args.traffic.city(network)?;
    let config = CityConfig { speed: args.speed, duration_s: args.duration_s, ..CityConfig::new(&args.publish.city) };
    publish(city, config, args.publish.connection("sim"), stop).await
}

/// Publishes a city until it is stopped, with a progress line.
pub(crate) async fn publish(
    mut city: City,
    config: CityConfig,
    connection: PublishConfig,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let place = format!("{}:{}", connection.host, connection.port);
    let mut publisher = broker::connect(connection).await?;
    tracing::info!(segments = city.world.network().segments().len(), "the simulated city publishes to {place}");
    let (shown, counters, bar) = (CityProgress::default(), publisher.counters(), progress::line());
    let report = {
        let work = run_city(&mut city, &mut publisher, &config, &shown, stop.clone());
        tokio::pin!(work);
        loop {
            tokio::select! {
                report = &mut work => break report?,
                () = tokio::time::sleep(Duration::from_secs(1)) => bar.set_message(format!(
                    "{} vehicles, {} events in {} messages, {} acknowledged, {} unsent, at {}",
                    shown.vehicles(), shown.events(), shown.messages(), counters.acked(), counters.unsent(), shown.event_time().rfc3339()
                )),
            }
        }
    };
    bar.finish_and_clear();
    let done = broker::finish(publisher, &stop).await?;
    tracing::info!(
        seconds = report.seconds,
        positions = report.positions,
        detectors = report.detectors,
        signals = report.signals,
        messages = done.sent,
        acknowledged = done.acked,
        "the simulated city ended"
    );
    Ok(())
}
