//! Every request: let through to the pages, or refused with a sentence.
//!
//! Looking (GET, HEAD) needs the scope `read`, where readers are asked at all; everything else changes something and
//! needs `control`, always: where no tokens are set, nothing can be changed. `/live`, `/ready` and `/login` are for
//! everybody. A token comes as `Authorization: Bearer …`, or in the cookie that [`crate::login`] sets.
//!
//! Upstream: [`crate::serve`], with the peer's address. Downstream: the router of the service. Every answer leaves with
//! the headers that browsers keep to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Body as _;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tower_service::Service;

use crate::attempts::{Attempts, Wrong};
use crate::front::Front;
use crate::login;
use crate::metrics::{Metrics, Refusal};
use crate::tokens::{Bearer, Scope};

/// Headers that an answer has unless the page has said otherwise: no guessing of types, no frames, no address of ours
/// told to others, nothing of the machine for our pages' scripts.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// With TLS, under a name: browsers come back by TLS only, for a year (RFC 6797).
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) body_bytes_max: usize,
    pub(crate) body_wait: Duration,
}

/// Shared by all connections.
pub(crate) struct Guard {
    pub(crate) front: watch::Receiver<Arc<Front>>,
    pub(crate) metrics: Metrics,
    pub(crate) attempts: Attempts,
    pub(crate) bounds: Bounds,
}

/// Why a request is not let through: the reason, its status, and a sentence with what would help.
pub(crate) struct Refused {
    refusal: Refusal,
    status: StatusCode,
    message: String,
    /// Seconds until it makes sense to come again.
    retry_after_s: Option<u64>,
}

impl Refused {
    pub(crate) fn new(refusal: Refusal, status: StatusCode, message: impl Into<String>) -> Self {
        Self { refusal, status, message: message.into(), retry_after_s: None }
    }

    pub(crate) fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// What a person is told.
    pub(crate) fn in_words(&self) -> (StatusCode, &str) {
        (self.status, &self.message)
    }
}

impl Guard {
    /// Answers a request, by the router if it may come that far.
    pub(crate) async fn answer(&self, peer: Peer, request: Request<Body>, mut router: Router) -> Response {
        let front = Arc::clone(&self.front.borrow());
        // A rule for `localhost` would hold for every other service on that machine too.
        let is_strict = peer.tls && !names_this_machine(request.headers());
        let mut response = match self.admit(&front, peer, request).await {
            // A router is always ready, and never fails.
            Ok(Admitted::Request(request)) => match router.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Ok(Admitted::Answered(response)) => response,
            Err(refused) => self.refuse(refused),
        };
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        if is_strict {
            headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(STRICT_TRANSPORT);
        }
        response
    }

