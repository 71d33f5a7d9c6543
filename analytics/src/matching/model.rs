//! The hidden Markov model: how well a place explains a fix, and how well a drive explains two of them.
//!
//! Upstream: [`super::track`]. Downstream: [`super::ground`] (what is near), [`super::routes`] (how far it is).
//!
//! After P. Newson and J. Krumm, "Hidden Markov Map Matching Through Noise and Sparseness", ACM SIGSPATIAL 2009:
//! the distance of a fix from its street is Gaussian, and a route is the less likely the more its length differs
//! from the straight line. Costs are negative logarithms of likelihoods (nats); constants that are the same for
//! every candidate are left out.

use events::HeadingDeg;
use roads::{SegmentId, SegmentIndex};
use serde::{Deserialize, Serialize};

use super::ground::{Ground, NONE, Near, Point};
use super::routes::Routes;
use super::{MatchConfig, World};

/// Most candidates of one fix: directed segments. The least likely are left out.
pub const STATES_MAX: usize = 10;

/// Typical error of a course against the direction of the street (30°), and the most that it may cost.
const SIGMA_RAD: f32 = std::f32::consts::FRAC_PI_6;
const HEADING_COST_MAX: f32 = 9.0;

/// What the course of who hardly moves is worth: where a street is driven both ways it decides, and nothing else.
const AT_REST_WEIGHT: f32 = 0.02;

/// A fix from below ground: satellites are not seen there, so one in a hundred is assumed to be from there all the
/// same (ln 100). Routes through tunnels cost nothing.
const BELOW_COST: f32 = 4.6;

/// Entering a service way: one drive in twenty is assumed to (ln 20).
const SERVICE_COST: f32 = 3.0;

/// Turning round within a street: as many metres of detour.
pub(crate) const TURN_ROUND_M: f32 = 60.0;

/// How much faster than the legal limit of the faster end a route may have been driven. Without a bound a loop
/// around the block explains a fix that noise has thrown back.
const SPEEDING: f32 = 1.5;

/// Offsets up to this are the begin of the segment, metres: single precision keeps a hundredth of it.
const ROUNDING_M: f32 = 1e-3;

/// A place right on a junction is the end of the street that leads there sooner than the begin of one that leads away,
/// since all of those are still possible then: more than rounding makes of equal costs, and less than noise does.
const BEGIN_COST: f32 = 0.01;

/// Positions are never better than this, metres: the streets of the map are not.
const SIGMA_M_MIN: f32 = 3.0;

/// Fixes nearer than this to the last one of the model say nothing new, however good they are, metres.
const SKIP_M_MIN: f32 = 15.0;

/// How much longer than the straight line a believable route is: factor and slack, metres.
const DETOUR_FACTOR: f32 = 2.0;
const DETOUR_SLACK_M: f32 = 250.0;

/// "Came from no state".
pub(crate) const START: u8 = u8::MAX;

/// A place on the network that may explain a fix.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) segment: u32,
    pub(crate) offset_m: f32,
    /// Cost of the best drive that ends here, nats; infinite when none does.
    pub(crate) cost: f32,
    /// The state before it on that drive.
    pub(crate) before: u8,
}

/// The states of one fix.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "super::saved::SavedColumn", into = "super::saved::SavedColumn")]
pub(crate) struct Column {
    pub(crate) time_ms: i64,
    pub(crate) at: Point,
    /// Its fix has its final place; only that state is left.
    pub(crate) decided: bool,
    /// The state by which its fix was placed last, [`START`] while by none, and whether that was ahead of the state.
    pub(crate) laid: u8,
    pub(crate) held: bool,
    states: [State; STATES_MAX],
    len: u8,
}

/// The sizes of the model, from the typical error of a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) sigma_m: f32,
    pub(crate) beta_m: f32,
    /// A step back of less than this is noise.
    pub(crate) back_m: f32,
    /// A fix nearer than this to the last one of the model says nothing new.
    pub(crate) skip_m: f32,
    /// Streets are searched within this first, and within `radius_m` when there is none.
    search_m: f32,
    radius_m: f32,
}

