//! The sums of one pane: pages of sixteen segments, made when a segment of theirs is first driven on.
//!
//! Upstream: [`super::PaneStore`]. Neighbouring segments have neighbouring indices, so a page that exists is mostly
//! used, a contribution costs two array reads instead of a search, and adding panes up runs over plain arrays.

use serde::{Deserialize, Serialize};

use crate::cell::Contribution;

/// Segments of one page.
pub(super) const PAGE: usize = 16;

/// The sums of one segment in one pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum {
    pub(super) distance_mm: i64,
    pub(super) time_ms: i64,
    pub(super) events: u32,
    /// Distinct vehicles.
    pub(super) vehicles: u32,
}

/// Sixteen neighbouring segments.
pub(super) type Page = [Sum; PAGE];

/// One pane of all segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    /// For every page its place in `pages` plus one, 0 while it has none.
    table: Vec<u32>,
    pages: Vec<Page>,
}

impl Sum {
    /// Whether nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds another sum; distinct vehicles are not summed, since one vehicle can be in both.
    pub(super) fn merge(&mut self, other: &Self) {
        self.distance_mm += other.distance_mm;
        self.time_ms += other.time_ms;
        self.events += other.events;
    }
}

impl Sums {
    /// Adds a contribution; `is_new` when its vehicle was not in the cell before.
    pub(super) fn add(&mut self, c: &Contribution, is_new: bool) {
        let sum = self.sum_mut(c.segment.at());
        sum.distance_mm += c.distance_mm;
        sum.time_ms += c.time_ms;
        sum.events += c.events as u32;
        sum.vehicles += u32::from(is_new);
    }

    /// Takes a contribution back that was added before; `is_gone` when its vehicle has nothing left in the cell.
    pub(super) fn take_back(&mut self, c: &Contribution, is_gone: bool) {
        let sum = self.sum_mut(c.segment.at());
        sum.distance_mm -= c.distance_mm;
        sum.time_ms -= c.time_ms;
        sum.events -= c.events as u32;
        sum.vehicles -= u32::from(is_gone);
    }

    /// The sum of one segment, made when it is missing.
    pub(super) fn sum_mut(&mut self, segment: usize) -> &mut Sum {
        let page = segment / PAGE;
        if page >= self.table.len() {
            self.table.resize(page + 1, 0);
        }
        if self.table[page] == 0 {
            self.pages.push(Page::default());
            self.table[page] = self.pages.len() as u32;
        }
        &mut self.pages[self.table[page] as usize - 1][segment % PAGE]
    }

    /// One page, `None` when nobody was there.
    pub(super) fn page(&self, page: usize) -> Option<&Page> {
        match self.table.get(page) {
            None | Some(0) => None,
            Some(&place) => self.pages.get(place as usize - 1),
        }
    }

    /// Every segment with something in it, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Sum)> + '_ {
        (0..self.table.len()).filter_map(|page| Some((page, self.page(page)?))).flat_map(|(page, sums)| {
            let indexed = sums.iter().enumerate().map(move |(i, sum)| (page * PAGE + i, sum));
            indexed.filter(|(_, sum)| !sum.is_empty())
        })
    }
}
