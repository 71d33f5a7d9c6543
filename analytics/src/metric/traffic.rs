//! Speed, ratio, delay, flow and density of every segment, and the city's figures, by one polars query.
//!
//! Upstream: cells of a window and the network's attributes. Downstream: [`crate::snapshot`].
//!
//! All of it follows from the sums d (metres driven) and t (seconds spent) of Edie's definitions over an area
//! A = length × duration: flow q = d / A, density k = t / A, space-mean speed v = d / t (Edie 1963). Flow, density and
//! delay are those of the vehicles that report over the probe share, which is 1 unless somebody says or counts
//! another ([`super::probe_share`]). Delay is max(0, t − d / free-flow speed) **per segment and
//! clock minute**, then summed: a fast minute does not pay for a slow one. The pane store adds the panes up and
//! clips; polars computes everything that follows from these sums.

use std::sync::Arc;

use polars::prelude::*;
use roads::{FreeFlowBasis, Network, Segment, SegmentIndex};

use super::area::{AreaMetrics, AreaQuery, Held};
use super::corridor_time::{CorridorTimes, Driven};
use super::probe_share::ProbeShare;
use super::window::{Span, Window};
use crate::area::{AreaKind, Areas};
use crate::free_flow::FreeFlow;
use crate::pane::{PaneStore, Percentiles, Totals};

/// Metrics of the segments on which time was spent, in order of segment; all columns have the same length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentMetrics {
    pub segment: Vec<SegmentIndex>,
    /// Space-mean speed d / t, m/s.
    pub speed_mps: Vec<f64>,
    /// Space-mean speed over free-flow speed; 1 / travel time index.
    pub speed_ratio: Vec<f64>,
    /// Vehicle-hours lost in an hour against free flow.
    pub delay_veh_h_per_h: Vec<f64>,
    /// Vehicles an hour.
    pub flow_veh_per_h: Vec<f64>,
    /// Vehicles a kilometre.
    pub density_veh_per_km: Vec<f64>,
    /// Position reports counted.
    pub events: Vec<i64>,
    /// Distinct vehicles.
    pub vehicles: Vec<u64>,
    /// 15th, 50th and 85th percentile of speed by metres driven, m/s; `None` in the window of a minute.
    pub percentiles_mps: Vec<Option<Percentiles>>,
    /// Standard error of the speed, m/s: half of p85 − p15 is 1.036 standard deviations of a normal spread, over the root of
    /// the vehicles. `None` without percentiles or with a single vehicle.
    pub stderr_mps: Vec<Option<f64>>,
    /// Free-flow speed that ratio and delay are held against, m/s, and what it rests on.
    pub free_mps: Vec<f64>,
    pub free_basis: Vec<FreeFlowBasis>,
}

/// Standard deviations between the median and the 85th percentile of a normal distribution.
const DEVIATIONS_TO_P85: f64 = 1.036;

/// The city's figures, from the sums over all segments, never from averages of averages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CityMetrics {
    /// Q = vehicle-metres / vehicle-seconds, m/s; `None` when nothing was driven.
    pub speed_mps: Option<f64>,
    /// Time spent over the time the same distance takes at free flow; `None` when nothing was driven.
    pub travel_time_index: Option<f64>,
    /// Vehicle-hours lost in an hour; `None` when nobody was seen.
    pub delay_veh_h_per_h: Option<f64>,
    pub vehicles: u64,
    pub events: i64,
    /// Length of the segments on which time was spent over the length of all, 0 to 1.
    pub observed_length_share: f64,
}

/// Attributes of all segments, by index.
pub struct TrafficQuery {
    length_m: Vec<f64>,
    free_mps: Vec<f64>,
    basis: Vec<FreeFlowBasis>,
    total_length_m: f64,
    share: ProbeShare,
    areas: Option<AreaQuery>,
    times: CorridorTimes,
    /// The corridors among the areas: place in their order, and segments.
    corridors: Vec<(usize, Vec<SegmentIndex>)>,
}

