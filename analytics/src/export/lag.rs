//! How long events take: from their own stamp to the tick that publishes them, and the stages on the way.
//!
//! Upstream: [`crate::follow`], which notes every block that it reads and every tick. Downstream: `/metrics`.
//!
//! A histogram's value is known only when the tick comes, so stamps wait until then, in bins of [`BIN_MS`]. At most
//! [`BINS_MAX`] bins wait for a class; what comes beyond goes to the newest bin, and is then told as younger than it is.
//! Ticks come every second, and a second of live events falls into some hundred bins; only a backlog or a replay at full
//! speed has more.

use std::collections::BTreeMap;

use ingest::batch::Batch;

use crate::fate::SourceClass;

/// Upper borders of the buckets, seconds. From a tenth of a second to an hour: live operation is in the middle.
pub const BORDERS_S: [f64; 13] = [0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0];

/// Width of a bin of waiting stamps, milliseconds: half of the smallest bucket.
const BIN_MS: i64 = 50;

/// Most bins that wait.
const BINS_MAX: usize = 4_096;

/// One histogram of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lag {
    /// By [`BORDERS_S`], then what is beyond the last border. Not cumulative.
    buckets: [u64; BORDERS_S.len() + 1],
    sum_ms: f64,
}

impl Lag {
    /// Counts `n` events that took so long. What is stamped in the future took no time.
    pub fn add(&mut self, took_ms: i64, n: u64) {
        let took_ms = took_ms.max(0) as f64;
        let bucket = BORDERS_S.partition_point(|border_s| border_s * 1_000.0 < took_ms);
        self.buckets[bucket] += n;
        self.sum_ms += took_ms * n as f64;
    }

    /// Upper border in seconds and events up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut so_far = 0;
        BORDERS_S.into_iter().zip(self.buckets).map(move |(border_s, n)| {
            so_far += n;
            (border_s, so_far)
        })
    }

    /// All events.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All durations, seconds.
    pub fn sum_s(&self) -> f64 {
        self.sum_ms / 1_000.0
    }
}

/// The lags of one class of sources.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassLags {
    /// From the event's own stamp to its receipt: device, network, broker.
    pub arrival: Lag,
    /// From its receipt until it was read from the spool: inbox, disk, backlog.
    pub wait: Lag,
    /// From there to the tick that published it.
    pub publish: Lag,
    /// All of it.
    pub end_to_end: Lag,
}

impl ClassLags {
    /// The stages with their names in labels.
    pub fn stages(&self) -> [(&'static str, &Lag); 3] {
        [("arrival", &self.arrival), ("wait", &self.wait), ("publish", &self.publish)]
    }
}

/// The lags of every class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lags {
    classes: [ClassLags; SourceClass::ALL.len()],
}

impl Lags {
    /// Those of one class.
    pub fn of(&self, class: SourceClass) -> &ClassLags {
        &self.classes[class as usize]
    }
}

/// Stamps of one class that wait for the tick.
#[derive(Clone, Debug, Default)]
struct Waiting {
    /// Events by bin of their own stamp.
    stamps: BTreeMap<i64, u64>,
    /// Events by when they were read.
    reads: BTreeMap<i64, u64>,
}

/// Counts lags while the spool is followed.
#[derive(Clone, Debug, Default)]
pub struct Stopwatch {
    lags: Lags,
    waiting: [Waiting; SourceClass::ALL.len()],
}

impl Stopwatch {
    /// A block that was read at this moment of the wall clock.
    pub fn read(&mut self, batch: &Batch, now_ms: i64) {
        let (p, d, s) = (&batch.positions, &batch.detectors, &batch.signals);
        self.note(SourceClass::Position, &p.time_ms, &p.received_ms, now_ms);
        self.note(SourceClass::Detector, &d.end_ms, &d.received_ms, now_ms);
        self.note(SourceClass::Signal, &s.time_ms, &s.received_ms, now_ms);
    }

