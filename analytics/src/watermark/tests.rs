//! The watermark never falls, nobody's clock pushes it, and nobody who is silent holds it up.

use proptest::prelude::*;

use super::*;

use SourceClass::{Detector, Position, Signal};

const T0: i64 = 1_700_000_000_000;

/// An event that arrives half a second after its stamp.
fn live(marks: &mut Watermarks, class: SourceClass, source: u64, time_ms: i64) -> Arrival {
    marks.see(class, source, time_ms, time_ms + 500, Some(120_000))
}

/// An event of a recording whose receive clock is that of today.
fn old(marks: &mut Watermarks, source: u64, time_ms: i64) -> Arrival {
    marks.see(Position, source, time_ms, time_ms + 1_000_000_000, Some(120_000))
}

#[test]
fn lateness_is_seen_from_the_class() {
    let mut marks = Watermarks::default();
    assert_eq!(live(&mut marks, Position, 1, T0), Arrival::InTime);
    assert_eq!(live(&mut marks, Position, 2, T0 - LAG_MS), Arrival::InTime);
    assert_eq!(live(&mut marks, Position, 2, T0 - LAG_MS - 1), Arrival::Behind);
    assert_eq!(live(&mut marks, Position, 2, T0 - LAG_MS - 120_000), Arrival::Behind);
    assert_eq!(live(&mut marks, Position, 2, T0 - LAG_MS - 120_001), Arrival::Late);
    assert_eq!(live(&mut marks, Detector, 1, T0 - 300_000), Arrival::InTime, "loops have a time of their own");
    assert_eq!(marks.see(Position, 2, T0 - 1_000_000, T0, None), Arrival::Behind, "without a bound nothing is late");
}

#[test]
fn the_slowest_busy_class_decides_and_an_idle_one_does_not() {
    let mut marks = Watermarks::default();
    live(&mut marks, Detector, 1, T0);
    assert_eq!(marks.lowest_ms(), Some(T0 - LAG_MS));
    live(&mut marks, Position, 1, T0 + 40_000);
    assert_eq!(marks.lowest_ms(), Some(T0 - LAG_MS), "the loops are 40 s behind");
    assert!(!marks.is_idle(Detector) && marks.is_idle(Signal));
    live(&mut marks, Position, 1, T0 + IDLE_MS + 1);
    assert_eq!(marks.lowest_ms(), Some(T0 + IDLE_MS + 1 - LAG_MS), "the loops are silent");
    live(&mut marks, Detector, 1, T0 + 20_000);
    assert_eq!(marks.lowest_ms(), Some(T0 + IDLE_MS + 1 - LAG_MS), "it does not fall when they come back");
}

#[test]
fn a_wrong_clock_in_a_recording_is_not_believed_and_a_pause_of_all_is() {
    let mut marks = Watermarks::default();
    for k in 0..i64::from(RUN_FIRST) {
        assert_eq!((marks.front_ms(Position), old(&mut marks, k as u64, T0 + k)), (None, Arrival::InTime));
    }
    assert_eq!(marks.front_ms(Position), Some(T0));
    for k in 0..10_000 {
        assert_eq!(old(&mut marks, 99, T0 + 7_200_000 + k), Arrival::Ahead);
        assert_eq!(old(&mut marks, 98, T0 + 600_000 + k), Arrival::InTime, "near enough to be kept");
        old(&mut marks, k as u64 % 90, T0 + k);
    }
    assert_eq!(marks.front_ms(Position), Some(T0 + 9_999));
    // A night without anybody, then many again.
    let morning = T0 + 8 * 3_600_000;
    let fates: Vec<_> = (0..100).map(|k| old(&mut marks, k % 7, morning + k as i64)).collect();
    assert_eq!(fates.iter().filter(|f| **f == Arrival::Ahead).count(), RUN_SEVERAL as usize - 1);
    assert_eq!(marks.front_ms(Position), Some(morning + 99));
    // And one alone, who needs more.
    let noon = T0 + 12 * 3_600_000;
    for k in 0..i64::from(RUN_ONE) - 1 {
        old(&mut marks, 5, noon + k);
    }
    assert_eq!(marks.front_ms(Position), Some(morning + 99));
    old(&mut marks, 5, noon + 1_000);
    assert_eq!(marks.front_ms(Position), Some(noon));
}

#[test]
fn the_first_event_of_a_recording_may_have_the_wrong_clock() {
    let mut marks = Watermarks::default();
    for k in 0..200 {
        old(&mut marks, k as u64 % 10, if k % 10 == 0 { T0 + 3_000_000 } else { T0 + k });
    }
    assert_eq!(marks.front_ms(Position), Some(T0 + 199));
}

proptest! {
    /// Property 7: never falls, a stamp from the future does not move it, an idle class does not hold it up.
    #[test]
    fn it_never_falls_is_not_pushed_and_not_held(
        events in prop::collection::vec((0_usize..3, 0_u64..5, 0_i64..400_000, 0_i64..200_000, prop::bool::weighted(0.2), any::<bool>()), 1..300),
    ) {
        let mut marks = Watermarks::default();
        let mut now_ms = T0;
        for (class, source, delay_ms, passed_ms, is_ahead, is_vouched) in events {
            now_ms += passed_ms / 100;
            let class = SourceClass::ALL[class];
            let before = marks.clone();
            let received_ms = if is_vouched || is_ahead { now_ms } else { now_ms + 1_000_000_000 };
            let time_ms = if is_ahead { now_ms + AHEAD_MS_MAX + 1 + delay_ms } else { now_ms - delay_ms };
            let arrival = marks.see(class, source, time_ms, received_ms, Some(120_000));
            if is_ahead {
                prop_assert_eq!(arrival, Arrival::Ahead);
                prop_assert_eq!(&marks, &before);
            }
            prop_assert!(marks.lowest_ms() >= before.lowest_ms());
            for class in SourceClass::ALL {
                prop_assert!(marks.of(class) >= before.of(class));
                prop_assert!(marks.front_ms(class).is_none_or(|front| front <= now_ms), "nobody is ahead of the clock");
            }
            let most_ms = SourceClass::ALL.into_iter().filter_map(|c| marks.front_ms(c)).max();
            prop_assert!(marks.lowest_ms() >= most_ms.map(|most| most - IDLE_MS - LAG_MS));
            prop_assert!(marks.lowest_ms() <= most_ms.map(|most| most - LAG_MS));
        }
    }
}
