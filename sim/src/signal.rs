//! Signals: the plans of the source, or sensible ones for a map that has none; and what each shows at any second.
//!
//! On a map without plans a junction has a signal when at least three streets of class tertiary or higher come in: where
//! a side street meets a main one, drivers sort it out themselves. Streets that come in along one axis share a phase.
//! Upstream: the network. Downstream: the world (who may go), the sensors (changes).

use events::SignalState;
use roads::{LinkState, Network, NodeIndex, RoadClass, SegmentIndex, SignalPhase, SignalPlan, Turn};
use serde::{Deserialize, Serialize};

use crate::map::Shown;
use crate::random::{Stream, below};
use crate::vehicle::FACTOR_PERMILLE_MAX;

/// Green for a group with a street of class tertiary or higher, seconds; an ordinary urban split, assumed.
const GREEN_MAJOR_S: u32 = 32;

/// Green for every other group, seconds; assumed.
const GREEN_MINOR_S: u32 = 18;

/// Least yellow, seconds (RiLSA, Germany: 3 s at 50 km/h).
const YELLOW_S_MIN: u32 = 3;

/// Deceleration that yellow counts on, mm/s²: that of the weakest of our kinds of vehicles.
const YELLOW_DECEL_MM_S2: f64 = 4_000.0;

/// All groups red between two greens, seconds; assumed.
const ALL_RED_S: u32 = 2;

/// Streets come in along one axis when they differ by less than this from the first of the group, degrees.
const AXIS_DEG: f32 = 45.0;

/// The signal of one junction, as it never changes.
#[derive(Clone, Debug)]
pub struct Signal {
    pub node: NodeIndex,
    pub plan: SignalPlan,
    /// Links that always show the same colour to an onlooker.
    pub groups: Vec<Vec<u16>>,
}

impl Signal {
    fn new(plan: SignalPlan) -> Self {
        let links = plan.phases[0].links.len();
        let mut groups: Vec<(Vec<SignalState>, Vec<u16>)> = Vec::new();
        for link in 0..links {
            let column: Vec<SignalState> = plan.phases.iter().map(|p| seen(p.links[link])).collect();
            match groups.iter_mut().find(|(other, _)| *other == column) {
                Some((_, group)) => group.push(link as u16),
                None => groups.push((column, vec![link as u16])),
            }
        }
        Self { node: plan.node, plan, groups: groups.into_iter().map(|(_, group)| group).collect() }
    }
}

/// The colour that an onlooker sees.
pub fn seen(state: LinkState) -> SignalState {
    match state {
        LinkState::Red => SignalState::Red,
        // A signal that is off blinks yellow.
        LinkState::Yellow | LinkState::Off => SignalState::Yellow,
        LinkState::Green | LinkState::Protected => SignalState::Green,
    }
}

/// Where one signal is in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) phase: u16,
    /// Milliseconds since the begin of the run.
    pub(crate) since_ms: i64,
    pub(crate) is_off: bool,
}

/// All signals of a network.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    pub(crate) all: Vec<Signal>,
    pub(crate) running: Vec<Running>,
    /// What every link of every signal shows, at the places of [`Shown`].
    pub(crate) links: Vec<LinkState>,
    first: Vec<u32>,
}

impl Signals {
    /// The signals of a network, and where each movement finds its colour.
    pub(crate) fn new(network: &Network, seed: u64) -> (Self, Vec<SignalPlan>, Shown) {
        let mut of_movement = vec![None; network.movements().len()];
        let plans = if network.signal_plans().is_empty() {
            default_plans(network, seed, &mut of_movement)
        } else {
            for (place, movement) in of_movement.iter_mut().zip(network.movements()) {
                *place = movement.signal.as_ref().map(|s| (s.signal, s.links.clone()));
            }
            network.signal_plans().to_vec()
        };
        let mut first = Vec::with_capacity(plans.len());
        let mut count = 0;
        for plan in &plans {
            first.push(count);
            count += plan.phases[0].links.len() as u32;
        }
        let all: Vec<Signal> = plans.iter().cloned().map(Signal::new).collect();
        let running = plans.iter().map(begin).collect();
        let links = vec![LinkState::Red; count as usize];
        let mut signals = Self { all, running, links, first: first.clone() };
        for signal in 0..signals.all.len() {
            signals.show(signal);
        }
        (signals, plans, Shown { first, of_movement })
    }

