//! Closed minutes hold exactly what was counted, whenever and in whatever blocks it came.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingest::batch::Batch;
use proptest::prelude::*;
use roads::Network;
use roads::generate::{MetropolisPlan, metropolis};
use sim::City;
use sim::scenario::Scenario;
use sim::sensor::SensorConfig;
use sim::world::World;

use super::*;
use crate::archive::frame::Column;
use crate::engine::EngineConfig;
use crate::pane::CellRow;

/// Positions of a small city over 40 minutes, in blocks of a second.
fn city() -> (Arc<Network>, Vec<Batch>) {
    let plan = MetropolisPlan { segments: 500, ..MetropolisPlan::default() };
    let network = Arc::new(metropolis(&plan).network);
    let scenario = Scenario { seed: 5, vehicles: 40, ..Scenario::default() };
    let sensors = SensorConfig { probe_share: 1.0, ..SensorConfig::lifelike() };
    let mut city = City::new(World::new(Arc::clone(&network), scenario).unwrap(), sensors);
    let (mut events, mut blocks) = (Vec::new(), Vec::new());
    for _ in 0..2_400 {
        city.step(&mut events);
        let mut batch = Batch::default();
        for event in events.drain(..) {
            let events::Event::Position(p) = event else { continue };
            let into = &mut batch.positions;
            into.vehicle.push(p.source.to_string().bytes().fold(7, |n, b| n * 31 + u64::from(b)));
            into.seq.push(None);
            into.time_ms.push(p.time.0);
            into.lon_deg.push(p.at.lon_deg());
            into.lat_deg.push(p.at.lat_deg());
            into.speed_mps.push(p.speed.map(events::MetresPerSecond::get));
            into.heading_deg.push(p.heading.map(events::HeadingDeg::get));
            into.edge.push(None);
            into.journey.push(None);
            into.received_ms.push(p.time.0);
        }
        blocks.push(batch);
    }
    (network, blocks)
}

fn engine(network: &Arc<Network>, is_live: bool) -> Engine {
    let collect = Some(CollectConfig { positions: Some(Trim { metres: 100.0, ms: 20_000 }) });
    let config = if is_live {
        EngineConfig { collect, ..EngineConfig::live() }
    } else {
        EngineConfig { collect, ..EngineConfig::whole(crate::matching::MatchConfig::default()) }
    };
    Engine::new(Arc::clone(network), config)
}

use crate::engine::Engine;

/// Everything that is ready, by table.
fn ready(engine: &Engine) -> BTreeMap<Table, Frame> {
    engine.collector().unwrap().ready().0.into_iter().collect()
}

