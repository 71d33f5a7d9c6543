//! The model held against what traffic engineers measure: capacity, density, waves, saturation, work zones.
//!
//! Ranges and their sources: capacity at 100 km/h 1,800 to 2,200 veh/h/lane and jam density 125 to 150 veh/km/lane (the
//! common range); upstream waves of −15 to −20 km/h (Treiber and Helbing, cond-mat/0210050); capacity drop 3 to 10 %
//! (6 %: TRID 365591); saturation flow near 1,900 veh/h (HCM 2010, chapter 18); a work zone 1,300 to 1,550 per open lane.

use std::sync::Arc;

use roads::{
    LinkState, Movement, Network, NetworkBuilder, NewSegment, RoadClass, SegmentId, SegmentIndex, SignalLinks,
    SignalPhase, SignalPlan,
};
use sim::scenario::{DepartAt, DepartLane};
use sim::{Demand, Disruption, Incident, Move, Route, Scenario, Trip, VehicleType, World};

/// Faster than this a vehicle of a queue is on its way, mm/s.
const START_MM_S: i64 = 4_000;

/// A straight street of pieces: length m, limit km/h, lanes; a fixed signal behind the first piece if asked for.
fn street(pieces: &[(f64, f32, u8)], signal: Option<[f32; 2]>) -> (Arc<Network>, Arc<[SegmentIndex]>) {
    let mut builder = NetworkBuilder::new("street");
    let degrees = |m: f64| m / 111_195.0;
    let mut from_m = 0.0;
    let mut last = (builder.node(0.0, 0.5), [0.0, 0.5]);
    let mut route = Vec::new();
    for (i, &(length_m, kmh, lanes)) in pieces.iter().enumerate() {
        from_m += length_m;
        let place = [degrees(from_m), 0.5];
        let next = (builder.node(place[0], place[1]), place);
        let source_id = format!("piece {i}");
        route.push(builder.segment(NewSegment {
            id: SegmentId::of(&source_id),
            source_id,
            source_offset_m: 0.0,
            name: None,
            class: RoadClass::Primary,
            from: last.0,
            to: next.0,
            length_m: Some(length_m),
            speed_limit_mps: kmh / 3.6,
            lanes,
            line: vec![last.1, next.1],
        }));
        last = next;
    }
    if let Some([red_s, green_s]) = signal {
        let node = roads::NodeIndex(1);
        let phase = |duration_s: f32, state| SignalPhase {
            duration_s,
            min_s: duration_s,
            max_s: duration_s,
            links: vec![state],
        };
        let phases = vec![phase(red_s, LinkState::Red), phase(green_s, LinkState::Protected)];
        let signal =
            builder.signal_plan(SignalPlan { id: "signal".into(), node, offset_s: 0.0, actuated: false, phases });
        let lanes = (0..pieces[0].2).map(|lane| (lane, lane)).collect();
        let signal = Some(SignalLinks { signal, links: vec![0] });
        let (from, to, speed_mps) = (route[0], route[1], pieces[1].1 / 3.6);
        builder.movement(Movement {
            from,
            to,
            length_m: 0.0,
            speed_mps,
            lanes,
            signal,
            yields_to: vec![],
            conflicts: vec![],
        });
    }
    (Arc::new(builder.build().unwrap()), route.into())
}

/// Trips that begin at full speed at the begin of the street, as many an hour on each lane.
fn trips(route: &Arc<[SegmentIndex]>, lanes: u8, per_hour: impl Fn(f32) -> f32, seconds: u32) -> Vec<Trip> {
    let mut trips = Vec::new();
    let mut owed = 0.0;
    for second in 0..seconds {
        owed += per_hour(second as f32) / 3_600.0;
        while owed >= 1.0 {
            owed -= 1.0;
            trips.extend((0..lanes).map(|lane| Trip {
                depart_lane: DepartLane::Number(lane),
                depart_at: DepartAt::Base,
                depart_speed_mps: f32::INFINITY,
                arrival_m: Some(f32::INFINITY),
                ..Trip::new(second as f32, Route::Fixed(route.clone()))
            }));
        }
    }
    trips
}

fn world(network: &Arc<Network>, seed: u64, trips: Vec<Trip>, incidents: Vec<Incident>) -> World {
    let demand = Demand::Trips(Arc::new(trips));
    World::new(network.clone(), Scenario { seed, demand, incidents, ..Scenario::default() }).unwrap()
}

