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
mod link;
mod lost;
mod presence;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::writer::{Ack, Incoming, WriterHandle};
pub use epoch::BrokerAck;
use epoch::Epoch;
use link::{Heard, Link, Message};
use lost::Failure;
pub use lost::Lost;
use presence::Presence;

/// Versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1. It has no words for how many messages may be in flight, how large they may be, and for how long a
    /// session is kept: the broker's own settings hold, and a message may have the 256 MiB of the standard.
    V4,
    V5,
}

/// Where the broker is, and the bounds of the session with it. It holds a password, so it cannot be printed.
#[derive(Clone)]
pub struct SubscribeConfig {
    pub host: String,
    pub port: u16,
    pub version: Version,
    /// Certificates, if the broker is to be reached by TLS.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Never to be used by two clients at once: the broker keeps the session under it.
    pub client_id: String,
    /// Connections; more than one are numbered behind the client id, and need a shared group.
    pub connections: usize,
    /// The group of a shared subscription: the broker gives each message to one of its members. The standard
    /// promises no order over several members.
    pub share: Option<String>,
    /// Whether the receive clock that a message carries is believed: anybody who may publish at the broker can
    /// set it.
    pub believe_received: bool,
    /// User name and password, if the broker wants them.
    pub login: Option<(String, String)>,
    pub filters: Vec<String>,
    /// A link that is dead is noticed after twice as long.
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
            version: Version::V5,
            tls: None,
            connections: 1,
            share: None,
            believe_received: false,
            client_id: "arterial-ingest".to_owned(),
            login: None,
            filters: vec![events::Topic::FILTER.to_owned(), "/hfp/v2/#".to_owned()],
            keep_alive: Duration::from_secs(10),
            session_expiry: Duration::from_secs(86_400),
            receive_maximum: 8_192,
            packet_bytes_max: (1 << 20) + (128 << 10),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(5),
            close_wait: Duration::from_secs(5),
        }
    }
}

/// Receives from the broker until `shutdown`, connecting again as often as it takes. Whether the broker is there
/// is in `/ready`, in `arterial_ingest_mqtt_connected`, and one line of the log for every change.
///
/// The call itself notes that the broker is away, before anything is awaited: to be made before `/ready` is served.
/// Who is told "ready" and publishes before we are subscribed has his messages acknowledged by the broker, which has
/// nobody to keep them for.
pub fn run(
    config: SubscribeConfig,
    writer: WriterHandle,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let presence = Arc::new(Presence::new(&config, writer.clone()));
    subscribe_all(config, writer, shutdown, presence)
}

async fn subscribe_all(
    config: SubscribeConfig,
    writer: WriterHandle,
    shutdown: CancellationToken,
    presence: Arc<Presence>,
) {
    let mut connections = JoinSet::new();
    for number in 0..config.connections.max(1) {
        let subscriber = Subscriber::new(config.clone(), number, writer.clone(), Arc::clone(&presence));
        connections.spawn(subscriber.run(shutdown.clone()));
    }
    while let Some(ended) = connections.join_next().await {
        if let Err(panicked) = ended {
            tracing::error!(%panicked, "a connection to the broker ended by a bug: please report it");
            presence.away(0, "a connection ended by a bug: restart ingest, and report it".to_owned());
        }
    }
}

struct Subscriber {
    config: SubscribeConfig,
    number: usize,
    /// With the group of a shared subscription, if there is one.
    filters: Vec<String>,
    writer: WriterHandle,
    link: Link,
    epoch: Epoch,
    presence: Arc<Presence>,
    /// Whether the broker has confirmed our filters since this process began: an older session may have others.
    subscribed: bool,
    pause: Duration,
}

/// Messages that are handed over together, when the library has more than one at hand.
const GROUP_MAX: usize = 256;

impl Subscriber {
    fn new(config: SubscribeConfig, number: usize, writer: WriterHandle, presence: Arc<Presence>) -> Self {
        let client_id = match config.connections {
            0 | 1 => config.client_id.clone(),
            _ => format!("{}-{number}", config.client_id),
        };
        let shared = |filter: &String| match &config.share {
            Some(group) => format!("$share/{group}/{filter}"),
            None => filter.clone(),
        };
        let filters = config.filters.iter().map(shared).collect();
        let link = Link::new(&config, &client_id);
        let epoch = Epoch::new(link.acker(), writer.metrics().mqtt_stale_acks.clone(), writer.faults());
        let pause = Duration::ZERO;
        Self { config, number, filters, writer, link, epoch, presence, subscribed: false, pause }
    }

