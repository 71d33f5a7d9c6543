//! Detectors: flow, occupancy, speed and density of every loop, and whether it can be believed.
//!
//! Upstream: [`crate::engine`]. Downstream: [`crate::export`], [`crate::fusion`], the API, `arterial detectors`.
//!
//! A loop measures at a point: its speed is the mean over passing vehicles (time-mean). Vehicles of one length cover a
//! loop for a time that goes with 1 / speed, so speed from count, occupancy and effective length is the harmonic mean,
//! which is the space-mean; both are given, never mixed. Density follows from occupancy by the effective vehicle length
//! g, estimated for each loop from its own free-flowing intervals ([`length`]). No value is no value: an interval without
//! occupancy gives no density, and one in which nothing passed gives no speed. What is odd is counted ([`oddity`]), also
//! when a station changes its unit ([`unit`]) and when something is unusual at the hour ([`usual`]).
//!
//! PeMS smooths derived speeds over time with the weight count / (count + 50). That is not done here: on SUMO's loops of
//! Bologna it made them worse (`docs/accuracy-detectors.md`).

mod health;
mod length;
mod oddity;
mod unit;
mod usual;

use std::collections::{BTreeMap, VecDeque};

use roads::SegmentIndex;
use serde::{Deserialize, Serialize};

pub use health::{Health, Verdict};
use length::EffectiveLength;
pub use oddity::{Oddities, Oddity};
use unit::UnitWatch;
use usual::{Side, Usual};

/// Most detectors that are remembered; the readings of further ones are counted and left out.
pub const DETECTORS_MAX: usize = 20_000;

/// Most alarms of a detector that are remembered; the oldest are forgotten.
const ALARMS_MAX: usize = 32;

/// Newest intervals of a detector that are remembered, for windows of some minutes.
const RECENT_MAX: usize = 12;

/// A shorter interval is the passage of one vehicle, as signal controllers log it, and no statistic, milliseconds.
const INTERVAL_MS_MIN: i64 = 5_000;

/// Unusual intervals no further apart are one alarm, milliseconds.
const ALARM_APART_MS: i64 = 3_600_000;

/// One interval of one detector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub start_ms: i64,
    pub end_ms: i64,
    /// `None` from a detector that does not count.
    pub count: Option<u32>,
    /// 0 to 1.
    pub occupancy: Option<f32>,
    /// Time-mean speed, m/s.
    pub speed_mps: Option<f32>,
}

/// Where a detector stands, as it is known when it is first heard of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// Free-flow speed of the street, m/s.
    pub free_mps: f64,
    /// The segment, where that is beyond doubt.
    pub segment: Option<SegmentIndex>,
}

/// What one detector says of its newest interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub start_ms: i64,
    pub end_ms: i64,
    /// The segment, where that is beyond doubt.
    pub segment: Option<SegmentIndex>,
    pub count: Option<u32>,
    /// `None` from a detector that does not count.
    pub flow_veh_per_h: Option<f64>,
    pub occupancy: Option<f64>,
    /// Time-mean speed, m/s: measured, or else from count, occupancy and effective length.
    pub speed_mps: Option<f64>,
    /// Whether the detector measured the speed itself.
    pub is_speed_measured: bool,
    /// Space-mean speed, m/s, from count, occupancy and effective length. Where that is not learnt yet, the measured
    /// time-mean, which is a little higher.
    pub space_mean_speed_mps: Option<f64>,
    /// Vehicles a kilometre and lane: occupancy over effective length.
    pub density_veh_per_km: Option<f64>,
    pub effective_length_m: f64,
    pub is_length_learnt: bool,
    /// Of the newest service day that is over; `None` before there is one.
    pub verdict: Option<Verdict>,
    /// Whether the newest interval is far from what is usual at its hour.
    pub is_unusual: bool,
    pub oddities: Oddities,
}

/// A stretch of time in which a detector said what is unusual at that hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub from_ms: i64,
    pub to_ms: i64,
}

/// What passed a detector in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Passed {
    pub count: u32,
    /// Time that its intervals cover, seconds.
    pub seconds: f64,
    /// From occupancy where the effective length is learnt, else from measured speeds, weighted harmonically.
    pub space_mean_speed_mps: Option<f64>,
}

/// State of one detector.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Detector {
    /// As it is believed.
    newest: Reading,
    free_mps: f64,
    segment: Option<u32>,
    length: EffectiveLength,
    health: Health,
    units: UnitWatch,
    occupancy: Usual,
    speed: Usual,
    is_unusual: bool,
    alarms: Vec<Alarm>,
    odd: Oddities,
    /// The newest intervals as they are believed, oldest first; see [`RECENT_MAX`].
    recent: VecDeque<Reading>,
}

