//! API, live frames, metrics page and dashboard over HTTP.
//!
//! Upstream: what [`crate::follow`] publishes. Downstream: browsers, Prometheus, anybody's scripts.
//!
//! | path | gives |
//! |---|---|
//! | `/api/v1/network` | the segments with their geometry, columns |
//! | `/api/v1/snapshot?window=60` | the newest figures of one window |
//! | `/api/v1/explain?metric=speed&segment=…&window=60` | one figure with its numbers filled in, and what was left out |
//! | `/api/v1/live?window=60` | WebSocket: the same at every tick |
//! | `/api/v1/signals?signal=NAME` | every phase; of one signal its cycles and arrivals too |
//! | `/api/v1/buses` | headways, bunching and waits by line |
//! | `/api/v1/detectors` | every loop, what was odd, and segments on which probes and loops are fused |
//! | `/api/v1/corridors?window=300`, `zones`, `city` | their figures with what they rest on |
//! | `/api/v1/bottlenecks`, `incidents` | what is wrong, and since when |
//! | `/api/v1/history`, `/api/v1/history/…` | the archive's days, and the reports over them: [`history`] |
//! | `/api/v1/recent/…` | the last two hours as they were published ([`recent`]) |
//! | `/api/v1/quality` | what came in, what became of it, how far behind |
//! | `/api/v1/replay` | where an attached replay stands; pause, step, seek, speed |
//! | `/api/v1/openapi.json` | this table for machines |
//! | `/metrics` | Prometheus: city, corridors, roadside, health |
//! | `/metrics/segments?class=…&top=…&window=…` | Prometheus: the segments that are exported |
//! | `/live`, `/ready` | whether the process is up, and whether its figures are to be believed |
//! | anything else | the dashboard's files |

mod areas;
pub mod history;
mod live;
mod metrics;
mod network;
pub mod openapi;
mod quality;
mod recent;
mod replay;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use prometheus::Registry;
use roads::Network;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;

use crate::explain::{ExplainError, Metric, explain};
use crate::export::segments::SegmentPages;
use crate::follow::{Published, Watch};
use crate::metric::window::Window;

/// Only our own files, no inline script, no other origin.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
     worker-src 'self' blob:; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Whether something else that this process runs (ingest) is ready; the reason if not.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the server needs.
#[derive(Clone)]
pub struct Api {
    pub city: String,
    pub watch: Watch,
    pub registry: Registry,
    pub segments: Arc<SegmentPages>,
    pub also_ready: Option<Readiness>,
    /// The control endpoint of a replay on this machine.
    pub replay: Option<SocketAddr>,
    /// Where history is, if there is any.
    pub history: Option<history::HistorySource>,
    /// Ends every live connection.
    pub stop: CancellationToken,
}

#[derive(Clone)]
struct Server {
    api: Api,
    live: live::Live,
    network_json: Bytes,
    network: Arc<Network>,
    recent: recent::Shared,
}

/// All routes. The network is encoded once, here; a task that keeps the last two hours begins, so a runtime is needed.
///
/// # Errors
/// If a name of what is counted here is taken in the registry: one registry serves one router.
pub fn router(api: Api, network: &Arc<Network>) -> Result<Router, prometheus::Error> {
    let network_json = Bytes::from(network::encode(&api.city, network).to_string());
    let recent = recent::Shared::default();
    tokio::spawn(recent::keep(api.watch.clone(), Arc::clone(&recent), api.stop.clone()));
    let live = live::Live::new(&api.registry)?;
    let server = Server { live, api, network_json, network: Arc::clone(network), recent };
    let routes = Router::new()
        .route("/api/v1/network", get(network_route))
        .route("/api/v1/snapshot", get(snapshot))
        .route("/api/v1/explain", get(explain_route))
        .route("/api/v1/corridors", get(areas::corridors))
        .route("/api/v1/zones", get(areas::zones))
        .route("/api/v1/city", get(areas::city))
        .route("/api/v1/bottlenecks", get(areas::bottlenecks))
        .route("/api/v1/incidents", get(areas::incidents))
        .route("/api/v1/live", get(live::route))
        .route("/api/v1/signals", get(signals))
        .route("/api/v1/buses", get(buses))
        .route("/api/v1/detectors", get(detectors))
        .route("/api/v1/history", get(history::days))
        .route("/api/v1/history/{report}", get(history::report))
        .route("/api/v1/recent", get(recent::list))
        .route("/api/v1/recent/frame", get(recent::frame))
        .route("/api/v1/recent/codes", get(recent::codes))
        .route("/api/v1/recent/spacetime", get(recent::spacetime))
        .route("/api/v1/recent/series", get(recent::series))
        .route("/api/v1/quality", get(quality::quality))
        .route("/api/v1/replay", get(replay::state))
        .route("/api/v1/replay/{wish}", post(replay::wish))
        .route("/api/v1/openapi.json", get(openapi::route))
        .route("/api", any(unknown_api))
        .route("/api/", any(unknown_api))
        .route("/api/{*rest}", any(unknown_api))
        .route("/metrics", get(metrics::main))
        .route("/metrics/segments", get(metrics::segments))
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .with_state(server)
        .merge(dashboard())
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(secure));
    Ok(routes)
}

