//! Before and after: did a place get worse or better, by how much, and how sure is that?
//!
//! Upstream: [`super::series`] in hours of the clock. Downstream: the API, `arterial report compare`, [`super::ranking`].
//!
//! One figure a day and metric, over the hours that were asked for; then [`super::statistics`]. A day's travel time is the
//! mean over its hours; a day counts where at least half of its hours were seen (of the clock of that day, which may have
//! 23 or 25). Of an area, time per kilometre takes the place of travel time. Holidays are left out.
//!
//! A control place, on which nothing was changed, takes out what happened to everybody: weather, season. It is a
//! difference in differences by day: travel time is divided by the control's on the same day (over its mean before), and
//! from a day's delay the control's excess is taken, in proportion to the two means before. Only days that both have
//! count.
//!
//! The verdict is that of travel time, since it does not depend on how many vehicles report; delay in vehicle-hours is
//! of those that do. Where there is no travel time, delay decides.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use serde::Serialize;

use super::place::Place;
use super::series::Series;
use super::statistics::{CONFIDENCE, Change, DayValue, Interval, RESAMPLES, change, matched_means};
use super::{History, K_EXPORT, ReportError, When, rounded};
use crate::calendar::day_number;

/// Least share of the hours of a day that must be seen for the day to count.
const HOURS_SEEN_MIN: f64 = 0.5;

/// One day of a place over the hours that were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DayFigures {
    /// Days since 1970.
    pub day: i64,
    pub weekday: u8,
    pub vehicle_km: f64,
    pub vehicle_h: f64,
    pub delay_vehicle_h: f64,
    /// Mean over hours that were seen enough; of an area seconds a kilometre.
    pub travel_time_s: Option<f64>,
    pub covered_share: f64,
    pub vehicles_min: i64,
}

/// One side. Means over matched weekdays, so that after minus before is the change.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Side {
    pub from: String,
    pub to: String,
    pub days: usize,
    pub covered_share: f64,
    pub vehicle_km_per_day: Option<f64>,
    pub vehicle_h_per_day: Option<f64>,
    pub delay_vehicle_h_per_day: Option<f64>,
    /// Of a path.
    pub travel_time_s: Option<f64>,
    /// Of an area.
    pub pace_s_per_km: Option<f64>,
}

/// What changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Changes {
    pub delay_vehicle_h_per_day: Option<Interval>,
    pub delay_percent: Option<Interval>,
    pub travel_time_percent: Option<Interval>,
}

/// What is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Increase,
    Decrease,
    NoClearChange,
    TooLittleData,
}

/// The place that nothing was done to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Control {
    pub place: Place,
    /// Its own change.
    pub change: Changes,
    /// The place's change before the control was taken out.
    pub unadjusted: Changes,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub zone: String,
    pub place: Place,
    pub before: Side,
    pub after: Side,
    /// Less the control's, where there is one.
    pub change: Changes,
    pub control: Option<Control>,
    pub verdict: Verdict,
    /// `travel_time_percent` or `delay_vehicle_h_per_day`.
    pub verdict_of: &'static str,
    pub confidence: f64,
    pub resamples: usize,
    pub method: &'static str,
    pub k: i64,
    /// What every day had, for plots.
    pub days: Vec<DayRow>,
}

/// One day, for plots and tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DayRow {
    pub date: String,
    pub side: &'static str,
    pub travel_time_s: Option<f64>,
    pub delay_vehicle_h: f64,
    pub covered_share: f64,
}

/// In words, for whoever reads the answer.
pub const METHOD: &str = "one figure a day; weekdays matched; the wider of a studentised bootstrap over days and \
     Student's t, both widened for correlated days (with one week a side, Student's t over pairs of weekdays); with a \
     control, difference in differences by day";

/// What is compared.
#[derive(Clone, Debug)]
pub struct Question {
    pub before: RangeInclusive<Date>,
    pub after: RangeInclusive<Date>,
    pub when: When,
    pub control: Option<Place>,
}

/// Works it out.
///
/// # Errors
/// Whatever the archive says, and when one of the sides has nothing.
pub fn compare(history: &History, place: &Place, question: &Question) -> Result<Comparison, ReportError> {
    let sides = |place: &Place| {
        let of = |days| -> Result<Vec<DayFigures>, ReportError> {
            let series = Series::by_hours(history, place, days, &question.when)?;
            Ok(day_figures(&series, place, &question.when, history))
        };
        Ok::<_, ReportError>((of(&question.before)?, of(&question.after)?))
    };
    let (before, after) = sides(place)?;
    let control = match &question.control {
        Some(control) => Some((control.clone(), sides(control)?)),
        None => None,
    };
    Ok(judge(history, place, question, (before, after), control, RESAMPLES))
}

