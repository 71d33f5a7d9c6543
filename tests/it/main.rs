//! The whole, from outside: the real binary, real brokers, real Prometheus, real recordings.
//!
//! - [`recordings`]: `arterial analyze` against what the recordings themselves say
//! - [`matched`]: `arterial match` on real and on broken rows
//! - [`pipeline`]: one recording three ways, byte for byte; every broken line with its fate
//! - [`city`]: the default command becomes a live city
//! - [`processes`]: four processes and Prometheus
//! - [`operate`]: TLS, accounts and access lists, Prometheus with our rules, an incident that is told, Grafana's queries
//! - [`roadside`]: signals and loops of real recordings against others' figures and labels
//! - [`simulate`]: `arterial sim` into files and over several connections
//! - [`formats`]: every count in `docs/formats.md`
//! - [`history`]: `arterial report` and its API over an archive with a planted change
//! - [`explain`]: a metric explained from a recording
//! - [`loops`]: SUMO's loops: flows as they are, harmonic mean speeds from positions
//! - [`kept`]: `arterial spool` and `arterial dead-letters` on what a real ingest stored
//! - [`hexagons`]: the same sums without a road network
//! - [`restart`]: analytics killed during a replay leaves the cells of a run without
//! - [`archive`]: history killed while it is written, read by DuckDB and Prometheus, without a vehicle
//! - [`object_storage`]: history in a bucket, also while the storage is down
//! - [`verify`]: the whole pipeline against the simulator's truth
//! - [`stop`]: SIGTERM and SIGKILL under load, held against what the devices know
//! - [`secured`]: tokens, certificates, reload, and what is never logged
//! - [`bad_input`]: one clear sentence for everything that goes wrong

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these are tests: they fail loudly and wait with deadlines"
)]

mod archive;
mod bad_input;
mod city;
mod explain;
mod formats;
mod hexagons;
mod history;
mod kept;
mod loops;
mod matched;
mod object_storage;
mod operate;
mod pipeline;
mod processes;
mod publisher;
mod recordings;
mod restart;
mod roadside;
mod secured;
mod simulate;
mod stop;
mod support;
mod verify;
