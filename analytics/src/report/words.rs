//! The languages of a report: every phrase stands in all of them where it is used, so none can be missing.
//!
//! Upstream: `--language`. Downstream: [`super::table`], [`super::page`], [`super::plot`].

use super::place::PlaceKind;

/// English, German, Chinese.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    German,
    Chinese,
}

impl Language {
    /// The code of the language, as HTML wants it.
    pub fn code(self) -> &'static str {
        self.say("en", "de", "zh-Hans")
    }

    /// One of three phrases.
    pub fn say(self, english: &'static str, german: &'static str, chinese: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::German => german,
            Self::Chinese => chinese,
        }
    }

    /// A number with so many digits behind the point, as the language writes it.
    pub fn number(self, value: f64, digits: usize) -> String {
        let plain = format!("{value:.digits$}");
        // −0.0 is 0.
        let plain = if plain.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
            plain.trim_start_matches('-').to_owned()
        } else {
            plain.replacen('-', "−", 1)
        };
        match self {
            Self::German => plain.replace('.', ","),
            Self::English | Self::Chinese => plain,
        }
    }

    /// The short name of a weekday, 1 to 7.
    pub fn weekday(self, weekday: u8) -> &'static str {
        let names = match self {
            Self::English => ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
            Self::German => ["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"],
            Self::Chinese => ["周一", "周二", "周三", "周四", "周五", "周六", "周日"],
        };
        names.get(usize::from(weekday.wrapping_sub(1))).copied().unwrap_or("?")
    }

    /// The word for a kind of place.
    pub fn kind(self, kind: PlaceKind) -> &'static str {
        match kind {
            PlaceKind::Segment => self.say("segment", "Abschnitt", "路段"),
            PlaceKind::Corridor => self.say("corridor", "Korridor", "走廊"),
            PlaceKind::Zone => self.say("zone", "Bezirk", "区域"),
            PlaceKind::City => self.say("city", "Stadt", "全市"),
        }
    }

    /// The part of the week of a row of reliability.
    pub fn period(self, period: &str) -> &'static str {
        match period {
            "am_peak" => self.say("weekdays 06–10", "werktags 06–10", "工作日 06–10"),
            "midday" => self.say("weekdays 10–16", "werktags 10–16", "工作日 10–16"),
            "pm_peak" => self.say("weekdays 16–20", "werktags 16–20", "工作日 16–20"),
            "weekend" => self.say("weekend 06–20", "Wochenende 06–20", "周末 06–20"),
            _ => self.say("all hours", "alle Stunden", "全部时段"),
        }
    }
}
