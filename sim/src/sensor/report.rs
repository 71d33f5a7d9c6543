//! What is reported of one second, without text: positions as rows of whole numbers, the rest as events.
//!
//! Positions are as precise as the JSON that carries them: 1e-7 degrees (11 mm) as receivers tell them, 1e-9 degrees
//! (0.1 mm) when they are exact, so that an oracle can be held against them to the millimetre; mm/s, tenths of a degree.
//! Upstream: the sensors. Downstream: the encoder, the tables, and whoever wants [`Event`]s.

use events::{EdgeFix, Event, HeadingDeg, LonLat, MetresPerSecond, Position, TimeMs};
use roads::{Network, SegmentIndex};
use serde::{Deserialize, Serialize};

/// Where a vehicle says it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionReport {
    /// The number of its id.
    pub vehicle: u64,
    /// Counts up per vehicle from 1.
    pub seq: u32,
    /// By its own clock.
    pub time_ms: i64,
    /// When it reaches the server, true time; never before the second in which it was measured.
    pub arrival_ms: i64,
    pub lon_e7: i32,
    pub lat_e7: i32,
    /// Two more digits of longitude and latitude, billionths of a degree, of the same sign; 0 unless exact.
    pub rest_e9: [i8; 2],
    pub speed_mm_s: u32,
    /// Tenths of a degree, below 3,600.
    pub heading_ddeg: u16,
    /// Index of the true segment.
    pub segment: u32,
    /// True offset on it.
    pub offset_mm: u32,
}

impl PositionReport {
    /// Longitude, degrees.
    pub fn lon_deg(&self) -> f64 {
        degrees(self.lon_e7, self.rest_e9[0])
    }

    /// Latitude, degrees.
    pub fn lat_deg(&self) -> f64 {
        degrees(self.lat_e7, self.rest_e9[1])
    }

    /// The same as an event, equal to what its JSON is decoded to.
    pub fn event(&self, gateway: &str, network: &Network, with_edge: bool) -> Event {
        let edge_id = || network.segment(SegmentIndex(self.segment)).id.to_string();
        let pos_m = f64::from(self.offset_mm) / 1_000.0;
        Event::Position(Position {
            source: format!("{gateway}.v{}", self.vehicle),
            seq: Some(u64::from(self.seq)),
            time: TimeMs(self.time_ms),
            at: LonLat::new(self.lon_deg(), self.lat_deg()).expect("the sensors keep places on the globe and off 0, 0"),
            speed: MetresPerSecond::new((f64::from(self.speed_mm_s) / 1_000.0) as f32).ok(),
            heading: Some(HeadingDeg::wrapped((f64::from(self.heading_ddeg) / 10.0) as f32)),
            edge: with_edge.then(|| EdgeFix { edge_id: edge_id(), pos_m }),
            journey: None,
        })
    }
}

/// Everything that is reported in one second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reports {
    /// End of the second.
    pub end: TimeMs,
    /// In order of arrival.
    pub positions: Vec<PositionReport>,
    /// Detector intervals and signal changes.
    pub others: Vec<Event>,
}

impl Reports {
    /// How many events.
    pub fn len(&self) -> usize {
        self.positions.len() + self.others.len()
    }

    /// Whether nobody reported anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything and keeps the room.
    pub fn clear(&mut self) {
        self.positions.clear();
        self.others.clear();
    }
}

/// Seven decimals and two more; rounded once, as a decimal number is when it is read.
fn degrees(e7: i32, rest_e9: i8) -> f64 {
    if rest_e9 == 0 {
        return f64::from(e7) / 1e7;
    }
    (i64::from(e7) * 100 + i64::from(rest_e9)) as f64 / 1e9
}

/// A place on the globe in billionths of a degree, as [`PositionReport`] keeps it.
#[inline]
pub(super) fn place_e9(lon_deg: f64, lat_deg: f64) -> ([i32; 2], [i8; 2]) {
    let lon = nearest(lon_deg * 1e9);
    let lat = nearest(lat_deg * 1e9);
    let lat = if lon == 0 && lat == 0 { 100 } else { lat };
    ([(lon / 100) as i32, (lat / 100) as i32], [(lon % 100) as i8, (lat % 100) as i8])
}

/// The nearest whole number, halves away from 0, of one below 2⁵¹: what `round` says without a call of it, which costs more
/// than the rest where the processor need not have an instruction for it.
#[inline]
fn nearest(x: f64) -> i64 {
    /// From here on neighbours are 1 apart, so that adding it rounds, halves to even; what is added is in the last bits.
    const WHOLE: f64 = 6_755_399_441_055_744.0;
    let shifted = x + WHOLE;
    let even = shifted.to_bits() as i64 - WHOLE.to_bits() as i64;
    // Exact, and half only where the even neighbour may be the one nearer to 0.
    let rest = x - (shifted - WHOLE);
    even + i64::from(rest == 0.5 && x > 0.0) - i64::from(rest == -0.5 && x < 0.0)
}

/// A place in ten-millionths of a degree; never 0, 0, which is the place of a receiver without a fix.
pub(super) fn place_e7(lon_deg: f64, lat_deg: f64) -> [i32; 2] {
    // To the nearest without a call of `round`, which costs more than the rest.
    let nearest = |e7: f64| (e7 + if e7 < 0.0 { -0.5 } else { 0.5 }) as i32;
    let lon = nearest(lon_deg.clamp(-180.0, 180.0) * 1e7);
    let lat = nearest(lat_deg.clamp(-90.0, 90.0) * 1e7);
    [lon, if lon == 0 && lat == 0 { 1 } else { lat }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, bits};

    #[test]
    fn the_nearest_whole_number_is_what_round_says() {
        let seed = 12;
        let drawn = (0..100_000).map(|n| bits(seed, n, 0, Stream::Origin) as i64 as f64 / 5.12e7);
        let halves = (-1_000..1_000).map(|n| f64::from(n) / 2.0);
        let least = [0.499_999_999_999_999_94, 180e9, 4.5e9 + 0.5, 1e-300];
        for x in drawn.chain(halves).chain(least).flat_map(|x| [x, -x, x.next_up(), x.next_down()]) {
            assert_eq!(nearest(x), x.round() as i64, "{x}, seed {seed}");
        }
    }
}
