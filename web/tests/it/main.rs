//! The front over real sockets: who is let in, who is refused and told why, who is too slow.

#![allow(clippy::unwrap_used, reason = "these are tests: they fail loudly")]

mod access;
mod limits;
mod support;
