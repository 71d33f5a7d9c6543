//! One connection, from CONNECT to its end.
//!
//! Upstream: the socket. Downstream: the writer, in receive order; the taps. Two tasks: this one reads, the outbox
//! writes, so that acknowledgements leave while reading is held back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Endpoint;
use super::close::Close;
use super::outbox::{ClientAck, Outbox};
use super::packet::{self, Hello, Packet, Publish, Version};
use super::tap::Tap;
use crate::clock;
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
    if let Err(cause) = stream.set_nodelay(true) {
        tracing::debug!(%cause, "a new connection is already gone");
        return Close::Network;
    }
    let (socket, out) = stream.into_split();
    let outbox = Arc::new(Outbox::default());
    let writing = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.drive(out).await }
    });
    let end = CancellationToken::new();
    let _ended = end.clone().drop_guard();
    let mut reading = Reading { socket, buffer: BytesMut::new(), endpoint, outbox: &outbox, shutdown, end };
    let close = match timeout(endpoint.config.connect_wait, reading.hello()).await {
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
struct Reading<'a> {
    socket: OwnedReadHalf,
    buffer: BytesMut,
    endpoint: &'a Endpoint,
    outbox: &'a Arc<Outbox>,
    shutdown: CancellationToken,
    /// Cancelled when another connection takes over the client id; and when this one ends, for its tap.
    end: CancellationToken,
}

impl Reading<'_> {
    /// The first packet; the version in an error is that in which the client is told.
    async fn hello(&mut self) -> Result<Hello, (Option<Version>, Close)> {
        loop {
            match packet::frame(&mut self.buffer, self.endpoint.config.packet_bytes_max) {
                Ok(Some(frame)) => {
                    return match packet::hello(frame) {
                        Ok(hello) if hello.client_id.is_empty() && hello.version == Version::V4 && !hello.clean => {
                            Err((Some(Version::V4), Close::ClientId))
                        }
                        Ok(hello) => Ok(hello),
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
            }
            let (shutdown, end) = (self.shutdown.clone(), self.end.clone());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Close::Shutdown,
                () = end.cancelled() => return Close::TakenOver,
                filled = timeout_at(deadline, self.fill()) => match filled {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Close::Network,
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
        let received = publish.received.unwrap_or(received);
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
        self.buffer.reserve(READ_BYTES);
        match self.socket.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
