//! Reports over archives that are made up: what was planted is found, what did not change is not, days are right to the hour.

mod intervals;

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use roads::generate::{CityPlan, city};

use intervals::days;

use super::compare::{Question, Verdict, compare};
use super::made::{Made, Planted};
use super::place::{PlaceKind, PlaceName, signed};
use super::quality::quality;
use super::ranking::ranking;
use super::reliability::reliability;
use super::series::Series;
use super::statistics::{Change, DayValue, Draw, change};
use super::told::{Format, Report};
use super::typical::typical_day;
use super::words::Language;
use super::*;
use crate::calendar::{date, dates};

fn network() -> Arc<Network> {
    Arc::new(city(&CityPlan { blocks_x: 6, blocks_y: 6, ..CityPlan::default() }))
}

pub(super) fn made(from: &str, to: &str) -> Made {
    let calendar = Arc::new(Calendar::of_zone("Europe/Berlin").unwrap());
    Made::new(network(), calendar, date(from).unwrap(), date(to).unwrap())
}

pub(super) fn history(made: &Made, root: &Path) -> History {
    made.write(root).unwrap();
    History {
        archive: Archive::open(root, None).unwrap(),
        network: Arc::clone(&made.network),
        areas: Arc::new(Areas::new(&made.network, None, None)),
        calendar: Arc::clone(&made.calendar),
    }
}

fn corridors(history: &History) -> Vec<Place> {
    history.areas.corridors().iter().map(|area| Place::of_area(area, &history.network)).collect()
}

/// Four weeks against four weeks, weekdays, in the morning.
fn question() -> Question {
    Question {
        before: dates("2026-05-04..2026-05-31").unwrap(),
        after: dates("2026-06-01..2026-06-28").unwrap(),
        when: When { weekdays: vec![1, 2, 3, 4, 5], hours: vec![(6, 10)], ..When::default() },
        control: None,
    }
}

fn mornings(seed: u64) -> Made {
    Made { hours: (6, 10), seed, ..made("2026-05-04", "2026-06-28") }
}

#[test]
fn a_corridor_that_got_slower_by_a_fifth_is_ranked_first_and_is_clear() {
    let folder = tempfile::tempdir().unwrap();
    let plain = mornings(7);
    let areas = Areas::new(&plain.network, None, None);
    let worse = &areas.corridors()[2];
    let planted = Planted { segments: worse.segments.clone(), from: date("2026-06-01").unwrap(), factor: 1.2 };
    let history = history(&Made { planted: Some(planted), ..plain }, folder.path());
    let found = ranking(&history, PlaceKind::Corridor, &question(), 20).unwrap();
    let first = &found.rows[0];
    assert_eq!((first.place.id.as_str(), first.rank, first.verdict), (worse.name.as_str(), 1, Verdict::Increase));
    for interval in [first.change.travel_time_percent, first.change.delay_vehicle_h_per_day].map(Option::unwrap) {
        assert!(interval.low > 0.0, "{interval:?}");
    }
    let percent = first.change.travel_time_percent.unwrap();
    assert!(percent.low < 20.0 && percent.high > 20.0, "{percent:?}");
    assert_eq!((first.before.days, first.after.days), (20, 20));

    // The comparison of that corridor alone says the same.
    let place = Place::of_area(worse, &history.network);
    let alone = compare(&history, &place, &question()).unwrap();
    assert_eq!(alone.change, first.change);
    assert_eq!((alone.verdict, alone.verdict_of), (Verdict::Increase, "travel_time_percent"));

    // Of the segments, only those of the corridor are clear.
    let segments = ranking(&history, PlaceKind::Segment, &question(), 200).unwrap();
    let planted = place.segments();
    let is_planted = |id: &str| planted.contains(&signed(id.parse().unwrap()));
    let clear: Vec<bool> =
        segments.rows.iter().filter(|r| r.verdict == Verdict::Increase).map(|r| is_planted(&r.place.id)).collect();
    assert!(clear.iter().filter(|p| **p).count() >= planted.len() * 9 / 10, "{clear:?}");
    assert!(clear.iter().filter(|p| !**p).count() <= segments.compared / 20 + 1, "{clear:?}");
}

