//! Every metric that Arterial exports: name, type, unit, labels, help. Declared here and nowhere else.
//!
//! Upstream: nothing. Downstream: `sim`, `ingest` and `analytics` register by these names, `docs/metrics.md` is written
//! from them (`ARTERIAL_WRITE_DOCS=1 cargo test -p events metrics`), and a test holds the two together. Names are a part
//! of the contract: rules and dashboards of others stand on them.

mod table;

pub use table::{ALL, LABELS};

/// Start of every name.
pub const PREFIX: &str = "arterial_";

/// How a value behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// The word of the exposition format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What a value is measured in: base units, as Prometheus asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    /// A number of things.
    Count,
    /// 1 or 0, or 1 with everything in its labels.
    Info,
    Meters,
    MetersPerSecond,
    /// A share, an index: 1 is the whole, or the same.
    Ratio,
    Seconds,
    /// Seconds since 1970.
    Timestamp,
    VehicleSecondsPerSecond,
    Vehicles,
    VehiclesPerHour,
    VehiclesPerMeter,
}

impl Unit {
    /// As it is written in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Count => "number",
            Self::Info => "0 or 1",
            Self::Meters => "m",
            Self::MetersPerSecond => "m/s",
            Self::Ratio => "ratio",
            Self::Seconds => "s",
            Self::Timestamp => "s since 1970",
            Self::VehicleSecondsPerSecond => "veh·s/s",
            Self::Vehicles => "vehicles",
            Self::VehiclesPerHour => "veh/h",
            Self::VehiclesPerMeter => "veh/m",
        }
    }

    /// What a name of this unit ends in; `None` where names say it in other words.
    pub const fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Bytes => Some("_bytes"),
            Self::Meters => Some("_meters"),
            Self::MetersPerSecond => Some("_meters_per_second"),
            Self::Seconds => Some("_seconds"),
            Self::Timestamp => Some("_timestamp_seconds"),
            Self::VehicleSecondsPerSecond => Some("_vehicle_seconds_per_second"),
            Self::Vehicles => Some("_vehicles"),
            Self::VehiclesPerHour => Some("_vehicles_per_hour"),
            Self::VehiclesPerMeter => Some("_vehicles_per_meter"),
            Self::Count | Self::Info | Self::Ratio => None,
        }
    }
}

/// Where a metric is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/metrics`: bounded, under 12,000 series; a few hundred in most cities.
    Main,
    /// `/metrics/segments`: bounded by its policy.
    Segments,
}

impl Page {
    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Main => "/metrics",
            Self::Segments => "/metrics/segments",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    /// In order of the alphabet.
    pub labels: &'static [&'static str],
    pub page: Page,
    pub help: &'static str,
}

const fn gauge(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, labels, page: Page::Main, help }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, labels, page: Page::Main, help }
}

const fn histogram(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, unit, labels, page: Page::Main, help }
}

const fn on_segments(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, labels, page: Page::Segments, help }
}

/// The metric of a name.
///
/// # Panics
/// When the table has no such name: a metric outside of it is a mistake of ours, and any run of its process shows it.
pub fn metric(name: &str) -> &'static Metric {
    let found = ALL.iter().find(|metric| metric.name == name);
    found.unwrap_or_else(|| panic!("{name} is not declared in events/src/metrics/table.rs"))
}

/// `docs/metrics.md`.
pub fn document() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         Written from the table in `events/src/metrics/table.rs` by\n\
         `ARTERIAL_WRITE_DOCS=1 cargo test --release -p events metrics`; a test holds the two together. Names, types and\n\
         units do not change within a major version. Units are base units; a share is a ratio from 0 to 1.\n",
    );
    for page in [Page::Main, Page::Segments] {
        let about = match page {
            Page::Main => {
                "Own health of each process, the city, corridors, zones, roadside: bounded, under 12,000 series, and a few hundred in\n\
             most cities."
            }
            Page::Segments => {
                "One immutable page a tick, compressed once. By default the main roads and the 500 slowest segments \
                 in the\nwindow of five minutes; `--segment-classes`, `--segment-worst`, `--segment-max` and \
                 `--segment-windows` choose\nothers, and `?class=primary,secondary`, `?top=100` and `?window=1m` one \
                 scrape. A segment whose window is empty has no\nseries, so Prometheus marks it stale."
            }
        };
        text += &format!("\n## `{}`\n\n{about}\n\n| name | type | unit | labels | meaning |\n", page.path());
        text += "|---|---|---|---|---|\n";
        for metric in ALL.iter().filter(|metric| metric.page == page) {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let Metric { name, kind, unit, help, .. } = metric;
            text += &format!("| `{name}` | {} | {} | {} | {help} |\n", kind.name(), unit.name(), labels.join(" "));
        }
    }
    text += "\n## Labels\n\nEach is bounded; none is ever a vehicle.\n\n| label | values |\n|---|---|\n";
    for (label, values) in LABELS {
        text += &format!("| `{label}` | {values} |\n");
    }
    text
}

#[cfg(test)]
mod tests;
