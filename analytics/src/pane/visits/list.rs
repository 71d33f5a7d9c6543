//! The visits of one segment, eight bytes each.
//!
//! Upstream: [`super::Visits`]. A city of 100,000 segments has some ten million of them in an hour.

use super::{Kept, WINDOWS};

/// Bits of a visit, from the high end: its vehicle's number, its pane, its contributions.
pub(in crate::pane) const VEHICLE_BITS: u32 = 26;
const PANE_BITS: u32 = 30;
const CONTRIBUTIONS_BITS: u32 = 8;

/// Panes from −`PANE_ZERO` on fit: 170 years before and after 1970.
pub(in crate::pane) const PANE_ZERO: i32 = 1 << (PANE_BITS - 1);

/// Most contributions of one visit, either sign; more of them are several visits.
const CONTRIBUTIONS_MAX: i32 = (1 << (CONTRIBUTIONS_BITS - 1)) - 1;

/// A list grows by so many visits at least.
const GROWN_MIN: usize = 16;

/// Shorter lists are not put in order only because they grow.
const TIDIED_MIN: usize = 128;

/// So many visits are put where they belong one by one; with more, the list is sorted.
const INSERTED_MAX: usize = 24;

/// Contributions of one vehicle to one segment in one pane; ordered by vehicle, then pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::pane) struct Visit(u64);

/// The visits of one segment.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    visits: Vec<Visit>,
    /// So many of the first are in order, each once, none without contributions.
    ordered: u32,
}

impl Visit {
    fn new(vehicle: u32, pane: i32, contributions: i32) -> Self {
        debug_assert!(contributions.abs() <= CONTRIBUTIONS_MAX && (-PANE_ZERO..PANE_ZERO).contains(&pane));
        let biased = (contributions + CONTRIBUTIONS_MAX) as u64;
        let pane = (pane + PANE_ZERO) as u64;
        Self((u64::from(vehicle) << PANE_BITS | pane) << CONTRIBUTIONS_BITS | biased)
    }

    /// Its number in [`crate::pane::vehicles::Vehicles`].
    pub(in crate::pane) fn vehicle(self) -> u32 {
        (self.0 >> (PANE_BITS + CONTRIBUTIONS_BITS)) as u32
    }

    pub(in crate::pane) fn pane(self) -> i32 {
        (self.key() & ((1 << PANE_BITS) - 1)) as i32 - PANE_ZERO
    }

    pub(in crate::pane) fn contributions(self) -> i32 {
        (self.0 & ((1 << CONTRIBUTIONS_BITS) - 1)) as i32 - CONTRIBUTIONS_MAX
    }

    /// Vehicle and pane.
    fn key(self) -> u64 {
        self.0 >> CONTRIBUTIONS_BITS
    }
}

impl List {
    /// Every visit, in order after [`List::tidy`].
    pub(super) fn visits(&self) -> &[Visit] {
        &self.visits
    }

    /// Appends contributions, as several visits when they are many.
    #[inline]
    pub(super) fn push(&mut self, vehicle: u32, pane: i32, contributions: i32) {
        let mut left = contributions;
        while left != 0 {
            let part = left.clamp(-CONTRIBUTIONS_MAX, CONTRIBUTIONS_MAX);
            self.visits.push(Visit::new(vehicle, pane, part));
            left -= part;
        }
    }

