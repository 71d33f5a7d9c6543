//! Adding, compacting and letting go, broken off at every step: the sums are always those of what was added.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::cells::Cells;
use super::check::check;
use super::compact::Which;
use super::error::ArchiveError;
use super::frame::Frame;
use super::manifest::Manifest;
use super::merge::Rows;
use super::retain::Retention;
use super::store::{Added, Archive};
use super::table::{DAY_MS, HOUR_MS, Table};
use crate::metric::window::MINUTE_MS;

const CITY: &str = "test";

/// Cells of some segments in each of some minutes; what they hold follows from segment and minute.
fn cells(minutes: impl IntoIterator<Item = i64>) -> Frame {
    let mut cells = Cells::default();
    for minute in minutes {
        for segment in [-5_i64, 3, 900] {
            let n = (segment * 31 + minute * 7).rem_euclid(97) + 1;
            if n % 5 == 0 {
                continue;
            }
            cells.segment.push(segment);
            cells.start_ms.push(minute * MINUTE_MS);
            cells.distance_mm.push(n * 1_000);
            cells.time_ms.push(n * 100);
            cells.delay_ms.push(n);
            cells.reports.push(n as i32);
            cells.vehicle_minutes.push(1);
            cells.minutes.push(1);
            cells.free_flow_mmps.push(10_000 + minute as i32 % 50);
        }
    }
    cells.into()
}

fn loops(minutes: impl IntoIterator<Item = i64>) -> Frame {
    let mut rows = Frame::empty(Table::Detectors.columns());
    for minute in minutes {
        let reading = crate::detector::Reading {
            start_ms: (minute - 1) * MINUTE_MS,
            end_ms: minute * MINUTE_MS + 1,
            count: Some(minute as u32 % 9),
            occupancy: None,
            speed_mps: Some(8.5),
        };
        super::collect::push_interval(&mut rows, "loop-7", &reading, None);
    }
    rows
}

/// Sums of a table over what the manifest lists: rows, metres, by five minutes of a segment.
fn sums(root: &Path, table: Table) -> BTreeMap<(i64, i64), [i64; 7]> {
    let mut sums: BTreeMap<(i64, i64), [i64; 7]> = BTreeMap::new();
    for file in Manifest::read(root).unwrap().files(table, CITY) {
        let rows = Rows::open(&root.join(&file.path), table).unwrap();
        for frame in rows {
            add_up(&frame.unwrap(), &mut sums);
        }
    }
    sums
}

fn add_up(frame: &Frame, sums: &mut BTreeMap<(i64, i64), [i64; 7]>) {
    for row in 0..frame.len() {
        let start_ms = frame.times(1)[row].div_euclid(300_000) * 300_000;
        let sum = sums.entry((frame.ints(0)[row], start_ms)).or_default();
        for (into, column) in sum.iter_mut().zip(2..5) {
            *into += frame.ints(column)[row];
        }
        for (into, column) in sum[3..6].iter_mut().zip(5..8) {
            *into += i64::from(frame.smalls(column)[row]);
        }
    }
}

fn expected(minutes: impl IntoIterator<Item = i64>) -> BTreeMap<(i64, i64), [i64; 7]> {
    let mut sums = BTreeMap::new();
    add_up(&cells(minutes), &mut sums);
    sums
}

/// What a program does with an archive.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Minutes from, to.
    Add(i64, i64),
    Compact(Which),
}

fn act(archive: &mut Archive, step: Step) -> Result<(), ArchiveError> {
    match step {
        Step::Add(from, to) => {
            let tables = vec![(Table::Cells1Min, cells(from..to)), (Table::Detectors, loops(from..to))];
            archive.add(CITY, tables, Some((from as u64, to as u64)), 0).map(|_| ())
        }
        Step::Compact(which) => archive.compact(which, 0).map(|_| ()),
    }
}

/// A day and an hour in pieces that cross hours, with compaction in between.
fn day() -> Vec<Step> {
    let mut steps = Vec::new();
    for at in (0..1_500).step_by(250) {
        steps.extend([Step::Add(at, at + 90), Step::Add(at + 90, at + 250), Step::Compact(Which::Over)]);
    }
    steps
}

