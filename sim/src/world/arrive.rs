//! The second half of a second: who crossed is taken in, who begins a trip finds a gap.
//!
//! Upstream: the post of all parts. Downstream: change, which moves between lanes.

use roads::SegmentIndex;

use super::change::SEEN_AHEAD_MM;
use super::junction::wanted_mm_s;
use super::part::{Arrival, Coming, Context, Part, Waiting};
use crate::cars::{Car, FRESH, LAST_LEG, STOPS, Who};
use crate::map::{Lane, NONE};
use crate::random::{Stream, bits32};
use crate::scenario::{DepartAt, DepartLane};
use crate::vehicle::{Driver, FACTOR_PERMILLE_MAX};

/// Lanes are chosen with so many segments of the route in view, or with so many metres.
const LEGS_AHEAD_MAX: usize = 8;
const LOOK_AHEAD_M: f64 = 300.0;

/// Lanes of a segment that are told apart.
const LANES_MAX: usize = 16;

/// On a segment no longer than this nobody counts on changing lanes.
const CHANGE_WITHIN_M: f64 = 40.0;

impl Part {
    /// Takes in the post: at the rear of each lane, those from the front first.
    pub(super) fn take_in(&mut self, at: &Context<'_>, mail: &[Vec<Vec<Arrival>>]) {
        let mut incoming = std::mem::take(&mut self.scratch.incoming);
        incoming.clear();
        incoming.extend(mail.iter().flat_map(|from| from[self.number].iter().copied()));
        incoming.sort_unstable_by_key(|a| (a.lane, std::cmp::Reverse(a.car.pos_mm), a.car.who.id));
        for arrival in &incoming {
            let mut car = arrival.car;
            let info = &at.map.lanes[arrival.lane as usize];
            set_course(at, arrival.lane, &mut car.who);
            set_goal(at, info, &mut car.who);
            let count = usize::from(self.lanes[self.local(at.map, arrival.lane)].count);
            debug_assert!(count < usize::from(info.places), "a lane holds as many as fit on it");
            self.put_on(at, arrival.lane, count, car);
            if arrival.further {
                let l = self.local(at.map, arrival.lane);
                assert!(usize::from(self.lanes[l].granted) == count && car.who.link != NONE, "leave is in order");
                self.lanes[l].early -= 1;
                self.lanes[l].granted += 1;
            }
        }
        self.scratch.incoming = incoming;
    }

