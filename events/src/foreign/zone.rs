//! Wall-clock time of recordings that name no zone, brought to UTC.
//!
//! Upstream: the maps of [`super::loops`] and [`super::atspm`]. Downstream: their event times. The rules of all zones
//! are built in (the IANA database), since nothing here may read a file.
//!
//! When clocks go back, an hour happens twice: both are read as the first, so what the second repeats is a duplicate
//! at the gate. When they go forward, a time that never was is read as an hour later.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use super::excerpt;
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;

/// A time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

/// In which order a date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// `2016-01-04 0:05`
    YearFirst,
    /// `04/01/2016 0:05` is in January
    DayFirst,
    /// `01/04/2016 0:05` is in January
    MonthFirst,
}

impl Zone {
    /// A name of the IANA database (`America/Los_Angeles`), `UTC`, or an offset as `-08:00`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "UTC" {
            return Some(Self(TimeZone::UTC));
        }
        if let Some(rest) = text.strip_prefix(['+', '-']) {
            let (hours, minutes) = rest.split_once(':')?;
            let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
            if !(0..=14).contains(&hours) || !(0..60).contains(&minutes) {
                return None;
            }
            let seconds = (hours * 60 + minutes) * 60;
            let offset = Offset::from_seconds(if text.starts_with('-') { -seconds } else { seconds }).ok()?;
            return Some(Self(TimeZone::fixed(offset)));
        }
        TimeZone::get(text).ok().map(Self)
    }

    /// Universal time.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The moment at which clocks here showed this.
    pub(crate) fn at(&self, clock: DateTime) -> Result<TimeMs, Reject> {
        let moment = self.0.to_timestamp(clock);
        let moment = moment.map_err(|e| Reject::field(Reason::OutOfRange, "time", e.to_string()))?;
        TimeMs::new(moment.as_millisecond())
    }

    /// Reads a date and a time of day with a space or `T` between them; seconds and their fraction may be absent. A
    /// time that carries its own offset is taken by that.
    pub(crate) fn read(&self, text: &str, order: DateOrder) -> Result<TimeMs, Reject> {
        let text = text.trim();
        if order == DateOrder::YearFirst
            && let Ok(moment) = text.parse::<jiff::Timestamp>()
        {
            return TimeMs::new(moment.as_millisecond());
        }
        let unreadable = || {
            let detail = format!("`{}` is not a date and time", excerpt(text.as_bytes()));
            Reject::field(Reason::UnreadableField, "time", detail)
        };
        self.at(clock(text, order).ok_or_else(unreadable)?)
    }
}

fn clock(text: &str, order: DateOrder) -> Option<DateTime> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut numbers = date.split(['/', '-', '.']).map(|part| part.parse::<i16>().ok());
    let (a, b, c) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if numbers.next().is_some() {
        return None;
    }
    let (year, month, day) = match order {
        DateOrder::YearFirst => (a, b, c),
        DateOrder::DayFirst => (c, b, a),
        DateOrder::MonthFirst => (c, a, b),
    };
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    Some(DateTime::from_parts(date, time_of_day(time)?))
}

fn time_of_day(text: &str) -> Option<Time> {
    let mut parts = text.trim().split(':');
    let (hour, minute) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (seconds, fraction) = match parts.next() {
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "")),
        None => ("0", ""),
    };
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Time::new(hour, minute, seconds.parse().ok()?, nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_of_all_orders_and_zones() {
        let read = |zone: &str, order, text: &str| Zone::parse(zone).unwrap().read(text, order).map(TimeMs::rfc3339);
        for (zone, order, text, utc) in [
            ("America/Los_Angeles", DateOrder::DayFirst, "04/01/2016 0:05", "2016-01-04T08:05:00.000Z"),
            ("America/Los_Angeles", DateOrder::MonthFirst, "04/15/2024 12:00:00.1", "2024-04-15T19:00:00.100Z"),
            ("-08:00", DateOrder::MonthFirst, "04-15-2024 12:00:00", "2024-04-15T20:00:00.000Z"),
            ("+05:30", DateOrder::YearFirst, "2016-01-04 00:05", "2016-01-03T18:35:00.000Z"),
            ("UTC", DateOrder::YearFirst, "2016-01-04T00:05:07.123456", "2016-01-04T00:05:07.123Z"),
            ("America/Chicago", DateOrder::YearFirst, "2016-01-04T00:05:07+01:00", "2016-01-03T23:05:07.000Z"),
            // The hour that happened twice is its first, the one that never was is an hour later.
            ("America/Chicago", DateOrder::YearFirst, "2015-11-01 01:30", "2015-11-01T06:30:00.000Z"),
            ("America/Chicago", DateOrder::YearFirst, "2015-03-08 02:30", "2015-03-08T08:30:00.000Z"),
        ] {
            assert_eq!(read(zone, order, text).as_deref(), Ok(utc), "{text} {zone}");
        }
        for text in
            ["", "today", "2016-01-04", "2016-13-01 00:00", "2016-01-04 25:00", "1/2/3/4 0:00", "2016-01-04 0:0:0:0"]
        {
            let reject = read("UTC", DateOrder::YearFirst, text).unwrap_err();
            assert_eq!(reject.reason, Reason::UnreadableField, "{text}");
        }
        for zone in ["", "Mars/Olympus", "+25:00", "8", "+08:99", "--000000000010:480478849"] {
            assert_eq!(Zone::parse(zone), None, "{zone}");
        }
    }
}
