//! Rows of the tables of hours of some segments: of a path, day after day.
//!
//! Upstream: files of [`super::file`], whose pages are indexed by segment. Downstream: comparisons and rankings of paths.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};

use super::sums::shared;
use super::{day_number, file, hour_files};
use crate::archive::ahead::Ahead;
use crate::calendar::Clock;
use crate::report::series::Seen;
use crate::report::{History, ReportError, When, read};

/// Columns that are read: the first of a file.
const COLUMNS: usize = 9;

/// Rows of the tables of hours of some segments, which are sorted; the day is that of `clock`.
///
/// # Errors
/// A table that cannot be read.
pub fn seen_of(history: &History, segments: &[i64], when: &When, clock: &Clock) -> Result<Vec<Seen>, ReportError> {
    let days = clock.date(0)..=clock.date(clock.days() - 1);
    let first = day_number(*days.start());
    let of_files = shared(&hour_files(history, &days), |path| of_file(path, segments, when, first))?;
    Ok(of_files.into_iter().flatten().collect())
}

fn of_file(path: &Path, segments: &[i64], when: &When, first_day: i64) -> Result<Vec<Seen>, ReportError> {
    let damaged = |what: String| ReportError::Damaged { path: path.into(), what };
    // The ids of a path lie all over the city's, so of its pages every second or third is wanted.
    let ahead = Ahead::open(path).map_err(|error| ReportError::Io { path: path.into(), error })?;
    let Some(reader) = read::pruned(path, ahead, &file::HOURS[..COLUMNS], Some(segments))? else {
        return Ok(Vec::new());
    };
    let mut seen = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| damaged(e.to_string()))?;
        let rows = seen_in(&batch, segments, when, first_day);
        seen.extend(rows.ok_or_else(|| damaged("a column is not of its type".to_owned()))?);
    }
    Ok(seen)
}

/// The rows of a batch that are wanted; `None` where a column has another type.
fn seen_in(batch: &RecordBatch, segments: &[i64], when: &When, first_day: i64) -> Option<Vec<Seen>> {
    let whole = |at: usize| Some(&batch.column(at).as_primitive_opt::<Int64Type>()?.values()[..]);
    let small = |at: usize| Some(&batch.column(at).as_primitive_opt::<Int32Type>()?.values()[..]);
    let (segment, day, hour) = (whole(0)?, small(1)?, small(2)?);
    let (distance, time, delay) = (whole(3)?, whole(4)?, whole(5)?);
    let (vehicles, minutes, free) = (small(6)?, small(7)?, small(8)?);
    let mut seen = Vec::new();
    let mut last = None;
    for row in 0..batch.num_rows() {
        // Rows stand by segment: the answer for the row before is that of most rows.
        let is_wanted = match last {
            Some((of, answer)) if of == segment[row] => answer,
            _ => segments.binary_search(&segment[row]).is_ok(),
        };
        last = Some((segment[row], is_wanted));
        let (Ok(day), Ok(slot)) = (usize::try_from(i64::from(day[row]) - first_day), u32::try_from(hour[row])) else {
            continue;
        };
        if is_wanted && when.has_hour(slot) {
            seen.push(Seen {
                day,
                slot: slot as usize,
                segment: segment[row],
                distance_mm: distance[row],
                time_ms: time[row],
                delay_ms: delay[row],
                vehicles_min: vehicles[row],
                minutes: minutes[row],
                free_flow_mmps: free[row],
            });
        }
    }
    Some(seen)
}
