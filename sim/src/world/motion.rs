//! Motion: the speed of everybody for the coming second, moving by it, and crossing the line.
//!
//! A lane is driven from its front backwards. Everybody follows the one ahead as he was at the begin of the second; who
//! has been let beyond the line also follows whoever was let onto the next lane before him. Upstream: junction.
//! Downstream: arrive, which takes in who crossed.

use super::change::yielded_mm_s;
use super::course::{goal_mm, next_link, set_stop};
use super::junction::{SQUEEZED_GAP_MM, TURNING_GAP_MM, TURNING_MM_S, inside_mm, wanted_mm_s};
use super::part::{Arrival, Context, LaneState, Part, Tail, last_on, left_of};
use super::{Move, Piece};
use crate::cars::{CROSSED, Car, FRESH, LAST_LEG, LETS_IN, RELEASED, STOPS, Who};
use crate::map::{Lane, Link, NONE};
use crate::random::{Stream, bits32};
use crate::vehicle::{Driver, HORIZON_MM, STANDING_MM_S, VehicleId};

/// So many lanes ahead are looked through where no leave is needed between them.
const LOOK_THROUGH_MAX: usize = 8;

/// A stop counts as reached within this, mm.
const AT_STOP_MM: i32 = 2_000;

/// Whoever has left a lane counts there until its rear is so far beyond the line, mm: more than any gap kept.
const CLEAR_MM: i32 = 10_000;

/// Who is nearer to a wall than this cannot start before it is gone, mm: slower than [`STANDING_MM_S`] is standing.
const WALL_MM: i32 = STANDING_MM_S;

