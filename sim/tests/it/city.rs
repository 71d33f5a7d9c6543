//! The simulated city: the same from the same seed, and exactly what its truth and its sensors say it was.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::Arc;

use events::{Event, LonLat};
use roads::{Network, SegmentIndex};
use sim::Move;
use sim::{City, Disruption, Incident, Scenario, SensorConfig, Truth, VehicleType, World};

pub(crate) fn small_network() -> Arc<Network> {
    let plan = roads::CityPlan { seed: 4, blocks_x: 8, blocks_y: 8, ..roads::CityPlan::default() };
    Arc::new(roads::city(&plan))
}

pub(crate) fn small_city(seed: u64, vehicles: u32, sensors: SensorConfig) -> City {
    let network = small_network();
    let scenario = Scenario { seed, vehicles, ..Scenario::default() };
    City::new(World::new(network, scenario).unwrap(), sensors)
}

/// Every event of so many seconds.
fn run(city: &mut City, seconds: u64) -> Vec<Event> {
    let mut said = Vec::new();
    for _ in 0..seconds {
        city.step(&mut said);
    }
    said
}

#[test]
fn the_same_seed_says_the_same_and_another_one_does_not() {
    let blurred = SensorConfig { gps_sigma_m: 2.5, probe_share: 0.5, ..SensorConfig::default() };
    let said = |seed| run(&mut small_city(seed, 300, blurred.clone()), 200);
    let (first, second, other) = (said(7), said(7), said(8));
    assert!(first.len() > 10_000, "only {} events", first.len());
    assert!(first == second, "two runs of seed 7 differ");
    assert!(first != other, "seeds 7 and 8 say the same");
}

/// The hash of every event, in the order in which they are said, and how many there were; `breaks` are the seconds at
/// which the city is saved, forgotten, and taken up again on another number of threads.
fn hash_of_all_events(seed: u64, threads: usize, breaks: &[u32]) -> (u64, [u64; 3]) {
    let network = small_network();
    let what = Disruption::LaneClosed { segment: SegmentIndex(7), lane: 0, from_m: 30.0, to_m: 60.0 };
    let scenario = Scenario {
        seed,
        vehicles: 500,
        types: vec![VehicleType::car(), VehicleType { share: 0.2, ..VehicleType::bus() }],
        incidents: vec![Incident { id: "closed".into(), begin_s: 60, end_s: 200, what }],
        threads,
        ..Scenario::default()
    };
    let mut city = City::new(World::new(network.clone(), scenario.clone()).unwrap(), SensorConfig::lifelike());
    let (mut hash, mut counts, mut said) = (rustc_hash::FxHasher::default(), [0; 3], Vec::new());
    for second in 0..300 {
        if breaks.contains(&second) {
            let state = city.save().unwrap();
            let scenario = Scenario { threads: 1 + (threads + 1) % 4, ..scenario.clone() };
            city = City::load(network.clone(), scenario, SensorConfig::lifelike(), &state).unwrap();
        }
        city.step(&mut said);
        for event in said.drain(..) {
            let kind = match event {
                Event::Position(_) => 0,
                Event::Detector(_) => 1,
                Event::Signal(_) => 2,
            };
            counts[kind] += 1;
            // Debug shows every field, and floats so that different ones look different.
            hash.write(format!("{event:?}").as_bytes());
        }
    }
    (hash.finish(), counts)
}

#[test]
fn all_events_are_the_same_on_any_number_of_threads_and_across_save_and_load() {
    let seed = 12;
    let (expected, counts) = hash_of_all_events(seed, 1, &[]);
    println!("seed {seed}: {counts:?} positions, detectors and signals, hash {expected:016x}");
    assert!(counts[0] > 10_000 && counts[1] > 100 && counts[2] > 100, "{counts:?}");
    for (threads, breaks) in
        [(1, vec![]), (2, vec![]), (4, vec![]), (1, vec![150]), (2, vec![0, 61]), (4, vec![1, 299])]
    {
        let (hash, again) = hash_of_all_events(seed, threads, &breaks);
        assert_eq!((hash, again), (expected, counts), "{threads} threads, saved and taken up at {breaks:?} s");
    }
    assert_ne!(hash_of_all_events(seed + 1, 1, &[]).0, expected, "another seed says the same");
}

#[test]
fn a_saved_city_is_not_taken_up_by_another_one() {
    let scenario = |seed| Scenario { seed, vehicles: 50, ..Scenario::default() };
    let mut city = City::new(World::new(small_network(), scenario(1)).unwrap(), SensorConfig::default());
    run(&mut city, 10);
    let state = city.save().unwrap();
    let load = |seed, sensors, state: &[u8]| City::load(small_network(), scenario(seed), sensors, state);
    assert!(load(1, SensorConfig::default(), &state).is_ok());
    assert!(load(2, SensorConfig::default(), &state).is_err(), "another seed");
    assert!(load(1, SensorConfig::lifelike(), &state).is_err(), "other sensors");
    assert!(load(1, SensorConfig::default(), &state[..state.len() / 2]).is_err(), "half a file");
}

