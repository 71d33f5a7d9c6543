//! `--broker HOST:PORT`, the account on it, and the certificates.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ingest::tls::{self, Identity};
use sim::{PublishConfig, PublishReport, Publisher};
use tokio_util::sync::CancellationToken;

/// An MQTT server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl HostPort {
    /// Whether that is this very machine.
    pub(crate) fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }
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
    /// File whose first line is the password at the broker; or set ARTERIAL_MQTT_PASSWORD
    #[arg(long, env = "ARTERIAL_MQTT_PASSWORD_FILE", value_name = "FILE", requires = "mqtt_user")]
    mqtt_password_file: Option<PathBuf>,
    /// Password at the broker; from a file or the environment only, so that it is in no list of processes
    #[arg(skip = std::env::var("ARTERIAL_MQTT_PASSWORD").ok())]
    mqtt_password: Option<String>,
    /// Connect by TLS, to a broker with a certificate that one of these authorities signed, PEM; Debian keeps the
    /// public ones in /etc/ssl/certs/ca-certificates.crt
    #[arg(long, env = "ARTERIAL_BROKER_CA", value_name = "FILE")]
    broker_ca: Option<PathBuf>,
    /// Our own certificate, if the broker asks for one, PEM
    #[arg(long, env = "ARTERIAL_BROKER_CERT", value_name = "FILE", requires_all = ["broker_ca", "broker_key"])]
    broker_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, env = "ARTERIAL_BROKER_KEY", value_name = "FILE", requires = "broker_cert")]
    broker_key: Option<PathBuf>,
}

impl Account {
    /// Name and password, if there is a name.
    pub(crate) fn login(&self) -> anyhow::Result<Option<(String, String)>> {
        let Some(name) = self.mqtt_user.clone() else { return Ok(None) };
        let password = match &self.mqtt_password_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the password from {}", path.display()))?;
                text.lines().next().unwrap_or_default().to_owned()
            }
            None => self.mqtt_password.clone().unwrap_or_default(),
        };
        Ok(Some((name, password)))
    }

    /// TLS, if there is an authority.
    pub(crate) fn tls(&self) -> anyhow::Result<Option<Arc<rustls::ClientConfig>>> {
        let Some(authority) = &self.broker_ca else { return Ok(None) };
        let identity = match (&self.broker_cert, &self.broker_key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate: certificate.clone(), key: key.clone() }),
            (_, _) => None,
        };
        Ok(Some(tls::client(authority, identity.as_ref())?))
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
    #[arg(long, env = "ARTERIAL_GIVE_UP_AFTER_S", value_name = "SECONDS", default_value_t = 10)]
    give_up_after_s: u64,
}

impl PublishArgs {
    /// The connection of this process, under a name of its own.
    pub(crate) fn connection(&self, what: &str) -> anyhow::Result<PublishConfig> {
        let client_id = format!("arterial-{what}-{}", std::process::id());
        Ok(PublishConfig {
            credentials: self.account.login()?,
            tls: self.account.tls()?,
            connect_within: Duration::from_secs(self.give_up_after_s),
            ..PublishConfig::new(&self.broker.host, self.broker.port, client_id)
        })
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
