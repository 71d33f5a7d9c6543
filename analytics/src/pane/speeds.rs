//! How speeds are spread: for every segment the metres driven in each of 64 classes of speed.
//!
//! Upstream: [`super::PaneStore`]. Weighted by distance, so that each vehicle that drives a segment from end to end
//! counts once whatever time it takes: the harmonic mean of this spread is the space-mean speed, and its percentiles
//! are those of vehicles, not of reports. Who stands drives no metre and is not in it.
//!
//! Classes add and subtract exactly, so the windows slide by whole clock minutes without counting anything again: a
//! minute is added to every window when it is over (`speeds/minute.rs`) and taken from it when the window has passed it.
//! What a window's percentiles are is worked out again for the segments about which something changed only.

mod minute;
mod spread;

use std::collections::BTreeMap;

use roads::SegmentIndex;

use super::touched::Touched;
use crate::cell::{Change, PANE_MS};
use crate::metric::window::{MINUTE_MS, Window, minute_start};
use minute::{Entry, Filling, Halves, Packed, Packer, Said};
use spread::{BINS, Borders, Classes, NO_CLASS, Spread};

/// Windows with percentiles: over a single minute there are too few vehicles.
pub(super) const WINDOWS: [Window; 3] = [Window::FiveMinutes, Window::FifteenMinutes, Window::OneHour];

/// Segments whose lines of memory are asked for together.
const AHEAD: usize = 16;

/// Panes of a clock minute.
const MINUTE_PANES: i32 = (MINUTE_MS / PANE_MS) as i32;

/// One window: a spread for each segment that was driven since the store was made.
#[derive(Debug, Default)]
struct Running {
    start_ms: Option<i64>,
    /// Of the minutes that are over.
    over: Halves,
    /// By segment, as of the last [`Speeds::settle`].
    classes: Vec<Classes>,
}

/// Speeds by clock minute, and the windows over them.
#[derive(Debug, Default)]
pub(super) struct Speeds {
    borders: Borders,
    /// Two of them at most between two slides of a stream in order.
    filling: Vec<(i64, Filling)>,
    over: BTreeMap<i64, Packed>,
    /// Minutes that begin before this are over.
    over_before_ms: Option<i64>,
    windows: [Running; WINDOWS.len()],
    touched: Touched,
    /// Kept for its memory.
    sorted: Vec<Said>,
}

/// The 15th, 50th and 85th percentile of speed, m/s.
pub type Percentiles = [f64; 3];

impl Speeds {
    /// Adds a contribution, or takes it back.
    #[inline]
    pub(super) fn change(&mut self, change: &Change) {
        let (distance_mm, time_ms) = (change.distance_mm.unsigned_abs(), change.time_ms.unsigned_abs());
        // Where the signs differ from that of the change, it was no drive.
        let is_drive = i32::from(change.one) * change.distance_mm > 0 && i32::from(change.one) * change.time_ms > 0;
        if !is_drive {
            return;
        }
        let bin = self.borders.bin_of(f64::from(distance_mm) / f64::from(time_ms));
        let (segment, cm) = (change.segment.at(), ((distance_mm + 5) / 10).wrapping_mul(i32::from(change.one) as u32));
        let minute_ms = i64::from(change.pane.div_euclid(MINUTE_PANES)) * MINUTE_MS;
        self.touched.set(segment);
        if self.over_before_ms.is_some_and(|over| minute_ms < over) {
            self.over.entry(minute_ms).or_default().add((change.segment.0, bin as u8, cm));
            for window in self.windows.iter_mut().filter(|w| w.holds(minute_ms)) {
                window.add((change.segment.0, bin as u8, cm));
            }
            return;
        }
        let at = self.filling.iter().rposition(|f| f.0 == minute_ms).unwrap_or_else(|| {
            let next = self.filling.last().map_or_else(Filling::default, |last| Filling::like(&last.1));
            self.filling.push((minute_ms, next));
            self.filling.len() - 1
        });
        self.filling[at].1.say(segment, bin, cm, &mut self.sorted);
    }

    /// Packs the minutes that begin before `limit_ms`.
    pub(super) fn close_before(&mut self, limit_ms: i64) {
        self.filling.sort_by_key(|f| f.0);
        while self.filling.first().is_some_and(|f| f.0 < limit_ms) {
            let (minute_ms, mut filling) = self.filling.remove(0);
            filling.settle(&mut self.sorted);
            let mut packer = Packer::default();
            filling.each(|segment, spread| {
                packer.put_spread(segment, spread);
                self.windows
                    .iter_mut()
                    .filter(|w| w.holds(minute_ms))
                    .for_each(|w| w.over.merge(segment as usize, spread));
            });
            self.over.insert(minute_ms, packer.packed());
        }
        self.over_before_ms = self.over_before_ms.max(Some(limit_ms));
    }

