//! One local day of the city, added up by segment and hour.
//!
//! Upstream: rows of the archive. Downstream: [`super::file`], [`crate::report::bottlenecks`].

use std::collections::HashMap;

use jiff::civil::Date;
use roads::SegmentIndex;
use rustc_hash::FxBuildHasher;

use crate::bottleneck::Bottlenecks;
use crate::pane::Totals;
use crate::report::bottlenecks::Jam;
use crate::report::place::signed;
use crate::report::{History, ReportError};
use crate::upstream::Upstream;

/// Hours of a wall clock's day.
pub const HOURS: usize = 24;

/// Minutes of an interval that bottlenecks are looked for in.
const INTERVAL_MINUTES: i64 = 5;

/// A segment in an hour, over one day or several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub distance_mm: i64,
    pub time_ms: i64,
    pub delay_ms: i64,
    pub reports: i32,
    /// Clock minutes with a vehicle.
    pub minutes: i32,
    /// At least so many pseudonyms: the most of one row, added up over days.
    pub vehicles_min: i32,
    /// Days with a vehicle.
    pub days: i32,
}

/// A row of the day, for bottlenecks.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Interval since the begin of the day.
    interval: u16,
    vehicles_min: u16,
    segment: u32,
    distance_m: f32,
    time_s: f32,
    delay_s: f32,
}

/// The sums of a day. 1 KiB a segment.
#[derive(Clone, Debug)]
pub struct DaySums {
    /// By id: (segment, index in the network).
    pub segments: Vec<(i64, SegmentIndex)>,
    pub length_mm: Vec<i32>,
    pub free_flow_mmps: Vec<i32>,
    sums: Vec<Sum>,
    rows: Vec<Row>,
    start_ms: i64,
}

impl DaySums {
    /// Adds up a day. Segments that are not on this network any more are left out.
    ///
    /// # Errors
    /// Whatever the archive says.
    pub fn of(history: &History, date: Date) -> Result<Self, ReportError> {
        let network = &history.network;
        let mut segments: Vec<_> = network.indices().map(|at| (signed(network.segment(at).id), at)).collect();
        segments.sort_unstable();
        let row_of: HashMap<i64, usize, FxBuildHasher> = segments.iter().enumerate().map(|(i, s)| (s.0, i)).collect();
        let clock = history.clock(&(date..=date))?;
        let length_mm = |s: &(i64, SegmentIndex)| (network.segment(s.1).length_m * 1_000.0).round() as i32;
        let free = |s: &(i64, SegmentIndex)| (network.segment(s.1).free_flow_mps() * 1_000.0).round() as i32;
        let mut day = Self {
            length_mm: segments.iter().map(length_mm).collect(),
            free_flow_mmps: segments.iter().map(free).collect(),
            sums: vec![Sum::default(); segments.len() * HOURS],
            rows: Vec::new(),
            start_ms: clock.span_ms().start,
            segments,
        };
        history.archive.each_row(&clock.span_ms(), |rows| {
            for row in 0..rows.len() {
                let Some(&at) = row_of.get(&rows.segment[row]) else { continue };
                let Some(local) = clock.at(rows.start_ms[row]) else { continue };
                let vehicles_min = rows.vehicles_min(row);
                let sum = &mut day.sums[at * HOURS + local.minute as usize / 60];
                sum.distance_mm += rows.distance_mm[row];
                sum.time_ms += rows.time_ms[row];
                sum.delay_ms += rows.delay_ms[row];
                sum.reports += rows.reports[row];
                sum.minutes += rows.minutes[row];
                sum.vehicles_min = sum.vehicles_min.max(vehicles_min);
                sum.days = 1;
                day.free_flow_mmps[at] = rows.free_flow_mmps[row];
                let minutes = (rows.start_ms[row] - day.start_ms) / 60_000;
                day.rows.push(Row {
                    interval: (minutes / INTERVAL_MINUTES) as u16,
                    vehicles_min: u16::try_from(vehicles_min).unwrap_or(u16::MAX),
                    segment: day.segments[at].1.0,
                    distance_m: rows.distance_mm[row] as f32 / 1_000.0,
                    time_s: rows.time_ms[row] as f32 / 1_000.0,
                    delay_s: rows.delay_ms[row] as f32 / 1_000.0,
                });
            }
        })?;
        Ok(day)
    }

