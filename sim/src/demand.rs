//! Demand: who departs in a second, from where to where, and by which route.
//!
//! Trips are listed, drawn from a matrix of flows, or drawn so that a level is kept. Origins and destinations of the last
//! kind are drawn by lane-metres and nearness to the centre. Routes are the fastest by the travel times of the last
//! minutes, refreshed every minute. Routing must not dominate a step, so ways between drawn places come from a stock
//! of pairs whose routes are renewed in turn, [`ROUTES_PER_STEP_MAX`] a second. Upstream: the scenario, the network,
//! measured travel times. Downstream: the world, which finds room for each trip.

use std::collections::VecDeque;
use std::sync::Arc;

use roads::{Network, Search, SegmentIndex};
use rustc_hash::FxHashMap;

use crate::random::{Stream, below, normal, unit};
use crate::scenario::{Demand, DepartAt, DepartLane, Od, Route, Scenario, ScenarioError, Trip};
use crate::vehicle::{FACTOR_PERMILLE_MAX, FACTOR_PERMILLE_MIN, VehicleType};
use crate::world::part::Details;

/// Trips begin and end in the middle of segments at least this long, m, so that there is room for both.
pub const SEGMENT_LENGTH_MIN_M: f64 = 40.0;

/// Shortest trip, segments: both ends and something to drive between them.
const ROUTE_SEGMENTS_MIN: usize = 3;

/// How much less a place at the edge of the network attracts than its centre; assumed.
const EDGE_SHARE: f64 = 0.2;

/// Weight of the newest minute in the travel times for routing; the rest are the minutes before it.
const NEWEST_SHARE: f32 = 0.5;

/// Slowest free flow, m/s.
const ROUTING_SPEED_MIN_MPS: f32 = 0.5;

/// A drawn trip that has found no gap for so long is given up, seconds; listed trips wait for as long as it takes.
const ENTER_WITHIN_S: u32 = 60;

/// Pairs of places in the stock of routes, at most; beyond it the oldest is replaced.
const PAIRS_MAX: usize = 8_192;

/// Routes that are sought within one second, at most; the trips beyond it take a known pair.
const ROUTES_PER_STEP_MAX: usize = 64;

/// Pairs drawn for one new route, each with other places, until two are connected.
const ATTEMPTS_MAX: u64 = 4;

/// Trips that depart within one second, at most; listed ones beyond it depart a second later.
const DEPARTURES_PER_STEP_MAX: usize = 20_000;

/// A trip that is to begin now.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) route: Arc<[SegmentIndex]>,
    pub(crate) kind: u8,
    pub(crate) factor_permille: u16,
    pub(crate) details: Option<Box<Details>>,
    pub(crate) patience_s: u32,
    pub(crate) since: u32,
}

/// What changes about demand; the rest follows from the scenario.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Progress {
    /// Trips of the list that have departed.
    pub(crate) listed: u64,
    /// Trips drawn.
    pub(crate) drawn: u64,
    /// Routes sought for the stock.
    pub(crate) sought: u64,
    pub(crate) stock: VecDeque<Vec<SegmentIndex>>,
    /// Fractions of a trip that each flow still owes.
    pub(crate) owed: Vec<f32>,
    /// Seconds per segment.
    pub(crate) travel_s: Vec<f32>,
}

/// Draws trips and finds routes.
#[derive(Debug)]
pub(crate) struct Demands {
    seed: u64,
    /// Where trips may begin and end, with the running sum of their weights.
    places: Vec<(SegmentIndex, f64)>,
    /// Running sum of the shares of vehicle types.
    kinds: Vec<f32>,
    free_flow_s: Vec<f32>,
    pub(crate) progress: Progress,
    /// The stock as it is handed out.
    shared: VecDeque<Arc<[SegmentIndex]>>,
    /// Routes of pairs that were listed by their ends; forgotten at every refresh.
    between: FxHashMap<(SegmentIndex, SegmentIndex), Option<Arc<[SegmentIndex]>>>,
    newest: Vec<Newest>,
    search: Search,
    pub(crate) asked: u64,
    pub(crate) unroutable: u64,
}

