//! What holds for every drive in the generated city, and what comes of bad input.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use roads::generate::{CityPlan, city};
use roads::network::builder::{NetworkBuilder, NewSegment};

use super::super::drive::{NoMatch, Recording, Row, Traversed, Wanted};
use super::super::model::{Column, State};
use super::*;

/// Numbers from a seed (xorshift64*, S. Vigna 2016), so that a failure can be made again from what is printed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal, by Box and Muller.
    pub(super) fn gauss(&mut self) -> f64 {
        let (u, v) = (1.0 - self.next(), self.next());
        (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
    }
}

pub(super) fn demo() -> Arc<Network> {
    Arc::new(city(&CityPlan::default()))
}

/// A drive at 10 m/s without turning round: its fixes every `every_s`, and the segments with the metres on them.
pub(super) fn drive(
    network: &Network,
    seed: u64,
    every_s: f64,
    noise_m: f64,
) -> (Vec<Observed>, Vec<(SegmentIndex, f64)>) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut at = SegmentIndex((dice.next() * network.segments().len() as f64) as u32);
    let (mut offset_m, mut time_ms) = (network.segment(at).length_m * 0.5, 0_i64);
    let (mut fixes, mut path): (Vec<_>, Vec<(SegmentIndex, f64)>) = (Vec::new(), Vec::new());
    'drive: while fixes.len() < 60 {
        let place = network.place(at, offset_m);
        let (east, north) = (dice.gauss() * noise_m, dice.gauss() * noise_m);
        let place = LonLat::new(place.lon_deg() + east / DEG_M, place.lat_deg() + north / 111_195.0).unwrap();
        fixes.push(Observed { vehicle: 1, time_ms, at: place, speed_mps: None, heading: None, edge: None });
        let mut left_m = 10.0 * every_s;
        let mut driven = Vec::new();
        while offset_m + left_m > network.segment(at).length_m {
            let rest_m = network.segment(at).length_m - offset_m;
            driven.push((at, rest_m));
            left_m -= rest_m;
            let here = network.segment(at);
            let ahead: Vec<_> =
                network.successors(at).iter().filter(|s| network.segment(**s).to != here.from).collect();
            if ahead.is_empty() {
                break 'drive;
            }
            at = *ahead[(dice.next() * ahead.len() as f64) as usize];
            offset_m = 0.0;
        }
        driven.push((at, left_m));
        offset_m += left_m;
        time_ms += (every_s * 1_000.0) as i64;
        // What is driven after the last fix is known to nobody.
        for (segment, m) in driven.into_iter().filter(|_| fixes.len() < 60) {
            match path.last_mut() {
                Some(last) if last.0 == segment => last.1 += m,
                Some(_) | None => path.push((segment, m)),
            }
        }
    }
    (fixes, path)
}

fn recorded(network: &Arc<Network>, fixes: &[Observed], wanted: Wanted) -> (Vec<Row>, MatchCounts) {
    recorded_with(network, fixes, wanted, &MatchConfig::default())
}

pub(super) fn recorded_with(
    network: &Arc<Network>,
    fixes: &[Observed],
    wanted: Wanted,
    config: &MatchConfig,
) -> (Vec<Row>, MatchCounts) {
    let mut recording = Recording::new(Arc::clone(network), config.clone(), wanted);
    let mut rows = Vec::new();
    fixes.iter().for_each(|fix| recording.take(fix, |row| rows.push(row)));
    recording.finish(|row| rows.push(row));
    (rows, recording.counts())
}

pub(super) fn traversals(rows: &[Row]) -> Vec<Traversed> {
    let found = |row: &Row| if let Row::Traversal(t) = row { Some(*t) } else { None };
    rows.iter().filter_map(found).collect()
}

