//! The sums of a clock minute that is over, as bytes.
//!
//! Upstream: [`super::PaneStore`]. An hour of 100,000 segments has some five million sums; as bytes each takes seven or
//! eight in place of twelve, and places where nobody drove take none. Segments are in blocks, so that one is found without
//! reading all. What comes later is kept beside the bytes and packed with them when it becomes a quarter of them.

use super::sums::{Sum, Sums};
use super::touched::Touched;
use super::varint;

/// Segments of a block.
const BLOCK: usize = 64;

/// Bytes of what came late before they are packed, at least.
const LATE_MIN: usize = 1 << 14;

/// A minute that is over.
#[derive(Clone, Debug, Default)]
pub(super) struct Over {
    /// Where the bytes of each block end.
    ends: Vec<u32>,
    /// For each segment with a sum: its place in the block, then the three parts of the sum.
    bytes: Vec<u8>,
    late: Sums,
    /// Segments about which anything was said.
    driven: Touched,
}

impl Over {
    /// Packs the sums of a minute.
    pub(super) fn of(sums: &Sums) -> Self {
        let mut over = Self { driven: sums.driven().clone(), ..Self::default() };
        sums.iter().for_each(|(segment, sum)| over.put(segment, sum));
        over.bytes.shrink_to_fit();
        over
    }

    /// Adds to one segment; gives its sum before and after.
    pub(super) fn add(&mut self, segment: usize, sum: Sum) -> (Sum, Sum) {
        let before = self.get(segment);
        self.driven.set(segment);
        self.late.add(segment, sum);
        if self.late.bytes() > LATE_MIN + self.bytes.len() / 4 {
            self.pack();
        }
        let mut after = before;
        after.merge(sum);
        (before, after)
    }

    /// Segments about which anything was said, and those that were marked.
    pub(super) fn driven(&self) -> &Touched {
        &self.driven
    }

    /// Marks a segment as driven though there are no sums of it.
    pub(super) fn mark(&mut self, segment: usize) {
        self.driven.set(segment);
    }

    /// Every segment with something in it, in order.
    pub(super) fn each(&self, mut each: impl FnMut(usize, Sum)) {
        let mut late = self.late.iter().peekable();
        for (segment, mut sum) in (0..self.ends.len()).flat_map(|block| self.block(block)) {
            while let Some((before, sum)) = late.next_if(|of| of.0 < segment) {
                each(before, sum);
            }
            if let Some((_, more)) = late.next_if(|of| of.0 == segment) {
                sum.merge(more);
            }
            if !sum.is_empty() {
                each(segment, sum);
            }
        }
        late.for_each(|(segment, sum)| each(segment, sum));
    }

    fn get(&self, segment: usize) -> Sum {
        let packed = self.block(segment / BLOCK).find(|of| of.0 >= segment).filter(|of| of.0 == segment);
        let mut sum = packed.map(|of| of.1).unwrap_or_default();
        sum.merge(self.late.get(segment));
        sum
    }

    /// Takes what came late into the bytes.
    fn pack(&mut self) {
        let mut packed = Self::default();
        self.each(|segment, sum| packed.put(segment, sum));
        packed.bytes.shrink_to_fit();
        *self = Self { driven: std::mem::take(&mut self.driven), ..packed };
    }

    /// Appends the next segment; they come in order.
    fn put(&mut self, segment: usize, sum: Sum) {
        if self.ends.len() <= segment / BLOCK {
            self.ends.resize(segment / BLOCK + 1, self.bytes.len() as u32);
        }
        self.bytes.push((segment % BLOCK) as u8);
        // What is negative takes ten bytes; there is little of it.
        [sum.distance_mm, sum.time_ms, sum.events]
            .into_iter()
            .for_each(|part| varint::put(&mut self.bytes, part as u64));
        self.ends[segment / BLOCK] = self.bytes.len() as u32;
    }

    /// The sums of one block, without what came late.
    fn block(&self, block: usize) -> impl Iterator<Item = (usize, Sum)> + '_ {
        let end = self.ends.get(block).copied().unwrap_or(0) as usize;
        let begin = if end == 0 || block == 0 { 0 } else { self.ends[block - 1] as usize };
        let mut bytes = &self.bytes[begin..end];
        std::iter::from_fn(move || {
            let place = varint::take_byte(&mut bytes)?;
            let mut part = || varint::take(&mut bytes).map(|part| part as i64);
            Some((block * BLOCK + usize::from(place), Sum { distance_mm: part()?, time_ms: part()?, events: part()? }))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Packed with the minute, or late and packed by and by: the same sums.
        #[test]
        fn minutes_that_are_over_hold_what_was_said(parts in prop::collection::vec((0_usize..3_000, -90_000_i64..1 << 34, -9_000_i64..90_000), 0..600), late in 0_usize..600, often in any::<bool>()) {
            let sum = |&(_, mm, ms): &(usize, i64, i64)| Sum { distance_mm: mm, time_ms: ms, events: 1 };
            let (late, mut exact, mut sums) = (late.min(parts.len()), BTreeMap::new(), Sums::default());
            parts[late..].iter().for_each(|part| sums.add(part.0, sum(part)));
            let mut over = Over::of(&sums);
            for part in &parts[late..] {
                exact.entry(part.0).or_insert(Sum::default()).merge(sum(part));
            }
            for part in &parts[..late] {
                let exact = exact.entry(part.0).or_insert(Sum::default());
                let before = *exact;
                exact.merge(sum(part));
                prop_assert_eq!(over.add(part.0, sum(part)), (before, *exact));
                if often && part.0 % 16 == 0 {
                    over.pack();
                }
            }
            prop_assert!(exact.keys().all(|&segment| over.driven().has(segment)));
            exact.retain(|_, sum| !sum.is_empty());
            let mut told = Vec::new();
            over.each(|segment, sum| told.push((segment, sum)));
            prop_assert_eq!(told, exact.into_iter().collect::<Vec<_>>());
        }
    }
}
