//! Who was where: for every segment the visits of vehicles by pane, from which distinct vehicles are counted exactly.
//!
//! Upstream: [`super::vehicles`] hands a visit over when the vehicle has left the cell. Downstream: [`super::PaneStore`].
//! Privacy rests on these counts: they are of vehicles, never of reports.
//!
//! A visit is appended to its segment's list, unsorted. When the list is full or counted, it is put in order of
//! vehicle and pane; visits of one vehicle in one pane become one, and those of which nothing is left disappear. The
//! last visit of every vehicle then tells for every window at once whether it holds the vehicle. So a contribution
//! costs no search, a correction is one more entry, and nothing has to be done when a window moves on but to count.
//! Bounded by vehicles times the panes that are kept: [`Visits::sweep`] drops older ones and folds minutes.

use super::vehicles::Open;

/// Panes of a clock minute.
pub(super) const PANES_A_MINUTE: i32 = 6;

/// Visits that wait for being handed out to their lists: 4 MB.
const ARRIVED_MAX: usize = 1 << 18;

/// Live windows.
pub(super) const WINDOWS: usize = crate::metric::window::Window::ALL.len();

/// Contributions of one vehicle to one segment in one pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    /// Its number in [`super::vehicles::Vehicles`].
    pub(super) vehicle: u32,
    pub(super) pane: i32,
    pub(super) contributions: i32,
}

/// Which panes are kept, and which of them only as minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Older panes are gone.
    pub(super) first: i32,
    /// Older panes are minutes; itself the first of a minute.
    pub(super) folded_before: i32,
}

/// Segments about which something changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    bits: Vec<u64>,
}

/// Every segment's visits, and those of the whole city.
#[derive(Debug, Default)]
pub(super) struct Visits {
    lists: Vec<Vec<Visit>>,
    touched: Touched,
    /// Not yet in the lists, at most [`ARRIVED_MAX`].
    arrived: Vec<Open>,
    /// Contributions of every vehicle by pane, in order of pane.
    seen: Vec<Vec<(i32, i32)>>,
    /// Distinct vehicles in every window, by segment, as of the last count.
    counts: Vec<[u32; WINDOWS]>,
    counted_from: [i32; WINDOWS],
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

impl Visit {
    fn of(open: &Open) -> Self {
        Self { vehicle: open.number, pane: open.pane, contributions: open.contributions }
    }
}

impl Touched {
    #[inline]
    pub(super) fn set(&mut self, segment: usize) {
        let at = segment / 64;
        if at >= self.bits.len() {
            self.bits.resize(at + 1, 0);
        }
        self.bits[at] |= 1 << (segment % 64);
    }

    pub(super) fn has(&self, segment: usize) -> bool {
        self.bits.get(segment / 64).is_some_and(|word| word >> (segment % 64) & 1 == 1)
    }

    /// Takes every segment out, in order.
    pub(super) fn take(&mut self) -> impl Iterator<Item = usize> + use<> {
        let bits = std::mem::take(&mut self.bits);
        bits.into_iter()
            .enumerate()
            .filter(|word| word.1 != 0)
            .flat_map(|(at, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit))
    }
}

impl Visits {
    /// Takes over what a vehicle left in a cell.
    #[inline]
    pub(super) fn enter(&mut self, open: Open, kept: Kept) {
        self.arrived.push(open);
        if self.arrived.len() >= ARRIVED_MAX {
            self.hand_out(kept);
        }
    }

