//! A recording → what is decided about it: one row a fix and one row a traversal, each once and for good.
//!
//! Upstream: `arterial match`. Downstream: [`crate::output`] writes the rows.
//!
//! **Confidence** is the likelihood of the best drive against that of the best drive through another candidate at
//! that fix, `1 / (1 + exp(best − second))` in nats: 0.5 when the two are level, 1 when there is no second. A fix
//! that the model skipped has that of the fix it was skipped for, a traversal the lowest of its fixes.

use std::sync::Arc;

use roads::{Network, SegmentIndex};

use super::fix::{Fix, Role};
use super::model::straight_m;
use super::place::Spot;
use super::step::Drive;
use super::track::Taken;
use super::{Break, MatchConfig, MatchCounts, Matcher, Observed};

/// Most vehicles that are remembered at once; when there are more, all drives end here.
pub const VEHICLES_MAX: usize = 1_000_000;

/// Pieces of a step up to this are none, metres: lengths of segments are kept to a hundredth of it.
const ROUNDING_M: f64 = 1e-3;

/// Why a fix is on no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoMatch {
    /// Farther than the radius from every segment.
    OffNetwork,
    /// Inside a junction of the source's own network.
    Junction,
    /// Standing for longer than any queue does.
    Parked,
    /// Alone, faster than any vehicle from the fix before and to the fix behind it.
    Jump,
    /// Alone, with no route from the fix before or to the fix behind it.
    Break,
}

impl NoMatch {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::OffNetwork, Self::Junction, Self::Parked, Self::Jump, Self::Break];

    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::OffNetwork => "off_network",
            Self::Junction => "junction",
            Self::Parked => "parked",
            Self::Jump => "jump",
            Self::Break => "break",
        }
    }
}

/// A place on the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    pub segment: SegmentIndex,
    pub offset_m: f64,
    /// From the fix to its place.
    pub distance_m: f64,
    /// 0 to 1.
    pub confidence: f32,
}

/// What was decided, in time order within a vehicle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Row {
    Fix {
        vehicle: u64,
        time_ms: i64,
        place: Result<Placed, NoMatch>,
    },
    Traversal(Traversed),
    /// An unbroken drive ended; `None` at the end of the recording.
    End {
        vehicle: u64,
        reason: Option<Break>,
    },
}

/// A stretch of one vehicle's drive on one segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traversed {
    pub vehicle: u64,
    pub segment: SegmentIndex,
    pub enter_ms: i64,
    pub leave_ms: i64,
    /// Along the segment.
    pub distance_m: f64,
    /// Where on the segment it begins, metres.
    pub from_m: f64,
    /// 0 to 1.
    pub confidence: f32,
}

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Traversals,
    Fixes,
}

/// Matches a recording.
pub struct Recording {
    matcher: Matcher,
    wanted: Wanted,
    /// By place of the track: the traversal that goes on, and the confidence of the last kept fix.
    open: Vec<(Option<Traversed>, f32)>,
}

impl Recording {
    /// Nothing seen yet.
    pub fn new(network: Arc<Network>, config: MatchConfig, wanted: Wanted) -> Self {
        Self { matcher: Matcher::new(network, config), wanted, open: Vec::new() }
    }

    /// What became of fixes and steps so far.
    pub fn counts(&self) -> MatchCounts {
        self.matcher.counts
    }

    /// Takes one fix in and tells what is decided by it.
    pub fn take(&mut self, seen: &Observed, mut row: impl FnMut(Row)) {
        let fix = self.matcher.world.fix(seen);
        if self.matcher.vehicles() >= VEHICLES_MAX && !self.matcher.by_vehicle.contains_key(&seen.vehicle) {
            self.finish(&mut row);
        }
        let place = self.matcher.track(seen.vehicle);
        if self.open.len() <= place {
            self.open.resize(place + 1, (None, 1.0));
        }
        let taken = self.matcher.tracks[place].take(&mut self.matcher.world, fix);
        match taken {
            Taken::Last => {}
            Taken::Redone => self.matcher.counts.redone += 1,
            Taken::SameMoment => self.matcher.counts.same_moment += 1,
            Taken::TooLate => self.matcher.counts.too_late += 1,
        }
        self.leave(place, false, &mut row);
    }

    /// Decides what is left and ends every drive.
    pub fn finish(&mut self, mut row: impl FnMut(Row)) {
        for place in 0..self.open.len() {
            self.leave(place, true, &mut row);
        }
        self.matcher.by_vehicle.clear();
        self.matcher.tracks.clear();
        self.matcher.free.clear();
        self.open.clear();
    }

    /// Tells the fixes that leave a track's memory, and the steps from them.
    fn leave(&mut self, place: usize, all: bool, row: &mut impl FnMut(Row)) {
        while let Some(fix) = self.matcher.tracks[place].shed(&mut self.matcher.world, all) {
            let vehicle = self.matcher.tracks[place].vehicle;
            let next = self.matcher.tracks[place].fixes.front().copied();
            self.fix(place, vehicle, &fix, next.as_ref(), row);
            match next {
                Some(next) => self.step(place, vehicle, &fix, &next, row),
                None => self.end(place, vehicle, None, row),
            }
        }
    }

