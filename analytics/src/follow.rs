//! The thread that tails the spool and ticks: the only place of analytics that reads the wall clock.
//!
//! Upstream: `ingest::spool`. Downstream: [`crate::export`] and [`crate::http`] watch what is published here.
//! The clock says how old a figure is and when to stop publishing; it decides no metric.

mod keep;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ingest::gate::Fates;
use ingest::spool::{Reader, SpoolError};
use roads::Network;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::archive::recorder::{RecordConfig, Recorder};
use crate::archive::status::Status;
use crate::engine::{Engine, EngineConfig, EngineCounts};
use crate::export::lag::{Lags, Stopwatch};
use crate::fate::{ByFate, SourceClass};
use crate::findings::Findings;
use crate::matching::MatchCounts;
use crate::metric::traffic::{TrafficQuery, WindowMetrics};
use crate::metric::window::{Span, Window};
use crate::roadside::{DETECTOR_FRESH_MS, Roadside};
use crate::snapshot::{Scale, Snapshot, Told};
use crate::study::StudyConfig;
pub use keep::{CheckpointConfig, CheckpointHealth};
use keep::{Keeper, Start};

/// Time between two ticks of the wall clock, unless told otherwise.
pub const TICK: Duration = Duration::from_secs(1);

/// No window is published any more when no position arrived for so long: the last figures are not those of now.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// Pause before looking at the spool again when it had nothing new.
const IDLE: Duration = Duration::from_millis(50);

/// Most blocks counted in between two looks at the clock, so that a long backlog still ticks.
const BLOCKS_PER_TURN: usize = 64;

/// Most rows counted in at once, give or take a block: some 30 MB.
const ROWS_PER_TURN: usize = 200_000;

/// Where the newest figures are watched.
pub type Watch = watch::Receiver<Arc<Published>>;

/// What the fates at ingest are asked from, where ingest runs in the same process.
pub type FatesSource = Arc<dyn Fn() -> Fates + Send + Sync>;

/// The state of analytics itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    /// When this was true, wall clock, milliseconds since 1970.
    pub told_ms: i64,
    pub watermark_ms: Option<i64>,
    /// By [`SourceClass`], as the fates.
    pub watermarks_ms: [Option<i64>; SourceClass::ALL.len()],
    pub fates: [ByFate; SourceClass::ALL.len()],
    /// Corrections of final panes.
    pub corrections: u64,
    pub engine: EngineCounts,
    pub matching: MatchCounts,
    pub next_block: u64,
    pub vehicles: usize,
    /// `None` without checkpoints.
    pub checkpoint: Option<CheckpointHealth>,
    /// Whether the spool had nothing more to give at the last tick.
    pub caught_up: bool,
    /// Bytes of the spool that were not read at the last tick.
    pub unread_bytes: u64,
    pub lags: Lags,
    /// How long the tick before this one took; of the first one, nothing.
    pub tick: Duration,
}

/// Everything that one tick publishes.
#[derive(Clone, Default)]
pub struct Published {
    /// One a window, in the order of [`Window::ALL`]; empty before the first tick.
    pub windows: Vec<Arc<Snapshot>>,
    /// Signals, buses and detectors.
    pub roadside: Arc<Roadside>,
    /// Corridors, zones, bottlenecks, incidents.
    pub findings: Arc<Findings>,
    pub health: Health,
    /// Why nothing more is read, when the spool cannot be read.
    pub fault: Option<String>,
}

impl Published {
    /// The snapshot of one window.
    pub fn window(&self, window: Window) -> Option<&Arc<Snapshot>> {
        self.windows.iter().find(|s| s.window == window)
    }

    /// The snapshots of all windows.
    pub fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.windows.iter().map(AsRef::as_ref)
    }
}

/// A running analytics thread.
pub struct Follower {
    watch: Watch,
    thread: JoinHandle<Engine>,
}

