//! `arterial forget`: what is stored of one vehicle is removed, as far as its pseudonyms allow it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use analytics::archive::place::Place;
use analytics::archive::recorder::{self, wall_ms};
use analytics::checkpoint::reseal::reseal;
use anyhow::{Context, bail};
use events::TimeMs;
use ingest::dead_letter;
use ingest::pseudonym::Pseudonyms;
use ingest::spool::forget as spool;
use ingest::start::{dead_letter_dir, spool_dir};

use crate::analyse_live::checkpoint_dir;
use crate::archive_args::AccessArgs;

/// Remove what is stored of one vehicle since a day
///
/// Ingest and analytics have to be stopped. Raw positions in history, positions in the spool and dead letters are
/// removed; figures hold sums of many vehicles and no ids, and stay.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The vehicle as it names itself, the last part of its topic
    #[arg(long, value_name = "ID")]
    vehicle: String,
    /// From this moment on (RFC 3339, or a day)
    #[arg(long, value_name = "DATE", value_parser = moment)]
    since: TimeMs,
    /// Folder of ingest and analytics
    #[arg(long, env = "ARTERIAL_DATA_DIR", value_name = "DIR", default_value = "arterial-data")]
    data: PathBuf,
    /// Folder for checkpoints, if it is not in that of --data
    #[arg(long, env = "ARTERIAL_CHECKPOINT_DIR", value_name = "DIR")]
    checkpoint_dir: Option<PathBuf>,
    /// Where history is kept: a folder, or s3://BUCKET/PREFIX; DIR/archive in the folder of --data unless given
    #[arg(long, env = "ARTERIAL_ARCHIVE", value_name = "PLACE")]
    archive: Option<Place>,
    #[command(flatten)]
    access: AccessArgs,
}

const DAY_MS: i64 = 86_400_000;

/// Pseudonyms are made for so many days at most; nothing that has them is kept for longer.
const DAYS_MAX: i64 = 800;

fn moment(text: &str) -> Result<TimeMs, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    TimeMs::parse(&whole).map_err(|reject| reject.detail)
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let data = &args.data;
    if !data.join("secret").is_file() {
        bail!(
            "there is no secret in {}, so nobody can tell any more which pseudonyms were of this vehicle: what is stored \
             under them belongs to nobody",
            data.display()
        );
    }
    let meant = pseudonyms(args)?;
    let is_meant =
        |pseudonym: u64, at_ms: i64| at_ms >= args.since.0 && meant.contains(&(at_ms.div_euclid(DAY_MS), pseudonym));
    let mut out = std::io::stdout().lock();

    let place = args.archive.clone().unwrap_or_else(|| Place::Folder(data.join("archive")));
    let is_there = !matches!(&place, Place::Folder(folder) if !folder.is_dir());
    if is_there {
        let (mut archive, mut remote) = recorder::open(&place, &data.join("archive-staging"), &args.access.access()?)
            .context("stop analytics first")?;
        let gone = archive.forget(remote.as_ref(), is_meant)?;
        if let Some(remote) = &mut remote {
            archive.sync(remote)?;
        }
        writeln!(out, "history       {} positions removed from {} files of {place}", gone.rows, gone.files)?;
    }
    let gone = spool::forget(&spool_dir(data), is_meant).context("stop ingest first")?;
    writeln!(out, "spool         {} positions removed from {} files", gone.positions, gone.files)?;
    let dir = args.checkpoint_dir.clone().unwrap_or_else(|| checkpoint_dir(data));
    let told = reseal(&dir, &gone.checksums).context("stop analytics first")?;
    let letters = dead_letter::forget::forget(&dead_letter_dir(data), &args.vehicle, args.since.0)?;
    writeln!(out, "dead letters  {letters} removed")?;
    writeln!(
        out,
        "checkpoints   {told} told of the changed spool; they hold the vehicle under its pseudonym for at most an hour of \
         event time after analytics goes on"
    )?;
    writeln!(
        out,
        "not touched   cells, loops, signals, quality and what is learnt: they hold sums and no ids. Copies that you made \
         (backups, Prometheus, exports) are yours to look at; nothing published is of fewer than 3 vehicles"
    )?;
    Ok(())
}

/// The pseudonym of every day since then, with the day.
fn pseudonyms(args: &Args) -> anyhow::Result<BTreeSet<(i64, u64)>> {
    let mut made = Pseudonyms::load_or_create(&args.data)?;
    let first = args.since.0.div_euclid(DAY_MS);
    // A day more: clocks of devices are ahead at times.
    let last = wall_ms().div_euclid(DAY_MS) + 1;
    if last - first > DAYS_MAX {
        bail!("--since is more than {DAYS_MAX} days ago: nothing that names vehicles is kept for so long");
    }
    Ok((first..=last).map(|day| (day, made.of(&args.vehicle, TimeMs(day * DAY_MS)))).collect())
}
