//! Fixed-time signals: which junctions have one, its groups, and what each group shows when.
//!
//! A junction has a signal when at least three streets of class tertiary or higher come in: where a side street meets
//! a main one, drivers sort it out themselves. Streets that come in along one axis share a group. Upstream: the network. Downstream:
//! the world (who may go), the sensors (changes).

use events::SignalState;
use roads::{Network, NodeIndex, RoadClass, SegmentIndex};

use crate::random::{Stream, below};
use crate::vehicle::{DECEL_MM_S2, FACTOR_PERMILLE_MAX};

/// Green for a group with a street of class tertiary or higher, seconds; an ordinary urban split, assumed.
const GREEN_MAJOR_S: u32 = 32;

/// Green for every other group, seconds; assumed.
const GREEN_MINOR_S: u32 = 18;

/// Least yellow, seconds (RiLSA, Germany: 3 s at 50 km/h).
const YELLOW_S_MIN: u32 = 3;

/// All groups red between two greens, seconds; assumed.
const ALL_RED_S: u32 = 2;

/// Streets come in along one axis when they differ by less than this from the first of the group, degrees.
const AXIS_DEG: f32 = 45.0;

/// The signal of one junction.
#[derive(Clone, Debug)]
pub struct Signal {
    pub node: NodeIndex,
    /// Streets that come in, by group.
    pub groups: Vec<Vec<SegmentIndex>>,
    phases: Vec<Phase>,
    cycle_s: u32,
    offset_s: u32,
}

/// One group's green and yellow within the cycle.
#[derive(Clone, Copy, Debug)]
struct Phase {
    green_begin_s: u32,
    green_end_s: u32,
    yellow_end_s: u32,
}

impl Signal {
    /// What a group shows during second `step`.
    ///
    /// # Panics
    /// If the junction has no such group.
    pub fn state(&self, group: usize, step: u64) -> SignalState {
        let at = ((step + u64::from(self.offset_s)) % u64::from(self.cycle_s)) as u32;
        let phase = self.phases[group];
        if (phase.green_begin_s..phase.green_end_s).contains(&at) {
            SignalState::Green
        } else if (phase.green_end_s..phase.yellow_end_s).contains(&at) {
            SignalState::Yellow
        } else {
            SignalState::Red
        }
    }

    /// Length of the cycle, seconds.
    pub fn cycle_s(&self) -> u32 {
        self.cycle_s
    }

    fn new(network: &Network, node: NodeIndex, coming_in: &[SegmentIndex], fastest_mps: &[f32], seed: u64) -> Self {
        let groups = by_axis(network, coming_in);
        let mut phases = Vec::new();
        let mut at = 0;
        for group in &groups {
            let major = group.iter().any(|s| network.segment(*s).class <= RoadClass::Tertiary);
            let green_end_s = at + if major { GREEN_MAJOR_S } else { GREEN_MINOR_S };
            let fastest = group.iter().map(|s| fastest_mps[s.at()]).fold(0.0, f32::max);
            let yellow_end_s = green_end_s + yellow_s(fastest);
            phases.push(Phase { green_begin_s: at, green_end_s, yellow_end_s });
            at = yellow_end_s + ALL_RED_S;
        }
        let offset_s = below(u64::from(at), seed, u64::from(node.0), 0, Stream::SignalOffset) as u32;
        Self { node, groups, phases, cycle_s: at, offset_s }
    }
}

/// All signals of a network.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    pub(crate) all: Vec<Signal>,
    /// Signal and group by segment that comes in.
    group_of: Vec<Option<(u32, u16)>>,
}

impl Signals {
    pub(crate) fn new(network: &Network, seed: u64) -> Self {
        let mut coming_in: Vec<Vec<SegmentIndex>> = vec![Vec::new(); network.nodes().len()];
        for at in network.indices() {
            coming_in[network.segment(at).to.at()].push(at);
        }
        // Whoever comes from a faster street may not have slowed down yet.
        let mut fastest_mps: Vec<f32> = network.segments().iter().map(|s| s.speed_limit_mps).collect();
        for at in network.indices() {
            let limit = network.segment(at).speed_limit_mps;
            for next in network.successors(at) {
                fastest_mps[next.at()] = fastest_mps[next.at()].max(limit);
            }
        }
        let mut all = Vec::new();
        let mut group_of = vec![None; network.segments().len()];
        for (node, coming_in) in coming_in.iter().enumerate() {
            if !needs_signal(network, coming_in) {
                continue;
            }
            let signal = Signal::new(network, NodeIndex(node as u32), coming_in, &fastest_mps, seed);
            for (group, streets) in signal.groups.iter().enumerate() {
                for street in streets {
                    group_of[street.at()] = Some((all.len() as u32, group as u16));
                }
            }
            all.push(signal);
        }
        Self { all, group_of }
    }

    /// What is shown at the end of a segment during second `step`; `None` where there is no signal.
    pub(crate) fn shown(&self, at: SegmentIndex, step: u64) -> Option<SignalState> {
        self.group_of[at.at()].map(|(signal, group)| self.all[signal as usize].state(usize::from(group), step))
    }
}

fn needs_signal(network: &Network, coming_in: &[SegmentIndex]) -> bool {
    let class = |s: &SegmentIndex| network.segment(*s).class;
    coming_in.iter().filter(|s| class(s) <= RoadClass::Tertiary).count() >= 3
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
    let fastest_mm_s = f64::from(limit_mps) * FACTOR_PERMILLE_MAX as f64;
    YELLOW_S_MIN.max((fastest_mm_s / DECEL_MM_S2 as f64).ceil() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_city_has_signals_whose_groups_take_turns() {
        let network = roads::city(&roads::CityPlan { seed: 3, ..roads::CityPlan::default() });
        let signals = Signals::new(&network, 3);
        assert!(!signals.all.is_empty(), "no junction has a signal");
        for signal in &signals.all {
            assert!(signal.groups.len() >= 2, "node {:?} has one group only", signal.node);
            let mut greens = vec![0; signal.groups.len()];
            for step in 0..u64::from(signal.cycle_s()) {
                let shown: Vec<_> = (0..signal.groups.len()).map(|g| signal.state(g, step)).collect();
                let going = shown.iter().filter(|s| **s != SignalState::Red).count();
                assert!(going <= 1, "node {:?}, second {step}: {shown:?}", signal.node);
                for (green, _) in greens.iter_mut().zip(&shown).filter(|(_, s)| **s == SignalState::Green) {
                    *green += 1;
                }
            }
            assert!(greens.iter().all(|s| *s >= GREEN_MINOR_S), "{greens:?}");
        }
    }
}
