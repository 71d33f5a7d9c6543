//! From positions to drives: which segment each fix is on, and what was driven between two fixes.
//!
//! Upstream: [`crate::engine`] with decoded rows; `arterial match`. Downstream: [`crate::cell`]; files.
//!
//! An online hidden Markov model with bounded look-back. Live, the best drive as it is known now counts at once;
//! when a later fix changes it, what was counted is taken back and the better drive is counted. A recording asks
//! for what is decided only ([`drive`]).
//!
//! In reading order:
//! - `ground`: the streets near a place
//! - `routes`: how far it is from segment to segment, remembered
//! - [`model`]: the likelihoods
//! - `smooth`, `drift`: the white part of the error, taken out, and the slow one
//! - `exact`: places to the millimetre, remembered
//! - `fix`: one fix, packed
//! - [`track`]: one vehicle
//! - [`place`]: states of the model → spots
//! - [`step`]: two neighbouring fixes → the segments driven between them
//! - [`shards`]: vehicles over threads
//! - [`drive`]: decided fixes → traversals and fates, for files
//! - `counts`: what became of every fix and step
//! - `saved`: all tracks as bytes, for a checkpoint

mod counts;
mod drift;
pub mod drive;
mod exact;
mod fix;
mod ground;
pub mod model;
pub mod place;
mod routes;
mod saved;
pub mod shards;
mod smooth;
pub mod step;
#[cfg(test)]
mod tests;
pub mod track;

use std::sync::Arc;

use events::{HeadingDeg, LonLat};
use roads::{Hexagons, Network, SegmentIndex};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

pub use crate::cell::Change;
use crate::cell::{Contribution, pane_start};
use crate::incident::head::Seen;
pub use counts::MatchCounts;
use exact::Places;
use fix::{Fix, Role};
use ground::Ground;
use model::{Scale, Scratch};
use place::{Spot, Stretch};
use routes::Routes;
pub use saved::{SavedTracks, TracksToSave};
use step::{Drive, Ends, Pieces};
pub use track::TRACK_FIXES_MAX;
use track::{Taken, Track};

/// How fixes are placed and steps are believed. Every value can be set; the defaults are these.
#[derive(Clone, Debug)]
pub struct MatchConfig {
    /// Farther from every segment than this, a fix is off the network, metres.
    pub radius_m: f64,
    /// Typical error of a position, metres; 3 to 30. The default is what pNEUMA's drones and OpenStreetMap's lines
    /// are apart: 2.3 m at the median, 7 m at 90 %.
    pub sigma_m: f64,
    /// A fix is decided when so many kept ones lie behind it.
    pub look_back_fixes: usize,
    /// … or when the newest is so much later, milliseconds. Nothing waits for it: live, the best drive counts at
    /// once and is corrected. 120 s let a fix every 30 s have its four successors.
    pub look_back_ms: i64,
    /// Longer silence ends a drive, milliseconds: nobody knows what happened in between.
    pub gap_ms_max: i64,
    /// A step faster than this is a jump, not a drive, m/s.
    pub speed_mps_max: f64,
    /// Below this speed a reported heading is mostly noise and only breaks ties, m/s.
    pub heading_mps_min: f32,
    /// Standing on one spot for longer is parking, not traffic, milliseconds: no signal and few queues hold a
    /// vehicle still for a quarter of an hour.
    pub parked_ms: i64,
    /// Standing off the network for longer is parking, milliseconds.
    pub parked_off_ms: i64,
    /// A vehicle silent for longer than this is forgotten, milliseconds of event time.
    pub forget_after_ms: i64,
    /// Take the street that the source names in place of matching (simulator recordings).
    pub trust_edge: bool,
    /// Place positions in these hexagons in place of streets; the network is then theirs.
    pub hexagons: Option<Arc<Hexagons>>,
}

impl Default for MatchConfig {
    fn default() -> Self {
        Self {
            radius_m: 50.0,
            sigma_m: 6.0,
            look_back_fixes: 4,
            look_back_ms: 120_000,
            gap_ms_max: 180_000,
            speed_mps_max: 70.0,
            heading_mps_min: 2.5,
            parked_ms: 900_000,
            parked_off_ms: 120_000,
            forget_after_ms: 600_000,
            trust_edge: false,
            hexagons: None,
        }
    }
}

