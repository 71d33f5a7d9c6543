//! Kinds of vehicles, and the driver: how fast it is safe to go.
//!
//! Car-following after Krauss (Microscopic modeling of traffic flow, DLR-FB 98-08, 1998), in whole millimetres and
//! steps of one second, so that a run is the same on every machine and distances add up exactly. The braking distance
//! is that of the steps themselves, as in SUMO's Euler scheme, which makes the model collision-free by construction:
//! see [`Driver::safe_mm_s`]. The Intelligent Driver Model (Treiber, Hennecke, Helbing, cond-mat/0002177) may be chosen
//! instead; the safe speed then only guards it. Upstream: the scenario. Downstream: the world.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::scenario::ScenarioError;

/// Length of a passenger car, mm (SUMO, vehicle type defaults: 5 m).
pub const LENGTH_MM: i64 = 5_000;

/// Slower than this is standing, mm/s: nobody creeps by millimetres towards a bumper.
pub const STANDING_MM_S: i32 = 100;

/// Slowest and fastest driver, thousandths of the limit.
pub const FACTOR_PERMILLE_MIN: i32 = 800;
/// See [`FACTOR_PERMILLE_MIN`].
pub const FACTOR_PERMILLE_MAX: i32 = 1_200;

/// Growth of the headway after four minutes of congestion of our own drivers; see [`VehicleType::memory`].
const MEMORY_GROWTH: f32 = 0.11;

/// Farther ahead than this nothing matters, mm: from 200 km/h one stops within it.
pub(crate) const HORIZON_MM: i32 = 700_000;

/// How a driver follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// As fast as is safe, less a little imperfection.
    Krauss,
    /// Intelligent Driver Model: a smooth approach to a desired gap.
    Idm,
}

/// How a driver takes another lane when he need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneChange {
    /// When his advantage outweighs the loss of the one behind (MOBIL; Kesting, Treiber, Helbing 2007).
    Mobil,
    /// When enough has been to be gained over time, as SUMO's drivers (LC2013; Erdmann 2015).
    Gain,
}

/// A kind of vehicle. SI units, as in SUMO's `vType`.
#[derive(Clone, Debug, PartialEq)]
pub struct VehicleType {
    pub name: String,
    pub length_mm: i32,
    /// Bumper to bumper at standstill.
    pub min_gap_mm: i32,
    pub accel_mps2: f32,
    /// Nobody ever brakes harder, and nobody has to.
    pub decel_mps2: f32,
    /// Kept for reports; the safe speed never needs it.
    pub emergency_decel_mps2: f32,
    /// Reaction time and desired headway; at least the step of 1 s, or the model is not safe.
    pub tau_s: f32,
    /// Imperfection, 0 to 1: a driver stays up to σ · acceleration · 1 s below what is safe.
    pub sigma: f32,
    pub speed_max_mps: f32,
    /// Share of the limit that drivers want: mean and deviation, cut at [`FACTOR_PERMILLE_MIN`] and
    /// [`FACTOR_PERMILLE_MAX`].
    pub speed_factor_mean: f32,
    pub speed_factor_deviation: f32,
    /// Share by which the headway grows after four minutes of congestion.
    ///
    /// Drivers keep larger gaps after minutes of congestion, so less flows out of a jam than flowed before it (Treiber
    /// and Helbing, Memory effects in microscopic traffic models, Physical Review E 68, 2003). The greatest growth of
    /// our own drivers, 0.11, is chosen to give a capacity drop of 6 % (TRID 365591); SUMO's and CityFlow's have none.
    pub memory: f32,
    pub model: Model,
    pub lane_change: LaneChange,
    /// Gap in time that it wants before those who go first, seconds, up to 4.
    ///
    /// HCM 2010, exhibit 19-10: critical headways of two-way stops are 4.1 s for left turns from the main street to
    /// 6.5 s for crossing, and part of that passes until one moves. SUMO's drivers take what they just fit into.
    pub gap_s: i32,
    pub is_bus: bool,
    pub is_truck: bool,
    /// Weight among the types of generated demand.
    pub share: f32,
}

