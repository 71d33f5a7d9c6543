//! A report in the form that was asked for: JSON, CSV, a terminal's text, a page.
//!
//! Upstream: every report. Downstream: `arterial report`, the API.

use serde_json::Value as Json;

use super::ReportError;
use super::bottlenecks::BottleneckReport;
use super::compare::{Changes, Comparison, Side, Verdict};
use super::place::PlaceKind;
use super::quality::QualityReport;
use super::ranking::{Ranking, TypicalRanking};
use super::reliability::ReliabilityReport;
use super::statistics::Interval;
use super::table::{Column, Table, Value, bounds, sparkline, sparkline_within};
use super::typical::TypicalDay;
use super::words::Language;
use super::{notes, page};

/// Any of the reports.
#[derive(Clone, Debug)]
pub enum Report {
    Typical(TypicalDay),
    Compare(Box<Comparison>),
    Ranking(Ranking),
    TypicalRanking(TypicalRanking),
    Reliability(ReliabilityReport),
    Bottlenecks(BottleneckReport),
    Quality(QualityReport),
}

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Csv,
    Json,
    Html,
}

impl Report {
    /// The report in a form.
    ///
    /// # Errors
    /// A report that cannot be written as JSON, which would be a mistake of ours.
    pub fn told(&self, format: Format, language: Language) -> Result<String, ReportError> {
        Ok(match format {
            Format::Text => self.text(language),
            Format::Csv => self.table(Language::English).csv(),
            Format::Json => self.json()?.to_string() + "\n",
            Format::Html => page::html(self, language),
        })
    }

    /// As the API answers it.
    ///
    /// # Errors
    /// See [`Report::told`].
    pub fn json(&self) -> Result<Json, ReportError> {
        let json = match self {
            Self::Typical(report) => serde_json::to_value(report),
            Self::Compare(report) => serde_json::to_value(report),
            Self::Ranking(report) => serde_json::to_value(report),
            Self::TypicalRanking(report) => serde_json::to_value(report),
            Self::Reliability(report) => serde_json::to_value(report),
            Self::Bottlenecks(report) => serde_json::to_value(report),
            Self::Quality(report) => serde_json::to_value(report),
        };
        json.map_err(|e| ReportError::Query(e.to_string()))
    }

    /// Its rows.
    pub fn table(&self, l: Language) -> Table {
        match self {
            Self::Typical(report) => typical(report, l),
            Self::Compare(report) => compare(report, l),
            Self::Ranking(report) => ranking(report, l),
            Self::TypicalRanking(report) => typical_ranking(report, l),
            Self::Reliability(report) => reliability(report, l),
            Self::Bottlenecks(report) => bottlenecks(report, l),
            Self::Quality(report) => quality(report, l),
        }
    }

    fn text(&self, l: Language) -> String {
        let mut out = format!("{}\n{}\n\n", page::title(self, l), page::subtitle(self, l));
        match self {
            Self::Typical(report) => out += &typical_text(report, l),
            Self::Compare(report) => {
                out += &format!("{}\n\n{}", page::verdict_sentence(report, l), self.table(l).text(l));
                let side = |side: &str| -> Vec<Option<f64>> {
                    let of = report.days.iter().filter(|d| d.side == side);
                    of.map(|d| d.travel_time_s.or(Some(d.delay_vehicle_h))).collect()
                };
                let word = l.say("day by day, before and after", "Tag für Tag, vorher und nachher", "逐日，前与后");
                out += &format!("\n{word}  {} │ {}\n", sparkline(&side("before")), sparkline(&side("after")));
            }
            Self::Ranking(_)
            | Self::TypicalRanking(_)
            | Self::Reliability(_)
            | Self::Bottlenecks(_)
            | Self::Quality(_) => out += &self.table(l).text(l),
        }
        for note in notes::notes(self, l) {
            out += &format!("\n{note}");
        }
        out + "\n"
    }
}

