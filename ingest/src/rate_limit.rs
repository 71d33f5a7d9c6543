//! How many events a source may send: a bucket for each, which fills with its own receive clock.
//!
//! A source is a topic. A message is taken while its source's bucket is not empty, and its events are charged to it
//! afterwards: so a batch is taken or refused as a whole, and a large one leaves a debt. What is refused is counted
//! (`rate_limited`) and acknowledged; only the first message of each flood is kept as a dead letter, since a flood
//! must not push everybody else's letters out. Off unless a rate is set.
//!
//! Upstream: the writer, before the gate. Downstream: the gate's counters. Bounded by [`RateConfig::sources_max`] in
//! each of two generations; a source that is forgotten begins with a full bucket.

use std::hash::{BuildHasher, RandomState};

use events::{Reason, Reject, TimeMs};
use rustc_hash::FxHashMap;

/// The limit of every source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateConfig {
    /// Events a second; 0 is no limit.
    pub events_per_s: u32,
    /// How many seconds' worth of events may come at once.
    pub burst_s: u32,
    /// Sources in one of the two generations, about 40 bytes each.
    pub sources_max: usize,
}

impl Default for RateConfig {
    fn default() -> Self {
        Self { events_per_s: 0, burst_s: 60, sources_max: 100_000 }
    }
}

/// A message that came too soon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) reject: Reject,
    /// Whether the message before it was taken.
    pub(crate) first: bool,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// Thousandths of an event; below 0 after a large batch.
    left: i64,
    filled: TimeMs,
    refusing: bool,
}

/// The buckets.
pub(crate) struct RateLimit {
    config: RateConfig,
    hasher: RandomState,
    younger: FxHashMap<u64, Bucket>,
    older: FxHashMap<u64, Bucket>,
}

impl RateLimit {
    pub(crate) fn new(config: RateConfig) -> Self {
        Self { config, hasher: RandomState::new(), younger: FxHashMap::default(), older: FxHashMap::default() }
    }

    /// Whether a message may be taken; it is charged as one event then.
    pub(crate) fn admit(&mut self, topic: &str, received: TimeMs) -> Result<(), TooMany> {
        if self.config.events_per_s == 0 {
            return Ok(());
        }
        let (full, rate) = (self.full(), i64::from(self.config.events_per_s));
        let bucket = self.bucket(topic, received);
        // A clock that goes back fills nothing, and counts on from there. Thousandths a second are whole ones a
        // millisecond.
        let since_ms = received.0.saturating_sub(bucket.filled.0).max(0);
        bucket.filled = received;
        bucket.left = bucket.left.saturating_add(since_ms.saturating_mul(rate)).min(full);
        if bucket.left > 0 {
            bucket.left -= 1_000;
            bucket.refusing = false;
            return Ok(());
        }
        let first = !std::mem::replace(&mut bucket.refusing, true);
        let detail = format!("more than {rate} events a second from this source");
        Err(TooMany { reject: Reject::whole(Reason::RateLimited, detail), first })
    }

    /// Charges what a message held besides its first event.
    pub(crate) fn charge(&mut self, topic: &str, received: TimeMs, events: u64) {
        if self.config.events_per_s > 0 && events > 0 {
            let bucket = self.bucket(topic, received);
            let thousandths = i64::try_from(events).unwrap_or(i64::MAX).saturating_mul(1_000);
            bucket.left = bucket.left.saturating_sub(thousandths);
        }
    }

    fn full(&self) -> i64 {
        i64::from(self.config.events_per_s) * i64::from(self.config.burst_s.max(1)) * 1_000
    }

    fn bucket(&mut self, topic: &str, received: TimeMs) -> &mut Bucket {
        let key = self.hasher.hash_one(topic);
        let new = Bucket { left: self.full(), filled: received, refusing: false };
        if !self.younger.contains_key(&key) && self.younger.len() >= self.config.sources_max.max(1) {
            std::mem::swap(&mut self.younger, &mut self.older);
            self.younger.clear();
        }
        let older = &mut self.older;
        self.younger.entry(key).or_insert_with(|| older.remove(&key).unwrap_or(new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(sources_max: usize) -> RateLimit {
        RateLimit::new(RateConfig { events_per_s: 2, burst_s: 5, sources_max })
    }

    #[test]
    fn a_flood_is_cut_to_the_rate_and_harms_no_other_source() {
        let mut limit = limit(10);
        let (mut taken, mut firsts) = (0, 0);
        // 100 s, 50 messages in each: 10 at once, then 2 a second.
        for ms in (0..100_000).step_by(20) {
            match limit.admit("flood", TimeMs(ms)) {
                Ok(()) => taken += 1,
                Err(no) => firsts += u32::from(no.first),
            }
            if ms % 1_000 == 0 {
                assert_eq!(limit.admit("calm", TimeMs(ms)), Ok(()), "at {ms}");
            }
        }
        assert!((208..=211).contains(&taken), "{taken}");
        assert!(firsts >= 100, "every episode has its letter: {firsts}");
    }

    #[test]
    fn a_batch_is_charged_as_what_it_holds_and_a_clock_that_goes_back_gives_nothing() {
        let mut limit = limit(10);
        assert_eq!(limit.admit("gateway", TimeMs(0)), Ok(()));
        limit.charge("gateway", TimeMs(0), 29);
        // 20 in debt: empty for ten seconds.
        assert!(limit.admit("gateway", TimeMs(9_000)).unwrap_err().first);
        assert!(!limit.admit("gateway", TimeMs(1_000)).unwrap_err().first);
        assert!(limit.admit("gateway", TimeMs(1_500)).is_err());
        assert_eq!(limit.admit("gateway", TimeMs(2_600)), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_a_busy_source_is_not_forgotten() {
        let mut limit = limit(100);
        let mut refused = 0;
        for n in 0..10_000 {
            assert_eq!(limit.admit(&format!("source-{n}"), TimeMs(0)), Ok(()));
            refused += u32::from(limit.admit("busy", TimeMs(0)).is_err());
            assert!(limit.younger.len() <= 100 && limit.older.len() <= 100);
        }
        assert_eq!(refused, 9_990);
    }

    #[test]
    fn without_a_rate_everything_is_taken() {
        let mut limit = RateLimit::new(RateConfig::default());
        assert!((0..100_000).all(|_| limit.admit("x", TimeMs(0)).is_ok()));
        assert!(limit.younger.is_empty());
    }
}
