//! Tables of months against the cells: the same answers, made again when a day changes, gone with what they are made of.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::civil::Date;

use super::tables;
use crate::calendar::{date, dates};
use crate::report::made::Made;
use crate::report::place::Place;
use crate::report::profile::{file, months};
use crate::report::series::Series;
use crate::report::tests::{history, made};
use crate::report::typical::{TypicalDay, typical_day};
use crate::report::{History, When};

/// The end of a month, a whole one with the day of 25 hours, and the begin of another.
fn autumn() -> Made {
    Made { vehicles: 12.0, hours: (1, 9), ..made("2026-09-27", "2026-11-04") }
}

const STRETCH: &str = "2026-09-27..2026-11-04";

fn places(history: &History) -> Vec<Place> {
    let corridors = history.areas.corridors().iter().take(3).map(|area| Place::of_area(area, &history.network));
    let segments = history.network.indices().step_by(40).map(|at| Place::of_segment(at, &history.network));
    corridors.chain(segments).collect()
}

fn weeks(history: &History, stretch: &str) -> Vec<TypicalDay> {
    let days = dates(stretch).unwrap();
    places(history).iter().map(|place| typical_day(history, place, &days, &When::default()).unwrap()).collect()
}

fn make(history: &History) -> usize {
    months::update(history, &dates(STRETCH).unwrap(), &|| false).unwrap()
}

/// Months that are read of a stretch.
fn read(history: &History, stretch: &str) -> usize {
    months::kept(history, &history.clock(&dates(stretch).unwrap()).unwrap()).unwrap().paths.len()
}

fn day(text: &str) -> Date {
    date(text).unwrap()
}

#[test]
fn a_path_has_the_same_history_from_months_and_from_cells() {
    // Of few vehicles most rows are not there, and little is told.
    for (vehicles, told_min) in [(12.0, 1_000), (0.7, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let history = history(&Made { vehicles, ..autumn() }, folder.path());
        // Whole months, parts of them, days of none.
        let stretches = [STRETCH, "2026-10-10..2026-10-31", "2026-09-29..2026-10-02", "2026-11-01..2026-11-04"];
        let from_cells = stretches.map(|stretch| weeks(&history, stretch));
        let told = from_cells[0].iter().flat_map(|week| &week.rows).filter(|row| row.speed_mps.is_some()).count();
        assert!(told >= told_min, "{told}");
        assert_eq!(make(&history), 2, "November is not over");
        assert_eq!(stretches.map(|stretch| read(&history, stretch)), [2, 1, 2, 0]);
        assert_eq!(stretches.map(|stretch| weeks(&history, stretch)), from_cells);
        assert_eq!(make(&history), 0);
        assert_same_slots(&history, folder.path());
    }
}

/// Every slot, also of an hour; those of five minutes are in the cells alone.
fn assert_same_slots(history: &History, root: &Path) {
    let (days, place) = (dates(STRETCH).unwrap(), &places(history)[0]);
    let series = || [5, 15, 60].map(|minutes| Series::of(history, place, &days, minutes).unwrap());
    let with = series();
    fs::remove_dir_all(root.join("profile")).unwrap();
    for (with, without) in with.iter().zip(series()) {
        for day in 0..39 {
            for slot in 0..with.slots_a_day() {
                assert_eq!(with.slot(day, slot), without.slot(day, slot), "{} min: {day}, {slot}", with.slot_minutes);
            }
        }
        assert_eq!(with.free_time_s, without.free_time_s);
    }
}

#[test]
fn a_month_whose_day_changed_is_read_from_the_cells_until_it_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&autumn(), folder.path());
    assert_eq!(make(&history), 2);
    let before = weeks(&history, STRETCH);
    let again = Made { seed: 7, from: day("2026-10-14"), to: day("2026-10-14"), ..autumn() };
    again.write(folder.path()).unwrap();
    assert_eq!(read(&history, STRETCH), 1, "September");
    let changed = weeks(&history, STRETCH);
    assert_ne!(changed, before);
    assert_eq!((make(&history), read(&history, STRETCH)), (1, 2));
    assert_eq!(weeks(&history, STRETCH), changed);
}

#[test]
fn a_month_is_made_whole_or_not_at_all_and_goes_with_its_cells() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&autumn(), folder.path());
    // Stopped wherever it may be: before the first piece, between pieces, between months.
    let days = dates(STRETCH).unwrap();
    for pieces in 0..4 {
        let asked = AtomicUsize::new(0);
        months::update(&history, &days, &|| asked.fetch_add(1, Ordering::Relaxed) >= pieces).unwrap();
        for path in tables(folder.path()).keys().filter(|path| !path.ends_with("lock")) {
            assert!(path.ends_with("part.parquet"), "{}", path.display());
        }
    }
    // What a crash left is written over.
    let september = file::quarters_path(&history, day("2026-09-30"));
    let left = september.with_file_name(".part");
    fs::remove_dir_all(folder.path().join("profile")).unwrap();
    fs::create_dir_all(september.parent().unwrap()).unwrap();
    fs::write(&left, vec![0; 1 << 20]).unwrap();
    make(&history);
    assert_eq!((read(&history, STRETCH), left.exists()), (2, false));
    assert!(september.exists());
    // The archive lets go of September and the begin of October.
    for gone in ["2026-09-26", "2026-09-27", "2026-09-28", "2026-09-29", "2026-09-30", "2026-10-01", "2026-10-02"] {
        let five = folder.path().join(format!("cells_5min/city=made/date={gone}"));
        if five.exists() {
            fs::remove_dir_all(five).unwrap();
        }
    }
    let from_cells = weeks(&history, "2026-10-10..2026-10-20");
    make(&history);
    assert!(!september.parent().unwrap().exists());
    assert_eq!(weeks(&history, "2026-10-10..2026-10-20"), from_cells);
}
