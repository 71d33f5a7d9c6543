//! What one tick publishes of signals, buses and detectors, and how it is encoded.
//!
//! Upstream: [`crate::engine`] at every tick. Downstream: [`crate::http`] (`/api/v1/signals`, `/api/v1/buses`,
//! `/api/v1/detectors`), [`crate::export`].

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::bus::{BusCounts, Line, LineFigures};
use crate::detector::{Figures, Oddities};
use crate::engine::Engine;
use crate::fusion::{Fused, fuse};
use crate::metric::window::Window;
use crate::signal::{Cycle, SignalCounts};
use crate::snapshot::{K_LIVE, Snapshot};

/// Figures of signals are over the cycles that ended in so much event time behind the newest event, milliseconds.
const SIGNAL_WINDOW_MS: i64 = 15 * 60_000;

/// Figures of buses are over the passages of so much event time, milliseconds: a line has few in an hour.
const BUS_WINDOW_MS: i64 = 60 * 60_000;

/// A detector's newest interval is published for so long behind the newest event, milliseconds: three intervals of the
/// longest usual length.
pub(crate) const DETECTOR_FRESH_MS: i64 = 15 * 60_000;

/// Most phases whose cycles, and lines whose stops, are published one by one; of all there are the sums.
const PUBLISHED_MAX: usize = 2_000;

/// A phase of a signal.
#[derive(Clone, Debug)]
pub struct Phase {
    pub signal: String,
    pub phase: u16,
    pub figures: crate::signal::Figures,
    pub cycles: Vec<Cycle>,
}

/// Signals, buses and detectors at one tick.
#[derive(Clone, Debug, Default)]
pub struct Roadside {
    pub phases: Vec<Phase>,
    pub phases_left_out: usize,
    pub signal_counts: SignalCounts,
    pub lines: BTreeMap<Line, LineFigures>,
    pub lines_left_out: usize,
    pub bus_counts: BusCounts,
    pub detectors: BTreeMap<String, Figures>,
    pub oddities: Oddities,
    /// Segments on which probes and loops speak, over five minutes.
    pub fused: Vec<Fused>,
}

impl Roadside {
    /// What an engine holds now; counters only when it is stale, since its figures are not those of now.
    pub fn of(engine: &Engine, five_minutes: Option<&Snapshot>, stale: bool) -> Self {
        let counts = Self {
            signal_counts: engine.signals().counts(),
            bus_counts: engine.buses().counts(),
            oddities: engine.detectors().oddities(),
            ..Self::default()
        };
        let Some(newest_ms) = engine.newest_of_all_ms().filter(|_| !stale) else { return counts };
        let mut phases = engine.signals().figures(newest_ms - SIGNAL_WINDOW_MS);
        let phases_left_out = phases.len().saturating_sub(PUBLISHED_MAX);
        let mut lines = engine.buses().figures(newest_ms - BUS_WINDOW_MS, K_LIVE as usize);
        let lines_left_out = lines.len().saturating_sub(PUBLISHED_MAX);
        while lines.len() > PUBLISHED_MAX {
            lines.pop_last();
        }
        while phases.len() > PUBLISHED_MAX {
            phases.pop_last();
        }
        let phases = phases.into_iter().map(|((signal, phase), figures)| {
            let cycles = engine.signals().cycles_of(&signal, phase, newest_ms - SIGNAL_WINDOW_MS);
            Phase { signal, phase, figures, cycles }
        });
        let fused = five_minutes.and_then(|snapshot| Some((snapshot, snapshot.span?)));
        Self {
            phases: phases.collect(),
            phases_left_out,
            lines,
            lines_left_out,
            detectors: engine.detectors().figures(newest_ms - DETECTOR_FRESH_MS),
            fused: fused.map(|(s, span)| fuse(&s.segments, engine.detectors(), span)).unwrap_or_default(),
            ..counts
        }
    }

    /// The answer of `/api/v1/signals`: every phase; with its cycles, and the arrivals of each as points of the Purdue
    /// coordination diagram, for the signal that was asked for.
    pub fn signals_json(&self, signal: Option<&str>) -> Value {
        let wanted = self.phases.iter().filter(|phase| signal.is_none_or(|name| phase.signal == name));
        let phases: Vec<Value> = wanted
            .map(|phase| {
                let cycles = || phase.cycles.iter().map(cycle_json).collect::<Vec<_>>();
                json!({
                    "signal": phase.signal,
                    "phase": phase.phase,
                    "figures": phase.figures,
                    "cycles": signal.map(|_| cycles()),
                })
            })
            .collect();
        json!({
            "window_s": SIGNAL_WINDOW_MS / 1_000,
            "phases": phases,
            "phases_left_out": self.phases_left_out,
            "counts": self.signal_counts,
        })
    }

    /// The answer of `/api/v1/buses`.
    pub fn buses_json(&self) -> Value {
        let lines = self
            .lines
            .iter()
            .map(|(line, figures)| json!({ "route": line.route, "direction": line.direction, "figures": figures }));
        json!({
            "window_s": BUS_WINDOW_MS / 1_000,
            "k": K_LIVE,
            "lines": lines.collect::<Vec<_>>(),
            "lines_left_out": self.lines_left_out,
            "counts": self.bus_counts,
        })
    }

    /// The answer of `/api/v1/detectors`.
    pub fn detectors_json(&self) -> Value {
        let detectors = self.detectors.iter().map(|(name, d)| {
            json!({
                "detector": name,
                "segment_index": d.segment.map(|segment| segment.0),
                "start_ms": d.start_ms,
                "end_ms": d.end_ms,
                "flow_veh_per_h": d.flow_veh_per_h,
                "occupancy": d.occupancy,
                "speed_mps": d.speed_mps,
                "is_speed_measured": d.is_speed_measured,
                "space_mean_speed_mps": d.space_mean_speed_mps,
                "density_veh_per_km": d.density_veh_per_km,
                "effective_length_m": d.effective_length_m,
                "is_length_learnt": d.is_length_learnt,
                "health": d.verdict.map(crate::detector::Verdict::name),
                "is_unusual": d.is_unusual,
                "oddities": oddities_json(&d.oddities, true),
            })
        });
        json!({
            "detectors": detectors.collect::<Vec<_>>(),
            "oddities": oddities_json(&self.oddities, false),
            "fused": { "window_s": Window::FiveMinutes.seconds(), "segments": self.fused },
        })
    }
}

fn cycle_json(cycle: &Cycle) -> Value {
    let points: Vec<Value> = cycle
        .arrivals
        .iter()
        .map(|a| json!([f64::from(a.offset_ms) / 1_000.0, a.on.map(crate::signal::Shown::name)]))
        .collect();
    json!({
        "start_ms": cycle.start_ms, "green_ms": cycle.green_ms, "yellow_ms": cycle.yellow_ms, "end_ms": cycle.end_ms,
        "is_whole": cycle.is_whole, "delay_s": cycle.delay_ms as f64 / 1_000.0,
        "split": cycle.split.map(|s| json!({
            "green_occupancy": s.green_occupancy, "red_occupancy": s.red_occupancy, "is_failure": s.is_failure(),
        })),
        "arrivals": points,
    })
}

/// Counts by name; those of 0 are left out where there are many detectors.
fn oddities_json(oddities: &Oddities, seen_only: bool) -> Value {
    let mut counts: serde_json::Map<String, Value> = oddities
        .iter()
        .filter(|(_, n)| !seen_only || *n > 0)
        .map(|(oddity, n)| (oddity.name().to_owned(), n.into()))
        .collect();
    counts.insert("intervals_missing".into(), oddities.intervals_missing.into());
    counts.into()
}
