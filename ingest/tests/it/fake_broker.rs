//! Broker mode against a scripted broker that provokes what a real one does only rarely.

use std::net::TcpListener;
use std::time::Duration;

use ingest::subscribe::{self, SubscribeConfig};
use ingest::{Ingest, IngestConfig};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::support::{Raw, TOPIC, metric, packet, payload, puback_id, rows_by_time, text, until};

/// PUBLISH of version 5 with QoS 1.
fn publish5(id: u16, payload: &str) -> Vec<u8> {
    packet(0x32, &[&text(TOPIC)[..], &id.to_be_bytes(), &[0], payload.as_bytes()].concat())
}

/// Accepts the client's next connection and answers its CONNECT.
fn accept(listener: &TcpListener, session_present: u8) -> Raw {
    let (stream, _) = listener.accept().unwrap();
    let mut raw = Raw::of(stream).unwrap();
    assert_eq!(raw.packet().unwrap().0, 0x10);
    raw.send(&[0x20, 3, session_present, 0, 0]);
    raw
}

/// Reads SUBSCRIBE and grants or refuses both filters.
fn suback(raw: &mut Raw, code: u8) {
    let (kind, body) = raw.packet().unwrap();
    assert_eq!(kind, 0x82);
    raw.send(&packet(0x90, &[body[0], body[1], 0, code, code]));
}

fn config(listener: &TcpListener) -> SubscribeConfig {
    SubscribeConfig {
        retry_max: Duration::from_millis(200),
        ..SubscribeConfig::new("127.0.0.1", listener.local_addr().unwrap().port())
    }
}

#[test]
fn an_acknowledgement_of_a_lost_connection_is_never_sent_on_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let mut settings = IngestConfig::new(dir.path());
    // Long enough that the connection is lost before the block closes.
    settings.writer.block_wait = Duration::from_millis(400);
    let ingest = Ingest::start(settings, &registry).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let shutdown = CancellationToken::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let subscribing = runtime.spawn(subscribe::run(config(&listener), ingest.writer(), shutdown.clone()));

    let mut first = accept(&listener, 0);
    suback(&mut first, 1);
    first.send(&publish5(1, &payload(100)));
    until("the message waits for its block", || metric(&registry, "arterial_ingest_waiting_messages") == 1.0);
    first.stream.shutdown(std::net::Shutdown::Both).unwrap();
    let mut second = accept(&listener, 1);
    // The first message's block closes only now: its acknowledgement must go nowhere.
    until("the old acknowledgement is dropped", || metric(&registry, "arterial_ingest_mqtt_stale_acks_total") == 1.0);
    second.send(&publish5(1, &payload(200)));
    let (kind, body) = second.packet().unwrap();
    assert_eq!((kind, puback_id(&body)), (0x40, 1));
    assert_eq!(rows_by_time(dir.path()).len(), 2, "acknowledged after it was durable");
    shutdown.cancel();
    let mut acknowledgements = 1;
    while let Some((kind, _)) = second.packet() {
        acknowledgements += usize::from(kind == 0x40);
        if kind == 0xE0 {
            break;
        }
    }
    assert_eq!(acknowledgements, 1, "one message of this connection, one acknowledgement on it");
    drop(second);
    runtime.block_on(subscribing).unwrap();
    ingest.stop().unwrap();
}

#[test]
fn a_lost_session_is_subscribed_anew_and_a_refusal_is_not_readiness() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let ingest = Ingest::start(IngestConfig::new(dir.path()), &registry).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let shutdown = CancellationToken::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let subscribing = runtime.spawn(subscribe::run(config(&listener), ingest.writer(), shutdown.clone()));

    // Session present, but of an earlier process, whose filters nobody knows: asked for all the same.
    let mut first = accept(&listener, 1);
    suback(&mut first, 0x87);
    assert!(first.packet().is_none_or(|(kind, _)| kind == 0xE0), "it gives the connection up");
    until("the refusal is told", || ingest.ready().reasons().values().any(|why| why.contains("refuses to subscribe")));
    drop(first);
    let mut second = accept(&listener, 0);
    suback(&mut second, 1);
    until("ready", || ingest.ready().is_ready());
    drop(second);
    let mut third = accept(&listener, 0);
    suback(&mut third, 1);
    until("ready again", || ingest.ready().is_ready());
    shutdown.cancel();
    while third.packet().is_some_and(|(kind, _)| kind != 0xE0) {}
    drop(third);
    runtime.block_on(subscribing).unwrap();
    ingest.stop().unwrap();
}
