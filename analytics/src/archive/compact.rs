//! Few large files out of many small ones: an hour that is over becomes one file by segment and minute, a day that is
//! over becomes one file of five-minute cells.
//!
//! Upstream: [`super::store`]. Every step is: write the new file, sync, rename, swap the manifest, remove the old ones.
//! Broken off anywhere, the manifest lists the old files or the new one, and what it does not list is removed at the
//! next start. Who reads by pattern and not by the manifest can see rows twice between the second step and the last.
//!
//! Five-minute cells are made from the minutes that are not in them yet and from what they hold already, so that a minute
//! which is added to a day later is added up, and none is twice.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use super::cells::Cells;
use super::error::ArchiveError;
use super::frame::{Frame, Stage, WRITE_ROWS};
use super::manifest::Entry;
use super::merge::merge;
use super::minutes::Minutes;
use super::store::{Archive, Origin, Writing};
use super::table::{DAY_MS, Table};

/// Length of a row of `cells_5min`, milliseconds.
pub const FIVE_MINUTES_MS: i64 = 300_000;

/// A folder with so many files is compacted before its time is over: a flush every five minutes never makes so many.
const FILES_MAX: usize = 64;

/// What is to be compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Hours and days that are over.
    Over,
    /// Everything: nothing more will come.
    All,
}

/// What was compacted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Files that were written.
    pub written: u64,
    /// Files that they took the place of.
    pub replaced: u64,
    pub rows: u64,
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// All files of a folder into one.
    Folder { table: Table, city: String, paths: Vec<String> },
    /// The five-minute cells of a day.
    Day { city: String, day_ms: i64, paths: Vec<String> },
}

impl Job {
    /// The files that it reads.
    pub fn paths(&self) -> &[String] {
        match self {
            Self::Folder { paths, .. } | Self::Day { paths, .. } => paths,
        }
    }
}

impl Archive {
    /// Compacts what is due, one piece after the other; `now_ms` is the wall clock.
    ///
    /// # Errors
    /// [`ArchiveError`]: history is as it was before the piece that failed, or after it.
    pub fn compact(&mut self, which: Which, now_ms: i64) -> Result<Compacted, ArchiveError> {
        let mut done = Compacted::default();
        while let Some(job) = self.next_job(which) {
            self.work(&job, now_ms, &mut done)?;
        }
        Ok(done)
    }

    /// The next piece of work: hours first, since days are made of them.
    pub fn next_job(&self, which: Which) -> Option<Job> {
        self.manifest().cities().iter().find_map(|city| {
            let tables = Table::ALL.into_iter().filter(|table| *table != Table::Cells5Min);
            tables
                .into_iter()
                .find_map(|table| self.folder_due(table, city, which))
                .or_else(|| self.day_due(city, which))
        })
    }

    /// Does one piece of work.
    ///
    /// # Errors
    /// As [`Self::compact`].
    pub fn work(&mut self, job: &Job, now_ms: i64, done: &mut Compacted) -> Result<(), ArchiveError> {
        self.begin()?;
        let entry = match job {
            Job::Folder { table, city, paths } => {
                let entry = self.merged(*table, city, paths)?;
                self.replace(paths, vec![entry.clone()])?;
                done.replaced += paths.len() as u64;
                entry
            }
            Job::Day { city, day_ms, paths } => {
                let entry = self.five_minutes(city, *day_ms, paths, now_ms)?;
                let old: Vec<String> = self.day_file(city, *day_ms).map(|old| old.path.clone()).into_iter().collect();
                // Made again of the same rows it has the same name, and stays.
                self.replace(&old, vec![entry.clone()])?;
                done.replaced += old.len() as u64;
                entry
            }
        };
        self.end();
        done.written += 1;
        done.rows += entry.rows;
        Ok(())
    }

