//! `arterial network`: import, generate and inspect a road network; and the `--network` of every other command.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use roads::generate::{self, CityPlan};
use roads::{Network, RoadClass};

/// The word that stands for the generated city.
pub(crate) const DEMO: &str = "demo";

/// Import, generate or inspect a road network
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Import an OSM extract (.osm.pbf) or a SUMO network (.net.xml, .net.xml.gz)
    Import {
        /// The map
        input: PathBuf,
        /// Where the network goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Generate the demo city
    Generate {
        /// Where the network goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The same seed gives the same city
        #[arg(long, env = "ARTERIAL_SEED", default_value_t = CityPlan::default().seed)]
        seed: u64,
    },
    /// What a network holds
    Info {
        /// A network file, an OSM extract or a SUMO network
        file: PathBuf,
    },
}

/// Which road network.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct NetworkArg {
    /// Road network: a file of `arterial network import`, an OSM extract, a SUMO network, or `demo`
    #[arg(long, env = "ARTERIAL_NETWORK", value_name = "FILE|demo")]
    network: PathBuf,
}

/// Opens the network that was asked for.
pub(crate) fn load(arg: &NetworkArg) -> anyhow::Result<Network> {
    open(&arg.network)
}

/// Opens a network by name.
pub(crate) fn open(path: &Path) -> anyhow::Result<Network> {
    if path == Path::new(DEMO) {
        return Ok(generate::city(&CityPlan::default()));
    }
    roads::open(path).with_context(|| format!("cannot use {} as a road network", path.display()))
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Import { input, out } => {
            let network =
                roads::import::import(&input).with_context(|| format!("cannot import {}", input.display()))?;
            save(&network, &out)
        }
        Command::Generate { out, seed } => save(&generate::city(&CityPlan { seed, ..CityPlan::default() }), &out),
        Command::Info { file } => info(&open(&file)?),
    }
}

fn save(network: &Network, out: &Path) -> anyhow::Result<()> {
    roads::cache::save(network, out)?;
    info(network)
}

fn info(network: &Network) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let [west, south, east, north] = network.bbox();
    let km = |of: &dyn Fn(&&roads::Segment) -> bool| {
        let kept = network.segments().iter().filter(of);
        (kept.clone().count(), kept.map(|s| s.length_m).sum::<f64>() / 1_000.0)
    };
    let (segments, length_km) = km(&|_| true);
    writeln!(out, "network   {} (source {})", network.name(), network.source_hash())?;
    writeln!(out, "covers    {west:.4} to {east:.4} °E, {south:.4} to {north:.4} °N")?;
    writeln!(out, "segments  {segments} directed, {length_km:.1} km; junctions {}", network.nodes().len())?;
    for class in RoadClass::ALL {
        let (n, km) = km(&|s| s.class == class);
        if n > 0 {
            writeln!(out, "  {:<12}{n:>7} {km:>9.1} km", class.name())?;
        }
    }
    for count in &network.import_report().counts {
        writeln!(out, "import    {}: {}", count.what, count.count)?;
    }
    Ok(())
}
