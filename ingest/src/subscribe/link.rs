//! The client library in its two versions of the protocol, as one.
//!
//! Upstream: the broker. Downstream: [`super`], which polls, and [`super::epoch`], which acknowledges.

use std::sync::Arc;

use bytes::Bytes;
use events::TimeMs;
use rumqttc::v5::mqttbytes as mqtt5;
use rumqttc::{Outgoing, TlsConfiguration, Transport, v5};

use super::{Failure, SubscribeConfig, Version};
use crate::server::received_ms;

/// Largest packet of the standard (MQTT 3.1.1, section 2.2.3), bytes. A 3.1.1 broker cannot be told a smaller one:
/// a client that refuses what the broker keeps sending would be sent it for ever.
const STANDARD_BYTES_MAX: usize = 268_435_460;

/// Requests that the library's queue holds: an acknowledgement for every packet id, the subscription, a ping and a
/// goodbye. A 3.1.1 broker cannot be told to have fewer in flight; and mosquitto 2.0.11 was seen to send a resumed
/// session more than the receive maximum: with a smaller queue its client broke off, was sent all of it again, and
/// never got ahead.
const REQUESTS_MAX: usize = u16::MAX as usize + 16;

/// One client of one broker.
pub(super) enum Link {
    V4 { client: rumqttc::AsyncClient, events: Box<rumqttc::EventLoop> },
    V5 { client: v5::AsyncClient, events: Box<v5::EventLoop> },
}

/// What came from the broker, or left for it.
pub(super) enum Heard {
    Connected {
        session_present: bool,
    },
    /// The answer to our subscription: for each filter, why it was refused.
    Granted(Vec<Result<(), String>>),
    Message(Message),
    SaidGoodbye,
    /// Pings, our own acknowledgements and whatever else keeps the connection going.
    Other,
}

pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    /// The receive clock that it carries.
    pub(super) received: Option<TimeMs>,
    /// `None` for QoS 0.
    pub(super) receipt: Option<Receipt>,
}

/// What an acknowledgement has to name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receipt {
    id: u16,
    exactly_once: bool,
}

/// The acknowledging half of a link.
pub(super) enum Acker {
    V4(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

impl Acker {
    /// Hands an acknowledgement to the library; whether there was room.
    pub(super) fn ack(&self, receipt: Receipt) -> bool {
        let Receipt { id: pkid, exactly_once } = receipt;
        match self {
            Self::V4(client) => {
                let qos = if exactly_once { rumqttc::QoS::ExactlyOnce } else { rumqttc::QoS::AtLeastOnce };
                let mut publish = rumqttc::Publish::new("", qos, Vec::new());
                publish.pkid = pkid;
                client.try_ack(&publish).is_ok()
            }
            Self::V5(client) => {
                let qos = if exactly_once { mqtt5::QoS::ExactlyOnce } else { mqtt5::QoS::AtLeastOnce };
                client.try_ack(&mqtt5::v5::Publish { qos, pkid, ..mqtt5::v5::Publish::default() }).is_ok()
            }
        }
    }
}

impl Link {
    pub(super) fn new(config: &SubscribeConfig, client_id: &str) -> Self {
        match config.version {
            Version::V4 => {
                let (client, events) = rumqttc::AsyncClient::new(options4(config, client_id), REQUESTS_MAX);
                Self::V4 { client, events: Box::new(events) }
            }
            Version::V5 => {
                let (client, events) = v5::AsyncClient::new(options5(config, client_id), REQUESTS_MAX);
                Self::V5 { client, events: Box::new(events) }
            }
        }
    }

    pub(super) fn acker(&self) -> Acker {
        match self {
            Self::V4 { client, .. } => Acker::V4(client.clone()),
            Self::V5 { client, .. } => Acker::V5(client.clone()),
        }
    }

    /// Waits for the next event. Never to be cancelled while the connection is to go on.
    pub(super) async fn poll(&mut self) -> Result<Heard, Failure> {
        match self {
            Self::V4 { events, .. } => Ok(heard4(events.poll().await.map_err(Box::new)?)),
            Self::V5 { events, .. } => Ok(heard5(events.poll().await.map_err(Box::new)?)),
        }
    }

    /// The next message, if the library has it at hand already.
    pub(super) fn at_hand(&mut self) -> Option<Message> {
        match self {
            Self::V4 { events, .. } => match events.state.events.pop_front()? {
                rumqttc::Event::Incoming(rumqttc::Packet::Publish(publish)) => Some(message4(publish)),
                other => {
                    events.state.events.push_front(other);
                    None
                }
            },
            Self::V5 { events, .. } => match events.state.events.pop_front()? {
                v5::Event::Incoming(mqtt5::v5::Packet::Publish(publish)) => Some(message5(publish)),
                other => {
                    events.state.events.push_front(other);
                    None
                }
            },
        }
    }

    /// Asks for filters, with QoS 1; whether there was room to ask.
    pub(super) fn subscribe(&self, filters: &[String]) -> bool {
        match self {
            Self::V4 { client, .. } => {
                let filter = |f: &String| rumqttc::SubscribeFilter::new(f.clone(), rumqttc::QoS::AtLeastOnce);
                client.try_subscribe_many(filters.iter().map(filter)).is_ok()
            }
            Self::V5 { client, .. } => {
                let filter = |f: &String| mqtt5::v5::Filter::new(f, mqtt5::QoS::AtLeastOnce);
                client.try_subscribe_many(filters.iter().map(filter)).is_ok()
            }
        }
    }

    /// Says goodbye; whether there was room to say it.
    pub(super) fn disconnect(&self) -> bool {
        match self {
            Self::V4 { client, .. } => client.try_disconnect().is_ok(),
            Self::V5 { client, .. } => client.try_disconnect().is_ok(),
        }
    }

    /// Throws away everything that is left of a connection.
    pub(super) fn forget(&mut self) {
        match self {
            Self::V4 { events, .. } => {
                events.state.events.clear();
                events.clean();
            }
            Self::V5 { events, .. } => {
                events.state.events.clear();
                events.clean();
            }
        }
    }
}

fn transport(config: &SubscribeConfig) -> Transport {
    match &config.tls {
        Some(tls) => Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))),
        None => Transport::tcp(),
    }
}

