//! Buses: headways at the stops of every line, bunching, gaps, and how long passengers wait.
//!
//! Upstream: [`crate::engine`], with positions that say route, direction and next stop. Downstream: the API, `/metrics`.
//!
//! A bus **passes** a stop when it first says another next stop on the same line. The moment is that report's, so it is
//! late by at most the time between two reports; a bus that was silent for [`SILENT_MS`] or more passed at an unknown
//! moment, which is counted and left out. A **headway** is the time between two passages of a stop by different buses.
//! It is *bunched* below 0.75 of what was scheduled and a *gap* above 1.5 of it (Metro's and TransitMatters' use of the
//! terms); without a schedule the mean headway of that stop in the window takes its place, and the output says so.
//!
//! A passenger who comes at random waits Σh² / 2Σh (Welding 1957; Transport for London's excess wait time). What even
//! headways would have made him wait, half of the reference, is scheduled; the rest is excess.

mod figures;
mod schedule;

use std::collections::{BTreeMap, VecDeque};

use events::Journey;
use serde::{Deserialize, Serialize};

pub use figures::{Basis, LineFigures, StopFigures};
pub use schedule::{Schedule, ScheduleError};

/// Most buses that are remembered; reports of further ones are counted and left out.
pub const BUSES_MAX: usize = 50_000;

/// Most stops of lines that are remembered; passages of further ones are counted and left out.
pub const STOPS_MAX: usize = 200_000;

/// Most passages of a stop that are remembered, the newest: six hours of a bus every six minutes.
const PASSAGES_MAX: usize = 64;

/// Longest time between two reports in which a passage has a moment, milliseconds.
pub const SILENT_MS: i64 = 180_000;

/// A bus does not come round to the same stop so soon, milliseconds: it only wavers between two next stops.
const SAME_BUS_MS: i64 = 300_000;

/// Below this share of the reference a headway is bunched.
pub const BUNCHED_SHARE: f64 = 0.75;

/// Above this multiple of the reference a headway is a gap.
pub const GAP_MULTIPLE: f64 = 1.5;

/// What came in and what it led to; each number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusCounts {
    /// Positions that say a route.
    pub reports: u64,
    /// Positions older than their bus's newest.
    pub out_of_order: u64,
    pub passages: u64,
    /// Stops passed while a bus was silent.
    pub unknown_moment: u64,
    /// A stop passed again at once by the same bus.
    pub wavering: u64,
    /// Reports of buses beyond [`BUSES_MAX`] and passages of stops beyond [`STOPS_MAX`].
    pub left_out: u64,
}

/// A line in one direction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Line {
    pub route: String,
    pub direction: String,
}

/// Where a bus was last.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Riding {
    line: Line,
    next_stop: String,
    time_ms: i64,
}

/// A bus at a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Passage {
    time_ms: i64,
    vehicle: u64,
}

/// All buses and the stops of their lines.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Buses {
    schedule: Schedule,
    riding: BTreeMap<u64, Riding>,
    /// By line, then by stop; passages in order of time.
    lines: BTreeMap<Line, BTreeMap<String, VecDeque<Passage>>>,
    stops: usize,
    counts: BusCounts,
}

impl Buses {
    /// No buses yet.
    pub fn new(schedule: Schedule) -> Self {
        Self { schedule, ..Self::default() }
    }

    /// Counts a report of a bus in.
    pub fn observe(&mut self, vehicle: u64, time_ms: i64, journey: &Journey) {
        self.counts.reports += 1;
        let line = Line { route: journey.route.clone(), direction: journey.direction.clone() };
        let now = Riding { line, next_stop: journey.next_stop.clone(), time_ms };
        let Some(before) = self.riding.get_mut(&vehicle) else {
            if self.riding.len() < BUSES_MAX {
                self.riding.insert(vehicle, now);
            } else {
                self.counts.left_out += 1;
            }
            return;
        };
        if time_ms < before.time_ms {
            self.counts.out_of_order += 1;
            return;
        }
        let before = std::mem::replace(before, now);
        let moved_on = before.line.route == journey.route
            && before.line.direction == journey.direction
            && !before.next_stop.is_empty()
            && before.next_stop != journey.next_stop;
        if !moved_on {
            return;
        }
        if time_ms - before.time_ms >= SILENT_MS {
            self.counts.unknown_moment += 1;
        } else {
            self.pass(before.line, before.next_stop, Passage { time_ms, vehicle });
        }
    }

    fn pass(&mut self, line: Line, stop: String, passage: Passage) {
        let stops = self.lines.entry(line).or_default();
        if !stops.contains_key(&stop) {
            if self.stops >= STOPS_MAX {
                self.counts.left_out += 1;
                return;
            }
            self.stops += 1;
        }
        let passages = stops.entry(stop).or_default();
        let is_again = |p: &Passage| p.vehicle == passage.vehicle && (p.time_ms - passage.time_ms).abs() < SAME_BUS_MS;
        if passages.iter().any(is_again) {
            self.counts.wavering += 1;
            return;
        }
        self.counts.passages += 1;
        // Buses report apart from each other, so passages of a stop may come in any order.
        passages.insert(passages.partition_point(|p| p.time_ms <= passage.time_ms), passage);
        if passages.len() > PASSAGES_MAX {
            passages.pop_front();
        }
    }

    /// Figures of each line over the passages from a moment on. Lines with fewer than `k` buses are left out.
    pub fn figures(&self, since_ms: i64, k: usize) -> BTreeMap<Line, LineFigures> {
        let figures = self
            .lines
            .iter()
            .map(|(line, stops)| (line.clone(), figures::of_line(stops, self.schedule.headway_s(line), since_ms)));
        figures.filter(|(_, f)| f.vehicles >= k && f.headways > 0).collect()
    }

    /// What came in.
    pub fn counts(&self) -> BusCounts {
        self.counts
    }

    /// Buses in memory.
    pub fn len(&self) -> usize {
        self.riding.len()
    }

    /// Whether no bus is known.
    pub fn is_empty(&self) -> bool {
        self.riding.is_empty()
    }

    /// Lets go of buses that are silent, and of passages that are older, since a moment.
    pub fn forget_silent(&mut self, since_ms: i64) {
        self.riding.retain(|_, riding| riding.time_ms >= since_ms);
        for stops in self.lines.values_mut() {
            for passages in stops.values_mut() {
                while passages.front().is_some_and(|p| p.time_ms < since_ms) {
                    passages.pop_front();
                }
            }
            stops.retain(|_, passages| !passages.is_empty());
        }
        self.lines.retain(|_, stops| !stops.is_empty());
        self.stops = self.lines.values().map(BTreeMap::len).sum();
    }
}

#[cfg(test)]
mod tests;
