//! Rules of the road that scenarios rely on: stops, blocked junctions, dark and actuated signals, right of way.

use std::collections::BTreeMap;
use std::sync::Arc;

use roads::{
    LinkState, Movement, Network, NetworkBuilder, NewSegment, NodeIndex, RoadClass, SegmentId, SegmentIndex,
    SignalLinks, SignalPhase, SignalPlan,
};
use sim::scenario::Stop;
use sim::{Demand, Disruption, Incident, Route, Scenario, Trip, VehicleType, World};

/// A crossroads of four arms of 400 m; `main` lies from west to east. Segments: in from W, E, S, N, then out to E, W, N, S.
fn crossroads(signal: Option<SignalPlan>) -> (Arc<Network>, [SegmentIndex; 8]) {
    let mut builder = NetworkBuilder::new("crossroads");
    let deg = |m: f64| m / 111_195.0;
    let places = [(0.0, 0.0), (-400.0, 0.0), (400.0, 0.0), (0.0, -400.0), (0.0, 400.0)];
    let nodes: Vec<_> = places.map(|(x, y)| (builder.node(deg(x), 0.5 + deg(y)), [deg(x), 0.5 + deg(y)])).into();
    let mut arm = |from: usize, to: usize, class| {
        let source_id = format!("{from} to {to}");
        builder.segment(NewSegment {
            id: SegmentId::of(&source_id),
            source_id,
            source_offset_m: 0.0,
            name: None,
            class,
            from: nodes[from].0,
            to: nodes[to].0,
            length_m: None,
            speed_limit_mps: 50.0 / 3.6,
            lanes: 1,
            line: vec![nodes[from].1, nodes[to].1],
        })
    };
    let (main, side) = (RoadClass::Secondary, RoadClass::Residential);
    let arms = [
        (1, 0, main),
        (2, 0, main),
        (3, 0, side),
        (4, 0, side),
        (0, 2, main),
        (0, 1, main),
        (0, 4, side),
        (0, 3, side),
    ]
    .map(|(from, to, class)| arm(from, to, class));
    if let Some(plan) = signal {
        let signal = builder.signal_plan(plan);
        for (link, (from, to)) in [(arms[0], arms[4]), (arms[2], arms[6])].into_iter().enumerate() {
            let signal = Some(SignalLinks { signal, links: vec![link as u16] });
            let conflicts = vec![1 - link as u32];
            builder.movement(Movement {
                from,
                to,
                length_m: 0.0,
                speed_mps: 13.9,
                lanes: vec![(0, 0)],
                signal,
                yields_to: vec![],
                conflicts,
            });
        }
    }
    (Arc::new(builder.build().unwrap()), arms)
}

fn trips(route: [SegmentIndex; 2], every_s: u32, seconds: u32) -> Vec<Trip> {
    let route: Arc<[SegmentIndex]> = route.into();
    (0..seconds).step_by(every_s as usize).map(|s| Trip::new(s as f32, Route::Fixed(route.clone()))).collect()
}

fn merged(mut a: Vec<Trip>, b: Vec<Trip>) -> Demand {
    a.extend(b);
    a.sort_by(|x, y| x.depart_s.total_cmp(&y.depart_s));
    Demand::Trips(Arc::new(a))
}

fn world(network: &Arc<Network>, scenario: Scenario) -> World {
    World::new(network.clone(), scenario).unwrap()
}

/// Seconds in which somebody passes from a segment over its line, by segment.
fn lines(world: &mut World, seconds: u32) -> BTreeMap<SegmentIndex, Vec<u32>> {
    let mut passed: BTreeMap<SegmentIndex, Vec<u32>> = BTreeMap::new();
    for second in 0..seconds {
        for one in world.step().moves().filter(|m| !m.last) {
            passed.entry(one.segment).or_default().push(second);
        }
        assert_eq!(world.find_overlap(), None, "second {second}");
    }
    passed
}

#[test]
fn a_bus_stands_at_its_stop_for_as_long_as_it_takes_and_then_arrives() {
    let (network, arms) = crossroads(None);
    let stop = |segment, offset_m| Stop { segment, offset_m, duration_s: 20.0 };
    let bus = Trip {
        stops: vec![stop(arms[0], 300.0), stop(arms[4], 100.0)],
        ..Trip::new(0.0, Route::Fixed([arms[0], arms[4]].into()))
    };
    let demand = Demand::Trips(Arc::new(vec![bus]));
    let mut world = world(&network, Scenario { demand, types: vec![VehicleType::bus()], ..Scenario::default() });
    let mut stood: BTreeMap<(SegmentIndex, i64), u32> = BTreeMap::new();
    for _ in 0..200 {
        for one in world.step().moves().filter(|m| m.speed_mm_s == 0 && m.last) {
            *stood.entry((one.segment, one.to_mm / 3_000)).or_default() += 1;
        }
    }
    let stands: Vec<_> = stood.into_iter().filter(|(_, s)| *s > 5).collect();
    println!("stood at {stands:?}");
    assert_eq!(stands.iter().map(|((segment, _), _)| *segment).collect::<Vec<_>>(), [arms[0], arms[4]]);
    assert!(stands.iter().all(|(_, s)| (18..=22).contains(s)), "{stands:?}");
    assert_eq!(world.counters().arrived, 1);
}

