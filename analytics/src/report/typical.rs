//! The typical week of a place: speed, travel time and delay by weekday and quarter of an hour, with their spread over days.
//!
//! Upstream: [`super::series`]. Downstream: the API, `arterial report typical-day`.
//!
//! Bands are over days, one figure a day and slot: p10, p50 and p90 (interpolated, Hyndman and Fan's type 7). Of areas
//! there are hours only, told at their first quarter. Holidays are left out.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use serde::Serialize;

use super::place::Place;
use super::series::Series;
use super::{History, K_EXPORT, ReportError, When, quantile, rounded};

/// Spread over days.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Band {
    pub p10: f64,
    pub p50: f64,
    pub p90: f64,
}

/// One slot of one weekday.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TypicalRow {
    /// 1 is Monday.
    pub weekday: u8,
    /// First quarter of an hour of the slot, 0 to 95.
    pub quarter: usize,
    /// `null` where nothing was seen enough, or by too few.
    pub speed_mps: Option<Band>,
    pub travel_time_s: Option<Band>,
    /// Mean over days with a vehicle, of those that reported.
    pub delay_vehicle_h_per_h: Option<f64>,
    /// Days with a figure.
    pub days: usize,
    /// Days of this weekday that have this slot on their clock.
    pub days_asked: usize,
    /// Length that was driven, mean over all days that were asked for.
    pub covered_share: f64,
    /// Whether a part of a travel time is imputed.
    pub imputed: bool,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TypicalDay {
    pub zone: String,
    pub place: Place,
    pub from: String,
    pub to: String,
    /// Length of a slot, minutes.
    pub slot_minutes: u32,
    /// Travel time at free flow.
    pub free_travel_time_s: Option<f64>,
    /// Fewest vehicles, and slots that are not told for that.
    pub k: i64,
    pub suppressed: usize,
    pub rows: Vec<TypicalRow>,
}

/// Works it out.
///
/// # Errors
/// Whatever the archive says, and when there is nothing.
pub fn typical_day(
    history: &History,
    place: &Place,
    days: &RangeInclusive<Date>,
    when: &When,
) -> Result<TypicalDay, ReportError> {
    let slot_minutes = if place.kind.is_path() { 15 } else { 60 };
    let series = Series::of(history, place, days, slot_minutes)?;
    let looked_at = when.days(&series.clock, &history.calendar);
    let (mut rows, mut suppressed) = (Vec::new(), 0);
    for weekday in 1..=7 {
        let of_weekday: Vec<usize> =
            looked_at.iter().copied().filter(|&day| series.clock.weekday(day) == weekday).collect();
        for slot in 0..series.slots_a_day() {
            let quarter = slot * slot_minutes as usize / 15;
            if !when.has_hour(quarter as u32 / 4) {
                continue;
            }
            if let Some((row, is_told)) = row(place, &series, &of_weekday, weekday, slot) {
                suppressed += usize::from(!is_told);
                rows.push(row);
            }
        }
    }
    Ok(TypicalDay {
        zone: history.calendar.zone_name().to_owned(),
        place: place.clone(),
        from: days.start().to_string(),
        to: days.end().to_string(),
        slot_minutes,
        free_travel_time_s: series.free_time_s.filter(|_| place.kind.is_path()).map(|s| rounded(s, 1)),
        k: K_EXPORT,
        suppressed,
        rows,
    })
}

/// A slot over the days of a weekday, and whether it may be told; `None` where no such day was asked for.
fn row(place: &Place, series: &Series, days: &[usize], weekday: u8, slot: usize) -> Option<(TypicalRow, bool)> {
    let on_clock: Vec<usize> = days.iter().copied().filter(|&day| series.hours_of(day, slot) > 0.0).collect();
    if on_clock.is_empty() {
        return None;
    }
    let (mut speeds, mut times, mut delays, mut covered) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
    let (mut vehicles, mut imputed) = (0, false);
    for &day in &on_clock {
        let one = series.slot(day, slot);
        covered += (one.driven_m / place.length_m).min(1.0);
        if one.time_ms > 0 {
            vehicles += one.vehicles_min;
            delays.push(one.delay_ms as f64 / 3.6e6 / series.hours_of(day, slot));
        }
        if !place.kind.is_path() {
            speeds.extend(one.speed_mps());
        } else if let Some(time_s) = one.travel_time_s {
            times.push(time_s);
            speeds.push(place.length_m / time_s);
            imputed |= one.imputed;
        }
    }
    let is_told = vehicles >= K_EXPORT;
    let delay = delays.iter().sum::<f64>() / delays.len().max(1) as f64;
    let row = TypicalRow {
        weekday,
        quarter: slot * series.slot_minutes as usize / 15,
        days: speeds.len(),
        days_asked: on_clock.len(),
        speed_mps: band(speeds, 2).filter(|_| is_told),
        travel_time_s: band(times, 1).filter(|_| is_told),
        delay_vehicle_h_per_h: (is_told && !delays.is_empty()).then(|| rounded(delay, 3)),
        covered_share: rounded(covered / on_clock.len() as f64, 3),
        imputed: imputed && is_told,
    };
    // What nobody drove is not suppressed: it was not seen.
    Some((row, is_told || vehicles == 0))
}

fn band(mut values: Vec<f64>, digits: i32) -> Option<Band> {
    values.sort_by(f64::total_cmp);
    let at = |share| quantile(&values, share).map(|v| rounded(v, digits));
    Some(Band { p10: at(0.1)?, p50: at(0.5)?, p90: at(0.9)? })
}
