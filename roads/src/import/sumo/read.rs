//! The XML of a SUMO network, taken apart; nothing is judged here but what vehicles may use a lane.
//!
//! Upstream: a file. Downstream: [`super::import`].

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use rustc_hash::FxHashMap;

use super::programme::Programme;
use crate::import::{ImportError, ImportReport};
use crate::network::builder::{NetworkError, SEGMENTS_MAX};

/// Most bytes of XML that are read, unpacked: what is beyond counts as cut off.
const XML_BYTES_MAX: u64 = 16 << 30;

#[derive(Default)]
pub(super) struct Net {
    pub(super) projection: String,
    /// What netconvert added to the projected coordinates, metres.
    pub(super) offset: [f64; 2],
    /// Edges between junctions, whatever may drive there.
    pub(super) edges: Vec<Edge>,
    pub(super) junctions: FxHashMap<String, Junction>,
    /// Connections of two lanes of edges between junctions.
    pub(super) turns: Vec<Connection>,
    /// Length in metres and limit in m/s of the lanes inside junctions, by lane id.
    pub(super) inner: FxHashMap<String, (f64, f64)>,
    /// The lane inside a junction that follows on another one inside it.
    pub(super) inner_next: FxHashMap<String, String>,
    pub(super) programmes: Vec<Programme>,
    /// Edge whose lanes are being read; `None` inside one that is left out.
    open: Option<Edge>,
    is_inside_junction: bool,
    /// Junction whose requests are being read.
    open_junction: Option<String>,
}

#[derive(Default)]
pub(super) struct Junction {
    /// Metres.
    pub(super) place: [f64; 2],
    /// Ids of the lanes that come in.
    pub(super) lanes: Vec<String>,
    pub(super) requests: Vec<Request>,
}

/// The right of way of one connection, as bits over all connections of the junction, the first at the right end.
pub(super) struct Request {
    pub(super) index: usize,
    pub(super) response: String,
    pub(super) foes: String,
}

#[derive(Default)]
pub(super) struct Edge {
    pub(super) id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) name: Option<String>,
    pub(super) kind: String,
    /// By lane index, from the right.
    pub(super) lanes: Vec<Lane>,
}

pub(super) struct Lane {
    pub(super) index: u32,
    pub(super) speed_mps: f64,
    pub(super) length_m: f64,
    pub(super) shape: Vec<[f64; 2]>,
    /// Some motor vehicle may use it.
    pub(super) is_open: bool,
    pub(super) is_for_cars: bool,
}

/// A connection of two lanes, by edge id and lane index.
pub(super) struct Connection {
    pub(super) from: String,
    pub(super) from_lane: u32,
    pub(super) to: String,
    pub(super) to_lane: u32,
    /// The first lane inside the junction.
    pub(super) via: Option<String>,
    /// Id of the signal and the link's position in its state words.
    pub(super) signal: Option<(String, u16)>,
}

/// Vehicle classes of SUMO that are road traffic.
const MOTOR: [&str; 16] = [
    "private",
    "emergency",
    "authority",
    "army",
    "vip",
    "hov",
    "passenger",
    "taxi",
    "bus",
    "coach",
    "delivery",
    "truck",
    "trailer",
    "evehicle",
    "motorcycle",
    "moped",
];

pub(super) fn read(path: &Path, is_gzip: bool, report: &mut ImportReport) -> Result<Net, ImportError> {
    parse(path, unpacked(path, is_gzip)?, report)
}

/// An XML file to read, packed or not by its first two bytes.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, ImportError> {
    let io = |error| ImportError::Io { path: path.to_owned(), error };
    let head = crate::import::head(File::open(path).map_err(io)?).map_err(io)?;
    unpacked(path, head.starts_with(b"\x1f\x8b"))
}

fn unpacked(path: &Path, is_gzip: bool) -> Result<Box<dyn BufRead>, ImportError> {
    let file = File::open(path).map_err(|error| ImportError::Io { path: path.to_owned(), error })?;
    Ok(if is_gzip {
        Box::new(BufReader::new(MultiGzDecoder::new(file).take(XML_BYTES_MAX)))
    } else {
        Box::new(BufReader::new(file.take(XML_BYTES_MAX)))
    })
}

