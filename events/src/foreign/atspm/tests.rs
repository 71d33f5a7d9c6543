//! Logs of signal controllers: pairs and what does not pair, both containers, files that lie.

use super::*;
use std::io::Cursor;
use std::sync::Arc;

use parquet::data_type::{ByteArrayType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

fn read(map: &str, bytes: impl Into<Vec<u8>>) -> Vec<Result<Record, ReadError>> {
    Log::new(AtspmMap::parse(map).unwrap(), Box::new(Cursor::new(bytes.into()))).collect()
}

fn xml(events: &[(&str, i64, i64)]) -> String {
    let row = |(time, code, parameter): &(&str, i64, i64)| {
        format!(
            "<Event ID=\"9\" TimeStamp=\"04-15-2024 12:00:{time}\" EventTypeID=\"{code}\" Parameter=\"{parameter}\"/>\n"
        )
    };
    let rows: String = events.iter().map(row).collect();
    format!("<?xml version=\"1.0\"?>\n<EventResponses><EventResponse ID=\"1\">{rows}</EventResponse></EventResponses>")
}

/// Source, milliseconds after noon from and to, and occupancy of each interval.
fn intervals(records: &[Result<Record, ReadError>]) -> Vec<(&str, i64, i64, Option<f32>)> {
    const NOON_MS: i64 = 1_713_182_400_000;
    let interval = |record| match record {
        &Ok(Record::Event(Event::Detector(ref d))) => {
            assert_eq!((d.count, d.speed), (Some(1), None));
            Some((d.source.as_str(), d.start.0 - NOON_MS, d.end.0 - NOON_MS, d.occupancy))
        }
        _ => None,
    };
    records.iter().filter_map(interval).collect()
}

#[test]
fn an_actuation_is_an_interval_and_what_does_not_pair_has_a_rule() {
    let log = xml(&[
        ("00.0", 82, 5),
        ("00.0", 1, 2),
        ("00.7", 81, 5),
        ("01.0", 82, 5),
        ("02.0", 82, 5),
        ("02.5", 81, 5),
        ("02.5", 81, 5),
        ("03.0", 82, 6),
        ("03.0", 81, 6),
        ("04.0", 8, 2),
        ("04.0", 43, 2),
        ("08.0", 10, 2),
        ("09.9", 82, 7),
    ]);
    let records = read("id==1136", log);
    assert_eq!(
        intervals(&records),
        [
            ("1136.5", 0, 700, Some(1.0)),
            ("1136.5", 1_000, 1_100, None),
            ("1136.5", 2_000, 2_500, Some(1.0)),
            ("1136.6", 3_000, 3_100, None),
            ("1136.7", 9_900, 10_000, None),
        ]
    );
    let changes: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Ok(Record::Event(Event::Signal(s))) => Some((s.source.as_str(), s.phase, s.state)),
            _ => None,
        })
        .collect();
    assert_eq!(
        changes,
        [("1136", 2, SignalState::Green), ("1136", 2, SignalState::Yellow), ("1136", 2, SignalState::Red)]
    );
    let refused: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Ok(Record::Unreadable { line, reject, .. }) => Some((*line, reject.reason)),
            _ => None,
        })
        .collect();
    assert_eq!(refused, [(8, Reason::MissingField)], "the second off in a row");
    assert_eq!(records.len(), 9);
}

