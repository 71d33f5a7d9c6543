//! Vehicle types of SUMO and their distributions, with SUMO's own defaults.
//!
//! Upstream: attributes of `vType` and `vTypeDistribution`. Downstream: [`super::sumo`]. Format and defaults: SUMO
//! documentation, "Definition of Vehicles, Vehicle Types, and Routes" and "Vehicle Type Parameter Defaults".

use roads::ImportReport;
use rustc_hash::FxHashMap;

use super::sumo::Attributes;
use crate::random::{Stream, unit};
use crate::scenario::TYPES_MAX;
use crate::vehicle::{LaneChange, Model, VehicleType};

/// SUMO's name of the type of a vehicle that names none.
pub(super) const DEFAULT: &str = "DEFAULT_VEHTYPE";

/// Attributes that change nothing about how a vehicle drives here: looks, emissions, and lane changing's taste.
const WITHOUT_INFLUENCE: [&str; 14] = [
    "id",
    "color",
    "guiShape",
    "emissionClass",
    "imgFile",
    "width",
    "height",
    "personCapacity",
    "boardingDuration",
    "probability",
    "vClass",
    "osgFile",
    "impatience",
    "laneChangeModel",
];

/// Keeps the draws of types apart from those of departures.
const DRAWS: u64 = 0x7479_7065;

/// Vehicle classes that are no road traffic.
const NOT_ON_ROADS: [&str; 12] = [
    "bicycle",
    "pedestrian",
    "tram",
    "rail",
    "rail_urban",
    "rail_electric",
    "rail_fast",
    "subway",
    "ship",
    "wheelchair",
    "aircraft",
    "cable_car",
];

/// All types by name.
#[derive(Default)]
pub(super) struct Kinds {
    pub(super) types: Vec<VehicleType>,
    by_name: FxHashMap<String, Kind>,
}

enum Kind {
    One(u16),
    /// Positions with the running sum of their weights.
    Several(Vec<(u16, f64)>),
    /// A class that does not drive on roads.
    None,
}

impl Kinds {
    /// Adds a type, to a distribution if one is open. Gives a sentence on what is wrong.
    pub(super) fn add(
        &mut self,
        of: &Attributes,
        distribution: Option<&str>,
        report: &mut ImportReport,
    ) -> Result<(), String> {
        let id = of.needed("id")?.to_owned();
        let class = of.get("vClass").unwrap_or("passenger");
        if NOT_ON_ROADS.contains(&class) {
            report.add(&format!("vehicle types left out: class {class}"), 1);
            self.by_name.insert(id, Kind::None);
            return Ok(());
        }
        if self.types.len() >= TYPES_MAX {
            return Err(format!("it has more than {TYPES_MAX} vehicle types"));
        }
        let number = self.types.len() as u16;
        let kind = vehicle_type(of, &id, class, report)?;
        if let Some(name) = distribution {
            let weight = of.number("probability")?.unwrap_or(1.0);
            let Kind::Several(all) = self.by_name.entry(name.to_owned()).or_insert_with(|| Kind::Several(Vec::new()))
            else {
                return Err(format!("`{name}` is a type and a distribution"));
            };
            let before = all.last().map_or(0.0, |(_, sum)| *sum);
            all.push((number, before + weight.max(0.0)));
        }
        self.types.push(kind);
        self.by_name.insert(id, Kind::One(number));
        report.add("vehicle types", 1);
        Ok(())
    }

    /// Adds a type that is not from SUMO, once for all that are equal.
    pub(super) fn add_once(&mut self, kind: VehicleType) -> Result<u16, String> {
        if let Some(known) = self.types.iter().position(|k| *k == kind) {
            return Ok(known as u16);
        }
        if self.types.len() >= TYPES_MAX {
            return Err(format!("it has more than {TYPES_MAX} kinds of vehicles"));
        }
        self.types.push(kind);
        Ok((self.types.len() - 1) as u16)
    }

    /// The type of vehicle `number`: drawn, where the name is a distribution. `Ok(None)` if its class is not on roads.
    pub(super) fn of(&mut self, name: &str, seed: u64, number: u64) -> Result<Option<u16>, String> {
        match self.by_name.get(name) {
            Some(Kind::One(kind)) => Ok(Some(*kind)),
            Some(Kind::None) => Ok(None),
            Some(Kind::Several(all)) => {
                let sum = all.last().map_or(0.0, |(_, sum)| *sum);
                let drawn = unit(seed ^ DRAWS, number, 0, Stream::Departure) * sum;
                let at = all.partition_point(|(_, upto)| *upto <= drawn).min(all.len() - 1);
                Ok(Some(all[at].0))
            }
            None if name == DEFAULT => {
                let of = Attributes::of_default(DEFAULT);
                self.add(&of, None, &mut ImportReport::default())?;
                self.of(name, seed, number)
            }
            None => Err(format!("there is no vehicle type `{name}`")),
        }
    }
}

