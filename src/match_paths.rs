//! `arterial match`: recordings → the driven paths, for engineers.

use std::path::PathBuf;
use std::sync::Arc;

use analytics::matching::drive::{Recording, Row, Wanted};
use analytics::matching::{MatchConfig, MatchCounts, Observed};
use analytics::output::matched::Matched;
use anyhow::{Context, bail};
use events::Event;
use events::codec;
use events::foreign::Record;
use roads::Network;

use crate::input::{self, InputArgs};
use crate::{network, progress};

/// Find the streets that vehicles drove, from their positions
///
/// Example: arterial match tracks.csv.gz --format csv
/// --columns 'id=track_id,time=time,lon=lon,lat=lat' --network athens.osm.pbf --out paths.geojson
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    network: network::NetworkArg,
    /// Where the paths go: a name that ends in .csv, .parquet or .geojson
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// One row a position in place of one a street driven
    #[arg(long)]
    fixes: bool,
    /// Typical error of a position
    #[arg(long, value_name = "METRES", default_value_t = MatchConfig::default().sigma_m, value_parser = sigma)]
    sigma_m: f64,
    /// Farther from every segment than this, a position is off the network; at least 3.5 times the error
    #[arg(long, value_name = "METRES", default_value_t = MatchConfig::default().radius_m)]
    radius_m: f64,
    /// A position is decided when so many others lie behind it
    #[arg(long, value_name = "COUNT", default_value_t = MatchConfig::default().look_back_fixes)]
    look_back: usize,
    /// Take the street that a SUMO recording names in place of matching the position
    #[arg(long)]
    trust_edge: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    args.input.format()?;
    if args.look_back == 0 {
        bail!("--look-back must be at least 1");
    }
    let bytes = args.input.bytes()?;
    let network::Map { network, hexagons } = network::load(&args.network, || input::extent(&args.input))?;
    let config = MatchConfig {
        hexagons,
        sigma_m: args.sigma_m,
        radius_m: args.radius_m.max(3.5 * args.sigma_m),
        look_back_fixes: args.look_back,
        trust_edge: args.trust_edge,
        ..MatchConfig::default()
    };
    let wanted = if args.fixes { Wanted::Fixes } else { Wanted::Traversals };
    let mut matching = Matching {
        recording: Recording::new(Arc::clone(&network), config, wanted),
        out: Matched::create(&args.out, Arc::clone(&network), wanted)?,
        positions: 0,
        unreadable: 0,
    };
    let bar = progress::bytes(bytes);
    for path in &args.input.files {
        for record in args.input.records(path, &bar)? {
            matching.record(record.with_context(|| format!("{}", path.display()))?)?;
        }
    }
    bar.finish_and_clear();
    matching.finish(&network, args)
}

struct Matching {
    recording: Recording,
    out: Matched,
    positions: u64,
    unreadable: u64,
}

impl Matching {
    fn record(&mut self, record: Record) -> anyhow::Result<()> {
        match record {
            Record::Event(event) => self.event(event),
            Record::Message { topic, payload, .. } => {
                let mut fates = Vec::new();
                codec::decode(&topic, &payload, &mut fates);
                for fate in fates {
                    match fate {
                        Ok(event) => self.event(event)?,
                        Err(_) => self.unreadable += 1,
                    }
                }
                Ok(())
            }
            Record::Unreadable { .. } => {
                self.unreadable += 1;
                Ok(())
            }
        }
    }

    fn event(&mut self, event: Event) -> anyhow::Result<()> {
        let Event::Position(p) = event else { return Ok(()) };
        self.positions += 1;
        let seen = Observed {
            vehicle: self.out.vehicle(&p.source),
            time_ms: p.time.0,
            at: p.at,
            speed_mps: p.speed.map(events::MetresPerSecond::get),
            heading: p.heading,
            edge: p.edge.map(|e| (e.edge_id, e.pos_m)),
        };
        let mut written = Ok(());
        self.recording.take(&seen, |row: Row| {
            if written.is_ok() {
                written = self.out.write(&row);
            }
        });
        Ok(written?)
    }

    fn finish(mut self, network: &Network, args: &Args) -> anyhow::Result<()> {
        let mut written = Ok(());
        self.recording.finish(|row| {
            if written.is_ok() {
                written = self.out.write(&row);
            }
        });
        written?;
        let rows = self.out.finish()?;
        let m = self.recording.counts();
        if self.positions > 0 && m.placed + m.in_junction == 0 {
            let [w, s, e, n] = network.bbox();
            bail!(
                "none of {} positions lies within {} m of the network `{}`, which covers {w:.4} to {e:.4} °E, {s:.4} to {n:.4} °N; give the network of the same place, and check that longitude and latitude are not swapped",
                self.positions,
                args.radius_m,
                network.name()
            );
        }
        report(self.positions, self.unreadable, &m, rows, args)
    }
}

fn report(positions: u64, unreadable: u64, m: &MatchCounts, rows: u64, args: &Args) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "positions {positions}; unreadable lines {unreadable}; second at the same moment {}, too late {}, late and done again {}",
        m.same_moment, m.too_late, m.redone
    )?;
    writeln!(
        out,
        "          placed {}, off the network {}, parked {}, inside junctions {}",
        m.placed, m.off_network, m.parked, m.in_junction
    )?;
    let connected = m.steps - m.bridged;
    let tried = connected + m.bridged + m.breaks + m.jumps + m.gaps + m.off_steps + m.parked_steps;
    writeln!(
        out,
        "steps     connected {connected} of {tried} ({:.2} %); not: gap {}, jump {}, break {}, off the network {}, parked {}",
        100.0 * connected as f64 / tried.max(1) as f64,
        m.gaps,
        m.jumps,
        m.breaks + m.bridged,
        m.off_steps,
        m.parked_steps
    )?;
    writeln!(out, "rows      {rows} → {}", args.out.display())?;
    Ok(())
}

fn sigma(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(m) if (3.0..=30.0).contains(&m) => Ok(m),
        Ok(_) | Err(_) => Err("it is 3 to 30 metres".into()),
    }
}
