//! Tests of the network, its builder and its index.

use proptest::prelude::*;

use super::builder::{NetworkBuilder, NetworkError, NewSegment};
use super::*;
use crate::index::CANDIDATES_MAX;
use crate::segment::RoadClass;
use crate::{CityPlan, city};

/// A segment between two nodes, straight, named by its ends.
pub(crate) fn straight(builder: &mut NetworkBuilder, ends: [(NodeIndex, [f64; 2]); 2]) -> SegmentIndex {
    let name = format!("{}-{}", ends[0].0.0, ends[1].0.0);
    builder.segment(NewSegment {
        id: SegmentId::of(&name),
        source_id: name,
        source_offset_m: 0.0,
        name: None,
        class: RoadClass::Residential,
        from: ends[0].0,
        to: ends[1].0,
        length_m: None,
        speed_limit_mps: 10.0,
        lanes: 1,
        line: vec![ends[0].1, ends[1].1],
    })
}

/// Streets in both directions between places, each given by two positions in the list of places.
pub(crate) fn two_way(places: &[[f64; 2]], streets: &[(usize, usize)]) -> NetworkBuilder {
    let mut builder = NetworkBuilder::new("test");
    let nodes: Vec<_> = places.iter().map(|&[lon, lat]| (builder.node(lon, lat), [lon, lat])).collect();
    for &(a, b) in streets {
        straight(&mut builder, [nodes[a], nodes[b]]);
        straight(&mut builder, [nodes[b], nodes[a]]);
    }
    builder
}

const CROSS: [[f64; 2]; 5] = [[11.0, 44.0], [11.001, 44.0], [11.0, 44.001], [10.999, 44.0], [11.0, 43.999]];

fn at(net: &Network, source_id: &str) -> SegmentIndex {
    net.on_source(source_id, 0.0).unwrap().0
}

#[test]
fn turns_lead_onward_and_back_only_at_a_dead_end() {
    let net = two_way(&CROSS, &[(0, 1), (0, 2), (0, 3), (0, 4)]).build().unwrap();
    let names = |from: &str| -> Vec<&str> {
        net.successors(at(&net, from)).iter().map(|&s| net.segment(s).source_id.as_str()).collect()
    };
    assert_eq!(names("1-0"), ["0-2", "0-3", "0-4"]);
    assert_eq!(names("0-1"), ["1-0"], "a dead end");
    assert_eq!(net.outgoing(NodeIndex(0)).len(), 4);
    let mut builder = two_way(&CROSS, &[(0, 1), (0, 2), (0, 3), (0, 4)]);
    builder.forbid_turn(at(&net, "1-0"), at(&net, "0-3"));
    builder.allow_turn(at(&net, "1-0"), at(&net, "0-1"));
    let net = builder.build().unwrap();
    let next: Vec<_> = net.successors(at(&net, "1-0")).iter().map(|&s| net.segment(s).source_id.as_str()).collect();
    assert_eq!(next, ["0-1", "0-2", "0-4"]);
}

#[test]
fn places_headings_and_offsets_agree() {
    let net = two_way(&CROSS, &[(0, 1), (0, 2)]).build().unwrap();
    let east = at(&net, "0-1");
    let length = net.segment(east).length_m;
    assert!((length - 79.99).abs() < 0.05, "0.001° of longitude at 44° north: {length}");
    assert_eq!(net.heading(east, 10.0).get(), 90.0);
    assert_eq!(net.heading(at(&net, "1-0"), 10.0).get(), 270.0);
    assert_eq!(net.heading(at(&net, "0-2"), f64::NAN).get(), 0.0);
    assert_eq!(net.place(east, -5.0), LonLat::new(11.0, 44.0).unwrap());
    assert_eq!(net.place(east, f64::INFINITY), LonLat::new(11.001, 44.0).unwrap());
    let middle = net.place(east, length / 2.0);
    assert!((middle.lon_deg() - 11.0005).abs() < 1e-12);
    let mut found = Vec::new();
    net.nearest(LonLat::new(11.0005, 44.0001).unwrap(), 30.0, &mut found);
    assert_eq!(found.len(), 2, "both directions, not the street to the north: {found:?}");
    assert!((found[0].distance_m - 11.12).abs() < 0.01 && (found[0].offset_m - length / 2.0).abs() < 0.01);
}

#[test]
fn what_is_wrong_is_said_by_name() {
    assert_eq!(NetworkBuilder::new("x").build().unwrap_err(), NetworkError::Empty);
    // Austin with its coordinates swapped.
    let swapped = two_way(&[[30.2, -97.7], [30.3, -97.8]], &[(0, 1)]).build().unwrap_err();
    assert!(matches!(swapped, NetworkError::Place { .. }));
    assert!(swapped.to_string().contains("swapped"), "{swapped}");
    let point = two_way(&[[11.0, 44.0], [11.0, 44.0]], &[(0, 1)]).build().unwrap_err();
    assert!(point.to_string().contains("0-1") && point.to_string().contains("two different points"), "{point}");
    let twice = two_way(&CROSS, &[(0, 1), (0, 1)]).build().unwrap_err();
    assert!(matches!(twice, NetworkError::SameId { .. }), "{twice}");
}

