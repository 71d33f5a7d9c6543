//! History over HTTP: the reports of [`crate::report`] as JSON, or as CSV with `format=csv`.
//!
//! Upstream: the archive folder. Downstream: the dashboard, anybody's scripts.
//!
//! | path | asks for |
//! |---|---|
//! | `/api/v1/history` | the days that there are |
//! | `/api/v1/history/typical-day` | PLACE, `from`, `to`, `weekdays`, `hours`, `without` |
//! | `/api/v1/history/compare` | PLACE, `before=FROM..TO`, `after=FROM..TO`, `weekdays`, `hours`, `without`, `control=KIND:ID` |
//! | `/api/v1/history/ranking` | `kind=corridor\|segment`, `before`, `after` (without them: the delay of a typical week), `top` |
//! | `/api/v1/history/reliability` | PLACE, or `kind=corridor` for all |
//! | `/api/v1/history/bottlenecks`, `quality` | `from`, `to` |
//!
//! PLACE is one of `corridor=ID`, `segment=HEX`, `zone=ID`, `city=1`. Without `from` and `to` it is the last 28 days that
//! there are. Two questions are worked on at a time, off the threads that serve; further ones wait, at most
//! [`WAITING_MAX`], then the answer is 503.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use roads::Network;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{Server, fault};
use crate::area::Areas;
use crate::calendar::{Calendar, CalendarError, dates};
use crate::report::bottlenecks::bottlenecks;
use crate::report::compare::{Question, compare};
use crate::report::place::{Place, PlaceKind, PlaceName};
use crate::report::quality::quality;
use crate::report::ranking::{self, ranking};
use crate::report::read::Archive;
use crate::report::reliability::reliability;
use crate::report::told::{Format, Report};
use crate::report::typical::typical_day;
use crate::report::words::Language;
use crate::report::{History, ReportError, When, hours, profile, weekdays};

/// Questions that wait for one of the two that are worked on.
const WAITING_MAX: usize = 64;

/// Days of a question that names none.
const DAYS_DEFAULT: i64 = 28;

/// Most rows of a ranking that nobody gave a number for.
const TOP_DEFAULT: usize = 50;

