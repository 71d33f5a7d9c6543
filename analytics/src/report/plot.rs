//! The pictures of a report, as SVG that takes its colours from the page.
//!
//! Upstream: every report. Downstream: [`super::page`]. Every picture has a title and a description for who cannot see it,
//! axes with units, and shapes where colours differ. [`axis`] has what all of them draw with.

mod axis;

use super::bottlenecks::BottleneckReport;
use super::compare::{Comparison, Verdict};
use super::quality::QualityReport;
use super::ranking::{Ranking, TypicalRanking};
use super::reliability::ReliabilityReport;
use super::statistics::Interval;
use super::table::push;
use super::told::{Report, verdict_word};
use super::typical::{Band, TypicalDay, TypicalRow};
use super::words::Language;
use axis::{Axis, WIDTH, date_label, digits, line, open, shortened, text};

/// A picture and what stands below it.
pub struct Figure {
    pub svg: String,
    pub caption: String,
}

/// Rows that a picture shows; the table has all.
const ROWS_MAX: usize = 40;

/// The pictures of a report, in order.
pub fn figures(report: &Report, l: Language) -> Vec<Figure> {
    match report {
        Report::Typical(report) => vec![week(report, l)],
        Report::Compare(report) => vec![days(report, l), intervals_of_comparison(report, l)],
        Report::Ranking(report) => vec![intervals_of_ranking(report, l)],
        Report::TypicalRanking(report) => vec![bars(report, l)],
        Report::Reliability(report) => vec![spreads(report, l)],
        Report::Bottlenecks(report) => vec![calendar(report, l)],
        Report::Quality(report) => vec![coverage(report, l)],
    }
}

/// The middle line and the band around it; a gap where nothing was seen, never a line over it.
fn bands(out: &mut String, rows: &[(f64, Option<Band>)], y: impl Fn(f64) -> f64) {
    for run in rows.split(|(_, band)| band.is_none()) {
        let known: Vec<(f64, Band)> = run.iter().filter_map(|(x, band)| Some((*x, (*band)?))).collect();
        if known.is_empty() {
            continue;
        }
        let up = known.iter().map(|(x, b)| format!("{x:.1},{:.1}", y(b.p90)));
        let down = known.iter().rev().map(|(x, b)| format!("{x:.1},{:.1}", y(b.p10)));
        let band = up.chain(down).collect::<Vec<_>>().join(" ");
        let middle: Vec<String> = known.iter().map(|(x, b)| format!("{x:.1},{:.1}", y(b.p50))).collect();
        push(out, format_args!("<polygon class=\"band\" points=\"{band}\"/>"));
        push(out, format_args!("<polyline class=\"line\" points=\"{}\"/>", middle.join(" ")));
    }
}

