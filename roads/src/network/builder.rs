//! Building a network: what importers and the generator fill, and what is checked once for all.
//!
//! Upstream: importers, generator, cache. Downstream: [`Network`], which trusts all that passed here.

mod movements;

use events::LonLat;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Network, Rows, Stored};
use crate::import::ImportReport;
use crate::line::measure;
use crate::movement::{Movement, SignalPlan};
use crate::segment::{NodeIndex, RoadClass, Segment, SegmentId, SegmentIndex, Structure};

/// Most segments of one network: 16 million, the directed streets of a large country.
pub const SEGMENTS_MAX: usize = 1 << 24;

/// Most vertices of one network.
pub const POINTS_MAX: usize = 1 << 28;

/// Why something is not a network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NetworkError {
    #[error("there is no drivable street in it")]
    Empty,
    #[error(
        "a vertex lies at longitude {lon_deg}, latitude {lat_deg}, which no street does: are the two swapped, or is it not in degrees?"
    )]
    Place { lon_deg: f64, lat_deg: f64 },
    #[error("street {source_id}: {what}")]
    Segment { source_id: String, what: &'static str },
    #[error("streets {first} and {second} have the same segment id {id}: the source names one street twice")]
    SameId { id: SegmentId, first: String, second: String },
    #[error("it has more than {SEGMENTS_MAX} segments or {POINTS_MAX} vertices: import a smaller extract")]
    TooLarge,
    #[error("the movement from street {from} to street {to}: {what}")]
    Movement { from: String, to: String, what: &'static str },
    #[error("signal {id}: {what}")]
    Signal { id: String, what: &'static str },
    #[error("its tables disagree with each other")]
    Inconsistent,
}

/// A segment to be added.
#[derive(Clone, Debug)]
pub struct NewSegment {
    pub id: SegmentId,
    pub source_id: String,
    /// Metres from the begin of the source edge.
    pub source_offset_m: f64,
    pub name: Option<String>,
    pub class: RoadClass,
    pub from: NodeIndex,
    pub to: NodeIndex,
    /// The source's own length; `None` measures the line.
    pub length_m: Option<f64>,
    pub speed_limit_mps: f32,
    pub lanes: u8,
    /// Lon, lat in degrees in driving direction; equal neighbours are dropped.
    pub line: Vec<[f64; 2]>,
}

/// Collects nodes, segments and turns; [`NetworkBuilder::build`] checks them all.
#[derive(Debug)]
pub struct NetworkBuilder {
    stored: Stored,
    forbidden: FxHashSet<(SegmentIndex, SegmentIndex)>,
    allowed: Vec<(u32, SegmentIndex)>,
    listed_only: bool,
    movements: Vec<Movement>,
    error: Option<NetworkError>,
}

impl NetworkBuilder {
    /// An empty network of a name.
    pub fn new(name: impl Into<String>) -> Self {
        let stored = Stored {
            name: name.into(),
            source_hash: String::new(),
            report: ImportReport::default(),
            segments: Vec::new(),
            points: Vec::new(),
            along_m: Vec::new(),
            nodes: Vec::new(),
            turns: Rows::collect(0, Vec::new()),
            movements: Vec::new(),
            signal_plans: Vec::new(),
        };
        let forbidden = FxHashSet::default();
        Self { stored, forbidden, allowed: Vec::new(), listed_only: false, movements: Vec::new(), error: None }
    }

    /// What [`Network::source_hash`] will say, hex.
    pub fn source_hash(&mut self, hash: impl Into<String>) -> &mut Self {
        self.stored.source_hash = hash.into();
        self
    }

    /// What [`Network::import_report`] will say.
    pub fn report(&mut self, report: ImportReport) -> &mut Self {
        self.stored.report = report;
        self
    }

    /// Adds a junction at a place in degrees.
    pub fn node(&mut self, lon_deg: f64, lat_deg: f64) -> NodeIndex {
        self.stored.nodes.push([lon_deg, lat_deg]);
        NodeIndex(self.stored.nodes.len() as u32 - 1)
    }

    /// Adds a segment. What is wrong with it is said by [`NetworkBuilder::build`].
    pub fn segment(&mut self, new: NewSegment) -> SegmentIndex {
        let at = SegmentIndex(self.stored.segments.len() as u32);
        let mut line = new.line;
        line.dedup();
        let along = measure(&line);
        let measured_m = along.last().copied().unwrap_or(0.0);
        let length_m = new.length_m.unwrap_or(measured_m);
        self.stored.along_m.extend(along.iter().map(|m| m * length_m / measured_m));
        if let (Some(last), 2..) = (self.stored.along_m.last_mut(), line.len()) {
            *last = length_m;
        }
        let first = self.stored.points.len() as u32;
        self.stored.points.extend_from_slice(&line);
        self.stored.segments.push(Segment {
            id: new.id,
            source_id: new.source_id,
            source_offset_m: new.source_offset_m,
            name: new.name,
            class: new.class,
            from: new.from,
            to: new.to,
            length_m,
            speed_limit_mps: new.speed_limit_mps,
            is_limit_assumed: false,
            lanes: new.lanes,
            structure: Structure::default(),
            points: first..self.stored.points.len() as u32,
        });
        if self.stored.segments.len() > SEGMENTS_MAX || self.stored.points.len() > POINTS_MAX {
            // The arrays are let go, so that an endless source does not fill the memory before it ends.
            self.error = Some(NetworkError::TooLarge);
            self.stored.segments.clear();
            self.stored.points.clear();
            self.stored.along_m.clear();
        }
        at
    }

    /// Says that the limit of a segment is not posted but follows from its class.
    pub fn limit_is_assumed(&mut self, at: SegmentIndex) {
        if let Some(segment) = self.stored.segments.get_mut(at.at()) {
            segment.is_limit_assumed = true;
        }
    }

    /// Says what a segment is built as; without it, on the ground and nothing special.
    pub fn structure(&mut self, at: SegmentIndex, structure: Structure) {
        if let Some(segment) = self.stored.segments.get_mut(at.at()) {
            segment.structure = structure;
        }
    }

    /// What was added so far, by index.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.stored.segments
    }

    /// Takes a turn away.
    pub fn forbid_turn(&mut self, from: SegmentIndex, to: SegmentIndex) {
        self.forbidden.insert((from, to));
    }

    /// Adds a turn, also one that the default leaves out (see [`NetworkBuilder::build`]).
    pub fn allow_turn(&mut self, from: SegmentIndex, to: SegmentIndex) {
        self.allowed.push((from.0, to));
    }

    /// Says how a turn runs across the junction, and adds the turn; one per pair of segments. Gives the position by
    /// which other movements name it in `yields_to` and `conflicts` until the network is built.
    pub fn movement(&mut self, movement: Movement) -> u32 {
        self.allowed.push((movement.from.0, movement.to));
        self.movements.push(movement);
        self.movements.len() as u32 - 1
    }

    /// Adds the programme of a signal. Gives its position, by which movements name it.
    pub fn signal_plan(&mut self, plan: SignalPlan) -> u32 {
        self.stored.signal_plans.push(plan);
        self.stored.signal_plans.len() as u32 - 1
    }

    /// From now on only turns of [`NetworkBuilder::allow_turn`] and [`NetworkBuilder::movement`] exist, as in a source that lists them all.
    pub fn only_allowed_turns(&mut self) {
        self.listed_only = true;
    }

    /// Checks everything and makes the network.
    ///
    /// Unless only listed turns exist, a segment leads to every segment that begins where it ends, but back into
    /// its own street only at a dead end.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`NetworkError`].
    pub fn build(mut self) -> Result<Network, NetworkError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        // Rows of the right number first, so that the check below may rely on them.
        let segments = self.stored.segments.len();
        self.stored.turns = Rows::collect(segments, Vec::new());
        check(&self.stored)?;
        let mut turns = self.allowed;
        if !self.listed_only {
            turns.extend(default_turns(&self.stored));
        }
        turns.retain(|&(from, to)| !self.forbidden.contains(&(SegmentIndex(from), to)));
        if turns.iter().any(|&(from, to)| from as usize >= segments || to.at() >= segments) {
            return Err(NetworkError::Inconsistent);
        }
        self.stored.turns = Rows::collect(segments, turns);
        if !self.movements.is_empty() {
            self.stored.movements = movements::complete(&self.stored, self.movements)?;
        }
        movements::check(&self.stored)?;
        Ok(Network::assemble(self.stored))
    }
}

