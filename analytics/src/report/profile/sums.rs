//! Sums over the tables for rankings: every segment of a city, over days or over weekdays.
//!
//! Upstream: [`super::columns`]. Downstream: [`crate::report::ranking`].
//!
//! Rows of a file stand by segment, so a segment's sum is a running one that ends where the next begins. A file whose rows
//! stand otherwise gives the same sums: pieces of a segment are put together at the end. Files are shared out over
//! threads, one file at a time.

use std::collections::HashMap;
use std::ops::{AddAssign, Range, RangeInclusive};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::civil::Date;
use rustc_hash::FxBuildHasher;

use super::columns::{Columns, Wanted};
use super::{date_of_number, day_number, file, hour_files};
use crate::calendar::Clock;
use crate::report::{COVERAGE_MIN, History, ReportError, When};

/// Threads that read files, on however few cores: cold files are waited for most of the time. Each has one in memory.
const THREADS: usize = 8;

/// One segment on one day, over the hours that were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SegmentDay {
    pub distance_mm: i64,
    pub time_ms: i64,
    pub delay_ms: i64,
    pub vehicles_min: i32,
    /// Hours with enough of the length driven, and their travel times summed, seconds.
    pub hours: u32,
    pub travel_time_s: f64,
    /// Hours with any row.
    pub seen: u32,
}

/// A segment over the weekdays and hours that were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeekdaySum {
    pub segment: i64,
    pub distance_mm: i64,
    pub time_ms: i64,
    pub delay_ms: i64,
    pub vehicles_min: i64,
    /// Days that the tables were made of.
    pub days_of_table: i64,
}

impl AddAssign for SegmentDay {
    fn add_assign(&mut self, other: Self) {
        self.distance_mm += other.distance_mm;
        self.time_ms += other.time_ms;
        self.delay_ms += other.delay_ms;
        self.vehicles_min = self.vehicles_min.max(other.vehicles_min);
        self.hours += other.hours;
        self.travel_time_s += other.travel_time_s;
        self.seen += other.seen;
    }
}

impl AddAssign for WeekdaySum {
    fn add_assign(&mut self, other: Self) {
        self.distance_mm += other.distance_mm;
        self.time_ms += other.time_ms;
        self.delay_ms += other.delay_ms;
        self.vehicles_min = self.vehicles_min.max(other.vehicles_min);
    }
}

/// All segments of one day, by segment.
pub type OfDay = Vec<(i64, SegmentDay)>;

/// Every segment on every day of a stretch over some hours, by day of `clock`.
///
/// # Errors
/// A table that cannot be read.
pub fn segment_days(history: &History, when: &When, clock: &Clock) -> Result<Vec<(usize, OfDay)>, ReportError> {
    let days = clock.date(0)..=clock.date(clock.days() - 1);
    let paths = hour_files(history, &days);
    let first = day_number(*days.start());
    let of_files = shared(&paths, |path| {
        let Some((day, sums)) = of_day(&Columns::open(path)?, when)? else { return Ok(None) };
        Ok(usize::try_from(i64::from(day) - first).ok().filter(|at| *at < clock.days()).map(|at| (at, sums)))
    })?;
    Ok(of_files.into_iter().flatten().collect())
}

/// The sums of one table of hours, by segment, with its day; `None` of an empty one.
fn of_day(table: &Columns, when: &When) -> Result<Option<(i32, OfDay)>, ReportError> {
    const WANTED: Wanted<4, 4> = Wanted {
        whole: ["segment", "distance_mm", "time_ms", "delay_ms"],
        small: ["day", "hour", "vehicles_min", "length_mm"],
    };
    let is_asked: [bool; 24] = std::array::from_fn(|hour| when.has_hour(hour as u32));
    let (mut found, mut of_table): (OfDay, Option<i32>) = (Vec::new(), None);
    table.each(&WANTED, |[segment, distance, time, delay], [day, hour, vehicles, length]| {
        of_table = of_table.or(day.first().copied());
        for row in 0..segment.len() {
            if !usize::try_from(hour[row]).is_ok_and(|hour| is_asked.get(hour) == Some(&true)) {
                continue;
            }
            if found.last().is_none_or(|(last, _)| *last != segment[row]) {
                found.push((segment[row], SegmentDay::default()));
            }
            let Some((_, sum)) = found.last_mut() else { continue };
            let length_mm = f64::from(length[row]);
            let is_covered = distance[row] as f64 >= length_mm * COVERAGE_MIN;
            // Length / speed: millimetres × milliseconds over millimetres.
            let travel_ms = if is_covered { length_mm * time[row] as f64 / distance[row] as f64 } else { 0.0 };
            *sum += SegmentDay {
                distance_mm: distance[row],
                time_ms: time[row],
                delay_ms: delay[row],
                vehicles_min: vehicles[row],
                hours: u32::from(is_covered),
                travel_time_s: travel_ms,
                seen: 1,
            };
        }
    })?;
    if !found.is_sorted_by(|a, b| a.0 < b.0) {
        found.sort_by_key(|(segment, _)| *segment);
        found.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 += next.1;
            }
            is_same
        });
    }
    found.iter_mut().for_each(|(_, sum)| sum.travel_time_s /= 1_000.0);
    Ok(of_table.map(|day| (day, found)))
}

