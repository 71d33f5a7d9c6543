//! Columns of a table's file as they lie there, some rows at a time.
//!
//! Upstream: files of [`super::file`]. Downstream: [`super::sums`]. A file is read in one piece and only the pages of the
//! columns that are asked for are unpacked; nothing is grouped, joined or put into batches, since rows stand by segment
//! and a running sum is all that is wanted of them.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::column::reader::ColumnReader;
use parquet::data_type::{Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::file::{Sources, sources_in};
use crate::report::ReportError;

/// Rows that are unpacked at a time: with six columns they stay in a core's own cache.
const ROWS: usize = 8_192;

/// A file in memory.
pub struct Columns {
    path: PathBuf,
    reader: SerializedFileReader<Bytes>,
}

/// Names of columns of 64 and of 32 bits, in the order in which they are shown.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<const WHOLE: usize, const SMALL: usize> {
    pub whole: [&'static str; WHOLE],
    pub small: [&'static str; SMALL],
}

type Whole = parquet::column::reader::ColumnReaderImpl<Int64Type>;
type Small = parquet::column::reader::ColumnReaderImpl<Int32Type>;

impl Columns {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn open(path: &Path) -> Result<Self, ReportError> {
        let bytes = fs::read(path).map_err(|error| ReportError::Io { path: path.into(), error })?;
        let damaged = |e: ParquetError| ReportError::Damaged { path: path.into(), what: e.to_string() };
        let reader = SerializedFileReader::new(Bytes::from(bytes)).map_err(damaged)?;
        Ok(Self { path: path.into(), reader })
    }

    /// The days that the file says are in it.
    ///
    /// # Errors
    /// Metadata that is not ours.
    pub fn sources(&self) -> Result<Sources, ReportError> {
        sources_in(&self.path, self.reader.metadata())
    }

    /// Shows every row, some at a time, in the order of the file.
    ///
    /// # Errors
    /// A column that is not there, or is of another type.
    pub fn each<const WHOLE: usize, const SMALL: usize>(
        &self,
        wanted: &Wanted<WHOLE, SMALL>,
        mut show: impl FnMut(&[Vec<i64>; WHOLE], &[Vec<i32>; SMALL]),
    ) -> Result<(), ReportError> {
        let damaged = |e: ParquetError| ReportError::Damaged { path: self.path.clone(), what: e.to_string() };
        let mut whole_rows: [Vec<i64>; WHOLE] = std::array::from_fn(|_| Vec::new());
        let mut small_rows: [Vec<i32>; SMALL] = std::array::from_fn(|_| Vec::new());
        for group in 0..self.reader.num_row_groups() {
            let mut whole: Vec<Whole> = Vec::with_capacity(WHOLE);
            for name in wanted.whole {
                match self.column(group, name)? {
                    ColumnReader::Int64ColumnReader(column) => whole.push(column),
                    _ => return Err(self.other_type(name)),
                }
            }
            let mut small: Vec<Small> = Vec::with_capacity(SMALL);
            for name in wanted.small {
                match self.column(group, name)? {
                    ColumnReader::Int32ColumnReader(column) => small.push(column),
                    _ => return Err(self.other_type(name)),
                }
            }
            let mut left = usize::try_from(self.reader.metadata().row_group(group).num_rows()).unwrap_or(0);
            while left > 0 {
                let rows = left.min(ROWS);
                for (column, into) in whole.iter_mut().zip(&mut whole_rows) {
                    into.clear();
                    column.read_records(rows, None, None, into).map_err(damaged)?;
                }
                for (column, into) in small.iter_mut().zip(&mut small_rows) {
                    into.clear();
                    column.read_records(rows, None, None, into).map_err(damaged)?;
                }
                let is_full = whole_rows.iter().all(|c| c.len() == rows) && small_rows.iter().all(|c| c.len() == rows);
                if !is_full {
                    let what = "a column has fewer rows than the others".to_owned();
                    return Err(ReportError::Damaged { path: self.path.clone(), what });
                }
                show(&whole_rows, &small_rows);
                left -= rows;
            }
        }
        Ok(())
    }

    fn column(&self, group: usize, name: &str) -> Result<ColumnReader, ReportError> {
        let damaged = |what: String| ReportError::Damaged { path: self.path.clone(), what };
        let described = self.reader.metadata().file_metadata().schema_descr();
        let at = described.columns().iter().position(|column| column.name() == name);
        let at = at.ok_or_else(|| damaged(format!("it has no column {name}")))?;
        if described.column(at).max_def_level() > 0 {
            return Err(damaged(format!("{name} may be empty")));
        }
        let rows = self.reader.get_row_group(group).map_err(|e| damaged(e.to_string()))?;
        rows.get_column_reader(at).map_err(|e| damaged(e.to_string()))
    }

    fn other_type(&self, name: &str) -> ReportError {
        ReportError::Damaged { path: self.path.clone(), what: format!("{name} is not of its type") }
    }
}
