//! From a message to columns, on the task that received it: everything about an event that needs no other event.
//!
//! Upstream: the endpoint's connections, broker mode, `arterial analyze`. Downstream: the gate, which alone knows what
//! was there before. Each connection has a decoder of its own, so that decoding uses every core and shares nothing.

use std::sync::Arc;

use events::codec::json::{PlainPosition, plain_positions};
use events::codec::{self, Refused};
use events::foreign::by_topic::Rules;
use events::{Event, Kind, Reason, Reject, TimeMs, Topic};

use crate::batch::Batch;
use crate::pseudonym::Pseudonyms;

/// Decoded events whose fates are not counted yet.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) batch: Batch,
    /// What tells each row of detectors from others, besides its time.
    pub(crate) detector_keys: Vec<u64>,
    /// The same for signals. Positions have their pseudonym.
    pub(crate) signal_keys: Vec<u64>,
    /// Refused events by reason, in the order of [`Reason::ALL`].
    pub(crate) refused: [u64; Reason::ALL.len()],
}

impl Decoded {
    /// Events of every kind.
    pub(crate) fn events(&self) -> usize {
        self.batch.len() + self.refused.iter().sum::<u64>() as usize
    }

    /// Takes everything out of `other`, which keeps its memory.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.batch.append(&mut other.batch);
        self.detector_keys.append(&mut other.detector_keys);
        self.signal_keys.append(&mut other.signal_keys);
        for (sum, count) in self.refused.iter_mut().zip(&mut other.refused) {
            *sum += std::mem::take(count);
        }
    }
}

/// Turns messages into columns.
#[derive(Clone)]
pub(crate) struct Decoder {
    future_skew_ms: i64,
    names: Names,
    formats: Arc<Rules>,
    /// The topic of the message before, since a device has one. Empty at first.
    topic: String,
    /// Where its source begins, if it is a native topic of positions.
    source_at: Option<usize>,
    /// Kept for its memory.
    fates: Vec<codec::Fate>,
}

/// Pseudonyms, and the one that was needed last.
#[derive(Clone)]
struct Names {
    pseudonyms: Pseudonyms,
    source: String,
    /// First moment and end of the UTC day for which `vehicle` is the pseudonym of `source`; empty at first.
    day: std::ops::Range<i64>,
    vehicle: u64,
}

impl Decoder {
    pub(crate) fn new(future_skew_ms: i64, pseudonyms: Pseudonyms) -> Self {
        let names = Names { pseudonyms, source: String::new(), day: 0..0, vehicle: 0 };
        let (formats, topic) = (Arc::default(), String::new());
        Self { future_skew_ms, names, formats, topic, source_at: None, fates: Vec::new() }
    }

    /// The same with foreign formats on some topics.
    pub(crate) fn with_formats(self, formats: Rules) -> Self {
        Self { formats: Arc::new(formats), ..self }
    }

    /// Whether the message before had this topic, which then needs no checking again.
    pub(crate) fn knows(&self, topic: &[u8]) -> bool {
        self.topic.as_bytes() == topic && !topic.is_empty()
    }

    /// Adds the events of a message to `out`; what is refused goes to `refused` with the payload that a dead letter
    /// keeps.
    pub(crate) fn message(
        &mut self,
        topic: &str,
        payload: &[u8],
        received: TimeMs,
        out: &mut Decoded,
        refused: &mut Vec<Refused>,
    ) {
        if topic != self.topic {
            topic.clone_into(&mut self.topic);
            let native = Topic::parse(topic).ok().filter(|native| native.kind == Kind::Position);
            // Where a rule or the topic itself names another format, the short way is not open.
            let json = native.filter(|native| topic.ends_with(native.source) && !self.formats.name(topic));
            self.source_at = json.map(|native| topic.len() - native.source.len());
        }
        if self.again(payload, received, out) {
            return;
        }
        let mut fates = std::mem::take(&mut self.fates);
        self.formats.decode(topic, payload, &mut fates);
        let alone = fates.len() == 1;
        for fate in fates.drain(..) {
            let no = match fate {
                Ok(event) => match self.in_time(&event, received) {
                    Ok(()) => {
                        self.push(event, received, out);
                        continue;
                    }
                    // One event of a batch is kept as itself: the whole batch for each would multiply it.
                    Err(reject) => Refused { reject, payload: if alone { payload.to_vec() } else { encoded(&event) } },
                },
                Err(no) => no,
            };
            out.refused[no.reject.reason as usize] += 1;
            refused.push(no);
        }
        self.fates = fates;
    }

