//! What Prometheus is told of a simulated city: names, meanings, and where the numbers come from.
//!
//! Upstream: [`Progress`] and the counters of the publishers. Downstream: whoever serves a page of the registry. The
//! numbers are brought up to date by [`Metrics::refresh`], which costs nothing in the loop that simulates.

use std::sync::Arc;

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
        let opts = |name: &str, help: &str| Opts::new(format!("arterial_sim_{name}"), help);
        let counter = |name, help| {
            let made = IntCounter::with_opts(opts(name, help))?;
            registry.register(Box::new(made.clone())).map(|()| made)
        };
        let whole = |name, help| {
            let made = IntGauge::with_opts(opts(name, help))?;
            registry.register(Box::new(made.clone())).map(|()| made)
        };
        let gauge = |name, help| {
            let made = Gauge::with_opts(opts(name, help))?;
            registry.register(Box::new(made.clone())).map(|()| made)
        };
        Ok(Self {
            progress,
            publishers,
            events: counter("events_total", "Events handed to the publishers.")?,
            bytes: counter("payload_bytes_total", "Bytes of the payloads handed to the publishers.")?,
            accepted: counter("messages_total", "Messages handed to the publishers.")?,
            sent: counter("messages_sent_total", "Messages sent at least once.")?,
            acknowledged: counter("messages_acknowledged_total", "Messages taken over by the server.")?,
            refused: counter("messages_refused_total", "Messages lost because the server refused them.")?,
            reconnects: counter("reconnects_total", "Connections after the first, of all publishers.")?,
            unsent: whole("unsent_messages", "Messages that wait to be sent: the server or the network is slow.")?,
            unacknowledged: whole("unacknowledged_messages", "Messages sent and not acknowledged.")?,
            under_way: whole("late_positions", "Positions that arrive later, as the sensors' delivery has it.")?,
            vehicles: whole("vehicles", "Vehicles on the road.")?,
            held_back_s: gauge("held_back_seconds", "Time for which publishers let the city wait, altogether.")?,
            behind_s: gauge("behind_seconds", "How much later than due the last second was handed over.")?,
            real_time_factor: gauge("real_time_ratio", "Simulated seconds per second of wall clock, last 30.")?,
            event_time_s: gauge("event_time_timestamp_seconds", "Event time of the last second handed over.")?,
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