impl VehicleType {
    /// A passenger car: sizes, acceleration and deceleration are SUMO's defaults (vehicle type documentation).
    ///
    /// τ 1.3 s with σ 0.2 is the pair whose capacity and wave speed came out right when SUMO 1.28 was measured on a
    /// ring road: 2,041 veh/h/lane at 100 km/h, jam wave −19.6 km/h; SUMO's own default waves are too fast.
    pub fn car() -> Self {
        Self {
            name: "car".to_owned(),
            length_mm: LENGTH_MM as i32,
            min_gap_mm: 2_500,
            accel_mps2: 2.6,
            decel_mps2: 4.5,
            emergency_decel_mps2: 9.0,
            tau_s: 1.3,
            sigma: 0.2,
            speed_max_mps: 55.0,
            speed_factor_mean: 1.0,
            speed_factor_deviation: 0.1,
            memory: MEMORY_GROWTH,
            model: Model::Krauss,
            lane_change: LaneChange::Mobil,
            gap_s: 4,
            is_bus: false,
            is_truck: false,
            share: 1.0,
        }
    }

    /// A city bus (SUMO's `bus`: 12 m, 1.2 m/s², 4 m/s², 85 km/h).
    pub fn bus() -> Self {
        Self {
            name: "bus".to_owned(),
            length_mm: 12_000,
            accel_mps2: 1.2,
            decel_mps2: 4.0,
            emergency_decel_mps2: 7.0,
            speed_max_mps: 23.6,
            speed_factor_deviation: 0.0,
            is_bus: true,
            share: 0.0,
            ..Self::car()
        }
    }

    /// A lorry (SUMO's `truck`: 7.1 m, 1.3 m/s², 4 m/s², 130 km/h; here 10 m and 90 km/h, as regulation (EC) 561/2006's
    /// fleet is limited).
    pub fn truck() -> Self {
        Self {
            name: "truck".to_owned(),
            length_mm: 10_000,
            accel_mps2: 1.3,
            decel_mps2: 4.0,
            emergency_decel_mps2: 7.0,
            speed_max_mps: 25.0,
            speed_factor_deviation: 0.05,
            is_truck: true,
            share: 0.0,
            ..Self::car()
        }
    }

    pub(crate) fn check(&self) -> Result<(), ScenarioError> {
        let wrong = |what| Err(ScenarioError::Type { name: self.name.clone(), what });
        if !(1_000..=30_000).contains(&self.length_mm) || !(0..=10_000).contains(&self.min_gap_mm) {
            return wrong("its length must be 1 to 30 m and its gap 0 to 10 m");
        }
        let within = |x: f32, least: f32, most: f32| (least..=most).contains(&x);
        if !within(self.accel_mps2, 0.1, 15.0) || !within(self.decel_mps2, 0.5, 15.0) {
            return wrong("its acceleration must be 0.1 to 15 m/s², its deceleration 0.5 to 15 m/s²");
        }
        if !within(self.tau_s, 1.0, 10.0) || !within(self.sigma, 0.0, 1.0) {
            return wrong("its headway must be 1 to 10 s, the step being one second, and its imperfection 0 to 1");
        }
        if !within(self.speed_max_mps, 1.0, 100.0) {
            return wrong("its greatest speed must be 1 to 100 m/s");
        }
        if !within(self.speed_factor_mean, 0.1, 2.0) || !within(self.speed_factor_deviation, 0.0, 1.0) {
            return wrong("its speed factor must be 0.1 to 2 with a deviation of 0 to 1");
        }
        if !within(self.memory, 0.0, 1.0) {
            return wrong("its memory must be 0 to 1");
        }
        if !within(self.share, 0.0, 1e6) {
            return wrong("its share must be 0 or more");
        }
        Ok(())
    }
}

/// One trip of one vehicle; never used again within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VehicleId(pub u64);

