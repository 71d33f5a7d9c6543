//! Ground truth: the cells of all vehicles, by Edie's definitions.
//!
//! Upstream: the steps of the world. Downstream: whoever compares the pipeline with what really happened. It
//! only reads what a step left behind, so measuring cannot change moving.
//!
//! Source: Edie, Discussion of traffic stream measurements and definitions, 2nd International Symposium on
//! the Theory of Traffic Flow, 1963: the distance driven and the time spent in an area of space and time.

pub mod trips;

use std::collections::VecDeque;

use roads::SegmentIndex;
use rustc_hash::FxHashSet;

use crate::vehicle::VehicleId;
use crate::world::Step;

/// Length of a pane, ms.
pub const PANE_MS: i64 = 10_000;

/// What all vehicles together did on one segment during one pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruthCell {
    pub segment: SegmentIndex,
    /// Event time, a multiple of [`PANE_MS`].
    pub pane_start_ms: i64,
    pub distance_mm: i64,
    pub time_ms: i64,
    /// Different vehicles.
    pub vehicles: u32,
}

/// Collects cells; only those in which somebody was.
#[derive(Debug)]
pub struct Truth {
    /// Distance, time and vehicles by segment, of the pane that runs.
    open: Vec<(i64, i64, u32)>,
    touched: Vec<SegmentIndex>,
    seen: FxHashSet<(SegmentIndex, VehicleId)>,
    open_pane_ms: Option<i64>,
    closed: VecDeque<TruthCell>,
    cells_max: usize,
    discarded: u64,
}

impl Truth {
    /// For a network of `segments`. At most `cells_max` finished cells are kept until [`Truth::take`]; beyond
    /// it the oldest are discarded and counted.
    pub fn new(segments: usize, cells_max: usize) -> Self {
        Self {
            open: vec![(0, 0, 0); segments],
            touched: Vec::new(),
            seen: FxHashSet::default(),
            open_pane_ms: None,
            closed: VecDeque::new(),
            cells_max,
            discarded: 0,
        }
    }

    /// Adds one second.
    pub fn observe(&mut self, step: &Step<'_>) {
        let pane_ms = step.start.0.div_euclid(PANE_MS) * PANE_MS;
        if self.open_pane_ms != Some(pane_ms) {
            self.close();
            self.open_pane_ms = Some(pane_ms);
        }
        // Who enters spends no time yet.
        for step in step.moves().filter(|m| m.end_ms > m.begin_ms || m.to_mm > m.from_mm) {
            let cell = &mut self.open[step.segment.at()];
            if self.seen.insert((step.segment, step.vehicle)) {
                if cell.2 == 0 {
                    self.touched.push(step.segment);
                }
                cell.2 += 1;
            }
            cell.0 += step.to_mm - step.from_mm;
            cell.1 += step.end_ms - step.begin_ms;
        }
    }

    /// The cells of all panes that have ended, by pane, then by segment.
    pub fn take(&mut self) -> Vec<TruthCell> {
        self.closed.drain(..).collect()
    }

    /// As [`Truth::take`], with the pane that still runs.
    pub fn finish(mut self) -> Vec<TruthCell> {
        self.close();
        self.take()
    }

    /// Cells that nobody took in time.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    fn close(&mut self) {
        let Some(pane_start_ms) = self.open_pane_ms.take() else { return };
        self.touched.sort_unstable();
        for segment in self.touched.drain(..) {
            let (distance_mm, time_ms, vehicles) = std::mem::take(&mut self.open[segment.at()]);
            if self.closed.len() >= self.cells_max && self.closed.pop_front().is_some() {
                self.discarded += 1;
            }
            self.closed.push_back(TruthCell { segment, pane_start_ms, distance_mm, time_ms, vehicles });
        }
        self.seen.clear();
    }
}