/// Steps, checks for overlaps, and hands every move with its second to `look`.
fn watch(world: &mut World, seconds: u32, mut look: impl FnMut(u32, &Move)) {
    for second in 0..seconds {
        world.step().moves().for_each(|m| look(second, &m));
        assert_eq!(world.find_overlap(), None, "second {second}");
    }
    assert_eq!((world.counters().released, world.counters().rerouted), (0, 0), "nobody is forced here");
}

fn crosses(m: &Move, segment: SegmentIndex, at_mm: i64) -> bool {
    m.segment == segment && m.from_mm < at_mm && m.to_mm >= at_mm
}

/// Passings an hour and lane of the busiest quarter of an hour on one lane of 100 km/h that is offered more and more.
#[test]
fn a_lane_of_100_km_h_carries_1800_to_2200_vehicles_an_hour() {
    let (network, route) = street(&[(3_000.0, 100.0, 1)], None);
    let mut flows = Vec::new();
    for seed in 0..3 {
        let offered = trips(&route, 1, |s| 1_200.0 + s * 0.6, 2_400);
        let mut world = world(&network, seed, offered, vec![]);
        let mut passed = vec![0_u32; 2_400];
        watch(&mut world, 2_400, |second, m| passed[second as usize] += u32::from(crosses(m, route[0], 1_500_000)));
        let quarter = passed.windows(900).map(|w| w.iter().sum::<u32>()).max().unwrap();
        flows.push(f64::from(quarter) * 4.0);
    }
    println!("capacity at 100 km/h, seeds 0 to 2: {flows:?} veh/h");
    assert!(flows.iter().all(|f| (1_800.0..=2_200.0).contains(f)), "{flows:?}");
}

/// A queue at red, and then green: density, saturation flow, and the wave that starts the vehicles.
///
/// The wave is at the fast end: -20.4 km/h, where 15 to 20 are wanted (Treiber & Helbing, cond-mat/0210050) and SUMO with
/// the same drivers has -20.7. Drivers of 1.3 s headway and 7.5 m each give -20.8, and nobody here is slow to start.
/// Hence the limit of 21.5, which SUMO's default drivers (-22.3) would not keep.
#[test]
fn a_queue_has_jam_density_saturation_flow_and_a_start_wave_of_15_to_21_km_h() {
    let (network, route) = street(&[(600.0, 50.0, 1), (600.0, 50.0, 1)], Some([180.0, 150.0]));
    let (mut headways_ms, mut headways, mut densities, mut waves) = (0, 0, Vec::new(), Vec::new());
    for seed in 0..8 {
        let mut world = world(&network, seed, trips(&route, 1, |_| 1_200.0, 150), vec![]);
        let (mut passings, mut standing) = (Vec::new(), Vec::new());
        let mut starts = std::collections::BTreeMap::new();
        watch(&mut world, 300, |second, m| {
            if second == 179 && m.speed_mm_s == 0 {
                standing.push((m.to_mm, m.vehicle));
            }
            if second >= 180 && m.segment == route[0] && m.speed_mm_s > START_MM_S {
                starts.entry(m.vehicle).or_insert((second, m.from_mm));
            }
            if m.segment == route[0] && !m.last {
                passings.push(i64::from(second) * 1_000 + m.end_ms);
            }
        });
        standing.sort_unstable();
        let length_km = (standing[standing.len() - 1].0 - standing[0].0) as f64 / 1e6;
        densities.push((standing.len() - 1) as f64 / length_km);
        passings.sort_unstable();
        headways_ms += passings[24] - passings[3];
        headways += 21;
        let of = |nth: usize| starts[&standing[standing.len() - 1 - nth].1];
        let (near, far) = (of(4), of(29));
        waves.push((far.1 - near.1) as f64 / 1e6 / (f64::from(far.0 - near.0) / 3_600.0));
    }
    let saturation = 3_600_000.0 * f64::from(headways) / headways_ms as f64;
    let wave = waves.iter().sum::<f64>() / waves.len() as f64;
    println!(
        "seeds 0 to 7: jam {densities:.1?} veh/km, saturation after the 4th {saturation:.0} veh/h, start wave {wave:.1} km/h of {waves:.1?}"
    );
    assert!(densities.iter().all(|d| (125.0..=150.0).contains(d)), "{densities:?}");
    assert!((1_700.0..=1_950.0).contains(&saturation), "{saturation}");
    assert!((-21.5..=-15.0).contains(&wave), "{wave}");
}

