//! Tables as they are found, in small tables of our own.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

const MAP: &str = "id=veh,time=when,lon=lon,lat=lat,speed=v:kmh,heading=dir,seq=n";

fn rows(map: &str, file: impl AsRef<[u8]>) -> Vec<Result<Record, ReadError>> {
    Rows::new(ColumnMap::parse(map).unwrap(), Box::new(Cursor::new(file.as_ref().to_vec()))).collect()
}

fn positions(map: &str, file: &str) -> Vec<Position> {
    rows(map, file)
        .into_iter()
        .map(|record| match record {
            Ok(Record::Event(Event::Position(position))) => position,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn with_header(row: &str) -> String {
    format!("n,veh,route,when,lon,lat,v,dir\n{row}\n")
}

#[test]
fn columns_are_found_by_name_and_units_are_converted() {
    let file = "\u{feff}n,veh,route,when,lon,lat,v,dir\r\n7,8852,x,2015-03-08T01:40:54-06:00,-97.74,30.29,36,360\r\n";
    let [p] = &positions(MAP, file)[..] else { panic!() };
    assert_eq!((p.source.as_str(), p.seq, p.time), ("8852", Some(7), TimeMs(1_425_800_454_000)));
    assert_eq!((p.at.lon_deg(), p.at.lat_deg()), (-97.74, 30.29));
    assert!((p.speed.unwrap().get() - 10.0).abs() < 1e-6);
    assert_eq!(p.heading.unwrap().get(), 0.0);
    for (unit, mps) in [("mps", 36.0), ("mph", 16.093_44), ("kn", 18.52)] {
        let map = format!("id=veh,time=when,lon=lon,lat=lat,speed=v:{unit}");
        let speed = positions(&map, file)[0].speed.unwrap().get();
        assert!((speed - mps).abs() < 1e-5, "{unit}: {speed}");
    }
}

#[test]
fn empty_and_impossible_readings_are_unknown() {
    for (v, dir, n) in [("", "", ""), ("NaN", "null", "NA"), (" ", "\\N", "NULL"), ("325", "", "")] {
        let [p] = &positions(MAP, &with_header(&format!("{n},a,,10,11.3,44.5,{v},{dir}")))[..] else { panic!() };
        assert_eq!((p.speed, p.heading, p.seq), (None, None, None), "{v} {dir} {n}");
    }
    // 255 mph is a receiver's "unknown".
    let map = "id=veh,time=when,lon=lon,lat=lat,speed=v:mph";
    assert_eq!(positions(map, &with_header(",a,,10,11.3,44.5,255,"))[0].speed, None);
}

#[test]
fn a_bad_row_names_line_column_and_reason() {
    for (row, reason, column, part) in [
        (",a,,10,0,0.0,1,1", Reason::NullIsland, Some("lon"), "fix"),
        (",a,,10,,44.5,1,1", Reason::NoPosition, Some("lon"), "empty"),
        (",a,,10,11.3,null,1,1", Reason::NoPosition, Some("lat"), "empty"),
        (",a,,10,11.3,95,1,1", Reason::OutOfRange, Some("lat"), "95"),
        (",a,,10,\"11,3\",44.5,1,1", Reason::UnreadableField, Some("lon"), "`11,3`"),
        (",,,10,11.3,44.5,1,1", Reason::MissingField, Some("veh"), "empty"),
        (",a,,,11.3,44.5,1,1", Reason::MissingField, Some("when"), "empty"),
        (",a,,noon,11.3,44.5,1,1", Reason::UnreadableField, Some("when"), "noon"),
        (",a,,1698585850211,11.3,44.5,1,1", Reason::OutOfRange, Some("when"), "time=when:ms"),
        (",a,,10,11.3,44.5,fast,1", Reason::UnreadableField, Some("v"), "fast"),
        (",a,,10,11.3,44.5,-1,1", Reason::OutOfRange, Some("v"), "-1"),
        (",a,,10,11.3,44.5,1,361", Reason::OutOfRange, Some("dir"), "361"),
        ("-1,a,,10,11.3,44.5,1,1", Reason::UnreadableField, Some("n"), "-1"),
        (",a,,10,11.3,44.5,1", Reason::Malformed, None, "7 fields, but the header has 8"),
        (",a,\"stray,10,11.3,44.5,1,1", Reason::Malformed, None, "fields"),
    ] {
        let good = "1,a,,10,11.3,44.5,1,1";
        let records = rows(MAP, with_header(&format!("{good}\n{row}\n{good}")));
        let [Ok(Record::Event(_)), Ok(Record::Unreadable { line: 3, reject, raw }), Ok(Record::Event(_))] =
            &records[..]
        else {
            panic!("{records:?}")
        };
        assert_eq!((reject.reason, reject.field.as_deref()), (reason, column), "{row}: {reject}");
        assert!(reject.detail.contains(part), "{row}: {reject}");
        assert_eq!(raw, row.as_bytes());
    }
}

/// Fields as tables have them, plain ones and others.
fn fields() -> impl Strategy<Value = String> {
    const WILD: [&str; 18] = [
        "", " ", "null", "NaN", "\\N", "inf", "1e3", "+1", "-", ".5", "5.", "\"7\"", "a", "ä/b", "%", "x y", "0", "-0",
    ];
    const TIMES: [&str; 4] =
        ["2023-10-29T13:24:10.211Z", "2023-02-29T13:24:10Z", "2015-03-08T01:40:54-06:00", "1970-01-01 00:00:01"];
    prop_oneof![
        4 => "-?[0-9]{1,3}(\\.[0-9]{0,8})?",
        1 => "[0-9]{1,20}",
        1 => "[ -~]{0,4}",
        1 => proptest::sample::select(&WILD[..]).prop_map(str::to_owned),
        1 => proptest::sample::select(&TIMES[..]).prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// The quick reader knows less, but what it says is what the other says; one that says nothing is no reader.
    #[test]
    fn plain_rows_are_read_as_all_others_are(
        fields in proptest::collection::vec(proptest::collection::vec(fields(), 7..=9), 1..4),
        unit in proptest::sample::select(&["", ":s", ":ms", ":rfc3339"][..]),
    ) {
        let map = ColumnMap::parse(&format!("id=veh,time=when{unit},lon=lon,lat=lat,speed=v:kmh,heading=dir,seq=n")).unwrap();
        let mut names = ByteRecord::new();
        split(b"n,veh,route,when,lon,lat,v,dir", b',', &mut names).unwrap();
        let header = Header::find(&map, b',', &names).unwrap();
        let mut quick = Quick::new(&map, &header).unwrap();
        for row in fields {
            let line = row.join(",");
            let mut split_row = ByteRecord::new();
            let whole = split(line.as_bytes(), b',', &mut split_row).and_then(|()| event(&map, &header, &split_row));
            if let Some(position) = quick.position(line.as_bytes()) {
                prop_assert_eq!(Ok(Event::Position(position)), whole, "{}", line);
            }
        }
    }
}

#[test]
fn plain_rows_take_the_quick_way() {
    let map = ColumnMap::parse(MAP).unwrap();
    let mut names = ByteRecord::new();
    split(b"n,veh,route,when,lon,lat,v,dir", b',', &mut names).unwrap();
    let header = Header::find(&map, b',', &names).unwrap();
    let mut quick = Quick::new(&map, &header).unwrap();
    for (row, source) in
        [("7,a1,x,10,11.3,44.5,3.6,359", "a1"), (",a1,,10.5,-11.3,44.5,,", "a1"), ("0,a,,9,1,4,0,0", "a")]
    {
        assert_eq!(quick.position(row.as_bytes()).map(|p| p.source).as_deref(), Some(source), "{row}");
    }
    let twice = ColumnMap::parse("id=veh,time=when,lon=lon,lat=lat,seq=veh").unwrap();
    assert!(Quick::new(&twice, &Header::find(&twice, b',', &names).unwrap()).is_none());
}

#[test]
fn only_the_columns_that_are_used_need_be_utf8() {
    let good = b"veh,route,when,lon,lat\na,\xe4,10,11.3,44.5\n";
    let map = "id=veh,time=when,lon=lon,lat=lat";
    assert!(matches!(&rows(map, good)[..], [Ok(Record::Event(_))]));
    let records = rows(map, b"veh,when,lon,lat\n\xe4,10,11.3,44.5\n");
    let [Ok(Record::Unreadable { line: 2, reject, .. })] = &records[..] else { panic!("{records:?}") };
    assert_eq!((reject.reason, reject.field.as_deref()), (Reason::NotUtf8, Some("veh")));
}

#[test]
fn time_is_read_in_the_unit_that_the_map_says() {
    let time = |unit: &str, text: &str| {
        let file = format!("veh,when,lon,lat\na,{text},11.3,44.5\n");
        match rows(&format!("id=veh,time=when{unit},lon=lon,lat=lat"), file).remove(0) {
            Ok(Record::Event(event)) => Ok(event.time().0),
            Ok(Record::Unreadable { reject, .. }) => Err(reject.reason),
            other => panic!("{other:?}"),
        }
    };
    for (unit, text, ms) in [
        (":s", "1800.25", 1_800_250),
        (":ms", "1698585850211", 1_698_585_850_211),
        (":ms", "1698585850211.4", 1_698_585_850_211),
        (":rfc3339", "2015-03-08T01:40:54-06:00", 1_425_800_454_000),
        ("", "1970-01-01 00:00:01.500", 1_500),
        ("", "1800.25", 1_800_250),
    ] {
        assert_eq!(time(unit, text), Ok(ms), "{unit} {text}");
    }
    for (unit, text) in [(":s", "2015-03-08T01:40:54-06:00"), (":ms", "inf"), (":rfc3339", "2015-03-08 01:40:54")] {
        assert_eq!(time(unit, text), Err(Reason::UnreadableField), "{unit} {text}");
    }
}

#[test]
fn the_delimiter_is_the_headers_and_quotes_are_understood() {
    let map = "id=veh,time=when,lon=lon,lat=lat";
    for file in [
        "veh;when;lon;lat\na,b;10;11.3;44.5",
        "veh\twhen\tlon\tlat\na,b\t10\t11.3\t44.5",
        "\"veh\",when,lon,\"lat\"\n\"a,b\",10,\"11.3\",44.5",
        " veh , when,lon,lat\n\n\"a,b\",10,11.3, 44.5 \n\n",
    ] {
        let [p] = &positions(map, file)[..] else { panic!("{file}") };
        assert_eq!((p.source.as_str(), p.time, p.at.lat_deg()), ("a,b", TimeMs(10_000), 44.5), "{file}");
    }
}

#[test]
fn a_header_alone_is_a_file_without_records() {
    assert!(rows(MAP, with_header("")).is_empty());
    assert!(rows(MAP, with_header("").trim_end()).is_empty());
}

#[test]
fn a_table_without_the_columns_is_refused_with_those_that_are_there() {
    let overlong = format!("{}\n1", "x".repeat(crate::foreign::lines::LINE_BYTES_MAX + 1));
    for (file, parts) in [
        ("veh,when,lon,v\n1,2,3,4", ["`lat`", "veh,when,lon,v"]),
        ("veh,when,lon,lat,n,dir\n1,2,3,4,5,6", ["`v`", "veh,when,lon,lat,n,dir"]),
        ("veh,when,lon,lat,n,dir,v,veh\n1,2,3,4,5,6", ["`veh`", "twice"]),
        ("", ["empty", "header"]),
        ("<fcd-export>\n</fcd-export>", ["`veh`", "<fcd-export>"]),
        (&overlong, ["longer", "header"]),
    ] {
        let records = rows(MAP, file);
        let [Err(e @ ReadError::NotThisFormat { line: 1, .. })] = &records[..] else { panic!("{records:?}") };
        assert!(parts.iter().all(|part| e.to_string().contains(part)), "{e}");
    }
}
