//! The task that talks to the server: sends, matches acknowledgements, reconnects.
//!
//! Upstream: the publisher's queue. Downstream: the server. One connection is one event loop of the library:
//! after an error it is thrown away with its state.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, Packet, PubAckReason, PublishProperties};
use rumqttc::v5::mqttbytes::{Error as PacketError, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport};
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::{Message, PublishConfig, PublishCounters, PublishError, RECEIVED_MS};
use crate::random::{Stream, unit};

/// Pause after the first failure; doubles with each.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);

/// Longest pause between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// One attempt to connect takes no longer, seconds.
const ATTEMPT_S: u64 = 5;

/// A ping after so much silence.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Saying goodbye takes no longer.
const GOODBYE: Duration = Duration::from_secs(2);

/// A message kept until it is acknowledged.
#[derive(Debug)]
struct Kept {
    message: Message,
    was_sent: bool,
}

/// What belongs to one connection.
#[derive(Debug, Default)]
struct Session {
    /// Given to the library and without packet id yet; it takes them in this order.
    handed: VecDeque<u64>,
    by_packet: FxHashMap<u16, u64>,
}

/// Why a connection ended.
enum End {
    Finished,
    Lost(Box<ConnectionError>),
}

pub(super) struct Driver {
    config: PublishConfig,
    queue: mpsc::Receiver<Message>,
    /// Nothing more comes from `queue`.
    closed: bool,
    counters: Arc<PublishCounters>,
    connected: Option<oneshot::Sender<()>>,
    /// By order of arrival; at most `in_flight_max`.
    unacked: BTreeMap<u64, Kept>,
    next: u64,
    /// When the server was last known to be there.
    there: Instant,
    failures: u32,
}

impl Driver {
    pub(super) fn new(
        config: PublishConfig,
        queue: mpsc::Receiver<Message>,
        counters: Arc<PublishCounters>,
        connected: oneshot::Sender<()>,
    ) -> Self {
        let (unacked, there) = (BTreeMap::new(), Instant::now());
        Self {
            config,
            queue,
            closed: false,
            counters,
            connected: Some(connected),
            unacked,
            next: 0,
            there,
            failures: 0,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), PublishError> {
        loop {
            let (client, mut link) = AsyncClient::new(self.options(), usize::from(self.in_flight_max()));
            let mut session = Session::default();
            for (number, kept) in &self.unacked {
                hand_over(&client, &mut session, *number, &kept.message);
            }
            match self.serve(&client, &mut link, &mut session).await {
                End::Finished => {
                    goodbye(&client, &mut link).await;
                    return Ok(());
                }
                End::Lost(error) => self.back_off(error).await?,
            }
        }
    }

    async fn serve(&mut self, client: &AsyncClient, link: &mut EventLoop, session: &mut Session) -> End {
        loop {
            let event = {
                // Polling must not be cancelled half way, since that may lose a packet: the same poll goes on
                // while messages are handed over beside it.
                let poll = link.poll();
                tokio::pin!(poll);
                loop {
                    if self.closed && self.unacked.is_empty() {
                        return End::Finished;
                    }
                    let has_room = !self.closed && self.unacked.len() < usize::from(self.in_flight_max());
                    tokio::select! {
                        event = &mut poll => break event,
                        message = self.queue.recv(), if has_room => match message {
                            Some(message) => self.take(client, session, message),
                            None => self.closed = true,
                        },
                    }
                }
            };
            match event {
                Ok(event) => self.note(event, session),
                Err(error) => return End::Lost(Box::new(error)),
            }
        }
    }

    fn take(&mut self, client: &AsyncClient, session: &mut Session, message: Message) {
        hand_over(client, session, self.next, &message);
        self.unacked.insert(self.next, Kept { message, was_sent: false });
        self.next += 1;
    }

    fn note(&mut self, event: Event, session: &mut Session) {
        match event {
            Event::Outgoing(Outgoing::Publish(packet)) => {
                let Some(number) = session.handed.pop_front() else { return };
                session.by_packet.insert(packet, number);
                if let Some(kept) = self.unacked.get_mut(&number)
                    && !std::mem::replace(&mut kept.was_sent, true)
                {
                    add(&self.counters.sent);
                }
            }
            Event::Incoming(Packet::ConnAck(_)) => {
                self.failures = 0;
                match self.connected.take() {
                    // Nobody waits any more if the caller has given up connecting; the queue is closed then.
                    Some(connected) => drop(connected.send(())),
                    None => add(&self.counters.reconnects),
                }
            }
            Event::Incoming(Packet::PubAck(ack)) => {
                let known = session.by_packet.remove(&ack.pkid).and_then(|number| self.unacked.remove(&number));
                match (known, ack.reason) {
                    (None, _) => {}
                    (Some(_), PubAckReason::Success) => add(&self.counters.acked),
                    (Some(_), PubAckReason::NoMatchingSubscribers) => {
                        add(&self.counters.acked);
                        add(&self.counters.unheard);
                    }
                    (Some(kept), reason) => {
                        add(&self.counters.refused);
                        tracing::error!(
                            topic = kept.message.topic,
                            ?reason,
                            "the server refused a message: it is lost"
                        );
                    }
                }
            }
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
        self.there = Instant::now();
    }

    /// Waits before the next attempt, or says that there is no sense in one.
    async fn back_off(&mut self, error: Box<ConnectionError>) -> Result<(), PublishError> {
        let (host, port) = (self.config.host.clone(), self.config.port);
        if let ConnectionError::ConnectionRefused(code) = *error
            && !is_passing(code)
        {
            return Err(PublishError::NotLetIn { host, port, code });
        }
        if let Some((bytes, bytes_max)) = too_large(&error) {
            let topic = self.unacked.values().max_by_key(|k| k.message.payload.len()).map(|k| k.message.topic.clone());
            return Err(PublishError::TooLarge { topic: topic.unwrap_or_default(), bytes, bytes_max });
        }
        let away = self.there.elapsed();
        let (first, within) = (self.connected.is_some(), self.config.connect_within);
        if first && away >= within {
            return Err(PublishError::Unreachable { host, port, within, source: error });
        }
        if !first && away >= self.config.away_max {
            return Err(PublishError::Away { host, port, away, unacked: self.unacked.len(), source: error });
        }
        if self.failures == 0 {
            tracing::warn!(host, port, unacked = self.unacked.len(), %error, "no connection to the MQTT server, trying again");
        }
        let longest = if first { within.saturating_sub(away) } else { BACKOFF_MAX };
        let pause = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(10)).min(BACKOFF_MAX).min(longest);
        // Half to the whole of it, so that many clients do not come back at the same moment.
        let who = self.config.client_id.bytes().fold(0, |h: u64, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
        let jitter = 0.5 + 0.5 * unit(who, 0, u64::from(self.failures), Stream::Departure);
        self.failures = self.failures.saturating_add(1);
        tokio::time::sleep(pause.mul_f64(jitter)).await;
        Ok(())
    }

    fn options(&self) -> MqttOptions {
        let config = &self.config;
        let mut options = MqttOptions::new(config.client_id.clone(), config.host.clone(), config.port);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_start(true)
            .set_max_packet_size(Some(config.packet_bytes_max))
            .set_connection_timeout(ATTEMPT_S)
            .set_outgoing_inflight_upper_limit(self.in_flight_max());
        options.set_network_options(network);
        if let Some(tls) = &config.tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))));
        }
        if let Some((name, password)) = &config.credentials {
            options.set_credentials(name, password);
        }
        options
    }

    fn in_flight_max(&self) -> u16 {
        self.config.in_flight_max.max(1)
    }
}

