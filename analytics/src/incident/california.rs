//! California #7 and #8: a pair of loops, one behind the other, where occupancy is high behind and low ahead.
//!
//! Upstream: [`crate::study`] gives the intervals of loops that lie on a segment. Downstream: [`super::Alarms`].
//!
//! Payne and Tignor, Freeway incident-detection algorithms based on decision trees with states, TRR 682, 1978; the
//! thresholds are those of public code. With occupancies in per cent at time t,
//! OCCDF = up − down, OCCRDF = OCCDF / up, DOCCTD = (down(t−2) − down(t)) / down(t−2):
//!
//! - **#7**: tentative when OCCDF ≥ 8, OCCRDF ≥ 0.5 and DOCCTD ≥ 0.3; an incident when OCCRDF ≥ 0.5 still holds an
//!   interval later, and for as long as it does.
//! - **#8**: the same, but for five minutes after a compression wave (down(t) ≥ 30 and DOCCTD < −0.4) it does not begin.
//!
//! Made for freeways: a signal between two loops does every cycle what an incident does once, so expect many false
//! alarms on streets; the evaluation prints how many.

use std::collections::BTreeMap;

use roads::{Network, SegmentIndex};
use serde::{Deserialize, Serialize};

use super::{Alarm, Alarms, Algorithm};

/// Thresholds: per cent, share, share.
const OCCDF_MIN: f32 = 8.0;
const OCCRDF_MIN: f32 = 0.5;
const DOCCTD_MIN: f32 = 0.3;

/// What a compression wave is, and for how long it silences #8.
const WAVE_OCCUPANCY_MIN: f32 = 30.0;
const WAVE_DOCCTD_MAX: f32 = -0.4;
const SILENT_MS: i64 = 5 * 60_000;

/// Farthest that the loop ahead may lie, metres.
const PAIR_M_MAX: f64 = 1_000.0;

/// Loops that are remembered; readings of further ones are left out and counted.
const LOOPS_MAX: usize = 20_000;

/// The last three intervals of one loop, newest last: end and occupancy in per cent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Loop {
    last: Vec<(i64, f32)>,
}

/// Whether an incident was tentative at the last interval, and whether it is confirmed.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Stage {
    tentative: bool,
    confirmed: bool,
}

/// A pair by the segment of its loop behind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Pair {
    done_ms: i64,
    stages: [Stage; 2],
    silent_until_ms: i64,
}

/// State of all loops. Bounded by [`LOOPS_MAX`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct California {
    loops: BTreeMap<u32, Loop>,
    pairs: BTreeMap<u32, Pair>,
    left_out: u64,
}

impl California {
    /// Takes the occupancy of the loop on a segment, 0 to 1.
    pub fn reading(&mut self, segment: SegmentIndex, end_ms: i64, occupancy: f32) {
        if self.loops.len() >= LOOPS_MAX && !self.loops.contains_key(&segment.0) {
            self.left_out += 1;
            return;
        }
        let last = &mut self.loops.entry(segment.0).or_default().last;
        if last.last().is_some_and(|newest| newest.0 >= end_ms) {
            return;
        }
        if last.len() == 3 {
            last.remove(0);
        }
        last.push((end_ms, occupancy * 100.0));
    }

    /// Readings left out because of [`LOOPS_MAX`].
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Judges every pair that has a new interval of both loops; `known_ms` is when that can be told.
    pub fn judge(&mut self, network: &Network, known_ms: i64, alarms: &mut Alarms) {
        let behind: Vec<u32> = self.loops.keys().copied().collect();
        for segment in behind {
            let Some(ahead) = self.ahead(network, SegmentIndex(segment)) else { continue };
            self.pair(segment, ahead, known_ms, alarms);
        }
    }

