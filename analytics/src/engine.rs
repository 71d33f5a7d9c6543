//! Batches in, panes up to date: the pure core of analytics, the same for live, replay and `analyze`.
//!
//! Upstream: [`crate::follow`] (live), the command line (`analyze`). Downstream: [`crate::metric`],
//! [`crate::output`]. Event time only; there is no clock here.

pub mod saved;
#[cfg(test)]
mod tests;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use events::{HeadingDeg, LonLat};
use ingest::batch::{Batch, Positions};
use roads::Network;
use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};

use crate::bus::{Buses, Schedule};
use crate::cell::{PANE_MS, pane_start};
use crate::detector::{Detectors, Reading, Site, Taken};
use crate::fate::{ByFate, SourceClass};
use crate::matching::{Change, MatchConfig, MatchCounts, Matcher, Observed};
use crate::metric::window::{Span, Window};
use crate::pane::PaneStore;
use crate::revision::{CORRECTABLE_MS, PaneState, Revisions};
use crate::signal::{CYCLES_KEPT_LIVE, Signals, Wiring};
use crate::watermark::{Arrival, Watermarks};

/// How far behind the watermark of its class a position may be and still count, milliseconds, unless another bound is
/// set.
pub const LATENESS_MS: i64 = 120_000;

/// The longest live window, milliseconds; it begins at a clock minute, so it can be a minute longer than its name.
pub const WINDOW_MS_MAX: i64 = 61 * 60_000;

/// Panes stay panes for so long behind the newest event; then they fold into minutes. Longer than the longest
/// window that slides by pane.
const FOLD_AFTER_MS: i64 = 6 * 60_000;

/// A detector that was silent for so long is forgotten with its faults and its vehicle length, milliseconds.
const DETECTORS_KEPT_MS: i64 = 14 * 86_400_000;

/// A phase that was silent for so long is forgotten, milliseconds.
const SIGNALS_KEPT_MS: i64 = 86_400_000;

/// A bus that was silent, and a passage that is past, for so long is forgotten, milliseconds.
const BUSES_KEPT_MS: i64 = 6 * 3_600_000;

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
    /// How far behind the watermark of its class a position may be, milliseconds; panes are closed some time after
    /// that. `None` for a recording from end to end, in which nothing comes too late. At most [`CORRECTABLE_MS`].
    pub lateness_ms: Option<i64>,
    /// Whether old panes become minutes and speeds have percentiles: what live windows need, and not what a file of
    /// cells wants.
    pub fold: bool,
    /// How far the city's clock is ahead of UTC, seconds: when a detector's service day begins.
    pub utc_offset_s: i32,
    /// Which detectors belong to which phases of signals.
    pub wiring: Wiring,
    /// Scheduled headways of bus lines.
    pub schedule: Schedule,
}

impl EngineConfig {
    /// Live: what a window or a correction can still need.
    pub fn live() -> Self {
        Self {
            matching: MatchConfig::default(),
            keep_ms: Some(WINDOW_MS_MAX.max(CORRECTABLE_MS)),
            lateness_ms: Some(LATENESS_MS),
            fold: true,
            utc_offset_s: 0,
            wiring: Wiring::default(),
            schedule: Schedule::default(),
        }
    }

    /// A recording from end to end: everything is kept.
    pub fn whole(matching: MatchConfig) -> Self {
        Self {
            matching,
            keep_ms: None,
            lateness_ms: None,
            fold: false,
            utc_offset_s: 0,
            wiring: Wiring::default(),
            schedule: Schedule::default(),
        }
    }
}

/// What came in and what the engine itself left out; each number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineCounts {
    /// Events by [`SourceClass`].
    pub received: [u64; SourceClass::ALL.len()],
    /// Those that came behind the watermark of their class and count all the same.
    pub behind: [u64; SourceClass::ALL.len()],
    /// Positions farther behind than the allowed lateness, which are left out. Detectors and signals are never left
    /// out for that: no pane of theirs is closed.
    pub late: u64,
    /// Events stamped in the future, which are left out.
    pub quarantined: [u64; SourceClass::ALL.len()],
    /// Contributions to panes that are closed, or forgotten.
    pub beyond_correction: u64,
    /// Passages of single vehicles, and intervals beyond [`crate::detector::DETECTORS_MAX`].
    pub detectors_unmatched: u64,
}

