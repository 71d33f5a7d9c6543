//! `proto/arterial/v1/events.proto` as types, written by hand: building needs no protoc. A test compiles the published
//! file and holds every field's number, type and presence against these.
//!
//! Upstream and downstream: [`super`].

use crate::event::{DetectorInterval as Interval, Position as Place, SignalChange as Change, SignalState};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Events {
    #[prost(message, repeated, tag = "1")]
    pub(super) positions: Vec<Position>,
    #[prost(message, repeated, tag = "2")]
    pub(super) detectors: Vec<DetectorInterval>,
    #[prost(message, repeated, tag = "3")]
    pub(super) signals: Vec<SignalChange>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Position {
    #[prost(string, optional, tag = "1")]
    pub(super) source: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) seq: Option<u64>,
    #[prost(int64, optional, tag = "3")]
    pub(super) ts_ms: Option<i64>,
    #[prost(double, optional, tag = "4")]
    pub(super) lon_deg: Option<f64>,
    #[prost(double, optional, tag = "5")]
    pub(super) lat_deg: Option<f64>,
    #[prost(float, optional, tag = "6")]
    pub(super) speed_mps: Option<f32>,
    #[prost(float, optional, tag = "7")]
    pub(super) heading_deg: Option<f32>,
    #[prost(message, optional, tag = "8")]
    pub(super) edge: Option<EdgeFix>,
    #[prost(string, optional, tag = "9")]
    pub(super) route: Option<String>,
    #[prost(string, optional, tag = "10")]
    pub(super) direction: Option<String>,
    #[prost(string, optional, tag = "11")]
    pub(super) next_stop: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EdgeFix {
    #[prost(string, optional, tag = "1")]
    pub(super) id: Option<String>,
    #[prost(double, optional, tag = "2")]
    pub(super) pos_m: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DetectorInterval {
    #[prost(string, optional, tag = "1")]
    pub(super) source: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) seq: Option<u64>,
    #[prost(int64, optional, tag = "3")]
    pub(super) start_ms: Option<i64>,
    #[prost(int64, optional, tag = "4")]
    pub(super) end_ms: Option<i64>,
    #[prost(uint32, optional, tag = "5")]
    pub(super) count: Option<u32>,
    #[prost(float, optional, tag = "6")]
    pub(super) occupancy: Option<f32>,
    #[prost(float, optional, tag = "7")]
    pub(super) speed_mps: Option<f32>,
    #[prost(double, optional, tag = "8")]
    pub(super) lon_deg: Option<f64>,
    #[prost(double, optional, tag = "9")]
    pub(super) lat_deg: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SignalChange {
    #[prost(string, optional, tag = "1")]
    pub(super) source: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) seq: Option<u64>,
    #[prost(int64, optional, tag = "3")]
    pub(super) ts_ms: Option<i64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) phase: Option<u32>,
    #[prost(enumeration = "State", optional, tag = "5")]
    pub(super) state: Option<i32>,
}

/// `SignalState` of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum State {
    Unspecified = 0,
    Red = 1,
    Yellow = 2,
    Green = 3,
}

impl From<&Place> for Position {
    fn from(p: &Place) -> Self {
        Self {
            source: Some(p.source.clone()),
            seq: p.seq,
            ts_ms: Some(p.time.0),
            lon_deg: Some(p.at.lon_deg()),
            lat_deg: Some(p.at.lat_deg()),
            speed_mps: p.speed.map(crate::units::MetresPerSecond::get),
            heading_deg: p.heading.map(crate::units::HeadingDeg::get),
            edge: p.edge.as_ref().map(|fix| EdgeFix { id: Some(fix.edge_id.clone()), pos_m: Some(fix.pos_m) }),
            route: p.journey.as_ref().map(|journey| journey.route.clone()),
            direction: p.journey.as_ref().map(|journey| journey.direction.clone()).filter(|said| !said.is_empty()),
            next_stop: p.journey.as_ref().map(|journey| journey.next_stop.clone()).filter(|said| !said.is_empty()),
        }
    }
}

impl From<&Interval> for DetectorInterval {
    fn from(d: &Interval) -> Self {
        Self {
            source: Some(d.source.clone()),
            seq: d.seq,
            start_ms: Some(d.start.0),
            end_ms: Some(d.end.0),
            count: d.count,
            occupancy: d.occupancy,
            speed_mps: d.speed.map(crate::units::MetresPerSecond::get),
            lon_deg: d.at.map(crate::units::LonLat::lon_deg),
            lat_deg: d.at.map(crate::units::LonLat::lat_deg),
        }
    }
}

impl From<&Change> for SignalChange {
    fn from(s: &Change) -> Self {
        let state = match s.state {
            SignalState::Red => State::Red,
            SignalState::Yellow => State::Yellow,
            SignalState::Green => State::Green,
        };
        Self {
            source: Some(s.source.clone()),
            seq: s.seq,
            ts_ms: Some(s.time.0),
            phase: Some(s.phase.into()),
            state: Some(state.into()),
        }
    }
}
