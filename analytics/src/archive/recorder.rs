//! History while the spool is followed: takes closed minutes from the engine and has them written.
//!
//! Upstream: [`crate::follow`], at every turn. Downstream: a thread with the [`Archive`], so that neither a slow disk nor
//! a storage that is down holds a figure up. One order is under way at a time; until it is done the engine keeps the
//! rows, and every checkpoint has them. What fails is tried again, after a pause that doubles up to [`PAUSE_MAX`].

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use roads::Network;

use super::collect::{Borders, CollectConfig};
use super::compact::{Compacted, Job, Which};
use super::error::ArchiveError;
use super::frame::Frame;
use super::manifest::Entry;
use super::place::{Access, Place};
use super::remote::Remote;
use super::retain::Retention;
use super::status::Status;
use super::store::Archive;
use super::table::Table;
use crate::engine::Engine;

/// First and longest pause after a failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// How often the thread looks for work of its own: what is over, what is old, what waits for the storage.
const LOOK: Duration = Duration::from_secs(10);

/// So many rows are written before their minutes are together, some 15 MB.
const FLUSH_ROWS: u64 = 250_000;

/// What a recorder is told.
#[derive(Clone, Debug)]
pub struct RecordConfig {
    pub place: Place,
    /// The folder on this machine where the archive is a bucket.
    pub staging: PathBuf,
    pub access: Access,
    pub city: String,
    pub collect: CollectConfig,
    /// Minutes that are written together.
    pub flush_minutes: usize,
    pub retention: Retention,
    /// Most bytes that wait for a bucket; beyond it the oldest are given up, counted and told.
    pub waiting_bytes_max: u64,
}

impl RecordConfig {
    /// Defaults for a city.
    pub fn new(place: Place, city: impl Into<String>) -> Self {
        Self {
            place,
            staging: PathBuf::from("archive-staging"),
            access: Access::default(),
            city: city.into(),
            collect: CollectConfig::default(),
            flush_minutes: 5,
            retention: Retention::default(),
            waiting_bytes_max: 4 << 30,
        }
    }
}

/// The end of the thread that is in the follower.
pub struct Recorder {
    orders: SyncSender<Order>,
    done: Receiver<bool>,
    thread: JoinHandle<()>,
    under_way: Option<Borders>,
    flush_minutes: usize,
    /// The first block that no file of ours covers, as far as this run knows.
    next_block: Option<u64>,
    asked_block: u64,
    pause: Duration,
    failed: Option<Instant>,
    status: Status,
}

struct Order {
    tables: Vec<(Table, Frame)>,
    blocks: (u64, u64),
}

impl Recorder {
    /// Starts the thread; an archive that cannot be opened is tried again, and told.
    ///
    /// # Panics
    /// When the operating system gives no thread.
    pub fn start(config: RecordConfig, network: Arc<Network>, status: Status) -> Self {
        let flush_minutes = config.flush_minutes;
        let (orders, ordered) = sync_channel(1);
        let (tell, done) = sync_channel(1);
        let mut clerk = Clerk {
            config,
            network,
            status: status.clone(),
            open: None,
            pause: PAUSE_MIN,
            remote_failed: None,
            compacted: Compacted::default(),
        };
        let thread = std::thread::Builder::new().name("archive".into()).spawn(move || clerk.run(&ordered, &tell));
        Self {
            orders,
            done,
            thread: thread.expect("the operating system gives one more thread"),
            under_way: None,
            flush_minutes,
            next_block: None,
            asked_block: 0,
            pause: PAUSE_MIN,
            failed: None,
            status,
        }
    }