/// State of one city: tracks, panes, detectors, watermark.
pub struct Engine {
    network: Arc<Network>,
    matcher: Matcher,
    store: PaneStore,
    revisions: Revisions,
    watermarks: Watermarks,
    config: EngineConfig,
    /// The first position that counted.
    oldest_ms: Option<i64>,
    /// Panes that end at or before this were closed when the batch at hand began.
    closed_ms: Option<i64>,
    newest_of_all_ms: Option<i64>,
    counts: EngineCounts,
    detectors: Detectors,
    signals: Signals,
    buses: Buses,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(network: Arc<Network>, config: EngineConfig) -> Self {
        Self {
            matcher: Matcher::new(Arc::clone(&network), config.matching.clone()),
            network,
            store: if config.fold { PaneStore::with_speeds() } else { PaneStore::default() },
            revisions: Revisions::default(),
            watermarks: Watermarks::default(),
            oldest_ms: None,
            closed_ms: None,
            newest_of_all_ms: None,
            counts: EngineCounts::default(),
            detectors: Detectors::new(config.utc_offset_s),
            signals: Signals::new(config.wiring.clone(), CYCLES_KEPT_LIVE),
            buses: Buses::new(config.schedule.clone()),
            config,
        }
    }

    /// Counts one batch in.
    pub fn apply(&mut self, batch: &Batch) {
        // Panes close between batches: when time jumps within one, what it corrects on both sides still counts.
        self.closed_ms = self.closed_before_ms();
        let before_ms = self.watermarks.of(SourceClass::Position);
        for row in 0..batch.positions.time_ms.len() {
            self.position(&batch.positions, row);
        }
        for row in 0..batch.detectors.start_ms.len() {
            self.detector(batch, row);
        }
        let signals = &batch.signals;
        for row in 0..signals.time_ms.len() {
            let source = (&signals.source[row], signals.phase[row]);
            // Counted when it is not from the future; there is nothing that it could come too late for.
            self.arrival(SourceClass::Signal, number(&source), signals.time_ms[row], signals.received_ms[row]);
        }
        let newest = [&batch.positions.time_ms, &batch.detectors.end_ms, &batch.signals.time_ms];
        self.newest_of_all_ms = newest.into_iter().flatten().copied().chain(self.newest_of_all_ms).max();
        self.signals.apply(batch);
        let now_ms = self.watermarks.of(SourceClass::Position);
        if self.config.lateness_ms.is_some() && before_ms.map(pane_start) != now_ms.map(pane_start) {
            self.end();
        }
        self.revisions.end_block();
        self.forget();
    }

    /// Ends the drives of vehicles that are silent, as far as the watermark knows. To be called at the end of a
    /// recording; live, it happens with every pane.
    pub fn end(&mut self) {
        let Some(watermark_ms) = self.watermarks.of(SourceClass::Position) else { return };
        let mut counter =
            Counter::new(self.watermark_ms(), self.closed_ms, &mut self.store, &mut self.counts, &mut self.revisions);
        self.matcher.forget_silent(pane_start(watermark_ms), |change| counter.count(change));
    }

    /// The network that everything is matched to.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The panes as they are now.
    pub fn store(&self) -> &PaneStore {
        &self.store
    }

    /// The window that ends at the newest position; it does not begin before the first one, so that a rate is
    /// never divided by time in which nobody was listening.
    pub fn span(&self, window: Window) -> Option<Span> {
        let (oldest_ms, newest_ms) = self.oldest_ms.zip(self.watermarks.front_ms(SourceClass::Position))?;
        let span = window.ending(newest_ms);
        Some(Span { start_ms: span.start_ms.max(pane_start(oldest_ms)), ..span })
    }

    /// Panes that end at or before this are final. Never falls.
    pub fn watermark_ms(&self) -> Option<i64> {
        self.watermarks.lowest_ms()
    }

    /// How far each class of sources has come.
    pub fn watermarks(&self) -> &Watermarks {
        &self.watermarks
    }

    /// Whether the pane that begins at `pane_ms` is final, and how often it was corrected.
    pub fn pane_state(&self, pane_ms: i64) -> PaneState {
        self.revisions.state(pane_ms, self.watermark_ms(), self.closed_before_ms())
    }

