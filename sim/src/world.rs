//! The world: everybody on the road, one second after another.
//!
//! A second has six parts: signals, new vehicles, who may go on ([`clearance`]), how fast ([`motion`]), moving,
//! and who leaves. Everything is decided from the state at the begin of the second, in whole millimetres.
//! Upstream: a network and a scenario. Downstream: truth and sensors, which read the [`Step`].
//!
//! Gridlock, stated: who has stood for [`REROUTE_AFTER_S`] with nothing but a full lane before him takes
//! another way if one has room, after [`GIVE_UP_AFTER_S`] he gives up and leaves the road; who has stood
//! [`STUCK_AFTER_S`] for any reason does so too. Nobody is ever moved elsewhere, and all three are counted.

mod clearance;
mod departure;
mod motion;

use std::collections::VecDeque;
use std::sync::Arc;

use events::{SignalState, TimeMs};
use roads::{Network, SegmentIndex};

use crate::demand::Demand;
use crate::junction::Ways;
use crate::lane::Lanes;
use crate::scenario::{Scenario, ScenarioError};
use crate::signal::{Signal, Signals};
use crate::vehicle::{Slot, Vehicle, VehicleId};

/// Most lanes that a vehicle is let onto in advance.
pub const CLEARED_LANES_MAX: usize = 8;

/// Who has stood this long before a full lane looks for another way, seconds.
pub const REROUTE_AFTER_S: u32 = 60;

/// Who has stood this long before a full lane gives up, seconds.
pub const GIVE_UP_AFTER_S: u32 = 120;

/// Who has stood this long for any reason gives up, seconds; several cycles of any signal.
pub const STUCK_AFTER_S: u32 = 900;

/// Mean speeds for routing are refreshed this often, seconds.
const REFRESH_S: u64 = 60;

/// What the world has counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub departed: u64,
    pub arrived: u64,
    /// Took another way in a gridlock.
    pub rerouted: u64,
    /// Gave up in a gridlock and left the road where they stood.
    pub gave_up: u64,
    /// Trips whose two places are not connected.
    pub unroutable: u64,
    /// Trips that found no gap to enter the road in time.
    pub no_room: u64,
}

/// What one vehicle did on one lane in one second. Who crosses into another segment has several, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub vehicle: VehicleId,
    /// Where the vehicle is kept while it drives: dense from 0, and used again by another one afterwards.
    pub slot: u32,
    pub segment: SegmentIndex,
    /// Counted from the kerb.
    pub lane: u8,
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

/// A signal group that changed at the begin of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalShown {
    /// Index in [`World::signals`].
    pub signal: usize,
    pub group: usize,
    pub state: SignalState,
}

/// What the rule against gridlock did to a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It takes another way.
    Rerouted,
    /// It left the road.
    Removed,
}

/// A vehicle that was forced to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forced {
    pub vehicle: VehicleId,
    /// Where it stood.
    pub segment: SegmentIndex,
    pub what: Force,
}

/// What happened in one second; valid until the next.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub start: TimeMs,
    /// One second after `start`.
    pub end: TimeMs,
    pub moves: &'a [Move],
    /// Changes at `start`; in the first second what every group shows.
    pub signals: &'a [SignalShown],
    pub forced: &'a [Forced],
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

/// A way across a junction taken by somebody who has been let onto it and has not crossed yet.
#[derive(Clone, Copy, Debug)]
struct Claim {
    slot: Slot,
    bit: u64,
}

/// A trip that waits for its departure or for a gap.
#[derive(Clone, Debug)]
struct Waiting {
    id: VehicleId,
    route: Vec<SegmentIndex>,
    depart_step: u64,
}

/// The simulated city.
#[derive(Debug)]
pub struct World {
    network: Arc<Network>,
    scenario: Scenario,
    step: u64,
    lanes: Lanes,
    ways: Ways,
    signals: Signals,
    demand: Demand,
    /// By slot; a free slot keeps its last vehicle and is listed in `free`.
    vehicles: Vec<Vehicle>,
    is_active: Vec<bool>,
    free: Vec<Slot>,
    /// By node.
    claims: Vec<Vec<Claim>>,
    waiting: VecDeque<Waiting>,
    next_id: u64,
    /// Speed for the coming second by slot, and before it the least safe speed found so far.
    next_mm_s: Vec<i64>,
    /// Millimetres and milliseconds by segment since the last refresh, for routing only.
    driven: Vec<(i64, i64)>,
    moves: Vec<Move>,
    shown: Vec<SignalShown>,
    forced: Vec<Forced>,
    counters: Counters,
}

