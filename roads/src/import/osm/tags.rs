//! What the tags of an OpenStreetMap way say about driving on it. Pure functions.
//!
//! Upstream: [`super`]. Source: OSM wiki, pages Key:highway, Key:access, Key:oneway, Key:maxspeed, Key:lanes.

use crate::segment::RoadClass;

/// Most lanes of one direction that are believed.
const LANES_MAX: u8 = 12;

/// Limits that are believed, km/h: below is a typing error, above is a track for racing.
const LIMIT_KMH: std::ops::RangeInclusive<f32> = 3.0..=200.0;

/// A drivable way.
#[derive(Clone, Debug, PartialEq)]
pub struct Street {
    pub class: RoadClass,
    pub name: Option<String>,
    /// In the direction of the way's nodes; at least one of the two is there.
    pub forward: Option<Direction>,
    pub backward: Option<Direction>,
}

/// One direction of a way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Direction {
    pub limit_mps: f32,
    pub lanes: u8,
}

/// Why a way is not a street for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// No `highway` at all: a building, a river, a border.
    NotAHighway,
    /// A footway, a cycle path, a track, a road under construction.
    NotForCars,
    /// Driveways, parking aisles and the like: they would catch fixes of the street beside them.
    Yard,
    /// An `area`.
    Area,
    /// Closed to the public.
    Closed,
}

impl LeftOut {
    /// As it stands in the import report.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAHighway => "ways left out: not a highway",
            Self::NotForCars => "ways left out: not for motor vehicles",
            Self::Yard => "ways left out: driveways and parking aisles",
            Self::Area => "ways left out: areas",
            Self::Closed => "ways left out: no public access",
        }
    }
}

impl Street {
    /// Reads the tags of a way.
    ///
    /// # Errors
    /// Why it is left out.
    pub fn from_tags(tags: &[(&str, &str)]) -> Result<Self, LeftOut> {
        let tag = |key: &str| tags.iter().find(|(k, _)| *k == key).map(|(_, value)| value.trim());
        let highway = tag("highway").ok_or(LeftOut::NotAHighway)?;
        let class = class(highway).ok_or(LeftOut::NotForCars)?;
        if tag("area") == Some("yes") {
            return Err(LeftOut::Area);
        }
        if matches!(tag("service"), Some("driveway" | "parking_aisle" | "drive-through" | "emergency_access")) {
            return Err(LeftOut::Yard);
        }
        if !is_open(&tag) {
            return Err(LeftOut::Closed);
        }
        let (is_forward, is_backward) = directions(highway, &tag);
        let default_kmh = if highway == "living_street" { 15.0 } else { class.default_limit_kmh() };
        let limit = |side: &str| {
            let own = tag(side).and_then(limit_kmh);
            let both = || tag("maxspeed").and_then(limit_kmh);
            let by_type = || tag("maxspeed:type").or_else(|| tag("source:maxspeed")).and_then(limit_kmh);
            own.or_else(both).or_else(by_type).unwrap_or(default_kmh) / 3.6
        };
        let is_oneway = !(is_forward && is_backward);
        let lanes = |side: &str| {
            let own = tag(side).and_then(lane_count);
            let shared = || tag("lanes").and_then(lane_count).map(|n| if is_oneway { n } else { (n / 2).max(1) });
            own.or_else(shared).unwrap_or(if class == RoadClass::Motorway { 2 } else { 1 })
        };
        Ok(Self {
            class,
            name: tag("name").or_else(|| tag("ref")).filter(|name| !name.is_empty()).map(str::to_owned),
            forward: is_forward
                .then(|| Direction { limit_mps: limit("maxspeed:forward"), lanes: lanes("lanes:forward") }),
            backward: is_backward
                .then(|| Direction { limit_mps: limit("maxspeed:backward"), lanes: lanes("lanes:backward") }),
        })
    }
}

/// The class of a drivable `highway` value. Links belong to the road that they lead to; an unclassified road is a
/// through road of the lowest rank, so it stands with tertiary, not with residential streets.
pub fn class(highway: &str) -> Option<RoadClass> {
    match highway.strip_suffix("_link").unwrap_or(highway) {
        "motorway" => Some(RoadClass::Motorway),
        "trunk" => Some(RoadClass::Trunk),
        "primary" => Some(RoadClass::Primary),
        "secondary" => Some(RoadClass::Secondary),
        "tertiary" | "unclassified" => Some(RoadClass::Tertiary),
        "residential" | "living_street" | "road" => Some(RoadClass::Residential),
        "service" => Some(RoadClass::Service),
        _ => None,
    }
}