/// The requirement: at least 95 of 100. Seeds are the first hundred, not chosen.
#[test]
fn a_city_that_did_not_change_is_called_unchanged() {
    let network = network();
    let unchanged = (1..=100).filter(|&seed| {
        let folder = tempfile::tempdir().unwrap();
        let made = Made { network: Arc::clone(&network), hours: (7, 9), ..mornings(seed) };
        let history = history(&made, folder.path());
        let place = &corridors(&history)[0];
        let question = Question { when: When { hours: vec![(7, 9)], ..question().when }, ..question() };
        compare(&history, place, &question).unwrap().verdict == Verdict::NoClearChange
    });
    let unchanged = unchanged.count();
    println!("no clear change in {unchanged} of 100 seeds");
    assert!(unchanged >= 95, "{unchanged}");
}

#[test]
fn weekdays_are_matched() {
    // Fridays are slow, and there are more of them after: no change.
    let day = |day: i64, weekday: u8, value: f64| DayValue { day, weekday, value };
    let mut draw = Draw(3);
    let mut noise = || 1.0 + 0.01 * draw.normal();
    let mut side = |first: i64, mondays: i64, fridays: i64| -> Vec<DayValue> {
        let of_monday = (0..mondays).map(|i| day(first + i * 7, 1, 100.0 * noise())).collect::<Vec<_>>();
        let of_friday = (0..fridays).map(|i| day(first + i * 7 + 4, 5, 200.0 * noise())).collect::<Vec<_>>();
        [of_monday, of_friday].concat()
    };
    let found = change(&side(0, 10, 4), &side(140, 4, 10), Change::Relative, 500).unwrap();
    assert!(!found.is_clear() && found.value.abs() < 0.02, "{found:?}");
    // Days of a weekday that only one side has are not looked at.
    let found = change(&side(0, 6, 0), &side(140, 6, 6), Change::Relative, 500).unwrap();
    assert!(!found.is_clear() && found.value.abs() < 0.02, "{found:?}");
    assert_eq!(change(&side(0, 2, 0), &side(140, 6, 6), Change::Relative, 500), None, "too little data");
}

#[test]
fn a_control_takes_out_what_happened_to_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let plain = mornings(5);
    let everything = plain.network.indices().collect();
    let planted = Planted { segments: everything, from: date("2026-06-01").unwrap(), factor: 1.15 };
    let history = history(&Made { planted: Some(planted), ..plain }, folder.path());
    let [place, control] = [0, 1].map(|i| corridors(&history)[i].clone());
    let with = Question { control: Some(control), ..question() };
    let found = compare(&history, &place, &with).unwrap();
    let control = found.control.unwrap();
    assert!(control.unadjusted.travel_time_percent.unwrap().low > 0.0, "it did get slower");
    assert!(control.change.travel_time_percent.unwrap().low > 0.0, "and so did the control");
    assert_eq!(found.verdict, Verdict::NoClearChange, "{:?}", found.change);
    assert!(!found.change.delay_vehicle_h_per_day.unwrap().is_clear(), "{:?}", found.change);
}

