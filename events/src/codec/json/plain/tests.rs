//! Whatever the short way reads, the long way reads the same; and it does read what we and others write.

use super::*;
use crate::codec::json::{encode, encode_batch};
use crate::event::{EdgeFix, Event, Position};
use crate::topic::{Kind, Topic};
use proptest::prelude::*;

const TOPIC: Topic<'static> = Topic { city: "x", kind: Kind::Position, source: "gw" };

fn owned(plain: PlainPosition<'_>) -> Event {
    let PlainPosition { source, seq, time, at, speed, heading, edge } = plain;
    let edge = edge.map(|(id, pos_m)| EdgeFix { edge_id: id.to_owned(), pos_m });
    Event::Position(Position { source: source.to_owned(), seq, time, at, speed, heading, edge, journey: None })
}

/// What the short way reads; `None` if it leaves the message to the long one. Whatever it reads is held against that.
fn short(text: &str) -> Option<Vec<Event>> {
    let mut events = Vec::new();
    if !plain_positions("gw", text.as_bytes(), |plain| events.push(owned(plain))) {
        return None;
    }
    let mut fates = Vec::new();
    crate::codec::json::decode(&TOPIC, text.as_bytes(), &mut fates);
    let long: Vec<_> = fates.into_iter().map(|fate| fate.expect("what is plain is sound")).collect();
    assert_eq!(events, long, "{text}");
    assert_eq!(format!("{events:?}"), format!("{long:?}"), "also the sign of 0: {text}");
    Some(events)
}

#[test]
fn what_programs_write_is_plain_and_what_is_not_is_left_to_the_long_way() {
    for text in [
        r#"{"ts_ms":1,"lon_deg":24.938412,"lat_deg":60.169873}"#,
        r#"{"source":"gw","seq":0,"ts_ms":1,"lon_deg":-0.0,"lat_deg":-33.9,"speed_mps":12.34,"heading_deg":360}"#,
        r#"{"source": "gw.7", "seq": 18, "ts_ms": 5, "lon_deg": 1, "lat_deg": 2, "speed_mps": 255}"#,
        r#"[{"ts_ms":1,"lon_deg":1,"lat_deg":2},{"lat_deg":2,"lon_deg":1,"ts_ms":2,"x":"ü","y":null,"z":false}]"#,
        r#"{"ts_ms":1,"lon_deg":1.2345678901234567,"lat_deg":0.1,"speed_mps":13.888889,"heading_deg":271.50000001}"#,
        r#"{"ts_ms":1,"lon_deg":1,"lat_deg":2,"edge":{"id":":j1_0","pos_m":12.5}}"#,
        r#"{"ts_ms":1,"ts_ms":3,"lon_deg":1,"lat_deg":2}"#,
    ] {
        assert!(short(text).is_some(), "{text}");
    }
    for text in [
        "",
        "[]",
        "{}",
        r#"{"ts_ms":1,"lon_deg":1}"#,
        r#"{"ts_ms":01,"lon_deg":1,"lat_deg":2}"#,
        r#"{"ts_ms":1.,"lon_deg":1,"lat_deg":2}"#,
        r#"{"ts_ms":1e3,"lon_deg":1,"lat_deg":2}"#,
        r#"{"ts_ms":1,"lon_deg":1,"lat_deg":2} "#,
        r#"{"ts_ms":1,"lon_deg":1,"lat_deg":2}}"#,
        r#"{"ts_ms":1,"lon_deg":1,"lat_deg":200}"#,
        r#"{"ts_ms":1,"lon_deg":0,"lat_deg":0}"#,
        r#"{"ts_ms":1,"lon_deg":1,"lat_deg":2,}"#,
        r#"{"ts_ms":1,"lon_deg":1,"lat_deg":2,"source":"other"}"#,
        r#"{"ts_ms":1,"lon_deg":1,"lat_deg":2,"source":"gw."}"#,
        r#"{"ts_ms":1,"lon_deg":1,"lat_deg":2,"speed_mps":-1}"#,
        r#"{"ts_ms":1,"lon_deg":1,"lat_deg":2,"x":"\n"}"#,
        r#"{"ts_ms":1,"lon_deg":1,"lat_deg":2,"x":[]}"#,
        r#"{"ts":"2024-02-13T16:33:00Z","lon_deg":1,"lat_deg":2}"#,
        r#"{"ts_ms":12345678901234567890,"lon_deg":1,"lat_deg":2}"#,
        "[{\"ts_ms\":1,\"lon_deg\":1,\"lat_deg\":2},",
    ] {
        assert_eq!(short(text), None, "{text}");
    }
    let foreign = b"{\"ts_ms\":1,\"lon_deg\":1,\"lat_deg\":2,\"x\":\"aaaaaaaa\xff\"}";
    assert!(!plain_positions("gw", foreign, |_| {}), "not UTF-8");
    let one = r#"{"ts_ms":1,"lon_deg":1,"lat_deg":2}"#;
    for (count, plain) in [(1_000, true), (1_001, false)] {
        assert_eq!(short(&format!("[{}]", vec![one; count].join(","))).is_some(), plain, "{count}");
    }
}

