//! What is simulated: who drives what, from where to where, from when, and what goes wrong. Checked once, with
//! sentences.
//!
//! Upstream: the command line, files of scenarios, demand of other simulators. Downstream: the world.

use std::sync::Arc;

use events::TimeMs;
use roads::{Network, NodeIndex, SegmentIndex};

use crate::vehicle::VehicleType;

/// Most vehicles on the road at once.
pub const VEHICLES_MAX: u32 = 1_000_000;

/// Most trips that one scenario lists, and most flows of a matrix.
pub const TRIPS_MAX: usize = 20_000_000;

/// Most incidents of one scenario.
pub const INCIDENTS_MAX: usize = 10_000;

/// Most kinds of vehicles.
pub const TYPES_MAX: usize = 256;

/// Most threads that step one world.
pub const THREADS_MAX: usize = 64;

/// A simulated stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The same seed on the same network gives the same events, to the byte.
    pub seed: u64,
    /// With [`Demand::Level`]: vehicles that are wanted on the road at once; as many as find room are there.
    pub vehicles: u32,
    /// With [`Demand::Level`]: of these so many are wanted by the hour of the day (UTC), permille; `None` is all of them
    /// at any hour.
    pub by_hour: Option<[u16; 24]>,
    /// Event time of the first second, UTC; a whole multiple of a second, so that a step lies in one pane.
    pub start: TimeMs,
    pub demand: Demand,
    /// Kinds of vehicles; trips name them by position. With [`Demand::Level`] and [`Demand::Od`] each trip draws one by
    /// [`VehicleType::share`].
    pub types: Vec<VehicleType>,
    pub incidents: Vec<Incident>,
    /// Threads that step the world, 1 to [`THREADS_MAX`]; they change nothing but the time it takes.
    pub threads: usize,
}

/// Who wants to drive.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Demand {
    /// As many as [`Scenario::vehicles`] are kept on the road: a trip is drawn for each that ends.
    #[default]
    Level,
    /// Explicit trips, ascending by departure.
    Trips(Arc<Vec<Trip>>),
    /// Flows between zones, by a profile over time.
    Od(Arc<Od>),
}

/// One trip.
#[derive(Clone, Debug, PartialEq)]
pub struct Trip {
    /// Seconds after [`Scenario::start`], 0 or more.
    pub depart_s: f32,
    /// Position in [`Scenario::types`].
    pub vehicle_type: u16,
    pub route: Route,
    /// In the order of the route, and within one segment ascending.
    pub stops: Vec<Stop>,
    pub depart_lane: DepartLane,
    pub depart_at: DepartAt,
    /// Speed at departure, m/s; infinite is as fast as is safe.
    pub depart_speed_mps: f32,
    /// Where on its last segment the trip ends, metres from its begin; infinite is its end, `None` its middle.
    pub arrival_m: Option<f32>,
}

impl Trip {
    /// A trip as a generated demand makes it: from the middle of one segment to the middle of another, from standstill.
    pub fn new(depart_s: f32, route: Route) -> Self {
        Self {
            depart_s,
            vehicle_type: 0,
            route,
            stops: Vec::new(),
            depart_lane: DepartLane::Best,
            depart_at: DepartAt::Middle,
            depart_speed_mps: 0.0,
            arrival_m: None,
        }
    }
}

/// By which way.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// These segments, each a successor of the one before; trips may share them.
    Fixed(Arc<[SegmentIndex]>),
    /// The fastest way at departure.
    Between(SegmentIndex, SegmentIndex),
}

/// The lane on which a trip begins (SUMO's `departLane`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DepartLane {
    /// Of the lanes that lead on along the route, the one with the fewest vehicles.
    #[default]
    Best,
    /// This one, 0 at the kerb.
    Number(u8),
}

/// Where a trip begins (SUMO's `departPos`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum DepartAt {
    /// In the middle of the segment.
    #[default]
    Middle,
    /// With the rear at the begin of the segment (SUMO's `base`).
    Base,
    /// With the front so many metres from the begin.
    Metres(f32),
}

/// A stop of a bus, or of anybody.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    pub segment: SegmentIndex,
    /// Where the front comes to stand.
    pub offset_m: f32,
    pub duration_s: f32,
}

