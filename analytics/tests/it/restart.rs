//! Property 9: broken off between any two blocks, saved and taken up again, the engine is the one that ran through: the
//! same cells, and the same state to the byte.

use std::sync::{Arc, LazyLock};

use analytics::checkpoint::{Checkpoints, Position};
use analytics::engine::saved::Identity;
use analytics::fate::SourceClass;
use analytics::metric::window::Window;
use analytics::{Engine, EngineConfig};
use events::{Event, LonLat};
use ingest::{Batch, BlockNumber};
use proptest::prelude::*;
use roads::SegmentIndex;
use sim::sensor::{Fleet, SensorConfig};

use crate::traffic::{NETWORK, batches, cases, config, delayed, traffic};

/// As in life (late, lost, doubled, wrong clocks, outages, canyons), a position a second with an error of its own, so that
/// smoothing has something to remember, for seven minutes; then, two hours later, again, so that panes fold and are
/// forgotten, and so are vehicles.
static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let sensors = SensorConfig { probe_share: 1.0, fleets: Fleet::exact(), ..SensorConfig::lifelike() };
    let mut first = traffic(11, 50, 420, sensors);
    for (k, event) in first.iter_mut().enumerate() {
        if let Event::Position(p) = event {
            // Up to 15 m off on either axis, by the digits of √2 and √3.
            let off = |root: f64| ((k as f64 * root).fract() - 0.5) * 30.0 / 111_195.0;
            let (lon_deg, lat_deg) = (p.at.lon_deg() + off(2_f64.sqrt()), p.at.lat_deg() + off(3_f64.sqrt()));
            p.at = LonLat::new(lon_deg, lat_deg).unwrap();
        }
    }
    let again = first.iter().map(|event| {
        let mut event = event.clone();
        if let Event::Position(p) = &mut event {
            p.time.0 += 7_200_000;
        }
        event
    });
    first.iter().cloned().chain(again.filter(|e| matches!(e, Event::Position(_)))).collect()
});

/// What a reader can ask an engine for.
fn answers(engine: &Engine) -> impl PartialEq + use<> {
    let free_mps = vec![10.0; NETWORK.segments().len()];
    let windows = Window::ALL.map(|window| {
        let totals = engine.span(window).map(|span| engine.store().totals(span, &free_mps));
        let spread: Vec<_> = (0..40).map(|s| engine.store().percentiles(window, SegmentIndex(s))).collect();
        (totals, spread)
    });
    (windows, engine.store().sorted_rows(), SourceClass::ALL.map(|class| engine.fates(class)), engine.corrections())
}

fn check(config: &EngineConfig, blocks: &[Batch], stops: &[prop::sample::Index]) -> Result<(), TestCaseError> {
    let stops: Vec<usize> = stops.iter().map(|stop| stop.index(blocks.len())).collect();
    let new = || Engine::new(Arc::clone(&NETWORK), config.clone());
    let (mut through, mut broken) = (new(), new());
    for (at, block) in blocks.iter().enumerate() {
        through.apply(block);
        broken.apply(block);
        if stops.contains(&at) {
            let saved = broken.save().unwrap();
            broken = Engine::load(Arc::clone(&NETWORK), config.clone(), &saved).unwrap();
            prop_assert!(broken.save().unwrap() == saved, "saved again it is the same, at block {at}");
            prop_assert!(answers(&broken) == answers(&through), "answers differ at block {at}");
        }
    }
    prop_assert!(answers(&broken) == answers(&through));
    prop_assert!(broken.save().unwrap() == through.save().unwrap(), "state differs after the last block");
    prop_assert!(through.match_counts().redone > 100 && through.vehicles() > 10);
    Ok(())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn an_engine_taken_up_anywhere_is_the_one_that_ran_through(
        stops in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        delays in prop::collection::vec(any::<u16>(), 300),
        sizes in prop::collection::vec(1_usize..1_500, 1..5),
        is_folded in any::<bool>(),
    ) {
        let config = EngineConfig { fold: is_folded, ..config() };
        check(&config, &batches(&delayed(&EVENTS, &delays, 90_000), &sizes, 0).0, &stops)?;
    }
}

/// What a crash takes is what came after the last checkpoint that was written; the blocks behind it are read again.
#[test]
fn the_last_checkpoint_and_the_blocks_behind_it_give_the_same_cells() {
    let (config, blocks) = (config(), batches(EVENTS.iter(), &[400, 900], 0).0);
    let through = crate::traffic::counted(&config, &blocks);
    let dir = tempfile::tempdir().unwrap();
    let open = || Checkpoints::open(dir.path(), Identity::new(&NETWORK, &config)).unwrap();
    let (mut at, mut life) = (0, 0);
    let last = loop {
        let mut checkpoints = open();
        let restored = checkpoints.restore(&NETWORK, &config);
        assert_eq!(restored.is_some(), life > 0, "life {life}");
        let (mut engine, from) = match restored {
            Some(restored) => (restored.engine, restored.position.next.0 as usize),
            None => (Engine::new(Arc::clone(&NETWORK), config.clone()), 0),
        };
        assert!(from <= at);
        life += 1;
        // Dies three blocks after its second checkpoint.
        let dies_at = from + 7 + life % 3;
        for (k, block) in blocks.iter().enumerate().skip(from).take(dies_at - from) {
            engine.apply(block);
            if k == from + 1 || k == from + 4 {
                checkpoints.write(&engine, Position { next: BlockNumber(k as u64 + 1), last_checksum: 0 }).unwrap();
            }
        }
        at = dies_at;
        if dies_at >= blocks.len() {
            break engine;
        }
    };
    println!("{} blocks in {life} lives", blocks.len());
    assert!(life > 5);
    assert!(last.store().sorted_rows() == through.store().sorted_rows());
    assert!(last.save().unwrap() == through.save().unwrap());
}
