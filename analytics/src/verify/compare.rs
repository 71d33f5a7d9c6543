//! Two lists of cells, what happened and what was found, → errors of every metric.
//!
//! Upstream: the simulator's truth, the pane store. Downstream: [`super::report`].
//!
//! Error is found − true; relative errors are of the true value, and of pairs only whose true value is large enough
//! to be divided by (each stated at its constant). Speeds are compared by segment and clock minute, what needs more
//! vehicles by segment and quarter of an hour.

use std::collections::BTreeMap;

use roads::{Network, RoadClass, SegmentIndex};
use rustc_hash::FxHashMap;

use super::corridor;
use crate::metric::corridor_time::CorridorTimes;
use crate::metric::window::MINUTE_MS;
use crate::snapshot::Level;

/// A quarter of an hour, milliseconds.
pub(super) const QUARTER_MS: i64 = 15 * MINUTE_MS;

/// A segment-minute counts as well observed from so many vehicle-panes on: vehicles seen in each pane, added up.
pub const VEHICLE_PANES_MIN: u32 = 10;

/// Slower true means are left out of relative errors of speed, m/s: a queue that crawls by a metre a minute has any.
const SPEED_MPS_MIN: f64 = 0.5;

/// Fewer true vehicles an hour are left out of relative errors of flow and density.
const FLOW_PER_H_MIN: f64 = 60.0;

/// Less true delay in a quarter of an hour is left out of relative errors of a segment's delay, vehicle-seconds.
const DELAY_S_MIN: f64 = 60.0;

/// Fewer vehicles over all loops say nothing about the share of probes.
const LOOP_VEHICLES_MIN: f64 = 200.0;

/// What happened, or what was found, on one segment in one pane of 10 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub segment: SegmentIndex,
    pub pane_ms: i64,
    pub distance_mm: i64,
    pub time_ms: i64,
    pub vehicles: u32,
}

/// What the loop on a segment counted in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopCount {
    pub segment: SegmentIndex,
    pub vehicles: u64,
}

/// Metres and seconds of some cells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) distance_m: f64,
    pub(super) time_s: f64,
    vehicle_panes: u32,
}

/// By segment and begin of the window, milliseconds.
pub(super) type Sums = FxHashMap<(SegmentIndex, i64), Sum>;

/// Errors of one metric; those of several runs add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Errors {
    pub pairs: u64,
    sum: f64,
    squares: f64,
    relative_pairs: u64,
    relative: f64,
}

/// Everything that was compared at one share of probes, over one run or several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// True cells of panes that are final, and how many of either side are not the same.
    pub cells: u64,
    pub cells_differing: u64,
    /// m/s, by segment and minute with at least [`VEHICLE_PANES_MIN`]; and with any.
    pub speed: Errors,
    pub speed_any: Errors,
    pub speed_by_class: BTreeMap<RoadClass, Errors>,
    /// Of the true segment-minutes by class: how many there were, and how many were seen.
    pub minutes_by_class: BTreeMap<RoadClass, (u64, u64)>,
    pub travel_time_index: Errors,
    /// Vehicle-hours by segment and quarter.
    pub segment_delay: Errors,
    /// Vehicles an hour, vehicles a kilometre, by segment and quarter.
    pub flow: Errors,
    pub density: Errors,
    /// Seconds, by corridor and quarter; and how many of them could not be told.
    pub corridor: Errors,
    pub corridors_unseen: u64,
    /// Segment-quarters whose level of congestion is the true one, and all.
    pub level: (u64, u64),
    /// Vehicle-hours of the whole run, one pair a run.
    pub city_delay: Errors,
    /// The same with delay clipped by minute, as the live metric of full observation is.
    pub city_delay_by_minute: Errors,
    /// Share of probes as the loops tell it, one a run.
    pub shares_found: Vec<f64>,
}

impl Sum {
    fn add(&mut self, cell: &Cell) {
        self.distance_m += cell.distance_mm as f64 / 1_000.0;
        self.time_s += cell.time_ms as f64 / 1_000.0;
        self.vehicle_panes += cell.vehicles;
    }

