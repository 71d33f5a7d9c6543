//! Where detectors stand.
//!
//! Upstream: [`super::Engine`] with the name and the place that a detector gives. Downstream: [`crate::detector`].

use events::LonLat;
use roads::{Network, SegmentId, SegmentIndex};

use crate::detector::Site;

/// How far from its street a detector may be drawn, metres.
const DETECTOR_RADIUS_M: f64 = 30.0;

/// Free-flow speed over a detector that lies on no street of the network, m/s: 60 mph, the constant of PeMS.
const FREE_FLOW_DEFAULT_MPS: f64 = 26.8;

/// Where a detector stands: the street nearest to it gives its free-flow speed. Which direction of a street it measures
/// cannot be told from its place, so its segment is known only where nothing else is near, or where its name ends in
/// `-` and the id of a segment that is.
pub(super) fn site_of(network: &Network, source: &str, at: Option<LonLat>) -> Site {
    let mut near = Vec::new();
    if let Some(at) = at {
        network.nearest(at, DETECTOR_RADIUS_M, &mut near);
    }
    let free_mps = |segment| f64::from(network.segment(segment).free_flow_mps());
    let named = segment_of_loop(network, source).filter(|segment| near.iter().any(|street| street.segment == *segment));
    let segment = match (named, &near[..]) {
        (Some(segment), _) => Some(segment),
        (None, [only]) => Some(only.segment),
        (None, _) => None,
    };
    let nearest = segment.or(near.first().map(|street| street.segment));
    Site { free_mps: nearest.map_or(FREE_FLOW_DEFAULT_MPS, free_mps), segment }
}

/// The segment of a loop whose name ends with the segment's id after a hyphen, as those of the simulator do. A place
/// alone does not say which direction of a street a loop counts.
pub(super) fn segment_of_loop(network: &Network, source: &str) -> Option<SegmentIndex> {
    let (_, id) = source.rsplit_once('-')?;
    network.by_id(id.parse::<SegmentId>().ok()?)
}
