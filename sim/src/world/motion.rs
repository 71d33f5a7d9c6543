//! Motion: the speed of everybody for the coming second, and moving by it.
//!
//! A lane is driven from its front backwards. Everybody follows the one ahead as he was at the begin of the second; who
//! has been let beyond the line also follows whoever was let onto the next lane before him. Upstream: junction.
//! Downstream: cross, which takes them over the line.

use super::change::yielded_mm_s;
use super::course::{goal_mm, set_stop};
use super::junction::{SQUEEZED_GAP_MM, TURNING_MM_S, inside_mm, wanted_mm_s};
use super::part::{Context, LaneState, Part, Tail, left_of};
use super::view::{Ahead, View, look_through};
use crate::cars::{CROSSED, FRESH, LAST_LEG, LETS_IN, RELEASED, STOPS, Who};
use crate::map::{Lane, NONE};
use crate::vehicle::{Driver, STANDING_MM_S};

/// A stop counts as reached within this, mm.
const AT_STOP_MM: i32 = 2_000;

/// Whoever has left a lane counts there until its rear is so far beyond the line, mm: more than any gap kept.
const CLEAR_MM: i32 = 10_000;

/// Who is nearer to a wall than this cannot start before it is gone, mm: slower than [`STANDING_MM_S`] is standing.
const WALL_MM: i32 = STANDING_MM_S;

impl Part {
    /// Chooses speeds on one lane and moves everybody by them.
    pub(super) fn drive_lane(&mut self, at: &Context<'_>, lane: u32, tails: &[Tail]) {
        let l = self.local(at.map, lane);
        let state = self.lanes[l];
        let count = usize::from(state.count);
        let begin = usize::from(state.standing);
        self.tally.updates += count as u64;
        let info = &at.map.lanes[lane as usize];
        if count == begin {
            self.lanes[l].is_turning &= count > 0;
            self.overhang(at, l, info, tails);
            return;
        }
        let base = info.base as usize;
        let mut ahead = match begin.checked_sub(1) {
            Some(i) => Some((self.cars.pos_mm[base + i], self.cars.speed_mm_s[base + i], self.cars.who[base + i].kind)),
            None => self.overhang(at, l, info, tails),
        };
        // The wall at the line holds for the first who has not been let on, and for nobody behind him.
        let (mut wall, mut standing, mut closed) = (true, state.standing, state.closed_from_mm != i32::MAX);
        for index in begin..count {
            let (pos, speed, who) =
                (self.cars.pos_mm[base + index], self.cars.speed_mm_s[base + index], self.cars.who[base + index]);
            let driver = &at.drivers[usize::from(who.kind)];
            let wanted = wanted_mm_s(driver, limit_at(at, &state, info, pos, who), who.factor_permille);
            let mut view = View::new(driver, speed, wanted, who.memory_s);
            if let Some(ahead) = ahead {
                view.follow(at, ahead, pos, min_gap_mm(driver, who));
            }
            if index < usize::from(state.granted) {
                self.beyond_line(at, &mut view, info, pos, who, tails);
            } else if wall && who.flags & LAST_LEG == 0 {
                let inside =
                    if who.link == NONE { 0 } else { inside_mm(at, &at.map.links[who.link as usize], info, pos) };
                view.stop_within(info.length_mm + inside - pos);
                wall = false;
            }
            if closed && pos <= state.closed_from_mm {
                view.stop_within(state.closed_from_mm - pos);
                closed = false;
            }
            if who.flags & STOPS != 0 {
                let to_stop = goal_mm(at, info, &who) - pos;
                view.stop_within(if speed == 0 && to_stop < AT_STOP_MM { 0 } else { to_stop });
            }
            if who.yields > 0 {
                view.allowed = view.allowed.min(yielded_mm_s(driver, speed, who.yields));
            }
            let mut next = view.choose(at, who.id, wanted);
            if state.is_turning {
                self.lanes[l].is_turning &= index > 0 || next <= TURNING_MM_S;
                next = if who.flags & STOPS == 0 { next.max(view.space.min(TURNING_MM_S)) } else { next };
            }
            let may_sleep = who.yields == 0 && standing == index as u16 && speed == 0 && view.allowed < STANDING_MM_S;
            if may_sleep && falls_asleep(at, &state, info, index, pos, who) {
                standing += 1;
            }
            self.cars.pos_mm[base + index] = pos + next;
            self.cars.speed_mm_s[base + index] = next;
            self.remember(at, info, base + index, next, wanted);
            ahead = Some((pos, speed, who.kind));
        }
        self.lanes[l].standing = standing;
    }

    /// What a vehicle carries on: what it has been through, and whether its stop is served.
    fn remember(&mut self, at: &Context<'_>, info: &Lane, place: usize, speed: i32, wanted: i32) {
        let pos = self.cars.pos_mm[place];
        let who = &mut self.cars.who[place];
        who.flags &= !(CROSSED | FRESH | LETS_IN);
        who.yields = 0;
        who.memory_s = remember(who.memory_s, speed, wanted);
        if who.flags & STOPS != 0 && speed == 0 && goal_mm(at, info, who) - pos < AT_STOP_MM {
            serve_stop(at, info, who);
        }
    }

