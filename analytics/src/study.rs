//! What is learnt and judged as event time goes on: free flow, reliability, bottlenecks, incidents, the probe share.
//!
//! Upstream: [`crate::engine`] calls [`Study::advance`] whenever the watermark has passed panes, and hands over the
//! intervals of loops. Downstream: [`crate::follow`] publishes what stands here.
//!
//! What is learnt is read from panes that are final: the same events give the same findings, whatever the batches. What
//! comes later than the watermark corrects the cells and not what was learnt from them. Alarms cannot wait so long: they
//! look at a pane [`ALARM_LAG_MS`] after its end, and what is later than that they have not seen. Each part goes at its own
//! pace: alarms by pane, free flow by clock minute, corridors and bottlenecks by five minutes.

use std::sync::Arc;

use roads::{Network, SegmentIndex};
use serde::{Deserialize, Serialize};

use crate::area::Areas;
use crate::bottleneck::Bottlenecks;
use crate::cell::{PANE_MS, pane_start};
use crate::free_flow::FreeFlow;
use crate::incident::Alarms;
use crate::incident::california::California;
use crate::incident::head::{Heads, Seen};
use crate::incident::probe::Probes;
use crate::metric::area::{AreaQuery, Held};
use crate::metric::probe_share::{LoopCounts, ProbeShare};
use crate::metric::window::{MINUTE_MS, Span};
use crate::pane::{PaneStore, Totals};
use crate::reliability::{INTERVAL_MS, Reliability};
use crate::upstream::Upstream;
use crate::watermark::LAG_MS as WATERMARK_LAG_MS;

/// After a gap in the data of so long nothing of before is carried on, and the panes of the gap are not looked at.
const GAP_MS: i64 = 10 * 60_000;

/// How far alarms are behind the newest event, milliseconds: positions of a city are mostly delivered within seconds.
pub const ALARM_LAG_MS: i64 = 10_000;

/// What is told to a study.
#[derive(Clone, Debug)]
pub struct StudyConfig {
    pub areas: Arc<Areas>,
    /// Share of the vehicles that report, where a person knows it.
    pub probe_share: Option<ProbeShare>,
    /// How far the city's clock is ahead of UTC, seconds.
    pub utc_offset_s: i32,
}

/// Everything that must survive a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learnt {
    /// End of the newest pane that was learnt from, and of the newest one that alarms have looked at.
    done_ms: Option<i64>,
    watched_ms: Option<i64>,
    pub free_flow: FreeFlow,
    pub reliability: Reliability,
    pub bottlenecks: Bottlenecks,
    pub probes: Probes,
    pub heads: Heads,
    pub california: California,
    pub alarms: Alarms,
    loop_counts: LoopCounts,
    /// Segments with loops, and what each has counted in the clock minute that runs.
    loops: std::collections::BTreeMap<u32, u64>,
}

impl Learnt {
    /// The same at the begin of another recording: what is usual stays, what was going on does not.
    #[must_use]
    pub fn on_another_day(self) -> Self {
        let (probes, heads) = (self.probes.on_another_day(), self.heads.on_another_day());
        Self {
            done_ms: None,
            watched_ms: None,
            probes,
            heads,
            bottlenecks: Bottlenecks::default(),
            california: California::default(),
            alarms: Alarms::default(),
            ..self
        }
    }
}

/// A study of one city.
#[derive(Debug)]
pub struct Study {
    network: Arc<Network>,
    config: StudyConfig,
    upstream: Upstream,
    corridors: AreaQuery,
    learnt: Learnt,
}

impl Study {
    /// A study that has learnt nothing.
    pub fn new(network: Arc<Network>, config: StudyConfig) -> Self {
        let corridors = config.areas.corridors().len();
        let learnt = Learnt {
            done_ms: None,
            watched_ms: None,
            free_flow: FreeFlow::new(&network, config.utc_offset_s),
            reliability: Reliability::new(corridors, config.utc_offset_s),
            bottlenecks: Bottlenecks::default(),
            probes: Probes::new(network.segments().len()),
            heads: Heads::default(),
            california: California::default(),
            alarms: Alarms::default(),
            loop_counts: LoopCounts::default(),
            loops: std::collections::BTreeMap::new(),
        };
        Self::resumed(network, config, learnt)
    }

    /// A study that goes on with what an earlier one of the same network and corridors has learnt.
    pub fn resumed(network: Arc<Network>, config: StudyConfig, learnt: Learnt) -> Self {
        let length_m = network.segments().iter().map(|s| s.length_m).collect();
        let corridors = AreaQuery::new(&config.areas, length_m);
        Self { upstream: Upstream::new(&network), corridors, learnt, network, config }
    }