    async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let failure = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                failure = self.receive() => failure,
            };
            let Err(failure) = failure else { break };
            self.lost(&failure);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = sleep(self.next_pause()) => {}
            }
        }
        self.leave().await;
    }

    /// Connects and receives until something fails, or the writer has stopped.
    async fn receive(&mut self) -> Result<(), Failure> {
        loop {
            if self.epoch.is_broken() {
                return Err(Failure::AckQueue);
            }
            match self.link.poll().await? {
                Heard::Connected { session_present } if self.subscribed && session_present => self.there(),
                Heard::Connected { session_present } => {
                    if !session_present {
                        tracing::warn!(
                            client_id = self.config.client_id,
                            "the broker keeps nothing for us yet: what was published before now does not come"
                        );
                    }
                    if !self.link.subscribe(&self.filters) {
                        return Err(Failure::AckQueue);
                    }
                }
                Heard::Granted(codes) => {
                    self.check(codes)?;
                    self.subscribed = true;
                    self.there();
                }
                Heard::Message(message) => {
                    let group = self.group(message);
                    if self.writer.send(group).await.is_err() {
                        return Ok(());
                    }
                }
                Heard::SaidGoodbye | Heard::Other => {}
            }
        }
    }

    /// A message, and those that the library has read together with it.
    fn group(&mut self, first: Message) -> Vec<Incoming> {
        let received = clock::now();
        let mut group = vec![self.incoming(first, received)];
        while group.len() < GROUP_MAX {
            let Some(message) = self.link.at_hand() else { break };
            group.push(self.incoming(message, received));
        }
        group
    }

    fn incoming(&self, message: Message, received: events::TimeMs) -> Incoming {
        let ack = message.receipt.map_or(Ack::None, |receipt| Ack::Broker(self.epoch.ack(receipt)));
        let carried = message.received.filter(|_| self.config.believe_received);
        Incoming { topic: message.topic, payload: message.payload, received: carried.unwrap_or(received), ack }
    }

    fn check(&self, codes: Vec<Result<(), String>>) -> Result<(), Failure> {
        if codes.len() != self.filters.len() {
            return Err(Failure::Codes { expected: self.filters.len(), found: codes.len() });
        }
        let mut answers = self.filters.iter().zip(codes);
        let refused = answers.find_map(|(filter, code)| Some((filter.clone(), code.err()?)));
        refused.map_or(Ok(()), |(filter, reason)| Err(Failure::Refused { filter, reason }))
    }

    fn there(&mut self) {
        self.pause = Duration::ZERO;
        self.presence.there(self.number);
    }

    fn lost(&mut self, failure: &Failure) {
        self.epoch.end(&mut self.link);
        if matches!(failure, Failure::Refused { .. } | Failure::Codes { .. }) {
            self.subscribed = false;
        }
        self.writer.metrics().mqtt_failures.with_label_values(&[failure.reason().name()]).inc();
        self.presence.away(self.number, failure.to_string());
    }

    /// Doubles up to the longest; random between half and all of it, so that many clients do not come at once.
    fn next_pause(&mut self) -> Duration {
        self.pause = (self.pause * 2).clamp(self.config.retry_min, self.config.retry_max.max(self.config.retry_min));
        let draw = RandomState::new().build_hasher().finish() % 1_000;
        self.pause / 2 + self.pause.mul_f64(draw as f64 / 2_000.0)
    }

    /// Sends the acknowledgements of what was handed over, then says goodbye; the broker keeps the session.
    async fn leave(&mut self) {
        self.presence.leaves();
        let deadline = Instant::now() + self.config.close_wait;
        let mut said = false;
        loop {
            if !said && self.epoch.outstanding() == 0 {
                said = true;
                if !self.link.disconnect() {
                    return;
                }
            }
            // Messages that come now are not taken: unacknowledged, they stay with the broker. Short turns, since
            // an acknowledgement that is released elsewhere is noticed only between two polls.
            let turn = deadline.min(Instant::now() + Duration::from_millis(20));
            match timeout_at(turn, self.link.poll()).await {
                Ok(Ok(Heard::SaidGoodbye) | Err(_)) => return,
                Ok(Ok(_)) => {}
                Err(_) if Instant::now() >= deadline => return,
                Err(_) => {}
            }
        }
    }
}
