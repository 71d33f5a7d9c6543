//! Devices that publish as fast as they are acknowledged, come back whenever they are cut off, and remember what was
//! acknowledged: the oracle of kills and stops.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::PATIENCE;

/// Event time of the first message of the first device, milliseconds; each later one has its own.
const FIRST_MS: i64 = 1_700_000_000_000;

/// Messages that one device may send.
const MESSAGES_MAX: i64 = 10_000_000;

/// Unacknowledged messages of one device.
const WINDOW: usize = 200;

/// What all devices know.
struct Shared {
    port: u16,
    /// No new messages; what was sent is still sent again until it is acknowledged.
    enough: AtomicBool,
    count: AtomicU64,
    acknowledged: Mutex<BTreeSet<i64>>,
}

/// The devices.
pub(crate) struct Devices {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Devices {
    /// Begins to publish to a port of this machine, whoever listens there, and when.
    pub(crate) fn start(number: i64, port: u16) -> Self {
        let (enough, count, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::default());
        let shared = Arc::new(Shared { port, enough, count, acknowledged });
        let device = |n| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || Device { n, sent: 0, waiting: BTreeSet::new(), shared }.run())
        };
        Self { threads: (0..number).map(device).collect(), shared }
    }

    /// How many messages were acknowledged so far.
    pub(crate) fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Event times of the messages that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> BTreeSet<i64> {
        self.shared.acknowledged.lock().unwrap().clone()
    }

    /// Lets everything that was sent be acknowledged, and ends.
    pub(crate) fn end(self) -> BTreeSet<i64> {
        self.shared.enough.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.shared.acknowledged.lock().unwrap().clone()
    }
}

struct Device {
    n: i64,
    sent: i64,
    waiting: BTreeSet<i64>,
    shared: Arc<Shared>,
}

impl Device {
    fn run(mut self) {
        while !(self.shared.enough.load(Ordering::Relaxed) && self.waiting.is_empty()) {
            // Cut off or not let in: it comes again.
            if self.connection().is_err() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn connection(&mut self) -> std::io::Result<()> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.shared.port));
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&connect(&format!("device-{}", self.n), None))?;
        let mut welcome = [0; 4];
        stream.read_exact(&mut welcome)?;
        // Sent again first, in the order of the first time.
        let (mut ready, mut ids): (Vec<i64>, Vec<i64>) = (self.waiting.iter().copied().collect(), Vec::new());
        loop {
            while self.waiting.len() < WINDOW && !self.shared.enough.load(Ordering::Relaxed) {
                let time = FIRST_MS + self.n * MESSAGES_MAX + self.sent;
                self.sent += 1;
                self.waiting.insert(time);
                ready.push(time);
            }
            let mut bytes = Vec::new();
            for time in ready.drain(..) {
                ids.push(time);
                let id = (ids.len() - 1) % 60_000 + 1;
                bytes.extend(publish(&format!("arterial/v1/test/position/device-{}", self.n), id as u16, time));
            }
            stream.write_all(&bytes)?;
            if self.waiting.is_empty() {
                return Ok(());
            }
            let mut puback = [0; 4];
            stream.read_exact(&mut puback)?;
            assert_eq!(puback[..2], [0x40, 2], "only acknowledgements were to come");
            let id = usize::from(u16::from_be_bytes([puback[2], puback[3]]));
            // Ids go round far more seldom than acknowledgements are outstanding.
            let round = ids.len() - 1 - (ids.len() - id) % 60_000;
            let time = ids[round];
            assert!(self.waiting.remove(&time), "{time} was acknowledged twice on one connection");
            self.shared.acknowledged.lock().unwrap().insert(time);
            self.shared.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// CONNECT of version 3.1.1 with a clean session, and an account if there is one.
pub(crate) fn connect(client_id: &str, account: Option<(&str, &str)>) -> Vec<u8> {
    let flags = if account.is_some() { 0xC2 } else { 2 };
    let mut body = [text("MQTT"), vec![4, flags, 0, 60], text(client_id)].concat();
    if let Some((name, password)) = account {
        body.extend(text(name));
        body.extend(text(password));
    }
    packet(0x10, &body)
}

/// PUBLISH of a position with QoS 1, in the demo city.
pub(crate) fn publish(topic: &str, id: u16, time_ms: i64) -> Vec<u8> {
    let payload = format!(r#"{{"ts_ms":{time_ms},"lon_deg":11.35,"lat_deg":44.49,"speed_mps":8.3}}"#);
    packet(0x32, &[text(topic), id.to_be_bytes().to_vec(), payload.into_bytes()].concat())
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    while length > 127 {
        bytes.push((length & 0x7F) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    [bytes, body.to_vec()].concat()
}

/// How often each of the devices' messages lies in the spool, by event time. Others' are left out.
pub(crate) fn stored(data: &Path) -> BTreeMap<i64, usize> {
    let mut reader = ingest::Reader::open(&ingest::start::spool_dir(data), ingest::BlockNumber(0)).unwrap();
    let mut rows = BTreeMap::new();
    while let Some((_, batch)) = reader.next().unwrap() {
        let ours = FIRST_MS..FIRST_MS + 1_000 * MESSAGES_MAX;
        for time_ms in batch.positions.time_ms.into_iter().filter(|time| ours.contains(time)) {
            *rows.entry(time_ms).or_insert(0) += 1;
        }
    }
    rows
}
