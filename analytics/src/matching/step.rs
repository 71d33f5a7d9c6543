//! Two neighbouring fixes → the segments driven between them, with distance and time shared out.
//!
//! Upstream: the spots of [`super::track`]. Downstream: [`crate::cell`] cuts the traversals at pane borders;
//! [`super::drive`] joins them.
//!
//! The distance of a step is that along the streets, from offset to offset, in whole millimetres: noise across the
//! street adds nothing to it, and over a whole segment it adds up to the segment's length, however often a vehicle
//! reports. Where the streets of a network do not meet (SUMO's end at the stop line) it is the straight line between
//! the fixes while that is short, and the driven path beyond [`STRAIGHT_M_MAX`], where a straight line cuts corners; what is
//! driven and waited between the streets is inside of a junction, and counted to none.
//! Time is shared out by distance: constant speed from fix to fix.

use events::LonLat;
use roads::{Hexagons, SegmentIndex};

use super::ground::Ground;
use super::model::Scale;
use super::place::Spot;
use super::routes::Routes;
use crate::cell::Traversal;

/// Without streets that meet, steps up to this length count as straight, metres: at 1 Hz and 50 m/s everything is.
pub const STRAIGHT_M_MAX: f64 = 50.0;

/// Nearer to the end of a segment than this is at its end, metres: lengths in single precision are so exact.
const END_M: f64 = 1e-3;

/// A step back of less is none, metres: one of two places may be measured to the millimetre and the other be held.
const SAME_M: f64 = 0.1;

/// Length of a sample of a straight line over hexagons, metres, and most samples of one step.
const SAMPLE_M: f64 = 10.0;
const SAMPLES_MAX: f64 = 1_000.0;

/// A step: when and where on the network it begins and ends.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub from: (i64, Spot),
    pub to: (i64, Spot),
    /// Straight distance, metres.
    pub moved_m: f64,
}

/// How the two ends of a step hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// A route leads from one to the other.
    Known,
    /// None does, but they are so near that nothing else can have been driven: half and half.
    Bridged,
    /// Nothing can be said.
    None,
}

/// The pieces of one step: segment (or inside a junction) and metres on it.
#[derive(Default)]
pub struct Pieces {
    pub list: Vec<(Option<SegmentIndex>, f64)>,
    middle: Vec<SegmentIndex>,
    /// The pieces are the whole way, with no gap between the streets.
    is_whole: bool,
}

impl Pieces {
    /// Finds what was driven between the ends of a step.
    pub(crate) fn find(&mut self, ground: &Ground, routes: &mut Routes, scale: &Scale, ends: &Ends) -> Drive {
        self.list.clear();
        self.is_whole = false;
        match (ends.from.1, ends.to.1) {
            (Spot::On { segment: a, offset_m: from_m }, Spot::On { segment: b, offset_m: to_m }) => {
                self.between(ground, routes, scale, (a, from_m), (b, to_m), ends.moved_m)
            }
            (Spot::On { segment, offset_m }, Spot::Junction) => {
                let length_m = routes.length_m(segment);
                let left_m = (length_m - offset_m).clamp(0.0, ends.moved_m);
                self.list.extend([(Some(segment), left_m), (None, ends.moved_m - left_m)]);
                Drive::Known
            }
            (Spot::Junction, Spot::On { segment, offset_m }) => {
                let entered_m = offset_m.clamp(0.0, ends.moved_m);
                self.list.extend([(None, ends.moved_m - entered_m), (Some(segment), entered_m)]);
                Drive::Known
            }
            (Spot::Junction, Spot::Junction) => Drive::Known,
            (Spot::Off, _) | (_, Spot::Off) => Drive::None,
        }
    }

    /// Hexagons: the straight line, sampled; each piece belongs to the cell of its middle.
    pub(crate) fn across(&mut self, hexagons: &Hexagons, from: LonLat, to: LonLat, moved_m: f64) {
        self.list.clear();
        self.is_whole = false;
        let samples = (moved_m / SAMPLE_M).ceil().clamp(1.0, SAMPLES_MAX);
        for i in 0..samples as usize {
            let share = (i as f64 + 0.5) / samples;
            let lon_deg = from.lon_deg() + (to.lon_deg() - from.lon_deg()) * share;
            let lat_deg = from.lat_deg() + (to.lat_deg() - from.lat_deg()) * share;
            let cell = LonLat::new(lon_deg, lat_deg).ok().and_then(|at| hexagons.at(at));
            match self.list.last_mut() {
                Some((last, metres)) if *last == cell => *metres += moved_m / samples,
                Some(_) | None => self.list.push((cell, moved_m / samples)),
            }
        }
    }

