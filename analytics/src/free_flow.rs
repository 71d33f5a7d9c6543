//! Free-flow speed of every segment: learnt where enough was observed, else from the limit; and which of the two it is.
//!
//! Upstream: [`crate::study`] gives each final clock minute. Downstream: every delay, ratio and travel time index is held
//! against [`FreeFlow::mps`], and says so by [`FreeFlow::basis`].
//!
//! The rule. A sample is the space-mean speed of one segment in one clock minute outside the peaks in which at least the
//! segment's length was driven, so that nobody is judged by a piece of red light alone. From [`SAMPLES_MIN`] samples on
//! the 85th percentile of a segment's samples is its free-flow speed; until then, and where nobody drives, it is the
//! legal limit times the share of [`roads::RoadClass::free_flow_share_of_limit`]. The peaks are 07 to 09 and 17 to 19
//! local time, as AMap's quarterly reports on congestion in Chinese cities set them (2016 Q3); the 85th percentile of
//! off-peak speed is the free-flow speed of FHWA's Urban Congestion Report (its "Documentation and Definitions"). Jams
//! at other hours are samples too: fewer than 85 % of the minutes must be jammed for the percentile to miss them.

use roads::{FreeFlowBasis, Network};
use serde::{Deserialize, Serialize};

use crate::pane::Totals;

/// Samples from which a segment is believed: the rank of the percentile is then sure to ±4.6 points
/// (√(0.85 · 0.15 / 60), David and Nagaraja, Order Statistics, 2003).
pub const SAMPLES_MIN: u32 = 60;

/// Samples at which all classes of a segment are halved, so that a street that was rebuilt is learnt anew within weeks,
/// and sixteen bits hold every count.
const SAMPLES_MAX: u32 = 20_000;

/// Classes of speed, 4.9 % wide: a percentile is the middle of its class, so it is within 2.5 % of the exact one.
const BINS: usize = 64;
const SLOWEST_MPS: f64 = 2.0;
const FASTEST_MPS: f64 = 42.0;

/// The percentile.
const SHARE: f64 = 0.85;

/// Peak hours of the local clock, begin and end: AMap's.
const PEAKS_H: [(i64, i64); 2] = [(7, 9), (17, 19)];

const HOUR_MS: i64 = 3_600_000;

/// Samples of one segment, by class of speed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Spread {
    bins: Vec<u16>,
    samples: u32,
}

/// What is known of free flow. Bounded: 160 bytes a segment that is driven.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FreeFlow {
    mps: Vec<f64>,
    basis: Vec<FreeFlowBasis>,
    spreads: Vec<Option<Box<Spread>>>,
    utc_offset_ms: i64,
}

impl FreeFlow {
    /// Nothing learnt yet: every segment by its limit.
    pub fn new(network: &Network, utc_offset_s: i32) -> Self {
        let segments = network.segments();
        Self {
            mps: segments.iter().map(|s| f64::from(s.free_flow_mps())).collect(),
            basis: segments.iter().map(roads::Segment::free_flow_basis).collect(),
            spreads: vec![None; segments.len()],
            utc_offset_ms: i64::from(utc_offset_s) * 1_000,
        }
    }

    /// Free-flow speed by segment, m/s, above 0.
    pub fn mps(&self) -> &[f64] {
        &self.mps
    }

    /// What each speed of [`FreeFlow::mps`] rests on.
    pub fn basis(&self) -> &[FreeFlowBasis] {
        &self.basis
    }

    /// Samples that were taken of a segment since its classes were last halved.
    pub fn samples(&self, segment: usize) -> u32 {
        self.spreads.get(segment).and_then(Option::as_ref).map_or(0, |s| s.samples)
    }

    /// Takes the samples of one final clock minute.
    pub fn minute(&mut self, network: &Network, start_ms: i64, totals: &Totals) {
        if is_peak(start_ms + self.utc_offset_ms) {
            return;
        }
        for (i, &segment) in totals.segment.iter().enumerate() {
            let at = segment as usize;
            let (distance_m, time_s) = (totals.distance_m[i], totals.time_s[i]);
            if distance_m < network.segments()[at].length_m || time_s <= 0.0 {
                continue;
            }
            let spread = self.spreads[at].get_or_insert_default();
            spread.add(distance_m / time_s);
            if spread.samples >= SAMPLES_MIN {
                self.mps[at] = spread.percentile_mps();
                self.basis[at] = FreeFlowBasis::Observed;
            }
        }
    }
}

impl Default for Spread {
    fn default() -> Self {
        Self { bins: vec![0; BINS], samples: 0 }
    }
}