    /// Lets the first of those who wait on each segment begin, where there is a gap.
    pub(super) fn depart(&mut self, at: &Context<'_>, coming: &[Coming]) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for (&first, queue) in &mut waiting {
            let Some(&trip) = queue.front() else { continue };
            if self.begin(at, first, &trip, coming) {
                queue.pop_front();
                self.tally.departed += 1;
            } else if at.step - trip.since >= trip.patience_s {
                queue.pop_front();
                self.tally.no_room += 1;
                self.ended.push(trip.slot);
            }
        }
        waiting.retain(|_, queue| !queue.is_empty());
        self.waiting = waiting;
    }

    fn begin(&mut self, at: &Context<'_>, first: u32, trip: &Waiting, coming: &[Coming]) -> bool {
        let state = &at.trips[trip.slot as usize];
        let info = at.map.lanes[first as usize];
        let (lane_wish, at_wish, speed_mps) =
            state.details.as_ref().map_or((DepartLane::Best, DepartAt::Middle, 0.0), |d| (d.lane, d.at, d.speed_mps));
        let driver = &at.drivers[usize::from(state.kind)];
        let pos_mm = match at_wish {
            DepartAt::Middle => info.length_mm / 2,
            DepartAt::Base => driver.length_mm.min(info.length_mm),
            DepartAt::Metres(m) => {
                ((f64::from(m) * 1_000.0) as i32).clamp(driver.length_mm.min(info.length_mm), info.length_mm)
            }
        };
        let mut who = Who {
            id: trip.id,
            slot: trip.slot,
            link: NONE,
            since: at.step as u16,
            kind: state.kind,
            factor_permille: state.factor_permille,
            ..Who::default()
        };
        who.odometer_mm = -pos_mm;
        set_course(at, first, &mut who);
        let wanted = wanted_mm_s(driver, info.limit_mm_s, state.factor_permille);
        let mut speed = ((f64::from(speed_mps) * 1_000.0).min(1e6) as i32).min(wanted);
        let lanes = first..first + u32::from(info.beside);
        let best = if who.better == 0 { u16::MAX } else { who.better };
        let usable = |lane: &u32| match lane_wish {
            DepartLane::Number(n) => *lane == first + u32::from(n.min(info.beside - 1)),
            DepartLane::Best => best >> (*lane - first).min(15) & 1 == 1,
        };
        let Some(lane) = lanes.filter(usable).min_by_key(|lane| (self.lanes[self.local(at.map, *lane)].count, *lane))
        else {
            return false;
        };
        loop {
            if let Some(index) = self.gap_at(at, lane, pos_mm, speed, driver, coming) {
                set_course(at, lane, &mut who);
                set_goal(at, &at.map.lanes[lane as usize], &mut who);
                who.flags |= FRESH;
                self.put_on(at, lane, index, Car { pos_mm, speed_mm_s: speed, who });
                return true;
            }
            if speed == 0 {
                return false;
            }
            speed = if speed > 2_000 { speed / 2 } else { 0 };
        }
    }

    /// Where in the order of a lane a vehicle may appear so that it and everybody around keep clear; `None` if nowhere.
    pub(super) fn gap_at(
        &self,
        at: &Context<'_>,
        lane: u32,
        pos: i32,
        speed: i32,
        driver: &Driver,
        coming: &[Coming],
    ) -> Option<usize> {
        let info = &at.map.lanes[lane as usize];
        let (state, base) = (&self.lanes[self.local(at.map, lane)], info.base as usize);
        let count = usize::from(state.count);
        // Nobody comes before those who have leave for the end of the lane already.
        if state.early > 0 || count + 2 >= usize::from(info.places) || state.is_closed_at(pos, pos - driver.length_mm) {
            return None;
        }
        let index = self.cars.pos_mm[base..base + count].partition_point(|front| *front > pos);
        if index < usize::from(state.granted) {
            return None;
        }
        // Nobody goes where a closed piece is in sight.
        if pos <= state.closed_from_mm && state.closed_from_mm - pos < SEEN_AHEAD_MM {
            return None;
        }
        let own = driver.brake_mm(speed);
        match index.checked_sub(1) {
            Some(ahead) => {
                let leader = &at.drivers[usize::from(self.cars.who[base + ahead].kind)];
                let gap = self.cars.pos_mm[base + ahead] - leader.length_mm - driver.min_gap_mm - pos;
                let brake = driver.leader_brake_mm(self.cars.speed_mm_s[base + ahead], leader.decel_mm_s2);
                if !driver.is_safe(speed, gap, brake) {
                    return None;
                }
            }
            // Somebody may still be leaving over the line; he only gets farther.
            None if state.left_id != NONE
                && !driver.is_safe(speed, state.left_rear_mm - driver.min_gap_mm - pos, 0) =>
            {
                return None;
            }
            None => {}
        }
        if own > info.length_mm - pos {
            return None;
        }
        let rear = pos - driver.length_mm;
        let fits = if index < count {
            let follower = &at.drivers[usize::from(self.cars.who[base + index].kind)];
            let gap = rear - follower.min_gap_mm - self.cars.pos_mm[base + index];
            let brake = follower.leader_brake_mm(speed, driver.decel_mm_s2);
            follower.is_safe(self.cars.speed_mm_s[base + index], gap, brake)
        } else {
            is_clear_behind(at, info, rear, speed, driver, coming)
        };
        fits.then_some(index)
    }
}

/// Whether nobody who comes onto a lane behind a vehicle that appears there is too near.
fn is_clear_behind(at: &Context<'_>, info: &Lane, rear: i32, speed: i32, driver: &Driver, coming: &[Coming]) -> bool {
    let clear = |follower: &Driver, follower_speed: i32, gap: i32| {
        follower.is_safe(follower_speed, gap - follower.min_gap_mm, follower.leader_brake_mm(speed, driver.decel_mm_s2))
    };
    if rear < 0 {
        return false;
    }
    if info.open_behind_mm != i32::MAX {
        // Who is still before the lane before this one may look through to here: anybody could be at its begin.
        let fastest = |d: &Driver| wanted_mm_s(d, info.limit_mm_s, FACTOR_PERMILLE_MAX as u16);
        if !at.drivers.iter().all(|d| clear(d, fastest(d), info.open_behind_mm + rear)) {
            return false;
        }
    }
    let Some(first) = coming.get(info.entry as usize).filter(|first| first.distance_mm != i32::MAX) else {
        return true;
    };
    clear(&at.drivers[usize::from(first.kind)], first.speed_mm_s, first.distance_mm + rear)
}

/// Chooses the link at the end of a lane, and the lanes that would do.
///
/// Of the lanes that lead to the next segment those are better from which one gets on without a change for as long as
/// possible; where the next segments are too short to change on them, only lanes that need no change there will do.
pub(super) fn set_course(at: &Context<'_>, lane: u32, who: &mut Who) {
    let route = &at.trips[who.slot as usize].route;
    let info = &at.map.lanes[lane as usize];
    let leg = usize::from(who.leg);
    let Some(&next) = route.get(leg + 1) else {
        who.flags |= LAST_LEG;
        (who.link, who.lanes, who.better) = (NONE, 0, 0);
        return;
    };
    let [here, there] = lanes_ahead(at, &route[leg..]);
    (who.lanes, who.better) = (here.must, here.good);
    who.set_beyond_m(here.beyond_m[usize::from(info.number).min(LANES_MAX - 1)]);
    let mut best: Option<(u32, u32)> = None;
    for (nth, link) in at.map.links_from(lane).iter().enumerate() {
        let to = &at.map.lanes[link.to as usize];
        if to.segment != next {
            continue;
        }
        let does = |mask: u16| mask >> to.number.min(15) & 1 == 1;
        // Rather a lane from which the turns after are reached, then the nearest, then any.
        let aside = u32::from(to.number.abs_diff(info.number).min(63));
        let draw = bits32(at.seed, who.id, link.to, Stream::Lane) >> 8 & 0x3f_ffff;
        let cost = u32::from(!does(there.must)) << 31 | u32::from(!does(there.good)) << 30 | aside << 22 | draw >> 2;
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, info.first_link + nth as u32));
        }
    }
    // Who would come onto a lane that does not lead on changes before, if he can.
    let is_right = who.lanes >> info.number.min(15) & 1 == 1;
    who.link = best.filter(|_| is_right).map_or(NONE, |(_, link)| link);
}