    /// Corrections of final panes so far.
    pub fn corrections(&self) -> u64 {
        self.revisions.corrections()
    }

    /// What came in.
    pub fn counts(&self) -> EngineCounts {
        self.counts
    }

    /// The fates of all events of a class so far; their sum is what was received, after every batch.
    pub fn fates(&self, class: SourceClass) -> ByFate {
        let (received, quarantined) = (self.counts.received[class as usize], self.counts.quarantined[class as usize]);
        match class {
            SourceClass::Position => {
                let m = self.match_counts();
                // Numbers of the matcher fall and rise with corrections, but never below 0.
                let sum = |parts: &[i64]| parts.iter().map(|n| n.unsigned_abs()).sum::<u64>();
                ByFate {
                    counted: sum(&[m.placed]),
                    duplicate: sum(&[m.same_moment]),
                    late: self.counts.late + sum(&[m.too_late]),
                    quarantined,
                    unmatched: sum(&[m.off_network, m.parked, m.in_junction]),
                }
            }
            SourceClass::Detector => {
                let unmatched = self.counts.detectors_unmatched;
                ByFate { counted: received - quarantined - unmatched, quarantined, unmatched, ..ByFate::default() }
            }
            SourceClass::Signal => ByFate { counted: received - quarantined, quarantined, ..ByFate::default() },
        }
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

    /// Counts an event and moves the watermark of its class.
    fn arrival(&mut self, class: SourceClass, source: u64, time_ms: i64, received_ms: i64) -> Arrival {
        let arrival = self.watermarks.see(class, source, time_ms, received_ms, self.config.lateness_ms);
        self.counts.received[class as usize] += 1;
        match arrival {
            Arrival::InTime => {}
            Arrival::Late if class == SourceClass::Position => self.counts.late += 1,
            Arrival::Behind | Arrival::Late => self.counts.behind[class as usize] += 1,
            Arrival::Ahead => self.counts.quarantined[class as usize] += 1,
        }
        arrival
    }

    /// What the buses did.
    pub fn buses(&self) -> &Buses {
        &self.buses
    }

    /// Newest moment of anything: of detectors and signals too, which may be all that a city has.
    pub fn newest_of_all_ms(&self) -> Option<i64> {
        self.newest_of_all_ms
    }

    /// What the signals did.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    fn position(&mut self, rows: &Positions, row: usize) {
        let (time_ms, vehicle) = (rows.time_ms[row], rows.vehicle[row]);
        match self.arrival(SourceClass::Position, vehicle, time_ms, rows.received_ms[row]) {
            Arrival::InTime | Arrival::Behind => {}
            Arrival::Late | Arrival::Ahead => return,
        }
        self.oldest_ms = Some(self.oldest_ms.map_or(time_ms, |oldest| oldest.min(time_ms)));
        let at = LonLat::new(rows.lon_deg[row], rows.lat_deg[row]).expect("the gate let only valid places through");
        if let Some(journey) = &rows.journey[row] {
            self.buses.observe(vehicle, time_ms, journey);
        }
        let seen = Observed {
            vehicle,
            time_ms,
            at,
            speed_mps: rows.speed_mps[row],
            heading: rows.heading_deg[row].map(HeadingDeg::wrapped),
            edge: rows.edge[row].clone(),
        };
        let mut counter =
            Counter::new(self.watermark_ms(), self.closed_ms, &mut self.store, &mut self.counts, &mut self.revisions);
        self.matcher.observe(&seen, |change| counter.count(change));
    }

    fn detector(&mut self, batch: &Batch, row: usize) {
        let rows = &batch.detectors;
        let source = number(&rows.source[row]);
        if self.arrival(SourceClass::Detector, source, rows.end_ms[row], rows.received_ms[row]) == Arrival::Ahead {
            return;
        }
        // Its actuations are for the signal.
        if self.signals.has_detector(&rows.source[row]) {
            return;
        }
        let reading = Reading {
            start_ms: rows.start_ms[row],
            end_ms: rows.end_ms[row],
            count: rows.count[row],
            occupancy: rows.occupancy[row],
            speed_mps: rows.speed_mps[row],
        };
        let network = &self.network;
        let source = &rows.source[row];
        let site = || {
            let at = rows.lon_deg[row].zip(rows.lat_deg[row]).and_then(|(lon, lat)| LonLat::new(lon, lat).ok());
            site_of(network, source, at)
        };
        match self.detectors.apply(source, reading, site) {
            Taken::Counted => {}
            Taken::Passage | Taken::LeftOut => self.counts.detectors_unmatched += 1,
        }
    }