/// Defaults of a class: length m, acceleration and deceleration m/s², greatest speed m/s.
fn defaults(class: &str) -> (f64, f64, f64, f64) {
    match class {
        "bus" => (12.0, 1.2, 4.0, 23.61),
        "coach" => (14.0, 2.0, 4.0, 27.78),
        "truck" => (7.1, 1.3, 4.0, 36.11),
        "trailer" => (16.5, 1.0, 4.0, 36.11),
        "delivery" => (6.5, 2.6, 4.5, 55.55),
        "motorcycle" => (2.2, 6.0, 10.0, 55.55),
        "moped" => (2.1, 1.1, 7.0, 12.78),
        _ => (5.0, 2.6, 4.5, 55.55),
    }
}

fn vehicle_type(of: &Attributes, id: &str, class: &str, report: &mut ImportReport) -> Result<VehicleType, String> {
    let (length_m, accel, decel, speed_max) = defaults(class);
    let number = |name: &'static str, default: f64| Ok::<f64, String>(of.number(name)?.unwrap_or(default));
    let model = match of.get("carFollowModel") {
        None | Some("Krauss" | "KraussOrig1") => Model::Krauss,
        Some("IDM" | "IDMM" | "EIDM") => Model::Idm,
        Some(other) => {
            report.add(&format!("vehicle types of model {other}, driven by Krauss's"), 1);
            Model::Krauss
        }
    };
    let mut tau_s = number("tau", 1.0)?;
    if tau_s < 1.0 {
        report.add("vehicle types whose headway tau was raised to the step of 1 s", 1);
        tau_s = 1.0;
    }
    let (mean, stated) = speed_factor(of.get("speedFactor").unwrap_or("1"))?;
    let deviation = of.number("speedDev")?.or(stated).unwrap_or(0.1);
    let known = [
        "length",
        "minGap",
        "accel",
        "decel",
        "emergencyDecel",
        "tau",
        "sigma",
        "maxSpeed",
        "speedFactor",
        "speedDev",
        "carFollowModel",
    ];
    for (name, _) in of.iter().filter(|(name, _)| !known.contains(name) && !WITHOUT_INFLUENCE.contains(name)) {
        // Taste in lane changing is a family of parameters of SUMO's own model.
        report.add(&format!("vType attributes without effect here: {name}"), 1);
    }
    Ok(VehicleType {
        name: id.to_owned(),
        length_mm: (number("length", length_m)? * 1_000.0).round() as i32,
        min_gap_mm: (number("minGap", 2.5)? * 1_000.0).round() as i32,
        accel_mps2: number("accel", accel)? as f32,
        decel_mps2: number("decel", decel)? as f32,
        emergency_decel_mps2: number("emergencyDecel", 9.0)? as f32,
        tau_s: tau_s as f32,
        sigma: number("sigma", 0.5)? as f32,
        speed_max_mps: number("maxSpeed", speed_max)?.min(100.0) as f32,
        speed_factor_mean: mean as f32,
        speed_factor_deviation: deviation as f32,
        memory: 0.0,
        model,
        lane_change: LaneChange::Gain,
        gap_s: 2,
        is_bus: matches!(class, "bus" | "coach"),
        is_truck: matches!(class, "truck" | "trailer"),
        share: 0.0,
    })
}

/// `1.1`, `norm(1,0.1)` or `normc(1,0.1,0.2,2)`: mean and, if stated, deviation.
fn speed_factor(text: &str) -> Result<(f64, Option<f64>), String> {
    let wrong = || format!("speedFactor `{text}` is not a number or a normal distribution");
    let Some(inner) = text.strip_prefix("normc(").or_else(|| text.strip_prefix("norm(")) else {
        return Ok((text.trim().parse().map_err(|_| wrong())?, None));
    };
    let mut numbers = inner.trim_end_matches(')').split(',').map(|n| n.trim().parse::<f64>().ok());
    let (Some(Some(mean)), Some(Some(deviation))) = (numbers.next(), numbers.next()) else { return Err(wrong()) };
    Ok((mean, Some(deviation)))
}
