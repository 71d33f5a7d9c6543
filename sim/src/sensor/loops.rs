//! Loops in the main streets: what they count, and what they say when they are broken.
//!
//! A loop has one state a day. Upstream: the moves. Downstream: detector intervals.
//!
//! Which faults there are, and that they last for days: Chen, Kwon, Rice, Skabardonis, Varaiya, Detecting errors and
//! imputing missing data for single-loop surveillance systems, TRR 1855, 2003. How often which occurs is assumed:
//! the broken ones are shared out evenly.

use events::topic::NAME_BYTES_MAX;
use events::{DetectorInterval, LonLat, MetresPerSecond, TimeMs};
use roads::{Network, RoadClass, SegmentId, SegmentIndex};

use super::fault::FaultKind;
use crate::random::{Stream, below, unit};
use crate::read::Loop;
use crate::world::Move;

/// Loops count for so long before they report, ms.
pub const DETECTOR_INTERVAL_MS: i64 = 60_000;

/// Length of a loop in driving direction, mm (6 feet: FHWA, Traffic Detector Handbook, 2006).
pub const LOOP_LENGTH_MM: i64 = 1_829;

/// A day, ms: a broken loop is broken for so long.
pub(super) const DAY_MS: i64 = 86_400_000;

/// Shortest segment with a loop, mm: the loop lies two thirds along it, and must be clear of its end.
const LOOP_SEGMENT_MM_MIN: i64 = 40_000;

/// Share of the vehicles that a miscounting loop misses; assumed.
const MISSED_SHARE: f64 = 0.3;

/// A chattering loop counts each vehicle two to this many times; assumed.
const CHATTER_MAX: u64 = 4;

/// What can be wrong with a loop.
const FAULTS: [FaultKind; 6] = [
    FaultKind::Dead,
    FaultKind::StuckOn,
    FaultKind::StuckOff,
    FaultKind::Chattering,
    FaultKind::Miscounting,
    FaultKind::Crosstalk,
];

/// A loop across all lanes of a segment, or in one of them.
#[derive(Clone, Debug)]
pub struct Detector {
    pub segment: SegmentIndex,
    /// Begin of the loop from the begin of the segment.
    pub at_mm: i64,
    /// What is wrong with it today; `None` is healthy.
    pub fault: Option<FaultKind>,
    /// The lane that it lies in, 0 at the kerb; `None` lies across all.
    lane: Option<u8>,
    /// The loop of the other direction, or the one listed before it: who is heard in crosstalk.
    pub(super) beside: Option<u32>,
    source: String,
    at: LonLat,
    lanes: i64,
    id: u64,
    pub(super) sums: Sums,
}

/// What a loop has counted since it last reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Sums {
    seq: u64,
    /// Vehicles that were there.
    pub(super) passed: u32,
    /// Vehicles that it believes were there.
    count: u32,
    covered_ms: i64,
    speed_sum_mm_s: i64,
    /// Since the sensors began.
    passages: u64,
}

/// The loops of a network, by segment: those that are asked for, or else one in every street of class tertiary or higher
/// that is long enough.
pub(super) fn all(network: &Network, gateway: &str, asked: &[Loop]) -> Vec<Detector> {
    let mut detectors: Vec<Detector> = if asked.is_empty() {
        network.indices().filter(|at| has_loop(network, *at)).map(|at| Detector::new(network, at, gateway)).collect()
    } else {
        asked.iter().map(|place| Detector::placed(network, place, gateway)).collect()
    };
    detectors.sort_by_key(|detector| detector.segment);
    let ends = |at: SegmentIndex| (network.segment(at).from, network.segment(at).to);
    let mut by_ends: Vec<_> = detectors.iter().enumerate().map(|(i, d)| (ends(d.segment), i as u32)).collect();
    by_ends.sort_unstable();
    for i in 0..detectors.len() {
        let (from, to) = ends(detectors[i].segment);
        let at = by_ends.partition_point(|(ends, _)| *ends < (to, from));
        let opposite = by_ends.get(at).filter(|(ends, _)| *ends == (to, from)).map(|(_, other)| *other);
        let before = (i as u32).checked_sub(1).or_else(|| (detectors.len() > 1).then_some(1));
        detectors[i].beside = opposite.or(before);
    }
    detectors
}

impl Detector {
    fn new(network: &Network, segment: SegmentIndex, gateway: &str) -> Self {
        let meta = network.segment(segment);
        let at_mm = (meta.length_m * 2_000.0 / 3.0) as i64;
        Self {
            segment,
            at_mm,
            fault: None,
            beside: None,
            source: format!("{gateway}.loop-{}", meta.id),
            at: network.place(segment, at_mm as f64 / 1_000.0),
            lane: None,
            lanes: i64::from(meta.lanes.max(1)),
            id: meta.id.0,
            sums: Sums::default(),
        }
    }

