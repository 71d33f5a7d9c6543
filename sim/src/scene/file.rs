//! The tables of a scenario file and their keys. Units are in the keys; times are minutes from the begin.
//!
//! Upstream: TOML. Downstream: [`super::Scene`].

use serde::Deserialize;
use toml::{Table, Value};

use super::SceneError;

/// The file as a whole; see `scenarios/` for examples with comments.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct File {
    /// One line for `--list`.
    pub description: String,
    /// `demo`, or a file beside this one.
    pub network: Option<String>,
    /// SUMO's additional files whose signal programmes replace the network's.
    #[serde(default)]
    pub programmes: Vec<String>,
    /// Local time of day at the begin, `HH:MM`; noon without it.
    pub clock: Option<String>,
    pub duration_min: Option<u32>,
    pub seed: Option<u64>,
    #[serde(default)]
    pub demand: DemandTable,
    #[serde(default)]
    pub zones: Vec<ZoneTable>,
    #[serde(default)]
    pub incidents: Vec<IncidentTable>,
    #[serde(default)]
    pub sensors: SensorTable,
}

/// Who drives: either `vehicles` that are kept on the road, or trips: of a land use, of flows, of files, all added up.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct DemandTable {
    pub vehicles: Option<u32>,
    /// Trips of a whole weekday between homes and work and elsewhere.
    pub trips_per_day: Option<f64>,
    /// Share of the drawn trips that lorries make, 0 to 1.
    pub truck_share: Option<f64>,
    /// Routes of SUMO or flows of CityFlow, and additional files before them.
    #[serde(default)]
    pub files: Vec<String>,
    #[serde(default)]
    pub flows: Vec<FlowTable>,
}

/// One cell of a matrix of origins and destinations.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FlowTable {
    /// A zone of the file, or `centre`, `suburbs`, `anywhere`.
    pub from: String,
    pub to: String,
    /// At a factor of 1 of the profile.
    pub trips_per_hour: f64,
    /// Factors by quarter of an hour from the begin; after the last one nobody drives. 1 without it.
    pub profile: Option<Vec<f64>>,
}

/// A circle around a street, or around a place.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ZoneTable {
    pub name: String,
    pub street: Option<String>,
    pub lon: Option<f64>,
    pub lat: Option<f64>,
    pub radius_m: f64,
}

/// What an incident does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    LaneClosed,
    JunctionBlocked,
    SlowZone,
    SignalOff,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct IncidentTable {
    pub id: String,
    pub kind: IncidentKind,
    pub begin_min: u32,
    pub end_min: u32,
    /// The street of a closed lane, on its piece that ends at the street `before`, else on its longest piece.
    pub street: Option<String>,
    pub before: Option<String>,
    /// 0 at the kerb.
    pub lane: Option<u8>,
    pub from_m: Option<f32>,
    pub to_m: Option<f32>,
    /// Two streets that meet there.
    pub junction: Option<[String; 2]>,
    #[serde(default)]
    pub streets: Vec<String>,
    pub speed_kmh: Option<f32>,
}

/// How well sensors measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    Exact,
    Lifelike,
    BadDay,
}

/// Sensors: lifelike, but for what is said here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct SensorTable {
    pub quality: Option<Quality>,
    pub probe_share: Option<f64>,
    pub gps_sigma_m: Option<f64>,
    pub loss_share: Option<f64>,
    pub healthy_loop_share: Option<f64>,
}

/// Every table with its keys; a test holds them against the structs above.
const KEYS: [(&str, &[&str]); 6] = [
    (
        "",
        &[
            "description",
            "network",
            "programmes",
            "clock",
            "duration_min",
            "seed",
            "demand",
            "zones",
            "incidents",
            "sensors",
        ],
    ),
    ("demand", &["vehicles", "trips_per_day", "truck_share", "files", "flows"]),
    ("demand.flows", &["from", "to", "trips_per_hour", "profile"]),
    ("zones", &["name", "street", "lon", "lat", "radius_m"]),
    (
        "incidents",
        &[
            "id",
            "kind",
            "begin_min",
            "end_min",
            "street",
            "before",
            "lane",
            "from_m",
            "to_m",
            "junction",
            "streets",
            "speed_kmh",
        ],
    ),
    ("sensors", &["quality", "probe_share", "gps_sigma_m", "loss_share", "healthy_loop_share"]),
];

/// Reads the text and checks what can be checked without a network.
pub(super) fn parse(text: &str) -> Result<File, SceneError> {
    let syntax = |error: toml::de::Error| {
        let upto = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text[..upto].lines().count().max(1);
        SceneError::Syntax { line, what: error.message().replace('\n', " ") }
    };
    let table: Table = text.parse().map_err(syntax)?;
    check_keys("", &table)?;
    let file: File = toml::from_str(text).map_err(syntax)?;
    let demand = &file.demand;
    let has_trips = demand.trips_per_day.is_some() || !demand.files.is_empty() || !demand.flows.is_empty();
    if demand.vehicles.is_some() == has_trips {
        return Err(SceneError::Value {
            what: "demand",
            value: if has_trips { "vehicles and trips".into() } else { "empty".into() },
            wanted: "give either `vehicles`, or any of `trips_per_day`, `flows` and `files`",
        });
    }
    let numbers = [("trips_per_day", demand.trips_per_day, 1e8), ("truck_share", demand.truck_share, 1.0)];
    let rates = demand.flows.iter().map(|flow| ("trips_per_hour", Some(flow.trips_per_hour), 1e7));
    let factors =
        demand.flows.iter().flat_map(|flow| flow.profile.iter().flatten().map(|f| ("profile", Some(*f), 1e3)));
    for (what, value, most) in numbers.into_iter().chain(rates).chain(factors) {
        if let Some(value) = value.filter(|value| !(0.0..=most).contains(value)) {
            return Err(SceneError::Value {
                what,
                value: value.to_string(),
                wanted: "it must be 0 or more, and possible",
            });
        }
    }
    file.clock_s()?;
    Ok(file)
}

impl File {
    /// Local time of day at the begin, seconds.
    pub(super) fn clock_s(&self) -> Result<u32, SceneError> {
        let Some(text) = &self.clock else { return Ok(12 * 3_600) };
        let wrong =
            || SceneError::Value { what: "clock", value: text.clone(), wanted: "a time of day is 00:00 to 23:59" };
        let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
        match (hour.parse::<u32>(), minute.parse::<u32>()) {
            (Ok(hour @ 0..=23), Ok(minute @ 0..=59)) => Ok(hour * 3_600 + minute * 60),
            _ => Err(wrong()),
        }
    }
}

fn check_keys(name: &str, table: &Table) -> Result<(), SceneError> {
    let known = KEYS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, keys)| *keys);
    for (key, value) in table {
        if !known.contains(&key.as_str()) {
            let nearest = nearest(key, known.iter().copied()).unwrap_or("description");
            let table = if name.is_empty() { "a scenario".to_owned() } else { format!("[{name}]") };
            return Err(SceneError::Key { key: key.clone(), table, nearest });
        }
        let inner = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        match value {
            Value::Table(table) => check_keys(&inner, table)?,
            Value::Array(all) => {
                all.iter().filter_map(Value::as_table).try_for_each(|table| check_keys(&inner, table))?;
            }
            Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
        }
    }
    Ok(())
}

/// The known word that is most like another (Damerau and Levenshtein's distance, capitals aside).
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known.min_by_key(|other| strsim::damerau_levenshtein(&word, &other.to_lowercase()))
}
