//! One Parquet file that grows row by row, and takes its name when it is whole.
//!
//! Upstream: [`super::Record`]. Downstream: polars, DuckDB, Spark. Memory: at most [`ROWS_HELD`] rows and one row
//! group of [`ROW_GROUP_ROWS`], however long the run is.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::RecordError;

/// Rows that wait to become columns.
pub(super) const ROWS_HELD: usize = 32_768;

/// Rows of a row group: what is encoded and not yet on disk.
const ROW_GROUP_ROWS: usize = 8 * ROWS_HELD;

/// Name, type, whether it may be null.
pub(super) type Column = (&'static str, DataType, bool);

/// A table of rows of one kind; `K` is what the columns need beside the rows.
pub(super) struct Table<R> {
    path: PathBuf,
    unfinished: PathBuf,
    writer: ArrowWriter<BufWriter<File>>,
    schema: Arc<Schema>,
    held: Vec<R>,
    rows: u64,
    columns: fn(&super::Names, &[R]) -> Vec<ArrayRef>,
}

impl<R> Table<R> {
    /// Begins `path`, under another name until it is whole.
    pub(super) fn create(
        path: PathBuf,
        columns: &[Column],
        make: fn(&super::Names, &[R]) -> Vec<ArrayRef>,
    ) -> Result<Self, RecordError> {
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        let file =
            File::create(&unfinished).map_err(|source| RecordError::File { path: unfinished.clone(), source })?;
        let field = |(name, kind, nullable): &Column| Field::new(*name, kind.clone(), *nullable);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(BufWriter::new(file), Arc::clone(&schema), Some(properties))
            .map_err(|source| RecordError::Table { path: path.clone(), source })?;
        Ok(Self { path, unfinished, writer, schema, held: Vec::new(), rows: 0, columns: make })
    }

    pub(super) fn push(&mut self, names: &super::Names, row: R) -> Result<(), RecordError> {
        self.held.push(row);
        self.rows += 1;
        if self.held.len() >= ROWS_HELD { self.put(names) } else { Ok(()) }
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the rest, brings all to disk, and gives the file its name.
    pub(super) fn finish(mut self, names: &super::Names) -> Result<u64, RecordError> {
        self.put(names)?;
        let Self { path, unfinished, writer, rows, .. } = self;
        let buffered = writer.into_inner().map_err(|source| RecordError::Table { path: path.clone(), source })?;
        let on_disk = |file: BufWriter<File>| {
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            std::fs::rename(&unfinished, &path)
        };
        on_disk(buffered).map_err(|source| RecordError::File { path: path.clone(), source })?;
        Ok(rows)
    }

    fn put(&mut self, names: &super::Names) -> Result<(), RecordError> {
        if self.held.is_empty() {
            return Ok(());
        }
        let columns = (self.columns)(names, &self.held);
        self.held.clear();
        let table = |source: ParquetError| RecordError::Table { path: self.path.clone(), source };
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| table(e.into()))?;
        self.writer.write(&batch).map_err(table)
    }
}
