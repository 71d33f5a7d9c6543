//! `arterial match` over real and broken recordings.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{arterial, recordings, run};

fn matching(file: &Path, network: &Path, out: &Path, columns: &str) -> Command {
    let mut command = arterial();
    command.arg("match").arg(file).args(["--format", "csv", "--columns", columns, "--network"]);
    command.arg(network).arg("--out").arg(out);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The issue asks for 99 %; the drones see every metre of these drives.
#[test]
fn athens_is_driven_without_breaks_and_in_three_formats() {
    let Some(data) = recordings() else { return };
    let tracks = data.join("athens-pneuma/pneuma_athens_1hz.csv.gz");
    let map = data.join("athens-pneuma/athens_centre.osm.pbf");
    let folder = tempfile::tempdir().unwrap();
    let columns = "id=track_id,time=time,lon=lon,lat=lat,speed=speed:kmh";
    let path = |name: &str| folder.path().join(name);
    let report = said(&run(&mut matching(&tracks, &map, &path("a.csv"), columns)));
    let share = report.split_once(" %").unwrap().0.rsplit_once('(').unwrap().1;
    assert!(share.parse::<f64>().unwrap() >= 99.0, "{report}");
    let rows = csv::Reader::from_path(path("a.csv")).unwrap().into_records().map(Result::unwrap).count();
    run(&mut matching(&tracks, &map, &path("a.geojson"), columns));
    let drives: serde_json::Value = serde_json::from_slice(&std::fs::read(path("a.geojson")).unwrap()).unwrap();
    let segments = |f: &serde_json::Value| f["properties"]["segments"].as_u64().unwrap();
    let features = drives["features"].as_array().unwrap();
    assert_eq!(features.iter().map(segments).sum::<u64>() as usize, rows);
    assert!(features.iter().all(|f| f["geometry"]["coordinates"].as_array().unwrap().len() >= 2));
    run(matching(&tracks, &map, &path("a.parquet"), columns).arg("--fixes"));
    assert_eq!(&std::fs::read(path("a.parquet")).unwrap()[..4], b"PAR1");
    let fixes = said(&run(matching(&tracks, &map, &path("f.csv"), columns).arg("--fixes")));
    assert!(fixes.contains("positions 23293;"), "{fixes}");
    let rows = csv::Reader::from_path(path("f.csv")).unwrap().into_records().map(Result::unwrap).count();
    assert_eq!(rows, 23_293, "every position has one row");
}

#[test]
fn broken_rows_are_counted_and_swapped_coordinates_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let columns = "id=id,time=time,lon=lon,lat=lat,speed=speed:mph,heading=heading";
    let demo = Path::new("demo");
    let rows = "id,time,lon,lat,speed,heading\n\
        a,0,11.35,44.49,255,90\n\
        a,1,0,0,10,90\n\
        a,2,NaN,44.49,10,90\n\
        a,3,11.35,944.49,10,90\n\
        a,x,11.35,44.49,10,90\n\
        a,4,11.35001,44.49,255,90\n";
    let out = folder.path().join("out.csv");
    let report = said(&run(matching(&file("broken.csv", rows), demo, &out, columns).arg("--fixes")));
    assert!(report.contains("positions 2; unreadable lines 4;"), "{report}");
    let swapped = "id,time,lon,lat,speed,heading\na,0,44.49,11.35,10,90\na,1,44.49,11.3501,10,90\n";
    let output = matching(&file("swapped.csv", swapped), demo, &out, columns).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for word in ["none of 2 positions", "swapped", "network of the same place"] {
        assert!(error.contains(word), "`{word}` is missing in: {error}");
    }
    let picture = matching(&file("b.csv", rows), demo, &folder.path().join("out.png"), columns).output().unwrap();
    assert!(String::from_utf8(picture.stderr).unwrap().contains(".geojson"));
}