/// One panel a weekday: the middle day and the band of eight in ten.
fn week(report: &TypicalDay, l: Language) -> Figure {
    let is_path = report.place.kind.is_path();
    let scaled = |band: Band| {
        if is_path { band } else { Band { p10: band.p10 * 3.6, p50: band.p50 * 3.6, p90: band.p90 * 3.6 } }
    };
    let of = |row: &TypicalRow| if is_path { row.travel_time_s } else { row.speed_mps }.map(scaled);
    let (height, top) = (300.0, 44.0);
    let bottom = height - 36.0;
    let (left, room) = (46.0, (WIDTH - 46.0) / 7.0);
    let values = report.rows.iter().filter_map(of).flat_map(|b| [b.p10, b.p90]);
    let free = report.free_travel_time_s.filter(|_| is_path);
    let y = Axis::over(values, free, bottom, top);
    let (what, unit) = if is_path {
        (l.say("Travel time", "Reisezeit", "旅行时间"), "s")
    } else {
        (l.say("Speed", "Geschwindigkeit", "速度"), "km/h")
    };
    let description = l.say(
        "Seven panels, Monday to Sunday; the line is the median over days, the band reaches from the 10th to the 90th percentile.",
        "Sieben Felder, Montag bis Sonntag; die Linie ist der Median über Tage, das Band reicht vom 10. bis zum 90. Perzentil.",
        "七个面板，周一至周日；线为各日中位数，色带为第 10 至第 90 百分位。",
    );
    let mut out = open(height, what, description);
    let ticks = y.ticks(5.0);
    for tick in &ticks {
        line(&mut out, "grid", left, y.at(*tick), WIDTH, y.at(*tick));
        text(&mut out, left - 6.0, y.at(*tick) + 4.0, "end", "", &l.number(*tick, digits(&ticks)));
    }
    text(&mut out, 0.0, 14.0, "start", "", &format!("{what}, {unit}"));
    for weekday in 1..=7_u8 {
        let x0 = left + room * f64::from(weekday - 1);
        let x = |quarter: f64| x0 + 4.0 + quarter / 96.0 * (room - 8.0);
        text(&mut out, x0 + room / 2.0, 34.0, "middle", "strong", l.weekday(weekday));
        for hour in [0.0, 6.0, 12.0, 18.0] {
            line(&mut out, "grid", x(hour * 4.0), top, x(hour * 4.0), bottom);
            text(&mut out, x(hour * 4.0), bottom + 16.0, "middle", "", &format!("{hour:02.0}"));
        }
        let middle = f64::from(report.slot_minutes) / 30.0;
        let rows: Vec<(f64, Option<Band>)> = report
            .rows
            .iter()
            .filter(|r| r.weekday == weekday)
            .map(|r| (x(r.quarter as f64 + middle), of(r)))
            .collect();
        bands(&mut out, &rows, |value| y.at(value));
    }
    if let Some(free) = free {
        line(&mut out, "free", left, y.at(free), WIDTH, y.at(free));
    }
    let words = l.say("hour of the day", "Stunde des Tages", "小时");
    text(&mut out, left + (WIDTH - left) / 2.0, height - 4.0, "middle", "", words);
    let legend = match free {
        Some(_) => l.say(
            "Line: median day. Band: 8 of 10 days. Dashed: free flow. A gap: not seen enough.",
            "Linie: mittlerer Tag. Band: 8 von 10 Tagen. Gestrichelt: freie Fahrt. Lücke: zu wenig gesehen.",
            "线：中位日。色带：10 天中的 8 天。虚线：自由流。空缺：观测不足。",
        ),
        None => l.say(
            "Line: median day. Band: 8 of 10 days. A gap: not seen enough.",
            "Linie: mittlerer Tag. Band: 8 von 10 Tagen. Lücke: zu wenig gesehen.",
            "线：中位日。色带：10 天中的 8 天。空缺：观测不足。",
        ),
    };
    Figure { svg: out + "</svg>", caption: legend.to_owned() }
}

