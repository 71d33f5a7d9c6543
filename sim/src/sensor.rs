//! Sensors: what a share of the vehicles, the loops in the main streets and the signals report.
//!
//! Upstream: the steps of the world. Downstream: publishing. Sources are named `{gateway}.v7`,
//! `{gateway}.loop-{segment id}`, `{gateway}.signal-{node}`, since one gateway speaks for all of them.

use std::f64::consts::PI;
use std::sync::Arc;

use events::units::EARTH_RADIUS_M;
use events::{DetectorInterval, EdgeFix, Event, LonLat, MetresPerSecond, Position, SignalChange, TimeMs};
use roads::{Network, NodeIndex, RoadClass, SegmentIndex};
use rustc_hash::FxHashMap;

use crate::random::{Stream, normal, unit};
use crate::vehicle::{LENGTH_MM, VehicleId};
use crate::world::{Move, Step, World};

/// Loops count for so long before they report, ms.
pub const DETECTOR_INTERVAL_MS: i64 = 60_000;

/// Length of a loop in driving direction, mm (6 feet: FHWA, Traffic Detector Handbook, 2006).
pub const LOOP_LENGTH_MM: i64 = 1_829;

/// Shortest segment with a loop, mm: the loop lies two thirds along it, and must be clear of its end.
const LOOP_SEGMENT_MM_MIN: i64 = 40_000;

/// Time over which the error of a receiver is forgotten, seconds (Wilson, Garmin 12XL: about a minute).
const GPS_MEMORY_S: f64 = 60.0;

/// Share of the error that is new every second, as a part of the slow error's deviation (0.4 m of 2.5 m).
const GPS_WHITE_SHARE: f64 = 0.16;

/// Probes not heard for so long are forgotten, steps.
const FORGET_AFTER_STEPS: u64 = 60;

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorConfig {
    /// The name under which all sources are published.
    pub gateway: String,
    /// Share of the vehicles that report their position every second, 0 to 1.
    pub probe_share: f64,
    /// Deviation of the slow error of a position per axis, m; 0 is exact.
    pub gps_sigma_m: f64,
    /// Whether positions say the segment's id and the offset on it.
    pub with_edge: bool,
    pub with_detectors: bool,
    pub with_signals: bool,
}

impl Default for SensorConfig {
    fn default() -> Self {
        Self {
            gateway: "sim".to_owned(),
            probe_share: 1.0,
            gps_sigma_m: 0.0,
            with_edge: false,
            with_detectors: true,
            with_signals: true,
        }
    }
}

/// A loop across all lanes of a segment.
#[derive(Clone, Debug)]
pub struct Detector {
    pub segment: SegmentIndex,
    /// Begin of the loop from the begin of the segment.
    pub at_mm: i64,
    source: String,
    at: LonLat,
    lanes: i64,
    seq: u64,
    count: u32,
    covered_ms: i64,
    speed_sum_mm_s: i64,
}

/// All sensors of a city.
#[derive(Debug)]
pub struct Sensors {
    network: Arc<Network>,
    seed: u64,
    config: SensorConfig,
    probes: FxHashMap<VehicleId, Probe>,
    detectors: Vec<Detector>,
    detector_of: Vec<Option<u32>>,
    interval_start: TimeMs,
    signals: Vec<(String, u64)>,
    steps: u64,
}

/// What a probe remembers.
#[derive(Clone, Copy, Debug, Default)]
struct Probe {
    seq: u64,
    heard_step: u64,
    /// Slow error east and north, m.
    error_m: [f64; 2],
}

impl Sensors {
    /// Sensors for a world that has not begun.
    pub fn new(world: &World, config: SensorConfig) -> Self {
        let network = world.network().clone();
        let mut detectors = Vec::new();
        let mut detector_of = vec![None; network.segments().len()];
        for at in network.indices().filter(|at| config.with_detectors && has_loop(&network, *at)) {
            detector_of[at.at()] = Some(detectors.len() as u32);
            detectors.push(Detector::new(&network, at, &config.gateway));
        }
        let name = |node: NodeIndex| format!("{}.signal-{}", config.gateway, node.0);
        let signals = world.signals().iter().map(|s| (name(s.node), 0)).collect();
        let (seed, interval_start) = (world.scenario().seed, world.now());
        let probes = FxHashMap::default();
        Self { network, seed, config, probes, detectors, detector_of, interval_start, signals, steps: 0 }
    }