type Sides = (Vec<DayFigures>, Vec<DayFigures>);

/// The report of figures by day.
pub fn judge(
    history: &History,
    place: &Place,
    question: &Question,
    (before, after): Sides,
    control: Option<(Place, Sides)>,
    resamples: usize,
) -> Comparison {
    let is_told = |days: &[DayFigures]| days.iter().map(|d| d.vehicles_min).sum::<i64>() >= K_EXPORT;
    let is_told = is_told(&before) && is_told(&after);
    let plain = changes(&before, &after, resamples);
    let (change, control) = match control {
        Some((control_place, (b, a))) => {
            let (adjusted_b, adjusted_a) = (adjusted(&before, &b, (&before, &b)), adjusted(&after, &a, (&before, &b)));
            let own = changes(&b, &a, resamples);
            let net = changes(&adjusted_b, &adjusted_a, resamples);
            (net, Some(Control { place: control_place, change: own.rounded(), unadjusted: plain.rounded() }))
        }
        None => (plain, None),
    };
    let change = if is_told { change } else { Changes::default() };
    let (verdict, verdict_of) = verdict(&change);
    let rows = [("before", &before), ("after", &after)].into_iter().flat_map(|(side, days)| {
        days.iter().map(move |d| DayRow {
            date: crate::calendar::date_of_number(d.day).to_string(),
            side,
            travel_time_s: d.travel_time_s.map(|s| rounded(s, 1)),
            delay_vehicle_h: rounded(d.delay_vehicle_h, 3),
            covered_share: rounded(d.covered_share, 3),
        })
    });
    Comparison {
        zone: history.calendar.zone_name().to_owned(),
        place: place.clone(),
        before: side(&question.before, place, &before, &after, true, is_told),
        after: side(&question.after, place, &before, &after, false, is_told),
        change: change.rounded(),
        control,
        verdict,
        verdict_of,
        confidence: CONFIDENCE,
        resamples,
        method: METHOD,
        k: K_EXPORT,
        days: if is_told { rows.collect() } else { Vec::new() },
    }
}

impl Changes {
    /// Rounded for an answer.
    pub fn rounded(self) -> Self {
        Self {
            delay_vehicle_h_per_day: self.delay_vehicle_h_per_day.map(|i| i.rounded(4)),
            delay_percent: self.delay_percent.map(|i| i.rounded(2)),
            travel_time_percent: self.travel_time_percent.map(|i| i.rounded(3)),
        }
    }
}

/// The changes between two groups of days.
pub fn changes(before: &[DayFigures], after: &[DayFigures], resamples: usize) -> Changes {
    let delay = |days: &[DayFigures]| values(days, |d| Some(d.delay_vehicle_h));
    let travel = |days: &[DayFigures]| values(days, |d| d.travel_time_s);
    let of = |b: &[DayValue], a: &[DayValue], what| change(b, a, what, resamples);
    let (delay_b, delay_a) = (delay(before), delay(after));
    Changes {
        delay_vehicle_h_per_day: of(&delay_b, &delay_a, Change::Difference),
        delay_percent: of(&delay_b, &delay_a, Change::Relative).map(|i| i.times(100.0)),
        travel_time_percent: of(&travel(before), &travel(after), Change::Relative).map(|i| i.times(100.0)),
    }
}

/// What is said of changes, and of which of them.
pub fn verdict(change: &Changes) -> (Verdict, &'static str) {
    let (found, of) = match (change.travel_time_percent, change.delay_vehicle_h_per_day) {
        (Some(found), _) => (found, "travel_time_percent"),
        (None, Some(found)) => (found, "delay_vehicle_h_per_day"),
        (None, None) => return (Verdict::TooLittleData, "travel_time_percent"),
    };
    let verdict = if found.low > 0.0 {
        Verdict::Increase
    } else if found.high < 0.0 {
        Verdict::Decrease
    } else {
        Verdict::NoClearChange
    };
    (verdict, of)
}

fn values(days: &[DayFigures], of: impl Fn(&DayFigures) -> Option<f64>) -> Vec<DayValue> {
    let value = |d: &DayFigures| Some(DayValue { day: d.day, weekday: d.weekday, value: of(d)? });
    days.iter().filter_map(value).collect()
}

