//! Vehicles as small numbers, and the cell that each is in now.
//!
//! Upstream: [`super::PaneStore`]. Downstream: [`super::visits`]. A vehicle mostly stays in a cell for several
//! contributions, so they are counted here, in one table that stays in the processor's cache, and go to the segment's
//! visits together when the vehicle changes its cell or somebody asks.
//!
//! Open addressing with linear probing (Knuth, The Art of Computer Programming 3, 6.4). Bounded by the vehicles seen in
//! the panes that are kept: [`Vehicles::keep`] lets go of the others, and their numbers are given again.

/// No number, no segment.
const NONE: u32 = u32::MAX;

/// Contributions of a vehicle in one cell that its segment's visits do not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// The vehicle's number.
    pub(super) number: u32,
    pub(super) segment: u32,
    /// The number of the pane: its begin over its length.
    pub(super) pane: i32,
    /// Negative when more was taken back than added.
    pub(super) contributions: i32,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    vehicle: u64,
    open: Open,
}

const FREE: Slot = Slot { vehicle: 0, open: Open { number: NONE, segment: NONE, pane: 0, contributions: 0 } };

/// All vehicles that the store knows.
#[derive(Debug, Default)]
pub(super) struct Vehicles {
    /// A power of two of them, at most 7/10 in use; none before the first vehicle.
    slots: Vec<Slot>,
    used: usize,
    /// By number.
    names: Vec<u64>,
    free: Vec<u32>,
}

impl Vehicles {
    /// Counts one contribution (`one` is −1 when it is taken back) and gives what the vehicle leaves behind when it was in
    /// another cell before.
    pub(super) fn count(&mut self, vehicle: u64, segment: u32, pane: i32, one: i32) -> Option<Open> {
        let at = self.find(vehicle);
        let open = &mut self.slots[at].open;
        if open.segment == segment && open.pane == pane {
            open.contributions += one;
            return None;
        }
        let left = *open;
        (open.segment, open.pane, open.contributions) = (segment, pane, one);
        (left.contributions != 0).then_some(left)
    }

    /// Takes everything that is still open.
    pub(super) fn close_all(&mut self, mut each: impl FnMut(Open)) {
        for slot in self.slots.iter_mut().filter(|slot| slot.open.contributions != 0) {
            each(slot.open);
            slot.open.contributions = 0;
        }
    }

    /// Everything that is still open.
    pub(super) fn open(&self) -> impl Iterator<Item = Open> + '_ {
        self.slots.iter().map(|slot| slot.open).filter(|open| open.contributions != 0)
    }

    /// Numbers given so far; those let go count.
    pub(super) fn numbers(&self) -> usize {
        self.names.len()
    }

    /// The pseudonym behind a number.
    pub(super) fn name(&self, number: u32) -> u64 {
        self.names[number as usize]
    }

    /// The number of a vehicle, a new one when it has none.
    pub(super) fn number(&mut self, vehicle: u64) -> u32 {
        let at = self.find(vehicle);
        self.slots[at].open.number
    }

    /// Lets go of the vehicles for which `is_kept` says no. Nothing may be open, and nobody may use their numbers.
    pub(super) fn keep(&mut self, is_kept: impl Fn(u32) -> bool) {
        let kept: Vec<Slot> =
            self.slots.iter().filter(|s| s.open.number != NONE && is_kept(s.open.number)).copied().collect();
        if kept.len() == self.used {
            return;
        }
        let gone = self.slots.iter().filter(|s| s.open.number != NONE && !is_kept(s.open.number));
        self.free.extend(gone.map(|s| s.open.number));
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        self.used = kept.len();
        self.lay_out(&kept);
    }

    #[inline]
    fn find(&mut self, vehicle: u64) -> usize {
        if !self.slots.is_empty() {
            let mask = self.slots.len() - 1;
            let mut at = self.home(vehicle);
            loop {
                let slot = &self.slots[at];
                if slot.vehicle == vehicle && slot.open.number != NONE {
                    return at;
                }
                if slot.open.number == NONE {
                    break;
                }
                at = (at + 1) & mask;
            }
        }
        self.insert(vehicle)
    }

    #[inline]
    fn home(&self, vehicle: u64) -> usize {
        // Fibonacci hashing (Knuth, as above); the high bits are the good ones.
        let bits = self.slots.len().trailing_zeros();
        (vehicle.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - bits)) as usize & (self.slots.len() - 1)
    }

    #[cold]
    fn insert(&mut self, vehicle: u64) -> usize {
        if (self.used + 1) * 10 > self.slots.len() * 7 {
            let kept: Vec<Slot> = self.slots.iter().filter(|s| s.open.number != NONE).copied().collect();
            self.lay_out(&kept);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.names.push(vehicle);
            self.names.len() as u32 - 1
        });
        self.names[number as usize] = vehicle;
        self.used += 1;
        self.put(Slot { vehicle, open: Open { number, ..FREE.open } })
    }

    fn put(&mut self, slot: Slot) -> usize {
        let (mask, mut at) = (self.slots.len() - 1, self.home(slot.vehicle));
        while self.slots[at].open.number != NONE {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
        at
    }

    fn lay_out(&mut self, kept: &[Slot]) {
        self.slots = vec![FREE; ((kept.len() + 1) * 2).next_power_of_two().max(16)];
        kept.iter().for_each(|slot| {
            self.put(*slot);
        });
    }
}
