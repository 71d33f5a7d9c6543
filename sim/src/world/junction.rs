//! Junctions: who may pass the end of a lane, and is thereby let onto the next.
//!
//! The end of a lane is a wall to whoever has not been let beyond it. Whom the wall begins to slow asks to go on; he is
//! let on when
//! - everybody ahead of him on the lane has been let on (nobody overtakes within a lane),
//! - the signal, if there is one, is green,
//! - nobody whose way crosses his has been let through and is still before the junction or in it,
//! - nobody whom he has to give way to asks too, or arrives within the gap that he wants,
//! - the next lane has room to stand for him and all who have been let onto it before, so that nobody waits in the
//!   junction,
//! - he can still keep clear of the last one let onto it before him, who becomes his leader.
//!
//! Who may turn at a green signal after those who come towards him waits for a gap within the junction, [`INSIDE_MM`]
//! beyond the line, and goes first of all once they have to stop.
//!
//! Leave is taken back only by yellow or red, and only from who can stop: who cannot, passes during yellow.
//! Who has given way for [`PATIENCE_S`] where no signal rules gets the next gap: nobody else is let on across him.
//!
//! Gridlock, stated: who has stood at the front for [`super::RELEASE_AFTER_S`] with nothing but a full lane before him is
//! released, and of several before one junction the lowest trip number goes first: he may stand in the junction and close up to a metre and a half.
//! Upstream, downstream: the part.

use roads::LinkState;

use super::course::next_link;
use super::part::{Coming, Context, Inbound, LaneState, Part, Tail, last_on};
use super::{Forced, ForcedKind, RELEASE_AFTER_S, REROUTE_AFTER_S};
use crate::cars::{LETS_IN, RELEASED, STOPS};
use crate::map::{Lane, Link, NONE};
use crate::vehicle::{Driver, VehicleId};

/// Largest gap in time that anybody wants before those who go first, seconds; see [`crate::VehicleType::gap_s`].
const GAP_S: i32 = 4;

/// Who arrives within this counts for everybody who has to give way, seconds.
const NEAR_S: i32 = 2;

/// See the module; assumed.
const PATIENCE_S: u16 = 20;

/// Who is told to squeeze keeps this gap, mm.
pub(crate) const SQUEEZED_GAP_MM: i32 = 1_500;

/// Who is in a circle that turns keeps this gap, mm, and drives no faster than this, mm/s.
pub(crate) const TURNING_GAP_MM: i32 = 500;
pub(crate) const TURNING_MM_S: i32 = 1_000;

/// Who may turn after those who come towards him waits so far beyond the line, mm: less than a car and its gap, so that
/// the one behind him is still before it.
const INSIDE_MM: i32 = 5_000;

/// Lines beyond the next for which leave is given at once where there is no room to stand between them.
const LINES_MAX: u32 = 4;

/// Somebody who asks to go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    lane: u32,
    link: u32,
    /// Has to give way to somebody.
    gives_way: bool,
    is_impatient: bool,
    id: u32,
    /// Is on the way to the lane; its position is below 0 then.
    is_inbound: bool,
    pos_mm: i32,
    speed_mm_s: i32,
    kind: u8,
    factor_permille: u16,
    slot: u32,
    leg: u16,
    is_released: bool,
    /// Is first on a street of a circle that turns.
    is_turning: bool,
}

/// Why somebody may not go on yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Closed,
    Crossed,
    Full,
    TooClose,
}

/// What is going on before one node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scene {
    /// Ways of those who have been let on; of those among them who move.
    pub(super) claims: u64,
    pub(super) moving: u64,
    /// Ways of those who arrive soon or ask.
    near: u64,
    /// Ways of those who arrive within [`GAP_S`], but not as soon as `near`.
    soon: u64,
    /// Ways that would cross somebody who has waited long enough.
    reserved: u64,
}

