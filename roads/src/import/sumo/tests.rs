//! Tests of the SUMO importer, over a network that is written here.

use std::io::Write;

use super::*;
use crate::import;
use crate::segment::SEGMENT_LENGTH_MAX_M;

const UTM32: &str = "+proj=utm +zone=32 +ellps=WGS84 +datum=WGS84 +units=m +no_defs";

/// `south` leads 1,200 m north (its stated length is 1,212) to a junction, from where `east` and `bus` lead on;
/// `walk` is for feet. The origin lies on the central meridian of zone 32: 9° east.
fn net(projection: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<net version="1.20">
    <location netOffset="-500000.00,-4928877.56" convBoundary="0,0,1,1" origBoundary="0,0,1,1" projParameter="{projection}"/>
    <edge id=":j_0" function="internal"><lane id=":j_0_0" index="0" speed="5" length="9" shape="0,1200 9,1209"/></edge>
    <edge id="south" from="a" to="j" priority="-1" name="Via &quot;Larga&quot;" shape="5.00,0.00 5.00,1200.00">
        <lane id="south_1" index="1" speed="13.89" length="1212.00" shape="0.00,0.00 0.00,1200.00"/>
        <lane id="south_0" index="0" allow="bus" speed="13.89" length="1212.00" shape="3.00,0.00 3.00,1200.00"/>
        <lane id="south_2" index="2" disallow="pedestrian bicycle" speed="13.89" length="1212.00" shape="-3.00,0.00 -3.00,600.00 -3.00,1200.00"/>
    </edge>
    <edge id="east" from="j" to="b" type="highway.primary_link">
        <lane id="east_0" index="0" speed="27.78" length="100.00" shape="10.00,1210.00 110.00,1210.00"/>
    </edge>
    <edge id="bus" from="j" to="c"><lane id="bus_0" index="0" allow="bus" speed="8.33" length="50" shape="0,1220 0,1270"/></edge>
    <edge id="walk" from="j" to="c"><lane id="walk_0" index="0" allow="pedestrian" speed="1" length="50" shape="2,1220 2,1270"/></edge>
    <edge id="empty" from="j" to="c"/>
    <junction id="a" type="dead_end" x="0" y="0"/>
    <junction id="j" type="priority" x="2" y="1212"/>
    <connection from="south" to="east" fromLane="1" toLane="0" via=":j_0_0" dir="r" state="M"/>
    <connection from="south" to="walk" fromLane="0" toLane="0" dir="s" state="M"/>
    <connection from=":j_0" to="east" fromLane="0" toLane="0" dir="r" state="M"/>
</net>
"#
    )
}

fn import_bytes(name: &str, bytes: &[u8]) -> Result<Network, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    import(&path)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn edges_become_segments_of_the_stated_length_where_cars_drive() {
    let net = import_bytes("town.net.xml", net(UTM32).as_bytes()).unwrap();
    assert_eq!(net.name(), "town");
    let sources: Vec<_> = net.segments().iter().map(|s| (s.source_id.as_str(), s.length_m.round())).collect();
    assert_eq!(sources, [("south", 404.0), ("south", 404.0), ("south", 404.0), ("east", 100.0), ("bus", 50.0)]);
    assert!(net.segments().iter().all(|s| s.length_m <= SEGMENT_LENGTH_MAX_M));
    let (part, offset_m) = net.on_source("south", 500.0).unwrap();
    assert_eq!((part, offset_m.round()), (SegmentIndex(1), 96.0));
    assert_eq!(net.on_source("south", 5_000.0).unwrap().0, SegmentIndex(2), "clamped to the end");
    // Between the two lanes for cars, at x = −1.5 of the central meridian; UTM is 0.9996 of the ground there.
    let place = net.place(part, offset_m);
    let west_m = (9.0 - place.lon_deg()) * 111_320.0 * place.lat_deg().to_radians().cos();
    assert!((west_m - 1.5).abs() < 0.02, "{west_m}");
    let begin = net.place(SegmentIndex(0), 0.0);
    // By the meridian arc series of Snyder, "Map projections", equation 3-26: 44.513219°.
    assert!((begin.lat_deg() - 44.513219).abs() < 1e-5, "{begin:?}");
    // 500 of 1,212 m along a line of 1,200 m.
    assert!((begin.distance_m(place) - 500.0 * 1_200.0 / 1_212.0).abs() < 1.5, "{}", begin.distance_m(place));
}

