//! What happened in one second, for whoever measures: moves, signals, incidents, forced moves.
//!
//! Nothing is written down for somebody who stays on his lane: his move follows from where he is and how fast he came
//! there. Upstream: the parts. Downstream: truth and sensors.

use events::{SignalState, TimeMs};
use roads::SegmentIndex;
use serde::{Deserialize, Serialize};

use super::World;
use super::part::{LaneState, Tail, left_of};
use crate::cars::{CROSSED, Car, Cars, FRESH, Who};
use crate::map::Lane;
use crate::vehicle::VehicleId;

/// What one vehicle did on one segment in one second. Who crosses into another segment has two, in order.
///
/// Where a network gives junctions a width, they belong to the segment before: positions there are beyond its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub vehicle: VehicleId,
    /// Where its trip is kept while it lasts: dense from 0, and used again by another one afterwards.
    pub slot: u32,
    pub segment: SegmentIndex,
    /// Counted from the kerb; where it is at the end of the second.
    pub lane: u8,
    /// Position in [`crate::Scenario::types`].
    pub kind: u8,
    /// Front bumper from the begin of the segment.
    pub from_mm: i64,
    pub to_mm: i64,
    /// Within the second, 0 to 1,000.
    pub begin_ms: i64,
    pub end_ms: i64,
    /// Constant during the second.
    pub speed_mm_s: i64,
    /// Whether the vehicle is here at the end of the second.
    pub last: bool,
}

/// What all moves of one vehicle in one second have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) vehicle: VehicleId,
    pub(crate) slot: u32,
    pub(crate) speed_mm_s: i64,
    pub(crate) kind: u8,
}

impl Piece {
    pub(crate) fn on(self, lane: &Lane, (from, to): (i32, i32), (begin_ms, end_ms): (i32, i32), last: bool) -> Move {
        let Self { vehicle, slot, speed_mm_s, kind } = self;
        Move {
            vehicle,
            slot,
            segment: lane.segment,
            lane: lane.number,
            kind,
            from_mm: i64::from(from),
            to_mm: i64::from(to),
            begin_ms: i64::from(begin_ms),
            end_ms: i64::from(end_ms),
            speed_mm_s,
            last,
        }
    }
}

/// A signal group that changed at the begin of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalShown {
    /// Index in [`World::signals`].
    pub signal: usize,
    pub group: usize,
    pub state: SignalState,
}

/// An incident that began or ended at the begin of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncidentShown {
    /// Position in [`crate::Scenario::incidents`].
    pub incident: usize,
    pub begins: bool,
}

/// A vehicle that was made to do what its driver would not have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forced {
    pub vehicle: VehicleId,
    pub segment: SegmentIndex,
    pub what: ForcedKind,
}

/// See [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForcedKind {
    /// Told to squeeze through.
    Released,
    /// Given another way.
    Rerouted,
    /// The first on a street of a closed circle, all of which closes up and goes on.
    Turned,
}

/// What happened in one second; valid until the next.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub start: TimeMs,
    /// One second after `start`.
    pub end: TimeMs,
    /// Changes at `start`; in the first second what every group shows.
    pub signals: &'a [SignalShown],
    pub incidents: &'a [IncidentShown],
    pub(super) world: &'a World,
}

impl<'a> Step<'a> {
    /// What everybody did, always in the same order; the moves of one vehicle follow each other.
    ///
    /// Who has just entered is there from the end of the second on: a move of no distance and no time.
    pub fn moves(&self) -> impl Iterator<Item = Move> + use<'a> {
        self.crossed().chain(self.lanes().flat_map(|on| on.moves()))
    }

    /// The moves of those who crossed onto another lane, or whose trip ended.
    pub(crate) fn crossed(&self) -> impl Iterator<Item = Move> + use<'a> {
        self.world.parts.iter().flat_map(|part| part.pieces.iter().copied())
    }

    /// All lanes with somebody on them, in order.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = OnLane<'a>> + use<'a> {
        self.world.lanes()
    }

    /// Trips that ended in this second: where, and whose.
    pub fn arrivals(&self) -> impl Iterator<Item = (SegmentIndex, VehicleId)> + use<'a> {
        self.world.parts.iter().flat_map(|part| part.ends.iter().copied())
    }

    /// Who was made to do something in a gridlock.
    pub fn forced(&self) -> impl Iterator<Item = Forced> + use<'a> {
        self.world.parts.iter().flat_map(|part| part.forced.iter().copied())
    }
}

/// Everybody who is on one lane at the end of a second, those in front first, in columns of the same order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnLane<'a> {
    lane: &'a Lane,
    pos_mm: &'a [i32],
    speed_mm_s: &'a [i32],
    who: &'a [Who],
}

/// Where somebody is at the end of a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) vehicle: VehicleId,
    pub(crate) slot: u32,
    pub(crate) segment: SegmentIndex,
    /// From the begin of the segment.
    pub(crate) at_mm: i32,
    pub(crate) speed_mm_s: i32,
}

impl<'a> OnLane<'a> {
    pub(crate) fn segment(&self) -> SegmentIndex {
        self.lane.segment
    }