/// Metrics of one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowMetrics {
    pub segments: SegmentMetrics,
    pub city: CityMetrics,
    /// In order of [`Areas::all`]; empty where no areas are watched.
    pub areas: Vec<AreaMetrics>,
    /// What the metrics were computed from.
    pub totals: Arc<Totals>,
}

impl TrafficQuery {
    /// Takes the attributes of every segment.
    pub fn new(network: &Network) -> Self {
        let segments = network.segments();
        let length_m: Vec<f64> = segments.iter().map(|s| s.length_m).collect();
        let free_mps = segments.iter().map(|s| f64::from(s.free_flow_mps())).collect();
        let basis = segments.iter().map(Segment::free_flow_basis).collect();
        let total_length_m = length_m.iter().sum();
        let (share, times) = (ProbeShare::UNSCALED, CorridorTimes::new(network));
        Self { total_length_m, length_m, free_mps, basis, share, areas: None, times, corridors: Vec::new() }
    }

    /// The same with figures of corridors, zones and the city.
    #[must_use]
    pub fn over(self, areas: &Areas) -> Self {
        let query = AreaQuery::new(areas, self.length_m.clone());
        let all = areas.all();
        let corridors = all.iter().enumerate().filter(|(_, area)| area.kind == AreaKind::Corridor);
        let corridors = corridors.map(|(i, area)| (i, area.segments.clone())).collect();
        Self { areas: Some(query), corridors, ..self }
    }

    /// From now on everything is held against this free flow and scaled by this share.
    pub fn hold_against(&mut self, free: &FreeFlow, share: ProbeShare) {
        self.free_mps.copy_from_slice(free.mps());
        self.basis.copy_from_slice(free.basis());
        self.times.hold_against(free.mps());
        self.share = share;
    }

    /// Computes every metric of one window; `span` is where it lies.
    ///
    /// # Errors
    /// Whatever polars says of the query, which would be a mistake of ours.
    pub fn run(&self, store: &PaneStore, window: Window, span: Span) -> PolarsResult<WindowMetrics> {
        let totals = store.shared_totals(span, &self.free_mps);
        let segments = self.segment_table(&totals, span)?;
        let city = self.city_table(&segments, span)?;
        let segment: Vec<_> = totals.segment.iter().copied().map(SegmentIndex).collect();
        let percentiles_mps: Vec<_> = segment.iter().map(|&s| store.percentiles(window, s)).collect();
        let stderr_mps = standard_errors(&percentiles_mps, &totals.vehicles);
        let mut areas = match &self.areas {
            Some(query) => {
                let Self { free_mps, basis, share, .. } = self;
                query.run(&totals, &Held { free_mps, basis, stderr_mps: &stderr_mps, share: *share }, span)?
            }
            None => Vec::new(),
        };
        self.weigh_corridors(&totals, &mut areas);
        let metrics = SegmentMetrics {
            percentiles_mps,
            stderr_mps,
            speed_mps: floats(&segments, "speed_mps")?,
            speed_ratio: floats(&segments, "speed_ratio")?,
            delay_veh_h_per_h: floats(&segments, "delay_veh_h_per_h")?,
            flow_veh_per_h: floats(&segments, "flow_veh_per_h")?,
            density_veh_per_km: floats(&segments, "density_veh_per_km")?,
            events: totals.events.clone(),
            free_mps: segment.iter().map(|s| self.free_mps[s.at()]).collect(),
            free_basis: segment.iter().map(|s| self.basis[s.at()]).collect(),
            vehicles: totals.vehicles.clone(),
            segment,
        };
        let city = CityMetrics { vehicles: totals.vehicles_everywhere, ..city };
        Ok(WindowMetrics { segments: metrics, city, areas, totals })
    }

