//! Movements where the source gives none: from the directions of the streets, their lanes and their rank.
//!
//! Seen from above every arm of a junction is a point on a circle; traffic keeps to the right, so a movement is
//! a chord, and two movements cross exactly when their chords do. Upstream: what the network stores. Downstream:
//! [`super::Movement`].

use super::Movement;
use crate::network::Stored;
use crate::segment::{RoadClass, SegmentIndex};

/// Turns beyond this angle, degrees, are turns; less is straight on.
const TURN_DEG: f32 = 45.0;

/// Half the angle between the two sides of one street at the circle, degrees.
const STREET_HALF_DEG: f32 = 1.0;

/// From so many lanes on, one is kept for those who turn left; assumed.
const LANES_WITH_OWN_LEFT: u8 = 3;

/// Who turns drives no faster than this, m/s: 25 km/h, a bend of 12 m at 4 m/s² sideways; assumed.
const TURN_SPEED_MPS: f32 = 7.0;

/// Where a movement leads, seen by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Right,
    Straight,
    /// Also turning round.
    Left,
}

impl Turn {
    /// Of a change of heading from `before` to `after`, degrees clockwise from north.
    pub fn of(before_deg: f32, after_deg: f32) -> Self {
        let turn_deg = (after_deg - before_deg + 540.0).rem_euclid(360.0) - 180.0;
        if turn_deg > TURN_DEG && turn_deg < 180.0 - TURN_DEG / 2.0 {
            Self::Right
        } else if turn_deg.abs() <= TURN_DEG {
            Self::Straight
        } else {
            Self::Left
        }
    }
}

/// All movements of a network, ascending by (from, to).
pub(crate) fn derived(stored: &Stored) -> Vec<Movement> {
    let mut movements = Vec::with_capacity(stored.turns.items.len());
    let mut chords = Vec::with_capacity(stored.turns.items.len());
    let mut by_node: Vec<Vec<u32>> = vec![Vec::new(); stored.nodes.len()];
    for from in (0..stored.segments.len() as u32).map(SegmentIndex) {
        let next = stored.turns.row(from.0);
        let turns: Vec<Chord> = next.iter().map(|to| Chord::new(stored, from, *to)).collect();
        let lanes = lane_pairs(stored, &turns);
        for (chord, lanes) in turns.into_iter().zip(lanes) {
            by_node[stored.segments[from.at()].to.at()].push(movements.len() as u32);
            movements.push(movement(stored, &chord, lanes));
            chords.push(chord);
        }
    }
    for ways in &by_node {
        for &a in ways {
            for &b in ways {
                let (one, other) = (&chords[a as usize], &chords[b as usize]);
                if one.from == other.from || !(one.crosses(other) || one.to == other.to) {
                    continue;
                }
                movements[a as usize].conflicts.push(b);
                if one.yields_to(other, a > b) {
                    movements[a as usize].yields_to.push(b);
                }
            }
        }
    }
    movements
}

fn movement(stored: &Stored, chord: &Chord, lanes: Vec<(u8, u8)>) -> Movement {
    let (before, after) = (&stored.segments[chord.from.at()], &stored.segments[chord.to.at()]);
    let slower = before.speed_limit_mps.min(after.speed_limit_mps);
    let speed_mps = if chord.turn == Turn::Straight { slower } else { slower.min(TURN_SPEED_MPS) };
    let (from, to) = (chord.from, chord.to);
    Movement { from, to, length_m: 0.0, speed_mps, lanes, signal: None, yields_to: Vec::new(), conflicts: Vec::new() }
}

/// The lanes of every movement out of one segment: right turns from the kerb, left turns from the middle of the road,
/// straight on from everywhere, each into any lane of the next street; no lane leads nowhere.
fn lane_pairs(stored: &Stored, turns: &[Chord]) -> Vec<Vec<(u8, u8)>> {
    let Some(first) = turns.first() else { return Vec::new() };
    let lanes = stored.segments[first.from.at()].lanes.max(1);
    let has = |turn| turns.iter().any(|t| t.turn == turn);
    let (right, straight, left) = (has(Turn::Right), has(Turn::Straight), has(Turn::Left));
    let own_left = straight && left && lanes >= LANES_WITH_OWN_LEFT;
    turns
        .iter()
        .map(|chord| {
            let range = match chord.turn {
                Turn::Straight => 0..lanes - u8::from(own_left),
                // Without a way straight on the two sides share the lanes, and a single one takes them all.
                Turn::Right if !straight => 0..(if left { (lanes / 2).max(1) } else { lanes }),
                Turn::Left if !straight => (if right { lanes / 2 } else { 0 })..lanes,
                Turn::Right => 0..1,
                Turn::Left => lanes - 1..lanes,
            };
            let to = stored.segments[chord.to.at()].lanes.max(1);
            range.flat_map(|lane| (0..to).map(move |target| (lane, target))).collect()
        })
        .collect()
}