    /// Hands what arrived out to the lists, segment by segment: each list is then touched once, and in order.
    pub(super) fn hand_out(&mut self, kept: Kept) {
        let mut arrived = std::mem::take(&mut self.arrived);
        arrived.retain_mut(|open| {
            kept.place(open.pane).is_some_and(|pane| {
                open.pane = pane;
                true
            })
        });
        for open in &arrived {
            let number = open.number as usize;
            if number >= self.seen.len() {
                self.seen.resize_with(number + 1, Vec::new);
            }
            add_seen(&mut self.seen[number], open.pane, open.contributions);
        }
        let segments = arrived.iter().map(|open| open.segment as usize + 1).max().unwrap_or(0);
        if segments > self.lists.len() {
            self.lists.resize_with(segments, Vec::new);
        }
        let (sorted, ends) = by_segment(&arrived, segments);
        let mut begin = 0;
        for (segment, end) in ends {
            let list = &mut self.lists[segment];
            make_room(list, end - begin, kept);
            list.extend_from_slice(&sorted[begin..end]);
            self.touched.set(segment);
            begin = end;
        }
        arrived.clear();
        self.arrived = arrived;
    }

    /// Counts distinct vehicles of the windows that begin with these panes, for all segments about which something
    /// changed since the last count. Everything has to be entered.
    pub(super) fn count(&mut self, from: [i32; WINDOWS], kept: Kept) {
        self.counts.resize(self.lists.len(), [0; WINDOWS]);
        if from == self.counted_from {
            for segment in self.touched.take() {
                compact(&mut self.lists[segment], kept);
                self.counts[segment] = distinct(&self.lists[segment], from);
            }
            return;
        }
        for segment in self.touched.take() {
            compact(&mut self.lists[segment], kept);
        }
        for (list, counts) in self.lists.iter().zip(&mut self.counts) {
            *counts = distinct(list, from);
        }
        self.counted_from = from;
    }

    /// Every segment's visits as they are: unsorted, and not all of them counted yet. Everything has to be entered.
    pub(super) fn lists(&self) -> impl Iterator<Item = (usize, &[Visit])> {
        self.lists.iter().map(Vec::as_slice).enumerate()
    }

    /// Distinct vehicles on one segment in one window, as of the last count.
    pub(super) fn on(&self, segment: usize, window: usize) -> u32 {
        self.counts.get(segment).map_or(0, |counts| counts[window])
    }

    /// Distinct vehicles anywhere from this pane on.
    pub(super) fn everywhere(&self, from: i32) -> u64 {
        self.seen.iter().filter(|panes| panes.last().is_some_and(|last| last.0 >= from)).count() as u64
    }

    /// Whether anything is kept of a vehicle. Everything has to be entered.
    pub(super) fn knows(&self, number: u32) -> bool {
        self.seen.get(number as usize).is_some_and(|panes| !panes.is_empty())
    }

    /// Makes minutes of the panes that are folded now.
    pub(super) fn fold(&mut self, kept: Kept) {
        for panes in &mut self.seen {
            let old = std::mem::take(panes);
            panes.reserve_exact(old.len());
            for (pane, contributions) in old {
                if let Some(pane) = kept.place(pane) {
                    add_seen(panes, pane, contributions);
                }
            }
            panes.retain(|p| p.1 != 0);
        }
    }

    /// Drops what is not kept any more from every list.
    pub(super) fn sweep(&mut self, kept: Kept) {
        for list in &mut self.lists {
            compact(list, kept);
            if list.capacity() > list.len() * 2 {
                list.shrink_to(list.len() + list.len() / 4);
            }
        }
        self.fold(kept);
    }