/// What was measured on a segment since the last refresh.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    passed_s: f32,
    passed_lanes: u16,
    standing_s: f32,
}

impl Demands {
    pub(crate) fn new(network: &Network, scenario: &Scenario) -> Result<Self, ScenarioError> {
        let places = if scenario.demand == Demand::Level { places(network) } else { Vec::new() };
        if scenario.demand == Demand::Level && places.len() < 2 {
            let (segments, long_enough) = (network.segments().len(), places.len());
            return Err(ScenarioError::NoTrips { segments, long_enough });
        }
        let mut sum = 0.0;
        let kinds = scenario.types.iter().map(|t| {
            sum += t.share;
            sum
        });
        let kinds = kinds.collect();
        let free = |s: &roads::Segment| s.length_m as f32 / s.free_flow_mps().max(ROUTING_SPEED_MIN_MPS);
        let free_flow_s: Vec<f32> = network.segments().iter().map(free).collect();
        let owed = if let Demand::Od(od) = &scenario.demand { vec![0.0; od.flows.len()] } else { Vec::new() };
        let progress = Progress { travel_s: free_flow_s.clone(), owed, ..Progress::default() };
        Ok(Self {
            seed: scenario.seed,
            places,
            kinds,
            newest: vec![Newest::default(); free_flow_s.len()],
            free_flow_s,
            progress,
            shared: VecDeque::new(),
            between: FxHashMap::default(),
            search: Search::new(),
            asked: 0,
            unroutable: 0,
        })
    }

    /// Goes on from a saved state.
    pub(crate) fn resume(&mut self, progress: Progress, asked: u64, unroutable: u64) {
        self.shared = progress.stock.iter().map(|route| route.as_slice().into()).collect();
        (self.progress, self.asked, self.unroutable) = (progress, asked, unroutable);
    }

    /// Who departs in this second, with `there` on the road or waiting already.
    pub(crate) fn draw(&mut self, network: &Network, scenario: &Scenario, step: u32, there: usize) -> Vec<Departure> {
        let departures = match &scenario.demand {
            Demand::Level => self.draw_level(network, scenario, step, there),
            Demand::Trips(trips) => self.draw_listed(network, scenario, trips, step),
            Demand::Od(od) => self.draw_flows(network, scenario, od, step),
        };
        self.asked += departures.len() as u64;
        departures
    }

    fn draw_level(&mut self, network: &Network, scenario: &Scenario, step: u32, there: usize) -> Vec<Departure> {
        let wanted = scenario.vehicles_at(step) as usize;
        let missing = wanted.saturating_sub(there);
        // At the begin the city fills over some seconds; later a trip is drawn for each that ended.
        let now = missing.min(20 + wanted / 20).min(DEPARTURES_PER_STEP_MAX);
        for _ in 0..now.min(ROUTES_PER_STEP_MAX) {
            self.seek_route(network);
        }
        let mut departures = Vec::with_capacity(now);
        for i in 0..now {
            if self.shared.is_empty() {
                break;
            }
            // The newest first, so that as long as there are enough every trip has a way of its own.
            let fresh = now.min(ROUTES_PER_STEP_MAX).min(self.shared.len());
            let at = if i < fresh {
                self.shared.len() - 1 - i
            } else {
                below(self.shared.len() as u64, self.seed, self.progress.drawn, 1, Stream::Origin) as usize
            };
            let route = self.shared[at].clone();
            departures.push(self.departure(&scenario.types, route, step));
        }
        departures
    }

    /// Adds the fastest way between two drawn places to the stock.
    fn seek_route(&mut self, network: &Network) {
        let who = self.progress.sought;
        self.progress.sought += 1;
        let route = (0..ATTEMPTS_MAX).find_map(|attempt| {
            let from = self.place(who, attempt, Stream::Origin)?;
            let to = self.place(who, attempt, Stream::Destination)?;
            self.route(network, from, to).filter(|route| route.len() >= ROUTE_SEGMENTS_MIN)
        });
        let Some(route) = route else {
            self.unroutable += 1;
            return;
        };
        if self.shared.len() >= PAIRS_MAX {
            self.shared.pop_front();
            self.progress.stock.pop_front();
        }
        self.shared.push_back(route.as_slice().into());
        self.progress.stock.push_back(route);
    }

