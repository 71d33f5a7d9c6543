//! Everything that ingest counts. Names, types and meanings are in the table of [`events::metrics`].
//!
//! Upstream: the writer, the endpoint, the subscription. Downstream: `/metrics`. The counters of fates come from
//! one snapshot, taken when a block is durable, so that in every scrape received = accepted + duplicate +
//! rejected.

use std::sync::{Arc, Mutex, PoisonError};

use events::metrics::metric;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::gate::Fates;
use crate::server::Close;
use crate::subscribe::Lost;

/// Borders of the histogram of commits, seconds: close to each other around the 5 ms that a block waits.
const COMMIT_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// The metrics of one ingest; clones are the same ones.
#[derive(Clone)]
pub struct Metrics {
    fates: FateCounters,
    /// Messages whose fate is decided and durable.
    pub messages: IntCounter,
    /// Messages handed over and not yet durable.
    pub waiting: IntGauge,
    pub blocks: IntCounter,
    /// From the first message of a block until its acknowledgements may leave.
    pub commit_seconds: Histogram,
    /// Failed attempts to make a block or dead letters durable.
    pub commit_failures: IntCounter,
    pub spool_bytes: IntGauge,
    /// Beyond it the oldest files go, read or not.
    pub spool_limit_bytes: IntGauge,
    pub spool_next_block: IntGauge,
    /// 1 while the spool or the dead letters cannot be written.
    pub disk_failing: IntGauge,
    /// 1 while that is because there is no room.
    pub disk_full: IntGauge,
    pub dead_letters: IntCounter,
    pub dead_letters_dropped: IntCounter,
    pub connections: IntGauge,
    /// Closed connections to the endpoint, by reason.
    pub closed: IntCounterVec,
    pub tap_dropped: IntCounter,
    /// Connections of broker mode that are up.
    pub mqtt_connected: IntGauge,
    /// Sessions by state; no series where there is no broker.
    pub mqtt_sessions: IntGaugeVec,
    /// Lost or refused connections, by reason.
    pub mqtt_failures: IntCounterVec,
    /// Acknowledgements of an earlier connection, which were not sent.
    pub mqtt_stale_acks: IntCounter,
}

