//! What is done to anybody from outside: other ways for those who are stuck, and closed circles that are turned.
//!
//! A closed circle is a number of streets, each so full that the first on it cannot go on to the next. While it turns
//! everybody on it closes up to half a metre at walking pace, so that there is room at the rear of each street; the first
//! goes before all others at his junction and needs no more room than that. A street stops turning when the first on it
//! can drive faster by himself, or nobody is on it. Physics hold as ever: nobody touches anybody, nobody leaves his lane.
//!
//! Upstream: the parts, which say who is stuck. Downstream: his route.

use roads::SegmentIndex;

use super::{Forced, ForcedKind, TURN_AFTER_S, World, course};
use crate::map::NONE;
use crate::vehicle::VehicleId;

/// Most who are given another way within one second; the others ask again after [`super::REROUTE_AFTER_S`].
const REROUTES_MAX: usize = 50;

/// Circles are looked for this often, seconds.
const LOOK_EVERY_S: u32 = 10;

impl World {
    /// Finds the closed circles of those who have stood for [`TURN_AFTER_S`], and has them turned.
    pub(super) fn turn_circles(&mut self) {
        if !self.step.is_multiple_of(LOOK_EVERY_S) {
            return;
        }
        // The lane that each waits for, ascending by lane.
        let mut waits: Vec<(u32, u32)> = Vec::new();
        for part in &self.parts {
            let first = self.map.parts[part.number].lanes.start;
            for (state, lane) in part.lanes.iter().zip(first..) {
                if state.blocked_s >= TURN_AFTER_S && state.count > 0 && state.granted == 0 && !state.is_turning {
                    let link = part.cars.who[self.map.lanes[lane as usize].base as usize].link;
                    if link != NONE {
                        waits.push((lane, self.map.links[link as usize].to));
                    }
                }
            }
        }
        let next = |lane: u32| waits.binary_search_by_key(&lane, |(from, _)| *from).ok();
        for begin in 0..waits.len() {
            // Whoever is in a circle comes back to where he began within as many steps as there are lanes.
            let mut circle = vec![waits[begin].0];
            let mut at = next(waits[begin].1);
            while let Some(i) = at.filter(|i| *i != begin && circle.len() <= waits.len()) {
                circle.push(waits[i].0);
                at = next(waits[i].1);
            }
            // The circle is told once, by its first lane.
            if at == Some(begin) && circle.iter().all(|lane| *lane >= waits[begin].0) {
                circle.into_iter().for_each(|lane| self.turn(lane));
            }
        }
    }

    fn turn(&mut self, lane: u32) {
        let part = &mut self.parts[usize::from(self.map.part_of_lane[lane as usize])];
        let l = part.local(&self.map, lane);
        let info = &self.map.lanes[lane as usize];
        (part.lanes[l].is_turning, part.lanes[l].standing) = (true, 0);
        let vehicle = VehicleId(u64::from(part.cars.who[info.base as usize].id));
        part.forced.push(Forced { vehicle, segment: info.segment, what: ForcedKind::Turned });
        part.tally.turned += 1;
    }

    /// Gives another way to those who are stuck, in the order of trip numbers.
    pub(super) fn reroute_stuck(&mut self) {
        let mut stuck: Vec<(u32, u32)> =
            self.parts.iter().flat_map(|part| part.stuck.iter().map(|(lane, id)| (*id, *lane))).collect();
        stuck.sort_unstable();
        for (id, lane) in stuck.into_iter().take(REROUTES_MAX) {
            self.reroute(lane, id);
        }
    }

    /// The fastest way to the destination that begins with another turn from this very lane.
    fn reroute(&mut self, lane: u32, id: u32) {
        let info = self.map.lanes[lane as usize];
        let number = usize::from(self.map.part_of_lane[lane as usize]);
        let l = self.parts[number].local(&self.map, lane);
        let state = self.parts[number].lanes[l];
        if state.count == 0 || state.granted > 0 || self.parts[number].cars.who[info.base as usize].id != id {
            return;
        }
        let mut who = self.parts[number].cars.who[info.base as usize];
        let route = &self.trips[who.slot as usize].route;
        let (Some(&destination), wanted) = (route.last(), route.get(usize::from(who.leg) + 1).copied()) else { return };
        let choices: Vec<SegmentIndex> = self
            .map
            .links_from(lane)
            .iter()
            .map(|link| self.map.lanes[link.to as usize].segment)
            .filter(|to| Some(*to) != wanted)
            .collect();
        let mut best: Option<(f32, Vec<SegmentIndex>)> = None;
        for to in choices {
            let Some(rest) = self.demand.route(&self.network, to, destination) else { continue };
            let seconds = self.demand.seconds(&rest);
            if best.as_ref().is_none_or(|(least, _)| seconds < *least) {
                best = Some((seconds, rest));
            }
        }
        let Some((_, rest)) = best else { return };
        let route: Vec<SegmentIndex> = std::iter::once(info.segment).chain(rest).collect();
        self.trips[who.slot as usize].route = route.into();
        who.leg = 0;
        who.link = NONE;
        let mut part = std::mem::take(&mut self.parts[number]);
        let at = self.context();
        course::set_course(&at, lane, &mut who);
        part.cars.who[info.base as usize] = who;
        (part.lanes[l].standing, part.lanes[l].blocked_s, part.lanes[l].held_s) = (0, 0, 0);
        let (vehicle, segment) = (VehicleId(u64::from(id)), info.segment);
        part.forced.push(Forced { vehicle, segment, what: ForcedKind::Rerouted });
        self.parts[number] = part;
        self.counters.rerouted += 1;
    }
}
