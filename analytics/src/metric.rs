//! Windows of cells → metrics.
//!
//! Upstream: [`crate::pane`]. Downstream: [`crate::snapshot`].
//!
//! - [`window`]: which panes a window is made of, at this moment of event time
//! - [`traffic`]: segments and the city, by one polars query a tick

pub mod traffic;
pub mod window;
