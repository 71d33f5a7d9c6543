//! `arterial analyze` over real recordings, held against figures computed here from the same files, independently.

use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;
use std::path::Path;

use flate2::read::GzDecoder;
use quick_xml::events::Event;

use crate::support::{arterial, recordings, run};

/// Seconds, then longitude and latitude.
type TimedPlace = (f64, (f64, f64));

/// Columns of an analysed file by source id and minute: metres, seconds.
type ByMinute = BTreeMap<(String, i64), (f64, f64)>;

fn by_minute(cells: &Path) -> ByMinute {
    let mut sums = ByMinute::new();
    let mut rows = csv::Reader::from_path(cells).unwrap();
    let expected = ["segment", "source_id", "pane_start_ms", "distance_m", "time_s", "vehicles", "events"];
    assert_eq!(rows.headers().unwrap(), expected.as_slice());
    for row in rows.records().map(Result::unwrap) {
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        let sum = sums.entry((row[1].to_owned(), number(2) as i64 / 60_000)).or_default();
        (sum.0, sum.1) = (sum.0 + number(3), sum.1 + number(4));
    }
    sums
}

/// Haversine, written again: the test must not take the code's word for it.
fn metres(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (lat1, lat2) = (a.1.to_radians(), b.1.to_radians());
    let h =
        ((lat2 - lat1) / 2.0).sin().powi(2) + lat1.cos() * lat2.cos() * ((b.0 - a.0).to_radians() / 2.0).sin().powi(2);
    2.0 * 6_371_008.8 * h.sqrt().asin()
}

