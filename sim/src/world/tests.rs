//! The world held against physics: no collision, no jump, no red light passed; flows as on a real street.

#![allow(clippy::print_stdout, reason = "tests print seeds and what they measured")]

use std::collections::BTreeMap;

use roads::{CityPlan, NetworkBuilder, NewSegment, NodeIndex, RoadClass, SegmentId, city};

use super::*;
use crate::lane::LaneIndex;
use crate::vehicle::{ACCEL_MM_S2, DECEL_MM_S2, FACTOR_PERMILLE_MAX, LENGTH_MM, MIN_GAP_MM};

fn generated(seed: u64, vehicles: u32) -> World {
    let network = Arc::new(city(&CityPlan { seed, ..CityPlan::default() }));
    World::new(network, Scenario { seed, vehicles, ..Scenario::default() }).unwrap()
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
        self.world.step();
        assert_eq!(self.world.find_overlap(), None, "second {second}");
        let mut now = BTreeMap::new();
        let moves = &self.world.moves;
        for of_one in moves.chunk_by(|a, b| a.vehicle == b.vehicle) {
            let (first, last) = (of_one[0], of_one[of_one.len() - 1]);
            let id = first.vehicle;
            assert!(last.last && first.begin_ms == 0 && last.end_ms == 1_000, "second {second}: {of_one:?}");
            let way: i64 = of_one.iter().map(|m| m.to_mm - m.from_mm).sum();
            assert_eq!(way, first.speed_mm_s, "second {second}: {of_one:?}");
            for pair in of_one.windows(2) {
                assert!(self.world.network.successors(pair[0].segment).contains(&pair[1].segment), "{pair:?}");
                assert_eq!((pair[1].from_mm, pair[1].begin_ms), (0, pair[0].end_ms), "{pair:?}");
                let shown = self.world.signals.shown(pair[0].segment, second);
                assert_ne!(shown, Some(SignalState::Red), "second {second}: passed on red: {pair:?}");
                self.lines_passed += 1;
                self.lines_with_signal += u64::from(shown.is_some());
            }
            for one in of_one {
                let limit = f64::from(self.world.network.segment(one.segment).speed_limit_mps) * 1_000.0;
                let fastest = limit as i64 * FACTOR_PERMILLE_MAX / 1_000;
                assert!((0..=fastest).contains(&one.speed_mm_s), "second {second}: {one:?}, allowed {fastest}");
            }
            if let Some((segment, lane, to_mm, speed)) = self.before.get(&id) {
                assert_eq!((first.segment, first.lane, first.from_mm), (*segment, *lane, *to_mm), "second {second}");
                let change = first.speed_mm_s - speed;
                assert!((-DECEL_MM_S2..=ACCEL_MM_S2).contains(&change), "second {second}: {id} {change} mm/s");
            }
            self.standing += u64::from(first.speed_mm_s == 0);
            now.insert(id, (last.segment, last.lane, last.to_mm, last.speed_mm_s));
        }
        self.vehicle_steps += now.len() as u64;
        self.before = now;
    }
}

#[test]
fn a_million_vehicle_steps_without_a_collision_a_jump_or_a_red_light_passed() {
    let seed = 11;
    let mut watched = Watched::new(generated(seed, 1_500));
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
}

#[test]
fn an_overfull_city_keeps_moving_without_a_collision() {
    let seed = 5;
    let network = Arc::new(city(&CityPlan { seed, blocks_x: 4, blocks_y: 4, ..CityPlan::default() }));
    let world = World::new(network, Scenario { seed, vehicles: 1_200, ..Scenario::default() }).unwrap();
    let mut watched = Watched::new(world);
    let mut arrived_before = 0;
    for part in 0..6 {
        for _ in 0..300 {
            watched.step();
        }
        let counters = watched.world.counters();
        println!("seed {seed}, part {part}: {} on the road, {counters:?}", watched.world.vehicles_on_road());
        assert!(counters.arrived + counters.gave_up > arrived_before, "seed {seed}: gridlock in part {part}");
        arrived_before = counters.arrived + counters.gave_up;
    }
}

