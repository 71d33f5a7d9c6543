//! Publishers that write down, outside of the victim, what was acknowledged to them; and the judgement over the spool.
//!
//! Each publisher speaks for sources of its own, numbers its messages, keeps a window of unacknowledged ones, and
//! sends these again, in order, on every new connection. At PUBACK it writes `source sequence` to its file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use events::TimeMs;
use ingest::spool::inspect::{Depth, inspect};
use ingest::{BlockNumber, Pseudonyms, Reader};

use crate::support::{PATIENCE, Raw, connect, puback_id, publish};

/// Unacknowledged messages of one publisher.
const WINDOW: usize = 100;

/// Pause before a publisher connects again.
const RETRY: Duration = Duration::from_millis(5);

/// Pause between two looks at a spool that grows.
const ASK: Duration = Duration::from_millis(500);

/// Sources of one publisher.
const SOURCES: u64 = 3;

/// What all publishers share.
#[derive(Default)]
struct Shared {
    address: Mutex<Option<SocketAddr>>,
    acknowledged: AtomicU64,
    stop: AtomicBool,
    /// Nothing new is sent once so many are acknowledged; 0 is no limit.
    limit: AtomicU64,
    /// Longest wait for an answer before a connection is given up; 0 is a minute.
    patience_ms: AtomicU64,
}

/// The publishers.
pub(crate) struct Oracle {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    files: Vec<PathBuf>,
    _dir: tempfile::TempDir,
}

impl Oracle {
    pub(crate) fn start(publishers: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::default());
        let files: Vec<_> = (0..publishers).map(|n| dir.path().join(format!("{n}"))).collect();
        let threads = files.iter().enumerate().map(|(n, path)| {
            let (shared, file) = (Arc::clone(&shared), BufWriter::new(File::create(path).unwrap()));
            std::thread::spawn(move || Publisher { number: n, next: 0, unsure: VecDeque::new(), file }.run(&shared))
        });
        Self { threads: threads.collect(), shared, files, _dir: dir }
    }

    /// Where to publish from now on.
    pub(crate) fn publish_to(&self, address: SocketAddr) {
        *self.shared.address.lock().unwrap() = Some(address);
    }

    /// How long an answer is waited for before a publisher connects anew.
    pub(crate) fn be_patient_for(&self, patience: Duration) {
        self.shared.patience_ms.store(patience.as_millis() as u64, Ordering::Relaxed);
    }

    /// Sends nothing new once so many are acknowledged: a broker takes more than a victim that is away can make up for.
    pub(crate) fn stop_at(&self, acknowledged: u64) {
        self.shared.limit.store(acknowledged, Ordering::Relaxed);
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Sends nothing new, waits until everything is acknowledged, and reads what was written down.
    pub(crate) fn end(self) -> BTreeMap<String, BTreeSet<u64>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut acknowledged: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for path in &self.files {
            for line in BufReader::new(File::open(path).unwrap()).lines() {
                let line = line.unwrap();
                let (source, seq) = line.split_once(' ').unwrap();
                acknowledged.entry(source.to_owned()).or_default().insert(seq.parse().unwrap());
            }
        }
        acknowledged
    }
}

struct Publisher {
    number: usize,
    next: u64,
    /// Sent and not acknowledged, oldest first.
    unsure: VecDeque<u64>,
    file: BufWriter<File>,
}

impl Publisher {
    fn source(&self, n: u64) -> String {
        format!("p{}-{}", self.number, n % SOURCES)
    }

    fn run(mut self, shared: &Shared) {
        loop {
            if shared.stop.load(Ordering::Relaxed) && self.unsure.is_empty() {
                self.file.flush().unwrap();
                return;
            }
            let address = *shared.address.lock().unwrap();
            let done = address.is_some_and(|address| self.connection(address, shared).is_ok());
            if !done {
                // Nobody is there. As a device would: not at once again.
                std::thread::sleep(RETRY);
            }
        }
    }

