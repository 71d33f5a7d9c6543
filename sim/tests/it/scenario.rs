//! A scenario of SUMO with its detectors, from its files to the events that its loops report.

use std::collections::BTreeMap;
use std::sync::Arc;

use events::{Event, TimeMs};
use roads::{ImportOptions, import_with};
use sim::scene::{Scene, SceneNetwork};
use sim::sensor::Reports;
use sim::{Scenario, SensorConfig, Sensors, World};

/// Long enough that vehicles reach most streets, and whole intervals of the loops.
const SECONDS: u64 = 600;

#[test]
fn the_loops_of_a_sumo_scenario_report_what_passed_each_of_them() {
    let Some(data) = crate::recordings() else { return };
    let at = |name: &str| data.join("sumo-bologna").join(name).display().to_string();
    let files = ["bologna_vtypes.add.xml", "bologna.rou.xml.gz", "bologna_detectors_60s.add.xml"].map(at);
    let text = format!(
        "description = \"Bologna\"\nnetwork = {:?}\nprogrammes = [{:?}]\nduration_min = 60\n[demand]\nfiles = {files:?}\n[sensors]\nquality = \"exact\"\n",
        at("bologna.net.xml.gz"),
        at("bologna_tls.add.xml"),
    );
    let scene = Scene::parse(&text, data.as_path()).unwrap();
    let SceneNetwork::File { path, programmes } = scene.network() else { panic!("a file") };
    let options = ImportOptions { programmes, ..ImportOptions::default() };
    let network = Arc::new(import_with(&path, &options, &mut |_| {}).unwrap());
    let laid = scene.lay(&network, Scenario::default().start, Some(1)).unwrap();
    assert_eq!((laid.loops.len(), laid.report.get("induction loops")), (106, 106), "all of the file");
    let mut world = World::new(Arc::clone(&network), laid.scenario).unwrap();
    let mut sensors = Sensors::new(&world, SensorConfig { probe_share: 0.0, ..laid.sensors });
    let mut passed: BTreeMap<String, u32> = BTreeMap::new();
    let mut said: BTreeMap<String, (u32, u64)> = BTreeMap::new();
    let mut ends: Vec<TimeMs> = Vec::new();
    for _ in 0..SECONDS {
        let (mut reports, mut faults) = (Reports::default(), Vec::new());
        let step = world.step();
        for one in step.moves() {
            for asked in laid.loops.iter().filter(|asked| asked.segment == one.segment && asked.lane == one.lane) {
                let at_mm = (f64::from(asked.offset_m) * 1_000.0) as i64;
                if one.from_mm < at_mm && at_mm <= one.to_mm {
                    *passed.entry(format!("sim.{}", asked.id)).or_default() += 1;
                }
            }
        }
        sensors.sense(&step, &mut reports, &mut faults);
        for event in reports.others {
            if let Event::Detector(interval) = event {
                let sums = said.entry(interval.source).or_default();
                *sums = (sums.0 + interval.count.unwrap(), sums.1 + 1);
                ends.push(interval.end);
            }
        }
    }
    let counted: u32 = said.values().map(|(count, _)| count).sum();
    println!("{} loops said {counted} vehicles, {:?}", said.len(), world.counters());
    assert_eq!(said.len(), 106, "each reports under its own id");
    assert!(said.values().all(|(_, intervals)| *intervals == SECONDS / 60), "every minute: {said:?}");
    assert_eq!(ends.iter().max(), Some(&world.now()));
    assert!(passed.len() > 60 && counted > 1_000, "too little traffic: {passed:?}");
    for (source, (count, _)) in said {
        assert_eq!(count, passed.get(&source).copied().unwrap_or(0), "{source}");
    }
}
