//! Every trip: from where to where, how long, how far, how long it stood, and how it ended.
//!
//! Upstream: the steps of the world. Downstream: the table of trips. Trips are kept by the slot of the vehicle, so
//! never more than vehicles at once; a finished one goes to the caller with the second in which it ended.

use events::TimeMs;
use roads::SegmentIndex;

use crate::vehicle::{STANDING_MM_S, VehicleId};
use crate::world::{Outcome, Step};

/// One trip, as it was driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TripDone {
    pub vehicle: VehicleId,
    /// Begin of the first second on the road, end of the last.
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
    /// `None`: still on the road when the run ended.
    pub outcome: Option<Outcome>,
}

/// The trips that run.
#[derive(Debug, Default)]
pub struct Trips {
    by_slot: Vec<Option<TripDone>>,
}

impl Trips {
    /// Adds one second; trips that end in it are added to `done`, in the order in which the world names them.
    pub fn observe(&mut self, step: &Step<'_>, done: &mut Vec<TripDone>) {
        for one in step.moves {
            let slot = one.slot as usize;
            if slot >= self.by_slot.len() {
                self.by_slot.resize(slot + 1, None);
            }
            let trip = self.by_slot[slot].get_or_insert(TripDone {
                vehicle: one.vehicle,
                begin: step.start,
                end: step.start,
                from: one.segment,
                from_mm: one.from_mm,
                to: one.segment,
                to_mm: one.to_mm,
                distance_mm: 0,
                standing_ms: 0,
                outcome: None,
            });
            debug_assert_eq!(trip.vehicle, one.vehicle, "the world names every trip that ends");
            (trip.to, trip.to_mm, trip.end) = (one.segment, one.to_mm, step.end);
            trip.distance_mm += one.to_mm - one.from_mm;
            if one.speed_mm_s < STANDING_MM_S {
                trip.standing_ms += one.end_ms - one.begin_ms;
            }
        }
        for ended in step.ended {
            // Who ends without having moved for a second has no trip.
            let trip = self.by_slot.get_mut(ended.slot as usize).and_then(Option::take);
            done.extend(trip.map(|trip| TripDone { outcome: Some(ended.outcome), ..trip }));
        }
    }

    /// The trips that are still on the road, by slot.
    pub fn finish(self) -> impl Iterator<Item = TripDone> {
        self.by_slot.into_iter().flatten()
    }
}