fn column(key: &'static str, heading: &'static str, unit: &'static str) -> Column {
    Column { key, heading, unit }
}

/// A terminal shows a typical week as one line a weekday, all on one scale.
fn typical_text(report: &TypicalDay, l: Language) -> String {
    let is_path = report.place.kind.is_path();
    let p50 = |r: &super::typical::TypicalRow| {
        if is_path { r.travel_time_s.map(|b| b.p50) } else { r.speed_mps.map(|b| b.p50 * 3.6) }
    };
    let scale = bounds(report.rows.iter().filter_map(p50));
    let mut out = String::new();
    for weekday in 1..=7 {
        let rows: Vec<_> = report.rows.iter().filter(|r| r.weekday == weekday).collect();
        let values: Vec<Option<f64>> = rows.iter().map(|r| p50(r)).collect();
        let (low, high) = bounds(values.iter().flatten().copied());
        let days = rows.iter().map(|r| r.days).max().unwrap_or(0);
        let range = if high < low {
            l.say("not seen enough", "zu wenig gesehen", "观测不足").to_owned()
        } else {
            let unit = if is_path { "s" } else { "km/h" };
            format!("{}–{} {unit}", l.number(low, 0), l.number(high, 0))
        };
        let word = l.say("days", "Tage", "天");
        let line = sparkline_within(&values, scale);
        out += &format!("{}  {line}  {range}  {days} {word}\n", l.weekday(weekday));
    }
    let scale = if is_path {
        l.say("median travel time, 00–24", "Median der Reisezeit, 00–24", "旅行时间中位数，00–24 时")
    } else {
        l.say("median speed, 00–24", "Median der Geschwindigkeit, 00–24", "速度中位数，00–24 时")
    };
    out + &format!("     {scale}\n")
}

fn typical(report: &TypicalDay, l: Language) -> Table {
    let columns = vec![
        column("weekday", l.say("Day", "Tag", "星期"), ""),
        column("time", l.say("Time", "Zeit", "时刻"), ""),
        column("speed_mps_p10", l.say("Speed p10", "Geschw. p10", "速度 p10"), "m/s"),
        column("speed_mps_p50", "p50", "m/s"),
        column("speed_mps_p90", "p90", "m/s"),
        column("travel_time_s_p10", l.say("Travel time p10", "Reisezeit p10", "旅行时间 p10"), "s"),
        column("travel_time_s_p50", "p50", "s"),
        column("travel_time_s_p90", "p90", "s"),
        column("delay_vehicle_h_per_h", l.say("Delay", "Verlust", "延误"), "veh·h/h"),
        column("days", l.say("Days", "Tage", "天数"), ""),
        column("covered_share", l.say("Seen", "Gesehen", "覆盖"), ""),
        column("imputed", l.say("Imputed", "Ergänzt", "插补"), ""),
    ];
    let rows = report.rows.iter().map(|r| {
        let (speed, time) = (r.speed_mps, r.travel_time_s);
        vec![
            Value::Text(l.weekday(r.weekday).to_owned()),
            Value::Text(format!("{:02}:{:02}", r.quarter / 4, r.quarter % 4 * 15)),
            Value::of(speed.map(|b| b.p10), 2),
            Value::of(speed.map(|b| b.p50), 2),
            Value::of(speed.map(|b| b.p90), 2),
            Value::of(time.map(|b| b.p10), 1),
            Value::of(time.map(|b| b.p50), 1),
            Value::of(time.map(|b| b.p90), 1),
            Value::of(r.delay_vehicle_h_per_h, 3),
            Value::Whole(r.days as i64),
            Value::Number(r.covered_share, 3),
            Value::Text((if r.imputed { l.say("yes", "ja", "是") } else { "" }).to_owned()),
        ]
    });
    Table { heading: page::title(&Report::Typical(report.clone()), l), columns, rows: rows.collect() }
}

