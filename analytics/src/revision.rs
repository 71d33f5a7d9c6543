//! Which panes are final, and how often a final one was corrected.
//!
//! Upstream: [`crate::engine`] with every contribution, and the watermark. Downstream: whoever stores panes and must
//! know when to store one again; [`crate::export`].
//!
//! A pane is *provisional* until the watermark has passed its end, then *final*, and can be corrected for
//! [`CORRECTABLE_MS`] more: a late event, or the matcher, which learns from the next position where the last one was.
//! All corrections by one block together are one revision, and none where they cancel out. After that it is *closed*:
//! what would still change it is refused and counted.

use std::collections::BTreeMap;
use std::hash::Hasher;

use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};

use crate::cell::{Change, PANE_MS};

/// How long a final pane can still be corrected, milliseconds.
pub const CORRECTABLE_MS: i64 = 15 * 60_000;

/// How much a pane's figures can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaneState {
    /// The watermark has not passed its end.
    Provisional,
    /// Final, and corrected so many times.
    Final { revision: u32 },
    /// It will never change again.
    Closed { revision: u32 },
}

/// Revisions of final panes. Bounded by the panes of [`CORRECTABLE_MS`] and those that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revisions {
    /// Only panes that were corrected.
    by_pane: BTreeMap<i64, u32>,
    /// Final panes that the block at hand touches, with a sum over its changes that is 0 when they cancel out.
    touched: BTreeMap<i64, u64>,
    corrections: u64,
}

impl Revisions {
    /// Takes notice of a contribution that was added, or taken back, while everything before `watermark_ms` was final.
    pub fn note(&mut self, change: &Change, watermark_ms: i64) {
        if change.pane_ms() + PANE_MS > watermark_ms {
            return;
        }
        let sum = self.touched.entry(change.pane_ms()).or_default();
        let hash = hash(&change.contribution());
        *sum = if change.is_added() { sum.wrapping_add(hash) } else { sum.wrapping_sub(hash) };
    }

    /// Ends a block: every final pane that it changed has one more revision.
    pub fn end_block(&mut self) {
        while let Some((pane_ms, change)) = self.touched.pop_first() {
            if change != 0 {
                *self.by_pane.entry(pane_ms).or_default() += 1;
                self.corrections += 1;
            }
        }
    }

    /// What can be said of the pane that begins at `pane_ms`.
    pub fn state(&self, pane_ms: i64, watermark_ms: Option<i64>, closed_before_ms: Option<i64>) -> PaneState {
        let revision = self.by_pane.get(&pane_ms).copied().unwrap_or(0);
        let ends_by = |limit_ms: Option<i64>| limit_ms.is_some_and(|limit| pane_ms + PANE_MS <= limit);
        if ends_by(closed_before_ms) {
            PaneState::Closed { revision }
        } else if ends_by(watermark_ms) {
            PaneState::Final { revision }
        } else {
            PaneState::Provisional
        }
    }

    /// Corrections of final panes so far.
    pub fn corrections(&self) -> u64 {
        self.corrections
    }

    /// Lets go of panes that begin before a moment.
    pub fn forget_before(&mut self, first_kept_ms: i64) {
        self.by_pane = self.by_pane.split_off(&first_kept_ms);
    }
}

fn hash(c: &crate::cell::Contribution) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u32(c.segment.0);
    hasher.write_u64(c.vehicle);
    hasher.write_i64(c.distance_mm);
    hasher.write_i64(c.time_ms);
    hasher.write_i64(c.events);
    // Never 0, so that one change alone is seen.
    hasher.finish() | 1
}

#[cfg(test)]
mod tests {
    use roads::SegmentIndex;

    use super::*;
    use crate::cell::Contribution;

    fn change(is_added: bool, pane_ms: i64, distance_mm: i64) -> Change {
        let c = Contribution { segment: SegmentIndex(1), pane_ms, vehicle: 7, distance_mm, time_ms: 1_000, events: 1 };
        if is_added { Change::add(&c).unwrap() } else { Change::take_back(&c).unwrap() }
    }

    #[test]
    fn a_pane_is_provisional_then_final_then_closed() {
        let mut revisions = Revisions::default();
        let state = |r: &Revisions, watermark: i64| r.state(0, Some(watermark), Some(watermark - CORRECTABLE_MS));
        assert_eq!(state(&revisions, 9_999), PaneState::Provisional);
        assert_eq!(revisions.state(0, None, None), PaneState::Provisional);
        assert_eq!(state(&revisions, 10_000), PaneState::Final { revision: 0 });
        revisions.note(&change(true, 0, 5), 9_999);
        revisions.end_block();
        assert_eq!(revisions.corrections(), 0, "a provisional pane may change");
        revisions.note(&change(false, 0, 5), 10_000);
        revisions.note(&change(true, 0, 6), 10_000);
        revisions.end_block();
        revisions.end_block();
        assert_eq!(state(&revisions, 20_000), PaneState::Final { revision: 1 });
        assert_eq!(state(&revisions, 10_000 + CORRECTABLE_MS), PaneState::Closed { revision: 1 });
        revisions.forget_before(10_000);
        assert_eq!(state(&revisions, 10_000 + CORRECTABLE_MS), PaneState::Closed { revision: 0 });
    }

    #[test]
    fn what_cancels_out_within_a_block_is_no_correction() {
        let mut revisions = Revisions::default();
        for (mm, is_added) in [(5, true), (7, true), (5, false), (7, false)] {
            revisions.note(&change(is_added, 0, mm), 50_000);
        }
        revisions.end_block();
        assert_eq!(revisions.corrections(), 0);
        revisions.note(&change(true, 0, 5), 50_000);
        revisions.end_block();
        revisions.note(&change(false, 0, 5), 50_000);
        revisions.end_block();
        assert_eq!(revisions.corrections(), 2, "somebody may have read it in between");
    }
}