/// The slope of the line through points, least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let above: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    above / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

/// A ring of 3 km with so many vehicles; mean density (veh/km) and flow (veh/h) of the last five minutes.
fn ring(vehicles: u32, seed: u64) -> (f64, f64) {
    let mut builder = NetworkBuilder::new("ring");
    let corners: Vec<_> =
        [[0.1, 0.1], [0.107, 0.1], [0.107, 0.107], [0.1, 0.107]].map(|p| (builder.node(p[0], p[1]), p)).into();
    let ring: Vec<SegmentIndex> = (0..4)
        .map(|i| {
            let (from, to, source_id) = (corners[i], corners[(i + 1) % 4], format!("side {i}"));
            builder.segment(NewSegment {
                id: SegmentId::of(&source_id),
                source_id,
                source_offset_m: 0.0,
                name: None,
                class: RoadClass::Primary,
                from: from.0,
                to: to.0,
                length_m: Some(750.0),
                speed_limit_mps: 100.0 / 3.6,
                lanes: 1,
                line: vec![from.1, to.1],
            })
        })
        .collect();
    // Straight movements: a ring has no corners for the one who drives on it.
    for i in 0..4 {
        let (from, to, speed_mps) = (ring[i], ring[(i + 1) % 4], 100.0 / 3.6);
        builder.movement(Movement {
            from,
            to,
            length_m: 0.0,
            speed_mps,
            lanes: vec![(0, 0)],
            signal: None,
            yields_to: vec![],
            conflicts: vec![],
        });
    }
    let network = Arc::new(builder.build().unwrap());
    let trips = (0..vehicles)
        .map(|i| {
            let at_m = f64::from(i) * 3_000.0 / f64::from(vehicles);
            let first = (at_m / 750.0) as usize;
            let route: Vec<SegmentIndex> = ring.iter().cycle().skip(first).take(100).copied().collect();
            let depart_at = DepartAt::Metres((at_m - 750.0 * first as f64) as f32);
            Trip { depart_at, ..Trip::new(0.0, Route::Fixed(route.into())) }
        })
        .collect();
    let mut world = world(&network, seed, trips, vec![]);
    let (mut way_mm, mut time_s) = (0, 0_u32);
    watch(&mut world, 1_200, |second, m| {
        if second >= 900 {
            way_mm += m.to_mm - m.from_mm;
            time_s += u32::from(m.last);
        }
    });
    (f64::from(time_s) / 300.0 / 3.0, way_mm as f64 / 1e6 / 3.0 * 12.0)
}

/// On the congested branch flow falls with density along one line: its slope is the speed of upstream waves.
#[test]
fn waves_in_congested_traffic_run_upstream_at_15_to_20_km_h() {
    let points: Vec<(f64, f64)> = [120, 150, 180, 225, 270].map(|n| ring(n, 1)).into();
    let pairs: Vec<f64> = points.windows(2).map(slope).collect();
    println!(
        "(density veh/km, flow veh/h): {points:.0?}; slope {:.1} km/h, from point to point {pairs:.1?}",
        slope(&points)
    );
    assert!(points[0].0 > 30.0, "everybody is on the ring");
    assert!((-20.0..=-15.0).contains(&slope(&points)), "{points:?}");
    assert!(pairs.iter().all(|s| (-23.0..=-13.0).contains(s)), "the speed is the same everywhere: {pairs:?}");
}

