//! The whole engine against the simulator's truth: every vehicle reports, without noise, every second.

use std::collections::HashMap;
use std::sync::Arc;

use analytics::matching::MatchConfig;
use analytics::{Engine, EngineConfig};
use events::TimeMs;
use ingest::{Batch, Gate, GateConfig, Outcome, Pseudonyms};
use roads::generate::{CityPlan, city};
use sim::scenario::Scenario;
use sim::sensor::{SensorConfig, Sensors};
use sim::truth::Truth;
use sim::world::World;

/// Speed by segment and minute, where at least a minute was spent.
type Speeds = HashMap<(u32, i64), f64>;

fn speeds(cells: impl Iterator<Item = (u32, i64, i64, i64)>) -> Speeds {
    let mut sums: HashMap<(u32, i64), (i64, i64)> = HashMap::new();
    for (segment, pane_ms, mm, ms) in cells {
        let sum = sums.entry((segment, pane_ms / 60_000)).or_default();
        (sum.0, sum.1) = (sum.0 + mm, sum.1 + ms);
    }
    let enough = sums.into_iter().filter(|s| s.1.1 >= 60_000);
    enough.map(|(key, (mm, ms))| (key, mm as f64 / ms as f64)).collect()
}

#[test]
fn positions_alone_give_the_simulators_cells_back() {
    let network = Arc::new(city(&CityPlan::default()));
    let start = TimeMs(1_700_000_000_000);
    let scenario = Scenario { seed: 5, vehicles: 600, start, ..Scenario::default() };
    let mut world = World::new(Arc::clone(&network), scenario).unwrap();
    let mut sensors =
        Sensors::new(&world, SensorConfig { probe_share: 1.0, gps_sigma_m: 0.0, ..SensorConfig::default() });
    let mut truth = Truth::new(network.segments().len(), 10_000_000);
    let mut engine = Engine::new(Arc::clone(&network), EngineConfig::whole(MatchConfig::default()));
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([7; 32]));
    let (mut events, mut batch) = (Vec::new(), Batch::default());
    for _ in 0..900 {
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
    let truth = truth.finish();
    let ours = engine.store().sorted_rows();
    let (true_mm, true_ms) = truth.iter().fold((0, 0), |sum, c| (sum.0 + c.distance_mm, sum.1 + c.time_ms));
    let (our_mm, our_ms) = ours.iter().fold((0, 0), |sum, c| (sum.0 + c.distance_mm, sum.1 + c.time_ms));
    let counts = engine.match_counts();
    println!("metres {our_mm} of {true_mm} mm, seconds {our_ms} of {true_ms} ms, {counts:?}");
    // A vehicle's first second has no fix before it, and a straight line cuts corners at turns.
    assert!((our_mm as f64 / true_mm as f64 - 1.0).abs() < 0.02);
    assert!((our_ms as f64 / true_ms as f64 - 1.0).abs() < 0.02);
    assert_eq!(counts.off_network, 0);

    let theirs = speeds(truth.iter().map(|c| (c.segment.0, c.pane_start_ms, c.distance_mm, c.time_ms)));
    let ours = speeds(ours.iter().map(|c| (c.segment.0, c.pane_ms, c.distance_mm, c.time_ms)));
    let mut differences: Vec<f64> =
        theirs.iter().map(|(key, v)| ours.get(key).map_or(f64::INFINITY, |o| (o - v).abs())).collect();
    differences.sort_by(f64::total_cmp);
    let at = |q: f64| differences[((differences.len() - 1) as f64 * q) as usize];
    println!("segment-minutes {}: difference m/s median {:.3}, 90 % {:.3}", differences.len(), at(0.5), at(0.9));
    assert!(differences.len() > 1_000);
    assert!(at(0.5) < 0.2 && at(0.9) < 1.0, "median {:.3}, 90 % {:.3} m/s", at(0.5), at(0.9));
}