/// One point a day, before and after, with the means.
fn days(report: &Comparison, l: Language) -> Figure {
    let has_times = report.days.iter().any(|d| d.travel_time_s.is_some()) && report.place.kind.is_path();
    let value = |d: &super::compare::DayRow| if has_times { d.travel_time_s } else { Some(d.delay_vehicle_h) };
    let (what, unit) = if has_times {
        (l.say("Travel time", "Reisezeit", "旅行时间"), "s")
    } else {
        (l.say("Delay a day", "Verlust je Tag", "每日延误"), "veh·h")
    };
    let (left, top, bottom, height) = (56.0, 30.0, 210.0, 256.0);
    let y = Axis::over(report.days.iter().filter_map(value), None, bottom, top);
    let known: Vec<_> = report.days.iter().filter_map(|d| Some((d, value(d)?))).collect();
    let step = (WIDTH - left - 40.0) / known.len().max(1) as f64;
    let description = l.say(
        "One point for every day that was compared: circles before, squares after; lines are the means of both sides.",
        "Ein Punkt für jeden verglichenen Tag: Kreise vorher, Quadrate nachher; Linien sind die Mittel beider Seiten.",
        "每个比较日一个点：圆为之前，方块为之后；横线为两侧均值。",
    );
    let mut out = open(height, what, description);
    text(&mut out, 0.0, 14.0, "start", "", &format!("{what}, {unit}"));
    let ticks = y.ticks(4.0);
    for tick in &ticks {
        line(&mut out, "grid", left, y.at(*tick), WIDTH, y.at(*tick));
        text(&mut out, left - 6.0, y.at(*tick) + 4.0, "end", "", &l.number(*tick, digits(&ticks)));
    }
    for (side, word) in [("before", l.say("before", "vorher", "之前")), ("after", l.say("after", "nachher", "之后"))]
    {
        let is_before = side == "before";
        let of_side: Vec<(usize, f64, &str)> = known
            .iter()
            .enumerate()
            .filter(|(_, (d, _))| d.side == side)
            .map(|(i, (d, v))| (i, *v, d.date.as_str()))
            .collect();
        let (Some(first), Some(last)) = (of_side.first(), of_side.last()) else { continue };
        let gap = if is_before { 0.0 } else { 30.0 };
        let x = |i: usize| left + 10.0 + gap + step * (i as f64 + 0.5);
        let of = if is_before { &report.before } else { &report.after };
        let Some(mean) = (if has_times { of.travel_time_s } else { of.delay_vehicle_h_per_day }) else { continue };
        let class = if is_before { "blue" } else { "orange" };
        push(
            &mut out,
            format_args!(
                "<line class=\"{class} mean\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{m:.1}\" y2=\"{m:.1}\"/>",
                x(first.0) - step / 2.0,
                x(last.0) + step / 2.0,
                m = y.at(mean)
            ),
        );
        for (i, value, _) in &of_side {
            let (cx, cy) = (x(*i), y.at(*value));
            if is_before {
                push(&mut out, format_args!("<circle class=\"{class}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"4\"/>"));
            } else {
                push(
                    &mut out,
                    format_args!(
                        "<rect class=\"{class} hollow\" x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\"/>",
                        cx - 4.0,
                        cy - 4.0
                    ),
                );
            }
        }
        text(&mut out, x(first.0), bottom + 18.0, "start", "", first.2);
        if of_side.len() > 8 {
            text(&mut out, x(last.0), bottom + 18.0, "end", "", last.2);
        }
        let middle = f64::midpoint(x(first.0), x(last.0));
        text(&mut out, middle, bottom + 36.0, "middle", "strong", &format!("{word}: {}", l.number(mean, 1)));
    }
    Figure { svg: out + "</svg>", caption: description.to_owned() }
}

/// One interval on a line, with its value.
struct Bar {
    name: String,
    interval: Option<Interval>,
    class: &'static str,
}

fn intervals(bars: &[Bar], unit: &str, title: &str, l: Language) -> Figure {
    let (left, right, row, top) = (300.0, WIDTH - 130.0, 26.0, 30.0);
    let height = top + row * bars.len() as f64 + 40.0;
    let known = bars.iter().filter_map(|b| b.interval).flat_map(|i| [i.low, i.high]);
    let x = Axis::over(known, Some(0.0), left, right);
    let description = l.say(
        "Points with their 95 % intervals; an interval that crosses zero is no clear change and drawn hollow.",
        "Punkte mit ihren 95-%-Intervallen; ein Intervall über die Null ist keine klare Änderung und hohl gezeichnet.",
        "点及其 95 % 区间；跨越零的区间表示无明显变化，以空心绘制。",
    );
    let mut out = open(height, title, description);
    let ticks = x.ticks(6.0);
    let bottom = top + row * bars.len() as f64;
    for tick in &ticks {
        line(&mut out, if *tick == 0.0 { "axis" } else { "grid" }, x.at(*tick), top - 6.0, x.at(*tick), bottom);
        text(&mut out, x.at(*tick), bottom + 16.0, "middle", "", &l.number(*tick, digits(&ticks)));
    }
    text(&mut out, (left + right) / 2.0, bottom + 32.0, "middle", "", &format!("{title}, {unit}"));
    for (i, bar) in bars.iter().enumerate() {
        let y = top + row * (i as f64 + 0.5);
        text(&mut out, left - 14.0, y + 4.0, "end", "strong", &shortened(&bar.name, 40));
        let Some(interval) = bar.interval else {
            text(&mut out, left + 8.0, y + 4.0, "start", "", verdict_word(Verdict::TooLittleData, l));
            continue;
        };
        let class = bar.class;
        line(&mut out, &format!("{class} mean"), x.at(interval.low), y, x.at(interval.high), y);
        let hollow = if interval.is_clear() { "" } else { " hollow" };
        push(
            &mut out,
            format_args!(
                "<circle class=\"{class}{hollow}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\"/>",
                x.at(interval.value)
            ),
        );
        let sign = if interval.value > 0.0 { "+" } else { "" };
        let told = format!("{sign}{} {unit}", l.number(interval.value, 1));
        text(&mut out, WIDTH, y + 4.0, "end", "", &told);
    }
    Figure { svg: out + "</svg>", caption: description.to_owned() }
}

