//! The writer: one thread that turns messages into durable blocks, and only then releases their acknowledgements.
//!
//! Upstream: [`crate::server`] and [`crate::subscribe`], which decode what they receive and put it into the inbox
//! through a [`WriterHandle`]. Downstream: the gate, which decides the fates, the spool and the dead letters. The
//! inbox is bounded in bytes; when it is full, senders wait, stop reading their sockets, and so hold back the devices.
//! A block closes after 5 ms of waiting acknowledgements or at 1 MiB of payload; what comes while one is being made
//! durable is the next one, whatever its size. When the disk fails, nothing is acknowledged, `/ready` says why, and the same block is tried again
//! with a growing pause until it is durable.

mod commit;
mod inbox;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use events::TimeMs;
use events::codec::Refused;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::decode::Decoder;
use crate::faults::{Faults, Guard};
use crate::gate::{Fates, Gate};
use crate::metrics::Metrics;
use crate::rate_limit::{RateConfig, RateLimit};
use crate::ready::Ready;
use crate::spool::Spool;
use crate::subscribe::BrokerAck;
use inbox::Inbox;
pub(crate) use inbox::Parcel;

/// Bounds of the writer.
#[derive(Clone, Copy, Debug)]
pub struct WriterConfig {
    /// Longest that an acknowledgement waits for its block to close.
    pub block_wait: Duration,
    /// Payload at which a block closes at once, bytes.
    pub block_bytes_max: usize,
    /// Memory of what waits to become durable, bytes; beyond it senders wait.
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
    /// The broker of broker mode.
    Broker(BrokerAck),
    /// Somebody in this process.
    Told(oneshot::Sender<()>),
}