    /// The moves of those who were here all second.
    pub(crate) fn moves(self) -> impl Iterator<Item = Move> + use<'a> {
        let Self { lane, pos_mm, speed_mm_s, who } = self;
        let cars = pos_mm.iter().zip(speed_mm_s).zip(who).filter(|(_, who)| who.flags & CROSSED == 0);
        cars.map(move |((&pos, &speed), who)| {
            let vehicle = VehicleId(u64::from(who.id));
            let piece = Piece { vehicle, slot: who.slot, speed_mm_s: i64::from(speed), kind: who.kind };
            if who.flags & FRESH != 0 {
                return piece.on(lane, (pos, pos), (1_000, 1_000), true);
            }
            piece.on(lane, (pos - speed, pos), (0, 1_000), true)
        })
    }

    /// Where those are who were here all second.
    pub(crate) fn seen(self) -> impl Iterator<Item = Seen> + use<'a> {
        let Self { lane, pos_mm, speed_mm_s, who } = self;
        let cars = pos_mm.iter().zip(speed_mm_s).zip(who).filter(|(_, who)| who.flags & CROSSED == 0);
        let segment = lane.segment;
        cars.map(move |((&at_mm, &speed_mm_s), who)| {
            let vehicle = VehicleId(u64::from(who.id));
            Seen { vehicle, slot: who.slot, segment, at_mm, speed_mm_s }
        })
    }
}

/// Two vehicles closer than bumper to bumper: never found, or the model is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    pub front: VehicleId,
    pub rear: VehicleId,
    pub segment: SegmentIndex,
    /// Clear space between them, negative.
    pub space_mm: i64,
}

impl World {
    /// All lanes with somebody on them, in order.
    fn lanes(&self) -> impl Iterator<Item = OnLane<'_>> + '_ {
        self.parts.iter().flat_map(|part| {
            let own = self.map.parts[part.number].lanes.clone();
            let lanes = self.map.lanes[own.start as usize..own.end as usize].iter();
            lanes.zip(&part.lanes).filter(|(_, state)| state.count > 0).map(|(lane, state)| {
                let places = lane.base as usize..lane.base as usize + usize::from(state.count);
                let Cars { pos_mm, speed_mm_s, who } = &part.cars;
                OnLane {
                    lane,
                    pos_mm: &pos_mm[places.clone()],
                    speed_mm_s: &speed_mm_s[places.clone()],
                    who: &who[places],
                }
            })
        })
    }

    /// Everybody on the road with his lane, in the order of lanes, those in front first.
    pub(super) fn cars(&self) -> impl Iterator<Item = (&Lane, Car)> + '_ {
        self.parts.iter().flat_map(move |part| {
            let own = self.map.parts[part.number].lanes.clone();
            own.zip(&part.lanes).filter(|(_, state)| state.count > 0).flat_map(move |(lane, state)| {
                let lane = &self.map.lanes[lane as usize];
                let base = lane.base as usize;
                (base..base + usize::from(state.count)).map(move |at| (lane, part.cars.get(at)))
            })
        })
    }

    /// Looks for two vehicles that overlap along any lane, tails over stop lines included.
    pub fn find_overlap(&self) -> Option<Overlap> {
        let length = |kind: u8| self.drivers[usize::from(kind)].length_mm;
        for part in &self.parts {
            for (lane, state) in self.map.parts[part.number].lanes.clone().zip(&part.lanes) {
                let info = &self.map.lanes[lane as usize];
                let LaneState { left_id, left_to, left_end_mm, .. } = *state;
                let left = left_of(&self.tails, &Tail { left_id, left_to, left_end_mm, ..Tail::NOBODY });
                let mut ahead = left.map(|(front, _, kind)| (left_id, front - length(kind)));
                for at in info.base as usize..info.base as usize + usize::from(state.count) {
                    let car = part.cars.get(at);
                    if let Some((front, rear_mm)) = ahead.filter(|(_, rear_mm)| *rear_mm < car.pos_mm) {
                        return Some(Overlap {
                            front: VehicleId(u64::from(front)),
                            rear: VehicleId(u64::from(car.who.id)),
                            segment: info.segment,
                            space_mm: i64::from(rear_mm - car.pos_mm),
                        });
                    }
                    ahead = Some((car.who.id, car.pos_mm - length(car.who.kind)));
                }
            }
        }
        None
    }

    /// Bytes that the vehicles take: columns, trips and routes; a shared route is counted once.
    pub fn vehicle_bytes(&self) -> usize {
        let columns: usize =
            self.parts.iter().map(|part| part.cars.who.capacity() * (8 + size_of::<crate::cars::Who>())).sum();
        let mut routes: Vec<(*const SegmentIndex, usize)> =
            self.trips.iter().map(|t| (t.route.as_ptr(), t.route.len())).collect();
        routes.sort_unstable();
        routes.dedup();
        let routes: usize = routes.iter().map(|(_, len)| 16 + len * size_of::<SegmentIndex>()).sum();
        columns + routes + self.trips.capacity() * size_of::<super::part::TripState>()
    }
}
