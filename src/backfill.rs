//! `arterial backfill`: history → OpenMetrics with timestamps, to a file or to the terminal.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use analytics::archive::backfill::{Corridor, Wanted, write};
use anyhow::{Context, bail};
use events::TimeMs;

use crate::{areas, network};

/// Write history as OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`
///
/// Example: arterial backfill --from 2026-11-01 --to 2026-11-20 --out history.om &&
/// promtool tsdb create-blocks-from openmetrics history.om /var/lib/prometheus
///
/// With --network there are corridors too.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the archive
    #[arg(long, env = "ARTERIAL_ARCHIVE", value_name = "DIR", default_value = "arterial-data/archive")]
    archive: PathBuf,
    /// Name of the city in it
    #[arg(long, env = "ARTERIAL_CITY", default_value = "demo")]
    city: String,
    /// First day (UTC), or moment
    #[arg(long, value_name = "DATE", value_parser = moment)]
    from: TimeMs,
    /// The day after the last one (UTC), or moment
    #[arg(long, value_name = "DATE", value_parser = moment)]
    to: TimeMs,
    /// Length of a step: 5, 15 or 60 minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 15, value_parser = step)]
    step: u32,
    /// So many segments, those with most delay
    #[arg(long, value_name = "N", default_value_t = 500)]
    top: usize,
    /// Fewest vehicles that are told of
    #[arg(long, value_name = "VEHICLES", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..))]
    k: i32,
    #[command(flatten)]
    network: network::NetworkArg,
    #[command(flatten)]
    areas: areas::Args,
    /// Where it goes; the terminal unless given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn moment(text: &str) -> Result<TimeMs, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    TimeMs::parse(&whole).map_err(|reject| reject.detail)
}

fn step(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(minutes @ (5 | 15 | 60)) => Ok(minutes),
        _ => Err("a step has 5, 15 or 60 minutes, as live windows have".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.to <= args.from {
        bail!("--to has to be after --from");
    }
    let wanted = Wanted {
        root: args.archive.clone(),
        city: args.city.clone(),
        span_ms: (args.from.0, args.to.0),
        step_s: i64::from(args.step) * 60,
        window: match args.step {
            5 => "5m",
            15 => "15m",
            _ => "60m",
        },
        k: args.k,
        top: args.top,
        corridors: if args.network.is_given() { corridors(args)? } else { Vec::new() },
    };
    let told = match &args.out {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            write(&wanted, &mut BufWriter::new(file))?
        }
        None => write(&wanted, &mut std::io::stdout().lock())?,
    };
    let mut say = std::io::stderr().lock();
    writeln!(
        say,
        "{} samples of {} segments and {} corridors; {} steps of segments were of fewer than {} vehicles",
        told.samples,
        told.segments,
        wanted.corridors.len(),
        told.suppressed,
        args.k
    )?;
    Ok(())
}

fn corridors(args: &Args) -> anyhow::Result<Vec<Corridor>> {
    let network::Map { network, .. } = network::load(&args.network, || bail!("corridors need --network"))?;
    let study = args.areas.study(&network, 0)?;
    let of = |area: &analytics::area::Area| {
        let segment = |at: &roads::SegmentIndex| (network.segment(*at).id.0 as i64, network.segment(*at).length_m);
        Corridor { name: area.name.clone(), segments: area.segments.iter().map(segment).collect() }
    };
    Ok(study.areas.corridors().iter().map(of).collect())
}