/// Somebody ahead: front, speed, kind.
type Ahead = (i32, i32, u8);

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

    /// Posts who has crossed the line, and takes who has arrived off the road.
    pub(super) fn cross_line(&mut self, at: &Context<'_>, lane: u32) {
        let l = self.local(at.map, lane);
        if self.lanes[l].count == 0 {
            return;
        }
        let info = &at.map.lanes[lane as usize];
        let base = info.base as usize;
        let mut gone = 0;
        while gone < usize::from(self.lanes[l].granted) {
            let car = self.cars.get(base + gone);
            let link = &at.map.links[car.who.link as usize];
            let end = info.length_mm + link.length_mm;
            if car.pos_mm <= end {
                break;
            }
            self.post(at, info, link, car);
            let state = &mut self.lanes[l];
            (state.left_id, state.left_to, state.left_end_mm) = (car.who.id, link.to, end);
            state.left_rear_mm = car.pos_mm - at.drivers[usize::from(car.who.kind)].length_mm;
            state.passed = state.passed.saturating_add(1);
            state.passed_s += car.who.on_segment_s(at.step);
            gone += 1;
        }
        if gone > 0 {
            let state = &mut self.lanes[l];
            self.cars.remove(base, gone, base + usize::from(state.count));
            state.count -= gone as u16;
            state.granted -= gone as u16;
            state.standing = 0;
        }
        let mut index = usize::from(self.lanes[l].granted);
        while index < usize::from(self.lanes[l].count) {
            let who = &self.cars.who[base + index];
            if who.flags & (LAST_LEG | STOPS) == LAST_LEG && self.cars.pos_mm[base + index] >= goal_mm(at, info, who) {
                let car = self.take_off(at, lane, index);
                self.arrive(info, car);
            } else {
                index += 1;
            }
        }
    }

    /// Hands a vehicle over to the next lane, and writes down what it did on both.
    fn post(&mut self, at: &Context<'_>, info: &Lane, link: &Link, car: Car) {
        let end = info.length_mm + link.length_mm;
        // A lane may be so short that who came onto it was beyond its end at once; all of this second is on the next.
        let before = (car.speed_mm_s - (car.pos_mm - end)).max(0);
        let end_ms = time_ms(before, car.speed_mm_s);
        let piece = piece_of(&car).on(info, (end - before, end), (0, end_ms), false);
        let further = self.forget(at, link, car.who.id);
        let passing = Passing { lane: link.to, car: over_line(at, end, car), done_mm: before, piece };
        let next = &at.map.lanes[link.to as usize];
        if further && passing.car.pos_mm > next.length_mm {
            // It may be beyond the end of that one, too: when all have left their own lanes.
            self.scratch.passing.push(passing);
        } else {
            self.pieces.push(passing.piece);
            self.hand_over(at, &passing, further);
        }
    }

    /// Takes those who have leave for several lines over all that they passed within the second, the foremost first.
    pub(super) fn pass_through(&mut self, at: &Context<'_>) {
        let mut passing = std::mem::take(&mut self.scratch.passing);
        passing.sort_unstable_by_key(|p| (p.lane, std::cmp::Reverse(p.car.pos_mm), p.car.who.id));
        for mut one in passing.drain(..) {
            self.pieces.push(one.piece);
            let mut further = true;
            while further {
                let info = &at.map.lanes[one.lane as usize];
                let l = self.local(at.map, one.lane);
                let Who { slot, leg, id, .. } = one.car.who;
                let link = &at.map.links[next_link(at, one.lane, slot, leg, id) as usize];
                let end = info.length_mm + link.length_mm;
                if one.car.pos_mm <= end {
                    break;
                }
                let way = one.car.speed_mm_s;
                let (begin_ms, end_ms) = (time_ms(one.done_mm, way), time_ms(one.done_mm + end, way));
                self.pieces.push(piece_of(&one.car).on(info, (0, end), (begin_ms, end_ms), false));
                let state = &mut self.lanes[l];
                (state.left_id, state.left_to, state.left_end_mm) = (one.car.who.id, link.to, end);
                state.left_rear_mm = one.car.pos_mm - at.drivers[usize::from(one.car.who.kind)].length_mm;
                state.passed = state.passed.saturating_add(1);
                state.early -= 1;
                further = self.forget(at, link, one.car.who.id);
                one = Passing { lane: link.to, car: over_line(at, end, one.car), done_mm: one.done_mm + end, ..one };
            }
            self.hand_over(at, &one, further);
        }
        self.scratch.passing = passing;
    }

    /// Posts somebody to the lane where he is at the end of the second.
    fn hand_over(&mut self, at: &Context<'_>, one: &Passing, further: bool) {
        let Passing { lane, car, done_mm, .. } = *one;
        let info = &at.map.lanes[lane as usize];
        let from = car.pos_mm - (car.speed_mm_s - done_mm);
        self.pieces.push(piece_of(&car).on(info, (from, car.pos_mm), (time_ms(done_mm, car.speed_mm_s), 1_000), true));
        self.outbox[usize::from(at.map.part_of_lane[lane as usize])].push(Arrival { lane, car, further });
    }

    fn arrive(&mut self, info: &Lane, car: Car) {
        let way = car.speed_mm_s;
        // Who ends at the end of the lane may have driven beyond it: that is nowhere.
        let to = car.pos_mm.min(info.length_mm.max(car.pos_mm - way));
        self.pieces.push(piece_of(&car).on(info, (car.pos_mm - way, to), (0, 1_000), true));
        self.arrived += 1;
        self.ended.push(car.who.slot);
        self.ends.push((info.segment, VehicleId(u64::from(car.who.id))));
    }
}

/// Somebody on the way over several lines within one second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passing {
    /// Where he is by now, or beyond.
    lane: u32,
    car: Car,
    /// Driven in this second before that lane.
    done_mm: i32,
    /// What he did on the lane that he came from.
    piece: Move,
}

/// What one driver sees.
struct View<'a> {
    driver: &'a Driver,
    speed: i32,
    /// Least of all safe speeds.
    allowed: i32,
    /// As fast as it could be next.
    top: i32,
    /// Road that must be free for it, and the headway of today.
    reach: i32,
    tau_ms: i32,
    /// Road to whatever is ahead as it stands now, less what is kept in a circle that turns.
    space: i32,
    /// For the Intelligent Driver Model: the nearest ahead.
    gap: Option<(i32, i32)>,
}

impl<'a> View<'a> {
    fn new(driver: &'a Driver, speed: i32, wanted: i32, memory_s: u8) -> Self {
        let top = (speed + driver.accel_mm_s2).min(wanted).max(speed - driver.decel_mm_s2);
        let tau_ms = driver.tau_ms(memory_s);
        let reach = driver.reach_at(top, tau_ms);
        View { driver, speed, allowed: wanted, top, reach, tau_ms, space: i32::MAX, gap: None }
    }

