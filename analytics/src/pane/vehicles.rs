//! Vehicles as small numbers, and the cell that each is in now.
//!
//! Upstream: [`super::PaneStore`]. Downstream: [`super::visits`]. A vehicle mostly stays in a cell for several
//! contributions, so they are added up here, in one table that stays in the processor's cache and costs one line of it
//! each, and go to the cell and to the segment's visits together when the vehicle changes its cell or somebody asks.
//!
//! Whoever contributes is mostly the one who did last, or the one whose number follows, since vehicles report in turns:
//! these two are tried first. The others are found by open addressing with linear probing (Knuth, The Art of Computer
//! Programming 3, 6.4). Bounded by the vehicles seen in the panes that are kept: [`Vehicles::keep`] lets go of the others,
//! and their numbers are given again.

use super::sums::Sum;
use crate::cell::Change;

/// No number, no segment.
const NONE: u32 = u32::MAX;

/// Most vehicles at a time: what a visit has bits for. Beyond them all others count as one.
const NUMBERS_MAX: usize = 1 << super::visits::VEHICLE_BITS;

/// Contributions of a vehicle in one cell that neither the cell nor its segment's visits know yet: half a line of the
/// processor's cache with its pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// The vehicle's number.
    pub(super) number: u32,
    pub(super) segment: u32,
    /// The number of the pane: its begin over its length.
    pub(super) pane: i32,
    /// Negative when more was taken back than added, as the sums may be.
    pub(super) contributions: i16,
    pub(super) events: i16,
    pub(super) distance_mm: i32,
    pub(super) time_ms: i32,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    vehicle: u64,
    /// Without a number while it is nobody's.
    open: Open,
}

impl Open {
    /// One change of a vehicle that has no number yet.
    #[inline]
    pub(super) fn of(change: &Change) -> Self {
        Self {
            number: NONE,
            segment: change.segment.0,
            pane: change.pane,
            contributions: change.one,
            events: change.events,
            distance_mm: change.distance_mm,
            time_ms: change.time_ms,
        }
    }

    /// The visit alone.
    pub(super) fn without_sums(self) -> Self {
        Self { events: 0, distance_mm: 0, time_ms: 0, ..self }
    }

    /// What it adds to its cell.
    #[inline]
    pub(super) fn sum(&self) -> Sum {
        let Self { distance_mm, time_ms, events, .. } = *self;
        Sum { distance_mm: distance_mm.into(), time_ms: time_ms.into(), events: events.into() }
    }

    /// Whether nothing is left of it.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.contributions == 0 && self.sum().is_empty()
    }

    /// Both together, when they are of one cell and fit.
    #[inline]
    fn joined(&self, other: &Self) -> Option<Self> {
        if (self.segment, self.pane) != (other.segment, other.pane) {
            return None;
        }
        Some(Self {
            contributions: self.contributions.checked_add(other.contributions)?,
            events: self.events.checked_add(other.events)?,
            distance_mm: self.distance_mm.checked_add(other.distance_mm)?,
            time_ms: self.time_ms.checked_add(other.time_ms)?,
            ..*self
        })
    }
}

/// Nothing of nobody.
pub(super) const NOTHING: Open =
    Open { number: NONE, segment: NONE, pane: 0, contributions: 0, events: 0, distance_mm: 0, time_ms: 0 };

/// All vehicles that the store knows.
#[derive(Debug, Default)]
pub(super) struct Vehicles {
    /// By number.
    slots: Vec<Slot>,
    /// Numbers by hash, [`NONE`] in free places: a power of two of them, at most half in use; none before the first
    /// vehicle.
    index: Vec<u32>,
    free: Vec<u32>,
    /// Who contributed last.
    last: u32,
}

impl Vehicles {
    /// Adds one contribution and gives what the vehicle leaves behind when it was in another cell before.
    #[inline]
    pub(super) fn add(&mut self, change: &Change) -> Option<Open> {
        let (number, part) = (self.find(change.vehicle), Open::of(change));
        let open = &mut self.slots[number as usize].open;
        if let Some(joined) = open.joined(&part) {
            *open = joined;
            return None;
        }
        let left = *open;
        *open = Open { number: left.number, ..part };
        (!left.is_empty()).then_some(left)
    }