/// The same network with its segments and nodes in another order, east and west exchanged if asked for.
fn relabelled(network: &Network, mirrored: bool) -> Arc<Network> {
    let middle = network.bbox()[0] + network.bbox()[2];
    let lon = |lon: f64| if mirrored { middle - lon } else { lon };
    let mut builder = NetworkBuilder::new("relabelled");
    let mut nodes: HashMap<usize, _> = HashMap::new();
    for (i, [x, y]) in network.nodes().iter().enumerate().rev() {
        nodes.insert(i, builder.node(lon(*x), *y));
    }
    let count = network.segments().len() as u32;
    // A step that shares no factor with the count visits every segment once.
    let step = (count / 2..count).find(|s| (2..=*s).all(|d| !s.is_multiple_of(d) || !count.is_multiple_of(d))).unwrap();
    for i in (0..count).map(|k| SegmentIndex((k * step + 7) % count)) {
        let s = network.segment(i);
        builder.segment(NewSegment {
            id: s.id,
            source_id: s.source_id.clone(),
            source_offset_m: s.source_offset_m,
            name: None,
            class: s.class,
            from: nodes[&s.from.at()],
            to: nodes[&s.to.at()],
            length_m: Some(s.length_m),
            speed_limit_mps: s.speed_limit_mps,
            lanes: s.lanes,
            line: network.points(i).iter().map(|[x, y]| [lon(*x), *y]).collect(),
        });
    }
    Arc::new(builder.build().unwrap())
}

/// Segments in driving order with the metres driven on them.
type Driven = Vec<(SegmentIndex, f64)>;

/// Within 4 σ of a junction the first and the last fix may be laid on another street of it, since their positions alone
/// do not tell, and what is driven within 3 σ behind the last fix of the model is laid on the nearest street: so where two
/// paths end on different segments, ends that short are dropped. Everything between is exact.
fn aligned(mut a: Driven, mut b: Driven) -> (Driven, Driven) {
    const END_M: f64 = 7.0 * 6.0;
    for _ in 0..2 {
        let (end_a, end_b) = (a[a.len() - 1], b[b.len() - 1]);
        if end_a.0 != end_b.0 {
            let (long_a, long_b) = (a.len() >= b.len(), b.len() >= a.len());
            if long_a && end_a.1 < END_M {
                a.pop();
            }
            if long_b && end_b.1 < END_M {
                b.pop();
            }
        }
        a.reverse();
        b.reverse();
    }
    (a, b)
}

