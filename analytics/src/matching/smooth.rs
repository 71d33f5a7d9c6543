//! The white part of the error of positions, told from the rest and taken out.
//!
//! Upstream: [`super::track`] with the fixes of one vehicle. Downstream: the model and the spots, which see the
//! smoothed place of a fix in place of the raw one.
//!
//! Errors of a receiver have a slow part (satellites, atmosphere), which no average removes, and a part that is new
//! with every fix. The new part is seen where three fixes follow closely: how far the middle one is aside of the line
//! between its neighbours; the slow part and the drive cancel there. When it is large, a Kalman filter (R. E. Kalman,
//! "A New Approach to Linear Filtering and Prediction Problems", 1960) takes it out: the prediction is the last
//! place carried on by speed and course as the vehicle reports them (from Doppler, so free of the error of the
//! position), the correction is the fix. A vehicle that does not report both is left alone: without them a filter
//! lags behind at every turn and stop.

use events::HeadingDeg;
use serde::{Deserialize, Serialize};

use super::drift::Lag;
use super::fix::Fix;
use super::ground::{Ground, Point};
use super::model::Scale;

/// Fixes farther apart than this tell nothing of each other's error, milliseconds.
pub(super) const APART_MS_MAX: i64 = 3_000;

/// So many middles are the memory of the estimate, and with fewer than so many it is not believed.
const MEMORY: u8 = 40;
const BELIEVED: u8 = 4;

/// White errors below this are not worth the work, metres.
const WHITE_M_MIN: f32 = 3.0;

/// Error of a velocity as receivers tell it: of the speed, m/s, and of the course, radians (6°).
const SPEED_MPS: f32 = 0.5;
const COURSE_RAD: f32 = 0.1;

/// Up to this speed a course need not be told, m/s; what is not told counts as error.
const SLOW_MPS: f32 = 2.5;

/// A fix that is so many times its expected distance from the prediction is believed, and the prediction is not.
pub(super) const SURPRISE: f32 = 6.0;

/// The covariance of a place of which nothing is known.
const NOWHERE_M2: [f32; 3] = [f32::INFINITY, 0.0, f32::INFINITY];

/// What is remembered of one vehicle for smoothing.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// The smoothed place of the newest fix, and its covariance (east, between, north); infinite when there is none, as
    /// for every fix before an error is believed. Of white errors it is the same on both axes.
    pub(super) at: Point,
    pub(super) cov_m2: [f32; 3],
    /// Variance per axis of the white error, and how many middles it is from.
    white_m2: f32,
    seen: u8,
    /// Of how long ago a told speed is: see [`super::drift`].
    pub(super) lag: Lag,
}

/// What a vehicle says about its motion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Velocity {
    east_mps: f32,
    north_mps: f32,
    /// How wrong that may be, the speed in a direction that it did not tell included.
    error_mps: f32,
}

impl Velocity {
    /// `None` when it moves but does not say where to.
    pub(crate) fn new(speed_mps: f32, heading: Option<HeadingDeg>) -> Option<Self> {
        let Some(heading) = heading else {
            let slow = speed_mps <= SLOW_MPS;
            return slow.then_some(Self { east_mps: 0.0, north_mps: 0.0, error_mps: SPEED_MPS + speed_mps });
        };
        let (east, north) = heading.get().to_radians().sin_cos();
        Some(Self {
            east_mps: speed_mps * east,
            north_mps: speed_mps * north,
            error_mps: SPEED_MPS + COURSE_RAD * speed_mps,
        })
    }
}

impl Filter {
    /// White error per axis, metres; 0 while it is small or unknown.
    pub(crate) fn white_m(&self) -> f32 {
        let large = self.seen >= BELIEVED && self.white_m2 >= WHITE_M_MIN * WHITE_M_MIN;
        if large { self.white_m2.sqrt() } else { 0.0 }
    }

    /// Begins again at a fix of which nothing before is known; what is known of the error stays.
    pub(crate) fn restart(&mut self) {
        self.cov_m2 = NOWHERE_M2;
    }

