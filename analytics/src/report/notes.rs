//! What has to be known to read the figures of a report, in every language.
//!
//! Upstream: every report. Downstream: [`super::page`], [`super::told`]. Sources are those of `docs/history.md`.

use super::told::Report;
use super::words::Language;

/// The notes of a report, in the order in which they matter.
pub fn notes(report: &Report, l: Language) -> Vec<String> {
    let with = |phrases: &[&str]| phrases.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
    let (reporting, clock, covered) = (reporting(l), clock(l), covered(l));
    match report {
        Report::Typical(r) => [with(&[bands(l), covered, reporting, clock]), vec![few(r.suppressed, l)]].concat(),
        Report::Compare(_) => with(&[interval(l), control(l), covered, reporting, clock]),
        Report::Ranking(r) => {
            let first = vec![format!("{}: {}.", order(l), r.compared)];
            [first, with(&[interval(l), reporting, clock]), vec![few(r.suppressed, l)]].concat()
        }
        Report::TypicalRanking(r) => [with(&[reporting, clock]), vec![few(r.suppressed, l)]].concat(),
        Report::Reliability(r) => [with(&[index(l), covered, clock]), vec![few(r.suppressed, l)]].concat(),
        Report::Bottlenecks(r) => [with(&[rule(l), reporting, clock]), vec![few(r.suppressed, l)]].concat(),
        Report::Quality(_) => with(&[gate(l)]),
    }
}

fn few(suppressed: usize, l: Language) -> String {
    let what = l.say(
        "Nothing is told of fewer than 10 vehicles; left out for that",
        "Von weniger als 10 Fahrzeugen wird nichts gesagt; deshalb ausgelassen",
        "不足 10 辆车的数据不公布；因此省略",
    );
    format!("{what}: {suppressed}.")
}

fn clock(l: Language) -> &'static str {
    l.say(
        "Days and hours are those of the city's clock; holidays of the calendar are left out.",
        "Tage und Stunden sind die der Ortszeit; Feiertage des Kalenders sind ausgelassen.",
        "日期和小时为当地时间；日历中的节假日已排除。",
    )
}

fn reporting(l: Language) -> &'static str {
    l.say(
        "Vehicle-hours and kilometres are of the vehicles that reported, not scaled to all.",
        "Fahrzeugstunden und -kilometer sind die der meldenden Fahrzeuge, nicht hochgerechnet.",
        "车时与车公里仅为上报车辆的数值，未扩样。",
    )
}

fn covered(l: Language) -> &'static str {
    l.say(
        "A travel time is given where at least 80 % of the length was driven; the rest takes the mean pace of what was seen, and is marked imputed.",
        "Eine Reisezeit steht da, wo mindestens 80 % der Länge befahren waren; der Rest nimmt das mittlere Tempo des Gesehenen an und ist als ergänzt gekennzeichnet.",
        "仅当至少 80 % 的长度有车行驶时给出旅行时间；其余部分按已观测的平均速度插补并标注。",
    )
}

fn interval(l: Language) -> &'static str {
    l.say(
        "Intervals come from drawing days again (studentised bootstrap) and Student's t, the wider of both, with weekdays matched (of one week a side: t over pairs of weekdays); where one crosses zero, there is no clear change.",
        "Intervalle entstehen durch erneutes Ziehen von Tagen (studentisierter Bootstrap) und Students t, das weitere von beiden, bei gleichen Wochentagen (von je einer Woche: t über Paare von Wochentagen); schließt eines die Null ein, gibt es keine klare Änderung.",
        "区间由按日重抽样（学生化自助法）与 t 分布取较宽者得到，星期已匹配（每侧仅一周时：按星期配对的 t 检验）；区间含零即无明显变化。",
    )
}

fn bands(l: Language) -> &'static str {
    l.say(
        "Bands are over days: one figure a day and slot; p50 is the middle day, 8 of 10 days lie between p10 and p90.",
        "Bänder über Tage: ein Wert je Tag und Zeitfenster; p50 ist der mittlere Tag, 8 von 10 Tagen liegen zwischen p10 und p90.",
        "区间带按天计算：每天每时段一个值；p50 为中位日，10 天中有 8 天位于 p10 与 p90 之间。",
    )
}

fn control(l: Language) -> &'static str {
    l.say(
        "With a control place, what happened to it on the same day is taken out (difference in differences).",
        "Mit einem Vergleichsort wird herausgerechnet, was dort am selben Tag geschah (Differenz der Differenzen).",
        "若有对照地点，则扣除其同日变化（双重差分）。",
    )
}

fn order(l: Language) -> &'static str {
    l.say(
        "Clear increases stand first, by vehicle-hours of delay a day. About one in twenty unchanged places is called changed; compared",
        "Klare Zunahmen stehen zuerst, nach Fahrzeugstunden Verlust je Tag. Etwa einer von zwanzig unveränderten Orten wird verändert genannt; verglichen",
        "明显增加者居前，按每日延误车时排序。约二十分之一的未变地点会被误判；参与比较",
    )
}

fn index(l: Language) -> &'static str {
    l.say(
        "Travel time index = mean / free flow; planning time index = p95 / free flow; buffer index = (p95 − mean) / mean (FHWA 2006). LOTTR = p80 / p50, 1.50 and above is unreliable (23 CFR 490.511, 490.513).",
        "Reisezeitindex = Mittel / freie Fahrt; Planungszeitindex = p95 / freie Fahrt; Pufferindex = (p95 − Mittel) / Mittel (FHWA 2006). LOTTR = p80 / p50, ab 1,50 unzuverlässig (23 CFR 490.511, 490.513).",
        "旅行时间指数 = 均值 / 自由流；计划时间指数 = p95 / 自由流；缓冲指数 = (p95 − 均值) / 均值（FHWA 2006）。LOTTR = p80 / p50，≥ 1.50 为不可靠（23 CFR 490.511、490.513）。",
    )
}

fn rule(l: Language) -> &'static str {
    l.say(
        "A bottleneck is below 2/3 of free flow and faster by 1/3 of it right behind, in 5 of 7 intervals of five minutes (after Chen, Skabardonis and Varaiya 2004).",
        "Ein Engpass liegt unter 2/3 der freien Fahrt und ist direkt dahinter um 1/3 davon schneller, in 5 von 7 Fünf-Minuten-Intervallen (nach Chen, Skabardonis und Varaiya 2004).",
        "瓶颈：速度低于自由流的 2/3 且紧邻下游快其 1/3，7 个五分钟间隔中有 5 个满足（据 Chen、Skabardonis 与 Varaiya 2004）。",
    )
}

fn gate(l: Language) -> &'static str {
    l.say(
        "What ingest rejects or knows already does not reach history: a dash is not known, not 0. The clock's change makes days of 1,380 and 1,500 minutes.",
        "Was die Annahme ablehnt oder schon kennt, erreicht die Historie nicht: ein Strich heißt unbekannt, nicht 0. Die Zeitumstellung macht Tage von 1.380 und 1.500 Minuten.",
        "接收端拒绝或判重的消息不进入历史：短横表示未知而非 0。时制切换日为 1380 或 1500 分钟。",
    )
}
