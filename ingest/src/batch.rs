//! Accepted events as columns, in memory as they are stored and as analytics reads them.
//!
//! Upstream: [`crate::decode`], which pushes; the gate, which removes duplicates. Downstream: the spool (through `batch/columns.rs`, as Arrow) and analytics.
//! All columns of a table have the same length; a push keeps it so.

mod columns;

use events::codec::json::PlainPosition;
use events::{DetectorInterval, Journey, SignalChange, SignalState, TimeMs};

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
    /// The line that a bus is driving on.
    pub journey: Vec<Option<Box<Journey>>>,
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

    pub(crate) fn push(
        &mut self,
        vehicle: u64,
        position: PlainPosition<'_>,
        journey: Option<Box<Journey>>,
        received: TimeMs,
    ) {
        self.vehicle.push(vehicle);
        self.seq.push(position.seq);
        self.time_ms.push(position.time.0);
        self.lon_deg.push(position.at.lon_deg());
        self.lat_deg.push(position.at.lat_deg());
        self.speed_mps.push(position.speed.map(events::MetresPerSecond::get));
        self.heading_deg.push(position.heading.map(events::HeadingDeg::get));
        self.edge.push(position.edge.map(|(edge_id, pos_m)| (edge_id.to_owned(), pos_m)));
        self.journey.push(journey);
        self.received_ms.push(received.0);
    }

    /// Takes the rows of `other`, which keeps its memory.
    fn append(&mut self, other: &mut Self) {
        let Self { vehicle, seq, time_ms, lon_deg, lat_deg, speed_mps, heading_deg, edge, journey, received_ms } =
            other;
        self.vehicle.append(vehicle);
        self.seq.append(seq);
        self.time_ms.append(time_ms);
        self.lon_deg.append(lon_deg);
        self.lat_deg.append(lat_deg);
        self.speed_mps.append(speed_mps);
        self.heading_deg.append(heading_deg);
        self.edge.append(edge);
        self.journey.append(journey);
        self.received_ms.append(received_ms);
    }

    /// Takes back the rows from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        let Self { vehicle, seq, time_ms, lon_deg, lat_deg, speed_mps, heading_deg, edge, journey, received_ms } = self;
        vehicle.truncate(rows);
        seq.truncate(rows);
        time_ms.truncate(rows);
        lon_deg.truncate(rows);
        lat_deg.truncate(rows);
        speed_mps.truncate(rows);
        heading_deg.truncate(rows);
        edge.truncate(rows);
        journey.truncate(rows);
        received_ms.truncate(rows);
    }

    /// Removes rows, given in ascending order.
    pub(crate) fn remove(&mut self, rows: &[usize]) {
        let Self { vehicle, seq, time_ms, lon_deg, lat_deg, speed_mps, heading_deg, edge, journey, received_ms } = self;
        remove(vehicle, rows);
        remove(seq, rows);
        remove(time_ms, rows);
        remove(lon_deg, rows);
        remove(lat_deg, rows);
        remove(speed_mps, rows);
        remove(heading_deg, rows);
        remove(edge, rows);
        remove(journey, rows);
        remove(received_ms, rows);
    }
}

/// Removes entries of a column at ascending places.
fn remove<T>(column: &mut Vec<T>, rows: &[usize]) {
    let (mut at, mut gone) = (0, rows.iter().copied().peekable());
    column.retain(|_| {
        at += 1;
        gone.next_if_eq(&(at - 1)).is_none()
    });
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

    /// Takes the rows of `other`, which keeps its memory.
    fn append(&mut self, other: &mut Self) {
        let Self { source, seq, start_ms, end_ms, lon_deg, lat_deg, count, occupancy, speed_mps, received_ms } = other;
        self.source.append(source);
        self.seq.append(seq);
        self.start_ms.append(start_ms);
        self.end_ms.append(end_ms);
        self.lon_deg.append(lon_deg);
        self.lat_deg.append(lat_deg);
        self.count.append(count);
        self.occupancy.append(occupancy);
        self.speed_mps.append(speed_mps);
        self.received_ms.append(received_ms);
    }

    /// Removes rows, given in ascending order.
    pub(crate) fn remove(&mut self, rows: &[usize]) {
        let Self { source, seq, start_ms, end_ms, lon_deg, lat_deg, count, occupancy, speed_mps, received_ms } = self;
        remove(source, rows);
        remove(seq, rows);
        remove(start_ms, rows);
        remove(end_ms, rows);
        remove(lon_deg, rows);
        remove(lat_deg, rows);
        remove(count, rows);
        remove(occupancy, rows);
        remove(speed_mps, rows);
        remove(received_ms, rows);
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

    /// Takes the rows of `other`, which keeps its memory.
    fn append(&mut self, other: &mut Self) {
        let Self { source, seq, time_ms, phase, state, received_ms } = other;
        self.source.append(source);
        self.seq.append(seq);
        self.time_ms.append(time_ms);
        self.phase.append(phase);
        self.state.append(state);
        self.received_ms.append(received_ms);
    }

    /// Removes rows, given in ascending order.
    pub(crate) fn remove(&mut self, rows: &[usize]) {
        let Self { source, seq, time_ms, phase, state, received_ms } = self;
        remove(source, rows);
        remove(seq, rows);
        remove(time_ms, rows);
        remove(phase, rows);
        remove(state, rows);
        remove(received_ms, rows);
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

    /// Takes the rows of `other`, which keeps its memory.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.positions.append(&mut other.positions);
        self.detectors.append(&mut other.detectors);
        self.signals.append(&mut other.signals);
    }

    /// Empties all columns; positions keep their memory, since every block has some.
    pub fn clear(&mut self) {
        self.positions.truncate(0);
        self.detectors = Detectors::default();
        self.signals = Signals::default();
    }
}
