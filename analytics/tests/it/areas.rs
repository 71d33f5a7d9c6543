//! Corridors, zones and the city against their definitions, from raw contributions.

use std::sync::Arc;

use analytics::area::{Area, AreaKind, Areas};
use analytics::cell::{Contribution, PANE_MS};
use analytics::findings::Findings;
use analytics::free_flow::FreeFlow;
use analytics::metric::area::{AreaMetrics, CONGESTED_RATIO, COVERAGE_MIN};
use analytics::metric::probe_share::ProbeShare;
use analytics::metric::traffic::{TrafficQuery, WindowMetrics};
use analytics::metric::window::{Span, Window};
use analytics::pane::PaneStore;
use analytics::study::{Study, StudyConfig};
use proptest::prelude::*;
use roads::{Network, SegmentIndex};

use crate::oracle::{contribution, network};

const SPAN: Span = Span { start_ms: 0, end_ms: 299_999 };

/// A corridor of five segments, two zones that overlap, and the city.
fn areas(network: &Network) -> Areas {
    let of = |kind, name: &str, segments: std::ops::Range<u32>| {
        Area::new(kind, name.to_owned(), segments.map(SegmentIndex).collect(), network)
    };
    let zones = vec![of(AreaKind::Zone, "a", 0..12), of(AreaKind::Zone, "b", 8..20)];
    Areas::new(network, Some(vec![of(AreaKind::Corridor, "c", 3..8)]), Some(zones))
}

fn run(network: &Network, areas: &Areas, contributions: &[Contribution], share: ProbeShare) -> WindowMetrics {
    let mut store = PaneStore::default();
    assert!(contributions.iter().all(|c| store.add(c)));
    let mut query = TrafficQuery::new(network).over(areas);
    query.hold_against(&FreeFlow::new(network, 0), share);
    query.run(&store, Window::FiveMinutes, SPAN).unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs().max(1.0)
}

