//! Event time: milliseconds of UTC since 1970, and how others write it.
//!
//! Upstream: the codecs. Downstream: all. There is no clock here.

use crate::reject::{Reason, Reject};

/// A moment of event time, UTC milliseconds since 1970-01-01. Recordings that count from their own start
/// are near 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimeMs(pub i64);

/// Latest moment that is believed, 9999-12-31T23:59:59.999Z.
const MAX: i64 = 253_402_300_799_999;

impl TimeMs {
    /// A checked moment.
    ///
    /// # Errors
    /// [`Reason::OutOfRange`] before 1970 or after 9999.
    pub fn new(ms: i64) -> Result<Self, Reject> {
        if (0..=MAX).contains(&ms) {
            Ok(Self(ms))
        } else {
            Err(Reject::field(Reason::OutOfRange, "ts_ms", format!("{ms} is not a time between 1970 and 9999")))
        }
    }

    /// Reads what files contain: RFC 3339 (`2023-10-29T13:24:10.211Z`, any offset), the same with a space,
    /// a zone-less date and time (taken as UTC), or seconds as a number (from the epoch, fractions allowed).
    ///
    /// # Errors
    /// [`Reason::UnreadableField`] naming `time`.
    pub fn parse(text: &str) -> Result<Self, Reject> {
        let text = text.trim();
        if let Ok(seconds) = text.parse::<f64>() {
            if !seconds.is_finite() {
                return Err(Reject::field(Reason::UnreadableField, "time", format!("`{text}` is not a time")));
            }
            return Self::new((seconds * 1_000.0).round() as i64);
        }
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Self::new(at.as_millisecond());
        }
        let zoneless = text.parse::<jiff::civil::DateTime>().ok();
        match zoneless.and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC).ok()) {
            Some(at) => Self::new(at.timestamp().as_millisecond()),
            None => Err(Reject::field(Reason::UnreadableField, "time", format!("`{text}` is not a time"))),
        }
    }

    /// RFC 3339 in UTC with milliseconds.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => format!("{at:.3}"),
            Err(_) => format!("{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_way_that_the_recordings_write_time() {
        for (text, ms) in [
            ("1800.00", 1_800_000),
            ("1970-01-01 00:00:01.500", 1_500),
            ("1970-01-01T00:00:01", 1_000),
            ("2023-10-29T13:24:10.211Z", 1_698_585_850_211),
            ("2015-03-08T01:40:54-06:00", 1_425_800_454_000),
            ("2023-10-29T13:24:10.275306Z", 1_698_585_850_275),
        ] {
            assert_eq!(TimeMs::parse(text), Ok(TimeMs(ms)), "{text}");
        }
        for text in ["", "yesterday", "NaN", "2023-13-01T00:00:00Z", "-5", "1e300"] {
            assert!(TimeMs::parse(text).is_err(), "{text}");
        }
        assert_eq!(TimeMs(1_500).rfc3339(), "1970-01-01T00:00:01.500Z");
    }
}
