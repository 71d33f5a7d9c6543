//! The formats of others, each an adapter at the edge. What each accepts and refuses, and the counts of it on real
//! recordings, stands in `docs/formats.md`.
//!
//! Upstream: a file that somebody else opened. Downstream: `analyze` (records straight to cells) and `replay`
//! (records back onto MQTT). Live messages take the same adapters through [`by_topic`].
//!
//! In reading order: [`compressed`] (gzip, zstd or neither), `lines` (bounded lines), `xml` (rows in a root element),
//! [`zone`] (wall clocks), then one file a format: [`csv`], [`loops`], [`hfp`], [`gtfs_rt`], [`ngsi_ld`], [`sumo_fcd`],
//! `sumo_e1`, [`atspm`]; at last [`by_topic`], which chooses among them for live messages.
//! A record that cannot be read is given back with its line and reason, and reading goes on; a file that is
//! of another format, or ends in the middle, is an error, and reading stops.

use std::fmt::Write;
use std::io::{self, BufRead, Read};

use crate::codec::Fate;
use crate::event::Event;
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::topic::{NAME_BYTES_MAX, is_name};

pub mod atspm;
pub mod by_topic;
pub mod compressed;
pub mod csv;
pub mod gtfs_rt;
pub mod hfp;
mod lines;
pub mod loops;
pub mod ngsi_ld;
mod sumo_e1;
pub mod sumo_fcd;
mod xml;
pub mod zone;

/// Largest file of a format that cannot be read as a stream (GTFS-Realtime, NGSI-LD, Parquet), bytes, unpacked.
pub(crate) const WHOLE_BYTES_MAX: u64 = 256 << 20;

/// One thing found in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A recorded MQTT message, not decoded yet; `received` is when the recorder got it.
    Message { topic: String, payload: Vec<u8>, received: Option<TimeMs> },
    /// An observation.
    Event(Event),
    /// Something that is not one.
    Unreadable {
        /// Counted from 1, in the unpacked file.
        line: u64,
        reject: Reject,
        /// The bytes; of a line over 1 MiB the first 4 KiB.
        raw: Vec<u8>,
    },
}

/// What a file is written in.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Comma-, semicolon- or tab-separated values with a header row.
    Csv(csv::ColumnMap),
    /// Comma-, semicolon- or tab-separated values of loop detectors, with a header row.
    Loops(loops::LoopMap),
    /// Lines of `receive-time topic payload`, as recorders of HSL's MQTT feed write them.
    Hfp,
    /// One feed of vehicle positions in GTFS-Realtime, protobuf.
    GtfsRt,
    /// Entities of FIWARE's TrafficFlowObserved or Vehicle, JSON.
    NgsiLd,
    /// SUMO's floating-car data (`--fcd-output` with `--fcd-output.geo`), XML.
    SumoFcd,
    /// SUMO's induction loops, XML.
    SumoE1,
    /// High-resolution events of signal controllers, Parquet or XML.
    Atspm(atspm::AtspmMap),
}

/// Why a format's name, or the map that goes with it, cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FormatError {
    #[error("`{name}` is no format: {}", Format::NAMES.join(", "))]
    Unknown { name: String },
    #[error("{name} needs a map of its columns, such as {example}")]
    NeedsMap { name: &'static str, example: &'static str },
    #[error("{name} takes no map")]
    NoMap { name: &'static str },
    #[error(transparent)]
    Columns(#[from] csv::MapError),
    #[error(transparent)]
    Loops(#[from] loops::LoopMapError),
    #[error("{0}")]
    Atspm(String),
}

impl Format {
    /// The names of all formats.
    pub const NAMES: [&'static str; 9] =
        ["csv", "loops", "pems", "hfp", "gtfs-rt", "ngsi-ld", "sumo-fcd", "sumo-e1", "atspm"];

    /// A format by its name, with its map where it takes one.
    ///
    /// # Errors
    /// A sentence that names what is allowed.
    pub fn parse(name: &str, map: Option<&str>) -> Result<Self, FormatError> {
        let plain = |name: &'static str, format: Self| match map {
            None => Ok(format),
            Some(_) => Err(FormatError::NoMap { name }),
        };
        let mapped = |name, example| map.ok_or(FormatError::NeedsMap { name, example });
        Ok(match name {
            "csv" => {
                let example = "id=vehicle_id,time=timestamp,lon=longitude,lat=latitude,speed=speed:kmh";
                Self::Csv(csv::ColumnMap::parse(mapped("csv", example)?)?)
            }
            "loops" => {
                let example = "id=station,start=time,interval=300,count=flow,occupancy=occ:percent,speed=v:mph";
                Self::Loops(loops::LoopMap::parse(mapped("loops", example)?)?)
            }
            "pems" => Self::Loops(loops::LoopMap::pems(mapped("pems", "id==402365")?)?),
            "hfp" => plain("hfp", Self::Hfp)?,
            "gtfs-rt" => plain("gtfs-rt", Self::GtfsRt)?,
            "ngsi-ld" => plain("ngsi-ld", Self::NgsiLd)?,
            "sumo-fcd" => plain("sumo-fcd", Self::SumoFcd)?,
            "sumo-e1" => plain("sumo-e1", Self::SumoE1)?,
            "atspm" => Self::Atspm(atspm::AtspmMap::parse(map.unwrap_or_default()).map_err(FormatError::Atspm)?),
            _ => return Err(FormatError::Unknown { name: name.to_owned() }),
        })
    }
}

/// Why reading stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("reading failed after line {line}: {source}")]
    Io {
        line: u64,
        #[source]
        source: io::Error,
    },
    #[error("line {line}: this is not {expected}; found {found}")]
    NotThisFormat { line: u64, found: String, expected: String },
    #[error(
        "the file ends in the middle, after line {line} (byte {byte}): {detail}; what was read until there is good"
    )]
    Truncated { line: u64, byte: u64, detail: String },
    #[error("line {line} (byte {byte}): {detail}")]
    Malformed { line: u64, byte: u64, detail: String },
}

