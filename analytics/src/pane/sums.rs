//! The sums of one pane or one clock minute: pages of sixteen segments, made when a segment of theirs is first driven on.
//!
//! Upstream: [`super::PaneStore`]. Neighbouring segments have neighbouring indices, so a page that exists is mostly
//! used, a contribution costs two array reads instead of a search, and adding panes up runs over plain arrays. A cell
//! holds the low 32 bits of its metres and seconds (70,000 vehicles on one segment in one minute) and the low 16 of its
//! reports; what is above them is carried in a small map, so sums are exact whatever they are.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::touched::Touched;
#[cfg(test)]
use crate::cell::Contribution;

/// Segments of one page.
pub(super) const PAGE: usize = 16;

/// The sums of one segment in one pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum {
    pub(super) distance_mm: i64,
    pub(super) time_ms: i64,
    pub(super) events: i64,
}

/// The low parts of a sum, as halves of words: ten bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Low {
    distance_mm: [u16; 2],
    time_ms: [u16; 2],
    events: u16,
}

/// One pane of all segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    /// For every page its place in `pages` plus one, 0 while it has none.
    table: Vec<u32>,
    pages: Vec<[Low; PAGE]>,
    /// What does not fit the low parts, by segment, in units of 2³², reports of 2¹⁶.
    carried: FxHashMap<usize, Sum>,
    /// Segments about which anything was said.
    driven: Touched,
}

impl Sum {
    /// What a contribution adds.
    #[cfg(test)]
    pub(super) fn of(c: &Contribution) -> Self {
        Self { distance_mm: c.distance_mm, time_ms: c.time_ms, events: c.events }
    }

    /// What taking it back adds.
    pub(super) fn negated(self) -> Self {
        Self { distance_mm: -self.distance_mm, time_ms: -self.time_ms, events: -self.events }
    }

    /// Whether nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: Self) {
        self.distance_mm += other.distance_mm;
        self.time_ms += other.time_ms;
        self.events += other.events;
    }

    /// max(0, time − distance / free-flow speed) in nanoseconds, rounded once: whole numbers, so that the delays of
    /// minutes add and subtract exactly.
    pub(super) fn delay_ns(&self, free_mps: f64) -> i64 {
        // Millimetres over metres a second are milliseconds.
        let free_ns = self.distance_mm as f64 / free_mps * 1e6;
        (self.time_ms * 1_000_000 - (free_ns + 0.5) as i64).max(0)
    }
}

impl Low {
    #[inline]
    fn of(sum: Sum) -> Self {
        let halves = |word: i64| [word as u16, (word >> 16) as u16];
        Self { distance_mm: halves(sum.distance_mm), time_ms: halves(sum.time_ms), events: sum.events as u16 }
    }

    #[inline]
    fn sum(self) -> Sum {
        let word = |[low, high]: [u16; 2]| i64::from(u32::from(low) | u32::from(high) << 16);
        Sum { distance_mm: word(self.distance_mm), time_ms: word(self.time_ms), events: self.events.into() }
    }
}

impl Sums {
    /// Adds to one segment, making its page when it is missing.
    pub(super) fn add(&mut self, segment: usize, sum: Sum) {
        self.driven.set(segment);
        let low = self.low_mut(segment);
        let mut whole = low.sum();
        whole.merge(sum);
        *low = Low::of(whole);
        if (whole.distance_mm | whole.time_ms | whole.events << 16) >> 32 != 0 {
            self.carry(segment, whole);
        }
    }

    /// Segments about which anything was said, and those that were marked.
    pub(super) fn driven(&self) -> &Touched {
        &self.driven
    }

    /// Marks a segment as driven though there are no sums of it.
    pub(super) fn mark(&mut self, segment: usize) {
        self.driven.set(segment);
    }

    /// The sum of one segment.
    pub(super) fn get(&self, segment: usize) -> Sum {
        let place = self.table.get(segment / PAGE).copied().unwrap_or(0);
        if place == 0 {
            return Sum::default();
        }
        self.whole(segment, self.pages[place as usize - 1][segment % PAGE])
    }

