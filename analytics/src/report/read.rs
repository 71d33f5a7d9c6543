//! The archive's files as rows: which files hold a day, and of them only the pages that are needed.
//!
//! Upstream: the folder that [`crate::archive`] writes. Downstream: [`super::series`], [`super::profile`].
//!
//! Per UTC day the file of five-minute rows is read where there is one, else the hours of one-minute rows; never both.
//! `manifest.json` says which files count; a folder without one (a copy, a fixture) is listed instead.
//!
//! A day's file is sorted by segment. Of one segment only the pages that hold it are read: row groups by their
//! statistics, pages by the column index (Parquet's page index), of these row groups and columns alone. An engine
//! that prunes row groups decodes 115,000 rows where 288 are wanted: `bench/history` has the figures. Files of a question
//! are read on several threads, each its share; the order of rows is that of the files.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::{
    ColumnChunkMask, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetStatisticsPolicy,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::statistics::Statistics;

use super::ReportError;
use crate::archive::cells::Cells;
use crate::archive::manifest::Manifest;
use crate::archive::table::Table;
use crate::calendar::date_of_number;

/// Rows of one question; a longer stretch or a larger place is refused: 2 GiB of them.
pub const ROWS_MAX: usize = 40_000_000;

/// Threads that read the files of a question, on however few cores: of one segment each file is two dozen small reads, and
/// a thread waits for the disk most of the time.
const THREADS: usize = 8;

pub(super) const DAY_MS: i64 = 86_400_000;

/// An archive folder and the city in it that is asked about.
#[derive(Clone, Debug)]
pub struct Archive {
    root: PathBuf,
    city: String,
}

/// Files of one UTC day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayFiles {
    pub paths: Vec<PathBuf>,
    /// Five-minute rows: the day is over.
    pub is_over: bool,
}

impl Archive {
    /// The archive in a folder. Without a name it must hold one city.
    ///
    /// # Errors
    /// No folder, no city of that name, or several and no name.
    pub fn open(root: &Path, city: Option<&str>) -> Result<Self, ReportError> {
        let mut found: Vec<String> = Vec::new();
        for table in ["cells_5min", "cells_1min"] {
            let Ok(folder) = std::fs::read_dir(root.join(table)) else { continue };
            let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            found.extend(names.filter_map(|name| name.strip_prefix("city=").map(str::to_owned)));
        }
        found.sort();
        found.dedup();
        let city = match (city, found.as_slice()) {
            (_, []) => return Err(ReportError::NoArchive { root: root.into() }),
            (None, [one]) => one.clone(),
            (Some(name), all) if all.iter().any(|c| c == name) => name.to_owned(),
            (_, all) => return Err(ReportError::City { root: root.into(), cities: all.join(", ") }),
        };
        Ok(Self { root: root.into(), city })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The city.
    pub fn city(&self) -> &str {
        &self.city
    }

    /// Files by UTC day (days since 1970).
    ///
    /// # Errors
    /// A folder or a manifest that cannot be read.
    pub fn days(&self) -> Result<BTreeMap<i64, DayFiles>, ReportError> {
        let mut days: BTreeMap<i64, DayFiles> = BTreeMap::new();
        let five = format!("cells_5min/city={}/", self.city);
        let one = format!("cells_1min/city={}/", self.city);
        let paths = match self.manifest()? {
            Some(paths) => paths,
            None => [&five, &one].into_iter().flat_map(|table| listed(&self.root, table)).collect(),
        };
        for (table, is_over) in [(&five, true), (&one, false)] {
            for path in paths.iter().filter(|p| p.ends_with(".parquet")) {
                let Some(day) = path.strip_prefix(table.as_str()).and_then(day_of_path) else { continue };
                let files = days.entry(day).or_insert_with(|| DayFiles { is_over, ..DayFiles::default() });
                if files.is_over == is_over {
                    files.paths.push(self.root.join(path));
                }
            }
        }
        days.values_mut().for_each(|files| files.paths.sort());
        Ok(days)
    }

    /// Files of a table that lie below `table/city=…/`, by the date in their path.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn files_of(&self, table: &str) -> Result<Vec<(i64, PathBuf)>, ReportError> {
        let prefix = format!("{table}/city={}/", self.city);
        let paths = match self.manifest()? {
            Some(paths) => paths,
            None => listed(&self.root, &prefix),
        };
        let of_table = paths.iter().filter(|p| p.ends_with(".parquet"));
        let dated = of_table.filter_map(|p| Some((day_of_path(p.strip_prefix(prefix.as_str())?)?, self.root.join(p))));
        Ok(dated.collect())
    }

    fn manifest(&self) -> Result<Option<Vec<String>>, ReportError> {
        let manifest = Manifest::find(&self.root)?;
        Ok(manifest.map(|manifest| manifest.files.into_iter().map(|file| file.path).collect()))
    }