/// Scratch space, kept so that nothing is allocated for a fix.
#[derive(Default)]
pub(crate) struct Scratch {
    near: Vec<Near>,
    states: Vec<State>,
}

impl Scale {
    pub(crate) fn new(config: &MatchConfig) -> Self {
        let sigma_m = if config.sigma_m.is_nan() { 6.0 } else { config.sigma_m.clamp(3.0, 30.0) as f32 };
        let radius_m = config.radius_m as f32;
        Self { sigma_m, beta_m: 0.0, back_m: 0.0, skip_m: 0.0, search_m: 0.0, radius_m }.of(sigma_m)
    }

    /// The sizes for another typical error.
    pub(crate) fn of(&self, sigma_m: f32) -> Self {
        let radius_m = self.radius_m;
        let sigma_m = sigma_m.max(SIGMA_M_MIN);
        Self {
            sigma_m,
            beta_m: sigma_m,
            back_m: 4.0 * sigma_m,
            skip_m: (3.0 * sigma_m).max(SKIP_M_MIN),
            search_m: (3.5 * sigma_m).clamp(30.0, 90.0).min(radius_m),
            radius_m,
        }
    }

    /// The longest route that is believed between two fixes so far apart in a straight line, metres.
    pub(crate) fn route_limit_m(&self, straight_m: f32) -> f32 {
        straight_m * DETOUR_FACTOR + self.back_m + DETOUR_SLACK_M
    }
}

impl Column {
    pub(crate) fn new(time_ms: i64, at: Point) -> Self {
        let none = State { segment: NONE, offset_m: 0.0, cost: f32::INFINITY, before: START };
        Self { time_ms, at, decided: false, laid: START, held: false, states: [none; STATES_MAX], len: 0 }
    }

    /// A column of which the answer is known.
    pub(crate) fn known(time_ms: i64, at: Point, segment: u32, offset_m: f32) -> Self {
        let mut column = Self::new(time_ms, at);
        column.states[0] = State { segment, offset_m, cost: 0.0, before: START };
        (column.len, column.decided) = (1, true);
        column
    }

    /// With these states; `None` when they are more than there is room for.
    pub(super) fn of(time_ms: i64, at: Point, decided: bool, states: &[State]) -> Option<Self> {
        let mut column = Self { decided, len: states.len() as u8, ..Self::new(time_ms, at) };
        column.states.get_mut(..states.len())?.copy_from_slice(states);
        Some(column)
    }

    pub(crate) fn states(&self) -> &[State] {
        &self.states[..usize::from(self.len)]
    }

    pub(crate) fn states_mut(&mut self) -> &mut [State] {
        &mut self.states[..usize::from(self.len)]
    }

    /// The state at which the best drive ends; the first of equals.
    pub(crate) fn best(&self) -> usize {
        let states = self.states();
        (1..states.len()).fold(0, |best, i| if states[i].cost < states[best].cost { i } else { best })
    }

    /// Leaves only one state, at no cost.
    pub(crate) fn settle(&mut self, state: usize) {
        let kept = self.states[state];
        *self = Self { decided: true, ..Self::known(self.time_ms, self.at, kept.segment, kept.offset_m) };
    }
}

