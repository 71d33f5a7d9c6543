//! Which vehicles report, how often, and what each remembers.
//!
//! Every vehicle has an entry by the slot in which the world keeps it, with the second of its next report: who does
//! not report costs one comparison a second. A newcomer in a slot takes the place of who was there before, so there
//! are never more entries than vehicles at once. Upstream: the configuration. Downstream: the sensors.

use serde::{Deserialize, Serialize};

use super::config::SensorConfig;
use super::receiver::Receiver;
use crate::random::{Stream, normal, unit};
use crate::vehicle::VehicleId;

/// Deviation of an ordinary clock, ms; assumed.
const CLOCK_MS_SIGMA: f64 = 500.0;

/// Share of the clocks that are badly off; assumed.
const CLOCK_BROKEN_SHARE: f64 = 0.01;

/// Least and most that a broken clock is off, either way, ms; assumed.
pub(super) const CLOCK_BROKEN_MS: [f64; 2] = [5_001.0, 120_000.0];

/// Never reports.
const NEVER: u32 = u32::MAX;

/// Nobody has this number.
const NOBODY: u64 = u64::MAX;

/// What is known of the vehicle in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    vehicle: u64,
    /// Step in which it reports next.
    due_step: u32,
    /// Index of its probe, if it is one and more has to be known of it than what follows.
    probe: u32,
    /// Of one that reports plainly: how many times it has, and how many seconds lie between.
    seq: u32,
    interval_s: u32,
}

/// Nobody is in this slot.
const EMPTY: Entry = Entry { vehicle: NOBODY, due_step: NEVER, probe: NEVER, seq: 0, interval_s: 0 };

/// A vehicle that reports.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Probe {
    pub(super) vehicle: u64,
    pub(super) seq: u32,
    pub(super) receiver: Receiver,
    /// Number of fixes, and the second of the last one.
    pub(super) fixes: u32,
    pub(super) fix_step: u32,
    /// True time of the next report, ms since the sensors began; and its number.
    pub(super) due_ms: i64,
    nth: u32,
    first_ms: i64,
    interval_ms: u32,
    jitter_ms: u32,
    pub(super) clock_off_ms: i32,
    /// When its last report arrives.
    pub(super) arrival_ms: i64,
    /// Begin of the last outage that was written down.
    pub(super) outage_ms: i64,
}

/// All vehicles that were seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Probes {
    entries: Vec<Entry>,
    all: Vec<Probe>,
    free: Vec<u32>,
}

impl Probes {
    /// The probe in a slot if it reports in this step, and whether it is new.
    #[inline]
    pub(super) fn due(&mut self, slot: u32, vehicle: VehicleId, step: u32, setup: &Setup<'_>) -> Option<(u32, bool)> {
        match self.entries.get(slot as usize) {
            Some(entry) if entry.vehicle == vehicle.0 => (entry.due_step <= step).then_some((entry.probe, false)),
            Some(_) | None => {
                let new = self.arrive(slot as usize, vehicle, step, setup)?;
                let probe = self.free.pop().unwrap_or_else(|| {
                    self.all.push(new);
                    (self.all.len() - 1) as u32
                });
                self.all[probe as usize] = new;
                let entry = &mut self.entries[slot as usize];
                entry.probe = probe;
                (entry.due_step <= step).then_some((probe, true))
            }
        }
    }

    /// The number of the report that the vehicle in a slot makes in this step, where all report plainly
    /// ([`SensorConfig::is_plain`]), 0 if none: its entry is all that is touched.
    #[inline]
    pub(super) fn due_plainly(&mut self, slot: u32, vehicle: VehicleId, step: u32, setup: &Setup<'_>) -> u32 {
        if self.entries.get(slot as usize).is_none_or(|entry| entry.vehicle != vehicle.0) {
            self.arrive(slot as usize, vehicle, step, setup);
        }
        let entry = &mut self.entries[slot as usize];
        if entry.due_step > step {
            return 0;
        }
        entry.due_step = step + entry.interval_s;
        entry.seq += 1;
        entry.seq
    }

    pub(super) fn get_mut(&mut self, probe: u32) -> &mut Probe {
        &mut self.all[probe as usize]
    }

    /// Plans the report after this one.
    pub(super) fn plan(&mut self, slot: u32, seed: u64) {
        let entry = &mut self.entries[slot as usize];
        let probe = &mut self.all[entry.probe as usize];
        probe.nth += 1;
        let before_ms = probe.due_ms;
        probe.due_ms = probe.planned_ms(seed).max(before_ms + 1);
        entry.due_step = step_of(probe.due_ms);
    }

    /// Gives a slot to a newcomer, and says what is known of it if it is a probe.
    #[cold]
    fn arrive(&mut self, slot: usize, vehicle: VehicleId, step: u32, setup: &Setup<'_>) -> Option<Probe> {
        if slot >= self.entries.len() {
            self.entries.resize(slot + 1, EMPTY);
        }
        let left = self.entries[slot].probe;
        if left != NEVER {
            self.free.push(left);
        }
        self.entries[slot] = Entry { vehicle: vehicle.0, ..EMPTY };
        if unit(setup.seed, vehicle.0, 0, Stream::Probe) >= setup.config.probe_share {
            return None;
        }
        let new = Probe::new(vehicle.0, step, setup);
        self.entries[slot].due_step = step_of(new.due_ms);
        self.entries[slot].interval_s = new.interval_ms / 1_000;
        Some(new)
    }
}

/// What decides who reports how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup<'a> {
    pub(super) seed: u64,
    pub(super) config: &'a SensorConfig,
}