fn compare(report: &Comparison, l: Language) -> Table {
    let columns = vec![
        column("figure", l.say("Figure", "Größe", "指标"), ""),
        column("unit", l.say("Unit", "Einheit", "单位"), ""),
        column("before", l.say("Before", "Vorher", "之前"), ""),
        column("after", l.say("After", "Nachher", "之后"), ""),
        column("change", l.say("Change", "Änderung", "变化"), ""),
        column("low", l.say("From", "Von", "下限"), ""),
        column("high", l.say("To", "Bis", "上限"), ""),
    ];
    let line = |name: &str, unit: &str, of: &dyn Fn(&Side) -> Option<f64>, change: Option<Interval>, digits: usize| {
        vec![
            Value::Text(name.to_owned()),
            Value::Text(unit.to_owned()),
            Value::of(of(&report.before), digits),
            Value::of(of(&report.after), digits),
            Value::of(change.map(|c| c.value), digits),
            Value::of(change.map(|c| c.low), digits),
            Value::of(change.map(|c| c.high), digits),
        ]
    };
    let none = |_: &Side| None;
    let c = &report.change;
    let (travel, pace) = (l.say("travel time", "Reisezeit", "旅行时间"), l.say("pace", "Zeit je km", "单位里程时间"));
    let mut rows = vec![];
    if report.place.kind.is_path() {
        rows.push(line(travel, "s", &|s| s.travel_time_s, None, 1));
    } else {
        rows.push(line(pace, "s/km", &|s| s.pace_s_per_km, None, 1));
    }
    rows.push(line(if report.place.kind.is_path() { travel } else { pace }, "%", &none, c.travel_time_percent, 1));
    let delay = l.say("delay a day", "Verlust je Tag", "每日延误");
    rows.push(line(delay, "veh·h", &|s| s.delay_vehicle_h_per_day, c.delay_vehicle_h_per_day, 2));
    rows.push(line(delay, "%", &none, c.delay_percent, 1));
    rows.push(line(l.say("driven a day", "gefahren je Tag", "每日行驶"), "veh·km", &|s| s.vehicle_km_per_day, None, 1));
    rows.push(line(l.say("days", "Tage", "天数"), "", &|s| Some(s.days as f64), None, 0));
    rows.push(line(
        l.say("length seen", "Länge gesehen", "覆盖长度"),
        "%",
        &|s| Some(s.covered_share * 100.0),
        None,
        0,
    ));
    if let Some(control) = &report.control {
        let own: &Changes = &control.change;
        let name = format!("{} {}", l.say("control", "Vergleich", "对照"), control.place.name);
        rows.push(line(&name, "%", &none, own.travel_time_percent, 1));
        let name = l.say("without control", "ohne Vergleich", "未扣除对照");
        rows.push(line(name, "%", &none, control.unadjusted.travel_time_percent, 1));
    }
    Table { heading: l.say("Before and after", "Vorher und nachher", "前后对比").to_owned(), columns, rows }
}

/// A verdict in words.
pub(super) fn verdict_word(verdict: Verdict, l: Language) -> &'static str {
    match verdict {
        Verdict::Increase => l.say("worse", "schlechter", "变差"),
        Verdict::Decrease => l.say("better", "besser", "改善"),
        Verdict::NoClearChange => l.say("no clear change", "keine klare Änderung", "无明显变化"),
        Verdict::TooLittleData => l.say("too little data", "zu wenig Daten", "数据不足"),
    }
}

