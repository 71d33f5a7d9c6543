//! Whether the broker is there, over all connections to it.
//!
//! Upstream: every subscriber. Downstream: `/ready`, `arterial_ingest_mqtt_connected`, one line of the log for every
//! change.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::SubscribeConfig;
use crate::ready::Part;
use crate::writer::WriterHandle;

pub(super) struct Presence {
    writer: WriterHandle,
    place: String,
    connections: usize,
    /// Why each of those that are away is away; at most one entry a connection.
    away: Mutex<BTreeMap<usize, String>>,
}

impl Presence {
    pub(super) fn new(config: &SubscribeConfig, writer: WriterHandle) -> Self {
        let place = format!("{}:{}", config.host, config.port);
        let connections = config.connections.max(1);
        let away = (0..connections).map(|number| (number, "not connected yet".to_owned())).collect();
        let presence = Self { writer, place, connections, away: Mutex::new(away) };
        presence.tell(&presence.lock());
        presence
    }

    /// Connection `number` is there and subscribed.
    pub(super) fn there(&self, number: usize) {
        let mut away = self.lock();
        away.remove(&number);
        if self.tell(&away) {
            tracing::info!(broker = self.place, "connected to the broker and subscribed");
        }
    }

    /// Connection `number` is away.
    pub(super) fn away(&self, number: usize, why: String) {
        let mut away = self.lock();
        away.insert(number, why);
        if self.tell(&away) {
            tracing::warn!(broker = self.place, reason = away.get(&number), "the broker is away");
        }
    }

    /// We are leaving by our own will.
    pub(super) fn leaves(&self) {
        self.writer.metrics().mqtt_connected.set(0);
    }

    /// Whether that is news.
    fn tell(&self, away: &BTreeMap<usize, String>) -> bool {
        let metrics = self.writer.metrics();
        let there = self.connections - away.len();
        metrics.mqtt_connected.set(there as i64);
        metrics.mqtt_sessions.with_label_values(&["subscribed"]).set(there as i64);
        metrics.mqtt_sessions.with_label_values(&["away"]).set(away.len() as i64);
        let ready = self.writer.ready();
        let Some(why) = away.values().next() else { return ready.works(Part::Broker) };
        let which = if self.connections == 1 {
            String::new()
        } else {
            format!(" for {} of {} connections", away.len(), self.connections)
        };
        ready.fails(Part::Broker, format!("the broker at {} is away{which}: {why}", self.place))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, String>> {
        // Nothing can panic while this is held.
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
