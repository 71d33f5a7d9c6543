//! High-resolution events of signal controllers (ATSPM), in Parquet or XML, told by the first bytes.
//!
//! Upstream: [`super::read`]. Downstream: signal changes and detector intervals. Events are numbered as in the Indiana
//! Traffic Signal Hi Resolution Data Logger Enumerations (<https://docs.lib.purdue.edu/jtrpdata/4/>); of their hundred
//! we read five:
//!
//! | code | there | here |
//! |---|---|---|
//! | 1 | phase begin green | the phase turns green |
//! | 8 | phase begin yellow clearance | the phase turns yellow |
//! | 10 | phase begin red clearance | the phase turns red |
//! | 82 | detector on | begins an interval of `{device}.{channel}` |
//! | 81 | detector off | ends it: one vehicle, occupancy 1 |
//!
//! All others are passed over. So an interval is one actuation, and nothing of the log's order and 0.1 s is lost: a
//! window's flow and occupancy are sums over it. On and off do not always pair. An on whose off is missing is a vehicle
//! of unknown length: one tick, no occupancy. So is an on with its off at the same tick. An off without an on is
//! refused. Equal times are common, and rows keep their order.
//!
//! The log's clock is the wall's: the map names its zone, see [`AtspmMap`].

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use super::xml;
use super::zone::{DateOrder, Zone};
use super::{ReadError, Record, WHOLE_BYTES_MAX, source_name};
use crate::event::{DetectorInterval, Event, SignalChange, SignalState};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;

mod table;

/// Most detectors that can be on at a time; further ones are refused until one is off.
const ON_MAX: usize = 10_000;

/// Resolution of the log, ms.
const TICK_MS: i64 = 100;

const FORM: xml::Form =
    xml::Form { roots: &["EventResponses"], row: "Event", name: "a controller's event log (ATSPM)" };

/// What a log does not say itself: `zone=America/Los_Angeles,id==1136`.
#[derive(Clone, Debug, PartialEq)]
pub struct AtspmMap {
    zone: Zone,
    /// The controller, for logs that name none.
    device: Option<String>,
}

impl AtspmMap {
    /// Reads `zone=…` and `id==…`; both may be absent (then UTC, and the log must name the device).
    ///
    /// # Errors
    /// A sentence with what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut map = Self { zone: Zone::utc(), device: None };
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("zone", zone)) => {
                    let unknown = || format!("`{zone}` is not a time zone, such as America/Los_Angeles, UTC or -08:00");
                    map.zone = Zone::parse(zone).ok_or_else(unknown)?;
                }
                Some(("id", device)) if !device.trim_start_matches('=').is_empty() => {
                    map.device = Some(device.trim_start_matches('=').to_owned());
                }
                _ => return Err(format!("`{pair}` is neither zone=ZONE nor id==DEVICE")),
            }
        }
        Ok(map)
    }
}

/// One row of a log.
struct Row {
    time: TimeMs,
    device: String,
    code: i64,
    parameter: i64,
}

/// The events of a log.
pub(crate) struct Log {
    map: AtspmMap,
    rows: Option<Rows>,
    input: Option<Box<dyn BufRead + Send>>,
    on: On,
    over: bool,
}

/// Where rows come from.
enum Rows {
    Xml(xml::Rows),
    Table(table::Table),
}

/// Detectors that are on, by device and channel, with the time of it.
type On = BTreeMap<(String, i64), TimeMs>;

impl Log {
    pub(crate) fn new(map: AtspmMap, input: Box<dyn BufRead + Send>) -> Self {
        Self { map, rows: None, input: Some(input), on: On::new(), over: false }
    }

    fn record(&mut self) -> Result<Option<Record>, ReadError> {
        if let Some(input) = self.input.take() {
            self.rows = Some(open(input)?);
        }
        loop {
            let Some(rows) = &mut self.rows else { return Ok(left_on(&mut self.on)) };
            let (line, raw, row) = match rows {
                Rows::Xml(rows) => match rows.read()? {
                    Some(row) => (row.line, row.raw, row.attributes.and_then(|row| from_xml(&self.map, &row))),
                    None => {
                        self.rows = None;
                        continue;
                    }
                },
                Rows::Table(table) => match table.read(&self.map)? {
                    Some((number, raw, row)) => (number, raw, row),
                    None => {
                        self.rows = None;
                        continue;
                    }
                },
            };
            match row.and_then(|row| take(&mut self.on, row)) {
                Ok(Some(event)) => return Ok(Some(Record::Event(event))),
                Ok(None) => {}
                Err(reject) => return Ok(Some(Record::Unreadable { line, reject, raw })),
            }
        }
    }
}