/// The same cases on every run; more of them with `PROPTEST_CASES`.
pub(super) fn cases() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn without_noise_the_drive_comes_back(seed in any::<u64>(), every_s in 1_u32..5) {
        let network = demo();
        let (fixes, truth) = drive(&network, seed, f64::from(every_s), 0.0);
        prop_assume!(fixes.len() == 60);
        let (rows, counts) = recorded(&network, &fixes, Wanted::Traversals);
        prop_assert_eq!((counts.steps, counts.bridged), (59, 0));
        let ours: Vec<_> = traversals(&rows).iter().map(|t| (t.segment, t.distance_m)).collect();
        let (ours, truth) = aligned(ours, truth);
        let ids = |path: &[(SegmentIndex, f64)]| path.iter().map(|p| p.0).collect::<Vec<_>>();
        prop_assert_eq!(ids(&ours), ids(&truth));
        for (our, true_) in ours.iter().zip(&truth).skip(1).take(ours.len().saturating_sub(2)) {
            prop_assert!((our.1 - true_.1).abs() < 0.1, "{our:?} {true_:?}");
        }
    }

    #[test]
    fn the_path_is_connected_or_a_break_is_counted(seed in any::<u64>(), every_s in 1_u32..30, noise_m in 0.0_f64..25.0) {
        let network = demo();
        let (fixes, _) = drive(&network, seed, f64::from(every_s), noise_m);
        let (rows, counts) = recorded(&network, &fixes, Wanted::Traversals);
        let mut last: Option<Traversed> = None;
        for row in &rows {
            match row {
                Row::Traversal(t) => {
                    prop_assert!(t.enter_ms <= t.leave_ms && t.distance_m >= 0.0);
                    if let Some(before) = last {
                        let (a, b) = (network.segment(before.segment), network.segment(t.segment));
                        let turned = (a.from, a.to) == (b.to, b.from);
                        prop_assert!(turned || network.successors(before.segment).contains(&t.segment));
                        prop_assert_eq!(before.leave_ms, t.enter_ms);
                    }
                    last = Some(*t);
                }
                Row::End { .. } => last = None,
                Row::Fix { .. } => prop_assert!(false, "no fixes were asked for"),
            }
        }
        let told = counts.steps + counts.gaps + counts.jumps + counts.breaks + counts.off_steps + counts.parked_steps;
        prop_assert_eq!(told, fixes.len() as i64 - 1);
    }

    #[test]
    fn the_order_of_segments_and_east_and_west_do_not_matter(seed in any::<u64>(), every_s in 1_u32..12) {
        let network = demo();
        let (fixes, _) = drive(&network, seed, f64::from(every_s), 5.0);
        let of = |network: &Arc<Network>, fixes: &[Observed]| {
            let (rows, _) = recorded(network, fixes, Wanted::Traversals);
            // A fix right at a junction is on either side of it by rounding, so what is shorter is no difference.
            let driven = traversals(&rows).into_iter().filter(|t| t.distance_m >= 1.0);
            // Nor is it one that a street was left for less than that.
            let mut joined: Vec<(SegmentId, f64)> = Vec::new();
            for t in driven {
                let id = network.segment(t.segment).id;
                match joined.last_mut() {
                    Some(last) if last.0 == id => last.1 += t.distance_m,
                    Some(_) | None => joined.push((id, t.distance_m)),
                }
            }
            joined
        };
        let plain = of(&network, &fixes);
        let middle = network.bbox()[0] + network.bbox()[2];
        let mirrored: Vec<_> = fixes.iter().map(|f| Observed {
            at: LonLat::new(middle - f.at.lon_deg(), f.at.lat_deg()).unwrap(), ..f.clone() }).collect();
        let others = [of(&relabelled(&network, false), &fixes), of(&relabelled(&network, true), &mirrored)];
        for other in others {
            let ids = |rows: &[(SegmentId, f64)]| rows.iter().map(|r| r.0).collect::<Vec<_>>();
            prop_assert_eq!(ids(&other), ids(&plain));
            let apart = |(a, b): (&(SegmentId, f64), &(SegmentId, f64))| (a.1 - b.1).abs();
            // Inside a bend two pieces of a street are equally near, and rounding takes the one or the other.
            prop_assert!(other.iter().zip(&plain).all(|pair| apart(pair) < 2.0), "{other:?} {plain:?}");
        }
    }

    #[test]
    fn unlimited_look_back_is_offline_viterbi(seed in any::<u64>(), every_s in 3_u32..12, noise_m in 0.0_f64..12.0) {
        let network = demo();
        let (mut fixes, _) = drive(&network, seed, f64::from(every_s), noise_m);
        fixes.truncate(TRACK_FIXES_MAX - 1);
        let unlimited = MatchConfig { look_back_fixes: usize::MAX, look_back_ms: i64::MAX, ..MatchConfig::default() };
        let mut matcher = Matcher::new(Arc::clone(&network), unlimited.clone());
        fixes.iter().for_each(|fix| matcher.observe(fix, |_| {}));
        let track = &matcher.tracks[0];
        let kept: Vec<_> = track.fixes.iter().filter(|f| f.role == Role::Kept).copied().collect();
        prop_assume!(kept.iter().all(|f| f.start.is_none()));
        let expected = viterbi(&mut World::new(network, unlimited), &kept);
        // The cost, not the places: a fix right at a junction is on either side of it at the same cost.
        let ours = track.best_cost().unwrap();
        prop_assert!((ours - expected).abs() <= 1e-4 * expected.max(1.0), "{ours} nats, offline {expected}");
    }
}

/// The textbook: all states of all fixes, every pair. Gives the cost of the best drive.
fn viterbi(world: &mut World, fixes: &[Fix]) -> f32 {
    let mut columns: Vec<Vec<(State, f32)>> = Vec::new();
    for (i, fix) in fixes.iter().enumerate() {
        let scale = world.scale;
        let mut column = Column::new(fix.time_ms, world.ground.point(fix.at));
        model::candidates(world, &scale, None, &mut column);
        let straight_m = match i.checked_sub(1) {
            Some(p) => model::straight_m(&world.ground, world.ground.point(fixes[p].at), column.at),
            None => 0.0,
        };
        let from_ms = i.checked_sub(1).map_or(0, |p| fixes[p].time_ms);
        let span = model::Span::new(&world.scale, from_ms, fix.time_ms, straight_m);
        let mut states = Vec::new();
        for b in column.states() {
            let mut best = if i == 0 { 0.0 } else { f32::INFINITY };
            for (a, cost) in columns.last().into_iter().flatten() {
                world.routes.ask(a.segment, span.limit_m);
                let route_m = model::route_m(&world.ground, &world.routes, &world.scale, a, b, &span);
                let cost = cost + route_m.map_or(f32::INFINITY, |m| (m - straight_m).abs() / world.scale.beta_m);
                best = best.min(cost);
            }
            states.push((*b, b.cost + best));
        }
        columns.push(states);
    }
    columns.last().into_iter().flatten().map(|s| s.1).fold(f32::INFINITY, f32::min)
}