impl Part {
    /// Renews what was granted before one junction, and grants more.
    pub(super) fn let_on(&mut self, at: &Context<'_>, junction: u32, tails: &[Tail]) {
        let mut requests = std::mem::take(&mut self.scratch.requests);
        let mut scenes = std::mem::take(&mut self.scratch.scenes);
        requests.clear();
        scenes.clear();
        let own = &at.map.junctions[junction as usize];
        scenes.resize(own.nodes.len(), Scene::default());
        for lane in own.lanes.clone() {
            if self.lanes[self.local(at.map, lane)].granted > 0 {
                self.renew(at, lane, &mut scenes);
            }
        }
        if own.has_inner {
            own.lanes.clone().for_each(|lane| self.renew_early(at, lane));
        }
        for lane in own.lanes.clone() {
            let scene = &mut scenes[usize::from(at.map.lanes[lane as usize].node)];
            requests.extend(self.request(at, lane, scene));
        }
        // Those who need not give way first; among the others who has waited longest.
        requests.sort_unstable_by_key(|r| (r.gives_way && !r.is_impatient, !r.is_impatient, r.id));
        for request in &requests {
            let refusal = self.try_grant(at, request, &mut scenes, tails);
            self.count_waiting(
                at,
                request,
                refusal,
                &mut scenes[usize::from(at.map.lanes[request.lane as usize].node)],
            );
        }
        (self.scratch.requests, self.scratch.scenes) = (requests, scenes);
    }

    /// Whether the first who has not been let on asks for it.
    fn request(&self, at: &Context<'_>, lane: u32, scene: &mut Scene) -> Option<Request> {
        let info = &at.map.lanes[lane as usize];
        let l = self.local(at.map, lane);
        let state = &self.lanes[l];
        let mut request = if state.granted < state.count {
            self.first_on(info, state)?
        } else if info.is_inner {
            self.first_inbound(at, lane, info)?
        } else {
            return None;
        };
        let link = &at.map.links[request.link as usize];
        // Who waits in the junction for a gap goes when those who come towards him have to stop.
        let is_inside = request.pos_mm > info.length_mm;
        if must_stop(at, link) && !is_inside {
            return None;
        }
        let (pos, speed) = (request.pos_mm, request.speed_mm_s);
        let to_line = info.length_mm - pos;
        if state.closed_from_mm < info.length_mm && pos <= state.closed_from_mm {
            return None;
        }
        let driver = &at.drivers[usize::from(request.kind)];
        let wanted =
            (speed + driver.accel_mm_s2).min(wanted_mm_s(driver, state.limit_mm_s, request.factor_permille).max(speed));
        if to_line > driver.reach_mm(wanted) {
            if to_line < GAP_S * speed {
                if to_line < NEAR_S * speed {
                    scene.near |= link.bit;
                } else {
                    scene.soon |= link.bit;
                }
            }
            return None;
        }
        if !link.is_free {
            scene.near |= link.bit;
        }
        let shown = at.shown(link);
        request.gives_way = link.yields != 0 && shown != LinkState::Protected;
        let is_patient = state.held_s < PATIENCE_S || shown != LinkState::Off;
        request.is_impatient =
            !request.is_inbound && !is_patient || is_inside && must_stop(at, link) || request.is_turning;
        Some(request)
    }

    /// The first on a lane who has not been let on.
    fn first_on(&self, info: &Lane, state: &LaneState) -> Option<Request> {
        let index = info.base as usize + usize::from(state.granted);
        let who = &self.cars.who[index];
        (who.link != NONE && who.flags & (STOPS | LETS_IN) == 0).then(|| Request {
            lane: info.first + u32::from(info.number),
            link: who.link,
            gives_way: false,
            is_impatient: false,
            id: who.id,
            is_inbound: false,
            pos_mm: self.cars.pos_mm[index],
            speed_mm_s: self.cars.speed_mm_s[index],
            kind: who.kind,
            factor_permille: who.factor_permille,
            slot: who.slot,
            leg: who.leg,
            is_released: who.flags & RELEASED != 0 || state.is_turning,
            is_turning: state.is_turning,
        })
    }

    /// The first on the way to a lane who has not been let beyond its end.
    fn first_inbound(&self, at: &Context<'_>, lane: u32, info: &Lane) -> Option<Request> {
        let inbound = self.entries[self.entry_of(at, info)].iter().find(|inbound| !inbound.further)?;
        (inbound.next != NONE).then(|| Request {
            lane,
            link: inbound.next,
            gives_way: false,
            is_impatient: false,
            id: inbound.id,
            is_inbound: true,
            pos_mm: -inbound.distance_mm,
            speed_mm_s: inbound.speed_mm_s,
            kind: inbound.kind,
            factor_permille: inbound.factor_permille,
            slot: inbound.slot,
            leg: inbound.leg,
            is_released: false,
            is_turning: false,
        })
    }

