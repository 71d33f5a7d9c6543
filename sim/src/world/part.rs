//! One part of the city: what a thread owns while it steps.
//!
//! A second has two halves with a barrier between them. In the first every part drives: from the state at the begin of
//! the second, and from the tails of all lanes, it lets vehicles on, chooses speeds and moves ([`super::junction`],
//! [`super::motion`]); who crosses a line is posted to the part of the next lane. In the second half every part takes in
//! its post, lets trips begin, changes lanes, and writes the tails of its own lanes ([`super::arrive`],
//! [`super::change`]). Nothing depends on which part is stepped first, so nothing depends on threads.
//! Upstream: the world. Downstream: the world, which collects what happened.

use std::collections::{BTreeMap, VecDeque};

use roads::{LinkState, Network, SegmentIndex};
use serde::{Deserialize, Serialize};

use super::{Forced, Move};
use crate::cars::{Car, Cars};
#[cfg(doc)]
use crate::map::Lane;
use crate::map::{Link, Map, NONE, UNSIGNALLED};
use crate::vehicle::{Driver, VehicleId};

/// The last vehicle of a lane, as everybody sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tail {
    /// [`NONE`] on an empty lane.
    pub(crate) id: u32,
    pub(crate) pos_mm: i32,
    pub(crate) speed_mm_s: i32,
    pub(crate) kind: u8,
    /// The last one that left the lane, onto which lane, and where that begins from here.
    pub(crate) left_id: u32,
    pub(crate) left_to: u32,
    pub(crate) left_end_mm: i32,
    /// Room to stand behind the last one who stands, less what those take who move up behind him.
    pub(crate) room_mm: i32,
}

/// The first of those who have been let onto a lane and have not reached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Coming {
    /// From its front to the begin of the lane; `i32::MAX` if nobody comes.
    pub(crate) distance_mm: i32,
    pub(crate) speed_mm_s: i32,
    pub(crate) kind: u8,
}

impl Tail {
    pub(crate) const NOBODY: Self =
        Self { id: NONE, pos_mm: 0, speed_mm_s: 0, kind: 0, left_id: NONE, left_to: NONE, left_end_mm: 0, room_mm: 0 };
}

/// As far as anybody looks for a queue that could keep him in the junction, mm.
const ROOM_WITHIN_MM: i32 = 60_000;

/// Who is slower than this counts as standing in a queue, mm/s.
const SLOW_MM_S: i32 = 1_000;

/// Lanes so short that one vehicle spans several are followed so far.
const SPANNED_MAX: usize = 8;

/// The front (from the begin of a lane), speed and kind of the last one that left it, wherever he is now; `None` if
/// nobody did or somebody is behind him, so that he is clear of the lane. `first` is what the lane says of him.
pub(crate) fn left_of(tails: &[Tail], first: &Tail) -> Option<(i32, i32, u8)> {
    let (id, mut to, mut front_mm) = (first.left_id, first.left_to, first.left_end_mm);
    if id == NONE {
        return None;
    }
    for _ in 0..SPANNED_MAX {
        let tail = &tails[to as usize];
        if tail.id == id {
            return Some((front_mm + tail.pos_mm, tail.speed_mm_s, tail.kind));
        }
        if tail.id != NONE || tail.left_id != id {
            return None;
        }
        front_mm += tail.left_end_mm;
        to = tail.left_to;
    }
    None
}

/// Who is last on a lane, or has left it last: front from its begin, speed, kind.
pub(crate) fn last_on(tails: &[Tail], lane: u32) -> Option<(i32, i32, u8)> {
    let tail = &tails[lane as usize];
    if tail.id == NONE { left_of(tails, tail) } else { Some((tail.pos_mm, tail.speed_mm_s, tail.kind)) }
}

impl Coming {
    pub(crate) const NOBODY: Self = Self { distance_mm: i32::MAX, speed_mm_s: 0, kind: 0 };
}

