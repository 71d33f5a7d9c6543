//! Analytics held against independent answers.
//!
//! - [`areas`]: corridors, zones and the city against their definitions
//! - [`study`]: closures found, free flow learnt on simulated traffic
//! - [`oracle`]: the pane store and the metrics against polars group-bys and hand computation
//! - [`truth`]: the whole engine against the simulator's truth
#![allow(clippy::unwrap_used, reason = "these are tests: they fail loudly")]

mod areas;
mod oracle;
mod study;
mod truth;
