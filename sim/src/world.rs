//! The world: everybody on the road, one second after another.
//!
//! A second begins with signals, incidents and new trips; then all parts of the city [`part::Part::drive`] and, after
//! a barrier, [`part::Part::settle`], on as many threads as the scenario says, with the same outcome on any number.
//! Everything is decided from the state at the begin of the second, in whole millimetres. Upstream: a network and
//! a scenario. Downstream: truth and sensors, which read the [`Step`].
//!
//! Gridlock, stated: who has stood at the front of a lane for [`RELEASE_AFTER_S`] with nothing but a full lane before
//! him is released (he may stand in the junction and close up to a metre and a half), and after every [`REROUTE_AFTER_S`]
//! takes another way if there is one; so does who has stood for [`WRONG_LANE_S`] at the end of a lane that does not lead
//! on. Where that does not help and streets are full in a circle, each waiting for the next, all of the circle are turned
//! after [`TURN_AFTER_S`] ([`forced`]). Nobody is ever moved elsewhere or taken away, and each such move is counted and a
//! [`Forced`] of its step.

mod arrive;
mod change;
mod course;
mod cross;
mod forced;
mod incident;
mod junction;
mod leave;
mod motion;
pub(crate) mod part;
mod saved;
mod step;
mod view;

use std::collections::VecDeque;
use std::sync::Arc;

use events::TimeMs;
use rayon::prelude::*;
use roads::{LinkState, Network, SegmentIndex};

use crate::demand::{Demands, Departure};
use crate::map::{Map, spacing_mm};
use crate::scenario::{Scenario, ScenarioError};
use crate::signal::{Signal, Signals};
use crate::vehicle::{Driver, VehicleId};
pub(crate) use junction::SQUEEZED_GAP_MM;
use part::{Arrival, Coming, Context, Part, Tail, TripState, Waiting};
pub use saved::SavedError;
pub use step::{Forced, ForcedKind, IncidentShown, Move, Overlap, SignalShown, Step};
pub(crate) use step::{Piece, Seen};

/// Who has stood this long at the front before a full lane is released, seconds.
pub const RELEASE_AFTER_S: u16 = 60;

/// Who has stood this long at the front before a full lane looks for another way, and then again, seconds.
pub const REROUTE_AFTER_S: u16 = 120;

/// Who has stood this long at the end of a lane that does not lead on looks for another way, seconds.
pub const WRONG_LANE_S: u16 = 60;

/// Who has stood this long at the front before a full lane turns with the circle that he is in, if he is in one, seconds.
pub const TURN_AFTER_S: u16 = 180;

/// Travel times for routing are refreshed this often, seconds.
const REFRESH_S: u32 = 60;

/// What the world has counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub departed: u64,
    pub arrived: u64,
    /// Took another way in a gridlock, or from a lane that did not lead on.
    pub rerouted: u64,
    /// Were told to squeeze through a gridlock.
    pub released: u64,
    /// Were first on a street of a closed circle that was turned.
    pub turned: u64,
    /// Trips whose two places are not connected.
    pub unroutable: u64,
    /// Trips that found no gap to enter the road in time.
    pub no_room: u64,
    pub lane_changes: u64,
    /// Vehicles moved by one second.
    pub updates: u64,
}

/// The simulated city.
#[derive(Debug)]
pub struct World {
    network: Arc<Network>,
    scenario: Scenario,
    map: Map,
    drivers: Vec<Driver>,
    step: u32,
    signals: Signals,
    demand: Demands,
    parts: Vec<Part>,
    /// By lane, and by entry.
    tails: Vec<Tail>,
    coming: Vec<Coming>,
    /// By node.
    blocked: Vec<bool>,
    /// Post between parts, by sender and receiver.
    mail: Vec<Vec<Vec<Arrival>>>,
    trips: Vec<TripState>,
    free: VecDeque<u32>,
    next_id: u32,
    shown: Vec<SignalShown>,
    begun: Vec<IncidentShown>,
    counters: Counters,
    on_road: usize,
    waiting: usize,
    pool: Option<rayon::ThreadPool>,
}

