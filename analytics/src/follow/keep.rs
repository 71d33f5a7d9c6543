//! Checkpoints while the spool is followed: where to go on at the start, and when to write the next one.
//!
//! Upstream: [`super::Follower`], which counts blocks in. Downstream: [`crate::checkpoint`], the marks of the spool.
//!
//! One is made after so many seconds or blocks, whichever comes first, and at the end. It is encoded at once and written
//! by a thread of its own, one at a time, so that a slow disk holds no figures up; if that takes long, the next one waits
//! until twenty times as long has passed. A checkpoint that cannot be written is told and counted, and analytics goes on
//! without it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ingest::BlockNumber;
use ingest::spool::{Reader, SpoolError, mark, newest_from};
use roads::Network;

use super::{now, wall_ms};
use crate::checkpoint::{CheckpointError, Checkpoints, Position, Restored, Written, encode};
use crate::engine::saved::Identity;
use crate::engine::{Engine, EngineConfig};

/// Rows of the spool that are read again where no checkpoint is: more than any window or correction needs at 8,000
/// events a second, and a matter of seconds.
const START_ROWS_MAX: u64 = 10_000_000;

/// Share of the time that may go into encoding and writing: one part of so many.
const PAUSE_FACTOR: u32 = 20;

/// The name of our mark in the spool, where checkpoints lie in their usual place.
const READER: &str = "analytics";

/// Where checkpoints go, and how often.
#[derive(Clone, Debug)]
pub struct CheckpointConfig {
    /// Their folder; made if it is not there.
    pub dir: PathBuf,
    pub every: Duration,
    /// … or after so many blocks.
    pub every_blocks: u64,
}

impl CheckpointConfig {
    /// Every half minute or 20,000 blocks: a restart then reads again what came in a minute.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), every: Duration::from_secs(30), every_blocks: 20_000 }
    }
}

/// What is known of checkpoints.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckpointHealth {
    /// When everything that is counted in was last known to be in a checkpoint, wall clock, milliseconds since 1970.
    pub saved_ms: Option<i64>,
    /// Size of the newest.
    pub bytes: u64,
    /// How long it took to encode and write.
    pub took_ms: u64,
    pub failures: u64,
}

/// What a follower begins with.
pub(super) struct Start {
    pub(super) reader: Reader,
    pub(super) engine: Engine,
    pub(super) keeper: Option<Keeper>,
}

/// Has checkpoints written when they are due.
pub(super) struct Keeper {
    spool: PathBuf,
    /// The name of our mark in it.
    reader: String,
    config: CheckpointConfig,
    identity: Identity,
    writer: Writer,
    /// The first block that no checkpoint holds.
    saved: BlockNumber,
    /// The next block of the checkpoint that is being written, and how long it took to encode.
    under_way: Option<(BlockNumber, Duration)>,
    begun: Instant,
    pause: Duration,
    pub(super) health: CheckpointHealth,
}

