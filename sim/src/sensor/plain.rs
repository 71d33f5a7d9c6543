//! The short way of exact sensors: everybody who is due says where he is at the end of the second, and nothing else matters.
//!
//! Whoever is seen is first gathered in a batch, then looked up (all of a batch, side by side: a vehicle's entry lies
//! anywhere in memory, and waiting for one need not wait for the one before), then placed. A probe's own memory is not
//! touched at all. What is reported equals what the long way reports without faults, and a test says so.
//! Upstream: the steps of the world. Downstream: reports.

use super::Sensors;
use super::probe::Setup;
use super::report::{PositionReport, Reports, place_e9};
use crate::world::{Move, Seen, Step};

/// Vehicles of a batch: their rows stay in the nearest cache.
const BATCH: usize = 256;

/// Seen and not yet reported, at most [`BATCH`]; with the number of the report, 0 for none.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Vec<(Seen, u32)>);

impl Sensors {
    /// Takes in one second of the world.
    pub(super) fn see_all(&mut self, step: &Step<'_>, out: &mut Reports) {
        step.crossed().for_each(|one| self.see_move(&one, out));
        // Gone through from within, lane by lane: a loop would ask a chain of iterators for every single vehicle.
        step.lanes().for_each(|on| {
            if self.has_loops(on.segment()) {
                on.moves().for_each(|one| self.pass_loops(&one));
            }
            on.seen().for_each(|seen| self.see(seen, out));
        });
    }

    /// Takes in one move.
    #[inline]
    pub(super) fn see_move(&mut self, one: &Move, out: &mut Reports) {
        if self.has_loops(one.segment) {
            self.pass_loops(one);
        }
        if one.last {
            let Move { vehicle, slot, segment, .. } = *one;
            let (at_mm, speed_mm_s) = (one.to_mm as i32, one.speed_mm_s as i32);
            self.see(Seen { vehicle, slot, segment, at_mm, speed_mm_s }, out);
        }
    }

    #[inline]
    fn see(&mut self, seen: Seen, out: &mut Reports) {
        self.waiting.0.push((seen, 0));
        if self.waiting.0.len() >= BATCH {
            self.report_seen(out);
        }
    }

    /// Reports those who were seen, if they are due.
    #[inline(never)]
    pub(super) fn report_seen(&mut self, out: &mut Reports) {
        let setup = Setup { seed: self.seed, config: &self.config };
        for (seen, seq) in &mut self.waiting.0 {
            *seq = self.probes.due_plainly(seen.slot, seen.vehicle, self.steps, &setup);
        }
        let Some((first, _)) = self.waiting.0.first() else { return };
        // Who is seen after another is on the same street, mostly.
        let (mut segment, mut street) = (first.segment, self.places.of(first.segment));
        for (seen, seq) in self.waiting.0.drain(..).filter(|(_, seq)| *seq > 0) {
            if seen.segment != segment {
                (segment, street) = (seen.segment, self.places.of(seen.segment));
            }
            let ([lon_deg, lat_deg], heading_ddeg) = street.at(f64::from(seen.at_mm) / 1_000.0);
            let ([lon_e7, lat_e7], rest_e9) = place_e9(lon_deg, lat_deg);
            out.positions.push(PositionReport {
                vehicle: seen.vehicle.0,
                seq,
                time_ms: out.end.0,
                arrival_ms: out.end.0,
                lon_e7,
                lat_e7,
                rest_e9,
                speed_mm_s: seen.speed_mm_s.max(0) as u32,
                heading_ddeg,
                segment: seen.segment.0,
                offset_mm: seen.at_mm.max(0) as u32,
            });
        }
    }
}
