//! Every trip: from where to where, how long, how far, how long it stood, and how it ended.
//!
//! Upstream: the steps of the world. Downstream: the table of trips. Only the trips of vehicles on the road are kept,
//! and those that ended less than [`SWEEP_S`] ago: a trip is over when its vehicle is not among the moves any more.

use events::TimeMs;
use roads::SegmentIndex;
use rustc_hash::FxHashMap;

use crate::vehicle::{STANDING_MM_S, VehicleId};
use crate::world::Step;

/// Trips that are over are looked for this often, seconds.
const SWEEP_S: i64 = 10;

/// How a trip ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Where it wanted to go: the rule against gridlock takes nobody off the road.
    Arrived,
}

/// One trip, as it was driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TripDone {
    pub vehicle: VehicleId,
    /// When it entered, and the end of its last second.
    pub begin: TimeMs,
    pub end: TimeMs,
    pub from: SegmentIndex,
    /// Front bumper from the begin of the segment.
    pub from_mm: i64,
    pub to: SegmentIndex,
    pub to_mm: i64,
    pub distance_mm: i64,
    /// Time slower than [`STANDING_MM_S`].
    pub standing_ms: i64,
    /// `None`: among the moves of the last second of the run.
    pub outcome: Option<Outcome>,
}

/// The trips that run.
#[derive(Debug, Default)]
pub struct Trips {
    running: FxHashMap<VehicleId, TripDone>,
    now: TimeMs,
}

impl Trips {
    /// Adds one second; now and then the trips that have ended are added to `done`, by end and vehicle.
    pub fn observe(&mut self, step: &Step<'_>, done: &mut Vec<TripDone>) {
        for one in step.moves() {
            let trip = self.running.entry(one.vehicle).or_insert(TripDone {
                vehicle: one.vehicle,
                begin: TimeMs(step.start.0 + one.begin_ms),
                end: step.start,
                from: one.segment,
                from_mm: one.from_mm,
                to: one.segment,
                to_mm: one.to_mm,
                distance_mm: 0,
                standing_ms: 0,
                outcome: None,
            });
            (trip.to, trip.to_mm, trip.end) = (one.segment, one.to_mm, step.end);
            trip.distance_mm += one.to_mm - one.from_mm;
            if one.speed_mm_s < i64::from(STANDING_MM_S) {
                trip.standing_ms += one.end_ms - one.begin_ms;
            }
        }
        self.now = step.end;
        if step.end.0 % (1_000 * SWEEP_S) == 0 {
            self.sweep(done);
        }
    }

    /// The trips that ended since the last second with a sweep, and those that are still on the road.
    pub fn finish(mut self, done: &mut Vec<TripDone>) {
        self.sweep(done);
        let begin = done.len();
        done.extend(self.running.into_values());
        done[begin..].sort_unstable_by_key(|trip| trip.vehicle);
    }

    fn sweep(&mut self, done: &mut Vec<TripDone>) {
        let (now, begin) = (self.now, done.len());
        self.running.retain(|_, trip| {
            let is_over = trip.end < now;
            if is_over {
                done.push(TripDone { outcome: Some(Outcome::Arrived), ..*trip });
            }
            !is_over
        });
        done[begin..].sort_unstable_by_key(|trip| (trip.end, trip.vehicle));
    }
}