    /// Adds the positions of a message on the topic of the one before, if the short way reads them and nothing is
    /// refused; whether it did. If not, nothing is added.
    pub(crate) fn again(&mut self, payload: &[u8], received: TimeMs, out: &mut Decoded) -> bool {
        let Some(at) = self.source_at else { return false };
        let positions = &mut out.batch.positions;
        let before = positions.len();
        let latest_ms = received.0.saturating_add(self.future_skew_ms);
        let (names, mut timely) = (&mut self.names, true);
        let plain = plain_positions(&self.topic[at..], payload, |position: PlainPosition<'_>| {
            timely &= position.time.0 <= latest_ms;
            positions.push(names.vehicle(position.source, position.time), position, None, received);
        });
        if !(plain && timely) {
            positions.truncate(before);
        }
        plain && timely
    }

    /// Adds one event, whoever read it.
    ///
    /// # Errors
    /// If it is from the future; it is not counted then.
    pub(crate) fn event(&mut self, event: Event, received: TimeMs, out: &mut Decoded) -> Result<(), Reject> {
        self.in_time(&event, received)?;
        self.push(event, received, out);
        Ok(())
    }

    /// What tells the events of a detector from others, besides their time.
    pub(crate) fn detector(&self, source: &str) -> u64 {
        self.names.pseudonyms.fixed(Kind::Detector.name(), source, 0)
    }

    /// The same for a signal group.
    pub(crate) fn signal(&self, source: &str, phase: u16) -> u64 {
        self.names.pseudonyms.fixed(Kind::Signal.name(), source, phase)
    }

    fn push(&mut self, event: Event, received: TimeMs, out: &mut Decoded) {
        match event {
            Event::Position(p) => {
                let vehicle = self.names.vehicle(&p.source, p.time);
                let edge = p.edge.as_ref().map(|fix| (fix.edge_id.as_str(), fix.pos_m));
                let (seq, time, at, speed, heading) = (p.seq, p.time, p.at, p.speed, p.heading);
                let position = PlainPosition { source: &p.source, seq, time, at, speed, heading, edge };
                out.batch.positions.push(vehicle, position, p.journey, received);
            }
            Event::Detector(interval) => {
                out.detector_keys.push(self.detector(&interval.source));
                out.batch.detectors.push(interval, received);
            }
            Event::Signal(change) => {
                out.signal_keys.push(self.signal(&change.source, change.phase));
                out.batch.signals.push(change, received);
            }
        }
    }

    fn in_time(&self, event: &Event, received: TimeMs) -> Result<(), Reject> {
        let ahead_ms = event.time().0.saturating_sub(received.0);
        if ahead_ms <= self.future_skew_ms {
            return Ok(());
        }
        let field = match event {
            Event::Position(_) | Event::Signal(_) => "ts_ms",
            Event::Detector(_) => "end_ms",
        };
        let detail = format!(
            "stamped {ahead_ms} ms after its receipt at {}, allowed are {}",
            received.rfc3339(),
            self.future_skew_ms
        );
        Err(Reject::field(Reason::FromTheFuture, field, detail))
    }
}

impl Names {
    fn vehicle(&mut self, source: &str, time: TimeMs) -> u64 {
        if !self.day.contains(&time.0) || self.source != source {
            self.vehicle = self.pseudonyms.of(source, time);
            self.day = Pseudonyms::day(time);
            source.clone_into(&mut self.source);
        }
        self.vehicle
    }
}

fn encoded(event: &Event) -> Vec<u8> {
    let mut json = Vec::new();
    codec::json::encode(event, &mut json);
    json
}
