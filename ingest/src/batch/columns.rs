//! A batch as bytes: three Arrow IPC streams (lz4), each with its length in front.
//!
//! `[u32 length][stream]` for positions, detectors and signals, in this order, lengths little-endian, length 0
//! for an empty table. A stream of [`BARE_ROWS`] rows or more is a whole Arrow stream with its schema, so that other
//! tools can read it. Of a smaller one the schema would be most: it is left out, and the highest bit of the length says
//! so. Such a table always has the columns that are written today; if those ever change, it needs another mark. A whole
//! stream of positions leaves the edge's columns out when no row has one.
//! Upstream: [`crate::spool`] when it appends. Downstream: the spool's reader.

use std::io::Read;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, Float32Array, Float64Array, Int64Array, PrimitiveArray, RecordBatch, StringArray,
    UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MetadataVersion};
use arrow_schema::ArrowError;
use events::{Journey, SignalState};

use super::{Batch, Detectors, Positions, Signals};

/// Why bytes are not a batch. A block that passed its checksum and gives this was written by another version.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("the block ends inside of its {table} table")]
    Short { table: &'static str },
    #[error("the {table} table is not readable as Arrow: {cause}")]
    Arrow { table: &'static str, cause: ArrowError },
    #[error("the {table} table has no column `{column}` of the type that is expected")]
    Column { table: &'static str, column: &'static str },
    #[error("the signals table holds the state {0}, which is none of 0 (red), 1 (yellow), 2 (green)")]
    State(u8),
}

/// Appends the batch to `out`.
///
/// # Errors
/// [`BatchError::Arrow`] if Arrow refuses, which needs columns of unequal length.
pub fn encode(batch: &Batch, out: &mut Vec<u8>) -> Result<(), BatchError> {
    table(POSITIONS, (!batch.positions.is_empty()).then(|| positions(&batch.positions)), out)?;
    table(DETECTORS, (!batch.detectors.is_empty()).then(|| detectors(&batch.detectors)), out)?;
    table(SIGNALS, (!batch.signals.is_empty()).then(|| signals(&batch.signals)), out)
}

/// Reads a batch.
///
/// # Errors
/// See [`BatchError`].
pub fn decode(mut bytes: &[u8]) -> Result<Batch, BatchError> {
    let mut batch = Batch::default();
    for rows in read_table(POSITIONS, &mut bytes)? {
        read_positions(&Rows { table: POSITIONS, rows: &rows }, &mut batch.positions)?;
    }
    for rows in read_table(DETECTORS, &mut bytes)? {
        read_detectors(&Rows { table: DETECTORS, rows: &rows }, &mut batch.detectors)?;
    }
    for rows in read_table(SIGNALS, &mut bytes)? {
        read_signals(&Rows { table: SIGNALS, rows: &rows }, &mut batch.signals)?;
    }
    Ok(batch)
}

/// Rows from which a table carries its schema.
const BARE_ROWS: usize = 512;

/// In a length: the stream begins behind its schema.
const BARE: u32 = 1 << 31;

const POSITIONS: &str = "positions";
const DETECTORS: &str = "detectors";
const SIGNALS: &str = "signals";

type Columns = Vec<(&'static str, ArrayRef, bool)>;

fn positions(p: &Positions) -> Columns {
    let mut columns: Columns = vec![
        ("vehicle", Arc::new(UInt64Array::from(p.vehicle.clone())), false),
        ("seq", Arc::new(UInt64Array::from(p.seq.clone())), true),
        ("time_ms", Arc::new(Int64Array::from(p.time_ms.clone())), false),
        ("lon_deg", Arc::new(Float64Array::from(p.lon_deg.clone())), false),
        ("lat_deg", Arc::new(Float64Array::from(p.lat_deg.clone())), false),
        ("speed_mps", Arc::new(Float32Array::from(p.speed_mps.clone())), true),
        ("heading_deg", Arc::new(Float32Array::from(p.heading_deg.clone())), true),
        ("received_ms", Arc::new(Int64Array::from(p.received_ms.clone())), false),
    ];
    if p.len() < BARE_ROWS || p.edge.iter().any(Option::is_some) {
        let edge_id: StringArray = p.edge.iter().map(|edge| edge.as_ref().map(|(id, _)| id.as_str())).collect();
        let edge_pos_m: Float64Array = p.edge.iter().map(|edge| edge.as_ref().map(|(_, pos_m)| *pos_m)).collect();
        // Where a stream without its schema has them.
        columns.insert(EDGE_AT, ("edge_id", Arc::new(edge_id), true));
        columns.insert(EDGE_AT + 1, ("edge_pos_m", Arc::new(edge_pos_m), true));
    }
    if p.journey.iter().any(Option::is_some) {
        columns.extend(journeys(p));
    }
    columns
}

/// The columns that a table of positions has besides when a bus is among them.
fn journeys(p: &Positions) -> Columns {
    let column = |of: fn(&Journey) -> &str| {
        let texts = p.journey.iter().map(|journey| journey.as_deref().map(of));
        Arc::new(texts.collect::<StringArray>()) as ArrayRef
    };
    vec![
        ("route", column(|journey| &journey.route), true),
        ("direction", column(|journey| &journey.direction), true),
        ("next_stop", column(|journey| &journey.next_stop), true),
    ]
}

/// Columns of positions before those of the edge.
const EDGE_AT: usize = 7;

fn detectors(d: &Detectors) -> Columns {
    vec![
        ("source", Arc::new(StringArray::from_iter_values(&d.source)), false),
        ("seq", Arc::new(UInt64Array::from(d.seq.clone())), true),
        ("start_ms", Arc::new(Int64Array::from(d.start_ms.clone())), false),
        ("end_ms", Arc::new(Int64Array::from(d.end_ms.clone())), false),
        ("lon_deg", Arc::new(Float64Array::from(d.lon_deg.clone())), true),
        ("lat_deg", Arc::new(Float64Array::from(d.lat_deg.clone())), true),
        ("count", Arc::new(UInt32Array::from(d.count.clone())), true),
        ("occupancy", Arc::new(Float32Array::from(d.occupancy.clone())), true),
        ("speed_mps", Arc::new(Float32Array::from(d.speed_mps.clone())), true),
        ("received_ms", Arc::new(Int64Array::from(d.received_ms.clone())), false),
    ]
}

fn signals(s: &Signals) -> Columns {
    let state = s.state.iter().map(|state| match state {
        SignalState::Red => 0,
        SignalState::Yellow => 1,
        SignalState::Green => 2,
    });
    vec![
        ("source", Arc::new(StringArray::from_iter_values(&s.source)), false),
        ("seq", Arc::new(UInt64Array::from(s.seq.clone())), true),
        ("time_ms", Arc::new(Int64Array::from(s.time_ms.clone())), false),
        ("phase", Arc::new(UInt16Array::from(s.phase.clone())), false),
        ("state", Arc::new(UInt8Array::from_iter_values(state)), false),
        ("received_ms", Arc::new(Int64Array::from(s.received_ms.clone())), false),
    ]
}

fn table(table: &'static str, columns: Option<Columns>, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let arrow = |cause| BatchError::Arrow { table, cause };
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut mark = 0;
    if let Some(columns) = columns {
        let rows = RecordBatch::try_from_iter_with_nullable(columns).map_err(arrow)?;
        let mut writer =
            StreamWriter::try_new_with_options(&mut *out, &rows.schema(), options().map_err(arrow)?).map_err(arrow)?;
        let behind_schema = writer.get_ref().len();
        writer.write(&rows).and_then(|()| writer.finish()).map_err(arrow)?;
        drop(writer);
        // A reader of a bare table takes it to have the columns that every one has.
        if rows.num_rows() < BARE_ROWS && rows.column_by_name("route").is_none() {
            out.drain(start + 4..behind_schema);
            mark = BARE;
        }
    }
    let length = u32::try_from(out.len() - start - 4).expect("a block closes at 1 MiB of payload, far below 2 GiB");
    out[start..start + 4].copy_from_slice(&(length | mark).to_le_bytes());
    Ok(())
}

fn options() -> Result<IpcWriteOptions, ArrowError> {
    // Buffers are aligned to 8 bytes, not Arrow's usual 64: a block of five rows is mostly padding otherwise.
    IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?.try_with_compression(Some(CompressionType::LZ4_FRAME))
}

/// The beginning of a stream of such a table, as a reader needs it.
fn schema(columns: Columns) -> Result<Vec<u8>, ArrowError> {
    let rows = RecordBatch::try_from_iter_with_nullable(columns)?;
    let writer = StreamWriter::try_new_with_options(Vec::new(), &rows.schema(), options()?)?;
    Ok(writer.get_ref().clone())
}

fn read_table(table: &'static str, bytes: &mut &[u8]) -> Result<Vec<RecordBatch>, BatchError> {
    let arrow = |cause| BatchError::Arrow { table, cause };
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(BatchError::Short { table })?;
    let length = u32::from_le_bytes(*length);
    let (stream, rest) = rest.split_at_checked((length & !BARE) as usize).ok_or(BatchError::Short { table })?;
    *bytes = rest;
    if stream.is_empty() {
        return Ok(Vec::new());
    }
    if length & BARE == 0 {
        return StreamReader::try_new(stream, None).map_err(arrow)?.collect::<Result<_, _>>().map_err(arrow);
    }
    let columns = match table {
        POSITIONS => positions(&Positions::default()),
        DETECTORS => detectors(&Detectors::default()),
        _ => signals(&Signals::default()),
    };
    let schema = schema(columns).map_err(arrow)?;
    StreamReader::try_new(schema.chain(stream), None).map_err(arrow)?.collect::<Result<_, _>>().map_err(arrow)
}

fn read_positions(rows: &Rows<'_>, out: &mut Positions) -> Result<(), BatchError> {
    out.vehicle.extend_from_slice(rows.numbers::<UInt64Type>("vehicle")?.values());
    out.seq.extend(rows.numbers::<UInt64Type>("seq")?);
    out.time_ms.extend_from_slice(rows.numbers::<Int64Type>("time_ms")?.values());
    out.lon_deg.extend_from_slice(rows.numbers::<Float64Type>("lon_deg")?.values());
    out.lat_deg.extend_from_slice(rows.numbers::<Float64Type>("lat_deg")?.values());
    out.speed_mps.extend(rows.numbers::<Float32Type>("speed_mps")?);
    out.heading_deg.extend(rows.numbers::<Float32Type>("heading_deg")?);
    if rows.rows.column_by_name("edge_id").is_some() {
        let pos_m = rows.numbers::<Float64Type>("edge_pos_m")?;
        out.edge.extend(rows.texts("edge_id")?.iter().zip(pos_m).map(|(id, pos_m)| Some((id?.to_owned(), pos_m?))));
    } else {
        out.edge.resize(out.edge.len() + rows.rows.num_rows(), None);
    }
    out.received_ms.extend_from_slice(rows.numbers::<Int64Type>("received_ms")?.values());
    if rows.rows.column_by_name("route").is_none() {
        // No bus among them, or a block from before there were journeys.
        out.journey.resize(out.time_ms.len(), None);
        return Ok(());
    }
    let texts = rows.texts("route")?.iter().zip(rows.texts("direction")?).zip(rows.texts("next_stop")?);
    out.journey.extend(texts.map(|((route, direction), next_stop)| {
        let text = |said: Option<&str>| said.unwrap_or_default().to_owned();
        route.map(|route| {
            Box::new(Journey { route: route.to_owned(), direction: text(direction), next_stop: text(next_stop) })
        })
    }));
    Ok(())
}

fn read_detectors(rows: &Rows<'_>, out: &mut Detectors) -> Result<(), BatchError> {
    out.source.extend(rows.texts("source")?.iter().flatten().map(str::to_owned));
    out.seq.extend(rows.numbers::<UInt64Type>("seq")?);
    out.start_ms.extend_from_slice(rows.numbers::<Int64Type>("start_ms")?.values());
    out.end_ms.extend_from_slice(rows.numbers::<Int64Type>("end_ms")?.values());
    out.lon_deg.extend(rows.numbers::<Float64Type>("lon_deg")?);
    out.lat_deg.extend(rows.numbers::<Float64Type>("lat_deg")?);
    out.count.extend(rows.numbers::<UInt32Type>("count")?);
    out.occupancy.extend(rows.numbers::<Float32Type>("occupancy")?);
    out.speed_mps.extend(rows.numbers::<Float32Type>("speed_mps")?);
    out.received_ms.extend_from_slice(rows.numbers::<Int64Type>("received_ms")?.values());
    Ok(())
}

fn read_signals(rows: &Rows<'_>, out: &mut Signals) -> Result<(), BatchError> {
    out.source.extend(rows.texts("source")?.iter().flatten().map(str::to_owned));
    out.seq.extend(rows.numbers::<UInt64Type>("seq")?);
    out.time_ms.extend_from_slice(rows.numbers::<Int64Type>("time_ms")?.values());
    out.phase.extend_from_slice(rows.numbers::<UInt16Type>("phase")?.values());
    for state in rows.numbers::<UInt8Type>("state")?.values() {
        out.state.push(match state {
            0 => SignalState::Red,
            1 => SignalState::Yellow,
            2 => SignalState::Green,
            other => return Err(BatchError::State(*other)),
        });
    }
    out.received_ms.extend_from_slice(rows.numbers::<Int64Type>("received_ms")?.values());
    Ok(())
}

/// A table whose columns are looked up by name and type.
struct Rows<'a> {
    table: &'static str,
    rows: &'a RecordBatch,
}

impl Rows<'_> {
    fn numbers<T: ArrowPrimitiveType>(&self, column: &'static str) -> Result<&PrimitiveArray<T>, BatchError> {
        let found = self.rows.column_by_name(column).and_then(|array| array.as_primitive_opt::<T>());
        found.ok_or(BatchError::Column { table: self.table, column })
    }

    fn texts(&self, column: &'static str) -> Result<&StringArray, BatchError> {
        let found = self.rows.column_by_name(column).and_then(|array| array.as_string_opt::<i32>());
        found.ok_or(BatchError::Column { table: self.table, column })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Batch {
        Batch {
            positions: Positions {
                vehicle: vec![1, u64::MAX],
                seq: vec![Some(5), None],
                time_ms: vec![1_000, 2_000],
                lon_deg: vec![11.5, -180.0],
                lat_deg: vec![44.5, 90.0],
                speed_mps: vec![None, Some(13.9)],
                heading_deg: vec![Some(359.5), None],
                edge: vec![Some(("Straße ü".to_owned(), 1.25)), None],
                journey: vec![None; 2],
                received_ms: vec![1_500, 2_500],
            },
            detectors: Detectors {
                source: vec!["loop-1".to_owned()],
                seq: vec![None],
                start_ms: vec![0],
                end_ms: vec![60_000],
                lon_deg: vec![None],
                lat_deg: vec![None],
                count: vec![Some(7)],
                occupancy: vec![Some(0.25)],
                speed_mps: vec![None],
                received_ms: vec![60_100],
            },
            signals: Signals {
                source: vec!["j1".to_owned(); 3],
                seq: vec![Some(0), Some(1), None],
                time_ms: vec![1, 2, 3],
                phase: vec![2, 4, u16::MAX],
                state: vec![SignalState::Red, SignalState::Yellow, SignalState::Green],
                received_ms: vec![4, 5, 6],
            },
        }
    }

    fn with_a_bus(mut batch: Batch) -> Batch {
        batch.positions.journey[1] = Journey::new("550".into(), String::new(), "H1234".into()).unwrap();
        batch
    }

    #[test]
    fn batches_round_trip_also_with_empty_tables() {
        let full = sample();
        for batch in [
            full.clone(),
            Batch::default(),
            Batch { positions: Positions::default(), ..full.clone() },
            with_a_bus(full.clone()),
            Batch { detectors: Detectors::default(), signals: Signals::default(), ..full.clone() },
        ] {
            let mut bytes = vec![0xEE];
            encode(&batch, &mut bytes).unwrap();
            assert_eq!(decode(&bytes[1..]).unwrap(), batch);
        }
        let mut cleared = full;
        cleared.clear();
        assert!(cleared.is_empty());
    }

    #[test]
    fn large_tables_carry_their_schema_and_small_ones_are_small() {
        let mut batch = Batch::default();
        let mut sizes = Vec::new();
        for rows in [10, BARE_ROWS - 1, BARE_ROWS] {
            while batch.positions.len() < rows {
                let mut more = sample();
                more.positions.truncate(1);
                batch.positions.append(&mut more.positions);
            }
            let mut bytes = Vec::new();
            let mut plain = batch.clone();
            plain.positions.edge.fill(None);
            encode(&plain, &mut bytes).unwrap();
            assert_eq!(decode(&bytes).unwrap(), plain, "without edges");
            bytes.clear();
            encode(&batch, &mut bytes).unwrap();
            assert_eq!(decode(&bytes).unwrap(), batch);
            let first = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            assert_eq!(first & BARE == 0, rows >= BARE_ROWS);
            // A reader that knows nothing of us takes the stream as it is.
            let alone =
                StreamReader::try_new(&bytes[4..], None).map(|reader| reader.map(|b| b.unwrap().num_rows()).sum());
            assert_eq!(alone.ok(), (rows >= BARE_ROWS).then_some(rows));
            sizes.push(bytes.len());
        }
        assert!(sizes[0] < 1_200, "{sizes:?}");
    }

    #[test]
    fn cut_or_foreign_bytes_are_errors() {
        let mut bytes = Vec::new();
        encode(&sample(), &mut bytes).unwrap();
        for cut in [0, 3, 40, bytes.len() - 1] {
            assert!(matches!(decode(&bytes[..cut]), Err(BatchError::Short { .. })), "cut at {cut}");
        }
        assert!(matches!(decode(&[4, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0]), Err(BatchError::Arrow { .. })));
    }
}
