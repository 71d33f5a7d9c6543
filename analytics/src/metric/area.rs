//! Figures of corridors, zones and the city, by one polars query over their segments.
//!
//! Upstream: the sums of a window and the table of its segments ([`super::traffic`]). Downstream: [`crate::snapshot`],
//! [`crate::export`], the API.
//!
//! Averages are never averaged: vehicle-kilometres (VKT), vehicle-hours (VHT), delay and reports are summed over the
//! segments of an area, and everything else follows from these sums. Q = VKT / VHT is the area's speed, the travel time
//! index is VHT over the hours that the same kilometres take at free flow (Caltrans PeMS defines both so). Flow and density of the
//! network are Σd and Σt over the length of **all** segments of the area times the window: a point of the macroscopic
//! fundamental diagram (Geroliminis and Daganzo, Existence of urban-scale macroscopic fundamental diagrams, 2008), to be
//! read with the observed share beside it, since a street without reports counts as empty.
//!
//! A corridor's travel time is the sum of length over speed of its segments. It is given where at least
//! [`COVERAGE_MIN`] of its length was driven, the rule by which Toronto uses a segment (bdit_data-sources); the rest is
//! imputed at the mean pace of the observed part, and its share is told. Vehicles are told as "at least so many different ones":
//! the most that one segment has seen, since who drives on through the corridor is not counted twice.

use polars::prelude::*;
use roads::FreeFlowBasis;

use super::probe_share::ProbeShare;
use super::window::Span;
use crate::area::{AreaKind, Areas};
use crate::pane::Totals;

/// Least share of a corridor's length that must be driven for a travel time.
pub const COVERAGE_MIN: f64 = 0.8;

/// Ratio of speed to free flow below which a segment is congested: a travel time index of 1.5, AMap's border to "slow".
pub const CONGESTED_RATIO: f64 = 2.0 / 3.0;

/// What a window says of one area. Sums are of all vehicles: those of the probes over the probe share.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AreaMetrics {
    /// At least so many different vehicles.
    pub vehicles: u64,
    /// Position reports counted.
    pub reports: i64,
    /// Vehicle-kilometres in the window.
    pub vehicle_km: f64,
    /// Vehicle-hours in the window.
    pub vehicle_h: f64,
    /// Vehicle-hours lost in an hour against free flow, clipped at 0 per segment and clock minute.
    pub delay_veh_h_per_h: f64,
    /// Q, m/s; `None` where no time was spent.
    pub speed_mps: Option<f64>,
    /// Standard error of Q, m/s: segments' errors weighted by the time spent on them, taken as independent; `None`
    /// unless at least half of the weight has an error.
    pub speed_stderr_mps: Option<f64>,
    pub travel_time_index: Option<f64>,
    /// Length of congested segments over the length of those with reports.
    pub congested_length_share: Option<f64>,
    /// Network-mean flow, vehicles an hour.
    pub flow_veh_per_h: f64,
    /// Network-mean density, vehicles a kilometre.
    pub density_veh_per_km: f64,
    /// Share of the length that was driven in the window; a segment driven in part counts with that part.
    pub observed_length_share: f64,
    /// Share of the driven kilometres that are held against an observed free-flow speed, not one from a limit.
    pub free_flow_observed_share: f64,
    /// Seconds from end to end of a corridor; `None` below [`COVERAGE_MIN`].
    pub travel_time_s: Option<f64>,
    pub travel_time_stderr_s: Option<f64>,
    /// The same at free flow.
    pub free_travel_time_s: f64,
}

/// The members of all areas, and what does not change with the window.
#[derive(Debug)]
pub struct AreaQuery {
    /// Area and segment of every membership.
    members: Vec<(u32, u32)>,
    kinds: Vec<AreaKind>,
    length_m: Vec<f64>,
    segment_length_m: Vec<f64>,
}

/// What is held against what in one window: one entry a segment of the network, or a row of the totals.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Free-flow speed by segment, m/s.
    pub free_mps: &'a [f64],
    pub basis: &'a [FreeFlowBasis],
    /// Standard error of speed by row of the totals, m/s.
    pub stderr_mps: &'a [Option<f64>],
    pub share: ProbeShare,
}

