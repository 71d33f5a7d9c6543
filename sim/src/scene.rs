//! A scenario as a person writes it: a TOML file that names streets, flows and what goes wrong; and those built in.
//!
//! A scene is read and checked against nothing but itself ([`Scene::parse`]), then laid on a network
//! ([`Scene::lay`]), where every street it names must exist. An unknown key or street is answered with the nearest
//! known one. Upstream: the command line, `scenarios/`. Downstream: [`crate::Scenario`], sensors.
//!
//! - [`file`]: the tables of the file, and their keys
//! - [`place`]: streets, junctions and zones of a network, by name
//! - [`demand`]: flows and land use as trips, by the hour of the day

pub mod demand;
pub mod file;
mod place;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use events::TimeMs;
use roads::{ImportReport, Network};

use crate::read::{Loop, ReadError, Reader};
use crate::scenario::{Demand, Disruption, Incident, Scenario, ScenarioError};
use crate::sensor::{SensorConfig, SensorError};
use crate::vehicle::VehicleType;
use file::{File, IncidentTable, Quality};
use place::Places;

/// Scenarios that are built in, by name.
const BUILT_IN: [(&str, &str); 8] = [
    ("free-flow", include_str!("../../scenarios/free-flow.toml")),
    ("day", include_str!("../../scenarios/day.toml")),
    ("morning-peak", include_str!("../../scenarios/morning-peak.toml")),
    ("incident", include_str!("../../scenarios/incident.toml")),
    ("stadium", include_str!("../../scenarios/stadium.toml")),
    ("signal-failure", include_str!("../../scenarios/signal-failure.toml")),
    ("gps-outage", include_str!("../../scenarios/gps-outage.toml")),
    ("detector-failure", include_str!("../../scenarios/detector-failure.toml")),
];

/// Why a scene cannot be played; each is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    #[error("{} cannot be read: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error(
        "there is no scenario `{name}`: did you mean `{nearest}`? A file is named by its path, such as ./mine.toml"
    )]
    Name { name: String, nearest: &'static str },
    #[error("line {line}: {what}")]
    Syntax { line: usize, what: String },
    #[error("there is no key `{key}` in {table}: did you mean `{nearest}`?")]
    Key { key: String, table: String, nearest: &'static str },
    #[error("{what} is `{value}`: {wanted}")]
    Value { what: &'static str, value: String, wanted: &'static str },
    #[error("{what}: there is no street `{name}` on this network: did you mean `{nearest}`?")]
    Street { what: String, name: String, nearest: String },
    #[error("{what}: `{first}` and `{second}` do not meet")]
    NotMet { what: String, first: String, second: String },
    #[error("{what}: there is no zone `{name}`: did you mean `{nearest}`?")]
    Zone { what: String, name: String, nearest: String },
    #[error("zone `{0}` holds no street on which a trip could begin or end")]
    EmptyZone(String),
    #[error("no way leads from `{from}` to `{to}`: that flow could not be driven")]
    NoWay { from: String, to: String },
    #[error("nobody can drive on this network: no street of it leads to another and back")]
    NoConnections,
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Sensors(#[from] SensorError),
}

/// A scenario that was read, not yet on a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    file: File,
    /// Where files that it names are looked for.
    folder: PathBuf,
}

/// What a scene is played on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SceneNetwork {
    /// The generated city.
    Demo,
    /// A file, and SUMO's additional files whose signal programmes replace its own.
    File { path: PathBuf, programmes: Vec<PathBuf> },
}

/// A scene on a network.
#[derive(Clone, Debug)]
pub struct Laid {
    pub scenario: Scenario,
    pub sensors: SensorConfig,
    /// Simulated seconds; `None` is without end.
    pub duration_s: Option<u64>,
    /// Local time of day at the first second, seconds.
    pub clock_s: u32,
    /// Induction loops that files of SUMO asked for.
    pub loops: Vec<Loop>,
    /// What was read from files of others, and what of it was not understood.
    pub report: ImportReport,
}

/// How much of its busiest hour's traffic a city has at each hour of a weekday, permille, for
/// [`Scenario::by_hour`]; never less than `least`.
pub fn weekday_levels(least: u16) -> [u16; 24] {
    demand::weekday_levels(least)
}

impl Scene {
    /// Name and description of every scenario that is built in.
    pub fn built_in() -> impl Iterator<Item = (&'static str, String)> {
        let parsed = |text: &str| Self::parse(text, Path::new(".")).map(|scene| scene.file.description);
        BUILT_IN.iter().map(move |(name, text)| (*name, parsed(text).unwrap_or_default()))
    }

