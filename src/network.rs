//! `arterial network`: import, generate, inspect and check a road network; and the `--network` of every other command.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use events::LonLat;
use indicatif::ProgressBar;
use roads::check::{self, Problem};
use roads::generate::{self, MetropolisPlan};
use roads::picture::{Scenery, write_svg};
use roads::{Hexagons, ImportOptions, Network, RoadClass, Stage, Structure, hexagon};
use sim::scene::SceneNetwork;

use crate::progress;

/// The word that stands for the generated city.
pub(crate) const DEMO: &str = "demo";

/// Segments that `check` names for each problem; the GeoJSON has all.
const EXAMPLES_MAX: usize = 3;

/// Import, generate, inspect or check a road network
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Import an OSM extract (.osm.pbf), a SUMO network (.net.xml) or a CityFlow roadnet (.json), packed or not
    Import {
        /// The map
        input: PathBuf,
        /// Where the network goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Whose default limits hold where OSM has none, as two letters; else the extract is asked
        #[arg(long, value_name = "XX")]
        country: Option<String>,
        /// Where the point 0, 0 of a CityFlow roadnet lies, degrees [default: that of the demo city]
        #[arg(long, value_name = "LON,LAT", value_parser = origin, allow_hyphen_values = true)]
        origin: Option<LonLat>,
        /// Additional file of SUMO whose signal programmes replace those of the network; may be given again
        #[arg(long, value_name = "ADD.XML")]
        additional: Vec<PathBuf>,
    },
    /// Generate the demo city
    Generate {
        /// Where the network goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The same seed gives the same city
        #[arg(long, env = "ARTERIAL_SEED", default_value_t = MetropolisPlan::default().seed)]
        seed: u64,
        /// Directed segments that are wanted: 500 to 100000
        #[arg(long, value_name = "N", default_value_t = MetropolisPlan::default().segments,
            value_parser = clap::value_parser!(u32).range(i64::from(*generate::SEGMENTS.start())..=i64::from(*generate::SEGMENTS.end())))]
        segments: u32,
    },
    /// Draw a network as SVG
    Picture {
        /// A network file, a map of `import`, or `demo`
        file: PathBuf,
        /// Where the picture goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Pixels from west to east
        #[arg(long, value_name = "PIXELS", default_value_t = 1_400, value_parser = clap::value_parser!(u32).range(100..=20_000))]
        width: u32,
    },
    /// What a network holds
    Info {
        /// A network file, or a map of `import`
        file: PathBuf,
    },
    /// What looks wrong in a network: dead ends, unreachable parts, odd limits and lengths, gaps
    Check {
        /// A network file, or a map of `import`
        file: PathBuf,
        /// Where every finding goes as a line with its properties
        #[arg(long, value_name = "FILE")]
        geojson: Option<PathBuf>,
    },
}

/// Which road network, or hexagons where there is none.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct NetworkArg {
    /// Road network: a file of `arterial network import`, an OSM extract, a SUMO network, a CityFlow roadnet, or `demo`
    #[arg(long, env = "ARTERIAL_NETWORK", value_name = "FILE|demo", conflicts_with = "area")]
    network: Option<PathBuf>,
    /// Without a road network: count in hexagons over this area, degrees
    #[arg(long, env = "ARTERIAL_AREA", value_name = "WEST,SOUTH,EAST,NORTH", value_parser = area, allow_hyphen_values = true)]
    area: Option<Area>,
}

impl NetworkArg {
    /// Whether there is a network, or an area.
    pub(crate) fn is_given(&self) -> bool {
        self.network.is_some() || self.area.is_some()
    }
}

/// West, south, east, north, degrees.
pub(crate) type Area = [f64; 4];

/// What positions are placed on.
pub(crate) struct Map {
    pub(crate) network: Arc<Network>,
    /// The cells that the network stands for, where there are no streets.
    pub(crate) hexagons: Option<Arc<Hexagons>>,
}

