//! Helping each other to change lanes: who must change and cannot falls in behind the one ahead on the lane that he
//! wants, and the next one there who can do it by braking as usual lets him in, or makes way himself.
//!
//! After Erdmann, SUMO's Lane-Changing Model (Modeling Mobility with Open Data, 2015), section on co-operation. Nobody is
//! ever made to brake harder than he could: what is given up is a share of what he could do in the coming second.
//! Upstream: change. Downstream: motion, which keeps to it; junction, which gives no leave to who lets somebody in.

use super::{Outlook, Part};
use crate::cars::{LETS_IN, LOOK_STEP_MM_S, Who};
use crate::map::NONE;
use crate::vehicle::Driver;
use crate::world::WRONG_LANE_S;
use crate::world::part::{Coming, Context};

/// So many behind the one who asks are asked in turn.
const ASKED_MAX: usize = 3;

/// Who falls in behind somebody slows at least by so much a second, mm/s² (Erdmann 2015: 7 km/h).
const FALL_BEHIND_MM_S2: i32 = 1_944;

impl Part {
    /// Asks those on the lane beside for room, and does what is one's own to do.
    pub(super) fn ask(&mut self, at: &Context<'_>, lane: u32, index: usize, outlook: &Outlook, coming: &[Coming]) {
        let info = &at.map.lanes[lane as usize];
        let side = outlook.aside.signum();
        let number = i32::from(info.number) + side;
        if !(0..i32::from(info.beside)).contains(&number) {
            return;
        }
        let to = info.first + number as u32;
        let place = info.base as usize + index;
        let pos = self.cars.pos_mm[place];
        let base = at.map.lanes[to as usize].base as usize;
        let count = usize::from(self.lanes[self.local(at.map, to)].count);
        let there = self.cars.pos_mm[base..base + count].partition_point(|front| *front > pos);
        let ahead = there.checked_sub(1).map(|i| base + i);
        let is_passing = ahead.is_some_and(|ahead| self.fall_behind(at, (lane, index), ahead, outlook));
        if !is_passing {
            self.ask_behind(at, (place, side), (to, there, count), coming);
        }
        let who = self.cars.who[place];
        if index == 0 && who.link == NONE && self.cars.speed_mm_s[place] == 0 {
            let l = self.local(at.map, lane);
            self.lanes[l].blocked_s = self.lanes[l].blocked_s.saturating_add(1);
            if self.lanes[l].blocked_s.is_multiple_of(WRONG_LANE_S) {
                self.stuck.push((lane, who.id));
            }
        }
    }

    /// Falls in behind the one ahead on the other lane, unless there is time and way to pass him: `true` then.
    fn fall_behind(&mut self, at: &Context<'_>, (lane, index): (u32, usize), ahead: usize, outlook: &Outlook) -> bool {
        let place = at.map.lanes[lane as usize].base as usize + index;
        let (pos, speed, who) = (self.cars.pos_mm[place], self.cars.speed_mm_s[place], self.cars.who[place]);
        let driver = &at.drivers[usize::from(who.kind)];
        let leader = &at.drivers[usize::from(self.cars.who[ahead].kind)];
        let (front, leader_speed) = (self.cars.pos_mm[ahead], self.cars.speed_mm_s[ahead]);
        let gap = front - leader.length_mm - driver.min_gap_mm - pos;
        let brake = driver.leader_brake_mm(leader_speed, leader.decel_mm_s2);
        let safe = if gap < 0 { 0 } else { driver.safe_mm_s(gap + brake) };
        if driver.is_safe(speed, gap, brake) {
            self.give_up(at, (lane, index), safe.max(speed - driver.decel_mm_s2));
            return false;
        }
        let seconds = seconds_left(&who, outlook);
        let to_pass = front - pos + driver.length_mm + leader.min_gap_mm;
        let faster = speed - leader_speed;
        if faster > 0 && faster * seconds > to_pass && outlook.left_mm - driver.brake_mm(speed) > to_pass {
            return true;
        }
        if safe < speed {
            let slowing = ((speed - safe) / seconds).clamp(FALL_BEHIND_MM_S2, driver.decel_mm_s2);
            self.give_up(at, (lane, index), (speed - slowing).max(0));
        }
        false
    }

