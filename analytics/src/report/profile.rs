//! The tables that are kept beside the archive, made of it one local day after the other.
//!
//! Upstream: rows of days that are over. Downstream: zones, the city, rankings, bottlenecks.
//!
//! ```text
//! profile/hours/city=C/date=2026-09-07/part.parquet        one local day by hour, then segment
//! profile/weekdays/city=C/month=2026-09/weekday=1/part.parquet   segment × quarter of an hour, all Mondays of the month
//! profile/bottlenecks/city=C/date=2026-09-07/part.json     where it jammed, see [`super::bottlenecks`]
//! ```
//!
//! The archive stays what is true: all of this can be deleted and is made again. Columns but for `free_flow_mmps`,
//! `length_mm` and the keys add up, so days add up to weekdays and hours to days. Each file says in its metadata which
//! days it holds, made of which files (names and sizes) on which clock; it is written beside and renamed, so the sums and the
//! list of days in them change together. A day that is in is not added again; a day whose files have changed makes its
//! file anew from the archive: adding a day twice changes nothing. A local day is over when every UTC day that it
//! touches is, or when newer days are there.
//!
//! Memory while a day is added: 4 KiB a segment, and 24 B a row of the day for its bottlenecks.

pub mod day;
pub mod file;

use std::ops::RangeInclusive;
use std::path::PathBuf;

use jiff::civil::Date;
use polars::prelude::*;

use super::place::{Place, PlaceKind};
use super::series::{Seen, Series};
use super::{History, ReportError, When};
use crate::calendar::{Clock, date_of_number, day_number};
use day::DaySums;

/// What an update did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// Days that were made now, and that were there already.
    pub made: usize,
    pub kept: usize,
}

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

fn query(error: PolarsError) -> ReportError {
    ReportError::Query(error.to_string())
}

/// Brings the tables up to date for the days of a stretch that are over.
///
/// # Errors
/// Whatever the archive says, or a file that cannot be written.
pub fn update(history: &History, days: &RangeInclusive<Date>) -> Result<Updated, ReportError> {
    let files = history.archive.days()?;
    let (Some((&first, _)), Some((&newest, _))) = (files.first_key_value(), files.last_key_value()) else {
        return Ok(Updated::default());
    };
    // A local day touches the UTC days around it.
    let from = day_number(*days.start()).max(first - 1);
    let to = day_number(*days.end()).min(newest + 1);
    let mut updated = Updated::default();
    for number in from..=to {
        let date = date_of_number(number);
        let clock = history.clock(&(date..=date))?;
        let span = clock.span_ms();
        let touched = span.start.div_euclid(86_400_000)..=(span.end - 1).div_euclid(86_400_000);
        let of_day: Vec<_> = files.range(touched).collect();
        let is_over = of_day.iter().all(|(utc, f)| f.is_over || **utc < newest);
        if of_day.is_empty() || !is_over {
            continue;
        }
        let paths: Vec<PathBuf> = of_day.iter().flat_map(|(_, f)| f.paths.clone()).collect();
        let source = file::source(&paths, history.calendar.zone_name());
        if add(history, date, &source)? {
            updated.made += 1;
        } else {
            updated.kept += 1;
        }
    }
    Ok(updated)
}

