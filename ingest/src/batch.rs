//! Accepted events as columns, in memory as they are stored and as analytics reads them.
//!
//! Upstream: the gate, which pushes. Downstream: the spool (through `batch/columns.rs`, as Arrow) and analytics.
//! All columns of a table have the same length; a push keeps it so.

mod columns;

use events::{DetectorInterval, Position, SignalChange, SignalState, TimeMs};

pub use columns::{BatchError, decode, encode};

/// Positions of vehicles under their pseudonyms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Positions {
    /// The vehicle's pseudonym of the day, see [`crate::pseudonym`].
    pub vehicle: Vec<u64>,
    pub seq: Vec<Option<u64>>,
    /// Event time, UTC milliseconds.
    pub time_ms: Vec<i64>,
    pub lon_deg: Vec<f64>,
    pub lat_deg: Vec<f64>,
    pub speed_mps: Vec<Option<f32>>,
    /// Clockwise from true north.
    pub heading_deg: Vec<Option<f32>>,
    /// The source's own edge id and the metres from its beginning.
    pub edge: Vec<Option<(String, f64)>>,
    /// Receive time, UTC milliseconds.
    pub received_ms: Vec<i64>,
}

/// Intervals of detectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detectors {
    pub source: Vec<String>,
    pub seq: Vec<Option<u64>>,
    pub start_ms: Vec<i64>,
    /// End of the interval, which is its event time.
    pub end_ms: Vec<i64>,
    pub lon_deg: Vec<Option<f64>>,
    pub lat_deg: Vec<Option<f64>>,
    /// Vehicles in the interval; `None` from a detector that does not count.
    pub count: Vec<Option<u32>>,
    /// Share of the interval, 0 to 1.
    pub occupancy: Vec<Option<f32>>,
    pub speed_mps: Vec<Option<f32>>,
    pub received_ms: Vec<i64>,
}

/// Changes of signal groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    pub source: Vec<String>,
    pub seq: Vec<Option<u64>>,
    pub time_ms: Vec<i64>,
    pub phase: Vec<u16>,
    pub state: Vec<SignalState>,
    pub received_ms: Vec<i64>,
}

/// What one block holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub positions: Positions,
    pub detectors: Detectors,
    pub signals: Signals,
}

impl Positions {
    /// Rows.
    pub fn len(&self) -> usize {
        self.time_ms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.time_ms.is_empty()
    }

    pub(crate) fn push(&mut self, vehicle: u64, position: Position, received: TimeMs) {
        self.vehicle.push(vehicle);
        self.seq.push(position.seq);
        self.time_ms.push(position.time.0);
        self.lon_deg.push(position.at.lon_deg());
        self.lat_deg.push(position.at.lat_deg());
        self.speed_mps.push(position.speed.map(events::MetresPerSecond::get));
        self.heading_deg.push(position.heading.map(events::HeadingDeg::get));
        self.edge.push(position.edge.map(|fix| (fix.edge_id, fix.pos_m)));
        self.received_ms.push(received.0);
    }
}

impl Detectors {
    /// Rows.
    pub fn len(&self) -> usize {
        self.end_ms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.end_ms.is_empty()
    }

    pub(crate) fn push(&mut self, interval: DetectorInterval, received: TimeMs) {
        self.source.push(interval.source);
        self.seq.push(interval.seq);
        self.start_ms.push(interval.start.0);
        self.end_ms.push(interval.end.0);
        self.lon_deg.push(interval.at.map(events::LonLat::lon_deg));
        self.lat_deg.push(interval.at.map(events::LonLat::lat_deg));
        self.count.push(interval.count);
        self.occupancy.push(interval.occupancy);
        self.speed_mps.push(interval.speed.map(events::MetresPerSecond::get));
        self.received_ms.push(received.0);
    }
}

impl Signals {
    /// Rows.
    pub fn len(&self) -> usize {
        self.time_ms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.time_ms.is_empty()
    }

    pub(crate) fn push(&mut self, change: SignalChange, received: TimeMs) {
        self.source.push(change.source);
        self.seq.push(change.seq);
        self.time_ms.push(change.time.0);
        self.phase.push(change.phase);
        self.state.push(change.state);
        self.received_ms.push(received.0);
    }
}

impl Batch {
    /// Rows of all three tables.
    pub fn len(&self) -> usize {
        self.positions.len() + self.detectors.len() + self.signals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empties all columns; positions keep their memory, since every block has some.
    pub fn clear(&mut self) {
        let p = &mut self.positions;
        p.vehicle.clear();
        p.seq.clear();
        p.time_ms.clear();
        p.lon_deg.clear();
        p.lat_deg.clear();
        p.speed_mps.clear();
        p.heading_deg.clear();
        p.edge.clear();
        p.received_ms.clear();
        self.detectors = Detectors::default();
        self.signals = Signals::default();
    }
}
