//! `arterial analytics`: the spool → metrics, API, dashboard.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use analytics::archive::metrics;
use analytics::archive::status::Status;
use analytics::calendar::Calendar;
use analytics::export::policy::Policy;
use analytics::export::segments::SegmentPages;
use analytics::follow::{CheckpointConfig, FatesSource, FollowConfig, Follower};
use analytics::http::history::HistorySource;
use analytics::http::{self, Api, Readiness};
use analytics::matching::MatchConfig;
use analytics::{Engine, EngineConfig, export, output};
use anyhow::{Context, bail};
use clap::builder::FalseyValueParser;
use prometheus::Registry;
use roads::Network;
use tokio_util::sync::CancellationToken;

use crate::logging::{self, LogArgs};
use crate::pages::{Pages, PagesArgs};
use crate::{Arterial, Command, archive_args, areas, exported, network, reload, report, signals};

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
    /// How far behind the newest positions, less 30 s for disorder, a position may be stamped and still count, seconds
    /// of event time
    #[arg(long, env = "ARTERIAL_LATENESS_SECONDS", value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(..=900))]
    lateness_seconds: u32,
    /// How far the city's clock is ahead of UTC, minutes: when a detector's service day (05:00 to 22:00) begins
    #[arg(
        long,
        env = "ARTERIAL_UTC_OFFSET_MINUTES",
        value_name = "MINUTES",
        default_value_t = 0,
        allow_hyphen_values = true
    )]
    utc_offset_minutes: i32,
    /// Folder for checkpoints, from which a restart goes on; DIR/analytics in the folder of --data unless given
    #[arg(long, env = "ARTERIAL_CHECKPOINT_DIR", value_name = "DIR")]
    checkpoint_dir: Option<PathBuf>,
    /// A checkpoint is written after so many seconds …
    #[arg(long, env = "ARTERIAL_CHECKPOINT_SECONDS", value_name = "SECONDS", default_value_t = 30)]
    checkpoint_seconds: u32,
    /// … or so many blocks
    #[arg(long, env = "ARTERIAL_CHECKPOINT_BLOCKS", value_name = "BLOCKS", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    checkpoint_blocks: u32,
    /// Which detectors belong to which phases of signals: CSV with the columns device, channel, phase, function
    #[arg(long, env = "ARTERIAL_SIGNAL_DETECTORS", value_name = "FILE")]
    signal_detectors: Option<PathBuf>,
    /// Scheduled headways of bus lines: CSV with the columns route,direction,headway_s
    #[arg(long, env = "ARTERIAL_BUS_HEADWAYS", value_name = "FILE")]
    bus_headways: Option<PathBuf>,
    /// Write the cells that are kept to this file (.csv or .parquet) at the end. They are of single vehicles too: for
    /// engineers, not for publication
    #[arg(long, value_name = "FILE")]
    cells: Option<PathBuf>,
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
    /// Let the page hold the reins of a replay on this machine: what `arterial replay --control` was given
    #[arg(long, env = "ARTERIAL_REPLAY_CONTROL", value_name = "ADDRESS")]
    replay_control: Option<SocketAddr>,
    #[command(flatten)]
    tick: TickArg,
    #[command(flatten)]
    calendar: report::CalendarArg,
    /// Listen on addresses that other machines can reach, without certificates and tokens
    #[arg(long, env = "ARTERIAL_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    allow_remote: bool,
}

impl Arterial {
    fn analytics(&self) -> Option<&Args> {
        if let Some(Command::Analytics(args)) = &self.command { Some(args) } else { None }
    }
}

/// How often figures are published.
#[derive(clap::Args)]
pub(crate) struct TickArg {
    /// Time between two publications of all figures, milliseconds
    #[arg(long, env = "ARTERIAL_TICK_MS", value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(50..=60_000))]
    tick_ms: u32,
}

impl TickArg {
    pub(crate) fn tick(&self) -> Duration {
        Duration::from_millis(u64::from(self.tick_ms))
    }
}

