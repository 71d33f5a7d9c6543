//! The error of a satellite receiver: slow, so that neighbouring fixes are wrong together, and worse between walls.
//!
//! Per axis the sum of a slow first-order autoregression, of white noise, and between walls of a second, faster
//! autoregression with now and then a jump. The slow part is what makes the error of a moving average, of a speed or
//! of a map match differ from that of independent noise. Upstream: the probes. Downstream: reports.
//!
//! Sources: white noise is rejected for Ornstein-Uhlenbeck and autoregressive models (Sensors 20:6050, 2020); the
//! autocorrelation of a consumer receiver bends at about a minute (Wilson, Garmin 12XL); 4.9 m for telephones under
//! open sky (gps.gov, GPS accuracy); 5 m in the open and 50 m in a canyon (GPS Solutions 22:7, 2018).

use serde::{Deserialize, Serialize};

use crate::random::{Stream, normal, unit};

/// What remains of the slow error after a second: e^(−1/60), a memory of 60 s.
const SLOW_KEPT: f64 = 0.983_471_453_821_617;

/// What remains of a canyon's error after a second: e^(−1/15), a memory of 15 s.
const CANYON_KEPT: f64 = 0.935_506_985_031_618;

/// Deviation of the error that is new with every fix, m per axis.
const WHITE_M: f64 = 0.4;

/// Receivers differ: the deviation of each is the mean times 1 ± this (2 to 3 m around 2.5 m).
const QUALITY_SPREAD: f64 = 0.2;

/// Share of the fixes between walls that jump.
pub(super) const JUMP_SHARE: f64 = 0.01;

/// Farthest jump, m.
const JUMP_M_MAX: f64 = 100.0;

/// Nearest jump, as a part of the farthest.
const JUMP_LEAST: f64 = 0.3;

/// Who asks for an error, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) seed: u64,
    pub(super) vehicle: u64,
    /// Number of the fix, from 1.
    pub(super) nth: u64,
    /// Whole seconds since the fix before it.
    pub(super) gap_s: u64,
    /// Mean deviation under open sky, m.
    pub(super) sigma_m: f64,
    /// Deviation that the place adds, m; 0 under open sky.
    pub(super) canyon_m: f64,
}

/// An error, m east and north.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Error {
    pub(super) east_m: f64,
    pub(super) north_m: f64,
    /// How far it jumped, m; 0 if it did not.
    pub(super) jump_m: f64,
}

/// What a receiver remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Receiver {
    /// East and north, m.
    slow_m: [f64; 2],
    canyon_m: [f64; 2],
}

impl Receiver {
    /// The error of the next fix.
    pub(super) fn next(&mut self, ask: &Asking) -> Error {
        let &Asking { seed, vehicle, nth, canyon_m, .. } = ask;
        let quality = 1.0 + QUALITY_SPREAD * (2.0 * unit(seed, vehicle, 0, Stream::ReceiverQuality) - 1.0);
        let sigma_m = ask.sigma_m * quality;
        let (slow, canyon) = (kept(SLOW_KEPT, ask.gap_s), kept(CANYON_KEPT, ask.gap_s));
        let mut error = [0.0; 2];
        let axes = [
            (Stream::NoiseEast, Stream::WhiteEast, Stream::CanyonEast),
            (Stream::NoiseNorth, Stream::WhiteNorth, Stream::CanyonNorth),
        ];
        for (axis, (slow_noise, white, canyon_noise)) in axes.into_iter().enumerate() {
            let fresh = sigma_m * normal(seed, vehicle, nth, slow_noise);
            let held = &mut self.slow_m[axis];
            *held = if nth == 1 { fresh } else { slow * *held + (1.0 - slow * slow).sqrt() * fresh };
            error[axis] = *held + WHITE_M * normal(seed, vehicle, nth, white);
            // Outside a canyon nothing new comes in, and what is left fades within some seconds.
            let fresh = if canyon_m > 0.0 { canyon_m * normal(seed, vehicle, nth, canyon_noise) } else { 0.0 };
            let held = &mut self.canyon_m[axis];
            *held = canyon * *held + (1.0 - canyon * canyon).sqrt() * fresh;
            error[axis] += *held;
        }
        let mut jump_m = 0.0;
        if canyon_m > 0.0 && unit(seed, vehicle, nth, Stream::CanyonJump) < JUMP_SHARE {
            let far = |half| unit(seed, vehicle, 2 * nth + half, Stream::CanyonDepth);
            jump_m = JUMP_M_MAX * (JUMP_LEAST + (1.0 - JUMP_LEAST) * far(0));
            // A point of a rhombus around the true place needs no sine and is as good a direction.
            let turn = 4.0 * far(1);
            let (along, side) = (turn.fract(), turn as u32);
            let length = (along * along + (1.0 - along) * (1.0 - along)).sqrt();
            let (a, b) = (jump_m * along / length, jump_m * (1.0 - along) / length);
            let (east, north) = [(a, b), (b, -a), (-a, -b), (-b, a)][side as usize % 4];
            error[0] += east;
            error[1] += north;
        }
        Error { east_m: error[0], north_m: error[1], jump_m }
    }
}

