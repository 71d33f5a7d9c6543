//! How speeds are spread: for every segment the metres driven in each of 64 classes of speed.
//!
//! Upstream: [`super::PaneStore`]. Weighted by distance, so that each vehicle that drives a segment from end to end
//! counts once whatever time it takes: the harmonic mean of this spread is the space-mean speed, and its percentiles
//! are those of vehicles, not of reports. Who stands drives no metre and is not in it.
//!
//! Classes add and subtract exactly, so the windows slide by whole clock minutes without counting anything again.
//! They are 5 % wide and a percentile is the middle of its class, so it is within 2.5 % of the exact one from 1.7 to
//! 36 m/s (6 to 130 km/h).

use std::collections::BTreeMap;

use roads::SegmentIndex;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::cell::Contribution;
use crate::metric::window::{Window, minute_start};

/// Classes of speed.
const BINS: usize = 64;

/// Lower border of class 1, m/s; class 0 is everything slower, the last class everything faster than
/// [`FASTEST_MPS`].
const SLOWEST_MPS: f64 = 1.7;
const FASTEST_MPS: f64 = 36.0;

/// Windows with percentiles: over a single minute there are too few vehicles.
pub(super) const WINDOWS: [Window; 3] = [Window::FiveMinutes, Window::FifteenMinutes, Window::OneHour];

/// Centimetres in each class of one segment: 42,949 km fit, that is 16,000 vehicles an hour over 2.6 km.
type Spread = [u32; BINS];

/// One window: a spread for each segment that was driven since the store was made.
#[derive(Debug, Default)]
struct Running {
    start_ms: Option<i64>,
    /// For every segment its place in `spreads` plus one, 0 while it has none.
    table: Vec<u32>,
    spreads: Vec<Spread>,
}

/// Speeds by clock minute, and the windows over them.
#[derive(Debug, Default)]
pub(super) struct Speeds {
    /// Centimetres by segment × 64 + class.
    minutes: BTreeMap<i64, FxHashMap<u32, u32>>,
    windows: [Running; WINDOWS.len()],
}

/// Speeds in a checkpoint; the windows follow from the minutes.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedSpeeds {
    minutes: BTreeMap<i64, Vec<(u32, u32)>>,
    starts_ms: [Option<i64>; WINDOWS.len()],
}

/// The 15th, 50th and 85th percentile of speed, m/s.
pub type Percentiles = [f64; 3];

const SHARES: [f64; 3] = [0.15, 0.50, 0.85];

impl Speeds {
    /// Adds a contribution.
    pub(super) fn add(&mut self, c: &Contribution) {
        let Some((key, cm)) = class(c) else { return };
        let minute_ms = minute_start(c.pane_ms);
        *self.minutes.entry(minute_ms).or_default().entry(key).or_default() += cm;
        for window in self.windows.iter_mut().filter(|w| w.holds(minute_ms)) {
            *window.slot(key) += cm;
        }
    }

    /// Takes a contribution back that was added before.
    pub(super) fn take_back(&mut self, c: &Contribution) {
        let Some((key, cm)) = class(c) else { return };
        let minute_ms = minute_start(c.pane_ms);
        let Some(minute) = self.minutes.get_mut(&minute_ms) else { return };
        let Some(held) = minute.get_mut(&key) else { return };
        *held -= cm;
        if *held == 0 {
            minute.remove(&key);
        }
        for window in self.windows.iter_mut().filter(|w| w.holds(minute_ms)) {
            *window.slot(key) -= cm;
        }
    }

    /// What is to be remembered.
    pub(super) fn save(&self) -> SavedSpeeds {
        let sorted = |minute: &FxHashMap<u32, u32>| {
            let mut rows: Vec<_> = minute.iter().map(|(&key, &cm)| (key, cm)).collect();
            rows.sort_unstable();
            rows
        };
        SavedSpeeds {
            minutes: self.minutes.iter().map(|(&minute_ms, minute)| (minute_ms, sorted(minute))).collect(),
            starts_ms: self.windows.each_ref().map(|w| w.start_ms),
        }
    }

