//! Rows of the tables of hours, and of months, of some segments: of a path, day after day.
//!
//! Upstream: files of [`super::file`], whose pages are indexed by segment. Downstream: comparisons and rankings of paths, and
//! their typical weeks.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};

use super::sums::shared;
use super::{day_number, file, hour_files};
use crate::archive::ahead::Ahead;
use crate::calendar::Clock;
use crate::report::read::ROWS_MAX;
use crate::report::series::Seen;
use crate::report::{History, ReportError, When, read};

/// Columns of hours that are read: the first of a file.
const COLUMNS: usize = 9;

/// What is read at once of hours: the ids of a path lie all over the city's, so of the pages of a day every second or third is
/// wanted. Of a month's column it is the few pages of one segment.
const HOURS_BYTES: usize = 64 << 10;
const QUARTERS_BYTES: usize = 16 << 10;

/// Segments of a month that one thread reads at a time.
const SEGMENTS: usize = 16;

/// Rows of the tables of hours of some segments, which are sorted; the day is that of `clock`.
///
/// # Errors
/// A table that cannot be read.
pub fn seen_of(history: &History, segments: &[i64], when: &When, clock: &Clock) -> Result<Vec<Seen>, ReportError> {
    let days = clock.date(0)..=clock.date(clock.days() - 1);
    let slot = |hour: usize| when.has_hour(hour as u32).then_some(hour);
    let wanted = Wanted { names: &file::HOURS[..COLUMNS], piece_bytes: HOURS_BYTES, ..Wanted::of(clock, &slot) };
    let of_files = shared(&hour_files(history, &days), |path| wanted.of_file(path, segments))?;
    Ok(of_files.into_iter().flatten().collect())
}

/// The same of tables of months, in slots of a quarter of an hour or several.
///
/// # Errors
/// A table that cannot be read, or too many rows.
pub fn seen_of_months(
    paths: &[PathBuf],
    segments: &[i64],
    slot_minutes: u32,
    clock: &Clock,
) -> Result<Vec<Seen>, ReportError> {
    let quarters = (slot_minutes as usize / 15).max(1);
    let slot = |quarter: usize| Some(quarter / quarters);
    let wanted = Wanted::of(clock, &slot);
    let pieces: Vec<_> = paths.iter().flat_map(|path| segments.chunks(SEGMENTS).map(move |of| (path, of))).collect();
    let of_files = shared(&pieces, |(path, segments)| wanted.of_file(path, segments))?;
    Ok(of_files.into_iter().flatten().collect())
}

/// Which rows of a table are wanted.
struct Wanted<'a> {
    names: &'a [&'a str],
    piece_bytes: usize,
    first_day: i64,
    days: usize,
    /// The slot of a row's hour or quarter; `None` where it is not asked for.
    slot: &'a (dyn Fn(usize) -> Option<usize> + Sync),
}

impl<'a> Wanted<'a> {
    /// Of tables of months.
    fn of(clock: &Clock, slot: &'a (dyn Fn(usize) -> Option<usize> + Sync)) -> Self {
        let (first_day, days) = (day_number(clock.date(0)), clock.days());
        Self { names: &file::QUARTERS_OF_MONTH, piece_bytes: QUARTERS_BYTES, first_day, days, slot }
    }

    /// Rows of some segments, which are sorted.
    fn of_file(&self, path: &Path, segments: &[i64]) -> Result<Vec<Seen>, ReportError> {
        let damaged = |what: String| ReportError::Damaged { path: path.into(), what };
        let failed = |error| ReportError::Io { path: path.into(), error };
        let ahead = Ahead::open_by(path, self.piece_bytes).map_err(failed)?;
        let Some(reader) = read::pruned(path, ahead, self.names, Some(segments))? else { return Ok(Vec::new()) };
        let mut seen = Vec::new();
        for batch in reader {
            let batch = batch.map_err(|e| damaged(e.to_string()))?;
            let is_known = self.take(&batch, segments, &mut seen).is_some();
            if !is_known {
                return Err(damaged("a column is not of its type".to_owned()));
            }
            if seen.len() > ROWS_MAX {
                return Err(ReportError::TooMuch { rows_max: ROWS_MAX });
            }
        }
        Ok(seen)
    }

    /// The rows of a batch that are wanted; `None` where a column has another type.
    fn take(&self, batch: &RecordBatch, segments: &[i64], seen: &mut Vec<Seen>) -> Option<()> {
        let whole = |at: usize| Some(&batch.column(at).as_primitive_opt::<Int64Type>()?.values()[..]);
        let small = |at: usize| Some(&batch.column(at).as_primitive_opt::<Int32Type>()?.values()[..]);
        let (segment, day, slot) = (whole(0)?, small(1)?, small(2)?);
        let (distance, time, delay) = (whole(3)?, whole(4)?, whole(5)?);
        let (vehicles, minutes) = (small(6)?, small(7)?);
        // Hours have one speed, quarters the sum over their minutes.
        let (free, free_minutes) = (small(8), whole(8));
        let mut last = None;
        for row in 0..batch.num_rows() {
            // Rows stand by segment: the answer for the row before is that of most rows.
            let is_wanted = match last {
                Some((of, answer)) if of == segment[row] => answer,
                _ => segments.binary_search(&segment[row]).is_ok(),
            };
            last = Some((segment[row], is_wanted));
            if !is_wanted {
                continue;
            }
            let day = usize::try_from(i64::from(day[row]) - self.first_day).ok().filter(|day| *day < self.days);
            let slot = usize::try_from(slot[row]).ok().and_then(self.slot);
            let (Some(day), Some(slot)) = (day, slot) else { continue };
            let free_flow_mmps_minutes = match (free, free_minutes) {
                (Some(free), _) => i64::from(free[row]) * i64::from(minutes[row]),
                (None, Some(sum)) => sum[row],
                (None, None) => return None,
            };
            seen.push(Seen {
                day,
                slot,
                segment: segment[row],
                distance_mm: distance[row],
                time_ms: time[row],
                delay_ms: delay[row],
                vehicles_min: vehicles[row],
                minutes: minutes[row],
                free_flow_mmps_minutes,
            });
        }
        Some(())
    }
}