/// A steady city, over both changes of the clock: an hour that is there twice has twice the kilometres and is told as one
/// hour; one that is skipped is not missing.
#[test]
fn days_of_a_clock_change_are_right_to_the_hour() {
    for (from, to, day, twice, skipped) in
        [("2026-10-24", "2026-10-26", 1, Some(2), None), ("2026-03-28", "2026-03-30", 1, None, Some(2))]
    {
        let folder = tempfile::tempdir().unwrap();
        let made = Made { day_sigma: 0.0, interval_sigma: 0.0, vehicles: 200.0, ..made(from, to) };
        let history = history(&made, folder.path());
        let city = Place::find(&PlaceName::City, &history.network, &history.areas).unwrap();
        let days = date(from).unwrap()..=date(to).unwrap();
        for place in [&city, &corridors(&history)[0]] {
            let series = Series::of(&history, place, &days, 60).unwrap();
            let km = |hour: usize| series.slot(day, hour).distance_mm as f64 / 1e6;
            for hour in 0..24 {
                let (share, hours) = (km(hour) / km(12), series.hours_of(day, hour));
                let wanted = if Some(hour) == twice {
                    2.0
                } else if Some(hour) == skipped {
                    0.0
                } else {
                    1.0
                };
                assert!((share - wanted).abs() < 0.05, "{from} {} hour {hour}: {share}", place.id);
                assert!((hours - wanted).abs() < 1e-9, "{from} {} hour {hour}: {hours}", place.id);
            }
        }
        let week = typical_day(&history, &corridors(&history)[0], &days, &When::default()).unwrap();
        let at = |quarter: usize| week.rows.iter().find(|r| r.weekday == 7 && r.quarter == quarter);
        match twice {
            // Both times two o'clock are of one day, and delay is told by the hour.
            Some(_) => {
                let (two, three) = (at(8).unwrap(), at(12).unwrap());
                assert_eq!((two.days, two.days_asked), (1, 1));
                let [two, three] = [two, three].map(|r| r.delay_vehicle_h_per_h.unwrap());
                assert!((two / three - 1.0).abs() < 0.3, "{two} {three}");
            }
            None => assert!(at(8).is_none() && at(7).is_some() && at(12).is_some(), "no such quarter on that day"),
        }
        let quality = quality(&history, &days).unwrap();
        let minutes: Vec<u32> = quality.rows.iter().map(|r| r.minutes).collect();
        assert_eq!(minutes, [1_440, if twice.is_some() { 1_500 } else { 1_380 }, 1_440]);
        assert!(quality.rows.iter().all(|r| r.silent_minutes == 0), "{:?}", quality.rows);
    }
}

/// Sums by segment and hour of the tables.
fn table(history: &History, day: &str) -> BTreeMap<(i64, usize), profile::day::Sum> {
    let date = date(day).unwrap();
    let mut sums = profile::day::DaySums::of(history, date).unwrap();
    let blank = sums.clone();
    for at in 0..sums.segments.len() {
        for hour in 0..24 {
            let minus = blank.sum(at, hour);
            let negative = profile::day::Sum {
                distance_mm: -minus.distance_mm,
                time_ms: -minus.time_ms,
                delay_ms: -minus.delay_ms,
                reports: -minus.reports,
                minutes: -minus.minutes,
                vehicles_min: -minus.vehicles_min,
                days: -minus.days,
            };
            sums.add(at, hour, &negative);
        }
    }
    profile::file::read_weekday(&profile::file::weekday_path(history, date), &mut sums).unwrap();
    let cells = (0..sums.segments.len()).flat_map(|at| (0..24).map(move |hour| (at, hour)));
    cells.map(|(at, hour)| ((sums.segments[at].0, hour), *sums.sum(at, hour))).collect()
}

