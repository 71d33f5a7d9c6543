//! What stands in front of every page that we serve: TLS, tokens, limits, headers.
//!
//! A service brings its routes; who may ask for them, and how much of a nuisance he may make of himself, is decided
//! here, in one place for ingest, analytics and the demo. Nothing in here knows what the pages say.
//!
//! Upstream: browsers, Prometheus, scripts; the command line, with files of tokens and certificates. Downstream: the
//! router of the service.
//!
//! In reading order:
//! - [`serve`]: connections: how many, how slow, how they end
//! - [`front`]: what can be exchanged while it runs: certificates, tokens, who may read
//! - [`tokens`]: secrets that open pages, and what each may do
//! - `guard`: every request: let through, or refused with a sentence
//! - `attempts`: how often somebody may guess
//! - `login`: how a browser brings its token
//! - [`metrics`]: what is counted here

mod attempts;
pub mod front;
mod guard;
mod login;
pub mod metrics;
mod patient;
pub mod serve;
pub mod tokens;

pub use front::Front;
pub use metrics::{Metrics, Refusal};
pub use serve::{ServeConfig, serve};
pub use tokens::{Scope, TokenError, Tokens};