    /// Asks the next ones behind on the other lane: the first who can keep clear by braking does, or makes way.
    fn ask_behind(
        &mut self,
        at: &Context<'_>,
        (place, side): (usize, i32),
        (to, there, count): (u32, usize, usize),
        coming: &[Coming],
    ) {
        let (pos, speed, who) = (self.cars.pos_mm[place], self.cars.speed_mm_s[place], self.cars.who[place]);
        let own = &at.drivers[usize::from(who.kind)];
        let rear = pos - own.length_mm;
        let base = at.map.lanes[to as usize].base as usize;
        for helper in there..count.min(there + ASKED_MAX) {
            let kind = self.cars.who[base + helper].kind;
            let driver = &at.drivers[usize::from(kind)];
            let gap = rear - driver.min_gap_mm - self.cars.pos_mm[base + helper];
            let brake = driver.leader_brake_mm(speed, own.decel_mm_s2);
            if !driver.is_safe(self.cars.speed_mm_s[base + helper], gap, brake) {
                continue;
            }
            let safe = driver.safe_mm_s(gap + brake);
            self.cars.who[base + helper].flags |= LETS_IN;
            if self.make_way(at, (to, helper), side, coming) {
                return;
            }
            self.give_up(at, (to, helper), safe);
            return;
        }
    }

    /// Changes to the same side as the one who asks, if there is room, and no less speed than half of here.
    fn make_way(&mut self, at: &Context<'_>, (lane, index): (u32, usize), side: i32, coming: &[Coming]) -> bool {
        let place = at.map.lanes[lane as usize].base as usize + index;
        let (pos, who) = (self.cars.pos_mm[place], self.cars.who[place]);
        if index < usize::from(self.lanes[self.local(at.map, lane)].granted) {
            return false;
        }
        let outlook = self.outlook(at, lane, index);
        let number = i32::from(at.map.lanes[lane as usize].number) + side;
        let exists = (0..i32::from(at.map.lanes[lane as usize].beside)).contains(&number);
        if outlook.must || !exists {
            return false;
        }
        let there_mm = self.left_on(at, (i64::from(lane) + i64::from(side)) as u32, pos, &who);
        if !self.may_leave(at, lane, (pos, &who), &outlook, (side, there_mm)) {
            return false;
        }
        let Some((to, there)) = self.may_change(at, lane, index, side, coming) else { return false };
        let driver = &at.drivers[usize::from(who.kind)];
        let top = self.cars.speed_mm_s[place] + driver.accel_mm_s2;
        let [here, beside] = [(lane, index), (to, there)].map(|(l, i)| self.speed_behind(at, l, i, pos, driver, top));
        if 2 * beside < here {
            return false;
        }
        self.move_over(at, (lane, index), (to, there));
        true
    }

    /// Somebody drives no faster than this in the coming second, as far as he can brake as usual.
    fn give_up(&mut self, at: &Context<'_>, (lane, index): (u32, usize), speed_mm_s: i32) {
        let l = self.local(at.map, lane);
        let place = at.map.lanes[lane as usize].base as usize + index;
        let speed = self.cars.speed_mm_s[place];
        let who = &mut self.cars.who[place];
        let driver = &at.drivers[usize::from(who.kind)];
        let most = driver.accel_mm_s2 + driver.decel_mm_s2;
        let given = (speed + driver.accel_mm_s2 - speed_mm_s).clamp(0, most);
        who.yields = who.yields.max((255 * given / most) as u8);
        self.lanes[l].standing = self.lanes[l].standing.min(index as u16);
    }
}

/// Fastest that somebody drives who gives up a share of what he could do, mm/s.
pub(in crate::world) fn yielded_mm_s(driver: &Driver, speed: i32, yields: u8) -> i32 {
    speed + driver.accel_mm_s2 - (driver.accel_mm_s2 + driver.decel_mm_s2) * i32::from(yields) / 255
}

/// Time for a change, half of what is left at the speed of looking ahead, for each lane to cross (Erdmann 2015).
fn seconds_left(who: &Who, outlook: &Outlook) -> i32 {
    let look = (i32::from(who.look) * LOOK_STEP_MM_S).max(100);
    (outlook.left_mm / look / outlook.aside.abs().max(1) / 2).max(1)
}