/// What a follower is told.
pub struct FollowConfig {
    /// The spool's folder.
    pub spool: PathBuf,
    pub engine: EngineConfig,
    /// `None` to read the spool again at every start.
    pub checkpoint: Option<CheckpointConfig>,
    pub fates: Option<FatesSource>,
    pub study: StudyConfig,
    /// By which borders levels are told.
    pub scale: Scale,
    /// Where history goes, and where it is told how that goes; `None` keeps none.
    pub archive: Option<(RecordConfig, Status)>,
    /// Time between two ticks of the wall clock; decides how soon a figure is seen, and none of the figures.
    pub tick: Duration,
}

impl Follower {
    /// Starts to follow the spool where the newest checkpoint stands; without one, some millions of rows before its end
    /// or at its oldest block.
    ///
    /// # Errors
    /// [`SpoolError`] when the spool cannot be opened.
    ///
    /// # Panics
    /// When the operating system gives no thread.
    pub fn start(config: FollowConfig, network: Arc<Network>, stop: CancellationToken) -> Result<Self, SpoolError> {
        let query = TrafficQuery::new(&network).over(&config.study.areas);
        let collect = config.archive.as_ref().map(|(archive, _)| archive.collect);
        let engine = EngineConfig { study: Some(config.study), collect, ..config.engine };
        let Start { reader, engine, keeper } = keep::start(&config.spool, &engine, config.checkpoint, &network)?;
        let (publish, watch) = watch::channel(Arc::new(Published::default()));
        let (fates, scale, health, stopwatch) = (config.fates, config.scale, Health::default(), Stopwatch::default());
        let tick = config.tick;
        let recorder = config.archive.map(|(archive, status)| Recorder::start(archive, Arc::clone(&network), status));
        let tail = Tail { reader, engine, keeper, recorder, query, fates, scale, publish, health, stopwatch, tick };
        let thread = std::thread::Builder::new()
            .name("analytics".into())
            .spawn(move || tail.run(&stop))
            .expect("the operating system gives one thread");
        Ok(Self { watch, thread })
    }

    /// Where the newest figures are watched.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Waits for the thread to end after its token was cancelled; gives its engine, or `None` after a panic.
    pub fn join(self) -> Option<Engine> {
        self.thread.join().inspect_err(|_| tracing::error!("the analytics thread ended by a panic")).ok()
    }
}

/// When something last arrived for the windows, which only positions fill, and for the detectors.
#[derive(Clone, Copy, Default)]
struct Fed {
    positions: Option<Instant>,
    detectors: Option<Instant>,
}

struct Tail {
    reader: Reader,
    engine: Engine,
    keeper: Option<Keeper>,
    recorder: Option<Recorder>,
    query: TrafficQuery,
    fates: Option<FatesSource>,
    scale: Scale,
    publish: watch::Sender<Arc<Published>>,
    health: Health,
    stopwatch: Stopwatch,
    tick: Duration,
}

impl Tail {
    fn run(mut self, stop: &CancellationToken) -> Engine {
        let mut ticked = now();
        let mut fed = Fed::default();
        self.keeper.iter().for_each(Keeper::begin);
        while !stop.is_cancelled() {
            let before = self.engine.counts().received;
            match self.read() {
                Ok(0) => std::thread::sleep(IDLE),
                Ok(_) => {
                    let received = self.engine.counts().received;
                    for (at, class) in
                        [(&mut fed.positions, SourceClass::Position), (&mut fed.detectors, SourceClass::Detector)]
                    {
                        if received[class as usize] > before[class as usize] {
                            *at = Some(now());
                        }
                    }
                }
                Err(fault) => {
                    tracing::error!(%fault, "analytics stops: the spool cannot be read");
                    self.end_checkpoints();
                    self.tick(Fed::default(), Some(fault.to_string()));
                    return self.engine;
                }
            }
            if let Some(recorder) = &mut self.recorder {
                recorder.turn(&mut self.engine, self.reader.position().0);
            }
            self.keeper.iter_mut().for_each(|keeper| keeper.keep(&self.engine, &self.reader));
            if ticked.elapsed() >= self.tick {
                ticked = now();
                self.tick(fed, None);
            }
        }
        self.end_checkpoints();
        self.tick(fed, None);
        self.engine
    }

    /// Writes what is closed to history, and the last checkpoint.
    fn end_checkpoints(&mut self) {
        if let Some(recorder) = self.recorder.take() {
            recorder.end(&mut self.engine, self.reader.position().0);
        }
        if let Some(keeper) = self.keeper.take() {
            self.health.checkpoint = Some(keeper.end(&self.engine, &self.reader));
        }
    }