fn intervals_of_comparison(report: &Comparison, l: Language) -> Figure {
    let is_path = report.place.kind.is_path();
    let what = if is_path {
        l.say("travel time", "Reisezeit", "旅行时间")
    } else {
        l.say("pace", "Zeit je km", "单位里程时间")
    };
    let delay = l.say("delay", "Verlust", "延误");
    let class = |of: Option<Interval>| of.map_or("grey", class_of);
    let bar = |name: String, of: Option<Interval>| Bar { name, interval: of, class: class(of) };
    let mut bars = vec![
        bar(what.to_owned(), report.change.travel_time_percent),
        bar(delay.to_owned(), report.change.delay_percent),
    ];
    if let Some(control) = &report.control {
        let without = l.say("without control", "ohne Vergleich", "未扣除对照");
        bars.push(bar(format!("{what}, {without}"), control.unadjusted.travel_time_percent));
        let name = format!("{}: {}", l.say("control", "Vergleich", "对照"), control.place.name);
        bars.push(bar(name, control.change.travel_time_percent));
    }
    intervals(&bars, "%", l.say("Change", "Änderung", "变化"), l)
}

fn intervals_of_ranking(report: &Ranking, l: Language) -> Figure {
    let bars: Vec<Bar> = report
        .rows
        .iter()
        .take(ROWS_MAX)
        .map(|row| {
            let interval = row.change.travel_time_percent;
            let name = format!("{}. {}", row.rank, row.place.name);
            Bar { name, interval, class: interval.map_or("grey", class_of) }
        })
        .collect();
    intervals(&bars, "%", l.say("Change of travel time", "Änderung der Reisezeit", "旅行时间变化"), l)
}

fn class_of(interval: Interval) -> &'static str {
    if interval.low > 0.0 {
        "orange"
    } else if interval.high < 0.0 {
        "green"
    } else {
        "grey"
    }
}

fn bars(report: &TypicalRanking, l: Language) -> Figure {
    let (left, right, row, top) = (300.0, WIDTH - 70.0, 22.0, 12.0);
    let rows: Vec<_> = report.rows.iter().take(ROWS_MAX).collect();
    let height = top + row * rows.len() as f64 + 40.0;
    let x = Axis::over(rows.iter().map(|r| r.delay_vehicle_h_per_day), Some(0.0), left, right);
    let title = l.say("Delay a day", "Verlust je Tag", "每日延误");
    let mut out = open(height, title, title);
    let bottom = top + row * rows.len() as f64;
    let ticks = x.ticks(6.0);
    for tick in &ticks {
        line(&mut out, "grid", x.at(*tick), top, x.at(*tick), bottom);
        text(&mut out, x.at(*tick), bottom + 16.0, "middle", "", &l.number(*tick, digits(&ticks)));
    }
    text(&mut out, (left + right) / 2.0, bottom + 32.0, "middle", "", &format!("{title}, veh·h"));
    for (i, one) in rows.iter().enumerate() {
        let y = top + row * i as f64;
        let name = format!("{}. {}", one.rank, one.place.name);
        text(&mut out, left - 10.0, y + 15.0, "end", "strong", &shortened(&name, 40));
        let to = x.at(one.delay_vehicle_h_per_day);
        push(
            &mut out,
            format_args!(
                "<rect class=\"blue\" x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                y + 4.0,
                (to - left).max(1.0),
                row - 8.0
            ),
        );
        text(&mut out, to + 6.0, y + 15.0, "start", "", &l.number(one.delay_vehicle_h_per_day, 2));
    }
    Figure { svg: out + "</svg>", caption: title.to_owned() }
}