    /// Makes room for so many more, a quarter at a time: doubling would waste a third of the memory.
    #[inline]
    pub(super) fn make_room(&mut self, more: usize, kept: Kept) {
        if self.visits.len() + more > self.visits.capacity() {
            self.grow(more, kept);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize, kept: Kept) {
        // Not every time: mostly there is nothing to gain.
        if self.visits.len() >= (2 * self.ordered as usize).max(TIDIED_MIN) {
            self.tidy(kept);
        }
        if self.visits.len() + more > self.visits.capacity() {
            self.visits.reserve_exact(more.max(self.visits.len() / 4).max(GROWN_MIN));
        }
    }

    /// Gives back memory of visits that are gone.
    pub(super) fn shrink(&mut self) {
        if self.visits.capacity() > self.visits.len() * 2 {
            self.visits.shrink_to(self.visits.len() + self.visits.len() / 4);
        }
    }

    /// Puts the list in order, without what is not kept and what is taken back.
    pub(super) fn tidy(&mut self, kept: Kept) {
        self.visits.retain_mut(|visit| match kept.place(visit.pane()) {
            Some(pane) if pane == visit.pane() => true,
            Some(pane) => {
                *visit = Visit::new(visit.vehicle(), pane, visit.contributions());
                true
            }
            None => false,
        });
        // Stable: it finds the part that is in order already.
        self.visits.sort();
        let (mut read, mut end) = (0, 0);
        while let Some(&visit) = self.visits.get(read) {
            let same = self.visits[read..].iter().take_while(|v| v.key() == visit.key()).count();
            let mut left: i32 = self.visits[read..read + same].iter().map(|v| v.contributions()).sum();
            read += same;
            // Never more of them than were read.
            while left != 0 {
                let part = left.clamp(-CONTRIBUTIONS_MAX, CONTRIBUTIONS_MAX);
                self.visits[end] = Visit::new(visit.vehicle(), visit.pane(), part);
                (end, left) = (end + 1, left - part);
            }
        }
        self.visits.truncate(end);
        self.ordered = end as u32;
    }

    /// Puts what was appended in order with the rest. Of folded panes only what is asked of minutes can be asked then.
    pub(super) fn order(&mut self, kept: Kept) {
        let ordered = self.ordered as usize;
        let appended = &self.visits[ordered..];
        if appended.is_empty() {
            return;
        }
        if appended.len() > INSERTED_MAX || appended.iter().any(|visit| visit.pane() < kept.folded_before) {
            return self.tidy(kept);
        }
        let (mut end, mut is_split) = (ordered, false);
        for at in ordered..self.visits.len() {
            let visit = self.visits[at];
            let place = self.visits[..end].partition_point(|v| v.key() < visit.key());
            let same = |at: usize| at < end && self.visits[at].key() == visit.key();
            if same(place) {
                let sum = self.visits[place].contributions() + visit.contributions();
                is_split |= same(place + 1) || sum.abs() > CONTRIBUTIONS_MAX;
                if sum == 0 {
                    self.visits.copy_within(place + 1..end, place);
                    end -= 1;
                    continue;
                }
                if sum.abs() <= CONTRIBUTIONS_MAX {
                    self.visits[place] = Visit::new(visit.vehicle(), visit.pane(), sum);
                    continue;
                }
            }
            self.visits.copy_within(place..end, place + 1);
            self.visits[place] = visit;
            end += 1;
        }
        self.visits.truncate(end);
        self.ordered = end as u32;
        if is_split {
            self.tidy(kept);
        }
    }

    /// Vehicles whose last visit is in a window, for all windows by their first pane; the list is in order.
    pub(super) fn distinct(&self, from: [i32; WINDOWS]) -> [u32; WINDOWS] {
        let from = from.map(|pane| (pane + PANE_ZERO) as u32);
        let mut counts = [0; WINDOWS];
        let mut count = |last: Visit, is_last: bool| {
            let pane = last.key() as u32 & ((1 << PANE_BITS) - 1);
            for (count, from) in counts.iter_mut().zip(from) {
                *count += u32::from(is_last & (pane >= from));
            }
        };
        let pairs = self.visits.iter().zip(self.visits.iter().skip(1));
        pairs.for_each(|(&visit, &next)| count(visit, visit.vehicle() != next.vehicle()));
        self.visits.last().into_iter().for_each(|&last| count(last, true));
        counts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However visits come in and whenever they are put in order: what is left of each vehicle and pane is its sum.
        #[test]
        fn lists_hold_what_was_said(steps in prop::collection::vec((0_u32..6, 0_i32..8, -150_i32..150, 0_u8..6), 0..120)) {
            let (mut list, mut exact) = (List::default(), BTreeMap::new());
            for (vehicle, pane, contributions, what) in steps {
                list.make_room(3, Kept::ALL);
                list.push(vehicle, pane, contributions);
                *exact.entry((vehicle, pane)).or_insert(0) += contributions;
                match what {
                    0 => list.tidy(Kept::ALL),
                    1 | 2 => list.order(Kept::ALL),
                    _ => {}
                }
            }
            exact.retain(|_, sum| *sum != 0);
            list.order(Kept::ALL);
            let from = [6, 4, 1, 0];
            let vehicles = |from: i32| exact.keys().filter(|k| k.1 >= from).map(|k| k.0).collect::<std::collections::BTreeSet<_>>().len() as u32;
            prop_assert_eq!(list.distinct(from), from.map(vehicles));
            let mut held = BTreeMap::new();
            list.visits().iter().for_each(|v| *held.entry((v.vehicle(), v.pane())).or_insert(0) += v.contributions());
            prop_assert_eq!(held, exact);
        }
    }
}