    /// Space-mean speed, m/s.
    pub(super) fn speed_mps(&self) -> Option<f64> {
        (self.time_s > 0.0).then(|| self.distance_m / self.time_s)
    }

    /// Time beyond that at free flow, seconds; negative when all were faster.
    fn lost_s(&self, free_mps: f64) -> f64 {
        self.time_s - self.distance_m / free_mps
    }
}

impl Errors {
    /// Counts a pair; `relative` when the true value is large enough to be divided by.
    pub fn add(&mut self, truth: f64, found: f64, relative: bool) {
        let error = found - truth;
        (self.pairs, self.sum, self.squares) = (self.pairs + 1, self.sum + error, self.squares + error * error);
        if relative && truth != 0.0 {
            (self.relative_pairs, self.relative) = (self.relative_pairs + 1, self.relative + (error / truth).abs());
        }
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.sum += other.sum;
        self.squares += other.squares;
        self.relative_pairs += other.relative_pairs;
        self.relative += other.relative;
    }

    /// Mean error; `None` without a pair.
    pub fn bias(&self) -> Option<f64> {
        (self.pairs > 0).then(|| self.sum / self.pairs as f64)
    }

    /// Root of the mean squared error.
    pub fn rmse(&self) -> Option<f64> {
        (self.pairs > 0).then(|| (self.squares / self.pairs as f64).sqrt())
    }

    /// Mean absolute relative error, of 1.
    pub fn mape(&self) -> Option<f64> {
        (self.relative_pairs > 0).then(|| self.relative / self.relative_pairs as f64)
    }
}

/// The share of the vehicles that are probes, from loops, which count everybody: probes driven over the loops' segments
/// (distance over length) against what the loops counted. A loop that counted nobody is taken for broken. `None` when
/// they counted too few.
pub fn probe_share(network: &Network, found: &[Cell], loops: &[LoopCount]) -> Option<f64> {
    let counted: FxHashMap<SegmentIndex, u64> =
        loops.iter().filter(|l| l.vehicles > 0).map(|l| (l.segment, l.vehicles)).collect();
    let everybody: f64 = counted.values().map(|n| *n as f64).sum();
    let on_loops = found.iter().filter(|c| counted.contains_key(&c.segment));
    let probes: f64 = on_loops.map(|c| c.distance_mm as f64 / 1_000.0 / network.segment(c.segment).length_m).sum();
    (everybody >= LOOP_VEHICLES_MIN && probes > 0.0).then(|| probes / everybody)
}

impl Comparison {
    /// Compares one run; `share` scales what was found up to everybody.
    pub fn of(network: &Network, truth: &[Cell], found: &[Cell], share: f64, final_before_ms: i64) -> Self {
        let mut all = Self { shares_found: vec![share], ..Self::default() };
        all.compare_cells(truth, found, final_before_ms);
        let [true_minutes, found_minutes] = [truth, found].map(|cells| sums(cells, MINUTE_MS));
        all.compare_minutes(network, &true_minutes, &found_minutes);
        let [true_quarters, found_quarters] = [truth, found].map(|cells| sums(cells, QUARTER_MS));
        all.compare_quarters(network, &true_quarters, &found_quarters, share);
        let delay_h = |sums: &Sums| {
            let free_mps = |key: &(SegmentIndex, i64)| f64::from(network.segment(key.0).free_flow_mps());
            sums.iter().map(|(key, sum)| sum.lost_s(free_mps(key)).max(0.0)).sum::<f64>() / 3_600.0
        };
        all.city_delay.add(delay_h(&true_quarters), delay_h(&found_quarters) / share, true);
        all.city_delay_by_minute.add(delay_h(&true_minutes), delay_h(&found_minutes) / share, true);
        let (routes, times) = (corridor::choose(network), CorridorTimes::new(network));
        let mut windows: Vec<i64> = true_quarters.keys().map(|key| key.1).collect();
        windows.sort_unstable();
        windows.dedup();
        for window in windows {
            let told = |sums, share| corridor::travel_times_s(&times, &routes, sums, window, share);
            for (true_s, found_s) in told(&true_quarters, 1.0).into_iter().zip(told(&found_quarters, share)) {
                match (true_s, found_s) {
                    (None, _) => {}
                    (Some(true_s), Some(found_s)) => all.corridor.add(true_s, found_s, true),
                    (Some(_), None) => all.corridors_unseen += 1,
                }
            }
        }
        all
    }

