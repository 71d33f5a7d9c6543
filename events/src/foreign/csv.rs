//! Any table of positions with a header row: CSV, or with `;` or tabs in place of commas.
//!
//! Upstream: [`super::read`]. Downstream: positions. Which column is what, and in which unit, is said by a
//! [`ColumnMap`], never guessed: one published series went from mph to m/s between two of its files.
//!
//! A row is a line. A field in quotes may hold the delimiter, but no line end: otherwise one stray quote
//! would swallow the file. Each row that cannot be read is given back with its line, column and reason.

use std::io::BufRead;

use ::csv::{ByteRecord, ReaderBuilder};

use super::lines::{Line, Lines};
use super::{ReadError, Record, excerpt, source_name};
use crate::event::{Event, Position};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::units::{HeadingDeg, LonLat, MetresPerSecond};

mod column_map;
mod plain;
mod quick;

pub use column_map::{ColumnMap, MapError};
use quick::Quick;

/// How a column writes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeUnit {
    Seconds,
    Milliseconds,
    Rfc3339,
}

/// Reads a file row by row.
pub(crate) struct Rows {
    map: ColumnMap,
    lines: Lines,
    row: ByteRecord,
    table: Option<Table>,
    over: bool,
}

/// What is known once the header row was read.
struct Table {
    header: Header,
    quick: Option<Quick>,
}

/// What the header row settled: the delimiter, and where each column that we want is.
struct Header {
    delimiter: u8,
    width: usize,
    id: usize,
    time: usize,
    lon: usize,
    lat: usize,
    speed: Option<usize>,
    heading: Option<usize>,
    seq: Option<usize>,
}

impl Rows {
    pub(crate) fn new(map: ColumnMap, input: Box<dyn BufRead + Send>) -> Self {
        Self { map, lines: Lines::new(input), row: ByteRecord::new(), table: None, over: false }
    }

    #[inline]
    fn record(&mut self) -> Result<Option<Record>, ReadError> {
        let Table { header, quick } = match self.table {
            Some(ref mut table) => table,
            None => {
                let header = self.read_header()?;
                self.table.insert(Table { quick: Quick::new(&self.map, &header), header })
            }
        };
        let line = loop {
            match self.lines.read()? {
                None => return Ok(None),
                Some(Line::Whole) if self.lines.bytes().is_empty() => {}
                Some(line) => break line,
            }
        };
        let event = match line {
            Line::Whole => {
                let line = self.lines.bytes();
                if let Some(position) = quick.as_mut().and_then(|quick| quick.position(line)) {
                    return Ok(Some(Record::Event(Event::Position(position))));
                }
                split(line, header.delimiter, &mut self.row).and_then(|()| event(&self.map, header, &self.row))
            }
            Line::Overlong(reject) => Err(reject),
        };
        Ok(Some(event.map(Record::Event).unwrap_or_else(|reject| Record::Unreadable {
            line: self.lines.number(),
            reject,
            raw: self.lines.bytes().to_vec(),
        })))
    }

    fn read_header(&mut self) -> Result<Header, ReadError> {
        let not_this = |found: String, expected: String| ReadError::NotThisFormat { line: 1, found, expected };
        let expected = || "a table with a header row".to_owned();
        match self.lines.read()? {
            None => return Err(not_this("an empty file".into(), expected())),
            Some(Line::Overlong(reject)) => return Err(not_this(reject.detail, expected())),
            Some(Line::Whole) => {}
        }
        let line = self.lines.bytes();
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        let delimiter = delimiter_of(line);
        split(line, delimiter, &mut self.row).map_err(|reject| not_this(reject.detail, expected()))?;
        Header::find(&self.map, delimiter, &self.row)
            .map_err(|expected| not_this(format!("the columns {}", excerpt(line)), expected))
    }
}

impl Iterator for Rows {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let record = self.record().transpose();
        self.over = !matches!(record, Some(Ok(_)));
        record
    }
}

impl Header {
    /// Finds the columns by name; the error says what was looked for.
    fn find(map: &ColumnMap, delimiter: u8, names: &ByteRecord) -> Result<Self, String> {
        let index = |name: &str| {
            let mut found = names.iter().enumerate().filter(|(_, field)| field.trim_ascii() == name.as_bytes());
            match (found.next(), found.next()) {
                (Some((i, _)), None) => Ok(i),
                (None, _) => Err(format!("a table with a column `{name}`, which the column map names")),
                (Some(_), Some(_)) => Err(format!("a table with one column `{name}` (it is there twice)")),
            }
        };
        Ok(Self {
            delimiter,
            width: names.len(),
            id: index(&map.id)?,
            time: index(&map.time.0)?,
            lon: index(&map.lon)?,
            lat: index(&map.lat)?,
            speed: map.speed.as_ref().map(|(name, _)| index(name)).transpose()?,
            heading: map.heading.as_deref().map(index).transpose()?,
            seq: map.seq.as_deref().map(index).transpose()?,
        })
    }
}

/// The delimiter that a header row has most of.
pub(super) fn delimiter_of(line: &[u8]) -> u8 {
    let count = |byte: u8| line.iter().filter(|b| **b == byte).count();
    // The last of equals wins in `max_by_key`, so the comma stands last.
    [b'\t', b';', b','].into_iter().max_by_key(|byte| count(*byte)).unwrap_or(b',')
}

