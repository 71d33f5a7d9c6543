//! Months that are over, by segment, day and quarter of an hour: the history of a path lies together there.
//!
//! Upstream: cells of the archive. Downstream: [`crate::report::series`], by [`super::seen`].
//!
//! The cells lie day by day, so ninety days of one segment are ninety files, each with a footer, an index of pages and nine
//! columns to be found: two thousand reads, and that is where the time goes. A month's table is one file with the same
//! sums a quarter, so the answers are the same to the bit. It is made once the month is over, in the background or by
//! `arterial report update`: a question never waits for it but reads the cells of days that have no table, as it does
//! of the month that is not over.
//!
//! A month whose files have changed is not read any more and is made again. What the archive lets go of, its tables let
//! go of: a table without a day in the archive is removed, so they are bounded by what the archive keeps.
//!
//! Memory while a month is made: 60 B a row of [`PIECE`] segments and 60 B a row of the table, some 100 MiB; it is done by
//! one thread, since nobody waits.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array};
use jiff::civil::Date;

use super::file::{self, Sources};
use super::{Files, Made, held, made_of};
use crate::archive::cells::Cells;
use crate::calendar::{Clock, date_of_number, day_number};
use crate::report::place::signed;
use crate::report::read::{DAY_MS, rows_of};
use crate::report::{History, ReportError};

/// Quarters of an hour of a wall clock's day.
const QUARTERS: usize = 96;

/// Segments whose rows are in memory at a time.
const PIECE: usize = 128;

/// The tables of a stretch that may be read, and its days that are in them.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub paths: Vec<PathBuf>,
    days: Vec<Range<usize>>,
}

impl Kept {
    /// The days of the stretch that are in no table, as few runs as there can be.
    pub fn others(&self, clock: &Clock) -> Vec<Range<usize>> {
        let (mut others, mut from) = (Vec::new(), 0);
        for days in &self.days {
            others.push(from..days.start);
            from = days.end;
        }
        others.push(from..clock.days());
        others.retain(|days| !days.is_empty());
        others
    }
}

/// The tables of a stretch that were made of what there is now.
///
/// # Errors
/// An archive or a table that cannot be read.
pub fn kept(history: &History, clock: &Clock) -> Result<Kept, ReportError> {
    let mut kept = Kept::default();
    let mut files = None;
    let stretch = clock.date(0)..=clock.date(clock.days() - 1);
    for first in months(&stretch) {
        let path = file::quarters_path(history, first);
        let inside = file::sources(&path)?;
        if inside.is_empty() {
            continue;
        }
        let files = match &mut files {
            Some(files) => files,
            none => none.insert(history.archive.days()?),
        };
        if month_of(history, files, first)?.is_some_and(|now| now == inside) {
            let days = days_of(first);
            let day = |number: i64| usize::try_from(number - day_number(*stretch.start())).unwrap_or(0);
            kept.paths.push(path);
            kept.days.push(day(*days.start())..day(*days.end() + 1).min(clock.days()));
        }
    }
    Ok(kept)
}

