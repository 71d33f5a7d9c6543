//! How long it takes to drive a corridor, from few vehicles.
//!
//! Upstream: metres and seconds by segment of one window, and the share of the vehicles that they are of. Downstream:
//! [`super::traffic`], where not everybody reports; [`crate::verify`], which measures how wrong it is.
//!
//! With everybody reporting it is the sum of length over space-mean speed of the segments (the instantaneous travel time of
//! the literature). With few, a segment has no vehicle, or one that met the red light or did not: so what is seen is weighed
//! against what is expected (empirical Bayes: Efron and Morris, "Data analysis using Stein's estimator and its
//! generalizations", JASA 70, 1975), at three levels:
//!
//! 1. **city**: delay a vehicle on each **kind** of segment, from all segments of that kind. A kind is the class of the street and
//!    the highest class that it meets at its end, since delay comes from who has to wait for whom: it tells more than where
//!    the signals are
//! 2. **corridor**: by what factor its vehicles were delayed more than that, as if [`CORRIDOR_VEHICLES`] more had been
//!    delayed as expected
//! 3. **segment**: its own vehicles, and [`SEGMENT_VEHICLES`] more that were delayed as the corridor lets expect
//!
//! both times the share that was not seen, so that nothing is assumed of what is known.

use std::collections::BTreeMap;

use roads::{Network, RoadClass, SegmentIndex};

/// Vehicles that the expected counts for. Chosen on 40 draws of 5 % and of 20 % of four simulated quarters of an hour; half or
/// twice as many change the error by less than a twentieth.
const SEGMENT_VEHICLES: f64 = 5.0;
const CORRIDOR_VEHICLES: f64 = 100.0;

/// Vehicles by which a kind of segment leans on the mean of the city.
const KIND_VEHICLES: f64 = 10.0;

/// The least that is expected: delay a vehicle, seconds, and the factor of a corridor.
const DELAY_S_MIN: f64 = 0.05;
const FACTOR_MIN: f64 = 0.1;

/// Metres driven and seconds spent on one segment in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Driven {
    pub distance_m: f64,
    pub time_s: f64,
}

/// The class of a street, and the highest one that it meets at its end; `None` where it meets none.
type Kind = (RoadClass, Option<RoadClass>);

/// A network, ready to be asked.
#[derive(Clone, Debug)]
pub struct CorridorTimes {
    /// By segment, the number of its kind; and how many kinds there are.
    kinds: Vec<u16>,
    kinds_len: usize,
    length_m: Vec<f64>,
    free_mps: Vec<f64>,
}

/// Delay a vehicle, seconds, by kind: what the city lets expect in a window. Only the network that made it can read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    by_kind: Vec<f64>,
}

/// A travel time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TravelTime {
    pub seconds: f64,
    /// Share of the corridor's length on which somebody was seen to drive.
    pub seen_share: f64,
}

impl CorridorTimes {
    /// Of a network.
    pub fn new(network: &Network) -> Self {
        let mut into: BTreeMap<u32, Vec<SegmentIndex>> = BTreeMap::new();
        for at in network.indices() {
            into.entry(network.segment(at).to.0).or_default().push(at);
        }
        let kind = |at: SegmentIndex| {
            let here = network.segment(at);
            let meets = into[&here.to.0].iter().map(|other| network.segment(*other)).filter(|other| {
                // Neither itself nor the same street from the other side.
                other.id != here.id && (here.name.is_none() || other.name != here.name)
            });
            (here.class, meets.map(|other| other.class).min())
        };
        let of_segments: Vec<Kind> = network.indices().map(kind).collect();
        let mut all = of_segments.clone();
        all.sort_unstable();
        all.dedup();
        // At most 16 classes at either end.
        let number = |kind: &Kind| all.partition_point(|other| other < kind) as u16;
        Self {
            kinds: of_segments.iter().map(number).collect(),
            kinds_len: all.len(),
            length_m: network.segments().iter().map(|s| s.length_m).collect(),
            free_mps: network.segments().iter().map(|s| f64::from(s.free_flow_mps())).collect(),
        }
    }

    /// From now on delay is held against these free-flow speeds, m/s by segment.
    pub fn hold_against(&mut self, free_mps: &[f64]) {
        self.free_mps.copy_from_slice(free_mps);
    }

    /// Vehicles that drove the whole segment, or as much together, and seconds that they lost.
    fn vehicles_and_delay(&self, at: SegmentIndex, driven: Driven) -> (f64, f64) {
        let at = at.at();
        (driven.distance_m / self.length_m[at], driven.time_s - driven.distance_m / self.free_mps[at])
    }

