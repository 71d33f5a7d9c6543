//! Routes and additional files of SUMO: vehicles, trips, flows, routes, bus stops, induction loops.
//!
//! Read as a stream: no more than one vehicle with its children is held beside what is kept. Upstream: XML. Downstream:
//! [`super::Reader`]. Format: SUMO documentation, "Definition of Vehicles, Vehicle Types, and Routes", "Bus stops",
//! "Induction Loops Detectors (E1)".

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader as Xml, XmlVersion};
use roads::SegmentIndex;

use super::{Loop, NAMED_MAX, ReadError, Reader, Wish, kinds};
use crate::random::{Stream, unit};
use crate::scenario::{DepartAt, DepartLane, Route, Stop, TRIPS_MAX};

/// Keeps what a file leaves to chance apart from everything else of a seed.
const DRAWS: u64 = 0x726f_7574;

/// Elements that hold others and say nothing themselves.
const FRAMES: [&str; 5] = ["routes", "additional", "add", "a", "routeDistribution"];

/// A vehicle, trip or flow whose children are being read.
struct Open {
    /// `vehicle`, `trip` or `flow`.
    tag: &'static str,
    of: Attributes,
    route: Option<Result<Arc<[SegmentIndex]>, String>>,
    /// As stated; places are looked up when the route is known.
    stops: Vec<Attributes>,
}