    /// Speeds as they were saved.
    pub(super) fn load(saved: SavedSpeeds) -> Self {
        let minutes = saved.minutes.into_iter().map(|(minute_ms, rows)| (minute_ms, rows.into_iter().collect()));
        let mut speeds = Self { minutes: minutes.collect(), ..Self::default() };
        for (running, start_ms) in speeds.windows.iter_mut().zip(saved.starts_ms) {
            let Some(start_ms) = start_ms else { continue };
            speeds.minutes.range(start_ms..).flat_map(|m| m.1).for_each(|(&key, &cm)| *running.slot(key) += cm);
            running.start_ms = Some(start_ms);
        }
        speeds
    }

    /// Moves the begin of every window to the clock minute in which it begins; it never goes back.
    pub(super) fn slide_to(&mut self, newest_ms: i64) {
        for (window, running) in WINDOWS.into_iter().zip(&mut self.windows) {
            let start_ms = minute_start(window.ending(newest_ms).start_ms);
            match running.start_ms {
                Some(before) if before >= start_ms => continue,
                Some(before) => {
                    for (&key, &cm) in self.minutes.range(before..start_ms).flat_map(|m| m.1) {
                        *running.slot(key) -= cm;
                    }
                }
                None => {
                    for (&key, &cm) in self.minutes.range(start_ms..).flat_map(|m| m.1) {
                        *running.slot(key) += cm;
                    }
                }
            }
            running.start_ms = Some(start_ms);
        }
    }

    /// Drops every minute that begins before `first_kept_ms`. No window may reach back so far.
    pub(super) fn forget_before(&mut self, first_kept_ms: i64) {
        self.minutes = self.minutes.split_off(&first_kept_ms);
    }

    /// Percentiles of one segment in a live window; `None` where nothing was driven, and for a window without them.
    pub(super) fn percentiles(&self, window: Window, segment: SegmentIndex) -> Option<Percentiles> {
        let running = &self.windows[WINDOWS.iter().position(|w| *w == window)?];
        let place = running.table.get(segment.at()).filter(|place| **place > 0)?;
        percentiles(&running.spreads[*place as usize - 1])
    }
}

impl Running {
    fn holds(&self, minute_ms: i64) -> bool {
        self.start_ms.is_some_and(|start| minute_ms >= start)
    }

    fn slot(&mut self, key: u32) -> &mut u32 {
        let segment = key as usize / BINS;
        if segment >= self.table.len() {
            self.table.resize(segment + 1, 0);
        }
        if self.table[segment] == 0 {
            self.spreads.push([0; BINS]);
            self.table[segment] = self.spreads.len() as u32;
        }
        &mut self.spreads[self.table[segment] as usize - 1][key as usize % BINS]
    }
}

/// Where a contribution belongs, and how many centimetres; `None` when nothing was driven.
fn class(c: &Contribution) -> Option<(u32, u32)> {
    if c.distance_mm <= 0 || c.time_ms <= 0 {
        return None;
    }
    let bin = bin_of(c.distance_mm as f64 / c.time_ms as f64);
    Some((c.segment.0 * BINS as u32 + bin as u32, ((c.distance_mm + 5) / 10) as u32))
}

fn bin_of(speed_mps: f64) -> usize {
    let inner = (BINS - 2) as f64;
    let at = (speed_mps / SLOWEST_MPS).ln() / (FASTEST_MPS / SLOWEST_MPS).ln() * inner;
    if at < 0.0 { 0 } else { (at as usize + 1).min(BINS - 1) }
}

/// Middle of a class, m/s: as far from its lower border as from its upper one, in per cent. The slowest class is
/// told by half of its upper border, the fastest by its lower one.
fn middle(bin: usize) -> f64 {
    let border = |i: f64| SLOWEST_MPS * (FASTEST_MPS / SLOWEST_MPS).powf(i / (BINS - 2) as f64);
    match bin {
        0 => SLOWEST_MPS / 2.0,
        last if last == BINS - 1 => FASTEST_MPS,
        inner => border(inner as f64 - 0.5),
    }
}

