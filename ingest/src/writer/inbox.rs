//! Where receivers put what they decoded, and the writer takes it from: one set of columns behind a lock.
//!
//! There is no queue of messages: whoever receives appends its rows to the block that is being filled, and the writer
//! takes all of them at once. So a message costs no allocation and no wake-up of its own, and a slow disk makes larger
//! blocks, not longer queues. It is bounded in bytes, together with what the writer has taken and not yet made
//! durable; when it is full, receivers wait with their parcel and do not read on. Upstream: [`super::WriterHandle`].
//! Downstream: [`super::Writer`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Ack, Stopped};
use crate::dead_letter::DeadLetter;
use crate::decode::Decoded;
use crate::server::Outbox;

/// What was received together and waits to become durable.
#[derive(Default)]
pub(crate) struct Parcel {
    pub(crate) decoded: Decoded,
    pub(crate) letters: Vec<DeadLetter>,
    /// Acknowledgements one by one.
    pub(crate) acks: Vec<Ack>,
    /// Clients of the endpoint, with how many of the packet ids are theirs, in order.
    pub(crate) clients: Vec<(Arc<Outbox>, usize)>,
    /// Packet ids to be acknowledged.
    pub(crate) ids: Vec<u16>,
    pub(crate) messages: usize,
    pub(crate) payload_bytes: usize,
    /// Bytes of dead letters.
    pub(crate) letter_bytes: usize,
}

/// Memory of one row: its columns, and its place in them when they grow.
const ROW_BYTES: usize = 192;

/// Memory of one message besides its rows: its acknowledgement.
const MESSAGE_BYTES: usize = 64;

impl Parcel {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Memory that it takes, about.
    fn bytes(&self) -> usize {
        self.decoded.batch.len() * ROW_BYTES + self.messages * MESSAGE_BYTES + self.letter_bytes
    }

    /// Takes everything out of `other`, which keeps its memory.
    fn append(&mut self, other: &mut Self) {
        self.decoded.append(&mut other.decoded);
        self.letters.append(&mut other.letters);
        self.acks.append(&mut other.acks);
        self.clients.append(&mut other.clients);
        self.ids.append(&mut other.ids);
        self.messages += std::mem::take(&mut other.messages);
        self.payload_bytes += std::mem::take(&mut other.payload_bytes);
        self.letter_bytes += std::mem::take(&mut other.letter_bytes);
    }
}

/// The inbox of one writer.
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Something is there, there is enough for a block, or it was closed: for the writer.
    wake: Notify,
    /// There is room, or it was closed: for all who wait.
    room: Notify,
    /// Payload at which a block is to close.
    block_bytes: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    filling: Parcel,
    /// Memory of `filling`, and of what the writer took.
    filling_bytes: usize,
    taken_bytes: usize,
    closed: bool,
}

