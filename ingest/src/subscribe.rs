//! Broker mode: a subscriber at somebody's broker, which acknowledges only what is durable.
//!
//! A fixed client id and a kept session let the broker hold messages while we are away. One task polls; the
//! writer's thread acknowledges. Upstream: mosquitto, EMQX, HiveMQ, NanoMQ, … Downstream: the writer.
//!
//! Two races in the client library lose messages unless guarded: an acknowledgement that is released while
//! disconnected would leave on the *next* connection, where its packet id means another message; and events of
//! the old connection surface around the new CONNACK. So every message carries the epoch of its connection, and
//! the epoch is checked under the lock under which the acknowledgement is handed to the library. When a
//! connection ends, under the same lock: the epoch goes up, and the library's leftover events and requests are
//! thrown away. What was not acknowledged, the broker sends again.

mod epoch;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::ready::Part;
use crate::server::received_ms;
use crate::writer::{Ack, Incoming, WriterHandle};
pub use epoch::BrokerAck;
use epoch::Epoch;

/// Where the broker is, and the bounds of the session with it.
#[derive(Clone, Debug)]
pub struct SubscribeConfig {
    pub host: String,
    pub port: u16,
    /// Never to be used by two clients at once: the broker keeps the session under it.
    pub client_id: String,
    /// User name and password, if the broker wants them.
    pub login: Option<(String, String)>,
    pub filters: Vec<String>,
    pub keep_alive: Duration,
    /// How long the broker keeps the session while we are away.
    pub session_expiry: Duration,
    /// Messages that the broker may send without acknowledgement. The rate is at most this by the time of a
    /// commit; mosquitto itself allows 20 unless `max_inflight_messages` is raised.
    pub receive_maximum: u16,
    /// Largest packet that the broker may send, bytes. It drops larger ones.
    pub packet_bytes_max: u32,
    /// First and longest pause before connecting again; the true pause is random between half and all of it.
    pub retry_min: Duration,
    pub retry_max: Duration,
    /// How long a shutdown may take to send the last acknowledgements.
    pub close_wait: Duration,
}

impl SubscribeConfig {
    /// Defaults for a broker.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            client_id: "arterial-ingest".to_owned(),
            login: None,
            filters: vec![events::Topic::FILTER.to_owned(), "/hfp/v2/#".to_owned()],
            keep_alive: Duration::from_secs(30),
            session_expiry: Duration::from_secs(86_400),
            receive_maximum: 8_192,
            packet_bytes_max: (1 << 20) + (128 << 10),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(10),
            close_wait: Duration::from_secs(5),
        }
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Connection(#[from] Box<ConnectionError>),
    #[error("the broker refuses to subscribe us to `{filter}`: {code:?}")]
    Refused { filter: String, code: SubscribeReasonCode },
    #[error("the broker answers our subscription for {expected} filters with {found} codes")]
    Codes { expected: usize, found: usize },
    #[error("an acknowledgement found no room in the client's queue")]
    AckQueue,
}

/// Receives from the broker until `shutdown`, connecting again as often as it takes. Whether the broker is there
/// is in `/ready`, in `arterial_ingest_mqtt_connected`, and one line of the log for every change.
pub async fn run(config: SubscribeConfig, writer: WriterHandle, shutdown: CancellationToken) {
    // All acknowledgements fit at once, with the subscription, a ping and a goodbye.
    let requests = usize::from(config.receive_maximum) + 16;
    let (client, events) = AsyncClient::new(options(&config), requests);
    let epoch = Epoch::new(client.clone(), writer.metrics().mqtt_stale_acks.clone());
    let mut subscriber = Subscriber { config, writer, client, events, epoch, subscribed: false, pause: Duration::ZERO };
    subscriber.away("not connected yet");
    loop {
        let failure = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            failure = subscriber.receive() => failure,
        };
        let Err(failure) = failure else { break };
        subscriber.lost(&failure);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = sleep(subscriber.next_pause()) => {}
        }
    }
    subscriber.leave().await;
}

fn options(config: &SubscribeConfig) -> MqttOptions {
    let mut options = MqttOptions::new(&config.client_id, &config.host, config.port);
    options
        .set_manual_acks(true)
        .set_clean_start(false)
        .set_keep_alive(config.keep_alive)
        .set_session_expiry_interval(u32::try_from(config.session_expiry.as_secs()).ok())
        .set_receive_maximum(Some(config.receive_maximum.max(1)))
        .set_max_packet_size(Some(config.packet_bytes_max));
    if let Some((user, password)) = &config.login {
        options.set_credentials(user, password);
    }
    options
}

struct Subscriber {
    config: SubscribeConfig,
    writer: WriterHandle,
    client: AsyncClient,
    events: EventLoop,
    epoch: Epoch,
    /// Whether the broker has confirmed our filters since this process began: an older session may have others.
    subscribed: bool,
    pause: Duration,
}

/// Messages that are handed over together, when the library has more than one at hand.
const GROUP_MAX: usize = 256;

