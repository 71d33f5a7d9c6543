//! A place's history by local day and slot of the wall clock: sums, travel time, how much of it was seen.
//!
//! Upstream: tables of months and rows of [`super::read`] for places that one drives through, the table of hours of
//! [`super::profile`] for zones, the city, and comparisons. Downstream: the reports.
//!
//! A place's travel time in a slot is the sum over its segments of length over speed (Σ distance / Σ time of the slot). It is
//! given where at least [`COVERAGE_MIN`] of the length was driven; segments without a vehicle take the mean pace of
//! the others, and the slot says that a part is imputed.

use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::place::Place;
use super::profile;
use super::profile::months::{self, Kept};
use super::{COVERAGE_MIN, History, ReportError, When};
use crate::archive::cells::Cells;
use crate::calendar::Clock;

/// Slots times segments of one series, 16 B each; above it the question is refused.
const SUMS_MAX: usize = 60_000_000;

/// One slot of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slot {
    pub distance_mm: i64,
    pub time_ms: i64,
    pub delay_ms: i64,
    /// At least so many distinct vehicles.
    pub vehicles_min: i64,
    /// Length that was driven, each segment at most once, metres.
    pub driven_m: f64,
    /// Of a path that was seen enough.
    pub travel_time_s: Option<f64>,
    /// Whether a part of that travel time is imputed.
    pub imputed: bool,
}

/// All slots of a stretch of days.
#[derive(Clone, Debug)]
pub struct Series {
    pub clock: Clock,
    /// Length of a slot of the wall clock, minutes.
    pub slot_minutes: u32,
    slots: Vec<Slot>,
    /// Travel time at free flow, seconds; `None` where nothing was seen, or of an area.
    pub free_time_s: Option<f64>,
}

impl Slot {
    /// Space-mean speed, m/s.
    pub fn speed_mps(&self) -> Option<f64> {
        (self.time_ms > 0 && self.distance_mm > 0).then(|| self.distance_mm as f64 / self.time_ms as f64)
    }
}

impl Series {
    /// Slots of a day.
    pub fn slots_a_day(&self) -> usize {
        1_440 / self.slot_minutes as usize
    }

    /// One slot.
    pub fn slot(&self, day: usize, slot: usize) -> &Slot {
        &self.slots[day * self.slots_a_day() + slot]
    }

    /// How much time a slot of the wall clock really was, hours: 0 where the clock skips it.
    pub fn hours_of(&self, day: usize, slot: usize) -> f64 {
        let quarters = (self.slot_minutes / 15).max(1) as usize;
        let first = slot * self.slot_minutes as usize / 15;
        let passed: u32 = (first..first + quarters).map(|q| self.clock.quarters_of(day, q)).sum();
        f64::from(passed) / quarters as f64 * f64::from(self.slot_minutes) / 60.0
    }

    /// A place's history over some days, in slots of an hour or less; areas have hours only.
    ///
    /// # Errors
    /// Whatever the archive says, and when there is nothing.
    pub fn of(
        history: &History,
        place: &Place,
        days: &RangeInclusive<Date>,
        slot_minutes: u32,
    ) -> Result<Self, ReportError> {
        let clock = history.clock(days)?;
        let series = if place.kind.is_path() {
            Self::of_path(history, place, clock, slot_minutes)?
        } else {
            profile::hours_of(history, place, clock)?
        };
        let is_seen = series.slots.iter().any(|s| s.time_ms > 0);
        if is_seen { Ok(series) } else { Err(History::no_data(place, days)) }
    }

    /// A path's history: months that are over from their table, which has the same sums by the quarter of an hour, other days
    /// from the cells.
    fn of_path(history: &History, place: &Place, clock: Clock, slot_minutes: u32) -> Result<Self, ReportError> {
        let segments = place.segments();
        let whole = if slot_minutes.is_multiple_of(15) { months::kept(history, &clock)? } else { Kept::default() };
        let seen = profile::seen::seen_of_months(&whole.paths, &segments, slot_minutes, &clock)?;
        let mut rows = Vec::new();
        for days in whole.others(&clock) {
            let span = clock.day_ms(days.start).start..clock.day_ms(days.end - 1).end;
            rows.push(history.archive.rows(&segments, &span)?);
        }
        let of_clock = clock.clone();
        let of_rows = rows.iter().flat_map(|rows| seen_of_rows(rows, &of_clock, slot_minutes));
        Self::fold(place, clock, slot_minutes, seen.into_iter().chain(of_rows))
    }

    /// A place's history in slots of an hour: from the tables of hours where a day has one, which holds the same sums in a
    /// twelfth of the rows, else from the cells. Hours that are not asked for stay empty.
    ///
    /// # Errors
    /// Whatever the archive says, and when there is nothing.
    pub fn by_hours(
        history: &History,
        place: &Place,
        days: &RangeInclusive<Date>,
        when: &When,
    ) -> Result<Self, ReportError> {
        if !place.kind.is_path() {
            return Self::of(history, place, days, 60);
        }
        profile::update(history, days)?;
        let clock = history.clock(days)?;
        let mut seen = profile::seen::seen_of(history, &place.segments(), when, &clock)?;
        // Days that are not over have no table: from the first of them on, the cells are read.
        let open = (0..clock.days()).filter(|&day| !profile::has_hours(history, clock.date(day))).collect::<Vec<_>>();
        if let (Some(&first), Some(&last)) = (open.first(), open.last()) {
            let span = clock.day_ms(first).start..clock.day_ms(last).end;
            let rows = history.archive.rows(&place.segments(), &span)?;
            let of_open = seen_of_rows(&rows, &clock, 60);
            seen.extend(of_open.filter(|row| open.binary_search(&row.day).is_ok() && when.has_hour(row.slot as u32)));
        }
        let series = Self::fold(place, clock, 60, seen.into_iter())?;
        let is_seen = series.slots.iter().any(|s| s.time_ms > 0);
        if is_seen { Ok(series) } else { Err(History::no_data(place, days)) }
    }

