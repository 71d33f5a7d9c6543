//! Changing lanes: because the lane does not lead on far enough, or because one gets on better beside it.
//!
//! Who must change tries every second, and asks to be let in ([`help`]). How early he must follows SUMO (Erdmann, SUMO's
//! Lane-Changing Model, Modeling Mobility with Open Data, 2015): as soon as the way that is left on his lane, less what
//! already stands on the one he wants, is shorter than what he drives in five seconds to the right, ten to the left, for
//! each lane that lies between: half of what SUMO takes, since ours find a gap sooner. Everybody else looks every so
//! often: by MOBIL or by what would be gained over time, as his type says ([`LaneChange`]). Nobody changes where somebody could not keep clear.
//! Upstream: course. Downstream: the tails of the lanes.

mod gain;
mod help;

pub(super) use help::yielded_mm_s;

use super::course::{set_course, set_stop};
use super::junction::wanted_mm_s;
use super::part::{Coming, Context, Part};
use crate::cars::{LOOK_STEP_MM_S, STOPS, Who};
use crate::vehicle::{Driver, LaneChange};

/// Everybody who need not change thinks about another lane every so many seconds.
const EVERY_S: u32 = 3;

/// Weight of the follower's loss (MOBIL: 0 to 0.5 is realistic).
const POLITENESS_PERMILLE: i32 = 200;

/// Least advantage, mm/s² (MOBIL: 0.1 m/s², here more, since a step lasts a second).
const THRESHOLD_MM_S2: i32 = 500;

/// Nearer than this to where their lane ends or leads elsewhere, our own kinds of drivers ask to be let in, mm: merging late
/// is what makes works a bottleneck. SUMO's ask as soon as they must change.
const ASK_WITHIN_MM: i32 = 20_000;

/// Seconds for which a change is looked for ahead, by side: changes to the left take longer (Erdmann 2015).
const LOOK_RIGHT_S: i32 = 10;
const LOOK_LEFT_S: i32 = 20;

/// A lane that leads elsewhere after less than this is one for turning: who need not turn keeps off it (Erdmann 2015).
const TURN_LANE_MM: i32 = 200_000;

/// A closed piece of a lane is known so far ahead, mm.
pub(super) const SEEN_AHEAD_MM: i32 = 300_000;

/// What a driver knows of the lanes of his segment.
#[derive(Clone, Copy, Debug)]
struct Outlook {
    /// Left on his own lane until it does not lead on, mm.
    left_mm: i32,
    /// Lanes to the nearest of those that lead on farthest, above 0 to the left.
    aside: i32,
    /// He must go there now.
    must: bool,
}

impl Part {
    /// Changes lanes from one lane.
    pub(super) fn change_lanes(&mut self, at: &Context<'_>, lane: u32, coming: &[Coming]) {
        let l = self.local(at.map, lane);
        let mut index = usize::from(self.lanes[l].granted);
        while index < usize::from(self.lanes[l].count) {
            let Some((to, there)) = self.decide(at, lane, index, coming) else {
                index += 1;
                continue;
            };
            self.move_over(at, (lane, index), (to, there));
        }
    }

    /// Takes somebody from one place to another on the lane beside.
    fn move_over(&mut self, at: &Context<'_>, (lane, index): (u32, usize), (to, there): (u32, usize)) {
        let mut car = self.take_off(at, lane, index);
        set_course(at, to, &mut car.who);
        if car.who.flags & STOPS == 0 {
            set_stop(at, &at.map.lanes[to as usize], &mut car.who);
        }
        (car.who.gain, car.who.yields) = (0, 0);
        self.put_on(at, to, there, car);
        self.tally.lane_changes += 1;
    }

    /// Where somebody changes to now, if he does.
    fn decide(&mut self, at: &Context<'_>, lane: u32, index: usize, coming: &[Coming]) -> Option<(u32, usize)> {
        let l = self.local(at.map, lane);
        let info = &at.map.lanes[lane as usize];
        let place = info.base as usize + index;
        let who = self.cars.who[place];
        let kind = at.drivers[usize::from(who.kind)].lane_change;
        let is_time = (who.id.wrapping_add(at.step)).is_multiple_of(EVERY_S);
        if !is_time && who.reach.is_best(info.number) && self.lanes[l].closed_from_mm == i32::MAX {
            return None;
        }
        self.look_ahead(place);
        let outlook = self.outlook(at, lane, index);
        if outlook.must || outlook.aside != 0 && kind == LaneChange::Mobil {
            let found = self.may_change(at, lane, index, outlook.aside.signum(), coming);
            let asks = outlook.must && (kind == LaneChange::Gain || outlook.left_mm < ASK_WITHIN_MM);
            if found.is_none() && asks {
                self.ask(at, lane, index, &outlook, coming);
            }
            return found;
        }
        if !is_time {
            return None;
        }
        match kind {
            LaneChange::Mobil if index < usize::from(self.lanes[l].standing) => None,
            LaneChange::Mobil => self.better_lane(at, lane, index, &outlook, coming),
            LaneChange::Gain => self.gaining_lane(at, lane, index, &outlook, coming),
        }
    }

