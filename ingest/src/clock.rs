//! The one place of ingest that reads the wall clock: the moment of receipt.
//!
//! Upstream: the operating system. Downstream: [`crate::server`] and [`crate::subscribe`], which stamp messages,
//! and the writer, which closes old files.

use std::time::{SystemTime, UNIX_EPOCH};

use events::TimeMs;

/// Now, UTC milliseconds; 0 if the machine believes to be before 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "receipt is an edge: the receive time of a live message is the wall clock"
)]
pub fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
