//! History as OpenMetrics text with timestamps, for `promtool tsdb create-blocks-from openmetrics`.
//!
//! Upstream: cells of an archive. Downstream: a Prometheus that was not there, or forgot. Names and labels are those of
//! `/metrics`, a step takes the place of the live window, and a figure is stamped at the end of its step. Segments with
//! fewer than `k` vehicles are left out: the vehicle-minutes of a step over its minutes are at most the distinct vehicles
//! in it. A corridor is told where at least [`COVERED_MIN`] of its length was driven on; the rest of it is taken to be as
//! fast as what was seen.
//!
//! The format wants a family in one piece, so every family is one pass over the files; memory is a day of corridors.
//! OpenMetrics 1.0: <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;

use super::error::ArchiveError;
use super::frame::Frame;
use super::manifest::Manifest;
use super::merge::merge;
use super::segments;
use super::table::{DAY_MS, Table};

/// Share of a corridor's length that has to be driven on.
pub const COVERED_MIN: f64 = 0.8;

/// Most samples of one run: 60 GB of text would help nobody.
const SAMPLES_MAX: u64 = 500_000_000;

/// What is written.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub root: PathBuf,
    pub city: String,
    /// First and last moment of steps, milliseconds since 1970.
    pub span_ms: (i64, i64),
    /// Length of a step, seconds, and its name as a window.
    pub step_s: i64,
    pub window: &'static str,
    /// Fewest vehicles.
    pub k: i32,
    /// So many segments, those with most delay.
    pub top: usize,
    pub corridors: Vec<Corridor>,
}

/// A corridor: segments by their ids, with their lengths in metres.
#[derive(Clone, Debug)]
pub struct Corridor {
    pub name: String,
    pub segments: BTreeMap<i64, f64>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub samples: u64,
    pub segments: usize,
    /// Steps of segments with too few vehicles.
    pub suppressed: u64,
}

/// Why nothing more was written.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
    #[error(
        "this would be more than {SAMPLES_MAX} samples: take fewer days, fewer segments (--top) or a longer --step"
    )]
    TooMany,
}

/// A segment in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cell {
    segment: i64,
    start_ms: i64,
    distance_mm: i64,
    time_ms: i64,
    delay_ms: i64,
    vehicle_minutes: i32,
    minutes: i32,
}

/// What is known of a segment.
struct Known {
    id: String,
    class: String,
    length_m: f64,
}

/// One family of segments: name, help, figure.
type OfSegment = (&'static str, &'static str, fn(&Cell, &Known, &Wanted) -> Option<f64>);

const OF_SEGMENTS: [OfSegment; 3] = [
    ("arterial_segment_speed_meters_per_second", "Space-mean speed of the vehicles on the segment", |cell, _, _| {
        (cell.time_ms > 0).then(|| cell.distance_mm as f64 / cell.time_ms as f64)
    }),
    (
        "arterial_segment_delay_vehicle_seconds_per_second",
        "Delay against the free-flow speed, vehicle-seconds a second",
        |cell, _, wanted| Some(cell.delay_ms as f64 / (wanted.step_s * 1_000) as f64),
    ),
    (
        "arterial_segment_flow_vehicles_per_hour",
        "Flow of the vehicles that report, not scaled to all vehicles",
        |cell, known, wanted| {
            let metres = cell.distance_mm as f64 / 1_000.0;
            (known.length_m > 0.0).then(|| metres / known.length_m / wanted.step_s as f64 * 3_600.0)
        },
    ),
];

/// One family of corridors: name, help, figure.
type OfCorridor = (&'static str, &'static str, &'static str, fn(&Sum, f64, &Wanted) -> Option<f64>);

const OF_CORRIDORS: [OfCorridor; 3] = [
    (
        "arterial_corridor_travel_time_seconds",
        "Travel time over the corridor at the speeds of its segments",
        "corridor",
        |sum, length_m, _| Some(sum.travel_time_s * length_m / sum.covered_m),
    ),
    ("arterial_area_speed_meters_per_second", "Metres over seconds of all vehicles", "area", |sum, _, _| {
        (sum.time_ms > 0).then(|| sum.distance_mm as f64 / sum.time_ms as f64)
    }),
    (
        "arterial_area_delay_vehicle_seconds_per_second",
        "Delay against the free-flow speed, vehicle-seconds a second",
        "area",
        |sum, _, wanted| Some(sum.delay_ms as f64 / (wanted.step_s * 1_000) as f64),
    ),
];

/// A corridor in a step.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    covered_m: f64,
    travel_time_s: f64,
    distance_mm: i64,
    time_ms: i64,
    delay_ms: i64,
    vehicles: i32,
}

