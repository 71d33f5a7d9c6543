//! A running ingest in a folder of its own, a client of bare bytes, and what the spool holds.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use ingest::server::{Door, ServerConfig, serve_behind};
use ingest::{BlockNumber, Ingest, IngestConfig, Reader};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest that any step of a test may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An ingest with its endpoint on a free port.
pub(crate) struct Running {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) ingest: Ingest,
    pub(crate) registry: Registry,
    pub(crate) runtime: Runtime,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub(crate) fn start(server: ServerConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = IngestConfig::new(dir.path());
        Self::start_with(dir, config, server)
    }

    pub(crate) fn start_with(dir: tempfile::TempDir, config: IngestConfig, server: ServerConfig) -> Self {
        Self::start_behind(Door::default(), dir, config, server)
    }

    pub(crate) fn start_behind(door: Door, dir: tempfile::TempDir, config: IngestConfig, server: ServerConfig) -> Self {
        let registry = Registry::new();
        let ingest = Ingest::start(config, &registry).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = runtime.spawn(serve_behind(door, listener, ingest.writer(), shutdown.clone(), server));
        Self { dir, address, ingest, registry, runtime, shutdown, serving }
    }

    /// Shuts everything down and gives the rows of the spool by event time.
    pub(crate) fn end(self) -> (ingest::Fates, BTreeMap<i64, usize>) {
        self.shutdown.cancel();
        self.runtime.block_on(self.serving).unwrap().unwrap();
        let fates = self.ingest.stop().unwrap();
        (fates, rows_by_time(self.dir.path()))
    }

    /// The value of a metric line, 0 if it is not there.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        metric(&self.registry, line)
    }

    /// Waits until a metric has reached a value.
    pub(crate) fn until_metric(&self, line: &str, least: f64) {
        until(&format!("{line} >= {least}"), || self.metric(line) >= least);
    }
}

pub(crate) fn metric(registry: &Registry, line: &str) -> f64 {
    let mut page = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut page).unwrap();
    value_in(&String::from_utf8(page).unwrap(), line)
}

pub(crate) fn value_in(page: &str, line: &str) -> f64 {
    let found = page.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
    found.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits for a condition that nothing announces.
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    until_every(Duration::from_millis(5), PATIENCE, what, holds);
}

/// The same for what takes longer, and costs something to ask.
pub(crate) fn until_within(patience: Duration, what: &str, holds: impl FnMut() -> bool) {
    until_every(Duration::from_millis(500), patience, what, holds);
}

fn until_every(pause: Duration, patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..patience.as_millis() / pause.as_millis() {
        if holds() {
            return;
        }
        std::thread::sleep(pause);
    }
    panic!("not within {patience:?}: {what}");
}

/// How many rows of positions the spool of `dir` has, by event time.
pub(crate) fn rows_by_time(dir: &Path) -> BTreeMap<i64, usize> {
    let mut reader = Reader::open(&ingest::start::spool_dir(dir), BlockNumber(0)).unwrap();
    let mut rows = BTreeMap::new();
    while let Some((_, batch)) = reader.next().unwrap() {
        for time_ms in batch.positions.time_ms {
            *rows.entry(time_ms).or_insert(0) += 1;
        }
    }
    rows
}

/// A position whose event time tells it from all others.
pub(crate) fn payload(time_ms: i64) -> String {
    format!(r#"{{"ts_ms":{time_ms},"lon_deg":11.3,"lat_deg":44.5,"speed_mps":8.3}}"#)
}

pub(crate) const TOPIC: &str = "arterial/v1/test/position/bus-1";

/// A client of bare bytes, MQTT 3.1.1 unless told otherwise.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    pub(crate) fn open(address: SocketAddr) -> std::io::Result<Self> {
        Self::of(TcpStream::connect(address)?)
    }

    /// The same, and no wait is longer than `patience`.
    pub(crate) fn within(address: SocketAddr, patience: Duration) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        let raw = Self::of(stream)?;
        raw.stream.set_read_timeout(Some(patience))?;
        raw.stream.set_write_timeout(Some(patience))?;
        Ok(raw)
    }

    pub(crate) fn of(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Connects and gets a CONNACK.
    pub(crate) fn connect(address: SocketAddr, level: u8, id: &str, keep_alive_s: u16) -> Self {
        let mut raw = Self::open(address).unwrap();
        raw.send(&connect(level, id, keep_alive_s));
        let (kind, body) = raw.packet().expect("a CONNACK");
        assert_eq!((kind, body[1]), (0x20, 0), "{body:?}");
        raw
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Whether something can be read at once.
    pub(crate) fn has_bytes(&mut self) -> bool {
        !self.buffer.is_empty() || matches!(self.peek(), Ok(1..))
    }

    /// Whether the other side has closed and nothing is left to read.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.buffer.is_empty()
            && match self.peek() {
                Ok(read) => read == 0,
                Err(cause) => cause.kind() != std::io::ErrorKind::WouldBlock,
            }
    }

    fn peek(&self) -> std::io::Result<usize> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        peeked
    }

    /// The next packet: first byte and body; `None` when the other side has closed.
    pub(crate) fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        self.try_packet().unwrap()
    }

    pub(crate) fn try_packet(&mut self) -> std::io::Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Some((head, length)) = framed(&self.buffer) {
                let rest = self.buffer.split_off(head + length);
                let packet = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some((packet[0], packet[head..].to_vec())));
            }
            let mut chunk = [0; 4_096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
                // A reset is as good an end as any.
                Err(cause) if cause.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Reads until the other side closes; the last packet before that.
    pub(crate) fn until_closed(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut last = None;
        while let Some(packet) = self.packet() {
            last = Some(packet);
        }
        last
    }
}

fn framed(buffer: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for at in 1..=4 {
        let byte = *buffer.get(at)?;
        length |= usize::from(byte & 0x7F) << (7 * (at - 1));
        if byte & 0x80 == 0 {
            return (buffer.len() > at + length).then_some((at + 1, length));
        }
    }
    None
}

/// A packet from its first byte and body.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        bytes.push((length & 0x7F) as u8 | more);
        length >>= 7;
        if more == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

pub(crate) fn connect(level: u8, id: &str, keep_alive_s: u16) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend([level, 2]);
    body.extend(keep_alive_s.to_be_bytes());
    if level == 5 {
        body.push(0);
    }
    body.extend(text(id));
    packet(0x10, &body)
}

/// PUBLISH of version 3.1.1 with QoS 1.
pub(crate) fn publish(topic: &str, id: u16, payload: &str) -> Vec<u8> {
    let mut body = text(topic);
    body.extend(id.to_be_bytes());
    body.extend_from_slice(payload.as_bytes());
    packet(0x32, &body)
}

pub(crate) fn puback_id(body: &[u8]) -> u16 {
    u16::from_be_bytes([body[0], body[1]])
}
