//! The driver: how fast it is safe to go, and the constants of the model with their sources.
//!
//! Car-following after Krauss (Microscopic modeling of traffic flow, DLR-FB 98-08, 1998), in whole millimetres
//! and steps of one second, so that a run is the same on every machine and distances add up exactly. The
//! braking distance is that of the steps themselves, as in SUMO's Euler scheme, which makes the model
//! collision-free by construction: see [`safe_speed_mm_s`]. Upstream: nothing. Downstream: the world.

use std::collections::VecDeque;
use std::fmt;

use roads::SegmentIndex;

use crate::lane::LaneIndex;
use crate::scenario::ScenarioError;

/// Length of a vehicle, mm (SUMO, vehicle type defaults, passenger car: 5 m).
pub const LENGTH_MM: i64 = 5_000;

/// Bumper to bumper at standstill, mm (SUMO, passenger car: 2.5 m). With the length: 7.5 m, 133 vehicles/km.
pub const MIN_GAP_MM: i64 = 2_500;

/// Acceleration, mm/s² (SUMO, passenger car: 2.6 m/s²).
pub const ACCEL_MM_S2: i64 = 2_600;

/// Deceleration, mm/s² (SUMO, passenger car: 4.5 m/s²). Nobody ever brakes harder, and nobody has to.
pub const DECEL_MM_S2: i64 = 4_500;

/// Reaction time and desired headway τ, ms. At least the step of 1,000 ms, or the model is not safe.
///
/// With [`SIGMA_PERMILLE`] the pair whose capacity and wave speed came out right when SUMO 1.28 was measured
/// on a ring road: 2,041 veh/h/lane at 100 km/h, jam wave −19.6 km/h.
pub const TAU_MS: i64 = 1_300;

/// Imperfection σ, thousandths: a driver stays up to σ · [`ACCEL_MM_S2`] · 1 s below what is safe.
pub const SIGMA_PERMILLE: i64 = 200;

/// Slower than this is standing, mm/s: nobody creeps by millimetres towards a bumper.
pub const STANDING_MM_S: i64 = 100;

/// Share of the limit that a driver wants, thousandths: mean 1,000, deviation 100 (SUMO's `speedFactor` default
/// norm(1, 0.1)), cut at [`FACTOR_PERMILLE_MIN`] and [`FACTOR_PERMILLE_MAX`].
pub const FACTOR_PERMILLE_DEVIATION: f64 = 100.0;
/// Slowest driver, thousandths of the limit.
pub const FACTOR_PERMILLE_MIN: i64 = 800;
/// Fastest driver, thousandths of the limit.
pub const FACTOR_PERMILLE_MAX: i64 = 1_200;

/// How a driver follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// As fast as is safe, less a little imperfection.
    Krauss,
    /// Intelligent Driver Model: a smooth approach to a desired gap.
    Idm,
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
    pub model: Model,
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
            model: Model::Krauss,
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
        if !within(self.share, 0.0, 1e6) {
            return wrong("its share must be 0 or more");
        }
        Ok(())
    }
}

/// One trip of one vehicle; never used again within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VehicleId(pub u64);

impl fmt::Display for VehicleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// Where a vehicle is kept while it drives; used again afterwards, so always compared together with the id.
pub(crate) type Slot = usize;

/// A vehicle on the road.
#[derive(Clone, Debug)]
pub(crate) struct Vehicle {
    pub(crate) id: VehicleId,
    pub(crate) lane: LaneIndex,
    /// Front bumper from the begin of the lane, mm; 0 to the lane's length.
    pub(crate) pos_mm: i64,
    pub(crate) speed_mm_s: i64,
    /// Driven since departure, mm.
    pub(crate) odometer_mm: i64,
    pub(crate) factor_permille: i64,
    pub(crate) route: Vec<SegmentIndex>,
    /// Index in `route` of the segment that it is on.
    pub(crate) leg: usize,
    /// Lanes beyond the current one that it has been let onto, in order; at most
    /// [`crate::world::CLEARED_LANES_MAX`].
    pub(crate) cleared: VecDeque<LaneIndex>,
    /// Step in which it first asked to go on and was told to wait.
    pub(crate) waiting_since: Option<u64>,
    /// Seconds in which it stood and only a full lane kept it.
    pub(crate) blocked_s: u32,
    /// Seconds it has been standing, for whatever reason.
    pub(crate) standing_s: u32,
}

impl Vehicle {
    /// The lane whose end is as far as it may go.
    pub(crate) fn last_cleared(&self) -> LaneIndex {
        self.cleared.back().copied().unwrap_or(self.lane)
    }
}

