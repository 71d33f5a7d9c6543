//! Jinan: a CityFlow roadnet of 3 by 4 signalised junctions, and vehicles whose routes name its roads.

use events::LonLat;
use roads::{ImportOptions, Network, import_with};

use crate::recording;

fn jinan(origin: Option<LonLat>) -> Option<Network> {
    let path = recording("jinan-cityflow/roadnet_3_4.json.gz")?;
    Some(import_with(path, &ImportOptions { origin, ..ImportOptions::default() }, &mut |_| {}).unwrap())
}

#[test]
fn the_roadnet_is_imported_whole() {
    let Some(net) = jinan(None) else { return };
    eprintln!("{:#?}", net.import_report());
    assert_eq!(net.name(), "roadnet_3_4");
    assert_eq!(net.import_report().get("roads kept"), 62);
    assert_eq!(net.import_report().get("road links left out: of unknown roads"), 0);
    let lanes: u64 = net.segments().iter().filter(|s| s.source_offset_m == 0.0).map(|s| u64::from(s.lanes)).sum();
    assert_eq!(lanes, 186);
    let [west, south, east, north] = net.bbox();
    let corner = |lon, lat| LonLat::new(lon, lat).unwrap();
    // 2,000 by 3,200 m, as the data's own description says.
    let (width, height) =
        (corner(west, south).distance_m(corner(east, south)), corner(west, south).distance_m(corner(west, north)));
    eprintln!("{width:.1} by {height:.1} m");
    assert!((width - 2_000.0).abs() < 2.0 && (height - 3_200.0).abs() < 0.1);
    let there = jinan(Some(corner(117.0, 36.65))).unwrap();
    assert!(
        there.bbox()[0] > 116.99 && there.segment(roads::SegmentIndex(9)).id == net.segment(roads::SegmentIndex(9)).id
    );
}

#[test]
fn every_route_can_be_driven() {
    let (Some(net), Some(flow)) = (jinan(None), recording("jinan-cityflow/anon_3_4_jinan_real.json.gz")) else {
        return;
    };
    let file = flate2::read::GzDecoder::new(std::fs::File::open(flow).unwrap());
    let vehicles: Vec<serde_json::Value> = serde_json::from_reader(file).unwrap();
    let mut search = roads::Search::new();
    let mut turns = 0;
    for vehicle in &vehicles {
        let roads: Vec<&str> = vehicle["route"].as_array().unwrap().iter().map(|road| road.as_str().unwrap()).collect();
        for pair in roads.windows(2) {
            let (last, _) = net.on_source(pair[0], f64::INFINITY).unwrap();
            let (first, _) = net.on_source(pair[1], 0.0).unwrap();
            let path = search.shortest(&net, last, first, 1.0);
            assert!(path.is_some(), "{} does not lead to {}", pair[0], pair[1]);
            turns += 1;
        }
    }
    eprintln!("{} vehicles, {turns} turns", vehicles.len());
    assert_eq!(vehicles.len(), 6_295);
}
