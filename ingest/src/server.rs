//! The embedded MQTT endpoint: ingest is itself the server, so that a PUBACK means "on disk".
//!
//! A broker in between acknowledges what it only holds in memory, and loses it when it dies. This endpoint speaks
//! MQTT 3.1.1 and 5: PUBLISH with QoS 0 and 1, PING, DISCONNECT, and SUBSCRIBE as a tap (QoS 0, best effort, for
//! looking). It keeps no session, no retained messages and no wills, and says so in CONNACK where version 5 has
//! words for it. Who may come in is the [`Door`]'s to say: by default everybody, so bind it to loopback then.
//!
//! Upstream: devices, `arterial sim`, `arterial replay`. Downstream: the writer. Back-pressure is TCP's own: a
//! connection whose messages cannot be handed over, or which has too many unacknowledged, is not read.

mod close;
mod connection;
mod door;
#[doc(hidden)]
pub mod fuzz;
mod outbox;
mod packet;
mod tap;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::credentials::AccountName;
use crate::writer::WriterHandle;
pub use close::Close;
pub use door::Door;
pub(crate) use outbox::Outbox;
pub(crate) use packet::received_ms;
use tap::Taps;

/// Bounds of the endpoint.
#[derive(Clone, Copy, Debug)]
pub struct ServerConfig {
    /// Open connections; one more is answered "server busy" and closed.
    pub connections_max: usize,
    /// Unacknowledged messages of one connection; beyond it the connection is not read. Version 5 clients are
    /// told (Receive Maximum).
    pub in_flight_max: u16,
    /// Largest packet, bytes: a payload of 1 MiB with the longest topic and some properties.
    pub packet_bytes_max: u32,
    /// Longest time until CONNECT is there.
    pub connect_wait: Duration,
    /// Longest time from the first byte of a packet until it is whole.
    pub packet_wait: Duration,
    /// Longest silence of a client that asked for no keep-alive.
    pub silence_max: Duration,
    /// How long a closing connection may take to get its last packets.
    pub close_wait: Duration,
    /// Bytes of unfinished packets beyond what every connection may hold (32 KiB), over all connections; whoever
    /// finds no room is not read until there is some.
    pub unfinished_bytes_max: u32,
    /// Messages that a tap may lag behind before it loses some.
    pub tap_lag_max: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            in_flight_max: 4_096,
            packet_bytes_max: (1 << 20) + (128 << 10),
            connect_wait: Duration::from_secs(10),
            packet_wait: Duration::from_secs(30),
            silence_max: Duration::from_secs(3_600),
            close_wait: Duration::from_secs(5),
            unfinished_bytes_max: 256 << 20,
            tap_lag_max: 1_024,
        }
    }
}

/// What all connections share.
struct Endpoint {
    config: ServerConfig,
    /// Each connection asks the door of the moment in which it comes.
    door: watch::Receiver<Arc<Door>>,
    /// Room for unfinished packets, bytes.
    unfinished: Arc<Semaphore>,
    writer: WriterHandle,
    taps: Taps,
    /// By client id. At most one entry per connection.
    clients: Mutex<HashMap<String, Client>>,
    numbers: AtomicU64,
}

/// A client that is there.
struct Client {
    /// Of its connection.
    number: u64,
    end: CancellationToken,
    /// Under which it came in, where there are accounts.
    account: Option<Arc<AccountName>>,
    /// Whether it is told to end because its account is gone.
    is_shut_out: bool,
}

/// Serves connections on `listener` until `shutdown`: then it stops reading, waits (bounded) until what was read
/// is acknowledged, and closes.
///
/// # Errors
/// If the listener itself fails; failures of single connections are counted, not returned.
pub async fn serve(
    listener: TcpListener,
    writer: WriterHandle,
    shutdown: CancellationToken,
    config: ServerConfig,
) -> io::Result<()> {
    serve_behind(Door::default(), listener, writer, shutdown, config).await
}