/// From the mean to the 95th percentile, both over free flow.
fn spreads(report: &ReliabilityReport, l: Language) -> Figure {
    let places = report.rows.iter().map(|r| &r.place.id).collect::<std::collections::BTreeSet<_>>().len();
    let rows = report.rows.iter().filter(|r| places == 1 || r.period == "all").take(ROWS_MAX);
    let rows: Vec<_> = rows.collect();
    let (left, right, row, top) = (300.0, WIDTH - 20.0, 26.0, 30.0);
    let height = top + row * rows.len() as f64 + 40.0;
    let values = rows.iter().flat_map(|r| [r.travel_time_index, r.planning_time_index]).flatten();
    let x = Axis::over(values, Some(1.0), left, right);
    let title = l.say("Travel time over free flow", "Reisezeit durch freie Fahrt", "旅行时间与自由流之比");
    let legend = l.say(
        "Circle: mean (travel time index). Square: 95th percentile (planning time index).",
        "Kreis: Mittel (Reisezeitindex). Quadrat: 95. Perzentil (Planungszeitindex).",
        "圆：均值（旅行时间指数）。方块：第 95 百分位（计划时间指数）。",
    );
    let mut out = open(height, title, legend);
    let bottom = top + row * rows.len() as f64;
    let ticks = x.ticks(6.0);
    for tick in &ticks {
        line(&mut out, "grid", x.at(*tick), top - 6.0, x.at(*tick), bottom);
        text(&mut out, x.at(*tick), bottom + 16.0, "middle", "", &l.number(*tick, digits(&ticks).max(1)));
    }
    text(&mut out, (left + right) / 2.0, bottom + 32.0, "middle", "", title);
    for (i, one) in rows.iter().enumerate() {
        let y = top + row * (i as f64 + 0.5);
        let name = if places == 1 { l.period(one.period).to_owned() } else { one.place.name.clone() };
        text(&mut out, left - 14.0, y + 4.0, "end", "strong", &shortened(&name, 40));
        let (Some(mean), Some(late)) = (one.travel_time_index, one.planning_time_index) else { continue };
        line(&mut out, "grey mean", x.at(mean), y, x.at(late), y);
        push(&mut out, format_args!("<circle class=\"blue\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\"/>", x.at(mean)));
        push(
            &mut out,
            format_args!(
                "<rect class=\"orange hollow\" x=\"{:.1}\" y=\"{:.1}\" width=\"9\" height=\"9\"/>",
                x.at(late) - 4.5,
                y - 4.5
            ),
        );
    }
    Figure { svg: out + "</svg>", caption: legend.to_owned() }
}

