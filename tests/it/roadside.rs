//! Signals and loops of real recordings: `arterial signals` against the atspm package, `arterial detectors` against what
//! the files themselves hold and against labels that people set.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{arterial, recordings, run};

/// Arrivals, arrivals on green, split failures.
type Quarter = (u32, u32, u32);

/// Arrivals, arrivals on green and split failures of device 1136 by phase and quarter hour from 12:00, as the package
/// atspm 2.6.1 has them with its own configuration of detectors (`bench/signals/compare.py` computes them anew).
const OREGON: [(u16, [Quarter; 8]); 4] = [
    (2, [(80, 69, 0), (94, 70, 0), (96, 71, 0), (94, 76, 0), (96, 71, 0), (88, 68, 0), (68, 47, 0), (86, 72, 0)]),
    (5, [(47, 12, 0), (39, 7, 0), (45, 11, 0), (40, 6, 0), (47, 12, 0), (53, 9, 0), (54, 16, 0), (47, 13, 0)]),
    (
        6,
        [
            (212, 130, 2),
            (189, 110, 1),
            (219, 130, 0),
            (200, 106, 0),
            (178, 88, 1),
            (196, 102, 0),
            (205, 105, 0),
            (223, 136, 0),
        ],
    ),
    (8, [(26, 11, 0), (35, 19, 1), (31, 17, 0), (54, 29, 0), (34, 20, 0), (46, 22, 0), (28, 15, 0), (29, 12, 0)]),
];

/// Cycles, their mean length in seconds and the delay of all arrivals in seconds, by phase: counted by hand from the rows
/// of the log by the same script (red to red with one green and one yellow between; green minus arrival on red).
const OREGON_CYCLES: [(u16, u64, f64, f64); 4] =
    [(2, 79, 88.513, 831.3), (5, 89, 79.203, 5_166.0), (6, 96, 73.431, 10_994.8), (8, 78, 88.751, 4_101.7)];

/// 2024-04-15 12:00 in Oregon, milliseconds since 1970.
const OREGON_START_MS: i64 = 1_713_207_600_000;

fn wiring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/signals/device1136.csv")
}

#[test]
fn oregon_equals_the_atspm_package() {
    let Some(data) = recordings() else { return };
    let folder = tempfile::tempdir().unwrap();
    let bins = folder.path().join("bins.json");
    let said = run(arterial()
        .arg("signals")
        .arg(data.join("signals-oregon/hires_events_device1136.parquet"))
        .args(["--format", "atspm", "--columns", "zone=America/Los_Angeles", "--json", "--detectors"])
        .arg(wiring())
        .arg("--bins")
        .arg(&bins));
    let bins: Vec<Value> = serde_json::from_slice(&std::fs::read(&bins).unwrap()).unwrap();
    let mut seen = 0;
    for (phase, quarters) in OREGON {
        for (quarter, expected) in quarters.into_iter().enumerate() {
            let start_ms = OREGON_START_MS + quarter as i64 * 900_000;
            let bin = bins.iter().find(|bin| bin["phase"] == phase && bin["start_ms"] == start_ms);
            let bin = bin.unwrap_or_else(|| panic!("phase {phase} has no bin at {start_ms}"));
            let n = |name: &str| bin[name].as_u64().unwrap() as u32;
            assert_eq!((n("arrivals"), n("arrivals_on_green"), n("split_failures")), expected, "phase {phase}: {bin}");
            seen += 1;
        }
    }
    assert_eq!(bins.len(), seen, "and no other bin");
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    let phases = said["phases"].as_array().unwrap();
    for (phase, cycles, cycle_s, delay_s) in OREGON_CYCLES {
        let f = &phases.iter().find(|p| p["phase"] == phase).unwrap()["figures"];
        assert_eq!(f["cycles"], cycles, "phase {phase}");
        assert!((f["cycle_s"].as_f64().unwrap() - cycle_s).abs() < 0.000_5, "phase {phase}: {f}");
        assert!((f["delay_s"].as_f64().unwrap() - delay_s).abs() < 0.05, "phase {phase}: {f}");
    }
    assert_eq!(said["counts"]["late"], 0);
    assert_eq!(said["counts"]["changes"], 1_049);
}

/// What `arterial detectors` says of the one detector of a recording.
fn detector(data: &Path, file: &str, options: &[&str], fates: [u64; 4]) -> Value {
    let said = run(arterial().arg("detectors").arg(data.join(file)).args(options).arg("--json"));
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    let names = ["received", "accepted", "duplicate", "rejected"];
    assert_eq!(names.map(|name| said["fates"][name].as_u64().unwrap()), fates, "{file}");
    let [one] = &said["detectors"].as_array().unwrap()[..] else { panic!("{said}") };
    one.clone()
}

/// Holes, holes of days, intervals missing, overlaps.
fn holes(detector: &Value) -> [u64; 4] {
    let odd = &detector["oddities"];
    [&odd["hole"], &odd["hole_of_days"], &detector["intervals_missing"], &odd["overlap"]].map(|n| n.as_u64().unwrap())
}

