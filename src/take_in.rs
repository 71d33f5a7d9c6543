//! `arterial ingest`: MQTT → durable blocks in the spool.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::FalseyValueParser;
use events::Topic;
use events::foreign::by_topic::Rules;
use ingest::server::{self, ServerConfig};
use ingest::subscribe::{self, SubscribeConfig};
use ingest::{Ingest, IngestConfig};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::broker::{Account, HostPort};
use crate::listen;

/// Take MQTT messages in and store them durably
///
/// Without --broker it is the MQTT server itself, and acknowledges a message when it is on disk.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder for the spool, dead letters and the secret of the pseudonyms
    #[arg(long, env = "ARTERIAL_DATA_DIR", value_name = "DIR", default_value = "arterial-data")]
    data: PathBuf,
    /// Where devices connect, when it is the MQTT server itself
    #[arg(
        long,
        env = "ARTERIAL_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:1883",
        conflicts_with = "broker"
    )]
    listen: SocketAddr,
    /// Subscribe at this broker in place of being the server
    #[arg(long, env = "ARTERIAL_BROKER", value_name = "HOST:PORT")]
    broker: Option<HostPort>,
    #[command(flatten)]
    account: Account,
    /// Topic filters at the broker; may be repeated
    #[arg(long, env = "ARTERIAL_FILTERS", value_name = "FILTER", value_delimiter = ',', requires = "broker")]
    filter: Vec<String>,
    /// Topics in a foreign format, as FILTER=FORMAT or FILTER=FORMAT:MAP, such as city/vehicles/#=gtfs-rt; may be
    /// repeated, the first that matches decides (docs/formats.md)
    #[arg(long, env = "ARTERIAL_FORMATS", value_name = "FILTER=FORMAT", value_delimiter = ';')]
    format: Vec<String>,
    /// Fixed name at the broker, under which it keeps our session
    #[arg(long, env = "ARTERIAL_CLIENT_ID", value_name = "NAME", default_value = "arterial-ingest")]
    client_id: String,
    /// Where metrics and health are served
    #[arg(long, env = "ARTERIAL_HTTP_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9465")]
    http_listen: SocketAddr,
    /// Listen on addresses that other machines can reach
    #[arg(long, env = "ARTERIAL_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    allow_remote: bool,
}

pub(crate) async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let formats = Rules::parse(args.format.iter().map(String::as_str)).context("--format")?;
    let http = listen::bind(args.http_listen, "--http-listen", args.allow_remote).await?;
    let mqtt = match &args.broker {
        Some(_) => None,
        None => Some(listen::bind(args.listen, "--listen", args.allow_remote).await?),
    };
    let registry = Registry::new();
    let ingest = Ingest::start(IngestConfig { formats: formats.clone(), ..IngestConfig::new(&args.data) }, &registry)?;
    let writer = ingest.writer();
    let router = ingest::http::router(registry, ingest.ready());
    let pages =
        tokio::spawn(axum::serve(http, router).with_graceful_shutdown(stop.clone().cancelled_owned()).into_future());
    let received = match (mqtt, args.broker) {
        (Some(listener), _) => {
            tracing::info!(data = %args.data.display(), "ingest is the MQTT server at {}", listener.local_addr()?);
            server::serve(listener, writer, stop.clone(), ServerConfig::default()).await
        }
        (None, Some(broker)) => {
            tracing::info!(data = %args.data.display(), "ingest subscribes at {}:{}", broker.host, broker.port);
            let defaults = SubscribeConfig::new(broker.host, broker.port);
            // What a rule names is wanted; protobuf is ours as JSON is.
            let wanted = formats.filters().map(str::to_owned).chain([Topic::PROTOBUF_FILTER.to_owned()]);
            let filters = match args.filter.is_empty() {
                true => defaults.filters.into_iter().chain(wanted).collect(),
                false => args.filter,
            };
            let login = args.account.login();
            let config = SubscribeConfig { client_id: args.client_id, login, filters, ..defaults };
            subscribe::run(config, writer, stop.clone()).await;
            Ok(())
        }
        (None, None) => unreachable!("without a broker there is a listener"),
    };
    stop.cancel();
    pages.await??;
    let fates = tokio::task::spawn_blocking(move || ingest.stop()).await??;
    tracing::info!(
        received = fates.received,
        accepted = fates.accepted,
        duplicate = fates.duplicate,
        rejected = fates.rejected_total(),
        "ingest ended; everything acknowledged is on disk"
    );
    Ok(received?)
}
