//! One fix → a spot on the network: the nearest segment whose direction agrees, with the last spot in mind.
//!
//! Upstream: the track in [`super`]. Downstream: [`super::step`].

use events::{HeadingDeg, LonLat};
use roads::{Candidate, Network, SegmentIndex};

/// Where a fix was placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spot {
    On {
        segment: SegmentIndex,
        offset_m: f64,
    },
    /// Inside a junction of the source's own network.
    Junction,
    /// Too far from every segment.
    Off,
}

/// What is known of the fix before.
pub struct Previous {
    pub at: LonLat,
    pub spot: Spot,
    pub course: Option<HeadingDeg>,
}

/// Typical lateral error of a fix against the line that is drawn for its street, metres: GPS error and the
/// width of the street (pNEUMA against OpenStreetMap: 2.3 m at the median, 7 m at 90 %).
const SIGMA_M: f64 = 6.0;

/// Typical error of a course against the direction of the street, degrees.
const SIGMA_DEG: f64 = 30.0;

/// A movement shorter than this says nothing about direction, metres.
const COURSE_MOVE_M: f64 = 3.0;

/// What it costs to leave the last segment for one that it does not lead to, in squared standard errors.
const DISCONNECTED_COST: f64 = 4.0;

/// What it costs to go on to a following segment, so that noise at a border does not flicker.
const NEXT_COST: f64 = 0.25;

/// Backward movement on one segment that is still noise, metres.
const BACKWARD_NOISE_M: f64 = 5.0;

/// Direction of travel: reported, else from the movement since the last fix, else what it was before
/// (a repeated position is a red light).
pub fn course(previous: Option<&Previous>, at: LonLat, reported: Option<HeadingDeg>) -> Option<HeadingDeg> {
    if reported.is_some() {
        return reported;
    }
    let previous = previous?;
    if previous.at.distance_m(at) >= COURSE_MOVE_M {
        return previous.at.bearing_to(at);
    }
    previous.course
}

/// Places one fix. Allocates only when `candidates` grows.
pub fn place(
    network: &Network,
    at: LonLat,
    course: Option<HeadingDeg>,
    previous: Option<&Previous>,
    radius_m: f64,
    candidates: &mut Vec<Candidate>,
) -> Spot {
    network.nearest(at, radius_m, candidates);
    let last = match previous.map(|p| p.spot) {
        Some(Spot::On { segment, offset_m }) => Some((segment, offset_m)),
        Some(Spot::Junction | Spot::Off) | None => None,
    };
    let cost = |c: &Candidate| {
        let aside = (c.distance_m / SIGMA_M).powi(2);
        let turned = course.map_or(0.0, |course| (f64::from(course.angle_to(c.heading)) / SIGMA_DEG).powi(2));
        aside + turned + last.map_or(0.0, |last| transition_cost(network, last, c))
    };
    candidates
        .iter()
        .map(|c| (cost(c), c))
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.segment.cmp(&b.1.segment)))
        .map_or(Spot::Off, |(_, c)| Spot::On { segment: c.segment, offset_m: c.offset_m })
}

fn transition_cost(network: &Network, (segment, offset_m): (SegmentIndex, f64), to: &Candidate) -> f64 {
    if segment == to.segment {
        let back_m = offset_m - to.offset_m;
        return if back_m > BACKWARD_NOISE_M { (back_m / BACKWARD_NOISE_M).min(DISCONNECTED_COST) } else { 0.0 };
    }
    if network.successors(segment).contains(&to.segment) { NEXT_COST } else { DISCONNECTED_COST }
}
