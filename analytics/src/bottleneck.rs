//! Bottlenecks: places where traffic is slow and, right behind them, fast again, for most of half an hour.
//!
//! Upstream: [`crate::study`] gives the sums of every clock interval of five minutes. Downstream: the API.
//!
//! After Chen, Skabardonis and Varaiya (Systematic identification of freeway bottlenecks, TRR 1867, 2004). Theirs is for
//! loops on freeways with one free-flow speed of 60 mph: the upstream station is below 40 mph, the downstream one at most
//! two miles on and more than 20 mph faster, with speed rising in between; sustained in 5 of 7 intervals of five
//! minutes. Streets have a free-flow speed each, so both borders become shares of it, and junctions are closer than loops:
//!
//! - A segment is **queued** when its speed is below 2/3 of its free flow (40 of 60 mph) and at least its length was driven.
//! - It is a bottleneck's **head** in an interval when, following the successor that most metres were driven on, over at
//!   most [`DOWNSTREAM_M`], the ratio of speed to free flow rises from segment to segment and ends more than 1/3 (20 of
//!   60 mph) above its own.
//! - A bottleneck is **sustained** when it was a head in at least 5 of the last 7 intervals.
//! - Its **extent** is everything queued that leads to it without a gap, within two miles; its **delay** is the sum of
//!   the delay of the extent (vehicle-hours against free flow, clipped per segment and minute).
//!
//! A segment that ends at a signal loses time at it, also when nothing is too much: with free flow from the limit such
//! segments look queued. Once free flow is observed (85th percentile of minutes with the same signal) they do not.

use std::collections::BTreeMap;

use roads::{Network, SegmentIndex};
use serde::{Deserialize, Serialize};

use crate::pane::Totals;
use crate::upstream::Upstream;

/// Queued below this ratio of speed to free flow.
pub const QUEUED_RATIO: f64 = 2.0 / 3.0;

/// By how much the ratio must rise behind the head.
pub const RISE: f64 = 1.0 / 3.0;

/// How far behind the head it may take to rise, metres: three to five blocks, as theirs were two to four stations.
pub const DOWNSTREAM_M: f64 = 1_000.0;

/// How far a queue is followed, metres: their two miles.
pub const EXTENT_M: f64 = 3_219.0;

/// Sustained: at least so many of the last [`INTERVALS`].
pub const ACTIVE_MIN: u32 = 5;
pub const INTERVALS: u32 = 7;

/// Heads that are remembered; new ones beyond it are left out and counted.
const HEADS_MAX: usize = 20_000;

/// Bottlenecks that are told, by delay.
pub const TOLD_MAX: usize = 100;

/// A head in at least one of the last intervals.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Head {
    /// The newest interval is the lowest bit.
    history: u8,
    /// When it was a head for the first time without seven quiet intervals since.
    since_ms: i64,
}

/// What is remembered between intervals. Bounded by [`HEADS_MAX`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Bottlenecks {
    heads: BTreeMap<u32, Head>,
    sustained: Vec<Bottleneck>,
    left_out: u64,
}

/// A sustained bottleneck in the newest interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// The last queued segment.
    pub head: SegmentIndex,
    /// Where it is fast again.
    pub downstream: SegmentIndex,
    pub since_ms: i64,
    /// Of the last [`INTERVALS`].
    pub active_intervals: u32,
    /// Speed over free flow at the head, and where it is fast again.
    pub ratio: f64,
    pub downstream_ratio: f64,
    /// Everything queued behind the head, itself first.
    pub extent: Vec<SegmentIndex>,
    pub extent_m: f64,
    /// Vehicle-hours lost in the interval on the extent by the vehicles that report.
    pub delay_veh_h: f64,
    /// At least so many different vehicles on one segment of the extent.
    pub vehicles: u64,
}

impl Bottlenecks {
    /// The sustained ones of the newest interval, most delay first.
    pub fn sustained(&self) -> &[Bottleneck] {
        &self.sustained
    }