/// Way to a standstill, mm, when the speed falls by [`DECEL_MM_S2`] in this and every following second.
pub fn brake_mm(speed_mm_s: i64) -> i64 {
    let steps = speed_mm_s / DECEL_MM_S2;
    steps * speed_mm_s - DECEL_MM_S2 * steps * (steps + 1) / 2
}

/// Fastest speed, mm/s, for the coming second with `budget_mm` of road: the largest v with
/// τ · v + brake(v) ≤ budget. The budget is the gap (beyond [`MIN_GAP_MM`]) plus the leader's own way to stop.
///
/// Why nobody collides: with brake(v) ≤ gap + brake(v of leader) now, slowing by [`DECEL_MM_S2`] keeps that
/// true after the second, and so does every speed that this function allows, because τ ≥ 1 s. A driver takes
/// the larger of the two. What holds at the begin, and whenever somebody gets a new leader, then holds forever.
pub fn safe_speed_mm_s(budget_mm: i64) -> i64 {
    let budget = budget_mm.max(0);
    let mut steps = 0;
    loop {
        // Between `steps` and `steps + 1` decelerations the condition is linear in v.
        let v = 1_000 * (budget + DECEL_MM_S2 * steps * (steps + 1) / 2) / (TAU_MS + 1_000 * steps);
        if v < (steps + 1) * DECEL_MM_S2 {
            return v;
        }
        steps += 1;
    }
}

/// Whether a vehicle can keep clear of what is ahead by braking, now and ever after.
pub(crate) fn is_safe(speed_mm_s: i64, gap_mm: i64, leader_mm_s: i64) -> bool {
    gap_mm >= 0 && brake_mm(speed_mm_s) <= gap_mm + brake_mm(leader_mm_s)
}

/// The speed for the coming second, mm/s.
///
/// `allowed` is the least of all safe speeds and the limit; `dawdle` is even, 0 to 2³² − 1.
pub(crate) fn next_speed_mm_s(speed: i64, allowed: i64, dawdle: u32) -> i64 {
    let hardest = (speed - DECEL_MM_S2).max(0);
    let wanted = (speed + ACCEL_MM_S2).min(allowed).max(hardest);
    // As in SUMO: who is slower than one acceleration dawdles less, so that queues do start.
    let most = SIGMA_PERMILLE * wanted.min(ACCEL_MM_S2) / 1_000;
    let next = (wanted - ((most * i64::from(dawdle)) >> 32)).max(hardest);
    if next < STANDING_MM_S { hardest } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_braking_distance_is_that_of_the_steps() {
        for speed in [0, 99, 4_499, 4_500, 4_501, 13_889, 27_778, 90_000] {
            let (mut v, mut way) = (speed, 0);
            while v > 0 {
                v = (v - DECEL_MM_S2).max(0);
                way += v;
            }
            assert_eq!(brake_mm(speed), way, "{speed} mm/s");
        }
    }

    #[test]
    fn the_safe_speed_is_the_fastest_that_fits_its_budget() {
        let fits = |v: i64, budget: i64| TAU_MS * v + 1_000 * brake_mm(v) <= 1_000 * budget;
        for budget in (0..200_000).step_by(37) {
            let v = safe_speed_mm_s(budget);
            assert!(fits(v, budget) && !fits(v + 2, budget), "budget {budget} mm gave {v} mm/s");
        }
        assert_eq!(safe_speed_mm_s(-5), 0);
    }

    #[test]
    fn a_follower_never_touches_a_leader_that_does_its_worst() {
        use crate::random::{Stream, below, bits};
        for seed in 0..200 {
            let at = |who, step, bound| below(bound, seed, who, step, Stream::Origin) as i64;
            let (mut v, mut leader) = (0, at(1, 0, 28_000));
            let mut gap = at(2, 0, 60_000);
            for step in 0..400 {
                // Any speed within the leader's reach, often full braking.
                let least = (leader - DECEL_MM_S2).max(0);
                let reach = at(3, step, (leader + ACCEL_MM_S2 - least + 1) as u64);
                let next_leader = if at(4, step, 3) == 0 { least } else { least + reach };
                let allowed = safe_speed_mm_s(gap + brake_mm(leader)).min(33_000);
                v = next_speed_mm_s(v, allowed, bits(seed, 5, step, Stream::Dawdle) as u32);
                leader = next_leader.min(33_000).max(least);
                gap += leader - v;
                assert!(is_safe(v, gap, leader), "seed {seed} step {step}: gap {gap}");
            }
        }
    }
}
