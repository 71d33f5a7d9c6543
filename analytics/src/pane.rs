//! The pane store: every cell of the panes that can still change or still be asked for.
//!
//! Upstream: [`crate::engine`]. Downstream: [`crate::metric`] reads windows as sums of panes,
//! [`crate::output`] writes cells. A pane holds active segments only.

use std::collections::BTreeMap;

use roads::SegmentIndex;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::cell::{Cell, Contribution, pane_start};

/// Cells by pane and segment.
#[derive(Debug, Default)]
pub struct PaneStore {
    panes: BTreeMap<i64, FxHashMap<SegmentIndex, Cell>>,
    /// Panes that begin before this are gone; contributions to them are refused.
    forgotten_before_ms: Option<i64>,
}

/// One row of a window: a segment in one pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellRow {
    pub segment: SegmentIndex,
    pub pane_ms: i64,
    pub distance_mm: i64,
    pub time_ms: i64,
    pub events: i64,
    pub vehicles: usize,
}

impl PaneStore {
    /// Adds a contribution; `false` when its pane is already forgotten.
    #[must_use]
    pub fn add(&mut self, c: &Contribution) -> bool {
        if self.is_forgotten(c.pane_ms) {
            return false;
        }
        self.panes.entry(c.pane_ms).or_default().entry(c.segment).or_default().add(c);
        true
    }

    /// Takes a contribution back; `false` when its pane is already forgotten.
    #[must_use]
    pub fn take_back(&mut self, c: &Contribution) -> bool {
        if self.is_forgotten(c.pane_ms) {
            return false;
        }
        let Some(pane) = self.panes.get_mut(&c.pane_ms) else { return true };
        if let Some(cell) = pane.get_mut(&c.segment) {
            cell.take_back(c);
            if cell.is_empty() {
                pane.remove(&c.segment);
            }
        }
        true
    }

    /// Drops every pane that ends at or before `time_ms`. Memory is bounded by the panes that are kept
    /// times the segments that were driven in them. `true` when the border moved.
    pub fn forget_before(&mut self, time_ms: i64) -> bool {
        let first_kept = pane_start(time_ms);
        let moved = self.forgotten_before_ms.is_none_or(|before| before < first_kept);
        if moved {
            self.forgotten_before_ms = Some(first_kept);
            self.panes = self.panes.split_off(&first_kept);
        }
        moved
    }

    /// The cells of panes that begin in `from_ms..to_ms`, in no particular order within a pane.
    pub fn rows(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = CellRow> + '_ {
        self.panes.range(from_ms..to_ms.max(from_ms)).flat_map(|(&pane_ms, cells)| {
            cells.iter().map(move |(&segment, cell)| CellRow {
                segment,
                pane_ms,
                distance_mm: cell.distance_mm,
                time_ms: cell.time_ms,
                events: cell.events,
                vehicles: cell.vehicles(),
            })
        })
    }

    /// All cells that are kept, sorted by segment, then pane: the order of every file that we write.
    pub fn sorted_rows(&self) -> Vec<CellRow> {
        let mut rows: Vec<_> = self.rows(i64::MIN, i64::MAX).collect();
        rows.sort_unstable_by_key(|r| (r.segment, r.pane_ms));
        rows
    }

    /// Distinct vehicles by segment over panes that begin in `from_ms..to_ms`, and over all segments.
    pub fn distinct_vehicles(&self, from_ms: i64, to_ms: i64) -> (FxHashMap<SegmentIndex, usize>, usize) {
        let mut by_segment: FxHashMap<SegmentIndex, Vec<u64>> = FxHashMap::default();
        let mut everywhere = FxHashSet::default();
        for cells in self.panes.range(from_ms..to_ms.max(from_ms)).map(|p| p.1) {
            for (&segment, cell) in cells {
                by_segment.entry(segment).or_default().extend(cell.vehicle_ids());
                everywhere.extend(cell.vehicle_ids());
            }
        }
        let counts = by_segment
            .into_iter()
            .map(|(segment, mut ids)| {
                ids.sort_unstable();
                ids.dedup();
                (segment, ids.len())
            })
            .collect();
        (counts, everywhere.len())
    }

    fn is_forgotten(&self, pane_ms: i64) -> bool {
        self.forgotten_before_ms.is_some_and(|before| pane_ms < before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contribution(segment: u32, pane_ms: i64, vehicle: u64) -> Contribution {
        let segment = SegmentIndex(segment);
        Contribution { segment, pane_ms, vehicle, distance_mm: 1_000, time_ms: 500, events: 1 }
    }

    #[test]
    fn vehicles_are_counted_once_however_many_panes_they_cross() {
        let mut store = PaneStore::default();
        for c in [contribution(1, 0, 7), contribution(1, 10_000, 7), contribution(1, 10_000, 8), contribution(2, 0, 7)]
        {
            assert!(store.add(&c));
        }
        let (by_segment, everywhere) = store.distinct_vehicles(0, 20_000);
        assert_eq!((by_segment[&SegmentIndex(1)], by_segment[&SegmentIndex(2)], everywhere), (2, 1, 2));
        assert_eq!(store.distinct_vehicles(0, 10_000).1, 1);
    }

    #[test]
    fn forgotten_panes_refuse_and_kept_ones_do_not() {
        let mut store = PaneStore::default();
        assert!(store.add(&contribution(1, 0, 7)));
        assert!(store.add(&contribution(1, 10_000, 7)));
        assert!(store.forget_before(9_999));
        assert_eq!(store.sorted_rows().len(), 2);
        assert!(store.forget_before(10_000));
        assert_eq!(store.sorted_rows().len(), 1);
        assert!(!store.add(&contribution(1, 0, 9)));
        assert!(store.take_back(&contribution(1, 10_000, 7)));
        assert!(store.sorted_rows().is_empty());
        assert!(!store.forget_before(5_000), "forgetting never goes back");
        assert!(!store.add(&contribution(1, 0, 9)));
    }
}
