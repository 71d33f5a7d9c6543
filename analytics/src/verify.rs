//! The pipeline's cells held against the simulator's truth: how wrong every metric is, by share of probes.
//!
//! Upstream: `arterial verify`, which simulates, publishes, takes in and matches; this folder only compares sums.
//! Downstream: a person who asks how many probe vehicles a map needs before it can be trusted; `docs/accuracy.md`.
//!
//! Both sides are cells (segment × 10 s), so every metric is computed from both by the same formula and the
//! difference is that of the sums. What probes cannot know, the number of vehicles, is scaled up by the share of
//! probes, which the loops tell ([`compare::probe_share`]).
//!
//! In reading order:
//! - [`compare`]: two lists of cells → errors
//! - `corridor`: fixed routes along main roads, and travel times on them
//! - [`report`]: the errors as a table, as JSON, and in one sentence
//! - [`plot`]: the curve by probe share as SVG

pub mod compare;
mod corridor;
pub mod plot;
pub mod report;

pub use compare::{Cell, Comparison, Errors, LoopCount, probe_share};
pub use report::{Row, verdict};