    /// Has closed minutes written when there are enough; `next_block` is the first block that is not counted in.
    pub fn turn(&mut self, engine: &mut Engine, next_block: u64) {
        match self.done.try_recv() {
            Ok(is_written) => self.take(engine, is_written),
            Err(TryRecvError::Disconnected) if self.under_way.is_some() => self.take(engine, false),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        self.next_block.get_or_insert(next_block);
        let Some(collector) = engine.collector() else { return };
        let enough = collector.ready_minutes() >= self.flush_minutes || collector.ready_rows() >= FLUSH_ROWS;
        let is_resting = self.failed.is_some_and(|at| at.elapsed() < self.pause);
        if enough && self.under_way.is_none() && !is_resting {
            self.order(engine, next_block);
        }
    }

    /// Has everything that is closed written, and ends; what cannot be written stays with the engine.
    pub fn end(mut self, engine: &mut Engine, next_block: u64) {
        self.wait(engine);
        if self.failed.is_none() && engine.collector().is_some_and(|collector| collector.ready_rows() > 0) {
            self.order(engine, next_block);
            self.wait(engine);
        }
        drop(self.orders);
        if self.thread.join().is_err() {
            tracing::error!("the thread that writes history ended by a panic");
        }
    }

    fn order(&mut self, engine: &Engine, next_block: u64) {
        let Some(collector) = engine.collector() else { return };
        let (tables, borders) = collector.ready();
        let first = self.next_block.unwrap_or(0);
        let order = Order { tables, blocks: (first, next_block.saturating_sub(1).max(first)) };
        self.asked_block = next_block;
        // One is under way at most, so the channel has room.
        if self.orders.try_send(order).is_ok() {
            self.under_way = Some(borders);
        } else {
            self.failed = Some(now());
        }
    }

    fn wait(&mut self, engine: &mut Engine) {
        if self.under_way.is_some() {
            let is_written = self.done.recv().unwrap_or(false);
            self.take(engine, is_written);
        }
    }

    fn take(&mut self, engine: &mut Engine, is_written: bool) {
        let Some(borders) = self.under_way.take() else { return };
        let Some(collector) = engine.collector_mut() else { return };
        if is_written {
            collector.release(&borders);
            (self.next_block, self.failed, self.pause) = (Some(self.asked_block), None, PAUSE_MIN);
        } else {
            self.pause = if self.failed.is_some() { (self.pause * 2).min(PAUSE_MAX) } else { PAUSE_MIN };
            self.failed = Some(now());
        }
        let (left_out, ready_rows) = (collector.left_out(), collector.ready_rows());
        self.status.change(|health| (health.left_out, health.ready_rows) = (left_out, ready_rows));
    }
}

/// What the thread has open.
struct Open {
    archive: Archive,
    remote: Option<Remote>,
}

/// The thread.
struct Clerk {
    config: RecordConfig,
    network: Arc<Network>,
    status: Status,
    open: Option<Open>,
    /// After a failure of the storage.
    pause: Duration,
    remote_failed: Option<Instant>,
    compacted: Compacted,
}

impl Clerk {
    fn run(&mut self, orders: &Receiver<Order>, tell: &SyncSender<bool>) {
        self.look();
        loop {
            match orders.recv_timeout(LOOK) {
                Ok(order) => {
                    let done = self.add(order);
                    if let Err(fault) = &done {
                        self.fault(fault);
                    }
                    if tell.send(done.is_ok()).is_err() {
                        return;
                    }
                    if done.is_err() {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.look();
        }
        // A storage that is down would hold the end up; what waits is put there by the next run.
        self.sync();
        self.tell();
    }

    fn add(&mut self, order: Order) -> Result<(), ArchiveError> {
        let (city, blocks) = (self.config.city.clone(), order.blocks);
        let added = self.archive()?.add(&city, order.tables, Some(blocks), wall_ms())?;
        self.status.change(|health| {
            health.fault = None;
            health.added.join(added);
        });
        Ok(())
    }

    /// Compacts, lets go of what is old, and brings the storage up to date.
    fn look(&mut self) {
        if let Err(fault) = self.tidy() {
            self.fault(&fault);
        }
        self.sync();
        self.tell();
    }

    fn tidy(&mut self) -> Result<(), ArchiveError> {
        self.archive()?;
        let (retention, now_ms) = (self.config.retention, wall_ms());
        let Some(Open { archive, remote }) = &mut self.open else { return Ok(()) };
        while let Some(job) = archive.next_job(Which::Over) {
            if let Some(remote) = remote {
                archive.fetch(remote, job.paths())?;
            }
            archive.work(&job, now_ms, &mut self.compacted)?;
            if matches!(job, Job::Day { .. }) {
                self.status.day_over();
            }
        }
        let removed = archive.retain(&retention, now_ms)?;
        let compacted = self.compacted;
        self.status.change(|health| {
            (health.fault, health.compacted) = (None, compacted);
            health.removed.files += removed.files;
            health.removed.bytes += removed.bytes;
            health.removed.rows += removed.rows;
        });
        Ok(())
    }

    fn sync(&mut self) {
        let is_resting = self.remote_failed.is_some_and(|at| at.elapsed() < self.pause);
        let Some(Open { archive, remote: Some(remote) }) = self.open.as_mut().filter(|_| !is_resting) else { return };
        match archive.sync(remote).and_then(|_| archive.make_room()) {
            Ok(_) => {
                (self.remote_failed, self.pause) = (None, PAUSE_MIN);
                self.status.change(|health| health.remote_fault = None);
            }
            Err(fault) => {
                let is_first = self.remote_failed.is_none();
                self.pause = if is_first { PAUSE_MIN } else { (self.pause * 2).min(PAUSE_MAX) };
                self.remote_failed = Some(now());
                if is_first {
                    tracing::warn!("history waits on this machine: {fault}");
                }
                let given_up = archive.give_up_waiting(self.config.waiting_bytes_max).unwrap_or(0);
                if given_up > 0 {
                    tracing::error!("{given_up} rows of history are lost: the object storage was down for too long");
                }
                self.status.change(|health| {
                    health.remote_failures += 1;
                    health.given_up += given_up;
                    health.remote_fault = Some(fault.to_string());
                });
            }
        }
    }

    /// The archive, opened if it is not.
    fn archive(&mut self) -> Result<&mut Archive, ArchiveError> {
        if self.open.is_none() {
            let (archive, remote) = open(&self.config.place, &self.config.staging, &self.config.access)?;
            let mut archive = archive;
            archive.put_segments(&self.config.city, &self.network)?;
            self.open = Some(Open { archive, remote });
        }
        match &mut self.open {
            Some(open) => Ok(&mut open.archive),
            None => unreachable!("it was opened above"),
        }
    }

    fn fault(&mut self, fault: &ArchiveError) {
        tracing::warn!("history cannot be written, the next attempt follows: {fault}");
        self.status.change(|health| {
            health.failures += 1;
            health.fault = Some(fault.to_string());
        });
    }

    fn tell(&self) {
        let Some(open) = &self.open else { return };
        let manifest = open.archive.manifest();
        let bytes = manifest.files.iter().map(|file| file.bytes).sum();
        let cells = manifest.files.iter().filter(|file| matches!(file.table, Table::Cells1Min | Table::Cells5Min));
        let newest_ms = cells.map(Entry::to_ms).max();
        let waiting = if open.remote.is_some() { open.archive.waiting() } else { (0, 0) };
        self.status.change(|health| {
            (health.files, health.bytes, health.newest_ms) = (manifest.files.len() as u64, bytes, newest_ms);
            (health.waiting_files, health.waiting_bytes) = waiting;
        });
    }
}

/// Opens an archive, and the bucket that it is put into, if it is one.
///
/// # Errors
/// [`ArchiveError`] when either cannot be used.
pub fn open(
    place: &Place,
    staging: &std::path::Path,
    access: &Access,
) -> Result<(Archive, Option<Remote>), ArchiveError> {
    match place {
        Place::Folder(folder) => Ok((Archive::open(folder)?, None)),
        Place::Bucket { bucket, prefix } => {
            let remote = Remote::open(bucket, prefix, access)?;
            let mut archive = Archive::open(staging)?;
            archive.take_over(&remote)?;
            Ok((archive, Some(remote)))
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "pauses are of the wall clock; no figure depends on them")]
fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, by the clock of this machine.
#[allow(clippy::disallowed_methods, reason = "how long a person's positions are kept is a matter of the wall clock")]
pub fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
