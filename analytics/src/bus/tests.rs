//! Lines made by hand.

use super::*;

fn at(stop: &str) -> Journey {
    Journey { route: "550".into(), direction: "1".into(), next_stop: stop.into() }
}

/// Buses that pass stop B at these seconds, each with a report 20 s before and one at the moment itself.
fn passing(schedule: &str, seconds: &[i64]) -> Buses {
    let mut buses = Buses::new(Schedule::parse(schedule).unwrap());
    for (vehicle, s) in seconds.iter().enumerate() {
        buses.observe(vehicle as u64, (s - 20) * 1_000, &at("B"));
        buses.observe(vehicle as u64, s * 1_000, &at("C"));
    }
    buses
}

const NONE: &str = "route,direction,headway_s\n";

fn line() -> Line {
    Line { route: "550".into(), direction: "1".into() }
}

#[test]
fn bunches_gaps_and_waits_against_the_mean() {
    // Headways 600, 60, 1140: a pair, then a hole.
    let buses = passing(NONE, &[1_000, 1_600, 1_660, 2_800]);
    let figures = &buses.figures(0, 3)[&line()];
    assert_eq!((figures.vehicles, figures.headways, figures.basis), (4, 3, Basis::Mean));
    assert_eq!((figures.mean_headway_s, figures.bunched, figures.gaps), (600.0, 1, 1));
    let wait_s = (600.0_f64.powi(2) + 60.0_f64.powi(2) + 1_140.0_f64.powi(2)) / (2.0 * 1_800.0);
    assert!((figures.expected_wait_s - wait_s).abs() < 1e-9);
    assert!((figures.excess_wait_s - (wait_s - 300.0)).abs() < 1e-9);
    assert_eq!(figures.stops.len(), 1);
    assert_eq!(figures.stops[0].newest_passage_ms, 2_800_000);
}

#[test]
fn a_schedule_takes_the_place_of_the_mean() {
    let schedule = "route,direction,headway_s\n550,,400\n550,2,60\n";
    let figures = &passing(schedule, &[0, 600, 1_200, 1_500]).figures(0, 3)[&line()];
    // 600 is exactly 1.5 times 400, so no gap; 300 is exactly 0.75 times, so not bunched.
    assert_eq!((figures.basis, figures.bunched, figures.gaps), (Basis::Schedule, 0, 0));
    assert!((figures.excess_wait_s - (810_000.0 / 3_000.0 - 200.0)).abs() < 1e-9, "{figures:?}");
}

#[test]
fn even_headways_have_no_excess() {
    let figures = &passing(NONE, &[0, 300, 600, 900]).figures(0, 3)[&line()];
    assert!(figures.excess_wait_s.abs() < 1e-9);
    assert_eq!((figures.expected_wait_s, figures.bunched, figures.gaps), (150.0, 0, 0));
}

#[test]
fn what_cannot_be_a_passage_is_none() {
    let mut buses = Buses::default();
    // Silent for three minutes; wavering; a stop that is not said; another line; older than the newest.
    buses.observe(1, 0, &at("A"));
    buses.observe(1, SILENT_MS, &at("B"));
    buses.observe(1, SILENT_MS + 1_000, &at("C"));
    buses.observe(1, SILENT_MS + 2_000, &at("B"));
    buses.observe(1, SILENT_MS + 3_000, &at("C"));
    buses.observe(1, SILENT_MS, &at("D"));
    buses.observe(2, 0, &at(""));
    buses.observe(2, 1_000, &at("B"));
    buses.observe(2, 2_000, &Journey { route: "551".into(), ..at("C") });
    let counts = buses.counts();
    // B, then C on the way back, then B again at once.
    assert_eq!((counts.passages, counts.unknown_moment, counts.wavering, counts.out_of_order), (2, 1, 1, 1));
    assert!(buses.figures(0, 1).is_empty(), "one bus has no headway");
}

#[test]
fn small_groups_are_hidden_and_the_past_is_forgotten() {
    let mut buses = passing(NONE, &[0, 300]);
    assert!(buses.figures(0, 3).is_empty());
    assert_eq!(buses.figures(0, 2).len(), 1);
    buses.forget_silent(200_000);
    assert_eq!((buses.len(), buses.figures(0, 1).len()), (1, 0));
    buses.forget_silent(i64::MAX);
    assert!(buses.is_empty());
    assert_eq!(buses.stops, 0);
}

#[test]
fn a_stop_remembers_so_many_passages() {
    let seconds: Vec<i64> = (0..200).map(|n| n * 60).collect();
    let figures = &passing(NONE, &seconds).figures(0, 1)[&line()];
    assert_eq!(figures.headways as usize, PASSAGES_MAX - 1);
}

#[test]
fn mistakes_in_a_schedule_are_named() {
    let said = |text: &str| Schedule::parse(text).unwrap_err().to_string();
    assert!(said("line,headway\n").contains("route,direction,headway_s"));
    assert!(said("route,direction,headway_s\n550,1,0\n").contains("line 2"));
    assert!(said("route,direction,headway_s\n550,1\n").contains("550,1"));
}
