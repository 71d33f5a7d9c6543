//! The writer: one thread that turns messages into durable blocks, and only then releases their acknowledgements.
//!
//! Upstream: [`crate::server`] and [`crate::subscribe`], through a [`WriterHandle`]. Downstream: the spool and the
//! dead letters. Messages wait in a queue bounded in bytes; when it is full, senders wait, stop reading their
//! sockets, and so hold back the devices. A block closes after 5 ms of waiting acknowledgements or at 1 MiB of
//! payload. When the disk fails, nothing is acknowledged, `/ready` says why, and the same block is tried again
//! with a growing pause until it is durable.

mod commit;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::TimeMs;
use events::codec::Refused;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::batch::Batch;
use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::faults::{Faults, Guard};
use crate::gate::{Fates, Gate};
use crate::metrics::Metrics;
use crate::rate_limit::{RateConfig, RateLimit};
use crate::ready::Ready;
use crate::server::ClientAck;
use crate::spool::Spool;
use crate::subscribe::BrokerAck;

/// Bounds of the writer.
#[derive(Clone, Copy, Debug)]
pub struct WriterConfig {
    /// Longest that an acknowledgement waits for its block to close.
    pub block_wait: Duration,
    /// Payload at which a block closes at once, bytes.
    pub block_bytes_max: usize,
    /// Messages that wait for the writer, bytes with topics and overhead; beyond it senders wait.
    pub queue_bytes_max: u32,
    /// First pause after a failed write.
    pub retry_min: Duration,
    /// Longest pause after failed writes.
    pub retry_max: Duration,
    /// How much one source may send.
    pub rate: RateConfig,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            block_wait: Duration::from_millis(5),
            block_bytes_max: 1 << 20,
            queue_bytes_max: 64 << 20,
            retry_min: Duration::from_millis(50),
            retry_max: Duration::from_secs(2),
            rate: RateConfig::default(),
        }
    }
}

/// A received message.
pub struct Incoming {
    pub topic: String,
    pub payload: Bytes,
    /// Receive time: the wall clock, or the clock that a replay carries.
    pub received: TimeMs,
    pub ack: Ack,
}

/// Who is told that a message is durable.
pub enum Ack {
    /// Nobody (QoS 0).
    None,
    /// A client of our endpoint.
    Client(ClientAck),
    /// The broker of broker mode.
    Broker(BrokerAck),
    /// Somebody in this process.
    Told(oneshot::Sender<()>),
}

impl Ack {
    fn release(self) {
        match self {
            Self::None => {}
            Self::Client(ack) => ack.release(),
            Self::Broker(ack) => ack.release(),
            Self::Told(told) => {
                // An error says that nobody waits any longer, which is theirs to decide.
                let _gone = told.send(());
            }
        }
    }
}

/// The writer has stopped; the message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ingest has stopped")]
pub struct Stopped;

/// Messages handed over together, and the room that they take in the queue until they are durable.
struct Parcel {
    messages: Vec<Incoming>,
    room: OwnedSemaphorePermit,
}

/// Where messages are handed over. Clones lead to the same writer.
#[derive(Clone)]
pub struct WriterHandle {
    parcels: mpsc::Sender<Parcel>,
    room: Arc<Semaphore>,
    room_bytes: u32,
    metrics: Metrics,
    ready: Ready,
    faults: Faults,
}

/// Room that a message takes besides its topic and payload, bytes.
const MESSAGE_OVERHEAD_BYTES: usize = 128;

/// Parcels in the queue; the bound in bytes is nearly always reached first.
const PARCELS_MAX: usize = 4_096;

impl WriterHandle {
    /// Hands messages over in this order; waits while the queue is full. Their acknowledgements are released in
    /// the same order, after they are durable.
    ///
    /// # Errors
    /// [`Stopped`] if there is no writer any more; nothing was taken then.
    pub async fn send(&self, messages: Vec<Incoming>) -> Result<(), Stopped> {
        let bytes: usize = messages.iter().map(|m| m.topic.len() + m.payload.len() + MESSAGE_OVERHEAD_BYTES).sum();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.room_bytes);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| Stopped)?;
        let count = messages.len() as i64;
        self.metrics.waiting.add(count);
        let sent = self.parcels.send(Parcel { messages, room }).await;
        sent.map_err(|_| {
            self.metrics.waiting.sub(count);
            Stopped
        })
    }

    /// The metrics of this ingest.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The readiness of this ingest.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }
}