#[test]
fn every_segment_is_found_by_its_names() {
    let net = city(&CityPlan { block_m: 700.0, ..CityPlan::default() });
    for at in net.indices() {
        let segment = net.segment(at);
        assert_eq!(net.by_id(segment.id), Some(at));
        let (found, offset_m) = net.on_source(&segment.source_id, segment.source_offset_m + 1.0).unwrap();
        assert_eq!(found, at);
        assert!((offset_m - 1.0).abs() < 1e-6);
    }
    assert_eq!(net.on_source("nowhere", 0.0), None);
    assert_eq!(net.by_id(SegmentId(0)), None);
}

/// The nearest point of every segment by walking along it in small steps, without grid or projection.
fn by_walking(net: &Network, here: LonLat, step_m: f64) -> Vec<(SegmentIndex, f64)> {
    let nearest = |at: SegmentIndex| {
        let steps = (net.segment(at).length_m / step_m).ceil() as u32;
        let distance = |i: u32| net.place(at, f64::from(i) * step_m).distance_m(here);
        (at, (0..=steps).map(distance).fold(f64::INFINITY, f64::min))
    };
    net.indices().map(nearest).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nearest_is_what_walking_every_street_finds(
        seed in 0_u64..4, east in -0.014..0.014_f64, north in -0.011..0.011_f64, radius_m in 1.0..120.0_f64,
    ) {
        let plan = CityPlan { seed, ..CityPlan::default() };
        let net = city(&plan);
        let here = LonLat::new(plan.center.lon_deg() + east, plan.center.lat_deg() + north).unwrap();
        let mut found = Vec::new();
        net.nearest(here, radius_m, &mut found);
        prop_assert!(found.is_sorted_by(|a, b| (a.distance_m, a.segment) < (b.distance_m, b.segment)));
        let mut walked = by_walking(&net, here, 0.5);
        walked.sort_by(|a, b| a.1.total_cmp(&b.1));
        let within = walked.iter().filter(|(_, d)| *d <= radius_m - 0.1).count();
        prop_assert!(found.len() >= within.min(CANDIDATES_MAX), "{} of {within}", found.len());
        for candidate in &found {
            let walked = walked.iter().find(|(at, _)| *at == candidate.segment).unwrap().1;
            // A step of 0.5 m passes the nearest point by at most 0.25 m.
            prop_assert!((walked - candidate.distance_m).abs() < 0.26, "{candidate:?} against {walked}");
            let place = net.place(candidate.segment, candidate.offset_m);
            prop_assert!((place.distance_m(here) - candidate.distance_m).abs() < 0.01);
            // At a bend the heading may be that of either piece.
            let around = [-1e-6, 1e-6].map(|off| net.heading(candidate.segment, candidate.offset_m + off));
            prop_assert!(around.contains(&candidate.heading), "{candidate:?} against {around:?}");
        }
    }
}

#[test]
fn beyond_the_cap_the_farthest_are_left_out() {
    // Forty spokes from one place: at the hub all are equally near, by index.
    let hub = [11.0, 44.0];
    let rim = (0..40).map(|i| f64::from(i) * PI / 20.0).map(|a| [11.0 + 0.001 * a.cos(), 44.0 + 0.001 * a.sin()]);
    let places: Vec<_> = std::iter::once(hub).chain(rim).collect();
    let streets: Vec<_> = (1..=40).map(|i| (0, i)).collect();
    let net = two_way(&places, &streets).build().unwrap();
    let mut found = Vec::new();
    net.nearest(LonLat::new(11.0, 44.0).unwrap(), 50.0, &mut found);
    assert_eq!(found.len(), CANDIDATES_MAX);
    let expected: Vec<_> = net.indices().take(CANDIDATES_MAX).collect();
    assert_eq!(found.iter().map(|c| c.segment).collect::<Vec<_>>(), expected);
    for radius_m in [f64::NAN, -1.0] {
        net.nearest(LonLat::new(11.0, 44.0).unwrap(), radius_m, &mut found);
        assert!(found.is_empty());
    }
}

#[test]
fn a_piece_says_the_same_place_as_the_network_to_the_bit() {
    let net = city(&CityPlan::default());
    let mut bent = 0;
    for at in net.indices() {
        let pieces: Vec<Piece> = net.pieces(at).collect();
        assert_eq!(pieces.len() + 1, net.points(at).len());
        bent += usize::from(pieces.len() > 1);
        let length_m = net.segment(at).length_m;
        for step in -2..=52 {
            let offset_m = length_m * f64::from(step) / 50.0;
            let after = pieces.iter().filter(|piece| piece.begin_m <= offset_m).count();
            let place = net.place(at, offset_m);
            assert_eq!(pieces[after.max(1) - 1].place(offset_m), [place.lon_deg(), place.lat_deg()]);
        }
        for (piece, vertex) in pieces.iter().zip(net.points(at)) {
            assert_eq!(piece.place(piece.begin_m), *vertex);
        }
    }
    assert!(bent > 0, "the city has no bent street");
}
