//! What `deploy/` promises: metric names that the running binary must export, queries that Prometheus must accept,
//! ports that only this machine may reach. Read as text, because text is what an operator copies from there.
//!
//! Upstream: the rules, the Grafana dashboards, the compose file. Downstream: `checks`.

use crate::failure::Failure;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PREFIX: &str = "arterial_";
const RULES: [&str; 2] = ["deploy/rules/traffic.yml", "deploy/rules/pipeline.yml"];
/// Their tests, relative to deploy/.
pub(crate) const RULE_TESTS: [&str; 3] =
    ["rules/tests/traffic.yml", "rules/tests/typical.yml", "rules/tests/pipeline.yml"];
const DASHBOARDS: [&str; 3] = [
    "deploy/grafana/dashboards/city.json",
    "deploy/grafana/dashboards/corridor.json",
    "deploy/grafana/dashboards/pipeline.json",
];
const DOCUMENT: &str = "docs/metrics.md";

/// Names that a simulated city in one process has no series of: there is no broker, no bottleneck may stand in its first
/// minutes, and reliability takes a hundred minutes. tests/it/operate.rs sees the rest of them.
const CONDITIONAL: [&str; 5] = [
    "arterial_ingest_mqtt_sessions",
    "arterial_bottleneck_queue_meters",
    "arterial_corridor_planning_time_index",
    "arterial_corridor_buffer_index",
    "arterial_corridor_lottr",
];

/// Services of systemd, in deploy/systemd.
pub(crate) const UNITS: [&str; 2] = ["arterial-ingest.service", "arterial-analytics.service"];

/// What hands secrets to any of them, in the same folder: a drop-in.
pub(crate) const SECRETS: &str = "secrets.conf";

/// The most that a unit may expose by the reckoning of `systemd-analyze security`, in tenths: 0 is nothing, 100 all.
pub(crate) const EXPOSURE_MAX: u32 = 12;

/// Every `arterial_…` name in the rules and the dashboards.
pub(crate) fn promised_names(root: &Path) -> Result<BTreeSet<String>, Failure> {
    let mut names = BTreeSet::new();
    for path in RULES.into_iter().chain(DASHBOARDS) {
        names.extend(names_in(&read(root, path)?));
    }
    Ok(names)
}

/// Those of them that the pages of a city in one process must have.
pub(crate) fn names_of_a_city(root: &Path) -> Result<BTreeSet<String>, Failure> {
    let mut names = promised_names(root)?;
    names.retain(|name| !CONDITIONAL.contains(&name.as_str()));
    Ok(names)
}

/// Names on pages that the document does not have, and the document's that rules and dashboards need and it lacks.
pub(crate) fn undocumented(root: &Path, pages: &str) -> Result<Vec<String>, Failure> {
    let document = names_in(&read(root, DOCUMENT)?);
    let on_pages = pages.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let mut missing: Vec<String> = on_pages.filter(|name| !document.contains(*name)).map(str::to_string).collect();
    let parts = ["_bucket", "_sum", "_count"];
    let known = |name: &str| {
        document.contains(name)
            || parts.iter().any(|part| name.strip_suffix(part).is_some_and(|n| document.contains(n)))
    };
    missing.extend(promised_names(root)?.into_iter().filter(|name| !known(name)));
    Ok(missing)
}

/// Of `names`, those that a page of metrics does not declare.
pub(crate) fn undeclared<'n>(names: &'n BTreeSet<String>, page: &str) -> Vec<&'n str> {
    let declared: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let is_declared = |name: &str| {
        // A histogram is declared once and read through its parts.
        let parts = ["_bucket", "_sum", "_count"];
        declared.contains(name)
            || parts.iter().any(|part| name.strip_suffix(part).is_some_and(|base| declared.contains(base)))
    };
    names.iter().map(String::as_str).filter(|name| !is_declared(name)).collect()
}

/// The dashboards' queries as a file of rules, so that promtool parses them; variables get a value that Grafana could
/// give them.
pub(crate) fn dashboard_queries_as_rules(root: &Path) -> Result<String, Failure> {
    let mut rules = String::from("groups:\n  - name: grafana\n    rules:\n");
    let mut number = 0;
    for path in DASHBOARDS {
        let dashboard = read(root, path)?;
        let queries = queries_in(&dashboard);
        if queries.is_empty() {
            return Err(Failure::Check(format!("{path} holds no query")));
        }
        for query in queries {
            // A JSON string is a YAML string: it goes over as it stands, quotes and escapes included.
            let mut query = query.replace("$__rate_interval", "5m");
            for (variable, value) in [("$window", "5m"), ("$corridor", "x"), ("$segment", "x")] {
                query = query.replace(variable, value);
            }
            rules += &format!("      - record: grafana:query:{number}\n        expr: {query}\n");
            number += 1;
        }
    }
    Ok(rules)
}

pub(crate) fn read(root: &Path, path: &str) -> Result<String, Failure> {
    fs::read_to_string(root.join(path)).map_err(|source| Failure::io(format!("read {path}"), source))
}