/// Adds a day to every table that does not have it; whether there was something to do.
fn add(history: &History, date: Date, source: &str) -> Result<bool, ReportError> {
    let hours = file::hours_path(history, date);
    let weekdays = file::weekday_path(history, date);
    let jams = file::bottleneck_path(history, date);
    let date_text = date.to_string();
    let has_hours = file::sources(&hours)?.get(&date_text).is_some_and(|s| s == source);
    let mut of_weekday = file::sources(&weekdays)?;
    let has_weekday = of_weekday.get(&date_text).is_some_and(|s| s == source);
    let has_jams = super::bottlenecks::source_of(&jams).is_some_and(|s| s == source);
    if has_hours && has_weekday && has_jams {
        return Ok(false);
    }
    let mut sums = DaySums::of(history, date)?;
    if !has_jams {
        super::bottlenecks::write(&jams, &sums.bottlenecks(history), source)?;
    }
    if !has_hours {
        file::write_hours(&hours, &sums, day_number(date), &[(date_text.clone(), source.to_owned())].into())?;
    }
    if !has_weekday {
        // A day that is in with other files cannot be taken out of a sum: its month is added up again.
        if of_weekday.remove(&date_text).is_some() {
            for other in of_weekday.keys() {
                let other = crate::calendar::date(other)?;
                sums.merge(&DaySums::of(history, other)?);
            }
        } else {
            file::read_weekday(&weekdays, &mut sums)?;
        }
        of_weekday.insert(date_text, source.to_owned());
        file::write_weekday(&weekdays, &sums, &of_weekday)?;
    }
    Ok(true)
}

/// Whether a day has its table of hours.
pub(super) fn has_hours(history: &History, date: Date) -> bool {
    file::hours_path(history, date).exists()
}

/// The tables of hours that there are of a stretch.
fn hour_files(history: &History, days: &RangeInclusive<Date>) -> Vec<PathBuf> {
    let numbers = day_number(*days.start())..=day_number(*days.end());
    numbers.map(|n| file::hours_path(history, date_of_number(n))).filter(|path| path.exists()).collect()
}

fn scan(paths: &[PathBuf]) -> Result<LazyFrame, ReportError> {
    let paths: Vec<PlRefPath> = paths.iter().filter_map(|p| PlRefPath::try_from_path(p).ok()).collect();
    let args = ScanArgsParquet { hive_options: HiveOptions::new_disabled(), glob: false, ..ScanArgsParquet::default() };
    LazyFrame::scan_parquet_files(paths.into(), args).map_err(query)
}

/// Whether a row is of one of these segments; without a list, of any.
fn of_segments(frame: LazyFrame, segments: Option<&[i64]>) -> Result<LazyFrame, ReportError> {
    let Some(segments) = segments else { return Ok(frame) };
    let wanted = Column::new("wanted".into(), segments).take_materialized_series().implode().map_err(query)?;
    Ok(frame.filter(col("segment").is_in(lit(wanted.into_series()), false)))
}

fn in_hours(when: &When) -> Expr {
    let ranges = when
        .hours
        .iter()
        .map(|(from, to)| col("hour").gt_eq(lit(i32::from(*from))).and(col("hour").lt(lit(i32::from(*to)))));
    ranges.reduce(Expr::or).unwrap_or(lit(false))
}

/// An area's history in slots of an hour, from the tables of hours.
pub(super) fn hours_of(history: &History, place: &Place, clock: Clock) -> Result<Series, ReportError> {
    let days = clock.date(0)..=clock.date(clock.days() - 1);
    update(history, &days)?;
    let paths = hour_files(history, &days);
    let mut series = Series::empty(clock, 60);
    if paths.is_empty() {
        return Ok(series);
    }
    let segments = place.segments();
    let wanted = (place.kind != PlaceKind::City).then_some(&segments[..]);
    let driven = when(col("distance_mm").lt(col("length_mm").cast(DataType::Int64)))
        .then(col("distance_mm"))
        .otherwise(col("length_mm").cast(DataType::Int64));
    let sums = ["distance_mm", "time_ms", "delay_ms"].map(|name| col(name).sum());
    let found = of_segments(scan(&paths)?, wanted)?
        .group_by([col("day"), col("hour")])
        .agg(sums.into_iter().chain([driven.sum().alias("driven_mm"), col("vehicles_min").max()]).collect::<Vec<_>>())
        .collect()
        .map_err(query)?;
    let first = day_number(*days.start());
    let (day, hour) = (ints(&found, "day")?, ints(&found, "hour")?);
    let vehicles = ints(&found, "vehicles_min")?;
    let [distance, time, delay, driven] = ["distance_mm", "time_ms", "delay_ms", "driven_mm"].map(|n| longs(&found, n));
    let (distance, time, delay, driven) = (distance?, time?, delay?, driven?);
    for row in 0..day.len() {
        let Ok(at) = usize::try_from(i64::from(day[row]) - first) else { continue };
        let slot = series.slot_mut(at, hour[row] as usize);
        slot.distance_mm = distance[row];
        slot.time_ms = time[row];
        slot.delay_ms = delay[row];
        slot.driven_m = driven[row] as f64 / 1_000.0;
        slot.vehicles_min = i64::from(vehicles[row]);
    }
    Ok(series)
}