impl fmt::Display for VehicleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The constants of a type as the step uses them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Driver {
    pub(crate) length_mm: i32,
    pub(crate) min_gap_mm: i32,
    pub(crate) accel_mm_s2: i32,
    pub(crate) decel_mm_s2: i32,
    pub(crate) tau_ms: i32,
    /// Most that is lost to imperfection, mm/s.
    pub(crate) dawdle_mm_s: i32,
    sigma_permille: i32,
    pub(crate) speed_max_mm_s: i32,
    pub(crate) is_idm: bool,
    pub(crate) lane_change: LaneChange,
    pub(crate) gap_s: i32,
    memory_permille: i32,
}

impl Driver {
    pub(crate) fn new(of: &VehicleType) -> Self {
        let milli = |x: f32| (f64::from(x) * 1_000.0).round() as i32;
        let accel_mm_s2 = milli(of.accel_mps2).max(1);
        let sigma_permille = if of.model == Model::Idm { 0 } else { milli(of.sigma) };
        Self {
            length_mm: of.length_mm,
            min_gap_mm: of.min_gap_mm,
            accel_mm_s2,
            decel_mm_s2: milli(of.decel_mps2).max(1),
            tau_ms: milli(of.tau_s).max(1_000),
            dawdle_mm_s: (i64::from(sigma_permille) * i64::from(accel_mm_s2) / 1_000) as i32,
            sigma_permille,
            speed_max_mm_s: milli(of.speed_max_mps),
            is_idm: of.model == Model::Idm,
            lane_change: of.lane_change,
            gap_s: of.gap_s,
            memory_permille: milli(of.memory),
        }
    }

    /// Way to a standstill, mm, when the speed falls by the deceleration in this and every following second.
    pub(crate) fn brake_mm(&self, speed_mm_s: i32) -> i32 {
        brake_mm(speed_mm_s, self.decel_mm_s2)
    }

    /// What a leader still drives when it brakes, as its follower counts on it, mm: as hard as itself or as the
    /// follower, whichever is harder. A follower that brakes harder than its leader could otherwise meet it half-way.
    pub(crate) fn leader_brake_mm(&self, speed_mm_s: i32, leader_decel_mm_s2: i32) -> i32 {
        brake_mm(speed_mm_s, self.decel_mm_s2.max(leader_decel_mm_s2))
    }

    /// The headway of a driver who has been in congestion for so long, ms; see [`VehicleType::memory`].
    pub(crate) fn tau_ms(&self, memory_s: u8) -> i32 {
        self.tau_ms + self.tau_ms * i32::from(memory_s) * self.memory_permille / 255_000
    }

    /// Road that must be free ahead to drive at a speed for one second, mm.
    pub(crate) fn reach_mm(&self, speed_mm_s: i32) -> i32 {
        self.reach_at(speed_mm_s, self.tau_ms)
    }

    /// As [`Driver::reach_mm`] with another headway, ms.
    pub(crate) fn reach_at(&self, speed_mm_s: i32, tau_ms: i32) -> i32 {
        (i64::from(tau_ms) * i64::from(speed_mm_s) / 1_000) as i32 + self.brake_mm(speed_mm_s) + 1
    }

    /// Fastest speed, mm/s, for the coming second with `budget_mm` of road: the largest v with
    /// τ · v + brake(v) ≤ budget. The budget is the gap (beyond the minimum) plus the leader's own way to stop.
    ///
    /// Why nobody collides: with brake(v) ≤ gap + brake(v of leader) now, slowing by the deceleration keeps that
    /// true after the second, and so does every speed that this function allows, because τ ≥ 1 s. A driver takes
    /// the larger of the two. What holds at the begin, and whenever somebody gets a new leader, then holds forever.
    pub(crate) fn safe_mm_s(&self, budget_mm: i32) -> i32 {
        self.safe_at(budget_mm, self.tau_ms)
    }

