//! The whole engine against the simulator's truth: every vehicle reports, without noise, every second.

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::matching::MatchConfig;
use analytics::{Engine, EngineConfig};
use events::TimeMs;
use ingest::{Batch, Gate, GateConfig, Outcome, Pseudonyms};
use roads::Network;
use roads::generate::{CityPlan, city};
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
    println!("{:?}", engine.match_counts());
    let truth = truth.finish().into_iter().map(|c| ((c.segment.0, c.pane_start_ms), (c.distance_mm, c.time_ms)));
    let ours = engine.store().sorted_rows();
    let ours = ours.iter().map(|c| ((c.segment.0, c.pane_ms), (c.distance_mm, c.time_ms)));
    (truth.collect(), ours.filter(|c| c.1 != (0, 0)).collect())
}

#[test]
fn positions_alone_give_the_simulators_cells_back() {
    let network = Arc::new(city(&CityPlan::default()));
    let (truth, ours) = both(&network, 5, 600, 900);
    let mut wrong = Vec::new();
    for key in truth.keys().chain(ours.keys()) {
        let (t, o) = (truth.get(key).copied().unwrap_or_default(), ours.get(key).copied().unwrap_or_default());
        if t != o && key.1 < 1_700_000_780_000 {
            wrong.push((*key, o.0 - t.0, o.1 - t.1));
        }
    }
    wrong.sort_by_key(|w| (w.0.1, w.0.0));
    wrong.dedup();
    for w in wrong.iter().take(60) {
        let s = network.segment(roads::SegmentIndex(w.0.0));
        println!("{:?} {} mm {} ms, {:.3} m", w.0, w.1, w.2, s.length_m);
    }
    println!("{} of {} cells differ", wrong.len(), truth.len());
    assert!(wrong.is_empty());
}

#[test]
fn debug_vehicles() {
    use analytics::matching::{Change, Matcher, Observed};
    let network = Arc::new(city(&CityPlan::default()));
    let start = TimeMs(1_700_000_000_000);
    let scenario = Scenario { seed: 5, vehicles: 600, start, ..Scenario::default() };
    let mut world = World::new(Arc::clone(&network), scenario).unwrap();
    let mut sensors = Sensors::new(&world, SensorConfig::default());
    let mut matcher = Matcher::new(Arc::clone(&network), MatchConfig::default());
    let mut truth: BTreeMap<(u64, u32, i64), (i64, i64)> = BTreeMap::new();
    let mut ours: BTreeMap<(u64, u32, i64), (i64, i64)> = BTreeMap::new();
    let mut log: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for _ in 0..900 {
        let step = world.step();
        for m in step.moves() {
            if m.end_ms > m.begin_ms || m.to_mm > m.from_mm {
                let c = truth.entry((m.vehicle.0, m.segment.0, step.start.0 / 10_000)).or_default();
                c.0 += m.to_mm - m.from_mm; c.1 += m.end_ms - m.begin_ms;
            }
            log.entry(m.vehicle.0).or_default().push(format!("{} s{} {}..{} mm {}..{} ms last {}", step.start.0 % 10_000_000, m.segment.0, m.from_mm, m.to_mm, m.begin_ms, m.end_ms, m.last));
        }
        let mut events = Vec::new();
        sensors.observe(&step, &mut events);
        for e in events {
            let events::Event::Position(p) = e else { continue };
            let vehicle: u64 = p.source[5..].parse().unwrap();
            let seen = Observed { vehicle, time_ms: p.time.0, at: p.at, speed_mps: p.speed.map(|s| s.get()), heading: p.heading, edge: None };
            matcher.observe(&seen, |c| {
                let (c, sign) = match c { Change::Add(c) => (c, 1), Change::TakeBack(c) => (c, -1) };
                let cell = ours.entry((c.vehicle, c.segment.0, c.pane_ms / 10_000)).or_default();
                cell.0 += sign * c.distance_mm; cell.1 += sign * c.time_ms;
            });
        }
    }
    let mut bad: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for key in truth.keys().chain(ours.keys()) {
        let (t, o) = (truth.get(key).copied().unwrap_or_default(), ours.get(key).copied().unwrap_or_default());
        if t != o && key.2 < 170000078 { bad.entry(key.0).or_default().push(format!("{key:?} truth {t:?} ours {o:?} len {}", network.segment(roads::SegmentIndex(key.1)).length_m)); }
    }
    println!("{} vehicles bad of {}", bad.len(), log.len());
    for (v, lines) in bad.iter().take(40) {
        println!("== {v}");
        let mut lines = lines.clone(); lines.dedup();
        for l in lines.iter().take(6) { println!("  {l}"); }
        let pane: i64 = lines[0].split(", ").nth(2).unwrap().split(')').next().unwrap().parse().unwrap();
        if bad.keys().position(|k| k == v).unwrap() % 6 == 0 { for l in &log[v] {
            let t: i64 = l.split(' ').next().unwrap().parse().unwrap();
            let from = pane * 10_000 % 10_000_000;
            if t >= from - 14_000 && t < from + 24_000 { println!("     {l}"); }
        } }
    }
}
