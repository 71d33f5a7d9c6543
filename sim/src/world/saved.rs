//! A world written down in the middle of a run, and taken up again: the same events follow.
//!
//! Only what changes is saved (postcard); what follows from the network and the scenario is made again, so both must
//! be the same. Upstream, downstream: the world.

use std::sync::Arc;

use roads::{LinkState, Network, SegmentIndex};
use serde::{Deserialize, Serialize};

use super::World;
use super::part::{Coming, Details, Part, Tail, TripState};
use crate::demand::Progress;
use crate::scenario::{DepartAt, DepartLane, Scenario, ScenarioError, Stop};
use crate::signal::Running;

/// Raised with every change of what is saved.
const VERSION: u32 = 4;

/// Why a saved world cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    #[error("the saved world is damaged or of another version")]
    Damaged,
    #[error("the saved world is of another network, or of a scenario with another seed")]
    Other,
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    seed: u64,
    source_hash: String,
    lanes: usize,
    step: u32,
    running: Vec<Running>,
    links: Vec<LinkState>,
    demand: Progress,
    asked: u64,
    unroutable: u64,
    parts: Vec<Part>,
    tails: Vec<Tail>,
    coming: Vec<Coming>,
    blocked: Vec<bool>,
    trips: Vec<SavedTrip>,
    free: Vec<u32>,
    next_id: u32,
    arrived: u64,
    rerouted: u64,
}

#[derive(Serialize, Deserialize)]
struct SavedTrip {
    id: u32,
    kind: u8,
    factor_permille: u16,
    route: Vec<SegmentIndex>,
    details: Option<SavedDetails>,
}

#[derive(Serialize, Deserialize)]
struct SavedDetails {
    stops: Vec<(SegmentIndex, f32, f32)>,
    lane: Option<u8>,
    /// Middle 0, base 1, metres 2.
    at: (u8, f32),
    speed_mps: f32,
    arrival_m: Option<f32>,
}

impl World {
    /// Writes down everything that changes.
    ///
    /// # Errors
    /// [`SavedError::Damaged`] if it cannot be encoded.
    pub fn save(&self) -> Result<Vec<u8>, SavedError> {
        // Parts are taken over by value in `load`; here a copy through the encoder is enough.
        let parts = postcard::to_stdvec(&self.parts).map_err(|_| SavedError::Damaged)?;
        let saved = Saved {
            version: VERSION,
            seed: self.scenario.seed,
            source_hash: self.network.source_hash().to_owned(),
            lanes: self.map.lanes.len(),
            step: self.step,
            running: self.signals.running.clone(),
            links: self.signals.links.clone(),
            demand: self.demand.progress.clone(),
            asked: self.demand.asked,
            unroutable: self.demand.unroutable,
            parts: postcard::from_bytes(&parts).map_err(|_| SavedError::Damaged)?,
            tails: self.tails.clone(),
            coming: self.coming.clone(),
            blocked: self.blocked.clone(),
            trips: self.trips.iter().map(SavedTrip::new).collect(),
            free: self.free.iter().copied().collect(),
            next_id: self.next_id,
            arrived: self.counters.arrived,
            rerouted: self.counters.rerouted,
        };
        postcard::to_stdvec(&saved).map_err(|_| SavedError::Damaged)
    }

    /// Takes up a world where it was saved.
    ///
    /// # Errors
    /// [`SavedError`], one sentence.
    pub fn load(network: Arc<Network>, scenario: Scenario, bytes: &[u8]) -> Result<Self, SavedError> {
        let saved: Saved = postcard::from_bytes(bytes).map_err(|_| SavedError::Damaged)?;
        let mut world = Self::new(network, scenario)?;
        let same = saved.version == VERSION
            && saved.seed == world.scenario.seed
            && saved.source_hash == world.network.source_hash()
            && saved.lanes == world.map.lanes.len()
            && saved.parts.len() == world.parts.len()
            && saved.links.len() == world.signals.links.len();
        if !same {
            return Err(SavedError::Other);
        }
        world.step = saved.step;
        (world.signals.running, world.signals.links) = (saved.running, saved.links);
        world.demand.resume(saved.demand, saved.asked, saved.unroutable);
        world.parts = saved.parts;
        for part in &mut world.parts {
            part.prepare(&world.map);
        }
        (world.tails, world.coming, world.blocked) = (saved.tails, saved.coming, saved.blocked);
        world.trips = saved.trips.into_iter().map(SavedTrip::into_trip).collect();
        (world.free, world.next_id) = (saved.free.into(), saved.next_id);
        (world.counters.arrived, world.counters.rerouted) = (saved.arrived, saved.rerouted);
        let entered: u64 = world.parts.iter().map(|p| p.tally.departed).sum();
        let done: u64 = world.parts.iter().map(|p| p.tally.departed + p.tally.no_room).sum();
        world.on_road = (entered - saved.arrived) as usize;
        world.waiting = (saved.asked - done) as usize;
        Ok(world)
    }
}

impl SavedTrip {
    fn new(trip: &TripState) -> Self {
        let details = trip.details.as_deref().map(|d| SavedDetails {
            stops: d.stops.iter().map(|s| (s.segment, s.offset_m, s.duration_s)).collect(),
            lane: if let DepartLane::Number(n) = d.lane { Some(n) } else { None },
            at: match d.at {
                DepartAt::Middle => (0, 0.0),
                DepartAt::Base => (1, 0.0),
                DepartAt::Metres(m) => (2, m),
            },
            speed_mps: d.speed_mps,
            arrival_m: d.arrival_m,
        });
        Self {
            id: trip.id,
            kind: trip.kind,
            factor_permille: trip.factor_permille,
            route: trip.route.to_vec(),
            details,
        }
    }

    fn into_trip(self) -> TripState {
        let details = self.details.map(|d| {
            Box::new(Details {
                stops: d
                    .stops
                    .into_iter()
                    .map(|(segment, offset_m, duration_s)| Stop { segment, offset_m, duration_s })
                    .collect(),
                lane: d.lane.map_or(DepartLane::Best, DepartLane::Number),
                at: match d.at.0 {
                    0 => DepartAt::Middle,
                    1 => DepartAt::Base,
                    _ => DepartAt::Metres(d.at.1),
                },
                speed_mps: d.speed_mps,
                arrival_m: d.arrival_m,
            })
        });
        TripState {
            id: self.id,
            kind: self.kind,
            factor_permille: self.factor_permille,
            route: self.route.into(),
            details,
        }
    }
}