pub(crate) async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let pages = args.pages.open(args.http_listen, args.allow_remote).await?;
    let parts =
        vec![logging::part(&args.log), pages.part(|now| now.analytics().map(|args| (&args.pages, args.allow_remote)))];
    tokio::spawn(reload::on_hangup(parts, stop.clone()));
    let network::Map { network, hexagons } = network::load(&args.network, || {
        bail!(
            "give --network FILE, or --area WEST,SOUTH,EAST,NORTH to count in hexagons where there is no road network"
        )
    })?;
    let keep_ms = Some(i64::from(args.keep_minutes) * 60_000);
    let matching = MatchConfig { hexagons, ..MatchConfig::default() };
    // A file of cells has panes of one length.
    let engine = EngineConfig {
        matching,
        keep_ms,
        lateness_ms: Some(i64::from(args.lateness_seconds) * 1_000),
        fold: args.cells.is_none(),
        utc_offset_s: args.utc_offset_minutes * 60,
        schedule: args.bus_headways.as_deref().map(signals::schedule).transpose()?.unwrap_or_default(),
        wiring: args.signal_detectors.as_deref().map(signals::wiring).transpose()?.unwrap_or_default(),
        ..EngineConfig::live()
    };
    let checkpoint = CheckpointConfig {
        dir: args.checkpoint_dir.unwrap_or_else(|| checkpoint_dir(&args.data)),
        every: Duration::from_secs(u64::from(args.checkpoint_seconds)),
        every_blocks: u64::from(args.checkpoint_blocks),
    };
    let spool = ingest::start::spool_dir(&args.data);
    let (study, scale) = (args.areas.study(&network, args.utc_offset_minutes * 60)?, args.areas.scale());
    let archive = args.archive.config(&args.data, &args.city)?;
    let calendar = Arc::new(args.calendar.open()?);
    let (checkpoint, tick) = (Some(checkpoint), args.tick.tick());
    let config = FollowConfig { spool, engine, checkpoint, fates: None, study, scale, archive, tick };
    let registry = Registry::new();
    exported::built(&registry, "analytics")?;
    let (policy, replay) = (args.export.policy(), args.replay_control);
    let service = Service { city: args.city, network, config, registry, policy, also_ready: None, replay, calendar };
    let engine = service.serve(pages, stop).await?;
    if let (Some(path), Some(engine)) = (args.cells, engine) {
        output::write(&path, engine.network(), &engine.store().sorted_rows())?;
    }
    Ok(())
}

/// The place of checkpoints in the folder of all data.
pub(crate) fn checkpoint_dir(data: &Path) -> PathBuf {
    data.join("analytics")
}

/// Analytics and its HTTP server, alone or beside ingest in one process.
pub(crate) struct Service {
    pub(crate) city: String,
    pub(crate) network: Arc<Network>,
    pub(crate) config: FollowConfig,
    pub(crate) registry: Registry,
    /// Which segments are exported to Prometheus.
    pub(crate) policy: Policy,
    pub(crate) also_ready: Option<Readiness>,
    pub(crate) replay: Option<SocketAddr>,
    /// The city's clock, for reports.
    pub(crate) calendar: Arc<Calendar>,
}

impl Service {
    /// Serves until asked to stop; gives what analytics holds then.
    pub(crate) async fn serve(self, pages: Pages, stop: CancellationToken) -> anyhow::Result<Option<Engine>> {
        let Self { city, network, config, registry, policy, also_ready, replay, calendar } = self;
        let folder = config.spool.display().to_string();
        if !config.spool.exists() {
            tracing::warn!("{folder} is not there yet: waiting for `arterial ingest` to make it");
        }
        let archive = config.archive.as_ref().map(|archive| archive.1.clone());
        let kept = config.archive.as_ref().and_then(|(record, _)| record.place.folder().map(Path::to_owned));
        let areas = Arc::clone(&config.study.areas);
        let history = kept.map(|folder| HistorySource::new(folder, city.clone(), areas, calendar));
        let follower = Follower::start(config, Arc::clone(&network), stop.clone())
            .with_context(|| format!("cannot read {folder}; is it the folder that `arterial ingest` writes?"))?;
        export::register(&registry, follower.watch(), Arc::clone(&network))?;
        archive.iter().try_for_each(|status| metrics::register(&registry, status.clone()))?;
        if let (Some(source), Some(status)) = (&history, &archive) {
            tokio::spawn(source.keep_tables(Arc::clone(&network), status.days(), stop.clone()));
        }
        let also_ready = all_ready(also_ready, archive);
        let segments = Arc::new(SegmentPages::new(Arc::clone(&network), policy));
        let (watch, stopped) = (follower.watch(), stop.clone());
        let api = Api { city, watch, registry: registry.clone(), segments, also_ready, replay, history, stop: stopped };
        let address = pages.listener.local_addr()?;
        tracing::info!(
            segments = network.segments().len(),
            "analytics serves {}://{address} ({})",
            pages.scheme(),
            if http::has_dashboard() { "with the dashboard" } else { "without the dashboard: see its first page" }
        );
        let router = http::router(api, &network)?;
        pages.serve(router, &registry, stop.clone())?.await?;
        stop.cancel();
        Ok(tokio::task::spawn_blocking(move || follower.join()).await?)
    }
}

/// Ready when ingest is, and history can be written.
fn all_ready(ingest: Option<Readiness>, archive: Option<Status>) -> Option<Readiness> {
    let Some(status) = archive else { return ingest };
    Some(Arc::new(move || ingest.as_ref().map_or(Ok(()), |ask| ask()).and_then(|()| status.ready())))
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
