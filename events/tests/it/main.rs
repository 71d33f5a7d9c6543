//! Tests of the crate from outside, one binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod fuzz;
mod recordings;
