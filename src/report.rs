//! `arterial report`: questions about history, answered as text, CSV, JSON or one page.

use std::fs;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use analytics::area::{Areas, read};
use analytics::calendar::{Calendar, dates};
use analytics::report::bottlenecks::bottlenecks;
use analytics::report::compare::{Question, compare};
use analytics::report::place::{Place, PlaceKind, PlaceName};
use analytics::report::quality::quality;
use analytics::report::ranking::{self, ranking};
use analytics::report::read::Archive;
use analytics::report::reliability::reliability;
use analytics::report::told::{self, Report};
use analytics::report::typical::typical_day;
use analytics::report::words;
use analytics::report::{History, When, hours, profile, weekdays};
use anyhow::{Context, bail};
use jiff::civil::Date;

use crate::network;

/// Ask history: what is normal, what changed, where it jams, what can be relied on, how good the data is
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Speed, travel time and delay by weekday and quarter of an hour, with their spread over days
    TypicalDay {
        #[command(flatten)]
        place: PlaceArg,
        #[command(flatten)]
        days: DaysArg,
        #[command(flatten)]
        common: Common,
    },
    /// Two stretches of days against each other, with intervals
    Compare {
        #[command(flatten)]
        place: PlaceArg,
        #[command(flatten)]
        sides: Sides,
        /// A place on which nothing was changed: corridor:NAME, segment:ID, zone:NAME or city
        #[arg(long, value_name = "KIND:ID")]
        control: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Which corridors or segments got worse; without --before and --after, where the delay of a typical week is
    Ranking {
        /// What is ranked
        #[arg(long, value_enum, default_value_t = Kind::Corridor)]
        kind: Kind,
        #[arg(long, value_name = "FROM..TO", requires = "after")]
        before: Option<String>,
        #[arg(long, value_name = "FROM..TO", requires = "before")]
        after: Option<String>,
        #[command(flatten)]
        days: DaysArg,
        /// Rows of the ranking
        #[arg(long, value_name = "N", default_value_t = 20)]
        top: usize,
        #[command(flatten)]
        common: Common,
    },
    /// Travel time index, planning time index, buffer index and LOTTR by part of the week; of all corridors, unless one
    /// place is given
    Reliability {
        #[command(flatten)]
        place: MaybePlaceArg,
        #[command(flatten)]
        days: DaysArg,
        #[command(flatten)]
        common: Common,
    },
    /// Where it jammed, on which days, for how long
    Bottlenecks {
        #[command(flatten)]
        place: MaybePlaceArg,
        #[command(flatten)]
        days: DaysArg,
        #[command(flatten)]
        common: Common,
    },
    /// What came in by source and day, and how much of the network was seen
    Quality {
        #[command(flatten)]
        days: DaysArg,
        #[command(flatten)]
        common: Common,
    },
    /// Print the segments of a place as the archive's files name them, one a line: for questions in SQL
    Segments {
        #[command(flatten)]
        place: PlaceArg,
        #[command(flatten)]
        common: Common,
    },
    /// Bring the tables beside the archive up to date; the other reports do it when they need them
    Update {
        #[command(flatten)]
        days: DaysArg,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PlaceArg {
    /// A corridor by its name
    #[arg(long, value_name = "NAME")]
    corridor: Option<String>,
    /// A segment by its 16 digits
    #[arg(long, value_name = "ID")]
    segment: Option<String>,
    /// A zone by its name
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
    /// The whole city
    #[arg(long = "whole-city")]
    whole_city: bool,
}

#[derive(clap::Args)]
#[group(multiple = false)]
pub(crate) struct MaybePlaceArg {
    /// A corridor by its name
    #[arg(long, value_name = "NAME")]
    corridor: Option<String>,
    /// A segment by its 16 digits
    #[arg(long, value_name = "ID")]
    segment: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct DaysArg {
    /// First day, YYYY-MM-DD [default: 28 days before the last]
    #[arg(long, value_name = "DATE", requires = "to")]
    from: Option<String>,
    /// Last day
    #[arg(long, value_name = "DATE", requires = "from")]
    to: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct Sides {
    /// The days before, both included
    #[arg(long, value_name = "FROM..TO")]
    before: String,
    /// The days after
    #[arg(long, value_name = "FROM..TO")]
    after: String,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    Corridor,
    Segment,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum FormatArg {
    /// Tables and sparklines
    Text,
    Csv,
    Json,
    /// One page with pictures, for a browser or a printer
    Html,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LanguageArg {
    En,
    De,
    Zh,
}

#[derive(clap::Args)]
pub(crate) struct Common {
    /// The archive's folder
    #[arg(long, env = "ARTERIAL_ARCHIVE", value_name = "DIR", default_value = "arterial-data/archive")]
    archive: PathBuf,
    /// The city in it, where it holds several
    #[arg(long, env = "ARTERIAL_CITY", value_name = "NAME")]
    city: Option<String>,
    #[command(flatten)]
    network: network::NetworkArg,
    /// Corridors: TOML or GeoJSON [default: the longest streets of the network]
    #[arg(long, env = "ARTERIAL_CORRIDORS", value_name = "FILE")]
    corridors: Option<PathBuf>,
    /// Zones: GeoJSON polygons with names [default: nine districts]
    #[arg(long, env = "ARTERIAL_ZONES", value_name = "FILE")]
    zones: Option<PathBuf>,
    #[command(flatten)]
    calendar: CalendarArg,
    /// Weekdays, 1 for Monday
    #[arg(long, value_name = "1,2,…", default_value = "1,2,3,4,5,6,7")]
    weekdays: String,
    /// Hours of the city's clock
    #[arg(long, value_name = "6-10,16-20", default_value = "0-24")]
    hours: String,
    /// Days that are left out: dates, or names of the calendar
    #[arg(long, value_name = "DATE|NAME,…", value_delimiter = ',')]
    without: Vec<String>,
    /// Do not leave holidays out
    #[arg(long)]
    with_holidays: bool,
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    format: FormatArg,
    /// Of text and page
    #[arg(long, value_enum, default_value_t = LanguageArg::En)]
    language: LanguageArg,
    /// Write to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Say on standard error how long network and question took
    #[arg(long)]
    timing: bool,
}

/// The city's clock.
#[derive(clap::Args)]
pub(crate) struct CalendarArg {
    /// Time zone, holidays and events: TOML [default: UTC, and none]
    #[arg(long, env = "ARTERIAL_CALENDAR", value_name = "FILE")]
    calendar: Option<PathBuf>,
}

impl CalendarArg {
    /// Reads it.
    pub(crate) fn open(&self) -> anyhow::Result<Calendar> {
        match &self.calendar {
            Some(path) => Calendar::open(path).with_context(|| format!("{}", path.display())),
            None => Ok(Calendar::of_zone("UTC")?),
        }
    }
}

pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    let common = command.common();
    #[allow(clippy::disallowed_methods, reason = "how long it took is for a person, no figure depends on it")]
    let begin = Instant::now();
    let history = common.open()?;
    let opened = begin.elapsed();
    let when = common.when(&history)?;
    let find = |name: &PlaceName| Place::find(name, &history.network, &history.areas);
    let report = match command {
        Command::TypicalDay { place, days, .. } => {
            Report::Typical(typical_day(&history, &find(&place.name())?, &days.stretch(&history)?, &when)?)
        }
        Command::Compare { place, sides, control, .. } => {
            let control = control.as_deref().map(PlaceName::parse).transpose()?;
            let question = Question {
                before: dates(&sides.before)?,
                after: dates(&sides.after)?,
                when,
                control: control.map(|name| find(&name)).transpose()?,
            };
            Report::Compare(Box::new(compare(&history, &find(&place.name())?, &question)?))
        }
        Command::Ranking { kind, before, after, days, top, .. } => {
            let kind = match kind {
                Kind::Corridor => PlaceKind::Corridor,
                Kind::Segment => PlaceKind::Segment,
            };
            match (before, after) {
                (Some(before), Some(after)) => {
                    let question = Question { before: dates(before)?, after: dates(after)?, when, control: None };
                    Report::Ranking(ranking(&history, kind, &question, *top)?)
                }
                _ => Report::TypicalRanking(ranking::typical(&history, &days.stretch(&history)?, &when, *top)?),
            }
        }
        Command::Reliability { place, days, .. } => {
            let places = match place.name() {
                Some(name) => vec![find(&name)?],
                None => history.areas.corridors().iter().map(|a| Place::of_area(a, &history.network)).collect(),
            };
            Report::Reliability(reliability(&history, &places, &days.stretch(&history)?, &when)?)
        }
        Command::Bottlenecks { place, days, .. } => {
            let place = place.name().map(|name| find(&name)).transpose()?;
            Report::Bottlenecks(bottlenecks(&history, place.as_ref(), &days.stretch(&history)?, &when)?)
        }
        Command::Quality { days, .. } => Report::Quality(quality(&history, &days.stretch(&history)?)?),
        Command::Segments { place, .. } => {
            let lines: Vec<String> = find(&place.name())?.segments().iter().map(i64::to_string).collect();
            return Ok(writeln!(std::io::stdout(), "{}", lines.join("\n"))?);
        }
        Command::Update { days, .. } => {
            let stretch = days.stretch(&history)?;
            let done = profile::update(&history, &stretch)?;
            let months = profile::months::update(&history, &stretch, &|| false)?;
            writeln!(std::io::stdout(), "days made {}, already there {}; months {months}", done.made, done.kept)?;
            return Ok(());
        }
    };
    let answered = begin.elapsed();
    common.tell(&report)?;
    if common.timing {
        let (open_ms, question_ms) = (opened.as_secs_f64() * 1e3, (answered - opened).as_secs_f64() * 1e3);
        writeln!(std::io::stderr(), "open_ms {open_ms:.1} question_ms {question_ms:.1}")?;
    }
    Ok(())
}

impl Command {
    fn common(&self) -> &Common {
        match self {
            Self::TypicalDay { common, .. }
            | Self::Compare { common, .. }
            | Self::Ranking { common, .. }
            | Self::Reliability { common, .. }
            | Self::Bottlenecks { common, .. }
            | Self::Quality { common, .. }
            | Self::Segments { common, .. }
            | Self::Update { common, .. } => common,
        }
    }
}

impl Common {
    fn open(&self) -> anyhow::Result<History> {
        let archive = Archive::open(&self.archive, self.city.as_deref())?;
        let network::Map { network, .. } = network::load(&self.network, || {
            bail!("give --network, the one that history was counted on, or --area where it was hexagons")
        })?;
        let corridors = self.corridors.as_deref().map(|path| read::corridors(path, &network)).transpose()?;
        let zones = self.zones.as_deref().map(|path| read::zones(path, &network)).transpose()?;
        let areas = Arc::new(Areas::new(&network, corridors, zones));
        let calendar = Arc::new(self.calendar.open()?);
        Ok(History { archive, network, areas, calendar })
    }

    fn when(&self, history: &History) -> anyhow::Result<When> {
        let mut without: Vec<RangeInclusive<Date>> = Vec::new();
        for word in &self.without {
            without.extend(history.calendar.days_called(word.trim())?);
        }
        let (weekdays, hours) = (weekdays(&self.weekdays)?, hours(&self.hours)?);
        Ok(When { weekdays, hours, without, with_holidays: self.with_holidays })
    }

    fn tell(&self, report: &Report) -> anyhow::Result<()> {
        let format = match self.format {
            FormatArg::Text => told::Format::Text,
            FormatArg::Csv => told::Format::Csv,
            FormatArg::Json => told::Format::Json,
            FormatArg::Html => told::Format::Html,
        };
        let language = match self.language {
            LanguageArg::En => words::Language::English,
            LanguageArg::De => words::Language::German,
            LanguageArg::Zh => words::Language::Chinese,
        };
        let text = report.told(format, language)?;
        match &self.out {
            Some(path) => write(path, &text),
            None => Ok(std::io::stdout().write_all(text.as_bytes())?),
        }
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

impl DaysArg {
    fn stretch(&self, history: &History) -> anyhow::Result<RangeInclusive<Date>> {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => Ok(dates(&format!("{from}..{to}"))?),
            _ => Ok(history.last_days(28)?),
        }
    }
}

impl PlaceArg {
    fn name(&self) -> PlaceName {
        match (&self.corridor, &self.segment, &self.zone) {
            (Some(name), _, _) => PlaceName::Corridor(name.clone()),
            (_, Some(id), _) => PlaceName::Segment(id.clone()),
            (_, _, Some(name)) => PlaceName::Zone(name.clone()),
            (None, None, None) => PlaceName::City,
        }
    }
}

impl MaybePlaceArg {
    fn name(&self) -> Option<PlaceName> {
        let corridor = self.corridor.clone().map(PlaceName::Corridor);
        corridor.or_else(|| self.segment.clone().map(PlaceName::Segment))
    }
}
