//! How much a travel time can be relied on: indices of FHWA by part of the week.
//!
//! Upstream: [`super::series`] in five-minute slots. Downstream: the API, `arterial report reliability`.
//!
//! | figure | definition | source |
//! |---|---|---|
//! | travel time index | mean travel time / travel time at free flow | FHWA, Travel Time Reliability: Making It There On Time, All The Time (2006) |
//! | planning time index | p95 / travel time at free flow | the same |
//! | buffer index | (p95 − mean) / mean | the same |
//! | LOTTR | p80 / p50; 1.50 and above is unreliable | 23 CFR 490.511, 490.513 |
//!
//! Parts of the week are those of 23 CFR 490.511: weekdays 06 to 10, 10 to 16, 16 to 20, weekends 06 to 20, on the city's
//! clock; `all` is every hour, and its LOTTR the worst of the four. Percentiles are by nearest rank, as live
//! ([`crate::reliability`]). An interval counts where at least 80 % of the length was driven in it.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use serde::Serialize;

use super::place::Place;
use super::series::Series;
use super::{History, K_EXPORT, ReportError, When, rounded};
use crate::reliability::INTERVALS_MIN;

/// Parts of the week: name, weekend or not (or both), hours.
const PARTS: [(&str, Option<bool>, u32, u32); 5] = [
    ("am_peak", Some(false), 6, 10),
    ("midday", Some(false), 10, 16),
    ("pm_peak", Some(false), 16, 20),
    ("weekend", Some(true), 6, 20),
    ("all", None, 0, 24),
];

/// A place in a part of the week.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReliabilityRow {
    pub place: Place,
    pub period: &'static str,
    pub travel_time_index: Option<f64>,
    pub planning_time_index: Option<f64>,
    pub buffer_index: Option<f64>,
    pub lottr: Option<f64>,
    pub mean_s: Option<f64>,
    pub p50_s: Option<f64>,
    pub p80_s: Option<f64>,
    pub p95_s: Option<f64>,
    /// Intervals of five minutes with a travel time.
    pub intervals: usize,
    /// Of those that the part has.
    pub covered_share: f64,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReliabilityReport {
    pub zone: String,
    pub from: String,
    pub to: String,
    pub k: i64,
    pub intervals_min: usize,
    pub suppressed: usize,
    pub rows: Vec<ReliabilityRow>,
}

/// Works it out for some places; those without history are left out.
///
/// # Errors
/// Whatever the archive says, and when none of them has history.
pub fn reliability(
    history: &History,
    places: &[Place],
    days: &RangeInclusive<Date>,
    when: &When,
) -> Result<ReliabilityReport, ReportError> {
    let mut report = ReliabilityReport {
        zone: history.calendar.zone_name().to_owned(),
        from: days.start().to_string(),
        to: days.end().to_string(),
        k: K_EXPORT,
        intervals_min: INTERVALS_MIN,
        suppressed: 0,
        rows: Vec::new(),
    };
    let mut nothing = None;
    for place in places.iter().filter(|place| place.kind.is_path()) {
        match Series::of(history, place, days, 5) {
            Ok(series) => rows(&mut report, history, place, &series, when),
            Err(error @ ReportError::NoData { .. }) => nothing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match (report.rows.is_empty(), nothing) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(ReportError::NoData { what: "paths".to_owned(), from: *days.start(), to: *days.end() }),
        (false, _) => Ok(report),
    }
}

fn rows(report: &mut ReliabilityReport, history: &History, place: &Place, series: &Series, when: &When) {
    let looked_at = when.days(&series.clock, &history.calendar);
    let mut worst: Option<f64> = None;
    for (period, weekend, from, to) in PARTS {
        let (mut times, mut asked, mut vehicles) = (Vec::new(), 0_u32, 0);
        for &day in &looked_at {
            if weekend.is_some_and(|weekend| weekend != (series.clock.weekday(day) >= 6)) {
                continue;
            }
            let mut most = 0;
            for slot in (from * 12..to * 12).map(|slot| slot as usize) {
                asked += series.clock.quarters_of(day, slot / 3);
                let one = series.slot(day, slot);
                most = most.max(one.vehicles_min);
                times.extend(one.travel_time_s);
            }
            vehicles += most;
        }
        times.sort_by(f64::total_cmp);
        let is_told = vehicles >= K_EXPORT;
        report.suppressed += usize::from(!is_told && !times.is_empty());
        let enough = is_told && times.len() >= INTERVALS_MIN;
        let at = |share: f64| nearest_rank(&times, share).filter(|_| enough);
        let mean = enough.then(|| times.iter().sum::<f64>() / times.len() as f64);
        let (p50, p80, p95) = (at(0.50), at(0.80), at(0.95));
        let free = series.free_time_s.filter(|s| *s > 0.0);
        let over = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a / b);
        let own = over(p80, p50);
        if period != "all" {
            worst = [worst, own].into_iter().flatten().max_by(f64::total_cmp);
        }
        let three = |value: Option<f64>| value.map(|v| rounded(v, 3));
        let one = |value: Option<f64>| value.map(|v| rounded(v, 1));
        report.rows.push(ReliabilityRow {
            place: place.clone(),
            period,
            travel_time_index: three(over(mean, free)),
            planning_time_index: three(over(p95, free)),
            buffer_index: three(over(p95, mean).map(|r| r - 1.0)),
            lottr: three(if period == "all" { worst } else { own }),
            mean_s: one(mean),
            p50_s: one(p50),
            p80_s: one(p80),
            p95_s: one(p95),
            intervals: times.len(),
            covered_share: rounded(times.len() as f64 / f64::from(asked.max(1)), 3),
        });
    }
}

/// The smallest value that at least a share of the values does not exceed.
fn nearest_rank(sorted: &[f64], share: f64) -> Option<f64> {
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.clamp(1, sorted.len().max(1)) - 1).copied()
}
