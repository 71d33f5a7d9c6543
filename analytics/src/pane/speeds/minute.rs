//! The speeds of one clock minute: plain arrays while it fills, bytes when it is over.
//!
//! Upstream: [`super::Speeds`]. While a minute fills, a class has two bytes (655 m); what is above them is carried in a
//! small map. An hour of 100,000 segments has some ten million classes with anything in them; as bytes each takes two or
//! three. What arrives for a minute that is over is kept beside the bytes and packed with them when it becomes an eighth of
//! them.

use rustc_hash::FxHashMap;

use super::spread::{BINS, Spread};
use crate::pane::varint;

/// What follows a class, in the low two bits beside its centimetres: nothing of this segment, the class one or two above,
/// or one that has a byte of its own.
const LAST: u64 = 0;
const ELSEWHERE: u64 = 3;

/// Changes kept beside the bytes before they are packed, at least.
const LATE_MIN: usize = 4_096;

/// Segment, class, centimetres.
pub(super) type Entry = (u32, u8, u32);

/// Half of the bits of a spread.
type Half = [u16; BINS];

/// A spread for each segment that was driven, its low halves at hand.
#[derive(Clone, Debug, Default)]
pub(super) struct Halves {
    /// For every segment its place in `low` plus one, 0 while it has none.
    table: Vec<u32>,
    low: Vec<Half>,
    /// The high halves of segments that have any.
    high: FxHashMap<u32, Box<Half>>,
}

/// A minute that fills.
#[derive(Clone, Debug, Default)]
pub(super) struct Filling {
    said: Halves,
    /// What is not in the halves yet, at most [`LOG_MAX`]: put there in order of segment, many at once, it asks for each
    /// line of memory once.
    log: Vec<Said>,
}

/// A segment; then its class in the low 6 bits, and centimetres, added or taken away, in the 26 above.
pub(super) type Said = (u32, u32);

/// Changes that wait: 1 MB.
const LOG_MAX: usize = 1 << 17;

/// Most centimetres that wait in one.
const SAID_MAX: u32 = 1 << 25;

/// Segments that are gone through together.
const BLOCK: usize = 16;

/// A minute that is over.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    /// For each segment with anything: how far it is behind the one before, its first class, then the centimetres of each
    /// class with what follows them.
    bytes: Vec<u8>,
    late: Vec<Entry>,
}

impl Filling {
    /// One that will have as many segments as another.
    pub(super) fn like(other: &Self) -> Self {
        let said = Halves { low: Vec::with_capacity(other.said.low.len()), ..Halves::default() };
        Self { said, log: Vec::new() }
    }

    /// Takes note of centimetres of a class that are added (or, wrapped round, taken away). `sorted` is scratch space.
    #[inline]
    pub(super) fn say(&mut self, segment: usize, bin: usize, cm: u32, sorted: &mut Vec<Said>) {
        if cm.wrapping_add(SAID_MAX) >= 2 * SAID_MAX {
            return self.said.add(segment, bin, cm);
        }
        self.log.push((segment as u32, cm << 6 | bin as u32));
        if self.log.len() >= LOG_MAX {
            self.settle(sorted);
        }
    }

    /// Puts what was said where it belongs.
    pub(super) fn settle(&mut self, sorted: &mut Vec<Said>) {
        let blocks = self.log.iter().map(|said| said.0 as usize / BLOCK + 1).max().unwrap_or(0);
        // By counting (Knuth, The Art of Computer Programming 3, 5.2, algorithm D).
        let mut next = vec![0_u32; blocks + 1];
        self.log.iter().for_each(|said| next[said.0 as usize / BLOCK + 1] += 1);
        (0..blocks).for_each(|block| next[block + 1] += next[block]);
        sorted.resize(self.log.len(), (0, 0));
        for said in &self.log {
            let at = &mut next[said.0 as usize / BLOCK];
            sorted[*at as usize] = *said;
            *at += 1;
        }
        self.log.clear();
        for &(segment, said) in sorted.iter() {
            self.said.add(segment as usize, said as usize % BINS, (said as i32 >> 6) as u32);
        }
    }

    /// Adds what a segment has.
    pub(super) fn add_to(&self, segment: usize, into: &mut Spread) {
        self.said.add_to(segment, into);
        for said in self.log.iter().filter(|said| said.0 as usize == segment) {
            let sum = &mut into[said.1 as usize % BINS];
            *sum = sum.wrapping_add((said.1 as i32 >> 6) as u32);
        }
    }

    /// What does not wait.
    pub(super) fn said(&self) -> &Halves {
        &self.said
    }

    /// Every segment with its spread, in order; nothing may wait.
    pub(super) fn each(&self, mut each: impl FnMut(u32, &Spread)) {
        for segment in (0..self.said.table.len()).filter(|&segment| self.said.table[segment] > 0) {
            let mut spread = [0; BINS];
            self.said.add_to(segment, &mut spread);
            each(segment as u32, &spread);
        }
    }
}

impl Halves {
    /// Adds (or, wrapped round, takes away) centimetres of a class.
    #[inline]
    pub(super) fn add(&mut self, segment: usize, bin: usize, cm: u32) {
        let low = &mut self.low(segment)[bin];
        let sum = u32::from(*low).wrapping_add(cm);
        *low = sum as u16;
        if sum >> 16 != 0 {
            self.carry(segment, bin, (sum >> 16) as u16);
        }
    }

