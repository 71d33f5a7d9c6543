//! Starting and ending real programs, waiting for conditions, reading answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything; a shared machine is slow at times.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of recordings, or `None` with a word about it where a user has none.
pub(crate) fn recordings() -> Option<PathBuf> {
    let named = std::env::var_os("ARTERIAL_DATA").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("ARTERIAL_REQUIRE_DATA").is_none(), "no recordings in {}", folder.display());
    eprintln!("skipped: no recordings in {} (set ARTERIAL_DATA)", folder.display());
    None
}

/// The binary under test.
pub(crate) fn arterial() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arterial"));
    command.env("ARTERIAL_LOG", "info").stdin(Stdio::null());
    command
}

/// Runs to the end and gives the output; the arguments are shown when it fails.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the binary starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {error}", output.status);
    output
}

/// A child process that is ended when the test is over, also by a panic.
pub(crate) struct Running {
    child: Child,
    name: String,
}

impl Running {
    /// Starts a program; its output goes to the test's own.
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name}: {e}; `cargo xtask test` installs what is missing"));
        Self { child, name }
    }

    /// Fails when the program has ended by itself.
    pub(crate) fn check(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
            panic!("{} ended early with {status}", self.name);
        }
    }

    /// The process, for signals.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits until the program ends by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait_for(&what, || self.child.try_wait().expect("a child can be waited for"))
    }

    /// Asks the program to stop (SIGTERM) and waits; gives its exit code.
    pub(crate) fn stop(self) -> Option<i32> {
        run(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()));
        self.wait().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback has a free port").port()
}

/// Asks again until there is an answer; fails after [`PATIENCE`].
pub(crate) fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_for_within(PATIENCE, what, ask)
}

/// The same with a limit of its own.
pub(crate) fn wait_for_within<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One HTTP GET; status and body, or `None` when nothing answers.
pub(crate) fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    // HTTP/1.0, so that the answer is not chunked.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

/// Waits until a service says that it is ready.
pub(crate) fn wait_ready(service: &mut Running, port: u16) {
    wait_for("the service to be ready", || {
        service.check();
        get(port, "/ready").filter(|answer| answer.0 == 200)
    });
}

/// Sum of all series of one metric whose labels contain `label`; `None` when there is none.
pub(crate) fn metric(page: &str, name: &str, label: &str) -> Option<f64> {
    let of_name = page.lines().filter(|l| !l.starts_with('#')).filter_map(|l| {
        let (series, value) = l.rsplit_once(' ')?;
        let labels = series.strip_prefix(name)?;
        ((labels.is_empty() || labels.starts_with('{')) && labels.contains(label)).then_some(value)
    });
    let values: Vec<f64> = of_name.map(|v| v.parse().expect("a number")).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

/// Debian's mosquitto on a free port, with room for many messages in flight.
pub(crate) fn mosquitto(folder: &Path) -> (Running, u16) {
    let port = free_port();
    let config = folder.join("mosquitto.conf");
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 1000\nmax_queued_messages 1000000\n"
    );
    std::fs::write(&config, text).expect("the test folder can be written");
    let broker = Running::start(Command::new("mosquitto").arg("-c").arg(&config).stderr(Stdio::null()));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for("mosquitto", || TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok());
    (broker, port)
}
