//! `arterial sim --headless`: events and truth to Parquet, as fast as it goes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sim::{City, Progress, Record, Recorded, record_city};
use tokio_util::sync::CancellationToken;

use crate::progress;

/// Simulates and records until the duration is over or somebody stops it; what was simulated by then is whole.
pub(super) async fn run(mut city: City, out: &Path, duration_s: u64, stop: CancellationToken) -> anyhow::Result<()> {
    let record = Record::create(out, &city.world, &city.sensors)?;
    let (shown, bar) = (Arc::new(Progress::default()), progress::share(duration_s));
    let begin = city.world.now();
    let told = Arc::clone(&shown);
    let mut work = tokio::task::spawn_blocking(move || -> anyhow::Result<(Recorded, City)> {
        let recorded = record_city(&mut city, record, duration_s, &told, &stop)?;
        Ok((recorded, city))
    });
    let (recorded, city) = loop {
        tokio::select! {
            done = &mut work => break done??,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                bar.set_position(((shown.event_time().0 - begin.0) / 1_000).max(0) as u64);
                bar.set_message(line(&shown));
            }
        }
    };
    bar.finish_and_clear();
    let Recorded { positions, detectors, signals, cells, trips, forced, incidents, faults } = recorded;
    let seconds = (city.world.now().0 - begin.0) / 1_000;
    tracing::info!(
        seconds,
        positions,
        detectors,
        signals,
        cells,
        trips,
        forced,
        incidents,
        faults,
        "recorded in {}",
        out.display()
    );
    Ok(())
}

fn line(shown: &Progress) -> String {
    let factor = shown.real_time_factor().map_or_else(String::new, |x| format!(", {x:.1} times real time"));
    format!("{} vehicles, {} events{factor}", shown.vehicles(), shown.events())
}
