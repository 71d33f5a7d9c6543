//! Batches in, panes up to date: the pure core of analytics, the same for live, replay and `analyze`.
//!
//! Upstream: [`crate::follow`] (live), the command line (`analyze`). Downstream: [`crate::metric`],
//! [`crate::output`]. Event time only; there is no clock here.

use std::sync::Arc;

use events::{HeadingDeg, LonLat};
use ingest::batch::{Batch, Positions};
use roads::{Network, SegmentId, SegmentIndex};

use crate::cell::pane_start;
use crate::detector::{Detectors, Reading};
use crate::matching::{Change, MatchConfig, MatchCounts, Matcher, Observed};
use crate::metric::window::{Span, Window};
use crate::pane::PaneStore;
use crate::study::{Study, StudyConfig};

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
}

impl EngineConfig {
    /// Live: what a window or a correction can still need.
    pub fn live() -> Self {
        Self {
            matching: MatchConfig::default(),
            keep_ms: Some(WINDOW_MS_MAX.max(CORRECTABLE_MS)),
            fold: true,
            utc_offset_s: 0,
        }
    }

    /// A recording from end to end: everything is kept.
    pub fn whole(matching: MatchConfig) -> Self {
        Self { matching, keep_ms: None, fold: false, utc_offset_s: 0 }
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
    matcher: Matcher,
    store: PaneStore,
    keep_ms: Option<i64>,
    fold: bool,
    oldest_ms: Option<i64>,
    newest_ms: Option<i64>,
    counts: EngineCounts,
    detectors: Detectors,
    study: Option<Study>,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(network: Arc<Network>, config: EngineConfig) -> Self {
        Self {
            matcher: Matcher::new(Arc::clone(&network), config.matching),
            network,
            store: if config.fold { PaneStore::with_speeds() } else { PaneStore::default() },
            keep_ms: config.keep_ms,
            fold: config.fold,
            oldest_ms: None,
            newest_ms: None,
            counts: EngineCounts::default(),
            detectors: Detectors::new(config.utc_offset_s),
            study: None,
        }
    }

    /// The same, that also learns and judges: free flow, corridors, bottlenecks, incidents.
    #[must_use]
    pub fn studying(self, config: StudyConfig) -> Self {
        let study = Study::new(Arc::clone(&self.network), config);
        Self { study: Some(study), ..self }
    }

    /// The same with a study that has learnt before.
    #[must_use]
    pub fn with_study(self, study: Study) -> Self {
        Self { study: Some(study), ..self }
    }

    /// Counts one batch in.
    pub fn apply(&mut self, batch: &Batch) {
        for row in 0..batch.positions.time_ms.len() {
            self.position(&batch.positions, row);
        }
        for row in 0..batch.detectors.start_ms.len() {
            self.detector(batch, row);
        }
        self.counts.signals += batch.signals.time_ms.len() as u64;
        self.forget();
    }

    /// The network that everything is matched to.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The panes as they are now.
    pub fn store(&self) -> &PaneStore {
        &self.store
    }

    /// What was learnt and judged, where that was asked for.
    pub fn study(&self) -> Option<&Study> {
        self.study.as_ref()
    }

    /// Lets go of everything but the study.
    pub fn into_study(self) -> Option<Study> {
        self.study
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

    fn position(&mut self, rows: &Positions, row: usize) {
        let time_ms = rows.time_ms[row];
        let at = LonLat::new(rows.lon_deg[row], rows.lat_deg[row]).expect("the gate let only valid places through");
        self.counts.positions += 1;
        if self.watermark_ms().is_some_and(|watermark| time_ms < watermark) {
            self.counts.late += 1;
        }
        self.oldest_ms = Some(self.oldest_ms.map_or(time_ms, |oldest| oldest.min(time_ms)));
        let newest_ms = self.newest_ms.map_or(time_ms, |newest| newest.max(time_ms));
        self.newest_ms = Some(newest_ms);
        if let Some(study) = self.study.as_mut().filter(|study| study.is_due(newest_ms)) {
            study.advance(&self.store, newest_ms);
        }
        let seen = Observed {
            vehicle: rows.vehicle[row],
            time_ms,
            at,
            speed_mps: rows.speed_mps[row],
            heading: rows.heading_deg[row].map(HeadingDeg::wrapped),
            edge: rows.edge[row].clone(),
        };
        let (store, counts) = (&mut self.store, &mut self.counts);
        self.matcher.observe(&seen, |change| {
            let kept = match change {
                Change::Add(c) => store.add(&c),
                Change::TakeBack(c) => store.take_back(&c),
            };
            counts.beyond_correction += u64::from(!kept);
        });
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
        if let (Some(study), Some(segment)) = (&mut self.study, segment_of_loop(network, &rows.source[row])) {
            study.loop_interval(segment, reading.end_ms, reading.count, reading.occupancy);
        }
        self.counts.detectors_left_out = self.detectors.left_out();
    }

    /// Lets go of panes, vehicles and detectors that nothing can ask for any more.
    fn forget(&mut self) {
        let Some(newest_ms) = self.newest_ms else { return };
        self.store.slide_to(newest_ms);
        let (Some(keep_ms), Some(watermark_ms)) = (self.keep_ms, self.watermark_ms()) else { return };
        if self.fold {
            self.store.fold_before(newest_ms - FOLD_AFTER_MS);
        }
        let limit_ms = pane_start(watermark_ms - keep_ms);
        if self.store.forget_before(limit_ms) {
            self.matcher.forget_silent(watermark_ms);
            self.detectors.forget_silent(watermark_ms - DETECTORS_KEPT_MS);
        }
    }
}

/// Free-flow speed of the street that a detector lies on, m/s; `None` where it lies on none.
fn free_flow_at(network: &Network, at: Option<LonLat>) -> Option<f64> {
    let mut near = Vec::new();
    network.nearest(at?, DETECTOR_RADIUS_M, &mut near);
    near.first().map(|street| f64::from(network.segment(street.segment).free_flow_mps()))
}

/// The segment of a loop whose name ends with the segment's id after a hyphen, as those of the simulator do. A place
/// alone does not say which direction of a street a loop counts.
fn segment_of_loop(network: &Network, source: &str) -> Option<SegmentIndex> {
    let (_, id) = source.rsplit_once('-')?;
    network.by_id(id.parse::<SegmentId>().ok()?)
}
