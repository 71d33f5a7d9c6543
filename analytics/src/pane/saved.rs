//! The pane store as bytes: sums, and who was where. Everything else is worked out from these again.
//!
//! Upstream, downstream: [`super::PaneStore`], and [`crate::engine::saved`], which puts it into a checkpoint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PaneStore;
use super::speeds::SavedSpeeds;
use super::sums::{Sum, Sums};
use super::visitors::{SavedVisitors, Visitors};
use crate::metric::window::Window;

/// The store in a checkpoint; every list is in one order, so that equal stores give equal bytes.
#[derive(Serialize, Deserialize)]
struct Saved {
    panes: BTreeMap<i64, Vec<(u32, Sum)>>,
    visitors: SavedVisitors,
    speeds: Option<SavedSpeeds>,
    folded_before_ms: i64,
    forgotten_before_ms: Option<i64>,
}

impl PaneStore {
    /// Everything that is kept.
    ///
    /// # Errors
    /// When memory is short.
    pub fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        let rows = |sums: &Sums| sums.iter().map(|(segment, sum)| (segment as u32, *sum)).collect();
        let saved = Saved {
            panes: self.panes.iter().map(|(&pane_ms, sums)| (pane_ms, rows(sums))).collect(),
            visitors: self.visitors.save(),
            speeds: self.speeds.as_ref().map(super::speeds::Speeds::save),
            folded_before_ms: self.folded_before_ms,
            forgotten_before_ms: self.forgotten_before_ms,
        };
        postcard::to_stdvec(&saved)
    }

    /// A store as it was saved.
    ///
    /// # Errors
    /// When these bytes were not written by [`Self::save`].
    pub fn load(bytes: &[u8]) -> Result<Self, postcard::Error> {
        let saved: Saved = postcard::from_bytes(bytes)?;
        let sums = |rows: Vec<(u32, Sum)>| {
            let mut sums = Sums::default();
            rows.into_iter().for_each(|(segment, sum)| *sums.sum_mut(segment as usize) = sum);
            sums
        };
        Ok(Self {
            panes: saved.panes.into_iter().map(|(pane_ms, rows)| (pane_ms, sums(rows))).collect(),
            visitors: Visitors::load(saved.visitors, Window::ALL.len()),
            speeds: saved.speeds.map(super::speeds::Speeds::load),
            folded_before_ms: saved.folded_before_ms,
            forgotten_before_ms: saved.forgotten_before_ms,
        })
    }
}
