//! The slow part of the error of positions: what neighbouring fixes have in common, so that no average of them removes it.
//!
//! Upstream: [`super::track`], for vehicles that drive far aside of the streets and tell speed and course. Downstream: the
//! model and the spots, which see the place that is left.
//!
//! The place is reckoned on by speed and course from fix to fix (dead reckoning), which adds a few centimetres of error a
//! metre where a fix adds metres. What is known of it is a covariance (R. E. Kalman, 1960), and two things make it better:
//!
//! - the **fix**. Its error is correlated over about a minute (J. Rankin, "An Error Model for Sensor Simulation: GPS and
//!   Differential GPS", PLANS 1994; the bend at a minute: Wilson, Garmin 12XL), so a fix a second later says almost the same:
//!   as a measurement each counts with the variance of the error times twice the seconds of its memory over those between.
//! - the **street**: who drives along it is on its line. That fixes the place across the street, and, once the vehicle has
//!   turned, across the next one too, which was along the first: after a corner both are known to a metre or two.
//!
//! Receivers differ in what a told speed is: that of the moment, or the mean of the time since the last fix. Braking from
//! 14 m/s the two are 7 m apart, so it is learnt for every vehicle, by the distances between its fixes.

use serde::{Deserialize, Serialize};

use super::fix::Fix;
use super::ground::{Ground, Point};
use super::model::Scale;
use super::smooth::{APART_MS_MAX, Filter, SURPRISE};

/// The memory of a receiver's error, seconds.
const MEMORY_S: f32 = 60.0;

/// Vehicles are this far from the line of their street, metres: lanes, and maps.
const LINE_M: f32 = 1.5;

/// The nearest that a place can be known per axis, metres: what was left out here is not smaller.
const KNOWN_M: f32 = 0.5;

/// Error of a told speed, m/s and of 1, and of a course, radians.
const SPEED_MPS: f32 = 0.05;
const SPEED_SHARE: f32 = 0.015;
const COURSE_RAD: f32 = 0.05;

/// Slower than this a course is not believed to be that of the street, m/s.
const ALONG_MPS: f32 = 2.5;

/// A street is looked for within so many deviations, and so many metres at the most.
const STREET_DEVIATIONS: f32 = 3.5;
const STREET_M_MAX: f32 = 30.0;

/// Variance of the distance between two fixes, m², and what is assumed before anything is learnt: speeds are means of the
/// time since the last fix, to a quarter.
const STEP_M2: f32 = 1.0;
const LAG_PRIOR: f32 = STEP_M2 / (0.25 * 0.25);

/// Two courses are the same within 2.5°.
const STRAIGHT_COS: f32 = 0.999;

/// Of what is learnt of a vehicle so much is kept from second to second.
const LAG_KEPT: f32 = 0.998;

/// Sums of a regression: by how much of the change of speed a distance differs from speed times time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Lag {
    xx: f32,
    xy: f32,
}

impl Lag {
    fn learn(&mut self, changed_m: f32, differs_m: f32) {
        self.xx = LAG_KEPT * self.xx + changed_m * changed_m;
        self.xy = LAG_KEPT * self.xy + changed_m * differs_m;
    }

    /// 0 when a speed is the mean since the last fix, a half when it is that of the moment.
    fn share(self) -> f32 {
        (self.xy / (self.xx + LAG_PRIOR)).clamp(0.0, 1.0)
    }
}

/// What was driven since the fix before.
struct Driven {
    /// Unit vectors of the course before and now, and metres driven.
    from: [f32; 2],
    ahead: [f32; 2],
    along_m: f32,
    speed_mps: f32,
    took_s: f32,
}

