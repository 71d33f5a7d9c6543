//! Corridors and zones as a person draws them: TOML or GeoJSON.
//!
//! | file | holds |
//! |---|---|
//! | corridors, `.toml` | `[[corridor]]` with `name` and `segments`, a list of segment ids in driving order |
//! | corridors, GeoJSON | features with the properties `name` and `segments`, the same list; their geometry is not looked at |
//! | zones, GeoJSON | features of Polygon or MultiPolygon (RFC 7946) with the property `name` |
//!
//! A zone holds the segments whose middle lies in it by the even-odd rule, so holes are left out, and zones may overlap.
//! A corridor need not be connected: two streets that a planner calls one are one. Upstream: the command line.
//! Downstream: [`super::Areas`]. A file of a person is read whole, up to [`FILE_BYTES_MAX`].

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use roads::{Network, SegmentId, SegmentIndex};
use serde::Deserialize;

use super::{Area, AreaKind, CORRIDORS_MAX, ZONES_MAX};

/// Largest file, bytes.
pub const FILE_BYTES_MAX: u64 = 32 << 20;

/// Why a file of corridors or zones cannot be used; each is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum AreaError {
    #[error("{} cannot be read: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{} is larger than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("{} is not what is wanted: {what}", path.display())]
    Syntax { path: PathBuf, what: String },
    #[error("{} holds {found} areas: at most {most} can be watched", path.display())]
    TooMany { path: PathBuf, found: usize, most: usize },
    #[error("{}: two areas are called `{name}`", path.display())]
    SameName { path: PathBuf, name: String },
    #[error("{}: `{name}` names segment `{id}`, which is not on this network", path.display())]
    Unknown { path: PathBuf, name: String, id: String },
    #[error("{}: `{name}` holds no segment of this network", path.display())]
    Empty { path: PathBuf, name: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CorridorFile {
    corridor: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    segments: Vec<String>,
}

#[derive(Deserialize)]
struct Collection<P> {
    features: Vec<Feature<P>>,
}

#[derive(Deserialize)]
struct Feature<P> {
    properties: P,
    geometry: Option<Geometry>,
}

#[derive(Deserialize)]
struct Drawn {
    name: String,
}

/// Other geometries are refused by what serde says of them.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Geometry {
    Polygon { coordinates: Vec<Ring> },
    MultiPolygon { coordinates: Vec<Vec<Ring>> },
}

/// Lon, lat, degrees, and perhaps a height.
type Ring = Vec<Vec<f64>>;

#[derive(Deserialize)]
struct Listed {
    name: String,
    segments: Vec<String>,
}

/// Reads corridors; a name that ends in `.toml` is TOML, everything else GeoJSON.
///
/// # Errors
/// [`AreaError`].
pub fn corridors(path: &Path, network: &Network) -> Result<Vec<Area>, AreaError> {
    let text = text(path)?;
    let named: Vec<Named> = if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) {
        toml::from_str::<CorridorFile>(&text).map_err(|e| syntax(path, &e.message()))?.corridor
    } else {
        // Their geometry may be of any kind: it is only for people to look at.
        #[derive(Deserialize)]
        struct Only {
            properties: Listed,
        }
        #[derive(Deserialize)]
        struct Lines {
            features: Vec<Only>,
        }
        let read: Lines = serde_json::from_str(&text).map_err(|e| syntax(path, &e))?;
        let named = |f: Only| Named { name: f.properties.name, segments: f.properties.segments };
        read.features.into_iter().map(named).collect()
    };
    let area = |Named { name, segments }: Named| {
        let unknown = |id: &str| AreaError::Unknown { path: path.into(), name: name.clone(), id: id.to_owned() };
        let find =
            |id: &String| id.parse::<SegmentId>().ok().and_then(|id| network.by_id(id)).ok_or_else(|| unknown(id));
        let segments = segments.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        Ok(Area::new(AreaKind::Corridor, name, segments, network))
    };
    checked(path, named.into_iter().map(area).collect::<Result<_, _>>()?, CORRIDORS_MAX)
}

/// Reads zones.
///
/// # Errors
/// [`AreaError`].
pub fn zones(path: &Path, network: &Network) -> Result<Vec<Area>, AreaError> {
    let read: Collection<Drawn> = serde_json::from_str(&text(path)?).map_err(|e| syntax(path, &e))?;
    let middles: Vec<(SegmentIndex, [f64; 2])> = network
        .indices()
        .map(|at| {
            let middle = network.place(at, network.segment(at).length_m / 2.0);
            (at, [middle.lon_deg(), middle.lat_deg()])
        })
        .collect();
    let area = |feature: Feature<Drawn>| {
        let rings: Vec<Ring> = match feature.geometry {
            Some(Geometry::Polygon { coordinates }) => coordinates,
            Some(Geometry::MultiPolygon { coordinates }) => coordinates.into_iter().flatten().collect(),
            None => Vec::new(),
        };
        let inside = middles.iter().filter(|(_, at)| is_within(&rings, *at)).map(|(segment, _)| *segment).collect();
        Area::new(AreaKind::Zone, feature.properties.name, inside, network)
    };
    checked(path, read.features.into_iter().map(area).collect(), ZONES_MAX)
}

fn text(path: &Path) -> Result<String, AreaError> {
    let io = |error| AreaError::Io { path: path.into(), error };
    let mut text = String::new();
    let mut file = File::open(path).map_err(io)?.take(FILE_BYTES_MAX + 1);
    file.read_to_string(&mut text).map_err(io)?;
    if text.len() as u64 > FILE_BYTES_MAX { Err(AreaError::TooLarge { path: path.into() }) } else { Ok(text) }
}

