//! A child process: shown before it starts, its output passed through, its refusal a `Failure`.
//!
//! Upstream: everything that builds or checks. Downstream: cargo, npm, promtool and the rest.

use crate::failure::Failure;
use crate::report::say;
use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Runs to the end with this terminal's own output.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    say(&format!("$ {}", shown(command)));
    let status = command.status().map_err(|source| not_started(command, source))?;
    if status.success() { Ok(()) } else { Err(Failure::Refused { command: shown(command), status }) }
}

/// Runs with `input` as standard input and gives back how it ended and what it said on either output.
pub(crate) fn run_on(command: &mut Command, input: &Path) -> Result<(ExitStatus, String), Failure> {
    say(&format!("$ {} < {}", shown(command), input.display()));
    let file = File::open(input).map_err(|source| Failure::io(format!("read {}", input.display()), source))?;
    let output = command.stdin(file).output().map_err(|source| not_started(command, source))?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status, String::from_utf8_lossy(&said).into_owned()))
}

/// Whether the command starts and ends well; nothing is shown. For questions such as `docker compose version`.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// What the command prints on standard output, if it starts and ends well.
pub(crate) fn answer_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// The cargo that runs this task, in the workspace's root.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_cargo(&mut command);
    command.current_dir(root);
    command
}

/// npm in the page's folder.
pub(crate) fn npm(root: &Path) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(root.join("dashboard"));
    command
}

/// Takes away what cargo told this program about itself: build scripts that watch these variables would otherwise
/// run anew whenever a build changes between `cargo xtask` and plain cargo.
pub(crate) fn forget_cargo(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
}

fn not_started(command: &Command, source: std::io::Error) -> Failure {
    Failure::NotStarted { program: command.get_program().to_string_lossy().into_owned(), source }
}

/// The command as one would type it, without the folders of its program.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("/some/where/cargo");
        assert_eq!(shown(command.args(["fmt", "--check"])), "cargo fmt --check");
    }

    #[test]
    fn a_refusal_names_the_command_and_what_is_absent_is_not_started() {
        let refused = run(Command::new(env::current_exe().unwrap()).arg("--no-such-flag")).expect_err("refused");
        assert!(
            matches!(&refused, Failure::Refused { command, .. } if command.contains("--no-such-flag")),
            "{refused}"
        );
        let absent = run(&mut Command::new("no-such-program-of-arterial")).expect_err("absent");
        assert!(matches!(absent, Failure::NotStarted { .. }), "{absent}");
    }
}
