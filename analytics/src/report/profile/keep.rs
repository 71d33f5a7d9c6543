//! The tables kept up to date while history is written, so that a question finds them made.
//!
//! Upstream: [`crate::archive::status`], which says when a day was compacted. Downstream: [`super::update`]. The work is done
//! on a thread of its own, days of one weekday and month at a time, newest first, then the months that are over; whoever
//! asks for a day that is not in yet has it made, or waits for it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Updated, months, update_until};
use crate::calendar::date_of_number;
use crate::report::{History, ReportError};

/// Brings the tables up to date now and whenever a day was compacted, until stopped. `open` opens history, which may not
/// be there yet. What fails is told and tried again with the next day.
pub async fn keep(
    open: impl Fn() -> Result<History, ReportError> + Send + Sync + 'static,
    mut days: watch::Receiver<u64>,
    stop: CancellationToken,
) {
    let open = Arc::new(open);
    loop {
        days.borrow_and_update();
        let (open, stopped) = (Arc::clone(&open), stop.clone());
        match tokio::task::spawn_blocking(move || update_all(&*open, &stopped)).await {
            Ok(Ok(Updated { made: 0, .. }) | Err(ReportError::NoArchive { .. } | ReportError::City { .. })) => {}
            Ok(Ok(Updated { made, .. })) => tracing::info!("{made} days were added to the tables of history"),
            Ok(Err(fault)) => tracing::warn!("the tables of history are not up to date: {fault}"),
            Err(panic) => tracing::error!("making the tables of history ended early: {panic}"),
        }
        tokio::select! {
            changed = days.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

fn update_all(
    open: &dyn Fn() -> Result<History, ReportError>,
    stop: &CancellationToken,
) -> Result<Updated, ReportError> {
    let history = open()?;
    let files = history.archive.days()?;
    let (Some((&first, _)), Some((&newest, _))) = (files.first_key_value(), files.last_key_value()) else {
        return Ok(Updated::default());
    };
    // A local day reaches into the UTC days around it.
    let days = date_of_number(first - 1)..=date_of_number(newest + 1);
    let updated = update_until(&history, &days, &|| stop.is_cancelled())?;
    months::update(&history, &days, &|| stop.is_cancelled())?;
    Ok(updated)
}
