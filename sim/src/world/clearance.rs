//! Clearance: who may pass the end of a lane, and is thereby let onto the next.
//!
//! The end of the last lane that a vehicle has been let onto is a wall to it. Whom the wall begins to slow asks
//! to go on, first come first served; he is let on when
//! - everybody ahead of him on the lane has been let on (nobody overtakes within a lane),
//! - the signal, if there is one, is green,
//! - nobody who crosses his way has been let through and is still before the junction; and nobody whose way he
//!   crosses has waited longer than [`PATIENCE_S`] for exactly that,
//! - the next lane has room to stand for all who have been let onto it, so that nobody waits in the junction
//!   (a lane too short to stand on needs room on the lane after it),
//! - he can still keep clear of the last one let onto it before him, who becomes his leader.
//!
//! Leave is taken back only by yellow or red, and only from who can stop: who cannot, passes during yellow.
//! A vehicle therefore always moves behind leaders it can stop for. Upstream, downstream: the world.

use events::SignalState;
use roads::SegmentIndex;

use super::{CLEARED_LANES_MAX, Claim, World};
use crate::junction::WayIndex;
use crate::lane::LaneIndex;
use crate::vehicle::{ACCEL_MM_S2, LENGTH_MM, MIN_GAP_MM, Slot, brake_mm, is_safe, safe_speed_mm_s};

/// Who has waited so long for a gap gets the next one, seconds; assumed.
const PATIENCE_S: u64 = 8;

/// Why somebody may not go on yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// The route ends, or as many lanes as allowed are cleared.
    NoMore,
    NotFirst,
    Red,
    Crossed(WayIndex),
    Full,
    TooClose,
}

/// One lane that somebody is about to be let onto.
#[derive(Clone, Copy, Debug)]
struct Grant {
    /// The segment that is left.
    from: SegmentIndex,
    way: WayIndex,
    lane: LaneIndex,
}

impl World {
    /// Takes leave back from everybody who faces yellow or red and can still stop.
    pub(super) fn revoke(&mut self) {
        for slot in 0..self.vehicles.len() {
            if !self.is_active[slot] || self.vehicles[slot].cleared.is_empty() {
                continue;
            }
            let vehicle = &self.vehicles[slot];
            let brake = brake_mm(vehicle.speed_mm_s);
            let mut to_line = self.lanes.get(vehicle.lane).length_mm - vehicle.pos_mm;
            for (i, &lane) in vehicle.cleared.iter().enumerate() {
                let shown = self.signals.shown(vehicle.route[vehicle.leg + i], self.step);
                let must_stop = shown.is_some_and(|state| state != SignalState::Green);
                if must_stop && brake <= to_line {
                    self.withdraw(slot, i);
                    break;
                }
                to_line += self.lanes.get(lane).length_mm;
            }
        }
    }

    /// Lets on whoever asks and may.
    pub(super) fn clear(&mut self) {
        let mut asking: Vec<(u64, u64, Slot)> = Vec::new();
        for slot in 0..self.vehicles.len() {
            if self.is_active[slot] && self.needs_clearance(slot) {
                let since = *self.vehicles[slot].waiting_since.get_or_insert(self.step);
                asking.push((since, self.vehicles[slot].id.0, slot));
            }
        }
        asking.sort_unstable();
        let mut reserved = vec![0_u64; if asking.is_empty() { 0 } else { self.claims.len() }];
        for (since, _, slot) in asking {
            let mut refusal = None;
            while refusal.is_none() && self.needs_clearance(slot) {
                match self.grants(slot, &reserved) {
                    Ok(grants) => self.let_on(slot, &grants),
                    Err(why) => refusal = Some(why),
                }
            }
            let vehicle = &mut self.vehicles[slot];
            match refusal {
                None => (vehicle.waiting_since, vehicle.blocked_s) = (None, 0),
                Some(Refusal::Full) if vehicle.speed_mm_s == 0 => vehicle.blocked_s += 1,
                Some(Refusal::Crossed(way)) if self.step - since >= PATIENCE_S => {
                    let node = self.network.segment(vehicle.route[vehicle.leg]).to;
                    reserved[node.at()] |= self.ways.bit(way);
                }
                Some(_) => {}
            }
        }
    }

    /// Takes back leave for the lanes from the `keep`th on.
    pub(super) fn withdraw(&mut self, slot: Slot, keep: usize) {
        while self.vehicles[slot].cleared.len() > keep {
            let vehicle = &mut self.vehicles[slot];
            let from = vehicle.route[vehicle.leg + vehicle.cleared.len() - 1];
            let lane = vehicle.cleared.pop_back().expect("more than `keep` are left");
            self.lanes.get_mut(lane).order.retain(|other| *other != slot);
            self.drop_claim(slot, from);
        }
    }

    /// Forgets that a vehicle is about to leave a segment: it has, or has lost leave to.
    pub(super) fn drop_claim(&mut self, slot: Slot, from: SegmentIndex) {
        let claims = &mut self.claims[self.network.segment(from).to.at()];
        if let Some(at) = claims.iter().position(|claim| claim.slot == slot) {
            claims.remove(at);
        }
    }

