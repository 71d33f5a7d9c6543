//! Batches in, panes up to date: the pure core of analytics, the same for live, replay and `analyze`.
//!
//! Upstream: [`crate::follow`] (live), the command line (`analyze`). Downstream: [`crate::metric`],
//! [`crate::output`]. Event time only; there is no clock here.

mod count;
mod history;
pub mod saved;
mod site;
#[cfg(test)]
mod tests;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use events::LonLat;
use ingest::batch::{Batch, Positions};
use roads::Network;
use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};

use crate::archive::collect::{CollectConfig, Collector};
use crate::bus::{Buses, Schedule};
use crate::cell::pane_start;
use crate::detector::{Detectors, Reading, Taken};
use crate::fate::{ByFate, SourceClass};
use crate::matching::shards::{Outcome, Shards, Turn};
use crate::matching::{MatchConfig, MatchCounts};
use crate::metric::window::{Span, Window};
use crate::pane::PaneStore;
use crate::revision::{CORRECTABLE_MS, PaneState, Revisions};
use crate::signal::{Signals, Wiring};
use crate::study::{Study, StudyConfig};
use crate::watermark::{Arrival, Watermarks};
use count::{Moment, Panes};
use site::{segment_of_loop, site_of};

/// How far behind the watermark of its class a position may be and still count, milliseconds, unless another bound is
/// set.
pub const LATENESS_MS: i64 = 120_000;

/// The longest live window, milliseconds; it begins at a clock minute, so it can be a minute longer than its name.
pub const WINDOW_MS_MAX: i64 = 61 * 60_000;

/// A detector that was silent for so long is forgotten with its faults and its vehicle length, milliseconds.
const DETECTORS_KEPT_MS: i64 = 14 * 86_400_000;

/// A phase that was silent for so long is forgotten, milliseconds.
const SIGNALS_KEPT_MS: i64 = 86_400_000;

