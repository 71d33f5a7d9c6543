//! Ingest as a process of its own, to be killed, starved and cut off: this very test binary, started again with its
//! part in the environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ingest::server::{ServerConfig, serve};
use ingest::subscribe::{self, SubscribeConfig};
use ingest::{Disk, Faults, Ingest, IngestConfig};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::value_in;

const FOLDER: &str = "ARTERIAL_TEST_INGEST_FOLDER";
const BROKER: &str = "ARTERIAL_TEST_INGEST_BROKER";
const SYNC_MS: &str = "ARTERIAL_TEST_INGEST_SYNC_MS";
const QUEUE_BYTES: &str = "ARTERIAL_TEST_INGEST_QUEUE_BYTES";
const LISTEN: &str = "ARTERIAL_TEST_INGEST_LISTEN";

/// Runs as the child if this process was started as one. Every test that starts a [`Victim`] begins with it.
pub(crate) fn child() -> bool {
    let Ok(dir) = std::env::var(FOLDER) else { return false };
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let registry = Registry::new();
        let mut config = IngestConfig::new(dir);
        if let Some(ms) = number(SYNC_MS) {
            config.faults = Faults::planned(Disk::Slow(Duration::from_millis(ms)), None);
        }
        if let Some(bytes) = number(QUEUE_BYTES) {
            config.writer.queue_bytes_max = bytes as u32;
        }
        let ingest = Ingest::start(config, &registry).unwrap();
        let address = std::env::var(LISTEN).unwrap_or("127.0.0.1".to_owned());
        let mqtt = TcpListener::bind((address.as_str(), 0)).await.unwrap();
        let http = TcpListener::bind((address.as_str(), 0)).await.unwrap();
        eprintln!("\nlistening {} {}", mqtt.local_addr().unwrap(), http.local_addr().unwrap());
        let (writer, forever) = (ingest.writer(), CancellationToken::new());
        // Before its pages are served, as in the program itself: else they say "ready" before the broker is there.
        let subscribing = std::env::var(BROKER).ok().map(|broker| {
            let broker: SocketAddr = broker.parse().unwrap();
            let config = SubscribeConfig {
                retry_max: Duration::from_secs(1),
                ..SubscribeConfig::new(broker.ip().to_string(), broker.port())
            };
            subscribe::run(config, writer.clone(), forever.clone())
        });
        let pages = ingest::http::router(registry, ingest.ready());
        tokio::spawn(async move { axum::serve(http, pages).await });
        match subscribing {
            None => serve(mqtt, writer, forever, ServerConfig::default()).await.unwrap(),
            Some(subscribing) => subscribing.await,
        }
    });
    true
}

/// How a victim is set up.
#[derive(Clone, Default)]
pub(crate) struct Setting {
    /// Subscribes there in place of being the server.
    pub(crate) broker: Option<SocketAddr>,
    /// Every sync takes so much longer.
    pub(crate) sync_ms: Option<u64>,
    pub(crate) queue_bytes: Option<u64>,
    /// Runs in this network namespace, at this address.
    pub(crate) namespace: Option<(String, String)>,
}

pub(crate) struct Victim {
    child: Child,
    pub(crate) mqtt: SocketAddr,
    pub(crate) http: SocketAddr,
    /// From its start until it listened.
    pub(crate) started_in: Duration,
}

impl Victim {
    /// Starts a child that runs the test `name`. A write beyond a size limit is an error to it, not its death.
    pub(crate) fn start(name: &str, dir: &Path, setting: &Setting) -> Self {
        let mut command = match &setting.namespace {
            None => Command::new("/bin/sh"),
            Some((namespace, address)) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, "/bin/sh"]).env(LISTEN, address);
                command
            }
        };
        command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]).arg(std::env::current_exe().unwrap());
        command.args([name, "--exact", "--nocapture"]).env(FOLDER, dir);
        let broker = setting.broker.map(|address| address.to_string());
        let numbers = [(SYNC_MS, setting.sync_ms), (QUEUE_BYTES, setting.queue_bytes)];
        let numbers = numbers.into_iter().filter_map(|(name, value)| Some((name, value?.to_string())));
        command.envs(broker.map(|address| (BROKER, address)).into_iter().chain(numbers));
        let begun = now();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line =
            lines.find_map(|line| line.unwrap().strip_prefix("listening ").map(str::to_owned)).expect("it starts");
        let started_in = begun.elapsed();
        let (mqtt, http) = line.split_once(' ').unwrap();
        // Its later words belong on our own standard error.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("child: {line}")));
        Self { child, mqtt: mqtt.parse().unwrap(), http: http.parse().unwrap(), started_in }
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    pub(crate) fn metric(&self, line: &str) -> f64 {
        value_in(&self.get("/metrics").1, line)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.get("/ready").0 == 200
    }

    /// Memory that it holds, bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    pub(crate) fn limit_file_size(&self, bytes: &str) {
        let done = Command::new("prlimit")
            .args(["--pid", &self.child.id().to_string(), &format!("--fsize={bytes}:")])
            .status();
        assert!(done.is_ok_and(|s| s.success()), "this test needs `prlimit`: `apt-get install util-linux`");
    }
}

impl Drop for Victim {
    /// SIGKILL: no goodbye of any kind.
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// For reports alone: no test depends on a time.
#[expect(clippy::disallowed_methods, reason = "a report says how long something took")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A number that the long run sets: how often, how long, how many.
pub(crate) fn scale(name: &str, short: u64) -> u64 {
    std::env::var(name).map_or(short, |value| value.parse().expect("a number"))
}

/// Says a line of the report: on standard error, and in the file of the long run.
pub(crate) fn report(line: &str) {
    eprintln!("{line}");
    if let Ok(path) = std::env::var("ARTERIAL_CRASH_REPORT") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}
