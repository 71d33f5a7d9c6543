//! Durable batches → matched contributions → cells → congestion metrics, served and exported.
//!
//! Upstream: the spool of `ingest`, or a recording through the same gate. Downstream: Prometheus, the HTTP
//! API, the dashboard, files. The wall clock decides no metric: only [`follow`] reads it, to say how old a
//! figure is and to stop publishing when nothing arrives any more.
//!
//! In reading order, the way of the data:
//! - [`matching`]: positions → drives over segments
//! - [`cell`]: a drive → contributions to cells (segment × 10 s)
//! - [`pane`]: the cells that can still change
//! - [`detector`]: loops: flow, occupancy, speed, density, and whether they can be believed
//! - [`engine`]: batches in, panes up to date, what was late or lost on the way
//! - [`metric`]: a window of panes → metrics, by polars
//! - [`snapshot`]: one tick's figures, encoded once for every reader
//! - [`follow`]: the thread that tails the spool and ticks
//! - [`explain`]: a published figure with its numbers filled in
//! - [`export`]: the page that Prometheus scrapes
//! - [`http`]: API, live frames, dashboard
//! - [`output`]: cells as CSV and Parquet
//! - [`verify`]: the cells against the simulator's truth

pub mod cell;
pub mod detector;
pub mod engine;
pub mod explain;
pub mod export;
pub mod follow;
pub mod http;
pub mod matching;
pub mod metric;
pub mod output;
pub mod pane;
pub mod snapshot;
pub mod verify;

pub use engine::{Engine, EngineConfig};
