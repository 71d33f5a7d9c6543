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
//! - [`area`]: corridors, zones and the city: named sets of segments
//! - [`upstream`]: the network against the driving direction
//! - [`free_flow`], [`reliability`], [`bottleneck`], [`incident`]: what is learnt and judged of final panes
//! - [`study`]: all of these together, as event time goes on
//! - [`engine`]: batches in, panes up to date, what was late or lost on the way
//! - [`metric`]: a window of panes → metrics, by polars
//! - [`findings`]: one tick's corridors, zones, bottlenecks, incidents
//! - [`snapshot`]: one tick's figures, encoded once for every reader
//! - [`follow`]: the thread that tails the spool and ticks
//! - [`export`]: the page that Prometheus scrapes
//! - [`http`]: API, live frames, dashboard
//! - [`output`]: cells as CSV and Parquet

pub mod area;
pub mod bottleneck;
pub mod cell;
pub mod detector;
pub mod engine;
pub mod export;
pub mod findings;
pub mod follow;
pub mod free_flow;
pub mod http;
pub mod incident;
pub mod matching;
pub mod metric;
pub mod output;
pub mod pane;
pub mod reliability;
pub mod snapshot;
pub mod study;
pub mod upstream;

pub use engine::{Engine, EngineConfig};
