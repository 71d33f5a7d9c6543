//! Queues and spillback, as far as sums of cells can tell.
//!
//! Upstream: the sums of the window of a minute. Downstream: the API.
//!
//! SUMO's lane-area detector (E2) knows every vehicle: halting is below 5 km/h for at least 1 s, and a jam is halting
//! vehicles less than 10 m apart. Cells have no vehicles apart, so the rule here is one of sums:
//!
//! - The **halted share** of the time spent on a segment is 1 − v / v_free: in the two-fluid model vehicles either stand
//!   or drive at free speed (Herman and Prigogine, A two-fluid approach to town traffic, Science 204, 1979, with n = 0).
//! - **Queued vehicles** are the mean number on the segment (time spent over length of the window, over the probe share)
//!   times that share. Below one vehicle there is no queue.
//! - The **queue's length** is 7.62 m a vehicle and lane (25 ft, the storage of HCM's spillback check), at most the segment's.
//! - **Spillback**: the queue fills the segment (length over storage of at least 1), or a segment whose mean speed is below
//!   5 km/h has a queue over [`FULL_SHARE`] of it and another such segment leads into it.
//!
//! The queue's place on the segment is not known, and with few probes it is an estimate with the error of the share.

use roads::{Network, SegmentIndex};

use super::probe_share::ProbeShare;
use super::window::Span;
use crate::pane::Totals;
use crate::upstream::Upstream;

/// Halting below this, m/s (5 km/h: SUMO E2).
pub const HALTING_MPS: f64 = 5.0 / 3.6;

/// Room of a queued vehicle, metres (25 ft).
pub const VEHICLE_ROOM_M: f64 = 7.62;

/// Share of a segment that a queue covers from which it is as good as full.
pub const FULL_SHARE: f64 = 0.8;

/// Queues that are told, longest first.
pub const TOLD_MAX: usize = 200;

/// A queue on one segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Queue {
    pub segment: SegmentIndex,
    /// Mean number of vehicles that stand, of all vehicles.
    pub queued: f64,
    pub length_m: f64,
    /// Room that the queue takes over the room that there is; above 1 it reaches farther than the segment.
    pub storage_ratio: f64,
    pub is_spillback: bool,
    pub speed_mps: f64,
    /// At least so many different vehicles were seen.
    pub vehicles: u64,
}

/// The longest queues of a window, longest first.
pub fn queues(
    network: &Network,
    upstream: &Upstream,
    totals: &Totals,
    free_mps: &[f64],
    share: ProbeShare,
    span: Span,
) -> Vec<Queue> {
    let mut place = vec![u32::MAX; network.segments().len()];
    let mut all: Vec<Queue> = Vec::new();
    for (row, &segment) in totals.segment.iter().enumerate() {
        let meta = network.segment(SegmentIndex(segment));
        let speed_mps = totals.distance_m[row] / totals.time_s[row];
        let halted = (1.0 - speed_mps / free_mps[segment as usize]).max(0.0);
        let queued = totals.time_s[row] / span.seconds() / share.value * halted;
        if queued < 1.0 {
            continue;
        }
        let storage_ratio = queued * VEHICLE_ROOM_M / f64::from(meta.lanes.max(1)) / meta.length_m;
        place[segment as usize] = all.len() as u32;
        all.push(Queue {
            segment: SegmentIndex(segment),
            queued,
            length_m: storage_ratio.min(1.0) * meta.length_m,
            storage_ratio,
            is_spillback: storage_ratio >= 1.0,
            speed_mps,
            vehicles: totals.vehicles.get(row).copied().unwrap_or(0),
        });
    }
    let is_halting = |at: SegmentIndex| {
        let queue = all.get(place[at.at()] as usize);
        queue.is_some_and(|q| q.speed_mps < HALTING_MPS && q.storage_ratio >= FULL_SHARE)
    };
    let backs: Vec<bool> = all
        .iter()
        .map(|q| {
            is_halting(q.segment) && upstream.of(q.segment).iter().any(|&from| from != q.segment && is_halting(from))
        })
        .collect();
    all.iter_mut().zip(backs).for_each(|(queue, is_back)| queue.is_spillback |= is_back);
    all.sort_by(|a, b| b.length_m.total_cmp(&a.length_m).then(a.segment.cmp(&b.segment)));
    all.truncate(TOLD_MAX);
    all
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;
    use crate::metric::window::Window;

    #[test]
    fn a_standing_street_is_full_and_a_flowing_one_has_no_queue() {
        let network = city(&CityPlan::default());
        let upstream = Upstream::new(&network);
        let street = crate::area::derive::corridors(&network).remove(0).segments;
        let free: Vec<f64> = network.segments().iter().map(|s| f64::from(s.free_flow_mps())).collect();
        let span = Span { start_ms: 0, end_ms: 60_000 };
        assert_eq!(Window::OneMinute.ending(59_999).start_ms, span.start_ms);
        // So many vehicles all the minute, at a share of free flow.
        let mut rows =
            vec![(street[0], 10.0, 1.0), (street[1], 15.0, 0.05), (street[2], 15.0, 0.05), (street[3], 40.0, 0.5)];
        rows.sort_by_key(|row| row.0);
        let mut totals = Totals::default();
        for (at, vehicles, ratio) in rows {
            totals.segment.push(at.0);
            totals.time_s.push(vehicles * 60.0);
            totals.distance_m.push(vehicles * 60.0 * ratio * free[at.at()]);
            totals.vehicles.push(9);
        }
        let of = |share: f64| {
            let share = ProbeShare::given(share).unwrap();
            queues(&network, &upstream, &totals, &free, share, span)
        };
        let find = |all: &[Queue], at: SegmentIndex| all.iter().find(|q| q.segment == at).copied();
        let all = of(1.0);
        assert_eq!(find(&all, street[0]), None, "at free flow nobody stands");
        let standing = find(&all, street[1]).unwrap();
        assert!((standing.queued - 15.0 * 0.95).abs() < 1e-9);
        let meta = network.segment(street[1]);
        let ratio = standing.queued * 25.0 * 0.3048 / f64::from(meta.lanes) / meta.length_m;
        assert!((standing.storage_ratio - ratio).abs() < 1e-9 && ratio < 1.0);
        assert!((standing.length_m - ratio * meta.length_m).abs() < 1e-9);
        assert!(find(&all, street[3]).unwrap().is_spillback, "twenty vehicles stand where there is no room for them");
        assert!((find(&of(0.5), street[1]).unwrap().queued - 30.0 * 0.95).abs() < 1e-9, "half of them report");
        assert!(all.windows(2).all(|w| w[0].length_m >= w[1].length_m));
    }
}