/// Splits a line into fields. Lines without a quote, nearly all, need no CSV parser.
pub(super) fn split(line: &[u8], delimiter: u8, row: &mut ByteRecord) -> Result<(), Reject> {
    row.clear();
    if !line.contains(&b'"') {
        line.split(|byte| *byte == delimiter).for_each(|field| row.push_field(field));
        return Ok(());
    }
    let mut parser = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(line.len())
        .from_reader(line);
    match parser.read_byte_record(row) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Reject::whole(Reason::Malformed, "an empty row")),
        Err(e) => Err(Reject::whole(Reason::Malformed, e.to_string())),
    }
}

fn event(map: &ColumnMap, header: &Header, row: &ByteRecord) -> Result<Event, Reject> {
    if row.len() != header.width {
        let detail = format!("{} fields, but the header has {}", row.len(), header.width);
        return Err(Reject::whole(Reason::Malformed, detail));
    }
    let id = field(row, header.id, &map.id)?.unwrap_or_default();
    let at = |i, name: &str| number(row, i, name)?.ok_or_else(|| refuse(Reason::NoPosition, name, "is empty".into()));
    let (lon, lat) = (at(header.lon, &map.lon)?, at(header.lat, &map.lat)?);
    let heading = match (header.heading, &map.heading) {
        (Some(i), Some(name)) => number(row, i, name)?
            .map(|deg| HeadingDeg::new(deg as f32).map_err(|reject| reject.named(name.clone())))
            .transpose()?,
        _ => None,
    };
    Ok(Event::Position(Position {
        source: source_name(id, &map.id)?,
        seq: seq(map, header, row)?,
        time: time(map, header, row)?,
        at: LonLat::new(lon, lat).map_err(|reject| {
            let is_lat = reject.field.as_deref() == Some("lat_deg");
            reject.named(if is_lat { &map.lat } else { &map.lon }.clone())
        })?,
        speed: speed(map, header, row)?,
        heading,
        edge: None,
        journey: None,
    }))
}

fn speed(map: &ColumnMap, header: &Header, row: &ByteRecord) -> Result<Option<MetresPerSecond>, Reject> {
    let (Some(i), Some((name, unit))) = (header.speed, &map.speed) else { return Ok(None) };
    let Some(reading) = number(row, i, name)? else { return Ok(None) };
    MetresPerSecond::reported(reading * unit.mps())
        .map_err(|_| refuse(Reason::OutOfRange, name, format!("{reading} is not a speed")))
}

fn seq(map: &ColumnMap, header: &Header, row: &ByteRecord) -> Result<Option<u64>, Reject> {
    let (Some(i), Some(name)) = (header.seq, &map.seq) else { return Ok(None) };
    let Some(text) = field(row, i, name)? else { return Ok(None) };
    let unreadable =
        |_| refuse(Reason::UnreadableField, name, format!("`{}` is not a count", excerpt(text.as_bytes())));
    text.parse().map(Some).map_err(unreadable)
}

fn time(map: &ColumnMap, header: &Header, row: &ByteRecord) -> Result<TimeMs, Reject> {
    let (name, unit) = &map.time;
    let text = field(row, header.time, name)?.ok_or_else(|| refuse(Reason::MissingField, name, "is empty".into()))?;
    let not = |what: &str| {
        let detail = format!("`{}` is not {what}", excerpt(text.as_bytes()));
        refuse(Reason::UnreadableField, name, detail)
    };
    let counted = |ms_per_unit: f64, what: &str| match text.parse::<f64>() {
        Ok(number) if number.is_finite() => TimeMs::new((number * ms_per_unit).round() as i64),
        _ => Err(not(what)),
    };
    let time = match unit {
        Some(TimeUnit::Seconds) => counted(1_000.0, "a number of seconds"),
        Some(TimeUnit::Milliseconds) => counted(1.0, "a number of milliseconds"),
        Some(TimeUnit::Rfc3339) => match text.parse::<jiff::Timestamp>() {
            Ok(at) => TimeMs::new(at.as_millisecond()),
            Err(_) => Err(not("an RFC 3339 time with its offset")),
        },
        None => TimeMs::parse(text),
    };
    time.map_err(|mut reject| {
        let could_be_ms = unit.is_none() && reject.reason == Reason::OutOfRange && !text.starts_with('-');
        if could_be_ms {
            reject.detail.push_str(&format!("; if `{name}` is in milliseconds, map it as time={name}:ms"));
        }
        reject.named(name.clone())
    })
}

/// A number; empty is `None`.
pub(super) fn number(row: &ByteRecord, i: usize, name: &str) -> Result<Option<f64>, Reject> {
    let Some(text) = field(row, i, name)? else { return Ok(None) };
    let unreadable =
        |_| refuse(Reason::UnreadableField, name, format!("`{}` is not a number", excerpt(text.as_bytes())));
    text.parse().map(Some).map_err(unreadable)
}

/// A field without white space around it; `None` for the ways in which tables write that nothing is there.
/// Only the columns that we use need be UTF-8.
pub(super) fn field<'r>(row: &'r ByteRecord, i: usize, name: &str) -> Result<Option<&'r str>, Reject> {
    let bytes = row.get(i).unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(bytes).map_err(|_| refuse(Reason::NotUtf8, name, excerpt(bytes)))?;
    Ok((!is_nothing(text)).then_some(text))
}

/// The ways in which tables write that nothing is there.
fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "null" | "NULL" | "NA" | "NaN" | "nan" | "\\N")
}

fn refuse(reason: Reason, name: &str, detail: String) -> Reject {
    Reject::field(reason, name.to_owned(), detail)
}

#[cfg(test)]
mod tests;