    /// The files that hold a stretch of time.
    ///
    /// # Errors
    /// See [`Archive::days`].
    pub fn files(&self, span_ms: &Range<i64>) -> Result<Vec<PathBuf>, ReportError> {
        let wanted = span_ms.start.div_euclid(DAY_MS)..=(span_ms.end - 1).div_euclid(DAY_MS);
        Ok(self.days()?.range(wanted).flat_map(|(_, files)| files.paths.clone()).collect())
    }

    /// Rows of some segments in a stretch of time; `segments` is sorted. Memory: 60 B a row, at most [`ROWS_MAX`].
    ///
    /// # Errors
    /// A file that cannot be read, or too many rows.
    pub fn rows(&self, segments: &[i64], span_ms: &Range<i64>) -> Result<Cells, ReportError> {
        rows_of(&self.files(span_ms)?, segments, span_ms, THREADS)
    }

    /// Every row in a stretch of time, a batch after the other: memory does not grow with the stretch.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn each_row(&self, span_ms: &Range<i64>, mut take: impl FnMut(&Cells)) -> Result<(), ReportError> {
        self.files(span_ms)?.iter().try_for_each(|path| each_row_of(path, None, span_ms, &mut take))
    }
}

/// Rows of some segments in a stretch of time, of the files that hold it, by so many threads; see [`Archive::rows`].
///
/// # Errors
/// A file that cannot be read, or too many rows.
pub fn rows_of(
    files: &[PathBuf],
    segments: &[i64],
    span_ms: &Range<i64>,
    threads: usize,
) -> Result<Cells, ReportError> {
    let share = files.len().div_ceil(threads.max(1)).max(1);
    let read = |files: &[PathBuf]| {
        let mut rows = Cells::default();
        for path in files {
            each_row_of(path, Some(segments), span_ms, &mut |batch| rows.append(batch))?;
            if rows.len() > ROWS_MAX {
                return Err(ReportError::TooMuch { rows_max: ROWS_MAX });
            }
        }
        Ok(rows)
    };
    if share >= files.len() {
        return read(files);
    }
    let parts: Vec<Result<Cells, ReportError>> = std::thread::scope(|scope| {
        let running: Vec<_> = files.chunks(share).map(|files| scope.spawn(move || read(files))).collect();
        running.into_iter().map(|r| r.join().unwrap_or(Err(ReportError::Panicked))).collect()
    });
    let mut all = Cells::default();
    for part in parts {
        all.append(&part?);
    }
    Ok(all)
}

/// Files below a prefix, relative to the root; those that begin with a dot are being written.
fn listed(root: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![prefix.trim_end_matches('/').to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else { continue };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = format!("{folder}/{name}");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(_) if !name.starts_with('.') => found.push(path),
                Ok(_) | Err(_) => {}
            }
        }
    }
    found.sort();
    found
}

/// `date=2026-11-21/…` → days since 1970.
fn day_of_path(path: &str) -> Option<i64> {
    let text = path.strip_prefix("date=")?.split('/').next()?;
    crate::calendar::date(text).ok().map(crate::calendar::day_number)
}

/// The date of a UTC day, as folders have it.
pub fn utc_date(day: i64) -> String {
    date_of_number(day).to_string()
}

/// Gives the rows of a file that are wanted, in pieces; `segments` is sorted.
fn each_row_of(
    path: &Path,
    segments: Option<&[i64]>,
    span_ms: &Range<i64>,
    take: &mut impl FnMut(&Cells),
) -> Result<(), ReportError> {
    let names = Table::Cells5Min.columns().iter().map(|(name, _)| *name).collect::<Vec<_>>();
    // Of one segment a page of a column is wanted here and there: nothing is read ahead.
    let file = File::open(path).map_err(|error| ReportError::Io { path: path.into(), error })?;
    let Some(reader) = pruned(path, file, &names, segments)? else { return Ok(()) };
    let damaged = |what: String| ReportError::Damaged { path: path.into(), what };
    for batch in reader {
        let batch = batch.map_err(|e| damaged(e.to_string()))?;
        let rows =
            wanted(&batch, segments, span_ms).ok_or_else(|| damaged("a column is not of its type".to_owned()))?;
        if !rows.is_empty() {
            take(&rows);
        }
    }
    Ok(())
}

