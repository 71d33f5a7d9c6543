//! Movements and signals that a source gives: put into the order of the turns, completed and checked.
//!
//! Upstream: [`super::NetworkBuilder::build`], the cache. Downstream: [`crate::Network::movements`].

use rustc_hash::FxHashMap;

use super::NetworkError;
use crate::movement::{Movement, SignalLinks, derived};
use crate::network::Stored;

/// One movement per turn, in the order of the turns: the given ones, and derived ones where none was given. A given
/// one has the conflicts that it was given; a derived one those with other derived ones.
pub(super) fn complete(stored: &Stored, given: Vec<Movement>) -> Result<Vec<Movement>, NetworkError> {
    let mut all = derived(stored);
    let at: FxHashMap<_, u32> = all.iter().enumerate().map(|(i, m)| ((m.from, m.to), i as u32)).collect();
    // A movement whose turn was forbidden is gone, and so is every mention of it.
    let places: Vec<Option<u32>> = given.iter().map(|m| at.get(&(m.from, m.to)).copied()).collect();
    let mut is_given = vec![false; all.len()];
    for &place in places.iter().flatten() {
        if std::mem::replace(&mut is_given[place as usize], true) {
            return Err(wrong(stored, &all[place as usize], "it is given twice"));
        }
    }
    for movement in all.iter_mut().filter(|m| !is_given[at[&(m.from, m.to)] as usize]) {
        movement.conflicts.retain(|other| !is_given[*other as usize]);
        movement.yields_to.retain(|other| !is_given[*other as usize]);
    }
    for (mut movement, place) in given.into_iter().zip(&places) {
        let Some(place) = place else { continue };
        for list in [&mut movement.conflicts, &mut movement.yields_to] {
            if list.iter().any(|other| *other as usize >= places.len()) {
                return Err(wrong(stored, &all[*place as usize], "it is in conflict with one that does not exist"));
            }
            *list = list.iter().filter_map(|other| places[*other as usize]).collect();
            list.sort_unstable();
            list.dedup();
        }
        all[*place as usize] = movement;
    }
    Ok(all)
}

/// Checks what the simulator relies on.
pub(super) fn check(stored: &Stored) -> Result<(), NetworkError> {
    for plan in &stored.signal_plans {
        let wrong = |what| Err(NetworkError::Signal { id: plan.id.clone(), what });
        let links = plan.phases.first().map_or(0, |phase| phase.links.len());
        if plan.phases.is_empty() || plan.phases.iter().any(|phase| phase.links.len() != links) {
            return wrong("it needs phases, each for the same number of links");
        }
        let lasts = |s: f32| s.is_finite() && s >= 0.0;
        if !plan.offset_s.is_finite()
            || !plan.phases.iter().all(|p| lasts(p.duration_s) && lasts(p.min_s) && lasts(p.max_s))
            || plan.phases.iter().map(|p| p.duration_s).sum::<f32>() < 1.0
        {
            return wrong("its times must be numbers and its cycle last a second");
        }
        if plan.node.at() >= stored.nodes.len() {
            return wrong("its junction does not exist");
        }
    }
    if stored.movements.is_empty() {
        return Ok(());
    }
    if stored.movements.len() != stored.turns.items.len() {
        return Err(NetworkError::Inconsistent);
    }
    let turns =
        (0..stored.segments.len() as u32).flat_map(|from| stored.turns.row(from).iter().map(move |to| (from, *to)));
    for (movement, turn) in stored.movements.iter().zip(turns) {
        if (movement.from.0, movement.to) != turn {
            return Err(NetworkError::Inconsistent);
        }
        if let Some(what) = what_is_wrong(stored, movement) {
            return Err(wrong(stored, movement, what));
        }
    }
    Ok(())
}

fn what_is_wrong(stored: &Stored, movement: &Movement) -> Option<&'static str> {
    let (from, to) = (&stored.segments[movement.from.at()], &stored.segments[movement.to.at()]);
    if movement.lanes.is_empty() || movement.lanes.iter().any(|(a, b)| *a >= from.lanes || *b >= to.lanes) {
        return Some("it must join lanes that exist");
    }
    let known = |other: &u32| (*other as usize) < stored.movements.len();
    if !movement.conflicts.iter().chain(&movement.yields_to).all(known) {
        return Some("it is in conflict with one that does not exist");
    }
    let is_long = movement.length_m.is_finite() && movement.length_m >= 0.0;
    let is_fast = movement.speed_mps.is_finite() && movement.speed_mps > 0.0;
    if !(is_long && is_fast) {
        return Some("its length must be 0 or more and its speed above 0");
    }
    let Some(SignalLinks { signal, links }) = &movement.signal else { return None };
    let shown = stored.signal_plans.get(*signal as usize).map_or(0, |plan| plan.phases[0].links.len());
    let one_each = links.len() == 1 || links.len() == movement.lanes.len();
    let good = one_each && links.iter().all(|link| usize::from(*link) < shown);
    (!good).then_some("its signal has no such link")
}

fn wrong(stored: &Stored, movement: &Movement, what: &'static str) -> NetworkError {
    let name = |at: crate::segment::SegmentIndex| stored.segments[at.at()].source_id.clone();
    NetworkError::Movement { from: name(movement.from), to: name(movement.to), what }
}