/// Somebody who has been let onto a lane and is still before it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Inbound {
    pub(crate) id: u32,
    pub(crate) distance_mm: i32,
    pub(crate) speed_mm_s: i32,
    pub(crate) kind: u8,
    pub(crate) factor_permille: u16,
    /// Where its trip is kept, and the position of the lane's segment in its route.
    pub(crate) slot: u32,
    pub(crate) leg: u16,
    /// The link that it will take at the end of the lane, where leave for it can be given already ([`Lane::is_inner`]).
    pub(crate) next: u32,
    /// Has that leave.
    pub(crate) further: bool,
}

/// A lane, as it changes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct LaneState {
    pub(crate) count: u16,
    /// So many from the front have been let beyond the line.
    pub(crate) granted: u16,
    /// So many who are still before the lane have been let beyond its line as well; all on it have been, then.
    pub(crate) early: u16,
    /// So many from the front stand and cannot start before the first is let on.
    pub(crate) standing: u16,
    /// Seconds for which the first has stood with nothing but a full lane before it.
    pub(crate) blocked_s: u16,
    /// Seconds for which the first has stood because of others who cross.
    pub(crate) held_s: u16,
    /// Vehicles that passed it since the last refresh of travel times, and their seconds.
    pub(crate) passed: u16,
    pub(crate) passed_s: u32,
    /// The last one that left it, and onto which lane.
    pub(crate) left_id: u32,
    pub(crate) left_to: u32,
    /// From the begin of the lane to where it left it.
    pub(crate) left_end_mm: i32,
    /// Where its rear was when last looked at, from the begin of the lane; only while `left_id` names somebody.
    pub(crate) left_rear_mm: i32,
    pub(crate) limit_mm_s: i32,
    /// A closed piece; `i32::MAX` where none is.
    pub(crate) closed_from_mm: i32,
    pub(crate) closed_to_mm: i32,
    /// Belongs to a circle that turns ([`super::forced`]).
    pub(crate) is_turning: bool,
}

/// Who crosses onto a lane, on the way to the part of that lane.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Arrival {
    pub(crate) lane: u32,
    pub(crate) car: Car,
    /// Has been let beyond the end of the lane already.
    pub(crate) further: bool,
}

/// A trip that waits for a gap.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) id: u32,
    pub(crate) slot: u32,
    pub(crate) since: u32,
    /// Seconds that it waits at most.
    pub(crate) patience_s: u32,
}

/// What a trip is, as long as it lasts.
#[derive(Clone, Debug)]
pub(crate) struct TripState {
    pub(crate) id: u32,
    pub(crate) kind: u8,
    pub(crate) factor_permille: u16,
    pub(crate) route: std::sync::Arc<[SegmentIndex]>,
    /// Empty for most.
    pub(crate) details: Option<Box<Details>>,
}

/// What few trips have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Details {
    pub(crate) stops: Vec<crate::scenario::Stop>,
    pub(crate) lane: crate::scenario::DepartLane,
    pub(crate) at: crate::scenario::DepartAt,
    pub(crate) speed_mps: f32,
    pub(crate) arrival_m: Option<f32>,
}

/// What every part may read while all of them step.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) network: &'a Network,
    pub(crate) map: &'a Map,
    pub(crate) drivers: &'a [Driver],
    pub(crate) trips: &'a [TripState],
    /// What every link of every signal shows.
    pub(crate) shown: &'a [LinkState],
    /// By node: nobody passes.
    pub(crate) blocked: &'a [bool],
    pub(crate) seed: u64,
    pub(crate) step: u32,
}

impl Context<'_> {
    pub(crate) fn shown(&self, link: &Link) -> LinkState {
        if link.shown == NONE { UNSIGNALLED } else { self.shown[link.shown as usize] }
    }
}

/// What a part has counted since the begin.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) updates: u64,
    pub(crate) departed: u64,
    pub(crate) no_room: u64,
    pub(crate) released: u64,
    pub(crate) turned: u64,
    pub(crate) lane_changes: u64,
}