/// A field a day and bottleneck; the fuller, the longer.
fn calendar(report: &BottleneckReport, l: Language) -> Figure {
    let rows: Vec<_> = report.rows.iter().take(ROWS_MAX).collect();
    if rows.is_empty() {
        let none = l.say(
            "No bottleneck was sustained on these days.",
            "An diesen Tagen hielt sich kein Engpass.",
            "这些日期内没有持续瓶颈。",
        );
        let mut out = open(40.0, none, none);
        text(&mut out, 0.0, 24.0, "start", "strong", none);
        return Figure { svg: out + "</svg>", caption: String::new() };
    }
    let longest = rows.iter().flat_map(|r| &r.calendar).map(|c| c.minutes).max().unwrap_or(1).max(1);
    let (left, top, row) = (260.0, 34.0, 20.0);
    let size = ((WIDTH - left) / report.days.len().max(1) as f64).min(28.0);
    let height = top + row * rows.len() as f64 + 10.0;
    let title = l.say("Minutes of queue by day", "Minuten Stau je Tag", "每日拥堵分钟");
    let mut out = open(height, title, title);
    // As many dates as there is room for.
    let every = (70.0 / size).ceil() as usize;
    for (i, date) in report.days.iter().enumerate().step_by(every.max(1)) {
        date_label(&mut out, left + size * i as f64, date);
    }
    for (i, one) in rows.iter().enumerate() {
        let y = top + row * i as f64;
        text(&mut out, left - 10.0, y + 14.0, "end", "strong", &shortened(&one.place.name, 34));
        for (day, date) in report.days.iter().enumerate() {
            let found = one.calendar.iter().find(|c| c.date == *date);
            let (class, share) = match found {
                Some(c) => ("cell", 0.25 + 0.75 * f64::from(c.minutes) / f64::from(longest)),
                None => ("nothing", 0.5),
            };
            // Height tells the same as colour.
            let tall = (row - 4.0) * if found.is_some() { share } else { 0.12 };
            push(
                &mut out,
                format_args!(
                    "<rect class=\"{class}\" opacity=\"{share:.2}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
                    left + size * day as f64,
                    y + row - 2.0 - tall,
                    (size - 1.5).max(1.0)
                ),
            );
        }
    }
    let legend = l.say(
        "The higher and fuller a field, the longer the queue of that day; a full one is",
        "Je höher und voller ein Feld, desto länger der Stau des Tages; ein volles ist",
        "色块越高越深，当日拥堵越久；满格为",
    );
    Figure { svg: out + "</svg>", caption: format!("{legend} {longest} min.") }
}

/// The share of the network that was seen, by day and source.
fn coverage(report: &QualityReport, l: Language) -> Figure {
    let sources: Vec<&String> =
        report.rows.iter().map(|r| &r.source).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let mut dates: Vec<&String> = report.rows.iter().map(|r| &r.date).collect();
    dates.sort();
    dates.dedup();
    let (left, top, row) = (120.0, 34.0, 90.0);
    let height = top + row * sources.len() as f64 + 20.0;
    let size = (WIDTH - left) / dates.len().max(1) as f64;
    let title = l.say("Counted events by day", "Gezählte Ereignisse je Tag", "每日计入事件");
    let mut out = open(height, title, title);
    let every = (80.0 / size).ceil().max(1.0) as usize;
    for (i, date) in dates.iter().enumerate().step_by(every) {
        date_label(&mut out, left + size * i as f64, date);
    }
    for (i, source) in sources.iter().enumerate() {
        let base = top + row * (i as f64 + 1.0) - 8.0;
        let of: Vec<_> = report.rows.iter().filter(|r| r.source == **source).collect();
        let most = of.iter().map(|r| r.accepted).max().unwrap_or(1).max(1);
        text(&mut out, left - 12.0, base - row / 2.0 + 8.0, "end", "strong", source);
        text(&mut out, left - 12.0, base - row / 2.0 + 24.0, "end", "", &format!("≤ {most}"));
        line(&mut out, "axis", left, base, WIDTH, base);
        for one in of {
            let Ok(day) = dates.binary_search(&&one.date) else { continue };
            let tall = (row - 20.0) * one.accepted as f64 / most as f64;
            let class = if one.silent_minutes > 60 { "orange" } else { "blue" };
            push(
                &mut out,
                format_args!(
                    "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
                    left + size * day as f64,
                    base - tall,
                    (size - 2.0).max(1.0)
                ),
            );
            if one.silent_minutes > 60 {
                text(&mut out, left + size * (day as f64 + 0.5), base - tall - 3.0, "middle", "", "×");
            }
        }
    }
    let legend = l.say(
        "A cross: silent for more than an hour of that day.",
        "Ein Kreuz: mehr als eine Stunde des Tages stumm.",
        "叉号：当日静默超过一小时。",
    );
    Figure { svg: out + "</svg>", caption: legend.to_owned() }
}