/// All detectors, by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Detectors {
    by_name: BTreeMap<String, Detector>,
    utc_offset_ms: i64,
    /// Of detectors that are forgotten.
    odd_forgotten: Oddities,
}

/// How an interval was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Counted,
    /// The passage of one vehicle, which is no statistic.
    Passage,
    /// Of a detector beyond [`DETECTORS_MAX`].
    LeftOut,
}

/// What is known of one detector over all that it ever said.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    pub figures: Figures,
    /// Days with each verdict that are over, in the order of [`Verdict::ALL`]; then what the last day would be.
    pub days: [u32; Verdict::ALL.len()],
    pub last_day: Option<Verdict>,
    pub alarms: Vec<Alarm>,
}

impl Reading {
    /// Length of the interval, seconds; at least a millisecond.
    pub fn seconds(&self) -> f64 {
        (self.end_ms - self.start_ms).max(1) as f64 / 1_000.0
    }
}

impl Detectors {
    /// No detectors yet; service days begin and end by a clock that is `utc_offset_s` ahead of UTC.
    pub fn new(utc_offset_s: i32) -> Self {
        Self { utc_offset_ms: i64::from(utc_offset_s) * 1_000, ..Self::default() }
    }

    /// Counts an interval in, unless it is shorter than [`INTERVAL_MS_MIN`]. `site` says where a detector stands that
    /// was not known before.
    pub fn apply(&mut self, name: &str, reading: Reading, site: impl FnOnce() -> Site) -> Taken {
        if reading.end_ms - reading.start_ms < INTERVAL_MS_MIN {
            return Taken::Passage;
        }
        if let Some(detector) = self.by_name.get_mut(name) {
            let newest = detector.newest;
            detector.odd.place(&newest, &reading);
            detector.apply(reading, self.utc_offset_ms);
        } else if self.by_name.len() < DETECTORS_MAX {
            let mut detector = Detector::new(reading, site());
            detector.apply(reading, self.utc_offset_ms);
            self.by_name.insert(name.to_owned(), detector);
        } else {
            return Taken::LeftOut;
        }
        Taken::Counted
    }

    /// The newest figures of each detector whose newest interval ends at or after `since_ms`.
    pub fn figures(&self, since_ms: i64) -> BTreeMap<String, Figures> {
        let fresh = self.by_name.iter().filter(|(_, d)| d.newest.end_ms >= since_ms);
        fresh.map(|(name, d)| (name.clone(), d.figures())).collect()
    }

    /// What passed, in the intervals between two moments, the detectors whose segment is known and that broke no rule on
    /// their last day.
    pub fn passed(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = (&str, SegmentIndex, Passed)> {
        self.by_name.iter().filter_map(move |(name, d)| {
            let is_sound = d.health.verdict().is_none_or(|verdict| verdict == Verdict::Good);
            let segment = d.segment.filter(|_| is_sound)?;
            Some((name.as_str(), SegmentIndex(segment), d.passed(from_ms, to_ms)?))
        })
    }

    /// All that is known of each detector.
    pub fn histories(&self) -> impl Iterator<Item = (&str, History)> {
        self.by_name.iter().map(|(name, d)| {
            let (days, last_day) = d.health.days();
            (name.as_str(), History { figures: d.figures(), days, last_day, alarms: d.alarms.clone() })
        })
    }

    /// Oddities of all detectors together.
    pub fn oddities(&self) -> Oddities {
        let mut sum = self.odd_forgotten;
        self.by_name.values().for_each(|d| sum.add(&d.odd));
        sum
    }

    /// Ends the running days: a recording is over.
    pub fn finish(&mut self) {
        for detector in self.by_name.values_mut() {
            detector.units.end_day(&mut detector.odd);
        }
    }

    /// Lets go of detectors that have been silent since a moment. What they were like is forgotten with them.
    pub fn forget_silent(&mut self, since_ms: i64) {
        let forgotten = &mut self.odd_forgotten;
        self.by_name.retain(|_, d| {
            let stays = d.newest.end_ms >= since_ms;
            if !stays {
                forgotten.add(&d.odd);
            }
            stays
        });
    }
}

impl Detector {
    fn new(reading: Reading, site: Site) -> Self {
        Self {
            newest: reading,
            free_mps: site.free_mps,
            segment: site.segment.map(|segment| segment.0),
            length: EffectiveLength::default(),
            health: Health::default(),
            units: UnitWatch::default(),
            occupancy: Usual::default(),
            speed: Usual::default(),
            is_unusual: false,
            alarms: Vec::new(),
            odd: Oddities::default(),
            recent: VecDeque::new(),
        }
    }