/// A matrix of flows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Od {
    /// Where trips of each zone begin and end.
    pub zones: Vec<Vec<SegmentIndex>>,
    pub flows: Vec<Flow>,
    /// (seconds from the start, factor on every flow from then on), ascending; 1 before the first.
    pub profile: Vec<(u32, f32)>,
}

/// Trips from one zone to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    pub from_zone: u32,
    pub to_zone: u32,
    pub vehicles_per_hour: f32,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    pub id: String,
    /// Seconds after [`Scenario::start`]; it is over at `end_s`.
    pub begin_s: u32,
    pub end_s: u32,
    pub what: Disruption,
}

/// What an incident does.
#[derive(Clone, Debug, PartialEq)]
pub enum Disruption {
    /// Nobody may be on this piece of a lane, 0 at the kerb.
    LaneClosed { segment: SegmentIndex, lane: u8, from_m: f32, to_m: f32 },
    /// Nobody passes the junction.
    JunctionBlocked { node: NodeIndex },
    /// Nobody drives faster.
    SlowZone { segments: Vec<SegmentIndex>, speed_mps: f32 },
    /// The signal of a junction is dark: the right of way holds.
    SignalOff { node: NodeIndex },
}

impl Default for Scenario {
    /// 1,200 vehicles, which the demo city carries without gridlock, Monday 2026-01-05 07:00 UTC.
    fn default() -> Self {
        Self {
            seed: 1,
            vehicles: 1_200,
            by_hour: None,
            start: TimeMs(1_767_596_400_000),
            demand: Demand::Level,
            types: vec![VehicleType::car()],
            incidents: Vec::new(),
            threads: 1,
        }
    }
}

