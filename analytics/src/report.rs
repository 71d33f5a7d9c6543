//! History as answers: what is normal, what got worse, did a change help, how reliable, where it jams, how good the data.
//!
//! Upstream: [`crate::archive`]'s files, [`crate::calendar`], the network and its areas. Downstream: `arterial report`
//! and [`crate::http`]'s `/api/v1/history`. In reading order:
//!
//! - [`place`]: what a report is about: a segment, a corridor, a zone, the city
//! - [`read`]: which files and pages hold it
//! - [`series`]: rows → sums and travel times by local day and slot of the clock
//! - [`profile`]: the tables that are kept beside the archive, by day, by weekday, by month
//! - [`statistics`]: a change between two groups of days, with its interval
//! - [`typical`], [`compare`], [`ranking`], [`reliability`], [`bottlenecks`], [`quality`]: the reports
//! - [`told`], [`table`], [`plot`], [`notes`], [`page`], [`words`]: how they are told
//! - [`made`]: an archive that is made up, for tests and benchmarks
//!
//! Rules of all of them. Days are days of the city's clock. Averages are never averaged: sums are added, ratios come
//! last; only bands over days (p10, p50, p90) look at one figure a day. A corridor's travel time is given where at least
//! [`COVERAGE_MIN`] of its length was driven; what is imputed is marked. Nothing is told of fewer than [`K_EXPORT`]
//! vehicles. Sums are of the vehicles that reported: they are not scaled.

pub mod bottlenecks;
pub mod compare;
pub mod made;
pub mod notes;
pub mod page;
pub mod place;
pub mod plot;
pub mod profile;
pub mod quality;
pub mod ranking;
pub mod read;
pub mod reliability;
pub mod series;
pub mod statistics;
pub mod table;
pub mod told;
pub mod typical;
pub mod words;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::Date;
use roads::Network;

use crate::archive::ArchiveError;
use crate::area::Areas;
use crate::calendar::{Calendar, CalendarError, Clock};
pub use crate::metric::area::COVERAGE_MIN;
use place::Place;
use read::Archive;

/// Fewest vehicles that anything is told of: a group is counted by pseudonyms, which change daily, and by what is certain
/// (the most that one row of cells holds on a day, summed over days), so that it is never counted too large.
pub const K_EXPORT: i64 = 10;