    /// Moves the begin of every window to the clock minute in which it begins; it never goes back.
    pub(super) fn slide_to(&mut self, newest_ms: i64) {
        let Self { over, windows, touched, .. } = self;
        for (window, running) in WINDOWS.into_iter().zip(windows) {
            let start_ms = minute_start(window.ending(newest_ms).start_ms);
            let (passed, is_first) = match running.start_ms {
                Some(before) if before >= start_ms => continue,
                Some(before) => (before..start_ms, false),
                None => (start_ms..i64::MAX, true),
            };
            for minute in over.range(passed).map(|m| m.1) {
                minute.each(|(segment, bin, cm)| {
                    touched.set(segment as usize);
                    running.add((segment, bin, if is_first { cm } else { cm.wrapping_neg() }));
                });
            }
            running.start_ms = Some(start_ms);
        }
    }

    /// Drops every minute that begins before `first_kept_ms`. No window may reach back so far.
    pub(super) fn forget_before(&mut self, first_kept_ms: i64) {
        self.over = self.over.split_off(&first_kept_ms);
        self.filling.retain(|f| f.0 >= first_kept_ms);
    }

    /// Works the percentiles out for the segments about which something changed.
    pub(super) fn settle(&mut self) {
        self.filling.iter_mut().for_each(|f| f.1.settle(&mut self.sorted));
        let touched: Vec<usize> = std::mem::take(&mut self.touched).iter().collect();
        for some in touched.chunks(AHEAD) {
            self.ask_for(some);
            for &segment in some {
                for at in 0..WINDOWS.len() {
                    let classes = self.classes(at, segment);
                    let known = &mut self.windows[at].classes;
                    if segment >= known.len() {
                        known.resize(segment + 1, [NO_CLASS; 3]);
                    }
                    known[segment] = classes;
                }
            }
        }
    }

    /// Reads a little of all that is asked of these segments soon: a segment is ten lines of memory apart from each other,
    /// and waiting for those of several overlaps.
    fn ask_for(&self, segments: &[usize]) {
        let spreads = self.windows.iter().map(|w| &w.over).chain(self.filling.iter().map(|f| f.1.said()));
        let read = spreads.flat_map(|spread| segments.iter().map(|&segment| spread.peek(segment)));
        std::hint::black_box(read.fold(0, |all, one| all ^ one));
    }

    /// Percentiles of one segment in a live window; `None` where nothing was driven, and for a window without them.
    pub(super) fn percentiles(&self, window: Window, segment: SegmentIndex) -> Option<Percentiles> {
        let at = WINDOWS.iter().position(|w| *w == window)?;
        let classes = if self.touched.has(segment.at()) {
            self.classes(at, segment.at())
        } else {
            self.windows[at].classes.get(segment.at()).copied().unwrap_or([NO_CLASS; 3])
        };
        (classes[0] != NO_CLASS).then(|| classes.map(|bin| self.borders.middle_mps(bin)))
    }

    /// Minutes that begin before this are over.
    pub(super) fn over_before_ms(&self) -> Option<i64> {
        self.over_before_ms
    }

    /// Every minute, oldest first: what is driven in it, in order of segment and class.
    pub(super) fn minutes(&self) -> BTreeMap<i64, Vec<Entry>> {
        let mut all: BTreeMap<i64, Vec<Entry>> = self.over.iter().map(|m| (*m.0, m.1.entries())).collect();
        for (minute_ms, filling) in &self.filling {
            let mut filling = filling.clone();
            filling.settle(&mut Vec::new());
            filling.each(|segment, spread| {
                let classes = spread.iter().enumerate().filter(|of| *of.1 != 0);
                let entries = all.entry(*minute_ms).or_default();
                entries.extend(classes.map(|(bin, &cm)| (segment, bin as u8, cm)));
            });
        }
        all
    }

