//! Signals and buses held against what really happened: the plans of the simulator, and a line of buses that is driven here.
//!
//! Upstream: [`super`]'s run of a city, whose signals were published, stored and read like everything else; [`sim::random`]
//! for the buses, since the simulator has none. Downstream: the table and the JSON of `arterial verify`.

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::matching::MatchConfig;
use analytics::{Engine, EngineConfig};
use anyhow::Context;
use events::{Event, Journey, LonLat, Position, SignalState, TimeMs};
use ingest::{Batch, Gate, GateConfig, Outcome, Pseudonyms};
use roads::Network;
use serde_json::{Value, json};
use sim::World;
use sim::random::{Stream, unit};

/// Cycle and green of one phase, seconds.
type Split = (f64, f64);

/// Fixed phases by source and number.
pub(super) type Plans = BTreeMap<(String, u16), Split>;

/// How far what is said of signals is from their plans.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SignalErrors {
    /// Phases with a fixed plan, and those of them of which a whole cycle was seen.
    pub(super) phases: usize,
    pub(super) told: usize,
    /// Greatest differences, seconds.
    pub(super) cycle_s: f64,
    pub(super) green_s: f64,
}

/// How far what is said of buses is from when they passed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BusErrors {
    pub(super) headways: u32,
    pub(super) true_headways: u32,
    pub(super) bunched: u32,
    pub(super) true_bunched: u32,
    /// Expected wait of a passenger, as told and as it was, seconds.
    pub(super) wait_s: f64,
    pub(super) true_wait_s: f64,
    /// The same beyond half of the mean headway.
    pub(super) excess_s: f64,
    pub(super) true_excess_s: f64,
}

/// The plans of all signals that nothing lengthens, as an onlooker sees them.
pub(super) fn plans(world: &World, gateway: &str) -> Plans {
    let mut plans = Plans::new();
    for signal in world.signals().iter().filter(|signal| !signal.plan.actuated) {
        let cycle_s: f64 = signal.plan.phases.iter().map(|p| f64::from(p.duration_s)).sum();
        for (group, links) in signal.groups.iter().enumerate() {
            let shown = |state| {
                let is_shown = |p: &&roads::SignalPhase| sim::signal::seen(p.links[usize::from(links[0])]) == state;
                signal.plan.phases.iter().filter(is_shown).map(|p| f64::from(p.duration_s)).sum::<f64>()
            };
            let (green_s, red_s) = (shown(SignalState::Green), shown(SignalState::Red));
            if green_s > 0.0 && red_s > 0.0 {
                let source = format!("{gateway}.signal-{}", signal.node.0);
                plans.insert((source, group as u16 + 1), (cycle_s, green_s));
            }
        }
    }
    plans
}

/// Compares what the engine says of signals with their plans.
pub(super) fn signals(plans: &Plans, engine: &Engine) -> SignalErrors {
    let figures = engine.signals().figures(i64::MIN);
    let mut errors = SignalErrors { phases: plans.len(), ..SignalErrors::default() };
    for (phase, (cycle_s, green_s)) in plans {
        let Some(found) = figures.get(phase).filter(|found| found.cycles > 0) else { continue };
        errors.told += 1;
        errors.cycle_s = errors.cycle_s.max((found.cycle_s - cycle_s).abs());
        errors.green_s = errors.green_s.max((found.green_s - green_s).abs());
    }
    errors
}

/// A line of [`BUSES`] buses over [`STOPS`] stops, every ten minutes, each stop later by up to some minutes: some catch up.
const BUSES: u64 = 24;
const STOPS: u64 = 10;
const HEADWAY_MS: f64 = 600_000.0;
const BETWEEN_STOPS_MS: f64 = 120_000.0;
const LATER_MS: f64 = 90_000.0;

/// A bus reports so often, milliseconds: every passage is told so much late at the most.
const EVERY_MS: i64 = 10_000;

/// Below this share of the mean a headway is bunched.
const BUNCHED: f64 = 0.75;

/// Drives the line of a seed and holds what is said of it against when its buses passed.
pub(super) fn buses(network: &Arc<Network>, seed: u64) -> anyhow::Result<BusErrors> {
    let start = sim::Scenario::default().start.0;
    // By bus, then by stop.
    let passages: Vec<Vec<i64>> = (0..BUSES)
        .map(|bus| {
            let mut at_ms = bus as f64 * HEADWAY_MS;
            let mut next = |stop: u64| {
                at_ms += BETWEEN_STOPS_MS + LATER_MS * (2.0 * unit(seed, bus, stop, Stream::Loss) - 1.0);
                start + at_ms as i64
            };
            (0..STOPS).map(&mut next).collect()
        })
        .collect();
    let mut reports: Vec<(i64, u64, u64)> = Vec::new();
    for (bus, passed) in passages.iter().enumerate() {
        let first = start + bus as i64 * HEADWAY_MS as i64 + (bus as i64 * 1_777) % EVERY_MS;
        let last = passed[passed.len() - 1] + 2 * EVERY_MS;
        let next_stop = |at_ms: i64| passed.partition_point(|p| *p <= at_ms) as u64;
        reports.extend((first..last).step_by(EVERY_MS as usize).map(|at_ms| (at_ms, bus as u64, next_stop(at_ms))));
    }
    reports.sort_unstable();
    let place = network.place(roads::SegmentIndex(0), 0.0);
    let found = told(network, &reports, place)?;
    Ok(against(found, &passages))
}

