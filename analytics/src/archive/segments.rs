//! What a segment is: the table that gives names, classes and lengths to the ids of cells.
//!
//! Upstream: the network. Downstream: reports, whoever joins it to cells. One file a city,
//! `segments/city=C/segments.parquet`; segments of maps before this one stay in it, since history speaks of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use roads::{Network, SegmentIndex};

use super::error::ArchiveError;
use super::frame::{Column, Frame, Kind, Stage, Writer};
use super::store::Archive;
use super::table::{Columns, escaped};

/// Its columns. The first is the id as cells have it, the second as people write it.
pub const COLUMNS: Columns = &[
    ("segment", Kind::Int),
    ("id", Kind::Text),
    ("name", Kind::Text),
    ("class", Kind::Text),
    ("length_m", Kind::Real),
    ("free_flow_mmps", Kind::Small),
    ("source_id", Kind::Text),
    ("from_lon_deg", Kind::Real),
    ("from_lat_deg", Kind::Real),
    ("to_lon_deg", Kind::Real),
    ("to_lat_deg", Kind::Real),
];

/// Its place below an archive's root.
pub fn path(root: &Path, city: &str) -> PathBuf {
    root.join(format!("segments/city={}/segments.parquet", escaped(city)))
}

/// Writes the segments of a network.
///
/// # Errors
/// Those of `out`.
pub fn write<W: Write + Send>(out: W, network: &Network) -> Result<W, ParquetError> {
    write_rows(out, rows(network))
}

/// The segments that an archive knows; `None` when it has none.
///
/// # Errors
/// [`ArchiveError`] when the file cannot be read.
pub fn read(root: &Path, city: &str) -> Result<Option<Frame>, ArchiveError> {
    let path = path(root, city);
    if !path.exists() {
        return Ok(None);
    }
    let file = fs::File::open(&path).map_err(|cause| ArchiveError::io("open", &path, cause))?;
    let failed = |cause| ArchiveError::parquet(&path, cause);
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    let mut all = Frame::empty(COLUMNS);
    for batch in reader.build().map_err(failed)? {
        let batch = batch.map_err(|cause| failed(ParquetError::from(cause)))?;
        let columns = || ArchiveError::Columns { path: path.clone(), table: "segments" };
        all.append(Frame::of(COLUMNS, batch).ok_or_else(columns)?);
    }
    Ok(Some(all))
}

impl Archive {
    /// Puts the segments of a network into the table; whether anything was new.
    ///
    /// # Errors
    /// [`ArchiveError`]: the table is as it was then, or as it should be.
    pub fn put_segments(&mut self, city: &str, network: &Network) -> Result<bool, ArchiveError> {
        let (ours, before) = (rows(network), read(self.root(), city)?);
        let mut by_id: BTreeMap<i64, (&Frame, usize)> = BTreeMap::new();
        for frame in before.iter().chain([&ours]) {
            by_id.extend(frame.ints(0).iter().enumerate().map(|(row, id)| (*id, (frame, row))));
        }
        let mut all = Frame::empty(COLUMNS);
        by_id.into_values().for_each(|(frame, row)| all.push(frame, row));
        if before.as_ref() == Some(&all) {
            return Ok(false);
        }
        let path = path(self.root(), city);
        let aside = path.with_extension("part");
        let file = self.disk.create(&aside)?;
        let file = write_rows(file, all).map_err(|cause| ArchiveError::parquet(&aside, cause))?;
        self.disk.place(&file, &aside, &path)?;
        Ok(true)
    }
}

fn rows(network: &Network) -> Frame {
    let segments = network.segments();
    let end = |at: SegmentIndex, offset_m: f64| network.place(at, offset_m);
    let ends: Vec<[f64; 4]> = network
        .indices()
        .map(|at| {
            let (from, to) = (end(at, 0.0), end(at, network.segment(at).length_m));
            [from.lon_deg(), from.lat_deg(), to.lon_deg(), to.lat_deg()]
        })
        .collect();
    let text = |of: &dyn Fn(&roads::Segment) -> String| Column::Text(segments.iter().map(of).collect());
    let real = |at: usize| Column::Real(ends.iter().map(|end| end[at]).collect());
    let free = |s: &roads::Segment| ((f64::from(s.free_flow_mps()) * 1_000.0).round() as i32).max(1);
    let rows = Frame::new(vec![
        Column::Int(segments.iter().map(|s| s.id.0 as i64).collect()),
        text(&|s| s.id.to_string()),
        text(&|s| s.name.clone().unwrap_or_default()),
        text(&|s| s.class.name().to_owned()),
        Column::Real(segments.iter().map(|s| s.length_m).collect()),
        Column::Small(segments.iter().map(free).collect()),
        text(&|s| s.source_id.clone()),
        real(0),
        real(1),
        real(2),
        real(3),
    ]);
    rows.sorted(1)
}

fn write_rows<W: Write + Send>(out: W, rows: Frame) -> Result<W, ParquetError> {
    let mut writer = Writer::new(out, COLUMNS, Stage::Settled)?;
    writer.write(rows)?;
    writer.end()
}