/// Opens the network that was asked for; without one, hexagons over the area, or over where the positions are.
pub(crate) fn load(arg: &NetworkArg, extent: impl FnOnce() -> anyhow::Result<Area>) -> anyhow::Result<Map> {
    if let Some(path) = &arg.network {
        return Ok(Map { network: Arc::new(open(path)?), hexagons: None });
    }
    let area = match arg.area {
        Some(area) => area,
        None => extent()?,
    };
    let hexagons = Hexagons::over(area, hexagon::RESOLUTION)?;
    tracing::info!(cells = hexagons.len(), "no road network: hexagons take the place of streets");
    Ok(Map { network: Arc::clone(hexagons.network()), hexagons: Some(Arc::new(hexagons)) })
}

/// The network that a scenario names, unless another one was asked for.
pub(crate) fn of_scene(arg: &NetworkArg, scene: &SceneNetwork) -> anyhow::Result<Arc<Network>> {
    match (&arg.network, scene) {
        (Some(_), _) => streets(arg),
        (None, SceneNetwork::Demo) => Ok(Arc::new(demo())),
        (None, SceneNetwork::File { path, programmes }) => {
            let options = ImportOptions { programmes: programmes.clone(), ..ImportOptions::default() };
            Ok(Arc::new(open_with(path, &options)?))
        }
    }
}

/// Opens the network of a simulation, which needs streets.
pub(crate) fn streets(arg: &NetworkArg) -> anyhow::Result<Arc<Network>> {
    let path = arg.network.as_deref().context("vehicles need streets: give --network FILE, or --network demo")?;
    Ok(Arc::new(open(path)?))
}

fn area(text: &str) -> Result<Area, String> {
    let numbers: Vec<f64> = text.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    <Area>::try_from(numbers).map_err(|_| format!("`{text}` is not WEST,SOUTH,EAST,NORTH in degrees"))
}

/// Opens a network by name.
pub(crate) fn open(path: &Path) -> anyhow::Result<Network> {
    open_with(path, &ImportOptions::default())
}

/// Opens a network by name, as a person wants it imported.
pub(crate) fn open_with(path: &Path, options: &ImportOptions) -> anyhow::Result<Network> {
    if path == Path::new(DEMO) {
        return Ok(demo());
    }
    if !options.programmes.is_empty() {
        return import(path, options);
    }
    roads::open(path).with_context(|| format!("cannot use {} as a road network", path.display()))
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Import { input, out, country, origin, additional } => {
            save(&import(&input, &ImportOptions { country, origin, programmes: additional })?, &out)
        }
        Command::Generate { out, seed, segments } => {
            save(&generate::metropolis(&MetropolisPlan { seed, segments, ..MetropolisPlan::default() }).network, &out)
        }
        Command::Picture { file, out, width } => picture(&file, &out, width),
        Command::Info { file } => info(&open(&file)?),
        Command::Check { file, geojson } => check(&open(&file)?, geojson.as_deref()),
    }
}

/// The city that the default command simulates.
pub(crate) fn demo() -> Network {
    generate::metropolis(&MetropolisPlan::default()).network
}

fn picture(file: &Path, out: &Path, width_px: u32) -> anyhow::Result<()> {
    // Only the generator knows where its river runs.
    let made = (file == Path::new(DEMO)).then(|| generate::metropolis(&MetropolisPlan::default()));
    let (network, river);
    let (network, scenery) = match &made {
        Some(made) => {
            river = (made.river.as_slice(), made.river_width_m);
            (&made.network, Scenery { river: Some(river) })
        }
        None => {
            network = open(file)?;
            (&network, Scenery::default())
        }
    };
    let written = std::fs::File::create(out).and_then(|file| {
        let mut file = std::io::BufWriter::new(file);
        write_svg(network, scenery, width_px, &mut file)?;
        file.flush()
    });
    written.with_context(|| format!("cannot write {}", out.display()))
}

