//! Analytics held against independent answers.
//!
//! - [`oracle`]: the pane store and the metrics against polars group-bys and hand computation
//! - [`truth`]: the whole engine against the simulator's truth
#![allow(clippy::unwrap_used, reason = "these are tests: they fail loudly")]

mod oracle;
mod threads;
mod truth;