impl AreaQuery {
    /// The query over some areas of a network whose segments have these lengths, m.
    pub fn new(areas: &Areas, segment_length_m: Vec<f64>) -> Self {
        let all = areas.all();
        let of_area = |(i, area): (usize, &crate::area::Area)| {
            area.segments.iter().map(move |at| (i as u32, at.0)).collect::<Vec<_>>()
        };
        Self {
            members: all.iter().enumerate().flat_map(of_area).collect(),
            kinds: all.iter().map(|a| a.kind).collect(),
            length_m: all.iter().map(|a| a.length_m).collect(),
            segment_length_m,
        }
    }

    /// Figures of every area, in order of [`Areas::all`].
    ///
    /// # Errors
    /// Whatever polars says of the query, which would be a mistake of ours.
    pub fn run(&self, totals: &Totals, held: &Held<'_>, span: Span) -> PolarsResult<Vec<AreaMetrics>> {
        let mut free_s = vec![0.0; self.kinds.len()];
        for &(area, segment) in &self.members {
            free_s[area as usize] += self.segment_length_m[segment as usize] / held.free_mps[segment as usize];
        }
        let blank = |free_travel_time_s| AreaMetrics { free_travel_time_s, ..AreaMetrics::default() };
        let mut metrics: Vec<AreaMetrics> = free_s.into_iter().map(blank).collect();
        let sums = self.sums(totals, held)?;
        let column =
            |name: &str| -> PolarsResult<Vec<f64>> { Ok(sums.column(name)?.f64()?.into_no_null_iter().collect()) };
        let areas: Vec<u32> = sums.column("area")?.u32()?.into_no_null_iter().collect();
        let columns = SUMMED.map(column);
        let [d, t, free, delay, seen, driven, congested, learnt, pace, pace_var, weight, known, speed_var] = columns;
        let (d, t, free, delay, seen, driven) = (d?, t?, free?, delay?, seen?, driven?);
        let (congested, learnt, pace, pace_var) = (congested?, learnt?, pace?, pace_var?);
        let (weight, known, speed_var) = (weight?, known?, speed_var?);
        let reports: Vec<i64> = sums.column("events")?.i64()?.into_no_null_iter().collect();
        let vehicles: Vec<i64> = sums.column("vehicles")?.i64()?.into_no_null_iter().collect();
        let window_s = span.seconds();
        for (row, &area) in areas.iter().enumerate() {
            let at = area as usize;
            let scale = 1.0 / held.share.value;
            let length_m = self.length_m[at];
            // Errors of segments without one are taken to be like those of the others.
            let of_all = (known[row] * 2.0 >= weight[row] && known[row] > 0.0).then(|| weight[row] / known[row]);
            let is_covered = driven[row] >= COVERAGE_MIN * length_m && self.kinds[at] == AreaKind::Corridor;
            metrics[at] = AreaMetrics {
                vehicles: vehicles[row].max(0) as u64,
                reports: reports[row],
                vehicle_km: d[row] / 1_000.0 * scale,
                vehicle_h: t[row] / 3_600.0 * scale,
                delay_veh_h_per_h: delay[row] / window_s * scale,
                speed_mps: (t[row] > 0.0).then(|| d[row] / t[row]),
                speed_stderr_mps: of_all.map(|more| (speed_var[row] * more).sqrt() / t[row]),
                travel_time_index: (free[row] > 0.0).then(|| t[row] / free[row]),
                congested_length_share: (seen[row] > 0.0).then(|| congested[row] / seen[row]),
                flow_veh_per_h: d[row] / length_m / window_s * 3_600.0 * scale,
                density_veh_per_km: t[row] / length_m / window_s * 1_000.0 * scale,
                observed_length_share: driven[row] / length_m,
                free_flow_observed_share: if d[row] > 0.0 { learnt[row] / d[row] } else { 0.0 },
                travel_time_s: is_covered.then(|| pace[row] * length_m / driven_whole(seen[row], length_m)),
                travel_time_stderr_s: of_all.filter(|_| is_covered).map(|more| (pace_var[row] * more).sqrt()),
                free_travel_time_s: metrics[at].free_travel_time_s,
            };
        }
        Ok(metrics)
    }

