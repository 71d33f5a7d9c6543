//! Framing and reading of whatever a socket can bring.

use super::*;
use proptest::prelude::*;

fn whole(bytes: &[u8]) -> Option<Result<Packet, Close>> {
    match frame(bytes, 1 << 20) {
        Ok(length) => length.map(|length| read(Version::V4, &bytes[..length])),
        Err(close) => Some(Err(close)),
    }
}

#[test]
fn a_length_is_believed_or_refused_before_its_bytes_are_there() {
    assert!(whole(&[0x30]).is_none());
    assert!(whole(&[0x30, 0x80]).is_none());
    assert!(whole(&[0x30, 0xFF, 0x7F]).is_none(), "16383 bytes are awaited");
    assert!(matches!(whole(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]), Some(Err(Close::TooLarge))));
    assert!(matches!(whole(&[0x30, 0x80, 0x80, 0x80, 0x80]), Some(Err(Close::Malformed))));
    assert!(matches!(whole(&[0x30, 3, 0, 9, b'a']), Some(Err(Close::Malformed))), "a topic longer than the packet");
    assert!(matches!(whole(&[0x34, 5, 0, 1, b'a', 0, 1]), Some(Err(Close::QosNotSupported))));
    assert!(matches!(whole(&[0x32, 5, 0, 1, b'a', 0, 0]), Some(Err(Close::Malformed))), "packet id 0");
    assert!(matches!(whole(&[0x30, 3, 0, 1, b'#']), Some(Err(Close::Topic))));
    assert!(matches!(whole(&[0x80, 6, 0, 1, 0, 1, b'a', 0]), Some(Err(Close::Malformed))), "SUBSCRIBE without flags");
    assert!(matches!(whole(&[0xC0, 0]), Some(Ok(Packet::Ping))));
    let Some(Ok(Packet::Publish(publish))) = whole(&[0x32, 7, 0, 1, b'a', 0, 5, b'x', b'y']) else { panic!() };
    assert_eq!((publish.topic.as_str(), publish.id, &publish.payload[..]), ("a", Some(5), &b"xy"[..]));
}

#[test]
fn a_replays_receive_clock_is_read_and_nonsense_is_not() {
    let property =
        |value: &str| received_ms(&[("x".to_owned(), "1".to_owned()), (RECEIVED_MS.to_owned(), value.to_owned())]);
    assert_eq!(property("1698585850211"), Some(TimeMs(1_698_585_850_211)));
    for nonsense in ["", "-1", "1e9", "soon", "99999999999999999999"] {
        assert_eq!(property(nonsense), None, "{nonsense}");
    }
    assert_eq!(received_ms(&[]), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    /// No bytes may panic the codec. Proptest prints the failing input.
    #[test]
    fn no_packet_panics(first in any::<u8>(), body in prop::collection::vec(prop_oneof![0u8..40, any::<u8>()], 0..120)) {
        let mut bytes = vec![first, body.len() as u8];
        if body.len() > 127 { bytes.truncate(1); }
        bytes.extend(&body);
        let mut publish = vec![0x30 | (first & 0x0B), (body.len().min(100) + 6) as u8, 0, 2, b'a', b'/', 0, first];
        publish.extend(&body[..body.len().min(100)]);
        let bytes = if first < 128 { publish } else { bytes };
        for version in [Version::V4, Version::V5] {
            let read = read(version, &bytes);
            // What the short way reads, the codec reads the same; only the topic it leaves to others.
            match (frame(&bytes, 1 << 20), plain(version, &bytes)) {
                (Ok(Some(length)), Some(plain)) if length == bytes.len() => match read {
                    Ok(Packet::Publish(p)) => {
                        prop_assert_eq!((p.topic.as_bytes(), p.id, &p.payload[..]), (plain.topic, plain.id, plain.payload));
                        prop_assert_eq!(p.received, None);
                    }
                    other => {
                        let sound = str::from_utf8(plain.topic).is_ok_and(|t| topic(t.to_owned()).is_ok());
                        prop_assert!(!sound, "{:?}", other);
                    }
                },
                _ => {}
            }
        }
        let bytes = [&[0x10], &bytes[1..]].concat();
        let _any = hello(&bytes);
        for level in [4, 5] {
            let mut connect = vec![0x10, (body.len().min(100) + 7) as u8, 0, 4, b'M', b'Q', b'T', b'T', level];
            connect.extend(&body[..body.len().min(100)]);
            let _any = hello(&connect);
        }
    }
}
