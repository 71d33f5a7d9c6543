//! Why connections end: the closed list of reasons, as counted and as told to version 5 clients.
//!
//! Upstream: [`super::connection`]. Downstream: [`crate::metrics`], the last packet of a connection.

use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode;

/// Why a connection was closed: the label in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The client said goodbye.
    Disconnected,
    /// The socket ended or failed without a goodbye.
    Network,
    /// CONNECT did not come in time, or something else came instead.
    NoConnect,
    /// A version of the protocol that is not spoken here.
    Version,
    /// An empty client id where version 3.1.1 does not allow one.
    ClientId,
    /// TLS was not agreed upon: no TLS, another authority, no client certificate.
    Tls,
    /// No account, or not its password.
    Login,
    /// Too many connections.
    Busy,
    Malformed,
    TooLarge,
    /// QoS 2.
    QosNotSupported,
    /// A topic alias, though none are allowed, or an impossible topic.
    Topic,
    /// A packet that a client never sends at this place.
    Unexpected,
    /// A message for a source that the account may not speak for.
    NotAllowed,
    /// A packet that was begun and did not come to its end in time.
    SlowPacket,
    /// Longer silent than one and a half keep-alive intervals.
    KeepAlive,
    /// Its account is gone, or has another password now.
    ShutOut,
    /// Another connection came with the same client id.
    TakenOver,
    /// Ingest shuts down.
    Shutdown,
}

impl Close {
    /// All reasons.
    pub const ALL: [Self; 19] = [
        Self::Disconnected,
        Self::Network,
        Self::NoConnect,
        Self::Version,
        Self::ClientId,
        Self::Tls,
        Self::Login,
        Self::Busy,
        Self::Malformed,
        Self::TooLarge,
        Self::QosNotSupported,
        Self::Topic,
        Self::Unexpected,
        Self::NotAllowed,
        Self::SlowPacket,
        Self::KeepAlive,
        Self::ShutOut,
        Self::TakenOver,
        Self::Shutdown,
    ];

    /// The label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Network => "network",
            Self::NoConnect => "no_connect",
            Self::Version => "version",
            Self::ClientId => "client_id",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Busy => "busy",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::QosNotSupported => "qos_not_supported",
            Self::Topic => "topic",
            Self::Unexpected => "unexpected",
            Self::NotAllowed => "not_allowed",
            Self::SlowPacket => "slow_packet",
            Self::KeepAlive => "keep_alive",
            Self::ShutOut => "shut_out",
            Self::TakenOver => "taken_over",
            Self::Shutdown => "shutdown",
        }
    }

    /// What a version 5 client is told; `None` when there is nobody to tell, or nothing to say.
    pub(super) fn code(self) -> Option<DisconnectReasonCode> {
        match self {
            Self::Disconnected
            | Self::Network
            | Self::NoConnect
            | Self::Version
            | Self::ClientId
            | Self::Tls
            | Self::Login
            | Self::Busy => None,
            Self::Malformed => Some(DisconnectReasonCode::MalformedPacket),
            Self::TooLarge => Some(DisconnectReasonCode::PacketTooLarge),
            Self::QosNotSupported => Some(DisconnectReasonCode::QoSNotSupported),
            Self::Topic => Some(DisconnectReasonCode::TopicNameInvalid),
            Self::Unexpected => Some(DisconnectReasonCode::ProtocolError),
            Self::NotAllowed | Self::ShutOut => Some(DisconnectReasonCode::NotAuthorized),
            Self::SlowPacket => Some(DisconnectReasonCode::MaximumConnectTime),
            Self::KeepAlive => Some(DisconnectReasonCode::KeepAliveTimeout),
            Self::TakenOver => Some(DisconnectReasonCode::SessionTakenOver),
            Self::Shutdown => Some(DisconnectReasonCode::ServerShuttingDown),
        }
    }
}