#[test]
fn adding_a_day_twice_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Made { hours: (6, 9), ..made("2026-06-01", "2026-06-16") };
    let history_of = history(&plain, folder.path());
    let days = dates("2026-06-01..2026-06-16").unwrap();
    let first = profile::update(&history_of, &days).unwrap();
    assert_eq!((first.made, first.kept), (16, 0));
    let monday = table(&history_of, "2026-06-08");
    let bytes = |name: &str| {
        let date = date("2026-06-08").unwrap();
        let of = [profile::file::hours_path(&history_of, date), profile::file::weekday_path(&history_of, date)];
        of.map(|path| std::fs::read(path).unwrap_or_else(|e| panic!("{name}: {e}")))
    };
    let before = bytes("before");
    let again = profile::update(&history_of, &days).unwrap();
    assert_eq!((again.made, again.kept), (0, 16));
    assert_eq!(bytes("again"), before);
    // Three Mondays: their sums are those of the days.
    let mondays = ["2026-06-01", "2026-06-08", "2026-06-15"]
        .map(|day| profile::day::DaySums::of(&history_of, date(day).unwrap()).unwrap());
    let mut all = mondays[0].clone();
    mondays[1..].iter().for_each(|day| all.merge(day));
    for (at, (segment, _)) in all.segments.iter().enumerate() {
        for hour in 0..24 {
            assert_eq!(all.sum(at, hour), &monday[&(*segment, hour)]);
        }
    }
    // A day that was counted again with other vehicles takes the place of itself.
    let other = Made { seed: 99, from: date("2026-06-08").unwrap(), to: date("2026-06-08").unwrap(), ..plain };
    other.write(folder.path()).unwrap();
    let changed = profile::update(&history_of, &days).unwrap();
    assert!(changed.made >= 1, "{changed:?}");
    let after = table(&history_of, "2026-06-08");
    assert_ne!(after, monday);
    std::fs::remove_dir_all(folder.path().join("profile")).unwrap();
    profile::update(&history_of, &days).unwrap();
    assert_eq!(table(&history_of, "2026-06-08"), after, "as if it had always been so");
}

/// The tables of hours hold what the cells hold; a day without a table is read from the cells.
#[test]
fn hours_are_the_same_from_tables_and_from_cells() {
    let folder = tempfile::tempdir().unwrap();
    let made = Made { hours: (5, 9), vehicles: 2.0, ..made("2026-10-23", "2026-10-27") };
    let history_of = history(&made, folder.path());
    let place = &corridors(&history_of)[0];
    let days = dates("2026-10-23..2026-10-27").unwrap();
    let from_cells = Series::of(&history_of, place, &days, 60).unwrap();
    let same = |what: &str| {
        let found = Series::by_hours(&history_of, place, &days, &When::default()).unwrap();
        for day in 0..5 {
            for hour in 0..24 {
                assert_eq!(found.slot(day, hour), from_cells.slot(day, hour), "{what}: day {day}, hour {hour}");
            }
        }
    };
    same("tables");
    assert!(profile::file::hours_path(&history_of, date("2026-10-25").unwrap()).exists());
    // The newest day is not over while its file has minutes, not fives.
    let five = folder.path().join("cells_5min/city=made/date=2026-10-27");
    let one = folder.path().join("cells_1min/city=made/date=2026-10-27/hour=05");
    std::fs::create_dir_all(&one).unwrap();
    std::fs::rename(five.join("day.parquet"), one.join("part.parquet")).unwrap();
    std::fs::remove_dir_all(folder.path().join("profile")).unwrap();
    same("a day from its minutes");
    assert!(!profile::file::hours_path(&history_of, date("2026-10-27").unwrap()).exists());
}

#[test]
fn few_vehicles_are_not_told_and_half_a_corridor_has_no_travel_time() {
    let folder = tempfile::tempdir().unwrap();
    let few = Made { vehicles: 0.2, ..made("2026-06-01", "2026-06-03") };
    let history_of = history(&few, folder.path());
    let segment = Place::of_segment(roads::SegmentIndex(0), &history_of.network);
    let days = dates("2026-06-01..2026-06-03").unwrap();
    let week = typical_day(&history_of, &segment, &days, &When::default()).unwrap();
    assert!(week.suppressed > 0);
    assert!(week.rows.iter().all(|r| r.speed_mps.is_none() && r.delay_vehicle_h_per_h.is_none()));

    let folder = tempfile::tempdir().unwrap();
    let many = Made { hours: (6, 8), vehicles: 60.0, ..made("2026-06-01", "2026-06-12") };
    let history_of = history(&many, folder.path());
    let mut place = corridors(&history_of)[0].clone();
    let whole = typical_day(&history_of, &place, &dates("2026-06-01..2026-06-12").unwrap(), &When::default()).unwrap();
    let told = |week: &typical::TypicalDay| week.rows.iter().filter(|r| r.travel_time_s.is_some()).count();
    assert!(told(&whole) > 0 && whole.rows.iter().all(|r| !r.imputed));
    // A tenth that nobody ever drives is imputed; with half of it there is no travel time.
    for (share, is_told) in [(0.1, true), (1.0, false)] {
        let missing_m = place.length_m * share;
        let mut longer = place.clone();
        longer.parts.push(place::Part { segment: i64::MAX, length_m: missing_m });
        longer.length_m += missing_m;
        let week =
            typical_day(&history_of, &longer, &dates("2026-06-01..2026-06-12").unwrap(), &When::default()).unwrap();
        assert_eq!(told(&week) > 0, is_told, "{share}");
        assert!(week.rows.iter().all(|r| r.travel_time_s.is_none() || r.imputed));
    }
    place.parts.clear();
    let nothing = typical_day(&history_of, &place, &dates("2026-06-01..2026-06-12").unwrap(), &When::default());
    assert!(matches!(nothing, Err(ReportError::NoData { .. })));
}