/// The candidates of one fix with their own costs; none when it is off the network.
///
/// Ties are broken by the stable id of the segment, so that the order of segments in the file does not matter.
pub(crate) fn candidates(world: &mut World, scale: &Scale, course: Option<(HeadingDeg, bool)>, column: &mut Column) {
    let World { network, ground, routes, scratch, .. } = world;
    let shrink = ground.shrink(column.at);
    ground.near(column.at, shrink, scale.search_m, &mut scratch.near);
    if scratch.near.is_empty() && scale.radius_m > scale.search_m {
        ground.near(column.at, shrink, scale.radius_m, &mut scratch.near);
    }
    let weight = if course.is_some_and(|(_, is_moving)| is_moving) { 1.0 } else { AT_REST_WEIGHT };
    let course = course.map(|(h, _)| f64::from(h.get()).to_radians().sin_cos());
    let per_m2 = 0.5 / (scale.sigma_m * scale.sigma_m);
    scratch.states.clear();
    for near in &scratch.near {
        let road = ground.road(near.road);
        let aside = near.distance2_m2 * per_m2;
        let cos = course.map(|(east, north)| east as f32 * near.ahead[0] + north as f32 * near.ahead[1]);
        let state = |segment, offset_m, cos: Option<f32>| {
            let below = if routes.segment(segment).is_below { BELOW_COST } else { 0.0 };
            let begin = if offset_m <= ROUNDING_M { BEGIN_COST } else { 0.0 };
            let cost = aside + below + begin + weight * cos.map_or(0.0, heading_cost);
            State { segment, offset_m, cost, before: START }
        };
        scratch.states.push(state(road.forward, near.offset_m, cos));
        if road.backward != NONE {
            scratch.states.push(state(road.backward, (road.length_m - near.offset_m).max(0.0), cos.map(|c| -c)));
        }
    }
    let id = |s: &State| -> SegmentId { network.segment(SegmentIndex(s.segment)).id };
    let order = |a: &State, b: &State| a.cost.total_cmp(&b.cost).then_with(|| id(a).cmp(&id(b)));
    if scratch.states.len() > STATES_MAX {
        scratch.states.select_nth_unstable_by(STATES_MAX, order);
        scratch.states.truncate(STATES_MAX);
    }
    scratch.states.sort_unstable_by(order);
    column.len = scratch.states.len() as u8;
    column.states[..scratch.states.len()].copy_from_slice(&scratch.states);
}

/// What a reported course against the direction of the street costs, from the cosine of the angle between.
///
/// The square of the angle by the series of the squared arc cosine, `2x + x²/3 + 4x³/45 + x⁴/35`, `x = 1 − cos`:
/// within 1 % up to 90°, and what costs more than that is at the bound anyway.
fn heading_cost(cos: f32) -> f32 {
    let x = 1.0 - cos.clamp(-1.0, 1.0);
    let angle2 = x * (2.0 + x * (1.0 / 3.0 + x * (4.0 / 45.0 + x / 35.0)));
    (0.5 * angle2 / (SIGMA_RAD * SIGMA_RAD)).min(HEADING_COST_MAX)
}

/// One step of Viterbi's algorithm: the best drive to every state of `to`. `false` when no drive leads to any, and then
/// `to` is as it was.
pub(crate) fn forward(ground: &Ground, routes: &mut Routes, scale: &Scale, from: &Column, to: &mut Column) -> bool {
    let straight_m = straight_m(ground, from.at, to.at);
    let span = Span::new(scale, from.time_ms, to.time_ms, straight_m);
    let fastest_mps = to.states().iter().map(|b| routes.segment(b.segment).limit_mps).fold(0.0, f32::max);
    let mut best = [(f32::INFINITY, START); STATES_MAX];
    let mut order = [0_u8; STATES_MAX];
    let order = cheapest_first(from.states(), &mut order);
    for &k in order {
        let a = &from.states[usize::from(k)];
        if best[..usize::from(to.len)].iter().all(|b| b.0 <= a.cost) {
            break;
        }
        // A row is needed only where something can be reached beyond the end of the segment.
        let beyond_m = span.reach_m(scale, routes.segment(a.segment).limit_mps.max(fastest_mps)) - left_m(routes, a);
        if beyond_m > 0.0 {
            routes.ask(a.segment, beyond_m);
        }
        for (b, best) in to.states[..usize::from(to.len)].iter().zip(&mut best) {
            // No route costs less than nothing, and what comes later costs more.
            if a.cost >= best.0 {
                continue;
            }
            let Some(route_m) = route_m(ground, routes, scale, a, b, &span) else { continue };
            let enters = routes.segment(b.segment).is_service && !routes.segment(a.segment).is_service;
            let service = if enters { SERVICE_COST } else { 0.0 };
            let cost = a.cost + service + (route_m - straight_m).abs() / scale.beta_m;
            if cost < best.0 {
                *best = (cost, k);
            }
        }
    }
    if best.iter().all(|b| b.1 == START) {
        return false;
    }
    for (state, (cost, before)) in to.states_mut().iter_mut().zip(best) {
        (state.cost, state.before) = (state.cost + cost, before);
    }
    true
}

