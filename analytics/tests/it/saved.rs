//! State of signals, buses and loops, written down in the middle and read back: the rest gives the same.

use analytics::bus::{Buses, Schedule};
use analytics::detector::{Detectors, Reading, Site};
use analytics::signal::{Actuation, Signals, Wiring};
use events::{Journey, SignalState};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The same state by way of bytes.
fn saved<T: Serialize + DeserializeOwned>(state: &T) -> T {
    postcard::from_bytes(&postcard::to_stdvec(state).unwrap()).unwrap()
}

/// Feeds `0..n` in one go, and again with the state saved at every step of `0..n`; both must end the same.
fn check<T: Serialize + DeserializeOwned>(new: impl Fn() -> T, n: i64, mut feed: impl FnMut(&mut T, i64)) {
    let (mut whole, mut broken) = (new(), new());
    for at in 0..n {
        feed(&mut whole, at);
        feed(&mut broken, at);
        if at % 37 == 0 {
            broken = saved(&broken);
        }
    }
    assert_eq!(postcard::to_stdvec(&whole).unwrap(), postcard::to_stdvec(&broken).unwrap());
}

#[test]
fn signals_go_on_where_they_were() {
    let wiring = Wiring::parse("device,channel,phase,function\nj,1,2,advance\nj,2,2,presence\n").unwrap();
    check(
        || Signals::new(wiring.clone(), 5),
        600,
        |signals, at| {
            let state = [SignalState::Red, SignalState::Green, SignalState::Yellow][at as usize % 3];
            signals.change("j", 2, at * 20_000, state);
            signals.interval("j.1", Some(Actuation { on_ms: at * 20_000 + 3_000, off_ms: Some(at * 20_000 + 3_400) }));
            let off_ms = (at % 4 != 0).then_some(at * 20_000 + 9_000);
            signals.interval("j.2", Some(Actuation { on_ms: at * 20_000 + 1_000, off_ms }));
        },
    );
}

#[test]
fn buses_go_on_where_they_were() {
    check(
        || Buses::new(Schedule::default()),
        400,
        |buses, at| {
            let next_stop = format!("H{}", at / 10 % 7);
            let journey = Journey::new("550".into(), "1".into(), next_stop).unwrap().unwrap();
            buses.observe(at as u64 % 5, at * 17_000, &journey);
        },
    );
}

#[test]
fn loops_go_on_where_they_were() {
    check(
        || Detectors::new(3_600),
        1_000,
        |detectors, at| {
            let reading = Reading {
                start_ms: at * 300_000,
                end_ms: (at + 1) * 300_000,
                count: Some((at % 9) as u32),
                occupancy: Some((at % 11) as f32 / 50.0),
                speed_mps: Some(10.0 + (at % 5) as f32),
            };
            detectors.apply("a", reading, || Site { free_mps: 14.0, segment: None });
        },
    );
}