    /// The sums alone: what bottlenecks are found in is let go.
    #[must_use]
    pub fn without_rows(self) -> Self {
        Self { rows: Vec::new(), ..self }
    }

    /// A segment (row of [`DaySums::segments`]) in an hour.
    pub fn sum(&self, at: usize, hour: usize) -> &Sum {
        &self.sums[at * HOURS + hour]
    }

    /// Adds sums of other days to one of these.
    pub fn add(&mut self, at: usize, hour: usize, other: &Sum) {
        let sum = &mut self.sums[at * HOURS + hour];
        *sum = Sum {
            distance_mm: sum.distance_mm + other.distance_mm,
            time_ms: sum.time_ms + other.time_ms,
            delay_ms: sum.delay_ms + other.delay_ms,
            reports: sum.reports + other.reports,
            minutes: sum.minutes + other.minutes,
            vehicles_min: sum.vehicles_min + other.vehicles_min,
            days: sum.days + other.days,
        };
    }

    /// Adds another day of the same network.
    pub fn merge(&mut self, other: &Self) {
        for at in 0..self.segments.len() {
            for hour in 0..HOURS {
                self.add(at, hour, other.sum(at, hour));
            }
        }
    }

    /// Where it jammed on that day: the live rule ([`crate::bottleneck`]) over the day's intervals of five minutes. It
    /// begins anew every day, so the first of a queue over midnight are not counted.
    pub fn bottlenecks(&mut self, history: &History) -> Vec<Jam> {
        let network = &history.network;
        let mut free_mps = vec![0.0; network.segments().len()];
        for (&(_, at), free) in self.segments.iter().zip(&self.free_flow_mmps) {
            free_mps[at.at()] = f64::from(*free) / 1_000.0;
        }
        let upstream = Upstream::new(network);
        self.rows.sort_unstable_by_key(|r| (r.interval, r.segment));
        let mut found = Bottlenecks::default();
        let mut jams: HashMap<SegmentIndex, Jam, FxBuildHasher> = HashMap::default();
        let last = self.rows.last().map_or(0, |r| r.interval);
        let mut rows = &self.rows[..];
        for interval in 0..=last {
            let (now, rest) = rows.split_at(rows.partition_point(|r| r.interval <= interval));
            rows = rest;
            let start_ms = self.start_ms + i64::from(interval) * INTERVAL_MINUTES * 60_000;
            found.interval(network, &upstream, start_ms, &totals(now), &free_mps);
            for one in found.sustained() {
                let jam = jams.entry(one.head).or_insert_with(|| Jam {
                    segment: network.segment(one.head).id.to_string(),
                    minutes: 0,
                    delay_vehicle_h: 0.0,
                    vehicles_min: 0,
                });
                jam.minutes += INTERVAL_MINUTES as u32;
                jam.delay_vehicle_h += one.delay_veh_h;
                jam.vehicles_min = jam.vehicles_min.max(one.vehicles as u32);
            }
        }
        let mut jams: Vec<Jam> = jams.into_values().collect();
        jams.sort_by(|a, b| b.delay_vehicle_h.total_cmp(&a.delay_vehicle_h).then(a.segment.cmp(&b.segment)));
        jams
    }
}

/// Rows of one interval, by segment, as one sum a segment.
fn totals(rows: &[Row]) -> Totals {
    let mut totals = Totals::default();
    for row in rows {
        if totals.segment.last() != Some(&row.segment) {
            totals.segment.push(row.segment);
            totals.distance_m.push(0.0);
            totals.time_s.push(0.0);
            totals.delay_s.push(0.0);
            totals.events.push(0);
            totals.vehicles.push(0);
        }
        let at = totals.segment.len() - 1;
        totals.distance_m[at] += f64::from(row.distance_m);
        totals.time_s[at] += f64::from(row.time_s);
        totals.delay_s[at] += f64::from(row.delay_s);
        totals.vehicles[at] = totals.vehicles[at].max(u64::from(row.vehicles_min));
    }
    totals
}
