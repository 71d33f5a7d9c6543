//! The published file and the code agree; what is written is read back; each fault has its reason.

use super::*;
use crate::codec;
use proptest::prelude::*;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

fn topic(kind: Kind) -> String {
    format!("{}{SUFFIX}", Topic { city: "demo", kind, source: "gw" })
}

fn fates(kind: Kind, payload: &[u8]) -> Vec<Fate> {
    let mut out = Vec::new();
    codec::decode(&topic(kind), payload, &mut out);
    out
}

fn any_event(kind: Kind) -> impl Strategy<Value = Event> {
    let ms = 0_i64..253_402_300_000_000;
    let place = (-180.0..=180.0_f64, 0.5..=90.0_f64).prop_map(|(lon, lat)| LonLat::new(lon, lat).unwrap());
    let source = prop_oneof![Just("gw".to_owned()), "gw\\.[a-zü]{1,9}"];
    let numbers = (any::<u16>(), prop::option::of(0.0_f32..80.0), prop::option::of(0.0_f32..=1.0));
    let seq = prop::option::of(any::<u64>());
    let edge = prop::option::of(("[a-z:_#]{1,9}", 0.0_f64..1e6));
    (source, seq, ms, place, numbers, edge).prop_map(move |(source, seq, ms, at, (n, mps, share), edge)| {
        let time = TimeMs(ms);
        let speed = mps.map(|mps| MetresPerSecond::new(mps).unwrap());
        match kind {
            Kind::Position => {
                let heading = share.map(|share| HeadingDeg::wrapped(share * 360.0));
                let edge = edge.map(|(edge_id, pos_m)| EdgeFix { edge_id, pos_m });
                let journey =
                    Journey::new("550".repeat(usize::from(n) % 3), "1".repeat(usize::from(n) % 2), "H".into());
                Event::Position(Position { source, seq, time, at, speed, heading, edge, journey: journey.unwrap() })
            }
            Kind::Detector => {
                let count = if n % 3 == 0 && (speed.is_some() || share.is_some()) { None } else { Some(u32::from(n)) };
                let speed = speed.filter(|_| count != Some(0));
                let (start, end, at) = (time, TimeMs(ms + 1 + i64::from(n)), (n % 2 == 0).then_some(at));
                Event::Detector(DetectorInterval { source, seq, start, end, at, count, occupancy: share, speed })
            }
            Kind::Signal => {
                let state = [SignalState::Red, SignalState::Yellow, SignalState::Green][usize::from(n) % 3];
                Event::Signal(SignalChange { source, seq, time, phase: n, state })
            }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Proptest prints the failing case.
    #[test]
    fn what_is_written_is_read_back_to_the_bit(events in prop::sample::select(vec![Kind::Position, Kind::Detector, Kind::Signal])
        .prop_flat_map(|kind| prop::collection::vec(any_event(kind), 1..5).prop_map(move |events| (kind, events))))
    {
        let (kind, events) = events;
        let mut bytes = Vec::new();
        encode_batch(&events, &mut bytes);
        prop_assert_eq!(fates(kind, &bytes), events.into_iter().map(Ok).collect::<Vec<_>>());
    }
}

fn check(kind: Kind, payload: &[u8], reason: Reason, field: Option<&str>) {
    let fates = fates(kind, payload);
    let [Err(refused)] = &fates[..] else { panic!("{fates:?}") };
    assert_eq!((refused.reject.reason, refused.reject.field.as_deref()), (reason, field), "{}", refused.reject);
    assert_eq!(refused.payload, payload, "what is kept can be sent again");
}

fn bytes(batch: messages::Events) -> Vec<u8> {
    batch.encode_to_vec()
}

fn one(change: impl FnOnce(&mut messages::Position)) -> Vec<u8> {
    let mut position = messages::Position {
        source: None,
        seq: None,
        ts_ms: Some(1),
        lon_deg: Some(11.3),
        lat_deg: Some(44.5),
        speed_mps: None,
        heading_deg: None,
        edge: None,
        route: None,
        direction: None,
        next_stop: None,
    };
    change(&mut position);
    bytes(messages::Events { positions: vec![position], ..Default::default() })
}

#[test]
fn each_fault_has_one_reason_and_keeps_its_bytes() {
    for (payload, reason, field) in [
        (one(|p| p.ts_ms = None), Reason::MissingField, "ts_ms"),
        (one(|p| p.ts_ms = Some(-1)), Reason::OutOfRange, "ts_ms"),
        (one(|p| p.lat_deg = None), Reason::MissingField, "lat_deg"),
        (one(|p| p.lon_deg = Some(f64::NAN)), Reason::OutOfRange, "lon_deg"),
        (one(|p| p.speed_mps = Some(-2.0)), Reason::OutOfRange, "speed_mps"),
        (one(|p| p.heading_deg = Some(f32::INFINITY)), Reason::OutOfRange, "heading_deg"),
        (one(|p| p.source = Some("other".into())), Reason::WrongSource, "source"),
        (one(|p| p.source = Some("gw.a/b".into())), Reason::WrongSource, "source"),
        (one(|p| p.edge = Some(messages::EdgeFix::default())), Reason::MissingField, "edge.id"),
    ] {
        check(Kind::Position, &payload, reason, Some(field));
    }
    let unsaid = messages::SignalChange { ts_ms: Some(1), phase: Some(2), state: Some(7), ..Default::default() };
    let signals = bytes(messages::Events { signals: vec![unsaid], ..Default::default() });
    check(Kind::Signal, &signals, Reason::UnreadableField, Some("state"));
    let nothing = messages::DetectorInterval { start_ms: Some(0), end_ms: Some(9), ..Default::default() };
    let detectors = bytes(messages::Events { detectors: vec![nothing], ..Default::default() });
    check(Kind::Detector, &detectors, Reason::MissingField, Some("count"));
    let good = one(|_| {});
    check(Kind::Signal, &good, Reason::Malformed, None);
    check(Kind::Position, b"", Reason::WrongSize, None);
    check(Kind::Position, &good[..good.len() - 1], Reason::Malformed, None);
    check(Kind::Position, b"{\"ts_ms\":1,\"lon_deg\":11.3,\"lat_deg\":44.5}", Reason::Malformed, None);
    // 0x0A 0x00 is an empty position: a thousand and one of them are too many, before any is kept.
    check(Kind::Position, &[0x0A, 0x00].repeat(BATCH_EVENTS_MAX + 1), Reason::WrongSize, None);
}

#[test]
fn one_bad_element_does_not_cost_the_others_and_is_kept_alone() {
    let (good, bad) = (one(|_| {}), one(|p| p.lat_deg = Some(95.0)));
    let fates = fates(Kind::Position, &[good.clone(), bad.clone(), good].concat());
    let [Ok(_), Err(refused), Ok(_)] = &fates[..] else { panic!("{fates:?}") };
    assert_eq!((refused.reject.reason, &refused.payload), (Reason::OutOfRange, &bad));
}

#[test]
fn a_source_may_be_called_pb() {
    let mut out = Vec::new();
    codec::decode("arterial/v1/demo/position/pb", br#"{"ts_ms":1,"lon_deg":11.3,"lat_deg":44.5}"#, &mut out);
    assert!(matches!(&out[..], [Ok(event)] if event.source() == "pb"), "{out:?}");
}

/// Our bytes, read by the published file alone: every field that it declares is there under its name, with its type and
/// value, and nothing is there that it does not declare.
fn check_published(file: &DescriptorPool, name: &str, bytes: &[u8], said: &[(&str, Value)]) {
    let message = file.get_message_by_name(&format!("arterial.v1.{name}")).unwrap();
    let read = DynamicMessage::decode(message.clone(), bytes).unwrap();
    let mut declared: Vec<_> = message.fields().map(|field| field.name().to_owned()).collect();
    declared.sort();
    let mut names: Vec<_> = said.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(declared, names, "{name}");
    for (field, value) in said {
        assert!(read.has_field_by_name(field), "{name}.{field}");
        assert_eq!(read.get_field_by_name(field).as_deref(), Some(value), "{name}.{field}");
        let field = message.get_field_by_name(field).unwrap();
        assert!(field.supports_presence() || field.is_list(), "{name}.{} could not be absent", field.name());
    }
    assert_eq!(read.unknown_fields().count(), 0, "{name}");
    assert_eq!(read.encode_to_vec(), bytes, "{name}");
}

#[test]
fn the_published_file_says_what_the_code_does() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let file = protox::compile(["arterial/v1/events.proto"], [folder]).unwrap();
    let file = DescriptorPool::from_file_descriptor_set(file).unwrap();
    let (text, count) = (|text: &str| Value::String(text.into()), Value::U32(7));
    let edge = messages::EdgeFix { id: Some("e".into()), pos_m: Some(1.5) };
    check_published(&file, "EdgeFix", &edge.encode_to_vec(), &[("id", text("e")), ("pos_m", Value::F64(1.5))]);

    let event = any_full();
    let position = messages::Position { edge: None, ..(&event.0).into() };
    let message = file.get_message_by_name("arterial.v1.EdgeFix").unwrap();
    let mut fix = DynamicMessage::new(message);
    fix.set_field_by_name("id", text("e"));
    fix.set_field_by_name("pos_m", Value::F64(1.5));
    let common = [("source", text("gw")), ("seq", Value::U64(3))];
    let said = [
        ("ts_ms", Value::I64(1)),
        ("lon_deg", Value::F64(11.3)),
        ("lat_deg", Value::F64(44.5)),
        ("speed_mps", Value::F32(7.5)),
        ("heading_deg", Value::F32(90.0)),
        ("edge", Value::Message(fix)),
        ("route", text("550")),
        ("direction", text("1")),
        ("next_stop", text("H1234")),
    ];
    let position = messages::Position { edge: Some(edge), ..position };
    check_published(&file, "Position", &position.encode_to_vec(), &[&common[..], &said].concat());
    let said = [
        ("start_ms", Value::I64(1)),
        ("end_ms", Value::I64(2)),
        ("count", count),
        ("occupancy", Value::F32(0.25)),
        ("speed_mps", Value::F32(7.5)),
        ("lon_deg", Value::F64(11.3)),
        ("lat_deg", Value::F64(44.5)),
    ];
    let detector = messages::DetectorInterval::from(&event.1);
    check_published(&file, "DetectorInterval", &detector.encode_to_vec(), &[&common[..], &said].concat());
    for (state, number) in [(SignalState::Red, 1), (SignalState::Yellow, 2), (SignalState::Green, 3)] {
        let said = [("ts_ms", Value::I64(1)), ("phase", Value::U32(4)), ("state", Value::EnumNumber(number))];
        let signal = messages::SignalChange::from(&SignalChange { state, ..event.2.clone() });
        check_published(&file, "SignalChange", &signal.encode_to_vec(), &[&common[..], &said].concat());
        let names = file.get_enum_by_name("arterial.v1.SignalState").unwrap();
        let name = names.get_value(number).unwrap();
        assert_eq!(name.name(), format!("SIGNAL_STATE_{}", state.name().to_uppercase()));
    }
}

/// One of each kind with every field said.
fn any_full() -> (Position, DetectorInterval, SignalChange) {
    let (source, seq, time) = ("gw".to_owned(), Some(3), TimeMs(1));
    let at = LonLat::new(11.3, 44.5).unwrap();
    let speed = MetresPerSecond::new(7.5).ok();
    let heading = HeadingDeg::new(90.0).ok();
    let journey = Journey::new("550".into(), "1".into(), "H1234".into()).unwrap();
    let position = Position { source: source.clone(), seq, time, at, speed, heading, edge: None, journey };
    let detector = DetectorInterval {
        source: source.clone(),
        seq,
        start: time,
        end: TimeMs(2),
        at: Some(at),
        count: Some(7),
        occupancy: Some(0.25),
        speed,
    };
    (position, detector, SignalChange { source, seq, time, phase: 4, state: SignalState::Red })
}