fn origin(text: &str) -> Result<LonLat, String> {
    let wrong = || format!("`{text}` is not a longitude and a latitude in degrees, such as 117.0,36.65");
    let (lon, lat) = text.split_once(',').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
    LonLat::new(number(lon)?, number(lat)?).map_err(|error| error.to_string())
}

fn import(input: &Path, options: &ImportOptions) -> anyhow::Result<Network> {
    let mut bar: Option<(Stage, ProgressBar)> = None;
    let imported = roads::import_with(input, options, &mut |at| {
        let is_same = bar.as_ref().is_some_and(|(stage, _)| *stage == at.stage);
        if !is_same {
            let fresh = progress::share(at.total).with_message(at.stage.name());
            if let Some((_, done)) = bar.replace((at.stage, fresh)) {
                done.finish_and_clear();
            }
        }
        if let Some((_, bar)) = &bar {
            bar.set_position(at.done);
        }
    });
    if let Some((_, bar)) = bar {
        bar.finish_and_clear();
    }
    imported.with_context(|| format!("cannot import {}", input.display()))
}

fn save(network: &Network, out: &Path) -> anyhow::Result<()> {
    roads::cache::save(network, out)?;
    info(network)
}

/// What a kind of structure is called, and which segments are of it.
type Kind = (&'static str, fn(&Structure) -> bool);

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
    let each = network.turn_count() as f64 / segments as f64;
    writeln!(out, "turns     {}, {each:.2} a segment", network.turn_count())?;
    for class in RoadClass::ALL {
        let (n, km) = km(&|s| s.class == class);
        if n > 0 {
            writeln!(out, "  {:<12}{n:>7} {km:>9.1} km", class.name())?;
        }
    }
    let kinds: [Kind; 4] = [
        ("links", |s| s.is_link),
        ("roundabouts", |s| s.is_roundabout),
        ("bridges", |s| s.is_bridge),
        ("tunnels", |s| s.is_tunnel),
    ];
    for (name, is_kind) in kinds {
        let (n, km) = km(&|s| is_kind(&s.structure));
        if n > 0 {
            writeln!(out, "  {name:<12}{n:>7} {km:>9.1} km")?;
        }
    }
    for count in &network.import_report().counts {
        writeln!(out, "import    {}: {}", count.what, count.count)?;
    }
    Ok(())
}

fn check(network: &Network, geojson: Option<&Path>) -> anyhow::Result<()> {
    let findings = check::check(network);
    let mut by_problem: BTreeMap<Problem, Vec<&check::Finding>> = BTreeMap::new();
    for finding in &findings {
        by_problem.entry(finding.problem).or_default().push(finding);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:>8} {:>10}  problem", "segments", "km")?;
    for problem in Problem::ALL {
        let found = by_problem.get(&problem).map_or(&[][..], Vec::as_slice);
        // From 0.0: the sum of nothing is -0.0 in Rust, and would be printed so.
        let km = found.iter().fold(0.0, |sum, f| sum + network.segment(f.segment).length_m) / 1_000.0;
        writeln!(out, "{:>8} {km:>10.1}  {}", found.len(), problem.name())?;
        for finding in found.iter().take(EXAMPLES_MAX) {
            let segment = network.segment(finding.segment);
            let end = network.place(finding.segment, f64::INFINITY);
            writeln!(
                out,
                "{:>20}  {} ends at {:.5},{:.5} {}",
                "",
                segment.source_id,
                end.lon_deg(),
                end.lat_deg(),
                segment.name.as_deref().unwrap_or("")
            )?;
        }
    }
    writeln!(out, "{:>8} {:>10}  segments in all", network.segments().len(), "")?;
    if let Some(path) = geojson {
        let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut file = std::io::BufWriter::new(file);
        let written = check::write_geojson(network, &findings, &mut file).and_then(|()| file.flush());
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