    /// Empty slots.
    pub fn empty(clock: Clock, slot_minutes: u32) -> Self {
        let slots = vec![Slot::default(); clock.days() * (1_440 / slot_minutes as usize)];
        Self { clock, slot_minutes, slots, free_time_s: None }
    }

    pub(super) fn slot_mut(&mut self, day: usize, slot: usize) -> &mut Slot {
        let at = day * self.slots_a_day() + slot;
        &mut self.slots[at]
    }

    /// Sums of a path's segments by slot, in any order.
    ///
    /// # Errors
    /// When it would take too much memory.
    pub fn fold(
        place: &Place,
        clock: Clock,
        slot_minutes: u32,
        seen: impl Iterator<Item = Seen>,
    ) -> Result<Self, ReportError> {
        let mut series = Self::empty(clock, slot_minutes);
        let (n, a_day) = (place.parts.len(), series.slots_a_day());
        if series.slots.len().saturating_mul(n) > SUMS_MAX {
            return Err(ReportError::TooMuch { rows_max: SUMS_MAX });
        }
        // Distance and time by slot and segment.
        let mut sums = vec![(0_i64, 0_i64); series.slots.len() * n];
        // Free flow times minutes, and minutes: whole numbers, since rows of another length have the same sums then.
        let mut free = vec![(0_i64, 0_i64); n];
        let mut last: Option<(i64, Option<usize>)> = None;
        for row in seen {
            // Most rows are of the same segment as the one before.
            let part = match last {
                Some((segment, part)) if segment == row.segment => part,
                _ => place.parts.binary_search_by_key(&row.segment, |p| p.segment).ok(),
            };
            last = Some((row.segment, part));
            let Some(part) = part else { continue };
            let at = row.day * a_day + row.slot;
            let slot = &mut series.slots[at];
            slot.distance_mm += row.distance_mm;
            slot.time_ms += row.time_ms;
            slot.delay_ms += row.delay_ms;
            slot.vehicles_min = slot.vehicles_min.max(i64::from(row.vehicles_min));
            let sum = &mut sums[at * n + part];
            *sum = (sum.0 + row.distance_mm, sum.1 + row.time_ms);
            free[part].0 += row.free_flow_mmps_minutes;
            free[part].1 += i64::from(row.minutes);
        }
        for (slot, sums) in series.slots.iter_mut().zip(sums.chunks(n.max(1))) {
            drive_through(place, slot, sums);
        }
        series.free_time_s = free_time_s(place, &free);
        Ok(series)
    }
}

/// Rows on the local clock.
fn seen_of_rows(rows: &Cells, clock: &Clock, slot_minutes: u32) -> impl Iterator<Item = Seen> {
    (0..rows.len()).filter_map(move |row| {
        let local = clock.at(rows.start_ms[row])?;
        Some(Seen {
            day: local.day,
            slot: (local.minute / slot_minutes) as usize,
            segment: rows.segment[row],
            distance_mm: rows.distance_mm[row],
            time_ms: rows.time_ms[row],
            delay_ms: rows.delay_ms[row],
            vehicles_min: rows.vehicles_min(row),
            minutes: rows.minutes[row],
            free_flow_mmps_minutes: i64::from(rows.minutes[row]) * i64::from(rows.free_flow_mmps[row]),
        })
    })
}

/// Sums of one segment in one slot.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub day: usize,
    pub slot: usize,
    pub segment: i64,
    pub distance_mm: i64,
    pub time_ms: i64,
    pub delay_ms: i64,
    pub vehicles_min: i32,
    pub minutes: i32,
    /// Free flow, mm/s, times the minutes that it held for.
    pub free_flow_mmps_minutes: i64,
}

/// Fills in what was driven, and the travel time where that is enough.
fn drive_through(place: &Place, slot: &mut Slot, sums: &[(i64, i64)]) {
    let (mut pace_s, mut seen_m) = (0.0, 0.0);
    for (part, &(distance_mm, time_ms)) in place.parts.iter().zip(sums) {
        // Who stands has no pace: a segment on which nobody moved is not passed in any time that could be told.
        if distance_mm > 0 && time_ms > 0 {
            slot.driven_m += (distance_mm as f64 / 1_000.0).min(part.length_m);
            pace_s += part.length_m * time_ms as f64 / distance_mm as f64;
            seen_m += part.length_m;
        }
    }
    if seen_m > 0.0 && slot.driven_m >= COVERAGE_MIN * place.length_m {
        slot.travel_time_s = Some(pace_s * place.length_m / seen_m);
        slot.imputed = seen_m < place.length_m * 0.999;
    }
}

/// Travel time at free flow; segments that were never seen take the mean pace of the others.
fn free_time_s(place: &Place, free: &[(i64, i64)]) -> Option<f64> {
    let (mut pace_s, mut seen_m) = (0.0, 0.0);
    for (part, &(sum, minutes)) in place.parts.iter().zip(free) {
        if sum > 0 {
            pace_s += part.length_m * minutes as f64 / (sum as f64 / 1_000.0);
            seen_m += part.length_m;
        }
    }
    (seen_m > 0.0).then(|| pace_s * place.length_m / seen_m)
}