/// Why there is no report; each is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(
        "there is no history in {}: `arterial analytics` writes it as minutes close, `arterial analyze --archive` from a recording",
        root.display()
    )]
    NoArchive { root: PathBuf },
    #[error("{} holds these cities: {cities}; name one of them", root.display())]
    City { root: PathBuf, cities: String },
    #[error("there is no history of {what} from {from} to {to}; GET /api/v1/history says which days there are")]
    NoData { what: String, from: Date, to: Date },
    #[error("{} cannot be read: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{0}")]
    Archive(#[from] ArchiveError),
    #[error("{} cannot be written: {error}", path.display())]
    Write { path: PathBuf, error: std::io::Error },
    #[error("{} is not what history wants: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("more than {rows_max} rows would have to be read: ask for fewer days or a smaller place")]
    TooMuch { rows_max: usize },
    #[error("a thread that read the archive ended early")]
    Panicked,
    #[error("making a table was stopped")]
    Stopped,
    #[error("{0}")]
    Calendar(#[from] CalendarError),
    #[error("there is no {kind} `{name}` on this network{near}")]
    Place { kind: &'static str, name: String, near: String },
    #[error("`{0}`: hours are given as 6-10 or 6-10,16-20, from 0 to 24")]
    Hours(String),
    #[error("`{0}`: weekdays are given as 1,2,3,4,5 with 1 for Monday")]
    Weekdays(String),
    #[error("the history tables could not be asked: {0}")]
    Query(String),
}

/// Everything that a report is made from.
#[derive(Clone)]
pub struct History {
    pub archive: Archive,
    pub network: Arc<Network>,
    pub areas: Arc<Areas>,
    pub calendar: Arc<Calendar>,
}

/// Which days and hours a report looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// 1 is Monday.
    pub weekdays: Vec<u8>,
    /// Hours of the wall clock, first and the one behind the last; in order, apart from each other.
    pub hours: Vec<(u8, u8)>,
    /// Days that are left out.
    pub without: Vec<RangeInclusive<Date>>,
    /// Whether holidays of the calendar stay in.
    pub with_holidays: bool,
}

impl Default for When {
    fn default() -> Self {
        Self { weekdays: (1..=7).collect(), hours: vec![(0, 24)], without: Vec::new(), with_holidays: false }
    }
}

impl When {
    /// Whether a day is looked at.
    pub fn has_day(&self, date: Date, calendar: &Calendar) -> bool {
        let weekday = date.weekday().to_monday_one_offset() as u8;
        self.weekdays.contains(&weekday)
            && !self.without.iter().any(|days| days.contains(&date))
            && (self.with_holidays || !calendar.is_holiday(date))
    }

    /// Whether an hour of the wall clock is looked at.
    pub fn has_hour(&self, hour: u32) -> bool {
        self.hours.iter().any(|(from, to)| (u32::from(*from)..u32::from(*to)).contains(&hour))
    }

    /// The days of a stretch that are looked at.
    pub fn days(&self, clock: &Clock, calendar: &Calendar) -> Vec<usize> {
        (0..clock.days()).filter(|&day| self.has_day(clock.date(day), calendar)).collect()
    }
}

/// Reads `6-10,16-20`.
///
/// # Errors
/// Anything else.
pub fn hours(text: &str) -> Result<Vec<(u8, u8)>, ReportError> {
    let wrong = || ReportError::Hours(text.to_owned());
    let mut hours = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.trim().split_once('-').ok_or_else(wrong)?;
        let (from, to): (u8, u8) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
        if from >= to || to > 24 || hours.last().is_some_and(|(_, end)| *end > from) {
            return Err(wrong());
        }
        hours.push((from, to));
    }
    Ok(hours)
}

/// Reads `1,2,3,4,5`.
///
/// # Errors
/// Anything else.
pub fn weekdays(text: &str) -> Result<Vec<u8>, ReportError> {
    let read = text.split(',').map(|day| day.trim().parse::<u8>().ok().filter(|d| (1..=7).contains(d)));
    read.collect::<Option<Vec<u8>>>().ok_or_else(|| ReportError::Weekdays(text.to_owned()))
}

impl History {
    /// The local clock of a stretch of days.
    ///
    /// # Errors
    /// A stretch that is too long or backwards.
    pub fn clock(&self, days: &RangeInclusive<Date>) -> Result<Clock, ReportError> {
        Ok(self.calendar.clock(*days.start(), *days.end())?)
    }

    /// The last days of the archive.
    ///
    /// # Errors
    /// An archive without a day.
    pub fn last_days(&self, days: i64) -> Result<RangeInclusive<Date>, ReportError> {
        let files = self.archive.days()?;
        let Some((&newest, _)) = files.last_key_value() else {
            return Err(ReportError::NoArchive { root: self.archive.root().into() });
        };
        let last = self.calendar.date_of((newest + 1) * 86_400_000 - 1);
        Ok(crate::calendar::date_of_number(crate::calendar::day_number(last) - days + 1)..=last)
    }

    fn no_data(place: &Place, days: &RangeInclusive<Date>) -> ReportError {
        ReportError::NoData { what: place.told(), from: *days.start(), to: *days.end() }
    }
}

/// A figure to so many digits behind the point, for answers.
pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// The value below which a share of sorted values lies, interpolated between neighbours (Hyndman and Fan's type 7, the
/// default of R and numpy). `None` of nothing.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * (sorted.len().checked_sub(1)?) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64))
}
