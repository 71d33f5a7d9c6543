//! `arterial explain` from disk: the numbers that it fills in are those of the cells that `arterial analyze` writes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{arterial, recordings, run};

const COLUMNS: &str = "id=track_id,time=time,lon=lon,lat=lat,speed=speed:kmh";

#[test]
fn a_speed_of_athens_is_explained_by_its_cells() {
    let Some(data) = recordings() else { return };
    let (tracks, map) =
        (data.join("athens-pneuma/pneuma_athens_1hz.csv.gz"), data.join("athens-pneuma/athens_centre.osm.pbf"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cells.csv");
    run(arterial()
        .arg("analyze")
        .arg(&tracks)
        .args(["--format", "csv", "--columns", COLUMNS, "--network"])
        .arg(&map)
        .arg("--out")
        .arg(&out));
    // Metres, seconds, events by segment; the whole recording is shorter than the window.
    let mut sums: BTreeMap<String, (f64, f64, i64)> = BTreeMap::new();
    for row in csv::Reader::from_path(&out).unwrap().records().map(Result::unwrap) {
        let sum = sums.entry(row[0].to_owned()).or_default();
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        *sum = (sum.0 + number(3), sum.1 + number(4), sum.2 + number(6) as i64);
    }
    let explain = |segment: &str| {
        let mut command = arterial();
        command.args(["explain", "speed", segment, "60m", "--json", "--format", "csv", "--columns", COLUMNS]);
        command.arg("--network").arg(&map).arg("--recording").arg(&tracks);
        command.output().unwrap()
    };
    // The busiest street of which enough vehicles are told.
    let mut busiest: Vec<_> = sums.iter().collect();
    busiest.sort_by_key(|(_, sum)| -sum.2);
    let found = busiest.iter().take(10).map(|one| (one, explain(one.0))).find(|(_, output)| output.status.success());
    let ((segment, (metres, seconds, events)), output) = found.unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{told}");
    assert_eq!(told["filled_in"], format!("{metres:.3} m / {seconds:.3} s"));
    assert_eq!((&told["events"], told["segment"].as_str()), (&Value::from(*events), Some(segment.as_str())));
    let off = told["left_out"].as_array().unwrap().iter().find(|one| one["why"].as_str().unwrap().contains("50 m"));
    assert_eq!(off.map(|one| &one["count"]), Some(&Value::from(4)), "as `arterial analyze` counts them");
    let nowhere = explain("nowhere");
    let said = String::from_utf8(nowhere.stderr).unwrap();
    assert!(!nowhere.status.success() && said.contains("`nowhere` is no segment of this network"), "{said}");
}
