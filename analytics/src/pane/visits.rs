//! Who was where: for every segment the visits of vehicles by pane, from which distinct vehicles are counted exactly.
//!
//! Upstream: [`super::vehicles`] hands a visit over when the vehicle has left the cell. Downstream: [`super::PaneStore`].
//! Privacy rests on these counts: they are of vehicles, never of reports.
//!
//! What arrives waits, and is then sorted by segment, so that each segment's cell and list is touched once and in the
//! order of memory. A visit is appended to its segment's list; when the list is full or counted, it is put in order of
//! vehicle and pane (`visits/list.rs`); visits of one vehicle in one pane become one, and those of which nothing is left
//! disappear. The last visit of every vehicle then tells for every window at once whether it holds the vehicle. So a
//! contribution costs no search, a correction is one more entry, and nothing has to be done when a window moves on but to
//! count where something left it. Bounded by vehicles times the panes that are kept: [`Visits::sweep`] drops older ones
//! and folds minutes.

mod list;
mod seen;

use std::ops::Range;

use super::touched::Touched;
use super::vehicles::Open;
use list::List;
pub(super) use list::{PANE_ZERO, VEHICLE_BITS, Visit};
use seen::Seen;

/// Panes of a clock minute.
pub(super) const PANES_A_MINUTE: i32 = 6;

/// So many wait at most, and one more a vehicle: 3 MB.
const ARRIVED_MAX: usize = 1 << 17;

/// Vehicle, pane, contributions.
type Said = (u32, i32, i32);

/// Live windows.
pub(super) const WINDOWS: usize = crate::metric::window::Window::ALL.len();

/// Which panes are kept, and which of them only as minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Older panes are gone.
    pub(super) first: i32,
    /// Older panes are minutes; itself the first of a minute.
    pub(super) folded_before: i32,
}

/// Every segment's visits, and those of the whole city.
#[derive(Debug, Default)]
pub(super) struct Visits {
    lists: Vec<List>,
    /// Not yet in the lists.
    arrived: Vec<Open>,
    /// Kept for its memory.
    sorted: Vec<Open>,
    seen: Seen,
}

impl Kept {
    /// Everything.
    pub(super) const ALL: Self = Self { first: i32::MIN, folded_before: i32::MIN };

    /// The pane that holds what is said of this one; `None` when it is gone.
    #[inline]
    pub(super) fn place(self, pane: i32) -> Option<i32> {
        let placed = if pane < self.folded_before { minute_of(pane) } else { pane };
        (placed >= self.first).then_some(placed)
    }
}

impl Visits {
    /// Takes over what a vehicle left in a cell.
    #[inline]
    pub(super) fn enter(&mut self, open: Open) {
        self.arrived.push(open);
    }

