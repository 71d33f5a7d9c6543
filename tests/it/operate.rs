//! The whole as an operator runs it: mosquitto with TLS, passwords and an access list, the services beside it, Debian's
//! Prometheus with our rules, and Grafana's queries. An incident is replayed, and told; strangers are refused, and counted.
//!
//! Upstream: deploy/rules, deploy/grafana, the real binary. No Grafana runs here: the queries of its panels are verified, not
//! their looks.

mod broker;
mod panels;
mod prometheus;
mod street;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Running, arterial, free_port, get, metric, run, wait_for, wait_for_within, wait_ready};
use broker::Broker;
use prometheus::Prometheus;
use street::Street;

/// An incident comes and goes within a minute and a half; a shared machine may take three times as long.
const INCIDENT_TAKES_MAX: Duration = Duration::from_secs(170);

/// The recording's minutes pass so many times as fast: a window of five minutes takes ten seconds.
const SPEED: &str = "30";

/// `arterial ingest` in broker mode, as that account, believing that authority.
fn ingest(broker: &Broker, account: &str, authority: &str, http: u16) -> Command {
    let mut command = arterial();
    command.args(["ingest", "--http-listen", &format!("127.0.0.1:{http}")]);
    command.args(["--client-id", account]).arg("--data").arg(broker.folder().join(format!("data-{account}")));
    broker.reach(&mut command, account, authority);
    command
}

/// `arterial replay` of a table of the street, as that account.
fn replay(broker: &Broker, account: &str, table: &std::path::Path, speed: &str) -> Command {
    let mut command = arterial();
    command.arg("replay").arg(table).args(["--format", "csv", "--speed", speed]);
    command.args(["--columns", "id=id,time=time,lon=lon,lat=lat,heading=heading"]);
    broker.reach(&mut command, account, "authority");
    command
}

/// Has an independent reader look at a page of metrics.
fn promtool_reads(port: u16, path: &str) {
    let (status, page) = get(port, path).expect("the page is served");
    let mut check = Command::new("promtool");
    let check = check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().expect("promtool is there: `cargo xtask test` installs it");
    check.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = check.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    assert!(status == 200 && words.is_empty(), "{path}: {}", String::from_utf8_lossy(&words));
}

#[test]
fn an_incident_is_told_and_every_panel_has_its_answer() {
    let broker = Broker::start();
    let street = Street::lay(broker.folder());
    let (ingest_http, http) = (free_port(), free_port());
    let mut ingest = Running::start(&mut ingest(&broker, "ingest", "authority", ingest_http));
    wait_ready(&mut ingest, ingest_http);
    let mut analytics = Running::start(
        arterial()
            .args(["analytics", "--network", "demo", "--segment-classes", "all"])
            .args(["--http-listen", &format!("127.0.0.1:{http}"), "--data"])
            .arg(broker.folder().join("data-ingest"))
            .arg("--corridors")
            .arg(&street.corridors),
    );
    wait_ready(&mut analytics, http);
    let page = get(http, "/").expect("the page is served by the same process");
    assert_eq!(page.0, 200);

    // Two hours of flowing traffic within seconds, so that it is known what is usual. Not as fast as they go: a block would
    // then hold more than ten minutes, and of what lies within a block only the newest five minutes would be learnt of.
    run(&mut replay(&broker, "replay", &street.before, "600"));
    wait_for("analytics to have read the two hours", || {
        analytics.check();
        let told = get(http, "/metrics")?.1;
        let read = metric(&told, "arterial_analytics_positions_total", "")?;
        (read >= street.rows_before as f64).then_some(())
    });
    let prometheus = Prometheus::start(broker.folder(), ingest_http, http);
    let mut day = Running::start(replay(&broker, "replay", &street.day, SPEED).stdout(Stdio::null()));

    let alert = format!("alertname=\"ArterialJamBeyondTypical\",segment=\"{}\"", street.jammed);
    let state = |state: &str| format!("ALERTS{{{alert},alertstate=\"{state}\"}}");
    wait_for_within(INCIDENT_TAKES_MAX, "the jam's alert to fire", || {
        analytics.check();
        prometheus.value(&state("firing"))
    });
    assert!(!day.has_ended(), "the alert is about traffic of now");
    let named = prometheus.query(&state("firing"));
    assert_eq!(named[0]["metric"]["street"], street.name.as_str(), "{named:?}");
    wait_for_within(INCIDENT_TAKES_MAX, "the alert to be resolved", || {
        analytics.check();
        let ends = prometheus.value(&state("firing")).is_none() && prometheus.value(&state("pending")).is_none();
        ends.then_some(())
    });
    // While traffic flows again, so that every figure is one of now.
    let seen = panels::check_all(&prometheus);
    println!("{seen} queries of panels answered");
    for (port, path) in [(ingest_http, "/metrics"), (http, "/metrics"), (http, "/metrics/segments")] {
        promtool_reads(port, path);
    }

    let first = |state_name: &str| {
        prometheus
            .value(&format!("min_over_time(timestamp({})[10m:1s])", state(state_name)))
            .expect("it was in that state")
    };
    assert!(first("pending") < first("firing"), "pending, firing, resolved");
    let page = get(ingest_http, "/metrics").unwrap().1;
    assert_eq!(metric(&page, "arterial_ingest_events_total", "fate=\"rejected\""), Some(0.0));
    assert!(prometheus.value("max(arterial:spool_depth:blocks)").is_some(), "both pages are scraped");
    day.stop();
    assert_eq!(analytics.stop(), Some(0));
    assert_eq!(ingest.stop(), Some(0));
}

