//! What survives a restart: rows, dead letters, the duplicate memory, the pseudonyms.

use bytes::Bytes;
use events::TimeMs;
use ingest::dead_letter::{DeadLetter, files_in};
use ingest::{Ack, Fates, Incoming, Ingest, IngestConfig, IngestError, SpoolError};
use prometheus::Registry;
use tokio::sync::oneshot;

use crate::support::{TOPIC, payload, rows_by_time};

/// Hands messages over and waits until each is acknowledged.
fn send(ingest: &Ingest, payloads: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut messages, mut told) = (Vec::new(), Vec::new());
        for payload in payloads {
            let (tell, tells) = oneshot::channel();
            let payload = Bytes::from(payload.clone());
            messages.push(Incoming {
                topic: TOPIC.to_owned(),
                payload,
                received: TimeMs(1_000_000),
                ack: Ack::Told(tell),
            });
            told.push(tells);
        }
        ingest.writer().send(messages).await.unwrap();
        for told in told {
            told.await.expect("acknowledged");
        }
    });
}

fn run(config: &IngestConfig, payloads: &[String]) -> Fates {
    let ingest = Ingest::start(config.clone(), &Registry::new()).unwrap();
    send(&ingest, payloads);
    ingest.stop().unwrap()
}

#[test]
fn duplicates_are_known_after_a_restart_and_rejects_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = IngestConfig::new(dir.path());
    let payloads: Vec<_> = (0..500).map(payload).chain(["not json".to_owned()]).collect();
    let first = run(&config, &payloads);
    assert_eq!((first.received, first.accepted, first.duplicate, first.rejected_total()), (501, 500, 0, 1));
    let more: Vec<_> = (250..750).map(payload).collect();
    let second = run(&config, &more);
    assert_eq!((second.received, second.accepted, second.duplicate, second.rejected_total()), (500, 250, 250, 0));
    let rows = rows_by_time(dir.path());
    assert_eq!(rows.len(), 750);
    assert!(rows.values().all(|count| *count == 1));
    let path = files_in(&ingest::start::dead_letter_dir(dir.path())).unwrap().remove(0);
    let letter: DeadLetter = serde_json::from_str(std::fs::read_to_string(path).unwrap().trim_end()).unwrap();
    assert_eq!(
        (letter.payload.as_deref(), letter.reason.as_str(), letter.received_ms),
        (Some("not json"), "malformed", 1_000_000)
    );
}

#[test]
fn one_folder_has_one_ingest() {
    let dir = tempfile::tempdir().unwrap();
    let config = IngestConfig::new(dir.path());
    let first = Ingest::start(config.clone(), &Registry::new()).unwrap();
    let second = Ingest::start(config.clone(), &Registry::new()).map(|_| ()).unwrap_err();
    assert!(matches!(second, IngestError::Spool(SpoolError::Locked { .. })), "{second}");
    first.stop().unwrap();
    Ingest::start(config, &Registry::new()).unwrap().stop().unwrap();
}

#[test]
fn a_stopped_ingest_takes_nothing_more_and_a_full_queue_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = IngestConfig::new(dir.path());
    // Room for two messages: everybody else waits for them to become durable.
    config.writer.queue_bytes_max = 500;
    let ingest = Ingest::start(config, &Registry::new()).unwrap();
    for chunk in (0..60).collect::<Vec<_>>().chunks(2) {
        let payloads: Vec<_> = chunk.iter().copied().map(payload).collect();
        send(&ingest, &payloads);
    }
    let handle = ingest.writer();
    assert_eq!(ingest.stop().unwrap().accepted, 60);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(handle.send(Vec::new())).is_err());
}
