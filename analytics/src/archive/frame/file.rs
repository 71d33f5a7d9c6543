//! Rows as a Parquet file.
//!
//! Upstream: [`super::Frame`]. Downstream: the archive's folder.

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{Column, Frame, Kind};
use crate::archive::table::{Columns, Table};

/// Rows of a row group: small enough that one segment of a day is found in one or two of them.
const GROUP_ROWS: usize = 115_000;

/// Rows of a page: who reads one segment of a day reads a few thousand rows and not twenty thousand.
const PAGE_ROWS: usize = 2_880;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// For an hour or so: cheap to write.
    Fresh,
    /// For weeks: with statistics of every page.
    Hour,
    /// For years: the same, and small.
    Settled,
}

/// A Parquet file that is being written, row after row in their order.
pub struct Writer<W: Write + Send> {
    schema: Arc<Schema>,
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> Writer<W> {
    /// A file of a table.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, columns: Columns, stage: Stage) -> Result<Self, ParquetError> {
        let schema = schema(columns);
        let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties(columns, stage)?))?;
        Ok(Self { schema, writer })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// Those of the file, and columns of different lengths.
    pub fn write(&mut self, rows: Frame) -> Result<(), ParquetError> {
        let arrays = rows.columns.into_iter().map(Column::array).collect();
        self.writer.write(&RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }

    /// Ends the file and gives it back.
    ///
    /// # Errors
    /// Those of the file.
    pub fn end(self) -> Result<W, ParquetError> {
        self.writer.into_inner()
    }
}

/// Writes one file.
///
/// # Errors
/// Those of `out`, and columns of different lengths.
pub fn write<W: Write + Send>(out: W, table: Table, rows: Frame, stage: Stage) -> Result<W, ParquetError> {
    let mut writer = Writer::new(out, table.columns(), stage)?;
    writer.write(rows)?;
    writer.end()
}

fn schema(columns: Columns) -> Arc<Schema> {
    let field = |(name, kind): &(&str, Kind)| {
        let (of, is_nullable) = match kind {
            Kind::Int => (DataType::Int64, false),
            Kind::Small => (DataType::Int32, false),
            Kind::Time => (DataType::Timestamp(TimeUnit::Millisecond, None), false),
            Kind::Real => (DataType::Float64, false),
            Kind::Text => (DataType::Utf8, false),
            Kind::Flag => (DataType::Boolean, false),
            Kind::MaybeInt => (DataType::Int64, true),
            Kind::MaybeSmall => (DataType::Int32, true),
            Kind::MaybeFloat => (DataType::Float32, true),
        };
        Field::new(*name, of, is_nullable)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn properties(columns: Columns, stage: Stage) -> Result<WriterProperties, ParquetError> {
    let (compression, statistics, page_rows) = match stage {
        Stage::Fresh => (Compression::SNAPPY, EnabledStatistics::Chunk, GROUP_ROWS),
        Stage::Hour => (Compression::ZSTD(ZstdLevel::try_new(1)?), EnabledStatistics::Page, PAGE_ROWS),
        Stage::Settled => (Compression::ZSTD(ZstdLevel::try_new(3)?), EnabledStatistics::Page, PAGE_ROWS),
    };
    let mut properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(page_rows)
        .set_statistics_enabled(statistics);
    for (name, kind) in columns {
        let path = ColumnPath::from(*name);
        let is_whole = matches!(kind, Kind::Int | Kind::Time | Kind::MaybeInt);
        let is_small = matches!(kind, Kind::Small | Kind::MaybeSmall);
        // Neighbouring rows are of one segment and follow each other in time, so whole numbers differ by little. Small
        // ones repeat: a dictionary makes them smaller, and takes longer than is worth it for some weeks.
        if is_whole || (is_small && stage != Stage::Settled) {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED);
        }
        if stage == Stage::Fresh && (is_whole || is_small) {
            properties = properties.set_column_compression(path.clone(), Compression::UNCOMPRESSED);
            if *name != columns[0].0 {
                properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
            }
        }
    }
    Ok(properties.build())
}
