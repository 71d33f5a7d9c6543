//! The endpoint, with real clients and with sockets that misbehave.

use std::time::Duration;

use ingest::server::ServerConfig;
use rumqttc::v5::mqttbytes::v5::PublishProperties;

use crate::support::{PATIENCE, Raw, Running, TOPIC, connect, packet, payload, puback_id, publish, text};

const COUNT: i64 = 2_000;

#[test]
fn a_3_1_1_client_is_acknowledged_for_what_is_durable() {
    let running = Running::start(ServerConfig::default());
    running.runtime.block_on(async {
        let mut options = rumqttc::MqttOptions::new("v4", "127.0.0.1", running.address.port());
        options.set_inflight(500);
        let (client, mut events) = rumqttc::AsyncClient::new(options, COUNT as usize + 1);
        for n in 0..COUNT {
            client.try_publish(TOPIC, rumqttc::QoS::AtLeastOnce, false, payload(n)).unwrap();
        }
        let mut acknowledged = 0;
        while acknowledged < COUNT {
            let event = tokio::time::timeout(PATIENCE, events.poll()).await.unwrap().unwrap();
            if matches!(event, rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_))) {
                acknowledged += 1;
            }
        }
    });
    // Nothing was shut down: what was acknowledged is in the spool already.
    let rows = crate::support::rows_by_time(running.dir.path());
    assert_eq!(rows.len() as i64, COUNT);
    let (fates, rows) = running.end();
    assert_eq!((fates.received, fates.accepted), (COUNT as u64, COUNT as u64));
    assert!(rows.values().all(|count| *count == 1));
}

#[test]
fn a_5_client_may_carry_its_own_receive_clock() {
    let running = Running::start(ServerConfig::default());
    let future = 4_000_000_000_000;
    running.runtime.block_on(async {
        let options = rumqttc::v5::MqttOptions::new("v5", "127.0.0.1", running.address.port());
        let (client, mut events) = rumqttc::v5::AsyncClient::new(options, 10);
        let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
        let user_properties = vec![("received-ms".to_owned(), (future + 7).to_string())];
        let properties = PublishProperties { user_properties, ..PublishProperties::default() };
        client.publish_with_properties(TOPIC, qos, false, payload(future), properties).await.unwrap();
        // The same without its clock is from the future.
        client.publish(TOPIC, qos, false, payload(future + 1)).await.unwrap();
        let mut acknowledged = 0;
        while acknowledged < 2 {
            let event = tokio::time::timeout(PATIENCE, events.poll()).await.unwrap().unwrap();
            if matches!(event, rumqttc::v5::Event::Incoming(rumqttc::v5::mqttbytes::v5::Packet::PubAck(_))) {
                acknowledged += 1;
            }
        }
    });
    assert_eq!(running.metric("arterial_ingest_rejected_total{reason=\"from_the_future\"}"), 1.0);
    let (fates, rows) = running.end();
    assert_eq!((fates.accepted, fates.rejected_total()), (1, 1));
    assert_eq!(rows.into_keys().collect::<Vec<_>>(), [future]);
}

#[test]
fn acknowledgements_leave_in_the_order_of_receipt() {
    let running = Running::start(ServerConfig { in_flight_max: 50, ..ServerConfig::default() });
    let mut raw = Raw::connect(running.address, 4, "pipelined", 60);
    let mut writer = raw.stream.try_clone().unwrap();
    let all: Vec<u8> = (1..=20_000u16).flat_map(|id| publish(TOPIC, id, &payload(i64::from(id)))).collect();
    // Far more than may be in flight: the rest waits in the sockets until there is room.
    let sending = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &all).unwrap());
    for id in 1..=20_000 {
        let (kind, body) = raw.packet().unwrap();
        assert_eq!((kind, puback_id(&body)), (0x40, id));
    }
    sending.join().unwrap();
    let (fates, rows) = running.end();
    assert_eq!((fates.accepted, rows.len()), (20_000, 20_000));
}

