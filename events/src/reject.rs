//! Why something was not accepted: a closed list, so that counters and dead letters agree.
//!
//! Upstream: the codecs and the gate in `ingest`. Downstream: dead letters, metrics, error messages.

use std::borrow::Cow;
use std::fmt;

/// The closed list of reasons. The name is the label in metrics and in dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The topic is none that we read.
    UnknownTopic,
    /// The payload is not text in UTF-8.
    NotUtf8,
    /// The payload is not in the format of its topic.
    Malformed,
    /// A field that must be there is absent or null.
    MissingField,
    /// A field is there but cannot be read as what it should be.
    UnreadableField,
    /// A value outside its physical range.
    OutOfRange,
    /// The message is sound but says no position.
    NoPosition,
    /// The position is exactly 0, 0.
    NullIsland,
    /// The payload names another source than the topic allows.
    WrongSource,
    /// The event is stamped more than the allowed skew after its receipt.
    FromTheFuture,
    /// The message, or the batch in it, is larger than the contract allows, or the batch is empty.
    WrongSize,
    /// The source sent more than it may.
    RateLimited,
}

impl Reason {
    /// All reasons, in order.
    pub const ALL: [Self; 12] = [
        Self::UnknownTopic,
        Self::NotUtf8,
        Self::Malformed,
        Self::MissingField,
        Self::UnreadableField,
        Self::OutOfRange,
        Self::NoPosition,
        Self::NullIsland,
        Self::WrongSource,
        Self::FromTheFuture,
        Self::WrongSize,
        Self::RateLimited,
    ];

    /// The name used in metrics and dead letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownTopic => "unknown_topic",
            Self::NotUtf8 => "not_utf8",
            Self::Malformed => "malformed",
            Self::MissingField => "missing_field",
            Self::UnreadableField => "unreadable_field",
            Self::OutOfRange => "out_of_range",
            Self::NoPosition => "no_position",
            Self::NullIsland => "null_island",
            Self::WrongSource => "wrong_source",
            Self::FromTheFuture => "from_the_future",
            Self::WrongSize => "wrong_size",
            Self::RateLimited => "rate_limited",
        }
    }
}

/// One refusal: the reason, the field it is about, and a sentence with the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub reason: Reason,
    /// The field as the format names it; `None` when it is about the whole message.
    pub field: Option<Cow<'static, str>>,
    pub detail: String,
}

impl Reject {
    /// A refusal of the whole message.
    pub fn whole(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, field: None, detail: detail.into() }
    }

    /// A refusal because of one field.
    pub fn field(reason: Reason, field: impl Into<Cow<'static, str>>, detail: String) -> Self {
        Self { reason, field: Some(field.into()), detail }
    }

    /// The same refusal under the field name of a foreign format.
    #[must_use]
    pub fn named(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}: field `{field}`: {}", self.reason.name(), self.detail),
            None => write!(f, "{}: {}", self.reason.name(), self.detail),
        }
    }
}

impl std::error::Error for Reject {}
