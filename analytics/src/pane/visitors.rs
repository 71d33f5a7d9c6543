//! Who was where: distinct vehicles by segment, in every pane and in every live window, exactly and without
//! counting anything again at a tick.
//!
//! Upstream: [`super::PaneStore`]. A vehicle is in a window when the newest pane in which it was seen on the
//! segment lies in the window. So one table of newest panes serves every window: a count rises when that pane
//! enters the window and falls when the window has passed it. Privacy rests on these counts: they are of
//! vehicles, never of reports.

use std::collections::BTreeMap;

use roads::SegmentIndex;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// A vehicle on a segment; [`EVERYWHERE`] for the city.
type Visit = (u32, u64);

/// Stands for all segments together.
const EVERYWHERE: u32 = u32::MAX;

/// Distinct vehicles of one window by segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WindowVisitors {
    /// First pane of the window; none before anything was seen.
    start_ms: Option<i64>,
    by_segment: Vec<u32>,
    everywhere: u32,
}

/// Visits by pane, and the windows over them.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    /// Contributions of each visit, by pane; for [`EVERYWHERE`] the segments that the vehicle was on.
    panes: BTreeMap<i64, FxHashMap<Visit, u32>>,
    newest: FxHashMap<Visit, i64>,
    windows: Vec<WindowVisitors>,
}

/// Visits in a checkpoint; newest panes and windows follow from them.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedVisitors {
    panes: BTreeMap<i64, Vec<(u32, u64, u32)>>,
    window_starts_ms: Vec<Option<i64>>,
}

impl WindowVisitors {
    /// Distinct vehicles on one segment.
    pub(super) fn on(&self, segment: SegmentIndex) -> u32 {
        self.by_segment.get(segment.at()).copied().unwrap_or(0)
    }

    /// Distinct vehicles on any segment.
    pub(super) fn everywhere(&self) -> u32 {
        self.everywhere
    }

    /// First pane of the window.
    pub(super) fn start_ms(&self) -> Option<i64> {
        self.start_ms
    }

    fn holds(&self, pane_ms: i64) -> bool {
        self.start_ms.is_some_and(|start| pane_ms >= start)
    }

    fn count(&mut self, segment: u32) -> &mut u32 {
        if segment == EVERYWHERE {
            return &mut self.everywhere;
        }
        let at = segment as usize;
        if at >= self.by_segment.len() {
            self.by_segment.resize(at + 1, 0);
        }
        &mut self.by_segment[at]
    }
}

impl Visitors {
    /// So many windows, which hold nothing until [`Visitors::slide`] says where they begin.
    pub(super) fn new(windows: usize) -> Self {
        Self { windows: vec![WindowVisitors::default(); windows], ..Self::default() }
    }

    /// What is to be remembered; [`EVERYWHERE`] is not, since it is the number of a vehicle's segments.
    pub(super) fn save(&self) -> SavedVisitors {
        let sorted = |visits: &FxHashMap<Visit, u32>| {
            let mut rows: Vec<_> = visits.iter().filter(|v| v.0.0 != EVERYWHERE).map(|(v, n)| (v.0, v.1, *n)).collect();
            rows.sort_unstable();
            rows
        };
        let panes = self.panes.iter().map(|(&pane_ms, visits)| (pane_ms, sorted(visits))).collect();
        SavedVisitors { panes, window_starts_ms: self.windows.iter().map(|w| w.start_ms).collect() }
    }

    /// Visits as they were saved, for so many windows.
    pub(super) fn load(saved: SavedVisitors, windows: usize) -> Self {
        let mut visitors = Self::new(windows);
        for (pane_ms, rows) in saved.panes {
            let visits = visitors.panes.entry(pane_ms).or_default();
            for (segment, vehicle, contributions) in rows {
                visits.insert((segment, vehicle), contributions);
                *visits.entry((EVERYWHERE, vehicle)).or_default() += 1;
            }
            // From the oldest pane to the newest, so the last one stays.
            visitors.newest.extend(visits.keys().map(|visit| (*visit, pane_ms)));
        }
        for (window, start_ms) in saved.window_starts_ms.into_iter().enumerate() {
            start_ms.into_iter().for_each(|start_ms| visitors.slide(window, start_ms));
        }
        visitors
    }

    /// Counts a contribution; `true` when the vehicle was not on the segment in this pane before.
    pub(super) fn add(&mut self, pane_ms: i64, segment: SegmentIndex, vehicle: u64) -> bool {
        let is_new = self.enter(pane_ms, (segment.0, vehicle));
        if is_new {
            self.enter(pane_ms, (EVERYWHERE, vehicle));
        }
        is_new
    }

    /// Takes a contribution back; `true` when the vehicle has nothing left on the segment in this pane.
    pub(super) fn take_back(&mut self, pane_ms: i64, segment: SegmentIndex, vehicle: u64) -> bool {
        let is_gone = self.leave(pane_ms, (segment.0, vehicle));
        if is_gone {
            self.leave(pane_ms, (EVERYWHERE, vehicle));
        }
        is_gone
    }

