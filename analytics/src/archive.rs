//! History on disk: what was counted, kept as Parquet that anybody can read.
//!
//! Upstream: panes that are closed, from [`crate::engine`]. Downstream: reports, and whatever reads Parquet.
//!
//! ```text
//! cells_1min/city=C/date=2026-11-21/hour=07/*.parquet   by segment, then minute; the newest 30 days
//! cells_5min/city=C/date=2026-11-21/*.parquet           by segment, then time; days that are over, two years
//! segments/city=C/segments.parquet                      what a segment is: id, name, class, length
//! ```
//!
//! `date` and `hour` are UTC, so that no day has 23 hours and no hour is there twice; the city's clock is a matter of who
//! reads. A row is the sum of a segment over a minute (or five), made once the minute can no longer change.

pub mod cells;