    fn try_grant(
        &mut self,
        at: &Context<'_>,
        request: &Request,
        scenes: &mut [Scene],
        tails: &[Tail],
    ) -> Result<(), Refusal> {
        let with_next = self.judge(at, request, scenes, tails, LINES_MAX)?;
        let link = &at.map.links[request.link as usize];
        let info = &at.map.lanes[request.lane as usize];
        let entry = self.entry(at, link);
        let l = self.local(at.map, request.lane);
        if request.is_inbound {
            let list = self.entry_of(at, info);
            let inbound = self.entries[list].iter_mut().find(|inbound| inbound.id == request.id);
            inbound.expect("who asks on the way to a lane is listed there").further = true;
            self.lanes[l].early += 1;
        } else {
            self.lanes[l].granted += 1;
        }
        self.entries[entry].push(Inbound {
            id: request.id,
            distance_mm: info.length_mm + link.length_mm - request.pos_mm,
            speed_mm_s: request.speed_mm_s,
            kind: request.kind,
            factor_permille: request.factor_permille,
            slot: request.slot,
            leg: request.leg + 1,
            next: if at.map.lanes[link.to as usize].is_inner {
                next_link(at, link.to, request.slot, request.leg + 1, request.id)
            } else {
                NONE
            },
            further: false,
        });
        let scene = &mut scenes[usize::from(info.node)];
        scene.claims |= link.bit;
        scene.moving |= link.bit;
        let state = &mut self.lanes[l];
        state.standing = 0;
        (state.blocked_s, state.held_s) = (0, 0);
        if with_next && let Some(next) = self.beyond(at, request, link) {
            return self.try_grant(at, &next, scenes, tails);
        }
        Ok(())
    }

    /// Whether somebody may go on; `true` if only together with leave for the next line as well.
    fn judge(
        &self,
        at: &Context<'_>,
        request: &Request,
        scenes: &[Scene],
        tails: &[Tail],
        lines: u32,
    ) -> Result<bool, Refusal> {
        let link = &at.map.links[request.link as usize];
        let info = &at.map.lanes[request.lane as usize];
        let scene = &scenes[usize::from(info.node)];
        let driver = &at.drivers[usize::from(request.kind)];
        let is_released = request.is_released;
        if at.blocked[at.network.segment(info.segment).to.at()] {
            return Err(Refusal::Closed);
        }
        let claims = if is_released { scene.moving } else { scene.claims };
        let gives_way = request.gives_way && !request.is_impatient && !is_released;
        let near = if driver.gap_s > NEAR_S { scene.near | scene.soon } else { scene.near };
        if link.conflicts & claims != 0
            || gives_way && link.yields & near != 0
            || !request.is_impatient && link.bit & scene.reserved != 0
        {
            return Err(Refusal::Crossed);
        }
        let entry = self.entry(at, link);
        let distance_mm = info.length_mm + link.length_mm - request.pos_mm;
        let speed_mm_s = request.speed_mm_s;
        if let Some(ahead) = self.ahead_on(link, entry, usize::MAX, tails) {
            let leader = &at.drivers[usize::from(ahead.2)];
            let min_gap = match (request.is_turning, is_released) {
                (true, _) => TURNING_GAP_MM.min(driver.min_gap_mm),
                (false, true) => SQUEEZED_GAP_MM.min(driver.min_gap_mm),
                (false, false) => driver.min_gap_mm,
            };
            let gap = distance_mm + ahead.0 - leader.length_mm - min_gap;
            if !driver.is_safe(speed_mm_s, gap, driver.leader_brake_mm(ahead.1, leader.decel_mm_s2)) {
                return Err(if ahead.1 == 0 && speed_mm_s == 0 { Refusal::Full } else { Refusal::TooClose });
            }
        }
        let must_clear = link.conflicts != 0 && !is_released;
        if !must_clear || self.room_mm(at, link, entry, tails) >= driver.length_mm {
            return Ok(false);
        }
        // Too short to stand on: it takes leave for the line beyond.
        let next = self.beyond(at, request, link).ok_or(Refusal::Full)?;
        if lines == 0 || must_stop(at, &at.map.links[next.link as usize]) {
            return Err(Refusal::Full);
        }
        self.judge(at, &next, scenes, tails, lines - 1).map(|_| true)
    }