    /// The rear of somebody who has left the lane at its end and is not yet clear of it.
    pub(super) fn overhang(&mut self, at: &Context<'_>, l: usize, info: &Lane, tails: &[Tail]) -> Option<Ahead> {
        let state = &mut self.lanes[l];
        if state.left_id == NONE {
            return None;
        }
        let LaneState { left_id, left_to, left_end_mm, .. } = *state;
        let left = left_of(tails, &Tail { left_id, left_to, left_end_mm, ..Tail::NOBODY });
        let clear_mm = |kind: u8| at.drivers[usize::from(kind)].length_mm + CLEAR_MM;
        let near = left.filter(|(front, _, kind)| *front < info.length_mm + clear_mm(*kind));
        match near {
            Some((front, _, kind)) => state.left_rear_mm = front - at.drivers[usize::from(kind)].length_mm,
            None => state.left_id = NONE,
        }
        near
    }

    /// What lies beyond the line counts for whoever has been let on, and beyond every further line as far as he has.
    fn beyond_line(&self, at: &Context<'_>, view: &mut View<'_>, info: &Lane, pos: i32, who: Who, tails: &[Tail]) {
        let driver = view.driver;
        let (mut link, mut leg) = (&at.map.links[who.link as usize], usize::from(who.leg));
        let mut to_line = info.length_mm - pos;
        loop {
            let distance = to_line + link.length_mm;
            let entry = self.entry(at, link);
            let index = self.entries[entry].iter().position(|i| i.id == who.id).expect("who was let on is listed");
            let next = &at.map.lanes[link.to as usize];
            if let Some((front, speed, kind)) = self.ahead_on(link, entry, index, tails) {
                view.follow(at, (front + distance + pos, speed, kind), pos, min_gap_mm(driver, who));
            }
            let wanted = wanted_mm_s(driver, next.limit_mm_s, who.factor_permille);
            view.slow_to(distance, wanted);
            if link.limit_mm_s < view.top {
                view.slow_to(to_line.max(0), wanted_mm_s(driver, link.limit_mm_s, who.factor_permille));
            }
            to_line = distance + next.length_mm;
            let inbound = &self.entries[entry][index];
            leg += 1;
            if !inbound.further {
                // Nobody passes the end of a lane for which he has no leave.
                (view.allowed, view.space) = (view.allowed.min(to_line), view.space.min(to_line));
                if view.reach > to_line {
                    let to_end = look_through(at, view, who, (link, leg), to_line, tails);
                    view.stop_within(to_end);
                }
                return;
            }
            link = &at.map.links[inbound.next as usize];
        }
    }
}

fn min_gap_mm(driver: &Driver, who: Who) -> i32 {
    if who.flags & RELEASED != 0 { driver.min_gap_mm.min(SQUEEZED_GAP_MM) } else { driver.min_gap_mm }
}

/// The limit where a vehicle is: on the lane, or within the junction.
fn limit_at(at: &Context<'_>, state: &LaneState, info: &Lane, pos: i32, who: Who) -> i32 {
    if pos > info.length_mm && who.link != NONE { at.map.links[who.link as usize].limit_mm_s } else { state.limit_mm_s }
}

/// Whether one who stands sleeps until somebody is let on: the first before a wall, and everybody close behind a
/// sleeper.
///
/// Who may be let into the junction to wait there stays awake: that takes no leave.
fn falls_asleep(at: &Context<'_>, state: &LaneState, info: &Lane, index: usize, pos: i32, who: Who) -> bool {
    let may_enter = || {
        who.link != NONE && {
            let link = &at.map.links[who.link as usize];
            link.yields != 0 && link.shown != NONE
        }
    };
    let before_wall =
        info.length_mm.min(state.closed_from_mm) - pos < WALL_MM && who.flags & LAST_LEG == 0 && !may_enter();
    state.granted == 0 && !state.is_turning && who.flags & (STOPS | RELEASED) == 0 && (index > 0 || before_wall)
}

/// Congestion is slower than half of what is wanted; it is forgotten at nine tenths of it.
fn remember(memory_s: u8, speed: i32, wanted: i32) -> u8 {
    if 2 * speed < wanted {
        memory_s.saturating_add(1)
    } else if 10 * speed > 9 * wanted {
        memory_s.saturating_sub(1)
    } else {
        memory_s
    }
}

/// Stands at its stop for as long as it takes, then has another goal.
fn serve_stop(at: &Context<'_>, info: &Lane, who: &mut Who) {
    if who.dwell_s > 1 {
        who.dwell_s -= 1;
        return;
    }
    who.stops_made = who.stops_made.saturating_add(1);
    set_stop(at, info, who);
}

impl LaneState {
    /// Whether a piece of a lane around a vehicle is closed.
    pub(super) fn is_closed_at(&self, front_mm: i32, rear_mm: i32) -> bool {
        self.closed_from_mm != i32::MAX && front_mm > self.closed_from_mm && rear_mm < self.closed_to_mm
    }
}
