//! Broker mode against a real mosquitto that is restarted in the middle.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ingest::subscribe::{self, SubscribeConfig};
use ingest::{Ingest, IngestConfig};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::support::{Raw, connect, metric, payload, puback_id, publish, rows_by_time, until};

const MESSAGES: i64 = 20_000;

/// Unacknowledged messages of the publisher.
const WINDOW: usize = 500;

/// A broker with its sessions in a folder of its own.
pub(crate) struct Mosquitto {
    child: Child,
    dir: tempfile::TempDir,
    address: SocketAddr,
}

impl Mosquitto {
    /// Starts it and waits until it answers.
    pub(crate) fn start(address: SocketAddr) -> Self {
        Self::start_with(address, "allow_anonymous true\n")
    }

    /// The same with more lines of configuration.
    pub(crate) fn start_with(address: SocketAddr, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Mosquitto gives up its rights when it is started by root, and must still write its sessions.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let text = format!(
            "listener {} {}\npersistence true\npersistence_location {}/\nautosave_interval 1\n\
             max_inflight_messages 2000\nmax_queued_messages 1000000\nmax_packet_size 2000000\n{more}",
            address.port(),
            address.ip(),
            dir.path().display()
        );
        std::fs::write(dir.path().join("mosquitto.conf"), text).unwrap();
        Self { child: Self::spawn(dir.path(), address), dir, address }
    }

    fn spawn(dir: &Path, address: SocketAddr) -> Child {
        let found = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "mosquitto"];
        let child = found.into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.arg("-c").arg(dir.join("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        });
        let child = child.expect("this test needs a real broker: `apt-get install mosquitto`");
        until("mosquitto answers", || Raw::open(address).is_ok());
        child
    }

    /// Asks it to end, so that it writes its sessions to disk, waits, and starts it again later.
    fn end(&mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = Self::spawn(self.dir.path(), self.address);
    }

    /// SIGKILL, and a new process with whatever is on disk.
    pub(crate) fn kill_and_start_again(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.start_again();
        self
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Publishes times until all are acknowledged, connecting again whenever the broker goes away.
fn publish_all(address: SocketAddr, acknowledged: &dyn Fn(usize)) {
    let mut waiting: BTreeSet<i64> = BTreeSet::new();
    let (mut next, mut done) = (0, 0);
    while done < MESSAGES as usize {
        let Ok(mut raw) = Raw::open(address) else { continue };
        let mut sent: Vec<i64> = Vec::new();
        let hello = std::io::Write::write_all(&mut raw.stream, &connect(4, "publisher", 60));
        if hello.is_err() || !matches!(raw.try_packet(), Ok(Some((0x20, _)))) {
            continue;
        }
        let mut ready: Vec<i64> = waiting.iter().copied().collect();
        loop {
            while waiting.len() < WINDOW && next < MESSAGES {
                waiting.insert(next);
                ready.push(next);
                next += 1;
            }
            let mut bytes = Vec::new();
            for time in ready.drain(..) {
                sent.push(time);
                // Ids go round: the window is far smaller than the room of ids.
                let id = (sent.len() - 1) % 60_000 + 1;
                let topic = format!("arterial/v1/test/position/bus-{}", time % 7);
                bytes.extend(publish(&topic, id as u16, &payload(time)));
            }
            if std::io::Write::write_all(&mut raw.stream, &bytes).is_err() {
                break;
            }
            match raw.try_packet() {
                Ok(Some((0x40, body))) => {
                    waiting.remove(&sent[usize::from(puback_id(&body)) - 1]);
                    done += 1;
                    acknowledged(done);
                    if done == MESSAGES as usize {
                        return;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        // Sent again on the next connection; the ids begin anew there.
        done = next as usize - waiting.len();
    }
}

/// Else somebody publishes to a broker that has nobody to keep the messages for, and acknowledges them all the same.
#[test]
fn ingest_is_not_ready_from_the_moment_that_it_is_to_subscribe() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let ingest = Ingest::start(IngestConfig::new(dir.path()), &registry).unwrap();
    assert!(ingest.ready().is_ready());
    // Nothing has polled it yet: no time has passed in which somebody could be told otherwise.
    let subscribing = subscribe::run(SubscribeConfig::new("127.0.0.1", 1), ingest.writer(), CancellationToken::new());
    let reasons = ingest.ready().reasons();
    assert!(reasons[&ingest::ready::Part::Broker].contains("not connected yet"), "{reasons:?}");
    drop(subscribing);
}

#[test]
fn nothing_is_lost_through_a_broker_that_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let mut broker = Mosquitto::start(address);

    let registry = Registry::new();
    let ingest = Ingest::start(IngestConfig::new(dir.path()), &registry).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let shutdown = CancellationToken::new();
    let config = SubscribeConfig::new("127.0.0.1", address.port());
    let subscribing = runtime.spawn(subscribe::run(config, ingest.writer(), shutdown.clone()));
    until("subscribed", || metric(&registry, "arterial_ingest_mqtt_connected") == 1.0 && ingest.ready().is_ready());

    let (half, reached) = std::sync::mpsc::channel();
    let publishing = std::thread::spawn(move || {
        publish_all(address, &|done| {
            if done == MESSAGES as usize / 2 {
                half.send(()).unwrap();
            }
        });
    });
    reached.recv().unwrap();
    broker.end();
    until("ingest notices", || !ingest.ready().is_ready());
    broker.start_again();
    publishing.join().unwrap();
    until("everything is there", || {
        metric(&registry, "arterial_ingest_events_total{fate=\"accepted\"}") >= MESSAGES as f64
    });
    assert!(ingest.ready().is_ready());
    assert_eq!(metric(&registry, "arterial_ingest_mqtt_connected"), 1.0);

    shutdown.cancel();
    runtime.block_on(subscribing).unwrap();
    let fates = ingest.stop().unwrap();
    broker.end();
    eprintln!(
        "{} duplicates, {} stale acknowledgements",
        fates.duplicate,
        metric(&registry, "arterial_ingest_mqtt_stale_acks_total")
    );
    assert_eq!((fates.accepted, fates.rejected_total()), (MESSAGES as u64, 0));
    assert_eq!(fates.received, fates.accepted + fates.duplicate);
    let rows = rows_by_time(dir.path());
    assert_eq!(rows.len() as i64, MESSAGES);
    assert!(rows.values().all(|count| *count == 1));
}
