//! What a report is about: a segment, a corridor, a zone, the city.
//!
//! Upstream: [`crate::area`], the network, a name that a person gives. Downstream: every report.

use roads::{Network, SegmentId, SegmentIndex};
use serde::Serialize;

use super::ReportError;
use crate::area::{Area, AreaKind, Areas};

/// Kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaceKind {
    Segment,
    Corridor,
    Zone,
    City,
}

/// How a person names a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceName {
    /// 16 hexadecimal digits.
    Segment(String),
    Corridor(String),
    Zone(String),
    City,
}

/// One segment of a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// As the archive has it.
    pub segment: i64,
    pub length_m: f64,
}

/// A place with its segments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    pub kind: PlaceKind,
    /// What names it in a question.
    pub id: String,
    pub name: String,
    pub length_m: f64,
    /// By segment id, each once.
    #[serde(skip)]
    pub parts: Vec<Part>,
}

impl PlaceKind {
    /// The word in questions and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Corridor => "corridor",
            Self::Zone => "zone",
            Self::City => "city",
        }
    }

    /// Whether one drives through it from end to end, so that it has a travel time.
    pub fn is_path(self) -> bool {
        match self {
            Self::Segment | Self::Corridor => true,
            Self::Zone | Self::City => false,
        }
    }
}

impl PlaceName {
    /// Reads `corridor:Ring north`, `segment:a17c…`, `zone:centre`, `city`.
    ///
    /// # Errors
    /// Another kind.
    pub fn parse(text: &str) -> Result<Self, ReportError> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "segment" => Ok(Self::Segment(name.to_owned())),
            "corridor" => Ok(Self::Corridor(name.to_owned())),
            "zone" => Ok(Self::Zone(name.to_owned())),
            "city" => Ok(Self::City),
            _ => {
                let near = "; a place is corridor:NAME, segment:ID, zone:NAME or city".to_owned();
                Err(ReportError::Place { kind: "place", name: text.to_owned(), near })
            }
        }
    }
}

impl Place {
    /// The place of a name.
    ///
    /// # Errors
    /// A name that is not there, with those that are.
    pub fn find(name: &PlaceName, network: &Network, areas: &Areas) -> Result<Self, ReportError> {
        let area = |kind: AreaKind, word: &'static str, name: &str| {
            let of_kind = || areas.all().iter().filter(move |a| a.kind == kind);
            of_kind().find(|a| a.name == name).map(|a| Self::of_area(a, network)).ok_or_else(|| {
                let names: Vec<&str> = of_kind().map(|a| a.name.as_str()).take(5).collect();
                let near = if names.is_empty() { String::new() } else { format!("; there is {}", names.join(", ")) };
                ReportError::Place { kind: word, name: name.to_owned(), near }
            })
        };
        match name {
            PlaceName::Segment(id) => {
                let at = id.parse::<SegmentId>().ok().and_then(|id| network.by_id(id));
                let unknown = || ReportError::Place { kind: "segment", name: id.clone(), near: String::new() };
                Ok(Self::of_segment(at.ok_or_else(unknown)?, network))
            }
            PlaceName::Corridor(name) => area(AreaKind::Corridor, "corridor", name),
            PlaceName::Zone(name) => area(AreaKind::Zone, "zone", name),
            PlaceName::City => area(AreaKind::City, "city", "city"),
        }
    }

    /// One segment.
    pub fn of_segment(at: SegmentIndex, network: &Network) -> Self {
        let segment = network.segment(at);
        let part = Part { segment: signed(segment.id), length_m: segment.length_m };
        let name = segment.name.clone().unwrap_or_else(|| segment.class.name().to_owned());
        let id = segment.id.to_string();
        Self { kind: PlaceKind::Segment, id, name, length_m: segment.length_m, parts: vec![part] }
    }

    /// A corridor, a zone or the city.
    pub fn of_area(area: &Area, network: &Network) -> Self {
        let kind = match area.kind {
            AreaKind::Corridor => PlaceKind::Corridor,
            AreaKind::Zone => PlaceKind::Zone,
            AreaKind::City => PlaceKind::City,
        };
        let part = |&at: &SegmentIndex| {
            let segment = network.segment(at);
            Part { segment: signed(segment.id), length_m: segment.length_m }
        };
        let mut parts: Vec<Part> = area.segments.iter().map(part).collect();
        parts.sort_by_key(|p| p.segment);
        Self { kind, id: area.name.clone(), name: area.name.clone(), length_m: area.length_m, parts }
    }

    /// The segments as the archive has them, sorted.
    pub fn segments(&self) -> Vec<i64> {
        self.parts.iter().map(|p| p.segment).collect()
    }

    /// For a sentence.
    pub fn told(&self) -> String {
        match self.kind {
            PlaceKind::City => "the city".to_owned(),
            PlaceKind::Segment | PlaceKind::Corridor | PlaceKind::Zone => {
                format!("{} `{}`", self.kind.name(), self.id)
            }
        }
    }
}

/// A segment's id as the archive has it: the same 64 bits.
pub fn signed(id: SegmentId) -> i64 {
    id.0.cast_signed()
}

/// The other way round.
pub fn unsigned(segment: i64) -> SegmentId {
    SegmentId(segment.cast_unsigned())
}