/// Checks all that [`Network`] relies on.
pub(crate) fn check(stored: &Stored) -> Result<(), NetworkError> {
    if stored.segments.is_empty() {
        return Err(NetworkError::Empty);
    }
    if stored.segments.len() > SEGMENTS_MAX || stored.points.len() > POINTS_MAX {
        return Err(NetworkError::TooLarge);
    }
    for &[lon_deg, lat_deg] in stored.points.iter().chain(&stored.nodes) {
        if LonLat::new(lon_deg, lat_deg).is_err() {
            return Err(NetworkError::Place { lon_deg, lat_deg });
        }
    }
    let mut ids = FxHashMap::default();
    let mut next_point = 0;
    for (i, segment) in stored.segments.iter().enumerate() {
        if segment.points.start != next_point || segment.points.end < next_point {
            return Err(NetworkError::Inconsistent);
        }
        next_point = segment.points.end;
        check_segment(stored, segment)?;
        if let Some(earlier) = ids.insert(segment.id, i) {
            let first = stored.segments[earlier].source_id.clone();
            return Err(NetworkError::SameId { id: segment.id, first, second: segment.source_id.clone() });
        }
    }
    let turns = &stored.turns;
    let rows_are_whole = turns.start.len() == stored.segments.len() + 1
        && turns.start.first() == Some(&0)
        && turns.start.is_sorted()
        && turns.start.last() == Some(&(turns.items.len() as u32))
        && turns.items.iter().all(|to| to.at() < stored.segments.len());
    let points_are_whole = next_point as usize == stored.points.len() && stored.along_m.len() == stored.points.len();
    if rows_are_whole && points_are_whole { movements::check(stored) } else { Err(NetworkError::Inconsistent) }
}

