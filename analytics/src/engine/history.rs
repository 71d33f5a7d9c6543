//! What the engine hands over to history as it goes, and at the end of a recording.
//!
//! Upstream: [`super::Engine`]. Downstream: [`crate::archive::collect`]. Nothing here changes a figure.

use ingest::batch::Positions;

use super::{Engine, EngineConfig, segment_of_loop};
use crate::archive::collect::{Collector, Fix, What, closed_before};
use crate::archive::table::HOUR_MS;
use crate::detector::{Reading, Taken};
use crate::fate::SourceClass;
use crate::signal::CYCLES_KEPT_LIVE;
use crate::watermark::Arrival;

/// Cycles that are remembered of each phase: of a recording that goes to history all, since its minutes close at the end.
pub(super) fn cycles_kept(config: &EngineConfig) -> usize {
    if config.lateness_ms.is_none() && config.collect.is_some() { usize::MAX } else { CYCLES_KEPT_LIVE }
}

impl Engine {
    /// What waits for history, where it is collected.
    pub fn collector(&self) -> Option<&Collector> {
        self.collector.as_ref()
    }

    /// The same, to let go of what is on disk.
    pub fn collector_mut(&mut self) -> Option<&mut Collector> {
        self.collector.as_mut()
    }

    /// Closes every minute: a recording is over. `drain` takes what is ready, some hours at a time.
    ///
    /// # Errors
    /// Those of `drain`.
    pub fn close_all<E>(&mut self, mut drain: impl FnMut(&mut Collector) -> Result<(), E>) -> Result<(), E> {
        let Some(mut collector) = self.collector.take() else { return Ok(()) };
        self.signals.finish();
        collector.close_loops(i64::MAX);
        collector.close_signals(i64::MAX, &self.signals);
        drain(&mut collector)?;
        let learnt = self.study.as_ref().map(|study| study.learnt().free_flow.mps());
        let (mut at_ms, end_ms) = self.store.span_ms().unwrap_or_default();
        while at_ms < end_ms {
            at_ms = (at_ms.div_euclid(HOUR_MS) + 1) * HOUR_MS;
            collector.close_cells(at_ms.min(end_ms), &mut self.store, &self.network, learnt);
            drain(&mut collector)?;
        }
        collector.close_cells(i64::MAX, &mut self.store, &self.network, learnt);
        drain(&mut collector)?;
        self.collector = Some(collector);
        Ok(())
    }

    /// Closes what loops and signals have said, as far as their own watermarks have come.
    pub(super) fn close_roadside(&mut self) {
        let Some(collector) = self.collector.as_mut().filter(|_| self.config.lateness_ms.is_some()) else { return };
        if let Some(before_ms) = closed_before(self.watermarks.of(SourceClass::Detector)) {
            collector.close_loops(before_ms);
        }
        if let Some(before_ms) = closed_before(self.watermarks.of(SourceClass::Signal)) {
            collector.close_signals(before_ms, &self.signals);
        }
    }

    pub(super) fn note(&mut self, class: SourceClass, time_ms: i64, arrival: Arrival) {
        let Some(collector) = &mut self.collector else { return };
        let what = match arrival {
            Arrival::Late if class == SourceClass::Position => What::Late,
            Arrival::InTime | Arrival::Behind | Arrival::Late => What::Taken,
            Arrival::Ahead => What::Quarantined,
        };
        collector.note(class, time_ms, what, self.watermarks.of(class));
    }

    pub(super) fn collect_position(&mut self, rows: &Positions, row: usize) {
        let Some(collector) = &mut self.collector else { return };
        let fix = Fix {
            time_ms: rows.time_ms[row],
            lon_deg: rows.lon_deg[row],
            lat_deg: rows.lat_deg[row],
            speed_mps: rows.speed_mps[row],
            heading_deg: rows.heading_deg[row],
        };
        collector.position(rows.vehicle[row], fix);
    }

    pub(super) fn collect_interval(&mut self, name: &str, reading: &Reading, taken: Taken) {
        let Some(collector) = &mut self.collector else { return };
        let watermark_ms = self.watermarks.of(SourceClass::Detector);
        let what = match taken {
            Taken::Counted => What::Taken,
            Taken::Passage | Taken::LeftOut => What::Unmatched,
        };
        collector.note(SourceClass::Detector, reading.end_ms, what, watermark_ms);
        if taken == Taken::Counted {
            let segment = segment_of_loop(&self.network, name).map(|at| self.network.segment(at).id.0);
            collector.interval(name, reading, segment);
        }
    }
}
