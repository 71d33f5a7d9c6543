//! A closed cycle of blocked junctions, alone: what is stated for a gridlock resolves it, is told and counted, and takes nobody away.

use std::collections::BTreeMap;
use std::sync::Arc;

use roads::{Network, NetworkBuilder, NewSegment, NodeIndex, RoadClass, SegmentId, SegmentIndex};
use sim::scenario::DepartAt;
use sim::{Demand, Disruption, Incident, Move, Route, Scenario, Trip, VehicleId, World};

/// Sides of the ring, m: twelve cars stand on one.
const SIDE_M: f64 = 90.0;
const CARS_A_SIDE: usize = 12;

/// Cars that press into the ring from each arm.
const CARS_AN_ARM: usize = 4;

/// Until then nobody passes a corner, so that the ring can fill; then the cycle is on its own.
const FILLED_S: u32 = 20;

/// Four one-way streets in a ring, and at each corner an arm that leads in and one that leads away: (ring, in, away).
fn ring() -> (Arc<Network>, [[SegmentIndex; 4]; 3]) {
    let mut builder = NetworkBuilder::new("ring");
    let deg = |m: f64| m / 111_195.0;
    let corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)];
    let place = |(x, y): (f64, f64)| [deg(SIDE_M * x), 0.5 + deg(SIDE_M * y)];
    let outside = |(x, y): (f64, f64), side: f64| place((x + (2.0 * x - 1.0) * 2.0 + side, y + (2.0 * y - 1.0) * 2.0));
    let mut nodes = Vec::new();
    for at in
        corners.map(place).into_iter().chain(corners.map(|c| outside(c, -0.2))).chain(corners.map(|c| outside(c, 0.2)))
    {
        nodes.push((builder.node(at[0], at[1]), at));
    }
    let mut street = |from: usize, to: usize| {
        let source_id = format!("{from} to {to}");
        builder.segment(NewSegment {
            id: SegmentId::of(&source_id),
            source_id,
            source_offset_m: 0.0,
            name: None,
            class: RoadClass::Secondary,
            from: nodes[from].0,
            to: nodes[to].0,
            length_m: (from < 4 && to < 4).then_some(SIDE_M),
            speed_limit_mps: 50.0 / 3.6,
            lanes: 1,
            line: vec![nodes[from].1, nodes[to].1],
        })
    };
    let sides = [0, 1, 2, 3].map(|i| street(i, (i + 1) % 4));
    let inward = [0, 1, 2, 3].map(|i| street(4 + i, i));
    let away = [0, 1, 2, 3].map(|i| street(i, 8 + i));
    (Arc::new(builder.build().unwrap()), [sides, inward, away])
}

/// A ring that is full of cars, each of which leaves it two corners on, and cars on the arms that do the same.
fn full_ring() -> (World, [SegmentIndex; 4], usize) {
    let (network, [sides, inward, away]) = ring();
    let mut trips = Vec::new();
    for i in 0..4 {
        let onward = |first| [first, sides[(i + 1) % 4], sides[(i + 2) % 4], away[(i + 3) % 4]].into();
        let on_ring: Arc<[SegmentIndex]> = onward(sides[i]);
        for nth in 0..CARS_A_SIDE {
            let depart_at = DepartAt::Metres((SIDE_M - 0.5 - 7.5 * nth as f64) as f32);
            trips.push(Trip { depart_at, ..Trip::new(nth as f32, Route::Fixed(on_ring.clone())) });
        }
        let from_arm: Arc<[SegmentIndex]> = [inward[i], sides[i], sides[(i + 1) % 4], away[(i + 2) % 4]].into();
        trips.extend((0..CARS_AN_ARM).map(|nth| Trip::new(5.0 * nth as f32, Route::Fixed(from_arm.clone()))));
    }
    trips.sort_by(|a, b| a.depart_s.total_cmp(&b.depart_s));
    let wanted = trips.len();
    let blocked = |i: u32| Incident {
        id: format!("corner {i}"),
        begin_s: 0,
        end_s: FILLED_S,
        what: Disruption::JunctionBlocked { node: NodeIndex(i) },
    };
    let incidents = (0..4).map(blocked).collect();
    let scenario = Scenario { demand: Demand::Trips(Arc::new(trips)), incidents, ..Scenario::default() };
    (World::new(network, scenario).unwrap(), sides, wanted)
}

#[test]
fn a_closed_cycle_of_full_streets_is_resolved_by_counted_moves_and_nobody_is_taken_away() {
    let (mut world, sides, wanted) = full_ring();
    let (mut places, mut forced): (BTreeMap<VehicleId, (SegmentIndex, i64)>, _) = (BTreeMap::new(), 0_u64);
    let (mut still_s, mut first_forced_s, mut ended_s) = (0, None, None);
    for second in 0..3_600 {
        let step = world.step();
        let moves: Vec<Move> = step.moves().collect();
        let now = step.forced().count() as u64;
        forced += now;
        if now > 0 {
            first_forced_s.get_or_insert(second);
        }
        for of_one in moves.chunk_by(|a, b| a.vehicle == b.vehicle) {
            let (first, last) = (of_one[0], of_one[of_one.len() - 1]);
            let before = places.insert(first.vehicle, (last.segment, last.to_mm));
            assert!(
                before.is_none_or(|p| p == (first.segment, first.from_mm)),
                "second {second}: {first:?}, was at {before:?}"
            );
        }
        let crossed = moves.iter().any(|m| !m.last && sides.contains(&m.segment));
        if second >= FILLED_S + 5 && forced == 0 {
            assert!(!crossed, "second {second}: the ring is no closed cycle, {moves:?}");
            still_s += 1;
        }
        assert_eq!(world.find_overlap(), None, "second {second}");
        let counters = world.counters();
        assert_eq!(counters.departed - counters.arrived, world.vehicles_on_road() as u64, "second {second}");
        if counters.arrived == wanted as u64 {
            ended_s = Some(second);
            break;
        }
    }
    let counters = world.counters();
    println!("still for {still_s} s, first forced {first_forced_s:?}, resolved {ended_s:?}: {counters:?}");
    assert!(still_s > 20 && first_forced_s.is_some(), "it was a gridlock, and it was not left alone");
    assert!(counters.turned >= 4, "nothing but turning the circle helps: {counters:?}");
    assert_eq!(counters.arrived, wanted as u64, "everybody arrives: {counters:?}");
    assert_eq!(forced, counters.released + counters.rerouted + counters.turned, "each forced move is told and counted");
    assert_eq!((counters.no_room, counters.unroutable), (0, 0));
}
