//! What Prometheus is told of a simulated city. Names, types and meanings are in the table of [`events::metrics`].
//!
//! Upstream: [`Progress`] and the counters of the publishers. Downstream: whoever serves a page of the registry. The
//! numbers are brought up to date by [`Metrics::refresh`], which costs nothing in the loop that simulates.

use std::sync::Arc;

use events::metrics::metric;
use prometheus::{Gauge, IntCounter, IntGauge, Opts, Registry};

use crate::city::Progress;
use crate::publish::PublishCounters;

/// The metrics of one city.
#[derive(Clone, Debug)]
pub struct Metrics {
    progress: Arc<Progress>,
    publishers: Vec<Arc<PublishCounters>>,
    events: IntCounter,
    bytes: IntCounter,
    accepted: IntCounter,
    sent: IntCounter,
    acknowledged: IntCounter,
    refused: IntCounter,
    reconnects: IntCounter,
    unsent: IntGauge,
    unacknowledged: IntGauge,
    under_way: IntGauge,
    vehicles: IntGauge,
    held_back_s: Gauge,
    behind_s: Gauge,
    real_time_factor: Gauge,
    event_time_s: Gauge,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If the registry already has one of the names.
    pub fn new(
        registry: &Registry,
        progress: Arc<Progress>,
        publishers: Vec<Arc<PublishCounters>>,
    ) -> Result<Self, prometheus::Error> {
        let opts = |name: &str| Opts::new(metric(name).name, metric(name).help);
        let counter = |name| {
            let made = IntCounter::with_opts(opts(name))?;
            registry.register(Box::new(made.clone())).map(|()| made)
        };
        let whole = |name| {
            let made = IntGauge::with_opts(opts(name))?;
            registry.register(Box::new(made.clone())).map(|()| made)
        };
        let gauge = |name| {
            let made = Gauge::with_opts(opts(name))?;
            registry.register(Box::new(made.clone())).map(|()| made)
        };
        Ok(Self {
            progress,
            publishers,
            events: counter("arterial_sim_events_total")?,
            bytes: counter("arterial_sim_payload_bytes_total")?,
            accepted: counter("arterial_sim_messages_total")?,
            sent: counter("arterial_sim_messages_sent_total")?,
            acknowledged: counter("arterial_sim_messages_acknowledged_total")?,
            refused: counter("arterial_sim_messages_refused_total")?,
            reconnects: counter("arterial_sim_reconnects_total")?,
            unsent: whole("arterial_sim_unsent_messages")?,
            unacknowledged: whole("arterial_sim_unacknowledged_messages")?,
            under_way: whole("arterial_sim_late_positions")?,
            vehicles: whole("arterial_sim_vehicles")?,
            held_back_s: gauge("arterial_sim_held_back_seconds")?,
            behind_s: gauge("arterial_sim_behind_seconds")?,
            real_time_factor: gauge("arterial_sim_real_time_ratio")?,
            event_time_s: gauge("arterial_sim_event_time_timestamp_seconds")?,
        })
    }

    /// Brings every number up to date.
    pub fn refresh(&self) {
        let sum = |of: fn(&PublishCounters) -> u64| self.publishers.iter().map(|p| of(p)).sum::<u64>();
        for (metric, now) in [
            (&self.events, self.progress.events()),
            (&self.bytes, self.progress.bytes()),
            (&self.accepted, sum(PublishCounters::accepted)),
            (&self.sent, sum(PublishCounters::sent)),
            (&self.acknowledged, sum(PublishCounters::acked)),
            (&self.refused, sum(PublishCounters::refused)),
            (&self.reconnects, sum(PublishCounters::reconnects)),
        ] {
            metric.inc_by(now.saturating_sub(metric.get()));
        }
        self.unsent.set(sum(PublishCounters::unsent) as i64);
        let answered = self.acknowledged.get() + self.refused.get();
        self.unacknowledged.set(self.sent.get().saturating_sub(answered) as i64);
        self.under_way.set(self.progress.under_way() as i64);
        self.vehicles.set(self.progress.vehicles() as i64);
        self.held_back_s.set(self.progress.held_back().as_secs_f64());
        self.behind_s.set(self.progress.behind().as_secs_f64());
        // Before two seconds are over there is no factor; 0 would be one.
        self.real_time_factor.set(self.progress.real_time_factor().unwrap_or(f64::NAN));
        self.event_time_s.set(self.progress.event_time().0 as f64 / 1_000.0);
    }
}
