//! The store against what it stands for: sums of contributions, in any order, taken back, folded, and sliding.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::cell::pane_start;

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

    /// The live windows while time goes on, with late ones, corrections, folding, forgetting, and a restart, settled
    /// or not, against a recount.
    #[test]
    fn sliding_windows_equal_a_recount(steps in prop::collection::vec((any_contribution(), 0_i64..60, 0_u8..8), 1..200)) {
        let mut store = PaneStore::with_windows(FREE_MPS);
        let (mut newest_ms, mut kept): (i64, Vec<Contribution>) = (0, Vec::new());
        for (c, late_panes, what) in steps {
            let pane_ms = (newest_ms - late_panes * 10_000).max(0);
            let c = Contribution { pane_ms: pane_start(pane_ms), ..c };
            if store.add(&c) {
                kept.push(c);
            }
            if what & 1 == 1 {
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
            if what & 2 == 2 {
                store.settle();
            }
            if what == 7 {
                store = saved_and_loaded(&store);
            }
            let first_ms = kept.iter().map(|c| c.pane_ms).min().unwrap_or(0);
            for window in Window::ALL {
                let span = window.ending(newest_ms);
                let inside = kept.iter().filter(|c| c.pane_ms >= span.start_ms);
                let span = Span { start_ms: span.start_ms.max(first_ms), ..span };
                prop_assert_eq!(store.totals(span, &FREE_MPS), recount(inside), "{:?}", window);
            }
        }
    }

    /// Windows by adding and subtracting are windows added up, after any number of ticks.
    #[test]
    fn settled_windows_say_what_panes_say(all in prop::collection::vec(any_contribution(), 1..200), newest in 0_i64..600, fold in any::<bool>()) {
        let mut store = PaneStore::with_windows(FREE_MPS);
        let mut sorted = all.clone();
        sorted.sort_by_key(|c| c.pane_ms);
        for c in &sorted {
            prop_assert!(store.add(c));
            store.slide_to(c.pane_ms);
            store.settle();
        }
        let newest_ms = sorted.last().unwrap().pane_ms.max(newest * 10_000);
        store.slide_to(newest_ms);
        if fold {
            store.fold_before(newest_ms - 360_000);
        }
        store.settle();
        for window in Window::ALL {
            let span = window.ending(newest_ms);
            prop_assert_eq!(store.totals(span, &FREE_MPS), filled(&all).totals(span, &FREE_MPS));
        }
    }

    /// When another free flow is learnt, the live windows are held against it, and are ready all the same.
    #[test]
    fn another_free_flow_holds_from_then_on(all in prop::collection::vec(any_contribution(), 1..100), free_mps in 2.0_f64..40.0) {
        let (mut store, mut sorted, free_mps) = (PaneStore::with_windows(FREE_MPS), all.clone(), [free_mps; 40]);
        sorted.sort_by_key(|c| c.pane_ms);
        let half = sorted.len() / 2;
        for (i, c) in sorted.iter().enumerate() {
            if i == half {
                store.settle();
                store.hold_against(&free_mps);
            }
            prop_assert!(store.add(c));
            store.slide_to(c.pane_ms);
        }
        store.settle();
        for window in Window::ALL {
            let span = window.ending(sorted[sorted.len() - 1].pane_ms);
            let totals = store.shared_totals(span, &free_mps);
            prop_assert_eq!(&*totals, &filled(&all).totals(span, &free_mps));
            prop_assert!(Arc::ptr_eq(&totals, &store.shared_totals(span, &free_mps)), "added up anew");
        }
    }

    /// min ≤ harmonic ≤ arithmetic ≤ max of the speeds driven, by metres; and a zone is the sum of its segments.
    #[test]
    fn means_lie_where_means_lie(all in prop::collection::vec(any_contribution(), 1..200)) {
        let all: Vec<_> = all.into_iter().filter(|c| c.distance_mm > 0).collect();
        let totals = filled(&all).totals(Span { start_ms: 0, end_ms: 4_799_999 }, &FREE_MPS);
        for (row, &segment) in totals.segment.iter().enumerate() {
            let mine = all.iter().filter(|c| c.segment.0 == segment);
            let speeds: Vec<(f64, f64)> = mine.map(|c| (c.distance_mm as f64, c.distance_mm as f64 / c.time_ms as f64)).collect();
            let arithmetic = speeds.iter().map(|s| s.0 * s.1).sum::<f64>() / speeds.iter().map(|s| s.0).sum::<f64>();
            let least = speeds.iter().map(|s| s.1).fold(f64::INFINITY, f64::min);
            let most = speeds.iter().map(|s| s.1).fold(0.0, f64::max);
            let harmonic = totals.distance_m[row] / totals.time_s[row];
            let slack = 1.0 + 1e-12;
            prop_assert!(least <= harmonic * slack && harmonic <= arithmetic * slack && arithmetic <= most * slack);
        }
        let metres: f64 = totals.distance_m.iter().sum();
        let seconds: f64 = totals.time_s.iter().sum();
        prop_assert!((metres - all.iter().map(|c| c.distance_mm).sum::<i64>() as f64 / 1e3).abs() < 1e-6);
        prop_assert!((seconds - all.iter().map(|c| c.time_ms).sum::<i64>() as f64 / 1e3).abs() < 1e-6);
    }

    /// Cut anywhere and added up in any order: the same cells and the same bytes.
    #[test]
    fn any_order_gives_the_same_bytes(all in prop::collection::vec(any_contribution(), 0..200), turn in 0_usize..200, take in 0_usize..50) {
        let fill = |all: &[Contribution]| {
            let mut store = PaneStore::with_windows(FREE_MPS);
            assert!(all.iter().all(|c| store.add(c)));
            assert!(all.iter().rev().take(take).all(|c| store.add(c) && store.take_back(c)));
            store.slide_to(4_800_000);
            store.fold_before(4_440_000);
            store
        };
        let mut turned = all.clone();
        turned.rotate_left(turn % all.len().max(1));
        turned.reverse();
        let (one, other) = (fill(&all), fill(&turned));
        prop_assert_eq!(one.sorted_rows(), other.sorted_rows());
        prop_assert_eq!(bytes(&one), bytes(&other));
        saved_and_loaded(&one);
    }
}