fn sum(frame: &Frame, column: usize) -> i64 {
    match &frame.columns()[column] {
        Column::Int(values) => values.iter().sum(),
        Column::Small(values) => values.iter().map(|v| i64::from(*v)).sum(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recording_goes_to_history_whole() {
    let (network, blocks) = city();
    let mut engine = engine(&network, false);
    engine.apply_all(&blocks);
    engine.end();
    let rows = engine.store().sorted_rows();
    let mut cells = Frame::empty(Table::Cells1Min.columns());
    let mut quality = Frame::empty(Table::QualityPosition.columns());
    engine
        .close_all(|collector| {
            let (tables, borders) = collector.ready();
            for (table, rows) in tables {
                match table {
                    Table::Cells1Min => cells.append(rows),
                    Table::QualityPosition => quality.append(rows),
                    _ => {}
                }
            }
            collector.release(&borders);
            Ok::<(), ()>(())
        })
        .unwrap();
    let of = |of: fn(&CellRow) -> i64| rows.iter().map(of).sum::<i64>();
    assert!(rows.len() > 1_000);
    assert_eq!(sum(&cells, 2), of(|r| r.distance_mm));
    assert_eq!(sum(&cells, 3), of(|r| r.time_ms));
    assert_eq!(sum(&cells, 5), of(|r| r.events));
    // Distinct vehicles of a minute, from those of its panes: between the largest pane and all of them.
    let mut minutes: BTreeMap<(i64, i64), (i64, i64)> = BTreeMap::new();
    for row in &rows {
        let key = (network.segment(row.segment).id.0 as i64, minute_start(row.pane_ms));
        let of = minutes.entry(key).or_default();
        *of = (of.0.max(row.vehicles as i64), of.1 + row.vehicles as i64);
    }
    assert_eq!(cells.len(), minutes.len());
    for row in 0..cells.len() {
        let (most, all) = minutes[&(cells.ints(0)[row], cells.times(1)[row])];
        assert!((most..=all).contains(&i64::from(cells.smalls(6)[row])));
        assert_eq!(
            cells.ints(4)[row],
            rows::delay_ms(cells.ints(2)[row], cells.ints(3)[row], cells.smalls(8)[row]),
            "delay follows from its own row"
        );
    }
    let received: usize = blocks.iter().map(|block| block.positions.len()).sum();
    assert_eq!(sum(&quality, 2), received as i64, "every event is in one minute");
    assert_eq!(sum(&quality, 3), of(|r| r.events), "and those that count are in the cells");
    assert_eq!(sum(&quality, 2), (3..7).map(|column| sum(&quality, column)).sum::<i64>());
}

#[test]
fn live_minutes_are_those_of_the_recording_as_far_as_they_are_closed() {
    let (network, blocks) = city();
    let (mut live, mut whole) = (engine(&network, true), engine(&network, false));
    blocks.iter().for_each(|block| live.apply(block));
    whole.apply_all(&blocks);
    whole.end();
    let mut all = Frame::empty(Table::Cells1Min.columns());
    whole
        .close_all(|collector| {
            let (tables, borders) = collector.ready();
            tables.into_iter().filter(|of| of.0 == Table::Cells1Min).for_each(|of| all.append(of.1));
            collector.release(&borders);
            Ok::<(), ()>(())
        })
        .unwrap();
    let closed = &ready(&live)[&Table::Cells1Min];
    let until = closed.times(1).iter().max().copied().unwrap();
    let newest = blocks.iter().flat_map(|b| &b.positions.time_ms).max().copied().unwrap();
    assert!(until < newest - CORRECTABLE_MS && until > newest - CORRECTABLE_MS - 3 * MINUTE_MS);
    let early: Vec<usize> = (0..all.len()).filter(|&row| all.times(1)[row] <= until).collect();
    assert_eq!(closed.clone().sorted(2), all.pick(&early).sorted(2));
    let positions = &ready(&live)[&Table::Positions];
    assert!(!positions.is_empty() && live.collector().unwrap().left_out().trimmed > 0);
}

#[test]
fn time_that_jumps_closes_what_it_leaves_behind() {
    let (network, mut blocks) = city();
    let before = blocks[..600].iter().map(|block| block.positions.len()).sum::<usize>();
    for block in &mut blocks[600..] {
        block.positions.time_ms.iter_mut().chain(&mut block.positions.received_ms).for_each(|ms| *ms += 7_200_000);
    }
    let mut live = engine(&network, true);
    blocks.iter().for_each(|block| live.apply(block));
    let quality = &ready(&live)[&Table::QualityPosition];
    assert!(sum(quality, 2) >= before as i64, "the hours that panes are kept are over, and nothing was forgotten");
    assert_eq!(sum(quality, 3), sum(&ready(&live)[&Table::Cells1Min], 5));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
    #[test]
    fn restarts_from_checkpoints_give_the_same_minutes(cuts in prop::collection::btree_set(1_usize..2_399, 1..4)) {
        let (network, blocks) = city();
        let mut straight = engine(&network, true);
        blocks.iter().for_each(|block| straight.apply(block));
        let (mut broken, mut from) = (engine(&network, true), 0);
        for cut in cuts {
            broken.apply_all(&blocks[from..cut]);
            let bytes = broken.save().unwrap();
            let collect = Some(CollectConfig { positions: Some(Trim { metres: 100.0, ms: 20_000 }) });
            broken = Engine::load(Arc::clone(&network), EngineConfig { collect, ..EngineConfig::live() }, &bytes).unwrap();
            from = cut;
        }
        broken.apply_all(&blocks[from..]);
        prop_assert_eq!(ready(&broken), ready(&straight));
    }
}
