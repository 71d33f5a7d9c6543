//! The way of a position from the vehicle to the server: time, loss, repetition, silence.
//!
//! What is under way lies in a wheel of one bucket per second of arrival. A bucket is taken when its second is
//! over, in order of arrival, so late reports come behind later ones, as in life. Upstream: the probes.
//! Downstream: what is published in a second.
//!
//! The rates are assumed, of the order that operators report; no public measurement gives all of them.

use serde::{Deserialize, Serialize};

use super::report::PositionReport;
use crate::random::{Stream, below, normal, unit};

/// Half of the reports take at most so long, ms.
const LATENCY_MS_MEDIAN: f64 = 800.0;

/// Deviation of the logarithm of the latency: ln(20 s / 0.8 s) / 2.326, so that 1 % take over 20 s.
const LATENCY_LOG_SIGMA: f64 = 1.384;

/// Nothing takes longer, ms; what would is cut to this.
const LATENCY_MS_MAX: f64 = 60_000.0;

/// Buckets of the wheel, seconds: the longest silence and the longest latency after it fit.
///
/// So at most this many seconds of reports are under way, whatever happens.
const WHEEL_S: usize = 128;

/// Each vehicle has at most one outage in each stretch of so long, ms.
const OUTAGE_EVERY_MS: i64 = 300_000;

/// It has one with this probability.
const OUTAGE_SHARE: f64 = 0.02;

/// Shortest and longest outage, ms.
const OUTAGE_MS: [i64; 2] = [10_000, 60_000];

/// A time without a fix, or without a radio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) begin_ms: i64,
    pub(super) end_ms: i64,
    /// Positions are found, kept, and sent when it is over; otherwise there are none.
    pub(super) is_silence: bool,
}

/// The outage in which a vehicle is at a moment.
pub(super) fn outage(seed: u64, vehicle: u64, at_ms: i64) -> Option<Outage> {
    let stretch = at_ms.div_euclid(OUTAGE_EVERY_MS);
    let draw = unit(seed, vehicle, stretch as u64, Stream::Outage);
    if draw >= OUTAGE_SHARE {
        return None;
    }
    let drawn =
        |bound: i64, nth: u64| below(bound as u64, seed, vehicle ^ (nth << 60), stretch as u64, Stream::Outage) as i64;
    let lasts_ms = OUTAGE_MS[0] + drawn(OUTAGE_MS[1] - OUTAGE_MS[0], 1);
    let begin_ms = stretch * OUTAGE_EVERY_MS + drawn(OUTAGE_EVERY_MS - OUTAGE_MS[1], 2);
    let outage = Outage { begin_ms, end_ms: begin_ms + lasts_ms, is_silence: draw < OUTAGE_SHARE / 2.0 };
    (outage.begin_ms..outage.end_ms).contains(&at_ms).then_some(outage)
}

/// How long one report takes, ms. `copy` is 0 for the first time that it is sent.
pub(super) fn latency_ms(seed: u64, vehicle: u64, seq: u32, copy: u64) -> i64 {
    let z = normal(seed, vehicle, 2 * u64::from(seq) + copy, Stream::Latency);
    (LATENCY_MS_MEDIAN * exp(LATENCY_LOG_SIGMA * z)).min(LATENCY_MS_MAX) as i64
}

/// e to the power of x for |x| < 64, by sums and products alone: the same to the bit on every machine.
fn exp(x: f64) -> f64 {
    let small = x / 256.0;
    let mut power = 1.0 + small * (1.0 + small / 2.0 * (1.0 + small / 3.0 * (1.0 + small / 4.0 * (1.0 + small / 5.0))));
    for _ in 0..8 {
        power *= power;
    }
    power
}