/// Two fixes may be so many times the white error of one farther apart than the vehicle drove: 3.5 standard
/// deviations of the difference.
const NOISE_JUMP: f32 = 5.0;

/// One row as it comes from a batch.
#[derive(Clone, Debug)]
pub struct Observed {
    pub vehicle: u64,
    pub time_ms: i64,
    pub at: LonLat,
    pub speed_mps: Option<f32>,
    pub heading: Option<HeadingDeg>,
    /// Where the source itself says it is, in its own network: edge id and metres from its beginning.
    pub edge: Option<(String, f64)>,
}

/// Why no drive leads from one fix to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Break {
    /// Silence longer than the gap limit.
    Gap,
    /// Faster than any vehicle: teleported, or two vehicles under one id.
    Jump,
    /// The network has no believable route between the two.
    NoRoute,
    /// One of the two is off the network.
    OffNetwork,
    /// One of the two is parked.
    Parked,
}

impl Break {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Gap, Self::Jump, Self::NoRoute, Self::OffNetwork, Self::Parked];

    /// The word in files and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Jump => "jump",
            Self::NoRoute => "break",
            Self::OffNetwork => "off_network",
            Self::Parked => "parked",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Add,
    TakeBack,
}

/// What every track needs: the network in the forms that the matcher asks, and scratch space.
pub(crate) struct World {
    pub(crate) network: Arc<Network>,
    pub(crate) config: MatchConfig,
    pub(crate) scale: Scale,
    pub(crate) ground: Ground,
    pub(crate) routes: Routes,
    pub(crate) scratch: Scratch,
    pub(crate) stretch: Stretch,
    /// Columns and states of a drive, newest first.
    pub(crate) trace: Vec<(usize, usize)>,
    pub(crate) pieces: Pieces,
    places: Places,
}

/// Matches the fixes of all vehicles.
///
/// Bounded: at most 2 KiB a vehicle with the default look-back ([`Matcher::bytes_of`]), and vehicles silent for
/// `forget_after_ms` are dropped.
pub struct Matcher {
    world: World,
    /// Tracks of vehicles seen, and free places among them.
    tracks: Vec<Track>,
    free: Vec<u32>,
    by_vehicle: FxHashMap<u64, u32>,
    counts: MatchCounts,
    before: Vec<Fix>,
    after: Vec<Fix>,
    /// Where vehicles were when a pane ended, since it was last taken, if anybody wants to know.
    seen: Option<Vec<Seen>>,
}

impl World {
    fn new(network: Arc<Network>, config: MatchConfig) -> Self {
        Self {
            scale: Scale::new(&config),
            ground: Ground::new(&network),
            routes: Routes::new(Arc::clone(&network)),
            network,
            config,
            scratch: Scratch::default(),
            stretch: Stretch::default(),
            trace: Vec::new(),
            pieces: Pieces::default(),
            places: Places::default(),
        }
    }

    /// Why no drive can lead from one fix to the next, whatever the streets are.
    pub(crate) fn break_between(&self, from: &Fix, to: &Fix, white_m: f32) -> Option<Break> {
        let took_ms = to.time_ms - from.time_ms;
        if took_ms > self.config.gap_ms_max {
            return Some(Break::Gap);
        }
        // Only a long step can be a jump; the exact distance is not needed for short ones.
        let (a, b) = (self.ground.point(from.at), self.ground.point(to.at));
        let noise_m = NOISE_JUMP * white_m;
        let near_mps = f64::from(model::straight_m(&self.ground, a, b) - noise_m) * 1_000.0 / took_ms as f64;
        (near_mps > self.config.speed_mps_max).then_some(Break::Jump)
    }

    /// Straight distance between two fixes without their white error, metres.
    fn moved_m(&self, from: &Fix, to: &Fix) -> f64 {
        if from.is_raw() && to.is_raw() {
            return from.at.distance_m(to.at);
        }
        f64::from(model::straight_m(&self.ground, from.point(&self.ground), to.point(&self.ground)))
    }

