//! From SUMO's lane-to-lane connections to movements: lengths inside the junction, right of way, signals.
//!
//! SUMO numbers the connections of a junction by its `incLanes` and, within a lane, by their order in the file; bit i
//! from the right of a connection's `response` says that connection i goes first, of its `foes` that the two cross or
//! merge. A movement joins the connections of all lanes between two edges, so it has the union of what they have.
//! Lanes that cars may not use are not lanes of a segment; a bus that would come from one comes from the lane beside it.
//!
//! Upstream: [`super::read`]. Downstream: the builder. Format: SUMO documentation, "Networks/SUMO Road Networks".

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::programme::Programme;
use super::read::{Connection, Edge, Net};
use crate::import::ImportReport;
use crate::movement::{Movement, SignalLinks, SignalPlan};
use crate::network::builder::NetworkBuilder;
use crate::segment::{NodeIndex, SegmentIndex};

/// Most internal lanes that one connection runs over; netconvert makes two at most.
const INNER_MAX: usize = 8;

/// A lane of the first segment and one of the second, 0 at the kerb.
type LanePair = (u8, u8);

/// Id of a signal and position in its state words.
type Link<'a> = (&'a str, u16);

/// An edge that was kept: its first and last segment, and the node at its end.
pub(super) struct Made<'a> {
    pub(super) edge: &'a Edge,
    pub(super) first: SegmentIndex,
    pub(super) last: SegmentIndex,
    pub(super) end: NodeIndex,
}

/// Adds movements and signal plans of everything between kept edges.
pub(super) fn add(
    net: &Net,
    made: &FxHashMap<&str, Made<'_>>,
    builder: &mut NetworkBuilder,
    report: &mut ImportReport,
) {
    // By pair of edges, in the order of the file.
    let mut pairs: BTreeMap<(SegmentIndex, SegmentIndex), Vec<usize>> = BTreeMap::new();
    for (i, turn) in net.turns.iter().enumerate() {
        let (Some(from), Some(to)) = (made.get(turn.from.as_str()), made.get(turn.to.as_str())) else { continue };
        // A turn from a bicycle lane is none for us.
        if from.edge.is_lane_open(turn.from_lane) && to.edge.is_lane_open(turn.to_lane) {
            pairs.entry((from.last, to.first)).or_default().push(i);
        }
    }
    let signals = plans(net, made, builder, report);
    let mut movement_of: FxHashMap<usize, u32> = FxHashMap::default();
    for (number, turns) in pairs.values().enumerate() {
        movement_of.extend(turns.iter().map(|&turn| (turn, number as u32)));
    }
    let rules = Rules::new(net);
    for ((from, to), turns) in &pairs {
        let own = movement_of[&turns[0]];
        let mut movement = movement(net, made, (*from, *to), turns, &signals);
        for &turn in turns {
            let others = |list: Option<&Vec<usize>>| -> Vec<u32> {
                let known = list.into_iter().flatten().filter_map(|other| movement_of.get(other).copied());
                known.filter(|other| *other != own).collect()
            };
            movement.yields_to.extend(others(rules.response.get(&turn)));
            movement.conflicts.extend(others(rules.foes.get(&turn)));
        }
        // Who goes first is always a conflict; the source may name it on one side only.
        movement.conflicts.extend(movement.yields_to.iter().copied());
        builder.movement(movement);
        report.add("movements", 1);
    }
}