/// Rows of the tables of hours of some segments, for paths; the day is that of `clock`.
pub(super) fn seen_of(
    history: &History,
    segments: &[i64],
    when: &When,
    clock: &Clock,
) -> Result<Vec<Seen>, ReportError> {
    let days = clock.date(0)..=clock.date(clock.days() - 1);
    let paths = hour_files(history, &days);
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let found = of_segments(scan(&paths)?.filter(in_hours(when)), Some(segments))?.collect().map_err(query)?;
    let first = day_number(*days.start());
    let [day, hour, vehicles, minutes, free] =
        ["day", "hour", "vehicles_min", "minutes", "free_flow_mmps"].map(|n| ints(&found, n));
    let (day, hour, vehicles, minutes, free) = (day?, hour?, vehicles?, minutes?, free?);
    let [segment, distance, time, delay] = ["segment", "distance_mm", "time_ms", "delay_ms"].map(|n| longs(&found, n));
    let (segment, distance, time, delay) = (segment?, distance?, time?, delay?);
    let seen = (0..day.len()).filter_map(|row| {
        Some(Seen {
            day: usize::try_from(i64::from(day[row]) - first).ok()?,
            slot: hour[row] as usize,
            segment: segment[row],
            distance_mm: distance[row],
            time_ms: time[row],
            delay_ms: delay[row],
            vehicles_min: vehicles[row],
            minutes: minutes[row],
            free_flow_mmps: free[row],
        })
    });
    Ok(seen.collect())
}

/// Every segment on every day of a stretch over some hours: rows of (segment, day of `clock`, sums), in no order.
pub(super) fn segment_days(
    history: &History,
    when: &When,
    clock: &Clock,
) -> Result<Vec<(i64, usize, SegmentDay)>, ReportError> {
    let days = clock.date(0)..=clock.date(clock.days() - 1);
    let paths = hour_files(history, &days);
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let length = || col("length_mm").cast(DataType::Float64);
    let is_covered = col("distance_mm").cast(DataType::Float64).gt_eq(length() * lit(super::COVERAGE_MIN));
    // length / speed, s: millimetres × milliseconds over millimetres.
    let travel = length() * col("time_ms").cast(DataType::Float64) / col("distance_mm").cast(DataType::Float64);
    let found = scan(&paths)?
        .filter(in_hours(when))
        .with_columns([
            polars::prelude::when(is_covered.clone()).then(travel).otherwise(lit(0.0)).alias("travel_ms"),
            polars::prelude::when(is_covered).then(lit(1_i32)).otherwise(lit(0_i32)).alias("is_covered"),
        ])
        .group_by([col("segment"), col("day")])
        .agg([
            col("distance_mm").sum(),
            col("time_ms").sum(),
            col("delay_ms").sum(),
            col("vehicles_min").max(),
            col("is_covered").sum(),
            col("travel_ms").sum(),
            col("hour").count().cast(DataType::Int32).alias("seen"),
        ])
        .collect()
        .map_err(query)?;
    let first = day_number(*days.start());
    let [day, vehicles, hours, seen] = ["day", "vehicles_min", "is_covered", "seen"].map(|n| ints(&found, n));
    let (day, vehicles, hours, seen) = (day?, vehicles?, hours?, seen?);
    let [segment, distance, time, delay] = ["segment", "distance_mm", "time_ms", "delay_ms"].map(|n| longs(&found, n));
    let (segment, distance, time, delay) = (segment?, distance?, time?, delay?);
    let travel: Vec<f64> =
        found.column("travel_ms").map_err(query)?.f64().map_err(query)?.into_no_null_iter().collect();
    let rows = (0..day.len()).filter_map(|row| {
        let sums = SegmentDay {
            distance_mm: distance[row],
            time_ms: time[row],
            delay_ms: delay[row],
            vehicles_min: vehicles[row],
            hours: hours[row].unsigned_abs(),
            travel_time_s: travel[row] / 1_000.0,
            seen: seen[row].unsigned_abs(),
        };
        Some((segment[row], usize::try_from(i64::from(day[row]) - first).ok()?, sums))
    });
    Ok(rows.collect())
}

