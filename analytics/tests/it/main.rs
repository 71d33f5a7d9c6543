//! Analytics held against independent answers.
//!
//! - [`fusion`]: probes and loops together against the truth of the simulator
//! - [`areas`]: corridors, zones and the city against their definitions
//! - [`study`]: closures found, free flow learnt on simulated traffic
//! - [`oracle`]: the pane store and the metrics against polars group-bys and hand computation
//! - [`event_time`]: order, batches, repeats and the date do not matter; every event has one fate
//! - [`restart`]: broken off anywhere and taken up again, the same engine to the byte
//! - [`roadside`]: what a tick publishes of signals, buses and loops
//! - [`saved`]: the state of signals, buses and loops through bytes
//! - [`threads`]: the same cells on any number of threads
//! - [`traffic`]: what the tests count
//! - [`truth`]: the whole engine against the simulator's truth
#![allow(clippy::unwrap_used, reason = "these are tests: they fail loudly")]

mod areas;
mod event_time;
mod fusion;
mod oracle;
mod restart;
mod roadside;
mod saved;
mod study;
mod threads;
mod traffic;
mod truth;
