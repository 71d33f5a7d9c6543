//! What the person at the terminal sees of the checks: headings, seconds, and one table at the end.
//!
//! Upstream: `checks`. Downstream: standard output, in order with the output of the children; complaints go to
//! standard error.

use crate::failure::Failure;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How a check that did not fail ended.
pub(crate) enum Outcome {
    Passed,
    /// Could not be looked at here; the words say why.
    NotChecked(&'static str),
}

/// The rows of the table: one for each check that was wanted.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    state: String,
    took: Duration,
}

impl Report {
    /// Runs one check under its heading and keeps how it ended. After a failure nothing should follow but
    /// [`Report::skip`].
    pub(crate) fn check(
        &mut self,
        name: &'static str,
        about: &str,
        body: impl FnOnce() -> Result<Outcome, Failure>,
    ) -> Result<(), Failure> {
        say(&format!("\n=== {name}: {about}"));
        let started = now();
        let result = body();
        let took = now().duration_since(started);
        let result = self.keep(name, result, took);
        let state = self.rows.last().map_or("", |row| row.state.as_str());
        say(&format!("=== {name}: {state} after {:.1} s", took.as_secs_f64()));
        result
    }

    fn keep(&mut self, name: &'static str, result: Result<Outcome, Failure>, took: Duration) -> Result<(), Failure> {
        let (state, result) = match result {
            Ok(Outcome::Passed) => ("passed".to_string(), Ok(())),
            Ok(Outcome::NotChecked(why)) => (format!("not checked: {why}"), Ok(())),
            Err(failure) => ("FAILED".to_string(), Err(failure)),
        };
        self.rows.push(Row { name, state, took });
        result
    }

    /// A row for a check that a failure before it kept from running.
    pub(crate) fn skip(&mut self, name: &'static str) {
        self.rows.push(Row { name, state: "not reached".to_string(), took: Duration::ZERO });
    }

    pub(crate) fn print(&self) {
        say(&self.table());
    }

    fn table(&self) -> String {
        let rule = "-".repeat(44);
        let mut table = format!("\n{:<10} {:>9}  result\n{rule}\n", "check", "seconds");
        for row in &self.rows {
            table += &format!("{:<10} {:>9.1}  {}\n", row.name, row.took.as_secs_f64(), row.state);
        }
        let total: Duration = self.rows.iter().map(|row| row.took).sum();
        table + &format!("{rule}\n{:<10} {:>9.1}", "all", total.as_secs_f64())
    }
}

/// One line (or several) on standard output. A closed terminal is no reason to stop the checks, so a failed write is
/// passed over.
pub(crate) fn say(text: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).ok();
}

/// One line on standard error, likewise.
pub(crate) fn complain(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// The one clock of this crate.
#[allow(clippy::disallowed_methods, reason = "an edge: seconds for a person to read, and deadlines on children")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_what_passed_failed_and_was_never_reached() {
        let mut report = Report::default();
        let took = Duration::from_millis(1_250);
        report.keep("first", Ok(Outcome::Passed), took).expect("passes");
        report.keep("second", Ok(Outcome::NotChecked("no engine")), took).expect("not checked is no failure");
        report.keep("third", Err(Failure::Check("broken".into())), took).expect_err("fails");
        report.skip("fourth");
        let states: Vec<&str> = report.rows.iter().map(|row| row.state.as_str()).collect();
        assert_eq!(states, ["passed", "not checked: no engine", "FAILED", "not reached"]);
        let table = report.table();
        assert!(table.lines().any(|line| line.starts_with("third") && line.ends_with("FAILED")), "{table}");
    }
}
