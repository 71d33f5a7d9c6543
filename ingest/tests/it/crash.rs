//! A disk that has no room, a disk that fails, and what is said about it.
//!
//! The disk "fills up" twice: by the kernel's own limit on the size of a process's files, which is set from outside
//! and lifted again (the same partial write and the same error path as a full volume, without needing one); and,
//! where this user may mount one, on a volume of 2 MiB in memory.

use std::collections::BTreeMap;
use std::process::Command;

use ingest::server::ServerConfig;
use ingest::{Disk, Faults, IngestConfig};

use crate::support::{Raw, Running, TOPIC, payload, puback_id, publish, rows_by_time, until, value_in};
use crate::victim::{Setting, Victim, child, now, report};

#[test]
fn a_full_disk_holds_acknowledgements_back_says_so_and_goes_on_when_there_is_room() {
    if child() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let name = "crash::a_full_disk_holds_acknowledgements_back_says_so_and_goes_on_when_there_is_room";
    let process = Victim::start(name, dir.path(), &Setting::default());
    let mut raw = Raw::connect(process.mqtt, 4, "device", 600);
    raw.send(&publish(TOPIC, 1, &payload(1)));
    assert_eq!(puback_id(&raw.packet().unwrap().1), 1);
    assert_eq!(process.get("/ready"), (200, r#"{"ready":true,"reasons":{}}"#.to_owned()));
    assert_eq!(process.get("/live").0, 200);

    let file = std::fs::read_dir(ingest::start::spool_dir(dir.path())).unwrap().map(|entry| entry.unwrap().path());
    let file = file.filter(|path| path.extension().is_some_and(|e| e == "blocks")).max().unwrap();
    let size = std::fs::metadata(&file).unwrap().len();
    // Room for the beginning of a block, and no more.
    process.limit_file_size(&(size + 100).to_string());
    raw.send(&publish(TOPIC, 2, &payload(2)));
    until("it is not ready", || process.get("/ready").0 == 503);
    let (_, reasons) = process.get("/ready");
    assert!(reasons.contains("make room on this volume") && reasons.contains("spool"), "{reasons}");
    let page = process.get("/metrics").1;
    assert_eq!(value_in(&page, "arterial_ingest_disk_full"), 1.0);
    assert_eq!(value_in(&page, "arterial_ingest_received_total"), 1.0, "a fate counts when it is durable");
    until("it tries again", || value_in(&process.get("/metrics").1, "arterial_ingest_commit_failures_total") >= 3.0);
    raw.send(&[0xC0, 0]);
    assert_eq!(raw.packet().unwrap().0, 0xD0, "alive, and no acknowledgement came before this answer");
    // Many connections more are taken, and wait like everybody.
    let mut other = Raw::connect(process.mqtt, 5, "other", 600);
    other.send(&crate::support::packet(
        0x32,
        &[&crate::support::text(TOPIC)[..], &[0, 3, 0], payload(3).as_bytes()].concat(),
    ));

    process.limit_file_size("unlimited");
    assert_eq!(puback_id(&raw.packet().unwrap().1), 2);
    assert_eq!(puback_id(&other.packet().unwrap().1), 3);
    until("it is ready again", || process.get("/ready").0 == 200);
    assert_eq!(value_in(&process.get("/metrics").1, "arterial_ingest_disk_full"), 0.0);
    drop(process);
    let rows = rows_by_time(dir.path());
    assert_eq!(rows, BTreeMap::from([(1, 1), (2, 1), (3, 1)]));
}

/// A volume of its own, unmounted in the end.
struct Volume(tempfile::TempDir);

impl Volume {
    fn mount(bytes: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "arterial-test"]).arg(dir.path());
        let mounted = mount.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("skipped: this user may not mount a volume");
        }
        mounted.then(|| Self(dir))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: whoever still holds a file there does not keep the folder.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_full_volume_is_waited_for_and_costs_no_message() {
    if child() {
        return;
    }
    let Some(volume) = Volume::mount("2m") else { return };
    let ballast = volume.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let name = "crash::a_full_volume_is_waited_for_and_costs_no_message";
    let process = Victim::start(name, &volume.0.path().join("data"), &Setting::default());
    let mut raw = Raw::connect(process.mqtt, 4, "device", 600);
    // Dead letters keep their payload as it came: they fill the volume quickly.
    let poison = "x".repeat(20_000);
    let mut sent = 0u16;
    until("the volume is full", || {
        sent += 1;
        raw.send(&publish(TOPIC, sent, &poison));
        until("acknowledged or refused", || raw.has_bytes() || !process.is_ready());
        if raw.has_bytes() {
            assert_eq!(puback_id(&raw.packet().unwrap().1), sent);
        }
        !process.is_ready()
    });
    assert_eq!(process.metric("arterial_ingest_disk_full"), 1.0);
    raw.send(&[0xC0, 0]);
    assert_eq!(raw.packet().unwrap().0, 0xD0, "no acknowledgement before this answer");
    let room = now();
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(puback_id(&raw.packet().unwrap().1), sent);
    report(&format!(
        "full volume: {sent} messages, acknowledged again {:.2} s after there was room",
        room.elapsed().as_secs_f64()
    ));
    until("it is ready again", || process.is_ready());
    assert_eq!(process.metric("arterial_ingest_dead_letters_total"), f64::from(sent));
}

#[test]
fn a_disk_that_fails_in_any_way_costs_no_message() {
    for disk in [Disk::Fails(5), Disk::Fails(28), Disk::SyncFails(5)] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = IngestConfig::new(dir.path());
        config.faults = Faults::planned(Disk::Works, None);
        let faults = config.faults.clone();
        let running = Running::start_with(dir, config, ServerConfig::default());
        let mut raw = Raw::connect(running.address, 4, "device", 600);
        let (mut id, mut times) = (0u16, Vec::new());
        for round in 0..3 {
            faults.set(disk);
            let first = id + 1;
            for _ in 0..50 {
                id += 1;
                times.push(i64::from(id));
                raw.send(&publish(TOPIC, id, &payload(i64::from(id))));
            }
            let tries = running.metric("arterial_ingest_commit_failures_total");
            running.until_metric("arterial_ingest_commit_failures_total", tries + 3.0);
            assert!(!running.ingest.ready().is_ready());
            raw.send(&[0xC0, 0]);
            assert_eq!(raw.packet().unwrap().0, 0xD0, "{disk:?}: no acknowledgement before this answer");
            faults.set(Disk::Works);
            let back = now();
            for expected in first..=id {
                assert_eq!(puback_id(&raw.packet().unwrap().1), expected);
            }
            report(&format!(
                "{disk:?}, round {round}: acknowledged {:.2} s after it worked",
                back.elapsed().as_secs_f64()
            ));
            let ready = running.ingest.ready();
            until("ready", || ready.is_ready());
        }
        let (fates, rows) = running.end();
        assert_eq!((fates.accepted, fates.duplicate), (150, 0));
        assert!(times.iter().all(|time| rows.get(time) == Some(&1)), "{disk:?}");
    }
}

