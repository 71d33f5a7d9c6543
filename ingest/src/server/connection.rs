//! One connection, from CONNECT to its end.
//!
//! Upstream: the socket. Downstream: the writer, in receive order; the taps. Two tasks: this one reads, the outbox
//! writes, so that acknowledgements leave while reading is held back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::Endpoint;
use super::close::Close;
use super::outbox::{ClientAck, Outbox};
use super::packet::{self, Hello, Packet, Publish, Version};
use super::tap::Tap;
use crate::clock;
use crate::credentials::Rights;
use crate::writer::{Ack, Incoming};

/// Bytes that are read at once, and that an idle connection holds.
const READ_BYTES: usize = 32 << 10;

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
    match endpoint.door.tls.clone() {
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
    let rights = Arc::new(Rights::all(false));
    let mut reading =
        Reading { socket, buffer: BytesMut::new(), unfinished: None, rights, endpoint, outbox: &outbox, shutdown, end };
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
    buffer: BytesMut,
    /// Room for what the buffer holds beyond [`READ_BYTES`].
    unfinished: Option<OwnedSemaphorePermit>,
    rights: Arc<Rights>,
    endpoint: &'a Endpoint,
    outbox: &'a Arc<Outbox>,
    shutdown: CancellationToken,
    /// Cancelled when another connection takes over the client id; and when this one ends, for its tap.
    end: CancellationToken,
}

