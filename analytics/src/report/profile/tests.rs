//! Sums over the tables against the same question asked of polars, rows in any order, and two writers at once.

mod days;
mod months;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use polars::prelude::*;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::file;
use super::sums::{SegmentDay, WeekdaySum, segment_days, weekday_sums};
use super::*;
use crate::calendar::dates;
use crate::report::made::Made;
use crate::report::tests::{history, made};
use crate::report::{COVERAGE_MIN, When};

/// What is asked: all, mornings and evenings, weekdays.
fn questions() -> [When; 3] {
    let hours = vec![(6, 10), (16, 20)];
    [
        When::default(),
        When { hours: hours.clone(), ..When::default() },
        When { weekdays: vec![1, 3, 6], hours, ..When::default() },
    ]
}

fn asked(hours: &[(u8, u8)]) -> Expr {
    let of = |(from, to): &(u8, u8)| col("hour").gt_eq(lit(i32::from(*from))).and(col("hour").lt(lit(i32::from(*to))));
    hours.iter().map(of).reduce(Expr::or).unwrap()
}

/// Every segment and day, by polars.
fn segment_days_of_polars(paths: &[PathBuf], hours: &[(u8, u8)]) -> BTreeMap<(i64, i32), SegmentDay> {
    let real = |name: &str| col(name).cast(DataType::Float64);
    let is_covered = real("distance_mm").gt_eq(real("length_mm") * lit(COVERAGE_MIN));
    let travel = real("length_mm") * real("time_ms") / real("distance_mm");
    let found = scan(paths)
        .unwrap()
        .filter(asked(hours))
        .with_columns([
            when(is_covered.clone()).then(travel).otherwise(lit(0.0)).alias("travel_ms"),
            when(is_covered).then(lit(1_i32)).otherwise(lit(0_i32)).alias("is_covered"),
        ])
        .group_by([col("segment"), col("day")])
        .agg([
            col("distance_mm").sum(),
            col("time_ms").sum(),
            col("delay_ms").sum(),
            col("vehicles_min").max(),
            col("is_covered").sum(),
            col("travel_ms").sum(),
            col("hour").count().cast(DataType::Int32).alias("seen"),
        ])
        .collect()
        .unwrap();
    let [day, vehicles, covered, seen] =
        ["day", "vehicles_min", "is_covered", "seen"].map(|n| ints(&found, n).unwrap());
    let [segment, distance, time, delay] =
        ["segment", "distance_mm", "time_ms", "delay_ms"].map(|n| longs(&found, n).unwrap());
    let travel: Vec<f64> = found.column("travel_ms").unwrap().f64().unwrap().into_no_null_iter().collect();
    let row = |row: usize| {
        let sums = SegmentDay {
            distance_mm: distance[row],
            time_ms: time[row],
            delay_ms: delay[row],
            vehicles_min: vehicles[row],
            hours: covered[row].unsigned_abs(),
            travel_time_s: travel[row] / 1_000.0,
            seen: seen[row].unsigned_abs(),
        };
        ((segment[row], day[row]), sums)
    };
    (0..day.len()).map(row).collect()
}

/// Every segment over the tables of weekdays, by polars.
fn weekdays_of_polars(paths: &[PathBuf], hours: &[(u8, u8)], days_of_table: i64) -> BTreeMap<i64, WeekdaySum> {
    let sums = ["distance_mm", "time_ms", "delay_ms"].map(|name| col(name).sum());
    let vehicles = col("vehicles_min").max().cast(DataType::Int64);
    let found = scan(paths)
        .unwrap()
        .filter(asked(hours))
        .group_by([col("segment")])
        .agg(sums.into_iter().chain([vehicles]).collect::<Vec<_>>())
        .collect()
        .unwrap();
    let [segment, distance_mm, time_ms, delay_ms, vehicles_min] =
        ["segment", "distance_mm", "time_ms", "delay_ms", "vehicles_min"].map(|n| longs(&found, n).unwrap());
    let row = |row: usize| WeekdaySum {
        segment: segment[row],
        distance_mm: distance_mm[row],
        time_ms: time_ms[row],
        delay_ms: delay_ms[row],
        vehicles_min: vehicles_min[row],
        days_of_table,
    };
    (0..segment.len()).map(|at| (segment[at], row(at))).collect()
}

/// The same sum of numbers in another order differs in its last digits.
fn assert_same(found: &SegmentDay, expected: &SegmentDay) {
    let whole = |sums: &SegmentDay| SegmentDay { travel_time_s: 0.0, ..*sums };
    assert_eq!(whole(found), whole(expected));
    let (found, expected) = (found.travel_time_s, expected.travel_time_s);
    assert!((found - expected).abs() <= expected.abs() * 1e-12, "{found} {expected}");
}

