//! Any table of what loops measured, with a header row: PeMS downloads, Minnesota's loops, a city's own export.
//!
//! Upstream: [`super::read`]. Downstream: detector intervals. Which column is what, in which unit and zone, is said by
//! a [`LoopMap`], never guessed.
//!
//! What is not measured is written in many ways: an empty field, NULL, -1. All of them are "not said" here and never
//! 0. A row in which nothing is said is refused; so is one that the map's `observed` column calls filled in (0 percent
//! observed). Holes in time are left as they are.

use std::io::BufRead;

use ::csv::ByteRecord;

use super::csv::{delimiter_of, field, number, split};
use super::lines::{Line, Lines};
use super::{ReadError, Record, excerpt, source_name};
use crate::event::{DetectorInterval, Event};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::units::MetresPerSecond;

mod map;

use map::{Clock, Edge, Id};
pub use map::{LoopMap, LoopMapError};

/// Reads a file row by row.
pub(crate) struct Rows {
    map: LoopMap,
    lines: Lines,
    row: ByteRecord,
    header: Option<Header>,
    over: bool,
}

/// What the header row settled: the delimiter, and where each column that we want is.
struct Header {
    delimiter: u8,
    width: usize,
    id: Option<usize>,
    time: usize,
    count: Option<usize>,
    occupancy: Option<usize>,
    speed: Option<usize>,
    observed: Option<usize>,
}

impl Rows {
    pub(crate) fn new(map: LoopMap, input: Box<dyn BufRead + Send>) -> Self {
        Self { map, lines: Lines::new(input), row: ByteRecord::new(), header: None, over: false }
    }

    fn record(&mut self) -> Result<Option<Record>, ReadError> {
        let header = match self.header.take() {
            Some(header) => header,
            None => self.read_header()?,
        };
        let line = loop {
            match self.lines.read()? {
                None => return Ok(None),
                Some(Line::Whole) if self.lines.bytes().is_empty() => {}
                Some(line) => break line,
            }
        };
        let event = match line {
            Line::Whole => split(self.lines.bytes(), header.delimiter, &mut self.row)
                .and_then(|()| interval(&self.map, &header, &self.row)),
            Line::Overlong(reject) => Err(reject),
        };
        self.header = Some(header);
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
    fn find(map: &LoopMap, delimiter: u8, names: &ByteRecord) -> Result<Self, String> {
        let index = |name: &str| {
            let mut found = names.iter().enumerate().filter(|(_, field)| field.trim_ascii() == name.as_bytes());
            match (found.next(), found.next()) {
                (Some((i, _)), None) => Ok(i),
                (None, _) => Err(format!("a table with a column `{name}`, which the map names")),
                (Some(_), Some(_)) => Err(format!("a table with one column `{name}` (it is there twice)")),
            }
        };
        Ok(Self {
            delimiter,
            width: names.len(),
            id: match &map.id {
                Id::Column(name) => Some(index(name)?),
                Id::Constant(_) => None,
            },
            time: index(&map.time)?,
            count: map.count.as_deref().map(index).transpose()?,
            occupancy: map.occupancy.as_ref().map(|(name, _)| index(name)).transpose()?,
            speed: map.speed.as_ref().map(|(name, _)| index(name)).transpose()?,
            observed: map.observed.as_deref().map(index).transpose()?,
        })
    }
}

fn interval(map: &LoopMap, header: &Header, row: &ByteRecord) -> Result<Event, Reject> {
    if row.len() != header.width {
        let detail = format!("{} fields, but the header has {}", row.len(), header.width);
        return Err(Reject::whole(Reason::Malformed, detail));
    }
    if let (Some(i), Some(name)) = (header.observed, &map.observed)
        && number(row, i, name)?.is_none_or(|percent| percent <= 0.0)
    {
        let detail = "nothing of the interval was observed: what it says is filled in".into();
        return Err(Reject::field(Reason::MissingField, name.clone(), detail));
    }
    let id = match (&map.id, header.id) {
        (Id::Constant(id), _) => id,
        (Id::Column(name), Some(i)) => field(row, i, name)?.unwrap_or_default(),
        (Id::Column(_), None) => "",
    };
    let (start, end) = times(map, header, row)?;
    let (count_name, occupancy_name) = (map.count.as_deref(), map.occupancy.as_ref().map(|(name, _)| name.as_str()));
    let said = DetectorInterval {
        source: source_name(id, "id")?,
        seq: None,
        start,
        end,
        at: None,
        count: count(row, header.count, count_name)?,
        occupancy: match (&map.occupancy, header.occupancy) {
            (Some((name, unit)), Some(i)) => measured(row, i, name)?.map(|said| (said * unit.share()) as f32),
            _ => None,
        },
        speed: match (&map.speed, header.speed) {
            (Some((name, unit)), Some(i)) => measured(row, i, name)?
                .map(|said| MetresPerSecond::reported(said * unit.mps()).map_err(|r| r.named(name.clone())))
                .transpose()?
                .flatten(),
            _ => None,
        },
    };
    said.checked().map(Event::Detector).map_err(|reject| match (reject.field.as_deref(), occupancy_name) {
        (Some("occupancy"), Some(name)) => reject.named(name.to_owned()),
        _ => reject,
    })
}

fn times(map: &LoopMap, header: &Header, row: &ByteRecord) -> Result<(TimeMs, TimeMs), Reject> {
    let name = &map.time;
    let missing = || Reject::field(Reason::MissingField, name.clone(), "is empty".into());
    let text = field(row, header.time, name)?.ok_or_else(missing)?;
    let time = match map.clock {
        Clock::Local(order) => map.zone.read(text, order),
        Clock::Epoch { ms_per_unit } => match text.parse::<f64>() {
            Ok(count) if count.is_finite() => TimeMs::new((count * ms_per_unit).round() as i64),
            _ => {
                let detail = format!("`{}` is not a number", excerpt(text.as_bytes()));
                Err(Reject::field(Reason::UnreadableField, name.clone(), detail))
            }
        },
    };
    let time = time.map_err(|reject| reject.named(name.clone()))?;
    let other = |ms: i64| TimeMs::new(ms).map_err(|reject| reject.named(name.clone()));
    match map.edge {
        Edge::Start => Ok((time, other(time.0 + map.interval_ms)?)),
        Edge::End => Ok((other(time.0 - map.interval_ms)?, time)),
    }
}

fn count(row: &ByteRecord, i: Option<usize>, name: Option<&str>) -> Result<Option<u32>, Reject> {
    let (Some(i), Some(name)) = (i, name) else { return Ok(None) };
    let Some(said) = measured(row, i, name)? else { return Ok(None) };
    if said.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&said) {
        let detail = format!("{said} is not a number of vehicles");
        return Err(Reject::field(Reason::OutOfRange, name.to_owned(), detail));
    }
    Ok(Some(said as u32))
}

/// A number that is there and is not the -1 of "not measured".
fn measured(row: &ByteRecord, i: usize, name: &str) -> Result<Option<f64>, Reject> {
    Ok(number(row, i, name)?.filter(|said| *said != -1.0))
}

#[cfg(test)]
mod tests;