    /// Adds another run at the same share.
    pub fn merge(&mut self, other: &Self) {
        self.cells += other.cells;
        self.cells_differing += other.cells_differing;
        self.corridors_unseen += other.corridors_unseen;
        self.level = (self.level.0 + other.level.0, self.level.1 + other.level.1);
        self.shares_found.extend(&other.shares_found);
        for (mine, theirs) in [
            (&mut self.speed, &other.speed),
            (&mut self.speed_any, &other.speed_any),
            (&mut self.travel_time_index, &other.travel_time_index),
            (&mut self.segment_delay, &other.segment_delay),
            (&mut self.flow, &other.flow),
            (&mut self.density, &other.density),
            (&mut self.corridor, &other.corridor),
            (&mut self.city_delay, &other.city_delay),
            (&mut self.city_delay_by_minute, &other.city_delay_by_minute),
        ] {
            mine.merge(theirs);
        }
        for (class, errors) in &other.speed_by_class {
            self.speed_by_class.entry(*class).or_default().merge(errors);
        }
        for (class, (all, seen)) in &other.minutes_by_class {
            let sum = self.minutes_by_class.entry(*class).or_default();
            *sum = (sum.0 + all, sum.1 + seen);
        }
    }

    /// True segment-minutes that were seen at all, of 1.
    pub fn coverage(&self) -> f64 {
        let (all, seen) = self.minutes_by_class.values().fold((0, 0), |sum, m| (sum.0 + m.0, sum.1 + m.1));
        if all == 0 { 0.0 } else { seen as f64 / all as f64 }
    }

    fn compare_cells(&mut self, truth: &[Cell], found: &[Cell], final_before_ms: i64) {
        let mut sums: FxHashMap<(SegmentIndex, i64), [(i64, i64); 2]> = FxHashMap::default();
        for (side, cells) in [truth, found].into_iter().enumerate() {
            for c in cells.iter().filter(|c| c.pane_ms < final_before_ms && (c.distance_mm, c.time_ms) != (0, 0)) {
                let sum = &mut sums.entry((c.segment, c.pane_ms)).or_default()[side];
                *sum = (sum.0 + c.distance_mm, sum.1 + c.time_ms);
            }
        }
        self.cells = sums.values().filter(|s| s[0] != (0, 0)).count() as u64;
        self.cells_differing = sums.values().filter(|s| s[0] != s[1]).count() as u64;
    }

    fn compare_minutes(&mut self, network: &Network, truth: &Sums, found: &Sums) {
        for (key, true_sum) in truth {
            let segment = network.segment(key.0);
            let Some(true_mps) = true_sum.speed_mps() else { continue };
            let seen = self.minutes_by_class.entry(segment.class).or_default();
            seen.0 += 1;
            let Some((sum, mps)) = found.get(key).and_then(|sum| Some((sum, sum.speed_mps()?))) else { continue };
            seen.1 += 1;
            let relative = true_mps >= SPEED_MPS_MIN;
            self.speed_any.add(true_mps, mps, relative);
            self.speed_by_class.entry(segment.class).or_default().add(true_mps, mps, relative);
            if sum.vehicle_panes >= VEHICLE_PANES_MIN {
                self.speed.add(true_mps, mps, relative);
                let free_mps = f64::from(segment.free_flow_mps());
                if relative && mps > 0.0 {
                    self.travel_time_index.add(free_mps / true_mps, free_mps / mps, true);
                }
            }
        }
    }

