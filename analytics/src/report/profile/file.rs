//! The files of the tables: where they lie, their columns, and which days are in them.
//!
//! Upstream: [`super::day`]. Downstream: polars queries of [`super`], and whatever reads Parquet.
//!
//! `hours`: `segment`, `day` (days since 1970 of the local date), `hour`, `distance_mm`, `time_ms`, `delay_ms`,
//! `vehicles_min` (at least so many pseudonyms), `minutes`, `free_flow_mmps`, `length_mm`, `reports`; by segment, then hour.
//! `weekdays`: `segment`, `hour`, `days`, and the same sums; by segment, then hour.
//! `quarters`: `segment`, `day`, `quarter`, `distance_mm`, `time_ms`, `delay_ms`, `vehicles_min`, `minutes`,
//! `free_flow_mmps_minutes` (the speed times the minutes that it held for, summed); by segment, day, quarter.
//!
//! Rows of a segment stand together and pages are short and indexed, so that a corridor is read in a few pages a day, and
//! a city by running sums.

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
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{
    KeyValue, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::day::{self, DaySums, Sum};
use crate::report::{History, ReportError};

/// The key of the days in a file's metadata.
const DAYS_KEY: &str = "arterial.days";

/// How rows of the tables stand; a file that was made in another way is made again.
const LAYOUT: &str = "4";

/// Rows of a page of hours, of which a path needs a few; weekdays are read whole.
const HOURS_PAGE_ROWS: usize = 1_440;
const WEEKDAYS_PAGE_ROWS: usize = 20_000;

/// Rows of a page of quarters: a segment's month lies in two or three.
const QUARTERS_PAGE_ROWS: usize = 2_880;

/// Rows of a row group. The quarters of a month are sixty million rows, so that small ones would make a footer of most of
/// what is read of one segment; large ones do that to the index of pages.
const GROUP_ROWS: usize = 115_000;
const QUARTERS_GROUP_ROWS: usize = 1_000_000;

/// Segments that are written at a time: what is held twice stays small.
const PIECE: usize = 1_000;

/// Days of a file, each with what it was made of.
pub type Sources = BTreeMap<String, String>;

/// Columns of a table of hours; the first nine are read for paths ([`super::seen`]).
pub(super) const HOURS: [&str; 11] = [
    "segment",
    "day",
    "hour",
    "distance_mm",
    "time_ms",
    "delay_ms",
    "vehicles_min",
    "minutes",
    "free_flow_mmps",
    "length_mm",
    "reports",
];

/// Columns of the quarters of a month, all of them read for paths.
pub(super) const QUARTERS_OF_MONTH: [&str; 9] = [
    "segment",
    "day",
    "quarter",
    "distance_mm",
    "time_ms",
    "delay_ms",
    "vehicles_min",
    "minutes",
    "free_flow_mmps_minutes",
];

/// Columns of 64 bits that add up.
const SUMS: [&str; 4] = ["distance_mm", "time_ms", "delay_ms", "free_flow_mmps_minutes"];

/// How rows lie in a file.
#[derive(Clone, Copy)]
struct Layout {
    names: &'static [&'static str],
    page_rows: usize,
    group_rows: usize,
    /// Whether every column says its least and most; else the segment alone, which is what rows are found by.
    all_statistics: bool,
}

const WEEKDAYS: [&str; 9] =
    ["segment", "hour", "days", "distance_mm", "time_ms", "delay_ms", "reports", "minutes", "vehicles_min"];

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

/// The quarters of the month that a date is in.
pub fn quarters_path(history: &History, date: Date) -> PathBuf {
    quarters_folder(history).join(format!("month={:04}-{:02}", date.year(), date.month())).join("part.parquet")
}

/// The folder of the quarters of every month.
pub(super) fn quarters_folder(history: &History) -> PathBuf {
    table(history, "quarters")
}

/// The bottlenecks of a date.
pub fn bottleneck_path(history: &History, date: Date) -> PathBuf {
    table(history, "bottlenecks").join(format!("date={date}")).join("part.json")
}

fn table(history: &History, name: &str) -> PathBuf {
    history.archive.root().join("profile").join(name).join(format!("city={}", history.archive.city()))
}

