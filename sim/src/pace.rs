//! Pace: when an event is due on the wall clock.
//!
//! [`due_after`] is the arithmetic and has no clock; [`Pacer`] waits by tokio's clock, which tests may pause.
//! Upstream: the speed that was asked for. Downstream: replay and the simulated city.

use std::time::Duration;

use events::TimeMs;
use tokio::time::Instant;

/// Fastest and slowest factor between event time and wall clock.
const FACTOR_RANGE: std::ops::RangeInclusive<f64> = 0.001..=100_000.0;

/// How fast event time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// Seconds of event time per second of wall clock.
    RealTime(f64),
    /// As fast as the other side takes it.
    Max,
}

/// A text that is not a speed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{0}` is not a speed: a factor from 0.001 to 100000 or the word max are")]
pub struct SpeedError(pub String);

impl std::str::FromStr for Speed {
    type Err = SpeedError;

    /// `max`, or a factor such as `1`, `60`, `0.5`.
    fn from_str(text: &str) -> Result<Self, SpeedError> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.parse() {
            Ok(factor) if FACTOR_RANGE.contains(&factor) => Ok(Self::RealTime(factor)),
            Ok(_) | Err(_) => Err(SpeedError(text.to_owned())),
        }
    }
}

/// Wall-clock time from the first event to this one; zero for one before the first, and at full speed.
pub fn due_after(speed: Speed, first: TimeMs, event: TimeMs) -> Duration {
    match speed {
        Speed::Max => Duration::ZERO,
        Speed::RealTime(factor) => {
            let ahead_ms = event.0.saturating_sub(first.0).max(0) as f64;
            // A factor outside the range would only make the wait absurd, not wrong.
            let factor = factor.clamp(*FACTOR_RANGE.start(), *FACTOR_RANGE.end());
            Duration::from_secs_f64(ahead_ms / 1_000.0 / factor)
        }
    }
}

/// Waits until events are due.
///
/// Times are counted from the first event, so small delays do not add up: who falls behind (because the other
/// side holds back) catches up without waiting. An event before the one before it is due at once.
#[derive(Debug)]
pub struct Pacer {
    speed: Speed,
    first: Option<(TimeMs, Instant)>,
}

impl Pacer {
    /// The clock starts with the first event.
    pub fn new(speed: Speed) -> Self {
        Self { speed, first: None }
    }

    /// Returns when the event is due.
    pub async fn wait_for(&mut self, event: TimeMs) {
        let (first, began) = *self.first.get_or_insert_with(|| (event, Instant::now()));
        match self.speed {
            Speed::Max => {}
            Speed::RealTime(_) => tokio::time::sleep_until(began + due_after(self.speed, first, event)).await,
        }
    }

    /// How long ago an event was due; zero before that, at full speed, and before the first event.
    pub fn behind(&self, event: TimeMs) -> Duration {
        match (self.speed, self.first) {
            (Speed::RealTime(_), Some((first, began))) => {
                Instant::now().saturating_duration_since(began + due_after(self.speed, first, event))
            }
            (Speed::Max, _) | (Speed::RealTime(_), None) => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_time_is_divided_by_the_factor() {
        let first = TimeMs(1_000_000);
        for (speed, event_ms, due_ms) in [
            (Speed::RealTime(1.0), 1_001_500, 1_500),
            (Speed::RealTime(60.0), 1_060_000, 1_000),
            (Speed::RealTime(0.5), 1_001_000, 2_000),
            (Speed::RealTime(1.0), 999_000, 0),
            (Speed::Max, 9_000_000, 0),
        ] {
            let due = due_after(speed, first, TimeMs(event_ms));
            assert_eq!(due, Duration::from_millis(due_ms), "{speed:?} {event_ms}");
        }
    }

    #[test]
    fn speeds_are_read_and_absurd_ones_named() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("60".parse(), Ok(Speed::RealTime(60.0)));
        for bad in ["", "0", "-1", "NaN", "inf", "fast", "1e9"] {
            assert_eq!(bad.parse::<Speed>(), Err(SpeedError(bad.to_owned())));
        }
    }

    #[tokio::test]
    async fn the_pacer_waits_no_less_than_it_should_and_not_for_the_past() {
        let mut pacer = Pacer::new(Speed::RealTime(100.0));
        let began = Instant::now();
        pacer.wait_for(TimeMs(50_000)).await;
        pacer.wait_for(TimeMs(52_000)).await;
        let after_two_seconds = began.elapsed();
        assert!(after_two_seconds >= Duration::from_millis(20), "{after_two_seconds:?}");
        let an_hour_back = Pacer { speed: Speed::RealTime(1.0), first: Some((TimeMs(52_000), Instant::now())) };
        let mut pacer = an_hour_back;
        tokio::time::timeout(Duration::from_secs(60), pacer.wait_for(TimeMs(0))).await.unwrap();
    }
}
