//! A simulated city with its sensors and its truth, stepped as fast as it should be, and published.
//!
//! Every second of a paced city ends at its moment of the wall clock; what the sensors said of it is then handed to
//! the publishers, each with a connection of its own. When they hold back, the city waits, says so in [`Progress`]
//! and catches up later: nothing is left out. Upstream: the world. Downstream: [`Publisher`], [`Record`].

mod progress;
mod saved;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use events::codec::BATCH_EVENTS_MAX;
use events::topic::is_name;
use events::{Event, Kind, TimeMs, Topic};
use roads::Network;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::pace::{Pacer, Speed};
use crate::publish::{PublishError, Publisher};
use crate::record::{Record, RecordError, Recorded};
use crate::sensor::encode::Encoder;
use crate::sensor::{Fault, PositionReport, Reports, SensorConfig, Sensors};
use crate::truth::Truth;
use crate::world::World;
pub use progress::Progress;
pub use saved::SavedCityError;

/// Most connections of one city.
pub const CONNECTIONS_MAX: usize = 64;

/// World, sensors and, if wanted, truth.
#[derive(Debug)]
pub struct City {
    pub world: World,
    pub sensors: Sensors,
    /// Whoever sets it also takes its cells from time to time.
    pub truth: Option<Truth>,
}

impl City {
    /// A city without truth.
    ///
    /// # Panics
    /// If the sensors do not pass [`SensorConfig::check`].
    pub fn new(world: World, sensors: SensorConfig) -> Self {
        Self { sensors: Sensors::new(&world, sensors), world, truth: None }
    }

    /// Simulates one second and adds what the sensors report of it to `out`. Gives the end of the second.
    pub fn step(&mut self, out: &mut Vec<Event>) -> TimeMs {
        let step = self.world.step();
        self.sensors.observe(&step, out);
        if let Some(truth) = &mut self.truth {
            truth.observe(&step);
        }
        step.end
    }

    /// The same without text, and with what went wrong.
    pub fn report(&mut self, out: &mut Reports, faults: &mut Vec<Fault>) -> TimeMs {
        let step = self.world.step();
        self.sensors.sense(&step, out, faults);
        if let Some(truth) = &mut self.truth {
            truth.observe(&step);
        }
        step.end
    }
}

/// How to publish a city.
#[derive(Clone, Debug, PartialEq)]
pub struct CityConfig {
    /// The city in the topic.
    pub city: String,
    pub speed: Speed,
    /// Simulated seconds; `None` runs until cancelled.
    pub duration_s: Option<u64>,
    /// Most events in one message, 1 to [`BATCH_EVENTS_MAX`].
    pub batch_events_max: usize,
}

impl CityConfig {
    /// At the speed of the wall clock, without end, 1,000 events a message.
    pub fn new(city: impl Into<String>) -> Self {
        Self { city: city.into(), speed: Speed::RealTime(1.0), duration_s: None, batch_events_max: BATCH_EVENTS_MAX }
    }
}

/// What was simulated and published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CityReport {
    pub seconds: u64,
    pub positions: u64,
    pub detectors: u64,
    pub signals: u64,
    pub messages: u64,
    pub cancelled: bool,
}