    /// The loops, by segment.
    pub fn detectors(&self) -> &[Detector] {
        &self.detectors
    }

    /// Adds what is reported of one second to `out`.
    pub fn observe(&mut self, step: &Step<'_>, out: &mut Vec<Event>) {
        self.steps += 1;
        if self.config.with_signals {
            for shown in step.signals {
                let (source, seq) = &mut self.signals[shown.signal];
                *seq += 1;
                let (source, phase, state) = (source.clone(), shown.group as u16 + 1, shown.state);
                out.push(Event::Signal(SignalChange { source, seq: Some(*seq), time: step.start, phase, state }));
            }
        }
        for one in step.moves() {
            if let Some(detector) = self.detector_of[one.segment.at()] {
                self.detectors[detector as usize].observe(&one);
            }
            if one.last && self.is_probe(one.vehicle) {
                let position = self.position(&one, step.end);
                out.push(Event::Position(position));
            }
        }
        if step.end.0 % DETECTOR_INTERVAL_MS == 0 {
            for detector in &mut self.detectors {
                out.push(Event::Detector(detector.report(self.interval_start, step.end)));
            }
            self.interval_start = step.end;
        }
        if self.steps.is_multiple_of(FORGET_AFTER_STEPS) {
            let now = self.steps;
            self.probes.retain(|_, probe| now - probe.heard_step < FORGET_AFTER_STEPS);
        }
    }

    fn is_probe(&self, id: VehicleId) -> bool {
        unit(self.seed, id.0, 0, Stream::Probe) < self.config.probe_share
    }

    fn position(&mut self, one: &Move, time: TimeMs) -> Position {
        let offset_m = one.to_mm as f64 / 1_000.0;
        let probe = self.probes.entry(one.vehicle).or_default();
        probe.seq += 1;
        probe.heard_step = self.steps;
        let (seq, mut at) = (probe.seq, self.network.place(one.segment, offset_m));
        if self.config.gps_sigma_m > 0.0 {
            at = probe.blur(at, self.seed, one.vehicle, self.steps, self.config.gps_sigma_m);
        }
        let edge_id = || self.network.segment(one.segment).id.to_string();
        Position {
            source: format!("{}.{}", self.config.gateway, one.vehicle),
            seq: Some(seq),
            time,
            at,
            speed: MetresPerSecond::new(one.speed_mm_s as f32 / 1_000.0).ok(),
            heading: Some(self.network.heading(one.segment, offset_m)),
            edge: self.config.with_edge.then(|| EdgeFix { edge_id: edge_id(), pos_m: offset_m }),
        }
    }
}

impl Probe {
    /// A place with the error of a receiver: a slow one that forgets itself within [`GPS_MEMORY_S`] (a first-order
    /// autoregression, of deviation `sigma_m` from the first second on) and a white one.
    fn blur(&mut self, at: LonLat, seed: u64, id: VehicleId, step: u64, sigma_m: f64) -> LonLat {
        let kept = (-1.0 / GPS_MEMORY_S).exp();
        let mut error_m = [0.0; 2];
        for (axis, stream) in [Stream::NoiseEast, Stream::NoiseNorth].into_iter().enumerate() {
            let fresh = sigma_m * normal(seed, id.0, 2 * step, stream);
            let slow = &mut self.error_m[axis];
            *slow = if self.seq == 1 { fresh } else { kept * *slow + (1.0 - kept * kept).sqrt() * fresh };
            error_m[axis] = *slow + GPS_WHITE_SHARE * sigma_m * normal(seed, id.0, 2 * step + 1, stream);
        }
        let m_per_deg = EARTH_RADIUS_M * PI / 180.0;
        let lat = at.lat_deg() + error_m[1] / m_per_deg;
        let lon = at.lon_deg() + error_m[0] / (m_per_deg * at.lat_deg().to_radians().cos());
        LonLat::new(lon, lat).unwrap_or(at)
    }
}