/// One part.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) number: usize,
    pub(crate) cars: Cars,
    pub(crate) lanes: Vec<LaneState>,
    /// By begin of lane: in the order in which they were let on.
    pub(crate) entries: Vec<Vec<Inbound>>,
    /// Junctions with somebody before them, as bits.
    pub(crate) active: Vec<u64>,
    /// Trips that wait, by the first lane of their segment.
    pub(crate) waiting: BTreeMap<u32, VecDeque<Waiting>>,
    pub(crate) tally: Tally,
    /// Who crossed or arrived during the last step; everybody else's moves follow from where he is.
    pub(crate) pieces: Vec<Move>,
    pub(crate) forced: Vec<Forced>,
    #[serde(skip)]
    pub(crate) outbox: Vec<Vec<Arrival>>,
    /// Trips that ended: where, and whose.
    #[serde(skip)]
    pub(crate) ends: Vec<(SegmentIndex, VehicleId)>,
    /// Places of trips that ended.
    #[serde(skip)]
    pub(crate) ended: Vec<u32>,
    #[serde(skip)]
    pub(crate) arrived: u32,
    /// (lane, id) of those who need another way.
    #[serde(skip)]
    pub(crate) stuck: Vec<(u32, u32)>,
    #[serde(skip)]
    pub(crate) scratch: Scratch,
}

/// Room that is used again every step.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) requests: Vec<super::junction::Request>,
    pub(crate) incoming: Vec<Arrival>,
    pub(crate) scenes: Vec<super::junction::Scene>,
    pub(crate) passing: Vec<super::cross::Passing>,
}

impl Part {
    pub(crate) fn new(map: &Map, number: usize) -> Self {
        let own = &map.parts[number];
        let lanes = map.lanes[own.lanes.start as usize..own.lanes.end as usize].iter();
        let lanes = lanes
            .map(|lane| LaneState {
                count: 0,
                granted: 0,
                early: 0,
                standing: 0,
                blocked_s: 0,
                held_s: 0,
                passed: 0,
                passed_s: 0,
                left_id: NONE,
                left_to: NONE,
                left_end_mm: 0,
                left_rear_mm: 0,
                limit_mm_s: lane.limit_mm_s,
                closed_from_mm: i32::MAX,
                closed_to_mm: i32::MAX,
                is_turning: false,
            })
            .collect();
        let mut part = Self {
            number,
            cars: Cars::new(own.places as usize),
            lanes,
            entries: vec![Vec::new(); own.entries.len()],
            active: vec![0; own.junctions.len().div_ceil(64)],
            ..Self::default()
        };
        part.prepare(map);
        part
    }

    /// Makes what is not saved.
    pub(crate) fn prepare(&mut self, map: &Map) {
        self.outbox = (0..map.parts.len()).map(|_| Vec::new()).collect();
    }

    /// The first half of a second.
    pub(crate) fn drive(&mut self, at: &Context<'_>, tails: &[Tail], coming: &mut [Coming]) {
        self.pieces.clear();
        self.forced.clear();
        self.ended.clear();
        self.ends.clear();
        self.stuck.clear();
        self.arrived = 0;
        self.outbox.iter_mut().for_each(Vec::clear);
        let own = &at.map.parts[self.number];
        for word in 0..self.active.len() {
            let mut bits = self.active[word];
            while bits != 0 {
                let junction = own.junctions.start + word as u32 * 64 + bits.trailing_zeros();
                bits &= bits - 1;
                self.let_on(at, junction, tails);
                let lanes = &at.map.junctions[junction as usize].lanes;
                for lane in lanes.clone() {
                    self.drive_lane(at, lane, tails);
                }
                for lane in lanes.clone() {
                    self.cross_line(at, lane);
                }
                self.pass_through(at);
                self.show_coming(at, junction, coming);
            }
        }
    }

    /// The second half of a second.
    pub(crate) fn settle(
        &mut self,
        at: &Context<'_>,
        mail: &[Vec<Vec<Arrival>>],
        coming: &[Coming],
        tails: &mut [Tail],
    ) {
        self.take_in(at, mail);
        self.depart(at, coming);
        let own = &at.map.parts[self.number];
        for word in 0..self.active.len() {
            let mut bits = self.active[word];
            while bits != 0 {
                let bit = bits.trailing_zeros();
                let junction = own.junctions.start + word as u32 * 64 + bit;
                bits &= bits - 1;
                if !self.settle_junction(at, junction, coming, tails) {
                    self.active[word] &= !(1 << bit);
                }
            }
        }
    }

