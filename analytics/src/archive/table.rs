//! The tables of history: where each lies, its columns, and how its rows are ordered.
//!
//! Upstream: nothing. Downstream: [`super::frame`], [`super::store`], everything that names a file.
//!
//! | table | a row is | folders below it |
//! |---|---|---|
//! | `cells_1min` | a segment in a clock minute, see [`super::cells`] | `city`, `date`, `hour` |
//! | `cells_5min` | the same, added up by five minutes | `city`, `date` |
//! | `detectors` | an interval of a loop as it was reported | `city`, `date`, `hour` |
//! | `signals` | a cycle of a phase | `city`, `date`, `hour` |
//! | `positions` | a report of a vehicle under its pseudonym of the day, trip ends left out | `city`, `date`, `hour` |
//! | `quality` | what became of one class of events stamped in a minute | `city`, `date` |

use events::TimeMs;
use serde::{Deserialize, Serialize};

use super::frame::{Frame, Kind};
use crate::fate::SourceClass;
use crate::metric::window::minute_start;

/// Columns of a table by name, in order.
pub type Columns = &'static [(&'static str, Kind)];

/// One table. Quality is one folder and three tables, since the minutes of each class are complete at their own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    #[serde(rename = "cells_1min")]
    Cells1Min,
    #[serde(rename = "cells_5min")]
    Cells5Min,
    Detectors,
    Signals,
    Positions,
    QualityPosition,
    QualityDetector,
    QualitySignal,
}

const CELLS: Columns = &[
    ("segment", Kind::Int),
    ("start_utc", Kind::Time),
    ("distance_mm", Kind::Int),
    ("time_ms", Kind::Int),
    ("delay_ms", Kind::Int),
    ("reports", Kind::Small),
    ("vehicle_minutes", Kind::Small),
    ("minutes", Kind::Small),
    ("free_flow_mmps", Kind::Small),
];

const DETECTORS: Columns = &[
    ("detector", Kind::Text),
    ("start_utc", Kind::Time),
    ("end_utc", Kind::Time),
    ("segment", Kind::MaybeInt),
    ("count", Kind::MaybeInt),
    ("occupancy", Kind::MaybeFloat),
    ("speed_mps", Kind::MaybeFloat),
];

const SIGNALS: Columns = &[
    ("signal", Kind::Text),
    ("phase", Kind::Small),
    ("start_utc", Kind::Time),
    ("end_utc", Kind::Time),
    ("is_whole", Kind::Flag),
    ("green_ms", Kind::MaybeSmall),
    ("yellow_ms", Kind::MaybeSmall),
    ("green_time_ms", Kind::Small),
    ("on_green", Kind::Small),
    ("on_yellow", Kind::Small),
    ("on_red", Kind::Small),
    ("unknown", Kind::Small),
    ("delay_ms", Kind::Int),
    ("green_occupancy", Kind::MaybeFloat),
    ("red_occupancy", Kind::MaybeFloat),
];

const POSITIONS: Columns = &[
    ("vehicle", Kind::Int),
    ("time_utc", Kind::Time),
    ("lon_deg", Kind::Real),
    ("lat_deg", Kind::Real),
    ("speed_mps", Kind::MaybeFloat),
    ("heading_deg", Kind::MaybeFloat),
];

const QUALITY: Columns = &[
    ("class", Kind::Text),
    ("start_utc", Kind::Time),
    ("received", Kind::Int),
    ("counted", Kind::Int),
    ("late", Kind::Int),
    ("quarantined", Kind::Int),
    ("unmatched", Kind::Int),
    ("segments", Kind::Small),
    ("observed_mm", Kind::Int),
    ("network_mm", Kind::Int),
];

impl Table {
    /// Every table.
    pub const ALL: [Self; 8] = [
        Self::Cells1Min,
        Self::Cells5Min,
        Self::Detectors,
        Self::Signals,
        Self::Positions,
        Self::QualityPosition,
        Self::QualityDetector,
        Self::QualitySignal,
    ];

