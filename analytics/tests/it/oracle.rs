//! The pane store against a polars group-by over the raw contributions, and every metric against its formula.

use analytics::cell::{Contribution, PANE_MS};
use analytics::metric::traffic::TrafficQuery;
use analytics::metric::window::{Span, Window};
use analytics::pane::PaneStore;
use polars::prelude::*;
use proptest::prelude::*;
use roads::generate::{CityPlan, city};
use roads::{Network, SegmentIndex};

pub(crate) fn network() -> Network {
    city(&CityPlan { blocks_x: 4, blocks_y: 4, ..CityPlan::default() })
}

pub(crate) fn contribution() -> impl Strategy<Value = Contribution> {
    (0_u32..20, 0_i64..30, 0_u64..12, 0_i64..200_000, 1_i64..10_000).prop_map(
        |(segment, pane, vehicle, distance_mm, time_ms)| Contribution {
            segment: SegmentIndex(segment),
            pane_ms: pane * PANE_MS,
            vehicle,
            distance_mm,
            time_ms,
            events: 1,
        },
    )
}

fn filled(contributions: &[Contribution]) -> PaneStore {
    let mut store = PaneStore::default();
    assert!(contributions.iter().all(|c| store.add(c)));
    store
}

/// Polars' answer: sums and distinct vehicles by segment and pane.
fn grouped(contributions: &[Contribution]) -> DataFrame {
    let column = |of: fn(&Contribution) -> i64| contributions.iter().map(of).collect::<Vec<_>>();
    df!(
        "segment" => contributions.iter().map(|c| c.segment.0).collect::<Vec<_>>(),
        "pane" => column(|c| c.pane_ms),
        "vehicle" => contributions.iter().map(|c| c.vehicle).collect::<Vec<_>>(),
        "mm" => column(|c| c.distance_mm),
        "ms" => column(|c| c.time_ms),
        "events" => column(|c| c.events),
    )
    .unwrap()
    .lazy()
    .group_by([col("segment"), col("pane")])
    .agg([col("mm").sum(), col("ms").sum(), col("events").sum(), col("vehicle").n_unique().alias("vehicles")])
    .sort(["segment", "pane"], SortMultipleOptions::default())
    .collect()
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_is_a_group_by(contributions in prop::collection::vec(contribution(), 1..300)) {
        let rows = filled(&contributions).sorted_rows();
        let oracle = grouped(&contributions);
        let ints = |name: &str| oracle.column(name).unwrap().i64().unwrap().into_no_null_iter().collect::<Vec<i64>>();
        prop_assert_eq!(rows.len(), oracle.height());
        prop_assert_eq!(rows.iter().map(|r| r.pane_ms).collect::<Vec<_>>(), ints("pane"));
        prop_assert_eq!(rows.iter().map(|r| r.distance_mm).collect::<Vec<_>>(), ints("mm"));
        prop_assert_eq!(rows.iter().map(|r| r.time_ms).collect::<Vec<_>>(), ints("ms"));
        prop_assert_eq!(rows.iter().map(|r| r.events).collect::<Vec<_>>(), ints("events"));
        let vehicles = oracle.column("vehicles").unwrap().cast(&DataType::Int64).unwrap();
        let vehicles: Vec<i64> = vehicles.i64().unwrap().into_no_null_iter().collect();
        prop_assert_eq!(rows.iter().map(|r| r.vehicles as i64).collect::<Vec<_>>(), vehicles);
    }

    /// Every metric again, from the raw contributions, by its definition.
    #[test]
    fn metrics_follow_their_definitions(contributions in prop::collection::vec(contribution(), 1..300)) {
        let network = network();
        let query = TrafficQuery::new(&network);
        let span = Window::FiveMinutes.ending(29 * PANE_MS + 9_999);
        prop_assert_eq!(span, Span { start_ms: 0, end_ms: 299_999 });
        let metrics = query.run(&filled(&contributions), Window::FiveMinutes, span).unwrap();
        let hours = span.seconds() / 3_600.0;
        let (mut city_m, mut city_s, mut city_free_s, mut city_delay_h, mut seen_m) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (row, &segment) in metrics.segments.segment.iter().enumerate() {
            let road = network.segment(segment);
            let mine = |minute: Option<i64>| {
                let of = contributions.iter().filter(move |c| {
                    c.segment == segment && minute.is_none_or(|m| c.pane_ms / 60_000 == m)
                });
                of.fold((0.0, 0.0), |sum, c| (sum.0 + c.distance_mm as f64 / 1e3, sum.1 + c.time_ms as f64 / 1e3))
            };
            let (d_m, t_s) = mine(None);
            let free_mps = f64::from(road.free_flow_mps());
            let late_s = |(d, t): (f64, f64)| (t - d / free_mps).max(0.0);
            let delay_h: f64 = (0..5).map(|m| late_s(mine(Some(m)))).sum::<f64>() / 3_600.0;
            let s = &metrics.segments;
            prop_assert!((s.speed_mps[row] - d_m / t_s).abs() < 1e-9);
            prop_assert!((s.speed_ratio[row] - d_m / t_s / free_mps).abs() < 1e-9);
            prop_assert!((s.delay_veh_h_per_h[row] - delay_h / hours).abs() < 1e-9);
            prop_assert!((s.flow_veh_per_h[row] - d_m / road.length_m / hours).abs() < 1e-6);
            prop_assert!((s.density_veh_per_km[row] - t_s / (road.length_m / 1e3) / span.seconds()).abs() < 1e-9);
            // q = k v: veh/h = veh/km × km/h.
            prop_assert!((s.flow_veh_per_h[row] - s.density_veh_per_km[row] * s.speed_mps[row] * 3.6).abs() < 1e-6);
            let mut ids: Vec<_> = contributions.iter().filter(|c| c.segment == segment).map(|c| c.vehicle).collect();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(s.vehicles[row] as usize, ids.len());
            (city_m, city_s, city_free_s) = (city_m + d_m, city_s + t_s, city_free_s + d_m / free_mps);
            (city_delay_h, seen_m) = (city_delay_h + delay_h, seen_m + road.length_m);
        }
        let total_m: f64 = network.segments().iter().map(|s| s.length_m).sum();
        prop_assert!((metrics.city.speed_mps.unwrap() - city_m / city_s).abs() < 1e-9);
        if let Some(index) = metrics.city.travel_time_index {
            prop_assert!((index - city_s / city_free_s).abs() < 1e-9 * index);
        }
        prop_assert!((metrics.city.delay_veh_h_per_h.unwrap() - city_delay_h / hours).abs() < 1e-9);
        prop_assert!((metrics.city.observed_length_share - seen_m / total_m).abs() < 1e-9);
    }
}

#[test]
fn an_empty_window_is_no_data_and_not_zero() {
    let network = network();
    let metrics =
        TrafficQuery::new(&network).run(&PaneStore::default(), Window::OneMinute, Window::OneMinute.ending(0)).unwrap();
    assert!(metrics.segments.segment.is_empty());
    assert_eq!(
        (metrics.city.speed_mps, metrics.city.travel_time_index, metrics.city.delay_veh_h_per_h),
        (None, None, None)
    );
    assert_eq!(metrics.city.observed_length_share, 0.0);
}