impl Inbox {
    pub(super) fn new(block_bytes: usize, bytes_max: usize) -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), room: Notify::new(), block_bytes, bytes_max }
    }

    /// Takes a parcel if there is room, and leaves it empty; whether there was. One that is larger than the whole
    /// inbox may be may come alone.
    ///
    /// # Errors
    /// [`Stopped`] if there is no writer any more; nothing was taken then.
    pub(crate) fn try_put(&self, parcel: &mut Parcel) -> Result<bool, Stopped> {
        let bytes = parcel.bytes();
        let mut state = self.lock();
        if state.closed {
            return Err(Stopped);
        }
        let held = state.filling_bytes + state.taken_bytes;
        if held > 0 && held + bytes > self.bytes_max {
            return Ok(false);
        }
        let before = state.filling.payload_bytes;
        let first = state.filling.is_empty() && !parcel.is_empty();
        state.filling.append(parcel);
        state.filling_bytes += bytes;
        let full = before < self.block_bytes && state.filling.payload_bytes >= self.block_bytes;
        drop(state);
        if first || full {
            self.wake.notify_one();
        }
        Ok(true)
    }

    /// Takes a parcel, waiting while there is no room.
    ///
    /// # Errors
    /// As [`Inbox::try_put`].
    pub(crate) async fn put(&self, mut parcel: Parcel) -> Result<(), Stopped> {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            // Before the attempt, so that no room that comes in between is missed.
            room.as_mut().enable();
            if self.try_put(&mut parcel)? {
                return Ok(());
            }
            room.await;
        }
    }

    /// Waits until there is something; false if it was closed and is empty.
    pub(super) async fn until_some(&self) -> bool {
        loop {
            {
                let state = self.lock();
                if !state.filling.is_empty() || state.closed {
                    return !state.filling.is_empty();
                }
            }
            self.wake.notified().await;
        }
    }

    /// Waits until there is enough for a block, or nothing more comes.
    pub(super) async fn until_block(&self) {
        loop {
            {
                let state = self.lock();
                if state.filling.payload_bytes >= self.block_bytes || state.closed {
                    return;
                }
            }
            self.wake.notified().await;
        }
    }

    /// Gives all that there is in exchange for an empty parcel, whose memory is used again.
    pub(super) fn take(&self, parcel: &mut Parcel) {
        let mut state = self.lock();
        std::mem::swap(&mut state.filling, parcel);
        state.taken_bytes = std::mem::take(&mut state.filling_bytes);
    }

    /// What was taken is durable.
    pub(super) fn done(&self) {
        self.lock().taken_bytes = 0;
        self.room.notify_waiters();
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_waiters();
        self.wake.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Messages that nobody took.
    pub(super) fn left(&self) -> usize {
        self.lock().filling.messages
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only an allocation can panic while this is held, and then the process is over.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(messages: usize) -> Parcel {
        Parcel { messages, ..Parcel::default() }
    }

    #[test]
    fn what_does_not_fit_waits_until_the_writer_is_done_and_a_closed_inbox_refuses() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            // Room for two messages.
            let inbox = Arc::new(Inbox::new(1 << 20, 2 * MESSAGE_BYTES));
            assert_eq!(inbox.try_put(&mut parcel(3)), Ok(true), "what is too large for it comes alone");
            let mut late = parcel(1);
            assert_eq!(inbox.try_put(&mut late), Ok(false));
            assert_eq!(late.messages, 1, "nothing was taken");
            let waiting = tokio::spawn({
                let inbox = Arc::clone(&inbox);
                async move { inbox.put(late).await }
            });
            tokio::task::yield_now().await;
            let mut taken = Parcel::default();
            inbox.take(&mut taken);
            assert_eq!((taken.messages, inbox.left()), (3, 0));
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished(), "what was taken still counts until it is durable");
            inbox.done();
            assert_eq!(waiting.await.unwrap(), Ok(()));
            assert!(inbox.until_some().await);

            assert_eq!(inbox.try_put(&mut parcel(1)), Ok(true));
            let waiting = tokio::spawn({
                let inbox = Arc::clone(&inbox);
                async move { inbox.put(parcel(1)).await }
            });
            tokio::task::yield_now().await;
            inbox.close();
            assert_eq!(waiting.await.unwrap(), Err(Stopped));
            assert_eq!(inbox.try_put(&mut parcel(1)), Err(Stopped));
            assert!(inbox.until_some().await, "what was taken before is still to be written");
            taken = Parcel::default();
            inbox.take(&mut taken);
            assert_eq!((taken.messages, inbox.left()), (2, 0));
            assert!(!inbox.until_some().await);
        });
    }

    #[test]
    fn a_block_is_announced_when_it_is_full() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let inbox = Arc::new(Inbox::new(100, 1 << 20));
            let full = tokio::spawn({
                let inbox = Arc::clone(&inbox);
                async move { inbox.until_block().await }
            });
            for (payload_bytes, expected) in [(60, false), (39, false), (1, true)] {
                let mut more = Parcel { payload_bytes, ..parcel(1) };
                inbox.try_put(&mut more).unwrap();
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(full.is_finished(), expected);
            }
        });
    }
}
