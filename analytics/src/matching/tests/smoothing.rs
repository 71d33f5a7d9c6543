//! White errors of positions are taken out where speed and course are told; what is slow, or not told, is left alone.

use proptest::prelude::*;

use super::properties::{Dice, cases, demo, drive, recorded_with, traversals};
use super::*;
use crate::matching::drive::Wanted;

/// A drive every second with 20 m of white error, and with what its receiver says about its motion.
fn noisy_drive(network: &Network, seed: u64) -> (Vec<Observed>, Vec<(SegmentIndex, f64)>) {
    let (places, path) = drive(network, seed, 1.0, 0.0);
    let (mut fixes, _) = drive(network, seed, 1.0, 20.0);
    for (i, fix) in fixes.iter_mut().enumerate() {
        let (a, b) = (places[i.saturating_sub(1)].at, places[(i + 1).min(places.len() - 1)].at);
        let (east, north) = ((b.lon_deg() - a.lon_deg()) * DEG_M, (b.lat_deg() - a.lat_deg()) * 111_195.0);
        fix.speed_mps = Some(10.0);
        fix.heading = Some(HeadingDeg::wrapped(east.atan2(north).to_degrees() as f32));
    }
    (fixes, path)
}

/// Metres missed and added over metres driven.
fn mismatch(network: &Arc<Network>, fixes: &[Observed], path: &[(SegmentIndex, f64)]) -> f64 {
    let mut apart: FxHashMap<SegmentIndex, f64> = FxHashMap::default();
    let (rows, _) = recorded_with(network, fixes, Wanted::Traversals, &told());
    traversals(&rows).iter().for_each(|t| *apart.entry(t.segment).or_default() += t.distance_m);
    path.iter().for_each(|p| *apart.entry(p.0).or_default() -= p.1);
    apart.values().map(|m| m.abs()).sum::<f64>() / path.iter().map(|p| p.1).sum::<f64>()
}

fn told() -> MatchConfig {
    MatchConfig { sigma_m: 20.0, radius_m: 70.0, ..MatchConfig::default() }
}

#[test]
fn white_errors_of_20_m_every_second_leave_the_path_as_it_was() {
    let network = demo();
    let (mut with, mut without, mut drives) = (0.0, 0.0, 0.0);
    for seed in 0..60 {
        let (fixes, path) = noisy_drive(&network, seed);
        if fixes.len() < 60 {
            continue;
        }
        let silent: Vec<_> = fixes.iter().map(|f| Observed { speed_mps: None, heading: None, ..f.clone() }).collect();
        with += mismatch(&network, &fixes, &path);
        without += mismatch(&network, &silent, &path);
        drives += 1.0;
    }
    println!("mismatch {:.3}, without speed and course {:.3}, {drives} drives", with / drives, without / drives);
    assert!(drives > 20.0 && with / drives < 0.2 && with < 0.5 * without);
}

#[test]
fn a_queue_does_not_drive_however_much_its_positions_dance() {
    let mut dice = Dice(7);
    let stands: Vec<_> = (0..300)
        .map(|s| {
            let (east, north) = (dice.gauss() * 20.0, dice.gauss() * 20.0);
            let at = LonLat::new(11.0 + (300.0 + east) / DEG_M, LAT + north / 111_195.0).unwrap();
            Observed { at, speed_mps: Some(0.0), ..seen(1, f64::from(s), 0.0) }
        })
        .collect();
    let danced_m: f64 = stands.windows(2).map(|w| w[0].at.distance_m(w[1].at)).sum();
    let mut matcher = Matcher::new(road(), told());
    let mut moved_mm = 0;
    for fix in &stands {
        matcher.observe(fix, |change| moved_mm += i64::from(change.distance_mm));
    }
    let counts = matcher.counts();
    println!("danced {danced_m:.0} m, counted {} m, {counts:?}", moved_mm / 1_000);
    assert!((moved_mm as f64) < 50.0 * danced_m, "of {danced_m} m danced {moved_mm} mm are counted");
    assert!(counts.jumps <= 3, "{counts:?}");
}

#[test]
fn a_slow_error_is_left_alone() {
    let mut dice = Dice(11);
    let mut matcher = Matcher::new(road(), told());
    let mut east_m = 0.0;
    for s in 0..50 {
        // A first-order autoregression of 20 m with a time constant of 60 s, as in bench/match.
        let keep = (-1.0_f64 / 60.0).exp();
        east_m = keep * east_m + (1.0 - keep * keep).sqrt() * 20.0 * dice.gauss();
        let fix = seen(1, f64::from(s), 50.0 + 8.0 * f64::from(s) + east_m);
        let told = Observed { speed_mps: Some(8.0), heading: Some(HeadingDeg::wrapped(90.0)), ..fix };
        matcher.observe(&told, |_| {});
        assert!(matcher.tracks[0].fixes.iter().all(Fix::is_raw), "second {s}");
    }
}

proptest! {
    #![proptest_config(cases())]

    /// Smoothing looks at the fixes before; they are the same whatever order they came in.
    #[test]
    fn order_of_arrival_does_not_matter_to_smoothed_places(
        seed in 1..u64::MAX, order in prop::collection::vec(any::<u32>(), TRACK_FIXES_MAX - 1)
    ) {
        let network = demo();
        let (fixes, _) = noisy_drive(&network, seed);
        let sorted: Vec<_> = fixes.into_iter().take(TRACK_FIXES_MAX - 1).collect();
        let mut shuffled: Vec<_> = sorted.iter().cloned().zip(order).collect();
        shuffled.sort_by_key(|f| f.1);
        let places = |fixes: &mut dyn Iterator<Item = &Observed>| {
            let mut matcher = Matcher::new(Arc::clone(&network), told());
            fixes.for_each(|fix| matcher.observe(fix, |_| {}));
            matcher.tracks[0].fixes.iter().copied().collect::<Vec<_>>()
        };
        let (a, b) = (places(&mut sorted.iter()), places(&mut shuffled.iter().map(|f| &f.0)));
        prop_assert!(sorted.len() < TRACK_FIXES_MAX - 1 || a.iter().any(|f| !f.is_raw()), "nothing was smoothed");
        let same = |(a, b): (&Fix, &Fix)| a.same_place(b);
        prop_assert!(a.len() == b.len() && a.iter().zip(&b).all(same), "{a:?} {b:?}");
    }
}
