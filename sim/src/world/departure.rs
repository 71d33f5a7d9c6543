//! Entering and leaving the road: new trips, a gap to enter in, arrival, giving up.
//!
//! A trip begins at a standstill in the middle of its first segment, where there is a gap, and ends in the
//! middle of its last. Upstream: demand. Downstream: the rest of the world.

use std::collections::VecDeque;

use roads::SegmentIndex;

use super::{Force, Forced, GIVE_UP_AFTER_S, REROUTE_AFTER_S, STUCK_AFTER_S, Waiting, World};
use crate::lane::LaneIndex;
use crate::random::{Stream, below, normal};
use crate::vehicle::{
    FACTOR_PERMILLE_DEVIATION, FACTOR_PERMILLE_MAX, FACTOR_PERMILLE_MIN, LENGTH_MM, MIN_GAP_MM, Slot, Vehicle,
    VehicleId, is_safe,
};

/// A trip that has found no gap for so long is given up, seconds.
const ENTER_WITHIN_S: u64 = 60;

/// Longest time between the end of one trip and the begin of the next, seconds.
const PAUSE_S_MAX: u64 = 30;

/// Draws for one trip, each with other places, until two are connected.
const ATTEMPTS_MAX: u64 = 4;

/// Blocked vehicles look for another way this often, seconds.
const REROUTE_EVERY_S: u32 = 10;

impl World {
    /// Draws trips up to the wanted number, and lets in whoever finds a gap.
    pub(super) fn depart(&mut self) {
        self.draw_trips();
        for _ in 0..self.waiting.len() {
            let Some(trip) = self.waiting.pop_front() else { break };
            if trip.depart_step > self.step {
                self.waiting.push_back(trip);
            } else if let Some((lane, index)) = self.gap_for(&trip) {
                self.enter(trip, lane, index);
            } else if self.step - trip.depart_step >= ENTER_WITHIN_S {
                self.counters.no_room += 1;
            } else {
                self.waiting.push_back(trip);
            }
        }
    }

    /// Arrivals leave the road; so does who gives up.
    pub(super) fn leave(&mut self) {
        for slot in 0..self.vehicles.len() {
            if !self.is_active[slot] {
                continue;
            }
            let vehicle = &self.vehicles[slot];
            let segment = vehicle.route[vehicle.leg];
            let is_there =
                vehicle.leg + 1 == vehicle.route.len() && vehicle.pos_mm >= self.lanes.length_mm(segment) / 2;
            if is_there {
                self.counters.arrived += 1;
                self.remove(slot);
            } else if vehicle.blocked_s >= GIVE_UP_AFTER_S || vehicle.standing_s >= STUCK_AFTER_S {
                self.counters.gave_up += 1;
                self.forced.push(Forced { vehicle: vehicle.id, segment, what: Force::Removed });
                self.remove(slot);
            } else if vehicle.blocked_s >= REROUTE_AFTER_S && vehicle.blocked_s.is_multiple_of(REROUTE_EVERY_S) {
                self.reroute(slot);
            }
        }
    }

    fn draw_trips(&mut self) {
        let wanted = self.scenario.vehicles as usize;
        let missing = wanted.saturating_sub(self.vehicles_on_road() + self.waiting.len());
        // At the begin the city fills over some seconds; later a trip is drawn for each that ended.
        for _ in 0..missing.min(20 + wanted / 20) {
            let id = VehicleId(self.next_id);
            self.next_id += 1;
            let route = (0..ATTEMPTS_MAX).find_map(|attempt| self.demand.trip(&self.network, id, attempt));
            let Some(route) = route else {
                self.counters.unroutable += 1;
                continue;
            };
            let pause = below(PAUSE_S_MAX + 1, self.scenario.seed, id.0, 0, Stream::Departure);
            self.waiting.push_back(Waiting { id, route, depart_step: self.step + pause });
        }
    }

    /// A lane with a gap in its middle, and the place in its order.
    fn gap_for(&self, trip: &Waiting) -> Option<(LaneIndex, usize)> {
        let way = self.ways.find(&self.network, trip.route[0], trip.route[1]);
        let lanes = self.network.segment(trip.route[0]).lanes.max(1);
        let mut usable: Vec<LaneIndex> = self
            .lanes
            .of(trip.route[0])
            .filter(|lane| self.ways.is_usable(way, self.lanes.get(*lane).number, lanes))
            .collect();
        usable.sort_by_key(|lane| (self.lanes.get(*lane).order.len(), *lane));
        usable.into_iter().find_map(|lane| self.gap_in(lane).map(|index| (lane, index)))
    }