    /// Goes on to what is to be shown from `now_ms` on, and says whether that is another phase. `wants_more` tells
    /// whether the detectors of an actuated signal ask for its phase to be kept.
    pub(crate) fn advance(
        &mut self,
        signal: usize,
        now_ms: i64,
        wants_more: impl FnOnce(&[(u32, LinkState)]) -> bool,
    ) -> bool {
        let first = self.first[signal];
        let plan = &self.all[signal].plan;
        let running = &mut self.running[signal];
        let before = running.phase;
        if plan.actuated {
            let phase = &plan.phases[usize::from(running.phase)];
            let shown_ms = now_ms - running.since_ms;
            let (least, most) = (milli(phase.min_s), milli(phase.max_s));
            let places = phase.links.iter().enumerate().map(|(i, state)| (first + i as u32, *state));
            let green = || -> Vec<_> { places.filter(|(_, state)| seen(*state) == SignalState::Green).collect() };
            if shown_ms >= most || (shown_ms >= least && !wants_more(&green())) {
                running.phase = (running.phase + 1) % plan.phases.len() as u16;
                running.since_ms = now_ms;
            }
        } else {
            // A cycle lasts at least a second, so this ends.
            loop {
                let lasts = milli(plan.phases[usize::from(running.phase)].duration_s);
                if now_ms < running.since_ms + lasts {
                    break;
                }
                running.since_ms += lasts;
                running.phase = (running.phase + 1) % plan.phases.len() as u16;
            }
        }
        let changed = running.phase != before;
        if changed {
            self.show(signal);
        }
        changed
    }

    /// Writes what a signal shows to its links.
    pub(crate) fn show(&mut self, signal: usize) {
        let running = self.running[signal];
        let shown = &self.all[signal].plan.phases[usize::from(running.phase)].links;
        let first = self.first[signal] as usize;
        for (to, state) in self.links[first..first + shown.len()].iter_mut().zip(shown) {
            *to = if running.is_off { LinkState::Off } else { *state };
        }
    }

    /// What a group of a signal shows an onlooker.
    pub(crate) fn group_state(&self, signal: usize, group: usize) -> SignalState {
        let link = self.all[signal].groups[group][0];
        seen(self.links[self.first[signal] as usize + usize::from(link)])
    }

    /// What a group shows in a phase, if the signal is on.
    pub(crate) fn group_state_in(&self, signal: usize, group: usize, phase: u16) -> SignalState {
        let Signal { plan, groups, .. } = &self.all[signal];
        seen(plan.phases[usize::from(phase)].links[usize::from(groups[group][0])])
    }

    /// No signals at all.
    pub(crate) fn none() -> Self {
        Self { all: Vec::new(), running: Vec::new(), links: Vec::new(), first: Vec::new() }
    }
}

fn milli(seconds: f32) -> i64 {
    (f64::from(seconds) * 1_000.0).round() as i64
}

/// The phase at the begin of the run.
fn begin(plan: &SignalPlan) -> Running {
    let cycle_ms: i64 = plan.phases.iter().map(|p| milli(p.duration_s)).sum();
    let mut at_ms = (-milli(plan.offset_s)).rem_euclid(cycle_ms.max(1));
    let mut phase = 0;
    for (i, p) in plan.phases.iter().enumerate() {
        phase = i as u16;
        if at_ms < milli(p.duration_s) {
            break;
        }
        at_ms -= milli(p.duration_s);
    }
    Running { phase, since_ms: -at_ms, is_off: false }
}

