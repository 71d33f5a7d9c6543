//! Tests of the generated city.

use super::*;
use crate::segment::SEGMENT_LENGTH_MAX_M;

fn plan(seed: u64, segments: u32) -> MetropolisPlan {
    MetropolisPlan { seed, segments, ..MetropolisPlan::default() }
}

#[test]
fn every_seed_gives_a_connected_city_of_the_size_asked_for() {
    for seed in 0..12 {
        for segments in [500, 2_400, 9_000] {
            let net = metropolis(&plan(seed, segments)).network;
            let made = net.segments().len();
            eprintln!("seed {seed}: {made} of {segments}");
            assert!((made as f64 / f64::from(segments) - 1.0).abs() < 0.1, "{made} of {segments}");
            assert_eq!(largest_strong_part(&net).len(), made);
            for segment in net.segments() {
                assert!((8.0..=SEGMENT_LENGTH_MAX_M + 1e-6).contains(&segment.length_m), "{segment:?}");
            }
        }
    }
}

#[test]
fn the_largest_city_is_of_its_size() {
    let made = metropolis(&plan(5, 100_000)).network.segments().len();
    assert!((90_000..=110_000).contains(&made), "{made}");
}

#[test]
fn a_seed_is_a_city() {
    assert_eq!(metropolis(&plan(3, 900)).network, metropolis(&plan(3, 900)).network);
    let (a, b) = (metropolis(&plan(3, 900)).network, metropolis(&plan(4, 900)).network);
    assert_ne!(a.nodes(), b.nodes());
    assert_ne!(a.source_hash(), b.source_hash());
}
