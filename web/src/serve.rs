//! Connections: how many, how slow, how they end.
//!
//! HTTP/1.1, by TLS if the front has certificates; each connection takes those of the moment in which it comes. One
//! that is too slow in agreeing on TLS, in sending the head of a request, or in taking an answer is closed and counted;
//! one more than there may be is told 503 and closed. At the end requests under way are answered, for a bounded time.
//!
//! Upstream: the listener of the command line. Downstream: `guard`, then the router.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempts::Attempts;
use crate::front::Front;
use crate::guard::{Bounds, Guard, Peer};
use crate::metrics::{Metrics, Refusal};
use crate::patient::{Patient, Place};

/// Bounds of a server of pages.
#[derive(Clone, Copy, Debug)]
pub struct ServeConfig {
    /// Open connections, live clients among them.
    pub connections_max: usize,
    /// Longest time until TLS is agreed upon.
    pub tls_wait: Duration,
    /// Longest time for the head of a request, from the end of the one before: so idle connections end too.
    pub head_wait: Duration,
    /// Bytes of the head of a request.
    pub head_bytes_max: usize,
    /// Bytes of the body of a request.
    pub body_bytes_max: usize,
    /// Longest time for it.
    pub body_wait: Duration,
    /// Longest time in which a client takes nothing of what is written to it.
    pub write_wait: Duration,
    /// Longest time at the end for requests under way.
    pub close_wait: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            tls_wait: Duration::from_secs(10),
            head_wait: Duration::from_secs(20),
            head_bytes_max: 64 << 10,
            body_bytes_max: 64 << 10,
            body_wait: Duration::from_secs(20),
            write_wait: Duration::from_secs(20),
            close_wait: Duration::from_secs(5),
        }
    }
}

/// What all connections share.
struct House {
    config: ServeConfig,
    router: Router,
    guard: Guard,
}

/// Answers who would be one too many. Without TLS, since to agree on that is what costs.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 68\r\n\
    retry-after: 1\r\nconnection: close\r\n\r\n{\"error\":{\"code\":\"busy\",\"message\":\"too many connections are open\"}}\n";

/// Serves `router` behind `front` until `stop`.
///
/// # Errors
/// If the listener itself fails; failures of single connections are counted, not returned.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    front: watch::Receiver<Arc<Front>>,
    metrics: Metrics,
    config: ServeConfig,
    stop: CancellationToken,
) -> io::Result<()> {
    let bounds = Bounds { body_bytes_max: config.body_bytes_max, body_wait: config.body_wait };
    let guard = Guard { front, metrics: metrics.clone(), attempts: Attempts::default(), bounds };
    let house = Arc::new(House { config, router, guard });
    let (tasks, places) = (TaskTracker::new(), Arc::new(Semaphore::new(config.connections_max)));
    let ended = loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(permit) => {
                    let place = Place::new(permit, metrics.connections.clone());
                    tasks.spawn(connection(stream, address, place, Arc::clone(&house), stop.clone()));
                }
                Err(_) => {
                    metrics.refused(Refusal::Busy).inc();
                    // Into the buffer of a fresh socket, or not at all.
                    stream.try_write(BUSY).ok();
                }
            },
            Err(cause) if is_passing(&cause) => {
                // The listener is well: wait until a connection closes.
                tracing::warn!(%cause, "no connection to the pages can be accepted at the moment");
                sleep(Duration::from_millis(100)).await;
            }
            Err(cause) => break Err(cause),
        }
    };
    drop(listener);
    stop.cancel();
    tasks.close();
    if timeout(config.close_wait, tasks.wait()).await.is_err() {
        tracing::info!(connections = tasks.len(), "the pages ended with requests under way");
    }
    ended
}

/// Of one connection, or for lack of files (ENFILE, EMFILE, which have no `ErrorKind`).
fn is_passing(cause: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, OutOfMemory};
    matches!(cause.raw_os_error(), Some(23 | 24))
        || matches!(cause.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | OutOfMemory)
}

async fn connection(stream: TcpStream, address: SocketAddr, place: Place, house: Arc<House>, stop: CancellationToken) {
    // Without it answers are only slower.
    stream.set_nodelay(true).ok();
    let metrics = &house.guard.metrics;
    let tls = house.guard.front.borrow().tls.clone();
    let stream = Patient::new(stream, place, house.config.write_wait, metrics.refused(Refusal::SlowReader));
    let peer = Peer { address, tls: tls.is_some() };
    let Some(tls) = tls else { return converse(stream, peer, &house, stop).await };
    match timeout(house.config.tls_wait, TlsAcceptor::from(tls).accept(stream)).await {
        // Boxed, so that a connection without TLS does not pay for its size.
        Ok(Ok(stream)) => Box::pin(converse(stream, peer, &house, stop)).await,
        Ok(Err(cause)) => {
            tracing::debug!(%cause, peer = %address, "TLS was not agreed upon");
            metrics.refused(Refusal::Tls).inc();
        }
        Err(_) => metrics.refused(Refusal::Tls).inc(),
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    house: &Arc<House>,
    stop: CancellationToken,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let house = Arc::clone(house);
        async move {
            let answer = house.guard.answer(peer, request.map(Body::new), house.router.clone()).await;
            Ok::<_, Infallible>(answer)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(house.config.head_wait).max_buf_size(house.config.head_bytes_max);
    let mut conversation = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = conversation.as_mut() => ended,
        () = stop.cancelled() => {
            conversation.as_mut().graceful_shutdown();
            conversation.await
        }
    };
    let Err(cause) = ended else { return };
    let metrics = &house.guard.metrics;
    if cause.is_timeout() {
        metrics.refused(Refusal::SlowHead).inc();
    } else if cause.is_parse() {
        metrics.refused(Refusal::Malformed).inc();
    }
    tracing::debug!(%cause, peer = %peer.address, "a connection to the pages broke");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_one_too_many_is_whole() {
        let text = std::str::from_utf8(BUSY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
    }
}