/// A crossroads whose western arm is `approach_m` long; the main street runs from west to east.
fn crossroads(approach_m: f64, lanes: u8) -> (Arc<roads::Network>, [SegmentIndex; 2]) {
    let mut builder = NetworkBuilder::new("crossroads");
    let deg = |m: f64| m / 111_195.0;
    let mut node = |x_m: f64, y_m: f64| (builder.node(deg(x_m), deg(y_m) + 0.5), [deg(x_m), deg(y_m) + 0.5]);
    let spots = [node(-approach_m, 0.0), node(0.0, 0.0), node(2_000.0, 0.0), node(0.0, 200.0), node(0.0, -200.0)];
    let mut street = |from: usize, to: usize, class, lanes| {
        let source_id = format!("{from} to {to}");
        builder.segment(NewSegment {
            id: SegmentId::of(&source_id),
            source_id,
            source_offset_m: 0.0,
            name: None,
            class,
            from: spots[from].0,
            to: spots[to].0,
            length_m: None,
            speed_limit_mps: 50.0 / 3.6,
            lanes,
            line: vec![spots[from].1, spots[to].1],
        })
    };
    let approach = street(0, 1, RoadClass::Primary, lanes);
    let exit = street(1, 2, RoadClass::Primary, lanes);
    street(3, 1, RoadClass::Tertiary, 1);
    street(1, 4, RoadClass::Tertiary, 1);
    street(4, 1, RoadClass::Tertiary, 1);
    street(1, 3, RoadClass::Tertiary, 1);
    (Arc::new(builder.build().unwrap()), [approach, exit])
}

/// A queue of standing vehicles from the stop line backwards.
fn queue(world: &mut World, route: [SegmentIndex; 2], count: i64) {
    for i in 0..count {
        let lane: LaneIndex = world.lanes.of(route[0]).next().unwrap();
        let vehicle = Vehicle {
            id: VehicleId(i as u64),
            lane,
            pos_mm: world.lanes.get(lane).length_mm - i * (LENGTH_MM + MIN_GAP_MM),
            speed_mm_s: 0,
            odometer_mm: 0,
            factor_permille: 1_000,
            route: route.to_vec(),
            leg: 0,
            cleared: VecDeque::new(),
            waiting_since: None,
            blocked_s: 0,
            standing_s: 0,
        };
        world.vehicles.push(vehicle);
        world.is_active.push(true);
        world.next_mm_s.push(0);
        world.lanes.get_mut(lane).order.push(world.vehicles.len() - 1);
    }
}

/// Milliseconds of the run at which each vehicle passed the stop line.
fn passings(watched: &mut Watched, approach: SegmentIndex, seconds: u64) -> Vec<u64> {
    let mut out = Vec::new();
    for _ in 0..seconds {
        let second = watched.world.step;
        watched.step();
        let passed = watched.world.moves.iter().filter(|m| m.segment == approach && !m.last);
        out.extend(passed.map(|m| second * 1_000 + m.end_ms as u64));
    }
    out.sort_unstable();
    out
}

#[test]
fn a_queue_waits_at_red_and_discharges_at_saturation_flow() {
    let (network, route) = crossroads(450.0, 1);
    let (mut headways_ms, mut count) = (0, 0);
    for seed in 0..20 {
        let scenario = Scenario { seed, vehicles: 1, ..Scenario::default() };
        let mut world = World::new(network.clone(), scenario).unwrap();
        queue(&mut world, route, 50);
        // A trip of its own would drive into the queue.
        world.waiting.clear();
        world.scenario.vehicles = 1;
        let mut watched = Watched::new(world);
        let passed = passings(&mut watched, route[0], 240);
        assert!(passed.len() > 15, "seed {seed}: only {} passed", passed.len());
        // The longest run of headways without a red between is one green; the first four drivers still start.
        let green: Vec<u64> =
            passed.chunk_by(|a, b| b - a < 10_000).max_by_key(|run| run.len()).map(<[u64]>::to_vec).unwrap();
        assert!(green.len() > 8, "seed {seed}: {passed:?}");
        headways_ms += green[green.len() - 1] - green[3];
        count += green.len() as u64 - 4;
    }
    let flow = 3_600_000.0 * count as f64 / headways_ms as f64;
    println!("saturation flow after the 4th vehicle: {flow:.0} veh/h/lane over {count} headways");
    assert!((1_700.0..2_000.0).contains(&flow), "{flow} veh/h/lane");
}