/// A posted limit, km/h: `50`, `30 mph`, `walk`, `none`, `DE:urban`, `IT:zone30`; the lowest of several.
/// `None` for what has no fixed value (`signals`) or is not believed.
pub fn limit_kmh(value: &str) -> Option<f32> {
    let all = value.split(';').filter_map(|one| one_limit_kmh(one.trim()));
    all.filter(|kmh| LIMIT_KMH.contains(kmh)).reduce(f32::min)
}

fn one_limit_kmh(value: &str) -> Option<f32> {
    match value {
        "walk" => return Some(7.0),
        // Without a limit, 130 km/h is the advised speed of German motorways.
        "none" => return Some(130.0),
        _ => {}
    }
    if let Some((country, kind)) = value.split_once(':') {
        return national_kmh(country, kind);
    }
    let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let number: f32 = value[..digits].parse().ok()?;
    match value[digits..].trim() {
        "" | "km/h" | "kmh" | "kph" => Some(number),
        "mph" => Some(number * 1.609_344),
        "knots" => Some(number * 1.852),
        _ => None,
    }
}

/// Limits that a country's law gives a kind of road (OSM wiki, "Default speed limits"), km/h.
fn national_kmh(country: &str, kind: &str) -> Option<f32> {
    let kind = kind.strip_prefix("zone").map_or(kind, |zone| zone.trim_start_matches(':'));
    if let Ok(kmh) = kind.parse() {
        return Some(kmh);
    }
    let is_british = matches!(country, "GB" | "UK");
    match kind {
        "living_street" | "pedestrian_zone" => Some(if country == "AT" || country == "DE" { 7.0 } else { 20.0 }),
        "bicycle_road" => Some(30.0),
        "urban" if is_british => Some(48.3),
        "urban" => Some(50.0),
        "nsl_restricted" => Some(48.3),
        "nsl_single" => Some(96.6),
        "nsl_dual" => Some(112.7),
        "rural" => Some(match country {
            "DE" | "AT" | "PL" => 100.0,
            "FI" | "FR" | "CH" | "NO" | "DK" => 80.0,
            _ => 90.0,
        }),
        "trunk" => Some(if country == "CH" { 100.0 } else { 110.0 }),
        "motorway" if is_british => Some(112.7),
        "motorway" => Some(match country {
            "CH" | "BE" | "ES" | "PT" | "FI" => 120.0,
            "PL" | "BG" => 140.0,
            "NO" | "SE" => 110.0,
            _ => 130.0,
        }),
        _ => None,
    }
}

/// Whether motor traffic may use it: the most specific access tag decides; streets open to buses only are open.
fn is_open<'a>(tag: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let is_yes = |key| matches!(tag(key), Some("yes" | "designated" | "permissive" | "official"));
    let decides = ["motorcar", "motor_vehicle", "vehicle", "access"].into_iter().find_map(tag);
    let is_barred = matches!(decides, Some("no" | "private" | "agricultural" | "forestry" | "emergency" | "military"));
    !is_barred || is_yes("bus") || is_yes("psv")
}

/// Whether it may be driven along and against the direction of its nodes.
fn directions<'a>(highway: &str, tag: &impl Fn(&str) -> Option<&'a str>) -> (bool, bool) {
    let decides = tag("oneway:motor_vehicle").or_else(|| tag("oneway:vehicle")).or_else(|| tag("oneway"));
    match decides {
        Some("yes" | "true" | "1") => (true, false),
        Some("-1" | "reverse") => (false, true),
        Some("no" | "false" | "0") => (true, true),
        // Reversible and alternating roads are open to both at some hour; anything else says nothing.
        Some("reversible" | "alternating") => (true, true),
        Some(_) | None => {
            let is_round = matches!(tag("junction"), Some("roundabout" | "circular"));
            (true, !(is_round || highway == "motorway"))
        }
    }
}