    /// As [`Driver::safe_mm_s`] with another headway, ms, of at least 1,000.
    pub(crate) fn safe_at(&self, budget_mm: i32, tau_ms: i32) -> i32 {
        let budget = i64::from(budget_mm.clamp(0, HORIZON_MM));
        let (decel, tau) = (i64::from(self.decel_mm_s2), i64::from(tau_ms));
        // First guess of the number of decelerations from the continuous formula, then the exact one.
        let (b, lag) = (self.decel_mm_s2 as f32, tau_ms as f32 / 1_000.0 - 0.5);
        let mut steps = ((lag * lag + 2.0 * budget as f32 / b).sqrt() - lag).max(0.0) as i64;
        loop {
            // Between `steps` and `steps + 1` decelerations the condition is linear in v.
            let v = 1_000 * (budget + decel * steps * (steps + 1) / 2) / (tau + 1_000 * steps);
            if v >= (steps + 1) * decel {
                steps += 1;
            } else if v < steps * decel {
                steps -= 1;
            } else {
                return v as i32;
            }
        }
    }

    /// Fastest speed, mm/s, for the coming second from which one is down to another when a line is reached: all seconds
    /// that are driven faster end before it.
    pub(crate) fn slowing_mm_s(&self, distance_mm: i32, to_mm_s: i32) -> i32 {
        let (distance, decel, to) = (i64::from(distance_mm), i64::from(self.decel_mm_s2), i64::from(to_mm_s));
        // With n more such seconds after the coming one, each slower than the last by the deceleration, they take
        // (n + 1) · v − decel · n · (n + 1) / 2, and n more fit if they do at the least v that needs so many.
        let mut more = 0;
        if distance <= to {
            return to_mm_s;
        }
        while (more + 2) * (2 * to + (more + 1) * decel) < 2 * distance {
            more += 1;
        }
        let fits = distance / (more + 1) + decel * more / 2;
        fits.min(to + (more + 1) * decel).max(to) as i32
    }

    /// Whether a vehicle can keep clear of what is ahead by braking, now and ever after.
    pub(crate) fn is_safe(&self, speed_mm_s: i32, gap_mm: i32, leader_brake_mm: i32) -> bool {
        gap_mm >= 0 && self.brake_mm(speed_mm_s) <= gap_mm + leader_brake_mm
    }

    /// The speed for the coming second, mm/s. `allowed` is the least of all safe speeds and the limit; `dawdle` is even,
    /// 0 to 2³² − 1.
    pub(crate) fn next_mm_s(&self, speed: i32, allowed: i32, dawdle: u32) -> i32 {
        let hardest = (speed - self.decel_mm_s2).max(0);
        let wanted = (speed + self.accel_mm_s2).min(allowed).max(hardest);
        // As in SUMO: who is slower than one acceleration dawdles less, so that queues do start.
        let most = if wanted < self.accel_mm_s2 {
            (i64::from(self.sigma_permille) * i64::from(wanted) / 1_000) as i32
        } else {
            self.dawdle_mm_s
        };
        let next = (wanted - ((i64::from(most) * i64::from(dawdle)) >> 32) as i32).max(hardest);
        if next < STANDING_MM_S { hardest } else { next }
    }

    /// The speed after one second by the Intelligent Driver Model, mm/s; not yet guarded by the safe speed.
    pub(crate) fn idm_mm_s(&self, speed: i32, wanted: i32, ahead: Option<(i32, i32)>) -> i32 {
        let (v, a, b) = (speed as f32, self.accel_mm_s2 as f32, self.decel_mm_s2 as f32);
        let share = v / wanted.max(1) as f32;
        let mut change = 1.0 - share * share * share * share;
        if let Some((gap_mm, leader)) = ahead {
            let closing = v * (v - leader as f32) / (2.0 * (a * b).sqrt());
            let desired = self.min_gap_mm as f32 + (v * self.tau_ms as f32 / 1_000.0 + closing).max(0.0);
            // Gaps are counted beyond the minimum everywhere else.
            let ratio = desired / (gap_mm + self.min_gap_mm).max(1) as f32;
            change -= ratio * ratio;
        }
        (v + (a * change).max(-b)).max(0.0) as i32
    }
}