    /// Where not everybody reports, travel times of corridors are weighed against what is expected.
    fn weigh_corridors(&self, totals: &Totals, areas: &mut [AreaMetrics]) {
        if self.share.value >= 1.0 || areas.is_empty() {
            return;
        }
        let driven = |row: usize| Driven { distance_m: totals.distance_m[row], time_s: totals.time_s[row] };
        let rows = totals.segment.iter().enumerate().filter(|(row, _)| totals.distance_m[*row] > 0.0);
        let expected = self.times.expected(rows.map(|(row, at)| (SegmentIndex(*at), driven(row))));
        let find = |at: SegmentIndex| totals.segment.binary_search(&at.0).ok().map(driven);
        for (i, route) in &self.corridors {
            let told = self.times.travel_time(route, find, &expected, self.share.value);
            let seconds = &mut areas[*i].travel_time_s;
            *seconds = seconds.and(told).map(|told| told.seconds);
        }
    }

    /// One row a segment: sums, then what follows from them. The rows stay in order of segment.
    fn segment_table(&self, totals: &Totals, span: Span) -> PolarsResult<DataFrame> {
        let area_s = lit(span.seconds() * self.share.value);
        let length_m: Vec<f64> = totals.segment.iter().map(|&s| self.length_m[s as usize]).collect();
        let free_mps: Vec<f64> = totals.segment.iter().map(|&s| self.free_mps[s as usize]).collect();
        df!(
            "segment" => &totals.segment, "distance_m" => &totals.distance_m, "time_s" => &totals.time_s,
            "events" => &totals.events, "delay_s" => &totals.delay_s, "length_m" => length_m, "free_mps" => free_mps,
        )?
        .lazy()
        .with_columns([(col("distance_m") / col("free_mps")).alias("free_s")])
        .with_columns([
            (col("distance_m") / col("time_s")).alias("speed_mps"),
            (col("distance_m") / col("time_s") / col("free_mps")).alias("speed_ratio"),
            (col("delay_s") / area_s.clone()).alias("delay_veh_h_per_h"),
            (col("distance_m") / col("length_m") / area_s.clone() * lit(3_600.0)).alias("flow_veh_per_h"),
            (col("time_s") / col("length_m") / area_s * lit(1_000.0)).alias("density_veh_per_km"),
        ])
        .collect()
    }

    /// The city from the sums of its segments.
    fn city_table(&self, segments: &DataFrame, span: Span) -> PolarsResult<CityMetrics> {
        let names = ["distance_m", "time_s", "free_s", "delay_s", "length_m", "events"];
        let sums = segments.clone().lazy().select(names.map(|name| col(name).sum())).collect()?;
        let sum = |name: &str| -> PolarsResult<f64> { Ok(sums.column(name)?.f64()?.get(0).unwrap_or(0.0)) };
        let (distance_m, time_s, free_s) = (sum("distance_m")?, sum("time_s")?, sum("free_s")?);
        let seen = time_s > 0.0;
        Ok(CityMetrics {
            speed_mps: seen.then(|| distance_m / time_s),
            travel_time_index: (free_s > 0.0).then(|| time_s / free_s),
            delay_veh_h_per_h: if seen { Some(sum("delay_s")? / span.seconds() / self.share.value) } else { None },
            vehicles: 0,
            events: sums.column("events")?.i64()?.get(0).unwrap_or(0),
            observed_length_share: sum("length_m")? / self.total_length_m,
        })
    }
}

fn floats(table: &DataFrame, name: &str) -> PolarsResult<Vec<f64>> {
    Ok(table.column(name)?.f64()?.into_no_null_iter().collect())
}

fn standard_errors(percentiles_mps: &[Option<Percentiles>], vehicles: &[u64]) -> Vec<Option<f64>> {
    let of = |(spread, &n): (&Option<Percentiles>, &u64)| {
        let [p15, _, p85] = (*spread)?;
        (n >= 2).then(|| (p85 - p15) / 2.0 / DEVIATIONS_TO_P85 / (n as f64).sqrt())
    };
    percentiles_mps.iter().zip(vehicles).map(of).collect()
}
