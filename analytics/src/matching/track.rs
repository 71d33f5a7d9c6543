//! One vehicle: its last fixes, the undecided part of its drive, and how one more fix changes both.
//!
//! Upstream: [`super::Matcher`]. Downstream: [`super::model`] (the best drive), [`super::place`] (spots).
//!
//! Fixes nearer than 3 σ to the last one of the model are skipped: they say nothing new, and noise would make a
//! drive of them. The others become columns of the model. A column is decided, for good, when `look_back_fixes`
//! columns or `look_back_ms` lie behind it; states that do not come from the decided one are dropped, so that
//! what is decided later continues it. A fix that arrives late is put into its place and everything that is still
//! remembered is done again; what has left memory stays as it is.

mod provisional;
mod standing;

use std::collections::VecDeque;
use std::num::NonZeroU64;

use events::LonLat;
use serde::{Deserialize, Serialize};

use super::fix::{Fix, Role};
use super::ground::Point;
use super::model::{self, Column, STATES_MAX, Scale};
use super::place::{self, On};
use super::smooth::Filter;
use super::{Break, World};

/// Most fixes that a track keeps. A later arrival that belongs before all of them cannot be placed any more.
pub const TRACK_FIXES_MAX: usize = 22;

/// A receiver whose fixes lie less aside of the streets than this is believed at a junction, metres.
const EXACT_M: f32 = 1.0;

/// A receiver whose fixes lie less aside than this has no error to speak of, metres.
const NO_ERROR_M: f32 = 0.1;

/// A receiver whose fixes lie farther aside than this has an error that is worth reckoning with, metres: lanes and maps
/// are off by less.
const DRIFT_M: f32 = 3.0;

/// How much a decided fix counts in the mean of how far fixes lie aside.
const ASIDE_SHARE: f32 = 0.125;

/// A fix is beyond the end of a street when it is farther from it than this, metres: more than rounding makes.
const BEYOND_M: f32 = 0.02;

/// What is remembered of one vehicle.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Track {
    pub(crate) vehicle: u64,
    pub(crate) fixes: VecDeque<Fix>,
    columns: VecDeque<Column>,
    /// So many of the first fixes have their final place.
    decided: usize,
    /// Where the last of them was on this drive.
    base: Option<On>,
    /// The base is ahead of what the model says, since noise pulled the fix back.
    held: bool,
    /// Set when older fixes were let go: the first one kept is final, and what is older than it is too late.
    pub(crate) shortened: bool,
    /// Where it began to stand off the network.
    #[serde(with = "super::saved::since")]
    off_since: Option<(i64, LonLat)>,
    /// Places are told as they are known, so those of decided fixes stay as they were told.
    told: bool,
    /// Mean square of how far decided fixes lie aside of their street, metres²: how much the receiver is off.
    aside_m2: f32,
    filter: Filter,
    /// Typical error of the newest smoothed place, metres; 0 before the first.
    sigma_m: f32,
    /// The conditions under which undecided fixes were placed, so that what stays need not be placed again. Nothing depends
    /// on it.
    #[serde(skip)]
    laid: Option<Conditions>,
    /// Where the newest fix is on its segment to the millimetre, metres, if that was asked for; nothing depends on it. One
    /// more than its bits, which takes half the room of an optional number.
    #[serde(skip)]
    exact_m: Option<NonZeroU64>,
}

/// What the places of all undecided fixes depend on, besides the states of the model and the place before them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Conditions {
    sigma_m: f32,
    /// 0 while nobody stands: it does not matter then.
    aside_m2: f32,
}

/// How a fix was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Behind all others.
    Last,
    /// Late, and everything remembered was done again.
    Redone,
    SameMoment,
    TooLate,
}

