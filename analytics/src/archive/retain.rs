//! What history lets go of: by age, and by bytes.
//!
//! Upstream: [`super::recorder`], `arterial archive compact`. The age of a figure is counted back from the newest minute
//! of its city, so that the recording of a day long ago is not removed on sight. The age of a person's positions is
//! counted from when they were written, by the wall clock: they go when their time is over, whether more comes or not.

use std::collections::BTreeMap;

use super::error::ArchiveError;
use super::manifest::Entry;
use super::store::Archive;
use super::table::{DAY_MS, HOUR_MS, Table};

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub cells_1min_days: u32,
    /// Of cells of five minutes, and of quality.
    pub cells_5min_days: u32,
    /// Of intervals of loops, and of cycles.
    pub roadside_days: u32,
    /// Of raw positions, hours since they were written; 0 keeps none.
    pub positions_hours: u32,
    /// All files together; beyond it the oldest go, first positions, then minutes, loops and signals, last the rest.
    pub bytes_max: u64,
}

impl Default for Retention {
    /// A month of minutes, two years of five minutes: 64 GiB hold that of 20,000 segments.
    fn default() -> Self {
        Self { cells_1min_days: 30, cells_5min_days: 730, roadside_days: 30, positions_hours: 0, bytes_max: 64 << 30 }
    }
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
}

impl Archive {
    /// Removes what is too old or too much; `now_ms` is the wall clock.
    ///
    /// # Errors
    /// [`ArchiveError`]: what is listed is there, the rest is removed at the next attempt.
    pub fn retain(&mut self, retention: &Retention, now_ms: i64) -> Result<Removed, ArchiveError> {
        let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
        for entry in &self.manifest().files {
            let newest_ms = newest.entry(&entry.city).or_insert(i64::MIN);
            *newest_ms = entry.to_ms().max(*newest_ms);
        }
        let is_old = |entry: &&Entry| self.is_old(entry, newest[entry.city.as_str()], retention, now_ms);
        let mut old: Vec<&Entry> = self.manifest().files.iter().filter(is_old).collect();
        let total: u64 = self.manifest().files.iter().map(|entry| entry.bytes).sum();
        let mut left = total - old.iter().map(|entry| entry.bytes).sum::<u64>();
        let mut others: Vec<&Entry> = self.manifest().files.iter().filter(|entry| !old.contains(entry)).collect();
        others.sort_by_key(|entry| (rank(entry.table), entry.to_ms()));
        for entry in others {
            if left <= retention.bytes_max {
                break;
            }
            left -= entry.bytes;
            old.push(entry);
        }
        if old.is_empty() {
            return Ok(Removed::default());
        }
        let sum = |of: &dyn Fn(&Entry) -> u64| old.iter().map(|entry| of(entry)).sum();
        let removed = Removed { files: old.len() as u64, bytes: sum(&|e| e.bytes), rows: sum(&|e| e.rows) };
        let paths: Vec<String> = old.iter().map(|entry| entry.path.clone()).collect();
        self.begin()?;
        self.replace(&paths, Vec::new())?;
        self.end();
        Ok(removed)
    }

    fn is_old(&self, entry: &Entry, newest_ms: i64, retention: &Retention, now_ms: i64) -> bool {
        let is_older_than = |days: u32| entry.to_ms() + i64::from(days) * DAY_MS <= newest_ms;
        match entry.table {
            Table::Cells1Min => is_older_than(retention.cells_1min_days) && self.is_summed(entry),
            Table::Cells5Min | Table::QualityPosition | Table::QualityDetector | Table::QualitySignal => {
                is_older_than(retention.cells_5min_days)
            }
            Table::Detectors | Table::Signals => is_older_than(retention.roadside_days),
            Table::Positions => entry.written_ms + i64::from(retention.positions_hours) * HOUR_MS <= now_ms,
        }
    }

    /// Whether the cells of a file are in the table of five minutes.
    fn is_summed(&self, entry: &Entry) -> bool {
        let mut summed = super::minutes::Minutes::default();
        self.manifest().files(Table::Cells5Min, &entry.city).for_each(|file| summed.join(&file.minutes));
        summed.has_all(&entry.minutes)
    }
}

/// Who goes first when there is too much.
fn rank(table: Table) -> u8 {
    match table {
        Table::Positions => 0,
        Table::Cells1Min => 1,
        Table::Detectors | Table::Signals => 2,
        Table::QualityPosition | Table::QualityDetector | Table::QualitySignal => 3,
        Table::Cells5Min => 4,
    }
}
