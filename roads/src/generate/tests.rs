//! Tests of the generated city.

use super::*;
use crate::connected::largest_strong_part;
use crate::segment::{RoadClass, SEGMENT_LENGTH_MAX_M};

#[test]
fn the_default_city_is_of_the_size_it_says_and_connected() {
    for seed in 0..20 {
        eprintln!("seed {seed}");
        let net = city(&CityPlan { seed, ..CityPlan::default() });
        let count = net.segments().len();
        assert!((700..=900).contains(&count), "{count} segments");
        assert_eq!(largest_strong_part(&net).len(), count);
        for segment in net.segments() {
            assert!((20.0..=SEGMENT_LENGTH_MAX_M).contains(&segment.length_m), "{segment:?}");
        }
    }
}

#[test]
fn a_seed_is_a_city() {
    let plan = CityPlan::default();
    assert_eq!(city(&plan), city(&plan));
    let other = CityPlan { seed: 2, ..plan.clone() };
    assert_ne!(city(&plan).nodes(), city(&other).nodes());
    assert_ne!(city(&plan).source_hash(), city(&other).source_hash());
}

#[test]
fn it_has_ranks_names_bridges_and_bends() {
    let net = city(&CityPlan::default());
    let with = |class| net.segments().iter().filter(|s| s.class == class).count();
    for class in [RoadClass::Primary, RoadClass::Secondary, RoadClass::Residential] {
        assert!(with(class) > 50, "{class:?}: {}", with(class));
    }
    let bridges = net.segments().iter().filter(|s| s.name.as_deref().is_some_and(|n| n.ends_with(" Bridge"))).count();
    assert!((4..=20).contains(&bridges), "{bridges} directed bridges");
    assert!(net.segments().iter().all(|s| s.name.is_some()));
    assert!(net.indices().filter(|&at| net.points(at).len() > 2).count() > 200, "bends");
    let mut degrees = [0; 6];
    for node in 0..net.nodes().len() {
        degrees[net.outgoing(NodeIndex(node as u32)).len().min(5)] += 1;
    }
    assert_eq!(degrees[0], 0, "no junction without a street");
    assert!(degrees[3] > 40 && degrees[4] > 40, "not graph paper: {degrees:?}");
}

#[test]
fn odd_plans_still_make_cities() {
    for (blocks_x, blocks_y, block_m) in [(0, 0, 0.0), (2, 2, f64::NAN), (3, 40, 2_000.0), (40, 3, 60.0)] {
        let net = city(&CityPlan { blocks_x, blocks_y, block_m, ..CityPlan::default() });
        assert!(!net.segments().is_empty());
        assert!(net.segments().iter().all(|s| s.length_m <= SEGMENT_LENGTH_MAX_M + 1e-9), "{blocks_x} {blocks_y}");
    }
}

#[test]
fn both_directions_share_their_nodes_and_their_line() {
    let net = city(&CityPlan { block_m: 900.0, ..CityPlan::default() });
    for at in net.indices() {
        let segment = net.segment(at);
        let mut line = net.points(at).to_vec();
        line.reverse();
        let back = net.outgoing(segment.to).iter().find(|&&b| net.points(b) == line.as_slice()).copied();
        let back = net.segment(back.expect("every street goes both ways"));
        assert_eq!((back.from, back.to), (segment.to, segment.from));
        assert_eq!(net.points(at)[0], net.nodes()[segment.from.at()]);
    }
}
