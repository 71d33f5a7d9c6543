//! The calendar of bottlenecks: where it jammed, on which days, for how long.
//!
//! Upstream: [`super::profile::day`], which finds them day by day with the live rule. Downstream: the API,
//! `arterial report bottlenecks`.
//!
//! A day's minutes are those in which the bottleneck was sustained (5 of the last 7 intervals of five minutes, Chen,
//! Skabardonis and Varaiya 2004), so the first 20 min of a queue are not in them. Delay is that of the extent, of those that report.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::Path;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::place::{Place, PlaceName};
use super::profile::{self, file};
use super::{History, K_EXPORT, ReportError, When, rounded};
use crate::calendar::{date_of_number, day_number};

/// A bottleneck on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Jam {
    /// Id of the head, 16 hexadecimal digits.
    pub segment: String,
    pub minutes: u32,
    pub delay_vehicle_h: f64,
    pub vehicles_min: u32,
}

/// The file of a day.
#[derive(Serialize, Deserialize)]
struct DayFile {
    source: String,
    jams: Vec<Jam>,
}

/// A day of a bottleneck.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalendarDay {
    pub date: String,
    pub minutes: u32,
}

/// A bottleneck over a stretch of days.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BottleneckRow {
    pub place: Place,
    pub days_active: usize,
    pub hours: f64,
    pub delay_vehicle_h: f64,
    pub calendar: Vec<CalendarDay>,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BottleneckReport {
    pub zone: String,
    pub from: String,
    pub to: String,
    /// Days that could be looked at, in order.
    pub days: Vec<String>,
    pub k: i64,
    pub suppressed: usize,
    pub rows: Vec<BottleneckRow>,
}

/// Most rows of the report; the rest have less delay.
pub const ROWS_MAX: usize = 200;

/// What a day's file was made of.
pub fn source_of(path: &Path) -> Option<String> {
    read(path).map(|file| file.source)
}

/// Writes a day's file.
///
/// # Errors
/// A file that cannot be written.
pub fn write(path: &Path, jams: &[Jam], source: &str) -> Result<(), ReportError> {
    let text = serde_json::to_vec(&DayFile { source: source.to_owned(), jams: jams.to_vec() })
        .map_err(|e| ReportError::Query(e.to_string()))?;
    file::replace(path, |mut out| out.write_all(&text).map_err(|error| ReportError::Write { path: path.into(), error }))
}

fn read(path: &Path) -> Option<DayFile> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The calendar over a stretch of days; where `place` is given, of its segments only.
///
/// # Errors
/// Whatever the archive says, and when no day of the stretch is over.
pub fn bottlenecks(
    history: &History,
    place: Option<&Place>,
    days: &RangeInclusive<Date>,
    when: &When,
) -> Result<BottleneckReport, ReportError> {
    profile::update(history, days)?;
    let mut found: BTreeMap<String, (BottleneckRow, i64)> = BTreeMap::new();
    let mut dates = Vec::new();
    for date in (day_number(*days.start())..=day_number(*days.end())).map(date_of_number) {
        if !when.has_day(date, &history.calendar) {
            continue;
        }
        let Some(day) = read(&file::bottleneck_path(history, date)) else { continue };
        dates.push(date.to_string());
        for jam in day.jams {
            let name = PlaceName::Segment(jam.segment.clone());
            let Ok(at) = Place::find(&name, &history.network, &history.areas) else { continue };
            if place.is_some_and(|p| p.parts.binary_search_by_key(&at.parts[0].segment, |part| part.segment).is_err()) {
                continue;
            }
            let blank = BottleneckRow { place: at, days_active: 0, hours: 0.0, delay_vehicle_h: 0.0, calendar: vec![] };
            let (row, vehicles) = found.entry(jam.segment).or_insert((blank, 0));
            row.days_active += 1;
            row.hours += f64::from(jam.minutes) / 60.0;
            row.delay_vehicle_h += jam.delay_vehicle_h;
            row.calendar.push(CalendarDay { date: date.to_string(), minutes: jam.minutes });
            *vehicles += i64::from(jam.vehicles_min);
        }
    }
    if dates.is_empty() {
        let what = "days that are over".to_owned();
        return Err(ReportError::NoData { what, from: *days.start(), to: *days.end() });
    }
    let all = found.len();
    let mut rows: Vec<BottleneckRow> =
        found.into_values().filter(|(_, vehicles)| *vehicles >= K_EXPORT).map(|(row, _)| row).collect();
    let suppressed = all - rows.len();
    rows.sort_by(|a, b| b.delay_vehicle_h.total_cmp(&a.delay_vehicle_h).then(a.place.id.cmp(&b.place.id)));
    rows.truncate(ROWS_MAX);
    for row in &mut rows {
        row.hours = rounded(row.hours, 2);
        row.delay_vehicle_h = rounded(row.delay_vehicle_h, 3);
    }
    Ok(BottleneckReport {
        zone: history.calendar.zone_name().to_owned(),
        from: days.start().to_string(),
        to: days.end().to_string(),
        days: dates,
        k: K_EXPORT,
        suppressed,
        rows,
    })
}
