//! One metric of one segment with its numbers filled in: what was counted, and what was left out and why.
//!
//! Upstream: what [`crate::follow`] published at the last tick, or [`of_recording`]. Downstream: `/api/v1/explain`, `arterial
//! explain`.
//!
//! The sums of the segment are got back from its flow and density (Edie: d = q · A, t = k · A), so an explanation is
//! of exactly the figures that were published. Small groups are not explained: they are not published either.

use std::sync::Arc;

use ingest::gate::Fates;
use roads::{FreeFlowBasis, Network, SegmentId, SegmentIndex};
use serde::Serialize;

use crate::engine::Engine;
use crate::follow::{Health, Published};
use crate::metric::traffic::TrafficQuery;
use crate::metric::window::Window;
use crate::snapshot::{K_LIVE, Snapshot, Told};

/// What can be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Speed,
    TravelTimeIndex,
    Delay,
    Flow,
    Density,
    Level,
}

/// Why there is no explanation; each is one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    #[error("there is no metric `{0}` to explain; there are speed, travel_time_index, delay, flow, density and level")]
    Metric(String),
    #[error("`{0}` is no segment of this network; a segment is named by its 16 hexadecimal digits or its index")]
    Segment(String),
    #[error("the first figures come within a second or two")]
    Starting,
    /// Nobody and too few look the same, or the answer would say that somebody was there.
    #[error("fewer than {K_LIVE} vehicles were on that segment in that window, so nothing is published or explained")]
    TooFew,
}

/// One line of what was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub count: i64,
    pub why: &'static str,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    pub metric: &'static str,
    pub segment: String,
    pub name: Option<String>,
    pub window_start_ms: i64,
    pub window_end_ms: i64,
    /// What it is, with its symbols.
    pub formula: &'static str,
    /// The same with its numbers.
    pub filled_in: String,
    pub result: String,
    /// Position reports and distinct vehicles that are in it.
    pub events: i64,
    pub vehicles: u64,
    pub free_flow_mps: f64,
    pub free_flow_basis: &'static str,
    /// Of the whole city since the start, since what was not placed belongs to no segment.
    pub left_out: Vec<LeftOut>,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 6] =
        [Self::Speed, Self::TravelTimeIndex, Self::Delay, Self::Flow, Self::Density, Self::Level];

    /// The word on the command line and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::TravelTimeIndex => "travel_time_index",
            Self::Delay => "delay",
            Self::Flow => "flow",
            Self::Density => "density",
            Self::Level => "level",
        }
    }

    /// The metric of a word.
    ///
    /// # Errors
    /// [`ExplainError::Metric`].
    pub fn parse(word: &str) -> Result<Self, ExplainError> {
        let found = Self::ALL.into_iter().find(|metric| metric.name() == word);
        found.ok_or_else(|| ExplainError::Metric(word.to_owned()))
    }

    fn formula(self) -> &'static str {
        match self {
            Self::Speed => "space-mean speed v = d / t",
            Self::TravelTimeIndex => "travel time index = t / (d / free-flow speed)",
            Self::Delay => "delay = Σ over clock minutes of max(0, t − d / free-flow speed), per hour",
            Self::Flow => "flow q = d / (length · window)",
            Self::Density => "density k = t / (length · window)",
            Self::Level => "level of congestion, by v / free-flow speed: 0.8, 2/3, 1/2, 1/4",
        }
    }
}

/// What would have been published of one window of a recording that was counted from end to end: the window that ends with
/// the moment `end_ms`, or with the last position. `None` when there is no position.
///
/// The same query and the same suppression as live, over the same cells; nothing was learnt, so free flow is that of the
/// limits, and nothing is scaled.
///
/// # Panics
/// If the query of every tick fails.
pub fn of_recording(engine: &Engine, window: Window, end_ms: Option<i64>, fates: Option<Fates>) -> Option<Published> {
    let whole = engine.span(window)?;
    let span = end_ms.map_or(whole, |end_ms| window.ending(end_ms));
    let query = TrafficQuery::new(engine.network());
    let metrics = query.run(engine.store(), window, span).expect("the query is fixed and runs in the tests");
    let total = engine.network().segments().len();
    let snapshot = Snapshot::new(window, Some(span), &metrics, total, span.end_ms, fates, Told::default());
    let health = Health { engine: engine.counts(), matching: engine.match_counts(), ..Health::default() };
    Some(Published { windows: vec![Arc::new(snapshot)], health, ..Published::default() })
}