/// The thread that writes.
struct Writer {
    orders: SyncSender<(BlockNumber, Vec<u8>)>,
    done: Receiver<(Result<Written, CheckpointError>, Duration)>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(mut checkpoints: Checkpoints) -> Self {
        // One is under way at most, so neither channel is ever full.
        let (orders, ordered) = sync_channel::<(BlockNumber, Vec<u8>)>(1);
        let (tell, done) = sync_channel(1);
        let work = move || {
            for (next, bytes) in ordered {
                let begun = now();
                let written = checkpoints.store(next, &bytes);
                if tell.send((written, begun.elapsed())).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("checkpoints".into()).spawn(work);
        Self { orders, done, thread: thread.expect("the operating system gives one more thread") }
    }
}

/// Goes on where the newest usable checkpoint stands, or [`START_ROWS_MAX`] rows before the end of the spool.
pub(super) fn start(
    spool: &Path,
    engine_config: &EngineConfig,
    checkpoint: Option<CheckpointConfig>,
    network: &Arc<Network>,
) -> Result<Start, SpoolError> {
    let mut opened = checkpoint.and_then(|checkpoint| {
        let opened = Checkpoints::open(&checkpoint.dir, Identity::new(network, engine_config));
        let opened = opened.inspect_err(|why| tracing::warn!("no checkpoints, a restart reads the spool again: {why}"));
        Some((checkpoint, opened.ok()?))
    });
    let mut resumed = None;
    while let Some((_, checkpoints)) = &mut opened {
        let Some(restored) = checkpoints.restore(network, engine_config) else { break };
        match reader_behind(spool, &restored) {
            Ok(reader) => {
                tracing::info!("analytics goes on at block {} from a checkpoint", restored.position.next.0);
                resumed = Some((reader, restored.engine));
                break;
            }
            Err(Elsewhere::OtherSpool(why)) => checkpoints.reject(restored, &why),
            Err(Elsewhere::Spool(error)) => return Err(error),
        }
    }
    let (reader, engine) = match resumed {
        Some(resumed) => resumed,
        None => {
            let reader = Reader::open(spool, newest_from(spool, START_ROWS_MAX)?)?;
            (reader, Engine::new(Arc::clone(network), engine_config.clone()))
        }
    };
    let keeper = opened.map(|(config, checkpoints)| Keeper {
        spool: spool.to_owned(),
        reader: reader_name(spool, &config.dir),
        config,
        identity: Identity::new(network, engine_config),
        writer: Writer::start(checkpoints),
        saved: reader.position(),
        under_way: None,
        begun: now(),
        pause: Duration::ZERO,
        // What there is at the start can be had again.
        health: CheckpointHealth { saved_ms: Some(wall_ms()), ..CheckpointHealth::default() },
    });
    Ok(Start { reader, engine, keeper })
}

/// The name of the mark of whoever has checkpoints there. Several analytics over one spool have a folder each (the
/// folder's lock sees to that), and so a mark each: with one for all, the fastest would let go of what others need.
fn reader_name(spool: &Path, checkpoints: &Path) -> String {
    let whole = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let own = whole(checkpoints);
    if whole(spool).parent().is_some_and(|data| data.join(READER) == own) {
        return READER.to_owned();
    }
    format!("{READER}-{:08x}", crc32fast::hash(own.as_os_str().as_encoded_bytes()))
}

/// Why a checkpoint cannot be gone on with.
enum Elsewhere {
    OtherSpool(String),
    Spool(SpoolError),
}

/// A reader at the block behind a checkpoint, in the spool that the checkpoint was made of.
fn reader_behind(spool: &Path, restored: &Restored) -> Result<Reader, Elsewhere> {
    let Position { next, last_checksum } = restored.position;
    let other = |why: String| Elsewhere::OtherSpool(format!("it belongs to another spool: {why}"));
    let last = BlockNumber(next.0.saturating_sub(1));
    let opened = match Reader::open(spool, last) {
        // Our mark was not heeded, since the disk would have filled: what comes next may still be there.
        Err(SpoolError::Gone { .. }) => return oldest_behind(spool, next),
        opened => opened,
    };
    let mut reader = match opened {
        Ok(reader) => reader,
        Err(error @ SpoolError::Ahead { .. }) => return Err(other(error.to_string())),
        Err(error) => return Err(Elsewhere::Spool(error)),
    };
    match reader.next().map_err(Elsewhere::Spool)? {
        Some(_) if reader.checksum() == Some(last_checksum) => Ok(reader),
        Some(_) => Err(other(format!("block {} is another one", last.0))),
        None => Err(other(format!("it ends before block {}", last.0))),
    }
}

/// At the next block, or at the oldest that is left.
fn oldest_behind(spool: &Path, next: BlockNumber) -> Result<Reader, Elsewhere> {
    match Reader::open(spool, next) {
        Err(SpoolError::Gone { oldest, .. }) => {
            tracing::error!("blocks {} to {} were deleted before they were counted", next.0, oldest.0 - 1);
            Reader::open(spool, oldest).map_err(Elsewhere::Spool)
        }
        opened => opened.map_err(Elsewhere::Spool),
    }
}

impl Keeper {
    /// Says from which block on the spool is needed before there is a checkpoint.
    pub(super) fn begin(&self) {
        self.mark(BlockNumber(self.saved.0.saturating_sub(1)));
    }

    /// Has a checkpoint written if one is due and none is under way.
    pub(super) fn keep(&mut self, engine: &Engine, reader: &Reader) {
        match self.writer.done.try_recv() {
            Ok(done) => self.take(done),
            Err(TryRecvError::Disconnected) if self.under_way.is_some() => {
                self.fail(Duration::ZERO, &TryRecvError::Disconnected);
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        let next = reader.position();
        if next == self.saved {
            self.health.saved_ms = Some(wall_ms());
            return;
        }
        let is_due = next.0 - self.saved.0 >= self.config.every_blocks
            || self.begun.elapsed() >= self.config.every.max(self.pause);
        if is_due && self.under_way.is_none() {
            self.order(engine, reader);
        }
    }

    /// Writes what no checkpoint holds yet, and ends.
    pub(super) fn end(mut self, engine: &Engine, reader: &Reader) -> CheckpointHealth {
        self.wait();
        if reader.position() != self.saved {
            self.order(engine, reader);
            self.wait();
        }
        drop(self.writer.orders);
        if self.writer.thread.join().is_err() {
            tracing::error!("the thread that writes checkpoints ended by a panic");
        }
        self.health
    }

    fn order(&mut self, engine: &Engine, reader: &Reader) {
        let (next, Some(last_checksum)) = (reader.position(), reader.checksum()) else { return };
        self.begun = now();
        let encoded = encode(&self.identity, engine, Position { next, last_checksum });
        let took = self.begun.elapsed();
        match encoded {
            Ok(bytes) => match self.writer.orders.send((next, bytes)) {
                Ok(()) => self.under_way = Some((next, took)),
                Err(gone) => self.fail(took, &gone),
            },
            Err(why) => self.fail(took, &why),
        }
    }

    /// Waits for the checkpoint that is under way.
    fn wait(&mut self) {
        if self.under_way.is_none() {
            return;
        }
        match self.writer.done.recv() {
            Ok(done) => self.take(done),
            Err(gone) => self.fail(Duration::ZERO, &gone),
        }
    }

    fn take(&mut self, (written, wrote): (Result<Written, CheckpointError>, Duration)) {
        let Some((next, encoded)) = self.under_way.take() else { return };
        let took = encoded + wrote;
        match written {
            Ok(written) => {
                self.saved = next;
                self.pause = took * PAUSE_FACTOR;
                let age = self.begun.elapsed();
                self.health.saved_ms = Some(wall_ms() - age.as_millis() as i64);
                self.health.bytes = written.bytes;
                self.health.took_ms = took.as_millis() as u64;
                self.mark(written.needed);
            }
            Err(why) => self.fail(took, &why),
        }
    }

    fn fail(&mut self, took: Duration, why: &dyn std::fmt::Display) {
        // The next attempt waits its turn.
        (self.under_way, self.pause) = (None, took * PAUSE_FACTOR);
        self.health.failures += 1;
        tracing::warn!("no checkpoint was written, the next attempt follows: {why}");
    }

    fn mark(&self, needed: BlockNumber) {
        // A spool that is not there yet has nothing to be deleted.
        if let Err(why) = if self.spool.is_dir() { mark(&self.spool, &self.reader, needed) } else { Ok(()) } {
            tracing::warn!("the spool may delete blocks that a restart would need: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_analytics_over_a_spool_has_a_mark_of_its_own() {
        let data = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = data.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let (spool, usual, other, third) = (folder("spool"), folder("analytics"), folder("other"), folder("third"));
        assert_eq!(reader_name(&spool, &usual), "analytics");
        assert_eq!(reader_name(&spool, &data.path().join("spool/../analytics")), "analytics");
        let (other, third) = (reader_name(&spool, &other), reader_name(&spool, &third));
        assert!(
            other != third && other.starts_with("analytics-") && third.starts_with("analytics-"),
            "{other} {third}"
        );
    }
}
