//! SUMO's induction loops of Bologna: their flows through gate and detectors, and their harmonic mean speeds from positions.

use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;
use std::path::Path;

use analytics::detector::{Detectors, Reading, Site};
use events::Event;
use events::foreign::{self, Format, Record, compressed};
use flate2::read::GzDecoder;
use ingest::{Batch, Gate, GateConfig, Outcome, Pseudonyms};
use quick_xml::events::Event as Xml;

use crate::support::{arterial, recordings, run};

/// Name and attributes of each element of those names in a file.
fn each(path: &Path, names: &[&str], mut take: impl FnMut(&str, HashMap<String, String>)) {
    let file = std::fs::File::open(path).unwrap();
    let unpacked = compressed::decompressed(Box::new(BufReader::new(file))).unwrap();
    let mut xml = quick_xml::Reader::from_reader(unpacked);
    let mut buffer = Vec::new();
    loop {
        let element = match xml.read_event_into(&mut buffer).unwrap() {
            Xml::Start(e) | Xml::Empty(e) => e.into_owned(),
            Xml::Eof => return,
            _ => continue,
        };
        if let Some(name) = names.iter().find(|n| **n == element.name().as_ref()) {
            let mut row = HashMap::new();
            for attribute in element.attributes().map(Result::unwrap) {
                let key: &str = attribute.key.as_ref();
                row.insert(key.to_owned(), attribute.value.into_owned());
            }
            take(name, row);
        }
        buffer.clear();
    }
}

/// SUMO's own interval: begin in seconds, flow, vehicles, harmonic mean speed.
struct Interval {
    flow_per_h: f64,
    vehicles: u32,
    harmonic_mps: f64,
}

fn intervals(data: &Path) -> BTreeMap<(String, i64), Interval> {
    let mut intervals = BTreeMap::new();
    each(&data.join("sumo-bologna/e1.xml.gz"), &["interval"], |_, row| {
        let number = |name: &str| row[name].parse::<f64>().unwrap();
        let interval = Interval {
            flow_per_h: number("flow"),
            vehicles: number("nVehContrib") as u32,
            harmonic_mps: number("harmonicMeanSpeed"),
        };
        intervals.insert((row["id"].clone(), number("begin") as i64), interval);
    });
    intervals
}

#[test]
fn flows_of_bolognas_loops_are_sumos_own() {
    let Some(data) = recordings() else { return };
    let sumo = intervals(&data);
    let file = std::fs::File::open(data.join("sumo-bologna/e1.xml.gz")).unwrap();
    let input = Box::new(BufReader::new(GzDecoder::new(file)));
    let mut detectors = Detectors::new(0);
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([0; 32]));
    let mut compared = 0;
    for record in foreign::read(&Format::parse("sumo-e1", None).unwrap(), input) {
        let Record::Event(event @ Event::Detector(_)) = record.unwrap() else { panic!("only loops are in it") };
        let (mut batch, received) = (Batch::default(), event.time());
        assert_eq!(gate.event(event, received, &mut batch), Outcome::Accepted);
        let rows = &batch.detectors;
        let reading = Reading {
            start_ms: rows.start_ms[0],
            end_ms: rows.end_ms[0],
            count: rows.count[0],
            occupancy: rows.occupancy[0],
            speed_mps: rows.speed_mps[0],
        };
        let name = rows.source[0].to_string();
        detectors.apply(&name, reading, || Site { free_mps: 13.9, segment: None });
        let figures = detectors.figures(reading.end_ms)[&name];
        let theirs = &sumo[&(name, reading.start_ms / 1_000)];
        // Whole vehicles a minute; theirs and ours are the same number but for its last bit.
        let apart = figures.flow_veh_per_h.unwrap() - theirs.flow_per_h;
        assert!(apart.abs() < 1e-9 * theirs.flow_per_h.max(1.0), "{apart} veh/h of {}", theirs.flow_per_h);
        compared += 1;
    }
    println!("{compared} intervals have SUMO's flow, exactly");
    assert_eq!(compared, 106 * 60);
}

/// A loop on a lane: its edge, and metres from the begin of the edge.
fn sites(data: &Path) -> BTreeMap<(String, i64), Vec<String>> {
    let mut sites: BTreeMap<(String, i64), Vec<String>> = BTreeMap::new();
    each(&data.join("sumo-bologna/bologna_detectors_60s.add.xml"), &["e1Detector"], |_, row| {
        let pos_m: f64 = row["pos"].parse().unwrap();
        if pos_m > 0.0 {
            let edge = row["lane"].rsplit_once('_').unwrap().0.to_owned();
            sites.entry((edge, (pos_m * 1_000.0) as i64)).or_default().push(row["id"].clone());
        }
    });
    sites
}

/// Lengths of Bologna's types of vehicles, metres (`bologna_vtypes.add.xml`).
fn length_m(kind: &str) -> f64 {
    match kind {
        "bus" => 12.0,
        short if short.contains("2a") || short.contains("2b") => 4.5,
        _ => 5.0,
    }
}

/// One fix: second, source edge, metres on it.
type Fix = (f64, String, f64);

/// What the recording says of a vehicle beside its places: its type, and its lane at each second.
#[derive(Default)]
struct Recorded {
    kind: String,
    lanes: HashMap<i64, String>,
}

fn recorded(data: &Path) -> HashMap<String, Recorded> {
    let (mut vehicles, mut second): (HashMap<String, Recorded>, i64) = (HashMap::new(), 0);
    each(&data.join("sumo-bologna/fcd_1800_2400.xml.zst"), &["timestep", "vehicle"], |name, mut row| {
        if name == "timestep" {
            second = row["time"].parse::<f64>().unwrap() as i64;
            return;
        }
        let mut take = |attribute: &str| row.remove(attribute).unwrap();
        let vehicle = vehicles.entry(take("id")).or_default();
        vehicle.kind = take("type");
        vehicle.lanes.insert(second, take("lane"));
    });
    vehicles
}

