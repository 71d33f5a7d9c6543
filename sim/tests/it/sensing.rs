//! Sensors as in life: every fault shows in what is reported and stands in the truth, and every switch is one.

use std::collections::{BTreeMap, BTreeSet};

use roads::SegmentIndex;
use sim::read::Loop;
use sim::sensor::{Fault, FaultKind, Faulty, Fleet, PositionReport, Reports};
use sim::{City, SensorConfig, Sensors};

use crate::city::small_city;

/// One second: what was reported, and what went wrong.
type Second = (Reports, Vec<Fault>);

fn seconds(city: &mut City, count: u64) -> Vec<Second> {
    let second = |_| {
        let (mut said, mut faults) = (Reports::default(), Vec::new());
        city.report(&mut said, &mut faults);
        (said, faults)
    };
    (0..count).map(second).collect()
}

fn run(seed: u64, config: &SensorConfig, count: u64) -> Vec<Second> {
    seconds(&mut small_city(seed, 300, config.clone()), count)
}

fn positions(run: &[Second]) -> Vec<PositionReport> {
    run.iter().flat_map(|(said, _)| said.positions.iter().copied()).collect()
}

fn faults(run: &[Second], kind: FaultKind) -> Vec<Fault> {
    run.iter().flat_map(|(_, faults)| faults.iter().copied()).filter(|f| f.kind == kind).collect()
}

/// By vehicle and number.
fn by_number(positions: &[PositionReport]) -> BTreeMap<(u64, u32), PositionReport> {
    positions.iter().map(|p| ((p.vehicle, p.seq), *p)).collect()
}

fn named(fault: &Fault) -> (u64, u32) {
    let Faulty::Vehicle(vehicle) = fault.who else { panic!("{fault:?}") };
    (vehicle, fault.value as u32)
}

/// Exact sensors on vehicles only.
fn exact() -> SensorConfig {
    SensorConfig { with_detectors: false, with_signals: false, ..SensorConfig::default() }
}

#[test]
fn the_share_of_probes_is_kept_and_a_smaller_share_is_a_part_of_a_larger() {
    let seed = 31;
    let heard = |probe_share| -> BTreeSet<u64> {
        let config = SensorConfig { probe_share, ..exact() };
        positions(&run(seed, &config, 400)).iter().map(|p| p.vehicle).collect()
    };
    let (all, half, few) = (heard(1.0), heard(0.5), heard(0.05));
    println!("seed {seed}: {} vehicles, {} at 50 %, {} at 5 %", all.len(), half.len(), few.len());
    assert!(few.is_subset(&half) && half.is_subset(&all) && heard(0.0).is_empty());
    assert!((half.len() as f64 / all.len() as f64 - 0.5).abs() < 0.08);
    assert!((few.len() as f64 / all.len() as f64 - 0.05).abs() < 0.035 && !few.is_empty());
}

#[test]
fn exact_sensors_say_everything_once_at_once_and_in_order() {
    let run = run(32, &exact(), 200);
    for (said, faults) in &run {
        assert!(faults.is_empty(), "{faults:?}");
        assert!(said.positions.iter().all(|p| p.time_ms == said.end.0 && p.arrival_ms == said.end.0));
    }
    let all = positions(&run);
    assert!(all.len() > 20_000, "{}", all.len());
    let mut last = BTreeMap::new();
    for report in &all {
        let before = last.insert(report.vehicle, report.seq).unwrap_or(0);
        assert_eq!(report.seq, before + 1, "{report:?}");
    }
}

#[test]
fn the_short_way_of_exact_sensors_says_what_the_long_way_says() {
    let seed = 42;
    let fleet = |interval_s, jitter_share| Fleet { interval_s, jitter_share, ..Fleet::exact().remove(0) };
    for (interval_s, probe_share) in [(1, 1.0), (1, 0.4), (7, 1.0)] {
        // Less than a millisecond of jitter is none, but it takes the long way.
        let said = [0.0, 1e-5].map(|jitter_share| {
            let fleets = vec![fleet(interval_s, jitter_share)];
            run(seed, &SensorConfig { fleets, probe_share, ..SensorConfig::default() }, 200)
        });
        let [short, long] = &said;
        println!("seed {seed}: {} positions every {interval_s} s", positions(short).len());
        assert!(positions(short).len() > 2_000 && short.iter().any(|(said, _)| !said.others.is_empty()));
        assert!(short == long, "every {interval_s} s, {probe_share} of all");
    }
}