/// Reads a file whose first columns are these, the first of them the segment: the pages that may hold one of some segments,
/// which are sorted, or all; `None` where there is no such page.
pub(super) fn pruned<R: ChunkReader + 'static>(
    path: &Path,
    file: R,
    names: &[&str],
    segments: Option<&[i64]>,
) -> Result<Option<ParquetRecordBatchReader>, ReportError> {
    let damaged = |error: &dyn std::fmt::Display| ReportError::Damaged { path: path.into(), what: error.to_string() };
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::skip_except(&[0]))
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let mut metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Skip)
        .with_metadata_options(Some(options))
        .parse_and_finish(&file)
        .map_err(|e| damaged(&e))?;
    let found = metadata.file_metadata().schema_descr().columns().iter().map(|c| c.name());
    let found = found.take(names.len()).collect::<Vec<_>>();
    if found != names {
        return Err(damaged(&format!("its columns are {}", found.join(", "))));
    }
    let mut chosen = None;
    if let Some(segments) = segments {
        let groups: Vec<usize> =
            (0..metadata.num_row_groups()).filter(|&group| may_hold(&metadata, group, segments)).collect();
        if groups.is_empty() {
            return Ok(None);
        }
        let mut indexes = ParquetMetaDataReader::new_with_metadata(metadata)
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_column_index_mask(ColumnChunkMask::row_groups_and_columns(groups.iter().copied(), [0]))
            .with_offset_index_mask(ColumnChunkMask::row_groups_and_columns(groups.iter().copied(), 0..names.len()));
        indexes.read_page_indexes(&file).map_err(|e| damaged(&e))?;
        metadata = indexes.finish().map_err(|e| damaged(&e))?;
        let selection = pages(&metadata, &groups, segments);
        chosen = Some((groups, selection));
    }
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(|e| damaged(&e))?;
    let mask = ProjectionMask::leaves(metadata.parquet_schema(), 0..names.len());
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_projection(mask)
        .with_batch_size(65_536);
    if let Some((groups, selection)) = chosen {
        builder = builder.with_row_groups(groups);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
    }
    builder.build().map(Some).map_err(|e| damaged(&e))
}

/// Whether a row group may hold one of the segments.
fn may_hold(metadata: &ParquetMetaData, group: usize, segments: &[i64]) -> bool {
    match metadata.row_group(group).column(0).statistics() {
        Some(Statistics::Int64(of)) => match (of.min_opt(), of.max_opt()) {
            (Some(min), Some(max)) => holds(segments, *min, *max),
            _ => true,
        },
        _ => true,
    }
}

/// Whether one of the sorted values lies between two others.
fn holds(sorted: &[i64], min: i64, max: i64) -> bool {
    let from = sorted.partition_point(|s| *s < min);
    sorted.get(from).is_some_and(|s| *s <= max)
}

/// The rows of those pages that may hold one of the segments, over the chosen row groups; `None` without page indexes.
fn pages(metadata: &ParquetMetaData, groups: &[usize], segments: &[i64]) -> Option<RowSelection> {
    let (mut ranges, mut before): (Vec<Range<usize>>, usize) = (Vec::new(), 0);
    for &group in groups {
        let rows = usize::try_from(metadata.row_group(group).num_rows()).ok()?;
        let index = metadata.page_index_for_row_group(group);
        let Some(ColumnIndexMetaData::INT64(bounds)) = index.column_index(0) else { return None };
        let places = index.page_locations(0)?;
        for (page, place) in places.iter().enumerate() {
            let from = usize::try_from(place.first_row_index).ok()?;
            let to = places.get(page + 1).map_or(Some(rows), |next| usize::try_from(next.first_row_index).ok())?;
            let is_wanted = match (bounds.min_value(page), bounds.max_value(page)) {
                (Some(min), Some(max)) => holds(segments, *min, *max),
                _ => true,
            };
            if is_wanted {
                ranges.push(before + from..before + to);
            }
        }
        before += rows;
    }
    Some(RowSelection::from_consecutive_ranges(ranges.into_iter(), before))
}

/// The rows of a batch that are of these segments and this time; `None` where a column has another type.
fn wanted(batch: &arrow_array::RecordBatch, segments: Option<&[i64]>, span_ms: &Range<i64>) -> Option<Cells> {
    let whole = |i: usize| Some(&batch.column(i).as_primitive_opt::<Int64Type>()?.values()[..]);
    let small = |i: usize| Some(&batch.column(i).as_primitive_opt::<Int32Type>()?.values()[..]);
    let (segment, start) = (whole(0)?, &batch.column(1).as_primitive_opt::<TimestampMillisecondType>()?.values()[..]);
    let mut last = None;
    let is_wanted = |row: &usize| {
        if !span_ms.contains(&start[*row]) {
            return false;
        }
        let Some(segments) = segments else { return true };
        // Rows stand by segment: the answer for the row before is that of most rows.
        match last {
            Some((of, answer)) if of == segment[*row] => answer,
            _ => {
                let answer = segments.binary_search(&segment[*row]).is_ok();
                last = Some((segment[*row], answer));
                answer
            }
        }
    };
    let rows: Vec<usize> = (0..batch.num_rows()).filter(is_wanted).collect();
    let take = |column: &[i64]| rows.iter().map(|&r| column[r]).collect::<Vec<_>>();
    let take_small = |column: &[i32]| rows.iter().map(|&r| column[r]).collect::<Vec<_>>();
    Some(Cells {
        segment: take(segment),
        start_ms: take(start),
        distance_mm: take(whole(2)?),
        time_ms: take(whole(3)?),
        delay_ms: take(whole(4)?),
        reports: take_small(small(5)?),
        vehicle_minutes: take_small(small(6)?),
        minutes: take_small(small(7)?),
        free_flow_mmps: take_small(small(8)?),
    })
}