/// Writes history.
///
/// # Errors
/// [`BackfillError`]; what was written until then is no whole file.
pub fn write(wanted: &Wanted, out: &mut impl Write) -> Result<Told, BackfillError> {
    let manifest = Manifest::read(&wanted.root)?;
    let known = names(wanted)?;
    let mut told = Told::default();
    let worst = worst(wanted, &manifest)?;
    told.segments = worst.len();
    for (at, (name, help, figure)) in OF_SEGMENTS.iter().enumerate() {
        writeln!(out, "# HELP {name} {help}.\n# TYPE {name} gauge")?;
        each_cell(wanted, &manifest, |cell| {
            let Some(known) = known.get(&cell.segment).filter(|_| worst.contains(&cell.segment)) else { return Ok(()) };
            if vehicles(cell) < wanted.k {
                told.suppressed += u64::from(at == 0);
                return Ok(());
            }
            let Some(value) = figure(cell, known, wanted) else { return Ok(()) };
            count(&mut told)?;
            let (class, id, window, end_s) = (&known.class, &known.id, wanted.window, end_s(cell.start_ms, wanted));
            Ok(writeln!(out, "{name}{{class=\"{class}\",segment=\"{id}\",window=\"{window}\"}} {value} {end_s}")?)
        })?;
    }
    if !wanted.corridors.is_empty() {
        write_corridors(wanted, &manifest, out, &mut told)?;
    }
    writeln!(out, "# EOF")?;
    out.flush()?;
    Ok(told)
}

fn write_corridors(
    wanted: &Wanted,
    manifest: &Manifest,
    out: &mut impl Write,
    told: &mut Told,
) -> Result<(), BackfillError> {
    let mut on: BTreeMap<i64, Vec<(usize, f64)>> = BTreeMap::new();
    for (at, corridor) in wanted.corridors.iter().enumerate() {
        corridor.segments.iter().for_each(|(id, length_m)| on.entry(*id).or_default().push((at, *length_m)));
    }
    for (name, help, label, figure) in OF_CORRIDORS {
        writeln!(out, "# HELP {name} {help}.\n# TYPE {name} gauge")?;
        for day_ms in days(wanted) {
            let mut sums: BTreeMap<(usize, i64), Sum> = BTreeMap::new();
            each_of_day(wanted, manifest, day_ms, |cell| {
                for (at, length_m) in on.get(&cell.segment).into_iter().flatten() {
                    sums.entry((*at, cell.start_ms)).or_default().add(cell, *length_m);
                }
                Ok(())
            })?;
            for ((at, start_ms), sum) in sums {
                let corridor = &wanted.corridors[at];
                let length_m: f64 = corridor.segments.values().sum();
                let is_told = sum.covered_m >= COVERED_MIN * length_m && sum.vehicles >= wanted.k;
                let Some(value) = figure(&sum, length_m, wanted).filter(|_| is_told) else { continue };
                count(told)?;
                let (of, window, end_s) = (escaped(&corridor.name), wanted.window, end_s(start_ms, wanted));
                let kind = if label == "area" { ",kind=\"corridor\"" } else { "" };
                writeln!(out, "{name}{{{label}=\"{of}\"{kind},window=\"{window}\"}} {value} {end_s}")?;
            }
        }
    }
    Ok(())
}

impl Sum {
    fn add(&mut self, cell: &Cell, length_m: f64) {
        self.distance_mm += cell.distance_mm;
        self.time_ms += cell.time_ms;
        self.delay_ms += cell.delay_ms;
        self.vehicles = self.vehicles.max(vehicles(cell));
        // Where everybody stood there is no speed, and no travel time.
        if cell.distance_mm > 0 && cell.time_ms > 0 {
            self.covered_m += length_m;
            self.travel_time_s += length_m * cell.time_ms as f64 / cell.distance_mm as f64;
        }
    }
}

/// A lower bound of the distinct vehicles: their mean over the minutes, rounded up.
fn vehicles(cell: &Cell) -> i32 {
    let minutes = cell.minutes.max(1);
    (cell.vehicle_minutes + minutes - 1) / minutes
}

fn end_s(start_ms: i64, wanted: &Wanted) -> i64 {
    start_ms / 1_000 + wanted.step_s
}