impl Filter {
    /// The place of the newest fix, and how well it is known, metres per axis; `error_m2` is the variance per axis of the
    /// receiver's error.
    pub(super) fn reckon(
        &mut self,
        ground: &Ground,
        scale: &Scale,
        before: Option<&Fix>,
        fix: &Fix,
        error_m2: f32,
    ) -> (Point, f32) {
        let raw = ground.point(fix.at);
        let driven = before.filter(|_| self.is_known()).and_then(|b| self.driven(ground, b, fix));
        let Some(driven) = driven else {
            (self.at, self.cov_m2) = (raw, [error_m2, 0.0, error_m2]);
            return (raw, scale.sigma_m);
        };
        self.carry(ground, &driven);
        let shrink = ground.shrink(self.at);
        let off = [(raw.x - self.at.x) * shrink, raw.y - self.at.y];
        let most_m2 = error_m2 + self.cov_m2[0].max(self.cov_m2[2]);
        if off[0] * off[0] + off[1] * off[1] > SURPRISE * SURPRISE * most_m2 {
            // It jumped, or was led astray: begin again.
            (self.at, self.cov_m2) = (raw, [error_m2, 0.0, error_m2]);
            return (raw, scale.sigma_m);
        }
        let fix_m2 = error_m2 * (1.0 + 2.0 * MEMORY_S / driven.took_s.max(0.1));
        self.correct(shrink, [1.0, 0.0], off[0], fix_m2);
        self.correct(shrink, [0.0, 1.0], raw.y - self.at.y, fix_m2);
        if driven.speed_mps >= ALONG_MPS {
            let radius_m = (STREET_DEVIATIONS * self.known_m()).clamp(5.0, STREET_M_MAX);
            if let Some((off_m, normal)) = ground.line_along(self.at, radius_m, driven.ahead) {
                self.correct(shrink, normal, -off_m, LINE_M * LINE_M);
            }
        }
        (self.at, self.known_m())
    }

    /// Goes on from a place that is known as well as the newest one is.
    pub(super) fn stand_at(&mut self, at: Point) {
        self.at = at;
    }

    /// Whether a place is reckoned on.
    pub(super) fn is_known(&self) -> bool {
        self.cov_m2[0].is_finite() && self.cov_m2[0] > 0.0
    }

    /// Standard deviation along the axis on which less is known, metres.
    fn known_m(&self) -> f32 {
        self.cov_m2[0].max(self.cov_m2[2]).sqrt()
    }

    /// Speed and course between two fixes; learns what this vehicle's speeds are.
    fn driven(&mut self, ground: &Ground, before: &Fix, fix: &Fix) -> Option<Driven> {
        let took_ms = fix.time_ms - before.time_ms;
        let (was_mps, speed_mps) = (before.speed_mps()?, fix.speed_mps()?);
        let (course, _) = fix.course()?;
        if took_ms > APART_MS_MAX {
            return None;
        }
        let took_s = took_ms as f32 / 1_000.0;
        let (east, north) = course.get().to_radians().sin_cos();
        let ahead = [east, north];
        let changed_m = (was_mps - speed_mps) * took_s;
        let from = before.course().map_or(ahead, |(c, _)| c.get().to_radians().sin_cos().into());
        if from[0] * east + from[1] * north > STRAIGHT_COS && changed_m != 0.0 {
            let (a, b) = (ground.point(before.at), ground.point(fix.at));
            let moved_m = (b.x - a.x) * ground.shrink(a) * east + (b.y - a.y) * north;
            self.lag.learn(changed_m, moved_m - speed_mps * took_s);
        }
        let along_m = speed_mps * took_s + self.lag.share() * changed_m;
        Some(Driven { from, ahead, along_m, speed_mps, took_s })
    }

    fn carry(&mut self, ground: &Ground, driven: &Driven) {
        let ([east, north], shrink) = (driven.ahead, ground.shrink(self.at));
        // Who has turned has driven a part of it on the one course and the rest on the other, and any part is as likely.
        let turned = [driven.from[0] - east, driven.from[1] - north];
        self.at.x += driven.along_m * (east + 0.5 * turned[0]) / shrink;
        self.at.y += driven.along_m * (north + 0.5 * turned[1]);
        let part_m2 = driven.along_m * driven.along_m / 12.0;
        let along_m2 = ((SPEED_MPS + SPEED_SHARE * driven.speed_mps) * driven.took_s).powi(2);
        let across_m2 = (COURSE_RAD * driven.speed_mps * driven.took_s).powi(2);
        self.cov_m2[0] += along_m2 * east * east + across_m2 * north * north + part_m2 * turned[0] * turned[0];
        self.cov_m2[1] += (along_m2 - across_m2) * east * north + part_m2 * turned[0] * turned[1];
        self.cov_m2[2] += along_m2 * north * north + across_m2 * east * east + part_m2 * turned[1] * turned[1];
    }

