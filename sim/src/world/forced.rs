//! Other ways for those who are stuck: the only thing that is done to anybody from outside.
//!
//! Upstream: the parts, which say who is stuck. Downstream: his route.

use roads::SegmentIndex;

use super::{Forced, ForcedKind, World, arrive};
use crate::map::NONE;
use crate::vehicle::VehicleId;

/// Most who are given another way within one second; the others ask again after [`super::REROUTE_AFTER_S`].
const REROUTES_MAX: usize = 50;

impl World {
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
        arrive::set_course(&at, lane, &mut who);
        part.cars.who[info.base as usize] = who;
        (part.lanes[l].standing, part.lanes[l].blocked_s, part.lanes[l].held_s) = (0, 0, 0);
        let (vehicle, segment) = (VehicleId(u64::from(id)), info.segment);
        part.forced.push(Forced { vehicle, segment, what: ForcedKind::Rerouted });
        self.parts[number] = part;
        self.counters.rerouted += 1;
    }
}