impl Probe {
    fn new(vehicle: u64, step: u32, setup: &Setup<'_>) -> Self {
        let Setup { seed, config } = *setup;
        let weights: f64 = config.fleets.iter().map(|f| f.weight).sum();
        let mut drawn = unit(seed, vehicle, 0, Stream::Fleet) * weights;
        let chosen = config.fleets.iter().find(|fleet| {
            drawn -= fleet.weight;
            drawn < 0.0
        });
        let fleet = chosen.or(config.fleets.last()).expect("a checked mix has a fleet");
        // Whole seconds: a fleet without jitter reports at full seconds, as the exact sensors do.
        let phase_s = (unit(seed, vehicle, 0, Stream::ReportPhase) * f64::from(fleet.interval_s)) as i64;
        let interval_ms = 1_000 * fleet.interval_s;
        let mut probe = Self {
            vehicle,
            seq: 0,
            receiver: Receiver::default(),
            fixes: 0,
            fix_step: step,
            due_ms: 0,
            nth: 0,
            first_ms: 1_000 * (i64::from(step) + phase_s),
            interval_ms,
            jitter_ms: (f64::from(interval_ms) * fleet.jitter_share) as u32,
            clock_off_ms: if config.skewed_clocks { clock_off_ms(seed, vehicle) } else { 0 },
            arrival_ms: i64::MIN,
            outage_ms: i64::MIN,
        };
        // Not before the vehicle is there: at the end of the second in which it enters.
        probe.due_ms = probe.planned_ms(seed).max(1_000 * i64::from(step));
        probe
    }

    fn planned_ms(&self, seed: u64) -> i64 {
        let planned = self.first_ms + i64::from(self.nth) * i64::from(self.interval_ms);
        if self.jitter_ms == 0 {
            return planned;
        }
        let draw = 2.0 * unit(seed, self.vehicle, u64::from(self.nth), Stream::ReportJitter) - 1.0;
        planned + (draw * f64::from(self.jitter_ms)) as i64
    }

    /// Whether its clock is badly off.
    pub(super) fn has_broken_clock(&self) -> bool {
        f64::from(self.clock_off_ms.unsigned_abs()) >= CLOCK_BROKEN_MS[0]
    }
}

/// The step in which a moment since the begin lies: step 1 ends at 1,000 ms and includes it.
fn step_of(ms: i64) -> u32 {
    u32::try_from((ms + 999).div_euclid(1_000)).unwrap_or(NEVER - 1)
}

fn clock_off_ms(seed: u64, vehicle: u64) -> i32 {
    let draw = unit(seed, vehicle, 0, Stream::Clock);
    if draw >= CLOCK_BROKEN_SHARE {
        return (CLOCK_MS_SIGMA * normal(seed, vehicle, 1, Stream::Clock)) as i32;
    }
    let [least, most] = CLOCK_BROKEN_MS;
    let off = least + (most - least) * unit(seed, vehicle, 2, Stream::Clock);
    (if draw < CLOCK_BROKEN_SHARE / 2.0 { off } else { -off }) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_half_a_second_off_and_one_in_a_hundred_is_broken() {
        let seed = 9;
        let all: Vec<f64> = (0..100_000).map(|v| f64::from(clock_off_ms(seed, v))).collect();
        let (broken, good): (Vec<f64>, Vec<f64>) = all.iter().partition(|off| off.abs() > 5_000.0);
        let sigma = (good.iter().map(|off| off * off).sum::<f64>() / good.len() as f64).sqrt();
        println!("seed {seed}: {} of 100000 clocks broken, deviation of the rest {sigma:.0} ms", broken.len());
        assert!((900..1_100).contains(&broken.len()));
        assert!((490.0..510.0).contains(&sigma));
        assert!(broken.iter().any(|off| *off > 0.0) && broken.iter().any(|off| *off < 0.0));
    }

    #[test]
    fn reports_come_at_the_interval_of_the_fleet_give_or_take_the_jitter() {
        let config = SensorConfig::lifelike();
        let setup = Setup { seed: 3, config: &config };
        for vehicle in 0..200 {
            let mut probes = Probes::default();
            let mut due = Vec::new();
            let mut interval_ms = 0;
            for step in 1..=600 {
                while let Some((probe, _)) = probes.due(0, VehicleId(vehicle), step, &setup) {
                    let probe = *probes.get_mut(probe);
                    assert!(probe.due_ms > 1_000 * (i64::from(step) - 1) && probe.due_ms <= 1_000 * i64::from(step));
                    interval_ms = i64::from(probe.interval_ms);
                    due.push(probe.due_ms);
                    probes.plan(0, setup.seed);
                }
            }
            assert!((due.len() as i64 - 600_000 / interval_ms).abs() <= 2, "{} at {interval_ms} ms", due.len());
            for pair in due[1..].windows(2) {
                let gap = (pair[1] - pair[0]) as f64 / interval_ms as f64;
                assert!((0.79..=1.21).contains(&gap), "vehicle {vehicle}: {gap} intervals");
            }
        }
    }

    #[test]
    fn a_slot_is_given_to_the_next_vehicle_and_keeps_nothing_of_the_last() {
        let config = SensorConfig::default();
        let setup = Setup { seed: 3, config: &config };
        let mut probes = Probes::default();
        for vehicle in 0..50 {
            let step = vehicle as u32 + 1;
            let (probe, is_new) = probes.due(0, VehicleId(vehicle), step, &setup).unwrap();
            assert!(is_new);
            assert_eq!(probes.get_mut(probe).seq, 0);
            probes.get_mut(probe).seq = 1;
        }
        assert_eq!((probes.all.len(), probes.entries.len()), (1, 1));
    }
}