impl Spread {
    fn add(&mut self, speed_mps: f64) {
        self.bins[bin_of(speed_mps)] += 1;
        self.samples += 1;
        if self.samples >= SAMPLES_MAX {
            self.bins.iter_mut().for_each(|n| *n /= 2);
            self.samples = self.bins.iter().map(|&n| u32::from(n)).sum();
        }
    }

    /// The class that holds the 85th percentile.
    fn percentile_mps(&self) -> f64 {
        let wanted = SHARE * f64::from(self.samples);
        let mut so_far = 0.0;
        let found = self.bins.iter().position(|&n| {
            so_far += f64::from(n);
            so_far >= wanted
        });
        middle_mps(found.unwrap_or(BINS - 1))
    }
}

/// Whether a moment of the local clock lies in a peak hour.
fn is_peak(local_ms: i64) -> bool {
    let hour = local_ms.div_euclid(HOUR_MS).rem_euclid(24);
    PEAKS_H.iter().any(|&(begin, end)| (begin..end).contains(&hour))
}

fn bin_of(speed_mps: f64) -> usize {
    let at = (speed_mps / SLOWEST_MPS).ln() / (FASTEST_MPS / SLOWEST_MPS).ln() * BINS as f64;
    if at > 0.0 { (at as usize).min(BINS - 1) } else { 0 }
}

fn middle_mps(bin: usize) -> f64 {
    SLOWEST_MPS * (FASTEST_MPS / SLOWEST_MPS).powf((bin as f64 + 0.5) / BINS as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roads::generate::{CityPlan, city};

    use super::*;

    fn small() -> Network {
        city(&CityPlan { blocks_x: 3, blocks_y: 3, ..CityPlan::default() })
    }

    fn at(speed_mps: f64, length_m: f64) -> Totals {
        Totals { segment: vec![0], distance_m: vec![length_m], time_s: vec![length_m / speed_mps], ..Totals::default() }
    }

    /// 22:00 UTC of the first day.
    const NIGHT_MS: i64 = 22 * HOUR_MS;

    #[test]
    fn enough_nights_replace_the_limit() {
        let network = small();
        let length_m = network.segments()[0].length_m;
        let mut free = FreeFlow::new(&network, 0);
        let by_limit = free.mps()[0];
        for minute in 0..i64::from(SAMPLES_MIN) - 1 {
            free.minute(&network, NIGHT_MS + minute * 60_000, &at(9.0, length_m));
        }
        assert_eq!((free.mps()[0], free.basis()[0]), (by_limit, FreeFlowBasis::Limit), "one sample is missing");
        free.minute(&network, NIGHT_MS, &at(9.0, length_m));
        assert_eq!((free.samples(0), free.basis()[0]), (SAMPLES_MIN, FreeFlowBasis::Observed));
        assert!((free.mps()[0] / 9.0 - 1.0).abs() < 0.025, "{}", free.mps()[0]);
        assert_eq!(free.basis()[1], FreeFlowBasis::Limit);
    }

    #[test]
    fn peaks_by_the_local_clock_and_scraps_are_no_samples() {
        let network = small();
        let length_m = network.segments()[0].length_m;
        let mut free = FreeFlow::new(&network, 3_600);
        for (hour, counts) in [(5, true), (6, false), (7, false), (8, true), (15, true), (16, false), (18, true)] {
            let before = free.samples(0);
            free.minute(&network, hour * HOUR_MS, &at(9.0, length_m));
            assert_eq!(free.samples(0) > before, counts, "{hour} UTC is {} local", hour + 1);
        }
        let before = free.samples(0);
        free.minute(&network, NIGHT_MS, &at(9.0, length_m * 0.9));
        assert_eq!(free.samples(0), before, "less than its length was driven");
    }

    #[test]
    fn an_old_street_is_forgotten() {
        let network = small();
        let length_m = network.segments()[0].length_m;
        let mut free = FreeFlow::new(&network, 0);
        (0..60_000).for_each(|_| free.minute(&network, NIGHT_MS, &at(12.0, length_m)));
        assert!(free.samples(0) < SAMPLES_MAX);
        (0..60_000).for_each(|_| free.minute(&network, NIGHT_MS, &at(7.0, length_m)));
        assert!((free.mps()[0] / 7.0 - 1.0).abs() < 0.025, "{}", free.mps()[0]);
    }

    proptest! {
        #[test]
        fn the_percentile_is_near_the_exact_one(speeds in prop::collection::vec(2.1_f64..41.0, 60..300)) {
            let mut spread = Spread::default();
            speeds.iter().for_each(|&v| spread.add(v));
            let mut sorted = speeds;
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[((SHARE * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1];
            prop_assert!((spread.percentile_mps() / exact - 1.0).abs() < 0.026, "{} for {exact}", spread.percentile_mps());
        }
    }
}
