//! Entities in all three ways of writing, and faults in them.

use super::*;

fn fates(payload: &str) -> Vec<Fate> {
    let mut out = Vec::new();
    decode(payload.as_bytes(), &mut out);
    out
}

fn refused(payload: &str) -> (Reason, Option<String>) {
    let read = fates(payload);
    let [Err(refused)] = &read[..] else { panic!("{payload}: {read:?}") };
    (refused.reject.reason, refused.reject.field.as_ref().map(ToString::to_string))
}

const PLAIN: &str = r#"{"id":"urn:a/1","type":"TrafficFlowObserved","dateObservedFrom":"2016-12-07T11:10:00Z",
    "dateObservedTo":"2016-12-07T11:15:00Z","intensity":197,"occupancy":0.76,"averageVehicleSpeed":36,
    "location":{"type":"LineString","coordinates":[[-4.73,41.65],[-4.74,41.66]]}}"#;

#[test]
fn the_three_ways_of_writing_say_the_same() {
    let normalized = r#"{"id":"urn:a/1","type":"TrafficFlowObserved",
        "dateObserved":{"type":"Property","value":{"@type":"DateTime","@value":"2016-12-07T11:10:00/2016-12-07T11:15:00"}},
        "intensity":{"type":"Property","value":197.0},"occupancy":{"type":"Number","value":0.76,"metadata":{}},
        "averageVehicleSpeed":{"type":"Number","value":36},
        "location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[-4.73,41.65]}}}"#;
    let read = fates(PLAIN);
    let [Ok(Event::Detector(interval))] = &read[..] else { panic!("{read:?}") };
    assert_eq!((interval.source.as_str(), interval.end.0 - interval.start.0), ("urn:a%2F1", 300_000));
    assert_eq!((interval.count, interval.occupancy), (Some(197), Some(0.76)));
    assert_eq!((interval.speed.unwrap().get(), interval.at.unwrap().lat_deg()), (10.0, 41.65));
    assert_eq!(fates(normalized), read);
    let notification = format!(r#"{{"type":"Notification","id":"n","data":[{PLAIN},{normalized}]}}"#);
    assert_eq!(fates(&notification), [read.clone(), read.clone()].concat());
    assert_eq!(fates(&format!("\u{feff}[{PLAIN}]")), read);
}

#[test]
fn a_vehicle_is_a_position() {
    let read = fates(
        r#"{"id":"v:1","type":"Vehicle","observationDateTime":"2021-03-11T15:51:02+05:30","speed":36,"bearing":43,
        "license_plate":"KA052134","location":{"type":"Point","coordinates":[-3.16,40.62]}}"#,
    );
    let [Ok(Event::Position(position))] = &read[..] else { panic!("{read:?}") };
    assert_eq!((position.source.as_str(), position.time), ("v:1", TimeMs(1_615_458_062_000)));
    assert_eq!((position.speed.unwrap().get(), position.heading.unwrap().get()), (10.0, 43.0));
}

#[test]
fn each_fault_has_one_reason() {
    let with = |from: &str, to: &str| {
        assert!(PLAIN.contains(from), "{from}");
        PLAIN.replace(from, to)
    };
    let named = |reason, field: &str| (reason, Some(field.to_owned()));
    for (text, expected) in [
        (with("0.76", "76"), named(Reason::OutOfRange, "occupancy")),
        (with("197", "1.5"), named(Reason::OutOfRange, "intensity")),
        (with("197", "\"197\""), named(Reason::UnreadableField, "intensity")),
        (with(":36", ":-7"), named(Reason::OutOfRange, "averageVehicleSpeed")),
        (with("11:15:00Z", "11:10:00Z"), named(Reason::OutOfRange, "dateObservedTo")),
        (with("11:15:00Z", "later"), named(Reason::UnreadableField, "dateObservedTo")),
        (with("dateObservedTo", "dateObserved"), named(Reason::UnreadableField, "dateObserved")),
        (with("dateObservedTo", "until"), named(Reason::MissingField, "dateObservedTo")),
        (with("TrafficFlowObserved", "AirQualityObserved"), named(Reason::UnreadableField, "type")),
        (with("\"type\":\"T", "\"kind\":\"T"), named(Reason::MissingField, "type")),
        (with("[[-4.73,41.65],[-4.74,41.66]]", "[[],[]]"), named(Reason::UnreadableField, "location")),
        (with("-4.73,41.65", "0,0"), named(Reason::NullIsland, "location")),
        (with("}}", "}"), (Reason::Malformed, None)),
        ("[]".into(), (Reason::WrongSize, None)),
        ("[7]".into(), (Reason::Malformed, None)),
        ("7".into(), (Reason::Malformed, None)),
        ("[".repeat(5_000), (Reason::Malformed, None)),
        (format!("[{}1]", "1,".repeat(BATCH_EVENTS_MAX)), (Reason::WrongSize, None)),
    ] {
        assert_eq!(refused(&text), expected, "{text}");
    }
    // -1 is "not measured", of each; of all three it leaves nothing.
    let unsaid = with("197", "-1").replace("0.76", "-1");
    assert!(matches!(&fates(&unsaid)[..], [Ok(Event::Detector(d))] if d.count.is_none() && d.occupancy.is_none()));
    assert_eq!(refused(&unsaid.replace(":36", ":-1")), named(Reason::MissingField, "intensity"));
}