    /// Learns from the three newest fixes.
    pub(crate) fn learn(&mut self, ground: &Ground, scale: &Scale, [first, middle, last]: [&Fix; 3]) {
        let (before_ms, after_ms) = (middle.time_ms - first.time_ms, last.time_ms - middle.time_ms);
        if before_ms > APART_MS_MAX || after_ms > APART_MS_MAX {
            return;
        }
        let share = before_ms as f32 / (before_ms + after_ms) as f32;
        let [a, b, c] = [first, middle, last].map(|f| ground.point(f.at));
        let shrink = ground.shrink(b);
        let (x, y) = ((b.x - a.x - share * (c.x - a.x)) * shrink, b.y - a.y - share * (c.y - a.y));
        // Across the way only: along it whoever brakes or pulls away is off the line as well. Who stands has no way.
        let (way_x, way_y) = ((c.x - a.x) * shrink, c.y - a.y);
        let way2_m2 = way_x * way_x + way_y * way_y;
        let across = x * way_y - y * way_x;
        let off_m2 = if way2_m2 > 0.0 { across * across / way2_m2 } else { (x * x + y * y) * 0.5 };
        // The variances of three errors add up with the squares of their shares.
        let rest = 1.0 - share;
        let found_m2 = off_m2 / (1.0 + share * share + rest * rest);
        // A jump is no noise: at most three times the typical error counts.
        let found_m2 = found_m2.min(9.0 * scale.sigma_m * scale.sigma_m);
        self.seen = (self.seen + 1).min(MEMORY);
        self.white_m2 += (found_m2 - self.white_m2) / f32::from(self.seen);
    }

    /// The smoothed place of the newest fix and the typical error that is left, given the fix before it.
    pub(crate) fn place(&mut self, ground: &Ground, scale: &Scale, before: Option<&Fix>, fix: &Fix) -> (Point, f32) {
        let raw = ground.point(fix.at);
        let (white_m2, all_m2) = (self.white_m2.min(scale.sigma_m * scale.sigma_m), scale.sigma_m * scale.sigma_m);
        if self.white_m() == 0.0 {
            self.restart();
            return (raw, scale.sigma_m);
        }
        let predicted = before.and_then(|b| self.predict(ground, b, fix));
        let shrink = ground.shrink(raw);
        let kept = predicted.filter(|&(at, variance_m2)| {
            let (x, y) = ((raw.x - at.x) * shrink, raw.y - at.y);
            x * x + y * y < SURPRISE * SURPRISE * (variance_m2 + white_m2)
        });
        let Some((at, variance_m2)) = kept else {
            (self.at, self.cov_m2) = (raw, [white_m2, 0.0, white_m2]);
            return (raw, scale.sigma_m);
        };
        let gain = variance_m2 / (variance_m2 + white_m2);
        self.at = Point { x: at.x + gain * (raw.x - at.x), y: at.y + gain * (raw.y - at.y) };
        let left_m2 = (1.0 - gain) * variance_m2;
        self.cov_m2 = [left_m2, 0.0, left_m2];
        (self.at, (all_m2 - white_m2 + left_m2).sqrt())
    }

    /// The last place carried on, with its variance; `None` when nothing is known.
    fn predict(&self, ground: &Ground, before: &Fix, fix: &Fix) -> Option<(Point, f32)> {
        let took_ms = fix.time_ms - before.time_ms;
        let variance_m2 = self.cov_m2[0].max(self.cov_m2[2]);
        if !variance_m2.is_finite() || took_ms > APART_MS_MAX {
            return None;
        }
        let (from, to) = (before.velocity()?, fix.velocity()?);
        let took_s = took_ms as f32 / 1_000.0;
        let (east_m, north_m) =
            ((from.east_mps + to.east_mps) * 0.5 * took_s, (from.north_mps + to.north_mps) * 0.5 * took_s);
        let error_m = (from.error_mps + to.error_mps) * 0.5 * took_s;
        let at = Point { x: self.at.x + east_m / ground.shrink(self.at), y: self.at.y + north_m };
        Some((at, variance_m2 + error_m * error_m))
    }
}
