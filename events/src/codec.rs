//! From a message to what becomes of it: the adapter is chosen by topic, the limits are held here.
//!
//! Upstream: ingest's receive loop, `analyze`. Downstream: the gate (accepted, duplicate, late) and the
//! dead letters, which keep the bytes of what was refused.

use crate::event::Event;
use crate::foreign::hfp;
use crate::reject::{Reason, Reject};
use crate::topic::Topic;

pub mod json;
pub mod protobuf;
pub(crate) mod scan;

/// Most events in one message. A longer batch is refused as a whole.
pub const BATCH_EVENTS_MAX: usize = 1_000;

/// Largest payload that is read, bytes. A larger one is refused unread.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Something that was not accepted, with the bytes that said it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub reject: Reject,
    /// The whole payload, or of a batch the one element.
    pub payload: Vec<u8>,
}

/// What a message, or one element of a batch, turned out to be.
pub type Fate = Result<Event, Refused>;

/// Decodes one message and adds its fates to `out`: at least one, at most [`BATCH_EVENTS_MAX`].
///
/// `/hfp/v2/…` (with the slash in front) is HSL's format, `arterial/v1/…` ours: JSON, or protobuf where `/pb` ends the
/// topic. Anything else is [`Reason::UnknownTopic`], unless a rule names its format: see
/// [`crate::foreign::by_topic`].
pub fn decode(topic: &str, payload: &[u8], out: &mut Vec<Fate>) {
    if payload.len() > MESSAGE_BYTES_MAX {
        let detail = format!("{} bytes are more than {MESSAGE_BYTES_MAX}", payload.len());
        return out.push(refused(Reject::whole(Reason::WrongSize, detail), payload));
    }
    if topic.starts_with(hfp::TOPIC_PREFIX) {
        return out.push(hfp::decode(topic, payload).or_else(|reject| refused(reject, payload)));
    }
    match Topic::parse(topic) {
        Ok(topic) => json::decode(&topic, payload, out),
        Err(reject) => match topic.strip_suffix(protobuf::SUFFIX).and_then(|topic| Topic::parse(topic).ok()) {
            Some(topic) => protobuf::decode(&topic, payload, out),
            None => out.push(refused(reject, payload)),
        },
    }
}

/// Payload bytes as text.
pub(crate) fn utf8(payload: &[u8]) -> Result<&str, Reject> {
    std::str::from_utf8(payload)
        .map_err(|e| Reject::whole(Reason::NotUtf8, format!("byte {} is not UTF-8", e.valid_up_to())))
}

fn refused(reject: Reject, payload: &[u8]) -> Fate {
    Err(Refused { reject, payload: payload.to_vec() })
}

#[cfg(test)]
mod tests;
