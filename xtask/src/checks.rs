//! `cargo xtask test`: every check, in order, until one fails. Cheap ones first, then the build, then what needs it.
//!
//! Upstream: `main`. Downstream: the other modules, and the table that `report` prints.

use crate::command::{answer_of, cargo, npm, run, run_on, succeeds};
use crate::deploy;
use crate::failure::Failure;
use crate::live::{Scratch, Server};
use crate::page;
use crate::recordings;
use crate::report::{Outcome, Report, say};
use crate::tools;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// By then the simulated city has driven through several panes, and every stage has counted something.
const ALL_METRICS_AFTER_MAX: Duration = Duration::from_secs(120);

/// One row of the table.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    body: fn(&mut Bench) -> Result<Outcome, Failure>,
}

/// In the order in which they run.
pub(crate) const CHECKS: [Check; 11] = [
    Check { name: "tools", about: "programs and recordings that the checks need", body: tools_and_recordings },
    Check { name: "format", about: "cargo fmt --check", body: format },
    Check {
        name: "deploy",
        about: "promtool on configuration, rules and Grafana's queries; systemd and hadolint on theirs",
        body: deployment,
    },
    Check {
        name: "schemas",
        about: "dashboards by Grafana's own types, docker-compose.yml by the compose specification",
        body: schemas,
    },
    Check { name: "compose", about: "docker compose config", body: compose },
    Check { name: "page", about: "npm ci, types, unit tests, build", body: build_page },
    Check { name: "build", about: "cargo build --release", body: build },
    Check { name: "lint", about: "cargo clippy on every target, warnings are errors", body: lint },
    Check { name: "tests", about: "cargo test over the whole workspace", body: tests },
    Check { name: "browser", about: "the page in a browser, served by the real binary", body: browser },
    Check { name: "metrics", about: "the running binary's pages of metrics, by promtool and by name", body: metrics },
];

/// What the checks share. A server that one check has started serves the next, and ends with the bench.
struct Bench {
    root: PathBuf,
    server: Option<Server>,
}

/// Runs the checks named in `wanted`, or all of them.
pub(crate) fn test(root: PathBuf, wanted: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = wanted.iter().find(|name| CHECKS.iter().all(|check| check.name != **name)) {
        let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        return Err(Failure::Usage(format!("there is no check `{unknown}`; there are: {}", names.join(" "))));
    }
    let mut bench = Bench { root, server: None };
    let mut report = Report::default();
    let mut result = Ok(());
    for check in CHECKS.iter().filter(|check| wanted.is_empty() || wanted.iter().any(|name| name == check.name)) {
        if result.is_ok() {
            result = report.check(check.name, check.about, || (check.body)(&mut bench));
        } else {
            report.skip(check.name);
        }
    }
    drop(bench);
    report.print();
    result
}

fn tools_and_recordings(bench: &mut Bench) -> Result<Outcome, Failure> {
    if let Some(folder) = recordings::locate(&bench.root)? {
        say(&format!("{:<14} {}", "recordings", folder.display()));
    }
    tools::require_all()?;
    Ok(Outcome::Passed)
}

