//! How often intervals hold the truth, on days that are drawn.

use super::super::statistics::{Change, DayValue, Draw, change};

/// Days of a kind: independent, skewed, or each like the one before.
pub(super) fn days(draw: &mut Draw, first: i64, n: usize, kind: usize) -> Vec<DayValue> {
    let mut last = 0.0;
    let mut all = Vec::new();
    for day in first.. {
        if all.len() == n {
            break;
        }
        let weekday = (day.rem_euclid(7) + 1) as u8;
        last = match kind {
            0 => draw.normal() * 0.1,
            1 => (draw.normal() * 0.4).exp() - (0.08_f64).exp(),
            _ => 0.3 * last + draw.normal() * 0.1,
        };
        if weekday <= 5 {
            all.push(DayValue { day, weekday, value: 1.0 + 0.05 * f64::from(weekday) + last });
        }
    }
    all
}

/// How many of a thousand intervals hold the truth, which is no change, of `n` days a side that begin so many days apart.
fn held(mut draw: Draw, n: usize, apart: i64, kind: usize) -> usize {
    let holds = |_: &i32| {
        let (before, after) = (days(&mut draw, 0, n, kind), days(&mut draw, apart, n, kind));
        let found = change(&before, &after, Change::Difference, 200).unwrap();
        found.low <= 0.0 && 0.0 <= found.high
    };
    (0..1_000).filter(holds).count()
}

/// How often the interval holds the truth, of a thousand: printed, and held at what it is.
#[test]
fn intervals_cover_what_they_promise() {
    for (kind, name, least) in [(0, "normal", 950), (1, "skewed", 950), (2, "correlated by 0.3", 940)] {
        for n in [10, 20, 40] {
            let held = held(Draw(n as u64 * 100 + kind as u64), n, 140, kind);
            println!("{name}, {n} days a side: {held} of 1000");
            assert!(held >= least, "{name}, {n} days: {held}");
        }
    }
}

/// The same of one week against another: pairs of weekdays.
#[test]
fn intervals_cover_of_one_week_a_side() {
    for (kind, name, least) in [(0, "normal", 930), (1, "skewed", 930), (2, "correlated by 0.3", 865)] {
        let held = held(Draw(7 + kind as u64), 5, 7, kind);
        println!("{name}, one week a side: {held} of 1000");
        assert!(held >= least, "{name}: {held}");
    }
}

/// The test's own example: five of the patients in Student's paper (The Probable Error of a Mean, 1908).
#[test]
fn a_pair_of_weeks_is_judged_as_student_did() {
    let side = |first: i64, values: [f64; 5]| -> Vec<DayValue> {
        (1..6_u8)
            .map(|w| DayValue { day: first + i64::from(w), weekday: w, value: values[usize::from(w) - 1] })
            .collect()
    };
    // Hours of additional sleep under two drugs: differences 1.2, 2.4, 1.3, 1.3 and 0.
    let (before, after) = (side(0, [0.7, -1.6, -0.2, -1.2, -0.1]), side(7, [1.9, 0.8, 1.1, 0.1, -0.1]));
    let found = change(&before, &after, Change::Difference, 200).unwrap();
    // Mean 1.24, standard deviation 0.8503, t of four degrees of freedom 2.776: 1.24 ± 1.056.
    assert!((found.value - 1.24).abs() < 1e-9, "{found:?}");
    assert!((found.high - found.low - 2.0 * 1.056).abs() < 0.02, "{found:?}");
    assert_eq!(change(&before[..3], &after[..3], Change::Difference, 200), None, "too little data");
    // A fifth more on every day is a fifth, and sure.
    let (before, after) = (side(0, [5.0, 4.0, 6.0, 5.5, 7.0]), side(7, [6.0, 4.8, 7.2, 6.6, 8.4]));
    let found = change(&before, &after, Change::Relative, 200).unwrap();
    assert!((found.value - 0.2).abs() < 1e-9 && found.high - found.low < 1e-6, "{found:?}");
}