#[test]
fn a_free_road_has_indices_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let steady = Made { day_sigma: 0.0, interval_sigma: 0.0, hours: (0, 3), ..made("2026-06-01", "2026-06-12") };
    let history_of = history(&steady, folder.path());
    let places = [corridors(&history_of)[0].clone()];
    let found = reliability(&history_of, &places, &dates("2026-06-01..2026-06-12").unwrap(), &When::default()).unwrap();
    let all = found.rows.iter().find(|r| r.period == "all").unwrap();
    let near = |value: Option<f64>, wanted: f64| (value.unwrap() - wanted).abs() < 0.05;
    assert!(near(all.travel_time_index, 1.03) && near(all.planning_time_index, 1.03), "{all:?}");
    assert!(near(all.buffer_index, 0.0), "{all:?}");
    assert!(found.rows.iter().filter(|r| r.period != "all").all(|r| r.intervals == 0 && r.lottr.is_none()));
}

#[test]
fn every_report_is_told_in_every_form_and_language() {
    let folder = tempfile::tempdir().unwrap();
    let made = mornings(3);
    let history_of = history(&made, folder.path());
    let place = corridors(&history_of)[0].clone();
    let (days, question) = (dates("2026-05-04..2026-05-31").unwrap(), question());
    let reports = [
        Report::Typical(typical_day(&history_of, &place, &days, &When::default()).unwrap()),
        Report::Compare(Box::new(compare(&history_of, &place, &question).unwrap())),
        Report::Ranking(ranking(&history_of, PlaceKind::Corridor, &question, 5).unwrap()),
        Report::TypicalRanking(super::ranking::typical(&history_of, &days, &When::default(), 5).unwrap()),
        Report::Reliability(reliability(&history_of, &[place], &days, &When::default()).unwrap()),
        Report::Bottlenecks(bottlenecks::bottlenecks(&history_of, None, &days, &When::default()).unwrap()),
        Report::Quality(quality(&history_of, &days).unwrap()),
    ];
    for report in &reports {
        let csv = report.told(Format::Csv, Language::English).unwrap();
        let rows = report.table(Language::English).rows.len();
        assert_eq!(csv.matches("\r\n").count(), rows + 1);
        assert!(report.json().unwrap()["zone"] == "Europe/Berlin");
        for language in [Language::English, Language::German, Language::Chinese] {
            let page = report.told(Format::Html, language).unwrap();
            assert!(page.contains(&format!("<html lang=\"{}\">", language.code())));
            assert!(!page.contains("NaN") && !page.contains("inf\""), "a picture with a number that is none");
            assert!(!page.contains("src=") && !page.contains("href=") && !page.contains("<script"), "one page alone");
            assert_eq!(page.matches("<svg").count(), page.matches("role=\"img\"><title>").count());
            assert!(report.told(Format::Text, language).unwrap().lines().count() > 5);
        }
    }
}