    /// The speed by which one looks ahead follows one's own up at once, and down by a tenth a second (Erdmann 2015).
    fn look_ahead(&mut self, place: usize) {
        let now = (self.cars.speed_mm_s[place] / LOOK_STEP_MM_S).min(255) as u8;
        let who = &mut self.cars.who[place];
        let faded = u32::from(who.look) * 9 + u32::from(now);
        who.look = now.max((faded / 10) as u8);
    }

    /// How far somebody gets on a lane of his segment from where he is, mm.
    fn left_on(&self, at: &Context<'_>, lane: u32, pos: i32, who: &Who) -> i32 {
        let info = &at.map.lanes[lane as usize];
        let state = &self.lanes[self.local(at.map, lane)];
        let closed = if pos <= state.closed_from_mm { state.closed_from_mm - pos } else { i32::MAX };
        let open = who.reach.beyond_mm(info.number).unwrap_or(0) + info.length_mm - pos;
        if closed < SEEN_AHEAD_MM { open.min(closed) } else { open }
    }

    fn outlook(&self, at: &Context<'_>, lane: u32, index: usize) -> Outlook {
        let info = &at.map.lanes[lane as usize];
        let place = info.base as usize + index;
        let (pos, who) = (self.cars.pos_mm[place], &self.cars.who[place]);
        let driver = &at.drivers[usize::from(who.kind)];
        let left_mm = self.left_on(at, lane, pos, who);
        let lanes = self.local(at.map, info.first)..self.local(at.map, info.first) + usize::from(info.beside);
        if who.reach.is_level(info.beside) && self.lanes[lanes].iter().all(|state| state.closed_from_mm == i32::MAX) {
            return Outlook { left_mm, aside: 0, must: false };
        }
        let mut best = (left_mm, 0_i32);
        for number in 0..info.beside {
            let aside = i32::from(number) - i32::from(info.number);
            let mm = self.left_on(at, info.first + u32::from(number), pos, who);
            let is_nearer = (aside.abs(), -aside) < (best.1.abs(), -best.1);
            if mm > best.0 || mm == best.0 && is_nearer {
                best = (mm, aside);
            }
        }
        let aside = best.1;
        if aside == 0 {
            return Outlook { left_mm, aside, must: false };
        }
        let to = info.first + (i32::from(info.number) + aside) as u32;
        let jam_mm =
            i32::from(self.lanes[self.local(at.map, to)].count as i16) * (driver.length_mm + driver.min_gap_mm);
        let is_closed = info.length_mm - pos + who.reach.beyond_mm(info.number).unwrap_or(0) > left_mm;
        let must = is_closed || left_mm - jam_mm < aside.abs() * look_mm(driver, who, aside) / 2;
        Outlook { left_mm, aside, must }
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

    /// Whether there is time to go to one side, where one gets so far, and back again, if that has to be (Erdmann 2015).
    fn may_leave(
        &self,
        at: &Context<'_>,
        lane: u32,
        (pos, who): (i32, &Who),
        outlook: &Outlook,
        (side, there_mm): (i32, i32),
    ) -> bool {
        let to = (i64::from(lane) + i64::from(side)) as u32;
        if outlook.aside.signum() == side || there_mm >= outlook.left_mm && outlook.aside == 0 {
            return true;
        }
        let driver = &at.drivers[usize::from(who.kind)];
        let count = self.lanes[self.local(at.map, to)].count.max(self.lanes[self.local(at.map, lane)].count);
        let jam_mm = i32::from(count as i16) * (driver.length_mm + driver.min_gap_mm);
        let changes = outlook.aside.abs() + 2;
        let is_turn_lane = outlook.aside == 0 && there_mm + pos < TURN_LANE_MM;
        !is_turn_lane && (there_mm - jam_mm) / changes >= look_mm(driver, who, side)
    }

    /// The neighbouring lane on which one gets on better, after MOBIL.
    fn better_lane(
        &self,
        at: &Context<'_>,
        lane: u32,
        index: usize,
        outlook: &Outlook,
        coming: &[Coming],
    ) -> Option<(u32, usize)> {
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
            let there_mm = self.left_on(at, info.first + number as u32, pos, who);
            if !self.may_leave(at, lane, (pos, who), outlook, (side, there_mm)) {
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
}

/// Way within which a change to one side has to begin, mm.
fn look_mm(driver: &Driver, who: &Who, side: i32) -> i32 {
    let seconds = if side > 0 { LOOK_LEFT_S } else { LOOK_RIGHT_S };
    i32::from(who.look) * LOOK_STEP_MM_S * seconds + 2 * (driver.length_mm + driver.min_gap_mm)
}