#[test]
fn a_slow_disk_holds_the_devices_back_and_memory_stays_within_its_bound() {
    if child() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let name = "crash::a_slow_disk_holds_the_devices_back_and_memory_stays_within_its_bound";
    let queue_bytes = 8 << 20;
    let setting = Setting { sync_ms: Some(200), queue_bytes: Some(queue_bytes), ..Setting::default() };
    let process = Victim::start(name, dir.path(), &setting);
    let before = process.resident_bytes();
    let filler = "x".repeat(1_000);
    let each = 20_000;
    let senders: Vec<_> = (0..4)
        .map(|n| {
            let (address, filler) = (process.mqtt, filler.clone());
            std::thread::spawn(move || {
                let mut raw = Raw::connect(address, 4, &format!("device-{n}"), 600);
                let mut socket = raw.stream.try_clone().unwrap();
                // 20 MB each: far more than queue, sockets and windows hold.
                let all = (0..each).flat_map(|i: u16| {
                    let body = format!(r#"{{"ts_ms":{i},"lon_deg":11.3,"lat_deg":44.5,"note":"{filler}"}}"#);
                    publish(&format!("arterial/v1/test/position/slow-{n}"), i + 1, &body)
                });
                let all: Vec<u8> = all.collect();
                let sending = std::thread::spawn(move || std::io::Write::write_all(&mut socket, &all).unwrap());
                for id in 1..=each {
                    assert_eq!(puback_id(&raw.packet().unwrap().1), id);
                }
                sending.join().unwrap();
            })
        })
        .collect();
    let mut most = before;
    until("everything is acknowledged", || {
        most = most.max(process.resident_bytes());
        senders.iter().all(|sender| sender.is_finished())
    });
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let grown = most - before;
    report(&format!(
        "syncs 200 ms slower: 80,000 messages of 1 kB, memory grew by {:.1} MiB with a queue of {} MiB",
        grown as f64 / f64::from(1 << 20),
        queue_bytes >> 20
    ));
    // The queue, as much again for the read buffers that its messages lie in, the open block with its columns, and
    // for each of four connections what it may have read: all of it configured, none of it the disk's to decide.
    let bound = 2 * queue_bytes + (16 << 20);
    assert!(grown <= bound, "{grown} bytes, more than {bound}");
    assert_eq!(process.metric("arterial_ingest_received_total"), 80_000.0);
}
