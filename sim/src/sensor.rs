//! Sensors: what a share of the vehicles, the loops in the main streets and the signals report.
//!
//! Upstream: the steps of the world, which sensors only read. Downstream: publishing, the tables of a headless run.
//! Sources are named `{gateway}.v7`, `{gateway}.loop-{segment id}`, `{gateway}.signal-{node}`, since one gateway
//! speaks for all of them. Loops and signals are wired: what they say arrives at once.
//!
//! In reading order:
//! - [`config`]: what is measured, and a switch for each fault
//! - [`fault`]: what goes wrong, as the truth writes it down
//! - [`report`]: what is reported of one second
//! - `probe`: which vehicles report, and when
//! - `places`: where a point of a street is
//! - `receiver`, [`canyon`]: the error of a position, and where it is worse
//! - `plain`: the short way for reports without any fault
//! - `delivery`: how long a report is under way
//! - [`loops`]: loops and their faults
//! - [`encode`]: reports as JSON batches

pub mod canyon;
pub mod config;
mod delivery;
pub mod encode;
pub mod fault;
pub mod loops;
mod places;
mod plain;
mod probe;
mod receiver;
pub mod report;
mod saved;

use std::f64::consts::PI;
use std::sync::Arc;

use events::units::EARTH_RADIUS_M;
use events::{Event, SignalChange, TimeMs};
use roads::{Network, NodeIndex, SegmentIndex};

pub use config::{Fleet, SensorConfig, SensorError};
pub use fault::{Fault, FaultKind, Faulty};
pub use loops::{DETECTOR_INTERVAL_MS, Detector, LOOP_LENGTH_MM};
pub use report::{PositionReport, Reports};

use crate::random::{Stream, unit};
use crate::world::{Move, Step, World};
use delivery::Wheel;
use loops::DAY_MS;
use places::Places;
use plain::Waiting;
use probe::{Probes, Setup};
use receiver::Asking;

/// No loop on this segment.
const NO_LOOP: u32 = u32::MAX;

/// All sensors of a city.
#[derive(Debug)]
pub struct Sensors {
    network: Arc<Network>,
    seed: u64,
    config: SensorConfig,
    /// When the sensors began.
    begin_ms: i64,
    steps: u32,
    probes: Probes,
    under_way: Wheel,
    /// Whether reports are exact, complete and at full seconds: see [`SensorConfig::is_plain`].
    is_plain: bool,
    /// Deviation that a place adds to positions, m by segment; empty without canyons.
    canyon_m: Vec<f32>,
    places: Places,
    /// Degrees in a metre east and north, in the middle of the network.
    deg_per_m: [f64; 2],
    detectors: Vec<Detector>,
    detector_of: Vec<u32>,
    /// Length of the vehicles, mm by kind.
    lengths_mm: Vec<i64>,
    day: Option<i64>,
    interval_start: TimeMs,
    signals: Vec<(String, u64)>,
    scratch: Reports,
    waiting: Waiting,
}

impl Sensors {
    /// Sensors for a world that has not begun.
    ///
    /// # Panics
    /// If the configuration does not pass [`SensorConfig::check`].
    pub fn new(world: &World, config: SensorConfig) -> Self {
        config.check().expect("whoever makes sensors has checked what they are to measure");
        let (network, seed) = (world.network().clone(), world.scenario().seed);
        let detectors =
            if config.with_detectors { loops::all(&network, &config.gateway, &config.loops) } else { Vec::new() };
        let mut detector_of = vec![NO_LOOP; network.segments().len()];
        // The first of each segment: those of one lie side by side.
        for (i, detector) in detectors.iter().enumerate().rev() {
            detector_of[detector.segment.at()] = i as u32;
        }
        let name = |node: NodeIndex| format!("{}.signal-{}", config.gateway, node.0);
        let signals = world.signals().iter().map(|s| (name(s.node), 0)).collect();
        let canyon_m = if config.canyons { canyon::find(&network, seed) } else { Vec::new() };
        let [_, south, _, north] = network.bbox();
        let m_per_deg = EARTH_RADIUS_M * PI / 180.0;
        // One scale for the city: across 50 km the metre east changes by less than 1 %, the error is random anyway.
        let deg_per_m = [1.0 / (m_per_deg * ((south + north) / 2.0).to_radians().cos().max(1e-3)), 1.0 / m_per_deg];
        Self {
            seed,
            begin_ms: world.now().0,
            steps: 0,
            probes: Probes::default(),
            under_way: Wheel::new(),
            is_plain: config.is_plain(),
            canyon_m,
            places: Places::new(&network),
            deg_per_m,
            detectors,
            detector_of,
            lengths_mm: world.scenario().types.iter().map(|kind| i64::from(kind.length_mm)).collect(),
            day: None,
            interval_start: world.now(),
            signals,
            scratch: Reports::default(),
            waiting: Waiting::default(),
            network,
            config,
        }
    }