    /// One measurement: the place is `off_m` farther along a unit vector than it is thought to be.
    fn correct(&mut self, shrink: f32, [east, north]: [f32; 2], off_m: f32, error_m2: f32) {
        let [ee, en, nn] = self.cov_m2;
        let toward = [ee * east + en * north, en * east + nn * north];
        let sum_m2 = toward[0] * east + toward[1] * north + error_m2;
        let gain = [toward[0] / sum_m2, toward[1] / sum_m2];
        self.at.x += gain[0] * off_m / shrink;
        self.at.y += gain[1] * off_m;
        let least_m2 = KNOWN_M * KNOWN_M;
        let between = en - gain[0] * toward[1];
        let (ee, nn) = ((ee - gain[0] * toward[0]).max(least_m2), (nn - gain[1] * toward[1]).max(least_m2));
        let most = (ee * nn).sqrt() * 0.99;
        self.cov_m2 = [ee, between.clamp(-most, most), nn];
    }
}

#[cfg(test)]
mod tests {
    use events::{HeadingDeg, LonLat};
    use roads::network::builder::{NetworkBuilder, NewSegment};
    use roads::{Network, RoadClass, SegmentId};

    use super::super::MatchConfig;
    use super::super::model::straight_m;
    use super::*;

    const LAT: f64 = 44.5;
    const EAST_DEG: f64 = 1.0 / 79_310.0;
    const NORTH_DEG: f64 = 1.0 / 111_195.0;

    fn place(east_m: f64, north_m: f64) -> LonLat {
        LonLat::new(11.0 + east_m * EAST_DEG, LAT + north_m * NORTH_DEG).unwrap()
    }

    /// 400 m to the east, then 400 m to the north.
    fn corner() -> Network {
        let mut b = NetworkBuilder::new("corner");
        let at = [place(0.0, 0.0), place(400.0, 0.0), place(400.0, 400.0)];
        let nodes = at.map(|p| b.node(p.lon_deg(), p.lat_deg()));
        for i in 0..2 {
            b.segment(NewSegment {
                id: SegmentId::of(&format!("corner {i}")),
                source_id: i.to_string(),
                source_offset_m: 0.0,
                name: None,
                class: RoadClass::Primary,
                from: nodes[i],
                to: nodes[i + 1],
                length_m: None,
                speed_limit_mps: 14.0,
                lanes: 1,
                line: vec![[at[i].lon_deg(), at[i].lat_deg()], [at[i + 1].lon_deg(), at[i + 1].lat_deg()]],
            });
        }
        b.build().unwrap()
    }

    /// Drives round the corner at 10 m/s with a receiver that is off by a constant; how far the last place is from the truth.
    fn left_m(east_m: f64, north_m: f64, seconds: i64) -> f32 {
        let (network, mut filter) = (corner(), Filter::default());
        let (ground, scale) = (Ground::new(&network), Scale::new(&MatchConfig::default()));
        filter.restart();
        let mut before: Option<Fix> = None;
        let mut left_m = f32::INFINITY;
        for second in 0..=seconds {
            let driven_m = 10.0 * second as f64 + 5.0;
            let (east, north) = (driven_m.min(400.0), (driven_m - 400.0).max(0.0));
            let heading = HeadingDeg::wrapped(if driven_m <= 400.0 { 90.0 } else { 0.0 });
            let at = place(east + east_m, north + north_m);
            let fix = Fix::new(second * 1_000, at, Some(10.0), Some(heading), true, None);
            let (found, _) = filter.reckon(&ground, &scale, before.as_ref(), &fix, 36.0);
            left_m = straight_m(&ground, found, ground.point(place(east, north)));
            before = Some(fix);
        }
        left_m
    }

    #[test]
    fn a_corner_tells_what_a_street_does_not() {
        // Along the first street nothing tells that all fixes are six metres ahead; across it the street does.
        assert!((5.0..7.0).contains(&left_m(6.0, -5.0, 30)), "{}", left_m(6.0, -5.0, 30));
        for (east_m, north_m) in [(6.0, -5.0), (-6.0, 5.0), (4.0, 7.0)] {
            assert!(left_m(east_m, north_m, 60) < 2.0, "{east_m} {north_m}: {} m", left_m(east_m, north_m, 60));
        }
    }

    #[test]
    fn it_is_learnt_of_how_long_ago_a_speed_is() {
        for told_share in [0.0, 0.5] {
            let mut lag = Lag::default();
            // Braking and pulling away by two metres a second each second.
            for step in 0..200 {
                let changed_m = if step / 5 % 2 == 0 { 2.0 } else { -2.0 };
                lag.learn(changed_m, told_share * changed_m);
            }
            assert!((lag.share() - told_share).abs() < 0.05, "{} for {told_share}", lag.share());
        }
    }
}