/// Waits until nobody else writes tables of this archive; nobody else does until the file is closed.
///
/// # Errors
/// A folder that cannot be written.
pub fn lock(history: &History) -> Result<File, ReportError> {
    let folder = history.archive.root().join("profile");
    let path = folder.join("lock");
    let failed = |error| ReportError::Write { path: path.clone(), error };
    fs::create_dir_all(&folder).map_err(failed)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

/// What a day is made of: a checksum over names and sizes of its files, and the clock that cut it out.
pub fn source(paths: &[PathBuf], zone: &str) -> String {
    let mut sum = crc32fast::Hasher::new();
    for path in paths {
        sum.update(path.file_name().map_or(&[][..], |name| name.as_encoded_bytes()));
        sum.update(&fs::metadata(path).map_or(0, |m| m.len()).to_le_bytes());
    }
    format!("{LAYOUT} {:08x} {} {zone}", sum.finalize(), paths.len())
}

/// The days that a file says are in it; none where there is no file.
///
/// # Errors
/// A file that cannot be read.
pub fn sources(path: &Path) -> Result<Sources, ReportError> {
    footer(path)?.map_or(Ok(Sources::new()), |metadata| sources_in(path, &metadata))
}

/// The same of a file whose footer was read.
pub(super) fn sources_in(path: &Path, metadata: &ParquetMetaData) -> Result<Sources, ReportError> {
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
    let all: Vec<usize> = (0..sums.segments.len()).collect();
    let pieces = all.chunks(PIECE).map(|piece| {
        let rows = seen(sums, piece);
        let small = |of: &dyn Fn(&(usize, usize, Sum)) -> i32| {
            Arc::new(rows.iter().map(of).collect::<Int32Array>()) as ArrayRef
        };
        let whole = |of: &dyn Fn(&(usize, usize, Sum)) -> i64| {
            Arc::new(rows.iter().map(of).collect::<Int64Array>()) as ArrayRef
        };
        Ok(vec![
            whole(&|(at, _, _)| sums.segments[*at].0),
            small(&|_| day as i32),
            small(&|(_, hour, _)| *hour as i32),
            whole(&|(_, _, s)| s.distance_mm),
            whole(&|(_, _, s)| s.time_ms),
            whole(&|(_, _, s)| s.delay_ms),
            small(&|(_, _, s)| s.vehicles_min),
            small(&|(_, _, s)| s.minutes),
            small(&|(at, _, _)| sums.free_flow_mmps[*at]),
            small(&|(at, _, _)| sums.length_mm[*at]),
            small(&|(_, _, s)| s.reports),
        ])
    });
    let layout = Layout { names: &HOURS, page_rows: HOURS_PAGE_ROWS, group_rows: GROUP_ROWS, all_statistics: true };
    write(path, layout, pieces, days)
}

/// Writes the sums of a weekday.
///
/// # Errors
/// A folder or file that cannot be written.
pub fn write_weekday(path: &Path, sums: &DaySums, days: &Sources) -> Result<(), ReportError> {
    let all: Vec<usize> = (0..sums.segments.len()).collect();
    let pieces = all.chunks(PIECE).map(|piece| {
        let rows = seen(sums, piece);
        let small = |of: &dyn Fn(&(usize, usize, Sum)) -> i32| {
            Arc::new(rows.iter().map(of).collect::<Int32Array>()) as ArrayRef
        };
        let whole = |of: &dyn Fn(&(usize, usize, Sum)) -> i64| {
            Arc::new(rows.iter().map(of).collect::<Int64Array>()) as ArrayRef
        };
        Ok(vec![
            whole(&|(at, _, _)| sums.segments[*at].0),
            small(&|(_, hour, _)| *hour as i32),
            small(&|(_, _, s)| s.days),
            whole(&|(_, _, s)| s.distance_mm),
            whole(&|(_, _, s)| s.time_ms),
            whole(&|(_, _, s)| s.delay_ms),
            small(&|(_, _, s)| s.reports),
            small(&|(_, _, s)| s.minutes),
            small(&|(_, _, s)| s.vehicles_min),
        ])
    });
    let layout =
        Layout { names: &WEEKDAYS, page_rows: WEEKDAYS_PAGE_ROWS, group_rows: GROUP_ROWS, all_statistics: true };
    write(path, layout, pieces, days)
}

/// Writes the quarters of a month: pieces of rows by segment, day and quarter, each with the columns of the table.
///
/// # Errors
/// A folder or file that cannot be written, and what making a piece says.
pub(super) fn write_quarters(
    path: &Path,
    pieces: impl Iterator<Item = Result<Vec<ArrayRef>, ReportError>>,
    days: &Sources,
) -> Result<(), ReportError> {
    let layout = Layout {
        names: &QUARTERS_OF_MONTH,
        page_rows: QUARTERS_PAGE_ROWS,
        group_rows: QUARTERS_GROUP_ROWS,
        all_statistics: false,
    };
    write(path, layout, pieces, days)
}

/// Segments and hours with a vehicle, of some segments.
fn seen(sums: &DaySums, segments: &[usize]) -> Vec<(usize, usize, Sum)> {
    let cells = segments.iter().flat_map(|&at| (0..day::HOURS).map(move |hour| (at, hour)));
    cells.map(|(at, hour)| (at, hour, *sums.sum(at, hour))).filter(|(_, _, sum)| sum.days > 0).collect()
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
        let Some((segment, hour, days, distance, time, delay, reports, minutes, vehicles)) = columns else {
            return Err(damaged("a column is not of its type".to_owned()));
        };
        for row in 0..batch.num_rows() {
            let Ok(at) = sums.segments.binary_search_by_key(&segment[row], |s| s.0) else { continue };
            let Some(hour) = usize::try_from(hour[row]).ok().filter(|hour| *hour < day::HOURS) else { continue };
            let sum = Sum {
                distance_mm: distance[row],
                time_ms: time[row],
                delay_ms: delay[row],
                reports: reports[row],
                minutes: minutes[row],
                vehicles_min: vehicles[row],
                days: days[row],
            };
            sums.add(at, hour, &sum);
        }
    }
    Ok(())
}

