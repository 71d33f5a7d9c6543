//! `--broker HOST:PORT` and the account on it.

use std::str::FromStr;

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
