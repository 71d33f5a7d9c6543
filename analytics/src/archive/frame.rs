//! Rows of a table in memory, by column, and as Parquet.
//!
//! Upstream: [`super::collect`], files of history. Downstream: [`super::store`], [`super::merge`].

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use super::table::{Columns, Table};

/// Rows of a row group: small enough that one segment of a day is found in one or two of them.
const GROUP_ROWS: usize = 115_000;

/// Rows of a page: who reads one segment of a day reads a few thousand rows and not twenty thousand.
const PAGE_ROWS: usize = 2_880;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Small,
    /// Milliseconds since 1970, UTC without a zone.
    Time,
    Real,
    Text,
    Flag,
    MaybeInt,
    MaybeSmall,
    MaybeFloat,
}

/// The values of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Column {
    Int(Vec<i64>),
    Small(Vec<i32>),
    Time(Vec<i64>),
    Real(Vec<f64>),
    Text(Vec<String>),
    Flag(Vec<bool>),
    MaybeInt(Vec<Option<i64>>),
    MaybeSmall(Vec<Option<i32>>),
    MaybeFloat(Vec<Option<f32>>),
}

/// Rows of one table; all columns have one length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    columns: Vec<Column>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// For an hour or so: cheap to write.
    Fresh,
    /// For months: small, and with statistics of every page.
    Settled,
}

/// The same for the vector of whatever kind.
macro_rules! each {
    ($column:expr, $values:ident => $body:expr) => {
        match $column {
            Column::Int($values) | Column::Time($values) => $body,
            Column::Small($values) => $body,
            Column::Real($values) => $body,
            Column::Text($values) => $body,
            Column::Flag($values) => $body,
            Column::MaybeInt($values) => $body,
            Column::MaybeSmall($values) => $body,
            Column::MaybeFloat($values) => $body,
        }
    };
}

/// Appends the values of one column to another of its kind.
macro_rules! both {
    ($into:expr, $from:expr, $a:ident, $b:ident => $body:expr) => {
        match ($into, $from) {
            (Column::Int($a), Column::Int($b)) | (Column::Time($a), Column::Time($b)) => $body,
            (Column::Small($a), Column::Small($b)) => $body,
            (Column::Real($a), Column::Real($b)) => $body,
            (Column::Text($a), Column::Text($b)) => $body,
            (Column::Flag($a), Column::Flag($b)) => $body,
            (Column::MaybeInt($a), Column::MaybeInt($b)) => $body,
            (Column::MaybeSmall($a), Column::MaybeSmall($b)) => $body,
            (Column::MaybeFloat($a), Column::MaybeFloat($b)) => $body,
            _ => unreachable!("frames of one table have columns of the same kinds"),
        }
    };
}

impl Column {
    fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Int => Self::Int(Vec::new()),
            Kind::Small => Self::Small(Vec::new()),
            Kind::Time => Self::Time(Vec::new()),
            Kind::Real => Self::Real(Vec::new()),
            Kind::Text => Self::Text(Vec::new()),
            Kind::Flag => Self::Flag(Vec::new()),
            Kind::MaybeInt => Self::MaybeInt(Vec::new()),
            Kind::MaybeSmall => Self::MaybeSmall(Vec::new()),
            Kind::MaybeFloat => Self::MaybeFloat(Vec::new()),
        }
    }

    fn array(self) -> ArrayRef {
        match self {
            Self::Int(v) => Arc::new(Int64Array::from(v)),
            Self::Small(v) => Arc::new(Int32Array::from(v)),
            Self::Time(v) => Arc::new(TimestampMillisecondArray::from(v)),
            Self::Real(v) => Arc::new(Float64Array::from(v)),
            Self::Text(v) => Arc::new(StringArray::from_iter_values(v)),
            Self::Flag(v) => Arc::new(BooleanArray::from(v)),
            Self::MaybeInt(v) => Arc::new(Int64Array::from(v)),
            Self::MaybeSmall(v) => Arc::new(Int32Array::from(v)),
            Self::MaybeFloat(v) => Arc::new(Float32Array::from(v)),
        }
    }

    /// The values of an array of that kind; `None` when it is of another.
    fn of(kind: Kind, array: &dyn Array) -> Option<Self> {
        if !matches!(kind, Kind::MaybeInt | Kind::MaybeSmall | Kind::MaybeFloat) && array.null_count() > 0 {
            return None;
        }
        Some(match kind {
            Kind::Int => Self::Int(array.as_primitive_opt::<Int64Type>()?.values().to_vec()),
            Kind::Small => Self::Small(array.as_primitive_opt::<Int32Type>()?.values().to_vec()),
            Kind::Time => Self::Time(array.as_primitive_opt::<TimestampMillisecondType>()?.values().to_vec()),
            Kind::Real => Self::Real(array.as_primitive_opt::<Float64Type>()?.values().to_vec()),
            Kind::Text => Self::Text(array.as_string_opt::<i32>()?.iter().flatten().map(str::to_owned).collect()),
            Kind::Flag => Self::Flag(array.as_boolean_opt()?.iter().flatten().collect()),
            Kind::MaybeInt => Self::MaybeInt(array.as_primitive_opt::<Int64Type>()?.iter().collect()),
            Kind::MaybeSmall => Self::MaybeSmall(array.as_primitive_opt::<Int32Type>()?.iter().collect()),
            Kind::MaybeFloat => Self::MaybeFloat(array.as_primitive_opt::<Float32Type>()?.iter().collect()),
        })
    }
}