    /// Heads left out because of a bound.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes the sums of one interval of five minutes.
    pub fn interval(
        &mut self,
        network: &Network,
        upstream: &Upstream,
        start_ms: i64,
        totals: &Totals,
        free_mps: &[f64],
    ) {
        let seen = Seen::new(network, totals, free_mps);
        for head in self.heads.values_mut() {
            head.history = (head.history << 1) & 0x7f;
        }
        self.sustained.clear();
        for &segment in &totals.segment {
            let Some((downstream, downstream_ratio)) = seen.head(network, SegmentIndex(segment)) else { continue };
            if self.heads.len() >= HEADS_MAX && !self.heads.contains_key(&segment) {
                self.left_out += 1;
                continue;
            }
            let head = self.heads.entry(segment).or_insert(Head { history: 0, since_ms: start_ms });
            head.history |= 1;
            if head.history.count_ones() < ACTIVE_MIN {
                continue;
            }
            let at = SegmentIndex(segment);
            let extent = upstream.reach(network, at, EXTENT_M, |from| seen.is_queued(from));
            self.sustained.push(Bottleneck {
                head: at,
                downstream,
                since_ms: head.since_ms,
                active_intervals: head.history.count_ones(),
                ratio: seen.ratio[at.at()],
                downstream_ratio,
                extent_m: extent.iter().map(|&at| network.segment(at).length_m).sum(),
                delay_veh_h: extent.iter().map(|at| seen.of(*at, &totals.delay_s)).sum::<f64>() / 3_600.0,
                vehicles: extent.iter().map(|at| seen.of(*at, &totals.vehicles)).max().unwrap_or(0),
                extent,
            });
        }
        self.heads.retain(|_, head| head.history != 0);
        self.sustained.sort_by(|a, b| b.delay_veh_h.total_cmp(&a.delay_veh_h).then(a.head.cmp(&b.head)));
        self.sustained.truncate(TOLD_MAX);
    }
}

/// The interval by segment.
struct Seen {
    /// Row of the totals plus one; 0 where too little was driven.
    row: Vec<u32>,
    /// Speed over free flow; NaN where too little was driven.
    ratio: Vec<f64>,
    distance_m: Vec<f64>,
}

impl Seen {
    fn new(network: &Network, totals: &Totals, free_mps: &[f64]) -> Self {
        let n = network.segments().len();
        let mut seen = Self { row: vec![0; n], ratio: vec![f64::NAN; n], distance_m: vec![0.0; n] };
        for (row, &segment) in totals.segment.iter().enumerate() {
            let at = segment as usize;
            if totals.distance_m[row] >= network.segments()[at].length_m && totals.time_s[row] > 0.0 {
                seen.row[at] = row as u32 + 1;
                seen.ratio[at] = totals.distance_m[row] / totals.time_s[row] / free_mps[at];
                seen.distance_m[at] = totals.distance_m[row];
            }
        }
        seen
    }

    fn of<T: Copy + Default>(&self, at: SegmentIndex, column: &[T]) -> T {
        let row = self.row[at.at()] as usize;
        row.checked_sub(1).and_then(|row| column.get(row)).copied().unwrap_or_default()
    }

    fn is_queued(&self, at: SegmentIndex) -> bool {
        self.ratio[at.at()] < QUEUED_RATIO
    }

