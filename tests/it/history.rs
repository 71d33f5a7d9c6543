//! `arterial report` and `/api/v1/history` over an archive that is made up, with a change that was planted in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use analytics::area::Areas;
use analytics::calendar::{Calendar, date};
use analytics::report::made::{Made, Planted};
use roads::{CityPlan, city};
use serde_json::Value;

use crate::support::{Running, arterial, free_port, get, run, wait_for};

const CALENDAR: &str = "zone = \"Europe/Berlin\"\n[[holiday]]\nname = \"Pfingstmontag\"\ndate = \"2026-05-25\"\n\
                        [[event]]\nname = \"Marathon\"\nfrom = \"2026-06-06\"\nto = \"2026-06-07\"\n";

struct City {
    folder: tempfile::TempDir,
    /// The corridor that got slower, and another one.
    worse: String,
    other: String,
}

impl City {
    /// Eight weeks of mornings; from June on one corridor is a fifth slower.
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let network = Arc::new(city(&CityPlan { blocks_x: 6, blocks_y: 6, ..CityPlan::default() }));
        roads::cache::save(&network, folder.path().join("city.roads")).unwrap();
        std::fs::write(folder.path().join("calendar.toml"), CALENDAR).unwrap();
        let areas = Areas::new(&network, None, None);
        let [worse, other] = [1, 0].map(|i| areas.corridors()[i].clone());
        let calendar = Arc::new(Calendar::parse(CALENDAR).unwrap());
        let from = date("2026-06-01").unwrap();
        let planted = Planted { segments: worse.segments.clone(), from, factor: 1.2 };
        let made = Made::new(network, calendar, date("2026-05-04").unwrap(), date("2026-06-28").unwrap());
        let made = Made { hours: (6, 10), planted: Some(planted), ..made };
        made.write(&folder.path().join("archive")).unwrap();
        Self { folder, worse: worse.name, other: other.name }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn report(&self, words: &[&str]) -> Command {
        let mut command = arterial();
        command.arg("report").args(words);
        command.arg("--archive").arg(self.path("archive")).arg("--network").arg(self.path("city.roads"));
        command.arg("--calendar").arg(self.path("calendar.toml"));
        command
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = run(self.report(words).args(["--format", "json"]));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

const SIDES: [&str; 8] = [
    "--before",
    "2026-05-04..2026-05-31",
    "--after",
    "2026-06-01..2026-06-28",
    "--weekdays",
    "1,2,3,4,5",
    "--hours",
    "6-10",
];

/// The words of a comparison of a corridor.
fn corridor(name: &str) -> Vec<&str> {
    [&["compare", "--corridor", name][..], &SIDES].concat()
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} of {value}"))
}

#[test]
fn reports_find_what_was_planted() {
    let city = City::make();
    let worse = city.json(&corridor(&city.worse));
    assert_eq!(worse["verdict"], "increase");
    assert!(number(&worse, "/change/travel_time_percent/low") > 0.0);
    assert!(number(&worse, "/change/delay_vehicle_h_per_day/low") > 0.0);
    // 25 May is a holiday: of the 20 weekdays before, 19 are compared.
    assert_eq!((number(&worse, "/before/days"), number(&worse, "/after/days")), (19.0, 20.0));
    let same = city.json(&corridor(&city.other));
    assert_eq!(same["verdict"], "no_clear_change", "{same}");
    let control = format!("corridor:{}", city.other);
    let with = city.json(&[&corridor(&city.worse)[..], &["--control", &control]].concat());
    assert_eq!((&with["verdict"], &with["control"]["place"]["id"]), (&"increase".into(), &city.other.as_str().into()));

    let ranking = city.json(&[&["ranking"][..], &SIDES].concat());
    assert_eq!(ranking["rows"][0]["place"]["id"], city.worse.as_str());
    let text = run(&mut city.report(&[&["ranking"][..], &SIDES].concat()));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("worse") && text.contains(&city.worse), "{text}");

    // The same days, a day left out by its name and one by its date.
    let week = ["typical-day", "--corridor", &city.worse, "--from", "2026-06-01", "--to", "2026-06-28"];
    let all = city.json(&week);
    let some = city.json(&[&week[..], &["--without", "Marathon,2026-06-01"]].concat());
    let days = |week: &Value, weekday: u64| {
        let rows = week["rows"].as_array().unwrap().iter();
        rows.filter(|r| r["weekday"] == weekday).map(|r| number(r, "/days_asked")).fold(0.0, f64::max)
    };
    assert_eq!([1, 2, 6].map(|d| days(&all, d)), [4.0, 4.0, 4.0]);
    assert_eq!([1, 2, 6].map(|d| days(&some, d)), [3.0, 4.0, 3.0]);
    let csv = run(city.report(&week).args(["--format", "csv"]));
    let mut rows = csv::Reader::from_reader(&csv.stdout[..]);
    assert!(rows.headers().unwrap().iter().any(|h| h == "travel_time_s_p50"));
    assert_eq!(rows.records().map(Result::unwrap).count(), all["rows"].as_array().unwrap().len());
    page(&city);
}

