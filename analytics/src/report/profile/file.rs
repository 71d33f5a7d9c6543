//! The files of the tables: where they lie, their columns, and which days are in them.
//!
//! Upstream: [`super::day`]. Downstream: polars queries of [`super`], and whatever reads Parquet.
//!
//! `hours`: `day` (days since 1970 of the local date), `hour`, `segment`, `distance_mm`, `time_ms`, `delay_ms`, `reports`,
//! `minutes`, `vehicles_min` (at least so many pseudonyms), `free_flow_mmps`, `length_mm`; by hour, then segment, a row
//! group an hour, so that a question about the morning reads the morning.
//! `weekdays`: `segment`, `quarter`, `days`, and the same sums; by segment, then quarter.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use jiff::civil::Date;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{
    KeyValue, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::file::properties::WriterProperties;

use super::day::{DaySums, QUARTERS, Sum};
use crate::report::{History, ReportError};

/// The key of the days in a file's metadata.
const DAYS_KEY: &str = "arterial.days";

/// Days of a file, each with what it was made of.
pub type Sources = BTreeMap<String, String>;

const HOURS: [&str; 11] = [
    "day",
    "hour",
    "segment",
    "distance_mm",
    "time_ms",
    "delay_ms",
    "reports",
    "minutes",
    "vehicles_min",
    "free_flow_mmps",
    "length_mm",
];

const WEEKDAYS: [&str; 9] =
    ["segment", "quarter", "days", "distance_mm", "time_ms", "delay_ms", "reports", "minutes", "vehicles_min"];

/// The table of hours of a date.
pub fn hours_path(history: &History, date: Date) -> PathBuf {
    table(history, "hours").join(format!("date={date}")).join("part.parquet")
}

/// The table of weekdays that a date is in.
pub fn weekday_path(history: &History, date: Date) -> PathBuf {
    let (year, month) = (date.year(), date.month());
    let month = format!("month={year:04}-{month:02}");
    let weekday = date.weekday().to_monday_one_offset();
    table(history, "weekdays").join(month).join(format!("weekday={weekday}")).join("part.parquet")
}

/// The bottlenecks of a date.
pub fn bottleneck_path(history: &History, date: Date) -> PathBuf {
    table(history, "bottlenecks").join(format!("date={date}")).join("part.json")
}

fn table(history: &History, name: &str) -> PathBuf {
    history.archive.root().join("profile").join(name).join(format!("city={}", history.archive.city()))
}

/// What a day is made of: a checksum over names and sizes of its files, and the clock that cut it out.
pub fn source(paths: &[PathBuf], zone: &str) -> String {
    let mut sum = crc32fast::Hasher::new();
    for path in paths {
        sum.update(path.file_name().map_or(&[][..], |name| name.as_encoded_bytes()));
        sum.update(&fs::metadata(path).map_or(0, |m| m.len()).to_le_bytes());
    }
    format!("{:08x} {} {zone}", sum.finalize(), paths.len())
}

/// The days that a file says are in it; none where there is no file.
///
/// # Errors
/// A file that cannot be read.
pub fn sources(path: &Path) -> Result<Sources, ReportError> {
    let Some(metadata) = footer(path)? else { return Ok(Sources::new()) };
    let damaged = |what: String| ReportError::Damaged { path: path.into(), what };
    let pairs = metadata.file_metadata().key_value_metadata().map_or(&[][..], |pairs| &pairs[..]);
    let text = pairs.iter().find(|pair| pair.key == DAYS_KEY).and_then(|pair| pair.value.as_deref()).unwrap_or("{}");
    serde_json::from_str(text).map_err(|e| damaged(e.to_string()))
}

/// Rows of a file, by its footer.
///
/// # Errors
/// A file that cannot be read.
pub fn rows(path: &Path) -> Result<i64, ReportError> {
    Ok(footer(path)?.map_or(0, |metadata| metadata.file_metadata().num_rows()))
}

/// A file's footer without its statistics, which are most of it; `None` where there is no file.
fn footer(path: &Path) -> Result<Option<ParquetMetaData>, ReportError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ReportError::Io { path: path.into(), error }),
    };
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let read = ParquetMetaDataReader::new().with_metadata_options(Some(options)).parse_and_finish(&file);
    read.map(Some).map_err(|e| ReportError::Damaged { path: path.into(), what: e.to_string() })
}

/// Writes the hours of one day.
///
/// # Errors
/// A folder or file that cannot be written.
pub fn write_hours(path: &Path, sums: &DaySums, day: i64, days: &Sources) -> Result<(), ReportError> {
    let hours = (0..24).map(|hour| {
        let rows: Vec<(usize, Sum)> =
            (0..sums.segments.len()).map(|at| (at, sums.hour(at, hour))).filter(|(_, sum)| sum.days > 0).collect();
        let small =
            |of: &dyn Fn(&(usize, Sum)) -> i32| Arc::new(rows.iter().map(of).collect::<Int32Array>()) as ArrayRef;
        let whole =
            |of: &dyn Fn(&(usize, Sum)) -> i64| Arc::new(rows.iter().map(of).collect::<Int64Array>()) as ArrayRef;
        vec![
            small(&|_| day as i32),
            small(&|_| hour as i32),
            whole(&|(at, _)| sums.segments[*at].0),
            whole(&|(_, s)| s.distance_mm),
            whole(&|(_, s)| s.time_ms),
            whole(&|(_, s)| s.delay_ms),
            small(&|(_, s)| s.reports),
            small(&|(_, s)| s.minutes),
            small(&|(_, s)| s.vehicles_min),
            small(&|(at, _)| sums.free_flow_mmps[*at]),
            small(&|(at, _)| sums.length_mm[*at]),
        ]
    });
    write(path, &HOURS, hours, days)
}

