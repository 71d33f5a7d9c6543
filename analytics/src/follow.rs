//! The thread that tails the spool and ticks: the only place of analytics that reads the wall clock.
//!
//! Upstream: `ingest::spool`. Downstream: [`crate::export`] and [`crate::http`] watch what is published here.
//! The clock says how old a figure is and when to stop publishing; it decides no metric.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ingest::gate::Fates;
use ingest::spool::{Reader, SpoolError, newest_from};
use roads::Network;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::detector::Figures;
use crate::engine::{Engine, EngineConfig, EngineCounts};
use crate::findings::Findings;
use crate::matching::MatchCounts;
use crate::metric::traffic::{TrafficQuery, WindowMetrics};
use crate::metric::window::{Span, Window};
use crate::snapshot::{Scale, Snapshot, Told};
use crate::study::StudyConfig;

/// Time between two ticks of the wall clock.
pub const TICK: Duration = Duration::from_secs(1);

/// Nothing is published any more when nothing arrived for so long: the last figures are not those of now.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// A detector's newest interval is published for so long behind the watermark, milliseconds: three intervals of the
/// longest usual length.
const DETECTOR_FRESH_MS: i64 = 15 * 60_000;

/// Pause before looking at the spool again when it had nothing new.
const IDLE: Duration = Duration::from_millis(50);

/// Most blocks counted in between two looks at the clock, so that a long backlog still ticks.
const BLOCKS_PER_TURN: usize = 64;

/// Rows of the spool that are read again at the start: more than any window or correction needs at 8,000 events a
/// second, and a matter of seconds.
const START_ROWS_MAX: u64 = 10_000_000;

/// Where the newest figures are watched.
pub type Watch = watch::Receiver<Arc<Published>>;

/// What the fates at ingest are asked from, where ingest runs in the same process.
pub type FatesSource = Arc<dyn Fn() -> Fates + Send + Sync>;

/// The state of analytics itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    pub watermark_ms: Option<i64>,
    pub engine: EngineCounts,
    pub matching: MatchCounts,
    pub next_block: u64,
    pub vehicles: usize,
    /// Whether the spool had nothing more to give at the last tick.
    pub caught_up: bool,
}

/// Everything that one tick publishes.
#[derive(Clone, Default)]
pub struct Published {
    /// One a window, in the order of [`Window::ALL`]; empty before the first tick.
    pub windows: Vec<Arc<Snapshot>>,
    pub detectors: Arc<BTreeMap<String, Figures>>,
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
    pub fates: Option<FatesSource>,
    pub study: StudyConfig,
    /// By which borders levels are told.
    pub scale: Scale,
}

impl Follower {
    /// Starts to follow the spool, [`START_ROWS_MAX`] rows before its end or at its oldest block.
    ///
    /// # Errors
    /// [`SpoolError`] when the spool cannot be opened.
    ///
    /// # Panics
    /// When the operating system gives no thread.
    pub fn start(config: FollowConfig, network: Arc<Network>, stop: CancellationToken) -> Result<Self, SpoolError> {
        let reader = Reader::open(&config.spool, newest_from(&config.spool, START_ROWS_MAX)?)?;
        let query = TrafficQuery::new(&network).over(&config.study.areas);
        let engine = Engine::new(Arc::clone(&network), config.engine).studying(config.study);
        let (publish, watch) = watch::channel(Arc::new(Published::default()));
        let (fates, scale, health) = (config.fates, config.scale, Health::default());
        let tail = Tail { reader, engine, query, fates, scale, publish, health };
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

struct Tail {
    reader: Reader,
    engine: Engine,
    query: TrafficQuery,
    fates: Option<FatesSource>,
    scale: Scale,
    publish: watch::Sender<Arc<Published>>,
    health: Health,
}

impl Tail {
    fn run(mut self, stop: &CancellationToken) -> Engine {
        let (mut ticked, mut fed) = (now(), now());
        let mut stale = true;
        while !stop.is_cancelled() {
            match self.read() {
                Ok(0) => {
                    self.health.caught_up = true;
                    std::thread::sleep(IDLE);
                }
                Ok(blocks) => {
                    self.health.caught_up = blocks < BLOCKS_PER_TURN;
                    (fed, stale) = (now(), false);
                }
                Err(fault) => {
                    tracing::error!(%fault, "analytics stops: the spool cannot be read");
                    self.tick(true, Some(fault.to_string()));
                    return self.engine;
                }
            }
            if ticked.elapsed() >= TICK {
                ticked = now();
                stale = stale || fed.elapsed() >= STALE_AFTER;
                self.tick(stale, None);
            }
        }
        self.tick(stale, None);
        self.engine
    }

    /// Counts in what the spool has, at most [`BLOCKS_PER_TURN`] blocks; gives how many.
    fn read(&mut self) -> Result<usize, SpoolError> {
        for done in 0..BLOCKS_PER_TURN {
            let Some((number, batch)) = self.reader.next()? else { return Ok(done) };
            self.engine.apply(&batch);
            self.health.next_block = number.0 + 1;
        }
        Ok(BLOCKS_PER_TURN)
    }

    /// Publishes the figures of every window; none of them when nothing arrived for [`STALE_AFTER`].
    fn tick(&mut self, stale: bool, fault: Option<String>) {
        let published_ms = wall_ms();
        let fates = self.fates.as_ref().map(|ask| ask());
        let engine = &self.engine;
        let total = engine.network().segments().len();
        let mut told = Told { scale: self.scale, ..Told::default() };
        if let Some(study) = engine.study() {
            told.share = study.probe_share();
            self.query.hold_against(&study.learnt().free_flow, told.share);
        }
        let figures = |window: Window| {
            let span = engine.span(window);
            let metrics = match span.filter(|_| !stale) {
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
        let windows = figures.iter().map(snapshot).collect();
        let found = engine.study().map(|study| Findings::new(study, engine.network(), &figures, stale));
        self.health.watermark_ms = engine.watermark_ms();
        self.health.engine = engine.counts();
        self.health.matching = engine.match_counts();
        self.health.vehicles = engine.vehicles();
        let fresh_ms = engine.watermark_ms().map_or(i64::MIN, |watermark| watermark - DETECTOR_FRESH_MS);
        let detectors = Arc::new(if stale { BTreeMap::new() } else { engine.detectors().figures(fresh_ms) });
        let findings = Arc::new(found.unwrap_or_default());
        self.publish.send_replace(Arc::new(Published { windows, detectors, findings, health: self.health, fault }));
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
