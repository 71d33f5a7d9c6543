//! SUMO's floating-car data: `<fcd-export>`, in it `<timestep time>`, in it `<vehicle id x y angle speed pos lane>`.
//!
//! Upstream: [`super::read`]. Downstream: positions that know their street. Read as a stream; a vehicle that
//! cannot be read is given back, XML that is broken ends the reading. Pedestrians and containers are passed over.
//! Format: <https://sumo.dlr.de/docs/Simulation/Output/FCDOutput.html>; x and y must be degrees there
//! (`--fcd-output.geo`), angle is clockwise from north, speed in m/s, pos in metres on the lane.

use std::borrow::Cow;
use std::io::BufRead;

use quick_xml::errors::{Error as XmlError, IllFormedError};
use quick_xml::events::{BytesStart, Event as Xml};
use quick_xml::{Reader, XmlVersion};

use self::counted::Counted;
use super::{ReadError, Record, excerpt, failed, source_name};
use crate::event::{EDGE_ID_BYTES_MAX, EdgeFix, Event, Position};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::units::{HeadingDeg, LonLat, MetresPerSecond};

pub(super) mod counted;

const ROOT: &str = "fcd-export";

/// The vehicles of a file, step by step.
pub(crate) struct Vehicles {
    xml: Reader<Counted>,
    buffer: Vec<u8>,
    /// Whether the root element was entered.
    inside: bool,
    /// The time of the step that we are in; why it cannot be read then holds for each of its vehicles.
    step: Option<Result<TimeMs, Reject>>,
    over: bool,
}

/// What a tag was.
enum Found {
    Vehicle(Record),
    Nothing,
    End,
}

impl Vehicles {
    pub(crate) fn new(input: Box<dyn BufRead + Send>) -> Self {
        let xml = Reader::from_reader(Counted::new(input));
        Self { xml, buffer: Vec::new(), inside: false, step: None, over: false }
    }

    fn record(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            self.buffer.clear();
            let line = self.xml.get_ref().line();
            let tag = match self.xml.read_event_into(&mut self.buffer) {
                Ok(tag) => tag,
                Err(e) => return Err(broken(e, self.inside, self.xml.get_ref(), self.xml.error_position())),
            };
            let found = if self.inside {
                inside(&tag, line, &mut self.step)?
            } else {
                self.inside = entered(&tag, line)?;
                Found::Nothing
            };
            match found {
                Found::Vehicle(record) => return Ok(Some(record)),
                Found::Nothing => {}
                Found::End => return Ok(None),
            }
            if matches!(tag, Xml::Eof) {
                let (byte, detail) = (self.xml.buffer_position(), format!("</{ROOT}> is missing"));
                return Err(ReadError::Truncated { line, byte, detail });
            }
        }
    }
}

impl Iterator for Vehicles {
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

/// Whether this is the root element; before it only what XML allows there.
fn entered(tag: &Xml<'_>, line: u64) -> Result<bool, ReadError> {
    let found = match tag {
        Xml::Start(start) if start.name().0 == ROOT => return Ok(true),
        Xml::Decl(_) | Xml::Comment(_) | Xml::PI(_) | Xml::DocType(_) => return Ok(false),
        Xml::Text(text) if text.trim().is_empty() => return Ok(false),
        Xml::Start(start) | Xml::Empty(start) => format!("<{}>", excerpt(start.name().0.as_bytes())),
        Xml::Text(text) => format!("`{}`", excerpt(text.as_bytes())),
        Xml::Eof => "no element at all".to_owned(),
        Xml::End(_) | Xml::CData(_) | Xml::GeneralRef(_) => "something else".to_owned(),
    };
    Err(not_fcd(line, found))
}

fn inside(tag: &Xml<'_>, line: u64, step: &mut Option<Result<TimeMs, Reject>>) -> Result<Found, ReadError> {
    match tag {
        Xml::Start(start) | Xml::Empty(start) => match start.name().0 {
            "timestep" => {
                *step = Some(Attributes::read(start).and_then(|attributes| attributes.time()));
                Ok(Found::Nothing)
            }
            "vehicle" => {
                let end = if matches!(tag, Xml::Empty(_)) { "/>" } else { ">" };
                vehicle(start, end, line, step.as_ref()).map(Found::Vehicle)
            }
            _ => Ok(Found::Nothing),
        },
        Xml::End(end) if end.name().0 == ROOT => Ok(Found::End),
        Xml::End(end) if end.name().0 == "timestep" => {
            *step = None;
            Ok(Found::Nothing)
        }
        Xml::End(_)
        | Xml::Text(_)
        | Xml::CData(_)
        | Xml::Comment(_)
        | Xml::Decl(_)
        | Xml::PI(_)
        | Xml::DocType(_)
        | Xml::GeneralRef(_)
        | Xml::Eof => Ok(Found::Nothing),
    }
}

fn vehicle(
    start: &BytesStart<'_>,
    end: &str,
    line: u64,
    step: Option<&Result<TimeMs, Reject>>,
) -> Result<Record, ReadError> {
    let event = Attributes::read(start).and_then(|attributes| {
        let time = match step {
            Some(step) => step.clone()?,
            None => return Err(Reject::field(Reason::MissingField, "time", "a vehicle outside of a timestep".into())),
        };
        attributes.position(time)
    });
    match event {
        Ok(position) => Ok(Record::Event(Event::Position(position))),
        Err(reject) if is_off_the_globe(&reject) => {
            let found = format!("field `{}`: {}", reject.field.unwrap_or_default(), reject.detail);
            let expected = "SUMO floating-car data in degrees (run SUMO with --fcd-output.geo)".into();
            Err(ReadError::NotThisFormat { line, found, expected })
        }
        Err(reject) => Ok(Record::Unreadable { line, reject, raw: format!("<{}{end}", &**start).into_bytes() }),
    }
}

/// Finite, but no degrees: metres of the network. One such vehicle condemns the file, since of the others
/// those near the network's origin only look like degrees.
fn is_off_the_globe(reject: &Reject) -> bool {
    reject.reason == Reason::OutOfRange && matches!(reject.field.as_deref(), Some("x" | "y"))
}

/// The attributes that we use, unescaped.
#[derive(Default)]
struct Attributes<'a> {
    time: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    x: Option<Cow<'a, str>>,
    y: Option<Cow<'a, str>>,
    angle: Option<Cow<'a, str>>,
    speed: Option<Cow<'a, str>>,
    pos: Option<Cow<'a, str>>,
    lane: Option<Cow<'a, str>>,
}

