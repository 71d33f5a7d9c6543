//! What must not matter to a cell: order within the bound, batching, repeats, the date. And every event has one fate.
//!
//! The numbers are those of the property tests in the research on event time.

use std::sync::LazyLock;

use analytics::Engine;
use analytics::engine::LATENESS_MS;
use analytics::fate::{ByFate, SourceClass};
use analytics::pane::CellRow;
use analytics::watermark::LAG_MS;
use events::{Event, TimeMs};
use ingest::Batch;
use proptest::prelude::*;
use sim::sensor::{Fleet, SensorConfig};

use crate::traffic::{NETWORK, batches, cases, config, counted, delayed, traffic};

/// 80 vehicles for four minutes, a position a second, with loops and signals.
static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let sensors = SensorConfig { probe_share: 1.0, gps_sigma_m: 5.0, ..SensorConfig::default() };
    traffic(3, 80, 240, sensors)
});

/// 200 vehicles for four minutes, a position every twelve seconds: 21 each at most.
static SELDOM: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let fleet = Fleet { name: "seldom".to_owned(), weight: 1.0, interval_s: 12, jitter_share: 0.0 };
    let sensors = SensorConfig { probe_share: 1.0, gps_sigma_m: 5.0, fleets: vec![fleet], ..SensorConfig::default() };
    traffic(4, 200, 240, sensors)
});

/// Just within the watermark's lag and the allowed lateness.
const LATEST_MS: i64 = LAG_MS + LATENESS_MS - 1_000;

/// Puts one position of a batch to the end of another.
fn repeat(from: &Batch, row: usize, into: &mut Batch) {
    let (from, into) = (&from.positions, &mut into.positions);
    into.vehicle.push(from.vehicle[row]);
    into.seq.push(from.seq[row]);
    into.time_ms.push(from.time_ms[row]);
    into.lon_deg.push(from.lon_deg[row]);
    into.lat_deg.push(from.lat_deg[row]);
    into.speed_mps.push(from.speed_mps[row]);
    into.heading_deg.push(from.heading_deg[row]);
    into.edge.push(from.edge[row].clone());
    into.journey.push(from.journey[row].clone());
    into.received_ms.push(from.received_ms[row]);
}

fn shifted(event: &Event, by_ms: i64) -> Event {
    let mut event = event.clone();
    match &mut event {
        Event::Position(p) => p.time.0 += by_ms,
        Event::Detector(d) => (d.start, d.end) = (TimeMs(d.start.0 + by_ms), TimeMs(d.end.0 + by_ms)),
        Event::Signal(s) => s.time.0 += by_ms,
    }
    event
}

proptest! {
    #![proptest_config(cases())]

    /// Property 1, for the whole of the allowed lateness. It is exact while a track remembers all that the late ones
    /// come between: the last 22 positions of a vehicle.
    #[test]
    fn order_within_the_bound_and_batching_do_not_matter(
        delays in prop::collection::vec(any::<u16>(), 500),
        sizes in prop::collection::vec(1_usize..3_000, 1..6),
    ) {
        let in_order = counted(&config(), &batches(SELDOM.iter(), &[1_000], 0).0);
        let shuffled = counted(&config(), &batches(&delayed(&SELDOM, &delays, LATEST_MS), &sizes, 0).0);
        prop_assert!(rows(&shuffled) == rows(&in_order));
        let (of, was) = (shuffled.fates(SourceClass::Position), in_order.fates(SourceClass::Position));
        prop_assert_eq!(of, was);
        prop_assert!(shuffled.match_counts().redone > 500 && was.counted > 1_000 && was.late == 0);
        prop_assert!(shuffled.counts().behind[0] > 100 && shuffled.corrections() > 0);
    }

    /// Property 2: through the gate, and past it.
    #[test]
    fn repeats_change_nothing(picks in prop::collection::vec(any::<prop::sample::Index>(), 1..400), later in 0_usize..40) {
        let once = batches(EVENTS.iter(), &[700], 0).0;
        let expected = counted(&config(), &once);

        let mut events = EVENTS.clone();
        for (k, pick) in picks.iter().enumerate() {
            let at = pick.index(EVENTS.len());
            events.insert((at + k + later * 100).min(events.len()), EVENTS[at].clone());
        }
        let (gated, duplicates) = batches(&events, &[700], 0);
        prop_assert_eq!(duplicates as usize, picks.len());
        prop_assert!(rows(&counted(&config(), &gated)) == rows(&expected));

        let mut past = once.clone();
        for pick in &picks {
            let at = pick.index(once.len());
            if let Some(row) = once[at].positions.time_ms.len().checked_sub(1).map(|last| pick.index(last + 1)) {
                repeat(&once[at], row, &mut past[(at + later).min(once.len() - 1)]);
            }
        }
        let twice = counted(&config(), &past);
        prop_assert!(rows(&twice) == rows(&expected));
        let (of, was) = (twice.fates(SourceClass::Position), expected.fates(SourceClass::Position));
        prop_assert_eq!((of.counted, of.unmatched), (was.counted, was.unmatched));
        prop_assert!(of.duplicate + of.late > was.duplicate + was.late);
    }

    /// Property 8: events out of order far beyond any bound, doubled, from the future.
    #[test]
    fn every_event_has_one_fate_at_every_instant(
        delays in prop::collection::vec(any::<u16>(), 200),
        sizes in prop::collection::vec(1_usize..2_000, 1..6),
        ahead in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let mut blocks = batches(&delayed(&EVENTS, &delays, 400_000), &sizes, 0).0;
        let whole = blocks.clone();
        for pick in ahead {
            let from = &whole[pick.index(whole.len())];
            if from.positions.time_ms.is_empty() {
                continue;
            }
            let at = pick.index(blocks.len());
            let row = pick.index(from.positions.time_ms.len());
            repeat(from, row, &mut blocks[at]);
            repeat(from, row, &mut blocks[at]);
            if let Some(stamp) = blocks[at].positions.time_ms.last_mut() {
                *stamp += 10_000_000;
            }
        }
        let mut engine = Engine::new(NETWORK.clone(), config());
        let mut read = [0; 3];
        for block in &blocks {
            let rows = [block.positions.len(), block.detectors.len(), block.signals.len()];
            read = [0, 1, 2].map(|class| read[class] + rows[class] as u64);
            engine.apply(block);
            prop_assert_eq!(engine.counts().received, read);
            prop_assert_eq!(SourceClass::ALL.map(|class| engine.fates(class).total()), read);
        }
        let ByFate { counted, late, .. } = engine.fates(SourceClass::Position);
        prop_assert!(counted > 1_000 && late > 100, "{counted} counted, {late} late");
    }

    /// Property 10. The date within a day: pseudonyms change at midnight.
    #[test]
    fn shifting_by_whole_panes_shifts_the_results(panes in -400_i64..300) {
        let by_ms = panes * 10_000;
        let later: Vec<_> = EVENTS.iter().map(|event| shifted(event, by_ms)).collect();
        let (here, there) =
            (counted(&config(), &batches(EVENTS.iter(), &[900], 0).0), counted(&config(), &batches(&later, &[900], 0).0));
        let back: Vec<_> = rows(&there).into_iter().map(|r| CellRow { pane_ms: r.pane_ms - by_ms, ..r }).collect();
        prop_assert!(back == rows(&here));
        prop_assert_eq!(there.match_counts(), here.match_counts());
        prop_assert_eq!(there.watermark_ms(), here.watermark_ms().map(|ms| ms + by_ms));
    }
}

fn rows(engine: &Engine) -> Vec<CellRow> {
    engine.store().sorted_rows()
}
