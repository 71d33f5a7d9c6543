//! The vehicles of a part of the city, in columns: all of a lane side by side, the first in driving direction first.
//!
//! Positions, speeds and all else are three columns in the same order, so that a step reads them as they lie. Upstream:
//! the world, which brings vehicles on and off. Downstream: motion.

use serde::{Deserialize, Serialize};

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
    /// Its next stop on this segment, or where its trip ends; `i32::MAX` for neither.
    pub(crate) goal_mm: i32,
    /// Step in which it came onto this segment, modulo 2¹⁶.
    pub(crate) since: u16,
    /// Position of this segment in its route.
    pub(crate) leg: u16,
    pub(crate) factor_permille: u16,
    /// Seconds that it still stands at its stop.
    pub(crate) dwell_s: u16,
    /// Lanes of this segment that lead on along its route, as bits.
    pub(crate) lanes: u16,
    /// Of those, the lanes from which it gets farthest without a change.
    pub(crate) better: u16,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stops_made: u8,
    /// Seconds of congestion that its driver remembers.
    pub(crate) memory_s: u8,
}

impl Who {
    /// Seconds since it came onto this segment, up to 18 hours.
    pub(crate) fn on_segment_s(&self, step: u32) -> u32 {
        u32::from((step as u16).wrapping_sub(self.since))
    }

    /// How far beyond this segment it gets without a change of lanes, mm, rounded down; `i32::MAX` from 98 m on.
    pub(crate) fn beyond_mm(&self) -> i32 {
        match i32::from(self.flags >> BEYOND_SHIFT) {
            7 => i32::MAX,
            level => level * BEYOND_STEP_M * 1_000,
        }
    }

    pub(crate) fn set_beyond_m(&mut self, beyond_m: f32) {
        let level = (beyond_m as i32 / BEYOND_STEP_M).clamp(0, 7) as u8;
        self.flags = self.flags & ((1 << BEYOND_SHIFT) - 1) | level << BEYOND_SHIFT;
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

/// From this bit on the flags hold how far one gets without a change of lanes, in steps of so many metres.
const BEYOND_SHIFT: u8 = 5;
const BEYOND_STEP_M: i32 = 14;

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
