//! What is known of history being written: for metrics, for `/ready`.
//!
//! Upstream: [`super::recorder`]. Downstream: [`super::metrics`], the service's readiness, and
//! [`crate::report::profile::keep`], which waits for days to be over.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::collect::LeftOut;
use super::compact::Compacted;
use super::retain::Removed;
use super::store::Added;

/// Figures of an archive that is being written.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Since the start.
    pub added: Added,
    pub compacted: Compacted,
    pub removed: Removed,
    pub left_out: LeftOut,
    /// Rows that wait in memory, and in checkpoints.
    pub ready_rows: u64,
    /// All that the manifest lists.
    pub files: u64,
    pub bytes: u64,
    /// End of the newest minute of cells, milliseconds since 1970.
    pub newest_ms: Option<i64>,
    /// Attempts that failed: of the folder, and of the object storage.
    pub failures: u64,
    pub remote_failures: u64,
    /// Files and bytes that the object storage does not have; 0 where the archive is a folder.
    pub waiting_files: u64,
    pub waiting_bytes: u64,
    /// Rows given up, since the object storage was down for too long.
    pub given_up: u64,
    /// Why nothing is written, or nothing is put into the object storage, at the moment.
    pub fault: Option<String>,
    pub remote_fault: Option<String>,
}

/// Shared by who writes and who tells.
#[derive(Clone, Debug, Default)]
pub struct Status {
    health: Arc<Mutex<Health>>,
    /// How many days were compacted since the start.
    days: watch::Sender<u64>,
}

impl Status {
    /// The figures as they are now.
    pub fn now(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many days were compacted since the start, for who waits for the next.
    pub fn days(&self) -> watch::Receiver<u64> {
        self.days.subscribe()
    }

    /// What keeps history from being written.
    ///
    /// # Errors
    /// A sentence, while something does.
    pub fn ready(&self) -> Result<(), String> {
        let health = self.now();
        match health.fault.or(health.remote_fault) {
            Some(fault) => Err(format!("history is not written: {fault}")),
            None => Ok(()),
        }
    }

    pub(super) fn day_over(&self) {
        self.days.send_modify(|days| *days += 1);
    }

    pub(super) fn change(&self, how: impl FnOnce(&mut Health)) {
        how(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