fn parse(path: &Path, source: impl BufRead, report: &mut ImportReport) -> Result<Net, ImportError> {
    let damaged = |what: String| ImportError::Damaged { path: path.to_owned(), what };
    let mut reader = Reader::from_reader(source);
    let mut buffer = Vec::new();
    let mut net = Net::default();
    let (mut is_open, mut is_closed) = (false, false);
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| xml_error(path, error))?;
        match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                if !is_open && tag.name().as_ref() != "net" {
                    return Err(ImportError::Unknown { path: path.to_owned() });
                }
                is_open = true;
                let is_empty = matches!(event, Event::Empty(_));
                net.start(tag, is_empty, report).map_err(|what| damaged(what.to_string()))?;
            }
            Event::End(tag) if tag.name().as_ref() == "edge" => net.close_edge(),
            Event::End(tag) if tag.name().as_ref() == "junction" => net.open_junction = None,
            Event::End(tag) => is_closed |= tag.name().as_ref() == "net",
            Event::Eof if !is_open => return Err(ImportError::Unknown { path: path.to_owned() }),
            Event::Eof if !is_closed => return Err(ImportError::Truncated { path: path.to_owned() }),
            Event::Eof => return Ok(net),
            Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
        if net.edges.len() > SEGMENTS_MAX {
            return Err(ImportError::Network { path: path.to_owned(), error: NetworkError::TooLarge });
        }
    }
}

pub(super) fn xml_error(path: &Path, error: quick_xml::Error) -> ImportError {
    use quick_xml::errors::SyntaxError;
    let path = path.to_owned();
    match error {
        quick_xml::Error::Io(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => ImportError::Truncated { path },
        // A tag, comment or declaration that never ends.
        quick_xml::Error::Syntax(what) if what != SyntaxError::InvalidBangMarkup => ImportError::Truncated { path },
        other => ImportError::Damaged { path, what: other.to_string() },
    }
}

/// What is wrong with an element.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("<{tag}> has no {attribute}")]
    Missing { tag: &'static str, attribute: &'static str },
    #[error("{attribute} of a <{tag}> is `{value}`, which is not what belongs there")]
    Value { tag: &'static str, attribute: &'static str, value: String },
    #[error("the attributes of a <{tag}> cannot be read: {error}")]
    Xml { tag: &'static str, error: quick_xml::Error },
}

impl Net {
    fn start(&mut self, tag: &BytesStart<'_>, is_empty: bool, report: &mut ImportReport) -> Result<(), Wrong> {
        match tag.name().as_ref() {
            "location" => {
                let of = Attributes { tag, name: "location" };
                self.projection = of.text("projParameter")?.unwrap_or_default();
                self.offset = of.points("netOffset")?.first().copied().unwrap_or([0.0, 0.0]);
            }
            "edge" => {
                self.edge(&Attributes { tag, name: "edge" }, report)?;
                if is_empty {
                    self.close_edge();
                }
            }
            "lane" => {
                let of = Attributes { tag, name: "lane" };
                if let Some(edge) = &mut self.open {
                    edge.lanes.push(Lane::read(&of)?);
                } else if self.is_inside_junction {
                    self.inner.insert(of.needed("id")?, (of.number("length")?, of.number("speed")?));
                }
            }
            "junction" => {
                let of = Attributes { tag, name: "junction" };
                let lanes = of.text("incLanes")?.unwrap_or_default();
                let lanes = lanes.split_ascii_whitespace().map(str::to_owned).collect();
                let id = of.needed("id")?;
                let place = [of.number("x")?, of.number("y")?];
                self.open_junction = (!is_empty).then(|| id.clone());
                self.junctions.insert(id, Junction { place, lanes, requests: Vec::new() });
            }
            "request" => {
                let of = Attributes { tag, name: "request" };
                let junction = self.open_junction.as_ref().and_then(|id| self.junctions.get_mut(id));
                if let Some(junction) = junction {
                    let (response, foes) = (of.needed("response")?, of.needed("foes")?);
                    junction.requests.push(Request { index: of.number("index")? as usize, response, foes });
                }
            }
            "tlLogic" => self.programmes.push(Programme::new(&Attributes { tag, name: "tlLogic" }, report)?),
            "phase" => {
                if let Some(programme) = self.programmes.last_mut() {
                    programme.phase(&Attributes { tag, name: "phase" }, report)?;
                }
            }
            "connection" => self.connection(&Attributes { tag, name: "connection" })?,
            _ => {}
        }
        Ok(())
    }

    fn edge(&mut self, of: &Attributes<'_>, report: &mut ImportReport) -> Result<(), Wrong> {
        let function = of.text("function")?.unwrap_or_default();
        self.is_inside_junction = function == "internal";
        if !matches!(function.as_str(), "" | "normal") {
            report.add("edges left out: inside junctions, crossings, walking areas, connectors", 1);
            return Ok(());
        }
        self.open = Some(Edge {
            id: of.needed("id")?,
            from: of.needed("from")?,
            to: of.needed("to")?,
            name: of.text("name")?,
            kind: of.text("type")?.unwrap_or_default(),
            lanes: Vec::new(),
        });
        Ok(())
    }

    fn close_edge(&mut self) {
        if let Some(mut edge) = self.open.take() {
            edge.lanes.sort_by_key(|lane| lane.index);
            self.edges.push(edge);
        }
    }

    fn connection(&mut self, of: &Attributes<'_>) -> Result<(), Wrong> {
        let (from, via) = (of.needed("from")?, of.text("via")?);
        let (from_lane, to_lane) = (of.number("fromLane")? as u32, of.number("toLane")? as u32);
        if from.starts_with(':') {
            if let Some(via) = via {
                self.inner_next.insert(format!("{from}_{from_lane}"), via);
            }
            return Ok(());
        }
        let signal = match of.text("tl")? {
            Some(id) => Some((id, of.number("linkIndex")? as u16)),
            None => None,
        };
        self.turns.push(Connection { from, from_lane, to: of.needed("to")?, to_lane, via, signal });
        Ok(())
    }
}

impl Lane {
    fn read(of: &Attributes<'_>) -> Result<Self, Wrong> {
        let (allow, disallow) = (of.text("allow")?, of.text("disallow")?);
        let may = |kind: &str| may_use(allow.as_deref(), disallow.as_deref(), kind);
        Ok(Self {
            index: of.number("index")? as u32,
            speed_mps: of.number("speed")?,
            length_m: of.number("length")?,
            shape: of.points("shape")?,
            is_open: MOTOR.into_iter().any(may),
            is_for_cars: may("passenger"),
        })
    }
}

/// SUMO's permissions: a list of who may, else of who may not, else all may.
fn may_use(allow: Option<&str>, disallow: Option<&str>, kind: &str) -> bool {
    let names = |list: &str| list.split_ascii_whitespace().any(|one| one == kind || one == "all");
    match (allow, disallow) {
        (Some(allow), _) => names(allow),
        (None, Some(disallow)) => !names(disallow),
        (None, None) => true,
    }
}

/// The attributes of one element.
pub(super) struct Attributes<'a> {
    pub(super) tag: &'a BytesStart<'a>,
    pub(super) name: &'static str,
}