    fn draw_listed(&mut self, network: &Network, scenario: &Scenario, trips: &[Trip], step: u32) -> Vec<Departure> {
        let mut departures = Vec::new();
        while let Some(trip) = trips.get(self.progress.listed as usize) {
            if trip.depart_s >= (step + 1) as f32 || departures.len() >= DEPARTURES_PER_STEP_MAX {
                break;
            }
            self.progress.listed += 1;
            let route = match &trip.route {
                Route::Fixed(route) => Some(route.clone()),
                Route::Between(from, to) => self.way_between(network, *from, *to),
            };
            let Some(route) = route else {
                self.unroutable += 1;
                continue;
            };
            let mut departure = self.departure(&scenario.types, route, step);
            departure.kind = trip.vehicle_type as u8;
            departure.factor_permille =
                self.factor(&scenario.types[usize::from(trip.vehicle_type)], self.progress.drawn - 1);
            departure.patience_s = u32::MAX;
            let is_plain = trip.stops.is_empty()
                && trip.depart_lane == DepartLane::Best
                && trip.depart_at == DepartAt::Middle
                && trip.depart_speed_mps == 0.0
                && trip.arrival_m.is_none();
            departure.details = (!is_plain).then(|| {
                Box::new(Details {
                    stops: trip.stops.clone(),
                    lane: trip.depart_lane,
                    at: trip.depart_at,
                    speed_mps: trip.depart_speed_mps,
                    arrival_m: trip.arrival_m,
                })
            });
            departures.push(departure);
        }
        departures
    }

    fn draw_flows(&mut self, network: &Network, scenario: &Scenario, od: &Od, step: u32) -> Vec<Departure> {
        let nth = od.profile.partition_point(|(from_s, _)| *from_s <= step);
        let factor = nth.checked_sub(1).map_or(1.0, |i| od.profile[i].1);
        let mut departures = Vec::new();
        for (number, flow) in od.flows.iter().enumerate() {
            self.progress.owed[number] += flow.vehicles_per_hour * factor / 3_600.0;
            // Whether the fraction departs now is drawn, so that flows do not march in step.
            while self.progress.owed[number] > unit(self.seed, number as u64, self.progress.drawn, Stream::Flow) as f32
                && departures.len() < DEPARTURES_PER_STEP_MAX
            {
                self.progress.owed[number] -= 1.0;
                let ends =
                    [(flow.from_zone, Stream::Origin), (flow.to_zone, Stream::Destination)].map(|(zone, stream)| {
                        let zone = &od.zones[zone as usize];
                        zone[below(zone.len() as u64, self.seed, self.progress.drawn, number as u64, stream) as usize]
                    });
                let Some(route) = self.way_between(network, ends[0], ends[1]) else {
                    self.unroutable += 1;
                    self.progress.drawn += 1;
                    continue;
                };
                departures.push(self.departure(&scenario.types, route, step));
            }
        }
        departures
    }

    fn departure(&mut self, types: &[VehicleType], route: Arc<[SegmentIndex]>, since: u32) -> Departure {
        let who = self.progress.drawn;
        self.progress.drawn += 1;
        let sum = self.kinds.last().copied().unwrap_or(0.0);
        let drawn = unit(self.seed, who, 0, Stream::Kind) as f32 * sum;
        let kind = self.kinds.partition_point(|upto| *upto <= drawn).min(types.len() - 1);
        let factor_permille = self.factor(&types[kind], who);
        Departure { route, kind: kind as u8, factor_permille, details: None, patience_s: ENTER_WITHIN_S, since }
    }

