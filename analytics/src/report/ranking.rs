//! Which places got worse, by how much, and how sure; and where the delay of a typical week is.
//!
//! Upstream: the tables of hours and of weekdays ([`super::profile`]). Downstream: the API, `arterial report ranking`.
//!
//! A ranking of changes compares every place as [`super::compare`] does. Clear increases stand first, by vehicle-hours of
//! delay a day; then what is not clear, then clear decreases, then what is known too little. All are judged by Student's
//! t first; those that are told are judged again with the bootstrap, whose wider interval counts. With 95 % each,
//! about one place in twenty that did not change is called changed: the answer says how many were looked at.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use roads::{Network, SegmentIndex};
use serde::Serialize;

use super::compare::{Changes, DayFigures, Question, Side, Verdict, changes, day_figures, side, verdict};
use super::place::{Place, PlaceKind, signed, unsigned};
use super::profile;
use super::profile::seen::seen_of;
use super::profile::sums::{OfDay, SegmentDay, WeekdaySum, segment_days, weekday_sums};
use super::series::{Seen, Series};
use super::statistics::{CONFIDENCE, RESAMPLES};
use super::{History, K_EXPORT, ReportError, When, rounded};
use crate::calendar::{Clock, day_number};

/// Most rows of a ranking.
pub const TOP_MAX: usize = 1_000;

/// One place of a ranking of changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    pub rank: usize,
    pub place: Place,
    pub before: Side,
    pub after: Side,
    pub change: Changes,
    pub verdict: Verdict,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranking {
    pub zone: String,
    pub kind: PlaceKind,
    pub before: [String; 2],
    pub after: [String; 2],
    /// Places with figures, and those left out since too few vehicles were there.
    pub compared: usize,
    pub suppressed: usize,
    pub k: i64,
    pub confidence: f64,
    pub method: &'static str,
    pub rows: Vec<Ranked>,
}

/// A place, its days on both sides, and what Student's t says.
struct Judged {
    place: Place,
    before: Vec<DayFigures>,
    after: Vec<DayFigures>,
    change: Changes,
}

/// Ranks all corridors or all segments by what changed.
///
/// # Errors
/// Whatever the archive says, and when there is nothing.
pub fn ranking(history: &History, kind: PlaceKind, question: &Question, top: usize) -> Result<Ranking, ReportError> {
    let [before_clock, after_clock] = [&question.before, &question.after].map(|days| history.clock(days));
    let (before_clock, after_clock) = (before_clock?, after_clock?);
    profile::update(history, &question.before)?;
    profile::update(history, &question.after)?;
    let places = match kind {
        PlaceKind::Corridor | PlaceKind::Zone | PlaceKind::City => {
            corridors(history, &question.when, &before_clock, &after_clock)?
        }
        PlaceKind::Segment => segments(history, &question.when, &before_clock, &after_clock)?,
    };
    if places.is_empty() {
        let what = format!("{}s", kind.name());
        return Err(ReportError::NoData { what, from: *question.before.start(), to: *question.after.end() });
    }
    let is_told = |days: &[DayFigures]| days.iter().map(|d| d.vehicles_min).sum::<i64>() >= K_EXPORT;
    let all = places.len();
    let told = places.into_iter().filter(|(_, before, after)| is_told(before) && is_told(after));
    let mut judged: Vec<Judged> = told
        .map(|(place, before, after)| Judged { change: changes(&before, &after, 0), place, before, after })
        .collect();
    let compared = judged.len();
    let top = top.clamp(1, TOP_MAX);
    judged.sort_by(order);
    // Some that look clear by t are not with the bootstrap, and give their place to others.
    judged.truncate(top + top / 5 + 5);
    for one in &mut judged {
        one.change = changes(&one.before, &one.after, RESAMPLES);
    }
    judged.sort_by(order);
    judged.truncate(top);
    let dates = |days: &RangeInclusive<Date>| [days.start().to_string(), days.end().to_string()];
    Ok(Ranking {
        zone: history.calendar.zone_name().to_owned(),
        kind,
        before: dates(&question.before),
        after: dates(&question.after),
        compared,
        suppressed: all - compared,
        k: K_EXPORT,
        confidence: CONFIDENCE,
        method: super::compare::METHOD,
        rows: judged.into_iter().enumerate().map(|(i, one)| one.told(i + 1, question)).collect(),
    })
}