    /// Where traffic is fast again behind a queued segment, and how fast; `None` where it is no head.
    fn head(&self, network: &Network, at: SegmentIndex) -> Option<(SegmentIndex, f64)> {
        if !self.is_queued(at) {
            return None;
        }
        let wanted = self.ratio[at.at()] + RISE;
        let (mut here, mut gone_m) = (at, 0.0);
        loop {
            let ways = network.successors(here).iter().copied().filter(|to| self.ratio[to.at()].is_finite());
            let next = ways.max_by(|a, b| {
                let driven = |at: &SegmentIndex| self.distance_m[at.at()] / network.segment(*at).length_m;
                driven(a).total_cmp(&driven(b)).then(b.cmp(a))
            })?;
            gone_m += network.segment(next).length_m;
            if gone_m > DOWNSTREAM_M || self.ratio[next.at()] <= self.ratio[here.at()] {
                return None;
            }
            if self.ratio[next.at()] > wanted {
                return Some((next, self.ratio[next.at()]));
            }
            here = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;

    /// A run of a street, four segments.
    fn street(network: &Network) -> [SegmentIndex; 4] {
        let areas = crate::area::derive::corridors(network);
        [0, 1, 2, 3].map(|i| areas[0].segments[i])
    }

    /// Ten vehicles drove each segment of the street at shares of its free flow.
    fn totals(network: &Network, street: [SegmentIndex; 4], ratios: [f64; 4]) -> Totals {
        let mut rows: Vec<(SegmentIndex, f64)> = street.into_iter().zip(ratios).collect();
        rows.sort_by_key(|row| row.0);
        let mut totals = Totals::default();
        for (at, ratio) in rows {
            let (distance_m, free) =
                (network.segment(at).length_m * 10.0, f64::from(network.segment(at).free_flow_mps()));
            totals.segment.push(at.0);
            totals.distance_m.push(distance_m);
            totals.time_s.push(distance_m / (free * ratio));
            totals.delay_s.push(distance_m / free * (1.0 / ratio - 1.0));
            totals.events.push(10);
            totals.vehicles.push(10);
        }
        totals
    }

    #[test]
    fn five_of_seven_intervals_make_a_bottleneck_with_its_queue() {
        let network = city(&CityPlan::default());
        let (upstream, street) = (Upstream::new(&network), street(&network));
        let free: Vec<f64> = network.segments().iter().map(|s| f64::from(s.free_flow_mps())).collect();
        let (queue, calm) = ([0.5, 0.4, 0.3, 0.9], [0.9, 0.9, 0.9, 0.9]);
        let mut found = Bottlenecks::default();
        for (i, ratios) in [queue, queue, calm, queue, queue].into_iter().enumerate() {
            found.interval(&network, &upstream, i as i64 * 300_000, &totals(&network, street, ratios), &free);
            assert!(found.sustained().is_empty(), "interval {i}");
        }
        found.interval(&network, &upstream, 1_500_000, &totals(&network, street, queue), &free);
        let [one] = found.sustained() else { panic!("{:?}", found.sustained()) };
        assert_eq!((one.head, one.downstream, one.since_ms, one.active_intervals), (street[2], street[3], 0, 5));
        assert_eq!(one.extent, [street[2], street[1], street[0]]);
        let lost: f64 = [(2, 0.3), (1, 0.4), (0, 0.5)]
            .map(|(i, r): (usize, f64)| {
                network.segment(street[i]).length_m * 10.0 / free[street[i].at()] * (1.0 / r - 1.0)
            })
            .iter()
            .sum();
        assert!((one.delay_veh_h - lost / 3_600.0).abs() < 1e-9);
        for i in 6..9 {
            found.interval(&network, &upstream, i * 300_000, &totals(&network, street, calm), &free);
        }
        assert!(found.sustained().is_empty(), "it is over");
        assert_eq!(found.heads.len(), 1, "and still remembered");
        (9..16).for_each(|i| found.interval(&network, &upstream, i * 300_000, &totals(&network, street, calm), &free));
        assert!(found.heads.is_empty());
    }

    #[test]
    fn slow_without_fast_behind_it_is_none() {
        let network = city(&CityPlan::default());
        let (upstream, street) = (Upstream::new(&network), street(&network));
        let free: Vec<f64> = network.segments().iter().map(|s| f64::from(s.free_flow_mps())).collect();
        for ratios in [[0.5, 0.5, 0.5, 0.5], [0.9, 0.8, 0.75, 0.7], [0.5, 0.45, 0.4, 0.7]] {
            let mut found = Bottlenecks::default();
            for i in 0..9 {
                found.interval(&network, &upstream, i * 300_000, &totals(&network, street, ratios), &free);
            }
            assert!(found.sustained().is_empty(), "{ratios:?}");
        }
    }
}