    /// The loops, by segment.
    pub fn detectors(&self) -> &[Detector] {
        &self.detectors
    }

    /// What is measured.
    pub fn config(&self) -> &SensorConfig {
        &self.config
    }

    /// Positions that were sent and have not arrived: at most 128 seconds' worth.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Adds what arrives of one second to `out`, as events, and forgets the faults.
    pub fn observe(&mut self, step: &Step<'_>, out: &mut Vec<Event>) {
        let mut reports = std::mem::take(&mut self.scratch);
        reports.clear();
        self.sense(step, &mut reports, &mut Vec::new());
        let event = |p: &PositionReport| p.event(&self.config.gateway, &self.network, self.config.with_edge);
        out.append(&mut reports.others);
        out.extend(reports.positions.iter().map(event));
        self.scratch = reports;
    }

    /// Adds what arrives of one second to `out`, and what went wrong in it to `faults`.
    pub fn sense(&mut self, step: &Step<'_>, out: &mut Reports, faults: &mut Vec<Fault>) {
        if self.is_plain {
            self.begin_second(step.end, out, faults);
            self.see_all(step, out);
            self.end_second(step.end, out);
        } else {
            self.sense_moves(step.end, step.moves(), out, faults);
        }
        if self.config.with_signals {
            for shown in step.signals {
                let (source, seq) = &mut self.signals[shown.signal];
                *seq += 1;
                let (source, phase, state) = (source.clone(), shown.group as u16 + 1, shown.state);
                let change = SignalChange { source, seq: Some(*seq), time: step.start, phase, state };
                out.others.push(Event::Signal(change));
            }
        }
    }

    /// The same for moves alone, whoever made them: those of one vehicle follow each other, its last one last.
    pub fn sense_moves(
        &mut self,
        end: TimeMs,
        moves: impl Iterator<Item = Move>,
        out: &mut Reports,
        faults: &mut Vec<Fault>,
    ) {
        self.begin_second(end, out, faults);
        if self.is_plain {
            moves.for_each(|one| self.see_move(&one, out));
        } else {
            self.report_all(end, moves, out, faults);
        }
        self.end_second(end, out);
    }

    fn begin_second(&mut self, end: TimeMs, out: &mut Reports, faults: &mut Vec<Fault>) {
        self.steps += 1;
        out.end = end;
        let start = TimeMs(end.0 - 1_000);
        if self.steps == 1 {
            self.name_places(start, faults);
        }
        self.begin_day(start, faults);
    }

    fn end_second(&mut self, end: TimeMs, out: &mut Reports) {
        self.report_seen(out);
        if self.config.latency {
            self.under_way.take(end.0, &mut out.positions);
        }
        if end.0 % DETECTOR_INTERVAL_MS == 0 {
            self.report_loops(end, out);
        }
    }

    #[inline]
    fn has_loops(&self, segment: SegmentIndex) -> bool {
        self.detector_of[segment.at()] != NO_LOOP
    }

    /// Counts a move on the loops of its segment.
    #[inline(never)]
    fn pass_loops(&mut self, one: &Move) {
        let first = self.detector_of[one.segment.at()];
        let length_mm = self.lengths_mm[usize::from(one.kind)];
        let here = self.detectors[first as usize..].iter_mut().take_while(|d| d.segment == one.segment);
        here.for_each(|detector| detector.observe(one, length_mm, self.seed));
    }

