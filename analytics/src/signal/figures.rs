//! Figures of a phase from its cycles: over a stretch of time, and by bins of the clock.
//!
//! Upstream: [`super::cycle`]. Downstream: the API, `/metrics`, `arterial signals`. Sums first, ratios last; what no
//! detector can tell is absent and never 0.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cycle::{Cycle, Shown};

/// What a phase did over some cycles.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Whole cycles, red to red: what lengths are means of.
    pub cycles: u32,
    pub cycle_s: f64,
    pub green_s: f64,
    pub yellow_s: f64,
    pub red_s: f64,
    /// Arrivals at the advance detectors in all stretches; `None` where none is wired.
    pub arrivals: Option<u32>,
    pub arrivals_on_green: Option<u32>,
    pub arrivals_on_green_share: Option<f64>,
    /// Share of arrivals on green over share of green time.
    pub platoon_ratio: Option<f64>,
    /// Time from arrivals on red to the next green, summed, vehicle-seconds.
    pub delay_s: Option<f64>,
    /// The same for each arrival, on green or not, seconds.
    pub delay_per_arrival_s: Option<f64>,
    /// Cycles whose split could be judged; `None` where no presence detector is wired.
    pub splits: Option<u32>,
    pub split_failures: Option<u32>,
    pub green_occupancy: Option<f64>,
    pub red_occupancy: Option<f64>,
    pub start_ms: i64,
    pub end_ms: i64,
}

/// The same by the clock, as reports of signals have it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// By the moment of each arrival.
    pub arrivals: u32,
    pub arrivals_on_green: u32,
    /// Green that lies in the bin, milliseconds.
    pub green_ms: i64,
    pub delay_ms: i64,
    /// By the moment at which the watched part of red is over.
    pub splits: u32,
    pub split_failures: u32,
    pub green_occupancy_sum: f64,
    pub red_occupancy_sum: f64,
}

impl Figures {
    /// Figures of some cycles of a phase that has advance detectors, and presence detectors, or has not.
    pub fn of(cycles: &[Cycle], (has_advance, has_presence): (bool, bool)) -> Self {
        let whole: Vec<&Cycle> = cycles.iter().filter(|cycle| cycle.is_whole).collect();
        let mean_s = |of: &dyn Fn(&Cycle) -> i64| {
            whole.iter().map(|cycle| of(cycle)).sum::<i64>() as f64 / 1_000.0 / whole.len().max(1) as f64
        };
        let cycle_s = mean_s(&|c| c.end_ms - c.start_ms);
        let green_s = mean_s(&|c| c.yellow_ms.unwrap_or(c.end_ms) - c.green_ms.unwrap_or(c.end_ms));
        let sum = |of: &dyn Fn(&Cycle) -> u32| cycles.iter().map(of).sum::<u32>();
        let arrivals = sum(&|c| c.on_green + c.on_yellow + c.on_red + c.unknown);
        let on_green = sum(&|c| c.on_green);
        let (all_ms, green_ms) =
            cycles.iter().fold((0, 0), |(all, green), c| (all + c.end_ms - c.start_ms, green + c.green_time_ms));
        let delay_s = cycles.iter().map(|c| c.delay_ms).sum::<i64>() as f64 / 1_000.0;
        let splits: Vec<_> = cycles.iter().filter_map(|c| c.split).collect();
        let mean = |sum: f64| (has_presence && !splits.is_empty()).then(|| sum / splits.len() as f64);
        let some = has_advance && arrivals > 0;
        let share = some.then(|| f64::from(on_green) / f64::from(arrivals));
        Self {
            cycles: whole.len() as u32,
            cycle_s,
            green_s,
            yellow_s: mean_s(&|c| c.end_ms - c.yellow_ms.unwrap_or(c.end_ms)),
            red_s: mean_s(&|c| c.green_ms.unwrap_or(c.start_ms) - c.start_ms),
            arrivals: has_advance.then_some(arrivals),
            arrivals_on_green: has_advance.then_some(on_green),
            arrivals_on_green_share: share,
            platoon_ratio: share.filter(|_| green_ms > 0).map(|share| share * all_ms as f64 / green_ms as f64),
            delay_s: has_advance.then_some(delay_s),
            delay_per_arrival_s: some.then(|| delay_s / f64::from(arrivals)),
            splits: has_presence.then_some(splits.len() as u32),
            split_failures: has_presence.then(|| splits.iter().filter(|s| s.is_failure()).count() as u32),
            green_occupancy: mean(splits.iter().map(|s| s.green_occupancy).sum()),
            red_occupancy: mean(splits.iter().map(|s| s.red_occupancy).sum()),
            start_ms: cycles.first().map_or(0, |c| c.start_ms),
            end_ms: cycles.last().map_or(0, |c| c.end_ms),
        }
    }
}

/// Sums by bins of the clock, by their beginning, milliseconds since 1970.
pub fn bins(cycles: &[Cycle], bin_ms: i64) -> BTreeMap<i64, Bin> {
    let mut bins: BTreeMap<i64, Bin> = BTreeMap::new();
    let start = |at_ms: i64| at_ms.div_euclid(bin_ms) * bin_ms;
    for cycle in cycles {
        for arrival in &cycle.arrivals {
            let at_ms = cycle.start_ms + i64::from(arrival.offset_ms);
            let bin = bins.entry(start(at_ms)).or_default();
            bin.arrivals += 1;
            bin.arrivals_on_green += u32::from(arrival.on == Some(Shown::Green));
            if let Some(green_ms) = cycle.green_ms.filter(|_| arrival.on == Some(Shown::Red)) {
                bin.delay_ms += (green_ms - at_ms).max(0);
            }
        }
        let (mut from_ms, to_ms) = match (cycle.green_ms, cycle.yellow_ms) {
            (Some(green_ms), Some(yellow_ms)) => (green_ms, yellow_ms),
            // One that is cut at either end: green from its beginning, or until its end.
            _ if cycle.green_time_ms == 0 => (0, 0),
            (Some(green_ms), None) => (green_ms, green_ms + cycle.green_time_ms),
            (None, _) => (cycle.start_ms, cycle.start_ms + cycle.green_time_ms),
        };
        while from_ms < to_ms {
            let end_ms = (start(from_ms) + bin_ms).min(to_ms);
            bins.entry(start(from_ms)).or_default().green_ms += end_ms - from_ms;
            from_ms = end_ms;
        }
        if let Some(split) = cycle.split {
            let bin = bins.entry(start(cycle.end_ms + super::RED_WATCHED_MS)).or_default();
            bin.splits += 1;
            bin.split_failures += u32::from(split.is_failure());
            bin.green_occupancy_sum += split.green_occupancy;
            bin.red_occupancy_sum += split.red_occupancy;
        }
    }
    bins
}
