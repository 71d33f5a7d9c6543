//! Tests of the OpenStreetMap importer, over extracts that are encoded here.

use super::*;
use crate::{SegmentId, SegmentIndex, import, import_with};

/// Writes the protobuf of a small extract, uncompressed.
#[derive(Default)]
struct Extract {
    strings: Vec<String>,
    nodes: Vec<u8>,
    ways: Vec<u8>,
    relations: Vec<u8>,
    header: Vec<u8>,
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

    /// Members are their role, their kind (0 node, 1 way, 2 relation) and their id.
    fn relation(mut self, id: u64, members: &[(&str, u64, i64)], tags: &[(&str, &str)]) -> Self {
        let keys: Vec<u8> = tags.iter().flat_map(|(key, _)| varint(self.string(key))).collect();
        let values: Vec<u8> = tags.iter().flat_map(|(_, value)| varint(self.string(value))).collect();
        let roles: Vec<u8> = members.iter().flat_map(|(role, ..)| varint(self.string(role))).collect();
        let kinds: Vec<u8> = members.iter().flat_map(|(_, kind, _)| varint(*kind)).collect();
        let mut last = 0;
        let mut steps = Vec::new();
        for (.., member) in members {
            steps.extend(zigzag(member - last));
            last = *member;
        }
        let relation = [
            number(1, varint(id)),
            bytes(2, &keys),
            bytes(3, &values),
            bytes(8, &roles),
            bytes(9, &steps),
            bytes(10, &kinds),
        ];
        self.relations.extend(bytes(4, &relation.concat()));
        self
    }

    /// A turn restriction from a way over a node to a way.
    fn restriction(self, id: u64, [from, via, to]: [i64; 3], tags: &[(&str, &str)]) -> Self {
        let mut all = vec![("type", "restriction")];
        all.extend_from_slice(tags);
        self.relation(id, &[("from", 1, from), ("via", 0, via), ("to", 1, to)], &all)
    }

    /// States a box in the header: west, south, east, north.
    fn states(mut self, bbox: [f64; 4]) -> Self {
        let [west, south, east, north] = bbox.map(|degrees| zigzag((degrees * 1e9) as i64));
        let bbox = [number(1, west), number(2, east), number(3, north), number(4, south)].concat();
        self.header.extend(bytes(1, &bbox));
        self
    }

    /// Says in the header that the file is sorted.
    fn claims_to_be_sorted(mut self) -> Self {
        self.header.extend(bytes(5, b"Sort.Type_then_ID"));
        self
    }

    /// The file, with ways before nodes, as some tools write it, and relations before both.
    fn file(&self) -> Vec<u8> {
        self.file_of(&[&self.relations, &self.ways, &self.nodes])
    }

    /// The file with blocks of the given groups.
    fn file_of(&self, groups: &[&Vec<u8>]) -> Vec<u8> {
        let strings: Vec<u8> = std::iter::once("")
            .chain(self.strings.iter().map(String::as_str))
            .flat_map(|text| bytes(1, text.as_bytes()))
            .collect();
        let block = |group: &[u8]| [bytes(1, &strings), bytes(2, group)].concat();
        let header = [bytes(4, b"OsmSchema-V0.6"), self.header.clone()].concat();
        let blocks = groups.iter().filter(|group| !group.is_empty()).flat_map(|group| blob("OSMData", &block(group)));
        [blob("OSMHeader", &header), blocks.collect()].concat()
    }

    fn import(&self) -> Result<Network, ImportError> {
        imported(&self.file(), &ImportOptions::default())
    }
}

fn imported(file: &[u8], options: &ImportOptions) -> Result<Network, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.osm.pbf");
    std::fs::write(&path, file).unwrap();
    import_with(&path, options, &mut |_| {})
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

/// Ids by where the segment begins and ends, 1e-7 degrees.
fn ids(net: &Network) -> std::collections::BTreeMap<[i64; 4], SegmentId> {
    let ends = |at: SegmentIndex| {
        let points = net.points(at);
        let [a, b] = [points[0], points[points.len() - 1]];
        [a[0], a[1], b[0], b[1]].map(|degrees| (degrees * 1e7).round() as i64)
    };
    net.indices().map(|at| (ends(at), net.segment(at).id)).collect()
}

#[test]
fn ids_survive_what_happens_elsewhere() {
    let net = crossing().import().unwrap();
    // Another order in the file, a bend point moved, other tags, one way turned round, one split at the junction.
    let again = Extract::default()
        .way(201, &[2, 6], &[("highway", "tertiary"), ("oneway", "yes")])
        .way(200, &[5, 2], &[("highway", "residential"), ("oneway", "yes")])
        .way(100, &[4, 3, 2, 1], &[("highway", "primary"), ("name", "Strada Maggiore")])
        .node(6, 11.001, 44.001)
        .node(5, 11.001, 43.999)
        .node(4, 11.003, 44.0)
        .node(3, 11.002, 44.000_01)
        .node(2, 11.001, 44.0)
        .node(1, 11.0, 44.0)
        .import()
        .unwrap();
    assert_eq!(ids(&net), ids(&again));
    assert_ne!(net.source_hash(), again.source_hash());
}

