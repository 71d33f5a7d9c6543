//! Recordings that a person names: formats, column maps, opening and unpacking.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use events::foreign::csv::ColumnMap;
use events::foreign::{self, Format, ReadError, Record, compressed};
use events::{Event, codec};
use indicatif::ProgressBar;

use crate::network::Area;

/// What to read, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct InputArgs {
    /// Recordings; gzip and zstd are unpacked
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Format of the recordings: csv, loops, pems, hfp, gtfs-rt, ngsi-ld, sumo-fcd, sumo-e1, atspm (docs/formats.md)
    #[arg(long, value_parser = PossibleValuesParser::new(Format::NAMES))]
    pub(crate) format: String,
    /// For csv: which of their columns is which of ours, `id=track_id,time=time,lon=lon,lat=lat,speed=speed:kmh`,
    /// or a file with one such pair a line. For loops, pems and atspm: the map that docs/formats.md describes
    #[arg(long, value_name = "MAP|FILE")]
    pub(crate) columns: Option<String>,
}

impl InputArgs {
    /// The format with its column map.
    pub(crate) fn format(&self) -> anyhow::Result<Format> {
        match (self.format.as_str(), self.columns.as_deref()) {
            ("csv", Some(map)) if !map.contains('=') => column_map(Path::new(map)).map(Format::Csv),
            (name, map) => Format::parse(name, map).context("--columns"),
        }
    }

    /// Total size of the files, bytes, for the progress bar.
    pub(crate) fn bytes(&self) -> anyhow::Result<u64> {
        self.files.iter().map(|path| Ok(open(path)?.metadata().map_or(0, |m| m.len()))).sum()
    }

    /// The records of one file; `bar` moves with the bytes read.
    pub(crate) fn records(
        &self,
        path: &Path,
        bar: &ProgressBar,
    ) -> anyhow::Result<Box<dyn Iterator<Item = Result<Record, ReadError>> + Send>> {
        let counted: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(1 << 16, bar.wrap_read(open(path)?)));
        let unpacked = compressed::decompressed(counted).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(foreign::read(&self.format()?, unpacked))
    }
}

/// Where the positions of all files are: west, south, east, north, degrees.
pub(crate) fn extent(input: &InputArgs) -> anyhow::Result<Area> {
    let mut found: Option<Area> = None;
    let mut fates = Vec::new();
    for path in &input.files {
        for record in input.records(path, &ProgressBar::hidden())? {
            match record.with_context(|| format!("{}", path.display()))? {
                Record::Message { topic, payload, .. } => codec::decode(&topic, &payload, &mut fates),
                Record::Event(event) => fates.push(Ok(event)),
                Record::Unreadable { .. } => {}
            }
            for fate in fates.drain(..) {
                let Ok(Event::Position(p)) = fate else { continue };
                let (lon, lat) = (p.at.lon_deg(), p.at.lat_deg());
                let [w, s, e, n] = found.unwrap_or([lon, lat, lon, lat]);
                found = Some([w.min(lon), s.min(lat), e.max(lon), n.max(lat)]);
            }
        }
    }
    let [w, s, e, n] = found.context("there is no position in the recording")?;
    // A vehicle that never moved has no extent; a thousandth of a degree is a fifth of a cell.
    Ok([w - 0.001, s - 0.001, e + 0.001, n + 0.001])
}

fn open(path: &Path) -> anyhow::Result<File> {
    let file = File::open(path)
        .with_context(|| format!("cannot open {}; check the name and the permissions", path.display()))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        bail!("{} is a folder; name the files in it", path.display());
    }
    Ok(file)
}

fn column_map(path: &Path) -> anyhow::Result<ColumnMap> {
    let mut lines = String::new();
    open(path)?.read_to_string(&mut lines).with_context(|| format!("cannot read {}", path.display()))?;
    ColumnMap::parse_lines(&lines).context("--columns")
}
