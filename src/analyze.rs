//! `arterial analyze`: recordings straight to cells, through the same gate, matcher and pane store as live.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use analytics::archive::ArchiveError;
use analytics::archive::collect::CollectConfig;
use analytics::archive::compact::{Compacted, Which};
use analytics::archive::place::Place;
use analytics::archive::recorder;
use analytics::archive::store::Added;
use analytics::matching::{MatchConfig, MatchCounts};
use analytics::{Engine, EngineConfig, output};
use anyhow::{Context, bail};
use events::TimeMs;
use events::codec::Refused;
use events::foreign::Record;
use ingest::batch::Batch;
use ingest::dead_letter::DeadLetter;
use ingest::gate::{Gate, GateConfig, Outcome};
use ingest::pseudonym::Pseudonyms;

use crate::archive_args::AccessArgs;
use crate::input::{self, InputArgs};
use crate::{network, progress};

/// Turn recordings straight into cells, without a broker
///
/// Example: arterial analyze tracks.csv.gz --format csv
/// --columns 'id=track_id,time=time,lon=lon,lat=lat,speed=speed:kmh' --network athens.osm.pbf --out cells.csv
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    network: network::NetworkArg,
    /// Where the cells go: a name that ends in .csv or .parquet
    #[arg(long, value_name = "FILE", required_unless_present = "archive")]
    out: Option<PathBuf>,
    /// Add the minutes of the recordings to this archive: a folder, or s3://BUCKET/PREFIX. Minutes that it has already
    /// are left out
    #[arg(long, value_name = "PLACE")]
    archive: Option<Place>,
    /// The city's name in the archive
    #[arg(long, env = "ARTERIAL_CITY", default_value = "demo")]
    city: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Take the street that a SUMO recording names in place of matching the position
    #[arg(long)]
    trust_edge: bool,
    /// Farther from every segment than this, a position is off the network
    #[arg(long, value_name = "METRES", default_value_t = MatchConfig::default().radius_m)]
    radius_m: f64,
    /// Where every rejected line goes with its reason, as JSON lines
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// Rows taken in before they are counted.
const BATCH_ROWS: usize = 50_000;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    args.input.format()?;
    let bytes = args.input.bytes()?;
    let network::Map { network, hexagons } = network::load(&args.network, || input::extent(&args.input))?;
    let matching =
        MatchConfig { hexagons, trust_edge: args.trust_edge, radius_m: args.radius_m, ..MatchConfig::default() };
    let mut analysis = Analysis::new(&network, matching, args.archive.as_ref().map(|_| CollectConfig::default()));
    let rejects = args.rejects.as_deref().map(File::create).transpose().context("cannot write --rejects")?;
    analysis.rejects = rejects.map(BufWriter::new);
    let bar = progress::bytes(bytes);
    for path in &args.input.files {
        for record in args.input.records(path, &bar)? {
            analysis.take(record.with_context(|| format!("{}", path.display()))?)?;
        }
    }
    bar.finish_and_clear();
    analysis.count();
    analysis.engine.end();
    if let Some(rejects) = &mut analysis.rejects {
        rejects.flush().context("cannot write --rejects")?;
    }
    let counts = analysis.engine.match_counts();
    analysis.extent.check(&network, counts, args.radius_m)?;
    let rows = analysis.engine.store().sorted_rows();
    if let Some(out) = &args.out {
        output::write(out, &network, &rows)?;
    }
    let stored = args.archive.as_ref().map(|place| store(place, args, &mut analysis.engine)).transpose()?;
    report(&analysis, counts, rows.len(), args)?;
    stored.map_or(Ok(()), |(place, added)| tell(&place, added))
}

/// Adds everything that was counted to an archive.
fn store(place: &Place, args: &Args, engine: &mut Engine) -> anyhow::Result<(String, Added)> {
    let folder = std::env::temp_dir().join(format!("arterial-archive-{}", std::process::id()));
    if matches!(place, Place::Bucket { .. }) {
        // Nobody else's, and nobody else may look: it may hold what is private until it is sent.
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let (mut archive, mut remote) = recorder::open(place, &folder, &args.access.access()?)?;
    archive.put_segments(&args.city, engine.network())?;
    let mut all = Added::default();
    engine.close_all(|collector| {
        let (tables, borders) = collector.ready();
        let added = archive.add(&args.city, tables, None, recorder::wall_ms())?;
        collector.release(&borders);
        all.join(added);
        Ok::<(), ArchiveError>(())
    })?;
    while let Some(job) = archive.next_job(Which::All) {
        if let Some(remote) = &remote {
            archive.fetch(remote, job.paths())?;
        }
        archive.work(&job, recorder::wall_ms(), &mut Compacted::default())?;
    }
    if let Some(remote) = &mut remote {
        archive.sync(remote)?;
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok((place.to_string(), all))
}

fn tell(place: &str, added: Added) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "history   {} rows → {place}", added.rows)?;
    if added.known_rows > 0 {
        writeln!(
            out,
            "          {} rows of {} minutes were left out: history has those minutes already",
            added.known_rows, added.known_minutes
        )?;
    }
    Ok(())
}