impl Metrics {
    /// Declares all metrics in `registry`.
    ///
    /// # Errors
    /// If one of the names is taken: one registry serves one ingest.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = |name: &str| Opts::new(metric(name).name, metric(name).help);
        let counter = |name: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::with_opts(opts(name))?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::with_opts(opts(name))?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let counters = |name: &str| -> Result<IntCounterVec, prometheus::Error> {
            let counters = IntCounterVec::new(opts(name), metric(name).labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let fates = FateCounters::new()?;
        registry.register(Box::new(fates.clone()))?;
        let seconds = HistogramOpts::from(opts("arterial_ingest_commit_seconds"));
        let commit_seconds = Histogram::with_opts(seconds.buckets(COMMIT_SECONDS.to_vec()))?;
        registry.register(Box::new(commit_seconds.clone()))?;
        let sessions = "arterial_ingest_mqtt_sessions";
        let mqtt_sessions = IntGaugeVec::new(opts(sessions), metric(sessions).labels)?;
        registry.register(Box::new(mqtt_sessions.clone()))?;
        let closed = counters("arterial_ingest_closed_total")?;
        Close::ALL.iter().for_each(|close| drop(closed.with_label_values(&[close.name()])));
        let mqtt_failures = counters("arterial_ingest_mqtt_failures_total")?;
        Lost::ALL.iter().for_each(|lost| drop(mqtt_failures.with_label_values(&[lost.name()])));
        Ok(Self {
            fates,
            messages: counter("arterial_ingest_messages_total")?,
            waiting: gauge("arterial_ingest_waiting_messages")?,
            blocks: counter("arterial_ingest_blocks_total")?,
            commit_seconds,
            commit_failures: counter("arterial_ingest_commit_failures_total")?,
            spool_bytes: gauge("arterial_ingest_spool_bytes")?,
            spool_limit_bytes: gauge("arterial_ingest_spool_limit_bytes")?,
            spool_next_block: gauge("arterial_ingest_spool_next_block")?,
            disk_failing: gauge("arterial_ingest_disk_failing")?,
            disk_full: gauge("arterial_ingest_disk_full")?,
            dead_letters: counter("arterial_ingest_dead_letters_total")?,
            dead_letters_dropped: counter("arterial_ingest_dead_letters_dropped_total")?,
            connections: gauge("arterial_ingest_connections")?,
            closed,
            tap_dropped: counter("arterial_ingest_tap_dropped_total")?,
            mqtt_connected: gauge("arterial_ingest_mqtt_connected")?,
            mqtt_sessions,
            mqtt_failures,
            mqtt_stale_acks: counter("arterial_ingest_mqtt_stale_acks_total")?,
        })
    }

    /// The fates as of the newest commit.
    pub fn fates(&self) -> Fates {
        self.fates.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Publishes the fates after a commit.
    pub fn set_fates(&self, fates: Fates) {
        *self.fates.latest.lock().unwrap_or_else(PoisonError::into_inner) = fates;
    }
}

/// The three counters of fates, filled from one snapshot whenever they are collected.
#[derive(Clone)]
struct FateCounters {
    latest: Arc<Mutex<Fates>>,
    received: IntCounter,
    events: IntCounterVec,
    rejected: IntCounterVec,
}

impl FateCounters {
    fn new() -> Result<Self, prometheus::Error> {
        let opts = |name: &str| Opts::new(metric(name).name, metric(name).help);
        let (events, rejected) = ("arterial_ingest_events_total", "arterial_ingest_rejected_total");
        Ok(Self {
            latest: Arc::default(),
            received: IntCounter::with_opts(opts("arterial_ingest_received_total"))?,
            events: IntCounterVec::new(opts(events), metric(events).labels)?,
            rejected: IntCounterVec::new(opts(rejected), metric(rejected).labels)?,
        })
    }
}

impl Collector for FateCounters {
    fn desc(&self) -> Vec<&Desc> {
        [self.received.desc(), self.events.desc(), self.rejected.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let fates = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let set = |counter: &IntCounter, value: u64| {
            counter.reset();
            counter.inc_by(value);
        };
        set(&self.received, fates.received);
        set(&self.events.with_label_values(&["accepted"]), fates.accepted);
        set(&self.events.with_label_values(&["duplicate"]), fates.duplicate);
        set(&self.events.with_label_values(&["rejected"]), fates.rejected_total());
        for (reason, count) in &fates.rejected {
            set(&self.rejected.with_label_values(&[reason.name()]), *count);
        }
        [self.received.collect(), self.events.collect(), self.rejected.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Reason;
    use prometheus::{Encoder, TextEncoder};

    #[test]
    fn a_scrape_shows_all_fates_of_one_moment_and_all_reasons_from_the_start() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let page = || {
            let mut page = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut page).unwrap();
            String::from_utf8(page).unwrap()
        };
        for reason in Reason::ALL {
            assert!(page().contains(&format!("arterial_ingest_rejected_total{{reason=\"{}\"}} 0\n", reason.name())));
        }
        let mut fates = Fates { received: 7, accepted: 3, duplicate: 2, ..Fates::default() };
        fates.rejected.insert(Reason::NotUtf8, 2);
        metrics.set_fates(fates);
        for line in [
            "arterial_ingest_received_total 7\n",
            "arterial_ingest_events_total{fate=\"accepted\"} 3\n",
            "arterial_ingest_events_total{fate=\"duplicate\"} 2\n",
            "arterial_ingest_events_total{fate=\"rejected\"} 2\n",
            "arterial_ingest_rejected_total{reason=\"not_utf8\"} 2\n",
            "arterial_ingest_closed_total{reason=\"malformed\"} 0\n",
        ] {
            assert!(page().contains(line), "{line} is not in\n{}", page());
        }
        assert!(Metrics::new(&registry).is_err(), "a second ingest in one registry is refused");
    }
}