#[test]
fn a_crash_at_any_step_to_the_disk_loses_nothing_and_doubles_nothing() {
    let steps = day();
    for (breaks, power) in (0..).step_by(31).enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(dir.path()).unwrap();
        archive.disk.steps_left = Some(power);
        let done = steps.iter().take_while(|step| act(&mut archive, **step).is_ok()).count();
        drop(archive);
        // What is listed now is a part of what was added, each minute once.
        let so_far = sums(dir.path(), Table::Cells1Min);
        let all = expected(0..1_500);
        assert!(so_far.iter().all(|(key, sum)| all[key].iter().zip(sum).all(|(a, b)| a >= b)), "after {power} steps");
        if done == steps.len() {
            assert!(breaks > 20, "it was broken off {breaks} times only");
            return;
        }
        // A restart from an old checkpoint: everything once more.
        let mut archive = Archive::open(dir.path()).unwrap();
        steps.iter().for_each(|step| act(&mut archive, *step).unwrap());
        assert_eq!(sums(dir.path(), Table::Cells1Min), all, "after {power} steps");
        let report = check(dir.path()).unwrap();
        assert!(report.faults.is_empty(), "after {power} steps: {:?}", report.faults);
        let day: BTreeMap<_, _> = all.into_iter().filter(|(key, _)| key.1 < DAY_MS).collect();
        assert_eq!(sums(dir.path(), Table::Cells5Min), day, "after {power} steps");
    }
}

#[test]
fn the_same_again_changes_nothing_and_another_source_of_a_minute_is_left_out_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(dir.path()).unwrap();
    let first = archive.add(CITY, vec![(Table::Cells1Min, cells(0..100))], None, 0).unwrap();
    assert_eq!((first.rows, first.files, first.known_rows), (cells(0..100).len() as u64, 2, 0));
    archive.compact(Which::All, 0).unwrap();
    let before = std::fs::read(dir.path().join("manifest.json")).unwrap();
    let again = archive.add(CITY, vec![(Table::Cells1Min, cells(0..100))], None, 0).unwrap();
    assert_eq!(again, Added { known_rows: first.rows, known_minutes: 100, ..Added::default() });
    archive.compact(Which::All, 0).unwrap();
    assert_eq!(std::fs::read(dir.path().join("manifest.json")).unwrap(), before);
    let more = archive.add(CITY, vec![(Table::Cells1Min, cells(90..110))], None, 0).unwrap();
    assert_eq!(more.rows, cells(100..110).len() as u64);
    let other = archive.add("elsewhere", vec![(Table::Cells1Min, cells(0..5))], None, 0).unwrap();
    assert_eq!(other.known_rows, 0, "another city has minutes of its own");
    archive.compact(Which::All, 0).unwrap();
    assert_eq!(sums(dir.path(), Table::Cells5Min), expected(0..110));
    assert!(check(dir.path()).unwrap().faults.is_empty());
}

#[test]
fn a_second_writer_and_a_lost_manifest_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(dir.path()).unwrap();
    archive.add(CITY, vec![(Table::Cells1Min, cells(0..10))], None, 0).unwrap();
    assert!(matches!(Archive::open(dir.path()), Err(ArchiveError::Locked { .. })));
    drop(archive);
    std::fs::remove_file(dir.path().join("manifest.json")).unwrap();
    assert!(matches!(Archive::open(dir.path()), Err(ArchiveError::NoManifest { .. })), "nothing is removed by mistake");
}

#[test]
fn every_kind_of_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(dir.path()).unwrap();
    archive.add(CITY, vec![(Table::Cells1Min, cells(0..200))], None, 0).unwrap();
    drop(archive);
    let paths: Vec<_> = Manifest::read(dir.path()).unwrap().files.iter().map(|f| dir.path().join(&f.path)).collect();
    let mut bytes = std::fs::read(&paths[0]).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&paths[0], bytes).unwrap();
    std::fs::remove_file(&paths[1]).unwrap();
    std::fs::write(paths[2].with_file_name("stray.parquet"), b"x").unwrap();
    let faults: Vec<String> = check(dir.path()).unwrap().faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    for part in ["checksum", "not there", "not listed"] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
    }
    drop(Archive::open(dir.path()).unwrap());
    assert!(!paths[2].with_file_name("stray.parquet").exists(), "what is not listed goes at the start");
}