    fn folder_due(&self, table: Table, city: &str, which: Which) -> Option<Job> {
        let newest_ms = self.manifest().newest_ms(table, city)?;
        let folders = self.manifest().folders(table, city);
        let due = folders.into_values().find(|files| {
            let (_, end_ms) = table.span_ms(files[0].from_ms());
            let is_settled = files.iter().all(|file| file.is_compacted());
            let is_over = end_ms <= newest_ms || which == Which::All;
            // An hour that one file fills is written anew too, small and with statistics.
            files.len() > FILES_MAX || (is_over && (files.len() > 1 || !is_settled))
        })?;
        let mut paths: Vec<String> = due.iter().map(|file| file.path.clone()).collect();
        paths.sort_unstable();
        Some(Job::Folder { table, city: city.to_owned(), paths })
    }

    fn day_due(&self, city: &str, which: Which) -> Option<Job> {
        let newest_ms = self.manifest().newest_ms(Table::Cells1Min, city)?;
        let cells = || self.manifest().files(Table::Cells1Min, city);
        let days: BTreeSet<i64> = cells().map(|file| file.from_ms().div_euclid(DAY_MS) * DAY_MS).collect();
        let is_over = |day_ms: i64| day_ms + DAY_MS <= newest_ms || which == Which::All;
        days.into_iter().filter(|day_ms| is_over(*day_ms)).find_map(|day_ms| {
            let known = self.day_file(city, day_ms).map(|file| file.minutes.clone()).unwrap_or_default();
            let new = cells()
                .filter(|file| (day_ms..day_ms + DAY_MS).contains(&file.from_ms()) && !known.has_all(&file.minutes));
            let mut paths: Vec<String> = new.map(|file| file.path.clone()).collect();
            paths.sort_unstable();
            (!paths.is_empty()).then(|| Job::Day { city: city.to_owned(), day_ms, paths })
        })
    }

    fn day_file(&self, city: &str, day_ms: i64) -> Option<&Entry> {
        let of_day = |file: &&Entry| file.from_ms().div_euclid(DAY_MS) * DAY_MS == day_ms;
        self.manifest().files(Table::Cells5Min, city).find(of_day)
    }

    /// Files of one folder as one.
    fn merged(&mut self, table: Table, city: &str, paths: &[String]) -> Result<Entry, ArchiveError> {
        let files: Vec<Entry> = self.entries(paths);
        let at_ms = files.iter().map(Entry::from_ms).min().unwrap_or_default();
        let written_ms = files.iter().map(|file| file.written_ms).min().unwrap_or_default();
        let aside = self.aside(table, city, at_ms);
        let file = self.disk.create(&aside)?;
        let failed = |cause| ArchiveError::parquet(&aside, cause);
        let stage = if table.is_hourly() { Stage::Hour } else { Stage::Settled };
        let mut writing = Writing::new(file, table, stage).map_err(failed)?;
        files.iter().for_each(|file| writing.holds(&file.minutes));
        let blank = || Frame::with_room(table.columns(), 2 * WRITE_ROWS);
        let mut rows = blank();
        merge(&self.places(paths), table, |_, from, range| {
            rows.extend(from, range);
            if rows.len() >= WRITE_ROWS {
                writing.write(std::mem::replace(&mut rows, blank())).map_err(failed)?;
            }
            Ok(())
        })?;
        writing.write(rows).map_err(failed)?;
        self.place(writing, &aside, (table, city, at_ms), Origin::Compacted, written_ms)
    }

    /// Five-minute cells of a day: those that there are, and the minutes of `paths` that are not in them.
    fn five_minutes(&mut self, city: &str, day_ms: i64, paths: &[String], now_ms: i64) -> Result<Entry, ArchiveError> {
        let old = self.day_file(city, day_ms).cloned();
        let known = old.as_ref().map(|file| file.minutes.clone()).unwrap_or_default();
        let table = Table::Cells5Min;
        let aside = self.aside(table, city, day_ms);
        let file = self.disk.create(&aside)?;
        let failed = |cause| ArchiveError::parquet(&aside, cause);
        let mut writing = Writing::new(file, table, Stage::Settled).map_err(failed)?;
        writing.holds(&known);
        self.entries(paths).iter().for_each(|file| writing.holds(&file.minutes));
        let mut all = self.places(paths);
        all.extend(self.places(old.as_ref().map(|file| &file.path)));
        let mut sums = FiveMinutes { rows: Cells::default(), open: None, known };
        let day = paths.len();
        merge(&all, table, |of, from, range| {
            sums.add(from, range, of == day);
            if sums.rows.len() >= WRITE_ROWS {
                writing.write(std::mem::take(&mut sums.rows).into()).map_err(failed)?;
            }
            Ok(())
        })?;
        writing.write(sums.end().into()).map_err(failed)?;
        self.place(writing, &aside, (table, city, day_ms), Origin::Compacted, now_ms)
    }

