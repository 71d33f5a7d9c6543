//! Cycles made by hand, in any order.

use super::*;
use proptest::prelude::*;

const WIRING: &str = "device,channel,phase,function\nj,1,2,advance\nj,2,2,presence\nj,3,2,presence\n";

/// One row: a change, or an actuation of a channel.
#[derive(Clone, Copy, Debug)]
enum Row {
    Change(i64, SignalState),
    On(&'static str, i64, Option<i64>),
}

use Row::{Change, On};
use SignalState::{Green, Red, Yellow};

fn signals(rows: &[Row]) -> Signals {
    let mut signals = Signals::new(Wiring::parse(WIRING).unwrap(), 100);
    for row in rows {
        match *row {
            Change(s, state) => signals.change("j", 2, s * 1_000, state),
            On(channel, on, off) => {
                signals.interval(channel, Some(Actuation { on_ms: on * 1_000, off_ms: off.map(|s| s * 1_000) }));
            }
        }
    }
    signals
}

/// Two cycles of 60 s: red 0, green 20, yellow 50, red 60, green 80, yellow 110, red 120.
fn two_cycles() -> Vec<Row> {
    let changes = [(0, Red), (20, Green), (50, Yellow), (60, Red), (80, Green), (110, Yellow), (120, Red)];
    let mut rows: Vec<Row> = changes.map(|(s, state)| Change(s, state)).to_vec();
    // Arrivals: on red (10 s wait), at the very beginning of green, on yellow, on red (5 s).
    rows.extend([On("j.1", 10, Some(11)), On("j.1", 20, Some(21)), On("j.1", 55, Some(56)), On("j.1", 75, Some(76))]);
    // The first green is covered for 25 of 30 s by two detectors together, and the red after it whole.
    rows.extend([On("j.2", 1, Some(35)), On("j.3", 30, Some(45)), On("j.3", 59, Some(66)), On("j.2", 90, Some(100))]);
    rows.push(Change(130, Red));
    rows
}

#[test]
fn arrivals_delay_and_splits_of_two_cycles() {
    let signals = signals(&two_cycles());
    let cycles = signals.cycles_of("j", 2, i64::MIN);
    let whole: Vec<&Cycle> = cycles.iter().filter(|c| c.is_whole).collect();
    assert_eq!(whole.iter().map(|c| (c.start_ms, c.end_ms)).collect::<Vec<_>>(), [(0, 60_000), (60_000, 120_000)]);
    assert_eq!((whole[0].on_green, whole[0].on_yellow, whole[0].on_red, whole[0].delay_ms), (1, 1, 1, 10_000));
    assert_eq!((whole[1].on_green, whole[1].on_red, whole[1].delay_ms), (0, 1, 5_000));
    let split = whole[0].split.unwrap();
    assert!((split.green_occupancy - 25.0 / 30.0).abs() < 1e-9 && split.red_occupancy == 1.0, "{split:?}");
    assert!(split.is_failure());
    assert!(!whole[1].split.unwrap().is_failure());
    let figures = &signals.figures(0)[&("j".to_owned(), 2)];
    assert_eq!(
        (figures.cycles, figures.cycle_s, figures.green_s, figures.yellow_s, figures.red_s),
        (2, 60.0, 30.0, 10.0, 20.0)
    );
    assert_eq!((figures.arrivals, figures.arrivals_on_green, figures.split_failures), (Some(4), Some(1), Some(1)));
    assert_eq!(figures.delay_s, Some(15.0));
    // 1 of 4 arrivals on green, 60 of 130 s green (a stretch of 10 s has none).
    assert!((figures.platoon_ratio.unwrap() - 0.25 / (60.0 / 130.0)).abs() < 1e-9, "{figures:?}");
}

#[test]
fn an_on_without_an_off_is_half_or_until_the_next() {
    let mut rows = two_cycles();
    rows.retain(|row| !matches!(row, On("j.2" | "j.3", ..)));
    // Known before green; then on at 20 and again at 22 (rapid), at 40 (half of 18 s), off at 41.
    rows.extend([On("j.2", 1, Some(2)), On("j.2", 20, None), On("j.2", 22, None), On("j.2", 40, Some(41))]);
    let split = signals(&rows).cycles_of("j", 2, i64::MIN)[0].split.unwrap();
    assert!((split.green_occupancy - (2.0 + 9.0 + 1.0) / 30.0).abs() < 1e-9, "{split:?}");
}

#[test]
fn without_detectors_nothing_is_said_of_arrivals() {
    let mut signals = Signals::new(Wiring::default(), 100);
    for (s, state) in [(0, Red), (20, Green), (50, Yellow), (60, Red), (70, Green)] {
        signals.change("j", 2, s * 1_000, state);
    }
    let figures = &signals.figures(0)[&("j".to_owned(), 2)];
    assert_eq!((figures.cycles, figures.arrivals, figures.split_failures, figures.delay_s), (1, None, None, None));
    assert!(signals.figures(70_001).is_empty(), "older than asked for");
    signals.forget_silent(70_001);
    assert!(signals.is_empty());
}

#[test]
fn cycles_that_lost_a_change_are_not_whole_and_late_rows_are_counted() {
    let mut signals = signals(&[
        Change(0, Red),
        Change(20, Green),
        Change(60, Red),
        Change(80, Green),
        Change(110, Yellow),
        Change(120, Red),
    ]);
    assert_eq!(signals.figures(0)[&("j".to_owned(), 2)].cycles, 1);
    signals.change("j", 2, 120_000 + SETTLE_MS + RED_WATCHED_MS, Green);
    signals.change("j", 2, 50_000, Yellow);
    signals.interval("j.1", Some(Actuation { on_ms: 30_000, off_ms: Some(31_000) }));
    assert_eq!(signals.counts().late, 2);
    signals.interval("j.1", Actuation::of(0, 60_000, Some(7), Some(0.2)));
    assert_eq!(signals.counts().not_actuations, 1);
}

#[test]
fn memory_is_bounded() {
    let mut signals = Signals::new(Wiring::parse(WIRING).unwrap(), 10);
    signals.change("j", 2, 0, Green);
    // It rests in green while 30,000 vehicles pass, one a tick.
    for at in 0..30_000 {
        signals.interval("j.1", Some(Actuation { on_ms: at, off_ms: Some(at + 1) }));
    }
    assert!(signals.counts().cut > 0, "{:?}", signals.counts());
    for at in 0..100 {
        for (s, state) in [(0, Red), (1, Green), (2, Yellow)] {
            signals.change("j", 2, 60_000 + (at * 3 + s) * 60_000, state);
        }
    }
    assert!(signals.counts().forgotten > 0);
    let phases = signals.cycles().next().unwrap().1.len();
    // Those that are kept, and those of the last five minutes.
    assert!(phases <= 10 + 3, "{phases}");
}

proptest! {
    #[test]
    fn any_order_within_the_settling_time_gives_the_same_cycles(rows in Just(two_cycles()).prop_shuffle()) {
        let (mut ordered, mut shuffled) = (signals(&two_cycles()), signals(&rows));
        let summed = |signals: &Signals| {
            let cycles = signals.cycles_of("j", 2, i64::MIN);
            cycles.into_iter().filter(|c| c.is_whole).collect::<Vec<_>>()
        };
        prop_assert_eq!(summed(&ordered), summed(&shuffled));
        ordered.finish();
        shuffled.finish();
        prop_assert_eq!(summed(&ordered), summed(&shuffled));
    }
}
