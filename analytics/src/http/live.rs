//! Live frames over WebSocket: at every tick one text frame with the figures and one binary frame with a byte
//! a segment. Every client gets the same bytes, encoded once. A client that cannot keep up misses ticks, since
//! only the newest is kept.

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::Response;

use super::{Server, WindowQuery, no_such_window};
use crate::follow::Watch;
use crate::metric::window::Window;
use tokio_util::sync::CancellationToken;

pub(super) async fn route(
    State(server): State<Server>,
    Query(query): Query<WindowQuery>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(window) = query.window() else { return no_such_window() };
    let (watch, stop) = (server.api.watch.clone(), server.api.stop.clone());
    upgrade.on_upgrade(move |socket| send_frames(socket, watch, window, stop))
}

async fn send_frames(mut socket: WebSocket, mut watch: Watch, window: Window, stop: CancellationToken) {
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
        let text = Message::Text(snapshot.live_json.clone().into());
        if socket.send(text).await.is_err() || socket.send(Message::Binary(snapshot.live_codes.clone())).await.is_err()
        {
            return;
        }
    }
}