/// Why a city stopped.
#[derive(Debug, thiserror::Error)]
pub enum CityError {
    #[error("`{0}` cannot be the name of a city or a gateway in a topic")]
    Name(String),
    #[error("batches of {0} events cannot be published: 1 to {BATCH_EVENTS_MAX} can")]
    Batch(usize),
    #[error("a city cannot be published over {0} connections: over 1 to {CONNECTIONS_MAX} it can")]
    Connections(usize),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Simulates and publishes. It ends when all is handed over, not yet acknowledged: see [`Publisher::finish`].
///
/// Every second is published when it is over, under `received-ms` of its end. All of one vehicle goes over one
/// connection, so that its order is kept. When a server is slow the city waits for it and then catches up.
///
/// # Errors
/// See [`CityError`].
pub async fn run_city(
    city: &mut City,
    publishers: &mut [Publisher],
    config: &CityConfig,
    progress: &Progress,
    cancel: CancellationToken,
) -> Result<CityReport, CityError> {
    let (network, sensors) = (city.world.network().clone(), city.sensors.config().clone());
    let mut desk = Desk::new(&network, &sensors, publishers, config, progress)?;
    let mut pacer = Pacer::new(config.speed);
    pacer.wait_for(city.world.now()).await;
    progress.end_second(city.world.now(), Duration::ZERO);
    let (mut said, mut faults) = (Reports::default(), Vec::new());
    while config.duration_s.is_none_or(|s| desk.report.seconds < s) && !cancel.is_cancelled() {
        said.clear();
        faults.clear();
        let end = city.report(&mut said, &mut faults);
        desk.report.seconds += 1;
        progress.vehicles.store(city.world.vehicles_on_road() as u64, Ordering::Relaxed);
        progress.under_way.store(city.sensors.under_way() as u64, Ordering::Relaxed);
        let publish = async {
            pacer.wait_for(end).await;
            // At full speed with nothing to say nothing else would let other tasks run.
            tokio::task::yield_now().await;
            desk.publish(&said).await
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            done = publish => done?,
        }
        progress.end_second(end, pacer.behind(end));
    }
    desk.report.cancelled = cancel.is_cancelled();
    Ok(desk.report)
}

/// Simulates and records, as fast as it goes: no MQTT, no clock.
///
/// # Errors
/// [`CityError::Record`].
pub fn record_city(
    city: &mut City,
    mut record: Record,
    duration_s: u64,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Recorded, CityError> {
    progress.end_second(city.world.now(), Duration::ZERO);
    let (mut said, mut faults) = (Reports::default(), Vec::new());
    for _ in 0..duration_s {
        if cancel.is_cancelled() {
            break;
        }
        let step = city.world.step();
        city.sensors.sense(&step, &mut said, &mut faults);
        record.truth(&step)?;
        let end = step.end;
        progress.events.fetch_add(said.len() as u64, Ordering::Relaxed);
        record.reports(&mut said, &mut faults)?;
        progress.vehicles.store(city.world.vehicles_on_road() as u64, Ordering::Relaxed);
        progress.under_way.store(city.sensors.under_way() as u64, Ordering::Relaxed);
        progress.end_second(end, Duration::ZERO);
    }
    Ok(record.finish()?)
}

/// Where seconds become messages, handed to the publishers.
pub struct Desk<'a> {
    publishers: &'a mut [Publisher],
    encoder: Encoder,
    topics: [String; 3],
    batch_events_max: usize,
    /// Positions of the second that runs, by connection.
    sorted: Vec<Vec<PositionReport>>,
    others: Vec<Event>,
    progress: &'a Progress,
    report: CityReport,
}

/// The order of [`Desk::topics`].
const KINDS: [Kind; 3] = [Kind::Position, Kind::Detector, Kind::Signal];

impl<'a> Desk<'a> {
    /// For what those sensors report.
    ///
    /// # Errors
    /// If a name, the size of the batches or the number of publishers is impossible.
    pub fn new(
        network: &Network,
        sensors: &SensorConfig,
        publishers: &'a mut [Publisher],
        config: &CityConfig,
        progress: &'a Progress,
    ) -> Result<Self, CityError> {
        for name in [&config.city, &sensors.gateway] {
            if !is_name(name) {
                return Err(CityError::Name(name.clone()));
            }
        }
        if !(1..=BATCH_EVENTS_MAX).contains(&config.batch_events_max) {
            return Err(CityError::Batch(config.batch_events_max));
        }
        if !(1..=CONNECTIONS_MAX).contains(&publishers.len()) {
            return Err(CityError::Connections(publishers.len()));
        }
        let topic = |kind| Topic { city: &config.city, kind, source: &sensors.gateway }.to_string();
        Ok(Self {
            encoder: Encoder::new(&sensors.gateway, network, sensors.with_edge),
            topics: KINDS.map(topic),
            batch_events_max: config.batch_events_max,
            sorted: vec![Vec::new(); publishers.len()],
            others: Vec::new(),
            publishers,
            progress,
            report: CityReport::default(),
        })
    }

    /// Hands over one second; waits while a publisher is full.
    ///
    /// # Errors
    /// If a publisher has ended.
    pub async fn publish(&mut self, said: &Reports) -> Result<(), PublishError> {
        let connections = self.sorted.len() as u64;
        for report in &said.positions {
            self.sorted[(report.vehicle % connections) as usize].push(*report);
        }
        for connection in 0..self.sorted.len() {
            let mut positions = std::mem::take(&mut self.sorted[connection]);
            for batch in positions.chunks(self.batch_events_max) {
                let mut payload = Vec::new();
                self.encoder.positions(batch, &mut payload);
                self.hand_over(connection, 0, payload, batch.len(), said.end).await?;
                self.report.positions += batch.len() as u64;
            }
            positions.clear();
            self.sorted[connection] = positions;
        }
        for (kind, wanted) in KINDS.iter().enumerate().skip(1) {
            let is_kind = |event: &&Event| kind_of(event) == *wanted;
            self.others.extend(said.others.iter().filter(is_kind).cloned());
            let others = std::mem::take(&mut self.others);
            for batch in others.chunks(self.batch_events_max) {
                let mut payload = Vec::new();
                self.encoder.others(batch, &mut payload);
                self.hand_over(0, kind, payload, batch.len(), said.end).await?;
                match wanted {
                    Kind::Detector => self.report.detectors += batch.len() as u64,
                    Kind::Position | Kind::Signal => self.report.signals += batch.len() as u64,
                }
            }
            self.others = others;
            self.others.clear();
        }
        Ok(())
    }

    async fn hand_over(
        &mut self,
        connection: usize,
        kind: usize,
        payload: Vec<u8>,
        events: usize,
        end: TimeMs,
    ) -> Result<(), PublishError> {
        let payload = Bytes::from(payload);
        let bytes = payload.len() as u64;
        let began = Instant::now();
        self.publishers[connection].publish(self.topics[kind].clone(), payload, Some(end)).await?;
        self.progress.hand_over(events as u64, bytes, began.elapsed());
        self.report.messages += 1;
        Ok(())
    }
}

fn kind_of(event: &Event) -> Kind {
    match event {
        Event::Position(_) => Kind::Position,
        Event::Detector(_) => Kind::Detector,
        Event::Signal(_) => Kind::Signal,
    }
}
