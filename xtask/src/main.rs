//! The project's own commands, `cargo xtask run|build|test|dist|crash|soak|help`, and the map of this crate.
//!
//! Upstream: the command line of a developer, `.ci/run` and nobody else. Downstream: cargo, npm, promtool, a browser
//! and the release binary, each started as a child whose output is shown as it comes. No dependencies: what checks
//! everything else has to build first and at once.

// In reading order: what is asked for, how it is done, what is told.
mod checks; // `test`: the checks in their order
mod crash; // `crash`: ingest under faults, in the full sizes
mod deploy; // promises made in deploy/: names and queries that must hold
mod dist; // `dist`: the release archive and the Debian package
mod live; // the real binary, started on free ports for as long as it is looked at
mod page; // the web page, built when it is older than its sources
mod recordings; // where the real recordings are, and who insists on them
mod soak; // `soak`: an hour under load; does memory grow?
mod tools; // programs that the checks need: found, or installed, or named

mod command; // a child process, shown and awaited
mod failure; // why a task stopped
mod http; // one GET, for /ready and /metrics
mod report; // headings, seconds, the table at the end

use crate::command::run;
use crate::failure::Failure;
use crate::report::{complain, say};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const HELP: &str = "\
Usage: cargo xtask <command>

  run [-- ARGUMENTS]   build the page and the release binary, then run it: `cargo xtask run -- --vehicles 500`
  build                build the page (unless it is newer than its sources) and the release binary
  test [CHECK…]        run every check, or only those named, in their order; stops at the first that fails
  dist                 build, then make a release archive and a Debian package in target/dist
  crash [FILE]         kill, starve, flood and cut off ingest, and kill analytics, in the full sizes (about a quarter
                       of an hour); the report goes to FILE
  soak [--minutes 60] [--rate 5000] [--warm-up-minutes 20] [--out FILE]
                       the release binary under a steady load: memory, files and spool every 10 s as CSV, the slope
                       after the warm-up; fails when it grows
  help                 this text

Checks of `test`, in order:
";

fn main() -> ExitCode {
    match dispatch(env::args_os().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("xtask: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Vec<OsString>) -> Result<(), Failure> {
    let (command, rest) = match arguments.split_first() {
        Some((first, rest)) => (first.to_string_lossy().into_owned(), rest),
        None => return Err(Failure::Usage(format!("a command is missing\n\n{}", help()))),
    };
    match (command.as_str(), rest) {
        ("run", rest) => {
            let root = workspace_root()?;
            build(&root)?;
            become_arterial(strip_separator(rest))
        }
        ("build", []) => build(&workspace_root()?),
        ("test", rest) => {
            let wanted: Vec<String> = rest.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            checks::test(workspace_root()?, &wanted)
        }
        ("dist", []) => {
            let root = workspace_root()?;
            build(&root)?;
            dist::dist(&root, &arterial_path()?)
        }
        ("crash", []) => crash::crash(&workspace_root()?, None),
        ("crash", [file]) => {
            let file = std::path::absolute(file).map_err(|source| Failure::io("find the report's place", source))?;
            crash::crash(&workspace_root()?, Some(file))
        }
        ("soak", rest) => {
            let words: Vec<String> = rest.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            soak::soak(&soak::Plan::parse(&words)?)
        }
        ("help" | "--help" | "-h", _) => {
            say(help().trim_end());
            Ok(())
        }
        (unknown, _) => Err(Failure::Usage(format!("`{unknown}` with these arguments is unknown\n\n{}", help()))),
    }
}

/// The page first: its files are compiled into the binary.
fn build(root: &Path) -> Result<(), Failure> {
    page::build_unless_fresh(root)?;
    run(command::cargo(root).args(["build", "--release"]))
}

/// The release binary beside this very program: `target/debug/xtask` and `target/release/arterial`, wherever the
/// target directory is.
fn arterial_path() -> Result<PathBuf, Failure> {
    let own = env::current_exe().map_err(|source| Failure::io("find this program's own path", source))?;
    let target = own
        .parent()
        .and_then(Path::parent)
        .ok_or_else(|| Failure::Check(format!("{} lies in no target directory", own.display())))?;
    Ok(target.join("release").join(format!("arterial{}", env::consts::EXE_SUFFIX)))
}

/// Replaces this process by the binary, so that signals and the exit code are its own. The working directory stays
/// the caller's: `--data DIR` means what it says.
#[cfg(unix)]
fn become_arterial(arguments: &[OsString]) -> Result<(), Failure> {
    use std::os::unix::process::CommandExt;
    let path = arterial_path()?;
    let mut command = Command::new(&path);
    command::forget_cargo(&mut command);
    let source = command.args(arguments).exec();
    Err(Failure::NotStarted { program: path.display().to_string(), source })
}

#[cfg(not(unix))]
fn become_arterial(arguments: &[OsString]) -> Result<(), Failure> {
    let mut command = Command::new(arterial_path()?);
    command::forget_cargo(&mut command);
    run(command.args(arguments))
}

/// The folder above `xtask/`, which cargo names to the programs it runs.
fn workspace_root() -> Result<PathBuf, Failure> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .ok_or_else(|| Failure::Usage("start this as `cargo xtask …`, so that cargo tells where the code is".into()))?;
    let manifest = PathBuf::from(manifest);
    manifest
        .parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| Failure::Check(format!("{} has no folder above it", manifest.display())))
}

fn strip_separator(arguments: &[OsString]) -> &[OsString] {
    match arguments {
        [first, rest @ ..] if first == "--" => rest,
        all => all,
    }
}

fn help() -> String {
    let checks = checks::CHECKS.iter().map(|check| format!("  {:<10} {}\n", check.name, check.about));
    format!("{HELP}{}", checks.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_separator_is_ours() {
        let check = |given: &[&str], expected: &[&str]| {
            let given: Vec<OsString> = given.iter().map(OsString::from).collect();
            assert_eq!(strip_separator(&given), expected);
        };
        check(&["--", "sim", "--", "x"], &["sim", "--", "x"]);
        check(&["sim"], &["sim"]);
        check(&[], &[]);
    }

    #[test]
    fn an_unknown_command_is_refused_with_the_help() {
        let refusal = dispatch(vec!["tests".into()]).expect_err("no such command").to_string();
        assert!(refusal.contains("`tests`") && refusal.contains("cargo xtask <command>"), "{refusal}");
    }
}