/// Every figure again, segment by segment.
fn check(network: &Network, area: &Area, all: &[Contribution], m: &AreaMetrics, share: f64) {
    let (mut d, mut t, mut free_s, mut delay_s, mut seen_m, mut driven_m, mut congested_m, mut pace_s) =
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    let mut most = 0;
    for &at in &area.segments {
        let (length_m, free_mps) = (network.segment(at).length_m, f64::from(network.segment(at).free_flow_mps()));
        let mine: Vec<&Contribution> = all.iter().filter(|c| c.segment == at).collect();
        let metres = mine.iter().map(|c| c.distance_mm).sum::<i64>() as f64 / 1_000.0;
        let seconds = mine.iter().map(|c| c.time_ms).sum::<i64>() as f64 / 1_000.0;
        let vehicles: std::collections::HashSet<u64> = mine.iter().map(|c| c.vehicle).collect();
        most = most.max(vehicles.len() as u64);
        (d, t, free_s) = (d + metres, t + seconds, free_s + metres / free_mps);
        for minute in 0..5 {
            let of = |value: fn(&Contribution) -> i64| {
                let now = mine.iter().filter(|c| c.pane_ms / 60_000 == minute);
                now.map(|c| value(c)).sum::<i64>() as f64 / 1_000.0
            };
            delay_s += (of(|c| c.time_ms) - of(|c| c.distance_mm) / free_mps).max(0.0);
        }
        driven_m += metres.min(length_m);
        if metres > 0.0 {
            (seen_m, pace_s) = (seen_m + length_m, pace_s + length_m * seconds / metres);
        }
        if seconds > 0.0 && metres / seconds < CONGESTED_RATIO * free_mps {
            congested_m += length_m;
        }
    }
    let seconds = SPAN.seconds();
    assert!(near(m.vehicle_km, d / 1_000.0 / share) && near(m.vehicle_h, t / 3_600.0 / share));
    assert!(near(m.delay_veh_h_per_h, delay_s / seconds / share));
    assert_eq!(m.speed_mps.is_some(), t > 0.0);
    assert!(m.speed_mps.is_none_or(|v| near(v, d / t)) && m.travel_time_index.is_none_or(|v| near(v, t / free_s)));
    assert!(near(m.flow_veh_per_h, d / area.length_m / seconds * 3_600.0 / share));
    assert!(near(m.density_veh_per_km, t / area.length_m / seconds * 1_000.0 / share));
    assert!(near(m.observed_length_share, driven_m / area.length_m));
    assert!(m.congested_length_share.is_none_or(|v| near(v, congested_m / seen_m)));
    assert_eq!(m.vehicles, most);
    let is_covered = area.kind == AreaKind::Corridor && driven_m >= COVERAGE_MIN * area.length_m;
    assert_eq!(m.travel_time_s.is_some(), is_covered, "{driven_m} of {} m", area.length_m);
    // Of a part of the vehicles it is weighed against what is expected: `analytics/src/metric/corridor_time.rs`.
    assert!(share < 1.0 || m.travel_time_s.is_none_or(|v| near(v, pace_s * area.length_m / seen_m)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn areas_follow_their_definitions(contributions in prop::collection::vec(contribution(), 1..300), half in any::<bool>()) {
        let network = network();
        let areas = areas(&network);
        let share = if half { ProbeShare::given(0.5).unwrap() } else { ProbeShare::UNSCALED };
        let metrics = run(&network, &areas, &contributions, share);
        prop_assert_eq!(metrics.areas.len(), 4);
        for (area, m) in areas.all().iter().zip(&metrics.areas) {
            check(&network, area, &contributions, m, share.value);
        }
        // The city is the same by both ways.
        let city = &metrics.areas[3];
        prop_assert!(near(city.speed_mps.unwrap(), metrics.city.speed_mps.unwrap()));
        prop_assert!(near(city.delay_veh_h_per_h, metrics.city.delay_veh_h_per_h.unwrap()));
    }
}

/// One vehicle a pane over every segment of the corridor but `missing`, at half of free flow, by so many vehicles.
fn over_corridor(network: &Network, areas: &Areas, missing: usize, vehicles: u64) -> Vec<Contribution> {
    let segments = &areas.corridors()[0].segments;
    let driven = segments.iter().skip(missing);
    let one = |(i, &at): (usize, &SegmentIndex)| {
        let meta = network.segment(at);
        let time_ms = (meta.length_m / f64::from(meta.free_flow_mps()) * 2_000.0) as i64;
        let distance_mm = (meta.length_m * 1_000.0).ceil() as i64;
        let cell =
            Contribution { segment: at, pane_ms: i as i64 * PANE_MS, vehicle: 0, distance_mm, time_ms, events: 9 };
        (0..vehicles).map(move |vehicle| Contribution { vehicle, ..cell })
    };
    driven.enumerate().flat_map(one).collect()
}

#[test]
fn a_corridor_at_half_of_free_flow_takes_twice_as_long_and_small_groups_are_not_told() {
    let network = Arc::new(network());
    let areas = Arc::new(areas(&network));
    let config = StudyConfig { areas: Arc::clone(&areas), probe_share: None, utc_offset_s: 0 };
    let study = Study::new(Arc::clone(&network), config);
    for (vehicles, is_told) in [(3, true), (2, false)] {
        let metrics = run(&network, &areas, &over_corridor(&network, &areas, 0, vehicles), ProbeShare::UNSCALED);
        let corridor = metrics.areas[0];
        let (time_s, free_s) = (corridor.travel_time_s.unwrap(), corridor.free_travel_time_s);
        assert!((time_s / free_s - 2.0).abs() < 1e-3, "{time_s} s against {free_s} s");
        assert!((corridor.observed_length_share - 1.0).abs() < 1e-9);
        let figures = [(Window::FiveMinutes, Some(SPAN), metrics)];
        let findings = Findings::new(&study, &network, &figures, false);
        assert_eq!(findings.told(AreaKind::Corridor, Window::FiveMinutes).count(), usize::from(is_told));
        let json = findings.areas_json(AreaKind::Corridor, Window::FiveMinutes, &network);
        assert_eq!(json["areas"][0]["name"], "c");
        assert_eq!(json["areas"][0]["figures"].is_object(), is_told);
        assert_eq!(json["k"], 3);
        if is_told {
            assert_eq!(json["areas"][0]["figures"]["vehicles_at_least"], 3);
            assert_eq!(json["areas"][0]["figures"]["imputed_length_share"], 0.0);
        }
        assert_eq!(findings.free_flow["limit"], network.segments().len(), "a generated city posts every limit");
    }
    let whole_m = areas.corridors()[0].length_m;
    let first_m = network.segment(areas.corridors()[0].segments[0]).length_m;
    let metrics = run(&network, &areas, &over_corridor(&network, &areas, 1, 3), ProbeShare::UNSCALED);
    let is_covered = (whole_m - first_m) / whole_m >= COVERAGE_MIN;
    assert_eq!(metrics.areas[0].travel_time_s.is_some(), is_covered, "without its first segment");
    let metrics = run(&network, &areas, &over_corridor(&network, &areas, 2, 3), ProbeShare::UNSCALED);
    assert_eq!(metrics.areas[0].travel_time_s, None, "two fifths are missing");
}
