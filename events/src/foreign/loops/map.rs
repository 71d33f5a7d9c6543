//! Which column of a table of loops is what: `id==6005,end=timestamp,interval=300,occupancy=value:percent`.
//!
//! Upstream: a command line. Downstream: [`super::Rows`].

use crate::foreign::zone::{DateOrder, Zone};
use crate::units::SpeedUnit;

/// Our names on the left of a pair, in the order in which messages list them.
const KEYS: &str = "id, start, end, interval, count, occupancy, speed, observed, zone";

/// Longest interval, seconds: a day.
const INTERVAL_S_MAX: u32 = 86_400;

/// A checked map.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopMap {
    pub(super) id: Id,
    pub(super) time: String,
    pub(super) clock: Clock,
    pub(super) edge: Edge,
    pub(super) interval_ms: i64,
    pub(super) zone: Zone,
    pub(super) count: Option<String>,
    pub(super) occupancy: Option<(String, OccupancyUnit)>,
    pub(super) speed: Option<(String, SpeedUnit)>,
    /// Percent of the interval that was measured and not filled in.
    pub(super) observed: Option<String>,
}

/// Where a detector's name comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Id {
    Column(String),
    /// A file of one detector.
    Constant(String),
}

/// How the time column is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Clock {
    Local(DateOrder),
    Epoch { ms_per_unit: f64 },
}

/// Whether the time column is the beginning of the interval or its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Edge {
    Start,
    End,
}

/// How occupancy is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OccupancyUnit {
    Percent,
    Fraction,
}

impl OccupancyUnit {
    /// The share that one of this unit is.
    pub(super) fn share(self) -> f64 {
        match self {
            Self::Percent => 0.01,
            Self::Fraction => 1.0,
        }
    }
}

/// What is wrong with a map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoopMapError {
    #[error("`{text}` is not a pair of our name and the file's column, as in `count=flow` (or `id==6005`, a constant)")]
    NotAPair { text: String },
    #[error("`{key}` is not a name that a map of loops knows: {KEYS}")]
    UnknownKey { key: String },
    #[error("`{key}` is said twice")]
    Twice { key: &'static str },
    #[error("`{key}` is not said; a map of loops needs id, start or end, interval, and one of count, occupancy, speed")]
    Missing { key: &'static str },
    #[error("start and end are both said; one of them and the interval are enough")]
    BothEdges,
    #[error("`{text}` is not a whole number of seconds from 1 to {INTERVAL_S_MAX}")]
    Interval { text: String },
    #[error("`{column}` does not say its unit: end it in :percent or :fraction")]
    OccupancyUnit { column: String },
    #[error("`{column}` does not say its unit: end it in :mps, :kmh, :mph or :kn")]
    SpeedUnit { column: String },
    #[error("`{unit}` is not a way to write time: dmy, mdy, s, ms (or none, for 2016-01-04 00:05)")]
    TimeUnit { unit: String },
    #[error("`{zone}` is not a time zone, such as America/Los_Angeles, UTC or -08:00")]
    Zone { zone: String },
}

/// The pairs as they were said.
#[derive(Default)]
struct Said {
    id: Option<Id>,
    start: Option<(String, Clock)>,
    end: Option<(String, Clock)>,
    interval_ms: Option<i64>,
    zone: Option<Zone>,
    count: Option<String>,
    occupancy: Option<(String, OccupancyUnit)>,
    speed: Option<(String, SpeedUnit)>,
    observed: Option<String>,
}

impl LoopMap {
    /// Reads pairs `ours=theirs[:unit]` with commas between them.
    ///
    /// # Errors
    /// A sentence that names the pair and what is allowed.
    pub fn parse(text: &str) -> Result<Self, LoopMapError> {
        Said::default().with(text)?.map()
    }

    /// PeMS' 5-minute flow of one lane as its web page gives it (day first, the beginning of the interval, California's
    /// time); `text` must say the `id`, since the file does not.
    ///
    /// # Errors
    /// As [`LoopMap::parse`].
    pub fn pems(text: &str) -> Result<Self, LoopMapError> {
        let preset = Said {
            start: Some(("5 Minutes".into(), Clock::Local(DateOrder::DayFirst))),
            interval_ms: Some(300_000),
            zone: Zone::parse("America/Los_Angeles"),
            count: Some("Lane 1 Flow (Veh/5 Minutes)".into()),
            observed: Some("% Observed".into()),
            ..Said::default()
        };
        let own = Said::default().with(text)?;
        Said {
            id: own.id,
            start: if own.end.is_some() { None } else { own.start.or(preset.start) },
            end: own.end,
            interval_ms: own.interval_ms.or(preset.interval_ms),
            zone: own.zone.or(preset.zone),
            count: own.count.or(preset.count),
            occupancy: own.occupancy,
            speed: own.speed,
            observed: own.observed.or(preset.observed),
        }
        .map()
    }
}

impl Said {
    fn with(mut self, text: &str) -> Result<Self, LoopMapError> {
        for pair in text.split(',') {
            let not_a_pair = || LoopMapError::NotAPair { text: pair.trim().to_owned() };
            let (key, column) = pair.split_once('=').ok_or_else(not_a_pair)?;
            let (key, column) = (key.trim(), column.trim());
            if column.trim_start_matches('=').is_empty() {
                return Err(not_a_pair());
            }
            match key {
                "id" => once(
                    "id",
                    &mut self.id,
                    match column.strip_prefix('=') {
                        Some(constant) => Id::Constant(constant.to_owned()),
                        None => Id::Column(column.to_owned()),
                    },
                ),
                "start" => once("start", &mut self.start, clock(column)?),
                "end" => once("end", &mut self.end, clock(column)?),
                "interval" => once("interval", &mut self.interval_ms, interval_ms(column)?),
                "zone" => {
                    let zone = Zone::parse(column);
                    let zone = zone.ok_or_else(|| LoopMapError::Zone { zone: column.to_owned() })?;
                    once("zone", &mut self.zone, zone)
                }
                "count" => once("count", &mut self.count, column.to_owned()),
                "occupancy" => once("occupancy", &mut self.occupancy, occupancy(column)?),
                "speed" => once("speed", &mut self.speed, speed(column)?),
                "observed" => once("observed", &mut self.observed, column.to_owned()),
                _ => Err(LoopMapError::UnknownKey { key: key.to_owned() }),
            }?;
        }
        Ok(self)
    }

    fn map(self) -> Result<LoopMap, LoopMapError> {
        let missing = |key| LoopMapError::Missing { key };
        let (edge, (time, clock)) = match (self.start, self.end) {
            (Some(_), Some(_)) => return Err(LoopMapError::BothEdges),
            (Some(start), None) => (Edge::Start, start),
            (None, Some(end)) => (Edge::End, end),
            (None, None) => return Err(missing("start")),
        };
        if self.count.is_none() && self.occupancy.is_none() && self.speed.is_none() {
            return Err(missing("count"));
        }
        Ok(LoopMap {
            id: self.id.ok_or_else(|| missing("id"))?,
            time,
            clock,
            edge,
            interval_ms: self.interval_ms.ok_or_else(|| missing("interval"))?,
            zone: self.zone.unwrap_or_else(Zone::utc),
            count: self.count,
            occupancy: self.occupancy,
            speed: self.speed,
            observed: self.observed,
        })
    }
}

fn once<T>(key: &'static str, slot: &mut Option<T>, value: T) -> Result<(), LoopMapError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(LoopMapError::Twice { key }),
    }
}