impl World {
    /// An empty city; vehicles enter from the first second on.
    ///
    /// # Errors
    /// When the scenario or the network cannot be simulated, one sentence that says why.
    pub fn new(network: Arc<Network>, scenario: Scenario) -> Result<Self, ScenarioError> {
        scenario.check_on(&network)?;
        let demand = Demands::new(&network, &scenario)?;
        let drivers: Vec<Driver> = scenario.types.iter().map(Driver::new).collect();
        let (signals, plans, shown) = Signals::new(&network, scenario.seed);
        let map = Map::new(&network, &plans, &shown, spacing_mm(&drivers));
        let parts: Vec<Part> = (0..map.parts.len()).map(|number| Part::new(&map, number)).collect();
        let mail = parts.iter().map(|_| vec![Vec::new(); parts.len()]).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(scenario.threads);
        let pool = if scenario.threads > 1 { pool.build().ok() } else { None };
        let entries = map.parts.last().map_or(0, |part| part.entries.end as usize);
        Ok(Self {
            step: 0,
            signals,
            demand,
            tails: vec![Tail::NOBODY; map.lanes.len()],
            coming: vec![Coming::NOBODY; entries],
            blocked: vec![false; network.nodes().len()],
            mail,
            parts,
            trips: Vec::new(),
            free: VecDeque::new(),
            next_id: 0,
            shown: Vec::new(),
            begun: Vec::new(),
            counters: Counters::default(),
            on_road: 0,
            waiting: 0,
            pool,
            map,
            drivers,
            network,
            scenario,
        })
    }