/// The same behind a door of one's own.
///
/// # Errors
/// As [`serve`].
pub async fn serve_behind(
    door: Door,
    listener: TcpListener,
    writer: WriterHandle,
    shutdown: CancellationToken,
    config: ServerConfig,
) -> io::Result<()> {
    let (_held, watched) = watch::channel(Arc::new(door));
    serve_watching(watched, listener, writer, shutdown, config).await
}

/// The same behind a door that may be exchanged. Who is connected under an account that is gone then, or has another
/// password, is told to leave; who came by certificate alone stays until it leaves by itself.
///
/// # Errors
/// As [`serve`].
pub async fn serve_watching(
    mut door: watch::Receiver<Arc<Door>>,
    listener: TcpListener,
    writer: WriterHandle,
    shutdown: CancellationToken,
    config: ServerConfig,
) -> io::Result<()> {
    let endpoint = Arc::new(Endpoint {
        config,
        door: door.clone(),
        unfinished: Arc::new(Semaphore::new(config.unfinished_bytes_max as usize)),
        taps: Taps::new(config.tap_lag_max, writer.metrics().tap_dropped.clone()),
        writer,
        clients: Mutex::default(),
        numbers: AtomicU64::new(0),
    });
    let tasks = TaskTracker::new();
    let ended = loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            // Once nobody can exchange it any more, there is nothing to wait for.
            Ok(()) = door.changed() => {
                endpoint.shut_out();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(connection::run(stream, Arc::clone(&endpoint), shutdown.clone(), tasks.len()));
            }
            Err(cause) if is_of_one_connection(&cause) => {
                endpoint.count(Close::Network);
            }
            Err(cause) if is_out_of_files(&cause) => {
                // The listener is well: wait until a connection closes.
                tracing::warn!(%cause, "no connection can be accepted at the moment");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(cause) => break Err(cause),
        }
    };
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    ended
}

impl Endpoint {
    fn count(&self, close: Close) {
        self.writer.metrics().closed.with_label_values(&[close.name()]).inc();
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Registers a client; an older connection under the same id is told to end.
    fn arrive(&self, client_id: &str, number: u64, end: &CancellationToken, account: Option<Arc<AccountName>>) {
        // The door may have been exchanged since it let this one in.
        let is_shut_out = !self.stays(account.as_deref());
        if is_shut_out {
            end.cancel();
        }
        let client = Client { number, end: end.clone(), account, is_shut_out };
        if let Some(older) = self.lock().insert(client_id.to_owned(), client) {
            older.end.cancel();
        }
    }

    /// Why a client was told to end, when it was.
    fn why_ended(&self, client_id: &str, number: u64) -> Close {
        let clients = self.lock();
        let client = clients.get(client_id).filter(|client| client.number == number);
        if client.is_some_and(|client| client.is_shut_out) { Close::ShutOut } else { Close::TakenOver }
    }

    fn leave(&self, client_id: &str, number: u64) {
        let mut clients = self.lock();
        if clients.get(client_id).is_some_and(|client| client.number == number) {
            clients.remove(client_id);
        }
    }

    /// Ends whoever came in under an account that is not there any more as it was.
    fn shut_out(&self) {
        let mut count = 0;
        for client in self.lock().values_mut() {
            if !client.is_shut_out && !self.stays(client.account.as_deref()) {
                client.is_shut_out = true;
                client.end.cancel();
                count += 1;
            }
        }
        if count > 0 {
            tracing::info!(clients = count, "connected under accounts that are gone or changed: told to leave");
        }
    }

    /// Whether somebody may stay, by the door of now.
    fn stays(&self, account: Option<&AccountName>) -> bool {
        match (&self.door.borrow().credentials, account) {
            (Some(accounts), Some(account)) => accounts.has(account),
            // Accounts are asked for by now, and this one has none.
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Client>> {
        // Nothing can panic while this is held.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of_one_connection(cause: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(cause.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// EMFILE and ENFILE, which have no `ErrorKind`.
fn is_out_of_files(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(23 | 24)) || cause.kind() == io::ErrorKind::OutOfMemory
}
