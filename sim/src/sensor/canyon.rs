//! Where walls stand close: the streets in which satellites are hidden and mirrored.
//!
//! The rule: a street of class tertiary or lower with one lane in its direction, no bridge, whose middle lies
//! within [`CENTRE_SHARE`] of the way from the middle of the network's box to its edge. A map has no heights of houses; that narrow
//! streets of a centre are the canyons is assumed. Upstream: the network. Downstream: the receivers.

use events::LonLat;
use roads::{Network, RoadClass, SegmentIndex};

use crate::random::{Stream, unit};

/// How far the centre reaches; assumed.
pub const CENTRE_SHARE: f64 = 0.35;

/// Least and greatest deviation between walls, m per axis; each street has its own.
pub const CANYON_SIGMA_M: [f64; 2] = [10.0, 25.0];

/// Deviation that each segment adds, m, by index; 0 under open sky.
pub(super) fn find(network: &Network, seed: u64) -> Vec<f32> {
    let [west, south, east, north] = network.bbox();
    let off = |at: f64, low: f64, high: f64| (at - (low + high) / 2.0) / ((high - low) / 2.0).max(1e-9);
    let of = |at: SegmentIndex| {
        let segment = network.segment(at);
        let middle: LonLat = network.place(at, segment.length_m / 2.0);
        let (x, y) = (off(middle.lon_deg(), west, east), off(middle.lat_deg(), south, north));
        let narrow = segment.class >= RoadClass::Tertiary && segment.lanes <= 1 && !segment.structure.is_bridge;
        if !narrow || x * x + y * y > CENTRE_SHARE * CENTRE_SHARE {
            return 0.0;
        }
        let [least, most] = CANYON_SIGMA_M;
        (least + (most - least) * unit(seed, segment.id.0, 0, Stream::CanyonDepth)) as f32
    };
    network.indices().map(of).collect()
}
