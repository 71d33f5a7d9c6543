//! A load generator: MQTT 3.1.1 publishers with QoS 1, packets prepared once, one thread, one poll.
//!
//! Each connection is one vehicle (`arterial/v1/bench/position/veh-00007`) whose events count their time up by a
//! millisecond. It keeps at most a window of messages unacknowledged, and writes at most a burst of them at once:
//! a large window is a pipelining gateway, a burst of 1 a fleet. With a subscriber behind a broker it also keeps
//! what is sent and not yet received below a bound, so that no queue of the broker can grow.
//! Upstream: `run.py`. Downstream: the server under test; one line of JSON on standard output.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

type Failure = Box<dyn std::error::Error>;

/// What to send.
struct Load {
    address: std::net::SocketAddr,
    connections: usize,
    window: usize,
    burst: usize,
    /// Events in a message.
    batch: usize,
    /// Bytes of one event.
    event_bytes: usize,
    seconds: f64,
    /// Messages a second of all connections together; 0 is as fast as possible.
    rate: f64,
    /// File in which a subscriber counts messages, and how far it may be behind.
    received: Option<(std::fs::File, u64)>,
}

struct Connection {
    socket: TcpStream,
    out: Vec<u8>,
    written: usize,
    /// Packet, offset of the packet id in it, and offsets of the 13 digits of each event's time.
    template: (Vec<u8>, usize, Vec<usize>),
    time_ms: u64,
    sent: u64,
    acked: u64,
    /// Bytes of an acknowledgement that was cut by the end of a read.
    rest: usize,
    /// When each unacknowledged message was due, if latency is measured.
    due: std::collections::VecDeque<f64>,
}

/// `load ADDRESS CONNECTIONS WINDOW BURST BATCH EVENT_BYTES SECONDS RATE TIME_MS [COUNTER LAG]`; `TIME_MS` is the time of
/// the first events, to be another one in each run against the same spool.
pub(crate) fn main(arguments: &[String]) -> Result<(), Failure> {
    let [address, connections, window, burst, batch, event_bytes, seconds, rate, time_ms, received @ ..] = arguments
    else {
        return Err("load ADDRESS CONNECTIONS WINDOW BURST BATCH EVENT_BYTES SECONDS RATE TIME_MS [COUNTER LAG]".into());
    };
    let load = Load {
        address: address.parse()?,
        connections: connections.parse()?,
        window: window.parse()?,
        burst: burst.parse()?,
        batch: batch.parse()?,
        event_bytes: event_bytes.parse()?,
        seconds: seconds.parse()?,
        rate: rate.parse()?,
        received: match received {
            [counter, lag] => Some((std::fs::File::open(counter)?, lag.parse()?)),
            _ => None,
        },
    };
    let time_ms = time_ms.parse()?;
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(load.connections);
    for n in 0..load.connections {
        connections.push(connect(&load, n, time_ms, &poll)?);
    }
    run(&load, &mut poll, &mut connections)
}

/// Opens a connection, says hello and waits for the answer.
fn connect(load: &Load, n: usize, time_ms: u64, poll: &Poll) -> Result<Connection, Failure> {
    let mut socket = std::net::TcpStream::connect(load.address)?;
    socket.set_nodelay(true)?;
    let id = format!("bench-{n}");
    let mut hello = vec![0x10, (12 + id.len()) as u8, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 120];
    text(&id, &mut hello);
    socket.write_all(&hello)?;
    let mut answer = [0; 4];
    socket.read_exact(&mut answer)?;
    if answer != [0x20, 2, 0, 0] {
        return Err(format!("refused: {answer:?}").into());
    }
    socket.set_nonblocking(true)?;
    let mut socket = TcpStream::from_std(socket);
    poll.registry().register(&mut socket, Token(n), Interest::READABLE | Interest::WRITABLE)?;
    Ok(Connection {
        socket,
        out: Vec::new(),
        written: 0,
        template: template(load, n),
        time_ms,
        sent: 0,
        acked: 0,
        rest: 0,
        due: std::collections::VecDeque::new(),
    })
}

