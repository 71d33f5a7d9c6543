//! The matchers as bytes: all tracks and counts. Remembered routes are not part of it, since they are found again and
//! are the same then.
//!
//! Upstream, downstream: [`Shards`], and [`crate::engine::saved`], which puts it into a checkpoint.

use serde::{Deserialize, Serialize};

use super::MatchCounts;
use super::ground::Point;
use super::model::{Column, State};
use super::shards::{Shards, shard_of};
use super::track::Track;

/// What a matcher remembers, to be written: in the order of vehicles, so that equal matchers give equal bytes.
#[derive(Serialize)]
pub struct TracksToSave<'m> {
    counts: MatchCounts,
    tracks: Vec<&'m Track>,
}

/// The same, read.
#[derive(Deserialize)]
pub struct SavedTracks {
    counts: MatchCounts,
    tracks: Vec<Track>,
}

impl Shards {
    /// What is to be remembered over a restart.
    pub(crate) fn to_save(&self) -> TracksToSave<'_> {
        let mut tracks: Vec<&Track> = Vec::with_capacity(self.vehicles());
        for matcher in &self.matchers {
            tracks.extend(matcher.by_vehicle.values().map(|&place| &matcher.tracks[place as usize]));
        }
        tracks.sort_unstable_by_key(|track| track.vehicle);
        TracksToSave { counts: self.counts(), tracks }
    }

    /// Takes up what was saved, in place of everything that is remembered, by however many matchers; the network and
    /// the configuration are those of the matchers that saved it.
    pub(crate) fn take_up(&mut self, saved: SavedTracks) {
        let shards = self.matchers.len();
        for matcher in &mut self.matchers {
            matcher.tracks.clear();
            matcher.free.clear();
            matcher.by_vehicle.clear();
            matcher.counts = MatchCounts::default();
        }
        self.matchers[0].counts = saved.counts;
        for mut track in saved.tracks {
            let matcher = &mut self.matchers[shard_of(track.vehicle, shards)];
            track.fit(matcher.world.config.look_back_fixes);
            matcher.by_vehicle.insert(track.vehicle, matcher.tracks.len() as u32);
            matcher.tracks.push(track);
        }
    }
}

/// A column of the model without the states that it has no use for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SavedColumn {
    time_ms: i64,
    at: Point,
    decided: bool,
    states: Vec<State>,
}

impl From<Column> for SavedColumn {
    fn from(column: Column) -> Self {
        Self { time_ms: column.time_ms, at: column.at, decided: column.decided, states: column.states().to_vec() }
    }
}

impl TryFrom<SavedColumn> for Column {
    type Error = &'static str;

    fn try_from(saved: SavedColumn) -> Result<Self, Self::Error> {
        Self::of(saved.time_ms, saved.at, saved.decided, &saved.states).ok_or("a column has more states than there are")
    }
}

/// A place as two numbers, checked when read.
pub(super) mod place {
    use events::LonLat;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(in crate::matching) fn serialize<S: Serializer>(at: &LonLat, to: S) -> Result<S::Ok, S::Error> {
        (at.lon_deg(), at.lat_deg()).serialize(to)
    }

    pub(in crate::matching) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LonLat, D::Error> {
        let (lon_deg, lat_deg) = Deserialize::deserialize(from)?;
        LonLat::new(lon_deg, lat_deg).map_err(|_| D::Error::custom("no place on Earth"))
    }
}

/// A moment and a place, if there are any.
pub(super) mod since {
    use events::LonLat;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(in crate::matching) fn serialize<S: Serializer>(
        since: &Option<(i64, LonLat)>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        since.map(|(time_ms, at)| (time_ms, at.lon_deg(), at.lat_deg())).serialize(to)
    }

    pub(in crate::matching) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<(i64, LonLat)>, D::Error> {
        let Some((time_ms, lon_deg, lat_deg)) = Option::<(i64, f64, f64)>::deserialize(from)? else { return Ok(None) };
        let at = LonLat::new(lon_deg, lat_deg).map_err(|_| D::Error::custom("no place on Earth"))?;
        Ok(Some((time_ms, at)))
    }
}