    fn note(&mut self, class: SourceClass, stamps_ms: &[i64], received_ms: &[i64], now_ms: i64) {
        if stamps_ms.is_empty() {
            return;
        }
        let lags = &mut self.lags.classes[class as usize];
        let waiting = &mut self.waiting[class as usize];
        *waiting.reads.entry(now_ms.div_euclid(BIN_MS)).or_default() += stamps_ms.len() as u64;
        // Neighbours mostly share their bins: one step for a run of them.
        let pairs = stamps_ms.iter().zip(received_ms).map(|(s, r)| (s.div_euclid(BIN_MS), r.div_euclid(BIN_MS)));
        let mut run = (0_i64, 0_i64, 0_u64);
        for (stamp, received) in pairs.chain([(i64::MIN, i64::MIN)]) {
            if (stamp, received) == (run.0, run.1) {
                run.2 += 1;
                continue;
            }
            if run.2 > 0 {
                lags.arrival.add((run.1 - run.0) * BIN_MS, run.2);
                lags.wait.add(now_ms - run.1 * BIN_MS, run.2);
                hold(&mut waiting.stamps, run.0, run.2);
            }
            run = (stamp, received, 1);
        }
    }

    /// A tick that publishes everything read so far; gives all lags until now.
    pub fn published(&mut self, now_ms: i64) -> Lags {
        for (lags, waiting) in self.lags.classes.iter_mut().zip(&mut self.waiting) {
            for (bin, n) in std::mem::take(&mut waiting.stamps) {
                lags.end_to_end.add(now_ms - bin * BIN_MS, n);
            }
            for (bin, n) in std::mem::take(&mut waiting.reads) {
                lags.publish.add(now_ms - bin * BIN_MS, n);
            }
        }
        self.lags
    }
}

/// Adds to a bin, or to the newest one when there are too many.
fn hold(bins: &mut BTreeMap<i64, u64>, bin: i64, n: u64) {
    if bins.len() >= BINS_MAX && !bins.contains_key(&bin) {
        if let Some(mut newest) = bins.last_entry() {
            *newest.get_mut() += n;
        }
        return;
    }
    *bins.entry(bin).or_default() += n;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(stamps_ms: &[i64], received_ms: i64) -> Batch {
        let mut batch = Batch::default();
        batch.detectors.end_ms = stamps_ms.to_vec();
        batch.detectors.received_ms = vec![received_ms; stamps_ms.len()];
        batch
    }

    #[test]
    fn every_event_is_in_every_stage_once_and_end_to_end_is_their_sum() {
        let mut watch = Stopwatch::default();
        // Stamped at 1,000 and 1,040 (one bin) and 2,000; received at 2,500, read at 3,000, published at 4,000.
        watch.read(&block(&[1_000, 1_040, 2_000], 2_500), 3_000);
        let lags = watch.published(4_000);
        let of = lags.of(SourceClass::Detector);
        for (_, lag) in of.stages().into_iter().chain([("", &of.end_to_end)]) {
            assert_eq!(lag.count(), 3);
        }
        assert_eq!((of.arrival.sum_s(), of.wait.sum_s(), of.publish.sum_s()), (1.5 + 1.5 + 0.5, 1.5, 3.0));
        assert_eq!(of.end_to_end.sum_s(), 3.0 + 3.0 + 2.0);
        assert_eq!(lags.of(SourceClass::Position).end_to_end.count(), 0);
        let at_2_s = of.end_to_end.cumulative().find(|b| b.0 == 2.0).unwrap().1;
        let at_3_s = of.end_to_end.cumulative().find(|b| b.0 == 3.0).unwrap().1;
        assert_eq!((at_2_s, at_3_s), (1, 3), "a border belongs to the bucket below it");
        assert_eq!(watch.published(9_000), lags, "what was told once is not told again");
    }

    #[test]
    fn what_waits_is_bounded_and_nothing_is_lost() {
        let mut watch = Stopwatch::default();
        let days: Vec<i64> = (0..3 * BINS_MAX as i64).map(|i| i * 1_000).collect();
        watch.read(&block(&days, days.len() as i64 * 1_000), 20_000_000);
        assert_eq!(watch.waiting[SourceClass::Detector as usize].stamps.len(), BINS_MAX);
        let lags = watch.published(20_000_000);
        assert_eq!(lags.of(SourceClass::Detector).end_to_end.count(), days.len() as u64);
    }

    #[test]
    fn a_stamp_from_the_future_took_no_time_and_an_old_one_is_beyond_the_last_border() {
        let mut lag = Lag::default();
        lag.add(-5_000, 1);
        lag.add(86_400_000, 2);
        assert_eq!(lag.cumulative().next(), Some((0.1, 1)));
        assert_eq!(lag.cumulative().last(), Some((3_600.0, 1)));
        assert_eq!(lag.count(), 3);
    }
}
