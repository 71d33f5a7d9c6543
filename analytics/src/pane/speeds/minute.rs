//! The speeds of one clock minute: plain arrays while it fills, bytes when it is over.
//!
//! Upstream: [`super::Speeds`]. An hour of 100,000 segments has some ten million classes with anything in them; as bytes
//! each takes three or four. What arrives for a minute that is over is kept beside the bytes and packed with them when it
//! becomes an eighth of them.

use super::spread::{BINS, Spread};

/// Set with the last class of a segment.
const LAST: u8 = 0x80;

/// Changes kept beside the bytes before they are packed, at least.
const LATE_MIN: usize = 4_096;

/// Segment, class, centimetres.
pub(super) type Entry = (u32, u8, u32);

/// A minute that fills: a spread for each segment that was driven in it.
#[derive(Debug, Default)]
pub(super) struct Filling {
    /// For every segment its place in `spreads` plus one, 0 while it has none.
    table: Vec<u32>,
    spreads: Vec<Spread>,
}

/// A minute that is over.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    /// For each segment with anything: how far it is behind the one before, then its classes, each with its centimetres.
    bytes: Vec<u8>,
    late: Vec<Entry>,
}

impl Filling {
    #[inline]
    pub(super) fn slot(&mut self, segment: usize, bin: usize) -> &mut u32 {
        if segment >= self.table.len() {
            self.table.resize(segment + 1, 0);
        }
        if self.table[segment] == 0 {
            if self.spreads.len() == self.spreads.capacity() {
                self.spreads.reserve_exact(self.spreads.len() / 4 + 16);
            }
            self.spreads.push([0; BINS]);
            self.table[segment] = self.spreads.len() as u32;
        }
        &mut self.spreads[self.table[segment] as usize - 1][bin]
    }

    /// What a segment has; `None` when it has nothing.
    pub(super) fn spread(&self, segment: usize) -> Option<&Spread> {
        self.table.get(segment).filter(|place| **place > 0).map(|&place| &self.spreads[place as usize - 1])
    }

    /// Everything, in order of segment and class.
    pub(super) fn each(&self, mut each: impl FnMut(Entry)) {
        for segment in 0..self.table.len() {
            for (bin, &cm) in self.spread(segment).into_iter().flatten().enumerate().filter(|of| *of.1 != 0) {
                each((segment as u32, bin as u8, cm));
            }
        }
    }

    /// The minute as bytes; its memory can be used for the next one.
    pub(super) fn pack(&mut self) -> Packed {
        let mut entries = Vec::with_capacity(self.spreads.len() * 2);
        self.each(|entry| entries.push(entry));
        self.table.clear();
        self.spreads.clear();
        Packed::new(&entries)
    }
}

impl Packed {
    /// Packs entries that are in order and of which none is 0.
    pub(super) fn new(entries: &[Entry]) -> Self {
        let (mut bytes, mut segment) = (Vec::with_capacity(entries.len() * 4), 0);
        for of_segment in entries.chunk_by(|a, b| a.0 == b.0) {
            put(&mut bytes, of_segment[0].0 - segment);
            segment = of_segment[0].0;
            for (i, &(_, bin, cm)) in of_segment.iter().enumerate() {
                bytes.push(if i + 1 == of_segment.len() { bin | LAST } else { bin });
                put(&mut bytes, cm);
            }
        }
        bytes.shrink_to_fit();
        Self { bytes, late: Vec::new() }
    }

    /// Adds (or, wrapped round, takes away) centimetres of a class.
    pub(super) fn add(&mut self, entry: Entry) {
        self.late.push(entry);
        if self.late.len() > LATE_MIN + self.bytes.len() / 64 {
            *self = Self::new(&self.entries());
        }
    }

    /// Everything, in order of segment and class, each once.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.each(|entry| entries.push(entry));
        entries.sort_by_key(|e| (e.0, e.1));
        entries.dedup_by(|next, before| {
            let same = (next.0, next.1) == (before.0, before.1);
            before.2 = before.2.wrapping_add(if same { next.2 } else { 0 });
            same
        });
        entries.retain(|e| e.2 != 0);
        entries
    }

    /// Everything; a class can be told more than once.
    pub(super) fn each(&self, mut each: impl FnMut(Entry)) {
        let (mut segment, mut bytes) = (0, self.bytes.iter().copied());
        while let Some(ahead) = take(&mut bytes) {
            segment += ahead;
            while let Some(bin) = bytes.next() {
                each((segment, bin & !LAST, take(&mut bytes).unwrap_or(0)));
                if bin & LAST != 0 {
                    break;
                }
            }
        }
        self.late.iter().for_each(|&entry| each(entry));
    }
}

/// Seven bits a byte, the lowest first (LEB128, DWARF 5, section 7.6).
fn put(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let byte = bytes.next()?;
        number |= u32::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_minutes_say_the_same(parts in prop::collection::vec((0_u32..300_000, 0_u8..64, any::<u32>()), 0..300), late in prop::collection::vec((0_u32..40, 0_u8..64, any::<u32>()), 0..40)) {
            let (mut filling, mut exact) = (Filling::default(), BTreeMap::new());
            for &(segment, bin, cm) in &parts {
                let slot = filling.slot(segment as usize, usize::from(bin));
                *slot = slot.wrapping_add(cm);
            }
            let mut packed = filling.pack();
            late.iter().for_each(|&entry| packed.add(entry));
            for (segment, bin, cm) in parts.into_iter().chain(late) {
                let sum: &mut u32 = exact.entry((segment, bin)).or_default();
                *sum = sum.wrapping_add(cm);
            }
            exact.retain(|_, cm| *cm != 0);
            let told: Vec<_> = Packed::new(&packed.entries()).entries().into_iter().map(|(s, bin, cm)| ((s, bin), cm)).collect();
            prop_assert_eq!(told, exact.into_iter().collect::<Vec<_>>());
        }
    }
}