    /// Simulates the next second.
    pub fn step(&mut self) -> Step<'_> {
        self.begun.clear();
        self.change_incidents();
        self.change_signals();
        if self.step > 0 && self.step.is_multiple_of(REFRESH_S) {
            self.refresh_travel_times();
        }
        self.draw_trips();
        self.drive();
        self.settle();
        self.collect();
        let start = self.now();
        self.step += 1;
        Step { start, end: self.now(), signals: &self.shown, incidents: &self.begun, world: self }
    }

    /// Event time of the begin of the next second.
    pub fn now(&self) -> TimeMs {
        TimeMs(self.scenario.start.0 + 1_000 * i64::from(self.step))
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
        let mut counters = self.counters;
        for part in &self.parts {
            counters.departed += part.tally.departed;
            counters.no_room += part.tally.no_room;
            counters.released += part.tally.released;
            counters.turned += part.tally.turned;
            counters.lane_changes += part.tally.lane_changes;
            counters.updates += part.tally.updates;
        }
        counters
    }

    /// Vehicles on the road.
    pub fn vehicles_on_road(&self) -> usize {
        self.on_road
    }

    /// Trips that wait for a gap.
    pub fn vehicles_waiting(&self) -> usize {
        self.waiting
    }

    fn context(&self) -> Context<'_> {
        Context {
            network: &self.network,
            map: &self.map,
            drivers: &self.drivers,
            trips: &self.trips,
            shown: &self.signals.links,
            blocked: &self.blocked,
            seed: self.scenario.seed,
            step: self.step,
        }
    }

    fn drive(&mut self) {
        let mut parts = std::mem::take(&mut self.parts);
        let mut coming = std::mem::take(&mut self.coming);
        let at = self.context();
        let mut work: Vec<(&mut Part, &mut [Coming])> = Vec::with_capacity(parts.len());
        let mut rest = coming.as_mut_slice();
        for part in &mut parts {
            let (own, others) = rest.split_at_mut(at.map.parts[part.number].entries.len());
            rest = others;
            work.push((part, own));
        }
        let tails = &self.tails;
        match &self.pool {
            Some(pool) => pool.install(|| {
                work.par_iter_mut().with_max_len(1).for_each(|(part, coming)| part.drive(&at, tails, coming))
            }),
            None => work.iter_mut().for_each(|(part, coming)| part.drive(&at, tails, coming)),
        }
        for part in &mut parts {
            std::mem::swap(&mut self.mail[part.number], &mut part.outbox);
        }
        (self.parts, self.coming) = (parts, coming);
    }

    fn settle(&mut self) {
        let mut parts = std::mem::take(&mut self.parts);
        let mut tails = std::mem::take(&mut self.tails);
        let at = self.context();
        let mut work: Vec<(&mut Part, &mut [Tail])> = Vec::with_capacity(parts.len());
        let mut rest = tails.as_mut_slice();
        for part in &mut parts {
            let (own, others) = rest.split_at_mut(at.map.parts[part.number].lanes.len());
            rest = others;
            work.push((part, own));
        }
        let (mail, coming) = (&self.mail, &self.coming);
        match &self.pool {
            Some(pool) => pool.install(|| {
                work.par_iter_mut().with_max_len(1).for_each(|(part, tails)| part.settle(&at, mail, coming, tails))
            }),
            None => work.iter_mut().for_each(|(part, tails)| part.settle(&at, mail, coming, tails)),
        }
        (self.parts, self.tails) = (parts, tails);
    }

    /// Takes together what the parts did, in the order of parts.
    fn collect(&mut self) {
        let departed = |parts: &[Part]| parts.iter().map(|p| p.tally.departed + p.tally.no_room).sum::<u64>();
        let mut arrived = 0;
        for part in &self.parts {
            arrived += u64::from(part.arrived);
            self.free.extend(&part.ended);
        }
        self.counters.arrived += arrived;
        let entered: u64 = self.parts.iter().map(|p| p.tally.departed).sum();
        self.on_road = (entered - self.counters.arrived) as usize;
        self.waiting = (self.demand.asked - departed(&self.parts)) as usize;
        self.reroute_stuck();
        self.turn_circles();
    }

    fn change_signals(&mut self) {
        self.shown.clear();
        let now_ms = 1_000 * i64::from(self.step);
        let mut signals = std::mem::replace(&mut self.signals, Signals::none());
        for signal in 0..signals.all.len() {
            let before = signals.running[signal].phase;
            let changed = signals.advance(signal, now_ms, |links| self.is_wanted(links));
            if !changed && self.step > 0 {
                continue;
            }
            for group in 0..signals.all[signal].groups.len() {
                let state = signals.group_state(signal, group);
                if self.step == 0 || signals.group_state_in(signal, group, before) != state {
                    self.shown.push(SignalShown { signal, group, state });
                }
            }
        }
        self.signals = signals;
    }

    /// Whether anybody comes towards one of the links that are green: its detector is [`Self::DETECTOR_S`] before the line.
    fn is_wanted(&self, green: &[(u32, LinkState)]) -> bool {
        green.iter().any(|(place, _)| {
            self.map.links_shown(*place).iter().any(|link| {
                let link = &self.map.links[*link as usize];
                let lane = &self.map.lanes[link.from as usize];
                let part = &self.parts[usize::from(self.map.part_of_lane[link.from as usize])];
                let count = usize::from(part.lanes[part.local(&self.map, link.from)].count);
                (lane.base as usize..lane.base as usize + count).any(|at| {
                    let reach = part.cars.speed_mm_s[at].max(2_000) * Self::DETECTOR_S;
                    lane.length_mm - part.cars.pos_mm[at] < reach && part.cars.who[at].link != crate::map::NONE
                })
            })
        })
    }

    /// Gap at which an actuated signal lets its green end, seconds (RiLSA 2015: 2 to 3 s).
    const DETECTOR_S: i32 = 3;

    fn refresh_travel_times(&mut self) {
        for part in &mut self.parts {
            let own = self.map.parts[part.number].lanes.clone();
            for lane in own {
                let l = part.local(&self.map, lane);
                let info = &self.map.lanes[lane as usize];
                let state = &mut part.lanes[l];
                // Who is still on the lane has needed at least so long.
                let first = (state.count > 0).then(|| part.cars.who[info.base as usize].on_segment_s(self.step));
                let passed = (state.passed > 0).then(|| state.passed_s as f32 / f32::from(state.passed));
                (state.passed, state.passed_s) = (0, 0);
                self.demand.observe(info.segment, passed, first.map(|s| s as f32));
            }
        }
        self.demand.refresh();
    }

    fn draw_trips(&mut self) {
        let wanted = self.on_road + self.waiting;
        let departures = self.demand.draw(&self.network, &self.scenario, self.step, wanted);
        for departure in departures {
            self.enqueue(departure);
        }
        self.counters.unroutable = self.demand.unroutable;
    }

    fn enqueue(&mut self, departure: Departure) {
        let id = self.next_id;
        self.next_id += 1;
        let Departure { route, kind, factor_permille, details, patience_s, since } = departure;
        let first: SegmentIndex = route[0];
        let state = TripState { id, kind, factor_permille, route, details };
        let slot = match self.free.pop_front() {
            Some(slot) => {
                self.trips[slot as usize] = state;
                slot
            }
            None => {
                self.trips.push(state);
                self.trips.len() as u32 - 1
            }
        };
        let lane = self.map.first_lane[first.at()];
        let part = &mut self.parts[usize::from(self.map.part_of_lane[lane as usize])];
        part.waiting.entry(lane).or_default().push_back(Waiting { id, slot, since, patience_s });
    }

    /// Id and odometer, mm, of every vehicle on the road.
    pub fn odometers(&self) -> impl Iterator<Item = (VehicleId, i64)> + '_ {
        self.cars()
            .map(|(_, car)| (VehicleId(u64::from(car.who.id)), i64::from(car.who.odometer_mm) + i64::from(car.pos_mm)))
    }
}

#[cfg(test)]
mod tests;
