//! MQTT in, durable blocks out: nothing is acknowledged that is not on disk.
//!
//! Upstream: devices, `arterial sim` and `arterial replay` over MQTT. Downstream: analytics, which reads the
//! spool. What a message becomes is decided in one place, the gate; everything before it only receives,
//! everything after it only stores.
//!
//! In reading order:
//! - [`clock`]: the one place that reads the wall clock
//! - [`server`]: the embedded MQTT endpoint (3.1.1 and 5): ingest is itself the server
//! - [`tls`], [`credentials`]: who is let in, and who we are
//! - [`subscribe`]: the other way in: a client of somebody's broker
//! - `decode`: from a message to columns, on the task that received it
//! - [`writer`]: the thread that turns messages into blocks, and blocks into acknowledgements
//! - [`rate_limit`]: how much one source may send
//! - [`gate`]: the fate of every event: accepted, duplicate or rejected
//! - [`pseudonym`]: vehicle ids replaced by a keyed hash that rotates daily
//! - [`batch`]: accepted events as columns, in memory and as Arrow
//! - [`spool`]: the append-only log of blocks, and its reader
//! - [`dead_letter`]: what was rejected, with its reason
//! - [`ready`]: whether ingest can do its work now, and if not, why
//! - [`metrics`]: everything that is counted here
//! - [`http`]: `/metrics`, `/live` and `/ready` for an ingest that runs alone
//! - [`faults`]: what tests do to the disk and leave out, to see that they notice
//! - [`start`]: all of it put together

pub mod batch;
pub mod clock;
pub mod credentials;
pub mod dead_letter;
pub(crate) mod decode;
pub mod faults;
pub mod gate;
pub mod http;
pub mod metrics;
pub mod pseudonym;
pub mod rate_limit;
pub mod ready;
pub mod server;
pub mod spool;
pub mod start;
pub mod subscribe;
pub mod tls;
pub mod writer;

pub use batch::{Batch, Detectors, Positions, Signals};
pub use faults::{Disk, Faults, Guard};
pub use gate::{Fates, Gate, GateConfig, Outcome};
pub use pseudonym::Pseudonyms;
pub use ready::Ready;
pub use spool::{BlockNumber, Reader, Spool, SpoolConfig, SpoolError};
pub use start::{Ingest, IngestConfig, IngestError};
pub use writer::{Ack, Incoming, WriterHandle};