fn hand_over(client: &AsyncClient, session: &mut Session, number: u64, message: &Message) {
    let mut properties = PublishProperties::default();
    if let Some(received) = message.received {
        properties.user_properties.push((RECEIVED_MS.to_owned(), received.0.to_string()));
    }
    let (topic, payload) = (message.topic.clone(), message.payload.clone());
    client
        .try_publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties)
        .expect("the library's queue holds all that may be unacknowledged, and topics were checked");
    session.handed.push_back(number);
}

async fn goodbye(client: &AsyncClient, link: &mut EventLoop) {
    let parting = async {
        // A full queue or a lost connection: then the server notices by itself.
        if client.try_disconnect().is_err() {
            return;
        }
        while let Ok(event) = link.poll().await {
            if matches!(event, Event::Outgoing(Outgoing::Disconnect)) {
                return;
            }
        }
    };
    if timeout(GOODBYE, parting).await.is_err() {
        tracing::debug!("the MQTT server did not take the goodbye in time");
    }
}

/// Refusals that may be over in a moment.
fn is_passing(code: ConnectReturnCode) -> bool {
    use ConnectReturnCode::{ConnectionRateExceeded, QuotaExceeded, ServerBusy, ServerUnavailable, ServiceUnavailable};
    matches!(code, ServerUnavailable | ServiceUnavailable | ServerBusy | QuotaExceeded | ConnectionRateExceeded)
}

/// Size and limit, if the server takes no packet of that size.
fn too_large(error: &ConnectionError) -> Option<(usize, usize)> {
    let ConnectionError::MqttState(state) = error else { return None };
    match state {
        StateError::OutgoingPacketTooLarge { pkt_size, max }
        | StateError::Deserialization(PacketError::OutgoingPacketTooLarge { pkt_size, max }) => {
            Some((*pkt_size as usize, *max as usize))
        }
        _ => None,
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
