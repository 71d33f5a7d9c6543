//! Every query of every panel of deploy/grafana, with its variables filled in as Grafana does, against a live Prometheus:
//! finite, not empty, with the labels that its legend names. And what Grafana would stumble over: data sources that nobody
//! provisions, panels that overlap or say neither title, description nor unit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::prometheus::{Prometheus, RATE_INTERVAL};

const DASHBOARDS: [&str; 3] = ["city", "corridor", "pipeline"];

/// Checks all of them and lists every fault at once; gives how many queries were answered.
pub(super) fn check_all(prometheus: &Prometheus) -> usize {
    let grafana = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana");
    let sources = std::fs::read_to_string(grafana.join("provisioning/datasources/prometheus.yml")).unwrap();
    let source = sources.lines().find_map(|line| line.trim().strip_prefix("uid: ")).expect("the source has a uid");
    let (mut faults, mut answered) = (Vec::new(), 0);
    for name in DASHBOARDS {
        let text = std::fs::read_to_string(grafana.join(format!("dashboards/{name}.json"))).unwrap();
        let board: Value = serde_json::from_str(&text).unwrap();
        let variables = variables(prometheus, &board);
        let panels = board["panels"].as_array().unwrap();
        let mut tell = |panel: &Value, fault: String| faults.push(format!("{name}: {}: {fault}", panel["title"]));
        overlaps(panels).into_iter().for_each(|(panel, fault)| tell(panel, fault));
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            let said = |at: &str| panel.pointer(at).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
            for wanted in ["/title", "/description", "/fieldConfig/defaults/unit"] {
                if !said(wanted) {
                    tell(panel, format!("says no {wanted}"));
                }
            }
            for target in panel["targets"].as_array().expect("a panel that is no row asks something") {
                match check(prometheus, target, source, &variables) {
                    Ok(()) => answered += 1,
                    Err(fault) => tell(panel, format!("{}: {fault}", target["expr"])),
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(answered >= 50, "only {answered} queries: are these the dashboards?");
    answered
}

/// A value for every variable, as Grafana would choose it at first.
fn variables(prometheus: &Prometheus, board: &Value) -> BTreeMap<String, String> {
    let one = |variable: &Value| {
        let name = variable["name"].as_str().unwrap().to_owned();
        let value = match variable["type"].as_str().unwrap() {
            "custom" => variable["current"]["value"].as_str().unwrap().to_owned(),
            "query" => {
                let query = variable["query"]["query"].as_str().unwrap();
                let inner =
                    query.strip_prefix("label_values(").and_then(|q| q.strip_suffix(')')).expect("label_values(…)");
                let (series, label) = inner.rsplit_once(", ").expect("a series and a label");
                let values = prometheus.label_values(series, label);
                assert!(!values.is_empty(), "${name} has no values");
                if variable["includeAll"] == true {
                    variable["allValue"].as_str().unwrap().to_owned()
                } else {
                    values[0].clone()
                }
            }
            other => panic!("${name}: variables of type {other} are not resolved here"),
        };
        (name, value)
    };
    board["templating"]["list"].as_array().unwrap().iter().map(one).collect()
}

fn check(
    prometheus: &Prometheus,
    target: &Value,
    source: &str,
    variables: &BTreeMap<String, String>,
) -> Result<(), String> {
    if target["datasource"]["uid"] != source {
        return Err(format!("its data source {} is not provisioned", target["datasource"]["uid"]));
    }
    let mut query = target["expr"].as_str().unwrap().replace("$__rate_interval", RATE_INTERVAL);
    for (name, value) in variables {
        query = query.replace(&format!("${name}"), value);
    }
    if query.contains('$') {
        return Err("a variable that the dashboard does not have".to_owned());
    }
    let series = if target["instant"] == true { prometheus.query(&query) } else { prometheus.query_range(&query) };
    if series.is_empty() {
        return Err("no series".to_owned());
    }
    for one in &series {
        let values: Vec<&Value> = match one["values"].as_array() {
            Some(values) => values.iter().collect(),
            None => vec![&one["value"]],
        };
        let number = |pair: &&Value| pair[1].as_str().and_then(|text| text.parse::<f64>().ok());
        if values.is_empty() || !values.iter().all(|pair| number(pair).is_some_and(f64::is_finite)) {
            return Err(format!("not finite: {one}"));
        }
        let absent = legend(target).into_iter().filter(|label| one["metric"].get(label).is_none()).collect::<Vec<_>>();
        if !absent.is_empty() {
            return Err(format!("its legend names {absent:?}, which {} has not", one["metric"]));
        }
    }
    Ok(())
}

/// The labels that a legend names.
fn legend(target: &Value) -> BTreeSet<String> {
    let text = target["legendFormat"].as_str().unwrap_or_default();
    text.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim().to_owned())).collect()
}

/// Panels that lie over another one, or have its number.
fn overlaps(panels: &[Value]) -> Vec<(&Value, String)> {
    let side = |panel: &Value, name: &str| panel["gridPos"][name].as_i64().unwrap();
    let apart = |a: &Value, b: &Value, at: &str, size: &str| {
        side(a, at) + side(a, size) <= side(b, at) || side(b, at) + side(b, size) <= side(a, at)
    };
    let mut faults = Vec::new();
    for (n, a) in panels.iter().enumerate() {
        for b in &panels[..n] {
            if a["id"] == b["id"] || !(apart(a, b, "x", "w") || apart(a, b, "y", "h")) {
                faults.push((a, format!("in the way of {}", b["title"])));
            }
        }
    }
    faults
}
