//! A set of segments, a bit each.
//!
//! Upstream: the parts of [`super::PaneStore`] that note what changed. Bounded by the network.

/// Segments about which something changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    bits: Vec<u64>,
}

impl Touched {
    #[inline]
    pub(super) fn set(&mut self, segment: usize) {
        let at = segment / 64;
        if at >= self.bits.len() {
            self.bits.resize(at + 1, 0);
        }
        self.bits[at] |= 1 << (segment % 64);
    }

    /// All segments before this one.
    pub(super) fn set_all(&mut self, segments: usize) {
        self.bits.resize(self.bits.len().max(segments.div_ceil(64)), 0);
        self.bits[..segments / 64].fill(u64::MAX);
        (segments / 64 * 64..segments).for_each(|segment| self.set(segment));
    }

    /// Takes in another set.
    pub(super) fn join(&mut self, other: &Self) {
        if other.bits.len() > self.bits.len() {
            self.bits.resize(other.bits.len(), 0);
        }
        self.bits.iter_mut().zip(&other.bits).for_each(|(mine, theirs)| *mine |= theirs);
    }

    pub(super) fn has(&self, segment: usize) -> bool {
        self.bits.get(segment / 64).is_some_and(|word| word >> (segment % 64) & 1 == 1)
    }

    /// Every segment, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.bits.iter().enumerate().flat_map(|(at, &word)| {
            let ones = std::iter::successors((word != 0).then_some(word), |word| {
                let rest = word & (word - 1);
                (rest != 0).then_some(rest)
            });
            ones.map(move |word| at * 64 + word.trailing_zeros() as usize)
        })
    }

    /// Empties it.
    pub(super) fn clear(&mut self) {
        self.bits.clear();
    }
}
