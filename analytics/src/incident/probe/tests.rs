use roads::generate::{CityPlan, city};

use super::*;

/// A segment of a street that goes on, and one minute after another of (metres, seconds) by pane.
struct Run {
    network: Network,
    at: SegmentIndex,
    probes: Probes,
    alarms: Alarms,
    end_ms: i64,
}

impl Run {
    fn new() -> Self {
        let network = city(&CityPlan::default());
        let at = crate::area::derive::corridors(&network)[0].segments[3];
        let probes = Probes::new(network.segments().len());
        Self { network, at, probes, alarms: Alarms::default(), end_ms: 0 }
    }

    /// Adds a pane; says whether each algorithm sees an incident.
    fn pane(&mut self, distance_m: f64, time_s: f64) -> [bool; 2] {
        self.beside(distance_m, time_s, 0.0)
    }

    /// The same with so many vehicle-seconds on the segment ahead.
    fn beside(&mut self, distance_m: f64, time_s: f64, ahead_s: f64) -> [bool; 2] {
        self.end_ms += 10_000;
        let mut rows = vec![(self.at, distance_m, time_s)];
        rows.extend(self.network.successors(self.at).iter().map(|to| (*to, 0.0, ahead_s)));
        rows.retain(|row| row.2 > 0.0);
        rows.sort_by_key(|row| row.0);
        let mut pane = Totals::default();
        for (at, distance_m, time_s) in rows {
            pane.segment.push(at.0);
            pane.distance_m.push(distance_m);
            pane.time_s.push(time_s);
        }
        self.probes.pane(&self.network, self.end_ms, self.end_ms, &pane, &mut self.alarms);
        [Algorithm::ProbeBlock, Algorithm::ProbeSpeedDrop]
            .map(|algorithm| self.alarms.open().any(|a| a.algorithm == algorithm && a.segment == self.at))
    }

    /// An hour and more with a signal: three vehicles come, stand for half a minute and go on.
    fn learn(&mut self) {
        for _ in 0..60 {
            for (distance_m, time_s) in
                [(90.0, 20.0), (60.0, 30.0), (0.0, 30.0), (0.0, 30.0), (100.0, 20.0), (80.0, 10.0)]
            {
                assert_eq!(self.pane(distance_m, time_s), [false; 2]);
            }
        }
        for _ in 0..60 {
            self.pane(90.0, 10.0);
        }
    }
}

/// What a closed lane looks like: one arrives every twenty seconds, nobody leaves.
fn closed() -> impl Iterator<Item = (f64, f64)> {
    (0..30).map(|i| if i % 2 == 0 { (40.0, 7.0 + 5.0 * f64::from(i)) } else { (0.0, 10.0 + 5.0 * f64::from(i)) })
}

#[test]
fn a_closed_street_is_found_within_two_minutes() {
    let mut run = Run::new();
    run.learn();
    let found: Vec<[bool; 2]> = closed().map(|(d, t)| run.pane(d, t)).collect();
    let panes = found.iter().position(|f| f[0]).unwrap() + 1;
    assert!((HOLD_PANES_MIN as usize..=12).contains(&panes), "{panes} panes");
    let alarm = run.alarms.open().find(|a| a.algorithm == Algorithm::ProbeBlock).copied().unwrap();
    assert!(alarm.speed_mps.unwrap() < 1.5 && alarm.vehicles >= 2);
    for _ in 0..14 {
        run.pane(300.0, 25.0);
    }
    assert_eq!(run.pane(300.0, 25.0), [false; 2], "it is over");
}

#[test]
fn a_tenth_of_the_usual_speed_is_a_drop() {
    let mut run = Run::new();
    (0..600).for_each(|i| assert_eq!(run.pane(90.0 + f64::from(i % 3), 10.0), [false; 2]));
    let found: Vec<bool> = (0..24).map(|_| run.pane(10.0, 20.0)[1]).collect();
    assert!(!found[..7].contains(&true) && found[23], "after two slow minutes: {found:?}");
}

#[test]
fn nothing_is_said_in_the_first_hour() {
    let mut run = Run::new();
    assert!(closed().all(|(d, t)| run.pane(d, t) == [false; 2]));
}

#[test]
fn a_queue_from_ahead_is_no_incident_here() {
    let mut run = Run::new();
    run.learn();
    let meta = run.network.segment(run.at);
    let full_s = meta.length_m * f64::from(meta.lanes) / 7.5 * 10.0;
    assert!(closed().all(|(d, t)| !run.beside(d, t, full_s)[0]));
}

#[test]
fn what_is_usual_here_is_learnt() {
    let mut run = Run::new();
    // A crossing that stays shut for two minutes every ten.
    for _ in 0..12 {
        for i in 0..60 {
            let (d, t) = if i < 12 { (5.0, 20.0 + 4.0 * f64::from(i)) } else { (90.0, 10.0) };
            let found = run.pane(d, t);
            assert!(!found[0], "in the first hour, or learnt in it");
        }
    }
}

#[test]
fn a_long_queue_from_the_stop_line_is_no_incident() {
    let mut run = Run::new();
    run.learn();
    let length_m = run.network.segment(run.at).length_m;
    // Twelve panes of red: whoever comes drives up to the one before.
    for i in 0..12 {
        let drives_m = length_m - 9.0 * f64::from(i / 2);
        let (d, t) = if i % 2 == 0 { (drives_m, 10.0 + 5.0 * f64::from(i)) } else { (0.0, 10.0 + 5.0 * f64::from(i)) };
        assert!(!run.pane(d, t)[0], "pane {i}");
    }
}
