//! Publishing over MQTT 5, QoS 1, with nothing lost silently.
//!
//! [`Publisher::publish`] hands a message to one task, which alone talks to the server. Until the server has
//! acknowledged it, the message is kept here; after a lost connection every message without acknowledgement
//! is sent again, in order, on a fresh connection. The library's own session is not relied on: it forgets
//! its pending messages when the server has forgotten the session. So every message arrives at least once,
//! and may arrive twice. Upstream: replay and the simulated city. Downstream: any MQTT 5 server.

mod driver;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use events::TimeMs;
use rumqttc::v5::ConnectionError;
use rumqttc::v5::mqttbytes::v5::ConnectReturnCode;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use driver::Driver;

/// User property that says when a recorded or simulated message was received, UTC ms.
pub const RECEIVED_MS: &str = "received-ms";

/// Bytes of a packet beside topic and payload, with room to spare.
const PACKET_OVERHEAD_BYTES: usize = 64;

/// Where and how to publish. It holds a password, so it cannot be printed.
#[derive(Clone)]
pub struct PublishConfig {
    pub host: String,
    pub port: u16,
    /// Unique at the server: a second client of the same id ends the first one's connection.
    pub client_id: String,
    /// Name and password.
    pub credentials: Option<(String, String)>,
    /// Certificates, if the server is to be reached by TLS.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// How long [`Publisher::connect`] tries.
    pub connect_within: Duration,
    /// How long a lost server is waited for before the publisher gives up.
    pub away_max: Duration,
    /// Messages sent and not yet acknowledged; a server may allow fewer.
    pub in_flight_max: u16,
    /// Messages that wait to be sent; when full, [`Publisher::publish`] waits.
    pub queue_max: usize,
    /// Largest packet, bytes.
    pub packet_bytes_max: u32,
}

impl PublishConfig {
    /// The defaults: 10 s to connect, 5 min away, 100 in flight, 100 waiting, packets up to 1 MiB.
    pub fn new(host: impl Into<String>, port: u16, client_id: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            client_id: client_id.into(),
            credentials: None,
            tls: None,
            connect_within: Duration::from_secs(10),
            away_max: Duration::from_secs(300),
            in_flight_max: 100,
            queue_max: 100,
            packet_bytes_max: 1024 * 1024,
        }
    }
}

/// Why publishing failed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("no MQTT server answered at {host}:{port} within {within:?}: {source}")]
    Unreachable {
        host: String,
        port: u16,
        within: Duration,
        #[source]
        source: Box<ConnectionError>,
    },
    #[error("the MQTT server at {host}:{port} does not let us in: {code:?}")]
    NotLetIn { host: String, port: u16, code: ConnectReturnCode },
    #[error(
        "the MQTT server at {host}:{port} has been away for more than {away:?}; {unacked} messages were not acknowledged: {source}"
    )]
    Away {
        host: String,
        port: u16,
        away: Duration,
        unacked: usize,
        #[source]
        source: Box<ConnectionError>,
    },
    #[error("a message of {bytes} bytes for {topic} is too large: at most {bytes_max} may be sent")]
    TooLarge { topic: String, bytes: usize, bytes_max: usize },
    #[error("`{0}` is no topic to publish on: it must be 1 to 65535 bytes without +, # or NUL")]
    Topic(String),
    #[error("the publisher has already stopped")]
    Stopped,
}

/// What has become of the messages; shared, and true at any moment.
#[derive(Debug, Default)]
pub struct PublishCounters {
    accepted: AtomicU64,
    sent: AtomicU64,
    acked: AtomicU64,
    unheard: AtomicU64,
    refused: AtomicU64,
    reconnects: AtomicU64,
}

impl PublishCounters {
    /// Messages taken by [`Publisher::publish`].
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Messages sent at least once.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Messages taken over by the server.
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// Of those acknowledged, how many the server had no subscriber for.
    pub fn unheard(&self) -> u64 {
        self.unheard.load(Ordering::Relaxed)
    }

