//! What is counted in front of the pages. Names and help stand in [`events::metrics`].
//!
//! Upstream: [`crate::serve`] and `guard`. Downstream: `/metrics`.

use events::metrics::metric;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Why somebody was not served: the closed list, as the label in metrics and the code in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token, where one is needed.
    NoToken,
    /// A token that nobody has.
    WrongToken,
    /// A token that may only read.
    NotAllowed,
    /// Wrong tokens came too often from there.
    TooManyAttempts,
    /// The request names another machine.
    ForeignHost,
    /// A page of another origin asks in the name of its reader.
    ForeignOrigin,
    /// A body longer than the limit.
    BodyTooLarge,
    /// A body that did not come to its end in time.
    BodyTooSlow,
    /// Too many connections.
    Busy,
    /// TLS was not agreed upon: no TLS, another authority, no client certificate; or not in time.
    Tls,
    /// The head of a request did not come in time, or none for too long.
    SlowHead,
    /// An answer that was not taken in time.
    SlowReader,
    /// Something that is not HTTP.
    Malformed,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NoToken,
        Self::WrongToken,
        Self::NotAllowed,
        Self::TooManyAttempts,
        Self::ForeignHost,
        Self::ForeignOrigin,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
        Self::Busy,
        Self::Tls,
        Self::SlowHead,
        Self::SlowReader,
        Self::Malformed,
    ];

    /// The label.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
            Self::NotAllowed => "not_allowed",
            Self::TooManyAttempts => "too_many_attempts",
            Self::ForeignHost => "foreign_host",
            Self::ForeignOrigin => "foreign_origin",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::Busy => "busy",
            Self::Tls => "tls",
            Self::SlowHead => "slow_head",
            Self::SlowReader => "slow_reader",
            Self::Malformed => "malformed",
        }
    }
}

/// The metrics of one server; clones are the same ones.
#[derive(Clone)]
pub struct Metrics {
    /// Open connections, those of live clients among them.
    pub connections: IntGauge,
    refused: IntCounterVec,
}

impl Metrics {
    /// Declares all metrics in `registry`.
    ///
    /// # Errors
    /// If one of the names is taken: one registry serves one server.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = |name| Opts::new(metric(name).name, metric(name).help);
        let connections = IntGauge::with_opts(opts("arterial_http_connections"))?;
        registry.register(Box::new(connections.clone()))?;
        let refused = IntCounterVec::new(opts("arterial_http_refused_total"), &["reason"])?;
        registry.register(Box::new(refused.clone()))?;
        for refusal in Refusal::ALL {
            refused.with_label_values(&[refusal.name()]);
        }
        Ok(Self { connections, refused })
    }

    /// The counter of one reason.
    pub fn refused(&self, refusal: Refusal) -> IntCounter {
        self.refused.with_label_values(&[refusal.name()])
    }
}
