//! A simulated city with its sensors and its truth, stepped as fast as it should be, and published.
//!
//! Upstream: the world. Downstream: [`Publisher`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use events::codec::{BATCH_EVENTS_MAX, json};
use events::topic::is_name;
use events::{Event, Kind, TimeMs, Topic};
use tokio_util::sync::CancellationToken;

use crate::pace::{Pacer, Speed};
use crate::publish::{PublishError, Publisher};
use crate::sensor::{SensorConfig, Sensors};
use crate::truth::Truth;
use crate::world::World;

/// World, sensors and, if wanted, truth.
#[derive(Debug)]
pub struct City {
    pub world: World,
    pub sensors: Sensors,
    /// Whoever sets it also takes its cells from time to time.
    pub truth: Option<Truth>,
    gateway: String,
}

impl City {
    /// A city without truth.
    pub fn new(world: World, sensors: SensorConfig) -> Self {
        let gateway = sensors.gateway.clone();
        Self { sensors: Sensors::new(&world, sensors), world, truth: None, gateway }
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
    /// At the speed of the wall clock, without end, 500 events a message.
    pub fn new(city: impl Into<String>) -> Self {
        Self { city: city.into(), speed: Speed::RealTime(1.0), duration_s: None, batch_events_max: 500 }
    }
}

/// How far a city is; shared, and true at any moment.
#[derive(Debug, Default)]
pub struct CityProgress {
    events: AtomicU64,
    messages: AtomicU64,
    vehicles: AtomicU64,
    event_time_ms: AtomicI64,
}

impl CityProgress {
    /// Events handed to the publisher.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Messages handed to the publisher.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Vehicles on the road now.
    pub fn vehicles(&self) -> u64 {
        self.vehicles.load(Ordering::Relaxed)
    }

    /// Simulated until; 0 before the first second.
    pub fn event_time(&self) -> TimeMs {
        TimeMs(self.event_time_ms.load(Ordering::Relaxed))
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
    #[error("{0} events do not fit into a message: 1 to {BATCH_EVENTS_MAX} do")]
    Batch(usize),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Simulates and publishes. It ends when all is handed over, not yet acknowledged: see [`Publisher::finish`].
///
/// Every second is published when it is over, under `received-ms` of its end. When the server is slow the city
/// waits for it and then catches up.
///
/// # Errors
/// See [`CityError`].
pub async fn run_city(
    city: &mut City,
    publisher: &mut Publisher,
    config: &CityConfig,
    progress: &CityProgress,
    cancel: CancellationToken,
) -> Result<CityReport, CityError> {
    for name in [&config.city, &city.gateway] {
        if !is_name(name) {
            return Err(CityError::Name(name.clone()));
        }
    }
    if !(1..=BATCH_EVENTS_MAX).contains(&config.batch_events_max) {
        return Err(CityError::Batch(config.batch_events_max));
    }
    let mut report = CityReport::default();
    let mut pacer = Pacer::new(config.speed);
    pacer.wait_for(city.world.now()).await;
    let mut said = Vec::new();
    while config.duration_s.is_none_or(|s| report.seconds < s) && !cancel.is_cancelled() {
        said.clear();
        let end = city.step(&mut said);
        report.seconds += 1;
        progress.vehicles.store(city.world.vehicles_on_road() as u64, Ordering::Relaxed);
        let gateway = &city.gateway;
        let publish = async {
            pacer.wait_for(end).await;
            // At full speed with nothing to say nothing else would let other tasks run.
            tokio::task::yield_now().await;
            publish_second(&said, end, gateway, publisher, config, progress, &mut report).await
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            done = publish => done?,
        }
        progress.event_time_ms.store(end.0, Ordering::Relaxed);
    }
    report.cancelled = cancel.is_cancelled();
    Ok(report)
}

async fn publish_second(
    said: &[Event],
    end: TimeMs,
    gateway: &str,
    publisher: &mut Publisher,
    config: &CityConfig,
    progress: &CityProgress,
    report: &mut CityReport,
) -> Result<(), PublishError> {
    let mut by_kind: BTreeMap<&str, (Kind, Vec<Event>)> = BTreeMap::new();
    for event in said {
        let kind = match event {
            Event::Position(_) => Kind::Position,
            Event::Detector(_) => Kind::Detector,
            Event::Signal(_) => Kind::Signal,
        };
        by_kind.entry(kind.name()).or_insert_with(|| (kind, Vec::new())).1.push(event.clone());
    }
    for (kind, events) in by_kind.values() {
        let topic = Topic { city: &config.city, kind: *kind, source: gateway }.to_string();
        for batch in events.chunks(config.batch_events_max) {
            let mut payload = Vec::new();
            json::encode_batch(batch, &mut payload);
            publisher.publish(topic.clone(), payload, Some(end)).await?;
            let count = batch.len() as u64;
            match kind {
                Kind::Position => report.positions += count,
                Kind::Detector => report.detectors += count,
                Kind::Signal => report.signals += count,
            }
            report.messages += 1;
            progress.messages.fetch_add(1, Ordering::Relaxed);
            progress.events.fetch_add(count, Ordering::Relaxed);
        }
    }
    Ok(())
}
