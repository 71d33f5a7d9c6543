//! The world held against physics: no collision, no jump, no red light passed; the same on any number of threads.

#![allow(clippy::print_stdout, reason = "tests print seeds and what they measured")]

use std::collections::BTreeMap;

use roads::{CityPlan, city};

use super::*;
use crate::vehicle::{FACTOR_PERMILLE_MAX, VehicleType};

fn mixed() -> Vec<VehicleType> {
    let truck = VehicleType { share: 0.1, ..VehicleType::truck() };
    vec![VehicleType::car(), truck, VehicleType { share: 0.05, ..VehicleType::bus() }]
}

fn generated(seed: u64, blocks: u32, vehicles: u32, threads: usize) -> World {
    let network = Arc::new(city(&CityPlan { seed, blocks_x: blocks, blocks_y: blocks, ..CityPlan::default() }));
    World::new(network, Scenario { seed, vehicles, threads, types: mixed(), ..Scenario::default() }).unwrap()
}

/// Steps a world and checks every second of it: physical motion, no overlap, no line passed on red.
struct Watched {
    world: World,
    /// Segment, lane, position, speed at the end of the last second.
    before: BTreeMap<VehicleId, (SegmentIndex, u8, i64, i64)>,
    vehicle_steps: u64,
    lines_passed: u64,
    lines_with_signal: u64,
    standing: u64,
}

impl Watched {
    fn new(world: World) -> Self {
        let before = BTreeMap::new();
        Self { world, before, vehicle_steps: 0, lines_passed: 0, lines_with_signal: 0, standing: 0 }
    }

    fn step(&mut self) {
        let second = self.world.step;
        let moves: Vec<Move> = self.world.step().moves().collect();
        assert_eq!(self.world.find_overlap(), None, "second {second}");
        let (mut now, mut entered) = (BTreeMap::new(), BTreeMap::new());
        for of_one in moves.chunk_by(|a, b| a.vehicle == b.vehicle) {
            let (first, last) = (of_one[0], of_one[of_one.len() - 1]);
            let id = first.vehicle;
            if first.begin_ms == 1_000 {
                // Has just entered.
                assert!(of_one.len() == 1 && first.last && first.from_mm == first.to_mm, "second {second}: {first:?}");
                assert!(!self.before.contains_key(&id), "second {second}: {id} enters twice");
                entered.insert(id, (first.segment, first.lane, first.to_mm, first.speed_mm_s));
                continue;
            }
            assert!(last.last && first.begin_ms == 0 && last.end_ms == 1_000, "second {second}: {of_one:?}");
            let way: i64 = of_one.iter().map(|m| m.to_mm - m.from_mm).sum();
            assert_eq!(way, first.speed_mm_s, "second {second}: {of_one:?}");
            for pair in of_one.windows(2) {
                assert!(self.world.network.successors(pair[0].segment).contains(&pair[1].segment), "{pair:?}");
                assert_eq!((pair[1].from_mm, pair[1].begin_ms), (0, pair[0].end_ms), "{pair:?}");
                self.check_line(second, &pair[0], &pair[1]);
            }
            let driver = &self.world.drivers[usize::from(first.kind)];
            for one in of_one {
                let limit = f64::from(self.world.network.segment(one.segment).speed_limit_mps) * 1_000.0;
                let fastest = limit as i64 * i64::from(FACTOR_PERMILLE_MAX) / 1_000;
                assert!((0..=fastest).contains(&one.speed_mm_s), "second {second}: {one:?}, allowed {fastest}");
            }
            if let Some((segment, lane, to_mm, speed)) = self.before.get(&id) {
                assert_eq!((first.segment, first.from_mm), (*segment, *to_mm), "second {second}");
                assert!(first.lane.abs_diff(*lane) <= 1, "second {second}: {id} jumps over a lane");
                let change = first.speed_mm_s - speed;
                let bounds = -i64::from(driver.decel_mm_s2)..=i64::from(driver.accel_mm_s2);
                assert!(bounds.contains(&change), "second {second}: {id} {change} mm/s");
            }
            self.standing += u64::from(first.speed_mm_s == 0);
            assert!(now.insert(id, (last.segment, last.lane, last.to_mm, last.speed_mm_s)).is_none(), "{id} twice");
        }
        self.vehicle_steps += now.len() as u64;
        now.append(&mut entered);
        self.before = now;
    }