    /// Counts in what the spool has, at most [`BLOCKS_PER_TURN`] blocks or [`ROWS_PER_TURN`]; gives how many blocks.
    fn read(&mut self) -> Result<usize, SpoolError> {
        let (mut batches, mut rows, mut end) = (Vec::new(), 0, None);
        while batches.len() < BLOCKS_PER_TURN && rows < ROWS_PER_TURN && end.is_none() {
            match self.reader.next() {
                Ok(Some((_, batch))) => {
                    rows += batch.len();
                    batches.push(batch);
                }
                Ok(None) => end = Some(Ok(())),
                Err(fault) => end = Some(Err(fault)),
            }
        }
        self.health.caught_up = end.is_some();
        let read_ms = wall_ms();
        batches.iter().for_each(|batch| self.stopwatch.read(batch, read_ms));
        // What came before a fault is whole.
        self.engine.apply_all(&batches);
        end.unwrap_or(Ok(())).map(|()| batches.len())
    }

    /// Publishes the figures of every window, and of the detectors, as far as something arrived for them lately.
    fn tick(&mut self, fed: Fed, fault: Option<String>) {
        let is_stale = |at: Option<Instant>, after: Duration| at.is_none_or(|at| at.elapsed() >= after);
        let no_windows = is_stale(fed.positions, STALE_AFTER);
        let no_detectors = is_stale(fed.detectors, Duration::from_millis(DETECTOR_FRESH_MS.unsigned_abs()));
        let (begun, published_ms) = (now(), wall_ms());
        let fates = self.fates.as_ref().map(|ask| ask());
        self.engine.settle();
        let engine = &self.engine;
        let total = engine.network().segments().len();
        let mut told = Told { scale: self.scale, ..Told::default() };
        if let Some(study) = engine.study() {
            told.share = study.probe_share();
            self.query.hold_against(&study.learnt().free_flow, told.share);
        }
        let figures = |window: Window| {
            let span = engine.span(window);
            let metrics = match span.filter(|_| !no_windows) {
                Some(span) => {
                    self.query.run(engine.store(), window, span).expect("the query is fixed and runs in the tests")
                }
                None => WindowMetrics::default(),
            };
            (window, span, metrics)
        };
        let figures = Window::ALL.map(figures);
        let snapshot = |(window, span, metrics): &(Window, Option<Span>, WindowMetrics)| {
            Arc::new(Snapshot::new(*window, *span, metrics, total, published_ms, fates.clone(), told))
        };
        let windows: Vec<_> = figures.iter().map(snapshot).collect();
        let found = engine.study().map(|study| Findings::new(study, engine.network(), &figures, no_windows));
        self.health.told_ms = published_ms;
        self.health.watermark_ms = engine.watermark_ms();
        self.health.watermarks_ms = SourceClass::ALL.map(|class| engine.watermarks().of(class));
        self.health.fates = SourceClass::ALL.map(|class| engine.fates(class));
        self.health.corrections = engine.corrections();
        self.health.engine = engine.counts();
        self.health.matching = engine.match_counts();
        self.health.vehicles = engine.vehicles();
        if let Some(keeper) = &self.keeper {
            self.health.checkpoint = Some(keeper.health);
        }
        self.health.next_block = self.reader.position().0;
        self.health.unread_bytes = self.reader.unread_bytes();
        self.health.lags = self.stopwatch.published(wall_ms());
        let five_minutes = windows.iter().find(|snapshot| snapshot.window == Window::FiveMinutes);
        let roadside = Arc::new(Roadside::of(engine, five_minutes.map(AsRef::as_ref), no_detectors));
        let findings = Arc::new(found.unwrap_or_default());
        self.publish.send_replace(Arc::new(Published { windows, roadside, findings, health: self.health, fault }));
        self.health.tick = begun.elapsed();
    }
}

#[allow(clippy::disallowed_methods, reason = "ticks are of the wall clock; no metric depends on them")]
fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "the age of a figure is told beside it; no metric depends on it")]
fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