#[test]
fn a_standing_queue_has_jam_density() {
    let (network, route) = crossroads(450.0, 1);
    let mut world = World::new(network, Scenario { seed: 1, vehicles: 1, ..Scenario::default() }).unwrap();
    queue(&mut world, route, 30);
    // Three times the spacing: they close up while the signal keeps them, whatever it shows now.
    for (i, vehicle) in world.vehicles.iter_mut().enumerate() {
        vehicle.pos_mm -= 2 * i as i64 * 3_000;
    }
    let mut watched = Watched::new(world);
    let mut densest = 0.0_f64;
    for _ in 0..200 {
        watched.step();
        let lane = watched.world.lanes.of(route[0]).next().unwrap();
        let standing: Vec<i64> = watched
            .world
            .lanes
            .get(lane)
            .order
            .iter()
            .map(|slot| &watched.world.vehicles[*slot])
            .take_while(|v| v.speed_mm_s == 0 && v.lane == lane)
            .map(|v| v.pos_mm)
            .collect();
        if standing.len() >= 10 {
            let length_km = (standing[0] - standing[standing.len() - 1]) as f64 / 1e6;
            densest = densest.max((standing.len() - 1) as f64 / length_km);
        }
    }
    println!("densest standing queue: {densest:.1} vehicles/km");
    assert!((125.0..=133.4).contains(&densest), "{densest} vehicles/km");
}

#[test]
fn a_street_of_walking_pace_is_entered_from_a_fast_one() {
    let mut builder = NetworkBuilder::new("slow street");
    let deg = |m: f64| m / 111_195.0;
    let spots: Vec<_> = [0.0, 300.0, 400.0, 500.0].map(|x| (builder.node(deg(x), 0.5), [deg(x), 0.5])).into();
    let route: Vec<SegmentIndex> = [50.0, 4.0, 30.0]
        .iter()
        .enumerate()
        .map(|(i, kmh)| {
            let (source_id, (from, to)) = (format!("piece {i}"), (spots[i], spots[i + 1]));
            builder.segment(NewSegment {
                id: SegmentId::of(&source_id),
                source_id,
                source_offset_m: 0.0,
                name: None,
                class: RoadClass::Service,
                from: from.0,
                to: to.0,
                length_m: None,
                speed_limit_mps: kmh / 3.6,
                lanes: 1,
                line: vec![from.1, to.1],
            })
        })
        .collect();
    let network = Arc::new(builder.build().unwrap());
    let mut world = World::new(network, Scenario { seed: 1, vehicles: 1, ..Scenario::default() }).unwrap();
    queue(&mut world, [route[0], route[1]], 4);
    world.vehicles.iter_mut().for_each(|v| {
        v.route.clone_from(&route);
        v.pos_mm -= 200_000;
    });
    let mut watched = Watched::new(world);
    for _ in 0..300 {
        watched.step();
    }
    assert!(watched.world.counters().arrived >= 4, "{:?}", watched.world.counters());
}

#[test]
fn nodes_of_two_streets_in_a_row_have_no_signal_and_stop_nobody() {
    let (network, _) = crossroads(450.0, 2);
    let world = World::new(network, Scenario { seed: 1, vehicles: 1, ..Scenario::default() }).unwrap();
    let nodes: Vec<NodeIndex> = world.signals().iter().map(|s| s.node).collect();
    assert_eq!(nodes, [NodeIndex(1)]);
}