fn ranking(report: &Ranking, l: Language) -> Table {
    let mut columns = vec![
        column("rank", l.say("Rank", "Rang", "排名"), ""),
        column("id", l.say("Place", "Ort", "地点"), ""),
        column("name", l.say("Name", "Name", "名称"), ""),
        column("travel_time_percent", l.say("Travel time", "Reisezeit", "旅行时间"), "%"),
        column("travel_time_percent_low", l.say("from", "von", "下限"), "%"),
        column("travel_time_percent_high", l.say("to", "bis", "上限"), "%"),
        column("delay_vehicle_h_per_day", l.say("Delay", "Verlust", "延误"), "veh·h/d"),
        column("delay_low", l.say("from", "von", "下限"), "veh·h/d"),
        column("delay_high", l.say("to", "bis", "上限"), "veh·h/d"),
        column("days_before", l.say("Days before", "Tage vorher", "前期天数"), ""),
        column("days_after", l.say("after", "nachher", "后期"), ""),
        column("verdict", l.say("Verdict", "Urteil", "结论"), ""),
    ];
    let rows = report.rows.iter().map(|r| {
        let (travel, delay) = (r.change.travel_time_percent, r.change.delay_vehicle_h_per_day);
        vec![
            Value::Whole(r.rank as i64),
            Value::Text(r.place.id.clone()),
            Value::Text(r.place.name.clone()),
            Value::of(travel.map(|c| c.value), 1),
            Value::of(travel.map(|c| c.low), 1),
            Value::of(travel.map(|c| c.high), 1),
            Value::of(delay.map(|c| c.value), 3),
            Value::of(delay.map(|c| c.low), 3),
            Value::of(delay.map(|c| c.high), 3),
            Value::Whole(r.before.days as i64),
            Value::Whole(r.after.days as i64),
            Value::Text(verdict_word(r.verdict, l).to_owned()),
        ]
    });
    let mut rows: Vec<Vec<Value>> = rows.collect();
    if report.kind == PlaceKind::Corridor {
        // A corridor's id is its name.
        columns.remove(2);
        rows.iter_mut().for_each(|row| drop(row.remove(2)));
    }
    Table { heading: l.say("What changed", "Was sich änderte", "变化排名").to_owned(), columns, rows }
}

fn typical_ranking(report: &TypicalRanking, l: Language) -> Table {
    let columns = vec![
        column("rank", l.say("Rank", "Rang", "排名"), ""),
        column("id", l.say("Segment", "Abschnitt", "路段"), ""),
        column("name", l.say("Street", "Straße", "道路"), ""),
        column("delay_vehicle_h_per_day", l.say("Delay", "Verlust", "延误"), "veh·h/d"),
        column("speed_mps", l.say("Speed", "Geschw.", "速度"), "m/s"),
        column("travel_time_index", l.say("Travel time index", "Reisezeitindex", "旅行时间指数"), ""),
        column("days", l.say("Days", "Tage", "天数"), ""),
    ];
    let rows = report.rows.iter().map(|r| {
        vec![
            Value::Whole(r.rank as i64),
            Value::Text(r.place.id.clone()),
            Value::Text(r.place.name.clone()),
            Value::Number(r.delay_vehicle_h_per_day, 3),
            Value::Number(r.speed_mps, 2),
            Value::Number(r.travel_time_index, 2),
            Value::Whole(r.days),
        ]
    });
    let heading = l.say("Delay of a typical week", "Verlust einer typischen Woche", "典型周延误");
    Table { heading: heading.to_owned(), columns, rows: rows.collect() }
}

