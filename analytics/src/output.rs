//! Cells as files: CSV and Parquet, the same columns and the same order, so that two runs can be compared byte
//! by byte.
//!
//! Upstream: [`crate::pane`]. Downstream: engineers, tests, the API.
//!
//! | column | meaning |
//! |---|---|
//! | `segment` | stable id, 16 hexadecimal digits |
//! | `source_id` | OSM way or SUMO edge |
//! | `pane_start_ms` | beginning of the 10 s pane, milliseconds since 1970 |
//! | `distance_m` | metres driven by all vehicles |
//! | `time_s` | seconds spent by all vehicles |
//! | `vehicles` | distinct vehicles |
//! | `events` | position reports |

pub mod matched;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use roads::Network;

use crate::pane::CellRow;

/// Why cells could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("cannot write {path}: {source}; check the folder, its permissions and the free space")]
    Io { path: String, source: io::Error },
    #[error("cannot write {path} as Parquet: {source}")]
    Parquet { path: String, source: ParquetError },
    #[error("{path} ends neither in .csv nor in .parquet; name the output by the format that you want")]
    UnknownFormat { path: String },
    #[error("{path} ends neither in .csv nor in .parquet nor in .geojson; name the output by the format that you want")]
    UnknownMatchedFormat { path: String },
}

/// Writes cells in the format that the file's name asks for.
///
/// # Errors
/// See [`OutputError`].
pub fn write(path: &Path, network: &Network, rows: &[CellRow]) -> Result<(), OutputError> {
    let shown = path.display().to_string();
    let io = |source| OutputError::Io { path: shown.clone(), source };
    match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => {
            let mut out = io::BufWriter::new(File::create(path).map_err(io)?);
            write_csv(&mut out, network, rows).and_then(|()| out.flush()).map_err(io)
        }
        Some("parquet") => {
            let file = File::create(path).map_err(io)?;
            write_parquet(file, network, rows).map_err(|source| OutputError::Parquet { path: shown.clone(), source })
        }
        Some(_) | None => Err(OutputError::UnknownFormat { path: shown }),
    }
}

/// Writes cells as CSV with a header.
///
/// # Errors
/// Those of `out`.
pub fn write_csv(out: &mut impl Write, network: &Network, rows: &[CellRow]) -> io::Result<()> {
    out.write_all(b"segment,source_id,pane_start_ms,distance_m,time_s,vehicles,events\n")?;
    for r in rows {
        let segment = network.segment(r.segment);
        let source_id = quoted(&segment.source_id);
        write!(out, "{},{source_id},{},", segment.id, r.pane_ms)?;
        write!(out, "{},{},", Thousandths(r.distance_mm), Thousandths(r.time_ms))?;
        writeln!(out, "{},{}", r.vehicles, r.events)?;
    }
    Ok(())
}

fn write_parquet(file: File, network: &Network, rows: &[CellRow]) -> Result<(), ParquetError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("segment", DataType::Utf8, false),
        Field::new("source_id", DataType::Utf8, false),
        Field::new("pane_start_ms", DataType::Int64, false),
        Field::new("distance_m", DataType::Float64, false),
        Field::new("time_s", DataType::Float64, false),
        Field::new("vehicles", DataType::UInt32, false),
        Field::new("events", DataType::Int64, false),
    ]));
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
    for part in rows.chunks(100_000) {
        let segment = |r: &CellRow| network.segment(r.segment);
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(StringArray::from_iter_values(part.iter().map(|r| segment(r).id.to_string()))),
                Arc::new(StringArray::from_iter_values(part.iter().map(|r| segment(r).source_id.as_str()))),
                Arc::new(Int64Array::from_iter_values(part.iter().map(|r| r.pane_ms))),
                Arc::new(Float64Array::from_iter_values(part.iter().map(|r| r.distance_mm as f64 / 1_000.0))),
                Arc::new(Float64Array::from_iter_values(part.iter().map(|r| r.time_ms as f64 / 1_000.0))),
                Arc::new(UInt32Array::from_iter_values(part.iter().map(|r| r.vehicles as u32))),
                Arc::new(Int64Array::from_iter_values(part.iter().map(|r| r.events))),
            ],
        )?;
        writer.write(&batch)?;
    }
    writer.close().map(|_| ())
}

/// A whole number of thousandths, written exactly with three decimals.
struct Thousandths(i64);

impl std::fmt::Display for Thousandths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:03}", self.0.unsigned_abs() / 1_000, self.0.unsigned_abs() % 1_000)
    }
}

/// A text as CSV wants it: in quotes when it holds a comma, a quote or a line break.
fn quoted(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_written_exactly() {
        let shown = [0, 5, 1_000, 123_456, -7].map(|n| Thousandths(n).to_string());
        assert_eq!(shown, ["0.000", "0.005", "1.000", "123.456", "-0.007"]);
        assert_eq!(quoted("a\"b,c"), "\"a\"\"b,c\"");
        assert_eq!(quoted("b56[1][0]"), "b56[1][0]");
    }
}
