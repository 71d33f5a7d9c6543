//! One tick's figures, encoded once for every reader.
//!
//! Upstream: [`crate::metric`]. Downstream: [`crate::http`] sends the bytes as they are, [`crate::export`]
//! sets the gauges. Small groups are never in here: a segment with fewer than k vehicles is only counted.

use bytes::Bytes;
use ingest::gate::Fates;
use roads::SegmentIndex;
use serde_json::{Value, json};

use crate::metric::probe_share::ProbeShare;
use crate::metric::traffic::{CityMetrics, SegmentMetrics, WindowMetrics};
use crate::metric::window::{Span, Window};

/// Fewest distinct vehicles for which a live speed is published.
pub const K_LIVE: u64 = 3;

/// Code of a segment without any data in the binary frame.
pub const CODE_NO_DATA: u8 = 255;

/// Code of a segment with fewer than k vehicles in the binary frame.
pub const CODE_SUPPRESSED: u8 = 254;

/// Rows of the slowest segments that travel with each live frame.
const WORST_ROWS: usize = 20;

/// How congested, by the ratio of speed to free flow. The borders 2/3, 1/2 and 1/4 are the travel time indices
/// 1.5, 2 and 4 of AMap's congestion delay index; 0.8 is TomTom's border to free traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Severe,
    Heavy,
    Moderate,
    Light,
    Free,
}

impl Level {
    /// The level of a speed ratio.
    pub fn of(speed_ratio: f64) -> Self {
        match speed_ratio {
            r if r > 0.8 => Self::Free,
            r if r > 2.0 / 3.0 => Self::Light,
            r if r > 0.5 => Self::Moderate,
            r if r > 0.25 => Self::Heavy,
            _ => Self::Severe,
        }
    }

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Light => "light",
            Self::Moderate => "moderate",
            Self::Heavy => "heavy",
            Self::Severe => "severe",
        }
    }
}

/// By which borders a level is told: a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// [`Level`].
    #[default]
    TravelTimeIndex,
    /// Levels of service of urban streets, A to F, by the ratio of speed to free flow: above 0.80, 0.67, 0.50, 0.40, 0.30
    /// (HCM7 exhibit 18-1; v/c over 1, which is F too, is not known from probes).
    Hcm,
}

impl Scale {
    /// The name in the API.
    pub fn label(self) -> &'static str {
        match self {
            Self::TravelTimeIndex => "tti",
            Self::Hcm => "hcm",
        }
    }

    /// The level of a speed ratio.
    pub fn name(self, speed_ratio: f64) -> &'static str {
        match self {
            Self::TravelTimeIndex => Level::of(speed_ratio).name(),
            Self::Hcm => match speed_ratio {
                r if r > 0.80 => "A",
                r if r > 0.67 => "B",
                r if r > 0.50 => "C",
                r if r > 0.40 => "D",
                r if r > 0.30 => "E",
                _ => "F",
            },
        }
    }
}

/// What is told beside all figures of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub scale: Scale,
    pub share: ProbeShare,
}

impl Default for Told {
    fn default() -> Self {
        Self { scale: Scale::default(), share: ProbeShare::UNSCALED }
    }
}

/// What one window says at one tick.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub window: Window,
    /// `None` before the first position.
    pub span: Option<Span>,
    /// When it was made, wall clock, milliseconds since 1970.
    pub published_ms: i64,
    pub city: CityMetrics,
    /// Only segments with at least [`K_LIVE`] vehicles.
    pub segments: SegmentMetrics,
    /// Segments left out because of k.
    pub suppressed: usize,
    /// What flow, density and delay were divided by, and the scale of levels.
    pub told: Told,
    /// Fates at ingest, where ingest runs in the same process.
    pub fates: Option<Fates>,
    /// The snapshot as JSON with all published segments.
    pub full_json: Bytes,
    /// The same with only the slowest segments: the text frame of a live connection.
    pub live_json: String,
    /// One byte a segment: the binary frame of a live connection.
    pub live_codes: Bytes,
}

