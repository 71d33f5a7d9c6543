//! `arterial` alone: a simulated city, ingest as its own MQTT server, analytics and dashboard in one process.
//!
//! The parts talk as they do apart: the city publishes over MQTT, analytics reads the spool.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use analytics::EngineConfig;
use analytics::follow::{CheckpointConfig, FollowConfig};
use clap::builder::FalseyValueParser;
use ingest::server::{self, ServerConfig};
use ingest::{Ingest, IngestConfig};
use prometheus::Registry;
use sim::{CityConfig, PublishConfig};
use tokio_util::sync::CancellationToken;

use crate::analyse_live::{Service, TickArg, checkpoint_dir, fates_of, readiness_of};
use crate::logging::{self, LogArgs};
use crate::pages::PagesArgs;
use crate::simulate::Quality;
use crate::{archive_args, areas, exported, listen, network, reload, report, simulate};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    traffic: simulate::TrafficArgs,
    /// Where devices connect
    #[arg(long, env = "ARTERIAL_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:1883")]
    mqtt_listen: SocketAddr,
    /// Where API, dashboard and metrics are served
    #[arg(long, env = "ARTERIAL_HTTP_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    http_listen: SocketAddr,
    /// Folder for the spool, dead letters and the secret of the pseudonyms
    #[arg(long, env = "ARTERIAL_DATA_DIR", value_name = "DIR", default_value = "arterial-data")]
    data: PathBuf,
    #[command(flatten)]
    areas: areas::Args,
    #[command(flatten)]
    archive: archive_args::Args,
    #[command(flatten)]
    export: exported::Args,
    #[command(flatten)]
    pages: PagesArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    tick: TickArg,
    #[command(flatten)]
    calendar: report::CalendarArg,
    /// Listen on addresses that other machines can reach, without certificates and passwords
    #[arg(long, env = "ARTERIAL_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    allow_remote: bool,
}

/// The city in the topics and on the page.
const CITY: &str = "demo";

/// Least traffic of a day, as a share of the busiest hour's: more than in life, so that there is something to see.
const NIGHT_PERMILLE: u16 = 200;

pub(crate) async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let mqtt = listen::bind(args.mqtt_listen, "--mqtt-listen", args.allow_remote).await?;
    let http = args.pages.open(args.http_listen, args.allow_remote).await?;
    let parts = vec![
        logging::part(&args.log),
        http.part(|now| now.command.is_none().then_some((&now.city.pages, now.city.allow_remote))),
    ];
    tokio::spawn(reload::on_hangup(parts, stop.clone()));
    let mqtt_address = mqtt.local_addr()?;
    let network = Arc::new(network::demo());
    let by_hour = Some(sim::scene::weekday_levels(NIGHT_PERMILLE));
    let city = args.traffic.city(Arc::clone(&network), simulate::this_second(), Quality::Exact, by_hour)?;

    let registry = Registry::new();
    exported::built(&registry, "city")?;
    let ingest = Ingest::start(IngestConfig::new(&args.data), &registry)?;
    let writer = ingest.writer();
    let config = FollowConfig {
        spool: ingest::start::spool_dir(&args.data),
        engine: EngineConfig::live(),
        checkpoint: Some(CheckpointConfig::new(checkpoint_dir(&args.data))),
        fates: Some(fates_of(&writer)),
        study: args.areas.study(&network, 0)?,
        scale: args.areas.scale(),
        archive: args.archive.config(&args.data, CITY)?,
        tick: args.tick.tick(),
    };
    let also_ready = Some(readiness_of(ingest.ready()));
    let shared = registry.clone();
    let policy = args.export.policy();
    let calendar = Arc::new(args.calendar.open()?);
    let named = CITY.to_owned();
    let service = Service { city: named, network, config, registry, policy, also_ready, replay: None, calendar };

    // Ended in the order of the data: the city first, then the endpoint with everything acknowledged, then the rest.
    let (endpoint_stop, service_stop) = (CancellationToken::new(), CancellationToken::new());
    let mut endpoint = tokio::spawn(server::serve(mqtt, writer, endpoint_stop.clone(), ServerConfig::default()));
    let mut pages = tokio::spawn(service.serve(http, service_stop.clone()));
    let connection = PublishConfig::new(mqtt_address.ip().to_string(), mqtt_address.port(), "arterial-city");
    let traffic_stop = stop.clone();
    let mut traffic = tokio::spawn(async move {
        simulate::publish(city, CityConfig::new(CITY), vec![connection], &shared, traffic_stop).await
    });
    tokio::select! {
        ended = &mut traffic => ended??,
        ended = &mut endpoint => ended??,
        ended = &mut pages => drop(ended??),
    }
    stop.cancel();
    if !traffic.is_finished() {
        traffic.await??;
    }
    endpoint_stop.cancel();
    if !endpoint.is_finished() {
        endpoint.await??;
    }
    tokio::task::spawn_blocking(move || ingest.stop()).await??;
    service_stop.cancel();
    if !pages.is_finished() {
        pages.await??;
    }
    Ok(())
}
