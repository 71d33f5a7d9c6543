//! The contract field by field, and that what is written is read back.

use super::*;
use proptest::prelude::*;

fn decoded(topic: &str, payload: &str) -> Vec<Fate> {
    let mut out = Vec::new();
    decode(&Topic::parse(topic).unwrap(), payload.as_bytes(), &mut out);
    out
}

fn one(kind: &str, payload: &str) -> Fate {
    let mut fates = decoded(&format!("arterial/v1/demo/{kind}/gw"), payload);
    assert_eq!(fates.len(), 1, "{payload}");
    fates.remove(0)
}

fn position(extra: &str) -> Fate {
    one("position", &format!("{{\"ts_ms\":1000,\"lon_deg\":11.3,\"lat_deg\":44.5{extra}}}"))
}

fn detector(extra: &str) -> Fate {
    one("detector", &format!("{{\"start_ms\":0,\"end_ms\":60000,\"count\":3{extra}}}"))
}

/// The payload is refused for this reason because of this field, and the message shows `part`.
fn check_refused(fate: &Fate, reason: Reason, field: &str, part: &str) {
    let Err(refused) = fate else { panic!("accepted: {fate:?}") };
    assert_eq!((refused.reject.reason, refused.reject.field.as_deref()), (reason, Some(field)), "{}", refused.reject);
    assert!(refused.reject.detail.contains(part), "{} does not show {part}", refused.reject);
}

#[test]
fn a_position_with_all_fields_and_with_the_fewest() {
    let full = r#"{"source":"gw.7","seq":18446744073709551615,"ts":"2023-10-29T15:24:10.211+02:00","lon_deg":11.3,
        "lat_deg":44.5,"speed_mps":4.5,"heading_deg":360,"edge":{"id":":j_0","pos_m":1.5,"more":[]},"colour":{"a":[1]}}"#;
    let Ok(Event::Position(p)) = one("position", full) else { panic!() };
    assert_eq!((p.source.as_str(), p.seq, p.time), ("gw.7", Some(u64::MAX), TimeMs(1_698_585_850_211)));
    assert_eq!((p.speed.unwrap().get(), p.heading.unwrap().get()), (4.5, 0.0));
    assert_eq!(p.edge, Some(EdgeFix { edge_id: ":j_0".into(), pos_m: 1.5 }));

    let nulls = r#","source":null,"seq":null,"ts":null,"speed_mps":null,"heading_deg":null,"edge":null"#;
    for extra in ["", nulls] {
        let Ok(Event::Position(p)) = position(extra) else { panic!() };
        assert_eq!((p.source.as_str(), p.seq, p.time), ("gw", None, TimeMs(1_000)));
        assert_eq!((p.speed, p.heading, p.edge), (None, None, None));
    }
}

#[test]
fn what_devices_send_for_unknown_is_unknown() {
    for extra in [",\"speed_mps\":113.9952", ",\"speed_mps\":1e6"] {
        assert!(matches!(position(extra), Ok(Event::Position(Position { speed: None, .. }))), "{extra}");
    }
    let speed = |fate: Fate| match fate {
        Ok(Event::Detector(interval)) => interval.speed.map(MetresPerSecond::get),
        other => panic!("{other:?}"),
    };
    assert_eq!(speed(detector(",\"speed_mps\":-1.00")), None);
    assert_eq!(speed(detector("")), None);
    assert_eq!(speed(detector(",\"speed_mps\":0")), Some(0.0));
    assert_eq!(speed(detector(",\"count\":0,\"speed_mps\":0")), None);
    check_refused(&detector(",\"speed_mps\":-1.5"), Reason::OutOfRange, "speed_mps", "-1.5");
    check_refused(&position(",\"speed_mps\":-1"), Reason::OutOfRange, "speed_mps", "-1");
}

#[test]
fn numbers_as_devices_write_them() {
    let Ok(Event::Position(p)) = position(",\"ts_ms\":1698585850211.4,\"seq\":5.0") else { panic!() };
    assert_eq!((p.time, p.seq), (TimeMs(1_698_585_850_211), Some(5)));
    for (extra, field) in [
        (",\"ts_ms\":-1", "ts_ms"),
        (",\"ts_ms\":1e18", "ts_ms"),
        (",\"seq\":-1", "seq"),
        (",\"seq\":1.5", "seq"),
        (",\"seq\":18446744073709551616", "seq"),
        (",\"heading_deg\":360.5", "heading_deg"),
        (",\"lat_deg\":90.5", "lat_deg"),
        (",\"lon_deg\":1e999", "lon_deg"),
        (",\"edge\":{\"id\":\"a\",\"pos_m\":-1}", "edge.pos_m"),
    ] {
        check_refused(&position(extra), Reason::OutOfRange, field, "");
    }
}

