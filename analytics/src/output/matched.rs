//! Driven paths and placed positions as files.
//!
//! Upstream: [`crate::matching::drive`]. Downstream: engineers, benchmarks.
//!
//! Traversals: `id, segment, source_id, enter_ms, leave_ms, distance_m, confidence`. Positions: `id, time_ms,
//! segment, source_id, offset_m, distance_m, confidence, no_match`; where the last is a reason, the five before it
//! are empty. Rows of one vehicle are in time order; those of different vehicles mix.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use roads::{Network, SegmentIndex};
use rustc_hash::FxHashMap;

use super::{OutputError, quoted};
use crate::matching::drive::{Row, Traversed, Wanted};

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 256 * 1024;

/// A file of matched rows that is being written.
pub struct Matched {
    shown: String,
    file: BufWriter<File>,
    line: Vec<u8>,
    /// By segment: its id and its source id as they stand in a row.
    names: Vec<Box<[u8]>>,
    vehicles: Vec<Box<str>>,
    by_name: FxHashMap<Box<str>, u64>,
    rows: u64,
}

impl Matched {
    /// Creates the file; its name says the format.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub fn create(path: &Path, network: Arc<Network>, wanted: Wanted) -> Result<Self, OutputError> {
        let shown = path.display().to_string();
        match path.extension().and_then(|e| e.to_str()) {
            Some("csv") => {}
            Some(_) | None => return Err(OutputError::UnknownFormat { path: shown }),
        }
        let file = File::create(path).map_err(|source| OutputError::Io { path: shown.clone(), source })?;
        let name = |i: SegmentIndex| {
            let segment = network.segment(i);
            format!(",{},{},", segment.id, quoted(&segment.source_id)).into_bytes().into_boxed_slice()
        };
        let mut matched = Self {
            shown,
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            line: Vec::with_capacity(256),
            names: network.indices().map(name).collect(),
            vehicles: Vec::new(),
            by_name: FxHashMap::default(),
            rows: 0,
        };
        let header: &[u8] = match wanted {
            Wanted::Traversals => b"id,segment,source_id,enter_ms,leave_ms,distance_m,confidence\n",
            Wanted::Fixes => b"id,time_ms,segment,source_id,offset_m,distance_m,confidence,no_match\n",
        };
        matched.put(header)?;
        Ok(matched)
    }

    /// The number that stands for a vehicle's name.
    pub fn vehicle(&mut self, name: &str) -> u64 {
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        let number = self.vehicles.len() as u64;
        self.vehicles.push(quoted(name).into());
        self.by_name.insert(name.into(), number);
        number
    }

    /// Writes one row.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub fn write(&mut self, row: &Row) -> Result<(), OutputError> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        match row {
            Row::Fix { vehicle, time_ms, place } => {
                line.extend_from_slice(self.vehicles[*vehicle as usize].as_bytes());
                line.push(b',');
                whole(&mut line, *time_ms);
                match place {
                    Ok(p) => {
                        line.extend_from_slice(&self.names[p.segment.at()]);
                        decimal(&mut line, p.offset_m, 2);
                        line.push(b',');
                        decimal(&mut line, p.distance_m, 2);
                        line.push(b',');
                        decimal(&mut line, f64::from(p.confidence), 3);
                        line.push(b',');
                    }
                    Err(reason) => {
                        line.extend_from_slice(b",,,,,,");
                        line.extend_from_slice(reason.name().as_bytes());
                    }
                }
            }
            Row::Traversal(t) => self.traversal(&mut line, t),
            Row::End { .. } => {}
        }
        let written = if line.is_empty() {
            Ok(())
        } else {
            line.push(b'\n');
            self.rows += 1;
            self.put(&line)
        };
        self.line = line;
        written
    }

    /// Writes what is still held, and gives the number of rows.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub fn finish(mut self) -> Result<u64, OutputError> {
        self.file.flush().map_err(|source| OutputError::Io { path: self.shown.clone(), source })?;
        Ok(self.rows)
    }

    fn traversal(&self, line: &mut Vec<u8>, t: &Traversed) {
        line.extend_from_slice(self.vehicles[t.vehicle as usize].as_bytes());
        line.extend_from_slice(&self.names[t.segment.at()]);
        whole(line, t.enter_ms);
        line.push(b',');
        whole(line, t.leave_ms);
        line.push(b',');
        decimal(line, t.distance_m, 2);
        line.push(b',');
        decimal(line, f64::from(t.confidence), 3);
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.file.write_all(bytes).map_err(|source| OutputError::Io { path: self.shown.clone(), source })
    }
}

/// A whole number; half of a run was spent in `write!` before this.
fn whole(line: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        line.push(b'-');
    }
    line.extend_from_slice(&digits[at..]);
}

/// A number with so many decimals, at most 3.
fn decimal(line: &mut Vec<u8>, number: f64, decimals: u32) {
    let scale = 10_i64.pow(decimals);
    let scaled = (number * scale as f64).round() as i64;
    if scaled < 0 {
        line.push(b'-');
    }
    let scaled = scaled.unsigned_abs() as i64;
    whole(line, scaled / scale);
    line.push(b'.');
    let part = scaled % scale;
    for d in (0..decimals).rev() {
        line.push(b'0' + (part / 10_i64.pow(d) % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_rust_writes_them() {
        for n in [0, 7, -7, 1_700_000_000_123, i64::MIN, i64::MAX] {
            let mut line = Vec::new();
            whole(&mut line, n);
            assert_eq!(line, n.to_string().as_bytes());
        }
        for n in [0.0, 0.005_1, 1.0, 12.345, -3.25, 499.999] {
            let mut line = Vec::new();
            decimal(&mut line, n, 2);
            assert_eq!(String::from_utf8(line).unwrap(), format!("{n:.2}"));
        }
    }
}