    /// Adds one page to `into`; `false` when nobody was there.
    pub(super) fn add_page(&self, page: usize, into: &mut [Sum; PAGE]) -> bool {
        let place = self.table.get(page).copied().unwrap_or(0);
        if place == 0 {
            return false;
        }
        let lows = &self.pages[place as usize - 1];
        for (sum, low) in into.iter_mut().zip(lows) {
            sum.merge(low.sum());
        }
        if !self.carried.is_empty() {
            for (i, sum) in into.iter_mut().enumerate() {
                sum.merge(self.above(page * PAGE + i));
            }
        }
        true
    }

    /// What its pages take, bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.pages.as_slice())
    }

    /// Pages that this pane can have.
    pub(super) fn pages(&self) -> usize {
        self.table.len()
    }

    /// Every segment with something in it, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Sum)> + '_ {
        let driven = |page: usize| self.table[page] > 0;
        (0..self.table.len()).filter(move |&page| driven(page)).flat_map(move |page| {
            let lows = self.pages[self.table[page] as usize - 1];
            let whole = move |(i, low): (usize, Low)| (page * PAGE + i, self.whole(page * PAGE + i, low));
            lows.into_iter().enumerate().map(whole).filter(|(_, sum)| !sum.is_empty())
        })
    }

    fn low_mut(&mut self, segment: usize) -> &mut Low {
        let page = segment / PAGE;
        if page >= self.table.len() {
            self.table.resize(page + 1, 0);
        }
        if self.table[page] == 0 {
            if self.pages.len() == self.pages.capacity() {
                // Doubling would waste a third of an hour's memory.
                self.pages.reserve_exact(self.pages.len() / 4 + 4);
            }
            self.pages.push([Low::default(); PAGE]);
            self.table[page] = self.pages.len() as u32;
        }
        &mut self.pages[self.table[page] as usize - 1][segment % PAGE]
    }

    fn whole(&self, segment: usize, low: Low) -> Sum {
        let mut sum = if self.carried.is_empty() { Sum::default() } else { self.above(segment) };
        sum.merge(low.sum());
        sum
    }

    fn above(&self, segment: usize) -> Sum {
        let units = self.carried.get(&segment).copied().unwrap_or_default();
        Sum { distance_mm: units.distance_mm << 32, time_ms: units.time_ms << 32, events: units.events << 16 }
    }

    #[cold]
    fn carry(&mut self, segment: usize, sum: Sum) {
        let units = self.carried.entry(segment).or_default();
        units.merge(Sum { distance_mm: sum.distance_mm >> 32, time_ms: sum.time_ms >> 32, events: sum.events >> 16 });
        if units.is_empty() {
            self.carried.remove(&segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_exact_beyond_their_low_parts(parts in prop::collection::vec((0_usize..40, 0_i64..1 << 40, 0_i64..1 << 34), 1..60), n in 0_usize..60) {
            let sum = |&(_, mm, ms): &(usize, i64, i64)| Sum { distance_mm: mm, time_ms: ms, events: ms % 100_000 };
            let mut sums = Sums::default();
            parts.iter().for_each(|part| sums.add(part.0, sum(part)));
            let n = n.min(parts.len());
            parts[n..].iter().for_each(|part| sums.add(part.0, sum(part).negated()));
            let mut pages = [[Sum::default(); PAGE]; 3];
            pages.iter_mut().enumerate().for_each(|(page, into)| { sums.add_page(page, into); });
            for segment in 0..40 {
                let mut exact = Sum::default();
                parts[..n].iter().filter(|part| part.0 == segment).for_each(|part| exact.merge(sum(part)));
                prop_assert_eq!(sums.get(segment), exact);
                prop_assert_eq!(pages[segment / PAGE][segment % PAGE], exact);
            }
            let reports = parts[..n].iter().map(|part| sum(part).events).sum::<i64>();
            prop_assert_eq!(sums.iter().map(|s| s.1.events).sum::<i64>(), reports);
        }
    }
}
