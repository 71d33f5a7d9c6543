//! Tests of reading demand, over files that are written here and over the recorded scenarios.

use std::path::PathBuf;

use roads::{ImportOptions, import_with};

use super::*;

/// A street of three segments, `e0` to `e2`, with a street `b` for buses beside it.
fn street() -> Network {
    use roads::{NetworkBuilder, NewSegment, RoadClass, SegmentId};
    let mut builder = NetworkBuilder::new("street");
    let nodes: Vec<_> = (0..4).map(|i| builder.node(11.0 + f64::from(i) * 0.001, 44.0)).collect();
    for i in 0..3 {
        let at = |n: usize| [11.0 + n as f64 * 0.001, 44.0];
        builder.segment(NewSegment {
            id: SegmentId::of(&format!("e{i}")),
            source_id: format!("e{i}"),
            source_offset_m: 0.0,
            name: None,
            class: RoadClass::Primary,
            from: nodes[i],
            to: nodes[i + 1],
            length_m: Some(80.0),
            speed_limit_mps: 13.9,
            lanes: 2,
            line: vec![at(i), at(i + 1)],
        });
    }
    builder.build().unwrap()
}

fn read_all(network: &Network, files: &[&str]) -> Result<Inputs, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = Reader::new(network, 7);
    for (i, text) in files.iter().enumerate() {
        let path = folder.path().join(format!("{i}.xml"));
        std::fs::write(&path, text).unwrap();
        reader.read(&path, 600.0)?;
    }
    reader.finish()
}

fn departures(inputs: &Inputs) -> Vec<f32> {
    inputs.trips.iter().map(|trip| trip.depart_s).collect()
}

#[test]
fn every_form_of_demand_becomes_trips() {
    let network = street();
    let all = SegmentIndex(0)..=SegmentIndex(2);
    let text = r#"<routes>
        <vType id="lorry" vClass="truck" accel="1.5" lcStrategic="3"/>
        <vTypeDistribution id="mix"><vType id="a" probability="0.5"/><vType id="b" probability="0.5" sigma="0"/></vTypeDistribution>
        <route id="long" edges="e0 e1 e2"/>
        <vehicle id="v" type="lorry" route="long" depart="5" departLane="1" departPos="20" departSpeed="max" arrivalPos="-10"/>
        <trip id="t" from="e0" to="e2" depart="1.5"/>
        <flow id="n" route="long" begin="10" end="20" number="4"/>
        <flow id="h" type="mix" route="long" begin="100" end="200" vehsPerHour="3600"/>
        <flow id="p" route="long" begin="300" period="100"/>
        <flow id="q" begin="0" end="400" probability="0.25"><route edges="e1 e2"/></flow>
        <person id="p0" depart="0"><walk edges="e0"/></person>
    </routes>"#;
    let inputs = read_all(&network, &[text]).unwrap();
    let of = |begin: f32, end: f32| departures(&inputs).iter().filter(|s| (begin..end).contains(*s)).count();
    let by_chance: Vec<_> =
        inputs.trips.iter().filter(|t| matches!(&t.route, Route::Fixed(r) if r.len() == 2)).collect();
    assert!((70..130).contains(&by_chance.len()), "{} of 400 seconds at 0.25", by_chance.len());
    assert_eq!(inputs.trips.len() - by_chance.len(), 1 + 1 + 4 + 100 + 3);
    assert!(of(0.0, 600.0) == inputs.trips.len());
    let lorry = inputs.trips.iter().find(|t| t.depart_s == 5.0 && t.depart_lane == DepartLane::Number(1)).unwrap();
    assert!(inputs.types[usize::from(lorry.vehicle_type)].is_truck);
    assert_eq!(lorry.depart_at, DepartAt::Metres(20.0));
    assert!(lorry.depart_speed_mps.is_infinite());
    assert_eq!(lorry.arrival_m, Some(70.0));
    assert!(inputs.trips.iter().any(|t| t.route == Route::Between(*all.start(), *all.end()) && t.depart_s == 1.5));
    let drawn: Vec<_> =
        inputs.trips.iter().filter(|t| inputs.types[usize::from(t.vehicle_type)].sigma == 0.0).collect();
    assert!((25..75).contains(&drawn.len()), "{} of 100 of a half", drawn.len());
    assert_eq!(inputs.report.get("vType attributes without effect here: lcStrategic"), 1);
    assert_eq!(inputs.report.get("elements not read: person"), 1);
    assert_eq!(inputs.report.get("elements not read: walk"), 1);
    assert!(departures(&inputs).is_sorted());
    assert_eq!(inputs, read_all(&network, &[text]).unwrap(), "a seed is a demand");
}

#[test]
fn stops_and_loops_find_their_place() {
    let network = street();
    let additional = r#"<additional><busStop id="s" lane="e1_0" startPos="10" endPos="30"/>
        <e1Detector id="d" lane="e2_1" pos="-5" freq="60" file="x"/><e1Detector id="nowhere" lane="z_0" pos="1"/></additional>"#;
    let routes = r#"<routes><vType id="bus" vClass="bus"/><vehicle id="b" type="bus" depart="0"><route edges="e0 e1 e2"/>
        <stop busStop="s" duration="20"/><stop lane="e2_0" endPos="40" duration="5" until="90"/><stop busStop="s" duration="1"/>
        </vehicle></routes>"#;
    let inputs = read_all(&network, &[additional, routes]).unwrap();
    let stop = |segment, offset_m, duration_s| Stop { segment: SegmentIndex(segment), offset_m, duration_s };
    assert_eq!(inputs.trips[0].stops, [stop(1, 30.0, 20.0), stop(2, 40.0, 5.0)], "the third lies behind the second");
    assert_eq!(inputs.report.get("stops left out: not on the route"), 1);
    assert_eq!(inputs.report.get("stops whose `until` is not kept, only their duration"), 1);
    let place = Loop { id: "d".into(), segment: SegmentIndex(2), lane: 1, offset_m: 75.0 };
    assert_eq!(inputs.loops, [place]);
    assert_eq!(inputs.report.get("induction loops left out: not on this network"), 1);
    assert!(inputs.types[0].is_bus && inputs.types[0].length_mm == 12_000);
}

