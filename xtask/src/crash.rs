//! `cargo xtask crash`: ingest is killed, starved, flooded and cut off, and analytics killed, in the full sizes, and
//! what they did is kept.
//!
//! The same tests run small in `cargo test`; here the environment makes them long, and each line that they report
//! goes into the file named on the command line, beside the commit and the machine. Upstream: `main`. Downstream:
//! `ingest/tests/it`, `tests/it/restart.rs`.

use crate::command::{answer_of, cargo, run};
use crate::failure::Failure;
use crate::report::say;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The full sizes, by the variable that the tests read.
const SIZES: [(&str, &str); 9] = [
    ("ARTERIAL_ANALYTICS_KILLS", "50"),
    ("ARTERIAL_ARCHIVE_KILLS", "100"),
    ("ARTERIAL_KILLS", "200"),
    ("ARTERIAL_BROKER_KILLS", "50"),
    ("ARTERIAL_STORM_DEVICES", "5000"),
    ("ARTERIAL_BURST_SECONDS", "30"),
    ("ARTERIAL_PARTITION_SECONDS", "60"),
    ("ARTERIAL_CUTS", "100"),
    ("ARTERIAL_SPOOL_MB", "2000"),
];

/// Tests that report, in the order of the file: what cargo builds for them, and their names.
const PARTS: [(&[&str], &str); 6] = [
    (&["-p", "ingest"], "kill::"),
    (&["-p", "ingest"], "crash::"),
    (&["-p", "ingest"], "strain::"),
    (&["-p", "ingest"], "hostile::an_idle"),
    (&["--workspace"], "restart::analytics_killed"),
    (&["--workspace"], "archive::history_that_is_killed"),
];

/// Runs everything, one test after the other, and writes the report.
pub(crate) fn crash(root: &Path, report: Option<PathBuf>) -> Result<(), Failure> {
    let report = report.unwrap_or_else(|| root.join("target/crash.txt"));
    // A fresh file: a report is of one run.
    match fs::remove_file(&report) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::io(format!("remove {}", report.display()), source));
        }
        Ok(()) | Err(_) => {}
    }
    let commit = answer_of(Command::new("git").arg("-C").arg(root).args(["rev-parse", "--short=12", "HEAD"]));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let head = format!("commit {}, {cores} cores\n", commit.as_deref().unwrap_or("unknown"));
    fs::write(&report, head).map_err(|source| Failure::io(format!("write {}", report.display()), source))?;
    for (packages, part) in PARTS {
        let mut test = cargo(root);
        test.args(["test", "--release"]).args(packages).args(["--test", "it", "--", part, "--test-threads", "1"]);
        run(test.envs(SIZES).env("ARTERIAL_CRASH_REPORT", &report))?;
    }
    say(&format!("the report is in {}", report.display()));
    Ok(())
}
