//! Where undecided fixes are as far as is known now, found again only as far as something changed.
//!
//! Upstream: [`super::Track`] with a fix more. Downstream: [`crate::matching::Matcher`], which tells what differs.

use std::num::NonZeroU64;

use roads::SegmentIndex;

use super::{BEYOND_M, Conditions, NO_ERROR_M, Track};
use crate::matching::World;
use crate::matching::exact::Places;
use crate::matching::fix::{Fix, Role};
use crate::matching::model::Column;
use crate::matching::place::On;

impl Track {
    /// Puts every undecided fix where the best drive has it now.
    pub(crate) fn place_provisionally(&mut self, world: &mut World) {
        self.told = true;
        let (base, held) = (self.base, self.held);
        if let Some(last) = self.columns.len().checked_sub(1) {
            let newest = self.newest(world).map(|c| c.states()[c.best()]);
            let mut state = newest.map_or_else(|| self.columns[last].best(), |s| usize::from(s.before));
            world.trace.clear();
            for c in (0..=last).rev() {
                if !self.columns[c].decided {
                    world.trace.push((c, state));
                }
                state = usize::from(self.columns[c].states()[state].before);
            }
            let mut from = self.skip_laid(world);
            while let Some((c, state)) = world.trace.pop() {
                let (fix, s) = (self.next_kept(from), &self.columns[c].states()[state]);
                let on = On { segment: s.segment, offset_m: s.offset_m };
                self.place_kept(world, from, fix, on);
                (from, self.base) = (fix + 1, self.fixes[fix].on());
                (self.columns[c].laid, self.columns[c].held) = (state as u8, self.held);
            }
            let end = newest.map(|s| On { segment: s.segment, offset_m: s.offset_m });
            self.place_between(world, from, self.fixes.len(), end);
        }
        (self.base, self.held) = (base, held);
    }

    /// Leaves out of the trace what is placed already and stays, and gives the fix to go on with; the base is then the
    /// place before it.
    fn skip_laid(&mut self, world: &mut World) -> usize {
        let stands = self.fixes.range(self.decided..).any(Fix::is_at_rest);
        let now = Conditions { sigma_m: self.sigma_m, aside_m2: if stands { self.aside_m2 } else { 0.0 } };
        let newest = self.fixes.len().saturating_sub(2)..self.fixes.len();
        if self.fixes.range(newest).map(Fix::is_at_rest).eq([false, true]) {
            // It has come to a stand: that tells on which side of a line it braked.
            self.laid = None;
        }
        let is_same = self.laid.replace(now) == Some(now);
        let mut from = self.decided;
        while let Some(&(c, state)) = world.trace.last().filter(|_| is_same) {
            if self.columns[c].laid != state as u8 {
                break;
            }
            let fix = self.next_kept(from);
            (from, self.base, self.held) = (fix + 1, self.fixes[fix].on(), self.columns[c].held);
            world.trace.pop();
        }
        from
    }

    /// Tells where the newest fix is exactly, if that is known.
    pub(in crate::matching) fn recall(&self, places: &mut Places) {
        if let (Some(bits), Some(last)) = (self.exact_m, self.fixes.back()) {
            places.remember(SegmentIndex(last.segment), last.at, f64::from_bits(bits.get() - 1));
        }
    }

    /// Remembers where the newest fix is exactly, if that was found.
    pub(in crate::matching) fn retain(&mut self, places: &Places) {
        let exact_m = self.fixes.back().and_then(|last| places.known(SegmentIndex(last.segment), last.at));
        self.exact_m = exact_m.and_then(|offset_m| NonZeroU64::new(offset_m.to_bits().wrapping_add(1)));
    }

    /// The newest fix as a column of its own though it was skipped, where it tells what the model does not know yet: which
    /// way a drive that has just begun goes, and onto which street somebody has just turned. Who has no error is on that
    /// street from the first centimetre, however acute the angle is at which it leaves.
    fn newest(&self, world: &mut World) -> Option<Column> {
        let newest = self.fixes.len().checked_sub(1).filter(|&k| self.fixes[k].role == Role::Skipped)?;
        let last = self.columns.back()?;
        let segment = last.states()[last.best()].segment;
        if self.columns.len() == 1 && !last.decided {
            return self.column_of(world, newest);
        }
        let before_m = if self.has_no_error() { world.scale.skip_m } else { BEYOND_M };
        let tells = self.is_off(world, newest, segment, before_m);
        let column = if tells { self.column_of(world, newest) } else { None };
        // On the same street it would only be a step back.
        column.filter(|c| c.states()[c.best()].segment != segment)
    }

    /// Takes the newest fix into the model, if it tells more than the last column, which is about to be decided.
    pub(super) fn keep_newest(&mut self, world: &mut World) -> bool {
        if !self.told || self.columns.len() != 1 || !self.has_no_error() {
            return false;
        }
        let Some(column) = self.newest(world) else { return false };
        if usize::from(column.states()[column.best()].before) == self.columns[0].best() {
            return false;
        }
        let newest = self.fixes.len() - 1;
        self.fixes[newest].role = Role::Kept;
        self.push(world, column);
        true
    }

    /// Whether its fixes are known to lie on the streets.
    pub(super) fn has_no_error(&self) -> bool {
        self.base.is_some() && self.aside_m2 < NO_ERROR_M * NO_ERROR_M
    }
}
