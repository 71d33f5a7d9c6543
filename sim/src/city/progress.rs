//! How far a city is and who holds it back: shared, and true at any moment.
//!
//! Upstream: the loop that simulates. Downstream: the progress line, the metrics.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use events::TimeMs;
use tokio::time::Instant;

/// The real-time factor is taken over so many of the last simulated seconds.
const FACTOR_SECONDS: usize = 30;

/// How far a city is.
#[derive(Debug, Default)]
pub struct Progress {
    pub(super) events: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    pub(super) vehicles: AtomicU64,
    pub(super) under_way: AtomicU64,
    event_time_ms: AtomicI64,
    held_back_us: AtomicU64,
    behind_ms: AtomicU64,
    /// When each of the last simulated seconds ended, with its event time; at most [`FACTOR_SECONDS`] + 1.
    seconds: Mutex<std::collections::VecDeque<(Instant, TimeMs)>>,
}

impl Progress {
    /// Events handed to the publishers, or recorded.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Messages handed to the publishers.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Bytes of the payloads handed to the publishers.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Vehicles on the road now.
    pub fn vehicles(&self) -> u64 {
        self.vehicles.load(Ordering::Relaxed)
    }

    /// Positions that the sensors keep because they arrive later.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Simulated until; 0 before the first second.
    pub fn event_time(&self) -> TimeMs {
        TimeMs(self.event_time_ms.load(Ordering::Relaxed))
    }

    /// Time for which publishers let the city wait, altogether.
    pub fn held_back(&self) -> Duration {
        Duration::from_micros(self.held_back_us.load(Ordering::Relaxed))
    }

    /// How much later than its moment the last second was handed over.
    pub fn behind(&self) -> Duration {
        Duration::from_millis(self.behind_ms.load(Ordering::Relaxed))
    }

    /// Simulated seconds per second of wall clock, over the last [`FACTOR_SECONDS`]; `None` before two are over.
    pub fn real_time_factor(&self) -> Option<f64> {
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let ((began, from), (ended, to)) = (seconds.front()?, seconds.back()?);
        let wall_s = ended.duration_since(*began).as_secs_f64();
        (wall_s > 0.0).then(|| (to.0 - from.0) as f64 / 1_000.0 / wall_s)
    }

    pub(super) fn hand_over(&self, events: u64, bytes: u64, waited: Duration) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.held_back_us.fetch_add(waited.as_micros() as u64, Ordering::Relaxed);
    }

    /// A second is over and handed over; the first time it is the begin of the first second.
    pub fn end_second(&self, end: TimeMs, behind: Duration) {
        self.event_time_ms.store(end.0, Ordering::Relaxed);
        self.behind_ms.store(behind.as_millis() as u64, Ordering::Relaxed);
        self.mark(end);
    }

    fn mark(&self, now: TimeMs) {
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        if seconds.len() > FACTOR_SECONDS {
            seconds.pop_front();
        }
        seconds.push_back((Instant::now(), now));
    }
}
