//! An archive that is made up, for the benchmark of history.
//!
//! usage: history_archive DIR SEGMENTS FROM TO [VEHICLES]
//!
//! `DIR/archive` gets the cells, `DIR/city.roads` the generated network that they are on. VEHICLES is the mean of a segment in
//! five minutes; with 10 nearly every segment has a row every five minutes.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use analytics::calendar::{Calendar, date};
use analytics::report::made::Made;
use roads::cache;
use roads::generate::{MetropolisPlan, metropolis};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [dir, segments, from, to, rest @ ..] = words.as_slice() else {
        return Err("usage: history_archive DIR SEGMENTS FROM TO [VEHICLES]".into());
    };
    let dir = PathBuf::from(dir);
    std::fs::create_dir_all(&dir)?;
    let plan = MetropolisPlan { segments: segments.parse()?, ..MetropolisPlan::default() };
    let network = Arc::new(metropolis(&plan).network);
    cache::save(&network, dir.join("city.roads"))?;
    let calendar = Arc::new(Calendar::of_zone("Europe/Berlin")?);
    let mut made = Made::new(Arc::clone(&network), calendar, date(from)?, date(to)?);
    if let [vehicles] = rest {
        made.vehicles = vehicles.parse()?;
    }
    let rows = made.write(&dir.join("archive"))?;
    writeln!(std::io::stdout(), "segments {} rows {rows}", network.segments().len())?;
    Ok(())
}