    /// Whether so many wait that they should be handed out.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.arrived.len() >= ARRIVED_MAX
    }

    /// Everything that waits.
    pub(super) fn arrived(&self) -> &[Open] {
        &self.arrived
    }

    /// Hands what waits out to the lists and shows it, segment by segment.
    pub(super) fn hand_out(&mut self, kept: Kept, mut show: impl FnMut(&Open)) {
        let mut arrived = std::mem::take(&mut self.arrived);
        let mut sorted = std::mem::take(&mut self.sorted);
        arrived.iter().for_each(|open| self.seen.add(open.number, open.pane, open.contributions.into()));
        let segments = arrived.iter().map(|open| open.segment as usize + 1).max().unwrap_or(0);
        if segments > self.lists.len() {
            self.lists.resize_with(segments, List::default);
        }
        sort_by_segment(&mut arrived, segments, &mut sorted);
        for of_segment in arrived.chunk_by(|a, b| a.segment == b.segment) {
            let list = &mut self.lists[of_segment[0].segment as usize];
            list.make_room(of_segment.len(), kept);
            for open in of_segment {
                list.push(open.number, open.pane, open.contributions.into());
                show(open);
            }
        }
        arrived.clear();
        (self.arrived, self.sorted) = (arrived, sorted);
    }

    /// Reads a little of each line of memory of the visits of these segments, which are asked for soon.
    pub(super) fn ask_for(&self, segments: &[usize]) {
        let lists = segments.iter().filter_map(|&segment| self.lists.get(segment));
        let read = lists.flat_map(|list| list.visits().iter().step_by(8)).map(|visit| visit.vehicle());
        std::hint::black_box(read.fold(0, |all, one| all ^ one));
    }

    /// Distinct vehicles on one segment in the windows that begin with these panes. Everything is in the lists.
    pub(super) fn distinct(&mut self, segment: usize, from: [i32; WINDOWS], kept: Kept) -> [u32; WINDOWS] {
        let Some(list) = self.lists.get_mut(segment) else { return [0; WINDOWS] };
        list.order(kept);
        list.distinct(from)
    }

    /// Makes what was seen ready to be asked.
    pub(super) fn close_seen(&mut self) {
        self.seen.close();
    }

    /// Distinct vehicles anywhere from this pane on.
    pub(super) fn everywhere(&self, from: i32) -> u64 {
        self.seen.from(from)
    }

    /// Whether anything is kept of a vehicle.
    pub(super) fn knows(&self, number: u32) -> bool {
        self.seen.knows(number)
    }

    /// Makes minutes of the panes that are folded now.
    pub(super) fn fold(&mut self, kept: Kept) {
        self.seen.fold(kept);
    }

    /// Drops what is not kept any more from every list.
    pub(super) fn sweep(&mut self, kept: Kept) {
        for list in &mut self.lists {
            list.tidy(kept);
            list.shrink();
        }
        self.fold(kept);
    }

    /// Shows, segment by segment, the vehicles that visited it in these panes, each once; `among` names the segments, all
    /// without it. With those that are still open; nothing is changed.
    pub(super) fn each_within(
        &self,
        among: Option<&Touched>,
        open: impl Iterator<Item = Open>,
        kept: Kept,
        panes: Range<i32>,
        mut show: impl FnMut(usize, &[u32]),
    ) {
        let inside = |pane: i32| kept.place(pane).filter(|pane| panes.contains(pane));
        let open = open.chain(self.arrived.iter().copied());
        let mut open: Vec<(u32, Said)> =
            open.filter_map(|o| Some((o.segment, (o.number, inside(o.pane)?, o.contributions.into())))).collect();
        open.sort_unstable_by_key(|o| o.0);
        let segments = self.lists.len().max(open.last().map_or(0, |o| o.0 as usize + 1));
        let mut open = open.into_iter().peekable();
        let (mut there, mut vehicles) = (Vec::new(), Vec::new());
        for segment in (0..segments).filter(|&segment| among.is_none_or(|among| among.has(segment))) {
            there.clear();
            let visits = self.lists.get(segment).map_or(&[][..], |list| list.visits());
            there.extend(visits.iter().filter_map(|v| Some((v.vehicle(), inside(v.pane())?, v.contributions()))));
            while let Some((at, said)) = open.next_if(|o| o.0 as usize <= segment) {
                if at as usize == segment {
                    there.push(said);
                }
            }
            there.sort_unstable_by_key(|of: &Said| (of.0, of.1));
            vehicles.clear();
            // Of what was taken back nothing is left.
            let is_left = |of: &[Said]| of.iter().map(|of| of.2).sum::<i32>() != 0;
            let left = there.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).filter(|of| is_left(of));
            vehicles.extend(left.map(|of| of[0].0));
            vehicles.dedup();
            if !vehicles.is_empty() {
                show(segment, &vehicles);
            }
        }
    }

    /// Shows every segment's visits in order of vehicle and pane, with those that are still open; nothing is changed.
    pub(super) fn each(&self, open: impl Iterator<Item = Open>, kept: Kept, mut show: impl FnMut(usize, &[Visit])) {
        let mut open: Vec<Open> = open.chain(self.arrived.iter().copied()).collect();
        open.sort_unstable_by_key(|o| o.segment);
        let segments = self.lists.len().max(open.last().map_or(0, |o| o.segment as usize + 1));
        let mut open = open.into_iter().peekable();
        for segment in 0..segments {
            let mut list = self.lists.get(segment).cloned().unwrap_or_default();
            while let Some(o) = open.next_if(|o| o.segment as usize == segment) {
                list.push(o.number, o.pane, o.contributions.into());
            }
            list.tidy(kept);
            if !list.visits().is_empty() {
                show(segment, list.visits());
            }
        }
    }
}

/// Puts them in order of segment.
fn sort_by_segment(arrived: &mut Vec<Open>, segments: usize, sorted: &mut Vec<Open>) {
    let Some(&first) = arrived.first().filter(|_| arrived.len() >= segments / 8) else {
        // So few that they are sorted before the segments are gone through.
        return arrived.sort_unstable_by_key(|open| open.segment);
    };
    // By counting (Knuth, The Art of Computer Programming 3, 5.2, algorithm D).
    let mut next = vec![0_u32; segments + 1];
    arrived.iter().for_each(|open| next[open.segment as usize + 1] += 1);
    (0..segments).for_each(|segment| next[segment + 1] += next[segment]);
    sorted.resize(arrived.len(), first);
    for open in arrived.iter() {
        let at = &mut next[open.segment as usize];
        sorted[*at as usize] = *open;
        *at += 1;
    }
    std::mem::swap(arrived, sorted);
}

/// The first pane of a pane's clock minute.
pub(super) fn minute_of(pane: i32) -> i32 {
    pane.div_euclid(PANES_A_MINUTE) * PANES_A_MINUTE
}
