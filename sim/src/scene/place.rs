//! Streets, junctions and zones of a network, by the names that a scenario uses.
//!
//! Upstream: the network, the zones of the file. Downstream: [`super::Scene`], [`super::demand`]. A street is called by
//! its name or by what its source calls it.

use events::LonLat;
use roads::connected::largest_strong_part;
use roads::{Network, NodeIndex, RoadClass, Search, SegmentIndex};
use rustc_hash::FxHashMap;

use super::SceneError;
use super::file::{ZoneTable, nearest};
use crate::demand::SEGMENT_LENGTH_MIN_M;
use crate::scenario::TRIPS_MAX;

/// The centre reaches so far from the middle of the network, as a share of the way to its edge.
const CENTRE_SHARE: f64 = 0.35;

/// Zones that need no table.
const ALWAYS: [&str; 3] = ["anywhere", "centre", "suburbs"];

/// Tries to find two places of two zones that a way joins.
const WAY_TRIES: usize = 32;

/// Where a trip may begin or end, with the running sum of the weights.
pub(super) type Weighted = Vec<(SegmentIndex, f64)>;

pub(super) struct Places<'a> {
    network: &'a Network,
    streets: FxHashMap<&'a str, Vec<SegmentIndex>>,
    zones: FxHashMap<String, Weighted>,
    /// Where people live, and where they work.
    pub(super) homes: Weighted,
    pub(super) work: Weighted,
}

impl<'a> Places<'a> {
    pub(super) fn new(network: &'a Network, tables: &[ZoneTable]) -> Result<Self, SceneError> {
        let mut streets: FxHashMap<&str, Vec<SegmentIndex>> = FxHashMap::default();
        for at in network.indices() {
            let segment = network.segment(at);
            let names = [segment.name.as_deref(), Some(segment.source_id.as_str())];
            for name in names.into_iter().flatten() {
                streets.entry(name).or_default().push(at);
            }
        }
        let part = largest_strong_part(network);
        if part.len() < 3 {
            return Err(SceneError::NoConnections);
        }
        let long = |at: &SegmentIndex| network.segment(*at).length_m >= SEGMENT_LENGTH_MIN_M;
        let open = |at: &SegmentIndex| long(at) && !network.segment(*at).structure.is_bus_only;
        let usable: Vec<SegmentIndex> = part.into_iter().filter(open).collect();
        let out: Vec<f64> = usable.iter().map(|at| way_out(network, *at)).collect();
        let weighted = |weight: &dyn Fn(SegmentIndex, f64) -> f64| -> Weighted {
            let mut sum = 0.0;
            let all = usable.iter().zip(&out).filter_map(|(at, out)| {
                let weight = weight(*at, *out) * network.segment(*at).length_m;
                sum += weight;
                (weight > 0.0).then_some((*at, sum))
            });
            all.collect()
        };
        let lives = |at: SegmentIndex| match network.segment(at).class {
            RoadClass::Residential | RoadClass::Service => 1.0,
            RoadClass::Tertiary | RoadClass::Secondary => 0.6,
            RoadClass::Primary => 0.2,
            RoadClass::Trunk | RoadClass::Motorway => 0.0,
        };
        let works = |at: SegmentIndex| match network.segment(at).class {
            RoadClass::Residential | RoadClass::Service => 0.4,
            RoadClass::Tertiary | RoadClass::Secondary | RoadClass::Primary => 1.0,
            RoadClass::Trunk | RoadClass::Motorway => 0.0,
        };
        // Assumed: homes thin out in the centre, work gathers there and in a belt of trade at the edge.
        let homes = weighted(&|at, out| lives(at) * (0.35 + out).min(1.0));
        let work =
            weighted(&|at, out| works(at) * (1.0 / (1.0 + 6.0 * out * out) + if out > 0.8 { 0.25 } else { 0.0 }));
        let mut zones: FxHashMap<String, Weighted> = FxHashMap::default();
        zones.insert("anywhere".into(), weighted(&|_, _| 1.0));
        zones.insert("centre".into(), weighted(&|_, out| f64::from(u8::from(out <= CENTRE_SHARE))));
        zones.insert("suburbs".into(), weighted(&|_, out| f64::from(u8::from(out > CENTRE_SHARE))));
        let mut places = Self { network, streets, zones, homes, work };
        for table in tables {
            let middle = places.middle(table)?;
            let near = |at: &SegmentIndex| {
                let half_m = network.segment(*at).length_m / 2.0;
                network.place(*at, half_m).distance_m(middle) <= table.radius_m
            };
            let mut sum = 0.0;
            let inside = usable.iter().filter(|at| near(at)).map(|at| {
                sum += network.segment(*at).length_m;
                (*at, sum)
            });
            let inside: Weighted = inside.collect();
            if inside.is_empty() {
                return Err(SceneError::EmptyZone(table.name.clone()));
            }
            places.zones.insert(table.name.clone(), inside);
        }
        Ok(places)
    }

