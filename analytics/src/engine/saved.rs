//! The engine as bytes: panes, tracks, detectors, watermarks, counts. With it comes what the bytes are good for: the
//! network and the settings that they were made with.
//!
//! Upstream, downstream: [`Engine`], and [`crate::checkpoint`], which keeps the bytes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use roads::Network;
use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};

use super::{Engine, EngineConfig, EngineCounts};
use crate::archive::collect::Collector;
use crate::bus::Buses;
use crate::detector::Detectors;
use crate::matching::{MatchConfig, SavedTracks, TracksToSave};
use crate::pane::PaneStore;
use crate::revision::Revisions;
use crate::signal::Signals;
use crate::study::{Learnt, Study};
use crate::watermark::Watermarks;

/// All but the panes, which follow as they are.
#[derive(Serialize)]
struct ToSave<'e> {
    counts: EngineCounts,
    oldest_ms: Option<i64>,
    watermarks: &'e Watermarks,
    revisions: &'e Revisions,
    detectors: &'e Detectors,
    signals: &'e Signals,
    buses: &'e Buses,
    newest_of_all_ms: Option<i64>,
    learnt: Option<&'e Learnt>,
    collector: Option<&'e Collector>,
    tracks: TracksToSave<'e>,
}

/// The same, read.
#[derive(Deserialize)]
struct Saved {
    counts: EngineCounts,
    oldest_ms: Option<i64>,
    watermarks: Watermarks,
    revisions: Revisions,
    detectors: Detectors,
    signals: Signals,
    buses: Buses,
    newest_of_all_ms: Option<i64>,
    learnt: Option<Learnt>,
    collector: Option<Collector>,
    tracks: SavedTracks,
}

/// What an engine was made with. State of another network or of other settings means something else, so it cannot be
/// gone on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub network: String,
    pub settings: String,
}

/// Why saved bytes are of no use.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    #[error("its state cannot be read: {0}")]
    Damaged(#[from] postcard::Error),
    #[error("its state ends early")]
    Short,
    #[error(transparent)]
    Panes(#[from] crate::pane::SavedError),
}

/// What differs between two identities, as the end of a sentence that begins with "it was made".
pub struct Difference<'i> {
    pub of: &'i Identity,
    pub wanted: &'i Identity,
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of.network != self.wanted.network {
            write!(f, "on the network {}, this is {}", self.of.network, self.wanted.network)
        } else {
            write!(f, "with other settings: {}, now {}", self.of.settings, self.wanted.settings)
        }
    }
}

impl Identity {
    /// The identity of an engine over this network.
    pub fn new(network: &Network, config: &EngineConfig) -> Self {
        let mut hasher = FxHasher::default();
        for (at, segment) in network.indices().zip(network.segments()) {
            (segment.id, segment.length_m.to_bits(), segment.free_flow_mps().to_bits()).hash(&mut hasher);
            network.successors(at).hash(&mut hasher);
        }
        let (name, segments) = (network.name(), network.segments().len());
        let network = format!("`{name}` of {segments} segments ({:016x})", hasher.finish());
        Self { network, settings: settings(config) }
    }
}

/// Everything that decides what a cell becomes; a field that is added has to be named here.
fn settings(config: &EngineConfig) -> String {
    // Cells do not depend on threads, nor on whether somebody keeps them.
    let EngineConfig { matching, keep_ms, lateness_ms, fold, utc_offset_s, wiring, schedule, study, .. } = config;
    let EngineConfig { threads: _, collect: _, .. } = config;
    let MatchConfig {
        radius_m,
        sigma_m,
        look_back_fixes,
        look_back_ms,
        gap_ms_max,
        speed_mps_max,
        heading_mps_min,
        parked_ms,
        parked_off_ms,
        forget_after_ms,
        trust_edge,
        hexagons,
    } = matching;
    format!(
        "radius {radius_m} m, sigma {sigma_m} m, look back {look_back_fixes} fixes and {look_back_ms} ms, \
         gap {gap_ms_max} ms, speed {speed_mps_max} m/s, heading from {heading_mps_min} m/s, \
         parked {parked_ms} and {parked_off_ms} ms, forget {forget_after_ms} ms, edges trusted {trust_edge}, \
         hexagons {}, keep {keep_ms:?} ms, lateness {lateness_ms:?} ms, fold {fold}, UTC offset {utc_offset_s} s, \
         detectors of signals {:016x}, bus headways {:016x}, corridors and zones {:016x}",
        hexagons.is_some(),
        digest(wiring),
        digest(schedule),
        digest(&study.as_ref().map(|study| format!("{study:?}")))
    )
}

/// A long setting in short.
fn digest(setting: &impl Serialize) -> u64 {
    let mut hasher = FxHasher::default();
    postcard::to_extend(setting, Vec::new()).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

impl Engine {
    /// Everything that the next batch depends on. Equal engines give equal bytes.
    ///
    /// # Errors
    /// When memory is short.
    pub fn save(&self) -> Result<Vec<u8>, SavedError> {
        let state = ToSave {
            counts: self.counts,
            oldest_ms: self.oldest_ms,
            watermarks: &self.watermarks,
            revisions: &self.revisions,
            detectors: &self.detectors,
            signals: &self.signals,
            buses: &self.buses,
            newest_of_all_ms: self.newest_of_all_ms,
            learnt: self.study.as_ref().map(Study::learnt),
            collector: self.collector.as_ref(),
            tracks: self.matcher.to_save(),
        };
        // The length of the state, the state, the panes.
        let mut bytes = postcard::to_extend(&state, vec![0; size_of::<u64>()])?;
        let state_bytes = (bytes.len() - size_of::<u64>()) as u64;
        bytes[..size_of::<u64>()].copy_from_slice(&state_bytes.to_le_bytes());
        self.store.save(&mut bytes);
        Ok(bytes)
    }

    /// An engine that goes on where the saved one was; network and configuration are those that it was made with, see
    /// [`Identity`].
    ///
    /// # Errors
    /// [`SavedError`] when these bytes were not written by [`Self::save`] of this version.
    pub fn load(network: Arc<Network>, config: EngineConfig, bytes: &[u8]) -> Result<Self, SavedError> {
        let (length, rest) = bytes.split_first_chunk().ok_or(SavedError::Short)?;
        let state_bytes = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| SavedError::Short)?;
        let (state, panes) = rest.split_at_checked(state_bytes).ok_or(SavedError::Short)?;
        let state: Saved = postcard::from_bytes(state)?;
        let mut engine = Self::new(network, config);
        let mut panes = panes;
        engine.store = PaneStore::load(&mut panes, super::free_flow(&engine.network))?;
        engine.matcher.take_up(state.tracks);
        engine.revisions = state.revisions;
        engine.watermarks = state.watermarks;
        engine.detectors = state.detectors;
        (engine.signals, engine.buses) = (state.signals, state.buses);
        (engine.oldest_ms, engine.newest_of_all_ms) = (state.oldest_ms, state.newest_of_all_ms);
        engine.counts = state.counts;
        if let (Some(config), Some(learnt)) = (engine.config.study.clone(), state.learnt) {
            engine.study = Some(Study::resumed(Arc::clone(&engine.network), config, learnt));
        }
        if let (Some(config), Some(saved)) = (engine.config.collect, state.collector) {
            engine.collector = Some(saved.with(config));
        }
        Ok(engine)
    }
}
