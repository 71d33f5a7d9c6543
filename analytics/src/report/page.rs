//! A report as one page: no script, no font, no picture from elsewhere, so that it can be mailed and printed.
//!
//! Upstream: [`super::told`]. Downstream: `arterial report --format html`. Light and dark by the reader's setting; colours
//! are those of Okabe and Ito (2008) and never the only difference.

use super::compare::{Comparison, Verdict};
use super::table::escaped;
use super::told::{Report, verdict_word};
use super::words::Language;
use super::{notes, plot};

/// Rows of a typical week are many: the page folds them away.
const OPEN_ROWS_MAX: usize = 60;

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn html(report: &Report, l: Language) -> String {
    let title = escaped(&title(report, l));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><header><h1>{title}</h1><p>{}</p></header>",
        l.code(),
        escaped(&subtitle(report, l))
    );
    if let Report::Compare(report) = report {
        let class = match report.verdict {
            Verdict::Increase => "worse",
            Verdict::Decrease => "better",
            Verdict::NoClearChange | Verdict::TooLittleData => "open",
        };
        out += &format!("<p class=\"verdict {class}\">{}</p>", escaped(&verdict_sentence(report, l)));
    }
    for figure in plot::figures(report, l) {
        out += &format!("<figure>{}<figcaption>{}</figcaption></figure>", figure.svg, escaped(&figure.caption));
    }
    let table = report.table(l);
    if table.rows.len() > OPEN_ROWS_MAX {
        let word = l.say("All rows", "Alle Zeilen", "全部数据");
        out += &format!("<details><summary>{word} ({})</summary>{}</details>", table.rows.len(), table.html(l));
    } else {
        out += &table.html(l);
    }
    out += &format!("<section><h2>{}</h2><ul>", l.say("How to read this", "Wie man das liest", "阅读说明"));
    for note in notes::notes(report, l) {
        out += &format!("<li>{}</li>", escaped(&note));
    }
    out + "</ul></section></main></body></html>\n"
}

/// What it is, of what place.
pub(super) fn title(report: &Report, l: Language) -> String {
    let of = |what: &str, place: &super::place::Place| match place.kind {
        super::place::PlaceKind::City => format!("{what}: {}", l.kind(place.kind)),
        _ => format!("{what}: {}", place.name),
    };
    match report {
        Report::Typical(r) => of(l.say("Typical week", "Typische Woche", "典型周"), &r.place),
        Report::Compare(r) => of(l.say("Before and after", "Vorher und nachher", "前后对比"), &r.place),
        Report::Ranking(_) => l.say("What got worse", "Was schlechter wurde", "恶化排名").to_owned(),
        Report::TypicalRanking(_) => l.say("Where the delay is", "Wo die Zeit verloren geht", "延误分布").to_owned(),
        Report::Reliability(_) => {
            l.say("Reliability of travel times", "Zuverlässigkeit der Reisezeiten", "旅行时间可靠性").to_owned()
        }
        Report::Bottlenecks(_) => l.say("Bottleneck calendar", "Engpass-Kalender", "瓶颈日历").to_owned(),
        Report::Quality(_) => l.say("Data quality", "Datenqualität", "数据质量").to_owned(),
    }
}

/// Which days, on whose clock.
pub(super) fn subtitle(report: &Report, l: Language) -> String {
    let to = l.say("to", "bis", "至");
    let versus = l.say("against", "gegen", "对比");
    let (dates, zone) = match report {
        Report::Typical(r) => (format!("{} {to} {}", r.from, r.to), &r.zone),
        Report::Compare(r) => {
            let (b, a) = (&r.before, &r.after);
            (format!("{} {to} {} {versus} {} {to} {}", a.from, a.to, b.from, b.to), &r.zone)
        }
        Report::Ranking(r) => {
            let (b, a) = (&r.before, &r.after);
            (format!("{} {to} {} {versus} {} {to} {}", a[0], a[1], b[0], b[1]), &r.zone)
        }
        Report::TypicalRanking(r) => (format!("{} {to} {}", r.months[0], r.months[1]), &r.zone),
        Report::Reliability(r) => (format!("{} {to} {}", r.from, r.to), &r.zone),
        Report::Bottlenecks(r) => (format!("{} {to} {}", r.from, r.to), &r.zone),
        Report::Quality(r) => (format!("{} {to} {}", r.from, r.to), &r.zone),
    };
    format!("{dates}, {zone}")
}

/// The answer to what was asked, in one sentence.
pub(super) fn verdict_sentence(report: &Comparison, l: Language) -> String {
    let word = verdict_word(report.verdict, l);
    let found = if report.verdict_of == "travel_time_percent" {
        report.change.travel_time_percent.map(|i| (i, "%", l.say("travel time", "Reisezeit", "旅行时间"), 1))
    } else {
        let word = l.say("delay a day", "Verlust je Tag", "每日延误");
        report.change.delay_vehicle_h_per_day.map(|i| (i, "veh·h", word, 2))
    };
    let Some((found, unit, what, digits)) = found else { return word.to_owned() };
    let sign = |value: f64| format!("{}{}", if value > 0.0 { "+" } else { "" }, l.number(value, digits));
    let bounds = l.say("95 % interval", "95-%-Intervall", "95 % 区间");
    let to = l.say("to", "bis", "至");
    format!(
        "{word}: {what} {} {unit} ({bounds} {} {to} {} {unit})",
        sign(found.value),
        sign(found.low),
        sign(found.high)
    )
}
