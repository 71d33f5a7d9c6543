//! Ingest from outside: through its handles, its endpoint, a real broker, and a real crash.

#![expect(clippy::unwrap_used, reason = "helpers of tests, too, fail by panicking")]

mod broker;
mod crash;
mod endpoint;
mod fake_broker;
mod recordings;
mod restart;
mod support;