/// A segment at a quarter of its speed before one at full speed, from the second day on.
#[test]
fn a_bottleneck_stands_in_the_calendar_of_its_days() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Made { hours: (10, 13), vehicles: 60.0, interval_sigma: 0.01, ..made("2026-06-01", "2026-06-03") };
    let areas = Areas::new(&plain.network, None, None);
    let corridor = &areas.corridors()[0];
    let head = corridor.segments[1];
    let planted = Planted { segments: vec![head], from: date("2026-06-02").unwrap(), factor: 4.0 };
    let history_of = history(&Made { planted: Some(planted), ..plain }, folder.path());
    let days = dates("2026-06-01..2026-06-03").unwrap();
    let found = bottlenecks::bottlenecks(&history_of, None, &days, &When::default()).unwrap();
    assert_eq!(found.days, ["2026-06-01", "2026-06-02", "2026-06-03"]);
    let row = found.rows.iter().find(|r| r.place.id == history_of.network.segment(head).id.to_string()).unwrap();
    let calendar: Vec<_> = row.calendar.iter().map(|c| (c.date.as_str(), c.minutes)).collect();
    // Three hours, less the four intervals before it is sustained.
    assert_eq!(calendar, [("2026-06-02", 160), ("2026-06-03", 160)]);
    assert!(row.delay_vehicle_h > 0.0 && row.days_active == 2);
    let of_zone = bottlenecks::bottlenecks(
        &history_of,
        Some(&Place::of_area(corridor, &history_of.network)),
        &days,
        &When { without: vec![date("2026-06-02").unwrap()..=date("2026-06-02").unwrap()], ..When::default() },
    );
    assert_eq!(of_zone.unwrap().rows[0].days_active, 1);
}

#[test]
fn hours_and_weekdays_are_read() {
    assert_eq!(hours("6-10,16-20").unwrap(), [(6, 10), (16, 20)]);
    assert_eq!(weekdays("1,5").unwrap(), [1, 5]);
    for wrong in ["10-6", "6-25", "6", "16-20,6-10", ""] {
        assert!(hours(wrong).is_err(), "{wrong}");
    }
    assert!(weekdays("0").is_err() && weekdays("8").is_err() && weekdays("").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Reading the pages of some segments gives what reading everything gives.
    #[test]
    fn pages_hold_what_the_file_holds(seed in 0_u64..1_000, chosen in prop::collection::vec(0_usize..300, 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let made = Made { seed, vehicles: 3.0, ..made("2026-06-01", "2026-06-02") };
        let history_of = history(&made, folder.path());
        let n = history_of.network.segments().len();
        let mut wanted: Vec<i64> =
            chosen.iter().map(|at| signed(history_of.network.segments()[at % n].id)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let span = history_of.clock(&dates("2026-06-01..2026-06-02").unwrap()).unwrap().span_ms();
        let some = history_of.archive.rows(&wanted, &span).unwrap();
        let mut all = Vec::new();
        history_of.archive.each_row(&span, |rows| {
            for row in 0..rows.len() {
                if wanted.contains(&rows.segment[row]) {
                    all.push((rows.start_ms[row], rows.segment[row], rows.time_ms[row], rows.vehicle_minutes[row]));
                }
            }
        }).unwrap();
        let mut found: Vec<_> =
            (0..some.len()).map(|r| (some.start_ms[r], some.segment[r], some.time_ms[r], some.vehicle_minutes[r])).collect();
        found.sort_unstable();
        all.sort_unstable();
        prop_assert_eq!(found, all);
    }

    /// What is told is symmetric: sides exchanged, signs exchanged; and a stretch is itself.
    #[test]
    fn a_difference_turns_round(seed in 0_u64..10_000) {
        let mut draw = Draw(seed);
        let (a, b) = (days(&mut draw, 0, 15, 0), days(&mut draw, 140, 20, 1));
        let there = change(&a, &b, Change::Difference, 0).unwrap();
        let back = change(&b, &a, Change::Difference, 0).unwrap();
        prop_assert!((there.value + back.value).abs() < 1e-9);
        prop_assert!((there.low + back.high).abs() < 1e-9 && (there.high + back.low).abs() < 1e-9);
    }
}