#[test]
fn nobody_passes_a_blocked_junction_and_everybody_does_afterwards() {
    let (network, arms) = crossroads(None);
    let what = Disruption::JunctionBlocked { node: NodeIndex(0) };
    let incidents = vec![Incident { id: "blocked".into(), begin_s: 60, end_s: 160, what }];
    let demand = merged(trips([arms[0], arms[4]], 10, 200), vec![]);
    let mut world = world(&network, Scenario { demand, incidents, ..Scenario::default() });
    let passed = lines(&mut world, 400);
    let west = &passed[&arms[0]];
    // Who had leave when it was blocked may still pass.
    assert!(west.iter().all(|s| !(66..160).contains(s)), "{west:?}");
    assert!(west.iter().any(|s| *s < 60) && west.len() == 20, "{west:?}");
}

#[test]
fn a_side_street_waits_for_the_main_one_and_gets_its_gaps() {
    let (network, arms) = crossroads(None);
    let demand = merged(trips([arms[0], arms[4]], 4, 600), trips([arms[2], arms[6]], 10, 600));
    let mut world = world(&network, Scenario { demand, ..Scenario::default() });
    let mut waited = BTreeMap::new();
    for _ in 0..700 {
        for one in world.step().moves().filter(|m| m.last && m.speed_mm_s < 1_000) {
            *waited.entry(one.segment).or_insert(0_u32) += 1;
        }
        assert_eq!(world.find_overlap(), None);
    }
    let of = |at: usize| waited.get(&arms[at]).copied().unwrap_or(0);
    println!("vehicle-seconds of standing: main {}, side {}; {:?}", of(0), of(2), world.counters());
    // Everybody starts from a standstill; beyond that only the side street waits.
    assert!(of(2) > 3 * of(0), "main {}, side {}", of(0), of(2));
    assert!(world.counters().arrived > 190, "{:?}", world.counters());
}

/// Two phases; the first is for the main street.
fn plan(actuated: bool) -> SignalPlan {
    // Fixed, each street gets less than the main one has traffic for, whose cars begin their trips one in four seconds.
    let phase = |main, side, min_s, max_s| SignalPhase { duration_s: 12.0, min_s, max_s, links: vec![main, side] };
    let (red, green) = (LinkState::Red, LinkState::Protected);
    let yellow = |main, side| SignalPhase { duration_s: 4.0, min_s: 4.0, max_s: 4.0, links: vec![main, side] };
    let phases = vec![
        phase(green, red, 5.0, 60.0),
        yellow(LinkState::Yellow, red),
        phase(red, green, 5.0, 60.0),
        yellow(red, LinkState::Yellow),
    ];
    SignalPlan { id: "s".into(), node: NodeIndex(0), offset_s: 0.0, actuated, phases }
}

#[test]
fn an_actuated_signal_gives_its_time_to_the_street_that_has_traffic() {
    let share = |actuated| {
        let (network, arms) = crossroads(Some(plan(actuated)));
        let demand = merged(trips([arms[0], arms[4]], 3, 900), trips([arms[2], arms[6]], 60, 900));
        let mut world = world(&network, Scenario { demand, ..Scenario::default() });
        let passed = lines(&mut world, 900);
        (passed[&arms[0]].len(), passed[&arms[2]].len())
    };
    let (fixed, actuated) = (share(false), share(true));
    println!("passed on main and side: fixed {fixed:?}, actuated {actuated:?}");
    assert!(actuated.0 * 10 > fixed.0 * 12, "fixed {fixed:?}, actuated {actuated:?}");
    assert!(actuated.1 >= 10, "the side street gets its turn: {actuated:?}");
}

#[test]
fn a_dark_signal_stops_nobody_for_good() {
    let (network, arms) = crossroads(Some(plan(false)));
    let what = Disruption::SignalOff { node: NodeIndex(0) };
    let incidents = vec![Incident { id: "dark".into(), begin_s: 0, end_s: 9_999, what }];
    let demand = merged(trips([arms[0], arms[4]], 8, 400), trips([arms[2], arms[6]], 20, 400));
    let mut world = world(&network, Scenario { demand, incidents, ..Scenario::default() });
    let passed = lines(&mut world, 500);
    let (main, side) = (passed[&arms[0]].len(), passed[&arms[2]].len());
    // With its plan each street would stand still for 20 of 32 seconds.
    let longest = passed[&arms[0]].windows(2).map(|w| w[1] - w[0]).max().unwrap();
    println!("main {main}, side {side}, longest gap on the main street {longest} s");
    assert!(main == 50 && side == 20 && longest < 25, "{main} {side} {longest}");
}
