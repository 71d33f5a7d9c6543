//! Matching on small networks of our own: sums are kept, order does not matter, limits are what they say.

mod properties;
mod smoothing;

use super::*;
use crate::pane::{CellRow, PaneStore};
use proptest::prelude::*;
use roads::network::builder::{NetworkBuilder, NewSegment};
use roads::{RoadClass, SegmentId};

const LAT: f64 = 44.5;

/// Metres of a degree of longitude at [`LAT`], near enough to place things.
const DEG_M: f64 = 79_310.0;

/// A straight road to the east: three segments of 200 m each way.
fn road() -> Arc<Network> {
    let mut b = NetworkBuilder::new("road");
    let nodes: Vec<_> = (0..4).map(|i| b.node(11.0 + f64::from(i) * 200.0 / DEG_M, LAT)).collect();
    for (way, ends) in [(0, 1), (1, 2), (2, 3), (3, 2), (2, 1), (1, 0)].into_iter().enumerate() {
        let lon = |i: i32| 11.0 + f64::from(i) * 200.0 / DEG_M;
        b.segment(NewSegment {
            id: SegmentId::of(&format!("road {way}")),
            source_id: way.to_string(),
            source_offset_m: 0.0,
            name: None,
            class: RoadClass::Primary,
            from: nodes[ends.0 as usize],
            to: nodes[ends.1 as usize],
            length_m: None,
            speed_limit_mps: 14.0,
            lanes: 1,
            line: vec![[lon(ends.0), LAT], [lon(ends.1), LAT]],
        });
    }
    Arc::new(b.build().unwrap())
}

fn seen(vehicle: u64, time_s: f64, east_m: f64) -> Observed {
    let at = LonLat::new(11.0 + east_m / DEG_M, LAT + 2e-5).unwrap();
    Observed { vehicle, time_ms: (time_s * 1_000.0) as i64, at, speed_mps: None, heading: None, edge: None }
}

fn cells(fixes: &[Observed]) -> (Vec<CellRow>, MatchCounts) {
    let mut matcher = Matcher::new(road(), MatchConfig::default());
    let mut store = PaneStore::default();
    for fix in fixes {
        matcher.observe(fix, |change| {
            assert_eq!(store.apply(&[change]), 0);
        });
    }
    (store.sorted_rows(), matcher.counts())
}

fn on_segment(rows: &[CellRow], segment: u32) -> (i64, i64) {
    let rows = rows.iter().filter(|r| r.segment.0 == segment);
    rows.fold((0, 0), |sum, r| (sum.0 + r.distance_mm, sum.1 + r.time_ms))
}

#[test]
fn a_drive_is_shared_out_over_the_segments_it_passed() {
    // 10 m/s from 100 m to 500 m: 100 m on the first, 200 on the second, 100 on the third.
    let fixes: Vec<_> = (0..=40).map(|s| seen(1, f64::from(s), 100.0 + 10.0 * f64::from(s))).collect();
    let (rows, counts) = cells(&fixes);
    for (segment, metres) in [(0, 100), (1, 200), (2, 100)] {
        let (mm, ms) = on_segment(&rows, segment);
        assert!((mm - metres * 1_000).abs() < 600, "segment {segment}: {mm} mm");
        assert!((ms - metres * 100).abs() < 60, "segment {segment}: {ms} ms");
    }
    assert_eq!((counts.placed, counts.steps, counts.breaks), (41, 40, 0));
}

#[test]
fn the_way_back_is_the_other_direction_and_a_red_light_stays_where_it_was() {
    let mut fixes: Vec<_> = (0..10).map(|s| seen(1, f64::from(s), 380.0 - 10.0 * f64::from(s))).collect();
    fixes.extend((10..40).map(|s| seen(1, f64::from(s), 290.0)));
    let (rows, _) = cells(&fixes);
    let (mm, ms) = on_segment(&rows, 4);
    assert!((mm - 90_000).abs() < 500, "{mm}");
    assert_eq!(ms, 39_000, "the standing time is on the direction that was driven");
}

#[test]
fn silence_jumps_and_far_places_are_counted_and_make_no_cells() {
    let (_, gap) = cells(&[seen(1, 0.0, 100.0), seen(1, 181.0, 120.0)]);
    assert_eq!((gap.gaps, gap.steps), (1, 0));
    let (_, jump) = cells(&[seen(1, 0.0, 10.0), seen(1, 1.0, 510.0)]);
    assert_eq!((jump.jumps, jump.steps), (1, 0));
    let mut far = seen(1, 0.0, 100.0);
    far.at = LonLat::new(11.0, 44.6).unwrap();
    let (rows, off) = cells(&[far]);
    assert_eq!((off.off_network, rows.len()), (1, 0));
    let (_, twice) = cells(&[seen(1, 0.0, 100.0), seen(1, 0.0, 130.0)]);
    assert_eq!((twice.same_moment, twice.placed), (1, 1));
}

#[test]
fn a_fix_older_than_the_track_is_too_late() {
    let mut fixes: Vec<_> = (10..200).map(|s| seen(1, f64::from(s), 10.0 + f64::from(s))).collect();
    fixes.push(seen(1, 5.0, 15.0));
    assert_eq!(cells(&fixes).1.too_late, 1);
}

proptest! {
    /// Any order within a track's reach gives the same cells as the sorted one.
    #[test]
    fn order_of_arrival_does_not_matter(
        speeds in prop::collection::vec(0.0_f64..15.0, 2..TRACK_FIXES_MAX),
        order in prop::collection::vec(any::<u32>(), TRACK_FIXES_MAX),
    ) {
        let mut at_m = 20.0;
        let fixes: Vec<_> = speeds.iter().enumerate().map(|(s, v)| { at_m += v; seen(9, s as f64, at_m) }).collect();
        let mut shuffled: Vec<_> = fixes.iter().cloned().zip(order).collect();
        shuffled.sort_by_key(|f| f.1);
        let shuffled: Vec<_> = shuffled.into_iter().map(|f| f.0).collect();
        let ((rows, counts), (sorted_rows, sorted_counts)) = (cells(&shuffled), cells(&fixes));
        prop_assert_eq!(rows, sorted_rows);
        // Only how it came about differs.
        prop_assert_eq!(MatchCounts { redone: 0, ..counts }, sorted_counts);
    }

    /// Every counted step keeps its metres and seconds.
    #[test]
    fn metres_and_seconds_are_conserved(speeds in prop::collection::vec(0.0_f64..20.0, 2..28)) {
        let mut at_m = 20.0;
        let fixes: Vec<_> = speeds.iter().enumerate().map(|(s, v)| { at_m += v; seen(9, s as f64, at_m) }).collect();
        let (rows, counts) = cells(&fixes);
        prop_assert_eq!(counts.steps as usize, fixes.len() - 1);
        // Along a straight street from place to place, each to the millimetre: at the most one is lost at either end.
        let moved_mm = (fixes[0].at.distance_m(fixes[fixes.len() - 1].at) * 1_000.0).round() as i64;
        let driven_mm = rows.iter().map(|r| r.distance_mm).sum::<i64>();
        prop_assert!((driven_mm - moved_mm).abs() <= 2, "{driven_mm} of {moved_mm} mm");
        prop_assert_eq!(rows.iter().map(|r| r.time_ms).sum::<i64>(), (fixes.len() as i64 - 1) * 1_000);
    }
}
