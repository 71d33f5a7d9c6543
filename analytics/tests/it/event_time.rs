//! What must not matter to a cell: order within the bound, batching, repeats, the date. And every event has one fate.
//!
//! The numbers are those of the property tests in the research on event time.

use std::sync::LazyLock;

use events::Event;
use proptest::prelude::*;
use sim::sensor::SensorConfig;

use crate::traffic::{batches, config, counted, traffic};

/// 80 vehicles for four minutes, a position a second, with loops and signals.
static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let sensors = SensorConfig { probe_share: 1.0, gps_sigma_m: 5.0, ..SensorConfig::default() };
    traffic(3, 80, 240, sensors)
});

/// Events in the order in which they arrive when each is under way for up to a bound.
fn delayed(events: &[Event], delays_ms: &[u16], bound_ms: i64) -> Vec<Event> {
    let delay =
        |i: usize| i64::from(delays_ms[i.wrapping_mul(7_919) % delays_ms.len()]) * bound_ms / i64::from(u16::MAX);
    let mut arriving: Vec<_> = events.iter().enumerate().map(|(i, e)| (e.time().0 + delay(i), e.clone())).collect();
    arriving.sort_by_key(|a| a.0);
    arriving.into_iter().map(|a| a.1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Property 1.
    #[test]
    fn order_within_the_bound_and_batching_do_not_matter(
        delays in prop::collection::vec(any::<u16>(), 500),
        sizes in prop::collection::vec(1_usize..3_000, 1..6),
    ) {
        let in_order = counted(&config(), &batches(EVENTS.iter(), &[1_000], 0).0);
        let events = delayed(&EVENTS, &delays, 10_000);
        let shuffled = counted(&config(), &batches(&events, &sizes, 0).0);
        prop_assert!(shuffled.match_counts().redone > 1_000);
        prop_assert_eq!(shuffled.store().sorted_rows(), in_order.store().sorted_rows());
    }
}
