//! Analytics held against independent answers.
//!
//! - [`fusion`]: probes and loops together against the truth of the simulator
//! - [`oracle`]: the pane store and the metrics against polars group-bys and hand computation
//! - [`roadside`]: what a tick publishes of signals, buses and loops
//! - [`saved`]: the state of signals, buses and loops through bytes
//! - [`truth`]: the whole engine against the simulator's truth
#![allow(clippy::unwrap_used, reason = "these are tests: they fail loudly")]

mod fusion;
mod oracle;
mod roadside;
mod saved;
mod truth;