/// One side of a comparison in figures.
pub(super) fn side(
    dates: &RangeInclusive<Date>,
    place: &Place,
    before: &[DayFigures],
    after: &[DayFigures],
    is_before: bool,
    is_told: bool,
) -> Side {
    let days = if is_before { before } else { after };
    let mean = |of: &dyn Fn(&DayFigures) -> Option<f64>, digits| {
        let (b, a) = matched_means(&values(before, of), &values(after, of))?;
        is_told.then(|| rounded(if is_before { b } else { a }, digits))
    };
    let travel = mean(&|d| d.travel_time_s, 1);
    Side {
        from: dates.start().to_string(),
        to: dates.end().to_string(),
        days: days.len(),
        covered_share: rounded(days.iter().map(|d| d.covered_share).sum::<f64>() / days.len().max(1) as f64, 3),
        vehicle_km_per_day: mean(&|d| Some(d.vehicle_km), 3),
        vehicle_h_per_day: mean(&|d| Some(d.vehicle_h), 3),
        delay_vehicle_h_per_day: mean(&|d| Some(d.delay_vehicle_h), 3),
        travel_time_s: travel.filter(|_| place.kind.is_path()),
        pace_s_per_km: travel.filter(|_| !place.kind.is_path()),
    }
}

/// One figure a day; days of which too little was seen are left out.
pub fn day_figures(series: &Series, place: &Place, when: &When, history: &History) -> Vec<DayFigures> {
    let mut figures = Vec::new();
    for day in when.days(&series.clock, &history.calendar) {
        let mut one = DayFigures {
            day: day_number(series.clock.date(day)),
            weekday: series.clock.weekday(day),
            ..DayFigures::default()
        };
        let (mut asked, mut seen, mut times) = (0.0, 0.0, Vec::new());
        for slot in 0..series.slots_a_day() {
            let hour = slot as u32 * series.slot_minutes / 60;
            if !when.has_hour(hour) || series.hours_of(day, slot) == 0.0 {
                continue;
            }
            let at = series.slot(day, slot);
            asked += 1.0;
            seen += f64::from(u8::from(at.time_ms > 0));
            one.vehicle_km += at.distance_mm as f64 / 1e6;
            one.vehicle_h += at.time_ms as f64 / 3.6e6;
            one.delay_vehicle_h += at.delay_ms as f64 / 3.6e6;
            one.covered_share += (at.driven_m / place.length_m).min(1.0);
            one.vehicles_min = one.vehicles_min.max(at.vehicles_min);
            times.extend(at.travel_time_s);
        }
        if asked == 0.0 || seen < asked * HOURS_SEEN_MIN {
            continue;
        }
        one.covered_share /= asked;
        one.travel_time_s = if place.kind.is_path() {
            (times.len() as f64 >= asked * HOURS_SEEN_MIN).then(|| times.iter().sum::<f64>() / times.len() as f64)
        } else {
            (one.vehicle_km > 0.0).then(|| one.vehicle_h * 3_600.0 / one.vehicle_km)
        };
        figures.push(one);
    }
    figures
}

/// Days with what happened to the control taken out; `usual` are the
/// days before of the place and of the control.
fn adjusted(days: &[DayFigures], control: &[DayFigures], usual: (&[DayFigures], &[DayFigures])) -> Vec<DayFigures> {
    let mean = |of: &dyn Fn(&DayFigures) -> Option<f64>, days: &[DayFigures]| {
        let all: Vec<f64> = days.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    };
    let delay = |d: &DayFigures| Some(d.delay_vehicle_h);
    let (own, other_usual) = (mean(&delay, usual.0), mean(&delay, usual.1));
    let usual_time = mean(&|d| d.travel_time_s, usual.1);
    let scale = own.zip(other_usual).filter(|(_, other)| *other > 0.0).map_or(0.0, |(own, other)| own / other);
    days.iter()
        .filter_map(|day| {
            let other = control.iter().find(|c| c.day == day.day)?;
            let time = day.travel_time_s.zip(other.travel_time_s).zip(usual_time);
            Some(DayFigures {
                travel_time_s: time.filter(|((_, c), _)| *c > 0.0).map(|((own, c), usual)| own * usual / c),
                delay_vehicle_h: day.delay_vehicle_h - scale * (other.delay_vehicle_h - other_usual.unwrap_or(0.0)),
                ..*day
            })
        })
        .collect()
}
