//! Files of one table, each in order, read as one in order; memory is a batch of each.
//!
//! Upstream: files of history. Downstream: [`super::compact`], [`super::backfill`], [`super::forget`].

use std::ops::Range;
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::ahead::Ahead;
use super::error::ArchiveError;
use super::frame::Frame;
use super::table::Table;

/// Rows of a file that are in memory at a time.
const BATCH_ROWS: usize = 8_192;

/// One file, batch after batch.
pub struct Rows {
    path: PathBuf,
    table: Table,
    reader: ParquetRecordBatchReader,
}

impl Rows {
    /// Opens a file of a table.
    ///
    /// # Errors
    /// [`ArchiveError`] when it cannot be read.
    pub fn open(path: &Path, table: Table) -> Result<Self, ArchiveError> {
        let file = Ahead::open(path).map_err(|cause| ArchiveError::io("open", path, cause))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file);
        let reader = reader.and_then(|reader| reader.with_batch_size(BATCH_ROWS).build());
        let reader = reader.map_err(|cause| ArchiveError::parquet(path, cause))?;
        Ok(Self { path: path.to_owned(), table, reader })
    }
}

/// Batches of rows in the order of the file; an error when it is damaged, or of another table.
impl Iterator for Rows {
    type Item = Result<Frame, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.reader.next()? {
            Ok(batch) => batch,
            Err(cause) => return Some(Err(ArchiveError::parquet(&self.path, ParquetError::from(cause)))),
        };
        let other = || ArchiveError::Columns { path: self.path.clone(), table: self.table.name() };
        Some(Frame::of(self.table.columns(), batch).ok_or_else(other))
    }
}

/// Shows the rows of several files in order, some at a time, with the place of the file that they are of.
///
/// # Errors
/// [`ArchiveError`] of the files, and what `show` says.
pub fn merge(
    paths: &[PathBuf],
    table: Table,
    mut show: impl FnMut(usize, &Frame, Range<usize>) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let keys = table.keys();
    let mut sources = Vec::with_capacity(paths.len());
    for (of, path) in paths.iter().enumerate() {
        let mut rows = Rows::open(path, table)?;
        if let Some(frame) = next_full(&mut rows)? {
            let head = frame.head(0, keys);
            sources.push(Source { of, rows, frame, at: 0, head });
        }
    }
    while !sources.is_empty() {
        let (first, second) = two_lowest(&sources, keys);
        let lowest = &sources[first];
        let end = match second.map(|second| &sources[second]) {
            // Rows that come before whatever else there is; equal ones in the order of the files.
            Some(next) => {
                lowest.frame.end_of_run(lowest.at, &next.frame, next.at, keys, first < second.unwrap_or(first))
            }
            None => lowest.frame.len(),
        };
        show(lowest.of, &lowest.frame, lowest.at..end)?;
        let source = &mut sources[first];
        source.at = end;
        if source.at == source.frame.len() {
            match next_full(&mut source.rows)? {
                Some(frame) => (source.frame, source.at) = (frame, 0),
                None => {
                    drop(sources.remove(first));
                    continue;
                }
            }
        }
        source.head = source.frame.head(source.at, keys);
    }
    Ok(())
}

struct Source {
    of: usize,
    rows: Rows,
    frame: Frame,
    at: usize,
    /// The key of the row that is next, where it is two whole numbers: comparing them is most of the work.
    head: Option<(i64, i64)>,
}

fn next_full(rows: &mut Rows) -> Result<Option<Frame>, ArchiveError> {
    for frame in rows {
        let frame = frame?;
        if !frame.is_empty() {
            return Ok(Some(frame));
        }
    }
    Ok(None)
}

/// The places of the two sources with the lowest rows, the first of equals first.
fn two_lowest(sources: &[Source], keys: usize) -> (usize, Option<usize>) {
    let is_lower = |a: usize, b: usize| {
        let (a, b) = (&sources[a], &sources[b]);
        match (a.head, b.head) {
            (Some(a), Some(b)) => a < b,
            _ => a.frame.compare(a.at, &b.frame, b.at, keys).is_lt(),
        }
    };
    let (mut first, mut second) = (0, None);
    for at in 1..sources.len() {
        if is_lower(at, first) {
            second = Some(first);
            first = at;
        } else if second.is_none_or(|second| is_lower(at, second)) {
            second = Some(at);
        }
    }
    (first, second)
}