    /// What a window lets expect, from all segments that were seen.
    pub fn expected(&self, seen: impl Iterator<Item = (SegmentIndex, Driven)>) -> Expected {
        let mut sums = vec![(0.0, 0.0); self.kinds_len];
        for (at, driven) in seen {
            let (vehicles, delay_s) = self.vehicles_and_delay(at, driven);
            let sum = &mut sums[usize::from(self.kinds[at.at()])];
            *sum = (sum.0 + vehicles, sum.1 + delay_s);
        }
        let all = sums.iter().fold((0.0, 0.0), |all, sum| (all.0 + sum.0, all.1 + sum.1));
        let city_s = if all.0 > 0.0 { (all.1 / all.0).max(DELAY_S_MIN) } else { DELAY_S_MIN };
        let lean = |sum: &(f64, f64)| ((sum.1 + KIND_VEHICLES * city_s) / (sum.0 + KIND_VEHICLES)).max(DELAY_S_MIN);
        Expected { by_kind: sums.iter().map(lean).collect() }
    }

    /// The travel time of a corridor, where `seen` tells what was driven on a segment by that share of the vehicles; `None`
    /// where nothing was.
    pub fn travel_time(
        &self,
        route: &[SegmentIndex],
        seen: impl Fn(SegmentIndex) -> Option<Driven>,
        expected: &Expected,
        share: f64,
    ) -> Option<TravelTime> {
        let unseen = (1.0 - share).max(0.0);
        let parts: Vec<(f64, f64, f64, f64)> = route
            .iter()
            .map(|&at| {
                let usual_s = expected.by_kind[usize::from(self.kinds[at.at()])];
                // Who only stood has not driven the segment in any time that could be told.
                let driven = seen(at).filter(|driven| driven.distance_m > 0.0);
                let (vehicles, delay_s) = driven.map_or((0.0, 0.0), |driven| self.vehicles_and_delay(at, driven));
                (self.length_m[at.at()] / self.free_mps[at.at()], usual_s, vehicles, delay_s)
            })
            .collect();
        let usual_s = parts.iter().map(|p| p.1).sum::<f64>() / parts.len().max(1) as f64;
        let leaned_s = CORRIDOR_VEHICLES * unseen * usual_s;
        let (lost_s, expected_s) = parts.iter().fold((leaned_s, leaned_s), |s, p| (s.0 + p.3, s.1 + p.2 * p.1));
        if parts.iter().all(|p| p.2 == 0.0) {
            return None;
        }
        let factor = (lost_s / expected_s).max(FACTOR_MIN);
        let lean = SEGMENT_VEHICLES * unseen;
        let drive_s = |&(free_s, usual_s, vehicles, delay_s): &(f64, f64, f64, f64)| {
            let likely_s = factor * usual_s;
            let all = vehicles + lean;
            free_s + if all > 0.0 { (delay_s + lean * likely_s) / all } else { likely_s }
        };
        let length_m: f64 = route.iter().map(|at| self.length_m[at.at()]).sum();
        let seen_m: f64 =
            route.iter().zip(&parts).filter(|(_, p)| p.2 > 0.0).map(|(at, _)| self.length_m[at.at()]).sum();
        Some(TravelTime { seconds: parts.iter().map(drive_s).sum(), seen_share: seen_m / length_m })
    }
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;

    #[test]
    fn everybody_is_taken_at_his_word_and_a_few_are_not() {
        let network = city(&CityPlan::default());
        let times = CorridorTimes::new(&network);
        let route = crate::area::derive::corridors(&network)[0].segments.clone();
        // Everybody everywhere loses ten seconds, but on this corridor twenty on every segment.
        let vehicles = |n: f64| {
            let (network, route) = (&network, &route);
            move |at: SegmentIndex| {
                let segment = network.segment(at);
                let lost_s = if route.contains(&at) { 20.0 } else { 10.0 };
                let drive_s = segment.length_m / f64::from(segment.free_flow_mps()) + lost_s;
                Some(Driven { distance_m: n * segment.length_m, time_s: n * drive_s })
            }
        };
        let all = vehicles(100.0);
        let expected = times.expected(network.indices().filter_map(|at| Some((at, all(at)?))));
        let free_s: f64 = route
            .iter()
            .map(|at| network.segment(*at).length_m / f64::from(network.segment(*at).free_flow_mps()))
            .sum();
        let whole = times.travel_time(&route, all, &expected, 1.0).unwrap();
        assert!((whole.seconds - free_s - 20.0 * route.len() as f64).abs() < 1e-6 && whole.seen_share == 1.0);
        // One vehicle of twenty: between what is usual and what it says.
        let few = times.travel_time(&route, vehicles(1.0), &expected, 0.05).unwrap().seconds;
        assert!(few > free_s + 10.0 * route.len() as f64 && few < whole.seconds, "{free_s} {few} {}", whole.seconds);
        // The first half only: the rest is told as the corridor lets expect, and how much that is.
        let half = route.len() / 2;
        let first = |at: SegmentIndex| route[..half].contains(&at).then(|| vehicles(100.0)(at)).flatten();
        let told = times.travel_time(&route, first, &expected, 1.0).unwrap();
        assert!(told.seen_share < 0.7 && (told.seconds / whole.seconds - 1.0).abs() < 0.3, "{told:?}");
        assert_eq!(times.travel_time(&route, |_| None, &expected, 1.0), None);
    }
}