fn movement(
    net: &Net,
    made: &FxHashMap<&str, Made<'_>>,
    (from, to): (SegmentIndex, SegmentIndex),
    turns: &[usize],
    signals: &FxHashMap<&str, u32>,
) -> Movement {
    let all: Vec<&Connection> = turns.iter().map(|&turn| &net.turns[turn]).collect();
    let (before, after) = (made[all[0].from.as_str()].edge, made[all[0].to.as_str()].edge);
    let is_kept = |c: &&&Connection| before.is_lane_kept(c.from_lane) && after.is_lane_kept(c.to_lane);
    let kept: Vec<&Connection> = all.iter().filter(is_kept).copied().collect();
    let used = if kept.is_empty() { all } else { kept };
    let inner: Vec<(f64, f64)> = used.iter().map(|c| inside(net, c)).collect();
    let lanes = used.iter().map(|c| (before.kept_lane(c.from_lane), after.kept_lane(c.to_lane)));
    let mut links: Vec<(LanePair, Option<Link<'_>>)> =
        lanes.zip(used.iter().map(|c| c.signal.as_ref().map(|(id, link)| (id.as_str(), *link)))).collect();
    links.sort_by_key(|(lanes, _)| *lanes);
    links.dedup_by_key(|(lanes, _)| *lanes);
    // All links of one movement are of one signal, or the movement is not signalled.
    let signal = links[0].1.and_then(|(id, _)| signals.get(id).copied());
    let numbers: Option<Vec<u16>> = links.iter().map(|(_, link)| link.map(|(_, number)| number)).collect();
    let speed_mps = inner.iter().map(|(_, speed)| *speed).fold(f64::INFINITY, f64::min);
    let slower = before.speed_mps().min(after.speed_mps());
    Movement {
        from,
        to,
        length_m: (inner.iter().map(|(length, _)| *length).sum::<f64>() / inner.len() as f64) as f32,
        speed_mps: if speed_mps.is_finite() && speed_mps > 0.0 { speed_mps } else { slower } as f32,
        lanes: links.iter().map(|(lanes, _)| *lanes).collect(),
        signal: signal.zip(numbers).map(|(signal, links)| SignalLinks { signal, links }),
        yields_to: Vec::new(),
        conflicts: Vec::new(),
    }
}

/// Length and lowest limit of the internal lanes of a connection; no length and no limit without any.
fn inside(net: &Net, connection: &Connection) -> (f64, f64) {
    let (mut length_m, mut speed_mps) = (0.0, f64::INFINITY);
    let mut via = connection.via.as_deref();
    for _ in 0..INNER_MAX {
        let Some(lane) = via else { break };
        let Some((lane_m, lane_mps)) = net.inner.get(lane) else { break };
        (length_m, speed_mps) = (length_m + lane_m, speed_mps.min(*lane_mps));
        via = net.inner_next.get(lane).map(String::as_str);
    }
    (length_m, speed_mps)
}

/// Whom each connection yields to and crosses, as positions in [`Net::turns`].
#[derive(Default)]
struct Rules {
    response: FxHashMap<usize, Vec<usize>>,
    foes: FxHashMap<usize, Vec<usize>>,
}

impl Rules {
    fn new(net: &Net) -> Self {
        let mut of_lane: FxHashMap<(&str, u32), Vec<usize>> = FxHashMap::default();
        for (i, turn) in net.turns.iter().enumerate() {
            of_lane.entry((&turn.from, turn.from_lane)).or_default().push(i);
        }
        let mut rules = Self::default();
        for junction in net.junctions.values() {
            let lanes = junction.lanes.iter().filter_map(|lane| {
                let (edge, number) = lane.rsplit_once('_')?;
                of_lane.get(&(edge, number.parse().ok()?))
            });
            let turns: Vec<usize> = lanes.flatten().copied().collect();
            for request in &junction.requests {
                let Some(&turn) = turns.get(request.index) else { continue };
                let named = |bits: &str| -> Vec<usize> {
                    let set = bits.bytes().rev().enumerate().filter(|(_, bit)| *bit == b'1');
                    set.filter_map(|(i, _)| turns.get(i).copied()).collect()
                };
                rules.response.insert(turn, named(&request.response));
                rules.foes.insert(turn, named(&request.foes));
            }
        }
        rules
    }
}

/// The plans of all signals that stand at a kept connection, by id.
fn plans<'a>(
    net: &'a Net,
    made: &FxHashMap<&str, Made<'_>>,
    builder: &mut NetworkBuilder,
    report: &mut ImportReport,
) -> FxHashMap<&'a str, u32> {
    // SUMO runs the programme of an id that was loaded last.
    let mut last: BTreeMap<&str, &Programme> = BTreeMap::new();
    for programme in &net.programmes {
        if last.insert(&programme.id, programme).is_some() {
            report.add("signal programmes replaced by one that was read later", 1);
        }
    }
    let mut stands: FxHashMap<&str, (NodeIndex, usize)> = FxHashMap::default();
    for turn in &net.turns {
        let (Some((id, link)), Some(from)) = (&turn.signal, made.get(turn.from.as_str())) else { continue };
        let seen = stands.entry(id).or_insert((from.end, 0));
        seen.1 = seen.1.max(usize::from(*link) + 1);
    }
    let mut known = FxHashMap::default();
    for (id, programme) in last {
        let links = programme.phases.first().map_or(0, |phase| phase.links.len());
        match stands.get(id) {
            Some((node, needed)) if *needed <= links => {
                let Programme { id: name, offset_s, actuated, phases } = programme.clone();
                known.insert(id, builder.signal_plan(SignalPlan { id: name, node: *node, offset_s, actuated, phases }));
                report.add("signals", 1);
            }
            Some(_) => report.add("signals left out: their programme has fewer links than their junction", 1),
            None => report.add("signals left out: at no connection of a kept edge", 1),
        }
    }
    known
}
