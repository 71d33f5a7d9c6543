//! Who may connect to the MQTT endpoint: certificates, accounts, and the rule for addresses that others reach.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::builder::FalseyValueParser;
use ingest::credentials::Credentials;
use ingest::server::Door;
use ingest::tls::{self, Identity};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::listen;
use crate::reload::{Part, fingerprint};

/// Keys that a reload takes over, apart from the files' contents.
const KEYS: [&str; 5] = ["tls_cert", "tls_key", "client_ca", "credentials", "believe_received"];

/// The door of the endpoint.
#[derive(clap::Args, Clone)]
pub(crate) struct DoorArgs {
    /// Certificate of the MQTT endpoint with its chain, PEM: devices then connect by TLS only
    #[arg(long, env = "ARTERIAL_TLS_CERT", value_name = "FILE", requires = "tls_key", conflicts_with = "broker")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, env = "ARTERIAL_TLS_KEY", value_name = "FILE", requires = "tls_cert", conflicts_with = "broker")]
    tls_key: Option<PathBuf>,
    /// Let in only devices with a certificate that one of these authorities signed, PEM
    #[arg(long, env = "ARTERIAL_CLIENT_CA", value_name = "FILE", requires = "tls_cert", conflicts_with = "broker")]
    client_ca: Option<PathBuf>,
    /// Let in only these accounts: one a line, name, hash, sources; `arterial credentials` makes such lines
    #[arg(long, env = "ARTERIAL_CREDENTIALS", value_name = "FILE", conflicts_with = "broker")]
    credentials: Option<PathBuf>,
    /// Believe the receive clock that any message carries (`received-ms`), as replays do. Otherwise it is believed
    /// from accounts with the right `replay`; without accounts, from this machine or a broker on it only
    #[arg(long, env = "ARTERIAL_BELIEVE_RECEIVED", value_parser = FalseyValueParser::new())]
    pub(crate) believe_received: bool,
}

impl DoorArgs {
    /// Reads certificates and accounts.
    pub(crate) fn open(&self) -> anyhow::Result<Door> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let identity = Identity { certificate: certificate.clone(), key: key.clone() };
                Some(tls::server(&identity, self.client_ca.as_deref())?)
            }
            (_, _) => None,
        };
        let credentials = self.credentials.as_deref().map(Credentials::read).transpose()?.map(Arc::new);
        Ok(Door { tls, credentials, believe_received: self.believe_received })
    }

    fn files(&self) -> [Option<&PathBuf>; 4] {
        [&self.tls_cert, &self.tls_key, &self.client_ca, &self.credentials].map(Option::as_ref)
    }

    /// What a reload does to the door; `again` finds its options in what is configured now.
    pub(crate) fn part(
        &self,
        door: watch::Sender<Arc<Door>>,
        address: SocketAddr,
        again: fn(&crate::Arterial) -> Option<(&Self, bool)>,
    ) -> Part {
        let (mut seen, mut believed) = (fingerprint(&self.files()), self.believe_received);
        Part::new("certificates and accounts of the MQTT endpoint", &KEYS, move |now| {
            let Some((args, allow_remote)) = again(now) else { return Ok(None) };
            let found = fingerprint(&args.files());
            if found == seen && args.believe_received == believed {
                return Ok(None);
            }
            args.check(address, allow_remote)?;
            let new = args.open()?;
            let said = format!("{} accounts", new.credentials.as_ref().map_or(0, |accounts| accounts.len()));
            door.send_replace(Arc::new(new));
            (seen, believed) = (found, args.believe_received);
            Ok(Some(said))
        })
    }

    /// Binds the endpoint's address.
    pub(crate) async fn bind(&self, address: SocketAddr, allow_remote: bool) -> anyhow::Result<TcpListener> {
        self.check(address, allow_remote)?;
        listen::bind(address, "--listen", true).await
    }

    /// Beyond this machine it must be known who comes, and no password may travel in the clear.
    fn check(&self, address: SocketAddr, allow_remote: bool) -> anyhow::Result<()> {
        let private = self.client_ca.is_some() || (self.credentials.is_some() && self.tls_cert.is_some());
        if !private && !allow_remote && !address.ip().is_loopback() {
            let lacks = match (&self.credentials, &self.tls_cert) {
                (Some(_), _) => "passwords would travel to it in the clear: add --tls-cert and --tls-key",
                (None, Some(_)) => "anybody could publish to it: add --credentials or --client-ca",
                (None, None) => {
                    "anybody could publish to it, for everybody to read: add --tls-cert, --tls-key and --credentials \
                     (or --client-ca)"
                }
            };
            bail!(
                "--listen {address} would be reachable from other machines, and {lacks}; use 127.0.0.1, or add \
                 --allow-remote inside a network that you trust"
            );
        }
        Ok(())
    }
}
