//! What HSL's messages are known to hold, in small messages of our own.

use super::*;
use std::io::Cursor;

const TOPIC: &str = "/hfp/v2/journey/ongoing/vp/bus/0018/01047/5530/1/Itä Pasila/05:40/2314215/0/60;24/17/53/99";

fn decoded(body: &str) -> Result<Position, Reject> {
    match decode(TOPIC, format!("{{\"VP\":{{{body}}}}}").as_bytes())? {
        Event::Position(position) => Ok(position),
        other => panic!("{other:?}"),
    }
}

const WHOLE: &str = r#""oper":6,"veh":1047,"tst":"2023-10-30T04:31:52.427Z","tsi":1698640312,"spd":9.00,"hdg":203,
    "lat":60.173036,"long":24.948786,"stop":null"#;

/// [`WHOLE`] with other fields after it: of a repeated key the last counts.
fn with(extra: &str) -> Result<Position, Reject> {
    decoded(&format!("{WHOLE},{extra}"))
}

#[test]
fn a_message_is_a_position_of_the_vehicle_in_the_topic() {
    let p = decoded(WHOLE).unwrap();
    assert_eq!(p.source, "hfp.0018.01047");
    assert_eq!(p.time, TimeMs(1_698_640_312_427));
    assert_eq!((p.at.lon_deg(), p.at.lat_deg()), (24.948786, 60.173036));
    assert_eq!((p.speed.unwrap().get(), p.heading.unwrap().get()), (9.0, 203.0));
    assert_eq!((p.seq, p.edge), (None, None));
    let line = Journey { route: "5530".into(), direction: "1".into(), next_stop: "2314215".into() };
    assert_eq!(p.journey.as_deref(), Some(&line));
    // The payload's operator is another one, or null, and never counts.
    assert_eq!(with("\"oper\":null").unwrap().source, "hfp.0018.01047");
}

#[test]
fn topics_have_nine_nineteen_or_twenty_levels() {
    let payload = format!("{{\"VP\":{{{WHOLE}}}}}");
    for topic in [
        TOPIC,
        "/hfp/v2/deadrun/ongoing/vp/bus/0018/01047",
        "/hfp/v2/journey/ongoing/tlr/bus/0018/01047/5530/1/Myyrmäki/05:40/2314215/0/60;24/17/53/99/314",
    ] {
        assert_eq!(decode(topic, payload.as_bytes()).unwrap().source(), "hfp.0018.01047", "{topic}");
    }
    for topic in [
        "/hfp/v2/",
        "/hfp/v2/journey/ongoing/vp/bus/0018",
        "/hfp/v2/journey/ongoing/vp/bus//01047",
        "/hfp/v2/journey/ongoing/vp/bus/0018/",
        "/hfp/v1/journey/ongoing/vp/bus/0018/01047",
    ] {
        assert_eq!(decode(topic, payload.as_bytes()).unwrap_err().reason, Reason::UnknownTopic, "{topic}");
    }
}