impl Track {
    /// Takes one fix in; its place is in time order.
    pub(crate) fn take(&mut self, world: &mut World, fix: Fix) -> Taken {
        let at = match self.fixes.back() {
            Some(last) if last.time_ms < fix.time_ms => self.fixes.len(),
            None => 0,
            Some(_) => match self.fixes.binary_search_by_key(&fix.time_ms, |f| f.time_ms) {
                Ok(_) => return Taken::SameMoment,
                Err(0) if self.shortened => return Taken::TooLate,
                Err(at) => at,
            },
        };
        if self.fixes.len() == self.fixes.capacity() {
            // Doubling would end above the bound.
            let room = (self.fixes.len() * 2).clamp(4, TRACK_FIXES_MAX + 1);
            self.fixes.reserve_exact(room.saturating_sub(self.fixes.len()).max(1));
        }
        if at == self.fixes.len() {
            self.fixes.push_back(fix);
            self.process(world, at);
            return Taken::Last;
        }
        self.fixes.insert(at, fix);
        self.redo(world);
        Taken::Redone
    }

    /// The first fix whose place may still change.
    pub(crate) fn undecided(&self) -> usize {
        self.decided
    }

    /// The cost of the best drive as it is known now.
    #[cfg(test)]
    pub(crate) fn best_cost(&self) -> Option<f32> {
        self.columns.back().map(|c| c.states()[c.best()].cost)
    }

    /// Gives back memory that it does not need, and takes what it will: as if it had grown up here.
    pub(super) fn fit(&mut self, look_back_fixes: usize) {
        self.fixes.shrink_to_fit();
        if look_back_fixes < 16 && !self.columns.is_empty() {
            self.columns.reserve_exact((look_back_fixes + 1).saturating_sub(self.columns.len()));
        }
    }

