//! The three things that can be said: a vehicle's position, a detector's interval, a signal's change.
//!
//! Upstream: the codecs. Downstream: the gate in `ingest`, `analyze`, the simulator.

use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::units::{HeadingDeg, LonLat, MetresPerSecond};

/// One observation, valid by construction.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Position(Position),
    Detector(DetectorInterval),
    Signal(SignalChange),
}

impl Event {
    /// Who says it, unique in a city.
    pub fn source(&self) -> &str {
        match self {
            Self::Position(p) => &p.source,
            Self::Detector(d) => &d.source,
            Self::Signal(s) => &s.source,
        }
    }

    /// The event's own time: of a detector interval its end, since only then is it known.
    pub fn time(&self) -> TimeMs {
        match self {
            Self::Position(p) => p.time,
            Self::Detector(d) => d.end,
            Self::Signal(s) => s.time,
        }
    }
}

/// Where a vehicle was.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    pub source: String,
    /// Counts up per source; not every format has one.
    pub seq: Option<u64>,
    pub time: TimeMs,
    pub at: LonLat,
    pub speed: Option<MetresPerSecond>,
    pub heading: Option<HeadingDeg>,
    /// The street that the source itself says it is on, when it knows (a simulator does).
    pub edge: Option<EdgeFix>,
    /// What line the vehicle is driving on, when it is on one (a bus).
    pub journey: Option<Box<Journey>>,
}

/// Longest route, direction or stop of a journey, bytes.
pub const JOURNEY_BYTES_MAX: usize = 64;

/// A line of public transport, and how far along it the vehicle is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// The route's id at the operator, 1 to [`JOURNEY_BYTES_MAX`] bytes.
    pub route: String,
    /// Which way, as the operator names it; empty if not said.
    pub direction: String,
    /// The stop that comes next; empty if not said.
    pub next_stop: String,
}

impl Journey {
    /// A journey on a route; `None` where no route is said.
    ///
    /// # Errors
    /// [`Reason::OutOfRange`] for a text that is too long, with the field as our own format names it.
    pub fn new(route: String, direction: String, next_stop: String) -> Result<Option<Box<Self>>, Reject> {
        for (field, text) in [("route", &route), ("direction", &direction), ("next_stop", &next_stop)] {
            if text.len() > JOURNEY_BYTES_MAX {
                let detail = format!("{} bytes are more than {JOURNEY_BYTES_MAX}", text.len());
                return Err(Reject::field(Reason::OutOfRange, field, detail));
            }
        }
        Ok((!route.is_empty()).then(|| Box::new(Self { route, direction, next_stop })))
    }
}

/// Longest id of an edge, bytes.
pub const EDGE_ID_BYTES_MAX: usize = 256;

/// A place on a named street of somebody's network.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeFix {
    /// The edge's id there; starts with `:` inside a junction (SUMO).
    pub edge_id: String,
    /// Distance from the beginning of the edge, metres.
    pub pos_m: f64,
}

/// What a detector counted between two moments.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorInterval {
    pub source: String,
    pub seq: Option<u64>,
    pub start: TimeMs,
    pub end: TimeMs,
    pub at: Option<LonLat>,
    /// Vehicles that passed; `None` from a detector that does not count. Of count, occupancy and speed at least
    /// one is there.
    pub count: Option<u32>,
    /// Share of the interval in which the detector was covered, 0 to 1; `None` when not measured.
    pub occupancy: Option<f32>,
    /// Arithmetic mean of the spot speeds (time-mean speed); `None` when nothing passed.
    pub speed: Option<MetresPerSecond>,
}

impl DetectorInterval {
    /// The interval as it is believed, whatever format it came in: it ends after it began, occupancy is a share, at
    /// least one of count, occupancy and speed is there, and where nothing passed there is no speed.
    ///
    /// # Errors
    /// [`Reason::OutOfRange`] or [`Reason::MissingField`], with the field as our own format names it.
    pub fn checked(mut self) -> Result<Self, Reject> {
        if self.end <= self.start {
            let detail = format!("{} is not after start_ms {}", self.end.0, self.start.0);
            return Err(Reject::field(Reason::OutOfRange, "end_ms", detail));
        }
        if let Some(share) = self.occupancy.filter(|share| !(0.0..=1.0).contains(share)) {
            let detail = format!("{share} is not a share between 0 and 1");
            return Err(Reject::field(Reason::OutOfRange, "occupancy", detail));
        }
        if self.count == Some(0) {
            self.speed = None;
        }
        if self.count.is_none() && self.occupancy.is_none() && self.speed.is_none() {
            let detail = "there is neither count nor occupancy nor speed".into();
            return Err(Reject::field(Reason::MissingField, "count", detail));
        }
        Ok(self)
    }
}

/// A signal group that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalChange {
    pub source: String,
    pub seq: Option<u64>,
    pub time: TimeMs,
    /// Signal group (phase) number at this junction.
    pub phase: u16,
    pub state: SignalState,
}

/// What a signal group shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignalState {
    Red,
    Yellow,
    Green,
}

impl SignalState {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Yellow => "yellow",
            Self::Green => "green",
        }
    }

    /// The state by its name in JSON.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "red" => Some(Self::Red),
            "yellow" => Some(Self::Yellow),
            "green" => Some(Self::Green),
            _ => None,
        }
    }
}
