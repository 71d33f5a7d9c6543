//! Sets of clock minutes, as runs: which minutes of a table are in history.
//!
//! Upstream: rows that are to be added. Downstream: [`super::manifest`], [`super::store`].

use serde::{Deserialize, Serialize};

use crate::metric::window::{MINUTE_MS, minute_start};

/// Runs of minutes, each from its first to behind its last, milliseconds since 1970; apart, and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Minutes(Vec<(i64, i64)>);

impl Minutes {
    /// The minutes that hold these moments.
    pub fn of(moments_ms: impl IntoIterator<Item = i64>) -> Self {
        let mut starts: Vec<i64> = moments_ms.into_iter().map(minute_start).collect();
        // Rows by segment go through the same minutes again and again, rows by minute stay in one: most are repeats.
        starts.dedup();
        starts.sort_unstable();
        let mut set = Self::default();
        starts.into_iter().for_each(|start_ms| set.push((start_ms, start_ms + MINUTE_MS)));
        set
    }

    /// Whether the minute of a moment is in the set.
    pub fn has(&self, at_ms: i64) -> bool {
        let next = self.0.partition_point(|run| run.0 <= at_ms);
        next > 0 && at_ms < self.0[next - 1].1
    }

    /// Whether every minute of another set is in this one.
    pub fn has_all(&self, other: &Self) -> bool {
        other.0.iter().all(|run| {
            let next = self.0.partition_point(|own| own.0 <= run.0);
            next > 0 && run.1 <= self.0[next - 1].1
        })
    }

    /// Puts another set in.
    pub fn join(&mut self, other: &Self) {
        if other.0.is_empty() {
            return;
        }
        let mut runs = std::mem::take(&mut self.0);
        runs.extend_from_slice(&other.0);
        runs.sort_unstable();
        runs.into_iter().for_each(|run| self.push(run));
    }

    /// How many minutes.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|run| ((run.1 - run.0) / MINUTE_MS).unsigned_abs()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begin of the first minute.
    pub fn from_ms(&self) -> Option<i64> {
        self.0.first().map(|run| run.0)
    }

    /// End of the last minute.
    pub fn to_ms(&self) -> Option<i64> {
        self.0.last().map(|run| run.1)
    }

    /// Appends a run that begins no earlier than the last one.
    fn push(&mut self, run: (i64, i64)) {
        match self.0.last_mut() {
            Some(last) if run.0 <= last.1 => last.1 = last.1.max(run.1),
            Some(_) | None => self.0.push(run),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_the_set_that_they_stand_for(a in prop::collection::vec(-40_i64..40, 0..30), b in prop::collection::vec(-40_i64..40, 0..30)) {
            let set = |numbers: &[i64]| numbers.iter().copied().collect::<BTreeSet<i64>>();
            let minutes = |numbers: &[i64]| Minutes::of(numbers.iter().map(|n| n * MINUTE_MS + 59_999));
            let (first, second) = (minutes(&a), minutes(&b));
            let mut both = first.clone();
            both.join(&second);
            let (sa, sb) = (set(&a), set(&b));
            let union: BTreeSet<i64> = sa.union(&sb).copied().collect();
            prop_assert_eq!(&both, &minutes(&union.iter().copied().collect::<Vec<_>>()));
            prop_assert_eq!(both.len(), union.len() as u64);
            for n in -41..42 {
                prop_assert_eq!(both.has(n * MINUTE_MS), union.contains(&n));
            }
            prop_assert!(both.has_all(&first) && both.has_all(&second));
            prop_assert_eq!(first.has_all(&second), sb.is_subset(&sa));
        }
    }
}
