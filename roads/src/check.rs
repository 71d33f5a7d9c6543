//! What looks wrong in a network: dead ends, parts that nothing reaches, odd speeds and lengths, gaps.
//!
//! A finding is no error: a map shows cul-de-sacs because there are some. It is a list for a person who wants to know
//! why vehicles are lost, with a GeoJSON to look at.
//!
//! Upstream: [`Network`]. Downstream: `arterial network check`. Format: RFC 7946 (GeoJSON).

use std::io::{self, Write};

use events::LonLat;
use serde_json::json;

use crate::connected::largest_strong_part;
use crate::index::Candidate;
use crate::network::Network;
use crate::segment::{SEGMENT_LENGTH_MAX_M, Segment, SegmentIndex};

/// Limits at or below are doubted, km/h: walking pace is 7.
const LIMIT_LOW_KMH: f32 = 5.0;

/// Limits above are doubted, km/h: the highest of Europe is 140 (Bulgaria, Poland).
const LIMIT_HIGH_KMH: f32 = 140.0;

/// A limit that changes by more than this from one segment to the next is doubted: 30 to 90 is not, 30 to 100 is.
const LIMIT_JUMP_MAX: f32 = 3.0;

/// Shorter segments are doubted, metres: below the error of any position.
const LENGTH_LOW_M: f64 = 0.5;

/// A dead end this near to a street that it does not join is doubted, metres: half the width of two lanes.
const GAP_M: f64 = 4.0;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// From its end no turn leads on.
    DeadEnd,
    /// To its begin no turn leads.
    NoWayIn,
    /// From its end one can only turn back.
    CulDeSac,
    /// Not in the largest part in which everything reaches everything.
    Unreachable,
    /// Its end lies beside a street that it does not join.
    MissingConnection,
    LimitLow,
    LimitHigh,
    /// The limit of a segment that it leads to differs too much.
    LimitJump,
    TooShort,
    TooLong,
}

impl Problem {
    /// Every problem, gravest first.
    pub const ALL: [Self; 10] = [
        Self::DeadEnd,
        Self::NoWayIn,
        Self::Unreachable,
        Self::MissingConnection,
        Self::LimitLow,
        Self::LimitHigh,
        Self::LimitJump,
        Self::TooShort,
        Self::TooLong,
        Self::CulDeSac,
    ];

    /// The word used in tables and in the GeoJSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeadEnd => "dead end: no way on",
            Self::NoWayIn => "no way in",
            Self::CulDeSac => "cul-de-sac: only back",
            Self::Unreachable => "outside of the largest connected part",
            Self::MissingConnection => "ends beside a street that it does not join",
            Self::LimitLow => "limit of 5 km/h or less",
            Self::LimitHigh => "limit above 140 km/h",
            Self::LimitJump => "limit over 3 times another's that it leads to, or under a third",
            Self::TooShort => "shorter than 0.5 m",
            Self::TooLong => "longer than 500 m",
        }
    }
}

/// One problem of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub segment: SegmentIndex,
    pub problem: Problem,
    /// The other segment, where there is one: the street beside, the one with the other limit.
    pub other: Option<SegmentIndex>,
}

/// Everything that looks wrong, by segment; at most one finding of a kind for each.
pub fn check(net: &Network) -> Vec<Finding> {
    let mut is_connected = vec![false; net.segments().len()];
    for at in largest_strong_part(net) {
        is_connected[at.at()] = true;
    }
    let mut is_entered = vec![false; net.segments().len()];
    for to in net.indices().flat_map(|at| net.successors(at)) {
        is_entered[to.at()] = true;
    }
    let mut findings = Vec::new();
    let mut near = Vec::new();
    for at in net.indices() {
        let segment = net.segment(at);
        let mut add = |problem, other| findings.push(Finding { segment: at, problem, other });
        let is_back =
            |to: &SegmentIndex| net.segment(*to).to == segment.from && net.points(*to).iter().rev().eq(net.points(at));
        let next = net.successors(at);
        if next.is_empty() {
            add(Problem::DeadEnd, None);
        } else if next.iter().all(is_back) {
            add(Problem::CulDeSac, None);
        }
        if next.iter().all(is_back)
            && let Some(other) = beside(net, at, &mut near)
        {
            add(Problem::MissingConnection, Some(other));
        }
        if !is_entered[at.at()] {
            add(Problem::NoWayIn, None);
        }
        if !is_connected[at.at()] {
            add(Problem::Unreachable, None);
        }
        own(segment, &mut add);
        let is_jump = |to: &&SegmentIndex| {
            let ratio = net.segment(**to).speed_limit_mps / segment.speed_limit_mps;
            !(1.0 / LIMIT_JUMP_MAX..=LIMIT_JUMP_MAX).contains(&ratio)
        };
        if let Some(&other) = next.iter().find(is_jump) {
            add(Problem::LimitJump, Some(other));
        }
    }
    findings
}

/// What is wrong with a segment by itself.
fn own(segment: &Segment, add: &mut impl FnMut(Problem, Option<SegmentIndex>)) {
    let limit_kmh = segment.speed_limit_mps * 3.6;
    if limit_kmh <= LIMIT_LOW_KMH {
        add(Problem::LimitLow, None);
    }
    if limit_kmh > LIMIT_HIGH_KMH {
        add(Problem::LimitHigh, None);
    }
    if segment.length_m < LENGTH_LOW_M {
        add(Problem::TooShort, None);
    }
    // Equal parts of a street may be longer by a rounding.
    if segment.length_m > SEGMENT_LENGTH_MAX_M + 1e-6 {
        add(Problem::TooLong, None);
    }
}

/// A street on the same level beside the end of a segment, without a common junction.
fn beside(net: &Network, at: SegmentIndex, near: &mut Vec<Candidate>) -> Option<SegmentIndex> {
    let segment = net.segment(at);
    let level = |s: &Segment| (s.structure.layer, s.structure.is_bridge, s.structure.is_tunnel);
    net.nearest(net.place(at, f64::INFINITY), GAP_M, near);
    let is_other = |other: &&Candidate| {
        let other = net.segment(other.segment);
        other.from != segment.to && other.to != segment.to && level(other) == level(segment)
    };
    near.iter().find(is_other).map(|candidate| candidate.segment)
}

/// Writes findings as a GeoJSON feature collection: one line string a finding, with what, where and the names.
///
/// # Errors
/// What the writer says.
pub fn write_geojson(net: &Network, findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    write!(out, r#"{{"type":"FeatureCollection","features":["#)?;
    for (i, finding) in findings.iter().enumerate() {
        let segment = net.segment(finding.segment);
        let end: LonLat = net.place(finding.segment, f64::INFINITY);
        let feature = json!({
            "type": "Feature",
            "geometry": { "type": "LineString", "coordinates": net.points(finding.segment) },
            "properties": {
                "problem": finding.problem.name(),
                "segment": segment.id.to_string(),
                "source": segment.source_id,
                "name": segment.name,
                "class": segment.class.name(),
                "limit_kmh": segment.speed_limit_mps * 3.6,
                "length_m": segment.length_m,
                "end": [end.lon_deg(), end.lat_deg()],
                "other": finding.other.map(|other| net.segment(other).source_id.clone()),
            },
        });
        write!(out, "{}\n{feature}", if i > 0 { "," } else { "" })?;
    }
    writeln!(out, "\n]}}")
}

#[cfg(test)]
mod tests;
