//! Publishing: everything is acknowledged or named, whatever the server does.

use std::time::Duration;

use events::codec::decode;
use events::{Event, TimeMs};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event as MqttEvent, EventLoop, MqttOptions};
use sim::{CityConfig, Progress, PublishConfig, PublishError, Publisher, SensorConfig, Speed, run_city};
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::city::small_city;
use crate::peer::{Manner, Peer};

fn config(port: u16) -> PublishConfig {
    PublishConfig::new("127.0.0.1", port, "test")
}

/// A publisher that has handed over `count` numbered messages.
async fn numbered(config: PublishConfig, count: i64) -> Publisher {
    let mut publisher = Publisher::connect(config).await.unwrap();
    for i in 0..count {
        publisher.publish("a/b".into(), i.to_string(), Some(TimeMs(i))).await.unwrap();
    }
    publisher
}

#[tokio::test]
async fn every_message_is_acknowledged_in_order() {
    let peer = Peer::start(vec![Manner::KIND]).await;
    let publisher = numbered(config(peer.port), 1_000).await;
    let counters = publisher.counters();
    let report = publisher.finish().await.unwrap();
    assert_eq!((report.sent, report.acked, report.refused), (1_000, 1_000, 0));
    assert_eq!((counters.accepted(), counters.unsent(), counters.reconnects()), (1_000, 0, 0));
    let heard = peer.heard();
    assert_eq!(heard.len(), 1_000);
    for (i, heard) in heard.iter().enumerate() {
        assert_eq!((heard.topic.as_str(), heard.payload.as_slice()), ("a/b", i.to_string().as_bytes()));
        assert_eq!(heard.received_ms, Some(i.to_string()));
    }
}

#[tokio::test]
async fn a_lost_connection_loses_nothing() {
    // The first connection acknowledges 3 of 8 messages and hangs up; the second hangs up at once.
    let manners =
        vec![Manner { acks: 3, hears: 8, ..Manner::KIND }, Manner { acks: 0, hears: 1, ..Manner::KIND }, Manner::KIND];
    let peer = Peer::start(manners).await;
    let publisher = numbered(PublishConfig { in_flight_max: 10, ..config(peer.port) }, 50).await;
    let counters = publisher.counters();
    let report = tokio::time::timeout(Duration::from_secs(60), publisher.finish()).await.unwrap().unwrap();
    assert_eq!((report.sent, report.acked), (50, 50));
    assert_eq!(counters.reconnects(), 2);
    let heard = peer.heard();
    let last: Vec<String> =
        heard.iter().filter(|h| h.connection == 2).map(|h| String::from_utf8(h.payload.clone()).unwrap()).collect();
    // What was acknowledged on the first connection may or may not have been seen before it broke.
    let first: i64 = last[0].parse().unwrap();
    assert!((0..=3).contains(&first), "the last connection began with {first}");
    let expected: Vec<String> = (first..50).map(|i| i.to_string()).collect();
    assert_eq!(last, expected);
}

