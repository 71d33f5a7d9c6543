//! Ingest as a process of its own: killed at any moment, and with a disk that has no room.
//!
//! The child is this very test binary, started again with a folder in its environment. The disk "fills up" by the
//! kernel's own limit on the size of a process's files, which is set from outside and lifted again: the same
//! partial write and the same error path as a full volume, without needing one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ingest::server::{ServerConfig, serve};
use ingest::{Ingest, IngestConfig};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{Raw, TOPIC, payload, puback_id, publish, rows_by_time, until, value_in};

const FOLDER: &str = "ARTERIAL_TEST_INGEST_FOLDER";

/// Runs as the child if this process was started as one.
fn child() -> bool {
    let Ok(dir) = std::env::var(FOLDER) else { return false };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let registry = Registry::new();
        let ingest = Ingest::start(IngestConfig::new(dir), &registry).unwrap();
        let mqtt = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let http = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        eprintln!("\nlistening {} {}", mqtt.local_addr().unwrap(), http.local_addr().unwrap());
        let pages = ingest::http::router(registry, ingest.ready());
        tokio::spawn(async move { axum::serve(http, pages).await });
        serve(mqtt, ingest.writer(), CancellationToken::new(), ServerConfig::default()).await.unwrap();
    });
    true
}

struct Process {
    child: Child,
    mqtt: SocketAddr,
    http: SocketAddr,
}

impl Process {
    /// Starts a child that runs the test `name`. A write beyond the size limit is an error to it, not its death.
    fn start(name: &str, dir: &Path) -> Self {
        let mut child = Command::new("/bin/sh")
            .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#])
            .arg(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(FOLDER, dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line =
            lines.find_map(|line| line.unwrap().strip_prefix("listening ").map(str::to_owned)).expect("it starts");
        let (mqtt, http) = line.split_once(' ').unwrap();
        // Its later words belong on our own standard error.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("child: {line}")));
        Self { child, mqtt: mqtt.parse().unwrap(), http: http.parse().unwrap() }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    fn limit_file_size(&self, bytes: &str) {
        let done = Command::new("prlimit")
            .args(["--pid", &self.child.id().to_string(), &format!("--fsize={bytes}:")])
            .status();
        assert!(done.is_ok_and(|s| s.success()), "this test needs `prlimit`: `apt-get install util-linux`");
    }
}

impl Drop for Process {
    /// SIGKILL: no goodbye of any kind.
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn kill_minus_nine_loses_nothing_acknowledged_and_counts_nothing_twice() {
    if child() {
        return;
    }
    let seed = 0x2545_F491_4F6C_DD1D_u64;
    eprintln!("seed {seed}");
    let mut random = seed;
    let dir = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut unsure) = (BTreeSet::new(), BTreeSet::new());
    let mut next = 0;
    for round in 0..8 {
        let process =
            Process::start("crash::kill_minus_nine_loses_nothing_acknowledged_and_counts_nothing_twice", dir.path());
        let mut raw = Raw::connect(process.mqtt, 4, "device", 60);
        // What was sent and not acknowledged is sent again, then new messages.
        let times: Vec<i64> = unsure.iter().copied().chain(next..next + 3_000).collect();
        next += 3_000;
        unsure.extend(&times);
        let all: Vec<u8> =
            times.iter().enumerate().flat_map(|(n, time)| publish(TOPIC, n as u16 + 1, &payload(*time))).collect();
        let mut writer = raw.stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || writer.write_all(&all).is_ok());
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let last = round == 7;
        let acks = if last { times.len() } else { 1 + (random % 2_500) as usize };
        for _ in 0..acks {
            let (_, body) = raw.packet().expect("an acknowledgement");
            let time = times[usize::from(puback_id(&body)) - 1];
            unsure.remove(&time);
            acknowledged.insert(time);
        }
        drop(process);
        sending.join().unwrap();
        // What had left before the death still counts as acknowledged.
        while let Ok(Some((0x40, body))) = raw.try_packet() {
            let time = times[usize::from(puback_id(&body)) - 1];
            unsure.remove(&time);
            acknowledged.insert(time);
        }
    }
    let rows = rows_by_time(dir.path());
    let lost: Vec<_> = acknowledged.iter().filter(|time| !rows.contains_key(time)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let twice: BTreeMap<_, _> = rows.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "stored twice: {twice:?}");
    assert_eq!(rows.len(), 8 * 3_000, "in the end everything was sent and acknowledged");
}

#[test]
fn a_full_disk_holds_acknowledgements_back_says_so_and_goes_on_when_there_is_room() {
    if child() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(
        "crash::a_full_disk_holds_acknowledgements_back_says_so_and_goes_on_when_there_is_room",
        dir.path(),
    );
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