    /// What somebody would ask for next, once he has leave for a link: `None` where others are before him.
    fn beyond(&self, at: &Context<'_>, request: &Request, link: &Link) -> Option<Request> {
        let info = &at.map.lanes[link.to as usize];
        if !info.is_inner {
            return None;
        }
        let state = &self.lanes[self.local(at.map, link.to)];
        let waits = |inbound: &Inbound| !inbound.further && inbound.id != request.id;
        if state.granted < state.count || self.entries[self.entry_of(at, info)].iter().any(waits) {
            return None;
        }
        let leg = request.leg + 1;
        let next = next_link(at, link.to, request.slot, leg, request.id);
        (next != NONE).then(|| {
            let beyond = &at.map.links[next as usize];
            let from = &at.map.lanes[link.from as usize];
            let gives_way = beyond.yields != 0 && at.shown(beyond) != LinkState::Protected;
            let pos_mm = request.pos_mm - from.length_mm - link.length_mm;
            Request {
                lane: link.to,
                link: next,
                gives_way,
                is_impatient: false,
                pos_mm,
                is_inbound: true,
                leg,
                is_released: false,
                is_turning: false,
                ..*request
            }
        })
    }

    /// Counts for how long the first of a lane has stood, and does what is stated for a gridlock.
    fn count_waiting(&mut self, at: &Context<'_>, request: &Request, refusal: Result<(), Refusal>, scene: &mut Scene) {
        let Err(refusal) = refusal else { return };
        let l = self.local(at.map, request.lane);
        let info = &at.map.lanes[request.lane as usize];
        if request.is_turning || request.is_impatient && refusal == Refusal::Crossed {
            scene.reserved |= at.map.links[request.link as usize].conflicts;
        }
        let state = &mut self.lanes[l];
        let index = info.base as usize + usize::from(state.granted);
        if request.is_inbound || state.granted > 0 || self.cars.speed_mm_s[index] > 0 {
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
        let tail = &tails[link.to as usize];
        let mut room = at.map.lanes[link.to as usize].length_mm;
        if tail.id != NONE {
            room = room.min(tail.room_mm);
        } else if let Some((front, speed, kind)) = last_on(tails, link.to) {
            let last = &at.drivers[usize::from(kind)];
            room = room.min(front.saturating_add(last.brake_mm(speed)) - last.length_mm - last.min_gap_mm);
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

    pub(super) fn entry_of(&self, at: &Context<'_>, lane: &Lane) -> usize {
        (lane.entry - at.map.parts[self.number].entries.start) as usize
    }

    /// Tells the other parts who comes next onto each lane that begins at a junction.
    pub(super) fn show_coming(&self, at: &Context<'_>, junction: u32, coming: &mut [Coming]) {
        let own = at.map.parts[self.number].entries.start;
        let outgoing = at.map.nodes_of(junction).flat_map(|node| at.network.outgoing(at.map.nodes[node]));
        for &segment in outgoing {
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

/// How far beyond the line somebody may wait whom a green signal lets turn after those who come towards him, mm.
pub(super) fn inside_mm(at: &Context<'_>, link: &Link, info: &Lane, pos: i32) -> i32 {
    let is_permitted = link.yields != 0 && at.shown(link) == LinkState::Green;
    if is_permitted || pos > info.length_mm { INSIDE_MM.min(link.length_mm / 3) } else { 0 }
}

/// Whether a signal holds those who can stop.
pub(super) fn must_stop(at: &Context<'_>, link: &Link) -> bool {
    matches!(at.shown(link), LinkState::Red | LinkState::Yellow)
}

/// The speed that a driver wants where a limit holds, mm/s.
pub(super) fn wanted_mm_s(driver: &Driver, limit_mm_s: i32, factor_permille: u16) -> i32 {
    ((i64::from(limit_mm_s) * i64::from(factor_permille) / 1_000) as i32).min(driver.speed_max_mm_s)
}
