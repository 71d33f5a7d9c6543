//! Lines in bounded memory, names out of foreign ids.

use super::*;
use std::io::Cursor;

#[test]
fn a_foreign_id_becomes_a_name_and_different_ids_stay_different() {
    for (id, name) in [
        ("8852", "8852"),
        ("veh#1", "veh%231"),
        ("a/b+c", "a%2Fb%2Bc"),
        ("a%2Fb", "a%252Fb"),
        ("tab\there", "tab%09here"),
        ("Bahn Nr. 4 ü", "Bahn Nr. 4 ü"),
    ] {
        assert_eq!(source_name(id, "id").as_deref(), Ok(name));
        assert!(is_name(name));
    }
    assert_eq!(source_name("", "id").unwrap_err().reason, Reason::MissingField);
    let long = source_name(&"x".repeat(NAME_BYTES_MAX + 1), "id").unwrap_err();
    assert_eq!((long.reason, long.field.as_deref()), (Reason::UnreadableField, Some("id")));
}

#[test]
fn an_overlong_line_is_given_back_once_and_reading_goes_on() {
    let line = |bytes: usize| format!("{}\n", "x".repeat(bytes));
    let head = "2024-02-13T16:33:00Z /hfp/v2/a/b/c/d/e/f {}\n";
    for end in ["\n", "\r\n"] {
        let file = format!(
            "{head}{}{}{end}{}{head}",
            line(lines::LINE_BYTES_MAX + 1),
            "y".repeat(3 * lines::LINE_BYTES_MAX),
            line(lines::LINE_BYTES_MAX)
        );
        let records: Vec<_> = read(&Format::Hfp, Box::new(Cursor::new(file))).map(Result::unwrap).collect();
        let found: Vec<_> = records
            .iter()
            .map(|record| match record {
                Record::Unreadable { line, reject, raw } => (*line, Some(reject.reason), raw.len()),
                Record::Message { .. } | Record::Event(_) => (0, None, 0),
            })
            .collect();
        let kept = lines::OVERLONG_KEPT_BYTES;
        assert_eq!(
            found,
            [
                (0, None, 0),
                (2, Some(Reason::WrongSize), kept),
                (3, Some(Reason::WrongSize), kept),
                (4, Some(Reason::Malformed), lines::LINE_BYTES_MAX),
                (0, None, 0),
            ]
        );
    }
}

#[test]
fn a_compressed_file_that_is_cut_off_says_how_far_it_was_good() {
    let rows: String = (0..5_000).map(|i| format!("v{i},{},11.3{i},44.5{}\n", i * 7 % 1_000, i * 31 % 977)).collect();
    let packed = zstd::encode_all(format!("id,time,lon,lat\n{rows}").as_bytes(), 1).unwrap();
    let cut = packed[..packed.len() - 9].to_vec();
    let map = csv::ColumnMap::parse("id=id,time=time,lon=lon,lat=lat").unwrap();
    let input = compressed::decompressed(Box::new(Cursor::new(cut))).unwrap();
    let mut records = read(&Format::Csv(map), input);
    let last = records.by_ref().find_map(Result::err).unwrap();
    assert!(matches!(last, ReadError::Truncated { .. }), "{last}");
    assert!(records.next().is_none());
}