/// Explains a metric of a segment, named by its id or its index, in a window.
///
/// # Errors
/// See [`ExplainError`].
pub fn explain(
    published: &Published,
    network: &Network,
    metric: Metric,
    segment: &str,
    window: Window,
) -> Result<Explanation, ExplainError> {
    let by_id = segment.parse::<SegmentId>().ok().and_then(|id| network.by_id(id));
    let by_index = || segment.parse::<u32>().ok().map(SegmentIndex).filter(|i| i.at() < network.segments().len());
    let at = by_id.or_else(by_index).ok_or_else(|| ExplainError::Segment(segment.to_owned()))?;
    let snapshot = published.window(window).ok_or(ExplainError::Starting)?;
    let span = snapshot.span.ok_or(ExplainError::TooFew)?;
    let row = snapshot.segments.segment.binary_search(&at).map_err(|_| ExplainError::TooFew)?;
    let (road, seconds) = (network.segment(at), span.seconds());
    let free_mps = snapshot.segments.free_mps[row];
    let (filled_in, result) = numbers(metric, snapshot, row, road.length_m, free_mps, seconds);
    Ok(Explanation {
        metric: metric.name(),
        segment: road.id.to_string(),
        name: road.name.clone(),
        window_start_ms: span.start_ms,
        window_end_ms: span.end_ms,
        formula: metric.formula(),
        filled_in,
        result,
        events: snapshot.segments.events[row],
        vehicles: snapshot.segments.vehicles[row],
        free_flow_mps: free_mps,
        free_flow_basis: match snapshot.segments.free_basis[row] {
            FreeFlowBasis::Limit => "legal limit times a share by road class",
            FreeFlowBasis::Class => "limit that is assumed for the road class times a share by class",
            FreeFlowBasis::Observed => "85th percentile of observed off-peak speed",
        },
        left_out: left_out(published, snapshot),
    })
}

/// The formula with its numbers, and what comes out.
fn numbers(
    metric: Metric,
    snapshot: &Snapshot,
    row: usize,
    length_m: f64,
    free_mps: f64,
    seconds: f64,
) -> (String, String) {
    let s = &snapshot.segments;
    // What was counted; flow, density and delay are published as of all vehicles.
    let share = snapshot.told.share.value;
    let d_m = s.flow_veh_per_h[row] / 3_600.0 * length_m * seconds * share;
    let t_s = s.density_veh_per_km[row] / 1_000.0 * length_m * seconds * share;
    let (v_mps, ratio) = (s.speed_mps[row], s.speed_ratio[row]);
    match metric {
        Metric::Speed => (format!("{d_m:.3} m / {t_s:.3} s"), format!("{v_mps:.3} m/s = {:.1} km/h", v_mps * 3.6)),
        Metric::TravelTimeIndex => (
            format!("{t_s:.3} s / ({d_m:.3} m / {free_mps:.3} m/s)"),
            if ratio > 0.0 { format!("{:.3}", 1.0 / ratio) } else { "nothing moved: without bound".to_owned() },
        ),
        Metric::Delay => {
            let lost_s = s.delay_veh_h_per_h[row] * seconds * share;
            let whole_s = t_s - d_m / free_mps;
            let filled_in = format!(
                "{lost_s:.3} vehicle-seconds in {seconds:.1} s (unclipped: {t_s:.3} s − {d_m:.3} m / {free_mps:.3} m/s = \
                 {whole_s:.3} s) / {share:.4}"
            );
            (filled_in, format!("{:.4} vehicle-hours an hour", s.delay_veh_h_per_h[row]))
        }
        Metric::Flow => (
            format!("{d_m:.3} m / ({length_m:.3} m · {seconds:.1} s) / {share:.4}"),
            format!("{:.1} vehicles an hour, with {share:.4} as the share that reports", s.flow_veh_per_h[row]),
        ),
        Metric::Density => (
            format!("{t_s:.3} s / ({length_m:.3} m · {seconds:.1} s) / {share:.4}"),
            format!("{:.3} vehicles a kilometre, with {share:.4} as the share that reports", s.density_veh_per_km[row]),
        ),
        Metric::Level => {
            (format!("{v_mps:.3} m/s / {free_mps:.3} m/s = {ratio:.4}"), snapshot.told.scale.name(ratio).to_owned())
        }
    }
}

