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
//! - [`signal`]: controllers' changes and actuations → cycles, arrivals on green, split failures
//! - [`bus`]: buses on lines → headways, bunching, gaps, waits
//! - [`watermark`]: how far event time has come, and what is late
//! - [`fate`]: what becomes of an event, one fate each
//! - [`revision`]: which panes are final, and how often they were corrected
//! - [`engine`]: batches in, panes up to date, what was late or lost on the way
//! - [`checkpoint`]: all of it in a file, for a restart
//! - [`metric`]: a window of panes → metrics, by polars
//! - [`fusion`]: probes and loops on one segment → one speed, inputs kept apart
//! - [`findings`]: one tick's corridors, zones, bottlenecks, incidents
//! - [`snapshot`]: one tick's figures, encoded once for every reader
//! - [`roadside`]: the same for signals, buses and detectors
//! - [`follow`]: the thread that tails the spool and ticks
//! - [`explain`]: a published figure with its numbers filled in
//! - [`export`]: the page that Prometheus scrapes
//! - [`http`]: API, live frames, dashboard
//! - [`archive`]: closed minutes as Parquet, for years
//! - [`calendar`]: the city's clock, holidays, events
//! - [`report`]: history as answers: typical days, comparisons, rankings, reliability
//! - [`output`]: cells as CSV and Parquet
//! - [`verify`]: the cells against the simulator's truth

pub mod archive;
pub mod area;
pub mod bottleneck;
pub mod bus;
pub mod calendar;
pub mod cell;
pub mod checkpoint;
pub mod detector;
pub mod engine;
pub mod explain;
pub mod export;
pub mod fate;
pub mod findings;
pub mod follow;
pub mod free_flow;
pub mod fusion;
pub mod http;
pub mod incident;
pub mod matching;
pub mod metric;
pub mod output;
pub mod pane;
pub mod reliability;
pub mod report;
pub mod revision;
pub mod roadside;
pub mod signal;
pub mod snapshot;
pub mod study;
pub mod upstream;
pub mod verify;
pub mod watermark;

pub use engine::{Engine, EngineConfig};
