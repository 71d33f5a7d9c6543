//! History on disk: what was counted, kept as Parquet that anybody can read.
//!
//! Upstream: minutes that are closed, from [`crate::engine`]. Downstream: reports, and whatever reads Parquet.
//!
//! ```text
//! cells_1min/city=C/date=2026-11-21/hour=07/*.parquet   by segment, then minute; the newest 30 days
//! cells_5min/city=C/date=2026-11-21/*.parquet           by segment, then time; days that are over, two years
//! detectors, signals/city=C/date=…/hour=…/*.parquet     intervals of loops, cycles of phases; 30 days
//! quality/city=C/date=…/*.parquet                       what became of each class of events, minute by minute
//! positions/city=C/date=…/hour=…/*.parquet              only when asked for: raw positions without trip ends
//! segments/city=C/segments.parquet                      what a segment is: id, name, class, length
//! manifest.json                                         which of these files count
//! ```
//!
//! `date` and `hour` are UTC, so that no day has 23 hours and no hour is there twice; the city's clock is a matter of who
//! reads. A row is the sum of a segment over a minute (or five), made once the minute can no longer change.
//!
//! # Why nothing is lost and nothing is twice
//!
//! The unit is the minute of a table. It is handed over when its class's watermark is 15 minutes past its end, and
//! nothing that comes later can change it ([`collect`]); so whoever writes it writes all of it, and the same events give
//! the same rows. The manifest says which minutes are there, and **a minute that is there is not written again**
//! ([`store`]). That makes writing idempotent, so it may be done any number of times; it is done at least once, since
//!
//! - the engine lets a minute go only after the manifest that lists it is on disk, and until then every checkpoint holds
//!   its rows;
//! - a crash leaves a checkpoint from before (its rows are written again and left out as known), or none (the spool is
//!   read again, and what is known is left out again).
//!
//! So a checkpoint need not say which files belong to it, and may be any age, of any program, or lost. Within the folder a
//! change is one step, the rename of a new manifest: files are written and synced before it, and removed after it; what a
//! manifest does not list is removed at the next start. At a graceful end what is closed is written, and what is open stays
//! in the checkpoint. The same rule makes a recording that is added twice change nothing; its price is that a second
//! source of the *same* minutes is not added to them but left out, counted and said.
//!
//! In reading order: [`table`] names tables and folders, [`frame`] holds rows, [`cells`] and [`segments`] the columns that
//! reports stand on, [`minutes`] and [`manifest`] say what is there, [`collect`] takes minutes from the engine, [`store`]
//! adds them, [`compact`] (by [`merge`], which reads [`ahead`]) makes few files of many, [`retain`] lets go of old ones, [`place`] and [`remote`]
//! put them into a bucket, [`recorder`] does all that live and [`status`] and [`metrics`] tell of it;
//! whether it is sound, [`backfill`] writes it for Prometheus, [`forget`] removes a vehicle.

pub(crate) mod ahead;
pub mod backfill;
pub mod cells;
pub mod check;
pub mod collect;
pub mod compact;
mod disk;
pub mod error;
pub mod forget;
pub mod frame;
pub mod manifest;
pub mod merge;
pub mod metrics;
pub mod minutes;
pub mod place;
pub mod recorder;
pub mod remote;
pub mod retain;
pub mod segments;
pub mod status;
pub mod store;
pub mod table;

#[cfg(test)]
mod tests;

pub use error::ArchiveError;
pub use store::Archive;
