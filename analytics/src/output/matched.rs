//! Driven paths and placed positions as files.
//!
//! Upstream: [`crate::matching::drive`]. Downstream: engineers, benchmarks.
//!
//! Traversals: `id, segment, source_id, enter_ms, leave_ms, distance_m, confidence`. Positions: `id, time_ms,
//! segment, source_id, offset_m, distance_m, confidence, no_match`; where the last is a reason, the five before it
//! are empty. Rows of one vehicle are in time order; those of different vehicles mix. GeoJSON has a line for each unbroken
//! drive with `ended_by`, or a point for each position.
//!
//! - `csv`, `table` (Parquet), `geojson`: one format each

mod csv;
mod geojson;
mod table;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use roads::{Network, SegmentIndex};
use rustc_hash::FxHashMap;

use super::{OutputError, quoted};
use crate::matching::drive::{Row, Wanted};

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 256 * 1024;

/// A file of matched rows that is being written.
pub struct Matched {
    shown: String,
    format: Format,
    names: Names,
    /// The vehicle that was asked for last: rows of one often follow each other.
    last: u64,
    rows: u64,
}

enum Format {
    Csv(csv::Csv<BufWriter<File>>),
    Parquet(Box<table::Table>),
    GeoJson(geojson::GeoJson<BufWriter<File>>),
}

/// Vehicles by number and segments by index, as they are written.
#[derive(Default)]
struct Names {
    vehicles: Vec<Box<str>>,
    /// Where the name needs quotes in CSV.
    quoted: FxHashMap<u64, Box<str>>,
    numbers: FxHashMap<Box<str>, u64>,
    /// `,id,source id,` of each segment, one behind the other, and where each ends.
    segments: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    fn name(&self, vehicle: u64) -> &str {
        &self.vehicles[vehicle as usize]
    }

    fn in_csv(&self, vehicle: u64) -> &[u8] {
        if !self.quoted.is_empty()
            && let Some(quoted) = self.quoted.get(&vehicle)
        {
            return quoted.as_bytes();
        }
        self.name(vehicle).as_bytes()
    }
}

impl Names {
    /// Keeps what stands for each segment in a row of CSV.
    fn lay_segments(&mut self, network: &Network) {
        self.ends.reserve_exact(network.segments().len());
        for i in network.indices() {
            let segment = network.segment(i);
            write!(self.segments, ",{},{},", segment.id, quoted(&segment.source_id)).expect("memory takes all bytes");
            self.ends.push(self.segments.len());
        }
    }

    fn segment_in_csv(&self, segment: SegmentIndex) -> &[u8] {
        let begin = segment.at().checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.segments[begin..self.ends[segment.at()]]
    }
}

impl Matched {
    /// Creates the file; its name says the format.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub fn create(path: &Path, network: Arc<Network>, wanted: Wanted) -> Result<Self, OutputError> {
        let shown = path.display().to_string();
        let io = |source| OutputError::Io { path: shown.clone(), source };
        let extension = path.extension().and_then(|e| e.to_str());
        if !matches!(extension, Some("csv" | "parquet" | "geojson")) {
            return Err(OutputError::UnknownMatchedFormat { path: shown });
        }
        let file = File::create(path).map_err(io)?;
        let buffered = |file| BufWriter::with_capacity(BUFFER_BYTES, file);
        let mut names = Names::default();
        let format = match extension {
            Some("parquet") => {
                let table = table::Table::new(file, network, wanted);
                let parquet = |source| OutputError::Parquet { path: shown.clone(), source };
                Format::Parquet(Box::new(table.map_err(parquet)?))
            }
            Some("geojson") => Format::GeoJson(geojson::GeoJson::new(buffered(file), network).map_err(io)?),
            Some(_) | None => {
                names.lay_segments(&network);
                Format::Csv(csv::Csv::new(buffered(file), wanted).map_err(io)?)
            }
        };
        Ok(Self { shown, format, names, last: 0, rows: 0 })
    }

    /// The number that stands for a vehicle's name.
    pub fn vehicle(&mut self, name: &str) -> u64 {
        if self.names.vehicles.get(self.last as usize).is_some_and(|last| **last == *name) {
            return self.last;
        }
        self.last = self.number(name);
        self.last
    }

    fn number(&mut self, name: &str) -> u64 {
        if let Some(&number) = self.names.numbers.get(name) {
            return number;
        }
        let number = self.names.vehicles.len() as u64;
        if let std::borrow::Cow::Owned(quoted) = quoted(name) {
            self.names.quoted.insert(number, quoted.into());
        }
        self.names.vehicles.push(name.into());
        self.names.numbers.insert(name.into(), number);
        number
    }

    /// Writes one row.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub fn write(&mut self, row: &Row) -> Result<(), OutputError> {
        let io = |source| OutputError::Io { path: self.shown.clone(), source };
        let parquet = |source| OutputError::Parquet { path: self.shown.clone(), source };
        let written = match &mut self.format {
            Format::Csv(file) => file.write(&self.names, row).map_err(io)?,
            Format::Parquet(file) => file.write(&self.names, row).map_err(parquet)?,
            Format::GeoJson(file) => file.write(&self.names, row).map_err(io)?,
        };
        self.rows += u64::from(written);
        Ok(())
    }

    /// Writes what is still held, and gives the number of rows.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub fn finish(self) -> Result<u64, OutputError> {
        let io = |source| OutputError::Io { path: self.shown.clone(), source };
        match self.format {
            Format::Csv(file) => file.finish().map_err(io)?,
            Format::Parquet(file) => {
                file.finish(&self.names).map_err(|source| OutputError::Parquet { path: self.shown.clone(), source })?
            }
            Format::GeoJson(file) => file.finish().map_err(io)?,
        }
        Ok(self.rows)
    }
}