/// Sums of the tables of weekdays of every month that a stretch touches, a row a segment, in no order.
///
/// # Errors
/// A table that cannot be read.
pub fn weekday_sums(
    history: &History,
    days: &RangeInclusive<Date>,
    when: &When,
) -> Result<Vec<WeekdaySum>, ReportError> {
    let numbers = day_number(*days.start())..=day_number(*days.end());
    let mut paths: Vec<PathBuf> = numbers
        .map(date_of_number)
        .filter(|date| when.weekdays.contains(&(date.weekday().to_monday_one_offset() as u8)))
        .map(|date| file::weekday_path(history, date))
        .collect();
    paths.sort();
    paths.dedup();
    paths.retain(|path| path.exists());
    let of_files = shared(&paths, |path| {
        let table = Columns::open(path)?;
        let days = table.sources()?.len() as i64;
        Ok((days, if when.hours == [(0, 24)] { of_weekday(&table)? } else { of_hours(&table, when)? }))
    })?;
    let days_of_table = of_files.iter().map(|(days, _)| days).sum();
    let mut all: HashMap<i64, WeekdaySum, FxBuildHasher> = HashMap::default();
    for sum in of_files.into_iter().flat_map(|(_, sums)| sums) {
        *all.entry(sum.segment).or_insert(WeekdaySum {
            segment: sum.segment,
            days_of_table,
            ..WeekdaySum::default()
        }) += sum;
    }
    Ok(all.into_values().collect())
}

/// The sums of one table of weekdays; a segment may be in several pieces.
fn of_weekday(table: &Columns) -> Result<Vec<WeekdaySum>, ReportError> {
    const WANTED: Wanted<4, 1> =
        Wanted { whole: ["segment", "distance_mm", "time_ms", "delay_ms"], small: ["vehicles_min"] };
    let mut found: Vec<WeekdaySum> = Vec::new();
    table.each(&WANTED, |[segment, distance, time, delay], [vehicles]| {
        for run in runs(segment) {
            add(&mut found, segment[run.start], &run, [distance, time, delay], vehicles);
        }
    })?;
    Ok(found)
}

/// The same for some hours of the clock.
fn of_hours(table: &Columns, when: &When) -> Result<Vec<WeekdaySum>, ReportError> {
    const WANTED: Wanted<4, 2> =
        Wanted { whole: ["segment", "distance_mm", "time_ms", "delay_ms"], small: ["vehicles_min", "hour"] };
    let mut found: Vec<WeekdaySum> = Vec::new();
    table.each(&WANTED, |[segment, distance, time, delay], [vehicles, hour]| {
        let is_asked = |row: &usize| u32::try_from(hour[*row]).is_ok_and(|hour| when.has_hour(hour));
        for run in runs(segment) {
            for row in run.filter(is_asked) {
                add(&mut found, segment[row], &(row..row + 1), [distance, time, delay], vehicles);
            }
        }
    })?;
    Ok(found)
}

/// Adds rows of one segment to its sum, which is the last one or begins.
fn add(found: &mut Vec<WeekdaySum>, segment: i64, rows: &Range<usize>, sums: [&Vec<i64>; 3], vehicles: &[i32]) {
    let [distance_mm, time_ms, delay_ms] = sums.map(|column| column[rows.clone()].iter().sum());
    let vehicles_min = vehicles[rows.clone()].iter().max().map_or(0, |most| i64::from(*most));
    let sum = WeekdaySum { segment, distance_mm, time_ms, delay_ms, vehicles_min, days_of_table: 0 };
    match found.last_mut().filter(|last| last.segment == segment) {
        Some(last) => *last += sum,
        None => found.push(sum),
    }
}

/// Rows that follow each other and are of one segment.
fn runs(segment: &[i64]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    segment.chunk_by(|a, b| a == b).map(move |run| {
        at += run.len();
        at - run.len()..at
    })
}

/// Does the same for every file, or piece of one, on several threads; the answers are in their order.
pub(super) fn shared<I: Sync, T: Send>(
    pieces: &[I],
    work: impl Fn(&I) -> Result<T, ReportError> + Sync,
) -> Result<Vec<T>, ReportError> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(pieces.len())));
    std::thread::scope(|scope| {
        let turn = || -> Result<(), ReportError> {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(piece) = pieces.get(at) else { return Ok(()) };
                let found = work(piece)?;
                done.lock().map_err(|_| ReportError::Panicked)?.push((at, found));
            }
        };
        let running: Vec<_> = (0..THREADS.min(pieces.len())).map(|_| scope.spawn(turn)).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(ReportError::Panicked)))
    })?;
    let mut done = done.into_inner().map_err(|_| ReportError::Panicked)?;
    done.sort_by_key(|(at, _): &(usize, T)| *at);
    Ok(done.into_iter().map(|(_, found)| found).collect())
}
