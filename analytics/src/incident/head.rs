//! Incidents by where the first of the standing vehicles stands: at a red light at the stop line, before a closure short of it.
//!
//! Upstream: [`crate::matching`] tells at every border of panes where each vehicle is and whether it stands, [`crate::study`]
//! keeps that until the pane is looked at. Downstream: [`super::Alarms`].
//!
//! **`probe-head`.** Of all vehicles that stand on a segment the **head** is the one nearest to its end. Someone who stands
//! there with nobody ahead and [`CLEAR_M`] of free road up to the stop line has a reason of his own: at a red light the head is
//! at the line, and in a queue that dissolves it is there for some seconds only. A segment is **suspect** while the head is short
//! of the end like that, has not moved by [`SAME_M`] and nobody is seen ahead of it. An alarm is raised when it is suspect for
//! [`PANES_ALONE`] panes, for [`PANES_QUEUED`] where others have stopped behind, and for longer than [`LEARNT_FACTOR`] times
//! the longest that it was ever suspect there without an alarm: people who are set down, deliveries, and lanes that end have
//! their places. What was learnt fades by 2 % a day. It needs a single vehicle, so it is as good on quiet streets; it does not
//! see what happens within [`CLEAR_M`] of the stop line, nor a lane that is closed beside one that is not.
//!
//! **`probe-fused`.** One of `probe-head` and `probe-block`.

use std::collections::BTreeMap;

use roads::{Network, SegmentIndex};
use serde::{Deserialize, Serialize};

use super::probe::LEARN_MS;
use super::{Alarm, Alarms, Algorithm};
use crate::cell::PANE_MS;

/// Free road ahead of the head from which it does not stand at the line, metres: two vehicles and a gap.
const CLEAR_M: f32 = 20.0;

/// A head that is this near to where it was is the same, metres.
const SAME_M: f32 = 4.0;

/// Panes that it must stand: alone, and with others behind it.
const PANES_ALONE: u16 = 5;
const PANES_QUEUED: u16 = 3;

/// By how much that must exceed the longest one that was learnt, and what is left of it after each day.
const LEARNT_FACTOR: f32 = 1.5;
const FADE_A_DAY: f32 = 0.98;
const DAY_MS: i64 = 24 * 3_600_000;

/// Panes that can wait to be looked at; what is farther ahead is left out and counted.
const PANES_WAITING_MAX: usize = 64;

/// Where a vehicle was at the border between two panes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// End of the pane, milliseconds since 1970.
    pub end_ms: i64,
    pub segment: u32,
    pub offset_m: f32,
    /// It has not moved for most of the pane.
    pub stands: bool,
}

/// What was seen on a segment at a border.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Front {
    /// Of those that stand, and of those that move: the one nearest to the end, metres from the begin; below 0 if there is none.
    head_m: f32,
    mover_m: f32,
    standing: u32,
}

/// One segment with somebody who stands.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Street {
    head_m: f32,
    /// Panes for which the same head has been suspect.
    suspect: u16,
    is_blocked: bool,
}

/// All segments. Bounded: one street and one learnt hold a segment, and [`PANES_WAITING_MAX`] panes of what was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Heads {
    /// By end of pane, then by segment.
    waiting: BTreeMap<i64, BTreeMap<u32, Front>>,
    streets: BTreeMap<u32, Street>,
    /// Longest time for which a segment was suspect without an alarm, panes.
    learnt: BTreeMap<u32, f32>,
    done_ms: i64,
    watched_ms: i64,
    left_out: u64,
}

impl Heads {
    /// The same at the begin of another recording: what is usual stays, what was going on does not.
    #[must_use]
    pub fn on_another_day(self) -> Self {
        Self { learnt: self.learnt, watched_ms: self.watched_ms, ..Self::default() }
    }

    /// Takes what the matcher saw.
    pub fn see(&mut self, seen: &Seen) {
        if seen.end_ms <= self.done_ms {
            return;
        }
        if self.waiting.len() >= PANES_WAITING_MAX && !self.waiting.contains_key(&seen.end_ms) {
            self.left_out += 1;
            return;
        }
        let nobody = Front { head_m: -1.0, mover_m: -1.0, standing: 0 };
        let front = self.waiting.entry(seen.end_ms).or_default().entry(seen.segment).or_insert(nobody);
        if seen.stands {
            front.head_m = front.head_m.max(seen.offset_m);
            front.standing += 1;
        } else {
            front.mover_m = front.mover_m.max(seen.offset_m);
        }
    }