/// The writer itself, before it runs.
pub(crate) struct Writer {
    config: WriterConfig,
    gate: Gate,
    spool: Spool,
    dead_letters: DeadLetters,
    parcels: mpsc::Receiver<Parcel>,
    room: Arc<Semaphore>,
    metrics: Metrics,
    ready: Ready,
    stop: CancellationToken,
    faults: Faults,
    rate: RateLimit,
    open: Open,
}

/// The block that is being filled.
#[derive(Default)]
struct Open {
    batch: Batch,
    letters: Vec<DeadLetter>,
    acks: Vec<Ack>,
    rooms: Vec<OwnedSemaphorePermit>,
    payload_bytes: usize,
    /// Whether the batch, but not yet the letters, is durable: a retry must not append it twice.
    batch_done: bool,
}

/// What was left when the writer stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) fates: Fates,
    /// Messages that could not be made durable, and therefore were not acknowledged.
    pub(crate) unwritten: usize,
}

impl Writer {
    pub(crate) fn new(
        config: WriterConfig,
        (gate, spool, dead_letters): (Gate, Spool, DeadLetters),
        (metrics, ready): (Metrics, Ready),
        (stop, faults): (CancellationToken, Faults),
    ) -> (Self, WriterHandle) {
        let (sender, parcels) = mpsc::channel(PARCELS_MAX);
        let room = Arc::new(Semaphore::new(config.queue_bytes_max as usize));
        metrics.spool_bytes.set(i64::try_from(spool.bytes()).unwrap_or(i64::MAX));
        let handle = WriterHandle {
            parcels: sender,
            room: Arc::clone(&room),
            room_bytes: config.queue_bytes_max,
            metrics: metrics.clone(),
            ready: ready.clone(),
            faults: faults.clone(),
        };
        let (rate, open) = (RateLimit::new(config.rate), Open::default());
        (Self { config, gate, spool, dead_letters, parcels, room, metrics, ready, stop, faults, rate, open }, handle)
    }

    /// Runs until stopped, then writes what was handed over before.
    pub(crate) async fn run(mut self) -> Left {
        let stop = self.stop.clone();
        loop {
            let parcel = tokio::select! {
                biased;
                () = stop.cancelled(), if !self.parcels.is_closed() => {
                    self.parcels.close();
                    self.room.close();
                    continue;
                }
                parcel = self.parcels.recv() => parcel,
            };
            let Some(parcel) = parcel else { break };
            if !self.block(parcel).await {
                break;
            }
        }
        let queued = std::iter::from_fn(|| self.parcels.try_recv().ok()).map(|parcel| parcel.messages.len());
        let unwritten = self.open.acks.len() + queued.sum::<usize>();
        Left { fates: self.gate.fates(), unwritten }
    }

    /// Fills a block, beginning with `parcel`, and makes it durable; false if that had to be given up.
    async fn block(&mut self, parcel: Parcel) -> bool {
        let begun = self.metrics.commit_seconds.start_timer();
        let deadline = Instant::now() + self.config.block_wait;
        self.take(parcel);
        while self.open.payload_bytes < self.config.block_bytes_max {
            match timeout_at(deadline, self.parcels.recv()).await {
                Ok(Some(parcel)) => self.take(parcel),
                Ok(None) | Err(_) => break,
            }
        }
        let durable = self.commit().await;
        begun.observe_duration();
        durable
    }

    /// Runs the gate over the messages of a parcel.
    fn take(&mut self, parcel: Parcel) {
        let mut refused = Vec::new();
        let too_early = self.faults.leave_out(Guard::SyncBeforeAck);
        for mut message in parcel.messages {
            if too_early {
                std::mem::replace(&mut message.ack, Ack::None).release();
            }
            match self.rate.admit(&message.topic, message.received) {
                Ok(()) => {
                    let (topic, received, before) = (&message.topic, message.received, self.gate.received());
                    self.gate.message(topic, &message.payload, received, &mut self.open.batch, &mut refused);
                    self.rate.charge(topic, received, (self.gate.received() - before).saturating_sub(1));
                }
                Err(too_many) => {
                    self.gate.refuse(&too_many.reject);
                    if too_many.first {
                        refused.push(Refused { reject: too_many.reject, payload: message.payload.to_vec() });
                    }
                }
            }
            for refused in refused.drain(..) {
                self.open.letters.push(DeadLetter::new(&message.topic, message.received, &refused));
            }
            self.open.payload_bytes += message.payload.len();
            self.open.acks.push(message.ack);
        }
        self.open.rooms.push(parcel.room);
    }
}
