//! `arterial archive`: what lies in history, whether it is sound, and compacting it now.

use std::io::Write;
use std::path::PathBuf;

use analytics::archive::Archive;
use analytics::archive::check::{Fault, check};
use analytics::archive::compact::Which;
use analytics::archive::manifest::Manifest;
use analytics::archive::place::Place;
use analytics::archive::recorder::wall_ms;
use analytics::archive::remote::Remote;
use analytics::archive::table::Table;
use anyhow::{anyhow, bail};
use events::TimeMs;

use crate::archive_args::AccessArgs;

/// Look into history, check it, compact it
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List tables and days: files, rows, bytes, minutes; of a folder or of s3://BUCKET/PREFIX
    List(ListArgs),
    /// Read every byte: checksums, files that are missing or not listed, rows, minutes that are twice; exits with 1 if
    /// something is wrong
    Check(Folder),
    /// Make one file of every hour and day that is over, as analytics does while it runs
    Compact(Folder),
}

#[derive(clap::Args)]
pub(crate) struct Folder {
    /// Folder of the archive
    #[arg(long, env = "ARTERIAL_ARCHIVE", value_name = "DIR", default_value = "arterial-data/archive")]
    archive: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct ListArgs {
    /// The archive: a folder, or s3://BUCKET/PREFIX
    #[arg(long, env = "ARTERIAL_ARCHIVE", value_name = "PLACE", default_value = "arterial-data/archive")]
    archive: Place,
    #[command(flatten)]
    access: AccessArgs,
}

impl ListArgs {
    fn manifest(&self) -> anyhow::Result<Manifest> {
        match &self.archive {
            Place::Folder(folder) => Ok(Manifest::read(folder)?),
            Place::Bucket { bucket, prefix } => {
                let found = Remote::open(bucket, prefix, &self.access.access()?)?.manifest()?;
                found.ok_or_else(|| anyhow!("there is no manifest.json in {}", self.archive))
            }
        }
    }
}

pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list(args),
        Command::Check(place) => look(place),
        Command::Compact(place) => compact(place),
    }
}

/// Files, rows, bytes, minutes.
type Sums = (u64, u64, u64, u64);

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let manifest = args.manifest()?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:16} {:16} {:10} {:>6} {:>8} {:>12} {:>14}",
        "city", "table", "day", "files", "minutes", "rows", "bytes"
    )?;
    let mut all: Sums = (0, 0, 0, 0);
    for city in manifest.cities() {
        for table in Table::ALL {
            let mut days = std::collections::BTreeMap::<String, Sums>::new();
            for file in manifest.files(table, &city) {
                let day = TimeMs(file.from_ms()).rfc3339()[..10].to_owned();
                let of_day = days.entry(day).or_default();
                for sums in [of_day, &mut all] {
                    sums.0 += 1;
                    sums.1 += file.minutes.len();
                    sums.2 += file.rows;
                    sums.3 += file.bytes;
                }
            }
            for (day, (files, minutes, rows, bytes)) in days {
                writeln!(out, "{city:16} {:16} {day:10} {files:>6} {minutes:>8} {rows:>12} {bytes:>14}", table.name())?;
            }
        }
    }
    let (files, _, rows, bytes) = all;
    writeln!(out, "{files} files, {rows} rows, {bytes} bytes ({:.1} a row)", bytes as f64 / rows.max(1) as f64)?;
    Ok(())
}

fn look(place: &Folder) -> anyhow::Result<()> {
    let report = check(&place.archive)?;
    let mut out = std::io::stdout().lock();
    for fault in &report.faults {
        writeln!(out, "{fault}")?;
    }
    writeln!(out, "{} files, {} rows, {} bytes read", report.files, report.rows, report.bytes)?;
    let harmful = report.faults.iter().filter(|fault| !fault.is_harmless()).count();
    if harmful > 0 {
        bail!("{harmful} files are not as they should be: put them back from a copy");
    }
    let left = report.faults.iter().filter(|fault| matches!(fault, Fault::NotListed { .. })).count();
    writeln!(
        out,
        "sound: every file is whole, and no minute is twice{}",
        if left > 0 { "; the next start removes what is not listed" } else { "" }
    )?;
    Ok(())
}

fn compact(place: &Folder) -> anyhow::Result<()> {
    let mut archive = Archive::open(&place.archive)?;
    let done = archive.compact(Which::Over, wall_ms())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} files written in the place of {}, {} rows", done.written, done.replaced, done.rows)?;
    Ok(())
}
