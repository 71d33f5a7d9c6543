//! Central Helsinki: an extract clipped so that thousands of nodes are missing, with much that is no street.

use roads::{SegmentIndex, cache};

use crate::recording;

#[test]
fn a_clipped_extract_survives() {
    let Some(path) = recording("helsinki-hfp/helsinki_centre.osm.pbf") else { return };
    let net = roads::open(&path).unwrap();
    let report = net.import_report();
    eprintln!("{report:#?}\n{} segments", net.segments().len());
    assert!(report.get("nodes missing from the extract") > 0);
    assert!(report.get("ways left out: not a highway") > 2_000);
    assert!(report.get("ways left out: not for motor vehicles") > 500);
    assert!(report.get("ways kept") > 500);
    // 45 relations of type restriction are in the file, counted with pyosmium; each has one fate.
    let restrictions = report.counts.iter().filter(|c| c.what.starts_with("turn restrictions"));
    assert_eq!(restrictions.map(|c| c.count).sum::<u64>(), 45);
    assert!(report.get("turn restrictions applied") > 35);
    assert!(net.segments().iter().any(|s| s.structure.is_bridge));
    let all: u64 = report
        .counts
        .iter()
        .filter(|c| c.what.starts_with("ways kept") || c.what.starts_with("ways left"))
        .map(|c| c.count)
        .sum();
    assert_eq!(all, 5_130, "every way has one fate");
    for at in net.indices() {
        let (segment, points) = (net.segment(at), net.points(at));
        assert!(segment.length_m <= roads::segment::SEGMENT_LENGTH_MAX_M + 1e-6);
        assert_eq!(points[0], net.nodes()[segment.from.at()]);
        assert_eq!(points[points.len() - 1], net.nodes()[segment.to.at()]);
    }
}

#[test]
fn the_cache_holds_the_same_network() {
    let Some(path) = recording("helsinki-hfp/helsinki_centre.osm.pbf") else { return };
    let net = roads::import(&path).unwrap();
    assert_eq!(roads::import(&path).unwrap(), net, "however its blocks were shared out to threads");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("helsinki.roads");
    cache::save(&net, &file).unwrap();
    assert_eq!(cache::load(&file).unwrap(), net);
    let bytes = std::fs::metadata(&file).unwrap().len();
    eprintln!("{bytes} bytes, {} a segment", bytes / net.segments().len() as u64);
    assert_eq!(net.by_id(net.segment(SegmentIndex(7)).id), Some(SegmentIndex(7)));
}

#[test]
fn a_torn_download_is_named() {
    let Some(path) = recording("helsinki-hfp/helsinki_centre.osm.pbf") else { return };
    let whole = std::fs::read(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let torn = folder.path().join("torn.osm.pbf");
    std::fs::write(&torn, &whole[..whole.len() * 2 / 3]).unwrap();
    let error = roads::open(&torn).unwrap_err().to_string();
    assert!(error.ends_with("torn.osm.pbf ends too early: it was cut off or not fully downloaded"), "{error}");
}
