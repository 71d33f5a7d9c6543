//! The table holds to the conventions, the document to the table, and the code to both.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn names_are_unique_and_say_their_unit_and_their_type() {
    let mut seen = BTreeSet::new();
    for metric in ALL {
        let name = metric.name;
        assert!(seen.insert(name), "{name} twice");
        assert!(name.starts_with(PREFIX) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        if let Some(suffix) = metric.unit.suffix() {
            assert!(name.ends_with(suffix), "{name} does not end in {suffix}");
        }
        assert!(!metric.help.is_empty() && !metric.help.ends_with('.') && !metric.help.contains(['|', '\n', '\\']));
        assert!(metric.labels.is_sorted(), "{name}: labels in order of the alphabet");
    }
}

#[test]
fn every_label_is_explained_and_used() {
    let used: BTreeSet<&str> = ALL.iter().flat_map(|metric| metric.labels.iter().copied()).collect();
    let explained: Vec<&str> = LABELS.iter().map(|label| label.0).collect();
    assert_eq!(explained, used.into_iter().collect::<Vec<_>>());
}

#[test]
fn metrics_document_is_what_the_table_says() {
    let path = root().join("docs/metrics.md");
    if std::env::var_os("ARTERIAL_WRITE_DOCS").is_some() {
        fs::write(&path, document()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(written == document(), "docs/metrics.md is not what the table says: its first lines tell how to write it");
}

/// The sources of all crates, without tests, which may speak of metrics as they like.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        match path.is_dir() {
            true if !["tests", "target"].contains(&name) => sources(&path, found),
            false if name.ends_with(".rs") && name != "tests.rs" => found.push(path),
            _ => {}
        }
    }
}

/// The names between quotes in a text, whole or followed by braces, as code writes them.
fn quoted_names(text: &str) -> Vec<&str> {
    let quoted = text.split('"').filter(|piece| piece.starts_with(PREFIX));
    // What ends in a line is the start of names, not one.
    let is_name = |piece: &&str| piece.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !piece.ends_with('_');
    quoted.filter(is_name).collect()
}

/// What is named alike and is no metric: the cookie of the pages.
const NO_METRICS: [&str; 1] = ["arterial_token"];

#[test]
fn no_metric_is_named_outside_of_the_table() {
    let (mut files, mut named) = (Vec::new(), BTreeSet::new());
    for member in ["src", "sim/src", "ingest/src", "analytics/src", "web/src"] {
        sources(&root().join(member), &mut files);
    }
    assert!(files.len() > 100, "only {} files: is this the workspace?", files.len());
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        // What stands below is the file's own tests.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for name in quoted_names(code).into_iter().filter(|name| !NO_METRICS.contains(name)) {
            assert!(ALL.iter().any(|m| m.name == name), "{}: {name} is not in the table", file.display());
            named.insert(name.to_owned());
        }
        for raw in ["IntCounter::new(", "IntGauge::new(", "Gauge::new(", "Histogram::with_opts(HistogramOpts::new(\""] {
            assert!(!code.contains(raw), "{}: {raw} takes name and help from elsewhere than the table", file.display());
        }
    }
    // The other way round: a row that nobody exports is a promise that nobody keeps.
    let orphans: Vec<&str> = ALL.iter().map(|m| m.name).filter(|name| !named.contains(*name)).collect();
    assert!(orphans.is_empty(), "declared, and exported by nobody: {orphans:?}");
}
