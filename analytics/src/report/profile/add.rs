//! Days put into the tables: those of one weekday and month together, since they are one sum.
//!
//! Upstream: [`super::update`]. Downstream: [`super::file`], [`crate::report::bottlenecks`].
//!
//! Each day is added up of the archive once, whatever tables want it, and the sum of the weekday is written once, last. A
//! crash before that leaves hours and bottlenecks of some days, each file whole; their days are still missing in the sum.

use jiff::civil::Date;

use super::day::DaySums;
use super::{Files, Kept, Made, file, made_of};
use crate::calendar::day_number;
use crate::report::{History, ReportError, bottlenecks};

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// Days of those that were asked for.
    pub(super) made: usize,
    /// Days that were added up of the archive.
    pub(super) summed: usize,
}

/// A day that a table lacks.
struct Missing {
    date: Date,
    source: String,
    kept: Kept,
    is_asked: bool,
}

/// Adds days of one weekday and month to every table that does not have them.
pub(super) fn add(
    history: &History,
    files: &Files,
    days: &[(Date, String)],
    is_stopped: &dyn Fn() -> bool,
) -> Result<Added, ReportError> {
    let mut missing = Vec::new();
    for (date, source) in days {
        // Somebody else may have made it since.
        let kept = Kept::of(history, *date, source)?;
        if !kept.is_all() {
            missing.push(Missing { date: *date, source: source.clone(), kept, is_asked: true });
        }
    }
    let Some(first) = missing.first() else { return Ok(Added::default()) };
    let path = file::weekday_path(history, first.date);
    let mut inside = file::sources(&path)?;
    // A day that is in with other files cannot be taken out of a sum: all that are in are added up again, as the archive has
    // them now.
    let is_anew = missing.iter().any(|day| !day.kept.weekday && inside.contains_key(&day.date.to_string()));
    if is_anew {
        for text in std::mem::take(&mut inside).into_keys() {
            let date = crate::calendar::date(&text)?;
            if let Some(day) = missing.iter_mut().find(|day| day.date == date) {
                day.kept.weekday = false;
            } else if let Made::Over(source) = made_of(history, files, date)? {
                let kept = Kept { weekday: false, ..Kept::of(history, date, &source)? };
                missing.push(Missing { date, source, kept, is_asked: false });
            }
        }
    }
    let (mut added, mut total): (Added, Option<DaySums>) = (Added::default(), None);
    for day in missing.iter().rev() {
        if is_stopped() {
            if is_anew {
                return Ok(Added { made: 0, ..added });
            }
            break;
        }
        let mut sums = DaySums::of(history, day.date)?;
        write_day(history, &mut sums, day)?;
        added.summed += 1;
        added.made += usize::from(day.is_asked);
        if !day.kept.weekday {
            inside.insert(day.date.to_string(), day.source.clone());
            match &mut total {
                Some(total) => total.merge(&sums),
                None => total = Some(sums.without_rows()),
            }
        }
    }
    if let Some(mut total) = total {
        if !is_anew {
            file::read_weekday(&path, &mut total)?;
        }
        file::write_weekday(&path, &total, &inside)?;
    }
    Ok(added)
}

/// The tables that hold one day each.
fn write_day(history: &History, sums: &mut DaySums, day: &Missing) -> Result<(), ReportError> {
    if !day.kept.bottlenecks {
        let path = file::bottleneck_path(history, day.date);
        bottlenecks::write(&path, &sums.bottlenecks(history), &day.source)?;
    }
    if !day.kept.hours {
        let path = file::hours_path(history, day.date);
        let of = [(day.date.to_string(), day.source.clone())].into();
        file::write_hours(&path, sums, day_number(day.date), &of)?;
    }
    Ok(())
}
