//! What one driver sees: the least of all safe speeds, from whoever is ahead, walls, and slower streets.
//!
//! Upstream: motion, which says what there is. Downstream: motion, which moves him by the speed that he chooses.

use super::junction::{TURNING_GAP_MM, wanted_mm_s};
use super::part::{Context, Tail, last_on};
use crate::cars::Who;
use crate::map::{Link, NONE};
use crate::random::{Stream, bits32};
use crate::vehicle::{Driver, HORIZON_MM};

/// So many lanes ahead are looked through where no leave is needed between them.
const LOOK_THROUGH_MAX: usize = 8;

/// Somebody ahead: front, speed, kind.
pub(super) type Ahead = (i32, i32, u8);

/// What one driver sees.
pub(super) struct View<'a> {
    pub(super) driver: &'a Driver,
    pub(super) speed: i32,
    /// Least of all safe speeds.
    pub(super) allowed: i32,
    /// As fast as it could be next.
    pub(super) top: i32,
    /// Road that must be free for it, and the headway of today.
    pub(super) reach: i32,
    pub(super) tau_ms: i32,
    /// Road to whatever is ahead as it stands now, less what is kept in a circle that turns.
    pub(super) space: i32,
    /// For the Intelligent Driver Model: the nearest ahead.
    pub(super) gap: Option<(i32, i32)>,
}

impl<'a> View<'a> {
    pub(super) fn new(driver: &'a Driver, speed: i32, wanted: i32, memory_s: u8) -> Self {
        let top = (speed + driver.accel_mm_s2).min(wanted).max(speed - driver.decel_mm_s2);
        let tau_ms = driver.tau_ms(memory_s);
        let reach = driver.reach_at(top, tau_ms);
        View { driver, speed, allowed: wanted, top, reach, tau_ms, space: i32::MAX, gap: None }
    }

    pub(super) fn follow(&mut self, at: &Context<'_>, ahead: Ahead, pos: i32, min_gap_mm: i32) {
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
    pub(super) fn stop_within(&mut self, distance: i32) {
        self.space = self.space.min(distance);
        self.keep_clear(distance, 0);
        if self.driver.is_idm && self.gap.is_none_or(|(nearest, _)| distance < nearest) {
            self.gap = Some((distance, 0));
        }
    }

    /// Slowing to w before a line. What is seen ahead needs no time to react, and w itself is always slow enough.
    pub(super) fn slow_to(&mut self, distance: i32, wanted: i32) {
        if wanted < self.top {
            self.allowed = self.allowed.min(self.driver.slowing_mm_s(distance, wanted));
        }
    }

    pub(super) fn choose(&self, at: &Context<'_>, id: u32, wanted: i32) -> i32 {
        let dawdle = bits32(at.seed, id, at.step, Stream::Dawdle);
        if self.driver.is_idm {
            let next = self.driver.idm_mm_s(self.speed, wanted, self.gap).min(self.allowed);
            return self.driver.next_mm_s(self.speed, next, dawdle);
        }
        self.driver.next_mm_s(self.speed, self.allowed, dawdle)
    }
}

/// Follows the route through lanes that need no leave, to the first end that does; keeps clear of whoever is there.
pub(super) fn look_through(
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
