//! How far somebody gets from each lane of a segment without having to change, in four bits a lane.
//!
//! Upstream: the course that a route takes over lanes. Downstream: lane changes, and where trips begin.

use serde::{Deserialize, Serialize};

/// Lanes that are told apart; those farther left are one with the last.
const LANES: u32 = 8;

/// Metres beyond the segment by level, from level 1 on; level 0 is a lane that does not lead on.
const LEVELS_M: [f32; 15] =
    [0.0, 15.0, 30.0, 50.0, 70.0, 100.0, 130.0, 170.0, 220.0, 290.0, 380.0, 500.0, 650.0, 800.0, FAR_M];

/// From here on nothing ahead matters, m.
pub(crate) const FAR_M: f32 = 1_000.0;

/// As far as anybody could want, mm.
pub(crate) const FAR_MM: i32 = 10_000_000;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach(u32);

impl Reach {
    /// Every lane will do.
    pub(crate) const ANYWHERE: Self = Self(u32::MAX);

    /// States of a lane that it leads on, and how far beyond the segment one gets from it.
    pub(crate) fn set(&mut self, lane: u8, beyond_m: f32) {
        let level = 1 + LEVELS_M.iter().rposition(|m| *m <= beyond_m).unwrap_or(0) as u32;
        let shift = shift(lane);
        self.0 = self.0 & !(15 << shift) | level << shift;
    }

    fn level(self, lane: u8) -> u32 {
        self.0 >> shift(lane) & 15
    }

    pub(crate) fn leads_on(self, lane: u8) -> bool {
        self.level(lane) > 0
    }

    /// How far beyond the segment one gets, mm; `None` from a lane that does not lead on.
    pub(crate) fn beyond_mm(self, lane: u8) -> Option<i32> {
        match self.level(lane) {
            0 => None,
            15 => Some(FAR_MM),
            level => Some((LEVELS_M[level as usize - 1] * 1_000.0) as i32),
        }
    }

    /// Whether the first so many lanes take one equally far.
    pub(crate) fn is_level(self, lanes: u8) -> bool {
        let bits = 4 * u32::from(lanes).min(LANES);
        (self.0 ^ ((self.0 & 15) * 0x1111_1111)).unbounded_shl(32 - bits) == 0
    }

    /// Whether one gets nowhere farther than from this lane.
    pub(crate) fn is_best(self, lane: u8) -> bool {
        let best = (0..LANES as u8).map(|lane| self.level(lane)).max();
        best == Some(self.level(lane))
    }
}

fn shift(lane: u8) -> u32 {
    4 * u32::from(lane).min(LANES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_says_what_was_set_for_it_rounded_down_and_nothing_of_others() {
        let mut reach = Reach::default();
        assert!((0..8).all(|lane| !reach.leads_on(lane)));
        reach.set(1, 0.0);
        reach.set(2, 199.0);
        reach.set(7, 5_000.0);
        let beyond = [0, 1, 2, 3, 7, 9].map(|lane| reach.beyond_mm(lane));
        assert_eq!(beyond, [None, Some(0), Some(170_000), None, Some(FAR_MM), Some(FAR_MM)]);
        assert!(reach.is_best(7) && !reach.is_best(2) && !reach.is_best(0));
        reach.set(7, 100.0);
        assert!(reach.is_best(2) && Reach::ANYWHERE.is_best(3));
        assert!(reach.is_level(1) && !reach.is_level(2) && Reach::ANYWHERE.is_level(8));
        reach.set(0, 7.0);
        assert!(reach.is_level(2) && !reach.is_level(3) && !reach.is_level(9), "level 1 twice, then level 8");
    }
}
