//! The whole, from outside: the real binary, real brokers, real Prometheus, real recordings.
//!
//! - [`recordings`]: `arterial analyze` against what the recordings themselves say
//! - [`matched`]: `arterial match` on real and on broken rows
//! - [`pipeline`]: one recording three ways, byte for byte; every broken line with its fate
//! - [`city`]: the default command becomes a live city
//! - [`processes`]: four processes and Prometheus
//! - [`roadside`]: signals and loops of real recordings against others' figures and labels
//! - [`simulate`]: `arterial sim` into files and over several connections
//! - [`formats`]: every count in `docs/formats.md`
//! - [`explain`]: a metric explained from a recording
//! - [`loops`]: SUMO's loops: flows as they are, harmonic mean speeds from positions
//! - [`kept`]: `arterial spool` and `arterial dead-letters` on what a real ingest stored
//! - [`hexagons`]: the same sums without a road network
//! - [`restart`]: analytics killed during a replay leaves the cells of a run without
//! - [`verify`]: the whole pipeline against the simulator's truth
//! - [`bad_input`]: one clear sentence for everything that goes wrong

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these are tests: they fail loudly and wait with deadlines"
)]

mod bad_input;
mod city;
mod explain;
mod formats;
mod hexagons;
mod kept;
mod loops;
mod matched;
mod pipeline;
mod processes;
mod recordings;
mod restart;
mod roadside;
mod simulate;
mod support;
mod verify;