fn syntax(path: &Path, error: &dyn std::fmt::Display) -> AreaError {
    AreaError::Syntax { path: path.into(), what: error.to_string() }
}

fn checked(path: &Path, areas: Vec<Area>, most: usize) -> Result<Vec<Area>, AreaError> {
    if areas.len() > most {
        return Err(AreaError::TooMany { path: path.into(), found: areas.len(), most });
    }
    let mut names = HashSet::new();
    for area in &areas {
        if area.segments.is_empty() {
            return Err(AreaError::Empty { path: path.into(), name: area.name.clone() });
        }
        if !names.insert(&area.name) {
            return Err(AreaError::SameName { path: path.into(), name: area.name.clone() });
        }
    }
    Ok(areas)
}

/// Even-odd rule over all rings: a line to the east crosses the border an odd number of times.
fn is_within(rings: &[Ring], [x, y]: [f64; 2]) -> bool {
    let edges = rings.iter().flat_map(|ring| {
        let ends = ring.iter().zip(ring.iter().cycle().skip(1));
        ends.filter_map(|(a, b)| Some([*a.first()?, *a.get(1)?, *b.first()?, *b.get(1)?]))
    });
    let crossed = edges.filter(|&[ax, ay, bx, by]| (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax);
    crossed.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;

    fn small() -> Network {
        city(&CityPlan { blocks_x: 3, blocks_y: 3, ..CityPlan::default() })
    }

    fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn corridors_come_from_both_kinds_of_file() {
        let network = small();
        let (a, b) = (network.segments()[4].id, network.segments()[2].id);
        let toml = format!("[[corridor]]\nname = \"East road\"\nsegments = [\"{a}\", \"{b}\", \"{a}\"]\n");
        let json = format!(
            r#"{{"type": "FeatureCollection", "features": [{{"type": "Feature", "geometry": {{"type": "LineString",
            "coordinates": [[1, 2], [3, 4]]}}, "properties": {{"name": "East road", "segments": ["{a}", "{b}"]}}}}]}}"#
        );
        for (name, text) in [("c.toml", toml), ("c.geojson", json)] {
            let (_folder, path) = file(name, &text);
            let read = corridors(&path, &network).unwrap();
            assert_eq!(read.len(), 1);
            assert_eq!((read[0].name.as_str(), read[0].kind), ("East road", AreaKind::Corridor));
            assert_eq!(read[0].segments, [SegmentIndex(4), SegmentIndex(2)], "in the order of the file, each once");
        }
    }

    #[test]
    fn a_zone_holds_the_middles_inside_and_not_those_in_its_hole() {
        let network = small();
        let [w, s, e, n] = network.bbox();
        let ring = |w, s, e, n| format!("[[{w}, {s}], [{e}, {s}], [{e}, {n}], [{w}, {n}], [{w}, {s}]]");
        let (x, y) = ((w + e) / 2.0, (s + n) / 2.0);
        let (dx, dy) = ((e - w) / 6.0, (n - s) / 6.0);
        let outer = ring(w - 1.0, s - 1.0, e + 1.0, n + 1.0);
        let hole = ring(x - dx, y - dy, x + dx, y + dy);
        let drawn = |rings: &str| {
            format!(
                r#"{{"features": [{{"properties": {{"name": "z"}}, "geometry": {{"type": "Polygon", "coordinates": [{rings}]}}}}]}}"#
            )
        };
        let (_folder, path) = file("z.geojson", &drawn(&outer));
        let whole = zones(&path, &network).unwrap();
        assert_eq!(whole[0].segments.len(), network.segments().len());
        let (_folder, path) = file("z.geojson", &drawn(&format!("{outer}, {hole}")));
        let holed = zones(&path, &network).unwrap();
        assert!(holed[0].segments.len() < whole[0].segments.len() && !holed[0].segments.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let network = small();
        let id = network.segments()[0].id;
        let far = r#"{"features": [{"properties": {"name": "far"}, "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}}]}"#;
        let point =
            r#"{"features": [{"properties": {"name": "p"}, "geometry": {"type": "Point", "coordinates": [1, 2]}}]}"#;
        let twice = format!("[[corridor]]\nname = \"a\"\nsegments = [\"{id}\"]\n").repeat(2);
        for (name, text, says) in [
            ("c.toml", "[[corridor]]\nname = \"a\"\nsegments = [\"ffffffffffffffff\"]\n", "`ffffffffffffffff`"),
            ("c.toml", "[[corridor]]\nname = \"a\"\nsegments = []\n", "`a` holds no segment"),
            ("c.toml", "[[corridor]]\nname = \"a\"\nstreet = \"b\"\n", "street"),
            ("c.toml", twice.as_str(), "two areas are called `a`"),
            ("c.json", "{", "EOF"),
        ] {
            let (_folder, path) = file(name, text);
            let sentence = corridors(&path, &network).unwrap_err().to_string();
            assert!(sentence.contains(says), "{sentence}");
        }
        for (text, says) in [(far, "`far` holds no segment"), (point, "Point"), ("[]", "not what is wanted")] {
            let (_folder, path) = file("z.geojson", text);
            let sentence = zones(&path, &network).unwrap_err().to_string();
            assert!(sentence.contains(says), "{sentence}");
        }
    }
}
