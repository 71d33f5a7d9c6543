//! What is tried with arbitrary bytes, one function a target: the same for cargo-fuzz and for the short run in the tests.
//!
//! Upstream: `fuzz_targets/*.rs` (libFuzzer) and `events/tests/it/fuzz.rs` (this file by its path). Downstream: every
//! decoder. Beyond "it does not panic" each holds: a message has at least one fate, and no more than its bound; what is
//! kept of refusals is no larger than the message, but for a frame each; an event that is accepted can be written and
//! read back as it was.

use std::io::Cursor;

use events::codec::{self, Fate, json, protobuf};
use events::foreign::by_topic::Rules;
use events::foreign::csv::ColumnMap;
use events::foreign::loops::LoopMap;
use events::foreign::{Format, Record, compressed, gtfs_rt, read};
use events::{Event, Kind, TimeMs, Topic};

/// A target's name, which is its folder in the corpus, and its body.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them, but for the packets of MQTT, which ingest tries.
pub(crate) const TARGETS: [Target; 14] = [
    ("json", |bytes| native(bytes, "")),
    ("protobuf", |bytes| native(bytes, protobuf::SUFFIX)),
    ("topic", topic),
    ("hfp", |bytes| message("/hfp/v2/journey/ongoing/vp/bus/0018/00423", bytes, &Rules::default())),
    ("gtfs-rt", |bytes| foreign("gtfs-rt", bytes)),
    ("ngsi-ld", |bytes| foreign("ngsi-ld", bytes)),
    ("csv", |bytes| foreign("csv:id=id,time=time,lon=lon,lat=lat,speed=v:kmh,heading=h,seq=n", bytes)),
    ("loops", |bytes| {
        foreign("loops:id=id,end=t,interval=30,count=n,occupancy=o:percent,speed=v:mph,observed=p", bytes)
    }),
    ("sumo-fcd", |bytes| foreign("sumo-fcd", bytes)),
    ("sumo-e1", |bytes| foreign("sumo-e1", bytes)),
    ("atspm", |bytes| foreign("atspm:zone=America/Chicago,id==7", bytes)),
    ("dump", dump),
    ("packed", packed),
    ("maps", maps),
];

/// The same bytes on topics of all kinds.
fn native(bytes: &[u8], suffix: &str) {
    for kind in [Kind::Position, Kind::Detector, Kind::Signal] {
        let topic = Topic { city: "demo", kind, source: "gw" };
        message(&format!("{topic}{suffix}"), bytes, &Rules::default());
    }
}

fn foreign(format: &str, bytes: &[u8]) {
    let rule = format!("#={format}");
    message("any", bytes, &Rules::parse([rule.as_str()]).expect("the rules of the targets are sound"));
}

/// The first line is the topic.
fn topic(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let topic = String::from_utf8_lossy(&bytes[..end]);
    message(&topic, bytes.get(end + 1..).unwrap_or_default(), &Rules::default());
}

fn message(topic: &str, bytes: &[u8], rules: &Rules) {
    let mut fates = Vec::new();
    rules.decode(topic, bytes, &mut fates);
    assert!((1..=gtfs_rt::ENTITIES_MAX).contains(&fates.len()), "{} fates", fates.len());
    let kept: usize = fates.iter().filter_map(|fate| fate.as_ref().err()).map(|no| no.payload.len()).sum();
    assert!(kept <= bytes.len() + 64 * fates.len(), "{kept} bytes are kept of {}", bytes.len());
    fates.into_iter().for_each(round_trip);
}

/// What is accepted is sound: it can be published natively, in both encodings, and comes back the same.
fn round_trip(fate: Fate) {
    let Ok(event) = fate else { return };
    assert!(TimeMs::new(event.time().0).is_ok(), "{event:?}");
    let kind = match event {
        Event::Position(_) => Kind::Position,
        Event::Detector(_) => Kind::Detector,
        Event::Signal(_) => Kind::Signal,
    };
    let source = event.source().to_owned();
    let topic = Topic { city: "demo", kind, source: &source };
    let (mut text, mut bytes, mut again) = (Vec::new(), Vec::new(), Vec::new());
    json::encode(&event, &mut text);
    protobuf::encode_batch(std::slice::from_ref(&event), &mut bytes);
    codec::decode(&topic.to_string(), &text, &mut again);
    codec::decode(&format!("{topic}{}", protobuf::SUFFIX), &bytes, &mut again);
    assert_eq!(again, [Ok(event.clone()), Ok(event)]);
}

/// Records of a file: they end, and none claims more than the file has.
fn file(format: &Format, bytes: &[u8]) {
    let Ok(input) = compressed::decompressed(Box::new(Cursor::new(bytes.to_vec()))) else { return };
    let mut ended = false;
    for record in read(format, input).take(100_000) {
        assert!(!ended, "records after an error");
        match record {
            Ok(Record::Event(event)) => round_trip(Ok(event)),
            Ok(Record::Message { topic, payload, .. }) => message(&topic, &payload, &Rules::default()),
            Ok(Record::Unreadable { .. }) => {}
            Err(_) => ended = true,
        }
    }
}

fn dump(bytes: &[u8]) {
    file(&Format::Hfp, bytes);
}

/// gzip and zstd, with what is inside read as several formats.
fn packed(bytes: &[u8]) {
    for format in [Format::Hfp, Format::NgsiLd, Format::SumoE1] {
        file(&format, bytes);
    }
}

/// What an operator types: maps and rules.
fn maps(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let sound = |map: bool, format: &str| assert_eq!(Format::parse(format, Some(&text)).is_ok(), map, "{text}");
    sound(ColumnMap::parse(&text).is_ok(), "csv");
    sound(LoopMap::parse(&text).is_ok(), "loops");
    if let Ok(rules) = Rules::parse(text.lines()) {
        let mut fates = Vec::new();
        rules.decode("a/b", bytes, &mut fates);
        assert!(!fates.is_empty());
    }
}