#[test]
fn null_fields_are_unknown_and_a_null_position_is_none() {
    let p = with(r#""spd":null,"hdg":null"#).unwrap();
    assert_eq!((p.speed, p.heading), (None, None));
    for odd in ["-1", "113.9952"] {
        assert_eq!(with(&format!("\"spd\":{odd}")).unwrap().speed, None, "{odd}");
    }
    for (extra, reason, field) in [
        (r#""lat":null"#, Reason::NoPosition, "lat"),
        (r#""lat":null,"long":null"#, Reason::NoPosition, "lat"),
        (r#""long":null"#, Reason::NoPosition, "long"),
        (r#""lat":0,"long":0"#, Reason::NullIsland, "long"),
        (r#""lat":95.2"#, Reason::OutOfRange, "lat"),
        (r#""long":-180.5"#, Reason::OutOfRange, "long"),
        (r#""lat":"60.1""#, Reason::UnreadableField, "lat"),
        (r#""hdg":361"#, Reason::OutOfRange, "hdg"),
        (r#""spd":"9""#, Reason::UnreadableField, "spd"),
        (r#""spd":1e999"#, Reason::OutOfRange, "spd"),
        (r#""tst":"today""#, Reason::UnreadableField, "tst"),
        (r#""tst":null,"tsi":null"#, Reason::MissingField, "tst"),
        (r#""tst":null,"tsi":-5"#, Reason::OutOfRange, "tsi"),
        (r#""tst":null,"tsi":9223372036854775"#, Reason::OutOfRange, "tsi"),
    ] {
        let reject = with(extra).unwrap_err();
        assert_eq!((reject.reason, reject.field.as_deref()), (reason, Some(field)), "{extra}: {reject}");
    }
}

#[test]
fn without_tst_the_whole_seconds_of_tsi_are_the_time() {
    assert_eq!(with("\"tst\":null").unwrap().time, TimeMs(1_698_640_312_000));
}

#[test]
fn the_payload_is_one_event_type_in_capitals() {
    for payload in
        ["{}", "[]", "{\"VP\":null}", "{\"vp\":{}}", "{\"VP\":{},\"DUE\":{}}", "{\"VP\":{}} x", "{\"VP\":{}", "\"VP\""]
    {
        assert_eq!(decode(TOPIC, payload.as_bytes()).unwrap_err().reason, Reason::Malformed, "{payload}");
    }
    assert_eq!(decode(TOPIC, b"{\"VP\":{\"desi\":\"\xe4\"}}").unwrap_err().reason, Reason::NotUtf8);
}

fn dump(bytes: &[u8]) -> Vec<Result<Record, ReadError>> {
    Dump::new(Box::new(Cursor::new(bytes.to_vec()))).collect()
}

#[test]
fn a_dump_line_is_split_around_a_headsign_with_spaces() {
    let payload = r#"{"VP":{"desi":"a {b","lat":null}}"#;
    let records = dump(format!("2023-10-30T03:03:05.055555Z {TOPIC} {payload}\r\n\n").as_bytes());
    let [Ok(Record::Message { topic, payload: found, received })] = &records[..] else { panic!("{records:?}") };
    assert_eq!((topic.as_str(), found.as_slice()), (TOPIC, payload.as_bytes()));
    assert_eq!(*received, Some(TimeMs(1_698_634_985_055)));
}

#[test]
fn a_bad_line_in_a_dump_is_given_back_with_its_number() {
    let good = format!("2023-10-30T03:03:05Z {TOPIC} {{}}");
    let bad: [(&[u8], Reason); 4] = [
        (b"2023-10-30T03:03:05Z", Reason::Malformed),
        (b"2023-10-30T03:03:05Z /hfp/v2/journey", Reason::Malformed),
        (b"noon /hfp/v2/journey {}", Reason::UnreadableField),
        (b"2023-10-30T03:03:05Z /hfp/v2/\xe4 {}", Reason::NotUtf8),
    ];
    for (bytes, reason) in bad {
        let records = dump(&[good.as_bytes(), b"\n", bytes, b"\n", good.as_bytes()].concat());
        let [Ok(_), Ok(Record::Unreadable { line: 2, reject, raw }), Ok(_)] = &records[..] else {
            panic!("{records:?}")
        };
        assert_eq!((reject.reason, raw.as_slice()), (reason, bytes));

        // As the first line it says that the file is something else, and nothing is read.
        let records = dump(&[bytes, b"\n", good.as_bytes()].concat());
        assert!(matches!(&records[..], [Err(ReadError::NotThisFormat { line: 1, .. })]), "{records:?}");
    }
    assert!(dump(b"").is_empty());
}

#[test]
fn a_topic_of_somebody_else_is_passed_on_for_the_gate_to_judge() {
    let records = dump(b"2023-10-30T03:03:05Z arterial/v1/demo/position/car-1 {}\n");
    let [Ok(Record::Message { topic, .. })] = &records[..] else { panic!("{records:?}") };
    assert_eq!(topic, "arterial/v1/demo/position/car-1");
}