    /// What was left out because of [`PANES_WAITING_MAX`].
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Judges a pane; `known_ms` is when its alarms could be raised.
    pub fn pane(&mut self, network: &Network, end_ms: i64, known_ms: i64, alarms: &mut Alarms) {
        if end_ms.div_euclid(DAY_MS) != self.done_ms.div_euclid(DAY_MS) {
            self.learnt.values_mut().for_each(|panes| *panes *= FADE_A_DAY);
        }
        self.watched_ms += PANE_MS;
        let may_raise = self.watched_ms > LEARN_MS;
        let seen = self.waiting.remove(&end_ms).unwrap_or_default();
        self.waiting = self.waiting.split_off(&(end_ms + 1));
        self.done_ms = end_ms;
        let mut streets = std::mem::take(&mut self.streets);
        for (segment, front) in seen.iter().filter(|(_, front)| front.standing > 0) {
            let length_m = network.segment(SegmentIndex(*segment)).length_m as f32;
            let street = streets.entry(*segment).or_default();
            let is_same = street.suspect > 0 && (front.head_m - street.head_m).abs() <= SAME_M;
            let is_suspect = length_m - front.head_m >= CLEAR_M && front.mover_m <= front.head_m + SAME_M;
            if !is_same || !is_suspect {
                self.let_go(*segment, street, known_ms, alarms);
            }
            if is_suspect {
                street.suspect = street.suspect.saturating_add(1);
            }
            street.head_m = front.head_m;
            let needed = if front.standing > 1 { PANES_QUEUED } else { PANES_ALONE };
            let learnt = self.learnt.get(segment).copied().unwrap_or(0.0);
            let is_long = street.suspect >= needed && f32::from(street.suspect) > LEARNT_FACTOR * learnt;
            street.is_blocked |= may_raise && is_long;
            let is_blocked = street.is_blocked;
            let alarm = || alarm(*segment, known_ms, front.standing);
            alarms.set(Algorithm::ProbeHead, *segment, is_blocked, known_ms, alarm);
        }
        streets.retain(|segment, street| {
            let stands = seen.get(segment).is_some_and(|front| front.standing > 0);
            if !stands {
                self.let_go(*segment, street, known_ms, alarms);
            }
            stands
        });
        self.streets = streets;
    }

    /// The head has gone on: what it was short of an alarm is usual there.
    fn let_go(&mut self, segment: u32, street: &mut Street, at_ms: i64, alarms: &mut Alarms) {
        if street.is_blocked {
            alarms.set(Algorithm::ProbeHead, segment, false, at_ms, || alarm(segment, at_ms, 0));
        } else if street.suspect > 0 {
            let longest = self.learnt.entry(segment).or_default();
            *longest = longest.max(f32::from(street.suspect));
        }
        *street = Street::default();
    }
}

fn alarm(segment: u32, begin_ms: i64, standing: u32) -> Alarm {
    Alarm {
        algorithm: Algorithm::ProbeHead,
        segment: SegmentIndex(segment),
        begin_ms,
        end_ms: None,
        speed_mps: Some(0.0),
        vehicles: u64::from(standing),
    }
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;

    /// Whether an alarm stands after each pane; each is a list of (metres before the end of segment 3, stands).
    fn said(panes: &[&[(f32, bool)]]) -> Vec<bool> {
        let network = city(&CityPlan::default());
        let length_m = network.segment(SegmentIndex(3)).length_m as f32;
        let mut heads = Heads { watched_ms: LEARN_MS, ..Heads::default() };
        let mut alarms = Alarms::default();
        let mut said = Vec::new();
        for (i, pane) in panes.iter().enumerate() {
            let end_ms = (i as i64 + 1) * PANE_MS;
            for &(before_m, stands) in *pane {
                heads.see(&Seen { end_ms, segment: 3, offset_m: length_m - before_m, stands });
            }
            heads.pane(&network, end_ms, end_ms + 10_000, &mut alarms);
            said.push(alarms.open().any(|a| a.algorithm == Algorithm::ProbeHead));
        }
        said
    }

    #[test]
    fn who_stands_short_of_the_line_is_found_and_a_red_light_is_not() {
        let alone: &[(f32, bool)] = &[(50.0, true)];
        assert_eq!(said(&[alone; 7]), [false, false, false, false, true, true, true]);
        let two: &[(f32, bool)] = &[(50.0, true), (58.0, true)];
        assert_eq!(said(&[two, two, two, &[]]), [false, false, true, false]);
        let red: &[(f32, bool)] = &[(1.0, true), (8.0, true), (50.0, true)];
        assert!(said(&[red; 12]).iter().all(|alarm| !alarm));
    }

    #[test]
    fn who_drives_ahead_and_a_head_that_moves_are_none() {
        let passed: &[(f32, bool)] = &[(50.0, true), (10.0, false)];
        assert!(said(&[passed; 12]).iter().all(|alarm| !alarm));
        let creeping: Vec<Vec<(f32, bool)>> = (0..8).map(|i| vec![(90.0 - 5.0 * i as f32, true)]).collect();
        let creeping: Vec<&[(f32, bool)]> = creeping.iter().map(Vec::as_slice).collect();
        assert!(said(&creeping).iter().all(|alarm| !alarm));
    }

    #[test]
    fn what_was_usual_there_is_no_alarm() {
        let stop: &[(f32, bool)] = &[(50.0, true)];
        let four = [stop; 4];
        let mut panes: Vec<&[(f32, bool)]> = four.to_vec();
        panes.push(&[]);
        panes.extend([stop; 8]);
        let said = said(&panes);
        // Learnt: four panes; so it takes more than six.
        assert_eq!(said.iter().position(|alarm| *alarm), Some(4 + 1 + 6));
    }
}
