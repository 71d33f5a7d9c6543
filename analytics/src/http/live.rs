//! Live frames over WebSocket: at every tick one text frame with the figures and one binary frame with a byte
//! a segment. Every client gets the same bytes, encoded once. A client that cannot keep up misses ticks, since
//! only the newest is kept; one that takes a frame too slowly is dropped and counted. A client more than
//! [`CLIENTS_MAX`] is told 503.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use events::metrics::metric;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Server, WindowQuery, fault, no_such_window};
use crate::follow::Watch;
use crate::metric::window::Window;

/// Live clients at once.
const CLIENTS_MAX: usize = 256;

/// Longest time for a client to take the frames of one tick.
const FRAMES_WAIT: Duration = Duration::from_secs(20);

/// Bytes of what a client may say: it has nothing to say.
const SAID_BYTES_MAX: usize = 4 << 10;

/// What all live clients share.
#[derive(Clone)]
pub(super) struct Live {
    places: Arc<Semaphore>,
    clients: IntGauge,
    dropped: IntCounterVec,
}

impl Live {
    /// Declares what is counted here.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = |name| Opts::new(metric(name).name, metric(name).help);
        let clients = IntGauge::with_opts(opts("arterial_http_live_clients"))?;
        registry.register(Box::new(clients.clone()))?;
        let dropped = IntCounterVec::new(opts("arterial_http_live_dropped_total"), &["reason"])?;
        registry.register(Box::new(dropped.clone()))?;
        for reason in ["slow", "full"] {
            dropped.with_label_values(&[reason]);
        }
        Ok(Self { places: Arc::new(Semaphore::new(CLIENTS_MAX)), clients, dropped })
    }
}

pub(super) async fn route(
    State(server): State<Server>,
    Query(query): Query<WindowQuery>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(window) = query.window() else { return no_such_window() };
    let live = server.live.clone();
    let Ok(place) = Arc::clone(&live.places).try_acquire_owned() else {
        live.dropped.with_label_values(&["full"]).inc();
        let message = format!("{CLIENTS_MAX} clients have the live figures open already; ask /api/v1/snapshot instead");
        return fault(StatusCode::SERVICE_UNAVAILABLE, "too_many_live_clients", &message);
    };
    let (watch, stop) = (server.api.watch.clone(), server.api.stop.clone());
    let upgrade = upgrade.max_message_size(SAID_BYTES_MAX).max_frame_size(SAID_BYTES_MAX);
    upgrade.on_upgrade(move |socket| async move {
        live.clients.inc();
        send_frames(socket, watch, window, stop, (&live, place)).await;
        live.clients.dec();
    })
}

async fn send_frames(
    mut socket: WebSocket,
    mut watch: Watch,
    window: Window,
    stop: CancellationToken,
    (live, _place): (&Live, OwnedSemaphorePermit),
) {
    watch.mark_changed();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = watch.changed() => if changed.is_err() { return },
            // A client has nothing to say; reading is how its leaving is noticed.
            said = socket.recv() => match said {
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
        }
        let published = watch.borrow_and_update().clone();
        let Some(snapshot) = published.window(window) else { continue };
        let (text, codes) = (snapshot.live_json.clone(), snapshot.live_codes.clone());
        let frames = async {
            socket.send(Message::Text(text.into())).await?;
            socket.send(Message::Binary(codes)).await
        };
        match timeout(FRAMES_WAIT, frames).await {
            Ok(Ok(())) => {}
            // It has left, or has taken nothing at all for so long that its connection was given up.
            Ok(Err(_)) => return,
            Err(_) => {
                live.dropped.with_label_values(&["slow"]).inc();
                return;
            }
        }
    }
}
