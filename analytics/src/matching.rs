//! From positions to drives: which segment each fix is on, and what was driven between two fixes.
//!
//! Upstream: [`crate::engine`] with decoded rows. Downstream: [`crate::cell`].
//!
//! A vehicle's track is a short, time-ordered list of placed fixes. Each pair of neighbours is a step, and
//! each step is one or more traversals. A fix that arrives late is put into its place: the steps after it are
//! taken back and made again, so any order within the track's reach gives the same cells.
//!
//! - [`place`]: one fix → a spot on the network
//! - [`step`]: two neighbouring fixes → the segments driven between them

pub mod place;
pub mod step;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use events::{HeadingDeg, LonLat};
use roads::{Candidate, Network, SegmentIndex};
use rustc_hash::FxHashMap;

use crate::cell::{Contribution, Traversal, pane_start};
use place::Spot;

/// How fixes are placed and steps are believed. Every value can be set; the defaults are these.
#[derive(Clone, Debug)]
pub struct MatchConfig {
    /// Farther from every segment than this, a fix is off the network, metres.
    pub radius_m: f64,
    /// Longer silence ends a drive, milliseconds: nobody knows what happened in between.
    pub gap_ms_max: i64,
    /// A step faster than this is a jump, not a drive, m/s.
    pub speed_mps_max: f64,
    /// A vehicle silent for longer than this is forgotten, milliseconds of event time.
    pub forget_after_ms: i64,
    /// Take the street that the source names in place of matching (simulator recordings).
    pub trust_edge: bool,
}

impl Default for MatchConfig {
    fn default() -> Self {
        Self { radius_m: 50.0, gap_ms_max: 180_000, speed_mps_max: 70.0, forget_after_ms: 600_000, trust_edge: false }
    }
}

/// Most fixes that a track keeps. A later arrival that belongs before all of them cannot be placed any more.
pub const TRACK_FIXES_MAX: usize = 64;

/// One row as it comes from a batch.
#[derive(Clone, Debug)]
pub struct Observed {
    pub vehicle: u64,
    pub time_ms: i64,
    pub at: LonLat,
    pub heading: Option<HeadingDeg>,
    /// Where the source itself says it is, in its own network: edge id and metres from its beginning.
    pub edge: Option<(String, f64)>,
}

/// What became of fixes and of the steps between them; each number only grows, but for corrections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchCounts {
    /// Fixes placed on a segment.
    pub placed: i64,
    /// Fixes farther than the radius from every segment.
    pub off_network: i64,
    /// Fixes inside a junction of the source's own network, on no segment.
    pub in_junction: i64,
    /// Fixes older than everything their track still knows.
    pub too_late: i64,
    /// A second fix of a vehicle at the same moment.
    pub same_moment: i64,
    /// Steps that became traversals.
    pub steps: i64,
    /// Steps not counted: silence longer than the gap limit.
    pub gaps: i64,
    /// Steps not counted: faster than any vehicle.
    pub jumps: i64,
    /// Steps not counted: no drive leads from one spot to the next, or one of them is off the network.
    pub breaks: i64,
}

/// A fix with its place.
#[derive(Clone, Debug)]
struct Fix {
    time_ms: i64,
    at: LonLat,
    heading: Option<HeadingDeg>,
    named: Option<Spot>,
    spot: Spot,
    /// Direction of travel as known here: reported, or from the last real movement.
    course: Option<HeadingDeg>,
}

#[derive(Debug, Default)]
struct Track {
    fixes: VecDeque<Fix>,
    /// Set when older fixes were let go: what is older than the first kept one is too late.
    shortened: bool,
}

/// Adds or takes back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Add,
    TakeBack,
}

/// One contribution and whether it is added or taken back.
pub enum Change {
    Add(Contribution),
    TakeBack(Contribution),
}

/// Matches the fixes of all vehicles.
///
/// Bounded: at most [`TRACK_FIXES_MAX`] fixes a vehicle, and vehicles silent for `forget_after_ms` are dropped.
pub struct Matcher {
    network: Arc<Network>,
    config: MatchConfig,
    tracks: FxHashMap<u64, Track>,
    counts: MatchCounts,
    candidates: Vec<Candidate>,
    search: step::Search,
}

impl Matcher {
    /// A matcher without any vehicle yet.
    pub fn new(network: Arc<Network>, config: MatchConfig) -> Self {
        let search = step::Search::default();
        Self {
            network,
            config,
            tracks: FxHashMap::default(),
            counts: MatchCounts::default(),
            candidates: Vec::new(),
            search,
        }
    }

    /// What became of fixes and steps so far.
    pub fn counts(&self) -> MatchCounts {
        self.counts
    }