impl<R: AsyncRead + Unpin> Reading<'_, R> {
    /// The first packet; the version in an error is that in which the client is told.
    async fn hello(&mut self, from_here: bool) -> Result<Hello, (Option<Version>, Close)> {
        loop {
            match packet::frame(&mut self.buffer, self.endpoint.config.packet_bytes_max) {
                Ok(Some(frame)) => {
                    return match packet::hello(frame) {
                        Ok(hello) if hello.client_id.is_empty() && hello.version == Version::V4 && !hello.clean => {
                            Err((Some(Version::V4), Close::ClientId))
                        }
                        Ok(mut hello) => match self.endpoint.door.rights(from_here, hello.login.take()).await {
                            Some(rights) => {
                                self.rights = rights;
                                Ok(hello)
                            }
                            None => Err((Some(hello.version), Close::Login)),
                        },
                        // Version 3.1.1 is what every client understands at this point.
                        Err(Close::Version) => Err((Some(Version::V4), Close::Version)),
                        Err(close) => Err((None, close)),
                    };
                }
                Ok(None) => {}
                Err(close) => return Err((None, close)),
            }
            if self.fill().await.is_err() {
                return Err((None, Close::Network));
            }
        }
    }

    async fn session(&mut self, hello: Hello) -> Close {
        let (config, version) = (&self.endpoint.config, hello.version);
        let number = self.endpoint.number();
        let assigned = hello.client_id.is_empty().then(|| format!("arterial-{number}"));
        let client_id = assigned.clone().unwrap_or(hello.client_id);
        self.endpoint.arrive(&client_id, number, &self.end);
        let welcome = packet::welcome(version, config.in_flight_max, config.packet_bytes_max, assigned);
        self.outbox.push(|out| out.extend_from_slice(&welcome));
        let silence = match hello.keep_alive_s {
            0 => config.silence_max,
            seconds => Duration::from_millis(u64::from(seconds) * 1_500),
        };
        let close = self.packets(version, silence).await;
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
        let mut deadline = Instant::now() + silence;
        let mut packet_begun = None;
        loop {
            let mut messages = Vec::new();
            let (complete, close) = self.buffered(version, &mut tap, &mut messages);
            // Also what came before a bad packet is handed over: it was received.
            if !messages.is_empty() && self.hand_over(messages).await.is_err() {
                return Close::Shutdown;
            }
            if let Some(close) = close {
                return close;
            }
            let in_flight_max = usize::from(self.endpoint.config.in_flight_max);
            tokio::select! {
                () = self.shutdown.cancelled() => return Close::Shutdown,
                () = self.end.cancelled() => return Close::TakenOver,
                open = self.outbox.until_room(in_flight_max) => if !open { return Close::Network },
            }
            // Counted from here: while we did not read, the client could not show that it lives.
            if complete {
                deadline = Instant::now() + silence;
                packet_begun = None;
            }
            let packet_end = (!self.buffer.is_empty())
                .then(|| *packet_begun.get_or_insert_with(Instant::now) + self.endpoint.config.packet_wait);
            let patience = packet_end.map_or(deadline, |end| end.min(deadline));
            let (shutdown, end) = (self.shutdown.clone(), self.end.clone());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Close::Shutdown,
                () = end.cancelled() => return Close::TakenOver,
                filled = timeout_at(patience, self.fill()) => match filled {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Close::Network,
                    Err(_) if patience < deadline => return Close::SlowPacket,
                    Err(_) => return Close::KeepAlive,
                },
            }
        }
    }

    /// Takes all whole packets out of the buffer: messages are collected, the rest is answered. Whether there
    /// was any, and whether the connection has to end.
    fn buffered(&mut self, version: Version, tap: &mut Tap, messages: &mut Vec<Incoming>) -> (bool, Option<Close>) {
        let received = clock::now();
        let mut complete = false;
        loop {
            let frame = match packet::frame(&mut self.buffer, self.endpoint.config.packet_bytes_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => return (complete, None),
                Err(close) => return (complete, Some(close)),
            };
            complete = true;
            match packet::read(version, frame) {
                Ok(Packet::Publish(publish)) if !self.rights.allow(&publish.topic) => {
                    return (complete, Some(Close::NotAllowed));
                }
                Ok(Packet::Publish(publish)) => {
                    self.endpoint.taps.offer(&publish.topic, &publish.payload);
                    messages.push(self.incoming(publish, received));
                }
                Ok(Packet::Subscribe { id, filters }) => {
                    let granted = tap.add(filters, &self.endpoint.taps, (self.outbox, version), &self.end);
                    self.outbox.push(|out| packet::suback(version, id, &granted, out));
                }
                Ok(Packet::Unsubscribe { id, filters }) => {
                    tap.remove(&filters);
                    self.outbox.push(|out| packet::unsuback(version, id, filters.len(), out));
                }
                Ok(Packet::Ping) => self.outbox.push(packet::pong),
                Ok(Packet::Disconnect) => return (complete, Some(Close::Disconnected)),
                Err(close) => return (complete, Some(close)),
            }
        }
    }

    fn incoming(&self, publish: Publish, received: events::TimeMs) -> Incoming {
        let ack = publish.id.map_or(Ack::None, |id| Ack::Client(ClientAck::new(self.outbox, id)));
        let received = publish.received.filter(|_| self.rights.replay).unwrap_or(received);
        Incoming { topic: publish.topic, payload: publish.payload, received, ack }
    }

    async fn hand_over(&self, messages: Vec<Incoming>) -> Result<(), crate::writer::Stopped> {
        let acknowledged = messages.iter().filter(|message| matches!(message.ack, Ack::Client(_))).count();
        self.outbox.expect(acknowledged);
        let out_of_patience = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(self.endpoint.config.close_wait).await;
        };
        tokio::select! {
            sent = self.endpoint.writer.send(messages) => sent,
            () = out_of_patience => Err(crate::writer::Stopped),
        }
    }

    /// Reads more bytes; an end is an error.
    async fn fill(&mut self) -> io::Result<()> {
        self.make_room().await?;
        self.buffer.reserve(READ_BYTES);
        match self.socket.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Waits for room for an unfinished packet, if it has become a large one, and gives back what is not needed.
    async fn make_room(&mut self) -> io::Result<()> {
        if self.buffer.len() <= READ_BYTES {
            self.unfinished = None;
            return Ok(());
        }
        let held = self.unfinished.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        // No more than there is in all: a packet that needs everything still gets it.
        let most = self.endpoint.config.unfinished_bytes_max as usize;
        let wanted = self.buffer.len().min(most).saturating_sub(held);
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