impl Ack {
    fn release(self) {
        match self {
            Self::None => {}
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

/// Where messages are handed over. Clones lead to the same writer.
#[derive(Clone)]
pub struct WriterHandle {
    inbox: Arc<Inbox>,
    /// For whole messages, which are decoded as they are handed over.
    receiving: Arc<Mutex<Receiving>>,
    /// As it is before the first message, for connections to have their own.
    fresh: Arc<dyn Fn() -> Decoder + Send + Sync>,
    /// One for all connections, since a source may have several; `None` where there is no limit.
    rate: Option<Arc<Mutex<RateLimit>>>,
    metrics: Metrics,
    ready: Ready,
    faults: Faults,
}

/// Decodes messages into a parcel.
pub(crate) struct Receiving {
    decoder: Decoder,
    rate: Option<Arc<Mutex<RateLimit>>>,
    refused: Vec<Refused>,
}

impl Receiving {
    fn new(decoder: Decoder, rate: Option<Arc<Mutex<RateLimit>>>) -> Self {
        Self { decoder, rate, refused: Vec::new() }
    }

    /// Whether the message before had this topic, which then needs no checking again.
    pub(crate) fn knows(&self, topic: &[u8]) -> bool {
        self.decoder.knows(topic)
    }

    /// Adds a message on the topic of the one before, if that is quickly done; whether it was.
    pub(crate) fn again(&mut self, payload: &[u8], received: TimeMs, parcel: &mut Parcel) -> bool {
        let done = self.rate.is_none() && self.decoder.again(payload, received, &mut parcel.decoded);
        if done {
            parcel.messages += 1;
            parcel.payload_bytes += payload.len();
        }
        done
    }

    /// Adds a message.
    pub(crate) fn message(&mut self, topic: &str, payload: &[u8], received: TimeMs, parcel: &mut Parcel) {
        if let Some(rate) = &self.rate {
            // Nothing can panic while this is held.
            let limit = || rate.lock().unwrap_or_else(PoisonError::into_inner);
            let admitted = limit().admit(topic, received);
            match admitted {
                Ok(()) => {
                    let before = parcel.decoded.events();
                    self.decoder.message(topic, payload, received, &mut parcel.decoded, &mut self.refused);
                    limit().charge(topic, received, (parcel.decoded.events() - before).saturating_sub(1) as u64);
                }
                Err(too_many) => {
                    parcel.decoded.refused[too_many.reject.reason as usize] += 1;
                    if too_many.first {
                        self.refused.push(Refused { reject: too_many.reject, payload: payload.to_vec() });
                    }
                }
            }
        } else {
            self.decoder.message(topic, payload, received, &mut parcel.decoded, &mut self.refused);
        }
        parcel.messages += 1;
        parcel.payload_bytes += payload.len();
        for refused in self.refused.drain(..) {
            // The payload as text, or twice as long in hexadecimal digits; the rest is words.
            parcel.letter_bytes += refused.payload.len() * 2 + topic.len() + 512;
            parcel.letters.push(DeadLetter::new(topic, received, &refused));
        }
    }
}

impl WriterHandle {
    /// Hands messages over in this order; waits while there is no room. Their acknowledgements are released in
    /// the same order, after they are durable.
    ///
    /// # Errors
    /// [`Stopped`] if there is no writer any more; nothing was taken then.
    pub async fn send(&self, messages: Vec<Incoming>) -> Result<(), Stopped> {
        let mut parcel = Parcel::default();
        {
            // Nothing can panic while this is held but a bug in a decoder, which leaves it as good as it was.
            let mut receiving = self.receiving.lock().unwrap_or_else(PoisonError::into_inner);
            for message in messages {
                receiving.message(&message.topic, &message.payload, message.received, &mut parcel);
                parcel.acks.push(message.ack);
            }
        }
        self.put(parcel).await
    }

    /// Hands over what a connection has decoded; waits while there is no room.
    ///
    /// # Errors
    /// As [`WriterHandle::send`].
    pub(crate) async fn put(&self, parcel: Parcel) -> Result<(), Stopped> {
        let count = parcel.messages as i64;
        self.metrics.waiting.add(count);
        let put = self.inbox.put(parcel).await;
        put.inspect_err(|_| self.metrics.waiting.sub(count))
    }

    /// Hands it over if there is room at once, and leaves it empty; whether there was.
    ///
    /// # Errors
    /// As [`WriterHandle::send`].
    pub(crate) fn try_put(&self, parcel: &mut Parcel) -> Result<bool, Stopped> {
        let count = parcel.messages as i64;
        let put = self.inbox.try_put(parcel);
        if put == Ok(true) {
            self.metrics.waiting.add(count);
        }
        put
    }

    /// A decoder for one connection.
    pub(crate) fn receiving(&self) -> Receiving {
        Receiving::new((self.fresh)(), self.rate.clone())
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
    inbox: Arc<Inbox>,
    metrics: Metrics,
    ready: Ready,
    stop: CancellationToken,
    faults: Faults,
    /// The block that is being made durable, its fates decided.
    open: Parcel,
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
        let inbox = Arc::new(Inbox::new(config.block_bytes_max, config.queue_bytes_max as usize));
        metrics.spool_bytes.set(i64::try_from(spool.bytes()).unwrap_or(i64::MAX));
        metrics.spool_limit_bytes.set(i64::try_from(spool.limit_bytes()).unwrap_or(i64::MAX));
        metrics.spool_next_block.set(i64::try_from(spool.next_block().0).unwrap_or(i64::MAX));
        let fresh = gate.decoders();
        let rate = (config.rate.events_per_s > 0).then(|| Arc::new(Mutex::new(RateLimit::new(config.rate))));
        let handle = WriterHandle {
            inbox: Arc::clone(&inbox),
            receiving: Arc::new(Mutex::new(Receiving::new(fresh(), rate.clone()))),
            fresh: Arc::new(fresh),
            rate,
            metrics: metrics.clone(),
            ready: ready.clone(),
            faults: faults.clone(),
        };
        let (open, batch_done) = (Parcel::default(), false);
        (Self { config, gate, spool, dead_letters, inbox, metrics, ready, stop, faults, open, batch_done }, handle)
    }

    /// Runs until stopped, then writes what was handed over before.
    pub(crate) async fn run(mut self) -> Left {
        let (stop, inbox) = (self.stop.clone(), Arc::clone(&self.inbox));
        loop {
            let some = tokio::select! {
                biased;
                () = stop.cancelled(), if !inbox.is_closed() => {
                    inbox.close();
                    continue;
                }
                some = inbox.until_some() => some,
            };
            if !some || !self.block().await {
                break;
            }
        }
        // Also where it gave up: from here on nobody would take what is put in.
        inbox.close();
        Left { fates: self.gate.fates(), unwritten: self.open.messages + inbox.left() }
    }

    /// Waits until the block is full or old, decides its fates, and makes it durable; false if that had to be given
    /// up.
    async fn block(&mut self) -> bool {
        let begun = self.metrics.commit_seconds.start_timer();
        // Whether it is full or old by now is all the same.
        let _elapsed = timeout(self.config.block_wait, self.inbox.until_block()).await;
        self.inbox.take(&mut self.open);
        if self.faults.leave_out(Guard::SyncBeforeAck) {
            self.acknowledge();
        }
        self.gate.admit(&mut self.open.decoded);
        let durable = self.commit().await;
        begun.observe_duration();
        durable
    }
}

impl Drop for Writer {
    /// Senders are refused from then on, also if it was a bug that ended the thread.
    fn drop(&mut self) {
        self.inbox.close();
    }
}