    /// Vehicles in memory.
    pub fn vehicles(&self) -> usize {
        self.tracks.len()
    }

    /// Takes one fix in and tells every change of the cells that follows from it.
    pub fn observe(&mut self, seen: &Observed, mut change: impl FnMut(Change)) {
        let mut track = self.tracks.remove(&seen.vehicle).unwrap_or_default();
        match track.fixes.binary_search_by_key(&seen.time_ms, |f| f.time_ms) {
            Ok(_) => self.counts.same_moment += 1,
            Err(0) if track.shortened => self.counts.too_late += 1,
            Err(i) => {
                self.steps(&track, i, seen.vehicle, Sign::TakeBack, &mut change);
                let named = self.named(seen);
                let spot = Spot::Off;
                track.fixes.insert(
                    i,
                    Fix { time_ms: seen.time_ms, at: seen.at, heading: seen.heading, named, spot, course: None },
                );
                self.place_from(&mut track, i);
                self.steps(&track, i, seen.vehicle, Sign::Add, &mut change);
                if track.fixes.len() > TRACK_FIXES_MAX {
                    track.fixes.pop_front();
                    track.shortened = true;
                }
            }
        }
        self.tracks.insert(seen.vehicle, track);
    }

    /// Drops the vehicles whose newest fix is older than the limit before `now_ms` of event time.
    pub fn forget_silent(&mut self, now_ms: i64) {
        let limit_ms = now_ms - self.config.forget_after_ms;
        self.tracks.retain(|_, track| track.fixes.back().is_some_and(|f| f.time_ms >= limit_ms));
    }

    /// Places the fixes from index `i` on, each with the one before it in mind.
    fn place_from(&mut self, track: &mut Track, i: usize) {
        for k in i..track.fixes.len() {
            let previous = k.checked_sub(1).map(|p| &track.fixes[p]);
            let previous = previous.map(|f| place::Previous { at: f.at, spot: f.spot, course: f.course });
            let fix = &mut track.fixes[k];
            let course = place::course(previous.as_ref(), fix.at, fix.heading);
            let spot = match fix.named {
                Some(named) => named,
                None => place::place(
                    &self.network,
                    fix.at,
                    course,
                    previous.as_ref(),
                    self.config.radius_m,
                    &mut self.candidates,
                ),
            };
            let unchanged = k > i && fix.spot == spot && fix.course == course;
            (fix.spot, fix.course) = (spot, course);
            if unchanged {
                break;
            }
        }
    }

    /// Tells the contributions of every step that touches a fix at `i` or later, and of the fixes themselves.
    fn steps(&mut self, track: &Track, i: usize, vehicle: u64, sign: Sign, change: &mut impl FnMut(Change)) {
        let one = if sign == Sign::Add { 1 } else { -1 };
        let mut tell = |c: Contribution| change(if sign == Sign::Add { Change::Add(c) } else { Change::TakeBack(c) });
        for k in i..track.fixes.len() {
            let fix = &track.fixes[k];
            match fix.spot {
                Spot::On { segment, .. } => {
                    self.counts.placed += one;
                    let pane_ms = pane_start(fix.time_ms);
                    tell(Contribution { segment, pane_ms, vehicle, distance_mm: 0, time_ms: 0, events: 1 });
                }
                Spot::Junction => self.counts.in_junction += one,
                Spot::Off => self.counts.off_network += one,
            }
            let Some(previous) = k.checked_sub(1).map(|p| &track.fixes[p]) else { continue };
            let took_ms = fix.time_ms - previous.time_ms;
            let moved_m = previous.at.distance_m(fix.at);
            if took_ms > self.config.gap_ms_max {
                self.counts.gaps += one;
            } else if moved_m * 1_000.0 > self.config.speed_mps_max * took_ms as f64 {
                self.counts.jumps += one;
            } else {
                let ends = step::Ends {
                    from: (previous.time_ms, previous.spot, previous.at),
                    to: (fix.time_ms, fix.spot, fix.at),
                    moved_m,
                };
                let emit = |t: Traversal| t.contributions(vehicle, &mut tell);
                match self.search.drive(&self.network, &ends, self.config.radius_m, emit) {
                    true => self.counts.steps += one,
                    false => self.counts.breaks += one,
                }
            }
        }
    }

    /// The spot that the source names itself, when it is to be trusted.
    fn named(&self, seen: &Observed) -> Option<Spot> {
        if !self.config.trust_edge {
            return None;
        }
        let (edge, pos_m) = seen.edge.as_ref()?;
        if edge.starts_with(':') {
            return Some(Spot::Junction);
        }
        let (segment, offset_m): (SegmentIndex, f64) = self.network.on_source(edge, *pos_m)?;
        Some(Spot::On { segment, offset_m })
    }
}