/// A recording on its way into cells.
pub(crate) struct Analysis {
    pub(crate) engine: Engine,
    pub(crate) gate: Gate,
    batch: Batch,
    rejects: Option<BufWriter<File>>,
    extent: Extent,
}

impl Analysis {
    /// Nothing read yet; with `collect`, closed minutes are gathered for history.
    pub(crate) fn new(network: &Arc<roads::Network>, matching: MatchConfig, collect: Option<CollectConfig>) -> Self {
        Self {
            engine: Engine::new(Arc::clone(network), EngineConfig { collect, ..EngineConfig::whole(matching) }),
            // Nothing of these pseudonyms is kept: the output has counts only.
            gate: Gate::new(
                GateConfig { duplicates_max: 50_000_000, ..GateConfig::default() },
                Pseudonyms::new([0; 32]),
            ),
            batch: Batch::default(),
            rejects: None,
            extent: Extent::default(),
        }
    }

    /// Takes one record in; counts when there are enough of them.
    pub(crate) fn take(&mut self, record: Record) -> anyhow::Result<()> {
        match record {
            Record::Message { topic, payload, received } => {
                let mut refused = Vec::new();
                // Without a receive time there is no clock to be ahead of.
                let received = received.unwrap_or(TimeMs(i64::MAX / 2));
                self.gate.message(&topic, &payload, received, &mut self.batch, &mut refused);
                for no in refused {
                    self.reject(&topic, received, &no)?;
                }
            }
            Record::Event(event) => {
                // Received at its own time it is never ahead of its receipt, so it is new or a duplicate.
                let received = event.time();
                let outcome = self.gate.event(event, received, &mut self.batch);
                assert!(!matches!(outcome, Outcome::Rejected(_)), "an event cannot be ahead of itself: {outcome:?}");
            }
            Record::Unreadable { line, reject, raw } => {
                self.gate.refuse(&reject);
                self.reject(&format!("line {line}"), TimeMs(0), &Refused { reject, payload: raw })?;
            }
        }
        if self.batch.len() >= BATCH_ROWS {
            self.count();
        }
        Ok(())
    }

    fn reject(&mut self, topic: &str, received: TimeMs, refused: &Refused) -> anyhow::Result<()> {
        let Some(file) = &mut self.rejects else { return Ok(()) };
        let letter = DeadLetter::new(topic, received, refused);
        writeln!(file, "{}", serde_json::to_string(&letter)?).context("cannot write --rejects")
    }

    /// Counts what was taken in.
    pub(crate) fn count(&mut self) {
        for (lon, lat) in self.batch.positions.lon_deg.iter().zip(&self.batch.positions.lat_deg) {
            self.extent.add(*lon, *lat);
        }
        self.engine.apply(&self.batch);
        self.batch.clear();
    }
}

/// Where the positions were: west, south, east, north, degrees.
#[derive(Default)]
struct Extent(Option<[f64; 4]>);

impl Extent {
    fn add(&mut self, lon: f64, lat: f64) {
        let [w, s, e, n] = self.0.unwrap_or([lon, lat, lon, lat]);
        self.0 = Some([w.min(lon), s.min(lat), e.max(lon), n.max(lat)]);
    }

    /// A network of another place is an error, one of a part of it a warning.
    fn check(&self, network: &roads::Network, counts: MatchCounts, radius_m: f64) -> anyhow::Result<()> {
        let (Some([w, s, e, n]), off) = (self.0, counts.off_network) else { return Ok(()) };
        let seen = counts.placed + counts.in_junction + off;
        let [nw, ns, ne, nn] = network.bbox();
        let places = format!(
            "the network covers {nw:.4} to {ne:.4} °E, {ns:.4} to {nn:.4} °N, the positions {w:.4} to {e:.4} °E, {s:.4} to {n:.4} °N"
        );
        if seen == off {
            bail!(
                "none of {seen} positions lies within {radius_m} m of the network `{}`: {places}; give the network of the same place",
                network.name()
            );
        }
        if off * 2 > seen {
            tracing::warn!("{off} of {seen} positions are off the network: {places}");
        }
        Ok(())
    }
}

fn report(analysis: &Analysis, m: MatchCounts, cells: usize, args: &Args) -> anyhow::Result<()> {
    let f = analysis.gate.fates();
    let reasons: Vec<String> =
        f.rejected.iter().filter(|r| *r.1 > 0).map(|(reason, n)| format!("{} {n}", reason.name())).collect();
    let why = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "events    received {} = accepted {} + duplicate {} + rejected {}{why}",
        f.received,
        f.accepted,
        f.duplicate,
        f.rejected_total()
    )?;
    writeln!(
        out,
        "positions placed {}, off the network {}, parked {}, inside junctions {}, too late {}",
        m.placed, m.off_network, m.parked, m.in_junction, m.too_late
    )?;
    writeln!(
        out,
        "steps     counted {}; not counted: gap {}, jump {}, break {}, off the network {}, parked {}",
        m.steps, m.gaps, m.jumps, m.breaks, m.off_steps, m.parked_steps
    )?;
    match &args.out {
        Some(path) => writeln!(out, "cells     {cells} → {}", path.display())?,
        None => writeln!(out, "cells     {cells}")?,
    }
    Ok(())
}
