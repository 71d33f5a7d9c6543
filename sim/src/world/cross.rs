//! Crossing the line: who has passed it is posted to the next lane, and who has arrived is taken off the road.
//!
//! What everybody did on the lanes that he left is written down as pieces; who stays is not ([`super::step`]). Upstream:
//! motion. Downstream: arrive, which takes in the post.

use super::course::{goal_mm, next_link};
use super::part::{Arrival, Context, Part};
use super::{Move, Piece};
use crate::cars::{CROSSED, Car, LAST_LEG, STOPS, Who};
use crate::map::{Lane, Link};
use crate::vehicle::VehicleId;

impl Part {
    /// Posts who has crossed the line, and takes who has arrived off the road.
    pub(super) fn cross_line(&mut self, at: &Context<'_>, lane: u32) {
        let l = self.local(at.map, lane);
        if self.lanes[l].count == 0 {
            return;
        }
        let info = &at.map.lanes[lane as usize];
        let base = info.base as usize;
        let mut gone = 0;
        while gone < usize::from(self.lanes[l].granted) {
            let car = self.cars.get(base + gone);
            let link = &at.map.links[car.who.link as usize];
            let end = info.length_mm + link.length_mm;
            if car.pos_mm <= end {
                break;
            }
            self.post(at, info, link, car);
            let state = &mut self.lanes[l];
            (state.left_id, state.left_to, state.left_end_mm) = (car.who.id, link.to, end);
            state.left_rear_mm = car.pos_mm - at.drivers[usize::from(car.who.kind)].length_mm;
            state.passed = state.passed.saturating_add(1);
            state.passed_s += car.who.on_segment_s(at.step);
            gone += 1;
        }
        if gone > 0 {
            let state = &mut self.lanes[l];
            self.cars.remove(base, gone, base + usize::from(state.count));
            state.count -= gone as u16;
            state.granted -= gone as u16;
            state.standing = 0;
        }
        let mut index = usize::from(self.lanes[l].granted);
        while index < usize::from(self.lanes[l].count) {
            let who = &self.cars.who[base + index];
            if who.flags & (LAST_LEG | STOPS) == LAST_LEG && self.cars.pos_mm[base + index] >= goal_mm(at, info, who) {
                let car = self.take_off(at, lane, index);
                self.arrive(info, car);
            } else {
                index += 1;
            }
        }
    }

    /// Hands a vehicle over to the next lane, and writes down what it did on both.
    fn post(&mut self, at: &Context<'_>, info: &Lane, link: &Link, car: Car) {
        let end = info.length_mm + link.length_mm;
        // A lane may be so short that who came onto it was beyond its end at once; all of this second is on the next.
        let before = (car.speed_mm_s - (car.pos_mm - end)).max(0);
        let end_ms = time_ms(before, car.speed_mm_s);
        let piece = piece_of(&car).on(info, (end - before, end), (0, end_ms), false);
        let further = self.forget(at, link, car.who.id);
        let passing = Passing { lane: link.to, car: over_line(at, end, car), done_mm: before, piece };
        let next = &at.map.lanes[link.to as usize];
        if further && passing.car.pos_mm > next.length_mm {
            // It may be beyond the end of that one, too: when all have left their own lanes.
            self.scratch.passing.push(passing);
        } else {
            self.pieces.push(passing.piece);
            self.hand_over(at, &passing, further);
        }
    }

    /// Takes those who have leave for several lines over all that they passed within the second, the foremost first.
    pub(super) fn pass_through(&mut self, at: &Context<'_>) {
        let mut passing = std::mem::take(&mut self.scratch.passing);
        passing.sort_unstable_by_key(|p| (p.lane, std::cmp::Reverse(p.car.pos_mm), p.car.who.id));
        for mut one in passing.drain(..) {
            self.pieces.push(one.piece);
            let mut further = true;
            while further {
                let info = &at.map.lanes[one.lane as usize];
                let l = self.local(at.map, one.lane);
                let Who { slot, leg, id, .. } = one.car.who;
                let link = &at.map.links[next_link(at, one.lane, slot, leg, id) as usize];
                let end = info.length_mm + link.length_mm;
                if one.car.pos_mm <= end {
                    break;
                }
                let way = one.car.speed_mm_s;
                let (begin_ms, end_ms) = (time_ms(one.done_mm, way), time_ms(one.done_mm + end, way));
                self.pieces.push(piece_of(&one.car).on(info, (0, end), (begin_ms, end_ms), false));
                let state = &mut self.lanes[l];
                (state.left_id, state.left_to, state.left_end_mm) = (one.car.who.id, link.to, end);
                state.left_rear_mm = one.car.pos_mm - at.drivers[usize::from(one.car.who.kind)].length_mm;
                state.passed = state.passed.saturating_add(1);
                state.early -= 1;
                further = self.forget(at, link, one.car.who.id);
                one = Passing { lane: link.to, car: over_line(at, end, one.car), done_mm: one.done_mm + end, ..one };
            }
            self.hand_over(at, &one, further);
        }
        self.scratch.passing = passing;
    }

    /// Posts somebody to the lane where he is at the end of the second.
    fn hand_over(&mut self, at: &Context<'_>, one: &Passing, further: bool) {
        let Passing { lane, car, done_mm, .. } = *one;
        let info = &at.map.lanes[lane as usize];
        let from = car.pos_mm - (car.speed_mm_s - done_mm);
        self.pieces.push(piece_of(&car).on(info, (from, car.pos_mm), (time_ms(done_mm, car.speed_mm_s), 1_000), true));
        self.outbox[usize::from(at.map.part_of_lane[lane as usize])].push(Arrival { lane, car, further });
    }

    fn arrive(&mut self, info: &Lane, car: Car) {
        let way = car.speed_mm_s;
        // Who ends at the end of the lane may have driven beyond it: that is nowhere.
        let to = car.pos_mm.min(info.length_mm.max(car.pos_mm - way));
        self.pieces.push(piece_of(&car).on(info, (car.pos_mm - way, to), (0, 1_000), true));
        self.arrived += 1;
        self.ended.push(car.who.slot);
        self.ends.push((info.segment, VehicleId(u64::from(car.who.id))));
    }
}

/// Somebody on the way over several lines within one second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passing {
    /// Where he is by now, or beyond.
    lane: u32,
    car: Car,
    /// Driven in this second before that lane.
    done_mm: i32,
    /// What he did on the lane that he came from.
    piece: Move,
}

fn piece_of(car: &Car) -> Piece {
    let Car { speed_mm_s, who, .. } = *car;
    let vehicle = VehicleId(u64::from(who.id));
    Piece { vehicle, slot: who.slot, speed_mm_s: i64::from(speed_mm_s), kind: who.kind }
}

/// When so much of the way of a second is done: constant speed within it, rounded once; no distance takes no time, and
/// nobody is on the next lane for no time at all.
fn time_ms(done_mm: i32, way_mm: i32) -> i32 {
    let ms = if way_mm == 0 { 0 } else { (2_000 * done_mm + way_mm) / (2 * way_mm) };
    ms.clamp(i32::from(done_mm > 0), 999)
}

/// A vehicle as it is on the next lane, beyond the end of one.
fn over_line(at: &Context<'_>, end: i32, mut car: Car) -> Car {
    car.pos_mm -= end;
    car.who.odometer_mm = car.who.odometer_mm.wrapping_add(end);
    car.who.leg += 1;
    car.who.flags = CROSSED;
    car.who.since = at.step as u16;
    (car.who.gain, car.who.yields) = (0, 0);
    car
}