    /// Moves the begin of one window forward; it never goes back.
    pub(super) fn slide(&mut self, window: usize, start_ms: i64) {
        let Self { panes, newest, windows } = self;
        let Some(w) = windows.get_mut(window) else { return };
        let passed = match w.start_ms {
            Some(before) if before >= start_ms => return,
            Some(before) => before..start_ms,
            None => {
                // Nothing was counted while the window had no begin: count what lies in it.
                w.start_ms = Some(start_ms);
                newest.iter().filter(|(_, seen)| **seen >= start_ms).for_each(|(visit, _)| *w.count(visit.0) += 1);
                return;
            }
        };
        for (pane_ms, visits) in panes.range(passed) {
            visits.keys().filter(|visit| newest.get(visit) == Some(pane_ms)).for_each(|visit| *w.count(visit.0) -= 1);
        }
        w.start_ms = Some(start_ms);
    }

    /// Makes one pane of several: every pane that begins in `from_ms..to_ms` becomes part of the one at `from_ms`.
    pub(super) fn fold(&mut self, from_ms: i64, to_ms: i64) {
        let parts: Vec<i64> = self.panes.range(from_ms..to_ms).map(|p| *p.0).collect();
        for part_ms in parts.into_iter().filter(|&p| p != from_ms) {
            let Some(visits) = self.panes.remove(&part_ms) else { continue };
            let whole = self.panes.entry(from_ms).or_default();
            for (visit, n) in visits {
                if visit.0 != EVERYWHERE {
                    let contributions = whole.entry(visit).or_default();
                    let is_new = *contributions == 0;
                    *contributions += n;
                    // What is counted of a vehicle in the city is segments, not contributions.
                    *whole.entry((EVERYWHERE, visit.1)).or_default() += u32::from(is_new);
                }
                if let Some(seen) = self.newest.get_mut(&visit).filter(|seen| **seen == part_ms) {
                    *seen = from_ms;
                }
            }
        }
    }

    /// Tells the distinct vehicles of every segment in one pane.
    pub(super) fn in_pane(&self, pane_ms: i64, mut each: impl FnMut(SegmentIndex, u32)) {
        let Some(visits) = self.panes.get(&pane_ms) else { return };
        let mut counts: FxHashMap<u32, u32> = FxHashMap::default();
        visits.keys().filter(|visit| visit.0 != EVERYWHERE).for_each(|visit| *counts.entry(visit.0).or_default() += 1);
        counts.into_iter().for_each(|(segment, n)| each(SegmentIndex(segment), n));
    }

    /// Drops every pane that begins before `first_kept_ms`. No window may reach back so far.
    pub(super) fn forget_before(&mut self, first_kept_ms: i64) {
        let kept = self.panes.split_off(&first_kept_ms);
        for (pane_ms, visits) in std::mem::replace(&mut self.panes, kept) {
            for visit in visits.keys() {
                if self.newest.get(visit) == Some(&pane_ms) {
                    self.newest.remove(visit);
                }
            }
        }
    }

    /// The counts of one window.
    pub(super) fn window(&self, window: usize) -> Option<&WindowVisitors> {
        self.windows.get(window)
    }

    /// Counts any stretch of panes anew: for what is not a live window.
    pub(super) fn between(&self, from_ms: i64, to_ms: i64) -> WindowVisitors {
        let mut counts = WindowVisitors { start_ms: Some(from_ms), ..WindowVisitors::default() };
        let mut seen = rustc_hash::FxHashSet::default();
        for visits in self.panes.range(from_ms..to_ms.max(from_ms)).map(|p| p.1) {
            for visit in visits.keys().filter(|visit| seen.insert(**visit)) {
                *counts.count(visit.0) += 1;
            }
        }
        counts
    }

    fn enter(&mut self, pane_ms: i64, visit: Visit) -> bool {
        let n = self.panes.entry(pane_ms).or_default().entry(visit).or_default();
        *n += 1;
        if *n > 1 {
            return false;
        }
        let before = self.newest.get(&visit).copied();
        if before.is_none_or(|before| before < pane_ms) {
            self.newest.insert(visit, pane_ms);
            for w in &mut self.windows {
                if w.holds(pane_ms) && !before.is_some_and(|before| w.holds(before)) {
                    *w.count(visit.0) += 1;
                }
            }
        }
        true
    }

    fn leave(&mut self, pane_ms: i64, visit: Visit) -> bool {
        let Some(visits) = self.panes.get_mut(&pane_ms) else { return false };
        let Some(n) = visits.get_mut(&visit) else { return false };
        *n -= 1;
        if *n > 0 {
            return false;
        }
        visits.remove(&visit);
        if visits.is_empty() {
            self.panes.remove(&pane_ms);
        }
        if self.newest.get(&visit) != Some(&pane_ms) {
            return true;
        }
        let before = self.panes.range(..pane_ms).rev().find(|(_, visits)| visits.contains_key(&visit)).map(|p| *p.0);
        match before {
            Some(before) => self.newest.insert(visit, before),
            None => self.newest.remove(&visit),
        };
        for w in &mut self.windows {
            if w.holds(pane_ms) && !before.is_some_and(|before| w.holds(before)) {
                *w.count(visit.0) -= 1;
            }
        }
        true
    }
}
