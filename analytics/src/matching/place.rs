//! States of the model → spots: what a vehicle is said to be at, moving forward only.
//!
//! Upstream: [`super::track`], which knows the best drive. Downstream: [`super::step`].
//!
//! Noise pulls a vehicle back and forth along its street; taken literally that would be a drive of its own. So a
//! step back within noise holds the spot that was reached, and the fixes between two of the model are laid on the
//! route between them, each no farther back than the one before.

use events::HeadingDeg;
use roads::SegmentIndex;
use serde::{Deserialize, Serialize};

use super::ground::{Ground, Point};
use super::model::Scale;
use super::routes::Routes;

/// Where a fix was placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spot {
    On {
        segment: SegmentIndex,
        offset_m: f64,
    },
    /// Inside a junction of the source's own network.
    Junction,
    /// On no segment.
    Off,
}

/// A place on a segment, packed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct On {
    pub(crate) segment: u32,
    pub(crate) offset_m: f32,
}

/// The spot of a state when the vehicle was at `last` before: `last` itself when the state is a step back within
/// noise, also over one junction. While a spot is `held` already, several such steps may add up.
pub(crate) fn hold(ground: &Ground, routes: &Routes, scale: &Scale, last: Option<On>, held: bool, state: On) -> On {
    let Some(last) = last else { return state };
    let back_m = if last.segment == state.segment {
        last.offset_m - state.offset_m
    } else {
        let (was, now) = (routes.segment(last.segment), routes.segment(state.segment));
        if now.to != was.from || state.segment == ground.way_back(last.segment) {
            return state;
        }
        now.length_m - state.offset_m + last.offset_m
    };
    let noise_m = if held { 3.0 * scale.back_m } else { scale.back_m };
    if back_m > 0.0 && back_m < noise_m { last } else { state }
}

/// The route between two spots, on which the fixes between them are laid.
pub(crate) struct Stretch {
    begin: On,
    end: On,
    /// Segments from begin to end, both included; one when they are the same.
    route: Vec<SegmentIndex>,
    /// Each of them follows the one before.
    is_connected: bool,
    /// How far along `route` the last fix was laid.
    at: usize,
    last: On,
}

impl Default for Stretch {
    fn default() -> Self {
        let nowhere = On { segment: 0, offset_m: 0.0 };
        Self { begin: nowhere, end: nowhere, route: Vec::new(), is_connected: true, at: 0, last: nowhere }
    }
}

impl Stretch {
    /// From a spot to the next one that is known, or to the end of its segment when none is yet.
    pub(crate) fn set(&mut self, routes: &mut Routes, scale: &Scale, begin: On, end: Option<On>, straight_m: f32) {
        let length_m = routes.segment(begin.segment).length_m;
        let end = end.unwrap_or(On { segment: begin.segment, offset_m: length_m });
        self.route.clear();
        self.is_connected = true;
        if begin.segment != end.segment || end.offset_m < begin.offset_m {
            let limit_m = scale.route_limit_m(straight_m);
            if routes.between(begin.segment, end.segment, limit_m, &mut self.route).is_some() {
                self.route.push(SegmentIndex(end.segment));
            } else if begin.segment != end.segment {
                // Turned round, or nothing is known: on the one or the other.
                self.is_connected = false;
                self.route.push(SegmentIndex(end.segment));
            }
        }
        self.route.insert(0, SegmentIndex(begin.segment));
        (self.begin, self.end, self.at, self.last) = (begin, end, 0, begin);
    }

    /// Lays one fix on the route, not behind the one laid before; and before a junction, if it is less than `line_m`
    /// behind it: who stands there waits at the stop line, and noise has carried it over. Both directions of a street are
    /// equally near; `course` is that of a moving vehicle, and tells whether it has turned round.
    pub(crate) fn lay(
        &mut self,
        ground: &Ground,
        routes: &Routes,
        at: Point,
        course: Option<HeadingDeg>,
        line_m: f32,
    ) -> On {
        let mut best = (f32::INFINITY, self.at, self.last);
        for (i, segment) in self.route.iter().enumerate().skip(self.at) {
            let turns = self.route.get(i + 1).is_some_and(|next| next.0 == ground.way_back(segment.0));
            if turns && course.is_some_and(|course| ground.is_against(at, segment.0, course)) {
                continue;
            }
            let length_m = routes.segment(segment.0).length_m;
            let low = if i == self.at { self.last.offset_m } else { 0.0 };
            let high = if i + 1 == self.route.len() { self.end.offset_m } else { length_m };
            let (distance2, offset_m) = ground.project(at, segment.0, length_m);
            // Beyond the stretch it is nearer to the end than it looks from here.
            let over_m = (low - offset_m).max(offset_m - high).max(0.0);
            let distance2 = distance2 + over_m * over_m;
            if distance2 < best.0 {
                let offset_m = offset_m.max(low).min(high.max(low));
                best = (distance2, i, On { segment: segment.0, offset_m });
            }
        }
        if best.1 > self.at && best.2.offset_m < line_m && self.is_connected {
            let before = self.route[best.1 - 1].0;
            best = (best.0, best.1 - 1, On { segment: before, offset_m: routes.segment(before).length_m });
        }
        (self.at, self.last) = (best.1, best.2);
        self.last
    }
}
