//! Which panes a live window is made of.
//!
//! A window slides by pane and includes the pane that is still filling, so a figure is as new as the newest
//! event; its true length in event time is therefore up to a pane shorter than its name says, and every rate
//! is divided by the true length. The windows of 15 and 60 minutes begin at a clock minute, since older panes are
//! kept as minutes; they are up to a minute longer than their name says, and that too goes into every rate.

use crate::cell::{PANE_MS, pane_start};

/// The live windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    OneMinute,
    FiveMinutes,
    FifteenMinutes,
    OneHour,
}

/// A clock minute, milliseconds: what delay is clipped by, and what old panes are folded to.
pub const MINUTE_MS: i64 = 60_000;

/// Beginning of the clock minute that holds a moment, milliseconds since 1970.
pub fn minute_start(time_ms: i64) -> i64 {
    time_ms.div_euclid(MINUTE_MS) * MINUTE_MS
}

impl Window {
    /// All live windows, shortest first.
    pub const ALL: [Self; 4] = [Self::OneMinute, Self::FiveMinutes, Self::FifteenMinutes, Self::OneHour];

    /// Nominal length, seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Self::OneMinute => 60,
            Self::FiveMinutes => 300,
            Self::FifteenMinutes => 900,
            Self::OneHour => 3_600,
        }
    }

    /// The label in Prometheus.
    pub fn label(self) -> &'static str {
        match self {
            Self::OneMinute => "1m",
            Self::FiveMinutes => "5m",
            Self::FifteenMinutes => "15m",
            Self::OneHour => "60m",
        }
    }

    /// The window of so many seconds.
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|w| w.seconds() == seconds)
    }

    /// The span that ends at the newest event.
    pub fn ending(self, newest_ms: i64) -> Span {
        let open_pane_ms = pane_start(newest_ms);
        let start_ms = open_pane_ms + PANE_MS - i64::from(self.seconds()) * 1_000;
        let start_ms = match self {
            Self::OneMinute | Self::FiveMinutes => start_ms,
            Self::FifteenMinutes | Self::OneHour => minute_start(start_ms),
        };
        Span { start_ms, end_ms: newest_ms }
    }
}

/// A stretch of event time, from the beginning of a pane to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Beginning of the first pane, milliseconds since 1970.
    pub start_ms: i64,
    /// The newest event, milliseconds since 1970.
    pub end_ms: i64,
}

impl Span {
    /// End of the last pane, exclusive: what to ask the pane store for.
    pub fn panes_end_ms(self) -> i64 {
        pane_start(self.end_ms) + PANE_MS
    }

    /// Seconds of event time observed so far; at least one millisecond.
    pub fn seconds(self) -> f64 {
        (self.end_ms - self.start_ms).max(1) as f64 / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_its_number_of_panes_with_the_open_one() {
        let span = Window::OneMinute.ending(125_300);
        assert_eq!(span, Span { start_ms: 70_000, end_ms: 125_300 });
        assert_eq!((span.panes_end_ms() - span.start_ms) / PANE_MS, 6);
        assert!((span.seconds() - 55.3).abs() < 1e-9);
        assert_eq!(Window::from_seconds(300), Some(Window::FiveMinutes));
        assert_eq!(Window::from_seconds(7), None);
    }

    #[test]
    fn long_windows_begin_at_a_clock_minute() {
        let span = Window::OneHour.ending(7_325_300);
        assert_eq!(span, Span { start_ms: 3_720_000, end_ms: 7_325_300 });
        assert_eq!(Window::FifteenMinutes.ending(7_325_300).start_ms, 6_420_000);
    }
}
