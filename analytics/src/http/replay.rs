//! `/api/v1/replay`: the reins of an `arterial replay` on this machine, handed on so that a page needs one origin.
//!
//! Upstream: the dashboard. Downstream: the control endpoint that `--replay-control` names, by a plain request of
//! HTTP/1.0: the answer is a small JSON object, and the connection ends behind it. Wishes need the header
//! `x-arterial`, which no page of another origin can send without asking first. Where none is attached, the state says
//! so with 200, since a page asks every second; a wish is refused.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Server, fault, json_bytes};

/// Longest wait for the other side.
const PATIENCE: Duration = Duration::from_secs(3);

/// Longest answer that is believed, bytes.
const ANSWER_MAX: u64 = 64 * 1024;

pub(super) async fn state(State(server): State<Server>) -> Response {
    match hand_on(&server, "GET", "/").await {
        Ok((StatusCode::OK, body)) => {
            let mut whole = b"{\"why\":null,\"replay\":".to_vec();
            whole.extend_from_slice(&body);
            whole.push(b'}');
            json_bytes(Bytes::from(whole))
        }
        Ok((status, body)) => answered(status, body),
        Err(why) => json_bytes(Bytes::from(json!({ "replay": null, "why": why }).to_string())),
    }
}

pub(super) async fn wish(
    State(server): State<Server>,
    Path(wish): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if !headers.contains_key("x-arterial") {
        return fault(StatusCode::FORBIDDEN, "forbidden", "a wish needs the header `x-arterial`");
    }
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"=&._-".contains(&b));
    let query = query.unwrap_or_default();
    if !is_plain(&wish) || !is_plain(&query) {
        return fault(StatusCode::BAD_REQUEST, "bad_request", "a wish is a word, and its parameters are numbers");
    }
    match hand_on(&server, "POST", &format!("/{wish}?{query}")).await {
        Ok((status, body)) => answered(status, body),
        Err(why) => fault(StatusCode::NOT_FOUND, "no_replay", &why),
    }
}

fn answered(status: StatusCode, body: Bytes) -> Response {
    let mut response = json_bytes(body);
    *response.status_mut() = status;
    response
}

/// The other side's answer, or why there is none.
async fn hand_on(server: &Server, method: &str, target: &str) -> Result<(StatusCode, Bytes), String> {
    let Some(address) = server.api.replay else {
        return Err("start one with `arterial replay FILE --control 127.0.0.1:8081`, and this server with \
                    `--replay-control 127.0.0.1:8081`"
            .to_owned());
    };
    let asked = tokio::time::timeout(PATIENCE, ask(address, method, target)).await;
    asked.ok().and_then(Result::ok).ok_or_else(|| {
        format!("nothing answers at {address}: the replay ended, or was not started with --control {address}")
    })
}

async fn ask(address: SocketAddr, method: &str, target: &str) -> std::io::Result<(StatusCode, Bytes)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("{method} {target} HTTP/1.0\r\nhost: {address}\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
    parse(&answer).ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "not an answer of HTTP"))
}

/// Status and body.
fn parse(answer: &[u8]) -> Option<(StatusCode, Bytes)> {
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..split]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse::<u16>().ok()?;
    Some((StatusCode::from_u16(status).ok()?, Bytes::copy_from_slice(&answer[split + 4..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let (status, body) = parse(b"HTTP/1.1 409 Conflict\r\na: b\r\n\r\n{}").unwrap();
        assert_eq!((status, &body[..]), (StatusCode::CONFLICT, &b"{}"[..]));
        for bad in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"] {
            assert!(parse(bad).is_none());
        }
    }
}
