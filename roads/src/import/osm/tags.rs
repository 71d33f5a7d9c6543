//! What the tags of an OpenStreetMap way say about driving on it. Pure functions.
//!
//! Upstream: [`super`]. Source: OSM wiki, pages Key:highway, Key:access, Key:oneway, Key:lanes, Key:layer, Conditional
//! restrictions; limits: [`limit`], [`country`].

pub mod country;
pub mod limit;

use crate::segment::{RoadClass, Structure};
use country::Country;
pub use limit::limit_kmh;

/// Most lanes of one direction that are believed.
const LANES_MAX: u8 = 12;

/// Levels that are believed; OSM's own range (OSM wiki, Key:layer).
const LAYER_MAX: i8 = 5;

/// A drivable way.
#[derive(Clone, Debug, PartialEq)]
pub struct Street {
    pub class: RoadClass,
    pub name: Option<Box<str>>,
    pub structure: Structure,
    pub is_living_street: bool,
    /// In the direction of the way's nodes; at least one of the two is there.
    pub forward: Option<Direction>,
    pub backward: Option<Direction>,
    /// The country that the tags of its limit name, such as the `FI` of `FI:urban`.
    pub country_named: Option<[u8; 2]>,
    /// Tags that hold at some hours or for some vehicles only: they are not applied.
    pub conditional_tags: u8,
}

/// One direction of a way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Direction {
    /// `None` where the law decides: see [`Street::limit_mps`].
    pub posted_kmh: Option<f32>,
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
        let lanes = |side: &str, other: &str| {
            let shared = tag("lanes").and_then(lane_count);
            let rest = || Some(shared?.saturating_sub(tag(other).and_then(lane_count)?)).filter(|&n| n > 0);
            let share = || shared.map(|n| if is_forward && is_backward { (n / 2).max(1) } else { n });
            let usual = if class == RoadClass::Motorway { 2 } else { 1 };
            tag(side).and_then(lane_count).or_else(rest).or_else(share).unwrap_or(usual)
        };
        let side = |is_there: bool, [limit, own, other]: [&str; 3]| {
            is_there.then(|| Direction { posted_kmh: limit::posted_kmh(&tag, limit), lanes: lanes(own, other) })
        };
        let conditional = tags.iter().filter(|(key, _)| key.ends_with(":conditional")).count();
        Ok(Self {
            class,
            name: tag("name").or_else(|| tag("ref")).filter(|name| !name.is_empty()).map(Box::from),
            structure: structure(highway, &tag),
            is_living_street: highway == "living_street",
            forward: side(is_forward, ["maxspeed:forward", "lanes:forward", "lanes:backward"]),
            backward: side(is_backward, ["maxspeed:backward", "lanes:backward", "lanes:forward"]),
            country_named: limit::country_named(&tag),
            conditional_tags: u8::try_from(conditional).unwrap_or(u8::MAX),
        })
    }

    /// The legal limit of one of its directions: the posted one, else what the country gives such a street.
    pub fn limit_mps(&self, direction: &Direction, country: Option<&Country>) -> f32 {
        let by_law = || country::default_kmh(country, self.class, self.is_living_street);
        direction.posted_kmh.unwrap_or_else(by_law) / 3.6
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

fn structure<'a>(highway: &str, tag: &impl Fn(&str) -> Option<&'a str>) -> Structure {
    let is_built = |key| tag(key).is_some_and(|value| value != "no");
    let layer = tag("layer").and_then(|value| value.parse::<f32>().ok()).unwrap_or(0.0);
    Structure {
        is_link: highway.ends_with("_link"),
        is_roundabout: is_round(tag),
        is_bridge: is_built("bridge"),
        is_tunnel: is_built("tunnel"),
        is_bus_only: false,
        layer: (layer as i8).clamp(-LAYER_MAX, LAYER_MAX),
    }
}

fn is_round<'a>(tag: &impl Fn(&str) -> Option<&'a str>) -> bool {
    matches!(tag("junction"), Some("roundabout" | "circular"))
}

/// Whether motor traffic may use it: the most specific access tag decides; streets open to buses only are open, and
/// so are those for residents, customers and deliveries, since traffic is seen there.
fn is_open<'a>(tag: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let is_yes = |key| matches!(tag(key), Some("yes" | "designated" | "permissive" | "official"));
    let decides = ["motorcar", "motor_vehicle", "vehicle", "access"].into_iter().find_map(tag);
    // Of several values (`agricultural;forestry`) one that lets traffic in is enough.
    let is_barred = decides.is_some_and(|values| values.split(';').all(|value| is_bar(value.trim())));
    !is_barred || is_yes("bus") || is_yes("psv")
}

