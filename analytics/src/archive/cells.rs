//! The columns of cells in history, and their file.
//!
//! Upstream: minutes that are closed. Downstream: Parquet, reports.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `segment` | INT64 | the stable id, its 64 bits as a signed number; `segments` has it in hexadecimal |
//! | `start_utc` | TIMESTAMP(ms), UTC without a zone | begin of the minute, or of the five |
//! | `distance_mm` | INT64 | driven by all vehicles, whole millimetres |
//! | `time_ms` | INT64 | spent by all vehicles, whole milliseconds |
//! | `delay_ms` | INT64 | max(0, `time_ms` − `distance_mm` · 1000 / `free_flow_mmps`, rounded) of every clock minute, summed |
//! | `reports` | INT32 | position reports |
//! | `vehicle_minutes` | INT32 | distinct vehicles of every clock minute, summed: an upper bound of the vehicles |
//! | `minutes` | INT32 | clock minutes with at least one vehicle |
//! | `free_flow_mmps` | INT32 | the free-flow speed that delay was held against, mm/s |
//!
//! All but the last add up, over time and over segments.

use std::io::Write;

use parquet::errors::ParquetError;

use super::frame::{self, Column, Frame, Stage};
use super::table::Table;

/// Rows of one file, by column; all columns have one length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    pub segment: Vec<i64>,
    pub start_ms: Vec<i64>,
    pub distance_mm: Vec<i64>,
    pub time_ms: Vec<i64>,
    pub delay_ms: Vec<i64>,
    pub reports: Vec<i32>,
    pub vehicle_minutes: Vec<i32>,
    pub minutes: Vec<i32>,
    pub free_flow_mmps: Vec<i32>,
}

impl Cells {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.segment.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.segment.is_empty()
    }

    /// Puts the rows of another behind these.
    pub(crate) fn append(&mut self, other: &Self) {
        self.segment.extend_from_slice(&other.segment);
        self.start_ms.extend_from_slice(&other.start_ms);
        self.distance_mm.extend_from_slice(&other.distance_mm);
        self.time_ms.extend_from_slice(&other.time_ms);
        self.delay_ms.extend_from_slice(&other.delay_ms);
        self.reports.extend_from_slice(&other.reports);
        self.vehicle_minutes.extend_from_slice(&other.vehicle_minutes);
        self.minutes.extend_from_slice(&other.minutes);
        self.free_flow_mmps.extend_from_slice(&other.free_flow_mmps);
    }

    /// At least so many distinct vehicles in a row: a mean over minutes is at most its largest.
    pub fn vehicles_min(&self, row: usize) -> i32 {
        let minutes = self.minutes[row].max(1);
        (self.vehicle_minutes[row] + minutes - 1) / minutes
    }
}

impl From<Cells> for Frame {
    fn from(cells: Cells) -> Self {
        Self::new(vec![
            Column::Int(cells.segment),
            Column::Time(cells.start_ms),
            Column::Int(cells.distance_mm),
            Column::Int(cells.time_ms),
            Column::Int(cells.delay_ms),
            Column::Small(cells.reports),
            Column::Small(cells.vehicle_minutes),
            Column::Small(cells.minutes),
            Column::Small(cells.free_flow_mmps),
        ])
    }
}

/// Writes one Parquet file. The rows should stand by segment, then time: who reads one segment then reads one row group.
///
/// # Errors
/// Those of `out`, and columns of different lengths.
pub fn write(out: impl Write + Send, cells: &Cells) -> Result<(), ParquetError> {
    frame::write(out, Table::Cells5Min, cells.clone().into(), Stage::Settled).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, TimestampMillisecondType};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    fn three() -> Cells {
        Cells {
            segment: vec![-7, -7, 3],
            start_ms: vec![60_000, 120_000, 60_000],
            distance_mm: vec![1_000, 2_000, 3_000],
            time_ms: vec![100, 200, 300],
            delay_ms: vec![0, 5, 7],
            reports: vec![1, 2, 3],
            vehicle_minutes: vec![1, 1, 2],
            minutes: vec![1; 3],
            free_flow_mmps: vec![13_889; 3],
        }
    }

    #[test]
    fn what_was_written_is_read_again() -> Result<(), Box<dyn std::error::Error>> {
        let mut file = Vec::new();
        write(&mut file, &three())?;
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(file))?.build()?;
        let batch = reader.next().ok_or("a batch")??;
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().values().to_vec(), three().segment);
        assert_eq!(batch.column(1).as_primitive::<TimestampMillisecondType>().values().to_vec(), three().start_ms);
        assert_eq!(batch.column(4).as_primitive::<Int64Type>().values().to_vec(), three().delay_ms);
        Ok(())
    }

    #[test]
    fn columns_of_different_lengths_are_refused() {
        let uneven = Cells { reports: vec![1], ..three() };
        assert!(write(Vec::new(), &uneven).is_err());
    }
}