impl Judged {
    fn told(self, rank: usize, question: &Question) -> Ranked {
        let sides = [(&question.before, true), (&question.after, false)];
        let [before, after] =
            sides.map(|(dates, is_before)| side(dates, &self.place, &self.before, &self.after, is_before, true));
        Ranked {
            rank,
            before,
            after,
            verdict: verdict(&self.change).0,
            change: self.change.rounded(),
            place: self.place,
        }
    }
}

/// Clear increases first, and within a verdict by delay.
fn order(a: &Judged, b: &Judged) -> std::cmp::Ordering {
    let class = |one: &Judged| match verdict(&one.change).0 {
        Verdict::Increase => 0,
        Verdict::NoClearChange => 1,
        Verdict::Decrease => 2,
        Verdict::TooLittleData => 3,
    };
    let delay = |one: &Judged| one.change.delay_vehicle_h_per_day.map_or(f64::MIN, |i| i.value);
    class(a).cmp(&class(b)).then(delay(b).total_cmp(&delay(a))).then(a.place.id.cmp(&b.place.id))
}

type Compared = Vec<(Place, Vec<DayFigures>, Vec<DayFigures>)>;

fn corridors(history: &History, when: &When, before: &Clock, after: &Clock) -> Result<Compared, ReportError> {
    let places: Vec<Place> =
        history.areas.corridors().iter().map(|area| Place::of_area(area, &history.network)).collect();
    let mut wanted: Vec<i64> = places.iter().flat_map(Place::segments).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let sides = [before, after].map(|clock| {
        let mut seen = seen_of(history, &wanted, when, clock)?;
        seen.sort_by_key(|row| row.segment);
        Ok::<_, ReportError>((clock, seen))
    });
    let [before, after] = sides;
    let (before, after) = (before?, after?);
    let mut compared = Vec::new();
    for place in places {
        let of = |(clock, seen): &(&Clock, Vec<Seen>)| -> Result<Vec<DayFigures>, ReportError> {
            let of_segment = |segment: i64| {
                let from = seen.partition_point(|row| row.segment < segment);
                seen[from..].iter().copied().take_while(move |row| row.segment == segment)
            };
            let rows = place.parts.iter().flat_map(|part| of_segment(part.segment));
            let series = Series::fold(&place, (*clock).clone(), 60, rows)?;
            Ok(day_figures(&series, &place, when, history))
        };
        let (b, a) = (of(&before)?, of(&after)?);
        if !b.is_empty() && !a.is_empty() {
            compared.push((place, b, a));
        }
    }
    Ok(compared)
}

fn segments(history: &History, when: &When, before: &Clock, after: &Clock) -> Result<Compared, ReportError> {
    let network = &history.network;
    let mut all: Vec<(i64, SegmentIndex)> = network.indices().map(|at| (signed(network.segment(at).id), at)).collect();
    all.sort_unstable_by_key(|(segment, _)| *segment);
    let side = |clock| {
        let days = segment_days(history, when, clock)?;
        let asked = hours_asked(when, clock, history);
        Ok::<_, ReportError>(BySegment { clock, asked, at: vec![0; days.len()], days })
    };
    let (mut before, mut after) = (side(before)?, side(after)?);
    let mut compared = Vec::new();
    for (segment, at) in all {
        let (before, after) = (before.figures(segment), after.figures(segment));
        if !before.is_empty() && !after.is_empty() {
            compared.push((Place::of_segment(at, network), before, after));
        }
    }
    Ok(compared)
}

/// One side's sums, read segment after segment: those of a day stand by segment.
struct BySegment<'c> {
    clock: &'c Clock,
    asked: Vec<f64>,
    days: Vec<(usize, OfDay)>,
    /// The next row of every day.
    at: Vec<usize>,
}

impl BySegment<'_> {
    /// The days of a segment that count; of one segment after the other, in order.
    fn figures(&mut self, segment: i64) -> Vec<DayFigures> {
        let mut found = Vec::with_capacity(self.days.len());
        for ((day, sums), at) in self.days.iter().zip(&mut self.at) {
            *at += sums[*at..].iter().take_while(|(of, _)| *of < segment).count();
            if let Some((_, sum)) = sums.get(*at).filter(|(of, _)| *of == segment) {
                found.extend(figures_of(sum, self.asked[*day], self.clock, *day));
            }
        }
        found
    }
}

