//! Which events were already there: two generations of a hash set.
//!
//! New keys go into the younger generation; when it is full, the older one is forgotten and the younger takes its
//! place. So a repeat is recognised while fewer than `max` other events came in between, often up to twice as
//! many; beyond that it is taken for new. Memory is bounded by two sets of `max` keys (about 70 MB at a million).
//! Upstream and downstream: the gate.

use rustc_hash::FxHashSet;

/// What makes two events the same: a keyed number for kind, source and, of a signal, the phase; and event time.
pub(super) type Key = (u64, i64);

pub(super) struct Seen {
    younger: FxHashSet<Key>,
    older: FxHashSet<Key>,
    max: usize,
}

impl Seen {
    pub(super) fn new(max: usize) -> Self {
        Self { younger: FxHashSet::default(), older: FxHashSet::default(), max: max.max(1) }
    }

    /// Notes the key; whether it was new.
    pub(super) fn insert(&mut self, key: Key) -> bool {
        if self.younger.contains(&key) || self.older.contains(&key) {
            return false;
        }
        if self.younger.len() >= self.max {
            std::mem::swap(&mut self.younger, &mut self.older);
            self.younger.clear();
        }
        self.younger.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_max_keys_are_always_known_and_memory_is_bounded() {
        let mut seen = Seen::new(100);
        for time in 0..1_000 {
            assert!(seen.insert((1, time)), "{time} is new");
            for back in (time - 99).max(0)..=time {
                assert!(!seen.insert((1, back)), "{back} is known at {time}");
            }
            assert!(seen.younger.len() <= 100 && seen.older.len() <= 100);
        }
        assert!(seen.insert((1, 0)), "what lies far back is forgotten");
    }
}