#[test]
fn ids_survive_another_clipping() {
    // A row of crossroads along 44° north; an extract keeps ways that have a node in it, without the nodes outside.
    let row = |from: i64, to: i64| {
        let inside = |i: i64| (from..=to).contains(&i);
        let mut extract = Extract::default();
        for i in 0..=20 {
            if inside(i) {
                extract = extract.node(100 + i, 11.0 + 0.001 * i as f64, 44.0);
                extract = extract.node(200 + i, 11.0 + 0.001 * i as f64, 44.001);
                extract = extract.way(300 + i as u64, &[100 + i, 200 + i], &[("highway", "residential")]);
            }
            if inside(i) || inside(i + 1) {
                extract = extract.way(400 + i as u64, &[100 + i, 101 + i], &[("highway", "primary")]);
            }
        }
        extract.import().unwrap()
    };
    let (west, east) = (ids(&row(0, 12)), ids(&row(5, 20)));
    let common: Vec<_> = west.keys().filter(|key| east.contains_key(*key)).collect();
    eprintln!("{} and {} segments, {} in both", west.len(), east.len(), common.len());
    assert_eq!(common.len(), 2 * (8 + 7));
    assert!(common.iter().all(|key| west[*key] == east[*key]));
}

#[test]
fn a_new_junction_changes_what_it_cuts_and_nothing_else() {
    let before = ids(&crossing().import().unwrap());
    let after = ids(&crossing().node(7, 11.002, 44.001).way(700, &[3, 7], &[("highway", "service")]).import().unwrap());
    let gone: Vec<_> = before.values().filter(|id| !after.values().any(|other| other == *id)).collect();
    assert_eq!(gone.len(), 2, "the two directions from 2 to 4");
    // A second street between the same two nodes leaves the older one its name.
    let doubled = crossing().way(900, &[2, 6], &[("highway", "service"), ("oneway", "yes")]).import().unwrap();
    let all: Vec<_> = doubled.segments().iter().map(|s| s.id).collect();
    assert!(before.values().all(|id| all.contains(id)));
    assert_eq!(all.len(), before.len() + 1);
}

#[test]
fn the_layout_of_the_file_plays_no_part() {
    let extract = crossing().restriction(1, [100, 2, 200], &[("restriction", "no_left_turn")]);
    let (relations, ways, nodes) = (&extract.relations, &extract.ways, &extract.nodes);
    let import = |extract: &Extract, groups: &[&Vec<u8>]| {
        let net = imported(&extract.file_of(groups), &ImportOptions::default()).unwrap();
        (ids(&net), net.turn_count(), sources(&net).len(), net.import_report().get("nodes used by streets"))
    };
    let expected = import(&extract, &[nodes, ways, relations]);
    let mixed: Vec<u8> = [nodes.clone(), ways.clone(), relations.clone()].concat();
    for groups in [&[relations, ways, nodes][..], &[ways, nodes, relations], &[&mixed]] {
        assert_eq!(import(&extract, groups), expected);
    }
    let sorted = crossing().restriction(1, [100, 2, 200], &[("restriction", "no_left_turn")]).claims_to_be_sorted();
    assert_eq!(import(&sorted, &[nodes, ways, relations]), expected);
    // A file that lies: ways in front of the block in which the search looks for the first of them.
    assert_eq!(import(&sorted, &[ways, nodes, nodes, relations]), expected);
    let twice = import(&extract, &[nodes, ways, relations, ways]);
    assert_eq!(twice, expected, "a way that is there twice counts once");
}

/// Onward from the segment `source` that ends at node 2, by source.
fn onward(net: &Network, source: &str) -> Vec<String> {
    let middle = net.nodes().iter().position(|&node| node == [11.001, 44.0]).unwrap() as u32;
    let at = net.indices().find(|&at| net.segment(at).source_id == source && net.segment(at).to.0 == middle).unwrap();
    net.successors(at).iter().map(|&to| net.segment(to).source_id.clone()).collect()
}