    fn factor(&self, of: &VehicleType, who: u64) -> u16 {
        let drawn = f64::from(of.speed_factor_mean)
            + normal(self.seed, who, 0, Stream::SpeedFactor) * f64::from(of.speed_factor_deviation);
        ((drawn * 1_000.0) as i32).clamp(FACTOR_PERMILLE_MIN, FACTOR_PERMILLE_MAX) as u16
    }

    /// The fastest way, sought once between two refreshes.
    fn way_between(&mut self, network: &Network, from: SegmentIndex, to: SegmentIndex) -> Option<Arc<[SegmentIndex]>> {
        if let Some(known) = self.between.get(&(from, to)) {
            return known.clone();
        }
        let route = self.route(network, from, to).map(Arc::from);
        if self.between.len() >= PAIRS_MAX {
            self.between.clear();
        }
        self.between.insert((from, to), route.clone());
        route
    }

    /// The fastest way by current travel times, both ends included.
    pub(crate) fn route(
        &mut self,
        network: &Network,
        from: SegmentIndex,
        to: SegmentIndex,
    ) -> Option<Vec<SegmentIndex>> {
        self.search.fastest(network, from, to, &self.progress.travel_s)
    }

    /// How long a route takes by current travel times, seconds.
    pub(crate) fn seconds(&self, route: &[SegmentIndex]) -> f32 {
        route.iter().map(|at| self.progress.travel_s[at.at()]).sum()
    }

    /// Takes in what one lane measured in the last minute: the mean time of those who passed, and how long the first one
    /// has been there, seconds.
    pub(crate) fn observe(&mut self, at: SegmentIndex, passed_s: Option<f32>, standing_s: Option<f32>) {
        let newest = &mut self.newest[at.at()];
        if let Some(seconds) = passed_s {
            newest.passed_s += seconds;
            newest.passed_lanes += 1;
        }
        newest.standing_s = newest.standing_s.max(standing_s.unwrap_or(0.0));
    }

    /// Mixes what was measured into the travel times; where nobody drove they return towards free flow.
    pub(crate) fn refresh(&mut self) {
        for (at, newest) in self.newest.iter_mut().enumerate() {
            let Newest { passed_s, passed_lanes, standing_s } = std::mem::take(newest);
            let free = self.free_flow_s[at];
            let mean = if passed_lanes > 0 { passed_s / f32::from(passed_lanes) } else { standing_s };
            let travel = &mut self.progress.travel_s[at];
            *travel += NEWEST_SHARE * (mean.max(free) - *travel);
        }
        self.between.clear();
    }

    fn place(&self, who: u64, attempt: u64, stream: Stream) -> Option<SegmentIndex> {
        let (_, sum) = self.places.last()?;
        let drawn = unit(self.seed, who, attempt, stream) * sum;
        let at = self.places.partition_point(|(_, upto)| *upto <= drawn);
        self.places.get(at).map(|(segment, _)| *segment)
    }
}

/// Where trips may begin and end, with the running sum of their weights.
fn places(network: &Network) -> Vec<(SegmentIndex, f64)> {
    let [west, south, east, north] = network.bbox();
    let (centre, half) = ([(west + east) / 2.0, (south + north) / 2.0], [(east - west) / 2.0, (north - south) / 2.0]);
    let mut places = Vec::new();
    let mut sum = 0.0;
    for at in network.indices() {
        let segment = network.segment(at);
        if segment.length_m < SEGMENT_LENGTH_MIN_M || network.successors(at).is_empty() {
            continue;
        }
        let middle = network.place(at, segment.length_m / 2.0);
        // 0 in the centre, 1 half way to a corner of the box.
        let x = (middle.lon_deg() - centre[0]) / half[0].max(1e-9);
        let y = (middle.lat_deg() - centre[1]) / half[1].max(1e-9);
        let attraction = EDGE_SHARE + (1.0 - EDGE_SHARE) / (1.0 + 4.0 * (x * x + y * y));
        sum += segment.length_m * f64::from(segment.lanes.max(1)) * attraction;
        places.push((at, sum));
    }
    places
}
