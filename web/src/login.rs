//! How a browser brings its token: a form, and a cookie that scripts cannot read and other sites cannot send.
//!
//! `GET /login` is the form, `POST /login` takes the token and answers with the cookie, `POST /logout` takes the cookie
//! away. The token is not taken from the address line, since that stands in histories and logs. The cookie ends after
//! half a day; a token that is taken out of the file opens nothing from the next reload on.
//!
//! Upstream: `guard`. Downstream: the browser.

use axum::body::{Body, to_bytes};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::front::Front;
use crate::guard::{Guard, Peer, Refused, same_origin};
use crate::metrics::Refusal;

const COOKIE: &str = "arterial_token";

/// How long a browser stays logged in.
const COOKIE_SECONDS: u32 = 12 * 3_600;

/// Its own style and its own form, no script.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; \
     base-uri 'none'";

/// The form, between what was said about the last attempt.
const PAGE: [&str; 2] = [
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Arterial</title>\
     <meta name=\"viewport\" content=\"width=device-width\">\
     <style>body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:15vh auto;padding:0 1rem;color:#1a2330;\
     background:#f6f7f9}label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit}\
     input,button{padding:.5rem;margin:.5rem 0}p{color:#a12}\
     @media(prefers-color-scheme:dark){body{color:#e8ebf0;background:#12161c}p{color:#f99}}</style>\
     <main><h1>Arterial</h1><form method=\"post\" action=\"/login\"><label for=\"token\">Token</label>\
     <input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" required autofocus>\
     <button>Open</button></form>",
    "</main></html>",
];

/// Answers what is only about coming in and going, unless that needs the body.
pub(crate) fn answer(front: &Front, peer: Peer, request: &Request<Body>) -> Result<Option<Response>, Refused> {
    let asks = !front.tokens.is_empty();
    let path = request.uri().path();
    Ok(match (path, request.method()) {
        ("/login", &Method::GET) if asks => Some(page(StatusCode::OK, "")),
        ("/login", _) if !asks => Some(see("/", None)),
        ("/logout", &Method::POST) => {
            same_origin(request.headers())?;
            Some(see("/login", Some(set_cookie("", 0, peer.tls))))
        }
        // The form is our own page: nobody else's may log somebody in, under a token of theirs.
        ("/login", &Method::POST) => {
            same_origin(request.headers())?;
            None
        }
        _ => None,
    })
}

/// Whether this is the form that comes back.
pub(crate) fn is_attempt(request: &Request<Body>) -> bool {
    request.uri().path() == "/login" && request.method() == Method::POST
}

/// Takes the token that was typed.
pub(crate) async fn attempt(guard: &Guard, front: &Front, peer: Peer, body: Body) -> Result<Response, Refused> {
    // It was read and measured before.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let token = body.split(|byte| *byte == b'&').find_map(|field| field.strip_prefix(b"token="));
    // Tokens are plain characters; what a form has to encode is in none of them but those of the environment.
    let token = decoded(token.unwrap_or_default());
    match guard.bearer(front, peer, &token) {
        Ok(_) => {
            let token = String::from_utf8_lossy(&token);
            Ok(see("/", Some(set_cookie(&encoded(&token), COOKIE_SECONDS, peer.tls))))
        }
        Err(refused) => {
            let (status, words) = refused.in_words();
            guard.metrics.refused(refused.refusal()).inc();
            Ok(page(status, &format!("<p role=\"alert\">{words}</p>")))
        }
    }
}

/// Whether a person at a browser asks for a page, and would get further with the form.
pub(crate) fn wants(request: &Request<Body>, refusal: Refusal) -> bool {
    let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    matches!(refusal, Refusal::NoToken | Refusal::WrongToken)
        && request.method() == Method::GET
        && !request.uri().path().starts_with("/api/")
        && accepts.is_some_and(|accept| accept.contains("text/html"))
}

/// Sends a browser to the form.
pub(crate) fn ask() -> Response {
    see("/login", None)
}

/// The token in the cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<Vec<u8>> {
    let cookies = headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let found = cookies.filter_map(|one| one.trim_ascii().strip_prefix(COOKIE.as_bytes())?.strip_prefix(b"=")).next();
    found.map(decoded)
}

fn page(status: StatusCode, said: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (status, headers, format!("{}{said}{}", PAGE[0], PAGE[1])).into_response()
}

fn see(path: &'static str, cookie: Option<HeaderValue>) -> Response {
    let headers = [(header::LOCATION, path), (header::CACHE_CONTROL, "no-store")];
    let mut response = (StatusCode::SEE_OTHER, headers).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn set_cookie(token: &str, seconds: u32, tls: bool) -> HeaderValue {
    let secure = if tls { "; Secure" } else { "" };
    let text = format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut value = HeaderValue::try_from(text).expect("a token is encoded, the rest is plain");
    value.set_sensitive(true);
    value
}

/// Percent-encoding of everything but letters, digits and `-._~` (RFC 3986).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The reverse, and `+` for a blank as forms have it; what is no encoding stands for itself.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16).map(|digit| digit as u8);
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 2;
            }
            (b'+', _, _) => out.push(b' '),
            (byte, _, _) => out.push(*byte),
        }
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back() {
        for text in ["arterial_0a9f", "a b+c%d&e=f;g\"h", "ü€"] {
            let there = encoded(text);
            assert!(there.bytes().all(|byte| byte.is_ascii_graphic() && !b";,\" ".contains(&byte)), "{there}");
            assert_eq!(decoded(there.as_bytes()), text.as_bytes());
        }
        assert_eq!(decoded(b"%4x%"), b"%4x%");
        assert_eq!(decoded(b"a+b"), b"a b");
    }

    #[test]
    fn the_cookie_is_for_this_site_and_no_script() {
        let cookie = set_cookie("abc", 60, true);
        assert_eq!(cookie, "arterial_token=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure");
        assert!(!format!("{cookie:?}").contains("abc"), "no token in any log");
        assert!(!set_cookie("abc", 60, false).to_str().unwrap().contains("Secure"));
    }
}