    fn refuse(&self, refused: Refused) -> Response {
        let Refused { refusal, status, message, retry_after_s } = refused;
        self.metrics.refused(refusal).inc();
        let error = json!({ "error": { "code": refusal.name(), "message": message } });
        let mut response = (status, axum::Json(error)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"arterial\""));
        }
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    async fn admit(&self, front: &Front, peer: Peer, request: Request<Body>) -> Result<Admitted, Refused> {
        if front.own_name_only && !names_this_machine(request.headers()) {
            return Err(Refused::new(
                Refusal::ForeignHost,
                StatusCode::MISDIRECTED_REQUEST,
                "without tokens this service answers to 127.0.0.1 and localhost only, so that no page of somebody \
                 else's can read it by another name: ask by address, or set --http-tokens",
            ));
        }
        if let Some(response) = login::answer(front, peer, &request)? {
            return Ok(Admitted::Answered(response));
        }
        let is_login = login::is_attempt(&request);
        let is_for_all = matches!(request.uri().path(), "/live" | "/ready") && looks(request.method());
        if !is_for_all && !is_login {
            let needed = if looks(request.method()) { Scope::Read } else { Scope::Control };
            match self.scope(front, peer, &request, needed) {
                Err(refused) if login::wants(&request, refused.refusal) => {
                    self.metrics.refused(refused.refusal).inc();
                    return Ok(Admitted::Answered(login::ask()));
                }
                scope => scope?,
            }
        }
        let request = self.with_body(request).await?;
        if is_login {
            return Ok(Admitted::Answered(login::attempt(self, front, peer, request.into_body()).await?));
        }
        Ok(Admitted::Request(request))
    }

    /// Whether whoever asks may do that.
    fn scope(&self, front: &Front, peer: Peer, request: &Request<Body>, needed: Scope) -> Result<(), Refused> {
        let headers = request.headers();
        let presented = presented(headers);
        // Somebody who shows a token himself is no page that a reader happens to have open.
        if !matches!(presented, Some(Presented::Header(_)))
            && (needed == Scope::Control || headers.contains_key(header::UPGRADE))
        {
            same_origin(headers)?;
        }
        if needed == Scope::Read && !front.asks_readers() {
            return Ok(());
        }
        if front.tokens.is_empty() {
            return Err(Refused::new(
                Refusal::NotAllowed,
                StatusCode::FORBIDDEN,
                "this changes something, and nobody may: no tokens are set; start the service with --http-tokens and \
                 a token with the scope `control` (`arterial token NAME --control`)",
            ));
        }
        let Some(presented) = presented else {
            return Err(Refused::new(
                Refusal::NoToken,
                StatusCode::UNAUTHORIZED,
                "this needs a token: send `Authorization: Bearer TOKEN`, or open /login in a browser",
            ));
        };
        let bearer = self.bearer(front, peer, presented.token())?;
        if bearer.scope < needed {
            return Err(Refused::new(
                Refusal::NotAllowed,
                StatusCode::FORBIDDEN,
                format!("the token `{}` may only read; this needs one with the scope `control`", bearer.name),
            ));
        }
        if needed == Scope::Control {
            let (method, path) = (request.method(), request.uri().path());
            tracing::info!(token = %bearer.name, peer = %peer.address, "{method} {path}");
        }
        Ok(())
    }

    /// Who has that token; counts and slows down guesses.
    pub(crate) fn bearer(&self, front: &Front, peer: Peer, token: &[u8]) -> Result<Bearer, Refused> {
        let (ip, now) = (peer.address.ip(), Instant::now());
        if let Err(seconds) = self.attempts.may(ip, now) {
            let message = format!("too many wrong tokens came from your address; try again in {seconds} s");
            let refused = Refused::new(Refusal::TooManyAttempts, StatusCode::TOO_MANY_REQUESTS, message);
            return Err(Refused { retry_after_s: Some(seconds), ..refused });
        }
        let Some(bearer) = front.tokens.bearer(token) else {
            if self.attempts.wrong(ip, now) == Wrong::Last {
                tracing::warn!(peer = %ip, "too many wrong tokens: requests from there wait from now on");
            }
            return Err(Refused::new(
                Refusal::WrongToken,
                StatusCode::UNAUTHORIZED,
                "nobody has this token; `arterial token NAME` makes one, and a reload (SIGHUP) makes it known",
            ));
        };
        if bearer.first_use {
            let scope = bearer.scope.name();
            tracing::info!(token = %bearer.name, scope, peer = %peer.address, "a token is used for the first time");
        }
        Ok(bearer)
    }

    /// The request with its body whole, if there is one, and not too long.
    async fn with_body(&self, request: Request<Body>) -> Result<Request<Body>, Refused> {
        if request.body().is_end_stream() {
            return Ok(request);
        }
        let Bounds { body_bytes_max, body_wait } = self.bounds;
        let too_large = || {
            let message = format!("a request may have a body of at most {body_bytes_max} bytes");
            Refused::new(Refusal::BodyTooLarge, StatusCode::PAYLOAD_TOO_LARGE, message)
        };
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|text| text.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > body_bytes_max as u64) {
            return Err(too_large());
        }
        let (parts, body) = request.into_parts();
        match timeout(body_wait, to_bytes(body, body_bytes_max)).await {
            Ok(Ok(whole)) => Ok(Request::from_parts(parts, Body::from(whole))),
            // Either it went on beyond the limit, or the connection broke, and nobody reads the answer.
            Ok(Err(_)) => Err(too_large()),
            Err(_) => Err(Refused::new(
                Refusal::BodyTooSlow,
                StatusCode::REQUEST_TIMEOUT,
                format!("the body of the request did not come within {} s", body_wait.as_secs()),
            )),
        }
    }
}