/// A slow piece of road makes a jam and is lifted: what then flows out of the jam is less than what flowed before.
#[test]
fn the_flow_out_of_a_jam_is_3_to_10_percent_below_capacity() {
    let (network, route) = street(&[(4_000.0, 100.0, 1), (500.0, 100.0, 1), (3_000.0, 100.0, 1)], None);
    let slow = Disruption::SlowZone { segments: vec![route[1]], speed_mps: 6.0 };
    for seed in 0..3 {
        let incidents = vec![Incident { id: "slow".into(), begin_s: 1_500, end_s: 2_100, what: slow.clone() }];
        let mut world = world(&network, seed, trips(&route, 1, |s| 1_350.0 + s.min(1_500.0) * 0.6, 2_700), incidents);
        let mut passed = vec![[0_u32; 2]; 2_700];
        watch(&mut world, 2_700, |second, m| {
            passed[second as usize][0] += u32::from(crosses(m, route[0], 1_500_000));
            passed[second as usize][1] += u32::from(crosses(m, route[2], 1_000_000));
        });
        let flow = |place: usize, from: usize, to: usize| {
            3_600.0 * f64::from(passed[from..to].iter().map(|p| p[place]).sum::<u32>()) / (to - from) as f64
        };
        let before = (300..=1_200).step_by(20).map(|from| flow(0, from, from + 300)).fold(0.0, f64::max);
        // From when the first out of the jam has come here, for as long as the jam lasts.
        let out = flow(1, 2_240, 2_440);
        let drop = 1.0 - out / before;
        println!("seed {seed}: {before:.0} veh/h before the jam, {out:.0} veh/h out of it: drop {:.1} %", drop * 100.0);
        assert!((0.03..=0.10).contains(&drop), "{drop}");
    }
}

/// Two lanes, one closed for 200 m: what passes on the open one.
#[test]
fn a_work_zone_passes_1300_to_1550_vehicles_an_hour() {
    let (network, route) = street(&[(2_500.0, 80.0, 2), (500.0, 80.0, 2)], None);
    let closed = Disruption::LaneClosed { segment: route[0], lane: 0, from_m: 2_000.0, to_m: 2_200.0 };
    for seed in 0..3 {
        let incidents = vec![Incident { id: "works".into(), begin_s: 0, end_s: 9_999, what: closed.clone() }];
        let mut world = world(&network, seed, trips(&route, 2, |_| 1_100.0, 2_400), incidents);
        let mut passed = 0;
        let mut inside = 0;
        watch(&mut world, 2_400, |second, m| {
            passed += u32::from(second >= 1_200 && crosses(m, route[0], 2_300_000));
            inside += u32::from(m.segment == route[0] && m.lane == 0 && (2_001_000..2_199_000).contains(&m.to_mm));
        });
        println!("seed {seed}: {} veh/h past the works", passed * 3);
        assert_eq!(inside, 0, "nobody drives on the closed piece");
        assert!((1_300..=1_550).contains(&(passed * 3)), "{}", passed * 3);
    }
}

/// Trucks, buses with stops, cars, signals, turns, lane changes: nobody touches anybody, and who is forced is counted.
#[test]
fn ten_million_updates_have_no_overlap_and_no_teleport() {
    let seed = 17;
    let network =
        Arc::new(roads::city(&roads::CityPlan { seed, blocks_x: 24, blocks_y: 24, ..roads::CityPlan::default() }));
    let types = vec![VehicleType::car(), VehicleType { share: 0.1, ..VehicleType::truck() }];
    let scenario = Scenario { seed, vehicles: 4_000, types, threads: 2, ..Scenario::default() };
    let mut world = World::new(network.clone(), scenario).unwrap();
    let mut before = std::collections::BTreeMap::new();
    let (mut updates, mut seconds) = (0, 0);
    while updates < 10_000_000 {
        seconds += 1;
        let moves: Vec<Move> = world.step().moves().collect();
        assert_eq!(world.find_overlap(), None, "seed {seed}, second {seconds}");
        updates += moves.iter().filter(|m| m.last).count();
        // Every hundredth vehicle is followed from street to street.
        for of_one in moves.chunk_by(|a, b| a.vehicle == b.vehicle).filter(|m| m[0].vehicle.0 % 100 == 0) {
            let (first, last) = (of_one[0], of_one[of_one.len() - 1]);
            let place = before.insert(first.vehicle, (last.segment, last.to_mm));
            assert!(
                place.is_none_or(|p| p == (first.segment, first.from_mm)),
                "seed {seed}: {first:?} was at {place:?}"
            );
        }
    }
    let counters = world.counters();
    println!("seed {seed}: {updates} updates in {seconds} s, {} followed: {counters:?}", before.len());
    assert_eq!(counters.departed - counters.arrived, world.vehicles_on_road() as u64, "nobody vanishes");
}
