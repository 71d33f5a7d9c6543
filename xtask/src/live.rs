//! The real binary, started on free ports with a data folder of its own, for as long as somebody looks at it.
//!
//! Upstream: the release build. Downstream: the checks by browser and by promtool. However a check ends, the process
//! and the folder are gone afterwards; after an interrupt from the keyboard, which reaches the process too, the folder
//! stays in `target/xtask`.

use crate::failure::Failure;
use crate::report::{now, say};
use crate::{arterial_path, command, http};
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A cold start compiles nothing, but two busy cores may take their time.
const READY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Between two looks at the same condition.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// One request may take this long.
const PATIENCE: Duration = Duration::from_secs(10);
const LOG: &str = "arterial.log";
const LOG_LINES_SHOWN: usize = 60;
/// Enough vehicles for jams on the demo city, few enough for two cores that also run a browser.
const SCENARIO: [&str; 4] = ["--vehicles", "1000", "--seed", "7"];

/// A running `arterial`: simulated city, MQTT server, ingest, analytics and page in one process.
pub(crate) struct Server {
    child: Child,
    http: SocketAddr,
    /// Its data and its log. Removed after the process has ended: `drop` of the whole goes before that of its fields.
    scratch: Scratch,
}

impl Server {
    /// Starts the binary and waits until `/ready` answers 200.
    pub(crate) fn start() -> Result<Self, Failure> {
        let scratch = Scratch::new("live").map_err(|source| Failure::io("make a folder for the server", source))?;
        let (mqtt, http) = free_ports().map_err(|source| Failure::io("find free ports", source))?;
        let log = File::create(scratch.path().join(LOG)).and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.map_err(|source| Failure::io("open the server's log", source))?;
        let path = arterial_path()?;
        if !path.is_file() {
            return Err(Failure::Missing(format!("there is no {}: `cargo xtask build` makes it", path.display())));
        }
        let mut command = Command::new(&path);
        command::forget_cargo(&mut command);
        command.args(["--mqtt-listen", &mqtt.to_string(), "--http-listen", &http.to_string()]);
        command.args(SCENARIO).arg("--data").arg(scratch.path().join("data"));
        say(&format!("$ arterial {} --mqtt-listen {mqtt} --http-listen {http} --data …", SCENARIO.join(" ")));
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.map_err(|source| Failure::NotStarted { program: path.display().to_string(), source })?;
        let mut server = Self { child, http, scratch };
        server.wait_until("/ready answers 200", READY_AFTER_MAX, |server| {
            let reply = http::get(server.http, "/ready", PATIENCE).map_err(|error| error.to_string())?;
            if reply.status == 200 { Ok(()) } else { Err(format!("status {}", reply.status)) }
        })?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// A page of text, such as one of metrics.
    pub(crate) fn page(&self, path: &str) -> Result<String, String> {
        let reply = http::get(self.http, path, PATIENCE).map_err(|error| error.to_string())?;
        if reply.status != 200 {
            return Err(format!("{path} answers with status {}", reply.status));
        }
        String::from_utf8(reply.body).map_err(|error| format!("{path} is not UTF-8: {error}"))
    }

    /// Looks until `condition` holds; gives up at the deadline, or at once when the process has ended.
    pub(crate) fn wait_until<T>(
        &mut self,
        what: &str,
        at_most: Duration,
        condition: impl Fn(&Self) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let started = now();
        loop {
            let not_yet = match condition(self) {
                Ok(value) => return Ok(value),
                Err(not_yet) => not_yet,
            };
            let ended = self.child.try_wait().map_err(|source| Failure::io("ask for the server's state", source))?;
            let problem = match ended {
                Some(status) => format!("the server ended ({status}) before {what}"),
                None if now().duration_since(started) > at_most => {
                    format!("waited {} s in vain until {what}; last: {not_yet}", at_most.as_secs())
                }
                None => {
                    thread::sleep(LOOK_AGAIN);
                    continue;
                }
            };
            self.show_log();
            return Err(Failure::Check(problem));
        }
    }

    /// The end of the server's log, for whoever has to find out why a check failed.
    pub(crate) fn show_log(&self) {
        match fs::read(self.scratch.path().join(LOG)) {
            Ok(log) => {
                let log = String::from_utf8_lossy(&log);
                let lines: Vec<&str> = log.lines().collect();
                let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
                say(&format!("--- last {} of {} lines of the server's log", shown.len(), lines.len()));
                say(&shown.join("\n"));
                say("---");
            }
            Err(error) => say(&format!("the server's log cannot be read: {error}")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process is already gone, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A folder in the target directory that is removed with its owner.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// `purpose` and the process id name the folder; what an earlier process of the same id left there is removed.
    pub(crate) fn new(purpose: &str) -> io::Result<Self> {
        let own = std::env::current_exe()?;
        let target = own.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).unwrap_or(Path::new("."));
        let path = target.join("xtask").join(format!("{purpose}-{}", std::process::id()));
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            say(&format!("could not remove {}: {error}", self.path.display()));
        }
    }
}

/// Two ports that were free a moment ago. Both are held until both are known, so that they differ.
pub(crate) fn free_ports() -> io::Result<(SocketAddr, SocketAddr)> {
    let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((one.local_addr()?, other.local_addr()?))
}