    /// The name in the manifest and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::QualityPosition => "quality_position",
            Self::QualityDetector => "quality_detector",
            Self::QualitySignal => "quality_signal",
            _ => self.folder(),
        }
    }

    /// The folder below the archive's root.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Cells1Min => "cells_1min",
            Self::Cells5Min => "cells_5min",
            Self::Detectors => "detectors",
            Self::Signals => "signals",
            Self::Positions => "positions",
            Self::QualityPosition | Self::QualityDetector | Self::QualitySignal => "quality",
        }
    }

    /// What quality a class of events has.
    pub fn quality(class: SourceClass) -> Self {
        match class {
            SourceClass::Position => Self::QualityPosition,
            SourceClass::Detector => Self::QualityDetector,
            SourceClass::Signal => Self::QualitySignal,
        }
    }

    /// The columns of its files.
    pub fn columns(self) -> Columns {
        match self {
            Self::Cells1Min | Self::Cells5Min => CELLS,
            Self::Detectors => DETECTORS,
            Self::Signals => SIGNALS,
            Self::Positions => POSITIONS,
            Self::QualityPosition | Self::QualityDetector | Self::QualitySignal => QUALITY,
        }
    }

    /// Rows are ordered by so many of the first columns.
    pub fn keys(self) -> usize {
        match self {
            Self::Signals => 3,
            _ => 2,
        }
    }

    /// Whether a folder holds an hour; else it holds a day.
    pub fn is_hourly(self) -> bool {
        match self {
            Self::Cells1Min | Self::Detectors | Self::Signals | Self::Positions => true,
            Self::Cells5Min | Self::QualityPosition | Self::QualityDetector | Self::QualitySignal => false,
        }
    }

    /// The moment that says to which minute each row belongs, milliseconds: intervals and cycles belong to the one in
    /// which they end.
    pub fn moments(self, rows: &Frame) -> Vec<i64> {
        match self {
            Self::Detectors => rows.times(2).iter().map(|end_ms| end_ms - 1).collect(),
            Self::Signals => rows.times(3).iter().map(|end_ms| end_ms - 1).collect(),
            _ => rows.times(1).to_vec(),
        }
    }

    /// The folder of the rows of a moment, below the archive's root.
    pub fn partition(self, city: &str, at_ms: i64) -> String {
        let at = TimeMs(at_ms).rfc3339();
        let (folder, city) = (self.folder(), escaped(city));
        if self.is_hourly() {
            format!("{folder}/city={city}/date={}/hour={}", &at[..10], &at[11..13])
        } else {
            format!("{folder}/city={city}/date={}", &at[..10])
        }
    }

    /// Begin and end of what the folder of a moment holds, milliseconds.
    pub fn span_ms(self, at_ms: i64) -> (i64, i64) {
        let length_ms = if self.is_hourly() { HOUR_MS } else { DAY_MS };
        let from_ms = at_ms.div_euclid(length_ms) * length_ms;
        (from_ms, from_ms + length_ms)
    }
}

/// An hour, and a day of UTC, milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// The clock minute of an interval that ends at a moment.
pub fn minute_of_end(end_ms: i64) -> i64 {
    minute_start(end_ms - 1)
}

/// A value in the name of a folder, as Hive writes it: what is not a letter, a digit, `_`, `-` or `.` as `%` and two
/// hexadecimal digits.
pub fn escaped(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    value.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_of_utc_and_safe() {
        let at_ms = TimeMs::parse("2026-10-25T00:59:59Z").unwrap().0;
        assert_eq!(Table::Cells1Min.partition("athens", at_ms), "cells_1min/city=athens/date=2026-10-25/hour=00");
        assert_eq!(Table::QualitySignal.partition("São/../x", at_ms), "quality/city=S%C3%A3o%2F..%2Fx/date=2026-10-25");
        let (from_ms, to_ms) = Table::Detectors.span_ms(at_ms);
        assert_eq!((at_ms - from_ms, to_ms - from_ms), (3_599_000, HOUR_MS));
    }

    #[test]
    fn what_ends_at_a_full_minute_belongs_to_the_minute_before() {
        assert_eq!(minute_of_end(120_000), 60_000);
        assert_eq!(minute_of_end(120_001), 120_000);
    }
}
