//! Which panes a live window is made of.
//!
//! A window slides by pane and includes the pane that is still filling, so a figure is as new as the newest
//! event; its true length in event time is therefore up to a pane shorter than its name says, and every rate
//! is divided by the true length.

use crate::cell::{PANE_MS, pane_start};

/// The live windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    OneMinute,
    FiveMinutes,
}

impl Window {
    /// All live windows, shortest first.
    pub const ALL: [Self; 2] = [Self::OneMinute, Self::FiveMinutes];

    /// Nominal length, seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Self::OneMinute => 60,
            Self::FiveMinutes => 300,
        }
    }

    /// The label in Prometheus.
    pub fn label(self) -> &'static str {
        match self {
            Self::OneMinute => "1m",
            Self::FiveMinutes => "5m",
        }
    }

    /// The window of so many seconds.
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|w| w.seconds() == seconds)
    }

    /// The span that ends at the newest event.
    pub fn ending(self, newest_ms: i64) -> Span {
        let open_pane_ms = pane_start(newest_ms);
        Span { start_ms: open_pane_ms + PANE_MS - i64::from(self.seconds()) * 1_000, end_ms: newest_ms }
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
}