#[test]
fn what_cannot_drive_is_said_in_a_sentence() {
    let network = street();
    let sentence = |text: &str| read_all(&network, &[text]).unwrap_err().to_string();
    let vehicle = |inner: &str| format!(r#"<routes><vehicle id="v" depart="0" {inner}</vehicle></routes>"#);
    let said = sentence(&vehicle(r#"><route edges="e0 high"/>"#));
    assert_eq!(
        said,
        "none of the 1 vehicles can drive on this network: vehicle `v`: `high` is not a street of this network"
    );
    let said = sentence(&vehicle(r#"><route edges="e2 e0"/>"#));
    assert!(said.ends_with("vehicle `v`: its route breaks between `e2` and `e0`"), "{said}");
    assert!(sentence(&vehicle(r#" route="r">"#)).ends_with("there is no route `r`"));
    assert!(sentence("<routes/>").ends_with("nobody would drive"));
    assert!(sentence(&vehicle(r#"><route edges="e0"/>"#)[..60]).ends_with("cut off or not fully downloaded"));
    assert!(sentence(&vehicle(r#" type="x"><route edges="e0"/>"#)).ends_with("there is no vehicle type `x`"));
    assert!(sentence("<net></net>").contains("is no demand that we read"));
    assert!(sentence("hello").contains("is no demand that we read"));
    assert!(sentence("").contains("is no demand that we read"));
    assert!(sentence(r#"[{"vehicle": 3}]"#).contains("it is not a CityFlow flow file"));
    let flow = r#"<routes><flow id="f" begin="0" end="9"><route edges="e0"/></flow></routes>"#;
    assert!(sentence(flow).ends_with("flow `f` has no rate above 0"));
    let vast =
        r#"<routes><flow id="f" begin="0" end="9" number="9e9" vehsPerHour="1e15"><route edges="e0"/></flow></routes>"#;
    assert!(sentence(vast).contains("flow `f` wants"));
    assert!(matches!(Reader::new(&network, 1).read(Path::new("no/such.xml"), 1.0), Err(ReadError::Io { .. })));
}

fn recording(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("ARTERIAL_DATA") else {
        eprintln!("skipped: ARTERIAL_DATA is not set, no {name}");
        return None;
    };
    Some(PathBuf::from(folder).join(name))
}

#[test]
fn all_of_bologna_can_drive() {
    let Some(net) = recording("sumo-bologna/bologna.net.xml.gz") else { return };
    let file = |name: &str| recording(&format!("sumo-bologna/{name}")).unwrap();
    let options = ImportOptions { programmes: vec![file("bologna_tls.add.xml")], ..ImportOptions::default() };
    let network = import_with(net, &options, &mut |_| {}).unwrap();
    let signalled = network.movements().iter().filter(|m| m.signal.is_some()).count();
    eprintln!("{} movements, {signalled} of them signalled, {:#?}", network.movements().len(), network.import_report());
    assert_eq!(network.signal_plans().len(), 13);
    assert!(network.signal_plans().iter().any(|plan| plan.id == "209" && plan.phases[0].duration_s == 69.0));
    assert!(signalled > 100 && network.movements().iter().filter(|m| m.length_m > 5.0).count() > 200);
    assert!(network.movements().iter().any(|m| !m.yields_to.is_empty()));
    let mut reader = Reader::new(&network, 42);
    for name in [
        "vtypes.add.xml",
        "bus_stops.add.xml",
        "detectors_60s.add.xml",
        "tls.add.xml",
        "rou.xml.gz",
        "buses.rou.xml.gz",
    ] {
        let joined = if name.starts_with("rou") { "." } else { "_" };
        reader.read(&file(&format!("bologna{joined}{name}")), 3_600.0).unwrap();
    }
    let inputs = reader.finish().unwrap();
    eprintln!("{:#?}", inputs.report);
    // As many as SUMO loads.
    assert_eq!(inputs.trips.len(), 11_176);
    assert_eq!(inputs.report.get("stops left out: not on the route"), 0);
    assert_eq!(inputs.trips.iter().map(|trip| trip.stops.len()).sum::<usize>(), 787);
    assert_eq!(inputs.loops.len(), 106);
}

#[test]
fn all_of_jinan_can_drive() {
    let (Some(net), Some(flow)) =
        (recording("jinan-cityflow/roadnet_3_4.json.gz"), recording("jinan-cityflow/anon_3_4_jinan_real.json.gz"))
    else {
        return;
    };
    let network = roads::import(net).unwrap();
    assert_eq!(network.signal_plans().len(), 12);
    assert!(network.signal_plans().iter().all(|plan| plan.phases.len() == 9 && plan.phases[0].links.len() == 12));
    let mut reader = Reader::new(&network, 1);
    reader.read(&flow, 3_600.0).unwrap();
    let inputs = reader.finish().unwrap();
    assert_eq!((inputs.trips.len(), inputs.types.len()), (6_295, 1));
    assert!(inputs.types[0].tau_s == 2.0 && inputs.types[0].sigma == 0.0);
}