fn format(bench: &mut Bench) -> Result<Outcome, Failure> {
    run(cargo(&bench.root).args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn deployment(bench: &mut Bench) -> Result<Outcome, Failure> {
    let promtool = tools::PROMTOOL.find()?;
    let promtool = || {
        let mut command = Command::new(&promtool);
        command.current_dir(bench.root.join("deploy"));
        command
    };
    run(promtool().args(["check", "config", "prometheus.yml"]))?;
    run(promtool().args(["test", "rules"]).args(deploy::RULE_TESTS))?;
    let scratch = Scratch::new("deploy").map_err(|source| Failure::io("make a folder", source))?;
    let queries = scratch.path().join("grafana-queries.yml");
    fs::write(&queries, deploy::dashboard_queries_as_rules(&bench.root)?)
        .map_err(|source| Failure::io("write the queries of the dashboards", source))?;
    run(promtool().args(["check", "rules"]).arg(queries))?;
    units(&bench.root, scratch.path())?;
    match tools::hadolint(&scratch.path().with_file_name("hadolint")) {
        Some(hadolint) => run(Command::new(hadolint).arg(bench.root.join("deploy/Dockerfile")))?,
        None => say("deploy/Dockerfile was not checked: neither hadolint nor Python's pip is here"),
    }
    Ok(Outcome::Passed)
}

/// By npm's packages, whose versions deploy/checks/package-lock.json holds.
fn schemas(bench: &mut Bench) -> Result<Outcome, Failure> {
    tools::require_node()?;
    let folder = bench.root.join("deploy/checks");
    run(npm(&bench.root).current_dir(&folder).args(["ci", "--ignore-scripts"]))?;
    run(npm(&bench.root).current_dir(&folder).args(["run", "check"]))?;
    Ok(Outcome::Passed)
}

/// The units as systemd reads them, with a program that is here in the place of the one that they start.
fn units(root: &Path, scratch: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(|source| Failure::io("find this program's own path", source))?;
    let mut verify = Command::new(tools::SYSTEMD_ANALYZE.find()?);
    verify.args(["verify", "--man=no"]);
    for name in deploy::UNITS {
        let unit = fs::read_to_string(root.join("deploy/systemd").join(name))
            .map_err(|source| Failure::io(format!("read {name}"), source))?;
        let copy = scratch.join(name);
        fs::write(&copy, unit.replace("/usr/bin/arterial", &program.display().to_string()))
            .map_err(|source| Failure::io("write a copy of the unit", source))?;
        let drop_ins = scratch.join(format!("{name}.d"));
        fs::create_dir_all(&drop_ins)
            .and_then(|()| fs::copy(root.join("deploy/systemd").join(deploy::SECRETS), drop_ins.join(deploy::SECRETS)))
            .map_err(|source| Failure::io("copy the drop-in", source))?;
        let threshold = format!("--threshold={}", deploy::EXPOSURE_MAX);
        let mut security = Command::new(tools::SYSTEMD_ANALYZE.find()?);
        security.args(["security", "--offline=true", "--no-pager", &threshold]).arg(&copy);
        if !succeeds(&mut security) {
            // Once more, for the table that says why.
            run(&mut security)?;
        }
        verify.arg(copy);
    }
    run(&mut verify)
}

fn compose(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut client = if succeeds(Command::new("docker").args(["compose", "version"])) {
        let mut docker = Command::new("docker");
        docker.arg("compose");
        docker
    } else if answer_of(Command::new("docker-compose").args(["version", "--short"]))
        .is_some_and(|v| !v.starts_with('1'))
    {
        // Version 1, which some distributions still have, knows neither `name` nor health conditions of today.
        Command::new("docker-compose")
    } else {
        return Ok(Outcome::NotChecked("no docker client with compose here"));
    };
    run(client.current_dir(&bench.root).args(["-f", "docker-compose.yml", "config", "-q"]))?;
    Ok(Outcome::Passed)
}

fn build_page(bench: &mut Bench) -> Result<Outcome, Failure> {
    tools::require_node()?;
    page::install(&bench.root)?;
    page::check_contract(&bench.root)?;
    page::check_types(&bench.root)?;
    page::test(&bench.root)?;
    page::build(&bench.root)?;
    Ok(Outcome::Passed)
}

fn build(bench: &mut Bench) -> Result<Outcome, Failure> {
    run(cargo(&bench.root).args(["build", "--release"]))?;
    Ok(Outcome::Passed)
}

/// In the release profile, so that the build scripts and macros of the build serve here too.
fn lint(bench: &mut Bench) -> Result<Outcome, Failure> {
    run(cargo(&bench.root).args(["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

fn tests(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut command = cargo(&bench.root);
    command.args(["test", "--release", "--workspace"]);
    // With the page compiled in, its absence would be a fault: the tests are told.
    command.env("ARTERIAL_DASHBOARD_BUILT", "1").env("PATH", tools::search_path());
    if let Some(folder) = recordings::locate(&bench.root)? {
        command.env("ARTERIAL_DATA", folder);
    }
    match tools::python(&bench.root, &bench.root.join("target/xtask/python")) {
        Some(python) => drop(command.env("ARTERIAL_PYTHON", python)),
        None => say("no DuckDB and no object storage from PyPI: the tests that hold history against them are skipped"),
    }
    run(&mut command)?;
    Ok(Outcome::Passed)
}

fn browser(bench: &mut Bench) -> Result<Outcome, Failure> {
    let chromium = tools::CHROMIUM.find()?;
    let root = bench.root.clone();
    let server = bench.server()?;
    let mut command = npm(&root);
    command.args(["run", "e2e"]).env("ARTERIAL_URL", server.url()).env("CHROMIUM", chromium);
    // Some tests start processes of their own, to end them.
    let seen = run(command.env("ARTERIAL_BIN", crate::arterial_path()?));
    if seen.is_err() {
        server.show_log();
    }
    seen.map(|()| Outcome::Passed)
}

/// The page must parse, and must export every name that the rules and the dashboard read: a rule over a series that
/// nobody exports never fires.
fn metrics(bench: &mut Bench) -> Result<Outcome, Failure> {
    let promtool = tools::PROMTOOL.find()?;
    let names = deploy::names_of_a_city(&bench.root)?;
    let pages = bench.server()?.wait_until("every promised metric is exported", ALL_METRICS_AFTER_MAX, |server| {
        let pages = [server.page("/metrics")?, server.page("/metrics/segments")?];
        let missing = deploy::undeclared(&names, &pages.concat()).join(", ");
        if missing.is_empty() { Ok(pages) } else { Err(format!("neither page has {missing}")) }
    })?;
    let undocumented = deploy::undocumented(&bench.root, &pages.concat())?;
    if !undocumented.is_empty() {
        return Err(Failure::Check(format!("docs/metrics.md does not know {}", undocumented.join(", "))));
    }
    let lines: usize = pages.iter().map(|page| page.lines().count()).sum();
    say(&format!("{lines} lines of metrics, all {} names of deploy/ are exported", names.len()));
    let scratch = Scratch::new("metrics").map_err(|source| Failure::io("make a folder", source))?;
    for page in pages {
        let file = scratch.path().join("metrics.txt");
        fs::write(&file, page).map_err(|source| Failure::io("write the page of metrics", source))?;
        let (status, said) = run_on(Command::new(&promtool).args(["check", "metrics"]), &file)?;
        say(said.trim_end());
        judge_lint(status.success(), &said)?;
    }
    Ok(Outcome::Passed)
}

/// promtool ends with an error for any finding, be it a page that does not parse or a matter of naming.
fn judge_lint(clean: bool, said: &str) -> Result<(), Failure> {
    let faults: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    match faults.as_slice() {
        [] if clean => Ok(()),
        [] => Err(Failure::Check("promtool refuses /metrics without a word".into())),
        faults => Err(Failure::Check(format!("promtool finds fault with /metrics: {}", faults.join("; ")))),
    }
}

impl Bench {
    fn server(&mut self) -> Result<&mut Server, Failure> {
        let server = match self.server.take() {
            Some(server) => server,
            None => Server::start()?,
        };
        Ok(self.server.insert(server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_check_is_refused_with_the_names_of_all() {
        let refusal = test(PathBuf::new(), &["browsers".to_string()]).expect_err("unknown").to_string();
        assert!(refusal.contains("`browsers`"), "{refusal}");
        for check in &CHECKS {
            assert!(refusal.contains(check.name), "{refusal}");
        }
    }

    #[test]
    fn any_finding_of_promtool_is_a_fault() {
        let check = |clean: bool, said: &str, expected: bool| {
            assert_eq!(judge_lint(clean, said).is_ok(), expected, "{clean} {said:?}");
        };
        check(true, "", true);
        check(false, "arterial_x counter metrics should have \"_total\" suffix\n", false);
        check(false, "error while linting: text format parsing error in line 3", false);
        check(false, "", false);
    }
}