/// Why a scenario cannot be simulated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    #[error("the scenario wants {0} vehicles, but at most {VEHICLES_MAX} and at least 1 can drive")]
    Vehicles(u32),
    #[error("the scenario begins at {0} ms, but it must begin in or after 1970 at a whole second")]
    Start(i64),
    #[error("the scenario wants {0} threads: 1 to {THREADS_MAX} can step one world")]
    Threads(usize),
    #[error("the scenario has {0} kinds of vehicles: 1 to {TYPES_MAX} can drive")]
    Types(usize),
    #[error("vehicle type {name}: {what}")]
    Type { name: String, what: &'static str },
    #[error("the scenario has {0} trips, flows or incidents: that is more than can be kept")]
    TooMany(usize),
    #[error("trip {number}: {what}")]
    Trip { number: usize, what: &'static str },
    #[error("flow {number} of the matrix: {what}")]
    Flow { number: usize, what: &'static str },
    #[error("incident {id}: {what}")]
    Incident { id: String, what: &'static str },
    #[error(
        "no trip can be made on this network: it has {segments} segments, of which {long_enough} are long enough to begin on"
    )]
    NoTrips { segments: usize, long_enough: usize },
}

impl Scenario {
    /// Vehicles that are wanted on the road in a second from the start: hours are joined by straight lines from middle
    /// to middle.
    pub(crate) fn vehicles_at(&self, step: u32) -> u32 {
        let Some(shares) = &self.by_hour else { return self.vehicles };
        let of_day_s = (self.start.0 / 1_000 + i64::from(step)).rem_euclid(86_400) as u64;
        let since_middle_s = (of_day_s + 86_400 - 1_800) % 86_400;
        let (hour, part_s) = ((since_middle_s / 3_600) as usize, since_middle_s % 3_600);
        let [before, after] = [hour, (hour + 1) % 24].map(|h| u64::from(shares[h]));
        let share = before * (3_600 - part_s) + after * part_s;
        (u64::from(self.vehicles) * share / 3_600_000).min(u64::from(VEHICLES_MAX)) as u32
    }

    /// Checks what can be checked without a network.
    ///
    /// # Errors
    /// One sentence that names the value.
    pub fn check(&self) -> Result<(), ScenarioError> {
        if self.demand == Demand::Level && (self.vehicles == 0 || self.vehicles > VEHICLES_MAX) {
            return Err(ScenarioError::Vehicles(self.vehicles));
        }
        if self.start.0 < 0 || self.start.0 % 1_000 != 0 {
            return Err(ScenarioError::Start(self.start.0));
        }
        if self.threads == 0 || self.threads > THREADS_MAX {
            return Err(ScenarioError::Threads(self.threads));
        }
        if self.types.is_empty() || self.types.len() > TYPES_MAX {
            return Err(ScenarioError::Types(self.types.len()));
        }
        self.types.iter().try_for_each(VehicleType::check)
    }

    /// Checks that everything named is on the network.
    ///
    /// # Errors
    /// One sentence that names the trip, the flow or the incident.
    pub fn check_on(&self, network: &Network) -> Result<(), ScenarioError> {
        self.check()?;
        match &self.demand {
            Demand::Level => {}
            Demand::Trips(trips) if trips.len() > TRIPS_MAX => return Err(ScenarioError::TooMany(trips.len())),
            Demand::Trips(trips) => self.check_trips(network, trips)?,
            Demand::Od(od) => check_od(network, od)?,
        }
        if self.incidents.len() > INCIDENTS_MAX {
            return Err(ScenarioError::TooMany(self.incidents.len()));
        }
        for incident in &self.incidents {
            if let Some(what) = incident.what_is_wrong(network) {
                return Err(ScenarioError::Incident { id: incident.id.clone(), what });
            }
        }
        Ok(())
    }

    fn check_trips(&self, network: &Network, trips: &[Trip]) -> Result<(), ScenarioError> {
        let segments = network.segments().len();
        let mut before_s = 0.0;
        // Flows share their routes, so each is walked once.
        let mut walked: Option<&Arc<[SegmentIndex]>> = None;
        for (number, trip) in trips.iter().enumerate() {
            let wrong = |what| Err(ScenarioError::Trip { number, what });
            if !(trip.depart_s >= before_s && trip.depart_s.is_finite()) {
                return wrong("it departs before the one in front of it, or at no time");
            }
            before_s = trip.depart_s;
            if usize::from(trip.vehicle_type) >= self.types.len() {
                return wrong("there is no such kind of vehicle");
            }
            if trip.stops.iter().any(|s| s.segment.at() >= segments || !(s.duration_s >= 0.0 && s.offset_m >= 0.0)) {
                return wrong("it stops where nobody can");
            }
            match &trip.route {
                Route::Fixed(route) if walked.is_some_and(|w| Arc::ptr_eq(w, route)) => {}
                Route::Fixed(route) => {
                    if route.is_empty() || route.len() > usize::from(u16::MAX) {
                        return wrong("its route has no segments, or more than 65,535");
                    }
                    if route.iter().any(|at| at.at() >= segments) {
                        return wrong("its route names a street that is not on this network");
                    }
                    if route.windows(2).any(|pair| !network.successors(pair[0]).contains(&pair[1])) {
                        return wrong("its route makes a turn that does not exist");
                    }
                    walked = Some(route);
                }
                Route::Between(from, to) => {
                    if from.at() >= segments || to.at() >= segments {
                        return wrong("it begins or ends on a street that is not on this network");
                    }
                }
            }
        }
        Ok(())
    }
}

fn check_od(network: &Network, od: &Od) -> Result<(), ScenarioError> {
    if od.flows.len() > TRIPS_MAX {
        return Err(ScenarioError::TooMany(od.flows.len()));
    }
    for (number, flow) in od.flows.iter().enumerate() {
        let wrong = |what| Err(ScenarioError::Flow { number, what });
        for zone in [flow.from_zone, flow.to_zone] {
            let Some(zone) = od.zones.get(zone as usize) else { return wrong("there is no such zone") };
            if zone.is_empty() || zone.iter().any(|at| at.at() >= network.segments().len()) {
                return wrong("its zone has no street on this network");
            }
        }
        if !(flow.vehicles_per_hour >= 0.0 && flow.vehicles_per_hour.is_finite()) {
            return wrong("its vehicles per hour must be 0 or more");
        }
    }
    let rises = od.profile.is_sorted_by(|a, b| a.0 < b.0);
    if !rises || od.profile.iter().any(|(_, factor)| !(*factor >= 0.0 && factor.is_finite())) {
        return Err(ScenarioError::Flow {
            number: 0,
            what: "the profile must rise in time and its factors be 0 or more",
        });
    }
    Ok(())
}

impl Incident {
    fn what_is_wrong(&self, network: &Network) -> Option<&'static str> {
        if self.end_s <= self.begin_s {
            return Some("it must end after it begins");
        }
        let exists = |at: SegmentIndex| at.at() < network.segments().len();
        match &self.what {
            Disruption::LaneClosed { segment, lane, from_m, to_m } => {
                if !exists(*segment) || *lane >= network.segment(*segment).lanes {
                    return Some("there is no such lane");
                }
                (!(*from_m >= 0.0 && to_m > from_m)).then_some("the closed piece must have a length")
            }
            Disruption::SlowZone { segments, speed_mps } => {
                if !segments.iter().all(|at| exists(*at)) {
                    return Some("there is no such street");
                }
                (speed_mps.is_nan() || *speed_mps <= 0.0).then_some("its speed must be above 0")
            }
            Disruption::JunctionBlocked { node } | Disruption::SignalOff { node } => {
                (node.at() >= network.nodes().len()).then_some("there is no such junction")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_scenarios_are_refused_with_their_value() {
        assert_eq!(Scenario::default().check(), Ok(()));
        assert_eq!(Scenario::default().start.rfc3339(), "2026-01-05T07:00:00.000Z");
        for (bad, says) in [
            (Scenario { vehicles: 0, ..Scenario::default() }, "0 vehicles"),
            (Scenario { vehicles: 2_000_000, ..Scenario::default() }, "2000000 vehicles"),
            (Scenario { start: TimeMs(1_500), ..Scenario::default() }, "1500 ms"),
            (Scenario { start: TimeMs(-1_000), ..Scenario::default() }, "-1000 ms"),
            (Scenario { threads: 0, ..Scenario::default() }, "0 threads"),
            (Scenario { types: Vec::new(), ..Scenario::default() }, "0 kinds"),
        ] {
            let sentence = bad.check().unwrap_err().to_string();
            assert!(sentence.contains(says), "{sentence}");
        }
    }

    #[test]
    fn a_day_has_its_levels_and_no_step_between_them() {
        let mut shares = [200; 24];
        shares[8] = 1_000;
        let midnight = TimeMs(Scenario::default().start.0 / 86_400_000 * 86_400_000);
        let of = Scenario { by_hour: Some(shares), start: midnight, ..Scenario::default() };
        let at = |hours: f64| of.vehicles_at((hours * 3_600.0) as u32);
        assert_eq!([3.0, 7.5, 8.0, 8.5, 9.5, 8.5 + 24.0].map(at), [240, 240, 720, 1_200, 240, 1_200]);
        let levels: Vec<u32> = (0..86_400).map(|s| of.vehicles_at(s)).collect();
        assert!(levels.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 1));
        assert_eq!(Scenario::default().vehicles_at(12_345), 1_200);
    }

    #[test]
    fn what_is_not_on_the_network_is_named() {
        let network = roads::city(&roads::CityPlan { blocks_x: 3, blocks_y: 3, ..roads::CityPlan::default() });
        let nowhere = SegmentIndex(1_000_000);
        let trip = |route| Demand::Trips(Arc::new(vec![Trip::new(0.0, route)]));
        let (a, b) = (SegmentIndex(0), network.successors(SegmentIndex(0))[0]);
        let unconnected = network.indices().find(|s| !network.successors(a).contains(s)).unwrap();
        let closed = Disruption::LaneClosed { segment: a, lane: 9, from_m: 0.0, to_m: 1.0 };
        let incident = |what| vec![Incident { id: "i".into(), begin_s: 0, end_s: 9, what }];
        let with = |demand| Scenario { demand, ..Scenario::default() };
        assert_eq!(with(trip(Route::Fixed([a, b].into()))).check_on(&network), Ok(()));
        for (bad, says) in [
            (with(trip(Route::Between(a, nowhere))), "trip 0: it begins or ends on a street"),
            (with(trip(Route::Fixed([a, unconnected].into()))), "trip 0: its route makes a turn"),
            (
                with(Demand::Od(Arc::new(Od {
                    flows: vec![Flow { from_zone: 0, to_zone: 0, vehicles_per_hour: 1.0 }],
                    ..Od::default()
                }))),
                "flow 0",
            ),
            (Scenario { incidents: incident(closed), ..Scenario::default() }, "incident i: there is no such lane"),
        ] {
            let sentence = bad.check_on(&network).unwrap_err().to_string();
            assert!(sentence.contains(says), "{sentence}");
        }
    }
}