impl World {
    /// An empty city; vehicles enter from the first second on.
    ///
    /// # Errors
    /// When the scenario or the network cannot be simulated, one sentence that says why.
    pub fn new(network: Arc<Network>, scenario: Scenario) -> Result<Self, ScenarioError> {
        scenario.check()?;
        if scenario.demand != crate::scenario::Demand::Level || !scenario.incidents.is_empty() {
            return Err(ScenarioError::Trip { number: 0, what: "this world keeps only a level of vehicles yet" });
        }
        let demand = Demand::new(&network, scenario.seed);
        if demand.places() < 2 {
            let (segments, long_enough) = (network.segments().len(), demand.places());
            return Err(ScenarioError::NoTrips { segments, long_enough });
        }
        Ok(Self {
            step: 0,
            lanes: Lanes::new(&network),
            ways: Ways::new(&network),
            signals: Signals::new(&network, scenario.seed),
            demand,
            vehicles: Vec::new(),
            is_active: Vec::new(),
            free: Vec::new(),
            claims: vec![Vec::new(); network.nodes().len()],
            waiting: VecDeque::new(),
            next_id: 0,
            next_mm_s: Vec::new(),
            driven: vec![(0, 0); network.segments().len()],
            moves: Vec::new(),
            shown: Vec::new(),
            forced: Vec::new(),
            counters: Counters::default(),
            network,
            scenario,
        })
    }

    /// Simulates the next second.
    pub fn step(&mut self) -> Step<'_> {
        self.forced.clear();
        self.change_signals();
        if self.step > 0 && self.step.is_multiple_of(REFRESH_S) {
            self.refresh_speeds();
        }
        self.depart();
        self.revoke();
        self.clear();
        self.choose_speeds();
        self.advance();
        self.leave();
        let start = self.now();
        self.step += 1;
        Step { start, end: self.now(), moves: &self.moves, signals: &self.shown, forced: &self.forced }
    }

    /// Event time of the begin of the next second.
    pub fn now(&self) -> TimeMs {
        TimeMs(self.scenario.start.0 + 1_000 * self.step as i64)
    }

    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    pub fn signals(&self) -> &[Signal] {
        &self.signals.all
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Vehicles on the road.
    pub fn vehicles_on_road(&self) -> usize {
        self.vehicles.len() - self.free.len()
    }

    /// Id and odometer, mm, of every vehicle on the road.
    pub fn odometers(&self) -> impl Iterator<Item = (VehicleId, i64)> {
        self.active().map(|slot| (self.vehicles[slot].id, self.vehicles[slot].odometer_mm))
    }

    /// Looks for two vehicles that overlap along any lane, tails over stop lines included.
    pub fn find_overlap(&self) -> Option<Overlap> {
        for lane in &self.lanes.all {
            let here = |slot: &&Slot| self.lanes.get(self.vehicles[**slot].lane).segment == lane.segment;
            let mut ahead = self.tail_of(lane);
            for &slot in lane.order.iter().filter(here) {
                let rear = &self.vehicles[slot];
                if let Some((front, at_mm)) = ahead {
                    let space_mm = at_mm - crate::vehicle::LENGTH_MM - rear.pos_mm;
                    if space_mm < 0 {
                        return Some(Overlap { front, rear: rear.id, segment: lane.segment, space_mm });
                    }
                }
                ahead = Some((rear.id, rear.pos_mm));
            }
        }
        None
    }

    fn active(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.vehicles.len()).filter(|slot| self.is_active[*slot])
    }

    /// Who last left a lane and where its front is, mm from the begin of that lane.
    fn tail_of(&self, lane: &crate::lane::Lane) -> Option<(VehicleId, i64)> {
        let left = lane.left?;
        let vehicle = &self.vehicles[left.slot];
        let same = self.is_active[left.slot] && vehicle.id == left.id;
        same.then(|| (left.id, lane.length_mm + vehicle.odometer_mm - left.odometer_mm))
    }

    fn change_signals(&mut self) {
        self.shown.clear();
        for (signal, plan) in self.signals.all.iter().enumerate() {
            for group in 0..plan.groups.len() {
                let state = plan.state(group, self.step);
                if self.step == 0 || state != plan.state(group, self.step - 1) {
                    self.shown.push(SignalShown { signal, group, state });
                }
            }
        }
    }

    fn refresh_speeds(&mut self) {
        for at in self.network.indices() {
            let (mm, ms) = std::mem::take(&mut self.driven[at.at()]);
            let mean = (ms > 0).then(|| mm as f32 / ms as f32);
            self.demand.observe(at, self.network.segment(at).length_m, mean);
        }
    }
}

#[cfg(test)]
mod tests;
