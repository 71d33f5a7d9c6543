//! Exact places on segments, the last few remembered.
//!
//! Upstream: [`super::fix`]. A step begins where the one before ended, and what is taken back was told a moment ago, so
//! most places are asked for more than once. Nothing depends on what is remembered.

use events::LonLat;
use roads::{Network, SegmentIndex};

/// So many are remembered.
const PLACES: usize = 8;

/// The last places that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Segment, position, metres from the segment's begin.
    last: [Option<(SegmentIndex, LonLat, f64)>; PLACES],
    next: usize,
}

impl Places {
    /// Metres from the begin of a segment to where it is nearest to a position.
    pub(crate) fn offset_m(&mut self, network: &Network, segment: SegmentIndex, at: LonLat) -> f64 {
        if let Some(offset_m) = self.known(segment, at) {
            return offset_m;
        }
        let offset_m = network.offset_m(segment, at);
        self.remember(segment, at, offset_m);
        offset_m
    }

    /// The same, if it is remembered.
    pub(crate) fn known(&self, segment: SegmentIndex, at: LonLat) -> Option<f64> {
        let is_same = |place: &&(SegmentIndex, LonLat, f64)| place.0 == segment && place.1 == at;
        self.last.iter().flatten().find(is_same).map(|place| place.2)
    }

    /// Remembers one in place of the oldest.
    pub(crate) fn remember(&mut self, segment: SegmentIndex, at: LonLat, offset_m: f64) {
        self.last[self.next] = Some((segment, at, offset_m));
        self.next = (self.next + 1) % PLACES;
    }
}