#[test]
fn running_sums_are_the_groups_of_polars() {
    // Few vehicles, so that many rows are not there; two months, and the day with 25 hours.
    for seed in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let random = Made { seed, vehicles: 0.3, hours: (5, 19), ..made("2026-10-22", "2026-11-03") };
        let history = history(&random, folder.path());
        let days = dates("2026-10-22..2026-11-03").unwrap();
        assert_eq!(update(&history, &days).unwrap().made, 13);
        let clock = history.clock(&days).unwrap();
        for when in questions() {
            let expected = segment_days_of_polars(&hour_files(&history, &days), &when.hours);
            let found: BTreeMap<(i64, i32), SegmentDay> = segment_days(&history, &when, &clock)
                .unwrap()
                .into_iter()
                .flat_map(|(day, sums)| {
                    assert!(sums.is_sorted_by(|a, b| a.0 < b.0));
                    let day = day_number(clock.date(day)) as i32;
                    sums.into_iter().map(move |(segment, sums)| ((segment, day), sums))
                })
                .collect();
            assert!(found.keys().eq(expected.keys()) && found.len() > 1_000, "{} {}", found.len(), expected.len());
            found.values().zip(expected.values()).for_each(|(found, expected)| assert_same(found, expected));

            let dates = (0..clock.days()).map(|day| clock.date(day));
            let mut paths: Vec<PathBuf> = dates
                .filter(|date| when.weekdays.contains(&(date.weekday().to_monday_one_offset() as u8)))
                .map(|date| file::weekday_path(&history, date))
                .collect();
            paths.sort();
            paths.dedup();
            let days_of_table = paths.iter().map(|path| file::sources(path).unwrap().len() as i64).sum();
            let expected = weekdays_of_polars(&paths, &when.hours, days_of_table);
            let found = weekday_sums(&history, &days, &when).unwrap();
            let found: BTreeMap<i64, WeekdaySum> = found.into_iter().map(|sum| (sum.segment, sum)).collect();
            assert_eq!(found, expected);
            assert!(found.len() > 100);
        }
    }
}

/// A table of hours with two segments, two hours each, in the order given.
fn write_rows(path: &Path, order: [usize; 4]) {
    let whole = |of: [i64; 4]| Arc::new(Int64Array::from(order.map(|row| of[row]).to_vec())) as ArrayRef;
    let small = |of: [i32; 4]| Arc::new(Int32Array::from(order.map(|row| of[row]).to_vec())) as ArrayRef;
    let columns = [
        ("segment", whole([-5, -5, 9, 9])),
        ("day", small([20_000; 4])),
        ("hour", small([6, 7, 6, 23])),
        ("distance_mm", whole([1_000, 2_000, 50, 4_000])),
        ("time_ms", whole([100, 300, 70, 800])),
        ("delay_ms", whole([1, 2, 3, 4])),
        ("vehicles_min", small([3, 2, 1, 4])),
        ("length_mm", small([1_000; 4])),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn rows_in_another_order_have_the_same_sums() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&Made { hours: (6, 7), ..made("2024-10-04", "2024-10-04") }, folder.path());
    let of_day = date_of_number(20_000);
    let clock = history.clock(&(of_day..=of_day)).unwrap();
    let sums = |order| {
        write_rows(&file::hours_path(&history, of_day), order);
        segment_days(&history, &When::default(), &clock).unwrap()
    };
    let by_segment = sums([0, 1, 2, 3]);
    let five = SegmentDay {
        distance_mm: 3_000,
        time_ms: 400,
        delay_ms: 3,
        vehicles_min: 3,
        hours: 2,
        travel_time_s: 0.25,
        seen: 2,
    };
    // A twentieth of the length in one of its hours.
    let nine = SegmentDay {
        distance_mm: 4_050,
        time_ms: 870,
        delay_ms: 7,
        vehicles_min: 4,
        hours: 1,
        travel_time_s: 0.2,
        seen: 2,
    };
    assert_eq!(by_segment, [(0, vec![(-5, five), (9, nine)])]);
    assert_eq!(sums([0, 2, 1, 3]), by_segment, "by hour");
    assert_eq!(sums([3, 2, 0, 1]), by_segment);
}

/// Every table's bytes.
fn tables(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.join("profile")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(root).unwrap().to_owned(), fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

#[test]
fn several_who_bring_tables_up_to_date_at_once_make_each_day_once() {
    let plain = Made { hours: (6, 8), ..made("2026-06-01", "2026-06-09") };
    let days = dates("2026-06-01..2026-06-09").unwrap();
    let (one, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    update(&history(&plain, one.path()), &days).unwrap();
    let history = history(&plain, many.path());
    let done: Vec<Updated> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..4).map(|_| scope.spawn(|| update(&history, &days).unwrap())).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(done.iter().map(|updated| updated.made).sum::<usize>(), 9, "{done:?}");
    assert!(done.iter().all(|updated| updated.made + updated.kept == 9), "{done:?}");
    assert_eq!(tables(many.path()), tables(one.path()));
}

#[tokio::test]
async fn tables_are_made_when_a_day_was_compacted_without_being_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Made { hours: (6, 8), ..made("2026-06-01", "2026-06-02") };
    let (day_over, days) = watch::channel(0_u64);
    let (opened, mut attempts) = watch::channel(0_u64);
    let stop = CancellationToken::new();
    let (root, network, calendar) = (folder.path().to_owned(), Arc::clone(&plain.network), Arc::clone(&plain.calendar));
    let open = move || -> Result<History, ReportError> {
        opened.send_modify(|n| *n += 1);
        Ok(History {
            archive: crate::report::read::Archive::open(&root, Some("made"))?,
            network: Arc::clone(&network),
            areas: Arc::new(crate::area::Areas::new(&network, None, None)),
            calendar: Arc::clone(&calendar),
        })
    };
    let keeper = tokio::spawn(keep::keep(open, days, stop.clone()));
    // The first attempt finds no archive, and goes on.
    attempts.wait_for(|n| *n == 1).await.unwrap();
    let history = history(&plain, folder.path());
    day_over.send_modify(|n| *n += 1);
    attempts.wait_for(|n| *n >= 2).await.unwrap();
    // What has begun is ended before it stops; the one after that begins nothing.
    day_over.send_modify(|n| *n += 1);
    attempts.wait_for(|n| *n >= 3).await.unwrap();
    stop.cancel();
    keeper.await.unwrap();
    let days = dates("2026-06-01..2026-06-02").unwrap();
    assert_eq!(update(&history, &days).unwrap(), Updated { made: 0, kept: 2, summed: 0 });
    assert_eq!(hour_files(&history, &days).len(), 2);
}
