//! The whole engine against the simulator's truth: every vehicle reports, without noise, every second.

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::matching::MatchConfig;
use analytics::{Engine, EngineConfig};
use events::TimeMs;
use ingest::{Batch, Gate, GateConfig, Outcome, Pseudonyms};
use roads::Network;
use roads::generate::{CityPlan, MetropolisPlan, city, metropolis};
use sim::scenario::Scenario;
use sim::sensor::{SensorConfig, Sensors};
use sim::truth::Truth;
use sim::world::World;

/// Millimetres and milliseconds by segment and pane.
type Cells = BTreeMap<(u32, i64), (i64, i64)>;

/// Simulates; gives the truth and what the engine makes of the reports.
fn both(network: &Arc<Network>, seed: u64, vehicles: u32, seconds: u32) -> (Cells, Cells) {
    let start = TimeMs(1_700_000_000_000);
    let scenario = Scenario { seed, vehicles, start, ..Scenario::default() };
    let mut world = World::new(Arc::clone(network), scenario).unwrap();
    let mut sensors = Sensors::new(&world, SensorConfig::default());
    let mut truth = Truth::new(network.segments().len(), 10_000_000);
    let mut engine = Engine::new(Arc::clone(network), EngineConfig::whole(MatchConfig::default()));
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([7; 32]));
    let (mut events, mut batch) = (Vec::new(), Batch::default());
    for _ in 0..seconds {
        let step = world.step();
        truth.observe(&step);
        events.clear();
        sensors.observe(&step, &mut events);
        for event in events.drain(..) {
            let received = event.time();
            assert_eq!(gate.event(event, received, &mut batch), Outcome::Accepted);
        }
        engine.apply(&batch);
        batch.clear();
    }
    let truth = truth.finish().into_iter().map(|c| ((c.segment.0, c.pane_start_ms), (c.distance_mm, c.time_ms)));
    let ours = engine.store().sorted_rows();
    let ours = ours.iter().map(|c| ((c.segment.0, c.pane_ms), (c.distance_mm, c.time_ms)));
    (truth.collect(), ours.filter(|c| c.1 != (0, 0)).collect())
}

/// The last panes are left out: who has only just turned is on a street that nobody can know yet.
const OPEN_MS: i64 = 120_000;

/// Segment and pane of a cell, and by how many millimetres and milliseconds it is too large.
type Wrong = ((u32, i64), i64, i64);

/// How many true cells there are, and those that are not the same.
fn wrong(network: &Arc<Network>, seed: u64, vehicles: u32, seconds: u32) -> (usize, Vec<Wrong>) {
    let (truth, ours) = both(network, seed, vehicles, seconds);
    let end_ms = truth.keys().map(|key| key.1).max().unwrap() - OPEN_MS;
    let mut wrong: Vec<Wrong> = Vec::new();
    for key in truth.keys().chain(ours.keys().filter(|key| !truth.contains_key(key))).filter(|key| key.1 < end_ms) {
        let (t, o) = (truth.get(key).copied().unwrap_or_default(), ours.get(key).copied().unwrap_or_default());
        if t != o {
            wrong.push((*key, o.0 - t.0, o.1 - t.1));
        }
    }
    (truth.len(), wrong)
}

/// Every cell is the same; somebody whose front is within a millimetre of a junction may be a millisecond early or late over it.
fn assert_same(cells: usize, wrong: &[Wrong]) {
    assert!(cells > 25_000 && wrong.len() <= 4, "{wrong:?}");
    assert!(wrong.iter().all(|(_, mm, ms)| mm.abs() <= 1 && ms.abs() <= 1), "{wrong:?}");
}

#[test]
fn positions_alone_give_the_simulators_cells_back_to_the_millimetre() {
    let network = Arc::new(city(&CityPlan::default()));
    for seed in [2, 5, 6, 10] {
        let (cells, wrong) = wrong(&network, seed, 600, 900);
        println!("seed {seed}: {} of {cells} cells differ: (segment, pane), mm, ms: {wrong:?}", wrong.len());
        assert_same(cells, &wrong);
    }
}

#[test]
fn so_they_do_on_streets_that_meet_at_any_angle() {
    let network = Arc::new(metropolis(&MetropolisPlan::default()).network);
    for seed in [1, 2] {
        let (cells, wrong) = wrong(&network, seed, 800, 600);
        println!("demo city, seed {seed}: {} of {cells} cells differ: (segment, pane), mm, ms: {wrong:?}", wrong.len());
        assert_same(cells, &wrong);
    }
}
