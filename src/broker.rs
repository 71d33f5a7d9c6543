//! `--broker HOST:PORT` and the account on it.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use sim::{PublishConfig, PublishReport, Publisher};
use tokio_util::sync::CancellationToken;

/// An MQTT server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').unwrap_or((text, "1883"));
        match port.parse() {
            Ok(port) if !host.is_empty() => Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port }),
            Ok(_) | Err(_) => Err(format!("`{text}` is not HOST:PORT, such as 127.0.0.1:1883")),
        }
    }
}

/// Name and password at the broker.
#[derive(clap::Args, Clone)]
pub(crate) struct Account {
    /// Name at the broker
    #[arg(long, env = "ARTERIAL_MQTT_USER", value_name = "NAME")]
    mqtt_user: Option<String>,
    /// Password at the broker; from the environment only, so that it is in no list of processes
    #[arg(skip = std::env::var("ARTERIAL_MQTT_PASSWORD").ok())]
    mqtt_password: Option<String>,
}

impl Account {
    /// Name and password, if there is a name.
    pub(crate) fn login(&self) -> Option<(String, String)> {
        Some((self.mqtt_user.clone()?, self.mqtt_password.clone().unwrap_or_default()))
    }
}

/// Where and as whom to publish.
#[derive(clap::Args, Clone)]
pub(crate) struct PublishArgs {
    /// The MQTT server: `arterial ingest`, or a broker
    #[arg(long, env = "ARTERIAL_BROKER", value_name = "HOST:PORT", default_value = "127.0.0.1:1883")]
    broker: HostPort,
    #[command(flatten)]
    account: Account,
    /// City in the topics
    #[arg(long, env = "ARTERIAL_CITY", default_value = "demo")]
    pub(crate) city: String,
    /// How long an MQTT server that does not answer is tried
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    give_up_after_s: u64,
}

impl PublishArgs {
    /// The connection of this process, under a name of its own.
    pub(crate) fn connection(&self, what: &str) -> PublishConfig {
        let client_id = format!("arterial-{what}-{}", std::process::id());
        PublishConfig {
            credentials: self.account.login(),
            connect_within: Duration::from_secs(self.give_up_after_s),
            ..PublishConfig::new(&self.broker.host, self.broker.port, client_id)
        }
    }
}

/// Longest wait for acknowledgements after somebody asked to stop.
const GOODBYE: Duration = Duration::from_secs(10);

/// Waits until everything is acknowledged; once `stop` was asked for, not much longer.
pub(crate) async fn finish(publisher: Publisher, stop: &CancellationToken) -> anyhow::Result<PublishReport> {
    let counters = publisher.counters();
    let hurry = async {
        stop.cancelled().await;
        tokio::time::sleep(GOODBYE).await;
    };
    tokio::select! {
        done = publisher.finish() => Ok(done?),
        () = hurry => bail!(
            "{} messages were not acknowledged within {GOODBYE:?} of the stop; is the disk of the MQTT server full?",
            counters.accepted() - counters.acked() - counters.refused()
        ),
    }
}

/// Connects, or says what to start first.
pub(crate) async fn connect(connection: PublishConfig) -> anyhow::Result<Publisher> {
    let place = format!("{}:{}", connection.host, connection.port);
    Publisher::connect(connection)
        .await
        .with_context(|| format!("the broker at {place} cannot be used; start `arterial ingest` or the broker first"))
}
