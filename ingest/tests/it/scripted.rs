//! Broker mode against a scripted broker that reuses packet ids, keeps old events back, loses sessions and talks
//! nonsense, in both versions of the protocol, with the guard and without it.
//!
//! The broker's side of the promise is checked where the broker stands: an acknowledgement for an id that is not in
//! flight on this connection, or for a message that is not on disk at that moment, is a loss.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use ingest::subscribe::{self, SubscribeConfig, Version};
use ingest::{Disk, Faults, Guard, Ingest, IngestConfig};
use prometheus::Registry;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Raw, TOPIC, metric, packet, payload, puback_id, rows_by_time, text, until};

/// Steps to the disk for a block: write and sync.
const BLOCK_STEPS: u64 = 2;

/// A subscriber with a disk that can be held, and the broker's listener.
struct Stage {
    dir: tempfile::TempDir,
    registry: Registry,
    faults: Faults,
    ingest: Ingest,
    runtime: Runtime,
    shutdown: CancellationToken,
    subscribing: JoinHandle<()>,
    listener: TcpListener,
    version: Version,
    losses: Vec<String>,
}

/// One connection as the broker sees it.
struct Link {
    raw: Raw,
    /// Event time by packet id.
    in_flight: BTreeMap<u16, i64>,
}

impl Stage {
    fn set(version: Version, left_out: Option<Guard>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let faults = Faults::planned(Disk::Works, left_out);
        let mut settings = IngestConfig::new(dir.path());
        settings.faults = faults.clone();
        settings.writer.block_wait = Duration::ZERO;
        // Every parcel is a block of its own.
        settings.writer.block_bytes_max = 1;
        let ingest = Ingest::start(settings, &registry).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let shutdown = CancellationToken::new();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let config = SubscribeConfig {
            version,
            filters: vec!["arterial/#".to_owned()],
            retry_min: Duration::from_millis(10),
            retry_max: Duration::from_millis(50),
            ..SubscribeConfig::new("127.0.0.1", listener.local_addr().unwrap().port())
        };
        let subscribing = runtime.spawn(subscribe::run(config, ingest.writer(), shutdown.clone()));
        let losses = Vec::new();
        Self { dir, registry, faults, ingest, runtime, shutdown, subscribing, listener, version, losses }
    }

    /// Takes the next connection; a session that is not present, or the first, is subscribed to.
    fn accept(&self, session_present: bool, subscribes: bool) -> Link {
        let (stream, _) = self.listener.accept().unwrap();
        let mut raw = Raw::of(stream).unwrap();
        assert_eq!(raw.packet().unwrap().0, 0x10);
        let present = u8::from(session_present);
        match self.version {
            Version::V4 => raw.send(&[0x20, 2, present, 0]),
            Version::V5 => raw.send(&[0x20, 3, present, 0, 0]),
        }
        if subscribes {
            let (kind, body) = raw.packet().unwrap();
            assert_eq!(kind, 0x82);
            match self.version {
                Version::V4 => raw.send(&packet(0x90, &[body[0], body[1], 1])),
                Version::V5 => raw.send(&packet(0x90, &[body[0], body[1], 0, 1])),
            }
        }
        Link { raw, in_flight: BTreeMap::new() }
    }

    fn publish(&self, id: u16, time: i64) -> Vec<u8> {
        let none: &[u8] = match self.version {
            Version::V4 => &[],
            Version::V5 => &[0],
        };
        packet(0x32, &[&text(TOPIC)[..], &id.to_be_bytes(), none, payload(time).as_bytes()].concat())
    }

    fn send(&self, link: &mut Link, id: u16, time: i64) {
        let bytes = self.publish(id, time);
        link.in_flight.insert(id, time);
        link.raw.send(&bytes);
    }

    /// Takes one acknowledgement and holds it against the disk.
    fn acknowledged(&mut self, link: &mut Link) {
        let (kind, body) = link.raw.packet().expect("an acknowledgement");
        assert_eq!(kind, 0x40);
        let id = puback_id(&body);
        match link.in_flight.remove(&id) {
            None => self.losses.push(format!("{id} was acknowledged and not in flight")),
            Some(time) if !rows_by_time(self.dir.path()).contains_key(&time) => {
                self.losses.push(format!("{time} was acknowledged as {id} and is not on disk"));
            }
            Some(_) => {}
        }
    }

    fn waiting(&self) -> f64 {
        metric(&self.registry, "arterial_ingest_waiting_messages")
    }

    /// Lets one held block through and waits until either its acknowledgement was dropped or one came.
    fn let_one_through(&mut self, link: &mut Link) {
        let before = metric(&self.registry, "arterial_ingest_mqtt_stale_acks_total");
        self.faults.set(Disk::Holds { steps: BLOCK_STEPS });
        let registry = self.registry.clone();
        let mut came = false;
        until("the old acknowledgement goes somewhere", || {
            came = link.raw.has_bytes();
            came || metric(&registry, "arterial_ingest_mqtt_stale_acks_total") > before
        });
        if came {
            self.acknowledged(link);
        }
    }