/// Reports under way, by the second in which they arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Wheel {
    buckets: Vec<Vec<PositionReport>>,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { buckets: vec![Vec::new(); WHEEL_S] }
    }

    /// Puts a report on its way. `end_ms` is the end of the second that runs: earlier it cannot arrive any more,
    /// and later than the wheel is long neither.
    pub(super) fn put(&mut self, mut report: PositionReport, end_ms: i64) {
        let latest_ms = end_ms + 1_000 * (WHEEL_S as i64 - 1);
        report.arrival_ms = report.arrival_ms.clamp(end_ms - 999, latest_ms);
        self.buckets[bucket(report.arrival_ms)].push(report);
    }

    /// Takes what arrives in the second that ends at `end_ms`, in order of arrival.
    pub(super) fn take(&mut self, end_ms: i64, out: &mut Vec<PositionReport>) {
        let bucket = &mut self.buckets[bucket(end_ms)];
        bucket.sort_by_key(|report| report.arrival_ms);
        out.append(bucket);
    }

    /// Whether it is one of ours: what was read from bytes may be anything.
    pub(super) fn is_sound(&self) -> bool {
        self.buckets.len() == WHEEL_S
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().map(Vec::len).sum()
    }
}

/// The bucket of a moment: a second ends at its full second and includes it.
fn bucket(ms: i64) -> usize {
    ((ms + 999).div_euclid(1_000)).rem_euclid(WHEEL_S as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_the_stated_quantiles() {
        let seed = 5;
        let mut all: Vec<i64> = (0..100_000).map(|n| latency_ms(seed, n / 100, (n % 100) as u32, 0)).collect();
        all.sort_unstable();
        let (median, p99) = (all[50_000], all[99_000]);
        println!("seed {seed}: median {median} ms, 99 % {p99} ms, longest {} ms", all[99_999]);
        assert!((780..=820).contains(&median), "{median}");
        assert!((17_000..=23_000).contains(&p99), "{p99}");
        for x in [-8.0, -1.0, 0.0, 0.3, 2.0, 8.0] {
            assert!((exp(x) / f64::exp(x) - 1.0).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn outages_are_as_many_and_as_long_as_stated() {
        let (seed, stretches) = (6, 20_000);
        let mut out_s = 0;
        let mut silent = 0;
        for vehicle in 0..stretches {
            for second in 0..300 {
                if let Some(outage) = outage(seed, vehicle, second * 1_000) {
                    assert!((10_000..=60_000).contains(&(outage.end_ms - outage.begin_ms)));
                    out_s += 1;
                    silent += u64::from(outage.is_silence);
                }
            }
        }
        // 2 % of the stretches, 35 s each.
        let expected = stretches as f64 * 0.02 * 35.0;
        println!("seed {seed}: {out_s} s of outage, expected {expected}, {silent} s of them silence");
        assert!((f64::from(out_s) / expected - 1.0).abs() < 0.15, "{out_s}");
        assert!((0.4..0.6).contains(&(silent as f64 / f64::from(out_s))), "{silent}");
    }

    #[test]
    fn the_wheel_gives_each_report_once_in_the_second_of_its_arrival() {
        let mut wheel = Wheel::new();
        let mut given = Vec::new();
        for second in 1..=300_i64 {
            let end_ms = second * 1_000;
            for seq in 0..5 {
                let late_ms = latency_ms(1, 7, (second * 5 + seq) as u32, 0);
                let report =
                    PositionReport { seq: (second * 5 + seq) as u32, time_ms: end_ms, ..PositionReport::default() };
                wheel.put(PositionReport { arrival_ms: end_ms + late_ms, ..report }, end_ms);
            }
            let before = given.len();
            wheel.take(end_ms, &mut given);
            let taken = &given[before..];
            assert!(taken.iter().all(|r| r.arrival_ms > end_ms - 1_000 && r.arrival_ms <= end_ms));
            assert!(taken.is_sorted_by_key(|r| r.arrival_ms));
        }
        assert_eq!(given.len() + wheel.len(), 1_500);
        let mut seqs: Vec<u32> = given.iter().map(|r| r.seq).collect();
        assert!(!seqs.is_sorted(), "nothing was overtaken");
        seqs.sort_unstable();
        seqs.dedup();
        assert_eq!(seqs.len(), given.len());
    }
}
