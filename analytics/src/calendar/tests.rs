//! Clock changes to the hour, named days, and what is no calendar.

use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn berlin() -> Calendar {
    Calendar::of_zone("Europe/Berlin").unwrap()
}

fn day(text: &str) -> Date {
    date(text).unwrap()
}

/// 2026-10-25 in Berlin: at 03:00 summer time it is 02:00 again.
#[test]
fn the_hour_that_is_there_twice_counts_twice() {
    let clock = berlin().clock(day("2026-10-24"), day("2026-10-26")).unwrap();
    let span = clock.day_ms(1);
    assert_eq!((span.end - span.start) / HOUR_MS, 25);
    let hours: Vec<u32> = (0..25).map(|h| clock.at(span.start + h * HOUR_MS).unwrap().minute / 60).collect();
    let wanted: Vec<u32> = [0, 1, 2, 2].into_iter().chain(3..24).collect();
    assert_eq!(hours, wanted);
    assert_eq!([7, 8, 11, 12].map(|q| clock.quarters_of(1, q)), [1, 2, 2, 1]);
    assert_eq!(clock.quarters_of(0, 8), 1);
}

/// 2026-03-29 in Berlin: 02:00 to 03:00 does not exist.
#[test]
fn the_hour_that_is_skipped_is_no_missing_data() {
    let clock = berlin().clock(day("2026-03-29"), day("2026-03-29")).unwrap();
    let span = clock.day_ms(0);
    assert_eq!((span.end - span.start) / HOUR_MS, 23);
    let hours: Vec<u32> = (0..23).map(|h| clock.at(span.start + h * HOUR_MS).unwrap().minute / 60).collect();
    assert_eq!(hours, [0, 1].into_iter().chain(3..24).collect::<Vec<_>>());
    assert_eq!([7, 8, 11, 12].map(|q| clock.quarters_of(0, q)), [1, 0, 0, 1]);
    assert_eq!(clock.at(span.end), None);
}

/// Lord Howe Island changes by half an hour; Shanghai not at all; São Paulo used to skip midnight.
#[test]
fn other_clocks() {
    let howe = Calendar::of_zone("Australia/Lord_Howe").unwrap();
    let clock = howe.clock(day("2026-04-05"), day("2026-04-05")).unwrap();
    let total: u32 = (0..96).map(|q| clock.quarters_of(0, q)).sum();
    assert_eq!(total, 98);
    let shanghai = Calendar::of_zone("Asia/Shanghai").unwrap();
    let clock = shanghai.clock(day("2026-03-29"), day("2026-10-25")).unwrap();
    assert!((0..clock.days()).all(|d| clock.day_ms(d).end - clock.day_ms(d).start == 24 * HOUR_MS));
    let paulo = Calendar::of_zone("America/Sao_Paulo").unwrap();
    let clock = paulo.clock(day("2018-11-04"), day("2018-11-04")).unwrap();
    assert_eq!(clock.at(clock.day_ms(0).start), Some(Local { day: 0, minute: 60 }));
    assert_eq!((clock.quarters_of(0, 0), clock.quarters_of(0, 4)), (0, 1));
}

#[test]
fn days_have_names() {
    let text = "zone = \"Europe/Berlin\"\n[[holiday]]\nname = \"Einheit\"\ndate = \"2026-10-03\"\n\
                [[event]]\nname = \"Marathon\"\nfrom = \"2026-09-26\"\nto = \"2026-09-27\"\n";
    let calendar = Calendar::parse(text).unwrap();
    assert!(calendar.is_holiday(day("2026-10-03")) && !calendar.is_holiday(day("2026-09-26")));
    assert_eq!(calendar.days_called("Marathon").unwrap(), [day("2026-09-26")..=day("2026-09-27")]);
    assert_eq!(calendar.days_called("2026-09-01").unwrap(), [day("2026-09-01")..=day("2026-09-01")]);
    assert!(calendar.days_called("Karneval").is_err());
    assert_eq!(calendar.names_of(day("2026-09-27")).map(|n| n.name.as_str()).collect::<Vec<_>>(), ["Marathon"]);
}

#[test]
fn what_is_no_calendar_is_refused() {
    for (text, told) in [
        ("zone = \"Europe/Bärlin\"", "IANA"),
        ("zone = \"UTC\"\n[[holiday]]\nname = \"x\"", "needs either"),
        ("zone = \"UTC\"\n[[event]]\nname = \"x\"\nfrom = \"2026-02-02\"\nto = \"2026-02-01\"", "after it ends"),
        ("zone = \"UTC\"\n[[holiday]]\nname = \"x\"\ndate = \"2026-02-30\"", "neither a date"),
        ("holydays = 3", "unknown field"),
    ] {
        let error = Calendar::parse(text).unwrap_err().to_string();
        assert!(error.contains(told), "{text}: {error}");
    }
    assert!(berlin().clock(day("2026-01-02"), day("2026-01-01")).is_err());
    assert!(berlin().clock(day("2020-01-01"), day("2026-01-01")).is_err());
    assert!(dates("2026-01-02..2026-01-01").is_err() && dates("2026-01-01..2026-01-02").is_ok());
}

proptest! {
    /// Every moment of a stretch lies on the day whose borders hold it, and quarters add up to the day.
    #[test]
    fn days_and_quarters_hold_every_moment(start in 0_i64..20_000, days in 1_i64..9, zone in 0_usize..4) {
        let zone = ["Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe"][zone];
        let calendar = Calendar::of_zone(zone).unwrap();
        let (from, to) = (date_of_number(start), date_of_number(start + days - 1));
        let clock = calendar.clock(from, to).unwrap();
        for d in 0..clock.days() {
            let span = clock.day_ms(d);
            let quarters: u32 = (0..96).map(|q| clock.quarters_of(d, q)).sum();
            prop_assert_eq!(i64::from(quarters) * QUARTER_MS, span.end - span.start);
            for at in (span.start..span.end).step_by(1_800_000) {
                prop_assert_eq!(clock.at(at).unwrap().day, d);
                prop_assert_eq!(calendar.date_of(at), clock.date(d));
            }
        }
    }
}