    fn fix(&mut self, place: usize, vehicle: u64, fix: &Fix, next: Option<&Fix>, row: &mut impl FnMut(Row)) {
        if fix.role == Role::Kept {
            self.open[place].1 = fix.confidence();
        }
        let counts = &mut self.matcher.counts;
        let found = match (fix.spot(), alone(fix, next)) {
            (Spot::On { segment, offset_m }, None) => Ok((segment, offset_m)),
            (Spot::On { .. }, Some(reason)) => Err(reason),
            (Spot::Junction, _) => Err(NoMatch::Junction),
            (Spot::Off, _) if fix.role == Role::Parked => Err(NoMatch::Parked),
            (Spot::Off, _) => Err(NoMatch::OffNetwork),
        };
        match found {
            Ok(_) | Err(NoMatch::Jump | NoMatch::Break) => counts.placed += 1,
            Err(NoMatch::Junction) => counts.in_junction += 1,
            Err(NoMatch::Parked) => counts.parked += 1,
            Err(NoMatch::OffNetwork) => counts.off_network += 1,
        }
        if self.wanted == Wanted::Fixes {
            let network = &self.matcher.world.network;
            let confidence = self.open[place].1;
            let place = found.map(|(segment, offset_m)| {
                let distance_m = network.place(segment, offset_m).distance_m(fix.at);
                Placed { segment, offset_m, distance_m, confidence }
            });
            row(Row::Fix { vehicle, time_ms: fix.time_ms, place });
        }
    }

    fn step(&mut self, place: usize, vehicle: u64, from: &Fix, to: &Fix, row: &mut impl FnMut(Row)) {
        // Only for limits: the plane is near enough.
        let ground = &self.matcher.world.ground;
        let moved_m = straight_m(ground, from.point(ground), to.point(ground));
        let found = self.matcher.world.step(from, to, f64::from(moved_m));
        let counts = &mut self.matcher.counts;
        let reason = match found {
            Ok((_, Drive::Known)) => {
                counts.steps += 1;
                if self.wanted == Wanted::Traversals {
                    self.go_on(place, vehicle, from, to, row);
                }
                return;
            }
            Ok((_, Drive::Bridged | Drive::None)) => {
                (counts.steps, counts.bridged) = (counts.steps + 1, counts.bridged + 1);
                Break::NoRoute
            }
            Err(reason) => {
                match reason {
                    Break::Gap => counts.gaps += 1,
                    Break::Jump => counts.jumps += 1,
                    Break::NoRoute => counts.breaks += 1,
                    Break::OffNetwork => counts.off_steps += 1,
                    Break::Parked => counts.parked_steps += 1,
                }
                reason
            }
        };
        self.end(place, vehicle, Some(reason), row);
    }

    /// Goes on along the pieces of a step, at constant speed.
    fn go_on(&mut self, place: usize, vehicle: u64, from: &Fix, to: &Fix, row: &mut impl FnMut(Row)) {
        let pieces = &self.matcher.world.pieces.list;
        // Turning round at a junction is a piece of nothing, or of what rounding makes of it.
        let driven = |p: &(Option<SegmentIndex>, f64)| p.1 > ROUNDING_M || pieces.len() == 1;
        let all_m: f64 = pieces.iter().filter(|p| driven(p)).map(|p| p.1).sum();
        let took_ms = (to.time_ms - from.time_ms) as f64;
        let begins_m = match from.spot() {
            Spot::On { offset_m, .. } => offset_m,
            Spot::Junction | Spot::Off => 0.0,
        };
        let (open, confidence) = &mut self.open[place];
        if let (true, Some(open)) = (all_m == 0.0, open.as_mut()) {
            // Standing, perhaps right at a junction: the time belongs to where it is already.
            open.leave_ms = to.time_ms;
            return;
        }
        let sure = if to.role == Role::Kept { confidence.min(to.confidence()) } else { *confidence };
        let (mut done_m, mut at_ms) = (0.0, from.time_ms);
        for (i, &(segment, piece_m)) in pieces.iter().enumerate() {
            if !driven(&(segment, piece_m)) {
                continue;
            }
            done_m += piece_m;
            let share = if all_m > 0.0 { done_m / all_m } else { 1.0 };
            let leave_ms = from.time_ms + (took_ms * share).round() as i64;
            match (segment, open.as_mut()) {
                (Some(segment), Some(o)) if o.segment == segment => {
                    (o.leave_ms, o.distance_m) = (leave_ms, o.distance_m + piece_m);
                    o.confidence = o.confidence.min(sure);
                }
                (Some(segment), _) => {
                    let from_m = if i == 0 { begins_m } else { 0.0 };
                    let (enter_ms, distance_m) = (at_ms, piece_m);
                    let next = Traversed { vehicle, segment, enter_ms, leave_ms, distance_m, from_m, confidence: sure };
                    if let Some(done) = open.replace(next) {
                        row(Row::Traversal(done));
                    }
                }
                (None, _) => {}
            }
            at_ms = leave_ms;
        }
    }

    fn end(&mut self, place: usize, vehicle: u64, reason: Option<Break>, row: &mut impl FnMut(Row)) {
        if let Some(done) = self.open[place].0.take() {
            row(Row::Traversal(done));
            row(Row::End { vehicle, reason });
        }
    }
}

/// Whether a fix hangs together with none of its neighbours, and why.
fn alone(fix: &Fix, next: Option<&Fix>) -> Option<NoMatch> {
    match (fix.start?, next?.start?) {
        (Break::Jump, Break::Jump) => Some(NoMatch::Jump),
        (Break::NoRoute | Break::Jump, Break::NoRoute | Break::Jump) => Some(NoMatch::Break),
        (Break::Gap | Break::OffNetwork | Break::Parked, _) | (_, Break::Gap | Break::OffNetwork | Break::Parked) => {
            None
        }
    }
}
