//! Probes and loops on one segment, brought together: one speed, both inputs beside it.
//!
//! Upstream: [`crate::snapshot`] (what probes say, small groups hidden), [`crate::detector`]. Downstream: the API.
//!
//! Rule: logarithms of the two space-mean speeds are weighted by the inverse of their variances, which is the best linear
//! estimate of two independent ones; logarithms, since errors of speeds are factors. Flow is the loop's: a loop counts
//! everybody, and probes are some. The logarithm of a speed from n vehicles has the variance c² / n; a loop sees a point of
//! a segment and not its length, which no number of vehicles heals: that variance is added. The shares c were measured on
//! the simulator (`docs/accuracy-detectors.md`), where segments have signals at their ends; on a freeway a loop says more.
//! A loop that broke a rule of health on its last day is left out; so is one whose segment is not known beyond doubt.

use std::collections::BTreeMap;

use roads::SegmentIndex;
use serde::Serialize;

use crate::detector::{Detectors, Passed};
use crate::metric::traffic::SegmentMetrics;
use crate::metric::window::Span;

/// Standard deviation of the logarithm of one vehicle's speed over a segment, among the vehicles of some minutes.
const PROBE_VARIATION: f64 = 0.7;

/// The same among the vehicles that pass a loop.
const LOOP_VARIATION: f64 = 0.25;

/// The same of the speed at a loop against that of its segment, however many pass.
const LOOP_PLACE: f64 = 1.0;

/// One input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Input {
    pub speed_mps: f64,
    pub vehicles: u64,
    pub standard_error_mps: f64,
    /// Its share in the fused speed.
    pub weight: f64,
}

/// A segment on which both speak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fused {
    pub segment: u32,
    pub probes: Input,
    pub loops: Input,
    pub detectors: Vec<String>,
    /// Space-mean speed.
    pub speed_mps: f64,
    pub standard_error_mps: f64,
    /// Of the loop.
    pub flow_veh_per_h: f64,
}

/// Fuses every segment of a window on which probes and a sound loop speak.
pub fn fuse(probes: &SegmentMetrics, detectors: &Detectors, span: Span) -> Vec<Fused> {
    let loops = by_segment(detectors, span);
    let both =
        probes.segment.iter().enumerate().filter_map(|(row, segment)| Some((row, *segment, loops.get(segment)?)));
    let fused = both.filter_map(|(row, segment, (names, passed))| {
        let (speed_mps, vehicles) = (probes.speed_mps[row], probes.vehicles[row]);
        let loop_mps = passed.space_mean_speed_mps?;
        let probe_var = PROBE_VARIATION.powi(2) / vehicles.max(1) as f64;
        let loop_var = LOOP_VARIATION.powi(2) / f64::from(passed.count.max(1)) + LOOP_PLACE.powi(2);
        if speed_mps <= 0.0 || loop_mps <= 0.0 {
            // One of them says that nobody moves: no variance follows from that.
            return None;
        }
        let weight = loop_var / (probe_var + loop_var);
        let fused_mps = (weight * speed_mps.ln() + (1.0 - weight) * loop_mps.ln()).exp();
        Some(Fused {
            segment: segment.0,
            probes: Input { speed_mps, vehicles, standard_error_mps: speed_mps * probe_var.sqrt(), weight },
            loops: Input {
                speed_mps: loop_mps,
                vehicles: u64::from(passed.count),
                standard_error_mps: loop_mps * loop_var.sqrt(),
                weight: 1.0 - weight,
            },
            detectors: names.clone(),
            speed_mps: fused_mps,
            standard_error_mps: fused_mps * (probe_var * loop_var / (probe_var + loop_var)).sqrt(),
            flow_veh_per_h: f64::from(passed.count) / passed.seconds * 3_600.0,
        })
    });
    fused.collect()
}

/// Loops that speak of a segment. Several on one segment, as one a lane: vehicles are added, speeds weighted by them
/// harmonically, as space-means are.
fn by_segment(detectors: &Detectors, span: Span) -> BTreeMap<SegmentIndex, (Vec<String>, Passed)> {
    let mut loops: BTreeMap<SegmentIndex, (Vec<String>, Passed)> = BTreeMap::new();
    for (name, segment, passed) in detectors.passed(span.start_ms, span.end_ms) {
        let Some(mps) = passed.space_mean_speed_mps else { continue };
        let (names, sum) = loops.entry(segment).or_default();
        names.push(name.to_owned());
        let pace = |passed: &Passed| passed.space_mean_speed_mps.map_or(0.0, |mps| f64::from(passed.count) / mps);
        let paces = pace(sum) + f64::from(passed.count) / mps;
        sum.count += passed.count;
        sum.seconds = sum.seconds.max(passed.seconds);
        sum.space_mean_speed_mps = Some(f64::from(sum.count) / paces);
    }
    loops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::{Reading, Site};

    fn probes(speed_mps: f64, vehicles: u64) -> SegmentMetrics {
        SegmentMetrics {
            segment: vec![SegmentIndex(7)],
            speed_mps: vec![speed_mps],
            vehicles: vec![vehicles],
            ..SegmentMetrics::default()
        }
    }

    fn loops(names: &[&str], speed_mps: f32, count: u32) -> Detectors {
        let mut detectors = Detectors::new(0);
        for name in names {
            let site = Site { free_mps: 14.0, segment: Some(SegmentIndex(7)) };
            let (count, speed_mps) = (Some(count), Some(speed_mps));
            let reading = Reading { start_ms: 0, end_ms: 60_000, count, occupancy: None, speed_mps };
            detectors.apply(name, reading, || site);
        }
        detectors
    }

    const SPAN: Span = Span { start_ms: 0, end_ms: 60_000 };

    #[test]
    fn the_surer_one_weighs_more_and_the_result_is_surer_than_both() {
        let few = fuse(&probes(10.0, 3), &loops(&["a"], 14.0, 20), SPAN).remove(0);
        let many = fuse(&probes(10.0, 60), &loops(&["a"], 14.0, 20), SPAN).remove(0);
        for fused in [&few, &many] {
            assert!((10.0..14.0).contains(&fused.speed_mps), "{fused:?}");
            assert!((fused.probes.weight + fused.loops.weight - 1.0).abs() < 1e-12);
            let share = |mps: f64, error_mps: f64| error_mps / mps;
            let least = share(fused.probes.speed_mps, fused.probes.standard_error_mps)
                .min(share(fused.loops.speed_mps, fused.loops.standard_error_mps));
            assert!(share(fused.speed_mps, fused.standard_error_mps) < least, "{fused:?}");
        }
        assert!(many.probes.weight > few.probes.weight && many.speed_mps < few.speed_mps);
        assert_eq!(few.flow_veh_per_h, 1_200.0, "the loop's, not the probes'");
    }

    #[test]
    fn loops_of_two_lanes_are_one_and_segments_with_one_input_are_none() {
        let fused = fuse(&probes(10.0, 5), &loops(&["a", "b"], 12.0, 10), SPAN).remove(0);
        assert_eq!((fused.detectors.len(), fused.loops.vehicles, fused.flow_veh_per_h), (2, 20, 1_200.0));
        assert!((fused.loops.speed_mps - 12.0).abs() < 1e-6);
        assert!(fuse(&SegmentMetrics::default(), &loops(&["a"], 12.0, 10), SPAN).is_empty());
        assert!(fuse(&probes(10.0, 5), &Detectors::new(0), SPAN).is_empty());
        let later = Span { start_ms: 60_001, end_ms: 120_000 };
        assert!(fuse(&probes(10.0, 5), &loops(&["a"], 12.0, 10), later).is_empty());
    }
}
