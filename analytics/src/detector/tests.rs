//! Intervals made by hand: figures, oddities, holes, units, and state that is written down.

use super::*;

fn site(free_mps: f64) -> Site {
    Site { free_mps, segment: None }
}

/// A minute in which vehicles of 7 m (loop included) pass at one speed.
fn minute(at: i64, count: u32, speed_mps: f64) -> Reading {
    let occupancy = Some((f64::from(count) * 7.0 / speed_mps / 60.0) as f32);
    Reading { start_ms: at * 60_000, end_ms: (at + 1) * 60_000, count: Some(count), occupancy, speed_mps: None }
}

#[test]
fn length_learnt_at_free_flow_gives_speed_and_density_in_a_jam() {
    let mut detectors = Detectors::new(0);
    for at in 0..200 {
        detectors.apply("a", minute(at, 10 + (at % 7) as u32, 25.0), || site(25.0));
    }
    for at in 200..240 {
        detectors.apply("a", minute(at, 12, 4.0), || site(25.0));
    }
    let figures = detectors.figures(0)["a"];
    assert!((figures.effective_length_m - 7.0).abs() < 0.01, "{figures:?}");
    assert!((figures.speed_mps.unwrap() - 4.0).abs() < 0.02, "{figures:?}");
    assert!(!figures.is_speed_measured);
    // k = q / v = 720 veh/h / 14.4 km/h.
    assert!((figures.density_veh_per_km.unwrap() - 50.0).abs() < 0.2, "{figures:?}");
}

#[test]
fn nothing_is_not_zero() {
    let mut detectors = Detectors::new(0);
    let empty = Reading { start_ms: 0, end_ms: 60_000, count: Some(0), occupancy: None, speed_mps: Some(0.0) };
    detectors.apply("a", empty, || site(15.0));
    let figures = detectors.figures(0)["a"];
    assert_eq!((figures.flow_veh_per_h, figures.speed_mps, figures.density_veh_per_km), (Some(0.0), None, None));
    assert_eq!(figures.effective_length_m, length::DEFAULT_M);
    assert!(detectors.figures(60_001).is_empty(), "older than asked for");
    detectors.forget_silent(60_001);
    assert!(detectors.figures(0).is_empty());
}

#[test]
fn a_single_passage_is_no_interval() {
    let mut detectors = Detectors::new(0);
    let passage = Reading { start_ms: 0, end_ms: 100, count: Some(1), occupancy: Some(1.0), speed_mps: None };
    detectors.apply("a", passage, || site(15.0));
    assert!(detectors.figures(0).is_empty());
}

#[test]
fn an_older_interval_does_not_become_the_newest() {
    let mut detectors = Detectors::new(0);
    detectors.apply("a", minute(9, 5, 20.0), || site(20.0));
    detectors.apply("a", minute(3, 9, 20.0), || site(20.0));
    assert_eq!(detectors.figures(0)["a"].start_ms, 9 * 60_000);
}

fn said(count: Option<u32>, occupancy: Option<f32>, speed_mps: Option<f32>) -> Reading {
    Reading { start_ms: 0, end_ms: 60_000, count, occupancy, speed_mps }
}

/// The figures of one interval, and which oddities it counts.
fn one(reading: Reading) -> (Figures, Vec<Oddity>) {
    let mut detectors = Detectors::new(0);
    detectors.apply("a", reading, || site(15.0));
    let figures = detectors.figures(0)["a"];
    let odd = detectors.oddities();
    (figures, odd.iter().filter(|(_, n)| *n > 0).map(|(oddity, _)| oddity).collect())
}

#[test]
fn speed_0_with_flow_is_no_speed() {
    let (figures, odd) = one(said(Some(9), Some(0.1), Some(0.0)));
    assert_eq!(odd, [Oddity::SpeedZeroWithFlow]);
    assert!(!figures.is_speed_measured && figures.speed_mps.unwrap() > 5.0, "{figures:?}");
    assert_eq!(figures.flow_veh_per_h, Some(540.0));
}

