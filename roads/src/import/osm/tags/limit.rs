//! Speed limits as OpenStreetMap writes them.
//!
//! Upstream: [`super`]. Source: OSM wiki, Key:maxspeed, Key:maxspeed:type, Key:source:maxspeed, Key:zone:maxspeed,
//! Key:zone:traffic.

use super::country::Country;

/// Limits that are believed, km/h: below is a typing error, above is a track for racing.
const BELIEVED_KMH: std::ops::RangeInclusive<f32> = 3.0..=200.0;

/// Where a limit may stand, from the surest: the sign, then what kind of place it is.
const KEYS: [&str; 5] = ["maxspeed", "maxspeed:type", "source:maxspeed", "zone:maxspeed", "zone:traffic"];

/// The limit in one direction, km/h; `side` is `maxspeed:forward` or `maxspeed:backward`.
pub(super) fn posted_kmh<'a>(tag: &impl Fn(&str) -> Option<&'a str>, side: &str) -> Option<f32> {
    std::iter::once(side).chain(KEYS).find_map(|key| tag(key).and_then(limit_kmh))
}

/// The country that the tags of a limit name (`FI:urban`), two capitals.
pub(super) fn country_named<'a>(tag: &impl Fn(&str) -> Option<&'a str>) -> Option<[u8; 2]> {
    KEYS.into_iter().find_map(|key| {
        let (code, _) = tag(key)?.split_once(':')?;
        let code: [u8; 2] = code.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(code)
    })
}

/// A posted limit, km/h: `50`, `30 mph`, `walk`, `none`, `DE:urban`, `IT:zone30`; the lowest of several.
/// `None` for what has no fixed value (`signals`, `variable`) or is not believed.
pub fn limit_kmh(value: &str) -> Option<f32> {
    let all = value.split(';').filter_map(|one| one_limit_kmh(one.trim()));
    all.filter(|kmh| BELIEVED_KMH.contains(kmh)).reduce(f32::min)
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

/// Limits that a country's law gives a kind of road, or a zone its number (miles in Britain and the States), km/h.
fn national_kmh(country: &str, kind: &str) -> Option<f32> {
    let zone = kind.strip_prefix("zone").map_or(kind, |zone| zone.trim_start_matches(':'));
    if let Ok(number) = zone.parse::<f32>() {
        return Some(if matches!(country, "GB" | "UK" | "US") { number * 1.609_344 } else { number });
    }
    // States, as in `BE-VLG:urban`, have the country's value here.
    Country::kind_kmh(country.split('-').next()?, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_in_every_way_they_are_written() {
        for (value, kmh) in [
            ("50", Some(50.0)),
            ("50 km/h", Some(50.0)),
            ("30 mph", Some(48.28)),
            ("30mph", Some(48.28)),
            ("10 knots", Some(18.52)),
            ("walk", Some(7.0)),
            ("none", Some(130.0)),
            ("DE:urban", Some(50.0)),
            ("DE:walk", Some(7.0)),
            ("RU:urban", Some(60.0)),
            ("GB:nsl_single", Some(96.56)),
            ("GB:zone:20", Some(32.19)),
            ("FI:rural", Some(80.0)),
            ("BE-VLG:rural", Some(70.0)),
            ("IT:zone30", Some(30.0)),
            ("DE:zone:20", Some(20.0)),
            ("DE:30", Some(30.0)),
            ("XX:urban", Some(50.0)),
            ("50; 30", Some(30.0)),
            ("signals", None),
            ("", None),
            ("5000", None),
            ("255 mph", None),
            ("0", None),
            ("-50", None),
            ("NaN", None),
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
    fn the_sign_wins_over_the_kind_of_place() {
        let check = |tags: &[(&str, &str)], expected: Option<f32>| {
            let tag = |key: &str| tags.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
            assert_eq!(posted_kmh(&tag, "maxspeed:forward"), expected, "{tags:?}");
        };
        check(&[("maxspeed", "70"), ("source:maxspeed", "SE:rural"), ("maxspeed:forward", "60")], Some(60.0));
        check(&[("maxspeed", "signals"), ("maxspeed:type", "NL:motorway")], Some(130.0));
        check(&[("source:maxspeed", "FI:urban")], Some(50.0));
        check(&[("zone:maxspeed", "DE:30"), ("zone:traffic", "DE:urban")], Some(30.0));
        check(&[("zone:traffic", "RO:rural")], Some(90.0));
        check(&[("source:maxspeed", "survey")], None);
        check(&[("maxspeed:backward", "30")], None);
    }
}