    /// Memory that it holds, bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.fixes.capacity() * size_of::<Fix>() + self.columns.capacity() * size_of::<Column>()
    }

    /// Everything again, from the first fix that is remembered.
    fn redo(&mut self, world: &mut World) {
        let known = self.shortened && self.drifts();
        self.columns.clear();
        (self.decided, self.base, self.held, self.off_since, self.sigma_m) = (0, None, false, None, 0.0);
        if known && let Some(first) = self.fixes.front() {
            // What fixes that are forgotten have told of the error is in the place of the first that is not.
            self.filter.stand_at(first.point(&world.ground));
        } else {
            (self.filter, self.aside_m2) = (Filter::default(), 0.0);
        }
        if self.shortened
            && let Some(first) = self.fixes.front().copied()
        {
            self.decided = 1;
            if let Some(on) = first.on() {
                self.anchor(world, &first, on);
            }
        }
        for i in self.decided..self.fixes.len() {
            self.process(world, i);
        }
    }

    fn anchor(&mut self, world: &World, fix: &Fix, on: On) {
        let column = Column::known(fix.time_ms, fix.point(&world.ground), on.segment, on.offset_m);
        self.columns.clear();
        self.push(world, column);
        (self.base, self.held, self.laid) = (Some(on), false, None);
    }

    fn push(&mut self, world: &World, column: Column) {
        if self.columns.front().is_some_and(|c| c.decided) {
            self.columns.pop_front();
        }
        if self.columns.capacity() == 0 && world.config.look_back_fixes < 16 {
            self.columns.reserve_exact(world.config.look_back_fixes + 1);
        }
        self.columns.push_back(column);
    }

    /// Takes the fix at `i` into the drive; those before it are done, those behind it are not looked at.
    fn process(&mut self, world: &mut World, i: usize) {
        let fix = self.fixes[i];
        let white_m = self.filter.white_m();
        let start = i.checked_sub(1).and_then(|p| world.break_between(&self.fixes[p], &fix, white_m));
        if start.is_some() || matches!(fix.role, Role::Named | Role::Junction) {
            self.end_drive(world, i);
        }
        self.fixes[i].start = start;
        if start == Some(Break::Gap) {
            // As if the vehicle had been forgotten: whether it was must not matter to a cell.
            self.filter = Filter::default();
        }
        if matches!(fix.role, Role::Named | Role::Junction) {
            self.decided = i + 1;
            if let Some(on) = fix.on() {
                self.anchor(world, &fix, on);
            }
            return;
        }
        let at = self.smooth(world, i, start.is_some());
        let scale = self.scale(world);
        if let Some(last) = self.columns.back()
            && model::straight_m(&world.ground, last.at, at) < scale.skip_m
        {
            let parked = fix.time_ms - last.time_ms > world.config.parked_ms;
            self.fixes[i].role = if parked { Role::Parked } else { Role::Skipped };
            return;
        }
        let mut column = Column::new(fix.time_ms, at);
        // A place outside of the hexagons is off them, however near their borders run.
        if world.config.hexagons.is_none() {
            model::candidates(world, &scale, fix.course(), &mut column);
        }
        if column.states().is_empty() {
            self.fixes[i].role = self.off(world, &fix);
            return;
        }
        self.off_since = None;
        if let Some(last) = self.columns.back() {
            // A vehicle that stood has not been silent, one that was off the network has.
            let away = i > 0 && matches!(self.fixes[i - 1].role, Role::Off | Role::Junction);
            let silent = away && fix.time_ms - last.time_ms > world.config.gap_ms_max;
            if silent || !model::forward(&world.ground, &mut world.routes, &scale, last, &mut column) {
                self.end_drive(world, i);
                self.fixes[i].start = Some(if silent { Break::Gap } else { Break::NoRoute });
            }
        }
        self.fixes[i].role = Role::Kept;
        self.push(world, column);
        while self.columns.len() > world.config.look_back_fixes
            || (self.columns.len() > 1 && fix.time_ms - self.columns[0].time_ms > world.config.look_back_ms)
        {
            self.decide(world);
        }
    }

    /// Takes the white error out of the fix at `i`.
    fn smooth(&mut self, world: &World, i: usize, begins: bool) -> Point {
        let World { ground, scale, .. } = world;
        if begins {
            self.filter.restart();
        } else if i >= 2 && self.fixes[i - 1].start.is_none() {
            self.filter.learn(ground, scale, [&self.fixes[i - 2], &self.fixes[i - 1], &self.fixes[i]]);
        }
        let before = i.checked_sub(1).map(|p| &self.fixes[p]).filter(|_| !begins);
        let (fix, error_m2) = (&self.fixes[i], self.aside_m2.max(DRIFT_M * DRIFT_M));
        let (at, sigma_m) = if self.drifts() {
            self.filter.reckon(ground, scale, before, fix, error_m2)
        } else {
            self.filter.place(ground, scale, before, fix)
        };
        self.sigma_m = sigma_m;
        self.fixes[i].smooth(ground, at);
        at
    }

    /// Whether the error of its positions is slow and large.
    fn drifts(&self) -> bool {
        // A street that runs along the error does not show it, so what was begun goes on for longer.
        let least_m = if self.filter.is_known() { DRIFT_M / 2.0 } else { DRIFT_M };
        self.told && self.aside_m2 > least_m * least_m && self.filter.white_m() == 0.0
    }

    /// The sizes of the model for what is left of the error.
    fn scale(&self, world: &World) -> Scale {
        if self.sigma_m == 0.0 { world.scale } else { world.scale.of(self.sigma_m) }
    }

    /// What a fix off the network is: standing there for long is parking.
    fn off(&mut self, world: &World, fix: &Fix) -> Role {
        let near = |at: LonLat| at.distance_m(fix.at) < f64::from(world.scale.skip_m);
        match self.off_since {
            Some((since_ms, at)) if near(at) => {
                if fix.time_ms - since_ms > world.config.parked_off_ms {
                    Role::Parked
                } else {
                    Role::Off
                }
            }
            Some(_) | None => {
                self.off_since = Some((fix.time_ms, fix.at));
                Role::Off
            }
        }
    }

    /// Ends the drive, since the vehicle is silent.
    pub(super) fn finish(&mut self, world: &mut World) {
        self.end_drive(world, self.fixes.len());
    }

    /// Decides everything before the fix at `i` and forgets the drive.
    fn end_drive(&mut self, world: &mut World, i: usize) {
        self.keep_last(world, i);
        while self.columns.front().is_some_and(|c| !c.decided) {
            self.decide(world);
        }
        self.place_between(world, self.decided, i, None);
        self.decided = i;
        self.columns.clear();
        (self.base, self.held, self.laid, self.off_since) = (None, false, None, None);
    }

    /// Takes the last fix of a drive into the model, though it was skipped. Nothing behind it tells any more which of
    /// the streets of a junction was taken, and the last kept fix may lie right on the junction.
    fn keep_last(&mut self, world: &mut World, i: usize) {
        let Some(k) = i.checked_sub(1).filter(|&k| k >= self.decided && self.fixes[k].role == Role::Skipped) else {
            return;
        };
        let Some(column) = self.column_of(world, k) else { return };
        self.fixes[k].role = Role::Kept;
        self.push(world, column);
    }

    /// The column of a skipped fix behind all columns, with the best drives to it; `None` when none leads there.
    fn column_of(&self, world: &mut World, k: usize) -> Option<Column> {
        let (fix, scale) = (self.fixes[k], self.scale(world));
        // A street that turns back sharply is soon farther to drive than the straight line is long, so that errors of six
        // metres would be the likelier answer, if there were any.
        let mut near = scale;
        near.sigma_m = if self.has_no_error() { NO_ERROR_M } else { scale.sigma_m };
        let last = self.columns.back()?;
        let mut column = Column::new(fix.time_ms, fix.point(&world.ground));
        model::candidates(world, &near, fix.course(), &mut column);
        let leads =
            !column.states().is_empty() && model::forward(&world.ground, &mut world.routes, &scale, last, &mut column);
        leads.then_some(column)
    }

    /// Whether a fix lies off a street, at its end or up to so far before it: where streets leave at an acute angle,
    /// who has left is not beyond the end yet.
    fn is_off(&self, world: &World, k: usize, segment: u32, before_m: f32) -> bool {
        let length_m = world.routes.segment(segment).length_m;
        let at = self.fixes[k].point(&world.ground);
        let (distance2_m2, offset_m) = world.ground.project(at, segment, length_m);
        offset_m >= length_m - before_m && distance2_m2 > BEYOND_M * BEYOND_M
    }

    /// Decides the first column for good.
    fn decide(&mut self, world: &mut World) {
        let (state, confidence) = self.settle_first();
        let chosen = &self.columns[0].states()[state];
        let on = On { segment: chosen.segment, offset_m: chosen.offset_m };
        let fix = self.next_kept(self.decided);
        let laid = (self.columns[0].laid == state as u8).then(|| (self.fixes[fix].on(), self.columns[0].held));
        // As it was told, unless what is new with every fix was taken out.
        let kept = &self.fixes[fix];
        let at = if self.filter.white_m() == 0.0 { world.ground.point(kept.at) } else { kept.point(&world.ground) };
        let length_m = world.routes.segment(on.segment).length_m;
        let (aside_m2, _) = world.ground.project(at, on.segment, length_m);
        self.aside_m2 += (aside_m2 - self.aside_m2) * if self.aside_m2 == 0.0 { 1.0 } else { ASIDE_SHARE };
        self.place_kept(world, self.decided, fix, on);
        self.fixes[fix].confidence = confidence;
        (self.decided, self.base) = (fix + 1, self.fixes[fix].on());
        if laid != Some((self.base, self.held)) {
            // What lies behind was placed from elsewhere.
            self.laid = None;
        }
        if self.columns.len() == 1 {
            self.columns[0].settle(state);
            return;
        }
        self.columns.pop_front();
    }

    /// The state of the first column on the best drive, and how sure that is: the likelihood of the best drive
    /// against that of the best one through another state there, of 255. Drives through another state end here.
    fn settle_first(&mut self) -> (usize, u8) {
        let last = self.columns.len() - 1;
        let best = self.columns[last].best();
        let cost = self.columns[last].states()[best].cost;
        let state = (1..=last).rev().fold(best, |state, c| usize::from(self.columns[c].states()[state].before));
        let mut alive = [false; STATES_MAX];
        alive[state] = true;
        let mut margin = f32::INFINITY;
        for (c, column) in self.columns.iter_mut().enumerate() {
            let mut ended = false;
            let mut still = [false; STATES_MAX];
            for (k, s) in column.states_mut().iter_mut().enumerate() {
                still[k] = if c == 0 { alive[k] } else { s.before != model::START && alive[usize::from(s.before)] };
                if !still[k] && s.cost.is_finite() {
                    margin = if c == last { margin.min(s.cost - cost) } else { margin };
                    (s.cost, ended) = (f32::INFINITY, true);
                }
                still[k] &= s.cost.is_finite();
            }
            // Where every drive goes on from the state, so do all behind.
            if !ended && c > 0 {
                break;
            }
            alive = still;
        }
        (state, (255.0 / (1.0 + (-margin).exp())).round() as u8)
    }

    fn next_kept(&self, from: usize) -> usize {
        let kept = (from..self.fixes.len()).find(|&k| self.fixes[k].role == Role::Kept);
        kept.expect("every undecided column has its fix in the track")
    }

    /// Puts a kept fix, and those skipped before it.
    fn place_kept(&mut self, world: &mut World, from: usize, fix: usize, state: On) {
        let scale = self.scale(world);
        let spot = place::hold(&world.ground, &world.routes, &scale, self.base, self.held, state);
        self.held = spot != state;
        let spot = self.before_line(world, fix, spot);
        self.place_between(world, from, fix, Some(spot));
        self.fixes[fix].put(spot);
    }

    /// Lays the skipped fixes `from..to` on the way from the base to `end`, or ahead of the base.
    fn place_between(&mut self, world: &mut World, from: usize, to: usize, end: Option<On>) {
        let Some(base) = self.base else { return };
        let mut set = false;
        for k in from..to {
            if self.fixes[k].role != Role::Skipped {
                continue;
            }
            if !set {
                // Skipped fixes lie within 3 σ of the base, and the next kept one not far beyond.
                let scale = self.scale(world);
                world.stretch.set(&mut world.routes, &scale, base, end, scale.skip_m);
                set = true;
            }
            let at = self.fixes[k].point(&world.ground);
            let on = world.stretch.lay(&world.ground, &world.routes, at, self.fixes[k].heading(), self.line_m(k));
            self.fixes[k].put(on);
        }
    }

    /// Lets the oldest fix go when there are too many, or in any case when `all`; it and the one behind it are
    /// final then.
    pub(crate) fn shed(&mut self, world: &mut World, all: bool) -> Option<Fix> {
        if self.fixes.len() <= TRACK_FIXES_MAX && !all {
            return None;
        }
        if all && self.decided < self.fixes.len() {
            self.end_drive(world, self.fixes.len());
        }
        while self.decided < 2.min(self.fixes.len()) {
            let open = self.columns.front().filter(|c| !c.decided).map(|_| self.next_kept(self.decided));
            if open.is_some_and(|fix| fix < 2 || !self.told) {
                if !self.keep_newest(world) {
                    self.decide(world);
                }
                continue;
            }
            self.laid = None;
            if !self.told {
                // Driven paths: who has stood for so long is where it stood, with all that was skipped since.
                self.place_between(world, self.decided, self.fixes.len(), None);
                self.decided = self.fixes.len();
                self.base = self.fixes.back().filter(|f| f.role == Role::Skipped).and_then(Fix::on).or(self.base);
                continue;
            }
            // A queue may begin right behind a junction: then the newest fix tells on which street it stands, if noise
            // has not carried it there.
            let newest = self.fixes.len() - 1;
            let off = |on: On| self.is_off(world, newest, on.segment, world.scale.skip_m);
            let is_exact = self.aside_m2 < EXACT_M * EXACT_M;
            if open.is_none() && is_exact && self.fixes[newest].role == Role::Skipped && self.base.is_some_and(off) {
                let column = self.column_of(world, newest);
                let elsewhere = |c: &Column| self.base.is_some_and(|on| c.states()[c.best()].segment != on.segment);
                if let Some(column) = column.filter(elsewhere) {
                    self.fixes[newest].role = Role::Kept;
                    self.push(world, column);
                    continue;
                }
            }
            // Who has stood for long may be driving again: of the skipped fixes only the oldest are decided here, and
            // the newer ones stay open until the model knows onto which street it went.
            let upto = self.fixes.len().min(2);
            let last = self.fixes.get(upto - 1).filter(|f| f.role == Role::Skipped);
            (self.decided, self.base) = (upto, last.and_then(Fix::on).or(self.base));
        }
        let fix = self.fixes.pop_front()?;
        self.decided -= 1;
        self.shortened = true;
        Some(fix)
    }
}