    fn follow(&mut self, at: &Context<'_>, ahead: Ahead, pos: i32, min_gap_mm: i32) {
        let leader = &at.drivers[usize::from(ahead.2)];
        let gap = ahead.0 - leader.length_mm - min_gap_mm - pos;
        self.space = self.space.min(gap + min_gap_mm - TURNING_GAP_MM);
        self.keep_clear(gap, self.driver.leader_brake_mm(ahead.1, leader.decel_mm_s2));
        if self.driver.is_idm && self.gap.is_none_or(|(nearest, _)| gap < nearest) {
            self.gap = Some((gap, ahead.1));
        }
    }

    fn keep_clear(&mut self, gap: i32, leader_brake: i32) {
        let budget = gap + leader_brake;
        // Far away it allows any speed that can be reached.
        if budget < self.reach {
            self.allowed = self.allowed.min(self.driver.safe_at(budget, self.tau_ms));
        }
    }

    /// A wall.
    fn stop_within(&mut self, distance: i32) {
        self.space = self.space.min(distance);
        self.keep_clear(distance, 0);
        if self.driver.is_idm && self.gap.is_none_or(|(nearest, _)| distance < nearest) {
            self.gap = Some((distance, 0));
        }
    }

    /// Slowing to w before a line. What is seen ahead needs no time to react, and w itself is always slow enough.
    fn slow_to(&mut self, distance: i32, wanted: i32) {
        if wanted < self.top {
            self.allowed = self.allowed.min(self.driver.slowing_mm_s(distance, wanted));
        }
    }

    fn choose(&self, at: &Context<'_>, id: u32, wanted: i32) -> i32 {
        let dawdle = bits32(at.seed, id, at.step, Stream::Dawdle);
        if self.driver.is_idm {
            let next = self.driver.idm_mm_s(self.speed, wanted, self.gap).min(self.allowed);
            return self.driver.next_mm_s(self.speed, next, dawdle);
        }
        self.driver.next_mm_s(self.speed, self.allowed, dawdle)
    }
}

/// Follows the route through lanes that need no leave, to the first end that does; keeps clear of whoever is there.
fn look_through(
    at: &Context<'_>,
    view: &mut View<'_>,
    who: Who,
    (link, mut leg): (&Link, usize),
    mut to_end: i32,
    tails: &[Tail],
) -> i32 {
    let route = &at.trips[who.slot as usize].route;
    let mut lane = link.to;
    for _ in 0..LOOK_THROUGH_MAX {
        if tails[lane as usize].id != NONE || to_end > HORIZON_MM {
            // Somebody is ahead, and does what is needed.
            return HORIZON_MM;
        }
        let Some(&next) = route.get(leg + 1) else { return HORIZON_MM };
        let Some(link) = at.map.links_from(lane).iter().find(|k| at.map.lanes[k.to as usize].segment == next) else {
            return to_end;
        };
        if !link.is_free {
            return to_end;
        }
        to_end += link.length_mm;
        let beyond = &at.map.lanes[link.to as usize];
        view.slow_to(to_end, wanted_mm_s(view.driver, beyond.limit_mm_s, who.factor_permille));
        if let Some((front, speed, kind)) = last_on(tails, link.to) {
            view.follow(at, (to_end + front, speed, kind), 0, view.driver.min_gap_mm);
            if tails[link.to as usize].id != NONE {
                return HORIZON_MM;
            }
        }
        to_end += beyond.length_mm;
        lane = link.to;
        leg += 1;
        if to_end > view.reach {
            return HORIZON_MM;
        }
    }
    to_end
}

fn piece_of(car: &Car) -> Piece {
    let Car { speed_mm_s, who, .. } = *car;
    let vehicle = VehicleId(u64::from(who.id));
    Piece { vehicle, slot: who.slot, speed_mm_s: i64::from(speed_mm_s), kind: who.kind }
}

/// When so much of the way of a second is done: constant speed within it, rounded once; no distance takes no time, and
/// nobody is on the next lane for no time at all.
fn time_ms(done_mm: i32, way_mm: i32) -> i32 {
    let ms = if way_mm == 0 { 0 } else { (2_000 * done_mm + way_mm) / (2 * way_mm) };
    ms.clamp(i32::from(done_mm > 0), 999)
}

/// A vehicle as it is on the next lane, beyond the end of one.
fn over_line(at: &Context<'_>, end: i32, mut car: Car) -> Car {
    car.pos_mm -= end;
    car.who.odometer_mm = car.who.odometer_mm.wrapping_add(end);
    car.who.leg += 1;
    car.who.flags = CROSSED;
    car.who.since = at.step as u16;
    (car.who.gain, car.who.yields) = (0, 0);
    car
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
