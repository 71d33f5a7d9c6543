//! All of ingest put together: the folder, the gate, the writer's thread.
//!
//! `DIR/spool/` holds blocks, `DIR/dead-letters/` what was rejected, `DIR/secret` the key of the pseudonyms.
//! Upstream: the command line. Downstream: [`crate::server::serve`] and [`crate::subscribe::run`], which get the
//! [`WriterHandle`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use events::foreign::by_topic::Rules;
use prometheus::Registry;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::dead_letter::{DeadLetterConfig, DeadLetters};
use crate::faults::Faults;
use crate::gate::{Fates, Gate, GateConfig};
use crate::metrics::Metrics;
use crate::pseudonym::{PseudonymError, Pseudonyms};
use crate::ready::{Part, Ready};
use crate::spool::{Reader, Spool, SpoolConfig, SpoolError, newest_from};
use crate::writer::{Left, Writer, WriterConfig, WriterHandle};

/// Where ingest keeps its things, and its bounds.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// The folder of all that is stored; made if it is not there.
    pub dir: PathBuf,
    pub gate: GateConfig,
    /// Topics in foreign formats.
    pub formats: Rules,
    pub spool: SpoolConfig,
    pub dead_letters: DeadLetterConfig,
    pub writer: WriterConfig,
    /// For tests alone: see [`crate::faults`].
    pub faults: Faults,
}

impl IngestConfig {
    /// Defaults in a folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            gate: GateConfig::default(),
            formats: Rules::default(),
            spool: SpoolConfig::default(),
            dead_letters: DeadLetterConfig::default(),
            writer: WriterConfig::default(),
            faults: Faults::default(),
        }
    }
}

/// The spool's place in an ingest folder.
pub fn spool_dir(dir: &Path) -> PathBuf {
    dir.join("spool")
}

/// The dead letters' place in an ingest folder.
pub fn dead_letter_dir(dir: &Path) -> PathBuf {
    dir.join("dead-letters")
}

/// Why ingest could not start, or not end well.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("cannot make the folder {}: {cause}; name another one, or make its place writable", dir.display())]
    Dir { dir: PathBuf, cause: io::Error },
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Pseudonym(#[from] PseudonymError),
    #[error("ingest's metrics cannot be registered: {0}")]
    Metrics(prometheus::Error),
    #[error("cannot start the writer's thread: {0}")]
    Thread(io::Error),
    #[error(
        "{unwritten} messages could not be written before the end; they were not acknowledged, their senders keep them"
    )]
    Unwritten { unwritten: usize },
    #[error("the writer's thread panicked")]
    Panicked,
}

/// A running writer.
pub struct Ingest {
    handle: WriterHandle,
    stop: CancellationToken,
    thread: JoinHandle<Left>,
}

impl Ingest {
    /// Opens the folder, recovers what a crash left, refills the duplicate memory from the newest blocks, and
    /// starts the writer. Metrics are registered in `registry`, which serves one ingest.
    ///
    /// # Errors
    /// As sentences: see [`IngestError`].
    pub fn start(config: IngestConfig, registry: &Registry) -> Result<Self, IngestError> {
        let dir = &config.dir;
        fs::create_dir_all(dir).map_err(|cause| IngestError::Dir { dir: dir.clone(), cause })?;
        // The spool first: its lock keeps a second ingest away from everything else in the folder.
        let spool = Spool::open_with(&spool_dir(dir), config.spool, config.faults.clone())?;
        let mut gate = Gate::new(config.gate, Pseudonyms::load_or_create(dir)?).with_formats(config.formats);
        remember_newest(&mut gate, &spool_dir(dir), config.gate.duplicates_max)?;
        let dead_letters = DeadLetters::open_with(&dead_letter_dir(dir), config.dead_letters, config.faults.clone())?;
        let metrics = Metrics::new(registry).map_err(IngestError::Metrics)?;
        let stop = CancellationToken::new();
        let stores = (gate, spool, dead_letters);
        let ready = Ready::default();
        let (writer, handle) =
            Writer::new(config.writer, stores, (metrics, ready.clone()), (stop.clone(), config.faults));
        let runtime = Builder::new_current_thread().enable_time().build().map_err(IngestError::Thread)?;
        let thread = std::thread::Builder::new()
            .name("ingest-writer".to_owned())
            .spawn(move || {
                let _watch = Watch(ready);
                runtime.block_on(writer.run())
            })
            .map_err(IngestError::Thread)?;
        Ok(Self { handle, stop, thread })
    }

    /// Where messages are handed over.
    pub fn writer(&self) -> WriterHandle {
        self.handle.clone()
    }

    /// Whether it can write.
    pub fn ready(&self) -> Ready {
        self.handle.ready().clone()
    }

    /// Takes nothing more, makes durable and acknowledges what was handed over, and ends the thread. Blocks for
    /// as long as the disk takes; a disk that fails is given one more attempt, not waited for. To be called
    /// after the endpoint or the subscription was told to shut down, so that nobody is left sending.
    ///
    /// # Errors
    /// [`IngestError::Unwritten`] if the disk failed to the end.
    pub fn stop(self) -> Result<Fates, IngestError> {
        self.stop.cancel();
        let left = self.thread.join().map_err(|_| IngestError::Panicked)?;
        match left.unwritten {
            0 => Ok(left.fates),
            unwritten => Err(IngestError::Unwritten { unwritten }),
        }
    }
}

/// Tells when the writer's thread dies by a bug: senders are refused from then on, and `/ready` says why.
struct Watch(Ready);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fails(Part::Writer, "the writer's thread panicked: restart ingest, and report the bug".to_owned());
        }
    }
}

fn remember_newest(gate: &mut Gate, spool: &Path, rows: usize) -> Result<(), SpoolError> {
    let mut reader = Reader::open(spool, newest_from(spool, rows as u64)?)?;
    while let Some((_, batch)) = reader.next()? {
        gate.remember(&batch);
    }
    Ok(())
}
