//! Central Athens: an OpenStreetMap extract, and vehicles that were seen there by drones.

use std::io::Read;

use events::LonLat;
use roads::RoadClass;
use roads::connected::largest_strong_part;

use crate::recording;

#[test]
fn the_centre_is_imported_whole() {
    let Some(path) = recording("athens-pneuma/athens_centre.osm.pbf") else { return };
    let net = roads::import(path).unwrap();
    eprintln!("{:#?}", net.import_report());
    assert_eq!(net.name(), "athens_centre");
    assert_eq!(net.import_report().get("nodes missing from the extract"), 0);
    let kept = net.import_report().get("ways kept");
    assert!((1_300..=1_361).contains(&kept), "{kept} of 1,361 ways");
    let km: f64 = net.segments().iter().map(|s| s.length_m).sum::<f64>() / 1_000.0;
    let strong = largest_strong_part(&net).len();
    eprintln!("{} segments, {km:.1} km of directed street, {strong} reach each other", net.segments().len());
    assert!(strong * 10 > net.segments().len() * 9);
    assert!(net.segments().iter().any(|s| s.name.as_deref() == Some("Πανεπιστημίου")));
    assert!(net.segments().iter().any(|s| s.class == RoadClass::Primary));
    let [west, south, east, north] = net.bbox();
    assert!(west > 23.70 && south > 37.96 && east < 23.76 && north < 38.01, "{:?}", net.bbox());
}

#[test]
fn vehicles_are_near_streets() {
    let (Some(map), Some(track)) =
        (recording("athens-pneuma/athens_centre.osm.pbf"), recording("athens-pneuma/pneuma_athens_1hz.csv.gz"))
    else {
        return;
    };
    let net = roads::import(map).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(track).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name| header.iter().position(|h| *h == name).unwrap();
    let (lon, lat) = (column("lon"), column("lat"));
    let mut found = Vec::new();
    let mut distances = Vec::new();
    let mut full = 0;
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let here = LonLat::new(fields[lon].parse().unwrap(), fields[lat].parse().unwrap()).unwrap();
        net.nearest(here, 50.0, &mut found);
        full += usize::from(found.len() == roads::CANDIDATES_MAX);
        distances.push(found.first().map_or(f64::INFINITY, |c| c.distance_m));
    }
    distances.sort_by(f64::total_cmp);
    let share = |percent: usize| distances[distances.len() * percent / 100];
    eprintln!(
        "{} fixes: median {:.1} m, 90 % {:.1} m, 99 % {:.1} m; {full} have all the candidates that fit within 50 m",
        distances.len(),
        share(50),
        share(90),
        share(99)
    );
    assert_eq!(distances.len(), 23_293);
    // The data's own description says 2.3, 7 and 24 m to the nearest road.
    assert!(share(50) < 3.0 && share(90) < 8.5 && share(99) < 27.0);
}
