//! The table of counts in `docs/formats.md`, row by row: what the real binary makes of each recording.

use std::path::Path;
use std::process::Output;

use crate::support::{arterial, recordings};

/// One row: files, options, and the line that `arterial analyze` must print.
struct Row {
    files: Vec<String>,
    options: Vec<String>,
    fates: String,
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md")).unwrap();
    let (_, table) = text.split_once("<!-- table -->").expect("the table has its mark");
    let cells = |line: &str| {
        let inner = line.trim().trim_matches('|').replace("\\|", "\u{1}");
        inner.split('|').map(|cell| cell.replace('\u{1}', "|").trim().replace('`', "")).collect::<Vec<_>>()
    };
    let lines = table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let row = |line: &str| match &cells(line)[..] {
        [files, options, received, accepted, duplicate, rejected, why] => {
            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
            let fates = format!(
                "events    received {received} = accepted {accepted} + duplicate {duplicate} + rejected {rejected}{why}"
            );
            // An option's value holds spaces only after --columns, which comes last.
            let (plain, map) = options.split_once(" --columns ").unwrap_or((options, ""));
            let mut options: Vec<String> = plain.split(' ').map(str::to_owned).collect();
            if !map.is_empty() {
                options.extend(["--columns".to_owned(), map.to_owned()]);
            }
            Row { files: files.split(' ').map(str::to_owned).collect(), options, fates }
        }
        other => panic!("{} cells in {line}", other.len()),
    };
    lines.skip(2).map(row).collect()
}

fn analyze(data: &Path, row: &Row, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = arterial();
    command.arg("analyze").args(row.files.iter().map(|file| data.join(file))).args(&row.options).args(more);
    command.arg("--out").arg(folder.path().join("cells.csv"));
    command.output().expect("the binary starts")
}

#[test]
fn every_count_in_the_documentation_is_what_happens() {
    let rows = rows();
    assert!(rows.len() >= 20, "{} rows", rows.len());
    let Some(data) = recordings() else { return };
    let mut differ = Vec::new();
    for row in &rows {
        let mut output = analyze(&data, row, &[]);
        if String::from_utf8_lossy(&output.stderr).contains("there is no position") {
            // Detectors and signals alone have no extent; any network will do.
            output = analyze(&data, row, &["--network", "demo"]);
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = said.lines().next().unwrap_or_default().to_owned();
        println!("{} {}\n  {first}", row.files.join(" "), row.options.join(" "));
        if first != row.fates || !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            differ.push(format!("{}: {first}\n  not {}\n  {error}", row.files.join(" "), row.fates));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
