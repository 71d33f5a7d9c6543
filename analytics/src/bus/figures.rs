//! Headways of a line, stop by stop, and what follows from them.
//!
//! Upstream: [`super::Buses`]. Sums over stops first, ratios last.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use super::{BUNCHED_SHARE, GAP_MULTIPLE, Passage};

/// What headways are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// What the operator scheduled.
    Schedule,
    /// The mean of the same stop in the same window.
    Mean,
}

/// A stop of a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StopFigures {
    pub stop: String,
    pub headways: u32,
    pub mean_headway_s: f64,
    pub bunched: u32,
    pub gaps: u32,
    pub expected_wait_s: f64,
    pub excess_wait_s: f64,
    pub newest_passage_ms: i64,
}

/// A line in one direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineFigures {
    pub vehicles: usize,
    pub headways: u32,
    pub mean_headway_s: f64,
    pub basis: Basis,
    pub bunched: u32,
    pub gaps: u32,
    /// Of a passenger who comes at random to any of the stops, seconds.
    pub expected_wait_s: f64,
    /// What is more than even headways would make him wait. Below 0 when buses come more often than scheduled.
    pub excess_wait_s: f64,
    pub stops: Vec<StopFigures>,
}

pub(super) fn of_line(
    stops: &BTreeMap<String, VecDeque<Passage>>,
    scheduled_s: Option<f64>,
    since_ms: i64,
) -> LineFigures {
    let mut line = LineFigures {
        vehicles: 0,
        headways: 0,
        mean_headway_s: 0.0,
        basis: if scheduled_s.is_some() { Basis::Schedule } else { Basis::Mean },
        bunched: 0,
        gaps: 0,
        expected_wait_s: 0.0,
        excess_wait_s: 0.0,
        stops: Vec::new(),
    };
    let mut vehicles = BTreeSet::new();
    let (mut sum_s, mut squares_s2, mut even_s2) = (0.0, 0.0, 0.0);
    for (stop, passages) in stops {
        vehicles.extend(passages.iter().filter(|p| p.time_ms >= since_ms).map(|p| p.vehicle));
        let Some(of_stop) = Headways::of(passages, since_ms) else { continue };
        let reference_s = scheduled_s.unwrap_or(of_stop.mean_s());
        let figures = of_stop.figures(stop, reference_s, passages.back().map_or(0, |p| p.time_ms));
        line.headways += figures.headways;
        line.bunched += figures.bunched;
        line.gaps += figures.gaps;
        sum_s += of_stop.sum_s();
        squares_s2 += of_stop.squares_s2();
        // Passengers come evenly over time: each stop's even wait counts by the time that it was watched.
        even_s2 += reference_s * of_stop.sum_s();
        line.stops.push(figures);
    }
    line.vehicles = vehicles.len();
    if line.headways > 0 {
        line.mean_headway_s = sum_s / f64::from(line.headways);
        line.expected_wait_s = squares_s2 / (2.0 * sum_s);
        line.excess_wait_s = line.expected_wait_s - even_s2 / (2.0 * sum_s);
    }
    line
}

/// The headways of a stop that end in the window, seconds.
struct Headways(Vec<f64>);

impl Headways {
    /// `None` where there is none.
    fn of(passages: &VecDeque<Passage>, since_ms: i64) -> Option<Self> {
        let pairs = passages.iter().zip(passages.iter().skip(1));
        let apart = pairs.filter(|(a, b)| b.time_ms >= since_ms && a.vehicle != b.vehicle && a.time_ms < b.time_ms);
        let headways: Vec<f64> = apart.map(|(a, b)| (b.time_ms - a.time_ms) as f64 / 1_000.0).collect();
        (!headways.is_empty()).then_some(Self(headways))
    }

    fn sum_s(&self) -> f64 {
        self.0.iter().sum()
    }

    fn squares_s2(&self) -> f64 {
        self.0.iter().map(|h| h * h).sum()
    }

    fn mean_s(&self) -> f64 {
        self.sum_s() / self.0.len() as f64
    }

    fn figures(&self, stop: &str, reference_s: f64, newest_passage_ms: i64) -> StopFigures {
        let count = |of: &dyn Fn(f64) -> bool| self.0.iter().filter(|h| of(**h)).count() as u32;
        let expected_wait_s = self.squares_s2() / (2.0 * self.sum_s());
        StopFigures {
            stop: stop.to_owned(),
            headways: self.0.len() as u32,
            mean_headway_s: self.mean_s(),
            bunched: count(&|h| h < BUNCHED_SHARE * reference_s),
            gaps: count(&|h| h > GAP_MULTIPLE * reference_s),
            expected_wait_s,
            excess_wait_s: expected_wait_s - reference_s / 2.0,
            newest_passage_ms,
        }
    }
}
