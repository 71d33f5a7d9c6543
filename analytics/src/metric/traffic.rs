//! Speed, ratio, delay, flow and density of every segment, and the city's figures, by one polars query.
//!
//! Upstream: cells of a window and the network's attributes. Downstream: [`crate::snapshot`].
//!
//! All of it follows from the sums d (metres driven) and t (seconds spent) of Edie's definitions over an area
//! A = length × duration: flow q = d / A, density k = t / A, space-mean speed v = d / t (Edie 1963). They are of
//! the vehicles that report; nothing is scaled up. Delay is max(0, t − d / free-flow speed) **per segment and
//! clock minute**, then summed: a fast minute does not pay for a slow one. The pane store adds the panes up and
//! clips; polars computes everything that follows from these sums.

use polars::prelude::*;
use roads::{Network, SegmentIndex};

use super::window::{Span, Window};
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
    /// Vehicles an hour, of those that report.
    pub flow_veh_per_h: Vec<f64>,
    /// Vehicles a kilometre, of those that report.
    pub density_veh_per_km: Vec<f64>,
    /// Position reports counted.
    pub events: Vec<i64>,
    /// Distinct vehicles.
    pub vehicles: Vec<u64>,
    /// 15th, 50th and 85th percentile of speed by metres driven, m/s; `None` in the window of a minute.
    pub percentiles_mps: Vec<Option<Percentiles>>,
}

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
    total_length_m: f64,
}

/// Metrics of one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowMetrics {
    pub segments: SegmentMetrics,
    pub city: CityMetrics,
}

impl TrafficQuery {
    /// Takes the attributes of every segment.
    pub fn new(network: &Network) -> Self {
        let segments = network.segments();
        let length_m: Vec<f64> = segments.iter().map(|s| s.length_m).collect();
        let free_mps = segments.iter().map(|s| f64::from(s.free_flow_mps())).collect();
        Self { total_length_m: length_m.iter().sum(), length_m, free_mps }
    }

    /// Computes every metric of one window; `span` is where it lies.
    ///
    /// # Errors
    /// Whatever polars says of the query, which would be a mistake of ours.
    pub fn run(&self, store: &PaneStore, window: Window, span: Span) -> PolarsResult<WindowMetrics> {
        let mut totals = store.totals(span, &self.free_mps);
        let vehicles = std::mem::take(&mut totals.vehicles);
        let everywhere = totals.vehicles_everywhere;
        let segments = self.segment_table(totals, span)?;
        let city = self.city_table(&segments, span)?;
        let segment: Vec<_> = segments.column("segment")?.u32()?.into_no_null_iter().map(SegmentIndex).collect();
        let metrics = SegmentMetrics {
            percentiles_mps: segment.iter().map(|&s| store.percentiles(window, s)).collect(),
            speed_mps: floats(&segments, "speed_mps")?,
            speed_ratio: floats(&segments, "speed_ratio")?,
            delay_veh_h_per_h: floats(&segments, "delay_veh_h_per_h")?,
            flow_veh_per_h: floats(&segments, "flow_veh_per_h")?,
            density_veh_per_km: floats(&segments, "density_veh_per_km")?,
            events: segments.column("events")?.i64()?.into_no_null_iter().collect(),
            segment,
            vehicles,
        };
        Ok(WindowMetrics { segments: metrics, city: CityMetrics { vehicles: everywhere, ..city } })
    }

    /// One row a segment: sums, then what follows from them. The rows stay in order of segment.
    fn segment_table(&self, totals: Totals, span: Span) -> PolarsResult<DataFrame> {
        let area_s = lit(span.seconds());
        let length_m: Vec<f64> = totals.segment.iter().map(|&s| self.length_m[s as usize]).collect();
        let free_mps: Vec<f64> = totals.segment.iter().map(|&s| self.free_mps[s as usize]).collect();
        df!(
            "segment" => totals.segment, "distance_m" => totals.distance_m, "time_s" => totals.time_s,
            "events" => totals.events, "delay_s" => totals.delay_s, "length_m" => length_m, "free_mps" => free_mps,
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
            delay_veh_h_per_h: if seen { Some(sum("delay_s")? / span.seconds()) } else { None },
            vehicles: 0,
            events: sums.column("events")?.i64()?.get(0).unwrap_or(0),
            observed_length_share: sum("length_m")? / self.total_length_m,
        })
    }
}

fn floats(table: &DataFrame, name: &str) -> PolarsResult<Vec<f64>> {
    Ok(table.column(name)?.f64()?.into_no_null_iter().collect())
}