/// See [`Driver::brake_mm`].
pub(crate) fn brake_mm(speed_mm_s: i32, decel_mm_s2: i32) -> i32 {
    let steps = speed_mm_s / decel_mm_s2;
    steps * speed_mm_s - decel_mm_s2 * steps * (steps + 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drivers() -> [Driver; 3] {
        [VehicleType::car(), VehicleType::bus(), VehicleType::truck()].map(|t| Driver::new(&t))
    }

    #[test]
    fn the_braking_distance_is_that_of_the_steps() {
        for driver in drivers() {
            for speed in [0, 99, 4_499, 4_500, 4_501, 13_889, 27_778, 90_000] {
                let (mut v, mut way) = (speed, 0);
                while v > 0 {
                    v = (v - driver.decel_mm_s2).max(0);
                    way += v;
                }
                assert_eq!(driver.brake_mm(speed), way, "{speed} mm/s");
            }
        }
    }

    #[test]
    fn who_slows_down_is_slow_enough_at_the_line_and_no_second_earlier() {
        for driver in drivers() {
            for to in [1, 1_500, 5_000, 9_999] {
                // Of the seconds that are driven faster than `to` the last ends at the line or before.
                let fits = |mut v: i32, distance: i32| {
                    let mut way = 0;
                    while v > to {
                        way += v;
                        v -= driver.decel_mm_s2;
                    }
                    way <= distance
                };
                for distance in (0..150_000).step_by(41) {
                    let v = driver.slowing_mm_s(distance, to);
                    assert!(v == to || fits(v, distance), "{distance} mm to {to} mm/s gave {v} mm/s");
                    assert!(!fits(v + driver.decel_mm_s2 + 2, distance), "{distance} mm to {to} mm/s gave {v} mm/s");
                }
            }
        }
    }

    #[test]
    fn the_safe_speed_is_the_fastest_that_fits_its_budget() {
        for driver in drivers() {
            let fits = |v: i32, budget: i32| {
                i64::from(driver.tau_ms) * i64::from(v) + 1_000 * i64::from(driver.brake_mm(v))
                    <= 1_000 * i64::from(budget)
            };
            for budget in (0..300_000).step_by(37) {
                let v = driver.safe_mm_s(budget);
                assert!(fits(v, budget) && !fits(v + 2, budget), "budget {budget} mm gave {v} mm/s");
            }
            assert_eq!(driver.safe_mm_s(-5), 0);
        }
    }

    #[test]
    fn a_follower_never_touches_a_leader_that_does_its_worst() {
        use crate::random::{Stream, below, bits};
        for seed in 0..300 {
            let at = |who, step, bound| below(bound, seed, who, step, Stream::Origin) as i32;
            let (follower, ahead) = (drivers()[at(6, 0, 3) as usize], drivers()[at(7, 0, 3) as usize]);
            let (mut v, mut leader) = (0, at(1, 0, 28_000));
            let mut gap = at(2, 0, 60_000);
            for step in 0..400 {
                // Any speed within the leader's reach, often full braking.
                let least = (leader - ahead.decel_mm_s2).max(0);
                let reach = at(3, step, (leader + ahead.accel_mm_s2 - least + 1) as u64);
                let next_leader = if at(4, step, 3) == 0 { least } else { least + reach };
                let budget = gap + follower.leader_brake_mm(leader, ahead.decel_mm_s2);
                let allowed = follower.safe_mm_s(budget).min(33_000);
                v = follower.next_mm_s(v, allowed, bits(seed, 5, step, Stream::Dawdle) as u32);
                leader = next_leader.min(33_000).max(least);
                gap += leader - v;
                let brake = follower.leader_brake_mm(leader, ahead.decel_mm_s2);
                assert!(follower.is_safe(v, gap, brake), "seed {seed} step {step}: gap {gap}");
            }
        }
    }

    #[test]
    fn what_no_vehicle_can_be_is_refused_by_name() {
        for (bad, says) in [
            (VehicleType { length_mm: 0, ..VehicleType::car() }, "vehicle type car: its length"),
            (VehicleType { tau_s: 0.5, ..VehicleType::bus() }, "vehicle type bus: its headway"),
            (VehicleType { accel_mps2: f32::NAN, ..VehicleType::car() }, "its acceleration"),
        ] {
            assert!(bad.check().unwrap_err().to_string().contains(says), "{bad:?}");
        }
    }
}