#[test]
fn athens_keeps_the_metres_and_seconds_of_the_file() {
    let Some(data) = recordings() else { return };
    let tracks = data.join("athens-pneuma/pneuma_athens_1hz.csv.gz");
    let mut by_vehicle: HashMap<String, Vec<TimedPlace>> = HashMap::new();
    let mut rows = csv::Reader::from_reader(GzDecoder::new(std::fs::File::open(&tracks).unwrap()));
    for row in rows.records().map(Result::unwrap) {
        let clock = row[4].split(' ').nth(1).unwrap();
        let parts: Vec<f64> = clock.split(':').map(|p| p.parse().unwrap()).collect();
        let place = (row[1].parse().unwrap(), row[2].parse().unwrap());
        by_vehicle.entry(row[0].to_owned()).or_default().push((parts[0] * 3_600.0 + parts[1] * 60.0 + parts[2], place));
    }
    let (mut file_m, mut file_s) = (0.0, 0.0);
    for fixes in by_vehicle.values_mut() {
        fixes.sort_by(|a, b| a.0.total_cmp(&b.0));
        for step in fixes.windows(2) {
            file_m += metres(step[0].1, step[1].1);
            file_s += step[1].0 - step[0].0;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cells.csv");
    run(arterial()
        .arg("analyze")
        .arg(&tracks)
        .args(["--format", "csv", "--columns", "id=track_id,time=time,lon=lon,lat=lat,speed=speed:kmh", "--network"])
        .arg(data.join("athens-pneuma/athens_centre.osm.pbf"))
        .arg("--out")
        .arg(&out));
    let (ours_m, ours_s) = by_minute(&out).values().fold((0.0, 0.0), |sum, c| (sum.0 + c.0, sum.1 + c.1));
    println!("athens: {ours_m:.1} m of {file_m:.1} m, {ours_s:.1} s of {file_s:.1} s");
    assert!((ours_m / file_m - 1.0).abs() <= 0.03, "{ours_m} m, the file says {file_m} m");
    assert!((ours_s / file_s - 1.0).abs() <= 0.01, "{ours_s} s, the file says {file_s} s");
}

/// Mean speed by edge and minute where SUMO itself sampled at least 60 s.
fn edge_speeds(edgedata: &Path) -> BTreeMap<(String, i64), f64> {
    let file = std::fs::File::open(edgedata).unwrap();
    let mut xml = quick_xml::Reader::from_reader(BufReader::new(GzDecoder::new(file)));
    let (mut speeds, mut minute, mut buffer) = (BTreeMap::new(), 0, Vec::new());
    loop {
        let element = match xml.read_event_into(&mut buffer).unwrap() {
            Event::Start(e) | Event::Empty(e) => e.into_owned(),
            Event::Eof => return speeds,
            _ => continue,
        };
        let value = |name: &str| {
            let found = element.attributes().map(Result::unwrap).find(|a| a.key.as_ref() == name);
            found.map(|a| a.value.into_owned())
        };
        let number = |name: &str| value(name).map(|v| v.parse::<f64>().unwrap());
        match element.name().as_ref() {
            "interval" => minute = number("begin").unwrap() as i64 / 60,
            "edge" if number("sampledSeconds").unwrap() >= 60.0 => {
                if let Some(speed) = number("speed") {
                    speeds.insert((value("id").unwrap(), minute), speed);
                }
            }
            _ => {}
        }
        buffer.clear();
    }
}

/// Metres and seconds by edge and minute of what every vehicle of Bologna did in ten minutes.
fn bologna_cells(data: &Path, extra: &[&str]) -> ByMinute {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cells.csv");
    run(arterial()
        .arg("analyze")
        .arg(data.join("sumo-bologna/fcd_1800_2400.xml.zst"))
        .args(["--format", "sumo-fcd", "--network"])
        .arg(data.join("sumo-bologna/bologna.net.xml.gz"))
        .arg("--out")
        .arg(&out)
        .args(extra));
    by_minute(&out)
}

/// Median and 90th percentile of the differences from SUMO's mean speeds, m/s, and how many there are.
fn bologna(data: &Path, extra: &[&str]) -> (f64, f64, usize) {
    let ours = bologna_cells(data, extra);
    let minutes = 1_800 / 60..2_400 / 60;
    let sumo = edge_speeds(&data.join("sumo-bologna/edgedata.xml.gz"));
    let mut differences: Vec<f64> = sumo
        .iter()
        .filter(|((_, minute), _)| minutes.contains(minute))
        .map(|(key, speed)| ours.get(key).map_or(f64::INFINITY, |(m, s)| (m / s - speed).abs()))
        .collect();
    differences.sort_by(f64::total_cmp);
    let missing = differences.iter().filter(|d| d.is_infinite()).count();
    assert!(missing * 50 < differences.len(), "{missing} of {} edge-minutes have no cell", differences.len());
    (differences[differences.len() / 2], differences[differences.len() * 9 / 10], differences.len())
}

#[test]
fn bologna_from_positions_alone_agrees_with_sumos_own_means() {
    let Some(data) = recordings() else { return };
    let (median_mps, most_mps, n) = bologna(&data, &[]);
    println!(
        "bologna, positions only: median difference {median_mps:.3} m/s, 90 % {most_mps:.3} over {n} edge-minutes"
    );
    assert!(n > 500 && median_mps <= 0.3 && most_mps <= 1.0, "{median_mps}, {most_mps} m/s over {n}");
}

#[test]
fn bologna_with_trusted_edges_agrees_closely() {
    let Some(data) = recordings() else { return };
    let (median_mps, most_mps, n) = bologna(&data, &["--trust-edge"]);
    println!("bologna, edges trusted: median difference {median_mps:.3} m/s, 90 % {most_mps:.3} over {n} edge-minutes");
    assert!(n > 500 && median_mps <= 0.2 && most_mps <= 0.5, "{median_mps}, {most_mps} m/s over {n}");
}

/// Vehicle-seconds that SUMO counts as lost on streets (not inside junctions) from 1,800 to 2,400 s.
fn time_lost_s(edgedata: &Path) -> f64 {
    let file = std::fs::File::open(edgedata).unwrap();
    let mut xml = quick_xml::Reader::from_reader(BufReader::new(GzDecoder::new(file)));
    let (mut lost_s, mut begin_s, mut buffer) = (0.0, 0.0, Vec::new());
    loop {
        let element = match xml.read_event_into(&mut buffer).unwrap() {
            Event::Start(e) | Event::Empty(e) => e.into_owned(),
            Event::Eof => return lost_s,
            _ => continue,
        };
        let number = |name: &str| {
            let found = element.attributes().map(Result::unwrap).find(|a| a.key.as_ref() == name);
            found.map(|a| a.value.parse::<f64>().unwrap())
        };
        match element.name().as_ref() {
            "interval" => begin_s = number("begin").unwrap(),
            "edge" if (1_800.0..2_400.0).contains(&begin_s) => lost_s += number("timeLoss").unwrap_or(0.0),
            _ => {}
        }
        buffer.clear();
    }
}

/// SUMO's `timeLoss` is held against the speed that each driver wants, which is the limit give or take his own factor
/// around 1; so the same free-flow speed is the limit.
#[test]
fn bolognas_delay_is_that_of_sumo() {
    let Some(data) = recordings() else { return };
    let network = roads::open(data.join("sumo-bologna/bologna.net.xml.gz")).unwrap();
    let limits: HashMap<&str, f64> =
        network.segments().iter().map(|s| (s.source_id.as_str(), f64::from(s.speed_limit_mps))).collect();
    let sumo_s = time_lost_s(&data.join("sumo-bologna/edgedata.xml.gz"));
    for (extra, most) in [(&["--trust-edge"][..], 0.03), (&[][..], 0.03)] {
        let ours = bologna_cells(&data, extra);
        let lost = |((edge, _), (metres, seconds)): (&(String, i64), &(f64, f64))| {
            (seconds - metres / limits[&**edge]).max(0.0)
        };
        let ours_s: f64 = ours.iter().map(lost).sum();
        let apart = ours_s / sumo_s - 1.0;
        println!("bologna {extra:?}: {ours_s:.0} s lost, SUMO {sumo_s:.0} s, {:.2} %", apart * 100.0);
        // From positions alone the seconds inside of junctions are counted to the streets, and SUMO's are not.
        assert!(apart.abs() <= most, "{ours_s} s, SUMO says {sumo_s} s");
    }
}

#[test]
fn athens_is_driven_on_connected_streets() {
    let Some(data) = recordings() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (map, out) = (data.join("athens-pneuma/athens_centre.osm.pbf"), folder.path().join("paths.csv"));
    let output = run(arterial()
        .arg("match")
        .arg(data.join("athens-pneuma/pneuma_athens_1hz.csv.gz"))
        .args(["--format", "csv", "--columns", "id=track_id,time=time,lon=lon,lat=lat,speed=speed:kmh", "--network"])
        .arg(&map)
        .arg("--out")
        .arg(&out));
    let said = String::from_utf8(output.stdout).unwrap();
    println!("{said}");
    // Every break has its reason in the report.
    assert!(said.contains("not: gap 0, jump 0, break 0, off the network"), "{said}");

    // And the rows say it themselves: whoever goes on without a pause is on a street that follows.
    let network = roads::open(&map).unwrap();
    let mut rows = csv::Reader::from_path(&out).unwrap();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let segment = |row: &csv::StringRecord| network.by_id(row[1].parse().unwrap()).unwrap();
    let (mut follow, mut broken) = (0, 0);
    for pair in rows.windows(2).filter(|p| p[0][0] == p[1][0]) {
        let (from, to) = (segment(&pair[0]), segment(&pair[1]));
        let turned = network.segment(from).to == network.segment(to).from;
        if pair[0][4] == pair[1][3] && (from == to || turned || network.successors(from).contains(&to)) {
            follow += 1;
        } else {
            broken += 1;
        }
    }
    println!("athens: {follow} streets follow the one before, {broken} do not");
    // One in a hundred fixes of 23,243 steps may be a break.
    assert!(follow > 900 && broken <= 232, "{follow} follow, {broken} do not");
    assert!(broken * 50 <= follow, "{follow} follow, {broken} do not");
}