#[test]
fn a_vehicle_takes_at_most_two_kibibytes_and_is_forgotten_after_silence() {
    let network = demo();
    let mut matcher = Matcher::new(Arc::clone(&network), MatchConfig::default());
    let mut most = 0;
    for seed in 0..40 {
        let (fixes, _) = drive(&network, seed, 1.0 + (seed % 10) as f64, 6.0);
        for fix in fixes {
            matcher.observe(&Observed { vehicle: seed, ..fix }, |_| {});
            most = most.max(matcher.bytes_of(seed));
        }
    }
    assert!(most <= 2_048, "most bytes of a vehicle: {most}");
    assert_eq!(matcher.vehicles(), 40);
    matcher.forget_silent(10_000_000, |_| {});
    assert_eq!((matcher.vehicles(), matcher.bytes_of(7)), (0, 0));
}

#[test]
fn swapped_coordinates_are_off_the_network_and_the_worst_places_do_no_harm() {
    let network = demo();
    let at = |lon, lat| Observed { at: LonLat::new(lon, lat).unwrap(), ..seen(1, 0.0, 0.0) };
    let (fixes, _) = drive(&network, 3, 5.0, 0.0);
    let swapped: Vec<_> =
        fixes.iter().map(|f| Observed { time_ms: f.time_ms, ..at(f.at.lat_deg(), f.at.lon_deg()) }).collect();
    let (rows, counts) = recorded(&network, &swapped, Wanted::Fixes);
    assert_eq!((counts.placed, counts.off_network), (0, swapped.len() as i64));
    assert!(rows.iter().all(|r| matches!(r, Row::Fix { place: Err(NoMatch::OffNetwork), .. })));
    for (lon, lat) in [(180.0, 90.0), (-180.0, -90.0), (1e-9, 0.0), (0.0, -1e-12), (11.35, -44.49)] {
        assert_eq!(recorded(&network, &[at(lon, lat)], Wanted::Fixes).1.off_network, 1, "{lon} {lat}");
    }
}

#[test]
fn two_vehicles_under_one_id_are_jumps_and_the_two_drives_are_not_joined() {
    let network = demo();
    let [west, south, east, north] = network.bbox();
    let here = network.place(SegmentIndex(0), 10.0);
    let far = (0..network.segments().len() as u32).map(|i| network.place(SegmentIndex(i), 10.0));
    let far = far.max_by(|a, b| a.distance_m(here).total_cmp(&b.distance_m(here))).unwrap();
    assert!(far.distance_m(here) > 500.0, "{west} {south} {east} {north}");
    let both: Vec<_> =
        (0..40).map(|s| Observed { at: if s % 2 == 0 { here } else { far }, ..seen(1, f64::from(s), 0.0) }).collect();
    let (rows, counts) = recorded(&network, &both, Wanted::Fixes);
    assert_eq!((counts.jumps, counts.steps), (39, 0));
    let jumped = rows.iter().filter(|r| matches!(r, Row::Fix { place: Err(NoMatch::Jump), .. }));
    assert_eq!(jumped.count(), 38, "all but the first and the last lie between two jumps");
    assert!(traversals(&rows).is_empty());
}

#[test]
fn a_stray_fix_costs_its_two_steps_and_a_clock_step_ends_the_drive() {
    let along = |s: f64| seen(1, s, 20.0 + 10.0 * s);
    let mut fixes: Vec<_> = (0..30).map(|s| along(f64::from(s))).collect();
    fixes[15].at = LonLat::new(11.05, LAT).unwrap();
    let counts = cells(&fixes).1;
    assert_eq!((counts.jumps, counts.steps), (2, 27));
    // The clock goes an hour back for good: what comes is older than all that is remembered.
    let back: Vec<_> =
        (0..60).map(|s| seen(1, if s < 30 { 3_600.0 } else { 0.0 } + f64::from(s), 20.0 + f64::from(s))).collect();
    let counts = cells(&back).1;
    assert_eq!((counts.too_late, counts.placed), (30, 30));
}

#[test]
fn standing_for_a_quarter_of_an_hour_is_parking() {
    let mut fixes: Vec<_> = (0..=180).map(|k| seen(1, f64::from(k) * 10.0, 100.0)).collect();
    fixes.push(seen(1, 1_810.0, 180.0));
    let (rows, counts) = cells(&fixes);
    assert_eq!((counts.placed, counts.parked, counts.parked_steps), (92, 90, 91));
    assert_eq!(rows.iter().map(|r| r.time_ms).sum::<i64>(), 900_000);
}