#[test]
fn what_is_old_or_too_much_is_removed_and_minutes_only_when_they_are_added_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(dir.path()).unwrap();
    for day in 0..5 {
        let from = day * 1_440;
        archive.add(CITY, vec![(Table::Cells1Min, cells(from..from + 60))], None, 0).unwrap();
    }
    let retention = Retention { cells_1min_days: 2, cells_5min_days: 3, ..Retention::default() };
    assert_eq!(archive.retain(&retention, 0).unwrap().files, 0, "no minute goes before it is added up");
    archive.compact(Which::All, 0).unwrap();
    archive.retain(&retention, 0).unwrap();
    let of = |table: Table| -> Vec<i64> {
        let manifest = Manifest::read(dir.path()).unwrap();
        let mut days: Vec<i64> = manifest.files(table, CITY).map(|file| file.from_ms() / DAY_MS).collect();
        days.sort_unstable();
        days
    };
    assert_eq!((of(Table::Cells1Min), of(Table::Cells5Min)), (vec![3, 4], vec![2, 3, 4]));
    let known = archive.add(CITY, vec![(Table::Cells1Min, cells(2 * 1_440..2 * 1_440 + 60))], None, 0).unwrap();
    assert_eq!(known.rows, 0, "a minute whose sums are kept is known");
    let newest =
        archive.manifest().files.iter().filter(|f| f.table == Table::Cells5Min).map(|f| f.bytes).max().unwrap();
    archive.retain(&Retention { bytes_max: newest, ..retention }, 0).unwrap();
    assert_eq!((of(Table::Cells1Min), of(Table::Cells5Min).len()), (vec![], 1));
    assert!(check(dir.path()).unwrap().faults.is_empty());
    assert!(!dir.path().join("cells_1min").exists(), "empty folders go too");
}

#[test]
fn positions_go_by_the_clock_and_a_vehicle_can_be_taken_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(dir.path()).unwrap();
    let mut rows = Frame::empty(Table::Positions.columns());
    for vehicle in [7, 8] {
        let fix = super::collect::Fix {
            time_ms: 30 * MINUTE_MS,
            lon_deg: 24.0,
            lat_deg: 60.0,
            speed_mps: None,
            heading_deg: None,
        };
        super::collect::push_fix(&mut rows, vehicle, &fix);
    }
    let written_ms = 100 * HOUR_MS;
    archive.add(CITY, vec![(Table::Positions, rows.clone())], None, written_ms).unwrap();
    let gone = archive.forget(None, |vehicle, at_ms| vehicle == 7 && at_ms > 0).unwrap();
    assert_eq!((gone.rows, gone.files), (1, 1));
    assert_eq!(archive.forget(None, |vehicle, _| vehicle == 7).unwrap().rows, 0);
    assert_eq!(archive.manifest().files[0].rows, 1);
    assert_eq!(archive.add(CITY, vec![(Table::Positions, rows)], None, 0).unwrap().rows, 0, "it does not come again");
    let day = Retention { positions_hours: 24, ..Retention::default() };
    assert_eq!(archive.retain(&day, written_ms + 24 * HOUR_MS - 1).unwrap().files, 0);
    assert_eq!(archive.retain(&day, written_ms + 24 * HOUR_MS).unwrap().files, 1);
    assert!(check(dir.path()).unwrap().faults.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Property 13 of the research: any schedule of compaction gives the same results; here with crashes in it.
    #[test]
    fn any_schedule_of_compaction_and_crashes_gives_the_same_sums(
        schedule in prop::collection::vec((0_u8..4, 0_i64..60, 1_i64..80, 0_u32..60), 1..25)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(dir.path()).unwrap();
        let mut added = std::collections::BTreeSet::new();
        for (kind, at, length, power) in schedule {
            let (from, to) = (at * 40, at * 40 + length);
            let step = match kind {
                0 => Step::Compact(Which::Over),
                1 => Step::Compact(Which::All),
                _ => Step::Add(from, to),
            };
            archive.disk.steps_left = (power < 30).then_some(power);
            if act(&mut archive, step).is_err() {
                drop(archive);
                archive = Archive::open(dir.path()).unwrap();
                act(&mut archive, step).unwrap();
            }
            archive.disk.steps_left = None;
            if let Step::Add(from, to) = step {
                added.extend(from..to);
            }
        }
        let all = expected(added);
        prop_assert_eq!(&sums(dir.path(), Table::Cells1Min), &all);
        archive.compact(Which::All, 0).unwrap();
        prop_assert_eq!(&sums(dir.path(), Table::Cells1Min), &all);
        prop_assert_eq!(&sums(dir.path(), Table::Cells5Min), &all);
        let faults = check(dir.path()).unwrap().faults;
        prop_assert!(faults.is_empty(), "{:?}", faults);
    }
}