impl Reader<'_> {
    pub(super) fn read_xml(&mut self, path: &Path, source: impl BufRead, until_s: f64) -> Result<(), ReadError> {
        let damaged = |what: String| ReadError::Damaged { path: path.to_owned(), what };
        let mut xml = Xml::from_reader(source);
        let (mut buffer, mut open, mut distribution) = (Vec::new(), None::<Open>, None::<String>);
        let mut depth = 0_u32;
        let mut frames = 0_u32;
        loop {
            buffer.clear();
            match xml.read_event_into(&mut buffer).map_err(|error| xml_error(path, error))? {
                Event::Start(tag) => {
                    depth += 1;
                    frames += u32::from(FRAMES.contains(&tag.name().as_ref()));
                    self.start(&tag, &mut open, &mut distribution).map_err(damaged)?;
                }
                Event::Empty(tag) => {
                    frames += u32::from(FRAMES.contains(&tag.name().as_ref()));
                    self.start(&tag, &mut open, &mut distribution).map_err(damaged)?;
                    self.end(path, tag.name().as_ref(), &mut open, &mut distribution, until_s)?;
                }
                Event::End(tag) => {
                    depth = depth.saturating_sub(1);
                    self.end(path, tag.name().as_ref(), &mut open, &mut distribution, until_s)?;
                }
                Event::Eof if frames == 0 => return Err(ReadError::Unknown { path: path.to_owned() }),
                Event::Eof if depth > 0 => return Err(ReadError::Truncated { path: path.to_owned() }),
                Event::Eof => return Ok(()),
                _ => {}
            }
            let named = self.routes.len().max(self.bus_stops.len()).max(self.loops.len());
            if named > NAMED_MAX {
                return Err(ReadError::TooMany { path: path.to_owned() });
            }
        }
    }

    fn start(
        &mut self,
        tag: &BytesStart<'_>,
        open: &mut Option<Open>,
        distribution: &mut Option<String>,
    ) -> Result<(), String> {
        let name = tag.name();
        let of = |what| Attributes::of(tag, what);
        match name.as_ref() {
            "vehicle" => *open = Some(Open::new("vehicle", of("vehicle")?)),
            "trip" => *open = Some(Open::new("trip", of("trip")?)),
            "flow" => *open = Some(Open::new("flow", of("flow")?)),
            "vTypeDistribution" => *distribution = Some(of("vTypeDistribution")?.needed("id")?.to_owned()),
            "vType" => self.kinds.add(&of("vType")?, distribution.as_deref(), &mut self.report)?,
            "route" => {
                let of = of("route")?;
                let route = self.route(of.needed("edges")?);
                match (open, of.get("id")) {
                    (Some(open), _) => open.route = Some(route),
                    (None, Some(id)) => match route {
                        Ok(route) => drop(self.routes.insert(id.to_owned(), route)),
                        Err(_) => self.report.add("routes left out: not on this network", 1),
                    },
                    (None, None) => self.report.add("routes left out: without a name", 1),
                }
            }
            "stop" => match open {
                Some(open) => open.stops.push(of("stop")?),
                None => self.report.add("elements not read: stop of a named route", 1),
            },
            "busStop" => self.bus_stop(&of("busStop")?)?,
            "e1Detector" | "inductionLoop" => self.induction_loop(&of("e1Detector")?)?,
            // Signals belong to the network: see `roads::ImportOptions::programmes`.
            "tlLogic" => self.report.add("elements not read here: tlLogic, which an import takes in", 1),
            "phase" | "param" => {}
            frame if FRAMES.contains(&frame) => {}
            other => self.report.add(&format!("elements not read: {other}"), 1),
        }
        Ok(())
    }

    fn end(
        &mut self,
        path: &Path,
        name: &str,
        open: &mut Option<Open>,
        distribution: &mut Option<String>,
        until_s: f64,
    ) -> Result<(), ReadError> {
        if name == "vTypeDistribution" {
            *distribution = None;
        }
        match open.take_if(|open| open.tag == name) {
            Some(done) => self.close(path, done, until_s),
            None => Ok(()),
        }
    }

    /// Makes the trips of a vehicle, a trip or a flow.
    fn close(&mut self, path: &Path, open: Open, until_s: f64) -> Result<(), ReadError> {
        let damaged = |what: String| ReadError::Damaged { path: path.to_owned(), what };
        let id = open.of.needed("id").map_err(damaged)?.to_owned();
        let wish = match self.wish(&open) {
            Ok(wish) => wish,
            Err(why) => {
                self.leave_out(&id, "vehicles left out: their route is not on this network", &why);
                return Ok(());
            }
        };
        let found = departures(&open, self.seed, self.trips.len() as u64, until_s).map_err(damaged)?;
        let Some(departures) = found else {
            let when = open.of.get("depart").unwrap_or_default().to_owned();
            self.leave_out(&id, "vehicles left out: they depart at no time", &format!("it departs `{when}`"));
            return Ok(());
        };
        for depart_s in departures {
            let number = self.trips.len() as u64;
            match self.kinds.of(&wish.kind, self.seed, number).map_err(damaged)? {
                Some(kind) => self.add(path, wish.trip(depart_s, kind))?,
                None => self.leave_out(&id, "vehicles left out: not on roads", "its class does not drive on roads"),
            }
        }
        Ok(())
    }

    fn wish(&mut self, open: &Open) -> Result<Wish, String> {
        let of = &open.of;
        let route = match (&open.route, of.get("route")) {
            (Some(route), _) => Route::Fixed(route.clone()?),
            (None, Some(name)) => {
                let known = self.routes.get(name).cloned();
                Route::Fixed(known.ok_or_else(|| format!("there is no route `{name}`"))?)
            }
            (None, None) => {
                let edge = |name| of.get(name).ok_or_else(|| format!("it has neither a route nor `{name}`"));
                let (from, to) = (self.edge(edge("from")?)?[0], self.edge(edge("to")?)?);
                let last = to[to.len() - 1];
                if of.get("via").is_some() {
                    self.report.add("trips whose `via` is not followed", 1);
                }
                Route::Between(from, last)
            }
        };
        self.wish_by(open, route)
    }

    fn wish_by(&mut self, open: &Open, route: Route) -> Result<Wish, String> {
        let of = &open.of;
        let depart_lane = match of.get("departLane") {
            None | Some("first") => DepartLane::Number(0),
            Some(number) => number.parse().map_or(DepartLane::Best, DepartLane::Number),
        };
        let depart_at = match of.get("departPos") {
            None | Some("base") => DepartAt::Base,
            Some(metres) => metres.parse().map_or(DepartAt::Base, DepartAt::Metres),
        };
        let depart_speed_mps = match of.get("departSpeed") {
            None => 0.0,
            Some(speed) => speed.parse().unwrap_or(f32::INFINITY),
        };
        let (_, last) = self.ends(&route);
        let length_m = self.network.segment(last).length_m as f32;
        let arrival_m = match of.get("arrivalPos").map(str::parse::<f32>) {
            Some(Ok(metres)) if metres < 0.0 => (length_m + metres).max(0.0),
            Some(Ok(metres)) => metres,
            Some(Err(_)) | None => f32::INFINITY,
        };
        let stops = self.stops(open, &route);
        let kind = of.get("type").unwrap_or(kinds::DEFAULT).to_owned();
        Ok(Wish { kind, route, stops, depart_lane, depart_at, depart_speed_mps, arrival_m: Some(arrival_m) })
    }

    fn ends(&self, route: &Route) -> (SegmentIndex, SegmentIndex) {
        match route {
            Route::Fixed(route) => (route[0], route[route.len() - 1]),
            Route::Between(from, to) => (*from, *to),
        }
    }

    /// Stops along the route, in its order; one that lies off the route is counted and left out.
    fn stops(&mut self, open: &Open, route: &Route) -> Vec<Stop> {
        let mut stops: Vec<Stop> = Vec::new();
        // A route may pass a street twice: stops are sought onwards from the one before.
        let mut after = 0;
        for of in &open.stops {
            let stated = match (of.get("busStop"), of.get("lane").or_else(|| of.get("edge"))) {
                (Some(id), _) => self.bus_stops.get(id).copied(),
                (None, Some(place)) => self.place(place, of.number("endPos").ok().flatten().unwrap_or(f64::INFINITY)),
                (None, None) => None,
            };
            let found = stated.and_then(|(segment, offset_m)| match route {
                Route::Fixed(all) => {
                    let leg = after + all[after..].iter().position(|at| *at == segment)?;
                    after = leg;
                    Some((segment, offset_m))
                }
                Route::Between(..) => Some((segment, offset_m)),
            });
            let Some((segment, offset_m)) = found else {
                self.report.add("stops left out: not on the route", 1);
                continue;
            };
            if of.get("until").is_some() {
                self.report.add("stops whose `until` is not kept, only their duration", 1);
            }
            let duration_s = of.number("duration").ok().flatten().unwrap_or(0.0) as f32;
            stops.push(Stop { segment, offset_m, duration_s });
        }
        stops
    }

    /// Segment and offset of a position on an edge or a lane of it; one below 0 counts from the end.
    fn place(&self, edge_or_lane: &str, pos_m: f64) -> Option<(SegmentIndex, f32)> {
        let of_lane = edge_or_lane.rsplit_once('_').map(|(edge, _)| edge);
        let edge = [Some(edge_or_lane), of_lane].into_iter().flatten().find(|name| self.edges.contains_key(*name))?;
        let last = *self.edges[edge].last()?;
        let end_m = self.network.segment(last).source_offset_m + self.network.segment(last).length_m;
        let (segment, offset_m) = self.network.on_source(edge, if pos_m < 0.0 { end_m + pos_m } else { pos_m })?;
        Some((segment, offset_m as f32))
    }

    fn bus_stop(&mut self, of: &Attributes) -> Result<(), String> {
        let end_m = of.number("endPos")?.unwrap_or(f64::INFINITY);
        match self.place(of.needed("lane")?, end_m) {
            Some(place) => {
                self.bus_stops.insert(of.needed("id")?.to_owned(), place);
                self.report.add("bus stops", 1);
            }
            None => self.report.add("bus stops left out: not on this network", 1),
        }
        Ok(())
    }

    fn induction_loop(&mut self, of: &Attributes) -> Result<(), String> {
        let (id, lane) = (of.needed("id")?, of.needed("lane")?);
        let number = lane.rsplit_once('_').and_then(|(_, number)| number.parse::<u8>().ok()).unwrap_or(0);
        let Some((segment, offset_m)) = self.place(lane, of.number("pos")?.unwrap_or(0.0)) else {
            self.report.add("induction loops left out: not on this network", 1);
            return Ok(());
        };
        // A lane for buses beside the others is no lane of ours.
        let lane = number.min(self.network.segment(segment).lanes - 1);
        self.loops.push(Loop { id: id.to_owned(), segment, lane, offset_m });
        self.report.add("induction loops", 1);
        Ok(())
    }
}

