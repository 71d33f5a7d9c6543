//! `arterial analytics`: the spool → metrics, API, dashboard.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use analytics::follow::{FatesSource, FollowConfig, Follower};
use analytics::http::{self, Api, Readiness};
use analytics::matching::MatchConfig;
use analytics::{Engine, EngineConfig, export, output};
use anyhow::{Context, bail};
use clap::builder::FalseyValueParser;
use prometheus::Registry;
use roads::Network;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{areas, listen, network};

/// Turn what ingest stored into metrics, API and dashboard
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    network: network::NetworkArg,
    /// Folder that `arterial ingest` writes
    #[arg(long, env = "ARTERIAL_DATA_DIR", value_name = "DIR", default_value = "arterial-data")]
    data: PathBuf,
    /// Where API, dashboard and metrics are served
    #[arg(long, env = "ARTERIAL_HTTP_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    http_listen: SocketAddr,
    /// Name of the city, shown on the dashboard
    #[arg(long, env = "ARTERIAL_CITY", default_value = "demo")]
    city: String,
    /// How long cells are kept behind the newest event, minutes of event time; the window of an hour needs 61
    #[arg(long, env = "ARTERIAL_KEEP_MINUTES", value_name = "MINUTES", default_value_t = 61, value_parser = clap::value_parser!(u32).range(20..))]
    keep_minutes: u32,
    /// How far the city's clock is ahead of UTC, minutes: when a detector's service day (05:00 to 22:00) begins
    #[arg(
        long,
        env = "ARTERIAL_UTC_OFFSET_MINUTES",
        value_name = "MINUTES",
        default_value_t = 0,
        allow_hyphen_values = true
    )]
    utc_offset_minutes: i32,
    /// Write the cells that are kept to this file (.csv or .parquet) at the end. They are of single vehicles too: for
    /// engineers, not for publication
    #[arg(long, value_name = "FILE")]
    cells: Option<PathBuf>,
    #[command(flatten)]
    areas: areas::Args,
    /// Listen on addresses that other machines can reach
    #[arg(long, env = "ARTERIAL_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    allow_remote: bool,
}

pub(crate) async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = listen::bind(args.http_listen, "--http-listen", args.allow_remote).await?;
    let network::Map { network, hexagons } = network::load(&args.network, || {
        bail!(
            "give --network FILE, or --area WEST,SOUTH,EAST,NORTH to count in hexagons where there is no road network"
        )
    })?;
    let keep_ms = Some(i64::from(args.keep_minutes) * 60_000);
    let matching = MatchConfig { hexagons, ..MatchConfig::default() };
    // A file of cells has panes of one length.
    let engine =
        EngineConfig { matching, keep_ms, fold: args.cells.is_none(), utc_offset_s: args.utc_offset_minutes * 60 };
    let (study, scale) = (args.areas.study(&network, args.utc_offset_minutes * 60)?, args.areas.scale());
    let config = FollowConfig { spool: ingest::start::spool_dir(&args.data), engine, fates: None, study, scale };
    let service = Service { city: args.city, network, config, registry: Registry::new(), also_ready: None };
    let engine = service.serve(listener, stop).await?;
    if let (Some(path), Some(engine)) = (args.cells, engine) {
        output::write(&path, engine.network(), &engine.store().sorted_rows())?;
    }
    Ok(())
}

/// Analytics and its HTTP server, alone or beside ingest in one process.
pub(crate) struct Service {
    pub(crate) city: String,
    pub(crate) network: Arc<Network>,
    pub(crate) config: FollowConfig,
    pub(crate) registry: Registry,
    pub(crate) also_ready: Option<Readiness>,
}

impl Service {
    /// Serves until asked to stop; gives what analytics holds then.
    pub(crate) async fn serve(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<Option<Engine>> {
        let Self { city, network, config, registry, also_ready } = self;
        let folder = config.spool.display().to_string();
        if !config.spool.exists() {
            tracing::warn!("{folder} is not there yet: waiting for `arterial ingest` to make it");
        }
        let follower = Follower::start(config, Arc::clone(&network), stop.clone())
            .with_context(|| format!("cannot read {folder}; is it the folder that `arterial ingest` writes?"))?;
        export::register(&registry, follower.watch(), Arc::clone(&network))?;
        let api = Api { city, watch: follower.watch(), registry, also_ready, stop: stop.clone() };
        let address = listener.local_addr()?;
        tracing::info!(
            segments = network.segments().len(),
            "analytics serves http://{address} ({})",
            if http::has_dashboard() { "with the dashboard" } else { "without the dashboard: see its first page" }
        );
        let router = http::router(api, &network);
        axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned()).await?;
        stop.cancel();
        Ok(tokio::task::spawn_blocking(move || follower.join()).await?)
    }
}

/// Asks a running ingest for its fates.
pub(crate) fn fates_of(writer: &ingest::WriterHandle) -> FatesSource {
    let metrics = writer.metrics().clone();
    Arc::new(move || metrics.fates())
}

/// Asks a running ingest whether it is ready.
pub(crate) fn readiness_of(ready: ingest::Ready) -> Readiness {
    Arc::new(move || match ready.reasons().into_values().next() {
        Some(reason) => Err(reason),
        None => Ok(()),
    })
}
