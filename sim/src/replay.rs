//! Replay: a recording published again, with its own timing.
//!
//! A recorded message keeps its topic and its bytes; an observation becomes native JSON. Both carry the
//! recording's own receive clock, so that a replay of last year is judged as of last year. Upstream:
//! [`events::foreign::read`]. Downstream: [`Publisher`].
//!
//! - [`control`]: pause, step, seek and speed of a running replay

pub mod control;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use events::codec::json;
use events::foreign::{Format, ReadError, Record};
use events::topic::is_name;
use events::{Event, Kind, Reason, Reject, TimeMs, Topic};
use tokio_util::sync::CancellationToken;

use control::Rein;
pub use control::{Control, ControlError, Plan};

use crate::pace::Speed;
use crate::publish::{PublishError, Publisher};

/// Most records that are sorted in memory: about 1 GiB.
pub const SORTED_RECORDS_MAX: usize = 4_000_000;

/// Most unreadable records whose line and reason are kept; all are counted.
pub const UNREADABLE_KEPT_MAX: usize = 1_000;

/// How to replay.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayConfig {
    /// The city in the topic of observations.
    pub city: String,
    pub speed: Speed,
    /// Records before this are left out; so are records without a time before the first with one.
    pub from: Option<TimeMs>,
    /// Records at this time or after it are left out.
    pub to: Option<TimeMs>,
    /// Whether to sort by time first, in memory, at most `sorted_records_max` records.
    pub sort_by_time: bool,
    pub sorted_records_max: usize,
}

impl ReplayConfig {
    /// All of a recording of that format, at its own speed. Tables and snapshots are sorted, since they are often
    /// grouped by vehicle or detector; the others are in the order in which they came about.
    pub fn new(city: impl Into<String>, format: &Format) -> Self {
        let sort_by_time = match format {
            Format::Csv(_) | Format::Loops(_) | Format::GtfsRt | Format::NgsiLd => true,
            Format::Hfp | Format::SumoFcd | Format::SumoE1 | Format::Atspm(_) => false,
        };
        Self {
            city: city.into(),
            speed: Speed::RealTime(1.0),
            from: None,
            to: None,
            sort_by_time,
            sorted_records_max: SORTED_RECORDS_MAX,
        }
    }
}

/// How far a replay is; shared, and true at any moment.
#[derive(Debug, Default)]
pub struct ReplayProgress {
    published: AtomicU64,
    unreadable: AtomicU64,
    first_time_ms: AtomicI64,
    last_time_ms: AtomicI64,
    end_time_ms: AtomicI64,
}

impl ReplayProgress {
    /// Messages handed to the publisher.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Records that could not be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Time of the first record handed over; 0 before it.
    pub fn first_time(&self) -> TimeMs {
        TimeMs(self.first_time_ms.load(Ordering::Relaxed))
    }

    /// Time of the last record of the recording, where it was sorted and is therefore known; else 0.
    pub fn end_time(&self) -> TimeMs {
        TimeMs(self.end_time_ms.load(Ordering::Relaxed))
    }

    /// Time of the last record handed over; 0 before the first.
    pub fn last_time(&self) -> TimeMs {
        TimeMs(self.last_time_ms.load(Ordering::Relaxed))
    }
}

/// What was replayed.
#[derive(Debug, Default)]
pub struct ReplayReport {
    /// Recorded messages published as they were.
    pub messages: u64,
    /// Observations published as native JSON.
    pub events: u64,
    /// Outside `from` and `to`.
    pub left_out: u64,
    pub unreadable: u64,
    /// Line and reason of the first [`UNREADABLE_KEPT_MAX`] of them.
    pub unreadable_lines: Vec<(u64, Reject)>,
    /// Time of the first and the last record that was published, in the order of publishing.
    pub first: Option<TimeMs>,
    pub last: Option<TimeMs>,
    /// Why reading stopped before the end of the file; what came before it was published.
    pub broken: Option<ReadError>,
    pub cancelled: bool,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("nothing could be read: {0}")]
    Read(#[from] ReadError),
    #[error(
        "the recording has more than {max} records, too many to sort by time in memory: cut it, or replay it in file order"
    )]
    TooManyToSort { max: usize },
    #[error("`{0}` cannot be the name of a city in a topic")]
    City(String),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Publishes a recording at the speed of its configuration; see [`replay_under`].
///
/// # Errors
/// See [`ReplayError`].
pub async fn replay(
    records: impl Iterator<Item = Result<Record, ReadError>> + Send,
    config: ReplayConfig,
    publisher: &mut Publisher,
    progress: &ReplayProgress,
    cancel: CancellationToken,
) -> Result<ReplayReport, ReplayError> {
    let control = Control::new(config.speed, false);
    replay_under(&control, records, config, publisher, progress, cancel).await
}

/// Publishes a recording under reins that somebody else holds too. It ends when all is handed over, not yet acknowledged: see [`Publisher::finish`].
///
/// Timing is by receive time where there is one, else by event time; a step back in time means no wait.
///
/// # Errors
/// See [`ReplayError`]. A file that breaks off after something was read is reported, not an error.
pub async fn replay_under(
    control: &Control,
    records: impl Iterator<Item = Result<Record, ReadError>> + Send,
    config: ReplayConfig,
    publisher: &mut Publisher,
    progress: &ReplayProgress,
    cancel: CancellationToken,
) -> Result<ReplayReport, ReplayError> {
    if !is_name(&config.city) {
        return Err(ReplayError::City(config.city));
    }
    let mut run = Run { rein: Rein::new(control), config, report: ReplayReport::default(), progress, now: None };
    let done = if run.config.sort_by_time {
        run.sorted(records, publisher, &cancel).await?
    } else {
        run.in_order(records, publisher, &cancel).await?
    };
    run.report.cancelled = !done;
    let report = run.report;
    let is_empty = report.messages + report.events + report.left_out + report.unreadable == 0;
    match report.broken {
        Some(error) if is_empty => Err(error.into()),
        Some(_) | None => Ok(report),
    }
}