fn template(load: &Load, n: usize) -> (Vec<u8>, usize, Vec<usize>) {
    let mut event = format!(
        "{{\"source\":\"veh-{n:05}\",\"seq\":123456,\"ts_ms\":1000000000000,\"lon_deg\":24.938412,\"lat_deg\":60.169873,\
         \"speed_mps\":12.34,\"heading_deg\":271.5,\"x\":\""
    );
    while event.len() + 2 < load.event_bytes {
        event.push('p');
    }
    event.push_str("\"}");
    let time_at = event.find("1000000000000").expect("it was just written");
    let mut body = Vec::new();
    text(&format!("arterial/v1/bench/position/veh-{n:05}"), &mut body);
    let id_at = body.len();
    body.extend([0, 0]);
    let mut times = Vec::new();
    for k in 0..load.batch {
        if load.batch > 1 {
            body.push(if k == 0 { b'[' } else { b',' });
        }
        times.push(body.len() + time_at);
        body.extend_from_slice(event.as_bytes());
    }
    if load.batch > 1 {
        body.push(b']');
    }
    let mut packet = vec![0x32];
    let mut length = body.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        packet.push((length & 0x7F) as u8 | more);
        length >>= 7;
        if more == 0 {
            break;
        }
    }
    let head = packet.len();
    packet.extend_from_slice(&body);
    (packet, head + id_at, times.into_iter().map(|at| head + at).collect())
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[expect(clippy::disallowed_methods, reason = "a load generator measures time")]
fn run(load: &Load, poll: &mut Poll, connections: &mut [Connection]) -> Result<(), Failure> {
    let mut events = Events::with_capacity(1_024);
    let mut buffer = vec![0; 64 << 10];
    let (mut sent, mut acked, mut received) = (0u64, 0u64, 0u64);
    let already = count(load)?;
    let mut latencies: Vec<f32> = Vec::new();
    let begun = Instant::now();
    // Round robin: who was served last comes last.
    let mut first = 0;
    let mut busy = vec![true; connections.len()];
    loop {
        let now = begun.elapsed().as_secs_f64();
        let over = now > load.seconds;
        if over && (acked >= sent || now > load.seconds + 10.0) {
            break;
        }
        let mut credit = if over { 0 } else { u64::MAX };
        if let Some((_, lag)) = &load.received {
            received = count(load)?.saturating_sub(already);
            credit = credit.min(lag.saturating_sub(sent.saturating_sub(received)));
        }
        if load.rate > 0.0 {
            credit = credit.min(((now * load.rate) as u64).saturating_sub(sent));
        }
        let mut more = false;
        for step in 0..connections.len() {
            let at = (first + step) % connections.len();
            let connection = &mut connections[at];
            let room = load.window as u64 - (connection.sent - connection.acked);
            let idle = connection.written == connection.out.len();
            if idle && credit > 0 && room > 0 {
                let count = credit.min(room).min(load.burst as u64);
                connection.fill(count, (load.rate > 0.0).then_some((now, sent as f64, load.rate)));
                (credit, sent) = (credit - count, sent + count);
                busy[at] = true;
            }
            if busy[at] {
                busy[at] = connection.flush()?;
            }
            let room = load.window as u64 - (connection.sent - connection.acked);
            more |= busy[at] && room > 0 && credit > 0;
        }
        first += 1;
        // Without credit only time helps; with full windows only an acknowledgement.
        let wait_ms = if more { 0 } else { 1 };
        poll.poll(&mut events, Some(Duration::from_millis(wait_ms)))?;
        for event in &events {
            let at = event.token().0;
            busy[at] |= event.is_writable();
            if event.is_readable() {
                let now = begun.elapsed().as_secs_f64();
                acked += connections[at].read(&mut buffer, now, &mut latencies)?;
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    latencies.sort_by(f32::total_cmp);
    let quantile = |q: f64| latencies.get((latencies.len() as f64 * q) as usize).copied().unwrap_or(f32::NAN) * 1e3;
    let line = format!(
        "{{\"sent\":{sent},\"acked\":{acked},\"received\":{received},\"seconds\":{seconds:.3},\"p50_ms\":{:.2},\"p99_ms\":{:.2}}}\n",
        quantile(0.5),
        quantile(0.99)
    );
    std::io::stdout().write_all(line.replace("NaN", "null").as_bytes())?;
    Ok(())
}

/// Messages that the subscriber has counted, 0 without one.
fn count(load: &Load) -> std::io::Result<u64> {
    let Some((counter, _)) = &load.received else { return Ok(0) };
    let mut bytes = [0; 8];
    counter.read_exact_at(&mut bytes, 0)?;
    Ok(u64::from_le_bytes(bytes))
}

impl Connection {
    /// Prepares `count` packets; `paced` is now, the messages sent so far and the rate, from which follows when each of
    /// them was due: a late sender must not hide a late answer.
    fn fill(&mut self, count: u64, paced: Option<(f64, f64, f64)>) {
        self.out.clear();
        self.written = 0;
        let (packet, id_at, times) = &self.template;
        for n in 0..count {
            let start = self.out.len();
            self.out.extend_from_slice(packet);
            let id = (self.sent % 65_535 + 1) as u16;
            self.out[start + id_at..start + id_at + 2].copy_from_slice(&id.to_be_bytes());
            for at in times {
                self.time_ms += 1;
                let mut time_ms = self.time_ms;
                for digit in self.out[start + at..start + at + 13].iter_mut().rev() {
                    *digit = b'0' + (time_ms % 10) as u8;
                    time_ms /= 10;
                }
            }
            self.sent += 1;
            if let Some((now, sent, rate)) = paced {
                self.due.push_back(((sent + n as f64) / rate).min(now));
            }
        }
    }

    /// Writes what the socket takes; whether there is more to write and the socket would take it.
    fn flush(&mut self) -> Result<bool, Failure> {
        while self.written < self.out.len() {
            match self.socket.write(&self.out[self.written..]) {
                Ok(bytes) => self.written += bytes,
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(cause) => return Err(cause.into()),
            }
        }
        Ok(true)
    }

    /// Reads acknowledgements until there are no more.
    fn read(&mut self, buffer: &mut [u8], now: f64, latencies: &mut Vec<f32>) -> Result<u64, Failure> {
        let mut count = 0;
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Err("closed by the server".into()),
                Ok(bytes) => {
                    // Only acknowledgements come, four bytes each.
                    self.rest += bytes;
                    let acks = (self.rest / 4) as u64;
                    self.rest %= 4;
                    count += acks;
                    for _ in 0..acks.min(self.due.len() as u64) {
                        latencies.extend(self.due.pop_front().map(|due| (now - due) as f32));
                    }
                    if bytes < buffer.len() {
                        break;
                    }
                }
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => break,
                Err(cause) => return Err(cause.into()),
            }
        }
        self.acked += count;
        Ok(count)
    }
}