    /// What was learnt.
    pub fn learnt(&self) -> &Learnt {
        &self.learnt
    }

    /// Lets go of everything but what was learnt.
    pub fn into_learnt(self) -> Learnt {
        self.learnt
    }

    /// The areas that are watched.
    pub fn areas(&self) -> &Arc<Areas> {
        &self.config.areas
    }

    /// The network against the driving direction.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The share of vehicles that report: given, else estimated by loops, else everybody's.
    pub fn probe_share(&self) -> ProbeShare {
        self.config.probe_share.or_else(|| self.learnt.loop_counts.share()).unwrap_or(ProbeShare::UNSCALED)
    }

    /// Whether a pane has ended that was not looked at.
    pub fn is_due(&self, newest_ms: i64) -> bool {
        let is_over = |done: Option<i64>, lag_ms| done.is_none_or(|done| newest_ms - lag_ms >= done + PANE_MS);
        is_over(self.learnt.watched_ms, ALARM_LAG_MS) || is_over(self.learnt.done_ms, WATERMARK_LAG_MS)
    }

    /// Takes an interval of the loop on a segment.
    pub fn loop_interval(&mut self, segment: SegmentIndex, end_ms: i64, count: Option<u32>, occupancy: Option<f32>) {
        if let Some(occupancy) = occupancy {
            self.learnt.california.reading(segment, end_ms, occupancy);
        }
        if let Some(count) = count {
            *self.learnt.loops.entry(segment.0).or_default() += u64::from(count);
        }
    }

    /// Takes where vehicles were when a pane ended.
    pub fn see(&mut self, seen: &[Seen]) {
        seen.iter().for_each(|one| self.learnt.heads.see(one));
    }

    /// Looks at every pane that has ended by now, each part with its own lag behind the newest event.
    pub fn advance(&mut self, store: &PaneStore, newest_ms: i64) {
        let watched = ends(&mut self.learnt.watched_ms, store, newest_ms, ALARM_LAG_MS);
        let mut done = ends(&mut self.learnt.done_ms, store, newest_ms, WATERMARK_LAG_MS).into_iter().peekable();
        // In the order in which the newest event reaches them.
        for end_ms in watched {
            let reached_ms = end_ms + ALARM_LAG_MS;
            while let Some(end_ms) = done.next_if(|end_ms| end_ms + WATERMARK_LAG_MS < reached_ms) {
                self.learn(store, end_ms);
            }
            self.watch(store, end_ms);
        }
        done.for_each(|end_ms| self.learn(store, end_ms));
    }

    /// Alarms: the pane that ended then.
    fn watch(&mut self, store: &PaneStore, end_ms: i64) {
        let span = Span { start_ms: end_ms - PANE_MS, end_ms: end_ms - 1 };
        let pane = store.totals(span, self.learnt.free_flow.mps());
        let Learnt { probes, heads, alarms, california, .. } = &mut self.learnt;
        let known_ms = end_ms + ALARM_LAG_MS;
        probes.pane(&self.network, end_ms, known_ms, &pane, alarms);
        heads.pane(&self.network, end_ms, known_ms, alarms);
        alarms.fuse(known_ms);
        california.judge(&self.network, known_ms, alarms);
    }

    /// What is learnt when a minute, or five, end with the pane that ended then.
    fn learn(&mut self, store: &PaneStore, end_ms: i64) {
        if end_ms.rem_euclid(MINUTE_MS) == 0 {
            let span = Span { start_ms: end_ms - MINUTE_MS, end_ms: end_ms - 1 };
            let minute = store.totals(span, self.learnt.free_flow.mps());
            self.count_loops(&minute);
            self.learnt.free_flow.minute(&self.network, span.start_ms, &minute);
        }
        if end_ms.rem_euclid(INTERVAL_MS) == 0 {
            self.interval(store, Span { start_ms: end_ms - INTERVAL_MS, end_ms: end_ms - 1 });
        }
    }

    /// Five minutes: bottlenecks, and the travel time of every corridor.
    fn interval(&mut self, store: &PaneStore, span: Span) {
        let free_mps = self.learnt.free_flow.mps();
        let totals = store.totals(span, free_mps);
        self.learnt.bottlenecks.interval(&self.network, &self.upstream, span.start_ms, &totals, free_mps);
        let no_errors = vec![None; totals.segment.len()];
        let share = self.probe_share();
        let basis = self.learnt.free_flow.basis();
        let held = Held { free_mps: self.learnt.free_flow.mps(), basis, stderr_mps: &no_errors, share };
        let metrics = self.corridors.run(&totals, &held, span).expect("the query is fixed and runs in the tests");
        for (corridor, metrics) in metrics.iter().take(self.config.areas.corridors().len()).enumerate() {
            if let Some(travel_time_s) = metrics.travel_time_s {
                self.learnt.reliability.add(corridor, span.start_ms, travel_time_s);
            }
        }
    }