#[test]
fn a_quote_is_found_at_every_place_of_a_word() {
    for before in 0..40 {
        for after in 0..10 {
            let text = ["ü".repeat(before / 2), "x".repeat(before % 2), "\"".into(), "y\"\\".repeat(after)].concat();
            assert_eq!(length_to_quote(text.as_bytes()), Some((before, before < 2)));
            assert_eq!(length_to_quote(text.replacen('"', "\\", 1).as_bytes()), None);
            assert_eq!(length_to_quote(text.replacen('"', "\u{1f}", 1).as_bytes()), None);
        }
        let ascii = "~".repeat(before) + "\"ü";
        assert_eq!(length_to_quote(ascii.as_bytes()), Some((before, true)));
        assert_eq!(length_to_quote("\u{7f}".repeat(before).as_bytes()), None);
    }
}

#[test]
fn leading_digits_are_read_up_to_the_first_byte_that_is_none() {
    for text in ["00000000", "12345678", "99999999", "10000000", "00000001", "98765432"] {
        let read = |bytes: [u8; 8]| leading_digits(u64::from_le_bytes(bytes));
        let bytes: [u8; 8] = text.as_bytes().try_into().unwrap();
        assert_eq!(read(bytes), (8, text.parse().unwrap()));
        for count in 0..8 {
            for byte in (0..=255).filter(|byte: &u8| !byte.is_ascii_digit()) {
                let (mut bytes, value) = (bytes, text[..count].parse().unwrap_or(0));
                bytes[count] = byte;
                assert_eq!(read(bytes), (count, value), "{bytes:?}");
                bytes[count..].fill(byte);
                assert_eq!(read(bytes), (count, value), "{bytes:?}");
            }
        }
    }
}

fn position() -> impl Strategy<Value = Event> {
    let source = prop_oneof![Just("gw".to_owned()), "gw\\.[a-z0-9ü]{1,9}"];
    let edge = prop::option::of(("[a-zA-Z0-9:_#-]{1,20}", 0.0..1e4_f64));
    let motion = (prop::option::of(0f32..90.0), prop::option::of(0f32..360.0), edge);
    (source, any::<Option<u64>>(), 0i64..4_000_000_000_000, (-180.0..180.0_f64, -90.0..90.0_f64), motion).prop_map(
        |(source, seq, time, (lon, lat), (speed, heading, edge))| {
            Event::Position(Position {
                source,
                seq,
                time: TimeMs(time),
                at: LonLat::new(lon, lat).unwrap(),
                speed: speed.map(|mps| MetresPerSecond::new(mps).unwrap()),
                heading: heading.map(|deg| HeadingDeg::new(deg).unwrap()),
                edge: edge.map(|(edge_id, pos_m)| EdgeFix { edge_id, pos_m }),
                journey: None,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    /// Proptest prints the failing events.
    #[test]
    fn what_we_write_is_plain_as_long_as_its_numbers_have_19_digits(events in prop::collection::vec(position(), 1..6)) {
        let mut text = Vec::new();
        match &events[..] {
            [one] => encode(one, &mut text),
            several => encode_batch(several, &mut text),
        }
        let text = String::from_utf8(text).unwrap();
        if let Some(read) = short(&text) {
            prop_assert_eq!(read, events);
        } else {
            let digits = |c: char| c.is_ascii_digit() || c == '.';
            let longest = text.split(|c| !digits(c)).map(|run| run.replace('.', "").len()).max();
            prop_assert!(longest > Some(19), "{text}");
        }
    }

    #[test]
    fn a_message_with_a_byte_changed_is_read_as_the_long_way_reads_it(
        event in position(), at in any::<prop::sample::Index>(), byte in 0x20u8..0x7f,
    ) {
        let mut text = Vec::new();
        encode(&event, &mut text);
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(text) = String::from_utf8(text) {
            short(&text);
        }
    }
}