/// The class that holds each share of the metres.
fn percentiles(spread: &Spread) -> Option<Percentiles> {
    let total: u64 = spread.iter().map(|&cm| u64::from(cm)).sum();
    if total == 0 {
        return None;
    }
    let (mut found, mut next, mut so_far) = ([0.0; SHARES.len()], 0, 0.0);
    for (bin, &cm) in spread.iter().enumerate().filter(|(_, cm)| **cm > 0) {
        so_far += f64::from(cm);
        while SHARES.get(next).is_some_and(|share| share * total as f64 <= so_far) {
            found[next] = middle(bin);
            next += 1;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drive(segment: u32, pane_ms: i64, speed_mps: f64) -> Contribution {
        let segment = SegmentIndex(segment);
        let distance_mm = 100_000;
        let time_ms = (100_000.0 / speed_mps).round() as i64;
        Contribution { segment, pane_ms, vehicle: 1, distance_mm, time_ms, events: 1 }
    }

    #[test]
    fn every_speed_is_within_two_and_a_half_percent_of_its_class() {
        for tenth in 17..360 {
            let speed = f64::from(tenth) / 10.0 + 0.01;
            assert!((middle(bin_of(speed)) / speed - 1.0).abs() < 0.0251 || speed > FASTEST_MPS, "{speed}");
        }
        assert_eq!([0.01, 1.69, 36.1, 90.0].map(bin_of), [0, 0, 63, 63]);
    }

    proptest! {
        #[test]
        fn percentiles_are_near_the_exact_ones(speeds in prop::collection::vec(1.75_f64..35.0, 1..200)) {
            let mut all = Speeds::default();
            all.slide_to(0);
            speeds.iter().for_each(|&speed| all.add(&drive(3, 0, speed)));
            let ours = all.percentiles(Window::FiveMinutes, SegmentIndex(3)).unwrap();
            let mut sorted = speeds;
            sorted.sort_by(f64::total_cmp);
            for (share, ours) in SHARES.iter().zip(ours) {
                let exact = sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1];
                prop_assert!((ours / exact - 1.0).abs() < 0.026, "{} for {}", ours, exact);
            }
            prop_assert!(ours[0] <= ours[1] && ours[1] <= ours[2]);
        }

        /// Windows while time goes on, with late ones and corrections, against a recount.
        #[test]
        fn sliding_spreads_equal_a_recount(steps in prop::collection::vec((0_u32..4, 0_i64..90, 1.0_f64..40.0, any::<bool>()), 1..150)) {
            let mut speeds = Speeds::default();
            let (mut newest_ms, mut kept): (i64, Vec<Contribution>) = (0, Vec::new());
            for (segment, late_minutes, speed, is_correction) in steps {
                newest_ms += (speed * 3_000.0) as i64;
                speeds.slide_to(newest_ms);
                let first_ms = minute_start(newest_ms - 3_660_000);
                speeds.forget_before(first_ms);
                kept.retain(|c| minute_start(c.pane_ms) >= first_ms);
                let c = drive(segment, (newest_ms - late_minutes * 40_000).max(first_ms), speed);
                speeds.add(&c);
                kept.push(c);
                if is_correction {
                    speeds.take_back(&kept.swap_remove(segment as usize % kept.len()));
                }
                for window in WINDOWS {
                    let start_ms = minute_start(window.ending(newest_ms).start_ms);
                    for segment in 0..4 {
                        let mut spread: Spread = [0; BINS];
                        for c in kept.iter().filter(|c| c.segment.0 == segment && minute_start(c.pane_ms) >= start_ms) {
                            let (key, cm) = class(c).unwrap();
                            spread[key as usize % BINS] += cm;
                        }
                        prop_assert_eq!(speeds.percentiles(window, SegmentIndex(segment)), percentiles(&spread));
                    }
                }
            }
        }
    }
}