/// Waits until ingest has counted a refusal for this reason; gives the sentence of `/ready`.
fn refused(broker: &Broker, account: &str, authority: &str, reason: &str) -> String {
    let http = free_port();
    let mut ingest = Running::start(&mut ingest(broker, account, authority, http));
    let sentence = wait_for(&format!("a refusal for `{reason}`"), || {
        ingest.check();
        let page = get(http, "/metrics")?.1;
        let counted = metric(&page, "arterial_ingest_mqtt_failures_total", &format!("reason=\"{reason}\""))?;
        let away = metric(&page, "arterial_ingest_mqtt_sessions", "state=\"away\"")?;
        let (status, words) = get(http, "/ready")?;
        (counted >= 1.0 && away == 1.0 && status == 503).then_some(words)
    });
    assert_eq!(ingest.stop(), Some(0));
    sentence
}

#[test]
fn whoever_must_not_come_in_is_refused_in_words_and_counted() {
    let broker = Broker::start();
    let street = Street::lay(broker.folder());
    let words = refused(&broker, "ingest", "stranger", "tls");
    assert!(words.contains("certificate"), "a wrong certificate: {words}");
    let words = refused(&broker, "impostor", "authority", "login");
    assert!(words.contains("NotAuthorized") || words.contains("BadUserNamePassword"), "a wrong password: {words}");

    // The same towards a publisher: it ends, and says why.
    for (account, authority, expected) in
        [("impostor", "authority", "Authorized"), ("replay", "stranger", "certificate")]
    {
        let mut command = replay(&broker, account, &street.day, "max");
        broker.reach(&mut command, account, authority);
        let ended = command.args(["--give-up-after-s", "2"]).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(expected), "{account}: {said}");
    }

    // A topic that the access list does not have for this account: told by the broker for every message, and counted.
    let http = free_port();
    let mut ingest = Running::start(&mut ingest(&broker, "ingest", "authority", http));
    wait_ready(&mut ingest, http);
    let pages = free_port();
    let mut city = arterial();
    city.args(["sim", "--network", "demo", "--vehicles", "50", "--metrics", &format!("127.0.0.1:{pages}")]);
    broker.reach(&mut city, "visitor", "authority");
    let mut city = Running::start(city.stderr(Stdio::null()));
    wait_for("the refusal of a topic to be counted", || {
        city.check();
        metric(&get(pages, "/metrics")?.1, "arterial_sim_messages_refused_total", "").filter(|refused| *refused > 0.0)
    });
    promtool_reads(pages, "/metrics");
    let told = replay(&broker, "visitor", &street.day, "max").output().unwrap();
    let (out, log) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(log.contains("the server refused a message") && log.contains("NotAuthorized"), "{log:.500}");
    assert!(out.contains("acknowledged 0,") && !out.contains("refused 0"), "{out}");
    let page = get(http, "/metrics").unwrap().1;
    assert_eq!(metric(&page, "arterial_ingest_received_total", ""), Some(0.0), "nothing of it came through");
    city.stop();
    assert_eq!(ingest.stop(), Some(0));
}

/// A page with a token in the head of the request; status and body.
fn get_as(port: u16, path: &str, token: Option<&str>) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let head = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{head}\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

#[test]
fn a_wrong_token_is_refused_in_words_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let made = arterial().args(["token", "prometheus", "--http-tokens"]).arg(&tokens).output().unwrap();
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let http = free_port();
    let mut analytics = Running::start(
        arterial()
            .args(["analytics", "--network", "demo", "--http-listen", &format!("127.0.0.1:{http}")])
            .arg("--http-tokens")
            .arg(&tokens)
            .arg("--data")
            .arg(folder.path().join("data")),
    );
    let page = wait_for("the pages to be served", || {
        analytics.check();
        get_as(http, "/metrics", Some(&token)).filter(|answer| answer.0 == 200)
    });
    assert!(page.1.contains("arterial_analytics_next_block"), "{:.200}", page.1);
    for path in ["/metrics", "/metrics/segments", "/api/v1/snapshot"] {
        let (status, words) = get_as(http, path, None).unwrap();
        assert!(status == 401 && words.contains("needs a token"), "{path}: {status} {words}");
        let (status, words) = get_as(http, path, Some("not-this-one")).unwrap();
        assert!(status == 401 && words.contains("nobody has this token"), "{path}: {status} {words}");
    }
    let page = get_as(http, "/metrics", Some(&token)).unwrap().1;
    for reason in ["no_token", "wrong_token"] {
        assert_eq!(
            metric(&page, "arterial_http_refused_total", &format!("reason=\"{reason}\"")),
            Some(3.0),
            "{reason}"
        );
    }
    assert_eq!(analytics.stop(), Some(0));
}
