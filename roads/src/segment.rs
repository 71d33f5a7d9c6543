//! A segment: the piece of one direction of a street between two decision points, and its names.
//!
//! Upstream: the importers and the generator, through the builder. Downstream: everything that speaks of
//! a street.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest segment that importers and the generator make, metres: longer pieces are cut into equal parts, so
/// that a queue at one end of a long road is not averaged away over the whole of it.
pub const SEGMENT_LENGTH_MAX_M: f64 = 500.0;

/// The name of a segment that survives a re-import, so that history stays attached to its street.
///
/// Made of what the source calls the street, never of positions in our arrays. Written as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId(pub u64);

impl SegmentId {
    /// The id of a canonical text such as `osm 12 15`: the first eight bytes of its BLAKE3 hash.
    pub fn of(text: &str) -> Self {
        let hash = blake3::hash(text.as_bytes());
        let mut head = [0; 8];
        head.copy_from_slice(&hash.as_bytes()[..8]);
        Self(u64::from_be_bytes(head))
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that is not a segment id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a segment id: 16 hex digits are")]
pub struct NotASegmentId(pub String);

impl FromStr for SegmentId {
    type Err = NotASegmentId;

    fn from_str(text: &str) -> Result<Self, NotASegmentId> {
        // from_str_radix alone would take a sign and fewer digits.
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotASegmentId(text.to_owned()));
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| NotASegmentId(text.to_owned()))
    }
}

/// Position of a segment in its network: dense from 0, valid for that network only, never stored across runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentIndex(pub u32);

impl SegmentIndex {
    /// The same as an array index.
    #[inline]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// Position of a junction (or a cut within a street) in its network: dense from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeIndex(pub u32);

impl NodeIndex {
    /// The same as an array index.
    #[inline]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// The rank of a street, after OpenStreetMap's `highway` values; ordered from the greatest to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RoadClass {
    Motorway,
    Trunk,
    Primary,
    Secondary,
    Tertiary,
    Residential,
    Service,
}

impl RoadClass {
    /// Every class, greatest first.
    pub const ALL: [Self; 7] =
        [Self::Motorway, Self::Trunk, Self::Primary, Self::Secondary, Self::Tertiary, Self::Residential, Self::Service];

    /// The lower-case word, as used in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Motorway => "motorway",
            Self::Trunk => "trunk",
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Tertiary => "tertiary",
            Self::Residential => "residential",
            Self::Service => "service",
        }
    }

    /// Speed limit where none is posted, km/h.
    ///
    /// The built-up default of most of Europe is 50 (Vienna Convention states; OSM wiki, "Default speed limits");
    /// residential and service values are what such streets usually post. A posted limit always wins.
    pub fn default_limit_kmh(self) -> f32 {
        match self {
            Self::Motorway => 110.0,
            Self::Trunk => 80.0,
            Self::Primary | Self::Secondary | Self::Tertiary => 50.0,
            Self::Residential => 30.0,
            Self::Service => 15.0,
        }
    }

    /// Share of the legal limit that traffic keeps when nothing is in its way but the street itself.
    ///
    /// Signals, bends and crossings hold urban streets below their limit; motorways run near it. The values are
    /// our assumption, laid inside the range of open routing engines: OSRM drives 2/3, later 4/5, of the limit on
    /// every class (`features/car/maxspeed.feature` of osrm-backend). Once a segment has enough off-peak
    /// observations, its own 85th percentile replaces them.
    pub fn free_flow_share_of_limit(self) -> f32 {
        match self {
            Self::Motorway => 0.95,
            Self::Trunk => 0.90,
            Self::Primary => 0.85,
            Self::Secondary => 0.80,
            Self::Tertiary => 0.78,
            Self::Residential => 0.75,
            Self::Service => 0.67,
        }
    }
}

/// Where a free-flow speed comes from; printed beside every number that is held against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FreeFlowBasis {
    /// The posted limit times [`RoadClass::free_flow_share_of_limit`].
    Limit,
    /// The same of the limit that the law or we assume for the class, since the source posts none.
    Class,
    /// The 85th percentile of observed off-peak speed; known to analytics only.
    Observed,
}

impl FreeFlowBasis {
    /// The lower-case word, as used in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Class => "class",
            Self::Observed => "observed",
        }
    }
}

/// What a street is built as, beside its class: what tells a ramp from the road below it.
///
/// `false` and 0 where the source says nothing: SUMO networks know buses' streets only, CityFlow's none of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Structure {
    /// A ramp or slip road (`highway=*_link`); its class is that of the road it leads to.
    pub is_link: bool,
    pub is_roundabout: bool,
    pub is_bridge: bool,
    /// Satellites are not seen from here: fixes end at one mouth and come back at the other.
    pub is_tunnel: bool,
    /// Cars may not use it: only vehicles whose route names it do.
    pub is_bus_only: bool,
    /// Which of crossing streets is above: relative, −5 to 5, 0 on the ground (OSM wiki, Key:layer).
    pub layer: i8,
}

/// One direction of one piece of street.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    pub id: SegmentId,
    /// What the source calls the street this was cut from: an OSM way id (with `-` before it against the way's
    /// own direction, as SUMO's netconvert writes it) or a SUMO edge id.
    pub source_id: String,
    /// Where it begins on that source edge, metres from the edge's begin in driving direction.
    pub source_offset_m: f64,
    pub name: Option<String>,
    pub class: RoadClass,
    pub from: NodeIndex,
    pub to: NodeIndex,
    /// Above 0. The source's own length where it states one, else measured along the line.
    pub length_m: f64,
    /// Legal limit, above 0.
    pub speed_limit_mps: f32,
    /// Whether the source posts no limit, so that it follows from the class.
    pub is_limit_assumed: bool,
    /// Lanes in this direction, at least 1.
    pub lanes: u8,
    pub structure: Structure,
    pub(crate) points: Range<u32>,
}

impl Segment {
    /// Expected speed of undisturbed traffic, m/s: limit times [`RoadClass::free_flow_share_of_limit`].
    pub fn free_flow_mps(&self) -> f32 {
        self.speed_limit_mps * self.class.free_flow_share_of_limit()
    }

    /// What [`Segment::free_flow_mps`] rests on: never on observations, since a map has none.
    pub fn free_flow_basis(&self) -> FreeFlowBasis {
        if self.is_limit_assumed { FreeFlowBasis::Class } else { FreeFlowBasis::Limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sixteen_digits_and_come_back() {
        for id in [SegmentId(0), SegmentId(0xab), SegmentId(u64::MAX), SegmentId::of("osm 1 2 3 forward 0")] {
            assert_eq!(id.to_string().len(), 16);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for bad in ["", "12", "+123456789abcdef", "zzzzzzzzzzzzzzzz", "00000000000000000"] {
            assert_eq!(bad.parse::<SegmentId>(), Err(NotASegmentId(bad.to_owned())));
        }
    }

    #[test]
    fn ids_do_not_change_between_releases() {
        // History on disk is keyed by these: a change here orphans every archive.
        assert_eq!(SegmentId::of("osm 1 2 3 forward 0").to_string(), "a17cf7a51a9cdaf8");
    }
}
