//! The cell: one road segment during one pane of event time, and how a drive is cut into cells.
//!
//! Upstream: [`crate::matching`] gives traversals. Downstream: [`crate::pane`] adds the contributions up.
//!
//! Distance is whole millimetres and time whole milliseconds, so sums are exact in any order and taking a
//! contribution back leaves no trace. Edie's generalised definitions (L. C. Edie, "Discussion of traffic
//! stream measurements and definitions", 1963) make flow, density and space-mean speed of any sum of cells.

use roads::SegmentIndex;

/// Length of a pane, milliseconds of event time.
pub const PANE_MS: i64 = 10_000;

/// Beginning of the pane that holds a moment, milliseconds since 1970.
pub fn pane_start(time_ms: i64) -> i64 {
    time_ms.div_euclid(PANE_MS) * PANE_MS
}

/// A stretch of one vehicle's drive on one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traversal {
    pub segment: SegmentIndex,
    pub enter_ms: i64,
    /// Not before `enter_ms`.
    pub leave_ms: i64,
    pub distance_mm: i64,
}

/// What one vehicle adds to one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contribution {
    pub segment: SegmentIndex,
    /// Beginning of the pane, milliseconds since 1970.
    pub pane_ms: i64,
    pub vehicle: u64,
    pub distance_mm: i64,
    pub time_ms: i64,
    /// Position reports that fell into the cell.
    pub events: i64,
}

/// One contribution and whether it is added or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Add(Contribution),
    TakeBack(Contribution),
}

impl Change {
    /// The contribution, and 1 where it is added, −1 where it is taken back.
    pub(crate) fn signed(&self) -> (&Contribution, i32) {
        match self {
            Self::Add(c) => (c, 1),
            Self::TakeBack(c) => (c, -1),
        }
    }
}

impl Traversal {
    /// Cuts the stretch at pane borders, at constant speed. The parts add up to the whole exactly.
    pub fn contributions(self, vehicle: u64, mut each: impl FnMut(Contribution)) {
        let duration_ms = self.leave_ms - self.enter_ms;
        let done_mm = |at_ms: i64| {
            if duration_ms == 0 {
                return self.distance_mm;
            }
            let share = i128::from(self.distance_mm) * i128::from(at_ms - self.enter_ms) / i128::from(duration_ms);
            i64::try_from(share).expect("a share of an i64 fits")
        };
        let (mut from_ms, mut from_mm) = (self.enter_ms, 0);
        loop {
            let pane_ms = pane_start(from_ms);
            let to_ms = (pane_ms + PANE_MS).min(self.leave_ms);
            let to_mm = done_mm(to_ms);
            each(Contribution {
                segment: self.segment,
                pane_ms,
                vehicle,
                distance_mm: to_mm - from_mm,
                time_ms: to_ms - from_ms,
                events: 0,
            });
            if to_ms >= self.leave_ms {
                return;
            }
            (from_ms, from_mm) = (to_ms, to_mm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(t: Traversal) -> Vec<Contribution> {
        let mut parts = Vec::new();
        t.contributions(7, |c| parts.push(c));
        parts
    }

    #[test]
    fn a_drive_over_a_pane_border_is_cut_by_time() {
        let t = Traversal { segment: SegmentIndex(0), enter_ms: 8_000, leave_ms: 12_000, distance_mm: 40_001 };
        let cut: Vec<_> = parts(t).iter().map(|c| (c.pane_ms, c.distance_mm, c.time_ms)).collect();
        assert_eq!(cut, [(0, 20_000, 2_000), (10_000, 20_001, 2_000)]);
    }

    #[test]
    fn an_instant_keeps_its_distance() {
        let t = Traversal { segment: SegmentIndex(0), enter_ms: 10_000, leave_ms: 10_000, distance_mm: 5 };
        assert_eq!(parts(t).len(), 1);
        assert_eq!(parts(t)[0].distance_mm, 5);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_stay_in_their_panes(enter in 0_i64..10_000_000, took in 0_i64..200_000, mm in 0_i64..10_000_000) {
            let t = Traversal { segment: SegmentIndex(3), enter_ms: enter, leave_ms: enter + took, distance_mm: mm };
            let parts = parts(t);
            prop_assert_eq!(parts.iter().map(|c| c.distance_mm).sum::<i64>(), mm);
            prop_assert_eq!(parts.iter().map(|c| c.time_ms).sum::<i64>(), took);
            prop_assert!(parts.iter().all(|c| c.distance_mm >= 0 && c.time_ms <= PANE_MS && c.pane_ms % PANE_MS == 0));
            prop_assert!(parts.windows(2).all(|w| w[0].pane_ms + PANE_MS == w[1].pane_ms));
        }
    }
}
