//! What the engine hands over to history: minutes that can no longer change, until they are on disk.
//!
//! Upstream: [`crate::engine`], with everything that arrives and whenever a watermark has moved. Downstream:
//! [`super::recorder`], or a recording's end. Part of the engine's state, so it is in every checkpoint.
//!
//! A minute is closed when the watermark of its class is [`CORRECTABLE_MS`] past its end: no cell of it changes any more,
//! and the minute is handed over whole. What comes later is not in history; it is counted. Each class has its own
//! border, since loops report minutes after vehicles do. Everything follows from the events alone, block by block, so a
//! run that is repeated closes the same minutes with the same rows.

mod quality;
mod rows;
mod trips;

use std::collections::BTreeMap;

use roads::Network;
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::table::{Table, minute_of_end};
use crate::detector::Reading;
use crate::fate::SourceClass;
use crate::metric::window::{MINUTE_MS, minute_start};
use crate::pane::PaneStore;
use crate::revision::CORRECTABLE_MS;
use crate::signal::Signals;
use quality::Tallies;
pub use quality::What;
#[cfg(test)]
pub(super) use rows::{push_fix, push_interval};
use trips::Trips;
pub use trips::{Fix, Trim};

/// Most rows that wait for being written, some 250 MB. Beyond it the oldest minute is given up, counted and told: it is
/// in no file then.
const READY_ROWS_MAX: u64 = 4_000_000;

/// Most intervals of loops that wait for their minute to close: 20,000 loops, three times a minute. Further ones are
/// left out and counted.
const LOOPS_WAITING_MAX: u64 = 1_200_000;

/// What is collected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CollectConfig {
    /// Raw positions, with the ends of trips left out; `None` keeps none.
    pub positions: Option<Trim>,
}

/// The last minute of each table that was handed over, by which it is let go again.
pub type Borders = Vec<(Table, i64)>;

/// What was left out of history; each number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Rows of minutes that could not be written for too long.
    pub given_up: u64,
    /// Intervals of loops that came when their minute was closed, or when too many waited.
    pub late_intervals: u64,
    /// Positions at the ends of trips, and of vehicles beyond the bound.
    pub trimmed: u64,
}

/// Closed minutes that are not on disk, and what is not in a closed minute yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Collector {
    ready: BTreeMap<Table, BTreeMap<i64, Frame>>,
    ready_rows: u64,
    /// By [`SourceClass`]: minutes that begin before this are closed.
    closed_ms: [Option<i64>; SourceClass::ALL.len()],
    loops: BTreeMap<i64, Frame>,
    loops_waiting: u64,
    trips: Option<Trips>,
    positions: BTreeMap<i64, Frame>,
    tallies: Tallies,
    left_out: LeftOut,
}

impl Collector {
    /// A collector that has seen nothing.
    pub fn new(config: CollectConfig) -> Self {
        Self { trips: config.positions.map(Trips::new), ..Self::default() }
    }

    /// The same with other settings: positions that nobody wants any more are let go.
    #[must_use]
    pub fn with(mut self, config: CollectConfig) -> Self {
        match (config.positions, &mut self.trips) {
            (Some(trim), Some(trips)) => trips.trim = trim,
            (Some(trim), None) => self.trips = Some(Trips::new(trim)),
            (None, _) => {
                (self.trips, self.positions) = (None, BTreeMap::new());
                self.ready.remove(&Table::Positions);
                self.ready_rows = self.ready.values().flat_map(BTreeMap::values).map(|rows| rows.len() as u64).sum();
            }
        }
        self
    }

    /// Takes notice of an event of a class; `watermark_ms` is that of its class.
    pub(crate) fn note(&mut self, class: SourceClass, time_ms: i64, what: What, watermark_ms: Option<i64>) {
        self.tallies.note(class, time_ms, what, watermark_ms);
    }

    /// Takes an interval of a loop in.
    pub(crate) fn interval(&mut self, name: &str, reading: &Reading, segment: Option<u64>) {
        let minute_ms = minute_of_end(reading.end_ms);
        let is_closed = self.closed_ms[SourceClass::Detector as usize].is_some_and(|closed| minute_ms < closed);
        if is_closed || self.loops_waiting >= LOOPS_WAITING_MAX {
            self.left_out.late_intervals += 1;
            return;
        }
        self.loops_waiting += 1;
        rows::push_interval(of_minute(&mut self.loops, Table::Detectors, minute_ms), name, reading, segment);
    }

    /// Takes a position that counts in.
    pub(crate) fn position(&mut self, vehicle: u64, fix: Fix) {
        let Some(trips) = &mut self.trips else { return };
        let closed_ms = self.closed_ms[SourceClass::Position as usize];
        let positions = &mut self.positions;
        self.left_out.trimmed += trips.see(vehicle, fix, |fix| {
            let minute_ms = minute_start(fix.time_ms);
            let is_open = closed_ms.is_none_or(|closed| minute_ms >= closed);
            if is_open {
                rows::push_fix(of_minute(positions, Table::Positions, minute_ms), vehicle, &fix);
            }
            is_open
        });
    }

