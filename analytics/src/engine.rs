//! Batches in, panes up to date: the pure core of analytics, the same for live, replay and `analyze`.
//!
//! Upstream: [`crate::follow`] (live), the command line (`analyze`). Downstream: [`crate::metric`],
//! [`crate::output`]. Event time only; there is no clock here.

use std::sync::Arc;

use events::LonLat;
use ingest::batch::Batch;
use roads::Network;

use crate::cell::pane_start;
use crate::detector::{Detectors, Reading};
use crate::matching::shards::{Outcome, Shards, Turn};
use crate::matching::{MatchConfig, MatchCounts};
use crate::metric::window::{Span, Window, minute_start};
use crate::pane::PaneStore;

/// How far the watermark lags behind the newest event, milliseconds.
pub const WATERMARK_LAG_MS: i64 = 30_000;

/// How long a final pane can still be corrected, milliseconds.
pub const CORRECTABLE_MS: i64 = 15 * 60_000;

/// The longest live window, milliseconds; it begins at a clock minute, so it can be a minute longer than its name.
pub const WINDOW_MS_MAX: i64 = 61 * 60_000;

/// Panes stay panes for so long behind the newest event; then they fold into minutes. Longer than the longest
/// window that slides by pane.
const FOLD_AFTER_MS: i64 = 6 * 60_000;

/// A detector that was silent for so long is forgotten with its faults and its vehicle length, milliseconds.
const DETECTORS_KEPT_MS: i64 = 14 * 86_400_000;

/// How far from its street a detector may be drawn, metres.
const DETECTOR_RADIUS_M: f64 = 30.0;

/// Free-flow speed over a detector that lies on no street of the network, m/s: 60 mph, the constant of PeMS.
const FREE_FLOW_DEFAULT_MPS: f64 = 26.8;

/// What the engine is told.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    pub matching: MatchConfig,
    /// Panes older than this behind the watermark are forgotten; `None` keeps all (`analyze`).
    pub keep_ms: Option<i64>,
    /// Whether old panes become minutes and speeds have percentiles: what live windows need, and not what a file of
    /// cells wants.
    pub fold: bool,
    /// How far the city's clock is ahead of UTC, seconds: when a detector's service day begins.
    pub utc_offset_s: i32,
    /// Matchers side by side; no figure depends on it.
    pub threads: usize,
}

impl EngineConfig {
    /// Live: what a window or a correction can still need.
    pub fn live() -> Self {
        Self {
            matching: MatchConfig::default(),
            keep_ms: Some(WINDOW_MS_MAX.max(CORRECTABLE_MS)),
            fold: true,
            utc_offset_s: 0,
            threads: threads(),
        }
    }

    /// A recording from end to end: everything is kept.
    pub fn whole(matching: MatchConfig) -> Self {
        Self { matching, keep_ms: None, fold: false, utc_offset_s: 0, threads: threads() }
    }
}

/// What came in and what did not end in a cell; each number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCounts {
    pub positions: u64,
    pub detectors: u64,
    pub signals: u64,
    /// Positions that arrived behind the watermark; they are counted in their cells all the same.
    pub late: u64,
    /// Contributions to panes that are already forgotten.
    pub beyond_correction: u64,
    /// Detector intervals left out because of [`crate::detector::DETECTORS_MAX`].
    pub detectors_left_out: u64,
}

/// State of one city: tracks, panes, detectors, watermark.
pub struct Engine {
    network: Arc<Network>,
    matcher: Shards,
    store: PaneStore,
    keep_ms: Option<i64>,
    fold: bool,
    oldest_ms: Option<i64>,
    newest_ms: Option<i64>,
    counts: EngineCounts,
    detectors: Detectors,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(network: Arc<Network>, config: EngineConfig) -> Self {
        Self {
            matcher: Shards::new(&network, &config.matching, config.threads),
            store: if config.fold { PaneStore::with_windows(free_flow(&network)) } else { PaneStore::default() },
            network,
            keep_ms: config.keep_ms,
            fold: config.fold,
            oldest_ms: None,
            newest_ms: None,
            counts: EngineCounts::default(),
            detectors: Detectors::new(config.utc_offset_s),
        }
    }

    /// Counts one batch in.
    pub fn apply(&mut self, batch: &Batch) {
        self.apply_all(std::slice::from_ref(batch));
    }

