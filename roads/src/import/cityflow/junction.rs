//! From CityFlow's road links, lane links and light phases to movements and signal plans.
//!
//! A lane link is a curve across the intersection: two road links from different roads are in conflict where curves of
//! theirs cross, or where they end on the same lane. Who goes straight on goes first, then left turns, then right
//! turns, as CityFlow ranks them (`RoadLinkType` in its `roadnet.h`). Lane 0 of CityFlow is in the middle of the road,
//! ours at the kerb. A road link that a phase names may go; there is no yellow unless a phase of its own makes one.
//!
//! Upstream: [`super`]. Downstream: the builder. Format: CityFlow documentation, "Roadnet File Format".

use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::Point;
use crate::import::ImportReport;
use crate::movement::{LinkState, Movement, SignalLinks, SignalPhase, SignalPlan};
use crate::network::builder::NetworkBuilder;
use crate::segment::{NodeIndex, SegmentIndex};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoadLink {
    #[serde(rename = "type")]
    kind: Option<String>,
    start_road: String,
    end_road: String,
    #[serde(default)]
    lane_links: Vec<LaneLink>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LaneLink {
    start_lane_index: u8,
    end_lane_index: u8,
    #[serde(default)]
    points: Vec<Point>,
}

#[derive(Deserialize)]
pub(super) struct TrafficLight {
    #[serde(default)]
    lightphases: Vec<LightPhase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LightPhase {
    /// Seconds.
    time: f32,
    #[serde(default)]
    available_road_links: Vec<usize>,
}

/// A road as segments.
#[derive(Clone, Copy)]
pub(super) struct Made {
    pub(super) first: SegmentIndex,
    pub(super) last: SegmentIndex,
    pub(super) lanes: u8,
    pub(super) speed_mps: f32,
}

/// How fast CityFlow's vehicles turn is not in the file; ours take bends at 25 km/h, as everywhere.
const TURN_SPEED_MPS: f32 = 7.0;

/// One intersection, to be added.
pub(super) struct Junction<'a> {
    pub(super) id: &'a str,
    pub(super) node: NodeIndex,
    pub(super) links: &'a [RoadLink],
    pub(super) light: Option<&'a TrafficLight>,
}

/// Adds movements and signal of one intersection; `next` is the number of the next movement, and is moved on.
pub(super) fn add(
    junction: &Junction<'_>,
    made: &FxHashMap<&str, Made>,
    builder: &mut NetworkBuilder,
    next: &mut u32,
    report: &mut ImportReport,
) {
    let signal = plan(junction).map(|plan| {
        report.add("signals", 1);
        builder.signal_plan(plan)
    });
    // Which road links become movements, and as which number.
    let mut kept: Vec<(usize, Made, Made, u32)> = Vec::new();
    for (i, link) in junction.links.iter().enumerate() {
        let ends = (made.get(link.start_road.as_str()), made.get(link.end_road.as_str()));
        let (Some(from), Some(to)) = ends else {
            report.add("road links left out: of unknown roads", 1);
            continue;
        };
        if kept.iter().any(|(_, a, b, _)| (a.last, b.first) == (from.last, to.first)) {
            report.add("road links left out: between two roads that one joins already", 1);
            continue;
        }
        kept.push((i, *from, *to, *next));
        *next += 1;
        report.add("road links kept", 1);
    }
    for &(i, from, to, number) in &kept {
        let link = &junction.links[i];
        let (mut yields_to, mut conflicts) = (Vec::new(), Vec::new());
        for &(j, _, _, other) in &kept {
            if other != number && is_conflict(link, &junction.links[j]) {
                conflicts.push(other);
                if link.rank() < junction.links[j].rank() {
                    yields_to.push(other);
                }
            }
        }
        let slower = from.speed_mps.min(to.speed_mps);
        let speed_mps = if link.rank() == STRAIGHT { slower } else { slower.min(TURN_SPEED_MPS) };
        let signal = signal.map(|signal| SignalLinks { signal, links: vec![i as u16] });
        let lanes = link.lanes(from.lanes, to.lanes);
        let (from, to) = (from.last, to.first);
        builder.movement(Movement { from, to, length_m: 0.0, speed_mps, lanes, signal, yields_to, conflicts });
    }
}

const STRAIGHT: u8 = 3;

impl RoadLink {
    fn rank(&self) -> u8 {
        match self.kind.as_deref() {
            Some("turn_left") => 2,
            Some("turn_right") => 1,
            Some(_) | None => STRAIGHT,
        }
    }

    /// Pairs of lanes, counted from the kerb; every lane of the first road to the nearest of the second if none is given.
    fn lanes(&self, from: u8, to: u8) -> Vec<(u8, u8)> {
        let kerb = |lanes: u8, from_middle: u8| lanes.saturating_sub(1).saturating_sub(from_middle);
        let mut pairs: Vec<(u8, u8)> =
            self.lane_links.iter().map(|l| (kerb(from, l.start_lane_index), kerb(to, l.end_lane_index))).collect();
        if pairs.is_empty() {
            pairs = (0..from.max(1)).map(|lane| (lane, lane.min(to.saturating_sub(1)))).collect();
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }
}

/// Whether two road links cross or merge.
fn is_conflict(a: &RoadLink, b: &RoadLink) -> bool {
    if a.start_road == b.start_road {
        return false;
    }
    let merges = |x: &LaneLink, y: &LaneLink| a.end_road == b.end_road && x.end_lane_index == y.end_lane_index;
    a.lane_links.iter().any(|x| b.lane_links.iter().any(|y| merges(x, y) || cross(&x.points, &y.points)))
}

fn cross(a: &[Point], b: &[Point]) -> bool {
    let side = |a: Point, b: Point, p: Point| (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x);
    a.windows(2).any(|s| {
        b.windows(2).any(|t| {
            side(s[0], s[1], t[0]) * side(s[0], s[1], t[1]) < 0.0
                && side(t[0], t[1], s[0]) * side(t[0], t[1], s[1]) < 0.0
        })
    })
}

/// The programme of an intersection; `None` where all may go at all times.
fn plan(junction: &Junction<'_>) -> Option<SignalPlan> {
    let phases: Vec<SignalPhase> = junction
        .light?
        .lightphases
        .iter()
        .filter(|phase| phase.time > 0.0)
        .map(|phase| {
            let shown = |i: usize| match (phase.available_road_links.contains(&i), junction.links[i].rank()) {
                (false, _) => LinkState::Red,
                (true, STRAIGHT) => LinkState::Protected,
                (true, _) => LinkState::Green,
            };
            let links = (0..junction.links.len()).map(shown).collect();
            SignalPhase { duration_s: phase.time, min_s: phase.time, max_s: phase.time, links }
        })
        .collect();
    let always_open = phases.iter().all(|phase| phase.links.iter().all(|link| *link != LinkState::Red));
    let (id, node) = (junction.id.to_owned(), junction.node);
    (!always_open).then_some(SignalPlan { id, node, offset_s: 0.0, actuated: false, phases })
}