impl Snapshot {
    /// Suppresses small groups and encodes the rest once.
    pub fn new(
        window: Window,
        span: Option<Span>,
        metrics: &WindowMetrics,
        segments_total: usize,
        published_ms: i64,
        fates: Option<Fates>,
        told: Told,
    ) -> Self {
        let Told { scale, share } = told;
        let (segments, hidden) = split_small_groups(&metrics.segments);
        let mut head = json!({
            "window_s": window.seconds(),
            "window_start_ms": span.map(|s| s.start_ms),
            "window_end_ms": span.map(|s| s.end_ms),
            "published_ms": published_ms,
            "k": K_LIVE,
            "probe_share": json!({ "value": share.value, "source": share.source.name() }),
            "levels": scale.label(),
            "city": city_json(&metrics.city, span, segments.segment.len(), hidden.len()),
            "fates": fates.as_ref().map(fates_json),
        });
        let live_codes = codes(window, span, &segments, &hidden, segments_total);
        head["worst"] = rows_json(&segments, &slowest(&segments), scale);
        let live_json = head.to_string();
        if let Some(object) = head.as_object_mut() {
            object.remove("worst");
        }
        let every: Vec<usize> = (0..segments.segment.len()).collect();
        head["segments"] = rows_json(&segments, &every, scale);
        Self {
            window,
            span,
            published_ms,
            city: metrics.city,
            suppressed: hidden.len(),
            told,
            segments,
            fates,
            full_json: Bytes::from(head.to_string()),
            live_json,
            live_codes,
        }
    }
}

/// The published rows, and the segments of the hidden ones.
fn split_small_groups(all: &SegmentMetrics) -> (SegmentMetrics, Vec<SegmentIndex>) {
    let (shown, hidden): (Vec<usize>, Vec<usize>) = (0..all.segment.len()).partition(|&i| all.vehicles[i] >= K_LIVE);
    let floats = |column: &[f64]| shown.iter().map(|&i| column[i]).collect();
    let published = SegmentMetrics {
        segment: shown.iter().map(|&i| all.segment[i]).collect(),
        speed_mps: floats(&all.speed_mps),
        speed_ratio: floats(&all.speed_ratio),
        delay_veh_h_per_h: floats(&all.delay_veh_h_per_h),
        flow_veh_per_h: floats(&all.flow_veh_per_h),
        density_veh_per_km: floats(&all.density_veh_per_km),
        events: shown.iter().map(|&i| all.events[i]).collect(),
        vehicles: shown.iter().map(|&i| all.vehicles[i]).collect(),
        percentiles_mps: shown.iter().map(|&i| all.percentiles_mps[i]).collect(),
        stderr_mps: shown.iter().map(|&i| all.stderr_mps[i]).collect(),
        free_mps: floats(&all.free_mps),
        free_basis: shown.iter().map(|&i| all.free_basis[i]).collect(),
    };
    (published, hidden.into_iter().map(|i| all.segment[i]).collect())
}

/// Rows of the slowest segments, slowest first; ties by segment, so that the order is the same every time.
fn slowest(segments: &SegmentMetrics) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..segments.segment.len()).collect();
    rows.sort_by(|&a, &b| {
        segments.speed_ratio[a].total_cmp(&segments.speed_ratio[b]).then(segments.segment[a].cmp(&segments.segment[b]))
    });
    rows.truncate(WORST_ROWS);
    rows
}

fn city_json(city: &CityMetrics, span: Option<Span>, published: usize, suppressed: usize) -> Value {
    let enough = city.vehicles >= K_LIVE;
    json!({
        "speed_mps": city.speed_mps.filter(|_| enough).map(|v| rounded(v, 1e3)),
        "travel_time_index": city.travel_time_index.filter(|_| enough).map(|v| rounded(v, 1e3)),
        "delay_veh_h_per_h": city.delay_veh_h_per_h.filter(|_| enough).map(|v| rounded(v, 1e2)),
        "vehicles": city.vehicles,
        "events": city.events,
        "observed_length_share": rounded(city.observed_length_share, 1e4),
        "newest_observation_ms": span.map(|s| s.end_ms),
        "segments_published": published,
        "segments_suppressed": suppressed,
    })
}

fn fates_json(fates: &Fates) -> Value {
    json!({
        "received": fates.received,
        "accepted": fates.accepted,
        "duplicate": fates.duplicate,
        "rejected": fates.rejected_total(),
    })
}

