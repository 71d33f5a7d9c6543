//! The store as bytes and back, for checkpoints.
//!
//! Upstream: [`super::PaneStore`]. Only what cannot be worked out again is written: panes, minutes, visits and speeds, all
//! in order of time, segment and pseudonym, so that the same store gives the same bytes whatever way it came about. The
//! sums of live windows follow from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::live::Live;
use super::over::Over;
use super::speeds::Speeds;
use super::sums::{Sum, Sums};
use super::vehicles::{NOTHING, Open};
use super::visits::{Kept, PANE_ZERO, Visit, minute_of};
use super::{PaneStore, series::Series};

/// Raised whenever the bytes mean something else.
const VERSION: u8 = 1;

/// Why bytes are no store.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    #[error("the saved panes are of version {0}, this program reads version {VERSION}")]
    Version(u8),
    #[error("the saved panes speak of segment {segment}, the network has {segments}; it is another network")]
    OtherNetwork { segment: usize, segments: usize },
    #[error("the saved panes cannot be read: {0}")]
    Format(#[from] postcard::Error),
}

#[derive(Serialize, Deserialize)]
struct Head {
    is_live: bool,
    newest_ms: Option<i64>,
    first: i32,
    folded_before: i32,
    over_before: i32,
    speeds_over_before_ms: Option<i64>,
}

/// One pane: segment and sum.
type Rows = Vec<(u32, Sum)>;