/// Fixed-time plans for a map that has none.
fn default_plans(network: &Network, seed: u64, of_movement: &mut [Option<(u32, Vec<u16>)>]) -> Vec<SignalPlan> {
    let mut coming_in: Vec<Vec<SegmentIndex>> = vec![Vec::new(); network.nodes().len()];
    for at in network.indices() {
        coming_in[network.segment(at).to.at()].push(at);
    }
    // Whoever comes from a faster street may not have slowed down yet.
    let mut fastest_mps: Vec<f32> = network.segments().iter().map(|s| s.speed_limit_mps).collect();
    for at in network.indices() {
        for next in network.successors(at) {
            fastest_mps[next.at()] = fastest_mps[next.at()].max(network.segment(at).speed_limit_mps);
        }
    }
    let mut plans = Vec::new();
    for (node, coming_in) in coming_in.iter().enumerate() {
        let main = coming_in.iter().filter(|s| network.segment(**s).class <= RoadClass::Tertiary).count();
        if main < 3 {
            continue;
        }
        let node = NodeIndex(node as u32);
        let movements: Vec<usize> = coming_in.iter().flat_map(|at| network.movements_from(*at)).collect();
        for (link, movement) in movements.iter().enumerate() {
            of_movement[*movement] = Some((plans.len() as u32, vec![link as u16]));
        }
        plans.push(default_plan(network, node, coming_in, &movements, &fastest_mps, seed));
    }
    plans
}

fn default_plan(
    network: &Network,
    node: NodeIndex,
    coming_in: &[SegmentIndex],
    movements: &[usize],
    fastest_mps: &[f32],
    seed: u64,
) -> SignalPlan {
    let mut phases = Vec::new();
    for group in &by_axis(network, coming_in) {
        let main = group.iter().any(|s| network.segment(*s).class <= RoadClass::Tertiary);
        let fastest = group.iter().map(|s| fastest_mps[s.at()]).fold(0.0, f32::max);
        let show = |state: &dyn Fn(usize) -> LinkState| -> Vec<LinkState> {
            let in_group = |at: &usize| group.contains(&network.movements()[*at].from);
            movements.iter().map(|at| if in_group(at) { state(*at) } else { LinkState::Red }).collect()
        };
        let green =
            |at: usize| if yields_in_group(network, at, group) { LinkState::Green } else { LinkState::Protected };
        for (seconds, links) in [
            (if main { GREEN_MAJOR_S } else { GREEN_MINOR_S }, show(&green)),
            (yellow_s(fastest), show(&|_| LinkState::Yellow)),
            (ALL_RED_S, show(&|_| LinkState::Red)),
        ] {
            let duration_s = seconds as f32;
            phases.push(SignalPhase { duration_s, min_s: duration_s, max_s: duration_s, links });
        }
    }
    let cycle_s: f32 = phases.iter().map(|p| p.duration_s).sum();
    let offset_s = below(cycle_s as u64, seed, u64::from(node.0), 0, Stream::SignalOffset) as f32;
    SignalPlan { id: format!("node {}", node.0), node, offset_s, actuated: false, phases }
}

/// Whether a movement crosses another one that is green at the same time and has to wait for it.
fn yields_in_group(network: &Network, at: usize, group: &[SegmentIndex]) -> bool {
    let movement = &network.movements()[at];
    let heading = |s: SegmentIndex, offset| network.heading(s, offset).get();
    let turn = Turn::of(heading(movement.from, f64::INFINITY), heading(movement.to, 0.0));
    let crossed = |other: &u32| group.contains(&network.movements()[*other as usize].from);
    turn == Turn::Left && movement.conflicts.iter().any(crossed) || movement.yields_to.iter().any(crossed)
}