#[test]
fn every_hole_and_filled_in_row_of_pems_is_counted() {
    let Some(data) = recordings() else { return };
    let file = "loops-pems-flow/pems_lane1_flow_2016_jan_feb.csv";
    let options = ["--format", "pems", "--columns", "id==402365", "--utc-offset-minutes", "-480"];
    // The rejected row is the one of which 0 % was observed; it leaves a hole of one interval.
    let one = detector(&data, file, &options, [7_776, 7_775, 0, 1]);
    println!("{one}");
    // Ten holes of 1 to 6 days: 2 + 6 + 6 + 2 + 1 + 2 + 6 + 2 + 1 + 2 = 30 days of 288 intervals, and that one.
    assert_eq!(holes(&one), [1, 10, 30 * 288 + 1, 0]);
    assert_eq!((&one["oddities"]["nothing_passed"], &one["oddities"]["out_of_order"]), (&6.into(), &0.into()));
    assert_eq!(one["oddities"]["occupancy_not_said"], 7_775, "it counts, and measures nothing else");
    // 27 days with data, of which the last is not over; 30 missed whole.
    assert_eq!((&one["days"]["good"], &one["days"]["too_few_samples"]), (&26.into(), &30.into()));
    assert_eq!(one["last_day"], "good");
}

/// Milliseconds of a label, which is written in Minnesota's summer time.
fn label_ms(text: &Value) -> i64 {
    let clock = text.as_str().unwrap().split('.').next().unwrap().replace(' ', "T");
    events::TimeMs::parse(&format!("{clock}-05:00")).unwrap().0
}

#[test]
fn minnesotas_labels_are_found_at_the_stated_rate_of_false_alarms() {
    let Some(data) = recordings() else { return };
    let labels: Value =
        serde_json::from_slice(&std::fs::read(data.join("loops-minnesota/anomaly_windows.json")).unwrap()).unwrap();
    let (mut found, mut labelled, mut alarms_true, mut alarms, mut days) = (0, 0, 0, 0, 0.0);
    for (file, quantity, fates, expected) in [
        ("occupancy_6005.csv", "occupancy=value:percent", [2_380, 2_380, 0, 0], [569, 1, 2_263, 33]),
        ("speed_6005.csv", "speed=value:mph", [2_500, 2_500, 0, 0], [619, 1, 2_376, 34]),
    ] {
        let map = format!("id==6005,end=timestamp,interval=300,{quantity},zone=America/Chicago");
        let options = ["--format", "loops", "--columns", &map, "--utc-offset-minutes", "-300"];
        let one = detector(&data, &format!("loops-minnesota/{file}"), &options, fates);
        assert_eq!(holes(&one), expected, "{file}: {one}");
        assert_eq!(one["oddities"]["speed_unit_changed"], 0, "{file}");
        let windows = labels[file].as_array().unwrap();
        let said: Vec<(i64, i64)> = one["alarms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| (a["from_ms"].as_i64().unwrap(), a["to_ms"].as_i64().unwrap()))
            .collect();
        let is_hit = |(from, to): &(i64, i64), w: &Value| *from <= label_ms(&w[1]) && *to >= label_ms(&w[0]);
        let hits = said.iter().filter(|alarm| windows.iter().any(|w| is_hit(alarm, w))).count();
        found += windows.iter().filter(|w| said.iter().any(|alarm| is_hit(alarm, w))).count();
        (labelled, alarms, alarms_true) = (labelled + windows.len(), alarms + said.len(), alarms_true + hits);
        // Days on which it said anything: the first ten letters of a row.
        let text = std::fs::read_to_string(data.join("loops-minnesota").join(file)).unwrap();
        let observed = text.lines().skip(1).map(|row| row[..10].to_owned()).collect::<BTreeSet<_>>().len();
        days += observed as f64;
        println!("{file}: {} alarms, {hits} in labelled windows, {observed} days", said.len());
    }
    let false_alarms = alarms - alarms_true;
    println!(
        "recall {found} of {labelled}, precision {alarms_true} of {alarms}, {:.2} false alarms a detector and day",
        false_alarms as f64 / days
    );
    assert_eq!((found, labelled), (2, 2));
    assert!(false_alarms as f64 / days <= 0.2, "{false_alarms} in {days} days");
}

#[test]
fn loops_of_sumo_say_nothing_where_nothing_passed_and_stand_where_somebody_stands() {
    let Some(data) = recordings() else { return };
    let said = run(arterial()
        .arg("detectors")
        .arg(data.join("sumo-bologna/e1.xml.gz"))
        .args(["--format", "sumo-e1", "--json"]));
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    let detectors = said["detectors"].as_array().unwrap();
    let sum = |name: &str| detectors.iter().map(|d| d["oddities"][name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(detectors.len(), 106);
    // 17.4 % of 6,360 rows say -1 for the speed of nobody; in 33 of them occupancy is 100: a vehicle stands on the loop.
    let nobody = sum("nothing_passed");
    assert!((nobody as f64 / 6_360.0 - 0.174).abs() < 0.000_5, "{nobody}");
    assert_eq!((sum("full_without_flow"), sum("hole"), sum("occupancy_unit_changed")), (33, 0, 0));
}

#[test]
fn mistakes_are_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wiring.csv");
    std::fs::write(&path, "device,channel,phase,function\n1,2,3,sideways\n").unwrap();
    let output = arterial()
        .arg("signals")
        .arg(&path)
        .args(["--format", "atspm", "--detectors"])
        .arg(&path)
        .output()
        .expect("the binary starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("`sideways`") && error.contains("line 2"), "{error}");
}