    /// Messages that the server refused: they are lost.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Messages accepted and never sent yet.
    pub fn unsent(&self) -> u64 {
        self.accepted().saturating_sub(self.sent())
    }

    /// Connections after the first.
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }
}

/// What had become of the messages at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishReport {
    pub sent: u64,
    pub acked: u64,
    /// Of `acked`, messages without a subscriber.
    pub unheard: u64,
    /// Lost: the server refused them.
    pub refused: u64,
}

/// A message on its way.
#[derive(Clone, Debug)]
struct Message {
    topic: String,
    payload: Bytes,
    received: Option<TimeMs>,
}

/// A connection that publishes.
///
/// Dropping it without [`Publisher::finish`] ends the connection and forgets what is not yet acknowledged.
#[derive(Debug)]
pub struct Publisher {
    queue: mpsc::Sender<Message>,
    task: Option<JoinHandle<Result<(), PublishError>>>,
    counters: Arc<PublishCounters>,
    bytes_max: usize,
}

impl Publisher {
    /// Connects.
    ///
    /// # Errors
    /// [`PublishError::Unreachable`] after `connect_within`, [`PublishError::NotLetIn`] at once.
    pub async fn connect(config: PublishConfig) -> Result<Self, PublishError> {
        let (queue, waiting) = mpsc::channel(config.queue_max.max(1));
        let (connected, is_connected) = oneshot::channel();
        let counters = Arc::new(PublishCounters::default());
        let bytes_max = (config.packet_bytes_max as usize).saturating_sub(PACKET_OVERHEAD_BYTES);
        let driver = Driver::new(config, waiting, counters.clone(), connected);
        let mut publisher = Self { queue, task: Some(tokio::spawn(driver.run())), counters, bytes_max };
        match is_connected.await {
            Ok(()) => Ok(publisher),
            Err(_) => Err(publisher.reason().await),
        }
    }

    /// Hands over one message; waits while too many wait before it.
    ///
    /// `received` becomes the user property [`RECEIVED_MS`].
    ///
    /// # Errors
    /// [`PublishError::TooLarge`] and [`PublishError::Topic`] concern this message only; any other ends the
    /// publisher.
    pub async fn publish(
        &mut self,
        topic: String,
        payload: impl Into<Bytes>,
        received: Option<TimeMs>,
    ) -> Result<(), PublishError> {
        let payload = payload.into();
        let bytes = topic.len() + payload.len();
        if bytes > self.bytes_max {
            return Err(PublishError::TooLarge { topic, bytes, bytes_max: self.bytes_max });
        }
        if topic.is_empty() || topic.len() > 65_535 || topic.contains(['+', '#', '\0']) {
            return Err(PublishError::Topic(topic));
        }
        // Counted first, so that `sent` never runs ahead of it.
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        if self.queue.send(Message { topic, payload, received }).await.is_err() {
            return Err(self.reason().await);
        }
        Ok(())
    }

    /// The live counters.
    pub fn counters(&self) -> Arc<PublishCounters> {
        self.counters.clone()
    }

    /// Waits until everything is acknowledged, then disconnects.
    ///
    /// # Errors
    /// [`PublishError::Away`] if the server does not come back.
    pub async fn finish(mut self) -> Result<PublishReport, PublishError> {
        // The task ends when nobody can hand it anything more and nothing is unacknowledged.
        self.queue = mpsc::channel(1).0;
        // Awaited in place: if the caller stops waiting, dropping `self` still ends the task.
        let task = self.task.as_mut().ok_or(PublishError::Stopped)?;
        let ended = task.await;
        self.task = None;
        ended.map_err(|_| PublishError::Stopped)??;
        let counters = &self.counters;
        Ok(PublishReport {
            sent: counters.sent(),
            acked: counters.acked(),
            unheard: counters.unheard(),
            refused: counters.refused(),
        })
    }

    async fn reason(&mut self) -> PublishError {
        match self.task.take() {
            Some(task) => match task.await {
                Ok(Err(error)) => error,
                Ok(Ok(())) | Err(_) => PublishError::Stopped,
            },
            None => PublishError::Stopped,
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