impl Frame {
    /// No rows of a table.
    pub fn empty(columns: Columns) -> Self {
        Self { columns: columns.iter().map(|(_, kind)| Column::empty(*kind)).collect() }
    }

    /// Rows from columns in the order of their table.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |column| each!(column, v => v.len()))
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns, in the order of their table.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The same, to be taken apart or added to.
    pub fn columns_mut(&mut self) -> &mut [Column] {
        &mut self.columns
    }

    /// Values of a column of moments.
    ///
    /// # Panics
    /// When the column is of another kind.
    pub fn times(&self, column: usize) -> &[i64] {
        match &self.columns[column] {
            Column::Time(values) => values,
            other => panic!("column {column} has no moments: {other:?}"),
        }
    }

    /// Values of a column of whole numbers, of 64 bits.
    ///
    /// # Panics
    /// When the column is of another kind.
    pub fn ints(&self, column: usize) -> &[i64] {
        match &self.columns[column] {
            Column::Int(values) => values,
            other => panic!("column {column} has no whole numbers of 64 bits: {other:?}"),
        }
    }

    /// Values of a column of whole numbers, of 32 bits.
    ///
    /// # Panics
    /// When the column is of another kind.
    pub fn smalls(&self, column: usize) -> &[i32] {
        match &self.columns[column] {
            Column::Small(values) => values,
            other => panic!("column {column} has no whole numbers of 32 bits: {other:?}"),
        }
    }

    /// Values of a column of texts.
    ///
    /// # Panics
    /// When the column is of another kind.
    pub fn texts(&self, column: usize) -> &[String] {
        match &self.columns[column] {
            Column::Text(values) => values,
            other => panic!("column {column} has no texts: {other:?}"),
        }
    }

    /// Values of a column of real numbers.
    ///
    /// # Panics
    /// When the column is of another kind.
    pub fn reals(&self, column: usize) -> &[f64] {
        match &self.columns[column] {
            Column::Real(values) => values,
            other => panic!("column {column} has no real numbers: {other:?}"),
        }
    }

    /// Appends the rows of another frame of the same table.
    pub fn append(&mut self, other: Self) {
        for (into, mut from) in self.columns.iter_mut().zip(other.columns) {
            both!(into, &mut from, a, b => a.append(b));
        }
    }

    /// Appends one row of another frame of the same table.
    pub fn push(&mut self, from: &Self, row: usize) {
        for (into, from) in self.columns.iter_mut().zip(&from.columns) {
            both!(into, from, a, b => a.extend_from_slice(&b[row..=row]));
        }
    }

    /// Appends rows of another frame of the same table.
    pub fn extend(&mut self, from: &Self, rows: Range<usize>) {
        for (into, from) in self.columns.iter_mut().zip(&from.columns) {
            both!(into, from, a, b => a.extend_from_slice(&b[rows.clone()]));
        }
    }

    /// Some of the rows, in the order given.
    #[must_use]
    pub fn pick(&self, rows: &[usize]) -> Self {
        let picked = |from: &Column| match from {
            Column::Int(v) => Column::Int(rows.iter().map(|&row| v[row]).collect()),
            Column::Small(v) => Column::Small(rows.iter().map(|&row| v[row]).collect()),
            Column::Time(v) => Column::Time(rows.iter().map(|&row| v[row]).collect()),
            Column::Real(v) => Column::Real(rows.iter().map(|&row| v[row]).collect()),
            Column::Text(v) => Column::Text(rows.iter().map(|&row| v[row].clone()).collect()),
            Column::Flag(v) => Column::Flag(rows.iter().map(|&row| v[row]).collect()),
            Column::MaybeInt(v) => Column::MaybeInt(rows.iter().map(|&row| v[row]).collect()),
            Column::MaybeSmall(v) => Column::MaybeSmall(rows.iter().map(|&row| v[row]).collect()),
            Column::MaybeFloat(v) => Column::MaybeFloat(rows.iter().map(|&row| v[row]).collect()),
        };
        Self { columns: self.columns.iter().map(picked).collect() }
    }