/// A bus that was silent, and a passage that is past, for so long is forgotten, milliseconds.
const BUSES_KEPT_MS: i64 = 6 * 3_600_000;

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
    /// What to learn and judge besides: free flow, corridors, bottlenecks, incidents.
    pub study: Option<StudyConfig>,
    /// Matchers side by side; no figure depends on it.
    pub threads: usize,
    /// What is collected for history; no figure depends on it.
    pub collect: Option<CollectConfig>,
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
            study: None,
            threads: threads(),
            collect: None,
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
            study: None,
            threads: threads(),
            collect: None,
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
    matcher: Shards,
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
    study: Option<Study>,
    collector: Option<Collector>,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(network: Arc<Network>, config: EngineConfig) -> Self {
        Self {
            matcher: Shards::new(&network, &config.matching, config.threads),
            store: if config.fold { PaneStore::with_windows(free_flow(&network)) } else { PaneStore::default() },
            revisions: Revisions::default(),
            watermarks: Watermarks::default(),
            oldest_ms: None,
            closed_ms: None,
            newest_of_all_ms: None,
            counts: EngineCounts::default(),
            detectors: Detectors::new(config.utc_offset_s),
            signals: Signals::new(config.wiring.clone(), history::cycles_kept(&config)),
            buses: Buses::new(config.schedule.clone()),
            study: config.study.clone().map(|study| Study::new(Arc::clone(&network), study)),
            collector: config.collect.map(Collector::new),
            network,
            config,
        }
    }

    /// The same with a study that has learnt before.
    #[must_use]
    pub fn with_study(self, study: Study) -> Self {
        Self { study: Some(study), ..self }
    }

    /// Counts one batch in.
    pub fn apply(&mut self, batch: &Batch) {
        self.apply_all(std::slice::from_ref(batch));
    }

    /// Counts batches in: the same as one after the other, but threads have more to share.
    pub fn apply_all(&mut self, batches: &[Batch]) {
        let (turns, moments): (Vec<_>, Vec<_>) = batches.iter().map(|batch| self.take_note(batch)).unzip();
        self.match_all(&turns, &moments);
    }

    /// Ends the drives of vehicles that are silent, as far as the watermark knows. To be called at the end of a
    /// recording; live, it happens with every pane.
    pub fn end(&mut self) {
        let Some(watermark_ms) = self.watermarks.of(SourceClass::Position) else { return };
        let rows = Positions::default();
        let turn = Turn { rows: &rows, counted: Vec::new(), forget_ms: Some(pane_start(watermark_ms)) };
        let moment = self.moment(self.watermark_ms());
        self.match_all(&[turn], &[moment]);
    }

    /// Everything of a batch but the matching of its positions, which nothing else waits for.
    fn take_note<'b>(&mut self, batch: &'b Batch) -> (Turn<'b>, Moment) {
        // Panes close between batches: when time jumps within one, what it corrects on both sides still counts.
        self.closed_ms = self.closed_before_ms();
        let final_ms = self.watermark_ms();
        let before_ms = self.watermarks.of(SourceClass::Position);
        let panes_before = self.panes_reached();
        let rows = &batch.positions;
        let counted = (0..rows.len()).filter(|&row| self.position(rows, row)).map(|row| row as u32).collect();
        for row in 0..batch.detectors.start_ms.len() {
            self.detector(batch, row);
        }
        let signals = &batch.signals;
        for row in 0..signals.time_ms.len() {
            let source = (&signals.source[row], signals.phase[row]);
            // Counted when it is not from the future; there is nothing that it could come too late for.
            let (time_ms, received_ms) = (signals.time_ms[row], signals.received_ms[row]);
            let arrival = self.arrival(SourceClass::Signal, number(&source), time_ms, received_ms);
            self.note(SourceClass::Signal, time_ms, arrival);
        }
        let newest = [&rows.time_ms, &batch.detectors.end_ms, &signals.time_ms];
        self.newest_of_all_ms = newest.into_iter().flatten().copied().chain(self.newest_of_all_ms).max();
        self.signals.apply(batch);
        self.close_roadside();
        // Not with every block: it looks at every detector.
        if self.panes_reached() != panes_before {
            self.forget_roadside();
        }
        let now_ms = self.watermarks.of(SourceClass::Position);
        let is_next = self.config.lateness_ms.is_some() && before_ms.map(pane_start) != now_ms.map(pane_start);
        let forget_ms = now_ms.filter(|_| is_next).map(pane_start);
        (Turn { rows, counted, forget_ms }, self.moment(final_ms))
    }

    /// The pane that the watermark of each class is in.
    fn panes_reached(&self) -> [Option<i64>; SourceClass::ALL.len()] {
        SourceClass::ALL.map(|class| self.watermarks.of(class).map(pane_start))
    }

    fn moment(&self, final_ms: Option<i64>) -> Moment {
        Moment {
            final_ms: final_ms.unwrap_or(i64::MIN),
            closed_ms: self.closed_ms.unwrap_or(i64::MIN),
            newest_ms: self.watermarks.front_ms(SourceClass::Position),
            watermark_ms: self.watermarks.of(SourceClass::Position),
        }
    }

    /// Matches the positions of batches and counts what follows into the panes, batch after batch.
    fn match_all(&mut self, turns: &[Turn<'_>], moments: &[Moment]) {
        let mut panes = Panes {
            store: &mut self.store,
            counts: &mut self.counts,
            revisions: &mut self.revisions,
            study: self.study.as_mut(),
            open: Vec::new(),
            keep_ms: self.config.keep_ms,
            fold: self.config.fold,
            collector: self.collector.as_mut().filter(|_| self.config.lateness_ms.is_some()),
            network: &self.network,
        };
        let mut now = 0;
        self.matcher.observe(turns, |outcome| match outcome {
            Outcome::Changes(changes) => panes.change(changes, &moments[now]),
            Outcome::Seen(seen) => panes.seen(seen),
            Outcome::Done => {
                panes.done(&moments[now]);
                now += 1;
            }
        });
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
        if let Some(study) = &self.study {
            // Learnt once an hour; what is held against another free flow is added up anew at every tick.
            self.store.hold_against(study.learnt().free_flow.mps());
        }
        self.store.settle();
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

    /// Whether a position is to be matched.
    fn position(&mut self, rows: &Positions, row: usize) -> bool {
        let (time_ms, vehicle) = (rows.time_ms[row], rows.vehicle[row]);
        let arrival = self.arrival(SourceClass::Position, vehicle, time_ms, rows.received_ms[row]);
        self.note(SourceClass::Position, time_ms, arrival);
        match arrival {
            Arrival::InTime | Arrival::Behind => {}
            Arrival::Late | Arrival::Ahead => return false,
        }
        self.oldest_ms = Some(self.oldest_ms.map_or(time_ms, |oldest| oldest.min(time_ms)));
        if let Some(journey) = &rows.journey[row] {
            self.buses.observe(vehicle, time_ms, journey);
        }
        self.collect_position(rows, row);
        true
    }

    fn detector(&mut self, batch: &Batch, row: usize) {
        let rows = &batch.detectors;
        let source = number(&rows.source[row]);
        let arrival = self.arrival(SourceClass::Detector, source, rows.end_ms[row], rows.received_ms[row]);
        if arrival == Arrival::Ahead {
            self.note(SourceClass::Detector, rows.end_ms[row], arrival);
            return;
        }
        // Its actuations are for the signal.
        if self.signals.has_detector(&rows.source[row]) {
            self.note(SourceClass::Detector, rows.end_ms[row], arrival);
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
        if let (Some(study), Some(segment)) = (&mut self.study, segment_of_loop(network, source)) {
            study.loop_interval(segment, reading.end_ms, reading.count, reading.occupancy);
        }
        let taken = self.detectors.apply(source, reading, site);
        self.collect_interval(source, &reading, taken);
        match taken {
            Taken::Counted => {}
            Taken::Passage | Taken::LeftOut => self.counts.detectors_unmatched += 1,
        }
    }

    /// Panes that end at or before this are closed. It follows positions alone, since nothing else is in the panes.
    fn closed_before_ms(&self) -> Option<i64> {
        self.config.lateness_ms?;
        self.watermarks.of(SourceClass::Position).map(|watermark| watermark - CORRECTABLE_MS)
    }

    /// Lets go of detectors, signals and buses that have long been silent.
    fn forget_roadside(&mut self) {
        if self.config.keep_ms.is_none() {
            return;
        }
        if let Some(watermark_ms) = self.watermarks.of(SourceClass::Detector) {
            self.detectors.forget_silent(watermark_ms - DETECTORS_KEPT_MS);
        }
        if let Some(watermark_ms) = self.watermarks.of(SourceClass::Signal) {
            self.signals.forget_silent(watermark_ms - SIGNALS_KEPT_MS);
        }
        if let Some(watermark_ms) = self.watermarks.of(SourceClass::Position) {
            self.buses.forget_silent(watermark_ms - BUSES_KEPT_MS);
        }
    }
}

/// A matcher for every processor, at most 16: each has its own memory of routes.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(16))
}

/// Free-flow speed of every segment, m/s.
fn free_flow(network: &Network) -> Vec<f64> {
    network.segments().iter().map(|s| f64::from(s.free_flow_mps())).collect()
}

/// A source as a number, to tell it from others of its class; the same on every machine.
fn number(source: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    source.hash(&mut hasher);
    hasher.finish()
}
