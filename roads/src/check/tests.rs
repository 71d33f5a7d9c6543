//! Tests of the check.

use super::*;
use crate::network::tests::{straight, two_way};
use crate::{CityPlan, NetworkBuilder, city};

fn problems(net: &Network, source_id: &str) -> Vec<Problem> {
    let at = net.on_source(source_id, 0.0).unwrap().0;
    check(net).iter().filter(|f| f.segment == at).map(|f| f.problem).collect()
}

#[test]
fn a_generated_city_has_nothing_grave() {
    let net = city(&CityPlan::default());
    let grave: Vec<_> = check(&net).into_iter().filter(|f| f.problem != Problem::CulDeSac).collect();
    assert_eq!(grave, []);
}

#[test]
fn ends_parts_and_gaps() {
    // A street of two pieces; one that ends 3 m beside its middle; one far away that only leads out.
    let places = [[11.0, 44.0], [11.002, 44.0], [11.004, 44.0], [11.001, 44.001], [11.001, 44.000_027]];
    let mut builder = two_way(&places, &[(0, 1), (1, 2), (3, 4)]);
    let lonely = [[11.1, 44.1], [11.101, 44.1]].map(|[lon, lat]| (builder.node(lon, lat), [lon, lat]));
    straight(&mut builder, lonely);
    let net = builder.build().unwrap();
    assert_eq!(problems(&net, "0-1"), []);
    assert_eq!(problems(&net, "1-2"), [Problem::CulDeSac]);
    assert_eq!(problems(&net, "3-4"), [Problem::CulDeSac, Problem::MissingConnection, Problem::Unreachable]);
    assert_eq!(problems(&net, "4-3"), [Problem::CulDeSac, Problem::Unreachable]);
    assert_eq!(problems(&net, "5-6"), [Problem::DeadEnd, Problem::NoWayIn, Problem::Unreachable]);
}

fn limited(limits_kmh: &[f32]) -> Network {
    let mut builder = NetworkBuilder::new("limits");
    let nodes: Vec<_> = (0..=limits_kmh.len())
        .map(|i| [11.0 + 0.001 * i as f64, 44.0])
        .map(|[lon, lat]| (builder.node(lon, lat), [lon, lat]))
        .collect();
    for (i, &limit_kmh) in limits_kmh.iter().enumerate() {
        let length_m = if i == 0 { Some(600.0) } else { None };
        let template = crate::NewSegment {
            id: crate::SegmentId(i as u64 + 1),
            source_id: i.to_string(),
            source_offset_m: 0.0,
            name: None,
            class: crate::RoadClass::Primary,
            from: nodes[i].0,
            to: nodes[i + 1].0,
            length_m,
            speed_limit_mps: limit_kmh / 3.6,
            lanes: 1,
            line: vec![nodes[i].1, nodes[i + 1].1],
        };
        builder.segment(template);
    }
    builder.build().unwrap()
}

#[test]
fn limits_and_lengths() {
    let net = limited(&[30.0, 100.0, 90.0, 255.0 * 1.609, 50.0, 5.0]);
    let kinds = |source: &str| -> Vec<Problem> {
        let graph = [Problem::DeadEnd, Problem::NoWayIn, Problem::Unreachable];
        problems(&net, source).into_iter().filter(|problem| !graph.contains(problem)).collect()
    };
    assert_eq!(kinds("0"), [Problem::TooLong, Problem::LimitJump]);
    assert_eq!(kinds("1"), []);
    assert_eq!(kinds("2"), [Problem::LimitJump]);
    assert_eq!(kinds("3"), [Problem::LimitHigh, Problem::LimitJump]);
    assert_eq!(kinds("5"), [Problem::LimitLow]);
}

#[test]
fn the_geojson_is_json_with_one_feature_a_finding() {
    let net = limited(&[30.0, 100.0]);
    let findings = check(&net);
    for findings in [&findings[..], &[]] {
        let mut out = Vec::new();
        write_geojson(&net, findings, &mut out).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let features = value["features"].as_array().unwrap();
        assert_eq!(features.len(), findings.len());
        for (feature, finding) in features.iter().zip(findings) {
            assert_eq!(feature["properties"]["problem"], finding.problem.name());
            assert_eq!(feature["geometry"]["coordinates"][0][1], 44.0);
        }
    }
}
