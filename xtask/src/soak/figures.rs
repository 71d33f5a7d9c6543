//! The rows of a soak, and the slope through them.
//!
//! Upstream: `soak`, with pages of metrics and looks at `/proc`. Downstream: the CSV and the verdict. Bounded: one row
//! every 10 s of the run.

use super::process::Look;
use std::time::Duration;

/// One look at everything.
pub(super) struct Row {
    /// Since the first vehicle, seconds.
    pub(super) second: f64,
    /// Events that ingest has decided so far.
    pub(super) received: f64,
    /// In the order of [`Series::PROCESSES`].
    pub(super) processes: [Look; 3],
}

/// All of them.
#[derive(Default)]
pub(super) struct Series {
    pub(super) rows: Vec<Row>,
}

impl Series {
    pub(super) const PROCESSES: [&'static str; 3] = ["ingest", "analytics", "sim"];

    pub(super) const HEADER: &'static str = "second,received,accepted,duplicate,rejected,waiting_messages,\
        analytics_events,analytics_next_block,spool_bytes,\
        ingest_memory_kib,ingest_mapped_kib,ingest_files,ingest_threads,\
        analytics_memory_kib,analytics_mapped_kib,analytics_files,analytics_threads,\
        sim_memory_kib,sim_mapped_kib,sim_files,sim_threads";

    /// Adds a look; gives its line of the CSV.
    pub(super) fn add(
        &mut self,
        since: Duration,
        (ingest, analytics): (&str, &str),
        processes: [Look; 3],
        spool_bytes: u64,
    ) -> String {
        let fate = |fate: &str| metric(ingest, &format!("arterial_ingest_events_total{{fate=\"{fate}\"}}"));
        let received = metric(ingest, "arterial_ingest_received_total");
        let second = since.as_secs_f64();
        let mut line = format!(
            "{second:.1},{received},{},{},{},{},{},{},{spool_bytes}",
            fate("accepted"),
            fate("duplicate"),
            fate("rejected"),
            metric(ingest, "arterial_ingest_waiting_messages"),
            metric(analytics, "arterial_analytics_events_total"),
            metric(analytics, "arterial_analytics_next_block"),
        );
        for Look { memory_kib, mapped_kib, files, threads } in &processes {
            line += &format!(",{memory_kib},{mapped_kib},{files},{threads}");
        }
        self.rows.push(Row { second, received, processes });
        line
    }

    /// The newest row for a person at the terminal.
    pub(super) fn last_in_words(&self) -> String {
        let Some(last) = self.rows.last() else { return String::new() };
        let before = self.rows.len().checked_sub(2).map(|at| &self.rows[at]);
        let rate = before.map_or(0.0, |row| (last.received - row.received) / (last.second - row.second));
        let mut text = format!("{:6.0} s, {rate:6.0} events/s", last.second);
        for (name, look) in Self::PROCESSES.into_iter().zip(&last.processes) {
            text += &format!("; {name} {:.1} MB, {} files", look.memory_kib as f64 * 1.024 / 1e3, look.files);
        }
        text
    }
}

/// The sum of all series of a name; 0 where it is not there yet.
fn metric(page: &str, name: &str) -> f64 {
    let of_name = page.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let labels = series.strip_prefix(name)?;
        if labels.is_empty() || labels.starts_with('{') { value.parse::<f64>().ok() } else { None }
    });
    // Not `sum`, whose zero is -0.
    of_name.fold(0.0, |sum, value| sum + value)
}

/// The median of the slopes between all pairs of points (Theil 1950, Sen 1968), per hour of the first coordinate in
/// seconds: a few outliers, such as a checkpoint that was being encoded, move it little. 0 with fewer than two points.
pub(super) fn slope_per_hour(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let later = points[at + 1..].iter().filter(|(later, _)| later > x);
        slopes.extend(later.map(|(later, then)| (then - y) / (later - x) * 3_600.0));
    }
    slopes.sort_unstable_by(f64::total_cmp);
    match slopes.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => slopes[odd / 2],
        even => (slopes[even / 2 - 1] + slopes[even / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line_and_outliers_move_it_little() {
        let line: Vec<(f64, f64)> = (0..200).map(|n| (f64::from(n) * 10.0, 50.0 + f64::from(n) * 0.5)).collect();
        // 0.5 in 10 s are 180 an hour.
        assert!((slope_per_hour(&line) - 180.0).abs() < 1e-6);
        let mut spiky = line;
        for at in (0..200).step_by(20) {
            spiky[at].1 += 1_000.0;
        }
        assert!((slope_per_hour(&spiky) - 180.0).abs() < 5.0, "{}", slope_per_hour(&spiky));
        assert_eq!(slope_per_hour(&[(0.0, 1.0)]), 0.0);
        assert_eq!(slope_per_hour(&[(0.0, 1.0), (3_600.0, 3.0)]), 2.0);
    }

    #[test]
    fn a_row_has_as_many_fields_as_the_header() {
        let page = "arterial_ingest_received_total 70\narterial_ingest_events_total{fate=\"accepted\"} 60\n\
                    arterial_ingest_events_total{fate=\"duplicate\"} 9\narterial_ingest_events_total{fate=\"rejected\"} 1\n";
        let mut series = Series::default();
        let line = series.add(Duration::from_secs(10), (page, ""), [Look::default(); 3], 5);
        assert_eq!(line.split(',').count(), Series::HEADER.split(',').count());
        assert!(line.starts_with("10.0,70,60,9,1,0,0,0,5,"), "{line}");
    }
}
