//! Rows of a table in memory, by column; [`file`] writes them as Parquet.
//!
//! Upstream: [`super::collect`], files of history. Downstream: [`super::store`], [`super::merge`].

mod file;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMillisecondArray,
};
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use super::table::Columns;
pub use file::{Stage, Writer, write};

/// Rows that are put together at a time on their way to a file: so few stay in a core's own cache, and their memory is had
/// again and again without asking the kernel.
pub(super) const WRITE_ROWS: usize = 8_192;

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

    /// The values of an array of that kind; `None` when it is of another. Nothing is copied of an array that nobody
    /// else has.
    fn of(kind: Kind, array: ArrayRef) -> Option<Self> {
        if !matches!(kind, Kind::MaybeInt | Kind::MaybeSmall | Kind::MaybeFloat) && array.null_count() > 0 {
            return None;
        }
        Some(match kind {
            Kind::Int => Self::Int(values_of::<Int64Type>(array)?),
            Kind::Small => Self::Small(values_of::<Int32Type>(array)?),
            Kind::Time => Self::Time(values_of::<TimestampMillisecondType>(array)?),
            Kind::Real => Self::Real(values_of::<Float64Type>(array)?),
            Kind::Text => Self::Text(array.as_string_opt::<i32>()?.iter().flatten().map(str::to_owned).collect()),
            Kind::Flag => Self::Flag(array.as_boolean_opt()?.iter().flatten().collect()),
            Kind::MaybeInt => Self::MaybeInt(array.as_primitive_opt::<Int64Type>()?.iter().collect()),
            Kind::MaybeSmall => Self::MaybeSmall(array.as_primitive_opt::<Int32Type>()?.iter().collect()),
            Kind::MaybeFloat => Self::MaybeFloat(array.as_primitive_opt::<Float32Type>()?.iter().collect()),
        })
    }
}

fn values_of<T: ArrowPrimitiveType>(array: ArrayRef) -> Option<Vec<T::Native>> {
    let values = array.as_primitive_opt::<T>()?.values().clone();
    drop(array);
    Some(values.into())
}

impl Frame {
    /// No rows of a table.
    pub fn empty(columns: Columns) -> Self {
        Self { columns: columns.iter().map(|(_, kind)| Column::empty(*kind)).collect() }
    }

    /// The same with room for so many.
    pub fn with_room(columns: Columns, rows: usize) -> Self {
        let mut empty = Self::empty(columns);
        empty.columns.iter_mut().for_each(|column| each!(column, v => v.reserve(rows)));
        empty
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

    /// The places of the rows by their first columns, equal ones as they stand; `None` where they stand so already.
    pub fn order(&self, keys: usize) -> Option<Vec<usize>> {
        if (1..self.len()).all(|row| self.compare(row - 1, self, row, keys).is_le()) {
            return None;
        }
        Some(match &self.columns[..] {
            // Minutes follow each other, so the order of segments is all that is missing.
            [Column::Int(first), Column::Time(second), ..] if keys == 2 && second.is_sorted() => by_counting(first),
            _ => {
                let mut rows: Vec<usize> = (0..self.len()).collect();
                rows.sort_by(|a, b| self.compare(*a, self, *b, keys));
                rows
            }
        })
    }

    /// The rows by their first columns; equal ones as they stand.
    #[must_use]
    pub fn sorted(self, keys: usize) -> Self {
        match self.order(keys) {
            Some(rows) => self.pick(&rows),
            None => self,
        }
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
    pub fn of(columns: Columns, batch: RecordBatch) -> Option<Self> {
        let places = columns.iter().map(|(name, _)| batch.schema_ref().index_of(name).ok());
        let places = places.collect::<Option<Vec<usize>>>()?;
        let mut arrays: Vec<Option<ArrayRef>> = batch.columns().iter().cloned().map(Some).collect();
        drop(batch);
        let column = |(at, (_, kind)): (usize, &(&str, Kind))| Column::of(*kind, arrays[at].take()?);
        Some(Self { columns: places.into_iter().zip(columns).map(column).collect::<Option<_>>()? })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_ordered_as_a_stable_sort_orders_them(
            rows in prop::collection::vec((-4_i64..4, 0_i64..5), 0..60),
            is_in_time in any::<bool>(),
        ) {
            let mut rows = rows;
            if is_in_time {
                rows.sort_by_key(|row| row.1);
            }
            // The last column says where a row stood.
            let numbered: Vec<(i64, i64, i32)> = rows.iter().zip(0..).map(|(row, at)| (row.0, row.1, at)).collect();
            let frame = |rows: &[(i64, i64, i32)]| Frame::new(vec![
                Column::Int(rows.iter().map(|row| row.0).collect()),
                Column::Time(rows.iter().map(|row| row.1).collect()),
                Column::Small(rows.iter().map(|row| row.2).collect()),
            ]);
            let mut expected = numbered.clone();
            expected.sort_by_key(|row| (row.0, row.1));
            let found = frame(&numbered);
            prop_assert_eq!(found.order(2).is_none(), expected == numbered);
            prop_assert_eq!(found.sorted(2), frame(&expected));
        }
    }
}
