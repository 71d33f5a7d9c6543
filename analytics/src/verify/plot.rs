//! The curve of errors by share of probes as SVG.
//!
//! Upstream: [`super::report`]. Downstream: `docs/accuracy.md`, a browser. Both axes are logarithmic. Colours are those
//! of Okabe and Ito (2008), told apart by the colour-blind; every line has its own marker and dash as well.

use std::fmt::Write;

use super::report::Row;

/// Picture, and the field within it, pixels.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 590.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 450.0;

/// Errors of the axis, percent; what is less lies on its lower end.
const ERROR: (f64, f64) = (0.1, 100.0);

struct Line {
    name: &'static str,
    colour: &'static str,
    dash: &'static str,
    of: fn(&Row) -> Option<f64>,
}

const LINES: [Line; 6] = [
    Line { name: "delay of the city", colour: "#D55E00", dash: "none", of: |r| r.city_delay_veh_h.mape },
    Line { name: "travel time of corridors", colour: "#0072B2", dash: "none", of: |r| r.corridor_s.mape },
    Line { name: "speed, segment-minute, any n", colour: "#009E73", dash: "8 4", of: |r| r.speed_any_mps.mape },
    Line { name: "flow, segment-quarter", colour: "#CC79A7", dash: "2 4", of: |r| r.flow_per_h.mape },
    Line { name: "level of congestion is wrong", colour: "#E69F00", dash: "8 3 2 3", of: |r| r.level_wrong },
    Line { name: "segment-minutes not seen", colour: "#000000", dash: "3 3", of: |r| Some(1.0 - r.coverage) },
];

/// The picture of rows of at least one share; they may be in any order.
pub fn svg(rows: &[Row], title: &str) -> String {
    let mut rows: Vec<&Row> = rows.iter().filter(|r| r.probe_share > 0.0).collect();
    rows.sort_by(|a, b| a.probe_share.total_cmp(&b.probe_share));
    let least = rows.first().map_or(0.01, |r| r.probe_share).min(0.5);
    let x = |share: f64| LEFT + (RIGHT - LEFT) * (share / least).ln() / (1.0 / least).ln();
    let y = |error: f64| {
        let of_axis = ((error * 100.0).clamp(ERROR.0, ERROR.1) / ERROR.0).ln() / (ERROR.1 / ERROR.0).ln();
        BOTTOM - (BOTTOM - TOP) * of_axis
    };
    let mut out = String::new();
    head(&mut out, title);
    for error in [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0] {
        let at = y(error / 100.0);
        push(&mut out, format_args!(r##"<line x1="{LEFT}" x2="{RIGHT}" y1="{at:.1}" y2="{at:.1}" stroke="#ddd"/>"##));
        let (left, base) = (LEFT - 8.0, at + 4.0);
        let sign = if error <= ERROR.0 { "≤ " } else { "" };
        push(&mut out, format_args!(r#"<text x="{left}" y="{base:.1}" text-anchor="end">{sign}{error} %</text>"#));
    }
    for row in &rows {
        let at = x(row.probe_share);
        push(&mut out, format_args!(r##"<line x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{BOTTOM}" stroke="#eee"/>"##));
        let (base, share) = (BOTTOM + 20.0, row.probe_share * 100.0);
        push(&mut out, format_args!(r#"<text x="{at:.1}" y="{base}" text-anchor="middle">{share} %</text>"#));
    }
    for (i, line) in LINES.iter().enumerate() {
        let points: Vec<(f64, f64)> = rows.iter().filter_map(|r| Some((x(r.probe_share), y((line.of)(r)?)))).collect();
        draw(&mut out, line, i, &points);
    }
    push(&mut out, format_args!("</svg>"));
    out
}

fn head(out: &mut String, title: &str) {
    push(
        out,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="13">"#
        ),
    );
    push(out, format_args!(r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#));
    let escaped = title.replace('&', "&amp;").replace('<', "&lt;");
    push(out, format_args!(r#"<text x="{LEFT}" y="28" font-size="16" font-weight="bold">{escaped}</text>"#));
    let (middle, low) = ((LEFT + RIGHT) / 2.0, BOTTOM + 48.0);
    push(
        out,
        format_args!(
            r#"<text x="{middle}" y="{low}" text-anchor="middle">share of the vehicles that are probes</text>"#
        ),
    );
    let half = (TOP + BOTTOM) / 2.0;
    push(
        out,
        format_args!(
            r#"<text x="16" y="{half}" text-anchor="middle" transform="rotate(-90 16 {half})">mean absolute error</text>"#
        ),
    );
}

/// A line with its markers, and its name in the legend.
fn draw(out: &mut String, line: &Line, number: usize, points: &[(f64, f64)]) {
    let Line { name, colour, dash, .. } = line;
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let style = format!(r#"fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}""#);
    push(out, format_args!(r#"<polyline points="{}" {style}/>"#, path.join(" ")));
    let (x, y) = (RIGHT + 24.0, TOP + 20.0 + 30.0 * number as f64);
    push(out, format_args!(r#"<polyline points="{x},{y} {},{y}" {style}/>"#, x + 36.0));
    push(out, format_args!(r#"<text x="{}" y="{}">{name}</text>"#, x + 44.0, y + 4.0));
    for (x, y) in points.iter().copied().chain([(x + 18.0, y)]) {
        let shape = match number % 3 {
            0 => format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{colour}"/>"#),
            1 => format!(r#"<rect x="{:.1}" y="{:.1}" width="8" height="8" fill="{colour}"/>"#, x - 4.0, y - 4.0),
            _ => format!(r#"<path d="M{x:.1},{:.1} l5,9 l-10,0 z" fill="{colour}"/>"#, y - 5.0),
        };
        push(out, format_args!("{shape}"));
    }
}

fn push(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("a text can be written into memory");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::compare::Comparison;

    #[test]
    fn a_worse_error_is_drawn_higher_and_every_line_is_named() {
        let row = |share: f64, delay: f64| {
            let mut all = Comparison { shares_found: vec![share], ..Comparison::default() };
            all.city_delay.add(100.0, 100.0 * (1.0 + delay), true);
            Row::new(share, &all)
        };
        let picture = svg(&[row(1.0, 0.01), row(0.01, 0.5)], "a < b");
        assert!(LINES.iter().all(|line| picture.contains(line.name)) && picture.contains("a &lt; b"));
        let first = picture.lines().find(|l| l.contains("#D55E00")).unwrap();
        let points = first.split('"').nth(1).unwrap();
        let y: Vec<f64> = points.split(' ').map(|p| p.split(',').nth(1).unwrap().parse().unwrap()).collect();
        assert!(y.len() == 2 && y[0] < y[1], "{points}");
    }
}