impl PaneStore {
    /// Appends the store to `out`. The same contributions and borders give the same bytes.
    ///
    /// # Panics
    /// Never: memory takes every byte.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        let head = Head {
            is_live: self.live.is_some(),
            newest_ms: self.live.as_ref().and_then(|live| live.newest_ms),
            first: self.kept.first,
            folded_before: self.kept.folded_before,
            over_before: self.over_before,
            speeds_over_before_ms: self.live.as_ref().and_then(|live| live.speeds.over_before_ms()),
        };
        put(out, &head);
        let rows = |sums: &Sums| -> Rows { sums.iter().map(|(segment, sum)| (segment as u32, sum)).collect() };
        let mut panes = self.held();
        for (pane, sums) in self.panes.range(i32::MIN..i32::MAX) {
            let held = panes.entry(pane).or_default();
            sums.iter().for_each(|(segment, sum)| held.add(segment, sum));
        }
        let panes = panes.iter().map(|(pane, sums)| (pane, rows(sums)));
        put_all(out, panes.filter(|p| !p.1.is_empty()));
        let minutes = self.minutes.iter().map(|(minute, sums)| {
            let mut rows: Rows = Vec::new();
            sums.each(|segment, sum| rows.push((segment as u32, sum)));
            (*minute, rows)
        });
        put_all(out, minutes.filter(|m| !m.1.is_empty()));
        self.save_visits(out);
        let speeds = self.live.as_ref().map(|live| live.speeds.minutes()).unwrap_or_default();
        put_all(out, speeds.into_iter().filter(|m| !m.1.is_empty()));
    }

    /// Takes a store from the begin of `from`; the free-flow speed of every segment of the network, m/s.
    ///
    /// # Errors
    /// [`SavedError`] when the bytes are not of this version, of another network, or no store at all.
    pub fn load(from: &mut &[u8], free_mps: impl Into<Arc<[f64]>>) -> Result<Self, SavedError> {
        let free_mps = free_mps.into();
        let segments = free_mps.len();
        let check = |segment: usize| {
            if segment < segments { Ok(segment) } else { Err(SavedError::OtherNetwork { segment, segments }) }
        };
        let version: u8 = take(from)?;
        if version != VERSION {
            return Err(SavedError::Version(version));
        }
        let head: Head = take(from)?;
        let kept = Kept { first: head.first, folded_before: head.folded_before };
        let mut store = Self { kept, over_before: head.over_before, ..Self::default() };
        let mut panes = Series::default();
        take_all(from, |(pane, rows): (i32, Rows)| {
            rows.into_iter().try_for_each(|(segment, sum)| {
                panes.at(pane).add(check(segment as usize)?, sum);
                Ok(())
            })
        })?;
        store.panes = panes;
        take_all(from, |(minute, rows): (i32, Rows)| {
            let mut sums = Sums::default();
            for (segment, sum) in rows {
                sums.add(check(segment as usize)?, sum);
            }
            store.minutes.insert(minute, Over::of(&sums));
            Ok(())
        })?;
        store.load_visits(from, check)?;
        let mut speeds = BTreeMap::new();
        take_all(from, |(minute_ms, entries): (i64, Vec<(u32, u8, u32)>)| {
            entries.iter().try_for_each(|entry| check(entry.0 as usize).map(|_| ()))?;
            speeds.insert(minute_ms, entries);
            Ok(())
        })?;
        if head.is_live {
            let mut live = Live::new(free_mps);
            live.speeds = Speeds::from_minutes(speeds, head.speeds_over_before_ms);
            for (pane, sums) in store.panes.range(store.over_before..i32::MAX) {
                let minute = live.filling(minute_of(pane));
                sums.iter().for_each(|(segment, sum)| minute.add(segment, sum));
            }
            if let Some(newest_ms) = head.newest_ms {
                live.slide_to(newest_ms, &store.panes, &store.minutes);
            }
            store.live = Some(live);
        }
        Ok(store)
    }

    /// Pseudonyms in order, then for every segment its visits: place of the pseudonym, pane, contributions.
    fn save_visits(&self, out: &mut Vec<u8>) {
        let mut names = vec![None; self.vehicles.numbers()];
        let mut segments = 0_u32;
        self.visits.each(self.vehicles.open(), self.kept, |_, visits| {
            segments += 1;
            visits.iter().for_each(|v| names[v.vehicle() as usize] = Some(self.vehicles.name(v.vehicle())));
        });
        let mut sorted: Vec<u64> = names.iter().copied().flatten().collect();
        sorted.sort_unstable();
        let place = |name: Option<u64>| name.and_then(|name| sorted.binary_search(&name).ok()).unwrap_or(0) as u32;
        let places: Vec<u32> = names.into_iter().map(place).collect();
        put(out, &sorted);
        put(out, &segments);
        self.visits.each(self.vehicles.open(), self.kept, |segment, visits| {
            let saved = |of: &[Visit]| {
                let contributions: i32 = of.iter().map(|v| v.contributions()).sum();
                (places[of[0].vehicle() as usize], of[0].pane(), contributions)
            };
            let same = |a: &Visit, b: &Visit| (a.vehicle(), a.pane()) == (b.vehicle(), b.pane());
            let mut saved: Vec<(u32, i32, i32)> = visits.chunk_by(same).map(saved).collect();
            saved.sort_unstable();
            put(out, &(segment as u32, saved));
        });
    }

    /// Takes in a visit: its contributions, and that its segment was driven then.
    fn load_visit(&mut self, open: Open, contributions: i32) {
        let mut left = contributions;
        while left != 0 {
            let part = left.clamp(-HANDED_MAX, HANDED_MAX);
            self.visits.enter(Open { contributions: part as i16, ..open });
            left -= part;
        }
        let segment = open.segment as usize;
        if open.pane >= self.kept.folded_before {
            self.panes.at(open.pane).mark(segment);
        }
        if open.pane < self.over_before {
            self.minutes.entry(minute_of(open.pane)).or_default().mark(segment);
        }
    }

    fn load_visits(
        &mut self,
        from: &mut &[u8],
        check: impl Fn(usize) -> Result<usize, SavedError>,
    ) -> Result<(), SavedError> {
        let names: Vec<u64> = take(from)?;
        names.into_iter().for_each(|name| {
            self.vehicles.number(name);
        });
        take_all(from, |(segment, visits): (u32, Vec<(u32, i32, i32)>)| {
            check(segment as usize)?;
            for (number, pane, contributions) in visits {
                if number as usize >= self.vehicles.numbers() {
                    return Err(SavedError::Format(postcard::Error::DeserializeBadEncoding));
                }
                let is_of_time = (-PANE_ZERO..PANE_ZERO).contains(&pane);
                let Some(pane) = self.kept.place(pane).filter(|_| is_of_time) else { continue };
                self.load_visit(Open { number, segment, pane, ..NOTHING }, contributions);
            }
            self.hand_out();
            Ok(())
        })
    }
}

/// Most contributions that are handed over together.
const HANDED_MAX: i32 = i16::MAX as i32;

fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    postcard::to_io(value, out).expect("memory takes every byte");
}

/// How many, then each.
fn put_all(out: &mut Vec<u8>, values: impl Iterator<Item = impl Serialize>) {
    let (mut body, mut count) = (Vec::new(), 0_u32);
    values.for_each(|value| {
        put(&mut body, &value);
        count += 1;
    });
    put(out, &count);
    out.append(&mut body);
}

fn take<T: DeserializeOwned>(from: &mut &[u8]) -> Result<T, SavedError> {
    let (value, rest) = postcard::take_from_bytes(from)?;
    *from = rest;
    Ok(value)
}

fn take_all<T: DeserializeOwned>(
    from: &mut &[u8],
    mut each: impl FnMut(T) -> Result<(), SavedError>,
) -> Result<(), SavedError> {
    let count: u32 = take(from)?;
    (0..count).try_for_each(|_| each(take(from)?))
}