    /// The rows by their first columns; equal ones as they stand.
    #[must_use]
    pub fn sorted(self, keys: usize) -> Self {
        if (1..self.len()).all(|row| self.compare(row - 1, &self, row, keys).is_le()) {
            return self;
        }
        let rows = match &self.columns[..] {
            // Minutes follow each other, so the order of segments is all that is missing.
            [Column::Int(first), Column::Time(second), ..] if keys == 2 && second.is_sorted() => by_counting(first),
            _ => {
                let mut rows: Vec<usize> = (0..self.len()).collect();
                rows.sort_by(|a, b| self.compare(*a, &self, *b, keys));
                rows
            }
        };
        self.pick(&rows)
    }

    /// The key of a row where it is a whole number and a moment.
    pub fn head(&self, row: usize, keys: usize) -> Option<(i64, i64)> {
        match &self.columns[..] {
            [Column::Int(first), Column::Time(second), ..] if keys == 2 => Some((first[row], second[row])),
            _ => None,
        }
    }

    /// Where the rows from one on end that come before a row of another frame, of equal ones those too if `with_equal`;
    /// the first one does.
    pub fn end_of_run(&self, from: usize, other: &Self, other_row: usize, keys: usize, with_equal: bool) -> usize {
        let length = match (&self.columns[..], other.head(other_row, keys)) {
            ([Column::Int(first), Column::Time(second), ..], Some(border)) => {
                let rest = first[from + 1..].iter().zip(&second[from + 1..]);
                rest.take_while(|(a, b)| (**a, **b) < border || with_equal && (**a, **b) == border).count()
            }
            _ => (from + 1..self.len())
                .take_while(|&row| {
                    let order = self.compare(row, other, other_row, keys);
                    order.is_lt() || order.is_eq() && with_equal
                })
                .count(),
        };
        from + 1 + length
    }

    /// Compares rows of two frames by their first columns.
    pub fn compare(&self, row: usize, other: &Self, other_row: usize, keys: usize) -> Ordering {
        for (a, b) in self.columns.iter().zip(&other.columns).take(keys) {
            let order = match (a, b) {
                (Column::Int(a), Column::Int(b)) | (Column::Time(a), Column::Time(b)) => a[row].cmp(&b[other_row]),
                (Column::Small(a), Column::Small(b)) => a[row].cmp(&b[other_row]),
                (Column::Text(a), Column::Text(b)) => a[row].cmp(&b[other_row]),
                _ => unreachable!("rows are ordered by whole numbers, moments and texts"),
            };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    /// Rows of a record batch of the table; `None` when it has other columns.
    pub fn of(columns: Columns, batch: &RecordBatch) -> Option<Self> {
        let column = |(name, kind): &(&str, Kind)| Column::of(*kind, batch.column_by_name(name)?);
        Some(Self { columns: columns.iter().map(column).collect::<Option<_>>()? })
    }
}

/// The places of rows by their key, equal ones as they stand. Keys are few and come again and again, so they alone are
/// sorted, and rows are counted: a tenth of the time of sorting rows.
fn by_counting(keys: &[i64]) -> Vec<usize> {
    let mut number_of: HashMap<i64, usize, FxBuildHasher> = HashMap::default();
    let mut found: Vec<(i64, usize)> = Vec::new();
    let number = |key: &i64| {
        let number = *number_of.entry(*key).or_insert_with(|| {
            found.push((*key, 0));
            found.len() - 1
        });
        found[number].1 += 1;
        number
    };
    let numbers: Vec<usize> = keys.iter().map(number).collect();
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_unstable_by_key(|number| found[*number].0);
    let mut next = vec![0; found.len()];
    let mut before = 0;
    for number in order {
        next[number] = before;
        before += found[number].1;
    }
    let mut rows = vec![0; keys.len()];
    for (row, number) in numbers.into_iter().enumerate() {
        rows[next[number]] = row;
        next[number] += 1;
    }
    rows
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
    let (compression, statistics) = match stage {
        Stage::Fresh => (Compression::SNAPPY, EnabledStatistics::Chunk),
        Stage::Settled => (Compression::ZSTD(ZstdLevel::try_new(3)?), EnabledStatistics::Page),
    };
    let mut properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(statistics);
    for (name, kind) in columns {
        let path = ColumnPath::from(*name);
        let is_whole = matches!(kind, Kind::Int | Kind::Time | Kind::MaybeInt);
        let is_small = matches!(kind, Kind::Small | Kind::MaybeSmall);
        // Neighbouring rows are of one segment and follow each other in time, so whole numbers differ by little. Small
        // ones repeat: a dictionary makes them smaller, and takes longer than is worth it for an hour.
        if is_whole || (is_small && stage == Stage::Fresh) {
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