    /// Adds a whole spread.
    pub(super) fn merge(&mut self, segment: usize, spread: &Spread) {
        let low = self.low(segment);
        let (mut sums, mut all) = (*spread, 0);
        for (sum, low) in sums.iter_mut().zip(low) {
            *sum = sum.wrapping_add((*low).into());
            *low = *sum as u16;
            all |= *sum;
        }
        if all >> 16 != 0 {
            let carried = sums.iter().enumerate().filter(|(_, sum)| **sum >> 16 != 0);
            carried.for_each(|(bin, &sum)| self.carry(segment, bin, (sum >> 16) as u16));
        }
    }

    #[inline]
    fn low(&mut self, segment: usize) -> &mut Half {
        if segment >= self.table.len() {
            self.table.resize(segment + 1, 0);
        }
        if self.table[segment] == 0 {
            if self.low.len() == self.low.capacity() {
                self.low.reserve_exact(self.low.len() / 4 + 16);
            }
            self.low.push([0; BINS]);
            self.table[segment] = self.low.len() as u32;
        }
        &mut self.low[self.table[segment] as usize - 1]
    }

    #[cold]
    fn carry(&mut self, segment: usize, bin: usize, units: u16) {
        let high = self.high.entry(segment as u32).or_insert_with(|| Box::new([0; BINS]));
        high[bin] = high[bin].wrapping_add(units);
    }

    /// Something of each line of memory that a segment has.
    #[inline]
    pub(super) fn peek(&self, segment: usize) -> u16 {
        let place = self.table.get(segment).copied().unwrap_or(0) as usize;
        self.low.get(place.wrapping_sub(1)).map_or(0, |low| low[0] ^ low[BINS / 2] ^ low[BINS - 1])
    }

    /// Adds what a segment has.
    pub(super) fn add_to(&self, segment: usize, into: &mut Spread) {
        let Some(&place) = self.table.get(segment).filter(|place| **place > 0) else { return };
        let low = &self.low[place as usize - 1];
        into.iter_mut().zip(low).for_each(|(sum, &low)| *sum = sum.wrapping_add(low.into()));
        if let Some(high) = self.high.get(&(segment as u32)) {
            into.iter_mut().zip(high.iter()).for_each(|(sum, &high)| *sum = sum.wrapping_add(u32::from(high) << 16));
        }
    }
}

impl Packed {
    /// Packs entries that are in order and of which none is 0.
    pub(super) fn new(entries: &[Entry]) -> Self {
        let mut packer = Packer::default();
        for of_segment in entries.chunk_by(|a, b| a.0 == b.0) {
            packer.put(of_segment[0].0, of_segment.iter().map(|&(_, bin, cm)| (bin, cm)));
        }
        packer.packed()
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
        let (mut segment, mut bytes) = (0, &self.bytes[..]);
        while let Some((ahead, mut bin)) = varint::take(&mut bytes).zip(varint::take_byte(&mut bytes)) {
            segment += ahead as u32;
            while let Some(number) = varint::take(&mut bytes) {
                each((segment, bin, (number >> 2) as u32));
                match number & 3 {
                    LAST => break,
                    ELSEWHERE => bin = varint::take_byte(&mut bytes).unwrap_or(bin),
                    above => bin += above as u8,
                }
            }
        }
        self.late.iter().for_each(|&entry| each(entry));
    }
}

/// Puts spreads into bytes.
#[derive(Default)]
pub(super) struct Packer {
    bytes: Vec<u8>,
    /// The segment put last.
    segment: u32,
}

impl Packer {
    /// Puts the next segment; they come in order.
    #[inline]
    pub(super) fn put_spread(&mut self, segment: u32, spread: &Spread) {
        self.put(segment, spread.iter().enumerate().filter(|of| *of.1 != 0).map(|(bin, &cm)| (bin as u8, cm)));
    }

    #[inline]
    fn put(&mut self, segment: u32, mut classes: impl Iterator<Item = (u8, u32)>) {
        // Nothing is left where everything was taken back.
        let Some((mut bin, mut cm)) = classes.next() else { return };
        varint::put(&mut self.bytes, (segment - self.segment).into());
        self.segment = segment;
        self.bytes.push(bin);
        for (next_bin, next_cm) in classes {
            let then = match next_bin.wrapping_sub(bin) {
                above @ (1 | 2) => above.into(),
                _ => ELSEWHERE,
            };
            varint::put(&mut self.bytes, u64::from(cm) << 2 | then);
            if then == ELSEWHERE {
                self.bytes.push(next_bin);
            }
            (bin, cm) = (next_bin, next_cm);
        }
        varint::put(&mut self.bytes, u64::from(cm) << 2 | LAST);
    }

    pub(super) fn packed(mut self) -> Packed {
        self.bytes.shrink_to_fit();
        Packed { bytes: self.bytes, late: Vec::new() }
    }
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
                filling.say(segment as usize, usize::from(bin), cm, &mut Vec::new());
            }
            filling.settle(&mut Vec::new());
            let mut packer = Packer::default();
            filling.each(|segment, spread| packer.put_spread(segment, spread));
            let mut packed = packer.packed();
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