/// Makes the tables of the months of a stretch that are over and have none, newest first, until somebody says to stop;
/// removes those that the archive has nothing of any more. How many were made.
///
/// # Errors
/// Whatever the archive says, or a file that cannot be written.
pub fn update(
    history: &History,
    stretch: &RangeInclusive<Date>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<usize, ReportError> {
    let files = history.archive.days()?;
    remove_gone(history, &files)?;
    let Some(days) = held(&files, stretch) else { return Ok(0) };
    let stretch = date_of_number(*days.start())..=date_of_number(*days.end());
    let mut made = 0;
    for first in months(&stretch).into_iter().rev() {
        let Some(now) = month_of(history, &files, first)? else { continue };
        let path = file::quarters_path(history, first);
        if file::sources(&path)? == now {
            continue;
        }
        let _alone = file::lock(history)?;
        // Somebody else may have made it since.
        if file::sources(&path)? != now {
            match make(history, first, &now, is_stopped) {
                Ok(()) => made += 1,
                Err(ReportError::Stopped) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(made)
}

/// The first days of the months of a stretch.
fn months(stretch: &RangeInclusive<Date>) -> Vec<Date> {
    let numbers = day_number(*stretch.start())..=day_number(*stretch.end());
    let firsts: BTreeSet<Date> = numbers.map(|day| date_of_number(day).first_of_month()).collect();
    firsts.into_iter().collect()
}

/// Days of the month that begins with a date, since 1970.
fn days_of(first: Date) -> RangeInclusive<i64> {
    day_number(first)..=day_number(first.last_of_month())
}

/// What each day of a month is made of; `None` while the month is not over, and where the archive has nothing of it.
fn month_of(history: &History, files: &Files, first: Date) -> Result<Option<Sources>, ReportError> {
    let mut days = Sources::new();
    for date in days_of(first).map(date_of_number) {
        match made_of(history, files, date)? {
            Made::Over(source) => drop(days.insert(date.to_string(), source)),
            Made::Nothing => {}
            Made::Open => return Ok(None),
        }
    }
    let last = first.last_of_month();
    let last_utc = (history.clock(&(last..=last))?.span_ms().end - 1).div_euclid(DAY_MS);
    let is_over = files.last_key_value().is_some_and(|(newest, _)| *newest >= last_utc);
    Ok((is_over && !days.is_empty()).then_some(days))
}

/// Removes the tables of months that the archive has nothing of.
fn remove_gone(history: &History, files: &Files) -> Result<(), ReportError> {
    let folder = file::quarters_folder(history);
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let Some(month) = name.strip_prefix("month=") else { continue };
        let Ok(first) = crate::calendar::date(&format!("{month}-01")) else { continue };
        // A local day reaches into the UTC days around it.
        let days = days_of(first);
        if files.range(days.start() - 1..=days.end() + 1).next().is_none() {
            let failed = |error| ReportError::Write { path: entry.path(), error };
            fs::remove_dir_all(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

/// Sums of one segment in a quarter of an hour of a day.
#[derive(Clone, Copy, Default)]
struct Quarter {
    distance_mm: i64,
    time_ms: i64,
    delay_ms: i64,
    free_flow_mmps_minutes: i64,
    vehicles_min: i32,
    minutes: i32,
    is_seen: bool,
}

/// Makes a month's table, some segments at a time.
fn make(history: &History, first: Date, now: &Sources, is_stopped: &dyn Fn() -> bool) -> Result<(), ReportError> {
    let network = &history.network;
    let mut segments: Vec<i64> = network.indices().map(|at| signed(network.segment(at).id)).collect();
    segments.sort_unstable();
    let clock = history.clock(&(first..=first.last_of_month()))?;
    let files = history.archive.files(&clock.span_ms())?;
    let pieces = segments.chunks(PIECE).map(|piece| {
        if is_stopped() {
            return Err(ReportError::Stopped);
        }
        Ok(columns(piece, &rows_of(&files, piece, &clock.span_ms(), 1)?, &clock))
    });
    file::write_quarters(&file::quarters_path(history, first), pieces, now)
}

/// The columns of some segments' rows.
fn columns(segments: &[i64], cells: &Cells, clock: &Clock) -> Vec<ArrayRef> {
    let a_segment = clock.days() * QUARTERS;
    let mut sums = vec![Quarter::default(); segments.len() * a_segment];
    let numbers: BTreeMap<i64, usize> = segments.iter().copied().zip(0..).collect();
    let mut last = None;
    for row in 0..cells.len() {
        let segment = cells.segment[row];
        // Rows stand by segment: that of the row before is that of most rows.
        let at = match last {
            Some((of, at)) if of == segment => at,
            _ => numbers.get(&segment).copied(),
        };
        last = Some((segment, at));
        let (Some(at), Some(local)) = (at, clock.at(cells.start_ms[row])) else { continue };
        let sum = &mut sums[at * a_segment + local.day * QUARTERS + local.minute as usize / 15];
        sum.distance_mm += cells.distance_mm[row];
        sum.time_ms += cells.time_ms[row];
        sum.delay_ms += cells.delay_ms[row];
        sum.free_flow_mmps_minutes += i64::from(cells.minutes[row]) * i64::from(cells.free_flow_mmps[row]);
        sum.vehicles_min = sum.vehicles_min.max(cells.vehicles_min(row));
        sum.minutes += cells.minutes[row];
        sum.is_seen = true;
    }
    let rows: Vec<usize> = (0..sums.len()).filter(|&row| sums[row].is_seen).collect();
    let whole = |of: &dyn Fn(usize) -> i64| Arc::new(rows.iter().map(|&r| of(r)).collect::<Int64Array>()) as ArrayRef;
    let small = |of: &dyn Fn(usize) -> i32| Arc::new(rows.iter().map(|&r| of(r)).collect::<Int32Array>()) as ArrayRef;
    let first_day = day_number(clock.date(0)) as i32;
    vec![
        whole(&|row| segments[row / a_segment]),
        small(&|row| first_day + (row % a_segment / QUARTERS) as i32),
        small(&|row| (row % QUARTERS) as i32),
        whole(&|row| sums[row].distance_mm),
        whole(&|row| sums[row].time_ms),
        whole(&|row| sums[row].delay_ms),
        small(&|row| sums[row].vehicles_min),
        small(&|row| sums[row].minutes),
        whole(&|row| sums[row].free_flow_mmps_minutes),
    ]
}
