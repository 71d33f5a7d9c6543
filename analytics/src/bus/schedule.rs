//! Scheduled headways: `route,direction,headway_s` in CSV.
//!
//! Upstream: a file that the command line opened. Downstream: [`super::Buses`]. An empty direction is both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Line;

/// Most rows of a schedule.
const ROWS_MAX: usize = 10_000;

/// Scheduled headways by line, seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    by_line: BTreeMap<Line, f64>,
}

/// What is wrong with a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("the first line must be `route,direction,headway_s`; found `{found}`")]
    Header { found: String },
    #[error("line {line}: `{text}` is not route,direction,headway_s with a headway above 0 seconds")]
    Row { line: usize, text: String },
    #[error("more than {ROWS_MAX} rows")]
    TooMany,
}

impl Schedule {
    /// Reads CSV without quotes.
    ///
    /// # Errors
    /// A sentence that names the line.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate();
        let header = lines.next().map_or("", |(_, header)| header.trim());
        if header != "route,direction,headway_s" {
            return Err(ScheduleError::Header { found: header.to_owned() });
        }
        let mut by_line = BTreeMap::new();
        for (at, row) in lines.filter(|(_, row)| !row.trim().is_empty()) {
            let wrong = || ScheduleError::Row { line: at + 1, text: row.to_owned() };
            let [route, direction, headway] = row.split(',').map(str::trim).collect::<Vec<_>>()[..] else {
                return Err(wrong());
            };
            let headway_s = headway.parse::<f64>().ok().filter(|s| s.is_finite() && *s > 0.0).ok_or_else(wrong)?;
            if by_line.len() >= ROWS_MAX {
                return Err(ScheduleError::TooMany);
            }
            by_line.insert(Line { route: route.to_owned(), direction: direction.to_owned() }, headway_s);
        }
        Ok(Self { by_line })
    }

    /// The headway of a line, seconds; of both directions where its own is not said.
    pub(super) fn headway_s(&self, line: &Line) -> Option<f64> {
        let both = || Line { route: line.route.clone(), direction: String::new() };
        self.by_line.get(line).or_else(|| self.by_line.get(&both())).copied()
    }
}
