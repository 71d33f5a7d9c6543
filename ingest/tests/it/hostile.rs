//! Devices that mean harm, or are only slow and many: whatever they do, the others are served.

use std::io::Write;
use std::time::Duration;

use ingest::server::ServerConfig;

use crate::support::{Raw, Running, TOPIC, connect, packet, payload, puback_id, publish, text};
use crate::victim::{Setting, Victim, child, report};

/// Publishes one message and takes its acknowledgement.
fn serves(raw: &mut Raw, id: u16) {
    raw.send(&publish(TOPIC, id, &payload(i64::from(id))));
    assert_eq!(puback_id(&raw.packet().unwrap().1), id);
}

#[test]
fn who_is_slow_with_connect_or_within_a_packet_is_let_go() {
    let short = Duration::from_millis(300);
    let running = Running::start(ServerConfig { connect_wait: short, packet_wait: short, ..ServerConfig::default() });
    let mut healthy = Raw::connect(running.address, 4, "healthy", 600);
    // Half a CONNECT; half a PUBLISH, in both versions; a length without its packet.
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let mut connecting = Raw::open(running.address).unwrap();
    connecting.send(&half(&connect(4, "slow", 60)));
    assert_eq!(connecting.until_closed(), None);
    running.until_metric("arterial_ingest_closed_total{reason=\"no_connect\"}", 1.0);
    for (level, told) in [(4, None), (5, Some((0xE0, vec![0xA0, 0])))] {
        let mut raw = Raw::connect(running.address, level, "slow", 60);
        raw.send(&half(&publish(TOPIC, 1, &payload(1))));
        assert_eq!(raw.until_closed(), told);
    }
    let mut liar = Raw::connect(running.address, 4, "liar", 60);
    liar.send(&[0x32, 0x80, 0x80, 0x40]);
    assert_eq!(liar.until_closed(), None);
    running.until_metric("arterial_ingest_closed_total{reason=\"slow_packet\"}", 3.0);
    serves(&mut healthy, 1);
    // Between packets there is no hurry: nobody of the slow ones was closed for silence.
    assert_eq!(running.metric("arterial_ingest_closed_total{reason=\"keep_alive\"}"), 0.0);
    assert_eq!(running.end().0.received, 1);
}

#[test]
fn unfinished_packets_share_a_bounded_room_and_small_ones_need_none() {
    let running = Running::start(ServerConfig {
        unfinished_bytes_max: 256 << 10,
        packet_wait: Duration::from_secs(1),
        ..ServerConfig::default()
    });
    let mut healthy = Raw::connect(running.address, 4, "healthy", 600);
    // Each claims a mebibyte and sends half of it: together a hundred times the room.
    let mut liars: Vec<_> = (0..50)
        .map(|n| {
            let mut raw = Raw::connect(running.address, 4, &format!("liar-{n}"), 60);
            raw.send(&[0x32, 0x80, 0x80, 0x40]);
            raw.stream.set_nonblocking(true).unwrap();
            // As much as the sockets take.
            let _taken = raw.stream.write(&vec![0; 512 << 10]);
            raw.stream.set_nonblocking(false).unwrap();
            raw
        })
        .collect();
    for id in 1..=100 {
        serves(&mut healthy, id);
    }
    for liar in &mut liars {
        assert_eq!(liar.until_closed(), None);
    }
    running.until_metric("arterial_ingest_closed_total{reason=\"slow_packet\"}", 50.0);
    // The room is free again: a packet that needs all of it is taken.
    let large = format!(r#"{{"ts_ms":7000,"lon_deg":11.3,"lat_deg":44.5,"note":"{}"}}"#, "x".repeat(400 << 10));
    healthy.send(&publish(TOPIC, 200, &large));
    assert_eq!(puback_id(&healthy.packet().unwrap().1), 200);
    assert_eq!(running.end().0.received, 101);
}

#[test]
fn poison_ends_in_dead_letters_is_acknowledged_and_blocks_nobody() {
    let running = Running::start(ServerConfig::default());
    let mut raw = Raw::connect(running.address, 4, "device", 600);
    let deep = "[".repeat(100_000);
    let poison: [(&str, Vec<u8>); 9] = [
        (TOPIC, b"not json".to_vec()),
        (TOPIC, vec![0xFF, 0xFE, 0x00]),
        (TOPIC, deep.into_bytes()),
        (TOPIC, br#"{"ts_ms":1,"lon_deg":1e308,"lat_deg":44.5}"#.to_vec()),
        (TOPIC, br#"{"ts_ms":1,"lon_deg":NaN,"lat_deg":44.5}"#.to_vec()),
        (TOPIC, br#"{"ts_ms":99999999999999999999999,"lon_deg":11,"lat_deg":44.5}"#.to_vec()),
        (TOPIC, vec![b' '; 1_000_000]),
        ("weather/today", b"{}".to_vec()),
        ("arterial/v1/x/position/a/b/c", payload(1).into_bytes()),
    ];
    let mut id = 0;
    for (topic, bytes) in &poison {
        id += 1;
        raw.send(&packet(0x32, &[&text(topic)[..], &[0, id as u8], bytes].concat()));
        id += 1;
        serves_at(&mut raw, id - 1, id);
    }
    let letters = ingest::dead_letter::files_in(&ingest::start::dead_letter_dir(running.dir.path())).unwrap();
    let lines: usize = letters.iter().map(|path| std::fs::read_to_string(path).unwrap().lines().count()).sum();
    assert_eq!(lines, poison.len());
    let (fates, _) = running.end();
    assert_eq!((fates.accepted, fates.rejected_total()), (9, 9));
}

/// Both the poison and a sound message behind it are acknowledged.
fn serves_at(raw: &mut Raw, poison: u16, id: u16) {
    raw.send(&publish(TOPIC, id, &payload(i64::from(id))));
    assert_eq!(puback_id(&raw.packet().unwrap().1), poison);
    assert_eq!(puback_id(&raw.packet().unwrap().1), id);
}

#[test]
fn an_idle_connection_costs_at_most_64_kib() {
    if child() {
        return;
    }
    const MANY: u64 = 1_000;
    let dir = tempfile::tempdir().unwrap();
    let victim = Victim::start("hostile::an_idle_connection_costs_at_most_64_kib", dir.path(), &Setting::default());
    let mut held = Vec::new();
    let mut more = |prefix: &str, count: u64, level: u8| {
        for n in 0..count {
            let mut raw = Raw::connect(victim.mqtt, level, &format!("{prefix}-{n}"), 3_600);
            // One message each, so that every buffer there is has been used.
            let body = format!(r#"{{"ts_ms":{n},"lon_deg":11.3,"lat_deg":44.5}}"#);
            let topic = format!("arterial/v1/test/position/{prefix}-{n}");
            if level == 4 {
                raw.send(&publish(&topic, 1, &body));
                assert_eq!(raw.packet().unwrap().0, 0x40);
            }
            held.push(raw);
        }
        victim.resident_bytes()
    };
    // The first ones warm up what is there once.
    let before = more("warm", 100, 4);
    let after = more("idle", MANY, 4);
    let each = (after - before) / MANY;
    report(&format!("idle connection: {:.1} KiB resident, mean of {MANY}", each as f64 / 1024.0));
    assert!(each <= 64 << 10, "{each} bytes");
    assert_eq!(victim.metric("arterial_ingest_connections"), (MANY + 100) as f64);
}