impl Open {
    fn new(tag: &'static str, of: Attributes) -> Self {
        Self { tag, of, route: None, stops: Vec::new() }
    }
}

/// When a vehicle departs, or all of a flow; `None` at no stated time.
fn departures(open: &Open, seed: u64, number: u64, until_s: f64) -> Result<Option<Vec<f64>>, String> {
    let of = &open.of;
    if open.tag != "flow" {
        let depart = of.needed("depart")?;
        return Ok(depart.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0).map(|s| vec![s]));
    }
    let begin_s = of.number("begin")?.unwrap_or(0.0).max(0.0);
    let end_s = of.number("end")?.unwrap_or(until_s);
    let wanted = of.number("number")?;
    let room = |count: f64| match count {
        count if count <= TRIPS_MAX as f64 => Ok(count.max(0.0) as usize),
        count => Err(format!("flow `{}` wants {count} vehicles", of.needed("id")?)),
    };
    let draw = |nth: u64| unit(seed ^ DRAWS, number, nth, Stream::Departure);
    if let Some(share) = of.number("probability")? {
        let seconds = room(end_s - begin_s)?;
        let drawn = (0..seconds as u64).filter(|s| draw(*s) < share).map(|s| begin_s + s as f64);
        return Ok(Some(drawn.take(wanted.map_or(TRIPS_MAX, |n| n as usize)).collect()));
    }
    let per_hour = of.number("vehsPerHour")?.map(|rate| 3_600.0 / rate);
    let random = of.get("period").and_then(|p| p.strip_prefix("exp(")?.strip_suffix(')')?.parse::<f64>().ok());
    if let Some(rate) = random {
        // Gaps of a Poisson process.
        let mut at = begin_s;
        let most = room((end_s - begin_s) * rate * 2.0 + 100.0)? as u64;
        let times = (0..most).map(|nth| {
            at -= (1.0 - draw(nth)).ln() / rate;
            at
        });
        return Ok(Some(times.take_while(|s| *s < end_s).take(wanted.map_or(TRIPS_MAX, |n| n as usize)).collect()));
    }
    let period_s = match (per_hour, of.number("period")?, wanted) {
        (Some(period), _, _) | (None, Some(period), _) if period > 0.0 => period,
        (None, None, Some(count)) if count >= 1.0 => (end_s - begin_s) / count,
        _ => return Err(format!("flow `{}` has no rate above 0", of.needed("id")?)),
    };
    let fits = ((end_s - begin_s) / period_s - 1e-9).ceil();
    let count = room(wanted.map_or(fits, |count| if fits.is_finite() { count.min(fits) } else { count }))?;
    Ok(Some((0..count).map(|nth| begin_s + nth as f64 * period_s).collect()))
}