fn rows_json(s: &SegmentMetrics, rows: &[usize], scale: Scale) -> Value {
    let percentile =
        |p: usize| rows.iter().map(|&i| s.percentiles_mps[i].map(|of| rounded(of[p], 1e2))).collect::<Vec<_>>();
    let floats = |column: &[f64], scale: f64| rows.iter().map(|&i| rounded(column[i], scale)).collect::<Vec<_>>();
    json!({
        "index": rows.iter().map(|&i| s.segment[i].0).collect::<Vec<_>>(),
        "speed_mps": floats(&s.speed_mps, 1e3),
        "speed_ratio": floats(&s.speed_ratio, 1e4),
        "vehicles": rows.iter().map(|&i| s.vehicles[i]).collect::<Vec<_>>(),
        "events": rows.iter().map(|&i| s.events[i]).collect::<Vec<_>>(),
        "delay_veh_h_per_h": floats(&s.delay_veh_h_per_h, 1e4),
        "density_veh_per_km": floats(&s.density_veh_per_km, 1e3),
        "flow_veh_per_h": floats(&s.flow_veh_per_h, 1e1),
        "p15_mps": percentile(0),
        "p50_mps": percentile(1),
        "p85_mps": percentile(2),
        "speed_stderr_mps": rows.iter().map(|&i| s.stderr_mps[i].map(|e| rounded(e, 1e3))).collect::<Vec<_>>(),
        "free_flow_mps": floats(&s.free_mps, 1e2),
        "free_flow_basis": rows.iter().map(|&i| s.free_basis[i].name()).collect::<Vec<_>>(),
        "level": rows.iter().map(|&i| scale.name(s.speed_ratio[i])).collect::<Vec<_>>(),
    })
}

/// `ARL1`, f64 window end (0 before the first position), u32 window seconds, u32 n, then a byte a segment: ratio × 100, at most 250.
fn codes(window: Window, span: Option<Span>, shown: &SegmentMetrics, hidden: &[SegmentIndex], total: usize) -> Bytes {
    let mut frame = Vec::with_capacity(20 + total);
    frame.extend_from_slice(b"ARL1");
    frame.extend_from_slice(&span.map_or(0.0, |s| s.end_ms as f64).to_le_bytes());
    frame.extend_from_slice(&window.seconds().to_le_bytes());
    frame.extend_from_slice(&(total as u32).to_le_bytes());
    let head = frame.len();
    frame.resize(head + total, CODE_NO_DATA);
    for segment in hidden {
        frame[head + segment.0 as usize] = CODE_SUPPRESSED;
    }
    for (segment, ratio) in shown.segment.iter().zip(&shown.speed_ratio) {
        frame[head + segment.0 as usize] = (ratio * 100.0).round().clamp(0.0, 250.0) as u8;
    }
    Bytes::from(frame)
}

fn rounded(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(vehicles: &[u64], ratios: &[f64]) -> WindowMetrics {
        let n = vehicles.len();
        let segments = SegmentMetrics {
            segment: (0..n as u32).map(SegmentIndex).collect(),
            speed_mps: ratios.iter().map(|r| r * 10.0).collect(),
            speed_ratio: ratios.to_vec(),
            delay_veh_h_per_h: vec![0.0; n],
            flow_veh_per_h: vec![0.0; n],
            density_veh_per_km: vec![0.0; n],
            events: vec![1; n],
            vehicles: vehicles.to_vec(),
            percentiles_mps: vec![Some([4.0, 5.0, 6.0]); n],
            stderr_mps: vec![None; n],
            free_mps: vec![10.0; n],
            free_basis: vec![roads::FreeFlowBasis::Limit; n],
        };
        WindowMetrics { segments, ..WindowMetrics::default() }
    }

    #[test]
    fn small_groups_are_hidden_everywhere() {
        let span = Some(Window::OneMinute.ending(60_000));
        let m = metrics(&[2, 3, 9], &[0.1, 0.5, 3.0]);
        let s = Snapshot::new(Window::OneMinute, span, &m, 4, 0, None, Told::default());
        assert_eq!(s.segments.segment, [SegmentIndex(1), SegmentIndex(2)]);
        assert_eq!(s.suppressed, 1);
        assert_eq!(&s.live_codes[20..], [CODE_SUPPRESSED, 50, 250, CODE_NO_DATA]);
        let json: Value = serde_json::from_slice(&s.full_json).unwrap();
        assert_eq!(json["segments"]["index"], json!([1, 2]));
        assert_eq!(json["segments"]["p85_mps"], json!([6.0, 6.0]));
        assert_eq!(json["city"]["speed_mps"], Value::Null, "fewer than k vehicles in the city");
        let live: Value = serde_json::from_str(&s.live_json).unwrap();
        assert_eq!(live["worst"]["index"], json!([1, 2]));
        assert_eq!(live.get("segments"), None);
    }

    #[test]
    fn levels_follow_their_borders() {
        let names = [0.9, 0.8, 0.6, 0.5, 0.25].map(|r| Level::of(r).name());
        assert_eq!(names, ["free", "light", "moderate", "heavy", "severe"]);
        let names = [0.81, 0.8, 0.67, 0.5, 0.4, 0.3].map(|r| Scale::Hcm.name(r));
        assert_eq!(names, ["A", "B", "C", "D", "E", "F"]);
    }
}
