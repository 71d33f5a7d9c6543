//! The SUMO scenario of Bologna: its network, and where its vehicles were.

use std::io::Read;
use std::path::Path;

use events::LonLat;
use roads::Network;

use crate::recording;

fn unpack(path: &Path) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// The value of an attribute, in a file in which none holds an entity.
fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let after = element.split_once(&format!(" {name}=\""))?.1;
    Some(after.split_once('"')?.0)
}

#[test]
fn every_edge_between_junctions_is_there_at_its_length() {
    let Some(path) = recording("sumo-bologna/bologna.net.xml.gz") else { return };
    let net = roads::import(&path).unwrap();
    eprintln!("{:#?}", net.import_report());
    assert_eq!(net.import_report().get("edges kept"), 267);
    let text = unpack(&path);
    let (mut edges, mut stated_m) = (0, 0.0);
    for edge in text.split("<edge ").skip(1).filter(|edge| !edge.contains("function=\"internal\"")) {
        let id = edge.strip_prefix("id=\"").unwrap().split_once('"').unwrap().0;
        let length_m: f64 = attribute(edge, "length").unwrap().parse().unwrap();
        let (last, offset_m) = net.on_source(id, length_m).unwrap();
        let segment = net.segment(last);
        assert!((segment.source_offset_m + segment.length_m - length_m).abs() < 1e-6, "{id}");
        assert!((offset_m - segment.length_m).abs() < 1e-6, "{id}");
        edges += 1;
        stated_m += length_m;
    }
    assert_eq!(edges, 267);
    let total_m: f64 = net.segments().iter().map(|s| s.length_m).sum();
    eprintln!("{} segments, {:.1} km", net.segments().len(), total_m / 1_000.0);
    assert!((total_m - stated_m).abs() < 0.01, "{total_m} against {stated_m}");
    let turns: usize = net.indices().map(|at| net.successors(at).len()).sum();
    assert!(turns > 400, "{turns} turns");
}

struct Fix {
    here: LonLat,
    edge: String,
    pos_m: f64,
}

fn fixes(path: &Path) -> Vec<Fix> {
    let text = unpack(path);
    let number = |element: &str, name| attribute(element, name).unwrap().parse::<f64>().unwrap();
    let fix = |element: &str| Fix {
        here: LonLat::new(number(element, "x"), number(element, "y")).unwrap(),
        edge: attribute(element, "lane").unwrap().rsplit_once('_').unwrap().0.to_owned(),
        pos_m: number(element, "pos"),
    };
    text.lines().filter(|line| line.contains("<vehicle ")).map(fix).collect()
}

fn bologna() -> Option<(Network, Vec<Fix>)> {
    let (net, fcd) = (recording("sumo-bologna/bologna.net.xml.gz")?, recording("sumo-bologna/fcd_first30s.xml.gz")?);
    Some((roads::import(net).unwrap(), fixes(&fcd)))
}

#[test]
fn vehicles_are_near_segments() {
    let Some((net, fixes)) = bologna() else { return };
    let mut found = Vec::new();
    let mut near = |fix: &Fix| {
        net.nearest(fix.here, 15.0, &mut found);
        !found.is_empty()
    };
    let count = fixes.iter().filter(|fix| near(fix)).count();
    eprintln!("{count} of {} fixes within 15 m of a segment", fixes.len());
    assert!(fixes.len() > 10_000);
    assert!(count * 100 >= fixes.len() * 99);
}

#[test]
fn positions_on_edges_are_places_on_the_ground() {
    let Some((net, fixes)) = bologna() else { return };
    let mut off_m: Vec<f64> = Vec::new();
    for fix in fixes.iter().filter(|fix| !fix.edge.starts_with(':')) {
        let (at, offset_m) = net.on_source(&fix.edge, fix.pos_m).expect("every edge was imported");
        off_m.push(net.place(at, offset_m).distance_m(fix.here));
    }
    off_m.sort_by(f64::total_cmp);
    let share = |percent: usize| off_m[off_m.len() * percent / 100];
    eprintln!(
        "{} fixes on edges: median {:.2} m, 99 % {:.2} m from the middle of the lanes",
        off_m.len(),
        share(50),
        share(99)
    );
    // A lane is 3.2 m wide, the widest edge has four.
    assert!(share(50) < 2.5 && share(99) < 7.0);
}
