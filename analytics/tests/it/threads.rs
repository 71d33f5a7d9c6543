//! No figure depends on how many threads match, or on how batches are taken together.

use std::sync::Arc;

use analytics::matching::MatchConfig;
use analytics::{Engine, EngineConfig};
use ingest::batch::Batch;
use roads::SegmentIndex;
use roads::generate::{CityPlan, city};

/// Vehicles that drive on for ten minutes at 2 s, some silent for a while, every seventh report late.
fn batches(network: &roads::Network) -> Vec<Batch> {
    let mut rows = Vec::new();
    for vehicle in 0..120_u64 {
        let (mut at, mut offset_m) = (SegmentIndex((vehicle * 31) as u32 % network.segments().len() as u32), 0.0);
        for report in 0..300_u64 {
            offset_m += 8.0 + (vehicle % 13) as f64;
            while offset_m > network.segment(at).length_m {
                offset_m -= network.segment(at).length_m;
                let next = network.successors(at);
                at = next[((vehicle * 7 + report) % next.len() as u64) as usize];
            }
            let error_deg = ((vehicle * 104_729 + report * 7_919) % 100) as f64 * 1e-6;
            let place = network.place(at, offset_m);
            let time_ms = 1_764_000_000_000 + report as i64 * 2_000;
            let arrives_ms = time_ms + if report % 7 == 3 { 9_000 } else { 0 };
            let is_silent = vehicle % 5 == 0 && (100..250).contains(&report);
            if !is_silent {
                rows.push((arrives_ms, vehicle, time_ms, place.lon_deg() + error_deg, place.lat_deg()));
            }
        }
    }
    rows.sort_by_key(|row| (row.0, row.1));
    let batch = |rows: &[(i64, u64, i64, f64, f64)]| {
        let mut batch = Batch::default();
        for &(arrives_ms, vehicle, time_ms, lon_deg, lat_deg) in rows {
            let into = &mut batch.positions;
            into.vehicle.push(vehicle);
            into.seq.push(None);
            into.time_ms.push(time_ms);
            into.lon_deg.push(lon_deg);
            into.lat_deg.push(lat_deg);
            into.speed_mps.push(None);
            into.heading_deg.push(None);
            into.edge.push(None);
            into.journey.push(None);
            into.received_ms.push(arrives_ms);
        }
        batch
    };
    rows.chunks(1_500).map(batch).collect()
}

#[test]
fn threads_and_grouping_change_nothing() {
    let network = Arc::new(city(&CityPlan { blocks_x: 8, blocks_y: 8, ..CityPlan::default() }));
    let batches = batches(&network);
    let run = |threads: usize, together: usize| {
        let matching = MatchConfig { forget_after_ms: 120_000, ..MatchConfig::default() };
        let config = EngineConfig { matching, threads, ..EngineConfig::live() };
        let mut engine = Engine::new(Arc::clone(&network), config);
        batches.chunks(together).for_each(|part| engine.apply_all(part));
        let mut bytes = Vec::new();
        engine.store().save(&mut bytes);
        (engine.counts(), engine.match_counts(), engine.vehicles(), engine.store().sorted_rows(), bytes)
    };
    let one = run(1, 1);
    assert!(one.1.steps > 10_000 && one.1.redone > 1_000, "{:?}", one.1);
    for (threads, together) in [(1, 9), (2, 4), (3, 1), (3, 100)] {
        assert!(run(threads, together) == one, "{threads} threads, {together} batches at a time");
    }
}
