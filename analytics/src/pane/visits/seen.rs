//! When every vehicle was seen anywhere in the city.
//!
//! Upstream: [`super::Visits`]. The pane that a vehicle is in is counted in one flat table; only when it is in another one
//! its own list is touched. Bounded by vehicles times the panes that are kept.

use super::Kept;

/// A vehicle's list grows by so many panes.
const GROWN: usize = 8;

/// Contributions of one vehicle by pane.
type Panes = Vec<(i32, i32)>;

/// Contributions of every vehicle by pane, by its number.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Pane and contributions that are not in `past` yet.
    now: Panes,
    /// In order of pane.
    past: Vec<Panes>,
}

impl Seen {
    #[inline]
    pub(super) fn add(&mut self, number: u32, pane: i32, contributions: i32) {
        let number = number as usize;
        if number >= self.now.len() {
            self.now.resize(number + 1, (0, 0));
            self.past.resize_with(number + 1, Vec::new);
        }
        let now = &mut self.now[number];
        if now.0 == pane {
            now.1 += contributions;
            return;
        }
        let (pane_before, before) = std::mem::replace(now, (pane, contributions));
        add(&mut self.past[number], pane_before, before);
    }

    /// Puts everything into the lists.
    pub(super) fn close(&mut self) {
        for (now, past) in self.now.iter_mut().zip(&mut self.past) {
            add(past, now.0, std::mem::take(&mut now.1));
        }
    }

    /// Distinct vehicles from this pane on; everything is in the lists.
    pub(super) fn from(&self, pane: i32) -> u64 {
        self.past.iter().filter(|panes| panes.last().is_some_and(|last| last.0 >= pane)).count() as u64
    }

    /// Whether anything is kept of a vehicle; everything is in the lists.
    pub(super) fn knows(&self, number: u32) -> bool {
        self.past.get(number as usize).is_some_and(|panes| !panes.is_empty())
    }

    /// Makes minutes of the panes that are folded now, and drops what is not kept.
    pub(super) fn fold(&mut self, kept: Kept) {
        self.close();
        for panes in &mut self.past {
            panes.retain_mut(|of| {
                kept.place(of.0).is_some_and(|pane| {
                    of.0 = pane;
                    true
                })
            });
            // They stay in order: minutes are in the order of their panes.
            panes.dedup_by(|next, before| {
                let same = next.0 == before.0;
                before.1 += if same { next.1 } else { 0 };
                same
            });
            panes.retain(|of| of.1 != 0);
            panes.shrink_to(panes.len() + GROWN);
        }
    }
}

fn add(panes: &mut Panes, pane: i32, contributions: i32) {
    if contributions == 0 {
        return;
    }
    let at = match panes.last() {
        Some(last) if last.0 >= pane => panes.binary_search_by_key(&pane, |p| p.0),
        Some(_) | None => Err(panes.len()),
    };
    match at {
        Ok(at) if panes[at].1 + contributions == 0 => {
            panes.remove(at);
        }
        Ok(at) => panes[at].1 += contributions,
        Err(at) => {
            if panes.len() == panes.capacity() {
                // Doubling would waste a third of the memory.
                panes.reserve_exact(GROWN);
            }
            panes.insert(at, (pane, contributions));
        }
    }
}