    fn gap_in(&self, at: LaneIndex) -> Option<usize> {
        let lane = self.lanes.get(at);
        if lane.is_full() {
            return None;
        }
        let middle = lane.length_mm / 2;
        let index = lane.order.partition_point(|slot| self.pos_on(*slot, at) >= middle);
        let rear = index.checked_sub(1).map(|i| self.pos_on(lane.order[i], at));
        let rear = rear.or_else(|| self.tail_of(lane).map(|(_, front)| front));
        if rear.is_some_and(|front| front - LENGTH_MM - MIN_GAP_MM < middle) {
            return None;
        }
        let Some(&behind) = lane.order.get(index) else { return Some(index) };
        let follower = &self.vehicles[behind];
        // Who has already been let beyond this lane would be overtaken in the order of the next.
        let goes_on = lane.order[index..].iter().any(|slot| self.vehicles[*slot].last_cleared() != at);
        let gap = middle - LENGTH_MM - MIN_GAP_MM - self.pos_on(behind, at);
        (!goes_on && is_safe(follower.speed_mm_s, gap, 0)).then_some(index)
    }

    fn enter(&mut self, trip: Waiting, lane: LaneIndex, index: usize) {
        let seed = self.scenario.seed;
        let deviation = normal(seed, trip.id.0, 0, Stream::SpeedFactor) * FACTOR_PERMILLE_DEVIATION;
        let vehicle = Vehicle {
            id: trip.id,
            lane,
            pos_mm: self.lanes.get(lane).length_mm / 2,
            speed_mm_s: 0,
            odometer_mm: 0,
            factor_permille: (1_000 + deviation as i64).clamp(FACTOR_PERMILLE_MIN, FACTOR_PERMILLE_MAX),
            route: trip.route,
            leg: 0,
            cleared: VecDeque::new(),
            waiting_since: None,
            blocked_s: 0,
            standing_s: 0,
        };
        let slot = self.place(vehicle);
        self.lanes.get_mut(lane).order.insert(index, slot);
        self.counters.departed += 1;
    }

    fn place(&mut self, vehicle: Vehicle) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.vehicles[slot] = vehicle;
            self.is_active[slot] = true;
            return slot;
        }
        self.vehicles.push(vehicle);
        self.is_active.push(true);
        self.next_mm_s.push(0);
        self.vehicles.len() - 1
    }

    fn remove(&mut self, slot: Slot) {
        self.withdraw(slot, 0);
        let lane = self.vehicles[slot].lane;
        self.lanes.get_mut(lane).order.retain(|other| *other != slot);
        self.is_active[slot] = false;
        self.free.push(slot);
    }

    /// Another way out of a gridlock: the first successor with room from which the destination can be reached.
    fn reroute(&mut self, slot: Slot) {
        let vehicle = &self.vehicles[slot];
        let here = vehicle.route[vehicle.leg];
        let (Some(&wanted), Some(&destination)) = (vehicle.route.get(vehicle.leg + 1), vehicle.route.last()) else {
            return;
        };
        if !vehicle.cleared.is_empty() {
            return;
        }
        let lane = self.lanes.get(vehicle.lane);
        let lanes = self.network.segment(here).lanes.max(1);
        let has_room = |to: SegmentIndex| self.lanes.of(to).any(|l| !self.lanes.get(l).is_full());
        let network = self.network.clone();
        for &to in network.successors(here) {
            let way = self.ways.find(&network, here, to);
            if to == wanted || !has_room(to) || !self.ways.is_usable(way, lane.number, lanes) {
                continue;
            }
            if let Some(rest) = self.demand.route(&network, to, destination) {
                let vehicle = &mut self.vehicles[slot];
                vehicle.route.truncate(vehicle.leg + 1);
                vehicle.route.extend(rest);
                vehicle.blocked_s = 0;
                let vehicle = vehicle.id;
                self.forced.push(Forced { vehicle, segment: here, what: Force::Rerouted });
                self.counters.rerouted += 1;
                return;
            }
        }
    }
}
