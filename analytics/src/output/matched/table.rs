//! Matched rows as Parquet: the columns of the CSV, in row groups of [`ROWS`].
//!
//! Upstream: [`super::Matched`]. Downstream: engineers.

use std::fs::File;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use roads::Network;

use super::Names;
use crate::matching::drive::{Placed, Row, Wanted};

/// Rows that are held before they are written.
const ROWS: usize = 100_000;

/// A Parquet file that is being written.
pub(super) struct Table {
    network: Arc<Network>,
    wanted: Wanted,
    writer: ArrowWriter<File>,
    schema: Arc<Schema>,
    held: Vec<Row>,
}

impl Table {
    pub(super) fn new(file: File, network: Arc<Network>, wanted: Wanted) -> Result<Self, ParquetError> {
        let placed = wanted == Wanted::Fixes;
        let field = |name: &str, kind| Field::new(name, kind, placed && name != "id" && name != "time_ms");
        let (text, whole, number) = (DataType::Utf8, DataType::Int64, DataType::Float64);
        let names = |list: Vec<(&str, DataType)>| list.into_iter().map(|(n, t)| field(n, t)).collect::<Vec<_>>();
        let fields = match wanted {
            Wanted::Traversals => names(vec![
                ("id", text.clone()),
                ("segment", text.clone()),
                ("source_id", text),
                ("enter_ms", whole.clone()),
                ("leave_ms", whole),
                ("distance_m", number),
                ("confidence", DataType::Float32),
            ]),
            Wanted::Fixes => names(vec![
                ("id", text.clone()),
                ("time_ms", whole),
                ("segment", text.clone()),
                ("source_id", text.clone()),
                ("offset_m", number.clone()),
                ("distance_m", number),
                ("confidence", DataType::Float32),
                ("no_match", text),
            ]),
        };
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
        Ok(Self { network, wanted, writer, schema, held: Vec::new() })
    }

    /// Takes one row; `true` if it is one in this format.
    pub(super) fn write(&mut self, names: &Names, row: &Row) -> Result<bool, ParquetError> {
        if matches!(row, Row::End { .. }) {
            return Ok(false);
        }
        self.held.push(*row);
        if self.held.len() == ROWS {
            self.put(names)?;
        }
        Ok(true)
    }

    pub(super) fn finish(mut self, names: &Names) -> Result<(), ParquetError> {
        self.put(names)?;
        self.writer.close().map(|_| ())
    }

    fn put(&mut self, names: &Names) -> Result<(), ParquetError> {
        let columns = match self.wanted {
            Wanted::Traversals => self.traversals(names),
            Wanted::Fixes => self.fixes(names),
        };
        self.held.clear();
        self.writer.write(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    fn traversals(&self, names: &Names) -> Vec<ArrayRef> {
        let rows: Vec<_> =
            self.held.iter().filter_map(|r| if let Row::Traversal(t) = r { Some(t) } else { None }).collect();
        let segment = |i| self.network.segment(i);
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|t| names.name(t.vehicle)))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|t| segment(t.segment).id.to_string()))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|t| segment(t.segment).source_id.as_str()))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|t| t.enter_ms))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|t| t.leave_ms))),
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|t| t.distance_m))),
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|t| t.confidence))),
        ]
    }

    fn fixes(&self, names: &Names) -> Vec<ArrayRef> {
        let rows: Vec<_> = self
            .held
            .iter()
            .filter_map(|r| {
                if let Row::Fix { vehicle, time_ms, place } = r { Some((*vehicle, *time_ms, place)) } else { None }
            })
            .collect();
        let placed = || rows.iter().map(|r| r.2.as_ref().ok());
        let segment = |p: &Placed| self.network.segment(p.segment);
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| names.name(r.0)))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1))),
            Arc::new(StringArray::from_iter(placed().map(|p| p.map(|p| segment(p).id.to_string())))),
            Arc::new(StringArray::from_iter(placed().map(|p| p.map(|p| segment(p).source_id.as_str())))),
            Arc::new(Float64Array::from_iter(placed().map(|p| p.map(|p| p.offset_m)))),
            Arc::new(Float64Array::from_iter(placed().map(|p| p.map(|p| p.distance_m)))),
            Arc::new(Float32Array::from_iter(placed().map(|p| p.map(|p| p.confidence)))),
            Arc::new(StringArray::from_iter(rows.iter().map(|r| r.2.as_ref().err().map(|why| why.name())))),
        ]
    }
}
