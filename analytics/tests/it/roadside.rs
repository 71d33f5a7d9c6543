//! What a tick publishes of signals, buses and loops, from events through the gate.

use std::sync::Arc;

use analytics::bus::Schedule;
use analytics::roadside::Roadside;
use analytics::signal::Wiring;
use analytics::{Engine, EngineConfig};
use events::{DetectorInterval, Event, Journey, LonLat, Position, SignalChange, SignalState, TimeMs};
use ingest::{Batch, Gate, GateConfig, Outcome, Pseudonyms};
use roads::generate::{CityPlan, city};

/// Beginning of everything here, milliseconds since 1970.
const START_MS: i64 = 1_700_000_000_000;

fn time(s: i64) -> TimeMs {
    TimeMs(START_MS + s * 1_000)
}

fn change(s: i64, state: SignalState) -> Event {
    Event::Signal(SignalChange { source: "j1".into(), seq: None, time: time(s), phase: 2, state })
}

fn actuation(channel: &str, on_s: i64, off_s: i64) -> Event {
    interval(channel, on_s, off_s, Some(1), Some(1.0))
}

fn interval(source: &str, start_s: i64, end_s: i64, count: Option<u32>, occupancy: Option<f32>) -> Event {
    let (start, end) = (time(start_s), time(end_s));
    Event::Detector(DetectorInterval {
        source: source.into(),
        seq: None,
        start,
        end,
        at: None,
        count,
        occupancy,
        speed: None,
    })
}

fn bus(vehicle: i64, s: i64, next_stop: &str, at: LonLat) -> Event {
    let journey = Journey::new("550".into(), "1".into(), next_stop.into()).unwrap();
    let (speed, heading, edge) = (None, None, None);
    Event::Position(Position {
        source: format!("bus-{vehicle}"),
        seq: None,
        time: time(s),
        at,
        speed,
        heading,
        edge,
        journey,
    })
}

fn engine(events: Vec<Event>) -> Engine {
    let wiring = Wiring::parse("device,channel,phase,function\nj1,1,2,advance\nj1,2,2,presence\n").unwrap();
    let schedule = Schedule::parse("route,direction,headway_s\n550,1,300\n").unwrap();
    let mut engine =
        Engine::new(Arc::new(city(&CityPlan::default())), EngineConfig { wiring, schedule, ..EngineConfig::live() });
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([7; 32]));
    let mut batch = Batch::default();
    for event in events {
        let received = event.time();
        assert_eq!(gate.event(event, received, &mut batch), Outcome::Accepted);
    }
    // All in one batch: its tables are apart, and what belongs together finds together by time.
    engine.apply(&batch);
    engine
}

#[test]
fn signals_buses_and_loops_of_one_batch_are_published() {
    let at = city(&CityPlan::default()).place(roads::SegmentIndex(0), 1.0);
    let mut events = Vec::new();
    for cycle in 0..4 {
        let s = cycle * 60;
        events.extend([
            change(s, SignalState::Red),
            change(s + 20, SignalState::Green),
            change(s + 50, SignalState::Yellow),
        ]);
        events.extend([actuation("j1.1", s + 10, s + 12), actuation("j1.1", s + 30, s + 31)]);
        // Covered from the red on to five seconds into the next.
        events.push(actuation("j1.2", s + 15 + 1, s + 65));
        events.push(interval("loop-9", s, s + 60, Some(0), Some(0.0)));
    }
    events.push(change(240, SignalState::Red));
    events.push(actuation("j1.1", 250, 251));
    for (vehicle, s) in [(1, 0), (2, 100), (3, 800)] {
        events.extend([bus(vehicle, s, "A", at), bus(vehicle, s + 30, "B", at)]);
    }
    let engine = engine(events);
    let published = Roadside::of(&engine, None, false);

    let signals = published.signals_json(Some("j1"));
    let phase = &signals["phases"][0];
    let f = &phase["figures"];
    assert_eq!((&f["cycles"], &f["cycle_s"], &f["green_s"]), (&4.into(), &60.0.into(), &30.0.into()), "{signals}");
    assert_eq!((&f["arrivals"], &f["arrivals_on_green"], &f["delay_s"]), (&8.into(), &4.into(), &40.0.into()));
    assert_eq!(f["split_failures"], 4, "{f}");
    assert_eq!(phase["cycles"][0]["arrivals"], serde_json::json!([[10.0, "red"], [30.0, "green"]]));
    assert!(published.signals_json(None)["phases"][0]["cycles"].is_null());

    let buses = published.buses_json();
    let line = &buses["lines"][0];
    assert_eq!((&line["route"], &line["figures"]["headways"]), (&"550".into(), &2.into()), "{buses}");
    // 100 s is under 225, 700 s over 450.
    assert_eq!((&line["figures"]["bunched"], &line["figures"]["gaps"]), (&1.into(), &1.into()));
    assert_eq!(line["figures"]["basis"], "schedule");

    let detectors = published.detectors_json();
    let names: Vec<_> = detectors["detectors"].as_array().unwrap().iter().map(|d| &d["detector"]).collect();
    assert_eq!(names, ["loop-9"], "a signal's detectors are actuations and no statistics");
    assert_eq!(detectors["oddities"]["nothing_passed"], 4);

    let stale = Roadside::of(&engine, None, true);
    assert!(stale.phases.is_empty() && stale.lines.is_empty() && stale.detectors.is_empty());
    assert_eq!(stale.signal_counts, published.signal_counts, "counters stay");
}