    /// What probes and loops saw on the segments with loops in the last minute.
    fn count_loops(&mut self, minute: &Totals) {
        if self.learnt.loops.is_empty() {
            return;
        }
        let (mut by_probes, mut by_loops) = (0.0, 0);
        for (row, segment) in minute.segment.iter().enumerate() {
            if self.learnt.loops.contains_key(segment) {
                by_probes += minute.distance_m[row] / self.network.segments()[*segment as usize].length_m;
            }
        }
        for count in self.learnt.loops.values_mut() {
            by_loops += std::mem::take(count);
        }
        self.learnt.loop_counts.minute(by_probes, by_loops);
    }
}

/// Ends of the panes after the last one that was done, up to so long behind the newest event; then all of them are done.
///
/// A block may hold hours: they are looked at as if every pane with data had come by itself, so that only a gap in the data
/// is left out, and what is learnt does not depend on how events are cut into blocks.
fn ends(done: &mut Option<i64>, store: &PaneStore, newest_ms: i64, lag_ms: i64) -> Vec<i64> {
    let (last_ms, mut ends) = (pane_start(newest_ms - lag_ms), Vec::new());
    if done.is_none_or(|before| last_ms - before > GAP_MS) {
        let from_ms = done.map_or(i64::MIN, |before| before + lag_ms + PANE_MS);
        let reached = store.panes_from(from_ms).into_iter().map(|pane_ms| pane_ms - lag_ms);
        reached.take_while(|reached_ms| *reached_ms < last_ms).for_each(|ms| go_on(done, ms, &mut ends));
    }
    go_on(done, last_ms, &mut ends);
    ends
}

/// Goes on to a pane that ends at `last_ms`: at the begin, and after a gap, only that one is looked at.
fn go_on(done: &mut Option<i64>, last_ms: i64, ends: &mut Vec<i64>) {
    let first_ms = done.filter(|before| last_ms - before <= GAP_MS).map_or(last_ms, |before| before + PANE_MS);
    ends.extend((first_ms..=last_ms).step_by(PANE_MS as usize));
    *done = Some(done.map_or(last_ms, |before| before.max(last_ms)));
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;
    use crate::cell::Contribution;

    const VEHICLES: u64 = 40;

    /// Twenty minutes of drives, as long a gap, and half an hour more.
    fn drives(network: &Network) -> Vec<Contribution> {
        let segments = network.segments().len() as u64;
        let drive = |pane: i64, vehicle: u64| {
            let dice = (pane as u64 * VEHICLES + vehicle).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
            let segment = SegmentIndex((dice % segments.min(50)) as u32);
            let (pane_ms, distance_mm) = (1_764_000_000_000 + pane * PANE_MS, 20_000 + (dice >> 8) as i64 % 100_000);
            Contribution { segment, pane_ms, vehicle, distance_mm, time_ms: 10_000, events: 1 }
        };
        (0..120).chain(240..420).flat_map(|pane| (0..VEHICLES).map(move |vehicle| drive(pane, vehicle))).collect()
    }

    /// What is learnt of blocks of so many contributions, as bytes.
    fn learnt(network: &Arc<Network>, all: &[Contribution], block: usize) -> Vec<u8> {
        let areas = Arc::new(Areas::new(network, None, None));
        let mut study = Study::new(Arc::clone(network), StudyConfig { areas, probe_share: None, utc_offset_s: 0 });
        let mut store = PaneStore::default();
        for block in all.chunks(block) {
            assert!(block.iter().all(|c| store.add(c)));
            let newest_ms = block[block.len() - 1].pane_ms;
            if study.is_due(newest_ms) {
                study.advance(&store, newest_ms);
            }
        }
        postcard::to_allocvec(study.learnt()).unwrap()
    }

    /// A block may hold more event time than what would be a gap.
    #[test]
    fn blocks_of_an_hour_teach_what_blocks_of_a_pane_do() {
        let network = Arc::new(city(&CityPlan { blocks_x: 4, blocks_y: 4, ..CityPlan::default() }));
        let all = drives(&network);
        let by_pane = learnt(&network, &all, VEHICLES as usize);
        for panes in [7, 90, 300] {
            assert!(learnt(&network, &all, panes * VEHICLES as usize) == by_pane, "blocks of {panes} panes");
        }
        assert!(learnt(&network, &all[..all.len() - VEHICLES as usize * 60], VEHICLES as usize) != by_pane);
    }
}
