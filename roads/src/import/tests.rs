//! Tests of telling files apart.

use super::*;

#[test]
fn names_lose_the_endings_that_we_know() {
    for (path, name) in [
        ("maps/athens_centre.osm.pbf", "athens_centre"),
        ("bologna.net.xml.gz", "bologna"),
        ("bologna.net.xml", "bologna"),
        ("a.b.c", "a.b.c"),
    ] {
        assert_eq!(name_of(Path::new(path)), name);
    }
}

#[test]
fn the_content_decides_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really.osm.pbf");
    std::fs::write(&path, "\u{feff}\n <net></net>").unwrap();
    assert!(matches!(import(&path), Err(ImportError::NoProjection { .. })), "it is a SUMO network");
    std::fs::write(&path, "osm").unwrap();
    assert!(matches!(import(&path), Err(ImportError::Unknown { .. })));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(import(&path), Err(ImportError::EmptyFile { .. })));
    assert!(matches!(import(folder.path()), Err(ImportError::Io { .. })), "a folder");
    let said = crate::open(folder.path().join("none")).unwrap_err().to_string();
    assert!(said.contains("none cannot be read: "), "{said}");
}

#[test]
fn counts_add_up_in_the_order_they_came() {
    let mut report = ImportReport::default();
    report.add("ways kept", 2);
    report.add("segments", 5);
    report.add("ways kept", 1);
    assert_eq!((report.get("ways kept"), report.get("nothing")), (3, 0));
    assert_eq!(report.counts.iter().map(|c| c.what.as_str()).collect::<Vec<_>>(), ["ways kept", "segments"]);
}