#[test]
fn what_is_lost_and_what_comes_twice_is_named() {
    let seed = 33;
    let whole = by_number(&positions(&run(seed, &exact(), 200)));
    let config = SensorConfig { loss_share: 0.005, duplicate_share: 0.003, ..exact() };
    let run = run(seed, &config, 200);
    let mut times: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    for report in positions(&run) {
        assert_eq!(whole.get(&(report.vehicle, report.seq)), Some(&report));
        *times.entry((report.vehicle, report.seq)).or_default() += 1;
    }
    let missing: BTreeSet<_> = whole.keys().filter(|key| !times.contains_key(key)).copied().collect();
    let twice: BTreeSet<_> = times.iter().filter(|(_, n)| **n == 2).map(|(key, _)| *key).collect();
    let lost: BTreeSet<_> = faults(&run, FaultKind::Lost).iter().map(named).collect();
    let doubled: BTreeSet<_> = faults(&run, FaultKind::Duplicate).iter().map(named).collect();
    let share = |n: usize| n as f64 / whole.len() as f64;
    println!("seed {seed}: {:.4} lost, {:.4} twice of {}", share(lost.len()), share(twice.len()), whole.len());
    assert_eq!((missing, twice), (lost.clone(), doubled));
    assert!((share(lost.len()) - 0.005).abs() < 0.0015, "{}", share(lost.len()));
}

#[test]
fn late_reports_overtake_each_other_unless_they_may_not() {
    let seed = 34;
    let whole = by_number(&positions(&run(seed, &exact(), 300)));
    let late = SensorConfig { latency: true, reorder: true, ..exact() };
    let mut swaps = Vec::new();
    for (config, may_swap) in [(late.clone(), true), (SensorConfig { reorder: false, ..late }, false)] {
        let mut city = small_city(seed, 300, config);
        let run = seconds(&mut city, 300);
        let all = positions(&run);
        let mut delays = Vec::new();
        for (said, _) in &run {
            for report in &said.positions {
                let sharp = whole[&(report.vehicle, report.seq)];
                assert_eq!(PositionReport { arrival_ms: sharp.arrival_ms, ..*report }, sharp);
                assert!((said.end.0 - 1_000 + 1..=said.end.0).contains(&report.arrival_ms), "{report:?}");
                delays.push(report.arrival_ms - report.time_ms);
            }
        }
        assert_eq!(all.len() + city.sensors.under_way(), whole.len(), "nothing is lost on the way");
        let mut last = BTreeMap::new();
        let swapped = |r: &&PositionReport| last.insert(r.vehicle, r.seq).is_some_and(|before| before > r.seq);
        swaps.push(all.iter().filter(swapped).count());
        delays.sort_unstable();
        let (median, p99) = (delays[delays.len() / 2], delays[delays.len() * 99 / 100]);
        println!(
            "seed {seed}, reordering {may_swap}: median {median} ms, 99 % {p99} ms, {} swaps",
            swaps[swaps.len() - 1]
        );
        if may_swap {
            assert!((600..1_100).contains(&median) && (10_000..25_000).contains(&p99), "{median} {p99}");
        }
    }
    assert!(swaps[0] > 1_000 && swaps[1] == 0, "{swaps:?}");
}

#[test]
fn clocks_are_off_and_the_broken_ones_are_named() {
    let seed = 35;
    let config = SensorConfig { skewed_clocks: true, ..exact() };
    let run = run(seed, &config, 600);
    let off: BTreeMap<u64, i64> = positions(&run).iter().map(|p| (p.vehicle, p.time_ms - p.arrival_ms)).collect();
    let broken: BTreeSet<u64> = off.iter().filter(|(_, ms)| ms.abs() > 5_000).map(|(v, _)| *v).collect();
    let named: BTreeSet<u64> = faults(&run, FaultKind::Clock).iter().map(|f| named(f).0).collect();
    println!("seed {seed}: {} of {} clocks broken", broken.len(), off.len());
    assert_eq!(broken, named);
    assert!(!broken.is_empty() && broken.len() * 30 < off.len());
    assert!(off.values().filter(|ms| **ms != 0).count() * 10 > off.len() * 9);
}