    fn pair(&mut self, segment: u32, ahead: SegmentIndex, known_ms: i64, alarms: &mut Alarms) {
        let newest = |of: u32| self.loops.get(&of).and_then(|l| l.last.last()).copied();
        let (Some((end_ms, up)), Some((ahead_ms, down))) = (newest(segment), newest(ahead.0)) else { return };
        let before = match self.loops[&ahead.0].last.as_slice() {
            [(_, oldest), _, _] => *oldest,
            _ => return,
        };
        let pair = self.pairs.entry(segment).or_default();
        if end_ms != ahead_ms || pair.done_ms >= end_ms {
            return;
        }
        pair.done_ms = end_ms;
        let difference = up - down;
        let relative = if up > 0.0 { difference / up } else { 0.0 };
        let fall = if before > 0.0 { (before - down) / before } else { 0.0 };
        if down >= WAVE_OCCUPANCY_MIN && fall < WAVE_DOCCTD_MAX {
            pair.silent_until_ms = end_ms + SILENT_MS;
        }
        let begins = difference >= OCCDF_MIN && relative >= OCCRDF_MIN && fall >= DOCCTD_MIN;
        let is_silent = end_ms < pair.silent_until_ms;
        for (stage, algorithm) in pair.stages.iter_mut().zip([Algorithm::California7, Algorithm::California8]) {
            let goes_on = (stage.tentative || stage.confirmed) && relative >= OCCRDF_MIN;
            let may_begin = begins && !(is_silent && algorithm == Algorithm::California8);
            *stage = Stage { confirmed: goes_on, tentative: !goes_on && may_begin };
            let alarm = || Alarm {
                algorithm,
                segment: SegmentIndex(segment),
                begin_ms: known_ms,
                end_ms: None,
                speed_mps: None,
                vehicles: 0,
            };
            alarms.set(algorithm, segment, stage.confirmed, known_ms, alarm);
        }
    }

    /// The next segment with a loop, going on as straight as possible.
    fn ahead(&self, network: &Network, from: SegmentIndex) -> Option<SegmentIndex> {
        let (mut here, mut gone_m) = (from, 0.0);
        while gone_m < PAIR_M_MAX {
            let out = network.heading(here, f64::INFINITY).get();
            let bend = |to: &SegmentIndex| {
                let turn = f64::from(network.heading(*to, 0.0).get() - out).rem_euclid(360.0);
                turn.min(360.0 - turn)
            };
            here = network.successors(here).iter().copied().min_by(|a, b| bend(a).total_cmp(&bend(b)))?;
            gone_m += network.segment(here).length_m;
            if here == from {
                return None;
            }
            if self.loops.contains_key(&here.0) {
                return Some(here);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;

    /// Which of the two say "incident" after each interval of (up, down) occupancies, in per cent.
    fn said(intervals: &[(f32, f32)]) -> Vec<(bool, bool)> {
        let network = city(&CityPlan::default());
        let street = &crate::area::derive::corridors(&network)[0].segments;
        let (mut california, mut alarms) = (California::default(), Alarms::default());
        let mut all = Vec::new();
        for (i, (up, down)) in intervals.iter().enumerate() {
            let end_ms = (i as i64 + 1) * 60_000;
            california.reading(street[1], end_ms, up / 100.0);
            california.reading(street[2], end_ms, down / 100.0);
            california.judge(&network, end_ms, &mut alarms);
            let stands = |algorithm| alarms.open().any(|a| a.algorithm == algorithm && a.segment == street[1]);
            all.push((stands(Algorithm::California7), stands(Algorithm::California8)));
        }
        all
    }

    #[test]
    fn up_behind_and_down_ahead_is_confirmed_an_interval_later() {
        let calm = (10.0, 10.0);
        let said = said(&[calm, calm, calm, (30.0, 4.0), (35.0, 3.0), (35.0, 12.0), (12.0, 10.0)]);
        let both = |yes| (yes, yes);
        assert_eq!(said, [both(false), both(false), both(false), both(false), both(true), both(true), both(false)]);
    }

    #[test]
    fn a_compression_wave_silences_the_eighth_only() {
        // Occupancy ahead jumps from 15 to 35: a wave; then the pattern of an incident follows.
        let wave = [(15.0, 15.0), (15.0, 15.0), (20.0, 35.0), (40.0, 40.0), (50.0, 10.0), (50.0, 8.0)];
        assert_eq!(said(&wave)[5], (true, false));
        let same = [(15.0, 15.0), (15.0, 15.0), (20.0, 20.0), (40.0, 20.0), (50.0, 10.0), (50.0, 8.0)];
        assert_eq!(said(&same)[5], (true, true));
    }

    #[test]
    fn one_slow_interval_is_none() {
        let calm = (10.0, 10.0);
        assert!(said(&[calm, calm, calm, (30.0, 4.0), calm, calm]).iter().all(|s| *s == (false, false)));
    }
}
