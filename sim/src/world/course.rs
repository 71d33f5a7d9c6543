//! How somebody gets on from a lane: the link at its end, how far each lane of the segment takes him, and what he has to
//! do on the segment.
//!
//! Upstream: his route. Downstream: arrive and change, which put him on lanes; junction, which gives leave for links.

use roads::SegmentIndex;

use super::part::Context;
use crate::cars::{LAST_LEG, STOPS, Who};
use crate::map::{LANES_MAX, Lane, NONE, Way};
use crate::random::{Stream, bits32};
use crate::reach::{FAR_M, Reach};

/// Lanes are chosen with so many segments of the route in view, and no more than [`FAR_M`].
const LEGS_AHEAD_MAX: usize = 16;

/// On a segment no longer than this nobody counts on changing lanes.
const CHANGE_WITHIN_M: f32 = 40.0;

/// Chooses the link at the end of a lane, and says how far each lane of the segment leads.
///
/// Of the lanes that lead to the next segment those are better from which one gets on without a change for longer;
/// where the next segments are too short to change on them, only lanes that need no change there will do.
pub(super) fn set_course(at: &Context<'_>, lane: u32, who: &mut Who) {
    let route = &at.trips[who.slot as usize].route;
    let info = &at.map.lanes[lane as usize];
    let leg = usize::from(who.leg);
    let Some(&next) = route.get(leg + 1) else {
        who.flags |= LAST_LEG;
        (who.link, who.reach) = (NONE, Reach::ANYWHERE);
        return;
    };
    let [here, there] = lanes_ahead(at, &route[leg..]);
    who.reach = Reach::default();
    for lane in 0..info.beside.min(LANES_MAX) {
        if here.must >> lane & 1 == 1 {
            who.reach.set(lane, here.beyond_m(lane));
        }
    }
    let mut best: Option<(u32, u32)> = None;
    for (nth, link) in at.map.links_from(lane).iter().enumerate() {
        let to = &at.map.lanes[link.to as usize];
        if to.segment != next {
            continue;
        }
        // Rather a lane from which the turns after are reached, then the farthest, then the nearest, then any.
        let number = to.number.min(LANES_MAX - 1);
        let must = there.must >> number & 1 == 1;
        let mut reach = Reach::default();
        reach.set(0, there.beyond_m(number));
        let beyond = reach.beyond_mm(0).unwrap_or(0).min((FAR_M * 1_000.0) as i32) as u32 / 10_000;
        let aside = u32::from(to.number.abs_diff(info.number).min(15));
        let draw = bits32(at.seed, who.id, link.to, Stream::Lane) >> 16;
        let cost = u32::from(!must) << 31 | (100 - beyond) << 24 | aside << 20 | draw;
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, info.first_link + nth as u32));
        }
    }
    // Who would come onto a lane that does not lead on changes before, if he can.
    who.link = best.filter(|_| who.reach.leads_on(info.number)).map_or(NONE, |(_, link)| link);
}

/// Lanes of a segment.
#[derive(Clone, Copy)]
struct Lanes {
    /// Those that lead on at all, as bits.
    must: u16,
    /// How far beyond the segment one gets from each without a change, m, if that is the same for all; else it is listed.
    level_m: Option<f32>,
    beyond_m: [f32; LANES_MAX as usize],
}

impl Lanes {
    fn level(must: u16, beyond_m: f32) -> Self {
        Self { must, level_m: Some(beyond_m), beyond_m: [0.0; LANES_MAX as usize] }
    }

    fn beyond_m(&self, lane: u8) -> f32 {
        self.level_m.unwrap_or(self.beyond_m[usize::from(lane)])
    }

    /// The lanes from which one gets to these. Mostly all lanes lead on equally far, and then none is looked at.
    fn before(&self, at: &Context<'_>, way: Way) -> Self {
        let next_m = way.next_m as f32;
        let is_long = next_m > CHANGE_WITHIN_M;
        if let Some(level_m) = self.level_m
            && way.is_whole
            && (is_long || way.to_lanes & !self.must == 0)
        {
            return Self::level(way.from_lanes, next_m + level_m);
        }
        let (mut must, mut beyond_m) = (0, [0.0_f32; LANES_MAX as usize]);
        for &(from, to) in at.map.ahead.pairs(way) {
            must |= if is_long || self.must >> to & 1 == 1 { 1 << from } else { 0 };
            let beyond = &mut beyond_m[usize::from(from)];
            *beyond = beyond.max(next_m + self.beyond_m(to));
        }
        let lanes = usize::from(LANES_MAX) - way.from_lanes.leading_zeros() as usize;
        let is_level = way.is_whole && beyond_m[..lanes].iter().all(|m| *m == beyond_m[0]);
        Self { must: if must == 0 { way.from_lanes } else { must }, level_m: is_level.then(|| beyond_m[0]), beyond_m }
    }
}

/// The lanes that lead on from the first segment of a route, and from the second.
fn lanes_ahead(at: &Context<'_>, route: &[SegmentIndex]) -> [Lanes; 2] {
    let mut ways = [None; LEGS_AHEAD_MAX];
    let (mut end, mut ahead_m, mut last_m) = (0, 0.0, 0.0);
    while end + 1 < route.len() && end < LEGS_AHEAD_MAX && ahead_m < f64::from(FAR_M) {
        let way: Way = at.map.ahead.way(route[end], route[end + 1]);
        (ways[end], ahead_m, last_m) = (Some(way), ahead_m + last_m, way.next_m);
        end += 1;
    }
    // Whoever has arrived needs no other lane.
    let arrived_m = if end + 1 == route.len() { FAR_M } else { 0.0 };
    let mut here = Lanes::level(u16::MAX, arrived_m);
    let mut there = here;
    for way in ways[..end].iter().rev().flatten() {
        there = here;
        here = there.before(at, *way);
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

/// Notes whether the next stop is on this segment, and for how long.
pub(super) fn set_stop(at: &Context<'_>, info: &Lane, who: &mut Who) {
    who.flags &= !STOPS;
    let details = at.trips[who.slot as usize].details.as_deref();
    let stop = details.and_then(|d| d.stops.get(usize::from(who.stops_made)));
    if let Some(stop) = stop.filter(|stop| stop.segment == info.segment) {
        who.flags |= STOPS;
        who.dwell_s = stop.duration_s.ceil().min(f32::from(u16::MAX)) as u16;
    }
}

/// The next stop on this segment, else where the trip ends; `i32::MAX` for neither.
pub(super) fn goal_mm(at: &Context<'_>, info: &Lane, who: &Who) -> i32 {
    let along = |m: f32| ((f64::from(m) * 1_000.0) as i32).min(info.length_mm);
    let details = at.trips[who.slot as usize].details.as_deref();
    if who.flags & STOPS != 0 {
        let stop = details.and_then(|d| d.stops.get(usize::from(who.stops_made)));
        return stop.map_or(i32::MAX, |stop| along(stop.offset_m));
    }
    if who.flags & LAST_LEG == 0 {
        return i32::MAX;
    }
    let arrival_m = details.map_or(Some(f32::NAN), |d| d.arrival_m).filter(|m| !m.is_nan());
    arrival_m.map_or(info.length_mm / 2, along)
}