/// The attributes of one element.
#[derive(Debug)]
pub(super) struct Attributes {
    tag: &'static str,
    all: Vec<(String, String)>,
}

impl Attributes {
    fn of(tag: &BytesStart<'_>, name: &'static str) -> Result<Self, String> {
        let mut all = Vec::new();
        for attribute in tag.attributes() {
            let attribute =
                attribute.map_err(|error| format!("the attributes of a <{name}> cannot be read: {error}"))?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| format!("the attributes of a <{name}> cannot be read: {error}"))?;
            all.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        Ok(Self { tag: name, all })
    }

    /// Nothing but an id.
    pub(super) fn of_default(id: &str) -> Self {
        Self { tag: "vType", all: vec![("id".to_owned(), id.to_owned())] }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, String> {
        self.get(name).ok_or_else(|| format!("<{}> has no {name}", self.tag))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
        number.map(Some).ok_or_else(|| format!("{name} of a <{}> is `{text}`, which is no number", self.tag))
    }
}

fn xml_error(path: &Path, error: quick_xml::Error) -> ReadError {
    use quick_xml::errors::SyntaxError;
    match error {
        quick_xml::Error::Io(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            ReadError::Truncated { path: path.to_owned() }
        }
        quick_xml::Error::Syntax(what) if what != SyntaxError::InvalidBangMarkup => {
            ReadError::Truncated { path: path.to_owned() }
        }
        other => ReadError::Damaged { path: path.to_owned(), what: other.to_string() },
    }
}