fn check_segment(stored: &Stored, segment: &Segment) -> Result<(), NetworkError> {
    let wrong = |what| Err(NetworkError::Segment { source_id: segment.source_id.clone(), what });
    if segment.points.len() < 2 {
        return wrong("its line has fewer than two different points");
    }
    if segment.points.end as usize > stored.along_m.len() || segment.points.end as usize > stored.points.len() {
        return Err(NetworkError::Inconsistent);
    }
    if !(segment.length_m.is_finite() && segment.length_m > 0.0) {
        return wrong("its length is not above 0");
    }
    if !segment.source_offset_m.is_finite() {
        return wrong("where it begins on its source is not a number");
    }
    if !(segment.speed_limit_mps.is_finite() && segment.speed_limit_mps > 0.0) {
        return wrong("its speed limit is not above 0");
    }
    if segment.lanes == 0 {
        return wrong("it has no lane");
    }
    if segment.from.at() >= stored.nodes.len() || segment.to.at() >= stored.nodes.len() {
        return wrong("it begins or ends at a junction that does not exist");
    }
    let along = &stored.along_m[segment.points.start as usize..segment.points.end as usize];
    // Points closer than the sphere's arithmetic resolves leave two equal measures, which nothing could divide by.
    if along[0] != 0.0 || along[along.len() - 1] != segment.length_m || !along.is_sorted_by(|a, b| a < b) {
        return wrong("two neighbouring points of its line cannot be told apart");
    }
    Ok(())
}

fn default_turns(stored: &Stored) -> Vec<(u32, SegmentIndex)> {
    let starts = stored.segments.iter().enumerate().map(|(i, s)| (s.from.0, SegmentIndex(i as u32))).collect();
    let outgoing = Rows::collect(stored.nodes.len(), starts);
    let mut turns = Vec::with_capacity(stored.segments.len() * 3);
    for (i, segment) in stored.segments.iter().enumerate() {
        let here = SegmentIndex(i as u32);
        let next = outgoing.row(segment.to.0);
        let ahead = next.iter().filter(|&&to| !is_way_back(stored, here, to));
        let before = turns.len();
        turns.extend(ahead.map(|&to| (here.0, to)));
        if turns.len() == before {
            turns.extend(next.iter().map(|&to| (here.0, to)));
        }
    }
    turns
}

/// Whether `to` is the other direction of the same piece of street.
fn is_way_back(stored: &Stored, from: SegmentIndex, to: SegmentIndex) -> bool {
    let (a, b) = (&stored.points[stored.range(from)], &stored.points[stored.range(to)]);
    stored.segments[from.at()].from == stored.segments[to.at()].to && a.len() == b.len() && a.iter().eq(b.iter().rev())
}
