//! The city's clock and its days: time zone, the hours of a clock change, holidays, events.
//!
//! Upstream: a file of a person, in TOML. Downstream: [`crate::report`] tells history by local days.
//!
//! ```toml
//! zone = "Europe/Berlin"           # a name of the IANA time zone database
//!
//! [[holiday]]                      # left out of typical days and comparisons unless asked for
//! name = "Tag der Deutschen Einheit"
//! date = "2026-10-03"
//!
//! [[event]]                        # named, so that a report can leave it out: --without Marathon
//! name = "Marathon"
//! from = "2026-09-26"
//! to = "2026-09-27"
//! ```
//!
//! A local day has 23, 24 or 25 hours. What falls into an hour that is there twice is added up under that hour, and
//! [`Clock::quarters_of`] says how much time a quarter of an hour of the wall clock really was: 0, 1 or 2 times 15 min.

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// Largest file, bytes.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Longest stretch of days that a report may ask for: three years.
pub const DAYS_MAX: usize = 1_100;

/// Length of a quarter of an hour, milliseconds.
pub const QUARTER_MS: i64 = 15 * 60_000;

const DAY_MS: i64 = 86_400_000;

/// Why a calendar or a stretch of days cannot be used; each is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum CalendarError {
    #[error("{} cannot be read: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{} is larger than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("the calendar is not what is wanted: {0}")]
    Syntax(String),
    #[error("`{0}` is no name of the IANA time zone database, such as Europe/Berlin")]
    Zone(String),
    #[error("`{0}` is neither a date (YYYY-MM-DD) nor the name of a day in the calendar")]
    Day(String),
    #[error("`{0}` begins after it ends")]
    Backwards(String),
    #[error("{0} days are more than the {DAYS_MAX} that a report can look at")]
    TooLong(usize),
}

/// What a named day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayKind {
    /// Not like other days of its weekday.
    Holiday,
    /// Like other days, but for something that a person wants to be able to leave out.
    Event,
}

/// Named days, first and last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDays {
    pub name: String,
    pub kind: DayKind,
    pub days: RangeInclusive<Date>,
}

/// A city's zone and named days.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    zone_name: String,
    named: Vec<NamedDays>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    zone: String,
    #[serde(default)]
    holiday: Vec<NamedText>,
    #[serde(default)]
    event: Vec<NamedText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedText {
    name: String,
    date: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

impl Calendar {
    /// A zone by its name, and no named day.
    ///
    /// # Errors
    /// A name that the time zone database does not have.
    pub fn of_zone(name: &str) -> Result<Self, CalendarError> {
        let zone = if name == "UTC" {
            TimeZone::UTC
        } else {
            TimeZone::get(name).map_err(|_| CalendarError::Zone(name.to_owned()))?
        };
        Ok(Self { zone, zone_name: name.to_owned(), named: Vec::new() })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`CalendarError`].
    pub fn open(path: &Path) -> Result<Self, CalendarError> {
        let io = |error| CalendarError::Io { path: path.into(), error };
        if std::fs::metadata(path).map_err(io)?.len() > FILE_BYTES_MAX {
            return Err(CalendarError::TooLarge { path: path.into() });
        }
        Self::parse(&std::fs::read_to_string(path).map_err(io)?)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`CalendarError`].
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let file: FileText = toml::from_str(text).map_err(|e| CalendarError::Syntax(e.message().to_owned()))?;
        let mut calendar = Self::of_zone(&file.zone)?;
        let kinds = [(DayKind::Holiday, file.holiday), (DayKind::Event, file.event)];
        for (kind, entries) in kinds {
            for entry in entries {
                let days = match (&entry.date, &entry.from, &entry.to) {
                    (Some(day), None, None) => date(day)?..=date(day)?,
                    (None, Some(from), Some(to)) => date(from)?..=date(to)?,
                    _ => {
                        let what = format!("`{}` needs either `date`, or `from` and `to`", entry.name);
                        return Err(CalendarError::Syntax(what));
                    }
                };
                if days.is_empty() {
                    return Err(CalendarError::Backwards(entry.name));
                }
                calendar.named.push(NamedDays { name: entry.name, kind, days });
            }
        }
        Ok(calendar)
    }

    /// The zone's name in the IANA database.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The local date of a moment.
    pub fn date_of(&self, utc_ms: i64) -> Date {
        let moment = Timestamp::from_millisecond(utc_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        self.zone.to_datetime(moment).date()
    }

    /// What is said of a day.
    pub fn names_of(&self, day: Date) -> impl Iterator<Item = &NamedDays> {
        self.named.iter().filter(move |n| n.days.contains(&day))
    }

    /// Whether a day is not like others of its weekday.
    pub fn is_holiday(&self, day: Date) -> bool {
        self.names_of(day).any(|n| n.kind == DayKind::Holiday)
    }

    /// The days that a word stands for: a date, or every day of that name.
    ///
    /// # Errors
    /// When it is neither.
    pub fn days_called(&self, word: &str) -> Result<Vec<RangeInclusive<Date>>, CalendarError> {
        if let Ok(day) = date(word) {
            return Ok(vec![day..=day]);
        }
        let found: Vec<_> = self.named.iter().filter(|n| n.name == word).map(|n| n.days.clone()).collect();
        if found.is_empty() { Err(CalendarError::Day(word.to_owned())) } else { Ok(found) }
    }

    /// The local clock over a stretch of days, both ends included.
    ///
    /// # Errors
    /// A stretch that ends before it begins or is longer than [`DAYS_MAX`].
    pub fn clock(&self, from: Date, to: Date) -> Result<Clock, CalendarError> {
        if to < from {
            return Err(CalendarError::Backwards(format!("{from}..{to}")));
        }
        let days = day_number(to).abs_diff(day_number(from)) as usize + 1;
        if days > DAYS_MAX {
            return Err(CalendarError::TooLong(days));
        }
        let starts_ms: Vec<i64> = (0..=days as i64).map(|i| self.start_ms(day_number(from) + i)).collect();
        let begin = Timestamp::from_millisecond(starts_ms[0]).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut offsets = vec![(starts_ms[0], offset_ms(&self.zone, begin))];
        let last = starts_ms[days];
        let changes = self.zone.following(begin).take_while(|t| t.timestamp().as_millisecond() < last);
        offsets.extend(changes.map(|t| (t.timestamp().as_millisecond(), i64::from(t.offset().seconds()) * 1_000)));
        Ok(Clock { first_day: day_number(from), starts_ms, offsets })
    }

    /// Begin of a local day: midnight, or the first moment after it where midnight is skipped.
    fn start_ms(&self, day: i64) -> i64 {
        let noon = date_of_number(day).at(0, 0, 0, 0);
        self.zone.to_ambiguous_timestamp(noon).compatible().map_or(day * DAY_MS, |t| t.as_millisecond())
    }
}

/// A stretch of local days on the city's clock.
#[derive(Clone, Debug)]
pub struct Clock {
    first_day: i64,
    /// Begin of every day, and of the one behind the last.
    starts_ms: Vec<i64>,
    /// From when on the clock is how far ahead of UTC.
    offsets: Vec<(i64, i64)>,
}

/// A moment on the local clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Day of the stretch, from 0.
    pub day: usize,
    /// Of the wall clock, 0 to 1,439.
    pub minute: u32,
}

