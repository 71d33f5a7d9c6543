//! Totals of any stretch of time, added up anew; live windows have theirs ready ([`super::live`]).
//!
//! Upstream: [`PaneStore::shared_totals`], mostly for [`crate::study`], which asks for every pane and minute once.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::live::Delayed;
use super::series::Series;
use super::sums::{PAGE, Sum, Sums};
use super::touched::Touched;
use super::visits::minute_of;
use super::{PaneStore, Totals};

impl PaneStore {
    /// The totals of the panes and minutes from `start` to before `end`; `start` is the first of a minute where it is folded.
    pub(super) fn recount(&self, start: i32, end: i32, free_mps: &[f64]) -> Totals {
        let mut whole = vec![Delayed::default(); free_mps.len()];
        for (_, minute) in self.minutes.range(start..self.kept.folded_before.min(end).max(start)) {
            minute.each(|segment, sum| {
                if let Some(&free_mps) = free_mps.get(segment) {
                    whole[segment].merge(Delayed::of(sum, free_mps));
                }
            });
        }
        let held = self.held();
        for parts in by_minute(&self.panes, &held, start.max(self.kept.folded_before), end) {
            add_minute(&parts, free_mps, &mut whole);
        }
        let mut totals = Totals::default();
        for (segment, of) in whole.iter().enumerate().filter(|(_, of)| of.sum.time_ms > 0) {
            totals.push_sums(segment as u32, of);
        }
        self.count_vehicles(start, end, &held, &mut totals);
        totals
    }

    /// What vehicles still hold of the cells that they are in, and what waits, by pane.
    pub(super) fn held(&self) -> BTreeMap<i32, Sums> {
        let mut held: BTreeMap<i32, Sums> = BTreeMap::new();
        let waiting = self.visits.arrived().iter().copied().filter(|open| open.pane >= self.over_before);
        for open in waiting.chain(self.vehicles.open()) {
            held.entry(open.pane).or_default().add(open.segment as usize, open.sum());
        }
        held
    }

    fn count_vehicles(&self, start: i32, end: i32, held: &BTreeMap<i32, Sums>, totals: &mut Totals) {
        totals.vehicles.resize(totals.segment.len(), 0);
        let (mut everywhere, mut row) = (FxHashSet::default(), 0);
        let driven = self.driven(start, end, held);
        self.visits.each_within(driven.as_ref(), self.vehicles.open(), self.kept, start..end, |segment, vehicles| {
            everywhere.extend(vehicles.iter().copied());
            while totals.segment.get(row).is_some_and(|&s| (s as usize) < segment) {
                row += 1;
            }
            if totals.segment.get(row).is_some_and(|&s| s as usize == segment) {
                totals.vehicles[row] = vehicles.len() as u64;
            }
        });
        totals.vehicles_everywhere = everywhere.len() as u64;
    }

    /// Segments about which anything was said in these panes; `None` for all, where some of the panes are folded.
    fn driven(&self, start: i32, end: i32, held: &BTreeMap<i32, Sums>) -> Option<Touched> {
        (start >= self.kept.folded_before).then(|| {
            let mut driven = Touched::default();
            self.panes.range(start..end).for_each(|pane| driven.join(pane.1.driven()));
            held.range(start..end.max(start)).for_each(|pane| driven.join(pane.1.driven()));
            driven
        })
    }
}

/// The panes of a stretch by clock minute, oldest first.
fn by_minute<'s>(panes: &'s Series, held: &'s BTreeMap<i32, Sums>, start: i32, end: i32) -> Vec<Vec<&'s Sums>> {
    let mut minutes: BTreeMap<i32, Vec<&Sums>> = BTreeMap::new();
    let held = held.range(start..end.max(start)).map(|(pane, sums)| (*pane, sums));
    for (pane, sums) in panes.range(start..end).chain(held) {
        minutes.entry(minute_of(pane)).or_default().push(sums);
    }
    minutes.into_values().collect()
}

/// Adds one clock minute, given as the parts of it that count: sums as they are, delay clipped.
fn add_minute(parts: &[&Sums], free_mps: &[f64], whole: &mut [Delayed]) {
    let pages = parts.iter().map(|sums| sums.pages()).max().unwrap_or(0);
    for (page, (into, free_mps)) in whole.chunks_mut(PAGE).zip(free_mps.chunks(PAGE)).enumerate().take(pages) {
        let mut minute = [Sum::default(); PAGE];
        let mut is_driven = false;
        for part in parts {
            is_driven |= part.add_page(page, &mut minute);
        }
        if is_driven {
            for ((into, sum), &free_mps) in into.iter_mut().zip(minute).zip(free_mps) {
                into.merge(Delayed::of(sum, free_mps));
            }
        }
    }
}
