//! Incidents: what begins and ends at a second.
//!
//! Upstream: the scenario. Downstream: closed pieces and limits of lanes, blocked junctions, dark signals.

use roads::{NodeIndex, SegmentIndex};

use super::{IncidentShown, World};
use crate::scenario::{Disruption, Incident};

impl World {
    /// Lets incidents begin and end; where two lie on one place, what holds is worked out from all that go on.
    pub(super) fn change_incidents(&mut self) {
        let incidents = std::mem::take(&mut self.scenario.incidents);
        for (number, incident) in incidents.iter().enumerate() {
            if incident.begin_s == self.step || incident.end_s == self.step {
                let begins = incident.begin_s == self.step;
                self.begun.push(IncidentShown { incident: number, begins });
            }
        }
        let changed: Vec<usize> = self.begun.iter().map(|shown| shown.incident).collect();
        for number in changed {
            self.apply(&incidents[number].what, &incidents);
        }
        self.scenario.incidents = incidents;
    }

    fn apply(&mut self, changed: &Disruption, all: &[Incident]) {
        let step = self.step;
        let going_on = || all.iter().filter(move |i| (i.begin_s..i.end_s).contains(&step)).map(|i| &i.what);
        match changed {
            Disruption::LaneClosed { segment, lane, .. } => {
                let closed = going_on().filter_map(|what| match what {
                    Disruption::LaneClosed { segment: s, lane: l, from_m, to_m } if s == segment && l == lane => {
                        Some((milli(*from_m), milli(*to_m)))
                    }
                    _ => None,
                });
                // Of several closed pieces of one lane the first counts: who is beyond it came past.
                self.close(*segment, *lane, closed.min());
            }
            Disruption::JunctionBlocked { node } => {
                let blocked =
                    going_on().any(|what| matches!(what, Disruption::JunctionBlocked { node: n } if n == node));
                self.block(*node, blocked);
            }
            Disruption::SlowZone { segments, .. } => {
                for &segment in segments {
                    let limit = going_on().filter_map(|what| match what {
                        Disruption::SlowZone { segments, speed_mps } if segments.contains(&segment) => {
                            Some(milli(*speed_mps))
                        }
                        _ => None,
                    });
                    self.limit(segment, limit.min().unwrap_or(i32::MAX));
                }
            }
            Disruption::SignalOff { node } => {
                let off = going_on().any(|what| matches!(what, Disruption::SignalOff { node: n } if n == node));
                for signal in 0..self.signals.all.len() {
                    if self.signals.all[signal].node == *node {
                        self.signals.running[signal].is_off = off;
                        self.signals.show(signal);
                    }
                }
            }
        }
    }

    fn close(&mut self, segment: SegmentIndex, lane: u8, piece: Option<(i32, i32)>) {
        let lane = self.map.first_lane[segment.at()] + u32::from(lane);
        let part = &mut self.parts[usize::from(self.map.part_of_lane[lane as usize])];
        let l = part.local(&self.map, lane);
        let state = &mut part.lanes[l];
        (state.closed_from_mm, state.closed_to_mm) = piece.unwrap_or((i32::MAX, i32::MAX));
        state.standing = 0;
    }

    fn block(&mut self, node: NodeIndex, blocked: bool) {
        self.blocked[node.at()] = blocked;
    }

    fn limit(&mut self, segment: SegmentIndex, limit_mm_s: i32) {
        for lane in self.map.lanes_of(segment) {
            let part = &mut self.parts[usize::from(self.map.part_of_lane[lane as usize])];
            let l = part.local(&self.map, lane);
            part.lanes[l].limit_mm_s = self.map.lanes[lane as usize].limit_mm_s.min(limit_mm_s);
        }
    }
}

fn milli(x: f32) -> i32 {
    (f64::from(x) * 1_000.0).min(1e9) as i32
}