#[test]
fn a_refusal_names_field_and_value() {
    for (extra, reason, field, part) in [
        (",\"lon_deg\":null", Reason::MissingField, "lon_deg", "null"),
        (",\"lat_deg\":null", Reason::MissingField, "lat_deg", "null"),
        (",\"ts_ms\":null", Reason::MissingField, "ts_ms", "null"),
        (",\"lon_deg\":0,\"lat_deg\":-0.0", Reason::NullIsland, "lon_deg", "fix"),
        (",\"lon_deg\":\"11.3\"", Reason::UnreadableField, "lon_deg", "\"11.3\""),
        (",\"ts_ms\":null,\"ts\":\"2023-10-29T13:24:10\"", Reason::UnreadableField, "ts", "offset"),
        (",\"ts_ms\":null,\"ts\":17", Reason::UnreadableField, "ts", "17"),
        (",\"ts_ms\":null,\"ts\":\"1969-01-01T00:00:00Z\"", Reason::OutOfRange, "ts", ""),
        (",\"edge\":\"a\"", Reason::UnreadableField, "edge", "\"a\""),
        (",\"edge\":{\"pos_m\":1}", Reason::MissingField, "edge.id", ""),
        (",\"edge\":{\"id\":\"\",\"pos_m\":1}", Reason::UnreadableField, "edge.id", ""),
        (",\"edge\":{\"id\":\"a\"}", Reason::MissingField, "edge.pos_m", ""),
        (",\"source\":5", Reason::UnreadableField, "source", "5"),
    ] {
        check_refused(&position(extra), reason, field, part);
    }
    for (extra, reason, field, part) in [
        (",\"end_ms\":0", Reason::OutOfRange, "end_ms", "start_ms"),
        (",\"start_ms\":null", Reason::MissingField, "start_ms", ""),
        (",\"count\":null", Reason::MissingField, "count", ""),
        (",\"count\":4294967296", Reason::OutOfRange, "count", "4294967295"),
        (",\"occupancy\":35", Reason::OutOfRange, "occupancy", "share"),
        (",\"lat_deg\":44.5", Reason::MissingField, "lon_deg", ""),
        (",\"lon_deg\":11.3", Reason::MissingField, "lat_deg", ""),
    ] {
        check_refused(&detector(extra), reason, field, part);
    }
    let signal = |rest: &str| one("signal", &format!("{{\"ts_ms\":5,{rest}}}"));
    check_refused(&signal(r#""phase":2,"state":"blue""#), Reason::UnreadableField, "state", "\"blue\"");
    check_refused(&signal(r#""phase":2"#), Reason::MissingField, "state", "");
    check_refused(&signal(r#""phase":65536,"state":"red""#), Reason::OutOfRange, "phase", "65535");
    assert!(signal(r#""phase":65535,"state":"yellow""#).is_ok());
}

#[test]
fn a_gateway_speaks_only_under_its_own_name() {
    for own in ["gw", "gw.1", "gw.ä b.c"] {
        assert_eq!(position(&format!(",\"source\":\"{own}\"")).unwrap().source(), own);
    }
    let long = format!("gw.{}", "x".repeat(NAME_BYTES_MAX));
    for other in ["", "g", "gw.", "gw2", "gw2.1", "GW.1", "other", "gw.a/b", "gw.#", &long] {
        check_refused(&position(&format!(",\"source\":\"{other}\"")), Reason::WrongSource, "source", "`gw.`");
    }
}

#[test]
fn a_bad_element_is_refused_alone_with_its_own_text() {
    let good = |seq| format!("{{\"seq\":{seq},\"ts_ms\":1,\"lon_deg\":11.3,\"lat_deg\":44.5}}");
    let bad = "{\"seq\": 2, \"note\": \"[,\\\"\"}";
    let fates = decoded("arterial/v1/demo/position/gw", &format!(" [ {} , {bad},7,\n{}]", good(1), good(4)));
    let [Ok(_), Err(second), Err(third), Ok(Event::Position(fourth))] = &fates[..] else { panic!("{fates:?}") };
    assert_eq!((second.reject.reason, second.payload.as_slice()), (Reason::MissingField, bad.as_bytes()));
    assert_eq!((third.reject.reason, third.payload.as_slice()), (Reason::Malformed, &b"7"[..]));
    assert_eq!(fourth.seq, Some(4));

    // Broken JSON at the end of a batch leaves nothing of it.
    let fates = decoded("arterial/v1/demo/position/gw", &format!("[{},{}", good(1), good(2)));
    assert!(matches!(&fates[..], [Err(refused)] if refused.reject.reason == Reason::Malformed), "{fates:?}");
}

#[test]
fn a_batch_holds_one_to_a_thousand() {
    let batch = |n: usize| format!("[{}]", vec!["{\"ts_ms\":1,\"lon_deg\":11.3,\"lat_deg\":44.5}"; n].join(","));
    let fates = |n| decoded("arterial/v1/demo/position/gw", &batch(n));
    assert_eq!(fates(1_000).iter().filter(|fate| fate.is_ok()).count(), 1_000);
    for n in [0, 1_001] {
        let fates = fates(n);
        let [Err(refused)] = &fates[..] else { panic!("{} fates", fates.len()) };
        assert_eq!(refused.reject.reason, Reason::WrongSize);
        assert_eq!(refused.payload, batch(n).into_bytes());
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let source = prop_oneof![Just("gw".to_owned()), "gw\\.[a-zäß\"\\\\ ]{1,9}"];
    let seq = any::<Option<u64>>;
    let place =
        || (-180.0..=180.0, -90.0..=90.0).prop_filter_map("null island", |(lon, lat)| LonLat::new(lon, lat).ok());
    let speed = || prop::option::of((0.0_f32..=90.0).prop_map(|mps| MetresPerSecond::new(mps).unwrap()));
    let heading = prop::option::of((0.0_f32..360.0).prop_map(|deg| HeadingDeg::new(deg).unwrap()));
    let edge = (".{1,40}", prop_oneof![0.0..1e6_f64, Just(1e15), Just(5e-324)]);
    let edge = prop::option::of(edge.prop_map(|(edge_id, pos_m)| EdgeFix { edge_id, pos_m }));
    let journey = prop::option::of((".{1,16}", ".{0,16}", ".{0,16}"))
        .prop_map(|said| said.and_then(|(route, direction, stop)| Journey::new(route, direction, stop).unwrap()));
    let time = || (0_i64..=253_402_300_799_999).prop_map(TimeMs);
    let state = prop::sample::select(vec![SignalState::Red, SignalState::Yellow, SignalState::Green]);
    prop_oneof![
        (source.clone(), seq(), time(), place(), speed(), heading, (edge, journey)).prop_map(
            |(source, seq, time, at, speed, heading, (edge, journey))| Event::Position(Position {
                source,
                seq,
                time,
                at,
                speed,
                heading,
                edge,
                journey
            })
        ),
        (
            source.clone(),
            seq(),
            0_i64..1 << 40,
            1_i64..1 << 20,
            prop::option::of(place()),
            prop::option::of(0_u32..5),
            (speed(), prop::option::of(0.0_f32..=1.0))
        )
            .prop_map(|(source, seq, start, length, at, count, (speed, occupancy))| {
                let (start, end) = (TimeMs(start), TimeMs(start + length));
                let speed = speed.filter(|_| count != Some(0));
                // One of the three must be there.
                let count = if occupancy.is_none() && speed.is_none() { count.or(Some(0)) } else { count };
                Event::Detector(DetectorInterval { source, seq, start, end, at, count, occupancy, speed })
            }),
        (source, seq(), time(), any::<u16>(), state).prop_map(|(source, seq, time, phase, state)| Event::Signal(
            SignalChange { source, seq, time, phase, state }
        )),
    ]
}

fn topic_of(event: &Event) -> Topic<'static> {
    let kind = match event {
        Event::Position(_) => Kind::Position,
        Event::Detector(_) => Kind::Detector,
        Event::Signal(_) => Kind::Signal,
    };
    Topic { city: "demo", kind, source: "gw" }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_is_written_is_read_back_to_the_bit(event in any_event()) {
        let mut text = Vec::new();
        encode(&event, &mut text);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
        let mut out = Vec::new();
        decode(&topic_of(&event), &text, &mut out);
        prop_assert_eq!(&out, &[Ok(event)], "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn a_batch_is_read_back_in_order(events in prop::collection::vec(any_event(), 1..9)) {
        let topic = topic_of(&events[0]);
        let events: Vec<_> = events.into_iter().filter(|event| topic_of(event).kind == topic.kind).collect();
        let mut text = Vec::new();
        encode_batch(&events, &mut text);
        let mut out = Vec::new();
        decode(&topic, &text, &mut out);
        prop_assert_eq!(out, events.into_iter().map(Ok).collect::<Vec<_>>());
    }
}

/// The published form: it may gain fields, never change.
#[test]
fn the_wire_form_stays() {
    let golden = [
        r#"{"source":"gw.1","seq":7,"ts_ms":1800000,"lon_deg":11.3277881,"lat_deg":44.496195,"speed_mps":4.63,"heading_deg":345.67,"edge":{"id":"a201","pos_m":154.25}}"#,
        r#"{"source":"gw","start_ms":0,"end_ms":60000,"count":12,"occupancy":0.25,"speed_mps":8.5,"lon_deg":11.3,"lat_deg":44.5}"#,
        r#"{"source":"gw","seq":0,"ts_ms":5,"phase":2,"state":"green"}"#,
    ];
    for (kind, text) in ["position", "detector", "signal"].into_iter().zip(golden) {
        let event = one(kind, text).unwrap();
        let mut written = Vec::new();
        encode(&event, &mut written);
        assert_eq!(String::from_utf8(written).unwrap(), text);
    }
}
