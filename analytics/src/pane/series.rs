//! Panes in order of time, the two newest at hand.
//!
//! Upstream: [`super::PaneStore`]. Contributions mostly go to one of two neighbouring panes, so those are found without a
//! search. Bounded by the panes that the store keeps.

use std::collections::BTreeMap;
use std::ops::Range;

use super::sums::Sums;

/// Sums by the number of the pane.
#[derive(Debug, Default)]
pub(super) struct Series {
    places: BTreeMap<i32, u32>,
    sums: Vec<Sums>,
    free: Vec<u32>,
    /// The panes last asked for, by the last bit of their number.
    hot: [Option<(i32, u32)>; 2],
}

impl Series {
    /// The sums of a pane, made when they are missing.
    #[inline]
    pub(super) fn at(&mut self, pane: i32) -> &mut Sums {
        let hot = (pane & 1) as usize;
        match self.hot[hot] {
            Some((known, place)) if known == pane => &mut self.sums[place as usize],
            Some(_) | None => {
                let place = self.place(pane);
                self.hot[hot] = Some((pane, place));
                &mut self.sums[place as usize]
            }
        }
    }

    /// The panes of a stretch, oldest first.
    pub(super) fn range(&self, panes: Range<i32>) -> impl Iterator<Item = (i32, &Sums)> {
        let panes = panes.start..panes.end.max(panes.start);
        self.places.range(panes).map(|(&pane, &place)| (pane, &self.sums[place as usize]))
    }

    /// The oldest pane.
    pub(super) fn first(&self) -> Option<i32> {
        self.places.first_key_value().map(|p| *p.0)
    }

    /// The newest pane.
    pub(super) fn last(&self) -> Option<i32> {
        self.places.last_key_value().map(|p| *p.0)
    }

    /// Drops every pane before this one.
    pub(super) fn drop_before(&mut self, first_kept: i32) {
        let kept = self.places.split_off(&first_kept);
        for place in std::mem::replace(&mut self.places, kept).into_values() {
            self.sums[place as usize] = Sums::default();
            self.free.push(place);
        }
        self.hot = [None; 2];
    }

    fn place(&mut self, pane: i32) -> u32 {
        let Self { places, sums, free, .. } = self;
        *places.entry(pane).or_insert_with(|| {
            free.pop().unwrap_or_else(|| {
                sums.push(Sums::default());
                sums.len() as u32 - 1
            })
        })
    }
}