    /// A built-in scenario by name, or a file if the name is a path (with a `/` or ending in `.toml`).
    ///
    /// # Errors
    /// [`SceneError`].
    pub fn open(name: &str) -> Result<Self, SceneError> {
        if name.contains('/') || name.ends_with(".toml") {
            let path = PathBuf::from(name);
            let io = |error| SceneError::Io { path: path.clone(), error };
            let text = std::fs::read_to_string(&path).map_err(io)?;
            return Self::parse(&text, path.parent().unwrap_or(Path::new(".")));
        }
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(text, Path::new(".")),
            None => {
                let nearest = file::nearest(name, BUILT_IN.iter().map(|(known, _)| *known)).unwrap_or("free-flow");
                Err(SceneError::Name { name: name.to_owned(), nearest })
            }
        }
    }

    /// Reads the text of a scenario; files that it names lie in `folder`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line or key.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, SceneError> {
        Ok(Self { file: file::parse(text)?, folder: folder.to_owned() })
    }

    /// What the scene is to be played on.
    pub fn network(&self) -> SceneNetwork {
        let here = |name: &String| self.folder.join(name);
        match self.file.network.as_deref() {
            None | Some("demo") => SceneNetwork::Demo,
            Some(name) => SceneNetwork::File {
                path: self.folder.join(name),
                programmes: self.file.programmes.iter().map(here).collect(),
            },
        }
    }

    /// Lays the scene on a network: looks up its streets, draws its trips. `seed` overrides the scene's own.
    ///
    /// # Errors
    /// [`SceneError`], when something it names is not there, or nobody could drive.
    pub fn lay(&self, network: &Network, start: TimeMs, seed: Option<u64>) -> Result<Laid, SceneError> {
        let seed = seed.or(self.file.seed).unwrap_or(Scenario::default().seed);
        let clock_s = self.file.clock_s()?;
        let duration_s = self.file.duration_min.map(|minutes| u64::from(minutes) * 60);
        let places = Places::new(network, &self.file.zones)?;
        let mut scenario = Scenario { seed, start, ..Scenario::default() };
        let demand = &self.file.demand;
        let (mut loops, mut report) = (Vec::new(), ImportReport::default());
        if let Some(vehicles) = demand.vehicles {
            scenario.vehicles = vehicles;
        } else {
            let mut trips = Vec::new();
            if !demand.files.is_empty() {
                let mut reader = Reader::new(network, seed);
                for file in &demand.files {
                    reader.read(&self.folder.join(file), duration_s.unwrap_or(24 * 3_600) as f64)?;
                }
                let inputs = reader.finish()?;
                (scenario.types, trips) = (inputs.types, inputs.trips);
                (loops, report) = (inputs.loops, inputs.report);
            }
            let first_type = scenario.types.len() as u16;
            let drawn = demand::Drawing { places: &places, seed, clock_s, duration_s, first_type };
            let more = drawn.trips(demand)?;
            if !more.is_empty() {
                scenario.types.extend([VehicleType::car(), VehicleType::truck()]);
                trips.extend(more);
                trips.sort_by(|a, b| a.depart_s.total_cmp(&b.depart_s));
            }
            if trips.is_empty() {
                return Err(ReadError::NoVehicles.into());
            }
            scenario.demand = Demand::Trips(Arc::new(trips));
        }
        for incident in &self.file.incidents {
            scenario.incidents.push(lay_incident(incident, &places)?);
        }
        scenario.check_on(network)?;
        let sensors = SensorConfig { loops: loops.clone(), ..self.sensors()? };
        Ok(Laid { scenario, sensors, duration_s, clock_s, loops, report })
    }

    fn sensors(&self) -> Result<SensorConfig, SceneError> {
        let of = &self.file.sensors;
        let mut config = match of.quality {
            Some(Quality::Exact) => SensorConfig::default(),
            Some(Quality::BadDay) => SensorConfig::bad_day(),
            Some(Quality::Lifelike) | None => SensorConfig::lifelike(),
        };
        let set = |into: &mut f64, value: Option<f64>| *into = value.unwrap_or(*into);
        set(&mut config.probe_share, of.probe_share);
        set(&mut config.gps_sigma_m, of.gps_sigma_m);
        set(&mut config.loss_share, of.loss_share);
        set(&mut config.healthy_loop_share, of.healthy_loop_share);
        config.check()?;
        Ok(config)
    }
}

fn lay_incident(table: &IncidentTable, places: &Places<'_>) -> Result<Incident, SceneError> {
    use file::IncidentKind;
    let what = format!("incident `{}`", table.id);
    let missing = |key: &'static str| SceneError::Value {
        what: key,
        value: "missing".into(),
        wanted: "an incident of this kind needs it",
    };
    let junction = || {
        let [first, second] = table.junction.as_ref().ok_or_else(|| missing("junction"))?;
        places.junction(&what, first, second)
    };
    let disruption = match table.kind {
        IncidentKind::LaneClosed => {
            let street = table.street.as_deref().ok_or_else(|| missing("street"))?;
            let segment = places.segment(&what, street, table.before.as_deref())?;
            let length_m = places.network().segment(segment).length_m as f32;
            let from_m = table.from_m.unwrap_or(length_m * 0.4);
            let to_m = table.to_m.unwrap_or((from_m + 30.0).min(length_m));
            Disruption::LaneClosed { segment, lane: table.lane.unwrap_or(0), from_m, to_m }
        }
        IncidentKind::JunctionBlocked => Disruption::JunctionBlocked { node: junction()? },
        IncidentKind::SignalOff => Disruption::SignalOff { node: junction()? },
        IncidentKind::SlowZone => {
            let mut segments = Vec::new();
            for street in &table.streets {
                segments.extend_from_slice(places.street(&what, street)?);
            }
            if segments.is_empty() {
                return Err(missing("streets"));
            }
            Disruption::SlowZone { segments, speed_mps: table.speed_kmh.ok_or_else(|| missing("speed_kmh"))? / 3.6 }
        }
    };
    let (begin_s, end_s) = (table.begin_min * 60, table.end_min * 60);
    Ok(Incident { id: table.id.clone(), begin_s, end_s, what: disruption })
}

#[cfg(test)]
mod tests;
