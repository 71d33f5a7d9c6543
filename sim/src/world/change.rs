//! Changing lanes: because the lane does not lead on, because the next turn is easier from another one, or because
//! one gets on better there.
//!
//! Who must change tries every second and asks to be let in near the end of the lane; everybody else looks every third
//! second, each at his own, and changes after MOBIL (Kesting, Treiber, Helbing: General lane-changing model MOBIL for
//! car-following models, Transportation Research Record 1999, 2007): when the own advantage in acceleration outweighs
//! the follower's loss, weighed by politeness, by a threshold. Nobody changes where somebody could not keep clear.
//! Upstream: arrive. Downstream: the tails of the lanes.

use super::WRONG_LANE_S;
use super::arrive::{set_course, set_goal};
use super::junction::wanted_mm_s;
use super::part::{Coming, Context, Part};
use crate::cars::{LAST_LEG, STOPS, Who};
use crate::map::{Lane, NONE};
use crate::vehicle::Driver;

/// Everybody thinks about another lane every so many seconds.
const EVERY_S: u32 = 3;

/// Weight of the follower's loss (MOBIL: 0 to 0.5 is realistic).
const POLITENESS_PERMILLE: i32 = 200;

/// Least advantage, mm/s² (MOBIL: 0.1 m/s², here more, since a step lasts a second).
const THRESHOLD_MM_S2: i32 = 500;

/// Nearer than this to where his lane ends or leads elsewhere, who must change asks to be let in, mm.
const ASK_WITHIN_MM: i32 = 100_000;

/// A closed piece of a lane is known so far ahead, mm.
pub(super) const SEEN_AHEAD_MM: i32 = 300_000;

/// Why somebody wants another lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// This lane does not lead on, or is closed ahead: to the left (+1) or to the right (−1).
    Must(i32),
    /// The turn after the next is easier from there.
    Easier(i32),
    /// As it comes.
    Free,
}

impl Part {
    /// Changes lanes from one lane.
    pub(super) fn change_lanes(&mut self, at: &Context<'_>, lane: u32, coming: &[Coming]) {
        let l = self.local(at.map, lane);
        let info = &at.map.lanes[lane as usize];
        let mut index = usize::from(self.lanes[l].granted);
        while index < usize::from(self.lanes[l].count) {
            let place = info.base as usize + index;
            let who = &self.cars.who[place];
            let is_time = (who.id.wrapping_add(at.step)).is_multiple_of(EVERY_S);
            let is_good = who.better == 0 || who.better >> info.number.min(15) & 1 == 1;
            let leads_on = who.link != NONE && is_good || who.flags & LAST_LEG != 0;
            if !is_time && leads_on && self.lanes[l].closed_from_mm == i32::MAX {
                index += 1;
                continue;
            }
            let wish = self.wish(l, info, self.cars.pos_mm[place], who);
            let target = match wish {
                Some(Wish::Must(side)) => self.may_change(at, lane, index, side, coming).ok_or(Some(side)),
                Some(Wish::Easier(side)) => self.may_change(at, lane, index, side, coming).ok_or_else(|| {
                    let who = &self.cars.who[place];
                    let left_mm = info.length_mm - self.cars.pos_mm[place];
                    (left_mm.saturating_add(who.beyond_mm()) < ASK_WITHIN_MM).then_some(side)
                }),
                Some(Wish::Free) if is_time && index >= usize::from(self.lanes[l].standing) => {
                    self.better_lane(at, lane, index, coming).ok_or(None)
                }
                _ => Err(None),
            };
            match target {
                Ok((to, there)) => {
                    let mut car = self.take_off(at, lane, index);
                    set_course(at, to, &mut car.who);
                    if car.who.flags & STOPS == 0 {
                        set_goal(at, &at.map.lanes[to as usize], &mut car.who);
                    }
                    self.put_on(at, to, there, car);
                    self.tally.lane_changes += 1;
                }
                Err(asks) => {
                    if let Some(side) = asks {
                        self.ask(at, lane, index, side);
                    }
                    index += 1;
                }
            }
        }
    }

    fn wish(&self, l: usize, info: &Lane, pos: i32, who: &Who) -> Option<Wish> {
        let state = &self.lanes[l];
        let number = u32::from(info.number.min(15));
        if pos <= state.closed_from_mm && state.closed_from_mm - pos < SEEN_AHEAD_MM {
            let side = if info.number + 1 < info.beside { 1 } else { -1 };
            return Some(Wish::Must(side));
        }
        if who.flags & LAST_LEG != 0 || who.lanes == 0 {
            return Some(Wish::Free);
        }
        if who.lanes >> number & 1 == 0 {
            return Some(Wish::Must(side_of(who.lanes, number)));
        }
        if who.better != 0 && who.better >> number & 1 == 0 {
            return Some(Wish::Easier(side_of(who.better, number)));
        }
        Some(Wish::Free)
    }

    /// The lane on one side and the place in its order, if one may change there now.
    fn may_change(
        &self,
        at: &Context<'_>,
        lane: u32,
        index: usize,
        side: i32,
        coming: &[Coming],
    ) -> Option<(u32, usize)> {
        let info = &at.map.lanes[lane as usize];
        let number = i32::from(info.number) + side;
        if !(0..i32::from(info.beside)).contains(&number) {
            return None;
        }
        let to = info.first + number as u32;
        let place = info.base as usize + index;
        let (pos, speed, who) = (self.cars.pos_mm[place], self.cars.speed_mm_s[place], &self.cars.who[place]);
        let driver = &at.drivers[usize::from(who.kind)];
        // The rear must be on this segment, and the front before the line.
        if pos < driver.length_mm || pos > info.length_mm {
            return None;
        }
        self.gap_at(at, to, pos, speed, driver, coming).map(|there| (to, there))
    }

