//! The straight pieces of a segment's line, for whoever works out places on the same segments over and over.
//!
//! Upstream: the network. Downstream: the simulator's sensors, which keep them and what else they know of each.

use super::{Network, Stored};
use crate::segment::SegmentIndex;

/// The way from one vertex of a segment's line to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// Metres from the segment's begin.
    pub begin_m: f64,
    pub length_m: f64,
    /// Lon, lat of its begin, degrees.
    pub begin_deg: [f64; 2],
    /// From there to its end.
    pub way_deg: [f64; 2],
}

impl Piece {
    /// Lon, lat, degrees, `offset_m` along the segment, which is clamped to the piece: to the bit what
    /// [`Network::place`] says of the same offset, whose piece this is.
    #[inline]
    pub fn place(&self, offset_m: f64) -> [f64; 2] {
        let share = (offset_m - self.begin_m) / self.length_m;
        let share = if share > 0.0 { share.min(1.0) } else { 0.0 };
        let ([lon, lat], [east, north]) = (self.begin_deg, self.way_deg);
        let place = [lon + share * east, lat + share * north];
        // Where the network says so, too: 0, 0 is no place.
        if place == [0.0, 0.0] { self.begin_deg } else { place }
    }
}

impl Network {
    /// The straight pieces of a segment in driving direction, at least one.
    pub fn pieces(&self, at: SegmentIndex) -> impl ExactSizeIterator<Item = Piece> + '_ {
        let Stored { points, along_m, .. } = &self.stored;
        let range = self.stored.range(at);
        (range.start..range.end - 1).map(|i| {
            let (from, to) = (points[i], points[i + 1]);
            Piece {
                begin_m: along_m[i],
                length_m: along_m[i + 1] - along_m[i],
                begin_deg: from,
                way_deg: [to[0] - from[0], to[1] - from[1]],
            }
        })
    }
}