fn reliability(report: &ReliabilityReport, l: Language) -> Table {
    let columns = vec![
        column("id", l.say("Place", "Ort", "地点"), ""),
        column("period", l.say("Period", "Zeitraum", "时段"), ""),
        column("travel_time_index", l.say("TTI", "TTI", "TTI"), ""),
        column("planning_time_index", "PTI", ""),
        column("buffer_index", l.say("Buffer index", "Pufferindex", "缓冲指数"), ""),
        column("lottr", "LOTTR", ""),
        column("mean_s", l.say("Mean", "Mittel", "平均"), "s"),
        column("p95_s", "p95", "s"),
        column("intervals", l.say("Intervals", "Intervalle", "间隔数"), ""),
        column("covered_share", l.say("Seen", "Gesehen", "覆盖"), ""),
    ];
    let rows = report.rows.iter().map(|r| {
        vec![
            Value::Text(r.place.id.clone()),
            Value::Text(l.period(r.period).to_owned()),
            Value::of(r.travel_time_index, 2),
            Value::of(r.planning_time_index, 2),
            Value::of(r.buffer_index, 2),
            Value::of(r.lottr, 2),
            Value::of(r.mean_s, 0),
            Value::of(r.p95_s, 0),
            Value::Whole(r.intervals as i64),
            Value::Number(r.covered_share, 3),
        ]
    });
    let heading = l.say("Reliability of travel times", "Zuverlässigkeit der Reisezeit", "旅行时间可靠性");
    Table { heading: heading.to_owned(), columns, rows: rows.collect() }
}

fn bottlenecks(report: &BottleneckReport, l: Language) -> Table {
    let columns = vec![
        column("id", l.say("Segment", "Abschnitt", "路段"), ""),
        column("name", l.say("Street", "Straße", "道路"), ""),
        column("days_active", l.say("Days", "Tage", "天数"), ""),
        column("hours", l.say("Hours", "Stunden", "小时"), "h"),
        column("delay_vehicle_h", l.say("Delay", "Verlust", "延误"), "veh·h"),
        column("calendar", l.say("Minutes by day", "Minuten je Tag", "每日分钟"), ""),
    ];
    let rows = report.rows.iter().map(|r| {
        let of_day = |date: &String| r.calendar.iter().find(|c| c.date == *date).map(|c| f64::from(c.minutes));
        let minutes: Vec<Option<f64>> = report.days.iter().map(of_day).collect();
        vec![
            Value::Text(r.place.id.clone()),
            Value::Text(r.place.name.clone()),
            Value::Whole(r.days_active as i64),
            Value::Number(r.hours, 2),
            Value::Number(r.delay_vehicle_h, 2),
            Value::Text(sparkline(&minutes)),
        ]
    });
    let heading = l.say("Bottlenecks", "Engpässe", "瓶颈");
    Table { heading: heading.to_owned(), columns, rows: rows.collect() }
}

fn quality(report: &QualityReport, l: Language) -> Table {
    let columns = vec![
        column("source", l.say("Source", "Quelle", "来源"), ""),
        column("date", l.say("Date", "Datum", "日期"), ""),
        column("received", l.say("Received", "Empfangen", "接收"), ""),
        column("accepted", l.say("Counted", "Gezählt", "计入"), ""),
        column("duplicate", l.say("Duplicate", "Doppelt", "重复"), ""),
        column("rejected", l.say("Rejected", "Abgelehnt", "拒绝"), ""),
        column("late", l.say("Late", "Zu spät", "迟到"), ""),
        column("unmatched", l.say("Not placed", "Nicht zugeordnet", "未匹配"), ""),
        column("covered_share", l.say("Network seen", "Netz gesehen", "路网覆盖"), ""),
        column("silent_minutes", l.say("Silent", "Stumm", "静默"), "min"),
        column("minutes", l.say("Day", "Tag", "全天"), "min"),
    ];
    let rows = report.rows.iter().map(|r| {
        let whole = |value: Option<i64>| value.map_or(Value::Missing, Value::Whole);
        vec![
            Value::Text(r.source.clone()),
            Value::Text(r.date.clone()),
            Value::Whole(r.received),
            Value::Whole(r.accepted),
            whole(r.duplicate),
            whole(r.rejected),
            whole(r.late),
            whole(r.unmatched),
            Value::of(r.covered_share, 4),
            Value::Whole(i64::from(r.silent_minutes)),
            Value::Whole(i64::from(r.minutes)),
        ]
    });
    let heading = l.say("Data quality", "Datenqualität", "数据质量");
    Table { heading: heading.to_owned(), columns, rows: rows.collect() }
}