struct Run<'a> {
    config: ReplayConfig,
    report: ReplayReport,
    progress: &'a ReplayProgress,
    rein: Rein<'a>,
    /// Time of the last record that had one: records without one belong there.
    now: Option<TimeMs>,
}

impl Run<'_> {
    /// False if cancelled, here and below.
    async fn in_order(
        &mut self,
        records: impl Iterator<Item = Result<Record, ReadError>> + Send,
        publisher: &mut Publisher,
        cancel: &CancellationToken,
    ) -> Result<bool, ReplayError> {
        for record in records {
            match record {
                Ok(record) => {
                    if !self.one(record, publisher, cancel).await? {
                        return Ok(false);
                    }
                }
                Err(error) => self.report.broken = Some(error),
            }
        }
        Ok(true)
    }

    async fn sorted(
        &mut self,
        records: impl Iterator<Item = Result<Record, ReadError>> + Send,
        publisher: &mut Publisher,
        cancel: &CancellationToken,
    ) -> Result<bool, ReplayError> {
        let mut kept = Vec::new();
        let mut now = TimeMs::default();
        for record in records {
            match record {
                Ok(Record::Unreadable { line, reject, .. }) => self.unreadable(line, reject),
                Ok(record) => {
                    if kept.len() >= self.config.sorted_records_max {
                        return Err(ReplayError::TooManyToSort { max: self.config.sorted_records_max });
                    }
                    now = time_of(&record).unwrap_or(now);
                    kept.push((now, record));
                }
                Err(error) => self.report.broken = Some(error),
            }
            if cancel.is_cancelled() {
                return Ok(false);
            }
        }
        // Stable: records of one time stay in file order.
        kept.sort_by_key(|(time, _)| *time);
        if let Some((end, _)) = kept.last() {
            self.progress.end_time_ms.store(end.0, Ordering::Relaxed);
        }
        for (_, record) in kept {
            if !self.one(record, publisher, cancel).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn one(
        &mut self,
        record: Record,
        publisher: &mut Publisher,
        cancel: &CancellationToken,
    ) -> Result<bool, ReplayError> {
        let time = time_of(&record).or(self.now);
        self.now = time;
        let (topic, payload, received, count) = match record {
            Record::Unreadable { line, reject, .. } => {
                self.unreadable(line, reject);
                return Ok(!cancel.is_cancelled());
            }
            _ if !self.is_wanted(time) => {
                self.report.left_out += 1;
                return Ok(!cancel.is_cancelled());
            }
            Record::Message { topic, payload, received } => (topic, payload, received, &mut self.report.messages),
            Record::Event(event) => match native(&self.config.city, &event) {
                Some((topic, payload)) => (topic, payload, Some(event.time()), &mut self.report.events),
                None => {
                    let detail = format!("`{}` cannot be a source in a topic", event.source());
                    self.unreadable(0, Reject::field(Reason::UnreadableField, "source", detail));
                    return Ok(!cancel.is_cancelled());
                }
            },
        };
        let last = self.report.last;
        let publish = async {
            if let Some(time) = time {
                self.rein.wait_for(time, last).await;
            }
            publisher.publish(topic, payload, received).await
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(false),
            done = publish => done?,
        }
        *count += 1;
        self.progress.published.fetch_add(1, Ordering::Relaxed);
        if let Some(time) = time {
            self.progress.last_time_ms.store(time.0, Ordering::Relaxed);
            if self.report.first.is_none() {
                self.progress.first_time_ms.store(time.0, Ordering::Relaxed);
            }
            self.report.first.get_or_insert(time);
            self.report.last = Some(time);
        }
        Ok(true)
    }

    fn is_wanted(&self, time: Option<TimeMs>) -> bool {
        match time {
            Some(time) => self.config.from.is_none_or(|from| time >= from) && self.config.to.is_none_or(|to| time < to),
            None => self.config.from.is_none(),
        }
    }

    fn unreadable(&mut self, line: u64, reject: Reject) {
        self.report.unreadable += 1;
        self.progress.unreadable.fetch_add(1, Ordering::Relaxed);
        if self.report.unreadable_lines.len() < UNREADABLE_KEPT_MAX {
            self.report.unreadable_lines.push((line, reject));
        }
    }
}

fn time_of(record: &Record) -> Option<TimeMs> {
    match record {
        Record::Message { received, .. } => *received,
        Record::Event(event) => Some(event.time()),
        Record::Unreadable { .. } => None,
    }
}

/// Topic and payload of an observation; `None` if its source cannot be in a topic.
fn native(city: &str, event: &Event) -> Option<(String, Vec<u8>)> {
    let kind = match event {
        Event::Position(_) => Kind::Position,
        Event::Detector(_) => Kind::Detector,
        Event::Signal(_) => Kind::Signal,
    };
    let source = event.source();
    if !is_name(source) {
        return None;
    }
    let mut payload = Vec::new();
    json::encode(event, &mut payload);
    Some((Topic { city, kind, source }.to_string(), payload))
}
