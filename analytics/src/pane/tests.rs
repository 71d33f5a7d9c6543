//! The store against what it stands for: sums of contributions, in any order, taken back, folded, and sliding.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const FREE_MPS: [f64; 40] = [12.5; 40];

fn contribution(segment: u32, pane_ms: i64, vehicle: u64) -> Contribution {
    let segment = SegmentIndex(segment);
    Contribution { segment, pane_ms, vehicle, distance_mm: 1_000, time_ms: 500, events: 1 }
}

fn any_contribution() -> impl Strategy<Value = Contribution> {
    (0_u32..40, 0_i64..480, 0_u64..9, 0_i64..100_000, 1_i64..10_000).prop_map(
        |(segment, pane, vehicle, distance_mm, time_ms)| Contribution {
            segment: SegmentIndex(segment),
            pane_ms: pane * 10_000,
            vehicle,
            distance_mm,
            time_ms,
            events: 1,
        },
    )
}

fn filled(contributions: &[Contribution]) -> PaneStore {
    let mut store = PaneStore::default();
    assert!(contributions.iter().all(|c| store.add(c)));
    store
}

#[test]
fn vehicles_are_counted_once_however_many_panes_they_cross() {
    let store =
        filled(&[contribution(1, 0, 7), contribution(1, 10_000, 7), contribution(1, 10_000, 8), contribution(2, 0, 7)]);
    let totals = store.totals(Span { start_ms: 0, end_ms: 19_999 }, &FREE_MPS);
    assert_eq!((totals.segment, totals.vehicles, totals.vehicles_everywhere), (vec![1, 2], vec![2, 1], 2));
    assert_eq!(store.totals(Span { start_ms: 0, end_ms: 9_999 }, &FREE_MPS).vehicles_everywhere, 1);
}

#[test]
fn forgotten_panes_refuse_and_kept_ones_do_not() {
    let mut store = filled(&[contribution(1, 0, 7), contribution(1, 10_000, 7)]);
    assert!(store.forget_before(9_999));
    assert_eq!(store.sorted_rows().len(), 2);
    assert!(store.forget_before(10_000));
    assert_eq!(store.sorted_rows().len(), 1);
    assert!(!store.add(&contribution(1, 0, 9)));
    assert!(store.take_back(&contribution(1, 10_000, 7)));
    assert!(store.sorted_rows().is_empty());
    assert!(!store.forget_before(5_000), "forgetting never goes back");
    assert!(!store.add(&contribution(1, 0, 9)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn taking_back_leaves_no_trace(all in prop::collection::vec(any_contribution(), 0..200), n in 0_usize..200) {
        let n = n.min(all.len());
        let mut both = filled(&all);
        prop_assert!(all[n..].iter().all(|c| both.take_back(c)));
        prop_assert_eq!(both.sorted_rows(), filled(&all[..n]).sorted_rows());
        let span = Span { start_ms: 0, end_ms: 4_799_999 };
        prop_assert_eq!(both.totals(span, &FREE_MPS), filled(&all[..n]).totals(span, &FREE_MPS));
    }

    /// Folded or not, corrected before or after: the totals over whole minutes stay, to the bit.
    #[test]
    fn folding_loses_nothing(all in prop::collection::vec(any_contribution(), 1..300), n in 0_usize..300, at in 0_i64..4_800_000) {
        let n = n.min(all.len());
        let mut folded = filled(&all);
        folded.fold_before(at);
        prop_assert!(all[n..].iter().all(|c| folded.take_back(c)));
        prop_assert!(all[n..].iter().all(|c| folded.add(c)));
        prop_assert!(all[..n].iter().all(|c| folded.take_back(c)));
        let plain = filled(&all[n..]);
        for start_ms in [0, 60_000, 2_400_000] {
            let span = Span { start_ms, end_ms: 4_799_999 };
            prop_assert_eq!(folded.totals(span, &FREE_MPS), plain.totals(span, &FREE_MPS));
        }
    }

    /// The live windows while time goes on, with late ones, corrections, folding and forgetting, against a recount.
    #[test]
    fn sliding_counts_equal_a_recount(steps in prop::collection::vec((any_contribution(), 0_i64..60, any::<bool>()), 1..200)) {
        let mut store = PaneStore::default();
        let (mut newest_ms, mut kept): (i64, Vec<Contribution>) = (0, Vec::new());
        for (c, late_panes, is_correction) in steps {
            let pane_ms = (newest_ms - late_panes * 10_000).max(0);
            let c = Contribution { pane_ms: pane_start(pane_ms), ..c };
            if store.add(&c) {
                kept.push(c);
            }
            if is_correction {
                let taken = kept.swap_remove(c.segment.at() % kept.len());
                prop_assert!(store.take_back(&taken));
            }
            newest_ms += c.time_ms * 7;
            store.slide_to(newest_ms);
            store.fold_before(newest_ms - 360_000);
            if store.forget_before(newest_ms - 3_660_000) {
                let first = minute_start(newest_ms - 3_660_000);
                kept.retain(|c| c.pane_ms >= first);
            }
            for (i, window) in Window::ALL.into_iter().enumerate() {
                let start_ms = window.ending(newest_ms).start_ms;
                let inside: BTreeSet<(u32, u64)> =
                    kept.iter().filter(|c| c.pane_ms >= start_ms).map(|c| (c.segment.0, c.vehicle)).collect();
                let counts = store.visitors.window(i).unwrap();
                for segment in 0..40 {
                    let n = inside.iter().filter(|v| v.0 == segment).count();
                    prop_assert_eq!(counts.on(SegmentIndex(segment)) as usize, n, "{:?} of {}", window, segment);
                }
                let first_ms = kept.iter().map(|c| c.pane_ms).min().unwrap_or(0);
                let span = Span { start_ms: start_ms.max(first_ms), end_ms: newest_ms };
                let totals = store.totals(span, &FREE_MPS);
                let driven: i64 = kept.iter().filter(|c| c.pane_ms >= start_ms).map(|c| c.time_ms).sum();
                prop_assert!((totals.time_s.iter().sum::<f64>() - driven as f64 / 1_000.0).abs() < 1e-6);
                let everywhere: BTreeSet<u64> = inside.iter().map(|v| v.1).collect();
                prop_assert_eq!(counts.everywhere() as usize, everywhere.len());
                prop_assert_eq!(totals.vehicles_everywhere as usize, everywhere.len());
            }
        }
    }
}
