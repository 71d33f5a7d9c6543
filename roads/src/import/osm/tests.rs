//! Tests of the OpenStreetMap importer, over extracts that are encoded here.

use super::*;
use crate::{SegmentIndex, import};

/// Writes the protobuf of a small extract, uncompressed.
#[derive(Default)]
struct Extract {
    strings: Vec<String>,
    nodes: Vec<u8>,
    ways: Vec<u8>,
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn zigzag(value: i64) -> Vec<u8> {
    varint((value << 1 ^ value >> 63) as u64)
}

/// A field of wire type 0 (a number that is encoded already).
fn number(field: u64, value: Vec<u8>) -> Vec<u8> {
    [varint(field << 3), value].concat()
}

/// A field of wire type 2 (bytes, a message, packed numbers).
fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

impl Extract {
    fn string(&mut self, text: &str) -> u64 {
        let known = self.strings.iter().position(|s| s == text);
        let at = known.unwrap_or_else(|| {
            self.strings.push(text.to_owned());
            self.strings.len() - 1
        });
        at as u64 + 1
    }

    /// Places are in steps of the default granularity, 100 nano-degrees.
    fn node(mut self, id: i64, lon: f64, lat: f64) -> Self {
        let place = |degrees: f64| zigzag((degrees * 1e7).round() as i64);
        let node = [number(1, zigzag(id)), number(8, place(lat)), number(9, place(lon))].concat();
        self.nodes.extend(bytes(1, &node));
        self
    }

    fn way(mut self, id: u64, refs: &[i64], tags: &[(&str, &str)]) -> Self {
        let keys: Vec<u8> = tags.iter().flat_map(|(key, _)| varint(self.string(key))).collect();
        let values: Vec<u8> = tags.iter().flat_map(|(_, value)| varint(self.string(value))).collect();
        let mut last = 0;
        let mut steps = Vec::new();
        for node in refs {
            steps.extend(zigzag(node - last));
            last = *node;
        }
        let way = [number(1, varint(id)), bytes(2, &keys), bytes(3, &values), bytes(8, &steps)].concat();
        self.ways.extend(bytes(3, &way));
        self
    }

    /// The file, with ways before nodes, as some tools write it.
    fn file(&self) -> Vec<u8> {
        let strings: Vec<u8> = std::iter::once("")
            .chain(self.strings.iter().map(String::as_str))
            .flat_map(|text| bytes(1, text.as_bytes()))
            .collect();
        let block = |group: &[u8]| [bytes(1, &strings), bytes(2, group)].concat();
        let header = bytes(4, b"OsmSchema-V0.6");
        [blob("OSMHeader", &header), blob("OSMData", &block(&self.ways)), blob("OSMData", &block(&self.nodes))].concat()
    }

    fn import(&self) -> Result<Network, ImportError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small.osm.pbf");
        std::fs::write(&path, self.file()).unwrap();
        import(&path)
    }
}

fn blob(kind: &str, data: &[u8]) -> Vec<u8> {
    let blob = bytes(1, data);
    let header = [bytes(1, kind.as_bytes()), number(3, varint(blob.len() as u64))].concat();
    [&(header.len() as u32).to_be_bytes()[..], &header, &blob].concat()
}

/// A street 1-2-3-4 to the east, crossed at 2 by a one-way street 5-2-6 to the north; 111 m and 80 m apart.
fn crossing() -> Extract {
    Extract::default()
        .node(1, 11.0, 44.0)
        .node(2, 11.001, 44.0)
        .node(3, 11.002, 44.0)
        .node(4, 11.003, 44.0)
        .node(5, 11.001, 43.999)
        .node(6, 11.001, 44.001)
        .way(100, &[1, 2, 3, 4], &[("highway", "primary"), ("name", "Via Emilia"), ("maxspeed", "50")])
        .way(200, &[5, 2, 6], &[("highway", "residential"), ("oneway", "yes")])
        .way(300, &[1, 6], &[("highway", "footway")])
}

fn sources(net: &Network) -> Vec<(&str, f64)> {
    net.segments().iter().map(|s| (s.source_id.as_str(), s.source_offset_m.round())).collect()
}

#[test]
fn streets_are_cut_at_junctions_only() {
    let net = crossing().import().unwrap();
    assert_eq!(net.name(), "small");
    let expected = [("100", 0.0), ("-100", 160.0), ("100", 80.0), ("-100", 0.0), ("200", 0.0), ("200", 111.0)];
    assert_eq!(sources(&net), expected);
    assert_eq!(net.points(SegmentIndex(2)).len(), 3, "node 3 is a vertex, not a junction");
    let first = net.segment(SegmentIndex(0));
    assert_eq!((first.name.as_deref(), first.speed_limit_mps), (Some("Via Emilia"), 50.0 / 3.6));
    // From the west: straight on, or left into the one-way street; not right, against it.
    assert_eq!(net.successors(SegmentIndex(0)), [SegmentIndex(2), SegmentIndex(5)]);
    let report = net.import_report();
    assert_eq!((report.get("ways kept"), report.get("segments")), (2, 6));
    assert_eq!(report.get("ways left out: not for motor vehicles"), 1);
}