fn count(told: &mut Told) -> Result<(), BackfillError> {
    told.samples += 1;
    if told.samples > SAMPLES_MAX { Err(BackfillError::TooMany) } else { Ok(()) }
}

/// The segments with most delay.
fn worst(wanted: &Wanted, manifest: &Manifest) -> Result<BTreeSet<i64>, BackfillError> {
    let mut delays: BTreeMap<i64, i64> = BTreeMap::new();
    each_cell(wanted, manifest, |cell| {
        *delays.entry(cell.segment).or_default() += cell.delay_ms;
        Ok(())
    })?;
    let mut order: Vec<(i64, i64)> = delays.into_iter().map(|(segment, delay_ms)| (-delay_ms, segment)).collect();
    order.sort_unstable();
    Ok(order.into_iter().take(wanted.top).map(|of| of.1).collect())
}

fn names(wanted: &Wanted) -> Result<BTreeMap<i64, Known>, ArchiveError> {
    let Some(rows) = segments::read(&wanted.root, &wanted.city)? else { return Ok(BTreeMap::new()) };
    let known = (0..rows.len()).map(|row| {
        let (id, class) = (rows.texts(1)[row].clone(), rows.texts(3)[row].clone());
        (rows.ints(0)[row], Known { id, class, length_m: rows.reals(4)[row] })
    });
    Ok(known.collect())
}

/// Begins of the days of the span, milliseconds since 1970.
fn days(wanted: &Wanted) -> impl Iterator<Item = i64> + use<> {
    let (from_ms, to_ms) = wanted.span_ms;
    (from_ms.div_euclid(DAY_MS)..=(to_ms - 1).div_euclid(DAY_MS)).map(|day| day * DAY_MS)
}

fn each_cell(
    wanted: &Wanted,
    manifest: &Manifest,
    mut show: impl FnMut(&Cell) -> Result<(), BackfillError>,
) -> Result<(), BackfillError> {
    days(wanted).try_for_each(|day_ms| each_of_day(wanted, manifest, day_ms, &mut show))
}

/// Shows the cells of a day by step, in order of segment and time: of five minutes where the day has them, else of one.
fn each_of_day(
    wanted: &Wanted,
    manifest: &Manifest,
    day_ms: i64,
    mut show: impl FnMut(&Cell) -> Result<(), BackfillError>,
) -> Result<(), BackfillError> {
    let of = |table: Table| -> Vec<PathBuf> {
        let of_day = manifest.files(table, &wanted.city).filter(|f| f.from_ms().div_euclid(DAY_MS) * DAY_MS == day_ms);
        of_day.map(|file| wanted.root.join(&file.path)).collect()
    };
    let (fives, ones) = (of(Table::Cells5Min), of(Table::Cells1Min));
    let paths = if fives.is_empty() { ones } else { fives };
    let (mut open, mut failed): (Option<Cell>, Option<BackfillError>) = (None, None);
    merge(&paths, Table::Cells1Min, |_, rows, range| {
        // What `show` says is kept apart from what files say.
        if failed.is_none() {
            failed = add_up(wanted, rows, range, &mut open, &mut show).err();
        }
        Ok(())
    })?;
    failed.map_or(Ok(()), Err)?;
    open.map_or(Ok(()), |cell| show(&cell))
}

fn add_up(
    wanted: &Wanted,
    rows: &Frame,
    range: Range<usize>,
    open: &mut Option<Cell>,
    show: &mut impl FnMut(&Cell) -> Result<(), BackfillError>,
) -> Result<(), BackfillError> {
    let step_ms = wanted.step_s * 1_000;
    for row in range {
        let (segment, start_ms) = (rows.ints(0)[row], rows.times(1)[row].div_euclid(step_ms) * step_ms);
        if !(wanted.span_ms.0..wanted.span_ms.1).contains(&start_ms) {
            continue;
        }
        if let Some(done) = open.take_if(|cell| (cell.segment, cell.start_ms) != (segment, start_ms)) {
            show(&done)?;
        }
        let cell = open.get_or_insert(Cell { segment, start_ms, ..Cell::default() });
        cell.distance_mm += rows.ints(2)[row];
        cell.time_ms += rows.ints(3)[row];
        cell.delay_ms += rows.ints(4)[row];
        cell.vehicle_minutes = cell.vehicle_minutes.saturating_add(rows.smalls(6)[row]);
        cell.minutes += rows.smalls(7)[row];
    }
    Ok(())
}

/// A label's value as OpenMetrics writes it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