/// The states that end a drive, cheapest first; the first of equals first.
fn cheapest_first<'o>(states: &[State], order: &'o mut [u8; STATES_MAX]) -> &'o [u8] {
    let mut len = 0;
    for (i, state) in states.iter().enumerate().filter(|(_, s)| s.cost.is_finite()) {
        let mut at = len;
        while at > 0 && states[usize::from(order[at - 1])].cost > state.cost {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = i as u8;
        len += 1;
    }
    &order[..len]
}

/// What lies between two fixes of the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) straight_m: f32,
    /// The longest route that is believed.
    pub(crate) limit_m: f32,
    took_s: f32,
}

impl Span {
    pub(crate) fn new(scale: &Scale, from_ms: i64, to_ms: i64, straight_m: f32) -> Self {
        Self { straight_m, limit_m: scale.route_limit_m(straight_m), took_s: (to_ms - from_ms) as f32 / 1_000.0 }
    }

    /// The longest route that is believed between streets of which the faster has this limit, metres.
    fn reach_m(&self, scale: &Scale, limit_mps: f32) -> f32 {
        let in_time_m = SPEEDING * limit_mps * self.took_s;
        self.limit_m.min(in_time_m.max(self.straight_m) + 3.0 * scale.sigma_m)
    }
}

/// Metres from a state to the end of its segment.
fn left_m(routes: &Routes, state: &State) -> f32 {
    routes.segment(state.segment).length_m - state.offset_m
}

/// Straight distance between two places, metres.
pub(crate) fn straight_m(ground: &Ground, a: Point, b: Point) -> f32 {
    let middle = Point { x: a.x, y: (a.y + b.y) / 2.0 };
    let (east, north) = ((b.x - a.x) * ground.shrink(middle), b.y - a.y);
    (east * east + north * north).sqrt()
}

/// Metres driven from one state to the next as the model counts them: a short step back is standing still, and
/// turning round costs a detour. `None` when there is no route within the limit. The routes from `a` were asked for.
pub(crate) fn route_m(
    ground: &Ground,
    routes: &Routes,
    scale: &Scale,
    a: &State,
    b: &State,
    span: &Span,
) -> Option<f32> {
    if a.segment == b.segment {
        let ahead_m = b.offset_m - a.offset_m;
        if ahead_m >= 0.0 {
            return Some(ahead_m);
        }
        if ahead_m > -scale.back_m {
            return Some(0.0);
        }
    }
    let (from, to) = (*routes.segment(a.segment), *routes.segment(b.segment));
    let turned = b.segment == ground.way_back(a.segment);
    // Only what was entered can be left backwards: a state right at the begin of its segment is as well at the end of
    // any street that leads there, and from one that was not driven it would be a turn for nothing.
    let entered = a.offset_m > ROUNDING_M && a.segment != b.segment;
    if entered && !turned && to.to == from.from && to.length_m - b.offset_m + a.offset_m < scale.back_m {
        return Some(0.0);
    }
    let left_m = left_m(routes, a);
    let rest_m = left_m + b.offset_m;
    let limit_m = span.reach_m(scale, from.limit_mps.max(to.limit_mps));
    let through = if rest_m > limit_m { None } else { routes.row(a.segment).and_then(|r| r.length_m(b.segment)) };
    let through = through.map(|m| m + rest_m).filter(|&m| m <= limit_m);
    if !turned {
        return through;
    }
    let round_m = (left_m - b.offset_m).abs() + TURN_ROUND_M;
    Some(through.map_or(round_m, |m| m.min(round_m)))
}
