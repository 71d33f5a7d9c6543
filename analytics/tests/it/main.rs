//! Analytics held against independent answers.
//!
//! - [`oracle`]: the pane store and the metrics against polars group-bys and hand computation
//! - [`event_time`]: order, batches, repeats and the date do not matter; every event has one fate
//! - [`restart`]: broken off anywhere and taken up again, the same engine to the byte
//! - [`traffic`]: what the tests count
//! - [`truth`]: the whole engine against the simulator's truth
#![allow(clippy::unwrap_used, reason = "these are tests: they fail loudly")]

mod event_time;
mod oracle;
mod restart;
mod traffic;
mod truth;