    /// Finds the pieces of the step between two neighbouring fixes, into `self.pieces`.
    pub(crate) fn step(&mut self, from: &Fix, to: &Fix, moved_m: f64) -> Result<(Ends, Drive), Break> {
        match to.start {
            Some(reason @ (Break::Gap | Break::Jump | Break::OffNetwork | Break::Parked)) => return Err(reason),
            Some(Break::NoRoute) | None => {}
        }
        if from.role == Role::Parked || to.role == Role::Parked {
            return Err(Break::Parked);
        }
        let spots = [from, to].map(|fix| fix.spot_in(&self.network, &mut self.places));
        let ends = Ends { from: (from.time_ms, spots[0]), to: (to.time_ms, spots[1]), moved_m };
        if ends.from.1 == Spot::Off || ends.to.1 == Spot::Off {
            return Err(Break::OffNetwork);
        }
        if let Some(hexagons) = &self.config.hexagons {
            self.pieces.across(hexagons, from.at, to.at, ends.moved_m);
            return Ok((ends, Drive::Known));
        }
        match self.pieces.find(&self.ground, &mut self.routes, &self.scale, &ends) {
            Drive::None => Err(Break::NoRoute),
            drive @ (Drive::Known | Drive::Bridged) => Ok((ends, drive)),
        }
    }

    /// The spot that needs no matching: the hexagon, or what the source names itself, when it is to be trusted.
    fn named(&self, seen: &Observed) -> Option<Spot> {
        if let Some(hexagons) = &self.config.hexagons {
            let found = hexagons.at(seen.at);
            return Some(found.map_or(Spot::Off, |segment| Spot::On { segment, offset_m: 0.0 }));
        }
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

    fn fix(&self, seen: &Observed) -> Fix {
        let moving = seen.speed_mps.is_none_or(|v| v >= self.config.heading_mps_min);
        Fix::new(seen.time_ms, seen.at, seen.speed_mps, seen.heading, moving, self.named(seen))
    }
}

impl Matcher {
    /// A matcher without any vehicle yet.
    pub fn new(network: Arc<Network>, config: MatchConfig) -> Self {
        Self {
            world: World::new(network, config),
            tracks: Vec::new(),
            free: Vec::new(),
            by_vehicle: FxHashMap::default(),
            counts: MatchCounts::default(),
            before: Vec::new(),
            after: Vec::new(),
            seen: None,
        }
    }

    /// The same, and it writes down where vehicles are when a pane ends: one line a vehicle and pane until
    /// [`Matcher::take_seen`].
    #[must_use]
    pub(crate) fn that_looks(self) -> Self {
        Self { seen: Some(Vec::new()), ..self }
    }