impl<'a> Attributes<'a> {
    fn read(start: &'a BytesStart<'_>) -> Result<Self, Reject> {
        let mut all = Self::default();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| Reject::whole(Reason::Malformed, e.to_string()))?;
            let slot = match attribute.key.0 {
                "time" => &mut all.time,
                "id" => &mut all.id,
                "x" => &mut all.x,
                "y" => &mut all.y,
                "angle" => &mut all.angle,
                "speed" => &mut all.speed,
                "pos" => &mut all.pos,
                "lane" => &mut all.lane,
                _ => continue,
            };
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|e| Reject::whole(Reason::Malformed, e.to_string()))?;
            *slot = Some(value);
        }
        Ok(all)
    }

    /// Seconds from the start of the simulation, or a clock time.
    fn time(&self) -> Result<TimeMs, Reject> {
        match &self.time {
            Some(text) => TimeMs::parse(text).map_err(|reject| reject.named("time")),
            None => Err(Reject::field(Reason::MissingField, "time", "a timestep without a time".into())),
        }
    }

    fn position(&self, time: TimeMs) -> Result<Position, Reject> {
        let id = self.id.as_deref().unwrap_or_default();
        let (x, y) = (number("x", &self.x)?, number("y", &self.y)?);
        let x = x.ok_or_else(|| Reject::field(Reason::NoPosition, "x", "is absent".into()))?;
        let y = y.ok_or_else(|| Reject::field(Reason::NoPosition, "y", "is absent".into()))?;
        let heading = number("angle", &self.angle)?.map(|deg| HeadingDeg::new(deg as f32)).transpose();
        let speed = number("speed", &self.speed)?.map(MetresPerSecond::reported).transpose();
        Ok(Position {
            source: source_name(id, "id")?,
            seq: None,
            time,
            at: LonLat::new(x, y).map_err(|reject| {
                let name = if reject.field.as_deref() == Some("lat_deg") { "y" } else { "x" };
                reject.named(name)
            })?,
            speed: speed.map_err(|reject| reject.named("speed"))?.flatten(),
            heading: heading.map_err(|reject| reject.named("angle"))?,
            edge: self.edge()?,
            journey: None,
        })
    }

    /// The edge is the lane's id without the lane's number, the last `_n`. A vehicle off the road has none.
    fn edge(&self) -> Result<Option<EdgeFix>, Reject> {
        let (Some(lane), Some(pos_m)) =
            (self.lane.as_deref().filter(|lane| !lane.is_empty()), number("pos", &self.pos)?)
        else {
            return Ok(None);
        };
        if pos_m < 0.0 {
            return Err(Reject::field(Reason::OutOfRange, "pos", format!("{pos_m} is before the lane begins")));
        }
        let edge_id = match lane.rsplit_once('_') {
            Some((edge, n)) if !edge.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()) => edge,
            _ => lane,
        };
        if edge_id.len() > EDGE_ID_BYTES_MAX {
            let detail = format!("the edge is longer than {EDGE_ID_BYTES_MAX} bytes");
            return Err(Reject::field(Reason::UnreadableField, "lane", detail));
        }
        Ok(Some(EdgeFix { edge_id: edge_id.to_owned(), pos_m }))
    }
}

/// A finite number.
fn number(field: &'static str, text: &Option<Cow<'_, str>>) -> Result<Option<f64>, Reject> {
    let Some(text) = text else { return Ok(None) };
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => {
            let detail = format!("`{}` is not a number", excerpt(text.as_bytes()));
            Err(Reject::field(Reason::UnreadableField, field, detail))
        }
    }
}

fn not_fcd(line: u64, found: String) -> ReadError {
    ReadError::NotThisFormat { line, found, expected: format!("SUMO floating-car data, which begins with <{ROOT}>") }
}

/// Broken XML: cut off, another format, or wrong in the middle.
fn broken(error: XmlError, inside: bool, input: &Counted, byte: u64) -> ReadError {
    let line = input.line();
    match error {
        XmlError::Io(e) if input.gave_up() && inside => ReadError::Malformed { line, byte, detail: e.to_string() },
        XmlError::Io(e) if input.gave_up() => not_fcd(1, format!("no XML ({e})")),
        XmlError::Io(e) => {
            // The library shares the error; its kind and words are what is left to hand on.
            failed(std::io::Error::new(e.kind(), e.to_string()), line, byte)
        }
        other if !inside => not_fcd(line, format!("no XML ({other})")),
        XmlError::Syntax(e) => ReadError::Truncated { line, byte, detail: e.to_string() },
        XmlError::IllFormed(e @ (IllFormedError::MissingEndTag(_) | IllFormedError::UnclosedReference)) => {
            ReadError::Truncated { line, byte, detail: e.to_string() }
        }
        other => ReadError::Malformed { line, byte, detail: other.to_string() },
    }
}

#[cfg(test)]
mod tests;
