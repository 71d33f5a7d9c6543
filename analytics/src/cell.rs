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

/// Longest distance of one contribution that a traversal makes, millimetres: what a [`Change`] has room for.
const PART_MM_MAX: i64 = i32::MAX as i64;

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

/// One contribution that is added or taken back, packed into 32 bytes: every report makes some of them. What is taken
/// back is held as negative numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub(crate) vehicle: u64,
    pub(crate) segment: SegmentIndex,
    /// The number of the pane: its begin over its length.
    pub(crate) pane: i32,
    pub(crate) distance_mm: i32,
    pub(crate) time_ms: i32,
    pub(crate) events: i16,
    /// 1, or −1 when it is taken back.
    pub(crate) one: i16,
}

impl Change {
    /// A contribution that is added; `None` beyond 2,147 km, 24 days or 32,767 reports, either sign. A pane farther from
    /// 1970 than 680 years is the farthest, which no store keeps.
    pub fn add(c: &Contribution) -> Option<Self> {
        Self::new(c, 1)
    }

    /// The same, taken back.
    pub fn take_back(c: &Contribution) -> Option<Self> {
        Self::new(c, -1)
    }

    fn new(c: &Contribution, one: i16) -> Option<Self> {
        let narrow = |value: i64| i32::try_from(value).ok()?.checked_mul(one.into());
        let farthest = if c.pane_ms < 0 { i32::MIN } else { i32::MAX };
        Some(Self {
            vehicle: c.vehicle,
            segment: c.segment,
            pane: i32::try_from(c.pane_ms.div_euclid(PANE_MS)).unwrap_or(farthest),
            distance_mm: narrow(c.distance_mm)?,
            time_ms: narrow(c.time_ms)?,
            events: i16::try_from(c.events).ok()?.checked_mul(one)?,
            one,
        })
    }

    /// Begin of its pane, milliseconds since 1970.
    pub fn pane_ms(&self) -> i64 {
        i64::from(self.pane) * PANE_MS
    }

    /// Whether it is added.
    pub fn is_added(&self) -> bool {
        self.one > 0
    }

    /// The contribution, as it was before it was packed.
    pub fn contribution(&self) -> Contribution {
        let one = i64::from(self.one);
        Contribution {
            segment: self.segment,
            pane_ms: self.pane_ms(),
            vehicle: self.vehicle,
            distance_mm: i64::from(self.distance_mm) * one,
            time_ms: i64::from(self.time_ms) * one,
            events: i64::from(self.events) * one,
        }
    }
}

impl Traversal {
    /// Cuts the stretch at pane borders, at constant speed. The parts add up to the whole exactly, and each can be a
    /// [`Change`]: more than 2,147 km of one pane are several parts.
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
            let part = Contribution { segment: self.segment, pane_ms, vehicle, distance_mm: 0, time_ms: 0, events: 0 };
            let mut distance_mm = to_mm - from_mm;
            while distance_mm > PART_MM_MAX {
                each(Contribution { distance_mm: PART_MM_MAX, ..part });
                distance_mm -= PART_MM_MAX;
            }
            each(Contribution { distance_mm, time_ms: to_ms - from_ms, ..part });
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

    #[test]
    fn what_is_too_far_for_one_contribution_is_several() {
        let t = Traversal { segment: SegmentIndex(0), enter_ms: 0, leave_ms: 10_000, distance_mm: 5_000_000_000 };
        let parts = parts(t);
        assert_eq!(
            parts.iter().map(|c| (c.distance_mm, c.time_ms)).reduce(|a, b| (a.0 + b.0, a.1 + b.1)),
            Some((t.distance_mm, 10_000))
        );
        assert!(parts.len() == 3 && parts.iter().all(|c| Change::take_back(c).is_some()));
    }

    proptest! {
        #[test]
        fn a_change_is_its_contribution_or_none(segment in any::<u32>(), pane in -1_000_000_i64..1_000_000, vehicle in any::<u64>(), mm in -3_000_000_000_i64..3_000_000_000, ms in -3_000_000_000_i64..3_000_000_000, events in -40_000_i64..40_000) {
            let c = Contribution { segment: SegmentIndex(segment), pane_ms: pane * PANE_MS, vehicle, distance_mm: mm, time_ms: ms, events };
            let is_narrow = mm.abs() <= i64::from(i32::MAX) && ms.abs() <= i64::from(i32::MAX) && events.abs() <= i64::from(i16::MAX);
            for (change, is_added) in [(Change::add(&c), true), (Change::take_back(&c), false)] {
                prop_assert_eq!(change.map(|c| (c.contribution(), c.is_added())), is_narrow.then_some((c, is_added)));
            }
            prop_assert_eq!(size_of::<Change>(), 32);
        }

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