/// Every vehicle's places on the streets that its recording names, as the matcher has them.
fn placed(data: &Path) -> HashMap<String, Vec<Fix>> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("fixes.csv");
    run(arterial()
        .arg("match")
        .arg(data.join("sumo-bologna/fcd_1800_2400.xml.zst"))
        .args(["--format", "sumo-fcd", "--fixes", "--trust-edge", "--network"])
        .arg(data.join("sumo-bologna/bologna.net.xml.gz"))
        .arg("--out")
        .arg(&out));
    let mut vehicles: HashMap<String, Vec<Fix>> = HashMap::new();
    let network = roads::open(data.join("sumo-bologna/bologna.net.xml.gz")).unwrap();
    for row in csv::Reader::from_path(&out).unwrap().records().map(Result::unwrap).filter(|row| !row[2].is_empty()) {
        let segment = network.segment(network.by_id(row[2].parse().unwrap()).unwrap());
        let on_edge_m = segment.source_offset_m + row[4].parse::<f64>().unwrap();
        let fix = (row[1].parse::<f64>().unwrap() / 1_000.0, row[3].to_owned(), on_edge_m);
        vehicles.entry(row[0].to_owned()).or_default().push(fix);
    }
    vehicles
}

/// When the front of a vehicle came onto a loop and its tail left it, by SUMO's rules, if both happened on the loop's edge:
/// it moves at constant speed between two fixes, standing at the line is not yet past it, and who comes onto the loop from
/// the lane beside it came, as SUMO has it, at the begin of the second in which the lane was changed. Seconds of the
/// recording's clock.
fn passage(fixes: &[Fix], lanes: &HashMap<i64, String>, edge: &str, pos_m: f64, length_m: f64) -> Option<(f64, f64)> {
    let (mut front_s, mut tail_s) = (None, None);
    let on: Vec<&Fix> = fixes.iter().filter(|f| f.1 == edge).collect();
    for step in on.windows(2).filter(|w| w[1].0 - w[0].0 < 1.5) {
        let ((from_s, _, from_m), (to_s, _, to_m)) = (step[0], step[1]);
        let reached = |at_m: f64| {
            (*from_m <= at_m && at_m < *to_m).then(|| from_s + (at_m - from_m) / (to_m - from_m) * (to_s - from_s))
        };
        front_s = reached(pos_m).or(front_s);
        let changed = lanes.get(&(*from_s as i64)) != lanes.get(&(*to_s as i64));
        if changed && pos_m < *to_m && *to_m - length_m < pos_m {
            front_s = Some(*from_s);
        }
        tail_s = reached(pos_m + length_m).or(tail_s);
    }
    front_s.zip(tail_s)
}

/// A loop takes a vehicle's mean speed while it is on it; so the harmonic mean of a minute is vehicles over the sum of their
/// times a metre. Loops side by side are one cross-section, since positions know no lanes. Minutes in which somebody turned
/// off right behind the loop or passed outside of the recording have another count, and are left out.
///
/// SUMO writes positions when a second has been driven and labels them with its begin, so its loops' clock is a second
/// ahead of that of its positions.
#[test]
fn harmonic_mean_speeds_of_bolognas_loops_come_from_positions() {
    let Some(data) = recordings() else { return };
    let (sumo, sites, vehicles, recorded) = (intervals(&data), sites(&data), placed(&data), recorded(&data));
    let (mut apart, mut left_out) = (Vec::new(), 0);
    for ((edge, pos_mm), loops) in &sites {
        let mut by_minute: BTreeMap<i64, (u32, f64)> = BTreeMap::new();
        for (id, fixes) in &vehicles {
            let Recorded { kind, lanes } = &recorded[id];
            let long_m = length_m(kind);
            if let Some((front_s, tail_s)) = passage(fixes, lanes, edge, *pos_mm as f64 / 1_000.0, long_m) {
                let sum = by_minute.entry((tail_s + 1.0) as i64 / 60 * 60).or_default();
                *sum = (sum.0 + 1, sum.1 + (tail_s - front_s) / long_m);
            }
        }
        for begin in (1_860..2_400).step_by(60) {
            let theirs: Vec<&Interval> = loops.iter().map(|id| &sumo[&(id.clone(), begin)]).collect();
            let vehicles: u32 = theirs.iter().map(|i| i.vehicles).sum();
            let pace: f64 =
                theirs.iter().filter(|i| i.vehicles > 0).map(|i| f64::from(i.vehicles) / i.harmonic_mps).sum();
            match by_minute.get(&begin) {
                Some((ours, sum)) if *ours == vehicles && vehicles > 0 => {
                    apart.push((f64::from(*ours) / sum - f64::from(vehicles) / pace).abs());
                }
                Some(_) => left_out += 1,
                None => left_out += u32::from(vehicles > 0),
            }
        }
    }
    apart.sort_by(f64::total_cmp);
    let (median, most) = (apart[apart.len() / 2], apart[apart.len() - 1]);
    let within = apart.iter().filter(|mps| **mps <= 0.05).count();
    println!(
        "{} minutes of {} cross-sections: median difference {median:.4} m/s, most {most:.4}, {within} within 0.05; \
         {left_out} left out",
        apart.len(),
        sites.len()
    );
    assert!(apart.len() > 300 && within == apart.len(), "{within} of {} within 0.05 m/s", apart.len());
}