    /// The link between the two segments must not have shown red.
    fn check_line(&mut self, second: u32, from: &Move, to: &Move) {
        let map = &self.world.map;
        let lane = map.first_lane[from.segment.at()] + u32::from(from.lane);
        let link = map.links_from(lane).iter().find(|k| map.lanes[k.to as usize].segment == to.segment);
        let link = link.unwrap_or_else(|| panic!("second {second}: no link for {from:?}"));
        self.lines_passed += 1;
        if link.shown != crate::map::NONE {
            self.lines_with_signal += 1;
            let shown = self.world.signals.links[link.shown as usize];
            assert_ne!(shown, LinkState::Red, "second {second}: passed on red: {from:?}");
        }
    }
}

#[test]
fn a_million_vehicle_steps_without_a_collision_a_jump_or_a_red_light_passed() {
    let seed = 11;
    let mut watched = Watched::new(generated(seed, 14, 1_500, 1));
    while watched.vehicle_steps < 1_000_000 {
        watched.step();
        assert!(watched.world.step < 3_000, "seed {seed}: the city does not fill");
    }
    let counters = watched.world.counters();
    let mean = watched.before.values().map(|v| v.3).sum::<i64>() / watched.before.len() as i64;
    println!(
        "seed {seed}: {} seconds, {} vehicle-steps, {} lines passed ({} with a signal), {} standing, {mean} mm/s: {counters:?}",
        watched.world.step, watched.vehicle_steps, watched.lines_passed, watched.lines_with_signal, watched.standing
    );
    assert!(watched.lines_with_signal > 1_000 && counters.arrived > 500, "seed {seed}: {counters:?}");
    assert_eq!(counters.updates, watched.vehicle_steps, "every update is a move");
}

#[test]
fn an_overfull_city_keeps_moving_without_a_collision() {
    let seed = 5;
    let mut watched = Watched::new(generated(seed, 4, 1_200, 1));
    let mut arrived_before = 0;
    for part in 0..6 {
        for _ in 0..300 {
            watched.step();
        }
        let counters = watched.world.counters();
        println!("seed {seed}, part {part}: {} on the road, {counters:?}", watched.world.vehicles_on_road());
        assert!(counters.arrived > arrived_before, "seed {seed}: gridlock in part {part}");
        arrived_before = counters.arrived;
    }
}

/// A hash of everything that happened in a second.
fn hash(step: &Step<'_>, into: u64) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = rustc_hash::FxHasher::default();
    into.hash(&mut hasher);
    for m in step.moves() {
        (m.vehicle, m.segment, m.lane, m.from_mm, m.to_mm, m.begin_ms, m.end_ms, m.last).hash(&mut hasher);
    }
    for shown in step.signals {
        (shown.signal, shown.group, shown.state.name()).hash(&mut hasher);
    }
    for forced in step.forced() {
        (forced.vehicle, forced.segment, forced.what as u8).hash(&mut hasher);
    }
    hasher.finish()
}

fn run(world: &mut World, seconds: u32, from: u64) -> u64 {
    (0..seconds).fold(from, |so_far, _| hash(&world.step(), so_far))
}

#[test]
fn one_seed_gives_the_same_events_on_any_number_of_threads() {
    let seed = 3;
    let hashes = [1, 2, 4, 1].map(|threads| {
        let mut world = generated(seed, 16, 1_500, threads);
        assert!(world.parts.len() > 3, "the city is large enough for threads");
        run(&mut world, 400, 0)
    });
    println!("seed {seed}: {hashes:x?}");
    assert!(hashes.iter().all(|h| *h == hashes[0]), "{hashes:x?}");
    assert_ne!(run(&mut generated(seed + 1, 16, 1_500, 1), 400, 0), hashes[0], "another seed is another city");
}

#[test]
fn a_saved_world_goes_on_as_if_nothing_had_been() {
    let seed = 8;
    let mut straight = generated(seed, 10, 800, 1);
    let half = run(&mut straight, 250, 0);
    let bytes = straight.save().unwrap();
    let (network, scenario) = (straight.network.clone(), straight.scenario.clone());
    let whole = run(&mut straight, 250, half);
    let mut resumed = World::load(network.clone(), Scenario { threads: 2, ..scenario.clone() }, &bytes).unwrap();
    assert_eq!(run(&mut resumed, 250, half), whole, "seed {seed}");
    assert_eq!(resumed.counters(), straight.counters());
    let other = World::load(network.clone(), Scenario { seed: 9, ..scenario.clone() }, &bytes);
    assert!(other.unwrap_err().to_string().contains("another"));
    assert!(World::load(network, scenario, &bytes[..bytes.len() / 2]).is_err());
}