#[test]
fn measuring_does_not_change_moving() {
    let mut plain = small_city(9, 300, SensorConfig::default());
    let blind =
        SensorConfig { probe_share: 0.0, with_detectors: false, with_signals: false, ..SensorConfig::default() };
    let mut blind = small_city(9, 300, blind);
    blind.truth = Some(Truth::new(blind.world.network().segments().len(), 1_000_000));
    let (heard, unheard) = (run(&mut plain, 300), run(&mut blind, 300));
    assert!(!heard.is_empty() && unheard.is_empty());
    let odometers = |city: &City| city.world.odometers().collect::<Vec<_>>();
    assert_eq!(odometers(&plain), odometers(&blind));
    assert_eq!(plain.world.counters(), blind.world.counters());
}

#[test]
fn the_truth_has_every_millimetre_and_every_millisecond() {
    let mut city = small_city(3, 400, SensorConfig::default());
    let segments = city.world.network().segments().len();
    let mut truth = Truth::new(segments, 1_000_000);
    let (mut driven_mm, mut seconds) = (0, 0);
    let mut last = BTreeMap::new();
    let mut most: BTreeMap<(SegmentIndex, i64), std::collections::BTreeSet<sim::VehicleId>> = BTreeMap::new();
    for _ in 0..405 {
        let before: BTreeMap<_, _> = city.world.odometers().collect();
        let step = city.world.step();
        truth.observe(&step);
        let pane = step.start.0 / 10_000 * 10_000;
        // Who enters at the end of the second has spent no time yet.
        let spent = |m: &Move| m.end_ms > m.begin_ms || m.to_mm > m.from_mm;
        let on_road = step.moves().filter(spent).filter(|m| m.last).count() as i64;
        for one in step.moves().filter(spent) {
            most.entry((one.segment, pane)).or_default().insert(one.vehicle);
            *last.entry(one.vehicle).or_insert(0) += one.to_mm - one.from_mm;
        }
        seconds += on_road;
        // Odometers of those who are still there; who has just arrived shows in `last` only.
        for (id, odometer) in city.world.odometers() {
            assert_eq!(last.get(&id).copied().unwrap_or(0), odometer, "{id}");
            driven_mm += odometer - before.get(&id).copied().unwrap_or(0);
        }
    }
    assert_eq!(truth.discarded(), 0);
    let cells = truth.finish();
    assert_eq!(cells.iter().map(|c| c.distance_mm).sum::<i64>(), last.values().sum::<i64>());
    assert!(driven_mm > 0 && driven_mm <= last.values().sum::<i64>());
    assert_eq!(cells.iter().map(|c| c.time_ms).sum::<i64>(), seconds * 1_000);
    assert_eq!(cells.len(), most.len(), "one cell per segment and pane in which somebody was");
    for cell in &cells {
        let ids = &most[&(cell.segment, cell.pane_start_ms)];
        assert_eq!(cell.vehicles as usize, ids.len(), "{cell:?}");
    }
    assert!(cells.is_sorted_by_key(|c| (c.pane_start_ms, c.segment)));
}

#[test]
fn an_untaken_truth_is_bounded_and_says_what_it_discarded() {
    let mut city = small_city(3, 200, SensorConfig::default());
    let mut truth = Truth::new(city.world.network().segments().len(), 50);
    for _ in 0..100 {
        truth.observe(&city.world.step());
    }
    assert_eq!(truth.take().len(), 50);
    assert!(truth.discarded() > 0);
}