    /// Panes that end at or before this are closed. It follows positions alone, since nothing else is in the panes.
    fn closed_before_ms(&self) -> Option<i64> {
        self.config.lateness_ms?;
        self.watermarks.of(SourceClass::Position).map(|watermark| watermark - CORRECTABLE_MS)
    }

    /// Lets go of panes, vehicles and detectors that nothing can ask for any more.
    fn forget(&mut self) {
        if self.config.keep_ms.is_some() {
            if let Some(watermark_ms) = self.watermarks.of(SourceClass::Detector) {
                self.detectors.forget_silent(watermark_ms - DETECTORS_KEPT_MS);
            }
            if let Some(watermark_ms) = self.watermarks.of(SourceClass::Signal) {
                self.signals.forget_silent(watermark_ms - SIGNALS_KEPT_MS);
            }
        }
        let Some(newest_ms) = self.watermarks.front_ms(SourceClass::Position) else { return };
        self.store.slide_to(newest_ms);
        let Some((keep_ms, watermark_ms)) = self.config.keep_ms.zip(self.watermarks.of(SourceClass::Position)) else {
            return;
        };
        if self.config.fold {
            self.store.fold_before(newest_ms - FOLD_AFTER_MS);
        }
        let limit_ms = pane_start(watermark_ms - keep_ms);
        if self.store.forget_before(limit_ms) {
            self.revisions.forget_before(limit_ms);
            self.buses.forget_silent(watermark_ms - BUSES_KEPT_MS);
        }
    }
}

/// Puts what the matcher tells into the panes that are open.
struct Counter<'e> {
    final_ms: i64,
    closed_ms: Option<i64>,
    store: &'e mut PaneStore,
    counts: &'e mut EngineCounts,
    revisions: &'e mut Revisions,
}

impl<'e> Counter<'e> {
    fn new(
        watermark_ms: Option<i64>,
        closed_ms: Option<i64>,
        store: &'e mut PaneStore,
        counts: &'e mut EngineCounts,
        revisions: &'e mut Revisions,
    ) -> Self {
        Self { final_ms: watermark_ms.unwrap_or(i64::MIN), closed_ms, store, counts, revisions }
    }

    fn count(&mut self, change: Change) {
        let (c, is_added) = match change {
            Change::Add(c) => (c, true),
            Change::TakeBack(c) => (c, false),
        };
        let is_open = self.closed_ms.is_none_or(|closed| c.pane_ms + PANE_MS > closed);
        if is_open && if is_added { self.store.add(&c) } else { self.store.take_back(&c) } {
            self.revisions.note(&c, is_added, self.final_ms);
        } else {
            self.counts.beyond_correction += 1;
        }
    }
}

/// A source as a number, to tell it from others of its class; the same on every machine.
fn number(source: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    source.hash(&mut hasher);
    hasher.finish()
}

/// Where a detector stands: the street nearest to it gives its free-flow speed. Which direction of a street it measures
/// cannot be told from its place, so its segment is known only where nothing else is near, or where its name ends in
/// `-` and the id of a segment that is.
fn site_of(network: &Network, source: &str, at: Option<LonLat>) -> Site {
    let mut near = Vec::new();
    if let Some(at) = at {
        network.nearest(at, DETECTOR_RADIUS_M, &mut near);
    }
    let free_mps = |segment| f64::from(network.segment(segment).free_flow_mps());
    let named = source.rsplit_once('-').and_then(|(_, id)| network.by_id(id.parse().ok()?));
    let named = named.filter(|segment| near.iter().any(|street| street.segment == *segment));
    let segment = match (named, &near[..]) {
        (Some(segment), _) => Some(segment),
        (None, [only]) => Some(only.segment),
        (None, _) => None,
    };
    let nearest = segment.or(near.first().map(|street| street.segment));
    Site { free_mps: nearest.map_or(FREE_FLOW_DEFAULT_MPS, free_mps), segment }
}