/// Groups streets by axis, main streets first; if all lie along one axis, each is its own group.
fn by_axis(network: &Network, coming_in: &[SegmentIndex]) -> Vec<Vec<SegmentIndex>> {
    let axis = |s: SegmentIndex| network.heading(s, network.segment(s).length_m).get() % 180.0;
    let mut sorted = coming_in.to_vec();
    sorted.sort_by_key(|s| (network.segment(*s).class, *s));
    let mut groups: Vec<Vec<SegmentIndex>> = Vec::new();
    for &street in &sorted {
        let near = |group: &&mut Vec<SegmentIndex>| {
            let apart = (axis(group[0]) - axis(street)).abs();
            apart.min(180.0 - apart) < AXIS_DEG
        };
        match groups.iter_mut().find(near) {
            Some(group) => group.push(street),
            None => groups.push(vec![street]),
        }
    }
    if groups.len() == 1 { sorted.into_iter().map(|s| vec![s]).collect() } else { groups }
}

/// Long enough that who cannot stop at its begin has crossed the line by its end even if braking all the way.
fn yellow_s(limit_mps: f32) -> u32 {
    let fastest_mm_s = f64::from(limit_mps) * f64::from(FACTOR_PERMILLE_MAX);
    YELLOW_S_MIN.max((fastest_mm_s / YELLOW_DECEL_MM_S2).ceil() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_city_has_signals_whose_groups_take_turns() {
        let network = roads::city(&roads::CityPlan { seed: 3, ..roads::CityPlan::default() });
        let (mut signals, ..) = Signals::new(&network, 3);
        assert!(!signals.all.is_empty(), "no junction has a signal");
        for signal in 0..signals.all.len() {
            let groups = signals.all[signal].groups.len();
            assert!(groups >= 2, "signal {signal} has one group only");
            let mut greens = vec![0; groups];
            for second in 0..300 {
                signals.advance(signal, second * 1_000, |_| false);
                let shown: Vec<_> = (0..groups).map(|g| signals.group_state(signal, g)).collect();
                let going = shown.iter().filter(|s| **s != SignalState::Red).count();
                assert!(going <= 1, "signal {signal}, second {second}: {shown:?}");
                for (green, _) in greens.iter_mut().zip(&shown).filter(|(_, s)| **s == SignalState::Green) {
                    *green += 1;
                }
            }
            assert!(greens.iter().all(|s| *s >= GREEN_MINOR_S), "{greens:?}");
        }
    }

    fn plan(actuated: bool) -> SignalPlan {
        let phase = |duration_s: f32, links| SignalPhase { duration_s, min_s: 5.0, max_s: 20.0, links };
        let phases = vec![phase(10.0, vec![LinkState::Protected]), phase(3.0, vec![LinkState::Red])];
        SignalPlan { id: "s".into(), node: NodeIndex(0), offset_s: 4.0, actuated, phases }
    }

    fn phases(actuated: bool, seconds: i64, wants: impl Fn(i64) -> bool) -> String {
        let plan = plan(actuated);
        let mut signals = Signals {
            running: vec![begin(&plan)],
            links: vec![LinkState::Red],
            first: vec![0],
            all: vec![Signal::new(plan)],
        };
        (0..seconds)
            .map(|s| {
                signals.advance(0, s * 1_000, |_| wants(s));
                char::from(b'0' + signals.running[0].phase as u8)
            })
            .collect()
    }

    #[test]
    fn a_fixed_plan_begins_its_cycle_at_its_offset() {
        assert_eq!(phases(false, 40, |_| true), "0111000000000011100000000001110000000000");
    }

    #[test]
    fn an_actuated_plan_keeps_green_while_somebody_comes_and_no_longer() {
        let nobody = phases(true, 80, |_| false);
        let always = phases(true, 80, |_| true);
        let longest = |s: &str| s.split('1').map(str::len).max().unwrap();
        assert_eq!((longest(&nobody), longest(&always)), (5, 20), "{nobody} {always}");
    }
}