    /// Takes everything that is still open.
    pub(super) fn close_all(&mut self, mut each: impl FnMut(Open)) {
        for slot in self.slots.iter_mut().filter(|slot| !slot.open.is_empty()) {
            each(slot.open);
            slot.open = Open { number: slot.open.number, ..NOTHING };
        }
    }

    /// Everything that is still open.
    pub(super) fn open(&self) -> impl Iterator<Item = Open> + '_ {
        self.slots.iter().map(|slot| slot.open).filter(|open| !open.is_empty())
    }

    /// Numbers given so far; those let go count.
    pub(super) fn numbers(&self) -> usize {
        self.slots.len()
    }

    /// The pseudonym behind a number.
    pub(super) fn name(&self, number: u32) -> u64 {
        self.slots[number as usize].vehicle
    }

    /// The number of a vehicle, a new one when it has none.
    pub(super) fn number(&mut self, vehicle: u64) -> u32 {
        self.find(vehicle)
    }

    /// Lets go of the vehicles for which `is_kept` says no. Nothing may be open, and nobody may use their numbers.
    pub(super) fn keep(&mut self, is_kept: impl Fn(u32) -> bool) {
        let before = self.free.len();
        for slot in self.slots.iter_mut().filter(|s| s.open.number != NONE && !is_kept(s.open.number)) {
            self.free.push(slot.open.number);
            slot.open = NOTHING;
        }
        if self.free.len() > before {
            self.free.sort_unstable_by(|a, b| b.cmp(a));
            self.lay_out();
        }
    }

    #[inline]
    fn find(&mut self, vehicle: u64) -> u32 {
        for guess in [self.last, self.last.wrapping_add(1)] {
            let slot = self.slots.get(guess as usize);
            if slot.is_some_and(|slot| slot.vehicle == vehicle && slot.open.number != NONE) {
                self.last = guess;
                return guess;
            }
        }
        self.last = self.search(vehicle);
        self.last
    }

    fn search(&mut self, vehicle: u64) -> u32 {
        if !self.index.is_empty() {
            let (mask, mut at) = (self.index.len() - 1, self.home(vehicle));
            while self.index[at] != NONE {
                if self.slots[self.index[at] as usize].vehicle == vehicle {
                    return self.index[at];
                }
                at = (at + 1) & mask;
            }
        }
        self.insert(vehicle)
    }

    #[inline]
    fn home(&self, vehicle: u64) -> usize {
        // Fibonacci hashing (Knuth, as above); the high bits are the good ones.
        let bits = self.index.len().trailing_zeros();
        (vehicle.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - bits)) as usize & (self.index.len() - 1)
    }

    #[cold]
    fn insert(&mut self, vehicle: u64) -> u32 {
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.slots.len() < NUMBERS_MAX => {
                self.slots.push(Slot { vehicle, open: NOTHING });
                self.slots.len() as u32 - 1
            }
            None => return NUMBERS_MAX as u32 - 1,
        };
        self.slots[number as usize] = Slot { vehicle, open: Open { number, ..NOTHING } };
        if (self.slots.len() - self.free.len()) * 2 > self.index.len() {
            self.lay_out();
        } else {
            self.put(number);
        }
        number
    }

    fn put(&mut self, number: u32) {
        let (mask, mut at) = (self.index.len() - 1, self.home(self.slots[number as usize].vehicle));
        while self.index[at] != NONE {
            at = (at + 1) & mask;
        }
        self.index[at] = number;
    }

    fn lay_out(&mut self) {
        let used = self.slots.len() - self.free.len();
        self.index = vec![NONE; ((used + 1) * 3).next_power_of_two().max(16)];
        for number in 0..self.slots.len() as u32 {
            if self.slots[number as usize].open.number != NONE {
                self.put(number);
            }
        }
    }
}
