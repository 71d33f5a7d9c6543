//! A vehicle's raw positions taken out of history.
//!
//! Upstream: `arterial forget`. Only `positions` knows vehicles, by pseudonyms that change every day; every other table
//! holds sums. A file that has such rows is written anew without them and the manifest swapped, as in compaction.

use super::error::ArchiveError;
use super::frame::{Frame, Stage};
use super::manifest::Entry;
use super::merge::merge;
use super::remote::Remote;
use super::store::{Archive, Origin, Writing};
use super::table::Table;

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub rows: u64,
    pub files: u64,
}

impl Archive {
    /// Takes the positions out for which `is_meant` says so, by pseudonym and event time in milliseconds.
    ///
    /// # Errors
    /// [`ArchiveError`]: some files are without the vehicle then, and the rest is as it was.
    pub fn forget(
        &mut self,
        remote: Option<&Remote>,
        mut is_meant: impl FnMut(u64, i64) -> bool,
    ) -> Result<Forgotten, ArchiveError> {
        let mut all = Forgotten::default();
        let of_vehicles = |file: &&Entry| file.table == Table::Positions;
        let files: Vec<Entry> = self.manifest().files.iter().filter(of_vehicles).cloned().collect();
        for file in files {
            if let Some(remote) = remote {
                self.fetch(remote, std::slice::from_ref(&file.path))?;
            }
            let path = self.root().join(&file.path);
            let (mut kept, mut gone) = (Frame::empty(file.table.columns()), 0);
            merge(&[path], file.table, |_, from, range| {
                for row in range {
                    if is_meant(from.ints(0)[row] as u64, from.times(1)[row]) {
                        gone += 1;
                    } else {
                        kept.push(from, row);
                    }
                }
                Ok(())
            })?;
            if gone > 0 {
                self.rewrite(&file, kept)?;
                all.rows += gone;
                all.files += 1;
            }
        }
        Ok(all)
    }

    /// Puts rows in the place of those of a file; its minutes stay known, so that nothing of them comes again.
    fn rewrite(&mut self, file: &Entry, rows: Frame) -> Result<(), ArchiveError> {
        self.begin()?;
        let (table, at_ms) = (file.table, file.from_ms());
        let aside = self.aside(table, &file.city, at_ms);
        let failed = |cause| ArchiveError::parquet(&aside, cause);
        let out = self.disk.create(&aside)?;
        let mut writing = Writing::new(out, table, Stage::Settled).map_err(failed)?;
        writing.holds(&file.minutes);
        writing.write(rows).map_err(failed)?;
        let origin = file.blocks.map_or(Origin::Compacted, |(first, last)| Origin::Blocks(first, last));
        let entry = self.place(writing, &aside, (table, &file.city, at_ms), origin, file.written_ms)?;
        self.replace(std::slice::from_ref(&file.path), vec![entry])?;
        self.end();
        Ok(())
    }
}