#[test]
fn full_without_flow_is_a_vehicle_that_stands() {
    let (figures, odd) = one(said(Some(0), Some(1.0), None));
    assert_eq!(odd, [Oddity::FullWithoutFlow, Oddity::NothingPassed]);
    assert_eq!((figures.occupancy, figures.speed_mps), (Some(1.0), None));
    assert!((figures.density_veh_per_km.unwrap() - 1_000.0 / length::DEFAULT_M).abs() < 1e-9);
}

#[test]
fn flow_without_occupancy_gives_no_density() {
    let (figures, odd) = one(said(Some(9), Some(0.0), Some(14.0)));
    assert_eq!(odd, [Oddity::FlowWithoutOccupancy]);
    assert_eq!((figures.density_veh_per_km, figures.speed_mps), (None, Some(14.0)));
}

#[test]
fn null_is_null_and_is_counted() {
    let (figures, odd) = one(said(None, Some(0.1), None));
    assert_eq!((figures.flow_veh_per_h, figures.speed_mps, odd), (None, None, vec![Oddity::CountNotSaid]));
    let (figures, odd) = one(said(Some(9), None, None));
    assert_eq!((figures.density_veh_per_km, figures.speed_mps), (None, None));
    assert_eq!(odd, [Oddity::OccupancyNotSaid, Oddity::SpeedNotSaid]);
}

#[test]
fn holes_overlaps_and_lengths_are_counted() {
    let mut detectors = Detectors::new(0);
    let mut say = |start_s: i64, length_s: i64| {
        let (start_ms, end_ms) = (start_s * 1_000, (start_s + length_s) * 1_000);
        let reading = Reading { start_ms, end_ms, count: Some(5), occupancy: Some(0.1), speed_mps: Some(10.0) };
        detectors.apply("a", reading, || site(15.0));
    };
    // Two are missing; then three days of five minutes; then one too early; then an overlap; then a minute.
    for start_s in [0, 300, 1_200, 1_500 + 3 * 86_400, 900, 1_700 + 3 * 86_400] {
        say(start_s, 300);
    }
    say(2_000 + 3 * 86_400, 60);
    let odd = detectors.oddities();
    let n = |oddity| odd.of(oddity);
    assert_eq!((n(Oddity::Hole), n(Oddity::HoleOfDays), odd.intervals_missing), (1, 1, 2 + 3 * 288));
    assert_eq!((n(Oddity::OutOfOrder), n(Oddity::Overlap), n(Oddity::LengthChanged)), (1, 1, 1));
    detectors.forget_silent(i64::MAX);
    assert_eq!(detectors.oddities(), odd, "what was counted stays counted");
}

#[test]
fn a_changed_unit_is_withheld() {
    let mut detectors = Detectors::new(0);
    for at in 0..4 * 1_440 {
        let ratio = if at < 2 * 1_440 { 1.0 } else { 2.236_936 };
        let speed_mps = Some((13.0 + (at % 3) as f32) * ratio);
        let reading = Reading { speed_mps, ..minute(at, 6, 14.0) };
        detectors.apply("a", reading, || site(14.0));
    }
    let figures = detectors.figures(0)["a"];
    assert!(figures.oddities.of(Oddity::SpeedUnitChanged) >= 1);
    assert!(!figures.is_speed_measured, "{figures:?}");
    assert!((figures.speed_mps.unwrap() - 14.0).abs() < 3.0, "occupancy still tells: {figures:?}");
}

#[test]
fn state_can_be_written_down_and_read_back() {
    let mut detectors = Detectors::new(3_600);
    for at in 0..3_000 {
        detectors.apply("a", minute(at, 6, 14.0), || site(14.0));
    }
    let written = serde_json::to_string(&detectors).unwrap();
    let mut read: Detectors = serde_json::from_str(&written).unwrap();
    for both in [&mut detectors, &mut read] {
        for at in 3_000..3_300 {
            both.apply("a", minute(at, 7, 9.0), || site(14.0));
        }
    }
    assert_eq!(detectors.figures(0), read.figures(0));
}
