//! What the matchers tell, into the panes that are open; then the windows move on.
//!
//! Upstream: [`super::Engine`] and its matchers. Downstream: [`crate::pane`], [`crate::revision`], [`crate::study`].

use roads::Network;

use super::EngineCounts;
use crate::archive::collect::{Collector, closed_before};
use crate::cell::{PANE_MS, pane_start};
use crate::incident::head::Seen;
use crate::matching::Change;
use crate::pane::PaneStore;
use crate::revision::Revisions;
use crate::study::Study;

/// Panes stay panes for so long behind the newest event; then they fold into minutes. Longer than the longest
/// window that slides by pane.
const FOLD_AFTER_MS: i64 = 6 * 60_000;

/// Where event time was before a batch, and where it is after it; known before its positions are matched.
pub(super) struct Moment {
    /// Panes that end at or before this were final, or closed, when the batch came.
    pub(super) final_ms: i64,
    pub(super) closed_ms: i64,
    /// The newest position and the watermark of positions after the batch.
    pub(super) newest_ms: Option<i64>,
    pub(super) watermark_ms: Option<i64>,
}

/// Puts what the matchers tell into the panes that are open.
pub(super) struct Panes<'e> {
    pub(super) store: &'e mut PaneStore,
    pub(super) counts: &'e mut EngineCounts,
    pub(super) revisions: &'e mut Revisions,
    pub(super) study: Option<&'e mut Study>,
    /// Kept for its memory.
    pub(super) open: Vec<Change>,
    pub(super) keep_ms: Option<i64>,
    pub(super) fold: bool,
    /// What history wants, where panes close by themselves.
    pub(super) collector: Option<&'e mut Collector>,
    pub(super) network: &'e Network,
}

impl Panes<'_> {
    /// Where vehicles were when a pane ended; only a study asks for it.
    pub(super) fn seen(&mut self, seen: &[Seen]) {
        if let Some(study) = self.study.as_mut() {
            study.see(seen);
        }
    }

    pub(super) fn change(&mut self, changes: &[Change], moment: &Moment) {
        let is_open = |change: &Change| change.pane_ms() + PANE_MS > moment.closed_ms;
        let open = if changes.iter().all(is_open) {
            changes
        } else {
            self.open.clear();
            self.open.extend(changes.iter().filter(|change| is_open(change)).copied());
            self.counts.beyond_correction += (changes.len() - self.open.len()) as u64;
            &self.open[..]
        };
        for change in open {
            self.revisions.note(change, moment.final_ms);
        }
        // Nothing open is forgotten: panes are kept for longer than they can be corrected.
        self.counts.beyond_correction += self.store.apply(open);
    }

    /// Moves the windows on and lets go of panes that nothing can ask for any more.
    pub(super) fn done(&mut self, moment: &Moment) {
        self.revisions.end_block();
        let Some(newest_ms) = moment.newest_ms else { return };
        // Before panes fold: it looks at single ones.
        if let Some(study) = self.study.as_mut().filter(|study| study.is_due(newest_ms)) {
            study.advance(self.store, newest_ms);
        }
        self.store.slide_to(newest_ms);
        // Before anything is forgotten: when time jumps, both happen in one block.
        if let Some((collector, before_ms)) = self.collector.as_mut().zip(closed_before(moment.watermark_ms)) {
            let learnt = self.study.as_ref().map(|study| study.learnt().free_flow.mps());
            collector.close_cells(before_ms, self.store, self.network, learnt);
        }
        let Some((keep_ms, watermark_ms)) = self.keep_ms.zip(moment.watermark_ms) else { return };
        if self.fold {
            self.store.fold_before(newest_ms - FOLD_AFTER_MS);
        }
        let limit_ms = pane_start(watermark_ms - keep_ms);
        if self.store.forget_before(limit_ms) {
            self.revisions.forget_before(limit_ms);
        }
    }
}
