//! What goes wrong with the sensors, as the truth writes it down.
//!
//! Upstream: the sensors. Downstream: the table of faults, and tests that look for each fault in the events.

use events::TimeMs;
use serde::{Deserialize, Serialize};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FaultKind {
    /// A loop that reports nothing all day.
    Dead,
    /// A loop that is covered all day and counts nobody.
    StuckOn,
    /// A loop that is never covered and counts nobody.
    StuckOff,
    /// A loop that counts each vehicle several times.
    Chattering,
    /// A loop that misses vehicles.
    Miscounting,
    /// A loop that also counts those on the loop beside it.
    Crosstalk,
    /// A street where walls hide and mirror satellites; the value is the deviation, m.
    Canyon,
    /// One position far off; the value is how far, m.
    Jump,
    /// A receiver without a fix.
    NoFix,
    /// A radio that is silent and sends everything afterwards.
    Silence,
    /// A clock that is off; the value is by how much, ms.
    Clock,
    /// A position that never arrives; the value is its number.
    Lost,
    /// A position that arrives twice; the value is its number.
    Duplicate,
}

impl FaultKind {
    /// The word in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::StuckOn => "stuck_on",
            Self::StuckOff => "stuck_off",
            Self::Chattering => "chattering",
            Self::Miscounting => "miscounting",
            Self::Crosstalk => "crosstalk",
            Self::Canyon => "canyon",
            Self::Jump => "jump",
            Self::NoFix => "no_fix",
            Self::Silence => "silence",
            Self::Clock => "clock",
            Self::Lost => "lost",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Who has a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Faulty {
    /// By the number of its id.
    Vehicle(u64),
    /// By its place in [`super::Sensors::detectors`].
    Loop(u32),
    /// By index.
    Segment(u32),
}

/// One fault, from when to when, true time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    pub who: Faulty,
    pub kind: FaultKind,
    pub begin: TimeMs,
    /// The same as `begin` for what concerns one report.
    pub end: TimeMs,
    /// What the kind says; 0 where it says nothing.
    pub value: f64,
}
