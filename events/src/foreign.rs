//! The formats of others, each an adapter at the edge: HSL HFP dumps, CSV with a column map, SUMO FCD.
//!
//! Upstream: a file that somebody else opened. Downstream: `analyze` (records straight to cells) and `replay`
//! (records back onto MQTT). Live messages take the same adapters through [`crate::codec::decode`].
//!
//! In reading order: [`compressed`] (gzip, zstd or neither), `lines` (bounded lines), then one file a format.
//! A record that cannot be read is given back with its line and reason, and reading goes on; a file that is
//! of another format, or ends in the middle, is an error, and reading stops.

use std::fmt::Write;
use std::io::{self, BufRead};

use crate::event::Event;
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::topic::{NAME_BYTES_MAX, is_name};

pub mod compressed;
pub mod csv;
pub mod hfp;
mod lines;
pub mod sumo_fcd;

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
    /// Lines of `receive-time topic payload`, as recorders of HSL's MQTT feed write them.
    Hfp,
    /// SUMO's floating-car data (`--fcd-output` with `--fcd-output.geo`), XML.
    SumoFcd,
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

/// The records of a file, in its order. Memory is bounded by the longest line or tag that is read, 1 MiB.
/// After an error the iterator is over.
pub fn read(
    format: &Format,
    input: Box<dyn BufRead + Send>,
) -> Box<dyn Iterator<Item = Result<Record, ReadError>> + Send> {
    match format {
        Format::Csv(map) => Box::new(csv::Rows::new(map.clone(), input)),
        Format::Hfp => Box::new(hfp::Dump::new(input)),
        Format::SumoFcd => Box::new(sumo_fcd::Vehicles::new(input)),
    }
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
