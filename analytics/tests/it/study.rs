//! The study on simulated traffic: a closed street is found, free flow is learnt, corridors get travel times; and what was
//! learnt survives being written down.

use std::sync::Arc;

use analytics::area::Areas;
use analytics::cell::Contribution;
use analytics::incident::score::{Happened, Score};
use analytics::incident::{Alarm, Algorithm};
use analytics::pane::PaneStore;
use analytics::study::{Learnt, Study, StudyConfig};
use events::TimeMs;
use roads::generate::{CityPlan, city};
use roads::{FreeFlowBasis, Network, SegmentIndex};
use sim::{Disruption, Incident, Scenario, Truth, World};

/// Monday 2026-01-05 09:00 UTC.
const START_MS: i64 = 1_767_603_600_000;

const CLOSED_FROM_S: u32 = 80 * 60;
const END_S: u32 = 88 * 60;

/// A main street in the middle of a corridor.
fn closed(network: &Network) -> SegmentIndex {
    let corridor = &analytics::area::derive::corridors(network)[1];
    corridor.segments[corridor.segments.len() / 2]
}

/// The truth of a run with a closure, through panes and study; at the end what was learnt.
fn live(network: &Arc<Network>, seed: u64) -> Learnt {
    let segment = closed(network);
    let from_m = network.segment(segment).length_m as f32 * 0.4;
    let lane = |lane| Incident {
        id: format!("lane {lane}"),
        begin_s: CLOSED_FROM_S,
        end_s: END_S,
        what: Disruption::LaneClosed { segment, lane, from_m, to_m: from_m + 10.0 },
    };
    let incidents = (0..network.segment(segment).lanes).map(lane).collect();
    let scenario = Scenario { seed, vehicles: 450, start: TimeMs(START_MS), incidents, ..Scenario::default() };
    let mut world = World::new(Arc::clone(network), scenario).unwrap();
    let mut truth = Truth::new(network.segments().len(), 10_000_000);
    let areas = Arc::new(Areas::new(network, None, None));
    let config = StudyConfig { areas, probe_share: None, utc_offset_s: 0 };
    let mut study = Study::new(Arc::clone(network), config);
    let mut store = PaneStore::default();
    for second in 1..=END_S {
        truth.observe(&world.step());
        for cell in truth.take() {
            for vehicle in 0..u64::from(cell.vehicles) {
                // The first of them has it all: who drove how much of a cell is not asked here.
                let share = i64::from(vehicle == 0);
                let (distance_mm, time_ms) = (cell.distance_mm * share, cell.time_ms * share);
                let (segment, pane_ms) = (cell.segment, cell.pane_start_ms);
                assert!(store.add(&Contribution { segment, pane_ms, vehicle, distance_mm, time_ms, events: 1 }));
            }
        }
        let newest_ms = START_MS + i64::from(second) * 1_000;
        if study.is_due(newest_ms) {
            study.advance(&store, newest_ms);
        }
        store.forget_before(newest_ms - 10 * 60_000);
    }
    study.into_learnt()
}

#[test]
fn a_closed_street_is_found_and_little_else() {
    let network = Arc::new(city(&CityPlan::default()));
    let upstream = analytics::upstream::Upstream::new(&network);
    let mut scores = Algorithm::ALL.map(Score::new);
    for seed in [3, 4] {
        let learnt = live(&network, seed);
        let alarms: Vec<Alarm> = learnt.alarms.open().chain(learnt.alarms.ended()).copied().collect();
        let at_ms = |second: u32| START_MS + i64::from(second) * 1_000;
        let happened = [Happened { segment: closed(&network), begin_ms: at_ms(CLOSED_FROM_S), end_ms: at_ms(END_S) }];
        scores.iter_mut().for_each(|s| s.add(&network, &upstream, &alarms, &happened, (at_ms(3_600), at_ms(END_S))));

        let observed = learnt.free_flow.basis().iter().filter(|b| **b == FreeFlowBasis::Observed).count();
        assert!(observed > network.segments().len() / 20, "{observed} segments have learnt their free flow");
        for (at, basis) in learnt.free_flow.basis().iter().enumerate().filter(|b| *b.1 == FreeFlowBasis::Observed) {
            let limit_mps = f64::from(network.segments()[at].speed_limit_mps);
            let mps = learnt.free_flow.mps()[at];
            assert!(mps > 1.0 && mps < 1.3 * limit_mps, "{basis:?} {mps} under a limit of {limit_mps}");
        }
        let reliable = (0..30).filter_map(|corridor| learnt.reliability.of(corridor, 60.0)).next();
        assert!(reliable.is_none_or(|r| r.p50_s <= r.p80_s && r.p80_s <= r.p95_s), "{reliable:?}");

        // What is checkpointed comes back the same.
        let bytes = postcard::to_stdvec(&learnt).unwrap();
        let back: Learnt = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(postcard::to_stdvec(&back).unwrap(), bytes);
    }
    for score in &scores {
        println!(
            "{}: {} of {} found, {} in time, delays {:?} s, {} false, {:.1} a day and 100 segments",
            score.algorithm.name(),
            score.detected,
            score.incidents,
            score.in_time,
            score.delays_s,
            score.false_alarms,
            score.false_per_day_and_100().unwrap()
        );
    }
    // The truth has cells and no places, so `probe-head` sees nobody, and what is fused is `probe-block`.
    let of = |algorithm| scores.iter().find(|score| score.algorithm == algorithm).unwrap();
    let block = of(Algorithm::ProbeBlock);
    assert_eq!((block.detected, of(Algorithm::ProbeFused).detected), (2, 2));
    assert!(block.mean_delay_s().unwrap() < 300.0, "{:?}", block.delays_s);
    // An hour has taught less than a day: the trial of 30 seeds has the figures.
    assert!(block.false_per_day_and_100().unwrap() < 60.0, "{} false alarms", block.false_alarms);
}
