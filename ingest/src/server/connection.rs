//! One connection, from CONNECT to its end.
//!
//! Upstream: the socket. Downstream: the writer, in receive order; the taps. Two tasks: this one reads and decodes, the
//! outbox writes, so that acknowledgements leave while reading is held back.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use events::TimeMs;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::Endpoint;
use super::close::Close;
use super::outbox::Outbox;
use super::packet::{self, Hello, Packet, Plain, Version};
use super::tap::Tap;
use crate::clock;
use crate::credentials::{AccountName, Rights};
use crate::writer::{Parcel, Receiving, Stopped};

/// Bytes that are read at once. The memory for them belongs to the thread, not to the connection: it is used between
/// two waits only, so ten thousand idle connections need none.
const READ_BYTES: usize = 64 << 10;

/// Largest beginning of a packet that is copied in front of the next read; a longer one is completed in its own memory.
const COPIED_BYTES_MAX: usize = 4 << 10;

/// What one thread needs while it takes bytes apart.
struct Scratch {
    bytes: Vec<u8>,
    parcel: Parcel,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        RefCell::new(Scratch { bytes: vec![0; COPIED_BYTES_MAX + READ_BYTES], parcel: Parcel::default() });
}

/// Serves a connection and counts how it ended. `others` are the connections that are open already.
pub(super) async fn run(stream: TcpStream, endpoint: Arc<Endpoint>, shutdown: CancellationToken, others: usize) {
    let open = endpoint.writer.metrics().connections.clone();
    open.inc();
    let close = serve(stream, &endpoint, shutdown, others).await;
    open.dec();
    endpoint.count(close);
}

async fn serve(stream: TcpStream, endpoint: &Arc<Endpoint>, shutdown: CancellationToken, others: usize) -> Close {
    let peer = match stream.set_nodelay(true).and_then(|()| stream.peer_addr()) {
        Ok(peer) => peer,
        Err(cause) => {
            tracing::debug!(%cause, "a new connection is already gone");
            return Close::Network;
        }
    };
    let from_here = peer.ip().to_canonical().is_loopback();
    let tls = endpoint.door.borrow().tls.clone();
    match tls {
        None => converse(stream.into_split(), endpoint, shutdown, (from_here, others)).await,
        Some(tls) => match timeout(endpoint.config.connect_wait, TlsAcceptor::from(tls).accept(stream)).await {
            // Boxed, so that a connection without TLS does not pay for its size.
            Ok(Ok(stream)) => {
                Box::pin(converse(tokio::io::split(stream), endpoint, shutdown, (from_here, others))).await
            }
            Ok(Err(cause)) => {
                tracing::debug!(%cause, %peer, "TLS was not agreed upon");
                Close::Tls
            }
            Err(_) => Close::NoConnect,
        },
    }
}

async fn converse<R, W>(
    (socket, out): (R, W),
    endpoint: &Arc<Endpoint>,
    shutdown: CancellationToken,
    (from_here, others): (bool, usize),
) -> Close
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let outbox = Arc::new(Outbox::default());
    let writing = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.drive(out).await }
    });
    let end = CancellationToken::new();
    let _ended = end.clone().drop_guard();
    let receiving = endpoint.writer.receiving();
    let (rights, account) = (Arc::new(Rights::all(false)), None);
    let (rest, unfinished) = (Vec::new(), None);
    let outbox_of = &outbox;
    let mut reading =
        Reading { socket, rest, unfinished, rights, account, receiving, endpoint, outbox: outbox_of, shutdown, end };
    let close = match timeout(endpoint.config.connect_wait, reading.hello(from_here)).await {
        Err(_) | Ok(Err((None, _))) => Close::NoConnect,
        Ok(Err((Some(version), close))) => {
            outbox.push(|out| out.extend_from_slice(&packet::refusal(version, close)));
            close
        }
        Ok(Ok(hello)) if others >= endpoint.config.connections_max => {
            outbox.push(|out| out.extend_from_slice(&packet::refusal(hello.version, Close::Busy)));
            Close::Busy
        }
        Ok(Ok(hello)) => reading.session(hello).await,
    };
    outbox.close();
    let mut writing = writing;
    if timeout(endpoint.config.close_wait, &mut writing).await.is_err() {
        writing.abort();
    }
    close
}