    fn between(
        &mut self,
        ground: &Ground,
        routes: &mut Routes,
        scale: &Scale,
        (a, from_m): (SegmentIndex, f64),
        (b, to_m): (SegmentIndex, f64),
        moved_m: f64,
    ) -> Drive {
        // Ends of streets and places on them are of whole millimetres, so that what is left of a street is too.
        let (length_m, from_m, to_m) =
            (in_millimetres(routes.length_m(a)), in_millimetres(from_m), in_millimetres(to_m));
        if a == b && to_m >= from_m - SAME_M {
            // At an end before a gap a vehicle may be anywhere in it.
            let is_gap = |at_m: f64| !routes.streets_meet() && (at_m <= 0.0 || at_m >= length_m - END_M);
            let on_m = (to_m - from_m).max(0.0);
            self.is_whole = !is_gap(from_m) && !is_gap(to_m);
            if !self.is_whole && is_gap(from_m) && is_gap(to_m) && on_m < END_M {
                self.list.push((None, moved_m));
                return Drive::Known;
            }
            self.list.push((Some(a), on_m));
            if !self.is_whole {
                let beside = (None, (moved_m - on_m).max(0.0));
                self.list.insert(if is_gap(from_m) { 0 } else { 1 }, beside);
            }
            return Drive::Known;
        }
        let left_m = (length_m - from_m).max(0.0);
        let turned = ground.way_back(a.0) == b.0;
        // Where the vehicle would be on the first segment had it not turned round.
        let turn_m = length_m - to_m;
        let limit_m = scale.route_limit_m(moved_m as f32);
        let through_m = routes.between(a.0, b.0, limit_m, &mut self.middle);
        let through_m = through_m.map(|m| f64::from(m) + left_m + to_m).filter(|&m| m <= f64::from(limit_m));
        if turned && through_m.is_none_or(|m| m > (turn_m - from_m).abs() + f64::from(super::model::TURN_ROUND_M)) {
            self.list.push((Some(a), (turn_m - from_m).max(0.0)));
            self.list.push((Some(b), (from_m - turn_m).max(0.0)));
            return Drive::Known;
        }
        if through_m.is_some() {
            self.list.push((Some(a), left_m));
            self.list.extend(self.middle.iter().map(|&s| (Some(s), in_millimetres(routes.length_m(s)))));
            self.list.push((Some(b), to_m));
            self.is_whole = routes.streets_meet();
            if !self.is_whole {
                self.cross_gaps(routes, moved_m);
            }
            return Drive::Known;
        }
        if moved_m <= STRAIGHT_M_MAX {
            let halves = [(Some(a), 1.0), (Some(b), 1.0)];
            self.list.extend_from_slice(if a == b { &halves[..1] } else { &halves });
            return Drive::Bridged;
        }
        Drive::None
    }

    /// Puts what was driven inside of junctions between the pieces: what the streets leave of the way, each gap in
    /// proportion to its width. SUMO counts it to no street either.
    fn cross_gaps(&mut self, routes: &Routes, moved_m: f64) {
        let street_m: f64 = self.list.iter().map(|p| p.1).sum();
        let gaps_m: Vec<f64> = self.list.windows(2).map(|w| routes.gap_m(w[0].0, w[1].0)).collect();
        let (all_m, driven_m) = (gaps_m.iter().sum::<f64>(), (moved_m - street_m).max(0.0));
        if all_m <= 0.0 {
            return;
        }
        for (i, gap_m) in gaps_m.iter().enumerate().rev() {
            // A long way is not straight: then a gap is as wide as it is.
            let inside_m = if moved_m > STRAIGHT_M_MAX { *gap_m } else { driven_m * gap_m / all_m };
            self.list.insert(i + 1, (None, inside_m));
        }
        if street_m < END_M {
            // From a place inside of a junction to another: nothing of it is on a street.
            self.list.retain(|p| p.0.is_none());
        }
    }

    /// Shares distance and time over the pieces by length; the parts add up to the whole exactly.
    pub fn share_out(&self, ends: &Ends, mut emit: impl FnMut(Traversal)) {
        let pieces_m: f64 = self.list.iter().map(|p| p.1).sum();
        let long_way = ends.moved_m > STRAIGHT_M_MAX && self.list.len() > 1;
        let step_m = if long_way { pieces_m.max(ends.moved_m) } else { ends.moved_m };
        // Each piece of a whole way has its own millimetres, since the ends of the streets have them.
        let whole_mm: i64 = self.list.iter().map(|p| millimetres(p.1)).sum();
        let step_mm = if self.is_whole { whole_mm } else { millimetres(step_m) };
        let (start_ms, took_ms) = (ends.from.0, ends.to.0 - ends.from.0);
        let (mut done_m, mut done_mm, mut at_ms) = (0.0, 0, start_ms);
        for (i, &(segment, piece_m)) in self.list.iter().enumerate() {
            done_m += piece_m;
            let last = i + 1 == self.list.len();
            let share = if pieces_m > 0.0 { done_m / pieces_m } else { 1.0 };
            let upto_mm = match (last, self.is_whole) {
                (true, _) => step_mm,
                (false, true) => done_mm + millimetres(piece_m),
                (false, false) => (step_mm as f64 * share).round() as i64,
            };
            let upto_ms = match (last, self.is_whole && step_mm > 0) {
                (true, _) => ends.to.0,
                // To the nearest, halves up; no distance takes no time.
                (false, true) => {
                    let whole_ms = (2 * took_ms * upto_mm + step_mm) / (2 * step_mm);
                    let earliest_ms = at_ms - start_ms + i64::from(upto_mm > done_mm);
                    start_ms + whole_ms.max(earliest_ms).min(took_ms - i64::from(upto_mm < step_mm))
                }
                (false, false) => start_ms + (took_ms as f64 * share).round() as i64,
            };
            if let Some(segment) = segment {
                emit(Traversal { segment, enter_ms: at_ms, leave_ms: upto_ms, distance_mm: upto_mm - done_mm });
            }
            (done_mm, at_ms) = (upto_mm, upto_ms);
        }
    }
}

/// Metres, rounded to whole millimetres.
fn in_millimetres(metres: f64) -> f64 {
    (metres * 1_000.0).round() / 1_000.0
}

fn millimetres(metres: f64) -> i64 {
    (metres * 1_000.0).round() as i64
}
