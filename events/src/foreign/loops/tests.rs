//! Tables of loops: units, zones, what is not measured, and maps that are wrong.

use super::*;
use std::io::Cursor;

fn rows(map: LoopMap, text: &str) -> Vec<Result<Record, ReadError>> {
    Rows::new(map, Box::new(Cursor::new(text.to_owned()))).collect()
}

/// The one row of a table, or why it was refused.
fn one(header: &str, row: &str, map: &str) -> Result<DetectorInterval, (Reason, String)> {
    let mut read = rows(LoopMap::parse(map).unwrap(), &format!("{header}\n{row}\n"));
    assert_eq!(read.len(), 1);
    match read.remove(0).unwrap() {
        Record::Event(Event::Detector(interval)) => Ok(interval),
        Record::Unreadable { line: 2, reject, .. } => Err((reject.reason, reject.field.unwrap_or_default().into())),
        other => panic!("{other:?}"),
    }
}

const MAP: &str = "id=station,end=t,interval=30,count=n,occupancy=occ:percent,speed=v:mph,zone=America/Chicago";

fn station(row: &str) -> Result<DetectorInterval, (Reason, String)> {
    one("t,station,n,occ,v", row, MAP)
}

#[test]
fn units_and_zones_are_what_the_map_says() {
    let said = station("2015-09-01 13:45:00,S 1/2,12,3.5,60").unwrap();
    assert_eq!((said.source.as_str(), said.end.rfc3339().as_str()), ("S 1%2F2", "2015-09-01T18:45:00.000Z"));
    assert_eq!((said.end.0 - said.start.0, said.count, said.occupancy), (30_000, Some(12), Some(0.035)));
    assert!((said.speed.unwrap().get() - 26.8224).abs() < 1e-5);
    let fraction = one("t\to", "7\t0.25", "id==x,start=t:s,interval=1,occupancy=o:fraction").unwrap();
    assert_eq!((fraction.start, fraction.end, fraction.occupancy), (TimeMs(7_000), TimeMs(8_000), Some(0.25)));
}

#[test]
fn what_is_not_measured_is_never_0() {
    for unsaid in ["", "NULL", "-1", "-1.0", "NaN", " "] {
        let said = station(&format!("2015-09-01 13:45:00,s,{unsaid},3.5,{unsaid}")).unwrap();
        assert_eq!((said.count, said.speed, said.occupancy), (None, None, Some(0.035)), "{unsaid:?}");
        let nothing = station(&format!("2015-09-01 13:45:00,s,{unsaid},{unsaid},{unsaid}"));
        assert_eq!(nothing, Err((Reason::MissingField, "count".into())), "{unsaid:?}");
    }
    let empty = station("2015-09-01 13:45:00,s,0,0,0").unwrap();
    assert_eq!((empty.count, empty.occupancy, empty.speed), (Some(0), Some(0.0), None), "nobody has no speed");
}

#[test]
fn each_fault_has_one_reason_and_the_files_own_column() {
    for (row, reason, field) in [
        ("2015-09-01 13:45:00,s,12,350,60", Reason::OutOfRange, "occ"),
        ("2015-09-01 13:45:00,s,-3,3,60", Reason::OutOfRange, "n"),
        ("2015-09-01 13:45:00,s,1.5,3,60", Reason::OutOfRange, "n"),
        ("2015-09-01 13:45:00,s,1e99,3,60", Reason::OutOfRange, "n"),
        ("2015-09-01 13:45:00,s,12,3,-60", Reason::OutOfRange, "v"),
        ("2015-09-01 13:45:00,s,twelve,3,60", Reason::UnreadableField, "n"),
        ("yesterday,s,12,3,60", Reason::UnreadableField, "t"),
        (",s,12,3,60", Reason::MissingField, "t"),
        ("2015-09-01 13:45:00,,12,3,60", Reason::MissingField, "id"),
        ("2015-09-01 13:45:00,s,12,3", Reason::Malformed, ""),
    ] {
        assert_eq!(station(row), Err((reason, field.to_owned())), "{row}");
    }
}

#[test]
fn pems_says_what_was_filled_in() {
    let text = "\u{feff}5 Minutes,Lane 1 Flow (Veh/5 Minutes),# Lane Points,% Observed\n\
                04/01/2016 0:05,13,1,100\n04/01/2016 0:10,11,1,0\n";
    let read = rows(LoopMap::pems("id==402365").unwrap(), text);
    let [Ok(Record::Event(Event::Detector(said))), Ok(Record::Unreadable { line: 3, reject, .. })] = &read[..] else {
        panic!("{read:?}")
    };
    assert_eq!((said.source.as_str(), said.start.rfc3339().as_str()), ("402365", "2016-01-04T08:05:00.000Z"));
    assert_eq!((said.count, said.end.0 - said.start.0), (Some(13), 300_000));
    assert_eq!((reject.reason, reject.field.as_deref()), (Reason::MissingField, Some("% Observed")));
    let other = rows(LoopMap::pems("id==1").unwrap(), "timestamp,value\n2015-09-01 13:45:00,3\n");
    assert!(matches!(&other[..], [Err(ReadError::NotThisFormat { .. })]), "{other:?}");
}

#[test]
fn each_mistake_in_a_map_is_named() {
    let said = |text: &str| LoopMap::parse(text).unwrap_err().to_string();
    for (text, part) in [
        ("", "``"),
        ("id==", "`id==`"),
        ("id=a,start=t,interval=5", "`count`"),
        ("start=t,interval=5,count=n", "`id`"),
        ("id=a,interval=5,count=n", "`start`"),
        ("id=a,start=t,count=n", "`interval`"),
        ("id=a,start=t,end=u,interval=5,count=n", "both"),
        ("id=a,start=t,interval=0,count=n", "`0`"),
        ("id=a,start=t,interval=5,occupancy=o", ":percent"),
        ("id=a,start=t,interval=5,speed=v:furlongs", ":mph"),
        ("id=a,start=t:us,interval=5,count=n", "`us`"),
        ("id=a,start=t,interval=5,count=n,zone=Mars", "`Mars`"),
        ("id=a,start=t,interval=5,count=n,count=m", "twice"),
        ("flow=n", "`flow`"),
    ] {
        assert!(said(text).contains(part), "{text}: {}", said(text));
    }
}
