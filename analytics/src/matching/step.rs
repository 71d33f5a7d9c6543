//! Two neighbouring fixes → the segments driven between them, with distance and time shared out.
//!
//! Upstream: the track in [`super`]. Downstream: [`crate::cell`] cuts the traversals at pane borders.
//!
//! The distance of a step is the straight line between its fixes while that is short, since then it is what
//! was driven, and the length of the driven path beyond [`STRAIGHT_M_MAX`], where a straight line cuts corners.

use events::LonLat;
use roads::{Candidate, Network, SegmentIndex, path};

use super::place::Spot;
use crate::cell::Traversal;

/// Steps up to this length count as straight, metres: at 1 Hz and 50 m/s everything is.
pub const STRAIGHT_M_MAX: f64 = 50.0;

/// How much longer than the straight line a believable drive is: factor and slack, metres.
const DETOUR_FACTOR: f64 = 2.0;
const DETOUR_SLACK_M: f64 = 150.0;

/// A step: when, where on the network, and where on the ground it begins and ends.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub from: (i64, Spot, LonLat),
    pub to: (i64, Spot, LonLat),
    /// Straight distance, metres.
    pub moved_m: f64,
}

/// Scratch space of the path search, used again for every step.
#[derive(Default)]
pub struct Search {
    scratch: path::Search,
    candidates: Vec<Candidate>,
    pieces: Vec<(Option<SegmentIndex>, f64)>,
}

impl Search {
    /// Shares a step out over the segments driven; `false` when nothing can be said and nothing was emitted.
    pub fn drive(&mut self, network: &Network, ends: &Ends, radius_m: f64, emit: impl FnMut(Traversal)) -> bool {
        self.pieces.clear();
        let known = match (ends.from.1, ends.to.1) {
            (Spot::On { segment: a, offset_m: from_m }, Spot::On { segment: b, offset_m: to_m }) => {
                if a == b {
                    self.pieces.push((Some(a), 1.0));
                    true
                } else {
                    self.between(network, (a, from_m), (b, to_m), ends, radius_m)
                }
            }
            (Spot::On { segment, offset_m }, Spot::Junction) => {
                let left_m = (network.segment(segment).length_m - offset_m).clamp(0.0, ends.moved_m);
                self.pieces.extend([(Some(segment), left_m), (None, ends.moved_m - left_m)]);
                true
            }
            (Spot::Junction, Spot::On { segment, offset_m }) => {
                let entered_m = offset_m.clamp(0.0, ends.moved_m);
                self.pieces.extend([(None, ends.moved_m - entered_m), (Some(segment), entered_m)]);
                true
            }
            (Spot::Junction, Spot::Junction) => true,
            (Spot::Off, _) | (_, Spot::Off) => false,
        };
        if known {
            self.share_out(ends, emit);
        }
        known
    }

    /// Finds the pieces between two different segments.
    fn between(
        &mut self,
        network: &Network,
        (a, from_m): (SegmentIndex, f64),
        (b, to_m): (SegmentIndex, f64),
        ends: &Ends,
        radius_m: f64,
    ) -> bool {
        let left_m = (network.segment(a).length_m - from_m).max(0.0);
        let limit_m = ends.moved_m * DETOUR_FACTOR + DETOUR_SLACK_M;
        if network.successors(a).contains(&b) {
            self.pieces.extend([(Some(a), left_m), (Some(b), to_m)]);
            return true;
        }
        if let Some(route) = self.scratch.shortest(network, a, b, limit_m)
            && left_m + route.length_m + to_m <= limit_m
        {
            let middle = &route.segments[1..route.segments.len() - 1];
            self.pieces.push((Some(a), left_m));
            self.pieces.extend(middle.iter().map(|&s| (Some(s), network.segment(s).length_m)));
            self.pieces.push((Some(b), to_m));
            return true;
        }
        // The first fixes of a vehicle do not know their direction yet: if the earlier one lies beside the
        // later one's segment as well, the whole step was there.
        network.nearest(ends.from.2, radius_m, &mut self.candidates);
        if self.candidates.iter().any(|c| c.segment == b && c.offset_m > 0.0 && c.offset_m <= to_m) {
            self.pieces.push((Some(b), 1.0));
            return true;
        }
        // Near enough that nothing else can have been driven: half and half keeps every metre and second.
        if ends.moved_m <= STRAIGHT_M_MAX {
            self.pieces.extend([(Some(a), 1.0), (Some(b), 1.0)]);
            return true;
        }
        false
    }

    /// Shares distance and time over the pieces by length; the parts add up to the whole exactly.
    fn share_out(&self, ends: &Ends, mut emit: impl FnMut(Traversal)) {
        let pieces_m: f64 = self.pieces.iter().map(|p| p.1).sum();
        let long_way = ends.moved_m > STRAIGHT_M_MAX && self.pieces.len() > 1;
        let step_m = if long_way { pieces_m.max(ends.moved_m) } else { ends.moved_m };
        let step_mm = (step_m * 1_000.0).round() as i64;
        let (start_ms, took_ms) = (ends.from.0, ends.to.0 - ends.from.0);
        let (mut done_m, mut done_mm, mut at_ms) = (0.0, 0, start_ms);
        for (i, &(segment, piece_m)) in self.pieces.iter().enumerate() {
            done_m += piece_m;
            let last = i + 1 == self.pieces.len();
            let share = if pieces_m > 0.0 { done_m / pieces_m } else { 1.0 };
            let upto_mm = if last { step_mm } else { (step_mm as f64 * share).round() as i64 };
            let upto_ms = if last { ends.to.0 } else { start_ms + (took_ms as f64 * share).round() as i64 };
            if let Some(segment) = segment {
                emit(Traversal { segment, enter_ms: at_ms, leave_ms: upto_ms, distance_mm: upto_mm - done_mm });
            }
            (done_mm, at_ms) = (upto_mm, upto_ms);
        }
    }
}
