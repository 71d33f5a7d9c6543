//! A change from pairs of weekdays: this Monday against that Monday.
//!
//! One week a side has too few days of each weekday to tell how much a day varies about its weekday's mean. How much the
//! change itself varies from weekday to weekday still tells how sure it is: a weekday's change is one figure, its weight
//! n₁n₂/(n₁+n₂) as in [`super::change`], and the interval Student's t with one degree of freedom less than there are
//! weekdays (with one day each, the paired test of Student 1908). Where the change differs by weekday, the interval is wider
//! for it. A correlation of neighbouring days cannot be told from so few, so it is not reckoned with.
//!
//! Upstream and downstream: [`super`].

use super::{Change, FREEDOM_MIN, Group, Interval, student, weights};

/// The change with its interval; `None` where there are too few weekdays.
pub(super) fn change(b: &Group, a: &Group, what: Change) -> Option<Interval> {
    let weights = weights(b, a)?;
    let pairs: Vec<(f64, f64, f64)> =
        (0..8).filter(|w| weights[*w] > 0.0).map(|w| (weights[w], b.mean[w], a.mean[w])).collect();
    let freedom = pairs.len() as f64 - 1.0;
    if freedom < FREEDOM_MIN {
        return None;
    }
    let before: f64 = pairs.iter().map(|(weight, before, _)| weight * before).sum();
    let after: f64 = pairs.iter().map(|(weight, _, after)| weight * after).sum();
    let (value, factor, shift, scale) = match what {
        Change::Difference => (after - before, 1.0, after - before, 1.0),
        // By the delta method, as a part of what was before.
        Change::Relative if before > 0.0 => (after / before - 1.0, after / before, 0.0, before),
        Change::Relative => return None,
    };
    // What a weekday has beyond the common change. The weights add up to 1, so the variance of their mean is the weighted
    // square over the degrees of freedom.
    let squares: f64 = pairs.iter().map(|(weight, b, a)| weight * (a - b * factor - shift).powi(2)).sum();
    let bound = student(freedom) * (squares / freedom).sqrt() / scale;
    Some(Interval { value, low: value - bound, high: value + bound })
}
