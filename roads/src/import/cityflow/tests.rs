//! Tests of the CityFlow importer, over roadnets that are written here.

use std::io::Write;

use events::LonLat;

use super::*;
use crate::{SegmentIndex, import_with};

/// A street of 1,200 m to the east that goes on to the north, and back.
const CORNER: &str = r#"{
  "intersections": [
    {"id": "w", "point": {"x": 0, "y": 0}, "width": 0, "roads": [], "roadLinks": [], "virtual": true},
    {"id": "m", "point": {"x": 1200, "y": 0}, "width": 15, "roads": ["wm", "mn", "nm"], "roadLinks": [
      {"type": "turn_left", "startRoad": "wm", "endRoad": "mn", "direction": 0, "laneLinks": []},
      {"type": "turn_left", "startRoad": "wm", "endRoad": "gone", "direction": 0, "laneLinks": []}
    ], "virtual": false},
    {"id": "n", "point": {"x": 1200, "y": 300}, "width": 0, "roads": [], "virtual": true}
  ],
  "roads": [
    {"id": "wm", "points": [{"x": 0, "y": 0}, {"x": 1200, "y": 0}], "startIntersection": "w", "endIntersection": "m",
     "lanes": [{"width": 4, "maxSpeed": 11.111}, {"width": 4, "maxSpeed": 11.111}, {"width": 4, "maxSpeed": 8}]},
    {"id": "mn", "points": [{"x": 1200, "y": 0}, {"x": 1200, "y": 300}], "startIntersection": "m",
     "endIntersection": "n", "lanes": [{"width": 4, "maxSpeed": 11.111}]},
    {"id": "nm", "points": [{"x": 1200, "y": 300}, {"x": 1200, "y": 0}], "startIntersection": "n",
     "endIntersection": "m", "lanes": [{"width": 4, "maxSpeed": 11.111}]}
  ]
}"#;

fn imported(content: &[u8], options: &ImportOptions) -> Result<Network, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roadnet.json");
    std::fs::write(&path, content).unwrap();
    import_with(&path, options, &mut |_| {})
}

fn sentence(content: &str) -> String {
    imported(content.as_bytes(), &ImportOptions::default()).unwrap_err().to_string()
}

#[test]
fn roads_lanes_and_links() {
    let net = imported(CORNER.as_bytes(), &ImportOptions::default()).unwrap();
    assert_eq!(net.name(), "roadnet");
    let parts: Vec<_> = net.segments().iter().map(|s| (s.source_id.as_str(), s.length_m.round(), s.lanes)).collect();
    assert_eq!(parts, [("wm", 400.0, 3), ("wm", 400.0, 3), ("wm", 400.0, 3), ("mn", 300.0, 1), ("nm", 300.0, 1)]);
    assert_eq!(net.segment(SegmentIndex(0)).class, RoadClass::Primary);
    assert_eq!(net.segment(SegmentIndex(0)).speed_limit_mps, 11.111);
    assert_eq!(net.successors(SegmentIndex(2)), [SegmentIndex(3)]);
    assert!(net.successors(SegmentIndex(4)).is_empty(), "no link, no turn");
    assert_eq!(net.import_report().get("road links left out: of unknown roads"), 1);
    assert_eq!(net.points(SegmentIndex(0))[0], ORIGIN);
    // The plane and the sphere agree where the origin is.
    let across = net.place(SegmentIndex(0), 0.0).distance_m(net.place(SegmentIndex(2), 400.0));
    assert!((across - 1_200.0).abs() < 0.1, "{across}");
}

#[test]
fn it_lies_where_it_is_put() {
    let jinan = LonLat::new(117.0, 36.65).unwrap();
    let options = ImportOptions { origin: Some(jinan), ..ImportOptions::default() };
    let net = imported(CORNER.as_bytes(), &options).unwrap();
    assert_eq!(net.place(SegmentIndex(0), 0.0), jinan);
    let here = imported(CORNER.as_bytes(), &ImportOptions::default()).unwrap();
    assert_ne!(net.source_hash(), here.source_hash());
    assert_eq!(net.segment(SegmentIndex(1)).id, here.segment(SegmentIndex(1)).id);
}

#[test]
fn packed_it_is_the_same() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(CORNER.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let net = imported(&packed, &ImportOptions::default()).unwrap();
    assert_eq!(net.segments().len(), 5);
    let cut = imported(&packed[..packed.len() / 2], &ImportOptions::default()).unwrap_err();
    assert!(matches!(cut, ImportError::Truncated { .. }), "{cut}");
}

#[test]
fn bad_roadnets_are_named_in_a_sentence() {
    assert!(sentence(&CORNER[..CORNER.len() - 20]).ends_with("it was cut off or not fully downloaded"));
    let other = sentence(r#"{"type": "FeatureCollection", "features": []}"#);
    assert!(other.contains("not a CityFlow roadnet: missing field `intersections`"), "{other}");
    let empty = sentence(r#"{"intersections": [], "roads": []}"#);
    assert!(empty.ends_with("there is no drivable street in it"), "{empty}");
    let lost = sentence(&CORNER.replace(r#""endIntersection": "n""#, r#""endIntersection": "z""#));
    assert!(lost.contains("road mn: it begins or ends at an intersection that is not in the file"), "{lost}");
    let far = sentence(&CORNER.replace("\"x\": 1200", "\"x\": 1200000"));
    assert!(far.contains("not metres of a city"), "{far}");
    let still = sentence(&CORNER.replace("11.111", "0").replace("\"maxSpeed\": 8", "\"maxSpeed\": 0"));
    assert!(still.contains("no lane with a speed above 0"), "{still}");
    let point = sentence(&CORNER.replace(r#"{"x": 1200, "y": 300}, {"x": 1200, "y": 0}"#, r#"{"x": 1, "y": 1}"#));
    assert!(point.contains("road nm: it has no length"), "{point}");
    let text = sentence(&CORNER.replace("11.111", "\"fast\""));
    assert!(text.contains("invalid type: string \"fast\""), "{text}");
}
