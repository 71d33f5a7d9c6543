//! A network as a picture: one SVG, streets drawn as wide as their class.
//!
//! Upstream: any [`Network`], and what else a picture should show. Downstream: `arterial network picture`, the docs.

use std::f64::consts::PI;
use std::io::{self, Write};

use crate::network::Network;
use crate::segment::{RoadClass, SegmentIndex};

/// What a picture shows beside the streets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scenery<'a> {
    /// Lon, lat in degrees, from where it enters; and metres.
    pub river: Option<(&'a [[f64; 2]], f64)>,
}

/// Room around the network, share of its width.
const MARGIN: f64 = 0.03;

/// Writes the picture, `width_px` wide.
///
/// # Errors
/// Whatever the writer says.
pub fn write_svg(net: &Network, scenery: Scenery<'_>, width_px: u32, out: &mut impl Write) -> io::Result<()> {
    let [west, south, east, north] = net.bbox();
    let squash = ((south + north) / 2.0 * PI / 180.0).cos();
    let margin = (east - west) * squash * MARGIN;
    let (width, height) = ((east - west) * squash + 2.0 * margin, north - south + 2.0 * margin);
    let scale = f64::from(width_px) / width;
    let height_px = (height * scale).ceil();
    let px = |[lon, lat]: [f64; 2]| (((lon - west) * squash + margin) * scale, (north - lat + margin) * scale);
    let px_per_m = scale / crate::network::M_PER_DEG;
    writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width_px}" height="{height_px}" viewBox="0 0 {width_px} {height_px}"><rect width="100%" height="100%" fill="#f3f1ec"/><g fill="none" stroke-linecap="round" stroke-linejoin="round">"##
    )?;
    if let Some((river, width_m)) = scenery.river {
        let path = path(river, px);
        writeln!(out, r##"<path stroke="#a9cde8" stroke-width="{:.1}" d="{path}"/>"##, width_m * px_per_m * 0.86)?;
    }
    let mut by_class: Vec<SegmentIndex> = net.indices().collect();
    by_class.sort_by_key(|&at| (net.segment(at).structure.is_bridge, std::cmp::Reverse(net.segment(at).class), at));
    // The edge of a street first, its surface above all edges: crossings then look like crossings.
    for pass in ["edge", "surface"] {
        for class in RoadClass::ALL.into_iter().rev() {
            let (edge, surface, metres) = look(class);
            let width_px = (metres * px_per_m).max(0.5) + if pass == "edge" { 1.2 } else { 0.0 };
            let colour = if pass == "edge" { edge } else { surface };
            write!(out, r#"<path stroke="{colour}" stroke-width="{width_px:.2}" d=""#)?;
            for &at in by_class.iter().filter(|&&at| net.segment(at).class == class) {
                write!(out, "{}", path(net.points(at), px))?;
            }
            writeln!(out, r#""/>"#)?;
        }
    }
    writeln!(out, "</g></svg>")
}

/// Colours of edge and surface, and width in metres (drawn wider than it is, to be seen).
fn look(class: RoadClass) -> (&'static str, &'static str, f64) {
    match class {
        RoadClass::Motorway | RoadClass::Trunk => ("#b9701f", "#f0a04b", 26.0),
        RoadClass::Primary => ("#b98a1f", "#f7cf6b", 22.0),
        RoadClass::Secondary => ("#aaa38c", "#fbf3b9", 16.0),
        RoadClass::Tertiary => ("#b3afa6", "#ffffff", 13.0),
        RoadClass::Residential => ("#c3bfb6", "#ffffff", 8.0),
        RoadClass::Service => ("#cbc8c0", "#ffffff", 5.0),
    }
}

fn path(points: &[[f64; 2]], px: impl Fn([f64; 2]) -> (f64, f64)) -> String {
    let mut path = String::new();
    for (i, &point) in points.iter().enumerate() {
        let (x, y) = px(point);
        path.push_str(&format!("{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' }));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{CityPlan, city};

    #[test]
    fn every_street_is_drawn_inside_the_picture() {
        let net = city(&CityPlan::default());
        let mut svg = Vec::new();
        write_svg(&net, Scenery::default(), 800, &mut svg).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        assert_eq!(svg.matches('M').count(), net.segments().len() * 2, "an edge and a surface each");
        let height: f64 = svg.split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        for place in svg.split(['M', 'L']).skip(1) {
            let mut numbers = place.split(['"', ' ']).map_while(|n| n.parse::<f64>().ok());
            let (Some(x), Some(y)) = (numbers.next(), numbers.next()) else { panic!("{place:.40}") };
            assert!((0.0..=800.0).contains(&x) && (0.0..=height).contains(&y), "{x} {y}");
        }
    }
}