fn options4(config: &SubscribeConfig, client_id: &str) -> rumqttc::MqttOptions {
    let mut options = rumqttc::MqttOptions::new(client_id, &config.host, config.port);
    options
        .set_manual_acks(true)
        .set_clean_session(false)
        .set_keep_alive(config.keep_alive)
        .set_max_packet_size(STANDARD_BYTES_MAX, STANDARD_BYTES_MAX)
        .set_transport(transport(config));
    if let Some((user, password)) = &config.login {
        options.set_credentials(user, password);
    }
    options
}

fn options5(config: &SubscribeConfig, client_id: &str) -> v5::MqttOptions {
    let mut options = v5::MqttOptions::new(client_id, &config.host, config.port);
    options
        .set_manual_acks(true)
        .set_clean_start(false)
        .set_keep_alive(config.keep_alive)
        .set_session_expiry_interval(u32::try_from(config.session_expiry.as_secs()).ok())
        .set_receive_maximum(Some(config.receive_maximum.max(1)))
        .set_max_packet_size(Some(config.packet_bytes_max))
        .set_transport(transport(config));
    if let Some((user, password)) = &config.login {
        options.set_credentials(user, password);
    }
    options
}

fn heard4(event: rumqttc::Event) -> Heard {
    use rumqttc::{Event, Packet, SubscribeReasonCode};
    match event {
        Event::Incoming(Packet::ConnAck(connack)) => Heard::Connected { session_present: connack.session_present },
        Event::Incoming(Packet::SubAck(suback)) => {
            let granted = |code: SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(_) => Ok(()),
                SubscribeReasonCode::Failure => Err("it gives no reason".to_owned()),
            };
            Heard::Granted(suback.return_codes.into_iter().map(granted).collect())
        }
        Event::Incoming(Packet::Publish(publish)) => Heard::Message(message4(publish)),
        Event::Outgoing(Outgoing::Disconnect) => Heard::SaidGoodbye,
        Event::Incoming(_) | Event::Outgoing(_) => Heard::Other,
    }
}

fn heard5(event: v5::Event) -> Heard {
    use mqtt5::v5::{Packet, SubscribeReasonCode};
    match event {
        v5::Event::Incoming(Packet::ConnAck(connack)) => Heard::Connected { session_present: connack.session_present },
        v5::Event::Incoming(Packet::SubAck(suback)) => {
            let granted = |code: SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(_) => Ok(()),
                refused => Err(format!("{refused:?}")),
            };
            Heard::Granted(suback.return_codes.into_iter().map(granted).collect())
        }
        v5::Event::Incoming(Packet::Publish(publish)) => Heard::Message(message5(publish)),
        v5::Event::Outgoing(Outgoing::Disconnect) => Heard::SaidGoodbye,
        v5::Event::Incoming(_) | v5::Event::Outgoing(_) => Heard::Other,
    }
}

fn message4(publish: rumqttc::Publish) -> Message {
    let receipt = match publish.qos {
        rumqttc::QoS::AtMostOnce => None,
        rumqttc::QoS::AtLeastOnce => Some(Receipt { id: publish.pkid, exactly_once: false }),
        rumqttc::QoS::ExactlyOnce => Some(Receipt { id: publish.pkid, exactly_once: true }),
    };
    Message { topic: publish.topic, payload: publish.payload, received: None, receipt }
}

fn message5(publish: mqtt5::v5::Publish) -> Message {
    let receipt = match publish.qos {
        mqtt5::QoS::AtMostOnce => None,
        mqtt5::QoS::AtLeastOnce => Some(Receipt { id: publish.pkid, exactly_once: false }),
        mqtt5::QoS::ExactlyOnce => Some(Receipt { id: publish.pkid, exactly_once: true }),
    };
    let properties = publish.properties.as_ref();
    let received = properties.and_then(|p| received_ms(&p.user_properties));
    // A topic that is not UTF-8 breaks the standard; it is kept readable in its dead letter.
    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
    Message { topic, payload: publish.payload, received, receipt }
}