    /// Reports of everybody who is due, with all faults that may be.
    fn report_all(
        &mut self,
        end: TimeMs,
        moves: impl Iterator<Item = Move>,
        out: &mut Reports,
        faults: &mut Vec<Fault>,
    ) {
        // Who crosses into another segment has several moves; everybody else has one.
        let mut earlier = Vec::new();
        for one in moves {
            if self.has_loops(one.segment) {
                self.pass_loops(&one);
            }
            if !one.last {
                earlier.push(one);
                continue;
            }
            while let Some((probe, is_new)) = self.due(&one) {
                if is_new {
                    self.name_clock(probe, TimeMs(end.0 - 1_000), faults);
                }
                self.report(probe, &earlier, &one, end, out, faults);
                self.probes.plan(one.slot, self.seed);
            }
            earlier.clear();
        }
    }

    #[inline]
    fn due(&mut self, one: &Move) -> Option<(u32, bool)> {
        let setup = Setup { seed: self.seed, config: &self.config };
        self.probes.due(one.slot, one.vehicle, self.steps, &setup)
    }

    /// One report of one probe: measured, or not; sent, or kept for later.
    fn report(
        &mut self,
        at: u32,
        earlier: &[Move],
        last: &Move,
        end: TimeMs,
        out: &mut Reports,
        faults: &mut Vec<Fault>,
    ) {
        let (seed, step) = (self.seed, self.steps);
        let probe = self.probes.get_mut(at);
        let true_ms = self.begin_ms + probe.due_ms;
        let vehicle = probe.vehicle;
        let within_ms = true_ms - (end.0 - 1_000);
        let here = earlier.iter().find(|m| m.end_ms >= within_ms).unwrap_or(last);
        let outage = if self.config.outages { delivery::outage(seed, vehicle, true_ms) } else { None };
        if let Some(outage) = outage.filter(|o| o.begin_ms != probe.outage_ms) {
            probe.outage_ms = outage.begin_ms;
            let kind = if outage.is_silence { FaultKind::Silence } else { FaultKind::NoFix };
            let (begin, end) = (TimeMs(outage.begin_ms), TimeMs(outage.end_ms));
            faults.push(Fault { who: Faulty::Vehicle(vehicle), kind, begin, end, value: 0.0 });
        }
        let in_tunnel = self.config.outages && self.network.segment(here.segment).structure.is_tunnel;
        if in_tunnel || outage.is_some_and(|o| !o.is_silence) {
            return;
        }
        // The speed is constant within the second.
        let rest_ms = (here.end_ms - within_ms).clamp(0, here.end_ms - here.begin_ms);
        let offset_mm = (here.to_mm - here.speed_mm_s * rest_ms / 1_000).clamp(here.from_mm, here.to_mm);
        let ([mut lon, mut lat], heading_ddeg) = self.places.of(here.segment).at(offset_mm as f64 / 1_000.0);
        let is_exact = self.config.gps_sigma_m == 0.0 && self.canyon_m.is_empty();
        if !is_exact {
            let canyon_m = self.canyon_m.get(here.segment.at()).map_or(0.0, |m| f64::from(*m));
            probe.fixes += 1;
            let gap_s = u64::from(step - probe.fix_step);
            probe.fix_step = step;
            let nth = u64::from(probe.fixes);
            let ask = Asking { seed, vehicle, nth, gap_s, sigma_m: self.config.gps_sigma_m, canyon_m };
            let error = probe.receiver.next(&ask);
            lon += error.east_m * self.deg_per_m[0];
            lat += error.north_m * self.deg_per_m[1];
            if error.jump_m > 0.0 {
                let (who, kind, begin) = (Faulty::Vehicle(vehicle), FaultKind::Jump, TimeMs(true_ms));
                faults.push(Fault { who, kind, begin, end: begin, value: error.jump_m });
            }
        }
        probe.seq += 1;
        let ([lon_e7, lat_e7], rest_e9) =
            if is_exact { report::place_e9(lon, lat) } else { (report::place_e7(lon, lat), [0; 2]) };
        let report = PositionReport {
            vehicle,
            seq: probe.seq,
            time_ms: true_ms + i64::from(probe.clock_off_ms),
            arrival_ms: outage.map_or(true_ms, |silence| silence.end_ms),
            lon_e7,
            lat_e7,
            rest_e9,
            speed_mm_s: here.speed_mm_s.max(0) as u32,
            heading_ddeg,
            segment: here.segment.0,
            offset_mm: offset_mm.max(0) as u32,
        };
        self.send(at, report, TimeMs(true_ms), end, out, faults);
    }