impl Subscriber {
    /// Connects and receives until something fails, or the writer has stopped.
    async fn receive(&mut self) -> Result<(), Failure> {
        loop {
            if self.epoch.is_broken() {
                return Err(Failure::AckQueue);
            }
            match self.events.poll().await.map_err(Box::new)? {
                Event::Incoming(Packet::ConnAck(connack)) => {
                    if self.subscribed && connack.session_present {
                        self.there();
                    } else {
                        self.subscribe();
                    }
                }
                Event::Incoming(Packet::SubAck(suback)) => {
                    self.check(&suback.return_codes)?;
                    self.subscribed = true;
                    self.there();
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    let group = self.group(publish);
                    if self.writer.send(group).await.is_err() {
                        return Ok(());
                    }
                }
                // Pings, our own acknowledgements and whatever else keeps the connection going.
                Event::Incoming(_) | Event::Outgoing(_) => {}
            }
        }
    }

    /// A message, and those that the library has read together with it.
    fn group(&mut self, first: Publish) -> Vec<Incoming> {
        let received = clock::now();
        let mut group = vec![self.incoming(first, received)];
        while group.len() < GROUP_MAX {
            match self.events.state.events.pop_front() {
                Some(Event::Incoming(Packet::Publish(publish))) => group.push(self.incoming(publish, received)),
                Some(other) => {
                    self.events.state.events.push_front(other);
                    break;
                }
                None => break,
            }
        }
        group
    }

    fn incoming(&self, publish: Publish, received: events::TimeMs) -> Incoming {
        let ack = match publish.qos {
            QoS::AtMostOnce => Ack::None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Ack::Broker(self.epoch.ack(&publish)),
        };
        let properties = publish.properties.as_ref();
        let received = properties.and_then(|p| received_ms(&p.user_properties)).unwrap_or(received);
        // A topic that is not UTF-8 breaks the standard; it is kept readable in its dead letter.
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        Incoming { topic, payload: publish.payload, received, ack }
    }

    fn subscribe(&self) {
        let filters = self.config.filters.iter().map(|filter| Filter::new(filter, QoS::AtLeastOnce));
        if let Err(cause) = self.client.try_subscribe_many(filters) {
            // The codes that never come keep us "away"; the queue is emptied by the next connection.
            tracing::error!(%cause, "cannot ask for the subscription");
        }
    }

    fn check(&self, codes: &[SubscribeReasonCode]) -> Result<(), Failure> {
        let filters = &self.config.filters;
        if codes.len() != filters.len() {
            return Err(Failure::Codes { expected: filters.len(), found: codes.len() });
        }
        for (filter, code) in filters.iter().zip(codes) {
            match code {
                SubscribeReasonCode::Success(_) => {}
                code => return Err(Failure::Refused { filter: filter.clone(), code: *code }),
            }
        }
        Ok(())
    }

    fn there(&mut self) {
        self.pause = Duration::ZERO;
        self.writer.metrics().mqtt_connected.set(1);
        if self.writer.ready().works(Part::Broker) {
            tracing::info!(host = self.config.host, port = self.config.port, "connected to the broker and subscribed");
        }
    }

    fn away(&self, why: &str) -> bool {
        self.writer.metrics().mqtt_connected.set(0);
        let (host, port) = (&self.config.host, self.config.port);
        self.writer.ready().fails(Part::Broker, format!("the broker at {host}:{port} is away: {why}"))
    }

    fn lost(&mut self, failure: &Failure) {
        self.epoch.end(&mut self.events);
        if matches!(failure, Failure::Refused { .. } | Failure::Codes { .. }) {
            self.subscribed = false;
        }
        self.writer.metrics().mqtt_failures.inc();
        if self.away(&failure.to_string()) {
            tracing::warn!(host = self.config.host, port = self.config.port, %failure, "the broker is away");
        }
    }

    /// Doubles up to the longest; random between half and all of it, so that many clients do not come at once.
    fn next_pause(&mut self) -> Duration {
        self.pause = (self.pause * 2).clamp(self.config.retry_min, self.config.retry_max.max(self.config.retry_min));
        let draw = RandomState::new().build_hasher().finish() % 1_000;
        self.pause / 2 + self.pause.mul_f64(draw as f64 / 2_000.0)
    }

    /// Sends the acknowledgements of what was handed over, then says goodbye; the broker keeps the session.
    async fn leave(&mut self) {
        self.writer.metrics().mqtt_connected.set(0);
        let deadline = Instant::now() + self.config.close_wait;
        let mut said = false;
        loop {
            if !said && self.epoch.outstanding() == 0 {
                said = true;
                if self.client.try_disconnect().is_err() {
                    return;
                }
            }
            // Messages that come now are not taken: unacknowledged, they stay with the broker. Short turns, since
            // an acknowledgement that is released elsewhere is noticed only between two polls.
            let turn = deadline.min(Instant::now() + Duration::from_millis(20));
            match timeout_at(turn, self.events.poll()).await {
                Ok(Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) | Err(_)) => return,
                Ok(Ok(_)) => {}
                Err(_) if Instant::now() >= deadline => return,
                Err(_) => {}
            }
        }
    }
}
