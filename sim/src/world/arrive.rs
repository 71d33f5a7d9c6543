//! The second half of a second: who crossed is taken in, who begins a trip finds a gap.
//!
//! Upstream: the post of all parts. Downstream: course, which says how they go on; change,
//! which moves between lanes.

use super::change::SEEN_AHEAD_MM;
use super::course::{set_course, set_stop};
use super::junction::wanted_mm_s;
use super::part::{Arrival, Coming, Context, Part, Waiting};
use crate::cars::{Car, FRESH, Who};
use crate::map::{Lane, NONE};
use crate::scenario::{DepartAt, DepartLane};
use crate::vehicle::{Driver, FACTOR_PERMILLE_MAX};

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
            set_stop(at, info, &mut car.who);
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
        let usable = |lane: &u32| match lane_wish {
            DepartLane::Number(n) => *lane == first + u32::from(n.min(info.beside - 1)),
            DepartLane::Best => who.reach.is_best((*lane - first) as u8),
        };
        let Some(lane) = lanes.filter(usable).min_by_key(|lane| (self.lanes[self.local(at.map, *lane)].count, *lane))
        else {
            return false;
        };
        loop {
            if let Some(index) = self.gap_at(at, lane, pos_mm, speed, driver, coming) {
                set_course(at, lane, &mut who);
                set_stop(at, &at.map.lanes[lane as usize], &mut who);
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
