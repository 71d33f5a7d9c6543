//! What became of the events stamped in each minute, by class, until the minute closes.
//!
//! Upstream: [`super::Collector`]. Downstream: the tables of quality. Counted per event here and added up by who reads;
//! in the engine's own fates ([`crate::fate`]) the same events are counted since the start.

use std::collections::BTreeMap;

use roads::Network;
use serde::{Deserialize, Serialize};

use super::rows::{OfMinute, QualityRow, length_mm, quality};
use crate::archive::frame::Frame;
use crate::fate::SourceClass;
use crate::metric::window::minute_start;

/// What the engine said of an event when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It counts, unless the matcher finds no street for it.
    Taken,
    Late,
    Quarantined,
    Unmatched,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Tally {
    received: i64,
    late: i64,
    quarantined: i64,
    unmatched: i64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.late += other.late;
        self.quarantined += other.quarantined;
        self.unmatched += other.unmatched;
    }
}

/// Bounded by the minutes between a closed one and the newest event.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tallies {
    open: [BTreeMap<i64, Tally>; SourceClass::ALL.len()],
    /// The minute that was counted last, apart, so that a run of events costs one search.
    last: [Option<(i64, Tally)>; SourceClass::ALL.len()],
}

impl Tallies {
    pub(super) fn note(&mut self, class: SourceClass, time_ms: i64, what: What, watermark_ms: Option<i64>) {
        let at_ms = match what {
            What::Taken | What::Unmatched => time_ms,
            // Its own minute may be closed, or never come.
            What::Late | What::Quarantined => watermark_ms.unwrap_or(time_ms),
        };
        let (minute_ms, at) = (minute_start(at_ms), class as usize);
        if self.last[at].is_none_or(|last| last.0 != minute_ms) {
            self.settle(at);
            self.last[at] = Some((minute_ms, Tally::default()));
        }
        let Some((_, tally)) = &mut self.last[at] else { return };
        tally.received += 1;
        match what {
            What::Taken => {}
            What::Late => tally.late += 1,
            What::Quarantined => tally.quarantined += 1,
            What::Unmatched => tally.unmatched += 1,
        }
    }

    /// Rows of the minutes of detectors or signals before a moment.
    pub(super) fn others(&mut self, class: SourceClass, before_ms: i64) -> BTreeMap<i64, Frame> {
        let rows = self.take(class, before_ms).into_iter().map(|(minute_ms, tally)| {
            let row = QualityRow {
                class: class.name(),
                minute_ms,
                received: tally.received,
                counted: tally.received - tally.late - tally.quarantined - tally.unmatched,
                late: tally.late,
                quarantined: tally.quarantined,
                unmatched: tally.unmatched,
                segments: 0,
                observed_mm: 0,
                network_mm: 0,
            };
            (minute_ms, quality(&row))
        });
        rows.collect()
    }

    /// Rows of the minutes of positions before a moment; what counted is what stands in the cells.
    pub(super) fn positions(
        &mut self,
        before_ms: i64,
        cells: &BTreeMap<i64, OfMinute>,
        network: &Network,
    ) -> BTreeMap<i64, Frame> {
        let mut tallies = self.take(SourceClass::Position, before_ms);
        for minute_ms in cells.keys() {
            tallies.entry(*minute_ms).or_default();
        }
        if tallies.is_empty() {
            return BTreeMap::new();
        }
        let network_mm = network.segments().iter().map(|segment| length_mm(segment.length_m)).sum();
        let rows = tallies.into_iter().map(|(minute_ms, tally)| {
            let of = cells.get(&minute_ms);
            let counted = of.map_or(0, |of| of.reports);
            let row = QualityRow {
                class: SourceClass::Position.name(),
                minute_ms,
                received: tally.received,
                counted,
                late: tally.late,
                quarantined: tally.quarantined,
                unmatched: tally.received - tally.late - tally.quarantined - counted,
                segments: of.map_or(0, |of| of.rows.len() as i32),
                observed_mm: of.map_or(0, |of| of.observed_mm),
                network_mm,
            };
            (minute_ms, quality(&row))
        });
        rows.collect()
    }

    fn take(&mut self, class: SourceClass, before_ms: i64) -> BTreeMap<i64, Tally> {
        let at = class as usize;
        self.settle(at);
        let open = self.open[at].split_off(&before_ms);
        std::mem::replace(&mut self.open[at], open)
    }

    fn settle(&mut self, at: usize) {
        if let Some((minute_ms, tally)) = self.last[at].take() {
            self.open[at].entry(minute_ms).or_default().add(&tally);
        }
    }
}