#[tokio::test]
async fn a_full_queue_holds_back_and_says_so() {
    let peer = Peer::start(vec![Manner { acks: 0, ..Manner::KIND }]).await;
    let small = PublishConfig { in_flight_max: 5, queue_max: 3, ..config(peer.port) };
    let mut publisher = Publisher::connect(small).await.unwrap();
    let counters = publisher.counters();
    let endless = async {
        loop {
            publisher.publish("a".into(), "x", None).await.unwrap();
        }
    };
    let full = async {
        while counters.sent() < 5 || counters.unsent() < 4 {
            tokio::task::yield_now().await;
        }
        // Many more chances to take one too many.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = endless => {}
        done = tokio::time::timeout(Duration::from_secs(60), full) => done.unwrap(),
    }
    assert_eq!((counters.sent(), counters.acked()), (5, 0));
    // Three wait in the queue, and one before it.
    assert_eq!(counters.unsent(), 4);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_after_the_stated_time() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let within = Duration::from_millis(700);
    let began = tokio::time::Instant::now();
    let error = Publisher::connect(PublishConfig { connect_within: within, ..config(free) }).await.unwrap_err();
    assert!(matches!(error, PublishError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{free}")), "{error}");
    assert!(began.elapsed() >= within, "gave up after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_stays_away_is_given_up() {
    let peer =
        Peer::start(vec![Manner { acks: 0, hears: 1, ..Manner::KIND }, Manner { connack: 0x88, ..Manner::KIND }]).await;
    let away_max = Duration::from_millis(500);
    let mut publisher = Publisher::connect(PublishConfig { away_max, ..config(peer.port) }).await.unwrap();
    publisher.publish("a".into(), "x", None).await.unwrap();
    let error = publisher.finish().await.unwrap_err();
    assert!(matches!(error, PublishError::Away { unacked: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn refusals_are_named_at_once() {
    let peer = Peer::start(vec![Manner { connack: 0x86, ..Manner::KIND }]).await;
    let error = Publisher::connect(config(peer.port)).await.unwrap_err();
    assert!(matches!(error, PublishError::NotLetIn { .. }), "{error:?}");
    let peer = Peer::start(vec![Manner { puback: 0x97, ..Manner::KIND }]).await;
    let report = numbered(config(peer.port), 3).await.finish().await.unwrap();
    assert_eq!((report.sent, report.acked, report.refused), (3, 0, 3));
    let mut publisher = numbered(PublishConfig { packet_bytes_max: 1_000, ..config(peer.port) }, 0).await;
    let error = publisher.publish("a".into(), vec![0; 1_000], None).await.unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { .. }), "{error:?}");
    let error = publisher.publish("a/#".into(), "x", None).await.unwrap_err();
    assert!(matches!(error, PublishError::Topic(_)), "{error:?}");
    assert_eq!(publisher.finish().await.unwrap().sent, 0);
}

/// A subscriber to everything that is native, already heard by the server.
async fn listen(port: u16) -> EventLoop {
    let mut options = MqttOptions::new("listener", "127.0.0.1", port);
    options.set_max_packet_size(Some(1024 * 1024));
    let (client, mut link) = AsyncClient::new(options, 10);
    client.subscribe("arterial/v1/#", QoS::AtLeastOnce).await.unwrap();
    while !matches!(link.poll().await.unwrap(), MqttEvent::Incoming(Packet::SubAck(_))) {}
    link
}

#[tokio::test]
async fn a_city_passes_through_mosquitto_and_decodes() {
    let broker = Broker::start();
    let mut link = listen(broker.port).await;
    let listener = tokio::spawn(async move {
        let mut heard = [0_u64; 3];
        let mut messages = 0;
        loop {
            let MqttEvent::Incoming(Packet::Publish(publish)) = link.poll().await.unwrap() else { continue };
            if publish.payload == "over" {
                return (heard, messages);
            }
            messages += 1;
            let topic = std::str::from_utf8(&publish.topic).unwrap();
            let received: i64 = publish.properties.unwrap().user_properties[0].1.parse().unwrap();
            let mut fates = Vec::new();
            decode(topic, &publish.payload, &mut fates);
            for fate in fates {
                let event = fate.unwrap();
                assert!((received - 1_000..=received).contains(&event.time().0), "{received}: {event:?}");
                assert!(event.source().starts_with("sim."), "{event:?}");
                match event {
                    Event::Position(_) => heard[0] += 1,
                    Event::Detector(_) => heard[1] += 1,
                    Event::Signal(_) => heard[2] += 1,
                }
            }
        }
    });
    let mut city = small_city(1, 300, SensorConfig::default());
    let mut publisher = Publisher::connect(config(broker.port)).await.unwrap();
    let plan = CityConfig { speed: Speed::Max, duration_s: Some(65), batch_events_max: 100, ..CityConfig::new("test") };
    let progress = Progress::default();
    let report = run_city(&mut city, std::slice::from_mut(&mut publisher), &plan, &progress, CancellationToken::new())
        .await
        .unwrap();
    publisher.publish("arterial/v1/test/position/sim".into(), "over", None).await.unwrap();
    let published = publisher.finish().await.unwrap();
    assert_eq!((report.seconds, published.acked, published.refused), (65, report.messages + 1, 0));
    let (heard, messages) = tokio::time::timeout(Duration::from_secs(60), listener).await.unwrap().unwrap();
    assert_eq!((heard, messages), ([report.positions, report.detectors, report.signals], report.messages));
    assert!(heard.iter().all(|n| *n > 0), "{heard:?}");
    assert_eq!(progress.events(), heard.iter().sum::<u64>());
}

#[tokio::test]
async fn a_city_that_is_cancelled_stops_and_what_was_handed_over_arrives() {
    let peer = Peer::start(vec![Manner::KIND]).await;
    let mut city = small_city(1, 100, SensorConfig::default());
    let mut publisher = Publisher::connect(config(peer.port)).await.unwrap();
    let progress = Progress::default();
    let cancel = CancellationToken::new();
    let plan = CityConfig { speed: Speed::RealTime(50.0), ..CityConfig::new("test") };
    let stopper = async {
        while progress.messages() < 20 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (report, ()) = tokio::join!(
        run_city(&mut city, std::slice::from_mut(&mut publisher), &plan, &progress, cancel.clone()),
        stopper
    );
    let report = report.unwrap();
    assert!(report.cancelled);
    assert_eq!(publisher.finish().await.unwrap().acked, progress.messages());
    assert_eq!(peer.heard().len() as u64, progress.messages());
}