impl Detector {
    fn new(network: &Network, segment: SegmentIndex, gateway: &str) -> Self {
        let meta = network.segment(segment);
        let at_mm = (meta.length_m * 2_000.0 / 3.0) as i64;
        Self {
            segment,
            at_mm,
            source: format!("{gateway}.loop-{}", meta.id),
            at: network.place(segment, at_mm as f64 / 1_000.0),
            lanes: i64::from(meta.lanes.max(1)),
            seq: 0,
            count: 0,
            covered_ms: 0,
            speed_sum_mm_s: 0,
        }
    }

    /// Counts a front that reaches the loop, and the time during which any part of the vehicle is over it.
    fn observe(&mut self, one: &Move) {
        if one.from_mm < self.at_mm && self.at_mm <= one.to_mm {
            self.count += 1;
            self.speed_sum_mm_s += one.speed_mm_s;
        }
        let clear_mm = self.at_mm + LOOP_LENGTH_MM + LENGTH_MM;
        let (way_mm, time_ms) = (one.to_mm - one.from_mm, one.end_ms - one.begin_ms);
        self.covered_ms += if way_mm == 0 {
            if (self.at_mm..clear_mm).contains(&one.to_mm) { time_ms } else { 0 }
        } else {
            let over_mm = one.to_mm.min(clear_mm) - one.from_mm.max(self.at_mm);
            time_ms * over_mm.max(0) / way_mm
        };
    }

    fn report(&mut self, start: TimeMs, end: TimeMs) -> DetectorInterval {
        self.seq += 1;
        let count = std::mem::take(&mut self.count);
        let speed_sum = std::mem::take(&mut self.speed_sum_mm_s) as f64;
        let covered = std::mem::take(&mut self.covered_ms) as f64;
        let mean_mps = (speed_sum / f64::from(count.max(1)) / 1_000.0) as f32;
        DetectorInterval {
            source: self.source.clone(),
            seq: Some(self.seq),
            start,
            end,
            at: Some(self.at),
            count,
            occupancy: Some((covered / (self.lanes * (end.0 - start.0)) as f64).min(1.0) as f32),
            speed: if count > 0 { MetresPerSecond::new(mean_mps).ok() } else { None },
        }
    }
}

/// Streets of class tertiary or higher that are long enough.
fn has_loop(network: &Network, at: SegmentIndex) -> bool {
    let segment = network.segment(at);
    segment.class <= RoadClass::Tertiary && (segment.length_m * 1_000.0) as i64 >= LOOP_SEGMENT_MM_MIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn one(from_mm: i64, to_mm: i64) -> Move {
        let (vehicle, segment) = (VehicleId(1), SegmentIndex(0));
        let speed_mm_s = to_mm - from_mm;
        Move { vehicle, segment, lane: 0, kind: 0, from_mm, to_mm, begin_ms: 0, end_ms: 1_000, speed_mm_s, last: true }
    }

    #[test]
    fn a_loop_counts_fronts_once_and_is_covered_by_whole_vehicles() {
        let network = Arc::new(roads::city(&roads::CityPlan::default()));
        let world = World::new(network, Scenario::default()).unwrap();
        let sensors = Sensors::new(&world, SensorConfig::default());
        let fresh = Detector { lanes: 1, ..sensors.detectors()[0].clone() };
        let (at, over) = (fresh.at_mm, LOOP_LENGTH_MM + LENGTH_MM);
        for (moves, count, covered_ms, what) in [
            (vec![one(at - 5_000, at + 5_000)], 1, 500, "passes at 10 m/s"),
            (vec![one(at - 20_000, at + 20_000)], 1, 1_000 * over / 40_000, "passes within one second"),
            (vec![one(at - 10, at), one(at, at), one(at, at + 10)], 1, 2_000, "stops exactly at the loop"),
            (vec![one(at + over - 10, at + over), one(at + over, at + over)], 0, 1_000, "stops just beyond it"),
            (vec![one(at - 2_000, at - 1)], 0, 0, "stops just before it"),
        ] {
            let mut detector = fresh.clone();
            moves.iter().for_each(|m| detector.observe(m));
            assert_eq!((detector.count, detector.covered_ms), (count, covered_ms), "{what}");
            let report = detector.report(TimeMs(0), TimeMs(60_000));
            assert_eq!(report.occupancy, Some(covered_ms as f32 / 60_000.0), "{what}");
            assert_eq!(report.speed.is_some(), count > 0, "no passage is no speed, not 0");
            assert_eq!((detector.count, detector.covered_ms), (0, 0));
        }
    }
}
