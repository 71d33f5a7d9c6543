//! Junctions: who may pass the end of a lane, and is thereby let onto the next.
//!
//! The end of a lane is a wall to whoever has not been let beyond it. Whom the wall begins to slow asks to go on; he is
//! let on when
//! - everybody ahead of him on the lane has been let on (nobody overtakes within a lane),
//! - the signal, if there is one, is green,
//! - nobody whose way crosses his has been let through and is still before the junction or in it,
//! - nobody whom he has to give way to asks too, or arrives within [`GAP_S`],
//! - the next lane has room to stand for him and all who have been let onto it before, so that nobody waits in the
//!   junction,
//! - he can still keep clear of the last one let onto it before him, who becomes his leader.
//!
//! Leave is taken back only by yellow or red, and only from who can stop: who cannot, passes during yellow.
//! Who has given way for [`PATIENCE_S`] where no signal rules gets the next gap: nobody else is let on across him.
//!
//! Gridlock, stated: who has stood at the front for [`super::RELEASE_AFTER_S`] with nothing but a full lane before him is
//! released, and of several before one junction the lowest trip number goes first: he may stand in the junction and close up to a metre and a half.
//! Upstream, downstream: the part.

use roads::LinkState;

use super::part::{Coming, Context, Inbound, Part, Tail, last_on};
use super::{Forced, ForcedKind, RELEASE_AFTER_S, REROUTE_AFTER_S};
use crate::cars::{RELEASED, STOPS};
use crate::map::{Link, NONE};
use crate::vehicle::{Driver, VehicleId};

/// Gap in time that is wanted before those who go first, seconds (HCM 2010, exhibit 19-10: critical headways of two-way
/// stops are 4.1 s for left turns from the main street to 6.5 s for crossing; part of it passes until one moves).
const GAP_S: i32 = 4;

/// See the module; assumed.
const PATIENCE_S: u16 = 20;

/// Who is told to squeeze keeps this gap, mm.
pub(crate) const SQUEEZED_GAP_MM: i32 = 1_500;

/// Those who stand keep others away from what they claim only while they are slower than this, mm/s.
const MOVING_MM_S: i32 = 500;

/// Somebody who asks to go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    lane: u32,
    link: u32,
    /// Has to give way to somebody.
    gives_way: bool,
    is_impatient: bool,
    id: u32,
}

/// Why somebody may not go on yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Closed,
    Crossed,
    Full,
    TooClose,
}

/// What is going on before one junction.
#[derive(Clone, Copy, Debug, Default)]
struct Scene {
    /// Ways of those who have been let on; of those among them who move.
    claims: u64,
    moving: u64,
    /// Ways of those who arrive soon or ask.
    near: u64,
    /// Ways that would cross somebody who has waited long enough.
    reserved: u64,
}

impl Part {
    /// Renews what was granted before one junction, and grants more.
    pub(super) fn let_on(&mut self, at: &Context<'_>, junction: u32, tails: &[Tail]) {
        let mut scene = Scene::default();
        let mut requests = std::mem::take(&mut self.scratch.requests);
        requests.clear();
        let (first, end) = at.map.junctions[junction as usize];
        for lane in first..end {
            let state = self.lanes[self.local(at.map, lane)];
            if state.granted > 0 {
                self.renew(at, lane, &mut scene);
            }
            if state.count > 0 {
                requests.extend(self.request(at, lane, &mut scene));
            }
        }
        // Those who need not give way first; among the others who has waited longest.
        requests.sort_unstable_by_key(|r| (r.gives_way && !r.is_impatient, !r.is_impatient, r.id));
        for request in &requests {
            let refusal = self.try_grant(at, junction, request, &mut scene, tails);
            self.count_waiting(at, request, refusal, &mut scene);
        }
        self.scratch.requests = requests;
    }

    /// Takes leave back where the signal says so, and notes where those who keep it are.
    fn renew(&mut self, at: &Context<'_>, lane: u32, scene: &mut Scene) {
        let l = self.local(at.map, lane);
        let info = &at.map.lanes[lane as usize];
        let base = info.base as usize;
        for index in 0..usize::from(self.lanes[l].granted) {
            let (pos, speed, who) =
                (self.cars.pos_mm[base + index], self.cars.speed_mm_s[base + index], self.cars.who[base + index]);
            let link = &at.map.links[who.link as usize];
            let driver = &at.drivers[usize::from(who.kind)];
            let must_stop = matches!(at.shown(link), LinkState::Red | LinkState::Yellow);
            if must_stop && pos <= info.length_mm && driver.brake_mm(speed) <= info.length_mm - pos {
                for other in index..usize::from(self.lanes[l].granted) {
                    let who = self.cars.who[base + other];
                    self.forget(at, &at.map.links[who.link as usize], who.id);
                }
                self.lanes[l].granted = index as u16;
                return;
            }
            scene.claims |= link.bit;
            if speed > MOVING_MM_S {
                scene.moving |= link.bit;
            }
            let entry = self.entry(at, link);
            let inbound = self.entries[entry].iter_mut().find(|i| i.id == who.id).expect("who was let on is listed");
            inbound.distance_mm = info.length_mm + link.length_mm - pos;
            inbound.speed_mm_s = speed;
        }
    }

