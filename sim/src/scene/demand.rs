//! Trips drawn from flows between zones and from a land use, by the hour of the day.
//!
//! Upstream: the demand table, places. Downstream: [`super::Scene::lay`]. Who departs when is a Poisson process within
//! each quarter of an hour. The weekday is assumed after the usual shape of urban traffic (two peaks, 7 to 9 and 16 to
//! 18 o'clock, the evening one higher and longer; about 8 % of the day in its busiest hour, as the Highway Capacity
//! Manual's K factors of cities); put counts of your city in its place by `flows` with a profile.

use crate::random::{Stream, unit};
use crate::scenario::{Route, Trip};

use super::SceneError;
use super::file::DemandTable;
use super::place::{DRAWN_MAX, Places, Weighted};
use crate::read::ReadError;

const QUARTER_S: u32 = 900;
const DAY_S: u64 = 86_400;

/// Share of a weekday's trips that begin in each hour, percent.
pub const WEEKDAY_PERCENT: [f64; 24] = [
    0.7, 0.5, 0.4, 0.4, 0.7, 1.8, 4.4, 7.6, 7.4, 5.3, 4.7, 4.9, 5.2, 5.2, 5.5, 6.4, 7.7, 8.2, 6.5, 4.8, 3.8, 3.2, 2.7,
    2.0,
];

/// Shares of the busiest hour, permille: what is on the road at each hour of a weekday. Never less than `least`.
pub(super) fn weekday_levels(least: u16) -> [u16; 24] {
    let most = WEEKDAY_PERCENT.iter().copied().fold(0.0, f64::max);
    WEEKDAY_PERCENT.map(|percent| ((percent / most * 1_000.0) as u16).max(least))
}

/// Of the trips that begin in each hour, those from home to work, percent; the rest but [`HOMEWARD_PERCENT`] go from
/// anywhere to anywhere. Assumed.
pub const WORKWARD_PERCENT: [f64; 24] = [
    10.0, 10.0, 15.0, 30.0, 55.0, 70.0, 72.0, 70.0, 60.0, 40.0, 25.0, 20.0, 20.0, 22.0, 18.0, 14.0, 10.0, 8.0, 8.0,
    8.0, 8.0, 10.0, 10.0, 10.0,
];

/// Those from work to home, percent. Assumed.
pub const HOMEWARD_PERCENT: [f64; 24] = [
    60.0, 60.0, 50.0, 30.0, 15.0, 8.0, 6.0, 6.0, 8.0, 12.0, 15.0, 22.0, 30.0, 26.0, 32.0, 48.0, 62.0, 66.0, 60.0, 52.0,
    50.0, 55.0, 60.0, 60.0,
];

/// Keeps these draws apart from all others of a seed.
const DRAWS: u64 = 0x7363_656e;

/// Tries to draw two different ends of a trip.
const TRIES: u64 = 8;

/// Draws the trips of one scene.
pub(super) struct Drawing<'a> {
    pub(super) places: &'a Places<'a>,
    pub(super) seed: u64,
    /// Local time of day at the begin, seconds.
    pub(super) clock_s: u32,
    pub(super) duration_s: Option<u64>,
    /// The type of a car; a lorry's is the next one.
    pub(super) first_type: u16,
}

/// Trips of one sort: from where to where, and how many in each quarter of an hour from the begin.
struct Sort<'a> {
    from: &'a Weighted,
    to: &'a Weighted,
    by_quarter: Vec<f64>,
}