fn lane_count(value: &str) -> Option<u8> {
    let first = value.split([';', '|']).next()?.trim();
    // Half lanes are written for streets where two cars barely pass.
    let count: f32 = first.parse().ok()?;
    (1.0..=f32::from(LANES_MAX)).contains(&count).then_some(count as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn street(tags: &[(&str, &str)]) -> Street {
        Street::from_tags(tags).unwrap()
    }

    #[test]
    fn limits_in_every_way_they_are_written() {
        for (value, kmh) in [
            ("50", Some(50.0)),
            ("50 km/h", Some(50.0)),
            ("30 mph", Some(48.28)),
            ("30mph", Some(48.28)),
            ("walk", Some(7.0)),
            ("none", Some(130.0)),
            ("DE:urban", Some(50.0)),
            ("GB:nsl_single", Some(96.6)),
            ("FI:rural", Some(80.0)),
            ("IT:zone30", Some(30.0)),
            ("DE:zone:20", Some(20.0)),
            ("50; 30", Some(30.0)),
            ("signals", None),
            ("", None),
            ("5000", None),
            ("0", None),
            ("XX:unheard", None),
            ("50 bananas", None),
        ] {
            let read = limit_kmh(value);
            let same = match (read, kmh) {
                (Some(a), Some(b)) => (a - b).abs() < 0.01,
                (a, b) => a == b,
            };
            assert!(same, "{value}: {read:?}");
        }
    }

    #[test]
    fn one_way_by_tag_by_roundabout_and_by_motorway() {
        for (tags, along, against) in [
            (&[("highway", "primary")][..], true, true),
            (&[("highway", "primary"), ("oneway", "yes")], true, false),
            (&[("highway", "primary"), ("oneway", "true")], true, false),
            (&[("highway", "primary"), ("oneway", "-1")], false, true),
            (&[("highway", "tertiary"), ("junction", "roundabout")], true, false),
            (&[("highway", "motorway")], true, false),
            (&[("highway", "motorway_link")], true, true),
            (&[("highway", "motorway"), ("oneway", "no")], true, true),
        ] {
            let street = street(tags);
            assert_eq!((street.forward.is_some(), street.backward.is_some()), (along, against), "{tags:?}");
        }
    }

    #[test]
    fn who_is_left_out_and_why() {
        for (tags, expected) in [
            (&[("building", "yes")][..], Some(LeftOut::NotAHighway)),
            (&[("highway", "footway")], Some(LeftOut::NotForCars)),
            (&[("highway", "track")], Some(LeftOut::NotForCars)),
            (&[("highway", "construction")], Some(LeftOut::NotForCars)),
            (&[("highway", "service"), ("service", "parking_aisle")], Some(LeftOut::Yard)),
            (&[("highway", "service"), ("area", "yes")], Some(LeftOut::Area)),
            (&[("highway", "service"), ("access", "private")], Some(LeftOut::Closed)),
            (&[("highway", "service"), ("access", "no"), ("motor_vehicle", "yes")], None),
            (&[("highway", "primary"), ("motor_vehicle", "no")], Some(LeftOut::Closed)),
            (&[("highway", "primary"), ("motor_vehicle", "no"), ("psv", "yes")], None),
            (&[("highway", "residential"), ("access", "destination")], None),
        ] {
            assert_eq!(Street::from_tags(tags).err(), expected, "{tags:?}");
        }
    }

    #[test]
    fn lanes_and_limits_by_direction() {
        let both = street(&[
            ("highway", "primary"),
            ("lanes", "5"),
            ("lanes:forward", "3"),
            ("maxspeed", "50"),
            ("maxspeed:backward", "30"),
            ("name", "Πανεπιστημίου"),
        ]);
        assert_eq!(both.forward.unwrap(), Direction { limit_mps: 50.0 / 3.6, lanes: 3 });
        assert_eq!(both.backward.unwrap(), Direction { limit_mps: 30.0 / 3.6, lanes: 2 });
        assert_eq!(both.name.as_deref(), Some("Πανεπιστημίου"));
        let oneway = street(&[("highway", "secondary"), ("oneway", "yes"), ("lanes", "3"), ("ref", "E75")]);
        assert_eq!(oneway.forward.unwrap().lanes, 3);
        assert_eq!(oneway.name.as_deref(), Some("E75"));
        assert_eq!(street(&[("highway", "residential"), ("lanes", "0")]).forward.unwrap().lanes, 1);
        assert_eq!(street(&[("highway", "living_street")]).forward.unwrap().limit_mps, 15.0 / 3.6);
    }
}
