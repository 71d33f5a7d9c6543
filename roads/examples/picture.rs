//! Draws a generated city: `cargo run --release -p roads --example picture -- SEED SEGMENTS > city.svg`.

use std::io::Write;

use roads::generate::{MetropolisPlan, metropolis};
use roads::picture::{Scenery, write_svg};

fn main() -> std::io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|n| n.parse::<u32>().unwrap_or(0));
    let default = MetropolisPlan::default();
    let seed = numbers.next().map_or(default.seed, u64::from);
    let made = metropolis(&MetropolisPlan { seed, segments: numbers.next().unwrap_or(default.segments), ..default });
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    write_svg(&made.network, Scenery { river: Some((&made.river, made.river_width_m)) }, 1_400, &mut out)?;
    out.flush()
}
