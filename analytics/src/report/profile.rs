//! The tables that are kept beside the archive, made of it one local day after the other.
//!
//! Upstream: rows of days that are over. Downstream: zones, the city, rankings, bottlenecks.
//!
//! ```text
//! profile/hours/city=C/date=2026-09-07/part.parquet        one local day: segment × hour
//! profile/weekdays/city=C/month=2026-09/weekday=1/part.parquet   segment × hour, all Mondays of the month
//! profile/bottlenecks/city=C/date=2026-09-07/part.json     where it jammed, see [`super::bottlenecks`]
//! profile/quarters/city=C/month=2026-09/part.parquet       a month that is over: segment × day × quarter, see [`months`]
//! ```
//!
//! The archive stays what is true: all of this can be deleted and is made again. Columns but for `free_flow_mmps`,
//! `length_mm` and the keys add up, so days add up to weekdays and hours to days. Each file says in its metadata which
//! days it holds, made of which files (names and sizes) on which clock; it is written beside and renamed, so the sums and the
//! list of days in them change together. A day that is in is not added again; a day whose files have changed makes its
//! file anew from the archive: adding a day twice changes nothing. A local day is over when every UTC day that it
//! touches is, or when newer days are there.
//!
//! Memory while days are added: twice 1 KiB a segment, and 24 B a row of a day for its bottlenecks.

mod add;
pub mod columns;
pub mod day;
pub mod file;
pub mod keep;
pub mod months;
pub mod seen;
pub mod sums;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use jiff::civil::Date;
use polars::prelude::*;

use super::place::{Place, PlaceKind};
use super::read::{DAY_MS, DayFiles};
use super::series::Series;
use super::{History, ReportError};
use crate::calendar::{Clock, date_of_number, day_number};

/// What an update did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// Days that were made now, and that were there already.
    pub made: usize,
    pub kept: usize,
    /// How often a day was added up of the archive: more than were made where a day took the place of itself.
    pub summed: usize,
}

fn query(error: PolarsError) -> ReportError {
    ReportError::Query(error.to_string())
}

/// Brings the tables up to date for the days of a stretch that are over. Of several that do so at once, in whatever
/// programs, one does the work and the others wait for it.
///
/// # Errors
/// Whatever the archive says, or a file that cannot be written.
pub fn update(history: &History, days: &RangeInclusive<Date>) -> Result<Updated, ReportError> {
    update_until(history, days, &|| false)
}

/// The same, newest days first, until somebody says to stop: the day that has begun is ended.
///
/// # Errors
/// See [`update`].
pub fn update_until(
    history: &History,
    days: &RangeInclusive<Date>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Updated, ReportError> {
    let files = history.archive.days()?;
    let over = over(history, &files, days)?;
    let mut updated = Updated { kept: over.len(), ..Updated::default() };
    // Days of one weekday and month are one sum: they are added up together, so that it is written once.
    let mut missing: BTreeMap<PathBuf, Vec<(Date, String)>> = BTreeMap::new();
    let kept = sums::shared(&over, |(date, source)| Kept::of(history, *date, source))?;
    for ((date, source), kept) in over.into_iter().zip(kept) {
        if !kept.is_all() {
            missing.entry(file::weekday_path(history, date)).or_default().push((date, source));
        }
    }
    let mut missing: Vec<_> = missing.into_values().collect();
    missing.sort_by_key(|days| Reverse(days.last().map(|(date, _)| *date)));
    for days in missing {
        if is_stopped() {
            break;
        }
        let _alone = file::lock(history)?;
        let added = add::add(history, &files, &days, is_stopped)?;
        updated.made += added.made;
        updated.kept -= added.made;
        updated.summed += added.summed;
    }
    Ok(updated)
}

/// Files of an archive by UTC day.
type Files = BTreeMap<i64, DayFiles>;

/// The days of a stretch that are over, each with what it is made of.
fn over(history: &History, files: &Files, days: &RangeInclusive<Date>) -> Result<Vec<(Date, String)>, ReportError> {
    let mut over = Vec::new();
    for date in held(files, days).into_iter().flatten().map(date_of_number) {
        if let Made::Over(source) = made_of(history, files, date)? {
            over.push((date, source));
        }
    }
    Ok(over)
}

/// The days of a stretch that the archive may have something of, since 1970; `None` where it is empty.
fn held(files: &Files, days: &RangeInclusive<Date>) -> Option<RangeInclusive<i64>> {
    let ((&first, _), (&newest, _)) = files.first_key_value().zip(files.last_key_value())?;
    // A local day touches the UTC days around it.
    Some(day_number(*days.start()).max(first - 1)..=day_number(*days.end()).min(newest + 1))
}

/// What there is of a local day.
enum Made {
    Nothing,
    /// It may become more.
    Open,
    /// What it is made of.
    Over(String),
}

fn made_of(history: &History, files: &Files, date: Date) -> Result<Made, ReportError> {
    let span = history.clock(&(date..=date))?.span_ms();
    let touched = span.start.div_euclid(DAY_MS)..=(span.end - 1).div_euclid(DAY_MS);
    let newest = files.last_key_value().map_or(i64::MIN, |(newest, _)| *newest);
    let of_day: Vec<_> = files.range(touched).collect();
    if of_day.is_empty() {
        return Ok(Made::Nothing);
    }
    if !of_day.iter().all(|(utc, f)| f.is_over || **utc < newest) {
        return Ok(Made::Open);
    }
    let paths: Vec<PathBuf> = of_day.iter().flat_map(|(_, f)| f.paths.clone()).collect();
    Ok(Made::Over(file::source(&paths, history.calendar.zone_name())))
}

/// Which tables have a day, made of what it is made of now.
#[derive(Clone, Copy)]
struct Kept {
    hours: bool,
    weekday: bool,
    bottlenecks: bool,
}

impl Kept {
    fn of(history: &History, date: Date, source: &str) -> Result<Self, ReportError> {
        let text = date.to_string();
        let has = |path: PathBuf| Ok::<_, ReportError>(file::sources(&path)?.get(&text).is_some_and(|s| s == source));
        let jams = super::bottlenecks::source_of(&file::bottleneck_path(history, date));
        Ok(Self {
            hours: has(file::hours_path(history, date))?,
            weekday: has(file::weekday_path(history, date))?,
            bottlenecks: jams.is_some_and(|s| s == source),
        })
    }

    fn is_all(self) -> bool {
        self.hours && self.weekday && self.bottlenecks
    }
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

fn ints(frame: &DataFrame, name: &str) -> Result<Vec<i32>, ReportError> {
    Ok(frame.column(name).map_err(query)?.i32().map_err(query)?.into_no_null_iter().collect())
}

fn longs(frame: &DataFrame, name: &str) -> Result<Vec<i64>, ReportError> {
    Ok(frame.column(name).map_err(query)?.i64().map_err(query)?.into_no_null_iter().collect())
}
