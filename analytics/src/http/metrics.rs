//! `/metrics` by the `prometheus` crate, and `/metrics/segments` by our own writer.
//!
//! Upstream: the registry, [`crate::export::segments`]. Downstream: Prometheus. `?class=primary,secondary`, `?top=100` and
//! `?window=5m` choose less than the policy of the page; such a page is made for its asker alone.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use prometheus::{Encoder, TextEncoder};
use serde::Deserialize;

use super::{Server, fault};
use crate::export::segments::{CONTENT_TYPE, unpacked};

pub(super) async fn main(State(server): State<Server>) -> Response {
    let mut page = Vec::new();
    let encoder = TextEncoder::new();
    match encoder.encode(&server.api.registry.gather(), &mut page) {
        Ok(()) => ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], page).into_response(),
        Err(e) => fault(StatusCode::INTERNAL_SERVER_ERROR, "metrics", &e.to_string()),
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    class: Option<String>,
    top: Option<usize>,
    window: Option<String>,
}

pub(super) async fn segments(
    State(server): State<Server>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let narrow = wanted.class.is_some() || wanted.top.is_some() || wanted.window.is_some();
    let pages = server.api.segments.clone();
    let choice = pages.policy().narrowed(wanted.class.as_deref(), wanted.top, wanted.window.as_deref());
    let choice = match choice {
        Ok(choice) => choice,
        Err(error) => return fault(StatusCode::BAD_REQUEST, "unknown_choice", &error.to_string()),
    };
    let published = server.api.watch.borrow().clone();
    let packed = reads_gzip(&headers);
    // Some milliseconds of writing for a large city: not on a thread that serves connections.
    let made = tokio::task::spawn_blocking(move || -> std::io::Result<Bytes> {
        let gzip = if narrow { pages.make(&published, &choice) } else { pages.page(&published) };
        if packed { Ok(gzip) } else { unpacked(&gzip) }
    });
    let page = match made.await {
        Ok(Ok(page)) => page,
        Ok(Err(error)) => return fault(StatusCode::INTERNAL_SERVER_ERROR, "metrics", &error.to_string()),
        Err(error) => return fault(StatusCode::INTERNAL_SERVER_ERROR, "metrics", &error.to_string()),
    };
    let kind = [(header::CONTENT_TYPE, CONTENT_TYPE), (header::VARY, "accept-encoding")];
    if packed {
        (kind, [(header::CONTENT_ENCODING, "gzip")], page).into_response()
    } else {
        (kind, page).into_response()
    }
}

/// Whether the asker takes gzip: named, and not with a weight of zero (RFC 9110, section 12.5.3).
fn reads_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = accepted.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let zero = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !zero
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let check = |value: &str, expected: bool| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(reads_gzip(&headers), expected, "{value}");
        };
        check("gzip", true);
        check("br, GZIP;q=0.5", true);
        check("br", false);
        check("gzip;q=0", false);
        check("", false);
        assert!(!reads_gzip(&HeaderMap::new()));
    }
}
