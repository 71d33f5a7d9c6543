//! How good the data was: by source and local day, what came in, what became of it, how much of the network was seen.
//!
//! Upstream: the archive's table `quality` (a row a class of sources and minute); where it has no row of the stretch, the cells
//! themselves say how many reports were counted and how much of the network was driven. Downstream: the API,
//! `arterial report quality`.
//!
//! What ingest's gate rejects or knows already never reaches analytics: `duplicate` and `rejected` are not known here
//! (`/metrics` has them), and are `null`, never 0. A minute is silent when nothing of a source came in.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use jiff::civil::Date;
use polars::prelude::*;
use serde::Serialize;

use super::place::signed;
use super::{History, ReportError, rounded};
use crate::calendar::{Clock, day_number};

/// One source on one day.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QualityRow {
    pub source: String,
    pub date: String,
    pub received: i64,
    /// Counted in cells.
    pub accepted: i64,
    pub duplicate: Option<i64>,
    pub rejected: Option<i64>,
    /// Too late, and not to be placed on a street; where that is known.
    pub late: Option<i64>,
    pub unmatched: Option<i64>,
    /// Length of the network that was seen in a minute (from cells: in five), mean over the day.
    pub covered_share: Option<f64>,
    pub silent_minutes: u32,
    /// Minutes of the day on the city's clock: 1,380, 1,440 or 1,500.
    pub minutes: u32,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QualityReport {
    pub zone: String,
    pub from: String,
    pub to: String,
    /// `quality` or `cells`: which table says so.
    pub from_table: &'static str,
    pub rows: Vec<QualityRow>,
}

/// Sums of a source and day.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    received: i64,
    counted: i64,
    late: i64,
    unmatched: i64,
    observed_mm: i64,
    network_mm: i64,
    heard_minutes: u32,
}

/// Works it out.
///
/// # Errors
/// Whatever the archive says, and when there is nothing.
pub fn quality(history: &History, days: &RangeInclusive<Date>) -> Result<QualityReport, ReportError> {
    let clock = history.clock(days)?;
    let touched = day_number(*days.start()) - 1..=day_number(*days.end()) + 1;
    let files = history.archive.files_of("quality")?.into_iter();
    let paths: Vec<PathBuf> = files.filter(|(day, _)| touched.contains(day)).map(|(_, path)| path).collect();
    let (mut sums, mut from_table) = (BTreeMap::new(), "quality");
    if !paths.is_empty() {
        sums = of_table(&paths, &clock)?;
    }
    if sums.is_empty() {
        from_table = "cells";
        sums = of_cells(history, &clock)?;
    }
    if sums.is_empty() {
        return Err(ReportError::NoData { what: "any source".into(), from: *days.start(), to: *days.end() });
    }
    let is_table = from_table == "quality";
    let row = |((source, day), s): ((String, usize), Sums)| {
        let span = clock.day_ms(day);
        let minutes = ((span.end - span.start) / 60_000) as u32;
        QualityRow {
            source,
            date: clock.date(day).to_string(),
            received: s.received,
            accepted: s.counted,
            duplicate: None,
            rejected: None,
            late: is_table.then_some(s.late),
            unmatched: is_table.then_some(s.unmatched),
            covered_share: (s.network_mm > 0).then(|| rounded(s.observed_mm as f64 / s.network_mm as f64, 4)),
            silent_minutes: minutes.saturating_sub(s.heard_minutes),
            minutes,
        }
    };
    Ok(QualityReport {
        zone: history.calendar.zone_name().to_owned(),
        from: days.start().to_string(),
        to: days.end().to_string(),
        from_table,
        rows: sums.into_iter().map(row).collect(),
    })
}

/// The name of a class in answers.
fn source_name(class: &str) -> String {
    match class {
        "position" => "probes".to_owned(),
        "detector" => "detectors".to_owned(),
        "signal" => "signals".to_owned(),
        other => other.to_owned(),
    }
}

fn of_table(paths: &[PathBuf], clock: &Clock) -> Result<BTreeMap<(String, usize), Sums>, ReportError> {
    let failed = |error: PolarsError| ReportError::Query(error.to_string());
    let paths: Vec<PlRefPath> = paths.iter().filter_map(|p| PlRefPath::try_from_path(p).ok()).collect();
    let args = ScanArgsParquet { hive_options: HiveOptions::new_disabled(), glob: false, ..ScanArgsParquet::default() };
    let names = ["received", "counted", "late", "unmatched", "observed_mm", "network_mm"];
    let numbers = names.map(|name| col(name).cast(DataType::Int64).sum());
    let found = LazyFrame::scan_parquet_files(paths.into(), args)
        .map_err(failed)?
        .group_by([col("class"), col("start_utc").cast(DataType::Int64).alias("start_ms")])
        .agg(numbers)
        .collect()
        .map_err(failed)?;
    let long = |name: &str| -> Result<Vec<i64>, ReportError> {
        Ok(found.column(name).map_err(failed)?.i64().map_err(failed)?.into_no_null_iter().collect())
    };
    let class = found.column("class").map_err(failed)?.str().map_err(failed)?.clone();
    let start = long("start_ms")?;
    let [received, counted, late, unmatched, observed, network] = names.map(long);
    let (received, counted, late, unmatched) = (received?, counted?, late?, unmatched?);
    let (observed, network) = (observed?, network?);
    let mut sums: BTreeMap<(String, usize), Sums> = BTreeMap::new();
    for (row, class) in class.iter().enumerate() {
        let (Some(class), Some(local)) = (class, clock.at(start[row])) else { continue };
        let sum = sums.entry((source_name(class), local.day)).or_default();
        sum.received += received[row];
        sum.counted += counted[row];
        sum.late += late[row];
        sum.unmatched += unmatched[row];
        sum.observed_mm += observed[row];
        sum.network_mm += network[row];
        sum.heard_minutes += u32::from(received[row] > 0);
    }
    Ok(sums)
}

/// What the cells say of vehicles, in intervals of five minutes.
fn of_cells(history: &History, clock: &Clock) -> Result<BTreeMap<(String, usize), Sums>, ReportError> {
    let length_mm: std::collections::HashMap<i64, i64> =
        history.network.segments().iter().map(|s| (signed(s.id), (s.length_m * 1_000.0).round() as i64)).collect();
    let network_mm: i64 = length_mm.values().sum();
    let mut sums: BTreeMap<(String, usize), Sums> = BTreeMap::new();
    for day in 0..clock.days() {
        let span = clock.day_ms(day);
        let intervals = ((span.end - span.start) / 300_000) as usize;
        let (mut heard, mut sum) = (vec![false; intervals], Sums::default());
        // A segment counts once an interval, also where five rows of a minute make it.
        let mut seen: HashSet<(i64, usize)> = HashSet::new();
        history.archive.each_row(&span, |rows| {
            for row in 0..rows.len() {
                let at = ((rows.start_ms[row] - span.start) / 300_000) as usize;
                let driven = rows.distance_mm[row] > 0 && seen.insert((rows.segment[row], at));
                sum.received += i64::from(rows.reports[row]);
                sum.observed_mm += if driven { length_mm.get(&rows.segment[row]).copied().unwrap_or(0) } else { 0 };
                heard[at] = true;
            }
        })?;
        if sum.received == 0 {
            continue;
        }
        sum.counted = sum.received;
        sum.network_mm = network_mm * intervals as i64;
        sum.heard_minutes = 5 * heard.iter().filter(|h| **h).count() as u32;
        sums.insert(("probes".to_owned(), day), sum);
    }
    Ok(sums)
}
