//! `arterial spool`: what lies in the spool, file by file, and whether it is sound. Changes nothing.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use events::TimeMs;
use ingest::spool::inspect::{Depth, FileState, inspect};
use ingest::start::spool_dir;

/// Look into what ingest stored, and check it
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the files: blocks, rows, bytes, and the span of event times
    List(Place),
    /// Read every byte: numbers without gaps, checksums, decodable blocks; exits with 1 if something is damaged
    Check(Place),
}

#[derive(clap::Args)]
pub(crate) struct Place {
    /// Folder of an ingest
    #[arg(long, env = "ARTERIAL_DATA_DIR", value_name = "DIR", default_value = "arterial-data")]
    pub(crate) data: PathBuf,
}

pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    let (place, depth) = match command {
        Command::List(place) => (place, Depth::Heads),
        Command::Check(place) => (place, Depth::Full),
    };
    let dir = spool_dir(&place.data);
    if !dir.is_dir() {
        bail!("there is no spool in {}; name the folder that `arterial ingest --data` was given", place.data.display());
    }
    let files = inspect(&dir, depth)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>20} {:>8} {:>10} {:>9} {:>12}  {:24}  {:24}",
        "first block", "blocks", "rows", "per block", "bytes", "events from", "to"
    )?;
    for file in &files {
        let time = |ms: Option<i64>| ms.map_or_else(|| "–".to_owned(), |ms| TimeMs(ms).rfc3339());
        writeln!(
            out,
            "{:>20} {:>8} {:>10} {:>9.1} {:>12}  {:24}  {:24}",
            file.first.0,
            file.blocks(),
            file.rows,
            per_block(file.rows, file.blocks()),
            file.bytes,
            time(file.event_ms.map(|span| span.0)),
            time(file.event_ms.map(|span| span.1)),
        )?;
    }
    for file in &files {
        if let Some(fault) = &file.fault {
            writeln!(out, "{} {fault}", file.path.display())?;
        }
    }
    let sum = |of: fn(&FileState) -> u64| files.iter().map(of).sum::<u64>();
    let (blocks, rows, bytes) = (sum(FileState::blocks), sum(|file| file.rows), sum(|file| file.bytes));
    let most = files.iter().map(|file| file.block_rows_max).max().unwrap_or(0);
    writeln!(
        out,
        "{} files, {blocks} blocks, {rows} rows ({:.1} a block, at most {most}), {bytes} bytes ({:.1} a row)",
        files.len(),
        per_block(rows, blocks),
        per_block(bytes, rows),
    )?;
    let damaged = files.iter().filter(|file| file.fault.as_ref().is_some_and(|fault| !fault.is_harmless())).count();
    if damaged > 0 {
        bail!(
            "{damaged} of {} files are damaged: restore them from a copy, or move them and all later ones away to go on without",
            files.len()
        );
    }
    if depth == Depth::Full {
        writeln!(out, "sound: every block is whole, and their numbers have no gap")?;
    }
    Ok(())
}

fn per_block(amount: u64, blocks: u64) -> f64 {
    amount as f64 / blocks.max(1) as f64
}