fn is_bar(access: &str) -> bool {
    matches!(
        access,
        "no" | "private" | "permit" | "restricted" | "agricultural" | "forestry" | "emergency" | "military"
    )
}

/// Whether it may be driven along and against the direction of its nodes.
fn directions<'a>(highway: &str, tag: &impl Fn(&str) -> Option<&'a str>) -> (bool, bool) {
    let decides = ["oneway:motorcar", "oneway:motor_vehicle", "oneway:vehicle", "oneway"].into_iter().find_map(tag);
    match decides {
        Some("yes" | "true" | "1") => (true, false),
        Some("-1" | "reverse") => (false, true),
        Some("no" | "false" | "0") => (true, true),
        // Reversible and alternating roads are open to both at some hour; anything else says nothing.
        Some("reversible" | "alternating") => (true, true),
        Some(_) | None => (true, !(is_round(tag) || highway == "motorway")),
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
            (&[("highway", "primary"), ("oneway", "yes"), ("oneway:motor_vehicle", "no")], true, true),
            (&[("highway", "primary"), ("oneway", "reversible")], true, true),
            (&[("highway", "tertiary"), ("junction", "roundabout"), ("oneway", "-1")], false, true),
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
            (&[("highway", "service"), ("access", "agricultural;forestry")], Some(LeftOut::Closed)),
            (&[("highway", "service"), ("access", "private;customers")], None),
            (&[("highway", "service"), ("vehicle", "no"), ("motorcar", "destination")], None),
            (&[("highway", "residential"), ("motor_vehicle:conditional", "no @ (Sa-Su)")], None),
            (&[("highway", "service"), ("access", "permit")], Some(LeftOut::Closed)),
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
        assert_eq!(both.forward.unwrap(), Direction { posted_kmh: Some(50.0), lanes: 3 });
        assert_eq!(both.backward.unwrap(), Direction { posted_kmh: Some(30.0), lanes: 2 });
        assert_eq!(both.name.as_deref(), Some("Πανεπιστημίου"));
        let oneway = street(&[("highway", "secondary"), ("oneway", "yes"), ("lanes", "3"), ("ref", "E75")]);
        assert_eq!(oneway.forward.unwrap().lanes, 3);
        assert_eq!(oneway.name.as_deref(), Some("E75"));
        assert_eq!(street(&[("highway", "residential"), ("lanes", "0")]).forward.unwrap().lanes, 1);
        let living = street(&[("highway", "living_street"), ("maxspeed:conditional", "10 @ wet")]);
        assert_eq!(living.limit_mps(&living.forward.unwrap(), None), 15.0 / 3.6);
        assert_eq!(living.limit_mps(&living.forward.unwrap(), Country::of("DE")), 7.0 / 3.6);
        assert_eq!(living.conditional_tags, 1);
        let named = street(&[("highway", "primary"), ("source:maxspeed", "FI:urban")]);
        assert_eq!((named.country_named, named.forward.unwrap().posted_kmh), (Some(*b"FI"), Some(50.0)));
        let uneven = street(&[("highway", "primary"), ("lanes", "3"), ("lanes:backward", "1")]);
        assert_eq!((uneven.forward.unwrap().lanes, uneven.backward.unwrap().lanes), (2, 1));
    }

    #[test]
    fn bridges_tunnels_and_ramps() {
        let check = |tags: &[(&str, &str)], expected: Structure| {
            let mut all = vec![("highway", "motorway_link")];
            all.extend_from_slice(tags);
            assert_eq!(street(&all).structure, Structure { is_link: true, ..expected }, "{tags:?}");
        };
        let plain = Structure::default();
        check(&[], plain);
        check(&[("bridge", "viaduct"), ("layer", "2")], Structure { is_bridge: true, layer: 2, ..plain });
        check(&[("tunnel", "yes"), ("layer", "-1")], Structure { is_tunnel: true, layer: -1, ..plain });
        check(&[("bridge", "no"), ("layer", "300")], Structure { layer: 5, ..plain });
        check(&[("junction", "roundabout"), ("layer", "deep")], Structure { is_roundabout: true, ..plain });
    }
}
