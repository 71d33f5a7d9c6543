//! Windows of cells → metrics.
//!
//! Upstream: [`crate::pane`]. Downstream: [`crate::snapshot`].
//!
//! - [`window`]: which panes a window is made of, at this moment of event time
//! - [`probe_share`]: what flow and density are divided by
//! - [`traffic`]: segments and the city, by one polars query a tick
//! - [`area`]: corridors, zones and the city, by another
//! - [`corridor_time`]: travel times of corridors from few vehicles
//! - [`queue`]: queues and spillback

pub mod area;
pub mod corridor_time;
pub mod probe_share;
pub mod queue;
pub mod traffic;
pub mod window;
