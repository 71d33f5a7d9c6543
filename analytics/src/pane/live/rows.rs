//! The columns of one window: rows that change are put in place, all others stay.
//!
//! Upstream: [`super::Live`]. Downstream: readers of [`Totals`], who share them until the next tick. Bounded by the
//! network.

use std::sync::Arc;

use super::Delayed;
use crate::pane::Totals;

/// One segment of one window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) segment: u32,
    pub(super) of: Delayed,
    pub(super) vehicles: u32,
}

/// The columns, and what is to be put into them.
#[derive(Debug, Default)]
pub(super) struct Rows {
    totals: Arc<Totals>,
    /// The columns while rows are put into them.
    open: Totals,
    /// By segment: its row plus one, 0 while it has none.
    place: Vec<u32>,
    /// Rows of segments that are new or gone, in order of segment.
    other: Vec<Row>,
}

impl Row {
    fn is_driven(&self) -> bool {
        self.of.sum.time_ms > 0
    }
}

impl Rows {
    /// Opens the columns. Whoever still reads those of the tick before keeps them.
    pub(super) fn begin(&mut self) {
        self.open = Arc::unwrap_or_clone(std::mem::take(&mut self.totals));
    }

    /// Puts a row that may have changed; they come in order of segment.
    pub(super) fn put(&mut self, row: Row) {
        let place = self.place.get(row.segment as usize).copied().unwrap_or(0);
        match (place, row.is_driven()) {
            (0, false) => {}
            (0, true) | (_, false) => self.other.push(row),
            (place, true) => self.open.put(place as usize - 1, &row),
        }
    }

    /// Closes the columns again.
    pub(super) fn end(&mut self, vehicles_everywhere: u64) {
        let Self { totals, open, place, other } = self;
        let mut columns = std::mem::take(open);
        if !other.is_empty() {
            columns = merged(&columns, place, other);
            place.clear();
            place.resize(columns.segment.last().map_or(0, |last| *last as usize + 1), 0);
            for (row, segment) in columns.segment.iter().enumerate() {
                place[*segment as usize] = row as u32 + 1;
            }
            *other = Vec::new();
        }
        columns.vehicles_everywhere = vehicles_everywhere;
        *totals = Arc::new(columns);
    }

    pub(super) fn totals(&self) -> &Arc<Totals> {
        &self.totals
    }
}

/// The columns with new rows put in between and those of segments that nobody drives any more left out.
fn merged(old: &Totals, place: &[u32], other: &[Row]) -> Totals {
    let mut new = Totals::with_room(old.segment.len() + other.len());
    let mut next = 0;
    for row in other {
        let known = place.get(row.segment as usize).filter(|place| **place > 0);
        let until = known.map_or_else(
            || next + old.segment[next..].partition_point(|segment| *segment < row.segment),
            |place| *place as usize - 1,
        );
        new.extend(old, next..until);
        next = until + usize::from(known.is_some());
        if row.is_driven() {
            new.push(row);
        }
    }
    new.extend(old, next..old.segment.len());
    new
}

impl Totals {
    fn with_room(rows: usize) -> Self {
        Self {
            segment: Vec::with_capacity(rows),
            distance_m: Vec::with_capacity(rows),
            time_s: Vec::with_capacity(rows),
            events: Vec::with_capacity(rows),
            delay_s: Vec::with_capacity(rows),
            vehicles: Vec::with_capacity(rows),
            vehicles_everywhere: 0,
        }
    }

    fn put(&mut self, at: usize, row: &Row) {
        (self.distance_m[at], self.time_s[at], self.delay_s[at]) = row.of.in_units();
        self.events[at] = row.of.sum.events;
        self.vehicles[at] = row.vehicles.into();
    }

    fn push(&mut self, row: &Row) {
        self.push_sums(row.segment, &row.of);
        self.vehicles.push(row.vehicles.into());
    }

    /// Appends a row but for its vehicles.
    pub(in crate::pane) fn push_sums(&mut self, segment: u32, of: &Delayed) {
        let (distance_m, time_s, delay_s) = of.in_units();
        self.segment.push(segment);
        self.distance_m.push(distance_m);
        self.time_s.push(time_s);
        self.events.push(of.sum.events);
        self.delay_s.push(delay_s);
    }

    fn extend(&mut self, from: &Self, rows: std::ops::Range<usize>) {
        self.segment.extend_from_slice(&from.segment[rows.clone()]);
        self.distance_m.extend_from_slice(&from.distance_m[rows.clone()]);
        self.time_s.extend_from_slice(&from.time_s[rows.clone()]);
        self.events.extend_from_slice(&from.events[rows.clone()]);
        self.delay_s.extend_from_slice(&from.delay_s[rows.clone()]);
        self.vehicles.extend_from_slice(&from.vehicles[rows]);
    }
}

impl Delayed {
    /// Metres, seconds, seconds of delay.
    fn in_units(&self) -> (f64, f64, f64) {
        (self.sum.distance_mm as f64 / 1_000.0, self.sum.time_ms as f64 / 1_000.0, self.delay_ns as f64 / 1e9)
    }
}
