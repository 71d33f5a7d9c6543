//! Debian's Prometheus with a copy of our configuration and rules in which time goes faster.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Running, free_port, get, wait_for};

pub(super) struct Prometheus {
    _process: Running,
    port: u16,
}

/// Durations of the rules, and those of the copy: a second here is half a minute of the recording. The labels of
/// windows (`"5m"`) stay.
const FASTER: [(&str, &str); 6] = [
    ("[1d]", "[120s]"),
    ("[1h]", "[60s]"),
    ("[30m]", "[30s]"),
    ("[15m]", "[20s]"),
    ("[5m]", "[15s]"),
    ("[10m]", "[20s]"),
];

/// What `$__rate_interval` is in the copy: four scrapes, as Grafana has it, and room for a late one.
pub(super) const RATE_INTERVAL: &str = "15s";

impl Prometheus {
    pub(super) fn start(folder: &Path, ingest_http: u16, analytics_http: u16) -> Self {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        for name in ["traffic", "pipeline"] {
            let rules = std::fs::read_to_string(deploy.join(format!("rules/{name}.yml"))).unwrap();
            std::fs::write(folder.join(format!("{name}.yml")), faster(&rules)).unwrap();
        }
        let config = std::fs::read_to_string(deploy.join("prometheus.yml")).unwrap();
        let mut config = config.replace("rules/", "").replace("10s", "1s").replace("5s", "1s");
        for (from, port) in [("ingest:9465", ingest_http), ("analytics:8080", analytics_http)] {
            assert!(config.contains(from), "{from} is not in deploy/prometheus.yml");
            config = config.replace(from, &format!("127.0.0.1:{port}"));
        }
        let port = free_port();
        let path = folder.join("prometheus.yml");
        std::fs::write(&path, config.replace("127.0.0.1:9090", &format!("127.0.0.1:{port}"))).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null());
        let mut process = Running::start(&mut command);
        wait_for("Prometheus", || {
            process.check();
            get(port, "/-/ready").filter(|answer| answer.0 == 200)
        });
        Self { _process: process, port }
    }

    /// The series that a query gives now.
    pub(super) fn query(&self, query: &str) -> Vec<Value> {
        self.ask(&format!("query?query={}", encoded(query)))
    }

    /// The same over the last minute, a value a second.
    pub(super) fn query_range(&self, query: &str) -> Vec<Value> {
        let end_s = self.value("time()").expect("Prometheus has a clock");
        self.ask(&format!("query_range?query={}&start={}&end={end_s}&step=1", encoded(query), end_s - 60.0))
    }

    /// The first value that a query gives now.
    pub(super) fn value(&self, query: &str) -> Option<f64> {
        self.query(query).first()?["value"][1].as_str()?.parse().ok()
    }

    /// The values of a label, of one series or of all.
    pub(super) fn label_values(&self, series: &str, label: &str) -> Vec<String> {
        let answer = self.answer(&format!("label/{label}/values?match[]={}", encoded(series)));
        answer.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    }

    fn ask(&self, path: &str) -> Vec<Value> {
        let answer = self.answer(path);
        match answer["result"].as_array() {
            // A scalar is a pair; as a vector it has one series without labels.
            Some(pair) if answer["resultType"] == "scalar" => vec![serde_json::json!({ "metric": {}, "value": pair })],
            Some(series) => series.clone(),
            None => panic!("{path}: {answer}"),
        }
    }

    fn answer(&self, path: &str) -> Value {
        let (status, body) = get(self.port, &format!("/api/v1/{path}")).expect("Prometheus answers");
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"));
        assert_eq!((status, answer["status"].as_str()), (200, Some("success")), "{path}: {body}");
        answer["data"].clone()
    }
}

/// The same rules, whose ranges and waits are shorter.
fn faster(rules: &str) -> String {
    let mut text = String::new();
    for line in rules.lines() {
        match line.trim_start().strip_prefix("for: ") {
            Some(_) => text += &line.replace(line.trim_start(), "for: 3s"),
            None => text += line,
        }
        text.push('\n');
    }
    for (from, to) in FASTER {
        text = text.replace(from, to);
    }
    text
}

/// A query as a part of an address (RFC 3986).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
