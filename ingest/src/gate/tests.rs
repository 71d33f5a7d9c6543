//! One fate for every event, whatever comes; duplicates within and across restarts; the clock from the future.

use std::collections::HashSet;

use super::*;
use crate::batch;
use events::codec;
use events::{LonLat, Position, SignalChange, SignalState};
use proptest::prelude::*;

fn gate() -> Gate {
    Gate::new(GateConfig { future_skew_ms: 5_000, duplicates_max: 1_000 }, Pseudonyms::new([3; 32]))
}

fn position(source: &str, time_ms: i64) -> Event {
    let at = LonLat::new(11.3, 44.5).unwrap();
    let (source, time) = (source.to_owned(), TimeMs(time_ms));
    Event::Position(Position { source, seq: None, time, at, speed: None, heading: None, edge: None, journey: None })
}

fn signal(time_ms: i64, phase: u16) -> Event {
    let (source, time) = ("j".to_owned(), TimeMs(time_ms));
    Event::Signal(SignalChange { source, seq: None, time, phase, state: SignalState::Red })
}

/// A message as a device may send it.
#[derive(Clone, Debug)]
enum Said {
    Events { gateway: bool, events: Vec<(u8, i64)> },
    Garbage(Vec<u8>),
    Nowhere,
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => (any::<bool>(), prop::collection::vec((0u8..3, 0i64..40), 1..6))
            .prop_map(|(gateway, events)| Said::Events { gateway, events }),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Said::Garbage),
        1 => Just(Said::Nowhere),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// Proptest prints the failing stream.
    #[test]
    fn every_event_has_exactly_one_fate(stream in prop::collection::vec(said(), 0..60)) {
        let mut gate = gate();
        let (mut out, mut refused) = (Batch::default(), Vec::new());
        let mut accepted = HashSet::new();
        let received = TimeMs(20_000);
        for message in &stream {
            match message {
                Said::Events { gateway, events } => {
                    // Seconds 26 to 39 lie more than five after the receipt at second 20.
                    let named = |n: &u8| if *gateway { format!("gw.{n}") } else { "gw".to_owned() };
                    let events: Vec<_> = events.iter().map(|(n, s)| position(&named(n), s * 1_000)).collect();
                    let mut payload = Vec::new();
                    codec::json::encode_batch(&events, &mut payload);
                    gate.message("arterial/v1/x/position/gw", &payload, received, &mut out, &mut refused);
                    let timely = events.iter().filter(|event| event.time().0 <= 25_000);
                    accepted.extend(timely.map(|event| (event.source().to_owned(), event.time())));
                }
                Said::Garbage(bytes) => {
                    gate.message("arterial/v1/x/position/gw", bytes, received, &mut out, &mut refused);
                }
                Said::Nowhere => gate.message("weather", b"{}", received, &mut out, &mut refused),
            }
            let fates = gate.fates();
            prop_assert_eq!(fates.received, fates.accepted + fates.duplicate + fates.rejected_total());
        }
        let fates = gate.fates();
        prop_assert_eq!(fates.accepted as usize, accepted.len());
        prop_assert_eq!(out.len(), accepted.len());
        prop_assert_eq!(fates.rejected_total() as usize, refused.len());
        let sent = stream.iter().map(|m| match m { Said::Events { events, .. } => events.len(), _ => 1 }).sum::<usize>();
        prop_assert_eq!(fates.received as usize, sent);
    }
}

#[test]
fn duplicates_are_recognised_across_a_restart_and_only_true_ones() {
    let (mut out, at) = (Batch::default(), TimeMs(10_000));
    let mut before = gate();
    for event in [position("a", 1), position("b", 1), position("a", 2), signal(1, 1), signal(1, 2)] {
        assert_eq!(before.event(event, at, &mut out), Outcome::Accepted);
    }
    assert_eq!(before.event(position("a", 1), at, &mut out), Outcome::Duplicate);
    assert_eq!(out.len(), 5);

    let mut bytes = Vec::new();
    batch::encode(&out, &mut bytes).unwrap();
    let mut after = gate();
    after.remember(&batch::decode(&bytes).unwrap());
    for event in [position("a", 1), position("b", 1), position("a", 2), signal(1, 1), signal(1, 2)] {
        assert_eq!(after.event(event, at, &mut out), Outcome::Duplicate);
    }
    assert_eq!(after.event(signal(1, 3), at, &mut out), Outcome::Accepted);
    assert_eq!(after.fates().received, 6, "what is remembered is not received again");
}

#[test]
fn a_clock_from_the_future_is_rejected_with_what_it_said() {
    let mut gate = gate();
    let (mut out, mut refused) = (Batch::default(), Vec::new());
    let payload = br#"{"ts_ms":15001,"lon_deg":11.3,"lat_deg":44.5}"#;
    gate.message("arterial/v1/x/position/a", payload, TimeMs(10_000), &mut out, &mut refused);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].reject.reason, Reason::FromTheFuture);
    assert_eq!(refused[0].payload, payload);
    gate.message("arterial/v1/x/position/a", payload, TimeMs(10_001), &mut out, &mut refused);
    assert_eq!((refused.len(), out.len()), (1, 1), "exactly the skew is allowed, and a reject is no duplicate");
    // In a batch, each event is kept as itself.
    let pair = br#"[{"ts_ms":99000,"lon_deg":11.3,"lat_deg":44.5},{"ts_ms":2,"lon_deg":11.3,"lat_deg":44.5}]"#;
    gate.message("arterial/v1/x/position/a", pair, TimeMs(10_001), &mut out, &mut refused);
    assert_eq!((refused.len(), out.len()), (2, 2));
    assert!(refused[1].payload.len() < pair.len());
    let mut again = Vec::new();
    codec::decode("arterial/v1/x/position/a", &refused[1].payload, &mut again);
    assert_eq!(again, [Ok(position("a", 99_000))], "the kept payload can be sent again");
}

#[test]
fn vehicles_lose_their_names_and_street_furniture_keeps_them() {
    let mut gate = gate();
    let mut out = Batch::default();
    gate.event(position("plate-1234", 1), TimeMs(5), &mut out);
    gate.event(signal(1, 1), TimeMs(5), &mut out);
    let mut bytes = Vec::new();
    batch::encode(&out, &mut bytes).unwrap();
    assert!(!format!("{out:?}").contains("plate"));
    assert_eq!(out.positions.vehicle, [Pseudonyms::new([3; 32]).of("plate-1234", TimeMs(1))]);
    assert_eq!(out.signals.source, ["j"]);
}
