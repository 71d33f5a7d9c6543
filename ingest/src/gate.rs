//! The gate: the one place that decides what becomes of an event, live and in `arterial analyze` alike.
//!
//! Every event has exactly one fate: accepted, duplicate or rejected. What an event says by itself, and whether it is
//! refused for that, [`crate::decode`] finds out wherever it was received; here it is counted, and held against what
//! was there before. Upstream: the writer with decoded events, or a recording. Downstream: a [`Batch`] of what was
//! accepted; dead letters of what was rejected.

mod seen;

use std::collections::BTreeMap;

use events::codec::Refused;
use events::foreign::by_topic::Rules;
use events::{Event, Reason, Reject, TimeMs};

use crate::batch::Batch;
use crate::decode::{Decoded, Decoder};
use crate::pseudonym::Pseudonyms;
use seen::Seen;

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

/// Events whose places in the duplicate memory are asked for together: as many misses as a core can have under way.
const EXPECTED: usize = 16;

/// Decides fates and counts them.
pub struct Gate {
    decoder: Decoder,
    seen: Seen,
    fates: Fates,
    /// Kept for its memory, empty between calls.
    decoded: Decoded,
    /// Likewise.
    repeats: Vec<usize>,
}

impl Gate {
    /// A gate that has seen nothing yet.
    pub fn new(config: GateConfig, pseudonyms: Pseudonyms) -> Self {
        let decoder = Decoder::new(config.future_skew_ms, pseudonyms);
        let (seen, fates) = (Seen::new(config.duplicates_max), Fates::default());
        Self { decoder, seen, fates, decoded: Decoded::default(), repeats: Vec::new() }
    }

    /// The same with foreign formats on some topics.
    #[must_use]
    pub fn with_formats(mut self, formats: Rules) -> Self {
        self.decoder = self.decoder.with_formats(formats);
        self
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
        self.decoder.message(topic, payload, received, &mut decoded, refused);
        self.admit(&mut decoded);
        out.append(&mut decoded.batch);
        self.decoded = decoded;
    }

    /// Decides the fate of one event; an accepted one is pushed to `out`.
    pub fn event(&mut self, event: Event, received: TimeMs, out: &mut Batch) -> Outcome {
        let mut decoded = std::mem::take(&mut self.decoded);
        let outcome = match self.decoder.event(event, received, &mut decoded) {
            Ok(()) => {
                self.admit(&mut decoded);
                if decoded.batch.is_empty() { Outcome::Duplicate } else { Outcome::Accepted }
            }
            Err(reject) => {
                self.count_reject(reject.reason);
                Outcome::Rejected(reject)
            }
        };
        out.append(&mut decoded.batch);
        self.decoded = decoded;
        outcome
    }

    /// Makes decoders for others, whose events come back through [`Gate::admit`].
    pub(crate) fn decoders(&self) -> impl Fn() -> Decoder + Send + Sync + use<> {
        let first = self.decoder.clone();
        move || first.clone()
    }

    /// Decides the fates of decoded events: duplicates are removed, all are counted. What is left in the batch is
    /// accepted.
    pub(crate) fn admit(&mut self, decoded: &mut Decoded) {
        self.fates.received += decoded.events() as u64;
        for (reason, count) in Reason::ALL.into_iter().zip(&mut decoded.refused) {
            if *count > 0 {
                *self.fates.rejected.entry(reason).or_insert(0) += std::mem::take(count);
            }
        }
        let Decoded { batch: Batch { positions, detectors, signals }, detector_keys, signal_keys, .. } = decoded;
        if self.repeated(&positions.vehicle, &positions.time_ms) {
            positions.remove(&self.repeats);
        }
        if self.repeated(detector_keys, &detectors.end_ms) {
            detectors.remove(&self.repeats);
        }
        if self.repeated(signal_keys, &signals.time_ms) {
            signals.remove(&self.repeats);
        }
        detector_keys.clear();
        signal_keys.clear();
        self.fates.accepted += decoded.batch.len() as u64;
    }

    /// Counts the duplicates among rows and leaves their places in `repeats`; whether there are any.
    fn repeated(&mut self, names: &[u64], times_ms: &[i64]) -> bool {
        self.repeats.clear();
        for (at, (names, times_ms)) in names.chunks(EXPECTED).zip(times_ms.chunks(EXPECTED)).enumerate() {
            let keys = names.iter().copied().zip(times_ms.iter().copied());
            self.seen.expect(keys.clone());
            for (row, key) in keys.enumerate() {
                if !self.seen.insert(key) {
                    self.repeats.push(at * EXPECTED + row);
                }
            }
        }
        self.fates.duplicate += self.repeats.len() as u64;
        !self.repeats.is_empty()
    }

    /// Counts something that was refused before it became a message: a line of a recording that cannot be read.
    pub fn refuse(&mut self, reject: &Reject) {
        self.count_reject(reject.reason);
    }

    /// Events received so far.
    pub fn received(&self) -> u64 {
        self.fates.received
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
            self.seen.insert((self.decoder.detector(source), *end_ms));
        }
        let s = &stored.signals;
        for ((source, phase), time_ms) in s.source.iter().zip(&s.phase).zip(&s.time_ms) {
            self.seen.insert((self.decoder.signal(source, *phase), *time_ms));
        }
    }

    fn count_reject(&mut self, reason: Reason) {
        self.fates.received += 1;
        *self.fates.rejected.entry(reason).or_insert(0) += 1;
    }
}

#[cfg(test)]
mod tests;