#[test]
fn detectors_count_whoever_passes_them() {
    let mut city =
        small_city(6, 400, SensorConfig { probe_share: 0.0, with_signals: false, ..SensorConfig::default() });
    let loops: BTreeMap<SegmentIndex, i64> = city.sensors.detectors().iter().map(|d| (d.segment, d.at_mm)).collect();
    assert!(!loops.is_empty(), "the city has no main street");
    // Counted without looking at crossings: who is first seen on a segment before the loop and last beyond it.
    let mut first_seen = BTreeMap::new();
    let mut passed: BTreeMap<SegmentIndex, u32> = BTreeMap::new();
    let mut said = Vec::new();
    for _ in 0..600 {
        let step = city.world.step();
        city.sensors.observe(&step, &mut said);
        for one in step.moves() {
            let Some(&at_mm) = loops.get(&one.segment) else { continue };
            let begin = *first_seen.entry((one.vehicle, one.segment)).or_insert(one.from_mm);
            if begin < at_mm && one.to_mm >= at_mm {
                first_seen.insert((one.vehicle, one.segment), i64::MAX);
                *passed.entry(one.segment).or_default() += 1;
            }
            if one.to_mm < at_mm && begin == i64::MAX {
                first_seen.insert((one.vehicle, one.segment), one.from_mm);
            }
        }
    }
    let mut counted: BTreeMap<String, u32> = BTreeMap::new();
    for event in &said {
        let Event::Detector(d) = event else { panic!("{event:?}") };
        assert_eq!(d.end.0 - d.start.0, 60_000);
        assert_eq!(d.speed.is_some(), d.count > Some(0), "{d:?}");
        assert!(d.occupancy.is_some_and(|share| (0.0..=1.0).contains(&share)), "{d:?}");
        *counted.entry(d.source.clone()).or_default() += d.count.unwrap_or_default();
    }
    let network = city.world.network();
    for segment in loops.keys() {
        let name = format!("sim.loop-{}", network.segment(*segment).id);
        assert_eq!(counted.get(&name), Some(&passed.get(segment).copied().unwrap_or(0)), "{name}");
    }
    assert!(passed.values().sum::<u32>() > 500, "hardly anybody passed a loop");
}

#[test]
fn positions_lie_on_their_street_and_noise_is_as_large_as_asked() {
    let exact = SensorConfig { with_edge: true, ..SensorConfig::default() };
    let blurred = SensorConfig { gps_sigma_m: 3.0, ..exact.clone() };
    let positions = |config| -> Vec<events::Position> {
        let said = run(&mut small_city(2, 200, config), 240);
        said.into_iter().filter_map(|e| if let Event::Position(p) = e { Some(p) } else { None }).collect()
    };
    let (exact, blurred) = (positions(exact), positions(blurred));
    assert_eq!(exact.len(), blurred.len());
    let city = small_city(2, 200, SensorConfig::default());
    let network = city.world.network();
    let mut squares = 0.0;
    for (sharp, soft) in exact.iter().zip(&blurred) {
        let edge = sharp.edge.as_ref().unwrap();
        let segment = network.by_id(edge.edge_id.parse().unwrap()).unwrap();
        let there: LonLat = network.place(segment, edge.pos_m);
        // JSON carries seven decimals of a degree.
        assert!(there.distance_m(sharp.at) < 0.02, "{there:?} {:?}", sharp.at);
        assert_eq!((&sharp.source, sharp.seq, sharp.time), (&soft.source, soft.seq, soft.time));
        squares += sharp.at.distance_m(soft.at).powi(2);
    }
    // Two axes, each with the slow part, whose deviation is 0.8 to 1.2 times 3 m, and 0.4 m of white noise.
    let expected = (2.0 * (9.0 * (1.0 + 0.04 / 3.0) + 0.4_f64.powi(2))).sqrt();
    let rms = (squares / exact.len() as f64).sqrt();
    println!("noise: {rms:.2} m, expected {expected:.2} m, over {} positions", exact.len());
    assert!((rms / expected - 1.0).abs() < 0.1, "{rms} m, expected {expected} m");
}

/// Real streets: pieces of a few metres, junctions of many nodes, dead ends, one-way streets.
#[test]
fn real_networks_are_driven_without_overlap_and_trips_arrive() {
    let Some(data) = crate::recordings() else { return };
    for (file, vehicles) in [("athens-pneuma/athens_centre.osm.pbf", 400), ("sumo-bologna/bologna.net.xml.gz", 400)] {
        let network = Arc::new(roads::open(data.join(file)).unwrap());
        let short = network.segments().iter().filter(|s| s.length_m < 12.0).count();
        let seed = 21;
        let mut world = World::new(network.clone(), Scenario { seed, vehicles, ..Scenario::default() }).unwrap();
        let (mut steps, mut driven_mm) = (0, 0);
        for second in 0..900 {
            let step = world.step();
            steps += step.moves().filter(|m| m.last).count();
            for one in step.moves() {
                let is_forward = one.from_mm <= one.to_mm && 0 <= one.begin_ms && one.begin_ms <= one.end_ms;
                assert!(is_forward && one.end_ms <= 1_000, "{file}, seed {seed}, second {second}: {one:?}");
            }
            driven_mm += step.moves().map(|m| m.to_mm - m.from_mm).sum::<i64>();
            assert_eq!(world.find_overlap(), None, "{file}, seed {seed}, second {second}");
        }
        let counters = world.counters();
        println!(
            "{file}: {} segments, {short} under 12 m, {} signals, mean {:.1} km/h, {counters:?}",
            network.segments().len(),
            world.signals().len(),
            driven_mm as f64 / steps as f64 * 3.6 / 1_000.0
        );
        assert!(counters.arrived > 200, "{file}: {counters:?}");
        assert!(counters.rerouted * 20 < counters.arrived, "{file}: gridlock: {counters:?}");
    }
}