/// Lanes of a segment.
#[derive(Clone, Copy)]
struct Lanes {
    /// Those that lead on at all, as bits.
    must: u16,
    /// Those from which one gets farthest without a change, as bits.
    good: u16,
    /// How far beyond the segment one gets from each without a change, m.
    beyond_m: [f32; LANES_MAX],
}

/// The lanes that lead on from the first segment of a route, and from the second.
fn lanes_ahead(at: &Context<'_>, route: &[SegmentIndex]) -> [Lanes; 2] {
    let (mut end, mut ahead_m) = (1, 0.0);
    while end + 1 < route.len() && end < LEGS_AHEAD_MAX && ahead_m < LOOK_AHEAD_M {
        ahead_m += at.network.segment(route[end]).length_m;
        end += 1;
    }
    let mut here = Lanes { must: u16::MAX, good: u16::MAX, beyond_m: [0.0; LANES_MAX] };
    let mut there = here;
    for pair in route[..=end].windows(2).rev() {
        there = here;
        let next_m = at.network.segment(pair[1]).length_m as f32;
        let is_long = f64::from(next_m) > CHANGE_WITHIN_M;
        let nth = at.network.successors(pair[0]).iter().position(|to| *to == pair[1]);
        let movement = nth.map(|nth| &at.network.movements()[at.network.movements_from(pair[0]).start + nth]);
        let (mut any, mut must, mut beyond_m) = (0, 0, [0.0_f32; LANES_MAX]);
        for &(from, to) in movement.map_or(&[][..], |movement| &movement.lanes) {
            let (from, to) = (usize::from(from).min(LANES_MAX - 1), usize::from(to).min(LANES_MAX - 1));
            any |= 1 << from;
            must |= if is_long || there.must >> to & 1 == 1 { 1 << from } else { 0 };
            beyond_m[from] = beyond_m[from].max(next_m + there.beyond_m[to]);
        }
        must = if must == 0 { any } else { must };
        let farthest_m = (0..LANES_MAX).filter(|n| must >> n & 1 == 1).map(|n| beyond_m[n]).fold(0.0, f32::max);
        let is_good = |n: &usize| must >> n & 1 == 1 && beyond_m[*n] >= farthest_m - 1.0;
        here = Lanes { must, good: (0..LANES_MAX).filter(is_good).fold(0, |mask, n| mask | 1 << n), beyond_m };
    }
    [here, there]
}

/// The link that a trip will take at the end of a lane that it is on the way to; [`NONE`] if it stops or ends there, or
/// does not get on from there.
pub(super) fn next_link(at: &Context<'_>, lane: u32, slot: u32, leg: u16, id: u32) -> u32 {
    let segment = at.map.lanes[lane as usize].segment;
    let details = at.trips[slot as usize].details.as_deref();
    if details.is_some_and(|d| d.stops.iter().any(|stop| stop.segment == segment)) {
        return NONE;
    }
    let mut who = Who { id, slot, leg, ..Who::default() };
    set_course(at, lane, &mut who);
    who.link
}

/// The next stop on this segment, or where the trip ends.
pub(super) fn set_goal(at: &Context<'_>, info: &Lane, who: &mut Who) {
    let details = at.trips[who.slot as usize].details.as_deref();
    let is_last = who.flags & LAST_LEG != 0;
    who.flags &= !STOPS;
    who.goal_mm = i32::MAX;
    if is_last {
        let arrival_m = details.map_or(Some(f32::NAN), |d| d.arrival_m).filter(|m| !m.is_nan());
        who.goal_mm =
            arrival_m.map_or(info.length_mm / 2, |m| (f64::from(m) * 1_000.0).min(f64::from(info.length_mm)) as i32);
    }
    let stop = details.and_then(|d| d.stops.get(usize::from(who.stops_made)));
    if let Some(stop) = stop.filter(|stop| stop.segment == info.segment) {
        who.flags |= STOPS;
        who.goal_mm = ((f64::from(stop.offset_m) * 1_000.0) as i32).min(info.length_mm);
        who.dwell_s = stop.duration_s.ceil().min(f32::from(u16::MAX)) as u16;
    }
}
