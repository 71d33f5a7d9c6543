//! Why a connection to the broker ended: in words for the log and `/ready`, as a closed list for metrics.
//!
//! Upstream: [`super`] and [`super::link`]. Downstream: [`super::presence`], `arterial_ingest_mqtt_failures_total`.

use rumqttc::v5;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Connection4(#[from] Box<rumqttc::ConnectionError>),
    #[error("{0}")]
    Connection5(#[from] Box<v5::ConnectionError>),
    #[error("the broker refuses to subscribe us to `{filter}`: {reason}")]
    Refused { filter: String, reason: String },
    #[error("the broker answers our subscription for {expected} filters with {found} codes")]
    Codes { expected: usize, found: usize },
    #[error("an acknowledgement found no room in the client's queue")]
    AckQueue,
}

impl Failure {
    /// Which of the reasons that is.
    pub(super) fn reason(&self) -> Lost {
        match self {
            Self::Connection4(cause) => reason4(cause),
            Self::Connection5(cause) => reason5(cause),
            Self::Refused { .. } => Lost::Subscription,
            Self::Codes { .. } => Lost::Protocol,
            Self::AckQueue => Lost::AckQueue,
        }
    }
}

fn reason4(cause: &rumqttc::ConnectionError) -> Lost {
    use rumqttc::{ConnectReturnCode as Code, ConnectionError as Error};
    match cause {
        Error::Tls(_) => Lost::Tls,
        Error::ConnectionRefused(Code::BadUserNamePassword | Code::NotAuthorized) => Lost::Login,
        Error::ConnectionRefused(_) => Lost::Refused,
        Error::MqttState(state) => match state {
            rumqttc::StateError::Io(cause) => io_reason(cause),
            rumqttc::StateError::AwaitPingResp | rumqttc::StateError::ConnectionAborted => Lost::Network,
            _ => Lost::Protocol,
        },
        Error::Io(cause) => io_reason(cause),
        Error::NetworkTimeout | Error::FlushTimeout => Lost::Network,
        _ => Lost::Protocol,
    }
}

fn reason5(cause: &v5::ConnectionError) -> Lost {
    use v5::{ConnectionError as Error, StateError};
    match cause {
        Error::Tls(_) => Lost::Tls,
        Error::ConnectionRefused(code) | Error::MqttState(StateError::ConnFail { reason: code }) => refusal5(*code),
        Error::MqttState(state) => match state {
            StateError::Io(cause) => io_reason(cause),
            StateError::AwaitPingResp | StateError::ConnectionAborted => Lost::Network,
            StateError::ServerDisconnect { .. } => Lost::Refused,
            _ => Lost::Protocol,
        },
        Error::Io(cause) => io_reason(cause),
        Error::Timeout(_) => Lost::Network,
        _ => Lost::Protocol,
    }
}

fn refusal5(code: v5::mqttbytes::v5::ConnectReturnCode) -> Lost {
    use v5::mqttbytes::v5::ConnectReturnCode as Code;
    match code {
        Code::BadUserNamePassword | Code::NotAuthorized | Code::BadAuthenticationMethod | Code::Banned => Lost::Login,
        _ => Lost::Refused,
    }
}

/// A refusal of TLS after the handshake of version 1.3 arrives as an error of the socket.
fn io_reason(cause: &std::io::Error) -> Lost {
    match cause.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        true => Lost::Tls,
        false => Lost::Network,
    }
}

/// Why a connection to the broker ended: the label in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// TLS was not agreed upon: another authority, another name, no client certificate.
    Tls,
    /// No account there, or not its password, or not allowed to connect.
    Login,
    /// The broker refuses the connection for another reason: busy, a version, an id.
    Refused,
    /// A subscription is refused: its access list does not have us.
    Subscription,
    /// It does not answer, or the connection broke.
    Network,
    /// It does not keep to the protocol, or to what we told it.
    Protocol,
    /// Our own queue of acknowledgements was full.
    AckQueue,
}

impl Lost {
    /// All reasons.
    pub const ALL: [Self; 7] =
        [Self::Tls, Self::Login, Self::Refused, Self::Subscription, Self::Network, Self::Protocol, Self::AckQueue];

    /// The label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Refused => "refused",
            Self::Subscription => "subscription",
            Self::Network => "network",
            Self::Protocol => "protocol",
            Self::AckQueue => "ack_queue",
        }
    }
}