impl Attributes<'_> {
    pub(super) fn text(&self, attribute: &'static str) -> Result<Option<String>, Wrong> {
        let fail = |error| Wrong::Xml { tag: self.name, error };
        let Some(found) = self.tag.try_get_attribute(attribute).map_err(|error| fail(error.into()))? else {
            return Ok(None);
        };
        Ok(Some(found.normalized_value(XmlVersion::Implicit1_0).map_err(fail)?.into_owned()))
    }

    pub(super) fn needed(&self, attribute: &'static str) -> Result<String, Wrong> {
        self.text(attribute)?.ok_or(Wrong::Missing { tag: self.name, attribute })
    }

    pub(super) fn number(&self, attribute: &'static str) -> Result<f64, Wrong> {
        let value = self.needed(attribute)?;
        value.parse().map_err(|_| Wrong::Value { tag: self.name, attribute, value })
    }

    pub(super) fn optional_number(&self, attribute: &'static str) -> Result<Option<f64>, Wrong> {
        self.text(attribute)?.is_some().then(|| self.number(attribute)).transpose()
    }

    /// `x,y x,y …`, with or without heights.
    pub(super) fn points(&self, attribute: &'static str) -> Result<Vec<[f64; 2]>, Wrong> {
        let value = self.needed(attribute)?;
        let point = |text: &str| {
            let mut numbers = text.split(',').map(|number| number.parse::<f64>().ok());
            Some([numbers.next()??, numbers.next()??])
        };
        let points: Option<Vec<_>> = value.split_ascii_whitespace().map(point).collect();
        points.ok_or(Wrong::Value { tag: self.name, attribute, value })
    }
}
