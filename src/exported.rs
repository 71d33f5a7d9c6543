//! What Prometheus is told: which segments, and what was built.

use analytics::export::policy::Policy;
use analytics::http;
use analytics::metric::window::Window;
use events::metrics::metric;
use prometheus::{IntGaugeVec, Opts, Registry};
use roads::RoadClass;

/// Which segments `/metrics/segments` exports.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Classes of roads of which Prometheus gets every segment: names with commas between them, `all`, or `none`
    #[arg(long, env = "ARTERIAL_SEGMENT_CLASSES", value_name = "CLASSES", default_value = "motorway,trunk,primary,secondary", value_parser = classes)]
    segment_classes: Classes,
    /// Of the other classes, so many segments with the lowest speed against free flow
    #[arg(long, env = "ARTERIAL_SEGMENT_WORST", value_name = "SEGMENTS", default_value_t = 500)]
    segment_worst: usize,
    /// Never more segments than this in a window; what is left out is counted
    #[arg(long, env = "ARTERIAL_SEGMENT_MAX", value_name = "SEGMENTS", default_value_t = 10_000)]
    segment_max: usize,
    /// Windows of which Prometheus gets the segments, out of 1m,5m,15m,60m
    #[arg(long, env = "ARTERIAL_SEGMENT_WINDOWS", value_name = "WINDOWS", default_value = "1m,5m", value_parser = windows)]
    segment_windows: Windows,
}

/// A list as one word of the command line.
#[derive(Clone)]
struct Classes(Vec<RoadClass>);

#[derive(Clone)]
struct Windows(Vec<Window>);

fn classes(text: &str) -> Result<Classes, String> {
    Policy::classes(text).map(Classes).map_err(|error| error.to_string())
}

fn windows(text: &str) -> Result<Windows, String> {
    Policy::windows(text).map(Windows).map_err(|error| error.to_string())
}

impl Args {
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            classes: self.segment_classes.0.clone(),
            worst: self.segment_worst,
            segments_max: self.segment_max,
            windows: self.segment_windows.0.clone(),
        }
    }
}

/// Tells in a registry what this process is.
pub(crate) fn built(registry: &Registry, command: &str) -> Result<(), prometheus::Error> {
    let name = "arterial_build_info";
    let info = IntGaugeVec::new(Opts::new(name, metric(name).help), metric(name).labels)?;
    let dashboard = if http::has_dashboard() { "built" } else { "absent" };
    // In the order of the table: command, dashboard, version.
    info.with_label_values(&[command, dashboard, env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(info))
}