    /// What was written down.
    pub(crate) fn take_seen(&mut self) -> Vec<Seen> {
        self.seen.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What became of fixes and steps so far.
    pub fn counts(&self) -> MatchCounts {
        self.counts
    }

    /// Vehicles in memory.
    pub fn vehicles(&self) -> usize {
        self.by_vehicle.len()
    }

    /// Memory that one vehicle holds, bytes; 0 for one that is not known.
    pub fn bytes_of(&self, vehicle: u64) -> usize {
        let entry = size_of::<(u64, u32)>();
        self.by_vehicle.get(&vehicle).map_or(0, |&i| self.tracks[i as usize].bytes() + entry)
    }

    /// How often the remembered routes were let go for want of space.
    pub fn routes_cleared(&self) -> u64 {
        self.world.routes.cleared()
    }

    /// Takes one fix in and tells every change of the cells that follows from it.
    pub fn observe(&mut self, seen: &Observed, mut change: impl FnMut(Change)) {
        let fix = self.world.fix(seen);
        let place = self.track(seen.vehicle);
        let mut track = std::mem::take(&mut self.tracks[place]);
        let undecided = track.undecided();
        track.recall(&mut self.world.places);
        // What is decided stays as it was told, but for a late fix.
        let is_last = track.fixes.back().is_none_or(|last| last.time_ms < fix.time_ms);
        let begin = if is_last { undecided.saturating_sub(1) } else { 0 };
        self.before.clear();
        self.before.extend(track.fixes.range(begin..));
        let first = match track.take(&mut self.world, fix) {
            Taken::Last => undecided - begin,
            Taken::Redone => {
                self.counts.redone += 1;
                0
            }
            Taken::SameMoment => {
                self.counts.same_moment += 1;
                self.tracks[place] = track;
                return;
            }
            Taken::TooLate => {
                self.counts.too_late += 1;
                self.tracks[place] = track;
                return;
            }
        };
        track.place_provisionally(&mut self.world);
        self.tell_changes(&track, begin, first, &mut change);
        if let Some(all) = &mut self.seen {
            all.extend(track.at_border());
        }
        while track.shed(&mut self.world, false).is_some() {}
        track.retain(&self.world.places);
        self.tracks[place] = track;
    }

    /// Drops the vehicles whose newest fix is older than the limit before `now_ms` of event time, and tells how their
    /// drives end: as they would when the vehicle came back after a gap.
    pub fn forget_silent(&mut self, now_ms: i64, mut change: impl FnMut(Change)) {
        let limit_ms = now_ms - self.world.config.forget_after_ms;
        let is_silent = |place: u32| self.tracks[place as usize].fixes.back().is_none_or(|f| f.time_ms < limit_ms);
        let silent = self.by_vehicle.iter().filter(|v| is_silent(*v.1)).map(|(&vehicle, &place)| (vehicle, place));
        for (vehicle, place) in silent.collect::<Vec<_>>() {
            let mut track = std::mem::take(&mut self.tracks[place as usize]);
            let undecided = track.undecided();
            self.before.clear();
            self.before.extend(&track.fixes);
            track.finish(&mut self.world);
            self.tell_changes(&track, 0, undecided, &mut change);
            self.by_vehicle.remove(&vehicle);
            self.free.push(place);
        }
    }

    /// Takes back what was told of `self.before` and tells the track as it is now from the fix at `begin` on, as far as
    /// the two differ; nothing before the fix `first` behind that does.
    fn tell_changes(&mut self, track: &Track, begin: usize, first: usize, change: &mut impl FnMut(Change)) {
        self.after.clear();
        self.after.extend(track.fixes.range(begin..));
        let vehicle = track.vehicle;
        let same = |k: &usize| self.before.get(*k).is_some_and(|b| b.same_place(&self.after[*k]));
        let from = (first..self.after.len()).find(|k| !same(k)).unwrap_or(self.after.len());
        let (before, after) = (std::mem::take(&mut self.before), std::mem::take(&mut self.after));
        self.tell(&before, from, vehicle, Sign::TakeBack, change);
        self.tell(&after, from, vehicle, Sign::Add, change);
        (self.before, self.after) = (before, after);
    }

    /// The place of a vehicle's track, new if it has none.
    fn track(&mut self, vehicle: u64) -> usize {
        let (tracks, free) = (&mut self.tracks, &mut self.free);
        let place = *self.by_vehicle.entry(vehicle).or_insert_with(|| {
            let place = free.pop().unwrap_or_else(|| {
                tracks.push(Track::default());
                (tracks.len() - 1) as u32
            });
            tracks[place as usize].vehicle = vehicle;
            place
        });
        place as usize
    }

    /// Tells the contributions of every step that touches a fix at `from` or later, and of the fixes themselves.
    fn tell(&mut self, fixes: &[Fix], from: usize, vehicle: u64, sign: Sign, change: &mut impl FnMut(Change)) {
        let one = if sign == Sign::Add { 1 } else { -1 };
        let mut tell = |c: Contribution| {
            let packed = if sign == Sign::Add { Change::add(&c) } else { Change::take_back(&c) };
            change(packed.expect("traversals are cut into parts that fit, and a report is one"));
        };
        for k in from..fixes.len() {
            let fix = &fixes[k];
            match fix.spot() {
                Spot::On { segment, .. } => {
                    self.counts.placed += one;
                    let pane_ms = pane_start(fix.time_ms);
                    tell(Contribution { segment, pane_ms, vehicle, distance_mm: 0, time_ms: 0, events: 1 });
                }
                Spot::Junction => self.counts.in_junction += one,
                Spot::Off if fix.role == Role::Parked => self.counts.parked += one,
                Spot::Off => self.counts.off_network += one,
            }
            let Some(previous) = k.checked_sub(1).map(|p| &fixes[p]) else { continue };
            match self.world.step(previous, fix, self.world.moved_m(previous, fix)) {
                Ok((ends, drive)) => {
                    self.counts.steps += one;
                    self.counts.bridged += if drive == Drive::Bridged { one } else { 0 };
                    self.world.pieces.share_out(&ends, |t| t.contributions(vehicle, &mut tell));
                }
                Err(Break::Gap) => self.counts.gaps += one,
                Err(Break::Jump) => self.counts.jumps += one,
                Err(Break::NoRoute) => self.counts.breaks += one,
                Err(Break::OffNetwork) => self.counts.off_steps += one,
                Err(Break::Parked) => self.counts.parked_steps += one,
            }
        }
    }
}
