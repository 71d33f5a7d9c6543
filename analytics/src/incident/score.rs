//! How good the algorithms are: detection rate, delay and false alarms against incidents that are known.
//!
//! Upstream: alarms of a run, and the truth of a simulation or of a road operator's log. Downstream: `arterial incidents`,
//! `arterial verify`.
//!
//! The rules. An incident counts as detected when an alarm is raised while it goes on, on its segment or on one from which
//! it can be reached within [`REACH_M`] (the queue grows that way), and in time when that is at most [`IN_TIME_MS`] after
//! its begin; the delay counts to the event time at which the alarm could be raised live, watermark included. Every other
//! alarm is false, unless it lies in that reach until [`AFTERMATH_MS`] after the end, while the queue dissolves. False
//! alarms are given per day and 100 segments: California's handbooks count them so per station.

use roads::{Network, SegmentIndex};

use super::{Alarm, Algorithm};
use crate::upstream::Upstream;

/// How far upstream an alarm may be raised, metres.
pub const REACH_M: f64 = 500.0;

/// In time: three minutes.
pub const IN_TIME_MS: i64 = 3 * 60_000;

/// How long after the end an alarm in reach is not false.
pub const AFTERMATH_MS: i64 = 15 * 60_000;

const DAY_MS: f64 = 86_400_000.0;

/// An incident that really was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    pub segment: SegmentIndex,
    pub begin_ms: i64,
    pub end_ms: i64,
}

/// What one algorithm made of one or more runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    pub algorithm: Algorithm,
    pub incidents: usize,
    pub detected: usize,
    pub in_time: usize,
    /// Delay of each detection, seconds.
    pub delays_s: Vec<f64>,
    pub false_alarms: usize,
    /// Days times hundreds of segments that were watched.
    pub watched: f64,
}

impl Score {
    /// Nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, incidents: 0, detected: 0, in_time: 0, delays_s: Vec::new(), false_alarms: 0, watched: 0.0 }
    }

    /// Adds one run: its alarms (those that stand and those that ended), what really happened, and from when to when it was
    /// watched. Alarms before `from_ms` are of the time in which the algorithms learnt, and are not counted.
    pub fn add(
        &mut self,
        network: &Network,
        upstream: &Upstream,
        alarms: &[Alarm],
        happened: &[Happened],
        (from_ms, to_ms): (i64, i64),
    ) {
        let reach: Vec<Vec<SegmentIndex>> =
            happened.iter().map(|h| upstream.reach(network, h.segment, REACH_M, |_| true)).collect();
        let mine = || alarms.iter().filter(|a| a.algorithm == self.algorithm && (from_ms..to_ms).contains(&a.begin_ms));
        let mut detected = Vec::new();
        for (incident, reach) in happened.iter().zip(&reach) {
            let during = |a: &&Alarm| (incident.begin_ms..incident.end_ms).contains(&a.begin_ms);
            let first = mine().filter(during).filter(|a| reach.contains(&a.segment)).map(|a| a.begin_ms).min();
            detected.extend(first.map(|at_ms| at_ms - incident.begin_ms));
        }
        let is_true = |a: &&Alarm| {
            let mut near = happened.iter().zip(&reach).filter(|(_, reach)| reach.contains(&a.segment));
            near.any(|(h, _)| (h.begin_ms..h.end_ms + AFTERMATH_MS).contains(&a.begin_ms))
        };
        let false_alarms = mine().filter(|a| !is_true(a)).count();
        self.incidents += happened.len();
        self.detected += detected.len();
        self.in_time += detected.iter().filter(|delay_ms| **delay_ms <= IN_TIME_MS).count();
        self.delays_s.extend(detected.iter().map(|ms| *ms as f64 / 1_000.0));
        self.false_alarms += false_alarms;
        self.watched += (to_ms - from_ms) as f64 / DAY_MS * network.segments().len() as f64 / 100.0;
    }

    /// Share of the incidents that were detected in time; `None` without incidents.
    pub fn in_time_rate(&self) -> Option<f64> {
        (self.incidents > 0).then(|| self.in_time as f64 / self.incidents as f64)
    }

    /// False alarms per day and 100 segments; `None` when nothing was watched.
    pub fn false_per_day_and_100(&self) -> Option<f64> {
        (self.watched > 0.0).then(|| self.false_alarms as f64 / self.watched)
    }

    /// Mean delay of the detections, seconds.
    pub fn mean_delay_s(&self) -> Option<f64> {
        (!self.delays_s.is_empty()).then(|| self.delays_s.iter().sum::<f64>() / self.delays_s.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;

    #[test]
    fn each_alarm_is_a_detection_an_aftermath_or_false() {
        let network = city(&CityPlan::default());
        let upstream = Upstream::new(&network);
        let street = crate::area::derive::corridors(&network).remove(0).segments;
        let alarm = |segment: SegmentIndex, minute: i64| Alarm {
            algorithm: Algorithm::ProbeBlock,
            segment,
            begin_ms: minute * 60_000,
            end_ms: None,
            speed_mps: None,
            vehicles: 3,
        };
        let closed = street[5];
        let happened = [Happened { segment: closed, begin_ms: 60 * 60_000, end_ms: 80 * 60_000 }];
        let alarms = [
            // Before the watch, and of another algorithm.
            alarm(closed, 9),
            Alarm { algorithm: Algorithm::California7, ..alarm(closed, 61) },
            // Behind it, in time; the same again on the spot; the queue dissolves.
            alarm(street[4], 62),
            alarm(closed, 64),
            alarm(street[4], 90),
            // Long after, ahead of it, and before.
            alarm(street[4], 96),
            alarm(street[6], 62),
            alarm(closed, 59),
        ];
        let mut score = Score::new(Algorithm::ProbeBlock);
        score.add(&network, &upstream, &alarms, &happened, (600_000, 600_000 + 86_400_000));
        assert_eq!((score.incidents, score.detected, score.in_time, score.false_alarms), (1, 1, 1, 3));
        assert_eq!((score.in_time_rate(), score.mean_delay_s()), (Some(1.0), Some(120.0)));
        let hundreds = network.segments().len() as f64 / 100.0;
        assert!((score.false_per_day_and_100().unwrap() - 3.0 / hundreds).abs() < 1e-12);
        let mut late = Score::new(Algorithm::ProbeBlock);
        late.add(&network, &upstream, &[alarm(closed, 64)], &happened, (600_000, 86_400_000));
        assert_eq!((late.detected, late.in_time), (1, 0));
    }
}
