//! The road network as columns of JSON: geometry in millionths of a degree, each point as the difference to
//! the one before, since a map of 20,000 segments as GeoJSON is four times larger.

use roads::{Network, SegmentIndex};
use serde_json::{Value, json};

pub(super) fn encode(city: &str, network: &Network) -> Value {
    let segments = network.segments();
    let [west, south, east, north] = network.bbox();
    json!({
        "city": city,
        "network": network.name(),
        "hash": network.source_hash(),
        "bbox": [west, south, east, north],
        "center": [f64::midpoint(west, east), f64::midpoint(south, north)],
        "segments": {
            "id": segments.iter().map(|s| s.id.to_string()).collect::<Vec<_>>(),
            "name": segments.iter().map(|s| s.name.as_deref()).collect::<Vec<_>>(),
            "class": segments.iter().map(|s| s.class.name()).collect::<Vec<_>>(),
            "length_m": segments.iter().map(|s| (s.length_m * 10.0).round() / 10.0).collect::<Vec<_>>(),
            "free_flow_mps": segments.iter().map(|s| (f64::from(s.free_flow_mps()) * 100.0).round() / 100.0).collect::<Vec<_>>(),
            "free_flow_basis": segments.iter().map(|s| s.free_flow_basis().name()).collect::<Vec<_>>(),
            "line": (0..segments.len() as u32).map(|i| line(network.points(SegmentIndex(i)))).collect::<Vec<_>>(),
        },
    })
}

/// First point absolute, then differences, longitude before latitude.
fn line(points: &[[f64; 2]]) -> Vec<i64> {
    let mut last = [0, 0];
    let mut out = Vec::with_capacity(points.len() * 2);
    for point in points {
        let here = point.map(|deg| (deg * 1e6).round() as i64);
        out.extend([here[0] - last[0], here[1] - last[1]]);
        last = here;
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_are_differences_after_the_first_point() {
        assert_eq!(super::line(&[[11.0, 44.0], [11.000_001, 43.999_998]]), [11_000_000, 44_000_000, 1, -2]);
    }
}
