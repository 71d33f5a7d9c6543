//! A report as one page: no script, no font, no picture from elsewhere, so that it can be mailed and printed.
//!
//! Upstream: [`super::told`]. Downstream: `arterial report --format html`. Light and dark by the reader's setting; colours
//! are those of Okabe and Ito (2008) and never the only difference.

use super::compare::{Comparison, Verdict};
use super::plot;
use super::table::escaped;
use super::told::{Report, verdict_word};
use super::words::Language;

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
    for note in notes(report, l) {
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
        Report::TypicalRanking(_) => {
            l.say("Where the delay is", "Wo die Zeit verloren geht", "延误分布").to_owned()
        }
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

/// What has to be known to read the figures.
pub(super) fn notes(report: &Report, l: Language) -> Vec<String> {
    let few = |suppressed: usize| {
        let what = l.say(
            "Nothing is told of fewer than 10 vehicles; left out for that",
            "Von weniger als 10 Fahrzeugen wird nichts gesagt; deshalb ausgelassen",
            "不足 10 辆车的数据不公布；因此省略",
        );
        format!("{what}: {suppressed}.")
    };
    let clock = l.say(
        "Days and hours are those of the city's clock; holidays of the calendar are left out.",
        "Tage und Stunden sind die der Ortszeit; Feiertage des Kalenders sind ausgelassen.",
        "日期和小时为当地时间；日历中的节假日已排除。",
    );
    let reporting = l.say(
        "Vehicle-hours and kilometres are of the vehicles that reported, not scaled to all.",
        "Fahrzeugstunden und -kilometer sind die der meldenden Fahrzeuge, nicht hochgerechnet.",
        "车时与车公里仅为上报车辆的数值，未扩样。",
    );
    let covered = l.say(
        "A travel time is given where at least 80 % of the length was driven; the rest takes the mean pace of what was seen, and is marked imputed.",
        "Eine Reisezeit steht da, wo mindestens 80 % der Länge befahren waren; der Rest nimmt das mittlere Tempo des Gesehenen an und ist als ergänzt gekennzeichnet.",
        "仅当至少 80 % 的长度有车行驶时给出旅行时间；其余部分按已观测的平均速度插补并标注。",
    );
    let interval = l.say(
        "Intervals come from drawing days again (studentised bootstrap) and Student's t, the wider of both, with weekdays matched; where one crosses zero, there is no clear change.",
        "Intervalle entstehen durch erneutes Ziehen von Tagen (studentisierter Bootstrap) und Students t, das weitere von beiden, bei gleichen Wochentagen; schließt eines die Null ein, gibt es keine klare Änderung.",
        "区间由按日重抽样（学生化自助法）与 t 分布取较宽者得到，星期已匹配；区间含零即无明显变化。",
    );
    let mut notes: Vec<String> = Vec::new();
    match report {
        Report::Typical(r) => {
            let bands = l.say(
                "Bands are over days: one figure a day and slot; p50 is the middle day, 8 of 10 days lie between p10 and p90.",
                "Bänder über Tage: ein Wert je Tag und Zeitfenster; p50 ist der mittlere Tag, 8 von 10 Tagen liegen zwischen p10 und p90.",
                "区间带按天计算：每天每时段一个值；p50 为中位日，10 天中有 8 天位于 p10 与 p90 之间。",
            );
            notes.extend([bands, covered, reporting, clock].map(str::to_owned));
            notes.push(few(r.suppressed));
        }
        Report::Compare(_) => {
            let control = l.say(
                "With a control place, what happened to it on the same day is taken out (difference in differences).",
                "Mit einem Vergleichsort wird herausgerechnet, was dort am selben Tag geschah (Differenz der Differenzen).",
                "若有对照地点，则扣除其同日变化（双重差分）。",
            );
            notes.extend([interval, control, covered, reporting, clock].map(str::to_owned));
        }
        Report::Ranking(r) => {
            let order = l.say(
                "Clear increases stand first, by vehicle-hours of delay a day. About one in twenty unchanged places is called changed; compared",
                "Klare Zunahmen stehen zuerst, nach Fahrzeugstunden Verlust je Tag. Etwa einer von zwanzig unveränderten Orten wird verändert genannt; verglichen",
                "明显增加者居前，按每日延误车时排序。约二十分之一的未变地点会被误判；参与比较",
            );
            notes.push(format!("{order}: {}.", r.compared));
            notes.extend([interval, reporting, clock].map(str::to_owned));
            notes.push(few(r.suppressed));
        }
        Report::TypicalRanking(r) => {
            notes.extend([reporting, clock].map(str::to_owned));
            notes.push(few(r.suppressed));
        }
        Report::Reliability(r) => {
            let index = l.say(
                "Travel time index = mean / free flow; planning time index = p95 / free flow; buffer index = (p95 − mean) / mean (FHWA 2006). LOTTR = p80 / p50, 1.50 and above is unreliable (23 CFR 490.511, 490.513).",
                "Reisezeitindex = Mittel / freie Fahrt; Planungszeitindex = p95 / freie Fahrt; Pufferindex = (p95 − Mittel) / Mittel (FHWA 2006). LOTTR = p80 / p50, ab 1,50 unzuverlässig (23 CFR 490.511, 490.513).",
                "旅行时间指数 = 均值 / 自由流；计划时间指数 = p95 / 自由流；缓冲指数 = (p95 − 均值) / 均值（FHWA 2006）。LOTTR = p80 / p50，≥ 1.50 为不可靠（23 CFR 490.511、490.513）。",
            );
            notes.extend([index, covered, clock].map(str::to_owned));
            notes.push(few(r.suppressed));
        }
        Report::Bottlenecks(r) => {
            let rule = l.say(
                "A bottleneck is below 2/3 of free flow and faster by 1/3 of it right behind, in 5 of 7 intervals of five minutes (after Chen, Skabardonis and Varaiya 2004).",
                "Ein Engpass liegt unter 2/3 der freien Fahrt und ist direkt dahinter um 1/3 davon schneller, in 5 von 7 Fünf-Minuten-Intervallen (nach Chen, Skabardonis und Varaiya 2004).",
                "瓶颈：速度低于自由流的 2/3 且紧邻下游快其 1/3，7 个五分钟间隔中有 5 个满足（据 Chen、Skabardonis 与 Varaiya 2004）。",
            );
            notes.extend([rule, reporting, clock].map(str::to_owned));
            notes.push(few(r.suppressed));
        }
        Report::Quality(_) => {
            let gate = l.say(
                "What ingest rejects or knows already does not reach history: a dash is not known, not 0. The clock's change makes days of 1,380 and 1,500 minutes.",
                "Was die Annahme ablehnt oder schon kennt, erreicht die Historie nicht: ein Strich heißt unbekannt, nicht 0. Die Zeitumstellung macht Tage von 1.380 und 1.500 Minuten.",
                "接收端拒绝或判重的消息不进入历史：短横表示未知而非 0。时制切换日为 1380 或 1500 分钟。",
            );
            notes.push(gate.to_owned());
        }
    }
    notes
}