/// What becomes of a request.
enum Admitted {
    /// It goes on to the pages.
    Request(Request<Body>),
    /// It was ours to answer.
    Answered(Response),
}

/// A token, and how it came.
enum Presented {
    Header(Vec<u8>),
    Cookie(Vec<u8>),
}

impl Presented {
    fn token(&self) -> &[u8] {
        match self {
            Self::Header(token) | Self::Cookie(token) => token,
        }
    }
}

fn presented(headers: &HeaderMap) -> Option<Presented> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.as_bytes();
        let (scheme, token) = value.split_at_checked(7).unwrap_or((value, b""));
        // Another scheme is as wrong as another token.
        let token = if scheme.eq_ignore_ascii_case(b"bearer ") { token.trim_ascii() } else { b"" };
        return Some(Presented::Header(token.to_vec()));
    }
    login::cookie(headers).map(Presented::Cookie)
}

/// Methods that change nothing.
pub(crate) fn looks(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the request names an address or `localhost`: neither can be made to point elsewhere.
fn names_this_machine(headers: &HeaderMap) -> bool {
    // Browsers always send one.
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

/// Refuses what a page of another origin asks in the name of whoever has it open. Browsers say who asks with every
/// request that could change something and with every WebSocket.
pub(crate) fn same_origin(headers: &HeaderMap) -> Result<(), Refused> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let authority = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if authority.is_some() && authority == host {
        return Ok(());
    }
    Err(Refused::new(
        Refusal::ForeignOrigin,
        StatusCode::FORBIDDEN,
        "a page of another origin asks for this; behind a proxy, let it pass the header Host on as it came",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn only_names_that_nobody_can_turn_are_this_machine() {
        for (host, ours) in [
            ("127.0.0.1:8080", true),
            ("localhost", true),
            ("LOCALHOST:80", true),
            ("[::1]:8080", true),
            ("192.168.0.3", true),
            ("evil.example:8080", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:8080", false),
            ("", false),
        ] {
            assert_eq!(names_this_machine(&headers(&[(header::HOST, host)])), ours, "{host}");
        }
        assert!(names_this_machine(&HeaderMap::new()));
    }

    #[test]
    fn another_origin_is_refused_and_none_is_no_browser() {
        let check = |origin: &str, same: bool| {
            let headers = headers(&[(header::HOST, "city.example:8443"), (header::ORIGIN, origin)]);
            assert_eq!(same_origin(&headers).is_ok(), same, "{origin}");
        };
        check("https://city.example:8443", true);
        check("https://city.example", false);
        check("https://evil.example", false);
        check("null", false);
        assert!(same_origin(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_token_comes_by_header_or_cookie_and_the_header_goes_first() {
        let token = |pairs: &[(HeaderName, &str)]| {
            let headers = headers(pairs);
            presented(&headers).map(|p| String::from_utf8(p.token().to_vec()).unwrap())
        };
        assert_eq!(token(&[(header::AUTHORIZATION, "Bearer abc")]).as_deref(), Some("abc"));
        assert_eq!(token(&[(header::AUTHORIZATION, "bearer  abc ")]).as_deref(), Some("abc"));
        assert_eq!(token(&[(header::AUTHORIZATION, "Basic abc")]).as_deref(), Some(""));
        assert_eq!(token(&[(header::AUTHORIZATION, "x")]).as_deref(), Some(""));
        assert_eq!(token(&[(header::COOKIE, "a=b; arterial_token=xyz; c=d")]).as_deref(), Some("xyz"));
        let both = [(header::AUTHORIZATION, "Bearer abc"), (header::COOKIE, "arterial_token=xyz")];
        assert_eq!(token(&both).as_deref(), Some("abc"));
        assert_eq!(token(&[]), None);
    }
}