/// `a_second` to the power of the seconds, by products alone: the same on every machine.
fn kept(a_second: f64, seconds: u64) -> f64 {
    // After five minutes nothing is left that matters.
    let (mut left, mut square, mut product) = (seconds.min(300), a_second, 1.0);
    while left > 0 {
        if left & 1 == 1 {
            product *= square;
        }
        square *= square;
        left >>= 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_a_minute_and_a_quarter() {
        assert!((SLOW_KEPT - (-1.0_f64 / 60.0).exp()).abs() < 1e-12);
        assert!((CANYON_KEPT - (-1.0_f64 / 15.0).exp()).abs() < 1e-12);
        for seconds in [0, 1, 2, 7, 60, 300] {
            let exact = (-(seconds as f64) / 60.0).exp();
            assert!((kept(SLOW_KEPT, seconds) - exact).abs() < 1e-9, "{seconds}");
        }
    }

    /// Errors of one receiver, one fix a second: lag-1 products, squares, distances.
    fn open_sky(vehicle: u64, seed: u64) -> Vec<[f64; 2]> {
        let mut receiver = Receiver::default();
        let ask = |nth| Asking { seed, vehicle, nth, gap_s: 1, sigma_m: 2.5, canyon_m: 0.0 };
        (1..=600).map(|nth| receiver.next(&ask(nth))).map(|e| [e.east_m, e.north_m]).collect()
    }

    #[test]
    fn neighbouring_fixes_are_wrong_together_and_the_open_radius_is_that_of_a_telephone() {
        let seed = 41;
        let (mut products, mut squares, mut far) = (0.0, 0.0, Vec::new());
        for vehicle in 0..400 {
            let errors = open_sky(vehicle, seed);
            for pair in errors.windows(2) {
                products += pair[0][0] * pair[1][0] + pair[0][1] * pair[1][1];
                squares += pair[0][0] * pair[0][0] + pair[0][1] * pair[0][1];
            }
            far.extend(errors.iter().map(|e| e[0].hypot(e[1])));
        }
        far.sort_by(f64::total_cmp);
        let (lag_1, radius_m) = (products / squares, far[far.len() * 95 / 100]);
        println!("seed {seed}: lag-1 s autocorrelation {lag_1:.4}, 95 % radius {radius_m:.2} m");
        assert!((0.95..1.0).contains(&lag_1), "{lag_1}");
        assert!((4.5..=7.5).contains(&radius_m), "{radius_m} m");
    }

    #[test]
    fn walls_make_it_worse_and_their_error_fades_behind_them() {
        let seed = 42;
        let rms = |errors: &[Error]| {
            let squares: f64 = errors.iter().map(|e| e.east_m * e.east_m + e.north_m * e.north_m).sum();
            (squares / errors.len() as f64).sqrt()
        };
        let (mut inside, mut behind) = (Vec::new(), Vec::new());
        for vehicle in 0..400 {
            let mut receiver = Receiver::default();
            for nth in 1..=400 {
                let canyon_m = if nth <= 300 { 15.0 } else { 0.0 };
                let error = receiver.next(&Asking { seed, vehicle, nth, gap_s: 1, sigma_m: 2.5, canyon_m });
                match nth {
                    60..=300 => inside.push(error),
                    380.. => behind.push(error),
                    _ => {}
                }
            }
        }
        let jumps = inside.iter().filter(|e| e.jump_m > 0.0).count() as f64 / inside.len() as f64;
        println!(
            "seed {seed}: {:.1} m inside, {:.1} m behind, {:.2} % jumps",
            rms(&inside),
            rms(&behind),
            100.0 * jumps
        );
        assert!((18.0..27.0).contains(&rms(&inside)) && (3.0..4.5).contains(&rms(&behind)));
        assert!((jumps / JUMP_SHARE - 1.0).abs() < 0.1, "{jumps}");
        assert!(inside.iter().all(|e| e.jump_m == 0.0 || (30.0..=100.0).contains(&e.jump_m)));
        assert!(behind.iter().all(|e| e.jump_m == 0.0));
    }
}
