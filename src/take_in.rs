//! `arterial ingest`: MQTT → durable blocks in the spool.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::ValueEnum;
use clap::builder::FalseyValueParser;
use events::Topic;
use events::foreign::by_topic::Rules;
use ingest::rate_limit::RateConfig;
use ingest::server::{self, ServerConfig};
use ingest::subscribe::{self, SubscribeConfig, Version};
use ingest::{Ingest, IngestConfig};
use prometheus::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::broker::{Account, HostPort};
use crate::door::DoorArgs;
use crate::logging::{self, LogArgs};
use crate::pages::PagesArgs;
use crate::{Arterial, Command, exported, reload};

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
    /// Subscribe at this broker in place of being the server. It keeps messages for us only from our first connection
    /// on: start ingest before anybody publishes
    #[arg(long, env = "ARTERIAL_BROKER", value_name = "HOST:PORT")]
    broker: Option<HostPort>,
    #[command(flatten)]
    door: DoorArgs,
    #[command(flatten)]
    account: Account,
    /// Version of the protocol towards the broker
    #[arg(long, env = "ARTERIAL_MQTT_VERSION", value_enum, default_value = "5", requires = "broker")]
    mqtt_version: MqttVersion,
    /// Messages that a broker of version 5 may send ahead of our acknowledgements
    #[arg(long, env = "ARTERIAL_IN_FLIGHT", value_name = "MESSAGES", default_value_t = 8_192, value_parser = clap::value_parser!(u16).range(1..))]
    in_flight: u16,
    /// Share the messages with the other members of this group, as the broker deals them out
    #[arg(long, env = "ARTERIAL_SHARE", value_name = "GROUP", requires = "broker")]
    share: Option<String>,
    /// Connections to the broker; several need --share, and may change the order of a source's messages
    #[arg(long, env = "ARTERIAL_CONNECTIONS", value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    connections: u8,
    /// Events a second that one source may send, a minute's worth at once; 0 is no limit
    #[arg(long, env = "ARTERIAL_SOURCE_RATE_MAX", value_name = "EVENTS", default_value_t = 0)]
    source_rate_max: u32,
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
    #[command(flatten)]
    pages: PagesArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Listen on addresses that other machines can reach, without certificates and passwords
    #[arg(long, env = "ARTERIAL_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    allow_remote: bool,
}

/// As a person writes it.
#[derive(Clone, Copy, ValueEnum)]
enum MqttVersion {
    #[value(name = "3.1.1")]
    V311,
    #[value(name = "5")]
    V5,
}

impl Args {
    fn subscription(&self, broker: &HostPort, formats: &Rules) -> anyhow::Result<SubscribeConfig> {
        if self.connections > 1 && self.share.is_none() {
            bail!("{} connections would each get every message: name a group with --share", self.connections);
        }
        if self.share.as_ref().is_some_and(|group| group.is_empty() || group.contains(['/', '+', '#'])) {
            bail!("--share must name a group without `/`, `+` and `#`");
        }
        let defaults = SubscribeConfig::new(&broker.host, broker.port);
        // What a rule names is wanted; protobuf is ours as JSON is.
        let wanted = formats.filters().map(str::to_owned).chain([Topic::PROTOBUF_FILTER.to_owned()]);
        let filters = defaults.filters.iter().cloned().chain(wanted).collect();
        Ok(SubscribeConfig {
            version: match self.mqtt_version {
                MqttVersion::V311 => Version::V4,
                MqttVersion::V5 => Version::V5,
            },
            tls: self.account.tls()?,
            login: self.account.login()?,
            client_id: self.client_id.clone(),
            connections: usize::from(self.connections),
            share: self.share.clone(),
            believe_received: self.door.believe_received || broker.is_here(),
            filters: if self.filter.is_empty() { filters } else { self.filter.clone() },
            receive_maximum: self.in_flight,
            ..defaults
        })
    }

    fn ingest(&self) -> IngestConfig {
        let mut config = IngestConfig::new(&self.data);
        config.writer.rate = RateConfig { events_per_s: self.source_rate_max, ..RateConfig::default() };
        config
    }
}

impl Arterial {
    fn ingest(&self) -> Option<&Args> {
        if let Some(Command::Ingest(args)) = &self.command { Some(args) } else { None }
    }
}

pub(crate) async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let formats = Rules::parse(args.format.iter().map(String::as_str)).context("--format")?;
    let http = args.pages.open(args.http_listen, args.allow_remote).await?;
    let mqtt = match &args.broker {
        Some(_) => None,
        None => Some(args.door.bind(args.listen, args.allow_remote).await?),
    };
    let (door, subscription) =
        (args.door.open()?, args.broker.as_ref().map(|b| args.subscription(b, &formats)).transpose()?);
    let (door, watched) = watch::channel(Arc::new(door));
    let parts = vec![
        logging::part(&args.log),
        http.part(|now| now.ingest().map(|args| (&args.pages, args.allow_remote))),
        args.door.part(door, args.listen, |now| now.ingest().map(|args| (&args.door, args.allow_remote))),
    ];
    tokio::spawn(reload::on_hangup(parts, stop.clone()));
    let registry = Registry::new();
    exported::built(&registry, "ingest")?;
    let ingest = Ingest::start(IngestConfig { formats: formats.clone(), ..args.ingest() }, &registry)?;
    let writer = ingest.writer();
    // Before the pages are served: else they say "ready" while nobody is subscribed yet.
    let subscribing = subscription.map(|config| {
        tracing::info!(data = %args.data.display(), "ingest subscribes at {}:{}", config.host, config.port);
        subscribe::run(config, writer.clone(), stop.clone())
    });
    let router = ingest::http::router(registry.clone(), ingest.ready());
    let pages = tokio::spawn(http.serve(router, &registry, stop.clone())?);
    let received = match (mqtt, subscribing) {
        (Some(listener), _) => {
            tracing::info!(data = %args.data.display(), "ingest is the MQTT server at {}", listener.local_addr()?);
            server::serve_watching(watched, listener, writer, stop.clone(), ServerConfig::default()).await
        }
        (None, Some(subscribing)) => {
            subscribing.await;
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
