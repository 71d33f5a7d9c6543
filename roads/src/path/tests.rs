//! Tests of the searches.

use super::*;
use crate::network::tests::two_way;
use crate::{CityPlan, SegmentId, city};

/// A ladder: 0-1-2 below, 3-4-5 above, rungs between.
const LADDER: [[f64; 2]; 6] =
    [[11.0, 44.0], [11.001, 44.0], [11.002, 44.0], [11.0, 44.001], [11.001, 44.001], [11.002, 44.001]];
const RAILS: [(usize, usize); 7] = [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)];

fn named(net: &Network, segments: &[SegmentIndex]) -> Vec<String> {
    segments.iter().map(|&s| net.segment(s).source_id.clone()).collect()
}

fn at(net: &Network, name: &str) -> SegmentIndex {
    net.by_id(SegmentId::of(name)).unwrap()
}

#[test]
fn length_counts_what_lies_between() {
    let net = two_way(&LADDER, &RAILS).build().unwrap();
    let mut search = Search::new();
    let next = search.shortest(&net, at(&net, "0-1"), at(&net, "1-2"), 1_000.0).unwrap();
    assert_eq!((named(&net, &next.segments), next.length_m), (vec!["0-1".into(), "1-2".into()], 0.0));
    let far = search.shortest(&net, at(&net, "0-1"), at(&net, "5-4"), 1_000.0).unwrap();
    assert_eq!(named(&net, &far.segments), ["0-1", "1-2", "2-5", "5-4"]);
    let between = net.segment(at(&net, "1-2")).length_m + net.segment(at(&net, "2-5")).length_m;
    assert!((far.length_m - between).abs() < 1e-9);
    assert_eq!(search.shortest(&net, at(&net, "0-1"), at(&net, "5-4"), between - 1.0), None, "beyond the limit");
}

#[test]
fn back_to_the_same_segment_is_the_way_round() {
    let net = two_way(&LADDER, &RAILS).build().unwrap();
    let round = shortest(&net, at(&net, "0-1"), at(&net, "0-1"), 1_000.0).unwrap();
    assert_eq!(named(&net, &round.segments), ["0-1", "1-4", "4-3", "3-0", "0-1"]);
    assert_eq!(fastest(&net, at(&net, "0-1"), at(&net, "0-1"), &[]), Some(vec![at(&net, "0-1")]));
}

#[test]
fn a_forbidden_turn_is_driven_around() {
    let mut builder = two_way(&LADDER, &RAILS);
    let net = two_way(&LADDER, &RAILS).build().unwrap();
    builder.forbid_turn(at(&net, "0-1"), at(&net, "1-4"));
    let net = builder.build().unwrap();
    let path = shortest(&net, at(&net, "0-1"), at(&net, "1-4"), 2_000.0).unwrap();
    // The street can only be entered from 2-1, and to get there heading west both fields must be driven around.
    let around = ["0-1", "1-2", "2-5", "5-4", "4-1", "1-0", "0-3", "3-4", "4-5", "5-2", "2-1", "1-4"];
    assert_eq!(named(&net, &path.segments), around);
}

#[test]
fn the_fastest_is_not_the_shortest() {
    let net = two_way(&LADDER, &RAILS).build().unwrap();
    let mut weights = vec![10.0; net.segments().len()];
    weights[at(&net, "1-2").at()] = 100.0;
    let mut search = Search::new();
    let way = search.fastest(&net, at(&net, "0-1"), at(&net, "2-5"), &weights).unwrap();
    assert_eq!(named(&net, &way), ["0-1", "1-2", "2-5"], "there is no other way to that street's begin");
    let way = search.fastest(&net, at(&net, "0-1"), at(&net, "5-2"), &weights).unwrap();
    assert_eq!(named(&net, &way), ["0-1", "1-4", "4-5", "5-2"]);
    weights[at(&net, "1-4").at()] = f32::INFINITY;
    weights[at(&net, "1-2").at()] = f32::NAN;
    assert_eq!(search.fastest(&net, at(&net, "0-1"), at(&net, "5-2"), &weights), None, "closed");
}

/// Lengths to all segments by repeated relaxation until nothing changes (Bellman and Ford).
fn by_relaxation(net: &Network, from: SegmentIndex) -> Vec<f64> {
    let mut length = vec![f64::INFINITY; net.segments().len()];
    for next in net.successors(from) {
        length[next.at()] = 0.0;
    }
    loop {
        let mut changed = false;
        for at in net.indices() {
            let end = length[at.at()] + net.segment(at).length_m;
            for next in net.successors(at) {
                if end < length[next.at()] {
                    length[next.at()] = end;
                    changed = true;
                }
            }
        }
        if !changed {
            return length;
        }
    }
}

#[test]
fn shortest_paths_are_connected_and_as_short_as_relaxation_finds() {
    for seed in 0..3 {
        eprintln!("seed {seed}");
        let net = city(&CityPlan { seed, blocks_x: 8, blocks_y: 8, ..CityPlan::default() });
        let mut search = Search::new();
        for from in net.indices().step_by(37) {
            let expected = by_relaxation(&net, from);
            let targets: Vec<_> = net.indices().step_by(11).collect();
            assert!(search.explore(&net, from, &targets, f64::INFINITY), "everything reaches everything");
            for &to in &targets {
                let length_m = search.length_to(to).unwrap();
                assert!((length_m - expected[to.at()]).abs() < 1e-6, "{from:?} to {to:?}");
                let path = search.segments_to(to).unwrap();
                assert_eq!((path[0], path[path.len() - 1]), (from, to));
                assert!(path.windows(2).all(|pair| net.successors(pair[0]).contains(&pair[1])));
                let between: f64 = path[1..path.len() - 1].iter().map(|&s| net.segment(s).length_m).sum();
                assert!((between - length_m).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn what_was_only_seen_is_not_reached() {
    let net = city(&CityPlan::default());
    let from = SegmentIndex(0);
    let expected = by_relaxation(&net, from);
    let mut search = Search::new();
    assert!(!search.explore(&net, from, &net.indices().collect::<Vec<_>>(), 400.0));
    for to in net.indices() {
        let reached = search.length_to(to);
        assert_eq!(reached.is_some(), expected[to.at()] <= 400.0, "{to:?}");
        assert!(reached.is_none_or(|length_m| (length_m - expected[to.at()]).abs() < 1e-9));
    }
}
