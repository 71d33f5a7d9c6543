//! A page under construction: one list of series a family, in the order of the table of [`events::metrics`].
//!
//! Upstream: the modules beside this one, which push. Downstream: the `prometheus` crate, which encodes.

use std::collections::HashMap;
use std::sync::LazyLock;

use events::metrics::{self, Kind};
use prometheus::core::Desc;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Error, proto};

use super::lag::Lag;

/// Start of the names on `/metrics` that others register: they may be in the same registry.
const OTHERS: [&str; 5] =
    ["arterial_ingest_", "arterial_sim_", "arterial_build_", "arterial_http_", "arterial_archive_"];

/// Place of every name in the table.
static PLACES: LazyLock<HashMap<&str, usize>> =
    LazyLock::new(|| metrics::ALL.iter().enumerate().map(|(at, metric)| (metric.name, at)).collect());

/// What is registered: every family that this collector may give.
pub(super) fn descs() -> Result<Vec<Desc>, Error> {
    let ours = metrics::ALL.iter().filter(|metric| {
        metric.page == metrics::Page::Main && !OTHERS.iter().any(|other| metric.name.starts_with(other))
    });
    ours.map(|m| Desc::new(m.name.into(), m.help.into(), Vec::new(), Default::default())).collect()
}

pub(super) struct Page {
    series: Vec<Vec<Metric>>,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { series: vec![Vec::new(); metrics::ALL.len()] }
    }

    pub(super) fn gauge(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::default();
        metric.set_gauge(gauge);
        self.push(name, labels, metric);
    }

    /// Several gauges under the same labels; those without a value have no series.
    pub(super) fn gauges(&mut self, labels: &[(&str, &str)], named: &[(&str, Option<f64>)]) {
        for (name, value) in named {
            value.iter().for_each(|v| self.gauge(name, labels, *v));
        }
    }

    pub(super) fn counter(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = Metric::default();
        metric.set_counter(counter);
        self.push(name, labels, metric);
    }

    pub(super) fn histogram(&mut self, name: &str, labels: &[(&str, &str)], lag: &Lag) {
        let mut histogram = Histogram::default();
        let buckets = lag.cumulative().map(|(upper_s, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(upper_s);
            bucket.set_cumulative_count(count);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(lag.count());
        histogram.set_sample_sum(lag.sum_s());
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        self.push(name, labels, metric);
    }

    fn push(&mut self, name: &str, labels: &[(&str, &str)], mut metric: Metric) {
        let family = *PLACES.get(name).expect("every name is in the table, which a test holds");
        let pairs = labels.iter().map(|&(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.into());
            pair.set_value(value.into());
            pair
        });
        metric.set_label(pairs.collect());
        self.series[family].push(metric);
    }

    pub(super) fn families(self) -> Vec<MetricFamily> {
        let named = metrics::ALL.iter().zip(self.series).filter(|(_, series)| !series.is_empty());
        named
            .map(|(declared, series)| {
                let mut family = proto::MetricFamily::default();
                family.set_name(declared.name.into());
                family.set_help(declared.help.into());
                family.set_field_type(match declared.kind {
                    Kind::Counter => MetricType::COUNTER,
                    Kind::Gauge => MetricType::GAUGE,
                    Kind::Histogram => MetricType::HISTOGRAM,
                });
                family.set_metric(series);
                family
            })
            .collect()
    }
}
