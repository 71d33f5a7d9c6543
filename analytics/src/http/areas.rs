//! Corridors, zones, bottlenecks and incidents of the newest tick, as JSON.

use axum::extract::{Query, State};
use axum::response::Response;
use bytes::Bytes;

use super::{Server, WindowQuery, json_bytes, no_such_window};
use crate::area::AreaKind;
use crate::metric::window::Window;

pub(super) async fn corridors(state: State<Server>, query: Query<WindowQuery>) -> Response {
    of_kind(state, query, AreaKind::Corridor)
}

pub(super) async fn zones(state: State<Server>, query: Query<WindowQuery>) -> Response {
    of_kind(state, query, AreaKind::Zone)
}

pub(super) async fn city(state: State<Server>, query: Query<WindowQuery>) -> Response {
    of_kind(state, query, AreaKind::City)
}

pub(super) async fn bottlenecks(State(server): State<Server>) -> Response {
    let findings = server.api.watch.borrow().findings.clone();
    json_bytes(Bytes::from(findings.bottlenecks_json(&server.network).to_string()))
}

pub(super) async fn incidents(State(server): State<Server>) -> Response {
    let findings = server.api.watch.borrow().findings.clone();
    json_bytes(Bytes::from(findings.incidents_json(&server.network).to_string()))
}

fn of_kind(State(server): State<Server>, Query(query): Query<WindowQuery>, kind: AreaKind) -> Response {
    let window = query.window.map_or(Some(Window::FiveMinutes), Window::from_seconds);
    let Some(window) = window else { return no_such_window() };
    let findings = server.api.watch.borrow().findings.clone();
    json_bytes(Bytes::from(findings.areas_json(kind, window, &server.network).to_string()))
}
