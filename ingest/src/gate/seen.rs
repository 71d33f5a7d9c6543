//! Which events were already there: two generations of a set of keys.
//!
//! New keys go into the younger generation; when it is full, the older one is forgotten and the younger takes its
//! place. So a repeat is recognised while fewer than `max` other events came in between, often up to twice as
//! many; beyond that it is taken for new. A set is one array with linear probing, at most half full, so that a
//! question costs one cache line of it: it is the only memory that every event of a large city has to reach for.
//! At a million keys both together take 64 MiB. Upstream and downstream: the gate.

/// What makes two events the same: a keyed number for kind, source and, of a signal, the phase; and event time,
/// which is never negative.
pub(super) type Key = (u64, i64);

pub(super) struct Seen {
    younger: Keys,
    older: Keys,
    max: usize,
}

impl Seen {
    pub(super) fn new(max: usize) -> Self {
        Self { younger: Keys::new(), older: Keys::new(), max: max.max(1) }
    }

    /// Asks the memory for the places of keys that will be inserted next, all at once: one by one, each insertion
    /// would wait for its own cache miss, which is most of what it costs.
    pub(super) fn expect(&self, keys: impl Iterator<Item = Key>) {
        let mask = self.younger.slots.len() - 1;
        let touched = keys.fold(0, |touched, key| touched ^ self.younger.slots[hash(key) as usize & mask].1);
        std::hint::black_box(touched);
    }

    /// Notes the key; whether it was new.
    pub(super) fn insert(&mut self, key: Key) -> bool {
        let hash = hash(key);
        // Nearly all events are later than all of the older generation: that one is not reached for then.
        if key.1 <= self.older.latest_ms && self.older.holds(key, hash) {
            return false;
        }
        if self.younger.len < self.max {
            return self.younger.insert(key, hash);
        }
        if self.younger.holds(key, hash) {
            return false;
        }
        std::mem::swap(&mut self.younger, &mut self.older);
        // The same size again, rather than growing to it once more.
        let slots = self.older.slots.len();
        self.younger.clear(slots);
        self.younger.insert(key, hash)
    }
}

/// A set of keys: slots of the key and its time plus 1, so that zeros are an empty slot.
struct Keys {
    slots: Vec<(u64, u64)>,
    len: usize,
    /// Latest time of any key, −1 if there is none.
    latest_ms: i64,
}

/// Slots of a set at first; it doubles when it is half full.
const SLOTS_MIN: usize = 1 << 10;

impl Keys {
    fn new() -> Self {
        Self { slots: vec![(0, 0); SLOTS_MIN], len: 0, latest_ms: -1 }
    }

    fn holds(&self, key: Key, hash: u64) -> bool {
        self.slots[self.find(slot(key), hash)].1 != 0
    }

    /// Whether the key was new.
    fn insert(&mut self, key: Key, hash: u64) -> bool {
        let at = self.find(slot(key), hash);
        let new = self.slots[at].1 == 0;
        if new {
            self.slots[at] = slot(key);
            self.latest_ms = self.latest_ms.max(key.1);
            self.len += 1;
            if self.len * 2 > self.slots.len() {
                self.grow();
            }
        }
        new
    }

    fn clear(&mut self, slots: usize) {
        if self.slots.len() == slots {
            self.slots.fill((0, 0));
        } else {
            self.slots = vec![(0, 0); slots];
        }
        (self.len, self.latest_ms) = (0, -1);
    }

    /// The place of the key, or the empty one where it would be.
    fn find(&self, wanted: (u64, u64), hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at] != wanted && self.slots[at].1 != 0 {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let larger = vec![(0, 0); self.slots.len() * 2];
        for held in std::mem::replace(&mut self.slots, larger) {
            if held.1 != 0 {
                let at = self.find(held, hash((held.0, (held.1 - 1) as i64)));
                self.slots[at] = held;
            }
        }
    }
}

fn slot((name, time_ms): Key) -> (u64, u64) {
    (name, (time_ms as u64).wrapping_add(1))
}

/// Folds the 128-bit product of both halves (as wyhash does). The names are keyed already, so that no stranger can
/// choose where a key lands.
fn hash((name, time_ms): Key) -> u64 {
    let product = u128::from(name ^ 0x9E37_79B9_7F4A_7C15) * u128::from((time_ms as u64) ^ 0xD6E8_FEB8_6659_FD93);
    (product >> 64) as u64 ^ product as u64
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
            assert!(seen.younger.len <= 100 && seen.older.len <= 100);
            assert!(seen.younger.slots.len() == SLOTS_MIN && seen.older.slots.len() == SLOTS_MIN);
        }
        assert!(seen.insert((1, 0)), "what lies far back is forgotten");
    }

    #[test]
    fn a_set_that_grows_keeps_all_keys_apart() {
        let mut seen = Seen::new(100_000);
        let key = |n: i64| ((n % 7) as u64, n / 7);
        for n in 0..30_000 {
            assert!(seen.insert(key(n)), "{n} is new");
        }
        for n in 0..30_000 {
            assert!(!seen.insert(key(n)), "{n} is known");
        }
        assert!((60_000..=1 << 17).contains(&seen.younger.slots.len()), "at most half full, and not much less");
    }
}