    /// Position of a vehicle's front on a lane that it is on or has been let onto; negative before its begin, mm.
    pub(super) fn pos_on(&self, slot: Slot, at: LaneIndex) -> i64 {
        let vehicle = &self.vehicles[slot];
        let mut pos = vehicle.pos_mm;
        let mut lane = vehicle.lane;
        for &next in &vehicle.cleared {
            if lane == at {
                break;
            }
            pos -= self.lanes.get(lane).length_mm;
            lane = next;
        }
        pos
    }

    /// Way to the wall, mm.
    pub(super) fn to_wall_mm(&self, slot: Slot) -> i64 {
        let last = self.vehicles[slot].last_cleared();
        self.lanes.get(last).length_mm - self.pos_on(slot, last)
    }

    fn needs_clearance(&self, slot: Slot) -> bool {
        let vehicle = &self.vehicles[slot];
        if vehicle.leg + vehicle.cleared.len() + 1 >= vehicle.route.len() {
            return false;
        }
        let wanted = (vehicle.speed_mm_s + ACCEL_MM_S2).min(self.desired_mm_s(slot));
        safe_speed_mm_s(self.to_wall_mm(slot)) < wanted
    }

    /// What a vehicle may be let onto now: one lane, or several if all but the last are too short to stop on.
    fn grants(&self, slot: Slot, reserved: &[u64]) -> Result<Vec<Grant>, Refusal> {
        let vehicle = &self.vehicles[slot];
        if !self.is_first(slot) {
            return Err(Refusal::NotFirst);
        }
        let mut grants: Vec<Grant> = Vec::new();
        let mut to_line = self.to_wall_mm(slot);
        let mut at = vehicle.leg + vehicle.cleared.len();
        loop {
            let Some(&[from, to]) = vehicle.route.get(at..at + 2).and_then(|pair| pair.first_chunk()) else {
                return Err(Refusal::NoMore);
            };
            if vehicle.cleared.len() + grants.len() >= CLEARED_LANES_MAX {
                return Err(Refusal::NoMore);
            }
            if self.signals.shown(from, self.step).is_some_and(|state| state != SignalState::Green) {
                return Err(Refusal::Red);
            }
            let way = self.ways.find(&self.network, from, to);
            let node = self.network.segment(from).to.at();
            let taken = self.claims[node].iter().filter(|c| c.slot != slot).fold(reserved[node], |m, c| m | c.bit);
            if taken & self.ways.crosses(way) != 0 {
                return Err(Refusal::Crossed(way));
            }
            let (lane, stops) = self.entry(slot, to, vehicle.route.get(at + 2).copied(), to_line)?;
            grants.push(Grant { from, way, lane });
            if stops {
                return Ok(grants);
            }
            to_line += self.lanes.get(lane).length_mm;
            at += 1;
        }
    }

    /// The emptiest lane of a segment that serves the turn after it, and whether one may stop there.
    fn entry(
        &self,
        slot: Slot,
        to: SegmentIndex,
        after: Option<SegmentIndex>,
        to_line: i64,
    ) -> Result<(LaneIndex, bool), Refusal> {
        let lanes = self.network.segment(to).lanes.max(1);
        let way = after.map(|after| self.ways.find(&self.network, to, after));
        let is_usable =
            |lane: &LaneIndex| way.is_none_or(|way| self.ways.is_usable(way, self.lanes.get(*lane).number, lanes));
        let lane = self
            .lanes
            .of(to)
            .filter(is_usable)
            .min_by_key(|lane| (self.lanes.get(*lane).order.len(), *lane))
            .expect("every turn has a lane");
        let next = self.lanes.get(lane);
        // A loop back onto a lane that it still holds would give it two places in one order.
        if next.order.contains(&slot) {
            return Err(Refusal::Full);
        }
        let stops = !next.is_short() || after.is_none();
        if stops && next.is_full() {
            return Err(Refusal::Full);
        }
        let leader = next.order.last().map(|leader| (self.pos_on(*leader, lane), self.vehicles[*leader].speed_mm_s));
        let leader = leader.or_else(|| {
            let left = next.left?;
            self.tail_of(next).map(|(_, front)| (front, self.vehicles[left.slot].speed_mm_s))
        });
        let speed = self.vehicles[slot].speed_mm_s;
        let safe = leader.is_none_or(|(front, v)| is_safe(speed, front + to_line - LENGTH_MM - MIN_GAP_MM, v));
        // Whoever is far beyond the end of a lane no longer matters on it.
        if safe { Ok((lane, stops)) } else { Err(Refusal::TooClose) }
    }

    /// Whether everybody ahead on the last cleared lane has been let beyond it, or ends his trip on it.
    fn is_first(&self, slot: Slot) -> bool {
        let last = self.vehicles[slot].last_cleared();
        let order = &self.lanes.get(last).order;
        let index = order.iter().position(|other| *other == slot).expect("a vehicle is in the order of its lanes");
        let Some(ahead) = index.checked_sub(1).map(|i| &self.vehicles[order[i]]) else { return true };
        ahead.last_cleared() != last || ahead.leg + ahead.cleared.len() + 1 == ahead.route.len()
    }

    fn let_on(&mut self, slot: Slot, grants: &[Grant]) {
        for grant in grants {
            self.vehicles[slot].cleared.push_back(grant.lane);
            self.lanes.get_mut(grant.lane).order.push(slot);
            let node = self.network.segment(grant.from).to;
            self.claims[node.at()].push(Claim { slot, bit: self.ways.bit(grant.way) });
        }
    }
}