/// The records of a file, in its order. Memory is bounded by the longest line or tag that is read, 1 MiB; of a format
/// that cannot be read as a stream by the whole file, 256 MiB.
/// After an error the iterator is over.
pub fn read(
    format: &Format,
    input: Box<dyn BufRead + Send>,
) -> Box<dyn Iterator<Item = Result<Record, ReadError>> + Send> {
    match format {
        Format::Csv(map) => Box::new(csv::Rows::new(map.clone(), input)),
        Format::Hfp => Box::new(hfp::Dump::new(input)),
        Format::SumoFcd => Box::new(sumo_fcd::Vehicles::new(input)),
        Format::SumoE1 => Box::new(sumo_e1::Intervals::new(input)),
        Format::Loops(map) => Box::new(loops::Rows::new(map.clone(), input)),
        Format::Atspm(map) => Box::new(atspm::Log::new(map.clone(), input)),
        Format::GtfsRt => whole(input, gtfs_rt::decode),
        Format::NgsiLd => whole(input, ngsi_ld::decode),
    }
}

/// The records of a file that is one message.
fn whole(
    input: Box<dyn BufRead + Send>,
    decode: fn(&[u8], &mut Vec<Fate>),
) -> Box<dyn Iterator<Item = Result<Record, ReadError>> + Send> {
    let mut bytes = Vec::new();
    if let Err(source) = input.take(WHOLE_BYTES_MAX + 1).read_to_end(&mut bytes) {
        return Box::new(std::iter::once(Err(failed(source, 0, bytes.len() as u64))));
    }
    if bytes.len() as u64 > WHOLE_BYTES_MAX {
        let detail = format!("the file is larger than {WHOLE_BYTES_MAX} bytes");
        return Box::new(std::iter::once(Err(ReadError::Malformed { line: 0, byte: WHOLE_BYTES_MAX, detail })));
    }
    let mut fates = Vec::new();
    decode(&bytes, &mut fates);
    Box::new(fates.into_iter().map(|fate| {
        Ok(match fate {
            Ok(event) => Record::Event(event),
            Err(no) => Record::Unreadable { line: 1, reject: no.reject, raw: no.payload },
        })
    }))
}

/// A foreign id as a source name. What a topic cannot hold (`/`, `+`, `#`, control characters, and `%` itself)
/// becomes `%XX` of its UTF-8 bytes, so that different ids stay different.
pub(crate) fn source_name(id: &str, field: &str) -> Result<String, Reject> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'/' | b'+' | b'#' | b'%');
    if (1..=NAME_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(is_plain) {
        return Ok(id.to_owned());
    }
    let mut name = String::with_capacity(id.len());
    for c in id.chars() {
        if c.is_control() || matches!(c, '/' | '+' | '#' | '%') {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                write!(name, "%{byte:02X}").expect("a String takes all that is written");
            }
        } else {
            name.push(c);
        }
    }
    if name.is_empty() {
        return Err(Reject::field(Reason::MissingField, field.to_owned(), "is empty".into()));
    }
    if !is_name(&name) {
        let detail = format!("`{}` is longer than {NAME_BYTES_MAX} bytes", excerpt(id.as_bytes()));
        return Err(Reject::field(Reason::UnreadableField, field.to_owned(), detail));
    }
    Ok(name)
}

/// The beginning of some bytes as an error message shows it, at most 120 characters, in one line.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(480)]);
    let mut text: String = shown.chars().take(120).map(|c| if c.is_control() { '·' } else { c }).collect();
    if bytes.len() > 480 || shown.chars().nth(120).is_some() {
        text.push('…');
    }
    text
}

/// A failed read: a compressed file that was cut off says so, anything else is the error as it came.
fn failed(source: io::Error, line: u64, byte: u64) -> ReadError {
    if source.kind() == io::ErrorKind::UnexpectedEof {
        return ReadError::Truncated { line, byte, detail: "the compressed data stops".into() };
    }
    ReadError::Io { line, source }
}

#[cfg(test)]
mod tests;
