//! Prometheus: `/metrics` of the newest snapshots and the health of analytics, and `/metrics/segments`.
//!
//! Upstream: [`crate::follow`] publishes, this reads at scrape time, so a scrape never sees half a tick and a
//! segment without fresh data has no series. Downstream: Prometheus. Names are in the table of [`events::metrics`].
//!
//! In reading order:
//! - [`page`]: a page of the `prometheus` crate under construction, by the names of the table
//! - `city`, `roadside`, `health`: what is on `/metrics`
//! - [`lag`]: how long events take from stage to stage, counted while the spool is followed
//! - [`policy`]: which segments are exported
//! - [`segments`]: `/metrics/segments`, our own writer: the crate costs 815 B a series and seconds a scrape at a million
//! - [`pack`]: gzip by a writer who knows what repeats, and need not search for it

mod city;
mod health;
pub mod lag;
pub mod pack;
mod page;
pub mod policy;
mod roadside;
pub mod segments;

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, Registry};
use roads::Network;

use crate::follow::Watch;
use page::Page;

/// Registers everything that analytics exports on `/metrics`.
///
/// # Errors
/// When a name is taken in this registry.
pub fn register(registry: &Registry, watch: Watch, network: Arc<Network>) -> Result<(), Error> {
    registry.register(Box::new(Traffic { watch, network, descs: page::descs()? }))
}

struct Traffic {
    watch: Watch,
    network: Arc<Network>,
    descs: Vec<Desc>,
}

impl Collector for Traffic {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let published = self.watch.borrow().clone();
        let mut page = Page::new();
        for snapshot in published.snapshots() {
            city::city(&mut page, snapshot);
        }
        city::findings(&mut page, &published.findings, &self.network);
        roadside::detectors(&mut page, &published);
        roadside::signals(&mut page, &published.roadside);
        roadside::buses(&mut page, &published.roadside);
        health::health(&mut page, &published.health);
        page.families()
    }
}