    fn send(
        &mut self,
        at: u32,
        mut report: PositionReport,
        measured: TimeMs,
        end: TimeMs,
        out: &mut Reports,
        faults: &mut Vec<Fault>,
    ) {
        let PositionReport { vehicle, seq, .. } = report;
        let (seed, config) = (self.seed, &self.config);
        let happens = |share, stream| share > 0.0 && unit(seed, vehicle, u64::from(seq), stream) < share;
        let named =
            |kind| Fault { who: Faulty::Vehicle(vehicle), kind, begin: measured, end: measured, value: f64::from(seq) };
        if happens(config.loss_share, Stream::Loss) {
            faults.push(named(FaultKind::Lost));
            return;
        }
        let is_twice = happens(config.duplicate_share, Stream::Duplicate);
        if is_twice {
            faults.push(named(FaultKind::Duplicate));
        }
        if !config.latency {
            // A radio that was silent cannot be told from one that was not: nothing is late.
            report.arrival_ms = end.0;
            out.positions.extend(std::iter::repeat_n(report, 1 + usize::from(is_twice)));
            return;
        }
        let begin_ms = report.arrival_ms;
        let probe = self.probes.get_mut(at);
        for copy in 0..=u64::from(is_twice) {
            report.arrival_ms = begin_ms + delivery::latency_ms(seed, vehicle, seq, copy);
            if !config.reorder {
                report.arrival_ms = report.arrival_ms.max(probe.arrival_ms);
            }
            probe.arrival_ms = probe.arrival_ms.max(report.arrival_ms);
            self.under_way.put(report, end.0);
        }
    }

    fn report_loops(&mut self, end: TimeMs, out: &mut Reports) {
        let passed: Vec<u32> = self.detectors.iter().map(|d| d.sums.passed).collect();
        for detector in &mut self.detectors {
            let beside = detector.beside.map_or(0, |other| passed[other as usize]);
            out.others.extend(detector.report(self.interval_start, end, beside).map(Event::Detector));
        }
        self.interval_start = end;
    }

    /// At the begin and at each midnight (UTC) loops break or are mended.
    fn begin_day(&mut self, now: TimeMs, faults: &mut Vec<Fault>) {
        let day = now.0.div_euclid(DAY_MS);
        if self.day.replace(day) == Some(day) {
            return;
        }
        for (i, detector) in self.detectors.iter_mut().enumerate() {
            detector.begin_day(self.seed, day, self.config.healthy_loop_share);
            if let Some(kind) = detector.fault {
                let (begin, end) = (now, TimeMs((day + 1) * DAY_MS));
                faults.push(Fault { who: Faulty::Loop(i as u32), kind, begin, end, value: 0.0 });
            }
        }
    }

    /// Writes down where positions are bad or missing for good.
    fn name_places(&self, now: TimeMs, faults: &mut Vec<Fault>) {
        let forever = TimeMs(i64::MAX);
        let named =
            |i: usize, kind, value| Fault { who: Faulty::Segment(i as u32), kind, begin: now, end: forever, value };
        let canyons = self.canyon_m.iter().enumerate().filter(|(_, m)| **m > 0.0);
        faults.extend(canyons.map(|(i, m)| named(i, FaultKind::Canyon, f64::from(*m))));
        if self.config.outages {
            let tunnels = self.network.segments().iter().enumerate().filter(|(_, s)| s.structure.is_tunnel);
            faults.extend(tunnels.map(|(i, _)| named(i, FaultKind::NoFix, 0.0)));
        }
    }

    fn name_clock(&mut self, probe: u32, now: TimeMs, faults: &mut Vec<Fault>) {
        let probe = self.probes.get_mut(probe);
        if probe.has_broken_clock() {
            let (who, value) = (Faulty::Vehicle(probe.vehicle), f64::from(probe.clock_off_ms));
            faults.push(Fault { who, kind: FaultKind::Clock, begin: now, end: TimeMs(i64::MAX), value });
        }
    }
}
