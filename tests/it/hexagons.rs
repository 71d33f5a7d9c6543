//! Where there is no road network, hexagons take the place of streets: the sums are the same.

use crate::support::{arterial, recordings, run};

fn sums(cells: &std::path::Path) -> (f64, f64, usize) {
    let mut rows = csv::Reader::from_path(cells).unwrap();
    rows.records().map(Result::unwrap).fold((0.0, 0.0, 0), |sum, row| {
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        (sum.0 + number(3), sum.1 + number(4), sum.2 + 1)
    })
}

#[test]
fn a_recording_without_a_network_keeps_its_metres_and_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, out) = (folder.path().join("rows.csv"), folder.path().join("cells.csv"));
    // Ten minutes due east at 13.9 m/s and a fix every 20 s: 8.3 km, some twenty hexagons.
    let line = |i: i64| format!("a,{},{:.6},44.49\n", i * 20, 11.30 + i as f64 * 0.0035);
    std::fs::write(&rows, format!("id,time,lon,lat\n{}", (0..=30).map(line).collect::<String>())).unwrap();
    run(arterial()
        .arg("analyze")
        .arg(&rows)
        .args(["--format", "csv", "--columns", "id=id,time=time,lon=lon,lat=lat", "--out"])
        .arg(&out));
    let (metres, seconds, cells) = sums(&out);
    let length_m = 30.0 * 0.0035_f64.to_radians() * 44.49_f64.to_radians().cos() * 6_371_008.8;
    assert!((metres / length_m - 1.0).abs() < 1e-3, "{metres} of {length_m}");
    assert!((seconds - 600.0).abs() < 0.01, "{seconds}");
    assert!(cells > 60, "a cell a pane at least: {cells}");
}

#[test]
fn athens_without_streets_has_the_sums_of_athens_with_them() {
    let Some(data) = recordings() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cells.csv");
    run(arterial()
        .arg("analyze")
        .arg(data.join("athens-pneuma/pneuma_athens_1hz.csv.gz"))
        .args(["--format", "csv", "--columns", "id=track_id,time=time,lon=lon,lat=lat,speed=speed:kmh", "--out"])
        .arg(&out));
    let (metres, seconds, _) = sums(&out);
    // What the file itself gives: the test beside this one computes it.
    assert!((metres / 52_280.3 - 1.0).abs() < 1e-3, "{metres}");
    assert!((seconds / 23_221.6 - 1.0).abs() < 1e-3, "{seconds}");
}
