//! Motion: the speed of everybody for the coming second, and moving by it.
//!
//! Upstream: clearance. Downstream: the moves that truth and sensors read.

use roads::SegmentIndex;

use super::{Move, World};
use crate::lane::{LaneIndex, Left};
use crate::random::{Stream, bits};
use crate::vehicle::{LENGTH_MM, MIN_GAP_MM, Slot, brake_mm, is_safe, next_speed_mm_s, safe_speed_mm_s};

impl World {
    /// Chooses everybody's speed from the state at the begin of the second.
    pub(super) fn choose_speeds(&mut self) {
        self.next_mm_s.fill(i64::MAX);
        for lane in 0..self.lanes.all.len() {
            self.follow(LaneIndex(lane as u32));
        }
        for slot in 0..self.vehicles.len() {
            if !self.is_active[slot] {
                continue;
            }
            let vehicle = &self.vehicles[slot];
            let allowed = self.next_mm_s[slot]
                .min(self.desired_mm_s(slot))
                .min(safe_speed_mm_s(self.to_wall_mm(slot)))
                .min(self.slowing_mm_s(slot));
            let dawdle = bits(self.scenario.seed, vehicle.id.0, self.step, Stream::Dawdle) as u32;
            self.next_mm_s[slot] = next_speed_mm_s(vehicle.speed_mm_s, allowed, dawdle);
        }
    }

    /// Moves everybody by his speed, and writes down how.
    pub(super) fn advance(&mut self) {
        self.moves.clear();
        for slot in 0..self.vehicles.len() {
            if !self.is_active[slot] {
                continue;
            }
            let vehicle = &mut self.vehicles[slot];
            vehicle.speed_mm_s = self.next_mm_s[slot];
            vehicle.pos_mm += vehicle.speed_mm_s;
            vehicle.odometer_mm += vehicle.speed_mm_s;
            vehicle.standing_s = if vehicle.speed_mm_s == 0 { vehicle.standing_s + 1 } else { 0 };
        }
        for slot in 0..self.vehicles.len() {
            if self.is_active[slot] {
                self.cross(slot);
            }
        }
    }

    /// The speed that a driver wants on the current lane, mm/s.
    pub(super) fn desired_mm_s(&self, slot: Slot) -> i64 {
        let vehicle = &self.vehicles[slot];
        self.wanted_on(vehicle.route[vehicle.leg], vehicle.factor_permille)
    }

    fn wanted_on(&self, segment: SegmentIndex, factor_permille: i64) -> i64 {
        (f64::from(self.network.segment(segment).speed_limit_mps) * 1_000.0) as i64 * factor_permille / 1_000
    }

    /// Every two neighbours in the order of a lane follow each other there.
    fn follow(&mut self, at: LaneIndex) {
        let lane = self.lanes.get(at);
        if lane.order.is_empty() {
            return;
        }
        let tail = self.tail_of(lane).zip(lane.left);
        // A tail that has cleared the line matters no more: ways part there.
        let mut ahead = tail
            .filter(|((_, front), _)| front - LENGTH_MM - MIN_GAP_MM < lane.length_mm)
            .map(|((_, front), left)| (front, self.vehicles[left.slot].speed_mm_s));
        for &slot in &lane.order {
            let pos = self.pos_on(slot, at);
            let speed = self.vehicles[slot].speed_mm_s;
            if let Some((front, leader)) = ahead {
                let gap = front - LENGTH_MM - MIN_GAP_MM - pos;
                debug_assert!(
                    is_safe(speed, gap, leader),
                    "step {}: {speed} mm/s, gap {gap}, leader {leader}",
                    self.step
                );
                let safe = safe_speed_mm_s(gap + brake_mm(leader));
                self.next_mm_s[slot] = self.next_mm_s[slot].min(safe);
            }
            ahead = Some((pos, speed));
        }
    }

    /// The speed from which the limits of the lanes ahead can be met at their begin, mm/s.
    ///
    /// Slowing to w before a line is following somebody at the line who drives w: the same formula, except that w
    /// itself is always slow enough (or nobody would get over the last millimetres into a slow street).
    fn slowing_mm_s(&self, slot: Slot) -> i64 {
        let vehicle = &self.vehicles[slot];
        let mut to_line = self.lanes.get(vehicle.lane).length_mm - vehicle.pos_mm;
        let mut slowest = i64::MAX;
        for (i, &lane) in vehicle.cleared.iter().enumerate() {
            let wanted = self.wanted_on(vehicle.route[vehicle.leg + 1 + i], vehicle.factor_permille);
            slowest = slowest.min(safe_speed_mm_s(to_line + brake_mm(wanted)).max(wanted));
            to_line += self.lanes.get(lane).length_mm;
        }
        slowest
    }

    /// Brings a vehicle onto the lane that its front has reached, and writes down its moves.
    fn cross(&mut self, slot: Slot) {
        let way_mm = self.vehicles[slot].speed_mm_s;
        let (mut done_mm, mut done_ms) = (0, 0);
        loop {
            let vehicle = &self.vehicles[slot];
            let (id, at) = (vehicle.id, vehicle.lane);
            let lane = self.lanes.get(at);
            let (segment, number, length_mm) = (lane.segment, lane.number, lane.length_mm);
            let beyond = (vehicle.pos_mm - length_mm).max(0);
            let to_mm = vehicle.pos_mm - beyond;
            let end_mm = way_mm - beyond;
            let last = beyond == 0;
            // Constant speed within the second: time goes with distance, rounded once per line crossed.
            let end_ms = if last { 1_000 } else { (2_000 * end_mm + way_mm) / (2 * way_mm) };
            let (from_mm, begin_ms) = (to_mm - (end_mm - done_mm), done_ms);
            let speed_mm_s = way_mm;
            self.moves.push(Move {
                vehicle: id,
                slot: slot as u32,
                segment,
                lane: number,
                from_mm,
                to_mm,
                begin_ms,
                end_ms,
                speed_mm_s,
                last,
            });
            self.driven[segment.at()].0 += to_mm - from_mm;
            self.driven[segment.at()].1 += end_ms - begin_ms;
            if last {
                return;
            }
            (done_mm, done_ms) = (end_mm, end_ms);
            self.pass_line(slot, segment, beyond);
        }
    }

    fn pass_line(&mut self, slot: Slot, from: SegmentIndex, beyond: i64) {
        let vehicle = &mut self.vehicles[slot];
        let next = vehicle.cleared.pop_front().expect("nobody passes a line without leave");
        let left = Left { slot, id: vehicle.id, odometer_mm: vehicle.odometer_mm - beyond };
        let at = std::mem::replace(&mut vehicle.lane, next);
        vehicle.pos_mm = beyond;
        vehicle.leg += 1;
        self.drop_claim(slot, from);
        let rearmost =
            self.tail_of(self.lanes.get(at)).is_none_or(|(_, front)| front >= self.lanes.get(at).length_mm + beyond);
        let lane = self.lanes.get_mut(at);
        let index = lane.order.iter().position(|other| *other == slot).expect("it was on this lane");
        lane.order.remove(index);
        if rearmost {
            lane.left = Some(left);
        }
    }
}
