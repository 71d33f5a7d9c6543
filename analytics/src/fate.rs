//! What becomes of an event that analytics takes in: exactly one fate each, at every instant.
//!
//! Upstream: [`crate::engine`]. Downstream: [`crate::export`]. The gate of ingest has removed duplicates and rejected
//! what cannot be; what is told here is of the events that passed it.

use serde::{Deserialize, Serialize};

/// Kinds of sources, each with an event time of its own: loops report minutes after vehicles do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceClass {
    Position,
    Detector,
    Signal,
}

impl SourceClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Position, Self::Detector, Self::Signal];

    /// The name in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Detector => "detector",
            Self::Signal => "signal",
        }
    }
}

/// The events of one class by their fate. A correction of the matcher can move an event from `counted` to `unmatched`
/// and back; the sum never changes by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByFate {
    /// In a cell, a statistic of a detector, or the count of signal changes.
    pub counted: u64,
    /// The same vehicle at the same moment, twice; the first one counts. Others of its kind never pass the gate.
    pub duplicate: u64,
    /// Left out: farther behind the watermark of its class than the allowed lateness, or older than all that its
    /// vehicle's track remembers.
    pub late: u64,
    /// Left out: stamped ahead of its receipt, or so far ahead of everybody else that nobody believes it yet.
    pub quarantined: u64,
    /// In no cell and no statistic: off the network, inside a junction, parked; the passage of a single vehicle over a
    /// loop; a detector beyond the bound.
    pub unmatched: u64,
}

impl ByFate {
    /// The fates with their names in labels.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("counted", self.counted),
            ("duplicate", self.duplicate),
            ("late", self.late),
            ("quarantined", self.quarantined),
            ("unmatched", self.unmatched),
        ]
    }

    /// All of them together: the events that came in.
    pub fn total(&self) -> u64 {
        self.named().iter().map(|fate| fate.1).sum()
    }
}