impl Clock {
    /// Days of the stretch.
    pub fn days(&self) -> usize {
        self.starts_ms.len() - 1
    }

    /// Begin of the first day and end of the last.
    pub fn span_ms(&self) -> std::ops::Range<i64> {
        self.starts_ms[0]..self.starts_ms[self.days()]
    }

    /// Begin and end of a day.
    pub fn day_ms(&self, day: usize) -> std::ops::Range<i64> {
        self.starts_ms[day]..self.starts_ms[day + 1]
    }

    /// The date of a day.
    pub fn date(&self, day: usize) -> Date {
        date_of_number(self.first_day + day as i64)
    }

    /// The day of a date; `None` outside the stretch.
    pub fn day_of(&self, date: Date) -> Option<usize> {
        usize::try_from(day_number(date) - self.first_day).ok().filter(|day| *day < self.days())
    }

    /// 1 is Monday, 7 Sunday.
    pub fn weekday(&self, day: usize) -> u8 {
        self.date(day).weekday().to_monday_one_offset() as u8
    }

    /// Where a moment is on the wall clock; `None` outside the stretch.
    pub fn at(&self, utc_ms: i64) -> Option<Local> {
        if !self.span_ms().contains(&utc_ms) {
            return None;
        }
        // A stretch has few changes of the clock, and rows come in order of time within a segment.
        let offset = self.offsets.iter().rev().find(|(from, _)| *from <= utc_ms)?.1;
        let local_ms = utc_ms + offset;
        let day = usize::try_from(local_ms.div_euclid(DAY_MS) - self.first_day).ok()?;
        let minute = (local_ms.rem_euclid(DAY_MS) / 60_000) as u32;
        (day < self.days()).then_some(Local { day, minute })
    }

    /// How often a quarter of an hour (0 to 95) of the wall clock passes on a day: 1, but 0 or 2 where the clock is
    /// changed.
    pub fn quarters_of(&self, day: usize, quarter: usize) -> u32 {
        let span = self.day_ms(day);
        if span.end - span.start == DAY_MS {
            return 1;
        }
        let steps = (span.end - span.start) / QUARTER_MS;
        let here = (0..steps).filter_map(|i| self.at(span.start + i * QUARTER_MS));
        here.filter(|local| local.day == day && local.minute as usize / 15 == quarter).count() as u32
    }
}

/// Reads `YYYY-MM-DD`.
///
/// # Errors
/// Anything else.
pub fn date(text: &str) -> Result<Date, CalendarError> {
    let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let read = if is_plain { text.parse().ok() } else { None };
    read.ok_or_else(|| CalendarError::Day(text.to_owned()))
}

/// Reads `FROM..TO`, both included, or one date.
///
/// # Errors
/// Anything else, and a stretch that ends before it begins.
pub fn dates(text: &str) -> Result<RangeInclusive<Date>, CalendarError> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let days = date(from)?..=date(to)?;
    if days.is_empty() { Err(CalendarError::Backwards(text.to_owned())) } else { Ok(days) }
}

/// Days since 1970-01-01.
pub fn day_number(date: Date) -> i64 {
    date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24
}

/// The other way round.
pub fn date_of_number(day: i64) -> Date {
    let ms = day.saturating_mul(DAY_MS);
    let moment = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    TimeZone::UTC.to_datetime(moment).date()
}

fn offset_ms(zone: &TimeZone, at: Timestamp) -> i64 {
    i64::from(zone.to_offset(at).seconds()) * 1_000
}
