//! Movements as a network gives them: derived, or as the builder was told.

use super::*;
use crate::network::tests::two_way;
use crate::{CityPlan, city};

#[test]
fn every_turn_of_a_city_has_a_movement_and_every_lane_leads_on() {
    let net = city(&CityPlan { seed: 3, ..CityPlan::default() });
    assert_eq!(net.movements().len(), net.turn_count());
    for at in net.indices() {
        let movements = &net.movements()[net.movements_from(at)];
        let next: Vec<SegmentIndex> = movements.iter().map(|m| m.to).collect();
        assert_eq!(next, net.successors(at));
        for lane in 0..net.segment(at).lanes {
            let leads = movements.iter().any(|m| m.lanes.iter().any(|pair| pair.0 == lane));
            assert!(leads, "lane {lane} of {}", net.segment(at).source_id);
        }
        for movement in movements {
            assert!(movement.from == at && !movement.lanes.is_empty());
            assert!(movement.lanes.iter().all(|pair| pair.1 < net.segment(movement.to).lanes));
        }
    }
    for (a, movement) in net.movements().iter().enumerate() {
        for b in &movement.conflicts {
            let other = &net.movements()[*b as usize];
            assert!(other.conflicts.contains(&(a as u32)), "conflicts are mutual");
            assert_ne!(movement.yields_to.contains(b), other.yields_to.contains(&(a as u32)), "one of two waits");
        }
    }
}

#[test]
fn a_given_movement_is_kept_and_the_others_are_derived() {
    let places = [[11.0, 44.0], [11.001, 44.0], [11.0, 44.001], [10.999, 44.0], [11.0, 43.999]];
    let mut builder = two_way(&places, &[(0, 1), (0, 2), (0, 3), (0, 4)]);
    let plain = two_way(&places, &[(0, 1), (0, 2), (0, 3), (0, 4)]).build().unwrap();
    let derived = plain.movements().to_vec();
    let (last, first) = (derived.len() - 1, 0);
    let given =
        |at: usize| Movement { length_m: 12.5, yields_to: Vec::new(), conflicts: Vec::new(), ..derived[at].clone() };
    // Told in another order than they are kept in, and naming each other by that order.
    let b = builder.movement(Movement { conflicts: vec![1], yields_to: vec![1], ..given(last) });
    let a = builder.movement(Movement { conflicts: vec![0], ..given(first) });
    assert_eq!((a, b), (1, 0));
    let node = net_node(&plain, derived[last].from);
    let phase = SignalPhase { duration_s: 30.0, min_s: 30.0, max_s: 30.0, links: vec![LinkState::Green] };
    builder.signal_plan(SignalPlan { id: "s".into(), node, offset_s: 0.0, actuated: false, phases: vec![phase] });
    let net = builder.build().unwrap();
    assert_eq!(net.movements().len(), derived.len());
    assert_eq!(net.movements()[last], Movement { conflicts: vec![0], yields_to: vec![0], ..given(last) });
    assert_eq!(net.movements()[first], Movement { conflicts: vec![last as u32], ..given(first) });
    assert_eq!(net.movements()[1].lanes, derived[1].lanes);
    assert_eq!(net.signal_plans().len(), 1);
}

#[test]
fn a_movement_that_names_what_is_not_there_is_refused() {
    let places = [[11.0, 44.0], [11.001, 44.0], [11.0, 44.001]];
    let sound = two_way(&places, &[(0, 1), (0, 2)]).build().unwrap().movements()[0].clone();
    for (what, bad) in [
        ("lane", Movement { lanes: vec![(7, 0)], ..sound.clone() }),
        ("no lane", Movement { lanes: Vec::new(), ..sound.clone() }),
        ("length", Movement { length_m: f32::NAN, ..sound.clone() }),
        ("conflict", Movement { conflicts: vec![99], ..sound.clone() }),
        ("signal", Movement { signal: Some(SignalLinks { signal: 0, links: vec![0] }), ..sound.clone() }),
    ] {
        let mut builder = two_way(&places, &[(0, 1), (0, 2)]);
        builder.movement(bad);
        assert!(builder.build().is_err(), "{what}");
    }
}

fn net_node(net: &Network, from: SegmentIndex) -> NodeIndex {
    net.segment(from).to
}
