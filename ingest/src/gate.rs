//! The gate: the one place that decides what becomes of an event, live and in `arterial analyze` alike.
//!
//! Every event has exactly one fate: accepted, duplicate or rejected. Upstream: the writer with messages, or a
//! recording with events. Downstream: a [`Batch`] of what was accepted; dead letters of what was rejected.

mod seen;

use std::collections::BTreeMap;

use events::codec::{self, Refused};
use events::foreign::by_topic::Rules;
use events::{Event, Kind, Reason, Reject, TimeMs};

use crate::batch::Batch;
use crate::pseudonym::Pseudonyms;
use seen::{Key, Seen};

/// Limits of the gate.
#[derive(Clone, Copy, Debug)]
pub struct GateConfig {
    /// How far an event may be stamped after its receipt, milliseconds. Beyond it one wrong clock would push the
    /// watermark and make everybody else late.
    pub future_skew_ms: i64,
    /// Keys in one of the two generations of the duplicate memory, see `gate/seen.rs`.
    pub duplicates_max: usize,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self { future_skew_ms: 5_000, duplicates_max: 1_000_000 }
    }
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    /// The same kind, source and event time (and phase, of a signal) was accepted before: the first one wins.
    /// The sequence number does not decide, since a device that restarts counts from 0 again.
    Duplicate,
    Rejected(Reject),
}

/// How many events had which fate. `received` = `accepted` + `duplicate` + all of `rejected`; a message that
/// cannot be decoded at all counts as one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fates {
    pub received: u64,
    pub accepted: u64,
    pub duplicate: u64,
    /// Every reason is there, also with 0.
    pub rejected: BTreeMap<Reason, u64>,
}

impl Default for Fates {
    fn default() -> Self {
        let rejected = Reason::ALL.into_iter().map(|reason| (reason, 0)).collect();
        Self { received: 0, accepted: 0, duplicate: 0, rejected }
    }
}

impl Fates {
    /// Rejected events of all reasons.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }
}

/// Decides fates and counts them.
pub struct Gate {
    config: GateConfig,
    pseudonyms: Pseudonyms,
    formats: Rules,
    seen: Seen,
    fates: Fates,
    /// Kept for its memory.
    decoded: Vec<codec::Fate>,
}

impl Gate {
    /// A gate that has seen nothing yet.
    pub fn new(config: GateConfig, pseudonyms: Pseudonyms) -> Self {
        let seen = Seen::new(config.duplicates_max);
        Self { config, pseudonyms, formats: Rules::default(), seen, fates: Fates::default(), decoded: Vec::new() }
    }

    /// The same with foreign formats on some topics.
    #[must_use]
    pub fn with_formats(self, formats: Rules) -> Self {
        Self { formats, ..self }
    }

    /// Decodes a message and decides the fate of each event in it: accepted ones are pushed to `out`, rejected
    /// ones to `refused` with the payload that a dead letter keeps.
    pub fn message(
        &mut self,
        topic: &str,
        payload: &[u8],
        received: TimeMs,
        out: &mut Batch,
        refused: &mut Vec<Refused>,
    ) {
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        self.formats.decode(topic, payload, &mut decoded);
        let alone = decoded.len() == 1;
        for fate in decoded.drain(..) {
            match fate {
                Ok(event) => match self.in_time(&event, received) {
                    Ok(()) => {
                        self.push(event, received, out);
                    }
                    Err(reject) => {
                        self.count_reject(reject.reason);
                        // One event of a batch is kept as itself: the whole batch for each would multiply it.
                        let payload = if alone { payload.to_vec() } else { encoded(&event) };
                        refused.push(Refused { reject, payload });
                    }
                },
                Err(no) => {
                    self.count_reject(no.reject.reason);
                    refused.push(no);
                }
            }
        }
        self.decoded = decoded;
    }

    /// Decides the fate of one event; an accepted one is pushed to `out`.
    pub fn event(&mut self, event: Event, received: TimeMs, out: &mut Batch) -> Outcome {
        match self.in_time(&event, received) {
            Ok(()) if self.push(event, received, out) => Outcome::Accepted,
            Ok(()) => Outcome::Duplicate,
            Err(reject) => {
                self.count_reject(reject.reason);
                Outcome::Rejected(reject)
            }
        }
    }

    /// Counts something that was refused before it became a message: a line of a recording that cannot be read.
    pub fn refuse(&mut self, reject: &Reject) {
        self.count_reject(reject.reason);
    }

    /// The fates so far.
    pub fn fates(&self) -> Fates {
        self.fates.clone()
    }

    /// Notes stored rows as seen, without counting them: how the duplicate memory survives a restart.
    pub fn remember(&mut self, stored: &Batch) {
        let p = &stored.positions;
        for (vehicle, time_ms) in p.vehicle.iter().zip(&p.time_ms) {
            self.seen.insert((*vehicle, *time_ms));
        }
        let d = &stored.detectors;
        for (source, end_ms) in d.source.iter().zip(&d.end_ms) {
            self.seen.insert((self.detector(source), *end_ms));
        }
        let s = &stored.signals;
        for ((source, phase), time_ms) in s.source.iter().zip(&s.phase).zip(&s.time_ms) {
            self.seen.insert((self.signal(source, *phase), *time_ms));
        }
    }

    fn in_time(&self, event: &Event, received: TimeMs) -> Result<(), Reject> {
        let ahead_ms = event.time().0.saturating_sub(received.0);
        if ahead_ms <= self.config.future_skew_ms {
            return Ok(());
        }
        let field = match event {
            Event::Position(_) | Event::Signal(_) => "ts_ms",
            Event::Detector(_) => "end_ms",
        };
        let detail = format!(
            "stamped {ahead_ms} ms after its receipt at {}, allowed are {}",
            received.rfc3339(),
            self.config.future_skew_ms
        );
        Err(Reject::field(Reason::FromTheFuture, field, detail))
    }

    /// Whether the event was new.
    fn push(&mut self, event: Event, received: TimeMs, out: &mut Batch) -> bool {
        let key: Key = match &event {
            Event::Position(p) => (self.pseudonyms.of(&p.source, p.time), p.time.0),
            Event::Detector(d) => (self.detector(&d.source), d.end.0),
            Event::Signal(s) => (self.signal(&s.source, s.phase), s.time.0),
        };
        self.fates.received += 1;
        if !self.seen.insert(key) {
            self.fates.duplicate += 1;
            return false;
        }
        self.fates.accepted += 1;
        match event {
            Event::Position(position) => out.positions.push(key.0, position, received),
            Event::Detector(interval) => out.detectors.push(interval, received),
            Event::Signal(change) => out.signals.push(change, received),
        }
        true
    }

    fn count_reject(&mut self, reason: Reason) {
        self.fates.received += 1;
        *self.fates.rejected.entry(reason).or_insert(0) += 1;
    }

    fn detector(&self, source: &str) -> u64 {
        self.pseudonyms.fixed(Kind::Detector.name(), source, 0)
    }

    fn signal(&self, source: &str, phase: u16) -> u64 {
        self.pseudonyms.fixed(Kind::Signal.name(), source, phase)
    }
}

fn encoded(event: &Event) -> Vec<u8> {
    let mut json = Vec::new();
    codec::json::encode(event, &mut json);
    json
}

#[cfg(test)]
mod tests;