fn clock(column: &str) -> Result<(String, Clock), LoopMapError> {
    let Some((name, unit)) = column.rsplit_once(':').filter(|(name, _)| !name.is_empty()) else {
        return Ok((column.to_owned(), Clock::Local(DateOrder::YearFirst)));
    };
    let clock = match unit {
        "dmy" => Clock::Local(DateOrder::DayFirst),
        "mdy" => Clock::Local(DateOrder::MonthFirst),
        "s" => Clock::Epoch { ms_per_unit: 1_000.0 },
        "ms" => Clock::Epoch { ms_per_unit: 1.0 },
        _ => return Err(LoopMapError::TimeUnit { unit: unit.to_owned() }),
    };
    Ok((name.to_owned(), clock))
}

fn interval_ms(text: &str) -> Result<i64, LoopMapError> {
    let seconds = text.parse::<u32>().ok().filter(|seconds| (1..=INTERVAL_S_MAX).contains(seconds));
    seconds.map(|seconds| i64::from(seconds) * 1_000).ok_or_else(|| LoopMapError::Interval { text: text.to_owned() })
}

fn occupancy(column: &str) -> Result<(String, OccupancyUnit), LoopMapError> {
    let unit = column.rsplit_once(':').and_then(|(name, unit)| match unit {
        "percent" => Some((name.to_owned(), OccupancyUnit::Percent)),
        "fraction" => Some((name.to_owned(), OccupancyUnit::Fraction)),
        _ => None,
    });
    unit.ok_or_else(|| LoopMapError::OccupancyUnit { column: column.to_owned() })
}

fn speed(column: &str) -> Result<(String, SpeedUnit), LoopMapError> {
    let unit = column.rsplit_once(':').and_then(|(name, unit)| Some((name.to_owned(), SpeedUnit::parse(unit)?)));
    unit.ok_or_else(|| LoopMapError::SpeedUnit { column: column.to_owned() })
}
