//! How far event time has come: a front for each class of sources, and the watermark behind them.
//!
//! Upstream: [`crate::engine`] shows every event. Downstream: what is late, which panes are final, what is forgotten.
//! There is no clock here: event time moves by events alone, so a replay has the watermarks of the live run.
//!
//! The *front* of a class is the newest stamp that is believed. What is stamped behind the receipt and at most
//! [`VOUCHED_MS`] old is believed at once: then the receiver's clock vouches that it is not from the future. Where it
//! does not (a recording replayed without its own clock), a stamp more than [`JUMP_MS`] ahead is believed only after so
//! many events in a row say the same ([`RUN_SEVERAL`], [`RUN_ONE`]); one wrong clock among right ones never gets there.
//!
//! The watermark of a class lags [`LAG_MS`] behind its front: the bound for disorder of Flink's and Beam's watermarks
//! (T. Akidau et al., "The Dataflow Model", VLDB 2015). The watermark of all is the lowest of the classes that are
//! not idle. It never falls.

use serde::{Deserialize, Serialize};

use crate::fate::SourceClass;

/// How far a watermark lags behind the newest stamp that is believed, milliseconds.
pub const LAG_MS: i64 = 30_000;

/// A class whose front is so much behind the most advanced one is idle and holds nobody up, milliseconds. It is also
/// the longest that a slow class can delay the watermark.
pub const IDLE_MS: i64 = 60_000;

/// An event stamped so much after its receipt has a wrong clock, milliseconds; the same bound as the gate's.
pub const AHEAD_MS_MAX: i64 = 5_000;

/// A stamp at most so much older than its receipt is vouched for by it, milliseconds.
const VOUCHED_MS: i64 = 5 * 60_000;

/// Without a voucher, a stamp so far ahead of the front is a jump, milliseconds.
const JUMP_MS: i64 = 60_000;

/// A jump so far is kept out of the cells until it is believed, milliseconds: one wrong clock must not fill the memory
/// with panes of the next century.
const FAR_MS: i64 = 60 * 60_000;

/// Events in a row that make a jump believed: of several sources, and of one alone (more than half of the largest
/// message). Before the first front any sources do.
const RUN_SEVERAL: u32 = 64;
const RUN_ONE: u32 = 512;
const RUN_FIRST: u32 = 16;

/// When an event came, seen from its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Not behind the watermark of its class.
    InTime,
    /// Behind it, within the allowed lateness.
    Behind,
    /// Behind it by more.
    Late,
    /// Stamped in the future.
    Ahead,
}

/// A series of events that all say that time has jumped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    events: u32,
    source: u64,
    is_several: bool,
    lowest_ms: i64,
}

/// How far one class has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Front {
    newest_ms: Option<i64>,
    run: Run,
}

/// Event time of all classes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermarks {
    fronts: [Front; SourceClass::ALL.len()],
    lowest_ms: Option<i64>,
}

impl Watermarks {
    /// Takes notice of an event. `source` tells sources of one class apart; `lateness_ms` is how far behind the
    /// watermark of its class an event may be. `None` is a recording from end to end: no event of it comes too late or
    /// too early.
    pub fn see(
        &mut self,
        class: SourceClass,
        source: u64,
        time_ms: i64,
        received_ms: i64,
        lateness_ms: Option<i64>,
    ) -> Arrival {
        if time_ms > received_ms.saturating_add(AHEAD_MS_MAX) {
            return Arrival::Ahead;
        }
        let front = &mut self.fronts[class as usize];
        let before_ms = front.newest_ms;
        // Ahead of its receipt by less, it moves nobody beyond the receiver's own clock.
        front.advance(source, time_ms.min(received_ms), received_ms);
        if before_ms != front.newest_ms {
            self.settle();
        }
        match self.of(class) {
            Some(watermark) if lateness_ms.is_some() && time_ms > watermark + LAG_MS + FAR_MS => Arrival::Ahead,
            Some(watermark) if lateness_ms.is_some_and(|lateness| time_ms < watermark - lateness) => Arrival::Late,
            Some(watermark) if time_ms < watermark => Arrival::Behind,
            Some(_) | None => Arrival::InTime,
        }
    }

    /// The watermark of everything: what ends at or before it is final. Never falls; `None` before there is one.
    pub fn lowest_ms(&self) -> Option<i64> {
        self.lowest_ms
    }

    /// The watermark of one class; never falls.
    pub fn of(&self, class: SourceClass) -> Option<i64> {
        self.front_ms(class).map(|front| front - LAG_MS)
    }

    /// The newest stamp of a class that is believed.
    pub fn front_ms(&self, class: SourceClass) -> Option<i64> {
        self.fronts[class as usize].newest_ms
    }

    /// Whether a class holds nobody up: it never reported, or not for [`IDLE_MS`].
    pub fn is_idle(&self, class: SourceClass) -> bool {
        let Some(most_ms) = self.fronts.iter().filter_map(|f| f.newest_ms).max() else { return true };
        self.front_ms(class).is_none_or(|front| front < most_ms - IDLE_MS)
    }

    fn settle(&mut self) {
        let busy = SourceClass::ALL.into_iter().filter(|class| !self.is_idle(*class));
        let lowest_ms = busy.filter_map(|class| self.of(class)).min();
        self.lowest_ms = self.lowest_ms.max(lowest_ms);
    }
}

impl Front {
    fn advance(&mut self, source: u64, stamp_ms: i64, received_ms: i64) {
        // Both are times of this century, or i64::MAX / 2 where there is no receipt: no difference overflows.
        let is_vouched = received_ms.saturating_sub(stamp_ms) <= VOUCHED_MS;
        let is_jump = self.newest_ms.is_none_or(|newest| stamp_ms > newest.saturating_add(JUMP_MS));
        if is_vouched || !is_jump {
            self.newest_ms = self.newest_ms.max(Some(stamp_ms));
            self.run = Run::default();
            return;
        }
        self.run.add(source, stamp_ms);
        let wanted = match self.newest_ms {
            None => RUN_FIRST,
            Some(_) if self.run.is_several => RUN_SEVERAL,
            Some(_) => RUN_ONE,
        };
        if self.run.events >= wanted {
            self.newest_ms = Some(self.run.lowest_ms);
            self.run = Run::default();
        }
    }
}

impl Run {
    fn add(&mut self, source: u64, stamp_ms: i64) {
        if self.events == 0 {
            *self = Self { events: 1, source, is_several: false, lowest_ms: stamp_ms };
            return;
        }
        self.events += 1;
        self.is_several |= source != self.source;
        self.lowest_ms = self.lowest_ms.min(stamp_ms);
    }
}

#[cfg(test)]
mod tests;