    pub(super) fn network(&self) -> &'a Network {
        self.network
    }

    fn middle(&self, table: &ZoneTable) -> Result<LonLat, SceneError> {
        let what = format!("zone `{}`", table.name);
        if let Some(street) = &table.street {
            let at = self.segment(&what, street, None)?;
            return Ok(self.network.place(at, self.network.segment(at).length_m / 2.0));
        }
        let place = table.lon.zip(table.lat).and_then(|(lon, lat)| LonLat::new(lon, lat).ok());
        let value = format!("{what} without a street or a place");
        place.ok_or(SceneError::Value { what: "zones", value, wanted: "give `street`, or `lon` and `lat` in degrees" })
    }

    /// All segments of a street.
    pub(super) fn street(&self, what: &str, name: &str) -> Result<&[SegmentIndex], SceneError> {
        self.streets.get(name).map(Vec::as_slice).ok_or_else(|| {
            let mut known: Vec<&str> = self.streets.keys().copied().collect();
            known.sort_unstable();
            let nearest = nearest(name, known.into_iter()).unwrap_or_default().to_owned();
            SceneError::Street { what: what.to_owned(), name: name.to_owned(), nearest }
        })
    }

    /// The piece of a street that ends at another one, else its longest.
    pub(super) fn segment(&self, what: &str, name: &str, before: Option<&str>) -> Result<SegmentIndex, SceneError> {
        let all = self.street(what, name)?;
        let length_m = |at: &SegmentIndex| self.network.segment(*at).length_m;
        let longest = |all: &mut dyn Iterator<Item = &SegmentIndex>| {
            all.copied().max_by(|a, b| length_m(a).total_cmp(&length_m(b)).then(b.cmp(a)))
        };
        let found = match before {
            None => longest(&mut all.iter()),
            Some(other) => {
                let others = self.street(what, other)?;
                let meets = |at: &&SegmentIndex| {
                    let end = self.network.segment(**at).to;
                    others.iter().any(|o| self.network.segment(*o).from == end || self.network.segment(*o).to == end)
                };
                longest(&mut all.iter().filter(meets))
            }
        };
        let (first, second) = (name.to_owned(), before.unwrap_or_default().to_owned());
        found.ok_or(SceneError::NotMet { what: what.to_owned(), first, second })
    }

    /// The junction of two streets; the first of several.
    pub(super) fn junction(&self, what: &str, first: &str, second: &str) -> Result<NodeIndex, SceneError> {
        let at = self.segment(what, first, Some(second))?;
        Ok(self.network.segment(at).to)
    }

    pub(super) fn zone(&self, what: &str, name: &str) -> Result<&Weighted, SceneError> {
        let zone = self.zones.get(name).ok_or_else(|| {
            let mut known: Vec<&str> = self.zones.keys().map(String::as_str).chain(ALWAYS).collect();
            known.sort_unstable();
            let nearest = nearest(name, known.into_iter()).unwrap_or_default().to_owned();
            SceneError::Zone { what: what.to_owned(), name: name.to_owned(), nearest }
        })?;
        if zone.is_empty() { Err(SceneError::EmptyZone(name.to_owned())) } else { Ok(zone) }
    }

    /// Whether a way leads from some place of one zone to some place of another.
    pub(super) fn is_joined(&self, from: &Weighted, to: &Weighted) -> bool {
        let mut search = Search::new();
        let travel_s: Vec<f32> =
            self.network.segments().iter().map(|s| s.length_m as f32 / s.free_flow_mps()).collect();
        (0..WAY_TRIES).any(|i| {
            let (a, b) = (from[i * from.len() / WAY_TRIES].0, to[(i * to.len() / WAY_TRIES + i) % to.len()].0);
            a != b && search.fastest(self.network, a, b, &travel_s).is_some()
        })
    }
}

/// How far out a segment lies: 0 in the middle of the network, 1 at its edge.
fn way_out(network: &Network, at: SegmentIndex) -> f64 {
    let [west, south, east, north] = network.bbox();
    let place = network.place(at, network.segment(at).length_m / 2.0);
    let share = |x: f64, low: f64, high: f64| 2.0 * (x - low) / (high - low).max(1e-9) - 1.0;
    share(place.lon_deg(), west, east).hypot(share(place.lat_deg(), south, north))
}

/// A trip bound as a number of drawn trips.
pub(super) const DRAWN_MAX: f64 = TRIPS_MAX as f64;