#[test]
fn faults_of_a_row_and_of_a_file() {
    let reason = |map: &str, row: &str| {
        let text = format!("<EventResponses>{row}</EventResponses>");
        match read(map, text).remove(0) {
            Ok(Record::Unreadable { reject, .. }) => (reject.reason, reject.field.unwrap_or_default().into_owned()),
            other => panic!("{row}: {other:?}"),
        }
    };
    let time = "TimeStamp=\"04-15-2024 12:00:00.1\"";
    for (map, row, expected, field) in [
        ("", format!("<Event {time} EventTypeID=\"1\" Parameter=\"2\"/>"), Reason::MissingField, "DeviceId"),
        ("id==1", "<Event EventTypeID=\"1\" Parameter=\"2\"/>".into(), Reason::MissingField, "TimeStamp"),
        ("id==1", format!("<Event {time} EventTypeID=\"x\" Parameter=\"2\"/>"), Reason::UnreadableField, "EventTypeID"),
        ("id==1", format!("<Event {time} EventTypeID=\"1\"/>"), Reason::MissingField, "Parameter"),
        ("id==1", format!("<Event {time} EventTypeID=\"1\" Parameter=\"-2\"/>"), Reason::OutOfRange, "Parameter"),
        (
            "id==1",
            "<Event TimeStamp=\"noon\" EventTypeID=\"1\" Parameter=\"2\"/>".into(),
            Reason::UnreadableField,
            "TimeStamp",
        ),
    ] {
        assert_eq!(reason(map, &row), (expected, field.to_owned()), "{row}");
    }
    let back = xml(&[("05.0", 82, 5), ("04.0", 81, 5)]);
    let records = read("id==1", back);
    assert!(matches!(&records[..], [Ok(Record::Unreadable { reject, .. })] if reject.reason == Reason::OutOfRange));
    for other in ["", "<html></html>", "{}", "PAR"] {
        let records = read("", other);
        assert!(matches!(&records[..], [Err(ReadError::NotThisFormat { .. })]), "{other}: {records:?}");
    }
}

/// A Parquet file with one row group of these columns.
fn parquet_file(schema: &str, columns: &[&[i64]]) -> Vec<u8> {
    let mut out = Vec::new();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(&mut out, schema, Arc::default()).unwrap();
    let mut group = file.next_row_group().unwrap();
    for values in columns {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
    out
}

fn log_table(rows: &[[i64; 4]]) -> Vec<u8> {
    let schema = "message schema { required int64 TimeStamp (TIMESTAMP(MICROS,false)); required int64 DeviceId;
        required int64 EventId; required int64 Parameter; }";
    let column = |i: usize| rows.iter().map(|row| row[i]).collect::<Vec<_>>();
    parquet_file(schema, &[&column(0), &column(1), &column(2), &column(3)])
}

#[test]
fn a_table_says_the_same_and_its_clock_is_the_walls() {
    let noon_us = 1_713_182_400_000_000;
    let table = log_table(&[[noon_us, 7, 82, 5], [noon_us + 700_000, 7, 81, 5], [noon_us, 7, 1, 2]]);
    let records = read("zone=America/Los_Angeles", table.clone());
    let hours = 7 * 3_600_000;
    assert_eq!(intervals(&records), [("7.5", hours, hours + 700, Some(1.0))]);
    let [_, Ok(Record::Event(Event::Signal(change)))] = &records[..] else { panic!("{records:?}") };
    assert_eq!((change.time.0, change.state), (1_713_182_400_000 + hours, SignalState::Green));

    for cut in [4, 11, table.len() / 2, table.len() - 1] {
        let records = read("", &table[..cut]);
        assert!(matches!(&records[..], [Err(ReadError::Truncated { .. })]), "{cut}: {records:?}");
    }
    let other = parquet_file("message m { required int64 TimeStamp; }", &[&[1]]);
    assert!(matches!(&read("", other)[..], [Err(ReadError::NotThisFormat { .. })]));
    // A column of texts where a time should be.
    let schema = "message log { required binary TimeStamp (UTF8); required int64 DeviceId; required int64 EventId;
        required int64 Parameter; }";
    let mut out = Vec::new();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(&mut out, schema, Arc::default()).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&["noon".into()], None, None).unwrap();
    column.close().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        column.typed::<Int64Type>().write_batch(&[1], None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
    let records = read("", out);
    assert!(
        matches!(&records[..], [Ok(Record::Unreadable { reject, .. })] if reject.reason == Reason::UnreadableField),
        "{records:?}"
    );
}