/// Where history is.
#[derive(Clone)]
pub struct HistorySource {
    pub root: PathBuf,
    pub city: String,
    pub areas: Arc<Areas>,
    pub calendar: Arc<Calendar>,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl HistorySource {
    /// History of a city in an archive folder, which may not be there yet.
    pub fn new(root: PathBuf, city: String, areas: Arc<Areas>, calendar: Arc<Calendar>) -> Self {
        let (turns, waiting) = (Arc::new(Semaphore::new(2)), Arc::new(Semaphore::new(WAITING_MAX)));
        Self { root, city, areas, calendar, turns, waiting }
    }

    /// Keeps the tables of reports up to date as days are compacted ([`profile::keep`]), until stopped.
    pub fn keep_tables(
        &self,
        network: Arc<Network>,
        days: watch::Receiver<u64>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let source = self.clone();
        profile::keep::keep(move || source.open(&network), days, stop)
    }

    fn open(&self, network: &Arc<Network>) -> Result<History, ReportError> {
        Ok(History {
            archive: Archive::open(&self.root, Some(&self.city))?,
            network: Arc::clone(network),
            areas: Arc::clone(&self.areas),
            calendar: Arc::clone(&self.calendar),
        })
    }
}

type Words = HashMap<String, String>;

/// `/api/v1/history`
pub(super) async fn days(State(server): State<Server>) -> Response {
    answer(server, |history, _| profile::days_json(history).map(Answer::Json), Words::new()).await
}

/// `/api/v1/history/{report}`
pub(super) async fn report(
    State(server): State<Server>,
    Path(name): Path<String>,
    Query(words): Query<Words>,
) -> Response {
    let work = move |history: &History, words: &Words| {
        let report = asked(history, &name, words)?;
        if words.get("format").is_some_and(|f| f == "csv") {
            Ok(Answer::Csv(report.told(Format::Csv, Language::English)?))
        } else {
            Ok(Answer::Json(report.json()?))
        }
    };
    answer(server, work, words).await
}

enum Answer {
    Json(serde_json::Value),
    Csv(String),
}

async fn answer(
    server: Server,
    work: impl FnOnce(&History, &Words) -> Result<Answer, ReportError> + Send + 'static,
    words: Words,
) -> Response {
    let Some(source) = server.api.history.clone() else {
        let message = "this service keeps no history: start it with an archive folder";
        return fault(StatusCode::NOT_FOUND, "no_history", message);
    };
    let Ok(_place) = source.waiting.clone().try_acquire_owned() else {
        let message = "too many questions about history are waiting; ask again in a moment";
        return fault(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
    };
    let Ok(turn) = source.turns.clone().acquire_owned().await else {
        return fault(StatusCode::SERVICE_UNAVAILABLE, "busy", "the service is ending");
    };
    let network = server.network;
    let done = tokio::task::spawn_blocking(move || {
        // Held until the work is over, also where nobody waits for the answer any more.
        let _turn = turn;
        source.open(&network).and_then(|history| work(&history, &words))
    });
    match done.await {
        Ok(Ok(Answer::Json(json))) => (StatusCode::OK, axum::Json(json)).into_response(),
        Ok(Ok(Answer::Csv(text))) => ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response(),
        Ok(Err(error)) => refused(&error),
        Err(_) => fault(StatusCode::INTERNAL_SERVER_ERROR, "history", "the report ended early; see the log"),
    }
}

fn refused(error: &ReportError) -> Response {
    let (status, code) = match error {
        ReportError::NoArchive { .. } | ReportError::NoData { .. } | ReportError::City { .. } => {
            (StatusCode::NOT_FOUND, "no_history")
        }
        ReportError::Place { .. } => (StatusCode::NOT_FOUND, "unknown_place"),
        ReportError::Calendar(_) | ReportError::Hours(_) | ReportError::Weekdays(_) | ReportError::TooMuch { .. } => {
            (StatusCode::BAD_REQUEST, "bad_question")
        }
        ReportError::Archive(_)
        | ReportError::Io { .. }
        | ReportError::Write { .. }
        | ReportError::Damaged { .. }
        | ReportError::Panicked
        | ReportError::Stopped
        | ReportError::Query(_) => (StatusCode::INTERNAL_SERVER_ERROR, "history"),
    };
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(%error, "a question about history failed");
        // Paths of this machine are for the log.
        return fault(status, code, "the archive cannot be read; the log says which file");
    }
    if let ReportError::NoArchive { .. } | ReportError::City { .. } = error {
        let message = "there is no history yet: it fills as minutes close, a quarter of an hour behind live";
        return fault(status, code, message);
    }
    fault(status, code, &error.to_string())
}

/// The report that words ask for.
fn asked(history: &History, name: &str, words: &Words) -> Result<Report, ReportError> {
    let when = when(history, words)?;
    Ok(match name {
        "typical-day" => {
            let place = place(words)?.unwrap_or(PlaceName::City);
            let place = Place::find(&place, &history.network, &history.areas)?;
            Report::Typical(typical_day(history, &place, &stretch(history, words)?, &when)?)
        }
        "compare" => {
            let place = place(words)?.unwrap_or(PlaceName::City);
            let place = Place::find(&place, &history.network, &history.areas)?;
            let question = question(history, words, when)?.ok_or_else(|| wanted("before and after"))?;
            Report::Compare(Box::new(compare(history, &place, &question)?))
        }
        "ranking" => {
            let top = words.get("top").and_then(|top| top.parse().ok()).unwrap_or(TOP_DEFAULT);
            let kind = match words.get("kind").map(String::as_str) {
                None | Some("corridor") => PlaceKind::Corridor,
                Some("segment") => PlaceKind::Segment,
                Some(other) => return Err(wanted(&format!("kind is corridor or segment, not {other}"))),
            };
            match question(history, words, when.clone())? {
                Some(question) => Report::Ranking(ranking(history, kind, &question, top)?),
                None => Report::TypicalRanking(ranking::typical(history, &stretch(history, words)?, &when, top)?),
            }
        }
        "reliability" => {
            let places = match place(words)? {
                Some(name) => vec![Place::find(&name, &history.network, &history.areas)?],
                None => history.areas.corridors().iter().map(|a| Place::of_area(a, &history.network)).collect(),
            };
            Report::Reliability(reliability(history, &places, &stretch(history, words)?, &when)?)
        }
        "bottlenecks" => {
            let place = place(words)?;
            let place = place.map(|p| Place::find(&p, &history.network, &history.areas)).transpose()?;
            Report::Bottlenecks(bottlenecks(history, place.as_ref(), &stretch(history, words)?, &when)?)
        }
        "quality" => Report::Quality(quality(history, &stretch(history, words)?)?),
        other => {
            let near = "; there is typical-day, compare, ranking, reliability, bottlenecks, quality".to_owned();
            return Err(ReportError::Place { kind: "report", name: other.to_owned(), near });
        }
    })
}

fn wanted(what: &str) -> ReportError {
    ReportError::Calendar(CalendarError::Syntax(format!("the question needs {what}")))
}

fn place(words: &Words) -> Result<Option<PlaceName>, ReportError> {
    let mut named = ["corridor", "segment", "zone", "city"].into_iter().filter_map(|kind| {
        let id = words.get(kind)?;
        PlaceName::parse(&format!("{kind}:{id}")).ok()
    });
    let (first, second) = (named.next(), named.next());
    if second.is_some() { Err(wanted("one place, not two")) } else { Ok(first) }
}

/// `from` to `to`; without them the last days that there are.
fn stretch(history: &History, words: &Words) -> Result<RangeInclusive<Date>, ReportError> {
    match (words.get("from"), words.get("to")) {
        (Some(from), Some(to)) => Ok(dates(&format!("{from}..{to}"))?),
        (None, None) => history.last_days(DAYS_DEFAULT),
        _ => Err(wanted("both from and to")),
    }
}

fn question(history: &History, words: &Words, when: When) -> Result<Option<Question>, ReportError> {
    let (before, after) = match (words.get("before"), words.get("after")) {
        (Some(before), Some(after)) => (dates(before)?, dates(after)?),
        (None, None) => return Ok(None),
        _ => return Err(wanted("both before and after")),
    };
    let control = words.get("control").filter(|c| !c.is_empty()).map(|name| PlaceName::parse(name)).transpose()?;
    let control = control.map(|name| Place::find(&name, &history.network, &history.areas)).transpose()?;
    Ok(Some(Question { before, after, when, control }))
}

fn when(history: &History, words: &Words) -> Result<When, ReportError> {
    let given = |key: &str| words.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let mut when = When::default();
    if let Some(text) = given("weekdays") {
        when.weekdays = weekdays(text)?;
    }
    if let Some(text) = given("hours") {
        when.hours = hours(text)?;
    }
    if let Some(text) = given("without") {
        for word in text.split(',') {
            when.without.extend(history.calendar.days_called(word.trim())?);
        }
    }
    when.with_holidays = given("holidays").is_some_and(|text| text == "1" || text == "true");
    Ok(when)
}
