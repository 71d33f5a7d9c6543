//! Speed, ratio, delay, flow and density of every segment, and the city's figures, by one polars query.
//!
//! Upstream: cells of a window and the network's attributes. Downstream: [`crate::snapshot`].
//!
//! All of it follows from the sums d (metres driven) and t (seconds spent) of Edie's definitions over an area
//! A = length × duration: flow q = d / A, density k = t / A, space-mean speed v = d / t (Edie 1963). They are of
//! the vehicles that report; nothing is scaled up. Delay is max(0, t − d / free-flow speed) **per segment and
//! minute**, then summed: a fast minute does not pay for a slow one.

use polars::prelude::*;
use roads::{Network, SegmentIndex};

use super::window::Span;
use crate::pane::PaneStore;

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

/// Attributes of all segments as a polars table, made once.
pub struct TrafficQuery {
    attributes: DataFrame,
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
    ///
    /// # Errors
    /// Whatever polars says of the table, which would be a mistake of ours.
    pub fn new(network: &Network) -> PolarsResult<Self> {
        let segments = network.segments();
        let index: Vec<u32> = (0..segments.len() as u32).collect();
        let length_m: Vec<f64> = segments.iter().map(|s| s.length_m).collect();
        let free_mps: Vec<f64> = segments.iter().map(|s| f64::from(s.free_flow_mps())).collect();
        let total_length_m = length_m.iter().sum();
        let attributes = df!("segment" => index, "length_m" => length_m, "free_mps" => free_mps)?;
        Ok(Self { attributes, total_length_m })
    }

    /// Computes every metric of one window.
    ///
    /// # Errors
    /// Whatever polars says of the query, which would be a mistake of ours.
    pub fn run(&self, store: &PaneStore, span: Span) -> PolarsResult<WindowMetrics> {
        let segments = self.segment_table(&cells(store, span)?, span)?;
        let city = self.city_table(&segments, span)?;
        let (by_segment, everywhere) = store.distinct_vehicles(span.start_ms, span.panes_end_ms());
        let segment: Vec<SegmentIndex> =
            segments.column("segment")?.u32()?.into_no_null_iter().map(SegmentIndex).collect();
        let vehicles = segment.iter().map(|s| by_segment.get(s).map_or(0, |&n| n as u64)).collect();
        let metrics = SegmentMetrics {
            speed_mps: floats(&segments, "speed_mps")?,
            speed_ratio: floats(&segments, "speed_ratio")?,
            delay_veh_h_per_h: floats(&segments, "delay_veh_h_per_h")?,
            flow_veh_per_h: floats(&segments, "flow_veh_per_h")?,
            density_veh_per_km: floats(&segments, "density_veh_per_km")?,
            events: segments.column("events")?.i64()?.into_no_null_iter().collect(),
            segment,
            vehicles,
        };
        Ok(WindowMetrics { segments: metrics, city: CityMetrics { vehicles: everywhere as u64, ..city } })
    }

    /// One row a segment: sums, then what follows from them.
    fn segment_table(&self, cells: &DataFrame, span: Span) -> PolarsResult<DataFrame> {
        let area_s = lit(span.seconds());
        let free_s = col("distance_m") / col("free_mps");
        let over_s = col("time_s") - free_s.clone();
        cells
            .clone()
            .lazy()
            .group_by([col("segment"), col("minute")])
            .agg([
                col("distance_mm").sum().cast(DataType::Float64).alias("distance_m") / lit(1_000.0),
                col("time_ms").sum().cast(DataType::Float64).alias("time_s") / lit(1_000.0),
                col("events").sum(),
            ])
            .join(self.attributes.clone().lazy(), [col("segment")], [col("segment")], JoinArgs::new(JoinType::Inner))
            .with_columns([
                when(over_s.clone().gt(lit(0.0))).then(over_s).otherwise(lit(0.0)).alias("delay_s"),
                free_s.alias("free_s"),
            ])
            .group_by([col("segment")])
            .agg([
                col("distance_m").sum(),
                col("time_s").sum(),
                col("free_s").sum(),
                col("delay_s").sum(),
                col("events").sum(),
                col("length_m").first(),
                col("free_mps").first(),
            ])
            .filter(col("time_s").gt(lit(0.0)))
            .with_columns([
                (col("distance_m") / col("time_s")).alias("speed_mps"),
                (col("distance_m") / col("time_s") / col("free_mps")).alias("speed_ratio"),
                (col("delay_s") / area_s.clone()).alias("delay_veh_h_per_h"),
                (col("distance_m") / col("length_m") / area_s.clone() * lit(3_600.0)).alias("flow_veh_per_h"),
                (col("time_s") / col("length_m") / area_s * lit(1_000.0)).alias("density_veh_per_km"),
            ])
            .sort(["segment"], SortMultipleOptions::default())
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

/// The window's cells as a polars table, with the minute (counted back from the window's end) of each.
fn cells(store: &PaneStore, span: Span) -> PolarsResult<DataFrame> {
    let end_ms = span.panes_end_ms();
    let (mut segment, mut minute) = (Vec::new(), Vec::new());
    let (mut distance_mm, mut time_ms, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for row in store.rows(span.start_ms, end_ms) {
        segment.push(row.segment.0);
        minute.push((end_ms - 1 - row.pane_ms) / 60_000);
        distance_mm.push(row.distance_mm);
        time_ms.push(row.time_ms);
        events.push(row.events);
    }
    df!("segment" => segment, "minute" => minute, "distance_mm" => distance_mm, "time_ms" => time_ms, "events" => events)
}

fn floats(table: &DataFrame, name: &str) -> PolarsResult<Vec<f64>> {
    Ok(table.column(name)?.f64()?.into_no_null_iter().collect())
}
