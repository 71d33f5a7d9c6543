//! Where on MQTT each kind of event is said: `arterial/v1/{city}/{kind}/{source}`.
//!
//! Upstream: ingest's subscription. Downstream: the codecs, which take the source from here.

use std::fmt;

use crate::reject::{Reason, Reject};

/// What a message on a topic says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Position,
    Detector,
    Signal,
}

impl Kind {
    /// The word in the topic.
    pub fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Detector => "detector",
            Self::Signal => "signal",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "position" => Some(Self::Position),
            "detector" => Some(Self::Detector),
            "signal" => Some(Self::Signal),
            _ => None,
        }
    }
}

/// Longest city or source name, bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// A native topic, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    pub city: &'a str,
    pub kind: Kind,
    /// The device, or a gateway that speaks for sources named `{source}.{…}`.
    pub source: &'a str,
}

impl<'a> Topic<'a> {
    /// The filter of everything native.
    pub const FILTER: &'static str = "arterial/v1/+/+/+";

    /// The filter of everything native in protobuf.
    pub const PROTOBUF_FILTER: &'static str = "arterial/v1/+/+/+/pb";

    /// Takes a topic apart.
    ///
    /// # Errors
    /// [`Reason::UnknownTopic`] with what was expected.
    pub fn parse(topic: &'a str) -> Result<Self, Reject> {
        let unknown = |what: &str| Reject::whole(Reason::UnknownTopic, format!("`{topic}` {what}"));
        let rest =
            topic.strip_prefix("arterial/v1/").ok_or_else(|| unknown("is not arterial/v1/{city}/{kind}/{source}"))?;
        let mut parts = rest.split('/');
        let (Some(city), Some(kind), Some(source), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unknown("is not arterial/v1/{city}/{kind}/{source}"));
        };
        let kind =
            Kind::parse(kind).ok_or_else(|| unknown("is of no kind that we read: position, detector, signal"))?;
        if !is_name(city) || !is_name(source) {
            return Err(unknown("has an empty or overlong city or source"));
        }
        Ok(Self { city, kind, source })
    }
}

impl Topic<'_> {
    /// Whether who publishes here may name this source: itself, or, as a gateway, `{itself}.{anything}`.
    pub fn speaks_for(&self, name: &str) -> bool {
        let spoken_for = || name.strip_prefix(self.source).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'));
        name == self.source || (spoken_for() && is_name(name))
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arterial/v1/{}/{}/{}", self.city, self.kind.name(), self.source)
    }
}

/// Whether a text can be a city or a source: 1 to [`NAME_BYTES_MAX`] bytes, no `/`, `+`, `#`, no control character.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !text.chars().any(|c| c.is_control() || matches!(c, '/' | '+' | '#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_round_trip_and_strangers_are_named() {
        let topic = Topic::parse("arterial/v1/demo/position/bus-1").unwrap();
        assert_eq!(topic, Topic { city: "demo", kind: Kind::Position, source: "bus-1" });
        assert_eq!(topic.to_string(), "arterial/v1/demo/position/bus-1");
        for bad in [
            "",
            "arterial/v1/demo/position",
            "arterial/v1//position/a",
            "arterial/v1/demo/heat/a",
            "x/y",
            "arterial/v1/demo/position/a/b",
            "arterial/v2/demo/position/a",
        ] {
            let reject = Topic::parse(bad).unwrap_err();
            assert_eq!(reject.reason, Reason::UnknownTopic);
            assert!(reject.detail.contains(bad));
        }
    }
}