    /// One row an area that was seen: sums over its segments.
    fn sums(&self, totals: &Totals, held: &Held<'_>) -> PolarsResult<DataFrame> {
        let mut row_of = vec![u32::MAX; self.segment_length_m.len()];
        for (row, &segment) in totals.segment.iter().enumerate() {
            row_of[segment as usize] = row as u32;
        }
        let seen = self.members.iter().filter_map(|&(area, segment)| {
            let row = row_of[segment as usize];
            (row != u32::MAX).then_some((area, segment as usize, row as usize))
        });
        let seen: Vec<(u32, usize, usize)> = seen.collect();
        let float = |of: &dyn Fn(usize, usize) -> f64| seen.iter().map(|&(_, s, row)| of(s, row)).collect::<Vec<_>>();
        let count = |of: &dyn Fn(usize) -> i64| seen.iter().map(|&(_, _, row)| of(row)).collect::<Vec<_>>();
        let is_learnt = |s: usize| f64::from(u8::from(held.basis[s] == FreeFlowBasis::Observed));
        df!(
            "area" => seen.iter().map(|s| s.0).collect::<Vec<u32>>(),
            "distance_m" => float(&|_, row| totals.distance_m[row]),
            "time_s" => float(&|_, row| totals.time_s[row]),
            "delay_s" => float(&|_, row| totals.delay_s[row]),
            "length_m" => float(&|s, _| self.segment_length_m[s]),
            "free_mps" => float(&|s, _| held.free_mps[s]),
            "is_learnt" => float(&|s, _| is_learnt(s)),
            "stderr" => float(&|_, row| held.stderr_mps[row].unwrap_or(0.0)),
            "is_known" => float(&|_, row| f64::from(u8::from(held.stderr_mps[row].is_some()))),
            "events" => count(&|row| totals.events[row]),
            "vehicles" => count(&|row| totals.vehicles.get(row).copied().unwrap_or(0) as i64),
        )?
        .lazy()
        .with_columns([
            (col("distance_m") / col("time_s")).alias("speed"),
            (col("distance_m") / col("free_mps")).alias("free_s"),
            (col("distance_m") * col("is_learnt")).alias("observed_free_m"),
            when(col("distance_m").lt(col("length_m")))
                .then(col("distance_m"))
                .otherwise(col("length_m"))
                .alias("driven_m"),
        ])
        .with_columns([
            // Who stands has no pace: a segment on which nobody moved is not passed in any time that could be told.
            when(col("distance_m").gt(lit(0.0))).then(col("length_m")).otherwise(lit(0.0)).alias("seen_m"),
            when(col("distance_m").gt(lit(0.0)))
                .then(col("length_m") / col("speed"))
                .otherwise(lit(0.0))
                .alias("pace_s"),
            when(col("speed").lt(col("free_mps") * lit(CONGESTED_RATIO)))
                .then(col("length_m"))
                .otherwise(lit(0.0))
                .alias("congested_m"),
            (col("time_s") * col("time_s")).alias("weight"),
            (col("time_s") * col("time_s") * col("is_known")).alias("weight_known"),
            (col("time_s") * col("time_s") * col("stderr") * col("stderr")).alias("speed_var"),
        ])
        .with_columns([when(col("distance_m").gt(lit(0.0)))
            .then((col("pace_s") * col("stderr") / col("speed")) * (col("pace_s") * col("stderr") / col("speed")))
            .otherwise(lit(0.0))
            .alias("pace_var")])
        .group_by([col("area")])
        .agg(
            SUMMED
                .into_iter()
                .chain(["events"])
                .map(|name| col(name).sum())
                .chain([col("vehicles").max()])
                .collect::<Vec<_>>(),
        )
        .sort(["area"], SortMultipleOptions::default())
        .collect()
    }
}

/// What is summed over the segments of an area, besides `events`, which are whole numbers.
const SUMMED: [&str; 13] = [
    "distance_m",
    "time_s",
    "free_s",
    "delay_s",
    "seen_m",
    "driven_m",
    "congested_m",
    "observed_free_m",
    "pace_s",
    "pace_var",
    "weight",
    "weight_known",
    "speed_var",
];

/// The length that a sum of paces speaks for, m.
fn driven_whole(seen_m: f64, length_m: f64) -> f64 {
    if seen_m > 0.0 { seen_m } else { length_m }
}