    /// One in one lane, under a given id.
    fn placed(network: &Network, place: &Loop, gateway: &str) -> Self {
        // What cannot be in the name of a source (`events::topic::is_name`) becomes a low line.
        let shown = |c: char| if c.is_control() || matches!(c, '/' | '+' | '#') { '_' } else { c };
        let mut source = format!("{gateway}.");
        let mut bytes_left = NAME_BYTES_MAX.saturating_sub(source.len());
        source.extend(place.id.chars().map(shown).take_while(|c| {
            let fits = bytes_left >= c.len_utf8();
            bytes_left = bytes_left.saturating_sub(c.len_utf8());
            fits
        }));
        let at_mm = (f64::from(place.offset_m) * 1_000.0) as i64;
        Self {
            at_mm,
            source,
            at: network.place(place.segment, f64::from(place.offset_m)),
            lane: Some(place.lane),
            lanes: 1,
            id: SegmentId::of(&place.id).0,
            ..Self::new(network, place.segment, gateway)
        }
    }

    /// Under which name it reports.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its state on a day, with that share of all loops healthy.
    pub(super) fn begin_day(&mut self, seed: u64, day: i64, healthy_share: f64) {
        let draw = unit(seed, self.id, day as u64, Stream::LoopHealth);
        let nth = ((draw - healthy_share) / (1.0 - healthy_share).max(1e-9) * FAULTS.len() as f64) as usize;
        self.fault = (draw >= healthy_share).then(|| FAULTS[nth.min(FAULTS.len() - 1)]);
    }

    /// Counts a front that reaches the loop, and the time during which any part of the vehicle is over it.
    #[inline]
    pub(super) fn observe(&mut self, one: &Move, length_mm: i64, seed: u64) {
        if self.lane.is_some_and(|lane| lane != one.lane) {
            return;
        }
        if one.from_mm < self.at_mm && self.at_mm <= one.to_mm {
            self.pass(one.speed_mm_s, seed);
        }
        let clear_mm = self.at_mm + LOOP_LENGTH_MM + length_mm;
        if one.to_mm < self.at_mm || one.from_mm > clear_mm {
            return;
        }
        let (way_mm, time_ms) = (one.to_mm - one.from_mm, one.end_ms - one.begin_ms);
        self.sums.covered_ms += if way_mm == 0 {
            if (self.at_mm..clear_mm).contains(&one.to_mm) { time_ms } else { 0 }
        } else {
            let over_mm = one.to_mm.min(clear_mm) - one.from_mm.max(self.at_mm);
            time_ms * over_mm.max(0) / way_mm
        };
    }

    fn pass(&mut self, speed_mm_s: i64, seed: u64) {
        let sums = &mut self.sums;
        sums.passed += 1;
        sums.passages += 1;
        let times = match self.fault {
            Some(FaultKind::Chattering) => {
                2 + below(CHATTER_MAX - 1, seed, self.id, sums.passages, Stream::LoopPassage) as u32
            }
            Some(FaultKind::Miscounting) => {
                u32::from(unit(seed, self.id, sums.passages, Stream::LoopPassage) >= MISSED_SHARE)
            }
            // The others count right; what they say is decided when they report.
            Some(_) | None => 1,
        };
        sums.count += times;
        sums.speed_sum_mm_s += i64::from(times) * speed_mm_s;
    }

    /// What it says of the interval, if anything; `beside` is how many passed the loop beside it.
    pub(super) fn report(&mut self, start: TimeMs, end: TimeMs, beside: u32) -> Option<DetectorInterval> {
        let Sums { seq, count, covered_ms, speed_sum_mm_s, passages, .. } = self.sums;
        self.sums = Sums { seq, passages, ..Sums::default() };
        let share = (covered_ms as f64 / (self.lanes * (end.0 - start.0)) as f64).min(1.0) as f32;
        let (count, occupancy) = match self.fault {
            Some(FaultKind::Dead) => return None,
            Some(FaultKind::StuckOn) => (0, 1.0),
            Some(FaultKind::StuckOff) => (0, 0.0),
            Some(FaultKind::Crosstalk) => (count + beside, share),
            Some(_) | None => (count, share),
        };
        self.sums.seq += 1;
        // Crosstalk has no speed of its own: the mean stays that of who was really there.
        let spoken = self.mean_mps(speed_sum_mm_s, count, beside);
        Some(DetectorInterval {
            source: self.source.clone(),
            seq: Some(self.sums.seq),
            start,
            end,
            at: Some(self.at),
            count: Some(count),
            occupancy: Some(occupancy),
            speed: spoken.and_then(|mps| MetresPerSecond::new(mps).ok()),
        })
    }

    fn mean_mps(&self, speed_sum_mm_s: i64, count: u32, beside: u32) -> Option<f32> {
        let own = if self.fault == Some(FaultKind::Crosstalk) { count - beside } else { count };
        (own > 0).then(|| (speed_sum_mm_s as f64 / f64::from(own) / 1_000.0) as f32)
    }
}

/// Streets of class tertiary or higher that are long enough.
fn has_loop(network: &Network, at: SegmentIndex) -> bool {
    let segment = network.segment(at);
    segment.class <= RoadClass::Tertiary && (segment.length_m * 1_000.0) as i64 >= LOOP_SEGMENT_MM_MIN
}

#[cfg(test)]
mod tests;