    /// Shows every segment's visits in order of vehicle and pane, with those that are still open; nothing is changed.
    pub(super) fn each(&self, open: impl Iterator<Item = Open>, kept: Kept, mut show: impl FnMut(usize, &[Visit])) {
        let mut open: Vec<Open> = open.chain(self.arrived.iter().copied()).collect();
        open.sort_unstable_by_key(|o| o.segment);
        let segments = self.lists.len().max(open.last().map_or(0, |o| o.segment as usize + 1));
        let (mut open, mut list) = (open.into_iter().peekable(), Vec::new());
        for segment in 0..segments {
            list.clear();
            list.extend_from_slice(self.lists.get(segment).map_or(&[][..], Vec::as_slice));
            while let Some(o) = open.next_if(|o| o.segment as usize == segment) {
                list.push(Visit::of(&o));
            }
            compact(&mut list, kept);
            if !list.is_empty() {
                show(segment, &list);
            }
        }
    }
}

/// The same visits in order of segment, and where those of each segment end.
fn by_segment(arrived: &[Open], segments: usize) -> (Vec<Visit>, Vec<(usize, usize)>) {
    if arrived.len() < segments / 8 {
        // So few that they are sorted before the segments are gone through.
        let mut arrived = arrived.to_vec();
        arrived.sort_unstable_by_key(|open| open.segment);
        let (mut ends, mut end) = (Vec::new(), 0);
        for of_segment in arrived.chunk_by(|a, b| a.segment == b.segment) {
            end += of_segment.len();
            ends.push((of_segment[0].segment as usize, end));
        }
        return (arrived.iter().map(Visit::of).collect(), ends);
    }
    // By counting (Knuth, The Art of Computer Programming 3, 5.2, algorithm D).
    let mut next = vec![0_usize; segments + 1];
    arrived.iter().for_each(|open| next[open.segment as usize + 1] += 1);
    (0..segments).for_each(|segment| next[segment + 1] += next[segment]);
    let mut sorted = vec![Visit { vehicle: 0, pane: 0, contributions: 0 }; arrived.len()];
    for open in arrived {
        let at = &mut next[open.segment as usize];
        sorted[*at] = Visit::of(open);
        *at += 1;
    }
    let mut begin = 0;
    let ends = (0..segments).filter_map(|segment| {
        let is_visited = next[segment] > begin;
        begin = next[segment];
        is_visited.then_some((segment, begin))
    });
    let ends = ends.collect();
    (sorted, ends)
}

/// The first pane of a pane's clock minute.
pub(super) fn minute_of(pane: i32) -> i32 {
    pane.div_euclid(PANES_A_MINUTE) * PANES_A_MINUTE
}

/// Puts a list in order, without what is not kept and what is taken back.
fn compact(list: &mut Vec<Visit>, kept: Kept) {
    list.retain_mut(|visit| match kept.place(visit.pane) {
        Some(pane) => {
            visit.pane = pane;
            true
        }
        None => false,
    });
    // Stable: it finds the part that is in order already.
    list.sort_by_key(|visit| (visit.vehicle, visit.pane));
    list.dedup_by(|next, before| {
        let same = (next.vehicle, next.pane) == (before.vehicle, before.pane);
        before.contributions += if same { next.contributions } else { 0 };
        same
    });
    list.retain(|visit| visit.contributions != 0);
}

/// Makes room for so many more, a quarter at a time: doubling would waste a third of the memory.
fn make_room(list: &mut Vec<Visit>, more: usize, kept: Kept) {
    if list.len() + more <= list.capacity() {
        return;
    }
    compact(list, kept);
    if list.len() + more > list.capacity() {
        list.reserve_exact(more.max(list.len() / 4));
    }
}

/// Vehicles whose last visit is in a window, for all windows; the list is in order.
fn distinct(list: &[Visit], from: [i32; WINDOWS]) -> [u32; WINDOWS] {
    let mut counts = [0; WINDOWS];
    for (i, visit) in list.iter().enumerate() {
        let is_last = list.get(i + 1).is_none_or(|next| next.vehicle != visit.vehicle);
        for (count, from) in counts.iter_mut().zip(from) {
            *count += u32::from(is_last & (visit.pane >= from));
        }
    }
    counts
}

fn add_seen(panes: &mut Vec<(i32, i32)>, pane: i32, contributions: i32) {
    match panes.last_mut() {
        Some(last) if last.0 == pane => last.1 += contributions,
        Some(last) if last.0 > pane => match panes.binary_search_by_key(&pane, |p| p.0) {
            Ok(at) => panes[at].1 += contributions,
            Err(at) => panes.insert(at, (pane, contributions)),
        },
        Some(_) | None => panes.push((pane, contributions)),
    }
    if contributions < 0 {
        panes.retain(|p| p.1 != 0);
    }
}