    /// Whether the first who has not been let on asks for it.
    fn request(&self, at: &Context<'_>, lane: u32, scene: &mut Scene) -> Option<Request> {
        let l = self.local(at.map, lane);
        let (state, info) = (&self.lanes[l], &at.map.lanes[lane as usize]);
        if state.granted >= state.count {
            return None;
        }
        let index = info.base as usize + usize::from(state.granted);
        let who = &self.cars.who[index];
        if who.link == NONE || who.flags & STOPS != 0 {
            return None;
        }
        let link = &at.map.links[who.link as usize];
        let shown = at.shown(link);
        if matches!(shown, LinkState::Red | LinkState::Yellow) {
            return None;
        }
        let (pos, speed) = (self.cars.pos_mm[index], self.cars.speed_mm_s[index]);
        let to_line = info.length_mm - pos;
        if state.closed_from_mm < info.length_mm && pos <= state.closed_from_mm {
            return None;
        }
        let driver = &at.drivers[usize::from(who.kind)];
        let wanted =
            (speed + driver.accel_mm_s2).min(wanted_mm_s(driver, state.limit_mm_s, who.factor_permille).max(speed));
        if to_line > driver.reach_mm(wanted) {
            if to_line < GAP_S * speed {
                scene.near |= link.bit;
            }
            return None;
        }
        if !link.is_free {
            scene.near |= link.bit;
        }
        let gives_way = link.yields != 0 && shown != LinkState::Protected;
        let is_impatient = state.held_s >= PATIENCE_S && shown == LinkState::Off;
        Some(Request { lane, link: who.link, gives_way, is_impatient, id: who.id })
    }

    fn try_grant(
        &mut self,
        at: &Context<'_>,
        junction: u32,
        request: &Request,
        scene: &mut Scene,
        tails: &[Tail],
    ) -> Result<(), Refusal> {
        let link = &at.map.links[request.link as usize];
        let l = self.local(at.map, request.lane);
        let info = &at.map.lanes[request.lane as usize];
        let index = info.base as usize + usize::from(self.lanes[l].granted);
        let who = self.cars.who[index];
        let driver = &at.drivers[usize::from(who.kind)];
        let is_released = who.flags & RELEASED != 0;
        if at.blocked[junction as usize] {
            return Err(Refusal::Closed);
        }
        let claims = if is_released { scene.moving } else { scene.claims };
        let gives_way = request.gives_way && !request.is_impatient && !is_released;
        if link.conflicts & claims != 0
            || gives_way && link.yields & scene.near != 0
            || !request.is_impatient && link.bit & scene.reserved != 0
        {
            return Err(Refusal::Crossed);
        }
        let entry = self.entry(at, link);
        let must_clear = link.conflicts != 0 && !is_released;
        if must_clear
            && self.room_mm(at, link, entry, tails) < driver.length_mm.min(at.map.lanes[link.to as usize].length_mm)
        {
            return Err(Refusal::Full);
        }
        let distance_mm = info.length_mm + link.length_mm - self.cars.pos_mm[index];
        let speed_mm_s = self.cars.speed_mm_s[index];
        if let Some(ahead) = self.ahead_on(link, entry, usize::MAX, tails) {
            let leader = &at.drivers[usize::from(ahead.2)];
            let min_gap = if is_released { SQUEEZED_GAP_MM.min(driver.min_gap_mm) } else { driver.min_gap_mm };
            let gap = distance_mm + ahead.0 - leader.length_mm - min_gap;
            if !driver.is_safe(speed_mm_s, gap, driver.leader_brake_mm(ahead.1, leader.decel_mm_s2)) {
                return Err(if ahead.1 == 0 && speed_mm_s == 0 { Refusal::Full } else { Refusal::TooClose });
            }
        }
        self.entries[entry].push(Inbound { id: who.id, distance_mm, speed_mm_s, kind: who.kind });
        scene.claims |= link.bit;
        scene.moving |= link.bit;
        let state = &mut self.lanes[l];
        state.granted += 1;
        state.standing = 0;
        (state.blocked_s, state.held_s) = (0, 0);
        Ok(())
    }

