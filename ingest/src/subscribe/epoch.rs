//! The guard of acknowledgements: one that belongs to a lost connection is never sent.
//!
//! Upstream: the writer, which releases acknowledgements in its own thread. Downstream: the client library.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;

use super::link::{Acker, Link, Receipt};
use crate::faults::{Faults, Guard};

/// The connections that there were, counted; clones are the same.
#[derive(Clone)]
pub(super) struct Epoch {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    acker: Acker,
    stale: IntCounter,
    /// A test left the guard out.
    unguarded: bool,
}

#[derive(Default)]
struct State {
    /// The present connection.
    epoch: u64,
    /// Messages of this connection that were handed over and not acknowledged.
    outstanding: usize,
    /// An acknowledgement could not be handed to the library: only a new connection mends that.
    broken: bool,
}

/// The acknowledgement of one message from the broker.
pub struct BrokerAck {
    shared: Arc<Shared>,
    epoch: u64,
    receipt: Receipt,
    released: bool,
}

impl Epoch {
    pub(super) fn new(acker: Acker, stale: IntCounter, faults: &Faults) -> Self {
        let unguarded = faults.leave_out(Guard::Epoch);
        Self { shared: Arc::new(Shared { state: Mutex::default(), acker, stale, unguarded }) }
    }

    /// The acknowledgement of a message that came on the present connection.
    pub(super) fn ack(&self, receipt: Receipt) -> BrokerAck {
        let mut state = self.shared.lock();
        state.outstanding += 1;
        BrokerAck { shared: Arc::clone(&self.shared), epoch: state.epoch, receipt, released: false }
    }

    /// The connection has ended: everything that is left of it is thrown away.
    pub(super) fn end(&self, link: &mut Link) {
        let mut state = self.shared.lock();
        if self.shared.unguarded {
            state.broken = false;
            return;
        }
        *state = State { epoch: state.epoch + 1, ..State::default() };
        link.forget();
    }

    pub(super) fn outstanding(&self) -> usize {
        self.shared.lock().outstanding
    }

    pub(super) fn is_broken(&self) -> bool {
        self.shared.lock().broken
    }
}

impl BrokerAck {
    /// Hands the acknowledgement to the library, unless its connection is gone.
    pub(crate) fn release(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        self.released = true;
        if state.epoch != self.epoch {
            shared.stale.inc();
            return;
        }
        state.outstanding -= 1;
        // Under the lock: between the check and this, no new connection can begin.
        if !shared.acker.ack(self.receipt) {
            state.broken = true;
            tracing::error!("the client has no room for an acknowledgement; connecting anew");
        }
    }
}

/// An acknowledgement that is given up (its writer has stopped) is no longer waited for.
impl Drop for BrokerAck {
    fn drop(&mut self) {
        if !self.released {
            let mut state = self.shared.lock();
            if state.epoch == self.epoch {
                state.outstanding -= 1;
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while this is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