    /// Counts batches in: the same as one after the other, but threads have more to share.
    pub fn apply_all(&mut self, batches: &[Batch]) {
        let (mut turns, mut newest) = (Vec::with_capacity(batches.len()), Vec::with_capacity(batches.len()));
        for batch in batches {
            let before_ms = self.watermark_ms();
            batch.positions.time_ms.iter().for_each(|&time_ms| self.arrived(time_ms));
            let minute = |watermark_ms: Option<i64>| watermark_ms.map(minute_start);
            let is_next = self.keep_ms.is_some() && minute(self.watermark_ms()) > minute(before_ms);
            let forget_ms = self.watermark_ms().filter(|_| is_next);
            turns.push(Turn { rows: &batch.positions, forget_ms });
            newest.push(self.newest_ms);
        }
        let (store, counts, keep_ms, fold) = (&mut self.store, &mut self.counts, self.keep_ms, self.fold);
        self.matcher.observe(&turns, |outcome| match outcome {
            Outcome::Changes(changes) => counts.beyond_correction += store.apply(changes),
            Outcome::Done(at) => {
                if let Some(newest_ms) = newest[at] {
                    move_on(store, newest_ms, keep_ms, fold);
                }
            }
        });
        for (batch, turn) in batches.iter().zip(turns) {
            for row in 0..batch.detectors.start_ms.len() {
                self.detector(batch, row);
            }
            self.counts.signals += batch.signals.time_ms.len() as u64;
            if let Some(watermark_ms) = turn.forget_ms {
                self.detectors.forget_silent(watermark_ms - DETECTORS_KEPT_MS);
            }
        }
    }

    /// The network that everything is matched to.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The panes as they are now.
    pub fn store(&self) -> &PaneStore {
        &self.store
    }

    /// Works out what a tick asks the panes for; without it they say the same, slowly.
    pub fn settle(&mut self) {
        self.store.settle();
    }

    /// The window that ends at the newest position; it does not begin before the first one, so that a rate is
    /// never divided by time in which nobody was listening.
    pub fn span(&self, window: Window) -> Option<Span> {
        let (oldest_ms, newest_ms) = self.oldest_ms.zip(self.newest_ms)?;
        let span = window.ending(newest_ms);
        Some(Span { start_ms: span.start_ms.max(pane_start(oldest_ms)), ..span })
    }

    /// Panes that end at or before this are final. Never falls.
    pub fn watermark_ms(&self) -> Option<i64> {
        self.newest_ms.map(|newest| newest - WATERMARK_LAG_MS)
    }

    /// What came in.
    pub fn counts(&self) -> EngineCounts {
        self.counts
    }

    /// What became of fixes and steps.
    pub fn match_counts(&self) -> MatchCounts {
        self.matcher.counts()
    }

    /// Vehicles in memory.
    pub fn vehicles(&self) -> usize {
        self.matcher.vehicles()
    }

    /// What the detectors say.
    pub fn detectors(&self) -> &Detectors {
        &self.detectors
    }

    fn arrived(&mut self, time_ms: i64) {
        self.counts.positions += 1;
        if self.watermark_ms().is_some_and(|watermark| time_ms < watermark) {
            self.counts.late += 1;
        }
        self.oldest_ms = Some(self.oldest_ms.map_or(time_ms, |oldest| oldest.min(time_ms)));
        self.newest_ms = Some(self.newest_ms.map_or(time_ms, |newest| newest.max(time_ms)));
    }

    fn detector(&mut self, batch: &Batch, row: usize) {
        let rows = &batch.detectors;
        self.counts.detectors += 1;
        let reading = Reading {
            start_ms: rows.start_ms[row],
            end_ms: rows.end_ms[row],
            count: rows.count[row],
            occupancy: rows.occupancy[row],
            speed_mps: rows.speed_mps[row],
        };
        let network = &self.network;
        let free_mps = || {
            let at = rows.lon_deg[row].zip(rows.lat_deg[row]).and_then(|(lon, lat)| LonLat::new(lon, lat).ok());
            free_flow_at(network, at).unwrap_or(FREE_FLOW_DEFAULT_MPS)
        };
        self.detectors.apply(&rows.source[row], reading, free_mps);
        self.counts.detectors_left_out = self.detectors.left_out();
    }
}

/// Moves the windows on and lets go of panes that nothing can ask for any more.
fn move_on(store: &mut PaneStore, newest_ms: i64, keep_ms: Option<i64>, fold: bool) {
    store.slide_to(newest_ms);
    let Some(keep_ms) = keep_ms else { return };
    if fold {
        store.fold_before(newest_ms - FOLD_AFTER_MS);
    }
    store.forget_before(pane_start(newest_ms - WATERMARK_LAG_MS - keep_ms));
}

/// A matcher for every processor, at most 16: each has its own memory of routes.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(16))
}

/// Free-flow speed of every segment, m/s.
fn free_flow(network: &Network) -> Vec<f64> {
    network.segments().iter().map(|s| f64::from(s.free_flow_mps())).collect()
}

/// Free-flow speed of the street that a detector lies on, m/s; `None` where it lies on none.
fn free_flow_at(network: &Network, at: Option<LonLat>) -> Option<f64> {
    let mut near = Vec::new();
    network.nearest(at?, DETECTOR_RADIUS_M, &mut near);
    near.first().map(|street| f64::from(network.segment(street.segment).free_flow_mps()))
}