impl Drawing<'_> {
    /// All trips, ascending by departure.
    pub(super) fn trips(&self, table: &DemandTable) -> Result<Vec<Trip>, SceneError> {
        let mut sorts = Vec::new();
        for (number, flow) in table.flows.iter().enumerate() {
            let what = format!("flow {} of the demand", number + 1);
            let (from, to) = (self.places.zone(&what, &flow.from)?, self.places.zone(&what, &flow.to)?);
            if !self.places.is_joined(from, to) {
                return Err(SceneError::NoWay { from: flow.from.clone(), to: flow.to.clone() });
            }
            let factor = |quarter: usize| flow.profile.as_ref().map_or(1.0, |p| p.get(quarter).copied().unwrap_or(0.0));
            let by_quarter = (0..self.quarters()).map(|q| flow.trips_per_hour / 4.0 * factor(q)).collect();
            sorts.push(Sort { from, to, by_quarter });
        }
        if let Some(trips_per_day) = table.trips_per_day {
            sorts.extend(self.land_use(trips_per_day)?);
        }
        let wanted: f64 = sorts.iter().flat_map(|sort| &sort.by_quarter).sum();
        if wanted > DRAWN_MAX {
            return Err(ReadError::TooMany { path: "the scenario".into() }.into());
        }
        let mut trips = Vec::with_capacity(wanted as usize);
        for (number, sort) in sorts.iter().enumerate() {
            self.draw(sort, number as u64, table.truck_share.unwrap_or(0.0), &mut trips);
        }
        trips.sort_by(|a, b| a.depart_s.total_cmp(&b.depart_s));
        Ok(trips)
    }

    fn quarters(&self) -> usize {
        self.duration_s.unwrap_or(DAY_S).div_ceil(u64::from(QUARTER_S)) as usize
    }

    fn land_use(&self, trips_per_day: f64) -> Result<Vec<Sort<'_>>, SceneError> {
        let anywhere = self.places.zone("the land use", "anywhere")?;
        let (homes, work) = (&self.places.homes, &self.places.work);
        if homes.is_empty() || work.is_empty() {
            return Err(SceneError::NoConnections);
        }
        let by = |share: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let quarter = |q: usize| {
                let hours = (f64::from(self.clock_s) + (q as f64 + 0.5) * f64::from(QUARTER_S)) / 3_600.0;
                // Hours are joined by straight lines from middle to middle: no step at the full hour.
                let before = (hours - 0.5).floor();
                let part = hours - 0.5 - before;
                let hour = |h: f64| (h.rem_euclid(24.0)) as usize;
                let (a, b) = (hour(before), hour(before + 1.0));
                let trips = |h: usize| WEEKDAY_PERCENT[h] / 100.0 * trips_per_day / 4.0 * share(h);
                trips(a) + (trips(b) - trips(a)) * part
            };
            (0..self.quarters()).map(quarter).collect()
        };
        let rest = |h: usize| 1.0 - (WORKWARD_PERCENT[h] + HOMEWARD_PERCENT[h]) / 100.0;
        Ok(vec![
            Sort { from: homes, to: work, by_quarter: by(&|h| WORKWARD_PERCENT[h] / 100.0) },
            Sort { from: work, to: homes, by_quarter: by(&|h| HOMEWARD_PERCENT[h] / 100.0) },
            Sort { from: anywhere, to: anywhere, by_quarter: by(&rest) },
        ])
    }

    fn draw(&self, sort: &Sort<'_>, number: u64, truck_share: f64, trips: &mut Vec<Trip>) {
        let seed = self.seed ^ DRAWS ^ number.rotate_left(40);
        let end_s = self.duration_s.map_or(f64::INFINITY, |s| s as f64);
        // Gaps of a Poisson process whose clock runs with the expected trips.
        let (mut nth, mut before) = (0_u64, 0.0);
        let mut due = -(1.0 - unit(seed, 0, 0, Stream::Departure)).ln();
        for (quarter, &expected) in sort.by_quarter.iter().enumerate() {
            while due < before + expected {
                let depart_s = (quarter as f64 + (due - before) / expected) * f64::from(QUARTER_S);
                let ends = (0..TRIES).find_map(|again| {
                    let from = pick(sort.from, unit(seed, nth, again, Stream::Origin));
                    let to = pick(sort.to, unit(seed, nth, again, Stream::Destination));
                    (from != to).then_some((from, to))
                });
                if let (Some((from, to)), true) = (ends, depart_s < end_s) {
                    let is_truck = unit(seed, nth, 1, Stream::Departure) < truck_share;
                    let vehicle_type = self.first_type + u16::from(is_truck);
                    trips.push(Trip { vehicle_type, ..Trip::new(depart_s as f32, Route::Between(from, to)) });
                }
                nth += 1;
                due -= (1.0 - unit(seed, nth, 0, Stream::Departure)).ln();
            }
            before += expected;
        }
    }
}

fn pick(places: &Weighted, share: f64) -> roads::SegmentIndex {
    let sum = places.last().map_or(0.0, |(_, sum)| *sum);
    let at = places.partition_point(|(_, upto)| *upto <= share * sum).min(places.len() - 1);
    places[at].0
}