    /// The disk works again: everything is acknowledged, and in the end `times` is on disk. Gives the losses.
    fn end(mut self, mut link: Link, times: &[i64]) -> Vec<String> {
        self.faults.set(Disk::Works);
        while !link.in_flight.is_empty() && self.losses.is_empty() {
            self.acknowledged(&mut link);
        }
        self.shutdown.cancel();
        // Says goodbye, or is gone.
        drop(link);
        self.runtime.block_on(self.subscribing).unwrap();
        self.ingest.stop().unwrap();
        let rows = rows_by_time(self.dir.path());
        for time in times {
            match rows.get(time) {
                Some(1) => {}
                found => self.losses.push(format!("{time} is on disk {} times", found.unwrap_or(&0))),
            }
        }
        self.losses
    }
}

/// A message waits for the disk, its connection goes, and its id comes again with another message.
fn stale_acknowledgement(version: Version, left_out: Option<Guard>) -> Vec<String> {
    let mut stage = Stage::set(version, left_out);
    let mut first = stage.accept(false, true);
    stage.faults.set(Disk::Holds { steps: 0 });
    stage.send(&mut first, 1, 100);
    let faults = stage.faults.clone();
    until("its block is held", || faults.holds());
    drop(first);
    let mut second = stage.accept(true, false);
    stage.send(&mut second, 1, 200);
    until("both wait", || stage.waiting() == 2.0);
    stage.let_one_through(&mut second);
    // The broker sends again what it was not told about.
    if stage.losses.is_empty() {
        stage.send(&mut second, 2, 100);
    }
    stage.end(second, &[100, 200])
}

/// Messages and the end of their connection are read at once: without the guard they surface on the next one.
fn old_events(version: Version, left_out: Option<Guard>) -> Vec<String> {
    let mut stage = Stage::set(version, left_out);
    let mut first = stage.accept(false, true);
    until("subscribed", || stage.ingest.ready().is_ready());
    stage.faults.set(Disk::Holds { steps: 0 });
    // A type that no version has, behind five messages: the library reads all of it at once.
    let mut burst: Vec<u8> = (1..=5).flat_map(|id| stage.publish(id, 100 + i64::from(id))).collect();
    burst.extend([0x00, 0x00]);
    first.raw.send(&burst);
    let mut second = stage.accept(true, false);
    stage.send(&mut second, 1, 200);
    let faults = stage.faults.clone();
    until("a block is held", || faults.holds());
    stage.faults.set(Disk::Works);
    stage.acknowledged(&mut second);
    if stage.losses.is_empty() {
        for id in 2..=6 {
            stage.send(&mut second, id, 99 + i64::from(id));
        }
    }
    stage.end(second, &[101, 102, 103, 104, 105, 200])
}

#[test]
fn neither_race_of_the_client_library_loses_a_message() {
    for version in [Version::V4, Version::V5] {
        assert_eq!(stale_acknowledgement(version, None), [""; 0], "{version:?}");
        assert_eq!(old_events(version, None), [""; 0], "{version:?}");
    }
}

#[test]
fn without_the_guard_the_same_broker_loses_messages() {
    for version in [Version::V4, Version::V5] {
        for losses in [stale_acknowledgement(version, Some(Guard::Epoch)), old_events(version, Some(Guard::Epoch))] {
            eprintln!("{version:?}: {losses:?}");
            assert!(!losses.is_empty(), "{version:?}: the script is blind");
        }
    }
}

#[test]
fn nonsense_and_lost_sessions_cost_a_connection_and_no_message() {
    for version in [Version::V4, Version::V5] {
        let stage = Stage::set(version, None);
        let nonsense: [&[u8]; 8] = [
            &[0x00, 0x00],
            &[0xF0, 0x00],
            // A length that never ends.
            &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            // A topic longer than its packet; a PUBLISH without a topic; QoS 3.
            &[0x30, 0x03, 0xFF, 0xFF, b'a'],
            &[0x32, 0x00],
            &[0x36, 0x05, 0x00, 0x01, b'a', 0x00, 0x01],
            // A PUBACK for what was never sent, a CONNECT from a broker.
            &[0x40, 0x02, 0x00, 0x07],
            &[0x10, 0x02, 0x00, 0x00],
        ];
        let mut link = stage.accept(false, true);
        let mut time = 1_000;
        let mut sent = Vec::new();
        for (round, bytes) in nonsense.iter().enumerate() {
            // One message before the nonsense, unacknowledged, and the same again on the next connection.
            time += 1;
            sent.push(time);
            link.raw.send(&[&stage.publish(7, time)[..], bytes].concat());
            until("the connection is given up, or the nonsense is ignored", || {
                link.raw.is_closed() || link.raw.has_bytes()
            });
            drop(link);
            // The session is lost every other time: then it is subscribed anew.
            let lost = round % 2 == 0;
            link = stage.accept(!lost, lost);
            link.raw.send(&stage.publish(8, time));
            link.in_flight.insert(8, time);
            while !link.in_flight.is_empty() {
                let (kind, body) = link.raw.packet().expect("it goes on after nonsense");
                assert_eq!(kind, 0x40, "after {bytes:?}");
                assert!(link.in_flight.remove(&puback_id(&body)).is_some(), "after {bytes:?}");
                assert_eq!(rows_by_time(stage.dir.path()).get(&time), Some(&1), "after {bytes:?}");
            }
        }
        assert_eq!(stage.end(link, &sent), [""; 0], "{version:?}");
    }
}