/// A window that was added to and subtracted from for 100,000 ticks is the window added up anew.
#[test]
fn a_hundred_thousand_ticks_leave_nothing_behind() {
    let mut store = PaneStore::with_windows(FREE_MPS);
    let mut recent = std::collections::VecDeque::new();
    for second in 0..100_000_u64 {
        let dice = (second * 1_000_003).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let now_ms = second as i64 * 1_000;
        let c = Contribution {
            segment: SegmentIndex((dice % 40) as u32),
            pane_ms: pane_start((now_ms - (dice >> 9) as i64 % 200_000).max(0)),
            vehicle: dice >> 7 & 15,
            distance_mm: (dice >> 5) as i64 % 30_000,
            time_ms: 1 + (dice >> 11) as i64 % 2_000,
            events: 1,
        };
        assert_eq!(store.apply(&[Change::add(&c).unwrap()]), 0);
        recent.push_back(c);
        if dice & 7 == 0 {
            let taken = recent.remove(recent.len() / 2).unwrap();
            assert_eq!(store.apply(&[Change::take_back(&taken).unwrap()]), 0);
        }
        if recent.len() > 4_200 {
            recent.pop_front();
        }
        store.slide_to(now_ms);
        store.fold_before(now_ms - 360_000);
        store.forget_before(now_ms - 3_690_000);
        store.settle();
    }
    for window in Window::ALL {
        let span = window.ending(99_999_000);
        let inside = recent.iter().filter(|c| c.pane_ms >= span.start_ms);
        assert_eq!(store.totals(span, &FREE_MPS), recount(inside), "{window:?}");
    }
}

fn bytes(store: &PaneStore) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.save(&mut bytes);
    bytes
}

/// The store after a restart; it has to give the same bytes again, and to leave what follows it alone.
fn saved_and_loaded(store: &PaneStore) -> PaneStore {
    let mut saved = bytes(store);
    saved.push(17);
    let mut from = &saved[..];
    let loaded = PaneStore::load(&mut from, FREE_MPS).unwrap();
    assert_eq!(from, [17]);
    assert_eq!(bytes(&loaded), saved[..saved.len() - 1]);
    assert_eq!(loaded.sorted_rows(), store.sorted_rows());
    loaded
}

/// Totals from the contributions themselves, by their definitions.
fn recount<'a>(inside: impl Iterator<Item = &'a Contribution>) -> Totals {
    let mut cells: BTreeMap<(u32, i64), Sum> = BTreeMap::new();
    let mut vehicles: BTreeSet<(u32, u64)> = BTreeSet::new();
    for c in inside {
        cells.entry((c.segment.0, minute_start(c.pane_ms))).or_default().merge(Sum::of(c));
        vehicles.insert((c.segment.0, c.vehicle));
    }
    let mut totals = Totals::default();
    for segment in cells.keys().map(|key| key.0).collect::<BTreeSet<_>>() {
        let of: Vec<Sum> = cells.range((segment, i64::MIN)..=(segment, i64::MAX)).map(|c| *c.1).collect();
        let free_mps = FREE_MPS[segment as usize];
        totals.segment.push(segment);
        totals.distance_m.push(of.iter().map(|s| s.distance_mm).sum::<i64>() as f64 / 1_000.0);
        totals.time_s.push(of.iter().map(|s| s.time_ms).sum::<i64>() as f64 / 1_000.0);
        totals.events.push(of.iter().map(|s| s.events).sum());
        totals.delay_s.push(of.iter().map(|s| s.delay_ns(free_mps)).sum::<i64>() as f64 / 1e9);
        totals.vehicles.push(vehicles.range((segment, 0)..=(segment, u64::MAX)).count() as u64);
    }
    totals.vehicles_everywhere = vehicles.iter().map(|v| v.1).collect::<BTreeSet<_>>().len() as u64;
    totals
}

#[test]
fn bytes_of_another_network_or_none_are_refused() {
    let saved = bytes(&filled(&[contribution(30, 0, 7)]));
    assert!(matches!(PaneStore::load(&mut &saved[..], [13.9; 30]), Err(SavedError::OtherNetwork { segment: 30, .. })));
    assert!(matches!(PaneStore::load(&mut &[9, 9][..], FREE_MPS), Err(SavedError::Version(9))));
    for cut in 0..saved.len() {
        assert!(PaneStore::load(&mut &saved[..cut], FREE_MPS).is_err(), "{cut}");
    }
}