#[test]
fn attributes_and_turns_are_taken_over() {
    let net = import_bytes("town.net.xml.gz", &gzip(&net(UTM32))).unwrap();
    let south = net.segment(SegmentIndex(0));
    assert_eq!((south.name.as_deref(), south.lanes, south.class), (Some("Via \"Larga\""), 2, RoadClass::Primary));
    assert!((south.speed_limit_mps - 13.89).abs() < 1e-6);
    assert_eq!(net.segment(SegmentIndex(3)).class, RoadClass::Primary, "by its type, not by its 100 km/h");
    let next = |i| net.successors(SegmentIndex(i)).to_vec();
    assert_eq!([next(0), next(1), next(2)], [[SegmentIndex(1)], [SegmentIndex(2)], [SegmentIndex(3)]]);
    assert_eq!(next(3), [], "no connection, no turn");
    assert!((net.gap_m(SegmentIndex(2), SegmentIndex(3)) - 15.2).abs() < 0.2, "the junction");
    let report = net.import_report();
    assert_eq!((report.get("edges kept"), report.get("segments")), (3, 5));
    assert_eq!(report.get("edges left out: no lane for motor vehicles"), 2);
    assert_eq!(report.get("edges left out: inside junctions, crossings, walking areas, connectors"), 1);
}

#[test]
fn bad_files_are_named_in_a_sentence() {
    let sentence = |bytes: &[u8]| import_bytes("bad.net.xml", bytes).unwrap_err().to_string();
    let whole = net(UTM32);
    for end in [whole.len() - 8, whole.len() / 2, 200, 60] {
        let said = sentence(&whole.as_bytes()[..end]);
        assert!(said.ends_with("ends too early: it was cut off or not fully downloaded"), "cut at {end}: {said}");
    }
    let packed = gzip(&whole);
    let said = sentence(&packed[..packed.len() / 2]);
    assert!(said.contains("ends too early"), "{said}");
    for unknown in [&b"just a letter"[..], b"<fcd-export></fcd-export>", b"<!-- nothing -->", &gzip("letter")] {
        assert!(sentence(unknown).contains("is no road network that we read"));
    }
    assert!(sentence(b"").ends_with("bad.net.xml is empty"));
    assert!(sentence(net("!").as_bytes()).contains("has no projection"));
    assert!(sentence(net("+proj=nonsense").as_bytes()).contains("`+proj=nonsense`"));
    let said = sentence(whole.replace("index=\"1\"", "index=\"one\"").as_bytes());
    assert!(said.ends_with("is damaged: index of a <lane> is `one`, which is not what belongs there"), "{said}");
    assert!(sentence(whole.replace(" from=\"a\"", "").as_bytes()).ends_with("<edge> has no from"));
    assert!(sentence(whole.replace("1212.00\"", "-1\"").as_bytes()).contains("edge south: its length is not above 0"));
    assert!(sentence(whole.replace("</edge>", "</egde>").as_bytes()).contains("is damaged: "));
    assert!(sentence(b"<net></net>").contains("has no projection"));
    let none = whole.replace("<edge ", "<hedge ").replace("</edge>", "</hedge>");
    assert!(sentence(none.as_bytes()).ends_with("there is no drivable street in it"));
    assert!(matches!(import("no/such.net.xml"), Err(ImportError::Io { .. })));
}

#[test]
fn lanes_of_different_vertices_are_averaged_along_their_length() {
    let a = [[0.0, 0.0], [100.0, 0.0]];
    let b = [[0.0, 10.0], [50.0, 10.0], [100.0, 10.0]];
    assert_eq!(between(&a, &b), [[0.0, 5.0], [50.0, 5.0], [100.0, 5.0]]);
}
