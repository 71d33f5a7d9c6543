//! Limits that law gives where no sign stands, by country.
//!
//! Upstream: the `--country` of a person, or what the extract says of itself. Downstream: [`super`] and the maker of
//! segments. Source: OSM wiki, "Default speed limits", for passenger cars in dry weather; where
//! a country's states differ (AU, BE, CA, US) one common value stands. A posted limit always wins.

use crate::segment::RoadClass;

const MPH: f32 = 1.609_344;

/// The default limits of one country, km/h.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Country {
    /// ISO 3166-1, two letters.
    pub code: &'static str,
    pub living_street: f32,
    pub urban: f32,
    pub rural: f32,
    /// Roads for motor vehicles only that are no motorways; the rural value where there is no such kind.
    pub trunk: f32,
    pub motorway: f32,
}

const fn country(code: &'static str, kmh: [f32; 5]) -> Country {
    Country { code, living_street: kmh[0], urban: kmh[1], rural: kmh[2], trunk: kmh[3], motorway: kmh[4] }
}

/// What is used for a country that is not listed: the Vienna Convention's usual values.
const ELSEWHERE: Country = country("", [20.0, 50.0, 90.0, 110.0, 130.0]);

/// Walking pace, 7 km/h, where the law says that and no figure; 130 on German motorways is advice.
const COUNTRIES: [Country; 27] = [
    country("AT", [7.0, 50.0, 100.0, 100.0, 130.0]),
    country("AU", [10.0, 50.0, 100.0, 100.0, 110.0]),
    country("BE", [20.0, 50.0, 70.0, 120.0, 120.0]),
    country("BG", [20.0, 50.0, 90.0, 120.0, 140.0]),
    country("CA", [20.0, 50.0, 80.0, 90.0, 100.0]),
    country("CH", [20.0, 50.0, 80.0, 100.0, 120.0]),
    country("CZ", [20.0, 50.0, 90.0, 110.0, 130.0]),
    country("DE", [7.0, 50.0, 100.0, 100.0, 130.0]),
    country("DK", [15.0, 50.0, 80.0, 80.0, 130.0]),
    country("ES", [20.0, 50.0, 90.0, 90.0, 120.0]),
    country("FI", [20.0, 50.0, 80.0, 80.0, 120.0]),
    country("FR", [20.0, 50.0, 80.0, 110.0, 130.0]),
    country("GB", [20.0, 30.0 * MPH, 60.0 * MPH, 70.0 * MPH, 70.0 * MPH]),
    country("GR", [20.0, 50.0, 90.0, 110.0, 130.0]),
    country("HU", [20.0, 50.0, 90.0, 110.0, 130.0]),
    country("IE", [20.0, 50.0, 80.0, 100.0, 120.0]),
    country("IT", [20.0, 50.0, 90.0, 110.0, 130.0]),
    country("NL", [15.0, 50.0, 80.0, 100.0, 130.0]),
    country("NO", [7.0, 50.0, 80.0, 80.0, 110.0]),
    country("PL", [20.0, 50.0, 90.0, 100.0, 140.0]),
    country("PT", [20.0, 50.0, 90.0, 100.0, 120.0]),
    country("RO", [20.0, 50.0, 90.0, 100.0, 130.0]),
    country("RU", [20.0, 60.0, 90.0, 90.0, 110.0]),
    country("SE", [7.0, 50.0, 70.0, 70.0, 110.0]),
    country("SK", [20.0, 50.0, 90.0, 90.0, 130.0]),
    country("UA", [20.0, 50.0, 90.0, 110.0, 130.0]),
    country("US", [20.0, 25.0 * MPH, 55.0 * MPH, 55.0 * MPH, 65.0 * MPH]),
];

impl Country {
    /// The country of a two-letter code in capitals; also `UK`, which OSM has beside `GB`.
    pub fn of(code: &str) -> Option<&'static Self> {
        let code = if code == "UK" { "GB" } else { code };
        COUNTRIES.iter().find(|country| country.code == code)
    }

    /// All codes, in order, for a sentence that names them.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        COUNTRIES.iter().map(|country| country.code)
    }

    /// The limit of a kind of road as `maxspeed=XX:kind` names it, km/h; for an unknown country the usual values.
    pub fn kind_kmh(code: &str, kind: &str) -> Option<f32> {
        let country = Self::of(code).unwrap_or(&ELSEWHERE);
        match kind {
            "living_street" | "pedestrian_zone" | "walk" => Some(country.living_street),
            "bicycle_road" => Some(30.0),
            "urban" => Some(country.urban),
            "nsl_restricted" => Some(30.0 * MPH),
            "nsl_single" => Some(60.0 * MPH),
            "nsl_dual" => Some(70.0 * MPH),
            "rural" => Some(country.rural),
            "trunk" | "motorroad" | "express" => Some(country.trunk),
            "motorway" => Some(country.motorway),
            _ => None,
        }
    }
}

/// Limit of a street that neither a sign nor its tags give, km/h.
///
/// A map rarely says where a town begins, so main streets count as urban, which they are where traffic is measured;
/// a trunk road gets no more than the rural limit, since only some are built for more and those post it;
/// residential and service streets keep what such streets usually post ([`RoadClass::default_limit_kmh`]).
pub fn default_kmh(country: Option<&Country>, class: RoadClass, is_living_street: bool) -> f32 {
    match (country, class) {
        (Some(country), _) if is_living_street => country.living_street,
        (None, _) if is_living_street => 15.0,
        (Some(country), RoadClass::Motorway) => country.motorway,
        (Some(country), RoadClass::Trunk) => country.trunk.min(country.rural),
        (Some(country), RoadClass::Primary | RoadClass::Secondary | RoadClass::Tertiary) => country.urban,
        (Some(_), RoadClass::Residential | RoadClass::Service) | (None, _) => class.default_limit_kmh(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_is_listed_once_in_order_and_grows_with_the_road() {
        assert!(COUNTRIES.is_sorted_by(|a, b| a.code < b.code));
        for c in COUNTRIES {
            assert!(c.living_street < c.urban && c.urban < c.rural && c.rural <= c.motorway, "{}", c.code);
            assert!(c.trunk >= c.rural && c.trunk <= c.motorway, "{}", c.code);
        }
    }

    #[test]
    fn the_country_decides_where_no_sign_stands() {
        let of = |code, class| default_kmh(Country::of(code), class, false);
        assert_eq!(of("DE", RoadClass::Motorway), 130.0);
        assert_eq!(of("FI", RoadClass::Motorway), 120.0);
        assert_eq!(of("RU", RoadClass::Primary), 60.0);
        assert_eq!(of("GB", RoadClass::Primary), 30.0 * MPH);
        assert_eq!(of("UK", RoadClass::Motorway), 70.0 * MPH);
        assert_eq!(of("??", RoadClass::Motorway), 110.0, "the generic value");
        assert_eq!(of("DE", RoadClass::Residential), 30.0);
        assert_eq!(default_kmh(Country::of("DE"), RoadClass::Residential, true), 7.0);
    }
}
