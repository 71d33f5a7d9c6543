//! Corridors and zones of a network for which nobody drew any.
//!
//! A corridor is a run of segments of one street name, in one direction, over main roads: from each segment to the
//! successor of the same name that bends least, if that segment has no straighter way in. The longest runs are kept.
//! Zones are the nine districts of a grid of three by three over the network. Upstream: the network.
//! Downstream: [`super::Areas`].

use std::cmp::Reverse;
use std::collections::HashMap;

use roads::{Network, RoadClass, SegmentIndex};

use super::{Area, AreaKind};

/// Corridors that are derived at most: as many as a person reads in a table.
pub const CORRIDORS_DERIVED_MAX: usize = 30;

/// Shortest corridor, metres: below it the signal at one junction decides its travel time.
const CORRIDOR_LENGTH_M_MIN: f64 = 600.0;

/// A street of the same name that bends more than this at a junction is another direction of it, degrees.
const BEND_DEG_MAX: f64 = 60.0;

/// Districts by row from south, by column from west.
const DISTRICTS: [[&str; 3]; 3] =
    [["south-west", "south", "south-east"], ["west", "centre", "east"], ["north-west", "north", "north-east"]];

/// The longest runs of streets by name and direction over roads of class secondary or higher, longest first; of class
/// tertiary too where there are none.
pub fn corridors(network: &Network) -> Vec<Area> {
    let found = [RoadClass::Secondary, RoadClass::Tertiary].map(|least| runs(network, least));
    let [main, with_tertiary] = found;
    let mut runs = if main.is_empty() { with_tertiary } else { main };
    let length_mm = |run: &Vec<SegmentIndex>| run.iter().map(|&at| (network.segment(at).length_m * 1e3) as u64).sum();
    runs.sort_by_key(|run| (Reverse::<u64>(length_mm(run)), network.segment(run[0]).id));
    runs.truncate(CORRIDORS_DERIVED_MAX);
    let mut taken: HashMap<String, u32> = HashMap::new();
    let area = |run: Vec<SegmentIndex>| {
        let street = network.segment(run[0]).name.clone().unwrap_or_default();
        let plain = format!("{street} {}", bound(network, &run));
        let times = taken.entry(plain.clone()).or_default();
        *times += 1;
        let name = if *times == 1 { plain } else { format!("{plain} {times}") };
        Area::new(AreaKind::Corridor, name, run, network)
    };
    runs.into_iter().map(area).collect()
}

/// The districts that hold a segment.
pub fn districts(network: &Network) -> Vec<Area> {
    let [west, south, east, north] = network.bbox();
    let third = |x: f64, from: f64, to: f64| (((x - from) / (to - from).max(1e-12) * 3.0) as usize).min(2);
    let mut segments: [[Vec<SegmentIndex>; 3]; 3] = Default::default();
    for at in network.indices() {
        let middle = network.place(at, network.segment(at).length_m / 2.0);
        segments[third(middle.lat_deg(), south, north)][third(middle.lon_deg(), west, east)].push(at);
    }
    let named = DISTRICTS.iter().flatten().zip(segments.into_iter().flatten());
    let inhabited = named.filter(|(_, segments)| !segments.is_empty());
    inhabited.map(|(name, segments)| Area::new(AreaKind::Zone, (*name).to_owned(), segments, network)).collect()
}