#[test]
fn half_packets_are_awaited_byte_by_byte() {
    let running = Running::start(ServerConfig::default());
    let mut raw = Raw::open(running.address).unwrap();
    for byte in connect(4, "slow", 60).into_iter().chain(publish(TOPIC, 9, &payload(1))).chain([0xC0, 0]) {
        raw.send(&[byte]);
    }
    assert_eq!(raw.packet().unwrap(), (0x20, vec![0, 0]));
    let (mut acked, mut ponged) = (false, false);
    while !(acked && ponged) {
        match raw.packet().unwrap() {
            (0x40, body) => acked = puback_id(&body) == 9,
            (0xD0, _) => ponged = true,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(running.end().0.accepted, 1);
}

#[test]
fn misbehaviour_closes_one_connection_with_its_reason_and_harms_no_other() {
    let running = Running::start(ServerConfig::default());
    let mut healthy = Raw::connect(running.address, 4, "healthy", 600);
    let mut qos2 = text(TOPIC);
    qos2.extend([0, 1]);
    let too_large: &[u8] = &[0x32, 0xFF, 0xFF, 0xFF, 0x7F];
    let deep = packet(0x30, &[&[0xFF, 0xFF][..], b"arterial"].concat());
    let cases: Vec<(&str, u8, Vec<u8>, Option<u8>)> = vec![
        ("malformed", 4, deep.clone(), None),
        ("malformed", 5, deep, Some(0x81)),
        ("malformed", 5, vec![0x32, 0x80, 0x80, 0x80, 0x80, 1], Some(0x81)),
        ("too_large", 4, too_large.to_vec(), None),
        ("too_large", 5, too_large.to_vec(), Some(0x95)),
        ("qos_not_supported", 4, packet(0x34, &qos2), None),
        ("qos_not_supported", 5, packet(0x34, &[&qos2[..], &[0]].concat()), Some(0x9B)),
        ("topic", 5, packet(0x30, &[&text("a/#")[..], &[0]].concat()), Some(0x90)),
        ("topic", 5, packet(0x30, &[&text("")[..], &[3, 35, 0, 1]].concat()), Some(0x90)),
        ("unexpected", 4, connect(4, "again", 60), None),
        ("unexpected", 5, packet(0xF0, &[]), Some(0x82)),
        ("disconnected", 4, vec![0xE0, 0], None),
        ("disconnected", 5, vec![0xE0, 0], None),
    ];
    for (number, (reason, level, bytes, code)) in cases.into_iter().enumerate() {
        let line = format!("arterial_ingest_closed_total{{reason=\"{reason}\"}}");
        let before = running.metric(&line);
        let mut raw = Raw::connect(running.address, level, &format!("bad-{number}"), 60);
        raw.send(&bytes);
        let last = raw.until_closed();
        assert_eq!(last.map(|(kind, body)| (kind, body[0])), code.map(|code| (0xE0, code)), "{reason} in {level}");
        running.until_metric(&line, before + 1.0);
        let id = number as u16 + 1;
        healthy.send(&publish(TOPIC, id, &payload(i64::from(id))));
        assert_eq!(puback_id(&healthy.packet().unwrap().1), id);
    }
    running.until_metric("arterial_ingest_connections", 1.0);
    assert_eq!(running.metric("arterial_ingest_connections"), 1.0);
    assert_eq!(running.end().0.accepted, 13);
}

#[test]
fn what_is_no_mqtt_or_another_version_is_refused() {
    let running = Running::start(ServerConfig { connect_wait: Duration::from_millis(200), ..ServerConfig::default() });
    let mut http = Raw::open(running.address).unwrap();
    http.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(http.until_closed(), None);
    let mut silent = Raw::open(running.address).unwrap();
    assert_eq!(silent.until_closed(), None, "silence is not waited for forever");
    let mut old = Raw::open(running.address).unwrap();
    old.send(&packet(0x10, &[&text("MQIsdp")[..], &[3, 2, 0, 60], &text("old")].concat()));
    assert_eq!(old.until_closed(), Some((0x20, vec![0, 1])));
    let mut nameless = Raw::open(running.address).unwrap();
    nameless.send(&packet(0x10, &[&text("MQTT")[..], &[4, 0, 0, 60], &text("")].concat()));
    assert_eq!(nameless.until_closed(), Some((0x20, vec![0, 2])));
    running.until_metric("arterial_ingest_closed_total{reason=\"no_connect\"}", 2.0);
    running.until_metric("arterial_ingest_closed_total{reason=\"version\"}", 1.0);
    running.until_metric("arterial_ingest_closed_total{reason=\"client_id\"}", 1.0);
    running.end();
}

#[test]
fn a_silent_client_and_a_replaced_one_are_closed() {
    let running = Running::start(ServerConfig { connections_max: 2, ..ServerConfig::default() });
    let mut silent = Raw::connect(running.address, 5, "silent", 1);
    assert_eq!(silent.until_closed(), Some((0xE0, vec![0x8D, 0])));
    running.until_metric("arterial_ingest_closed_total{reason=\"keep_alive\"}", 1.0);
    let mut first = Raw::connect(running.address, 5, "same", 60);
    let mut second = Raw::connect(running.address, 4, "same", 60);
    assert_eq!(first.until_closed(), Some((0xE0, vec![0x8E, 0])));
    running.until_metric("arterial_ingest_closed_total{reason=\"taken_over\"}", 1.0);
    second.send(&publish(TOPIC, 1, &payload(1)));
    assert_eq!(puback_id(&second.packet().unwrap().1), 1);
    let _third = Raw::connect(running.address, 4, "third", 60);
    let mut fourth = Raw::open(running.address).unwrap();
    fourth.send(&connect(4, "fourth", 60));
    assert_eq!(fourth.until_closed(), Some((0x20, vec![0, 3])), "two are the most");
    running.end();
}

#[test]
fn a_tap_shows_the_stream_and_a_slow_one_loses_counted_messages() {
    let running = Running::start(ServerConfig { tap_lag_max: 8, ..ServerConfig::default() });
    let mut tap = Raw::connect(running.address, 4, "tap", 600);
    tap.send(&packet(
        0x82,
        &[&[0, 7][..], &text("arterial/v1/+/position/#"), &[1], &text("bad/#/filter"), &[0]].concat(),
    ));
    assert_eq!(tap.packet().unwrap(), (0x90, vec![0, 7, 0, 0x80]), "QoS 0, and a refusal");
    let mut device = Raw::connect(running.address, 4, "device", 600);
    device.send(&publish("elsewhere", 1, "{}"));
    device.send(&publish(TOPIC, 2, &payload(2)));
    assert_eq!(tap.packet().unwrap(), (0x30, [text(TOPIC), payload(2).into_bytes()].concat()));
    assert_eq!((device.packet().unwrap().0, device.packet().unwrap().0), (0x40, 0x40));

    // Nobody reads the tap any more; the device goes on unhindered.
    let filler = "x".repeat(30_000);
    for id in 3..600 {
        let body = format!(r#"{{"ts_ms":{id},"lon_deg":11.3,"lat_deg":44.5,"note":"{filler}"}}"#);
        device.send(&publish(TOPIC, id, &body));
        assert_eq!(puback_id(&device.packet().unwrap().1), id);
    }
    assert!(running.metric("arterial_ingest_tap_dropped_total") > 0.0);
    let (fates, _) = running.end();
    assert_eq!((fates.accepted, fates.rejected_total()), (598, 1));
}
