//! What a loop counts, and how each of its faults shows.

use super::*;
use crate::vehicle::{LENGTH_MM, VehicleId};

fn one(from_mm: i64, to_mm: i64) -> Move {
    let (vehicle, segment) = (VehicleId(1), SegmentIndex(0));
    let speed_mm_s = to_mm - from_mm;
    let (slot, lane, kind, begin_ms, end_ms) = (0, 0, 0, 0, 1_000);
    Move { vehicle, slot, segment, lane, kind, from_mm, to_mm, begin_ms, end_ms, speed_mm_s, last: true }
}

fn loops() -> Vec<Detector> {
    all(&roads::city(&roads::CityPlan::default()), "sim", &[])
}

fn minute(detector: &mut Detector, beside: u32) -> Option<DetectorInterval> {
    detector.report(TimeMs(0), TimeMs(60_000), beside)
}

#[test]
fn a_loop_counts_fronts_once_and_is_covered_by_whole_vehicles() {
    let fresh = Detector { lanes: 1, ..loops()[0].clone() };
    let (at, over) = (fresh.at_mm, LOOP_LENGTH_MM + LENGTH_MM);
    for (moves, count, covered_ms, what) in [
        (vec![one(at - 5_000, at + 5_000)], 1, 500, "passes at 10 m/s"),
        (vec![one(at - 20_000, at + 20_000)], 1, 1_000 * over / 40_000, "passes within one second"),
        (vec![one(at - 10, at), one(at, at), one(at, at + 10)], 1, 2_000, "stops exactly at the loop"),
        (vec![one(at + over - 10, at + over), one(at + over, at + over)], 0, 1_000, "stops just beyond it"),
        (vec![one(at - 2_000, at - 1)], 0, 0, "stops just before it"),
    ] {
        let mut detector = fresh.clone();
        moves.iter().for_each(|m| detector.observe(m, LENGTH_MM, 1));
        assert_eq!((detector.sums.count, detector.sums.covered_ms), (count, covered_ms), "{what}");
        let report = minute(&mut detector, 0).unwrap();
        assert_eq!(report.occupancy, Some(covered_ms as f32 / 60_000.0), "{what}");
        assert_eq!(report.speed.is_some(), count > 0, "no passage is no speed, not 0");
        assert_eq!((detector.sums.count, detector.sums.covered_ms), (0, 0));
    }
}

#[test]
fn the_stated_share_is_healthy_and_every_fault_occurs() {
    for (share, seed) in [(0.9, 1), (0.6, 2), (1.0, 3), (0.0, 4)] {
        let mut kinds = std::collections::BTreeMap::new();
        let (mut healthy, mut asked) = (0, 0);
        for day in 0..50 {
            for detector in &mut loops() {
                detector.begin_day(seed, day, share);
                asked += 1;
                match detector.fault {
                    None => healthy += 1,
                    Some(kind) => *kinds.entry(kind.name()).or_insert(0) += 1,
                }
            }
        }
        let found = f64::from(healthy) / f64::from(asked);
        println!("seed {seed}: {found:.3} of {asked} loop days healthy, {kinds:?}");
        assert!((found - share).abs() < 0.015, "{found} instead of {share}");
        assert_eq!(kinds.len(), if share < 1.0 { FAULTS.len() } else { 0 });
    }
}

#[test]
fn each_fault_shows_in_what_the_loop_says() {
    let fresh = loops()[0].clone();
    let at = fresh.at_mm;
    let said = |fault: Option<FaultKind>| {
        let mut detector = Detector { fault, ..fresh.clone() };
        for _ in 0..1_000 {
            detector.observe(&one(at - 5_000, at + 5_000), LENGTH_MM, 11);
        }
        minute(&mut detector, 500)
    };
    let healthy = said(None).unwrap();
    assert_eq!((healthy.count.unwrap(), healthy.speed.unwrap().get()), (1_000, 10.0));
    assert_eq!(said(Some(FaultKind::Dead)), None);
    for (kind, occupancy) in [(FaultKind::StuckOn, 1.0), (FaultKind::StuckOff, 0.0)] {
        let stuck = said(Some(kind)).unwrap();
        assert_eq!((stuck.count.unwrap(), stuck.occupancy, stuck.speed), (0, Some(occupancy), None));
    }
    let chatter = said(Some(FaultKind::Chattering)).unwrap();
    assert!((2_900..3_100).contains(&chatter.count.unwrap()), "{}", chatter.count.unwrap());
    let missed = said(Some(FaultKind::Miscounting)).unwrap();
    assert!((650..750).contains(&missed.count.unwrap()), "{}", missed.count.unwrap());
    let crosstalk = said(Some(FaultKind::Crosstalk)).unwrap();
    assert_eq!((crosstalk.count.unwrap(), crosstalk.speed.unwrap().get()), (1_500, 10.0));
}

#[test]
fn the_loop_beside_is_that_of_the_other_direction() {
    let network = roads::city(&roads::CityPlan::default());
    let loops = loops();
    let mut opposite = 0;
    for (i, detector) in loops.iter().enumerate() {
        let beside = &loops[detector.beside.unwrap() as usize];
        assert_ne!(beside.segment, detector.segment, "loop {i} is its own neighbour");
        let (a, b) = (network.segment(detector.segment), network.segment(beside.segment));
        opposite += usize::from((a.from, a.to) == (b.to, b.from));
    }
    assert!(opposite * 10 > loops.len() * 9, "{opposite} of {}", loops.len());
}