    fn compare_quarters(&mut self, network: &Network, truth: &Sums, found: &Sums, share: f64) {
        let hours = QUARTER_MS as f64 / 3_600_000.0;
        for (key, true_sum) in truth {
            let segment = network.segment(key.0);
            let free_mps = f64::from(segment.free_flow_mps());
            let sum = found.get(key).copied().unwrap_or_default();
            let lost_s = |sum: &Sum| sum.lost_s(free_mps).max(0.0);
            let true_s = lost_s(true_sum);
            self.segment_delay.add(true_s / 3_600.0, lost_s(&sum) / share / 3_600.0, true_s >= DELAY_S_MIN);
            let flow = |sum: &Sum| sum.distance_m / segment.length_m / hours;
            let density = |sum: &Sum| sum.time_s / (segment.length_m / 1_000.0) / (hours * 3_600.0);
            let enough = flow(true_sum) >= FLOW_PER_H_MIN;
            self.flow.add(flow(true_sum), flow(&sum) / share, enough);
            self.density.add(density(true_sum), density(&sum) / share, enough);
            if let (Some(true_mps), Some(mps)) = (true_sum.speed_mps(), sum.speed_mps()) {
                let same = Level::of(true_mps / free_mps) == Level::of(mps / free_mps);
                self.level = (self.level.0 + u64::from(same), self.level.1 + 1);
            }
        }
    }
}

fn sums(cells: &[Cell], window_ms: i64) -> Sums {
    let mut sums = Sums::default();
    for cell in cells {
        sums.entry((cell.segment, cell.pane_ms.div_euclid(window_ms) * window_ms)).or_default().add(cell);
    }
    sums
}

#[cfg(test)]
mod tests {
    use roads::generate::{CityPlan, city};

    use super::*;

    fn cell(segment: u32, pane: i64, distance_mm: i64, time_ms: i64) -> Cell {
        Cell { segment: SegmentIndex(segment), pane_ms: pane * 10_000, distance_mm, time_ms, vehicles: 10 }
    }

    #[test]
    fn the_truth_against_itself_has_no_error_and_a_half_of_it_is_scaled_up() {
        let network = city(&CityPlan { blocks_x: 4, blocks_y: 4, ..CityPlan::default() });
        let truth: Vec<Cell> = (0..40).flat_map(|s| (0..90).map(move |p| cell(s, p, 40_000, 10_000))).collect();
        let same = Comparison::of(&network, &truth, &truth, 1.0, i64::MAX);
        assert_eq!((same.cells, same.cells_differing, same.coverage()), (3_600, 0, 1.0));
        assert_eq!((same.speed.mape(), same.city_delay.mape(), same.flow.mape()), (Some(0.0), Some(0.0), Some(0.0)));
        assert_eq!(same.level.0, same.level.1);
        // Every second pane: speeds are right, sums are a half.
        let half: Vec<Cell> = truth.iter().copied().filter(|c| c.pane_ms % 20_000 == 0).collect();
        let scaled = Comparison::of(&network, &truth, &half, 0.5, i64::MAX);
        assert_eq!(scaled.cells_differing, 1_800);
        assert!(scaled.speed.mape().unwrap() < 1e-12 && scaled.city_delay.mape().unwrap() < 1e-12);
        let unscaled = Comparison::of(&network, &truth, &half, 1.0, i64::MAX);
        assert!((unscaled.city_delay.mape().unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn errors_are_those_of_the_book() {
        let mut errors = Errors::default();
        errors.add(10.0, 12.0, true);
        errors.add(10.0, 9.0, true);
        errors.add(0.1, 5.1, false);
        assert!((errors.bias().unwrap() - 2.0).abs() < 1e-12);
        assert!((errors.rmse().unwrap() - 10.0_f64.sqrt()).abs() < 1e-12);
        assert!((errors.mape().unwrap() - 0.15).abs() < 1e-12);
        assert_eq!(Errors::default().mape(), None);
    }

    #[test]
    fn loops_tell_the_share_of_probes() {
        let network = city(&CityPlan::default());
        let length_mm = (network.segment(SegmentIndex(3)).length_m * 1_000.0) as i64;
        let found = [cell(3, 0, 50 * length_mm, 1), cell(4, 0, 1, 1)];
        let loops = [(3, 1_000), (4, 0)].map(|(s, vehicles)| LoopCount { segment: SegmentIndex(s), vehicles });
        assert!((probe_share(&network, &found, &loops).unwrap() - 0.05).abs() < 1e-4);
        assert_eq!(probe_share(&network, &found, &loops[1..]), None);
    }
}