fn names_in(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c: char| !is_word(c));
    words.filter(|word| word.starts_with(PREFIX) && !word.contains(':')).map(str::to_string).collect()
}

/// The values of all `"expr"` keys, still quoted.
fn queries_in(json: &str) -> Vec<&str> {
    let mut queries = Vec::new();
    for after_key in json.split("\"expr\":").skip(1) {
        let value = after_key.trim_start();
        let mut escaped = false;
        let end = value.char_indices().skip(1).find(|&(_, c)| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        queries.extend(end.map(|(end, _)| &value[..=end]));
    }
    queries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    #[test]
    fn names_are_words_with_our_prefix_and_recorded_series_are_not() {
        let text = "sum(rate(arterial_a_total[5m])) > arterial:a:rate5m{arterial_b=\"x\"} my_arterial_c";
        assert_eq!(names_in(text), ["arterial_a_total", "arterial_b"].map(String::from).into());
    }

    #[test]
    fn a_histogram_is_declared_by_its_base_name() {
        let names = ["arterial_a", "arterial_b_bucket", "arterial_c"].map(String::from).into();
        let page = "# HELP arterial_c words\n# TYPE arterial_a gauge\narterial_a 1\n# TYPE arterial_b histogram\n";
        assert_eq!(undeclared(&names, page), ["arterial_c"]);
    }

    #[test]
    fn queries_keep_their_quotes_and_escapes() {
        let json = r#"{"expr": "a{b=\"c\\\"}", "x": 1, "expr":"d"}"#;
        assert_eq!(queries_in(json), [r#""a{b=\"c\\\"}""#, r#""d""#]);
    }

    #[test]
    fn the_real_files_promise_something() {
        let names = promised_names(root()).expect("readable");
        for name in ["arterial_ingest_received_total", "arterial_city_travel_time_index"] {
            assert!(names.contains(name), "{name} is in neither file: {names:?}");
        }
        assert!(CONDITIONAL.iter().all(|name| names.contains(*name)), "an exception that nobody needs any more");
        assert_eq!(undocumented(root(), "# TYPE arterial_nothing gauge\n").expect("readable"), ["arterial_nothing"]);
        let rules = dashboard_queries_as_rules(root()).expect("queries");
        assert!(!rules.contains('$'), "a variable is left without a value:\n{rules}");
    }

    /// Names of all alerts, from the rules.
    fn alerts() -> Vec<String> {
        let rules = RULES.map(|path| read(root(), path).expect("readable")).concat();
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_string).collect()
    }

    #[test]
    fn every_alert_has_a_runbook_and_a_test_that_fires_it_and_one_that_does_not() {
        let alerts = alerts();
        assert!(alerts.len() >= 20, "{alerts:?}");
        let rules = RULES.map(|path| read(root(), path).expect("readable")).concat();
        let tests = RULE_TESTS.map(|path| read(&root().join("deploy"), path).expect("readable")).concat();
        let runbook = read(root(), "docs/runbook.md").expect("readable");
        let sections = runbook.lines().filter_map(|line| line.strip_prefix("### "));
        assert_eq!(sections.collect::<BTreeSet<_>>(), alerts.iter().map(String::as_str).collect(), "docs/runbook.md");
        for alert in &alerts {
            let anchor = format!("runbook: docs/runbook.md#{}\n", alert.to_lowercase());
            assert!(rules.contains(&anchor), "{alert} does not name its section");
            // Between two names of alerts there is what is expected of the first.
            let cases: Vec<&str> = tests.split("alertname: ").filter(|case| case.starts_with(alert.as_str())).collect();
            let fires = |case: &&&str| case.contains("exp_labels");
            assert!(cases.iter().any(|case| fires(&case)), "no test fires {alert}");
            assert!(cases.iter().any(|case| !fires(&case)), "no test leaves {alert} alone");
        }
    }

    #[test]
    fn the_image_is_built_from_everything_that_the_binary_is_made_of() {
        let manifest = read(root(), "Cargo.toml").expect("readable");
        let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).expect("a workspace");
        let members = members.split('"').skip(1).step_by(2);
        let let_in = read(root(), ".dockerignore").expect("readable");
        // What lies beside the crates and is compiled in.
        for part in members.chain(["src", "scenarios", "dashboard"]) {
            assert!(let_in.lines().any(|line| line == format!("!{part}")), ".dockerignore keeps {part} out");
        }
    }

    #[test]
    fn every_published_port_is_reachable_from_this_machine_only() {
        let compose = read(root(), "docker-compose.yml").expect("readable");
        let mut published = 0;
        let mut in_ports = false;
        for line in compose.lines().map(str::trim) {
            if let Some(port) = line.strip_prefix("- ").filter(|_| in_ports) {
                assert!(port.starts_with("\"127.0.0.1:"), "published to everybody: {port}");
                published += 1;
            } else {
                in_ports = line == "ports:";
            }
        }
        assert!(published >= 4, "only {published} ports found: is this test still reading the file rightly?");
    }
}
