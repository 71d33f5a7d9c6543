//! `/metrics/segments`: six figures of every exported segment, written and packed once a tick at most.
//!
//! Upstream: the snapshots of the newest tick, the [`Policy`]. Downstream: Prometheus, by gzip.
//!
//! The bytes of a segment's labels are made once and kept, the lines go straight into the packer, and the page is kept
//! for whoever asks again before the next tick. A segment that is not published has no line, so Prometheus marks its
//! series as stale at the next scrape. There are no time stamps in the lines, which would prevent that.

use std::fmt::Write;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use events::metrics::{Metric, metric};
use roads::Network;

use super::pack::Packer;
use super::policy::{Choice, Policy, Selection};
use crate::follow::Published;
use crate::metric::traffic::SegmentMetrics;
use crate::snapshot::Snapshot;

/// The content type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A figure of a segment: its name, its value in base units, and how many decimals tell it.
type Figure = (&'static str, fn(&SegmentMetrics, usize) -> f64, u32);

/// Decimals as in the API, where a reader finds the same figure.
const FIGURES: [Figure; 6] = [
    ("arterial_segment_speed_meters_per_second", |s, row| s.speed_mps[row], 3),
    ("arterial_segment_speed_ratio", |s, row| s.speed_ratio[row], 4),
    ("arterial_segment_delay_vehicle_seconds_per_second", |s, row| s.delay_veh_h_per_h[row], 4),
    ("arterial_segment_flow_vehicles_per_hour", |s, row| s.flow_veh_per_h[row], 1),
    ("arterial_segment_density_vehicles_per_meter", |s, row| s.density_veh_per_km[row] / 1_000.0, 6),
    ("arterial_segment_vehicles", |s, row| s.vehicles[row] as f64, 0),
];

/// Makes the page, and keeps it.
pub struct SegmentPages {
    network: Arc<Network>,
    policy: Policy,
    /// `class="…",segment="…` of every segment, without its last quote, one behind the other.
    labels: Vec<u8>,
    /// Where each begins, and where the last ends.
    starts: Vec<u32>,
    kept: Mutex<Kept>,
}

/// The page of one tick.
#[derive(Default)]
struct Kept {
    /// The tick; it is not held, only recognized.
    of: Weak<Published>,
    gzip: Bytes,
}

impl SegmentPages {
    /// Makes the labels of all segments.
    ///
    /// # Panics
    /// When a network's labels take more than 4 GiB, which is a hundred million segments.
    pub fn new(network: Arc<Network>, policy: Policy) -> Self {
        let (mut labels, mut starts) = (Vec::new(), vec![0]);
        for segment in network.segments() {
            let text = format!("class=\"{}\",segment=\"{}", segment.class.name(), segment.id);
            labels.extend_from_slice(text.as_bytes());
            starts.push(u32::try_from(labels.len()).expect("labels of a network take less than 4 GiB"));
        }
        Self { network, policy, labels, starts, kept: Mutex::default() }
    }

    /// What is exported.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The page of a tick as gzip: made for the first who asks, and the same bytes for everybody after him.
    pub fn page(&self, published: &Arc<Published>) -> Bytes {
        // Whoever comes while it is made waits for it here. A panic would leave the page of the tick before.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::ptr::eq(kept.of.as_ptr(), Arc::as_ptr(published)) {
            let choice = Choice { policy: self.policy.clone(), only: None };
            *kept = Kept { gzip: self.make(published, &choice), of: Arc::downgrade(published) };
        }
        kept.gzip.clone()
    }

    /// A page for one scrape that chooses for itself; it is not kept.
    pub fn make(&self, published: &Published, choice: &Choice) -> Bytes {
        let windows = published.snapshots().filter(|snapshot| choice.policy.windows.contains(&snapshot.window));
        let chosen: Vec<(&Snapshot, Selection)> = windows
            .map(|snapshot| {
                let selection = choice.policy.select(&snapshot.segments, &self.network, choice.only.as_deref());
                (snapshot, selection)
            })
            .collect();
        let mut packer = Packer::default();
        for figure in FIGURES {
            self.figure(&mut packer, figure, &chosen);
        }
        self.streets(&mut packer, &chosen);
        totals(&mut packer, &chosen);
        Bytes::from(packer.finish())
    }

    fn figure(&self, packer: &mut Packer, (name, value, decimals): Figure, chosen: &[(&Snapshot, Selection)]) {
        head(packer, metric(name));
        let mut before = format!("{name}{{").into_bytes();
        let name_bytes = before.len();
        let mut number = Vec::new();
        for (snapshot, selection) in chosen {
            let tail = format!("\",window=\"{}\"}} ", snapshot.window.label());
            for &row in &selection.rows {
                let value = value(&snapshot.segments, row);
                if !value.is_finite() {
                    continue;
                }
                before.truncate(name_bytes);
                before.extend_from_slice(self.labels(snapshot.segments.segment[row].at()));
                number.clear();
                decimal(&mut number, value, decimals);
                packer.line(&before, tail.as_bytes(), &number);
            }
        }
    }

    /// The streets of all segments that have a line, for `group_left`.
    fn streets(&self, packer: &mut Packer, chosen: &[(&Snapshot, Selection)]) {
        let rows = chosen.iter().flat_map(|(s, selection)| selection.rows.iter().map(|&row| s.segments.segment[row]));
        let mut segments: Vec<_> = rows.collect();
        segments.sort_unstable_by_key(|at| (self.network.segment(*at).class, *at));
        segments.dedup();
        let name = "arterial_segment_info";
        head(packer, metric(name));
        for at in segments {
            let mut before = format!("{name}{{").into_bytes();
            before.extend_from_slice(self.labels(at.at()));
            let street = self.network.segment(at).name.as_deref().unwrap_or_default();
            packer.line(&before, b"\",street=\"", format!("{}\"}} 1", escaped(street)).as_bytes());
        }
    }

    fn labels(&self, at: usize) -> &[u8] {
        &self.labels[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// How many lines there are, and how many there are not.
fn totals(packer: &mut Packer, chosen: &[(&Snapshot, Selection)]) {
    let (exported, left_out) = ("arterial_segments_exported", "arterial_segments_left_out");
    head(packer, metric(exported));
    let mut text = String::new();
    // Writing into a string cannot fail.
    for (snapshot, selection) in chosen {
        let window = snapshot.window.label();
        writeln!(text, "{exported}{{window=\"{window}\"}} {}", selection.rows.len()).ok();
    }
    packer.text(text.as_bytes());
    head(packer, metric(left_out));
    text.clear();
    for (snapshot, Selection { by_policy, by_cap, .. }) in chosen {
        let window = snapshot.window.label();
        for (reason, n) in [("policy", by_policy), ("cap", by_cap)] {
            writeln!(text, "{left_out}{{reason=\"{reason}\",window=\"{window}\"}} {n}").ok();
        }
    }
    packer.text(text.as_bytes());
}

fn head(packer: &mut Packer, metric: &Metric) {
    packer.text(format!("# HELP {0} {1}\n# TYPE {0} {2}\n", metric.name, metric.help, metric.kind.name()).as_bytes());
}

/// A label's value as the text format has it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Writes a finite number with at most so many decimals and no zeros at its end; a dozen times as fast as `format!`,
/// which looks for the shortest digits that give the same number.
fn decimal(out: &mut Vec<u8>, value: f64, decimals: u32) {
    let unit = 10_u64.pow(decimals);
    let scaled = (value.abs() * unit as f64).round();
    if scaled >= 9e15 {
        // Beyond whole numbers that a double holds; no figure of a street is.
        out.extend_from_slice(format!("{value}").as_bytes());
        return;
    }
    let (mut scaled, mut decimals) = (scaled as u64, decimals);
    if value < 0.0 && scaled > 0 {
        out.push(b'-');
    }
    while decimals > 0 && scaled.is_multiple_of(10) {
        scaled /= 10;
        decimals -= 1;
    }
    let mut digits = [b'0'; 24];
    let (mut at, mut place) = (digits.len(), 0);
    while scaled > 0 || place <= decimals {
        if decimals > 0 && place == decimals {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + (scaled % 10) as u8;
        scaled /= 10;
        place += 1;
    }
    out.extend_from_slice(&digits[at..]);
}

/// A page as text, for whoever does not read gzip.
///
/// # Errors
/// None that a page of ours gives.
pub fn unpacked(gzip: &[u8]) -> std::io::Result<Bytes> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(gzip).read_to_end(&mut text)?;
    Ok(Bytes::from(text))
}

#[cfg(test)]
mod tests;
