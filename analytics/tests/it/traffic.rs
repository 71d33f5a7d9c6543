//! Traffic to count, made once: a small city with vehicles, loops and signals, and ways to hand it over.

use std::sync::{Arc, LazyLock};

use analytics::{Engine, EngineConfig};
use events::{Event, TimeMs};
use ingest::{Batch, Gate, GateConfig, Pseudonyms};
use proptest::prelude::ProptestConfig;
use roads::Network;
use roads::generate::{CityPlan, city};
use sim::City;
use sim::scenario::Scenario;
use sim::sensor::SensorConfig;
use sim::world::World;

pub(crate) static NETWORK: LazyLock<Arc<Network>> = LazyLock::new(|| Arc::new(city(&CityPlan::default())));

/// What some vehicles, and all loops and signals, say within some seconds, in the order of delivery.
pub(crate) fn traffic(seed: u64, vehicles: u32, seconds: usize, sensors: SensorConfig) -> Vec<Event> {
    let start = TimeMs(1_700_000_000_000);
    let scenario = Scenario { seed, vehicles, start, ..Scenario::default() };
    let mut city = City::new(World::new(Arc::clone(&NETWORK), scenario).unwrap(), sensors);
    let mut events = Vec::new();
    for _ in 0..seconds {
        city.step(&mut events);
    }
    events
}

/// Events through ingest's gate, received when they arrive: as many a block as `sizes` says, over and over.
pub(crate) fn batches<'e>(
    events: impl IntoIterator<Item = &'e Event>,
    sizes: &[usize],
    mut received_ms: i64,
) -> (Vec<Batch>, u64) {
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([7; 32]));
    let (mut batches, mut batch, mut sizes) = (Vec::new(), Batch::default(), sizes.iter().cycle());
    let mut room = *sizes.next().unwrap();
    for event in events {
        received_ms = received_ms.max(event.time().0 + 300);
        gate.event(event.clone(), TimeMs(received_ms), &mut batch);
        if batch.len() >= room {
            batches.push(std::mem::take(&mut batch));
            room = *sizes.next().unwrap();
        }
    }
    batches.push(batch);
    (batches, gate.fates().duplicate)
}

/// Events in the order in which they arrive when each is under way for up to a bound.
pub(crate) fn delayed(events: &[Event], delays_ms: &[u16], bound_ms: i64) -> Vec<Event> {
    let delay =
        |i: usize| i64::from(delays_ms[i.wrapping_mul(7_919) % delays_ms.len()]) * bound_ms / i64::from(u16::MAX);
    let mut arriving: Vec<_> = events.iter().enumerate().map(|(i, e)| (e.time().0 + delay(i), e.clone())).collect();
    arriving.sort_by_key(|a| a.0);
    arriving.into_iter().map(|a| a.1).collect()
}

/// An engine that has counted these.
pub(crate) fn counted<'b>(config: &EngineConfig, batches: impl IntoIterator<Item = &'b Batch>) -> Engine {
    let mut engine = Engine::new(Arc::clone(&NETWORK), config.clone());
    batches.into_iter().for_each(|batch| engine.apply(batch));
    engine
}

/// Few, since each counts thousands of events; more of them with `PROPTEST_CASES`.
pub(crate) fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Live, with cells that are kept as panes of 10 s.
pub(crate) fn config() -> EngineConfig {
    EngineConfig { fold: false, ..EngineConfig::live() }
}