/// Writes the sums of a weekday.
///
/// # Errors
/// A folder or file that cannot be written.
pub fn write_weekday(path: &Path, sums: &DaySums, days: &Sources) -> Result<(), ReportError> {
    // A thousand segments at a time: what is held twice stays small.
    let all: Vec<usize> = (0..sums.segments.len()).collect();
    let pieces = all.chunks(1_000).map(|piece| {
        let cells = piece.iter().flat_map(|&at| (0..QUARTERS).map(move |quarter| (at, quarter)));
        let rows: Vec<(usize, usize, Sum)> = cells
            .map(|(at, quarter)| (at, quarter, *sums.sum(at, quarter)))
            .filter(|(_, _, sum)| sum.days > 0)
            .collect();
        let small = |of: &dyn Fn(&(usize, usize, Sum)) -> i32| {
            Arc::new(rows.iter().map(of).collect::<Int32Array>()) as ArrayRef
        };
        let whole = |of: &dyn Fn(&(usize, usize, Sum)) -> i64| {
            Arc::new(rows.iter().map(of).collect::<Int64Array>()) as ArrayRef
        };
        vec![
            whole(&|(at, _, _)| sums.segments[*at].0),
            small(&|(_, quarter, _)| *quarter as i32),
            small(&|(_, _, s)| s.days),
            whole(&|(_, _, s)| s.distance_mm),
            whole(&|(_, _, s)| s.time_ms),
            whole(&|(_, _, s)| s.delay_ms),
            small(&|(_, _, s)| s.reports),
            small(&|(_, _, s)| s.minutes),
            small(&|(_, _, s)| s.vehicles_min),
        ]
    });
    write(path, &WEEKDAYS, pieces, days)
}

/// Adds what a weekday's file holds to sums; nothing where there is no file.
///
/// # Errors
/// A file that cannot be read.
pub fn read_weekday(path: &Path, sums: &mut DaySums) -> Result<(), ReportError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ReportError::Io { path: path.into(), error }),
    };
    let damaged = |what: String| ReportError::Damaged { path: path.into(), what };
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|e| damaged(e.to_string()))?;
    for batch in reader {
        let batch = batch.map_err(|e| damaged(e.to_string()))?;
        let whole = |i: usize| batch.column(i).as_primitive_opt::<Int64Type>().map(|c| &c.values()[..]);
        let small = |i: usize| batch.column(i).as_primitive_opt::<Int32Type>().map(|c| &c.values()[..]);
        let columns = (|| {
            Some((whole(0)?, small(1)?, small(2)?, whole(3)?, whole(4)?, whole(5)?, small(6)?, small(7)?, small(8)?))
        })();
        let Some((segment, quarter, days, distance, time, delay, reports, minutes, vehicles)) = columns else {
            return Err(damaged("a column is not of its type".to_owned()));
        };
        for row in 0..batch.num_rows() {
            let Ok(at) = sums.segments.binary_search_by_key(&segment[row], |s| s.0) else { continue };
            let Some(quarter) = usize::try_from(quarter[row]).ok().filter(|q| *q < QUARTERS) else { continue };
            let sum = Sum {
                distance_mm: distance[row],
                time_ms: time[row],
                delay_ms: delay[row],
                reports: reports[row],
                minutes: minutes[row],
                vehicles_min: vehicles[row],
                days: days[row],
            };
            sums.add(at, quarter, &sum);
        }
    }
    Ok(())
}

/// Writes beside, syncs, renames; every piece that is not empty is a row group.
fn write(
    path: &Path,
    names: &[&str],
    pieces: impl Iterator<Item = Vec<ArrayRef>>,
    days: &Sources,
) -> Result<(), ReportError> {
    let failed = |what: String| ReportError::Damaged { path: path.into(), what };
    let said = serde_json::to_string(days).map_err(|e| failed(e.to_string()))?;
    let level = ZstdLevel::try_new(3).map_err(|e| failed(e.to_string()))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(115_000))
        .set_key_value_metadata(Some(vec![KeyValue::new(DAYS_KEY.to_owned(), said)]))
        .build();
    let is_whole = |name: &&str| ["segment", "distance_mm", "time_ms", "delay_ms"].contains(name);
    let field = |name: &&str| Field::new(*name, if is_whole(name) { DataType::Int64 } else { DataType::Int32 }, false);
    let schema = Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()));
    replace(path, |file| {
        let mut writer =
            ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(|e| failed(e.to_string()))?;
        for columns in pieces {
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|e| failed(e.to_string()))?;
            if batch.num_rows() > 0 {
                writer.write(&batch).map_err(|e| failed(e.to_string()))?;
                if names[0] == "day" {
                    writer.flush().map_err(|e| failed(e.to_string()))?;
                }
            }
        }
        writer.close().map(|_| ()).map_err(|e| failed(e.to_string()))
    })
}

/// Puts a file in the place of another at once: whoever reads sees the one or the other, also after a crash.
///
/// # Errors
/// A folder or file that cannot be written.
pub fn replace(path: &Path, fill: impl FnOnce(&File) -> Result<(), ReportError>) -> Result<(), ReportError> {
    let failed = |error| ReportError::Write { path: path.into(), error };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let beside = folder.join(format!(".part-{}", std::process::id()));
    let file = File::create(&beside).map_err(failed)?;
    fill(&file)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