#[test]
fn ids_survive_what_happens_elsewhere() {
    let net = crossing().import().unwrap();
    // Another order in the file, a moved node, a new name: the same streets.
    let again = Extract::default()
        .way(200, &[5, 2, 6], &[("highway", "residential"), ("oneway", "yes")])
        .way(100, &[1, 2, 3, 4], &[("highway", "primary"), ("name", "Strada Maggiore")])
        .node(6, 11.001, 44.001)
        .node(5, 11.001, 43.999)
        .node(4, 11.003, 44.000_01)
        .node(3, 11.002, 44.0)
        .node(2, 11.001, 44.0)
        .node(1, 11.0, 44.0)
        .import()
        .unwrap();
    let ids = |net: &Network| {
        let mut ids: Vec<_> = net.segments().iter().map(|s| s.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&net), ids(&again));
    assert_ne!(net.source_hash(), again.source_hash());
}

#[test]
fn a_clipped_way_is_cut_where_its_node_is_missing() {
    let extract = Extract::default()
        .node(1, 11.0, 44.0)
        .node(2, 11.001, 44.0)
        .node(4, 11.003, 44.0)
        .node(5, 11.004, 44.0)
        .way(100, &[1, 2, 3, 4, 5, 6], &[("highway", "primary"), ("oneway", "yes")]);
    let net = extract.import().unwrap();
    assert_eq!(sources(&net), [("100", 0.0), ("100", 80.0)]);
    assert!(net.successors(SegmentIndex(0)).is_empty(), "nothing bridges the hole");
    assert_eq!(net.import_report().get("nodes missing from the extract"), 2);
}

#[test]
fn long_streets_backward_streets_and_loops() {
    let net = Extract::default()
        .node(1, 11.0, 44.0)
        .node(2, 11.0, 44.0108)
        .node(3, 11.001, 44.0)
        .node(4, 11.001, 44.001)
        .node(5, 10.999, 44.0)
        .node(6, 10.999, 44.001)
        .way(100, &[1, 2], &[("highway", "primary"), ("oneway", "-1")])
        // Two loops through node 1, in one way.
        .way(200, &[1, 3, 4, 1, 5, 6, 1], &[("highway", "residential"), ("oneway", "yes")])
        .import()
        .unwrap();
    assert_eq!(sources(&net)[..3], [("-100", 801.0), ("-100", 400.0), ("-100", 0.0)]);
    assert_eq!(net.segments().len(), 5);
    assert_eq!(net.heading(SegmentIndex(0), 1.0).get(), 180.0, "against the order of its nodes");
    assert_eq!(net.successors(SegmentIndex(2)), [SegmentIndex(1)]);
    assert_eq!(net.successors(SegmentIndex(0)), [SegmentIndex(3), SegmentIndex(4)]);
}

#[test]
fn bad_files_are_named_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.osm.pbf");
    let whole = crossing().file();
    // Only a cut exactly between two blocks leaves what looks whole.
    let mut whole_at = 0;
    for end in 15..whole.len() {
        std::fs::write(&path, &whole[..end]).unwrap();
        let error = import(&path).unwrap_err();
        match error {
            ImportError::Truncated { .. } => {}
            ImportError::Network { error: NetworkError::Empty, .. } => whole_at += 1,
            other => panic!("cut at {end}: {other}"),
        }
    }
    assert_eq!(whole_at, 2, "after the header, and after the ways");
    let mut noise = whole.clone();
    let middle = noise.len() / 2;
    noise[middle..].fill(0xff);
    std::fs::write(&path, &noise).unwrap();
    assert!(matches!(import(&path), Err(ImportError::Damaged { .. } | ImportError::Truncated { .. })));
    let none = Extract::default().node(1, 11.0, 44.0).way(1, &[1], &[("building", "yes")]).import().unwrap_err();
    assert!(none.to_string().ends_with("there is no drivable street in it"), "{none}");
    let swapped = Extract::default()
        .node(1, 30.26, -97.74)
        .node(2, 30.27, -97.75)
        .way(1, &[1, 2], &[("highway", "primary")])
        .import()
        .unwrap_err();
    assert!(swapped.to_string().contains("latitude -97.7") && swapped.to_string().contains("swapped"), "{swapped}");
}