    /// Counts for how long the first of a lane has stood, and does what is stated for a gridlock.
    fn count_waiting(&mut self, at: &Context<'_>, request: &Request, refusal: Result<(), Refusal>, scene: &mut Scene) {
        let Err(refusal) = refusal else { return };
        let l = self.local(at.map, request.lane);
        let info = &at.map.lanes[request.lane as usize];
        if request.is_impatient && refusal == Refusal::Crossed {
            scene.reserved |= at.map.links[request.link as usize].conflicts;
        }
        let state = &mut self.lanes[l];
        let index = info.base as usize + usize::from(state.granted);
        if state.granted > 0 || self.cars.speed_mm_s[index] > 0 {
            return;
        }
        match refusal {
            Refusal::Crossed => state.held_s = state.held_s.saturating_add(1),
            Refusal::Full | Refusal::Closed => state.blocked_s = state.blocked_s.saturating_add(1),
            Refusal::TooClose => {}
        }
        if state.blocked_s > 0 && state.blocked_s.is_multiple_of(REROUTE_AFTER_S) {
            self.stuck.push((request.lane, request.id));
        } else if refusal == Refusal::Full && state.blocked_s >= RELEASE_AFTER_S {
            let who = &mut self.cars.who[index];
            if who.flags & RELEASED == 0 {
                who.flags |= RELEASED;
                self.tally.released += 1;
                let (vehicle, segment) = (VehicleId(u64::from(request.id)), info.segment);
                self.forced.push(Forced { vehicle, segment, what: ForcedKind::Released });
            }
        }
    }

    /// Room to stand on the lane that a link leads to, for one more than have been let onto it, mm.
    fn room_mm(&self, at: &Context<'_>, link: &Link, entry: usize, tails: &[Tail]) -> i32 {
        let mut room = at.map.lanes[link.to as usize].length_mm;
        if let Some((front, speed, kind)) = last_on(tails, link.to) {
            let last = &at.drivers[usize::from(kind)];
            room = room.min(front + last.brake_mm(speed) - last.length_mm - last.min_gap_mm);
        }
        for inbound in &self.entries[entry] {
            let driver = &at.drivers[usize::from(inbound.kind)];
            room -= driver.length_mm + driver.min_gap_mm;
        }
        room
    }

    /// Who is ahead on the way onto a lane: (front from the begin of that lane, speed, kind). `before` is a position
    /// among those who have been let on.
    pub(super) fn ahead_on(&self, link: &Link, entry: usize, before: usize, tails: &[Tail]) -> Option<(i32, i32, u8)> {
        let list = &self.entries[entry];
        if let Some(last) = before.min(list.len()).checked_sub(1).map(|i| &list[i]) {
            return Some((-last.distance_mm, last.speed_mm_s, last.kind));
        }
        last_on(tails, link.to)
    }

    /// The list of those who have been let onto the lane that a link leads to.
    pub(super) fn entry(&self, at: &Context<'_>, link: &Link) -> usize {
        (at.map.lanes[link.to as usize].entry - at.map.parts[self.number].entries.start) as usize
    }

    /// Takes one off the list of those who have been let onto a lane.
    pub(super) fn forget(&mut self, at: &Context<'_>, link: &Link, id: u32) {
        let entry = self.entry(at, link);
        self.entries[entry].retain(|inbound| inbound.id != id);
    }

    /// Tells the other parts who comes next onto each lane that begins at a junction.
    pub(super) fn show_coming(&self, at: &Context<'_>, junction: u32, coming: &mut [Coming]) {
        let own = at.map.parts[self.number].entries.start;
        for &segment in at.network.outgoing(at.map.node_of[junction as usize]) {
            for lane in at.map.lanes_of(segment) {
                let entry = (at.map.lanes[lane as usize].entry - own) as usize;
                coming[entry] = self.entries[entry].first().map_or(Coming::NOBODY, |first| {
                    // Noted before this second's motion: it may be faster and nearer by as much as it can.
                    let speed_mm_s = first.speed_mm_s + at.drivers[usize::from(first.kind)].accel_mm_s2;
                    Coming { distance_mm: first.distance_mm - speed_mm_s, speed_mm_s, kind: first.kind }
                });
            }
        }
    }
}

/// The speed that a driver wants where a limit holds, mm/s.
pub(super) fn wanted_mm_s(driver: &Driver, limit_mm_s: i32, factor_permille: u16) -> i32 {
    ((i64::from(limit_mm_s) * i64::from(factor_permille) / 1_000) as i32).min(driver.speed_max_mm_s)
}
