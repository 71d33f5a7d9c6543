//! The contract: what vehicles and roadside sensors say, in which units, on which topics.
//!
//! Upstream: nothing. Downstream: everything. No IO, no clock, no task: readers take a `BufRead` that
//! somebody else opened, and every function gives the same answer for the same bytes.
//!
//! In reading order:
//! - [`units`]: quantities as types, with the ranges in which a value is believed
//! - [`time`]: event time, and how it is written in the formats that we read
//! - [`event`]: the three things that can be said: a position, a detector interval, a signal change
//! - [`topic`]: where on MQTT each is said
//! - [`reject`]: the closed list of reasons for which something is not accepted
//! - [`codec`]: our own encoding (JSON)
//! - [`foreign`]: the formats of others (HSL HFP, SUMO FCD, CSV with a column map)
//! - [`metrics`]: the name, type, unit and meaning of every metric that is exported

pub mod codec;
pub mod event;
pub mod foreign;
pub mod metrics;
pub mod reject;
pub mod time;
pub mod topic;
pub mod units;

pub use event::{DetectorInterval, EdgeFix, Event, Journey, Position, SignalChange, SignalState};
pub use reject::{Reason, Reject};
pub use time::TimeMs;
pub use topic::{Kind, Topic};
pub use units::{HeadingDeg, LonLat, MetresPerSecond};
