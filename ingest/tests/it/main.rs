//! Ingest from outside: through its handles, its endpoint, a real broker, and a real crash.

#![expect(clippy::unwrap_used, reason = "helpers of tests, too, fail by panicking")]

mod access;
mod acl;
mod broker;
mod crash;
mod endpoint;
mod fake_broker;
mod hostile;
mod kill;
mod model;
mod oracle;
mod recordings;
mod restart;
mod scripted;
mod strain;
mod support;
mod victim;
mod wire;
