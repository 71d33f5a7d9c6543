//! Demand: who drives from where to where, and by which route.
//!
//! Origins and destinations are drawn by lane-metres and nearness to the centre; routes are the fastest by the
//! mean speeds of the last minutes. There is no profile over the day yet. Upstream: the network, the world's
//! measured speeds. Downstream: the world, which finds room for each trip.

use roads::{Network, Search, SegmentIndex};

use crate::random::{Stream, unit};
use crate::vehicle::VehicleId;

/// Trips begin and end in the middle of segments at least this long, m, so that there is room for both.
pub const SEGMENT_LENGTH_MIN_M: f64 = 40.0;

/// Shortest trip, segments: both ends and something to drive between them.
const ROUTE_SEGMENTS_MIN: usize = 3;

/// How much less a place at the edge of the network attracts than its centre; assumed.
const EDGE_SHARE: f64 = 0.2;

/// Slowest speed that is believed when a route is sought, m/s: a standing queue does move on.
const ROUTING_SPEED_MIN_MPS: f32 = 0.5;

/// Weight of the newest minute in the speeds for routing; the rest are the minutes before it.
const NEWEST_SHARE: f32 = 0.5;

/// Draws trips and finds routes.
#[derive(Debug)]
pub(crate) struct Demand {
    seed: u64,
    /// Where trips may begin and end, with the running sum of their weights.
    places: Vec<(SegmentIndex, f64)>,
    /// Seconds per segment.
    travel_s: Vec<f32>,
    free_flow_s: Vec<f32>,
    search: Search,
}

impl Demand {
    pub(crate) fn new(network: &Network, seed: u64) -> Self {
        let [west, south, east, north] = network.bbox();
        let (centre, half) =
            ([(west + east) / 2.0, (south + north) / 2.0], [(east - west) / 2.0, (north - south) / 2.0]);
        let mut places = Vec::new();
        let mut sum = 0.0;
        for at in network.indices() {
            let segment = network.segment(at);
            if segment.length_m < SEGMENT_LENGTH_MIN_M || network.successors(at).is_empty() {
                continue;
            }
            let middle = network.place(at, segment.length_m / 2.0);
            // 0 in the centre, 1 half way to a corner of the box.
            let x = (middle.lon_deg() - centre[0]) / half[0].max(1e-9);
            let y = (middle.lat_deg() - centre[1]) / half[1].max(1e-9);
            let attraction = EDGE_SHARE + (1.0 - EDGE_SHARE) / (1.0 + 4.0 * (x * x + y * y));
            sum += segment.length_m * f64::from(segment.lanes.max(1)) * attraction;
            places.push((at, sum));
        }
        let free_flow_s: Vec<f32> = network
            .segments()
            .iter()
            .map(|s| s.length_m as f32 / s.free_flow_mps().max(ROUTING_SPEED_MIN_MPS))
            .collect();
        Self { seed, places, travel_s: free_flow_s.clone(), free_flow_s, search: Search::new() }
    }

    /// Segments on which trips begin and end.
    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }

    /// A route for a trip; `None` if the two places drawn by this `attempt` are too near or not connected.
    pub(crate) fn trip(&mut self, network: &Network, id: VehicleId, attempt: u64) -> Option<Vec<SegmentIndex>> {
        let from = self.place(id, attempt, Stream::Origin)?;
        let to = self.place(id, attempt, Stream::Destination)?;
        self.route(network, from, to).filter(|route| route.len() >= ROUTE_SEGMENTS_MIN)
    }

    /// The fastest way by current speeds, both ends included.
    pub(crate) fn route(
        &mut self,
        network: &Network,
        from: SegmentIndex,
        to: SegmentIndex,
    ) -> Option<Vec<SegmentIndex>> {
        self.search.fastest(network, from, to, &self.travel_s)
    }

    /// Takes in the speed of a segment over the last minute, m/s; `None` where nobody drove, which lets the
    /// expectation return towards free flow.
    pub(crate) fn observe(&mut self, at: SegmentIndex, length_m: f64, mean_mps: Option<f32>) {
        let free = self.free_flow_s[at.at()];
        let newest = mean_mps.map_or(free, |v| (length_m as f32 / v.max(ROUTING_SPEED_MIN_MPS)).max(free));
        let travel = &mut self.travel_s[at.at()];
        *travel += NEWEST_SHARE * (newest - *travel);
    }

    fn place(&self, id: VehicleId, attempt: u64, stream: Stream) -> Option<SegmentIndex> {
        let (_, sum) = self.places.last()?;
        let drawn = unit(self.seed, id.0, attempt, stream) * sum;
        let at = self.places.partition_point(|(_, upto)| *upto <= drawn);
        self.places.get(at).map(|(segment, _)| *segment)
    }
}