/// One page without anything from elsewhere, in three languages.
fn page(city: &City) {
    for (language, word) in [("en", "worse"), ("de", "schlechter"), ("zh", "变差")] {
        let out = city.path("page.html");
        let words = [&["compare", "--corridor", &city.worse][..], &SIDES].concat();
        run(city.report(&words).args(["--format", "html", "--language", language, "--out"]).arg(&out));
        let page = std::fs::read_to_string(&out).unwrap();
        assert!(page.contains(word) && page.contains("<svg") && !page.contains("src="), "{language}");
    }
}

#[test]
fn what_cannot_be_answered_is_one_sentence() {
    let city = City::make();
    let empty = city.path("nothing");
    for (words, told) in [
        (vec!["typical-day", "--corridor", "No Street"], "there is no corridor `No Street`"),
        (
            vec!["typical-day", "--whole-city", "--from", "2020-01-01", "--to", "2020-01-07"],
            "there is no history of the city",
        ),
        (vec!["quality", "--from", "2026-06-07", "--to", "2026-06-01"], "begins after it ends"),
        (vec!["quality", "--hours", "10-6"], "hours are given as 6-10"),
        (vec!["quality", "--without", "Karneval"], "neither a date"),
    ] {
        let output = city.report(&words).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(told) && error.lines().count() == 1, "{words:?}: {error}");
    }
    let mut command = arterial();
    command.args(["report", "quality", "--network"]).arg(city.path("city.roads")).arg("--archive").arg(empty);
    let error = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(error.contains("there is no history in"), "{error}");
}

fn served(city: &City, data: &Path, name: &str) -> (Running, u16) {
    let port = free_port();
    let mut command = arterial();
    command.args(["analytics", "--city", name, "--http-listen", &format!("127.0.0.1:{port}"), "--data"]).arg(data);
    command.arg("--network").arg(city.path("city.roads")).arg("--calendar").arg(city.path("calendar.toml"));
    (Running::start(&mut command), port)
}

#[test]
fn the_same_answers_come_over_http() {
    let city = City::make();
    // The folder of the made archive is that of the service's data.
    let (mut service, port) = served(&city, city.folder.path(), "made");
    let ask = |path: &str| {
        let (status, body) = get(port, path)?;
        Some((status, serde_json::from_str::<Value>(&body).unwrap_or(Value::String(body))))
    };
    let (status, days) = wait_for("history", || {
        service.check();
        ask("/api/v1/history")
    });
    assert_eq!((status, &days["zone"]), (200, &"Europe/Berlin".into()));
    assert_eq!(days["days"].as_array().unwrap().len(), 56);
    let encoded = city.worse.replace(' ', "%20");
    let sides = "before=2026-05-04..2026-05-31&after=2026-06-01..2026-06-28&weekdays=1,2,3,4,5&hours=6-10";
    let (_, compared) = ask(&format!("/api/v1/history/compare?corridor={encoded}&{sides}")).unwrap();
    let from_report = city.json(&[&["compare", "--corridor", &city.worse][..], &SIDES].concat());
    assert_eq!(compared, from_report);
    let (_, ranked) = ask(&format!("/api/v1/history/ranking?kind=corridor&{sides}&top=3")).unwrap();
    assert_eq!(ranked["rows"][0]["place"]["id"], city.worse.as_str());
    let (status, csv) = ask("/api/v1/history/quality?from=2026-06-01&to=2026-06-02&format=csv").unwrap();
    assert!(status == 200 && csv.as_str().unwrap().starts_with("source,date,received"), "{csv}");
    for (path, status, code) in [
        ("compare?city=1", 400, "bad_question"),
        ("typical-day?city=1&hours=9", 400, "bad_question"),
        ("typical-day?corridor=none&from=2026-06-01&to=2026-06-02", 404, "unknown_place"),
        ("typical-day?city=1&from=2020-06-01&to=2020-06-02", 404, "no_history"),
        ("horoscope", 404, "unknown_place"),
    ] {
        let (found, body) = ask(&format!("/api/v1/history/{path}")).unwrap();
        assert_eq!((found, body["error"]["code"].as_str()), (status, Some(code)), "{path}: {body}");
    }
    assert_eq!(service.stop(), Some(0));

    let nothing = tempfile::tempdir().unwrap();
    let (mut service, port) = served(&city, nothing.path(), "demo");
    let (status, body) = wait_for("history", || {
        service.check();
        get(port, "/api/v1/history")
    });
    assert!(status == 404 && body.contains("no_history"), "{body}");
    assert_eq!(service.stop(), Some(0));
}