#[test]
fn outages_are_named_and_nobody_is_heard_from_inside_one() {
    let seed = 36;
    let config = SensorConfig { outages: true, latency: true, ..exact() };
    let run = run(seed, &config, 900);
    let all = positions(&run);
    for (kind, heard_later) in [(FaultKind::NoFix, false), (FaultKind::Silence, true)] {
        let outages = faults(&run, kind);
        assert!(outages.len() >= 2, "{kind:?}: {}", outages.len());
        let mut inside = 0;
        for outage in &outages {
            let (vehicle, _) = named(outage);
            let span = outage.begin.0..outage.end.0;
            for report in all.iter().filter(|p| p.vehicle == vehicle && span.contains(&p.time_ms)) {
                inside += 1;
                assert!(report.arrival_ms >= outage.end.0, "{report:?} arrived during {outage:?}");
            }
        }
        println!("seed {seed}: {} times {kind:?}, {inside} reports from inside", outages.len());
        assert_eq!(inside > 0, heard_later);
    }
}

#[test]
fn fleets_report_at_their_intervals() {
    let seed = 37;
    let run = run(seed, &SensorConfig { fleets: Fleet::mixed(), ..exact() }, 600);
    let mut times: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for report in positions(&run) {
        times.entry(report.vehicle).or_default().push(report.time_ms);
    }
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    for gaps in times.values().filter(|t| t.len() > 3).map(|t| (t[t.len() - 1] - t[1]) as f64 / (t.len() - 2) as f64) {
        let near = [1, 5, 30, 60].into_iter().min_by_key(|s| (gaps - 1_000.0 * *s as f64).abs() as i64).unwrap();
        assert!((gaps / (1_000.0 * near as f64) - 1.0).abs() < 0.21, "a mean gap of {gaps} ms");
        *seen.entry(near).or_default() += 1;
    }
    println!("seed {seed}: vehicles by interval {seen:?}");
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [1, 5, 30, 60]);
    assert!(seen[&5] > seen[&1], "half of them are telematics");
}

#[test]
fn the_error_of_positions_is_slow_and_larger_between_walls() {
    let seed = 38;
    let sharp = by_number(&positions(&run(seed, &exact(), 400)));
    let config = SensorConfig { gps_sigma_m: 2.5, canyons: true, ..exact() };
    let run = run(seed, &config, 400);
    let canyons: BTreeSet<u32> = faults(&run, FaultKind::Canyon)
        .iter()
        .filter_map(|f| if let Faulty::Segment(s) = f.who { Some(s) } else { None })
        .collect();
    let error = |p: &PositionReport| {
        let there = sharp[&(p.vehicle, p.seq)];
        let m_per_e7 = 0.011_119_5;
        let narrow = (f64::from(there.lat_e7) / 1e7).to_radians().cos();
        [f64::from(p.lon_e7 - there.lon_e7) * m_per_e7 * narrow, f64::from(p.lat_e7 - there.lat_e7) * m_per_e7]
    };
    let mut tracks: BTreeMap<u64, Vec<(u32, [f64; 2])>> = BTreeMap::new();
    for report in positions(&run) {
        tracks.entry(report.vehicle).or_default().push((report.segment, error(&report)));
    }
    // Under open sky: tracks that were never between walls.
    let (mut products, mut squares, mut far, mut walls) = (0.0, 0.0, Vec::new(), Vec::new());
    for track in tracks.values() {
        walls.extend(track.iter().filter(|(s, _)| canyons.contains(s)).map(|(_, e)| e[0].hypot(e[1])));
        if track.iter().any(|(segment, _)| canyons.contains(segment)) {
            continue;
        }
        far.extend(track.iter().map(|(_, e)| e[0].hypot(e[1])));
        for pair in track.windows(2) {
            products += pair[0].1[0] * pair[1].1[0] + pair[0].1[1] * pair[1].1[1];
            squares += pair[0].1[0].powi(2) + pair[0].1[1].powi(2);
        }
    }
    for list in [&mut far, &mut walls] {
        assert!(list.len() > 2_000, "{}", list.len());
        list.sort_by(f64::total_cmp);
    }
    let at = |list: &[f64], share: f64| list[(list.len() as f64 * share) as usize];
    let (lag_1, open_m, walls_m) = (products / squares, at(&far, 0.95), at(&walls, 0.95));
    let jumps = faults(&run, FaultKind::Jump).len();
    println!(
        "seed {seed}: lag-1 s {lag_1:.4}, 95 % within {open_m:.2} m open, {walls_m:.1} m between walls, {jumps} jumps"
    );
    assert!((0.95..1.0).contains(&lag_1));
    assert!((4.5..=7.5).contains(&open_m) && (12.0..60.0).contains(&walls_m));
    assert!(jumps > 0 && (jumps as f64 / walls.len() as f64 - 0.01).abs() < 0.01);
}