#[test]
fn turn_restrictions() {
    let check = |tags: &[(&str, &str)], members: [i64; 3], from: &str, expected: &[&str], applied: u64| {
        let net = crossing().restriction(1, members, tags).import().unwrap();
        assert_eq!(onward(&net, from), expected, "{tags:?} {members:?}");
        assert_eq!(net.import_report().get("turn restrictions applied"), applied, "{tags:?} {members:?}");
    };
    // The first part of 100 ends at 2, so does the second one on its way back: way 100 comes from both sides.
    check(&[], [100, 2, 200], "100", &["100", "200"], 0);
    check(&[("restriction", "no_left_turn")], [100, 2, 200], "100", &["100"], 1);
    check(&[("restriction", "no_right_turn")], [200, 2, 100], "200", &["200"], 1);
    check(&[("restriction", "only_straight_on")], [200, 2, 200], "200", &["200"], 1);
    check(&[("restriction", "only_left_turn")], [100, 2, 200], "100", &["200"], 1);
    check(&[("restriction", "no_u_turn")], [100, 2, 100], "100", &["100", "200"], 1);
    check(&[("restriction", "no_left_turn"), ("except", "psv")], [100, 2, 200], "100", &["100", "200"], 0);
    check(&[("restriction", "no_left_turn"), ("except", "hgv")], [100, 2, 200], "100", &["100"], 1);
    check(&[("restriction:hgv", "no_left_turn")], [100, 2, 200], "100", &["100", "200"], 0);
    // A node that is no junction, a way that was left out, a way that is not there.
    check(&[("restriction", "no_left_turn")], [100, 3, 200], "100", &["100", "200"], 0);
    check(&[("restriction", "only_left_turn")], [100, 2, 300], "100", &["100", "200"], 0);
    check(&[("restriction", "no_left_turn")], [999, 2, 200], "100", &["100", "200"], 0);
}

#[test]
fn the_country_is_asked_for_or_found() {
    let street = |extract: Extract| {
        extract.node(1, 11.0, 44.0).node(2, 11.001, 44.0).way(
            100,
            &[1, 2],
            &[("highway", "motorway"), ("bridge", "yes"), ("layer", "1")],
        )
    };
    let kmh = |extract: &Extract, country: Option<&str>| {
        let options = ImportOptions { country: country.map(str::to_owned), ..ImportOptions::default() };
        imported(&extract.file(), &options).map(|net| (net.segment(SegmentIndex(0)).speed_limit_mps * 3.6).round())
    };
    let plain = street(Extract::default());
    assert_eq!(kmh(&plain, None).unwrap(), 110.0);
    assert_eq!(kmh(&plain, Some("pl")).unwrap(), 140.0);
    let unknown = kmh(&plain, Some("XX")).unwrap_err().to_string();
    assert!(unknown.starts_with("there are no default limits for country `XX`; known are AT, AU"), "{unknown}");
    let border = [("boundary", "administrative"), ("admin_level", "2"), ("ISO3166-1", "FI")];
    let finnish = street(Extract::default()).relation(9, &[("outer", 1, 5)], &border);
    assert_eq!(kmh(&finnish, None).unwrap(), 120.0);
    let german = street(Extract::default()).node(3, 11.002, 44.0).way(
        101,
        &[2, 3],
        &[("highway", "residential"), ("maxspeed", "30"), ("source:maxspeed", "DE:zone:30")],
    );
    assert_eq!(kmh(&german, None).unwrap(), 130.0);
    assert_eq!(kmh(&german, Some("FI")).unwrap(), 120.0);
    let net = german.import().unwrap();
    let asked = ImportOptions { country: Some("DE".to_owned()), ..ImportOptions::default() };
    assert_ne!(imported(&german.file(), &asked).unwrap().source_hash(), net.source_hash());
    assert_eq!(net.import_report().get("default limits of DE (its name is in most speed tags)"), 1);
    assert_eq!(net.import_report().get("segments with a default limit"), 1);
    let structure = net.segment(SegmentIndex(0)).structure;
    assert_eq!((structure.is_bridge, structure.layer, structure.is_tunnel), (true, 1, false));
}

#[test]
fn progress_goes_through_the_stages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.osm.pbf");
    std::fs::write(&path, crossing().file()).unwrap();
    let mut seen = Vec::new();
    import_with(&path, &ImportOptions::default(), &mut |at| seen.push(at)).unwrap();
    let last = |stage| seen.iter().rev().find(|at| at.stage == stage).map(|at| (at.done > 0, at.done == at.total));
    for stage in [Stage::Ways, Stage::Nodes, Stage::Segments] {
        assert_eq!(last(stage), Some((true, true)), "{stage:?}");
    }
}

#[test]
fn the_box_of_the_header_tells_swapped_places() {
    let swapped = |bbox| {
        Extract::default()
            .states(bbox)
            .node(1, 44.0, 11.0)
            .node(2, 44.001, 11.0)
            .way(100, &[1, 2], &[("highway", "primary")])
            .import()
    };
    let said = swapped([10.9, 43.9, 11.1, 44.1]).unwrap_err().to_string();
    assert!(said.contains("has longitude and latitude swapped: 2 of 2 places"), "{said}");
    let elsewhere = swapped([20.0, 60.0, 21.0, 61.0]).unwrap_err().to_string();
    assert!(elsewhere.contains("contradicts itself: 2 of 2 places lie outside of the box"), "{elsewhere}");
    assert!(swapped([43.0, 10.0, 45.0, 12.0]).is_ok());
    // A way that leaves the box keeps its nodes in most extracts.
    let over = crossing().states([10.9, 43.9, 11.001_5, 44.1]).import().unwrap();
    assert_eq!(over.import_report().get("nodes outside of the box that the extract states"), 2);
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