    /// Changes lanes and writes tails before one junction; `false` if nobody is there.
    fn settle_junction(&mut self, at: &Context<'_>, junction: u32, coming: &[Coming], tails: &mut [Tail]) -> bool {
        let own = &at.map.parts[self.number];
        let lanes = &at.map.junctions[junction as usize].lanes;
        let mut anybody = false;
        for lane in lanes.clone() {
            if self.lanes[(lane - own.lanes.start) as usize].count > 0 {
                anybody = true;
                if at.map.lanes[lane as usize].beside > 1 {
                    self.change_lanes(at, lane, coming);
                }
            }
        }
        for lane in lanes.clone() {
            let l = (lane - own.lanes.start) as usize;
            let count = usize::from(self.lanes[l].count);
            let LaneState { left_id, left_to, left_end_mm, .. } = self.lanes[l];
            tails[l] = if count == 0 {
                Tail { left_id, left_to, left_end_mm, ..Tail::NOBODY }
            } else {
                let last = at.map.lanes[lane as usize].base as usize + count - 1;
                let who = &self.cars.who[last];
                let (pos_mm, speed_mm_s) = (self.cars.pos_mm[last], self.cars.speed_mm_s[last]);
                let room_mm = self.room_behind(at, lane, last);
                Tail { id: who.id, pos_mm, speed_mm_s, kind: who.kind, left_id, left_to, left_end_mm, room_mm }
            };
        }
        anybody
    }

    /// See [`Tail::room_mm`]; whoever moves farther than [`ROOM_WITHIN_MM`] from the begin of the lane is not looked at.
    fn room_behind(&self, at: &Context<'_>, lane: u32, last: usize) -> i32 {
        let info = &at.map.lanes[lane as usize];
        let mut taken_mm = 0;
        for place in (info.base as usize..=last).rev() {
            let driver = &at.drivers[usize::from(self.cars.who[place].kind)];
            let pos = self.cars.pos_mm[place];
            if self.cars.speed_mm_s[place] < SLOW_MM_S {
                return pos - driver.length_mm - driver.min_gap_mm - taken_mm;
            }
            if pos > ROOM_WITHIN_MM {
                break;
            }
            taken_mm += driver.length_mm + driver.min_gap_mm;
        }
        info.length_mm - taken_mm
    }

    pub(crate) fn local(&self, map: &Map, lane: u32) -> usize {
        (lane - map.parts[self.number].lanes.start) as usize
    }

    /// Takes one vehicle off a lane; who leads is looked at anew.
    pub(crate) fn take_off(&mut self, at: &Context<'_>, lane: u32, index: usize) -> Car {
        let l = self.local(at.map, lane);
        let base = at.map.lanes[lane as usize].base as usize;
        let state = &mut self.lanes[l];
        let car = self.cars.get(base + index);
        self.cars.remove(base + index, 1, base + usize::from(state.count));
        state.count -= 1;
        state.standing = state.standing.min(index as u16);
        car
    }

    /// Puts one vehicle on a lane, in the order of positions.
    pub(crate) fn put_on(&mut self, at: &Context<'_>, lane: u32, index: usize, car: Car) {
        let l = self.local(at.map, lane);
        let base = at.map.lanes[lane as usize].base as usize;
        let state = &mut self.lanes[l];
        self.cars.insert(base + index, base + usize::from(state.count), car);
        state.count += 1;
        state.standing = state.standing.min(index as u16);
        let junction = at.map.junction_of[at.network.segment(at.map.lanes[lane as usize].segment).to.at()];
        let bit = junction - at.map.parts[self.number].junctions.start;
        self.active[bit as usize / 64] |= 1 << (bit % 64);
    }
}