    fn entries(&self, paths: &[String]) -> Vec<Entry> {
        self.manifest().files.iter().filter(|file| paths.contains(&file.path)).cloned().collect()
    }

    fn places<'p>(&self, paths: impl IntoIterator<Item = &'p String>) -> Vec<PathBuf> {
        paths.into_iter().map(|path| self.root().join(path)).collect()
    }
}

/// Cells being added up, in order of segment and time.
struct FiveMinutes {
    /// Those that nothing more comes to.
    rows: Cells,
    open: Option<Cell>,
    /// Minutes that are in the day's file already.
    known: Minutes,
}

/// One row of cells.
struct Cell {
    segment: i64,
    start_ms: i64,
    distance_mm: i64,
    time_ms: i64,
    delay_ms: i64,
    reports: i32,
    vehicle_minutes: i32,
    minutes: i32,
    /// Of the latest row.
    free_flow_mmps: i32,
}

impl FiveMinutes {
    /// Adds rows up; those of the day's own file as they are, others if their minute is not in it.
    fn add(&mut self, from: &Frame, range: Range<usize>, is_of_day: bool) {
        let (segment, start) = (from.ints(0), from.times(1));
        let (distance, time, delay) = (from.ints(2), from.ints(3), from.ints(4));
        let (reports, vehicles, minutes, free) = (from.smalls(5), from.smalls(6), from.smalls(7), from.smalls(8));
        let is_all_new = is_of_day || self.known.is_empty();
        for row in range {
            if !is_all_new && self.known.has(start[row]) {
                continue;
            }
            let start_ms = start[row] - start[row].rem_euclid(FIVE_MINUTES_MS);
            let is_same = |cell: &&mut Cell| cell.segment == segment[row] && cell.start_ms == start_ms;
            if let Some(cell) = self.open.as_mut().filter(is_same) {
                cell.distance_mm += distance[row];
                cell.time_ms += time[row];
                cell.delay_ms += delay[row];
                cell.reports = cell.reports.saturating_add(reports[row]);
                cell.vehicle_minutes = cell.vehicle_minutes.saturating_add(vehicles[row]);
                cell.minutes = cell.minutes.saturating_add(minutes[row]);
                cell.free_flow_mmps = free[row];
                continue;
            }
            let next = Cell {
                segment: segment[row],
                start_ms,
                distance_mm: distance[row],
                time_ms: time[row],
                delay_ms: delay[row],
                reports: reports[row],
                vehicle_minutes: vehicles[row],
                minutes: minutes[row],
                free_flow_mmps: free[row],
            };
            if let Some(done) = self.open.replace(next) {
                self.close(&done);
            }
        }
    }

    fn close(&mut self, cell: &Cell) {
        self.rows.segment.push(cell.segment);
        self.rows.start_ms.push(cell.start_ms);
        self.rows.distance_mm.push(cell.distance_mm);
        self.rows.time_ms.push(cell.time_ms);
        self.rows.delay_ms.push(cell.delay_ms);
        self.rows.reports.push(cell.reports);
        self.rows.vehicle_minutes.push(cell.vehicle_minutes);
        self.rows.minutes.push(cell.minutes);
        self.rows.free_flow_mmps.push(cell.free_flow_mmps);
    }

    /// What is left when there are no more rows.
    fn end(mut self) -> Cells {
        if let Some(last) = self.open.take() {
            self.close(&last);
        }
        self.rows
    }
}
