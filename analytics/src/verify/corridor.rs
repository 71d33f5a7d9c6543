//! Fixed routes along main roads, and the time that it takes to drive them.
//!
//! Upstream: the network; sums by segment and quarter of an hour. Downstream: [`super::compare`].
//!
//! A corridor follows one street as long as it goes on under the same name and class. Its travel time is that of
//! [`crate::metric::corridor_time`], of one quarter of an hour.

use roads::{Network, RoadClass, Segment, SegmentIndex};

use super::compare::{Sum, Sums};
use crate::metric::corridor_time::{CorridorTimes, Driven};

/// Longest corridors first, so many at most.
const CORRIDORS_MAX: usize = 20;

/// Shorter ones are none, metres; longer ones are cut.
const LENGTH_M_MIN: f64 = 800.0;
const LENGTH_M_MAX: f64 = 4_000.0;

/// A travel time needs to have seen so much of the corridor's length, of 1.
const SEEN_MIN: f64 = 0.5;

/// The corridors of a network, always the same.
pub(super) fn choose(network: &Network) -> Vec<Vec<SegmentIndex>> {
    let mut taken = vec![false; network.segments().len()];
    let mut routes = Vec::new();
    let mut goes_on = vec![false; network.segments().len()];
    for at in network.indices() {
        let here = network.segment(at);
        let onward = |next: &&SegmentIndex| network.segment(**next).to != here.from;
        for next in network.successors(at).iter().filter(onward).filter(|n| continues(here, network.segment(**n))) {
            goes_on[next.at()] = true;
        }
    }
    // Who begins at the begin of a street has all of it before him.
    for begins in [true, false] {
        for first in network.indices() {
            if taken[first.at()] || goes_on[first.at()] == begins || network.segment(first).class > RoadClass::Secondary
            {
                continue;
            }
            let route = follow(network, first, &mut taken);
            let length_m: f64 = route.iter().map(|s| network.segment(*s).length_m).sum();
            if length_m >= LENGTH_M_MIN {
                routes.push((length_m, route));
            }
        }
    }
    routes.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    routes.truncate(CORRIDORS_MAX);
    routes.into_iter().map(|(_, route)| route).collect()
}

/// Travel times of all corridors in one window, from that share of the vehicles; `None` where too little was seen.
pub(super) fn travel_times_s(
    times: &CorridorTimes,
    routes: &[Vec<SegmentIndex>],
    sums: &Sums,
    window: i64,
    share: f64,
) -> Vec<Option<f64>> {
    let driven = |sum: &Sum| Driven { distance_m: sum.distance_m, time_s: sum.time_s };
    let of_window = sums.iter().filter(|(key, sum)| key.1 == window && sum.distance_m > 0.0);
    // In the order of segments, so that sums of floating point are the same at every run.
    let mut seen: Vec<_> = of_window.map(|(key, sum)| (key.0, driven(sum))).collect();
    seen.sort_unstable_by_key(|(at, _)| *at);
    let expected = times.expected(seen.into_iter());
    let find = |at: SegmentIndex| sums.get(&(at, window)).map(driven);
    let told = |route: &Vec<SegmentIndex>| times.travel_time(route, find, &expected, share);
    routes.iter().map(|route| told(route).filter(|t| t.seen_share >= SEEN_MIN).map(|t| t.seconds)).collect()
}

fn follow(network: &Network, first: SegmentIndex, taken: &mut [bool]) -> Vec<SegmentIndex> {
    let (mut route, mut at, mut length_m) = (vec![first], first, network.segment(first).length_m);
    taken[first.at()] = true;
    while let Some(&next) = network.successors(at).iter().find(|next| {
        let (here, there) = (network.segment(at), network.segment(**next));
        !taken[next.at()] && there.to != here.from && continues(here, there)
    }) {
        length_m += network.segment(next).length_m;
        if length_m > LENGTH_M_MAX {
            break;
        }
        taken[next.at()] = true;
        route.push(next);
        at = next;
    }
    route
}

fn continues(here: &Segment, there: &Segment) -> bool {
    here.class == there.class && here.name.is_some() && here.name == there.name
}

#[cfg(test)]
mod tests {
    use roads::generate::{MetropolisPlan, metropolis};

    use super::*;

    #[test]
    fn corridors_are_connected_main_roads_of_one_name() {
        let network = metropolis(&MetropolisPlan { segments: 2_000, ..MetropolisPlan::default() }).network;
        let routes = choose(&network);
        assert!(!routes.is_empty());
        for route in &routes {
            for pair in route.windows(2) {
                assert!(network.successors(pair[0]).contains(&pair[1]));
                assert_eq!(network.segment(pair[0]).name, network.segment(pair[1]).name);
            }
            assert!(network.segment(route[0]).class <= RoadClass::Secondary);
        }
        assert_eq!(routes, choose(&network));
    }
}
