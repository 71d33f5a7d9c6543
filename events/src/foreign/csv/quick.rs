//! Rows as nearly all are: no quotes, no spaces, plain decimals. Each byte is looked at once.
//!
//! Upstream: [`super::Rows`]. Downstream: positions. Whatever is not so plain is left to the parser in [`super`],
//! which alone refuses; so what is read here must be what it would have read, to the bit. A test holds the two
//! against each other.

use memchr::memchr2;

use super::plain::{Clock, Decimal};
use super::{ColumnMap, Header, TimeUnit, is_nothing};
use crate::event::Position;
use crate::foreign::source_name;
use crate::units::{HeadingDeg, LonLat, MetresPerSecond, SpeedUnit};

/// What a column of the file is for us.
#[derive(Clone, Copy)]
enum Column {
    Id,
    Time(Option<TimeUnit>),
    Lon,
    Lat,
    Speed(SpeedUnit),
    Heading,
    Seq,
    Unused,
}

/// Reads plain rows of one table.
pub(super) struct Quick {
    delimiter: u8,
    columns: Vec<Column>,
    clock: Clock,
    /// The id of the last row as the file has it, and the name made of it: rows of one vehicle often follow each
    /// other.
    id: Vec<u8>,
    source: String,
}

impl Quick {
    /// `None` when the column map uses a column twice.
    pub(super) fn new(map: &ColumnMap, header: &Header) -> Option<Self> {
        let mut columns = vec![Column::Unused; header.width];
        let optional = |at: Option<usize>, column| at.map(|at| (at, column));
        let wanted = [
            Some((header.id, Column::Id)),
            Some((header.time, Column::Time(map.time.1))),
            Some((header.lon, Column::Lon)),
            Some((header.lat, Column::Lat)),
            map.speed.as_ref().and_then(|(_, unit)| optional(header.speed, Column::Speed(*unit))),
            optional(header.heading, Column::Heading),
            optional(header.seq, Column::Seq),
        ];
        for (at, column) in wanted.into_iter().flatten() {
            if !matches!(std::mem::replace(&mut columns[at], column), Column::Unused) {
                return None;
            }
        }
        Some(Self {
            delimiter: header.delimiter,
            columns,
            clock: Clock::default(),
            id: Vec::new(),
            source: String::new(),
        })
    }

    /// The position of a plain row; `None` says nothing about the row but that it is not plain.
    pub(super) fn position(&mut self, line: &[u8]) -> Option<Position> {
        let Self { delimiter, columns, clock, id, source } = self;
        let (mut time, mut lon, mut lat) = (None, None, None);
        let (mut speed, mut heading, mut seq) = (None, None, None);
        let mut rest = line;
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                rest = rest.strip_prefix(&[*delimiter])?;
            }
            match column {
                Column::Id => rest = name(rest, *delimiter, id, source)?,
                Column::Unused => rest = field(rest, *delimiter)?.1,
                Column::Time(unit) => (time, rest) = clock.read(rest, *unit).map(|(time, rest)| (Some(time), rest))?,
                Column::Lon => (lon, rest) = number(rest, *delimiter)?,
                Column::Lat => (lat, rest) = number(rest, *delimiter)?,
                Column::Speed(unit) => {
                    let reading;
                    (reading, rest) = number(rest, *delimiter)?;
                    if let Some(reading) = reading {
                        speed = MetresPerSecond::reported(reading.value() * unit.mps()).ok()?;
                    }
                }
                Column::Heading => {
                    let reading;
                    (reading, rest) = number(rest, *delimiter)?;
                    if let Some(reading) = reading {
                        heading = Some(HeadingDeg::new(reading.value() as f32).ok()?);
                    }
                }
                Column::Seq => {
                    let reading;
                    (reading, rest) = number(rest, *delimiter)?;
                    seq = match reading {
                        Some(n) if n.decimals > 0 || n.is_negative => return None,
                        reading => reading.map(|n| n.digits),
                    };
                }
            }
        }
        if !rest.is_empty() {
            return None;
        }
        let at = LonLat::new(lon?.value(), lat?.value()).ok()?;
        Some(Position { source: source.clone(), seq, time: time?, at, speed, heading, edge: None, journey: None })
    }
}

/// Sees to it that `source` is the name made of the id at the beginning, and gives what follows the id.
fn name<'b>(rest: &'b [u8], delimiter: u8, id: &mut Vec<u8>, source: &mut String) -> Option<&'b [u8]> {
    if !id.is_empty() && rest.get(id.len()) == Some(&delimiter) && rest.starts_with(id) {
        return Some(&rest[id.len()..]);
    }
    let (found, after) = field(rest, delimiter)?;
    let text = std::str::from_utf8(found).ok().filter(|text| text.trim_ascii() == *text && !is_nothing(text))?;
    *source = source_name(text, "").ok()?;
    id.clear();
    id.extend_from_slice(found);
    Some(after)
}

/// A field without quotes, and what follows it.
fn field(rest: &[u8], delimiter: u8) -> Option<(&[u8], &[u8])> {
    let end = match memchr2(delimiter, b'"', rest) {
        Some(end) if rest[end] == b'"' => return None,
        Some(end) => end,
        None => rest.len(),
    };
    Some(rest.split_at(end))
}

/// A number, or an empty field.
fn number(rest: &[u8], delimiter: u8) -> Option<(Option<Decimal>, &[u8])> {
    if rest.first().is_none_or(|byte| *byte == delimiter) {
        return Some((None, rest));
    }
    Decimal::read(rest).map(|(number, after)| (Some(number), after))
}