    /// The neighbouring lane on which one gets on better, after MOBIL.
    fn better_lane(&self, at: &Context<'_>, lane: u32, index: usize, coming: &[Coming]) -> Option<(u32, usize)> {
        let info = &at.map.lanes[lane as usize];
        let place = info.base as usize + index;
        let (pos, speed, who) = (self.cars.pos_mm[place], self.cars.speed_mm_s[place], &self.cars.who[place]);
        let driver = &at.drivers[usize::from(who.kind)];
        let wanted = wanted_mm_s(driver, self.lanes[self.local(at.map, lane)].limit_mm_s, who.factor_permille);
        let top = (speed + driver.accel_mm_s2).min(wanted);
        let here = self.speed_behind(at, lane, index, pos, driver, top);
        if top - here <= THRESHOLD_MM_S2 {
            return None;
        }
        let mut best: Option<(i32, (u32, usize))> = None;
        for side in [1, -1] {
            let number = i32::from(info.number) + side;
            if !(0..i32::from(info.beside)).contains(&number) {
                continue;
            }
            let leads = |mask: u16| mask == 0 || mask >> number.min(15) & 1 == 1;
            if !leads(who.lanes) || (who.better >> info.number.min(15) & 1 == 1 && !leads(who.better)) {
                continue;
            }
            let Some((to, there)) = self.may_change(at, lane, index, side, coming) else { continue };
            let gain = self.speed_behind(at, to, there, pos, driver, top)
                - here
                - self.loss_behind(at, to, there, (pos, speed), driver);
            if gain > THRESHOLD_MM_S2 && best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, (to, there)));
            }
        }
        best.map(|(_, to)| to)
    }

    /// How fast a vehicle could be next at a place in the order of a lane.
    fn speed_behind(&self, at: &Context<'_>, to: u32, there: usize, pos: i32, driver: &Driver, top: i32) -> i32 {
        let base = at.map.lanes[to as usize].base as usize;
        let Some(ahead) = there.checked_sub(1).map(|i| base + i) else { return top };
        let leader = &at.drivers[usize::from(self.cars.who[ahead].kind)];
        let gap = self.cars.pos_mm[ahead] - leader.length_mm - driver.min_gap_mm - pos;
        let brake = driver.leader_brake_mm(self.cars.speed_mm_s[ahead], leader.decel_mm_s2);
        top.min(driver.safe_mm_s(gap + brake))
    }

    /// What the next one behind a place loses if somebody with this front and speed takes it, mm/s².
    fn loss_behind(&self, at: &Context<'_>, to: u32, there: usize, (pos, speed): (i32, i32), driver: &Driver) -> i32 {
        if there >= usize::from(self.lanes[self.local(at.map, to)].count) {
            return 0;
        }
        let place = at.map.lanes[to as usize].base as usize + there;
        let follower = &at.drivers[usize::from(self.cars.who[place].kind)];
        let top = self.cars.speed_mm_s[place] + follower.accel_mm_s2;
        let before = self.speed_behind(at, to, there, self.cars.pos_mm[place], follower, top);
        let gap = pos - driver.length_mm - follower.min_gap_mm - self.cars.pos_mm[place];
        let after = before.min(follower.safe_mm_s(gap + follower.leader_brake_mm(speed, driver.decel_mm_s2)));
        (before - after) * POLITENESS_PERMILLE / 1_000
    }

    /// Asks those on the lane beside to be let in.
    fn ask(&mut self, at: &Context<'_>, lane: u32, index: usize, side: i32) {
        let info = &at.map.lanes[lane as usize];
        let number = i32::from(info.number) + side;
        let place = info.base as usize + index;
        let (pos, speed, who) = (self.cars.pos_mm[place], self.cars.speed_mm_s[place], self.cars.who[place]);
        let end = info.length_mm.min(self.lanes[self.local(at.map, lane)].closed_from_mm);
        if !(0..i32::from(info.beside)).contains(&number) || end - pos > ASK_WITHIN_MM {
            return;
        }
        let beside = self.local(at.map, info.first + number as u32);
        let state = &mut self.lanes[beside];
        let rear = pos - at.drivers[usize::from(who.kind)].length_mm;
        // Of several who ask the foremost is let in.
        if state.asks_rear_mm == i32::MAX || rear > state.asks_rear_mm {
            (state.asks_rear_mm, state.asks_speed_mm_s, state.asks_kind) = (rear, speed, who.kind);
            state.standing = 0;
        }
        if index == 0 && who.link == NONE && speed == 0 {
            let l = self.local(at.map, lane);
            self.lanes[l].blocked_s = self.lanes[l].blocked_s.saturating_add(1);
            if self.lanes[l].blocked_s.is_multiple_of(WRONG_LANE_S) {
                self.stuck.push((lane, who.id));
            }
        }
    }
}

/// The side of the nearest lane of a mask, +1 to the left.
fn side_of(mask: u16, number: u32) -> i32 {
    let left = (mask >> number).trailing_zeros();
    let right = (mask << (15 - number)).leading_zeros();
    if left <= right { 1 } else { -1 }
}