    /// Closes the minutes of cells and positions that end at or before a moment; `learnt_mps` is the free-flow speed of
    /// every segment that delay is held against, that of the map where nothing is learnt.
    pub(crate) fn close_cells(
        &mut self,
        before_ms: i64,
        store: &mut PaneStore,
        network: &Network,
        learnt_mps: Option<&[f64]>,
    ) {
        let Some((from_ms, to_ms)) = self.advance(SourceClass::Position, before_ms) else { return };
        let minutes = rows::cells(&store.minutes(from_ms, to_ms), network, learnt_mps);
        if let Some(trips) = &mut self.trips {
            self.left_out.trimmed += trips.end_before(to_ms);
        }
        let open = self.positions.split_off(&to_ms);
        let positions = std::mem::replace(&mut self.positions, open);
        let quality = self.tallies.positions(to_ms, &minutes, network);
        self.hand_over(Table::Positions, positions);
        self.hand_over(Table::QualityPosition, quality);
        self.hand_over(Table::Cells1Min, minutes.into_iter().map(|(minute_ms, of)| (minute_ms, of.rows)).collect());
    }

    /// Closes the minutes of loops.
    pub(crate) fn close_loops(&mut self, before_ms: i64) {
        let Some((_, to_ms)) = self.advance(SourceClass::Detector, before_ms) else { return };
        let open = self.loops.split_off(&to_ms);
        let closed = std::mem::replace(&mut self.loops, open);
        self.loops_waiting -= closed.values().map(|rows| rows.len() as u64).sum::<u64>();
        let quality = self.tallies.others(SourceClass::Detector, to_ms);
        self.hand_over(Table::Detectors, closed);
        self.hand_over(Table::QualityDetector, quality);
    }

    /// Closes the minutes of signals.
    pub(crate) fn close_signals(&mut self, before_ms: i64, signals: &Signals) {
        let Some((from_ms, to_ms)) = self.advance(SourceClass::Signal, before_ms) else { return };
        let mut closed = BTreeMap::new();
        for ((signal, phase), cycles) in signals.cycles_since(from_ms) {
            for cycle in cycles.iter().filter(|cycle| (from_ms..to_ms).contains(&minute_of_end(cycle.end_ms))) {
                let minute_ms = minute_of_end(cycle.end_ms);
                rows::push_cycle(of_minute(&mut closed, Table::Signals, minute_ms), signal, phase, cycle);
            }
        }
        let quality = self.tallies.others(SourceClass::Signal, to_ms);
        self.hand_over(Table::Signals, closed);
        self.hand_over(Table::QualitySignal, quality);
    }

    /// Rows that wait for being written.
    pub fn ready_rows(&self) -> u64 {
        self.ready_rows
    }

    /// Minutes of the table that waits longest.
    pub fn ready_minutes(&self) -> usize {
        self.ready.values().map(BTreeMap::len).max().unwrap_or(0)
    }

    /// What waits, table by table, and up to which minute.
    pub fn ready(&self) -> (Vec<(Table, Frame)>, Borders) {
        let (mut all, mut borders) = (Vec::new(), Vec::new());
        for (table, minutes) in &self.ready {
            let Some(last) = minutes.last_key_value() else { continue };
            let mut rows = Frame::empty(table.columns());
            minutes.values().for_each(|of_minute| rows.append(of_minute.clone()));
            borders.push((*table, *last.0));
            all.push((*table, rows));
        }
        (all, borders)
    }

    /// Lets go of what is on disk.
    pub fn release(&mut self, borders: &Borders) {
        for (table, last_ms) in borders {
            let Some(minutes) = self.ready.get_mut(table) else { continue };
            let rest = minutes.split_off(&(last_ms + 1));
            let gone = std::mem::replace(minutes, rest);
            self.ready_rows -= gone.values().map(|rows| rows.len() as u64).sum::<u64>();
        }
    }

    /// What is not in history.
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Moves the border of a class; gives the minutes that it has passed.
    fn advance(&mut self, class: SourceClass, before_ms: i64) -> Option<(i64, i64)> {
        let (closed_ms, to_ms) = (&mut self.closed_ms[class as usize], minute_start(before_ms));
        let from_ms = closed_ms.unwrap_or(i64::MIN);
        (to_ms > from_ms).then(|| {
            *closed_ms = Some(to_ms);
            (from_ms, to_ms)
        })
    }

    fn hand_over(&mut self, table: Table, minutes: BTreeMap<i64, Frame>) {
        if minutes.is_empty() {
            return;
        }
        self.ready_rows += minutes.values().map(|rows| rows.len() as u64).sum::<u64>();
        self.ready.entry(table).or_default().extend(minutes);
        while self.ready_rows > READY_ROWS_MAX {
            let oldest = self.ready.values_mut().filter(|minutes| !minutes.is_empty()).max_by_key(|m| m.len());
            let Some((_, rows)) = oldest.and_then(BTreeMap::pop_first) else { break };
            self.ready_rows -= rows.len() as u64;
            self.left_out.given_up += rows.len() as u64;
        }
    }
}

/// Where a moment of the watermark closes minutes: everything that ends at or before it.
pub(crate) fn closed_before(watermark_ms: Option<i64>) -> Option<i64> {
    watermark_ms.map(|watermark_ms| watermark_ms - CORRECTABLE_MS)
}

/// The rows of a minute, which are made when there are none.
fn of_minute(minutes: &mut BTreeMap<i64, Frame>, table: Table, minute_ms: i64) -> &mut Frame {
    debug_assert_eq!(minute_ms % MINUTE_MS, 0);
    minutes.entry(minute_ms).or_insert_with(|| Frame::empty(table.columns()))
}

#[cfg(test)]
mod tests;