    /// Publishes on one connection until it fails, or everything is acknowledged.
    fn connection(&mut self, address: SocketAddr, shared: &Shared) -> std::io::Result<()> {
        let patience = match shared.patience_ms.load(Ordering::Relaxed) {
            0 => Duration::from_secs(60),
            ms => Duration::from_millis(ms),
        };
        let mut raw = Raw::within(address, patience)?;
        raw.stream.write_all(&connect(4, &format!("publisher-{}", self.number), 60))?;
        if !matches!(raw.try_packet()?, Some((0x20, _))) {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        // Packet ids begin anew: the n-th message of a connection has the n-th id.
        let (mut sent, mut acked) = (0usize, 0usize);
        loop {
            let stopping = shared.stop.load(Ordering::Relaxed);
            let limit = shared.limit.load(Ordering::Relaxed);
            let enough = stopping || (limit > 0 && shared.acknowledged.load(Ordering::Relaxed) >= limit);
            if enough && self.unsure.is_empty() {
                if stopping {
                    return Ok(());
                }
                std::thread::sleep(RETRY);
                continue;
            }
            let mut bytes = Vec::new();
            while sent - acked < WINDOW {
                let in_flight = sent - acked;
                if in_flight == self.unsure.len() {
                    if enough {
                        break;
                    }
                    self.unsure.push_back(self.next);
                    self.next += 1;
                }
                let n = self.unsure[in_flight];
                let topic = format!("arterial/v1/test/position/{}", self.source(n));
                let body = format!(r#"{{"ts_ms":{n},"seq":{n},"lon_deg":11.3,"lat_deg":44.5,"speed_mps":8.3}}"#);
                bytes.extend(publish(&topic, (sent % 60_000) as u16 + 1, &body));
                sent += 1;
            }
            raw.stream.write_all(&bytes)?;
            let (kind, body) = raw.try_packet()?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
            assert_eq!(kind, 0x40);
            assert_eq!(usize::from(puback_id(&body)), acked % 60_000 + 1, "acknowledged in the order of sending");
            acked += 1;
            let n = self.unsure.pop_front().unwrap();
            writeln!(self.file, "{} {n}", self.source(n)).unwrap();
            shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the spool holds, held against what was acknowledged.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) acknowledged: u64,
    pub(crate) stored: u64,
    pub(crate) lost: u64,
    /// Stored a second time.
    pub(crate) twice: u64,
    /// Stored behind a later one of the same source.
    pub(crate) out_of_order: u64,
}

impl Judgement {
    pub(crate) fn of(dir: &Path, acknowledged: &BTreeMap<String, BTreeSet<u64>>) -> Self {
        let mut pseudonyms = Pseudonyms::load_or_create(dir).unwrap();
        // All sequences lie on one day of event time, so each source has one pseudonym.
        let names: BTreeMap<u64, &String> =
            acknowledged.keys().map(|source| (pseudonyms.of(source, TimeMs(0)), source)).collect();
        let mut reader = Reader::open(&ingest::start::spool_dir(dir), BlockNumber(0)).unwrap();
        let (mut stored, mut judgement) = (BTreeMap::<&String, BTreeSet<u64>>::new(), Self::default());
        while let Some((_, batch)) = reader.next().unwrap() {
            for (vehicle, seq) in batch.positions.vehicle.iter().zip(&batch.positions.seq) {
                let (seqs, seq) = (stored.entry(names[vehicle]).or_default(), seq.unwrap());
                judgement.out_of_order += u64::from(seqs.last().is_some_and(|last| seq < *last));
                judgement.twice += u64::from(!seqs.insert(seq));
                judgement.stored += 1;
            }
        }
        for (source, seqs) in acknowledged {
            let found = stored.remove(source).unwrap_or_default();
            judgement.acknowledged += seqs.len() as u64;
            judgement.lost += seqs.difference(&found).count() as u64;
        }
        judgement
    }
}

/// Judges until nothing acknowledged is missing, or nothing more has been stored for a minute: how long a broker takes
/// for what it holds depends on the machine, whether it gets on does not.
pub(crate) fn judge_in_the_end(dir: &Path, acknowledged: &BTreeMap<String, BTreeSet<u64>>) -> Judgement {
    let (mut judged, mut silent) = (Judgement::of(dir, acknowledged), Duration::ZERO);
    while judged.lost > 0 && silent < PATIENCE {
        std::thread::sleep(ASK);
        silent = if spool_rows(dir) > judged.stored { Duration::ZERO } else { silent + ASK };
        if silent.is_zero() {
            judged = Judgement::of(dir, acknowledged);
        }
    }
    judged
}

/// Rows of the spool of `dir`, by the heads of its blocks.
pub(crate) fn spool_rows(dir: &Path) -> u64 {
    let files = inspect(&ingest::start::spool_dir(dir), Depth::Heads).unwrap();
    files.iter().map(|file| file.rows).sum()
}

/// Bytes of the spool of `dir`.
pub(crate) fn spool_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(ingest::start::spool_dir(dir)).unwrap();
    files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}
