//! The vehicles of a part of the city, in columns: all of a lane side by side, the first in driving direction first.
//!
//! Positions, speeds and all else are three columns in the same order, so that a step reads them as they lie. Upstream:
//! the world, which brings vehicles on and off. Downstream: motion.

use serde::{Deserialize, Serialize};

use crate::reach::Reach;

/// What a vehicle carries along, beside position and speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Who {
    /// The number of its trip.
    pub(crate) id: u32,
    /// Where its trip is kept.
    pub(crate) slot: u32,
    /// The link that it will take at the end of the lane; [`crate::map::NONE`] where the trip ends here, or where this
    /// lane does not lead on.
    pub(crate) link: u32,
    /// Driven before it came onto this segment, mm.
    pub(crate) odometer_mm: i32,
    /// Step in which it came onto this segment, modulo 2¹⁶.
    pub(crate) since: u16,
    /// Position of this segment in its route.
    pub(crate) leg: u16,
    pub(crate) factor_permille: u16,
    /// Seconds that it still stands at its stop.
    pub(crate) dwell_s: u16,
    /// How far it gets from each lane of this segment.
    pub(crate) reach: Reach,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stops_made: u8,
    /// Seconds of congestion that its driver remembers.
    pub(crate) memory_s: u8,
    /// What it has found to gain on the left (above 0) or on the right, in fiftieths; since the last change.
    pub(crate) gain: i8,
    /// The speed by which it looks ahead, [`LOOK_STEP_MM_S`]: follows its speed up at once, and down slowly.
    pub(crate) look: u8,
    /// Share of what it could do in the coming second that it gives up for somebody who changes lanes, of 255.
    pub(crate) yields: u8,
}

impl Who {
    /// Seconds since it came onto this segment, up to 18 hours.
    pub(crate) fn on_segment_s(&self, step: u32) -> u32 {
        u32::from((step as u16).wrapping_sub(self.since))
    }
}

/// The trip ends on this segment.
pub(crate) const LAST_LEG: u8 = 1;
/// It crossed onto this lane during the last step: what it did is among the pieces.
pub(crate) const CROSSED: u8 = 2;
/// It came onto the road at the end of the last step.
pub(crate) const FRESH: u8 = 4;
/// Its next goal is a stop.
pub(crate) const STOPS: u8 = 8;
/// It has been told to squeeze through a gridlock.
pub(crate) const RELEASED: u8 = 16;

/// Somebody ahead on the lane beside asks to be let in.
pub(crate) const LETS_IN: u8 = 32;

/// Unit of [`Who::look`], mm/s.
pub(crate) const LOOK_STEP_MM_S: i32 = 200;

/// Three columns of the same order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cars {
    pub(crate) pos_mm: Vec<i32>,
    pub(crate) speed_mm_s: Vec<i32>,
    pub(crate) who: Vec<Who>,
}

/// One vehicle, taken out of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Car {
    pub(crate) pos_mm: i32,
    pub(crate) speed_mm_s: i32,
    pub(crate) who: Who,
}

impl Cars {
    pub(crate) fn new(places: usize) -> Self {
        Self { pos_mm: vec![0; places], speed_mm_s: vec![0; places], who: vec![Who::default(); places] }
    }

    pub(crate) fn get(&self, at: usize) -> Car {
        Car { pos_mm: self.pos_mm[at], speed_mm_s: self.speed_mm_s[at], who: self.who[at] }
    }

    /// Puts a vehicle at `at`, and everybody from there to `end` one place back.
    pub(crate) fn insert(&mut self, at: usize, end: usize, car: Car) {
        self.pos_mm.copy_within(at..end, at + 1);
        self.speed_mm_s.copy_within(at..end, at + 1);
        self.who.copy_within(at..end, at + 1);
        self.pos_mm[at] = car.pos_mm;
        self.speed_mm_s[at] = car.speed_mm_s;
        self.who[at] = car.who;
    }

    /// Takes out `count` vehicles from `at` on; who lies behind them up to `end` moves up.
    pub(crate) fn remove(&mut self, at: usize, count: usize, end: usize) {
        self.pos_mm.copy_within(at + count..end, at);
        self.speed_mm_s.copy_within(at + count..end, at);
        self.who.copy_within(at + count..end, at);
    }
}
