//! One of the processes under load: started, watched through `/proc`, asked to stop.
//!
//! Upstream: `soak`. Downstream: the release binary, and its log in the folder of the run.

use crate::failure::Failure;
use crate::report::{now, say};
use crate::{command, http};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const READY_AFTER_MAX: Duration = Duration::from_secs(120);
/// What a process may take to end after SIGTERM: what systemd and compose give it.
const END_AFTER_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOG_LINES_SHOWN: usize = 40;

/// What `/proc` says of a process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Memory of its own, in core or swapped out; no files, whose pages are the page cache's. KiB.
    pub(super) memory_kib: u64,
    /// Pages of files that are mapped into it: the program itself, mostly. KiB.
    pub(super) mapped_kib: u64,
    /// Open file descriptors.
    pub(super) files: u64,
    pub(super) threads: u64,
}

/// A running process; it ends with its owner.
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the binary, its log in `folder`.
    pub(super) fn start(name: &'static str, binary: &Path, folder: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = file.map_err(|source| Failure::io("open a log", source))?;
        let mut command = Command::new(binary);
        command::forget_cargo(&mut command);
        say(&format!("$ arterial {}", arguments.join(" ")));
        let child = command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.map_err(|source| Failure::NotStarted { program: binary.display().to_string(), source })?;
        Ok(Self { name, child, log })
    }

    /// Runs the binary to its end.
    pub(super) fn to_end(binary: &Path, folder: &Path, arguments: &[&str]) -> Result<(), Failure> {
        let mut process = Self::start("prepare", binary, folder, arguments)?;
        let status = process.child.wait().map_err(|source| Failure::io("wait for a process", source))?;
        if status.success() {
            return Ok(());
        }
        process.show_log();
        Err(Failure::Refused { command: format!("arterial {}", arguments.join(" ")), status })
    }

    /// Waits until `/ready` answers 200.
    pub(super) fn wait_ready(&mut self, server: SocketAddr) -> Result<(), Failure> {
        let begun = now();
        loop {
            self.check()?;
            if http::get(server, "/ready", Duration::from_secs(5)).is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            if begun.elapsed() > READY_AFTER_MAX {
                self.show_log();
                return Err(Failure::Check(format!("{} is not ready after {READY_AFTER_MAX:?}", self.name)));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// A failure when the process has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait().map_err(|source| Failure::io("ask for a process's state", source))? {
            None => Ok(()),
            Some(status) => {
                self.show_log();
                Err(Failure::Check(format!("{} ended by itself: {status}", self.name)))
            }
        }
    }

    /// What `/proc` says now.
    pub(super) fn look(&self) -> Result<Look, Failure> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let read = || {
            let status = fs::read_to_string(folder.join("status"))?;
            Ok((status, fs::read_dir(folder.join("fd"))?.count() as u64))
        };
        let (status, files) =
            read().map_err(|source| Failure::io(format!("read {} (Linux has it)", folder.display()), source))?;
        Ok(Look { files, ..look_at(&status) })
    }

    /// SIGTERM; it has to end well within the time that an operator's machine gives it.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        let begun = now();
        command::run(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()))?;
        loop {
            match self.child.try_wait().map_err(|source| Failure::io("ask for a process's state", source))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    self.show_log();
                    return Err(Failure::Check(format!("{} ended with {status} when it was stopped", self.name)));
                }
                None if begun.elapsed() > END_AFTER_MAX => {
                    self.show_log();
                    return Err(Failure::Check(format!("{} did not end within {END_AFTER_MAX:?}", self.name)));
                }
                None => thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// The end of its log, for whoever has to find out why.
    pub(super) fn show_log(&self) {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        say(&format!("--- the end of {}'s log", self.name));
        say(&lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the process is already gone, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// `/proc/PID/status`, proc(5): `RssAnon:     1234 kB` and so on.
fn look_at(status: &str) -> Look {
    let field = |name: &str| -> u64 {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    Look {
        memory_kib: field("RssAnon") + field("RssShmem") + field("VmSwap"),
        mapped_kib: field("RssFile"),
        files: 0,
        threads: field("Threads"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_its_own_is_told_from_pages_of_files() {
        let status = "Name:\tx\nVmRSS:\t  900 kB\nRssAnon:\t  500 kB\nRssFile:\t  380 kB\nRssShmem:\t   20 kB\nVmSwap:\t    7 kB\nThreads:\t4\n";
        assert_eq!(look_at(status), Look { memory_kib: 527, mapped_kib: 380, files: 0, threads: 4 });
        assert_eq!(look_at(""), Look::default());
    }
}
