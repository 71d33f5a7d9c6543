//! `cargo xtask dist`: what is handed out, a release archive and a Debian package, from the binary that was just built.
//!
//! Both hold the same files: the binary, its manual pages and completions, the units, rules and dashboards of deploy/,
//! the scenarios. The same commit gives the same archive: names are sorted, and every file has the commit's time.
//! Upstream: `main`, after a build. Downstream: `tar` and `dpkg-deb`.

use crate::command::{answer_of, run, succeeds};
use crate::deploy::UNITS;
use crate::failure::Failure;
use crate::live::Scratch;
use crate::report::say;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where each shell looks for completions, below /usr/share.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/arterial"),
    ("zsh", "zsh/vendor-completions/_arterial"),
    ("fish", "fish/vendor_completions.d/arterial.fish"),
];

/// Files and folders of the checkout that belong to what is handed out, below /usr/share/doc/arterial.
const DOCUMENTS: [&str; 11] = [
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "docs/metrics.md",
    "docs/runbook.md",
    "deploy/prometheus.yml",
    "deploy/rules",
    "deploy/grafana",
    "deploy/systemd/secrets.conf",
    "scenarios",
];

/// A user without rights, the folder of settings with an example, and nothing started by itself.
const AFTER_INSTALL: &str = r#"#!/bin/sh
set -e
if ! getent passwd arterial >/dev/null; then
    useradd --system --user-group --no-create-home --home-dir /var/lib/arterial --shell /usr/sbin/nologin arterial
fi
if [ ! -e /etc/arterial/arterial.toml ]; then
    mkdir -p /etc/arterial
    arterial config example >/etc/arterial/arterial.toml
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
"#;

pub(crate) fn dist(root: &Path, binary: &Path) -> Result<(), Failure> {
    let scratch = Scratch::new("dist").map_err(|source| Failure::io("make a folder", source))?;
    let tree = scratch.path().join("tree");
    gather(root, binary, &tree)?;
    let name = format!("arterial-{}-{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS);
    let out = binary.parent().and_then(Path::parent).unwrap_or(root).join("dist");
    make(&out)?;

    let time = answer_of(Command::new("git").arg("-C").arg(root).args(["log", "-1", "--format=%ct"]));
    let time = format!("@{}", time.as_deref().unwrap_or("0"));
    let archive = out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", &format!("--mtime={time}")]);
    tar.arg(format!("--transform=s,^\\./,{name}/,")).arg("-C").arg(&tree).arg("-czf").arg(&archive).arg("./usr");
    run(tar.arg("./lib"))?;
    say(&format!("{} ({} bytes)", archive.display(), size(&archive)?));

    if !succeeds(Command::new("dpkg-deb").arg("--version")) {
        say("no Debian package: dpkg-deb is not here");
        return Ok(());
    }
    control(&tree, binary)?;
    let package = out.join(format!("{name}.deb"));
    let mut build = Command::new("dpkg-deb");
    build.env("SOURCE_DATE_EPOCH", time.trim_start_matches('@')).args(["--root-owner-group", "--build"]);
    run(build.arg(&tree).arg(&package))?;
    say(&format!("{} ({} bytes)", package.display(), size(&package)?));
    Ok(())
}

/// Puts every file where it belongs below `tree`.
fn gather(root: &Path, binary: &Path, tree: &Path) -> Result<(), Failure> {
    let share = tree.join("usr/share");
    copy(binary, &tree.join("usr/bin/arterial"))?;
    run(Command::new("strip").arg(tree.join("usr/bin/arterial")))?;
    for unit in UNITS {
        copy(&root.join("deploy/systemd").join(unit), &tree.join("lib/systemd/system").join(unit))?;
    }
    for document in DOCUMENTS {
        let to = share.join("doc/arterial").join(Path::new(document).file_name().unwrap_or_default());
        copy(&root.join(document), &to)?;
    }
    for (shell, place) in COMPLETIONS {
        let script = answer_of(Command::new(binary).args(["completions", shell]))
            .ok_or_else(|| Failure::Check(format!("the binary makes no completions for {shell}")))?;
        write(&share.join(place), &script)?;
    }
    run(Command::new(binary).arg("manual").arg(share.join("man/man1")))
}

/// What Debian wants to know about a package.
fn control(tree: &Path, binary: &Path) -> Result<(), Failure> {
    let architecture = answer_of(Command::new("dpkg").arg("--print-architecture"))
        .ok_or_else(|| Failure::Missing("dpkg does not tell this machine's architecture".into()))?;
    let installed_kib = size(binary)? / 1_024;
    let control = format!(
        "Package: arterial\nVersion: {}\nArchitecture: {architecture}\nMaintainer: Arterial maintainers <arterial@localhost>\n\
         Installed-Size: {installed_kib}\nDepends: libc6, libgcc-s1\nRecommends: ca-certificates\nSection: net\nPriority: optional\n\
         Description: {}\n Takes positions, detector intervals and signal changes in over MQTT, stores them\n durably, and serves congestion metrics for Prometheus, an API and a dashboard.\n",
        env!("CARGO_PKG_VERSION"),
        "city mobility telemetry over MQTT, turned into congestion metrics"
    );
    write(&tree.join("DEBIAN/control"), &control)?;
    let script = tree.join("DEBIAN/postinst");
    write(&script, AFTER_INSTALL)?;
    run(Command::new("chmod").arg("0755").arg(script))
}

/// Copies a file, or a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::io(format!("copy {} to {}", from.display(), to.display()), source);
    if from.is_dir() {
        for entry in fs::read_dir(from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    make(&parent(to))?;
    fs::copy(from, to).map(|_| ()).map_err(failed)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    make(&parent(path))?;
    fs::write(path, text).map_err(|source| Failure::io(format!("write {}", path.display()), source))
}

fn make(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|source| Failure::io(format!("make {}", folder.display()), source))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new(".")).to_path_buf()
}

fn size(path: &Path) -> Result<u64, Failure> {
    let failed = |source| Failure::io(format!("look at {}", path.display()), source);
    fs::metadata(path).map(|data| data.len()).map_err(failed)
}