/// What the pipeline says of the line.
fn told(
    network: &Arc<Network>,
    reports: &[(i64, u64, u64)],
    at: LonLat,
) -> anyhow::Result<analytics::bus::LineFigures> {
    let mut engine = Engine::new(Arc::clone(network), EngineConfig::whole(MatchConfig::default()));
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([0; 32]));
    let mut batch = Batch::default();
    for (time_ms, bus, stop) in reports {
        let journey = Journey::new("line".into(), "1".into(), format!("stop {stop}"))?;
        let source = format!("bus-{bus}");
        let time = TimeMs(*time_ms);
        let report = Position { source, seq: None, time, at, speed: None, heading: None, edge: None, journey };
        let outcome = gate.event(Event::Position(report), time, &mut batch);
        anyhow::ensure!(outcome == Outcome::Accepted, "the reports of buses are sound: {outcome:?}");
    }
    engine.apply(&batch);
    let lines = engine.buses().figures(i64::MIN, 1);
    lines.into_values().next().context("a line of buses was driven and is not told")
}

/// The same by definition, from when the buses passed: overtaking included, so by stop in order of time.
fn against(found: analytics::bus::LineFigures, passages: &[Vec<i64>]) -> BusErrors {
    let (mut headways, mut bunched, mut sum_s, mut squares_s2, mut even_s2) = (0, 0, 0.0, 0.0, 0.0);
    for stop in 0..STOPS as usize {
        let mut times: Vec<i64> = passages.iter().map(|passed| passed[stop]).collect();
        times.sort_unstable();
        let apart: Vec<f64> = times.windows(2).map(|w| (w[1] - w[0]) as f64 / 1_000.0).collect();
        let stop_s: f64 = apart.iter().sum();
        let mean_s = stop_s / apart.len() as f64;
        headways += apart.len() as u32;
        bunched += apart.iter().filter(|h| **h < BUNCHED * mean_s).count() as u32;
        sum_s += stop_s;
        squares_s2 += apart.iter().map(|h| h * h).sum::<f64>();
        even_s2 += mean_s * stop_s;
    }
    let true_wait_s = squares_s2 / (2.0 * sum_s);
    BusErrors {
        headways: found.headways,
        true_headways: headways,
        bunched: found.bunched,
        true_bunched: bunched,
        wait_s: found.expected_wait_s,
        true_wait_s,
        excess_s: found.excess_wait_s,
        true_excess_s: true_wait_s - even_s2 / (2.0 * sum_s),
    }
}

impl SignalErrors {
    pub(super) fn json(&self) -> Value {
        json!({ "phases": self.phases, "told": self.told, "cycle_s_max": self.cycle_s, "green_s_max": self.green_s })
    }
}

impl BusErrors {
    pub(super) fn json(&self) -> Value {
        json!({
            "headways": self.headways, "true_headways": self.true_headways,
            "bunched": self.bunched, "true_bunched": self.true_bunched,
            "expected_wait_s": self.wait_s, "true_expected_wait_s": self.true_wait_s,
            "excess_wait_s": self.excess_s, "true_excess_wait_s": self.true_excess_s,
        })
    }
}

impl std::fmt::Display for SignalErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "signals: {} of {} phases with a fixed plan told; cycle at most {:.3} s off, green at most {:.3} s",
            self.told, self.phases, self.cycle_s, self.green_s
        )
    }
}

impl std::fmt::Display for BusErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "buses: {} headways of {}, {} bunched of {}; expected wait {:.1} s, truly {:.1} s; excess {:.1} s, truly {:.1} s \
             (a report every {} s)",
            self.headways,
            self.true_headways,
            self.bunched,
            self.true_bunched,
            self.wait_s,
            self.true_wait_s,
            self.excess_s,
            self.true_excess_s,
            EVERY_MS / 1_000
        )
    }
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;

    #[test]
    fn a_line_of_buses_is_told_as_it_was() {
        let network = Arc::new(city(&CityPlan::default()));
        for seed in [1, 2] {
            let e = buses(&network, seed).unwrap();
            assert_eq!((e.headways, e.true_headways), (e.true_headways, ((BUSES - 1) * STOPS) as u32), "{e}");
            // Reports are up to ten seconds late, headways ten minutes long.
            assert!(e.true_bunched > 5 && e.bunched.abs_diff(e.true_bunched) <= 4, "{e}");
            assert!((e.wait_s / e.true_wait_s - 1.0).abs() < 0.02 && e.true_excess_s > 1.0, "{e}");
        }
    }
}