/// Whether the dashboard was built into this binary.
pub fn has_dashboard() -> bool {
    cfg!(dashboard_built)
}

fn dashboard() -> Router {
    memory_serve::load!()
        .index_file(Some("/index.html"))
        .html_cache_control(memory_serve::CacheControl::NoCache)
        .cache_control(memory_serve::CacheControl::Long)
        .into_router()
}

/// An answer that says what was wrong.
fn fault(status: StatusCode, code: &str, message: &str) -> Response {
    (status, axum::Json(json!({ "error": { "code": code, "message": message } }))).into_response()
}

#[derive(Deserialize)]
struct WindowQuery {
    window: Option<u32>,
}

impl WindowQuery {
    /// The window that was asked for, one minute when none was; `None` when there is none of that length.
    fn window(&self) -> Option<Window> {
        self.window.map_or(Some(Window::OneMinute), Window::from_seconds)
    }
}

fn no_such_window() -> Response {
    fault(
        StatusCode::BAD_REQUEST,
        "unknown_window",
        "there is no window of that length; ask for 60, 300, 900 or 3600 seconds",
    )
}

async fn network_route(State(server): State<Server>) -> Response {
    json_bytes(server.network_json)
}

async fn snapshot(State(server): State<Server>, Query(query): Query<WindowQuery>) -> Response {
    let Some(window) = query.window() else { return no_such_window() };
    let published = server.api.watch.borrow().clone();
    match published.window(window) {
        Some(snapshot) => json_bytes(snapshot.full_json.clone()),
        None => fault(StatusCode::SERVICE_UNAVAILABLE, "starting", "the first figures come within a second or two"),
    }
}

#[derive(Deserialize)]
struct SignalQuery {
    signal: Option<String>,
}

async fn signals(State(server): State<Server>, Query(query): Query<SignalQuery>) -> Response {
    let published = server.api.watch.borrow().clone();
    axum::Json(published.roadside.signals_json(query.signal.as_deref())).into_response()
}

async fn buses(State(server): State<Server>) -> Response {
    let published = server.api.watch.borrow().clone();
    axum::Json(published.roadside.buses_json()).into_response()
}

async fn detectors(State(server): State<Server>) -> Response {
    let published = server.api.watch.borrow().clone();
    axum::Json(published.roadside.detectors_json()).into_response()
}

#[derive(Deserialize)]
struct ExplainQuery {
    metric: String,
    segment: String,
    window: Option<u32>,
}

async fn explain_route(State(server): State<Server>, Query(query): Query<ExplainQuery>) -> Response {
    let Some(window) = (WindowQuery { window: query.window }).window() else { return no_such_window() };
    let published = server.api.watch.borrow().clone();
    let told = Metric::parse(&query.metric)
        .and_then(|metric| explain(&published, &server.network, metric, &query.segment, window));
    match told {
        Ok(told) => (StatusCode::OK, axum::Json(told)).into_response(),
        Err(error) => {
            let (status, code) = match error {
                ExplainError::Metric(_) => (StatusCode::BAD_REQUEST, "unknown_metric"),
                ExplainError::Segment(_) => (StatusCode::NOT_FOUND, "unknown_segment"),
                ExplainError::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
                ExplainError::TooFew => (StatusCode::NOT_FOUND, "too_few"),
            };
            fault(status, code, &error.to_string())
        }
    }
}

async fn unknown_api(request: Request) -> Response {
    let message = format!("{} is no path of this API; /api/v1/openapi.json lists them all", request.uri().path());
    fault(StatusCode::NOT_FOUND, "not_found", &message)
}

async fn ready(State(server): State<Server>) -> Response {
    let published = server.api.watch.borrow().clone();
    let reasons = not_ready(&published, server.api.also_ready.as_ref());
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

fn not_ready(published: &Published, also: Option<&Readiness>) -> Vec<String> {
    let mut reasons = Vec::new();
    if published.windows.is_empty() {
        reasons.push("the first figures are not there yet".to_owned());
    }
    if !published.health.caught_up {
        reasons.push("analytics is still reading what the spool held at the start".to_owned());
    }
    reasons.extend(published.fault.clone());
    if let Some(Err(reason)) = also.map(|ask| ask()) {
        reasons.push(reason);
    }
    reasons
}

fn json_bytes(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}

async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
