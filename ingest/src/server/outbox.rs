//! What waits to be written to a client: acknowledgements first of all.
//!
//! Upstream: the writer, which releases acknowledgements; the connection and its tap. Downstream: the socket. It is
//! bounded: acknowledgements by the messages in flight, beyond which the connection is not read; everything else
//! by [`OUTBOX_BYTES_MAX`], beyond which the connection is not read and a tap loses messages.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::packet;

/// Bytes that may wait before a connection is not read, or a tap loses messages.
pub(super) const OUTBOX_BYTES_MAX: usize = 256 << 10;

/// Memory that an outbox keeps while nothing waits, bytes; it has two of them in turn.
const KEPT_BYTES_MAX: usize = 4 << 10;

/// The outbox of one connection.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Something is there to be written, or it was closed.
    wake: Notify,
    /// Something was written.
    room: Notify,
}

#[derive(Default)]
struct State {
    bytes: BytesMut,
    /// Acknowledgements among the bytes.
    acks: usize,
    /// Messages read and not yet acknowledged on the wire.
    in_flight: usize,
    closed: bool,
}

impl Outbox {
    /// Sends PUBACKs. They leave in the order of these calls, which is that of receipt.
    pub(crate) fn acknowledge(&self, ids: &[u16]) {
        let mut state = self.lock();
        if state.closed || ids.is_empty() {
            return;
        }
        let first = state.bytes.is_empty();
        packet::pubacks(ids, &mut state.bytes);
        state.acks += ids.len();
        drop(state);
        if first {
            self.wake.notify_one();
        }
    }

    /// Notes messages that were read and will be acknowledged.
    pub(super) fn expect(&self, messages: usize) {
        self.lock().in_flight += messages;
    }

    /// Lets `write` append a packet.
    pub(super) fn push(&self, write: impl FnOnce(&mut BytesMut)) {
        let mut state = self.lock();
        if !state.closed {
            write(&mut state.bytes);
            drop(state);
            self.wake.notify_one();
        }
    }

    /// The same if there is room; whether there was.
    pub(super) fn push_if_room(&self, write: impl FnOnce(&mut BytesMut)) -> bool {
        let room = self.lock().bytes.len() < OUTBOX_BYTES_MAX;
        if room {
            self.push(write);
        }
        room
    }

    /// Whether [`Outbox::until_room`] need not wait.
    pub(super) fn has_room(&self, in_flight_max: usize) -> bool {
        let state = self.lock();
        !state.closed && state.in_flight < in_flight_max && state.bytes.len() < OUTBOX_BYTES_MAX
    }

    /// Waits until fewer than `in_flight_max` messages are unacknowledged and there is room for answers; false if
    /// nothing can be written any more.
    pub(super) async fn until_room(&self, in_flight_max: usize) -> bool {
        loop {
            {
                let state = self.lock();
                if state.closed {
                    return false;
                }
                if state.in_flight < in_flight_max && state.bytes.len() < OUTBOX_BYTES_MAX {
                    return true;
                }
            }
            self.room.notified().await;
        }
    }

    /// Waits until every message is acknowledged on the wire, or the socket failed.
    pub(super) async fn until_acknowledged(&self) -> bool {
        self.until_room(1).await
    }

    /// Nothing more will be added; what is there is still written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Writes until closed and empty, or until the socket fails, which closes the outbox too.
    pub(super) async fn drive(&self, socket: impl AsyncWrite + Unpin) {
        if let Err(cause) = self.write(socket).await {
            tracing::debug!(%cause, "a client cannot be written to");
        }
        self.close();
        self.room.notify_one();
    }

    async fn write(&self, mut socket: impl AsyncWrite + Unpin) -> std::io::Result<()> {
        let mut writing = BytesMut::new();
        loop {
            let (acks, closed) = {
                let mut state = self.lock();
                std::mem::swap(&mut writing, &mut state.bytes);
                (std::mem::take(&mut state.acks), state.closed)
            };
            if writing.is_empty() {
                if closed {
                    return socket.shutdown().await;
                }
                self.wake.notified().await;
                continue;
            }
            socket.write_all(&writing).await?;
            socket.flush().await?;
            writing.clear();
            if writing.capacity() > KEPT_BYTES_MAX {
                writing = BytesMut::new();
            }
            self.lock().in_flight -= acks;
            self.room.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while this is held but an allocation, and then the bytes are still whole packets.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
