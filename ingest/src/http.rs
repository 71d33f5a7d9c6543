//! Pages of an ingest that runs alone: `/metrics`, `/live`, `/ready`.
//!
//! - `/metrics`: the registry in the Prometheus text format
//! - `/live`: 200 as long as the process answers
//! - `/ready`: 200 `{"ready":true,"reasons":{}}`, or 503 with a sentence for each part that cannot work
//!
//! Upstream: the registry and [`Ready`]. Downstream: Prometheus, an orchestrator, a person.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Encoder, Registry, TextEncoder};
use serde::Serialize;

use crate::ready::Ready;

/// The routes.
pub fn router(registry: Registry, ready: Ready) -> Router {
    Router::new()
        .route("/metrics", get(metrics).with_state(registry))
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(readiness).with_state(ready))
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reasons: BTreeMap<&'static str, String>,
}

async fn readiness(State(ready): State<Ready>) -> Response {
    let reasons: BTreeMap<_, _> = ready.reasons().into_iter().map(|(part, why)| (part.name(), why)).collect();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready: reasons.is_empty(), reasons })).into_response()
}

async fn metrics(State(registry): State<Registry>) -> Response {
    let encoder = TextEncoder::new();
    let mut page = Vec::new();
    match encoder.encode(&registry.gather(), &mut page) {
        Ok(()) => ([(CONTENT_TYPE, encoder.format_type().to_owned())], page).into_response(),
        Err(cause) => (StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()).into_response(),
    }
}
