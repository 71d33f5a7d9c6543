//! Draws the trips of a scenario over the day: `cargo run --release -p sim --example demand -- day > docs/demand.svg`.

use std::error::Error;
use std::io::Write;

use roads::generate::{MetropolisPlan, metropolis};
use sim::scenario::{Demand, Route};
use sim::scene::Scene;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 40.0;
const TOP: f64 = 34.0;

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "day".into());
    let network = metropolis(&MetropolisPlan::default()).network;
    let laid = Scene::open(&name)?.lay(&network, sim::Scenario::default().start, None)?;
    let Demand::Trips(trips) = &laid.scenario.demand else { return Err("that scenario has no trips".into()) };
    let quarters = laid.duration_s.unwrap_or(86_400).div_ceil(900) as usize;
    let [west, south, east, north] = network.bbox();
    let out_of = |at: roads::SegmentIndex| {
        let place = network.place(at, 0.0);
        ((place.lon_deg() - (west + east) / 2.0) * 0.7).hypot(place.lat_deg() - (south + north) / 2.0)
    };
    // All trips, those that end nearer to the middle than they begin, and the others.
    let mut lines = [vec![0_u32; quarters], vec![0; quarters], vec![0; quarters]];
    for trip in trips.iter() {
        let quarter = ((trip.depart_s / 900.0) as usize).min(quarters - 1);
        lines[0][quarter] += 4;
        if let Route::Between(from, to) = trip.route {
            lines[if out_of(to) < out_of(from) { 1 } else { 2 }][quarter] += 4;
        }
    }
    let most = f64::from(lines[0].iter().copied().max().unwrap_or(1).max(1));
    let x = |quarter: f64| LEFT + quarter / quarters as f64 * (WIDTH - LEFT - 16.0);
    let y = |rate: f64| HEIGHT - BOTTOM - rate / most * (HEIGHT - BOTTOM - TOP);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12" fill="#333"><rect width="100%" height="100%" fill="#fff"/>"##
    )?;
    for part in 0..=4 {
        let rate = most * f64::from(part) / 4.0;
        let at = y(rate);
        writeln!(
            out,
            r##"<path stroke="#ddd" d="M{LEFT} {at:.1}H{}"/><text x="{}" y="{:.1}" text-anchor="end">{rate:.0}</text>"##,
            WIDTH - 16.0,
            LEFT - 8.0,
            at + 4.0
        )?;
    }
    for hours in (0..=quarters / 4).step_by(if quarters > 32 { 2 } else { 1 }) {
        let clock = (laid.clock_s as usize / 3_600 + hours) % 24;
        writeln!(
            out,
            r#"<text x="{:.1}" y="{}" text-anchor="middle">{clock}:00</text>"#,
            x(hours as f64 * 4.0),
            HEIGHT - 18.0
        )?;
    }
    for ((counts, colour), (name, at)) in lines.iter().zip(["#333333", "#c2571a", "#2b6cb0"]).zip([
        ("all trips, an hour", 80.0),
        ("towards the centre", 240.0),
        ("away from it", 400.0),
    ]) {
        let places =
            counts.iter().enumerate().map(|(q, count)| format!("{:.1} {:.1}", x(q as f64 + 0.5), y(f64::from(*count))));
        let path = places.collect::<Vec<_>>().join("L");
        writeln!(
            out,
            r#"<path fill="none" stroke="{colour}" stroke-width="2" d="M{path}"/><path stroke="{colour}" stroke-width="3" d="M{at} 16h24"/><text x="{}" y="20">{name}</text>"#,
            at + 30.0
        )?;
    }
    writeln!(out, "</svg>")?;
    Ok(())
}