/// Hours that were asked for and are on the clock, by day; 0 for days that are not looked at.
fn hours_asked(when: &When, clock: &Clock, history: &History) -> Vec<f64> {
    let asked = |day: usize| {
        if !when.has_day(clock.date(day), &history.calendar) {
            return 0.0;
        }
        let on_clock = |hour: &u32| (0..4).any(|q| clock.quarters_of(day, *hour as usize * 4 + q) > 0);
        (0..24_u32).filter(|hour| when.has_hour(*hour)).filter(on_clock).count() as f64
    };
    (0..clock.days()).map(asked).collect()
}

/// The same rules as [`day_figures`], from a day's sums.
fn figures_of(sums: &SegmentDay, asked: f64, clock: &Clock, day: usize) -> Option<DayFigures> {
    let enough = |hours: u32| asked > 0.0 && f64::from(hours) >= asked * 0.5;
    enough(sums.seen).then(|| DayFigures {
        day: day_number(clock.date(day)),
        weekday: clock.weekday(day),
        vehicle_km: sums.distance_mm as f64 / 1e6,
        vehicle_h: sums.time_ms as f64 / 3.6e6,
        delay_vehicle_h: sums.delay_ms as f64 / 3.6e6,
        travel_time_s: enough(sums.hours).then(|| sums.travel_time_s / f64::from(sums.hours)),
        covered_share: f64::from(sums.hours) / asked,
        vehicles_min: i64::from(sums.vehicles_min),
    })
}

/// One segment of a typical week.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TypicalRanked {
    pub rank: usize,
    pub place: Place,
    /// Mean over the days of the table, of those that reported.
    pub delay_vehicle_h_per_day: f64,
    pub speed_mps: f64,
    /// Time spent over time at free flow.
    pub travel_time_index: f64,
    pub days: i64,
}

/// Where the delay of a typical week is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TypicalRanking {
    pub zone: String,
    /// Months that the tables were made of, first and last.
    pub months: [String; 2],
    pub segments: usize,
    pub suppressed: usize,
    pub k: i64,
    pub rows: Vec<TypicalRanked>,
}

/// Ranks segments by the delay of a typical week, from the tables of weekdays of all months that a stretch touches.
///
/// # Errors
/// Whatever the archive says, and when there is nothing.
pub fn typical(
    history: &History,
    days: &RangeInclusive<Date>,
    when: &When,
    top: usize,
) -> Result<TypicalRanking, ReportError> {
    profile::update(history, days)?;
    let found = weekday_sums(history, days, when)?;
    let all = found.len();
    let mut rows: Vec<_> =
        found.into_iter().filter(|row| row.vehicles_min >= K_EXPORT && row.distance_mm > 0).collect();
    let told = rows.len();
    let per_day = |row: &WeekdaySum| row.delay_ms as f64 / 3.6e6 / row.days_of_table.max(1) as f64;
    rows.sort_by(|a, b| per_day(b).total_cmp(&per_day(a)).then(a.segment.cmp(&b.segment)));
    let rows = rows.iter().filter_map(|row| Some((row, of_id(&history.network, row.segment)?)));
    let rows = rows.take(top.clamp(1, TOP_MAX)).enumerate().map(|(i, (row, place))| TypicalRanked {
        rank: i + 1,
        place,
        delay_vehicle_h_per_day: rounded(per_day(row), 3),
        speed_mps: rounded(row.distance_mm as f64 / row.time_ms.max(1) as f64, 2),
        travel_time_index: rounded(row.time_ms as f64 / (row.time_ms - row.delay_ms).max(1) as f64, 3),
        days: row.days_of_table,
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Err(ReportError::NoData { what: "segments".to_owned(), from: *days.start(), to: *days.end() });
    }
    let month = |date: &Date| format!("{:04}-{:02}", date.year(), date.month());
    Ok(TypicalRanking {
        zone: history.calendar.zone_name().to_owned(),
        months: [month(days.start()), month(days.end())],
        segments: all,
        suppressed: all - told,
        k: K_EXPORT,
        rows,
    })
}

fn of_id(network: &Network, segment: i64) -> Option<Place> {
    network.by_id(unsigned(segment)).map(|at| Place::of_segment(at, network))
}