/// The reading side.
struct Reading<'a, R> {
    socket: R,
    /// The beginning of a packet whose end has not come yet.
    rest: Vec<u8>,
    /// Room for what `rest` holds beyond [`READ_BYTES`].
    unfinished: Option<OwnedSemaphorePermit>,
    rights: Arc<Rights>,
    account: Option<Arc<AccountName>>,
    receiving: Receiving,
    endpoint: &'a Endpoint,
    outbox: &'a Arc<Outbox>,
    shutdown: CancellationToken,
    /// Cancelled when another connection takes over the client id; and when this one ends, for its tap.
    end: CancellationToken,
}

/// What came of one read.
#[derive(Default)]
struct Progress {
    /// Bytes that were whole packets.
    used: usize,
    /// Messages for which there was no room.
    waiting: Option<Parcel>,
    /// Why the connection has to end.
    close: Option<Close>,
}

impl<R: AsyncRead + Unpin> Reading<'_, R> {
    /// The first packet; the version in an error is that in which the client is told.
    async fn hello(&mut self, from_here: bool) -> Result<Hello, (Option<Version>, Close)> {
        loop {
            match packet::frame(&self.rest, self.endpoint.config.packet_bytes_max) {
                Ok(Some(whole)) => {
                    let hello = packet::hello(&self.rest[..whole]);
                    self.rest.drain(..whole);
                    return match hello {
                        Ok(hello) if hello.client_id.is_empty() && hello.version == Version::V4 && !hello.clean => {
                            Err((Some(Version::V4), Close::ClientId))
                        }
                        Ok(mut hello) => {
                            let door = Arc::clone(&self.endpoint.door.borrow());
                            match door.rights(from_here, hello.login.take()).await {
                                Some(guest) => {
                                    (self.rights, self.account) = guest;
                                    Ok(hello)
                                }
                                None => Err((Some(hello.version), Close::Login)),
                            }
                        }
                        // Version 3.1.1 is what every client understands at this point.
                        Err(Close::Version) => Err((Some(Version::V4), Close::Version)),
                        Err(close) => Err((None, close)),
                    };
                }
                Ok(None) => {}
                Err(close) => return Err((None, close)),
            }
            match self.socket.read_buf(&mut self.rest).await {
                Ok(0) | Err(_) => return Err((None, Close::Network)),
                Ok(_) => {}
            }
        }
    }

    async fn session(&mut self, hello: Hello) -> Close {
        let (config, version) = (&self.endpoint.config, hello.version);
        let number = self.endpoint.number();
        let assigned = hello.client_id.is_empty().then(|| format!("arterial-{number}"));
        let client_id = assigned.clone().unwrap_or(hello.client_id);
        self.endpoint.arrive(&client_id, number, &self.end, self.account.clone());
        let welcome = packet::welcome(version, config.in_flight_max, config.packet_bytes_max, assigned);
        self.outbox.push(|out| out.extend_from_slice(&welcome));
        let silence = match hello.keep_alive_s {
            0 => config.silence_max,
            seconds => Duration::from_millis(u64::from(seconds) * 1_500),
        };
        let mut close = self.packets(version, silence).await;
        if close == Close::TakenOver {
            close = self.endpoint.why_ended(&client_id, number);
        }
        if close == Close::Shutdown {
            // What was read is still made durable; whoever is not told in time sends again.
            let told = timeout(config.close_wait, self.outbox.until_acknowledged()).await;
            if told.is_err() {
                tracing::debug!("a connection was closed with unacknowledged messages");
            }
        }
        self.outbox.push(|out| packet::goodbye(version, close, out));
        self.endpoint.leave(&client_id, number);
        close
    }

    /// Reads packets until the connection has to end.
    async fn packets(&mut self, version: Version, silence: Duration) -> Close {
        let mut tap = Tap::default();
        let (shutdown, end) = (self.shutdown.clone(), self.end.clone());
        // One future each for the whole connection: to register anew for every read would cost more than the read.
        let mut shutdown = pin!(shutdown.cancelled());
        let mut end = pin!(end.cancelled());
        let mut deadline = Instant::now() + silence;
        // When the oldest unfinished packet has to be whole.
        let mut packet_end = None;
        let mut alarm = pin!(sleep_until(deadline));
        let mut progress = self.begin(version, &mut tap);
        loop {
            // Also what came before a bad packet is handed over: it was received.
            if let Some(parcel) = progress.waiting
                && self.hand_over(parcel).await.is_err()
            {
                return Close::Shutdown;
            }
            if let Some(close) = progress.close {
                return close;
            }
            let in_flight_max = usize::from(self.endpoint.config.in_flight_max);
            if !self.outbox.has_room(in_flight_max) {
                tokio::select! {
                    () = &mut shutdown => return Close::Shutdown,
                    () = &mut end => return Close::TakenOver,
                    open = self.outbox.until_room(in_flight_max) => if !open { return Close::Network },
                }
            }
            // Counted from here: while we did not read, the client could not show that it lives.
            if progress.used > 0 {
                deadline = Instant::now() + silence;
                packet_end = None;
            }
            if !self.rest.is_empty() {
                packet_end.get_or_insert_with(|| Instant::now() + self.endpoint.config.packet_wait);
            }
            let patience = packet_end.map_or(deadline, |end| end.min(deadline));
            if patience < alarm.deadline() {
                alarm.as_mut().reset(patience);
            }
            progress = tokio::select! {
                biased;
                () = &mut shutdown => return Close::Shutdown,
                () = &mut end => return Close::TakenOver,
                read = self.read(version, &mut tap) => match read {
                    Ok(progress) => progress,
                    Err(_) => return Close::Network,
                },
                () = &mut alarm => {
                    // The alarm is moved only when it rings, or has to ring sooner, not for every packet.
                    if patience <= Instant::now() {
                        return if patience < deadline { Close::SlowPacket } else { Close::KeepAlive };
                    }
                    alarm.as_mut().reset(patience);
                    Progress::default()
                }
            };
        }
    }

    /// Reads, once there is room for an unfinished packet.
    async fn read(&mut self, version: Version, tap: &mut Tap) -> io::Result<Progress> {
        if self.rest.len() > READ_BYTES || self.unfinished.is_some() {
            self.make_room().await?;
        }
        poll_fn(|context| self.poll_read(context, version, tap)).await
    }

    /// Takes apart what came together with the hello.
    fn begin(&mut self, version: Version, tap: &mut Tap) -> Progress {
        let rest = std::mem::take(&mut self.rest);
        let progress = SCRATCH.with_borrow_mut(|scratch| self.take_apart(&rest, version, tap, &mut scratch.parcel));
        self.rest.extend_from_slice(&rest[progress.used..]);
        progress
    }

    /// Reads, and takes apart what was read, in the memory of the thread. An end is an error.
    fn poll_read(&mut self, context: &mut Context<'_>, version: Version, tap: &mut Tap) -> Poll<io::Result<Progress>> {
        SCRATCH.with_borrow_mut(|Scratch { bytes, parcel }| {
            let before = if self.rest.len() <= COPIED_BYTES_MAX { self.rest.len() } else { 0 };
            let mut read = ReadBuf::new(&mut bytes[before..before + READ_BYTES]);
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut read))?;
            let count = read.filled().len();
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let mut rest = std::mem::take(&mut self.rest);
            let progress = if before == rest.len() {
                bytes[..before].copy_from_slice(&rest);
                let whole = &bytes[..before + count];
                let progress = self.take_apart(whole, version, tap, parcel);
                rest.clear();
                rest.extend_from_slice(&whole[progress.used..]);
                progress
            } else {
                rest.extend_from_slice(&bytes[..count]);
                let progress = self.take_apart(&rest, version, tap, parcel);
                rest.drain(..progress.used);
                progress
            };
            // Between packets a connection holds nothing.
            self.rest = if rest.is_empty() { Vec::new() } else { rest };
            Poll::Ready(Ok(progress))
        })
    }

    /// Takes all whole packets out of `bytes`: messages are decoded and handed over, the rest is answered.
    fn take_apart(&mut self, bytes: &[u8], version: Version, tap: &mut Tap, parcel: &mut Parcel) -> Progress {
        let received = clock::now();
        let mut progress = Progress::default();
        if !parcel.is_empty() {
            // Another connection died of a bug while it was filling this: nothing of it was acknowledged.
            *parcel = Parcel::default();
        }
        while progress.close.is_none() {
            let rest = &bytes[progress.used..];
            let whole = match packet::frame(rest, self.endpoint.config.packet_bytes_max) {
                Ok(Some(whole)) => whole,
                Ok(None) => break,
                Err(close) => {
                    progress.close = Some(close);
                    break;
                }
            };
            progress.used += whole;
            let frame = &rest[..whole];
            match packet::plain(version, frame) {
                Some(Plain { topic, id, payload }) if self.receiving.knows(topic) => {
                    // It was text the last time, and allowed.
                    if !self.endpoint.taps.is_looked_at() && self.receiving.again(payload, received, parcel) {
                        parcel.ids.extend(id);
                    } else {
                        let topic = str::from_utf8(topic).unwrap_or_default();
                        self.publish(topic, id, payload, received, parcel);
                    }
                }
                _ => progress.close = self.packet(version, frame, received, tap, parcel).err(),
            }
        }
        if !parcel.is_empty() {
            if !parcel.ids.is_empty() {
                parcel.clients.push((Arc::clone(self.outbox), parcel.ids.len()));
                self.outbox.expect(parcel.ids.len());
            }
            match self.endpoint.writer.try_put(parcel) {
                Ok(true) => {}
                Ok(false) => progress.waiting = Some(std::mem::take(parcel)),
                Err(Stopped) => {
                    *parcel = Parcel::default();
                    progress.close = Some(Close::Shutdown);
                }
            }
        }
        progress
    }

    /// Takes any packet, by the codec.
    fn packet(
        &mut self,
        version: Version,
        frame: &[u8],
        received: TimeMs,
        tap: &mut Tap,
        parcel: &mut Parcel,
    ) -> Result<(), Close> {
        match packet::read(version, frame)? {
            Packet::Publish(publish) if !self.rights.allow(&publish.topic) => return Err(Close::NotAllowed),
            Packet::Publish(publish) => {
                let received = publish.received.filter(|_| self.rights.replay).unwrap_or(received);
                self.publish(&publish.topic, publish.id, &publish.payload, received, parcel);
            }
            Packet::Subscribe { id, filters } => {
                let granted = tap.add(filters, &self.endpoint.taps, (self.outbox, version), &self.end);
                self.outbox.push(|out| packet::suback(version, id, &granted, out));
            }
            Packet::Unsubscribe { id, filters } => {
                tap.remove(&filters);
                self.outbox.push(|out| packet::unsuback(version, id, filters.len(), out));
            }
            Packet::Ping => self.outbox.push(packet::pong),
            Packet::Disconnect => return Err(Close::Disconnected),
        }
        Ok(())
    }

    fn publish(&mut self, topic: &str, id: Option<u16>, payload: &[u8], received: TimeMs, parcel: &mut Parcel) {
        self.endpoint.taps.offer(topic, payload);
        self.receiving.message(topic, payload, received, parcel);
        parcel.ids.extend(id);
    }

    async fn hand_over(&self, parcel: Parcel) -> Result<(), Stopped> {
        let out_of_patience = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(self.endpoint.config.close_wait).await;
        };
        tokio::select! {
            put = self.endpoint.writer.put(parcel) => put,
            () = out_of_patience => Err(Stopped),
        }
    }

    /// Waits for room for an unfinished packet, if it has become a large one, and gives back what is not needed.
    async fn make_room(&mut self) -> io::Result<()> {
        if self.rest.len() <= READ_BYTES {
            self.unfinished = None;
            return Ok(());
        }
        let held = self.unfinished.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        // No more than there is in all: a packet that needs everything still gets it.
        let most = self.endpoint.config.unfinished_bytes_max as usize;
        let wanted = self.rest.len().min(most).saturating_sub(held);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.endpoint.unfinished).acquire_many_owned(wanted).await;
        let more = more.map_err(|_| io::ErrorKind::ConnectionAborted)?;
        match &mut self.unfinished {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}
