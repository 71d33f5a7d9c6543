//! Which column of a table is what: `id=track_id,time=time,lon=lon,lat=lat,speed=speed:kmh`.
//!
//! Upstream: a command line or a map file. Downstream: [`super::Rows`].

use super::TimeUnit;
use crate::units::SpeedUnit;

/// Our names on the left of a pair, in the order in which messages list them.
const KEYS: &str = "id, time, lon, lat, speed, heading, seq";

/// A checked column map. `id`, `time`, `lon` and `lat` are always there; a speed always has a unit.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnMap {
    pub(super) id: String,
    /// Without a unit each value is taken by its looks, see [`crate::TimeMs::parse`].
    pub(super) time: (String, Option<TimeUnit>),
    pub(super) lon: String,
    pub(super) lat: String,
    pub(super) speed: Option<(String, SpeedUnit)>,
    pub(super) heading: Option<String>,
    pub(super) seq: Option<String>,
}

/// What is wrong with a column map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    #[error("`{text}` is not a pair of our name and the file's column, as in `id=vehicle_id`")]
    NotAPair { text: String },
    #[error("`{key}` is not a name that a column map knows: {KEYS}")]
    UnknownKey { key: String },
    #[error("`{key}` is mapped twice")]
    Twice { key: &'static str },
    #[error("`{key}` is not mapped; a column map needs id, time, lon and lat")]
    Missing { key: &'static str },
    #[error("`speed={column}` does not say its unit: end it in :mps, :kmh, :mph or :kn")]
    SpeedWithoutUnit { column: String },
    #[error("`{unit}` is not a unit of speed: mps, kmh, mph, kn")]
    UnknownSpeedUnit { unit: String },
    #[error("`{unit}` is not a way to write time: s, ms, rfc3339 (or none, to go by each value's looks)")]
    UnknownTimeUnit { unit: String },
}

impl ColumnMap {
    /// Reads pairs `ours=theirs[:unit]` with commas between them.
    ///
    /// # Errors
    /// A sentence that names the pair and what is allowed.
    pub fn parse(text: &str) -> Result<Self, MapError> {
        Self::from_pairs(text.split(','))
    }

    /// Reads a map file: one pair a line, empty lines and lines that begin with `#` left out. Here a column
    /// name may hold a comma.
    ///
    /// # Errors
    /// As [`ColumnMap::parse`].
    pub fn parse_lines(text: &str) -> Result<Self, MapError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::from_pairs(text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')))
    }

    fn from_pairs<'t>(pairs: impl Iterator<Item = &'t str>) -> Result<Self, MapError> {
        let (mut id, mut time, mut lon, mut lat) = (None, None, None, None);
        let (mut speed, mut heading, mut seq) = (None, None, None);
        for pair in pairs {
            let not_a_pair = || MapError::NotAPair { text: pair.trim().to_owned() };
            let (key, column) = pair.split_once('=').ok_or_else(not_a_pair)?;
            let (key, column) = (key.trim(), column.trim());
            if column.is_empty() {
                return Err(not_a_pair());
            }
            match key {
                "id" => once("id", &mut id, column.to_owned()),
                "time" => once("time", &mut time, time_column(column)?),
                "lon" => once("lon", &mut lon, column.to_owned()),
                "lat" => once("lat", &mut lat, column.to_owned()),
                "speed" => once("speed", &mut speed, speed_column(column)?),
                "heading" => once("heading", &mut heading, column.to_owned()),
                "seq" => once("seq", &mut seq, column.to_owned()),
                _ => Err(MapError::UnknownKey { key: key.to_owned() }),
            }?;
        }
        let missing = |key| MapError::Missing { key };
        Ok(Self {
            id: id.ok_or_else(|| missing("id"))?,
            time: time.ok_or_else(|| missing("time"))?,
            lon: lon.ok_or_else(|| missing("lon"))?,
            lat: lat.ok_or_else(|| missing("lat"))?,
            speed,
            heading,
            seq,
        })
    }
}

fn once<T>(key: &'static str, slot: &mut Option<T>, value: T) -> Result<(), MapError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(MapError::Twice { key }),
    }
}

fn speed_column(column: &str) -> Result<(String, SpeedUnit), MapError> {
    let (name, unit) = column
        .rsplit_once(':')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| MapError::SpeedWithoutUnit { column: column.to_owned() })?;
    let unit = SpeedUnit::parse(unit).ok_or_else(|| MapError::UnknownSpeedUnit { unit: unit.to_owned() })?;
    Ok((name.to_owned(), unit))
}

fn time_column(column: &str) -> Result<(String, Option<TimeUnit>), MapError> {
    let Some((name, unit)) = column.rsplit_once(':').filter(|(name, _)| !name.is_empty()) else {
        return Ok((column.to_owned(), None));
    };
    let unit = match unit {
        "s" => TimeUnit::Seconds,
        "ms" => TimeUnit::Milliseconds,
        "rfc3339" => TimeUnit::Rfc3339,
        _ => return Err(MapError::UnknownTimeUnit { unit: unit.to_owned() }),
    };
    Ok((name.to_owned(), Some(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_map_files_say_the_same() {
        let line = ColumnMap::parse("id=track_id, time=t:ms ,lon=x,lat=y,speed=v:km/h,heading=dir,seq=n").unwrap();
        let file = ColumnMap::parse_lines(
            "\u{feff}# the recorder in the bus\r\nid = track_id\r\ntime=t:ms\r\n\r\nlon=x\nlat=y\nspeed=v:kmh\nheading=dir\nseq=n",
        );
        assert_eq!(file, Ok(line.clone()));
        assert_eq!(line.speed, Some(("v".to_owned(), SpeedUnit::Kmh)));
        assert_eq!(line.time, ("t".to_owned(), Some(TimeUnit::Milliseconds)));
        let file = ColumnMap::parse_lines("id=vehicle, short\ntime=t\nlon=x\nlat=y").unwrap();
        assert_eq!(file.id, "vehicle, short");
    }

    #[test]
    fn each_error_names_the_key_and_what_is_allowed() {
        let whole = "id=a,time=b,lon=c,lat=d";
        let said = |text: &str| ColumnMap::parse(text).unwrap_err().to_string();
        for (text, parts) in [
            (format!("{whole},speed=v"), ["`speed=v`", ":mph"]),
            (format!("{whole},speed=v:furlongs"), ["`furlongs`", "mps, kmh, mph, kn"]),
            (format!("{whole},velocity=v:mps"), ["`velocity`", "id, time, lon, lat, speed, heading, seq"]),
            (format!("{whole},lon=e"), ["`lon`", "twice"]),
            (format!("{whole},heading="), ["`heading=`", "id=vehicle_id"]),
            (format!("{whole},"), ["``", "id=vehicle_id"]),
            ("id=a,time=b:us,lon=c,lat=d".to_owned(), ["`us`", "s, ms, rfc3339"]),
            ("id=a,time=b,lon=c".to_owned(), ["`lat`", "id, time, lon and lat"]),
            (String::new(), ["``", "pair"]),
        ] {
            let said = said(&text);
            assert!(parts.iter().all(|part| said.contains(part)), "{text}: {said}");
        }
    }
}
