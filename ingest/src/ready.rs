//! Whether ingest can do its work now, and if not, why.
//!
//! Upstream: the writer (disk) and the broker subscription (MQTT). Downstream: `/ready`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What can be unable to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Disk,
    Broker,
    /// The writer's thread is gone, by a bug: only a restart helps.
    Writer,
}

impl Part {
    /// The name in `/ready`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Broker => "broker",
            Self::Writer => "writer",
        }
    }
}

/// The shared state; clones are the same one. Holds at most one reason per part.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    reasons: Arc<Mutex<BTreeMap<Part, String>>>,
}

impl Ready {
    /// Whether everything works.
    pub fn is_ready(&self) -> bool {
        self.lock().is_empty()
    }

    /// Why not, one sentence per part.
    pub fn reasons(&self) -> BTreeMap<Part, String> {
        self.lock().clone()
    }

    /// A part cannot work. Whether that is news (the part was well before).
    pub fn fails(&self, part: Part, reason: String) -> bool {
        self.lock().insert(part, reason).is_none()
    }

    /// A part works. Whether that is news.
    pub fn works(&self, part: Part) -> bool {
        self.lock().remove(&part).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Part, String>> {
        // Nothing can panic while this is held, and a map of sentences is whole at any moment.
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