/// Every run that is long enough, in driving order.
fn runs(network: &Network, least: RoadClass) -> Vec<Vec<SegmentIndex>> {
    let n = network.segments().len();
    let is_main = |at: SegmentIndex| {
        let segment = network.segment(at);
        segment.class <= least && segment.name.is_some() && !segment.structure.is_link
    };
    // The straightest way on, kept where it is also the straightest way in.
    let mut way_in: Vec<Option<(f64, SegmentIndex)>> = vec![None; n];
    for at in network.indices().filter(|&at| is_main(at)) {
        let next = network.successors(at).iter().copied().filter(|&to| to != at && is_main(to));
        let same = next.filter(|&to| network.segment(to).name == network.segment(at).name);
        let bends = same.map(|to| (bend_deg(network, at, to), to)).filter(|(bend, _)| *bend <= BEND_DEG_MAX);
        let Some((bend, to)) = bends.min_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
        if way_in[to.at()].is_none_or(|(before, _)| bend < before) {
            way_in[to.at()] = Some((bend, at));
        }
    }
    let mut way_on: Vec<Option<SegmentIndex>> = vec![None; n];
    for (to, from) in way_in.iter().enumerate().filter_map(|(to, way)| way.map(|(_, from)| (to, from))) {
        way_on[from.at()] = Some(SegmentIndex(to as u32));
    }
    let mut used = vec![false; n];
    let mut runs = Vec::new();
    // What has no way in begins a run; what is left after that are rings, begun at their lowest index.
    let heads = network.indices().filter(|at| way_in[at.at()].is_none());
    for head in heads.chain(network.indices()).filter(|&at| is_main(at)) {
        let mut run = Vec::new();
        let mut at = Some(head);
        while let Some(here) = at.filter(|here| !used[here.at()]) {
            used[here.at()] = true;
            run.push(here);
            at = way_on[here.at()];
        }
        if run.iter().map(|&at| network.segment(at).length_m).sum::<f64>() >= CORRIDOR_LENGTH_M_MIN {
            runs.push(run);
        }
    }
    runs
}

/// How far a driver turns from the end of one segment to the begin of another, degrees.
fn bend_deg(network: &Network, from: SegmentIndex, to: SegmentIndex) -> f64 {
    let (before, after) = (network.heading(from, f64::INFINITY).get(), network.heading(to, 0.0).get());
    let turn = f64::from(after - before).rem_euclid(360.0);
    turn.min(360.0 - turn)
}

/// Where a run leads, from its begin to its end; `loop` where that is no direction.
fn bound(network: &Network, run: &[SegmentIndex]) -> &'static str {
    let (first, last) = (run[0], run[run.len() - 1]);
    let (a, b) = (network.place(first, 0.0), network.place(last, f64::INFINITY));
    let north_m = b.lat_deg() - a.lat_deg();
    let east_m = (b.lon_deg() - a.lon_deg()) * a.lat_deg().to_radians().cos();
    let length_m: f64 = run.iter().map(|&at| network.segment(at).length_m).sum();
    if a.distance_m(b) < length_m / 4.0 {
        return "loop";
    }
    match (east_m.abs() > north_m.abs(), east_m > 0.0, north_m > 0.0) {
        (true, true, _) => "eastbound",
        (true, false, _) => "westbound",
        (false, _, true) => "northbound",
        (false, _, false) => "southbound",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use roads::generate::{CityPlan, MetropolisPlan, city, metropolis};

    use super::*;

    #[test]
    fn corridors_are_connected_runs_of_one_name() {
        for network in [city(&CityPlan::default()), metropolis(&MetropolisPlan::default()).network] {
            let corridors = corridors(&network);
            assert!((6..=CORRIDORS_DERIVED_MAX).contains(&corridors.len()), "{}", corridors.len());
            let names: HashSet<&str> = corridors.iter().map(|c| c.name.as_str()).collect();
            assert_eq!(names.len(), corridors.len(), "every name once");
            assert!(corridors.windows(2).all(|w| w[0].length_m >= w[1].length_m - 0.1), "longest first");
            let mut all = HashSet::new();
            for corridor in &corridors {
                assert!(corridor.length_m >= CORRIDOR_LENGTH_M_MIN);
                assert!(corridor.segments.iter().all(|at| all.insert(*at)), "a segment is in one corridor");
                let street = |at: SegmentIndex| network.segment(at).name.clone();
                for pair in corridor.segments.windows(2) {
                    assert!(network.successors(pair[0]).contains(&pair[1]));
                    assert_eq!(street(pair[0]), street(pair[1]));
                }
            }
        }
    }

    #[test]
    fn districts_hold_every_segment_once() {
        let network = city(&CityPlan::default());
        let zones = districts(&network);
        assert_eq!(zones.len(), 9);
        assert_eq!(zones.iter().map(|z| z.segments.len()).sum::<usize>(), network.segments().len());
        let whole_m: f64 = network.segments().iter().map(|s| s.length_m).sum();
        assert!((zones.iter().map(|z| z.length_m).sum::<f64>() - whole_m).abs() < 1e-6 * whole_m);
    }
}