/// A chord of the circle around a junction.
#[derive(Clone, Copy, Debug)]
struct Chord {
    from: SegmentIndex,
    to: SegmentIndex,
    turn: Turn,
    /// Angle on the circle, degrees clockwise from north.
    enters_deg: f32,
    leaves_deg: f32,
    /// Class, and ramps after the roads of their class.
    rank: (RoadClass, bool),
}

impl Chord {
    fn new(stored: &Stored, from: SegmentIndex, to: SegmentIndex) -> Self {
        let street = &stored.segments[from.at()];
        let before = stored.heading_of_piece(stored.range(from).end - 2).get();
        let after = stored.heading_of_piece(stored.range(to).start).get();
        Self::between(before, after, (from, to), (street.class, street.structure.is_link))
    }

    fn between(before: f32, after: f32, ends: (SegmentIndex, SegmentIndex), rank: (RoadClass, bool)) -> Self {
        Self {
            from: ends.0,
            to: ends.1,
            turn: Turn::of(before, after),
            // Right-hand traffic: who comes along an arm is on its anticlockwise side, who leaves on the other.
            enters_deg: (before + 180.0 - STREET_HALF_DEG).rem_euclid(360.0),
            leaves_deg: (after + STREET_HALF_DEG).rem_euclid(360.0),
            rank,
        }
    }

    fn crosses(&self, other: &Self) -> bool {
        if self.from == other.from || self.to == other.to {
            return false;
        }
        let span = (self.leaves_deg - self.enters_deg).rem_euclid(360.0);
        let inside = |deg: f32| (deg - self.enters_deg).rem_euclid(360.0) < span;
        inside(other.enters_deg) != inside(other.leaves_deg)
    }

    /// Whether this one waits for the other: lower rank first, then who turns left across oncoming traffic, then
    /// who has the other on his right (Vienna Convention on Road Traffic, 1968, article 18); of two who are still
    /// equal, the `later`. Of two in conflict exactly one waits.
    fn yields_to(&self, other: &Self, later: bool) -> bool {
        if self.rank != other.rank {
            return self.rank > other.rank;
        }
        // 180 is oncoming, 90 is on the left, 270 on the right.
        let apart = (self.enters_deg - other.enters_deg).rem_euclid(360.0);
        let oncoming = (135.0..=225.0).contains(&apart);
        if oncoming && (self.turn == Turn::Left) != (other.turn == Turn::Left) {
            return self.turn == Turn::Left;
        }
        match apart {
            _ if oncoming => later,
            a if (20.0..135.0).contains(&a) => true,
            a if a > 225.0 && a <= 340.0 => false,
            _ => later,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chord from travelling `before` to travelling `after`, degrees.
    fn chord(before: f32, after: f32) -> Chord {
        let id = |deg: f32| SegmentIndex(deg as u32);
        Chord::between(before, after, (id(before), id(after + 1_000.0)), (RoadClass::Primary, false))
    }

    #[test]
    fn movements_across_a_crossroads_cross_as_they_do_outside() {
        let (north, east, south, west) = (0.0, 90.0, 180.0, 270.0);
        for (a, b, expected, what) in [
            ((north, north), (south, south), false, "opposite, both straight on"),
            ((north, north), (east, east), true, "straight on from two streets"),
            ((north, west), (south, south), true, "a left turn and oncoming traffic"),
            ((north, west), (south, east), false, "two opposite left turns"),
            ((north, east), (south, south), false, "a right turn and oncoming traffic"),
            ((north, east), (west, west), false, "a right turn and traffic from the right"),
            ((north, east), (east, east), false, "merging is no crossing"),
            ((north, south), (south, south), false, "turning round merges as well"),
        ] {
            let (a, b) = (chord(a.0, a.1), chord(b.0, b.1));
            assert_eq!((a.crosses(&b), b.crosses(&a)), (expected, expected), "{what}");
        }
        assert_eq!(chord(north, east).turn, Turn::Right);
        assert_eq!(chord(north, west).turn, Turn::Left);
        assert_eq!(chord(350.0, 10.0).turn, Turn::Straight);
        assert_eq!(chord(north, south).turn, Turn::Left);
    }

    #[test]
    fn of_two_in_conflict_one_waits() {
        let (north, east, south, west) = (0.0, 90.0, 180.0, 270.0);
        // Driving north, who comes from the right drives west.
        for (waits, goes, what) in [
            ((north, north), (west, west), "right before left"),
            ((north, west), (south, south), "left turn across oncoming traffic"),
            ((east, east), (north, north), "right before left again"),
        ] {
            let (waits, goes) = (chord(waits.0, waits.1), chord(goes.0, goes.1));
            assert!(waits.yields_to(&goes, false) && !goes.yields_to(&waits, true), "{what}");
        }
        let mut side = chord(west, west);
        side.rank = (RoadClass::Residential, false);
        let main = chord(north, north);
        assert!(side.yields_to(&main, false) && !main.yields_to(&side, true), "a side street waits");
    }
}
