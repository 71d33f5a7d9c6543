//! Vehicles that stand: before a junction and not behind it, and where they were when a pane ended.
//!
//! Upstream: [`super::Track`]. Downstream: spots of fixes at rest; [`crate::incident::head`].

use roads::SegmentIndex;

use super::super::World;
use super::super::fix::{Fix, Role};
use super::super::place::On;
use super::Track;
use crate::cell::pane_start;
use crate::incident::head::Seen;

/// Vehicles stand before junctions and not right behind them, so a fix at rest is believed to be before the line within
/// so many standard deviations of its receiver, and so many metres at the most: where the place is reckoned, and where it
/// is judged by how far fixes lie aside of the street, which is often less than along it. Queues that begin right behind
/// a junction are cut by more than this (`docs/benchmarks/2026-11-22-2core/accuracy.md`).
const LINE_SIGMAS: f32 = 4.0;
const LINE_ASIDES: f32 = 5.0;
const LINE_M_MAX: f32 = 12.0;

/// At the end of a pane a vehicle is where its last fix was, if that is no older than this; it stands if it has moved by less
/// than this, metres, in so many milliseconds.
const SEEN_MS: i64 = 5_000;
const STILL_M: f32 = 2.0;
const STILL_MS: i64 = 8_000;

impl Track {
    /// Where it was when a pane ended, if the newest fix is the first one behind that.
    pub(crate) fn at_border(&self) -> Option<Seen> {
        let newest = self.fixes.len().checked_sub(1)?;
        let (fix, last) = (&self.fixes[newest], &self.fixes[newest.checked_sub(1)?]);
        let end_ms = pane_start(fix.time_ms);
        if last.time_ms >= end_ms || last.time_ms < end_ms - SEEN_MS {
            return None;
        }
        let on = last.on().filter(|_| matches!(last.role, Role::Kept | Role::Skipped | Role::Named))?;
        let stands_since =
            |f: &Fix| f.on().is_some_and(|o| o.segment == on.segment && (o.offset_m - on.offset_m).abs() < STILL_M);
        let before = self.fixes.iter().rev().skip(1).find(|f| last.time_ms - f.time_ms >= STILL_MS);
        let stands = before.is_some_and(stands_since);
        Some(Seen { end_ms, segment: on.segment, offset_m: on.offset_m, stands })
    }

    /// Who stands, or comes to a stand, less than this behind a junction is taken to wait before it, metres: as far as its
    /// receiver may be off, judged by how far its fixes are aside of the streets; 0 for who does not say that it stands or
    /// soon does. Whoever brakes is carried over the line by the same error as who stands, and could not be taken back
    /// once it was said to be behind it. For cells only: driven paths stay as the model has them.
    pub(super) fn line_m(&self, fix: usize) -> f32 {
        if !self.told {
            return 0.0;
        }
        let off_m = if self.drifts() { LINE_SIGMAS * self.sigma_m } else { LINE_ASIDES * self.aside_m2.sqrt() };
        let mut left_m = off_m.min(LINE_M_MAX);
        for k in fix.. {
            let Some(now) = self.fixes.get(k).filter(|_| left_m > 0.0) else { break };
            if now.is_at_rest() {
                return left_m;
            }
            let Some((next, speed_mps)) = self.fixes.get(k + 1).zip(now.speed_mps()) else { break };
            // Braking evenly, as far as two speeds tell.
            let mean_mps = 0.5 * (speed_mps + next.speed_mps().unwrap_or(speed_mps));
            left_m -= mean_mps * (next.time_ms - now.time_ms) as f32 / 1_000.0;
        }
        0.0
    }

    /// A spot right behind the junction at the end of the base's street, put before it; see [`Track::line_m`].
    pub(super) fn before_line(&self, world: &World, fix: usize, on: On) -> On {
        let Some(base) = self.base.filter(|b| b.segment != on.segment && on.offset_m < self.line_m(fix)) else {
            return on;
        };
        let follows = world.network.successors(SegmentIndex(base.segment)).contains(&SegmentIndex(on.segment));
        let end = On { segment: base.segment, offset_m: world.routes.segment(base.segment).length_m };
        if follows { end } else { on }
    }
}
