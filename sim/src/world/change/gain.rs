//! Changing lanes for what is gained over time, as SUMO's drivers do (Erdmann, SUMO's Lane-Changing Model, Modeling
//! Mobility with Open Data, 2015; constants as in its LC2013).
//!
//! Whenever somebody thinks about it, the speed that the lane beside would allow is held against that of his own, and the
//! difference is summed up over the seconds since: a fifth of a second's worth is enough to go left, ten times that to go
//! right. Queues on lanes side by side become equally long by this, also on lanes from which one has to change again
//! later. Upstream: change. Downstream: change, which moves him.

use super::{EVERY_S, Outlook};
use crate::cars::Who;
use crate::vehicle::Driver;
use crate::world::junction::wanted_mm_s;
use crate::world::part::{Coming, Context, Part};

/// Fiftieths: what has to be gained to go left, and to go right.
const LEFT: i32 = 10;
const RIGHT: i32 = 100;
const UNIT: i32 = 50;

/// Gains are shares of this speed at least, mm/s.
const SHARE_OF_MM_S: i32 = 10_000;

/// Who gains changes only if the lane will do for so long, seconds.
const WORTH_S: i32 = 20;

/// A lane on the right that is slower by no more than this is as good, mm/s.
const AS_GOOD_MM_S: i32 = 1_389;

/// Somebody as he thinks about another lane.
struct Driving {
    pos: i32,
    speed: i32,
    wanted: i32,
    who: Who,
    driver: Driver,
}

impl Part {
    /// The neighbouring lane to which somebody changes to gain, or to keep right.
    pub(super) fn gaining_lane(
        &mut self,
        at: &Context<'_>,
        lane: u32,
        index: usize,
        outlook: &Outlook,
        coming: &[Coming],
    ) -> Option<(u32, usize)> {
        let info = &at.map.lanes[lane as usize];
        let place = info.base as usize + index;
        let who = self.cars.who[place];
        let driver = at.drivers[usize::from(who.kind)];
        let wanted = wanted_mm_s(&driver, self.lanes[self.local(at.map, lane)].limit_mm_s, who.factor_permille);
        let one = Driving { pos: self.cars.pos_mm[place], speed: self.cars.speed_mm_s[place], wanted, who, driver };
        let here = self.free_speed(at, lane, index, &one, outlook.left_mm);
        for side in [-1, 1] {
            let number = i32::from(info.number) + side;
            if !(0..i32::from(info.beside)).contains(&number) {
                continue;
            }
            let there_mm = self.left_on(at, info.first + number as u32, one.pos, &one.who);
            if !self.may_leave(at, lane, (one.pos, &one.who), outlook, (side, there_mm)) {
                continue;
            }
            if self.does_gain(at, (lane, place), &one, outlook, (side, here, there_mm))
                && let Some(found) = self.may_change(at, lane, index, side, coming)
            {
                return Some(found);
            }
        }
        None
    }

    /// Sums up what would be gained on one side, and says whether it is enough.
    fn does_gain(
        &mut self,
        at: &Context<'_>,
        (lane, place): (u32, usize),
        one: &Driving,
        outlook: &Outlook,
        (side, here, left_mm): (i32, i32, i32),
    ) -> bool {
        let to = (i64::from(lane) + i64::from(side)) as u32;
        let base = at.map.lanes[to as usize].base as usize;
        let count = usize::from(self.lanes[self.local(at.map, to)].count);
        let behind = self.cars.pos_mm[base..base + count].partition_point(|front| *front > one.pos);
        let there = self.free_speed(at, to, behind, one, left_mm);
        let share = (there - here) * UNIT * EVERY_S as i32 / there.max(SHARE_OF_MM_S);
        let who = &mut self.cars.who[place];
        let mut gain = i32::from(who.gain);
        let is_worth = left_mm + one.pos > WORTH_S * one.speed;
        let mut goes = false;
        if side > 0 {
            gain = match here.cmp(&there) {
                std::cmp::Ordering::Greater if gain > 0 => gain >> EVERY_S,
                std::cmp::Ordering::Equal if gain > 0 => gain / 2,
                std::cmp::Ordering::Greater | std::cmp::Ordering::Equal => gain,
                std::cmp::Ordering::Less => gain + share,
            };
            goes |= gain > LEFT && there > here && is_worth;
        } else if here - AS_GOOD_MM_S > there {
            gain = if gain < 0 { gain / (1 << EVERY_S) } else { gain };
        } else {
            gain = if gain < 0 || there > here { gain - share } else { gain };
            goes |= gain < -RIGHT && is_worth;
        }
        who.gain = gain.clamp(-127, 127) as i8;
        // Towards the lane that one needs later, if it costs nothing.
        goes || outlook.aside.signum() == side && there >= here && gain.signum() == side
    }

    /// How fast one could be next at a place in the order of a lane that does for so long.
    fn free_speed(&self, at: &Context<'_>, to: u32, there: usize, one: &Driving, left_mm: i32) -> i32 {
        if there == 0 {
            return one.wanted.min(one.driver.safe_mm_s(left_mm.saturating_add(one.pos)));
        }
        self.speed_behind(at, to, there, one.pos, &one.driver, one.wanted)
    }
}