    /// The same speeds again; the windows have not begun yet.
    pub(super) fn from_minutes(minutes: BTreeMap<i64, Vec<Entry>>, over_before_ms: Option<i64>) -> Self {
        let mut speeds = Self { over_before_ms, ..Self::default() };
        for (minute_ms, entries) in minutes {
            if over_before_ms.is_some_and(|over| minute_ms < over) {
                speeds.over.insert(minute_ms, Packed::new(&entries));
                continue;
            }
            let mut filling = Filling::default();
            for (segment, bin, cm) in entries {
                speeds.touched.set(segment as usize);
                filling.say(segment as usize, usize::from(bin) % BINS, cm, &mut Vec::new());
            }
            speeds.filling.push((minute_ms, filling));
        }
        speeds
    }

    /// What each share of the metres is in, in one window.
    fn classes(&self, at: usize, segment: usize) -> Classes {
        let running = &self.windows[at];
        let mut spread: Spread = [0; BINS];
        running.over.add_to(segment, &mut spread);
        let filling = self.filling.iter().filter(|f| running.holds(f.0));
        filling.for_each(|f| f.1.add_to(segment, &mut spread));
        spread::classes(&spread)
    }
}

impl Running {
    fn holds(&self, minute_ms: i64) -> bool {
        self.start_ms.is_some_and(|start| minute_ms >= start)
    }

    fn add(&mut self, (segment, bin, cm): Entry) {
        self.over.add(segment as usize, usize::from(bin), cm);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cell::Contribution;

    fn added(c: &Contribution) -> Change {
        Change::add(c).unwrap()
    }

    fn drive(segment: u32, pane_ms: i64, speed_mps: f64) -> Contribution {
        let segment = SegmentIndex(segment);
        let distance_mm = 100_000;
        let time_ms = (100_000.0 / speed_mps).round() as i64;
        Contribution { segment, pane_ms, vehicle: 1, distance_mm, time_ms, events: 1 }
    }

    proptest! {
        #[test]
        fn percentiles_are_near_the_exact_ones(speeds in prop::collection::vec(1.75_f64..35.0, 1..200)) {
            let mut all = Speeds::default();
            all.slide_to(0);
            speeds.iter().for_each(|&speed| all.change(&added(&drive(3, 0, speed))));
            let ours = all.percentiles(Window::FiveMinutes, SegmentIndex(3)).unwrap();
            let mut sorted = speeds;
            sorted.sort_by(f64::total_cmp);
            for (share, ours) in [0.15, 0.50, 0.85].into_iter().zip(ours) {
                let exact = sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1];
                prop_assert!((ours / exact - 1.0).abs() < 0.026, "{} for {}", ours, exact);
            }
            prop_assert!(ours[0] <= ours[1] && ours[1] <= ours[2]);
        }

        /// Windows while time goes on, with late ones and corrections, settled or not, against a recount.
        #[test]
        fn sliding_spreads_equal_a_recount(steps in prop::collection::vec((0_u32..4, 0_i64..90, 1.0_f64..40.0, any::<bool>(), any::<bool>()), 1..150)) {
            let mut speeds = Speeds::default();
            let (mut newest_ms, mut kept): (i64, Vec<Contribution>) = (0, Vec::new());
            for (segment, late_minutes, speed, is_correction, settles) in steps {
                newest_ms += (speed * 3_000.0) as i64;
                speeds.close_before(minute_start(newest_ms - 20_000));
                speeds.slide_to(newest_ms);
                let first_ms = minute_start(newest_ms - 3_660_000);
                speeds.forget_before(first_ms);
                kept.retain(|c| minute_start(c.pane_ms) >= first_ms);
                let c = drive(segment, (newest_ms - late_minutes * 40_000).max(first_ms), speed);
                speeds.change(&added(&c));
                kept.push(c);
                if is_correction {
                    let taken = kept.swap_remove(segment as usize % kept.len());
                    speeds.change(&Change::take_back(&taken).unwrap());
                }
                if settles {
                    speeds.settle();
                }
                for window in WINDOWS {
                    let start_ms = minute_start(window.ending(newest_ms).start_ms);
                    for segment in 0..4 {
                        let mut spread: Spread = [0; BINS];
                        for c in kept.iter().filter(|c| c.segment.0 == segment && minute_start(c.pane_ms) >= start_ms) {
                            let bin = speeds.borders.bin_of(c.distance_mm as f64 / c.time_ms as f64);
                            spread[bin] += ((c.distance_mm + 5) / 10) as u32;
                        }
                        let classes = spread::classes(&spread);
                        let exact = (classes[0] != NO_CLASS).then(|| classes.map(|bin| speeds.borders.middle_mps(bin)));
                        prop_assert_eq!(speeds.percentiles(window, SegmentIndex(segment)), exact);
                    }
                }
            }
        }
    }
}
