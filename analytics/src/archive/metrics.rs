//! History as it is written, on the page of Prometheus.
//!
//! Upstream: [`super::status`]. Downstream: the registry that `/metrics` gathers. Series: one a table, and a dozen.

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Error, Registry};

use super::recorder::wall_ms;
use super::status::{Health, Status};

/// Name, help and figures of every family.
type Family = (&'static str, &'static str, fn(&Health) -> Vec<(Option<&'static str>, f64)>);

const FAMILIES: [Family; 16] = [
    ("arterial_archive_rows_total", "Rows written to history, by table", |h| {
        h.added.by_table.iter().map(|(table, rows)| (Some(table.name()), *rows as f64)).collect()
    }),
    ("arterial_archive_known_rows_total", "Rows left out since history has their minute already", |h| {
        one(h.added.known_rows)
    }),
    ("arterial_archive_written_bytes_total", "Bytes of files written for minutes that closed", |h| one(h.added.bytes)),
    ("arterial_archive_written_files_total", "Files written for minutes that closed", |h| one(h.added.files)),
    ("arterial_archive_compactions_total", "Files that took the place of others", |h| one(h.compacted.written)),
    ("arterial_archive_removed_files_total", "Files removed since they were too old or too much", |h| {
        one(h.removed.files)
    }),
    ("arterial_archive_failures_total", "Attempts to write history that failed", |h| one(h.failures)),
    ("arterial_archive_remote_failures_total", "Attempts to reach the object storage that failed", |h| {
        one(h.remote_failures)
    }),
    ("arterial_archive_lost_rows_total", "Rows given up since they could not be written for too long", |h| {
        one(h.given_up + h.left_out.given_up)
    }),
    ("arterial_archive_late_intervals_total", "Intervals of loops that came after their minute was closed", |h| {
        one(h.left_out.late_intervals)
    }),
    ("arterial_archive_trimmed_positions_total", "Positions left out at the ends of trips", |h| {
        one(h.left_out.trimmed)
    }),
    ("arterial_archive_files", "Files that history consists of", |h| one(h.files)),
    ("arterial_archive_bytes", "Their bytes", |h| one(h.bytes)),
    ("arterial_archive_waiting_bytes", "Bytes that the object storage does not have yet", |h| one(h.waiting_bytes)),
    ("arterial_archive_ready_rows", "Rows of closed minutes that are in memory and checkpoints only", |h| {
        one(h.ready_rows)
    }),
    ("arterial_archive_newest_minute_age_seconds", "Age of the newest minute of cells in history", |h| {
        h.newest_ms.map(|newest_ms| (None, (wall_ms() - newest_ms) as f64 / 1_000.0)).into_iter().collect()
    }),
];

fn one(value: u64) -> Vec<(Option<&'static str>, f64)> {
    vec![(None, value as f64)]
}

struct Page {
    status: Status,
    descs: Vec<Desc>,
}

/// Puts the figures of an archive on a page.
///
/// # Errors
/// When they are on it already.
pub fn register(registry: &Registry, status: Status) -> Result<(), Error> {
    let desc = |family: &Family| Desc::new(family.0.into(), family.1.into(), Vec::new(), Default::default());
    let descs = FAMILIES.iter().map(desc).collect::<Result<_, _>>()?;
    registry.register(Box::new(Page { status, descs }))
}

impl Collector for Page {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let health = self.status.now();
        let families = FAMILIES.iter().map(|(name, help, figures)| {
            let counts = name.ends_with("_total");
            let mut family = MetricFamily::default();
            family.set_name((*name).into());
            family.set_help((*help).into());
            family.set_field_type(if counts { MetricType::COUNTER } else { MetricType::GAUGE });
            family
                .set_metric(figures(&health).into_iter().map(|(table, value)| series(table, value, counts)).collect());
            family
        });
        families.filter(|family| !family.get_metric().is_empty()).collect()
    }
}

fn series(table: Option<&str>, value: f64, counts: bool) -> Metric {
    let mut metric = Metric::default();
    if counts {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    let label = table.map(|table| {
        let mut pair = LabelPair::default();
        pair.set_name("table".into());
        pair.set_value(table.into());
        pair
    });
    metric.set_label(label.into_iter().collect());
    metric
}