/// What is in no cell, or late in it; what did not happen is not listed.
fn left_out(published: &Published, snapshot: &Snapshot) -> Vec<LeftOut> {
    let (engine, matching) = (published.health.engine, published.health.matching);
    let fates = snapshot.fates.as_ref();
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let all = [
        (fates.map_or(0, |f| count(f.rejected_total())), "rejected by ingest: see `arterial dead-letters`"),
        (fates.map_or(0, |f| count(f.duplicate)), "duplicates, counted once"),
        (count(engine.late), "late, behind the watermark: counted all the same"),
        (count(engine.beyond_correction), "contributions to panes that are already forgotten"),
        (matching.too_late, "fixes older than everything that their vehicle's track knows"),
        (matching.same_moment, "second fixes of a vehicle at the same moment"),
        (matching.off_network, "fixes farther than 50 m from every street"),
        (matching.parked, "fixes of parked vehicles"),
        (matching.in_junction, "fixes inside junctions of the source's own network"),
        (matching.gaps, "steps after a silence of over 3 min"),
        (matching.jumps, "steps faster than any vehicle"),
        (matching.breaks, "steps without a believable route"),
        (count(snapshot.suppressed as u64), "segments of this window with fewer than 3 vehicles, not published"),
    ];
    all.into_iter().filter(|(count, _)| *count > 0).map(|(count, why)| LeftOut { count, why }).collect()
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;
    use crate::cell::Contribution;
    use crate::pane::PaneStore;

    /// So many vehicles drive 100 m in 20 s on segment 5.
    fn published(network: &Network, vehicles: u64) -> Published {
        let mut store = PaneStore::default();
        for vehicle in 0..vehicles {
            let (segment, pane_ms) = (SegmentIndex(5), 10_000 * (vehicle as i64 % 6));
            let one = Contribution { segment, pane_ms, vehicle, distance_mm: 100_000, time_ms: 20_000, events: 2 };
            assert!(store.add(&one));
        }
        let (window, span) = (Window::OneMinute, Window::OneMinute.ending(59_999));
        let metrics = TrafficQuery::new(network).run(&store, window, span).unwrap();
        let snapshot = Snapshot::new(window, Some(span), &metrics, network.segments().len(), 0, None, Told::default());
        Published { windows: vec![Arc::new(snapshot)], ..Published::default() }
    }

    #[test]
    fn numbers_are_those_that_went_in() {
        let network = city(&CityPlan::default());
        let now = published(&network, 7);
        let id = network.segment(SegmentIndex(5)).id.to_string();
        let of = |metric| explain(&now, &network, metric, &id, Window::OneMinute).unwrap();
        assert_eq!(of(Metric::Speed).filled_in, "700.000 m / 140.000 s");
        assert_eq!(of(Metric::Speed).result, "5.000 m/s = 18.0 km/h");
        assert_eq!((of(Metric::Delay).events, of(Metric::Delay).vehicles), (14, 7));
        assert!(Metric::ALL.into_iter().all(|metric| Metric::parse(metric.name()) == Ok(metric)));
        let by_index = explain(&now, &network, Metric::Flow, "5", Window::OneMinute).unwrap();
        assert_eq!(by_index, of(Metric::Flow));
    }

    #[test]
    fn small_groups_and_nobody_are_told_alike() {
        let network = city(&CityPlan::default());
        for vehicles in [0, 1, K_LIVE - 1] {
            let now = published(&network, vehicles);
            let told = explain(&now, &network, Metric::Speed, "5", Window::OneMinute);
            assert_eq!(told.unwrap_err(), ExplainError::TooFew, "{vehicles}");
        }
        let now = published(&network, 5);
        let told = |segment| explain(&now, &network, Metric::Speed, segment, Window::OneMinute).unwrap_err();
        assert_eq!(told("elsewhere"), ExplainError::Segment("elsewhere".to_owned()));
        assert_eq!(Metric::parse("joy"), Err(ExplainError::Metric("joy".to_owned())));
    }
}