impl Iterator for Log {
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

fn open(mut input: Box<dyn BufRead + Send>) -> Result<Rows, ReadError> {
    let io = |source| ReadError::Io { line: 0, source };
    let mut magic = Vec::with_capacity(4);
    (&mut input).take(4).read_to_end(&mut magic).map_err(io)?;
    let is_table = magic == table::MAGIC;
    let whole = io::Cursor::new(magic).chain(input);
    if !is_table {
        return Ok(Rows::Xml(xml::Rows::new(FORM, Box::new(whole))));
    }
    let mut bytes = Vec::new();
    whole.take(WHOLE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    table::Table::open(bytes).map(Rows::Table)
}

fn from_xml(map: &AtspmMap, row: &xml::Attributes) -> Result<Row, Reject> {
    let whole = |name: &'static str| {
        let text = row.need(name)?;
        let unreadable = |_| Reject::field(Reason::UnreadableField, name, format!("`{text}` is not a whole number"));
        text.parse::<i64>().map_err(unreadable)
    };
    let text = row.need("TimeStamp")?;
    // Controllers write month first; exports of databases, year first.
    let order = if text.as_bytes().get(4) == Some(&b'-') { DateOrder::YearFirst } else { DateOrder::MonthFirst };
    let device = row.get("DeviceId").map(str::to_owned).or_else(|| map.device.clone());
    let nameless = || Reject::field(Reason::MissingField, "DeviceId", "the log names none: say id==DEVICE".into());
    Ok(Row {
        time: map.zone.read(text, order).map_err(|reject| reject.named("TimeStamp"))?,
        device: device.ok_or_else(nameless)?,
        code: whole("EventTypeID")?,
        parameter: whole("Parameter")?,
    })
}

/// What a row says; `None` if nothing, or not yet.
fn take(on: &mut On, row: Row) -> Result<Option<Event>, Reject> {
    let state = match row.code {
        1 => SignalState::Green,
        8 => SignalState::Yellow,
        10 => SignalState::Red,
        81 => return off(on, row).map(Some),
        82 => return turned_on(on, row),
        _ => return Ok(None),
    };
    let unreadable = |_| {
        let detail = format!("{} is not a phase", row.parameter);
        Reject::field(Reason::OutOfRange, "Parameter", detail)
    };
    Ok(Some(Event::Signal(SignalChange {
        source: source_name(&row.device, "DeviceId")?,
        seq: None,
        time: row.time,
        phase: u16::try_from(row.parameter).map_err(unreadable)?,
        state,
    })))
}

fn turned_on(on: &mut On, row: Row) -> Result<Option<Event>, Reject> {
    let channel = (row.device, row.parameter);
    if on.len() >= ON_MAX && !on.contains_key(&channel) {
        let detail = format!("more than {ON_MAX} detectors are on");
        return Err(Reject::whole(Reason::WrongSize, detail));
    }
    match on.insert(channel.clone(), row.time) {
        Some(before) => unpaired(&channel, before).map(Some),
        None => Ok(None),
    }
}

fn off(on: &mut On, row: Row) -> Result<Event, Reject> {
    let channel = (row.device, row.parameter);
    let Some(began) = on.remove(&channel) else {
        let detail = format!("detector {} goes off without having gone on", channel.1);
        return Err(Reject::field(Reason::MissingField, "EventId", detail));
    };
    if row.time == began {
        return unpaired(&channel, began);
    }
    actuation(&channel, began, row.time, Some(1.0))
}

/// A vehicle of unknown length.
fn unpaired(channel: &(String, i64), began: TimeMs) -> Result<Event, Reject> {
    actuation(channel, began, TimeMs(began.0 + TICK_MS), None)
}

/// Detectors that are still on when the log ends, one a call.
fn left_on(on: &mut On) -> Option<Record> {
    let (channel, began) = on.pop_first()?;
    Some(match unpaired(&channel, began) {
        Ok(event) => Record::Event(event),
        Err(reject) => Record::Unreadable { line: 0, reject, raw: Vec::new() },
    })
}

fn actuation(
    (device, channel): &(String, i64),
    start: TimeMs,
    end: TimeMs,
    occupancy: Option<f32>,
) -> Result<Event, Reject> {
    let source = source_name(&format!("{device}.{channel}"), "DeviceId")?;
    let interval = DetectorInterval { source, seq: None, start, end, at: None, count: Some(1), occupancy, speed: None };
    interval.checked().map(Event::Detector).map_err(|reject| reject.named("TimeStamp"))
}

#[cfg(test)]
mod tests;