#[test]
fn nine_loops_of_ten_are_healthy_six_on_a_bad_day_and_the_rest_is_named() {
    for (config, least, most) in [(SensorConfig::lifelike(), 0.8, 0.98), (SensorConfig::bad_day(), 0.45, 0.75)] {
        let config = SensorConfig { probe_share: 0.0, ..config };
        let mut city = small_city(39, 400, config);
        let run = seconds(&mut city, 180);
        let broken: BTreeMap<u32, FaultKind> = run
            .iter()
            .flat_map(|(_, faults)| faults)
            .filter_map(|f| if let Faulty::Loop(at) = f.who { Some((at, f.kind)) } else { None })
            .collect();
        let all = city.sensors.detectors();
        let healthy = 1.0 - broken.len() as f64 / all.len() as f64;
        println!("seed 39: {healthy:.3} of {} loops healthy", all.len());
        assert!((least..=most).contains(&healthy), "{healthy}");
        for (at, detector) in (0..).zip(all) {
            assert_eq!(detector.fault, broken.get(&at).copied());
        }
        let dead = broken.values().filter(|kind| **kind == FaultKind::Dead).count();
        let said = run.iter().flat_map(|(said, _)| &said.others);
        let intervals = said.filter(|e| matches!(e, events::Event::Detector(_))).count();
        assert_eq!(intervals, 3 * (all.len() - dead), "the dead say nothing, all others every minute");
    }
}

#[test]
fn sensors_go_on_after_save_and_load_as_if_nothing_had_been() {
    let (seed, half) = (40, 300);
    let config = SensorConfig::bad_day();
    let whole = run(seed, &config, 2 * half);
    let mut first = small_city(seed, 300, config.clone());
    let before = seconds(&mut first, half);
    assert!(first.sensors.under_way() > 0, "something is on its way while we save");
    let state = first.sensors.save().unwrap();
    first.sensors = Sensors::load(&first.world, config.clone(), &state).unwrap();
    let after = seconds(&mut first, half);
    assert!(whole[..half as usize] == before[..] && whole[half as usize..] == after[..]);

    let other = Sensors::load(&first.world, SensorConfig::lifelike(), &state).unwrap_err();
    assert!(other.to_string().contains("set up differently"), "{other}");
    for cut in [0, 1, state.len() / 2, state.len() - 1] {
        assert!(Sensors::load(&first.world, config.clone(), &state[..cut]).is_err(), "{cut} bytes");
    }
}

#[test]
fn loops_that_are_asked_for_count_their_lane_and_report_under_their_ids() {
    let seed = 41;
    let network = small_city(seed, 1, exact()).world.network().clone();
    let is_wide = |at: &SegmentIndex| network.segment(*at).lanes > 1 && network.segment(*at).length_m > 60.0;
    let wide: Vec<SegmentIndex> = network.indices().filter(is_wide).take(20).collect();
    let place = |at: SegmentIndex, lane: u8| {
        let id = format!("e1 {}/{lane}", at.0);
        Loop { id, segment: at, lane, offset_m: 25.0 }
    };
    // Backwards: the order in a file is nobody's business.
    let asked: Vec<Loop> = wide.iter().rev().flat_map(|at| [place(*at, 1), place(*at, 0)]).collect();
    let config = SensorConfig { probe_share: 0.0, loops: asked.clone(), ..SensorConfig::default() };
    let mut city = small_city(seed, 400, config);
    let (mut passed, mut said): (BTreeMap<String, u32>, BTreeMap<String, u32>) = Default::default();
    for _ in 0..600 {
        let (mut reports, mut faults) = (Reports::default(), Vec::new());
        let step = city.world.step();
        for one in step.moves().filter(|m| wide.contains(&m.segment) && m.lane < 2) {
            if one.from_mm < 25_000 && one.to_mm >= 25_000 {
                *passed.entry(format!("sim.e1 {}_{}", one.segment.0, one.lane)).or_default() += 1;
            }
        }
        city.sensors.sense(&step, &mut reports, &mut faults);
        for event in reports.others {
            if let events::Event::Detector(interval) = event {
                *said.entry(interval.source).or_default() += interval.count.unwrap();
            }
        }
    }
    println!("seed {seed}: {said:?}");
    assert_eq!(said.len(), asked.len(), "each reports, and nobody else");
    assert!(passed.len() > 10 && passed.values().sum::<u32>() > 100, "too little traffic: {passed:?}");
    said.retain(|_, count| *count > 0);
    assert_eq!(said, passed);
}