/// The days of the archive, as `/api/v1/history` answers: UTC days, since that is what files are cut by. The share that
/// was covered is that of segments and hours with a row, of days that have their table.
///
/// # Errors
/// Whatever the archive says.
pub fn days_json(history: &History) -> Result<serde_json::Value, ReportError> {
    let days = history.archive.days()?;
    let cells = history.network.segments().len() as f64 * 24.0;
    let mut told = Vec::with_capacity(days.len());
    for (&day, files) in &days {
        let mut rows = 0;
        for path in &files.paths {
            rows += file::rows(path)?;
        }
        let hours = file::hours_path(history, date_of_number(day));
        let covered = if hours.exists() { Some(super::rounded(file::rows(&hours)? as f64 / cells, 3)) } else { None };
        told.push(serde_json::json!({
            "date": date_of_number(day).to_string(),
            "rows": rows,
            "complete": files.is_over,
            "covered_share": covered,
        }));
    }
    let ends = days.first_key_value().zip(days.last_key_value());
    Ok(serde_json::json!({
        "zone": history.calendar.zone_name(),
        "city": history.archive.city(),
        "from": ends.map(|((first, _), _)| date_of_number(*first).to_string()),
        "to": ends.map(|(_, (last, _))| date_of_number(*last).to_string()),
        "days": told,
    }))
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

/// Sums of the tables of weekdays of every month that a stretch touches, a row a segment.
pub(super) fn weekday_sums(
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
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let mut days_of_table = 0;
    for path in &paths {
        days_of_table += file::sources(path)?.len() as i64;
    }
    let quarters = when.hours.iter().map(|(from, to)| {
        col("quarter").gt_eq(lit(i32::from(*from) * 4)).and(col("quarter").lt(lit(i32::from(*to) * 4)))
    });
    let scan = scan(&paths)?;
    // Without a choice of hours the column is not read.
    let chosen =
        if when.hours == [(0, 24)] { scan } else { scan.filter(quarters.reduce(Expr::or).unwrap_or(lit(false))) };
    let sums = ["distance_mm", "time_ms", "delay_ms"].map(|name| col(name).sum());
    let vehicles = col("vehicles_min").max().cast(DataType::Int64);
    let found = chosen
        .group_by([col("segment")])
        .agg(sums.into_iter().chain([vehicles]).collect::<Vec<_>>())
        .collect()
        .map_err(query)?;
    let [segment, distance, time, delay, vehicles] =
        ["segment", "distance_mm", "time_ms", "delay_ms", "vehicles_min"].map(|n| longs(&found, n));
    let (segment, distance, time, delay, vehicles) = (segment?, distance?, time?, delay?, vehicles?);
    let row = |row: usize| WeekdaySum {
        segment: segment[row],
        distance_mm: distance[row],
        time_ms: time[row],
        delay_ms: delay[row],
        vehicles_min: vehicles[row],
        days_of_table,
    };
    Ok((0..segment.len()).map(row).collect())
}

fn ints(frame: &DataFrame, name: &str) -> Result<Vec<i32>, ReportError> {
    Ok(frame.column(name).map_err(query)?.i32().map_err(query)?.into_no_null_iter().collect())
}

fn longs(frame: &DataFrame, name: &str) -> Result<Vec<i64>, ReportError> {
    Ok(frame.column(name).map_err(query)?.i64().map_err(query)?.into_no_null_iter().collect())
}