    fn apply(&mut self, said: Reading, utc_offset_ms: i64) {
        // Units are watched, and health is judged, by what is said; everything else by what is believed.
        let was_doubtful = self.units.is_speed_doubtful;
        self.units.apply(&said, utc_offset_ms, &mut self.odd);
        if self.units.is_speed_doubtful && !was_doubtful {
            self.length.forget_speeds();
        }
        self.health.apply(&said, utc_offset_ms);
        let mut reading = self.odd.judge(said);
        reading.speed_mps = reading.speed_mps.filter(|_| !self.units.is_speed_doubtful);
        reading.occupancy = reading.occupancy.filter(|_| !self.units.is_occupancy_doubtful);
        if self.newest.end_ms <= reading.end_ms {
            self.newest = reading;
            self.recent.push_back(reading);
            if self.recent.len() > RECENT_MAX {
                self.recent.pop_front();
            }
            self.is_unusual = self.watch(&reading, utc_offset_ms);
        }
        self.length.apply(&reading);
        if !self.length.learnt(self.free_mps).is_plausible {
            self.odd.count(Oddity::ImplausibleLength);
        }
    }

    /// Whether an interval is unusual; if so it makes an alarm, or goes on with the last one.
    fn watch(&mut self, reading: &Reading, utc_offset_ms: i64) -> bool {
        let full = reading.occupancy.map(f64::from);
        let high = full.is_some_and(|share| self.occupancy.apply(reading, utc_offset_ms, share, Side::High));
        let mps = reading.speed_mps.map(f64::from);
        let slow = mps.is_some_and(|mps| self.speed.apply(reading, utc_offset_ms, mps, Side::Low));
        if !(high || slow) {
            return false;
        }
        self.odd.count(Oddity::Unusual);
        match self.alarms.last_mut() {
            Some(last) if reading.end_ms - last.to_ms <= ALARM_APART_MS => last.to_ms = reading.end_ms,
            Some(_) | None => {
                if self.alarms.len() == ALARMS_MAX {
                    self.alarms.remove(0);
                }
                self.alarms.push(Alarm { from_ms: reading.end_ms, to_ms: reading.end_ms });
            }
        }
        true
    }

    /// What passed in the intervals between two moments; `None` where there is none, or nobody was counted.
    fn passed(&self, from_ms: i64, to_ms: i64) -> Option<Passed> {
        let length = self.length.learnt(self.free_mps);
        let (mut count, mut seconds, mut paces_s_per_m, mut paced) = (0, 0.0, 0.0, 0);
        for r in self.recent.iter().filter(|r| from_ms <= r.start_ms && r.end_ms <= to_ms) {
            let Some(n) = r.count else { continue };
            (count, seconds) = (count + n, seconds + r.seconds());
            let from_occupancy = r.occupancy.filter(|share| *share > 0.0 && length.is_learnt && length.is_plausible);
            // Time over way of all vehicles together: sums, so that an interval counts by who passed in it.
            let paces = match (from_occupancy, r.speed_mps) {
                (Some(share), _) => f64::from(share) * r.seconds() / length.metres,
                (None, Some(mps)) if mps > 0.0 => f64::from(n) / f64::from(mps),
                (None, _) => continue,
            };
            (paces_s_per_m, paced) = (paces_s_per_m + paces, paced + n);
        }
        let space_mean_speed_mps = (paced > 0 && paces_s_per_m > 0.0).then(|| f64::from(paced) / paces_s_per_m);
        (seconds > 0.0).then_some(Passed { count, seconds, space_mean_speed_mps })
    }

    fn figures(&self) -> Figures {
        let r = &self.newest;
        let occupancy = r.occupancy.map(f64::from);
        let length = self.length.learnt(self.free_mps);
        // Covered for no time though somebody passed, or vehicles of no length: nothing follows from that occupancy.
        let passed = r.count.is_some_and(|n| n > 0);
        let sound = occupancy.filter(|share| length.is_plausible && !(passed && *share == 0.0));
        let derived = sound.filter(|share| *share > 0.0).zip(r.count.filter(|n| *n > 0));
        let derived_mps = derived.map(|(share, n)| f64::from(n) * length.metres / (share * r.seconds()));
        let measured_mps = r.speed_mps.map(f64::from);
        Figures {
            start_ms: r.start_ms,
            end_ms: r.end_ms,
            segment: self.segment.map(SegmentIndex),
            count: r.count,
            flow_veh_per_h: r.count.map(|n| f64::from(n) / r.seconds() * 3_600.0),
            occupancy,
            speed_mps: measured_mps.or(derived_mps),
            is_speed_measured: measured_mps.is_some(),
            space_mean_speed_mps: derived_mps.filter(|_| length.is_learnt).or(measured_mps).or(derived_mps),
            density_veh_per_km: sound.map(|share| share / length.metres * 1_000.0),
            effective_length_m: length.metres,
            is_length_learnt: length.is_learnt,
            verdict: self.health.verdict(),
            is_unusual: self.is_unusual,
            oddities: self.odd,
        }
    }
}

#[cfg(test)]
mod tests;