/// Writes beside, syncs, renames.
fn write(
    path: &Path,
    layout: Layout,
    pieces: impl Iterator<Item = Result<Vec<ArrayRef>, ReportError>>,
    days: &Sources,
) -> Result<(), ReportError> {
    let failed = |what: String| ReportError::Damaged { path: path.into(), what };
    let said = serde_json::to_string(days).map_err(|e| failed(e.to_string()))?;
    let level = ZstdLevel::try_new(3).map_err(|e| failed(e.to_string()))?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(layout.group_rows))
        .set_data_page_row_count_limit(layout.page_rows)
        .set_key_value_metadata(Some(vec![KeyValue::new(DAYS_KEY.to_owned(), said)]));
    for name in SUMS {
        // Nearly every sum is another number: a dictionary of them would be as long as the column.
        let column = ColumnPath::from(name);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    if !layout.all_statistics {
        properties = properties
            .set_statistics_enabled(EnabledStatistics::None)
            .set_column_statistics_enabled(ColumnPath::from("segment"), EnabledStatistics::Page);
    }
    let properties = properties.build();
    let is_whole = |name: &&str| *name == "segment" || SUMS.contains(name);
    let field = |name: &&str| Field::new(*name, if is_whole(name) { DataType::Int64 } else { DataType::Int32 }, false);
    let schema = Arc::new(Schema::new(layout.names.iter().map(field).collect::<Vec<_>>()));
    replace(path, |file| {
        let mut writer =
            ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(|e| failed(e.to_string()))?;
        for columns in pieces {
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns?).map_err(|e| failed(e.to_string()))?;
            if batch.num_rows() > 0 {
                writer.write(&batch).map_err(|e| failed(e.to_string()))?;
            }
        }
        writer.close().map(|_| ()).map_err(|e| failed(e.to_string()))
    })
}

/// Puts a file in the place of another at once: whoever reads sees the one or the other, also after a crash. Who writes
/// holds [`lock`].
///
/// # Errors
/// A folder or file that cannot be written.
pub fn replace(path: &Path, fill: impl FnOnce(&File) -> Result<(), ReportError>) -> Result<(), ReportError> {
    let failed = |error| ReportError::Write { path: path.into(), error };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    // One name, since one at a time writes: what a crash left is written over.
    let beside = folder.join(".part");
    let file = File::create(&beside).map_err(failed)?;
    if let Err(error) = fill(&file) {
        fs::remove_file(&beside).map_err(failed)?;
        return Err(error);
    }
    file.sync_all().map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
